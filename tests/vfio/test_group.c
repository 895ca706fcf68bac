/* SPDX-License-Identifier: MIT */
/*
 * Groups and containers: who may have a device, in which order what is opened and
 * closed, and that everything is given back.
 */
#include "tests/vfio/legacy.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/files.h"
#include "vfio/group.h"

static int setup(void **state)
{
	*state = legacy_create();
	return 0;
}

static int teardown(void **state)
{
	legacy_destroy(*state);
	return 0;
}

static uint32_t status(struct legacy *l, unsigned group)
{
	struct vfio_group_status s = {.argsz = sizeof(s), .flags = ~0u};

	assert_int_equal(rig_ioctl(&l->rig, l->groups[group], VFIO_GROUP_GET_STATUS, &s),
			 0);
	return s.flags;
}

static void test_group(void **state)
{
	struct legacy *l = *state;
	struct vfio_group_status s = {.argsz = 7};
	int iommu = rig_open_iommu(&l->rig);
	struct vfile *f;
	int fd;

	assert_null(uapi_table_error(&vfio_group_table));
	assert_null(uapi_table_error(&vfio_container_table));
	assert_int_equal(vfio_group_open(&l->rig.machine, 77, &f), -ENOENT);
	legacy_open_group(l, 0);
	assert_int_equal(vfio_group_open(&l->rig.machine, 0, &f), -EBUSY);
	assert_int_equal(rig_ioctl(&l->rig, l->groups[0], VFIO_GROUP_GET_STATUS, &s),
			 -EINVAL);
	assert_int_equal(status(l, 0), VFIO_GROUP_FLAGS_VIABLE);
	assert_int_equal(rig_ioctl(&l->rig, l->groups[0], VFIO_GET_API_VERSION, NULL),
			 -ENOTTY);
	assert_int_equal(
		rig_ioctl(&l->rig, l->groups[0], VFIO_GROUP_SET_CONTAINER, RIG_BAD_VA),
		-EFAULT);
	assert_int_equal(legacy_set_container(l, 0, 999), -EBADF);
	assert_int_equal(legacy_set_container(l, 0, l->groups[0]), -EBADFD);
	assert_int_equal(legacy_unset_container(l, 0), -EINVAL);
	assert_int_equal(legacy_get_device(l, 0, legacy_names[0]), -EINVAL);
	assert_int_equal(legacy_set_container(l, 0, l->container), 0);
	assert_int_equal(legacy_set_container(l, 0, 999), -EBADF);
	assert_int_equal(legacy_set_container(l, 0, l->groups[0]), -EINVAL);
	assert_int_equal(status(l, 0), 3);
	assert_int_equal(legacy_get_device(l, 0, legacy_names[0]), -EINVAL);
	assert_int_equal(legacy_set_iommu(l, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(
		rig_ioctl(&l->rig, l->groups[0], VFIO_GROUP_GET_DEVICE_FD, RIG_BAD_VA),
		-EFAULT);
	assert_int_equal(legacy_get_device(l, 0, ""), -ENODEV);
	assert_int_equal(legacy_get_device(l, 0, legacy_names[1]), -ENODEV);
	assert_int_equal(legacy_get_device(l, 0, "0000:01:00.00"), -ENODEV);
	assert_int_equal(legacy_get_device(l, 0, "0000:01:00.0 vf_token=x"), -EINVAL);
	fd = (int)legacy_get_device(l, 0, "0000:01:00.0  ");
	assert_true(fd >= 0);
	rig_close(&l->rig, fd);
	rig_close(&l->rig, iommu);
}

/* By its node or by its group, but not both; the rest of the group included. */
static void test_one_owner(void **state)
{
	struct legacy *l = *state;
	int iommu = rig_open_iommu(&l->rig);
	int node = rig_open(&l->rig, 0);
	uint32_t devid;

	assert_int_equal(rig_bind(&l->rig, node, iommu, &devid), 0);
	assert_int_equal(rig_open_group(&l->rig, 0), -EBUSY);
	rig_close(&l->rig, node);
	legacy_open_group(l, 0);
	node = rig_open(&l->rig, 0);
	assert_int_equal(rig_bind(&l->rig, node, iommu, &devid), -EBUSY);
	legacy_close(l, &l->groups[0]);
	/* A bind that fails leaves no trace. */
	assert_int_equal(rig_bind(&l->rig, node, 999, &devid), -EBADF);
	legacy_open_group(l, 0);
	legacy_close(l, &l->groups[0]);
	assert_int_equal(rig_bind(&l->rig, node, iommu, &devid), 0);
	assert_int_equal(rig_bind(&l->rig, node, iommu, &devid), -EINVAL);
	rig_close(&l->rig, node);
	legacy_open_group(l, 0);
	rig_close(&l->rig, iommu);
}

/* What an open by the group answers, and that several share the device. */
static void test_device(void **state)
{
	struct legacy *l = *state;
	struct rig_model *m = &l->models[0];
	uint32_t pt = 1, devid;
	int second, iommu = rig_open_iommu(&l->rig);

	legacy_open_device(l, 0, VFIO_TYPE1v2_IOMMU);
	assert_int_equal(m->resets[UIOMMUFD_RESET_FUNCTION], 1);
	assert_int_equal(rig_bind(&l->rig, l->devices[0], iommu, &devid), -EINVAL);
	assert_int_equal(rig_attach(&l->rig, l->devices[0], pt), -ENOTTY);
	assert_int_equal(rig_reset(&l->rig, l->devices[0]), 0);
	second = (int)legacy_get_device(l, 0, legacy_names[0]);
	assert_int_equal(m->resets[UIOMMUFD_RESET_FUNCTION], 2);
	rig_set_config16(&l->rig, l->devices[0], RIG_COMMAND, 0x7);
	assert_int_equal(rig_config16(&l->rig, second, RIG_COMMAND), 7);
	legacy_close(l, &l->devices[0]);
	assert_int_equal(rig_config16(&l->rig, second, RIG_COMMAND), 7);
	assert_int_equal(legacy_unset_container(l, 0), -EBUSY);
	rig_close(&l->rig, second);
	assert_int_equal(m->resets[UIOMMUFD_RESET_FUNCTION], 3);
	assert_int_equal(legacy_unset_container(l, 0), 0);
	assert_int_equal(legacy_unset_container(l, 0), -EINVAL);
	rig_close(&l->rig, iommu);
}

/* No order of closing loses anything: a device keeps its group, a group its container. */
static void test_close_orders(void **state)
{
	static const unsigned char orders[][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0},
	};
	struct legacy *l = *state;
	char ram[PAGE] __attribute__((aligned(4096))) = {0};
	struct uiommufd_fault fault;
	uint64_t v = 1;

	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		legacy_open_device(l, 0, VFIO_TYPE1v2_IOMMU);
		assert_int_equal(legacy_map(l, RW, ram, PAGE, PAGE), 0);
		rig_set_config16(&l->rig, l->devices[0], RIG_COMMAND, 0x7);
		assert_int_equal(
			uiommufd_dma_write(l->models[0].channel, PAGE, &v, 8, &fault), 0);
		for (unsigned k = 0; k < 3; k++) {
			int *fds[] = {&l->container, &l->groups[0], &l->devices[0]};

			legacy_close(l, fds[orders[i][k]]);
			if (l->devices[0] < 0)
				continue;
			/* As long as the device is open everything stays. */
			assert_int_equal(uiommufd_dma_write(l->models[0].channel, PAGE,
							    &v, 8, &fault),
					 0);
			assert_int_equal(rig_open_group(&l->rig, 0), -EBUSY);
		}
		assert_int_equal(
			uiommufd_dma_write(l->models[0].channel, PAGE, &v, 8, &fault),
			-EFAULT);
	}
}

