/* SPDX-License-Identifier: MIT */
/*
 * SR-IOV: physical functions, the virtual ones that they can have, and the token that
 * clients of both share.
 *
 * All virtual functions are made with the machine and live as long as it: numbers, places
 * and BARs are constant. Those that are not enabled are absent: no node leads to them, no
 * group has them, nothing happens to them. A model is powered on when its function is
 * enabled for the first time.
 *
 * A virtual function that is enabled is bound to vfio-pci, and goes away as one that is
 * unbound (driver.c): nobody can open it any more, whoever has it open is told (REQ), and
 * when it has been closed, it is gone.
 *
 * The token (Linux 7.3, vfio-pci): who opens a virtual function names the one that the
 * physical function has; who opens the physical function sets it, but while a virtual
 * function is in use must name it as well. It stays when the physical function is closed.
 *
 * Locks: `enabling`, the outermost of all, is held over each change of how many functions
 * there are. A function comes and goes with its device.bind held. `token_lock` is a leaf.
 */
#ifndef VFIO_SRIOV_H
#define VFIO_SRIOV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VF_TOKEN_BYTES 16u

struct pci_device;

/* A function's share in this; `vfs` is NULL if it is no physical one with others. */
struct pci_sriov {
	/* Of a virtual function; constant. */
	struct pci_device *pf;
	unsigned index;
	bool powered;         /* pf's `enabling` */
	_Atomic bool present; /* changes with device.bind held */

	/* Of a physical function. */
	struct port_mutex enabling;
	struct pci_device **vfs; /* constant once the machine is made */
	_Atomic unsigned enabled;
	unsigned capability; /* in configuration space; constant */
	struct port_mutex token_lock;
	uint8_t token[VF_TOKEN_BYTES];
	unsigned token_users; /* virtual functions that are in use */
};

/* @pf: of a virtual function, else NULL. */
void sriov_init(struct pci_device *dev, struct pci_device *pf, unsigned index);
void sriov_finish(struct pci_device *dev);
/* What the model says of virtual functions: a token, and room for them. */
int sriov_create(struct pci_device *dev, char *error, size_t cap);
/* The capability, for the end of the chain. -EINVAL: no room. */
int sriov_add_capability(struct pci_device *dev);

/* A client has enabled it, or has done with it. */
void sriov_use(struct pci_device *dev);
void sriov_unuse(struct pci_device *dev);

/* May it be opened by who names @token (NULL: none)? Sets a physical function's. */
int sriov_check_token(struct pci_device *dev, const uint8_t *token);
/* ENOTTY: it has no virtual functions. */
int sriov_set_token(struct pci_device *dev, const uint8_t token[VF_TOKEN_BYTES]);
bool sriov_has_token(const struct pci_device *dev);
/* "52ac9bff-3a88-4fbd-901a-0d767c3b6c97": its 36 characters. -EINVAL. */
int sriov_parse_token(const char *text, uint8_t token[VF_TOKEN_BYTES]);

#endif
