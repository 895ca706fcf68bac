/* SPDX-License-Identifier: MIT */
/*
 * type1: the columns of containers in the record of Linux 7.3 as a table, maps and unmaps
 * against a simple model, and BARs that are mapped by their addresses and taken away.
 */
#include "tests/vfio/legacy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "machine/accounting.h"

#define V1        VFIO_TYPE1_IOMMU
#define V2        VFIO_TYPE1v2_IOMMU
#define BAR_BYTES (1ull << 20)
#define I         0x10000000ull
#define ALL       VFIO_DMA_UNMAP_FLAG_ALL
#define VADDR     VFIO_DMA_UNMAP_FLAG_VADDR
#define SET_VADDR VFIO_DMA_MAP_FLAG_VADDR

struct fixture {
	struct legacy *l;
	unsigned char *bar; /* of device 0, as the client maps it */
	uint64_t *ram;      /* 16 pages, and one that nobody may access */
};

/* Devices 0 and 1 in one container; 1 is the one that does DMA. */
static struct fixture *start(unsigned long type)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->l = legacy_create();
	legacy_open_device(f->l, 0, type);
	legacy_open_device(f->l, 1, type);
	rig_set_config16(&f->l->rig, f->l->devices[1], RIG_COMMAND, 0x7);
	f->bar = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		      f->l->devices[0], (off_t)VFILE_REGION(2));
	f->ram = mmap(NULL, 17 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(f->bar, MAP_FAILED);
	assert_ptr_not_equal(f->ram, MAP_FAILED);
	assert_int_equal(mprotect((char *)f->ram + 16 * PAGE, PAGE, PROT_NONE), 0);
	return f;
}

static void stop(struct fixture *f)
{
	if (f->bar)
		munmap(f->bar, BAR_BYTES);
	munmap(f->ram, 17 * PAGE);
	legacy_destroy(f->l);
	free(f);
}

static int setup(void **state)
{
	*state = start(V2);
	return 0;
}

static int teardown(void **state)
{
	stop(*state);
	return 0;
}

/* DMA by device 1; what it read, or UINT64_MAX for a fault. */
static uint64_t peer_read(struct fixture *f, uint64_t iova)
{
	struct uiommufd_fault fault;
	uint64_t v;

	if (uiommufd_dma_read(f->l->models[1].channel, iova, &v, 8, &fault))
		return UINT64_MAX;
	return v;
}

static long peer_write(struct fixture *f, uint64_t iova, uint64_t v)
{
	struct uiommufd_fault fault;

	return uiommufd_dma_write(f->l->models[1].channel, iova, &v, 8, &fault);
}

/* ---- the table of the record --------------------------------------------------- */

static void set_memory(struct fixture *f, bool on)
{
	rig_set_config16(&f->l->rig, f->l->devices[0], RIG_COMMAND, on ? 2 : 0);
}

static void test_columns(void **state)
{
	static const struct {
		unsigned long type;
		long part, part_inside; /* UNMAP of part of RAM: from its start, or not */
	} columns[] = {
		{V2, -EINVAL, -EINVAL},
		{V1, 4 * PAGE, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		struct fixture *f = start(columns[i].type);
		struct legacy *l = f->l;

		assert_int_equal(legacy_map(l, RW, f->bar, PAGE, I), 0);
		assert_int_equal(legacy_unmap(l, 0, I, PAGE), PAGE);
		set_memory(f, false);
		assert_int_equal(legacy_map(l, RW, f->bar, PAGE, I), -EFAULT);
		set_memory(f, true);
		assert_int_equal(legacy_map(l, RW, f->ram, 4 * PAGE, I), 0);
		assert_int_equal(legacy_unmap(l, 0, I + PAGE, PAGE),
				 columns[i].part_inside);
		assert_int_equal(legacy_unmap(l, 0, I, PAGE), columns[i].part);
		legacy_unmap(l, ALL, 0, 0);
		assert_int_equal(legacy_unmap(l, 0, I, PAGE), 0);
		assert_int_equal(legacy_set_iommu(l, columns[i].type), -EINVAL);
		assert_int_equal(legacy_extension(l, VFIO_UPDATE_VADDR), 1);
		assert_int_equal(legacy_unset_container(l, 0), -EBUSY);
		stop(f);
	}
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		struct legacy *l = legacy_create();

		l->container = rig_open_container(&l->rig);
		assert_int_equal(legacy_set_iommu(l, columns[i].type), -EINVAL);
		legacy_open_group(l, 0);
		assert_int_equal(legacy_set_container(l, 0, l->container), 0);
		assert_int_equal(legacy_set_iommu(l, 99), -ENODEV);
		assert_int_equal(legacy_get_device(l, 0, legacy_names[0]), -EINVAL);
		assert_int_equal(legacy_set_iommu(l, columns[i].type), 0);
		legacy_destroy(l);
	}
}

