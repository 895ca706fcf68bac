/* SPDX-License-Identifier: MIT */
/*
 * Calls at random from several threads on the same devices: binds, attaches, resets,
 * interrupts, ioeventfds, dirty logs, exports, maps, config writes, closes, with
 * arguments that are sometimes right. Nothing may crash, hang or leak, and afterwards the
 * devices work.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define THREADS   3
#define DEVICES   3
#define CALLS     20000
#define I         0x10000000ull
#define ARG_BYTES ((4u << 20) + 4096)

struct shared {
	struct rig_model models[DEVICES];
	struct rig rig;
	int iommu, devices[DEVICES];
	pthread_rwlock_t open[DEVICES]; /* write: the device is closed and reopened */
	_Atomic bool stop;
};

struct caller {
	struct shared *s;
	unsigned seed;
	pthread_t thread;
	unsigned index; /* of the device, this time */
	unsigned long done, exported, mapped;
	int buf, ev;   /* its own */
	uint32_t *arg; /* ARG_BYTES: as far as a wild count makes a call look */
};

static uint32_t any(struct caller *c, uint32_t n)
{
	return (uint32_t)rand_r(&c->seed) % n;
}

static uint32_t odd(struct caller *c)
{
	static const uint32_t values[] = {
		0,  1,  2,    3,          7,          8,          12,
		16, 24, 4096, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff};

	return values[any(c, ARRAY_LEN(values))];
}

static int device(struct caller *c)
{
	return c->s->devices[c->index];
}

static long call(struct caller *c, int fd, unsigned long cmd)
{
	/* One word in a while is not what it should be. */
	if (!any(c, 8))
		c->arg[any(c, 12)] = odd(c);
	return rig_ioctl(&c->s->rig, fd, cmd, any(c, 64) ? c->arg : RIG_BAD_VA);
}

static void export(struct caller *c)
{
	static const uint32_t regions[] = {0, 2, 2, 2, 1, 7};
	long fd;

	c->arg[0] = 24 + 2 * 16;
	c->arg[1] = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	c->arg[2] = regions[any(c, ARRAY_LEN(regions))];
	c->arg[3] = 0x80002;
	c->arg[4] = 0;
	c->arg[5] = 1 + any(c, 2);
	memset(&c->arg[6], 0, 32);
	c->arg[8] = c->arg[12] = 0x1000 << any(c, 9);
	fd = call(c, device(c), VFIO_DEVICE_FEATURE);
	if (fd <= 0)
		return;
	c->exported++;
	if (c->buf >= 0)
		rig_close(&c->s->rig, c->buf);
	c->buf = (int)fd;
}

static void feature(struct caller *c)
{
	c->arg[0] = 16;
	c->arg[1] = VFIO_DEVICE_FEATURE_SET | (3 + any(c, 3));
	c->arg[2] = (uint32_t)c->ev;
	if (!any(c, 4))
		c->arg[1] = odd(c);
	/* A descriptor that this makes by chance is a dma-buf of the caller's. */
	if ((c->arg[1] & 0xffff) != VFIO_DEVICE_FEATURE_DMA_BUF)
		rig_ioctl(&c->s->rig, device(c), VFIO_DEVICE_FEATURE, c->arg);
}

static void irqs(struct caller *c)
{
	c->arg[0] = 20 + 4 * 8;
	c->arg[1] = 1u << any(c, 3) | VFIO_IRQ_SET_ACTION_TRIGGER;
	c->arg[2] = any(c, 2) ? 2 : any(c, 6);
	/* INTx can be masked, and unmasked by an eventfd. */
	if (!any(c, 4)) {
		c->arg[1] = 1u << any(c, 3) | 1u << (3 + any(c, 3));
		c->arg[2] = VFIO_PCI_INTX_IRQ_INDEX;
	}
	c->arg[3] = any(c, 4) ? 0 : any(c, 9);
	c->arg[4] = any(c, 9);
	for (unsigned i = 0; i < 8; i++)
		c->arg[5 + i] = any(c, 3) ? (uint32_t)c->ev : odd(c);
	call(c, device(c), VFIO_DEVICE_SET_IRQS);
	uiommufd_irq(c->s->models[any(c, DEVICES)].dev, any(c, 9));
	uiommufd_intx(c->s->models[any(c, DEVICES)].dev, any(c, 2));
}

