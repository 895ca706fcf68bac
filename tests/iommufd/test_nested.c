/* SPDX-License-Identifier: MIT */
/*
 * VT-d nested hwpts: what is refused, and in which order; DMA through both stages; what
 * an invalidation does and answers; that the parent's unmap and a revoke cut nested DMA;
 * and what else a unit with nesting changes.
 */
#include "nested.h"

#include <sys/mman.h>
#include <unistd.h>

#define IOVA ((uint64_t)0x7f0000000000)

static uint64_t read_qword(struct dma_channel *ch, uint64_t iova)
{
	uint64_t v = INVALID;

	return dma_read(ch, iova, &v, sizeof(v), NULL) ? INVALID : v;
}

static void put(struct guest *g, uint64_t gpa, uint64_t v)
{
	memcpy(g->mem + gpa, &v, sizeof(v));
}

/* ---- making one ----------------------------------------------------------------------
 */

static void refusals(void **state)
{
	struct fixture *fx = *state;
	struct guest g;
	struct fake_device plain;
	uint32_t id, other;

	guest_begin(&g, fx, NULL);
	assert_err(nest(&g, (struct nest_args){.type = 7}, NULL), EOPNOTSUPP);
	assert_err(
		nest(&g, (struct nest_args){.flags = IOMMU_HWPT_ALLOC_NEST_PARENT}, NULL),
		EOPNOTSUPP);
	assert_err(nest(&g, (struct nest_args){.len = 23}, NULL), EINVAL);
	assert_err(nest(&g, (struct nest_args){.len = 25}, NULL), EINVAL);
	/* Not a parent: of either stage. */
	assert_ok(hwpt_alloc(fx, 0, g.d.id, g.ioas, &other));
	assert_err(nest(&g, (struct nest_args){.pt = other}, NULL), EINVAL);
	assert_err(nest(&g, (struct nest_args){.pt = other, .type = 7}, NULL), EINVAL);
	assert_err(nest(&g, (struct nest_args){.pt = 99}, NULL), EINVAL);
	assert_ok(nest(&g, (struct nest_args){.flags = IOMMU_HWPT_ALLOC_PASID}, &id));
	assert_err(destroy(fx, g.parent), EBUSY);
	assert_err(nest(&g, (struct nest_args){.pt = id}, NULL), EINVAL);
	/* On a nested one there is nothing to invalidate by another type, nor on a paging
	 * one at all. */
	assert_err(guest_invalidate(&g, g.parent), EINVAL);
	assert_err(guest_invalidate(&g, 99), ENOENT);
	assert_ok(destroy(fx, id));
	guest_end(&g);

	/* A unit without. */
	device_init(&plain, NULL);
	assert_ok(device_bind(fx, &plain));
	assert_err(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_NEST_PARENT, plain.id, g.ioas, NULL),
		   EOPNOTSUPP);
	g.d.id = plain.id;
	assert_err(nest(&g, (struct nest_args){0}, NULL), EOPNOTSUPP);
	assert_err(device_attach(&plain, g.parent, NULL), EINVAL);
	device_unbind(&plain);
}

/* What the guest wants of its table is looked at when a device comes. */
static void attaching(void **state)
{
	static const uint32_t widths[] = {57, 39, 0xffffffff};
	struct fixture *fx = *state;
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};
	struct guest g;
	uint32_t id, hwpt;

	guest_begin(&g, fx, NULL);
	guest_map(&g, IOVA, 0, GUEST_RW);
	assert_ok(device_attach(&g.d, g.parent, NULL));
	for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
		assert_ok(nest(&g, (struct nest_args){.width = widths[i]}, &id));
		assert_err(device_attach(&g.d, id, NULL), EINVAL);
		assert_true(can_read(&g.d, 0));
		assert_ok(destroy(fx, id));
	}
	/* Requests of devices have no privilege, whatever they might have had. */
	assert_ok(
		nest(&g,
		     (struct nest_args){.s1_flags = IOMMU_VTD_S1_SRE | IOMMU_VTD_S1_WPE |
						    IOMMU_VTD_S1_EAFE},
		     &id));
	assert_ok(device_attach(&g.d, id, &hwpt));
	assert_int_equal(hwpt, id);
	assert_true(can_read(&g.d, IOVA));
	assert_false(can_read(&g.d, 0));
	assert_err(destroy(fx, id), EBUSY);
	assert_ok(device_attach(&g.d, g.parent, NULL));
	assert_false(can_read(&g.d, IOVA));
	assert_ok(destroy(fx, id));

	/* The device asks for no pages. */
	assert_ok(call(fx, IOMMU_FAULT_QUEUE_ALLOC, &fault));
	assert_ok(nest(&g,
		       (struct nest_args){.flags = IOMMU_HWPT_FAULT_ID_VALID,
					  .fault = fault.out_fault_id,
					  .width = 57},
		       &id));
	assert_err(device_attach(&g.d, id, NULL), ENODEV);
	assert_ok(destroy(fx, id));
	close((int)fault.out_fault_fd);
	guest_end(&g);
}

