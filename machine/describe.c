/* SPDX-License-Identifier: MIT */
/*
 * See describe.h. Strings in the result are allocated by us and owned by it.
 */
#include "machine/describe.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIRECT_ALIGN 4096u

int describe_bad(char *error, size_t cap, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, cap, format, ap);
	va_end(ap);
	return -EINVAL;
}

const char *describe_hex(const char *text, int digits, char end, unsigned *out)
{
	unsigned v = 0;
	int n = 0;

	if (!text)
		return NULL;
	for (; n < digits && isxdigit((unsigned char)text[n]); n++)
		v = v << 4 | (unsigned)(isdigit((unsigned char)text[n])
						? text[n] - '0'
						: tolower(text[n]) - 'a' + 10);
	if (!n || text[n] != end)
		return NULL;
	*out = v;
	return text + n + (end != '\0');
}

int pci_bdf_parse(const char *text, struct pci_bdf *out)
{
	unsigned domain = 0, bus, device, function;

	/* With two colons the first part is the domain. */
	if (strchr(text, ':') != strrchr(text, ':'))
		text = describe_hex(text, 4, ':', &domain);
	text = describe_hex(text, 2, ':', &bus);
	text = describe_hex(text, 2, '.', &device);
	text = describe_hex(text, 1, '\0', &function);
	if (!text || device > 31 || function > 7)
		return -EINVAL;
	*out = (struct pci_bdf){.domain = (uint16_t)domain,
				.bus = (uint8_t)bus,
				.device = (uint8_t)device,
				.function = (uint8_t)function};
	return 0;
}

void pci_bdf_format(const struct pci_bdf *bdf, char out[16])
{
	snprintf(out, 16, "%04x:%02x:%02x.%x", bdf->domain, bdf->bus, bdf->device,
		 bdf->function & 7u);
}

uint32_t pci_bdf_key(const struct pci_bdf *b)
{
	return (uint32_t)b->domain << 16 | (uint32_t)b->bus << 8 |
	       (uint32_t)(b->device << 3) | b->function;
}

static int parse_group(const char *text, unsigned *out)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || !isdigit((unsigned char)text[0]) || *end || v > 65535)
		return -EINVAL;
	*out = (unsigned)v;
	return 0;
}

static int set_text(char **text, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

/* It becomes a directory in /sys. */
static bool is_driver_name(const char *text)
{
	return *text && text[0] != '.' && !strchr(text, '/') &&
	       strlen(text) < sizeof(((struct pci_placement *)0)->driver);
}

static int parse_mmio(const char *text, enum uiommufd_mmio *out)
{
	static const struct {
		const char *name;
		enum uiommufd_mmio mmio;
	} modes[] = {
		{"trap", UIOMMUFD_MMIO_TRAP},
		{"watch", UIOMMUFD_MMIO_WATCH},
		{"fault", UIOMMUFD_MMIO_FAULT},
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(text, modes[i].name)) {
			*out = modes[i].mmio;
			return 0;
		}
	}
	return -EINVAL;
}

/* Whole pages. */
static int set_direct(struct device_description *dev, const char *name, const char *value,
		      char *error, size_t cap)
{
	struct iommufd_resv r = {.type = IOMMUFD_RESV_DIRECT};

	if (!strcmp(name, "direct-relaxable"))
		r.type = IOMMUFD_RESV_DIRECT_RELAXABLE;
	if (describe_range(value, &r.start, &r.last) || r.start % DIRECT_ALIGN ||
	    (r.last + 1) % DIRECT_ALIGN)
		return describe_bad(
			error, cap,
			"%s: %s=%s: not FIRST-LAST (addresses, of whole pages)",
			dev->model, name, value);
	if (dev->nr_direct == PCI_DIRECT_MAX)
		return describe_bad(error, cap, "%s: %s: more than %d", dev->model, name,
				    PCI_DIRECT_MAX);
	dev->direct[dev->nr_direct++] = r;
	return 0;
}

static bool is_direct(const char *name)
{
	return !strcmp(name, "direct") || !strcmp(name, "direct-relaxable");
}

