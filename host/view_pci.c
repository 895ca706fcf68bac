/* SPDX-License-Identifier: MIT */
/*
 * What the machine shows in /dev and /sys, laid out as Linux 7.3 does it for devices
 * bound to vfio-pci behind an Intel IOMMU.
 *
 * A device's own directory is /sys/devices/pciDDDD:BB/BDF; everything else is links to
 * it. Attributes are written once. Writing to them is allowed and means nothing, except
 * that the configuration space is read anew at each open.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "core/port.h"
#include "host/view.h"
#include "iommufd/unit.h"
#include "machine/describe.h"
#include "machine/machine.h"
#include "vfio/pci_device.h"

/* Of <linux/ioport.h>, as /sys/.../resource prints them. */
#define RES_IO        0x00000100ull
#define RES_MEM       0x00000200ull
#define RES_PREFETCH  0x00002000ull
#define RES_SIZEALIGN 0x00040000ull
#define RES_MEM_64    0x00100000ull
#define RESOURCES     13 /* BARs, ROM, and six for SR-IOV */

/* Where the host bridge would have put the BARs; nothing answers there. */
#define BAR_SPACE  0x0000380000000000ull
#define BAR_STRIDE 0x0000010000000000ull /* a device */

#define PATH_BYTES 192

struct device_view {
	struct view *v;
	struct pci_device *dev;
	const struct pci_placement *at;
	const struct uiommufd_device_desc *desc;
	char bdf[16];
	char dir[64]; /* from /sys: "devices/pci0000:01/0000:01:00.0" */
};

/* A path below the device's directory. */
static const char *below(const struct device_view *d, const char *name,
			 char buf[PATH_BYTES])
{
	snprintf(buf, PATH_BYTES, "/sys/%s/%s", d->dir, name);
	return buf;
}

struct attribute {
	const char *name;
	const char *text;
};

static const struct attribute constant_attributes[] = {
	{"irq", "0\n"},
	{"numa_node", "-1\n"},
	{"enable", "1\n"},
	{"driver_override", "(null)\n"},
	{"power_state", "D0\n"},
	{"msi_bus", "1\n"},
	{"broken_parity_status", "0\n"},
	{"dma_mask_bits", "64\n"},
	{"consistent_dma_mask_bits", "64\n"},
	{"ari_enabled", "0\n"},
	{"d3cold_allowed", "0\n"},
};

static int add_constant_attributes(struct device_view *d)
{
	char path[PATH_BYTES];
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_LEN(constant_attributes); i++) {
		const struct attribute *a = &constant_attributes[i];

		err = view_add_text(d->v, below(d, a->name, path), "%s", a->text);
	}
	if (!err && d->desc->flr)
		err = view_add_text(d->v, below(d, "reset_method", path), "flr\n");
	return err;
}

static void modalias(const struct uiommufd_device_desc *desc, char *buf, size_t cap)
{
	snprintf(buf, cap, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", desc->vendor_id,
		 desc->device_id, desc->subsystem_vendor_id, desc->subsystem_id,
		 desc->class_code >> 16 & 0xff, desc->class_code >> 8 & 0xff,
		 desc->class_code & 0xff);
}

static int add_ids(struct device_view *d)
{
	const struct uiommufd_device_desc *desc = d->desc;
	const struct {
		const char *name;
		int digits;
		unsigned value;
	} ids[] = {
		{"vendor", 4, desc->vendor_id},
		{"device", 4, desc->device_id},
		{"subsystem_vendor", 4, desc->subsystem_vendor_id},
		{"subsystem_device", 4, desc->subsystem_id},
		{"class", 6, desc->class_code},
		{"revision", 2, desc->revision},
	};
	char path[PATH_BYTES], alias[80];
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_LEN(ids); i++)
		err = view_add_text(d->v, below(d, ids[i].name, path), "0x%0*x\n",
				    ids[i].digits, ids[i].value);
	if (err)
		return err;
	modalias(desc, alias, sizeof(alias));
	err = view_add_text(d->v, below(d, "modalias", path), "%s\n", alias);
	if (err)
		return err;
	return view_add_text(d->v, below(d, "uevent", path),
			     "DRIVER=vfio-pci\nPCI_CLASS=%X\nPCI_ID=%04X:%04X\n"
			     "PCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\nMODALIAS=%s\n",
			     desc->class_code, desc->vendor_id, desc->device_id,
			     desc->subsystem_vendor_id, desc->subsystem_id, d->bdf,
			     alias);
}