/* ---- arguments ----------------------------------------------------------------- */

/* The mistakes of MAP_DMA, in the order in which they are looked for. */
static void test_map_order(void **state)
{
	struct fixture *f = *state;
	const uint64_t va = (uintptr_t)f->ram;
	const struct {
		uint32_t flags;
		uint64_t va, size, iova;
		long want;
	} steps[] = {
		{0x8, va, 0, 1, -EINVAL},
		{RW, va, 0, UINT64_MAX, -EINVAL},
		{0, va, 2 * PAGE, UINT64_MAX - 0xfff, -EOVERFLOW},
		{0, UINT64_MAX - 0xfff, 2 * PAGE, 1, -EOVERFLOW},
		{0, va, PAGE, 1, -EINVAL},
		{RW | SET_VADDR, va, PAGE, I, -EINVAL},
		{RW, va, PAGE + 1, I, -EINVAL},
		{RW, va + 8, PAGE, I, -EINVAL},
		{RW, va, PAGE, I + 8, -EINVAL},
		{SET_VADDR, va, PAGE, 0xfee00000, -ENOENT},
		{RW, va, PAGE, 0xfee00000, -EINVAL},
		{RW, va, 2 * PAGE, 0xfedff000, -EINVAL},
		{RW, va, PAGE, (1ull << 48), -EINVAL},
		{RW, 0x10000, PAGE, 0xfee00000, -EINVAL},
		{RW, 0x10000, PAGE, I, -EFAULT},
		{RW, va, 17 * PAGE, I, -EFAULT},
		{RW, va, PAGE, 0xfedff000, 0},
		{RW, 0x10000, PAGE, 0xfedff000, -EEXIST},
		{RW, va, 2 * PAGE, 0xfedff000, -EEXIST},
		{RW, va, PAGE, 0xfef00000, 0},
		{VFIO_DMA_MAP_FLAG_READ, va, PAGE, (1ull << 48) - PAGE, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		long got =
			legacy_map(f->l, steps[i].flags, (void *)(uintptr_t)steps[i].va,
				   steps[i].size, steps[i].iova);

		if (got != steps[i].want)
			fail_msg("step %zu: %ld, not %ld", i, got, steps[i].want);
	}
	assert_int_equal(peer_write(f, (1ull << 48) - PAGE, 1), -EFAULT);
	assert_int_equal(legacy_unmap(f->l, ALL, 0, 0), 3 * PAGE);
}

static void test_unmap_order(void **state)
{
	struct fixture *f = *state;
	const struct {
		uint32_t flags;
		uint64_t iova, size;
		long want;
	} steps[] = {
		{0x8, I, PAGE, -EINVAL},
		{VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, I, PAGE, -EINVAL},
		{0, I + 8, PAGE, -EINVAL},
		{ALL, 0, PAGE, -EINVAL},
		{ALL, PAGE, 0, -EINVAL},
		{0, I, 0, -EINVAL},
		{0, I, PAGE + 8, -EINVAL},
		{0, UINT64_MAX - 0xfff, 2 * PAGE, -EOVERFLOW},
		{0, UINT64_MAX - 0xfff, PAGE, 0},
		{0, I, 2 * PAGE, -EINVAL},        /* the end cuts the first */
		{0, I + PAGE, 4 * PAGE, -EINVAL}, /* the start does */
		{0, I - PAGE, 6 * PAGE, 6 * PAGE - 2 * PAGE},
		{0, I, 4 * PAGE, 0},
		{ALL, 0, 0, PAGE},
		{ALL, 0, 0, 0},
	};

	assert_int_equal(legacy_map(f->l, RW, f->ram, 4 * PAGE, I), 0);
	assert_int_equal(legacy_map(f->l, RW, f->ram, PAGE, 2 * I), 0);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		long got =
			legacy_unmap(f->l, steps[i].flags, steps[i].iova, steps[i].size);

		if (got != steps[i].want)
			fail_msg("step %zu: %ld, not %ld", i, got, steps[i].want);
	}
}

