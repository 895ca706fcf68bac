/* SPDX-License-Identifier: MIT */
/*
 * VFIO_IOMMU_MAP_DMA of /dev/iommu with the extension compat-p2p: where the client's
 * addresses are its mapping of a BAR, the BAR's slice is attached as a dma-buf and
 * mapped, as our type1 does it. It has a lifetime, the device can take it back, and it is
 * not mapped again by itself. Linux refuses such addresses (EFAULT).
 *
 * A call is cut into pieces where BARs begin and end, each an area of its own; memory
 * that is together stays together. All pieces are mapped or none.
 */
#include <errno.h>

#include "iommufd/private.h"

#define PAGE_MASK (PORT_PAGE_SIZE - 1)

struct piece {
	uint64_t va, length, iova;
	struct client_vma vma; /* of a BAR, with a reference; file NULL: memory */
};

static bool is_bar(const struct client_vma *vma)
{
	return vma->file && vma->file->ops->slice;
}

/* How far memory, or what is not mapped at all, goes from @va on; at most @left. */
static uint64_t memory_length(struct client *c, uint64_t va, uint64_t left)
{
	uint64_t n = 0;

	while (n < left) {
		struct client_vma vma;
		bool bar;

		if (c->ops->vma(c, va + n, &vma))
			return left;
		bar = is_bar(&vma);
		vfile_put(vma.file);
		if (bar)
			return n;
		n += min_u64(vma.last - (va + n), left - n - 1) + 1;
	}
	return n;
}

static void find_piece(struct client *c, struct piece *p, uint64_t left)
{
	if (!c->ops->vma(c, p->va, &p->vma)) {
		if (is_bar(&p->vma)) {
			p->length = min_u64(p->vma.last - p->va, left - 1) + 1;
			return;
		}
		vfile_put(p->vma.file);
	}
	p->vma.file = NULL;
	p->length = memory_length(c, p->va, left);
}

static int map_bar(struct ioas *ioas, const struct piece *p, unsigned prot)
{
	struct vfile *f = p->vma.file;
	struct pages *pages;
	struct dmabuf *buf;
	uint64_t iova = p->iova;
	int err;

	if ((prot & IOAS_READ && !p->vma.readable) ||
	    (prot & IOAS_WRITE && !p->vma.writable))
		return -EFAULT;
	err = f->ops->slice(f, p->vma.offset, p->length, &buf);
	if (err)
		return err;
	err = pages_create_dmabuf(buf, 0, p->length, prot & IOAS_WRITE, false, &pages);
	dmabuf_put(buf);
	if (err)
		return err;
	err = ioas_map(ioas, pages, 0, p->length, prot, true, &iova);
	pages_put(pages);
	return err;
}

static int map_piece(struct uapi_call *call, struct ioas *ioas, const struct piece *p,
		     unsigned prot)
{
	int err;

	if (!p->vma.file)
		return map_user_at(call, ioas, p->va, p->length, p->iova, prot);
	err = map_bar(ioas, p, prot);
	/* Memory that the device has taken away is like memory that is not there. */
	return err == -ENODEV ? -EFAULT : err;
}

int map_user_or_bars_at(struct uapi_call *call, struct ioas *ioas, uint64_t va,
			uint64_t length, uint64_t iova, unsigned prot)
{
	uint64_t end, done = 0, unmapped;
	int err = 0;

	/* What is wrong anyway, and what no BAR could be mapped as. */
	if (!length || (va | length | iova) & PAGE_MASK || !prot ||
	    __builtin_add_overflow(va, length, &end) ||
	    __builtin_add_overflow(iova, length - 1, &end))
		return map_user_at(call, ioas, va, length, iova, prot);
	while (!err && done < length) {
		struct piece p = {.va = va + done, .iova = iova + done};

		find_piece(call->client, &p, length - done);
		err = map_piece(call, ioas, &p, prot);
		vfile_put(p.vma.file);
		if (!err)
			done += p.length;
	}
	if (err && done)
		ioas_unmap(ioas, iova, done, &unmapped);
	return err;
}
