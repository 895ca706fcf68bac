/* SPDX-License-Identifier: MIT */
/*
 * The DSA model against docs/devices/dsa.md: what goes wrong, SWERR, commands, reset and
 * unmap in the middle of a batch, options.
 */
#include "dsa_bench.h"

/* ---- completion records with errors ---------------------------------------------- */

static void test_faults(void **state)
{
	static const struct {
		unsigned opcode;
		uint64_t dst, src, dst2;
		uint32_t size, status, completed;
		uint64_t address;
	} cases[] = {
		{OP_MEMMOVE, PEER_IOVA, RAM_IOVA + RAM_BYTES - 5, 0, 64, 0x03, 5,
		 RAM_IOVA + RAM_BYTES},
		{OP_MEMMOVE, PEER_IOVA + PEER_BYTES - 9, RAM_IOVA, 0, 64, 0x83, 9,
		 PEER_IOVA + PEER_BYTES},
		{OP_MEMMOVE, PEER_IOVA, RAM_IOVA + RAM_BYTES - MIB - 7, 0, 2 * MIB, 0x03,
		 MIB + 7, RAM_IOVA + RAM_BYTES},
		{OP_MEMMOVE, RO_IOVA, RAM_IOVA, 0, 64, 0x83, 0, RO_IOVA},
		{OP_MEMMOVE, RO_IOVA + 1, RO_IOVA, 0, 64, 0x83, 0, RO_IOVA + 1},
		{OP_FILL, PEER_IOVA + PEER_BYTES - 3, 5, 0, 64, 0x83, 3,
		 PEER_IOVA + PEER_BYTES},
		{OP_COMPARE, NOWHERE, RAM_IOVA, 0, 64, 0x03, 0, NOWHERE},
		{OP_COMPARE, RAM_IOVA, NOWHERE, 0, 64, 0x03, 0, NOWHERE},
		{OP_COMPVAL, 5, NOWHERE, 0, 64, 0x03, 0, NOWHERE},
		{OP_DUALCAST, PEER_IOVA, RAM_IOVA, NOWHERE, 64, 0x83, 0, NOWHERE},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hw_desc d = desc(b, cases[i].opcode, cases[i].dst, cases[i].src,
					cases[i].size);
		const struct hw_record *r;

		d.dst2 = cases[i].dst2;
		r = execute(b, &d);
		assert_int_equal(r->status, cases[i].status);
		assert_int_equal(r->completed, cases[i].completed);
		assert_true(r->address == cases[i].address);
	}
	assert_int_equal(reg(b, R_SWERR, 8), 0);
}

static unsigned status_of(struct bench *b, struct hw_desc d)
{
	d.record = desc(b, OP_NOOP, 0, 0, 0).record;
	return execute(b, &d)->status;
}

