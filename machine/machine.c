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

/* There is room for one for each device. */
static struct machine_group *find_group(struct machine *m, unsigned number)
{
	struct machine_group *g = m->groups;

	while (g < m->groups + m->nr_groups && g->number != number)
		g++;
	if (g == m->groups + m->nr_groups) {
		g->number = number;
		m->nr_groups++;
	}
	return g;
}

static int create_device(struct machine *m, const struct uiommufd_config *config,
			 const struct device_description *desc, char *error, size_t cap)
{
	const struct uiommufd_model *model = find_model(config, desc->model);
	struct machine_group *group = find_group(m, desc->group);
	struct pci_placement placement = {
		.bdf = desc->bdf,
		.index = (unsigned)m->nr_devices,
		.group = desc->group,
		.group_key = group,
		.group_owner = &group->owner,
		.unit = m->units ? &m->units[desc->iommu_index] : NULL,
	};
	int err;

	snprintf(placement.driver, sizeof(placement.driver), "%s",
		 desc->driver ? desc->driver : PCI_DRIVER_VFIO);
	if (!model) {
		snprintf(error, cap, "%s: no such device model (uiommufd run --help)",
			 desc->model);
		return -EINVAL;
	}
	err = pci_device_create(m, model, desc->options, desc->nr_options, &placement,
				error, cap, &m->devices[m->nr_devices]);
	if (!err)
		m->nr_devices++;
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
	if (!d->nr_iommus)
		return 0;
	m->units = calloc(d->nr_iommus, sizeof(*m->units));
	if (!m->units)
		return -ENOMEM;
	m->nr_units = d->nr_iommus;
	for (size_t i = 0; i < d->nr_iommus; i++)
		m->units[i] = d->iommus[i].unit;
	return 0;
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
	err = create_units(m, &d);
	if (!err)
		err = create_ports(m, &d);
	if (err)
		goto out;
	m->devices = calloc(d.n + 1, sizeof(struct pci_device *));
	m->groups = calloc(d.n + 1, sizeof(*m->groups));
	if (!m->devices || !m->groups) {
		err = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; !err && i < d.n; i++)
		err = create_device(m, config, &d.devices[i], error, cap);
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
	free(m->groups);
	free(m->ports);
	free(m->units);
	accounting_destroy(m->accounting);
	memory_destroy(m->memory);
	phys_destroy(m->phys);
	free(m);
	return left;
}

static struct pci_device *device_of_node(struct machine *m, const char *path)
{
	unsigned index;
	int used = 0;

	if (sscanf(path, "/dev/vfio/devices/vfio%u%n", &index, &used) != 1 || path[used])
		return NULL;
	return index < m->nr_devices ? m->devices[index] : NULL;
}

static bool is_group_node(const char *path, unsigned *group)
{
	char again[32];

	if (sscanf(path, "/dev/vfio/%u", group) != 1)
		return false;
	snprintf(again, sizeof(again), "/dev/vfio/%u", *group);
	return !strcmp(path, again);
}

int machine_open_node(struct machine *m, const char *path, struct vfile **out)
{
	struct pci_device *dev;
	unsigned group;

	if (!strcmp(path, "/dev/iommu"))
		return iommufd_open(m, out);
	if (!strcmp(path, "/dev/vfio/vfio"))
		return vfio_container_open(out);
	if (is_group_node(path, &group))
		return vfio_group_open(m, group, out);
	dev = device_of_node(m, path);
	return dev ? vfio_cdev_open(dev, out) : -ENOENT;
}
