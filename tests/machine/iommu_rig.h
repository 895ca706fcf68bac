/* SPDX-License-Identifier: MIT */
/* A machine with one copy engine behind one IOMMU, driven through VFIO by its driver. */
#ifndef TESTS_MACHINE_IOMMU_RIG_H
#define TESTS_MACHINE_IOMMU_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "examples/ce_driver.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/abi/vfio_type1.h"
#include "uiommufd/uiommufd.h"

#define PAGE       ((uint64_t)4096)
#define RING_IOVA  ((uint64_t)0x100000)
#define DATA_IOVA  ((uint64_t)0x200000)
#define DATA_BYTES ((size_t)64 * 4096)
#define RING_SIZE  16

struct rig {
	struct uiommufd_machine *m;
	int iommu, device;
	uint32_t devid, ioas;
	uint64_t registers, config; /* offsets of regions */
	struct ce ce;
	void *ring;
	unsigned char *data; /* mapped at DATA_IOVA of ioas */
};

#define ok(expr)       assert_int_equal((long)(expr), 0)
#define fails(expr, e) assert_int_equal((long)(expr), -(e))

long call(struct rig *r, unsigned long cmd, void *arg);
long device_call(struct rig *r, unsigned long cmd, void *arg);
void *shared(size_t n);
uint32_t ioas_alloc(struct rig *r);
long map(struct rig *r, uint32_t ioas, void *p, size_t n, uint64_t iova);
long unmap(struct rig *r, uint32_t ioas, uint64_t iova, size_t n);
long attach(struct rig *r, uint32_t pt, uint32_t *hwpt);
long attach_pasid(struct rig *r, uint32_t pasid, uint32_t pt);
long detach_pasid(struct rig *r, uint32_t pasid);
uint32_t hwpt(struct rig *r, struct iommu_hwpt_alloc cmd);
long destroy(struct rig *r, uint32_t id);
/* The machine, and its device. */
void begin(struct rig *r, const char *iommu, const char *engine);
/*
 * One of a machine's devices, /dev/vfio/devices/vfio@node, with a memory and an address
 * space of its own, to which it is not attached; @token of 16 bytes, or NULL.
 */
void join(struct rig *r, struct uiommufd_machine *m, int iommu, unsigned node,
	  const uint8_t *token);
/* The device is closed, the machine stays. */
void leave(struct rig *r);
void start(struct rig *r);
void end(struct rig *r);
int submit(struct rig *r, struct ce_desc d);
int execute(struct rig *r, struct ce_desc d);

/* A copy with a PASID; a fault is skipped, and fault_code() says which it was. */
int copy_by(struct rig *r, uint32_t pasid, uint64_t dst, uint64_t src, uint64_t n);
unsigned fault_code(struct rig *r);
/* Copies 4 bytes of data there. A fault is skipped. */
int poke(struct rig *r, uint64_t iova);

#endif
