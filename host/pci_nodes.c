/* SPDX-License-Identifier: MIT */
/*
 * What shows of a function in /dev and /sys, laid out as Linux 7.3 does it behind an
 * Intel IOMMU: links and directories; its attributes are in pci_attrs.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "core/port.h"
#include "host/pci_bus.h"
#include "host/view.h"
#include "machine/machine.h"

#define PATH_BYTES PCI_PATH_BYTES

const char *pci_path(const struct pci_function *f, const char *name,
		     char buf[PCI_PATH_BYTES])
{
	snprintf(buf, PCI_PATH_BYTES, "/sys/%s/%s", f->dir, name);
	return buf;
}

/* As many "../" as lead from a node in the directory @dir, given from /sys, to /sys. */
static const char *up(const char *dir, char buf[PATH_BYTES])
{
	size_t at = 0;

	for (buf[0] = '\0'; dir; dir = strchr(dir + 1, '/'))
		at += (size_t)snprintf(buf + at, PATH_BYTES - at, "../");
	return buf;
}

/* A link in the function's directory, or in @below it, to @to, given from /sys. */
static int link_to(const struct pci_function *f, const char *below, const char *name,
		   const char *to)
{
	char dir[PATH_BYTES], ups[PATH_BYTES], path[2 * PATH_BYTES],
		target[2 * PATH_BYTES];

	snprintf(dir, sizeof(dir), "%s%s", f->dir, below);
	snprintf(path, sizeof(path), "/sys/%s/%s", dir, name);
	snprintf(target, sizeof(target), "%s%s", up(dir, ups), to);
	return view_add_link(f->bus->view, path, target);
}

int pci_nodes_link(struct pci_function *f, const char *name, const char *to)
{
	return link_to(f, "", name, to);
}

/* A link at /sys/<dir>/<name> to @to, given from /sys. */
static int link_from(struct view *v, const char *dir, const char *name, const char *to)
{
	char ups[PATH_BYTES], path[3 * PATH_BYTES], target[3 * PATH_BYTES];

	snprintf(path, sizeof(path), "/sys/%s/%s", dir, name);
	snprintf(target, sizeof(target), "%s%s", up(dir, ups), to);
	return view_add_link(v, path, target);
}

/* ---- character devices --------------------------------------------------------------
 */

/* What names a character device: /dev/<node>, its number, and its directory in /sys. */
struct char_device {
	const char *node, *class, *name;
	char dir[PATH_BYTES]; /* from /sys */
	unsigned major, minor;
};

static int add_char_device(struct view *v, const struct char_device *d)
{
	char path[2 * PATH_BYTES], target[2 * PATH_BYTES], number[32];
	int err;

	snprintf(number, sizeof(number), "%u:%u", d->major, d->minor);
	snprintf(path, sizeof(path), "/sys/%s", d->dir);
	err = view_own_dir(v, path);
	snprintf(path, sizeof(path), "/sys/%s/dev", d->dir);
	if (!err)
		err = view_add_text(v, path, "%s\n", number);
	snprintf(path, sizeof(path), "/sys/%s/uevent", d->dir);
	if (!err)
		err = view_add_text(v, path, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n", d->major,
				    d->minor, d->node);
	snprintf(path, sizeof(path), "class/%s", d->class);
	if (!err)
		err = link_from(v, d->dir, "subsystem", path);
	if (!err)
		err = link_from(v, path, d->name, d->dir);
	if (!err)
		err = link_from(v, "dev/char", number, d->dir);
	snprintf(path, sizeof(path), "/dev/char/%s", number);
	snprintf(target, sizeof(target), "../%s", d->node);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/dev/%s", d->node);
	return err ? err : view_add_device(v, path, makedev(d->major, d->minor));
}

