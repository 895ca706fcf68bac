/* SPDX-License-Identifier: MIT */
/*
 * Dispatch, the object table, and the calls that need no device. Letters with numbers
 * are steps of the run on Linux 7.3 that the expectations are from.
 */
#include "fixture.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "iommufd/private.h"

/* The sizes of Linux 7.3: of the least that is taken, and of all that is known. */
static const struct {
	uint32_t cmd, min, size;
} sizes[] = {
	{IOMMU_DESTROY, 8, 8},
	{IOMMU_IOAS_ALLOC, 12, 12},
	{IOMMU_IOAS_ALLOW_IOVAS, 24, 24},
	{IOMMU_IOAS_COPY, 40, 40},
	{IOMMU_IOAS_IOVA_RANGES, 32, 32},
	{IOMMU_IOAS_MAP, 40, 40},
	{IOMMU_IOAS_UNMAP, 24, 24},
	{IOMMU_OPTION, 24, 24},
	{IOMMU_VFIO_IOAS, 12, 12},
	{IOMMU_HWPT_ALLOC, 24, 48},
	{IOMMU_GET_HW_INFO, 32, 40},
	{IOMMU_HWPT_SET_DIRTY_TRACKING, 16, 16},
	{IOMMU_HWPT_GET_DIRTY_BITMAP, 48, 48},
	{IOMMU_HWPT_INVALIDATE, 32, 32},
	{IOMMU_FAULT_QUEUE_ALLOC, 16, 16},
	{IOMMU_IOAS_MAP_FILE, 40, 40},
	{IOMMU_VIOMMU_ALLOC, 24, 40},
	{IOMMU_VDEVICE_ALLOC, 24, 24},
	{IOMMU_IOAS_CHANGE_PROCESS, 8, 8},
	{IOMMU_VEVENTQ_ALLOC, 28, 32},
	{IOMMU_HW_QUEUE_ALLOC, 40, 40},
	{IOMMU_IOAS_NOIOMMU_GET_PA, 40, 40},
};

static void table_of_calls(void **state)
{
	struct fixture *fx = *state;

	assert_null(uapi_table_error(&iommufd_table));
	assert_int_equal(iommufd_table.n, ARRAY_LEN(sizes));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		const struct uapi_entry *e = uapi_find(&iommufd_table, sizes[i].cmd);
		uint32_t buf[32] = {0};

		assert_non_null(e);
		assert_int_equal(e->min_size, sizes[i].min);
		assert_int_equal(e->size, sizes[i].size);
		if (!e->handler)
			continue;
		buf[0] = e->min_size - 1u;
		assert_err(call(fx, e->cmd, buf), EINVAL);
		buf[0] = e->size + 4u;
		buf[e->size / 4] = 1;
		assert_err(call(fx, e->cmd, buf), E2BIG);
		assert_err(call(fx, e->cmd, (void *)8), EFAULT);
	}
}

static void dispatch(void **state)
{
	struct fixture *fx = *state;
	struct {
		struct iommu_ioas_alloc cmd;
		char tail[64 - sizeof(struct iommu_ioas_alloc)];
	} big = {.cmd.size = 64};
	struct iommu_ioas_alloc cmd = {.size = 4};

	assert_err(call(fx, _IO(';', 0xf0), &cmd), ENOTTY);   /* A002 */
	assert_err(call(fx, _IO('Z', 0x81), &cmd), ENOTTY);   /* A003 */
	assert_err(call(fx, IOMMU_IOAS_ALLOC, &cmd), EINVAL); /* A004 */
	cmd.size = 0;
	assert_err(call(fx, IOMMU_IOAS_ALLOC, &cmd), EINVAL); /* A005 */
	assert_ok(call(fx, IOMMU_IOAS_ALLOC, &big));          /* A006 */
	big.tail[51] = 1;
	assert_err(call(fx, IOMMU_IOAS_ALLOC, &big), E2BIG); /* A007 */
	cmd = (struct iommu_ioas_alloc){.size = sizeof(cmd), .flags = 1};
	assert_err(call(fx, IOMMU_IOAS_ALLOC, &cmd), EOPNOTSUPP);  /* A008 */
	assert_err(call(fx, IOMMU_IOAS_ALLOC, (void *)8), EFAULT); /* A009 */
	assert_err(destroy(fx, 12345), ENOENT);                    /* A011 */
	assert_err(destroy(fx, 0), ENOENT);                        /* A012 */
	assert_err(destroy(fx, UINT32_MAX), ENOENT);
}

