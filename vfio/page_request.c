/* SPDX-License-Identifier: MIT */
/*
 * Page requests (PCIe's PRI): what a device does that finds no translation and can ask
 * for one. Its DMA waits for the answer, and goes on where it had stopped.
 *
 * A request is made, and waited for, on the device's own thread, outside of DMA sections.
 * The answer comes through iommufd, from the client that reads the fault queue or when
 * the device leaves its hwpt. The device gives up waiting when it is no bus master any
 * more, so a reset never waits for a client. The answer to what was given up still comes,
 * sooner or later, and its group's number is not used again before.
 *
 * lock is a leaf.
 */
#include <errno.h>
#include <string.h>

#include "uiommufd/abi/iommufd.h"
#include "vfio/device.h"

/* PRG indices have nine bits. */
#define GROUPS 512u

struct page_wait {
	struct list on_device;
	uint32_t group;
	bool answered, given_up; /* given up: the answer frees it */
	enum iommufd_page_answer answer;
};

void page_requests_init(struct page_requests *p)
{
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	list_init(&p->waits);
}

/* Nothing has been asked that is not answered: the device has left its iommufd. */
void page_requests_finish(struct page_requests *p)
{
	PORT_BUG_ON(!list_empty(&p->waits));
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
}

static struct page_wait *wait_of(struct list *it)
{
	return list_entry(it, struct page_wait, on_device);
}

/* With the lock held. The list is in the order of the groups. */
static bool insert(struct page_requests *p, struct page_wait *w)
{
	struct list *it;

	for (it = p->waits.next; it != &p->waits; it = it->next) {
		if (wait_of(it)->group != w->group)
			break;
		w->group++;
	}
	if (w->group == GROUPS)
		return false;
	list_insert_before(it, &w->on_device);
	return true;
}

void page_requests_enable(struct pci_device *dev, bool on)
{
	struct page_requests *p = &dev->page_requests;

	pthread_mutex_lock(&p->lock);
	p->enabled = on;
	if (!on) {
		p->disabled++;
		pthread_cond_broadcast(&p->changed);
		/* Nobody is still about to ask the iommufd that is bound now. */
		while (p->asking)
			pthread_cond_wait(&p->changed, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
}

/* Called with locks of iommufd's held. */
void page_request_answered(const struct iommufd_device_info *info,
			   const struct iommufd_page_request *last,
			   enum iommufd_page_answer answer)
{
	struct pci_device *dev =
		container_of(info->requester, struct pci_device, requester);
	struct page_requests *p = &dev->page_requests;

	pthread_mutex_lock(&p->lock);
	list_for_each_safe (it, &p->waits) {
		struct page_wait *w = wait_of(it);

		if (w->group != last->grpid)
			continue;
		list_remove(it);
		w->answered = true;
		w->answer = answer;
		if (w->given_up)
			port_free(w);
		pthread_cond_broadcast(&p->changed);
		break;
	}
	pthread_mutex_unlock(&p->lock);
}

/* With the lock held; it is dropped while iommufd is asked. */
static void ask(struct pci_device *dev, uint32_t group, uint32_t pasid,
		const struct dma_fault *f)
{
	struct page_requests *p = &dev->page_requests;
	struct iommufd_device *iommufd = dev->iommufd;
	const struct iommufd_page_request req = {
		.flags =
			IOMMU_PGFAULT_FLAGS_LAST_PAGE |
			(pasid == IOMMUFD_NO_PASID ? 0 : IOMMU_PGFAULT_FLAGS_PASID_VALID),
		.pasid = pasid,
		.grpid = group,
		.perm = f->write ? IOMMU_PGFAULT_PERM_WRITE : IOMMU_PGFAULT_PERM_READ,
		.addr = f->iova & ~(PORT_PAGE_SIZE - 1),
	};

	p->asking++;
	pthread_mutex_unlock(&p->lock);
	iommufd_device_request_page(iommufd, &req);
	pthread_mutex_lock(&p->lock);
	if (!--p->asking)
		pthread_cond_broadcast(&p->changed);
}

/* With the lock held. True: the translation may be there now. */
static bool ask_and_wait(struct pci_device *dev, struct page_wait *w, uint32_t pasid,
			 const struct dma_fault *f)
{
	struct page_requests *p = &dev->page_requests;
	uint64_t disabled = p->disabled;
	bool granted;

	if (!p->enabled || !dev->iommufd || !insert(p, w)) {
		port_free(w);
		return false;
	}
	ask(dev, w->group, pasid, f);
	while (!w->answered && p->disabled == disabled)
		pthread_cond_wait(&p->changed, &p->lock);
	if (!w->answered) {
		w->given_up = true;
		return false;
	}
	granted = w->answer == IOMMUFD_ANSWER_SUCCESS;
	port_free(w);
	return granted;
}

bool page_request(struct pci_device *dev, uint32_t pasid, const struct dma_fault *f)
{
	struct page_requests *p = &dev->page_requests;
	struct page_wait *w;
	bool granted;

	if (!dev->info.page_answer ||
	    (f->reason != DMA_FAULT_UNMAPPED && f->reason != DMA_FAULT_PERM))
		return false;
	w = port_alloc(sizeof(*w));
	if (!w)
		return false;
	port_dma_rest();
	pthread_mutex_lock(&p->lock);
	granted = ask_and_wait(dev, w, pasid, f);
	pthread_mutex_unlock(&p->lock);
	return granted;
}
