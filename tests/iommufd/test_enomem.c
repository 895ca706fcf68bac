/* SPDX-License-Identifier: MIT */
/*
 * Every call with every one of its allocations failing: it answers ENOMEM, changes
 * nothing, and then works. What may not fail is run with allocations that do.
 */
#include "fixture.h"

#include <unistd.h>

#include "port/fault_inject.h"

#define IOVA ((uint64_t)0x10000000)

struct world {
	struct fixture *fx;
	struct fake_device a, b; /* bound; of one group */
	struct fake_buf buf;
	int mem;
	char *va;
	uint32_t ioas, other;
	const void *group;
};

typedef long (*op)(struct world *w);

/* How often @f had to be tried; it has succeeded. */
static unsigned long every_allocation(struct world *w, op f, const char *name)
{
	for (unsigned long n = 1;; n++) {
		long ret;

		port_fail_nth(n);
		ret = f(w);
		if (!port_fail_nth_stop()) {
			if (ret)
				fail_msg("%s: %ld", name, ret);
			return n;
		}
		if (ret != -ENOMEM)
			fail_msg("%s, allocation %lu: %ld", name, n, ret);
	}
}

/* @f succeeds without any memory. */
static void no_allocation(struct world *w, op f, const char *name)
{
	long ret;

	port_fail_nth(1);
	ret = f(w);
	if (port_fail_nth_stop())
		fail_msg("%s allocates", name);
	if (ret)
		fail_msg("%s: %ld", name, ret);
}

static void begin(struct fixture *fx, struct world *w)
{
	static const char key;

	*w = (struct world){.fx = fx, .mem = memfd(0x10000), .group = &key};
	w->va = aligned_alloc(PAGE, 4 * PAGE);
	assert_non_null(w->va);
	memset(w->va, 0, 4 * PAGE);
	w->ioas = ioas_alloc(fx);
	w->other = ioas_alloc(fx);
	device_init(&w->a, &key);
	device_init(&w->b, &key);
	buf_create(fx, &w->buf, 0x10000, 1);
}

static void finish(struct world *w)
{
	device_unbind(&w->a);
	device_unbind(&w->b);
	dma_requester_finish(&w->a.requester);
	dma_requester_finish(&w->b.requester);
	buf_destroy(&w->buf);
	close(w->mem);
	free(w->va);
}

/* ---- the calls ------------------------------------------------------------------ */

static long do_open(struct world *w)
{
	struct vfile *f;
	long ret = iommufd_open(&w->fx->machine, &f);

	if (!ret)
		vfile_put(f);
	return ret;
}

static long do_alloc(struct world *w)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	long ret = call(w->fx, IOMMU_IOAS_ALLOC, &cmd);

	if (!ret)
		assert_int_equal(cmd.out_ioas_id, 3);
	return ret;
}

static long do_destroy(struct world *w)
{
	return destroy(w->fx, 3);
}

static long do_bind_a(struct world *w)
{
	long ret = device_bind(w->fx, &w->a);

	if (ret)
		w->a.dev = NULL;
	return ret;
}

static long do_bind_b(struct world *w)
{
	long ret = device_bind(w->fx, &w->b);

	if (ret)
		w->b.dev = NULL;
	return ret;
}

static long do_attach_a(struct world *w)
{
	return device_attach(&w->a, w->ioas, NULL);
}

static long do_attach_b(struct world *w)
{
	return device_attach(&w->b, w->ioas, NULL);
}

static long do_replace(struct world *w)
{
	return device_attach(&w->a, w->other, NULL);
}

static long do_detach(struct world *w)
{
	iommufd_device_detach(w->b.dev);
	iommufd_device_detach(w->a.dev);
	return 0;
}

static long do_unbind(struct world *w)
{
	device_unbind(&w->b);
	device_unbind(&w->a);
	return 0;
}

static long do_hwpt(struct world *w)
{
	return hwpt_alloc(w->fx, 0, w->a.id, w->ioas, NULL);
}

static struct map at(struct world *w, uint64_t iova, uint64_t length)
{
	return (struct map){
		.ioas = w->ioas, .flags = RW | FIXED, .length = length, .iova = iova};
}

static long do_map_file(struct world *w)
{
	struct map m = at(w, IOVA, 0x10000);

	m.fd = w->mem;
	return map_file(w->fx, m, NULL);
}

static long do_map_va(struct world *w)
{
	struct map m = at(w, 2 * IOVA, 4 * PAGE);

	m.start = (uintptr_t)w->va;
	return map_va(w->fx, m, NULL);
}

static long do_map_dmabuf(struct world *w)
{
	struct map m = at(w, 3 * IOVA, 0x10000);

	m.fd = w->buf.fd;
	return map_file(w->fx, m, NULL);
}

/* The iommufd itself: a file that is no memory. */
static int self_fd;

static long do_map_self(struct world *w)
{
	struct map m = {.ioas = w->other, .fd = self_fd, .length = PAGE};

	return map_file(w->fx, m, NULL);
}

static long do_copy(struct world *w)
{
	return copy(w->fx,
		    (struct copy){.src = w->ioas,
				  .dst = w->ioas,
				  .flags = RW | FIXED,
				  .length = PAGE,
				  .src_iova = IOVA,
				  .dst_iova = 4 * IOVA},
		    NULL);
}

