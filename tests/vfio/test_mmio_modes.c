/* SPDX-License-Identifier: MIT */
/*
 * The ways to registers: what region info and mmap say in each mode, 64 bytes at once,
 * and watched registers: what is told in which order, what is shown, reset, and a client
 * and a model that both write.
 *
 * The test waits for the thread that watches; it never asks how long that took.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BAR_BYTES   0x4000u
#define CONFIG      0x10u /* told first */
#define WIDE        0x40u
#define DOORBELLS   0x100u
#define DOORBELL(i) (DOORBELLS + 0x20u * (i))
#define STATUS      0x80u /* published only */

static const struct uiommufd_watched watched[] = {
	{0, CONFIG, 4, 2, 4},
	{0, WIDE, 8, 1, 0},
	{0, DOORBELLS, 4, 4, 0x20},
};

struct fixture {
	struct rig_model model;
	struct rig rig;
	int iommu, fd;
	unsigned char *at;
	/* What the model is told: offsets and values, and a counter that the test awaits.
	 */
	unsigned told_offset[4096];
	uint64_t told_value[4096], most;
	_Atomic unsigned told;
	/* mmio_write_64 */
	unsigned whole, deferrable;
	unsigned char bytes[64];
};

static void tell(void *model, unsigned bar, uint64_t offset, unsigned size,
		 uint64_t value)
{
	struct rig_model *m = model;
	struct fixture *f = m->test;
	unsigned i = f->told;

	f->told_offset[i % 4096] = (unsigned)offset;
	f->told_value[i % 4096] = value;
	/* As a device would answer: with the most that it has been told. */
	f->most = value > f->most ? value : f->most;
	uiommufd_mmio_publish(m->dev, 0, STATUS, 8, f->most);
	f->told = i + 1;
}

static bool take_whole(void *model, unsigned bar, uint64_t offset, const void *bytes,
		       bool deferrable)
{
	struct rig_model *m = model;
	struct fixture *f = m->test;

	f->whole++;
	f->deferrable += deferrable;
	memcpy(f->bytes, bytes, 64);
	return !(offset & 64);
}

static struct fixture *begin(enum uiommufd_mmio mmio)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_model_default(&f->model, 0);
	f->model.test = f;
	f->model.desc.mmio = mmio;
	f->model.desc.watched = watched;
	f->model.desc.nr_watched = sizeof(watched) / sizeof(watched[0]);
	if (mmio == UIOMMUFD_MMIO_WATCH)
		f->model.ops.mmio_write = tell;
	f->model.ops.mmio_write_64 = take_whole;
	rig_create(&f->rig, &f->model, 1);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	return f;
}

static void end(struct fixture *f)
{
	if (f->at)
		munmap(f->at, BAR_BYTES);
	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	free(f);
}

static uint64_t place(struct fixture *f, uint32_t *flags)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = 0};

	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_REGION_INFO, &info),
			 0);
	*flags = info.flags;
	return info.offset;
}

static void map(struct fixture *f)
{
	assert_int_equal(rig_mmap(&f->rig, f->fd, VFILE_REGION(0), BAR_BYTES,
				  PROT_READ | PROT_WRITE, MAP_SHARED),
			 0);
	f->at = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd,
		     (off_t)VFILE_REGION(0));
	assert_ptr_not_equal(f->at, MAP_FAILED);
}

static void store(struct fixture *f, unsigned offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)(f->at + offset), value, __ATOMIC_RELEASE);
}

static uint32_t load(struct fixture *f, unsigned offset)
{
	return __atomic_load_n((uint32_t *)(void *)(f->at + offset), __ATOMIC_ACQUIRE);
}

static void await_told(struct fixture *f, unsigned n)
{
	while (f->told < n)
		sched_yield();
	assert_int_equal(f->told, n);
}

/* ---- every mode ------------------------------------------------------------------- */

