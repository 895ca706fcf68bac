/* SPDX-License-Identifier: MIT */
/* The device's list of its workers, of which nothing here makes use. */
#include "vfio/worker.h"

void worker_enlist(struct uiommufd_device *dev, struct list *on_device)
{
}

void worker_delist(struct uiommufd_device *dev, struct list *on_device)
{
}
