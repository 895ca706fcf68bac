/* SPDX-License-Identifier: MIT */
/*
 * What the files of iommufd/ share: the context, its objects, and how long they live.
 *
 * Every object embeds struct iommufd_object first and has an id in the context's table
 * from its allocation on; lookups find it once it is published. Two counts keep it:
 *   users  objects (and bound devices) that refer to it for as long as they live;
 *   busy   calls that are working with it right now.
 * DESTROY wants both to be zero (-EBUSY). Unbinding a device, and dropping the last
 * user of an automatic hwpt, cannot be refused: they mark the object dying, so that no
 * new call finds it, and wait for the calls at work.
 *
 * Locks, outermost first:
 *   iommufd_access.lock  what an access is attached to; not held over its unmap()
 *   iommufd_ioas.lock    the list of hwpts; held while one is made, filled and published
 *   iommufd_group.lock   what a group is attached to
 *   core's locks         (core/ioas.h)
 *   iommufd_ctx.lock     the table, both counts, the list of groups; a leaf
 * Objects are destroyed with none of these held.
 */
#ifndef IOMMUFD_PRIVATE_H
#define IOMMUFD_PRIVATE_H

#include <pthread.h>

#include "core/list.h"
#include "iommufd/driver.h"
#include "iommufd/iommufd.h"
#include "machine/machine.h"
#include "uapi/table.h"
#include "uiommufd/abi/iommufd.h"

struct iommufd_access;
struct pin_account;

enum object_type {
	OBJECT_ANY, /* for lookups */
	OBJECT_IOAS,
	OBJECT_HWPT,
	OBJECT_HWPT_NESTED,
	OBJECT_DEVICE,
	OBJECT_FAULT,
	OBJECT_VIOMMU,
	OBJECT_VDEVICE,
	OBJECT_VEVENTQ,
	OBJECT_HW_QUEUE,
	OBJECT_ACCESS,
	OBJECT_EXTRA,
	OBJECT_TYPES,
};

struct iommufd_object {
	enum object_type type;
	uint32_t id;
	/* Under ctx.lock. */
	unsigned users, busy;
	bool published, dying;
};

/* The ids: the lowest free one from 1 on is given out, as Linux does. Under ctx.lock. */
struct object_table {
	struct iommufd_object **slots; /* by id */
	uint64_t *taken;               /* a bit for each id; in the same allocation */
	uint32_t cap;                  /* ids there is room for; a multiple of 64 */
	uint32_t lowest;               /* no id below it is free */
	uint32_t count;                /* objects */
	uint32_t buried;               /* ids that are never given out again */
};

struct iommufd_ctx {
	struct vfile file;
	struct machine *machine; /* constant */
	pthread_mutex_t lock;
	pthread_cond_t idle; /* some object's last call is done with it */
	struct object_table table;
	struct list groups;               /* iommufd_group.on_ctx */
	struct list maps;                 /* viommu_mmap.c */
	struct iommufd_object *vfio_ioas; /* IOMMU_VFIO_IOAS; not a use */
	bool rlimit_per_process;          /* IOMMU_OPTION_RLIMIT_MODE */
	pthread_mutex_t change; /* IOAS_CHANGE_PROCESS: one at a time; outermost */
};

struct iommufd_ioas {
	struct iommufd_object obj;
	struct ioas *ioas;
	struct port_mutex lock;
	struct list hwpts; /* iommufd_hwpt.on_ioas: those that are filled */
};

/*
 * A domain that holds everything its IOAS maps; or, nested, a first stage of the IOMMU's
 * own before that of another hwpt, its parent, whose IOAS and domain it shows as its own.
 */
