/* SPDX-License-Identifier: MIT */
/*
 * What the four kinds of container answer where they differ: the kernel's type1 of both
 * versions, and iommufd in a container's place, told to be either. One row is one fact of
 * Linux 7.3; a cell starts from nothing, and says in words what came out.
 *
 * Built twice, as the steps are: by system calls under `uiommufd run`, and through
 * libuiommufd.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/conformance/sys.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"

#define COLUMNS 4
#define TEXT    64
#define PAGE    ((uint64_t)0x1000)
#define SIZE    ((uint64_t)0x100000)
#define IOVA    ((uint64_t)0x10000000)
#define BAR     2
#define DEVICE  "0000:01:00.0"
#define BOTH    (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

static const struct column {
	const char *name, *node;
	unsigned long type;
	bool iommufd;
} columns[COLUMNS] = {
	{"type1v2", "/dev/vfio/vfio", VFIO_TYPE1v2_IOMMU, false},
	{"type1", "/dev/vfio/vfio", VFIO_TYPE1_IOMMU, false},
	{"iommufd compat v2", "/dev/iommu", VFIO_TYPE1v2_IOMMU, true},
	{"compat v1", "/dev/iommu", VFIO_TYPE1_IOMMU, true},
};

/* A cell at work; descriptors are -1 while they are not open. */
struct cell {
	const struct column *col;
	int fd, group, device;
	char *ram, *bar;
	char result[TEXT];
};

/* ---- what comes out --------------------------------------------------------------- */

/* "ok", "ok 0", "EINVAL" ... */
static void result(struct cell *c, long ret, const char *ok)
{
	const char *name = ret < 0 ? strerrorname_np((int)-ret) : ok;

	snprintf(c->result, sizeof(c->result), "%s", name ? name : "?");
}

static void number(struct cell *c, long ret)
{
	char text[TEXT];

	snprintf(text, sizeof(text), "%ld", ret);
	result(c, ret, text);
}

/* Something on the way to the fact went wrong. */
static bool bad(struct cell *c, long ret, const char *what)
{
	if (ret >= 0)
		return false;
	snprintf(c->result, sizeof(c->result), "%s: %s", what,
		 strerrorname_np((int)-ret));
	return true;
}

/* ---- calls ------------------------------------------------------------------------ */

static long set_iommu(const struct cell *c, unsigned long type)
{
	return sys_ioctl(c->fd, VFIO_SET_IOMMU, (void *)(uintptr_t)type);
}

static long get_device(struct cell *c)
{
	long ret =
		sys_ioctl(c->group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)DEVICE);

	if (ret >= 0)
		c->device = (int)ret;
	return ret;
}

static long set_container(struct cell *c)
{
	int fd = c->fd;

	c->group = (int)sys_open("/dev/vfio/1", O_RDWR | O_CLOEXEC);
	return c->group < 0 ? c->group
			    : sys_ioctl(c->group, VFIO_GROUP_SET_CONTAINER, &fd);
}

static bool set_up(struct cell *c)
{
	return !bad(c, set_container(c), "SET_CONTAINER") &&
	       !bad(c, set_iommu(c, c->col->type), "SET_IOMMU") &&
	       !bad(c, get_device(c), "GET_DEVICE_FD");
}

static long region_offset(const struct cell *c, unsigned index, uint64_t *offset)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};
	long ret = sys_ioctl(c->device, VFIO_DEVICE_GET_REGION_INFO, &info);

	*offset = info.offset;
	return ret;
}

static long set_command(const struct cell *c, uint16_t value)
{
	uint64_t config;
	long ret = region_offset(c, VFIO_PCI_CONFIG_REGION_INDEX, &config);

	return ret < 0 ? ret : sys_pwrite(c->device, &value, 2, config + 4);
}

