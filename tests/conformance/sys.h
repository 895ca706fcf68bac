/* SPDX-License-Identifier: MIT */
/*
 * The system calls that reach iommufd and VFIO: the real ones (sys_native.c), for a
 * program that `uiommufd run` starts, or those of libuiommufd (sys_library.c). All
 * return a value >= 0 or a negative errno.
 */
#ifndef TESTS_CONFORMANCE_SYS_H
#define TESTS_CONFORMANCE_SYS_H

#include <stddef.h>
#include <stdint.h>

/* "run" or "library": what differences.txt calls it. */
extern const char sys_mode[];

/* 0, or what is wrong has been said. */
int sys_start(void);
/* How many descriptors were left open, or 0 where nobody can tell. */
int sys_finish(void);

long sys_open(const char *path, int flags);
long sys_ioctl(int fd, unsigned long cmd, void *arg);
long sys_pread(int fd, void *buf, size_t n, uint64_t offset);
long sys_pwrite(int fd, const void *buf, size_t n, uint64_t offset);
long sys_mmap(int fd, size_t length, int prot, int flags, uint64_t offset, void **out);
long sys_close(int fd);

#endif
