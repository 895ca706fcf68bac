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
	char *iommu;     /* the name of the unit it is behind; NULL: of the first */
	int iommu_index; /* by describe_complete(), if there are any */
	enum uiommufd_mmio mmio;
	bool has_mmio;
	/* What is left for the model. */
	struct uiommufd_option options[DESCRIBE_MAX_OPTIONS];
	size_t nr_options;
};

struct description {
	struct device_description *devices;
	size_t n;
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
 * Fill in what was left out (next free slot on bus 1 upwards, a group of its own) and
 * refuse two devices at one address.
 */
int describe_complete(struct description *d, char *error, size_t cap);
void describe_finish(struct description *d);

/* describe_iommu.c, for describe.c: a unit, one option of it; and as a whole. */
int describe_iommu_add(struct description *d, const char *type, char *error, size_t cap,
		       struct iommu_description **out);
int describe_iommu_option(struct iommu_description *iommu, const char *name,
			  const char *value, char *error, size_t cap);
int describe_iommu_complete(struct description *d, char *error, size_t cap);
void describe_iommu_finish(struct description *d);

/* "0000:01:00.0" or "01:00.0". -EINVAL. */
int pci_bdf_parse(const char *text, struct pci_bdf *out);
/* Always "dddd:bb:dd.f": 13 bytes with the end. */
void pci_bdf_format(const struct pci_bdf *bdf, char out[16]);

#endif
