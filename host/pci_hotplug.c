/* SPDX-License-Identifier: MIT */
/*
 * `remove` and `rescan`: a function is taken away, as if its slot had lost it, and found
 * again.
 *
 * What is taken away is unbound first, so whoever has it open is waited for and asked to
 * let go, as by an unbind. A port takes along what is below it. What comes back is bound
 * as at the start. Virtual functions come and go with their physical one, so they have
 * neither attribute.
 *
 * One goes or comes at a time: `hotplug` is held throughout. Who asks for the removal of
 * a function does so by an attribute of that function, which goes with it: from
 * view_leave() on it has only what it has copied.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/pci_bus.h"
#include "host/view.h"
#include "host/view_attr.h"
#include "machine/machine.h"
#include "machine/topology.h"

#define LOOK_US 1000

/* ---- remove -------------------------------------------------------------------------
 */

static struct pci_function *by_serial(struct pci_bus *bus, uint64_t serial)
{
	struct pci_function *f;

	pthread_mutex_lock(&bus->lock);
	for (f = bus->functions; f && f->serial != serial; f = f->next)
		continue;
	pthread_mutex_unlock(&bus->lock);
	return f;
}

static bool is_below(const struct pci_function *f, const struct pci_function *port)
{
	size_t n = strlen(port->dir);

	return !strncmp(f->dir, port->dir, n) && f->dir[n] == '/';
}

/* The deepest of what is below the port; NULL: nothing is. */
static struct pci_function *deepest_below(struct pci_function *port)
{
	struct pci_function *deepest = NULL;

	pthread_mutex_lock(&port->bus->lock);
	for (struct pci_function *f = port->bus->functions; f; f = f->next) {
		if (f->dev && pci_device_pf(f->dev))
			continue;
		if (is_below(f, port) &&
		    (!deepest || strlen(f->dir) > strlen(deepest->dir)))
			deepest = f;
	}
	pthread_mutex_unlock(&port->bus->lock);
	return deepest;
}

/* With `hotplug` held. */
static void remove_with_all_below(struct pci_function *f)
{
	struct pci_function *below;

	while (f->port && (below = deepest_below(f)))
		pci_bus_remove_function(below);
	pci_bus_remove_function(f);
}

static int store_remove(void *object, const char *text, size_t n)
{
	struct pci_function *f = object;
	struct pci_bus *bus = f->bus;
	uint64_t serial = f->serial;
	char path[PCI_PATH_BYTES];
	long value;

	(void)n;
	if (pci_parse_number(text, &value) || value < 0)
		return -EINVAL;
	if (!value || !view_leave(bus->view, pci_path(f, "remove", path)))
		return 0;
	pthread_mutex_lock(&bus->hotplug);
	f = by_serial(bus, serial);
	if (f)
		remove_with_all_below(f);
	pthread_mutex_unlock(&bus->hotplug);
	return 0;
}

/* ---- rescan -------------------------------------------------------------------------
 */

static bool is_there(struct pci_bus *bus, const struct pci_device *dev,
		     const struct machine_port *port)
{
	struct pci_function *f;

	pthread_mutex_lock(&bus->lock);
	for (f = bus->functions; f && (f->dev != dev || f->port != port); f = f->next)
		continue;
	pthread_mutex_unlock(&bus->lock);
	return f;
}

/* With `hotplug` held. */
static int find_all(struct pci_bus *bus)
{
	const struct machine *m = bus->machine;
	int err = 0;

	for (size_t i = 0; !err && i < m->nr_ports; i++)
		if (!is_there(bus, NULL, &m->ports[i]))
			err = pci_bus_add_port(bus, &m->ports[i]);
	for (size_t i = 0; !err && i < m->nr_devices; i++)
		if (!pci_device_pf(m->devices[i]) && !is_there(bus, m->devices[i], NULL))
			err = pci_bus_add(bus, m->devices[i]);
	return err;
}

int pci_hotplug_rescan(void *object, const char *text, size_t n)
{
	struct pci_bus *bus = object;
	long value;
	int err = 0;

	(void)n;
	if (pci_parse_number(text, &value) || value < 0)
		return -EINVAL;
	if (!value)
		return 0;
	pthread_mutex_lock(&bus->hotplug);
	err = find_all(bus);
	pthread_mutex_unlock(&bus->hotplug);
	return err;
}

/* A removal of the function waits for this call, and has the lock meanwhile. */
static int store_rescan(void *object, const char *text, size_t n)
{
	struct pci_function *f = object;
	char path[PCI_PATH_BYTES];
	long value;
	int err;

	(void)n;
	if (pci_parse_number(text, &value) || value < 0)
		return -EINVAL;
	if (!value)
		return 0;
	pci_path(f, "rescan", path);
	while (pthread_mutex_trylock(&f->bus->hotplug)) {
		if (f->bus->stopping || !view_has(f->bus->view, path))
			return -ENODEV;
		usleep(LOOK_US);
	}
	err = find_all(f->bus);
	pthread_mutex_unlock(&f->bus->hotplug);
	return err;
}

static const struct view_attr remove_attr = {.mode = 0220, .store = store_remove};
static const struct view_attr rescan_attr = {.mode = 0220, .store = store_rescan};

int pci_hotplug_add(struct pci_function *f)
{
	char path[PCI_PATH_BYTES];
	int err;

	if (f->dev && pci_device_pf(f->dev))
		return 0;
	err = view_add_attr(f->bus->view, pci_path(f, "remove", path), &remove_attr, f);
	return err ? err
		   : view_add_attr(f->bus->view, pci_path(f, "rescan", path),
				   &rescan_attr, f);
}