/* Two groups, one container; the second joins what is mapped. */
static void test_two_groups(void **state)
{
	struct legacy *l = *state;
	uint64_t ram[512] __attribute__((aligned(4096))) = {0};
	struct uiommufd_fault fault;
	uint64_t v = 5;

	legacy_open_device(l, 0, VFIO_TYPE1v2_IOMMU);
	assert_int_equal(legacy_map(l, RW, ram, PAGE, PAGE), 0);
	legacy_open_device(l, 1, 0);
	rig_set_config16(&l->rig, l->devices[1], RIG_COMMAND, 0x7);
	assert_int_equal(uiommufd_dma_write(l->models[1].channel, PAGE, &v, 8, &fault),
			 0);
	assert_int_equal(ram[0], 5);
	/* The first leaves; what is mapped stays as long as there is a group. */
	legacy_close(l, &l->devices[0]);
	assert_int_equal(legacy_unset_container(l, 0), 0);
	assert_int_equal(uiommufd_dma_write(l->models[1].channel, PAGE, &v, 8, &fault),
			 0);
	assert_int_equal(legacy_set_container(l, 0, l->container), 0);
	assert_int_equal(legacy_unset_container(l, 0), 0);
	legacy_close(l, &l->devices[1]);
	assert_int_equal(legacy_unset_container(l, 1), 0);
	assert_int_equal(legacy_map(l, RW, ram, PAGE, PAGE), -EINVAL);
	assert_int_equal(legacy_set_container(l, 1, l->container), 0);
	assert_int_equal(legacy_set_iommu(l, VFIO_TYPE1_IOMMU), 0);
	assert_int_equal(legacy_unmap(l, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0), 0);
}

