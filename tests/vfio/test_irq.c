/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: info, the matrix of SET_IRQS against a small model of what vfio-pci does,
 * eventfds that come and go, counters that are full.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VECTORS 8
#define NONE    VFIO_IRQ_SET_DATA_NONE
#define BOOL    VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MSIX    VFIO_PCI_MSIX_IRQ_INDEX
#define ERR     VFIO_PCI_ERR_IRQ_INDEX
#define REQ     VFIO_PCI_REQ_IRQ_INDEX

struct request {
	struct vfio_irq_set h;
	union {
		int32_t fds[16];
		uint8_t bools[64];
	};
};

struct fixture {
	struct rig_model model;
	struct rig rig;
	int iommu, fd;
	int ev[VECTORS];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_model_default(&f->model, 0);
	rig_create(&f->rig, &f->model, 1);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		f->ev[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	for (unsigned i = 0; i < VECTORS; i++)
		close(f->ev[i]);
	free(f);
	return 0;
}

static long set(struct fixture *f, uint32_t index, uint32_t flags, uint32_t start,
		uint32_t count, const void *data, size_t n)
{
	struct request r = {.h = {.argsz = (uint32_t)(20 + n),
				  .flags = flags,
				  .index = index,
				  .start = start,
				  .count = count}};

	if (n)
		memcpy(r.h.data, data, n);
	return rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_SET_IRQS, &r);
}

/* How often was it signalled since it was last asked? */
static unsigned take(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? (unsigned)n : 0;
}

static bool msix_enabled(struct fixture *f)
{
	return rig_config16(&f->rig, f->fd, RIG_MSIX + 2) & 0x8000;
}

static void test_info(void **state)
{
	static const struct {
		uint32_t index, flags, count;
		long want;
	} steps[] = {
		{0, 0x7, 0, 0}, {1, 0x9, 0, 0},     {2, 0x1, VECTORS, 0}, {3, 0x9, 1, 0},
		{4, 0x9, 1, 0}, {5, 0, 0, -EINVAL}, {~0u, 0, 0, -EINVAL},
	};
	struct fixture *f = *state;
	struct vfio_irq_info info;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		info = (struct vfio_irq_info){.argsz = 16, .index = steps[i].index};
		assert_int_equal(
			rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_IRQ_INFO, &info),
			steps[i].want);
		if (steps[i].want)
			continue;
		assert_int_equal(info.flags, steps[i].flags);
		assert_int_equal(info.count, steps[i].count);
	}
	info.argsz = 15;
	info.index = 0;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_IRQ_INFO, &info),
			 -EINVAL);
}

/* As QEMU does it: one vector, off, two; a vector more while it is on. */
static void test_msix(void **state)
{
	struct fixture *f = *state;
	int32_t minus[2] = {-1, -1};

	uiommufd_irq(f->model.dev, 0);
	assert_false(msix_enabled(f));
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_true(msix_enabled(f));
	uiommufd_irq(f->model.dev, 0);
	uiommufd_irq(f->model.dev, 0);
	uiommufd_irq(f->model.dev, 1);
	uiommufd_irq(f->model.dev, VECTORS);
	uiommufd_irq(f->model.dev, ~0u);
	assert_int_equal(take(f->ev[0]), 2);
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	assert_false(msix_enabled(f));
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(take(f->ev[0]), 0);
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 2, f->ev, 8), 0);
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 6, 2, f->ev + 6, 8), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		uiommufd_irq(f->model.dev, i);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(take(f->ev[i]), i < 2 || i >= 6);
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 1, 1, minus, 4), 0);
	uiommufd_irq(f->model.dev, 1);
	assert_int_equal(take(f->ev[1]), 0);
	assert_true(msix_enabled(f));
	/* Loopback. */
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, 0, 8, NULL, 0), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(take(f->ev[i]), i == 0 || i >= 6);
	assert_int_equal(set(f, MSIX, BOOL | TRIGGER, 5, 3, "\1\0\7", 3), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(take(f->ev[i]), i == 7);
	/* It survives a reset. */
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(take(f->ev[0]), 1);
}

