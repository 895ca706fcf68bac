/* SPDX-License-Identifier: MIT */
/*
 * The hosted port: guarded copies over memory that goes away, signals that are not the
 * guard's, allocations that are told to fail, and bug reports.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/fault_inject.h"
#include "port/port.h"
#include "port/sanitizers.h"

#define PAGE  4096u
#define PAGES 8u

/* cmocka goes in front with its own handlers for each test. */
static void install(void)
{
	assert_int_equal(port_guard_install(), 0);
}

/* A mapping of a memory file of PAGES pages, of which the first @kept remain. */
static unsigned char *truncated(unsigned kept)
{
	int fd = memfd_create("guard", 0);
	unsigned char *p;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGES * PAGE), 0);
	p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	memset(p, 0x5a, PAGES * PAGE);
	assert_int_equal(ftruncate(fd, kept * PAGE), 0);
	close(fd);
	return p;
}

static void test_good_memory(void **state)
{
	unsigned char a[300], b[300];

	for (unsigned n = 0; n < sizeof(a); n += 7) {
		memset(a, 0x11, sizeof(a));
		for (unsigned i = 0; i < sizeof(b); i++)
			b[i] = i;
		assert_int_equal(port_copy_guarded(a, b, n), 0);
		assert_memory_equal(a, b, n);
		for (unsigned i = n; i < sizeof(a); i++)
			assert_int_equal(a[i], 0x11);
		assert_int_equal(port_fill_guarded(a, 0x1ee, n), 0);
		for (unsigned i = 0; i < sizeof(a); i++)
			assert_int_equal(a[i], i < n ? 0xee : 0x11);
	}
}

static void test_overlap(void **state)
{
	unsigned char a[64], want[64];

	for (int shift = -9; shift <= 9; shift++) {
		for (unsigned i = 0; i < sizeof(a); i++)
			a[i] = want[i] = i;
		memmove(want + 10 + shift, want + 10, 40);
		assert_int_equal(port_copy_guarded(a + 10 + shift, a + 10, 40), 0);
		assert_memory_equal(a, want, sizeof(a));
	}
}

static void test_truncated_file(void **state)
{
	unsigned char *p = truncated(2);
	unsigned char *buffer = malloc(PAGES * PAGE);

	install();
	assert_non_null(buffer);
	/* Again and again: the signal's mask and the guard must be as before. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(port_copy_guarded(buffer, p, PAGES * PAGE), -EFAULT);
		assert_int_equal(port_copy_guarded(p, buffer, PAGES * PAGE), -EFAULT);
		assert_int_equal(port_fill_guarded(p, 1, PAGES * PAGE), -EFAULT);
		assert_int_equal(port_copy_guarded(buffer, p + 2 * PAGE, 1), -EFAULT);
		assert_int_equal(port_fill_guarded(p + 3 * PAGE - 1, 1, 1), -EFAULT);
		assert_int_equal(port_copy_guarded(buffer, p, 2 * PAGE), 0);
		assert_int_equal(port_copy_guarded(buffer, p + 2 * PAGE, 0), 0);
	}
	free(buffer);
	munmap(p, PAGES * PAGE);
}

static void test_no_access(void **state)
{
	unsigned char buffer[64];
	void *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	install();
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(port_copy_guarded(buffer, p, sizeof(buffer)), 0);
	assert_int_equal(port_copy_guarded(p, buffer, sizeof(buffer)), -EFAULT);
	munmap(p, PAGE);
	assert_int_equal(port_copy_guarded(buffer, p, sizeof(buffer)), -EFAULT);
}

static void *fault_in_thread(void *p)
{
	unsigned char buffer[64];
	long bad = 0;

	for (int i = 0; i < 200; i++)
		bad += port_copy_guarded(buffer, p, sizeof(buffer)) != -EFAULT;
	return (void *)bad;
}

/* At the ends of the address space, and over them, there is nothing. */
static void test_nowhere(void **state)
{
	unsigned char here[64] = {0};

	install();
	for (uintptr_t n = 1; n < sizeof(here); n += 9) {
		void *end = (void *)(0 - n);

		assert_int_equal(port_copy_guarded(end, here, sizeof(here)), -EFAULT);
		assert_int_equal(port_copy_guarded(here, end, sizeof(here)), -EFAULT);
		assert_int_equal(port_fill_guarded(end, 1, sizeof(here)), -EFAULT);
		assert_int_equal(port_copy_guarded(here, end, n), -EFAULT);
	}
	assert_int_equal(port_copy_guarded(here, NULL, 1), -EFAULT);
	assert_int_equal(port_fill_guarded(NULL, 0, 1), -EFAULT);
	assert_int_equal(port_copy_guarded(NULL, NULL, 0), 0);
}

static void test_threads(void **state)
{
	unsigned char *p = truncated(0);
	pthread_t threads[4];
	void *bad;

	install();
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fault_in_thread, p),
				 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	munmap(p, PAGES * PAGE);
}

