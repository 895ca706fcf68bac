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

/* A struct in a format of the IOMMU's own, still in the client's memory. */
struct iommufd_user_data {
	struct client *client;
	uint64_t uptr;
	uint32_t type, len;
};

/*
 * Copy such a struct in. Another type, shorter than @min or longer than @size: -EINVAL;
 * what the client's is shorter than @size reads as zero; -EFAULT.
 */
int iommufd_user_data_in(const struct iommufd_user_data *data, uint32_t type, size_t min,
			 void *dst, size_t size);

/*
 * The way back: the client's struct is not longer than ours and has at least @min bytes,
 * else -EINVAL; another type -EINVAL; -EFAULT.
 */
int iommufd_user_data_out(const struct iommufd_user_data *data, uint32_t type, size_t min,
			  const void *src, size_t size);

/* The IOMMU's part of a nested hwpt: it embeds this. */
struct iommufd_nested {
	const struct iommufd_nested_ops *ops;
	/* What devices translate through; NULL: as the parent does. */
	const struct dma_path *path;
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
/*
 * The whole array, which is not empty, into structs of @size bytes. Another type -EINVAL;
 * longer entries may only end in zeros, else -E2BIG; -EFAULT.
 */
int iommufd_user_array_all_in(const struct iommufd_user_array *array, uint32_t type,
			      void *dst, size_t size);

/* What a device is to translate through. */
struct iommufd_translation {
	struct domain *domain;         /* of a nested one: the parent's */
	struct iommufd_nested *nested; /* NULL: not nested */
	bool faults;                   /* page requests go to a fault queue */
};

/* ---- page requests ---------------------------------------------------------------- */

/*
 * A device's page request. It goes to the fault queue of the hwpt that the device (or its
 * PASID) is attached to, together with the earlier ones of its group once the last has
 * come. 0: page_answer() will be called, for a last one, sooner or later, at the latest
 * when the device leaves the hwpt. -EINVAL: no fault queue there; it has been called with
 * INVALID. -ENOMEM: not a last one, and forgotten. @dev as iommufd_device_by_id() and the
 * functions of the IOMMU have it. Call it with none of the locks held that attach() or
 * page_answer() take.
 */
int iommufd_report_page_request(const struct iommufd_device_info *dev,
				const struct iommufd_page_request *req);

/* ---- virtual IOMMUs --------------------------------------------------------------- */

struct iommufd_viommu;
struct iommufd_hw_queue;

/*
 * What an IOMMU does for a vIOMMU. @priv is what viommu() has made. Only `destroy` must
 * be there; without another, its call answers -EOPNOTSUPP (vdevice_*: nothing to do).
 */
struct iommufd_viommu_ops {
	/* The last call for this @priv. */
	void (*destroy)(void *priv);
	/* A nested hwpt on the vIOMMU; as iommufd_iommu.nested. */
	int (*nested)(void *priv, uint32_t flags, const struct iommufd_user_data *data,
		      struct iommufd_nested **out);
	/* HWPT_INVALIDATE on the vIOMMU; as iommufd_nested_ops.invalidate. */
	int (*invalidate)(void *priv, struct iommufd_user_array *array);
	/* A device gets an id in the guest, before anybody can see that; and loses it. */
	int (*vdevice_init)(void *priv, const struct iommufd_device_info *dev,
			    uint64_t virt_id);
	void (*vdevice_finish)(void *priv, const struct iommufd_device_info *dev,
			       uint64_t virt_id);
	/* Are there queues of this type, which the hardware reads by itself? */
	bool (*has_hw_queue)(void *priv, uint32_t type);
	/* @spa: where the queue's memory, contiguous and pinned, begins. @out: yours. */
	int (*hw_queue_init)(void *priv, struct iommufd_hw_queue *q, uint32_t type,
			     uint32_t index, uint64_t iova, uint64_t length, uint64_t spa,
			     void **out);
	void (*hw_queue_finish)(void *priv, void *queue);
};

/*
 * Pages of the vIOMMU's hardware that the client may map, from the iommufd, at *@offset,
 * exactly @length bytes, a multiple of the page size; at *@host for us. Only from inside
 * viommu(); they go with the vIOMMU, by themselves. -EINVAL, -ENOMEM ...
 */
int iommufd_viommu_mmap(struct iommufd_viommu *v, uint64_t length, void **host,
			uint64_t *offset);

/*
 * The devices that have an id in the guest. What is found stays until the unlock. The
 * lock is a leaf but for what the IOMMU itself takes in it.
 */
void iommufd_viommu_lock(struct iommufd_viommu *v);
void iommufd_viommu_unlock(struct iommufd_viommu *v);
/* Under the lock; NULL: no device has this id. */
const struct iommufd_device_info *iommufd_viommu_find(struct iommufd_viommu *v,
						      uint64_t virt_id);
/* Takes the lock. -ENOENT: the device has no id in this one. */
int iommufd_viommu_virt_id(struct iommufd_viommu *v,
			   const struct iommufd_device_info *dev, uint64_t *virt_id);

/*
 * Tell the client of an event, by the vIOMMU's queue of this type. @n > 0 bytes in the
 * type's format. -EOPNOTSUPP: it has no such queue; -ENOMEM: lost, as it is, with 0, when
 * the queue is full; then the queue says so.
 */
int iommufd_viommu_report_event(struct iommufd_viommu *v, uint32_t type, const void *data,
				size_t n);

/* Keep @on from being destroyed before @q; both of one vIOMMU, or -EINVAL. */
int iommufd_hw_queue_depend(struct iommufd_hw_queue *q, struct iommufd_hw_queue *on);
void iommufd_hw_queue_undepend(struct iommufd_hw_queue *q, struct iommufd_hw_queue *on);

/* ---- the IOMMU -------------------------------------------------------------------- */

/* A kind of IOMMU; of its units, see unit.h. */
struct iommufd_iommu {
	const char *name;
	/*
	 * Make a page table. @flags: IOMMU_HWPT_ALLOC_*; @data may be NULL. What can be
	 * told from the capabilities that iommufd knows has been refused before.
	 */
	int (*paging)(const struct iommufd_device_info *dev, struct phys *phys,
		      uint32_t flags, const struct iommufd_user_data *data,
		      struct domain **out);
	/* Make the IOMMU's part of a nested hwpt over @parent. */
	int (*nested)(const struct iommufd_device_info *dev, struct domain *parent,
		      uint32_t flags, const struct iommufd_user_data *data,
		      struct iommufd_nested **out);
	/*
	 * The device, or its @pasid, is about to leave @from for @to; either may be NULL:
	 * blocked. -EINVAL: this device cannot use that. Blocking cannot fail.
	 */
	int (*attach)(const struct iommufd_device_info *dev, uint32_t pasid,
		      const struct iommufd_translation *to,
		      const struct iommufd_translation *from);
	/*
	 * The client has answered the page requests that end with @last. NULL: devices
	 * make none, and hwpts with a fault queue cannot be attached (-ENODEV). Called
	 * with locks of iommufd's held: must not call back into it.
	 */
	void (*page_answer)(const struct iommufd_device_info *dev,
			    const struct iommufd_page_request *last,
			    enum iommufd_page_answer answer);
	/* The guest's own table says what its PASIDs mean: page requests of any PASID go
	 * to the nested hwpt that the device itself is attached to. */
	bool guest_pasid_table;
	/* Are there vIOMMUs of this type for the device? NULL: none. */
	bool (*has_viommu)(const struct iommufd_device_info *dev, uint32_t type);
	/* Make the IOMMU's part of one over @parent. @data may be NULL. */
	int (*viommu)(const struct iommufd_device_info *dev, struct iommufd_viommu *v,
		      uint32_t type, struct domain *parent,
		      const struct iommufd_user_data *data,
		      const struct iommufd_viommu_ops **ops, void **priv);
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
