/* SPDX-License-Identifier: MIT */
/*
 * AMD I/O page tables, version 1 (AMD IOMMU specification, 2.2.3): four levels of 512
 * entries, 48 bits of IOVA. A page may have any power of two as its size but 512 GiB,
 * which hardware gets wrong.
 *
 *	bit 0	   PR: present
 *	bit 1	   ignored by hardware; here: device memory
 *	bit 6	   D: a device has written
 *	bits 11:9  next level: that of the table below; 0 a page as large as the level has
 *		   it; 7 a page whose size is in its address
 *	bits 51:12 address
 *	bit 60	   FC: accesses are coherent
 *	bit 61, 62 IR, IW: readable, writable; permissions of the levels above are anded
 *
 * A page of 2^n bytes in mode 7 has bits n-2 to 12 of its address set and bit n-1 clear,
 * and stands in every entry that it covers, the same in each.
 */
#include "core/pt_inline.h"

#define AMD_PR        ((uint64_t)1 << 0)
#define AMD_MMIO      ((uint64_t)1 << 1)
#define AMD_D         ((uint64_t)1 << 6)
#define AMD_NL_SHIFT  9
#define AMD_NL_MASK   ((uint64_t)7 << AMD_NL_SHIFT)
#define AMD_NL_SIZED  ((uint64_t)7 << AMD_NL_SHIFT)
#define AMD_ADDRESS   ((((uint64_t)1 << 52) - 1) & ~(uint64_t)4095)
#define AMD_FC        ((uint64_t)1 << 60)
#define AMD_IR        ((uint64_t)1 << 61)
#define AMD_IW        ((uint64_t)1 << 62)
#define AMD_PAGE_BITS 12
#define AMD_LEVELS    4

static inline bool amd_present(uint64_t entry)
{
	return entry & AMD_PR;
}

static inline bool amd_is_page(uint64_t entry, unsigned level)
{
	uint64_t next = entry & AMD_NL_MASK;

	return level == 0 || next == 0 || next == AMD_NL_SIZED;
}

/* Of mode 7: the bits that say the size, as a mask of the address. */
static inline uint64_t amd_size_bits(uint64_t entry)
{
	uint64_t page = (entry & AMD_ADDRESS) >> AMD_PAGE_BITS;

	return (page & ~(page + 1)) << AMD_PAGE_BITS;
}

static inline uint64_t amd_address(uint64_t entry, unsigned level)
{
	uint64_t address = entry & AMD_ADDRESS;

	return (entry & AMD_NL_MASK) == AMD_NL_SIZED ? address & ~amd_size_bits(entry)
						     : address;
}

static inline uint64_t amd_make_page(uint64_t spa, unsigned level, unsigned prot)
{
	uint64_t entry = spa | AMD_PR | AMD_FC;

	if (prot & PT_READ)
		entry |= AMD_IR;
	if (prot & PT_WRITE)
		entry |= AMD_IW;
	if (prot & PT_MMIO)
		entry |= AMD_MMIO;
	return entry;
}

static inline uint64_t amd_make_table(uint64_t spa, unsigned level)
{
	return spa | AMD_PR | AMD_IR | AMD_IW | (uint64_t)level << AMD_NL_SHIFT;
}

static inline unsigned amd_prot(uint64_t entry)
{
	unsigned prot = entry & AMD_IR ? PT_READ : 0;

	if (entry & AMD_IW)
		prot |= PT_WRITE;
	return entry & AMD_MMIO ? prot | PT_MMIO : prot;
}

static uint64_t amd_join(uint64_t entry, unsigned level, unsigned order)
{
	uint64_t bytes = (uint64_t)1 << (AMD_PAGE_BITS + 9 * level + order);
	uint64_t size = (bytes / 2 - 1) & AMD_ADDRESS;

	return (entry & ~((bytes - 1) & AMD_ADDRESS)) | size | AMD_NL_SIZED;
}

static inline unsigned amd_order(uint64_t entry, unsigned level)
{
	uint64_t ones = amd_size_bits(entry) >> AMD_PAGE_BITS;
	unsigned bits = 1;

	if ((entry & AMD_NL_MASK) != AMD_NL_SIZED)
		return 0;
	while (ones >> (bits - 1))
		bits++;
	return bits - 9 * level;
}

static bool amd_walk(const pt_entry *root, uint64_t iova, struct pt_translation *out)
{
	return pt_walk_format(&pt_amd_v1, root, iova, out);
}

const struct pt_format pt_amd_v1 = {
	.name = "amd-v1",
	.levels = AMD_LEVELS,
	.page_shift = AMD_PAGE_BITS,
	.index_bits = 9,
	.iova_bits = 48,
	/* 4 KiB to 128 TiB */
	.page_sizes =
		((((uint64_t)1 << 48) - 1) & ~(uint64_t)4095) & ~((uint64_t)1 << 39),
	.present = amd_present,
	.is_page = amd_is_page,
	.address = amd_address,
	.make_page = amd_make_page,
	.make_table = amd_make_table,
	.prot = amd_prot,
	.join = amd_join,
	.order = amd_order,
	.joined_alike = true,
	.dirty = AMD_D,
	.walk = amd_walk,
};
