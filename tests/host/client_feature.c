/* SPDX-License-Identifier: MIT */
/* What some devices and VMMs use: ioeventfds, a log of dirty pages, a legacy group in an
 * iommufd. */
#include "client.h"
#include "scenarios.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

#include "examples/ce_driver.h"

/* From another process; the device sees the write all the same. */
static void signal_it(void *arg)
{
	CHECK(!eventfd_write(*(int *)arg, 1));
}

void scenario_ioeventfd(void)
{
	const uint64_t value = 0x1122334455667788;
	struct vfio_device_ioeventfd set = {
		.argsz = sizeof(set),
		.flags = VFIO_DEVICE_IOEVENTFD_64,
		.data = value,
	};
	struct device d;
	uint64_t at, got = 0;

	device_open(&d, CDEV0);
	at = region_offset(d.fd, VFIO_PCI_BAR0_REGION_INDEX, NULL, NULL);
	set.offset = at + CE_REG_SCRATCH;
	set.fd = eventfd(0, EFD_CLOEXEC);
	CHECK(set.fd >= 0);
	CHECK(!ioctl(d.fd, VFIO_DEVICE_IOEVENTFD, &set));
	CHECK_ERRNO(ioctl(d.fd, VFIO_DEVICE_IOEVENTFD, &set), EEXIST);
	CHECK(pread(d.fd, &got, 8, (off_t)(at + CE_REG_SCRATCH)) == 8 && !got);
	CHECK(!in_child(signal_it, &set.fd));
	while (got != value)
		CHECK(pread(d.fd, &got, 8, (off_t)(at + CE_REG_SCRATCH)) == 8);
	close(set.fd);
	set.fd = -1;
	CHECK(!ioctl(d.fd, VFIO_DEVICE_IOEVENTFD, &set));
	CHECK_ERRNO(ioctl(d.fd, VFIO_DEVICE_IOEVENTFD, &set), ENODEV);
	device_close(&d);
}

static int logging(int fd, uint32_t flags, const void *data, size_t n)
{
	struct {
		struct vfio_device_feature h;
		uint8_t data[32];
	} f = {.h = {.argsz = (uint32_t)(sizeof(f.h) + n), .flags = flags}};

	if (n)
		memcpy(f.data, data, n);
	return ioctl(fd, VFIO_DEVICE_FEATURE, &f);
}

void scenario_dirty_log(void)
{
	struct vfio_device_feature_dma_logging_range range = {FAR_IOVA, 64 * PAGE};
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = PAGE, .num_ranges = 1, .ranges = (uintptr_t)&range};
	uint64_t bits = 0;
	struct vfio_device_feature_dma_logging_report report = {FAR_IOVA, 64 * PAGE, PAGE,
								(uintptr_t)&bits};
	const uint32_t start = VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		       stop = VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		       ask = VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT;
	struct device d;
	void *mem = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	device_open(&d, CDEV0);
	CHECK(mem != MAP_FAILED);
	CHECK(!map(d.iommu, d.ioas, mem, 64 * PAGE, FAR_IOVA));
	CHECK(!logging(d.fd, start | VFIO_DEVICE_FEATURE_SET, &control, sizeof(control)));
	CHECK(!device_fill(&d, FAR_IOVA + 5 * PAGE - 8, 7, 16));
	CHECK(!device_fill(&d, FAR_IOVA + 63 * PAGE, 7, 8));
	CHECK(!logging(d.fd, ask | VFIO_DEVICE_FEATURE_GET, &report, sizeof(report)));
	CHECK(bits == (3ull << 4 | 1ull << 63));
	bits = 0;
	CHECK(!logging(d.fd, ask | VFIO_DEVICE_FEATURE_GET, &report, sizeof(report)));
	CHECK(!bits);
	CHECK(!logging(d.fd, stop | VFIO_DEVICE_FEATURE_SET, NULL, 0));
	CHECK_ERRNO(logging(d.fd, ask | VFIO_DEVICE_FEATURE_GET, &report, sizeof(report)),
		    EINVAL);
	CHECK(!unmap(d.iommu, d.ioas, FAR_IOVA, 64 * PAGE));
	munmap(mem, 64 * PAGE);
	device_close(&d);
}

void scenario_group_in_iommufd(void)
{
	int iommu = open_iommu(), group = open("/dev/vfio/1", O_RDWR | O_CLOEXEC);
	uint16_t vendor = 0;
	uint64_t config;
	int fd;

	CHECK(group >= 0);
	CHECK(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &iommu));
	fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, BDF0);
	CHECK(fd >= 0);
	/* Each holds the next. */
	close(iommu);
	close(group);
	config = region_offset(fd, VFIO_PCI_CONFIG_REGION_INDEX, NULL, NULL);
	CHECK(pread(fd, &vendor, 2, (off_t)config) == 2 && vendor == CE_VENDOR);
	CHECK_ERRNO(open("/dev/vfio/1", O_RDWR | O_CLOEXEC), EBUSY);
	close(fd);
	/* And all of them go with the last. */
	group = open("/dev/vfio/1", O_RDWR | O_CLOEXEC);
	CHECK(group >= 0);
	close(group);
}
