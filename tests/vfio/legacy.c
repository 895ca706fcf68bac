/* SPDX-License-Identifier: MIT */
#include "tests/vfio/legacy.h"

#include <stdlib.h>

const char *const legacy_names[LEGACY_DEVICES] = {"0000:01:00.0", "0000:02:00.0",
						  "0000:02:01.0"};

struct legacy *legacy_create(void)
{
	struct legacy *l = calloc(1, sizeof(*l));

	for (unsigned i = 0; i < LEGACY_DEVICES; i++) {
		rig_model_default(&l->models[i], i);
		l->groups[i] = l->devices[i] = -1;
	}
	l->models[2].bdf = (struct pci_bdf){.bus = 2, .device = 1};
	l->container = -1;
	rig_create(&l->rig, l->models, LEGACY_DEVICES);
	return l;
}

void legacy_close(struct legacy *l, int *fd)
{
	if (*fd >= 0)
		rig_close(&l->rig, *fd);
	*fd = -1;
}

void legacy_destroy(struct legacy *l)
{
	for (unsigned i = 0; i < LEGACY_DEVICES; i++) {
		legacy_close(l, &l->groups[i]);
		legacy_close(l, &l->devices[i]);
	}
	legacy_close(l, &l->container);
	rig_destroy(&l->rig);
	free(l);
}

void legacy_open_group(struct legacy *l, unsigned n)
{
	if (l->container < 0)
		l->container = rig_open_container(&l->rig);
	l->groups[n] = rig_open_group(&l->rig, n);
	assert_true(l->container >= 0 && l->groups[n] >= 0);
}

void legacy_open_device(struct legacy *l, unsigned n, unsigned long type)
{
	bool first = l->container < 0;

	legacy_open_group(l, n);
	assert_int_equal(legacy_set_container(l, n, l->container), 0);
	if (first)
		assert_int_equal(legacy_set_iommu(l, type), 0);
	l->devices[n] = (int)legacy_get_device(l, n, legacy_names[n]);
	assert_true(l->devices[n] >= 0);
}

long legacy_set_container(struct legacy *l, unsigned group, int fd)
{
	return rig_ioctl(&l->rig, l->groups[group], VFIO_GROUP_SET_CONTAINER, &fd);
}

long legacy_unset_container(struct legacy *l, unsigned group)
{
	return rig_ioctl(&l->rig, l->groups[group], VFIO_GROUP_UNSET_CONTAINER, NULL);
}

long legacy_set_iommu(struct legacy *l, unsigned long type)
{
	return rig_ioctl(&l->rig, l->container, VFIO_SET_IOMMU, (void *)type);
}

long legacy_extension(struct legacy *l, unsigned long n)
{
	return rig_ioctl(&l->rig, l->container, VFIO_CHECK_EXTENSION, (void *)n);
}

long legacy_get_device(struct legacy *l, unsigned group, const char *name)
{
	return rig_ioctl(&l->rig, l->groups[group], VFIO_GROUP_GET_DEVICE_FD,
			 (void *)(uintptr_t)name);
}

long legacy_map(struct legacy *l, uint32_t flags, const void *va, uint64_t size,
		uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return rig_ioctl(&l->rig, l->container, VFIO_IOMMU_MAP_DMA, &map);
}

long legacy_unmap(struct legacy *l, uint32_t flags, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .flags = flags, .iova = iova, .size = size};
	long ret = rig_ioctl(&l->rig, l->container, VFIO_IOMMU_UNMAP_DMA, &unmap);

	return ret ? ret : (long)unmap.size;
}