/* ---- signals that are not the guard's ------------------------------------------ */

static unsigned char *bad_page;

static void old_handler(int sig, siginfo_t *info, void *context)
{
	_exit(info->si_addr == bad_page && sig == SIGSEGV ? 42 : 43);
}

/* How a child ends that runs @body with a guard of its own. */
static int in_child(void (*body)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void install_old_handler(void)
{
	struct sigaction sa = {.sa_sigaction = old_handler, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &sa, NULL);
	if (port_guard_install())
		_exit(1);
}

static void touch_bad_page(void)
{
	install_old_handler();
	*(volatile unsigned char *)bad_page = 1;
}

static void kill_self(void)
{
	bad_page = NULL;
	install_old_handler();
	raise(SIGSEGV);
}

static void die_by_default(void)
{
	signal(SIGSEGV, SIG_DFL);
	if (port_guard_install())
		_exit(1);
	*(volatile unsigned char *)bad_page = 1;
}

static void die_by_raise(void)
{
	signal(SIGSEGV, SIG_DFL);
	if (port_guard_install())
		_exit(1);
	raise(SIGSEGV);
}

static void ignore_raise(void)
{
	signal(SIGSEGV, SIG_IGN);
	if (port_guard_install())
		_exit(1);
	raise(SIGSEGV);
	_exit(44);
}

static unsigned char *truncated_page;

/* Faults outside the ranges of the copy that it interrupts. */
static void on_alarm(int sig)
{
	*(volatile unsigned char *)bad_page = 1;
}

static void fault_in_interrupting_handler(void)
{
	size_t n = 64 << 20;
	unsigned char *big =
		mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	install_old_handler();
	signal(SIGALRM, on_alarm);
	ualarm(2000, 0);
	for (;;)
		port_fill_guarded(big, 1, n);
}

/* A handler that itself copies, in the middle of a copy. */
static volatile sig_atomic_t nested_result, nested_ran;

static void on_alarm_copy(int sig)
{
	unsigned char byte;

	nested_result = port_copy_guarded(&byte, truncated_page, 1);
	nested_ran = 1;
}

static void nest(void)
{
	size_t n = 64 << 20;
	unsigned char *big =
		mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char byte;

	if (port_guard_install())
		_exit(1);
	signal(SIGALRM, on_alarm_copy);
	ualarm(2000, 0);
	while (!nested_ran)
		if (port_fill_guarded(big, 1, n))
			_exit(2);
	if (nested_result != -EFAULT)
		_exit(3);
	if (port_copy_guarded(&byte, truncated_page, 1) != -EFAULT)
		_exit(4);
	_exit(45);
}

static void check_exit(void (*body)(void), int code)
{
	int status = in_child(body);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

/* Each child installs its own guard, in front of what it is a test of. */
static void test_other_signals(void **state)
{
	int status;

	bad_page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	truncated_page = truncated(0);
	check_exit(touch_bad_page, 42);
	check_exit(kill_self, 43);
	check_exit(ignore_raise, 44);
	/* Thread sanitizer delivers SIGALRM only in calls that it intercepts. */
	if (!PORT_TSAN) {
		check_exit(fault_in_interrupting_handler, 42);
		check_exit(nest, 45);
	}
	status = in_child(die_by_default);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = in_child(die_by_raise);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	munmap(bad_page, PAGE);
	munmap(truncated_page, PAGES * PAGE);
}

/* Somebody else goes in front of us and passes on what is not his. */
static struct sigaction behind_stranger;
static int stranger_calls;

static void stranger(int sig, siginfo_t *info, void *context)
{
	if (++stranger_calls > 5)
		_exit(46);
	behind_stranger.sa_sigaction(sig, info, context);
}

static void alternate(void)
{
	struct sigaction sa = {.sa_sigaction = stranger, .sa_flags = SA_SIGINFO};
	unsigned char byte;

	install_old_handler();
	sigaction(SIGSEGV, &sa, &behind_stranger);
	if (port_copy_guarded(&byte, bad_page, 1) != -EFAULT || stranger_calls != 1)
		_exit(1);
	if (port_guard_install() || port_guard_install())
		_exit(2);
	if (port_copy_guarded(&byte, bad_page, 1) != -EFAULT || stranger_calls != 1)
		_exit(3);
	if (port_copy_guarded(&byte, truncated_page, 1) != -EFAULT)
		_exit(4);
	/* To us, to the stranger, back to us, and then to the first. */
	*(volatile unsigned char *)bad_page = 1;
}

static void test_alternating(void **state)
{
	bad_page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	truncated_page = truncated(0);
	check_exit(alternate, 42);
	munmap(bad_page, PAGE);
	munmap(truncated_page, PAGES * PAGE);
}

/* ---- allocation and diagnostics --------------------------------------------------- */

static void *allocate_elsewhere(void *unused)
{
	void *p = port_alloc(1);
	bool got = p != NULL;

	port_free(p);
	return got ? unused : NULL;
}

static void test_fail_nth(void **state)
{
	pthread_t thread;
	void *p, *ok = NULL;

	port_fail_nth(2);
	p = port_alloc(10);
	assert_non_null(p);
	/* Another thread's allocations neither fail nor count. */
	assert_int_equal(pthread_create(&thread, NULL, allocate_elsewhere, &ok), 0);
	assert_int_equal(pthread_join(thread, &ok), 0);
	assert_non_null(ok);
	assert_null(port_alloc_page());
	port_free(p);
	p = port_alloc(10);
	assert_non_null(p);
	port_free(p);
	assert_true(port_fail_nth_stop());
	assert_false(port_fail_nth_stop());

	port_fail_nth(3);
	p = port_alloc(10);
	port_free(p);
	assert_false(port_fail_nth_stop());
	for (int i = 0; i < 5; i++) {
		p = port_alloc(10);
		assert_non_null(p);
		port_free(p);
	}
}

static void test_pages(void **state)
{
	unsigned char zero[PAGE] = {0};
	void *pages[20];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 20; i++) {
			pages[i] = port_alloc_page();
			assert_non_null(pages[i]);
			assert_int_equal((uintptr_t)pages[i] % PAGE, 0);
			assert_memory_equal(pages[i], zero, PAGE);
			memset(pages[i], 0xff, PAGE);
		}
		for (int i = 0; i < 20; i++)
			port_free_page(pages[i]);
	}
	port_free_page(NULL);
	port_free(NULL);
}

