/* SPDX-License-Identifier: MIT */
/* Section B: what a device answers before and after it is bound, and attaching it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conformance/client.h"

/* Where the regions are in the file: a program learns it when the device is bound. */
static void learn_regions(struct device *d)
{
	int iommufd = iommu_open();

	device_start(d, 0, iommufd);
	device_stop(d);
	sys_close(iommufd);
}

static long get_info(int fd)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};

	return sys_ioctl(fd, VFIO_DEVICE_GET_INFO, &info);
}

static void before_bind(int fd, const struct device *known)
{
	struct device d = *known;
	uint32_t value;
	void *p;

	d.fd = fd;
	step("B002", get_info(fd));
	step("B003", export_range(fd, BAR, 0, PAGE));
	step("B004", reset(&d));
	step("B005", attach_ioas(fd, 1));
	step("B006", detach(fd));
	step("B007", bar_read(&d, VFIO_PCI_CONFIG_REGION_INDEX, 0, &value));
	step("B008", bar_mmap(&d, BAR, PAGE, &p));
}

static long bind_with(int fd, struct vfio_device_bind_iommufd cmd)
{
	return sys_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
}

static void binds(int fd, int second, int iommufd, uint32_t *id)
{
	struct vfio_device_bind_iommufd good = {.argsz = sizeof(good),
						.iommufd = iommufd};
	struct vfio_device_bind_iommufd cmd;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint32_t ignored;

	step("B009", bind_device(fd, -1, &ignored));
	step("B010", bind_device(fd, 999, &ignored));
	step("B011", bind_device(fd, null, &ignored));
	cmd = good;
	cmd.argsz = 8;
	step("B012", bind_with(fd, cmd));
	cmd = good;
	cmd.flags = 0x80;
	step("B013", bind_with(fd, cmd));
	cmd = good;
	cmd.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
	cmd.token_uuid_ptr = 8;
	step("B014", bind_with(fd, cmd));
	step("B015", bind_device(fd, iommufd, id));
	step("B016", bind_device(fd, iommufd, &ignored));
	step("B017", bind_device(second, iommufd, &ignored));
	step("B018", get_info(fd));
	close(null);
}

/* The group's node, named by its number as sysfs tells it. */
static long open_group(void)
{
	char link[128], path[64];
	const char *group = "1"; /* the first device's, unless the machine says other */
	ssize_t n = readlink("/sys/bus/pci/devices/0000:01:00.0/iommu_group", link,
			     sizeof(link) - 1);

	if (n > 0) {
		link[n] = 0;
		for (char *p = link; *p; p++)
			if (*p == '/')
				group = p + 1;
	}
	snprintf(path, sizeof(path), "/dev/vfio/%s", group);
	return sys_open(path, O_RDWR | O_CLOEXEC);
}

static void attaching(int fd, struct space s, uint32_t devid)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = 8, .pt_id = s.ioas};
	uint32_t pt = s.ioas, again = s.ioas;
	int dmabuf;

	step("B020", attach_ioas(fd, 0x7fffffff));
	step("B021", attach_ioas(fd, devid));
	step("B022", sys_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd));
	cmd.argsz = sizeof(cmd);
	cmd.flags = 0x80;
	step("B023", sys_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd));
	step("B024", detach(fd));
	dmabuf = step_fd("B025", export_range(fd, BAR, 0, PAGE));
	step("B026", attach(fd, &pt));
	step("B027", attach(fd, &again));
	step("B028", destroy(s.iommufd, s.ioas));
	step("B029", destroy(s.iommufd, pt));
	step("B030", destroy(s.iommufd, devid));
	sys_close(dmabuf);
}

void section_b(void)
{
	struct device known;
	struct space s;
	int fd, second, group, dmabuf;
	uint32_t devid = 0;

	learn_regions(&known);
	s.iommufd = iommu_open();
	ioas_alloc(s.iommufd, &s.ioas);

	fd = step_fd("B001", device_open(0));
	second = (int)device_open(0);
	before_bind(fd, &known);
	binds(fd, second, s.iommufd, &devid);
	group = step_fd("B019", open_group());
	if (group >= 0)
		sys_close(group);
	attaching(fd, s, devid);

	step("B031", sys_close(s.iommufd));
	dmabuf = step_fd("B032", export_range(fd, BAR, 0, PAGE));
	step("B033", detach(fd));
	step("B034", sys_close(fd));
	sys_close(dmabuf);
	sys_close(second);
}
