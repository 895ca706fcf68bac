/* SPDX-License-Identifier: MIT */
/* The ioctls of a VFIO device: one table for dispatch, size rules and traces. */
#include "uapi/vfio_fields.h"
#include "vfio/device.h"

#define UP_TO(s, last) (offsetof(struct s, last) + sizeof(((struct s *)NULL)->last))

/*
 * Takes the struct up to @last; the trace knows @known bytes of it. The rest: more
 * members of the entry.
 */
#define ARGSZ(nr, s, last, known, h, ...)                                                \
	{                                                                                \
		.cmd = nr, .name = #nr, .rule = UAPI_ARGSZ, .min_size = UP_TO(s, last),  \
		.size = known, .handler = h, .fields = s##_fields, __VA_ARGS__           \
	}

static const struct uapi_entry entries[] = {
	{
		.cmd = VFIO_DEVICE_BIND_IOMMUFD,
		.name = "VFIO_DEVICE_BIND_IOMMUFD",
		/* The one struct here that grows by the rules of iommufd. */
		.rule = UAPI_SIZED,
		.min_size = UP_TO(vfio_device_bind_iommufd, out_devid),
		.size = sizeof(struct vfio_device_bind_iommufd),
		.handler = cdev_bind,
		.fields = vfio_device_bind_iommufd_fields,
	},
	ARGSZ(VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, pt_id, 0,
	      cdev_attach),
	ARGSZ(VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, flags, 0,
	      cdev_detach, .takes_away = true),
	ARGSZ(VFIO_DEVICE_GET_INFO, vfio_device_info, num_irqs,
	      sizeof(struct vfio_device_info), cdev_info),
	ARGSZ(VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, offset, 0,
	      region_info_ioctl),
	ARGSZ(VFIO_DEVICE_GET_IRQ_INFO, vfio_irq_info, count, 0, irq_info_ioctl),
	ARGSZ(VFIO_DEVICE_SET_IRQS, vfio_irq_set, count, 0, irq_set_ioctl),
	ARGSZ(VFIO_DEVICE_FEATURE, vfio_device_feature, flags, 0, feature_ioctl),
	ARGSZ(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, vfio_pci_hot_reset_info, count, 0,
	      hot_reset_info_ioctl),
	ARGSZ(VFIO_DEVICE_PCI_HOT_RESET, vfio_pci_hot_reset, count, 0, hot_reset_ioctl,
	      .takes_away = true),
	{
		.cmd = VFIO_DEVICE_RESET,
		.name = "VFIO_DEVICE_RESET",
		.rule = UAPI_NONE,
		.handler = reset_ioctl,
		.takes_away = true,
	},
	{
		.cmd = VFIO_DEVICE_IOEVENTFD,
		.name = "VFIO_DEVICE_IOEVENTFD",
		.rule = UAPI_ARGSZ,
		.min_size = UP_TO(vfio_device_ioeventfd, fd),
		.handler = ioeventfd_ioctl,
		.fields = vfio_device_ioeventfd_fields,
	},
};

const struct uapi_table vfio_device_table = {
	.family = "vfio",
	.entries = entries,
	.n = ARRAY_LEN(entries),
};
