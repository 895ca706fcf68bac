/* SPDX-License-Identifier: MIT */
/*
 * The attributes of a function's directory in /sys. A new one is a line in a table: its
 * name, and a struct view_attr with what reading shows and writing does.
 *
 * What has no meaning here (NUMA nodes, runtime power management) is kept as it is
 * written, within the limits that Linux sets.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/port.h"
#include "host/pci_bus.h"
#include "host/view.h"
#include "host/view_attr.h"
#include "machine/topology.h"

#define CONFIG_BYTES 4096

int pci_parse_number(const char *text, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 0);
	if (errno == ERANGE)
		return -ERANGE;
	return end == text || (*end && strcmp(end, "\n")) ? -EINVAL : 0;
}

/* Linux's words for a truth value. */
static int parse_bool(const char *text, long *out)
{
	switch (tolower((unsigned char)text[0])) {
	case 'y':
	case 't':
	case '1':
		*out = 1;
		return 0;
	case 'n':
	case 'f':
	case '0':
		*out = 0;
		return 0;
	case 'o':
		*out = tolower((unsigned char)text[1]) == 'n';
		return *out || tolower((unsigned char)text[1]) == 'f' ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

int pci_function_setting(struct pci_function *f, enum pci_setting s)
{
	int value;

	pthread_mutex_lock(&f->bus->lock);
	value = f->settings[s];
	pthread_mutex_unlock(&f->bus->lock);
	return value;
}

int pci_function_set(struct pci_function *f, enum pci_setting s, int value)
{
	pthread_mutex_lock(&f->bus->lock);
	f->settings[s] = value;
	pthread_mutex_unlock(&f->bus->lock);
	return 0;
}

/* ---- what never changes -------------------------------------------------------------
 */

void pci_modalias(const struct pci_function *f, char *buf, size_t cap)
{
	uint32_t class_code = f->ids.class_code;

	snprintf(buf, cap, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", f->ids.vendor,
		 f->ids.device, f->ids.subvendor, f->ids.subdevice,
		 class_code >> 16 & 0xff, class_code >> 8 & 0xff, class_code & 0xff);
}

static int add_ids(struct pci_function *f)
{
	const struct {
		const char *name;
		int digits;
		unsigned value;
	} ids[] = {
		{"vendor", 4, f->ids.vendor},
		{"device", 4, f->ids.device},
		{"subsystem_vendor", 4, f->ids.subvendor},
		{"subsystem_device", 4, f->ids.subdevice},
		{"class", 6, f->ids.class_code},
		{"revision", 2, f->revision},
	};
	char path[PCI_PATH_BYTES];
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_LEN(ids); i++)
		err = view_add_text(f->bus->view, pci_path(f, ids[i].name, path),
				    "0x%0*x\n", ids[i].digits, ids[i].value);
	return err;
}

static int add_constants(struct pci_function *f)
{
	static const struct {
		const char *name, *text;
	} constants[] = {
		{"irq", "0\n"},
		{"dma_mask_bits", "64\n"},
		{"consistent_dma_mask_bits", "64\n"},
		{"ari_enabled", "0\n"},
		{"power/runtime_status", "active\n"},
		{"power/runtime_usage", "0\n"},
	};
	char path[PCI_PATH_BYTES], alias[80];
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_LEN(constants); i++)
		err = view_add_text(f->bus->view, pci_path(f, constants[i].name, path),
				    "%s", constants[i].text);
	pci_modalias(f, alias, sizeof(alias));
	if (!err)
		err = view_add_text(f->bus->view, pci_path(f, "modalias", path), "%s\n",
				    alias);
	return err;
}

/* ---- the configuration space ------------------------------------------------
 */

static ssize_t clip(uint64_t offset, size_t n, uint64_t size)
{
	if (offset >= size)
		return 0;
	return (ssize_t)min_u64(n, size - offset);
}

void pci_config_bytes(struct pci_function *f, unsigned offset, void *dst, size_t n)
{
	if (f->dev)
		pci_device_config(f->dev, offset, dst, n);
	else
		machine_port_config(f->port, offset, dst, n);
}