static bool set_up_bar(struct cell *c)
{
	uint64_t offset;

	return set_up(c) && !bad(c, set_command(c, 2), "COMMAND") &&
	       !bad(c, region_offset(c, BAR, &offset), "GET_REGION_INFO") &&
	       !bad(c,
		    sys_mmap(c->device, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, offset,
			     (void **)&c->bar),
		    "mmap");
}

static long map_dma(const struct cell *c, const void *va)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = BOTH,
		.vaddr = (uintptr_t)va,
		.iova = IOVA,
		.size = SIZE,
	};

	return sys_ioctl(c->fd, VFIO_IOMMU_MAP_DMA, &map);
}

/* How much was unmapped, or the error. */
static long unmap_dma(const struct cell *c, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = IOVA, .size = size};
	long ret = sys_ioctl(c->fd, VFIO_IOMMU_UNMAP_DMA, &unmap);

	return ret < 0 ? ret : (long)unmap.size;
}

static long export_bar(const struct cell *c)
{
	struct {
		struct vfio_device_feature h;
		struct vfio_device_feature_dma_buf d;
		struct vfio_region_dma_range range;
	} get = {
		.h = {.argsz = sizeof(get),
		      .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF},
		.d = {.region_index = BAR,
		      .open_flags = O_RDWR | O_CLOEXEC,
		      .nr_ranges = 1},
		.range = {0, SIZE},
	};

	return sys_ioctl(c->device, VFIO_DEVICE_FEATURE, &get);
}

static long map_file(const struct cell *c, int fd)
{
	struct iommu_vfio_ioas chosen = {.size = sizeof(chosen),
					 .op = IOMMU_VFIO_IOAS_GET};
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.fd = fd,
		.length = SIZE,
		.iova = IOVA,
	};
	long ret = sys_ioctl(c->fd, IOMMU_VFIO_IOAS, &chosen);

	map.ioas_id = chosen.ioas_id;
	return ret < 0 ? ret : sys_ioctl(c->fd, IOMMU_IOAS_MAP_FILE, &map);
}

/* ---- the facts -------------------------------------------------------------------- */

static void map_bar(struct cell *c)
{
	if (set_up_bar(c))
		result(c, map_dma(c, c->bar), "ok");
}

static void map_bar_disabled(struct cell *c)
{
	if (set_up_bar(c) && !bad(c, set_command(c, 0), "COMMAND"))
		result(c, map_dma(c, c->bar), "ok");
}

static void unmapped(struct cell *c, long bytes)
{
	result(c, bytes,
	       bytes == (long)SIZE   ? "the whole mapping"
	       : bytes == (long)PAGE ? "cut"
				     : "something else");
}

static void unmap_part_of_ram(struct cell *c)
{
	if (set_up(c) && !bad(c, map_dma(c, c->ram), "MAP_DMA"))
		unmapped(c, unmap_dma(c, PAGE));
}

static void unmap_part_of_dmabuf(struct cell *c)
{
	long fd;

	if (!c->col->iommufd) {
		/* There is no way to map one. */
		snprintf(c->result, sizeof(c->result), "-");
		return;
	}
	if (!set_up_bar(c))
		return;
	fd = export_bar(c);
	if (bad(c, fd, "DMA_BUF"))
		return;
	if (!bad(c, map_file(c, (int)fd), "MAP_FILE"))
		unmapped(c, unmap_dma(c, PAGE));
	sys_close((int)fd);
}

static void unmap_empty(struct cell *c)
{
	long ret;

	if (!set_up(c))
		return;
	ret = unmap_dma(c, PAGE);
	result(c, ret, ret ? "ok, but something was there" : "ok 0");
}

static void set_iommu_before_group(struct cell *c)
{
	result(c, set_iommu(c, c->col->type), "ok");
}

static void set_iommu_unknown(struct cell *c)
{
	if (!bad(c, set_container(c), "SET_CONTAINER"))
		result(c, set_iommu(c, 99), "ok");
}

static void set_iommu_twice(struct cell *c)
{
	if (!bad(c, set_container(c), "SET_CONTAINER") &&
	    !bad(c, set_iommu(c, c->col->type), "SET_IOMMU"))
		result(c, set_iommu(c, c->col->type), "ok");
}

