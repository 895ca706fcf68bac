/* SPDX-License-Identifier: MIT */
/*
 * IOAS_MAP, IOAS_MAP_FILE and IOAS_COPY: from a client's words to core/pages.
 *
 * Programs depend on which mistake is reported when there are several, so the order of
 * the checks here is Linux 7.3's (tests/iommufd/test_map.c walks through it).
 *
 * Memory is described from the start of the page that holds its first byte, and the
 * offset in that page is kept: the offset decides whether an IOAS with domains takes
 * the area, and the address what alignment an IOVA gets that the IOAS chooses.
 */
#include <errno.h>
#include <unistd.h>

#include "iommufd/private.h"
#include "machine/memory.h"

#define MAP_FLAGS                                                                        \
	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)
#define PAGE_MASK (PORT_PAGE_SIZE - 1)

/* What is to be mapped where; the parts that all three calls have. */
struct map_request {
	uint32_t flags;
	uint64_t start; /* first byte of the memory: VA or offset in the file */
	uint64_t length;
	uint64_t iova;
};

static unsigned prot_of(uint32_t flags)
{
	return (flags & IOMMU_IOAS_MAP_READABLE ? IOAS_READ : 0) |
	       (flags & IOMMU_IOAS_MAP_WRITEABLE ? IOAS_WRITE : 0);
}

static bool writable(const struct map_request *req)
{
	return req->flags & IOMMU_IOAS_MAP_WRITEABLE;
}

static bool fixed(uint32_t flags)
{
	return flags & IOMMU_IOAS_MAP_FIXED_IOVA;
}

static uint64_t page_start(const struct map_request *req)
{
	return req->start & ~PAGE_MASK;
}

/*
 * From the start of the first page to the last byte, which lies below 2^64: so this can
 * wrap to 0 but no further, and 0 is refused (pages_create).
 */
static uint64_t paged_length(const struct map_request *req)
{
	return req->length + (req->start & PAGE_MASK);
}

/* What can be told from the words alone; @src is 0 where there is no source IOVA. */
static int check_words(uint32_t flags, uint64_t length, uint64_t iova, uint64_t src)
{
	if (flags & ~(uint32_t)MAP_FLAGS)
		return -EOPNOTSUPP;
	if (length == UINT64_MAX || iova == UINT64_MAX || src == UINT64_MAX)
		return -EOVERFLOW;
	return prot_of(flags) ? 0 : -EINVAL;
}

/* Takes @pages over. */
static int map_pages(struct ioas *ioas, struct pages *pages, struct map_request *req)
{
	int err = ioas_map(ioas, pages, req->start & PAGE_MASK, req->length,
			   prot_of(req->flags), fixed(req->flags), &req->iova);

	pages_put(pages);
	return err;
}

/* Takes @source over. What will be pinned of it counts as the caller's. */
static int map_source(struct uapi_call *call, struct ioas *ioas,
		      struct mem_source *source, struct map_request *req)
{
	struct pin_account *account;
	struct pages *pages;
	int err = pages_create(source, paged_length(req), writable(req), &pages);

	if (err)
		return err;
	err = account_of_caller(call, &account);
	if (err) {
		pages_put(pages);
		return err;
	}
	pages_set_account(pages, account);
	return map_pages(ioas, pages, req);
}

/* ---- user memory ---------------------------------------------------------------- */

static int map_user(struct uapi_call *call, struct ioas *ioas, struct map_request *req)
{
	struct client *c = call->client;
	struct mem_source *source;
	uint64_t end;
	int err;

	if (__builtin_add_overflow(req->start, req->length, &end))
		return -EOVERFLOW;
	if (!req->length)
		return -EINVAL;
	err = c->ops->user_memory(c, page_start(req), paged_length(req), &source);
	return err ? err : map_source(call, ioas, source, req);
}

