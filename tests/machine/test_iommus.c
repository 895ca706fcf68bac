/* SPDX-License-Identifier: MIT */
/*
 * What a machine's IOMMUs do for real devices: a copy engine behind a described unit,
 * driven through VFIO. PASIDs, a guest's tables, AMD's page tables with their dirty bits,
 * messages that are translated, coherency.
 */
#include "iommu_rig.h"

/* ---- PASIDs -------------------------------------------------------------------------
 */

static void test_pasid(void **state)
{
	struct iommu_hw_info info = {.size = sizeof(info)};
	struct iommu_hwpt_alloc args = {.flags = IOMMU_HWPT_ALLOC_PASID};
	uint32_t own, a, b, other, plain;
	unsigned char *there = shared(DATA_BYTES);
	struct rig r;

	begin(&r, "vtd,pasid=8", "copy-engine");
	info.dev_id = r.devid;
	ok(call(&r, IOMMU_GET_HW_INFO, &info));
	assert_int_equal(info.out_max_pasid_log2, 8);
	other = ioas_alloc(&r);
	ok(map(&r, other, there, DATA_BYTES, DATA_IOVA));
	args.pt_id = r.ioas;
	own = hwpt(&r, args);
	a = hwpt(&r, args);
	args.pt_id = other;
	b = hwpt(&r, args);
	plain = hwpt(&r, (struct iommu_hwpt_alloc){.pt_id = other});

	fails(attach_pasid(&r, 256, b), EINVAL);
	fails(attach_pasid(&r, 0, b), EINVAL);
	fails(attach_pasid(&r, 5, plain), EINVAL);
	fails(attach_pasid(&r, 5, other), EINVAL);
	fails(attach_pasid(&r, 5, 999), ENOENT);
	fails(attach_pasid(&r, 0x80000000, b), ENOSPC);
	ok(detach_pasid(&r, 5));

	ok(attach(&r, own, NULL));
	start(&r);
	memset(r.data, 1, 64);
	memset(there, 2, 64);
	assert_int_equal(copy_by(&r, 5, DATA_IOVA + 64, DATA_IOVA, 64), -EIO);
	assert_int_equal(fault_code(&r), CE_CODE_BLOCKED);
	ok(attach_pasid(&r, 5, b));
	ok(copy_by(&r, 5, DATA_IOVA + 64, DATA_IOVA, 64));
	assert_int_equal(there[64], 2);
	assert_int_equal(r.data[64], 0);
	/* Again is replacing. */
	ok(attach_pasid(&r, 5, a));
	ok(copy_by(&r, 5, DATA_IOVA + 64, DATA_IOVA, 64));
	assert_int_equal(r.data[64], 1);
	ok(attach_pasid(&r, 6, b));
	ok(copy_by(&r, 6, DATA_IOVA + 128, DATA_IOVA, 64));
	assert_int_equal(there[128], 2);
	fails(destroy(&r, b), EBUSY);

	/* What is unmapped is gone for it, too. */
	ok(unmap(&r, other, DATA_IOVA, DATA_BYTES));
	assert_int_equal(copy_by(&r, 6, DATA_IOVA + 128, DATA_IOVA, 64), -EIO);
	assert_int_equal(fault_code(&r), CE_CODE_UNMAPPED);
	ok(detach_pasid(&r, 6));
	ok(detach_pasid(&r, 6));
	assert_int_equal(copy_by(&r, 6, DATA_IOVA + 128, DATA_IOVA, 64), -EIO);
	assert_int_equal(fault_code(&r), CE_CODE_BLOCKED);
	ok(destroy(&r, b));
	/* PASID 5 is still attached when the device is closed. */
	end(&r);
	munmap(there, DATA_BYTES);
}

/* A unit without them: attaching works, as on Linux, and nothing comes by one. */
static void test_no_pasid(void **state)
{
	struct iommu_hwpt_alloc args = {.flags = IOMMU_HWPT_ALLOC_PASID};
	struct rig r;
	uint32_t a;

	begin(&r, "vtd", "copy-engine");
	args.pt_id = r.ioas;
	a = hwpt(&r, args);
	ok(attach(&r, a, NULL));
	ok(attach_pasid(&r, 5, a));
	start(&r);
	assert_int_equal(copy_by(&r, 5, DATA_IOVA + 64, DATA_IOVA, 64), -EIO);
	assert_int_equal(fault_code(&r), CE_CODE_BLOCKED);
	end(&r);
}