static ssize_t read_config(void *object, uint64_t offset, void *dst, size_t n)
{
	ssize_t size = clip(offset, n, CONFIG_BYTES);

	if (size > 0)
		pci_config_bytes(object, (unsigned)offset, dst, (size_t)size);
	return size;
}

/* A port's registers are all read-only. */
static ssize_t write_config(void *object, uint64_t offset, const void *src, size_t n)
{
	struct pci_function *f = object;
	ssize_t size = clip(offset, n, CONFIG_BYTES);

	if (!size && n)
		return -EFBIG;
	if (f->dev)
		pci_device_config_write(f->dev, (unsigned)offset, src, (size_t)size);
	return size;
}

static uint64_t config_size(void *object)
{
	return CONFIG_BYTES;
}

static const struct view_attr config_attr = {
	.mode = 0644, .read = read_config, .write = write_config, .size = config_size};

/* ---- settings -------------------------------------------------------------------------
 */

static ssize_t show_override(void *object, char *text, size_t cap)
{
	struct pci_function *f = object;
	ssize_t n;

	pthread_mutex_lock(&f->bus->lock);
	n = snprintf(text, cap, "%s\n", f->override ? f->override : "(null)");
	pthread_mutex_unlock(&f->bus->lock);
	return n;
}

int pci_function_override(struct pci_function *f, const char *text)
{
	size_t length = strcspn(text, "\n");
	char *new = NULL, *old;

	if (length) {
		new = strndup(text, length);
		if (!new)
			return -ENOMEM;
	}
	pthread_mutex_lock(&f->bus->lock);
	old = f->override;
	f->override = new;
	pthread_mutex_unlock(&f->bus->lock);
	free(old);
	return 0;
}

static int store_override(void *object, const char *text, size_t n)
{
	return n < VIEW_ATTR_BYTES - 1 ? pci_function_override(object, text) : -EINVAL;
}

static const struct view_attr override_attr = {
	.mode = 0644, .show = show_override, .store = store_override};

#define SETTING_SHOW(name, setting)                                                      \
	static ssize_t show_##name(void *object, char *text, size_t cap)                 \
	{                                                                                \
		return snprintf(text, cap, "%d\n",                                       \
				pci_function_setting(object, setting));                  \
	}

#define SETTING_BOOL(name, setting, parse)                                               \
	SETTING_SHOW(name, setting)                                                      \
	static int store_##name(void *object, const char *text, size_t n)                \
	{                                                                                \
		long value;                                                              \
		int err = parse(text, &value);                                           \
                                                                                         \
		return err ? err : pci_function_set(object, setting, value != 0);        \
	}                                                                                \
	static const struct view_attr name##_attr = {                                    \
		.mode = 0644, .show = show_##name, .store = store_##name}

SETTING_BOOL(msi_bus, PCI_MSI_BUS, pci_parse_number);
SETTING_BOOL(broken_parity, PCI_BROKEN_PARITY, pci_parse_number);
SETTING_BOOL(d3cold, PCI_D3COLD, parse_bool);
SETTING_BOOL(vf_autoprobe, PCI_VF_AUTOPROBE, parse_bool);
SETTING_SHOW(numa_node, PCI_NUMA_NODE)

static int store_numa_node(void *object, const char *text, size_t n)
{
	long node;
	int err = pci_parse_number(text, &node);

	if (err)
		return err;
	return node < -1 || node > 0 ? -EINVAL
				     : pci_function_set(object, PCI_NUMA_NODE, (int)node);
}

static const struct view_attr numa_node_attr = {
	.mode = 0644, .show = show_numa_node, .store = store_numa_node};

static ssize_t show_power_control(void *object, char *text, size_t cap)
{
	return snprintf(text, cap, "%s\n",
			pci_function_setting(object, PCI_POWER_AUTO) ? "auto" : "on");
}

static int store_power_control(void *object, const char *text, size_t n)
{
	size_t length = view_text_length(text, n);

	if (length == 4 && !memcmp(text, "auto", 4))
		return pci_function_set(object, PCI_POWER_AUTO, 1);
	if (length == 2 && !memcmp(text, "on", 2))
		return pci_function_set(object, PCI_POWER_AUTO, 0);
	return -EINVAL;
}

