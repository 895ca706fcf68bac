/* SPDX-License-Identifier: MIT */
/*
 * The ioctls of a type1 container, served by an iommufd for the IOAS that IOMMU_VFIO_IOAS
 * has chosen, so that a program written for containers can be handed an iommufd instead.
 *
 * TYPE1v2 unmaps whole areas. TYPE1 unmaps any range: areas are cut at both its ends
 * first, for which SET_IOMMU turns large pages off, since those could not be cut. What
 * answers what is Linux 7.3's iommufd, not its type1: the two differ in places.
 */
#include <errno.h>

#include "iommufd/private.h"
#include "uapi/vfio_fields.h"
#include "uiommufd/abi/vfio_type1.h"

/* The chosen IOAS for the time of a call; NULL: there is none. */
static struct iommufd_ioas *compat_ioas(struct iommufd_ctx *ctx)
{
	struct iommufd_object *obj;

	pthread_mutex_lock(&ctx->lock);
	obj = ctx->vfio_ioas;
	if (obj)
		obj->busy++;
	pthread_mutex_unlock(&ctx->lock);
	return (struct iommufd_ioas *)obj;
}

static long get_api_version(struct uapi_call *call)
{
	return VFIO_API_VERSION;
}

/* ---- what kind of IOMMU
 * ---------------------------------------------------------------- */

/*
 * Is all DMA through the IOAS coherent with the CPU's caches, whatever the device says?
 * Without any page table it is.
 */
static long is_coherent(struct iommufd_ctx *ctx)
{
	struct iommufd_ioas *ioas = compat_ioas(ctx);
	bool all = true;

	if (!ioas)
		return -ENODEV;
	port_mutex_lock(&ioas->lock);
	list_for_each (it, &ioas->hwpts)
		all &= list_entry(it, struct iommufd_hwpt, on_ioas)->coherent;
	port_mutex_unlock(&ioas->lock);
	object_put(ctx, &ioas->obj);
	return all;
}

static long check_extension(struct uapi_call *call)
{
	switch (call->arg) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		return is_coherent(call_ctx(call));
	default:
		return 0;
	}
}

static long set_iommu(struct uapi_call *call)
{
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *ioas;
	int err = 0;

	if (call->arg != VFIO_TYPE1_IOMMU && call->arg != VFIO_TYPE1v2_IOMMU)
		return -EINVAL;
	ioas = compat_ioas(ctx);
	if (!ioas)
		return -ENODEV;
	if (call->arg == VFIO_TYPE1_IOMMU)
		err = ioas_set_large_pages(ioas->ioas, false);
	object_put(ctx, &ioas->obj);
	return err;
}

/* ---- map and unmap
 * ----------------------------------------------------------------------- */

