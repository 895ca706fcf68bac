/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: info, the matrix of SET_IRQS against a small model of what vfio-pci does,
 * eventfds that come and go, counters that are full.
 */
#include "tests/vfio/irqs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static bool msix_enabled(struct irqs *f)
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
	struct irqs *f = *state;
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
	struct irqs *f = *state;
	int32_t minus[2] = {-1, -1};

	uiommufd_irq(f->model.dev, 0);
	assert_false(msix_enabled(f));
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_true(msix_enabled(f));
	uiommufd_irq(f->model.dev, 0);
	uiommufd_irq(f->model.dev, 0);
	uiommufd_irq(f->model.dev, 1);
	uiommufd_irq(f->model.dev, VECTORS);
	uiommufd_irq(f->model.dev, ~0u);
	assert_int_equal(irqs_take(f->ev[0]), 2);
	assert_int_equal(irqs_set(f, MSIX, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	assert_false(msix_enabled(f));
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	assert_int_equal(irqs_set(f, MSIX, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 2, f->ev, 8), 0);
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 6, 2, f->ev + 6, 8), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		uiommufd_irq(f->model.dev, i);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(irqs_take(f->ev[i]), i < 2 || i >= 6);
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 1, 1, minus, 4), 0);
	uiommufd_irq(f->model.dev, 1);
	assert_int_equal(irqs_take(f->ev[1]), 0);
	assert_true(msix_enabled(f));
	/* Loopback. */
	assert_int_equal(irqs_set(f, MSIX, NONE | TRIGGER, 0, 8, NULL, 0), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(irqs_take(f->ev[i]), i == 0 || i >= 6);
	assert_int_equal(irqs_set(f, MSIX, BOOL | TRIGGER, 5, 3, "\1\0\7", 3), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(irqs_take(f->ev[i]), i == 7);
	/* It survives a reset. */
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(irqs_take(f->ev[0]), 1);
}

static void test_bad_fds(void **state)
{
	struct irqs *f = *state;
	int null = open("/dev/null", O_RDWR);
	int32_t fds[3] = {f->ev[0], f->ev[1], 999};

	/* Enabling fails as a whole. */
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 3, fds, 12), -EBADF);
	assert_false(msix_enabled(f));
	fds[2] = null;
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 3, fds, 12), -EINVAL);
	assert_false(msix_enabled(f));
	/* A change that fails takes away what it has touched, and no more. */
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 8, f->ev, 32), 0);
	fds[1] = 999;
	fds[2] = f->ev[2];
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 2, 3, fds, 12), -EBADF);
	assert_int_equal(irqs_set(f, MSIX, NONE | TRIGGER, 0, 8, NULL, 0), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(irqs_take(f->ev[i]), i != 2 && i != 3);
	close(null);
}

