/* SPDX-License-Identifier: MIT */
/*
 * The copy engine against its document, docs/devices/copy-engine.md: what goes wrong.
 * DMA faults at each stage, illegal descriptors and registers, stop, reset and unmap in
 * the middle of a copy.
 */
#include "ce_bench.h"

/* ---- DMA faults ------------------------------------------------------------------ */

static void expect_clear(struct bench *b)
{
	assert_int_equal(ce_read32(&b->ce, CE_REG_ERROR), 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_ERROR_INDEX), 0);
	assert_true(ce_read64(&b->ce, CE_REG_ERROR_ADDR) == 0);
}

static void test_source_fault(void **state)
{
	struct bench *b = *state;
	const uint64_t last = 2 * MIB + 5;

	randomize(b->ram, RAM_BYTES, 2);
	assert_int_equal(
		ce_copy(&b->ce, PEER_IOVA, RAM_IOVA + RAM_BYTES - last, 3 * MIB, 0),
		-EIO);
	bench_expect_halt(b, error_of(3, 2, false), 0, RAM_IOVA + RAM_BYTES);
	assert_memory_equal(b->peer, b->ram + RAM_BYTES - last, last);
	assert_int_equal(b->peer[last], 0);
	assert_true(ce_read64(&b->ce, CE_REG_BYTES) == last);

	assert_int_equal(ce_skip(&b->ce), 0);
	assert_int_equal(ce_wait(&b->ce), 0);
	expect_clear(b);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONSUMER), 1);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 4096, 0), 0);
	assert_memory_equal(b->peer, b->ram, 4096);
}

static void test_destination_fault(void **state)
{
	struct bench *b = *state;
	uint8_t more[64] = {0};

	assert_int_equal(
		ce_copy(&b->ce, PEER_IOVA + PEER_BYTES - 10, 0, 50, CE_FLAG_SRC_VRAM),
		-EIO);
	bench_expect_halt(b, error_of(3, 3, true), 0, PEER_IOVA + PEER_BYTES);
	assert_true(ce_read64(&b->ce, CE_REG_BYTES) == 10);

	/* Made good, a retry executes all of it. */
	memset(b->vram, 0xab, 50);
	memset(more, 0, sizeof(more));
	fake_map(b->dev, PEER_IOVA + PEER_BYTES, more, sizeof(more), FAKE_RW);
	assert_int_equal(ce_retry(&b->ce), 0);
	assert_int_equal(ce_wait(&b->ce), 0);
	expect_clear(b);
	assert_int_equal(b->peer[PEER_BYTES - 10], 0xab);
	assert_int_equal(more[39], 0xab);
	assert_int_equal(more[40], 0);
	fake_unmap(b->dev, PEER_IOVA + PEER_BYTES);
}

static void test_fill_fault(void **state)
{
	struct bench *b = *state;
	const uint64_t end = PEER_IOVA + PEER_BYTES;

	assert_int_equal(ce_fill(&b->ce, end - MIB - 3, 0, 2 * MIB, 0), -EIO);
	bench_expect_halt(b, error_of(3, 3, true), 0, end);
	ce_skip(&b->ce);
	assert_int_equal(ce_fill(&b->ce, end - 100003, 0x0123456789abcdef, MIB, 0), -EIO);
	bench_expect_halt(b, error_of(3, 3, true), 1, end);
}

static void test_permission_fault(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ce_copy(&b->ce, RO_IOVA + 8, RAM_IOVA, 16, 0), -EIO);
	bench_expect_halt(b, error_of(4, 3, true), 0, RO_IOVA + 8);
	ce_skip(&b->ce);
	assert_int_equal(ce_copy(&b->ce, 0, RO_IOVA, 16, CE_FLAG_DST_VRAM), 0);
}

