/* SPDX-License-Identifier: MIT */
#include "nested.h"

#include <sys/mman.h>
#include <unistd.h>

void guest_begin(struct guest *g, struct fixture *fx,
		 const struct iommufd_unit_config *unit)
{
	struct iommufd_unit_config nesting;

	iommufd_unit_defaults(&nesting, IOMMUFD_UNIT_VTD);
	nesting.nesting = true;
	*g = (struct guest){.fx = fx, .next_table = GUEST_ROOT + PAGE};
	g->fd = memfd(GUEST_BYTES);
	g->mem = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0);
	assert_ptr_not_equal(g->mem, MAP_FAILED);
	g->ioas = ioas_alloc(fx);
	assert_ok(map_file(fx,
			   (struct map){.ioas = g->ioas,
					.flags = RW | FIXED,
					.fd = g->fd,
					.length = GUEST_BYTES},
			   NULL));
	device_init(&g->d, NULL);
	device_behind(&g->d, unit ? unit : &nesting);
	assert_ok(device_bind(fx, &g->d));
	assert_ok(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_NEST_PARENT, g->d.id, g->ioas,
			     &g->parent));
}

void guest_end(struct guest *g)
{
	device_unbind(&g->d);
	munmap(g->mem, GUEST_BYTES);
	close(g->fd);
}

void guest_map(struct guest *g, uint64_t iova, uint64_t gpa, uint64_t bits)
{
	uint64_t table = GUEST_ROOT;

	for (unsigned level = 3;; level--) {
		_Atomic uint64_t *e =
			(_Atomic uint64_t *)(void *)(g->mem + table +
						     (iova >> (12 + 9 * level) & 511) *
							     8);

		if (level == 0) {
			atomic_store(e, gpa | bits);
			return;
		}
		if (!atomic_load(e)) {
			atomic_store(e, g->next_table | GUEST_RW);
			g->next_table += PAGE;
		}
		table = atomic_load(e) & ~(uint64_t)0xfff;
	}
}

long nest(struct guest *g, struct nest_args a, uint32_t *id)
{
	struct iommu_hwpt_vtd_s1 s1 = {
		.flags = a.s1_flags,
		.pgtbl_addr = GUEST_ROOT,
		.addr_width = a.width ? a.width : 48,
	};
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = a.flags,
		.dev_id = g->d.id,
		.pt_id = a.pt ? a.pt : g->parent,
		.data_type = a.type ? a.type : (uint32_t)IOMMU_HWPT_DATA_VTD_S1,
		.data_len = a.len ? a.len : (uint32_t)sizeof(s1),
		.data_uptr = (uintptr_t)&s1,
		.fault_id = a.fault,
	};
	long ret = call(g->fx, IOMMU_HWPT_ALLOC, &cmd);

	if (!ret && id)
		*id = cmd.out_hwpt_id;
	return ret;
}

long guest_invalidate(struct guest *g, uint32_t hwpt)
{
	struct iommu_hwpt_vtd_s1_invalidate all = {.npages = UINT64_MAX};
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt,
		.data_uptr = (uintptr_t)&all,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = sizeof(all),
		.entry_num = 1,
	};

	return call(g->fx, IOMMU_HWPT_INVALIDATE, &cmd);
}
