/* SPDX-License-Identifier: MIT */
/*
 * The sweep of test_fail_nth.c over what IOMMUs have: nested hwpts, PASIDs,
 * invalidations, fault queues and page requests, vIOMMUs with their devices, queues and
 * events. VT-d's are tried on a device that VFIO serves, the others on the selftest's
 * mock devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sweep.h"

#include "core/port.h"
#include "port/port.h"
#include "selftest/abi.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/uiommufd.h"

#define PAGE 4096u
#define IOVA 0x10000000ull /* in the mock's aperture */
#define RW   (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

static const uint8_t pasid_cap[4] = {[1] = 8};
static const struct uiommufd_ext_cap ext_caps[] = {
	{.id = 0x1b, .version = 1, .size = sizeof(pasid_cap), .bytes = pasid_cap},
};

static int probe_create(struct uiommufd_device *dev,
			const struct uiommufd_option *options, size_t n,
			struct uiommufd_device_desc *desc,
			struct uiommufd_device_ops *ops, void **model)
{
	*desc = (struct uiommufd_device_desc){
		.vendor_id = 0x1234,
		.device_id = 0x5678,
		.class_code = 0x088000,
		.bars[0] = {.size = PAGE, .flags = UIOMMUFD_BAR_MEMORY},
		.flr = true,
		.ext_caps = ext_caps,
		.nr_ext_caps = 1,
	};
	*ops = (struct uiommufd_device_ops){0};
	*model = dev;
	return 0;
}

static const struct uiommufd_model probe_model = {
	.name = "probe", .summary = "PASIDs", .create = probe_create};

/* What the calls work on, and what they made last. */
static struct uiommufd_machine *m;
static int iommu, dev, ram, fault_fd;
static uint32_t dev_id, ioas, mock_ioas, parent, a, b, fault_id;
static uint32_t mock_stdev, mock_idev, viommu;
static uint32_t made_id;
static int made_fd;

static long call(unsigned long cmd, void *arg)
{
	return uiommufd_ioctl(m, iommu, cmd, arg);
}

static void destroy(uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	assert_int_equal(call(IOMMU_DESTROY, &cmd), 0);
}

static void undo_id(void)
{
	destroy(made_id);
}

static long destroy_made(void)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = made_id};

	return call(IOMMU_DESTROY, &cmd);
}

static uint32_t ioas_alloc(void)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	assert_int_equal(call(IOMMU_IOAS_ALLOC, &cmd), 0);
	return cmd.out_ioas_id;
}

static uint32_t next_id(void)
{
	uint32_t id = ioas_alloc();

	destroy(id);
	return id;
}

static long map_into(uint32_t to)
{
	struct iommu_ioas_map_file cmd = {.size = sizeof(cmd),
					  .flags = RW | IOMMU_IOAS_MAP_FIXED_IOVA,
					  .ioas_id = to,
					  .fd = ram,
					  .length = 16 * PAGE,
					  .iova = IOVA};

	return call(IOMMU_IOAS_MAP_FILE, &cmd);
}

static long map(void)
{
	return map_into(ioas);
}

static long unmap(void)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .length = UINT64_MAX};

	return call(IOMMU_IOAS_UNMAP, &cmd);
}

static void undo_map(void)
{
	assert_int_equal(unmap(), 0);
}

/* ---- VT-d -------------------------------------------------------------------------- */

static long hwpt(struct iommu_hwpt_alloc cmd, uint32_t *id)
{
	long r;

	cmd.size = sizeof(cmd);
	cmd.dev_id = cmd.dev_id ? cmd.dev_id : dev_id;
	r = call(IOMMU_HWPT_ALLOC, &cmd);
	*id = cmd.out_hwpt_id;
	return r;
}

static long alloc_parent(void)
{
	return hwpt((struct iommu_hwpt_alloc){.pt_id = ioas,
					      .flags = IOMMU_HWPT_ALLOC_NEST_PARENT},
		    &made_id);
}

