/* SPDX-License-Identifier: MIT */
/*
 * SR-IOV in sysfs: a physical function's sriov_* attributes, and the virtual functions
 * that a write to sriov_numvfs makes and takes away.
 *
 * How many there are changes with the physical function's `bind` held, so it stays bound
 * to vfio-pci meanwhile. Unbinding it takes its virtual functions away first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/port.h"
#include "host/pci_bus.h"
#include "host/view.h"
#include "host/view_attr.h"

/* ---- the functions ------------------------------------------------------------------
 */

static struct pci_function *function_of(struct pci_bus *bus, const struct pci_device *dev)
{
	struct pci_function *f;

	pthread_mutex_lock(&bus->lock);
	for (f = bus->functions; f && f->dev != dev; f = f->next)
		continue;
	pthread_mutex_unlock(&bus->lock);
	return f;
}

static int link_functions(struct pci_function *pf, struct pci_function *vf, unsigned n)
{
	char name[32];
	int err;

	snprintf(name, sizeof(name), "virtfn%u", n);
	err = pci_nodes_link(pf, name, vf->dir);
	return err ? err : pci_nodes_link(vf, "physfn", pf->dir);
}

static void remove_one(struct pci_function *pf, unsigned n)
{
	char name[32], path[PCI_PATH_BYTES];

	snprintf(name, sizeof(name), "virtfn%u", n);
	view_remove(pf->bus->view, pci_path(pf, name, path));
	pci_bus_remove(pf->bus, sriov_vf(pf->dev, n));
}

/* As vfio-pci does: what it makes is its own, unless the user wants no driver at all. */
static int add_one(struct pci_function *pf, unsigned n, bool probe)
{
	struct pci_device *dev = sriov_vf(pf->dev, n);
	int err = pci_bus_add(pf->bus, dev);
	struct pci_function *vf = function_of(pf->bus, dev);

	if (err)
		return err;
	err = pci_function_override(vf, PCI_DRIVER_VFIO);
	if (!err)
		err = link_functions(pf, vf, n);
	if (!err && !probe)
		err = pci_driver_detach(vf, pf->bus->vfio);
	return err;
}

int pci_sriov_disable(struct pci_function *pf)
{
	unsigned n = sriov_enabled(pf->dev);
	int err;

	while (n-- > 0)
		remove_one(pf, n);
	/* Each was waited for, so none is open, unless all of this is about to end. */
	err = sriov_enable(pf->dev, 0);
	return err == -EAGAIN ? -EINTR : err;
}

static int enable(struct pci_function *pf, unsigned n)
{
	bool probe = pci_function_setting(pf, PCI_VF_AUTOPROBE);
	int err = sriov_enable(pf->dev, n);

	for (unsigned i = 0; !err && i < n; i++)
		err = add_one(pf, i, probe);
	if (err)
		pci_sriov_disable(pf);
	return err;
}

/* ---- attributes ---------------------------------------------------------------------
 */

static ssize_t show_total(void *object, char *text, size_t cap)
{
	const struct pci_function *pf = object;

	return snprintf(text, cap, "%u\n", sriov_total(pf->dev));
}

static ssize_t show_num(void *object, char *text, size_t cap)
{
	const struct pci_function *pf = object;

	return snprintf(text, cap, "%u\n", sriov_enabled(pf->dev));
}

/* With the function's `bind` held. */
static int set_num(struct pci_function *pf, unsigned n)
{
	if (n == sriov_enabled(pf->dev))
		return 0;
	if (pf->driver != pf->bus->vfio)
		return -ENOENT;
	if (!n)
		return pci_sriov_disable(pf);
	return sriov_enabled(pf->dev) ? -EBUSY : enable(pf, n);
}

static int store_num(void *object, const char *text, size_t n)
{
	struct pci_function *pf = object;
	long num;
	int err;

	(void)n;
	if (pci_parse_number(text, &num) || num < 0 || num > UINT16_MAX)
		return -EINVAL;
	if ((unsigned long)num > sriov_total(pf->dev))
		return -ERANGE;
	pthread_mutex_lock(&pf->bind);
	err = set_num(pf, (unsigned)num);
	pthread_mutex_unlock(&pf->bind);
	return err;
}

static const struct view_attr total_attr = {.mode = 0444, .show = show_total};
static const struct view_attr num_attr = {
	.mode = 0644, .show = show_num, .store = store_num};

int pci_sriov_add(struct pci_function *f)
{
	const struct uiommufd_sriov *s = f->dev ? pci_device_desc(f->dev)->sriov : NULL;
	struct view *v = f->bus->view;
	char path[PCI_PATH_BYTES];
	int err;

	if (!s)
		return 0;
	err = view_add_attr(v, pci_path(f, "sriov_totalvfs", path), &total_attr, f);
	if (!err)
		err = view_add_attr(v, pci_path(f, "sriov_numvfs", path), &num_attr, f);
	if (!err)
		err = view_add_text(v, pci_path(f, "sriov_offset", path), "%u\n",
				    s->offset);
	if (!err)
		err = view_add_text(v, pci_path(f, "sriov_stride", path), "%u\n",
				    s->stride);
	if (!err)
		err = view_add_text(v, pci_path(f, "sriov_vf_device", path), "%x\n",
				    pci_device_desc(sriov_vf(f->dev, 0))->device_id);
	if (!err)
		err = view_add_text(v, pci_path(f, "sriov_vf_total_msix", path), "0\n");
	return err;
}
