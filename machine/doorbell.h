/* SPDX-License-Identifier: MIT */
/*
 * The page that devices write their message interrupts to, where an IOMMU translates them
 * (iommufd/sw_msi.c). Models do not send theirs that way (uiommufd_irq()), so what is
 * written is a message that nobody has asked for: it is taken and dropped.
 */
#ifndef MACHINE_DOORBELL_H
#define MACHINE_DOORBELL_H

#include "core/phys.h"

int doorbell_create(struct phys *phys, struct phys_window **out);
/* Nothing maps it any more. Takes NULL. */
void doorbell_destroy(struct phys *phys, struct phys_window *w);

#endif
