/* SPDX-License-Identifier: MIT */
/*
 * type1: what a container maps for the devices of its groups.
 *
 * All devices translate through one domain, which holds everything an IOAS maps. Beside
 * the IOAS is a list of what the client mapped, its *entries*: one for each MAP_DMA, of
 * one or more areas. Entries are what is counted, found, and unmapped as a whole: v2
 * refuses to cut one, v1 unmaps all of one whose start lies in the range.
 *
 * Memory is what the client's addresses show when they are mapped. Where that is a BAR,
 * the BAR's slice becomes a dma-buf that lives as long as the entry, so the device can
 * take it back as from any other importer; it is not mapped again by itself. Linux maps
 * the physical pages there and keeps no hold on them, which is why its iommufd refuses
 * such addresses.
 *
 * VFIO_DMA_UNMAP_FLAG_VADDR says that an entry's addresses mean nothing any more; until
 * new ones are given no group can be added. Translations stay: they are of the memory.
 *
 * type1.lock is held over whole maps and unmaps, as on Linux, but never over an access
 * to the client's memory. The order of checks is Linux 7.3's.
 */
#include "uiommufd/abi/vfio_type1.h"

#include <errno.h>
#include <string.h>

#include "core/ioas.h"
#include "machine/accounting.h"
#include "vfio/device.h"
#include "vfio/group.h"
#include "vfio/type1.h"

/* Linux: the module's parameter dma_entry_limit. */
#define ENTRIES_MAX 65535u
#define PAGE_MASK   (PORT_PAGE_SIZE - 1)

static const struct iommufd_device_info *info_of_group(const struct vfio_group *g)
{
	struct pci_device *dev;

	for_each_in_group(dev, g) return &dev->info;
	return NULL;
}

