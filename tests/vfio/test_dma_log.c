/* SPDX-License-Identifier: MIT */
/*
 * DMA logging: what is refused, in order; that reports have the pages that the device
 * wrote, at any page size and no others, against a model with one flag a page; that
 * faults, bad bitmaps and a writer at work lose nothing.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGES 512u
#define PAGE  4096ull
/* The last of them lie in another block of the log. */
#define IOVA  ((128ull << 20) - 300 * PAGE)
#define START VFIO_DEVICE_FEATURE_DMA_LOGGING_START
#define STOP  VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
#define LOG   VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT
#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

struct fixture {
	struct rig_model models[2];
	struct rig rig;
	int iommu, fd;
	unsigned char *memory;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.length = PAGES * PAGE,
		.iova = IOVA,
	};

	rig_model_default(&f->models[0], 0);
	rig_model_default(&f->models[1], 1);
	f->models[0].desc.dma_logging = true;
	rig_create(&f->rig, f->models, 2);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	map.ioas_id = rig_ioas(&f->rig, f->iommu);
	assert_int_equal(rig_attach(&f->rig, f->fd, map.ioas_id), 0);
	f->memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	map.user_va = (uintptr_t)f->memory;
	assert_int_equal(rig_ioctl(&f->rig, f->iommu, IOMMU_IOAS_MAP, &map), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 7);
	*state = f;
	alarm(100);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	munmap(f->memory, PAGES * PAGE);
	free(f);
	alarm(0);
	return 0;
}

struct start {
	struct vfio_device_feature h;
	struct vfio_device_feature_dma_logging_control c;
};

struct report {
	struct vfio_device_feature h;
	struct vfio_device_feature_dma_logging_report r;
};

static long start(struct fixture *f, const void *ranges, uint32_t n, uint64_t page)
{
	struct start s = {{sizeof(s), START | SET}, {page, n, 0, (uintptr_t)ranges}};
	long ret = rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &s);

	if (!ret)
		assert_int_equal(s.c.page_size, PAGE);
	return ret;
}

static long stop(struct fixture *f)
{
	struct vfio_device_feature h = {sizeof(h), STOP | SET};

	return rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &h);
}

static long report(struct fixture *f, uint64_t iova, uint64_t length, uint64_t page,
		   void *bitmap)
{
	struct report r = {{sizeof(r), LOG | GET},
			   {iova, length, page, (uintptr_t)bitmap}};

	return rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &r);
}

static long probe(struct fixture *f, int fd, uint32_t flags)
{
	struct start s = {{sizeof(s), flags}, {0}};

	return rig_ioctl(&f->rig, fd, VFIO_DEVICE_FEATURE, &s);
}

