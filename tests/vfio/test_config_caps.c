/* SPDX-License-Identifier: MIT */
/*
 * What a description may add to the configuration space: INTx, MSI, AF, an expansion ROM,
 * extended capabilities with what vfio-pci hides of them, and registers of the model's
 * own; power states with and without a soft reset.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CONFIG   VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX)
#define ROM      VFILE_REGION(VFIO_PCI_ROM_REGION_INDEX)
#define MSI      0x50
#define AF       0xb0
#define OWN      0x180 /* the model's registers */

#define ID_AER   0x01
#define ID_DSN   0x03
#define ID_VNDR  0x0b
#define ID_ACS   0x0d
#define ID_ATS   0x0f
#define ID_REBAR 0x15
#define ID_PASID 0x1b

struct fixture {
	struct rig_model model;
	struct rig rig;
	int iommu, fd;
	uint32_t own[4];
	unsigned last_size;
	uint8_t rom[3000];
};

static uint32_t own_read(void *model, unsigned offset, unsigned size)
{
	struct fixture *f = ((struct rig_model *)model)->test;

	f->last_size = size;
	return f->own[(offset - OWN) / 4] >> 8 * (offset % 4);
}

/* Written bits are cleared, as error registers do. */
static void own_write(void *model, unsigned offset, unsigned size, uint32_t value)
{
	struct fixture *f = ((struct rig_model *)model)->test;

	f->last_size = size;
	f->own[(offset - OWN) / 4] &= ~(value << 8 * (offset % 4));
}

static const uint8_t aer[40] = {[0x04 - 4] = 0x10, [0x08 - 4] = 0};
static const uint8_t pasid[4] = {0x06, 0x14};
static const uint8_t rebar[8] = {0xf0, 0, 0, 0, 0x20, 0x04};

static const struct uiommufd_ext_cap caps[] = {
	{.id = ID_AER, .version = 2, .size = 40, .bytes = aer},
	{.id = ID_PASID, .version = 1, .size = 4, .bytes = pasid},
	{.id = ID_ATS, .version = 1, .size = 4},
	{.id = ID_ACS, .version = 1, .offset = 0x148, .size = 4},
	{.id = ID_REBAR, .version = 1, .size = 8, .bytes = rebar},
	/* No room before the model's registers. */
	{.id = ID_VNDR, .version = 1, .size = 60},
};

static void describe(struct fixture *f)
{
	struct uiommufd_device_desc *d = &f->model.desc;

	rig_model_default(&f->model, 0);
	for (size_t i = 0; i < sizeof(f->rom); i++)
		f->rom[i] = (uint8_t)(i * 7);
	d->interrupt_pin = 2;
	d->msi_vectors = 8;
	d->af = true;
	d->flr = false;
	d->rom = f->rom;
	d->rom_size = sizeof(f->rom);
	d->ext_caps = caps;
	d->nr_ext_caps = ARRAY_LEN(caps);
	d->config_offset = OWN;
	d->config_size = sizeof(f->own);
	f->model.ops.config_read = own_read;
	f->model.ops.config_write = own_write;
	f->model.test = f;
}

static void open_device(struct fixture *f)
{
	rig_create(&f->rig, &f->model, 1);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	describe(f);
	open_device(f);
	*state = f;
	return 0;
}

