/* SPDX-License-Identifier: MIT */
/*
 * Section H: what reset, memory decoding, low power and hot reset do to a live area.
 * The record's device had no power management; its other device could not be reset.
 */
#include <sys/mman.h>

#include "tests/conformance/client.h"

#define IOVA  ((uint64_t)0x10000000)
#define VALUE 0x11223344u

/* Map a page somewhere, report it, and take it away again. */
static void step_try_map(const char *id, struct space s, int fd)
{
	uint64_t iova = 0, length = PAGE;
	long ret = map_file(s, RW, fd, 0, PAGE, &iova);

	step(id, ret);
	if (ret >= 0)
		unmap(s, iova, &length);
}

static void step_try_copy(const char *id, struct space s, uint64_t length)
{
	uint64_t iova = 0;
	long ret = copy_any(s, s, IOVA, length, &iova);

	step(id, ret);
	if (ret >= 0)
		unmap(s, iova, &length);
}

static uint32_t command(const struct device *d)
{
	return config_read(d, PCI_COMMAND_OFFSET, 2);
}

static void around_reset(struct space s, const struct device *d, int fd, void *bar)
{
	uint64_t size = d->region[BAR].size;

	step("H001", map_file_at(s, fd, 0, size, IOVA));
	step_store("H002", cpu_store(bar, VALUE));
	step_load("H003", cpu_load(bar));
	step("H004", reset(d));
	note("command after reset", "0x%x", command(d));
	step_load("H005", cpu_load(bar));
	step_try_map("H006", s, fd);
	step("H007", map_file_at(s, fd, 0, size, IOVA));
	step_try_copy("H008", s, size);
	step_unmap("H009", s, IOVA, PAGE);
	step_unmap("H010", s, IOVA, size);
	step("H011", map_file_at(s, fd, 0, size, IOVA));
}

/* Returns a dma-buf made while memory decoding is off. */
static int while_disabled(struct space s, const struct device *d, int fd, void *bar)
{
	void *again = NULL;
	uint32_t value;
	int late;

	step("H012", memory_off(d));
	note("command reads", "0x%x", command(d));
	step("H013", bar_read(d, BAR, 0, &value));
	step("H014", bar_write(d, BAR, 0, 0));
	step_load("H015", cpu_load(bar));
	step("H016", bar_mmap(d, BAR, PAGE, &again));
	if (again)
		step_load("H017", cpu_load(again));
	else
		step_na("H017");
	if (again)
		munmap(again, PAGE);
	step("H018", map_file_any(s, fd, 0, PAGE));
	late = step_fd("H019", export_range(d->fd, BAR, 0, PAGE));
	step("H020", map_file_any(s, late, 0, PAGE));
	step("H021", reset(d));
	note("command", "0x%x", command(d));
	step("H022", map_file_any(s, fd, 0, PAGE));
	return late;
}

static void enabled_again(struct space s, const struct device *d, int fd, int late,
			  void *bar)
{
	uint64_t iova;
	uint32_t value;

	step("H023", memory_on(d));
	step("H024", bar_read(d, BAR, 0, &value));
	step_load("H025", cpu_load(bar));
	step("H026", map_file_any(s, fd, 0, PAGE));
	step("H027", map_file_any(s, late, 0, PAGE));
	step("H028", config_write(d, PCI_COMMAND_OFFSET, COMMAND_MEMORY, 1));
	step("H029", copy_any(s, s, IOVA, PAGE, &iova));
}

static void closed_buffers(struct space s, const struct device *d, int fd, int late)
{
	uint64_t size = d->region[BAR].size;
	int third;

	step("H030", memory_off(d));
	step_unmap("H031", s, IOVA, size);
	step_unmap("H032", s, IOVA, size);
	step("H033", sys_close(fd));
	step("H034", sys_close(late));
	step("H035", memory_on(d));
	step_unmap_all("H036", s);
	third = (int)export_range(d->fd, BAR, 0, size);
	for (unsigned i = 0; i < 3; i++)
		map_file_any(s, third, i * PAGE, PAGE);
	sys_close(third);
	step("H037", reset(d));
	step_unmap_all("H038", s);
}

#define SET(f) (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_##f)

static int low_power(struct space s, const struct device *d)
{
	int fd;

	step("H039", feature(d->fd, SET(LOW_POWER_ENTRY)));
	fd = step_fd("H040", export_range(d->fd, BAR, 0, PAGE));
	step_try_map("H041", s, fd);
	step("H042", feature(d->fd, SET(LOW_POWER_EXIT)));
	step_try_map("H043", s, fd);
	return fd;
}

static long hot_reset(const struct device *d, uint32_t argsz, uint32_t flags)
{
	struct vfio_pci_hot_reset cmd = {.argsz = argsz, .flags = flags};

	return sys_ioctl(d->fd, VFIO_DEVICE_PCI_HOT_RESET, &cmd);
}

static void hot_resets(struct space s, const struct device *d, int fd)
{
	uint32_t size = sizeof(struct vfio_pci_hot_reset);

	step("H044", map_file_at(s, fd, 0, PAGE, IOVA));
	step("H045", hot_reset(d, size, 0));
	step("H046", hot_reset(d, size, 1));
	step("H047", hot_reset(d, 4, 0));
	step_try_map("H048", s, fd);
	step("H049", map_file_at(s, fd, 0, PAGE, IOVA));
	step_unmap("H050", s, IOVA, PAGE);
}

static void without_reset(struct space s, const struct device *other)
{
	int fd = (int)export_range(other->fd, BAR, 0, PAGE);

	step_na("H051");
	step("H052", map_file_at(s, fd, 0, PAGE, IOVA));
	step_na("H053");
	step_try_copy("H054", s, PAGE);
	step_try_map("H055", s, fd);
	sys_close(fd);
}

void section_h(void)
{
	struct device d, other;
	struct space s;
	void *bar = NULL;
	int fd, late;

	s.iommufd = iommu_open();
	ioas_alloc(s.iommufd, &s.ioas);
	device_start(&d, 0, s.iommufd);
	device_start(&other, 1, s.iommufd);
	attach_ioas(d.fd, s.ioas);
	bar_mmap(&d, BAR, PAGE, &bar);
	check(bar, "the BAR cannot be mapped");
	fd = (int)export_range(d.fd, BAR, 0, d.region[BAR].size);
	if (!bar)
		return;

	around_reset(s, &d, fd, bar);
	late = while_disabled(s, &d, fd, bar);
	enabled_again(s, &d, fd, late, bar);
	closed_buffers(s, &d, fd, late);
	fd = low_power(s, &d);
	hot_resets(s, &d, fd);
	without_reset(s, &other);

	munmap(bar, PAGE);
	sys_close(fd);
	device_stop(&other);
	device_stop(&d);
	sys_close(s.iommufd);
}