static void test_info(void **state)
{
	struct fixture *f = *state;
	struct {
		struct vfio_iommu_type1_info info;
		struct vfio_iommu_type1_info_cap_migration migration;
		struct vfio_iommu_type1_info_dma_avail avail;
		uint32_t pad;
		struct vfio_iommu_type1_info_cap_iova_range ranges;
		struct vfio_iova_range v[2];
	} get = {.info.argsz = 15};
	long want = -EINVAL;
	int fd = f->l->container;

	assert_int_equal(rig_ioctl(&f->l->rig, fd, VFIO_IOMMU_GET_INFO, &get), want);
	get.info = (struct vfio_iommu_type1_info){.argsz = 16, .cap_offset = 77};
	assert_int_equal(rig_ioctl(&f->l->rig, fd, VFIO_IOMMU_GET_INFO, &get), 0);
	assert_int_equal(get.info.argsz, sizeof(get));
	assert_int_equal(get.info.cap_offset, 77);
	get.info.argsz = sizeof(get) - 1;
	assert_int_equal(rig_ioctl(&f->l->rig, fd, VFIO_IOMMU_GET_INFO, &get), 0);
	assert_int_equal(get.info.argsz, sizeof(get));
	assert_int_equal(get.info.cap_offset, 0);
	assert_int_equal(get.migration.header.id, 0);
	assert_int_equal(legacy_map(f->l, RW, f->ram, PAGE, I), 0);
	assert_int_equal(rig_ioctl(&f->l->rig, fd, VFIO_IOMMU_GET_INFO, &get), 0);
	assert_int_equal(get.info.flags, 3);
	assert_int_equal(get.info.iova_pgsizes, 0x40201000);
	assert_int_equal(get.info.cap_offset, sizeof(get.info));
	assert_int_equal(get.migration.header.id, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	assert_int_equal(get.migration.header.version, 1);
	assert_ptr_equal((char *)&get + get.migration.header.next, &get.avail);
	assert_int_equal(get.migration.pgsize_bitmap, 0x1000);
	assert_int_equal(get.avail.header.id, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	assert_int_equal(get.avail.avail, 65534);
	assert_ptr_equal((char *)&get + get.avail.header.next, &get.ranges);
	assert_int_equal(get.ranges.header.id, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	assert_int_equal(get.ranges.header.next, 0);
	assert_int_equal(get.ranges.nr_iovas, 2);
	assert_int_equal(get.v[0].start, 0);
	assert_int_equal(get.v[0].end, 0xfedfffff);
	assert_int_equal(get.v[1].start, 0xfef00000);
	assert_true(get.v[1].end == (1ull << 48) - 1);
}

static void test_limit(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 65535; i++)
		assert_int_equal(legacy_map(f->l, RW, f->ram, PAGE, i * 2 * PAGE), 0);
	assert_int_equal(legacy_map(f->l, RW, f->ram, PAGE, 0), -EEXIST);
	assert_int_equal(legacy_map(f->l, RW, f->ram, PAGE, 0xfee00000), -ENOSPC);
	assert_int_equal(legacy_unmap(f->l, 0, 0, PAGE), PAGE);
	assert_int_equal(legacy_map(f->l, RW, f->ram, PAGE, 0xf0000000), 0);
	assert_int_equal(legacy_unmap(f->l, ALL, 0, 0), 65535 * PAGE);
}

/* ---- addresses that are updated ------------------------------------------------ */

static void test_vaddr(void **state)
{
	struct fixture *f = *state;
	struct legacy *l = f->l;

	assert_int_equal(legacy_map(l, RW, f->ram, PAGE, I), 0);
	assert_int_equal(legacy_map(l, RW, f->ram, PAGE, I + PAGE), 0);
	assert_int_equal(legacy_map(l, SET_VADDR, f->ram, PAGE, I), -EINVAL);
	assert_int_equal(legacy_unmap(l, VADDR, I + PAGE, PAGE), PAGE);
	/* One that is stale already: none becomes so. */
	assert_int_equal(legacy_unmap(l, VADDR, I, 2 * PAGE), -EINVAL);
	assert_int_equal(legacy_map(l, SET_VADDR, f->ram, PAGE, I), -EINVAL);
	legacy_open_group(l, 2);
	assert_int_equal(legacy_set_container(l, 2, l->container), -EBUSY);
	assert_int_equal(peer_write(f, I + PAGE, 7), 0);
	assert_int_equal(f->ram[0], 7);
	assert_int_equal(legacy_map(l, SET_VADDR, f->ram, 2 * PAGE, I), -EINVAL);
	assert_int_equal(legacy_map(l, SET_VADDR, f->ram, PAGE, I + PAGE), 0);
	assert_int_equal(legacy_unmap(l, VADDR | ALL, 0, 0), 2 * PAGE);
	assert_int_equal(legacy_unmap(l, 0, I, PAGE), PAGE);
	assert_int_equal(legacy_set_container(l, 2, l->container), -EBUSY);
	assert_int_equal(legacy_unmap(l, 0, I + PAGE, PAGE), PAGE);
	assert_int_equal(legacy_set_container(l, 2, l->container), 0);
}

/* ---- BARs ---------------------------------------------------------------------- */

static void by_reset(struct fixture *f)
{
	assert_int_equal(rig_reset(&f->l->rig, f->l->devices[0]), 0);
}

static void by_flr(struct fixture *f)
{
	rig_set_config16(&f->l->rig, f->l->devices[0], RIG_DEVCTL, 0x8000);
}

static void by_memory(struct fixture *f)
{
	set_memory(f, false);
	set_memory(f, true);
}

static void by_d3(struct fixture *f)
{
	rig_set_config16(&f->l->rig, f->l->devices[0], RIG_PMCSR, 3);
	rig_set_config16(&f->l->rig, f->l->devices[0], RIG_PMCSR, 0);
}

/* Taken away for good; mapped anew it works again; what is gone unmaps in full. */
static void test_bar_revoked(void **state)
{
	static void (*const ways[])(struct fixture * f) = {by_reset, by_flr, by_memory,
							   by_d3};
	struct fixture *f = *state;
	struct legacy *l = f->l;
	uint64_t *bar = uiommufd_bar_memory(l->models[0].dev, 2);

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		assert_int_equal(legacy_map(l, RW, f->bar, BAR_BYTES, I), 0);
		assert_int_equal(
			legacy_map(l, VFIO_DMA_MAP_FLAG_READ, f->bar + PAGE, PAGE, 2 * I),
			0);
		assert_int_equal(peer_write(f, I + PAGE, 40 + i), 0);
		assert_int_equal(bar[512], 40 + i);
		assert_int_equal(peer_read(f, 2 * I), 40 + i);
		assert_int_equal(peer_write(f, 2 * I, 1), -EFAULT);
		ways[i](f);
		assert_int_equal(peer_write(f, I + PAGE, 1), -EFAULT);
		assert_true(peer_read(f, 2 * I) == UINT64_MAX);
		assert_int_equal(legacy_map(l, RW, f->bar, PAGE, I), -EEXIST);
		assert_int_equal(legacy_unmap(l, 0, 2 * I, PAGE), PAGE);
		assert_int_equal(legacy_unmap(l, 0, I, BAR_BYTES), BAR_BYTES);
	}
}

/* The device goes, and its buffer stays mapped, dead. */
static void test_bar_closed(void **state)
{
	struct fixture *f = *state;
	struct legacy *l = f->l;

	assert_int_equal(legacy_map(l, RW, f->bar, PAGE, I), 0);
	munmap(f->bar, BAR_BYTES);
	f->bar = NULL;
	assert_int_equal(peer_write(f, I, 1), 0);
	legacy_close(l, &l->devices[0]);
	assert_int_equal(peer_write(f, I, 1), -EFAULT);
	l->devices[0] = (int)legacy_get_device(l, 0, legacy_names[0]);
	assert_int_equal(peer_write(f, I, 1), -EFAULT);
	assert_int_equal(legacy_unmap(l, 0, I, PAGE), PAGE);
}

/*
 * A mapping of registers that fault when the CPU touches it is a mapping of the BAR as
 * any other, to a container: a peer's DMA gets to the registers until they are revoked.
 */
static void test_bar_faulting(void **state)
{
	static void (*const ways[])(struct fixture * f) = {by_reset, by_flr, by_memory,
							   by_d3};
	struct fixture *f = *state;
	struct legacy *l = f->l;
	char *regs;

	l->rig.devices[0]->desc.mmio = UIOMMUFD_MMIO_FAULT;
	regs = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, l->devices[0],
		    (off_t)(VFILE_REGION(0) | VFILE_FAULTING));
	assert_ptr_not_equal(regs, MAP_FAILED);
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		assert_int_equal(legacy_map(l, RW, regs, PAGE, I), 0);
		assert_int_equal(peer_write(f, I + 8, 70 + i), 0);
		assert_int_equal(l->models[0].regs[1], 70 + i);
		assert_int_equal(peer_read(f, I + 8), 70 + i);
		ways[i](f);
		assert_int_equal(peer_write(f, I + 8, 1), -EFAULT);
		assert_int_equal(legacy_map(l, RW, regs + PAGE, PAGE, I), -EEXIST);
		assert_int_equal(legacy_unmap(l, 0, I, PAGE), PAGE);
	}
	set_memory(f, false);
	assert_int_equal(legacy_map(l, RW, regs, PAGE, I), -EFAULT);
	munmap(regs, 2 * PAGE);
}