static void test_illegal(void **state)
{
	struct bench *b = *state;
	const struct hw_desc good = desc(b, OP_MEMMOVE, PEER_IOVA, RAM_IOVA, 64);
	struct hw_desc d = good;

	assert_int_equal(status_of(b, d), 1);
	d.flags = (good.flags & 0xffffff) | 0x10u << 24; /* CRC */
	assert_int_equal(status_of(b, d), 0x10);
	d.flags = (good.flags & 0xffffff) | 0xffu << 24;
	assert_int_equal(status_of(b, d), 0x10);
	d = good;
	d.flags |= FENCE | BLOCK | CHECK;
	assert_int_equal(status_of(b, d), 0x11);
	assert_int_equal(b->records[(b->next - 1) % RECORDS].bad_flags,
			 FENCE | BLOCK | CHECK);
	/* What has a result needs a record for it. */
	d = desc(b, OP_COMPARE, PEER_IOVA, RAM_IOVA, 64);
	d.flags &= ~(uint32_t)RCR;
	assert_int_equal(status_of(b, d), 0x11);
	assert_int_equal(b->records[(b->next - 1) % RECORDS].bad_flags, RCR);
	d = good;
	d.reserved = 1;
	assert_int_equal(status_of(b, d), 0x12);
	d = good;
	d.pasid = 1u << 20;
	assert_int_equal(status_of(b, d), 0x12);
	d = good;
	d.more[1] = 1;
	assert_int_equal(status_of(b, d), 0x12);
	d = good;
	d.dst2 = 1;
	assert_int_equal(status_of(b, d), 0x12);
	d = good;
	d.size = 0;
	assert_int_equal(status_of(b, d), 0x13);
	d.size = (1u << XFER_ORDER) + 1;
	assert_int_equal(status_of(b, d), 0x13);
	d = good;
	d.src = UINT64_MAX - 62;
	assert_int_equal(status_of(b, d), 0x13);
	d = good;
	d.flags |= RCI;
	d.vector = 5;
	assert_int_equal(status_of(b, d), 0x19);
	/* That of another's PASID is not to be had, either. */
	set_reg(b, R_PERM + 4 * 8, 4, 8 | 3 << 12);
	d.vector = 4;
	assert_int_equal(status_of(b, d), 0x19);
	assert_int_equal(atomic_load(&b->dev->irqs[4]), 0);
	d = desc(b, OP_BATCH, 0, LIST_IOVA, 1);
	assert_int_equal(status_of(b, d), 0x14);
	d.size = LIST_SIZE + 1;
	assert_int_equal(status_of(b, d), 0x14);
	d = desc(b, OP_BATCH, 0, LIST_IOVA + 8, 2);
	assert_int_equal(status_of(b, d), 0x18);
	d = desc(b, OP_DUALCAST, PEER_IOVA, RAM_IOVA, 64);
	d.dst2 = PEER_IOVA + 4097;
	assert_int_equal(status_of(b, d), 0x17);
	assert_int_equal(reg(b, R_SWERR, 8), 0);
}

static void test_configured_limits(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_MEMMOVE, PEER_IOVA, RAM_IOVA, 8192);

	assert_int_equal(command(b, DISABLE_WQ, 1), 0);
	set_reg(b, R_WQS + 12, 4, 12 | 1 << 5);
	set_reg(b, R_WQS + 32, 8, 1 << OP_MEMMOVE | 1 << OP_BATCH);
	assert_int_equal(command(b, ENABLE_WQ, 0), 0);
	assert_int_equal(execute(b, &d)->status, 0x13);
	d = desc(b, OP_MEMMOVE, PEER_IOVA, RAM_IOVA, 4096);
	assert_int_equal(execute(b, &d)->status, 1);
	d = desc(b, OP_FILL, PEER_IOVA, 0, 64);
	assert_int_equal(execute(b, &d)->status, 0x10);
	b->list[0] = b->list[1] = desc(b, OP_FILL, PEER_IOVA, 0, 64);
	d = desc(b, OP_BATCH, 0, LIST_IOVA, 2);
	assert_int_equal(execute(b, &d)->status, 5);
	assert_int_equal(record_of(b, &b->list[0])->status, 0x10);
	d = desc(b, OP_BATCH, 0, LIST_IOVA, 3);
	assert_int_equal(execute(b, &d)->status, 0x14);
}

/* ---- SWERR ----------------------------------------------------------------------- */

static void test_swerr(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_MEMMOVE, NOWHERE, RAM_IOVA, 8);

	set_reg(b, R_GENCTRL, 4, 1);
	d.flags &= ~(uint32_t)(CRAV | RCR);
	d.pasid = 0x12345; /* not a dedicated queue's */
	submit(b, 3, &d);
	assert_int_equal(wait_swerr(b), 3);
	/* valid, descriptor and queue known, a write */
	assert_true(reg(b, R_SWERR, 8) == UINT64_C(0x000000030003032d));
	assert_true(reg(b, R_SWERR + 8, 8) == 0);
	assert_true(reg(b, R_SWERR + 16, 8) == NOWHERE);
	bench_wait_irqs(b, 0, 1);
	assert_int_equal(reg(b, R_INTCAUSE, 4), 1);
	set_reg(b, R_INTCAUSE, 4, 1);
	assert_int_equal(reg(b, R_INTCAUSE, 4), 0);

	/* Another one: only that there was one. */
	submit(b, 2, &d);
	assert_int_equal(command(b, DRAIN_WQ, 4), 0);
	assert_true(reg(b, R_SWERR, 8) == UINT64_C(0x000000030003032f));
	bench_wait_irqs(b, 0, 1);
	set_reg(b, R_SWERR, 8, 3);
	assert_int_equal(reg(b, R_SWERR, 8) & 3, 0);

	/* With the interrupt off there is no cause, either; which flags are wrong. */
	set_reg(b, R_GENCTRL, 4, 0);
	d.flags |= BLOCK | RCR;
	submit(b, 3, &d);
	assert_int_equal(wait_swerr(b), 0x11);
	assert_int_equal(reg(b, R_SWERR + 12, 4), BLOCK | RCR);
	assert_int_equal(reg(b, R_INTCAUSE, 4), 0);
	bench_wait_irqs(b, 0, 1);
}

