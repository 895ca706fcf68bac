/* SPDX-License-Identifier: MIT */
/*
 * The DSA model against docs/devices/dsa.md: registers, portals and queues, every
 * operation, batches, completion records and interrupts. (test_dsa_errors.c has errors
 * and commands.)
 */
#include "dsa_bench.h"

/* ---- registers ------------------------------------------------------------------- */

static void test_description(void **state)
{
	struct bench *b = *state;
	const struct uiommufd_device_desc *d = &b->dev->desc;

	assert_int_equal(d->vendor_id, 0x8086);
	assert_int_equal(d->device_id, 0x0b25);
	assert_int_equal(d->class_code, 0x088000);
	assert_int_equal(d->bars[2].size, 4 * 16384);
	assert_int_equal(d->msix_vectors, 5);
	assert_true(d->flr && d->pm);
}

static void test_capabilities(void **state)
{
	struct bench *b = *state;
	const uint64_t ops = UINT64_C(0x10000027f);

	assert_int_equal(reg(b, R_VERSION, 4), 0x100);
	assert_int_equal(reg(b, R_GENCAP, 8) >> 16 & 31, XFER_ORDER);
	assert_int_equal(reg(b, R_GENCAP, 8) >> 21 & 15, 10);
	assert_int_equal(reg(b, R_GENCAP, 8) >> 31 & 1, 1);
	assert_int_equal(reg(b, R_WQCAP, 2), QUEUE_SIZE);
	assert_int_equal(reg(b, R_WQCAP + 2, 1), 4);
	assert_int_equal(reg(b, R_WQCAP + 3, 1), 1);
	assert_int_equal(reg(b, R_GRPCAP, 1), 2);
	assert_int_equal(reg(b, R_ENGCAP, 1), 2);
	assert_true(reg(b, R_OPCAP, 8) == ops);
	assert_true(reg(b, R_OPCAP + 8, 8) == 0);
	assert_true(reg(b, R_OFFSETS, 8) == UINT64_C(0x000c00080004));
	assert_true(reg(b, R_OFFSETS + 8, 8) == 0);
	assert_int_equal(reg(b, R_CMDCAP, 4), 0x7fe);
	set_reg(b, R_GENCAP, 8, 0);
	set_reg(b, R_OPCAP, 8, 0);
	assert_true(reg(b, R_OPCAP, 8) == ops);
	assert_true(reg(b, 0x1ff8, 8) == 0);
	assert_true(fake_read(b->dev, 2, 0, 4) == 0xffffffff);
}

