/* SPDX-License-Identifier: MIT */
/*
 * The legacy path with an iommufd in the container's place: the rules of opening, what is
 * answered in which order, DMA through the IOAS that stands in, and who keeps what.
 */
#include "tests/vfio/legacy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int setup(void **state)
{
	struct legacy *l = legacy_create();

	/* Its calls are those of a container. */
	l->container = rig_open_iommu(&l->rig);
	for (unsigned i = 0; i < LEGACY_DEVICES; i++)
		l->groups[i] = rig_open_group(&l->rig, i);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	legacy_destroy(*state);
	return 0;
}

static unsigned status(struct legacy *l, unsigned group)
{
	struct vfio_group_status s = {.argsz = sizeof(s)};

	assert_int_equal(rig_ioctl(&l->rig, l->groups[group], VFIO_GROUP_GET_STATUS, &s),
			 0);
	return s.flags;
}

#define VIABLE VFIO_GROUP_FLAGS_VIABLE
#define SET    VFIO_GROUP_FLAGS_CONTAINER_SET

static long chosen(struct legacy *l, uint16_t op, uint32_t *id)
{
	struct iommu_vfio_ioas s = {.size = sizeof(s), .op = op, .ioas_id = *id};
	long ret = rig_ioctl(&l->rig, l->container, IOMMU_VFIO_IOAS, &s);

	*id = s.ioas_id;
	return ret;
}