/* A block of each kind of the pools. */
static const struct block {
	size_t bytes, align;
} blocks[] = {{512, 512}, {1024, 512}, {PAGE, PAGE}, {2 * PAGE, PAGE}};

static void *block_alloc(const struct block *b)
{
	if (b->bytes < PAGE)
		return port_alloc_node(b->bytes);
	return b->bytes == PAGE ? port_alloc_page() : port_alloc_page_pair();
}

static void block_free(const struct block *b, void *p)
{
	if (b->bytes < PAGE)
		port_free_node(p, b->bytes);
	else if (b->bytes == PAGE)
		port_free_page(p);
	else
		port_free_page_pair(p);
}

#define HELD 9000

struct held {
	unsigned char *p;
	const struct block *kind;
	unsigned char mark;
};

static bool is_filled(const unsigned char *p, size_t n, unsigned char with)
{
	return n == 0 || (p[0] == with && memcmp(p, p + 1, n - 1) == 0);
}

/* Through many chunks, in any order: zeroed, aligned, nobody else's, all given back. */
static void test_pools(void **state)
{
	struct held *held = calloc(HELD, sizeof(*held));
	size_t before = port_pool_bytes();
	unsigned seed = 1;

	for (unsigned i = 0; i < 4 * HELD; i++) {
		struct held *h = &held[(unsigned)rand_r(&seed) % HELD];

		if (h->p) {
			assert_true(is_filled(h->p, h->kind->bytes, h->mark));
			block_free(h->kind, h->p);
			h->p = NULL;
			continue;
		}
		h->kind = &blocks[(unsigned)rand_r(&seed) % ARRAY_LEN(blocks)];
		h->mark = (unsigned char)(i | 1);
		h->p = block_alloc(h->kind);
		assert_non_null(h->p);
		assert_int_equal((uintptr_t)h->p % h->kind->align, 0);
		assert_true(is_filled(h->p, h->kind->bytes, 0));
		memset(h->p, h->mark, h->kind->bytes);
	}
	for (unsigned i = 0; i < HELD; i++) {
		if (!held[i].p)
			continue;
		assert_true(is_filled(held[i].p, held[i].kind->bytes, held[i].mark));
		block_free(held[i].kind, held[i].p);
	}
	assert_int_equal(port_pool_bytes(), before);
	free(held);

	for (unsigned i = 0; i < ARRAY_LEN(blocks); i++) {
		block_free(&blocks[i], NULL);
		port_fail_nth(1);
		assert_null(block_alloc(&blocks[i]));
		assert_true(port_fail_nth_stop());
	}
}

static void test_bug(void **state)
{
	unsigned long before = port_bug_count();

	assert_false(PORT_BUG_ON(before == ~0ul));
	assert_int_equal(port_bug_count(), before);
	assert_true(PORT_BUG_ON(before != ~0ul));
	assert_int_equal(port_bug_count(), before + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_signals),
		cmocka_unit_test(test_alternating),
		cmocka_unit_test(test_good_memory),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_truncated_file),
		cmocka_unit_test(test_no_access),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_fail_nth),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_bug),
		cmocka_unit_test(test_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
