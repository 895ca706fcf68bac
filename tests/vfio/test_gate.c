/* SPDX-License-Identifier: MIT */
/*
 * DMA into registers: a peer's accesses become callbacks, and never wait for ever. Two
 * devices whose workers write each other's registers are reset at the same time; a
 * callback does DMA into its own BAR; a gate that never opens times out.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define I    0x10000000ull /* device i's registers are at I + i * STEP */
#define STEP 0x100000ull

struct fixture;

/* A worker: writes the other device's registers as fast as it can, until paused. */
struct worker {
	struct fixture *f;
	unsigned index;
	pthread_t thread;
	pthread_mutex_t running; /* held by the worker around one access */
	_Atomic bool stop;
	_Atomic unsigned arrived, aborted;
};

struct fixture {
	struct rig_model models[2];
	struct rig rig;
	int iommu, fd[2], buf[2];
	uint32_t ioas;
	struct worker workers[2];
};

static void map_registers(struct fixture *f, unsigned i)
{
	f->buf[i] = (int)rig_dmabuf(&f->rig, f->fd[i], 0, 0, 0x4000);
	assert_int_equal(rig_map_file(&f->rig, f->iommu, f->ioas, f->buf[i], 0, 0x4000,
				      I + i * STEP),
			 0);
}

static struct fixture *create(void (*prepare)(struct rig_model *m, struct worker *w))
{
	struct fixture *f = calloc(1, sizeof(*f));

	for (unsigned i = 0; i < 2; i++) {
		f->workers[i].f = f;
		f->workers[i].index = i;
		pthread_mutex_init(&f->workers[i].running, NULL);
		rig_model_default(&f->models[i], i);
		f->models[i].test = &f->workers[i];
		if (prepare)
			prepare(&f->models[i], &f->workers[i]);
	}
	rig_create(&f->rig, f->models, 2);
	f->iommu = rig_open_iommu(&f->rig);
	f->ioas = rig_ioas(&f->rig, f->iommu);
	for (unsigned i = 0; i < 2; i++) {
		f->fd[i] = rig_open(&f->rig, i);
		assert_int_equal(rig_bind(&f->rig, f->fd[i], f->iommu, NULL), 0);
		assert_int_equal(rig_attach(&f->rig, f->fd[i], f->ioas), 0);
		rig_set_config16(&f->rig, f->fd[i], RIG_COMMAND, 7);
		map_registers(f, i);
	}
	return f;
}

static void destroy(struct fixture *f)
{
	for (unsigned i = 0; i < 2; i++) {
		rig_close(&f->rig, f->buf[i]);
		rig_close(&f->rig, f->fd[i]);
	}
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	free(f);
}

static int poke(struct fixture *f, unsigned from, uint64_t iova, uint64_t value,
		struct uiommufd_fault *fault)
{
	return uiommufd_dma_write(f->models[from].channel, iova, &value, 8, fault);
}

static void test_peer(void **state)
{
	struct fixture *f = create(NULL);
	struct uiommufd_fault fault;
	uint8_t buf[16];
	uint64_t v = 0;

	assert_int_equal(poke(f, 0, I + STEP + 0x18, 0x1122334455667788, &fault), 0);
	assert_int_equal(f->models[1].regs[3], 0x1122334455667788);
	assert_int_equal(f->models[1].log[0].size, 8);
	assert_int_equal(
		uiommufd_dma_read(f->models[0].channel, I + STEP + 0x1a, &v, 2, &fault),
		0);
	assert_int_equal(v, 0x5566);
	/* The MSI-X table and the pending bits are not the model's. */
	f->models[1].logged = 0;
	assert_int_equal(
		uiommufd_dma_read(f->models[0].channel, I + STEP + 0x2000, buf, 16, NULL),
		0);
	assert_int_equal(buf[3], 0xff);
	assert_int_equal(
		uiommufd_dma_read(f->models[0].channel, I + STEP + 0x3000, buf, 8, NULL),
		0);
	assert_int_equal(buf[3], 0);
	assert_int_equal(f->models[1].logged, 0);
	/* Nobody is there while memory decoding is off. */
	rig_set_config16(&f->rig, f->fd[1], RIG_COMMAND, 4);
	assert_int_equal(poke(f, 0, I + STEP, 1, &fault), -EFAULT);
	assert_int_equal(fault.reason, UIOMMUFD_FAULT_UNMAPPED);
	assert_int_equal(f->models[1].logged, 0);
	/* A device reaches its own registers as well. */
	assert_int_equal(poke(f, 0, I, 42, &fault), 0);
	assert_int_equal(f->models[0].regs[0], 42);
	destroy(f);
}

