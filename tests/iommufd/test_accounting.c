/* SPDX-License-Identifier: MIT */
/*
 * Pinned memory against RLIMIT_MEMLOCK: what counts, for whom, what is refused, and the
 * move to another process. The clients are made up, except that their process is this
 * one, whose limit is set, or a child of it.
 */
#include "fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/accounting.h"
#include "uiommufd/abi/vfio_type1.h"

#define BASE ((uint64_t)0x1000000)

/* Who makes the next call. */
static struct client_owner caller;

static bool owner(struct client *c, struct client_owner *out)
{
	*out = caller;
	return true;
}

static int setup(void **state)
{
	struct fixture *fx;

	if (fixture_setup(state))
		return -1;
	fx = *state;
	assert_ok(accounting_create(&fx->machine, &fx->machine.accounting));
	fx->ops.owner = owner;
	caller = (struct client_owner){.pid = getpid(), .uid = 1000};
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;
	struct accounting *a = fx->machine.accounting;
	int ret = fixture_teardown(state);

	accounting_destroy(a);
	return ret;
}

static void set_limit(int pid, uint64_t pages)
{
	struct rlimit limit;

	assert_ok(prlimit(pid, RLIMIT_MEMLOCK, NULL, &limit));
	limit.rlim_cur = pages * PAGE;
	assert_ok(prlimit(pid, RLIMIT_MEMLOCK, &limit, NULL));
}

static uint64_t pinned(struct fixture *fx, int pid)
{
	struct accounting_process p;

	accounting_of_process(fx->machine.accounting, pid, &p);
	return p.pinned;
}

static uint64_t locked(struct fixture *fx, int pid)
{
	struct accounting_process p;

	accounting_of_process(fx->machine.accounting, pid, &p);
	return p.locked;
}

/* A process that does nothing until it is ended. */
static int child_start(void)
{
	int pid = fork();

	if (!pid)
		for (;;)
			pause();
	assert_true(pid > 0);
	return pid;
}