static void test_bad_fds(void **state)
{
	struct fixture *f = *state;
	int null = open("/dev/null", O_RDWR);
	int32_t fds[3] = {f->ev[0], f->ev[1], 999};

	/* Enabling fails as a whole. */
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 3, fds, 12), -EBADF);
	assert_false(msix_enabled(f));
	fds[2] = null;
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 3, fds, 12), -EINVAL);
	assert_false(msix_enabled(f));
	/* A change that fails takes away what it has touched, and no more. */
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 8, f->ev, 32), 0);
	fds[1] = 999;
	fds[2] = f->ev[2];
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 2, 3, fds, 12), -EBADF);
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, 0, 8, NULL, 0), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(take(f->ev[i]), i != 2 && i != 3);
	close(null);
}

static void test_single(void **state)
{
	static const uint32_t indices[] = {ERR, REQ};
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		uint32_t x = indices[i];
		int32_t fd = -2;

		assert_int_equal(set(f, x, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
		assert_int_equal(set(f, x, NONE | TRIGGER, 0, 1, NULL, 0), -EINVAL);
		assert_int_equal(set(f, x, BOOL | TRIGGER, 0, 1, "\1", 1), 0);
		assert_int_equal(set(f, x, BOOL | TRIGGER, 0, 0, NULL, 0), -EINVAL);
		assert_int_equal(set(f, x, EVENTFD | TRIGGER, 0, 0, NULL, 0), -EINVAL);
		assert_int_equal(set(f, x, EVENTFD | TRIGGER, 0, 1, &fd, 4), -EINVAL);
		assert_int_equal(set(f, x, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
		assert_int_equal(set(f, x, NONE | TRIGGER, 0, 1, NULL, 0), 0);
		assert_int_equal(set(f, x, BOOL | TRIGGER, 0, 1, "\1", 1), 0);
		assert_int_equal(set(f, x, BOOL | TRIGGER, 0, 1, "\0", 1), 0);
		assert_int_equal(take(f->ev[0]), 2);
		fd = 999;
		assert_int_equal(set(f, x, EVENTFD | TRIGGER, 0, 1, &fd, 4), -EBADF);
		assert_int_equal(set(f, x, NONE | TRIGGER, 0, 1, NULL, 0), 0);
		assert_int_equal(take(f->ev[0]), 1); /* the former stayed */
		fd = -1;
		assert_int_equal(set(f, x, EVENTFD | TRIGGER, 0, 1, &fd, 4), 0);
		assert_int_equal(set(f, x, NONE | TRIGGER, 0, 1, NULL, 0), -EINVAL);
		assert_int_equal(set(f, x, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
		assert_int_equal(set(f, x, NONE | TRIGGER, 0, 0, NULL, 0), 0);
		assert_int_equal(set(f, x, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
		assert_int_equal(set(f, x, NONE | TRIGGER, 1, 0, NULL, 0), -EINVAL);
		assert_int_equal(
			set(f, x, NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL, 0),
			-ENOTTY);
	}
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_MSIX + 2), 7);
}

static void test_error(void **state)
{
	struct fixture *f = *state;

	uiommufd_fatal_error(f->model.dev);
	assert_int_equal(set(f, ERR, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	uiommufd_fatal_error(f->model.dev);
	uiommufd_fatal_error(f->model.dev);
	assert_int_equal(take(f->ev[0]), 2);
	assert_int_equal(set(f, ERR, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	uiommufd_fatal_error(f->model.dev);
	assert_int_equal(take(f->ev[0]), 0);
}

static void test_validation(void **state)
{
	struct fixture *f = *state;
	struct request r;

	for (uint32_t argsz = 0; argsz < 20; argsz++) {
		r = (struct request){.h = {argsz, NONE | TRIGGER, MSIX, 0, 0}};
		assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_SET_IRQS, &r),
				 -EINVAL);
	}
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_SET_IRQS, RIG_BAD_VA),
			 -EFAULT);
	/* Data shorter than the count says. */
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 2, f->ev, 7), -EINVAL);
	assert_int_equal(set(f, MSIX, BOOL | TRIGGER, 0, 2, "\1", 1), -EINVAL);
	/* Counts and starts at the edges. */
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, 8, 0, NULL, 0), -EINVAL);
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, 7, 2, NULL, 0), -EINVAL);
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, 1, ~0u, NULL, 0), -EINVAL);
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, ~0u, 0, NULL, 0), -EINVAL);
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, ~0u, 2, NULL, 0), -EINVAL);
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, 0, 0x40000001, NULL, 0), -EINVAL);
	assert_int_equal(set(f, 0, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(set(f, 1, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(set(f, 5, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
	/* Nothing to enable at all. */
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 0, NULL, 0), -ERANGE);
	assert_false(msix_enabled(f));
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 1, 0, NULL, 0), 0);
	assert_true(msix_enabled(f));
	/* Data that cannot be read. */
	{
		char *page = aligned_alloc(4096, 8192);
		struct vfio_irq_set *s = (void *)(page + 4096 - 20);

		f->rig.bad_from = (uintptr_t)page + 4096;
		*s = (struct vfio_irq_set){24, EVENTFD | TRIGGER, MSIX, 0, 1};
		assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_SET_IRQS, s),
				 -EFAULT);
		s->flags = EVENTFD | VFIO_IRQ_SET_ACTION_MASK;
		assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_SET_IRQS, s),
				 -EFAULT);
		f->rig.bad_from = 0;
		free(page);
	}
}