static void test_fetch_fault(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 16, 0), 0);
	fake_unmap(b->dev, RING_IOVA);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 16, 0), -EIO);
	bench_expect_halt(b, error_of(3, 1, false), 1, RING_IOVA + 64);
	fake_map(b->dev, RING_IOVA, b->ring, RING_SIZE * sizeof(*b->ring), FAKE_READ);
	assert_int_equal(ce_retry(&b->ce), 0);
	assert_int_equal(ce_wait(&b->ce), 0);

	/* half a descriptor is none */
	fake_unmap(b->dev, RING_IOVA);
	fake_map(b->dev, RING_IOVA, b->ring, 2 * 64 + 32, FAKE_READ);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 16, 0), -EIO);
	bench_expect_halt(b, error_of(3, 1, false), 2, RING_IOVA + 2 * 64 + 32);
	fake_unmap(b->dev, RING_IOVA);
	fake_map(b->dev, RING_IOVA, b->ring, RING_SIZE * sizeof(*b->ring), FAKE_READ);
}

static void test_completion_fault(void **state)
{
	struct bench *b = *state;
	struct ce_desc d = {.opcode = CE_OP_COPY,
			    .flags = CE_FLAG_COMPLETION | CE_FLAG_INTERRUPT,
			    .src = RAM_IOVA,
			    .dst = PEER_IOVA,
			    .length = 64,
			    .completion = NOWHERE};

	randomize(b->ram, 64, 3);
	assert_int_equal(bench_execute(b, &d), -EIO);
	bench_expect_halt(b, error_of(3, 4, true), 0, NOWHERE + 8);
	assert_memory_equal(b->peer, b->ram, 64);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), CE_INT_ERROR);

	/* A fault of the data is the one that is told when both fault. */
	ce_skip(&b->ce);
	d.src = NOWHERE + 4096;
	assert_int_equal(bench_execute(b, &d), -EIO);
	bench_expect_halt(b, error_of(3, 2, false), 1, NOWHERE + 4096);
}

static void test_error_record(void **state)
{
	struct bench *b = *state;
	const struct ce_completion *record = (void *)(b->ram + 64);
	struct ce_desc d = {.opcode = CE_OP_COPY,
			    .flags = CE_FLAG_COMPLETION,
			    .src = NOWHERE,
			    .dst = PEER_IOVA,
			    .length = 64,
			    .completion = RAM_IOVA + 64,
			    .value = 99};

	assert_int_equal(bench_execute(b, &d), -EIO);
	assert_true(record->value == 99);
	assert_int_equal(record->status, error_of(3, 2, false));
	assert_int_equal(record->index, 0);
	ce_skip(&b->ce);
	d.opcode = 0;
	d.value = 100;
	assert_int_equal(bench_execute(b, &d), -EIO);
	assert_true(record->value == 100);
	assert_int_equal(record->status, error_of(CE_CODE_BAD_OPCODE, 5, false));
	assert_int_equal(record->index, 1);
}

static void test_no_master_and_blocked(void **state)
{
	struct bench *b = *state;

	fake_set_master(b->dev, false);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 16, 0), -EIO);
	bench_expect_halt(b, error_of(CE_CODE_NO_MASTER, 1, false), 0, RING_IOVA);
	fake_set_master(b->dev, true);
	fake_set_attached(b->dev, false);
	ce_retry(&b->ce);
	assert_int_equal(ce_wait(&b->ce), -EIO);
	bench_expect_halt(b, error_of(CE_CODE_BLOCKED, 1, false), 0, RING_IOVA);
	fake_set_attached(b->dev, true);
	ce_retry(&b->ce);
	assert_int_equal(ce_wait(&b->ce), 0);
}

/* ---- illegal descriptors, rings, doorbells --------------------------------------- */

