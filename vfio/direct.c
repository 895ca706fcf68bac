/* SPDX-License-Identifier: MIT */
/*
 * Memory that firmware wants mapped one to one for a function, because it does DMA there
 * by itself (VT-d: an RMRR).
 *
 * Such a function is never given away: Linux 7.3 takes no group that has one from the
 * kernel, since between two owners its DMA is blocked. VFIO_DEVICE_BIND_IOMMUFD, and
 * VFIO_GROUP_SET_CONTAINER of a container, answer EINVAL, for each device of the group.
 *
 * USB controllers and graphics need the memory only while the system starts: theirs is
 * relaxable, and then it only shows in sysfs. IOVAs there are like others.
 *
 * All of it is settled while the machine is made.
 */
#include "vfio/device.h"
#include "vfio/group.h"

#define CLASS_DISPLAY 0x03u   /* the base class */
#define CLASS_USB     0x0c03u /* and the subclass */

static bool is_relaxable(const struct uiommufd_device_desc *desc)
{
	return desc->class_code >> 16 == CLASS_DISPLAY ||
	       desc->class_code >> 8 == CLASS_USB;
}

void direct_join(struct pci_device *dev)
{
	struct pci_placement *place = &dev->place;

	for (size_t i = 0; i < place->nr_direct; i++) {
		struct iommufd_resv *r = &place->direct[i];

		if (is_relaxable(&dev->desc))
			r->type = IOMMUFD_RESV_DIRECT_RELAXABLE;
		if (r->type == IOMMUFD_RESV_DIRECT)
			vfio_group_need_direct(dev->group);
	}
}