static void ioeventfd(struct caller *c)
{
	uint64_t at = VFILE_REGION(0) + any(c, 3) * 4;

	c->arg[0] = 40;
	c->arg[1] = 1u << any(c, 4);
	memcpy(&c->arg[2], &at, sizeof(at));
	memset(&c->arg[4], 0, 24);
	c->arg[6] = any(c, 2) ? (uint32_t)c->ev : (uint32_t)-1;
	call(c, device(c), VFIO_DEVICE_IOEVENTFD);
	eventfd_write(c->ev, 1);
}

static void dirty_log(struct caller *c)
{
	uint64_t *words = (uint64_t *)c->arg, *more = words + 64;
	uint32_t which = VFIO_DEVICE_FEATURE_DMA_LOGGING_START + any(c, 3);

	memset(c->arg, 0, 1024);
	more[0] = I;
	more[1] = 4u << 20;
	c->arg[0] = 8 + 32;
	c->arg[1] = which | (which == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT
				     ? VFIO_DEVICE_FEATURE_GET
				     : VFIO_DEVICE_FEATURE_SET);
	if (which == VFIO_DEVICE_FEATURE_DMA_LOGGING_START) {
		words[1] = 4096;
		words[2] = 1;
		words[3] = (uintptr_t)more;
	} else {
		words[1] = I;
		words[2] = 4u << 20;
		words[3] = 4096;
		words[4] = (uintptr_t)(words + 128);
	}
	rig_ioctl(&c->s->rig, device(c), VFIO_DEVICE_FEATURE, c->arg);
}

static void config(struct caller *c)
{
	static const unsigned offsets[] = {RIG_COMMAND, RIG_COMMAND, RIG_PMCSR,
					   RIG_DEVCTL,  0x10,        0x18};
	uint64_t value = (uint64_t)rand_r(&c->seed) | (uint64_t)rand_r(&c->seed) << 31;
	uint64_t region = VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX);

	rig_pwrite(&c->s->rig, device(c), &value, 1 + any(c, 8),
		   region + (any(c, 2) ? offsets[any(c, 6)] : any(c, 4100)));
	rig_pread(&c->s->rig, device(c), c->arg, any(c, 256), region + any(c, 4100));
}

static void bars(struct caller *c)
{
	uint64_t at = VFILE_REGION(any(c, 10)) + any(c, 1 << 21);

	rig_pread(&c->s->rig, device(c), c->arg, any(c, 256), at);
	rig_mmap(&c->s->rig, device(c), at & ~4095ull, 4096, PROT_READ, MAP_SHARED);
	at = VFILE_REGION(0) + any(c, 1 << 14);
	rig_pwrite(&c->s->rig, device(c), c->arg, any(c, 64), at);
}

static void attach(struct caller *c)
{
	c->arg[0] = 16;
	c->arg[1] = 0;
	c->arg[2] = 1 + any(c, 6);
	call(c, device(c),
	     any(c, 3) ? VFIO_DEVICE_ATTACH_IOMMUFD_PT : VFIO_DEVICE_DETACH_IOMMUFD_PT);
}

static void map(struct caller *c)
{
	uint64_t n = 1 << 20;

	if (!rig_map_file(&c->s->rig, c->s->iommu, 1, c->buf, 0, 0x1000ull << any(c, 9),
			  I + any(c, 4) * (1 << 20)))
		c->mapped++;
	if (!any(c, 3))
		rig_unmap(&c->s->rig, c->s->iommu, 1, I + any(c, 4) * (1 << 20), &n);
}

static void info(struct caller *c)
{
	static const unsigned long cmds[] = {VFIO_DEVICE_GET_INFO,
					     VFIO_DEVICE_GET_REGION_INFO,
					     VFIO_DEVICE_GET_IRQ_INFO,
					     VFIO_DEVICE_RESET,
					     VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
					     VFIO_DEVICE_PCI_HOT_RESET,
					     VFIO_DEVICE_IOEVENTFD};

	memset(c->arg, 0, 256);
	c->arg[0] = 40;
	c->arg[2] = any(c, 10);
	call(c, device(c), cmds[any(c, ARRAY_LEN(cmds))]);
}