/* Its reserved ranges are those of the parent's IOAS. */
static void reserves(void **state)
{
	struct fixture *fx = *state;
	struct map m = {.flags = RW | FIXED, .length = PAGE, .iova = MSI};
	struct guest g;
	uint32_t id;

	guest_begin(&g, fx, NULL);
	m.ioas = g.ioas;
	m.fd = g.fd;
	assert_ok(nest(&g, (struct nest_args){0}, &id));
	assert_ok(device_attach(&g.d, id, NULL));
	assert_err(map_file(fx, m, NULL), EINVAL);
	iommufd_device_detach(g.d.dev);
	assert_ok(map_file(fx, m, NULL));
	assert_err(device_attach(&g.d, id, NULL), EADDRINUSE);
	guest_end(&g);
}

/* ---- DMA, and invalidating ----------------------------------------------------------
 */

static void dma(void **state)
{
	struct dma_channel *ch = malloc(sizeof(*ch));
	struct guest g;
	uint32_t id;
	uint64_t v = 7;

	assert_non_null(ch);
	guest_begin(&g, *state, NULL);
	assert_ok(nest(&g, (struct nest_args){0}, &id));
	assert_ok(device_attach(&g.d, id, NULL));
	dma_channel_init(ch, &g.d.requester);
	for (unsigned i = 0; i < 16; i++) {
		guest_map(&g, IOVA + i * PAGE, (31 - i) * PAGE, GUEST_RW);
		put(&g, (31 - i) * PAGE, 100 + i);
	}
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(read_qword(ch, IOVA + i * PAGE), 100 + i);
	assert_ok(dma_write(ch, IOVA + 3 * PAGE, &v, sizeof(v), NULL));
	assert_int_equal(*(uint64_t *)(void *)(g.mem + 28 * PAGE), 7);

	/* Another page at the same IOVA is seen once the guest has said so. */
	put(&g, 40 * PAGE, 40);
	assert_int_equal(read_qword(ch, IOVA), 100);
	guest_map(&g, IOVA, 40 * PAGE, GUEST_RW);
	assert_int_equal(read_qword(ch, IOVA), 100);
	assert_ok(guest_invalidate(&g, id));
	assert_int_equal(read_qword(ch, IOVA), 40);
	guest_end(&g);
	free(ch);
}

struct inv_case {
	struct iommu_hwpt_vtd_s1_invalidate v[3];
	long err;
	uint32_t done;
};

static void invalidation(void **state)
{
	static const struct inv_case cases[] = {
		{{{0}, {.addr = PAGE, .npages = 3}, {.npages = UINT64_MAX}}, 0, 3},
		{{{.flags = IOMMU_VTD_INV_FLAGS_LEAF}, {.flags = 2}, {0}}, EOPNOTSUPP, 1},
		{{{0}, {0}, {.__reserved = 1}}, EOPNOTSUPP, 2},
		{{{.addr = 1, .npages = 1}, {0}, {0}}, EINVAL, 0},
		{{{0}, {.addr = PAGE, .npages = UINT64_MAX}, {0}}, EINVAL, 1},
		/* The flags come first. */
		{{{.addr = 1, .flags = 4}, {0}, {0}}, EOPNOTSUPP, 0},
	};
	struct fixture *fx = *state;
	struct iommu_hwpt_invalidate cmd;
	struct guest g;
	uint32_t id;

	guest_begin(&g, fx, NULL);
	assert_ok(nest(&g, (struct nest_args){0}, &id));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cmd = (struct iommu_hwpt_invalidate){
			.size = sizeof(cmd),
			.hwpt_id = id,
			.data_uptr = (uintptr_t)cases[i].v,
			.entry_len = sizeof(cases[i].v[0]),
			.entry_num = 3,
		};
		assert_err(call(fx, IOMMU_HWPT_INVALIDATE, &cmd), cases[i].err);
		assert_int_equal(cmd.entry_num, cases[i].done);
	}
	cmd.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
	cmd.entry_num = 3;
	assert_err(call(fx, IOMMU_HWPT_INVALIDATE, &cmd), EINVAL);
	assert_int_equal(cmd.entry_num, 0);
	cmd.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1;
	assert_ok(call(fx, IOMMU_HWPT_INVALIDATE, &cmd));
	cmd.entry_num = 1;
	cmd.entry_len = 16;
	assert_err(call(fx, IOMMU_HWPT_INVALIDATE, &cmd), EINVAL);
	cmd.entry_num = 1;
	cmd.entry_len = sizeof(cases[0].v[0]);
	cmd.data_uptr = 8;
	assert_err(call(fx, IOMMU_HWPT_INVALIDATE, &cmd), EFAULT);
	assert_int_equal(cmd.entry_num, 0);
	guest_end(&g);
}

