/* SPDX-License-Identifier: MIT */
/*
 * What appears in /sys and goes again with what clients of VFIO do: msi_irqs/N, one for
 * each vector that is in use, and a folder in debugfs for each PASID that is attached.
 *
 * Nobody tells us of changes. But nobody sees these nodes without opening a directory or
 * naming one of them, which is a call that we serve: so they are made right then, just
 * before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/pci_bus.h"
#include "host/view.h"

#define MAX_PASIDS 1024u
/* Numbers of interrupts mean nothing here; each vector has one of its own. */
#define FIRST_IRQ 32u

/* ---- vectors ------------------------------------------------------------------------
 */

static const char *vector_path(struct pci_function *f, unsigned vector,
			       char buf[PCI_PATH_BYTES])
{
	unsigned index = pci_device_placement(f->dev)->index;
	char name[32];

	snprintf(name, sizeof(name), "msi_irqs/%u",
		 FIRST_IRQ + index * PCI_MAX_VECTORS + vector);
	return pci_path(f, name, buf);
}

static bool is_set(const uint8_t *bits, unsigned i)
{
	return bits[i / 8] >> i % 8 & 1;
}

static bool is_empty(const uint8_t *bits)
{
	for (size_t i = 0; i < PCI_MAX_VECTORS / 8; i++)
		if (bits[i])
			return false;
	return true;
}

static void refresh_vectors(struct pci_function *f)
{
	uint8_t bits[PCI_MAX_VECTORS / 8];
	struct view *v = f->bus->view;
	char path[PCI_PATH_BYTES];
	bool msix;

	pci_device_vectors(f->dev, &msix, bits, sizeof(bits));
	if (msix == f->msix && !memcmp(bits, f->vectors, sizeof(bits)))
		return;
	if (msix != f->msix || is_empty(bits)) {
		view_remove(v, pci_path(f, "msi_irqs", path));
		memset(f->vectors, 0, sizeof(f->vectors));
	}
	for (unsigned i = 0; i < PCI_MAX_VECTORS; i++) {
		if (is_set(bits, i) == is_set(f->vectors, i))
			continue;
		if (!is_set(bits, i))
			view_remove(v, vector_path(f, i, path));
		else if (view_add_text(v, vector_path(f, i, path), "%s\n",
				       msix ? "msix" : "msi"))
			bits[i / 8] &= (uint8_t) ~(1u << i % 8); /* another time */
	}
	memcpy(f->vectors, bits, sizeof(bits));
	f->msix = msix;
}

/* ---- PASIDs -------------------------------------------------------------------------
 */

static bool has(const uint32_t *pasids, unsigned n, uint32_t pasid)
{
	for (unsigned i = 0; i < n; i++)
		if (pasids[i] == pasid)
			return true;
	return false;
}

static void drop_pasids(struct pci_function *f, const uint32_t *pasids, unsigned n)
{
	struct pasid_folder **at = &f->pasids, *p;

	while ((p = *at)) {
		if (has(pasids, n, p->pasid)) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		debugfs_remove_pasid(p);
		free(p);
	}
}

static void add_pasid(struct pci_function *f, uint32_t pasid)
{
	struct pasid_folder *p;

	for (p = f->pasids; p; p = p->next)
		if (p->pasid == pasid)
			return;
	p = calloc(1, sizeof(*p));
	if (!p)
		return;
	p->f = f;
	p->pasid = pasid;
	if (debugfs_add_pasid(p)) {
		free(p);
		return;
	}
	p->next = f->pasids;
	f->pasids = p;
}

static void refresh_pasids(struct pci_function *f)
{
	uint32_t pasids[MAX_PASIDS];
	unsigned n = pci_device_pasids(f->dev, pasids, MAX_PASIDS);

	drop_pasids(f, pasids, n);
	for (unsigned i = 0; i < n; i++)
		add_pasid(f, pasids[i]);
}

/* ---- all ----------------------------------------------------------------------------
 */

/* The one with the next larger serial number, kept from going; gives back @before. */
static struct pci_function *next_function(struct pci_bus *bus,
					  struct pci_function *before)
{
	uint64_t serial = before ? before->serial : 0;
	struct pci_function *next = NULL;

	pthread_mutex_lock(&bus->lock);
	for (struct pci_function *f = bus->functions; f; f = f->next)
		if (f->dev && f->serial > serial && (!next || f->serial < next->serial))
			next = f;
	if (next)
		next->users++;
	if (before && !--before->users)
		pthread_cond_broadcast(&bus->unused);
	pthread_mutex_unlock(&bus->lock);
	return next;
}

void pci_live_refresh(struct pci_bus *bus)
{
	struct pci_function *f = NULL;

	pthread_mutex_lock(&bus->refreshing);
	while ((f = next_function(bus, f))) {
		refresh_vectors(f);
		refresh_pasids(f);
	}
	pthread_mutex_unlock(&bus->refreshing);
}

void pci_live_finish(struct pci_function *f)
{
	struct pasid_folder *p;

	while ((p = f->pasids)) {
		f->pasids = p->next;
		free(p);
	}
}
