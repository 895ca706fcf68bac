/* SPDX-License-Identifier: MIT */
/*
 * Registers behind a mapping that are watched: UIOMMUFD_MMIO_WATCH.
 *
 * Each register BAR of such a device has memory, which clients map: what it *shows*. The
 * model publishes values there. Of the registers that the model names, the last value
 * that the model has been told, or has published, is remembered as *seen*; a thread of
 * the machine looks for those that show something else, and tells the model of a write.
 *
 * So a write of what a register shows already is not noticed, and of several writes in a
 * row maybe only the last. Where several registers have changed when the thread looks,
 * the model is told in the order in which it names them; one that was written after
 * another is never told without that other.
 *
 * The thread looks without a break for a while after anything has happened, then ever
 * more seldom; it sleeps while no client has such a device mapped.
 */
#ifndef VFIO_MMIO_WATCH_H
#define VFIO_MMIO_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct mmio_scanner;
struct pci_bar;
struct pci_device;

/*
 * If the device is to be watched. What is wrong with the list of registers is said in
 * @error, for -EINVAL.
 */
int mmio_watch_create(struct pci_device *dev, char *error, size_t cap);
/* From now on a client may write. */
void mmio_watch_begin(struct pci_device *dev);
/* No client has it any more. */
void mmio_watch_end(struct pci_device *dev);
/* The model is about to be reset: everything shows and has seen zero. */
void mmio_watch_clear(struct pci_device *dev);
/* A write by another way is about to be told. */
void mmio_watch_written(struct pci_bar *bar, uint64_t offset, unsigned size,
			uint64_t value);
/* Returns when the thread does not look at the device and never will. */
void mmio_watch_leave(struct pci_device *dev);
/* These two also if it was never created. */
void mmio_watch_destroy(struct pci_device *dev);

/* The registers are watched. */
bool mmio_is_watched(const struct pci_device *dev);

#endif
