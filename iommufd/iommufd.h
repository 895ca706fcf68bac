/* SPDX-License-Identifier: MIT */
/*
 * What the rest of the project may ask of iommufd: open a context, bind a device to
 * it, attach the device to an address space.
 *
 * A context is one open of /dev/iommu: a table of objects by id (1 upwards). It is
 * reference counted; a bound device keeps it alive after the client has closed its fd.
 */
#ifndef IOMMUFD_IOMMUFD_H
#define IOMMUFD_IOMMUFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/dma.h"
#include "core/ioas.h"
#include "uapi/vfile.h"

struct machine;
struct iommufd_ctx;
struct iommufd_device;
struct iommufd_iommu;
struct iommufd_unit;

#define IOMMUFD_NO_PASID 0u

/* A new open of /dev/iommu; the caller holds the vfile's first reference. */
int iommufd_open(struct machine *m, struct vfile **out);
/* The context behind a virtual file, or NULL when it is another kind of file. */
struct iommufd_ctx *iommufd_ctx_of(struct vfile *f);

/*
 * The IOAS that stands in for a type1 container (IOMMU_VFIO_IOAS): make and choose one if
 * none is chosen. -ENOMEM. Then: its id. -ENODEV: none is chosen (any more).
 */
int iommufd_compat_ioas_create(struct iommufd_ctx *ctx);
int iommufd_compat_ioas_id(struct iommufd_ctx *ctx, uint32_t *id);

/* A piece of IOVA space that a device cannot use for DMA. Inclusive ends. */
struct iommufd_resv {
	uint64_t start, last;
	enum iommufd_resv_type {
		IOMMUFD_RESV_RESERVED,
		IOMMUFD_RESV_MSI,    /* writes there are interrupts */
		IOMMUFD_RESV_SW_MSI, /* pages of interrupt controllers are mapped there */
		/* Firmware wants them mapped one to one, always, or only until a client
		 * gets the device; for what follows from it see vfio/direct.c. */
		IOMMUFD_RESV_DIRECT,
		IOMMUFD_RESV_DIRECT_RELAXABLE,
	} type;
};

/* What a device asks for that found no translation, as IOMMU_HWPT_PGFAULT has it. */
struct iommufd_page_request {
	uint32_t flags; /* IOMMU_PGFAULT_FLAGS_* */
	uint32_t pasid; /* with PASID_VALID */
	uint32_t grpid;
	uint32_t perm; /* IOMMU_PGFAULT_PERM_* */
	uint64_t addr;
};

/* The answer to a page request; to a whole group of them, that is to the last. */
enum iommufd_page_answer {
	IOMMUFD_ANSWER_SUCCESS = 0,
	IOMMUFD_ANSWER_INVALID = 1, /* abort the access */
	IOMMUFD_ANSWER_FAILURE = 2, /* abort; nobody could be asked */
};

/* What iommufd needs to know of a device. Constant; outlives the binding. */
struct iommufd_device_info {
	struct dma_requester *requester;
	/* Devices with the same group share an address space. A unique key. */
	const void *group;
	/*
	 * Which context owns the group: one for each group of the machine, zeroed, not
	 * touched by anybody else. NULL: the group is only ever used from one context.
	 */
	_Atomic(const void *) *group_owner;
	const struct iommufd_resv *resv; /* none of them direct */
	size_t nr_resv;
	/* A device of the group has memory that is to be mapped one to one, always:
	 * nobody gets any of them. NULL: none has. */
	const bool *needs_direct;
	/* IOMMU_GET_HW_INFO: type and data (VT-d: cap and ecap). */
	uint32_t hw_info_type;
	const void *hw_info;
	size_t hw_info_bytes;
	uint64_t hw_capabilities; /* IOMMU_HW_CAP_* */
	unsigned max_pasid_log2;  /* 0: no PASIDs */
	/*
	 * The requester for what the device sends with @pasid: the device's own, the same
	 * each time, made if need be (NULL: no memory), and there until the device goes.
	 * NULL: the device does no DMA with PASIDs. Called with the group locked.
	 */
	struct dma_requester *(*pasid_requester)(const struct iommufd_device_info *info,
						 uint32_t pasid);
	/* The kind of IOMMU in front of the device (iommufd/driver.h), and which one it
	 * is (iommufd/unit.h); NULL: a plain VT-d unit. */
	const struct iommufd_iommu *iommu;
	const struct iommufd_unit *unit;
	/* DMA can be forced to be coherent with the CPU's caches. */
	bool enforces_coherency;
	/*
	 * The device asks for pages (PRI), and is answered here, for the last request of
	 * a group; with locks of iommufd's held. NULL: it does not.
	 */
	void (*page_answer)(const struct iommufd_device_info *info,
			    const struct iommufd_page_request *last,
			    enum iommufd_page_answer answer);
	/* The device is an object of the context itself and goes with it, so being bound
	 * does not keep the context. */
	bool inside_context;
};

