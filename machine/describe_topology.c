/* SPDX-License-Identifier: MIT */
/*
 * From a description's devices to its buses: ports are taken out of the list of devices,
 * buses without a port get a root port, and IOMMU groups follow from what keeps functions
 * apart (ACS), where they are not given.
 *
 * Groups are those that Linux would form: what is behind a port that cannot keep its
 * functions apart, or behind such a port's ports, shares the port's group; functions of
 * one device that cannot be kept apart share one.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/port.h"
#include "machine/describe.h"

static const struct {
	const char *name;
	enum port_kind kind;
} port_models[] = {
	{"root-port", PORT_ROOT},
	{"switch-upstream", PORT_UPSTREAM},
	{"switch-downstream", PORT_DOWNSTREAM},
};

/* 0: no port. */
static enum port_kind kind_of(const char *model)
{
	for (size_t i = 0; i < sizeof(port_models) / sizeof(port_models[0]); i++)
		if (!strcmp(model, port_models[i].name))
			return port_models[i].kind;
	return 0;
}

static const char *name_of(enum port_kind kind)
{
	for (size_t i = 0; i < sizeof(port_models) / sizeof(port_models[0]); i++)
		if (port_models[i].kind == kind)
			return port_models[i].name;
	return "port";
}

/* ---- taking the ports out ------------------------------------------------------------
 */

/* The bus it leads to: hexadecimal, 01 to ff. */
static int parse_bus(const char *text, uint8_t *bus)
{
	unsigned v;

	if (!describe_hex(text, 2, '\0', &v) || !v)
		return -EINVAL;
	*bus = (uint8_t)v;
	return 0;
}

static int port_options(const struct device_description *dev, struct machine_port *port,
			char *error, size_t cap)
{
	for (size_t i = 0; i < dev->nr_options; i++) {
		const struct uiommufd_option *o = &dev->options[i];

		if (strcmp(o->name, "bus"))
			return describe_bad(error, cap,
					    "%s: no option \"%s\" (bdf, bus, "
					    "acs, group)",
					    dev->model, o->name);
		if (parse_bus(o->value, &port->secondary))
			return describe_bad(error, cap,
					    "%s: bus=%s: not a bus number from 01 to ff",
					    dev->model, o->value);
	}
	if (dev->nr_direct)
		return describe_bad(error, cap, "%s: ports do no DMA: no direct memory",
				    dev->model);
	if (!dev->has_bdf || !port->secondary)
		return describe_bad(error, cap, "%s: needs bdf= and bus=", dev->model);
	return 0;
}

/* There is room for one port for each device, and one more for its bus. */
static int take_port(struct description *d, size_t i, char *error, size_t cap)
{
	struct device_description *dev = &d->devices[i];
	struct port_description *p = &d->ports[d->nr_ports];
	char bdf[16];
	int err;

	pci_bdf_format(&dev->bdf, bdf);
	if (dev->has_bdf && describe_port_at(d, &dev->bdf))
		return describe_bad(error, cap, "two devices at %s", bdf);
	*p = (struct port_description){
		.port = {.kind = kind_of(dev->model),
			 .at = dev->bdf,
			 .acs = !dev->no_acs},
		.has_group = dev->has_group,
	};
	p->port.group = dev->group;
	err = port_options(dev, &p->port, error, cap);
	if (err)
		return err;
	d->nr_ports++;
	describe_device_finish(dev);
	memmove(dev, dev + 1, (d->n - i - 1) * sizeof(*dev));
	d->n--;
	return 0;
}

int describe_ports(struct description *d, char *error, size_t cap)
{
	int err = 0;

	d->ports = calloc(2 * d->n + 1, sizeof(*d->ports));
	if (!d->ports)
		return -ENOMEM;
	for (size_t i = 0; !err && i < d->n;) {
		if (kind_of(d->devices[i].model))
			err = take_port(d, i, error, cap);
		else
			i++;
	}
	return err;
}

bool describe_port_at(const struct description *d, const struct pci_bdf *at)
{
	for (size_t i = 0; i < d->nr_ports; i++)
		if (pci_bdf_key(&d->ports[i].port.at) == pci_bdf_key(at))
			return true;
	return false;
}