static int setup_no_soft_reset(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	describe(f);
	f->model.desc.no_soft_reset = true;
	open_device(f);
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

static uint32_t get(struct fixture *f, unsigned offset, unsigned n)
{
	uint32_t value = 0;

	assert_int_equal(rig_pread(&f->rig, f->fd, &value, n, CONFIG + offset), n);
	return value;
}

static void put(struct fixture *f, unsigned offset, unsigned n, uint32_t value)
{
	assert_int_equal(rig_pwrite(&f->rig, f->fd, &value, n, CONFIG + offset), n);
}

static uint32_t sysfs(struct fixture *f, unsigned offset)
{
	uint32_t value;

	pci_device_config(f->rig.devices[0], offset, &value, 4);
	return value;
}

static void test_chain(void **state)
{
	static const uint8_t want[] = {0x01, 0x05, 0x10, 0x11, 0x13};
	struct fixture *f = *state;
	unsigned at = get(f, 0x34, 1);

	for (size_t i = 0; i < sizeof(want); i++) {
		assert_int_equal(get(f, at, 1), want[i]);
		at = get(f, at + 1, 1);
	}
	assert_int_equal(at, 0);
	assert_int_equal(get(f, 0x3c, 2), 0x0200); /* INTB# */
	put(f, 0x3c, 2, 0x010b);
	assert_int_equal(get(f, 0x3c, 2), 0x020b);
}

/* The extended chain: of the function, and as clients see it. */
static void test_ext_chain(void **state)
{
	static const struct {
		unsigned offset, id;
		bool hidden;
	} want[] = {
		{0x100, ID_AER, false}, {0x12c, ID_PASID, true},  {0x134, ID_ATS, false},
		{0x148, ID_ACS, false}, {0x150, ID_REBAR, false}, {0x190, ID_VNDR, false},
		{0x1d0, ID_DSN, false},
	};
	struct fixture *f = *state;
	unsigned client = 0x100, own = 0x100;

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(own, want[i].offset);
		assert_int_equal(sysfs(f, own) & 0xffff, want[i].id);
		own = sysfs(f, own) >> 20;
		if (want[i].hidden)
			continue;
		assert_int_equal(client, want[i].offset);
		assert_int_equal(get(f, client, 2), want[i].id);
		client = get(f, client, 4) >> 20;
	}
	assert_int_equal(own, 0);
	assert_int_equal(client, 0);
	assert_int_equal(get(f, 0x104, 1), 0x10);
	assert_int_equal(get(f, 0x154, 4), 0xf0);
	/* Read-only, all of them, but AER's. */
	for (unsigned at = 0x12c; at < OWN; at += 4) {
		uint32_t value = get(f, at, 4);

		put(f, at, 4, ~value);
		assert_int_equal(get(f, at, 4), value);
	}
	put(f, 0x108, 4, 0xffffffff);
	assert_int_equal(get(f, 0x108, 4), 0x03fff031);
	put(f, 0x108, 4, 0);
	assert_int_equal(get(f, 0x108, 4), 0);
	put(f, 0x118, 4, 0xffffffff);
	assert_int_equal(get(f, 0x118, 4), 0x140);
	/* A status is cleared by ones. */
	put(f, 0x104, 4, 0);
	assert_int_equal(get(f, 0x104, 4), 0x10);
	put(f, 0x104, 4, 0xffffffff);
	assert_int_equal(get(f, 0x104, 4), 0);
}

/* A hidden one at the start holds the chain; the rest hangs off it. */
static void test_hidden_first(void **state)
{
	static const struct uiommufd_ext_cap first[] = {
		{.id = ID_PASID, .version = 1, .size = 4, .bytes = pasid},
		{.id = ID_ATS, .version = 1, .size = 4},
	};
	struct fixture *f = *state;

	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	f->model.desc.ext_caps = first;
	f->model.desc.nr_ext_caps = 2;
	open_device(f);
	assert_int_equal(get(f, 0x100, 4), 0x10800000);
	assert_int_equal(sysfs(f, 0x100), 0x1081001b);
	assert_int_equal(get(f, 0x104, 4), 0x1406);
	assert_int_equal(get(f, 0x108, 4), 0x1101000f);
}

static void test_msi(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, MSI, 4) & 0xffff00ff, 0x00860005);
	put(f, MSI + 4, 4, 0xfee01234);
	put(f, MSI + 8, 4, 0x5678);
	put(f, MSI + 12, 4, 0xffffabcd);
	assert_int_equal(get(f, MSI + 4, 4), 0xfee01234);
	assert_int_equal(get(f, MSI + 8, 4), 0x5678);
	assert_int_equal(get(f, MSI + 12, 4), 0xabcd);
	/* None of it is the function's. */
	assert_int_equal(sysfs(f, MSI + 4), 0);
}