long iommufd_ioas_map(struct uapi_call *call)
{
	struct iommu_ioas_map *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct map_request req = {.flags = cmd->flags,
				  .start = cmd->user_va,
				  .length = cmd->length,
				  .iova = cmd->iova};
	struct iommufd_ioas *ioas;
	int err;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	err = check_words(cmd->flags, cmd->length, cmd->iova, 0);
	if (err)
		return err;
	ioas = ioas_get(ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	err = map_user(call, ioas->ioas, &req);
	if (!err) {
		cmd->iova = req.iova;
		err = uapi_respond_done(call, sizeof(*cmd));
	}
	object_put(ctx, &ioas->obj);
	return err;
}

int map_user_at(struct uapi_call *call, struct ioas *ioas, uint64_t va, uint64_t length,
		uint64_t iova, unsigned prot)
{
	struct map_request req = {.flags = IOMMU_IOAS_MAP_FIXED_IOVA,
				  .start = va,
				  .length = length,
				  .iova = iova};

	if (prot & IOAS_READ)
		req.flags |= IOMMU_IOAS_MAP_READABLE;
	if (prot & IOAS_WRITE)
		req.flags |= IOMMU_IOAS_MAP_WRITEABLE;
	return map_user(call, ioas, &req);
}

/* ---- files ---------------------------------------------------------------------- */

static int file_source(struct client *c, int fd, uint64_t start, struct mem_source **out)
{
	int ours = c->ops->get_fd(c, fd);
	int err;

	if (ours < 0)
		return ours;
	err = memory_file_source(c->machine->memory, ours, start, out);
	close(ours);
	return err;
}

static int map_dmabuf(struct machine *m, struct ioas *ioas, struct dmabuf *buf,
		      struct map_request *req)
{
	struct pages *pages;
	int err = pages_create_dmabuf(buf, page_start(req), paged_length(req),
				      writable(req), m->multi_range_dmabuf, &pages);

	return err ? err : map_pages(ioas, pages, req);
}

/*
 * Any other file, virtual ones included. Whether it is memory is looked at by the first
 * pin, which knows placeholders, so what has no memory can be mapped while nobody looks.
 */
static int map_other(struct uapi_call *call, struct ioas *ioas, int fd,
		     struct map_request *req)
{
	struct mem_source *source;
	int err = file_source(call->client, fd, page_start(req), &source);

	return err ? err : map_source(call, ioas, source, req);
}

static int map_file(struct uapi_call *call, struct ioas *ioas, int fd,
		    struct map_request *req)
{
	struct client *c = call->client;
	struct vfile *f = NULL;
	struct dmabuf *buf;
	uint64_t last;
	int err;

	if (!req->length)
		return -EINVAL;
	if (__builtin_add_overflow(req->start, req->length - 1, &last))
		return -EOVERFLOW;
	err = client_get_vfile(c, fd, &f);
	if (err)
		return err;
	buf = f && f->ops->dmabuf ? f->ops->dmabuf(f) : NULL;
	if (buf)
		err = map_dmabuf(c->machine, ioas, buf, req);
	else
		err = map_other(call, ioas, fd, req);
	dmabuf_put(buf);
	vfile_put(f);
	return err;
}

long iommufd_ioas_map_file(struct uapi_call *call)
{
	struct iommu_ioas_map_file *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct map_request req = {.flags = cmd->flags,
				  .start = cmd->start,
				  .length = cmd->length,
				  .iova = cmd->iova};
	struct iommufd_ioas *ioas;
	int err = check_words(cmd->flags, cmd->length, cmd->iova, 0);

	if (err)
		return err;
	ioas = ioas_get(ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	err = map_file(call, ioas->ioas, cmd->fd, &req);
	if (!err) {
		cmd->iova = req.iova;
		err = uapi_respond_done(call, sizeof(*cmd));
	}
	object_put(ctx, &ioas->obj);
	return err;
}

/* ---- copy ----------------------------------------------------------------------- */

/* The source's range is looked at before the destination. */
static int check_copy_range(const struct iommu_ioas_copy *cmd)
{
	uint64_t last;

	if (!cmd->length)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->src_iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	return 0;
}

long iommufd_ioas_copy(struct uapi_call *call)
{
	struct iommu_ioas_copy *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *src, *dst;
	uint64_t iova = cmd->dst_iova;
	int err = check_words(cmd->flags, cmd->length, cmd->dst_iova, cmd->src_iova);

	if (err)
		return err;
	src = ioas_get(ctx, cmd->src_ioas_id);
	if (!src)
		return -ENOENT;
	err = check_copy_range(cmd);
	if (err)
		goto out_src;
	dst = ioas_get(ctx, cmd->dst_ioas_id);
	if (!dst) {
		err = -ENOENT;
		goto out_src;
	}
	err = ioas_copy(dst->ioas, src->ioas, cmd->src_iova, cmd->length,
			prot_of(cmd->flags), fixed(cmd->flags), &iova);
	if (!err) {
		cmd->dst_iova = iova;
		err = uapi_respond_done(call, sizeof(*cmd));
	}
	object_put(ctx, &dst->obj);
out_src:
	object_put(ctx, &src->obj);
	return err;
}
