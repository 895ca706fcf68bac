/* SPDX-License-Identifier: MIT */
/*
 * The library instead of the command: a machine inside this program, and a peer-to-peer
 * copy between two of its devices. The calls are those of Linux's uAPI, with
 * uiommufd_ioctl() in place of ioctl(2) and so on. examples/p2p.c explains them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ce_driver.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/abi/vfio_feature.h"
#include "uiommufd/abi/vfio_pci.h"
#include "uiommufd/uiommufd.h"

#define MIB       ((uint64_t)1 << 20)

#define RING_IOVA 0x100000
#define PEER_IOVA 0x40000000

struct device {
	struct uiommufd_machine *machine;
	int fd;
	uint64_t regs;
	uint8_t *vram;
};

static void must(long result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "embed: %s: %s\n", what, strerror((int)-result));
	exit(1);
}

static uint64_t region_offset(struct device *d, uint32_t index)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	must(uiommufd_ioctl(d->machine, d->fd, VFIO_DEVICE_GET_REGION_INFO, &info),
	     "VFIO_DEVICE_GET_REGION_INFO");
	return info.offset;
}

static void open_device(struct device *d, struct uiommufd_machine *m, const char *path,
			int iommufd, uint32_t ioas)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind),
						.iommufd = iommufd};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach),
						       .pt_id = ioas};
	const uint16_t command = 0x6; /* memory, bus master */
	void *vram;

	d->machine = m;
	d->fd = uiommufd_open(m, path, O_RDWR);
	must(d->fd, path);
	must(uiommufd_ioctl(m, d->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind), "bind");
	must(uiommufd_ioctl(m, d->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), "attach");
	must(uiommufd_pwrite(m, d->fd, &command, sizeof(command),
			     region_offset(d, VFIO_PCI_CONFIG_REGION_INDEX) + 4),
	     "write of COMMAND");
	must(uiommufd_mmap(m, d->fd, 16 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED,
			   region_offset(d, VFIO_PCI_BAR2_REGION_INDEX), &vram),
	     "mmap of BAR 2");
	d->vram = vram;
	d->regs = region_offset(d, VFIO_PCI_BAR0_REGION_INDEX);
}

static int export_vram(struct device *d)
{
	union {
		struct vfio_device_feature feature;
		uint8_t bytes[sizeof(struct vfio_device_feature) +
			      sizeof(struct vfio_device_feature_dma_buf) +
			      sizeof(struct vfio_region_dma_range)];
	} arg = {.feature = {
			 .argsz = sizeof(arg),
			 .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		 }};
	struct vfio_device_feature_dma_buf *buf = (void *)arg.feature.data;
	long fd;

	buf->region_index = VFIO_PCI_BAR2_REGION_INDEX;
	buf->open_flags = O_RDWR | O_CLOEXEC;
	buf->nr_ranges = 1;
	buf->dma_ranges[0].length = 16 * MIB;
	fd = uiommufd_ioctl(d->machine, d->fd, VFIO_DEVICE_FEATURE, &arg);
	must(fd, "VFIO_DEVICE_FEATURE_DMA_BUF");
	return (int)fd;
}

static int read_register(void *arg, uint64_t offset, void *value, size_t n)
{
	struct device *d = arg;

	return uiommufd_pread(d->machine, d->fd, value, n, d->regs + offset) < 0 ? -EIO
										 : 0;
}

static int write_register(void *arg, uint64_t offset, const void *value, size_t n)
{
	struct device *d = arg;

	return uiommufd_pwrite(d->machine, d->fd, value, n, d->regs + offset) < 0 ? -EIO
										  : 0;
}

int main(void)
{
	static const char *const devices[] = {"copy-engine,vram=16M",
					      "copy-engine,vram=16M", NULL};
	static _Alignas(4096) struct ce_desc ring[64];
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct uiommufd_machine *m;
	struct device a, b;
	struct ce_bus bus = {read_register, write_register, &a};
	struct ce engine;
	char error[256];
	int iommufd, buf;

	/* A machine of two copy engines. */
	config.devices = devices;
	if (uiommufd_machine_create(&config, error, sizeof(error), &m)) {
		fprintf(stderr, "embed: %s\n", error);
		return 1;
	}

	/* One IO address space for both. */
	iommufd = uiommufd_open(m, "/dev/iommu", O_RDWR);
	must(iommufd, "/dev/iommu");
	must(uiommufd_ioctl(m, iommufd, IOMMU_IOAS_ALLOC, &alloc), "IOMMU_IOAS_ALLOC");
	open_device(&a, m, "/dev/vfio/devices/vfio0", iommufd, alloc.out_ioas_id);
	open_device(&b, m, "/dev/vfio/devices/vfio1", iommufd, alloc.out_ioas_id);

	/* In it: A's ring, which is memory of this program, and B's VRAM. */
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = alloc.out_ioas_id,
		.user_va = (uintptr_t)ring,
		.length = sizeof(ring),
		.iova = RING_IOVA,
	};
	must(uiommufd_ioctl(m, iommufd, IOMMU_IOAS_MAP, &map), "IOMMU_IOAS_MAP");

	buf = export_vram(&b);
	struct iommu_ioas_map_file map_file = {
		.size = sizeof(map_file),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = alloc.out_ioas_id,
		.fd = buf,
		.length = 16 * MIB,
		.iova = PEER_IOVA,
	};
	must(uiommufd_ioctl(m, iommufd, IOMMU_IOAS_MAP_FILE, &map_file),
	     "IOMMU_IOAS_MAP_FILE");

	/* A writes to B, until B is reset. */
	must(ce_start(&engine, &bus, ring, RING_IOVA, 64), "start of the engine");
	memcpy(a.vram, "hello, peer", 12);
	must(ce_copy(&engine, PEER_IOVA, 0, 12, CE_FLAG_SRC_VRAM), "copy");
	printf("B's VRAM says: %.12s\n", (const char *)b.vram);
	if (strcmp((const char *)b.vram, "hello, peer") != 0)
		return 1;

	must(uiommufd_ioctl(m, b.fd, VFIO_DEVICE_RESET, NULL), "VFIO_DEVICE_RESET");
	if (ce_copy(&engine, PEER_IOVA, 0, 12, CE_FLAG_SRC_VRAM) != -EIO)
		return 1;
	printf("after B's reset A's engine says: %s at IOVA 0x%llx\n",
	       ce_code_name(engine.error.error), (unsigned long long)engine.error.addr);

	/* Close what was opened; destroy tells how much was forgotten. */
	munmap(a.vram, 16 * MIB);
	munmap(b.vram, 16 * MIB);
	uiommufd_close(m, buf);
	uiommufd_close(m, a.fd);
	uiommufd_close(m, b.fd);
	uiommufd_close(m, iommufd);
	return uiommufd_machine_destroy(m) ? 1 : 0;
}