static void test_refused(void **state)
{
	typedef struct vfio_device_feature_dma_logging_range range;
	struct fixture *f = *state;
	range one = {IOVA, PAGE};
	range overlap[] = {{IOVA, 2 * PAGE}, {IOVA + PAGE, PAGE}};
	range wraps = {UINT64_MAX - PAGE + 1, PAGE}, odd = {IOVA + 8, PAGE};
	range *many = calloc(257, sizeof(*many));
	uint64_t bits = 0;
	int other = rig_open(&f->rig, 1);

	/* A device that does not offer it has none of it. */
	assert_int_equal(rig_bind(&f->rig, other, f->iommu, NULL), 0);
	assert_int_equal(probe(f, other, START | PROBE), -ENOTTY);
	assert_int_equal(probe(f, other, STOP | SET), -ENOTTY);
	assert_int_equal(probe(f, other, LOG | GET), -ENOTTY);
	rig_close(&f->rig, other);

	assert_int_equal(probe(f, f->fd, START | PROBE), 0);
	assert_int_equal(probe(f, f->fd, START | PROBE | SET), 0);
	assert_int_equal(probe(f, f->fd, START | PROBE | GET), -EINVAL);
	assert_int_equal(probe(f, f->fd, LOG | PROBE | GET), 0);
	assert_int_equal(probe(f, f->fd, LOG | SET), -EINVAL);
	assert_int_equal(probe(f, f->fd, STOP | GET), -EINVAL);
	/* The rest of migration is not there. */
	for (uint32_t i = VFIO_DEVICE_FEATURE_PCI_VF_TOKEN; i < 16; i++) {
		if ((i >= 3 && i <= 8) || i == VFIO_DEVICE_FEATURE_DMA_BUF)
			continue;
		assert_int_equal(probe(f, f->fd, i | PROBE),
				 i == VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 ? -EINVAL
									     : -ENOTTY);
	}

	assert_int_equal(start(f, &one, 0, PAGE), -EINVAL);
	assert_int_equal(start(f, many, 257, PAGE), -E2BIG);
	assert_int_equal(start(f, RIG_BAD_VA, 1, PAGE), -EFAULT);
	assert_int_equal(start(f, &odd, 1, PAGE), -EINVAL);
	assert_int_equal(start(f, &wraps, 1, PAGE), -EOVERFLOW);
	assert_int_equal(start(f, overlap, 2, PAGE), -EINVAL);
	assert_int_equal(report(f, IOVA, PAGE, PAGE, &bits), -EINVAL);
	assert_int_equal(stop(f), 0);
	assert_int_equal(start(f, &one, 1, PAGE), 0);
	assert_int_equal(start(f, &one, 1, PAGE), -EINVAL);
	assert_int_equal(report(f, IOVA, PAGE, 2048, &bits), -EINVAL);
	assert_int_equal(report(f, IOVA, PAGE, 3 * PAGE, &bits), -EINVAL);
	assert_int_equal(report(f, UINT64_MAX, PAGE, PAGE, &bits), -EOVERFLOW);
	assert_int_equal(report(f, IOVA, PAGE, PAGE, &bits), 0);
	assert_int_equal(bits, 0);
	assert_int_equal(stop(f), 0);
	assert_int_equal(report(f, IOVA, PAGE, PAGE, &bits), -EINVAL);
	/* It ends with the client. */
	assert_int_equal(start(f, &one, 1, PAGE), 0);
	rig_close(&f->rig, f->fd);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	assert_int_equal(report(f, IOVA, PAGE, PAGE, &bits), -EINVAL);
	free(many);
}

/* ---- against a model -------------------------------------------------------------- */

struct model {
	bool logged[PAGES], dirty[PAGES];
};

static void write_somewhere(struct fixture *f, struct model *m)
{
	uint64_t start = (uint64_t)rand() % (PAGES * PAGE);
	uint64_t left = PAGES * PAGE - start, n = 1 + (uint64_t)rand() % (8 * PAGE);
	uint64_t src = (uint64_t)rand() % (PAGES * PAGE);
	unsigned char buf[64] = {0};
	struct uiommufd_channel *ch = f->models[0].channel;

	/* Sometimes past the end: what was before the fault is written. */
	if (rand() % 3 && n > left)
		n = left;
	switch (rand() % 3) {
	case 0:
		n = n > sizeof(buf) ? sizeof(buf) : n;
		(void)uiommufd_dma_write(ch, IOVA + start, buf, n, NULL);
		break;
	case 1:
		(void)uiommufd_dma_fill(ch, IOVA + start, 1, n, NULL);
		break;
	default:
		(void)uiommufd_dma_copy(ch, IOVA + start, IOVA + src, n, NULL);
		n = n > PAGES * PAGE - src ? PAGES * PAGE - src : n;
		break;
	}
	n = n > left ? left : n;
	for (uint64_t p = start / PAGE; p <= (start + n - 1) / PAGE; p++)
		m->dirty[p] |= m->logged[p];
}

static void check_report(struct fixture *f, struct model *m)
{
	unsigned first = (unsigned)rand() % PAGES;
	unsigned n = 1 + (unsigned)rand() % (PAGES - first);
	unsigned shift = rand() % 4 ? 0 : (unsigned)rand() % 4;
	uint64_t size = PAGE << shift;
	unsigned bits = (n + (1u << shift) - 1) >> shift;
	uint64_t got[PAGES / 64 + 1] = {0};
	bool want[PAGES] = {0};

	/* Bits that are there stay there. */
	got[PAGES / 64] = 0x5a;
	assert_int_equal(report(f, IOVA + first * PAGE, n * PAGE, size, got), 0);
	for (unsigned i = 0; i < n; i++) {
		want[i >> shift] |= m->dirty[first + i];
		m->dirty[first + i] = false;
	}
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(got[i / 64] >> i % 64 & 1, i < bits && want[i]);
	assert_int_equal(got[PAGES / 64], 0x5a);
}