static void test_order(void **state)
{
	struct legacy *l = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint32_t id = 0;

	assert_int_equal(status(l, 0), VIABLE);
	assert_int_equal(legacy_get_device(l, 0, legacy_names[0]), -EINVAL);
	assert_int_equal(legacy_unset_container(l, 0), -EINVAL);
	assert_int_equal(
		rig_ioctl(&l->rig, l->groups[0], VFIO_GROUP_SET_CONTAINER, RIG_BAD_VA),
		-EFAULT);
	assert_int_equal(legacy_set_container(l, 0, 999), -EBADF);
	assert_int_equal(legacy_set_container(l, 0, null), -EBADFD);
	assert_int_equal(legacy_set_container(l, 0, l->groups[1]), -EBADFD);
	/* An IOAS comes with the first group, and stays. */
	assert_int_equal(chosen(l, IOMMU_VFIO_IOAS_GET, &id), -ENODEV);
	assert_int_equal(legacy_set_iommu(l, VFIO_TYPE1v2_IOMMU), -ENODEV);
	assert_int_equal(legacy_set_container(l, 0, l->container), 0);
	assert_int_equal(chosen(l, IOMMU_VFIO_IOAS_GET, &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(status(l, 0), VIABLE | SET);
	assert_int_equal(legacy_set_container(l, 0, l->container), -EINVAL);
	assert_int_equal(legacy_set_container(l, 0, null), -EINVAL);
	assert_int_equal(legacy_set_container(l, 1, l->container), 0);
	assert_int_equal(chosen(l, IOMMU_VFIO_IOAS_GET, &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(legacy_get_device(l, 0, legacy_names[1]), -ENODEV);
	assert_int_equal(legacy_unset_container(l, 0), 0);
	assert_int_equal(legacy_unset_container(l, 0), -EINVAL);
	assert_int_equal(status(l, 0), VIABLE);
	assert_int_equal(chosen(l, IOMMU_VFIO_IOAS_GET, &id), 0);
	close(null);
}

static void test_dma(void **state)
{
	struct legacy *l = *state;
	char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t word = 0x12345678, got = 0;

	/* No SET_IOMMU is needed; before a device, or after it. */
	assert_int_equal(legacy_set_container(l, 0, l->container), 0);
	assert_int_equal(legacy_map(l, RW, memory, PAGE, 0x10000), 0);
	l->devices[0] = (int)legacy_get_device(l, 0, legacy_names[0]);
	assert_true(l->devices[0] >= 0);
	assert_int_equal(legacy_set_iommu(l, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(legacy_map(l, RW, memory, PAGE, 0x20000), 0);
	rig_set_config16(&l->rig, l->devices[0], RIG_COMMAND, 7);
	assert_int_equal(
		uiommufd_dma_write(l->models[0].channel, 0x10000, &word, 4, NULL), 0);
	assert_int_equal(uiommufd_dma_read(l->models[0].channel, 0x20000, &got, 4, NULL),
			 0);
	assert_int_equal(got, word);
	assert_memory_equal(memory, &word, 4);
	/* A second open shares all; the first going changes nothing. */
	l->devices[1] = (int)legacy_get_device(l, 0, legacy_names[0]);
	assert_true(l->devices[1] >= 0);
	legacy_close(l, &l->devices[0]);
	assert_int_equal(uiommufd_dma_read(l->models[0].channel, 0x20000, &got, 4, NULL),
			 0);
	/* The group holds the iommufd, and the device the group. */
	legacy_close(l, &l->container);
	legacy_close(l, &l->groups[0]);
	assert_int_equal(uiommufd_dma_read(l->models[0].channel, 0x20000, &got, 4, NULL),
			 0);
	legacy_close(l, &l->devices[1]);
	assert_int_equal(uiommufd_dma_read(l->models[0].channel, 0x20000, &got, 4, NULL),
			 -EFAULT);
	munmap(memory, PAGE);
}

static void test_no_ioas(void **state)
{
	struct legacy *l = *state;
	uint32_t id = 0;

	assert_int_equal(legacy_set_container(l, 0, l->container), 0);
	assert_int_equal(chosen(l, IOMMU_VFIO_IOAS_CLEAR, &id), 0);
	assert_int_equal(legacy_get_device(l, 0, legacy_names[0]), -ENODEV);
	/* Nothing is left of it. */
	assert_int_equal(legacy_unset_container(l, 0), 0);
	assert_int_equal(status(l, 0), VIABLE);
	assert_int_equal(legacy_set_container(l, 0, l->container), 0);
	l->devices[0] = (int)legacy_get_device(l, 0, legacy_names[0]);
	assert_true(l->devices[0] >= 0);
}

/* Where something is mapped that the device cannot reach. */
static void test_unfit_ioas(void **state)
{
	struct legacy *l = *state;
	char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_int_equal(legacy_set_container(l, 0, l->container), 0);
	assert_int_equal(legacy_map(l, RW, memory, PAGE, 0xfee00000), 0);
	assert_int_equal(legacy_get_device(l, 0, legacy_names[0]), -EADDRINUSE);
	assert_int_equal(legacy_unmap(l, 0, 0xfee00000, PAGE), PAGE);
	l->devices[0] = (int)legacy_get_device(l, 0, legacy_names[0]);
	assert_true(l->devices[0] >= 0);
	munmap(memory, PAGE);
}

static void test_leave_with_device(void **state)
{
	struct legacy *l = *state;
	int container = rig_open_container(&l->rig), node = rig_open(&l->rig, 0);
	uint32_t id;

	assert_int_equal(legacy_set_container(l, 0, l->container), 0);
	l->devices[0] = (int)legacy_get_device(l, 0, legacy_names[0]);
	assert_int_equal(rig_bind(&l->rig, l->devices[0], l->container, &id), -EINVAL);
	assert_int_equal(rig_attach(&l->rig, l->devices[0], 1), -ENOTTY);
	assert_int_equal(rig_bind(&l->rig, node, l->container, &id), -EBUSY);
	/* Unlike a container's, this can be left; the device stays bound. */
	assert_int_equal(legacy_unset_container(l, 0), 0);
	assert_int_equal(status(l, 0), 0);
	assert_int_equal(rig_config16(&l->rig, l->devices[0], 0), 0x1234);
	assert_int_equal(legacy_get_device(l, 0, legacy_names[0]), -EINVAL);
	assert_int_equal(legacy_set_container(l, 0, container), -EPERM);
	assert_int_equal(legacy_set_container(l, 0, l->container), 0);
	l->devices[1] = (int)legacy_get_device(l, 0, legacy_names[0]);
	assert_true(l->devices[1] >= 0);
	legacy_close(l, &l->devices[0]);
	legacy_close(l, &l->devices[1]);
	assert_int_equal(legacy_unset_container(l, 0), 0);
	assert_int_equal(legacy_set_container(l, 0, container), 0);
	assert_int_equal(status(l, 0), VIABLE | SET);
	rig_close(&l->rig, node);
	rig_close(&l->rig, container);
}

/* A cdev's owner sees devices that its own iommufd has by the group as its own. */
static void test_hot_reset(void **state)
{
	struct legacy *l = *state;
	struct {
		struct vfio_pci_hot_reset h;
		int32_t fds[2];
	} reset = {.h = {.argsz = sizeof(reset)}};
	int node;

	assert_int_equal(legacy_set_container(l, 1, l->container), 0);
	l->devices[1] = (int)legacy_get_device(l, 1, legacy_names[1]);
	legacy_close(l, &l->groups[2]);
	node = rig_open(&l->rig, 2);
	assert_int_equal(rig_bind(&l->rig, node, l->container, NULL), 0);
	assert_int_equal(rig_ioctl(&l->rig, node, VFIO_DEVICE_PCI_HOT_RESET, &reset), 0);
	/* By the group, groups are shown, of which one is missing. */
	assert_int_equal(
		rig_ioctl(&l->rig, l->devices[1], VFIO_DEVICE_PCI_HOT_RESET, &reset),
		-EINVAL);
	reset.h.count = 1;
	reset.fds[0] = l->groups[1];
	assert_int_equal(
		rig_ioctl(&l->rig, l->devices[1], VFIO_DEVICE_PCI_HOT_RESET, &reset),
		-EINVAL);
	rig_close(&l->rig, node);
	l->groups[2] = rig_open_group(&l->rig, 2);
	reset.h.count = 2;
	reset.fds[1] = l->groups[2];
	assert_int_equal(
		rig_ioctl(&l->rig, l->devices[1], VFIO_DEVICE_PCI_HOT_RESET, &reset), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_ioas, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unfit_ioas, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leave_with_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hot_reset, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
