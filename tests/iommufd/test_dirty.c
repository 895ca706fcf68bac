/* SPDX-License-Identifier: MIT */
/* Dirty tracking, from a device's write to the client's bitmap. */
#include "fixture.h"

#include <sys/mman.h>
#include <unistd.h>

#define BASE ((uint64_t)1 << 40)
#define GB   ((uint64_t)1 << 30)
#define MB   ((uint64_t)1 << 20)

struct world {
	struct fixture *fx;
	struct fake_device d;
	struct dma_channel *ch; /* one for all: its IOTLB is what matters */
	uint32_t ioas, hwpt;
};

static void begin(struct world *w, struct fixture *fx)
{
	struct iommufd_unit_config unit;

	w->fx = fx;
	w->ioas = ioas_alloc(fx);
	device_init(&w->d, NULL);
	iommufd_unit_defaults(&unit, IOMMUFD_UNIT_VTD);
	unit.dirty = true;
	device_behind(&w->d, &unit);
	assert_ok(device_bind(fx, &w->d));
	assert_ok(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, w->d.id, w->ioas,
			     &w->hwpt));
	assert_ok(device_attach(&w->d, w->hwpt, NULL));
	w->ch = malloc(sizeof(*w->ch));
	assert_non_null(w->ch);
	dma_channel_init(w->ch, &w->d.requester);
}

static void end(struct world *w)
{
	device_unbind(&w->d);
	dma_requester_finish(&w->d.requester);
	free(w->ch);
}

static void map(struct world *w, uint64_t iova, uint64_t bytes)
{
	int mem = memfd(bytes);

	assert_ok(map_file(w->fx,
			   (struct map){.ioas = w->ioas,
					.flags = RW | FIXED,
					.fd = mem,
					.length = bytes,
					.iova = iova},
			   NULL));
	close(mem);
}

static void put(struct world *w, uint64_t iova)
{
	assert_ok(dma_write(w->ch, iova, "x", 1, NULL));
}

