/* SPDX-License-Identifier: MIT */
/*
 * The configuration space: what is in it, which bits can be written, accesses of every
 * width and alignment against a byte model, BAR sizing, the end of the space.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONFIG VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX)

struct fixture {
	struct rig_model model;
	struct rig rig;
	int iommu, fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_model_default(&f->model, 0);
	f->model.desc.bars[1] = (struct uiommufd_bar){32, UIOMMUFD_BAR_IO};
	f->model.desc.bars[4] = (struct uiommufd_bar){256, UIOMMUFD_BAR_MEMORY};
	rig_create(&f->rig, &f->model, 1);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	free(f);
	return 0;
}

static uint64_t get(struct fixture *f, unsigned offset, unsigned n)
{
	uint64_t value = 0;

	assert_int_equal(rig_pread(&f->rig, f->fd, &value, n, CONFIG + offset), n);
	return value;
}

static void put(struct fixture *f, unsigned offset, unsigned n, uint64_t value)
{
	assert_int_equal(rig_pwrite(&f->rig, f->fd, &value, n, CONFIG + offset), n);
}

static void test_identity(void **state)
{
	struct fixture *f = *state;
	uint8_t all[4096], sysfs[4096];

	assert_int_equal(get(f, 0x00, 4), 0x56781234);
	assert_int_equal(get(f, 0x04, 4), 0x00100103);
	assert_int_equal(get(f, 0x08, 4), 0x08800003);
	assert_int_equal(get(f, 0x2c, 4), 0x11001af4);
	assert_int_equal(get(f, 0x34, 1), 0x40);
	assert_int_equal(get(f, 0x3d, 1), 0); /* no INTx */
	assert_int_equal(get(f, 0x40, 4), 0x00036001);
	assert_int_equal(get(f, 0x44, 4), 0);
	assert_int_equal(get(f, 0x60, 4), 0x0002a010);
	assert_int_equal(get(f, 0x64, 4) >> 28 & 1, 1); /* FLR */
	assert_int_equal(get(f, 0xa0, 4), 0x00070011);
	assert_int_equal(get(f, 0xa4, 4), 0x2000);
	assert_int_equal(get(f, 0xa8, 4), 0x3000);
	assert_int_equal(get(f, 0x100, 4), 0x00010003);
	assert_int_equal(rig_pread(&f->rig, f->fd, all, 4096, CONFIG), 4096);
	pci_device_config(f->rig.devices[0], 0, sysfs, 4096);
	assert_memory_equal(all, sysfs, 4096);
	memset(sysfs, 1, sizeof(sysfs));
	pci_device_config(f->rig.devices[0], 4094, sysfs, 8);
	assert_memory_equal(sysfs, "\0\0\0\0\0\0\0\0\1", 9);
}

static void test_end(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[8] = {0};

	assert_int_equal(rig_pread(&f->rig, f->fd, buf, 0, CONFIG + 5000), 0);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, buf, 0, CONFIG), 0);
	assert_int_equal(rig_pread(&f->rig, f->fd, buf, 1, CONFIG + 4095), 1);
	assert_int_equal(rig_pread(&f->rig, f->fd, buf, 2, CONFIG + 4095), -EFAULT);
	assert_int_equal(rig_pread(&f->rig, f->fd, buf, 1, CONFIG + 4096), -EFAULT);
	assert_int_equal(rig_pread(&f->rig, f->fd, buf, SIZE_MAX, CONFIG + 8), -EFAULT);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, buf, 8, CONFIG + 4092), -EFAULT);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, buf, 1,
				    VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX + 1) - 1),
			 -EFAULT);
	assert_int_equal(rig_pread(&f->rig, f->fd, RIG_BAD_VA, 4, CONFIG), -EFAULT);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, RIG_BAD_VA, 4, CONFIG), -EFAULT);
}

