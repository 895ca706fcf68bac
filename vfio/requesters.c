/* SPDX-License-Identifier: MIT */
/*
 * The sources of a function's DMA: the function itself, and its PASIDs, each a requester
 * of its own for the IOMMU.
 *
 * A PASID's requester is made when it is first asked for: by iommufd, when the PASID is
 * attached, or by a channel. It stays until the function is disabled with no channel of
 * it left, or destroyed. All of them are bus masters when the function is.
 *
 * channels_lock guards the list and the counts; nothing is waited for under it. Nodes
 * leave it under the config lock, which everybody who walks it without channels_lock
 * holds. A new one is a master if the function is at that moment: whoever changes that
 * changes the function first and then goes through the list to its end.
 */
#include <errno.h>

#include "vfio/device.h"

struct pasid_requester {
	struct list on_device;
	uint32_t pasid;
	unsigned channels;
	struct dma_requester requester;
};

static struct pasid_requester *entry_of(struct list *it)
{
	return list_entry(it, struct pasid_requester, on_device);
}

/* With channels_lock held. */
static struct pasid_requester *find(struct pci_device *dev, uint32_t pasid)
{
	list_for_each (it, &dev->pasids) {
		if (entry_of(it)->pasid == pasid)
			return entry_of(it);
	}
	return NULL;
}

static struct pasid_requester *make(uint32_t pasid)
{
	struct pasid_requester *p = port_alloc(sizeof(*p));

	if (!p)
		return NULL;
	p->pasid = pasid;
	dma_requester_init(&p->requester);
	return p;
}

static void destroy(struct pasid_requester *p)
{
	if (!p)
		return;
	dma_requester_finish(&p->requester);
	port_free(p);
}

/* @channels more of them use it. */
static struct dma_requester *get(struct pci_device *dev, uint32_t pasid,
				 unsigned channels)
{
	struct pasid_requester *fresh = NULL, *p;

	port_mutex_lock(&dev->channels_lock);
	p = find(dev, pasid);
	if (!p) {
		port_mutex_unlock(&dev->channels_lock);
		fresh = make(pasid);
		port_mutex_lock(&dev->channels_lock);
		p = find(dev, pasid);
	}
	if (!p && fresh) {
		p = fresh;
		fresh = NULL;
		/* Turning it on waits for nothing. */
		if (atomic_load(&dev->requester.master))
			dma_requester_set_master(&p->requester, true);
		list_append(&dev->pasids, &p->on_device);
	}
	if (p)
		p->channels += channels;
	port_mutex_unlock(&dev->channels_lock);
	destroy(fresh);
	return p ? &p->requester : NULL;
}

struct dma_requester *requester_of_pasid(const struct iommufd_device_info *info,
					 uint32_t pasid)
{
	return get(container_of(info->requester, struct pci_device, requester), pasid, 0);
}

struct dma_requester *requester_for_channel(struct pci_device *dev, uint32_t pasid)
{
	return pasid == IOMMUFD_NO_PASID ? &dev->requester : get(dev, pasid, 1);
}

void requester_channel_gone(struct pci_device *dev, uint32_t pasid)
{
	if (pasid != IOMMUFD_NO_PASID)
		find(dev, pasid)->channels--;
}

/* The next one in the list, which nothing leaves meanwhile; NULL: the first. */
static struct pasid_requester *next(struct pci_device *dev, struct pasid_requester *p)
{
	struct list *it;

	port_mutex_lock(&dev->channels_lock);
	it = p ? p->on_device.next : dev->pasids.next;
	p = it == &dev->pasids ? NULL : entry_of(it);
	port_mutex_unlock(&dev->channels_lock);
	return p;
}

void requesters_set_master(struct pci_device *dev, bool on)
{
	struct pasid_requester *p = NULL;

	dma_requester_set_master(&dev->requester, on);
	while ((p = next(dev, p)))
		dma_requester_set_master(&p->requester, on);
	page_requests_enable(dev, on);
}

void requesters_trim(struct pci_device *dev)
{
	struct list gone;

	list_init(&gone);
	port_mutex_lock(&dev->channels_lock);
	list_for_each_safe (it, &dev->pasids) {
		if (entry_of(it)->channels)
			continue;
		list_remove(it);
		list_append(&gone, it);
	}
	port_mutex_unlock(&dev->channels_lock);
	list_for_each_safe (it, &gone)
		destroy(entry_of(it));
}

/* ---- looking at them -------------------------------------------------------------- */

static bool is_attached(struct dma_requester *r)
{
	struct pt_listed page;
	uint64_t from = 0;
	bool more, attached;

	dma_requester_list(r, &from, &page, 1, &more, &attached);
	return attached;
}

unsigned pci_device_pasids(struct pci_device *dev, uint32_t *pasids, unsigned cap)
{
	unsigned n = 0;

	port_mutex_lock(&dev->channels_lock);
	list_for_each (it, &dev->pasids) {
		if (n < cap && is_attached(&entry_of(it)->requester))
			pasids[n++] = entry_of(it)->pasid;
	}
	port_mutex_unlock(&dev->channels_lock);
	return n;
}

unsigned pci_device_list(struct pci_device *dev, uint32_t pasid, uint64_t *from,
			 struct pt_listed *out, unsigned n, bool *more, bool *attached)
{
	struct pasid_requester *p;
	unsigned found = 0;

	if (pasid == IOMMUFD_NO_PASID)
		return dma_requester_list(&dev->requester, from, out, n, more, attached);
	*more = *attached = false;
	port_mutex_lock(&dev->channels_lock);
	p = find(dev, pasid);
	if (p)
		found = dma_requester_list(&p->requester, from, out, n, more, attached);
	port_mutex_unlock(&dev->channels_lock);
	return found;
}
