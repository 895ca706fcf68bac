/* SPDX-License-Identifier: MIT */
/*
 * A type1 container's ioctls on an iommufd: what Linux 7.3's iommufd answers, for TYPE1v2
 * and for TYPE1, which can cut areas; and the capability chain for every room given.
 */
#include "fixture.h"

#include <sys/mman.h>

#include "uiommufd/abi/vfio_type1.h"

#define SIZE ((uint64_t)0x10000)
#define BASE ((uint64_t)0x1000000)

static long check(struct fixture *fx, unsigned long what)
{
	return call(fx, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)what);
}

static long set_iommu(struct fixture *fx, unsigned long type)
{
	return call(fx, VFIO_SET_IOMMU, (void *)(uintptr_t)type);
}

static long choose(struct fixture *fx, uint32_t ioas)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd), .op = IOMMU_VFIO_IOAS_SET, .ioas_id = ioas};

	return call(fx, IOMMU_VFIO_IOAS, &cmd);
}

static long map_dma(struct fixture *fx, uint32_t flags, void *va, uint64_t size,
		    uint64_t iova)
{
	struct vfio_iommu_type1_dma_map cmd = {.argsz = sizeof(cmd),
					       .flags = flags,
					       .vaddr = (uintptr_t)va,
					       .iova = iova,
					       .size = size};

	return call(fx, VFIO_IOMMU_MAP_DMA, &cmd);
}

#define BOTH (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* The errno; @size gets what is answered there, whatever the result. */
static long unmap_dma(struct fixture *fx, uint32_t flags, uint64_t iova, uint64_t *size)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .flags = flags, .iova = iova, .size = *size};
	long ret = call(fx, VFIO_IOMMU_UNMAP_DMA, &cmd);

	*size = cmd.size;
	return ret;
}

static void assert_unmap(struct fixture *fx, uint64_t iova, uint64_t size, long want,
			 uint64_t want_size)
{
	assert_int_equal(unmap_dma(fx, 0, iova, &size), want);
	assert_int_equal(size, want_size);
}

static void *memory(void)
{
	void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);

	assert_true(p != MAP_FAILED);
	return p;
}

static void before_any_ioas(void **state)
{
	struct fixture *fx = *state;
	struct vfio_iommu_type1_info info = {.argsz = 15};
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = 23};
	struct vfio_iommu_type1_dma_map map = {.argsz = 31};
	uint64_t size = PAGE;

	assert_int_equal(call(fx, VFIO_GET_API_VERSION, NULL), VFIO_API_VERSION);
	assert_int_equal(check(fx, VFIO_TYPE1_IOMMU), 1);
	assert_int_equal(check(fx, VFIO_TYPE1v2_IOMMU), 1);
	assert_int_equal(check(fx, VFIO_UNMAP_ALL), 1);
	assert_int_equal(check(fx, VFIO_UPDATE_VADDR), 0);
	assert_int_equal(check(fx, VFIO_NOIOMMU_IOMMU), 0);
	assert_int_equal(check(fx, 999), 0);
	assert_err(check(fx, VFIO_DMA_CC_IOMMU), ENODEV);
	assert_err(set_iommu(fx, VFIO_TYPE1v2_IOMMU), ENODEV);
	assert_err(set_iommu(fx, VFIO_TYPE1_IOMMU), ENODEV);
	assert_err(set_iommu(fx, 99), EINVAL);
	assert_err(set_iommu(fx, VFIO_NOIOMMU_IOMMU), EINVAL);

	/* What is wrong with the struct comes first. */
	assert_err(call(fx, VFIO_IOMMU_GET_INFO, NULL), EFAULT);
	assert_err(call(fx, VFIO_IOMMU_GET_INFO, &info), EINVAL);
	assert_err(call(fx, VFIO_IOMMU_UNMAP_DMA, &unmap), EINVAL);
	assert_err(call(fx, VFIO_IOMMU_MAP_DMA, &map), EINVAL);
	info.argsz = 16;
	assert_err(call(fx, VFIO_IOMMU_GET_INFO, &info), ENODEV);
	assert_err(map_dma(fx, VFIO_DMA_MAP_FLAG_VADDR, NULL, PAGE, 0), EINVAL);
	assert_err(map_dma(fx, BOTH, NULL, PAGE, 0), ENODEV);
	assert_err(unmap_dma(fx, VFIO_DMA_UNMAP_FLAG_VADDR, 0, &size), EINVAL);
	assert_err(unmap_dma(fx, 0, 0, &size), ENODEV);
	assert_err(call(fx, VFIO_IOMMU_DIRTY_PAGES, NULL), ENOTTY);
	assert_err(call(fx, VFIO_IOMMU_ENABLE, NULL), ENOTTY);
}