/* ---- taking away ---------------------------------------------------------------------
 */

static void unmapping(void **state)
{
	struct fixture *fx = *state;
	struct dma_channel *ch = malloc(sizeof(*ch));
	uint64_t done;
	struct guest g;
	uint32_t id;

	assert_non_null(ch);
	guest_begin(&g, fx, NULL);
	assert_ok(map_file(fx,
			   (struct map){.ioas = g.ioas,
					.flags = RW | FIXED,
					.fd = g.fd,
					.length = PAGE,
					.iova = 64 * GUEST_BYTES},
			   NULL));
	assert_ok(nest(&g, (struct nest_args){0}, &id));
	assert_ok(device_attach(&g.d, id, NULL));
	dma_channel_init(ch, &g.d.requester);
	guest_map(&g, IOVA, 64 * GUEST_BYTES, GUEST_RW);
	put(&g, 0, 5);
	assert_int_equal(read_qword(ch, IOVA), 5);
	assert_ok(unmap(fx, g.ioas, 64 * GUEST_BYTES, PAGE, &done));
	assert_int_equal(read_qword(ch, IOVA), INVALID);
	/* The tables, too. */
	guest_map(&g, IOVA, PAGE, GUEST_RW);
	put(&g, PAGE, 6);
	assert_int_equal(read_qword(ch, IOVA), 6);
	assert_ok(unmap_all(fx, g.ioas, &done));
	assert_int_equal(read_qword(ch, IOVA), INVALID);
	guest_end(&g);
	free(ch);
}

/* A peer's memory, at a GPA of the guest's, taken back by the peer. */
static void revoking(void **state)
{
	struct fixture *fx = *state;
	struct fake_buf b;
	struct guest g;
	uint32_t id;

	guest_begin(&g, fx, NULL);
	buf_create(fx, &b, 4 * PAGE, 1);
	assert_ok(map_file(fx,
			   (struct map){.ioas = g.ioas,
					.flags = RW | FIXED,
					.fd = b.fd,
					.length = 4 * PAGE,
					.iova = 64 * GUEST_BYTES},
			   NULL));
	assert_ok(nest(&g, (struct nest_args){0}, &id));
	assert_ok(device_attach(&g.d, id, NULL));
	guest_map(&g, IOVA, 64 * GUEST_BYTES + PAGE, GUEST_RW);
	assert_true(can_read(&g.d, IOVA));
	assert_true(can_write(&g.d, IOVA));
	dmabuf_revoke(b.buf);
	assert_false(can_read(&g.d, IOVA));
	device_unbind(&g.d);
	assert_ok(unmap_all(fx, g.ioas, NULL));
	buf_destroy(&b);
	guest_end(&g);
}

/* ---- what else a unit with nesting changes -------------------------------------------
 */

static uint64_t last_iova(struct fixture *fx, uint32_t ioas)
{
	struct iommu_iova_range v[4];
	uint32_t n;

	assert_ok(iova_ranges(fx, ioas, v, 4, &n, NULL));
	return v[n - 1].last;
}

static void stages(void **state)
{
	struct fixture *fx = *state;
	struct iommufd_unit_config unit;
	struct guest g;
	uint32_t first, second, ioas = ioas_alloc(fx), ro = ioas_alloc(fx);

	iommufd_unit_defaults(&unit, IOMMUFD_UNIT_VTD);
	unit.nesting = unit.dirty = true;
	unit.width = 40;
	guest_begin(&g, fx, &unit);
	/* What needs nothing of a second stage is a first stage: the lower half. */
	assert_ok(hwpt_alloc(fx, 0, g.d.id, ioas, &first));
	assert_int_equal(last_iova(fx, ioas), ((uint64_t)1 << 39) - 1);
	assert_ok(destroy(fx, first));
	assert_ok(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, g.d.id, ioas, &second));
	assert_int_equal(last_iova(fx, ioas), ((uint64_t)1 << 40) - 1);

	/* Parents hold nothing that cannot be written. */
	assert_ok(map_file(fx,
			   (struct map){.ioas = ro,
					.flags = IOMMU_IOAS_MAP_READABLE,
					.fd = g.fd,
					.length = PAGE},
			   NULL));
	assert_err(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_NEST_PARENT, g.d.id, ro, NULL),
		   EINVAL);
	assert_ok(hwpt_alloc(fx, 0, g.d.id, ro, NULL));
	assert_err(map_file(fx,
			    (struct map){.ioas = g.ioas,
					 .flags = IOMMU_IOAS_MAP_READABLE,
					 .fd = g.fd,
					 .length = PAGE},
			    NULL),
		   EINVAL);
	guest_end(&g);
}

