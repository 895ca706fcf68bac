/* SPDX-License-Identifier: MIT */
/*
 * All that takes a device's memory away, with a live area and a device that does DMA to
 * it: sections H and I of the Linux 7.3 steps, close and orphans (O082).
 *
 * Device 0 exports BAR 2; device 1 is attached to the address space the dma-buf is
 * mapped into. reach() does DMA and says whether it arrived; nothing may arrive after a
 * revoke has returned.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BAR_BYTES (1ull << 20)
#define I         0x10000000ull /* where areas are mapped */
#define J         0x20000000ull

struct fixture {
	struct rig_model models[2];
	struct rig rig;
	int iommu, fd, peer, buf;
	uint32_t ioas;
	uint64_t canary;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	for (unsigned i = 0; i < 2; i++)
		rig_model_default(&f->models[i], i);
	rig_create(&f->rig, f->models, 2);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	f->peer = rig_open(&f->rig, 1);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	assert_int_equal(rig_bind(&f->rig, f->peer, f->iommu, NULL), 0);
	f->ioas = rig_ioas(&f->rig, f->iommu);
	assert_int_equal(rig_attach(&f->rig, f->peer, f->ioas), 0);
	rig_set_config16(&f->rig, f->peer, RIG_COMMAND, 0x7);
	f->buf = (int)rig_dmabuf(&f->rig, f->fd, 2, 0, BAR_BYTES);
	assert_true(f->buf >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->buf >= 0)
		rig_close(&f->rig, f->buf);
	if (f->fd >= 0)
		rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->peer);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	free(f);
	return 0;
}

static long map(struct fixture *f, int buf, uint64_t iova)
{
	return rig_map_file(&f->rig, f->iommu, f->ioas, buf, 0, BAR_BYTES, iova);
}

static long unmap(struct fixture *f, uint64_t iova, uint64_t length)
{
	uint64_t n = length;
	long ret = rig_unmap(&f->rig, f->iommu, f->ioas, iova, &n);

	return ret ? ret : n == length ? 0 : -1;
}

/* DMA of the peer to @iova; does it arrive at the same offset of the BAR? */
static bool reach(struct fixture *f, uint64_t iova)
{
	uint64_t *bar = uiommufd_bar_memory(f->models[0].dev, 2);
	struct uiommufd_fault fault = {0};
	uint64_t before = bar[512], canary = ++f->canary;
	int err =
		uiommufd_dma_write(f->models[1].channel, iova + 4096, &canary, 8, &fault);

	if (!err) {
		assert_int_equal(bar[512], canary);
		return true;
	}
	assert_int_equal(err, -EFAULT);
	assert_int_equal(fault.reason, UIOMMUFD_FAULT_UNMAPPED);
	assert_int_equal(fault.iova, iova + 4096);
	assert_int_equal(bar[512], before);
	return false;
}

static long copy_area(struct fixture *f, uint64_t src, uint64_t dst)
{
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.dst_ioas_id = f->ioas,
		.src_ioas_id = f->ioas,
		.length = BAR_BYTES,
		.dst_iova = dst,
		.src_iova = src,
	};

	return rig_ioctl(&f->rig, f->iommu, IOMMU_IOAS_COPY, &copy);
}

/* ---- the ways to revoke, each and what undoes it ---------------------------------- */

static void by_reset(struct fixture *f)
{
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
}

static void by_flr(struct fixture *f)
{
	rig_set_config16(&f->rig, f->fd, RIG_DEVCTL, 0xa810);
}

static void by_hot_reset(struct fixture *f)
{
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};

	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), 0);
}

static void by_command(struct fixture *f)
{
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0);
}

static void undo_command(struct fixture *f)
{
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 2);
}

static void by_d3(struct fixture *f)
{
	rig_set_config16(&f->rig, f->fd, RIG_PMCSR, 3);
}

static void undo_d3(struct fixture *f)
{
	rig_set_config16(&f->rig, f->fd, RIG_PMCSR, 0);
}

