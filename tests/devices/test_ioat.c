/* SPDX-License-Identifier: MIT */
/*
 * The I/OAT model against docs/devices/ioat.md: registers, rings, every operation,
 * completions and interrupts, the states a channel goes through, and what goes wrong.
 */
#include "ioat_bench.h"

/* ---- registers ------------------------------------------------------------------- */

static void test_description(void **state)
{
	struct bench *b = *state;
	const struct uiommufd_device_desc *d = &b->dev->desc;

	assert_int_equal(d->vendor_id, 0x8086);
	assert_int_equal(d->device_id, 0x2021);
	assert_int_equal(d->class_code, 0x088000);
	assert_int_equal(d->bars[0].size, 16384);
	assert_int_equal(d->msix_vectors, CHANNELS);
	assert_true(d->flr && d->pm && d->interrupt_pin == 1);
	assert_int_equal(d->config_offset, 0x148);
	assert_int_equal(d->config_size, 0x40);
}

static void test_general_registers(void **state)
{
	struct bench *b = *state;

	assert_int_equal(reg(b, R_CHANCNT, 1), CHANNELS);
	assert_int_equal(reg(b, R_XFERCAP, 1), 20);
	assert_int_equal(reg(b, R_CBVER, 1), 0x33);
	assert_int_equal(reg(b, R_DMACAP, 4), 0x40);
	assert_int_equal(reg(b, R_CHANCNT, 2), 20 << 8 | CHANNELS);
	fake_write(b->dev, 0, R_CHANCNT, 2, 0xffff);
	fake_write(b->dev, 0, R_CBVER, 1, 0xff);
	assert_int_equal(reg(b, R_CHANCNT, 2), 20 << 8 | CHANNELS);
	assert_int_equal(reg(b, R_CBVER, 1), 0x33);
	fake_write(b->dev, 0, R_INTRDELAY, 2, 0xffff);
	assert_int_equal(reg(b, R_INTRDELAY, 2), 0x3fff);
	/* beyond the last channel, and between registers */
	assert_true(fake_read(b->dev, 0, 0x80 * (CHANNELS + 1), 8) == 0);
	fake_write(b->dev, 0, 0x80 * (CHANNELS + 1), 8, UINT64_MAX);
	assert_true(fake_read(b->dev, 0, 0x40, 8) == 0);
	fake_write(b->dev, 0, 0x40, 8, UINT64_MAX);
	assert_true(fake_read(b->dev, 0, 0x1ff8, 8) == 0);
}

static void test_channel_registers(void **state)
{
	struct bench *b = *state;

	assert_int_equal(reg(b, R_CHANCTRL, 2), 0x1c);
	assert_int_equal(reg(b, R_DMACOMP, 2), 2);
	assert_true(reg(b, R_CHANSTS, 8) == ARMED);
	assert_true(reg(b, R_CHANCMP, 8) == DONE_IOVA);
	assert_true(reg(b, R_CHAINADDR, 8) == RING_IOVA);
	assert_int_equal(reg(b, R_CHANCMP + 4, 4), DONE_IOVA >> 32);
	set_reg(b, R_CHANCMP, 8, UINT64_MAX);
	assert_true(reg(b, R_CHANCMP, 8) == ~UINT64_C(7));
	set_reg(b, R_CHANERRMASK, 4, 0x5555);
	assert_true(reg(b, R_CHANERR, 8) == UINT64_C(0x5555) << 32);
	/* One write of all of the first word: control, command, count. */
	set_reg(b, R_CHANCTRL, 8, UINT64_C(0x0000000400000018));
	assert_int_equal(reg(b, R_CHANCTRL, 2), 0x18);
	assert_int_equal(reg(b, R_CHANSTS, 1), SUSPENDED);
	set_reg(b, R_CHANCMD, 1, 0x20);
	assert_true(reg(b, R_CHANSTS, 8) == HALTED);
	assert_true(reg(b, R_CHANCTRL, 8) == UINT64_C(0x20000));
	assert_true(reg(b, R_CHANCMP, 8) == 0);
	assert_true(reg(b, R_CHANERR, 8) == 0);
}

/* ---- operations ------------------------------------------------------------------ */

