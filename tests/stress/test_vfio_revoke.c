/* SPDX-License-Identifier: MIT */
/*
 * DMA from two devices, whose workers run in bursts, into the memory of a third, while
 * that is reset, toggled, put to sleep and closed from several threads. After each revoke
 * a canary is put into the memory: no DMA may touch it, however many are under way.
 *
 * Only the main thread maps, so once its revoke has returned nothing is mapped, whatever
 * the other threads do.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BAR_BYTES (1ull << 20)
#define I         0x10000000ull
#define SENDERS   2
#define ROUNDS    300

struct stress {
	struct rig_model models[1 + SENDERS];
	struct rig rig;
	int iommu, fd, buf, senders[SENDERS];
	uint32_t ioas;
	pthread_rwlock_t open; /* fd is there; write: it is closed and opened again */
	_Atomic bool stop;
	_Atomic unsigned long arrived, faulted;
};

struct sender {
	struct stress *s;
	unsigned index;
	struct uiommufd_worker *worker;
};

static bool send(void *arg)
{
	struct sender *me = arg;
	struct uiommufd_channel *ch = me->s->models[1 + me->index].channel;
	uint64_t length = me->index ? BAR_BYTES : 4096;
	struct uiommufd_fault fault;

	uiommufd_burst_begin();
	for (unsigned i = 0; i < 64 && !me->s->stop; i++) {
		uint64_t iova = I + (me->index ? 0 : 8192);

		if (!uiommufd_dma_fill(ch, iova, 0xdd, length, &fault)) {
			me->s->arrived++;
			continue;
		}
		assert_int_equal(fault.reason, UIOMMUFD_FAULT_UNMAPPED);
		me->s->faulted++;
		uiommufd_burst_end();
		sched_yield();
		uiommufd_burst_begin();
	}
	return !me->s->stop;
}

static void low_power(struct stress *s, uint32_t nr)
{
	struct vfio_device_feature h = {.argsz = 8,
					.flags = VFIO_DEVICE_FEATURE_SET | nr};

	rig_ioctl(&s->rig, s->fd, VFIO_DEVICE_FEATURE, &h);
}

