/* SPDX-License-Identifier: MIT */
/*
 * Regions: info and its capability, reads and writes of BARs against byte models, how
 * they are cut, the MSI-X table, and which mmap is allowed.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "port/port.h"

#define TABLE       0x2000u
#define TABLE_BYTES (8 * 16u)
#define PBA         0x3000u

struct fixture {
	struct rig_model models[2];
	struct rig rig;
	int iommu, fd, fd_memory;
};

/* Device 1 has its MSI-X table in a memory BAR, and a BAR below a page. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_model_default(&f->models[0], 0);
	rig_model_default(&f->models[1], 1);
	f->models[0].desc.bars[1] = (struct uiommufd_bar){32, UIOMMUFD_BAR_IO};
	f->models[1].desc.msix_bar = 2;
	f->models[1].desc.bars[4] = (struct uiommufd_bar){256, UIOMMUFD_BAR_MEMORY};
	rig_create(&f->rig, f->models, 2);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	f->fd_memory = rig_open(&f->rig, 1);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	assert_int_equal(rig_bind(&f->rig, f->fd_memory, f->iommu, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->fd_memory);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	free(f);
	return 0;
}

static void test_info(void **state)
{
	const uint32_t rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	const uint32_t rwm = rw | VFIO_REGION_INFO_FLAG_MMAP;
	const struct {
		uint32_t index, flags;
		uint64_t size;
		long want;
	} steps[] = {
		{0, rw, 0x4000, 0},
		{1, rw, 32, 0},
		{2, rwm, 1 << 20, 0},
		{3, 0, 0, 0},
		{4, 0, 0, 0},
		{5, 0, 0, 0},
		{6, 0, 0, 0},
		{7, rw, 4096, 0},
		{8, 0, 0, -EINVAL},
		{9, 0, 0, -EINVAL},
		{0x80000000, 0, 0, -EINVAL},
		{~0u, 0, 0, -EINVAL},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct vfio_region_info info = {
			.argsz = sizeof(info), .flags = ~0u, .index = steps[i].index};

		assert_int_equal(
			rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_REGION_INFO, &info),
			steps[i].want);
		if (steps[i].want)
			continue;
		assert_int_equal(info.argsz, sizeof(info));
		assert_int_equal(info.flags, steps[i].flags);
		assert_int_equal(info.size, steps[i].size);
		assert_int_equal(info.offset, VFILE_REGION(steps[i].index));
	}
}

static void test_info_capability(void **state)
{
	struct fixture *f = *state;
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header cap;
	} r;

	for (uint32_t argsz = 0; argsz < 64; argsz++) {
		long ret;

		memset(&r, 0x55, sizeof(r));
		r.info.argsz = argsz;
		r.info.index = 2;
		ret = rig_ioctl(&f->rig, f->fd_memory, VFIO_DEVICE_GET_REGION_INFO, &r);
		assert_int_equal(ret, argsz < 32 ? -EINVAL : 0);
		if (ret)
			continue;
		assert_int_equal(r.info.flags, 0xf);
		assert_int_equal(r.info.size, 1 << 20);
		assert_int_equal(r.info.argsz, argsz < 40 ? 40 : argsz);
		assert_int_equal(r.info.cap_offset, argsz < 40 ? 0 : 32);
		assert_int_equal(r.cap.id, argsz < 40 ? 0x5555 : 3);
		assert_int_equal(r.cap.version, argsz < 40 ? 0x5555 : 1);
		assert_int_equal(r.cap.next, argsz < 40 ? 0x55555555 : 0);
	}
	assert_int_equal(
		rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_GET_REGION_INFO, RIG_BAD_VA),
		-EFAULT);
}

/* Which pieces does the model see? */
static void check_pieces(struct fixture *f, unsigned offset, unsigned n,
			 const unsigned *sizes)
{
	struct rig_model *m = &f->models[0];
	uint8_t buf[64];

	for (int write = 0; write < 2; write++) {
		unsigned at = offset;

		m->logged = 0;
		if (write)
			assert_int_equal(rig_pwrite(&f->rig, f->fd, buf, n,
						    VFILE_REGION(0) + offset),
					 n);
		else
			assert_int_equal(rig_pread(&f->rig, f->fd, buf, n,
						   VFILE_REGION(0) + offset),
					 n);
		for (unsigned i = 0; sizes[i]; i++) {
			assert_int_equal(m->log[i].write, write);
			assert_int_equal(m->log[i].offset, at);
			assert_int_equal(m->log[i].size, sizes[i]);
			at += sizes[i];
			m->logged--;
		}
		assert_int_equal(m->logged, 0);
	}
}

