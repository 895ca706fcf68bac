/* SPDX-License-Identifier: MIT */
/* The options of the built-in models: numbers with limits. */
#ifndef DEVICES_OPTIONS_H
#define DEVICES_OPTIONS_H

#include "uiommufd/device.h"

struct device_number {
	const char *name;
	uint64_t min, max;
	bool power_of_two;
	uint64_t *value; /* keeps what it holds (the default) if the option is absent */
};

/*
 * Take @options apart. 0, or -EINVAL with a message that begins with the name @model:
 * for an option not among @numbers, or a value out of its limits.
 */
int device_options(struct uiommufd_device *dev, const char *model,
		   const struct uiommufd_option *options, size_t n,
		   const struct device_number *numbers, size_t count);

#endif