static void test_copy(void **state)
{
	struct bench *b = *state;

	randomize(b->ram, RAM_BYTES, 1);
	assert_int_equal(bench_execute(b, 0, PEER_IOVA + 11, RAM_IOVA + 4097, MIB), IDLE);
	assert_memory_equal(b->peer + 11, b->ram + 4097, MIB);
	assert_int_equal(b->peer[10], 0);
	assert_int_equal(b->peer[11 + MIB], 0);
	assert_true(reg(b, R_CHANSTS, 8) == (RING_IOVA | IDLE));
	assert_true(reg(b, R_CDAR, 8) == RING_IOVA);
	assert_true(b->done[DONE_IOVA % 4096 / 8] == 0);
}

static void test_fill(void **state)
{
	struct bench *b = *state;
	const uint64_t pattern = UINT64_C(0x0807060504030201);

	assert_int_equal(bench_execute(b, CTL_FILL, PEER_IOVA + 5, pattern, 700003),
			 IDLE);
	for (unsigned i = 0; i < 700003; i++)
		assert_int_equal(b->peer[5 + i], i % 8 + 1);
	assert_int_equal(b->peer[4], 0);
	assert_int_equal(b->peer[5 + 700003], 0);
	assert_int_equal(bench_execute(b, CTL_FILL, PEER_IOVA, UINT64_C(0), MIB), IDLE);
	assert_int_equal(b->peer[5], 0);
}

static void test_null(void **state)
{
	struct bench *b = *state;

	assert_int_equal(bench_execute(b, CTL_NULL | CTL_COMPLETION | CTL_INT, 0, 0, 1),
			 IDLE);
	assert_true(b->done[DONE_IOVA % 4096 / 8] == (RING_IOVA | IDLE));
	bench_wait_irqs(b, 0, 1);
}

/* Rings of random copies and fills, on both channels, wrapped many times. */
static void test_against_reference(void **state)
{
	struct bench *b = *state;
	const uint32_t first_seed = (uint32_t)time(NULL) | 1;
	const uint64_t half = 64 * 1024;
	uint32_t seed = first_seed;
	uint8_t *ref = malloc(2 * half);

	print_message("seed %u\n", first_seed);
	b->channel = 1;
	bench_start(b);
	randomize(b->ram, 2 * half, seed);
	memcpy(ref, b->ram, 2 * half);
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t n = 1 + xorshift(&seed) % (i % 8 ? 256 : half);
		uint64_t from = xorshift(&seed) % (half - n + 1);
		uint64_t to = half + xorshift(&seed) % (half - n + 1);
		uint64_t pattern = xorshift(&seed) * UINT64_C(0x100000001);

		if (i % 3) {
			bench_add(b, CTL_COMPLETION, RAM_IOVA + to, RAM_IOVA + from, n);
			memcpy(ref + to, ref + from, n);
		} else {
			bench_add(b, CTL_FILL, RAM_IOVA + to, pattern, n);
			for (uint32_t k = 0; k < n; k++)
				ref[to + k] = (uint8_t)(pattern >> k % 8 * 8);
		}
		if (xorshift(&seed) % 4 == 0 || i % RING_SIZE == RING_SIZE - 1) {
			bench_ring(b);
			if (i % RING_SIZE == RING_SIZE - 1)
				assert_int_equal(bench_wait(b), IDLE);
		}
	}
	bench_ring(b);
	assert_int_equal(bench_wait(b), IDLE);
	assert_memory_equal(b->ram, ref, 2 * half);
	assert_true(reg(b, R_CHANSTS, 8) == (desc_iova(1999) | IDLE));
	free(ref);
}

/* The counters have 16 bits. */
static void test_count_wraps(void **state)
{
	struct bench *b = *state;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < RING_SIZE; i++)
			bench_add(b, CTL_NULL, 0, 0, 1);
		b->head = (uint16_t)(b->head + 32768 - RING_SIZE);
		bench_ring(b);
		assert_int_equal(bench_wait(b), IDLE);
	}
	assert_true(reg(b, R_CHANSTS, 8) == (desc_iova(RING_SIZE - 1) | IDLE));
}

/* ---- completions and interrupts -------------------------------------------------- */