struct iommufd_hwpt {
	struct iommufd_object obj;
	struct iommufd_ioas *ioas; /* which it uses, unless nested */
	struct domain *domain;
	const struct iommufd_iommu *iommu;
	struct list on_ioas;
	bool filled; /* in the IOAS; under ioas->lock until published */
	/* Made by an attach to the IOAS; goes with its last device. Constant. */
	bool automatic;
	bool nest_parent, pasid_compat; /* constant */
	bool coherent; /* all DMA through it is, by force; constant, for a paging one */
	struct iommufd_hwpt *parent;    /* nested: which it uses, unless by the vIOMMU */
	struct iommufd_nested *nested;
	struct iommufd_viommu *viommu; /* nested on one: which it uses */
	struct iommufd_fault *fault; /* where page requests go: which it uses, or NULL */
};

/*
 * Devices that the IOMMU cannot tell apart, as far as this context has bound them. All
 * of them translate through the one hwpt that those of them that are attached name,
 * bound members that are not attached included, as on Linux.
 */
struct iommufd_group {
	struct list on_ctx;
	unsigned refs; /* under ctx.lock: bound members */
	const void *key;
	_Atomic(const void *) *owner;
	struct port_mutex lock;
	struct list members;       /* iommufd_device.on_group */
	struct iommufd_hwpt *hwpt; /* NULL: blocked. Each attached member uses it. */
	unsigned nr_attached;
	struct list pasids; /* pasid.c */
	uint64_t sw_msi;    /* sw_msi.c: where messages go, if they are translated; or 0 */
	bool needs_msi;     /* in every hwpt that it is attached to */
};

struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct iommufd_device_info info;
	struct iommufd_group *group; /* NULL only while bind fails */
	struct list on_group;
	/* Under group->lock. */
	bool attached;
	struct list partial; /* fault.c: page requests whose group is not complete */
	struct iommufd_vdevice *vdevice;
	bool leaving; /* gets no vDEVICE any more */
};

static inline struct iommufd_ctx *call_ctx(const struct uapi_call *call)
{
	return container_of(call->file, struct iommufd_ctx, file);
}

/* ---- object.c ----------------------------------------------------------------- */

void objects_init(struct iommufd_ctx *ctx);
/* Destroys every object, users before what they use. No call is at work. */
void objects_finish(struct iommufd_ctx *ctx);
/* Are no ids taken? Under ctx.lock. */
bool objects_empty(const struct iommufd_ctx *ctx);

/*
 * Zeroed memory of @size bytes that starts with an object, and an id for it. Ends with
 * object_publish(), or with object_abort(), which destroys it as far as it got.
 */
