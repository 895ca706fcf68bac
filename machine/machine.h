/* SPDX-License-Identifier: MIT */
/*
 * struct machine: everything hangs off it. Physical memory, the PCI devices and their
 * IOMMU groups, the files clients have open, and the options that hold for all.
 *
 * Made once by machine_create() and constant from then on, except for what its members
 * lock themselves. Devices are numbered in order of their description: device i is
 * /dev/vfio/devices/vfio<i>, in IOMMU group devices[i]->group.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/phys.h"
#include "uapi/client.h"
#include "uapi/table.h"
#include "uiommufd/uiommufd.h"

struct accounting;
struct files;
struct iommufd_unit;
struct machine_port;
struct memory;
struct mmio_scanner;
struct pci_device;

/* An IOMMU group: devices that the IOMMU cannot tell apart. */
struct machine_group {
	unsigned number;
	_Atomic(const void *) owner; /* which iommufd context; iommufd's to use */
};

struct machine {
	struct phys *phys;
	struct files *files;           /* what clients hold open */
	struct memory *memory;         /* windows over clients' files and memory */
	struct accounting *accounting; /* of what they pin; NULL: nobody counts */
	struct pci_device **devices;
	size_t nr_devices;
	struct machine_port *ports; /* bridges (topology.h); constant */
	size_t nr_ports;
	size_t nr_units;
	/* Where message interrupts go that an IOMMU translates; NULL: none does. */
	struct phys_window *doorbell;
	struct iommufd_unit *units;    /* IOMMUs; NULL: a plain one; constant */
	struct machine_group **groups; /* in use; constant but for their owners */
	size_t nr_groups;
	struct mmio_scanner
		*scanner;         /* looks at watched registers; NULL: there are none */
	struct uapi_trace *trace; /* NULL: off */
	/* Calls of /dev/iommu besides Linux's uAPI; NULL: none. */
	const struct uapi_table *iommu_calls;
	/* Clients count as root, whoever they are: the kernel's selftests ask for it. */
	bool privileged;
	/* Extensions the user switched on. */
	bool multi_range_dmabuf; /* several ranges per dma-buf in MAP_FILE */
	bool unlimited_memlock;  /* RLIMIT_MEMLOCK stops nobody; it is counted */
	bool compat_p2p;         /* MAP_DMA of /dev/iommu takes a BAR's addresses */
};

/* The device's character device numbers: what fstat and sysfs answer. Linux hands
 * these out at run time; ours are constant. */
#define MACHINE_VFIO_MAJOR           511
#define MACHINE_MISC_MAJOR           10
#define MACHINE_IOMMU_MINOR          125
#define MACHINE_VFIO_GROUP_MAJOR     510 /* the minor is the group's number */
#define MACHINE_VFIO_CONTAINER_MINOR 196

int machine_create(const struct uiommufd_config *config, char *error, size_t error_cap,
		   struct machine **out);
/* Releases what clients still hold; answers how many open files there were. */
int machine_destroy(struct machine *m);

/* The device at "0000:01:00.0", if it is present; else NULL. */
struct pci_device *machine_find_device(struct machine *m, const char *bdf);

/*
 * Open one of the machine's device nodes: "/dev/iommu", "/dev/vfio/devices/vfio0",
 * "/dev/vfio/vfio", "/dev/vfio/1". What clients have closed before is released first; so
 * no lock may be held. The vfile comes with a reference for the caller.
 * -ENOENT: no such node; -EBUSY: a group that is in use.
 */
int machine_open_node(struct machine *m, const char *path, struct vfile **out);

#endif
