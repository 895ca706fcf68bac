/* SPDX-License-Identifier: MIT */
/*
 * GET_HW_INFO: what the IOMMU in front of a device can do.
 *
 * The simulated unit is a VT-d one as far as this project implements it: second stage,
 * 4 levels, 48 bits, pages of 4 KiB, 2 MiB and 1 GiB; queued invalidation and interrupt
 * remapping; no scalable mode, and so no nesting, PASIDs or dirty tracking; no ATS. The
 * register fields are those of the VT-d specification, 11.4.2 and 11.4.3.
 */
#include <errno.h>

#include "iommufd/private.h"

#define CAP_ND_64K      ((uint64_t)6 << 0)   /* 2^16 domain ids */
#define CAP_SAGAW_48    ((uint64_t)4 << 8)   /* 4-level tables */
#define CAP_MGAW_48     ((uint64_t)47 << 16) /* guest addresses of 48 bits */
#define CAP_FRO         ((uint64_t)0x22 << 24)
#define CAP_SLLPS_2M_1G ((uint64_t)3 << 34)
#define CAP_PSI         ((uint64_t)1 << 39) /* page-selective invalidation */
#define CAP_MAMV        ((uint64_t)18 << 48)
#define CAP_DRAIN       ((uint64_t)3 << 54) /* of writes and reads */

#define ECAP_C          ((uint64_t)1 << 0) /* coherent table walks */
#define ECAP_QI         ((uint64_t)1 << 1)
#define ECAP_IR         ((uint64_t)1 << 3)
#define ECAP_EIM        ((uint64_t)1 << 4)
#define ECAP_PT         ((uint64_t)1 << 6)
#define ECAP_SC         ((uint64_t)1 << 7) /* snoop control */
#define ECAP_IRO        ((uint64_t)0xf << 8)
#define ECAP_MHMV       ((uint64_t)0xf << 20)

static const struct iommu_hw_info_vtd vtd = {
	.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17, /* Linux sets it for any VT-d */
	.cap_reg = CAP_ND_64K | CAP_SAGAW_48 | CAP_MGAW_48 | CAP_FRO | CAP_SLLPS_2M_1G |
		   CAP_PSI | CAP_MAMV | CAP_DRAIN,
	.ecap_reg = ECAP_C | ECAP_QI | ECAP_IR | ECAP_EIM | ECAP_PT | ECAP_SC | ECAP_IRO |
		    ECAP_MHMV,
};

void iommufd_vtd_hw_info(struct iommufd_device_info *info)
{
	info->hw_info_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	info->hw_info = &vtd;
	info->hw_info_bytes = sizeof(vtd);
	info->hw_capabilities = IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
}

static int clear_out(struct client *c, uint64_t va, uint64_t n)
{
	static const unsigned char zeros[4096];

	while (n) {
		size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
		int err = client_copy_out(c, va, zeros, part);

		if (err)
			return err;
		va += part;
		n -= part;
	}
	return 0;
}

/* The data as far as there is room, zeros in the rest of the room. */
static int data_out(struct client *c, const struct iommufd_device_info *info, uint64_t va,
		    size_t room)
{
	size_t n = info->hw_info_bytes < room ? info->hw_info_bytes : room;
	int err = n ? client_copy_out(c, va, info->hw_info, n) : 0;

	return err ? err : clear_out(c, va + n, room - n);
}

/* A driver that has data takes its own type and the default; one that has none, all. */
static bool type_known(const struct iommufd_device_info *info, uint32_t type)
{
	return info->hw_info_type == IOMMU_HW_INFO_TYPE_NONE ||
	       type == IOMMU_HW_INFO_TYPE_DEFAULT || type == info->hw_info_type;
}

static int answer(struct uapi_call *call, const struct iommufd_device_info *info)
{
	struct iommu_hw_info *cmd = (void *)call->data;
	int err;

	if (cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE &&
	    !type_known(info, cmd->in_data_type))
		return -EOPNOTSUPP;
	err = data_out(call->client, info, cmd->data_uptr, cmd->data_len);
	if (err)
		return err;
	cmd->data_len = (uint32_t)info->hw_info_bytes;
	cmd->out_data_type = info->hw_info_type;
	cmd->out_capabilities = info->hw_capabilities;
	cmd->out_max_pasid_log2 = 0;
	return uapi_respond(call, sizeof(*cmd));
}

long iommufd_get_hw_info(struct uapi_call *call)
{
	struct iommu_hw_info *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct iommufd_device *dev;
	int err;

	if (cmd->flags & ~(uint32_t)IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		return -EOPNOTSUPP;
	if (cmd->__reserved[0] || cmd->__reserved[1] || cmd->__reserved[2])
		return -EOPNOTSUPP;
	dev = device_get(ctx, cmd->dev_id);
	if (!dev)
		return -ENOENT;
	err = answer(call, &dev->info);
	object_put(ctx, &dev->obj);
	return err;
}
