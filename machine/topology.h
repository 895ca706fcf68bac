/* SPDX-License-Identifier: MIT */
/*
 * The bridges between the root bus and the functions: root ports, and the upstream and
 * downstream ports of switches. Each leads to one bus; a bus other than 0 has exactly one
 * port that leads to it.
 *
 * Ports do not carry transactions here. They are what programs find on their way to a
 * function, what shares its IOMMU group, and what a hot reset goes out from. Their
 * configuration space is read-only.
 *
 * Constant once the machine is made. A bus number grows on the way from the root.
 */
#ifndef MACHINE_TOPOLOGY_H
#define MACHINE_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfio/pci_device.h"

struct machine;

enum port_kind {
	PORT_ROOT = 4, /* PCI Express' numbers */
	PORT_UPSTREAM = 5,
	PORT_DOWNSTREAM = 6,
};

struct machine_port {
	enum port_kind kind;
	struct pci_bdf at;
	uint8_t secondary, subordinate; /* the bus it leads to; the last one below it */
	unsigned group;                 /* IOMMU group */
	bool acs;                       /* keeps functions below it apart from others */
	bool multifunction;
	const struct machine_port *parent; /* that leads to the port; NULL: on bus 0 */
};

/* The port that leads to the bus of @at; NULL: bus 0. */
const struct machine_port *machine_port_to(const struct machine_port *ports, size_t n,
					   const struct pci_bdf *at);

uint16_t machine_port_vendor(const struct machine_port *port);
uint16_t machine_port_device(const struct machine_port *port);
/* Bytes of its configuration space; what lies beyond its end reads as zero. */
void machine_port_config(const struct machine_port *port, unsigned offset, void *dst,
			 size_t n);

#endif