static long map_dma(struct uapi_call *call)
{
	const struct vfio_iommu_type1_dma_map *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *ioas;
	unsigned prot = 0;
	int err;

	if (cmd->flags & ~(uint32_t)(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE))
		return -EINVAL;
	if (cmd->flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOAS_READ;
	if (cmd->flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOAS_WRITE;
	ioas = compat_ioas(ctx);
	if (!ioas)
		return -ENODEV;
	err = (call->client->machine->compat_p2p ? map_user_or_bars_at : map_user_at)(
		call, ioas->ioas, cmd->vaddr, cmd->size, cmd->iova, prot);
	object_put(ctx, &ioas->obj);
	return err;
}

/* Let an area end where the range does, and one end where it begins. */
static int cut_ends(struct ioas *ioas, uint64_t iova, uint64_t size)
{
	int err;

	if (ioas_large_pages(ioas))
		return 0;
	err = ioas_cut(ioas, iova + size - 1);
	if (!err && iova)
		err = ioas_cut(ioas, iova - 1);
	return err;
}

static int unmap(struct ioas *ioas, struct uapi_call *call)
{
	struct vfio_iommu_type1_dma_unmap *cmd = (void *)call->data;
	uint64_t unmapped = 0;
	int err;

	if (cmd->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		if (cmd->iova || cmd->size)
			return -EINVAL;
		err = ioas_unmap_all(ioas, &unmapped);
	} else {
		err = cut_ends(ioas, cmd->iova, cmd->size);
		if (err)
			return err;
		err = ioas_unmap_any(ioas, cmd->iova, cmd->size, &unmapped);
	}
	/* Also on failure: what is gone is gone. */
	cmd->size = unmapped;
	return uapi_respond(call, sizeof(*cmd)) ?: err;
}

static long unmap_dma(struct uapi_call *call)
{
	const struct vfio_iommu_type1_dma_unmap *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *ioas;
	int err;

	if (cmd->flags & ~(uint32_t)VFIO_DMA_UNMAP_FLAG_ALL)
		return -EINVAL;
	ioas = compat_ioas(ctx);
	if (!ioas)
		return -ENODEV;
	err = unmap(ioas->ioas, call);
	object_put(ctx, &ioas->obj);
	return err;
}

/* ---- information
 * --------------------------------------------------------------------------- */

/* The sizes that maps may be aligned to, as type1 answers: none below the CPU's page. */
static uint64_t page_sizes(struct ioas *ioas)
{
	uint64_t sizes = ioas_page_sizes(ioas);

	if (sizes & (PORT_PAGE_SIZE - 1))
		sizes = (sizes & ~(PORT_PAGE_SIZE - 1)) | PORT_PAGE_SIZE;
	return max_u64(sizes, ioas_alignment(ioas));
}

/*
 * The chain of capabilities as it follows struct vfio_iommu_type1_info; offsets count
 * from the start of that. The ranges come last, so the rest has its place.
 */
struct chain {
	struct vfio_iommu_type1_info_dma_avail avail;
	uint32_t pad;
	struct vfio_iommu_type1_info_cap_iova_range iova;
};

_Static_assert(offsetof(struct chain, iova) % 8 == 0, "capabilities are aligned");

static void fill_chain(struct chain *c, const struct iova_range *v, size_t n)
{
	c->avail = (struct vfio_iommu_type1_info_dma_avail){
		.header = {.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
			   .version = 1,
			   .next = sizeof(struct vfio_iommu_type1_info) +
				   offsetof(struct chain, iova)},
		.avail = UINT32_MAX, /* no limit but the client's memory */
	};
	c->iova.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	c->iova.header.version = 1;
	c->iova.nr_iovas = (uint32_t)n;
	for (size_t i = 0; i < n; i++)
		c->iova.iova_ranges[i] = (struct vfio_iova_range){v[i].start, v[i].last};
}

static size_t chain_bytes(size_t ranges)
{
	return sizeof(struct chain) + ranges * sizeof(struct vfio_iova_range);
}

/*
 * Answer the information, and the chain when there is room for all of it; else the size
 * that it needs.
 */
static int answer(struct uapi_call *call, const struct iova_range *v, size_t n)
{
	struct vfio_iommu_type1_info *info = (void *)call->data;
	size_t total = sizeof(*info) + chain_bytes(n);
	size_t room = call->user_size < sizeof(*info) ? call->user_size : sizeof(*info);
	struct chain *chain;
	int err = 0;

	info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info->argsz = (uint32_t)total;
	info->cap_offset = 0;
	info->pad = 0;
	if (call->user_size >= total) {
		info->cap_offset = sizeof(*info);
		chain = port_alloc(chain_bytes(n));
		if (!chain)
			return -ENOMEM;
		fill_chain(chain, v, n);
		err = uapi_store(call, sizeof(*info), chain, chain_bytes(n));
		port_free(chain);
	}
	return err ? err : uapi_respond(call, room);
}

static int answer_ioas(struct uapi_call *call, struct ioas *ioas)
{
	struct vfio_iommu_type1_info *info = (void *)call->data;
	struct iova_range *v = NULL;
	uint64_t alignment;
	size_t n = 0, cap;
	int err;

	info->iova_pgsizes = page_sizes(ioas);
	do {
		cap = n + 4;
		port_free(v);
		v = port_alloc(cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		ioas_ranges(ioas, v, cap, &n, &alignment);
	} while (n > cap);
	err = answer(call, v, n);
	port_free(v);
	return err;
}

static long get_info(struct uapi_call *call)
{
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_ioas *ioas = compat_ioas(ctx);
	int err;

	if (!ioas)
		return -ENODEV;
	err = answer_ioas(call, ioas->ioas);
	object_put(ctx, &ioas->obj);
	return err;
}

/* ---- the table
 * ------------------------------------------------------------------------------- */

#define VALUE(cmd_, handler_)                                                            \
	{                                                                                \
		.cmd = (cmd_), .name = #cmd_, .rule = UAPI_NONE, .handler = (handler_)   \
	}

/* The rest: more members of the entry. */
#define STRUCT(cmd_, type, last, size_, handler_, ...)                                   \
	{                                                                                \
		.cmd = (cmd_), .name = #cmd_, .rule = UAPI_ARGSZ,                        \
		.min_size = offsetof(struct type, last) +                                \
			    sizeof(((struct type *)NULL)->last),                         \
		.size = (size_), .handler = (handler_), .fields = type##_fields,         \
		__VA_ARGS__                                                              \
	}

static const struct uapi_entry entries[] = {
	VALUE(VFIO_GET_API_VERSION, get_api_version),
	VALUE(VFIO_CHECK_EXTENSION, check_extension),
	VALUE(VFIO_SET_IOMMU, set_iommu),
	STRUCT(VFIO_IOMMU_GET_INFO, vfio_iommu_type1_info, iova_pgsizes,
	       sizeof(struct vfio_iommu_type1_info), get_info),
	STRUCT(VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map, size, 0, map_dma),
	STRUCT(VFIO_IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap, size, 0, unmap_dma,
	       .takes_away = true),
	/* Obsolete: a hwpt tracks what is dirty. */
	STRUCT(VFIO_IOMMU_DIRTY_PAGES, vfio_iommu_type1_dirty_bitmap, flags, 0, NULL),
};

const struct uapi_table iommufd_vfio_table = {
	.family = "type1",
	.entries = entries,
	.n = ARRAY_LEN(entries),
};