static void test_info_and_mmap(void **state)
{
	static const struct {
		enum uiommufd_mmio mmio;
		bool mappable, faulting;
	} modes[] = {
		{UIOMMUFD_MMIO_TRAP, false, false},
		{UIOMMUFD_MMIO_WATCH, true, false},
		{UIOMMUFD_MMIO_FAULT, true, true},
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct fixture *f = begin(modes[i].mmio);
		const int prot = PROT_READ | PROT_WRITE;
		uint64_t at, value = 0;
		uint32_t flags;

		at = place(f, &flags);
		assert_int_equal(!!(flags & VFIO_REGION_INFO_FLAG_MMAP),
				 modes[i].mappable);
		assert_int_equal(!!(flags & VFIO_REGION_INFO_FLAG_CAPS),
				 modes[i].mappable);
		assert_int_equal(at, VFILE_REGION(0) |
					     (modes[i].faulting ? VFILE_FAULTING : 0));
		assert_int_equal(
			rig_mmap(&f->rig, f->fd, at, BAR_BYTES, prot, MAP_SHARED),
			modes[i].mappable ? 0 : -EINVAL);
		/* The other place, and beyond the end. */
		assert_int_equal(rig_mmap(&f->rig, f->fd, at ^ VFILE_FAULTING, BAR_BYTES,
					  prot, MAP_SHARED),
				 -EINVAL);
		assert_int_equal(rig_mmap(&f->rig, f->fd, at + 0x1000, BAR_BYTES, prot,
					  MAP_SHARED),
				 -EINVAL);
		assert_int_equal(
			rig_mmap(&f->rig, f->fd, at, BAR_BYTES, prot, MAP_PRIVATE),
			-EINVAL);
		/* Reads and writes are the same at both. */
		assert_int_equal(rig_pwrite(&f->rig, f->fd, &value, 4, at + 0x18), 4);
		assert_int_equal(rig_pread(&f->rig, f->fd, &value, 8,
					   (at ^ VFILE_FAULTING) + 0x18),
				 8);
		/* Memory is memory. */
		assert_int_equal(rig_mmap(&f->rig, f->fd, VFILE_REGION(2), 1 << 20, prot,
					  MAP_SHARED),
				 0);
		assert_int_equal(rig_mmap(&f->rig, f->fd,
					  VFILE_REGION(2) | VFILE_FAULTING, 1 << 20, prot,
					  MAP_SHARED),
				 -EINVAL);
		end(f);
	}
}

/* The mapping of faulting registers, as whoever serves its faults uses it. */
static void test_served_faults(void **state)
{
	struct fixture *f = begin(UIOMMUFD_MMIO_FAULT);
	struct vfile *file;
	uint64_t at, value = 0x1122334455667788;
	unsigned char bytes[64];
	uint32_t flags;
	bool accepted;

	at = place(f, &flags);
	assert_int_equal(client_get_vfile(f->rig.client, f->fd, &file), 0);
	assert_int_equal(vfio_mmio_write(file, at + 8, &value, 8), 0);
	value = 0;
	assert_int_equal(vfio_mmio_read(file, at + 10, &value, 2), 0);
	assert_int_equal(value, 0x5566);
	/* Unaligned: in aligned pieces. */
	f->model.logged = 0;
	assert_int_equal(vfio_mmio_read(file, at + 9, &value, 4), 0);
	assert_int_equal(f->model.logged, 3);
	assert_int_equal(f->model.log[0].size, 1);
	assert_int_equal(f->model.log[1].size, 2);
	assert_int_equal(f->model.log[2].size, 1);

	memset(bytes, 7, sizeof(bytes));
	assert_int_equal(vfio_mmio_write_64(file, at + 128, bytes, true, &accepted), 0);
	assert_true(accepted);
	assert_int_equal(f->deferrable, 1);
	assert_memory_equal(f->bytes, bytes, 64);
	assert_int_equal(vfio_mmio_write_64(file, at + 64, bytes, true, &accepted), 0);
	assert_false(accepted);
	/* By a write that is large and aligned enough: once; else in words. */
	assert_int_equal(rig_pwrite(&f->rig, f->fd, bytes, 64, at + 256), 64);
	assert_int_equal(f->whole, 3);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, bytes, 64, at + 264), 64);
	assert_int_equal(f->whole, 3);

	/* Not registers behind a faulting mapping, or not all of it. */
	assert_int_equal(vfio_mmio_read(file, VFILE_REGION(0), &value, 4), -ENXIO);
	assert_int_equal(vfio_mmio_read(file, at + BAR_BYTES - 2, &value, 4), -ENXIO);
	assert_int_equal(
		vfio_mmio_read(file, VFILE_REGION(2) | VFILE_FAULTING, &value, 4),
		-ENXIO);
	/* Memory decoding off. */
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0);
	assert_int_equal(vfio_mmio_read(file, at, &value, 4), -EIO);
	assert_int_equal(vfio_mmio_write(file, at, &value, 4), -EIO);
	assert_int_equal(vfio_mmio_write_64(file, at, bytes, false, &accepted), -EIO);
	vfile_put(file);
	end(f);
}

/* ---- watched ---------------------------------------------------------------------- */

static void test_told(void **state)
{
	struct fixture *f = begin(UIOMMUFD_MMIO_WATCH);
	uint64_t value = 5;

	map(f);
	store(f, CONFIG, 1);
	await_told(f, 1);
	assert_int_equal(f->told_offset[0], CONFIG);
	assert_int_equal(f->told_value[0], 1);
	assert_int_equal(load(f, STATUS), 1);
	store(f, DOORBELL(3), 7);
	await_told(f, 2);
	assert_int_equal(f->told_offset[1], DOORBELL(3));
	__atomic_store_n((uint64_t *)(void *)(f->at + WIDE), 0x123456789abcdef0,
			 __ATOMIC_RELEASE);
	await_told(f, 3);
	assert_int_equal(f->told_offset[2], WIDE);
	assert_int_equal(f->told_value[2], 0x123456789abcdef0);
	/* Not watched: stays, and nobody is told. A pwrite is told at once and is shown.
	 */
	store(f, 0x200, 9);
	assert_int_equal(
		rig_pwrite(&f->rig, f->fd, &value, 4, VFILE_REGION(0) + DOORBELL(0)), 4);
	assert_int_equal(f->told, 4);
	assert_int_equal(load(f, DOORBELL(0)), 5);
	store(f, DOORBELL(0), 6);
	await_told(f, 5);
	assert_int_equal(f->told_value[4], 6);
	assert_int_equal(load(f, 0x200), 9);
	end(f);
}

