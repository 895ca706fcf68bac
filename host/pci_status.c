/* SPDX-License-Identifier: MIT */
/*
 * Attributes that show what a function's registers say: its link, its power state, its
 * serial number, the buses behind a port; and which processors are near it: all.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/port.h"
#include "host/pci_bus.h"
#include "host/view.h"
#include "host/view_attr.h"
#include "machine/topology.h"

#define CAPABILITIES    0x34
#define HEADER_END      0x40u
#define MAX_CAPS        48
#define CAP_POWER       0x01
#define CAP_EXPRESS     0x10
#define POWER_STATUS    4
#define LINK_CAP        0x0c
#define LINK_STATUS     0x12
#define SPEED_MASK      0xfu
#define WIDTH_SHIFT     4
#define WIDTH_MASK      0x3fu
#define EXT_CAPS        0x100u
#define EXT_SERIAL      0x0003
#define SECONDARY_BUS   0x19
#define SUBORDINATE_BUS 0x1a

static uint8_t byte_at(struct pci_function *f, unsigned offset)
{
	uint8_t value;

	pci_config_bytes(f, offset, &value, sizeof(value));
	return value;
}

static unsigned word_at(struct pci_function *f, unsigned offset)
{
	return byte_at(f, offset) | (unsigned)byte_at(f, offset + 1) << 8;
}

static uint32_t long_at(struct pci_function *f, unsigned offset)
{
	return word_at(f, offset) | (uint32_t)word_at(f, offset + 2) << 16;
}

/* 0: it has no such capability. */
static unsigned capability(struct pci_function *f, unsigned id)
{
	unsigned at = byte_at(f, CAPABILITIES);

	for (int i = 0; at >= HEADER_END && i < MAX_CAPS; i++) {
		if (byte_at(f, at) == id)
			return at;
		at = byte_at(f, at + 1);
	}
	return 0;
}

static unsigned ext_capability(struct pci_function *f, unsigned id)
{
	unsigned at = EXT_CAPS;

	for (int i = 0; at >= EXT_CAPS && i < 1024; i++) {
		uint32_t header = long_at(f, at);

		if ((header & 0xffff) == id)
			return at;
		at = header >> 20;
	}
	return 0;
}

/* ---- the link -----------------------------------------------------------------------
 */

static const char *speed_name(unsigned speed)
{
	static const char *const names[] = {
		"Unknown",        "2.5 GT/s PCIe",  "5.0 GT/s PCIe",  "8.0 GT/s PCIe",
		"16.0 GT/s PCIe", "32.0 GT/s PCIe", "64.0 GT/s PCIe",
	};

	return names[speed < ARRAY_LEN(names) ? speed : 0];
}

static ssize_t show_speed(struct pci_function *f, unsigned reg, char *text, size_t cap)
{
	unsigned value = word_at(f, capability(f, CAP_EXPRESS) + reg);

	return snprintf(text, cap, "%s\n", speed_name(value & SPEED_MASK));
}

static ssize_t show_width(struct pci_function *f, unsigned reg, char *text, size_t cap)
{
	unsigned value = word_at(f, capability(f, CAP_EXPRESS) + reg);

	return snprintf(text, cap, "%u\n", value >> WIDTH_SHIFT & WIDTH_MASK);
}

static ssize_t show_current_speed(void *object, char *text, size_t cap)
{
	return show_speed(object, LINK_STATUS, text, cap);
}

static ssize_t show_max_speed(void *object, char *text, size_t cap)
{
	return show_speed(object, LINK_CAP, text, cap);
}

static ssize_t show_current_width(void *object, char *text, size_t cap)
{
	return show_width(object, LINK_STATUS, text, cap);
}

static ssize_t show_max_width(void *object, char *text, size_t cap)
{
	return show_width(object, LINK_CAP, text, cap);
}

static bool has_express(struct pci_function *f)
{
	return capability(f, CAP_EXPRESS);
}

/* ---- buses, power, serial number ------------------------------------------------------
 */

static ssize_t show_secondary(void *object, char *text, size_t cap)
{
	return snprintf(text, cap, "%u\n", byte_at(object, SECONDARY_BUS));
}

static ssize_t show_subordinate(void *object, char *text, size_t cap)
{
	return snprintf(text, cap, "%u\n", byte_at(object, SUBORDINATE_BUS));
}

