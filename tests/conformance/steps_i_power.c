/* SPDX-License-Identifier: MIT */
/*
 * Section I: a device with Function Level Reset and power management. The area is
 * 0x20000 bytes, the size of the recorded device's BAR.
 */
#include "tests/conformance/client.h"

#define IOVA         ((uint64_t)0x10000000)
#define SIZE         ((uint64_t)0x20000)

#define CAP_PM       0x01
#define CAP_EXP      0x10
#define PMCSR        4 /* from the capability's start */
#define PMCSR_D3HOT  3
#define DEVCTL       8
#define DEVCTL_FLR   0x8000

#define SET(feature) (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_##feature)

/* A mapped area is cut off; the buffer can be mapped again, and the area is freed. */
static void flr(struct space s, const struct device *d, int fd)
{
	unsigned exp = config_capability(d, CAP_EXP);
	uint32_t devctl = config_read(d, exp + DEVCTL, 2);
	uint64_t iova;

	step("I002", map_file_at(s, fd, 0, SIZE, IOVA));
	step("I003", reset(d));
	step("I004", map_file_any(s, fd, 0, PAGE));
	step_unmap("I005", s, IOVA, SIZE);
	step("I006", map_file_at(s, fd, 0, SIZE, IOVA));
	step("I007", config_write(d, exp + DEVCTL, devctl | DEVCTL_FLR, 2));
	step("I008", copy_any(s, s, IOVA, SIZE, &iova));
	step("I009", map_file_any(s, fd, 0, PAGE));
	step_unmap("I010", s, IOVA, SIZE);
	step("I011", map_file_at(s, fd, 0, SIZE, IOVA));
}

static void d3hot(struct space s, const struct device *d, int fd)
{
	unsigned pm = config_capability(d, CAP_PM);
	uint32_t value;
	uint64_t iova;
	int asleep;

	step("I012", config_write(d, pm + PMCSR, PMCSR_D3HOT, 2));
	note("pmcsr", "0x%x", config_read(d, pm + PMCSR, 2));
	step("I013", map_file_any(s, fd, 0, PAGE));
	step("I014", bar_read(d, BAR, 0, &value));
	asleep = step_fd("I015", export_range(d->fd, BAR, 0, PAGE));
	sys_close(asleep);
	step("I016", config_write(d, pm + PMCSR, 0, 2));
	note("cmd", "0x%x pmcsr 0x%x", config_read(d, PCI_COMMAND_OFFSET, 2),
	     config_read(d, pm + PMCSR, 2));
	step("I017", map_file_any(s, fd, 0, PAGE));
	step("I018", copy_any(s, s, IOVA, SIZE, &iova));
	step_unmap("I019", s, IOVA, SIZE);
	step("I020", map_file_at(s, fd, 0, SIZE, IOVA));
}

static void low_power(struct space s, const struct device *d, int fd)
{
	step("I021", feature(d->fd, SET(LOW_POWER_ENTRY)));
	step("I022", map_file_any(s, fd, 0, PAGE));
	step("I023", feature(d->fd, SET(LOW_POWER_ENTRY)));
	step("I024", map_file_any(s, fd, 0, PAGE));
	step("I025", feature(d->fd, SET(LOW_POWER_EXIT)));
	step("I026", map_file_any(s, fd, 0, PAGE));
	step_unmap("I027", s, IOVA, SIZE);
}

static void hot_reset(struct space s, const struct device *d, int fd)
{
	_Alignas(struct vfio_pci_hot_reset_info) uint8_t room[256] = {0};
	struct vfio_pci_hot_reset_info *info = (void *)room;
	struct vfio_pci_hot_reset cmd = {.argsz = sizeof(cmd)};
	uint64_t iova;

	info->argsz = sizeof(room);
	step("I028", sys_ioctl(d->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
	note("count", "%u flags 0x%x", info->count, info->flags);
	step("I029", map_file_at(s, fd, 0, SIZE, IOVA));
	step("I030", sys_ioctl(d->fd, VFIO_DEVICE_PCI_HOT_RESET, &cmd));
	step("I031", map_file_any(s, fd, 0, PAGE));
	step("I032", copy_any(s, s, IOVA, SIZE, &iova));
	step_unmap("I033", s, IOVA, SIZE);
}

void section_i(void)
{
	struct device d;
	struct space s;
	int fd;

	s.iommufd = iommu_open();
	ioas_alloc(s.iommufd, &s.ioas);
	device_start(&d, 0, s.iommufd);
	attach_ioas(d.fd, s.ioas);
	check(config_capability(&d, CAP_PM) && config_capability(&d, CAP_EXP),
	      "the device has no PM or no PCIe capability");

	fd = step_fd("I001", export_range(d.fd, BAR, 0, SIZE));
	flr(s, &d, fd);
	d3hot(s, &d, fd);
	low_power(s, &d, fd);
	hot_reset(s, &d, fd);

	sys_close(fd);
	device_stop(&d);
	sys_close(s.iommufd);
}