static void take_away(struct stress *s, unsigned how)
{
	switch (how % 5) {
	case 0:
		assert_int_equal(rig_reset(&s->rig, s->fd), 0);
		break;
	case 1:
		rig_set_config16(&s->rig, s->fd, RIG_DEVCTL, 0x8000);
		break;
	case 2:
		rig_set_config16(&s->rig, s->fd, RIG_COMMAND, 0);
		break;
	case 3:
		rig_set_config16(&s->rig, s->fd, RIG_PMCSR, 3);
		break;
	case 4:
		low_power(s, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
		break;
	}
}

static void undo(struct stress *s, unsigned how)
{
	switch (how % 5) {
	case 2:
		rig_set_config16(&s->rig, s->fd, RIG_COMMAND, 2);
		break;
	case 3:
		rig_set_config16(&s->rig, s->fd, RIG_PMCSR, 0);
		break;
	case 4:
		low_power(s, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
		break;
	}
}

static void *disturb(void *arg)
{
	struct stress *s = arg;
	unsigned seed = 1;

	while (!s->stop) {
		unsigned how = (unsigned)rand_r(&seed);
		uint32_t v;

		pthread_rwlock_rdlock(&s->open);
		take_away(s, how);
		rig_pread(&s->rig, s->fd, &v, 4, VFILE_REGION(0));
		undo(s, how);
		pthread_rwlock_unlock(&s->open);
		usleep(500);
	}
	return NULL;
}

static void start(struct stress *s)
{
	s->fd = rig_open(&s->rig, 0);
	assert_int_equal(rig_bind(&s->rig, s->fd, s->iommu, NULL), 0);
	s->buf = (int)rig_dmabuf(&s->rig, s->fd, 2, 0, BAR_BYTES);
	assert_true(s->buf >= 0);
}

static void reopen(struct stress *s)
{
	pthread_rwlock_wrlock(&s->open);
	rig_close(&s->rig, s->fd);
	rig_close(&s->rig, s->buf);
	start(s);
	pthread_rwlock_unlock(&s->open);
}

/* Somebody may have turned it off just now. */
static void map(struct stress *s)
{
	long ret;

	do {
		ret = rig_map_file(&s->rig, s->iommu, s->ioas, s->buf, 0, BAR_BYTES, I);
	} while (ret == -ENODEV);
	assert_int_equal(ret, 0);
}

/* Close the device: the area stays, and is dead. */
static void revoke_by_close(struct stress *s)
{
	pthread_rwlock_wrlock(&s->open);
	rig_close(&s->rig, s->fd);
}

static void check_canary(struct stress *s)
{
	unsigned char *bar = uiommufd_bar_memory(s->models[0].dev, 2);
	unsigned long before = s->faulted;

	memset(bar, 0x11, BAR_BYTES);
	while (s->faulted < before + 4)
		sched_yield();
	for (uint64_t i = 0; i < BAR_BYTES; i++) {
		if (bar[i] != 0x11)
			fail_msg("byte %#llx was written after the revoke",
				 (unsigned long long)i);
	}
}

static void one_round(struct stress *s, unsigned how)
{
	unsigned long before = s->arrived, faulted = s->faulted;
	uint64_t n = BAR_BYTES;

	map(s);
	/* Until some DMA has arrived, or found that the area is dead already. */
	while (s->arrived == before && s->faulted < faulted + 8)
		sched_yield();
	if (how % 8 == 7) {
		revoke_by_close(s);
		check_canary(s);
		rig_close(&s->rig, s->buf);
		start(s);
		pthread_rwlock_unlock(&s->open);
	} else {
		take_away(s, how);
		check_canary(s);
		undo(s, how);
	}
	assert_int_equal(rig_unmap(&s->rig, s->iommu, s->ioas, I, &n), 0);
}

static void test_revoke(void **state)
{
	struct stress *s = calloc(1, sizeof(*s));
	struct sender senders[SENDERS];
	pthread_t disturber;
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned i = 0; i <= SENDERS; i++)
		rig_model_default(&s->models[i], i);
	rig_create(&s->rig, s->models, 1 + SENDERS);
	pthread_rwlock_init(&s->open, NULL);
	s->iommu = rig_open_iommu(&s->rig);
	s->ioas = rig_ioas(&s->rig, s->iommu);
	for (unsigned i = 0; i < SENDERS; i++) {
		s->senders[i] = rig_open(&s->rig, 1 + i);
		assert_int_equal(rig_bind(&s->rig, s->senders[i], s->iommu, NULL), 0);
		assert_int_equal(rig_attach(&s->rig, s->senders[i], s->ioas), 0);
		rig_set_config16(&s->rig, s->senders[i], RIG_COMMAND, 7);
	}
	start(s);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.s = s, .index = i};
		assert_int_equal(uiommufd_worker_create(s->models[1 + i].dev, send,
							&senders[i], &senders[i].worker),
				 0);
		uiommufd_worker_kick(senders[i].worker);
	}
	pthread_create(&disturber, NULL, disturb, s);
	for (unsigned i = 0; i < ROUNDS; i++) {
		one_round(s, (unsigned)rand());
		if (i % 32 == 31)
			reopen(s);
	}
	s->stop = true;
	pthread_join(disturber, NULL);
	for (unsigned i = 0; i < SENDERS; i++)
		uiommufd_worker_destroy(senders[i].worker);
	print_message("%lu arrived, %lu faulted\n", s->arrived, s->faulted);
	assert_true(s->arrived > 0);
	rig_close(&s->rig, s->buf);
	rig_close(&s->rig, s->fd);
	for (unsigned i = 0; i < SENDERS; i++)
		rig_close(&s->rig, s->senders[i]);
	rig_close(&s->rig, s->iommu);
	rig_destroy(&s->rig);
	pthread_rwlock_destroy(&s->open);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_revoke),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
