/* SPDX-License-Identifier: MIT */
/*
 * A small machine for the tests of vfio/: physical memory, files, some devices of a test
 * model, and the test program as the client. Descriptors are real; calls go straight to
 * the virtual files, as the library's do.
 *
 * The model of each device is described by a struct rig_model, which the test keeps. Its
 * callbacks can be replaced; by default registers are 64 words that read back what was
 * written, and every access is noted.
 */
#ifndef TESTS_VFIO_RIG_H
#define TESTS_VFIO_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "vfio/device.h"

#define RIG_DEVICES 4
#define RIG_LOG     64

struct rig_access {
	bool write;
	unsigned bar, size;
	uint64_t offset, value;
};

struct rig_model {
	struct uiommufd_device_desc desc;
	struct uiommufd_device_ops ops; /* what is not set is the default */
	struct pci_bdf bdf;
	unsigned group;
	struct iommufd_resv direct; /* if it does not end at 0: pci_placement.direct */
	/* Of the device. */
	struct uiommufd_device *dev;
	struct uiommufd_channel *channel;
	uint64_t regs[64];
	_Atomic unsigned resets[3];
	struct rig_access log[RIG_LOG];
	unsigned logged;
	void *test; /* the test's own */
};

struct rig {
	struct machine machine;
	struct pci_device *devices[RIG_DEVICES];
	struct machine_group groups[RIG_DEVICES]; /* by number */
	struct client *client;
	const struct client_ops *local; /* what rig.c's operations are made from */
	struct client_ops ops;
	bool fail_copy_out;
	uint64_t bad_from; /* so do a page's worth of addresses from here on; 0: none */
};

/*
 * Memory that every copy to or from it fails. (Page zero would do, but cmocka takes the
 * port's signal handlers away.)
 */
#define RIG_BAD_VA ((void *)16)

/* Registers in BAR 0, 1 MiB of memory in BAR 2, 8 vectors, FLR and PM; alone on a bus. */
void rig_model_default(struct rig_model *m, unsigned index);
void rig_create(struct rig *r, struct rig_model *models, size_t n);
/* One more device; the result of its creation. */
int rig_try_device(struct rig *r, struct rig_model *model, char *error, size_t cap);
/* Fails the test if descriptors are still open. */
void rig_destroy(struct rig *r);

int rig_install_emfile(struct client *c, struct vfile *f, int open_flags);

/* As the system calls, with results as -errno. */
int rig_open(struct rig *r, unsigned device);
int rig_open_iommu(struct rig *r);
int rig_open_group(struct rig *r, unsigned group);
int rig_open_container(struct rig *r);
long rig_ioctl(struct rig *r, int fd, unsigned long cmd, void *arg);
ssize_t rig_pread(struct rig *r, int fd, void *buf, size_t n, uint64_t offset);
ssize_t rig_pwrite(struct rig *r, int fd, const void *buf, size_t n, uint64_t offset);
int rig_mmap(struct rig *r, int fd, uint64_t offset, uint64_t length, int prot,
	     int flags);
void rig_close(struct rig *r, int fd);

/* Shorthands. */
long rig_bind(struct rig *r, int fd, int iommu, uint32_t *devid);
long rig_attach(struct rig *r, int fd, uint32_t pt);
uint32_t rig_ioas(struct rig *r, int iommu);
long rig_map_file(struct rig *r, int iommu, uint32_t ioas, int fd, uint64_t start,
		  uint64_t length, uint64_t iova);
long rig_unmap(struct rig *r, int iommu, uint32_t ioas, uint64_t iova, uint64_t *length);
/* One range. */
long rig_dmabuf(struct rig *r, int fd, uint32_t region, uint64_t offset, uint64_t length);
unsigned rig_config16(struct rig *r, int fd, unsigned offset);
void rig_set_config16(struct rig *r, int fd, unsigned offset, unsigned value);
long rig_reset(struct rig *r, int fd);

/* Offsets in the configuration space of the default model. */
#define RIG_COMMAND 0x04
#define RIG_PMCSR   0x44
#define RIG_DEVCTL  0x68
#define RIG_MSIX    0xa0

#endif