static struct port_description *port_to(const struct description *d, uint16_t domain,
					uint8_t bus)
{
	for (size_t i = 0; i < d->nr_ports; i++)
		if (d->ports[i].port.at.domain == domain &&
		    d->ports[i].port.secondary == bus)
			return &d->ports[i];
	return NULL;
}

bool describe_bus_is_internal(const struct description *d, const struct pci_bdf *at)
{
	const struct port_description *p = port_to(d, at->domain, at->bus);

	return p && p->port.kind == PORT_UPSTREAM;
}

/* ---- ports for all buses --------------------------------------------------------------
 */

static bool slot_taken(const struct description *d, const struct pci_bdf *at)
{
	for (size_t i = 0; i < d->n; i++)
		if (pci_bdf_key(&d->devices[i].bdf) == pci_bdf_key(at))
			return true;
	return describe_port_at(d, at);
}

/*
 * Functions of the devices from 10 on, which the hosts whose own devices show beside ours
 * seldom have; then those below.
 */
static bool free_slot(const struct description *d, struct pci_bdf *at)
{
	for (unsigned i = 0; i < 31 * 8; i++) {
		unsigned device = 0x10 + i / 8;

		at->device = (uint8_t)(device < 32 ? device : device - 31);
		at->function = i % 8;
		if (!slot_taken(d, at))
			return true;
	}
	return false;
}

static int add_root_port(struct description *d, uint16_t domain, uint8_t bus, char *error,
			 size_t cap)
{
	struct pci_bdf at = {.domain = domain};

	if (!free_slot(d, &at))
		return describe_bad(error, cap,
				    "no room for a root port to bus %04x:%02x", domain,
				    bus);
	d->ports[d->nr_ports++] = (struct port_description){
		.port = {.kind = PORT_ROOT, .at = at, .secondary = bus, .acs = true}};
	return 0;
}

static int need_bus(struct description *d, const struct pci_bdf *at, char *error,
		    size_t cap)
{
	if (!at->bus || port_to(d, at->domain, at->bus))
		return 0;
	return add_root_port(d, at->domain, at->bus, error, cap);
}

/* ---- checks ---------------------------------------------------------------------------
 */

static int check_place(const struct description *d, const struct machine_port *port,
		       char *error, size_t cap)
{
	const struct port_description *above = port_to(d, port->at.domain, port->at.bus);
	const char *wrong = NULL;
	char bdf[16];

	if (port->secondary <= port->at.bus)
		wrong = "the bus it leads to has to have a higher number";
	else if (port->kind == PORT_ROOT && port->at.bus)
		wrong = "a root port is on bus 00";
	else if (port->kind == PORT_UPSTREAM &&
		 (!above || above->port.kind == PORT_UPSTREAM))
		wrong = "it has to be below a root port or another switch";
	else if (port->kind == PORT_DOWNSTREAM &&
		 (!above || above->port.kind != PORT_UPSTREAM))
		wrong = "it has to be on the bus of its switch-upstream";
	if (!wrong)
		return 0;
	pci_bdf_format(&port->at, bdf);
	return describe_bad(error, cap, "%s at %s: %s", name_of(port->kind), bdf, wrong);
}

static bool is_below(const struct machine_port *port, const struct machine_port *above)
{
	for (; port; port = port->parent)
		if (port == above)
			return true;
	return false;
}

/* Bus numbers are given to a port in one range, as those that enumerate buses do. */
static int check_ranges(const struct description *d, const struct machine_port *a,
			char *error, size_t cap)
{
	for (size_t i = 0; i < d->nr_ports; i++) {
		const struct machine_port *b = &d->ports[i].port;
		char bdf[16];

		if (a == b || a->at.domain != b->at.domain)
			continue;
		pci_bdf_format(&a->at, bdf);
		if (a->secondary == b->secondary)
			return describe_bad(error, cap, "two ports lead to bus %04x:%02x",
					    a->at.domain, a->secondary);
		if (b->secondary > a->secondary && b->secondary <= a->subordinate &&
		    !is_below(b, a))
			return describe_bad(error, cap,
					    "bus %02x is among those below the port at "
					    "%s, but not reached through it",
					    b->secondary, bdf);
	}
	return 0;
}

