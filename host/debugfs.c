/* SPDX-License-Identifier: MIT */
/*
 * /sys/kernel/debug/iommu/intel/BDF/domain_translation_struct: the page table that a
 * function translates through, live, in Linux 7.3's format: a line for each page, with
 * the entries on the way to it. A PASID that is attached has a folder there with the same
 * of its own.
 *
 * The tables themselves lie in our own memory, where a client has no business: entries
 * that lead to tables show addresses that are made up, different for each.
 */
#include <stdio.h>

#include "core/port.h"
#include "core/pt.h"
#include "host/pci_bus.h"
#include "host/view.h"
#include "host/view_attr.h"
#include "iommufd/iommufd.h"
#include "iommufd/unit.h"

#define DEBUGFS_INTEL "/sys/kernel/debug/iommu/intel"

#define LEVELS        5 /* that the format has columns for */
#define PIECE         128
#define PFN_SHIFT     12
#define INDEX_BITS    9
#define ADDRESS_MASK  0x000ffffffffff000ull
#define TABLES        0x0008000000000000ull /* where they are said to be */

/* Scalable mode: a function without a PASID has PASID 0. */
#define ECAP_SMTS ((uint64_t)1 << 43)

/* The table of @level that the way to @iova goes through. */
static uint64_t table_address(uint64_t iova, unsigned level)
{
	uint64_t number = iova >> (PFN_SHIFT + INDEX_BITS * (level + 1));

	return TABLES | (uint64_t)level << 48 | number << PFN_SHIFT;
}

static uint64_t shown(const struct pt_listed *page, unsigned level)
{
	uint64_t entry = page->entries[level];

	if (level == page->level || !entry)
		return entry;
	return (entry & ~ADDRESS_MASK) | table_address(page->iova, level - 1);
}

static void print_page(FILE *out, const struct pt_listed *page)
{
	fprintf(out, "0x%013llx |\t", (unsigned long long)(page->iova >> PFN_SHIFT));
	for (unsigned level = LEVELS; level-- > page->level;)
		fprintf(out, "%s0x%016llx", level == LEVELS - 1 ? "" : "\t",
			(unsigned long long)shown(page, level));
	/* Linux always has the first three. */
	for (unsigned level = page->level; level-- > 2;)
		fprintf(out, "\t0x%016llx", 0ull);
	fputc('\n', out);
}

static void print_head(FILE *out, const struct pci_function *f, uint32_t pasid)
{
	const struct iommufd_unit *u = f->unit ? f->unit : &iommufd_plain_unit;
	unsigned long long root = table_address(0, 3);

	fprintf(out, "Device %s ", f->bdf);
	if (u->hw.vtd.ecap_reg & ECAP_SMTS)
		fprintf(out, "with pasid %x @0x%llx\n", pasid, root);
	else
		fprintf(out, "@0x%llx\n", root);
	fprintf(out, "%-17s\t%-18s\t%-18s\t%-18s\t%-18s\t%s\n", "IOVA_PFN", "PML5E",
		"PML4E", "PDPE", "PDE", "PTE");
}

static int dump(struct pci_function *f, uint32_t pasid, FILE *out)
{
	struct pt_listed pages[PIECE];
	uint64_t from = 0;
	bool more = true, attached, head = false;

	while (more) {
		unsigned n = pci_device_list(f->dev, pasid, &from, pages, PIECE, &more,
					     &attached);

		if (attached && !head)
			print_head(out, f, pasid);
		head |= attached;
		for (unsigned i = 0; i < n; i++)
			print_page(out, &pages[i]);
	}
	return 0;
}

static int dump_domain(void *object, FILE *out)
{
	return dump(object, IOMMUFD_NO_PASID, out);
}

static int dump_pasid(void *object, FILE *out)
{
	struct pasid_folder *p = object;

	return dump(p->f, p->pasid, out);
}

static const struct view_attr pasid_attr = {.mode = 0444, .dump = dump_pasid};
static const struct view_attr domain_attr = {.mode = 0444, .dump = dump_domain};

static bool behind_vtd(const struct pci_function *f)
{
	const struct iommufd_unit *u = f->unit ? f->unit : &iommufd_plain_unit;

	return f->dev && u->config.type == IOMMUFD_UNIT_VTD;
}

int debugfs_add(struct pci_function *f)
{
	char path[PCI_PATH_BYTES];

	if (!behind_vtd(f))
		return 0;
	snprintf(path, sizeof(path), DEBUGFS_INTEL "/%s/domain_translation_struct",
		 f->bdf);
	return view_add_attr(f->bus->view, path, &domain_attr, f);
}

void debugfs_remove(struct pci_function *f)
{
	char path[PCI_PATH_BYTES];

	snprintf(path, sizeof(path), DEBUGFS_INTEL "/%s", f->bdf);
	view_remove(f->bus->view, path);
}

static const char *pasid_path(const struct pasid_folder *p, char buf[PCI_PATH_BYTES])
{
	snprintf(buf, PCI_PATH_BYTES, DEBUGFS_INTEL "/%s/%x", p->f->bdf, p->pasid);
	return buf;
}

int debugfs_add_pasid(struct pasid_folder *p)
{
	char dir[PCI_PATH_BYTES], path[PCI_PATH_BYTES + 32];

	if (!behind_vtd(p->f))
		return 0;
	snprintf(path, sizeof(path), "%s/domain_translation_struct", pasid_path(p, dir));
	return view_add_attr(p->f->bus->view, path, &pasid_attr, p);
}

void debugfs_remove_pasid(struct pasid_folder *p)
{
	char path[PCI_PATH_BYTES];

	view_remove(p->f->bus->view, pasid_path(p, path));
}
