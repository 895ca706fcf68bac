/* SPDX-License-Identifier: MIT */
/* The ioctls of a VFIO device: one table for dispatch, size rules and traces. */
#include "vfio/device.h"

#define FIELD(s, m, k, o, n)                                                             \
	{                                                                                \
		.name = #m, .offset = offsetof(struct s, m),                             \
		.size = sizeof(((struct s *)0)->m), .kind = (k), .out = (o),             \
		.names = (n)                                                             \
	}
#define IN(s, m, k)           FIELD(s, m, k, false, NULL)
#define OUT(s, m, k)          FIELD(s, m, k, true, NULL)
#define NAMED(s, m, k, n)     FIELD(s, m, k, false, n)
#define NAMED_OUT(s, m, k, n) FIELD(s, m, k, true, n)
#define END                                                                              \
	{                                                                                \
		.size = 0                                                                \
	}
#define NAME(prefix, n)                                                                  \
	{                                                                                \
		prefix##n, #n                                                            \
	}
#define NO_NAME                                                                          \
	{                                                                                \
		0, NULL                                                                  \
	}
#define ARGSZ(nr, s, last, h, f)                                                         \
	{                                                                                \
		.cmd = nr, .name = #nr, .rule = UAPI_ARGSZ,                              \
		.min_size = offsetof(struct s, last) + sizeof(((struct s *)0)->last),    \
		.size = sizeof(struct s), .handler = h, .fields = f                      \
	}

static const struct uapi_name bind_flags[] = {
	NAME(VFIO_DEVICE_BIND_FLAG_, TOKEN),
	NO_NAME,
};

static const struct uapi_field bind_fields[] = {
	NAMED(vfio_device_bind_iommufd, flags, UAPI_FLAGS, bind_flags),
	IN(vfio_device_bind_iommufd, iommufd, UAPI_FD),
	IN(vfio_device_bind_iommufd, token_uuid_ptr, UAPI_PTR),
	OUT(vfio_device_bind_iommufd, out_devid, UAPI_DEC),
	END,
};

static const struct uapi_field attach_fields[] = {
	IN(vfio_device_attach_iommufd_pt, flags, UAPI_HEX),
	IN(vfio_device_attach_iommufd_pt, pt_id, UAPI_DEC),
	OUT(vfio_device_attach_iommufd_pt, pt_id, UAPI_DEC),
	END,
};

static const struct uapi_field detach_fields[] = {
	IN(vfio_device_detach_iommufd_pt, flags, UAPI_HEX),
	END,
};

static const struct uapi_name device_flags[] = {
	NAME(VFIO_DEVICE_FLAGS_, RESET),
	NAME(VFIO_DEVICE_FLAGS_, PCI),
	NAME(VFIO_DEVICE_FLAGS_, CAPS),
	NO_NAME,
};

static const struct uapi_field info_fields[] = {
	NAMED_OUT(vfio_device_info, flags, UAPI_FLAGS, device_flags),
	OUT(vfio_device_info, num_regions, UAPI_DEC),
	OUT(vfio_device_info, num_irqs, UAPI_DEC),
	END,
};

static const struct uapi_name region_flags[] = {
	NAME(VFIO_REGION_INFO_FLAG_, READ),
	NAME(VFIO_REGION_INFO_FLAG_, WRITE),
	NAME(VFIO_REGION_INFO_FLAG_, MMAP),
	NAME(VFIO_REGION_INFO_FLAG_, CAPS),
	NO_NAME,
};

static const struct uapi_field region_fields[] = {
	IN(vfio_region_info, argsz, UAPI_DEC),
	IN(vfio_region_info, index, UAPI_DEC),
	NAMED_OUT(vfio_region_info, flags, UAPI_FLAGS, region_flags),
	OUT(vfio_region_info, argsz, UAPI_DEC),
	OUT(vfio_region_info, cap_offset, UAPI_DEC),
	OUT(vfio_region_info, size, UAPI_HEX),
	OUT(vfio_region_info, offset, UAPI_HEX),
	END,
};

static const struct uapi_name irq_flags[] = {
	NAME(VFIO_IRQ_INFO_, EVENTFD),
	NAME(VFIO_IRQ_INFO_, MASKABLE),
	NAME(VFIO_IRQ_INFO_, AUTOMASKED),
	NAME(VFIO_IRQ_INFO_, NORESIZE),
	NO_NAME,
};

static const struct uapi_name irq_indices[] = {
	{VFIO_PCI_INTX_IRQ_INDEX, "INTX"}, {VFIO_PCI_MSI_IRQ_INDEX, "MSI"},
	{VFIO_PCI_MSIX_IRQ_INDEX, "MSIX"}, {VFIO_PCI_ERR_IRQ_INDEX, "ERR"},
	{VFIO_PCI_REQ_IRQ_INDEX, "REQ"},   NO_NAME,
};