static void response_that_faults_makes_nothing(void **state)
{
	struct fixture *fx = *state;
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct iommu_ioas_alloc *cmd = page;

	assert_ptr_not_equal(page, MAP_FAILED);
	*cmd = (struct iommu_ioas_alloc){.size = sizeof(*cmd)};
	assert_ok(mprotect(page, 4096, PROT_READ));
	assert_err(call(fx, IOMMU_IOAS_ALLOC, cmd), EFAULT);
	assert_err(destroy(fx, 1), ENOENT);
	assert_int_equal(ioas_alloc(fx), 1);
	munmap(page, 4096);
}

static void lowest_free_id(void **state)
{
	struct fixture *fx = *state;
	enum { N = 300 };

	for (uint32_t i = 1; i <= N; i++)
		assert_int_equal(ioas_alloc(fx), i);
	for (uint32_t i = N; i; i -= 3)
		assert_ok(destroy(fx, i));
	for (uint32_t i = 3; i <= N; i += 3)
		assert_int_equal(ioas_alloc(fx), i);
	assert_int_equal(ioas_alloc(fx), N + 1);
	assert_ok(destroy(fx, 1));
	assert_err(destroy(fx, 1), ENOENT);
	assert_int_equal(ioas_alloc(fx), 1);
}

/* Section A, from the first map on: nothing is attached, so nobody looks at the memory.
 */
static void unattached_maps(void **state)
{
	struct fixture *fx = *state;
	uint32_t ioas = ioas_alloc(fx);
	int mem = memfd(0x10000), null = open("/dev/null", O_RDWR), event = eventfd(0, 0);
	int self = fd_of(fx, fx->iommu);
	struct map m = {.ioas = ioas, .fd = mem, .length = PAGE};
	uint64_t n;

	m.length = 0x10000;
	assert_ok(map_file(fx, m, NULL)); /* A013 */
	m.start = 0xf000;
	m.length = 0x2000;
	assert_ok(map_file(fx, m, NULL)); /* A014 */
	m.start = 0;
	m.length = PAGE;
	m.fd = null;
	assert_ok(map_file(fx, m, NULL)); /* A015 */
	m.fd = event;
	assert_ok(map_file(fx, m, NULL)); /* A016 */
	m.fd = self;
	assert_ok(map_file(fx, m, NULL)); /* A017 */

	m.fd = -1;
	assert_err(map_file(fx, m, NULL), EBADF); /* A018 */
	m.fd = NO_FD;
	assert_err(map_file(fx, m, NULL), EBADF); /* A019 */
	m.length = 0;
	assert_err(map_file(fx, m, NULL), EINVAL); /* A020 */
	m.ioas = 77;
	assert_err(map_file(fx, m, NULL), ENOENT); /* A021 */
	m = (struct map){.ioas = ioas, .fd = NO_FD, .no_flags = true, .length = PAGE};
	assert_err(map_file(fx, m, NULL), EINVAL); /* A022 */
	m = (struct map){.ioas = 77, .fd = mem, .flags = FIXED, .length = PAGE};
	assert_err(map_file(fx, m, NULL), EINVAL); /* A023 */
	m = (struct map){.ioas = ioas, .fd = mem, .flags = 0x80, .length = PAGE};
	assert_err(map_file(fx, m, NULL), EOPNOTSUPP); /* A024 */
	m.length = UINT64_MAX;
	assert_err(map_file(fx, m, NULL), EOPNOTSUPP); /* A025 */
	m.no_flags = true;
	assert_err(map_file(fx, m, NULL), EOVERFLOW); /* A026 */
	m = (struct map){.ioas = 77, .fd = mem, .length = UINT64_MAX};
	assert_err(map_file(fx, m, NULL), EOVERFLOW); /* A027 */
	m = (struct map){.ioas = 77, .fd = mem, .no_flags = true, .length = PAGE};
	assert_err(map_file(fx, m, NULL), EINVAL); /* A028 */
	m = (struct map){.ioas = ioas, .fd = mem, .start = UINT64_MAX, .length = PAGE};
	assert_err(map_file(fx, m, NULL), EOVERFLOW); /* A029 */

	assert_err(unmap(fx, 77, 0, PAGE, NULL), ENOENT);                   /* A030 */
	assert_err(unmap(fx, ioas, (uint64_t)1 << 40, PAGE, NULL), ENOENT); /* A031 */
	assert_err(unmap(fx, ioas, 0, 0, NULL), EINVAL);                    /* A032 */
	assert_err(unmap(fx, ioas, PAGE, UINT64_MAX, NULL), EOVERFLOW);     /* A033 */
	assert_err(unmap(fx, ioas, UINT64_MAX - 1, PAGE, NULL), EOVERFLOW); /* A034 */
	assert_err(unmap(fx, ioas, UINT64_MAX, 1, NULL), EOVERFLOW);
	assert_ok(unmap_all(fx, ioas, &n)); /* A035 */
	assert_int_equal(n, 0x15000);
	assert_ok(unmap_all(fx, ioas, &n)); /* A036 */
	assert_int_equal(n, 0);
	assert_ok(destroy(fx, ioas)); /* A037 */
	close(mem);
	close(null);
	close(event);
	close(self);
}

