/* SPDX-License-Identifier: MIT */
/* See topology.h. A port's configuration space is made anew for each read of it. */
#include "machine/topology.h"

#include <string.h>

#define CONFIG_BYTES 4096

/* A root port of an Intel server processor, and a PCIe switch, so that tools know a name.
 */
#define ROOT_VENDOR   0x8086
#define ROOT_DEVICE   0x2030
#define SWITCH_VENDOR 0x10b5
#define SWITCH_DEVICE 0x8747

#define EXPRESS       0x40
#define POWER         0x80
#define ACS           0x100

const struct machine_port *machine_port_to(const struct machine_port *ports, size_t n,
					   const struct pci_bdf *at)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i].at.domain == at->domain && ports[i].secondary == at->bus)
			return &ports[i];
	return NULL;
}

uint16_t machine_port_vendor(const struct machine_port *port)
{
	return port->kind == PORT_ROOT ? ROOT_VENDOR : SWITCH_VENDOR;
}

uint16_t machine_port_device(const struct machine_port *port)
{
	return port->kind == PORT_ROOT ? ROOT_DEVICE : SWITCH_DEVICE;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = v & 0xff;
	p[1] = v >> 8 & 0xff;
}

static void put_header(uint8_t *c, const struct machine_port *port)
{
	put16(c + 0x00, machine_port_vendor(port));
	put16(c + 0x02, machine_port_device(port));
	put16(c + 0x04, 0x0407); /* I/O, memory, bus master; no INTx */
	put16(c + 0x06, 0x0010); /* capabilities */
	put16(c + 0x0a, 0x0604); /* a PCI bridge */
	c[0x0e] = port->multifunction ? 0x81 : 0x01;
	c[0x18] = port->at.bus;
	c[0x19] = port->secondary;
	c[0x1a] = port->subordinate;
	/* Its windows are closed: base above limit. */
	c[0x1c] = 0xf1;
	c[0x1d] = 0x01;
	put16(c + 0x20, 0xfff0);
	put16(c + 0x24, 0xfff1);
	put16(c + 0x26, 0x0001);
	c[0x34] = EXPRESS;
}

/* 16 lanes at 8 GT/s. */
static void put_express(uint8_t *c, const struct machine_port *port)
{
	c[0] = 0x10;
	c[1] = POWER;
	put16(c + 2, 2u | (unsigned)port->kind << 4);
	put16(c + 0x0c, 0x0103);
	put16(c + 0x12, 0x0103);
	put16(c + 0x2c, 0x000e); /* link speeds up to 8 GT/s */
	put16(c + 0x30, 0x0003);
}

/* Source validation, request and completion redirect, upstream forwarding: all on. */
static void put_acs(uint8_t *c)
{
	put16(c, 0x000d);
	put16(c + 2, 0x0001);
	put16(c + 4, 0x001d);
	put16(c + 6, 0x001d);
}

void machine_port_config(const struct machine_port *port, unsigned offset, void *dst,
			 size_t n)
{
	uint8_t c[CONFIG_BYTES] = {0};

	memset(dst, 0, n);
	if (offset >= CONFIG_BYTES)
		return;
	put_header(c, port);
	put_express(c + EXPRESS, port);
	c[POWER] = 0x01;
	put16(c + POWER + 2, 0x0003);
	put16(c + POWER + 4, 0x0008); /* D0; no soft reset */
	if (port->acs && port->kind != PORT_UPSTREAM)
		put_acs(c + ACS);
	memcpy(dst, c + offset, n < CONFIG_BYTES - offset ? n : CONFIG_BYTES - offset);
}
