/* SPDX-License-Identifier: MIT */
/*
 * An IOMMU that can do everything driver.h has, and notes what it was asked to do; and
 * devices behind it. Nested hwpts and vIOMMUs take an int as their data.
 */
#ifndef TESTS_IOMMUFD_FAKE_IOMMU_H
#define TESTS_IOMMUFD_FAKE_IOMMU_H

#include <stdatomic.h>

#include "fixture.h"
#include "iommufd/driver.h"

#define FAKE_TYPE   0xfa6eu /* of all data, vIOMMUs, queues and events */
#define FAKE_PASIDS 16
#define FAKE_LOG    64

struct fake_port {
	struct fake_device d;
	/* What answers to page requests came, in order, as far as there is room. */
	atomic_uint nr_answers;
	struct {
		uint32_t grpid;
		enum iommufd_page_answer code;
	} answers[FAKE_LOG];
	/* The next attach fails with this. */
	int attach_fails;
	/* By PASID; 0 is the device itself. */
	struct iommufd_translation now[FAKE_PASIDS];
	struct dma_requester pasids[FAKE_PASIDS];
};

struct fake_viommu {
	struct iommufd_viommu *core;
	int data;
	uint32_t *page; /* what the client may map */
	uint64_t page_offset;
	unsigned vdevices;
	struct iommufd_hw_queue *queue, *second;
	uint64_t queue_spa;
	int vdevice_fails;
};

extern const struct iommufd_iommu fake_iommu;

void port_init(struct fake_port *p, const void *group);
void port_finish(struct fake_port *p);
static inline struct fake_port *port_of(const struct iommufd_device_info *info)
{
	return container_of(info->requester, struct fake_port, d.requester);
}

/* Of the last one made. */
extern struct fake_viommu *fake_last_viommu;

/* ---- calls ---------------------------------------------------------------------- */

long fault_alloc(struct fixture *fx, uint32_t *id, int *fd);
struct hwpt_args {
	uint32_t flags, dev, pt, fault;
	bool data; /* with the fake's data */
};
long hwpt_alloc_with(struct fixture *fx, struct hwpt_args args, uint32_t *id);
long viommu_alloc(struct fixture *fx, uint32_t dev, uint32_t hwpt, uint32_t *id);
long vdevice_alloc(struct fixture *fx, uint32_t viommu, uint32_t dev, uint64_t virt_id,
		   uint32_t *id);
long veventq_alloc(struct fixture *fx, uint32_t viommu, uint32_t depth, uint32_t *id,
		   int *fd);
long hw_queue_alloc(struct fixture *fx, uint32_t viommu, uint32_t index, uint64_t iova,
		    uint64_t length, uint32_t *id);

/* read(2) and write(2) that are caught. */
ssize_t queue_read(struct fixture *fx, int fd, void *buf, size_t n);
ssize_t queue_write(struct fixture *fx, int fd, const void *buf, size_t n);
/* What poll(2) says. */
short queue_poll(int fd);

#endif