static void version_2(void **state)
{
	struct fixture *fx = *state;
	uint32_t ioas = ioas_alloc(fx);
	char *p = memory();
	uint64_t size;

	assert_ok(choose(fx, ioas));
	assert_int_equal(check(fx, VFIO_DMA_CC_IOMMU), 1);
	assert_ok(set_iommu(fx, VFIO_TYPE1v2_IOMMU));
	assert_ok(set_iommu(fx, VFIO_TYPE1v2_IOMMU));
	assert_ok(map_dma(fx, BOTH, p, SIZE, BASE));
	assert_err(map_dma(fx, BOTH, p, SIZE, BASE), EEXIST);
	assert_err(map_dma(fx, BOTH, p, 0, BASE + SIZE), EINVAL);
	/* Whole areas only; nothing there is fine. */
	assert_unmap(fx, BASE, PAGE, -ENOENT, 0);
	assert_unmap(fx, BASE + SIZE - PAGE, PAGE, -ENOENT, 0);
	assert_unmap(fx, BASE - PAGE, PAGE, 0, 0);
	assert_unmap(fx, BASE, 0, -EINVAL, 0);
	assert_unmap(fx, UINT64_MAX, 2, -EOVERFLOW, 0);
	/* Those before the one that sticks out go, and are counted. */
	assert_ok(map_dma(fx, VFIO_DMA_MAP_FLAG_READ, p, PAGE, BASE - PAGE));
	assert_unmap(fx, BASE - PAGE, 2 * PAGE, -ENOENT, PAGE);
	assert_unmap(fx, BASE - PAGE, SIZE + PAGE, 0, SIZE);

	assert_ok(map_dma(fx, BOTH, p, SIZE, BASE));
	size = PAGE;
	assert_err(unmap_dma(fx, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size), EINVAL);
	size = 0;
	assert_err(unmap_dma(fx, VFIO_DMA_UNMAP_FLAG_ALL, PAGE, &size), EINVAL);
	assert_ok(unmap_dma(fx, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	assert_int_equal(size, SIZE);
	size = 0;
	assert_ok(unmap_dma(fx, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	assert_int_equal(size, 0);
	munmap(p, SIZE);
}

static void version_1(void **state)
{
	struct fixture *fx = *state;
	uint32_t ioas = ioas_alloc(fx);
	struct fake_device d;
	struct fake_buf b;
	char *p = memory();
	uint64_t size = 0, iova = 2 * BASE;

	buf_create(fx, &b, SIZE, 1);
	assert_ok(choose(fx, ioas));
	assert_ok(set_iommu(fx, VFIO_TYPE1_IOMMU));
	device_init(&d, NULL);
	assert_ok(device_bind(fx, &d));
	assert_ok(device_attach(&d, ioas, NULL));
	assert_int_equal(check(fx, VFIO_DMA_CC_IOMMU), 0);

	assert_ok(map_dma(fx, BOTH, p, SIZE, BASE));
	assert_unmap(fx, BASE + 4 * PAGE, PAGE, 0, PAGE);
	assert_false(can_read(&d, BASE + 4 * PAGE));
	assert_true(can_write(&d, BASE + 3 * PAGE));
	assert_true(can_write(&d, BASE + 5 * PAGE));
	assert_unmap(fx, BASE + 4 * PAGE, PAGE, 0, 0);
	assert_ok(map_dma(fx, BOTH, p, PAGE, BASE + 4 * PAGE));
	/* Both ends inside areas. */
	assert_unmap(fx, BASE + 2 * PAGE, 4 * PAGE, 0, 4 * PAGE);
	assert_true(can_read(&d, BASE + PAGE) && can_read(&d, BASE + 6 * PAGE));
	assert_false(can_read(&d, BASE + 2 * PAGE) || can_read(&d, BASE + 5 * PAGE));
	/* Not in the middle of a page. The size is not written. */
	assert_unmap(fx, BASE, PAGE / 2, -EINVAL, PAGE / 2);
	/* The first cut fails, the second one is not tried. */
	assert_ok(map_file(fx,
			   (struct map){.ioas = ioas,
					.fd = b.fd,
					.length = SIZE,
					.flags = RW | FIXED,
					.iova = iova},
			   &iova));
	assert_unmap(fx, 2 * BASE, PAGE, -EOPNOTSUPP, PAGE);
	assert_unmap(fx, BASE, 2 * BASE, 0, SIZE - 4 * PAGE + SIZE);
	assert_ok(unmap_dma(fx, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	assert_int_equal(size, 0);

	/* With large pages mapped already it is too late to turn to TYPE1. */
	assert_ok(map_dma(fx, BOTH, p, SIZE, BASE));
	assert_ok(set_iommu(fx, VFIO_TYPE1_IOMMU));
	assert_err(map_dma(fx, 0, p, SIZE, 3 * BASE), EINVAL);
	device_unbind(&d);
	buf_destroy(&b);
	munmap(p, SIZE);
}

static void too_late_for_version_1(void **state)
{
	struct fixture *fx = *state;
	uint32_t ioas = ioas_alloc(fx);
	struct fake_device d;
	char *p = memory();

	assert_ok(choose(fx, ioas));
	device_init(&d, NULL);
	assert_ok(device_bind(fx, &d));
	assert_ok(device_attach(&d, ioas, NULL));
	assert_ok(map_dma(fx, BOTH, p, SIZE, BASE));
	assert_err(set_iommu(fx, VFIO_TYPE1_IOMMU), EINVAL);
	assert_unmap(fx, BASE, PAGE, -ENOENT, 0);
	device_unbind(&d);
	munmap(p, SIZE);
}

/* ---- information --------------------------------------------------------------------
 */

static void check_chain(const unsigned char *buffer, uint32_t argsz)
{
	const struct vfio_iommu_type1_info *info = (const void *)buffer;
	const struct vfio_info_cap_header *cap =
		(const void *)(buffer + info->cap_offset);
	const struct vfio_iommu_type1_info_dma_avail *avail = (const void *)cap;
	const struct vfio_iommu_type1_info_cap_iova_range *iova;

	assert_int_equal(info->cap_offset, sizeof(*info));
	assert_int_equal(cap->id, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	assert_int_equal(cap->version, 1);
	assert_int_equal(cap->next, sizeof(*info) + 16);
	assert_int_equal(avail->avail, UINT32_MAX);
	cap = (const void *)(buffer + cap->next);
	iova = (const void *)cap;
	assert_int_equal(cap->id, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	assert_int_equal(cap->next, 0);
	assert_int_equal(iova->nr_iovas, 2);
	assert_int_equal(iova->iova_ranges[0].start, 0);
	assert_int_equal(iova->iova_ranges[0].end, MSI - 1);
	assert_int_equal(iova->iova_ranges[1].start, MSI + 0x100000);
	assert_int_equal(argsz, sizeof(*info) + 16 + 16 + 2 * 16);
}

static void information(void **state)
{
	struct fixture *fx = *state;
	_Alignas(8) unsigned char buffer[128];
	struct vfio_iommu_type1_info *info = (void *)buffer;
	uint32_t ioas = ioas_alloc(fx), whole = 0;
	struct fake_device d;

	assert_ok(choose(fx, ioas));
	info->argsz = sizeof(buffer);
	assert_ok(call(fx, VFIO_IOMMU_GET_INFO, info));
	assert_int_equal(info->iova_pgsizes, ~(PAGE - 1));
	device_init(&d, NULL);
	assert_ok(device_bind(fx, &d));
	assert_ok(device_attach(&d, ioas, NULL));
	for (uint32_t argsz = 16; argsz <= sizeof(buffer); argsz++) {
		memset(buffer, 0xaa, sizeof(buffer));
		info->argsz = argsz;
		assert_ok(call(fx, VFIO_IOMMU_GET_INFO, info));
		assert_int_equal(info->flags,
				 VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS);
		assert_int_equal(info->iova_pgsizes, 0x40201000);
		whole = info->argsz;
		for (uint32_t i = argsz; i < sizeof(buffer); i++)
			assert_int_equal(buffer[i], 0xaa);
		if (argsz >= whole)
			check_chain(buffer, whole);
		else if (argsz >= sizeof(*info))
			assert_int_equal(info->cap_offset, 0);
	}
	assert_in_range(whole, sizeof(*info), sizeof(buffer));
	device_unbind(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(before_any_ioas, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(version_2, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(version_1, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(too_late_for_version_1, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(information, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
