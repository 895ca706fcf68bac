/* SPDX-License-Identifier: MIT */
/*
 * The device API as far as it belongs to the function: BAR memory and DMA. (Interrupts
 * are in irq.c, errors of creation in pci_device.c, workers in worker.c.)
 *
 * Channels hang off their device; the list has a leaf lock. A channel itself is used by
 * one thread at a time, which is the model's promise.
 */
#include <errno.h>

#include "vfio/device.h"
#include "vfio/worker.h"

_Static_assert((int)UIOMMUFD_FAULT_BLOCKED == (int)DMA_FAULT_BLOCKED &&
		       (int)UIOMMUFD_FAULT_NO_MASTER == (int)DMA_FAULT_NO_MASTER &&
		       (int)UIOMMUFD_FAULT_UNMAPPED == (int)DMA_FAULT_UNMAPPED &&
		       (int)UIOMMUFD_FAULT_PERM == (int)DMA_FAULT_PERM &&
		       (int)UIOMMUFD_FAULT_ABORT == (int)DMA_FAULT_ABORT,
	       "fault reasons are numbered alike");

struct uiommufd_channel {
	struct dma_channel dma;
	struct pci_device *dev;
	uint32_t pasid; /* IOMMUFD_NO_PASID: without */
	bool asks;      /* for pages, if the device can */
	struct list on_device;
};

/* ---- workers ---------------------------------------------------------------------- */

void worker_enlist(struct uiommufd_device *api, struct list *on_device)
{
	port_mutex_lock(&api->pci->workers_lock);
	list_append(&api->pci->workers, on_device);
	port_mutex_unlock(&api->pci->workers_lock);
}

void worker_delist(struct uiommufd_device *api, struct list *on_device)
{
	port_mutex_lock(&api->pci->workers_lock);
	list_remove(on_device);
	port_mutex_unlock(&api->pci->workers_lock);
}

void workers_pause(struct pci_device *dev)
{
	port_mutex_lock(&dev->workers_lock);
	list_for_each (it, &dev->workers)
		uiommufd_worker_pause(worker_of(it));
}

void workers_resume(struct pci_device *dev)
{
	list_for_each (it, &dev->workers)
		uiommufd_worker_resume(worker_of(it));
	port_mutex_unlock(&dev->workers_lock);
}

/* ---- memory and DMA --------------------------------------------------------------- */

void *uiommufd_bar_memory(struct uiommufd_device *api, unsigned bar)
{
	return bar < UIOMMUFD_BARS ? api->pci->bars[bar].bytes : NULL;
}

int uiommufd_channel_create_pasid(struct uiommufd_device *api, uint32_t pasid,
				  struct uiommufd_channel **out)
{
	struct pci_device *dev = api->pci;
	struct dma_requester *requester;
	struct uiommufd_channel *ch;

	if (pasid >> dev->pasid_bits && pasid != IOMMUFD_NO_PASID)
		return -EINVAL;
	ch = port_alloc(sizeof(*ch));
	if (!ch)
		return -ENOMEM;
	requester = requester_for_channel(dev, pasid);
	if (!requester) {
		port_free(ch);
		return -ENOMEM;
	}
	dma_channel_init(&ch->dma, requester);
	ch->dev = dev;
	ch->pasid = pasid;
	ch->asks = true;
	port_mutex_lock(&dev->channels_lock);
	list_append(&dev->channels, &ch->on_device);
	port_mutex_unlock(&dev->channels_lock);
	*out = ch;
	return 0;
}

int uiommufd_channel_create(struct uiommufd_device *api, struct uiommufd_channel **out)
{
	return uiommufd_channel_create_pasid(api, IOMMUFD_NO_PASID, out);
}

void uiommufd_channel_destroy(struct uiommufd_channel *ch)
{
	if (!ch)
		return;
	port_mutex_lock(&ch->dev->channels_lock);
	list_remove(&ch->on_device);
	requester_channel_gone(ch->dev, ch->pasid);
	port_mutex_unlock(&ch->dev->channels_lock);
	port_free(ch);
}

void uiommufd_channel_ask(struct uiommufd_channel *ch, bool on)
{
	ch->asks = on;
}

void channels_destroy(struct pci_device *dev)
{
	list_for_each_safe (it, &dev->channels)
		uiommufd_channel_destroy(
			list_entry(it, struct uiommufd_channel, on_device));
}

static int report(int err, const struct dma_fault *f, struct uiommufd_fault *out)
{
	if (err && out) {
		out->reason = (enum uiommufd_fault_reason)f->reason;
		out->iova = f->iova;
		out->write = f->write;
	}
	return err;
}

/* After a fault at @f: may the rest be tried again? */
static bool try_again(struct uiommufd_channel *ch, int err, const struct dma_fault *f)
{
	return err && ch->asks && page_request(ch->dev, ch->pasid, f);
}

/* After DMA that writes from @iova on, of @n bytes or up to the fault. */
static int log_and_report(struct uiommufd_channel *ch, int err, uint64_t iova, uint64_t n,
			  const struct dma_fault *f, struct uiommufd_fault *out)
{
	if (!err)
		dma_log_note(&ch->dev->log, iova, n);
	else if (f->write && f->iova > iova)
		dma_log_note(&ch->dev->log, iova, f->iova - iova);
	return report(err, f, out);
}

int uiommufd_dma_read(struct uiommufd_channel *ch, uint64_t iova, void *dst, size_t n,
		      struct uiommufd_fault *fault)
{
	struct dma_fault f = {.iova = iova};
	uint64_t done;
	int err;

	do {
		done = f.iova - iova;
		err = dma_read(&ch->dma, iova + done, (char *)dst + done, n - done, &f);
	} while (try_again(ch, err, &f));
	return report(err, &f, fault);
}

int uiommufd_dma_write(struct uiommufd_channel *ch, uint64_t iova, const void *src,
		       size_t n, struct uiommufd_fault *fault)
{
	struct dma_fault f = {.iova = iova};
	uint64_t done;
	int err;

	do {
		done = f.iova - iova;
		err = dma_write(&ch->dma, iova + done, (const char *)src + done, n - done,
				&f);
	} while (try_again(ch, err, &f));
	return log_and_report(ch, err, iova, n, &f, fault);
}

int uiommufd_dma_copy(struct uiommufd_channel *ch, uint64_t dst, uint64_t src, uint64_t n,
		      struct uiommufd_fault *fault)
{
	struct dma_fault f = {.iova = src};
	uint64_t done;
	int err;

	do {
		done = f.iova - (f.write ? dst : src);
		err = dma_copy(&ch->dma, dst + done, src + done, n - done, &f);
	} while (try_again(ch, err, &f));
	/* What it could not read it has not written, either. */
	if (err && !f.write && f.iova > src)
		dma_log_note(&ch->dev->log, dst, f.iova - src);
	return log_and_report(ch, err, dst, n, &f, fault);
}

int uiommufd_dma_fill(struct uiommufd_channel *ch, uint64_t dst, uint8_t byte, uint64_t n,
		      struct uiommufd_fault *fault)
{
	struct dma_fault f = {.iova = dst};
	uint64_t done;
	int err;

	do {
		done = f.iova - dst;
		err = dma_fill(&ch->dma, dst + done, byte, n - done, &f);
	} while (try_again(ch, err, &f));
	return log_and_report(ch, err, dst, n, &f, fault);
}
