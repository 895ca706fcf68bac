/* SPDX-License-Identifier: MIT */
/*
 * The errno values core/ answers with. Where <errno.h> was included first its own
 * definitions are used; the numbers are Linux's for all architectures this project
 * runs on (asm-generic), so both agree.
 */
#ifndef CORE_ERRNO_H
#define CORE_ERRNO_H

#ifndef EPERM
#define EPERM      1
#define ENOENT     2
#define EINTR      4
#define EIO        5
#define ENXIO      6
#define E2BIG      7
#define EBADF      9
#define EAGAIN     11
#define ENOMEM     12
#define EACCES     13
#define EFAULT     14
#define EBUSY      16
#define EEXIST     17
#define ENODEV     19
#define EINVAL     22
#define EMFILE     24
#define ENOTTY     25
#define ENOSPC     28
#define ERANGE     34
#define EDEADLK    35
#define EBADFD     77
#define EMSGSIZE   90
#define EOPNOTSUPP 95
#define EOVERFLOW  75
#define EADDRINUSE 98
#endif

#endif
