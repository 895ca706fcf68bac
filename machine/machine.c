/* SPDX-License-Identifier: MIT */
/*
 * Making and ending a machine (see machine.h).
 *
 * Ending: first what clients hold is released (files), which closes and unbinds devices
 * and drops every mapping; then the devices go, then memory and the SPA space under
 * them. Nothing else may run on the machine by then.
 */
#include "machine/machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/models.h"
#include "iommufd/iommufd.h"
#include "iommufd/unit.h"
#include "machine/accounting.h"
#include "machine/describe.h"
#include "machine/doorbell.h"
#include "machine/files.h"
#include "machine/memory.h"
#include "machine/topology.h"
#include "port/port.h"
#include "selftest/selftest.h"
#include "vfio/pci_device.h"

static const char *const default_devices[] = {"copy-engine", "copy-engine", NULL};

static const struct uiommufd_model *find_model(const struct uiommufd_config *config,
					       const char *name)
{
	for (size_t i = 0; config->models && config->models[i]; i++)
		if (!strcmp(config->models[i]->name, name))
			return config->models[i];
	for (size_t i = 0; device_models[i]; i++)
		if (!strcmp(device_models[i]->name, name))
			return device_models[i];
	return NULL;
}

static int describe(const struct uiommufd_config *config, struct description *d,
		    char *error, size_t cap)
{
	const char *const *devices = config->devices;
	int err = 0;

	if (config->json) {
		err = describe_json(d, config->json, error, cap);
	} else if (!devices) {
		devices = default_devices;
	}
	for (size_t i = 0; !err && devices && devices[i]; i++)
		err = describe_device(d, devices[i], error, cap);
	for (size_t i = 0; !err && config->iommus && config->iommus[i]; i++)
		err = describe_iommu(d, config->iommus[i], error, cap);
	for (size_t i = 0; !err && config->extensions && config->extensions[i]; i++)
		err = describe_extension(d, config->extensions[i], error, cap);
	return err ? err : describe_complete(d, error, cap);
}

static struct machine_group *find_group(struct machine *m, unsigned number)
{
	struct machine_group **v, *g;

	for (size_t i = 0; i < m->nr_groups; i++)
		if (m->groups[i]->number == number)
			return m->groups[i];
	v = realloc(m->groups, (m->nr_groups + 1) * sizeof(struct machine_group *));
	if (!v)
		return NULL;
	m->groups = v;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->number = number;
	m->groups[m->nr_groups++] = g;
	return g;
}

/* Put where the device is before what is wrong with it. */
static int bad_device(const struct pci_bdf *bdf, int err, char *error, size_t cap)
{
	char why[256], at[16];

	snprintf(why, sizeof(why), "%s", error[0] ? error : strerror(-err));
	pci_bdf_format(bdf, at);
	snprintf(error, cap, "%s: %s", at, why);
	return err;
}

/* A device at @place, which still lacks its number and what its group gives. */
static int add_device(struct machine *m, const struct uiommufd_model *model,
		      const struct uiommufd_option *options, size_t nr_options,
		      struct pci_placement *place, char *error, size_t cap)
{
	struct machine_group *group = find_group(m, place->group);
	struct pci_device **v;
	int err;

	v = realloc(m->devices, (m->nr_devices + 1) * sizeof(struct pci_device *));
	if (!v || !group)
		return -ENOMEM;
	m->devices = v;
	place->index = (unsigned)m->nr_devices;
	place->group_key = group;
	place->group_owner = &group->owner;
	err = pci_device_create(m, model, options, nr_options, place, error, cap,
				&m->devices[m->nr_devices]);
	if (err)
		return bad_device(&place->bdf, err, error, cap);
	m->nr_devices++;
	return 0;
}

static int create_device(struct machine *m, const struct uiommufd_config *config,
			 const struct device_description *desc, char *error, size_t cap)
{
	const struct uiommufd_model *model = find_model(config, desc->model);
	struct pci_placement place = {
		.bdf = desc->bdf,
		.group = desc->group,
		.unit = m->units ? &m->units[desc->iommu_index] : NULL,
		.has_mmio = desc->has_mmio,
		.mmio = desc->mmio,
	};

	memcpy(place.direct, desc->direct, sizeof(place.direct));
	place.nr_direct = desc->nr_direct;
	snprintf(place.driver, sizeof(place.driver), "%s",
		 desc->driver ? desc->driver : PCI_DRIVER_VFIO);
	if (!model) {
		snprintf(error, cap, "%s: no such device model (uiommufd run --help)",
			 desc->model);
		return -EINVAL;
	}
	return add_device(m, model, desc->options, desc->nr_options, &place, error, cap);
}

