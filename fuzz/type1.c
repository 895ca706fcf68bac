/* SPDX-License-Identifier: MIT */
/*
 * The type1 calls against an array of pages, for the container (VFIO_TYPE1_IOMMU,
 * VFIO_TYPE1v2_IOMMU) and for /dev/iommu's compatibility with it (the same two), through
 * the library: results, errnos, and how many bytes an unmap took away.
 *
 * The rules that differ between the four are those of Linux 7.3's vfio_iommu_type1.c
 * (vfio_dma_do_map, vfio_dma_do_unmap) and iommufd's vfio_compat.c and io_pagetable.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "fuzz/input.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/uiommufd.h"

#define PAGE  ((uint64_t)4096)
#define PAGES 64u /* of IOVA, and of memory */
#define IOVA  ((uint64_t)0x100000)

struct world {
	struct uiommufd_machine *m;
	int fd;     /* container, or /dev/iommu */
	int device; /* of the container; -1 */
	bool compat, v2;
	uint8_t first[PAGES]; /* of the page's mapping, plus 1; 0: not mapped */
	uint8_t length[PAGES];
	unsigned char *memory;
};

/* ---- the array ------------------------------------------------------------------ */

static unsigned lowest(const struct world *w, unsigned page, unsigned n)
{
	for (unsigned i = page; i < page + n; i++)
		if (w->first[i])
			return w->first[i] - 1u;
	return PAGES;
}

static void own(struct world *w, unsigned page, unsigned n)
{
	memset(&w->first[page], (int)page + 1, n);
	w->length[page] = (uint8_t)n;
}

static unsigned disown(struct world *w, unsigned page)
{
	memset(&w->first[page], 0, w->length[page]);
	return w->length[page];
}

/* Does a mapping go on across the border before @page? */
static bool across(const struct world *w, unsigned page)
{
	return page > 0 && page < PAGES && w->first[page] &&
	       w->first[page] == w->first[page - 1];
}

static void cut(struct world *w, unsigned page)
{
	unsigned first, end;

	if (!across(w, page))
		return;
	first = w->first[page] - 1u;
	end = first + w->length[first];
	own(w, page, end - page);
	w->length[first] = (uint8_t)(page - first);
}

/* What unmapping @n pages from @page on answers; how many pages go is in @gone. */
static int unmap_by_hand(struct world *w, unsigned page, unsigned n, unsigned *gone)
{
	unsigned at = page, first;

	*gone = 0;
	if (w->compat && !w->v2) {
		cut(w, page + n);
		cut(w, page);
	}
	if (!w->compat && w->v2 && (across(w, page) || across(w, page + n)))
		return -EINVAL;
	while (at < page + n && (first = lowest(w, at, page + n - at)) != PAGES) {
		if (w->compat && (first < page || first + w->length[first] > page + n))
			return -ENOENT;
		if (first < page) /* type1 v1 leaves what begins before */
			break;
		at = first + w->length[first];
		*gone += disown(w, first);
	}
	return 0;
}

/* ---- the calls ------------------------------------------------------------------ */

static long call(struct world *w, unsigned long cmd, void *arg)
{
	return uiommufd_ioctl(w->m, w->fd, cmd, arg);
}

static void map(struct world *w, struct input *in)
{
	unsigned page = take_below(in, PAGES), n = take_below(in, PAGES - page + 1);
	unsigned at = take_below(in, PAGES - n + 1);
	uint8_t how = take(in);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = how & 3,
		.vaddr = (uintptr_t)w->memory + at * PAGE,
		.iova = IOVA + page * PAGE,
		.size = n * PAGE,
	};
	long ret;

	if (how >> 5 == 7) /* an unknown flag */
		map.flags |= 1u << 9;
	if (how >> 5 == 6) /* not on a page; an IOAS without domains takes any IOVA */
		map.iova += 1, map.flags |= w->compat << 9;
	if (how >> 5 == 5)
		map.size = 0 - map.iova + PAGE;
	ret = call(w, VFIO_IOMMU_MAP_DMA, &map);
	if (how >> 5 >= 5) {
		CHECK(ret < 0);
		return;
	}
	if (!n || (!map.flags && !w->compat)) {
		CHECK(ret == -EINVAL);
	} else if (lowest(w, page, n) != PAGES) {
		CHECK(ret == -EEXIST);
	} else {
		CHECK(ret == 0);
		own(w, page, n);
	}
}

