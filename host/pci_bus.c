/* SPDX-License-Identifier: MIT */
/* See pci_bus.h: the functions, and what of /dev and /sys belongs to none of them. */
#include "host/pci_bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/port.h"
#include "host/view.h"
#include "iommufd/unit.h"
#include "machine/describe.h"
#include "machine/machine.h"
#include "machine/topology.h"

#define PORT_DRIVER "pcieport"

/* ---- what belongs to no function ----------------------------------------------------
 */

/* Where a program looks to see whether the kernel has the drivers. */
static const char *const directories[] = {
	"/dev/vfio",
	"/dev/vfio/devices",
	"/sys/module/vfio",
	"/sys/module/vfio_pci",
	"/sys/module/vfio_iommu_type1",
	"/sys/module/iommufd",
	"/sys/bus/pci/slots",
};

static const char *const listed[] = {
	"/sys/module",
	"/sys/bus/pci",
};

/*
 * What says which PCI functions there are. The host's stay where they are in
 * /sys/devices: the host's disks and the like lead there.
 */
static const char *const of_functions[] = {
	"/sys/bus/pci/devices", "/sys/bus/pci/drivers", "/sys/class/iommu",
	"/sys/class/vfio",      "/sys/class/vfio-dev",  "/sys/kernel/iommu_groups",
};

static const struct iommufd_unit *unit_at(const struct machine *m, size_t i)
{
	return m->units ? &m->units[i] : &iommufd_plain_unit;
}

void pci_unit_name(const struct machine *m, const struct iommufd_unit *unit, char *buf,
		   size_t cap)
{
	size_t index = m->units && unit ? (size_t)(unit - m->units) : 0;
	const struct iommufd_unit *u = unit_at(m, index);

	snprintf(buf, cap, "%s%zu", u->config.type == IOMMUFD_UNIT_VTD ? "dmar" : "ivhd",
		 index);
}

static int add_vtd(struct pci_bus *bus, const char *dir, const struct iommufd_unit *u,
		   size_t index)
{
	const struct {
		const char *name;
		unsigned long long value;
	} values[] = {
		{"address", 0xfed90000ull + index * 0x1000},
		{"cap", u->hw.vtd.cap_reg},
		{"ecap", u->hw.vtd.ecap_reg},
	};
	char path[PCI_PATH_BYTES];
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_LEN(values); i++) {
		snprintf(path, sizeof(path), "%s/intel-iommu/%s", dir, values[i].name);
		err = view_add_text(bus->view, path, "%llx\n", values[i].value);
	}
	snprintf(path, sizeof(path), "%s/intel-iommu/version", dir);
	if (!err)
		err = view_add_text(bus->view, path, "1:0\n");
	snprintf(path, sizeof(path), "%s/intel-iommu/domains_supported", dir);
	return err ? err : view_add_text(bus->view, path, "65536\n");
}

static int add_amd(struct pci_bus *bus, const char *dir, const struct iommufd_unit *u)
{
	char path[PCI_PATH_BYTES];
	int err;

	snprintf(path, sizeof(path), "%s/amd-iommu/cap", dir);
	err = view_add_text(bus->view, path, "0\n");
	snprintf(path, sizeof(path), "%s/amd-iommu/features", dir);
	return err ? err
		   : view_add_text(bus->view, path, "%llx:0\n",
				   (unsigned long long)u->hw.amd.efr);
}

static int add_unit(struct pci_bus *bus, size_t index)
{
	const struct iommufd_unit *u = unit_at(bus->machine, index);
	char name[16], dir[64], path[96], target[96];
	int err;

	pci_unit_name(bus->machine, u, name, sizeof(name));
	snprintf(dir, sizeof(dir), "/sys/devices/virtual/iommu/%s", name);
	snprintf(path, sizeof(path), "%s/devices", dir);
	err = view_own_dir(bus->view, dir);
	if (!err)
		err = view_own_dir(bus->view, path);
	snprintf(path, sizeof(path), "/sys/class/iommu/%s", name);
	snprintf(target, sizeof(target), "../../devices/virtual/iommu/%s", name);
	if (!err)
		err = view_add_link(bus->view, path, target);
	if (err)
		return err;
	return u->config.type == IOMMUFD_UNIT_VTD ? add_vtd(bus, dir, u, index)
						  : add_amd(bus, dir, u);
}