static bool is_port(struct pci_function *f)
{
	return f->port;
}

static ssize_t show_power_state(void *object, char *text, size_t cap)
{
	static const char *const names[] = {"D0", "D1", "D2", "D3hot"};
	unsigned at = capability(object, CAP_POWER);

	return snprintf(text, cap, "%s\n",
			at ? names[byte_at(object, at + POWER_STATUS) & 3] : "unknown");
}

static ssize_t show_serial(void *object, char *text, size_t cap)
{
	struct pci_function *f = object;
	unsigned at = ext_capability(f, EXT_SERIAL);
	size_t n = 0;

	for (unsigned i = 8; i-- > 0;)
		n += (size_t)snprintf(text + n, cap - n, "%02x%c", byte_at(f, at + 4 + i),
				      i ? '-' : '\n');
	return (ssize_t)n;
}

static bool has_serial(struct pci_function *f)
{
	return ext_capability(f, EXT_SERIAL);
}

/* ---- processors -----------------------------------------------------------------------
 */

/* The host's list, "0-3,8", of those that are online. */
static void online_list(char *list, size_t cap)
{
	FILE *in = fopen("/sys/devices/system/cpu/online", "re");

	snprintf(list, cap, "0\n");
	if (!in)
		return;
	if (!fgets(list, (int)cap, in))
		snprintf(list, cap, "0\n");
	fclose(in);
}

#define MAX_CPUS 8192

/* The same as Linux prints masks: words of 32 bits, the highest first. */
static size_t format_mask(const char *list, char *text, size_t cap)
{
	uint32_t words[MAX_CPUS / 32] = {0};
	unsigned first, last, top = 0;
	size_t n = 0;
	int used;

	while (sscanf(list, "%u%n", &first, &used) == 1) {
		list += used;
		last = first;
		if (sscanf(list, "-%u%n", &last, &used) == 1)
			list += used;
		for (unsigned i = first; i <= last && i < MAX_CPUS; i++) {
			words[i / 32] |= 1u << i % 32;
			top = i / 32 > top ? i / 32 : top;
		}
		list += *list == ',';
	}
	n = (size_t)snprintf(text, cap, "%x", words[top]);
	while (top-- > 0 && n < cap)
		n += (size_t)snprintf(text + n, cap - n, ",%08x", words[top]);
	return n;
}

static int add_cpus(struct pci_function *f)
{
	char path[PCI_PATH_BYTES], list[1024], mask[MAX_CPUS / 32 * 9 + 1];
	int err;

	online_list(list, sizeof(list));
	format_mask(list, mask, sizeof(mask));
	err = view_add_text(f->bus->view, pci_path(f, "local_cpulist", path), "%s", list);
	return err ? err
		   : view_add_text(f->bus->view, pci_path(f, "local_cpus", path), "%s\n",
				   mask);
}

/* ---- all of them ----------------------------------------------------------------------
 */

static const struct {
	const char *name;
	bool (*wanted)(struct pci_function *f); /* NULL: by all */
	struct view_attr attr;
} attrs[] = {
	{"current_link_speed", has_express, {.mode = 0444, .show = show_current_speed}},
	{"current_link_width", has_express, {.mode = 0444, .show = show_current_width}},
	{"max_link_speed", has_express, {.mode = 0444, .show = show_max_speed}},
	{"max_link_width", has_express, {.mode = 0444, .show = show_max_width}},
	{"power_state", NULL, {.mode = 0444, .show = show_power_state}},
	{"secondary_bus_number", is_port, {.mode = 0444, .show = show_secondary}},
	{"serial_number", has_serial, {.mode = 0400, .show = show_serial}},
	{"subordinate_bus_number", is_port, {.mode = 0444, .show = show_subordinate}},
};

int pci_status_add(struct pci_function *f)
{
	char path[PCI_PATH_BYTES];
	int err = add_cpus(f);

	for (size_t i = 0; !err && i < ARRAY_LEN(attrs); i++)
		if (!attrs[i].wanted || attrs[i].wanted(f))
			err = view_add_attr(f->bus->view,
					    pci_path(f, attrs[i].name, path),
					    &attrs[i].attr, f);
	return err;
}