static void feature(struct fixture *f, uint32_t nr)
{
	struct vfio_device_feature h = {.argsz = 8,
					.flags = VFIO_DEVICE_FEATURE_SET | nr};

	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &h), 0);
}

static void by_low_power(struct fixture *f)
{
	feature(f, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
}

static void undo_low_power(struct fixture *f)
{
	feature(f, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
}

static const struct way {
	const char *name;
	void (*revoke)(struct fixture *f);
	void (*undo)(struct fixture *f); /* NULL: restored at once */
	bool dead;                       /* meanwhile BAR accesses are EIO */
} ways[] = {
	{"reset", by_reset, NULL, false},
	{"flr", by_flr, NULL, false},
	{"hot reset", by_hot_reset, NULL, false},
	{"command", by_command, undo_command, true},
	{"d3hot", by_d3, undo_d3, true},
	{"low power", by_low_power, undo_low_power, false},
};

static void check_dead(struct fixture *f, const struct way *way)
{
	uint32_t v = 0;
	long want = way->dead ? -EIO : 4;

	assert_int_equal(map(f, f->buf, J), -ENODEV);
	assert_int_equal(rig_pread(&f->rig, f->fd, &v, 4, VFILE_REGION(2)), want);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, &v, 4, VFILE_REGION(2)), want);
	assert_int_equal(rig_pread(&f->rig, f->fd, &v, 4, VFILE_REGION(0)), want);
	assert_int_equal(
		rig_mmap(&f->rig, f->fd, VFILE_REGION(2), 4096, PROT_READ, MAP_SHARED),
		0);
}

static void check_way(struct fixture *f, const struct way *way)
{
	assert_int_equal(map(f, f->buf, I), 0);
	assert_true(reach(f, I));
	way->revoke(f);
	assert_false(reach(f, I));
	if (way->undo) {
		check_dead(f, way);
		way->undo(f);
	}
	/* The buffer is live again, the area stays empty for ever. */
	assert_false(reach(f, I));
	assert_int_equal(map(f, f->buf, I), -EEXIST);
	assert_int_equal(map(f, f->buf, J), 0);
	assert_true(reach(f, J));
	assert_false(reach(f, I));
	assert_int_equal(copy_area(f, I, 2 * J), 0);
	assert_false(reach(f, 2 * J));
	assert_int_equal(unmap(f, I, 4096), -ENOENT);
	assert_int_equal(unmap(f, I, BAR_BYTES), 0);
	assert_int_equal(unmap(f, I, BAR_BYTES), -ENOENT);
	assert_int_equal(map(f, f->buf, I), 0);
	assert_true(reach(f, I));
	assert_int_equal(unmap(f, I, BAR_BYTES), 0);
	assert_int_equal(unmap(f, J, BAR_BYTES), 0);
	assert_int_equal(unmap(f, 2 * J, BAR_BYTES), 0);
}

static void test_ways(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
			print_message("%s\n", ways[i].name);
			check_way(f, &ways[i]);
		}
	}
}

/* Several buffers, one with its descriptor closed already: one revoke takes them all. */
static void test_many(void **state)
{
	struct fixture *f = *state;
	int bufs[8];

	for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
		for (unsigned i = 0; i < 8; i++) {
			bufs[i] = (int)rig_dmabuf(&f->rig, f->fd, 2, 0, BAR_BYTES);
			assert_int_equal(map(f, bufs[i], I + i * BAR_BYTES), 0);
			if (i % 2)
				rig_close(&f->rig, bufs[i]);
		}
		for (unsigned i = 0; i < 8; i++)
			assert_true(reach(f, I + i * BAR_BYTES));
		ways[w].revoke(f);
		for (unsigned i = 0; i < 8; i++)
			assert_false(reach(f, I + i * BAR_BYTES));
		if (ways[w].undo)
			ways[w].undo(f);
		assert_int_equal(unmap(f, I, 8 * BAR_BYTES), 0);
		for (unsigned i = 0; i < 8; i += 2)
			rig_close(&f->rig, bufs[i]);
	}
}