static void test_single(void **state)
{
	static const uint32_t indices[] = {ERR, REQ};
	struct irqs *f = *state;

	for (int i = 0; i < 2; i++) {
		uint32_t x = indices[i];
		int32_t fd = -2;

		assert_int_equal(irqs_set(f, x, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
		assert_int_equal(irqs_set(f, x, NONE | TRIGGER, 0, 1, NULL, 0), -EINVAL);
		assert_int_equal(irqs_set(f, x, BOOL | TRIGGER, 0, 1, "\1", 1), 0);
		assert_int_equal(irqs_set(f, x, BOOL | TRIGGER, 0, 0, NULL, 0), -EINVAL);
		assert_int_equal(irqs_set(f, x, EVENTFD | TRIGGER, 0, 0, NULL, 0),
				 -EINVAL);
		assert_int_equal(irqs_set(f, x, EVENTFD | TRIGGER, 0, 1, &fd, 4),
				 -EINVAL);
		assert_int_equal(irqs_set(f, x, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
		assert_int_equal(irqs_set(f, x, NONE | TRIGGER, 0, 1, NULL, 0), 0);
		assert_int_equal(irqs_set(f, x, BOOL | TRIGGER, 0, 1, "\1", 1), 0);
		assert_int_equal(irqs_set(f, x, BOOL | TRIGGER, 0, 1, "\0", 1), 0);
		assert_int_equal(irqs_take(f->ev[0]), 2);
		fd = 999;
		assert_int_equal(irqs_set(f, x, EVENTFD | TRIGGER, 0, 1, &fd, 4), -EBADF);
		assert_int_equal(irqs_set(f, x, NONE | TRIGGER, 0, 1, NULL, 0), 0);
		assert_int_equal(irqs_take(f->ev[0]), 1); /* the former stayed */
		fd = -1;
		assert_int_equal(irqs_set(f, x, EVENTFD | TRIGGER, 0, 1, &fd, 4), 0);
		assert_int_equal(irqs_set(f, x, NONE | TRIGGER, 0, 1, NULL, 0), -EINVAL);
		assert_int_equal(irqs_set(f, x, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
		assert_int_equal(irqs_set(f, x, NONE | TRIGGER, 0, 0, NULL, 0), 0);
		assert_int_equal(irqs_set(f, x, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
		assert_int_equal(irqs_set(f, x, NONE | TRIGGER, 1, 0, NULL, 0), -EINVAL);
		assert_int_equal(
			irqs_set(f, x, NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL, 0),
			-ENOTTY);
	}
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_MSIX + 2), 7);
}

static void test_error(void **state)
{
	struct irqs *f = *state;

	uiommufd_fatal_error(f->model.dev);
	assert_int_equal(irqs_set(f, ERR, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	uiommufd_fatal_error(f->model.dev);
	uiommufd_fatal_error(f->model.dev);
	assert_int_equal(irqs_take(f->ev[0]), 2);
	assert_int_equal(irqs_set(f, ERR, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	uiommufd_fatal_error(f->model.dev);
	assert_int_equal(irqs_take(f->ev[0]), 0);
}

static void test_validation(void **state)
{
	struct irqs *f = *state;
	struct irq_call r;

	for (uint32_t argsz = 0; argsz < 20; argsz++) {
		r = (struct irq_call){.h = {argsz, NONE | TRIGGER, MSIX, 0, 0}};
		assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_SET_IRQS, &r),
				 -EINVAL);
	}
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_SET_IRQS, RIG_BAD_VA),
			 -EFAULT);
	/* Data shorter than the count says. */
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 2, f->ev, 7), -EINVAL);
	assert_int_equal(irqs_set(f, MSIX, BOOL | TRIGGER, 0, 2, "\1", 1), -EINVAL);
	/* Counts and starts at the edges. */
	assert_int_equal(irqs_set(f, MSIX, NONE | TRIGGER, 8, 0, NULL, 0), -EINVAL);
	assert_int_equal(irqs_set(f, MSIX, NONE | TRIGGER, 7, 2, NULL, 0), -EINVAL);
	assert_int_equal(irqs_set(f, MSIX, NONE | TRIGGER, 1, ~0u, NULL, 0), -EINVAL);
	assert_int_equal(irqs_set(f, MSIX, NONE | TRIGGER, ~0u, 0, NULL, 0), -EINVAL);
	assert_int_equal(irqs_set(f, MSIX, NONE | TRIGGER, ~0u, 2, NULL, 0), -EINVAL);
	assert_int_equal(irqs_set(f, MSIX, NONE | TRIGGER, 0, 0x40000001, NULL, 0),
			 -EINVAL);
	assert_int_equal(irqs_set(f, 0, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(irqs_set(f, 1, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(irqs_set(f, 5, NONE | TRIGGER, 0, 0, NULL, 0), -EINVAL);
	/* Nothing to enable at all. */
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 0, NULL, 0), -ERANGE);
	assert_false(msix_enabled(f));
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 1, 0, NULL, 0), 0);
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

static long model_single(bool *has, const struct irq_call *r)
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

static long model_msix(struct model *m, const struct irq_call *r)
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

static long model_set(struct model *m, const struct irq_call *r)
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

static void check_model(struct irqs *f, const struct model *m)
{
	assert_int_equal(msix_enabled(f), m->msix);
	for (unsigned i = 0; i < VECTORS; i++) {
		irqs_take(f->ev[i]);
		uiommufd_irq(f->model.dev, i);
		assert_int_equal(irqs_take(f->ev[i]), m->has[i]);
	}
}

static void test_matrix(void **state)
{
	struct irqs *f = *state;
	unsigned seed = (unsigned)time(NULL);
	struct model m = {0};

	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned step = 0; step < 20000; step++) {
		struct irq_call r = {.h = {.flags = (uint32_t)rand() % 0x40}};
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
	struct irqs *f = *state;
	uint64_t full = UINT64_MAX - 1, n;
	int fd = eventfd(0, EFD_CLOEXEC); /* blocking */

	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 1, &fd, 4), 0);
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
	struct irqs *f = *state;
	struct hammer h = {.fd = eventfd(0, EFD_CLOEXEC)};
	pthread_t thread;
	uint64_t n;

	alarm(120);
	pthread_barrier_init(&h.round, NULL, 2);
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 1, &h.fd, 4), 0);
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
	struct irqs *f = arg;

	for (unsigned i = 0; i < 20000; i++)
		uiommufd_irq(f->model.dev, i % 2);
	return NULL;
}

static void test_none_lost(void **state)
{
	struct irqs *f = *state;
	pthread_t threads[3];

	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 2, f->ev, 8), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, signal_often, f), 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(irqs_take(f->ev[0]), 30000);
	assert_int_equal(irqs_take(f->ev[1]), 30000);
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
	struct irqs *f = *state;
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
	struct irqs *f = *state;

	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 8, f->ev, 32), 0);
	assert_int_equal(irqs_set(f, ERR, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	rig_close(&f->rig, f->fd);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	assert_false(msix_enabled(f));
	assert_int_equal(irqs_set(f, ERR, NONE | TRIGGER, 0, 1, NULL, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_info, irqs_setup, irqs_teardown),
		cmocka_unit_test_setup_teardown(test_msix, irqs_setup, irqs_teardown),
		cmocka_unit_test_setup_teardown(test_bad_fds, irqs_setup, irqs_teardown),
		cmocka_unit_test_setup_teardown(test_single, irqs_setup, irqs_teardown),
		cmocka_unit_test_setup_teardown(test_error, irqs_setup, irqs_teardown),
		cmocka_unit_test_setup_teardown(test_validation, irqs_setup,
						irqs_teardown),
		cmocka_unit_test_setup_teardown(test_matrix, irqs_setup, irqs_teardown),
		cmocka_unit_test_setup_teardown(test_full_counter, irqs_setup,
						irqs_teardown),
		cmocka_unit_test_setup_teardown(test_hammered_counter, irqs_setup,
						irqs_teardown),
		cmocka_unit_test_setup_teardown(test_none_lost, irqs_setup,
						irqs_teardown),
		cmocka_unit_test_setup_teardown(test_signal_in_burst, irqs_setup,
						irqs_teardown),
		cmocka_unit_test_setup_teardown(test_close, irqs_setup, irqs_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