/* ---- the matrix against a model ---------------------------------------------------- */

struct model {
	bool msix;
	bool has[VECTORS]; /* vectors with an eventfd */
	bool err, req;
};

static long model_single(bool *has, const struct request *r)
{
	if (r->h.flags & NONE) {
		if (!*has)
			return -EINVAL;
		if (!r->h.count)
			*has = false;
		return 0;
	}
	if (!r->h.count)
		return -EINVAL;
	if (r->h.flags & EVENTFD)
		*has = r->fds[0] >= 0;
	return 0;
}

static long model_msix(struct model *m, const struct request *r)
{
	if (m->msix && !r->h.count && r->h.flags & NONE) {
		memset(m, 0, offsetof(struct model, err));
		return 0;
	}
	if (r->h.flags & EVENTFD) {
		if (!m->msix && !(r->h.start + r->h.count))
			return -ERANGE;
		m->msix = true;
		for (uint32_t i = 0; i < r->h.count; i++)
			m->has[r->h.start + i] = r->fds[i] >= 0;
		return 0;
	}
	return m->msix ? 0 : -EINVAL;
}

static unsigned bits(uint32_t v)
{
	return (unsigned)__builtin_popcount(v);
}

static long model_set(struct model *m, const struct request *r)
{
	static const uint32_t counts[] = {0, 0, VECTORS, 1, 1};
	uint32_t data = r->h.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	uint32_t each = data == BOOL ? 1 : data == EVENTFD ? 4 : 0;

	if (r->h.index > 4 || r->h.flags & ~0x3fu)
		return -EINVAL;
	if (r->h.start >= counts[r->h.index] ||
	    r->h.start + r->h.count > counts[r->h.index])
		return -EINVAL;
	if (bits(data) != 1 || r->h.argsz < 20 + each * r->h.count)
		return -EINVAL;
	if ((r->h.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != TRIGGER)
		return -ENOTTY;
	if (r->h.index == MSIX)
		return model_msix(m, r);
	return model_single(r->h.index == ERR ? &m->err : &m->req, r);
}

static void check_model(struct fixture *f, const struct model *m)
{
	assert_int_equal(msix_enabled(f), m->msix);
	for (unsigned i = 0; i < VECTORS; i++) {
		take(f->ev[i]);
		uiommufd_irq(f->model.dev, i);
		assert_int_equal(take(f->ev[i]), m->has[i]);
	}
}

static void test_matrix(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL);
	struct model m = {0};

	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned step = 0; step < 20000; step++) {
		struct request r = {.h = {.flags = (uint32_t)rand() % 0x40}};
		long want, got;

		if (rand() % 2) /* often a plausible one */
			r.h.flags = (1u << rand() % 3) | TRIGGER;
		r.h.index = rand() % 3 ? MSIX : (uint32_t)rand() % 6;
		r.h.start = (uint32_t)rand() % (VECTORS + 1);
		r.h.count = (uint32_t)rand() % (VECTORS + 2 - r.h.start);
		if (rand() % 3 == 0 || r.h.index != MSIX)
			r.h.start = 0;
		r.h.argsz = 20 + 4 * r.h.count - (rand() % 16 == 0 && r.h.count);
		if (r.h.flags & EVENTFD) {
			for (unsigned i = 0; i < r.h.count; i++)
				r.fds[i] = r.h.index != MSIX || rand() % 4 == 0 ? -1
					   : r.h.start + i < VECTORS
						   ? f->ev[r.h.start + i]
						   : -1;
		}
		want = model_set(&m, &r);
		got = rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_SET_IRQS, &r);
		if (got != want)
			fail_msg("seed %u step %u: %ld, not %ld (flags %#x index %u "
				 "start %u count %u argsz %u)",
				 seed, step, got, want, r.h.flags, r.h.index, r.h.start,
				 r.h.count, r.h.argsz);
		check_model(f, &m);
	}
}