static void remove_char_device(struct view *v, const struct char_device *d)
{
	char path[2 * PATH_BYTES];

	snprintf(path, sizeof(path), "/dev/%s", d->node);
	view_remove(v, path);
	snprintf(path, sizeof(path), "/dev/char/%u:%u", d->major, d->minor);
	view_remove(v, path);
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", d->major, d->minor);
	view_remove(v, path);
	snprintf(path, sizeof(path), "/sys/class/%s/%s", d->class, d->name);
	view_remove(v, path);
	snprintf(path, sizeof(path), "/sys/%s", d->dir);
	view_remove(v, path);
}

int pci_nodes_add_misc(struct view *v, const char *name, const char *node, unsigned minor)
{
	struct char_device d = {.node = node,
				.class = "misc",
				.name = name,
				.major = MACHINE_MISC_MAJOR,
				.minor = minor};

	snprintf(d.dir, sizeof(d.dir), "devices/virtual/misc/%s", name);
	return add_char_device(v, &d);
}

/* A group's node: /dev/vfio/N, of class vfio. */
struct group_node {
	struct char_device d;
	char node[32], name[16];
};

static void name_group_node(struct group_node *g, unsigned n)
{
	snprintf(g->node, sizeof(g->node), "vfio/%u", n);
	snprintf(g->name, sizeof(g->name), "%u", n);
	g->d = (struct char_device){.node = g->node,
				    .class = "vfio",
				    .name = g->name,
				    .major = MACHINE_VFIO_GROUP_MAJOR,
				    .minor = n};
	snprintf(g->d.dir, sizeof(g->d.dir), "devices/virtual/vfio/%u", n);
}

/* BDF/vfio-dev/vfioN and what names it. */
struct cdev_node {
	struct char_device d;
	char node[32], name[16];
};

static void name_cdev(struct cdev_node *c, const struct pci_function *f)
{
	unsigned n = pci_device_placement(f->dev)->index;

	snprintf(c->node, sizeof(c->node), "vfio/devices/vfio%u", n);
	snprintf(c->name, sizeof(c->name), "vfio%u", n);
	c->d = (struct char_device){.node = c->node,
				    .class = "vfio-dev",
				    .name = c->name,
				    .major = MACHINE_VFIO_MAJOR,
				    .minor = n};
	snprintf(c->d.dir, sizeof(c->d.dir), "%s/vfio-dev/vfio%u", f->dir, n);
}

static int add_cdev(struct pci_function *f)
{
	char below[48];
	struct cdev_node c;
	int err;

	name_cdev(&c, f);
	err = add_char_device(f->bus->view, &c.d);
	snprintf(below, sizeof(below), "/vfio-dev/%s", c.name);
	return err ? err : link_to(f, below, "device", f->dir);
}

/* ---- IOMMU groups -------------------------------------------------------------------
 */

static int add_group(struct pci_function *f)
{
	char group[64], path[PATH_BYTES], dir[PATH_BYTES];
	struct view *v = f->bus->view;
	int err = 0;

	snprintf(group, sizeof(group), "kernel/iommu_groups/%u", f->group);
	snprintf(path, sizeof(path), "/sys/%s", group);
	/* Another function of the group may have made it. */
	if (!view_has(v, path)) {
		err = view_own_dir(v, path);
		snprintf(path, sizeof(path), "/sys/%s/type", group);
		if (!err)
			err = view_add_text(v, path, "DMA\n");
	}
	snprintf(path, sizeof(path), "/sys/%s/reserved_regions", group);
	if (!err)
		err = pci_reserved_show(f, path);
	snprintf(dir, sizeof(dir), "%s/devices", group);
	if (!err)
		err = link_from(v, dir, f->bdf, f->dir);
	return err ? err : link_to(f, "", "iommu_group", group);
}

/* With the bus's lock held. */
static bool group_has(const struct pci_function *f, bool bound)
{
	for (const struct pci_function *g = f->bus->functions; g; g = g->next) {
		if (g == f || g->group != f->group)
			continue;
		if (!bound || g->driver == f->bus->vfio)
			return true;
	}
	return false;
}