static void device_before_set_iommu(struct cell *c)
{
	if (!bad(c, set_container(c), "SET_CONTAINER"))
		result(c, get_device(c), "ok");
}

static void update_vaddr(struct cell *c)
{
	if (set_up(c))
		number(c, sys_ioctl(c->fd, VFIO_CHECK_EXTENSION,
				    (void *)(uintptr_t)VFIO_UPDATE_VADDR));
}

static void unset_with_device(struct cell *c)
{
	if (set_up(c))
		result(c, sys_ioctl(c->group, VFIO_GROUP_UNSET_CONTAINER, NULL), "ok");
}

static const struct fact {
	const char *step;
	const char *linux_says[COLUMNS];
	void (*run)(struct cell *c);
} facts[] = {
	{"MAP_DMA of a BAR VA", {"ok", "ok", "EFAULT", "EFAULT"}, map_bar},
	{"the same, memory disabled",
	 {"EFAULT", "EFAULT", "EFAULT", "EFAULT"},
	 map_bar_disabled},
	{"UNMAP part of RAM",
	 {"EINVAL", "the whole mapping", "ENOENT", "cut"},
	 unmap_part_of_ram},
	{"UNMAP part of a dma-buf",
	 {"-", "-", "ENOENT", "EOPNOTSUPP"},
	 unmap_part_of_dmabuf},
	{"UNMAP empty", {"ok 0", "ok 0", "ok 0", "ok 0"}, unmap_empty},
	{"SET_IOMMU before a group",
	 {"EINVAL", "EINVAL", "ENODEV", "ENODEV"},
	 set_iommu_before_group},
	{"SET_IOMMU 99", {"ENODEV", "ENODEV", "EINVAL", "EINVAL"}, set_iommu_unknown},
	{"SET_IOMMU twice", {"EINVAL", "EINVAL", "ok", "ok"}, set_iommu_twice},
	{"GET_DEVICE_FD before SET_IOMMU",
	 {"EINVAL", "EINVAL", "ok", "ok"},
	 device_before_set_iommu},
	{"UPDATE_VADDR", {"1", "1", "0", "0"}, update_vaddr},
	{"UNSET_CONTAINER with an open device",
	 {"EBUSY", "EBUSY", "ok", "ok"},
	 unset_with_device},
};

/* ---- the program ------------------------------------------------------------------ */

static void close_it(int *fd)
{
	if (*fd >= 0)
		sys_close(*fd);
	*fd = -1;
}

/* False: it is not what Linux says. */
static bool run_cell(const struct fact *fact, unsigned column)
{
	struct cell c = {.col = &columns[column], .fd = -1, .group = -1, .device = -1};
	const char *want = fact->linux_says[column];
	bool same;

	c.fd = (int)sys_open(c.col->node, O_RDWR | O_CLOEXEC);
	c.ram = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (!bad(&c, c.fd, "open") && c.ram != MAP_FAILED)
		fact->run(&c);
	if (c.bar)
		munmap(c.bar, SIZE);
	munmap(c.ram, SIZE);
	close_it(&c.device);
	close_it(&c.group);
	close_it(&c.fd);
	same = !strcmp(c.result, want);
	printf("%s %s, %s: %s", same ? "ok" : "DIFFERENT", fact->step, c.col->name,
	       c.result);
	printf(same ? "\n" : "  [Linux: %s]\n", want);
	return same;
}

int main(void)
{
	unsigned n = sizeof(facts) / sizeof(facts[0]), same = 0;
	int left;

	if (sys_start())
		return 2;
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < COLUMNS; k++)
			same += run_cell(&facts[i], k);
	left = sys_finish();
	printf("%u of %u as Linux 7.3 answers; %d descriptors left open\n", same,
	       n * COLUMNS, left);
	return same == n * COLUMNS && !left ? 0 : 1;
}
