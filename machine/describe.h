/* SPDX-License-Identifier: MIT */
/*
 * The description of a machine: which devices, where, with which options; from the
 * command line's device strings or from JSON (docs/machine.md). Text in, plain structs
 * out; nothing is created here.
 */
#ifndef MACHINE_DESCRIBE_H
#define MACHINE_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>

#include "iommufd/unit.h"
#include "machine/topology.h"
#include "uiommufd/device.h"
#include "vfio/pci_device.h"

#define DESCRIBE_MAX_OPTIONS 32
#define DESCRIBE_MAX_DEVICES 256
#define DESCRIBE_MAX_IOMMUS  32

/* A unit; a machine without any has a plain one. */
struct iommu_description {
	char *name;
	struct iommufd_unit_config config;
	struct iommufd_unit unit; /* by describe_complete() */
};

struct device_description {
	char *model;
	struct pci_bdf bdf;
	bool has_bdf;
	unsigned group;
	bool has_group;
	bool no_acs;     /* other functions of the device are not kept apart from it */
	char *driver;    /* what it is bound to at first; NULL: vfio-pci */
	char *iommu;     /* the name of the unit it is behind; NULL: of the first */
	int iommu_index; /* by describe_complete(), if there are any */
	enum uiommufd_mmio mmio;
	bool has_mmio;
	struct iommufd_resv direct[PCI_DIRECT_MAX]; /* pci_placement.direct */
	size_t nr_direct;
	/* What is left for the model. */
	struct uiommufd_option options[DESCRIBE_MAX_OPTIONS];
	size_t nr_options;
};

/* A port; taken out of the devices by describe_complete(). */
struct port_description {
	struct machine_port port;
	bool has_group;
};

struct description {
	struct device_description *devices;
	size_t n;
	struct port_description *ports;
	size_t nr_ports;
	struct iommu_description *iommus;
	size_t nr_iommus;
	bool multi_range_dmabuf, unlimited_memlock, compat_p2p;
};

/*
 * Each answers -EINVAL with one line in @error (never NULL, @cap bytes) that names the
 * device and the word that is wrong, or -ENOMEM. @d starts as {0} and is finished by
 * describe_finish(), also after a failure.
 */
int describe_device(struct description *d, const char *text, char *error, size_t cap);
int describe_iommu(struct description *d, const char *text, char *error, size_t cap);
int describe_json(struct description *d, const char *text, char *error, size_t cap);
int describe_extension(struct description *d, const char *name, char *error, size_t cap);
/*
 * Fill in what was left out (next free slot on bus 1 upwards, ports to all buses, the
 * groups that follow), and refuse two devices at one address and buses that cannot be.
 */
int describe_complete(struct description *d, char *error, size_t cap);
void describe_finish(struct description *d);

/* describe_iommu.c, for describe.c: a unit, one option of it; and as a whole. */
int describe_iommu_add(struct description *d, const char *type, char *error, size_t cap,
		       struct iommu_description **out);
int describe_iommu_option(struct iommu_description *iommu, const char *name,
			  const char *value, char *error, size_t cap);
/* FIRST-LAST, both included. -EINVAL. */
int describe_range(const char *text, uint64_t *first, uint64_t *last);
int describe_iommu_complete(struct description *d, char *error, size_t cap);
void describe_iommu_finish(struct description *d);

/* describe_topology.c, for describe_complete(): in this order. */
int describe_ports(struct description *d, char *error, size_t cap);
int describe_buses(struct description *d, char *error, size_t cap);
void describe_groups(struct description *d);
/* Is there a port at this address; is this a bus inside a switch? */
bool describe_port_at(const struct description *d, const struct pci_bdf *at);
bool describe_bus_is_internal(const struct description *d, const struct pci_bdf *at);
/* -EINVAL, with the message in @error. */
int describe_bad(char *error, size_t cap, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void describe_device_finish(struct device_description *dev);

/*
 * The number of 1 to @digits hexadecimal digits that @text starts with, and what is
 * behind it, which has to be @end. NULL: it is something else, or @text is NULL.
 */
const char *describe_hex(const char *text, int digits, char end, unsigned *out);
/* One number for each address. */
uint32_t pci_bdf_key(const struct pci_bdf *b);
/* "0000:01:00.0" or "01:00.0". -EINVAL. */
int pci_bdf_parse(const char *text, struct pci_bdf *out);
/* Always "dddd:bb:dd.f": 13 bytes with the end. */
void pci_bdf_format(const struct pci_bdf *bdf, char out[16]);

#endif