/* The flags of a BAR: the resource's, with the BAR register's low bits. */
static uint64_t bar_flags(const struct uiommufd_bar *bar)
{
	uint64_t flags = RES_MEM | RES_SIZEALIGN;

	if (bar->flags & UIOMMUFD_BAR_IO)
		return RES_IO | RES_SIZEALIGN | 0x1;
	if (bar->flags & UIOMMUFD_BAR_64BIT)
		flags |= RES_MEM_64 | 0x4;
	if (bar->flags & UIOMMUFD_BAR_PREFETCH)
		flags |= RES_PREFETCH | 0x8;
	return flags;
}

static int add_resource(struct device_view *d)
{
	uint64_t next = BAR_SPACE + d->at->index * BAR_STRIDE;
	char path[PATH_BYTES], text[RESOURCES * 64];
	size_t at = 0;

	for (size_t i = 0; i < RESOURCES; i++) {
		const struct uiommufd_bar *bar =
			i < UIOMMUFD_BARS ? &d->desc->bars[i] : NULL;
		uint64_t start = 0, last = 0, flags = 0;

		if (bar && bar->size) {
			start = (next + bar->size - 1) & ~(bar->size - 1);
			last = start + bar->size - 1;
			next = last + 1;
			flags = bar_flags(bar);
		}
		at += (size_t)snprintf(
			text + at, sizeof(text) - at, "0x%016llx 0x%016llx 0x%016llx\n",
			(unsigned long long)start, (unsigned long long)last,
			(unsigned long long)flags);
	}
	return view_add_file(d->v, below(d, "resource", path), text, at);
}

/* BDF/vfio-dev/vfioN and what names it. */
static int add_cdev(struct device_view *d)
{
	unsigned n = d->at->index;
	char path[PATH_BYTES], target[PATH_BYTES], name[64];
	struct view *v = d->v;
	int err;

	snprintf(name, sizeof(name), "vfio-dev/vfio%u/dev", n);
	err = view_add_text(v, below(d, name, path), "%d:%u\n", MACHINE_VFIO_MAJOR, n);
	snprintf(name, sizeof(name), "vfio-dev/vfio%u/uevent", n);
	if (!err)
		err = view_add_text(v, below(d, name, path),
				    "MAJOR=%d\nMINOR=%u\nDEVNAME=vfio/devices/vfio%u\n",
				    MACHINE_VFIO_MAJOR, n, n);
	snprintf(name, sizeof(name), "vfio-dev/vfio%u/device", n);
	snprintf(target, sizeof(target), "../../../%s", d->bdf);
	if (!err)
		err = view_add_link(v, below(d, name, path), target);
	snprintf(name, sizeof(name), "vfio-dev/vfio%u/subsystem", n);
	if (!err)
		err = view_add_link(v, below(d, name, path),
				    "../../../../../class/vfio-dev");
	snprintf(target, sizeof(target), "../../%s/vfio-dev/vfio%u", d->dir, n);
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/vfio%u", n);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/sys/dev/char/%d:%u", MACHINE_VFIO_MAJOR, n);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", n);
	if (!err)
		err = view_add_device(v, path, makedev(MACHINE_VFIO_MAJOR, n));
	snprintf(target, sizeof(target), "../vfio/devices/vfio%u", n);
	snprintf(path, sizeof(path), "/dev/char/%d:%u", MACHINE_VFIO_MAJOR, n);
	return err ? err : view_add_link(v, path, target);
}

/* To programs Linux does not tell the two kinds of message windows apart. */
static int add_reserved(struct view *v, const char *path, const struct iommufd_unit *unit)
{
	char text[1024];
	size_t n = 0;

	if (!unit)
		unit = &iommufd_plain_unit;
	for (size_t i = 0; i < unit->nr_resv && n < sizeof(text); i++) {
		const struct iommufd_resv *r = &unit->resv[i];

		n += (size_t)snprintf(
			text + n, sizeof(text) - n,
			"0x%016" PRIx64 " 0x%016" PRIx64 " %s\n", r->start, r->last,
			r->type == IOMMUFD_RESV_RESERVED ? "reserved" : "msi");
	}
	return view_add_text(v, path, "%s", text);
}

