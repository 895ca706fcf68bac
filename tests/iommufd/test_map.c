/* SPDX-License-Identifier: MIT */
/*
 * Which mistake is reported first, and what an area does, with a device attached: the
 * sections E, F and K of the run on Linux 7.3.
 *
 * The dma-buf is a slice of a BAR, 64 KiB from 64 KiB on, as there.
 */
#include "fixture.h"

#include <sys/mman.h>
#include <unistd.h>

#define BUF_BYTES ((uint64_t)0x10000)
#define TOP       (UINT64_MAX - 0xfff) /* the last page */

struct world {
	struct fake_device dev;
	struct fake_buf buf;
	uint32_t ioas;
};

static void world_begin(struct fixture *fx, struct world *w, bool attached)
{
	device_init(&w->dev, NULL);
	assert_ok(device_bind(fx, &w->dev));
	w->ioas = ioas_alloc(fx);
	if (attached)
		assert_ok(device_attach(&w->dev, w->ioas, NULL));
	buf_create(fx, &w->buf, BUF_BYTES, 1);
}

static void world_end(struct world *w)
{
	device_unbind(&w->dev);
	dma_requester_finish(&w->dev.requester);
	buf_destroy(&w->buf);
}

/* One map of the dma-buf and what it answers. */
struct step {
	const char *name;
	struct map map; /* fd and ioas 0: the dma-buf and the world's IOAS */
	int err;
	uint64_t iova; /* expected if chosen; ANY */
};

static void run_steps(struct fixture *fx, struct world *w, const struct step *steps,
		      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct map m = steps[i].map;
		uint64_t iova;
		long ret;

		m.fd = m.fd ? m.fd : w->buf.fd;
		m.ioas = m.ioas ? m.ioas : w->ioas;
		ret = map_file(fx, m, &iova);
		if (ret != -steps[i].err)
			fail_msg("%s: %ld instead of %d", steps[i].name, ret,
				 -steps[i].err);
		if (!ret && !(m.flags & FIXED) && steps[i].iova != ANY)
			assert_int_equal(iova, steps[i].iova);
	}
}

#define STEP(n, e, ...)                                                                  \
	{                                                                                \
		n, {__VA_ARGS__}, e, ANY                                                 \
	}
#define AT(a) .flags = RW | FIXED, .iova = (a)

static void attached_steps(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	const uint64_t i = 0x10000000;
	const struct step steps[] = {
		{"E001", {.length = BUF_BYTES}, 0, 0x10000},
		STEP("E002", 0, AT(i), .length = BUF_BYTES),
		STEP("E003", EEXIST, AT(i), .length = BUF_BYTES),
		STEP("E004", EEXIST, AT(i + 0xf000), .length = BUF_BYTES),
		STEP("E005", 0, AT(i + 0x10000), .start = 0x4000, .length = 0x2000),
		STEP("E006", EINVAL, AT(i << 1), .start = 0x4800, .length = PAGE),
		STEP("E007", EINVAL, AT(i << 1), .start = 0x4000, .length = 0x800),
		STEP("E008", EINVAL, AT(i << 1), .start = 0x4800, .length = 0x800),
		STEP("E009", EINVAL, AT(i << 1), .start = 0x4800, .length = 0x1800),
		STEP("E010", EINVAL, .start = 0x4800, .length = PAGE),
		STEP("E011", EINVAL, AT((i << 1) + 0x800), .length = PAGE),
		STEP("E012", EINVAL, AT(i << 1)),
		STEP("E013", 0, AT(i << 1), .start = 0xf000, .length = PAGE),
		STEP("E014", EINVAL, AT(i << 2), .start = 0xf000, .length = 0x2000),
		STEP("E015", EINVAL, AT(i << 2), .start = BUF_BYTES, .length = PAGE),
		STEP("E016", EINVAL, AT(i << 2), .start = 0x20000, .length = PAGE),
		STEP("E017", EINVAL, AT(i << 2), .length = BUF_BYTES + PAGE),
		STEP("E018", EINVAL, AT(i + 0x800), .length = BUF_BYTES + PAGE),
		STEP("E019", EOVERFLOW, AT(i << 2), .start = UINT64_MAX, .length = PAGE),
		STEP("E020", EINVAL, AT(i << 2), .start = TOP, .length = PAGE),
		STEP("E021", EOVERFLOW, AT(i << 2), .start = PAGE,
		     .length = UINT64_MAX - 1),
		STEP("E022", EOVERFLOW, AT(i << 2), .length = UINT64_MAX),
		STEP("E023", EOVERFLOW, AT(UINT64_MAX), .length = PAGE),
		STEP("E024", EINVAL, AT(TOP), .length = PAGE),
		STEP("E025", EOVERFLOW, AT(TOP), .length = 0x2000),
		STEP("E026", EINVAL, AT((uint64_t)1 << 60), .length = PAGE),
		STEP("E027", EINVAL, AT(MSI), .length = PAGE),
		STEP("E028", EINVAL, AT(MSI - PAGE), .length = 0x2000),
		STEP("E029", 0, AT(0), .length = PAGE),
		STEP("E030", 0, .flags = IOMMU_IOAS_MAP_READABLE, .length = PAGE),
		STEP("E031", 0, .flags = IOMMU_IOAS_MAP_WRITEABLE, .length = PAGE),
		STEP("E032", EINVAL, .no_flags = true, .length = PAGE),
		STEP("E033", EOPNOTSUPP, .flags = RW | 8, .length = PAGE),
		STEP("E034", ENOENT, .ioas = 77, .length = PAGE),
		STEP("E035", ENOENT, .ioas = 77),
	};

	world_begin(fx, &w, true);
	run_steps(fx, &w, steps, sizeof(steps) / sizeof(steps[0]));
	world_end(&w);
}

