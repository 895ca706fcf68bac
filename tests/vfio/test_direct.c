/* SPDX-License-Identifier: MIT */
/*
 * Functions with memory that firmware wants mapped one to one: nobody gets them, or any
 * other of their group, by whichever way; unless the memory is relaxable, which then
 * means nothing. Linux 7.3: what iommu_group_claim_dma_owner() answers for such a group.
 *
 * Devices 0 and 1 are in group 0, device 2 in group 2.
 */
#include "tests/vfio/legacy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST 0x7000000ull
#define LAST  0x70fffffull

struct fixture {
	struct rig_model models[3];
	struct legacy l;
};

/* Device 0 has the memory. */
static struct legacy *begin(struct fixture *f, enum iommufd_resv_type type,
			    uint32_t class_code)
{
	memset(f, 0, sizeof(*f));
	for (unsigned i = 0; i < 3; i++)
		rig_model_default(&f->models[i], i);
	f->models[1].group = 0;
	f->models[0].direct = (struct iommufd_resv){FIRST, LAST, type};
	f->models[0].desc.class_code = class_code;
	rig_create(&f->l.rig, f->models, 3);
	f->l.container = -1;
	for (unsigned i = 0; i < 3; i++)
		f->l.groups[i] = f->l.devices[i] = -1;
	return &f->l;
}

static void end(struct legacy *l)
{
	for (unsigned i = 0; i < 3; i++) {
		legacy_close(l, &l->devices[i]);
		legacy_close(l, &l->groups[i]);
	}
	legacy_close(l, &l->container);
	rig_destroy(&l->rig);
}

static void nobody_gets_its_group(void **state)
{
	struct fixture f;
	struct legacy *l = begin(&f, IOMMUFD_RESV_DIRECT, 0x088000);
	int iommu = rig_open_iommu(&l->rig), fd;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		fd = rig_open(&l->rig, i);
		assert_int_equal(rig_bind(&l->rig, fd, iommu, NULL), i < 2 ? -EINVAL : 0);
		/* It is as free as it was. */
		assert_int_equal(rig_bind(&l->rig, fd, iommu, NULL), -EINVAL);
		rig_close(&l->rig, fd);
	}
	legacy_open_group(l, 0);
	assert_int_equal(legacy_set_container(l, 0, l->container), -EINVAL);
	assert_int_equal(legacy_set_container(l, 0, l->container), -EINVAL);
	assert_int_equal(legacy_unset_container(l, 0), -EINVAL);
	legacy_open_group(l, 2);
	assert_int_equal(legacy_set_container(l, 2, l->container), 0);
	/* With iommufd for a container that is found out later. */
	assert_int_equal(legacy_set_container(l, 0, iommu), 0);
	assert_int_equal(legacy_get_device(l, 0, "0000:01:00.0"), -EINVAL);
	assert_int_equal(legacy_get_device(l, 0, "0000:02:00.0"), -EINVAL);
	rig_close(&l->rig, iommu);
	end(l);
}

/* Where it would be, is memory like any other. */
static void check_relaxed(enum iommufd_resv_type type, uint32_t class_code)
{
	static _Alignas(4096) char page[4096];
	struct fixture f;
	struct legacy *l = begin(&f, type, class_code);
	int iommu = rig_open_iommu(&l->rig), fd = rig_open(&l->rig, 0);
	struct iommu_iova_range v[4];
	struct iommu_ioas_iova_ranges ranges = {
		.size = sizeof(ranges), .num_iovas = 4, .allowed_iovas = (uintptr_t)v};

	assert_int_equal(rig_bind(&l->rig, fd, iommu, NULL), 0);
	ranges.ioas_id = rig_ioas(&l->rig, iommu);
	assert_int_equal(rig_attach(&l->rig, fd, ranges.ioas_id), 0);
	assert_int_equal(rig_ioctl(&l->rig, iommu, IOMMU_IOAS_IOVA_RANGES, &ranges), 0);
	assert_int_equal(ranges.num_iovas, 2);
	assert_int_equal(v[0].start, 0);
	assert_int_equal(v[0].last, 0xfedfffff);
	rig_close(&l->rig, fd);
	rig_close(&l->rig, iommu);

	legacy_open_group(l, 0);
	assert_int_equal(legacy_set_container(l, 0, l->container), 0);
	assert_int_equal(legacy_set_iommu(l, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(legacy_map(l, RW, page, sizeof(page), FIRST), 0);
	l->devices[0] = (int)legacy_get_device(l, 0, "0000:01:00.0");
	assert_true(l->devices[0] >= 0);
	end(l);
}

static void relaxable_means_nothing(void **state)
{
	(void)state;
	check_relaxed(IOMMUFD_RESV_DIRECT_RELAXABLE, 0x088000);
}

static void that_of_usb_and_graphics_is_relaxable(void **state)
{
	(void)state;
	check_relaxed(IOMMUFD_RESV_DIRECT, 0x0c0330);
	check_relaxed(IOMMUFD_RESV_DIRECT, 0x030000);
	check_relaxed(IOMMUFD_RESV_DIRECT, 0x038000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_gets_its_group),
		cmocka_unit_test(relaxable_means_nothing),
		cmocka_unit_test(that_of_usb_and_graphics_is_relaxable),
	};

	return cmocka_run_group_tests_name("direct", tests, NULL, NULL);
}