static void test_illegal_descriptors(void **state)
{
	struct bench *b = *state;
	const struct ce_desc good = {
		.opcode = CE_OP_COPY, .src = RAM_IOVA, .dst = PEER_IOVA, .length = 16};
	uint32_t index = 0;

#define BAD(code_, addr_, ...)                                                           \
	do {                                                                             \
		struct ce_desc d = good;                                                 \
		__VA_ARGS__;                                                             \
		assert_int_equal(bench_execute(b, &d), -EIO);                            \
		bench_expect_halt(b, error_of(code_, 5, false), index++, addr_);         \
		ce_skip(&b->ce);                                                         \
	} while (0)

	BAD(CE_CODE_BAD_OPCODE, 0, d.opcode = 0);
	BAD(CE_CODE_BAD_OPCODE, 0, d.opcode = 4);
	BAD(CE_CODE_BAD_OPCODE, 0, d.opcode = 255; d.flags = 0xffff; d.vector = 9);
	BAD(CE_CODE_BAD_FLAGS, 0, d.flags = 32);
	BAD(CE_CODE_BAD_FLAGS, 0, d.flags = 0x8000; d.pasid = 1);
	BAD(CE_CODE_BAD_FLAGS, 0, d.opcode = CE_OP_FILL; d.flags = CE_FLAG_SRC_VRAM);
	BAD(CE_CODE_BAD_FLAGS, 0, d.opcode = CE_OP_NOP; d.flags = CE_FLAG_DST_VRAM);
	BAD(CE_CODE_BAD_RESERVED, 0, d.pasid = 1);
	BAD(CE_CODE_BAD_RESERVED, 0, d.flags = CE_FLAG_PASID; d.pasid = 1 << 20);
	BAD(CE_CODE_BAD_RESERVED, 0, d.reserved1[0] = 1);
	BAD(CE_CODE_BAD_RESERVED, 0, d.reserved1[1] = 1; d.vector = 4);
	BAD(CE_CODE_BAD_VECTOR, 0, d.vector = 4);
	BAD(CE_CODE_BAD_COMPLETION, 0, d.flags = CE_FLAG_COMPLETION;
	    d.completion = RAM_IOVA + 8; d.length = UINT64_MAX);
	BAD(CE_CODE_BAD_RANGE, UINT64_MAX - 14, d.src = UINT64_MAX - 14);
	BAD(CE_CODE_BAD_RANGE, UINT64_MAX - 14, d.dst = UINT64_MAX - 14);
	BAD(CE_CODE_BAD_RANGE, RAM_IOVA, d.length = UINT64_MAX);
	BAD(CE_CODE_BAD_RANGE, VRAM_BYTES - 15, d.flags = CE_FLAG_SRC_VRAM;
	    d.src = VRAM_BYTES - 15);
	BAD(CE_CODE_BAD_RANGE, VRAM_BYTES + 1, d.flags = CE_FLAG_DST_VRAM;
	    d.dst = VRAM_BYTES + 1; d.length = 0);
	BAD(CE_CODE_BAD_RANGE, UINT64_MAX, d.flags = CE_FLAG_DST_VRAM; d.dst = UINT64_MAX;
	    d.length = 2);
#undef BAD
	/* The end of the address space itself is legal, and unmapped. */
	assert_int_equal(ce_copy(&b->ce, UINT64_MAX - 15, RAM_IOVA, 16, 0), -EIO);
	bench_expect_halt(b, error_of(3, 3, true), index, UINT64_MAX - 15);
	for (size_t i = 0; i < PEER_BYTES; i++)
		assert_int_equal(b->peer[i], 0);
}

