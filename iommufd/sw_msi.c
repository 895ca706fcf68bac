/* SPDX-License-Identifier: MIT */
/*
 * Message interrupts behind an IOMMU that translates them: what a device writes its
 * messages to is a page of the interrupt controller, and that has to be mapped.
 *
 * Such a unit reserves a range for it (IOMMUFD_RESV_SW_MSI), where areas never are. The
 * page is mapped at its start into the hwpt that a device's group is attached to when
 * interrupts are set up, and from then on into each that the group is attached to. It is
 * no area, and stays as long as the hwpt: no IOAS knows of it.
 *
 * All under group.lock.
 */
#include <errno.h>

#include "iommufd/private.h"

static int install(struct iommufd_ctx *ctx, const struct iommufd_group *g,
		   struct domain *d)
{
	struct phys_window *w = ctx->machine->doorbell;
	struct run run = {.length = PORT_PAGE_SIZE, .mmio = true};
	const struct run_list runs = {.v = &run, .n = 1, .cap = 1};
	struct pt_translation there;

	if (!w || domain_lookup(d, g->sw_msi, &there))
		return 0;
	run.spa = w->base;
	return domain_map(d, g->sw_msi, &runs, 0, PORT_PAGE_SIZE, PT_READ | PT_WRITE,
			  false);
}

void sw_msi_note(struct iommufd_group *g, const struct iommufd_device_info *info)
{
	for (size_t i = 0; i < info->nr_resv; i++)
		if (info->resv[i].type == IOMMUFD_RESV_SW_MSI)
			g->sw_msi = info->resv[i].start;
}

int sw_msi_follow(struct iommufd_ctx *ctx, const struct iommufd_group *g,
		  const struct iommufd_hwpt *to)
{
	return g->needs_msi ? install(ctx, g, to->domain) : 0;
}

int iommufd_device_msi(struct iommufd_device *dev)
{
	struct iommufd_group *g = dev->group;
	int err = 0;

	port_mutex_lock(&g->lock);
	if (g->hwpt && g->sw_msi)
		err = install(dev->ctx, g, g->hwpt->domain);
	if (!err && g->hwpt && g->sw_msi)
		g->needs_msi = true;
	port_mutex_unlock(&g->lock);
	return err;
}