/* E036, E037: ids of other types are no IOASes. */
static void ids_of_other_types(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	uint32_t hwpt;

	world_begin(fx, &w, false);
	assert_ok(device_attach(&w.dev, w.ioas, &hwpt));
	assert_err(
		map_file(fx,
			 (struct map){.ioas = w.dev.id, .fd = w.buf.fd, .length = PAGE},
			 NULL),
		ENOENT);
	assert_err(map_file(fx,
			    (struct map){.ioas = hwpt, .fd = w.buf.fd, .length = PAGE},
			    NULL),
		   ENOENT);
	world_end(&w);
}

/* E038 to E044, and the extension. */
static void several_ranges(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	struct fake_buf two;
	const uint64_t i = 0x10000000;

	world_begin(fx, &w, true);
	buf_create(fx, &two, 0x8000, 2);
	const struct step steps[] = {
		STEP("E038", EOPNOTSUPP, .fd = two.fd, .length = 0x10000),
		STEP("E039", EOPNOTSUPP, .fd = two.fd, .length = 0x8000),
		STEP("E040", EINVAL, .fd = two.fd, .length = 0x11000),
		STEP("E041", EINVAL, .fd = two.fd),
		STEP("used iova before", 0, AT(i), .length = PAGE),
		STEP("E042", EOPNOTSUPP, AT(i), .fd = two.fd, .length = PAGE),
		STEP("E043", EOPNOTSUPP, AT(i + 0x800), .fd = two.fd, .length = PAGE),
	};
	run_steps(fx, &w, steps, sizeof(steps) / sizeof(steps[0]));
	fx->machine.multi_range_dmabuf = true;
	const struct step extended[] = {
		STEP("two ranges", 0, AT(i << 1), .fd = two.fd, .length = 0x10000),
	};
	run_steps(fx, &w, extended, 1);
	assert_true(can_write(&w.dev, (i << 1) + 0xffff));
	fx->machine.multi_range_dmabuf = false;
	buf_destroy(&two);
	world_end(&w);
}

