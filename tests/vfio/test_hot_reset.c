/* SPDX-License-Identifier: MIT */
/*
 * Hot reset over buses and groups of several devices: random machines, random owners,
 * against the rule: a function is owned when it is bound to the same iommufd, or belongs
 * to a group of which any device is. Who may resets all functions of the bus, and only
 * those, and takes the dma-bufs of each away.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N      RIG_DEVICES
#define IOMMUS 2

struct world {
	struct rig_model models[N];
	struct rig rig;
	int iommu[IOMMUS], fd[N], owner[N]; /* -1: not bound */
	uint32_t devid[N], ioas[IOMMUS];
};

static void own(struct world *w, unsigned i, int owner)
{
	w->owner[i] = owner;
	assert_int_equal(rig_attach(&w->rig, w->fd[i], w->ioas[owner]), 0);
	rig_set_config16(&w->rig, w->fd[i], RIG_COMMAND, 7);
}

static void build(struct world *w)
{
	memset(w, 0, sizeof(*w));
	for (unsigned i = 0; i < N; i++) {
		rig_model_default(&w->models[i], i);
		w->models[i].bdf = (struct pci_bdf){.bus = (uint8_t)(1 + rand() % 2),
						    .device = (uint8_t)i};
		w->models[i].group = (unsigned)rand() % 3;
	}
	rig_create(&w->rig, w->models, N);
	for (int i = 0; i < IOMMUS; i++) {
		w->iommu[i] = rig_open_iommu(&w->rig);
		w->ioas[i] = rig_ioas(&w->rig, w->iommu[i]);
	}
	for (unsigned i = 0; i < N; i++) {
		int to = rand() % 3 - 1;

		w->owner[i] = -1;
		w->fd[i] = rig_open(&w->rig, i);
		if (to >= 0 && !rig_bind(&w->rig, w->fd[i], w->iommu[to], &w->devid[i]))
			own(w, i, to);
	}
}

static void end(struct world *w)
{
	for (unsigned i = 0; i < N; i++)
		rig_close(&w->rig, w->fd[i]);
	for (int i = 0; i < IOMMUS; i++)
		rig_close(&w->rig, w->iommu[i]);
	rig_destroy(&w->rig);
}

static bool same_bus(const struct world *w, unsigned a, unsigned b)
{
	return w->models[a].bdf.bus == w->models[b].bdf.bus;
}

/* What device @i is to an owner. */
static uint32_t devid(const struct world *w, unsigned i, int owner)
{
	if (w->owner[i] == owner)
		return w->devid[i];
	for (unsigned k = 0; k < N; k++)
		if (w->owner[k] == owner && w->models[k].group == w->models[i].group)
			return VFIO_PCI_DEVID_OWNED;
	return (uint32_t)VFIO_PCI_DEVID_NOT_OWNED;
}

static bool check_info(struct world *w, unsigned i)
{
	struct {
		struct vfio_pci_hot_reset_info h;
		struct vfio_pci_dependent_device d[N];
	} info = {.h.argsz = sizeof(info)};
	bool owned = true;
	unsigned n = 0;

	assert_int_equal(
		rig_ioctl(&w->rig, w->fd[i], VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info),
		0);
	for (unsigned k = 0; k < N; k++) {
		uint32_t want = devid(w, k, w->owner[i]);

		if (!same_bus(w, i, k))
			continue;
		assert_int_equal(info.d[n].bus, w->models[k].bdf.bus);
		assert_int_equal(info.d[n].devfn, k << 3);
		assert_int_equal(info.d[n].devid, want);
		owned &= want != (uint32_t)VFIO_PCI_DEVID_NOT_OWNED;
		n++;
	}
	assert_int_equal(info.h.count, n);
	assert_int_equal(info.h.flags,
			 VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
				 (owned ? VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED : 0));
	/* Room for one less. */
	info.h.argsz -= (N - n + 1) * sizeof(info.d[0]);
	assert_int_equal(
		rig_ioctl(&w->rig, w->fd[i], VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info),
		-ENOSPC);
	assert_int_equal(info.h.count, n);
	return owned;
}

/* Is what was mapped of its memory gone? The old place is still taken. */
static bool was_revoked(struct world *w, unsigned i, int dmabuf)
{
	uint64_t length = 4096, iova = (i + 1) << 20, word;
	struct uiommufd_fault fault = {0};
	int o = w->owner[i];
	int err = uiommufd_dma_read(w->models[i].channel, iova, &word, 8, &fault);

	assert_int_equal(fault.reason,
			 err ? UIOMMUFD_FAULT_UNMAPPED : UIOMMUFD_FAULT_NONE);
	assert_int_equal(
		rig_map_file(&w->rig, w->iommu[o], w->ioas[o], dmabuf, 0, 4096, iova),
		-EEXIST);
	assert_int_equal(rig_unmap(&w->rig, w->iommu[o], w->ioas[o], iova, &length), 0);
	return err;
}

static void check_reset(struct world *w, unsigned i, bool owned)
{
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};
	int dmabuf[N];

	for (unsigned k = 0; k < N; k++) {
		int o = w->owner[k];

		w->models[k].resets[UIOMMUFD_RESET_FUNCTION] = 0;
		if (o < 0)
			continue;
		dmabuf[k] = (int)rig_dmabuf(&w->rig, w->fd[k], 2, 0, 4096);
		assert_true(dmabuf[k] >= 0);
		assert_int_equal(rig_map_file(&w->rig, w->iommu[o], w->ioas[o], dmabuf[k],
					      0, 4096, (k + 1) << 20),
				 0);
	}
	assert_int_equal(rig_ioctl(&w->rig, w->fd[i], VFIO_DEVICE_PCI_HOT_RESET, &reset),
			 owned ? 0 : -EINVAL);
	for (unsigned k = 0; k < N; k++) {
		bool hit = owned && same_bus(w, i, k);

		assert_int_equal(w->models[k].resets[UIOMMUFD_RESET_FUNCTION], hit);
		if (w->owner[k] < 0)
			continue;
		assert_int_equal(was_revoked(w, k, dmabuf[k]), hit);
		rig_close(&w->rig, dmabuf[k]);
	}
	/* By its own node nobody shows groups; said before anything else. */
	reset.count = 1;
	assert_int_equal(rig_ioctl(&w->rig, w->fd[i], VFIO_DEVICE_PCI_HOT_RESET, &reset),
			 -EINVAL);
}

static void test_random(void **state)
{
	struct world *w = malloc(sizeof(*w));
	unsigned seed = (unsigned)time(NULL);
	unsigned yes = 0, no = 0;

	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned round = 0; round < 150; round++) {
		build(w);
		for (unsigned i = 0; i < N; i++) {
			bool owned;

			if (w->owner[i] < 0)
				continue;
			owned = check_info(w, i);
			check_reset(w, i, owned);
			*(owned ? &yes : &no) += 1;
		}
		end(w);
	}
	assert_true(yes && no);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
