/* SPDX-License-Identifier: MIT */
/*
 * Dirty pages of a container: the IOMMU records no writes, so, as on Linux, whatever is
 * mapped counts as written all the time that tracking is on.
 *
 * type1.lock is not held over an access to the client's memory.
 */
#include <errno.h>
#include <string.h>

#include "vfio/device.h"
#include "vfio/type1.h"

#define PAGE_MASK  (PORT_PAGE_SIZE - 1)
#define USER_SPACE ((uint64_t)1 << 47)
#define WORD_BITS  64u

struct span {
	uint64_t start, n; /* pages, from the first that was asked for */
};

/* What is mapped in [iova, last], to be freed by the caller. v2 never cuts an entry. */
static int dirty_spans(struct type1 *t, uint64_t iova, uint64_t last, struct span **out,
		       size_t *n)
{
	struct span *v = port_alloc((t->entries.count + 1) * sizeof(*v));
	struct range_iter it;
	struct range r;

	*n = 0;
	*out = v;
	if (!v)
		return -ENOMEM;
	for (bool more = range_iter_first(&it, &t->entries, iova, last, &r); more;
	     more = range_iter_next(&it, &r))
		v[(*n)++] = (struct span){(r.start - iova) / PORT_PAGE_SIZE,
					  (r.last - r.start) / PORT_PAGE_SIZE + 1};
	return 0;
}

/* Linux writes whole words: those before the span in its first keep what they are. */
static int write_span(struct client *c, uint64_t va, struct span s)
{
	uint64_t end = s.start + s.n, kept = s.start % WORD_BITS;
	uint64_t at = s.start - kept, word = 0;
	int err = 0;

	va += at / 8;
	if (kept) {
		err = client_copy_in(c, &word, va, sizeof(word));
		word &= ((uint64_t)1 << kept) - 1;
		word |= UINT64_MAX << kept;
	} else {
		word = UINT64_MAX;
	}
	for (; !err && at < end; at += WORD_BITS, va += sizeof(word)) {
		if (end - at < WORD_BITS)
			word &= ((uint64_t)1 << (end - at)) - 1;
		err = client_copy_out(c, va, &word, sizeof(word));
		word = UINT64_MAX;
	}
	return err;
}

/* Linux on x86: that an address is none of a program's is said before anything else. */
static bool is_address(uint64_t va, uint64_t n)
{
	return va <= USER_SPACE && n <= USER_SPACE - va;
}

int type1_check_bitmap(const struct vfio_bitmap *b, uint64_t size)
{
	uint64_t pages;

	if (!is_address((uintptr_t)b->data, b->size))
		return -EINVAL;

	if (!b->pgsize)
		return -EINVAL;
	pages = size >> __builtin_ctzll(b->pgsize);
	if (!pages || !b->size || b->size > TYPE1_BITMAP_BYTES ||
	    b->size < (pages + WORD_BITS - 1) / WORD_BITS * 8)
		return -EINVAL;
	return 0;
}

/* [iova, last] is aligned, and the bitmap large enough for it. */
int type1_write_bitmap(struct type1 *t, struct client *c, uint64_t iova, uint64_t last,
		       const struct vfio_bitmap *bitmap)
{
	struct span *v = NULL;
	size_t n = 0;
	int err = -EINVAL;

	port_mutex_lock(&t->lock);
	if (t->tracking && bitmap->pgsize == PORT_PAGE_SIZE && !type1_cuts(t, iova) &&
	    (last == UINT64_MAX || !type1_cuts(t, last + 1)))
		err = dirty_spans(t, iova, last, &v, &n);
	port_mutex_unlock(&t->lock);
	for (size_t i = 0; !err && i < n; i++)
		err = write_span(c, (uintptr_t)bitmap->data, v[i]);
	port_free(v);
	return err;
}

static int get_bitmap(struct type1 *t, struct uapi_call *call)
{
	const size_t head = offsetof(struct vfio_iommu_type1_dirty_bitmap, data);
	struct vfio_iommu_type1_dirty_bitmap_get get;
	uint64_t last;
	int err;

	if (call->user_size - head < sizeof(get))
		return -EINVAL;
	err = uapi_fetch(call, &get, head, sizeof(get));
	if (err)
		return err;
	if (!get.size)
		return -EINVAL;
	if (__builtin_add_overflow(get.iova, get.size - 1, &last))
		return -EOVERFLOW;
	err = type1_check_bitmap(&get.bitmap, get.size);
	if (err)
		return err;
	if ((get.iova | get.size) & PAGE_MASK)
		return -EINVAL;
	return type1_write_bitmap(t, call->client, get.iova, last, &get.bitmap);
}

static void set_tracking(struct type1 *t, bool on)
{
	port_mutex_lock(&t->lock);
	t->tracking = on;
	port_mutex_unlock(&t->lock);
}

long type1_admit_dirty_pages(struct type1 *t, struct uapi_call *call)
{
	return t->v2 ? 0 : -EACCES;
}

long type1_dirty_pages(struct type1 *t, struct uapi_call *call)
{
	struct vfio_iommu_type1_dirty_bitmap dirty;

	memcpy(&dirty, call->data, offsetof(struct vfio_iommu_type1_dirty_bitmap, data));
	switch (dirty.flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
		set_tracking(t, true);
		return 0;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		set_tracking(t, false);
		return 0;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		return get_bitmap(t, call);
	default:
		return -EINVAL;
	}
}
