/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU's page table: three levels of 512 entries over a granule of 2 KiB, less
 * than the CPU's page, so that nothing may take the two for the same; every power of two
 * is a page size, by joined entries.
 *
 *	bit 0, 1   readable, writable; neither: not present
 *	bit 2	   device memory
 *	bit 3	   a page (on level 0 every entry is)
 *	bits 7:4   it is one of 2^n joined entries
 *	bit 8	   dirty
 *	bits 51:11 address
 */
#include "core/pt_inline.h"
#include "selftest/mock.h"

#define MOCK_PAGE       ((uint64_t)1 << 3)
#define MOCK_ORDER      4
#define MOCK_ORDER_MASK ((uint64_t)0xf << MOCK_ORDER)
#define MOCK_DIRTY      ((uint64_t)1 << 8)
#define MOCK_ADDRESS    ((((uint64_t)1 << 52) - 1) & ~(uint64_t)2047)
#define MOCK_PROT       ((uint64_t)(PT_READ | PT_WRITE | PT_MMIO))

static inline bool mock_present(uint64_t entry)
{
	return entry & (PT_READ | PT_WRITE);
}

static inline bool mock_is_page(uint64_t entry, unsigned level)
{
	return level == 0 || (entry & MOCK_PAGE);
}

static inline uint64_t mock_address(uint64_t entry, unsigned level)
{
	return entry & MOCK_ADDRESS;
}

static inline uint64_t mock_make_page(uint64_t spa, unsigned level, unsigned prot)
{
	return spa | (prot & MOCK_PROT) | MOCK_PAGE;
}

static inline uint64_t mock_make_table(uint64_t spa, unsigned level)
{
	return spa | PT_READ | PT_WRITE;
}

static inline unsigned mock_prot(uint64_t entry)
{
	return (unsigned)(entry & MOCK_PROT);
}

static uint64_t mock_join(uint64_t entry, unsigned level, unsigned order)
{
	return entry | (uint64_t)order << MOCK_ORDER;
}

static unsigned mock_order(uint64_t entry, unsigned level)
{
	return (unsigned)((entry & MOCK_ORDER_MASK) >> MOCK_ORDER);
}

static bool mock_walk(const pt_entry *root, uint64_t iova, struct pt_translation *out)
{
	return pt_walk_format(&mock_pt, root, iova, out);
}

const struct pt_format mock_pt = {
	.name = "mock",
	.levels = 3,
	.page_shift = 11,
	.index_bits = 9,
	.iova_bits = 38,
	/* 2 KiB to 64 GiB */
	.page_sizes = (((uint64_t)1 << 37) - 1) & ~(uint64_t)2047,
	.present = mock_present,
	.is_page = mock_is_page,
	.address = mock_address,
	.make_page = mock_make_page,
	.make_table = mock_make_table,
	.prot = mock_prot,
	.join = mock_join,
	.order = mock_order,
	.dirty = MOCK_DIRTY,
	.walk = mock_walk,
};