/* A client that never reads its eventfd, filled to the brim, stops nobody. */
static void test_full_counter(void **state)
{
	struct fixture *f = *state;
	uint64_t full = UINT64_MAX - 1, n;
	int fd = eventfd(0, EFD_CLOEXEC); /* blocking */

	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 1, &fd, 4), 0);
	assert_int_equal(write(fd, &full, 8), 8);
	uiommufd_irq(f->model.dev, 0);
	uiommufd_irq(f->model.dev, 0);
	/* One more than a write could make of it, as with an interrupt of Linux's. */
	assert_int_equal(read(fd, &n, 8), 8);
	assert_true(n == UINT64_MAX);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(read(fd, &n, 8), 8);
	assert_int_equal(n, 1);
	close(fd);
}

/* A client that fills its eventfd again and again, and leaves it blocking. */
struct hammer {
	int fd;
	pthread_barrier_t round;
};

#define ROUNDS  3000
#define SIGNALS 40

static void fill(int fd)
{
	uint64_t full = UINT64_MAX - 1, n;

	assert_int_equal(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	do {
		(void)!read(fd, &n, sizeof(n));
	} while (write(fd, &full, sizeof(full)) < 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_RDWR), 0);
}

static void *hammer(void *arg)
{
	struct hammer *h = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&h->round);
		for (volatile unsigned wait = i * 7 % 1000; wait; wait--)
			;
		fill(h->fd);
		pthread_barrier_wait(&h->round);
	}
	return NULL;
}

/* It never reads before we are done, so waiting for it once would be for ever. */
static void test_hammered_counter(void **state)
{
	struct fixture *f = *state;
	struct hammer h = {.fd = eventfd(0, EFD_CLOEXEC)};
	pthread_t thread;
	uint64_t n;

	alarm(120);
	pthread_barrier_init(&h.round, NULL, 2);
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 1, &h.fd, 4), 0);
	assert_int_equal(pthread_create(&thread, NULL, hammer, &h), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&h.round);
		for (unsigned k = 0; k < SIGNALS; k++)
			uiommufd_irq(f->model.dev, 0);
		pthread_barrier_wait(&h.round);
		assert_int_equal(read(h.fd, &n, sizeof(n)), sizeof(n));
	}
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&h.round);
	close(h.fd);
	alarm(0);
}

/* More signals than the kernel has room for completions, from several threads. */
static void *signal_often(void *arg)
{
	struct fixture *f = arg;

	for (unsigned i = 0; i < 20000; i++)
		uiommufd_irq(f->model.dev, i % 2);
	return NULL;
}

static void test_none_lost(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[3];

	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 2, f->ev, 8), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, signal_often, f), 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(take(f->ev[0]), 30000);
	assert_int_equal(take(f->ev[1]), 30000);
}

/* A device that signals from the middle of a burst, and has to wait for the lock. */
struct burster {
	struct uiommufd_device *dev;
	atomic_int in, out;
};

static bool signal_in_burst(void *arg)
{
	struct burster *b = arg;

	uiommufd_burst_begin();
	port_dma_enter();
	port_dma_leave();
	atomic_store(&b->in, 1);
	uiommufd_irq(b->dev, 0);
	atomic_store(&b->out, 1);
	return false;
}

/* Who takes memory away does not wait for it. */
static void test_signal_in_burst(void **state)
{
	struct fixture *f = *state;
	struct burster b = {.dev = f->model.dev};
	struct pci_irqs *irqs = &f->model.dev->pci->irqs;
	struct uiommufd_worker *w;

	assert_int_equal(uiommufd_worker_create(b.dev, signal_in_burst, &b, &w), 0);
	port_mutex_lock(&irqs->lock);
	uiommufd_worker_kick(w);
	while (!atomic_load(&b.in))
		port_yield();
	port_rcu_synchronize();
	assert_int_equal(atomic_load(&b.out), 0);
	port_mutex_unlock(&irqs->lock);
	uiommufd_worker_destroy(w);
	assert_int_equal(atomic_load(&b.out), 1);
}

