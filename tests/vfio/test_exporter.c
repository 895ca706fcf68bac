/* SPDX-License-Identifier: MIT */
/*
 * VFIO_DEVICE_FEATURE_DMA_BUF and the descriptors it makes: sections C and D of the
 * Linux 7.3 steps, and what several ranges become.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/files.h"

#define PAGE      0x1000ull
#define BAR_BYTES (1ull << 20)
#define GET       VFIO_DEVICE_FEATURE_GET
#define SET       VFIO_DEVICE_FEATURE_SET
#define PROBE     VFIO_DEVICE_FEATURE_PROBE

struct request {
	struct vfio_device_feature h;
	struct vfio_device_feature_dma_buf d;
	struct vfio_region_dma_range v[3];
};

struct fixture {
	struct rig_model models[2];
	struct rig rig;
	int iommu, fd;
	uint32_t ioas;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	for (unsigned i = 0; i < 2; i++)
		rig_model_default(&f->models[i], i);
	f->models[0].desc.bars[1] = (struct uiommufd_bar){32, UIOMMUFD_BAR_IO};
	f->models[0].desc.bars[4] = (struct uiommufd_bar){256, UIOMMUFD_BAR_MEMORY};
	rig_create(&f->rig, f->models, 2);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	f->ioas = rig_ioas(&f->rig, f->iommu);
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

/* The whole of BAR 2. */
static struct request whole(void)
{
	return (struct request){
		.h = {.argsz = 40, .flags = GET | VFIO_DEVICE_FEATURE_DMA_BUF},
		.d = {.region_index = 2,
		      .open_flags = O_RDWR | O_CLOEXEC,
		      .nr_ranges = 1},
		.v[0] = {0, BAR_BYTES},
	};
}

static long ask(struct fixture *f, const struct request *r)
{
	struct request copy = *r;

	return rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &copy);
}

/* Like ask(), but a descriptor that results is closed and 0 is answered. */
static long outcome(struct fixture *f, const struct request *r)
{
	long fd = ask(f, r);

	if (fd <= 0)
		return fd;
	rig_close(&f->rig, (int)fd);
	return 0;
}

static void test_flags(void **state)
{
	static const struct {
		uint32_t flags, argsz;
		long want;
	} steps[] = {
		{PROBE | GET | 11, 40, 0},
		{PROBE | 11, 40, 0},
		{PROBE | SET | 11, 40, -EINVAL},
		{PROBE | GET | SET | 11, 40, -EINVAL},
		{SET | 11, 40, -EINVAL},
		{GET | SET | 11, 40, -EINVAL},
		{11, 40, -EINVAL},
		{GET | 11 | 1u << 19, 40, -EINVAL},
		{GET | 200, 40, -ENOTTY},
		{GET | 11, 4, -EINVAL},
		{GET | 11, 8, -EINVAL},
		{GET | 11, 23, -EINVAL},
		{GET | 11, 24, 0}, /* ranges are read all the same */
		{PROBE | GET | 11, 8, 0},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct request r = whole();

		r.h.flags = steps[i].flags;
		r.h.argsz = steps[i].argsz;
		if (outcome(f, &r) != steps[i].want)
			fail_msg("step %zu", i);
	}
}

