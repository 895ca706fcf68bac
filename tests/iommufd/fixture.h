/* SPDX-License-Identifier: MIT */
/*
 * A machine without devices, one client in this process, one open iommufd; and what
 * stands in for VFIO: devices that only have a DMA port, and an exporter of dma-bufs.
 */
#ifndef TESTS_IOMMUFD_FIXTURE_H
#define TESTS_IOMMUFD_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/dma.h"
#include "core/dmabuf.h"
#include "iommufd/iommufd.h"
#include "iommufd/unit.h"
#include "machine/machine.h"
#include "uapi/client.h"
#include "uiommufd/abi/iommufd.h"

#define PAGE    ((uint64_t)4096)
#define RW      (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define FIXED   IOMMU_IOAS_MAP_FIXED_IOVA
#define MSI     ((uint64_t)0xfee00000)
#define NO_FD   999
#define ANY     UINT64_MAX /* no value is expected */
#define INVALID UINT64_C(0xdead000000000000)

struct fixture {
	struct machine machine;
	struct client *client;
	struct client_ops ops;
	bool privileged;
	struct vfile *iommu;
};

/* cmocka's; *state is the fixture. Teardown fails when core/ reported a bug. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

long call(struct fixture *fx, uint32_t cmd, void *arg);
long call_on(struct fixture *fx, struct vfile *f, uint32_t cmd, void *arg);
/* The number behind which the client finds @f, until close(). */
int fd_of(struct fixture *fx, struct vfile *f);

/* ---- calls with their structs filled in ---------------------------------------- */

uint32_t ioas_alloc(struct fixture *fx);
long destroy(struct fixture *fx, uint32_t id);

struct map {
	uint32_t flags; /* 0: RW */
	bool no_flags;  /* really 0 */
	uint32_t ioas;
	int fd;
	uint64_t start, length, iova;
};
long map_file(struct fixture *fx, struct map m, uint64_t *iova);
/* @m.start is the VA. */
long map_va(struct fixture *fx, struct map m, uint64_t *iova);
long unmap(struct fixture *fx, uint32_t ioas, uint64_t iova, uint64_t length,
	   uint64_t *unmapped);
long unmap_all(struct fixture *fx, uint32_t ioas, uint64_t *unmapped);
struct copy {
	uint32_t flags; /* 0: RW */
	uint32_t dst, src;
	uint64_t length, dst_iova, src_iova;
};
long copy(struct fixture *fx, struct copy c, uint64_t *iova);
/* *@id is only written on success; may be NULL. */
long hwpt_alloc(struct fixture *fx, uint32_t flags, uint32_t dev, uint32_t pt,
		uint32_t *id);
/* IOVA_RANGES into @v of @cap; the total and the alignment. */
long iova_ranges(struct fixture *fx, uint32_t ioas, struct iommu_iova_range *v,
		 uint32_t cap, uint32_t *n, uint64_t *alignment);
long allow_iovas(struct fixture *fx, uint32_t ioas, const struct iommu_iova_range *v,
		 uint32_t n);

/* ---- devices -------------------------------------------------------------------- */

struct fake_device {
	struct dma_requester requester;
	struct iommufd_device_info info;
	struct iommufd_unit unit;   /* device_behind() */
	struct iommufd_device *dev; /* NULL: not bound */
	uint32_t id;
};

/* In a group of its own if @group is NULL, with the MSI window reserved. */
void device_init(struct fake_device *d, const void *group);
/* Before it is bound: behind a unit like this. */
void device_behind(struct fake_device *d, const struct iommufd_unit_config *config);
int device_bind(struct fixture *fx, struct fake_device *d);
void device_unbind(struct fake_device *d); /* if bound */
int device_attach(struct fake_device *d, uint32_t pt, uint32_t *hwpt);
/* Does a read or write of one byte at @iova get through? */
bool can_read(struct fake_device *d, uint64_t iova);
bool can_write(struct fake_device *d, uint64_t iova);

/* ---- memory --------------------------------------------------------------------- */

int memfd(uint64_t bytes);

/* A dma-buf over @ranges pieces of a BAR, and the client's descriptor of it. */
struct fake_buf {
	struct phys *phys;
	struct phys_window window;
	struct dmabuf *buf;
	uint64_t piece; /* bytes of each range */
	unsigned ranges;
	struct vfile *file;
	int fd;
};
#define BAR_BYTES ((uint64_t)1 << 20)
#define BUF_START ((uint64_t)0x10000) /* where in the BAR the first range is */
void buf_create(struct fixture *fx, struct fake_buf *b, uint64_t piece, unsigned ranges);
/* The exporter goes away; areas may outlive it. */
void buf_destroy(struct fake_buf *b);

#define assert_err(expr, err) assert_int_equal((long)(expr), -(long)(err))
#define assert_ok(expr)       assert_int_equal((long)(expr), 0L)

#endif