static void test_configuration(void **state)
{
	struct bench *b = *state;

	/* Enabled: what matters cannot be changed. */
	assert_int_equal(reg(b, R_GENSTS, 4), 1);
	set_reg(b, R_WQS, 4, 7);
	set_reg(b, R_WQS + 8, 8, 0);
	set_reg(b, R_WQS + 32, 8, 0);
	set_reg(b, R_GROUPS, 8, 0);
	set_reg(b, R_GENCFG, 4, 0x1000);
	assert_int_equal(reg(b, R_WQS, 4), QUEUE_SIZE / 4);
	assert_int_equal(reg(b, R_WQS + 8, 4), 0x11);
	assert_true(reg(b, R_WQS + 32, 8) == reg(b, R_OPCAP, 8));
	assert_int_equal(reg(b, R_GROUPS, 8), 7);
	assert_int_equal(reg(b, R_GENCFG, 4), 0);
	assert_int_equal(reg(b, R_WQS + 24, 4), 1u << 30);

	/* A queue alone: all but its size. */
	assert_int_equal(command(b, DISABLE_WQ, 1), 0);
	assert_int_equal(reg(b, R_WQS + 24, 4), 0);
	set_reg(b, R_WQS, 8, UINT64_MAX);
	assert_true(reg(b, R_WQS, 8) == (UINT64_C(0xffff) << 32 | QUEUE_SIZE / 4));
	set_reg(b, R_WQS + 8, 4, 0x51);
	assert_int_equal(reg(b, R_WQS + 8, 4), 0x51);
	set_reg(b, R_WQS + 32, 8, 9);
	assert_int_equal(reg(b, R_WQS + 32, 8), 9);

	assert_int_equal(command(b, RESET_DEVICE, 0), 0);
	assert_int_equal(reg(b, R_GENSTS, 4), 0);
	assert_int_equal(reg(b, R_WQS, 4), 0);
	assert_true(reg(b, R_WQS + 32, 8) == reg(b, R_OPCAP, 8));
	set_reg(b, R_GROUPS, 8, UINT64_MAX);
	set_reg(b, R_GROUPS + 32, 8, UINT64_MAX);
	set_reg(b, R_GROUPS + 40, 8, 0x1234);
	set_reg(b, R_GROUPS + 8, 8, UINT64_MAX);
	assert_int_equal(reg(b, R_GROUPS, 8), 15);
	assert_int_equal(reg(b, R_GROUPS + 32, 8), 3);
	assert_int_equal(reg(b, R_GROUPS + 40, 8), 0x1234);
	assert_int_equal(reg(b, R_GROUPS + 8, 8), 0);
	set_reg(b, R_GENCFG, 4, 0xffffffff);
	assert_int_equal(reg(b, R_GENCFG, 4), 0x10ff);
	set_reg(b, R_PERM + 4 * 8, 4, 0xffffffff);
	assert_int_equal(reg(b, R_PERM + 4 * 8, 4), 0xfffff00c);
	set_reg(b, R_PERM + 5 * 8, 4, 0xffffffff);
	assert_int_equal(reg(b, R_PERM + 5 * 8, 4), 0);
}

/* ---- operations ------------------------------------------------------------------ */

static void expect(const struct hw_record *r, unsigned status, unsigned result,
		   uint32_t completed)
{
	assert_int_equal(r->status, status);
	assert_int_equal(r->result, result);
	assert_int_equal(r->completed, completed);
}

static void test_noop(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_NOOP, 0, 0, 0);

	expect(execute(b, &d), 1, 0, 0);
}

static void test_memmove(void **state)
{
	struct bench *b = *state;
	const uint32_t n = (1u << XFER_ORDER) - 5;
	struct hw_desc d = desc(b, OP_MEMMOVE, PEER_IOVA + 11, RAM_IOVA + 4097, n);

	d.flags |= CACHE;
	d.pasid = 0x800fffff;
	randomize(b->ram, RAM_BYTES, 1);
	expect(execute(b, &d), 1, 0, 0);
	assert_memory_equal(b->peer + 11, b->ram + 4097, n);
	assert_int_equal(b->peer[10], 0);
	assert_int_equal(b->peer[11 + n], 0);
}

static void check_overlap(struct bench *b, uint64_t dst, uint64_t src, uint32_t n)
{
	struct hw_desc d = desc(b, OP_MEMMOVE, RAM_IOVA + dst, RAM_IOVA + src, n);
	uint8_t *ref = malloc(RAM_BYTES);

	memcpy(ref, b->ram, RAM_BYTES);
	memmove(ref + dst, ref + src, n);
	assert_int_equal(execute(b, &d)->status, 1);
	assert_memory_equal(b->ram, ref, RAM_BYTES);
	free(ref);
}

static void test_overlapping(void **state)
{
	struct bench *b = *state;

	randomize(b->ram, RAM_BYTES, 2);
	check_overlap(b, 1, 0, MIB);
	check_overlap(b, 0, 1, MIB);
	check_overlap(b, 70000, 5, 300001);
	check_overlap(b, 5, 70000, 300001);
	check_overlap(b, 5, 5, 300001);
}