static void test_arguments(void **state)
{
	static const struct {
		uint32_t region, flags, nr;
		uint64_t offset, length;
		long want;
	} steps[] = {
		{2, 0, 0, 0, PAGE, -EINVAL},
		{2, 1, 1, 0, PAGE, -EINVAL},
		{77, 0, 0, 0, PAGE, -EINVAL},
		{77, 1, 1, 0, PAGE, -EINVAL},
		{1, 0, 1, 0, PAGE, -EINVAL}, /* I/O */
		{1, 0, 1, 0, 32, -EINVAL},
		{4, 0, 1, 0, PAGE, -EINVAL}, /* below a page */
		{4, 0, 1, 0, 256, -EINVAL},
		{3, 0, 1, 0, PAGE, -ENODEV}, /* upper half of BAR 2 */
		{5, 0, 1, 0, PAGE, -ENODEV},
		{6, 0, 1, 0, PAGE, -ENODEV},
		{7, 0, 1, 0, PAGE, -ENODEV},
		{8, 0, 1, 0, PAGE, -ENODEV},
		{0xffffffff, 0, 1, 0, PAGE, -ENODEV},
		{77, 0, 1, 0, 0, -ENODEV},
		{2, 0, 0x10000000, 0, PAGE, -ENOMEM},
		{2, 0, 0xffffffff, 0, PAGE, -ENOMEM},
		{77, 0, 0xffffffff, 0, PAGE, -ENODEV},
		{0, 0, 1, 0, 0x4000, 0}, /* registers, with the MSI-X table */
		{2, 0, 1, 0, 0, -EINVAL},
		{2, 0, 1, 0, 0x800, -EINVAL},
		{2, 0, 1, 0x800, PAGE, -EINVAL},
		{2, 0, 1, 0, BAR_BYTES, 0},
		{2, 0, 1, 0, BAR_BYTES + PAGE, -EINVAL},
		{2, 0, 1, BAR_BYTES, PAGE, -EINVAL},
		{2, 0, 1, BAR_BYTES - PAGE, PAGE, 0},
		{2, 0, 1, BAR_BYTES - PAGE, 2 * PAGE, -EINVAL},
		{2, 0, 1, ~0ull << 12, PAGE, -EOVERFLOW},
		{2, 0, 1, 1ull << 63, PAGE, -EINVAL},
		{2, 0, 1, 0, ~0ull << 12, -EINVAL},
		{2, 0, 1, 0, 1ull << 63, -EINVAL},
		{2, 0, 1, 0, 1ull << 62, -EINVAL},
		{2, 0, 1, 0, ~0ull, -EINVAL},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct request r = whole();

		r.d.region_index = steps[i].region;
		r.d.flags = steps[i].flags;
		r.d.nr_ranges = steps[i].nr;
		r.v[0].offset = steps[i].offset;
		r.v[0].length = steps[i].length;
		if (outcome(f, &r) != steps[i].want)
			fail_msg("step %zu", i);
	}
}

static void test_faults(void **state)
{
	struct fixture *f = *state;
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct request r = whole();
	char *at;

	/* Make copies beyond the header, or beyond the struct, fail. */
	f->rig.bad_from = (uintptr_t)page + 4096;
	at = page + 4096 - 8;
	memcpy(at, &r, 8);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, at), -EFAULT);
	at = page + 4096 - 24;
	memcpy(at, &r, 24);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, at), -EFAULT);
	r.d.region_index = 77;
	memcpy(at, &r, 24);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, at), -ENODEV);
	r.d.nr_ranges = 0;
	memcpy(at, &r, 24);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, at), -EINVAL);
	f->rig.bad_from = 0;
	munmap(page, 8192);
}

static void test_ranges(void **state)
{
	static const struct {
		struct vfio_region_dma_range v[2];
		long want;
	} steps[] = {
		{{{0, PAGE}, {4 * PAGE, PAGE}}, 0},
		{{{0, PAGE}, {PAGE, PAGE}}, 0},
		{{{0, PAGE}, {0, PAGE}}, 0},
		{{{0, PAGE}, {PAGE, 0}}, -EINVAL},
		{{{0, PAGE}, {PAGE, 0x800}}, -EINVAL},
		{{{0, PAGE}, {BAR_BYTES, PAGE}}, -EINVAL},
		{{{0, 1ull << 63}, {0, 1ull << 63}}, -EINVAL},
		{{{0, BAR_BYTES}, {0, BAR_BYTES}}, 0},
		/* Zero and alignment of all win over the bounds of the first. */
		{{{~0ull << 12, PAGE}, {0, 0}}, -EINVAL},
		{{{~0ull << 12, PAGE}, {0, 2 * BAR_BYTES}}, -EOVERFLOW},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct request r = whole();

		r.d.nr_ranges = 2;
		memcpy(r.v, steps[i].v, sizeof(steps[i].v));
		if (outcome(f, &r) != steps[i].want)
			fail_msg("step %zu", i);
	}
}