/* ---- virtual functions ------------------------------------------------------------ */

static unsigned routing_id(const struct pci_bdf *b)
{
	return (unsigned)b->bus << 8 | (unsigned)b->device << 3 | b->function;
}

static bool is_taken(const struct machine *m, const struct pci_bdf *bdf)
{
	for (size_t i = 0; i < m->nr_devices; i++) {
		const struct pci_bdf *at = &pci_device_placement(m->devices[i])->bdf;

		if (at->domain == bdf->domain && routing_id(at) == routing_id(bdf))
			return true;
	}
	return false;
}

static unsigned unused_group(const struct machine *m)
{
	unsigned group = 1;

	for (size_t i = 0; i < m->nr_groups; i++)
		if (m->groups[i]->number >= group)
			group = m->groups[i]->number + 1;
	for (size_t i = 0; i < m->nr_ports; i++)
		if (m->ports[i].group >= group)
			group = m->ports[i].group + 1;
	return group;
}

static int create_vf(struct machine *m, struct pci_device *pf, unsigned vf, char *error,
		     size_t cap)
{
	const struct uiommufd_sriov *s = pci_device_desc(pf)->sriov;
	const struct pci_bdf *at = &pci_device_placement(pf)->bdf;
	unsigned id = routing_id(at) + s->offset + vf * s->stride;
	struct pci_placement place = {
		.bdf = {.domain = at->domain,
			.bus = (uint8_t)(id >> 8),
			.device = id >> 3 & 31,
			.function = id & 7},
		.group = unused_group(m),
		.unit = pci_device_placement(pf)->unit,
		.has_mmio = pci_device_placement(pf)->has_mmio,
		.mmio = pci_device_placement(pf)->mmio,
		.pf = pf,
		.vf = vf,
	};
	char name[16];
	int err;

	if (id > 0xffff || is_taken(m, &place.bdf)) {
		pci_bdf_format(at, name);
		snprintf(error, cap, "%s: another device is where its VF %u belongs",
			 name, vf);
		return -EINVAL;
	}
	err = add_device(m, s->vf, s->vf_options, s->nr_vf_options, &place, error, cap);
	if (!err)
		pci_device_add_vf(pf, m->devices[m->nr_devices - 1]);
	return err;
}

/* After all others, so that these keep their numbers and groups. */
static int create_vfs(struct machine *m, char *error, size_t cap)
{
	size_t n = m->nr_devices;
	int err = 0;

	for (size_t i = 0; i < n; i++) {
		struct pci_device *pf = m->devices[i];

		for (unsigned vf = 0; !err && vf < sriov_total(pf); vf++)
			err = create_vf(m, pf, vf, error, cap);
	}
	return err;
}

static int create_ports(struct machine *m, const struct description *d)
{
	m->ports = calloc(d->nr_ports + 1, sizeof(*m->ports));
	if (!m->ports)
		return -ENOMEM;
	m->nr_ports = d->nr_ports;
	for (size_t i = 0; i < d->nr_ports; i++)
		m->ports[i] = d->ports[i].port;
	for (size_t i = 0; i < d->nr_ports; i++)
		m->ports[i].parent =
			machine_port_to(m->ports, m->nr_ports, &m->ports[i].at);
	return 0;
}

static int create_units(struct machine *m, const struct description *d)
{
	bool sw_msi = false;

	if (!d->nr_iommus)
		return 0;
	m->units = calloc(d->nr_iommus, sizeof(*m->units));
	if (!m->units)
		return -ENOMEM;
	m->nr_units = d->nr_iommus;
	for (size_t i = 0; i < d->nr_iommus; i++) {
		m->units[i] = d->iommus[i].unit;
		sw_msi |= m->units[i].config.sw_msi != 0;
	}
	return sw_msi ? doorbell_create(m->phys, &m->doorbell) : 0;
}

