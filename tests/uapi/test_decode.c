/* SPDX-License-Identifier: MIT */
/*
 * Calls as text: each kind of field, cuts, and the field lists of every struct of the
 * two families.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "uapi/decode.h"
#include "uapi/iommufd_fields.h"
#include "uapi/vfio_fields.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"

static long nothing(struct uapi_call *call)
{
	return 0;
}

/* What dispatch would do with these copies. */
static const char *text_of(const struct uapi_entry *e, const void *before,
			   const void *after, size_t n, long result)
{
	static char line[UAPI_TRACE_LINE];
	unsigned char b[UAPI_MAX_STRUCT] = {0}, a[UAPI_MAX_STRUCT] = {0};

	memcpy(b, before, n);
	memcpy(a, after, n);
	uapi_decode(line, sizeof(line), "f", e, 0, b, a, result);
	return line;
}

#define SIZED(cmd, type, last)                                                           \
	{                                                                                \
		cmd, #cmd, UAPI_SIZED,                                                   \
			offsetof(struct type, last) +                                    \
				sizeof(((struct type *)NULL)->last),                     \
			sizeof(struct type), nothing, type##_fields                      \
	}

static const struct uapi_entry iommufd_entries[] = {
	SIZED(IOMMU_DESTROY, iommu_destroy, id),
	SIZED(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd),
	SIZED(IOMMU_GET_HW_INFO, iommu_hw_info, __reserved),
	SIZED(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length),
	SIZED(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, __reserved),
	SIZED(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data),
	SIZED(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved),
	SIZED(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved),
	SIZED(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id),
	SIZED(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas),
	SIZED(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved),
	SIZED(IOMMU_IOAS_COPY, iommu_ioas_copy, src_iova),
	SIZED(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment),
	SIZED(IOMMU_IOAS_MAP, iommu_ioas_map, iova),
	SIZED(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, iova),
	SIZED(IOMMU_IOAS_NOIOMMU_GET_PA, iommu_ioas_noiommu_get_pa, out_phys),
	SIZED(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length),
	SIZED(IOMMU_OPTION, iommu_option, val64),
	SIZED(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id),
	SIZED(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd),
	SIZED(IOMMU_VFIO_IOAS, iommu_vfio_ioas, __reserved),
	SIZED(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id),
};

#define ARGSZ(cmd, type, min, known)                                                     \
	{                                                                                \
		cmd, #cmd, UAPI_ARGSZ, min, known, nothing, type##_fields                \
	}

static const struct uapi_entry vfio_entries[] = {
	ARGSZ(VFIO_GROUP_GET_STATUS, vfio_group_status, 8, 0),
	ARGSZ(VFIO_DEVICE_GET_INFO, vfio_device_info, 16, 24),
	ARGSZ(VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, 32, 0),
	ARGSZ(VFIO_DEVICE_GET_IRQ_INFO, vfio_irq_info, 16, 0),
	ARGSZ(VFIO_DEVICE_SET_IRQS, vfio_irq_set, 20, 0),
	ARGSZ(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, vfio_pci_hot_reset_info, 12, 0),
	ARGSZ(VFIO_DEVICE_PCI_HOT_RESET, vfio_pci_hot_reset, 12, 0),
	ARGSZ(VFIO_DEVICE_IOEVENTFD, vfio_device_ioeventfd, 28, 0),
	ARGSZ(VFIO_DEVICE_FEATURE, vfio_device_feature, 8, 0),
	SIZED(VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, out_devid),
	ARGSZ(VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, 12, 16),
	ARGSZ(VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, 8, 12),
	ARGSZ(VFIO_MIG_GET_PRECOPY_INFO, vfio_precopy_info, 24, 0),
};