static void test_illegal_rings(void **state)
{
	struct bench *b = *state;
	static const struct {
		uint64_t base;
		uint32_t size;
		bool ok;
	} rings[] = {
		{RING_IOVA, 0, false},
		{RING_IOVA, 1, false},
		{RING_IOVA, 3, false},
		{RING_IOVA, 131072, false},
		{RING_IOVA, 0x80000000, false},
		{RING_IOVA + 32, 16, false},
		{RING_IOVA + 1, 16, false},
		{UINT64_MAX - 63, 2, false},
		{UINT64_MAX - 127, 2, true},
		{UINT64_MAX - 0x3fffff, 65536, true},
		{0, 65536, true},
	};

	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		assert_int_equal(ce_stop(&b->ce), 0);
		ce_write64(&b->ce, CE_REG_RING_BASE, rings[i].base);
		ce_write32(&b->ce, CE_REG_RING_SIZE, rings[i].size);
		ce_write32(&b->ce, CE_REG_CONTROL, CE_CONTROL_ENABLE);
		if (rings[i].ok) {
			assert_int_equal(ce_state(&b->ce), CE_STATE_READY);
			continue;
		}
		assert_int_equal(ce_state(&b->ce), CE_STATE_HALTED);
		assert_int_equal(ce_read32(&b->ce, CE_REG_ERROR), CE_CODE_BAD_RING);
		/* no way on but to stop */
		ce_write32(&b->ce, CE_REG_PRODUCER, 1);
		assert_int_equal(ce_read32(&b->ce, CE_REG_PRODUCER), 0);
		ce_skip(&b->ce);
		ce_retry(&b->ce);
		assert_int_equal(ce_state(&b->ce), CE_STATE_HALTED);
	}
	ce_write32(&b->ce, CE_REG_CONTROL, CE_CONTROL_RESET);
	bench_wait_state(b, CE_STATE_DISABLED);
	assert_true(ce_read64(&b->ce, CE_REG_RING_BASE) == 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), 0);
}

static void test_doorbells(void **state)
{
	struct bench *b = *state;
	const struct ce_desc nop = {.opcode = CE_OP_NOP};

	for (unsigned i = 0; i < RING_SIZE; i++)
		assert_int_equal(ce_submit(&b->ce, &nop), 0);
	assert_int_equal(ce_submit(&b->ce, &nop), -EAGAIN);
	ce_write32(&b->ce, CE_REG_PRODUCER, RING_SIZE + 1);
	assert_int_equal(ce_read32(&b->ce, CE_REG_PRODUCER), 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_STATUS),
			 CE_STATE_READY | CE_STATUS_BAD_DOORBELL);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), CE_INT_ERROR);
	ce_write32(&b->ce, CE_REG_PRODUCER, UINT32_MAX);
	assert_int_equal(ce_read32(&b->ce, CE_REG_PRODUCER), 0);

	/* the engine goes on, and a whole ring is legal */
	ce_kick(&b->ce);
	assert_int_equal(ce_wait(&b->ce), 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONSUMER), RING_SIZE);
	/* backwards */
	ce_write32(&b->ce, CE_REG_PRODUCER, RING_SIZE - 1);
	assert_int_equal(ce_read32(&b->ce, CE_REG_PRODUCER), RING_SIZE);

	/* in HALTED work is queued */
	assert_int_equal(ce_copy(&b->ce, NOWHERE, RAM_IOVA, 1, 0), -EIO);
	assert_int_equal(ce_submit(&b->ce, &nop), 0);
	ce_kick(&b->ce);
	assert_int_equal(ce_read32(&b->ce, CE_REG_PRODUCER), RING_SIZE + 2);
	assert_int_equal(ce_read32(&b->ce, CE_REG_STATUS),
			 CE_STATE_HALTED | CE_STATUS_BAD_DOORBELL);
	ce_write32(&b->ce, CE_REG_PRODUCER, RING_SIZE + 1);
	assert_int_equal(ce_read32(&b->ce, CE_REG_PRODUCER), RING_SIZE + 2);
	ce_skip(&b->ce);
	assert_int_equal(ce_wait(&b->ce), 0);

	/* in DISABLED it is ignored, and ENABLE starts at 0 */
	assert_int_equal(ce_stop(&b->ce), 0);
	ce_write32(&b->ce, CE_REG_PRODUCER, RING_SIZE + 3);
	assert_int_equal(ce_read32(&b->ce, CE_REG_PRODUCER), RING_SIZE + 2);
	ce_write32(&b->ce, CE_REG_CONTROL, CE_CONTROL_ENABLE);
	assert_int_equal(ce_read32(&b->ce, CE_REG_PRODUCER), 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_STATUS), CE_STATE_READY);
}