static int create_devices(struct machine *m, const struct uiommufd_config *config,
			  char *error, size_t cap)
{
	struct description d = {0};
	int err = describe(config, &d, error, cap);

	if (err)
		goto out;
	m->multi_range_dmabuf = d.multi_range_dmabuf;
	m->unlimited_memlock = d.unlimited_memlock;
	m->compat_p2p = d.compat_p2p;
	err = create_units(m, &d);
	if (!err)
		err = create_ports(m, &d);
	if (err)
		goto out;
	for (size_t i = 0; !err && i < d.n; i++)
		err = create_device(m, config, &d.devices[i], error, cap);
	if (!err)
		err = create_vfs(m, error, cap);
out:
	describe_finish(&d);
	return err;
}

int machine_create(const struct uiommufd_config *config, char *error, size_t error_cap,
		   struct machine **out)
{
	struct machine *m = calloc(1, sizeof(*m));
	char ignored[1];
	int err;

	if (!error || !error_cap) {
		error = ignored;
		error_cap = sizeof(ignored);
	}
	error[0] = '\0';
	if (!m)
		return -ENOMEM;
	if (config->selftest) {
		m->iommu_calls = &selftest_table;
		m->privileged = true;
	}
	err = port_guard_install();
	if (!err)
		err = phys_create(&m->phys);
	if (!err)
		err = files_create(&m->files);
	if (!err)
		err = memory_create(m, &m->memory);
	if (!err)
		err = accounting_create(m, &m->accounting);
	if (!err)
		err = create_devices(m, config, error, error_cap);
	if (err) {
		if (!error[0])
			snprintf(error, error_cap, "%s", strerror(-err));
		machine_destroy(m);
		return err;
	}
	*out = m;
	return 0;
}

int machine_destroy(struct machine *m)
{
	int left;

	if (!m)
		return 0;
	left = files_destroy(m->files);
	for (size_t i = m->nr_devices; i-- > 0;)
		pci_device_destroy(m->devices[i]);
	free(m->devices);
	for (size_t i = 0; i < m->nr_groups; i++)
		free(m->groups[i]);
	free(m->groups);
	free(m->ports);
	free(m->units);
	accounting_destroy(m->accounting);
	memory_destroy(m->memory);
	doorbell_destroy(m->phys, m->doorbell);
	phys_destroy(m->phys);
	free(m);
	return left;
}

struct pci_device *machine_find_device(struct machine *m, const char *bdf)
{
	struct pci_bdf wanted;

	if (pci_bdf_parse(bdf, &wanted))
		return NULL;
	for (size_t i = 0; i < m->nr_devices; i++) {
		const struct pci_bdf *at = &pci_device_placement(m->devices[i])->bdf;

		if (at->domain == wanted.domain &&
		    routing_id(at) == routing_id(&wanted) &&
		    pci_device_present(m->devices[i]))
			return m->devices[i];
	}
	return NULL;
}

/* Is the path @folder and a number, as it is written without sign or zeroes before it? */
static bool is_node(const char *path, const char *folder, unsigned *number)
{
	size_t n = strlen(folder);
	char again[16];

	if (strncmp(path, folder, n) || sscanf(path + n, "%u", number) != 1)
		return false;
	snprintf(again, sizeof(again), "%u", *number);
	return !strcmp(path + n, again);
}

static struct pci_device *device_of_node(struct machine *m, const char *path)
{
	unsigned index;

	if (!is_node(path, "/dev/vfio/devices/vfio", &index))
		return NULL;
	if (index >= m->nr_devices || !pci_device_present(m->devices[index]))
		return NULL;
	return m->devices[index];
}

int machine_open_node(struct machine *m, const char *path, struct vfile **out)
{
	struct pci_device *dev;
	unsigned group;

	/* A group that was closed just before is free again. */
	files_reap(m->files);
	if (!strcmp(path, "/dev/iommu"))
		return iommufd_open(m, out);
	if (!strcmp(path, "/dev/vfio/vfio"))
		return vfio_container_open(out);
	if (is_node(path, "/dev/vfio/", &group))
		return vfio_group_open(m, group, out);
	dev = device_of_node(m, path);
	return dev ? vfio_cdev_open(dev, out) : -ENOENT;
}
