/* SPDX-License-Identifier: MIT */
/*
 * Intel VT-d second-stage translation (VT-d specification 9.8): four levels of 512
 * entries, 48 bits of IOVA; pages of 4 KiB, 2 MiB and 1 GiB.
 *
 *	bit 0	   R, readable; bit 1 W, writable. Neither: not present.
 *	bits 5:3   EMT, memory type, in pages; 0 is uncached
 *	bit 6	   IPAT, in pages: the type of bits 5:3 is final
 *	bit 7	   PS: an entry of level 1 or 2 is a page
 *	bit 8, 9   A, D: accessed, dirty
 *	bits 51:12 address, as aligned as the page
 *
 * RAM leaves the type to the default (EMT 0, IPAT 0). Device memory is UC, whatever
 * else is said: EMT 0 with IPAT set.
 */
#include "core/pt_inline.h"

#define VTD_R       ((uint64_t)1 << 0)
#define VTD_W       ((uint64_t)1 << 1)
#define VTD_IPAT    ((uint64_t)1 << 6)
#define VTD_PS      ((uint64_t)1 << 7)
#define VTD_D       ((uint64_t)1 << 9)
#define VTD_ADDRESS ((((uint64_t)1 << 52) - 1) & ~(uint64_t)4095)

_Static_assert(VTD_R == PT_READ && VTD_W == PT_WRITE, "permissions map one to one");

static inline bool vtd_present(uint64_t entry)
{
	return entry & (VTD_R | VTD_W);
}

static inline bool vtd_is_page(uint64_t entry, unsigned level)
{
	return level == 0 || (entry & VTD_PS);
}

static inline uint64_t vtd_address(uint64_t entry, unsigned level)
{
	return entry & VTD_ADDRESS;
}

static inline uint64_t vtd_make_page(uint64_t spa, unsigned level, unsigned prot)
{
	uint64_t entry = spa | (prot & (PT_READ | PT_WRITE));

	if (prot & PT_MMIO)
		entry |= VTD_IPAT;
	if (level > 0)
		entry |= VTD_PS;
	return entry;
}

static inline uint64_t vtd_make_table(uint64_t spa, unsigned level)
{
	return spa | VTD_R | VTD_W;
}

static inline unsigned vtd_prot(uint64_t entry)
{
	unsigned prot = entry & (VTD_R | VTD_W);

	return entry & VTD_IPAT ? prot | PT_MMIO : prot;
}

static bool vtd_walk(const pt_entry *root, uint64_t iova, struct pt_translation *out)
{
	return pt_walk_format(&pt_vtd_s2, root, iova, out);
}

static unsigned vtd_fill(pt_entry *entries, unsigned n, uint64_t spa, unsigned level,
			 unsigned prot)
{
	return pt_fill_format(&pt_vtd_s2, entries, n, spa, level, prot);
}

const struct pt_format pt_vtd_s2 = {
	.name = "vtd-s2",
	.levels = 4,
	.page_shift = 12,
	.index_bits = 9,
	.iova_bits = 48,
	.page_sizes = (uint64_t)1 << 12 | (uint64_t)1 << 21 | (uint64_t)1 << 30,
	.present = vtd_present,
	.is_page = vtd_is_page,
	.address = vtd_address,
	.make_page = vtd_make_page,
	.make_table = vtd_make_table,
	.prot = vtd_prot,
	.dirty = VTD_D,
	.walk = vtd_walk,
	.fill = vtd_fill,
};