/*
 * Put the device behind the unit (NULL: a plain VT-d unit): fills in what the unit
 * decides, reserved ranges included. What the device can do by itself, max_pasid_log2 and
 * page_answer, must be there; it is taken away where the unit cannot.
 */
void iommufd_unit_connect(const struct iommufd_unit *unit,
			  struct iommufd_device_info *info);

/*
 * A page table for the device outside of any context (type 1). And can another device use
 * one that was made for @first? -EINVAL.
 */
int iommufd_unit_paging(const struct iommufd_device_info *info, struct phys *phys,
			struct domain **out);
int iommufd_unit_check(const struct iommufd_device_info *info,
		       const struct iommufd_device_info *first, struct domain *d);

/*
 * Bind: makes the device object. -EPERM: another context owns the device's group.
 * -EBUSY: the requester is bound already. -EINVAL: needs_direct.
 *
 * Calls for one device (attach, detach, unbind) are serialised by the caller.
 */
int iommufd_device_bind(struct iommufd_ctx *ctx, const struct iommufd_device_info *info,
			struct iommufd_device **out, uint32_t *id);
/* Detaches if need be; destroys the object. */
void iommufd_device_unbind(struct iommufd_device *dev);
/*
 * Attach to the IOAS or hwpt *@pt_id, replacing what it was attached to; *@pt_id gets
 * the hwpt's id. -ENOENT; -EINVAL: an object of another type, or the device's group is
 * attached to another hwpt; -EADDRINUSE: the IOAS has areas where the device cannot do
 * DMA; and what filling the domain answers. On failure the former attachment stays.
 *
 * Replacing moves the whole group, as the members cannot be told apart by the IOMMU.
 */
int iommufd_device_attach(struct iommufd_device *dev, uint32_t *pt_id);
/* Does nothing when not attached. */
void iommufd_device_detach(struct iommufd_device *dev);

/*
 * The same for the device's requests with @pasid, which is not 0. Only hwpts that were
 * allocated for PASIDs will do (-EINVAL), and then the device itself may not be attached
 * to another kind. Attaching what is attached: -EBUSY. Replacing what is not: -EINVAL.
 * -EINVAL as well: the PASID is beyond what the device can have.
 */
int iommufd_pasid_attach(struct iommufd_device *dev, uint32_t pasid, uint32_t *pt_id);
int iommufd_pasid_replace(struct iommufd_device *dev, uint32_t pasid, uint32_t *pt_id);
void iommufd_pasid_detach(struct iommufd_device *dev, uint32_t pasid);
/* Has the device attached it? */
bool iommufd_pasid_is_attached(struct iommufd_device *dev, uint32_t pasid);

/*
 * The device is about to get message interrupts: where an IOMMU translates them, the page
 * that they are written to is mapped for it. Does nothing while it is attached to
 * nothing.
 */
int iommufd_device_msi(struct iommufd_device *dev);

/* iommufd_report_page_request() (driver.h) for a bound device. */
int iommufd_device_request_page(struct iommufd_device *dev,
				const struct iommufd_page_request *req);

#endif