/* RAM, BAR and RAM side by side are one map; if one cannot be had, nothing is mapped. */
static void test_mixed(void **state)
{
	struct fixture *f = *state;
	struct legacy *l = f->l;
	uint64_t *bar = uiommufd_bar_memory(l->models[0].dev, 2);
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_FIXED, l->devices[0],
				  (off_t)VFILE_REGION(2) + 3 * (off_t)PAGE),
			     MAP_FAILED);
	assert_int_equal(legacy_map(l, RW, p, 4 * PAGE, I), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(peer_write(f, I + i * PAGE, i + 1), 0);
	assert_int_equal(*(uint64_t *)p, 1);
	assert_int_equal(bar[3 * 512], 2);
	assert_int_equal(*(uint64_t *)(p + 3 * PAGE), 4);
	assert_int_equal(legacy_unmap(l, 0, I + PAGE, PAGE), -EINVAL);
	by_reset(f);
	assert_int_equal(peer_write(f, I + PAGE, 1), -EFAULT);
	assert_int_equal(peer_write(f, I, 1), 0);
	assert_int_equal(legacy_unmap(l, 0, I, 4 * PAGE), 4 * PAGE);
	/* The BAR can be read only: a map that writes fails as a whole. */
	assert_int_equal(mprotect(p + PAGE, PAGE, PROT_READ), 0);
	assert_int_equal(legacy_map(l, RW, p, 4 * PAGE, I), -EFAULT);
	assert_int_equal(peer_write(f, I, 1), -EFAULT);
	assert_int_equal(legacy_map(l, VFIO_DMA_MAP_FLAG_READ, p, 4 * PAGE, I), 0);
	assert_int_equal(legacy_unmap(l, 0, I, 4 * PAGE), 4 * PAGE);
	munmap(p + 3 * PAGE, PAGE);
	assert_int_equal(legacy_map(l, VFIO_DMA_MAP_FLAG_READ, p, 4 * PAGE, I), -EFAULT);
	assert_int_equal(legacy_unmap(l, ALL, 0, 0), 0);
	munmap(p, 3 * PAGE);
}