static void test_random(void **state)
{
	struct vfio_device_feature_dma_logging_range ranges[] = {
		{IOVA + 290 * PAGE, 100 * PAGE},
		{IOVA, 200 * PAGE},
		{IOVA + 500 * PAGE, 4096 * PAGE},
	};
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL);
	struct model m = {0};

	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned i = 0; i < 10; i++)
		write_somewhere(f, &m);
	assert_int_equal(start(f, ranges, 3, PAGE), 0);
	for (unsigned p = 0; p < PAGES; p++)
		m.logged[p] = p < 200 || (p >= 290 && p < 390) || p >= 500;
	for (unsigned step = 0; step < 20000; step++) {
		if (rand() % 4)
			write_somewhere(f, &m);
		else
			check_report(f, &m);
	}
	/* Reads are no writes. */
	memset(m.dirty, 0, sizeof(m.dirty));
	assert_int_equal(stop(f), 0);
	assert_int_equal(start(f, ranges, 3, PAGE), 0);
	assert_int_equal(uiommufd_dma_read(f->models[0].channel, IOVA, &seed, 4, NULL),
			 0);
	for (unsigned i = 0; i < 20; i++)
		check_report(f, &m);
}

/* A bitmap that cannot be written: nothing is said (as on Linux), nothing is lost. */
static void test_bad_bitmap(void **state)
{
	struct vfio_device_feature_dma_logging_range all = {IOVA, PAGES * PAGE};
	struct fixture *f = *state;
	uint64_t bits = 0;

	assert_int_equal(start(f, &all, 1, PAGE), 0);
	assert_int_equal(uiommufd_dma_fill(f->models[0].channel, IOVA, 1, 8, NULL), 0);
	assert_int_equal(report(f, IOVA, PAGE, PAGE, RIG_BAD_VA), 0);
	f->rig.fail_copy_out = true;
	assert_int_equal(report(f, IOVA, PAGE, PAGE, &bits), 0);
	f->rig.fail_copy_out = false;
	assert_int_equal(report(f, IOVA, PAGE, PAGE, &bits), 0);
	assert_int_equal(bits, 1);
}

/* ---- a device at work ------------------------------------------------------------- */

struct writer {
	struct fixture *f;
	atomic_bool stop;
};

static void *write_on(void *arg)
{
	struct writer *w = arg;
	uint32_t n = 1;

	while (!w->stop) {
		uint64_t page = n * 7919 % PAGES;

		assert_int_equal(uiommufd_dma_write(w->f->models[0].channel,
						    IOVA + page * PAGE, &n, 4, NULL),
				 0);
		n++;
	}
	return NULL;
}

static void copy_dirty(struct fixture *f, unsigned char *copy)
{
	uint64_t bits[PAGES / 64] = {0};

	assert_int_equal(report(f, IOVA, PAGES * PAGE, PAGE, bits), 0);
	for (unsigned i = 0; i < PAGES; i++)
		if (bits[i / 64] >> i % 64 & 1)
			__atomic_store_n(
				(uint32_t *)(copy + i * PAGE),
				__atomic_load_n((uint32_t *)(f->memory + i * PAGE),
						__ATOMIC_RELAXED),
				__ATOMIC_RELAXED);
}

/* As a migration does it: copy what is reported while the device writes, and at last what
 * is left. The copy is what the memory is. */
static void test_migration(void **state)
{
	struct vfio_device_feature_dma_logging_range all = {IOVA, PAGES * PAGE};
	struct fixture *f = *state;
	struct writer w = {.f = f};
	unsigned char *copy = calloc(PAGES, PAGE);
	pthread_t thread;

	assert_int_equal(start(f, &all, 1, PAGE), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
	for (unsigned i = 0; i < 3000; i++)
		copy_dirty(f, copy);
	w.stop = true;
	pthread_join(thread, NULL);
	copy_dirty(f, copy);
	for (unsigned i = 0; i < PAGES; i++)
		assert_memory_equal(copy + i * PAGE, f->memory + i * PAGE, 4);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_bitmap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_migration, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