/* ---- stop and reset while running ------------------------------------------------ */

static void expect_quiet(struct bench *b)
{
	unsigned long accesses = atomic_load(&b->dev->accesses);

	memset(b->peer, 0x11, PEER_BYTES); /* a data race if it were not */
	for (unsigned i = 0; i < 100; i++)
		sched_yield();
	assert_int_equal(atomic_load(&b->dev->accesses), accesses);
	assert_int_equal(b->peer[0], 0x11);
	assert_int_equal(b->peer[PEER_BYTES - 1], 0x11);
}

static void test_stop_while_running(void **state)
{
	struct bench *b = *state;

	bench_run_long(b);
	assert_int_equal(ce_stop(&b->ce), 0);
	expect_quiet(b);
	assert_true(ce_read64(&b->ce, CE_REG_RING_BASE) == RING_IOVA);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONSUMER), 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), CE_INT_STOPPED);
	bench_start(b);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, PEER_BYTES, 0), 0);
	assert_memory_equal(b->peer, b->ram, PEER_BYTES);
}

static void test_control_reset_while_running(void **state)
{
	struct bench *b = *state;

	ce_write32(&b->ce, CE_REG_INT_ENABLE, 7);
	bench_run_long(b);
	ce_write32(&b->ce, CE_REG_CONTROL, 0); /* a reset may come on top of a stop */
	ce_write32(&b->ce, CE_REG_CONTROL, CE_CONTROL_RESET | CE_CONTROL_ENABLE);
	bench_wait_state(b, CE_STATE_DISABLED);
	expect_quiet(b);
	if (ce_read32(&b->ce, CE_REG_RING_SIZE)) /* the stop was over before the reset */
		fail_msg("registers survived CONTROL.RESET");
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_ENABLE), 0);
	bench_start(b);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, PEER_BYTES, 0), 0);
}

static void test_function_reset_while_running(void **state)
{
	struct bench *b = *state;

	b->vram[5] = 0x99;
	for (unsigned i = 0; i < 10; i++) {
		bench_run_long(b);
		fake_reset(b->dev,
			   i % 2 ? UIOMMUFD_RESET_FUNCTION : UIOMMUFD_RESET_POWER);
		expect_quiet(b);
		assert_int_equal(ce_state(&b->ce), CE_STATE_DISABLED);
		assert_int_equal(ce_read32(&b->ce, CE_REG_CONSUMER), 0);
		assert_true(ce_read64(&b->ce, CE_REG_RING_BASE) == 0);
		assert_true(ce_read64(&b->ce, CE_REG_BYTES) == 0);
		bench_start(b);
	}
	assert_int_equal(b->vram[5], 0x99);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 4096, 0), 0);
}

/* What a revoke looks like from here: the mapping goes away under a running copy. */
static void test_unmap_while_running(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 10; i++) {
		bench_run_long(b);
		fake_unmap(b->dev, ENDLESS_PEER_IOVA);
		memset(b->peer, 0x22, PEER_BYTES);
		assert_int_equal(ce_wait(&b->ce), -EIO);
		assert_int_equal(b->ce.error.error, error_of(3, 3, true));
		assert_true(b->ce.error.addr - ENDLESS_PEER_IOVA < ENDLESS_BYTES);
		for (size_t k = 0; k < PEER_BYTES; k += 4096)
			assert_int_equal(b->peer[k], 0x22);
		fake_map_endless(b->dev, ENDLESS_PEER_IOVA, b->peer, PEER_BYTES);
		bench_start(b);
	}
}

static void test_destroy_while_running(void **state)
{
	bench_run_long(*state); /* teardown does the rest */
}

/* ---- garbage --------------------------------------------------------------------- */