static int set_option(struct device_description *dev, const char *name, const char *value,
		      char *error, size_t cap)
{
	struct uiommufd_option *o;
	char *n, *v;

	if (!strcmp(name, "bdf")) {
		if (pci_bdf_parse(value, &dev->bdf))
			return describe_bad(
				error, cap,
				"%s: bdf=%s: not a PCI address (0000:01:00.0)",
				dev->model, value);
		dev->has_bdf = true;
		return 0;
	}
	if (!strcmp(name, "iommu"))
		return set_text(&dev->iommu, value);
	if (!strcmp(name, "driver")) {
		if (!is_driver_name(value))
			return describe_bad(error, cap,
					    "%s: driver=%s: not a driver's name",
					    dev->model, value);
		return set_text(&dev->driver, value);
	}
	if (!strcmp(name, "acs")) {
		if (strcmp(value, "on") && strcmp(value, "off"))
			return describe_bad(error, cap, "%s: acs=%s: not one of on, off",
					    dev->model, value);
		dev->no_acs = !strcmp(value, "off");
		return 0;
	}
	if (!strcmp(name, "group")) {
		if (parse_group(value, &dev->group))
			return describe_bad(error, cap,
					    "%s: group=%s: not a number up to 65535",
					    dev->model, value);
		dev->has_group = true;
		return 0;
	}
	if (!strcmp(name, "mmio")) {
		if (parse_mmio(value, &dev->mmio))
			return describe_bad(error, cap,
					    "%s: mmio=%s: not one of trap, watch, fault",
					    dev->model, value);
		dev->has_mmio = true;
		return 0;
	}
	if (is_direct(name))
		return set_direct(dev, name, value, error, cap);
	if (dev->nr_options == DESCRIBE_MAX_OPTIONS)
		return describe_bad(error, cap, "%s: too many options", dev->model);
	n = strdup(name);
	v = strdup(value);
	if (!n || !v) {
		free(n);
		free(v);
		return -ENOMEM;
	}
	o = &dev->options[dev->nr_options++];
	o->name = n;
	o->value = v;
	return 0;
}

static int add_device(struct description *d, const char *model,
		      struct device_description **out)
{
	struct device_description *v;

	v = realloc(d->devices, (d->n + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	d->devices = v;
	v[d->n] = (struct device_description){.model = strdup(model)};
	if (!v[d->n].model)
		return -ENOMEM;
	*out = &v[d->n++];
	return 0;
}

static int add_device_checked(struct description *d, const char *model, char *error,
			      size_t cap, struct device_description **out)
{
	if (d->n == DESCRIBE_MAX_DEVICES)
		return describe_bad(error, cap, "more than %d devices",
				    DESCRIBE_MAX_DEVICES);
	if (!*model)
		return describe_bad(error, cap,
				    "a device needs a model, as in copy-engine,vram=64M");
	return add_device(d, model, out);
}

int describe_device(struct description *d, const char *text, char *error, size_t cap)
{
	char *copy = strdup(text), *rest = copy, *word;
	struct device_description *dev;
	int err;

	if (!copy)
		return -ENOMEM;
	err = add_device_checked(d, strsep(&rest, ","), error, cap, &dev);
	while (!err && (word = strsep(&rest, ","))) {
		char *value = strchr(word, '=');

		if (!value) {
			err = describe_bad(error, cap, "%s: \"%s\" is not NAME=VALUE",
					   dev->model, word);
			break;
		}
		*value++ = '\0';
		err = set_option(dev, word, value, error, cap);
	}
	free(copy);
	return err;
}

int describe_extension(struct description *d, const char *name, char *error, size_t cap)
{
	const struct {
		const char *name;
		bool *on;
	} known[] = {
		{"multi-range-dmabuf", &d->multi_range_dmabuf},
		{"unlimited-memlock", &d->unlimited_memlock},
		{"compat-p2p", &d->compat_p2p},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(name, known[i].name))
			continue;
		*known[i].on = true;
		return 0;
	}
	return describe_bad(error, cap,
			    "extension \"%s\": there is none (multi-range-dmabuf, "
			    "unlimited-memlock, compat-p2p)",
			    name);
}

/* Put which entry of the array @of is meant before what is wrong with it. */
static int bad_entry(const char *of, size_t index, char *error, size_t cap)
{
	char why[512];

	snprintf(why, sizeof(why), "%s", error);
	return describe_bad(error, cap, "%s[%zu]: %s", of, index, why);
}

/* An option's value as text, whatever JSON type it was written in; NULL: another one. */
static const char *json_text(const json_t *value, char number[32])
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "on" : "off";
	if (!json_is_integer(value))
		return NULL;
	snprintf(number, 32, "%lld", (long long)json_integer_value(value));
	return number;
}