static void test_swerr_of_records(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_NOOP, 0, 0, 0);

	d.record = NOWHERE;
	d.flags |= RCI;
	d.vector = 1;
	submit(b, 0, &d);
	assert_int_equal(wait_swerr(b), 0x1a);
	assert_true(reg(b, R_SWERR + 16, 8) == NOWHERE);
	set_reg(b, R_SWERR, 8, 3);

	/* Dropped before it does anything. */
	d = desc(b, OP_FILL, RAM_IOVA, 0x55, 8);
	d.record += 8;
	d.flags |= RCI;
	d.vector = 1;
	submit(b, 0, &d);
	assert_int_equal(wait_swerr(b), 0x1b);
	assert_int_equal(command(b, DRAIN_ALL, 0), 0);
	assert_int_equal(b->ram[0], 0);
	bench_wait_irqs(b, 1, 0);
	set_reg(b, R_SWERR, 8, 3);

	/* In a batch: which one. */
	b->list[0] = desc(b, OP_NOOP, 0, 0, 0);
	b->list[1] = d;
	d = desc(b, OP_BATCH, 0, LIST_IOVA, 2);
	assert_int_equal(execute(b, &d)->status, 5);
	assert_int_equal(wait_swerr(b), 0x1b);
	assert_int_equal(reg(b, R_SWERR, 8) >> 4 & 1, 1);
	assert_true(reg(b, R_SWERR + 8, 8) == 1);
	set_reg(b, R_SWERR, 8, 3);

	/* A batch that failed in part tells so in its record, if at all. */
	d.flags &= ~(uint32_t)(CRAV | RCR);
	submit(b, 0, &d);
	assert_int_equal(wait_swerr(b), 0x1b);
	assert_int_equal(command(b, DRAIN_ALL, 0), 0);
	assert_int_equal(reg(b, R_SWERR, 8) & 3, 1);
}

/* What a portal does not take it ignores; only a queue that overflows is told of. */
static void test_portal_errors(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_NOOP, 0, 0, 0);

	for (unsigned i = 0; i < 16; i++)
		fake_write(b->dev, 2, i * 4, 4, 1);
	for (unsigned i = 0; i < 8; i++)
		fake_write(b->dev, 2, 8192 + i * 8, 8, 1);
	assert_false(write_64(b, 2, 8192, &d, false));
	assert_false(write_64(b, 2, 8192, &d, true));
	assert_false(write_64(b, 0, 0xf000, &d, true));
	assert_int_equal(command(b, DISABLE_WQ, 2), 0);
	submit(b, 1, &d);
	assert_int_equal(reg(b, R_SWERR, 8), 0);
	assert_int_equal(reg(b, R_WQS + 64 + 24, 2), 0);

	run_long(b, 0);
	for (unsigned i = 0; i < QUEUE_SIZE / 4; i++)
		submit(b, 0, &d);
	assert_int_equal(reg(b, R_SWERR, 8) & 1, 0);
	assert_int_equal(reg(b, R_WQS + 24, 2), QUEUE_SIZE / 4);
	submit(b, 0, &d);
	assert_true(reg(b, R_SWERR, 8) == 0x5309);
}

/* ---- commands -------------------------------------------------------------------- */