static const struct view_attr power_control_attr = {
	.mode = 0644, .show = show_power_control, .store = store_power_control};

/* ---- state ----------------------------------------------------------------------------
 */

static ssize_t show_enable(void *object, char *text, size_t cap)
{
	struct pci_function *f = object;
	int n = pci_function_setting(f, PCI_ENABLED);

	if (!f->dev || pci_device_in_use(f->dev))
		n++;
	return snprintf(text, cap, "%d\n", n);
}

#define COMMAND        4
#define COMMAND_IO     0x1
#define COMMAND_MEMORY 0x2

/* As the bus does it for a driver: what BARs there are answer. */
static void decode(struct pci_function *f)
{
	uint8_t command[2];

	if (!f->dev)
		return;
	pci_device_config(f->dev, COMMAND, command, sizeof(command));
	command[0] |= COMMAND_IO | COMMAND_MEMORY;
	pci_device_config_write(f->dev, COMMAND, command, sizeof(command));
}

/* With the lock held. */
static int change_enabled(struct pci_function *f, bool on)
{
	if (f->driver)
		return -EBUSY;
	if (on)
		f->settings[PCI_ENABLED]++;
	else if (f->settings[PCI_ENABLED])
		f->settings[PCI_ENABLED]--;
	else
		return -EIO;
	return 0;
}

/* Only for a function without a driver. */
static int store_enable(void *object, const char *text, size_t n)
{
	struct pci_function *f = object;
	long value;
	int err = pci_parse_number(text, &value);

	if (err || value < 0)
		return -EINVAL;
	pthread_mutex_lock(&f->bus->lock);
	err = change_enabled(f, value);
	pthread_mutex_unlock(&f->bus->lock);
	if (!err && value)
		decode(f);
	return err;
}

static const struct view_attr enable_attr = {
	.mode = 0644, .show = show_enable, .store = store_enable};

static ssize_t show_uevent(void *object, char *text, size_t cap)
{
	struct pci_function *f = object;
	char alias[80], driver[48] = "";

	pci_modalias(f, alias, sizeof(alias));
	pthread_mutex_lock(&f->bus->lock);
	if (f->driver)
		snprintf(driver, sizeof(driver), "DRIVER=%s\n", f->driver->name);
	pthread_mutex_unlock(&f->bus->lock);
	return snprintf(text, cap,
			"%sPCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n"
			"PCI_SLOT_NAME=%s\nMODALIAS=%s\n",
			driver, f->ids.class_code, f->ids.vendor, f->ids.device,
			f->ids.subvendor, f->ids.subdevice, f->bdf, alias);
}

/* Nobody listens for the event. */
static int store_uevent(void *object, const char *text, size_t n)
{
	static const char *const actions[] = {"add",    "remove",  "change", "move",
					      "online", "offline", "bind",   "unbind"};
	size_t length = strcspn(text, " \n");

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (length == strlen(actions[i]) && !memcmp(text, actions[i], length))
			return 0;
	return -EINVAL;
}

static const struct view_attr uevent_attr = {
	.mode = 0644, .show = show_uevent, .store = store_uevent};

/* ---- reset ----------------------------------------------------------------------------
 */

static const char *const reset_methods[] = {"flr", "af_flr", "pm", "bus"};

unsigned pci_attrs_reset_methods(const struct pci_function *f)
{
	const struct uiommufd_device_desc *desc = pci_device_desc(f->dev);
	unsigned methods = 0;

	if (desc->flr)
		methods |= 1;
	if (desc->af)
		methods |= 2;
	/* The way back from D3hot resets it. */
	if (desc->pm)
		methods |= 4;
	if (pci_device_alone_on_bus(f->dev))
		methods |= 8;
	return methods;
}