static int json_option(struct device_description *dev, const char *name,
		       const json_t *value, char *error, size_t cap)
{
	char number[32];
	const char *text = json_text(value, number);

	if (text)
		return set_option(dev, name, text, error, cap);
	return describe_bad(error, cap,
			    "%s: \"%s\": a string, a whole number or a truth value",
			    dev->model, name);
}

/* Several ranges of direct memory are an array of them. */
static int json_options(struct device_description *dev, const char *name,
			const json_t *value, char *error, size_t cap)
{
	const json_t *each;
	size_t i;
	int err = 0;

	if (!is_direct(name) || !json_is_array(value))
		return json_option(dev, name, value, error, cap);
	json_array_foreach(value, i, each)
	{
		if (!err)
			err = json_option(dev, name, each, error, cap);
	}
	return err;
}

static int json_iommu_option(struct iommu_description *iommu, const char *name,
			     const json_t *value, char *error, size_t cap)
{
	char number[32];
	const char *text = json_text(value, number);

	if (text)
		return describe_iommu_option(iommu, name, text, error, cap);
	return describe_bad(error, cap,
			    "iommu %s: \"%s\": a string, a whole number or a truth value",
			    iommu->name, name);
}

/* Several reserved ranges are an array of them. */
static int json_iommu_options(struct iommu_description *iommu, const char *name,
			      const json_t *value, char *error, size_t cap)
{
	const json_t *each;
	size_t i;
	int err = 0;

	if (strcmp(name, "reserved") || !json_is_array(value))
		return json_iommu_option(iommu, name, value, error, cap);
	json_array_foreach(value, i, each)
	{
		if (!err)
			err = json_iommu_option(iommu, name, each, error, cap);
	}
	return err;
}

static int json_iommu(struct description *d, const json_t *obj, size_t index, char *error,
		      size_t cap)
{
	const char *type = json_string_value(json_object_get(obj, "type"));
	struct iommu_description *iommu;
	const char *name;
	json_t *value;
	int err;

	if (!type)
		return describe_bad(error, cap,
				    "iommus[%zu]: an object with a \"type\" is needed",
				    index);
	err = describe_iommu_add(d, type, error, cap, &iommu);
	json_object_foreach((json_t *)obj, name, value)
	{
		if (err)
			break;
		if (strcmp(name, "type"))
			err = json_iommu_options(iommu, name, value, error, cap);
	}
	return err == -EINVAL ? bad_entry("iommus", index, error, cap) : err;
}

static int json_iommus(struct description *d, const json_t *iommus, char *error,
		       size_t cap)
{
	json_t *value;
	size_t i;
	int err = 0;

	if (iommus && !json_is_array(iommus))
		return describe_bad(error, cap, "\"iommus\": an array is needed");
	json_array_foreach(iommus, i, value)
	{
		if (!err)
			err = json_iommu(d, value, i, error, cap);
	}
	return err;
}

static int json_device(struct description *d, const json_t *obj, size_t index,
		       char *error, size_t cap)
{
	const char *model = json_string_value(json_object_get(obj, "model"));
	struct device_description *dev;
	const char *name;
	json_t *value;
	int err;

	if (!model)
		return describe_bad(error, cap,
				    "devices[%zu]: an object with a \"model\" is needed",
				    index);
	err = add_device_checked(d, model, error, cap, &dev);
	json_object_foreach((json_t *)obj, name, value)
	{
		if (err)
			break;
		if (strcmp(name, "model"))
			err = json_options(dev, name, value, error, cap);
	}
	return err == -EINVAL ? bad_entry("devices", index, error, cap) : err;
}