/* ---- dirty pages --------------------------------------------------------------- */

#define NOT_OURS ((uint64_t *)((uintptr_t)1 << 47))

static long dirty(struct fixture *f, uint32_t flags)
{
	struct vfio_iommu_type1_dirty_bitmap d = {.argsz = sizeof(d), .flags = flags};

	return rig_ioctl(&f->l->rig, f->l->container, VFIO_IOMMU_DIRTY_PAGES, &d);
}

static long get_dirty(struct fixture *f, uint64_t iova, uint64_t size, uint64_t pgsize,
		      uint64_t bytes, uint64_t *data)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap d;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} g = {
		.d = {.argsz = sizeof(g),
		      .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP},
		.get = {iova, size, {pgsize, bytes, data}},
	};

	return rig_ioctl(&f->l->rig, f->l->container, VFIO_IOMMU_DIRTY_PAGES, &g);
}

static long unmap_dirty(struct fixture *f, uint64_t iova, uint64_t size, uint64_t *data)
{
	struct {
		struct vfio_iommu_type1_dma_unmap u;
		struct vfio_bitmap b;
	} u = {
		.u = {.argsz = sizeof(u),
		      .flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
		      .iova = iova,
		      .size = size},
		.b = {PAGE, 8, data},
	};
	long ret = rig_ioctl(&f->l->rig, f->l->container, VFIO_IOMMU_UNMAP_DMA, &u);

	return ret ? ret : (long)u.u.size;
}