int type1_create(struct machine *m, bool v2, const struct vfio_group *first,
		 struct type1 **out)
{
	struct type1 *t = port_alloc(sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->first = *info_of_group(first);
	err = iommufd_unit_paging(&t->first, m->phys, &t->domain);
	if (err)
		goto fail;
	err = ioas_create(&t->ioas);
	if (err)
		goto fail_domain;
	err = ioas_add_domain(t->ioas, t->domain);
	if (err)
		goto fail_ioas;
	atomic_init(&t->refs, 1);
	t->v2 = v2;
	t->available = ENTRIES_MAX;
	port_mutex_init(&t->lock);
	range_map_init(&t->entries);
	*out = t;
	return 0;

fail_ioas:
	ioas_destroy(t->ioas);
fail_domain:
	domain_destroy(t->domain);
fail:
	port_free(t);
	return err;
}

void type1_get(struct type1 *t)
{
	atomic_fetch_add(&t->refs, 1);
}

void type1_put(struct type1 *t)
{
	if (atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	type1_clear(t);
	ioas_remove_domain(t->ioas, t->domain);
	ioas_destroy(t->ioas);
	domain_destroy(t->domain);
	range_map_finish(&t->entries);
	port_mutex_finish(&t->lock);
	port_free(t);
}

bool type1_is_coherent(const struct type1 *t)
{
	return t->first.enforces_coherency;
}

/* ---- groups ----------------------------------------------------------------------- */

static int reserve(struct type1 *t, struct vfio_group *g)
{
	struct pci_device *dev;

	for_each_in_group(dev, g)
	{
		for (size_t i = 0; i < dev->info.nr_resv; i++) {
			const struct iommufd_resv *r = &dev->info.resv[i];
			int err = ioas_reserve(t->ioas, r->start, r->last, dev);

			if (err)
				return err == -EADDRINUSE ? -EINVAL : err;
		}
	}
	return 0;
}

/* Can all of its devices use the page table of the first group's? */
static int check_units(struct type1 *t, struct vfio_group *g)
{
	struct pci_device *dev;
	int err = 0;

	for_each_in_group(dev, g)
	{
		if (!err)
			err = iommufd_unit_check(&dev->info, &t->first, t->domain);
	}
	return err;
}

static void unreserve(struct type1 *t, struct vfio_group *g)
{
	struct pci_device *dev;

	for_each_in_group(dev, g) ioas_unreserve(t->ioas, dev);
}

static void translate_through(struct vfio_group *g, struct domain *d)
{
	struct pci_device *dev;

	for_each_in_group(dev, g) dma_requester_attach(dev->info.requester, d);
}

int type1_attach(struct type1 *t, struct vfio_group *g)
{
	int err;

	port_mutex_lock(&t->lock);
	err = t->nr_stale ? -EBUSY : check_units(t, g);
	if (err)
		goto out;
	err = reserve(t, g);
	if (err)
		unreserve(t, g);
	else
		translate_through(g, t->domain);
out:
	port_mutex_unlock(&t->lock);
	return err;
}

void type1_detach(struct type1 *t, struct vfio_group *g)
{
	port_mutex_lock(&t->lock);
	translate_through(g, NULL);
	unreserve(t, g);
	port_mutex_unlock(&t->lock);
}

/* ---- entries: with the lock held -------------------------------------------------- */

static struct entry *find(const struct type1 *t, uint64_t iova, uint64_t last)
{
	struct range r;

	return range_map_first(&t->entries, iova, last, &r) ? r.value : NULL;
}

bool type1_cuts(const struct type1 *t, uint64_t iova)
{
	const struct entry *e = find(t, iova, iova);

	return e && e->iova != iova;
}

static int entry_add(struct type1 *t, uint64_t iova, uint64_t last)
{
	struct entry *e = port_alloc(sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	e->iova = iova;
	e->last = last;
	err = range_map_insert(&t->entries, iova, last, e);
	if (err)
		port_free(e);
	else
		t->available--;
	return err;
}

static void entry_remove(struct type1 *t, struct entry *e)
{
	range_map_remove(&t->entries, e->iova);
	t->available++;
	t->nr_stale -= e->stale;
	port_free(e);
}

void type1_clear(struct type1 *t)
{
	struct entry *e;
	uint64_t unmapped;

	port_mutex_lock(&t->lock);
	ioas_unmap_all(t->ioas, &unmapped);
	while ((e = find(t, 0, UINT64_MAX)))
		entry_remove(t, e);
	port_mutex_unlock(&t->lock);
}

/* ---- ranges ----------------------------------------------------------------------- */

/* The ranges where something may be mapped; *@v is the caller's to free. */
static int ranges(struct type1 *t, struct iova_range **v, size_t *n)
{
	uint64_t alignment;
	size_t cap = 8;

	for (;;) {
		*v = port_alloc(cap * sizeof(**v));
		if (!*v)
			return -ENOMEM;
		ioas_ranges(t->ioas, *v, cap, n, &alignment);
		if (*n <= cap)
			return 0;
		cap = *n;
		port_free(*v);
	}
}

static int check_range(struct type1 *t, uint64_t iova, uint64_t last)
{
	struct iova_range *v;
	bool inside = false;
	size_t n;
	int err = ranges(t, &v, &n);

	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		inside |= iova >= v[i].start && last <= v[i].last;
	port_free(v);
	return inside ? 0 : -EINVAL;
}

/* ---- GET_INFO --------------------------------------------------------------------- */

/* The capabilities as Linux orders them; each 8-aligned. */
struct caps {
	struct vfio_iommu_type1_info_cap_migration migration;
	struct vfio_iommu_type1_info_dma_avail avail;
	uint32_t pad;
	struct vfio_iommu_type1_info_cap_iova_range ranges;
};

_Static_assert(offsetof(struct caps, ranges) % 8 == 0 &&
		       sizeof(struct vfio_iommu_type1_info) % 8 == 0,
	       "capabilities are aligned");

static void header(struct vfio_info_cap_header *h, unsigned id, size_t next)
{
	h->id = (uint16_t)id;
	h->version = 1;
	h->next = next ? (uint32_t)(sizeof(struct vfio_iommu_type1_info) + next) : 0;
}

static int build_caps(struct type1 *t, struct caps **out, size_t *bytes)
{
	struct iova_range *v;
	struct caps *caps;
	size_t n;
	int err = ranges(t, &v, &n);

	if (err)
		return err;
	*bytes = sizeof(*caps) + n * sizeof(struct vfio_iova_range);
	caps = port_alloc(*bytes);
	if (!caps) {
		port_free(v);
		return -ENOMEM;
	}
	header(&caps->migration.header, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
	       offsetof(struct caps, avail));
	caps->migration.pgsize_bitmap = PORT_PAGE_SIZE;
	caps->migration.max_dirty_bitmap_size = TYPE1_BITMAP_BYTES;
	header(&caps->avail.header, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
	       offsetof(struct caps, ranges));
	caps->avail.avail = t->available;
	header(&caps->ranges.header, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 0);
	caps->ranges.nr_iovas = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		caps->ranges.iova_ranges[i].start = v[i].start;
		caps->ranges.iova_ranges[i].end = v[i].last;
	}
	port_free(v);
	*out = caps;
	return 0;
}

long type1_get_info(struct type1 *t, struct uapi_call *call)
{
	struct vfio_iommu_type1_info info = {.argsz = call->user_size};
	size_t bytes, known = sizeof(info);
	struct caps *caps;
	int err;

	port_mutex_lock(&t->lock);
	err = build_caps(t, &caps, &bytes);
	port_mutex_unlock(&t->lock);
	if (err)
		return err;
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.iova_pgsizes = t->domain->page_sizes;
	if (info.argsz < sizeof(info) + bytes) {
		info.argsz = (uint32_t)(sizeof(info) + bytes);
	} else {
		info.cap_offset = sizeof(info);
		err = uapi_store(call, sizeof(info), caps, bytes);
	}
	port_free(caps);
	if (err)
		return err;
	if (known > call->user_size)
		known = call->user_size;
	memcpy(call->data, &info, sizeof(info));
	return uapi_respond(call, known);
}

/* ---- MAP_DMA ---------------------------------------------------------------------- */

static unsigned prot_of(uint32_t flags)
{
	return (flags & VFIO_DMA_MAP_FLAG_READ ? IOAS_READ : 0) |
	       (flags & VFIO_DMA_MAP_FLAG_WRITE ? IOAS_WRITE : 0);
}

/* Takes @pages over. */
static int map_pages(struct type1 *t, struct pages *pages, uint64_t iova, uint64_t size,
		     unsigned prot)
{
	int err = ioas_map(t->ioas, pages, 0, size, prot, true, &iova);

	pages_put(pages);
	return err;
}

/* As locked memory of the process, unless it may lock what it likes. NULL: not counted.
 */
static int account_of(struct client *c, struct pin_account **out)
{
	struct client_owner owner;

	*out = NULL;
	if (!c->machine->accounting || !c->ops->owner || !c->ops->owner(c, &owner))
		return 0;
	return accounting_get(c->machine->accounting, &owner,
			      owner.may_lock ? ACCOUNT_NONE : ACCOUNT_PROCESS, out);
}

static int map_memory(struct type1 *t, struct client *c, uint64_t va, uint64_t iova,
		      uint64_t size, unsigned prot)
{
	struct pin_account *account;
	struct mem_source *source;
	struct pages *pages;
	int err = c->ops->user_memory(c, va, size, &source);

	if (!err)
		err = pages_create(source, size, prot & IOAS_WRITE, &pages);
	if (err)
		return err;
	err = account_of(c, &account);
	if (err) {
		pages_put(pages);
		return err;
	}
	if (account)
		pages_set_account(pages, account);
	return map_pages(t, pages, iova, size, prot);
}

static int map_slice(struct type1 *t, const struct client_vma *vma, uint64_t iova,
		     uint64_t size, unsigned prot)
{
	struct pages *pages;
	struct dmabuf *buf;
	int err = vma->file->ops->slice(vma->file, vma->offset, size, &buf);

	if (err)
		return err;
	err = pages_create_dmabuf(buf, 0, size, prot & IOAS_WRITE, false, &pages);
	dmabuf_put(buf);
	return err ? err : map_pages(t, pages, iova, size, prot);
}

/* Memory that the device has taken away is like memory that is not there. */
static int map_device(struct type1 *t, const struct client_vma *vma, uint64_t iova,
		      uint64_t size, unsigned prot)
{
	int err;

	if (!vma->file->ops->slice || !vma->readable ||
	    (prot & IOAS_WRITE && !vma->writable))
		return -EFAULT;
	err = map_slice(t, vma, iova, size, prot);
	return err && err != -ENOMEM ? -EFAULT : err;
}

/* One mapping of the client's at a time; *@done: how far that went. */
static int map_piece(struct type1 *t, struct client *c,
		     const struct vfio_iommu_type1_dma_map *map, uint64_t *done)
{
	uint64_t va = map->vaddr + *done, size = map->size - *done;
	uint64_t iova = map->iova + *done;
	unsigned prot = prot_of(map->flags);
	struct client_vma vma;
	int err = c->ops->vma(c, va, &vma);

	if (err)
		return err;
	size = min_u64(size - 1, vma.last - va) + 1;
	err = vma.file ? map_device(t, &vma, iova, size, prot)
		       : map_memory(t, c, va, iova, size, prot);
	vfile_put(vma.file);
	if (!err)
		*done += size;
	return err;
}

static int map_pieces(struct type1 *t, struct client *c,
		      const struct vfio_iommu_type1_dma_map *map)
{
	uint64_t done = 0, unmapped;
	int err = 0;

	while (!err && done < map->size)
		err = map_piece(t, c, map, &done);
	if (err && done)
		ioas_unmap(t->ioas, map->iova, done, &unmapped);
	return err;
}

/* All of it as memory; only where that fails are there BARs to look for. */
static int map_all(struct type1 *t, struct client *c,
		   const struct vfio_iommu_type1_dma_map *map)
{
	int err = map_memory(t, c, map->vaddr, map->iova, map->size, prot_of(map->flags));

	return err == -EFAULT ? map_pieces(t, c, map) : err;
}

/* VFIO_DMA_MAP_FLAG_VADDR. With the lock held. */
static int update_address(struct type1 *t, const struct vfio_iommu_type1_dma_map *map,
			  struct entry *e)
{
	if (!e)
		return -ENOENT;
	if (!e->stale || e->iova != map->iova || e->last != map->iova + map->size - 1)
		return -EINVAL;
	e->stale = false;
	t->nr_stale--;
	return 0;
}

static int map_locked(struct type1 *t, struct client *c,
		      const struct vfio_iommu_type1_dma_map *map)
{
	uint64_t last = map->iova + map->size - 1;
	struct entry *e = find(t, map->iova, last);
	int err;

	if (map->flags & VFIO_DMA_MAP_FLAG_VADDR)
		return update_address(t, map, e);
	if (e)
		return -EEXIST;
	if (!t->available)
		return -ENOSPC;
	err = check_range(t, map->iova, last);
	if (!err)
		err = entry_add(t, map->iova, last);
	if (err)
		return err;
	err = map_all(t, c, map);
	if (err)
		entry_remove(t, find(t, map->iova, last));
	return err;
}

static int check_map(const struct vfio_iommu_type1_dma_map *map)
{
	const uint32_t rw = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	uint64_t last;

	if (map->flags & ~(rw | VFIO_DMA_MAP_FLAG_VADDR) || !map->size)
		return -EINVAL;
	if (__builtin_add_overflow(map->iova, map->size - 1, &last) ||
	    __builtin_add_overflow(map->vaddr, map->size - 1, &last))
		return -EOVERFLOW;
	/* One or the other. */
	if (!(map->flags & rw) == !(map->flags & VFIO_DMA_MAP_FLAG_VADDR))
		return -EINVAL;
	return (map->size | map->iova | map->vaddr) & PAGE_MASK ? -EINVAL : 0;
}

long type1_map_dma(struct type1 *t, struct uapi_call *call)
{
	struct vfio_iommu_type1_dma_map map;
	int err;

	memcpy(&map, call->data, sizeof(map));
	err = check_map(&map);
	if (err)
		return err;
	port_mutex_lock(&t->lock);
	err = map_locked(t, call->client, &map);
	port_mutex_unlock(&t->lock);
	return err;
}

/* ---- UNMAP_DMA -------------------------------------------------------------------- */

/*
 * The entries that an unmap of [iova, last] is about: those that begin in it. v1: none,
 * if it begins inside of one.
 */
static struct entry *first_to_unmap(const struct type1 *t, uint64_t iova, uint64_t last)
{
	struct entry *e = find(t, iova, last);

	return e && e->iova >= iova ? e : NULL;
}

static struct entry *next_to_unmap(const struct type1 *t, const struct entry *e,
				   uint64_t last)
{
	return e->last < last ? find(t, e->last + 1, last) : NULL;
}

/* All of them or, if one is stale already, none. */
static int make_stale(struct type1 *t, uint64_t iova, uint64_t last, uint64_t *bytes)
{
	struct entry *e;

	for (e = first_to_unmap(t, iova, last); e; e = next_to_unmap(t, e, last))
		if (e->stale)
			return -EINVAL;
	for (e = first_to_unmap(t, iova, last); e; e = next_to_unmap(t, e, last)) {
		e->stale = true;
		t->nr_stale++;
		*bytes += e->last - e->iova + 1;
	}
	return 0;
}

/* In one step, so that one wait is enough. What lies between is not mapped. */
static void remove_entries(struct type1 *t, uint64_t iova, uint64_t last, uint64_t *bytes)
{
	struct entry *e = first_to_unmap(t, iova, last);
	uint64_t start, end;

	if (!e)
		return;
	start = e->iova;
	do {
		struct entry *next = next_to_unmap(t, e, last);

		end = e->last;
		entry_remove(t, e);
		e = next;
	} while (e);
	PORT_BUG_ON(ioas_unmap(t->ioas, start, end - start + 1, bytes));
}

static int check_unmap_flags(uint32_t flags)
{
	const uint32_t all = VFIO_DMA_UNMAP_FLAG_ALL, vaddr = VFIO_DMA_UNMAP_FLAG_VADDR,
		       dirty = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;

	if (flags & ~(all | vaddr | dirty) || (flags & dirty && flags & (all | vaddr)))
		return -EINVAL;
	return 0;
}

static int check_unmap_range(const struct vfio_iommu_type1_dma_unmap *unmap,
			     uint64_t *last)
{
	if (unmap->iova & PAGE_MASK)
		return -EINVAL;
	*last = UINT64_MAX;
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL)
		return unmap->iova || unmap->size ? -EINVAL : 0;
	if (!unmap->size || unmap->size & PAGE_MASK)
		return -EINVAL;
	return __builtin_add_overflow(unmap->iova, unmap->size - 1, last) ? -EOVERFLOW
									  : 0;
}

static int unmap_locked(struct type1 *t, const struct vfio_iommu_type1_dma_unmap *unmap,
			uint64_t last, uint64_t *bytes)
{
	bool all = unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL;

	if (t->v2 && !all &&
	    (type1_cuts(t, unmap->iova) ||
	     (last != UINT64_MAX && type1_cuts(t, last + 1))))
		return -EINVAL;
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		return make_stale(t, unmap->iova, last, bytes);
	remove_entries(t, unmap->iova, last, bytes);
	return 0;
}

static int fetch_bitmap(struct uapi_call *call,
			const struct vfio_iommu_type1_dma_unmap *unmap,
			struct vfio_bitmap *bitmap)
{
	const size_t known = offsetof(struct vfio_iommu_type1_dma_unmap, data);
	int err;