/* Several ranges can be made but not mapped, even if they touch. */
static void test_several_ranges(void **state)
{
	struct fixture *f = *state;
	struct request r = whole();
	int fd;

	r.d.nr_ranges = 2;
	r.v[0] = (struct vfio_region_dma_range){0, PAGE};
	r.v[1] = (struct vfio_region_dma_range){PAGE, 3 * PAGE};
	fd = (int)ask(f, &r);
	assert_int_equal(lseek(fd, 0, SEEK_END), 4 * PAGE);
	assert_int_equal(rig_map_file(&f->rig, f->iommu, f->ioas, fd, 0, 4 * PAGE, 0),
			 -EOPNOTSUPP);
	assert_int_equal(rig_map_file(&f->rig, f->iommu, f->ioas, fd, 0, PAGE, 0),
			 -EOPNOTSUPP);
	assert_int_equal(rig_map_file(&f->rig, f->iommu, f->ioas, fd, 0, 5 * PAGE, 0),
			 -EINVAL);
	rig_close(&f->rig, fd);
}

static void test_open_flags(void **state)
{
	static const struct {
		uint32_t flags;
		int fl, fd;
	} steps[] = {
		{0, 0, 0},          {0x80000, 0, 1}, {0x1, 1, 0},
		{0x2, 2, 0},        {0x80002, 2, 1}, {0x3, 3, 0},
		{0x802, 0x802, 0},  {0x402, 2, 0},   {0x40, 0, 0},
		{0x200, 0, 0},      {0x4000, 0, 0},  {0xffffffff, 0x803, 1},
		{0x80000000, 0, 0},
	};
	struct fixture *f = *state;
	struct request r = whole();

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int fd;

		r.d.open_flags = steps[i].flags;
		fd = (int)ask(f, &r);
		assert_true(fd >= 0);
		/* The kernel adds O_LARGEFILE to what is opened by path. */
		assert_int_equal(fcntl(fd, F_GETFL) & ~0x8000, steps[i].fl);
		assert_int_equal(fcntl(fd, F_GETFD), steps[i].fd);
		rig_close(&f->rig, fd);
	}
	r.d.open_flags = 0xffffffff;
	r.v[0].offset = BAR_BYTES;
	assert_int_equal(ask(f, &r), -EINVAL);
}

static void test_made_while_disabled(void **state)
{
	struct fixture *f = *state;
	struct request r = whole();
	int fd;

	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0);
	fd = (int)ask(f, &r);
	assert_true(fd >= 0);
	r.d.region_index = 77;
	assert_int_equal(ask(f, &r), -ENODEV);
	assert_int_equal(rig_map_file(&f->rig, f->iommu, f->ioas, fd, 0, PAGE, 0),
			 -ENODEV);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 2);
	assert_int_equal(rig_map_file(&f->rig, f->iommu, f->ioas, fd, 0, PAGE, 0), 0);
	rig_close(&f->rig, fd);
}

/* Linux' own: struct dma_buf_sync, DMA_BUF_SET_NAME. */
#define SYNC       _IOW('b', 0, uint64_t)
#define SET_NAME_A _IOW('b', 1, uint32_t)
#define SET_NAME_B _IOW('b', 1, uint64_t)

static void check_link(struct fixture *f, int fd, const char *want)
{
	struct vfile *file = files_lookup(f->rig.machine.files, fd);
	char text[64];

	file->ops->link_text(file, text, sizeof(text));
	vfile_put(file);
	assert_string_equal(text, want);
}