/* E045 to E055 */
static void unmaps(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	uint32_t other;
	uint64_t n;
	const uint64_t a = 0x10000000, b = 0x20000000, c = 0x30000000;

	world_begin(fx, &w, true);
	other = ioas_alloc(fx);
	const struct step steps[] = {
		STEP("a", 0, AT(a), .length = BUF_BYTES),
		STEP("b", 0, AT(b), .length = 0x2000),
		STEP("c", 0, AT(c), .length = PAGE),
		STEP("c+", 0, AT(c + PAGE), .start = PAGE, .length = PAGE),
		STEP("rest", 0, .length = 0x3000),
	};
	run_steps(fx, &w, steps, sizeof(steps) / sizeof(steps[0]));
	assert_ok(map_file(
		fx, (struct map){.ioas = other, .fd = w.buf.fd, .length = BUF_BYTES},
		NULL));
	assert_ok(unmap(fx, w.ioas, a, BUF_BYTES, &n)); /* E046 */
	assert_int_equal(n, BUF_BYTES);
	assert_err(unmap(fx, w.ioas, a, BUF_BYTES, NULL), ENOENT);   /* E047 */
	assert_err(unmap(fx, w.ioas, b, PAGE, NULL), ENOENT);        /* E048 */
	assert_err(unmap(fx, w.ioas, b + PAGE, PAGE, NULL), ENOENT); /* E049 */
	assert_ok(unmap(fx, w.ioas, b, 0x100000, &n));               /* E050 */
	assert_int_equal(n, 0x2000);
	assert_ok(unmap(fx, w.ioas, c, 0x2000, &n)); /* E051 */
	assert_int_equal(n, 0x2000);
	close(w.buf.fd); /* E052 */
	assert_err(map_file(fx,
			    (struct map){.ioas = w.ioas, .fd = w.buf.fd, .length = PAGE},
			    NULL),
		   EBADF); /* E053 */
	w.buf.fd = -1;
	assert_ok(unmap_all(fx, w.ioas, &n)); /* E054 */
	assert_int_equal(n, 0x3000);
	assert_ok(unmap_all(fx, other, &n)); /* E055 */
	assert_int_equal(n, BUF_BYTES);
	world_end(&w);
}

/* E056 to E071 */
static void revoked(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	struct fake_buf two;
	const uint64_t i = 0x10000000;
	uint64_t n;

	world_begin(fx, &w, true);
	buf_create(fx, &two, 0x8000, 2);
	const struct step before[] = {STEP("E056", 0, AT(i), .length = BUF_BYTES)};
	const struct step while_revoked[] = {
		STEP("E057", ENODEV, .length = BUF_BYTES),
		STEP("E058", EINVAL, AT(i << 1)),
		STEP("E059", EINVAL, .length = BUF_BYTES + PAGE),
		STEP("E060", EOVERFLOW, .start = UINT64_MAX, .length = PAGE),
		STEP("E061", ENODEV, .start = 0x4800, .length = PAGE),
		STEP("E062", ENODEV, AT(i), .length = BUF_BYTES),
		STEP("E063", ENODEV, AT(i + 0x800), .length = PAGE),
		STEP("E064", EINVAL, .no_flags = true, .length = PAGE),
		STEP("E065", ENOENT, .ioas = 77, .length = PAGE),
		STEP("E066", ENODEV, .fd = two.fd, .length = PAGE),
		STEP("E067", ENODEV, .ioas = ioas_alloc(fx), .length = PAGE),
	};
	const struct step restored[] = {
		STEP("E068", 0, .length = BUF_BYTES),
		STEP("E069", EEXIST, AT(i), .length = BUF_BYTES),
	};
	const struct step freed[] = {STEP("E071", 0, AT(i), .length = BUF_BYTES)};

	run_steps(fx, &w, before, 1);
	assert_true(can_write(&w.dev, i));
	dmabuf_revoke(w.buf.buf);
	dmabuf_revoke(two.buf);
	assert_false(can_read(&w.dev, i));
	run_steps(fx, &w, while_revoked, sizeof(while_revoked) / sizeof(struct step));
	dmabuf_restore(w.buf.buf);
	run_steps(fx, &w, restored, 2);
	assert_false(can_read(&w.dev, i));              /* the old area stays empty */
	assert_ok(unmap(fx, w.ioas, i, BUF_BYTES, &n)); /* E070 */
	assert_int_equal(n, BUF_BYTES);
	run_steps(fx, &w, freed, 1);
	assert_true(can_read(&w.dev, i));
	buf_destroy(&two);
	world_end(&w);
}