static void test_fill(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_FILL, PEER_IOVA + 5, UINT64_C(0x0807060504030201),
				MIB + 70003);

	expect(execute(b, &d), 1, 0, 0);
	for (unsigned i = 0; i < MIB + 70003; i++)
		assert_int_equal(b->peer[5 + i], i % 8 + 1);
	assert_int_equal(b->peer[4], 0);
	assert_int_equal(b->peer[5 + MIB + 70003], 0);
}

static void test_compare(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_COMPARE, PEER_IOVA + 1, RAM_IOVA, MIB);

	randomize(b->ram, MIB, 3);
	memcpy(b->peer + 1, b->ram, MIB);
	expect(execute(b, &d), 1, 0, 0);

	b->peer[1 + 200000] ^= 1;
	d = desc(b, OP_COMPARE, PEER_IOVA + 1, RAM_IOVA, MIB);
	expect(execute(b, &d), 1, 1, 200000);
	d = desc(b, OP_COMPARE, PEER_IOVA + 1, RAM_IOVA, 200000);
	expect(execute(b, &d), 1, 0, 0);

	/* Check Result: status says whether it is the expected one. */
	d = desc(b, OP_COMPARE, PEER_IOVA + 1, RAM_IOVA, MIB);
	d.flags |= CHECK;
	expect(execute(b, &d), 2, 1, 200000);
	d = desc(b, OP_COMPARE, PEER_IOVA + 1, RAM_IOVA, MIB);
	d.flags |= CHECK;
	d.dst2 = 0xff; /* of which one bit counts */
	expect(execute(b, &d), 1, 1, 200000);
}

static void test_compare_pattern(void **state)
{
	struct bench *b = *state;
	const uint64_t pattern = UINT64_C(0x1122334455667788);
	struct hw_desc d = desc(b, OP_COMPVAL, pattern, RAM_IOVA, 300003);

	for (unsigned i = 0; i < 300003; i++)
		b->ram[i] = (uint8_t)(pattern >> i % 8 * 8);
	expect(execute(b, &d), 1, 0, 0);
	b->ram[299999]++;
	d = desc(b, OP_COMPVAL, pattern, RAM_IOVA, 300003);
	expect(execute(b, &d), 1, 1, 299999);
}

static void test_dualcast(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_DUALCAST, PEER_IOVA + 16, RAM_IOVA, MIB + 3);

	d.dst2 = PEER_IOVA + 2 * MIB + 16;
	randomize(b->ram, RAM_BYTES, 4);
	expect(execute(b, &d), 1, 0, 0);
	assert_memory_equal(b->peer + 16, b->ram, MIB + 3);
	assert_memory_equal(b->peer + 2 * MIB + 16, b->ram, MIB + 3);
	assert_int_equal(b->peer[15], 0);
}

static void test_flush(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_FLUSH, RAM_IOVA, 0, 4096);

	expect(execute(b, &d), 1, 0, 0);
}

/* ---- portals and queues ---------------------------------------------------------- */

/* In any order of the words, in either page, other slots in between; at once. */
static void test_portals(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_FILL, RAM_IOVA, UINT64_C(0x0101010101010101), 64);
	struct hw_desc other = desc(b, OP_FILL, RAM_IOVA + 64, 0x02, 8);
	const uint64_t one = 16384 + 4096 + 64 * 63, two = 16384;
	uint64_t words[2][8];

	memcpy(words[0], &d, 64);
	memcpy(words[1], &other, 64);
	for (unsigned i = 8; i-- > 0;) {
		assert_int_equal(record_of(b, &d)->status, 0);
		fake_write(b->dev, 2, one + i * 8, 8, words[0][i]);
		fake_write(b->dev, 2, two + (7 - i) * 8, 8, words[1][7 - i]);
	}
	assert_int_equal(wait_for(b, &d)->status, 1);
	assert_int_equal(wait_for(b, &other)->status, 1);
	assert_int_equal(b->ram[63], 1);
	assert_int_equal(b->ram[64], 2);
	assert_int_equal(reg(b, R_SWERR, 8), 0);
}