static void test_bar_sizing(void **state)
{
	static const struct {
		unsigned offset;
		uint32_t ones, zeroes;
	} bars[] = {
		{0x10, 0xffffc000, 0x0}, /* 16 KiB of registers */
		{0x14, 0xffffffe1, 0x1}, /* 32 ports */
		{0x18, 0xfff0000c, 0xc}, /* 1 MiB, 64 bits, prefetchable */
		{0x1c, 0xffffffff, 0x0}, {0x20, 0xffffff00, 0x0}, /* 256 bytes */
		{0x24, 0x00000000, 0x0},                          /* absent */
		{0x30, 0x00000000, 0x0},                          /* no ROM */
	};
	struct fixture *f = *state;
	struct pci_device *dev = f->rig.devices[0];

	assert_int_equal(get(f, 0x10, 4), pci_device_bar_address(dev, 0) & 0xffffffff);
	assert_int_equal(get(f, 0x14, 4), pci_device_bar_address(dev, 1) | 1);
	assert_int_equal(get(f, 0x18, 8), pci_device_bar_address(dev, 2) | 0xc);
	assert_int_not_equal(pci_device_bar_address(dev, 2), 0);
	for (size_t i = 0; i < ARRAY_LEN(bars); i++) {
		put(f, bars[i].offset, 4, 0xffffffff);
		assert_int_equal(get(f, bars[i].offset, 4), bars[i].ones);
		put(f, bars[i].offset, 4, 0);
		assert_int_equal(get(f, bars[i].offset, 4), bars[i].zeroes);
	}
}

/* A client moves its BARs as it likes: they stay where they are. */
static void test_bars_stay(void **state)
{
	struct fixture *f = *state;
	uint64_t address = pci_device_bar_address(f->rig.devices[0], 0);
	uint32_t v = 0xabcd;

	for (unsigned offset = 0x10; offset <= 0x24; offset += 4)
		put(f, offset, 4, 0);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, &v, 4, VFILE_REGION(0) + 8), 4);
	assert_int_equal(f->model.regs[1], 0xabcd);
	assert_int_equal(pci_device_bar_address(f->rig.devices[0], 0), address);
}

/* Every byte of the space, and what writing all ones and all zeroes to it leaves. */
static const struct {
	unsigned offset;
	uint8_t mask;
} writable[] = {
	{0x04, 0x47}, {0x05, 0x05}, {0x0c, 0xff}, {0x3c, 0xff}, {0x11, 0xc0},
	{0x12, 0xff}, {0x13, 0xff}, {0x14, 0xe0}, {0x15, 0xff}, {0x16, 0xff},
	{0x17, 0xff}, {0x1a, 0xf0}, {0x1b, 0xff}, {0x1c, 0xff}, {0x1d, 0xff},
	{0x1e, 0xff}, {0x1f, 0xff}, {0x21, 0xff}, {0x22, 0xff}, {0x23, 0xff},
	{0x44, 0x03}, {0x68, 0xff}, {0x69, 0x79}, {0x88, 0x10},
};

static uint8_t mask_at(unsigned offset)
{
	for (size_t i = 0; i < ARRAY_LEN(writable); i++) {
		if (writable[i].offset == offset)
			return writable[i].mask;
	}
	return 0;
}

static void test_every_bit(void **state)
{
	struct fixture *f = *state;

	for (unsigned offset = 0; offset < 4096; offset++) {
		uint8_t before = (uint8_t)get(f, offset, 1), mask = mask_at(offset);

		put(f, offset, 1, 0xff);
		assert_int_equal(get(f, offset, 1), before | mask);
		put(f, offset, 1, 0x00);
		assert_int_equal(get(f, offset, 1), before & ~mask);
		for (unsigned bit = 0; bit < 8; bit++) {
			/* D1 and D2 do not exist. */
			if (offset == RIG_PMCSR && bit < 2)
				continue;
			put(f, offset, 1, 1u << bit);
			assert_int_equal(get(f, offset, 1),
					 (before & ~mask) | (mask & 1u << bit));
		}
		put(f, offset, 1, before);
	}
}