static void test_completions(void **state)
{
	struct bench *b = *state;
	uint64_t *done = &b->done[DONE_IOVA % 4096 / 8];

	bench_add(b, CTL_COMPLETION, PEER_IOVA, RAM_IOVA, 64);
	bench_add(b, 0, PEER_IOVA, RAM_IOVA, 64);
	bench_ring(b);
	assert_int_equal(bench_wait(b), IDLE);
	assert_true(*done == (desc_iova(0) | ACTIVE));
	assert_int_equal(bench_execute(b, CTL_COMPLETION, PEER_IOVA, RAM_IOVA, 64), IDLE);
	assert_true(*done == (desc_iova(2) | IDLE));
	assert_true(b->done[DONE_IOVA % 4096 / 8 + 1] == 0);
}

/* One interrupt, then none until it is re-armed; one that was due then comes. */
static void test_interrupts(void **state)
{
	struct bench *b = *state;

	assert_int_equal(bench_execute(b, CTL_NULL | CTL_INT, 0, 0, 1), IDLE);
	bench_wait_irqs(b, 0, 1);
	assert_int_equal(reg(b, R_CHANCTRL, 2) & 1, 1);
	assert_int_equal(bench_execute(b, CTL_NULL, 0, 0, 1), IDLE);
	set_reg(b, R_CHANCTRL, 2, 0x1d);
	assert_int_equal(reg(b, R_CHANCTRL, 2) & 1, 0);
	bench_wait_irqs(b, 0, 1);

	assert_int_equal(bench_execute(b, CTL_NULL | CTL_INT, 0, 0, 1), IDLE);
	bench_wait_irqs(b, 0, 2);
	assert_int_equal(bench_execute(b, CTL_NULL | CTL_INT, 0, 0, 1), IDLE);
	assert_int_equal(bench_execute(b, CTL_NULL | CTL_INT, 0, 0, 1), IDLE);
	bench_wait_irqs(b, 0, 2);
	set_reg(b, R_CHANCTRL, 2, 0x1d);
	bench_wait_irqs(b, 0, 3);

	b->channel = 1;
	bench_start(b);
	assert_int_equal(bench_execute(b, CTL_NULL | CTL_INT, 0, 0, 1), IDLE);
	bench_wait_irqs(b, 1, 1);
	bench_wait_irqs(b, 0, 3);
}

static void test_one_vector(void **state)
{
	struct bench *b = *state;

	fake_write(b->dev, 0, R_INTRCTRL, 1, 1);
	b->channel = 1;
	bench_start(b);
	assert_int_equal(bench_execute(b, CTL_NULL | CTL_INT, 0, 0, 1), IDLE);
	bench_wait_irqs(b, 0, 1);
	assert_true(atomic_load(&b->dev->intx));
	assert_int_equal(fake_read(b->dev, 0, R_INTRCTRL, 1), 7);
	assert_false(atomic_load(&b->dev->intx)); /* reading masks */
	assert_int_equal(fake_read(b->dev, 0, R_INTRCTRL, 1), 2);
	fake_write(b->dev, 0, R_INTRCTRL, 1, 1);
	assert_true(atomic_load(&b->dev->intx));
	assert_int_equal(fake_read(b->dev, 0, R_ATTNSTATUS, 4), 2);
	assert_false(atomic_load(&b->dev->intx));
	assert_int_equal(fake_read(b->dev, 0, R_ATTNSTATUS, 4), 0);
	assert_int_equal(fake_read(b->dev, 0, R_INTRCTRL, 1), 1);
	assert_int_equal(fake_read(b->dev, 0, R_INTRCTRL, 1), 0);
}

/* ---- states ---------------------------------------------------------------------- */

static void test_suspend(void **state)
{
	struct bench *b = *state;

	assert_int_equal(bench_execute(b, 0, PEER_IOVA, RAM_IOVA, 8), IDLE);
	set_reg(b, R_CHANCMD, 1, 4);
	assert_int_equal(reg(b, R_CHANSTS, 1) & 7, SUSPENDED);
	/* More work takes it out of there, where it left off. */
	memset(b->ram, 0x5a, 64);
	assert_int_equal(bench_execute(b, 0, PEER_IOVA, RAM_IOVA, 64), IDLE);
	assert_int_equal(b->peer[63], 0x5a);

	bench_run_long(b);
	set_reg(b, R_CHANCMD, 1, 4);
	while ((reg(b, R_CHANSTS, 1) & 7) == ACTIVE)
		sched_yield();
	assert_int_equal(reg(b, R_CHANSTS, 1) & 7, SUSPENDED);
	assert_int_equal(reg(b, R_CHANCMD, 1), 0);
}

