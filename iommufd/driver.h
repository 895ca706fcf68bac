/* SPDX-License-Identifier: MIT */
/*
 * The other side of iommufd: what implements an IOMMU, and may add objects and calls of
 * its own to a context.
 *
 * A device names the IOMMU in front of it (iommufd_device_info.iommu). iommufd makes
 * page tables through it, asks it before a device translates through one, and hands it
 * the data that clients pass in formats of the IOMMU's own. All members but `paging` may
 * be NULL: then the IOMMU has not got that.
 */
#ifndef IOMMUFD_DRIVER_H
#define IOMMUFD_DRIVER_H

#include "core/dma.h"
#include "iommufd/iommufd.h"

#define IOMMUFD_NO_PASID 0u

/* A struct in a format of the IOMMU's own, still in the client's memory. */
struct iommufd_user_data {
	struct client *client;
	uint64_t uptr;
	uint32_t type, len;
};

/*
 * Copy such a struct in, by the rules of all extensible structs: another type or shorter
 * than @min -EINVAL; shorter than @size: the rest is zero; longer: zeros only, else
 * -E2BIG; -EFAULT.
 */
int iommufd_user_data_in(const struct iommufd_user_data *data, uint32_t type, size_t min,
			 void *dst, size_t size);

/* The IOMMU's part of a nested hwpt: it embeds this. */
struct iommufd_nested {
	const struct iommufd_nested_ops *ops;
};

/* Entries of an array in the client's memory, each like iommufd_user_data. */
struct iommufd_user_array {
	struct client *client;
	uint64_t uptr;
	uint32_t type, entry_len, entry_num;
};

struct iommufd_nested_ops {
	/*
	 * HWPT_INVALIDATE; NULL: -EOPNOTSUPP. @array->entry_num gets the number of
	 * entries that were done, also on failure.
	 */
	int (*invalidate)(struct iommufd_nested *n, struct iommufd_user_array *array);
	void (*destroy)(struct iommufd_nested *n);
};

/* Entry @i of the array; errors as iommufd_user_data_in(). */
int iommufd_user_array_in(const struct iommufd_user_array *array, uint32_t type,
			  uint32_t i, size_t min, void *dst, size_t size);

/* What a device is to translate through. */
struct iommufd_translation {
	struct domain *domain;         /* of a nested one: the parent's */
	struct iommufd_nested *nested; /* NULL: not nested */
	bool faults;                   /* page requests go to a fault queue */
};

struct iommufd_iommu {
	const char *name;
	/*
	 * Make a page table. @flags: IOMMU_HWPT_ALLOC_*; @data may be NULL. What can be
	 * told from the capabilities that iommufd knows has been refused before.
	 */
	int (*paging)(const struct iommufd_device_info *dev, struct phys *phys,
		      uint32_t flags, const struct iommufd_user_data *data,
		      struct domain **out);
	/* Make the IOMMU's part of a nested hwpt. */
	int (*nested)(const struct iommufd_device_info *dev, uint32_t flags,
		      const struct iommufd_user_data *data, struct iommufd_nested **out);
	/*
	 * The device, or its @pasid, is about to leave @from for @to; either may be NULL:
	 * blocked. -EINVAL: this device cannot use that. Blocking cannot fail.
	 */
	int (*attach)(const struct iommufd_device_info *dev, uint32_t pasid,
		      const struct iommufd_translation *to,
		      const struct iommufd_translation *from);
};

/* ---- objects of others in a context's table ------------------------------------- */

/*
 * An id that DESTROY, or the end of the context, destroys by way of the ops. Its maker
 * publishes it when it is ready, or aborts it, which does not call `destroy`.
 */
struct iommufd_extra;
struct iommufd_extra_ops {
	void (*destroy)(void *priv);
};

int iommufd_extra_create(struct iommufd_ctx *ctx, const struct iommufd_extra_ops *ops,
			 struct iommufd_extra **out, uint32_t *id);
void iommufd_extra_publish(struct iommufd_ctx *ctx, struct iommufd_extra *x, void *priv);
void iommufd_extra_abort(struct iommufd_ctx *ctx, struct iommufd_extra *x);
/* Kept from being destroyed until the put; NULL: no such object of these ops. */
struct iommufd_extra *iommufd_extra_get(struct iommufd_ctx *ctx, uint32_t id,
					const struct iommufd_extra_ops *ops);
void *iommufd_extra_priv(struct iommufd_extra *x);
void iommufd_extra_put(struct iommufd_ctx *ctx, struct iommufd_extra *x);

/* ---- looking at a context's objects ----------------------------------------------- */

/*
 * An object by its id, kept from being destroyed until iommufd_ref_put(). -ENOENT: no
 * such id, or another type.
 */
struct iommufd_ref {
	struct iommufd_ctx *ctx;
	struct iommufd_object *obj;
};
int iommufd_ioas_by_id(struct iommufd_ctx *ctx, uint32_t id, struct iommufd_ref *ref,
		       struct ioas **out);
int iommufd_domain_by_id(struct iommufd_ctx *ctx, uint32_t id, struct iommufd_ref *ref,
			 struct domain **out);
int iommufd_nested_by_id(struct iommufd_ctx *ctx, uint32_t id, struct iommufd_ref *ref,
			 struct iommufd_nested **out);
int iommufd_device_by_id(struct iommufd_ctx *ctx, uint32_t id, struct iommufd_ref *ref,
			 const struct iommufd_device_info **out);
void iommufd_ref_put(struct iommufd_ref *ref);

#endif