static int json_machine(struct description *d, const json_t *root, char *error,
			size_t cap)
{
	const json_t *devices = json_object_get(root, "devices");
	const json_t *extensions = json_object_get(root, "extensions");
	const char *name;
	json_t *value;
	size_t i;
	int err = 0;

	if (!json_is_object(root))
		return describe_bad(error, cap, "a JSON object is needed");
	json_object_foreach((json_t *)root, name, value)
	{
		if (strcmp(name, "devices") && strcmp(name, "iommus") &&
		    strcmp(name, "extensions"))
			return describe_bad(
				error, cap,
				"\"%s\": unknown (devices, iommus, extensions)", name);
	}
	if (!json_is_array(devices))
		return describe_bad(error, cap, "\"devices\": an array is needed");
	json_array_foreach(devices, i, value)
	{
		err = json_device(d, value, i, error, cap);
		if (err)
			return err;
	}
	err = json_iommus(d, json_object_get(root, "iommus"), error, cap);
	if (err)
		return err;
	if (extensions && !json_is_array(extensions))
		return describe_bad(error, cap,
				    "\"extensions\": an array of names is needed");
	json_array_foreach(extensions, i, value)
	{
		if (!json_is_string(value))
			return describe_bad(error, cap,
					    "extensions[%zu]: a name is needed", i);
		err = describe_extension(d, json_string_value(value), error, cap);
		if (err)
			return err;
	}
	return 0;
}

int describe_json(struct description *d, const char *text, char *error, size_t cap)
{
	json_error_t where;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	int err;

	if (!root)
		return describe_bad(error, cap, "line %d, column %d: %s", where.line,
				    where.column, where.text);
	err = json_machine(d, root, error, cap);
	json_decref(root);
	return err;
}

static bool bdf_taken(const struct description *d, const struct pci_bdf *bdf)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->devices[i].has_bdf &&
		    pci_bdf_key(&d->devices[i].bdf) == pci_bdf_key(bdf))
			return true;
	return describe_port_at(d, bdf) || describe_bus_is_internal(d, bdf);
}

static int refuse_duplicates(const struct description *d, char *error, size_t cap)
{
	const struct pci_bdf *twice = NULL;
	char bdf[16];

	for (size_t i = 0; i < d->n; i++) {
		const struct pci_bdf *at = &d->devices[i].bdf;

		for (size_t j = 0; j < i; j++)
			if (pci_bdf_key(at) == pci_bdf_key(&d->devices[j].bdf))
				twice = at;
		if (describe_port_at(d, at))
			twice = at;
	}
	if (!twice)
		return 0;
	pci_bdf_format(twice, bdf);
	return describe_bad(error, cap, "two devices at %s", bdf);
}

/* A slot each: devices share no bus by default. */
static int place_devices(struct description *d, char *error, size_t cap)
{
	struct pci_bdf bdf = {.bus = 1};

	for (size_t i = 0; i < d->n; i++) {
		struct device_description *dev = &d->devices[i];

		if (dev->has_bdf)
			continue;
		while (bdf_taken(d, &bdf))
			if (++bdf.bus == 0)
				return describe_bad(error, cap, "no free bus for %s",
						    dev->model);
		dev->bdf = bdf;
		dev->has_bdf = true;
	}
	return 0;
}

int describe_complete(struct description *d, char *error, size_t cap)
{
	int err = describe_ports(d, error, cap);

	if (!err)
		err = place_devices(d, error, cap);
	if (!err)
		err = refuse_duplicates(d, error, cap);
	if (!err)
		err = describe_buses(d, error, cap);
	if (err)
		return err;
	describe_groups(d);
	return describe_iommu_complete(d, error, cap);
}

void describe_device_finish(struct device_description *dev)
{
	for (size_t j = 0; j < dev->nr_options; j++) {
		free((char *)dev->options[j].name);
		free((char *)dev->options[j].value);
	}
	free(dev->driver);
	free(dev->iommu);
	free(dev->model);
}

void describe_finish(struct description *d)
{
	for (size_t i = 0; i < d->n; i++)
		describe_device_finish(&d->devices[i]);
	free(d->devices);
	free(d->ports);
	describe_iommu_finish(d);
	*d = (struct description){0};
}