/* A ring at IOVA 0, in RAM, of descriptors that are mostly nearly right. */
static void garbage_ring(struct bench *b, uint32_t *seed)
{
	static const uint64_t addresses[] = {RAM_IOVA + MIB, PEER_IOVA,  RO_IOVA,
					     NOWHERE,        0,          VRAM_BYTES - 1,
					     4096,           UINT64_MAX, RAM_IOVA - 1};
	const unsigned n = sizeof(addresses) / sizeof(addresses[0]);
	struct ce_desc *ring = (void *)b->ram;

	ce_write32(&b->ce, CE_REG_CONTROL, CE_CONTROL_RESET);
	bench_wait_state(b, CE_STATE_DISABLED);
	for (unsigned i = 0; i < 8; i++)
		ring[i] = (struct ce_desc){
			.opcode = (uint8_t)(xorshift(seed) % 5),
			.vector = (uint8_t)(xorshift(seed) % 8 ? 1 : 7),
			.flags = (uint16_t)(xorshift(seed) % 36),
			.pasid = xorshift(seed) % 16 ? 0 : xorshift(seed),
			.src = addresses[xorshift(seed) % n],
			.dst = addresses[xorshift(seed) % n],
			.length = xorshift(seed) >> xorshift(seed) % 32,
			.completion = addresses[xorshift(seed) % n],
			.value = xorshift(seed),
		};
	fake_write(b->dev, 0, CE_REG_RING_BASE, 8, 0);
	fake_write(b->dev, 0, CE_REG_RING_SIZE, 4, 8);
	fake_write(b->dev, 0, CE_REG_CONTROL, 4, CE_CONTROL_ENABLE);
	fake_write(b->dev, 0, CE_REG_PRODUCER, 4, 8);
}

static void garbage_access(struct bench *b, uint32_t *seed)
{
	static const unsigned sizes[] = {1, 2, 4, 8};
	unsigned size = sizes[xorshift(seed) % 4];
	/* mostly where the registers are */
	uint64_t span = xorshift(seed) % 16 ? 0x70 : 0x10000;
	uint64_t offset = xorshift(seed) % span & ~(uint64_t)(size - 1);
	uint64_t value = (uint64_t)xorshift(seed) << 32 | xorshift(seed);

	if (xorshift(seed) % 2)
		value &= 0xff;
	if (xorshift(seed) % 8)
		fake_write(b->dev, 0, offset, size, value);
	else
		fake_read(b->dev, 0, offset, size);
}

static void test_garbage(void **state)
{
	struct bench *b = *state;
	const uint32_t first_seed = (uint32_t)time(NULL) | 1;
	uint32_t seed = first_seed;

	print_message("seed %u\n", first_seed);
	fake_map(b->dev, 0, b->ram, 4096, FAKE_RW);
	for (unsigned i = 0; i < 30000; i++) {
		if (i % 16 == 0)
			garbage_ring(b, &seed);
		else if (i % 501 == 0)
			fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
		else
			garbage_access(b, &seed);
	}
	ce_write32(&b->ce, CE_REG_CONTROL, CE_CONTROL_RESET);
	bench_wait_state(b, CE_STATE_DISABLED);
	fake_unmap(b->dev, 0);
	bench_start(b);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 4096, 0), 0);
	assert_memory_equal(b->peer, b->ram, 4096);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_source_fault),
		TEST(test_destination_fault),
		TEST(test_fill_fault),
		TEST(test_permission_fault),
		TEST(test_fetch_fault),
		TEST(test_completion_fault),
		TEST(test_error_record),
		TEST(test_no_master_and_blocked),
		TEST(test_illegal_descriptors),
		TEST(test_illegal_rings),
		TEST(test_doorbells),
		TEST(test_stop_while_running),
		TEST(test_control_reset_while_running),
		TEST(test_function_reset_while_running),
		TEST(test_unmap_while_running),
		TEST(test_destroy_while_running),
		TEST(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