static const struct uapi_field irq_info_fields[] = {
	NAMED(vfio_irq_info, index, UAPI_ENUM, irq_indices),
	NAMED_OUT(vfio_irq_info, flags, UAPI_FLAGS, irq_flags),
	OUT(vfio_irq_info, count, UAPI_DEC),
	END,
};

static const struct uapi_name irq_set_flags[] = {
	NAME(VFIO_IRQ_SET_, DATA_NONE),
	NAME(VFIO_IRQ_SET_, DATA_BOOL),
	NAME(VFIO_IRQ_SET_, DATA_EVENTFD),
	NAME(VFIO_IRQ_SET_, ACTION_MASK),
	NAME(VFIO_IRQ_SET_, ACTION_UNMASK),
	NAME(VFIO_IRQ_SET_, ACTION_TRIGGER),
	NO_NAME,
};

static const struct uapi_field irq_set_fields[] = {
	IN(vfio_irq_set, argsz, UAPI_DEC),
	NAMED(vfio_irq_set, flags, UAPI_FLAGS, irq_set_flags),
	NAMED(vfio_irq_set, index, UAPI_ENUM, irq_indices),
	IN(vfio_irq_set, start, UAPI_DEC),
	IN(vfio_irq_set, count, UAPI_DEC),
	END,
};

/* The number in the low half shows as it is; GET, SET and PROBE by name. */
static const struct uapi_name feature_flags[] = {
	NAME(VFIO_DEVICE_FEATURE_, GET),
	NAME(VFIO_DEVICE_FEATURE_, SET),
	NAME(VFIO_DEVICE_FEATURE_, PROBE),
	NO_NAME,
};

static const struct uapi_field feature_fields[] = {
	IN(vfio_device_feature, argsz, UAPI_DEC),
	NAMED(vfio_device_feature, flags, UAPI_FLAGS, feature_flags),
	END,
};

static const struct uapi_name hot_reset_flags[] = {
	NAME(VFIO_PCI_HOT_RESET_FLAG_, DEV_ID),
	NAME(VFIO_PCI_HOT_RESET_FLAG_, DEV_ID_OWNED),
	NO_NAME,
};

static const struct uapi_field hot_reset_info_fields[] = {
	IN(vfio_pci_hot_reset_info, argsz, UAPI_DEC),
	NAMED_OUT(vfio_pci_hot_reset_info, flags, UAPI_FLAGS, hot_reset_flags),
	OUT(vfio_pci_hot_reset_info, count, UAPI_DEC),
	END,
};

static const struct uapi_field hot_reset_fields[] = {
	IN(vfio_pci_hot_reset, flags, UAPI_HEX),
	IN(vfio_pci_hot_reset, count, UAPI_DEC),
	END,
};

static const struct uapi_entry entries[] = {
	{
		.cmd = VFIO_DEVICE_BIND_IOMMUFD,
		.name = "VFIO_DEVICE_BIND_IOMMUFD",
		/* The one struct here that grows by the rules of iommufd. */
		.rule = UAPI_SIZED,
		.min_size = offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr),
		.size = sizeof(struct vfio_device_bind_iommufd),
		.handler = cdev_bind,
		.fields = bind_fields,
	},
	ARGSZ(VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, pt_id,
	      cdev_attach, attach_fields),
	ARGSZ(VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, flags,
	      cdev_detach, detach_fields),
	ARGSZ(VFIO_DEVICE_GET_INFO, vfio_device_info, num_irqs, cdev_info, info_fields),
	ARGSZ(VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, offset, region_info_ioctl,
	      region_fields),
	ARGSZ(VFIO_DEVICE_GET_IRQ_INFO, vfio_irq_info, count, irq_info_ioctl,
	      irq_info_fields),
	ARGSZ(VFIO_DEVICE_SET_IRQS, vfio_irq_set, count, irq_set_ioctl, irq_set_fields),
	ARGSZ(VFIO_DEVICE_FEATURE, vfio_device_feature, flags, feature_ioctl,
	      feature_fields),
	ARGSZ(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, vfio_pci_hot_reset_info, count,
	      hot_reset_info_ioctl, hot_reset_info_fields),
	ARGSZ(VFIO_DEVICE_PCI_HOT_RESET, vfio_pci_hot_reset, count, hot_reset_ioctl,
	      hot_reset_fields),
	{
		.cmd = VFIO_DEVICE_RESET,
		.name = "VFIO_DEVICE_RESET",
		.rule = UAPI_NONE,
		.handler = reset_ioctl,
	},
};

const struct uapi_table vfio_device_table = {
	.family = "vfio",
	.entries = entries,
	.n = ARRAY_LEN(entries),
};
