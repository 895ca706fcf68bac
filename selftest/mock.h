/* SPDX-License-Identifier: MIT */
/*
 * What the files of selftest/ share: the mock IOMMU, its devices, and the call that
 * drives them.
 *
 * A mock device is an object of the context it is made in: it is bound and attached when
 * made, and goes with its id. It does no DMA. Everything it needs is behind the
 * interfaces that any IOMMU, device or exporter uses (iommufd/driver.h, core/dmabuf.h).
 */
#ifndef SELFTEST_MOCK_H
#define SELFTEST_MOCK_H

#include <pthread.h>

#include "core/dmabuf.h"
#include "core/pages.h"
#include "iommufd/driver.h"
#include "machine/machine.h"
#include "selftest/abi.h"
#include "uapi/table.h"

extern const struct pt_format mock_pt;
extern const struct iommufd_iommu mock_iommu;

struct mock_viommu;

/* Which of its PASIDs a device has attached to what. */
struct mock_pasid {
	struct list on_device;
	uint32_t pasid;
	struct iommufd_translation to;
};

struct mock_device {
	struct iommufd_ctx *ctx;
	struct iommufd_device *dev; /* constant once published */
	struct iommufd_device_info info;
	struct dma_requester requester;
	uint32_t flags; /* MOCK_FLAGS_DEVICE_* */
	/* What a vIOMMU's invalidations clear. */
	_Atomic uint32_t cache[MOCK_DEV_CACHE_NUM];
	/* The next attach to IOMMU_TEST_PASID_RESERVED fails. Under the group's lock. */
	bool pasid_fails;
	struct list pasids; /* under lock */
	/* The vIOMMU it is behind by way of a nested hwpt, and its id there, under lock.
	 */
	struct mock_viommu *viommu;
	uint64_t virt_id;
	struct port_mutex lock; /* taken above the vIOMMU's */
};

/* The first stage of a nested hwpt: numbers that invalidations clear. */
struct mock_nested {
	struct iommufd_nested base;
	struct mock_viommu *viommu; /* NULL: made on a hwpt */
	_Atomic uint32_t iotlb[MOCK_NESTED_DOMAIN_IOTLB_NUM];
};

static inline struct iommufd_ctx *mock_ctx(const struct uapi_call *call)
{
	return iommufd_ctx_of(call->file);
}

static inline struct iommu_test_cmd *mock_cmd(struct uapi_call *call)
{
	return (struct iommu_test_cmd *)(void *)call->data;
}

static inline int mock_respond(struct uapi_call *call)
{
	return uapi_respond(call, sizeof(struct iommu_test_cmd));
}

static inline void mock_respond_done(struct uapi_call *call)
{
	uapi_respond_done(call, sizeof(struct iommu_test_cmd));
}

/* iommu.c */
struct mock_device *mock_device_of(const struct iommufd_device_info *info);
/* NULL: one of another IOMMU. */
struct mock_nested *mock_nested_of(struct iommufd_nested *nested);
void mock_device_init(struct mock_device *dev, uint32_t flags);
void mock_device_finish(struct mock_device *dev);
/* What the PASID is attached to; false: nothing. */
bool mock_device_pasid(struct mock_device *dev, uint32_t pasid,
		       struct iommufd_translation *out);
/* @viommu: NULL, or what it is made on. */
int mock_nested_create(struct mock_viommu *viommu, uint32_t flags,
		       const struct iommufd_user_data *data, struct iommufd_nested **out);

/* viommu.c */
bool mock_has_viommu(const struct iommufd_device_info *dev, uint32_t type);
int mock_viommu_create(const struct iommufd_device_info *dev, struct iommufd_viommu *v,
		       uint32_t type, struct domain *parent,
		       const struct iommufd_user_data *data,
		       const struct iommufd_viommu_ops **ops, void **priv);
/* The device's id there, or -ENOENT. */
int mock_viommu_virt_id(struct mock_viommu *v, const struct iommufd_device_info *dev,
			uint64_t *virt_id);
long mock_trigger_vevent(struct uapi_call *call);

/* device.c: operations on devices */
extern const struct iommufd_extra_ops mock_device_ops;
long mock_domain(struct uapi_call *call);
long mock_domain_replace(struct uapi_call *call);
long mock_check_cache(struct uapi_call *call);
long mock_trigger_iopf(struct uapi_call *call);

/* pasid.c */
long mock_pasid_attach(struct uapi_call *call);
long mock_pasid_replace(struct uapi_call *call);
long mock_pasid_detach(struct uapi_call *call);
long mock_pasid_check(struct uapi_call *call);

/* The client's memory [va, + length), pinned for a moment. */
struct mock_resolved {
	struct mem_source *source;
	struct run_list runs;
	uint64_t length;
};
int mock_resolve(struct client *c, uint64_t va, uint64_t length, struct mock_resolved *r);
void mock_resolved_put(struct mock_resolved *r);

/* access.c: users of an address space that pin, read and write */
long mock_create_access(struct uapi_call *call);
long mock_access_pages(struct uapi_call *call);
long mock_destroy_access_pages(struct uapi_call *call);
long mock_access_rw(struct uapi_call *call);
long mock_access_replace(struct uapi_call *call);

/* check.c: operations that look at what is mapped */
long mock_check_map(struct uapi_call *call);
long mock_check_refs(struct uapi_call *call);
long mock_check_iotlb(struct uapi_call *call);
long mock_dirty(struct uapi_call *call);

/* dmabuf.c: the exporter */
long mock_dmabuf_get(struct uapi_call *call);
long mock_dmabuf_revoke(struct uapi_call *call);

#endif
