/* SPDX-License-Identifier: MIT */
/* The calls that the sections make. */
#include "tests/conformance/client.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- iommufd ------------------------------------------------------------------- */

int iommu_open(void)
{
	int fd = (int)sys_open("/dev/iommu", O_RDWR | O_CLOEXEC);

	check(fd >= 0, "/dev/iommu cannot be opened");
	return fd;
}

long ioas_alloc(int iommufd, uint32_t *id)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	long ret = sys_ioctl(iommufd, IOMMU_IOAS_ALLOC, &cmd);

	*id = cmd.out_ioas_id;
	return ret;
}

long destroy(int iommufd, uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return sys_ioctl(iommufd, IOMMU_DESTROY, &cmd);
}

long hwpt_alloc(int iommufd, uint32_t dev_id, uint32_t pt_id, uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .dev_id = dev_id, .pt_id = pt_id};
	long ret = sys_ioctl(iommufd, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return ret;
}

long map_file(struct space s, uint32_t flags, int fd, uint64_t start, uint64_t length,
	      uint64_t *iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = s.ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = *iova,
	};
	long ret = sys_ioctl(s.iommufd, IOMMU_IOAS_MAP_FILE, &cmd);

	*iova = cmd.iova;
	return ret;
}

long map_file_at(struct space s, int fd, uint64_t start, uint64_t length, uint64_t iova)
{
	return map_file(s, RW | AT, fd, start, length, &iova);
}

long map_file_any(struct space s, int fd, uint64_t start, uint64_t length)
{
	uint64_t iova = 0;

	return map_file(s, RW, fd, start, length, &iova);
}

long map_va(struct space s, uint32_t flags, uint64_t va, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = s.ioas,
		.user_va = va,
		.length = length,
		.iova = iova,
	};

	return sys_ioctl(s.iommufd, IOMMU_IOAS_MAP, &cmd);
}

long unmap(struct space s, uint64_t iova, uint64_t *length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = s.ioas, .iova = iova, .length = *length};
	long ret = sys_ioctl(s.iommufd, IOMMU_IOAS_UNMAP, &cmd);

	*length = cmd.length;
	return ret;
}

long unmap_all(struct space s, uint64_t *length)
{
	*length = UINT64_MAX;
	return unmap(s, 0, length);
}

long copy_any(struct space dst, struct space src, uint64_t src_iova, uint64_t length,
	      uint64_t *iova)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = RW,
		.dst_ioas_id = dst.ioas,
		.src_ioas_id = src.ioas,
		.length = length,
		.src_iova = src_iova,
	};
	long ret = sys_ioctl(dst.iommufd, IOMMU_IOAS_COPY, &cmd);

	*iova = cmd.dst_iova;
	return ret;
}

void step_unmap(const char *id, struct space s, uint64_t iova, uint64_t length)
{
	long ret = unmap(s, iova, &length);

	step_length(id, ret, length);
}

void step_unmap_all(const char *id, struct space s)
{
	step_unmap(id, s, 0, UINT64_MAX);
}

/* ---- devices ------------------------------------------------------------------- */

long device_open(unsigned n)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", n);
	return sys_open(path, O_RDWR | O_CLOEXEC);
}

long bind_device(int fd, int iommufd, uint32_t *id)
{
	struct vfio_device_bind_iommufd cmd = {.argsz = sizeof(cmd), .iommufd = iommufd};
	long ret = sys_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	*id = cmd.out_devid;
	return ret;
}

void device_start(struct device *d, unsigned n, int iommufd)
{
	long ret = device_open(n);

	*d = (struct device){.fd = (int)ret};
	if (ret >= 0)
		ret = bind_device(d->fd, iommufd, &d->id);
	for (unsigned i = 0; ret >= 0 && i < VFIO_PCI_NUM_REGIONS; i++)
		region_info(d->fd, i, &d->region[i]);
	/* As vfio users find it after the open: memory decoding on. */
	if (ret >= 0 && !(config_read(d, PCI_COMMAND_OFFSET, 2) & COMMAND_MEMORY))
		memory_on(d);
	check(ret >= 0, "a device cannot be opened and bound");
}

void device_stop(struct device *d)
{
	if (d->fd >= 0)
		sys_close(d->fd);
	d->fd = -1;
}

long attach(int fd, uint32_t *pt_id)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd),
						    .pt_id = *pt_id};
	long ret = sys_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	*pt_id = cmd.pt_id;
	return ret;
}