/* The window itself answers nobody unless memory decoding is on. */
static void test_shut(void **state)
{
	struct fixture *f = create(NULL);
	struct pci_device *dev = f->rig.devices[0];
	struct phys_window *w = &dev->bars[0].window;
	uint64_t v = 0;

	assert_int_equal(w->ops->read(w, 0, &v, 8), 0);
	rig_set_config16(&f->rig, f->fd[0], RIG_COMMAND, 4);
	assert_int_equal(w->ops->read(w, 0, &v, 8), -EIO);
	assert_int_equal(w->ops->write(w, 0, &v, 8), -EIO);
	assert_int_equal(rig_reset(&f->rig, f->fd[0]), 0);
	assert_int_equal(w->ops->read(w, 0, &v, 8), -EIO);
	rig_set_config16(&f->rig, f->fd[0], RIG_COMMAND, 6);
	assert_int_equal(w->ops->read(w, 0, &v, 8), 0);
	rig_set_config16(&f->rig, f->fd[0], RIG_PMCSR, 3);
	assert_int_equal(w->ops->read(w, 0, &v, 8), -EIO);
	rig_close(&f->rig, f->fd[0]);
	assert_int_equal(w->ops->read(w, 0, &v, 8), -EIO);
	f->fd[0] = rig_open(&f->rig, 0);
	assert_int_equal(w->ops->read(w, 0, &v, 8), -EIO);
	assert_int_equal(rig_bind(&f->rig, f->fd[0], f->iommu, NULL), 0);
	assert_int_equal(w->ops->read(w, 0, &v, 8), 0);
	destroy(f);
}

/* Those who wait are turned back when the gate is shut, while it is still busy. */
static void *wait_at(void *arg)
{
	return gate_enter_peer(arg) ? arg : NULL;
}

static void test_turned_back(void **state)
{
	struct gate g;
	pthread_t t;
	void *entered;

	assert_int_equal(gate_init(&g), 0);
	assert_false(gate_enter_peer(&g));
	gate_open(&g);
	assert_true(gate_enter_peer(&g));
	assert_false(gate_enter_peer(&g)); /* inside already */
	pthread_create(&t, NULL, wait_at, &g);
	gate_shut(&g);
	pthread_join(t, &entered);
	assert_null(entered);
	gate_open(&g);
	pthread_create(&t, NULL, wait_at, &g);
	gate_leave(&g);
	pthread_join(t, &entered);
	assert_ptr_equal(entered, &g);
	gate_leave(&g);
	gate_finish(&g);
}

/* ---- DMA from a callback into the own registers ------------------------------------ */

static void write_own(void *model, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct rig_model *m = model;
	struct uiommufd_fault fault = {0};
	uint64_t v = 1;

	m->regs[1]++;
	m->regs[2] = (uint64_t)-uiommufd_dma_write(m->channel, I, &v, 8, &fault);
	m->regs[3] = fault.reason;
}

static void prepare_own(struct rig_model *m, struct worker *w)
{
	if (!w->index)
		m->ops.mmio_write = write_own;
}

static void test_own_registers(void **state)
{
	struct fixture *f = create(prepare_own);
	uint32_t v = 0;

	assert_int_equal(rig_pwrite(&f->rig, f->fd[0], &v, 4, VFILE_REGION(0)), 4);
	assert_int_equal(f->models[0].regs[1], 1);
	assert_int_equal(f->models[0].regs[2], EFAULT);
	assert_int_equal(f->models[0].regs[3], UIOMMUFD_FAULT_ABORT);
	/* The gate is as it was. */
	assert_int_equal(rig_pread(&f->rig, f->fd[0], &v, 4, VFILE_REGION(0)), 4);
	destroy(f);
}

/* ---- two devices, workers and resets ------------------------------------------------
 */

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t iova = I + !w->index * STEP;

	while (!w->stop) {
		pthread_mutex_lock(&w->running);
		if (poke(w->f, w->index, iova, 1, NULL))
			w->aborted++;
		else
			w->arrived++;
		pthread_mutex_unlock(&w->running);
		sched_yield();
	}
	return NULL;
}

/* As a model's reset does: wait until the worker is between two accesses. */
static void reset_waits(void *model, enum uiommufd_reset kind)
{
	struct rig_model *m = model;
	struct worker *w = m->test;

	m->resets[kind]++;
	pthread_mutex_lock(&w->running);
	sched_yield();
	pthread_mutex_unlock(&w->running);
}