static void test_pieces(void **state)
{
	struct fixture *f = *state;

	check_pieces(f, 0, 1, (unsigned[]){1, 0});
	check_pieces(f, 0, 8, (unsigned[]){8, 0});
	check_pieces(f, 4, 8, (unsigned[]){4, 4, 0});
	check_pieces(f, 1, 7, (unsigned[]){1, 2, 4, 0});
	check_pieces(f, 1, 15, (unsigned[]){1, 2, 4, 8, 0});
	check_pieces(f, 3, 8, (unsigned[]){1, 4, 2, 1, 0});
	check_pieces(f, 0, 31, (unsigned[]){8, 8, 8, 4, 2, 1, 0});
	/* Up to the table, and from its end on. */
	check_pieces(f, TABLE - 8, 16, (unsigned[]){8, 0});
	check_pieces(f, TABLE - 3, 4, (unsigned[]){1, 2, 0});
	check_pieces(f, TABLE, 16, (unsigned[]){0});
	check_pieces(f, PBA, 8, (unsigned[]){0});
	check_pieces(f, TABLE + TABLE_BYTES, 8, (unsigned[]){8, 0});
	check_pieces(f, PBA + 8, 4, (unsigned[]){4, 0});
}

static void test_msix_table(void **state)
{
	struct fixture *f = *state;
	int fds[] = {f->fd, f->fd_memory};
	uint64_t region[] = {VFILE_REGION(0), VFILE_REGION(2)};
	uint8_t buf[TABLE_BYTES + 16], want[TABLE_BYTES + 16];

	memset(f->models[0].regs, 0xab, sizeof(f->models[0].regs));
	memset((char *)uiommufd_bar_memory(f->models[1].dev, 2) + TABLE - 8, 0xab,
	       sizeof(buf));
	memset(want, 0xff, sizeof(want));
	memset(want, 0xab, 8);
	memset(want + 8 + TABLE_BYTES, 0xab, 8);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_pread(&f->rig, fds[i], buf, sizeof(buf),
					   region[i] + TABLE - 8),
				 sizeof(buf));
		assert_memory_equal(buf, want, sizeof(buf));
		memset(buf, 0xab, sizeof(buf));
		assert_int_equal(
			rig_pwrite(&f->rig, fds[i], buf, TABLE_BYTES, region[i] + TABLE),
			TABLE_BYTES);
		/* The table is closed even while memory decoding is off; nothing is EIO.
		 */
		rig_set_config16(&f->rig, fds[i], RIG_COMMAND, 0);
		assert_int_equal(rig_pread(&f->rig, fds[i], buf, 16, region[i] + TABLE),
				 16);
		assert_int_equal(
			rig_pread(&f->rig, fds[i], buf, 24, region[i] + TABLE - 8), -EIO);
		rig_set_config16(&f->rig, fds[i], RIG_COMMAND, 2);
	}
	/* Pending bits in a register BAR read as none. */
	assert_int_equal(rig_pread(&f->rig, f->fd, buf, 8, region[0] + PBA), 8);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0\0", 8);
}

static void test_ends(void **state)
{
	struct fixture *f = *state;
	uint8_t *big = malloc(2 << 20);
	uint64_t bar2 = VFILE_REGION(2), size = 1 << 20;

	memset(big, 0x5a, 2 << 20);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, big, 2 << 20, bar2), size);
	assert_int_equal(rig_pread(&f->rig, f->fd, big, 2 << 20, bar2 + size - 3), 3);
	assert_int_equal(rig_pread(&f->rig, f->fd, big, 1, bar2 + size), -EINVAL);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, big, 1, bar2 + size), -EINVAL);
	assert_int_equal(rig_pread(&f->rig, f->fd, big, 0, bar2 + size), 0);
	assert_int_equal(rig_pread(&f->rig, f->fd, big, 1, VFILE_REGION(3)), -EINVAL);
	assert_int_equal(rig_pread(&f->rig, f->fd, big, 1, VFILE_REGION(6)), -EINVAL);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, big, 1, VFILE_REGION(6)), -EINVAL);
	assert_int_equal(rig_pread(&f->rig, f->fd, big, 1, VFILE_REGION(8)), -EINVAL);
	assert_int_equal(rig_pread(&f->rig, f->fd, big, 1, VFILE_REGION(9)), -EINVAL);
	assert_int_equal(rig_pread(&f->rig, f->fd, big, 1, UINT64_MAX), -EINVAL);
	assert_int_equal(rig_pread(&f->rig, f->fd_memory, big, 512, VFILE_REGION(4)),
			 256);
	assert_int_equal(rig_pread(&f->rig, f->fd, RIG_BAD_VA, 4, bar2), -EFAULT);
	assert_int_equal(rig_pwrite(&f->rig, f->fd, RIG_BAD_VA, 4, bar2), -EFAULT);
	free(big);
}