static void test_close(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 8, f->ev, 32), 0);
	assert_int_equal(set(f, ERR, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	rig_close(&f->rig, f->fd);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(take(f->ev[0]), 0);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	assert_false(msix_enabled(f));
	assert_int_equal(set(f, ERR, NONE | TRIGGER, 0, 1, NULL, 0), -EINVAL);
}

/* ---- MSI and INTx ----------------------------------------------------------------- */

#define INTX        VFIO_PCI_INTX_IRQ_INDEX
#define MSI         VFIO_PCI_MSI_IRQ_INDEX
#define MASK        VFIO_IRQ_SET_ACTION_MASK
#define UNMASK      VFIO_IRQ_SET_ACTION_UNMASK
#define MSI_CAP     0x50
#define MSI_VECTORS 4
#define NO_INTX     0x0400
#define STATUS      0x06

static int setup_all(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_model_default(&f->model, 0);
	f->model.desc.interrupt_pin = 1;
	f->model.desc.msi_vectors = MSI_VECTORS;
	f->model.desc.no_soft_reset = true;
	rig_create(&f->rig, &f->model, 1);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		f->ev[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	*state = f;
	return 0;
}

static void test_msi(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rig_config16(&f->rig, f->fd, MSI_CAP + 2), 0x84);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(set(f, MSI, EVENTFD | TRIGGER, 0, 3, f->ev, 12), 0);
	/* One way at a time. */
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), -EINVAL);
	assert_int_equal(set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), -EINVAL);
	for (unsigned i = 0; i < 5; i++)
		uiommufd_irq(f->model.dev, i);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(take(f->ev[i]), i < 3);
	/* No vector is added to those there are; one may pause. */
	assert_int_equal(set(f, MSI, EVENTFD | TRIGGER, 3, 1, f->ev, 4), -EINVAL);
	assert_int_equal(set(f, MSI, EVENTFD | TRIGGER, 1, 1, (int32_t[]){-1}, 4), 0);
	assert_int_equal(set(f, MSI, NONE | TRIGGER, 0, 3, NULL, 0), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(take(f->ev[i]), i != 1);
	/* A client's driver enables it, too, for as many as VFIO has. */
	rig_set_config16(&f->rig, f->fd, MSI_CAP + 2, 0x00f1);
	assert_int_equal(rig_config16(&f->rig, f->fd, MSI_CAP + 2), 0x00a1);
	assert_int_equal(set(f, MSI, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	rig_set_config16(&f->rig, f->fd, MSI_CAP + 2, 0x0081);
	assert_int_equal(rig_config16(&f->rig, f->fd, MSI_CAP + 2), 0x0080);
	assert_int_equal(set(f, MSI, EVENTFD | MASK, 0, 1, f->ev, 4), -ENOTTY);
}

/* ---- MSI with masks --------------------------------------------------------------- */

#define MASKS_CAP   0x48
#define MASK_REG    (MASKS_CAP + 0x10)
#define PENDING_REG (MASKS_CAP + 0x14)

static int setup_masks(void **state)
{
	struct fixture *f;

	setup_all(state);
	f = *state;
	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	f->model.desc.msi_masks = true;
	rig_create(&f->rig, &f->model, 1);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	return 0;
}

static unsigned get8(struct fixture *f, unsigned at)
{
	uint8_t v = 0;

	assert_int_equal(rig_pread(&f->rig, f->fd, &v, 1,
				   VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + at),
			 1);
	return v;
}

static void put8(struct fixture *f, unsigned at, uint8_t v)
{
	assert_int_equal(rig_pwrite(&f->rig, f->fd, &v, 1,
				    VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + at),
			 1);
}

/* Vectors 0 to 2 of 4 have eventfds. */
static void test_msi_masks(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rig_config16(&f->rig, f->fd, MASKS_CAP + 2), 0x184);
	assert_int_equal(get8(f, MASK_REG), 0);
	assert_int_equal(set(f, MSI, EVENTFD | TRIGGER, 0, 3, f->ev, 12), 0);
	/* Linux masks what nobody is told of. */
	assert_int_equal(get8(f, MASK_REG), 0x8);
	for (unsigned i = 0; i < 4; i++)
		uiommufd_irq(f->model.dev, i);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(take(f->ev[i]), i < 3);
	assert_int_equal(get8(f, PENDING_REG), 0x8);
	/* Masked by the client: pending, and told once. */
	put8(f, MASK_REG, 0xff);
	assert_int_equal(get8(f, MASK_REG), 0xf);
	uiommufd_irq(f->model.dev, 1);
	uiommufd_irq(f->model.dev, 1);
	assert_int_equal(take(f->ev[1]), 0);
	assert_int_equal(get8(f, PENDING_REG), 0xa);
	put8(f, PENDING_REG, 0);
	put8(f, MASK_REG + 1, 0);
	assert_int_equal(get8(f, PENDING_REG), 0xa);
	put8(f, MASK_REG, 0xd);
	assert_int_equal(get8(f, PENDING_REG), 0x8);
	assert_int_equal(take(f->ev[1]), 1);
	/* VFIO's own triggers pass by the masks. */
	assert_int_equal(set(f, MSI, NONE | TRIGGER, 0, 1, NULL, 0), 0);
	assert_int_equal(take(f->ev[0]), 1);
}

/* What Linux writes replaces what the client wrote. */
static void test_msi_masks_of_linux(void **state)
{
	struct fixture *f = *state;

	put8(f, MASK_REG, 0x3);
	assert_int_equal(get8(f, MASK_REG), 0x3);
	assert_int_equal(set(f, MSI, EVENTFD | TRIGGER, 0, 3, f->ev, 12), 0);
	assert_int_equal(get8(f, MASK_REG), 0x8);
	put8(f, MASK_REG, 0x1);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(take(f->ev[0]), 0);
	assert_int_equal(set(f, MSI, EVENTFD | TRIGGER, 2, 1, (int32_t[]){-1}, 4), 0);
	assert_int_equal(get8(f, MASK_REG), 0xc);
	assert_int_equal(take(f->ev[0]), 1);
	/* A vector that pauses is told of afterwards. */
	uiommufd_irq(f->model.dev, 2);
	assert_int_equal(get8(f, PENDING_REG), 0x4);
	assert_int_equal(set(f, MSI, EVENTFD | TRIGGER, 2, 1, f->ev + 2, 4), 0);
	assert_int_equal(take(f->ev[2]), 1);
	/* A reset forgets what was pending. */
	put8(f, MASK_REG, 0xf);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
	assert_int_equal(get8(f, MASK_REG), 0x8);
	assert_int_equal(get8(f, PENDING_REG), 0);
	assert_int_equal(take(f->ev[0]), 0);
	/* Off, nothing is masked. */
	put8(f, MASK_REG, 0xf);
	assert_int_equal(set(f, MSI, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	assert_int_equal(get8(f, MASK_REG), 0);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(get8(f, PENDING_REG), 0);
}

static bool line_shows(struct fixture *f)
{
	return rig_config16(&f->rig, f->fd, STATUS) & 0x8;
}

static void test_intx(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rig_config16(&f->rig, f->fd, 0x3c) >> 8, 1);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 1, NULL, 0), -EINVAL);
	uiommufd_intx(f->model.dev, true);
	assert_true(line_shows(f));
	/* It is there already. */
	assert_int_equal(set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(take(f->ev[0]), 1);
	/* Masked by itself: an edge more is not told. */
	uiommufd_intx(f->model.dev, false);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(take(f->ev[0]), 0);
	/* The level is still there: told again, and masked. */
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), 0);
	assert_int_equal(set(f, INTX, BOOL | UNMASK, 0, 1, "\1", 1), 0);
	assert_int_equal(set(f, INTX, BOOL | UNMASK, 0, 1, "\0", 1), 0);
	assert_int_equal(take(f->ev[0]), 2);
	uiommufd_intx(f->model.dev, false);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), 0);
	assert_int_equal(take(f->ev[0]), 0);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(take(f->ev[0]), 1);
	/* Masked by hand. */
	uiommufd_intx(f->model.dev, false);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), 0);
	assert_int_equal(set(f, INTX, EVENTFD | MASK, 0, 1, f->ev, 4), -ENOTTY);
	assert_int_equal(set(f, INTX, NONE | MASK, 0, 1, NULL, 0), 0);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(take(f->ev[0]), 0);
	/* Loopback does not ask. */
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 1, NULL, 0), 0);
	assert_int_equal(take(f->ev[0]), 1);
	/* A reset lowers the level. */
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
	assert_false(line_shows(f));
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	assert_int_equal(set(f, MSI, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
}

/* As KVM resamples: its eventfd unmasks, and is answered while the level is there. */
static void test_intx_unmask_fd(void **state)
{
	struct fixture *f = *state;
	uint64_t n;
	int32_t none = -1;

	fcntl(f->ev[0], F_SETFL, O_RDWR); /* blocking: to wait with */
	alarm(60);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), -EINVAL);
	assert_int_equal(set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, (int32_t[]){999}, 4),
			 -EBADF);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), 0);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), -EBUSY);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(read(f->ev[0], &n, 8), 8);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(eventfd_write(f->ev[1], 1), 0);
		assert_int_equal(read(f->ev[0], &n, 8), 8);
		assert_int_equal(n, 1);
	}
	assert_int_equal(take(f->ev[1]), 0);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, &none, 4), 0);
	assert_int_equal(eventfd_write(f->ev[1], 1), 0);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), 0);
	assert_int_equal(read(f->ev[0], &n, 8), 8);
	/* It goes with the trigger. */
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	assert_int_equal(set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(read(f->ev[0], &n, 8), 8);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), 0);
	alarm(0);
}

