/* SPDX-License-Identifier: MIT */
/*
 * The addresses of a BAR in VFIO_IOMMU_MAP_DMA of an iommufd: refused, unless the
 * extension compat-p2p is on; then peers reach the BAR until its device takes it away,
 * whatever memory is beside it.
 */
#include "tests/vfio/legacy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BAR   2
#define BYTES (8 * PAGE)

/* Memory, a BAR's pages, memory: one beside the other; and a hole behind. */
struct view {
	struct legacy *l;
	unsigned char *before, *bar, *after;
};

static int setup(void **state)
{
	struct view *v = calloc(1, sizeof(*v));
	struct legacy *l = legacy_create();
	uint64_t at = VFILE_REGION(BAR) + 4 * PAGE;

	l->rig.machine.compat_p2p = true;
	l->container = rig_open_iommu(&l->rig);
	for (unsigned i = 0; i < 2; i++) {
		l->groups[i] = rig_open_group(&l->rig, i);
		assert_int_equal(legacy_set_container(l, i, l->container), 0);
		l->devices[i] = (int)legacy_get_device(l, i, legacy_names[i]);
		assert_true(l->devices[i] >= 0);
		rig_set_config16(&l->rig, l->devices[i], RIG_COMMAND, 7);
	}
	v->l = l;
	v->before = mmap(NULL, 4 * BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	v->bar = v->before + BYTES;
	v->after = v->bar + BYTES;
	assert_ptr_equal(mmap(v->bar, BYTES, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, l->devices[1], (off_t)at),
			 v->bar);
	assert_int_equal(munmap(v->after + BYTES, BYTES), 0);
	for (unsigned i = 0; i < 3 * BYTES / 8; i++)
		((uint64_t *)v->before)[i] = i;
	*state = v;
	return 0;
}

static int teardown(void **state)
{
	struct view *v = *state;

	munmap(v->before, 3 * BYTES);
	legacy_destroy(v->l);
	free(v);
	return 0;
}

/* What device 0 reads at @iova, or -1. */
static long peek(struct view *v, uint64_t iova)
{
	uint64_t word;

	if (uiommufd_dma_read(v->l->models[0].channel, iova, &word, 8, NULL))
		return -1;
	return (long)word;
}

static void test_off(void **state)
{
	struct view *v = *state;

	v->l->rig.machine.compat_p2p = false;
	assert_int_equal(legacy_map(v->l, RW, v->bar, BYTES, 0), -EFAULT);
	assert_int_equal(legacy_map(v->l, RW, v->before, 3 * BYTES, 0), -EFAULT);
	assert_int_equal(legacy_map(v->l, RW, v->before, BYTES, 0), 0);
	assert_int_equal(peek(v, 8), 1);
}

static void test_slice(void **state)
{
	struct view *v = *state;
	uint64_t new = 0xabc;

	assert_int_equal(legacy_map(v->l, RW, v->bar + PAGE, 2 * PAGE, 0x10000), 0);
	assert_int_equal(peek(v, 0x10000), (BYTES + PAGE) / 8);
	assert_int_equal(peek(v, 0x10000 + 2 * PAGE - 8), (BYTES + 3 * PAGE) / 8 - 1);
	assert_int_equal(peek(v, 0x10000 + 2 * PAGE), -1);
	assert_int_equal(
		uiommufd_dma_write(v->l->models[0].channel, 0x10008, &new, 8, NULL), 0);
	assert_int_equal(((uint64_t *)(v->bar + PAGE))[1], 0xabc);
	/* Taken as an area is. */
	assert_int_equal(legacy_map(v->l, RW, v->bar, PAGE, 0x10000), -EEXIST);
	assert_int_equal(legacy_unmap(v->l, 0, 0x10000, PAGE), -ENOENT);
	assert_int_equal(legacy_unmap(v->l, 0, 0x10000, 2 * PAGE), 2 * PAGE);
	assert_int_equal(peek(v, 0x10000), -1);
	/* Read-only. */
	assert_int_equal(legacy_map(v->l, VFIO_DMA_MAP_FLAG_READ, v->bar, PAGE, 0x10000),
			 0);
	assert_int_equal(
		uiommufd_dma_write(v->l->models[0].channel, 0x10008, &new, 8, NULL),
		-EFAULT);
}

/* Registers that fault when the CPU touches them are a BAR as any other. */
static void test_faulting(void **state)
{
	struct view *v = *state;
	struct legacy *l = v->l;
	uint64_t value = 0x77;
	char *regs;

	l->rig.devices[1]->desc.mmio = UIOMMUFD_MMIO_FAULT;
	regs = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, l->devices[1],
		    (off_t)(VFILE_REGION(0) | VFILE_FAULTING));
	assert_ptr_not_equal(regs, MAP_FAILED);
	assert_int_equal(legacy_map(l, RW, regs, PAGE, 0x10000), 0);
	assert_int_equal(
		uiommufd_dma_write(l->models[0].channel, 0x10008, &value, 8, NULL), 0);
	assert_int_equal(l->models[1].regs[1], 0x77);
	assert_int_equal(rig_reset(&l->rig, l->devices[1]), 0);
	assert_int_equal(peek(v, 0x10008), -1);
	assert_int_equal(legacy_unmap(l, 0, 0x10000, PAGE), PAGE);
	l->rig.machine.compat_p2p = false;
	assert_int_equal(legacy_map(l, RW, regs, PAGE, 0x10000), -EFAULT);
	munmap(regs, PAGE);
}