static void bind(struct caller *c)
{
	rig_bind(&c->s->rig, device(c), c->s->iommu, NULL);
}

static void reopen(struct caller *c)
{
	rig_close(&c->s->rig, device(c));
	c->s->devices[c->index] = rig_open(&c->s->rig, c->index);
	assert_true(device(c) >= 0);
}

static void *run(void *arg)
{
	static void (*const kinds[])(struct caller * c) = {
		export, feature, irqs,      config,    bars, attach,
		map,    info,    ioeventfd, dirty_log, bind,
	};
	struct caller *c = arg;

	for (c->done = 0; c->done < CALLS; c->done++) {
		c->index = any(c, DEVICES);
		if (any(c, 50)) {
			pthread_rwlock_rdlock(&c->s->open[c->index]);
			kinds[any(c, ARRAY_LEN(kinds))](c);
		} else {
			pthread_rwlock_wrlock(&c->s->open[c->index]);
			reopen(c);
		}
		pthread_rwlock_unlock(&c->s->open[c->index]);
	}
	return NULL;
}

/* Device 0 does DMA all the while. */
static void *send(void *arg)
{
	struct shared *s = arg;
	uint64_t v = 0;

	while (!s->stop) {
		for (unsigned i = 0; i < 4; i++)
			uiommufd_dma_write(s->models[0].channel, I + i * (1 << 20), &v, 8,
					   NULL);
		sched_yield();
	}
	return NULL;
}

static void check_alive(struct shared *s)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		uint32_t v = i;

		rig_close(&s->rig, s->devices[i]);
		s->devices[i] = rig_open(&s->rig, i);
		assert_int_equal(rig_bind(&s->rig, s->devices[i], s->iommu, NULL), 0);
		assert_int_equal(
			rig_pwrite(&s->rig, s->devices[i], &v, 4, VFILE_REGION(0)), 4);
		assert_int_equal(s->models[i].regs[0] & 0xffffffff, i);
	}
}

static void test_calls(void **state)
{
	struct shared *s = calloc(1, sizeof(*s));
	struct caller callers[THREADS] = {0};
	unsigned seed = (unsigned)time(NULL);
	pthread_t sender;

	print_message("seed %u\n", seed);
	for (unsigned i = 0; i < DEVICES; i++) {
		rig_model_default(&s->models[i], i);
		s->models[i].desc.interrupt_pin = 1;
		s->models[i].desc.msi_vectors = 4;
		s->models[i].desc.af = true;
		s->models[i].desc.dma_logging = true;
	}
	for (unsigned i = 0; i < DEVICES; i++)
		pthread_rwlock_init(&s->open[i], NULL);
	s->models[2].bdf = s->models[1].bdf;
	s->models[2].bdf.function = 1;
	rig_create(&s->rig, s->models, DEVICES);
	s->iommu = rig_open_iommu(&s->rig);
	assert_int_equal(rig_ioas(&s->rig, s->iommu), 1);
	for (unsigned i = 0; i < DEVICES; i++)
		s->devices[i] = rig_open(&s->rig, i);
	pthread_create(&sender, NULL, send, s);
	for (unsigned i = 0; i < THREADS; i++) {
		callers[i].s = s;
		callers[i].seed = seed + i;
		callers[i].buf = -1;
		callers[i].arg = calloc(1, ARG_BYTES);
		callers[i].ev = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		pthread_create(&callers[i].thread, NULL, run, &callers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(callers[i].thread, NULL);
	s->stop = true;
	pthread_join(sender, NULL);
	check_alive(s);
	for (unsigned i = 0; i < THREADS; i++) {
		print_message("%lu exported, %lu mapped\n", callers[i].exported,
			      callers[i].mapped);
		if (callers[i].buf >= 0)
			rig_close(&s->rig, callers[i].buf);
		close(callers[i].ev);
		free(callers[i].arg);
	}
	for (unsigned i = 0; i < DEVICES; i++)
		rig_close(&s->rig, s->devices[i]);
	rig_close(&s->rig, s->iommu);
	rig_destroy(&s->rig);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