static void connect(struct description *d)
{
	for (size_t i = 0; i < d->nr_ports; i++) {
		struct machine_port *port = &d->ports[i].port;
		struct port_description *above =
			port_to(d, port->at.domain, port->at.bus);

		port->parent = above ? &above->port : NULL;
		port->subordinate = port->secondary;
		for (size_t j = 0; j < d->nr_ports; j++)
			if (j != i && d->ports[j].port.at.domain == port->at.domain &&
			    d->ports[j].port.at.bus == port->at.bus &&
			    d->ports[j].port.at.device == port->at.device)
				port->multifunction = true;
	}
	/* The parents lead to lower buses, so none is its own ancestor. */
	for (size_t i = 0; i < d->nr_ports; i++) {
		struct machine_port *port = &d->ports[i].port;

		for (struct machine_port *p = (struct machine_port *)port->parent; p;
		     p = (struct machine_port *)p->parent)
			if (p->subordinate < port->secondary)
				p->subordinate = port->secondary;
	}
}

int describe_buses(struct description *d, char *error, size_t cap)
{
	size_t given = d->nr_ports;
	int err = 0;

	for (size_t i = 0; !err && i < given; i++)
		if (d->ports[i].port.kind != PORT_DOWNSTREAM)
			err = need_bus(d, &d->ports[i].port.at, error, cap);
	for (size_t i = 0; !err && i < d->n; i++)
		err = need_bus(d, &d->devices[i].bdf, error, cap);
	for (size_t i = 0; !err && i < d->nr_ports; i++)
		err = check_place(d, &d->ports[i].port, error, cap);
	for (size_t i = 0; !err && i < d->n; i++)
		if (describe_bus_is_internal(d, &d->devices[i].bdf))
			err = describe_bad(error, cap,
					   "%s: bus %02x is inside a switch: only its "
					   "downstream ports are there",
					   d->devices[i].model, d->devices[i].bdf.bus);
	if (err)
		return err;
	connect(d);
	for (size_t i = 0; !err && i < d->nr_ports; i++)
		err = check_ranges(d, &d->ports[i].port, error, cap);
	return err;
}

/* ---- groups ---------------------------------------------------------------------------
 */

static bool group_taken(const struct description *d, unsigned group)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->devices[i].has_group && d->devices[i].group == group)
			return true;
	for (size_t i = 0; i < d->nr_ports; i++)
		if (d->ports[i].has_group && d->ports[i].port.group == group)
			return true;
	return false;
}

static unsigned new_group(const struct description *d)
{
	unsigned group = 1;

	while (group_taken(d, group))
		group++;
	return group;
}

/* Does every port from this one up keep apart what is below it? */
static bool keeps_apart(const struct machine_port *port)
{
	for (; port; port = port->parent)
		if (!port->acs && port->kind != PORT_UPSTREAM)
			return false;
	return true;
}

static void group_port(struct description *d, struct port_description *p);

/* The group of what is below @port, if it is not kept apart. */
static bool shared_group(struct description *d, const struct machine_port *port,
			 unsigned *group)
{
	struct port_description *p;

	if (!port || keeps_apart(port))
		return false;
	p = container_of(port, struct port_description, port);
	group_port(d, p);
	*group = port->group;
	return true;
}

static void group_port(struct description *d, struct port_description *p)
{
	if (p->has_group)
		return;
	if (!shared_group(d, p->port.parent, &p->port.group))
		p->port.group = new_group(d);
	p->has_group = true;
}

/* Another function of the same device, before this one, that is not kept apart from it.
 */
static const struct device_description *sibling(const struct description *d, size_t i)
{
	const struct device_description *dev = &d->devices[i];

	for (size_t j = 0; dev->no_acs && j < i; j++) {
		const struct device_description *other = &d->devices[j];

		if (other->no_acs && other->bdf.domain == dev->bdf.domain &&
		    other->bdf.bus == dev->bdf.bus &&
		    other->bdf.device == dev->bdf.device)
			return other;
	}
	return NULL;
}

void describe_groups(struct description *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct device_description *dev = &d->devices[i];
		struct port_description *p = port_to(d, dev->bdf.domain, dev->bdf.bus);
		const struct device_description *other = sibling(d, i);

		if (dev->has_group)
			continue;
		if (other)
			dev->group = other->group;
		else if (!shared_group(d, p ? &p->port : NULL, &dev->group))
			dev->group = new_group(d);
		dev->has_group = true;
	}
	for (size_t i = 0; i < d->nr_ports; i++)
		group_port(d, &d->ports[i]);
}