static int add_common(struct pci_bus *bus)
{
	size_t units = bus->machine->units ? bus->machine->nr_units : 1;
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_LEN(directories); i++)
		err = view_own_dir(bus->view, directories[i]);
	for (size_t i = 0; !err && i < units; i++)
		err = add_unit(bus, i);
	if (!err)
		err = pci_nodes_add_misc(bus->view, "iommu", "iommu",
					 MACHINE_IOMMU_MINOR);
	if (!err)
		err = pci_nodes_add_misc(bus->view, "vfio", "vfio/vfio",
					 MACHINE_VFIO_CONTAINER_MINOR);
	return err ? err : pci_drivers_create(bus);
}

/* ---- functions ------------------------------------------------------------------------
 */

struct pci_function *pci_bus_find(struct pci_bus *bus, const char *bdf)
{
	struct pci_function *f = bus->functions;

	while (f && strcmp(f->bdf, bdf))
		f = f->next;
	return f;
}

/* From /sys: below the ports that lead to it. */
static void find_dir(struct pci_function *f, const struct machine_port *port, char *buf,
		     size_t cap)
{
	char bdf[16];

	if (!port) {
		snprintf(buf, cap, "devices/pci%04x:00", f->at.domain);
		return;
	}
	find_dir(f, port->parent, buf, cap);
	pci_bdf_format(&port->at, bdf);
	snprintf(buf + strlen(buf), cap - strlen(buf), "/%s", bdf);
}

/* @port: that leads to it. */
static struct pci_function *new_function(struct pci_bus *bus, const struct pci_bdf *at,
					 const struct machine_port *port, unsigned group)
{
	struct pci_function *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->bus = bus;
	f->at = *at;
	f->group = group;
	pthread_mutex_init(&f->bind, NULL);
	pci_bdf_format(at, f->bdf);
	find_dir(f, port, f->dir, sizeof(f->dir));
	snprintf(f->dir + strlen(f->dir), sizeof(f->dir) - strlen(f->dir), "/%s", f->bdf);
	return f;
}

static void free_function(struct pci_function *f)
{
	pci_live_finish(f);
	pthread_mutex_destroy(&f->bind);
	free(f->override);
	free(f);
}

static struct pci_function *endpoint(struct pci_bus *bus, struct pci_device *dev)
{
	const struct pci_placement *at = pci_device_placement(dev);
	const struct uiommufd_device_desc *desc = pci_device_desc(dev);
	const struct machine *m = bus->machine;
	/* A virtual function is where its physical one is, whatever its bus. */
	const struct pci_placement *place = at->pf ? pci_device_placement(at->pf) : at;
	struct pci_function *f = new_function(
		bus, &at->bdf, machine_port_to(m->ports, m->nr_ports, &place->bdf),
		at->group);

	if (!f)
		return NULL;
	f->dev = dev;
	f->unit = at->unit;
	f->revision = desc->revision;
	f->ids = (struct pci_ids){.vendor = desc->vendor_id,
				  .device = desc->device_id,
				  .subvendor = desc->subsystem_vendor_id,
				  .subdevice = desc->subsystem_id,
				  .class_code = desc->class_code};
	return f;
}

static struct pci_function *bridge(struct pci_bus *bus, const struct machine_port *port)
{
	struct pci_function *f = new_function(bus, &port->at, port->parent, port->group);

	if (!f)
		return NULL;
	f->port = port;
	f->ids = (struct pci_ids){.vendor = machine_port_vendor(port),
				  .device = machine_port_device(port),
				  .class_code = 0x060400};
	return f;
}

/* With whatever driver it is to have. Takes @f over. */
static int add_function(struct pci_bus *bus, struct pci_function *f, const char *driver)
{
	struct pci_driver *drv = NULL;
	int err;

	if (strcmp(driver, PCI_DRIVER_NONE)) {
		drv = pci_driver_get(bus, driver);
		if (!drv) {
			free_function(f);
			return -EINVAL;
		}
	}
	err = pci_nodes_add(f);
	pthread_mutex_lock(&bus->lock);
	f->serial = ++bus->serials;
	f->next = bus->functions;
	bus->functions = f;
	pthread_mutex_unlock(&bus->lock);
	if (!err && drv)
		err = pci_driver_attach(f, drv);
	return err;
}

/* What a driver has ids for, it takes when it is bound again. */
static int remember_ids(struct pci_bus *bus, const struct pci_function *f,
			const char *driver)
{
	const struct pci_ids id = {
		f->ids.vendor, f->ids.device, PCI_ANY_ID, PCI_ANY_ID, 0, 0};
	struct pci_driver *drv = bus->vfio;
	int err;

	if (strcmp(driver, PCI_DRIVER_NONE))
		drv = pci_driver_get(bus, driver);
	if (!drv)
		return -EINVAL;
	err = pci_driver_add_ids(drv, &id);
	return err == -EEXIST ? 0 : err;
}

