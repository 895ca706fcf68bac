/* SPDX-License-Identifier: MIT */
/*
 * A PCI function of the machine: what the model told of itself, its configuration
 * space, BARs, interrupts, DMA port, and the dma-bufs that were exported from it.
 *
 * The function exists as long as the machine; clients open it (vfio/cdev.h), bind it
 * to an iommufd, and close it.
 *
 * Locks, outermost first; where several devices are locked (hot reset) each step goes
 * through them in the order of their index:
 *   sriov.enabling  (vfio/sriov.h) which virtual functions there are;
 *   group, container, type1 (vfio/group.h): of the legacy path;
 *   device.bind    who has it open and bound; held over bind, attach, detach, close;
 *   device.ioeventfds  (ioeventfd.c)
 *   device.config  the configuration space; held over all that a write to it starts;
 *   device.memory  (rw) is memory decoding on? Write: every change of that, and with it
 *                  every revoke and restore of the device's dma-bufs. Read: MMIO of
 *                  clients;
 *   device.gate    the model's callbacks, one at a time (vfio/gate.h). Not a lock that
 *                  DMA can be made to wait for without end: a device's access to the
 *                  registers of a peer gives up instead, see there;
 *   then the set of exported dma-bufs -> dmabuf reservation -> pages -> domset -> domain.
 * Interrupt state has a lock of its own (device.irq) that only the watcher's (watch.h) is
 * taken under; the list of DMA channels has a leaf lock.
 */
#ifndef VFIO_PCI_DEVICE_H
#define VFIO_PCI_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/dma.h"
#include "core/dmabuf.h"
#include "iommufd/iommufd.h"
#include "uiommufd/device.h"

struct machine;
struct pci_device;

struct pci_bdf {
	uint16_t domain;
	uint8_t bus, device, function;
};

#define PCI_DRIVER_VFIO "vfio-pci"
#define PCI_DRIVER_NONE "none"

#define PCI_DIRECT_MAX  8

/* How the machine's description places a device. */
struct pci_placement {
	struct pci_bdf bdf;
	unsigned index;                     /* vfio<index> */
	unsigned group;                     /* IOMMU group number */
	const void *group_key;              /* the same for all devices of the group */
	_Atomic(const void *) *group_owner; /* iommufd_device_info.group_owner */
	/* What it is bound to at first: PCI_DRIVER_VFIO, another driver's name, or
	 * "none". */
	char driver[32];
	struct pci_device *pf;           /* of a virtual function; else NULL */
	unsigned vf;                     /* and its number */
	const struct iommufd_unit *unit; /* NULL: a plain VT-d unit */
	bool has_mmio; /* the user says how registers are reached: @mmio */
	enum uiommufd_mmio mmio;
	/* Memory that firmware wants mapped one to one (direct.c), of these types. */
	struct iommufd_resv direct[PCI_DIRECT_MAX];
	size_t nr_direct;
};

int pci_device_create(struct machine *m, const struct uiommufd_model *model,
		      const struct uiommufd_option *options, size_t nr_options,
		      const struct pci_placement *placement, char *error,
		      size_t error_cap, struct pci_device **out);
/* No client has it open. Dma-bufs of it may still exist: they are orphans by now. */
void pci_device_destroy(struct pci_device *dev);

/*
 * SR-IOV. The virtual functions of a device are made after it and destroyed before it;
 * @vf was placed as one of @pf.
 */
void pci_device_add_vf(struct pci_device *pf, struct pci_device *vf);
/* Is it there? A virtual function is not until it is enabled. */
bool pci_device_present(const struct pci_device *dev);
/* The physical function of a virtual one; else NULL. */
struct pci_device *pci_device_pf(const struct pci_device *dev);
/* How many virtual functions it can have, and has. */
unsigned sriov_total(const struct pci_device *dev);
unsigned sriov_enabled(const struct pci_device *dev);
/* One of them; @i is below the total. */
struct pci_device *sriov_vf(const struct pci_device *pf, unsigned i);
/*
 * Have @n of them. -ERANGE: more than it can have; -EBUSY: it has some, and @n is not 0;
 * -EAGAIN: some that are to go are still open; their clients were asked to let go, and no
 * new one gets them: call again, or sriov_stay() to leave things as they are.
 */
int sriov_enable(struct pci_device *pf, unsigned n);
void sriov_stay(struct pci_device *pf);

const struct pci_placement *pci_device_placement(const struct pci_device *dev);
const struct uiommufd_device_desc *pci_device_desc(const struct pci_device *dev);
/*
 * Where BAR @bar lies, or the expansion ROM (6): the SPA of its window, or the number of
 * its first I/O port. 0: it is absent, or the upper half of a 64-bit one. What sysfs
 * calls `resource`.
 */
