/* SPDX-License-Identifier: MIT */
/* The life of a virtual file: from vfile_init() to the put of its last reference. */
#include "uapi/vfile.h"

void vfile_init(struct vfile *f, const struct vfile_ops *ops, int storage_fd,
		uint64_t size)
{
	f->ops = ops;
	atomic_init(&f->refs, 1);
	f->storage_fd = storage_fd;
	f->size = size;
	f->ends[0] = f->ends[1] = -1;
	f->rdev = 0;
	f->label = NULL;
}

void vfile_get(struct vfile *f)
{
	/* The caller has a reference: nothing needs to be ordered against the last put.
	 */
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

void vfile_put(struct vfile *f)
{
	if (!f)
		return;
	/* Whoever drops the last must see all that other holders did to the file. */
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
		return;
	f->ops->release(f);
}
