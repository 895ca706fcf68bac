/* SPDX-License-Identifier: MIT */
/*
 * The legacy path, for tests: three devices; 0 has a bus and a group of its own, 1 and 2
 * share a bus and have a group each. The ioctls with results as -errno.
 */
#ifndef TESTS_VFIO_LEGACY_H
#define TESTS_VFIO_LEGACY_H

#include "tests/vfio/rig.h"
#include "uiommufd/abi/vfio_type1.h"

#define LEGACY_DEVICES 3
#define PAGE           0x1000ull

extern const char *const legacy_names[LEGACY_DEVICES];

struct legacy {
	struct rig_model models[LEGACY_DEVICES];
	struct rig rig;
	int container, groups[LEGACY_DEVICES], devices[LEGACY_DEVICES];
};

struct legacy *legacy_create(void);
/* Closes what is open. */
void legacy_destroy(struct legacy *l);
/* Open a group and the container. */
void legacy_open_group(struct legacy *l, unsigned n);
/* All that it takes to have device @n, in a container of @type. */
void legacy_open_device(struct legacy *l, unsigned n, unsigned long type);
void legacy_close(struct legacy *l, int *fd);

long legacy_set_container(struct legacy *l, unsigned group, int fd);
long legacy_unset_container(struct legacy *l, unsigned group);
long legacy_set_iommu(struct legacy *l, unsigned long type);
long legacy_extension(struct legacy *l, unsigned long n);
long legacy_get_device(struct legacy *l, unsigned group, const char *name);
long legacy_map(struct legacy *l, uint32_t flags, const void *va, uint64_t size,
		uint64_t iova);
/* The result, or how much was unmapped. */
long legacy_unmap(struct legacy *l, uint32_t flags, uint64_t iova, uint64_t size);

#define RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

#endif