static void child_end(int pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static long map_pages(struct fixture *fx, uint32_t ioas, int fd, uint64_t first,
		      uint64_t n, uint64_t iova)
{
	struct map m = {.ioas = ioas,
			.fd = fd,
			.start = first * PAGE,
			.length = n * PAGE,
			.flags = RW | FIXED,
			.iova = iova};

	return map_file(fx, m, &iova);
}

static long map_memory(struct fixture *fx, uint32_t ioas, void *va, uint64_t n,
		       uint64_t iova)
{
	struct map m = {.ioas = ioas,
			.start = (uintptr_t)va,
			.length = n * PAGE,
			.flags = RW | FIXED,
			.iova = iova};

	return map_va(fx, m, &iova);
}

static long change_process(struct fixture *fx)
{
	struct iommu_ioas_change_process cmd = {.size = sizeof(cmd)};

	return call(fx, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

static void per_process(struct fixture *fx)
{
	struct iommu_option cmd = {.size = sizeof(cmd),
				   .option_id = IOMMU_OPTION_RLIMIT_MODE,
				   .op = IOMMU_OPTION_OP_SET,
				   .val64 = 1};

	assert_ok(call(fx, IOMMU_OPTION, &cmd));
}

static void what_counts(void **state)
{
	struct fixture *fx = *state;
	uint32_t ioas = ioas_alloc(fx);
	int fd = memfd(16 * PAGE), me = getpid();
	struct fake_device d;
	struct fake_buf b;
	uint64_t n, iova;
	void *va = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	buf_create(fx, &b, 16 * PAGE, 1);
	device_init(&d, NULL);
	assert_ok(device_bind(fx, &d));
	set_limit(me, 12);

	/* Nothing, while nobody looks at it. */
	assert_ok(map_pages(fx, ioas, fd, 0, 16, BASE));
	assert_int_equal(pinned(fx, me), 0);
	assert_err(device_attach(&d, ioas, NULL), ENOMEM);
	assert_int_equal(pinned(fx, me), 0);
	assert_ok(unmap_all(fx, ioas, &n));
	assert_ok(map_pages(fx, ioas, fd, 0, 10, BASE));
	assert_ok(device_attach(&d, ioas, NULL));
	assert_int_equal(pinned(fx, me), 10);
	assert_int_equal(locked(fx, me), 0);

	/* Pages that a map covers in part, a bad one before the limit; a dma-buf never.
	 */
	assert_err(map_memory(fx, ioas, va, 3, 2 * BASE), ENOMEM);
	munmap((char *)va + 15 * PAGE, PAGE);
	assert_err(map_memory(fx, ioas, va, 16, 2 * BASE), EFAULT);
	assert_ok(map_memory(fx, ioas, va, 2, 2 * BASE));
	assert_int_equal(pinned(fx, me), 12);
	iova = 4 * BASE;
	assert_ok(map_file(fx,
			   (struct map){.ioas = ioas,
					.fd = b.fd,
					.length = 16 * PAGE,
					.flags = RW | FIXED,
					.iova = iova},
			   &iova));
	assert_int_equal(pinned(fx, me), 12);

	/* A copy shows the same pages; another map of them pins them again. */
	assert_ok(copy(fx,
		       (struct copy){.dst = ioas,
				     .src = ioas,
				     .length = 8 * PAGE,
				     .src_iova = BASE,
				     .dst_iova = 5 * BASE,
				     .flags = RW | FIXED},
		       &iova));
	assert_int_equal(pinned(fx, me), 12);
	assert_err(map_pages(fx, ioas, fd, 0, 1, 6 * BASE), ENOMEM);
	assert_ok(unmap(fx, ioas, BASE, 10 * PAGE, &n));
	assert_int_equal(pinned(fx, me), 10);
	assert_ok(map_pages(fx, ioas, fd, 0, 2, 6 * BASE));
	assert_int_equal(pinned(fx, me), 12);
	assert_err(map_pages(fx, ioas, fd, 0, 1, 7 * BASE), ENOMEM);

	/* A higher limit holds at once; CAP_IPC_LOCK needs none, and is counted. */
	set_limit(me, 13);
	assert_ok(map_pages(fx, ioas, fd, 0, 1, 7 * BASE));
	caller.may_lock = true;
	assert_ok(map_pages(fx, ioas, fd, 0, 16, 8 * BASE));
	assert_int_equal(pinned(fx, me), 29);
	fx->machine.unlimited_memlock = true;
	caller.may_lock = false;
	assert_ok(map_pages(fx, ioas, fd, 0, 16, 9 * BASE));
	assert_ok(unmap_all(fx, ioas, &n));
	assert_int_equal(pinned(fx, me), 0);
	device_unbind(&d);
	buf_destroy(&b);
	munmap(va, 15 * PAGE);
	close(fd);
}

/* The same maps by two processes of one user, and by one of another. */
static void by_user_or_process(struct fixture *fx, bool process_mode)
{
	int fd = memfd(16 * PAGE), me = getpid(), child = child_start();
	struct fake_device d;
	uint32_t ioas;
	uint64_t n;

	if (process_mode)
		per_process(fx);
	ioas = ioas_alloc(fx);
	device_init(&d, NULL);
	assert_ok(device_bind(fx, &d));
	assert_ok(device_attach(&d, ioas, NULL));
	set_limit(me, 10);
	set_limit(child, 20);

	assert_ok(map_pages(fx, ioas, fd, 0, 8, BASE));
	assert_int_equal(locked(fx, me), process_mode ? 8 : 0);
	caller.pid = child;
	assert_ok(map_pages(fx, ioas, fd, 0, 8, 2 * BASE));
	assert_int_equal(pinned(fx, child), 8);
	/* 16 are the user's, 8 this process's, which may have 20. */
	assert_int_equal(map_pages(fx, ioas, fd, 0, 5, 3 * BASE),
			 process_mode ? 0 : -ENOMEM);
	caller.pid = me;
	assert_int_equal(map_pages(fx, ioas, fd, 0, 1, 4 * BASE),
			 process_mode ? 0 : -ENOMEM);
	caller.uid++;
	assert_int_equal(map_pages(fx, ioas, fd, 0, 3, 5 * BASE),
			 process_mode ? -ENOMEM : 0);
	child_end(child);
	/* Whose process is gone still has its limit. */
	assert_ok(unmap_all(fx, ioas, &n));
	assert_int_equal(pinned(fx, me), 0);
	assert_int_equal(pinned(fx, child), 0);
	device_unbind(&d);
	close(fd);
}

static void by_user(void **state)
{
	by_user_or_process(*state, false);
}

static void by_process(void **state)
{
	by_user_or_process(*state, true);
}

static void another_process(void **state)
{
	struct fixture *fx = *state;
	int fd = memfd(16 * PAGE), me = getpid(), child = child_start();
	struct iommu_ioas_change_process bad = {.size = sizeof(bad), .__reserved = 1};
	uint32_t ioas, second;
	struct fake_device d;
	struct fake_buf b;
	uint64_t n, iova = 0;
	void *va = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	per_process(fx);
	buf_create(fx, &b, 16 * PAGE, 1);
	device_init(&d, NULL);
	assert_ok(device_bind(fx, &d));
	assert_err(call(fx, IOMMU_IOAS_CHANGE_PROCESS, &bad), EOPNOTSUPP);
	assert_ok(change_process(fx));
	ioas = ioas_alloc(fx);
	second = ioas_alloc(fx);
	assert_ok(device_attach(&d, ioas, NULL));
	set_limit(me, 16);
	set_limit(child, 11);
	assert_ok(map_pages(fx, ioas, fd, 0, 8, BASE));
	assert_ok(map_pages(fx, ioas, fd, 0, 4, 2 * BASE));
	assert_ok(copy(fx,
		       (struct copy){.dst = second,
				     .src = ioas,
				     .length = 4 * PAGE,
				     .src_iova = BASE,
				     .dst_iova = BASE,
				     .flags = RW | FIXED},
		       &iova));
	assert_int_equal(locked(fx, me), 12);

	/* All or nothing. */
	caller.pid = child;
	assert_err(change_process(fx), ENOMEM);
	assert_int_equal(locked(fx, me), 12);
	assert_int_equal(locked(fx, child), 0);
	set_limit(child, 12);
	assert_ok(change_process(fx));
	assert_ok(change_process(fx));
	assert_int_equal(pinned(fx, me), 0);
	assert_int_equal(locked(fx, me), 0);
	assert_int_equal(locked(fx, child), 12);
	assert_ok(unmap(fx, ioas, 2 * BASE, 4 * PAGE, &n));
	assert_int_equal(locked(fx, child), 8);

	/* What is no file stays with its process, and then so does all. */
	caller.pid = me;
	assert_ok(map_memory(fx, second, va, 1, 2 * BASE));
	assert_err(change_process(fx), EINVAL);
	assert_ok(unmap(fx, second, 2 * BASE, PAGE, &n));
	assert_ok(map_file(fx, (struct map){.ioas = second, .fd = b.fd, .length = PAGE},
			   &iova));
	assert_err(change_process(fx), EINVAL);
	assert_int_equal(locked(fx, child), 8);
	assert_ok(unmap_all(fx, second, &n));
	assert_ok(change_process(fx));
	assert_int_equal(locked(fx, me), 8);
	child_end(child);
	assert_ok(unmap_all(fx, ioas, &n));
	device_unbind(&d);
	buf_destroy(&b);
	munmap(va, PAGE);
	close(fd);
}

/* Cutting an area moves nothing; unmapping a part of it gives that part back. */
static void cut_areas(void **state)
{
	struct fixture *fx = *state;
	struct iommu_vfio_ioas choose = {.size = sizeof(choose),
					 .op = IOMMU_VFIO_IOAS_SET};
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .iova = BASE + 4 * PAGE, .size = 8 * PAGE};
	int fd = memfd(16 * PAGE), me = getpid();
	struct fake_device d;

	choose.ioas_id = ioas_alloc(fx);
	assert_ok(call(fx, IOMMU_VFIO_IOAS, &choose));
	assert_ok(call(fx, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	device_init(&d, NULL);
	assert_ok(device_bind(fx, &d));
	assert_ok(device_attach(&d, choose.ioas_id, NULL));
	set_limit(me, 16);
	assert_ok(map_pages(fx, choose.ioas_id, fd, 0, 16, BASE));
	assert_ok(call(fx, VFIO_IOMMU_UNMAP_DMA, &cmd));
	assert_int_equal(cmd.size, 8 * PAGE);
	assert_int_equal(pinned(fx, me), 8);
	assert_ok(map_pages(fx, choose.ioas_id, fd, 0, 8, 2 * BASE));
	assert_err(map_pages(fx, choose.ioas_id, fd, 0, 1, 3 * BASE), ENOMEM);
	device_unbind(&d);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(by_user, setup, teardown),
		cmocka_unit_test_setup_teardown(by_process, setup, teardown),
		cmocka_unit_test_setup_teardown(another_process, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_areas, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