static void hw_info(void **state)
{
	struct fixture *fx = *state;
	struct iommu_hw_info_vtd vtd;
	struct iommu_hw_info cmd = {.size = sizeof(cmd),
				    .data_len = sizeof(vtd),
				    .data_uptr = (uintptr_t)&vtd};
	struct iommufd_unit_config unit;
	struct guest g;

	iommufd_unit_defaults(&unit, IOMMUFD_UNIT_VTD);
	unit.nesting = true;
	unit.snoop = true;
	unit.pasid_bits = 20;
	unit.page_requests = true;
	unit.width = 39;
	guest_begin(&g, fx, &unit);
	cmd.dev_id = g.d.id;
	assert_ok(call(fx, IOMMU_GET_HW_INFO, &cmd));
	assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_INTEL_VTD);
	assert_int_equal(cmd.out_capabilities, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	assert_int_equal(cmd.out_max_pasid_log2, 0);
	assert_int_equal(vtd.cap_reg >> 8 & 0x1f, 2);
	assert_int_equal((vtd.cap_reg >> 16 & 0x3f) + 1, 39);
	assert_int_equal(vtd.cap_reg >> 56 & 1, 1);
	assert_int_equal(vtd.cap_reg >> 60 & 1, 0);
	assert_int_equal(vtd.ecap_reg >> 7 & 1, 1);
	assert_int_equal(vtd.ecap_reg >> 26 & 1, 1);
	assert_int_equal(vtd.ecap_reg >> 29 & 1, 1);
	assert_int_equal(vtd.ecap_reg >> 35 & 0x1f, 19);
	assert_int_equal(vtd.ecap_reg >> 40 & 1, 1);
	assert_int_equal(vtd.ecap_reg >> 43 & 0x3f, 0x39); /* SMTS, SLTS, FLTS, SMPWC */
	guest_end(&g);
}

/* Devices behind other units use a page table if their unit can do what it needs. */
static void several_units(void **state)
{
	struct fixture *fx = *state;
	struct iommufd_unit_config plain, snoops, narrow, amd;
	struct fake_device d[4];
	uint32_t ioas = ioas_alloc(fx), hwpt, again;

	iommufd_unit_defaults(&plain, IOMMUFD_UNIT_VTD);
	iommufd_unit_defaults(&amd, IOMMUFD_UNIT_AMD);
	snoops = narrow = plain;
	snoops.snoop = true;
	narrow.width = 40;
	for (unsigned i = 0; i < 4; i++) {
		const struct iommufd_unit_config *const of[] = {&plain, &snoops, &narrow,
								&amd};

		device_init(&d[i], NULL);
		device_behind(&d[i], of[i]);
		assert_ok(device_bind(fx, &d[i]));
	}
	/* One that does not snoop may serve who could; not the other way around. */
	assert_ok(hwpt_alloc(fx, 0, d[0].id, ioas, &hwpt));
	assert_ok(device_attach(&d[1], hwpt, NULL));
	assert_err(device_attach(&d[2], hwpt, NULL), EINVAL);
	assert_err(device_attach(&d[3], hwpt, NULL), EINVAL);
	iommufd_device_detach(d[1].dev);
	assert_ok(destroy(fx, hwpt));
	assert_ok(hwpt_alloc(fx, 0, d[1].id, ioas, &hwpt));
	assert_err(device_attach(&d[0], hwpt, NULL), EINVAL);
	assert_ok(destroy(fx, hwpt));

	/* By themselves they share what they can. */
	assert_ok(device_attach(&d[1], ioas, &hwpt));
	assert_ok(device_attach(&d[0], ioas, &again));
	assert_int_not_equal(hwpt, again);
	iommufd_device_detach(d[1].dev);
	assert_ok(device_attach(&d[1], ioas, &hwpt));
	assert_int_equal(hwpt, again);
	assert_ok(device_attach(&d[2], ioas, &hwpt));
	assert_int_not_equal(hwpt, again);
	assert_ok(device_attach(&d[3], ioas, &hwpt));
	assert_int_not_equal(hwpt, again);
	assert_int_equal(last_iova(fx, ioas), 0xfcffffffff);
	for (unsigned i = 0; i < 4; i++)
		device_unbind(&d[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refusals),     TEST(attaching),     TEST(reserves), TEST(dma),
		TEST(invalidation), TEST(unmapping),     TEST(revoking), TEST(stages),
		TEST(hw_info),      TEST(several_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
