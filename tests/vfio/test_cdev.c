/* SPDX-License-Identifier: MIT */
/*
 * Opens of the device node: what each call answers before and after BIND (section B of
 * the Linux 7.3 steps), ownership, attach and detach, info, close and reopen, hot reset.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CONFIG VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX)

struct fixture {
	struct rig_model models[3];
	struct rig rig;
	int iommu, fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	for (unsigned i = 0; i < 3; i++)
		rig_model_default(&f->models[i], i);
	/* The last two share a bus, and have no reset of their own. */
	f->models[2].bdf = f->models[1].bdf;
	f->models[2].bdf.function = 1;
	f->models[1].desc.flr = false;
	f->models[2].desc.flr = false;
	rig_create(&f->rig, f->models, 3);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	free(f);
	return 0;
}

static void test_before_bind(void **state)
{
	struct fixture *f = *state;
	struct vfio_device_info info = {.argsz = sizeof(info)};
	uint32_t v;

	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_INFO, &info), -EINVAL);
	assert_int_equal(rig_dmabuf(&f->rig, f->fd, 2, 0, 4096), -EINVAL);
	assert_int_equal(rig_reset(&f->rig, f->fd), -EINVAL);
	assert_int_equal(rig_attach(&f->rig, f->fd, 1), -EINVAL);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, 0x3bff, &v), -EINVAL);
	assert_int_equal(rig_pread(&f->rig, f->fd, &v, 4, CONFIG), -EINVAL);
	assert_int_equal(rig_pread(&f->rig, f->fd, &v, 0, CONFIG), -EINVAL);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, &v, 4, CONFIG), -EINVAL);
	assert_int_equal(
		rig_mmap(&f->rig, f->fd, VFILE_REGION(2), 4096, PROT_READ, MAP_SHARED),
		-EINVAL);
}

static long bind_with(struct fixture *f, struct vfio_device_bind_iommufd bind)
{
	return rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

static void test_bind(void **state)
{
	struct fixture *f = *state;
	struct vfio_device_bind_iommufd ok = {.argsz = sizeof(ok), .iommufd = f->iommu};
	struct vfio_device_bind_iommufd b = ok;
	struct {
		struct vfio_device_bind_iommufd bind;
		uint64_t tail;
	} longer = {.bind = ok};
	int null = open("/dev/null", O_RDWR), second = rig_open(&f->rig, 0);
	uint8_t uuid[16] = {1};
	uint32_t id;

	b.iommufd = -1;
	assert_int_equal(bind_with(f, b), -EINVAL);
	b.iommufd = 999;
	assert_int_equal(bind_with(f, b), -EBADF);
	b.iommufd = null;
	assert_int_equal(bind_with(f, b), -EBADFD);
	b.iommufd = f->fd;
	assert_int_equal(bind_with(f, b), -EBADFD);
	b = ok;
	b.argsz = 8;
	assert_int_equal(bind_with(f, b), -EINVAL);
	b = ok;
	b.flags = 0x80;
	assert_int_equal(bind_with(f, b), -EINVAL);
	b.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
	b.token_uuid_ptr = (uintptr_t)RIG_BAD_VA;
	assert_int_equal(bind_with(f, b), -EFAULT);
	b.token_uuid_ptr = (uintptr_t)uuid;
	assert_int_equal(bind_with(f, b), -EINVAL);
	longer.bind.argsz = sizeof(longer);
	longer.tail = 1;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_BIND_IOMMUFD, &longer),
			 -E2BIG);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_BIND_IOMMUFD, RIG_BAD_VA),
			 -EFAULT);
	/* The short struct of before there were tokens. */
	b = ok;
	b.argsz = 16;
	assert_int_equal(bind_with(f, b), 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, &id), -EINVAL);
	assert_int_equal(rig_bind(&f->rig, second, f->iommu, &id), -EINVAL);
	rig_close(&f->rig, second);
	close(null);
}