/* They share numbers with the device's. */
static const struct uapi_entry type1_entries[] = {
	ARGSZ(VFIO_IOMMU_GET_INFO, vfio_iommu_type1_info, 16, 24),
	ARGSZ(VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map, 32, 0),
	ARGSZ(VFIO_IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap, 24, 0),
	ARGSZ(VFIO_IOMMU_DIRTY_PAGES, vfio_iommu_type1_dirty_bitmap, 8, 0),
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct uapi_entry *entry(uint32_t cmd)
{
	const struct uapi_table iommufd = {"iommufd", iommufd_entries,
					   COUNT(iommufd_entries)};
	const struct uapi_table vfio = {"vfio", vfio_entries, COUNT(vfio_entries)};
	const struct uapi_entry *e = uapi_find(&iommufd, cmd);

	return e ? e : uapi_find(&vfio, cmd);
}

static void field_lists_are_sound(void **state)
{
	const struct uapi_table tables[] = {
		{"iommufd", iommufd_entries, COUNT(iommufd_entries)},
		{"vfio", vfio_entries, COUNT(vfio_entries)},
		{"type1", type1_entries, COUNT(type1_entries)},
	};

	for (unsigned i = 0; i < COUNT(tables); i++) {
		const char *error = uapi_table_error(&tables[i]);

		if (error)
			fail_msg("%s: %s", tables[i].family, error);
	}
}

/* Every byte of an iommufd struct but its size is in the list. */
static void field_lists_are_complete(void **state)
{
	for (unsigned i = 0; i < COUNT(iommufd_entries); i++) {
		const struct uapi_entry *e = &iommufd_entries[i];
		bool covered[UAPI_MAX_STRUCT] = {false};

		for (const struct uapi_field *f = e->fields; f->size; f++)
			memset(covered + f->offset, true, f->size);
		for (unsigned b = 4; b < e->size; b++)
			if (!covered[b] && e->cmd != IOMMU_VEVENTQ_ALLOC)
				fail_msg("%s: byte %u", e->name, b);
	}
}

static void map_file(void **state)
{
	struct iommu_ioas_map_file in = {
		.size = sizeof(in),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE | 0x80,
		.ioas_id = 3,
		.fd = -1,
		.start = 0x1000,
		.length = 0x200000,
	};
	struct iommu_ioas_map_file out = in;

	out.iova = 0x40000000;
	assert_string_equal(
		text_of(entry(IOMMU_IOAS_MAP_FILE), &in, &out, sizeof(in), 0),
		"f IOMMU_IOAS_MAP_FILE {flags=WRITEABLE|READABLE|0x80, ioas_id=3, fd=-1, "
		"start=0x1000, length=0x200000, iova=0x0} = 0 {iova=0x40000000}");
	assert_string_equal(
		text_of(entry(IOMMU_IOAS_MAP_FILE), &in, &in, sizeof(in), -EEXIST),
		"f IOMMU_IOAS_MAP_FILE {flags=WRITEABLE|READABLE|0x80, ioas_id=3, fd=-1, "
		"start=0x1000, length=0x200000, iova=0x0} = -1 EEXIST");
}

/* IOVA_RANGES answers how many there are even when it fails. */
static void failed_calls_show_what_changed(void **state)
{
	struct iommu_ioas_iova_ranges in = {.size = sizeof(in), .ioas_id = 1};
	struct iommu_ioas_iova_ranges out = in;

	out.num_iovas = 2;
	assert_string_equal(
		text_of(entry(IOMMU_IOAS_IOVA_RANGES), &in, &out, sizeof(in), -EMSGSIZE),
		"f IOMMU_IOAS_IOVA_RANGES {ioas_id=1, num_iovas=0, allowed_iovas=0x0} "
		"= -1 EMSGSIZE {num_iovas=2}");
}

static void reserved_fields_show_when_set(void **state)
{
	struct iommu_ioas_change_process p = {.size = sizeof(p)};

	assert_string_equal(
		text_of(entry(IOMMU_IOAS_CHANGE_PROCESS), &p, &p, sizeof(p), 0),
		"f IOMMU_IOAS_CHANGE_PROCESS {} = 0");
	p.size = 4096;
	p.__reserved = 5;
	assert_string_equal(
		text_of(entry(IOMMU_IOAS_CHANGE_PROCESS), &p, &p, sizeof(p), -EOPNOTSUPP),
		"f IOMMU_IOAS_CHANGE_PROCESS {size=4096, __reserved=0x5} "
		"= -1 EOPNOTSUPP");
}

static void small_fields(void **state)
{
	struct iommu_hw_info in = {.size = sizeof(in), .dev_id = 2};
	struct iommu_hw_info out = in;

	in.__reserved[1] = 7;
	out.out_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	out.out_max_pasid_log2 = 20;
	out.out_capabilities = IOMMU_HW_CAP_DIRTY_TRACKING | 1ULL << 40;
	assert_string_equal(
		text_of(entry(IOMMU_GET_HW_INFO), &in, &out, sizeof(in), 0),
		"f IOMMU_GET_HW_INFO {flags=0, dev_id=2, data_len=0, data_uptr=0x0, "
		"in_data_type=NONE, __reserved[1]=0x7} = 0 {data_len=0, "
		"out_data_type=INTEL_VTD, out_max_pasid_log2=20, "
		"out_capabilities=DIRTY_TRACKING|0x10000000000}");
}

static void features(void **state)
{
	struct vfio_device_feature f = {
		.argsz = 24,
		.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
	};

	assert_string_equal(
		text_of(entry(VFIO_DEVICE_FEATURE), &f, &f, sizeof(f), 9),
		"f VFIO_DEVICE_FEATURE {argsz=24, flags=GET, feature=DMA_BUF} = 9");
	f.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | 1u << 19 | 200;
	assert_string_equal(text_of(entry(VFIO_DEVICE_FEATURE), &f, &f, sizeof(f), -999),
			    "f VFIO_DEVICE_FEATURE {argsz=24, flags=PROBE|SET|0x8, "
			    "feature=200} = -1 ?");
}

/* What lies beyond the minimum is the handler's to fetch: only afterwards is it there. */
static void fetched_arguments(void **state)
{
	static const struct uapi_field fields[] = {
		{.name = "pt_id", .offset = 8, .size = 4, .kind = UAPI_DEC},
		{.name = "pasid", .offset = 12, .size = 4, .kind = UAPI_DEC},
		{.name = NULL},
	};
	const struct uapi_entry e = {1, "E", UAPI_ARGSZ, 12, 16, nothing, fields};
	uint32_t before[4] = {16, 0, 5, 0}, after[4] = {16, 0, 6, 77};

	assert_string_equal(text_of(&e, before, after, sizeof(before), 0),
			    "f E {pt_id=5, pasid=77} = 0");
}

static void lines_are_cut(void **state)
{
	struct iommu_ioas_map in = {.size = sizeof(in)};
	unsigned char copy[UAPI_MAX_STRUCT] = {0};
	char whole[UAPI_TRACE_LINE], line[UAPI_TRACE_LINE];
	const struct uapi_entry *e = entry(IOMMU_IOAS_MAP);

	memcpy(copy, &in, sizeof(in));
	uapi_decode(whole, sizeof(whole), "f", e, 0, copy, copy, 0);
	for (size_t cap = 1; cap < sizeof(line); cap++) {
		size_t n = strlen(whole) < cap - 1 ? strlen(whole) : cap - 1;

		memset(line, '#', sizeof(line));
		uapi_decode(line, cap, "f", e, 0, copy, copy, 0);
		assert_int_equal(strlen(line), n);
		assert_memory_equal(line, whole, n);
		assert_int_equal(line[cap], '#');
	}
}

static void errno_names(void **state)
{
	assert_null(uapi_errno_name(-1));
	assert_null(uapi_errno_name(0));
	assert_null(uapi_errno_name(134));
	assert_null(uapi_errno_name(1 << 30));
	assert_string_equal(uapi_errno_name(ENOTTY), "ENOTTY");
	assert_string_equal(uapi_errno_name(EOPNOTSUPP), "EOPNOTSUPP");
	assert_string_equal(uapi_errno_name(EAGAIN), "EAGAIN");
#ifdef __GLIBC__
	for (int e = 1; e < 200; e++) {
		const char *ours = uapi_errno_name(e), *theirs = strerrorname_np(e);

		if (e == EOPNOTSUPP) /* they say ENOTSUP, the same number */
			continue;
		if (!ours || !theirs)
			assert_ptr_equal(ours, theirs);
		else
			assert_string_equal(ours, theirs);
	}
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(field_lists_are_sound),
		cmocka_unit_test(field_lists_are_complete),
		cmocka_unit_test(map_file),
		cmocka_unit_test(failed_calls_show_what_changed),
		cmocka_unit_test(reserved_fields_show_when_set),
		cmocka_unit_test(small_fields),
		cmocka_unit_test(features),
		cmocka_unit_test(fetched_arguments),
		cmocka_unit_test(lines_are_cut),
		cmocka_unit_test(errno_names),
	};

	return cmocka_run_group_tests_name("uapi-decode", tests, NULL, NULL);
}
