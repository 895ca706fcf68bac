/* SPDX-License-Identifier: MIT */
/*
 * VFIO_DEVICE_FEATURE: the checks that hold for every feature, and the features.
 *
 * Served: DMA_BUF, the three of low power, and of devices that have it dirty logging.
 * Migration and VF tokens are ENOTTY, as on a device whose driver does not have them; but
 * for MIG_PRECOPY_INFOv2, which Linux 7.3 refuses with EINVAL then.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vfio/device.h"

#define GET_SET (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET)

int feature_check(uint32_t flags, size_t n, uint32_t supported, size_t min)
{
	if (flags & GET_SET & ~supported)
		return -EINVAL;
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!(flags & GET_SET) || n < min)
		return -EINVAL;
	return 1;
}

/* Low power. */
static long entry(struct pci_device *dev, uint32_t flags, size_t n)
{
	int err = feature_check(flags, n, VFIO_DEVICE_FEATURE_SET, 0);

	return err == 1 ? low_power_enter(dev, -1) : err;
}

static long entry_with_wakeup(struct pci_device *dev, struct client *c, uint32_t flags,
			      uint64_t va, size_t n)
{
	struct vfio_device_low_power_entry_with_wakeup e;
	int fd, err = feature_check(flags, n, VFIO_DEVICE_FEATURE_SET, sizeof(e));

	if (err != 1)
		return err;
	err = client_copy_in(c, &e, va, sizeof(e));
	if (err)
		return err;
	if (e.wakeup_eventfd < 0)
		return -EINVAL;
	fd = irq_get_eventfd(dev, c, e.wakeup_eventfd);
	if (fd < 0)
		return fd;
	err = low_power_enter(dev, fd);
	if (err)
		close(fd);
	return err;
}

static long leave(struct pci_device *dev, uint32_t flags, size_t n)
{
	int err = feature_check(flags, n, VFIO_DEVICE_FEATURE_SET, 0);

	if (err != 1)
		return err;
	low_power_exit(dev);
	return 0;
}

static long vf_token(struct pci_device *dev, struct client *c, uint32_t flags,
		     uint64_t va, size_t n)
{
	uint8_t token[VF_TOKEN_BYTES];
	int err;

	if (!sriov_has_token(dev))
		return -ENOTTY;
	/* It cannot be read: it may be that of the client before. */
	err = feature_check(flags, n, VFIO_DEVICE_FEATURE_SET, sizeof(token));
	if (err != 1)
		return err;
	err = client_copy_in(c, token, va, sizeof(token));
	return err ? err : sriov_set_token(dev, token);
}

static long serve(struct uapi_call *call, const struct vfio_device_feature *hdr)
{
	struct pci_device *dev = vfio_device_of(call);
	uint64_t va = call->arg + sizeof(*hdr);
	size_t n = hdr->argsz - sizeof(*hdr);

	switch (hdr->flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_PCI_VF_TOKEN:
		return vf_token(dev, call->client, hdr->flags, va, n);
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
		return entry(dev, hdr->flags, n);
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
		return entry_with_wakeup(dev, call->client, hdr->flags, va, n);
	case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
		return leave(dev, hdr->flags, n);
	case VFIO_DEVICE_FEATURE_DMA_BUF:
		return exports_feature(dev, call->client, hdr->flags, va, n);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
		return dma_log_feature(dev, call->client, hdr->flags, va, n);
	case VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2:
		return -EINVAL;
	default:
		return -ENOTTY;
	}
}

long feature_ioctl(struct uapi_call *call)
{
	const uint32_t known =
		VFIO_DEVICE_FEATURE_MASK | GET_SET | VFIO_DEVICE_FEATURE_PROBE;
	struct vfio_device_feature hdr;

	memcpy(&hdr, call->data, sizeof(hdr));
	if (hdr.flags & ~known)
		return -EINVAL;
	if (!(hdr.flags & VFIO_DEVICE_FEATURE_PROBE) && (hdr.flags & GET_SET) == GET_SET)
		return -EINVAL;
	return serve(call, &hdr);
}
