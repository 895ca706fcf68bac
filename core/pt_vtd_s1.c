/* SPDX-License-Identifier: MIT */
/*
 * Intel VT-d first stage as a table of our own: what a unit with nested translation uses
 * for any domain that needs nothing of the second stage. Pages of 4 KiB, 2 MiB and 1 GiB.
 *
 * A present entry can be read. Used and written bits are set from the start: nobody
 * looks for them in tables of ours.
 */
#include "core/pt_vtd_s1.h"
#include "core/pt_inline.h"

static inline bool s1_present(uint64_t entry)
{
	return entry & VTD_S1_P;
}

static inline bool s1_is_page(uint64_t entry, unsigned level)
{
	return level == 0 || (entry & VTD_S1_PS);
}

static inline uint64_t s1_address(uint64_t entry, unsigned level)
{
	return entry & VTD_S1_ADDRESS;
}

static inline uint64_t s1_make_page(uint64_t spa, unsigned level, unsigned prot)
{
	uint64_t entry = spa | VTD_S1_P | VTD_S1_US | VTD_S1_A;

	if (prot & PT_WRITE)
		entry |= VTD_S1_RW | VTD_S1_D;
	if (prot & PT_MMIO)
		entry |= VTD_S1_PCD;
	if (level > 0)
		entry |= VTD_S1_PS;
	return entry;
}

static inline uint64_t s1_make_table(uint64_t spa, unsigned level)
{
	return spa | VTD_S1_P | VTD_S1_RW | VTD_S1_US | VTD_S1_A;
}

static inline unsigned s1_prot(uint64_t entry)
{
	unsigned prot = PT_READ;

	if (entry & VTD_S1_RW)
		prot |= PT_WRITE;
	return entry & VTD_S1_PCD ? prot | PT_MMIO : prot;
}

static bool s1_walk(const pt_entry *root, uint64_t iova, struct pt_translation *out)
{
	return pt_walk_format(&pt_vtd_s1, root, iova, out);
}

static unsigned s1_fill(pt_entry *entries, unsigned n, uint64_t spa, unsigned level,
			unsigned prot)
{
	return pt_fill_format(&pt_vtd_s1, entries, n, spa, level, prot);
}

const struct pt_format pt_vtd_s1 = {
	.name = "vtd-s1",
	.levels = VTD_S1_LEVELS,
	.page_shift = VTD_S1_PAGE_SHIFT,
	.index_bits = VTD_S1_INDEX_BITS,
	.iova_bits = VTD_S1_BITS,
	.page_sizes = (uint64_t)1 << 12 | (uint64_t)1 << 21 | (uint64_t)1 << 30,
	.present = s1_present,
	.is_page = s1_is_page,
	.address = s1_address,
	.make_page = s1_make_page,
	.make_table = s1_make_table,
	.prot = s1_prot,
	.walk = s1_walk,
	.fill = s1_fill,
};