/* F001 to F024: nothing is checked until a device comes. */
static void attach_finds_bad_areas(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	uint64_t iova, n;
	const uint64_t i = 0x10000000;
	const struct step steps[] = {
		STEP("F001", 0, AT(i), .start = 0x4800, .length = PAGE),
		STEP("F002", 0, AT(i << 1), .length = 0x801),
		STEP("F003", 0, AT((i << 2) + 0x801), .length = PAGE),
		{"F004", {.length = 1}, 0, 0x1000},
		STEP("F005", EINVAL, .start = BUF_BYTES - PAGE, .length = PAGE + 1),
		STEP("F006", 0, AT(MSI), .length = PAGE),
		STEP("F007", 0, AT((uint64_t)1 << 60), .length = PAGE),
	};
	const struct step alone[] = {
		STEP("F013", 0, AT(MSI), .length = PAGE),
		STEP("F016", 0, AT((uint64_t)1 << 60), .length = PAGE),
		STEP("F019", 0, AT(i), .start = 0x4800, .length = PAGE),
	};

	world_begin(fx, &w, false);
	run_steps(fx, &w, steps, sizeof(steps) / sizeof(steps[0]));
	assert_err(device_attach(&w.dev, w.ioas, NULL), EADDRINUSE); /* F008 */
	assert_ok(unmap(fx, w.ioas, i << 1, 0x801, &n));             /* F009 */
	assert_int_equal(n, 0x801);
	assert_ok(unmap(fx, w.ioas, (i << 2) + 0x801, PAGE, &n));
	assert_ok(unmap(fx, w.ioas, i, PAGE, &n));
	assert_ok(unmap_all(fx, w.ioas, &n)); /* F012 */
	assert_int_equal(n, 0x2001);
	for (size_t k = 0; k < 3; k++) { /* F013 to F021 */
		run_steps(fx, &w, &alone[k], 1);
		assert_err(device_attach(&w.dev, w.ioas, NULL), EADDRINUSE);
		assert_ok(unmap_all(fx, w.ioas, &n));
		assert_int_equal(n, PAGE);
	}
	assert_ok(map_file(
		fx, (struct map){.ioas = w.ioas, .fd = w.buf.fd, .length = BUF_BYTES},
		&iova)); /* F022 */
	assert_false(can_read(&w.dev, iova));
	assert_ok(device_attach(&w.dev, w.ioas, NULL)); /* F023 */
	assert_true(can_read(&w.dev, iova));
	iommufd_device_detach(w.dev.dev);
	assert_false(can_read(&w.dev, iova));
	world_end(&w);
}

/* F025 to F041: areas that were revoked are carried along and stay empty. */
static void attach_with_revoked_areas(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	struct fake_device second;
	uint64_t iova, n;
	uint32_t hwpt;

	world_begin(fx, &w, false);
	device_init(&second, NULL);
	assert_ok(device_bind(fx, &second));
	assert_ok(map_file(
		fx, (struct map){.ioas = w.ioas, .fd = w.buf.fd, .length = BUF_BYTES},
		&iova));
	dmabuf_revoke(w.buf.buf);
	assert_ok(device_attach(&w.dev, w.ioas, NULL)); /* F025 */
	assert_false(can_read(&w.dev, iova));
	iommufd_device_detach(w.dev.dev);
	dmabuf_restore(w.buf.buf);
	assert_ok(device_attach(&w.dev, w.ioas, NULL)); /* F027 */
	assert_false(can_read(&w.dev, iova));
	assert_ok(unmap(fx, w.ioas, iova, BUF_BYTES, &n)); /* F028 */
	assert_ok(map_file(
		fx, (struct map){.ioas = w.ioas, .fd = w.buf.fd, .length = BUF_BYTES},
		&iova)); /* F029 */
	assert_true(can_read(&w.dev, iova));
	dmabuf_revoke(w.buf.buf);
	iommufd_device_detach(w.dev.dev);                      /* F030 */
	assert_ok(device_attach(&w.dev, w.ioas, NULL));        /* F031 */
	assert_ok(hwpt_alloc(fx, 0, w.dev.id, w.ioas, &hwpt)); /* F032 */
	assert_ok(destroy(fx, hwpt));                          /* F033 */
	assert_ok(device_attach(&second, w.ioas, NULL));       /* F035 */
	assert_false(can_read(&second, iova));
	iommufd_device_detach(second.dev);
	assert_ok(unmap(fx, w.ioas, iova, BUF_BYTES, &n)); /* F037 */
	assert_int_equal(n, BUF_BYTES);
	dmabuf_restore(w.buf.buf);
	assert_ok(map_file(
		fx, (struct map){.ioas = w.ioas, .fd = w.buf.fd, .length = BUF_BYTES},
		&iova));
	assert_ok(device_attach(&second, w.ioas, NULL)); /* F039 */
	assert_true(can_read(&second, iova));
	assert_ok(hwpt_alloc(fx, 0, w.dev.id, w.ioas, &hwpt)); /* F040 */
	dmabuf_revoke(w.buf.buf);
	assert_false(can_read(&second, iova));
	assert_false(can_read(&w.dev, iova));
	assert_ok(unmap(fx, w.ioas, iova, BUF_BYTES, &n)); /* F041 */
	device_unbind(&second);
	dma_requester_finish(&second.requester);
	world_end(&w);
}