static void test_command_errors(void **state)
{
	struct bench *b = *state;

	assert_int_equal(command(b, 0, 0), 0x01);
	assert_int_equal(command(b, DRAIN_PASID, 0), 0x01);
	assert_int_equal(command(b, 13, 0), 0x01);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0x10);
	assert_int_equal(command(b, ENABLE_WQ, 4), 0x02);
	assert_int_equal(command(b, ENABLE_WQ, 0), 0x21);
	assert_int_equal(command(b, DISABLE_WQ, 0x10), 0x02);
	assert_int_equal(command(b, DRAIN_WQ, 0), 0x02);
	assert_int_equal(command(b, DRAIN_WQ, 0x10001), 0x02);
	assert_int_equal(command(b, DISABLE_WQ, 1), 0);
	assert_int_equal(command(b, DRAIN_WQ, 1), 0x32);
	assert_int_equal(command(b, DISABLE_DEVICE, 0), 0);
	assert_int_equal(reg(b, R_WQS + 64 + 24, 4), 0);
	assert_int_equal(command(b, DISABLE_DEVICE, 0), 0x31);
	assert_int_equal(command(b, DRAIN_WQ, 1), 0x32);
	assert_int_equal(command(b, ENABLE_WQ, 0), 0x20);
	/* These have no errors. */
	assert_int_equal(command(b, DRAIN_ALL, 0), 0);
	assert_int_equal(command(b, ABORT_ALL, 0), 0);
	assert_int_equal(command(b, RESET_WQ, 8), 0);
	assert_int_equal(reg(b, R_WQS + 3 * 64, 4), QUEUE_SIZE / 4);
	assert_int_equal(reg(b, R_WQS + 3 * 64 + 8, 8), 0);
	/* The configuration is still there. */
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0);
	assert_int_equal(command(b, ENABLE_WQ, 0), 0);
}

static void test_queue_errors(void **state)
{
	const uint32_t limits = XFER_ORDER | 10 << 5;
	const struct {
		uint32_t mode, limits, error;
	} cases[] = {
		{DEDICATED, limits, 0x23},
		{PRIORITY, limits, 0x24},
		{DEDICATED | PRIORITY | BLOCK_ENABLE, limits, 0x25},
		{DEDICATED | PRIORITY | PASID_ENABLE, limits, 0x26},
		{DEDICATED | PRIORITY, XFER_ORDER, 0x27},
		{DEDICATED | PRIORITY, XFER_ORDER | 11 << 5, 0x27},
		{DEDICATED | PRIORITY, (XFER_ORDER + 1) | 10 << 5, 0x28},
		{DEDICATED | PRIORITY | NO_ATS, limits, 0x2c},
		{DEDICATED | PRIORITY | NO_PRS, limits, 0x2e},
		{DEDICATED | PRIORITY, limits, 0},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(command(b, RESET_WQ, 1), 0);
		set_reg(b, R_WQS + 8, 4, cases[i].mode);
		set_reg(b, R_WQS + 12, 4, cases[i].limits);
		assert_int_equal(command(b, ENABLE_WQ, 0), cases[i].error);
	}
}

static void test_configuration_errors(void **state)
{
	struct bench *b = *state;

	assert_int_equal(command(b, RESET_DEVICE, 0), 0);
	set_reg(b, R_WQS, 4, QUEUE_SIZE + 1);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0x14);
	set_reg(b, R_WQS, 4, QUEUE_SIZE);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0x16); /* in no group */
	set_reg(b, R_GROUPS, 8, 1);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0x15);
	set_reg(b, R_GROUPS + 32, 8, 1);
	set_reg(b, R_GROUPS + 64 + 32, 8, 2);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0x15);
	set_reg(b, R_GROUPS + 64, 8, 1);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0x16);
	set_reg(b, R_GROUPS + 64, 8, 2);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0x16); /* without a size */
	set_reg(b, R_WQS, 4, QUEUE_SIZE - 1);
	set_reg(b, R_WQS + 64, 4, 1);
	set_reg(b, R_GROUPS + 64 + 32, 8, 3);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0x17);
	set_reg(b, R_GROUPS + 64 + 32, 8, 2);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0);
	set_reg(b, R_WQS + 3 * 64 + 8, 4, 0x11);
	assert_int_equal(command(b, ENABLE_WQ, 3), 0x22);
}

static void test_command_interrupt(void **state)
{
	struct bench *b = *state;

	assert_int_equal(command(b, DRAIN_ALL, 0), 0);
	bench_wait_irqs(b, 0, 0);
	set_reg(b, R_CMD, 4, 1u << 31 | DRAIN_ALL << 20);
	bench_wait_irqs(b, 0, 1);
	assert_int_equal(reg(b, R_INTCAUSE, 4), 2);
	set_reg(b, R_CMD, 4, 1u << 31 | ENABLE_WQ << 20);
	bench_wait_irqs(b, 0, 2);
	assert_int_equal(reg(b, R_CMDSTS, 4), 0x21);
}

