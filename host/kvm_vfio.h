/* SPDX-License-Identifier: MIT */
/*
 * KVM's VFIO pseudo-device (KVM_CREATE_DEVICE, type VFIO): where a VMM tells KVM of its
 * VFIO files.
 *
 * The real one would refuse ours, being no VFIO files of its own kernel. So a virtual
 * machine gets one of ours in its place: a virtual file like all others, whose last close
 * is known. As in Linux there is one for each virtual machine, it keeps the files that it
 * was told of open, and the virtual machine as well. What KVM would do with them
 * (coherency, the driver's pointer to KVM) has no meaning for our devices.
 *
 * Other devices of KVM are the kernel's alone.
 */
#ifndef HOST_KVM_VFIO_H
#define HOST_KVM_VFIO_H

#include <stdint.h>

struct call;
struct kvm_vfios;

/* KVM_CREATE_DEVICE and the three calls on what it makes, by their low 16 bits. */
#define KVM_DEVICE_CALLS      UINT64_C(0xaee0)
#define KVM_DEVICE_CALLS_MASK UINT64_C(0xfffc)
#define KVM_CREATE_DEVICE_CMD 0xc00caee0u

/* All there are. -ENOMEM. */
int kvm_vfios_create(struct kvm_vfios **out);
/* None is open any more. Takes NULL. */
void kvm_vfios_destroy(struct kvm_vfios *all);

/* KVM_CREATE_DEVICE; CALL_PROCEED: it is none of ours. */
long kvm_vfio_create(struct call *c);

#endif