/* Writes to COMMAND that change nothing, or other bits, revoke nothing. */
static void test_no_revoke(void **state)
{
	struct fixture *f = *state;
	uint8_t byte = 2;
	const uint64_t command = VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + RIG_COMMAND;

	assert_int_equal(map(f, f->buf, I), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0x7);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0x2);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, &byte, 1, command), 1);
	byte = 4;
	assert_int_equal(rig_pwrite(&f->rig, f->fd, &byte, 1, command + 1), 1);
	rig_set_config16(&f->rig, f->fd, RIG_PMCSR, 0);
	rig_set_config16(&f->rig, f->fd, RIG_PMCSR, 1);
	rig_set_config16(&f->rig, f->fd, RIG_DEVCTL, 0x2810);
	assert_true(reach(f, I));
	assert_int_equal(unmap(f, I, BAR_BYTES), 0);
}

/* In D3hot and with decoding off at once, one of them alone brings nothing back. */
static void test_both(void **state)
{
	struct fixture *f = *state;

	by_d3(f);
	by_command(f);
	undo_d3(f);
	assert_int_equal(map(f, f->buf, I), -ENODEV);
	by_d3(f);
	undo_command(f);
	assert_int_equal(map(f, f->buf, I), -ENODEV);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_COMMAND), 2);
	undo_d3(f);
	assert_int_equal(map(f, f->buf, I), 0);
	assert_true(reach(f, I));
	assert_int_equal(unmap(f, I, BAR_BYTES), 0);
}

/* A reset keeps COMMAND, and leaves D3hot. */
static void test_reset_keeps(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_COMMAND), 0x103);
	by_reset(f);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_COMMAND), 0x103);
	by_command(f);
	by_reset(f);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_COMMAND), 0);
	assert_int_equal(map(f, f->buf, I), -ENODEV);
	undo_command(f);
	by_d3(f);
	by_reset(f);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_PMCSR), 0);
	assert_int_equal(map(f, f->buf, I), 0);
	assert_true(reach(f, I));
	by_d3(f);
	by_flr(f);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_PMCSR), 0);
	assert_false(reach(f, I));
	assert_int_equal(unmap(f, I, BAR_BYTES), 0);
}

/* The way back from D3hot resets the function, once, and keeps its configuration. */
static void test_power_reset(void **state)
{
	struct fixture *f = *state;
	_Atomic unsigned *resets = f->models[0].resets;
	unsigned command = rig_config16(&f->rig, f->fd, RIG_COMMAND);
	unsigned functions = resets[UIOMMUFD_RESET_FUNCTION];

	by_d3(f);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_PMCSR), 3);
	by_d3(f);
	assert_int_equal(resets[UIOMMUFD_RESET_POWER], 0);
	undo_d3(f);
	assert_int_equal(resets[UIOMMUFD_RESET_POWER], 1);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_PMCSR), 0);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_COMMAND), command);
	undo_d3(f);
	assert_int_equal(resets[UIOMMUFD_RESET_POWER], 1);
	by_d3(f);
	by_reset(f);
	assert_int_equal(resets[UIOMMUFD_RESET_POWER], 1);
	assert_int_equal(resets[UIOMMUFD_RESET_FUNCTION], functions + 1);
}

/* LOW_POWER_ENTRY twice; a buffer made in between is live until then. */
static void test_low_power(void **state)
{
	struct fixture *f = *state;
	struct vfio_device_feature again = {
		.argsz = 8,
		.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
	};
	int other;

	by_low_power(f);
	assert_int_equal(map(f, f->buf, I), -ENODEV);
	other = (int)rig_dmabuf(&f->rig, f->fd, 2, 0, BAR_BYTES);
	assert_int_equal(map(f, other, I), 0);
	assert_true(reach(f, I));
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &again), -EINVAL);
	assert_false(reach(f, I));
	assert_int_equal(map(f, f->buf, J), -ENODEV);
	assert_int_equal(map(f, other, J), -ENODEV);
	undo_low_power(f);
	assert_int_equal(map(f, f->buf, J), 0);
	undo_low_power(f);
	rig_close(&f->rig, other);
}