static long track(struct world *w, uint32_t flags)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd), .hwpt_id = w->hwpt, .flags = flags};

	return call(w->fx, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

struct query {
	uint64_t iova, length, page;
	uint32_t flags;
};

static long query(struct world *w, struct query q, void *bits)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = w->hwpt,
		.flags = q.flags,
		.iova = q.iova,
		.length = q.length,
		.page_size = q.page ? q.page : PAGE,
		.data = (uintptr_t)bits,
	};

	return call(w->fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

/* Bits [first, last] are set in [0, n), and no others. */
static void only(const unsigned char *bits, uint64_t n, uint64_t first, uint64_t last)
{
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(bits[i / 8] >> i % 8 & 1, i >= first && i <= last);
}

static void capability(void **state)
{
	struct fixture *fx = *state;
	struct iommu_hw_info info = {.size = sizeof(info)};
	struct fake_device plain;
	uint64_t bits = 0;
	struct world w;
	uint32_t id;

	begin(&w, fx);
	info.dev_id = w.d.id;
	assert_ok(call(fx, IOMMU_GET_HW_INFO, &info));
	assert_true(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	/* A unit without dirty bits. */
	device_init(&plain, NULL);
	assert_ok(device_bind(fx, &plain));
	assert_err(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, plain.id, w.ioas, &id),
		   EOPNOTSUPP);
	assert_err(device_attach(&plain, w.hwpt, NULL), EINVAL);
	device_unbind(&plain);
	dma_requester_finish(&plain.requester);
	/* A page table that was not made for it. */
	iommufd_device_detach(w.d.dev);
	assert_ok(destroy(fx, w.hwpt));
	assert_ok(hwpt_alloc(fx, 0, w.d.id, w.ioas, &w.hwpt));
	assert_err(track(&w, IOMMU_HWPT_DIRTY_TRACKING_ENABLE), EOPNOTSUPP);
	assert_err(query(&w, (struct query){.iova = BASE, .length = PAGE}, &bits),
		   EOPNOTSUPP);
	end(&w);
}

static void writes(void **state)
{
	const struct query all = {.iova = BASE, .length = 64 * PAGE};
	const struct query look = {.iova = BASE,
				   .length = 64 * PAGE,
				   .flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR};
	uint64_t bits = 0;
	struct world w;
	char byte;

	begin(&w, *state);
	map(&w, BASE, 32 * PAGE);
	map(&w, BASE + 32 * PAGE, 32 * PAGE); /* the range spans areas */
	put(&w, BASE);
	assert_ok(query(&w, all, &bits));
	assert_int_equal(bits, 0); /* not tracked yet */
	assert_ok(track(&w, IOMMU_HWPT_DIRTY_TRACKING_ENABLE));
	assert_ok(query(&w, all, &bits));
	assert_int_equal(bits, 0);
	put(&w, BASE); /* by a translation that was cached before */
	assert_ok(dma_read(w.ch, BASE + 5 * PAGE, &byte, 1, NULL));
	put(&w, BASE + 33 * PAGE);
	assert_ok(query(&w, look, &bits));
	assert_int_equal(bits, 1 | UINT64_C(1) << 33);
	bits = 0;
	assert_ok(query(&w, all, &bits));
	assert_int_equal(bits, 1 | UINT64_C(1) << 33);
	bits = 2; /* bits are added */
	assert_ok(query(&w, all, &bits));
	assert_int_equal(bits, 2);
	/* A write after the reading shows in the next. */
	put(&w, BASE);
	put(&w, BASE + 5 * PAGE);
	bits = 0;
	assert_ok(query(&w, all, &bits));
	assert_int_equal(bits, 1 | 1 << 5);
	/* Others than all. */
	put(&w, BASE + 7 * PAGE);
	put(&w, BASE + 40 * PAGE);
	bits = 0;
	assert_ok(query(&w, (struct query){.iova = BASE + 7 * PAGE, .length = PAGE},
			&bits));
	assert_int_equal(bits, 1);
	bits = 0;
	assert_ok(query(
		&w, (struct query){.iova = BASE, .length = 64 * PAGE, .page = 16 * PAGE},
		&bits));
	assert_int_equal(bits, 1 << 2);
	assert_ok(track(&w, 0));
	put(&w, BASE);
	bits = 0;
	assert_ok(query(&w, all, &bits));
	assert_int_equal(bits, 0);
	end(&w);
}

static void arguments(void **state)
{
	uint64_t bits = 0;
	struct world w;

	begin(&w, *state);
	map(&w, BASE, 16 * PAGE);
	assert_err(track(&w, 2), EOPNOTSUPP);
	assert_err(query(&w, (struct query){.iova = BASE, .flags = 2}, &bits),
		   EOPNOTSUPP);
	assert_err(query(&w, (struct query){.iova = BASE}, &bits), EINVAL);
	assert_err(query(&w, (struct query){.iova = BASE + 1, .length = PAGE}, &bits),
		   EINVAL);
	assert_err(query(&w,
			 (struct query){
				 .iova = BASE + PAGE, .length = PAGE, .page = 2 * PAGE},
			 &bits),
		   EINVAL);
	assert_err(
		query(&w,
		      (struct query){.iova = UINT64_MAX - PAGE + 1, .length = 2 * PAGE},
		      &bits),
		EOVERFLOW);
	w.hwpt = 99;
	assert_err(query(&w, (struct query){.iova = BASE, .length = PAGE}, &bits),
		   ENOENT);
	assert_err(track(&w, 0), ENOENT);
	w.hwpt = w.ioas;
	assert_err(track(&w, 0), ENOENT);
	end(&w);
}

/* Page table entries that are larger than what is handled at a time; a bitmap that
 * begins in the middle of a word. */
static void large(void **state)
{
	const uint64_t n = 2 * GB / PAGE;
	unsigned char *bits = calloc(1, n / 8 + 1);
	struct world w;

	assert_non_null(bits);
	begin(&w, *state);
	map(&w, BASE, 2 * GB);
	assert_ok(track(&w, IOMMU_HWPT_DIRTY_TRACKING_ENABLE));
	put(&w, BASE + GB + 12345);
	assert_ok(query(&w, (struct query){.iova = BASE, .length = 2 * GB}, bits + 1));
	only(bits + 1, n, n / 2, n - 1);
	memset(bits, 0, n / 8 + 1);
	assert_ok(query(&w, (struct query){.iova = BASE, .length = 2 * GB}, bits));
	only(bits, n, 1, 0);
	/* Bits for a part of an entry. */
	put(&w, BASE);
	assert_ok(query(&w, (struct query){.iova = BASE + MB, .length = 300 * MB}, bits));
	only(bits, n, 0, 300 * MB / PAGE - 1);
	free(bits);
	end(&w);
}

/* The page at IOVA 0 is like any other. */
static void at_zero(void **state)
{
	const struct query all = {.iova = 0, .length = 4 * PAGE};
	uint64_t bits = 0;
	struct world w;

	begin(&w, *state);
	map(&w, 0, 4 * PAGE);
	assert_ok(track(&w, IOMMU_HWPT_DIRTY_TRACKING_ENABLE));
	assert_ok(query(&w, all, &bits));
	assert_int_equal(bits, 0);
	put(&w, PAGE);
	assert_ok(query(&w, all, &bits));
	assert_int_equal(bits, 2);
	bits = 0;
	put(&w, 0);
	assert_ok(query(&w, all, &bits));
	assert_int_equal(bits, 1);
	end(&w);
}

/* What cannot be written to is no reason to fail, as on Linux. */
static void bad_bitmap(void **state)
{
	unsigned char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct world w;

	assert_true(page != MAP_FAILED);
	munmap(page + PAGE, PAGE);
	begin(&w, *state);
	map(&w, BASE, 256 * MB);
	assert_ok(track(&w, IOMMU_HWPT_DIRTY_TRACKING_ENABLE));
	put(&w, BASE);
	put(&w, BASE + 200 * MB);
	assert_ok(query(&w, (struct query){.iova = BASE, .length = 256 * MB}, page));
	assert_int_equal(page[0] & 1, 1);
	munmap(page, PAGE);
	end(&w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(capability), T(writes),  T(arguments),
		T(large),      T(at_zero), T(bad_bitmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