long attach_ioas(int fd, uint32_t ioas)
{
	return attach(fd, &ioas);
}

long detach(int fd)
{
	struct vfio_device_detach_iommufd_pt cmd = {.argsz = sizeof(cmd)};

	return sys_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

long region_info(int fd, unsigned index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){.argsz = sizeof(*info), .index = index};
	return sys_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

long reset(const struct device *d)
{
	return sys_ioctl(d->fd, VFIO_DEVICE_RESET, NULL);
}

long feature(int fd, uint32_t flags)
{
	struct vfio_device_feature cmd = {.argsz = sizeof(cmd), .flags = flags};

	return sys_ioctl(fd, VFIO_DEVICE_FEATURE, &cmd);
}

long export_ranges(int fd, const struct buffer_spec *e)
{
	struct export_call cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.spec = *e,
	};

	_Static_assert(sizeof(cmd) == sizeof(struct vfio_device_feature) +
					      sizeof(struct vfio_device_feature_dma_buf) +
					      2 * sizeof(struct vfio_region_dma_range),
		       "the same layout as the uAPI's");
	return sys_ioctl(fd, VFIO_DEVICE_FEATURE, &cmd);
}

long export_range(int fd, unsigned bar, uint64_t offset, uint64_t length)
{
	struct buffer_spec e = {
		.region = bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
		.range = {{offset, length}},
	};

	return export_ranges(fd, &e);
}

long bar_read(const struct device *d, unsigned bar, uint64_t offset, uint32_t *value)
{
	return sys_pread(d->fd, value, sizeof(*value), d->region[bar].offset + offset);
}

long bar_write(const struct device *d, unsigned bar, uint64_t offset, uint32_t value)
{
	return sys_pwrite(d->fd, &value, sizeof(value), d->region[bar].offset + offset);
}

long bar_mmap(const struct device *d, unsigned bar, uint64_t length, void **out)
{
	return sys_mmap(d->fd, length, PROT_READ | PROT_WRITE, MAP_SHARED,
			d->region[bar].offset, out);
}

uint32_t config_read(const struct device *d, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	sys_pread(d->fd, &value, bytes,
		  d->region[VFIO_PCI_CONFIG_REGION_INDEX].offset + offset);
	return value;
}

long config_write(const struct device *d, unsigned offset, uint32_t value, unsigned bytes)
{
	return sys_pwrite(d->fd, &value, bytes,
			  d->region[VFIO_PCI_CONFIG_REGION_INDEX].offset + offset);
}

unsigned config_capability(const struct device *d, uint8_t id)
{
	unsigned at = config_read(d, 0x34, 1);

	for (unsigned i = 0; at && i < 48; i++) {
		uint32_t header = config_read(d, at, 2);

		if ((header & 0xff) == id)
			return at;
		at = header >> 8;
	}
	return 0;
}

long memory_on(const struct device *d)
{
	return config_write(d, PCI_COMMAND_OFFSET, COMMAND_MEMORY, 2);
}

long memory_off(const struct device *d)
{
	return config_write(d, PCI_COMMAND_OFFSET, 0, 2);
}

/* ---- the CPU ------------------------------------------------------------------- */

static sigjmp_buf caught;
static volatile int caught_code;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	caught_code = info->si_code;
	siglongjmp(caught, signal);
}

static struct cpu_access cpu_access(volatile uint32_t *p, const uint32_t *store)
{
	struct sigaction act = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	struct sigaction bus, segv;
	struct cpu_access a = {0};

	sigaction(SIGBUS, &act, &bus);
	sigaction(SIGSEGV, &act, &segv);
	a.signal = sigsetjmp(caught, 1);
	if (!a.signal) {
		if (store)
			*p = *store;
		else
			a.value = *p;
	}
	a.code = a.signal ? caught_code : 0;
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return a;
}

struct cpu_access cpu_load(const volatile void *p)
{
	return cpu_access((volatile uint32_t *)(uintptr_t)p, NULL);
}

struct cpu_access cpu_store(volatile void *p, uint32_t value)
{
	return cpu_access(p, &value);
}

void *memory_before_hole(size_t n)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || munmap(p + PAGE, PAGE)) {
		check(false, "no memory before a hole");
		return NULL;
	}
	return p + PAGE - n;
}