uint64_t pci_device_bar_address(const struct pci_device *dev, unsigned bar);
/* A copy of bytes of the function's own configuration space, which shows what vfio-pci
 * hides (for sysfs); what lies beyond its end reads as zero. */
void pci_device_config(struct pci_device *dev, unsigned offset, void *dst, size_t n);

/* A write to it from outside of VFIO (sysfs), inside its 4096 bytes; what it sets off
 * happens as by a client's. */
void pci_device_config_write(struct pci_device *dev, unsigned offset, const void *src,
			     size_t n);

/*
 * What sysfs does with BARs and the ROM. An access to an I/O BAR inside of it, of 1, 2 or
 * 4 bytes; while it does not decode, ones are read, and what is written is lost.
 */
void pci_device_io(struct pci_device *dev, unsigned bar, uint64_t offset, void *value,
		   unsigned size, bool write);
/*
 * A descriptor, opened with O_ACCMODE's @flags, that shows a memory BAR from *@at on, to
 * be mapped. -EINVAL: it cannot be, or a client of VFIO has the function.
 */
int pci_device_map(struct pci_device *dev, unsigned bar, int flags, uint64_t *at);
/* Bytes of the image in the expansion ROM: how many. Beyond its end, and without one: 0.
 */
size_t pci_device_rom(struct pci_device *dev, uint64_t offset, void *dst, size_t n);

/*
 * Is the function bound to vfio-pci? It is from its creation on. What does these calls
 * takes care that there is one at a time.
 */
bool pci_device_bound(struct pci_device *dev);
void pci_device_bind(struct pci_device *dev);
/* It cannot be opened any more, but opens of it may remain. */
void pci_device_leave(struct pci_device *dev);
/* Ask who has it open to close it. */
void pci_device_request(struct pci_device *dev);
/* After it was left: is it closed, at the latest in @ms? True completes the unbinding. */
bool pci_device_wait_closed(struct pci_device *dev, unsigned ms);
/* Is it the only function on its bus, and does a port lead there? */
bool pci_device_alone_on_bus(const struct pci_device *dev);
/* PASIDs of the function that are attached to something, the first @cap: how many. */
unsigned pci_device_pasids(struct pci_device *dev, uint32_t *pasids, unsigned cap);
/* Vectors of MSI or MSI-X that have an eventfd, bit by bit in @cap bytes. */
void pci_device_vectors(struct pci_device *dev, bool *msix, uint8_t *bits, size_t cap);
/* dma_requester_list() of the function, or its PASID. */
unsigned pci_device_list(struct pci_device *dev, uint32_t pasid, uint64_t *from,
			 struct pt_listed *out, unsigned n, bool *more, bool *attached);
/* Has a client enabled it? */
bool pci_device_in_use(struct pci_device *dev);
/* Reset the function, as an FLR does. -ENOTTY: there is no way to. */
int pci_device_reset(struct pci_device *dev);

/*
 * There is nobody to serve faults of clients: registers that would fault are trapped.
 * -EINVAL: the user has asked for faults. Before anybody has opened it.
 */
int pci_device_refuse_faults(struct pci_device *dev);
/* How clients reach its registers. */
enum uiommufd_mmio pci_device_mmio(const struct pci_device *dev);

/*
 * Accesses of a client's CPU to a mapping of registers that fault. @offset is the file
 * offset that was mapped. -ENXIO: it is not in such a mapping; -EIO: memory decoding is
 * off. An access reaches at most to the end of the BAR's mapping.
 */
int vfio_mmio_read(struct vfile *f, uint64_t offset, void *dst, size_t n);
int vfio_mmio_write(struct vfile *f, uint64_t offset, const void *src, size_t n);
/* 64 bytes at once (uiommufd_device_ops.mmio_write_64). */
int vfio_mmio_write_64(struct vfile *f, uint64_t offset, const void *src, bool deferrable,
		       bool *accepted);

/* A new open of /dev/vfio/devices/vfio<index>. -ENODEV: it is not bound to vfio-pci. */
int vfio_cdev_open(struct pci_device *dev, struct vfile **out);

/*
 * A new open of /dev/vfio/<group>, the node of an IOMMU group. -ENOENT: there is no such
 * group; -EBUSY: it is open, or one of its devices is bound by its own node.
 */
int vfio_group_open(struct machine *m, unsigned group, struct vfile **out);
/* A new open of /dev/vfio/vfio. */
int vfio_container_open(struct vfile **out);

/* Is it what KVM takes for a VFIO file: an open of a device, or of a group's node? */
bool vfio_is_device_or_group(struct vfile *f);

/* The dma-buf behind a virtual file, with a reference, or NULL when it is none. */
struct dmabuf *vfio_dmabuf_of(struct vfile *f);

#endif
