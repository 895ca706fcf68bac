/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/options.h"

#define TEXT_BYTES 96

/* "1M" for 1048576, as uiommufd_parse_size() reads it. */
static void print_size(char *text, size_t bytes, uint64_t value)
{
	const char *const units[] = {"", "K", "M", "G"};
	unsigned unit = 0;

	while (unit < 3 && value && value % 1024 == 0) {
		value /= 1024;
		unit++;
	}
	snprintf(text, bytes, "%llu%s", (unsigned long long)value, units[unit]);
}

static int bad_value(struct uiommufd_device *dev, const char *model,
		     const struct device_number *number, const char *value)
{
	char min[24], max[24];

	print_size(min, sizeof(min), number->min);
	print_size(max, sizeof(max), number->max);
	uiommufd_device_error(dev, "%s: %s=%s: not a %s from %s to %s", model,
			      number->name, value,
			      number->power_of_two ? "power of two" : "number", min, max);
	return -EINVAL;
}

static int unknown(struct uiommufd_device *dev, const char *model, const char *name,
		   const struct device_number *numbers, size_t count)
{
	char known[TEXT_BYTES] = "";

	for (size_t i = 0; i < count; i++) {
		size_t used = strlen(known);

		snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
			 numbers[i].name);
	}
	uiommufd_device_error(dev, "%s: unknown option '%s' (known: %s)", model, name,
			      known);
	return -EINVAL;
}

static int take(struct uiommufd_device *dev, const char *model,
		const struct uiommufd_option *option, const struct device_number *numbers,
		size_t count)
{
	const char *text = option->value ? option->value : "";
	const struct device_number *number = numbers;
	uint64_t value;

	while (number < numbers + count && strcmp(number->name, option->name) != 0)
		number++;
	if (number == numbers + count)
		return unknown(dev, model, option->name, numbers, count);
	if (uiommufd_parse_size(text, &value) || value < number->min ||
	    value > number->max || (number->power_of_two && value & (value - 1)))
		return bad_value(dev, model, number, text);
	*number->value = value;
	return 0;
}

int device_options(struct uiommufd_device *dev, const char *model,
		   const struct uiommufd_option *options, size_t n,
		   const struct device_number *numbers, size_t count)
{
	for (size_t i = 0; i < n; i++) {
		int err = take(dev, model, &options[i], numbers, count);

		if (err)
			return err;
	}
	return 0;
}