static void test_dirty(void **state)
{
	struct fixture *f = *state;
	uint64_t map[3] = {0xf0f0000000000005, 0x1234, 0x5678};

	assert_int_equal(legacy_map(f->l, RW, f->ram, 4 * PAGE, I), 0);
	assert_int_equal(legacy_map(f->l, RW, f->bar, 66 * PAGE, I + 6 * PAGE), 0);
	assert_int_equal(get_dirty(f, I, 4 * PAGE, PAGE, 8, map), -EINVAL);
	assert_int_equal(unmap_dirty(f, I, 4 * PAGE, map), -EINVAL);
	assert_int_equal(dirty(f, 0), -EINVAL);
	assert_int_equal(dirty(f, 3), -EINVAL);
	assert_int_equal(dirty(f, 4), -EINVAL);
	assert_int_equal(dirty(f, 8), -EINVAL);
	assert_int_equal(dirty(f, VFIO_IOMMU_DIRTY_PAGES_FLAG_START), 0);
	assert_int_equal(get_dirty(f, I, 0, PAGE, 8, map), -EINVAL);
	assert_int_equal(get_dirty(f, I, 4 * PAGE, 0, 8, map), -EINVAL);
	assert_int_equal(get_dirty(f, I, 4 * PAGE, 2 * PAGE, 8, map), -EINVAL);
	assert_int_equal(get_dirty(f, I, 4 * PAGE, PAGE, 7, map), -EINVAL);
	assert_int_equal(get_dirty(f, I, 65 * PAGE, PAGE, 8, map), -EINVAL);
	assert_int_equal(get_dirty(f, I, PAGE, PAGE, 8, map), -EINVAL);
	assert_int_equal(get_dirty(f, I + 8, PAGE, PAGE, 8, map), -EINVAL);
	assert_int_equal(get_dirty(f, UINT64_MAX - 0xfff, 2 * PAGE, PAGE, 8, map),
			 -EOVERFLOW);
	assert_int_equal(get_dirty(f, I, 4 * PAGE, PAGE, 8, RIG_BAD_VA), -EFAULT);
	/* No program's address, which is told first; and what comes before the range. */
	assert_int_equal(get_dirty(f, I, 4 * PAGE, PAGE, 8, NOT_OURS), -EINVAL);
	assert_int_equal(unmap_dirty(f, I, 4 * PAGE, NOT_OURS), -EINVAL);
	assert_int_equal(unmap_dirty(f, UINT64_MAX - 0xfff, 2 * PAGE, NOT_OURS), -EINVAL);
	assert_int_equal(unmap_dirty(f, UINT64_MAX - 0xfff, 2 * PAGE, map), -EOVERFLOW);
	assert_true(map[0] == 0xf0f0000000000005 && map[1] == 0x1234);
	/* Pages 0-3 and 6-71: the words they are in, and no others. */
	assert_int_equal(get_dirty(f, I, 80 * PAGE, PAGE, 24, map), 0);
	assert_true(map[0] == (UINT64_MAX & ~0x30ull));
	assert_int_equal(map[1], 0xff);
	assert_int_equal(map[2], 0x5678);
	map[0] = 0;
	assert_int_equal(unmap_dirty(f, I, 4 * PAGE, RIG_BAD_VA), -EFAULT);
	assert_int_equal(unmap_dirty(f, I, 4 * PAGE, map), 4 * PAGE);
	assert_int_equal(map[0], 0xf);
	assert_int_equal(dirty(f, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP), 0);
	assert_int_equal(get_dirty(f, I, 80 * PAGE, PAGE, 24, map), -EINVAL);
}