/* ---- a guest's tables -----------------------------------------------------------------
 */

#define GUEST_BYTES ((size_t)2 << 20)
#define GUEST_ROOT  ((uint64_t)1 << 20)

/* IOVAs of one table of each level. */
static void guest_map(unsigned char *mem, uint64_t iova, uint64_t gpa)
{
	for (unsigned level = 3; level > 0; level--) {
		_Atomic uint64_t *e = (void *)(mem + GUEST_ROOT + (3 - level) * PAGE);

		e[iova >> (12 + 9 * level) & 511] = (GUEST_ROOT + (4 - level) * PAGE) | 7;
	}
	((_Atomic uint64_t *)(void *)(mem + GUEST_ROOT + 3 * PAGE))[iova >> 12 & 511] =
		gpa | 7;
}

static long invalidate(struct rig *r, uint32_t id)
{
	struct iommu_hwpt_vtd_s1_invalidate all = {.npages = UINT64_MAX};
	struct iommu_hwpt_invalidate cmd = {.size = sizeof(cmd),
					    .hwpt_id = id,
					    .data_uptr = (uintptr_t)&all,
					    .entry_len = sizeof(all),
					    .entry_num = 1};

	return call(r, IOMMU_HWPT_INVALIDATE, &cmd);
}

/* As a VMM does it: the guest's memory, private to the process or not, is the parent. */
static void nested(int flags)
{
	struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = GUEST_ROOT, .addr_width = 48};
	unsigned char *mem = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE,
				  flags | MAP_ANONYMOUS, -1, 0);
	uint32_t guest, parent, stage;
	struct rig r;

	assert_ptr_not_equal(mem, MAP_FAILED);
	begin(&r, "vtd,nesting=on,pasid=20", "copy-engine");
	guest = ioas_alloc(&r);
	ok(map(&r, guest, mem, GUEST_BYTES, 0));
	parent = hwpt(&r, (struct iommu_hwpt_alloc){
				  .pt_id = guest, .flags = IOMMU_HWPT_ALLOC_NEST_PARENT});
	stage = hwpt(&r, (struct iommu_hwpt_alloc){.pt_id = parent,
						   .flags = IOMMU_HWPT_ALLOC_PASID,
						   .data_type = IOMMU_HWPT_DATA_VTD_S1,
						   .data_len = sizeof(s1),
						   .data_uptr = (uintptr_t)&s1});
	guest_map(mem, RING_IOVA, 0x5000);
	guest_map(mem, RING_IOVA + PAGE, 0x9000);
	ok(attach(&r, stage, NULL));
	/* The ring is the guest's, at an address of the guest's. */
	munmap(r.ring, PAGE);
	r.ring = mem + 0x5000;
	start(&r);
	memset(mem + 0x9000, 0x77, 64);
	ok(execute(&r, (struct ce_desc){.opcode = CE_OP_COPY,
					.src = RING_IOVA + PAGE,
					.dst = RING_IOVA + PAGE + 64,
					.length = 64}));
	assert_int_equal(mem[0x9000 + 127], 0x77);
	guest_map(mem, RING_IOVA + PAGE, 0xb000);
	ok(invalidate(&r, stage));
	ok(execute(&r, (struct ce_desc){.opcode = CE_OP_FILL,
					.src = 0x11,
					.dst = RING_IOVA + PAGE,
					.length = 8}));
	assert_int_equal(mem[0xb000], 0x11);
	/* By a PASID as well. */
	ok(attach_pasid(&r, 9, stage));
	ok(copy_by(&r, 9, RING_IOVA + PAGE + 8, RING_IOVA + PAGE, 8));
	assert_int_equal(mem[0xb008], 0x11);
	ok(unmap(&r, guest, 0, GUEST_BYTES));
	assert_int_equal(execute(&r, (struct ce_desc){.opcode = CE_OP_NOP}), -EIO);
	assert_int_equal(fault_code(&r), CE_CODE_UNMAPPED);
	r.ring = shared(PAGE);
	end(&r);
	munmap(mem, GUEST_BYTES);
}

static void test_nested(void **state)
{
	nested(MAP_SHARED);
}

static void test_nested_private(void **state)
{
	nested(MAP_PRIVATE);
}

/* ---- AMD ------------------------------------------------------------------------------
 */