/* The eventfd goes when its last descriptor is closed, wherever that is. */
static void test_intx_unmask_closed(void **state)
{
	struct fixture *f = *state;
	int32_t first = eventfd(0, EFD_CLOEXEC), none = -1;
	int release[2];
	pid_t pid;

	assert_int_equal(set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, &first, 4), 0);
	assert_int_equal(pipe(release), 0);
	pid = fork();
	if (!pid) {
		char c;

		close(release[1]);
		_exit(read(release[0], &c, 1) != 0);
	}
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), -EBUSY);
	close(first);
	/* The child has it, too. */
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), -EBUSY);
	close(release[0]);
	close(release[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), 0);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), -EBUSY);
	assert_int_equal(set(f, INTX, EVENTFD | UNMASK, 0, 1, &none, 4), 0);
}

static long low_power(struct fixture *f, uint32_t nr)
{
	struct vfio_device_feature h = {sizeof(h), VFIO_DEVICE_FEATURE_SET | nr};

	return rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &h);
}

/* A function in low power is not heard, but while it is accessed. */
static void test_intx_low_power(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(low_power(f, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY), 0);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(take(f->ev[0]), 0);
	rig_config16(&f->rig, f->fd, 0);
	assert_int_equal(take(f->ev[0]), 1);
	uiommufd_intx(f->model.dev, false);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), 0);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(take(f->ev[0]), 0);
	assert_int_equal(low_power(f, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT), 0);
	assert_int_equal(take(f->ev[0]), 1);
	/* What the client has masked stays masked. */
	uiommufd_intx(f->model.dev, false);
	assert_int_equal(set(f, INTX, NONE | MASK, 0, 1, NULL, 0), 0);
	assert_int_equal(low_power(f, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY), 0);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(low_power(f, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT), 0);
	assert_int_equal(take(f->ev[0]), 0);
}