/* What a reset of the device leaves as it is. */
static void test_reset_device(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_NOOP, 0, 0, 0);

	set_reg(b, R_CMD, 4, 1u << 31 | DRAIN_ALL << 20);
	d.record = NOWHERE;
	submit(b, 0, &d);
	assert_int_equal(wait_swerr(b), 0x1a);
	assert_int_equal(reg(b, R_INTCAUSE, 4), 2);
	assert_int_equal(command(b, RESET_DEVICE, 0), 0);
	assert_int_equal(reg(b, R_INTCAUSE, 4), 0);
	assert_int_equal(wait_swerr(b), 0x1a);
	set_reg(b, R_CMD, 4, 1u << 31 | RESET_DEVICE << 20);
	bench_wait_irqs(b, 0, 2);
	assert_int_equal(reg(b, R_INTCAUSE, 4), 2);
	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
	assert_int_equal(reg(b, R_SWERR, 8), 0);
}

static void test_drain(void **state)
{
	struct bench *b = *state;
	struct hw_desc d[8];

	for (unsigned i = 0; i < 8; i++) {
		d[i] = desc(b, OP_MEMMOVE, PEER_IOVA, RAM_IOVA, MIB);
		submit(b, i % 4, &d[i]);
	}
	assert_int_equal(command(b, DRAIN_WQ, 0xf), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(record_of(b, &d[i])->status, 1);
	for (unsigned i = 0; i < 8; i++) {
		d[i] = desc(b, OP_MEMMOVE, PEER_IOVA, RAM_IOVA, MIB);
		submit(b, i % 4, &d[i]);
	}
	assert_int_equal(command(b, DISABLE_DEVICE, 0), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(record_of(b, &d[i])->status, 1);
}

/* Drains, disables and resets while descriptors come, for as long as it takes. */
static void test_abort(void **state)
{
	static const unsigned codes[] = {ABORT_ALL, ABORT_WQ, RESET_WQ, RESET_DEVICE};
	struct bench *b = *state;

	for (unsigned i = 0; i < 4; i++) {
		struct hw_desc batch = run_long(b, 0), queued, other;
		bool one = codes[i] == ABORT_WQ || codes[i] == RESET_WQ;
		unsigned long accesses;

		queued = desc(b, OP_NOOP, 0, 0, 0);
		other = desc(b, OP_MEMMOVE, PEER_IOVA, RAM_IOVA, 64);
		submit(b, 0, &queued);
		submit(b, 3, &other);
		wait_for(b, &other); /* its own engine */
		assert_int_equal(command(b, codes[i], one ? 1 : 0), 0);
		accesses = atomic_load(&b->dev->accesses);
		assert_int_equal(record_of(b, &batch)->status, 0);
		assert_int_equal(record_of(b, &queued)->status, 0);
		assert_int_equal(reg(b, R_WQS + 24, 4) >> 30 & 1,
				 codes[i] == ABORT_ALL || codes[i] == ABORT_WQ);
		assert_int_equal(reg(b, R_WQS + 64 + 24, 4) >> 30 & 1,
				 codes[i] != RESET_DEVICE);
		assert_int_equal(atomic_load(&b->dev->accesses), accesses);
		assert_int_equal(command(b, RESET_DEVICE, 0), 0);
		bench_configure(b);
	}
}

/* ---- in the middle --------------------------------------------------------------- */

static void test_function_reset_while_busy(void **state)
{
	struct bench *b = *state;
	struct hw_desc d, queued;
	unsigned long accesses;

	run_long(b, 0);
	run_long(b, 3);
	queued = desc(b, OP_NOOP, 0, 0, 0);
	submit(b, 0, &queued);
	set_reg(b, R_CMD, 4, DISABLE_DEVICE << 20);
	assert_int_equal(reg(b, R_CMDSTS, 4), 1u << 31);
	assert_int_equal(reg(b, R_GENSTS, 4), 2);
	assert_int_equal(reg(b, R_WQS + 24, 4) >> 30, 2);
	set_reg(b, R_CMD, 4, ENABLE_WQ << 20); /* ignored: one at a time */
	assert_true(reg(b, R_SWERR, 8) == 0x5201);
	fake_write(b->dev, 2, 0, 8, 1); /* an eighth of a descriptor */
	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
	accesses = atomic_load(&b->dev->accesses);
	assert_int_equal(record_of(b, &queued)->status, 0);
	assert_int_equal(reg(b, R_CMDSTS, 4), 0);
	assert_int_equal(reg(b, R_GENSTS, 4), 0);
	assert_int_equal(reg(b, R_GROUPS, 8), 0);
	assert_int_equal(reg(b, R_INTCAUSE, 4), 0);
	d = desc(b, OP_NOOP, 0, 0, 0);
	submit(b, 0, &d);
	assert_int_equal(atomic_load(&b->dev->accesses), accesses);
	assert_int_equal(reg(b, R_SWERR, 8), 0);

	bench_configure(b);
	d = desc(b, OP_MEMMOVE, PEER_IOVA, RAM_IOVA, 64);
	assert_int_equal(execute(b, &d)->status, 1);
}

/* A revoke in the middle: what was in flight is waited for, then it faults. */
static void test_unmap_while_busy(void **state)
{
	struct bench *b = *state;
	struct hw_desc batch = run_long(b, 0);

	fake_unmap(b->dev, PEER_IOVA);
	memset(b->peer, 0x11, PEER_BYTES);
	assert_int_equal(wait_for(b, &batch)->status, 5);
	assert_int_equal(wait_swerr(b), 3); /* the copies have no records */
	for (unsigned i = 0; i < PEER_BYTES; i++)
		assert_int_equal(b->peer[i], 0x11);
}

static void test_no_master(void **state)
{
	struct bench *b = *state;
	struct hw_desc d = desc(b, OP_NOOP, 0, 0, 0);

	fake_set_master(b->dev, false);
	submit(b, 0, &d);
	assert_int_equal(wait_swerr(b), 0x1a);
	fake_set_master(b->dev, true);
	assert_int_equal(execute(b, &d)->status, 1);
}

/* ---- creation -------------------------------------------------------------------- */

static void test_options(void **state)
{
	static const struct {
		const char *name, *value;
		bool good;
	} cases[] = {
		{"wqs", "1", true},
		{"wqs", "16", true},
		{"wqs", "17", false},
		{"engines", "8", true},
		{"engines", "0", false},
		{"max-transfer", "64K", true},
		{"max-transfer", "2G", true},
		{"max-transfer", "3M", false},
		{"max-transfer", "4G", false},
		{"pasid", "1", true},
		{"pri", "1", true},
		{"pri", "2", false},
		{"queues", "1", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct uiommufd_option option = {cases[i].name, cases[i].value};
		struct uiommufd_device *dev;
		int err = fake_device_create(&dsa_model, &option, 1, false, &dev);

		assert_int_equal(err == 0, cases[i].good);
		if (err)
			assert_non_null(strstr(dev->error, cases[i].name));
		fake_device_destroy(dev);
	}
}

static void test_broken(void **state)
{
	struct bench b = {0};

	assert_int_equal(fake_device_create(&dsa_model, NULL, 0, true, &b.dev), 0);
	assert_int_equal(reg(&b, R_WQCAP + 2, 1), 8);
	assert_int_equal(reg(&b, R_ENGCAP, 1), 4);
	assert_int_equal(command(&b, RESET_DEVICE, 0), 0);
	assert_int_equal(command(&b, ENABLE_DEVICE, 0), 0x03);
	fake_reset(b.dev, UIOMMUFD_RESET_FUNCTION);
	fake_device_destroy(b.dev);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_faults),
		TEST(test_illegal),
		TEST(test_configured_limits),
		TEST(test_swerr),
		TEST(test_swerr_of_records),
		TEST(test_portal_errors),
		TEST(test_command_errors),
		TEST(test_queue_errors),
		TEST(test_configuration_errors),
		TEST(test_command_interrupt),
		TEST(test_reset_device),
		TEST(test_drain),
		TEST(test_abort),
		TEST(test_function_reset_while_busy),
		TEST(test_unmap_while_busy),
		TEST(test_no_master),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