/* Bus mastering: off at bind, by COMMAND, in D3hot. */
static void test_bus_master(void **state)
{
	struct fixture *f = *state;
	struct uiommufd_fault fault;
	uint64_t v = 0;
	int peer = f->peer;

	assert_int_equal(map(f, f->buf, I), 0);
	assert_true(reach(f, I));
	rig_set_config16(&f->rig, peer, RIG_COMMAND, 0x3);
	assert_int_equal(uiommufd_dma_read(f->models[1].channel, I, &v, 8, &fault),
			 -EFAULT);
	assert_int_equal(fault.reason, UIOMMUFD_FAULT_NO_MASTER);
	rig_set_config16(&f->rig, peer, RIG_COMMAND, 0x7);
	assert_true(reach(f, I));
	rig_set_config16(&f->rig, peer, RIG_PMCSR, 3);
	assert_int_equal(uiommufd_dma_read(f->models[1].channel, I, &v, 8, &fault),
			 -EFAULT);
	assert_int_equal(fault.reason, UIOMMUFD_FAULT_NO_MASTER);
	rig_set_config16(&f->rig, peer, RIG_PMCSR, 0);
	assert_true(reach(f, I));
	assert_int_equal(rig_reset(&f->rig, peer), 0);
	assert_true(reach(f, I));
	rig_close(&f->rig, peer);
	assert_false(f->rig.devices[1]->requester.master);
	f->peer = rig_open(&f->rig, 1);
	assert_int_equal(rig_bind(&f->rig, f->peer, f->iommu, NULL), 0);
	assert_false(f->rig.devices[1]->requester.master);
}

/* The device goes away: its buffers are dead for good, its areas unmap. */
static void test_close(void **state)
{
	struct fixture *f = *state;
	uint64_t all = UINT64_MAX;

	assert_int_equal(map(f, f->buf, I), 0);
	assert_true(reach(f, I));
	rig_close(&f->rig, f->fd);
	assert_false(reach(f, I));
	assert_int_equal(lseek(f->buf, 0, SEEK_END), BAR_BYTES);
	assert_int_equal(map(f, f->buf, J), -ENODEV);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(map(f, f->buf, J), -ENODEV);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	by_reset(f);
	by_command(f);
	undo_command(f);
	assert_int_equal(map(f, f->buf, J), -ENODEV);
	assert_false(reach(f, I));
	assert_int_equal(map(f, f->buf, I), -ENODEV);
	assert_int_equal(rig_unmap(&f->rig, f->iommu, f->ioas, 0, &all), 0);
	assert_int_equal(all, BAR_BYTES);
}

/* Buffers and areas that outlive the devices, the last references going last. */
static void test_outlives_device(void **state)
{
	struct fixture *f = *state;
	struct vfile *file;
	struct dmabuf *buf;

	assert_int_equal(map(f, f->buf, I), 0);
	assert_int_equal(client_get_vfile(f->rig.client, f->buf, &file), 0);
	buf = file->ops->dmabuf(file);
	vfile_put(file);
	rig_close(&f->rig, f->buf);
	f->buf = -1;
	rig_close(&f->rig, f->fd);
	f->fd = -1;
	assert_true(dmabuf_is_revoked(buf));
	/* The machine goes, the buffer stays. */
	rig_close(&f->rig, f->peer);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	assert_true(dmabuf_is_revoked(buf));
	dmabuf_restore(buf);
	assert_true(dmabuf_is_revoked(buf));
	dmabuf_put(buf);
	free(f);
	setup(state);
}

/* The IOAS holds the last reference: unmapping it lets the buffer go. */
static void test_area_is_last(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(map(f, f->buf, I), 0);
	rig_close(&f->rig, f->buf);
	f->buf = -1;
	by_reset(f);
	assert_int_equal(unmap(f, I, BAR_BYTES), 0);
	by_reset(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_revoke, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_keeps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_low_power, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_master, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outlives_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_area_is_last, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