static void test_af(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	assert_int_equal(get(f, AF, 4) & 0xffff00ff, 0x03060013);
	before = f->model.resets[UIOMMUFD_RESET_FUNCTION];
	put(f, AF + 4, 1, 0);
	assert_int_equal(f->model.resets[UIOMMUFD_RESET_FUNCTION], before);
	put(f, AF + 4, 1, 1);
	assert_int_equal(f->model.resets[UIOMMUFD_RESET_FUNCTION], before + 1);
	put(f, AF + 4, 4, 0xffffffff);
	assert_int_equal(f->model.resets[UIOMMUFD_RESET_FUNCTION], before + 2);
	assert_int_equal(get(f, AF + 4, 2), 0);
	/* There is no other FLR, but it can be reset. */
	put(f, RIG_DEVCTL, 2, 0x8000);
	assert_int_equal(f->model.resets[UIOMMUFD_RESET_FUNCTION], before + 2);
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
}

static void test_af_revokes(void **state)
{
	struct fixture *f = *state;
	uint32_t ioas = rig_ioas(&f->rig, f->iommu);
	int dmabuf = (int)rig_dmabuf(&f->rig, f->fd, 2, 0, 4096);
	uint64_t word;

	assert_int_equal(rig_attach(&f->rig, f->fd, ioas), 0);
	put(f, RIG_COMMAND, 2, 7);
	assert_int_equal(rig_map_file(&f->rig, f->iommu, ioas, dmabuf, 0, 4096, 0), 0);
	assert_int_equal(uiommufd_dma_read(f->model.channel, 0, &word, 8, NULL), 0);
	put(f, AF + 4, 1, 1);
	assert_int_equal(uiommufd_dma_read(f->model.channel, 0, &word, 8, NULL), -EFAULT);
	rig_close(&f->rig, dmabuf);
}

static void test_rom(void **state)
{
	struct fixture *f = *state;
	struct vfio_region_info info = {.argsz = sizeof(info),
					.index = VFIO_PCI_ROM_REGION_INDEX};
	uint8_t all[4096];

	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_REGION_INFO, &info),
			 0);
	assert_int_equal(info.size, 4096);
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ);
	assert_int_equal(rig_pread(&f->rig, f->fd, all, 9999, ROM), 4096);
	assert_memory_equal(all, f->rom, sizeof(f->rom));
	for (size_t i = sizeof(f->rom); i < sizeof(all); i++)
		assert_int_equal(all[i], 0xff);
	assert_int_equal(rig_pread(&f->rig, f->fd, all, 3, ROM + 7), 3);
	assert_memory_equal(all, f->rom + 7, 3);
	assert_int_equal(rig_pread(&f->rig, f->fd, all, 1, ROM + 4096), -EINVAL);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, all, 4, ROM), -EINVAL);
	assert_int_equal(rig_mmap(&f->rig, f->fd, ROM, 4096, PROT_READ, MAP_SHARED),
			 -EINVAL);
	/* Its register: sizing, and a bit that is only the client's. */
	put(f, 0x30, 4, 0xffffffff);
	assert_int_equal(get(f, 0x30, 4), 0xfffff001);
	put(f, 0x30, 4, 0);
	assert_int_equal(get(f, 0x30, 4), 0);
	assert_int_equal(rig_pread(&f->rig, f->fd, all, 4, ROM), 4);
	put(f, RIG_COMMAND, 2, 1);
	assert_int_equal(rig_pread(&f->rig, f->fd, all, 4, ROM), -EIO);
}

static void test_own_registers(void **state)
{
	struct fixture *f = *state;

	f->own[0] = 0x11223344;
	f->own[3] = 0xff;
	assert_int_equal(get(f, OWN, 4), 0x11223344);
	assert_int_equal(f->last_size, 4);
	assert_int_equal(get(f, OWN + 1, 1), 0x33);
	assert_int_equal(get(f, OWN + 2, 2), 0x1122);
	assert_int_equal(f->last_size, 2);
	put(f, OWN + 2, 1, 0x02);
	assert_int_equal(f->own[0], 0x11203344);
	put(f, OWN + 12, 4, 0x0f);
	assert_int_equal(f->own[3], 0xf0);
	assert_int_equal(sysfs(f, OWN + 12), 0xf0);
	assert_int_equal(get(f, OWN + 16, 4), 0x0001000b | 0x1d0 << 20);
	put(f, OWN - 4, 4, 0xffffffff);
	assert_int_equal(get(f, OWN - 4, 4), 0);
}