static ssize_t show_reset_method(void *object, char *text, size_t cap)
{
	struct pci_function *f = object;
	unsigned methods;
	size_t n = 0;

	pthread_mutex_lock(&f->bus->lock);
	methods = f->reset_methods;
	pthread_mutex_unlock(&f->bus->lock);
	for (size_t i = 0; i < ARRAY_LEN(reset_methods); i++)
		if (methods & 1u << i)
			n += (size_t)snprintf(text + n, cap - n, "%s%s", n ? " " : "",
					      reset_methods[i]);
	if (n)
		n += (size_t)snprintf(text + n, cap - n, "\n");
	return (ssize_t)n;
}

/* A list of names, "default", or nothing: then it cannot be reset. */
static int store_reset_method(void *object, const char *text, size_t n)
{
	struct pci_function *f = object;
	unsigned possible = pci_attrs_reset_methods(f), methods = 0;
	char copy[128], *rest = copy, *word;

	if (n >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, n + 1);
	while ((word = strsep(&rest, " \n"))) {
		size_t i = 0;

		if (!*word)
			continue;
		if (!strcmp(word, "default")) {
			methods |= possible;
			continue;
		}
		while (i < ARRAY_LEN(reset_methods) && strcmp(word, reset_methods[i]))
			i++;
		if (i == ARRAY_LEN(reset_methods) || !(possible & 1u << i))
			return -EINVAL;
		methods |= 1u << i;
	}
	pthread_mutex_lock(&f->bus->lock);
	f->reset_methods = methods;
	pthread_mutex_unlock(&f->bus->lock);
	return 0;
}

static int store_reset(void *object, const char *text, size_t n)
{
	struct pci_function *f = object;
	unsigned methods;
	long value;

	if (pci_parse_number(text, &value) || value != 1)
		return -EINVAL;
	pthread_mutex_lock(&f->bus->lock);
	methods = f->reset_methods;
	pthread_mutex_unlock(&f->bus->lock);
	return methods ? pci_device_reset(f->dev) : -ENOTTY;
}

static const struct view_attr reset_attr = {.mode = 0200, .store = store_reset};
static const struct view_attr reset_method_attr = {
	.mode = 0644, .show = show_reset_method, .store = store_reset_method};

/* ---- all of them
 * ------------------------------------------------------------------------ */

struct named_attr {
	const char *name;
	const struct view_attr *attr;
	bool (*wanted)(const struct pci_function *f); /* NULL: by all */
};

static bool is_physical(const struct pci_function *f)
{
	return f->dev && pci_device_desc(f->dev)->sriov;
}

static bool can_be_reset(const struct pci_function *f)
{
	return f->dev && f->reset_methods;
}

static const struct named_attr attrs[] = {
	{"broken_parity_status", &broken_parity_attr, NULL},
	{"config", &config_attr, NULL},
	{"d3cold_allowed", &d3cold_attr, NULL},
	{"driver_override", &override_attr, NULL},
	{"enable", &enable_attr, NULL},
	{"msi_bus", &msi_bus_attr, NULL},
	{"numa_node", &numa_node_attr, NULL},
	{"power/control", &power_control_attr, NULL},
	{"reset", &reset_attr, can_be_reset},
	{"reset_method", &reset_method_attr, can_be_reset},
	{"sriov_drivers_autoprobe", &vf_autoprobe_attr, is_physical},
	{"uevent", &uevent_attr, NULL},
};

int pci_attrs_add(struct pci_function *f)
{
	char path[PCI_PATH_BYTES];
	int err = 0;

	f->settings[PCI_MSI_BUS] = 1;
	f->settings[PCI_NUMA_NODE] = -1;
	f->settings[PCI_VF_AUTOPROBE] = 1;
	f->reset_methods = f->dev ? pci_attrs_reset_methods(f) : 0;
	for (size_t i = 0; !err && i < ARRAY_LEN(attrs); i++)
		if (!attrs[i].wanted || attrs[i].wanted(f))
			err = view_add_attr(f->bus->view,
					    pci_path(f, attrs[i].name, path),
					    attrs[i].attr, f);
	if (!err)
		err = add_ids(f);
	if (!err)
		err = add_constants(f);
	if (!err)
		err = pci_regions_add(f);
	if (!err)
		err = pci_status_add(f);
	if (!err)
		err = pci_hotplug_add(f);
	return err ? err : pci_sriov_add(f);
}