/* Whatever the doorbell is told of was told before it. */
static void test_order(void **state)
{
	struct fixture *f = begin(UIOMMUFD_MMIO_WATCH);
	uint32_t config = 0;
	unsigned told;

	map(f);
	for (uint32_t i = 1; i <= 2000; i++) {
		store(f, CONFIG + 4, i);
		store(f, DOORBELL(i % 4), i);
		/* Often enough the thread has both to tell, or is in the middle. */
		if (i % 7 == 0) {
			while (load(f, STATUS) != i)
				sched_yield();
		}
	}
	while (load(f, STATUS) != 2000)
		sched_yield();
	told = f->told;
	for (unsigned i = 0; i < told; i++) {
		if (f->told_offset[i] == CONFIG + 4)
			config = (uint32_t)f->told_value[i];
		else
			assert_true(f->told_value[i] <= config);
	}
	assert_int_equal(config, 2000);
	end(f);
}

/* A register that both write: the client's word is told, whatever the model does. */
static void test_both_write(void **state)
{
	struct fixture *f = begin(UIOMMUFD_MMIO_WATCH);
	unsigned told = 0;

	map(f);
	for (uint32_t i = 1; i <= 2000; i++) {
		/* The model clears it, as it does with a command that it has taken. */
		uiommufd_mmio_publish(f->model.dev, 0, DOORBELL(1), 4, 0);
		store(f, DOORBELL(1), i);
		uiommufd_mmio_publish(f->model.dev, 0, DOORBELL(1), 4, 0);
		while (f->told == told)
			sched_yield();
		told = f->told;
		assert_int_equal(f->told_value[(told - 1) % 4096], i);
	}
	end(f);
}

static void test_reset_and_close(void **state)
{
	struct fixture *f = begin(UIOMMUFD_MMIO_WATCH);
	unsigned told;

	map(f);
	store(f, CONFIG, 3);
	await_told(f, 1);
	uiommufd_mmio_publish(f->model.dev, 0, 0x300, 1, 0xab);
	uiommufd_mmio_publish(f->model.dev, 0, 0x302, 2, 0xcdef);
	assert_int_equal(load(f, 0x300), 0xcdef00ab);
	/* Nowhere: nothing happens. */
	uiommufd_mmio_publish(f->model.dev, 0, BAR_BYTES, 4, 1);
	uiommufd_mmio_publish(f->model.dev, 1, 0, 4, 1);
	uiommufd_mmio_publish(f->model.dev, 9, 0, 4, 1);
	uiommufd_mmio_publish(f->model.dev, 0, 2, 4, 1);
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
	assert_int_equal(load(f, CONFIG), 0);
	assert_int_equal(load(f, 0x300), 0);
	told = f->told;
	store(f, CONFIG, 3);
	await_told(f, told + 1);

	/* With memory decoding off nobody is told; what is written by then comes later.
	 */
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 2);
	store(f, CONFIG, 4);
	await_told(f, told + 2);
	end(f);
}

static void try_list(const struct uiommufd_watched *list, unsigned n, const char *why)
{
	struct fixture *f = begin(UIOMMUFD_MMIO_TRAP);
	struct rig_model m;
	char error[128];

	rig_model_default(&m, 1);
	m.desc.mmio = UIOMMUFD_MMIO_WATCH;
	m.desc.watched = list;
	m.desc.nr_watched = n;
	assert_int_equal(rig_try_device(&f->rig, &m, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, why));
	end(f);
}

static void test_bad_lists(void **state)
{
	static const struct uiommufd_watched bad[] = {
		{2, 0, 4, 1, 0},
		{1, 0, 4, 1, 0},
		{6, 0, 4, 1, 0},
		{0, 0, 2, 1, 0},
		{0, 2, 4, 1, 0},
		{0, 0, 4, 0, 0},
		{0, 0, 8, 2, 4},
		{0, 0, 4, 2, 0},
		{0, BAR_BYTES, 4, 1, 0},
		{0, 0, 4, 2, BAR_BYTES},
		{0, 8, 8, 3, UINT64_MAX - 7},
		{0, 0, 4, ~0u, 4},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		try_list(&bad[i], 1, "entry 0");
	try_list(NULL, 0, "no registers that can be watched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info_and_mmap),
		cmocka_unit_test(test_served_faults),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_both_write),
		cmocka_unit_test(test_reset_and_close),
		cmocka_unit_test(test_bad_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
