/* SPDX-License-Identifier: MIT */
/* A device with interrupts, for tests: SET_IRQS in one line, and eventfds to be told by.
 */
#ifndef TESTS_VFIO_IRQS_H
#define TESTS_VFIO_IRQS_H

#include "tests/vfio/rig.h"

#define VECTORS 8
#define NONE    VFIO_IRQ_SET_DATA_NONE
#define BOOL    VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MSIX    VFIO_PCI_MSIX_IRQ_INDEX
#define ERR     VFIO_PCI_ERR_IRQ_INDEX
#define REQ     VFIO_PCI_REQ_IRQ_INDEX
#define MSI     VFIO_PCI_MSI_IRQ_INDEX
#define INTX    VFIO_PCI_INTX_IRQ_INDEX

struct irq_call {
	struct vfio_irq_set h;
	union {
		int32_t fds[16];
		uint8_t bools[64];
	};
};

struct irqs {
	struct rig_model model;
	struct rig rig;
	int iommu, fd;
	int ev[VECTORS];
};

/* The default model, with MSI-X alone, bound. */
int irqs_setup(void **state);
/* Bind a device with this description instead. */
void irqs_restart(struct irqs *f);
int irqs_teardown(void **state);

long irqs_set(struct irqs *f, uint32_t index, uint32_t flags, uint32_t start,
	      uint32_t count, const void *data, size_t n);
/* How often was it signalled since it was last asked? */
unsigned irqs_take(int fd);

#endif
