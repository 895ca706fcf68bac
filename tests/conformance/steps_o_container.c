/* SPDX-License-Identifier: MIT */
/*
 * Section O: a type1v2 container, a group, and the VA of a BAR in VFIO_IOMMU_MAP_DMA.
 * The record's 256-byte BAR0 could be mapped; here a page of BAR2 stands in for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/conformance/client.h"

#define RAM_IOVA ((uint64_t)0x10000000)
#define BAR_IOVA ((uint64_t)0x20000000)
#define TWO_IOVA ((uint64_t)0x30000000)
#define ONE_IOVA ((uint64_t)0x38000000)
#define FREE     ((uint64_t)0x40000000)
#define SIZE     ((uint64_t)0x100000)
#define DEVICE   "0000:01:00.0"

struct container {
	int fd, group;
	struct device d;
	char *ram, *bar, *page;
};

static long extension(const struct container *c, unsigned long n)
{
	return sys_ioctl(c->fd, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)n);
}

static long set_iommu(const struct container *c, unsigned long type)
{
	return sys_ioctl(c->fd, VFIO_SET_IOMMU, (void *)(uintptr_t)type);
}

static long set_container(const struct container *c)
{
	int fd = c->fd;

	return sys_ioctl(c->group, VFIO_GROUP_SET_CONTAINER, &fd);
}

static long unset_container(const struct container *c)
{
	return sys_ioctl(c->group, VFIO_GROUP_UNSET_CONTAINER, NULL);
}

static long device_fd(const struct container *c, const char *name)
{
	return sys_ioctl(c->group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)name);
}

static long map_dma(const struct container *c, uint32_t flags, const void *va,
		    uint64_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return sys_ioctl(c->fd, VFIO_IOMMU_MAP_DMA, &cmd);
}

#define READ  VFIO_DMA_MAP_FLAG_READ
#define WRITE VFIO_DMA_MAP_FLAG_WRITE
#define BOTH  (READ | WRITE)

static void step_unmap_dma(const char *id, const struct container *c, uint32_t flags,
			   uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .flags = flags, .iova = iova, .size = size};
	long ret = sys_ioctl(c->fd, VFIO_IOMMU_UNMAP_DMA, &cmd);

	step_length(id, ret, cmd.size);
}

static void before_group(struct container *c)
{
	c->fd = step_fd("O001", sys_open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	c->group = step_fd("O002", sys_open("/dev/vfio/1", O_RDWR | O_CLOEXEC));
	step("O003", sys_ioctl(c->fd, VFIO_GET_API_VERSION, NULL));
	step("O004", extension(c, VFIO_TYPE1_IOMMU));
	step("O005", extension(c, VFIO_TYPE1v2_IOMMU));
	step("O006", extension(c, VFIO_DMA_CC_IOMMU));
	step("O007", extension(c, VFIO_UNMAP_ALL));
	step("O008", extension(c, VFIO_UPDATE_VADDR));
	step("O009", extension(c, 6));
	step("O010", extension(c, VFIO_NOIOMMU_IOMMU));
	step("O011", extension(c, 999));
	step("O012", set_iommu(c, VFIO_TYPE1v2_IOMMU));
	step("O013", map_dma(c, BOTH, c->ram, SIZE, RAM_IOVA));
	step("O014", device_fd(c, DEVICE));
}

static void open_all(struct container *c)
{
	step("O015", set_container(c));
	step("O016", set_container(c));
	step("O017", map_dma(c, BOTH, (void *)8, PAGE, RAM_IOVA));
	step("O018", device_fd(c, DEVICE));
	step("O019", set_iommu(c, 99));
	step("O020", set_iommu(c, VFIO_TYPE1v2_IOMMU));
	step("O021", set_iommu(c, VFIO_TYPE1v2_IOMMU));
	step("O022", extension(c, VFIO_TYPE1_IOMMU));
	step("O023", extension(c, VFIO_TYPE1v2_IOMMU));
	step("O024", extension(c, VFIO_DMA_CC_IOMMU));
	step("O025", extension(c, VFIO_UNMAP_ALL));
	step("O026", extension(c, VFIO_UPDATE_VADDR));
	c->d.fd = step_fd("O027", device_fd(c, DEVICE));
	for (unsigned i = 0; i < VFIO_PCI_NUM_REGIONS; i++)
		region_info(c->d.fd, i, &c->d.region[i]);
	memory_on(&c->d);
	step("O028", device_fd(c, "0000:7f:00.0"));
	step("O029", bar_mmap(&c->d, BAR, SIZE, (void **)&c->bar));
}

static void get_info(const struct container *c)
{
	struct {
		struct vfio_iommu_type1_info info;
		char caps[4096];
	} get = {.info.argsz = sizeof(get)};

	step("O030", sys_ioctl(c->fd, VFIO_IOMMU_GET_INFO, &get));
	note("flags", "0x%x pgsizes 0x%llx argsz %u", get.info.flags,
	     (unsigned long long)get.info.iova_pgsizes, get.info.argsz);
}

static void map_ram(const struct container *c)
{
	const char *ram = c->ram;

	step("O031", map_dma(c, BOTH, ram, SIZE, RAM_IOVA));
	step("O032", map_dma(c, BOTH, ram, PAGE, RAM_IOVA));
	step("O033", map_dma(c, 0, ram, PAGE, FREE));
	step("O034", map_dma(c, 0x80, ram, PAGE, FREE));
	step("O035", map_dma(c, 0x83, ram, PAGE, FREE));
	step("O036", map_dma(c, BOTH, ram, 0, FREE));
	step("O037", map_dma(c, BOTH, ram, 0x800, FREE));
	step("O038", map_dma(c, BOTH, ram + 0x800, PAGE, FREE));
	step("O039", map_dma(c, BOTH, ram, PAGE, FREE + 0x800));
	step("O040", map_dma(c, BOTH, ram, PAGE, MSI_IOVA));
	step("O041", map_dma(c, BOTH, ram, PAGE, UINT64_MAX - 0xfff));
	step("O042", map_dma(c, BOTH, ram, 2 * PAGE, UINT64_MAX - 0xfff));
	step("O043", map_dma(c, BOTH, (void *)0x10000, PAGE, FREE));
}

static void map_bar(struct container *c)
{
	step("O044", map_dma(c, BOTH, c->bar, SIZE, BAR_IOVA));
	step("O045", map_dma(c, BOTH, c->bar, PAGE, TWO_IOVA));
	step("O046", map_dma(c, READ, c->bar, PAGE, TWO_IOVA + PAGE));
	step("O047", map_dma(c, BOTH, c->bar, PAGE, BAR_IOVA));
	step("O048", bar_mmap(&c->d, BAR, PAGE, (void **)&c->page));
	step("O049", map_dma(c, BOTH, c->page, PAGE, ONE_IOVA));
	step("O050", extension(c, VFIO_DMA_CC_IOMMU));
}

static void unmap_dma(const struct container *c)
{
	step_unmap_dma("O051", c, 0, BAR_IOVA, PAGE);
	step_unmap_dma("O052", c, 0, BAR_IOVA, SIZE);
	step_unmap_dma("O053", c, 0, BAR_IOVA, SIZE);
	step_unmap_dma("O054", c, 0, TWO_IOVA, 2 * PAGE);
	step_unmap_dma("O055", c, 0, RAM_IOVA, 0);
	step_unmap_dma("O056", c, 0, RAM_IOVA, 0x800);
	step_unmap_dma("O057", c, 0, RAM_IOVA, PAGE);
	step_unmap_dma("O058", c, 0x80, RAM_IOVA, SIZE);
	step_unmap_dma("O059", c, 0, UINT64_MAX - 0xfff, 2 * PAGE);
	step_unmap_dma("O060", c, VFIO_DMA_UNMAP_FLAG_ALL, PAGE, 0);
}

static void bar_comes_and_goes(struct container *c)
{
	step("O061", map_dma(c, BOTH, c->bar, SIZE, BAR_IOVA));
	memory_off(&c->d);
	step_unmap_dma("O062", c, 0, BAR_IOVA, SIZE);
	step("O063", map_dma(c, BOTH, c->bar, SIZE, BAR_IOVA));
	memory_on(&c->d);
	step("O064", map_dma(c, BOTH, c->bar, SIZE, BAR_IOVA));
	step("O065", reset(&c->d));
	step("O066", munmap(c->bar, SIZE) ? -errno : 0);
	step_unmap_dma("O067", c, 0, BAR_IOVA, SIZE);
}

static long map_file_on_container(const struct container *c, int dmabuf)
{
	struct space s = {c->fd, 1};

	return map_file_any(s, dmabuf, 0, PAGE);
}

/* Returns the dma-buf, which outlives the device. */
static int beside_iommufd(struct container *c, struct space s)
{
	int dmabuf = step_fd("O068", export_range(c->d.fd, BAR, 0, PAGE));
	uint32_t id;
	int cdev;

	step("O069", map_file_any(s, dmabuf, 0, PAGE));
	step("O070", map_file_on_container(c, dmabuf));
	step_unmap_dma("O071", c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	step_unmap_dma("O072", c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
	step("O073", bind_device(c->d.fd, s.iommufd, &id));
	cdev = step_fd("O074", device_open(0));
	step("O075", bind_device(cdev, s.iommufd, &id));
	if (cdev >= 0)
		sys_close(cdev);
	return dmabuf;
}

static void close_all(struct container *c, struct space s, int dmabuf)
{
	struct stat st;

	step("O076", unset_container(c));
	step("O077", sys_close(c->d.fd));
	step("O078", unset_container(c));
	if (c->page)
		munmap(c->page, PAGE);
	step("O079", unset_container(c));
	step("O080", unset_container(c));
	step("O081", fstat(dmabuf, &st) ? -errno : 0);
	step("O082", map_file_any(s, dmabuf, 0, PAGE));
	step("O083", sys_close(c->group));
	step("O084", sys_close(c->fd));
}

void section_o(void)
{
	struct container c = {.fd = -1, .group = -1, .d.fd = -1};
	struct space s;
	int dmabuf;

	s.iommufd = iommu_open();
	ioas_alloc(s.iommufd, &s.ioas);
	c.ram = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	check(c.ram != MAP_FAILED, "memory");

	before_group(&c);
	open_all(&c);
	get_info(&c);
	map_ram(&c);
	map_bar(&c);
	unmap_dma(&c);
	bar_comes_and_goes(&c);
	dmabuf = beside_iommufd(&c, s);
	close_all(&c, s, dmabuf);

	if (dmabuf >= 0)
		sys_close(dmabuf);
	munmap(c.ram, SIZE);
	sys_close(s.iommufd);
}
