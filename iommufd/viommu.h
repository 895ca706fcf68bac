/* SPDX-License-Identifier: MIT */
/*
 * Virtual IOMMUs and what hangs off them, for the files that make them up: viommu.c,
 * vdevice.c, vevent.c, hw_queue.c, viommu_mmap.c.
 *
 * A vIOMMU uses its hwpt; nested hwpts on it, vDEVICEs, vEVENTQs and HW_QUEUEs use the
 * vIOMMU. A vDEVICE uses no device: a device's unbind destroys its vDEVICE first.
 *
 * Locks, inside group.lock:
 *   iommufd_viommu.queues  (rw) the list of event queues; write to make and end one
 *   iommufd_viommu.lock    the list of vDEVICEs; a leaf
 */
#ifndef IOMMUFD_VIOMMU_H
#define IOMMUFD_VIOMMU_H

#include "iommufd/private.h"

struct iommufd_viommu {
	struct iommufd_object obj;
	/* Constant. */
	struct iommufd_ctx *ctx;
	const struct iommufd_iommu *iommu;
	struct iommufd_hwpt *hwpt;
	const struct iommufd_viommu_ops *ops; /* NULL only while it is made */
	void *priv;

	struct port_mutex lock;
	struct list vdevices; /* iommufd_vdevice.on_viommu */
	struct port_rwlock queues_lock;
	struct list queues; /* veventq.on_viommu */
	struct list maps;   /* viommu_map.on_viommu; constant */
};

struct iommufd_vdevice {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_device *dev;
	uint64_t virt_id;
	struct list on_viommu;
	bool ready; /* under viommu->lock: the IOMMU has accepted it */
};

static inline struct iommufd_viommu *viommu_get(struct iommufd_ctx *ctx, uint32_t id)
{
	return (struct iommufd_viommu *)object_get(ctx, id, OBJECT_VIOMMU);
}

/* viommu_mmap.c: at the vIOMMU's end. */
void viommu_unmap_all(struct iommufd_viommu *v);

#endif