static int add_group(struct device_view *d)
{
	char group[64], path[PATH_BYTES], target[PATH_BYTES];
	const struct view_node *there;
	struct view *v = d->v;
	int err = 0;

	snprintf(group, sizeof(group), "/sys/kernel/iommu_groups/%u", d->at->group);
	/* Another device of the group may have made it. */
	if (view_resolve(v, "/", group, false, &there)) {
		err = view_own_dir(v, group);
		snprintf(path, sizeof(path), "%s/type", group);
		if (!err)
			err = view_add_text(v, path, "DMA\n");
		snprintf(path, sizeof(path), "%s/reserved_regions", group);
		if (!err)
			err = add_reserved(v, path, d->at->unit);
	}
	snprintf(path, sizeof(path), "%s/devices/%s", group, d->bdf);
	snprintf(target, sizeof(target), "../../../../%s", d->dir);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%u", d->at->group);
	return err ? err : view_add_link(v, below(d, "iommu_group", path), target);
}

static int add_links(struct device_view *d)
{
	char path[PATH_BYTES], target[PATH_BYTES];
	struct view *v = d->v;
	int err;

	err = view_add_link(v, below(d, "subsystem", path), "../../../bus/pci");
	if (!err)
		err = view_add_link(v, below(d, "driver", path),
				    "../../../bus/pci/drivers/vfio-pci");
	if (!err)
		err = view_add_link(v, below(d, "iommu", path),
				    "../../virtual/iommu/dmar0");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", d->bdf);
	snprintf(target, sizeof(target), "../../../%s", d->dir);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/vfio-pci/%s", d->bdf);
	snprintf(target, sizeof(target), "../../../../%s", d->dir);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/sys/devices/virtual/iommu/dmar0/devices/%s",
		 d->bdf);
	snprintf(target, sizeof(target), "../../../../../%s", d->dir);
	return err ? err : view_add_link(v, path, target);
}

static int add_device(struct view *v, struct pci_device *dev)
{
	const struct pci_placement *at = pci_device_placement(dev);
	struct device_view d = {
		.v = v,
		.dev = dev,
		.at = at,
		.desc = pci_device_desc(dev),
	};
	char path[PATH_BYTES];
	int err;

	pci_bdf_format(&at->bdf, d.bdf);
	snprintf(d.dir, sizeof(d.dir), "devices/pci%04x:%02x/%s", at->bdf.domain,
		 at->bdf.bus, d.bdf);
	snprintf(path, sizeof(path), "/sys/%s", d.dir);
	err = view_own_dir(v, path);
	if (!err)
		err = add_constant_attributes(&d);
	if (!err)
		err = add_ids(&d);
	if (!err)
		err = add_resource(&d);
	if (!err)
		err = view_add_config(v, below(&d, "config", path), dev);
	if (!err)
		err = add_cdev(&d);
	if (!err)
		err = add_group(&d);
	return err ? err : add_links(&d);
}

/* A device of class misc: /dev/<node>, and what names it in /sys. */
static int add_misc(struct view *v, const char *name, const char *node, int minor)
{
	char dir[64], path[PATH_BYTES], target[PATH_BYTES];
	int err;

	snprintf(dir, sizeof(dir), "/sys/devices/virtual/misc/%s", name);
	err = view_own_dir(v, dir);
	snprintf(path, sizeof(path), "%s/dev", dir);
	if (!err)
		err = view_add_text(v, path, "%d:%d\n", MACHINE_MISC_MAJOR, minor);
	snprintf(path, sizeof(path), "%s/uevent", dir);
	if (!err)
		err = view_add_text(v, path, "MAJOR=%d\nMINOR=%d\nDEVNAME=%s\n",
				    MACHINE_MISC_MAJOR, minor, node);
	snprintf(path, sizeof(path), "%s/subsystem", dir);
	if (!err)
		err = view_add_link(v, path, "../../../../class/misc");
	snprintf(path, sizeof(path), "/sys/class/misc/%s", name);
	snprintf(target, sizeof(target), "../../devices/virtual/misc/%s", name);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/sys/dev/char/%d:%d", MACHINE_MISC_MAJOR, minor);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/dev/char/%d:%d", MACHINE_MISC_MAJOR, minor);
	snprintf(target, sizeof(target), "../%s", node);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/dev/%s", node);
	return err ? err
		   : view_add_device(v, path,
				     makedev(MACHINE_MISC_MAJOR, (unsigned)minor));
}