/* Register writes take a while, so that peers queue up. */
static void slow_write(void *model, unsigned bar, uint64_t offset, unsigned size,
		       uint64_t value)
{
	sched_yield();
}

static void prepare_workers(struct rig_model *m, struct worker *w)
{
	m->ops.reset = reset_waits;
	m->ops.mmio_write = slow_write;
}

static void *resetter(void *arg)
{
	struct worker *w = arg;
	struct fixture *f = w->f;
	int fd = f->fd[w->index];
	uint64_t iova = I + w->index * STEP, n;

	for (unsigned i = 0; i < 200; i++) {
		switch (i % 4) {
		case 0:
			assert_int_equal(rig_reset(&f->rig, fd), 0);
			break;
		case 1:
			rig_set_config16(&f->rig, fd, RIG_DEVCTL, 0x8000);
			break;
		case 2:
			rig_set_config16(&f->rig, fd, RIG_COMMAND, 0);
			rig_set_config16(&f->rig, fd, RIG_COMMAND, 7);
			break;
		case 3:
			rig_set_config16(&f->rig, fd, RIG_PMCSR, 3);
			rig_set_config16(&f->rig, fd, RIG_PMCSR, 0);
			break;
		}
		/* Make it reachable for the other again. */
		n = 0x4000;
		assert_int_equal(rig_unmap(&f->rig, f->iommu, f->ioas, iova, &n), 0);
		assert_int_equal(rig_map_file(&f->rig, f->iommu, f->ioas,
					      f->buf[w->index], 0, 0x4000, iova),
				 0);
		/* And use its registers as a client, too. */
		assert_int_equal(rig_pwrite(&f->rig, fd, &n, 8, VFILE_REGION(0)), 8);
	}
	return NULL;
}

/* Everything is mapped and enabled in the end: then, at the latest, accesses arrive. */
static void wait_for_arrival(struct worker *w)
{
	bool arrived = false;

	while (!arrived) {
		sched_yield();
		pthread_mutex_lock(&w->running);
		arrived = w->arrived > 0;
		pthread_mutex_unlock(&w->running);
	}
}

static void test_resets(void **state)
{
	struct fixture *f = create(prepare_workers);
	pthread_t t[2];

	for (unsigned i = 0; i < 2; i++)
		pthread_create(&f->workers[i].thread, NULL, work, &f->workers[i]);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, resetter, &f->workers[i]);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < 2; i++)
		wait_for_arrival(&f->workers[i]);
	for (unsigned i = 0; i < 2; i++) {
		f->workers[i].stop = true;
		pthread_join(f->workers[i].thread, NULL);
		print_message("worker %u: %u arrived, %u aborted\n", i,
			      f->workers[i].arrived, f->workers[i].aborted);
		assert_int_equal(f->models[i].resets[UIOMMUFD_RESET_FUNCTION], 101);
	}
	destroy(f);
}

/* ---- callbacks that wait for their workers ------------------------------------------
 */

/* Both callbacks write the other's registers: only the timeout ends that. */
static pthread_barrier_t both_inside;

static void write_other(void *model, unsigned bar, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct rig_model *m = model;
	struct worker *w = m->test;
	uint64_t v = 0;

	if (value != 1)
		return;
	pthread_barrier_wait(&both_inside);
	m->regs[0] = (uint64_t)-uiommufd_dma_write(m->channel, I + !w->index * STEP, &v,
						   8, NULL);
}

static void prepare_other(struct rig_model *m, struct worker *w)
{
	m->ops.mmio_write = write_other;
}

static void *client(void *arg)
{
	struct worker *w = arg;
	uint64_t one = 1;

	assert_int_equal(
		rig_pwrite(&w->f->rig, w->f->fd[w->index], &one, 8, VFILE_REGION(0)), 8);
	return NULL;
}

static void test_timeout(void **state)
{
	struct fixture *f = create(prepare_other);
	pthread_t t[2];

	pthread_barrier_init(&both_inside, NULL, 2);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, client, &f->workers[i]);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	/* The first to give up lets the other in. */
	assert_true(f->models[0].regs[0] == EFAULT || f->models[1].regs[0] == EFAULT);
	pthread_barrier_destroy(&both_inside);
	destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer),        cmocka_unit_test(test_shut),
		cmocka_unit_test(test_turned_back), cmocka_unit_test(test_own_registers),
		cmocka_unit_test(test_resets),      cmocka_unit_test(test_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
