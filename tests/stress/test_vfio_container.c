/* SPDX-License-Identifier: MIT */
/*
 * A container under fire: the main thread maps a BAR by its addresses, has the device
 * taken away, and puts a canary into the memory that no DMA may touch from then on; one
 * thread does DMA there, one maps and unmaps elsewhere and asks for information, and one
 * has its group leave and join the container and its device opened and closed.
 */
#include "tests/vfio/legacy.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BAR_BYTES (1ull << 20)
#define I         0x10000000ull
#define ROUNDS    200

struct stress {
	struct legacy *l;
	unsigned char *bar, *ram;
	_Atomic bool stop;
	_Atomic unsigned long arrived, faulted, joined;
};

static void *send(void *arg)
{
	struct stress *s = arg;
	struct uiommufd_fault fault;

	while (!s->stop) {
		if (!uiommufd_dma_fill(s->l->models[1].channel, I, 0xdd, BAR_BYTES,
				       &fault))
			s->arrived++;
		else
			s->faulted++;
		sched_yield();
	}
	return NULL;
}

static void *map_elsewhere(void *arg)
{
	struct stress *s = arg;
	unsigned seed = 1;

	while (!s->stop) {
		uint64_t iova = 4 * I + (unsigned)rand_r(&seed) % 16 * PAGE;
		void *va = rand_r(&seed) % 2 ? s->ram : s->bar;
		long ret = legacy_map(s->l, RW, va, 2 * PAGE, iova);

		assert_true(!ret || ret == -EEXIST || ret == -EFAULT);
		ret = legacy_unmap(s->l, 0, 4 * I, 16 * PAGE);
		assert_true(ret >= 0 || ret == -EINVAL);
	}
	return NULL;
}

/* Device 2 and its group, which nobody else here uses. */
static void *come_and_go(void *arg)
{
	struct stress *s = arg;

	while (!s->stop) {
		int fd;

		assert_int_equal(legacy_set_container(s->l, 2, s->l->container), 0);
		fd = (int)legacy_get_device(s->l, 2, legacy_names[2]);
		assert_true(fd >= 0);
		rig_close(&s->l->rig, fd);
		assert_int_equal(legacy_unset_container(s->l, 2), 0);
		s->joined++;
	}
	return NULL;
}

static void take_away(struct stress *s, unsigned way)
{
	struct rig *r = &s->l->rig;
	int fd = s->l->devices[0];

	switch (way % 4) {
	case 0:
		assert_int_equal(rig_reset(r, fd), 0);
		break;
	case 1:
		rig_set_config16(r, fd, RIG_DEVCTL, 0x8000);
		break;
	case 2:
		rig_set_config16(r, fd, RIG_COMMAND, 0);
		rig_set_config16(r, fd, RIG_COMMAND, 2);
		break;
	case 3:
		rig_set_config16(r, fd, RIG_PMCSR, 3);
		rig_set_config16(r, fd, RIG_PMCSR, 0);
		break;
	}
}

static void one_round(struct stress *s, unsigned way)
{
	unsigned char *own = uiommufd_bar_memory(s->l->models[0].dev, 2);

	assert_int_equal(legacy_map(s->l, RW, s->bar, BAR_BYTES, I), 0);
	for (unsigned i = 0; i < way % 50; i++)
		sched_yield();
	take_away(s, way);
	memset(own + 64 * 1024, 0x55, BAR_BYTES - 64 * 1024);
	for (unsigned i = 0; i < 5; i++)
		sched_yield();
	for (size_t i = 64 * 1024; i < BAR_BYTES; i += 61)
		assert_int_equal(own[i], 0x55);
	assert_int_equal(legacy_unmap(s->l, 0, I, BAR_BYTES), BAR_BYTES);
}

static void test_container(void **state)
{
	void *(*const work[])(void *) = {send, map_elsewhere, come_and_go};
	pthread_t threads[ARRAY_LEN(work)];
	struct stress *s = calloc(1, sizeof(*s));
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	s->l = legacy_create();
	legacy_open_device(s->l, 0, VFIO_TYPE1v2_IOMMU);
	legacy_open_device(s->l, 1, 0);
	legacy_open_group(s->l, 2);
	rig_set_config16(&s->l->rig, s->l->devices[1], RIG_COMMAND, 7);
	s->bar = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		      s->l->devices[0], (off_t)VFILE_REGION(2));
	s->ram = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(s->bar != MAP_FAILED && s->ram != MAP_FAILED);
	for (size_t i = 0; i < ARRAY_LEN(work); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work[i], s), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		one_round(s, (unsigned)rand());
	s->stop = true;
	for (size_t i = 0; i < ARRAY_LEN(work); i++)
		pthread_join(threads[i], NULL);
	print_message("%lu arrived, %lu faulted, joined %lu times\n", s->arrived,
		      s->faulted, s->joined);
	assert_true(s->arrived > 0 && s->joined > 0);
	munmap(s->bar, BAR_BYTES);
	munmap(s->ram, BAR_BYTES);
	legacy_destroy(s->l);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_container),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