/* As movdir64b does it; enqcmd is for shared queues. */
static void test_whole_writes(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_FILL, RAM_IOVA, UINT64_C(0x0101010101010101), 64);
	const uint64_t words[8] = {0x0f, 0x11};

	assert_false(write_64(b, 2, 0, &d, true));
	assert_true(write_64(b, 2, 16384 * 3 + 4096 + 64, &d, false));
	assert_int_equal(wait_for(b, &d)->status, 1);
	assert_int_equal(b->ram[63], 1);
	/* registers too: those of a queue */
	assert_int_equal(command(b, RESET_DEVICE, 0), 0);
	assert_true(write_64(b, 0, R_WQS + 64, words, false));
	assert_int_equal(reg(b, R_WQS + 64, 4), 0x0f);
	assert_int_equal(reg(b, R_WQS + 64 + 8, 4), 0x11);
}

/* Several queues, several engines, wrapped many times. */
static void test_against_reference(void **state)
{
	struct bench *b = *state;
	const uint32_t first_seed = (uint32_t)time(NULL) | 1;
	const uint64_t area = 64 * 1024; /* of each queue: half is read, half written */
	uint32_t seed = first_seed;
	uint8_t *ref = malloc(4 * area);
	struct hw_desc last[4];

	print_message("seed %u\n", first_seed);
	randomize(b->ram, 4 * area, seed);
	memcpy(ref, b->ram, 4 * area);
	for (unsigned i = 0; i < 2000; i++) {
		unsigned wq = xorshift(&seed) % 4;
		uint32_t n = 1 + xorshift(&seed) % (i % 8 ? 256 : area / 2);
		uint64_t from = wq * area + xorshift(&seed) % (area / 2 - n + 1);
		uint64_t to = wq * area + area / 2 + xorshift(&seed) % (area / 2 - n + 1);
		uint64_t pattern = xorshift(&seed) * UINT64_C(0x100000001);

		if (i % 3) {
			last[wq] = desc(b, OP_MEMMOVE, RAM_IOVA + to, RAM_IOVA + from, n);
			memmove(ref + to, ref + from, n);
		} else {
			last[wq] = desc(b, OP_FILL, RAM_IOVA + to, pattern, n);
			for (uint32_t k = 0; k < n; k++)
				ref[to + k] = (uint8_t)(pattern >> k % 8 * 8);
		}
		while (reg(b, R_WQS + wq * 64 + 24, 2) == QUEUE_SIZE / 4)
			sched_yield();
		submit(b, wq, &last[wq]);
	}
	assert_int_equal(command(b, DRAIN_ALL, 0), 0);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(b->records[i].status, 1);
	pthread_rwlock_rdlock(&b->dev->space);
	pthread_rwlock_unlock(&b->dev->space);
	assert_memory_equal(b->ram, ref, 4 * area);
	assert_int_equal(reg(b, R_SWERR, 8), 0);
	free(ref);
}

/*
 * Queue 1 has a priority of 1 and queue 2 one of 3. While the engine is busy with queue 0
 * both get descriptors; when queue 1's second is executed, which takes long, three of
 * queue 2's have had their turn.
 */