static void test_attach(void **state)
{
	struct fixture *f = *state;
	struct vfio_device_attach_iommufd_pt a = {.argsz = 12};
	struct vfio_device_detach_iommufd_pt d = {.argsz = 8};
	struct iommu_destroy destroy = {.size = sizeof(destroy)};
	uint32_t devid, ioas;

	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, &devid), 0);
	ioas = rig_ioas(&f->rig, f->iommu);
	assert_int_equal(rig_attach(&f->rig, f->fd, 12345), -ENOENT);
	assert_int_equal(rig_attach(&f->rig, f->fd, devid), -EINVAL);
	a.pt_id = ioas;
	a.argsz = 8;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a),
			 -EINVAL);
	a.argsz = 12;
	a.flags = 0x80;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a),
			 -EINVAL);
	a.flags = VFIO_DEVICE_ATTACH_PASID;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a),
			 -EINVAL);
	/* An IOAS has no page tables for PASIDs; Linux finds out by making one. */
	a.argsz = 16;
	a.pasid = 1;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a),
			 -EINVAL);
	a.pasid = 0x80000000;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a),
			 -ENOSPC);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d), 0);
	a.flags = 0;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a), 0);
	assert_int_not_equal(a.pt_id, ioas);
	assert_int_equal(rig_attach(&f->rig, f->fd, ioas), 0);
	destroy.id = ioas;
	assert_int_equal(rig_ioctl(&f->rig, f->iommu, IOMMU_DESTROY, &destroy), -EBUSY);
	destroy.id = devid;
	assert_int_equal(rig_ioctl(&f->rig, f->iommu, IOMMU_DESTROY, &destroy), -EBUSY);
	d.flags = 0x10;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d),
			 -EINVAL);
	d.flags = 0;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d), 0);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d), 0);
}

/* The binding outlives the client's iommufd descriptor. */
static void test_iommufd_closed(void **state)
{
	struct fixture *f = *state;
	int iommu = rig_open_iommu(&f->rig), fd = rig_open(&f->rig, 1), buf;

	assert_int_equal(rig_bind(&f->rig, fd, iommu, NULL), 0);
	assert_int_equal(rig_attach(&f->rig, fd, rig_ioas(&f->rig, iommu)), 0);
	rig_close(&f->rig, iommu);
	buf = (int)rig_dmabuf(&f->rig, fd, 2, 0, 4096);
	assert_true(buf >= 0);
	rig_close(&f->rig, buf);
	rig_close(&f->rig, fd);
}

static void test_info(void **state)
{
	struct fixture *f = *state;
	struct vfio_device_info info = {.argsz = sizeof(info), .cap_offset = 77};
	int fd;

	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.argsz, sizeof(info));
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(info.cap_offset, 0);
	info = (struct vfio_device_info){.argsz = 16, .cap_offset = 77};
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(info.cap_offset, 77);
	info.argsz = 15;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_INFO, &info), -EINVAL);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_INFO, RIG_BAD_VA),
			 -EFAULT);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, 0x3bff, &info), -ENOTTY);

	/* No way to reset it: no FLR, and not alone on its bus. */
	fd = rig_open(&f->rig, 1);
	assert_int_equal(rig_bind(&f->rig, fd, f->iommu, NULL), 0);
	info.argsz = sizeof(info);
	assert_int_equal(rig_ioctl(&f->rig, fd, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI);
	assert_int_equal(rig_reset(&f->rig, fd), -EINVAL);
	rig_close(&f->rig, fd);
}

static void test_node(void **state)
{
	struct fixture *f = *state;
	struct vfile *v;

	assert_int_equal(vfio_cdev_open(f->rig.devices[2], &v), 0);
	assert_int_equal(major(v->rdev), MACHINE_VFIO_MAJOR);
	assert_int_equal(minor(v->rdev), 2);
	assert_string_equal(v->label, "/dev/vfio/devices/vfio2");
	assert_null(vfio_dmabuf_of(v));
	vfile_put(v);
}