static void test_mixed(void **state)
{
	struct view *v = *state;

	assert_int_equal(legacy_map(v->l, RW, v->before, 3 * BYTES, 0x100000), 0);
	for (uint64_t at = 0; at < 3 * BYTES; at += PAGE)
		assert_int_equal(peek(v, 0x100000 + at), at / 8);
	/* The device takes its part back, and only that; nothing brings it back. */
	assert_int_equal(rig_reset(&v->l->rig, v->l->devices[1]), 0);
	for (uint64_t at = 0; at < 3 * BYTES; at += PAGE) {
		bool bar = at >= BYTES && at < 2 * BYTES;

		assert_int_equal(peek(v, 0x100000 + at), bar ? -1 : (long)(at / 8));
	}
	assert_int_equal(legacy_unmap(v->l, 0, 0x100000, 3 * BYTES), 3 * BYTES);
	assert_int_equal(legacy_map(v->l, RW, v->before, 3 * BYTES, 0x100000), 0);
	assert_int_equal(peek(v, 0x100000 + BYTES), BYTES / 8);
	assert_int_equal(legacy_unmap(v->l, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0), 3 * BYTES);
}

/* All or nothing. */
static void test_undone(void **state)
{
	struct view *v = *state;
	struct legacy *l = v->l;

	assert_int_equal(legacy_map(l, RW, v->before, 4 * BYTES, 0), -EFAULT);
	assert_int_equal(legacy_unmap(l, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0), 0);
	/* The last piece meets something. */
	assert_int_equal(legacy_map(l, RW, v->before, PAGE, 3 * BYTES - PAGE), 0);
	assert_int_equal(legacy_map(l, RW, v->before, 3 * BYTES, 0), -EEXIST);
	assert_int_equal(legacy_unmap(l, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0), PAGE);
	/* Memory that is off is not there. */
	rig_set_config16(&l->rig, l->devices[1], RIG_COMMAND, 5);
	assert_int_equal(legacy_map(l, RW, v->bar, BYTES, 0), -EFAULT);
	assert_int_equal(legacy_map(l, RW, v->before, 3 * BYTES, 0), -EFAULT);
	assert_int_equal(legacy_unmap(l, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0), 0);
	rig_set_config16(&l->rig, l->devices[1], RIG_COMMAND, 7);
	/* What is wrong with a request is said as without the extension. */
	assert_int_equal(legacy_map(l, 0, v->bar, BYTES, 0), -EFAULT);
	assert_int_equal(legacy_map(l, RW, v->bar, 0, 0), -EINVAL);
	assert_int_equal(legacy_map(l, RW, v->bar, 0x800, 0), -EINVAL);
	assert_int_equal(legacy_map(l, RW, v->bar, PAGE, 0x800), -EINVAL);
	assert_int_equal(legacy_map(l, RW, v->bar, PAGE, 0xfee00000), -EINVAL);
	/* A mapping that may only be read. */
	assert_int_equal(mprotect(v->bar, BYTES, PROT_READ), 0);
	assert_int_equal(legacy_map(l, RW, v->bar, PAGE, 0), -EFAULT);
	assert_int_equal(legacy_map(l, VFIO_DMA_MAP_FLAG_READ, v->bar, PAGE, 0), 0);
	assert_int_equal(mprotect(v->bar, BYTES, PROT_READ | PROT_WRITE), 0);
}

/* The slice lives on without the mapping, and ends with the device. */
static void test_lifetime(void **state)
{
	struct view *v = *state;

	assert_int_equal(legacy_map(v->l, RW, v->bar, BYTES, 0), 0);
	assert_int_equal(munmap(v->bar, BYTES), 0);
	assert_int_equal(peek(v, 0), BYTES / 8);
	legacy_close(v->l, &v->l->devices[1]);
	assert_int_equal(peek(v, 0), -1);
	v->l->devices[1] = (int)legacy_get_device(v->l, 1, legacy_names[1]);
	assert_int_equal(peek(v, 0), -1);
	assert_int_equal(legacy_unmap(v->l, 0, 0, BYTES), BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faulting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mixed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lifetime, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