static void test_intx_command(void **state)
{
	struct fixture *f = *state;
	unsigned command = rig_config16(&f->rig, f->fd, RIG_COMMAND);

	assert_int_equal(set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, command | NO_INTX);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), 0);
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 1, NULL, 0), 0);
	assert_int_equal(take(f->ev[0]), 0);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_COMMAND), command | NO_INTX);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, command);
	assert_int_equal(take(f->ev[0]), 1);
	/* Enabled while it is off: from then on. */
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, command | NO_INTX);
	assert_int_equal(set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(take(f->ev[0]), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, command);
	assert_int_equal(take(f->ev[0]), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_info, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_fds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_single, setup, teardown),
		cmocka_unit_test_setup_teardown(test_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_validation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_matrix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_counter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hammered_counter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signal_in_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msi, setup_all, teardown),
		cmocka_unit_test_setup_teardown(test_intx, setup_all, teardown),
		cmocka_unit_test_setup_teardown(test_msi_masks, setup_masks, teardown),
		cmocka_unit_test_setup_teardown(test_msi_masks_of_linux, setup_masks,
						teardown),
		cmocka_unit_test_setup_teardown(test_intx_unmask_fd, setup_all, teardown),
		cmocka_unit_test_setup_teardown(test_intx_unmask_closed, setup_all,
						teardown),
		cmocka_unit_test_setup_teardown(test_intx_low_power, setup_all, teardown),
		cmocka_unit_test_setup_teardown(test_intx_command, setup_all, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