/* What a client left behind does not show to the next. */
static void test_reopen(void **state)
{
	struct fixture *f = *state;
	struct rig_model *m = &f->models[0];

	assert_int_equal(m->resets[UIOMMUFD_RESET_POWER_ON], 1);
	assert_int_equal(m->resets[UIOMMUFD_RESET_FUNCTION], 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
		assert_int_equal(m->resets[UIOMMUFD_RESET_FUNCTION], 2 * i + 1);
		assert_int_equal(rig_config16(&f->rig, f->fd, RIG_COMMAND), 0x103);
		assert_int_equal(rig_config16(&f->rig, f->fd, RIG_PMCSR), 0);
		assert_int_equal(rig_config16(&f->rig, f->fd, 0x3c), 0);
		rig_set_config16(&f->rig, f->fd, 0x3c, 0x55);
		rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0x7);
		rig_set_config16(&f->rig, f->fd, RIG_PMCSR, 3);
		rig_close(&f->rig, f->fd);
		assert_int_equal(m->resets[UIOMMUFD_RESET_FUNCTION], 2 * i + 2);
		f->fd = rig_open(&f->rig, 0);
	}
	assert_int_equal(m->resets[UIOMMUFD_RESET_POWER_ON], 1);
}

/* A bind that fails at its very end leaves nothing behind. */
static void test_bind_undone(void **state)
{
	struct fixture *f = *state;

	f->rig.fail_copy_out = true;
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), -EFAULT);
	f->rig.fail_copy_out = false;
	assert_int_equal(rig_reset(&f->rig, f->fd), -EINVAL);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
}

static void test_features(void **state)
{
	struct fixture *f = *state;
	struct {
		struct vfio_device_feature h;
		struct vfio_device_low_power_entry_with_wakeup e;
	} g = {.h = {.argsz = 16}};
	static const uint32_t absent[] = {0, 1, 2, 6, 7, 8, 9, 10, 13, 200, 0xffff};
	uint64_t count = 0;
	int fd;

	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
		g.h.flags = VFIO_DEVICE_FEATURE_GET | absent[i];
		assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &g),
				 -ENOTTY);
		g.h.flags = VFIO_DEVICE_FEATURE_PROBE | absent[i];
		assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &g),
				 -ENOTTY);
	}
	g.h.flags =
		VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
	g.e.wakeup_eventfd = -1;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &g), -EINVAL);
	g.e.wakeup_eventfd = 999;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &g), -EBADF);
	g.e.wakeup_eventfd = f->fd;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &g), -EINVAL);
	fd = eventfd(0, EFD_NONBLOCK);
	g.e.wakeup_eventfd = fd;
	g.h.argsz = 12;
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &g), -EINVAL);
	g.h.argsz = 16;
	/* Entering wakes it up first: so it can be done again and again. */
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &g), 0);
	assert_int_equal(read(fd, &count, 8), -1);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &g), 0);
	assert_int_equal(read(fd, &count, 8), 8);
	rig_config16(&f->rig, f->fd, 0);
	assert_int_equal(read(fd, &count, 8), 8);
	rig_config16(&f->rig, f->fd, 0);
	assert_int_equal(read(fd, &count, 8), -1);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &g), 0);
	close(fd); /* the device goes away asleep */
}