static void ranges_of_an_empty_ioas(void **state)
{
	struct fixture *fx = *state;
	struct iommu_iova_range v[2] = {{7, 7}, {7, 7}};
	uint32_t ioas = ioas_alloc(fx), n;
	struct iommu_ioas_iova_ranges cmd = {.size = sizeof(cmd), .__reserved = 1};
	uint64_t alignment;

	assert_ok(iova_ranges(fx, ioas, v, 2, &n, &alignment));
	assert_int_equal(n, 1);
	assert_int_equal(alignment, 1);
	assert_int_equal(v[0].start, 0);
	assert_int_equal(v[0].last, UINT64_MAX);
	assert_int_equal(v[1].start, 7);
	assert_err(iova_ranges(fx, ioas, NULL, 0, &n, NULL), EMSGSIZE);
	assert_int_equal(n, 1);
	assert_err(iova_ranges(fx, ioas, (void *)8, 1, &n, NULL), EFAULT);
	assert_err(iova_ranges(fx, 77, v, 2, &n, NULL), ENOENT);
	assert_err(call(fx, IOMMU_IOAS_IOVA_RANGES, &cmd), EOPNOTSUPP);
}

static void allowed_ranges(void **state)
{
	struct fixture *fx = *state;
	struct iommu_iova_range v[] = {{0x30000, 0x3ffff}, {0x20000, 0x2ffff}};
	struct iommu_iova_range overlap[] = {{0, 0x1000}, {0x1000, 0x2000}};
	struct iommu_iova_range empty = {5, 5};
	struct iommu_ioas_allow_iovas cmd = {.size = sizeof(cmd), .__reserved = 1};
	uint32_t ioas = ioas_alloc(fx);
	int mem = memfd(0x40000);
	uint64_t iova;
	/* The first range lies at the end of a page that nothing follows. */
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct iommu_iova_range *last = (void *)(page + 4096 - sizeof(*last));

	assert_ok(munmap(page + 4096, 4096));
	assert_ok(allow_iovas(fx, ioas, v, 2));
	assert_ok(map_file(fx, (struct map){.ioas = ioas, .fd = mem, .length = 0x20000},
			   &iova));
	assert_int_equal(iova, 0x20000);
	assert_err(map_file(fx, (struct map){.ioas = ioas, .fd = mem, .length = PAGE},
			    &iova),
		   ENOSPC);
	assert_ok(map_file(fx,
			   (struct map){.ioas = ioas,
					.fd = mem,
					.flags = RW | FIXED,
					.length = PAGE,
					.iova = 0x80000},
			   &iova));
	assert_err(allow_iovas(fx, ioas, overlap, 2), EINVAL);
	assert_err(allow_iovas(fx, ioas, &empty, 1), EINVAL);
	assert_err(allow_iovas(fx, ioas, (void *)8, 1), EFAULT);
	*last = v[0];
	assert_err(allow_iovas(fx, ioas, last, 2), EFAULT);
	*last = empty;
	assert_err(allow_iovas(fx, ioas, last, 2), EINVAL); /* before the fault */
	assert_err(allow_iovas(fx, 77, v, 2), ENOENT);
	assert_err(call(fx, IOMMU_IOAS_ALLOW_IOVAS, &cmd), EOPNOTSUPP);
	/* A length that is made up ends where the memory does. */
	assert_err(allow_iovas(fx, ioas, last, UINT32_MAX), EINVAL);
	assert_ok(allow_iovas(fx, ioas, NULL, 0));
	assert_ok(map_file(fx, (struct map){.ioas = ioas, .fd = mem, .length = PAGE},
			   &iova));
	munmap(page, 4096);
	close(mem);
}