/* As the kernel's selftests do it: one descriptor that is its own next, over and over. */
static void test_chain_after_suspend(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 3; i++) {
		b->head = 0;
		memset(b->ram, (int)i + 1, 4096);
		bench_add(b, CTL_INT, PEER_IOVA, RAM_IOVA, 4096);
		b->ring[0].next = RING_IOVA;
		set_reg(b, R_CHAINADDR, 8, RING_IOVA);
		set_reg(b, R_CHANCTRL, 2, 9);
		set_reg(b, R_DMACOUNT, 2, 5);
		assert_int_equal(bench_wait(b), IDLE);
		set_reg(b, R_CHANCMD, 1, 4);
		assert_int_equal(bench_wait(b), SUSPENDED);
		assert_int_equal(b->peer[4095], i + 1);
		bench_wait_irqs(b, 0, 2 * i + 1); /* and one more once re-armed */
		set_reg(b, R_CHANCTRL, 2, 9);
		bench_wait_irqs(b, 0, 2 * i + 2);
	}
}

static void test_reset_while_busy(void **state)
{
	struct bench *b = *state;

	bench_run_long(b);
	set_reg(b, R_CHAINADDR, 8, 0); /* ignored */
	set_reg(b, R_CHANCMD, 1, 0x20);
	while (reg(b, R_CHANCMD, 1) & 0x20)
		sched_yield();
	assert_true(reg(b, R_CHANSTS, 8) == HALTED);
	bench_start(b);
	memset(b->ram, 0x77, 64);
	assert_int_equal(bench_execute(b, 0, PEER_IOVA, RAM_IOVA, 64), IDLE);
	assert_int_equal(b->peer[0], 0x77);
}

static void test_function_reset_while_busy(void **state)
{
	struct bench *b = *state;
	unsigned long accesses;

	bench_run_long(b);
	b->channel = 1;
	bench_start(b);
	bench_run_long(b);
	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
	accesses = atomic_load(&b->dev->accesses);
	for (b->channel = 0; b->channel < CHANNELS; b->channel++) {
		assert_true(reg(b, R_CHANSTS, 8) == HALTED);
		set_reg(b, R_DMACOUNT, 2, 5); /* no chain: stays halted */
		assert_true(reg(b, R_CHANSTS, 8) == HALTED);
		assert_int_equal(reg(b, R_CHANERR, 4), 0);
	}
	assert_int_equal(fake_read(b->dev, 0, R_INTRCTRL, 1), 0);
	assert_int_equal(atomic_load(&b->dev->accesses), accesses);
}

/* ---- what goes wrong ------------------------------------------------------------- */

