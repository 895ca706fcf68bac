/* SPDX-License-Identifier: MIT */
/*
 * The machine's PCI functions as /sys, /dev and debugfs show them, and what writing there
 * does: binding and unbinding of drivers above all.
 *
 * A function's own directory is /sys/devices/pciDDDD:00/.../BDF, below the ports that
 * lead to it; everything else is links to it. What shows of a function depends on its
 * driver: bound to vfio-pci it has a character device, and its group has a node.
 *
 * Drivers are names with a list of ids. vfio-pci takes what its ids or a function's
 * driver_override say; any other driver only holds what the description binds to it.
 *
 * Locks, outermost first: the bus's `hotplug`, while functions go and come by `remove`
 * and `rescan`; a function's `bind`, for the time of a bind or unbind, which may wait for
 * clients; the bus's `groups`, while a group's node comes or goes; the bus's `lock`, a
 * leaf, which guards what attributes show of drivers and functions. No `show` of an
 * attribute takes the first two.
 */
#ifndef HOST_PCI_BUS_H
#define HOST_PCI_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vfio/pci_device.h"

struct iommufd_unit;
struct machine;
struct machine_port;
struct pci_bus;
struct view;
struct view_attr;

#define PCI_PATH_BYTES 320
#define PCI_DIR_BYTES  192

/* What a function is, for those who look for it: also what new_id takes. */
struct pci_ids {
	uint32_t vendor, device, subvendor, subdevice; /* PCI_ANY_ID: any */
	uint32_t class_code, class_mask;
};

#define PCI_ANY_ID UINT32_MAX

struct pci_driver {
	struct pci_driver *next;
	struct pci_bus *bus;
	char name[32];
	struct pci_ids *ids; /* lock */
	size_t nr_ids;       /* lock */
};

/* A number that can be set and means nothing here. */
enum pci_setting {
	PCI_MSI_BUS,
	PCI_BROKEN_PARITY,
	PCI_D3COLD,
	PCI_NUMA_NODE,
	PCI_POWER_AUTO,
	PCI_ENABLED, /* how often, by the attribute */
	PCI_VF_AUTOPROBE,
	PCI_ROM_ENABLED,
	PCI_SETTINGS,
};

#define PCI_MAX_VECTORS 2048u

struct pasid_folder;

/* A function: an endpoint's, or a port. */
struct pci_function {
	struct pci_function *next;
	struct pci_bus *bus;
	struct pci_device *dev;          /* NULL: a port */
	const struct machine_port *port; /* NULL: an endpoint */
	struct pci_bdf at;
	unsigned group;
	struct pci_ids ids; /* with its class */
	uint8_t revision;
	char bdf[16];
	char dir[PCI_DIR_BYTES]; /* from /sys: "devices/pci0000:00/0000:00:01.0/..." */

	const struct iommufd_unit *unit; /* that it is behind; NULL: the first */

	uint64_t serial; /* no other function ever has it */
	unsigned users;  /* lock; calls that have found it by name; keep it */
	pthread_mutex_t bind;
	struct pci_driver *driver;  /* lock; NULL: none */
	char *override;             /* lock; NULL: none */
	int settings[PCI_SETTINGS]; /* lock */
	unsigned reset_methods;     /* lock; bits of pci_attrs.c; those in use */

	/* bus.refreshing: what shows of it (pci_live.c) */
	uint8_t vectors[PCI_MAX_VECTORS / 8];
	bool msix;
	struct pasid_folder *pasids;
};

struct pci_bus {
	struct machine *machine;
	struct view *view;
	pthread_mutex_t groups, lock;
	pthread_cond_t unused; /* with lock: a function's users are gone */
	_Atomic bool stopping;
	pthread_mutex_t hotplug;
	pthread_mutex_t refreshing;     /* an outermost one as well */
	uint64_t serials;               /* lock */
	struct pci_function *functions; /* lock */
	struct pci_driver *drivers;     /* constant but for their ids */
	struct pci_driver *vfio;
};

/* Puts all that the machine shows into the view. @host_devices: those of the computer
 * show as well. *@out is to be destroyed also after a failure. */
int pci_bus_create(struct machine *m, struct view *v, bool host_devices,
		   struct pci_bus **out);
/* Whoever waits for clients to close a function stops waiting. Takes NULL. */
void pci_bus_stop(struct pci_bus *bus);
/* After the view, which refers to it. Takes NULL. */
void pci_bus_destroy(struct pci_bus *bus);

/*
 * A function comes, bound to vfio-pci or to the driver that the description names, or
 * goes: clients are waited for. For those that come and go with the machine, and virtual
 * functions.
 */
/* "dmar0" */
void pci_unit_name(const struct machine *m, const struct iommufd_unit *unit, char *buf,
		   size_t cap);
