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

#include "uiommufd/device.h"
#include "vfio/pci_device.h"

#define DESCRIBE_MAX_OPTIONS 32
#define DESCRIBE_MAX_DEVICES 256

struct device_description {
	char *model;
	struct pci_bdf bdf;
	bool has_bdf;
	unsigned group;
	bool has_group;
	/* What is left for the model. */
	struct uiommufd_option options[DESCRIBE_MAX_OPTIONS];
	size_t nr_options;
};

struct description {
	struct device_description *devices;
	size_t n;
	bool multi_range_dmabuf, unlimited_memlock, compat_p2p;
};

/*
 * Each answers -EINVAL with one line in @error (never NULL, @cap bytes) that names the
 * device and the word that is wrong, or -ENOMEM. @d starts as {0} and is finished by
 * describe_finish(), also after a failure.
 */
int describe_device(struct description *d, const char *text, char *error, size_t cap);
int describe_json(struct description *d, const char *text, char *error, size_t cap);
int describe_extension(struct description *d, const char *name, char *error, size_t cap);
/*
 * Fill in what was left out (next free slot on bus 1 upwards, a group of its own) and
 * refuse two devices at one address.
 */
int describe_complete(struct description *d, char *error, size_t cap);
void describe_finish(struct description *d);

/* "0000:01:00.0" or "01:00.0". -EINVAL. */
int pci_bdf_parse(const char *text, struct pci_bdf *out);
/* Always "dddd:bb:dd.f": 13 bytes with the end. */
void pci_bdf_format(const struct pci_bdf *bdf, char out[16]);

#endif