static long do_unmap(struct world *w)
{
	return unmap_all(w->fx, w->ioas, NULL);
}

static long do_unmap_other(struct world *w)
{
	return unmap_all(w->fx, w->other, NULL);
}

static long do_allow(struct world *w)
{
	struct iommu_iova_range v[] = {{0, 0xffff}, {0x20000, 0x2ffff}};

	return allow_iovas(w->fx, w->other, v, 2);
}

static long do_allow_none(struct world *w)
{
	return allow_iovas(w->fx, w->other, NULL, 0);
}

static void every_call(void **state)
{
	struct world w;

	begin(*state, &w);
	every_allocation(&w, do_open, "open");
	assert_true(every_allocation(&w, do_alloc, "IOAS_ALLOC") > 2);
	no_allocation(&w, do_destroy, "DESTROY");
	every_allocation(&w, do_allow, "ALLOW_IOVAS");
	every_allocation(&w, do_allow_none, "ALLOW_IOVAS");
	/* With nobody attached. */
	every_allocation(&w, do_map_file, "MAP_FILE");
	every_allocation(&w, do_map_va, "MAP");
	every_allocation(&w, do_map_dmabuf, "MAP_FILE of a dma-buf");
	every_allocation(&w, do_copy, "COPY");
	self_fd = fd_of(w.fx, w.fx->iommu);
	assert_true(every_allocation(&w, do_map_self, "MAP_FILE of the iommufd") > 2);
	close(self_fd);
	no_allocation(&w, do_unmap_other, "UNMAP");
	every_allocation(&w, do_bind_a, "bind");
	every_allocation(&w, do_bind_b, "bind of a second member");
	every_allocation(&w, do_hwpt, "HWPT_ALLOC");
	assert_true(every_allocation(&w, do_attach_a, "attach") > 2);
	assert_true(can_read(&w.a, 3 * IOVA));
	every_allocation(&w, do_attach_b, "attach of a second member");
	no_allocation(&w, do_unmap, "UNMAP");
	/* With two domains. */
	every_allocation(&w, do_map_file, "MAP_FILE");
	every_allocation(&w, do_map_va, "MAP");
	every_allocation(&w, do_map_dmabuf, "MAP_FILE of a dma-buf");
	every_allocation(&w, do_copy, "COPY");
	assert_true(can_read(&w.a, IOVA));
	assert_true(can_read(&w.a, 3 * IOVA + 0xffff));
	every_allocation(&w, do_replace, "replace");
	assert_false(can_read(&w.b, IOVA));
	no_allocation(&w, do_detach, "detach");
	no_allocation(&w, do_unmap, "UNMAP");
	no_allocation(&w, do_unbind, "unbind");
	finish(&w);
}

/* The former attachment works through every failure. */
static void replace_keeps_the_old(void **state)
{
	struct world w;
	struct map m;

	begin(*state, &w);
	assert_ok(do_bind_a(&w));
	assert_ok(do_map_file(&w));
	assert_ok(do_attach_a(&w));
	m = at(&w, IOVA, 0x10000);
	m.ioas = w.other;
	m.fd = w.mem;
	assert_ok(map_file(w.fx, m, NULL));
	for (unsigned long n = 1;; n++) {
		long ret;

		port_fail_nth(n);
		ret = do_replace(&w);
		if (!port_fail_nth_stop())
			break;
		assert_err(ret, ENOMEM);
		assert_true(can_read(&w.a, IOVA));
		assert_err(destroy(w.fx, w.ioas), EBUSY);
	}
	assert_ok(destroy(w.fx, w.ioas));
	assert_true(can_read(&w.a, IOVA));
	finish(&w);
}

/* The ranges do not fit on the handler's stack. */
static void ranges(void **state)
{
	struct world w;
	enum { N = 40 };
	struct iommufd_resv resv[N];
	struct iommu_iova_range v[N + 1];
	uint32_t n;

	begin(*state, &w);
	for (size_t i = 0; i < N; i++)
		resv[i] =
			(struct iommufd_resv){(2 * i + 1) * PAGE, (2 * i + 2) * PAGE - 1};
	w.a.info.resv = resv;
	w.a.info.nr_resv = N;
	assert_ok(do_bind_a(&w));
	every_allocation(&w, do_attach_a, "attach");
	port_fail_nth(1);
	assert_err(iova_ranges(w.fx, w.ioas, v, N + 1, &n, NULL), ENOMEM);
	assert_true(port_fail_nth_stop());
	assert_ok(iova_ranges(w.fx, w.ioas, v, N + 1, &n, NULL));
	assert_int_equal(n, N + 1);
	finish(&w);
}

/* Closing with everything live takes no memory. */
static void close_without_memory(void **state)
{
	struct world w;

	begin(*state, &w);
	assert_ok(do_bind_a(&w));
	assert_ok(do_attach_a(&w));
	assert_ok(do_map_file(&w));
	assert_ok(do_map_va(&w));
	assert_ok(do_map_dmabuf(&w));
	assert_ok(do_hwpt(&w));
	vfile_put(w.fx->iommu);
	w.fx->iommu = NULL;
	port_fail_nth(1);
	device_unbind(&w.a);
	assert_false(port_fail_nth_stop());
	finish(&w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_call),
		TEST(replace_keeps_the_old),
		TEST(ranges),
		TEST(close_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