static void test_errors(void **state)
{
	static const struct {
		uint32_t control;
		uint64_t dst, src;
		uint32_t size, error;
	} cases[] = {
		{0, PEER_IOVA, NOWHERE, 64, 0x1},
		{0, NOWHERE, RAM_IOVA, 64, 0x2},
		{0, RO_IOVA, RAM_IOVA, 64, 0x2},
		{CTL_FILL, NOWHERE, 0, 64, 0x2},
		{CTL_FILL, NOWHERE, 0x123456789, 64, 0x2},
		{0, PEER_IOVA, RAM_IOVA, 0, 0x800},
		{0, PEER_IOVA, RAM_IOVA, MIB + 1, 0x800},
		{CTL_NULL, 0, 0, 0, 0x800},
		{0x87000000, PEER_IOVA, RAM_IOVA, 64, 0x400},
		{0x02000000, PEER_IOVA, RAM_IOVA, 64, 0x400},
		{0, PEER_IOVA, UINT64_MAX - 62, 64, 0x1},
		{0, UINT64_MAX - 62, RAM_IOVA, 64, 0x2},
		{CTL_FILL, UINT64_MAX - 62, 0, 64, 0x2},
	};
	struct bench *b = *state;
	unsigned n = sizeof(cases) / sizeof(cases[0]);

	for (unsigned i = 0; i < n; i++) {
		bench_start(b);
		bench_add(b, CTL_COMPLETION, PEER_IOVA, RAM_IOVA, 64);
		bench_add(b, cases[i].control | CTL_INT | CTL_COMPLETION, cases[i].dst,
			  cases[i].src, cases[i].size);
		bench_add(b, 0, PEER_IOVA, RAM_IOVA, 64);
		bench_ring(b);
		assert_int_equal(bench_wait(b), HALTED);
		assert_int_equal(reg(b, R_CHANERR, 4), cases[i].error);
		assert_true(reg(b, R_CHANSTS, 8) == (desc_iova(0) | HALTED));
		assert_true(reg(b, R_CDAR, 8) == desc_iova(1));
		assert_true(b->done[DONE_IOVA % 4096 / 8] == (desc_iova(0) | HALTED));
		bench_wait_irqs(b, 0, i + 1); /* CHANCTRL has ERR_INT_EN */
	}
	/* Halted as long as the error is there. */
	set_reg(b, R_DMACOUNT, 2, 9);
	set_reg(b, R_CHAINADDR, 8, RING_IOVA);
	set_reg(b, R_CHANCMD, 1, 4);
	assert_int_equal(reg(b, R_CHANSTS, 1) & 7, HALTED);
	set_reg(b, R_CHANERR, 4, reg(b, R_CHANERR, 4));
	set_reg(b, R_CHAINADDR, 8, desc_iova(2));
	assert_true(reg(b, R_CHANSTS, 8) == ARMED);
	set_reg(b, R_DMACOUNT, 2, 1);
	assert_int_equal(bench_wait(b), IDLE);
}

static void test_quiet_errors(void **state)
{
	struct bench *b = *state;

	b->done[DONE_IOVA % 4096 / 8] = 5;
	set_reg(b, R_CHANCTRL, 2, 8);
	assert_int_equal(bench_execute(b, 0, PEER_IOVA, NOWHERE, 64), HALTED);
	assert_true(b->done[DONE_IOVA % 4096 / 8] == 5);
	bench_start(b);
	set_reg(b, R_CHANERRMASK, 4, 1);
	assert_int_equal(bench_execute(b, 0, PEER_IOVA, NOWHERE, 64), HALTED);
	assert_int_equal(reg(b, R_CHANERR, 4), 1);
	bench_wait_irqs(b, 0, 0);
}

/* CHANERR's shadow in configuration space. */
static void test_config(void **state)
{
	const struct uiommufd_device_ops *ops;
	struct bench *b = *state;

	ops = &b->dev->ops;
	assert_int_equal(bench_execute(b, 0, PEER_IOVA, NOWHERE, 64), HALTED);
	assert_int_equal(ops->config_read(b->dev->model, 0x180, 4), 1);
	assert_int_equal(ops->config_read(b->dev->model, 0x181, 1), 0);
	assert_int_equal(ops->config_read(b->dev->model, 0x148, 4), 0);
	bench_start(b);
	assert_int_equal(ops->config_read(b->dev->model, 0x180, 4), 1);
	ops->config_write(b->dev->model, 0x180, 4, 1);
	assert_int_equal(ops->config_read(b->dev->model, 0x180, 4), 0);
	ops->config_write(b->dev->model, 0x184, 2, 0x801);
	assert_int_equal(ops->config_read(b->dev->model, 0x184, 4), 0x801);
	assert_int_equal(bench_execute(b, 0, PEER_IOVA, RAM_IOVA, 0), HALTED);
	assert_int_equal(ops->config_read(b->dev->model, 0x180, 4), 0);
}

static unsigned error_of_chain(struct bench *b, uint64_t chain)
{
	bench_start(b);
	set_reg(b, R_CHAINADDR, 8, chain);
	set_reg(b, R_DMACOUNT, 2, 2);
	assert_int_equal(bench_wait(b), HALTED);
	return (unsigned)reg(b, R_CHANERR, 4);
}