/* Lengths that wrap when the offset in the first page is added. */
static void lengths_at_the_top(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	int mem = memfd(PAGE);

	world_begin(fx, &w, false);
	const struct step steps[] = {
		STEP("dma-buf", EINVAL, .start = 0xfff, .length = UINT64_MAX - 0xffe),
		STEP("dma-buf", EINVAL, .start = 0x800, .length = UINT64_MAX - 0x800),
		STEP("file", EINVAL, .fd = mem, .start = 0xfff,
		     .length = UINT64_MAX - 0xffe),
		STEP("file", EINVAL, .fd = mem, .start = 0x800,
		     .length = UINT64_MAX - 0x800),
	};
	run_steps(fx, &w, steps, sizeof(steps) / sizeof(steps[0]));
	close(mem);
	world_end(&w);
}

static const struct vfile_ops plain_ops = {.name = "plain"};

/* Its placeholder is a memory file that is large enough: it is not the file's memory. */
static void placeholder_is_no_memory(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	struct vfile plain;
	int fd;

	vfile_init(&plain, &plain_ops, -1, 1 << 20);
	fd = fd_of(fx, &plain);
	world_begin(fx, &w, true);
	assert_err(map_file(fx, (struct map){.ioas = w.ioas, .fd = fd, .length = PAGE},
			    NULL),
		   EINVAL);
	world_end(&w);
	close(fd);
}

/* Files that are not memory are taken until somebody looks at them. */
static void other_files(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	int self = fd_of(fx, fx->iommu), mem = memfd(PAGE), part = memfd(2 * PAGE - 1);
	const struct step attached[] = {
		STEP("a page that the file ends in", EINVAL, .fd = part, .start = PAGE,
		     .length = PAGE),
		STEP("the page before it", 0, .fd = part, .length = PAGE),
		STEP("iommufd itself", EINVAL, .fd = self, .length = PAGE),
		STEP("memfd past its end", EINVAL, .fd = mem, .length = 0x2000),
		STEP("memfd", 0, .fd = mem, .length = PAGE),
	};
	const struct step alone[] = {STEP("", 0, .fd = self, .length = PAGE)};

	world_begin(fx, &w, true);
	run_steps(fx, &w, attached, 5);
	iommufd_device_detach(w.dev.dev);
	run_steps(fx, &w, alone, 1);
	assert_err(device_attach(&w.dev, w.ioas, NULL), EINVAL);
	close(self);
	close(mem);
	close(part);
	world_end(&w);
}