/* The byte model: words as vfio-pci makes them, masks, and the power state. */
static void model_write_word(uint8_t *m, unsigned offset, const uint8_t *src, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t mask = mask_at(offset + i);

		if (offset + i == RIG_PMCSR) {
			if (offset == RIG_PMCSR && (src[i] & 3) != 1 && (src[i] & 3) != 2)
				m[RIG_PMCSR] = (m[RIG_PMCSR] & ~3) | (src[i] & 3);
			continue;
		}
		m[offset + i] = (m[offset + i] & ~mask) | (src[i] & mask);
	}
}

static void model_write(uint8_t *m, unsigned offset, const uint8_t *src, unsigned n)
{
	while (n) {
		unsigned size = offset % 4 == 0 && n >= 4   ? 4
				: offset % 2 == 0 && n >= 2 ? 2
							    : 1;

		model_write_word(m, offset, src, size);
		offset += size;
		src += size;
		n -= size;
	}
}

static void test_random(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL);
	uint8_t model[4096], buf[64];

	print_message("seed %u\n", seed);
	srand(seed);
	assert_int_equal(rig_pread(&f->rig, f->fd, model, 4096, CONFIG), 4096);
	for (unsigned i = 0; i < 40000; i++) {
		unsigned n = rand() % 4 ? 1 + rand() % 8 : 1 + rand() % 64;
		unsigned offset = rand() % 8 ? rand() % 0xb0 : rand() % (4096 - 64);

		if (rand() % 2) {
			for (unsigned j = 0; j < n; j++)
				buf[j] = (uint8_t)rand();
			/* An FLR leaves the space as it is: let some happen. */
			assert_int_equal(
				rig_pwrite(&f->rig, f->fd, buf, n, CONFIG + offset), n);
			bool flr = offset <= RIG_DEVCTL + 1 &&
				   offset + n > RIG_DEVCTL + 1 &&
				   buf[RIG_DEVCTL + 1 - offset] & 0x80;
			unsigned before = offset > RIG_PMCSR ? 0 : RIG_PMCSR;

			model_write(model, offset, buf, n);
			/* It also brings the function back to D0. */
			if (flr && before <= RIG_DEVCTL)
				model[RIG_PMCSR] &= ~3;
			continue;
		}
		assert_int_equal(rig_pread(&f->rig, f->fd, buf, n, CONFIG + offset), n);
		for (unsigned j = 0; j < n; j++) {
			if (buf[j] != model[offset + j])
				fail_msg("seed %u step %u: %#x is %#x, not %#x", seed, i,
					 offset + j, buf[j], model[offset + j]);
		}
	}
}

static void test_no_caps(void **state)
{
	struct rig_model m;
	struct rig r;
	uint8_t flr[2] = {0x10, 0x80};
	int iommu, fd;
	uint16_t v;

	rig_model_default(&m, 0);
	m.desc.pm = false;
	m.desc.flr = false;
	m.desc.msix_vectors = 0;
	rig_create(&r, &m, 1);
	iommu = rig_open_iommu(&r);
	fd = rig_open(&r, 0);
	assert_int_equal(rig_bind(&r, fd, iommu, NULL), 0);
	assert_int_equal(rig_config16(&r, fd, 0x34), 0x60);
	assert_int_equal(rig_config16(&r, fd, 0x60), 0x0010);
	assert_int_equal(rig_config16(&r, fd, 0xa0), 0);
	/* FLR is not there: the bit reads 0 and does nothing. Nor is PM. */
	m.resets[UIOMMUFD_RESET_FUNCTION] = 0;
	assert_int_equal(rig_pwrite(&r, fd, flr, 2, CONFIG + RIG_DEVCTL), 2);
	rig_set_config16(&r, fd, RIG_PMCSR, 3);
	assert_int_equal(rig_config16(&r, fd, RIG_DEVCTL), 0x0010);
	assert_int_equal(m.resets[UIOMMUFD_RESET_FUNCTION], 0);
	assert_int_equal(rig_pread(&r, fd, &v, 2, VFILE_REGION(2)), 2);
	rig_close(&r, fd);
	rig_close(&r, iommu);
	rig_destroy(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bar_sizing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bars_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_bit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test(test_no_caps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