static void copies(void **state)
{
	struct fixture *fx = *state;
	uint32_t src = ioas_alloc(fx), dst = ioas_alloc(fx);
	int mem = memfd(0x10000);
	struct copy c = {.flags = IOMMU_IOAS_MAP_READABLE,
			 .src = src,
			 .dst = dst,
			 .length = 0x4000,
			 .src_iova = 0x10000};
	uint64_t iova;

	assert_ok(map_file(fx,
			   (struct map){.ioas = src,
					.fd = mem,
					.flags = FIXED | IOMMU_IOAS_MAP_READABLE,
					.length = 0x10000,
					.iova = 0x10000},
			   NULL));
	assert_ok(copy(fx, c, &iova));
	c.flags = FIXED | IOMMU_IOAS_MAP_READABLE;
	c.dst_iova = iova;
	assert_err(copy(fx, c, NULL), EEXIST);
	c.dst_iova = 0x100000;
	c.src_iova = 0x14000; /* a part */
	assert_ok(copy(fx, c, NULL));
	c.flags = RW;
	c.dst_iova = 0;
	assert_err(copy(fx, c, NULL), EPERM);
	c.src_iova = 0x1e000; /* sticks out */
	assert_err(copy(fx, c, NULL), ENOENT);
	c.src_iova = 0x10000;
	c.length = 0;
	c.dst = 77;
	assert_err(copy(fx, c, NULL), EINVAL); /* before the destination */
	c.length = UINT64_MAX - 1;
	assert_err(copy(fx, c, NULL), EOVERFLOW);
	c.length = PAGE;
	assert_err(copy(fx, c, NULL), ENOENT);
	c.dst = dst;
	c.src = 77;
	assert_err(copy(fx, c, NULL), ENOENT);
	c.flags = FIXED;
	assert_err(copy(fx, c, NULL), EINVAL);
	c.length = UINT64_MAX;
	assert_err(copy(fx, c, NULL), EOVERFLOW);
	c.flags = 8;
	assert_err(copy(fx, c, NULL), EOPNOTSUPP);
	/* Into itself. */
	c = (struct copy){.flags = IOMMU_IOAS_MAP_READABLE,
			  .src = src,
			  .dst = src,
			  .length = PAGE,
			  .src_iova = 0x10000};
	assert_ok(copy(fx, c, &iova));
	assert_ok(destroy(fx, src));
	assert_ok(unmap_all(fx, dst, NULL));
	close(mem);
}

static long option(struct fixture *fx, uint32_t id, uint16_t op, uint32_t object,
		   uint64_t *value)
{
	struct iommu_option cmd = {.size = sizeof(cmd),
				   .option_id = id,
				   .op = op,
				   .object_id = object,
				   .val64 = *value};
	long ret = call(fx, IOMMU_OPTION, &cmd);

	*value = cmd.val64;
	return ret;
}

static void rlimit_mode(void **state)
{
	struct fixture *fx = *state;
	uint64_t v = 1;

	fx->privileged = false;
	assert_err(option(fx, IOMMU_OPTION_RLIMIT_MODE, 0, 0, &v), EPERM);
	fx->privileged = true;
	assert_ok(option(fx, IOMMU_OPTION_RLIMIT_MODE, 0, 0, &v));
	v = 7;
	assert_ok(option(fx, IOMMU_OPTION_RLIMIT_MODE, 1, 0, &v));
	assert_int_equal(v, 1);
	v = 2;
	assert_err(option(fx, IOMMU_OPTION_RLIMIT_MODE, 0, 0, &v), EINVAL);
	assert_err(option(fx, IOMMU_OPTION_RLIMIT_MODE, 0, 1, &v), EOPNOTSUPP);
	assert_err(option(fx, IOMMU_OPTION_RLIMIT_MODE, 2, 0, &v), EOPNOTSUPP);
	ioas_alloc(fx);
	assert_err(option(fx, IOMMU_OPTION_RLIMIT_MODE, 0, 0, &v), EBUSY);
	assert_ok(option(fx, IOMMU_OPTION_RLIMIT_MODE, 1, 0, &v));
	assert_err(option(fx, 2, 0, 0, &v), EOPNOTSUPP);
}