/* What version 1 refuses it refuses unseen; version 2 looks. */
static void test_dirty_order(void **state)
{
	static const struct {
		unsigned long type;
		long stop, short_struct, bad_address;
	} columns[] = {
		{V1, -EACCES, -EACCES, -EACCES},
		{V2, 0, -EINVAL, -EFAULT},
	};

	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		struct vfio_iommu_type1_dirty_bitmap d = {
			.argsz = sizeof(d) - 1,
			.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
		};
		struct fixture *f = start(columns[i].type);
		struct rig *r = &f->l->rig;
		int container = f->l->container;

		assert_int_equal(dirty(f, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP),
				 columns[i].stop);
		assert_int_equal(rig_ioctl(r, container, VFIO_IOMMU_DIRTY_PAGES, &d),
				 columns[i].short_struct);
		assert_int_equal(
			rig_ioctl(r, container, VFIO_IOMMU_DIRTY_PAGES, RIG_BAD_VA),
			columns[i].bad_address);
		stop(f);
	}
}

/* ---- RLIMIT_MEMLOCK ------------------------------------------------------------ */

static bool limited(struct client *c, struct client_owner *out)
{
	*out = (struct client_owner){.pid = getpid()};
	return true;
}

/* Memory counts as locked by the process, BARs do not; what is refused leaves nothing. */
static void test_memlock(void **state)
{
	struct fixture *f = *state;
	struct machine *m = &f->l->rig.machine;
	struct accounting_process count;
	struct rlimit before, limit;

	assert_int_equal(accounting_create(m, &m->accounting), 0);
	f->l->rig.ops.owner = limited;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	limit = before;
	limit.rlim_cur = 6 * PAGE;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(legacy_map(f->l, RW, f->ram, 4 * PAGE, I), 0);
	assert_int_equal(legacy_map(f->l, RW, f->ram, 4 * PAGE, 2 * I), -ENOMEM);
	assert_int_equal(peer_write(f, 2 * I, 1), -EFAULT);
	assert_int_equal(legacy_map(f->l, RW, f->bar, BAR_BYTES, 2 * I), 0);
	accounting_of_process(m->accounting, getpid(), &count);
	assert_int_equal(count.locked, 4);
	assert_int_equal(legacy_unmap(f->l, 0, I, 4 * PAGE), 4 * PAGE);
	assert_int_equal(legacy_map(f->l, RW, f->ram, 6 * PAGE, I), 0);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
	legacy_unmap(f->l, ALL, 0, 0);
	accounting_of_process(m->accounting, getpid(), &count);
	assert_int_equal(count.locked, 0);
	accounting_destroy(m->accounting);
	m->accounting = NULL;
}