static void test_amd(void **state)
{
	struct iommu_hw_info_amd amd;
	struct iommu_hw_info info = {.size = sizeof(info),
				     .data_len = sizeof(amd),
				     .data_uptr = (uintptr_t)&amd};
	struct iommu_hwpt_set_dirty_tracking track = {
		.size = sizeof(track), .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};
	uint64_t bits = 0;
	struct iommu_hwpt_get_dirty_bitmap get = {.size = sizeof(get),
						  .iova = DATA_IOVA,
						  .length = DATA_BYTES,
						  .page_size = PAGE,
						  .data = (uintptr_t)&bits};
	struct iommu_hwpt_alloc no = {.size = sizeof(no),
				      .flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
	struct rig r;
	uint32_t id;

	begin(&r, "amd,dirty=on", "copy-engine");
	info.dev_id = r.devid;
	ok(call(&r, IOMMU_GET_HW_INFO, &info));
	assert_int_equal(info.out_data_type, IOMMU_HW_INFO_TYPE_AMD);
	assert_true(amd.efr >> 52 & 1);
	assert_true(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	no.dev_id = r.devid;
	no.pt_id = r.ioas;
	fails(call(&r, IOMMU_HWPT_ALLOC, &no), EOPNOTSUPP);
	no.flags = IOMMU_HWPT_ALLOC_PASID;
	fails(call(&r, IOMMU_HWPT_ALLOC, &no), EOPNOTSUPP);
	id = hwpt(&r, (struct iommu_hwpt_alloc){
			      .pt_id = r.ioas, .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING});
	ok(attach(&r, id, NULL));
	track.hwpt_id = get.hwpt_id = id;
	ok(call(&r, IOMMU_HWPT_SET_DIRTY_TRACKING, &track));
	start(&r);
	ok(execute(&r, (struct ce_desc){.opcode = CE_OP_FILL,
					.src = 0x5555,
					.dst = DATA_IOVA + 9 * PAGE,
					.length = 8}));
	assert_int_equal(r.data[9 * PAGE], 0x55);
	ok(call(&r, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	/* The page is one of those that make up the 64 pages. */
	assert_true(bits >> 9 & 1);
	bits = 0;
	ok(call(&r, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	assert_int_equal(bits, 0);
	ok(unmap(&r, r.ioas, DATA_IOVA, DATA_BYTES));
	assert_int_equal(poke(&r, DATA_IOVA), -EIO);
	end(&r);
}

/* ---- reserved ranges, and messages that are translated --------------------------------
 */

#define SW_MSI ((uint64_t)0x8000000)

static long set_irqs(struct rig *r, int event)
{
	struct {
		struct vfio_irq_set h;
		int32_t fds[1];
	} cmd = {
		.h = {.argsz = sizeof(cmd),
		      .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		      .index = VFIO_PCI_MSIX_IRQ_INDEX,
		      .count = 1},
		.fds = {event},
	};

	return device_call(r, VFIO_DEVICE_SET_IRQS, &cmd);
}

static unsigned iova_ranges(struct rig *r, uint32_t ioas, struct iommu_iova_range v[8])
{
	struct iommu_ioas_iova_ranges cmd = {.size = sizeof(cmd),
					     .ioas_id = ioas,
					     .num_iovas = 8,
					     .allowed_iovas = (uintptr_t)v};

	ok(call(r, IOMMU_IOAS_IOVA_RANGES, &cmd));
	return cmd.num_iovas;
}

static void test_sw_msi(void **state)
{
	struct iommu_iova_range v[8], allowed = {0, 0xfffffff};
	struct iommu_ioas_allow_iovas allow = {.size = sizeof(allow),
					       .num_iovas = 1,
					       .allowed_iovas = (uintptr_t)&allowed};
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};
	uint32_t first, other;
	struct rig r;
	int event = eventfd(0, EFD_CLOEXEC);

	begin(&r, "vtd,sw-msi=on,reserved=0x7000000-0x7000fff", "copy-engine");
	other = ioas_alloc(&r);
	allow.ioas_id = other;
	ok(call(&r, IOMMU_IOAS_ALLOW_IOVAS, &allow));
	/* An IOAS in which they are promised to be free will not do. */
	fails(attach(&r, other, NULL), EADDRINUSE);
	allow.num_iovas = 0;
	ok(call(&r, IOMMU_IOAS_ALLOW_IOVAS, &allow));
	ok(map(&r, other, r.data, PAGE, SW_MSI + 0xff000));
	fails(attach(&r, other, NULL), EADDRINUSE);
	ok(unmap(&r, other, SW_MSI + 0xff000, PAGE));

	/* x86's window is memory like any other. */
	ok(map(&r, r.ioas, r.data, PAGE, 0xfee00000));
	ok(attach(&r, r.ioas, &first));
	assert_int_equal(iova_ranges(&r, r.ioas, v), 3);
	assert_int_equal(v[0].last, 0x6ffffff);
	assert_int_equal(v[1].start, 0x7001000);
	assert_int_equal(v[1].last, SW_MSI - 1);
	assert_int_equal(v[2].start, SW_MSI + 0x100000);
	fails(map(&r, r.ioas, r.data, PAGE, SW_MSI), EINVAL);
	allow.ioas_id = r.ioas;
	allow.num_iovas = 1;
	fails(call(&r, IOMMU_IOAS_ALLOW_IOVAS, &allow), EADDRINUSE);

	/* The page is mapped from the first interrupt on, and only that page. */
	start(&r);
	ok(poke(&r, 0xfee00000));
	assert_int_equal(poke(&r, SW_MSI), -EIO);
	assert_int_equal(fault_code(&r), CE_CODE_UNMAPPED);
	ok(set_irqs(&r, event));
	ok(poke(&r, SW_MSI + 0x40));
	assert_int_equal(poke(&r, SW_MSI + PAGE), -EIO);
	/* Into whatever the device is attached to. */
	ok(map(&r, other, r.ring, PAGE, RING_IOVA));
	ok(map(&r, other, r.data, PAGE, DATA_IOVA));
	ok(attach(&r, other, NULL));
	ok(poke(&r, SW_MSI + 0x40));
	ok(device_call(&r, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	ok(map(&r, other, r.data, PAGE, SW_MSI));
	fails(attach(&r, other, NULL), EADDRINUSE);
	ok(unmap(&r, other, SW_MSI, PAGE));
	ok(attach(&r, other, NULL));
	ok(poke(&r, SW_MSI + 0x40));
	end(&r);
	close(event);
}

/* ---- coherency ------------------------------------------------------------------------
 */

static void coherent(const char *iommu, long expected)
{
	struct iommu_vfio_ioas compat = {.size = sizeof(compat),
					 .op = IOMMU_VFIO_IOAS_SET};
	struct vfio_group_status status = {.argsz = sizeof(status)};
	int container, group;
	struct rig r;

	begin(&r, iommu, "copy-engine,group=7");
	compat.ioas_id = r.ioas;
	ok(call(&r, IOMMU_VFIO_IOAS, &compat));
	/* Nothing is attached that might not be. */
	assert_int_equal(call(&r, VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU), 1);
	ok(attach(&r, r.ioas, NULL));
	assert_int_equal(call(&r, VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU),
			 expected);
	uiommufd_close(r.m, r.device);

	/* The same by a container, which has the unit's page table. */
	container = uiommufd_open(r.m, "/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	group = uiommufd_open(r.m, "/dev/vfio/7", O_RDWR | O_CLOEXEC);
	assert_true(container >= 0 && group >= 0);
	ok(uiommufd_ioctl(r.m, group, VFIO_GROUP_GET_STATUS, &status));
	assert_int_equal(uiommufd_ioctl(r.m, container, VFIO_CHECK_EXTENSION,
					(void *)VFIO_DMA_CC_IOMMU),
			 0);
	ok(uiommufd_ioctl(r.m, group, VFIO_GROUP_SET_CONTAINER, &container));
	ok(uiommufd_ioctl(r.m, container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	assert_int_equal(uiommufd_ioctl(r.m, container, VFIO_CHECK_EXTENSION,
					(void *)VFIO_DMA_CC_IOMMU),
			 expected);
	uiommufd_close(r.m, group);
	uiommufd_close(r.m, container);
	r.device = open("/dev/null", O_RDWR);
	end(&r);
}

static void test_coherency(void **state)
{
	coherent("vtd", 0);
	coherent("vtd,snoop=on", 1);
	coherent("vtd,snoop=on,nesting=on", 1);
	coherent("amd", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pasid),     cmocka_unit_test(test_no_pasid),
		cmocka_unit_test(test_nested),    cmocka_unit_test(test_nested_private),
		cmocka_unit_test(test_amd),       cmocka_unit_test(test_sw_msi),
		cmocka_unit_test(test_coherency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
