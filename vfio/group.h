/* SPDX-License-Identifier: MIT */
/*
 * The legacy path to devices: IOMMU groups, containers, and the type1 interface for the
 * maps of a container. Inside the room.
 *
 * A group's node can be open once. While it is, none of the group's devices can be bound
 * by its own node, and while one is bound the group's node cannot be opened. The open
 * group is put into a container; a container that has groups is given an IOMMU
 * interface (type1), which all its groups' devices translate through from then on; then
 * devices are opened through the group. An open of /dev/iommu can take the container's
 * place: each device is then bound to it when it is opened, and attached to the IOAS that
 * IOMMU_VFIO_IOAS chooses.
 *
 * Lifetimes. An open device keeps its group's open; a group keeps the container it is
 * in. The interface goes with the last group; a call at work may keep it a little
 * longer, empty and used by no device.
 *
 * Locks, outermost first: group.lock, container.lock, type1.lock, device.bind and what
 * follows it (pci_device.h). None is held over an access to a client's memory, so a
 * client that stalls such accesses holds up nobody else's close.
 */
#ifndef VFIO_GROUP_H
#define VFIO_GROUP_H

#include "core/list.h"
#include "uapi/table.h"
#include "uapi/vfile.h"

struct machine;
struct pci_device;
struct type1;
struct vfio_container;
struct vfio_group;

/* ---- group.c ---------------------------------------------------------------------- */

/* The group of a device: made with its first, gone with its last. */
int vfio_group_join(struct pci_device *dev);
/* Does nothing if it has not joined. */
void vfio_group_leave(struct pci_device *dev);
/* One of its devices has memory that is to be mapped one to one: none can be given away.
 * While the machine is made. And is it so? */
void vfio_group_need_direct(struct vfio_group *g);
const bool *vfio_group_needs_direct(const struct vfio_group *g);
/* A device of it is bound by its own node; -EBUSY: the group's is open. */
int vfio_group_block(struct vfio_group *g);
void vfio_group_unblock(struct vfio_group *g);
/* If none of its devices is bound to vfio-pci any more, the node is taken from whoever
 * has it open; none of the devices is open. */
void vfio_group_revoke(struct vfio_group *g);
/* An open of a device by the group has ended. */
void vfio_group_unuse(struct vfio_group *g);
/* The group that a file is the open node of, or NULL. */
struct vfio_group *vfio_group_of(struct vfile *f);
/* The group's device with an index from *@i on, and its index; NULL: no more. */
struct pci_device *vfio_group_next(const struct vfio_group *g, size_t *i);

#define for_each_in_group(it, g)                                                         \
	for (size_t it##_i = 0; ((it) = vfio_group_next(g, &it##_i)); it##_i++)

/* ---- container.c ------------------------------------------------------------------ */

struct group_link {
	struct list on_container;
	struct vfio_group *group;
};

/* The container that a file is, or NULL. */
struct vfio_container *vfio_container_of_file(struct vfile *f);
/* Takes a reference to the container on success. -EBUSY, -EINVAL, -ENOMEM. */
int vfio_container_attach(struct vfio_container *c, struct group_link *link);
void vfio_container_detach(struct vfio_container *c, struct group_link *link);
bool vfio_container_has_iommu(struct vfio_container *c);
void vfio_container_put(struct vfio_container *c);

/* ---- type1.c ---------------------------------------------------------------------- */

int type1_create(struct machine *m, bool v2, const struct vfio_group *first,
		 struct type1 **out);
/* Is all DMA of its devices coherent by force? */
bool type1_is_coherent(const struct type1 *t);
void type1_get(struct type1 *t);
void type1_put(struct type1 *t);
/* All its devices translate through it. -EBUSY: addresses are being updated; -EINVAL:
 * something is mapped where they cannot do DMA. */
int type1_attach(struct type1 *t, struct vfio_group *g);
void type1_detach(struct type1 *t, struct vfio_group *g);
/* The last group is gone: unmap everything. */
void type1_clear(struct type1 *t);
long type1_get_info(struct type1 *t, struct uapi_call *call);
long type1_map_dma(struct type1 *t, struct uapi_call *call);
long type1_unmap_dma(struct type1 *t, struct uapi_call *call);
/* -EACCES: this version has no dirty pages, whatever is asked. */
long type1_admit_dirty_pages(struct type1 *t, struct uapi_call *call);
long type1_dirty_pages(struct type1 *t, struct uapi_call *call);

/* ---- the calls -------------------------------------------------------------------- */

extern const struct uapi_table vfio_group_table, vfio_container_table;

#endif
