/* SPDX-License-Identifier: MIT */
/*
 * The DMA ports of an engine: one for requests without a PASID, and one for each of the
 * PASIDs it used last, which are kept for the translations they have cached. Used from
 * one thread at a time, as channels are.
 */
#ifndef DEVICES_PORTS_H
#define DEVICES_PORTS_H

#include <stdint.h>

#include "uiommufd/device.h"

#define PORTS_PASIDS 8u

struct pasid_port {
	uint32_t pasid; /* 0: none */
	struct uiommufd_channel *channel;
};

struct ports {
	struct uiommufd_device *dev;
	struct uiommufd_channel *plain; /* without a PASID; NULL: there was no memory */
	struct pasid_port pasids[PORTS_PASIDS];
	unsigned next;
};

/* 0, or a negative errno; ports_finish() may be called in any case. Zeroed before. */
int ports_init(struct ports *p, struct uiommufd_device *dev);
void ports_finish(struct ports *p);

/*
 * The port for requests with @pasid; 0: without one. NULL: no memory, or the device has
 * no such PASID. Valid until the next call.
 */
struct uiommufd_channel *ports_get(struct ports *p, uint32_t pasid);

#endif