int pci_bus_add(struct pci_bus *bus, struct pci_device *dev);
void pci_bus_remove(struct pci_bus *bus, struct pci_device *dev);
/* A port comes, or any function goes; not with users of the caller's. */
int pci_bus_add_port(struct pci_bus *bus, const struct machine_port *port);
void pci_bus_remove_function(struct pci_function *f);
/* With the lock held. NULL: there is none. */
struct pci_function *pci_bus_find(struct pci_bus *bus, const char *bdf);

/* ---- pci_nodes.c: what shows of a function ---------------------------------------- */

/* "/sys/<dir>/<name>" */
const char *pci_path(const struct pci_function *f, const char *name,
		     char buf[PCI_PATH_BYTES]);
/* A device of class misc: /dev/<node>, and what names it in /sys. */
int pci_nodes_add_misc(struct view *v, const char *name, const char *node,
		       unsigned minor);
int pci_nodes_add(struct pci_function *f);
void pci_nodes_remove(struct pci_function *f);
/* The link to the driver that it is bound to, and what that makes. */
int pci_nodes_bound(struct pci_function *f, const struct pci_driver *drv);
/* The character device is gone: before it is unbound, and after. */
void pci_nodes_leaving(struct pci_function *f);
void pci_nodes_unbound(struct pci_function *f, const struct pci_driver *drv);

/* pci_reserved.c: the reserved_regions of the function's group, to @path. */
int pci_reserved_show(struct pci_function *f, const char *path);

/* A link in the function's directory to @to, given from /sys. */
int pci_nodes_link(struct pci_function *f, const char *name, const char *to);

/* ---- pci_attrs.c ------------------------------------------------------------------- */

int pci_attrs_add(struct pci_function *f);
int pci_function_setting(struct pci_function *f, enum pci_setting s);
int pci_function_set(struct pci_function *f, enum pci_setting s, int value);
/* Its driver_override: a line; an empty one takes it back. */
int pci_function_override(struct pci_function *f, const char *text);
/* A number in C's notation, with nothing after it but a newline. */
int pci_parse_number(const char *text, long *out);
/* How it can be reset: bits, in the order in which they are tried. */
unsigned pci_attrs_reset_methods(const struct pci_function *f);
/* The text that /sys/.../modalias has, without a newline. */
void pci_modalias(const struct pci_function *f, char *buf, size_t cap);

/* ---- pci_regions.c: BARs, the ROM, and where they lie ------------------------------ */

int pci_regions_add(struct pci_function *f);

/* ---- pci_live.c: what follows what clients of VFIO do ---------------------------------
 */

/* Before somebody looks. */
void pci_live_refresh(struct pci_bus *bus);
/* Its nodes are gone. */
void pci_live_finish(struct pci_function *f);

/* ---- debugfs.c: the IOMMU's debugging files ------------------------------------------
 */

int debugfs_add(struct pci_function *f);
void debugfs_remove(struct pci_function *f);
/* The folder of a PASID, which a function behind VT-d has while it is attached. */
struct pasid_folder {
	struct pasid_folder *next;
	struct pci_function *f;
	uint32_t pasid;
};
int debugfs_add_pasid(struct pasid_folder *p);
void debugfs_remove_pasid(struct pasid_folder *p);
/* ---- pci_hotplug.c: remove and rescan ------------------------------------------------
 */

/* The attributes of a function; nothing for a virtual one. */
int pci_hotplug_add(struct pci_function *f);
/* What is not there comes back. For any attribute: @object is the bus. */
int pci_hotplug_rescan(void *bus, const char *text, size_t n);

/* ---- pci_status.c: what a function's registers say -----------------------------------
 */

int pci_status_add(struct pci_function *f);
/* Bytes of the configuration space. */
void pci_config_bytes(struct pci_function *f, unsigned offset, void *dst, size_t n);

/* ---- pci_sriov.c ------------------------------------------------------------------- */

/* The attributes of a physical function; nothing if it is none. */
int pci_sriov_add(struct pci_function *f);
/* With its `bind` held: its virtual functions go; clients are waited for. -EINTR:
 * stopping. */
int pci_sriov_disable(struct pci_function *pf);

/* ---- pci_drivers.c ----------------------------------------------------------------- */

/* -EEXIST: it has them. */
int pci_driver_add_ids(struct pci_driver *drv, const struct pci_ids *id);
int pci_drivers_create(struct pci_bus *bus);
void pci_drivers_destroy(struct pci_bus *bus);
/* The driver of that name; made if need be. NULL: out of memory, or a bad name. */
struct pci_driver *pci_driver_get(struct pci_bus *bus, const char *name);
/* -EBUSY: it has a driver. */
int pci_driver_attach(struct pci_function *f, struct pci_driver *drv);
/* Returns when no client has it open. -ENODEV: not bound to it; -EINTR: stopping. */
int pci_driver_detach(struct pci_function *f, struct pci_driver *drv);

#endif