static long hot_reset(struct legacy *l, uint32_t n, int a, int b)
{
	struct {
		struct vfio_pci_hot_reset h;
		int32_t fds[2];
	} r = {.h = {.argsz = sizeof(r), .count = n}, .fds = {a, b}};

	return rig_ioctl(&l->rig, l->devices[1], VFIO_DEVICE_PCI_HOT_RESET, &r);
}

static void test_hot_reset(void **state)
{
	struct legacy *l = *state;
	struct {
		struct vfio_pci_hot_reset_info h;
		struct vfio_pci_dependent_device v[2];
	} info = {.h.argsz = sizeof(info)};
	unsigned before;

	legacy_open_device(l, 1, VFIO_TYPE1v2_IOMMU);
	legacy_open_group(l, 0);
	assert_int_equal(rig_ioctl(&l->rig, l->devices[1],
				   VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info),
			 0);
	assert_int_equal(info.h.count, 2);
	assert_int_equal(info.h.flags, 0);
	assert_int_equal(info.v[0].group_id, 1);
	assert_int_equal(info.v[1].group_id, 2);
	assert_int_equal(info.v[1].devfn, 8);
	assert_int_equal(hot_reset(l, 0, 0, 0), -EINVAL);
	assert_int_equal(hot_reset(l, 3, l->groups[1], l->groups[0]), -EINVAL);
	assert_int_equal(hot_reset(l, 1, l->groups[1], 0), -EINVAL);
	assert_int_equal(hot_reset(l, 2, l->groups[1], l->groups[0]), -EINVAL);
	assert_int_equal(hot_reset(l, 2, l->groups[1], l->container), -EINVAL);
	assert_int_equal(hot_reset(l, 2, l->groups[1], 999), -EBADF);
	before = l->models[2].resets[UIOMMUFD_RESET_FUNCTION];
	legacy_open_group(l, 2);
	assert_int_equal(hot_reset(l, 2, l->groups[2], l->groups[1]), 0);
	assert_int_equal(l->models[2].resets[UIOMMUFD_RESET_FUNCTION], before + 1);
}

/* A mapping of a BAR keeps the device open. */
static void test_mapping_keeps(void **state)
{
	struct legacy *l = *state;
	void *p;

	legacy_open_device(l, 0, VFIO_TYPE1v2_IOMMU);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, l->devices[0],
		 (off_t)VFILE_REGION(2));
	assert_ptr_not_equal(p, MAP_FAILED);
	legacy_close(l, &l->devices[0]);
	assert_int_equal(legacy_unset_container(l, 0), -EBUSY);
	munmap(p, PAGE);
	files_reap(l->rig.machine.files);
	assert_int_equal(legacy_unset_container(l, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_orders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hot_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mapping_keeps, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
