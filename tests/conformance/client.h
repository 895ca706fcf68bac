/* SPDX-License-Identifier: MIT */
/*
 * The calls that the sections make, with their structs filled in. All return a value
 * >= 0 or a negative errno. Everything comes from the uAPI: offsets of regions from
 * GET_REGION_INFO, capabilities from the configuration space.
 */
#ifndef TESTS_CONFORMANCE_CLIENT_H
#define TESTS_CONFORMANCE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/conformance/steps.h"
#include "tests/conformance/sys.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"

#define PAGE     ((uint64_t)0x1000)
#define MSI_IOVA ((uint64_t)0xfee00000) /* x86: writes there are interrupts */
#define BAR      2                      /* VRAM: memory that can be mapped and exported */
#define REGS     0                      /* registers: each access is served, no mapping */

/* ---- iommufd ------------------------------------------------------------------- */

int iommu_open(void);
long ioas_alloc(int iommufd, uint32_t *id);
long destroy(int iommufd, uint32_t id);
long hwpt_alloc(int iommufd, uint32_t dev_id, uint32_t pt_id, uint32_t *id);

/* An address space of an iommufd: where the calls below act. */
struct space {
	int iommufd;
	uint32_t ioas;
};

#define R  IOMMU_IOAS_MAP_READABLE
#define W  IOMMU_IOAS_MAP_WRITEABLE
#define RW (R | W)
#define AT IOMMU_IOAS_MAP_FIXED_IOVA

/* @flags: R, W, AT. *@iova is read with AT, and written. */
long map_file(struct space s, uint32_t flags, int fd, uint64_t start, uint64_t length,
	      uint64_t *iova);
/* Readable and writeable; at a given IOVA, or wherever there is room. */
long map_file_at(struct space s, int fd, uint64_t start, uint64_t length, uint64_t iova);
long map_file_any(struct space s, int fd, uint64_t start, uint64_t length);
long map_va(struct space s, uint32_t flags, uint64_t va, uint64_t length, uint64_t iova);
/* *@length: out, what was unmapped. */
long unmap(struct space s, uint64_t iova, uint64_t *length);
long unmap_all(struct space s, uint64_t *length);
/* Readable and writeable copy to an IOVA of the kernel's choice. */
long copy_any(struct space dst, struct space src, uint64_t src_iova, uint64_t length,
	      uint64_t *iova);

/* unmap() reported as a step. */
void step_unmap(const char *id, struct space s, uint64_t iova, uint64_t length);
void step_unmap_all(const char *id, struct space s);

/* ---- devices ------------------------------------------------------------------- */

struct device {
	int fd;
	uint32_t id; /* in the iommufd it is bound to */
	struct vfio_region_info region[VFIO_PCI_NUM_REGIONS];
};

/* Device @n of the machine, not bound. */
long device_open(unsigned n);
/* Open, bind, ask for the regions. @d->fd < 0: it did not work, which was said. */
void device_start(struct device *d, unsigned n, int iommufd);
void device_stop(struct device *d);

long bind_device(int fd, int iommufd, uint32_t *id);
/* *@pt_id: in what to attach to, out what it was attached to. */
long attach(int fd, uint32_t *pt_id);
long attach_ioas(int fd, uint32_t ioas);
long detach(int fd);
long region_info(int fd, unsigned index, struct vfio_region_info *info);
long reset(const struct device *d);
/* @flags: VFIO_DEVICE_FEATURE_*; no data. */
long feature(int fd, uint32_t flags);

/* VFIO_DEVICE_FEATURE_DMA_BUF's argument, with room for two ranges. */
struct buffer_spec {
	uint32_t region, open_flags, flags, nr_ranges;
	struct vfio_region_dma_range range[2];
};
struct export_call {
	uint32_t argsz, flags; /* as struct vfio_device_feature */
	struct buffer_spec spec;
};

/* One range of a BAR as a dma-buf. */
long export_range(int fd, unsigned bar, uint64_t offset, uint64_t length);
long export_ranges(int fd, const struct buffer_spec *e);

long bar_read(const struct device *d, unsigned bar, uint64_t offset, uint32_t *value);
long bar_write(const struct device *d, unsigned bar, uint64_t offset, uint32_t value);
long bar_mmap(const struct device *d, unsigned bar, uint64_t length, void **out);

uint32_t config_read(const struct device *d, unsigned offset, unsigned bytes);
long config_write(const struct device *d, unsigned offset, uint32_t value,
		  unsigned bytes);
/* Where capability @id starts, or 0. */
unsigned config_capability(const struct device *d, uint8_t id);

#define PCI_COMMAND_OFFSET 0x04
#define COMMAND_MEMORY     0x2
#define COMMAND_MASTER     0x4
/* Memory decoding on or off: the COMMAND register becomes MEMORY or 0. */
long memory_on(const struct device *d);
long memory_off(const struct device *d);

/* ---- the CPU ------------------------------------------------------------------- */

/* A 32-bit access that may raise a signal. */
struct cpu_access cpu_load(const volatile void *p);
struct cpu_access cpu_store(volatile void *p, uint32_t value);

/* @n bytes, the last of them at the end of a page that nothing accessible follows. */
void *memory_before_hole(size_t n);

#endif