/* ---- against a model ----------------------------------------------------------- */

#define SLOTS 24

/* Pages of IOVA; the number of the map that holds each, 0: none. */
struct model {
	bool v2;
	unsigned owner[SLOTS + 1];
};

static long model_unmap(struct model *m, unsigned start, unsigned n)
{
	unsigned id, bytes = 0, end = start + n;

	if (m->v2) {
		bool cut = start && m->owner[start] &&
			   m->owner[start] == m->owner[start - 1];

		cut |= m->owner[end - 1] && m->owner[end - 1] == m->owner[end];
		if (cut)
			return -EINVAL;
	} else {
		if (start && m->owner[start] && m->owner[start] == m->owner[start - 1])
			return 0;
	}
	for (unsigned i = start; i < end; i++) {
		id = m->owner[i];
		for (unsigned k = i; id && k < SLOTS && m->owner[k] == id; k++) {
			m->owner[k] = 0;
			bytes++;
		}
	}
	return bytes * (long)PAGE;
}

static long model_map(struct model *m, unsigned start, unsigned n, unsigned id)
{
	for (unsigned i = start; i < start + n; i++)
		if (m->owner[i])
			return -EEXIST;
	for (unsigned i = start; i < start + n; i++)
		m->owner[i] = id;
	return 0;
}

static void play(struct fixture *f, struct model *m, unsigned seed)
{
	for (unsigned step = 1; step < 4000; step++) {
		unsigned start = (unsigned)rand() % SLOTS;
		unsigned n =
			1 + (unsigned)rand() % (SLOTS - start < 8 ? SLOTS - start : 8);
		bool bar = rand() % 4 == 0, map = rand() % 2;
		void *va = bar ? (void *)f->bar : f->ram;
		uint64_t iova = I + start * PAGE;
		long want, got;

		if (rand() % 100 == 0)
			by_reset(f);
		want = map ? model_map(m, start, n, step) : model_unmap(m, start, n);
		got = map ? legacy_map(f->l, RW, va, n * PAGE, iova)
			  : legacy_unmap(f->l, 0, iova, n * PAGE);
		if (got != want)
			fail_msg("seed %u step %u v%u: %s %u+%u: %ld, not %ld", seed,
				 step, m->v2 + 1, map ? "map" : "unmap", start, n, got,
				 want);
		for (unsigned i = 0; i < SLOTS; i++)
			if (!m->owner[i])
				assert_int_equal(peer_write(f, I + i * PAGE, 1), -EFAULT);
	}
}

static void test_model(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned i = 0; i < 2; i++) {
		struct fixture *f = start(i ? V2 : V1);
		struct model m = {.v2 = i};

		play(f, &m, seed);
		stop(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),
		cmocka_unit_test_setup_teardown(test_map_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unmap_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_info, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vaddr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bar_revoked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bar_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bar_faulting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mixed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dirty, setup, teardown),
		cmocka_unit_test(test_dirty_order),
		cmocka_unit_test_setup_teardown(test_memlock, setup, teardown),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