static void test_ioctls(void **state)
{
	static const struct {
		uint64_t flags;
		long want;
	} syncs[] = {
		{1, 0},       {2, 0},           {3, 0},
		{7, 0},       {0, -EINVAL},     {4, -EINVAL},
		{8, -EINVAL}, {~0ull, -EINVAL}, {1ull << 32 | 3, -EINVAL},
	};
	struct fixture *f = *state;
	int fd = (int)rig_dmabuf(&f->rig, f->fd, 2, 0x10000, 0x8000);
	char name[40] = "bar2";

	for (int revoked = 0; revoked < 2; revoked++) {
		for (size_t i = 0; i < ARRAY_LEN(syncs); i++) {
			uint64_t flags = syncs[i].flags;

			assert_int_equal(rig_ioctl(&f->rig, fd, SYNC, &flags),
					 syncs[i].want);
		}
		assert_int_equal(lseek(fd, 0, SEEK_END), 0x8000);
		rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0);
	}
	assert_int_equal(rig_ioctl(&f->rig, fd, SYNC, RIG_BAD_VA), -EFAULT);
	check_link(f, fd, "/dmabuf:");
	assert_int_equal(rig_ioctl(&f->rig, fd, SET_NAME_A, name), 0);
	assert_int_equal(rig_ioctl(&f->rig, fd, SET_NAME_B, name), 0);
	assert_int_equal(rig_ioctl(&f->rig, fd, SET_NAME_B, RIG_BAD_VA), -EFAULT);
	check_link(f, fd, "/dmabuf:bar2");
	memset(name, 'x', 31);
	name[31] = 0;
	assert_int_equal(rig_ioctl(&f->rig, fd, SET_NAME_B, name), 0);
	name[31] = 'x';
	assert_int_equal(rig_ioctl(&f->rig, fd, SET_NAME_B, name), -EINVAL);
	check_link(f, fd, "/dmabuf:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	assert_int_equal(rig_ioctl(&f->rig, fd, _IOWR('b', 2, uint64_t), name), -ENOTTY);
	assert_int_equal(rig_ioctl(&f->rig, fd, VFIO_DEVICE_RESET, NULL), -ENOTTY);
	assert_int_equal(rig_mmap(&f->rig, fd, 0, PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	assert_int_equal(rig_pread(&f->rig, fd, name, 4, VFILE_REGION(0)), -EINVAL);
	rig_close(&f->rig, fd);
}

static void test_emfile(void **state)
{
	struct fixture *f = *state;
	struct request r = whole();
	int (*install)(struct client *, struct vfile *, int) = f->rig.ops.install;

	f->rig.ops.install = rig_install_emfile;
	assert_int_equal(ask(f, &r), -EMFILE);
	r.v[0].offset = BAR_BYTES;
	assert_int_equal(ask(f, &r), -EINVAL);
	f->rig.ops.install = install;
}

/* An importer that cannot give the memory back is refused. */
static void test_contracts(void **state)
{
	static const enum dmabuf_interconnect phys[] = {DMABUF_IC_PHYS};
	static const enum dmabuf_interconnect other[] = {DMABUF_IC_IOVA,
							 DMABUF_IC_POINTER};
	static const enum dmabuf_interconnect both[] = {DMABUF_IC_POINTER,
							DMABUF_IC_PHYS};
	const struct {
		const enum dmabuf_interconnect *v;
		unsigned n;
		enum dmabuf_contract contract;
		int want;
	} steps[] = {
		{phys, 1, DMABUF_REVOCABLE, 0},
		{phys, 1, DMABUF_MOVABLE, 0},
		{phys, 1, DMABUF_PINNED, -EOPNOTSUPP},
		{other, 2, DMABUF_REVOCABLE, -EOPNOTSUPP},
		{both, 2, DMABUF_REVOCABLE, 0},
	};
	struct fixture *f = *state;
	int fd = (int)rig_dmabuf(&f->rig, f->fd, 2, PAGE, 2 * PAGE);
	struct vfile *file;
	struct dmabuf *buf;

	assert_int_equal(client_get_vfile(f->rig.client, fd, &file), 0);
	buf = vfio_dmabuf_of(file);
	assert_non_null(buf);
	assert_int_equal(buf->size, 2 * PAGE);
	assert_string_equal(buf->ops->name, "vfio_pci_core");
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		const struct dmabuf_importer_ops ops = {
			.interconnects = steps[i].v,
			.nr_interconnects = steps[i].n,
			.contract = steps[i].contract,
		};
		struct dmabuf_attachment a;

		assert_int_equal(dmabuf_attach(buf, &a, &ops, NULL, NULL), steps[i].want);
		if (!steps[i].want)
			dmabuf_detach(&a);
	}
	dmabuf_put(buf);
	vfile_put(file);
	rig_close(&f->rig, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_several_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_made_while_disabled, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_ioctls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_emfile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_contracts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
