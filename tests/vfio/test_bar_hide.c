/* SPDX-License-Identifier: MIT */
/*
 * Mappings of a BAR while memory decoding is off: accesses raise SIGBUS, what was in the
 * memory is there again afterwards, and the model has it all the time; nothing that a
 * worker writes meanwhile is lost.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BAR_BYTES ((size_t)1 << 20)
#define PAGE      4096u
#define WORDS     (BAR_BYTES / sizeof(uint64_t))

struct fixture {
	struct rig_model model;
	struct rig rig;
	int iommu, fd;
	volatile uint64_t *at;     /* the client's mapping of BAR 2 */
	volatile uint64_t *memory; /* the model's */
	struct uiommufd_worker *worker;
	_Atomic bool stop;
	_Atomic uint64_t rounds;
};

static void map(struct fixture *f)
{
	void *p;

	assert_int_equal(rig_mmap(&f->rig, f->fd, VFILE_REGION(2), BAR_BYTES,
				  PROT_READ | PROT_WRITE, MAP_SHARED),
			 0);
	p = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd,
		 (off_t)VFILE_REGION(2));
	assert_ptr_not_equal(p, MAP_FAILED);
	f->at = p;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_model_default(&f->model, 0);
	rig_create(&f->rig, &f->model, 1);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	f->memory = uiommufd_bar_memory(f->model.dev, 2);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	uiommufd_worker_destroy(f->worker);
	if (f->at)
		munmap((void *)(uintptr_t)f->at, BAR_BYTES);
	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	free(f);
	return 0;
}

static void set_memory(struct fixture *f, bool on)
{
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, on ? 2 : 0);
}

/* ---- what the CPU gets ------------------------------------------------------------ */

static sigjmp_buf caught;
static volatile sig_atomic_t caught_code;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	caught_code = info->si_code;
	siglongjmp(caught, 1);
}

static bool faults(volatile uint64_t *p, bool write)
{
	struct sigaction sa = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO}, old;
	bool fault;

	assert_int_equal(sigaction(SIGBUS, &sa, &old), 0);
	caught_code = 0;
	fault = sigsetjmp(caught, 1);
	if (!fault) {
		uint64_t v = *p;

		if (write)
			*p = v;
	}
	assert_int_equal(sigaction(SIGBUS, &old, NULL), 0);
	if (fault)
		assert_int_equal(caught_code, BUS_ADRERR);
	return fault;
}

static void test_off_and_on(void **state)
{
	struct fixture *f = *state;
	uint64_t value = 0;

	map(f);
	f->at[0] = 1;
	f->at[WORDS - 1] = 2;
	f->memory[PAGE] = 3;
	set_memory(f, false);
	assert_true(faults(f->at, false));
	assert_true(faults(f->at, true));
	assert_true(faults(f->at + WORDS - 1, true));
	assert_true(faults(f->at + WORDS / 2, false)); /* never written */
	assert_int_equal(rig_pread(&f->rig, f->fd, &value, 8, VFILE_REGION(2)), -EIO);
	/* The model has it all the time. */
	assert_int_equal(f->memory[0], 1);
	assert_int_equal(f->memory[WORDS - 1], 2);
	f->memory[1] = 4;
	f->memory[WORDS / 2] = 5;
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
	assert_true(faults(f->at, false));
	set_memory(f, true);
	assert_false(faults(f->at, true));
	assert_int_equal(f->at[0], 1);
	assert_int_equal(f->at[1], 4);
	assert_int_equal(f->at[PAGE], 3);
	assert_int_equal(f->at[WORDS / 2], 5);
	assert_int_equal(f->at[WORDS - 1], 2);
	f->at[2] = 6;
	assert_int_equal(f->memory[2], 6);
	f->memory[3] = 7;
	assert_int_equal(f->at[3], 7);
}

/* A mapping that is made while it is off; and D3hot, which turns it off as well. */
static void test_mapped_while_off(void **state)
{
	struct fixture *f = *state;

	f->memory[0] = 9;
	set_memory(f, false);
	map(f);
	assert_true(faults(f->at, false));
	set_memory(f, true);
	assert_int_equal(f->at[0], 9);
	rig_set_config16(&f->rig, f->fd, RIG_PMCSR, 3);
	assert_true(faults(f->at, false));
	rig_set_config16(&f->rig, f->fd, RIG_PMCSR, 0);
	assert_int_equal(f->at[0], 9);
	/* A reset gives it back before anybody can look. */
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
	assert_int_equal(f->at[0], 9);
}

/* The next client finds everything in its place. */
static void test_closed_while_off(void **state)
{
	struct fixture *f = *state;

	map(f);
	f->at[0] = 11;
	set_memory(f, false);
	munmap((void *)(uintptr_t)f->at, BAR_BYTES);
	rig_close(&f->rig, f->fd);
	assert_int_equal(f->memory[0], 11);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	map(f);
	assert_int_equal(f->at[0], 11);
}

/* What the client's watched registers show is hidden with the rest; and comes back. */
static void test_watched(void **state)
{
	static const struct uiommufd_watched watched[] = {{0, 0, 4, 1, 0}};
	struct rig_model m;
	struct rig r = {0};
	volatile uint64_t *p;
	int iommu, fd;

	rig_model_default(&m, 0);
	m.desc.mmio = UIOMMUFD_MMIO_WATCH;
	m.desc.watched = watched;
	m.desc.nr_watched = 1;
	rig_create(&r, &m, 1);
	iommu = rig_open_iommu(&r);
	fd = rig_open(&r, 0);
	assert_int_equal(rig_bind(&r, fd, iommu, NULL), 0);
	assert_int_equal(rig_mmap(&r, fd, VFILE_REGION(0), PAGE, PROT_READ, MAP_SHARED),
			 0);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, (off_t)VFILE_REGION(0));
	assert_ptr_not_equal(p, MAP_FAILED);
	uiommufd_mmio_publish(m.dev, 0, 8, 8, 77);
	assert_int_equal(p[1], 77);
	rig_set_config16(&r, fd, RIG_COMMAND, 0);
	assert_true(faults(p, false));
	uiommufd_mmio_publish(m.dev, 0, 16, 8, 78);
	rig_set_config16(&r, fd, RIG_COMMAND, 2);
	assert_int_equal(p[1], 77);
	assert_int_equal(p[2], 78);
	munmap((void *)(uintptr_t)p, PAGE);
	rig_close(&r, fd);
	rig_close(&r, iommu);
	rig_destroy(&r);
}

/* Each round adds one to a word in each page. */
static bool count(void *arg)
{
	struct fixture *f = arg;

	for (size_t i = 0; i < WORDS; i += PAGE / 8)
		f->memory[i]++;
	f->rounds++;
	return !f->stop;
}

static void test_busy_worker(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(uiommufd_worker_create(f->model.dev, count, f, &f->worker), 0);
	map(f);
	uiommufd_worker_kick(f->worker);
	for (int i = 0; i < 200; i++) {
		uint64_t rounds = f->rounds;

		set_memory(f, i & 1);
		while (f->rounds == rounds)
			sched_yield();
	}
	f->stop = true;
	uiommufd_worker_destroy(f->worker);
	f->worker = NULL;
	for (size_t i = 0; i < WORDS; i += PAGE / 8) {
		assert_int_equal(f->memory[i], f->rounds);
		assert_int_equal(f->at[i], f->rounds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_off_and_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mapped_while_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_while_off, setup, teardown),
		cmocka_unit_test(test_watched),
		cmocka_unit_test_setup_teardown(test_busy_worker, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