/* Section K: a client's own memory. */
static void user_memory(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	char *mem = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_map reserved = {.size = sizeof(reserved), .__reserved = 1};
	const uint64_t va = (uintptr_t)mem, i = 0x10000000;

	world_begin(fx, &w, true);
	assert_int_not_equal(va, (uintptr_t)MAP_FAILED);
	assert_ok(mprotect(mem + 0x2000, PAGE, PROT_READ));
	assert_ok(munmap(mem + 0x3000, PAGE));
	const struct {
		const char *name;
		struct map map;
		int err;
	} steps[] = {
		{"K001", {AT(i), .start = va, .length = 0x2000}, 0},
		{"K007", {AT(i), .start = va, .length = PAGE}, EEXIST},
		{"K008", {.start = va + 0x800, .length = PAGE}, EINVAL},
		{"K009", {.start = va}, EINVAL},
		{"K010", {.start = 8, .length = PAGE}, EINVAL},
		{"K011", {.start = va + 0x3000, .length = PAGE}, EFAULT},
		{"K012", {.start = TOP, .length = PAGE}, EOVERFLOW},
		{"K012b", {.start = TOP, .length = 0}, EINVAL},
		{"K013", {.flags = RW | 8, .start = va, .length = PAGE}, EOPNOTSUPP},
		{"K014", {.no_flags = true, .start = va, .length = PAGE}, EINVAL},
		{"K015", {.ioas = 77, .start = va, .length = PAGE}, ENOENT},
		{"K016", {.start = va + 0x2000, .length = PAGE}, EFAULT},
		{"K017",
		 {.flags = IOMMU_IOAS_MAP_READABLE, .start = va + 0x2000, .length = PAGE},
		 0},
		{"iova", {AT(UINT64_MAX), .start = va, .length = PAGE}, EOVERFLOW},
		{"length", {.start = va, .length = UINT64_MAX}, EOVERFLOW},
		{"huge", {.start = va, .length = UINT64_MAX - 1}, EOVERFLOW},
		{"huge from 0", {.start = 0, .length = UINT64_MAX - 1}, EINVAL},
		{"no length", {.ioas = 77, .start = TOP, .length = PAGE}, ENOENT},
	};

	for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
		struct map m = steps[k].map;
		long ret;

		m.ioas = m.ioas ? m.ioas : w.ioas;
		ret = map_va(fx, m, NULL);
		if (ret != -steps[k].err)
			fail_msg("%s: %ld instead of %d", steps[k].name, ret,
				 -steps[k].err);
	}
	assert_err(call(fx, IOMMU_IOAS_MAP, &reserved), EOPNOTSUPP);
	mem[0x1234] = 0;
	assert_true(can_write(&w.dev, i + 0x1234));
	assert_int_equal(mem[0x1234], 1);
	assert_ok(unmap_all(fx, w.ioas, NULL));
	assert_false(can_write(&w.dev, i + 0x1234));
	world_end(&w);
	munmap(mem, 0x3000);
}

/* Without a device the offset in the page is kept, down to the byte. */
static void unaligned_user_memory(void **state)
{
	struct fixture *fx = *state;
	uint32_t ioas = ioas_alloc(fx), attached = ioas_alloc(fx);
	struct fake_device dev;
	uint64_t iova;

	assert_ok(map_va(fx, (struct map){.ioas = ioas, .start = 0x12345, .length = 3},
			 &iova));
	assert_int_equal(iova % PAGE, 0x345);
	device_init(&dev, NULL);
	assert_ok(device_bind(fx, &dev));
	assert_err(device_attach(&dev, ioas, NULL), EADDRINUSE);
	assert_ok(device_attach(&dev, attached, NULL));
	assert_err(
		copy(fx,
		     (struct copy){
			     .src = ioas, .dst = attached, .length = 3, .src_iova = iova},
		     NULL),
		EINVAL);
	device_unbind(&dev);
	dma_requester_finish(&dev.requester);
}

/* K018 to K020: bad memory is noticed when it is first needed. */
static void copy_of_bad_memory(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t src = ioas_alloc(fx);
	uint64_t iova;

	world_begin(fx, &w, true);
	munmap(page, PAGE);
	assert_ok(map_va(
		fx, (struct map){.ioas = src, .start = (uintptr_t)page, .length = PAGE},
		&iova));
	assert_err(
		copy(fx,
		     (struct copy){
			     .src = src, .dst = w.ioas, .length = PAGE, .src_iova = iova},
		     NULL),
		EFAULT);
	assert_err(device_attach(&w.dev, src, NULL), EFAULT);
	assert_ok(device_attach(&w.dev, w.ioas, NULL)); /* still there */
	world_end(&w);
}

/* Everything is left to the release, but for the binding, which ends last. */
static void close_while_bound(void **state)
{
	struct fixture *fx = *state;
	struct world w;
	struct vfile *iommu = fx->iommu;
	uint64_t iova;

	world_begin(fx, &w, true);
	assert_ok(map_file(
		fx, (struct map){.ioas = w.ioas, .fd = w.buf.fd, .length = BUF_BYTES},
		&iova));
	vfile_put(iommu);
	fx->iommu = NULL;
	assert_true(can_write(&w.dev, iova)); /* B031 */
	device_unbind(&w.dev);
	assert_false(can_write(&w.dev, iova));
	world_end(&w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(attached_steps),
		TEST(ids_of_other_types),
		TEST(several_ranges),
		TEST(unmaps),
		TEST(revoked),
		TEST(attach_finds_bad_areas),
		TEST(attach_with_revoked_areas),
		TEST(lengths_at_the_top),
		TEST(placeholder_is_no_memory),
		TEST(other_files),
		TEST(user_memory),
		TEST(unaligned_user_memory),
		TEST(copy_of_bad_memory),
		TEST(close_while_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