static void test_chain_errors(void **state)
{
	struct bench *b = *state;

	assert_int_equal(error_of_chain(b, NOWHERE), 0x10);
	assert_int_equal(error_of_chain(b, RING_IOVA + 8), 0x10);
	b->head = 0;
	bench_add(b, CTL_NULL, 0, 0, 1);
	b->ring[0].next = NOWHERE;
	assert_int_equal(error_of_chain(b, RING_IOVA), 0x4);
	b->ring[0].next = RING_IOVA + 32;
	assert_int_equal(error_of_chain(b, RING_IOVA), 0x8);

	bench_start(b);
	set_reg(b, R_CHANCMP, 8, NOWHERE);
	assert_int_equal(bench_execute(b, CTL_NULL | CTL_COMPLETION, 0, 0, 1), HALTED);
	assert_int_equal(reg(b, R_CHANERR, 4), 0x1000);
	bench_start(b);
	set_reg(b, R_CHANCMP, 8, NOWHERE);
	assert_int_equal(bench_execute(b, 0, PEER_IOVA, NOWHERE, 1), HALTED);
	assert_int_equal(reg(b, R_CHANERR, 4), 0x1001);
}

static void test_no_master(void **state)
{
	struct bench *b = *state;

	fake_set_master(b->dev, false);
	assert_int_equal(bench_execute(b, CTL_NULL, 0, 0, 1), HALTED);
	assert_int_equal(reg(b, R_CHANERR, 4), 0x1010);
	fake_set_master(b->dev, true);
	bench_start(b);
	assert_int_equal(bench_execute(b, CTL_NULL, 0, 0, 1), IDLE);
}

/* A revoke in the middle: what was in flight is waited for, then it faults. */
static void test_unmap_while_busy(void **state)
{
	struct bench *b = *state;

	bench_run_long(b);
	fake_unmap(b->dev, PEER_IOVA);
	memset(b->peer, 0x11, PEER_BYTES);
	assert_int_equal(bench_wait(b), HALTED);
	assert_int_equal(reg(b, R_CHANERR, 4), 0x2);
	for (unsigned i = 0; i < PEER_BYTES; i++)
		assert_int_equal(b->peer[i], 0x11);
}

/* ---- creation -------------------------------------------------------------------- */

static void test_options(void **state)
{
	static const struct {
		const char *name, *value;
		unsigned channels; /* 0: refused */
	} cases[] = {
		{"channels", "1", 1}, {"channels", "8", 8},    {"channels", "9", 0},
		{"channels", "0", 0}, {"channels", "some", 0}, {"channels", NULL, 0},
		{"channel", "1", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct uiommufd_option option = {cases[i].name, cases[i].value};
		struct uiommufd_device *dev;
		int err = fake_device_create(&ioat_model, &option, 1, false, &dev);

		assert_int_equal(err == 0, cases[i].channels != 0);
		if (err)
			assert_non_null(strstr(dev->error, cases[i].name));
		else
			assert_int_equal(fake_read(dev, 0, R_CHANCNT, 1),
					 cases[i].channels);
		fake_device_destroy(dev);
	}
}

static void test_broken(void **state)
{
	struct uiommufd_device *dev;

	assert_int_equal(fake_device_create(&ioat_model, NULL, 0, true, &dev), 0);
	fake_write(dev, 0, R_CHAINADDR, 8, RING_IOVA);
	assert_int_equal(fake_read(dev, 0, R_CHANSTS, 1), ARMED);
	fake_write(dev, 0, R_DMACOUNT, 2, 1);
	assert_int_equal(fake_read(dev, 0, R_CHANSTS, 1), HALTED);
	assert_int_equal(fake_read(dev, 0, R_CHANERR, 4), 0x8000);
	fake_reset(dev, UIOMMUFD_RESET_FUNCTION);
	fake_device_destroy(dev);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_description),
		TEST(test_general_registers),
		TEST(test_channel_registers),
		TEST(test_copy),
		TEST(test_fill),
		TEST(test_null),
		TEST(test_against_reference),
		TEST(test_count_wraps),
		TEST(test_completions),
		TEST(test_interrupts),
		TEST(test_one_vector),
		TEST(test_suspend),
		TEST(test_chain_after_suspend),
		TEST(test_reset_while_busy),
		TEST(test_function_reset_while_busy),
		TEST(test_errors),
		TEST(test_quiet_errors),
		TEST(test_config),
		TEST(test_chain_errors),
		TEST(test_no_master),
		TEST(test_unmap_while_busy),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
