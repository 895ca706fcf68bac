/* SPDX-License-Identifier: MIT */
/* What the files of type1 share (type1.c, type1_dirty.c). */
#ifndef VFIO_TYPE1_H
#define VFIO_TYPE1_H

#include "core/ioas.h"
#include "core/range_map.h"
#include "uiommufd/abi/vfio_type1.h"
#include "vfio/group.h"

/* Linux: a bitmap of INT_MAX pages. */
#define TYPE1_BITMAP_BYTES ((uint64_t)0x10000000)

struct entry {
	uint64_t iova, last;
	bool stale; /* its addresses mean nothing */
};

struct type1 {
	_Atomic unsigned refs;
	bool v2;
	struct iommufd_device_info first; /* whose unit made the page table; a copy */
	struct domain *domain;
	struct ioas *ioas;
	struct port_mutex lock;
	struct range_map entries;
	unsigned available;
	unsigned nr_stale;
	bool tracking; /* dirty pages */
};

/* ---- type1.c ---------------------------------------------------------------------- */

/* Does an entry reach across the edge between @iova - 1 and @iova? With the lock held. */
bool type1_cuts(const struct type1 *t, uint64_t iova);

/* ---- type1_dirty.c ---------------------------------------------------------------- */

/* Is it large enough for @size bytes of IOVA? -EINVAL. */
int type1_check_bitmap(const struct vfio_bitmap *b, uint64_t size);
/* What of [iova, last], which is aligned, is dirty. -EINVAL: nothing is tracked, or an
 * end cuts an entry; -EFAULT. */
int type1_write_bitmap(struct type1 *t, struct client *c, uint64_t iova, uint64_t last,
		       const struct vfio_bitmap *bitmap);

#endif