static void unmap(struct world *w, struct input *in)
{
	unsigned page = take_below(in, PAGES), n = take_below(in, PAGES - page + 1), gone;
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = IOVA + page * PAGE,
		.size = n * PAGE,
	};
	long ret = call(w, VFIO_IOMMU_UNMAP_DMA, &unmap);

	if (!n) {
		CHECK(ret == -EINVAL);
		return;
	}
	CHECK(ret == unmap_by_hand(w, page, n, &gone));
	if (!ret || w->compat)
		CHECK(unmap.size == gone * PAGE);
}

static void unmap_all(struct world *w)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};
	unsigned gone = 0;

	for (unsigned i = 0; i < PAGES; i++)
		gone += !!w->first[i];
	memset(w->first, 0, sizeof(w->first));
	CHECK(call(w, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0);
	CHECK(unmap.size == gone * PAGE);
}

/* Any answer but a crash is right: none of it can touch what the array knows of. */
static void nonsense(struct world *w, struct input *in)
{
	static const unsigned long cmds[] = {
		VFIO_GET_API_VERSION, VFIO_CHECK_EXTENSION, VFIO_IOMMU_GET_INFO,
		VFIO_IOMMU_MAP_DMA,   VFIO_IOMMU_UNMAP_DMA, VFIO_IOMMU_DIRTY_PAGES,
	};
	unsigned long cmd = cmds[take_below(in, sizeof(cmds) / sizeof(cmds[0]))];
	uint32_t words[64] = {0};

	words[0] = take_below(in, sizeof(words) + 8);
	for (unsigned i = 1; i < 12; i++)
		words[i] = (uint32_t)take(in) << take_below(in, 25);
	if (cmd == VFIO_IOMMU_MAP_DMA) /* an unknown flag */
		words[1] |= 1u << 9;
	if (cmd == VFIO_IOMMU_UNMAP_DMA) /* far away */
		words[3] |= 1u << 20;
	call(w, cmd, cmd == VFIO_CHECK_EXTENSION ? (void *)(uintptr_t)words[1] : words);
}

static void step(struct world *w, struct input *in)
{
	switch (take(in) % 8) {
	case 0:
	case 1:
	case 2:
		map(w, in);
		return;
	case 3:
	case 4:
	case 5:
		unmap(w, in);
		return;
	case 6:
		unmap_all(w);
		return;
	case 7:
		nonsense(w, in);
		return;
	}
}

/* ---- the four of them ------------------------------------------------------------ */

static void open_container(struct world *w)
{
	int container = uiommufd_open(w->m, "/dev/vfio/vfio", O_RDWR);
	int group = uiommufd_open(w->m, "/dev/vfio/1", O_RDWR);

	CHECK(container >= 0 && group >= 0);
	CHECK(uiommufd_ioctl(w->m, group, VFIO_GROUP_SET_CONTAINER, &container) == 0);
	w->fd = container;
	w->device = group;
}

static void open_iommu(struct world *w)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_vfio_ioas ioas = {
		.size = sizeof(ioas),
		.op = IOMMU_VFIO_IOAS_SET,
	};

	w->fd = uiommufd_open(w->m, "/dev/iommu", O_RDWR);
	w->device = -1;
	CHECK(w->fd >= 0);
	CHECK(call(w, IOMMU_IOAS_ALLOC, &alloc) == 0);
	ioas.ioas_id = alloc.out_ioas_id;
	CHECK(call(w, IOMMU_VFIO_IOAS, &ioas) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const devices[] = {"copy-engine,vram=1M", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	struct input in = {data, data + size};
	uint8_t kind = take(&in);
	struct world w = {.compat = kind & 1, .v2 = kind & 2};

	config.devices = devices;
	w.memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(w.memory != MAP_FAILED);
	CHECK(uiommufd_machine_create(&config, NULL, 0, &w.m) == 0);
	if (w.compat)
		open_iommu(&w);
	else
		open_container(&w);
	CHECK(call(&w, VFIO_SET_IOMMU,
		   (void *)(uintptr_t)(w.v2 ? VFIO_TYPE1v2_IOMMU : VFIO_TYPE1_IOMMU)) ==
	      0);
	while (!input_done(&in))
		step(&w, &in);
	if (w.device >= 0)
		CHECK(uiommufd_close(w.m, w.device) == 0);
	CHECK(uiommufd_close(w.m, w.fd) == 0);
	CHECK(uiommufd_machine_destroy(w.m) == 0);
	munmap(w.memory, PAGES * PAGE);
	return 0;
}