int object_alloc(struct iommufd_ctx *ctx, size_t size, enum object_type type, void **out);
void object_publish(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void object_abort(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/* The object for the time of a call; NULL: no such id, or of another type. */
struct iommufd_object *object_get(struct iommufd_ctx *ctx, uint32_t id,
				  enum object_type type);
/* The same for an object whose memory the caller's lock keeps. */
bool object_try_get(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/* The first object of a type with an id from *@id on, which is set to its id. */
struct iommufd_object *object_next(struct iommufd_ctx *ctx, uint32_t *id,
				   enum object_type type);
void object_put(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/* Count users; the caller has the object by other means. */
void object_use(struct iommufd_ctx *ctx, struct iommufd_object *obj, unsigned n);
void object_unuse(struct iommufd_ctx *ctx, struct iommufd_object *obj, unsigned n);

/* Use an object that the caller's lock keeps; false: it is dying. */
bool object_try_use(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/* -ENOENT, -EBUSY */
int object_destroy(struct iommufd_ctx *ctx, uint32_t id);
/* Drop a use, and destroy the object when that was the last. */
void object_unuse_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/* The same, and the id is not given out again. */
void object_unuse_bury(struct iommufd_ctx *ctx, struct iommufd_object *obj);

static inline struct iommufd_ioas *ioas_get(struct iommufd_ctx *ctx, uint32_t id)
{
	return (struct iommufd_ioas *)object_get(ctx, id, OBJECT_IOAS);
}

static inline struct iommufd_hwpt *hwpt_get(struct iommufd_ctx *ctx, uint32_t id)
{
	return (struct iommufd_hwpt *)object_get(ctx, id, OBJECT_HWPT);
}

static inline struct iommufd_device *device_get(struct iommufd_ctx *ctx, uint32_t id)
{
	return (struct iommufd_device *)object_get(ctx, id, OBJECT_DEVICE);
}

/* ---- the objects' own files --------------------------------------------------- */

int ioas_object_create(struct iommufd_ctx *ctx, struct iommufd_ioas **out);
void ioas_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void hwpt_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void nested_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void extra_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void device_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void access_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/*
 * An access of our own (a queue in the client's memory) needs no ops, cannot be asked to
 * let go, and has its IOAS by pointer: unmapping what it has pinned is -EBUSY.
 */
int access_create_internal(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
			   struct iommufd_access **out);

extern const struct iommufd_iommu iommufd_vtd;
extern const struct iommufd_iommu iommufd_amd;

static inline const struct iommufd_iommu *iommu_of(const struct iommufd_device *dev)
{
	return dev->info.iommu ? dev->info.iommu : &iommufd_vtd;
}

/* What a device that is attached to it translates through; of NULL: nothing. */
static inline struct iommufd_translation hwpt_translation(const struct iommufd_hwpt *hwpt)
{
	struct iommufd_translation t = {0};

	if (hwpt) {
		t.domain = hwpt->domain;
		t.nested = hwpt->nested;
		t.faults = hwpt->fault;
	}
	return t;
}

static inline const struct dma_path *hwpt_path(const struct iommufd_hwpt *hwpt)
{
	if (!hwpt)
		return NULL;
	return hwpt->nested && hwpt->nested->path ? hwpt->nested->path
						  : &hwpt->domain->path;
}

/* Make an empty one over @ioas for @dev; it is not published and not filled. */
int hwpt_create(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
		struct iommufd_device *dev, uint32_t flags,
		const struct iommufd_user_data *data, struct iommufd_hwpt **out);
/* Have it hold what its IOAS maps; nothing to do when it does. Under ioas->lock when it
 * is not published yet. */
int hwpt_fill(struct iommufd_hwpt *hwpt);
/* A device lets go of it. */
void hwpt_release(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt);

/* May @dev, or its PASID, move from @from to @to? NULL: blocked, which it always may. */
int iommu_ask(struct iommufd_device *dev, uint32_t pasid, const struct iommufd_hwpt *to,
	      const struct iommufd_hwpt *from);
int group_join(struct iommufd_ctx *ctx, struct iommufd_device *dev);
void group_leave(struct iommufd_ctx *ctx, struct iommufd_device *dev);
/*
 * Attach @dev to @hwpt (which the caller keeps from going away), or its whole group
 * when it is attached already. *@old: a hwpt to be released by the caller, or NULL.
 */
int group_attach(struct iommufd_ctx *ctx, struct iommufd_device *dev,
		 struct iommufd_hwpt *hwpt, struct iommufd_hwpt **old);
/* What it was attached to, to be released by the caller, or NULL. */
struct iommufd_hwpt *group_detach(struct iommufd_device *dev);

/* ---- sw_msi.c (under group.lock) -------------------------------------------------- */

/* A device of the group is about to be attached: where its messages go. */
void sw_msi_note(struct iommufd_group *g, const struct iommufd_device_info *info);
/* The group is about to be attached to @to. -ENOMEM ... */
int sw_msi_follow(struct iommufd_ctx *ctx, const struct iommufd_group *g,
		  const struct iommufd_hwpt *to);

/* ---- fault.c -------------------------------------------------------------------- */

void fault_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/* The hwpt uses the fault queue with this id from now on. -ENOENT. */
int fault_connect(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt, uint32_t id);
/* At the hwpt's end. */
void fault_disconnect(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt);

/*
 * Under group->lock. All devices of @g, or only @dev, or only of @pasid, do not use @hwpt
 * (NULL is fine) any more: what they asked for is answered, INVALID, and can be neither
 * read nor answered from now on.
 */
#define FAULTS_OF_ANY_PASID UINT32_MAX
void fault_withdraw(struct iommufd_hwpt *hwpt, const struct iommufd_group *g,
		    const struct iommufd_device *dev, uint32_t pasid);

/* ---- virtual IOMMUs (iommufd/viommu.h) -------------------------------------------- */

void viommu_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void vdevice_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void veventq_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void hw_queue_object_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/* The device is about to leave: it has no vDEVICE any more, and gets none. */
void vdevice_end(struct iommufd_device *dev);
/* Is this exactly what a vIOMMU offers to be mapped? */
bool viommu_map_is(struct iommufd_ctx *ctx, uint64_t offset, uint64_t length);
/* Has process @pid pages of the vIOMMU mapped? */
bool viommu_mapped_by(struct iommufd_viommu *v, int pid);

/* ---- pasid.c (under group.lock, but for the last) ---------------------------------- */

/* What the group's @pasid is attached to, or NULL. */
struct iommufd_hwpt *pasid_hwpt(struct iommufd_group *g, uint32_t pasid);
/* The device takes its part in the group's PASIDs, all or none; or gives it up. */
int pasid_join(struct iommufd_device *dev);
void pasid_leave(struct iommufd_device *dev);
/* Takes the lock: those that the device itself has attached. */
void pasid_detach_all(struct iommufd_device *dev);

/* The alignment that areas of the IOAS keep, a power of two. */
static inline uint64_t ioas_alignment(struct ioas *ioas)
{
	uint64_t alignment;
	size_t n;

	ioas_ranges(ioas, NULL, 0, &n, &alignment);
	return alignment;
}

/* ---- the table of ioctls (table.c) and its handlers ---------------------------- */

extern const struct uapi_table iommufd_table;
/* vfio_compat.c: what a type1 container would serve; numbers are VFIO's. */
extern const struct uapi_table iommufd_vfio_table;

/* ioas.c */
long iommufd_ioas_alloc(struct uapi_call *call);
long iommufd_ioas_iova_ranges(struct uapi_call *call);
long iommufd_ioas_allow_iovas(struct uapi_call *call);
long iommufd_ioas_unmap(struct uapi_call *call);
/* account.c */
/*
 * The account for what the calling client maps into IOASes of the context, with a
 * reference; NULL: it is nobody's. -ENOMEM.
 */
int account_of_caller(struct uapi_call *call, struct pin_account **out);
long iommufd_ioas_change_process(struct uapi_call *call);
/* map.c */
long iommufd_ioas_map(struct uapi_call *call);
long iommufd_ioas_map_file(struct uapi_call *call);
long iommufd_ioas_copy(struct uapi_call *call);
/* Map memory of the calling client at @iova; @prot may be 0, as with type1. */
int map_user_at(struct uapi_call *call, struct ioas *ioas, uint64_t va, uint64_t length,
		uint64_t iova, unsigned prot);
/* compat_p2p.c: the same, and what shows a BAR is mapped as the BAR's dma-buf. */
int map_user_or_bars_at(struct uapi_call *call, struct ioas *ioas, uint64_t va,
			uint64_t length, uint64_t iova, unsigned prot);
/* hwpt.c */
long iommufd_hwpt_alloc(struct uapi_call *call);
/* dirty.c */
long iommufd_hwpt_set_dirty_tracking(struct uapi_call *call);
long iommufd_hwpt_get_dirty_bitmap(struct uapi_call *call);
/* fault.c */
long iommufd_fault_alloc(struct uapi_call *call);
/* hw_info.c */
long iommufd_get_hw_info(struct uapi_call *call);
/* option.c */
long iommufd_option(struct uapi_call *call);
/* vfio_ioas.c */
long iommufd_vfio_ioas(struct uapi_call *call);
/* viommu.c */
long iommufd_hwpt_invalidate(struct uapi_call *call);
long iommufd_viommu_alloc(struct uapi_call *call);
long iommufd_vdevice_alloc(struct uapi_call *call);
long iommufd_veventq_alloc(struct uapi_call *call);
long iommufd_hw_queue_alloc(struct uapi_call *call);

#endif
