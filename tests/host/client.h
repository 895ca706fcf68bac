/* SPDX-License-Identifier: MIT */
/*
 * The programs that the tests run under `uiommufd run`: one executable with many
 * scenarios. It knows nothing of uiommufd: only system calls and the kernel's ABI. A
 * scenario that returns has passed; CHECK ends the process with CHECK_FAILED.
 */
#ifndef TESTS_HOST_CLIENT_H
#define TESTS_HOST_CLIENT_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"

#define CHECK_FAILED 99

#define CHECK(cond)                                                                      \
	do {                                                                             \
		if (!(cond)) {                                                           \
			dprintf(2, "%s:%d: %s is not so (%s)\n", __FILE__, __LINE__,     \
				#cond, strerror(errno));                                 \
			_exit(CHECK_FAILED);                                             \
		}                                                                        \
	} while (0)

#define CHECK_ERRNO(expr, err)                                                           \
	do {                                                                             \
		errno = 0;                                                               \
		CHECK((long)(expr) == -1);                                               \
		CHECK(errno == (err));                                                   \
	} while (0)

#define BDF0     "0000:01:00.0"
#define DEVICES  "/sys/bus/pci/devices/"
#define CDEV0    "/dev/vfio/devices/vfio0"
#define PAGE     4096ul
#define FAR_IOVA 0x10000000ull

/* Nothing is mapped there, and the compiler does not know. */
extern void *volatile bad_address;

/* client_device.c: the steps every user of a device takes. */
int open_iommu(void);
uint32_t alloc_ioas(int iommu);
int destroy(int iommu, uint32_t id);
int map(int iommu, uint32_t ioas, void *va, uint64_t length, uint64_t iova);
int unmap(int iommu, uint32_t ioas, uint64_t iova, uint64_t length);
/* An open, bound and attached device, with bus mastering on. */
struct device {
	int fd, iommu;
	uint32_t ioas;
};
void device_open(struct device *d, const char *path);
/* False: somebody else has it. */
bool device_try_open(struct device *d, const char *path);
/* Memory decoding and bus mastering on. */
void device_master(struct device *d);
void device_close(struct device *d);
int bind_device(int fd, int iommu);
uint64_t region_offset(int fd, unsigned index, uint64_t *size, uint32_t *flags);
/* Let the device write @value over the @n bytes at @iova. */
int device_fill(struct device *d, uint64_t iova, uint64_t value, uint64_t n);

/* A dma-buf of the first @length bytes of BAR 2; -1 and errno. */
int device_export(struct device *d, uint64_t length);

/* client_process.c: descriptors through a socket. */
void send_fd(int sock, int fd);
int receive_fd(int sock);

/* client_cwd.c: has this process a tracer? */
bool is_traced(void);

/* Runs @fn in a child; its exit status. */
int in_child(void (*fn)(void *arg), void *arg);

#endif