static void test_hot_reset(void **state)
{
	struct fixture *f = *state;
	struct {
		struct vfio_pci_hot_reset_info h;
		struct vfio_pci_dependent_device v[2];
	} info = {.h = {.argsz = sizeof(info)}};
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};
	int a = rig_open(&f->rig, 1), b = rig_open(&f->rig, 2);
	int other = rig_open_iommu(&f->rig);
	uint32_t id_a, id_b;

	assert_int_equal(rig_bind(&f->rig, a, f->iommu, &id_a), 0);
	info.h.argsz = sizeof(info.h);
	assert_int_equal(rig_ioctl(&f->rig, a, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info),
			 -ENOSPC);
	assert_int_equal(info.h.count, 2);
	assert_int_equal(info.h.flags, 0);
	info.h.argsz = sizeof(info);
	assert_int_equal(rig_ioctl(&f->rig, a, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info),
			 0);
	assert_int_equal(info.h.count, 2);
	assert_int_equal(info.h.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	assert_int_equal(info.v[0].devid, id_a);
	assert_int_equal(info.v[0].bus, 2);
	assert_int_equal(info.v[0].devfn, 0);
	assert_int_equal((int)info.v[1].devid, VFIO_PCI_DEVID_NOT_OWNED);
	assert_int_equal(info.v[1].devfn, 1);
	/* The other function is somebody else's, or nobody's. */
	assert_int_equal(rig_ioctl(&f->rig, a, VFIO_DEVICE_PCI_HOT_RESET, &reset),
			 -EINVAL);
	assert_int_equal(rig_bind(&f->rig, b, other, &id_b), 0);
	assert_int_equal(rig_ioctl(&f->rig, a, VFIO_DEVICE_PCI_HOT_RESET, &reset),
			 -EINVAL);
	rig_close(&f->rig, b);
	b = rig_open(&f->rig, 2);
	assert_int_equal(rig_bind(&f->rig, b, f->iommu, &id_b), 0);
	assert_int_equal(rig_ioctl(&f->rig, a, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info),
			 0);
	assert_int_equal(info.h.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
					       VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED);
	assert_int_equal(info.v[1].devid, id_b);
	f->models[1].resets[UIOMMUFD_RESET_FUNCTION] = 0;
	f->models[2].resets[UIOMMUFD_RESET_FUNCTION] = 0;
	assert_int_equal(rig_ioctl(&f->rig, b, VFIO_DEVICE_PCI_HOT_RESET, &reset), 0);
	assert_int_equal(f->models[1].resets[UIOMMUFD_RESET_FUNCTION], 1);
	assert_int_equal(f->models[2].resets[UIOMMUFD_RESET_FUNCTION], 1);
	reset.flags = 1;
	assert_int_equal(rig_ioctl(&f->rig, b, VFIO_DEVICE_PCI_HOT_RESET, &reset),
			 -EINVAL);
	reset = (struct vfio_pci_hot_reset){.argsz = 4};
	assert_int_equal(rig_ioctl(&f->rig, b, VFIO_DEVICE_PCI_HOT_RESET, &reset),
			 -EINVAL);
	reset = (struct vfio_pci_hot_reset){.argsz = sizeof(reset), .count = 1};
	assert_int_equal(rig_ioctl(&f->rig, b, VFIO_DEVICE_PCI_HOT_RESET, &reset),
			 -EINVAL);
	rig_close(&f->rig, a);
	rig_close(&f->rig, b);
	rig_close(&f->rig, other);
}

static void test_hot_reset_of_bus_0(void **state)
{
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};
	struct vfio_pci_hot_reset_info info = {.argsz = sizeof(info)};
	struct rig_model m;
	struct rig r;
	int iommu, fd;

	rig_model_default(&m, 0);
	m.bdf.bus = 0;
	rig_create(&r, &m, 1);
	iommu = rig_open_iommu(&r);
	fd = rig_open(&r, 0);
	assert_int_equal(rig_bind(&r, fd, iommu, NULL), 0);
	assert_int_equal(rig_ioctl(&r, fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), -ENODEV);
	assert_int_equal(rig_ioctl(&r, fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info),
			 -ENODEV);
	assert_int_equal(rig_reset(&r, fd), 0); /* it has FLR */
	rig_close(&r, fd);
	rig_close(&r, iommu);
	rig_destroy(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_before_bind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iommufd_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_info, setup, teardown),
		cmocka_unit_test_setup_teardown(test_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reopen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bind_undone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_features, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hot_reset, setup, teardown),
		cmocka_unit_test(test_hot_reset_of_bus_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
