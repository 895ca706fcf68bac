/* SPDX-License-Identifier: MIT */
/*
 * What clients have mapped, while memory decoding is off or in low power: an access
 * raises SIGBUS.
 *
 * A mapping that a client has made is out of our reach, but the file behind it is not: a
 * file that has been cut short makes every access to every mapping of it fault. So while
 * a device's memory is *hidden* the file of its BARs is empty, and what was in it is kept
 * in another file. The mapping in our process, by which the model reaches the memory, is
 * put over that other file in one step, at its address, with everything quiet that could
 * write meanwhile: clients and peers (the device's memory lock and gate), and the
 * device's workers. When decoding is on again it all goes back.
 *
 * It costs a copy of those pages that have ever been written, each way, and nothing as
 * long as no client has mapped anything. Where there is not enough memory for the copy,
 * hiding does not happen: the mapping then shows the memory as before. Nor does showing,
 * and accesses go on to fault.
 */
#ifndef VFIO_BAR_HIDE_H
#define VFIO_BAR_HIDE_H

struct pci_device;

/* With config_lock held, and memory for writing. */

/* A client is about to map something of it. */
void bars_mapped(struct pci_device *dev);
/* Follow what decoding says, and low power. */
void bars_follow(struct pci_device *dev);
/* No client has it any more: shown, whatever decoding says. */
void bars_unmapped(struct pci_device *dev);

#endif