/* Ports answer ones while COMMAND.IO is off; memory decoding is nothing to them. */
static void test_ports(void **state)
{
	struct fixture *f = *state;
	uint32_t v = 0x11223344;

	assert_int_equal(rig_pwrite(&f->rig, f->fd, &v, 4, VFILE_REGION(1) + 4), 4);
	assert_int_equal(f->models[0].log[0].bar, 1);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 1);
	v = 0;
	assert_int_equal(rig_pread(&f->rig, f->fd, &v, 4, VFILE_REGION(1) + 4), 4);
	assert_int_equal(v, 0x11223344);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 2);
	assert_int_equal(rig_pread(&f->rig, f->fd, &v, 4, VFILE_REGION(1) + 4), 4);
	assert_int_equal(v, 0xffffffff);
	f->models[0].logged = 0;
	assert_int_equal(rig_pwrite(&f->rig, f->fd, &v, 4, VFILE_REGION(1) + 4), 4);
	assert_int_equal(f->models[0].logged, 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 3);
	rig_set_config16(&f->rig, f->fd, RIG_PMCSR, 3);
	v = 0;
	assert_int_equal(rig_pread(&f->rig, f->fd, &v, 4, VFILE_REGION(1) + 4), 4);
	assert_int_equal(v, 0xffffffff);
}

/* Reads and writes of memory and registers against plain bytes. */
static void test_random(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL);
	uint8_t *memory = calloc(1, 1 << 20), regs[512] = {0}, buf[9000];

	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned i = 0; i < 20000; i++) {
		bool bar2 = rand() % 2, write = rand() % 2;
		size_t limit = bar2 ? 1 << 20 : sizeof(regs);
		size_t offset = (size_t)rand() % limit;
		size_t n = 1 + (size_t)rand() % (rand() % 4 ? 16 : bar2 ? 9000 : 200);
		uint8_t *model = bar2 ? memory : regs;
		uint64_t at = VFILE_REGION(bar2 ? 2 : 0) + offset;

		if (n > limit - offset)
			n = limit - offset;
		if (write) {
			for (size_t j = 0; j < n; j++)
				buf[j] = model[offset + j] = (uint8_t)rand();
			assert_int_equal(rig_pwrite(&f->rig, f->fd, buf, n, at), n);
			continue;
		}
		assert_int_equal(rig_pread(&f->rig, f->fd, buf, n, at), n);
		if (memcmp(buf, model + offset, n))
			fail_msg("seed %u step %u", seed, i);
	}
	assert_memory_equal(memory, uiommufd_bar_memory(f->models[0].dev, 2), 1 << 20);
	free(memory);
}