static void to_d3hot_and_back(struct fixture *f)
{
	put(f, RIG_PMCSR, 2, 3);
	assert_int_equal(get(f, RIG_PMCSR, 2) & 3, 3);
	/* The configuration space still answers. */
	assert_int_equal(get(f, 0, 2), 0x1234);
	assert_int_equal(get(f, OWN, 4), f->own[0]);
	put(f, RIG_PMCSR, 2, 0);
	assert_int_equal(get(f, RIG_PMCSR, 2) & 3, 0);
}

static void test_power(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, RIG_PMCSR, 2), 0);
	to_d3hot_and_back(f);
	assert_int_equal(f->model.resets[UIOMMUFD_RESET_POWER], 1);
}

static void test_no_soft_reset(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, RIG_PMCSR, 2), 8);
	to_d3hot_and_back(f);
	assert_int_equal(f->model.resets[UIOMMUFD_RESET_POWER], 0);
	put(f, RIG_PMCSR, 4, 0xfffffff0);
	assert_int_equal(get(f, RIG_PMCSR, 4), 8);
}

/* ---- descriptions that cannot be met ----------------------------------------------- */

static void refused(void (*spoil)(struct uiommufd_device_desc *d), const char *why)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char error[200] = "";
	int err;

	describe(f);
	spoil(&f->model.desc);
	rig_create(&f->rig, NULL, 0);
	err = rig_try_device(&f->rig, &f->model, error, sizeof(error));
	if (err != -EINVAL || !strstr(error, why))
		fail_msg("%s: %d, %s", why, err, error);
	rig_destroy(&f->rig);
	free(f);
}

static void pin(struct uiommufd_device_desc *d)
{
	d->interrupt_pin = 5;
}

static void three(struct uiommufd_device_desc *d)
{
	d->msi_vectors = 3;
}

static void many(struct uiommufd_device_desc *d)
{
	d->msi_vectors = 64;
}

static void unaligned(struct uiommufd_device_desc *d)
{
	d->config_size = 3;
}

static void over_header(struct uiommufd_device_desc *d)
{
	d->config_offset = 0x40;
}

static const struct uiommufd_ext_cap late[] = {
	{.id = ID_ATS, .version = 1, .offset = 0x108, .size = 4}};
static const struct uiommufd_ext_cap backwards[] = {
	{.id = ID_ATS, .version = 1, .size = 4},
	{.id = ID_ACS, .version = 1, .offset = 0x100, .size = 4}};
static const struct uiommufd_ext_cap on_registers[] = {
	{.id = ID_ATS, .version = 1, .size = 4},
	{.id = ID_ACS, .version = 1, .offset = 0x184, .size = 4}};
static const struct uiommufd_ext_cap short_aer[] = {
	{.id = ID_AER, .version = 1, .size = 8}};
static const struct uiommufd_ext_cap huge[] = {
	{.id = ID_VNDR, .version = 1, .size = 0xff0}};

static void first_late(struct uiommufd_device_desc *d)
{
	d->ext_caps = late;
	d->nr_ext_caps = 1;
}

static void goes_back(struct uiommufd_device_desc *d)
{
	d->ext_caps = backwards;
	d->nr_ext_caps = 2;
}

static void covers(struct uiommufd_device_desc *d)
{
	d->ext_caps = on_registers;
	d->nr_ext_caps = 2;
}

static void cut(struct uiommufd_device_desc *d)
{
	d->ext_caps = short_aer;
	d->nr_ext_caps = 1;
}

static void too_large(struct uiommufd_device_desc *d)
{
	d->ext_caps = huge;
	d->nr_ext_caps = 1;
}

static void test_refused(void **state)
{
	refused(pin, "interrupt pin");
	refused(three, "MSI");
	refused(many, "MSI");
	refused(unaligned, "configuration registers");
	refused(over_header, "configuration registers");
	refused(first_late, "extended capability 0");
	refused(goes_back, "extended capability 1");
	refused(covers, "extended capability 1");
	refused(cut, "extended capability 0");
	refused(too_large, "extended capability 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ext_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hidden_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_af, setup, teardown),
		cmocka_unit_test_setup_teardown(test_af_revokes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rom, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_soft_reset, setup_no_soft_reset,
						teardown),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