static void huge_pages(void **state)
{
	struct fixture *fx = *state;
	uint32_t ioas = ioas_alloc(fx);
	struct iommu_option cmd = {.size = sizeof(cmd),
				   .option_id = IOMMU_OPTION_HUGE_PAGES,
				   .object_id = ioas,
				   .__reserved = 1};
	uint64_t v = 0, alignment;
	uint32_t n;

	assert_ok(option(fx, IOMMU_OPTION_HUGE_PAGES, 1, ioas, &v));
	assert_int_equal(v, 1);
	v = 0;
	assert_ok(option(fx, IOMMU_OPTION_HUGE_PAGES, 0, ioas, &v));
	v = 9;
	assert_ok(option(fx, IOMMU_OPTION_HUGE_PAGES, 1, ioas, &v));
	assert_int_equal(v, 0);
	iova_ranges(fx, ioas, NULL, 0, &n, &alignment);
	assert_int_equal(alignment, PAGE);
	v = 2;
	assert_err(option(fx, IOMMU_OPTION_HUGE_PAGES, 0, ioas, &v), EINVAL);
	assert_err(option(fx, IOMMU_OPTION_HUGE_PAGES, 3, ioas, &v), EOPNOTSUPP);
	assert_err(option(fx, IOMMU_OPTION_HUGE_PAGES, 1, 77, &v), ENOENT);
	assert_err(call(fx, IOMMU_OPTION, &cmd), EOPNOTSUPP);
}