static bool alone_in_group(const struct pci_function *f, bool bound)
{
	bool alone;

	pthread_mutex_lock(&f->bus->lock);
	alone = !group_has(f, bound);
	pthread_mutex_unlock(&f->bus->lock);
	return alone;
}

static void remove_group(struct pci_function *f)
{
	bool alone = alone_in_group(f, false);
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u%s%s", f->group,
		 alone ? "" : "/devices/", alone ? "" : f->bdf);
	view_remove(f->bus->view, path);
}

/* ---- drivers ------------------------------------------------------------------------
 */

int pci_nodes_bound(struct pci_function *f, const struct pci_driver *drv)
{
	char path[PATH_BYTES], dir[64];
	struct group_node g;
	int err;

	snprintf(dir, sizeof(dir), "bus/pci/drivers/%s", drv->name);
	err = link_to(f, "", "driver", dir);
	if (!err)
		err = link_from(f->bus->view, dir, f->bdf, f->dir);
	if (err || drv != f->bus->vfio)
		return err;
	err = add_cdev(f);
	name_group_node(&g, f->group);
	snprintf(path, sizeof(path), "/dev/%s", g.node);
	pthread_mutex_lock(&f->bus->groups);
	if (!err && !view_has(f->bus->view, path))
		err = add_char_device(f->bus->view, &g.d);
	pthread_mutex_unlock(&f->bus->groups);
	return err;
}

void pci_nodes_leaving(struct pci_function *f)
{
	char path[PATH_BYTES];
	struct cdev_node c;

	name_cdev(&c, f);
	remove_char_device(f->bus->view, &c.d);
	view_remove(f->bus->view, pci_path(f, "vfio-dev", path));
}

void pci_nodes_unbound(struct pci_function *f, const struct pci_driver *drv)
{
	char path[PATH_BYTES];
	struct group_node g;

	pthread_mutex_lock(&f->bus->groups);
	if (drv == f->bus->vfio && alone_in_group(f, true)) {
		name_group_node(&g, f->group);
		remove_char_device(f->bus->view, &g.d);
	}
	pthread_mutex_unlock(&f->bus->groups);
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/%s", drv->name, f->bdf);
	view_remove(f->bus->view, path);
	view_remove(f->bus->view, pci_path(f, "driver", path));
}

/* ---- the function -------------------------------------------------------------------
 */

int pci_nodes_add(struct pci_function *f)
{
	char path[PATH_BYTES], unit[16], dir[64];
	struct view *v = f->bus->view;
	int err;

	pci_unit_name(f->bus->machine, f->unit, unit, sizeof(unit));
	snprintf(dir, sizeof(dir), "devices/virtual/iommu/%s", unit);
	snprintf(path, sizeof(path), "/sys/%s", f->dir);
	err = view_own_dir(v, path);
	if (!err)
		err = pci_attrs_add(f);
	if (!err)
		err = link_to(f, "", "subsystem", "bus/pci");
	if (!err)
		err = link_from(v, "bus/pci/devices", f->bdf, f->dir);
	if (!err)
		err = link_to(f, "", "iommu", dir);
	snprintf(dir, sizeof(dir), "devices/virtual/iommu/%s/devices", unit);
	if (!err)
		err = link_from(v, dir, f->bdf, f->dir);
	if (!err)
		err = add_group(f);
	return err ? err : debugfs_add(f);
}

void pci_nodes_remove(struct pci_function *f)
{
	struct view *v = f->bus->view;
	char path[PATH_BYTES], unit[16];

	debugfs_remove(f);
	remove_group(f);
	pci_unit_name(f->bus->machine, f->unit, unit, sizeof(unit));
	snprintf(path, sizeof(path), "/sys/devices/virtual/iommu/%s/devices/%s", unit,
		 f->bdf);
	view_remove(v, path);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", f->bdf);
	view_remove(v, path);
	snprintf(path, sizeof(path), "/sys/%s", f->dir);
	view_remove(v, path);
}