/* A group's node: /dev/vfio/N, of class vfio. */
static int add_group_node(struct view *v, unsigned n)
{
	char dir[64], path[PATH_BYTES], target[PATH_BYTES];
	int err;

	snprintf(dir, sizeof(dir), "/sys/devices/virtual/vfio/%u", n);
	err = view_own_dir(v, dir);
	snprintf(path, sizeof(path), "%s/dev", dir);
	if (!err)
		err = view_add_text(v, path, "%d:%u\n", MACHINE_VFIO_GROUP_MAJOR, n);
	snprintf(path, sizeof(path), "%s/uevent", dir);
	if (!err)
		err = view_add_text(v, path, "MAJOR=%d\nMINOR=%u\nDEVNAME=vfio/%u\n",
				    MACHINE_VFIO_GROUP_MAJOR, n, n);
	snprintf(path, sizeof(path), "%s/subsystem", dir);
	if (!err)
		err = view_add_link(v, path, "../../../../class/vfio");
	snprintf(path, sizeof(path), "/sys/class/vfio/%u", n);
	snprintf(target, sizeof(target), "../../devices/virtual/vfio/%u", n);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/sys/dev/char/%d:%u", MACHINE_VFIO_GROUP_MAJOR, n);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/dev/char/%d:%u", MACHINE_VFIO_GROUP_MAJOR, n);
	snprintf(target, sizeof(target), "../vfio/%u", n);
	if (!err)
		err = view_add_link(v, path, target);
	snprintf(path, sizeof(path), "/dev/vfio/%u", n);
	return err ? err : view_add_device(v, path, makedev(MACHINE_VFIO_GROUP_MAJOR, n));
}

/* Where a program looks to see whether the kernel has the drivers. */
static const char *const directories[] = {
	"/sys/module/vfio",
	"/sys/module/vfio_pci",
	"/sys/module/iommufd",
};

static const char *const listed[] = {
	"/sys/bus/pci/devices", "/sys/bus/pci/drivers", "/sys/class/iommu",
	"/sys/class/vfio",      "/sys/class/vfio-dev",  "/sys/kernel/iommu_groups",
};

int view_populate(struct view *v, struct machine *m)
{
	int err = view_own_dir(v, "/dev/vfio");

	if (!err)
		err = view_own_dir(v, "/dev/vfio/devices");
	if (!err)
		err = view_own_dir(v, "/sys/devices/virtual/iommu/dmar0");
	if (!err)
		err = view_add_link(v, "/sys/class/iommu/dmar0",
				    "../../devices/virtual/iommu/dmar0");
	for (size_t i = 0; !err && i < ARRAY_LEN(directories); i++)
		err = view_own_dir(v, directories[i]);
	if (!err)
		err = add_misc(v, "iommu", "iommu", MACHINE_IOMMU_MINOR);
	if (!err)
		err = add_misc(v, "vfio", "vfio/vfio", MACHINE_VFIO_CONTAINER_MINOR);
	for (size_t i = 0; !err && i < m->nr_devices; i++) {
		const struct pci_placement *at = pci_device_placement(m->devices[i]);
		bool alone = true;

		if (!pci_device_present(m->devices[i]))
			continue;
		for (size_t j = 0; j < i; j++)
			alone &= pci_device_placement(m->devices[j])->group != at->group;
		if (alone)
			err = add_group_node(v, at->group);
		if (!err)
			err = add_device(v, m->devices[i]);
	}
	for (size_t i = 0; !err && i < ARRAY_LEN(listed); i++)
		err = view_list_dir(v, listed[i]);
	return err;
}