static void change_process(void **state)
{
	struct fixture *fx = *state;
	uint32_t files = ioas_alloc(fx), other = ioas_alloc(fx);
	struct iommu_ioas_change_process cmd = {.size = sizeof(cmd)};
	int mem = memfd(PAGE);
	struct fake_buf b;
	char *va = aligned_alloc(PAGE, PAGE);

	assert_ok(call(fx, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	assert_ok(map_file(fx, (struct map){.ioas = files, .fd = mem, .length = PAGE},
			   NULL));
	assert_ok(call(fx, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	assert_ok(map_va(
		fx, (struct map){.ioas = other, .start = (uintptr_t)va, .length = PAGE},
		NULL));
	assert_err(call(fx, IOMMU_IOAS_CHANGE_PROCESS, &cmd), EINVAL);
	assert_ok(unmap_all(fx, other, NULL));
	assert_ok(call(fx, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	buf_create(fx, &b, PAGE, 1);
	assert_ok(map_file(fx, (struct map){.ioas = other, .fd = b.fd, .length = PAGE},
			   NULL));
	assert_err(call(fx, IOMMU_IOAS_CHANGE_PROCESS, &cmd), EINVAL);
	buf_destroy(&b);
	cmd.__reserved = 1;
	assert_err(call(fx, IOMMU_IOAS_CHANGE_PROCESS, &cmd), EOPNOTSUPP);
	free(va);
	close(mem);
}

static void vfio_ioas(void **state)
{
	struct fixture *fx = *state;
	uint32_t ioas = ioas_alloc(fx);
	struct iommu_vfio_ioas cmd = {.size = sizeof(cmd)};

	assert_err(call(fx, IOMMU_VFIO_IOAS, &cmd), ENODEV);
	cmd.op = IOMMU_VFIO_IOAS_SET;
	assert_err(call(fx, IOMMU_VFIO_IOAS, &cmd), ENOENT);
	cmd.ioas_id = ioas;
	assert_ok(call(fx, IOMMU_VFIO_IOAS, &cmd));
	cmd = (struct iommu_vfio_ioas){.size = sizeof(cmd)};
	assert_ok(call(fx, IOMMU_VFIO_IOAS, &cmd));
	assert_int_equal(cmd.ioas_id, ioas);
	assert_ok(destroy(fx, ioas)); /* being chosen is no use */
	assert_err(call(fx, IOMMU_VFIO_IOAS, &cmd), ENODEV);
	cmd.op = IOMMU_VFIO_IOAS_SET;
	cmd.ioas_id = ioas_alloc(fx);
	assert_ok(call(fx, IOMMU_VFIO_IOAS, &cmd));
	cmd.op = IOMMU_VFIO_IOAS_CLEAR;
	assert_ok(call(fx, IOMMU_VFIO_IOAS, &cmd));
	cmd.op = IOMMU_VFIO_IOAS_GET;
	assert_err(call(fx, IOMMU_VFIO_IOAS, &cmd), ENODEV);
	cmd.op = 3;
	assert_err(call(fx, IOMMU_VFIO_IOAS, &cmd), EOPNOTSUPP);
	cmd.__reserved = 1;
	assert_err(call(fx, IOMMU_VFIO_IOAS, &cmd), EOPNOTSUPP);
}

/* What needs hardware that is not there. */
static void absent_hardware(void **state)
{
	struct fixture *fx = *state;
	struct iommu_viommu_alloc viommu = {.size = sizeof(viommu), .type = 1};
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .viommu_id = 1};
	struct iommu_veventq_alloc veventq = {
		.size = sizeof(veventq), .type = 1, .veventq_depth = 1};
	struct iommu_hw_queue_alloc queue = {
		.size = sizeof(queue), .type = 1, .length = PAGE};
	struct iommu_ioas_noiommu_get_pa pa = {.size = sizeof(pa)};
	struct iommu_hwpt_invalidate inval = {
		.size = sizeof(inval), .hwpt_id = 77, .entry_num = 1};

	assert_err(call(fx, IOMMU_VIOMMU_ALLOC, &viommu), ENOENT);
	viommu.type = 0;
	assert_err(call(fx, IOMMU_VIOMMU_ALLOC, &viommu), EOPNOTSUPP);
	assert_err(call(fx, IOMMU_VDEVICE_ALLOC, &vdevice), ENOENT);
	assert_err(call(fx, IOMMU_VEVENTQ_ALLOC, &veventq), ENOENT);
	veventq.veventq_depth = 0;
	assert_err(call(fx, IOMMU_VEVENTQ_ALLOC, &veventq), EINVAL);
	veventq.flags = 1;
	assert_err(call(fx, IOMMU_VEVENTQ_ALLOC, &veventq), EOPNOTSUPP);
	assert_err(call(fx, IOMMU_HW_QUEUE_ALLOC, &queue), ENOENT);
	queue.nesting_parent_iova = UINT64_MAX;
	assert_err(call(fx, IOMMU_HW_QUEUE_ALLOC, &queue), EOVERFLOW);
	queue.length = 0;
	assert_err(call(fx, IOMMU_HW_QUEUE_ALLOC, &queue), EINVAL);
	queue.type = 0;
	assert_err(call(fx, IOMMU_HW_QUEUE_ALLOC, &queue), EOPNOTSUPP);
	assert_err(call(fx, IOMMU_IOAS_NOIOMMU_GET_PA, &pa), EOPNOTSUPP);
	assert_err(call(fx, IOMMU_HWPT_INVALIDATE, &inval), EINVAL); /* no array */
	assert_int_equal(inval.entry_num, 0);
	assert_err(call(fx, IOMMU_HWPT_INVALIDATE, &inval), ENOENT);
	inval.hwpt_id = ioas_alloc(fx);
	assert_err(call(fx, IOMMU_HWPT_INVALIDATE, &inval), EINVAL);
	inval.__reserved = 1;
	assert_err(call(fx, IOMMU_HWPT_INVALIDATE, &inval), EOPNOTSUPP);
}

static void mmap_of_the_file(void **state)
{
	struct fixture *fx = *state;
	const struct vfile_ops *ops = fx->iommu->ops;

	assert_err(ops->mmap(fx->iommu, VFILE_MARK, PAGE, PROT_READ, MAP_PRIVATE),
		   EINVAL);
	assert_err(ops->mmap(fx->iommu, VFILE_MARK, PAGE, PROT_EXEC, MAP_SHARED), EPERM);
	assert_err(ops->mmap(fx->iommu, VFILE_MARK, PAGE, PROT_READ, MAP_SHARED), ENXIO);
}

/* Nothing is closed or unmapped by hand: the release does it all. */
static void close_with_everything_live(void **state)
{
	struct fixture *fx = *state;
	int mem = memfd(0x10000);

	for (int i = 0; i < 100; i++) {
		uint32_t ioas = ioas_alloc(fx);

		assert_ok(map_file(
			fx, (struct map){.ioas = ioas, .fd = mem, .length = 0x10000},
			NULL));
	}
	close(mem);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(table_of_calls),
		TEST(dispatch),
		TEST(response_that_faults_makes_nothing),
		TEST(lowest_free_id),
		TEST(unattached_maps),
		TEST(ranges_of_an_empty_ioas),
		TEST(allowed_ranges),
		TEST(copies),
		TEST(rlimit_mode),
		TEST(huge_pages),
		TEST(change_process),
		TEST(vfio_ioas),
		TEST(absent_hardware),
		TEST(mmap_of_the_file),
		TEST(close_with_everything_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