static void test_mmap(void **state)
{
	struct fixture *f = *state;
	const uint64_t bar2 = VFILE_REGION(2), size = 1 << 20;
	const struct {
		uint64_t offset, length;
		int flags;
		int want;
	} steps[] = {
		{bar2, size, MAP_SHARED, 0},
		{bar2, 1, MAP_SHARED, 0},
		{bar2, size, MAP_SHARED_VALIDATE, 0},
		{bar2 + size - 4096, 4096, MAP_SHARED, 0},
		{bar2 + 4096, size - 4096, MAP_SHARED, 0},
		{bar2, size, MAP_PRIVATE, -EINVAL},
		{bar2, size + 1, MAP_SHARED, -EINVAL},
		{bar2, size + 4096, MAP_SHARED, -EINVAL},
		{bar2 + 4096, size, MAP_SHARED, -EINVAL},
		{bar2 + size, 4096, MAP_SHARED, -EINVAL},
		{bar2 + size, 1, MAP_SHARED, -EINVAL},
		{bar2, UINT64_MAX, MAP_SHARED, -EINVAL},
		{bar2 + 4096, UINT64_MAX - 4095, MAP_SHARED, -EINVAL},
		{VFILE_REGION(0), 4096, MAP_SHARED, -EINVAL}, /* registers */
		{VFILE_REGION(1), 4096, MAP_SHARED, -EINVAL}, /* ports */
		{VFILE_REGION(3), 4096, MAP_SHARED, -EINVAL},
		{VFILE_REGION(6), 4096, MAP_SHARED, -EINVAL},
		{VFILE_REGION(7), 4096, MAP_SHARED, -EINVAL},
		{VFILE_REGION(8), 4096, MAP_SHARED, -EINVAL},
		{VFILE_REGION(9), 4096, MAP_SHARED, -EINVAL},
		{VFILE_REGION(15), 4096, MAP_SHARED, -EINVAL},
		{UINT64_MAX & ~4095ull, 4096, MAP_SHARED, -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int ret = rig_mmap(&f->rig, f->fd, steps[i].offset, steps[i].length,
				   PROT_READ | PROT_WRITE, steps[i].flags);

		if (ret != steps[i].want)
			fail_msg("step %zu: %d", i, ret);
	}
	assert_int_equal(rig_mmap(&f->rig, f->fd_memory, VFILE_REGION(4), 4096, PROT_READ,
				  MAP_SHARED),
			 0);
	assert_int_equal(rig_mmap(&f->rig, f->fd_memory, VFILE_REGION(4), 8192, PROT_READ,
				  MAP_SHARED),
			 -EINVAL);
}

/* What the client maps is what the model, pread and a second open see. */
static void test_one_memory(void **state)
{
	struct fixture *f = *state;
	char *model = uiommufd_bar_memory(f->models[0].dev, 2);
	int second = rig_open(&f->rig, 0);
	char buf[6];
	char *p;

	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd,
		 (off_t)VFILE_REGION(2));
	assert_ptr_not_equal(p, MAP_FAILED);
	strcpy(p + 77, "hello");
	assert_string_equal(model + 77, "hello");
	assert_int_equal(rig_pread(&f->rig, f->fd, buf, 6, VFILE_REGION(2) + 77), 6);
	assert_string_equal(buf, "hello");
	munmap(p, 1 << 20);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, second, (off_t)VFILE_REGION(2));
	assert_string_equal(p + 77, "hello");
	munmap(p, 4096);
	/* Who truncates it harms himself, but nobody else. (cmocka has its own handlers.)
	 */
	assert_int_equal(port_guard_install(), 0);
	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(model[77], 0);
	strcpy(model + 77, "again");
	assert_string_equal(model + 77, "again");
	assert_int_equal(ftruncate(f->fd, (off_t)VFILE_STORAGE_BYTES), 0);
	rig_close(&f->rig, second);
}

static void check_desc(const struct uiommufd_device_desc *desc, const char *want)
{
	struct rig r = {0};
	struct rig_model m = {.desc = *desc};
	char error[100] = "";

	rig_create(&r, NULL, 0);
	assert_int_equal(rig_try_device(&r, &m, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, want);
	rig_destroy(&r);
}

static void test_bad_descriptions(void **state)
{
	struct rig_model m;
	struct uiommufd_device_desc d;

	rig_model_default(&m, 0);
#define CHECK(change, want)                                                              \
	do {                                                                             \
		d = m.desc;                                                              \
		change;                                                                  \
		check_desc(&d, want);                                                    \
	} while (0)
	CHECK(d.bars[0].size = 8, "BAR 0: the size is no power of two, or below 16");
	CHECK(d.bars[0].size = 24, "BAR 0: the size is no power of two, or below 16");
	CHECK(d.bars[0].flags = 0x80, "BAR 0: unknown flags");
	CHECK(d.bars[0].size = 1ull << 32, "BAR 0: too large for 32 bits");
	CHECK(d.bars[2].size = 1ull << 41, "BAR 2: too large");
	CHECK(d.bars[3].size = 4096,
	      "BAR 2: a 64-bit BAR needs the next slot to be empty");
	CHECK(d.bars[5] = ((struct uiommufd_bar){4096, UIOMMUFD_BAR_64BIT}),
	      "BAR 5: a 64-bit BAR needs the next slot to be empty");
	CHECK(d.bars[5] = ((struct uiommufd_bar){512, UIOMMUFD_BAR_IO}),
	      "BAR 5: an I/O BAR is plain and at most 256 bytes");
	CHECK(d.msix_vectors = 2049, "MSI-X: more than 2048 vectors");
	CHECK(d.msix_bar = 6, "MSI-X: no such BAR");
	CHECK(d.msix_bar = 1, "MSI-X: its BAR is absent, or an I/O BAR");
	CHECK(d.msix_table_offset = 4, "MSI-X: table and pending bits are 8-aligned");
	CHECK(d.msix_pba_offset = 0x4000,
	      "MSI-X: table or pending bits lie outside of the BAR");
	CHECK(d.msix_pba_offset = 0x2008, "MSI-X: table and pending bits overlap");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_info, setup, teardown),
		cmocka_unit_test_setup_teardown(test_info_capability, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mmap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_memory, setup, teardown),
		cmocka_unit_test(test_bad_descriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
