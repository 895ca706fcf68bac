/* SPDX-License-Identifier: MIT */
/*
 * What the ABI headers share. They need the C library's <stdint.h> and <sys/ioctl.h>,
 * no kernel header, and are written for this project; tests/uapi/abi compares every
 * size, offset and number in them to Linux' own headers.
 */
#ifndef UIOMMUFD_ABI_TYPES_H
#define UIOMMUFD_ABI_TYPES_H

#include <stdint.h>
#include <sys/ioctl.h>

/* A u64 that is 8-aligned on 32-bit machines as well, so that layouts are the same. */
typedef uint64_t uiommufd_u64 __attribute__((aligned(8)));
/* The same, with its bytes in little-endian order whatever the machine. */
typedef uint64_t uiommufd_le64 __attribute__((aligned(8)));

#endif