	if (call->user_size - known < sizeof(*bitmap))
		return -EINVAL;
	err = uapi_fetch(call, bitmap, known, sizeof(*bitmap));
	return err ? err : type1_check_bitmap(bitmap, unmap->size);
}

long type1_unmap_dma(struct type1 *t, struct uapi_call *call)
{
	const size_t known = offsetof(struct vfio_iommu_type1_dma_unmap, data);
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_bitmap bitmap;
	uint64_t last, bytes = 0;
	bool dirty;
	int err;

	memcpy(&unmap, call->data, known);
	dirty = unmap.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	err = check_unmap_flags(unmap.flags);
	if (!err && dirty)
		err = fetch_bitmap(call, &unmap, &bitmap);
	if (!err)
		err = check_unmap_range(&unmap, &last);
	/* Before they are unmapped changes nothing: they are dirty as long as they are.
	 */
	if (!err && dirty)
		err = type1_write_bitmap(t, call->client, unmap.iova, last, &bitmap);
	if (err)
		return err;
	port_mutex_lock(&t->lock);
	err = unmap_locked(t, &unmap, last, &bytes);
	port_mutex_unlock(&t->lock);
	if (err)
		return err;
	unmap.size = bytes;
	memcpy(call->data, &unmap, known);
	return uapi_respond(call, known);
}