static void test_priority(void **state)
{
	struct bench *b = *state;
	struct hw_desc low, high[6], last;

	assert_int_equal(command(b, DISABLE_WQ, 4), 0);
	set_reg(b, R_WQS + 2 * 64 + 8, 4, 1 | 3 << 4);
	assert_int_equal(command(b, ENABLE_WQ, 2), 0);
	run_long(b, 0);
	low = desc(b, OP_FILL, RAM_IOVA, 1, 8);
	last = desc(b, OP_BATCH, 0, LIST_IOVA, LIST_SIZE);
	submit(b, 1, &low);
	submit(b, 1, &last);
	for (unsigned i = 0; i < 6; i++) {
		high[i] = desc(b, OP_FILL, RAM_IOVA, 2, 8);
		submit(b, 2, &high[i]);
	}
	assert_int_equal(reg(b, R_WQS + 2 * 64 + 24, 2), 6);
	assert_int_equal(command(b, ABORT_WQ, 1), 0);
	while (reg(b, R_WQS + 64 + 24, 2))
		sched_yield();
	assert_int_equal(reg(b, R_WQS + 2 * 64 + 24, 2), 3);
	assert_int_equal(wait_for(b, &low)->status, 1);
	assert_int_equal(wait_for(b, &high[2])->status, 1);
	assert_int_equal(record_of(b, &high[3])->status, 0);
	assert_int_equal(command(b, ABORT_WQ, 2), 0);
	assert_int_equal(wait_for(b, &high[5])->status, 1);
}

static void test_drain_descriptor(void **state)
{
	struct bench *b = *state;
	struct hw_desc batch, drain;

	/* Two engines on the queue: the second must not pass the first. */
	assert_int_equal(command(b, RESET_DEVICE, 0), 0);
	set_reg(b, R_WQS, 4, 16);
	set_reg(b, R_WQS + 8, 8, 0x11 | (uint64_t)(XFER_ORDER | 10 << 5) << 32);
	set_reg(b, R_GROUPS, 8, 1);
	set_reg(b, R_GROUPS + 32, 8, 3);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0);
	assert_int_equal(command(b, ENABLE_WQ, 0), 0);

	batch = run_long(b, 0);
	drain = desc(b, OP_DRAIN, 0, 0, 0);
	submit(b, 0, &drain);
	set_reg(b, R_CMD, 4, ABORT_WQ << 20 | 1); /* takes both away */
	while (reg(b, R_CMDSTS, 4) >> 31)
		sched_yield();
	assert_int_equal(record_of(b, &drain)->status, 0);
	assert_int_equal(record_of(b, &batch)->status, 0);

	/* The other engine is idle, and leaves the drain where it is. */
	batch = desc(b, OP_BATCH, 0, LIST_IOVA, 64);
	submit(b, 0, &batch);
	drain = desc(b, OP_DRAIN, 0, 0, 0);
	drain.flags |= RCI;
	drain.vector = 3;
	submit(b, 0, &drain);
	assert_int_equal(wait_for(b, &drain)->status, 1);
	assert_int_equal(record_of(b, &batch)->status, 1);
	bench_wait_irqs(b, 3, 1);
}

/* ---- completion ------------------------------------------------------------------ */

static void test_no_record(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_FILL, RAM_IOVA, 0x77, 8);

	d.flags &= ~(uint32_t)RCR;
	submit(b, 0, &d);
	assert_int_equal(command(b, DRAIN_WQ, 1), 0);
	assert_int_equal(b->ram[0], 0x77);
	assert_int_equal(record_of(b, &d)->status, 0);
	/* But an error is always told. */
	d.dst = NOWHERE;
	expect(execute(b, &d), 0x83, 0, 0);
	assert_true(record_of(b, &d)->address == NOWHERE);
}

static void test_interrupts(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_MEMMOVE, PEER_IOVA, RAM_IOVA, 8);

	d.flags |= RCI;
	d.vector = 4;
	execute(b, &d);
	bench_wait_irqs(b, 4, 1);
	d.flags = RCI | OP_NOOP << 24;
	d.size = 0;
	d.vector = 1;
	submit(b, 0, &d);
	bench_wait_irqs(b, 1, 1);
	/* after an error too */
	d = desc(b, OP_MEMMOVE, NOWHERE, RAM_IOVA, 8);
	d.flags |= RCI;
	d.vector = 2;
	submit(b, 0, &d);
	bench_wait_irqs(b, 2, 1);
	assert_int_equal(record_of(b, &d)->status, 0x83);
	bench_wait_irqs(b, 0, 0);
}

