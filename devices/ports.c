/* SPDX-License-Identifier: MIT */
#include "devices/ports.h"

int ports_init(struct ports *p, struct uiommufd_device *dev)
{
	p->dev = dev;
	return uiommufd_channel_create(dev, &p->plain);
}

void ports_finish(struct ports *p)
{
	for (unsigned i = 0; i < PORTS_PASIDS; i++)
		uiommufd_channel_destroy(p->pasids[i].channel);
	uiommufd_channel_destroy(p->plain);
}

struct uiommufd_channel *ports_get(struct ports *p, uint32_t pasid)
{
	struct pasid_port *port;

	if (!pasid)
		return p->plain;
	for (unsigned i = 0; i < PORTS_PASIDS; i++)
		if (p->pasids[i].pasid == pasid)
			return p->pasids[i].channel;
	port = &p->pasids[p->next++ % PORTS_PASIDS];
	uiommufd_channel_destroy(port->channel);
	*port = (struct pasid_port){0};
	if (uiommufd_channel_create_pasid(p->dev, pasid, &port->channel))
		return NULL;
	port->pasid = pasid;
	return port->channel;
}
