/* SPDX-License-Identifier: MIT */
/* A device's workers, so that all can be kept quiet. */
#ifndef VFIO_WORKER_H
#define VFIO_WORKER_H

#include "core/list.h"
#include "uiommufd/device.h"

/* The device's list of them; device_api.c has it. Not while they are kept quiet. */
void worker_enlist(struct uiommufd_device *dev, struct list *on_device);
void worker_delist(struct uiommufd_device *dev, struct list *on_device);
/* The worker that is in a list by this; worker.c. */
struct uiommufd_worker *worker_of(struct list *on_device);

#endif