/* ---- batches --------------------------------------------------------------------- */

static void test_batch(void **state)
{
	struct bench *b = *state;
	struct hw_desc batch = desc(b, OP_BATCH, 0, LIST_IOVA, LIST_SIZE);

	randomize(b->ram, RAM_BYTES, 5);
	for (unsigned i = 0; i < LIST_SIZE; i++)
		b->list[i] = desc(b, OP_MEMMOVE, PEER_IOVA + i * 1024,
				  RAM_IOVA + (LIST_SIZE - 1 - i) * 1024, 1024);
	expect(execute(b, &batch), 1, 0, LIST_SIZE);
	for (unsigned i = 0; i < LIST_SIZE; i++) {
		assert_int_equal(record_of(b, &b->list[i])->status, 1);
		assert_memory_equal(b->peer + i * 1024,
				    b->ram + (LIST_SIZE - 1 - i) * 1024, 1024);
	}
}

static void test_batch_failures(void **state)
{
	struct bench *b = *state;
	struct hw_desc batch = desc(b, OP_BATCH, 0, LIST_IOVA, 4);

	for (unsigned i = 0; i < 4; i++)
		b->list[i] = desc(b, OP_FILL, RAM_IOVA + i * 8, 1, 8);
	b->list[1].dst = NOWHERE;
	expect(execute(b, &batch), 5, 0, 4);
	assert_int_equal(record_of(b, &b->list[1])->status, 0x83);
	assert_int_equal(b->ram[24], 1);

	/* A fence stops it. */
	memset(b->ram, 0, 64);
	for (unsigned i = 0; i < 4; i++)
		b->list[i].record = desc(b, OP_NOOP, 0, 0, 0).record;
	b->list[3].flags |= FENCE;
	batch = desc(b, OP_BATCH, 0, LIST_IOVA, 4);
	expect(execute(b, &batch), 5, 0, 3);
	assert_int_equal(b->ram[16], 1);
	assert_int_equal(b->ram[24], 0);
	assert_int_equal(record_of(b, &b->list[3])->status, 0);

	/* Without a failure before it, it does not. */
	b->list[1].dst = RAM_IOVA + 8;
	batch = desc(b, OP_BATCH, 0, LIST_IOVA, 4);
	expect(execute(b, &batch), 1, 0, 4);

	/* No batches or drains in batches. */
	b->list[2] = desc(b, OP_BATCH, 0, LIST_IOVA, 2);
	b->list[3] = desc(b, OP_DRAIN, 0, 0, 0);
	batch = desc(b, OP_BATCH, 0, LIST_IOVA, 4);
	expect(execute(b, &batch), 5, 0, 4);
	assert_int_equal(record_of(b, &b->list[2])->status, 0x10);
	assert_int_equal(record_of(b, &b->list[3])->status, 0x10);

	/* The list ends where nothing is mapped. */
	b->list[LIST_SIZE - 1] = b->list[0];
	batch = desc(b, OP_BATCH, 0, LIST_IOVA + (LIST_SIZE - 1) * 64, 3);
	expect(execute(b, &batch), 6, 0, 1);
	assert_true(record_of(b, &batch)->address == LIST_IOVA + LIST_SIZE * 64);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_description),
		TEST(test_capabilities),
		TEST(test_configuration),
		TEST(test_noop),
		TEST(test_memmove),
		TEST(test_overlapping),
		TEST(test_fill),
		TEST(test_compare),
		TEST(test_compare_pattern),
		TEST(test_dualcast),
		TEST(test_flush),
		TEST(test_portals),
		TEST(test_whole_writes),
		TEST(test_against_reference),
		TEST(test_priority),
		TEST(test_drain_descriptor),
		TEST(test_no_record),
		TEST(test_interrupts),
		TEST(test_batch),
		TEST(test_batch_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