int pci_bus_add(struct pci_bus *bus, struct pci_device *dev)
{
	const char *name = pci_device_placement(dev)->driver;
	const char *driver = name[0] ? name : PCI_DRIVER_VFIO;
	struct pci_function *f = endpoint(bus, dev);
	int err;

	if (!f)
		return -ENOMEM;
	err = remember_ids(bus, f, driver);
	if (err) {
		free_function(f);
		return err;
	}
	return add_function(bus, f, driver);
}

/* With the lock held; nobody finds it any more, and nobody is at it. False: it is gone.
 */
static bool take_out(struct pci_function *f)
{
	struct pci_function **at = &f->bus->functions;

	while (*at && *at != f)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = f->next;
	while (f->users)
		pthread_cond_wait(&f->bus->unused, &f->bus->lock);
	return true;
}

static void remove_taken(struct pci_function *f)
{
	if (f->driver)
		pci_driver_detach(f, f->driver);
	pci_nodes_remove(f);
	free_function(f);
}

void pci_bus_remove_function(struct pci_function *f)
{
	struct pci_bus *bus = f->bus;
	bool taken;

	pthread_mutex_lock(&bus->lock);
	taken = take_out(f);
	pthread_mutex_unlock(&bus->lock);
	if (taken)
		remove_taken(f);
}

void pci_bus_remove(struct pci_bus *bus, struct pci_device *dev)
{
	struct pci_function *f;

	pthread_mutex_lock(&bus->lock);
	for (f = bus->functions; f && f->dev != dev; f = f->next)
		continue;
	if (f && !take_out(f))
		f = NULL;
	pthread_mutex_unlock(&bus->lock);
	if (f)
		remove_taken(f);
}

int pci_bus_add_port(struct pci_bus *bus, const struct machine_port *port)
{
	struct pci_function *f = bridge(bus, port);

	return f ? add_function(bus, f, PORT_DRIVER) : -ENOMEM;
}

static int add_ports(struct pci_bus *bus)
{
	const struct machine *m = bus->machine;
	int err = 0;

	for (size_t i = 0; !err && i < m->nr_ports; i++)
		err = pci_bus_add_port(bus, &m->ports[i]);
	return err;
}

/* Each directory shows what the host has in it beside ours, or ours alone. */
static int list_dirs(struct pci_bus *bus, bool host_devices)
{
	char path[64];
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_LEN(listed); i++)
		err = view_list_dir(bus->view, listed[i]);
	for (size_t i = 0; !err && i < ARRAY_LEN(of_functions); i++)
		err = host_devices ? view_list_dir(bus->view, of_functions[i])
				   : view_own_dir(bus->view, of_functions[i]);
	for (const struct pci_function *f = bus->functions; !err && f; f = f->next) {
		snprintf(path, sizeof(path), "/sys/devices/pci%04x:00", f->at.domain);
		err = view_list_dir(bus->view, path);
	}
	return err;
}

static int populate(struct pci_bus *bus, bool host_devices)
{
	const struct machine *m = bus->machine;
	int err = add_common(bus);

	if (!err)
		err = add_ports(bus);
	for (size_t i = 0; !err && i < m->nr_devices; i++)
		if (pci_device_present(m->devices[i]))
			err = pci_bus_add(bus, m->devices[i]);
	return err ? err : list_dirs(bus, host_devices);
}

int pci_bus_create(struct machine *m, struct view *v, bool host_devices,
		   struct pci_bus **out)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));
	int err;

	if (!bus)
		return -ENOMEM;
	bus->machine = m;
	bus->view = v;
	pthread_mutex_init(&bus->lock, NULL);
	pthread_mutex_init(&bus->groups, NULL);
	pthread_mutex_init(&bus->hotplug, NULL);
	pthread_mutex_init(&bus->refreshing, NULL);
	pthread_cond_init(&bus->unused, NULL);
	err = populate(bus, host_devices);
	*out = bus;
	return err;
}

void pci_bus_stop(struct pci_bus *bus)
{
	if (bus)
		bus->stopping = true;
}

void pci_bus_destroy(struct pci_bus *bus)
{
	struct pci_function *f;

	if (!bus)
		return;
	while ((f = bus->functions)) {
		bus->functions = f->next;
		free_function(f);
	}
	pci_drivers_destroy(bus);
	pthread_cond_destroy(&bus->unused);
	pthread_mutex_destroy(&bus->refreshing);
	pthread_mutex_destroy(&bus->hotplug);
	pthread_mutex_destroy(&bus->groups);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}