static long nest(uint32_t flags, uint32_t fault)
{
	struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = IOVA, .addr_width = 48};

	return hwpt((struct iommu_hwpt_alloc){.pt_id = parent,
					      .flags = flags,
					      .fault_id = fault,
					      .data_type = IOMMU_HWPT_DATA_VTD_S1,
					      .data_len = sizeof(s1),
					      .data_uptr = (uintptr_t)&s1},
		    &made_id);
}

static long alloc_nested(void)
{
	return nest(IOMMU_HWPT_ALLOC_PASID, 0);
}

static long alloc_nested_with_queue(void)
{
	return nest(IOMMU_HWPT_FAULT_ID_VALID, fault_id);
}

static long invalidate(void)
{
	struct iommu_hwpt_vtd_s1_invalidate v[2] = {{.npages = 1},
						    {.npages = UINT64_MAX}};
	struct iommu_hwpt_invalidate cmd = {.size = sizeof(cmd),
					    .hwpt_id = a,
					    .data_uptr = (uintptr_t)v,
					    .entry_len = sizeof(v[0]),
					    .entry_num = 2};

	return call(IOMMU_HWPT_INVALIDATE, &cmd);
}

static long attach_to(uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd), .pt_id = pt};

	return uiommufd_ioctl(m, dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static long attach_nested(void)
{
	return attach_to(a);
}

static long detach(void)
{
	struct vfio_device_detach_iommufd_pt cmd = {.argsz = sizeof(cmd)};

	return uiommufd_ioctl(m, dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static void undo_attach(void)
{
	assert_int_equal(detach(), 0);
}

static long replace_nested(void)
{
	return attach_to(b);
}

static void attach_again(void)
{
	assert_int_equal(attach_nested(), 0);
}

static long pasid_to(uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd),
						    .flags = VFIO_DEVICE_ATTACH_PASID,
						    .pt_id = pt,
						    .pasid = 3};

	return uiommufd_ioctl(m, dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static long attach_pasid(void)
{
	return pasid_to(a);
}

static long replace_pasid(void)
{
	return pasid_to(b);
}

static long detach_pasid(void)
{
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = sizeof(cmd), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = 3};

	return uiommufd_ioctl(m, dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

/* Also after a failure: where the answer could not be told the PASID stays attached, as
 * on Linux. */
static void undo_pasid(void)
{
	assert_int_equal(detach_pasid(), 0);
}

static void pasid_again(void)
{
	assert_int_equal(pasid_to(a), 0);
}

static void open_device(void)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommu};

	dev = uiommufd_open(m, "/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
	assert_true(dev >= 0);
	assert_int_equal(uiommufd_ioctl(m, dev, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	dev_id = bind.out_devid;
}

static long alloc_fault_queue(void)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	long r = call(IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	made_fd = (int)cmd.out_fault_fd;
	made_id = cmd.out_fault_id;
	return r;
}

static void undo_queue(void)
{
	assert_int_equal(uiommufd_close(m, made_fd), 0);
	destroy(made_id);
}

static long close_made(void)
{
	return uiommufd_close(m, made_fd);
}

static int setup(void **state)
{
	static const struct uiommufd_model *const models[] = {&probe_model, NULL};
	static const char *const devices[] = {"probe", NULL};
	static const char *const iommus[] = {"vtd,nesting=on,pasid=8,dirty=on", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;

	config.models = models;
	config.devices = devices;
	config.iommus = iommus;
	config.selftest = true;
	assert_int_equal(uiommufd_machine_create(&config, NULL, 0, &m), 0);
	iommu = uiommufd_open(m, "/dev/iommu", O_RDWR | O_CLOEXEC);
	assert_true(iommu >= 0);
	ram = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(ram, 16 * PAGE), 0);
	open_device();
	ioas = ioas_alloc();
	return 0;
}

static int teardown(void **state)
{
	int left;

	assert_int_equal(uiommufd_close(m, dev), 0);
	assert_int_equal(uiommufd_close(m, iommu), 0);
	left = uiommufd_machine_destroy(m);
	close(ram);
	assert_int_equal(port_bug_count(), 0);
	return left;
}

#define SWEEP(v) sweep_all(v, ARRAY_LEN(v), next_id)

static void make_vtd(void)
{
	assert_int_equal(alloc_parent(), 0);
	parent = made_id;
	assert_int_equal(alloc_nested(), 0);
	a = made_id;
	assert_int_equal(alloc_nested(), 0);
	b = made_id;
}

static void test_vtd(void **state)
{
	static const struct sweep calls[] = {
		{"HWPT_ALLOC of a parent", alloc_parent, undo_id, NULL, 4},
		{"HWPT_ALLOC of a nested one", alloc_nested, undo_id, NULL, 5},
		{"the same with a fault queue", alloc_nested_with_queue, undo_id, NULL,
		 5},
		{"HWPT_INVALIDATE", invalidate, NULL, NULL, 4},
		{"attach to a nested one", attach_nested, undo_attach, NULL, 2},
		{"attach of a PASID", attach_pasid, undo_pasid, undo_pasid, 4},
	};
	static const struct sweep attached[] = {
		{"replacing a nested one", replace_nested, attach_again, attach_again, 2},
		{"replacing that of a PASID", replace_pasid, pasid_again, pasid_again, 2},
		{"HWPT_INVALIDATE in use", invalidate, NULL, NULL, 4},
		{"map into a parent in use", map, undo_map, NULL, 5},
	};

	make_vtd();
	assert_int_equal(alloc_fault_queue(), 0);
	fault_id = made_id;
	fault_fd = made_fd;
	SWEEP(calls);
	assert_int_equal(map(), 0);
	SWEEP(calls);
	undo_map();
	assert_int_equal(attach_nested(), 0);
	assert_int_equal(attach_pasid(), 0);
	SWEEP(attached);
	assert_int_equal(uiommufd_close(m, fault_fd), 0);
}

static long reset(void)
{
	return uiommufd_ioctl(m, dev, VFIO_DEVICE_RESET, NULL);
}

static long attach_both(void)
{
	long r = attach_nested();

	return r ? r : attach_pasid();
}

/* With a device and a PASID of it attached. */
static long close_device(void)
{
	long r = uiommufd_close(m, dev);
	unsigned long left = uiommufd_fail_nth(0);

	open_device();
	uiommufd_fail_nth(left);
	return r;
}

static void test_vtd_taking_away(void **state)
{
	make_vtd();
	no_point("DESTROY of a nested hwpt", alloc_nested, destroy_made);
	no_point("detach from a nested hwpt", attach_nested, detach);
	no_point("detach of a PASID", attach_pasid, detach_pasid);
	no_point("close of a device with PASIDs", attach_both, close_device);
	assert_int_equal(attach_nested(), 0);
	assert_int_equal(attach_pasid(), 0);
	no_point("UNMAP in a parent", map, unmap);
	no_point("reset", NULL, reset);
	undo_attach();
	undo_pasid();
	no_point("DESTROY of a fault queue with its file", alloc_fault_queue, close_made);
}

/* ---- the mock ---------------------------------------------------------------------- */

static long mock_device(void)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
		.id = mock_ioas,
		.mock_domain_flags = {.dev_flags = MOCK_FLAGS_DEVICE_PASID}};
	long r = call(IOMMU_TEST_CMD, &cmd);

	made_id = cmd.mock_domain_flags.out_stdev_id;
	mock_idev = cmd.mock_domain_flags.out_idev_id;
	return r;
}

static long alloc_viommu(void)
{
	struct iommu_viommu_selftest data = {.in_data = 7};
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd),
					 .type = IOMMU_VIOMMU_TYPE_SELFTEST,
					 .dev_id = mock_idev,
					 .hwpt_id = parent,
					 .data_len = sizeof(data),
					 .data_uptr = (uintptr_t)&data};
	long r = call(IOMMU_VIOMMU_ALLOC, &cmd);

	made_id = cmd.out_viommu_id;
	return r;
}

static long alloc_vdevice(void)
{
	struct iommu_vdevice_alloc cmd = {.size = sizeof(cmd),
					  .viommu_id = viommu,
					  .dev_id = mock_idev,
					  .virt_id = 0x99};
	long r = call(IOMMU_VDEVICE_ALLOC, &cmd);

	made_id = cmd.out_vdevice_id;
	return r;
}

static long alloc_veventq(void)
{
	struct iommu_veventq_alloc cmd = {.size = sizeof(cmd),
					  .viommu_id = viommu,
					  .type = IOMMU_VEVENTQ_TYPE_SELFTEST,
					  .veventq_depth = 2};
	long r = call(IOMMU_VEVENTQ_ALLOC, &cmd);

	made_id = cmd.out_veventq_id;
	made_fd = (int)cmd.out_veventq_fd;
	return r;
}

static long alloc_hw_queue(void)
{
	struct iommu_hw_queue_alloc cmd = {.size = sizeof(cmd),
					   .viommu_id = viommu,
					   .type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
					   .nesting_parent_iova = IOVA,
					   .length = PAGE};
	long r = call(IOMMU_HW_QUEUE_ALLOC, &cmd);

	made_id = cmd.out_hw_queue_id;
	return r;
}

static long mock_nested_on(uint32_t pt)
{
	struct iommu_hwpt_selftest data = {.iotlb = 1};

	return hwpt((struct iommu_hwpt_alloc){.dev_id = mock_idev,
					      .pt_id = pt,
					      .flags = IOMMU_HWPT_ALLOC_PASID,
					      .data_type = IOMMU_HWPT_DATA_SELFTEST,
					      .data_len = sizeof(data),
					      .data_uptr = (uintptr_t)&data},
		    &made_id);
}

static void move_mock(uint32_t pt)
{
	struct iommu_test_cmd cmd = {.size = sizeof(cmd),
				     .op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
				     .id = mock_stdev,
				     .mock_domain_replace = {.pt_id = pt}};

	assert_int_equal(call(IOMMU_TEST_CMD, &cmd), 0);
}

static long alloc_mock_nested(void)
{
	return mock_nested_on(parent);
}

static long alloc_virtual(void)
{
	return mock_nested_on(viommu);
}

static long invalidate_cache(void)
{
	struct iommu_viommu_invalidate_selftest v[2] = {{.vdev_id = 0x99},
							{.vdev_id = 0x99, .cache_id = 1}};
	struct iommu_hwpt_invalidate cmd = {.size = sizeof(cmd),
					    .hwpt_id = viommu,
					    .data_uptr = (uintptr_t)v,
					    .data_type =
						    IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
					    .entry_len = sizeof(v[0]),
					    .entry_num = 2};

	return call(IOMMU_HWPT_INVALIDATE, &cmd);
}

static long mock_pasid(uint32_t op, uint32_t pt)
{
	struct iommu_test_cmd cmd = {.size = sizeof(cmd),
				     .op = op,
				     .id = mock_stdev,
				     .pasid_attach = {.pasid = 5, .pt_id = pt}};

	return call(IOMMU_TEST_CMD, &cmd);
}

static long attach_mock_pasid(void)
{
	return mock_pasid(IOMMU_TEST_OP_PASID_ATTACH, a);
}

static long replace_mock_pasid(void)
{
	return mock_pasid(IOMMU_TEST_OP_PASID_REPLACE, b);
}

static long detach_mock_pasid(void)
{
	struct iommu_test_cmd cmd = {.size = sizeof(cmd),
				     .op = IOMMU_TEST_OP_PASID_DETACH,
				     .id = mock_stdev,
				     .pasid_detach = {.pasid = 5}};

	return call(IOMMU_TEST_CMD, &cmd);
}

static void undo_mock_pasid(void)
{
	assert_int_equal(detach_mock_pasid(), 0);
}

static void mock_pasid_again(void)
{
	assert_int_equal(mock_pasid(IOMMU_TEST_OP_PASID_REPLACE, a), 0);
}

/* An event that there is no memory for is lost, and the queue says so. */
static long event(void)
{
	struct iommu_test_cmd cmd = {.size = sizeof(cmd),
				     .op = IOMMU_TEST_OP_TRIGGER_VEVENT,
				     .trigger_vevent = {.dev_id = mock_idev}};

	return call(IOMMU_TEST_CMD, &cmd);
}

static void read_events(void)
{
	char bytes[256];

	while (uiommufd_read(m, fault_fd, bytes, sizeof(bytes)) > 0)
		;
}

static void make_mock(void)
{
	mock_ioas = ioas_alloc();
	assert_int_equal(mock_device(), 0);
	mock_stdev = made_id;
	assert_int_equal(map_into(mock_ioas), 0);
	assert_int_equal(
		hwpt((struct iommu_hwpt_alloc){.dev_id = mock_idev,
					       .pt_id = mock_ioas,
					       .flags = IOMMU_HWPT_ALLOC_NEST_PARENT},
		     &parent),
		0);
}

static void test_mock(void **state)
{
	static const struct sweep devices[] = {
		{"mock device", mock_device, undo_id, NULL, 5},
	};
	static const struct sweep calls[] = {
		{"VIOMMU_ALLOC", alloc_viommu, undo_id, NULL, 5},
		{"VDEVICE_ALLOC", alloc_vdevice, undo_id, NULL, 3},
		{"VEVENTQ_ALLOC", alloc_veventq, undo_queue, NULL, 4},
		{"HW_QUEUE_ALLOC", alloc_hw_queue, undo_id, NULL, 4},
		{"nested hwpt", alloc_mock_nested, undo_id, NULL, 5},
		{"nested hwpt of a vIOMMU", alloc_virtual, undo_id, NULL, 5},
	};
	static const struct sweep in_use[] = {
		{"HWPT_INVALIDATE of a vIOMMU", invalidate_cache, NULL, NULL, 3},
		{"vevent", event, read_events, read_events, 2},
	};
	static const struct sweep pasids[] = {
		{"attach of a PASID", attach_mock_pasid, undo_mock_pasid, undo_mock_pasid,
		 4},
	};
	static const struct sweep replacing = {"replace of a PASID", replace_mock_pasid,
					       mock_pasid_again, mock_pasid_again, 1};

	mock_ioas = ioas_alloc();
	SWEEP(devices);
	make_mock();
	assert_int_equal(alloc_viommu(), 0);
	viommu = made_id;
	SWEEP(calls);
	assert_int_equal(alloc_mock_nested(), 0);
	a = made_id;
	assert_int_equal(alloc_virtual(), 0);
	b = made_id;
	/* PASIDs want the device itself on a hwpt that is for them. */
	move_mock(a);
	SWEEP(pasids);
	assert_int_equal(attach_mock_pasid(), 0);
	sweep_all(&replacing, 1, next_id);
	undo_mock_pasid();
	assert_int_equal(alloc_vdevice(), 0);
	/* Events come from devices behind the vIOMMU. */
	move_mock(b);
	assert_int_equal(alloc_veventq(), 0);
	fault_fd = made_fd;
	SWEEP(in_use);
	assert_int_equal(uiommufd_close(m, fault_fd), 0);
}

static void test_mock_taking_away(void **state)
{
	make_mock();
	assert_int_equal(alloc_viommu(), 0);
	viommu = made_id;
	assert_int_equal(alloc_mock_nested(), 0);
	a = made_id;
	move_mock(a);
	no_point("DESTROY of a vIOMMU", alloc_viommu, destroy_made);
	no_point("DESTROY of a vDEVICE", alloc_vdevice, destroy_made);
	no_point("DESTROY of a HW_QUEUE", alloc_hw_queue, destroy_made);
	no_point("DESTROY of a vIOMMU's hwpt", alloc_virtual, destroy_made);
	no_point("DESTROY of a mock device", mock_device, destroy_made);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_vtd),
		TEST(test_vtd_taking_away),
		TEST(test_mock),
		TEST(test_mock_taking_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
