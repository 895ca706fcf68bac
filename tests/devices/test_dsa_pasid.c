/* SPDX-License-Identifier: MIT */
/*
 * The DSA model against docs/devices/dsa.md: shared queues, PASIDs, page requests.
 */
#include "dsa_bench.h"

#define SHARED    (PRIORITY | PASID_ENABLE)
#define UNLIMITED 0
#define LIMITED   4096

/* What PASID 7 sees where the function itself sees RAM; its records are its own, too. */
#define SEVEN 7u

struct seven {
	uint8_t *ram;
	struct hw_record *records;
};

static struct seven attach(struct bench *b, uint32_t pasid)
{
	struct seven s = {calloc(1, RAM_BYTES), calloc(RECORDS, sizeof(*s.records))};

	fake_map_pasid(b->dev, pasid, RAM_IOVA, s.ram, RAM_BYTES, FAKE_RW);
	fake_map_pasid(b->dev, pasid, DONE_IOVA, s.records, RECORDS * sizeof(*s.records),
		       FAKE_RW);
	return s;
}

static void detach(struct bench *b, struct seven *s)
{
	/* Nothing uses it any more: a reset has seen to it. */
	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
	free(s->ram);
	free(s->records);
}

static struct hw_record *sevens(struct bench *b, const struct seven *s,
				const struct hw_desc *d)
{
	return s->records + (record_of(b, d) - b->records);
}

static bool enqcmd(struct bench *b, unsigned wq, unsigned page, const struct hw_desc *d)
{
	return write_64(b, 2, wq * 16384 + page, d, true);
}

static unsigned wait_status(struct bench *b, const struct hw_record *r)
{
	while (!__atomic_load_n(&r->status, __ATOMIC_ACQUIRE))
		sched_yield();
	pthread_rwlock_rdlock(&b->dev->space);
	pthread_rwlock_unlock(&b->dev->space);
	return r->status;
}

static void wait_record(struct bench *b, const struct hw_record *r, unsigned status)
{
	assert_int_equal(wait_status(b, r), status);
}

static struct hw_desc fill(struct bench *b, uint32_t pasid, unsigned byte)
{
	struct hw_desc d = desc(b, OP_FILL, RAM_IOVA, byte, 1);

	d.pasid = pasid;
	return d;
}

/* ---- what it says of itself ------------------------------------------------------ */

static void test_capabilities(void **state)
{
	struct bench *b = *state;
	const struct uiommufd_device_desc *d = &b->dev->desc;

	assert_int_equal(d->nr_ext_caps, 3);
	assert_int_equal(d->ext_caps[0].id, 0x1b);
	assert_int_equal(((const uint8_t *)d->ext_caps[0].bytes)[1], 20);
	assert_int_equal(d->ext_caps[1].id, 0x0f);
	assert_int_equal(d->ext_caps[2].id, 0x13);
	assert_int_equal(reg(b, R_GENCAP, 8) & 1, 1);
	assert_int_equal(reg(b, R_WQCAP, 8) >> 48 & 7, 7);
	assert_int_equal(reg(b, R_CMDCAP, 4), 0x1ffe);
}

static void test_modes(void **state)
{
	static const struct {
		uint32_t mode, error;
	} cases[] = {
		{PRIORITY, 0x26},
		{PRIORITY | PASID_ENABLE, 0},
		{PRIORITY | PASID_ENABLE | BLOCK_ENABLE | NO_ATS, 0},
		{PRIORITY | DEDICATED, 0},
		{PRIORITY | DEDICATED | WQ_PASID(0xfffff), 0},
		{PRIORITY | DEDICATED | NO_PRS, 0x2e},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		command(b, DISABLE_WQ, 1);
		set_reg(b, R_WQS + 8, 4, cases[i].mode);
		assert_int_equal(command(b, ENABLE_WQ, 0), cases[i].error);
	}
}

/* ---- shared queues --------------------------------------------------------------- */

static void test_shared(void **state)
{
	struct bench *b = *state;
	struct seven s = attach(b, SEVEN);
	struct hw_desc own, its;
	uint64_t words[8];

	reconfigure(b, 3, 8, SHARED);
	own = fill(b, 0, 0x11);
	its = fill(b, SEVEN, 0x77);
	assert_true(enqcmd(b, 3, LIMITED, &own));
	wait_record(b, record_of(b, &own), 1);
	assert_true(enqcmd(b, 3, UNLIMITED + 64 * 5, &its));
	wait_record(b, sevens(b, &s, &its), 1);
	assert_int_equal(b->ram[0], 0x11);
	assert_int_equal(s.ram[0], 0x77);

	/* Posted writes are not for it, whole or in pieces; it is no register, either. */
	its = fill(b, SEVEN, 0x88);
	assert_false(write_64(b, 2, 3 * 16384, &its, false));
	memcpy(words, &its, 64);
	for (unsigned i = 0; i < 8; i++)
		fake_write(b->dev, 2, 3 * 16384 + i * 8, 8, words[i]);
	assert_false(write_64(b, 0, R_WQS, &its, true));
	/* Nor is a deferrable one for a dedicated queue, or one that is disabled. */
	assert_false(enqcmd(b, 0, UNLIMITED, &its));
	assert_int_equal(command(b, DISABLE_WQ, 8), 0);
	assert_false(enqcmd(b, 3, UNLIMITED, &its));
	assert_int_equal(sevens(b, &s, &its)->status, 0);
	assert_int_equal(reg(b, R_SWERR, 8), 0);
	detach(b, &s);
}

/* Until it is told to come again: nothing is lost, and nothing is an error. */
static void test_threshold(void **state)
{
	struct bench *b = *state;
	struct hw_desc first = fill(b, 0, 1);
	unsigned n = 0;

	reconfigure(b, 1, 4, SHARED);
	run_long(b, 0); /* their engine is busy */
	while (enqcmd(b, 1, LIMITED, &first))
		n++;
	assert_int_equal(n, 4);
	set_reg(b, R_WQS + 64 + 4, 4, 6); /* at any time */
	while (enqcmd(b, 1, LIMITED, &first))
		n++;
	assert_int_equal(n, 6);
	while (enqcmd(b, 1, UNLIMITED, &first))
		n++;
	assert_int_equal(n, QUEUE_SIZE / 4);
	set_reg(b, R_WQS + 64 + 4, 4, 0xffff);
	assert_false(enqcmd(b, 1, LIMITED, &first));
	set_reg(b, R_WQS + 64 + 4, 4, 0);
	assert_int_equal(reg(b, R_WQS + 64 + 24, 2), QUEUE_SIZE / 4);
	assert_int_equal(command(b, ABORT_WQ, 1), 0);
	assert_int_equal(command(b, DRAIN_WQ, 2), 0);
	assert_int_equal(record_of(b, &first)->status, 1);
	assert_false(enqcmd(b, 1, LIMITED, &first));
	assert_true(enqcmd(b, 1, UNLIMITED, &first));
	assert_int_equal(reg(b, R_SWERR, 8), 0);
}

/* ---- PASIDs ---------------------------------------------------------------------- */

static void test_dedicated(void **state)
{
	struct bench *b = *state;
	struct seven s = attach(b, SEVEN);
	struct hw_desc d;

	/* The queue's, whatever the descriptor says; to nowhere, if nothing is there. */
	reconfigure(b, 0, 0, PRIORITY | DEDICATED | WQ_PASID(SEVEN));
	d = fill(b, 9, 0x77);
	submit(b, 0, &d);
	wait_record(b, sevens(b, &s, &d), 1);
	assert_int_equal(s.ram[0], 0x77);
	assert_int_equal(b->ram[0], 0);
	reconfigure(b, 0, 0, PRIORITY | DEDICATED | WQ_PASID(9));
	d = fill(b, SEVEN, 0x88);
	submit(b, 0, &d);
	assert_int_equal(wait_swerr(b), 0x1a);
	assert_int_equal(reg(b, R_SWERR, 8) >> 40, 9);
	/* Without it, the function's own. */
	reconfigure(b, 0, 0, PRIORITY | DEDICATED);
	d = fill(b, SEVEN, 0x11);
	assert_int_equal(execute(b, &d)->status, 1);
	assert_int_equal(b->ram[0], 0x11);
	detach(b, &s);
}

/* Of a batch's descriptors it is the batch's; the list is where it says, too. */
static void test_batch(void **state)
{
	struct bench *b = *state;
	struct seven s = attach(b, SEVEN);
	struct hw_desc list[3], batch = desc(b, OP_BATCH, 0, RAM_IOVA + 4096, 3);

	set_reg(b, R_PERM + 2 * 8, 4, 8 | SEVEN << 12);

	for (unsigned i = 0; i < 3; i++) {
		list[i] = fill(b, i * 5, 0x70 + i);
		list[i].dst += i;
	}
	list[2].flags |= RCI;
	list[2].vector = 2;
	memcpy(s.ram + 4096, list, sizeof(list));
	batch.pasid = SEVEN | PRIV;
	reconfigure(b, 3, 8, SHARED);
	assert_true(enqcmd(b, 3, LIMITED, &batch));
	wait_record(b, sevens(b, &s, &batch), 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(s.ram[i], 0x70 + i);
		assert_int_equal(sevens(b, &s, &list[i])->status, 1);
	}
	bench_wait_irqs(b, 2, 1);
	detach(b, &s);
}

/* More PASIDs than ports that are kept, over and over. */
static void test_many(void **state)
{
	struct bench *b = *state;
	uint8_t memory[10] = {0};
	struct hw_desc d;

	reconfigure(b, 3, 8, SHARED);
	for (uint32_t i = 0; i < 10; i++)
		fake_map_pasid(b->dev, 100 + i, RAM_IOVA, memory + i, 1, FAKE_RW);
	for (unsigned round = 1; round < 4; round++) {
		for (uint32_t i = 0; i < 10; i++) {
			d = fill(b, 100 + i, round);
			d.flags &= ~(uint32_t)(CRAV | RCR);
			while (!enqcmd(b, 3, LIMITED, &d))
				sched_yield();
		}
		assert_int_equal(command(b, DRAIN_ALL, 0), 0);
		for (unsigned i = 0; i < 10; i++)
			assert_int_equal(memory[i], round);
	}
	/* No memory for another one is an error of the hardware. */
	b->dev->fail_channel = true;
	d = fill(b, 200, 1);
	assert_true(enqcmd(b, 3, LIMITED, &d));
	assert_int_equal(wait_swerr(b), 0x20);
	assert_int_equal(reg(b, R_SWERR, 8) >> 40, 200);
	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
}

/* A user's descriptor signals only what is its own, if users may at all. */
static void test_interrupts(void **state)
{
	static const struct {
		uint32_t perm, status, irqs;
	} cases[] = {
		{0, 0x19, 0},
		{8 | 6 << 12, 0x19, 0},
		{8 | SEVEN << 12, 0x01, 1},
		{8 | 4 | SEVEN << 12, 0x01, 0},
	};
	struct bench *b = *state;
	struct seven s = attach(b, SEVEN);
	struct hw_desc d;

	reconfigure(b, 3, 8, SHARED);
	d = fill(b, SEVEN, 1);
	d.flags |= RCI;
	d.vector = 2;
	assert_true(enqcmd(b, 3, LIMITED, &d));
	wait_record(b, sevens(b, &s, &d), 0x11);
	assert_int_equal(sevens(b, &s, &d)->bad_flags, RCI);

	assert_int_equal(command(b, RESET_DEVICE, 0), 0);
	set_reg(b, R_GENCFG, 4, 1 << 12);
	bench_configure(b);
	reconfigure(b, 3, 8, SHARED);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned before = atomic_load(&b->dev->irqs[2]);

		set_reg(b, R_PERM + 2 * 8, 4, cases[i].perm);
		d = fill(b, SEVEN, 1);
		d.flags |= RCI;
		d.vector = 2;
		assert_true(enqcmd(b, 3, LIMITED, &d));
		wait_record(b, sevens(b, &s, &d), cases[i].status);
		assert_int_equal(command(b, DRAIN_ALL, 0), 0);
		assert_int_equal(atomic_load(&b->dev->irqs[2]) - before, cases[i].irqs);
	}
	detach(b, &s);
}

/* With privilege it need not be a user's that may; SWERR tells whose it was. */
static void test_privileged(void **state)
{
	struct bench *b = *state;
	struct seven s = attach(b, SEVEN);
	struct hw_desc d;

	reconfigure(b, 3, 8, SHARED);
	set_reg(b, R_PERM + 2 * 8, 4, 8 | SEVEN << 12);
	d = fill(b, SEVEN | PRIV, 1);
	d.flags |= RCI;
	d.vector = 2;
	assert_true(enqcmd(b, 3, LIMITED, &d));
	bench_wait_irqs(b, 2, 1);
	d = fill(b, SEVEN | PRIV, 1);
	d.flags &= ~(uint32_t)(CRAV | RCR);
	d.dst = NOWHERE;
	assert_true(enqcmd(b, 3, LIMITED, &d));
	assert_int_equal(wait_swerr(b), 3);
	/* a fill by PASID 7, privileged: a write to where nothing is */
	assert_true(reg(b, R_SWERR, 8) == UINT64_C(0x000007040003036d));
	assert_true(reg(b, R_SWERR + 16, 8) == NOWHERE);
	detach(b, &s);
}

static void test_abort_pasid(void **state)
{
	struct bench *b = *state;
	struct seven s = attach(b, SEVEN);
	struct hw_desc busy, plain, its[3], own;

	reconfigure(b, 1, 32, SHARED);
	busy = run_long(b, 0);
	plain = desc(b, OP_NOOP, 0, 0, 0);
	submit(b, 2, &plain);
	/* What is of no PASID is not of 0, either. */
	set_reg(b, R_CMD, 4, ABORT_PASID << 20);
	assert_int_equal(reg(b, R_CMDSTS, 4), 1u << 31);
	assert_int_equal(reg(b, R_WQS + 2 * 64 + 24, 2), 1);
	assert_int_equal(wait_for(b, &busy)->status, 1);
	assert_int_equal(wait_for(b, &plain)->status, 1);
	while (reg(b, R_CMDSTS, 4))
		sched_yield();

	busy = run_long(b, 0);
	for (unsigned i = 0; i < 3; i++) {
		its[i] = fill(b, SEVEN, 0x70 + i);
		assert_true(enqcmd(b, 1, LIMITED, &its[i]));
		own = fill(b, 0, 0x10 + i);
		assert_true(enqcmd(b, 1, LIMITED, &own));
	}
	set_reg(b, R_CMD, 4, ABORT_PASID << 20 | SEVEN);
	assert_int_equal(reg(b, R_WQS + 64 + 24, 2), 3);
	/* Nor what the engine executes. */
	assert_int_equal(record_of(b, &busy)->status, 0);
	assert_int_equal(wait_for(b, &busy)->status, 1);
	assert_int_equal(command(b, DRAIN_PASID, 0), 0);
	assert_int_equal(record_of(b, &own)->status, 1);
	assert_int_equal(b->ram[0], 0x12);
	assert_int_equal(s.ram[0], 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sevens(b, &s, &its[i])->status, 0);
	detach(b, &s);
}

/* The one in execution, which would not end by itself in this test's life. */
static void test_abort_running_pasid(void **state)
{
	struct bench *b = *state;
	struct hw_desc d;

	reconfigure(b, 1, 32, SHARED);
	fake_map_pasid(b->dev, SEVEN, LIST_IOVA, b->list, LIST_SIZE * sizeof(*b->list),
		       FAKE_READ);
	fake_map_pasid(b->dev, SEVEN, RAM_IOVA, b->ram, RAM_BYTES, FAKE_RW);
	fake_map_pasid(b->dev, SEVEN, PEER_IOVA, b->peer, PEER_BYTES, FAKE_RW);
	for (unsigned i = 0; i < LIST_SIZE; i++)
		b->list[i] = (struct hw_desc){.flags = OP_MEMMOVE << 24,
					      .src = RAM_IOVA,
					      .dst = PEER_IOVA,
					      .size = 2 * MIB};
	d = desc(b, OP_BATCH, 0, LIST_IOVA, LIST_SIZE);
	d.pasid = SEVEN;
	assert_true(enqcmd(b, 1, LIMITED, &d));
	while (reg(b, R_WQS + 64 + 24, 2))
		sched_yield();
	assert_int_equal(command(b, ABORT_PASID, SEVEN), 0);
	assert_int_equal(reg(b, R_SWERR, 8), 0);
	assert_int_equal(record_of(b, &d)->status, 0);
}

/* ---- many at once ---------------------------------------------------------------- */

#define CLIENTS 3
#define ROUNDS  300

struct client {
	struct bench *b;
	uint32_t pasid;
	unsigned wq, right;
	struct hw_record record;
	uint64_t from[2], to;
	pthread_t thread;
};

/* Submits, waits for the record, looks at what was copied; over and over. */
static void *use_queue(void *arg)
{
	struct client *c = arg;
	struct hw_desc d = {
		.pasid = c->pasid,
		.flags = CRAV | RCR | OP_MEMMOVE << 24,
		.record = DONE_IOVA,
		.dst = PEER_IOVA,
		.size = 8,
	};

	for (unsigned i = 0; i < ROUNDS; i++) {
		d.src = RAM_IOVA + i % 2 * 8;
		while (!enqcmd(c->b, c->wq, LIMITED, &d))
			sched_yield();
		c->right += wait_status(c->b, &c->record) == 1 && c->to == c->from[i % 2];
		memset(&c->record, 0, sizeof(c->record));
	}
	return NULL;
}

/*
 * Clients of several PASIDs in two queues of two engines, with one place for all but
 * one of them; meanwhile others' PASIDs are drained and aborted.
 */
static void test_clients(void **state)
{
	struct bench *b = *state;
	struct client c[CLIENTS];

	reconfigure(b, 1, 1, SHARED);
	reconfigure(b, 3, 1, SHARED);
	for (unsigned i = 0; i < CLIENTS; i++) {
		c[i] = (struct client){.b = b,
				       .pasid = SEVEN + i,
				       .wq = i ? 3 : 1,
				       .from = {2 * i + 1, 2 * i + 2}};
		fake_map_pasid(b->dev, SEVEN + i, RAM_IOVA, c[i].from, 16, FAKE_READ);
		fake_map_pasid(b->dev, SEVEN + i, PEER_IOVA, &c[i].to, 8, FAKE_RW);
		fake_map_pasid(b->dev, SEVEN + i, DONE_IOVA, &c[i].record, 32, FAKE_RW);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&c[i].thread, NULL, use_queue, &c[i]), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		assert_int_equal(
			command(b, i % 2 ? DRAIN_PASID : ABORT_PASID, SEVEN + CLIENTS),
			0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		pthread_join(c[i].thread, NULL);
		assert_int_equal(c[i].right, ROUNDS);
	}
	assert_int_equal(reg(b, R_SWERR, 8), 0);
	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
}

/* ---- page requests --------------------------------------------------------------- */

#define LATER UINT64_C(0x70000000)

struct pager {
	uint8_t memory[8192];
	uint64_t at[16];
	uint32_t pasid;
	bool write;
	atomic_bool deny;
	atomic_uint asked;
};

/* Maps what it is asked for, page by page. */
static bool page_in(struct uiommufd_device *dev, uint32_t pasid, uint64_t iova,
		    bool write)
{
	struct pager *p = dev->page_arg;
	uint64_t page = iova & ~UINT64_C(4095);
	unsigned n = atomic_load(&p->asked);

	p->at[n % 16] = iova;
	p->pasid = pasid;
	p->write = write;
	if (!atomic_load(&p->deny))
		fake_map_pasid(dev, pasid, page, p->memory + page % 8192, 4096, FAKE_RW);
	atomic_store(&p->asked, n + 1);
	return !atomic_load(&p->deny);
}

static struct pager *begin_pager(struct bench *b)
{
	struct pager *p = calloc(1, sizeof(*p));

	b->dev->page_arg = p;
	b->dev->page = page_in;
	return p;
}

static void end_pager(struct bench *b, struct pager *p)
{
	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
	free(p);
}

/* Accesses to data ask if the queue lets them and the descriptor says so. */
static void test_block_on_fault(void **state)
{
	struct bench *b = *state;
	struct pager *p = begin_pager(b);
	struct hw_desc d = desc(b, OP_MEMMOVE, LATER + 100, RAM_IOVA, 4096);
	const struct hw_record *r;

	memset(b->ram, 0x5a, 4096);
	d.flags |= BLOCK;
	assert_int_equal(execute(b, &d)->status, 0x11);
	reconfigure(b, 0, 0, PRIORITY | DEDICATED | BLOCK_ENABLE);
	d = desc(b, OP_MEMMOVE, LATER + 100, RAM_IOVA, 4096);
	r = execute(b, &d);
	assert_int_equal(r->status, 0x83);
	assert_true(r->address == LATER + 100);
	assert_int_equal(atomic_load(&p->asked), 0);

	d = desc(b, OP_MEMMOVE, LATER + 100, RAM_IOVA, 4096);
	d.flags |= BLOCK;
	assert_int_equal(execute(b, &d)->status, 1);
	assert_int_equal(atomic_load(&p->asked), 2);
	assert_true(p->at[0] == LATER + 100 && p->at[1] == LATER + 4096 && p->write);
	assert_int_equal(p->pasid, 0);
	assert_memory_equal(p->memory + 100, b->ram, 4096);

	/* In vain. */
	atomic_store(&p->deny, true);
	d = desc(b, OP_MEMMOVE, RAM_IOVA, LATER + 4096, 8192);
	d.flags |= BLOCK;
	r = execute(b, &d);
	assert_int_equal(r->status, 0x04);
	assert_int_equal(r->completed, 4096);
	assert_true(r->address == LATER + 8192);
	d = desc(b, OP_FILL, LATER + 8192, 0, 8);
	d.flags |= BLOCK;
	assert_int_equal(execute(b, &d)->status, 0x84);
	assert_int_equal(atomic_load(&p->asked), 4);

	/* Not in a batch that says nothing, or in a queue without ATS. */
	b->list[0] = b->list[1] = desc(b, OP_FILL, LATER + 8192, 0, 8);
	d = desc(b, OP_BATCH, 0, LIST_IOVA, 2);
	assert_int_equal(execute(b, &d)->status, 5);
	assert_int_equal(record_of(b, &b->list[0])->status, 0x83);
	reconfigure(b, 0, 0, PRIORITY | DEDICATED | BLOCK_ENABLE | NO_ATS);
	d = desc(b, OP_FILL, LATER + 8192, 0, 8);
	d.flags |= BLOCK;
	assert_int_equal(execute(b, &d)->status, 0x83);
	assert_int_equal(atomic_load(&p->asked), 4);
	end_pager(b, p);
}

/* Lists and records do in any case; with the PASID of the descriptor. */
static void test_lists_and_records_ask(void **state)
{
	struct bench *b = *state;
	struct pager *p = begin_pager(b);
	struct hw_desc d = desc(b, OP_BATCH, 0, LATER, 2), noop = {.flags = 0};

	reconfigure(b, 3, 8, SHARED);
	d.pasid = SEVEN;
	d.record = LATER + 4096;
	assert_true(enqcmd(b, 3, LIMITED, &d));
	assert_int_equal(command(b, DRAIN_ALL, 0), 0);
	assert_int_equal(atomic_load(&p->asked), 2);
	assert_true(p->at[0] == LATER && p->at[1] == LATER + 4096 + 8);
	assert_int_equal(p->pasid, SEVEN);
	assert_int_equal(p->memory[4096], 1); /* two no-ops */
	assert_int_equal(reg(b, R_SWERR, 8), 0);

	atomic_store(&p->deny, true);
	noop = desc(b, OP_NOOP, 0, 0, 0);
	noop.pasid = SEVEN;
	noop.record = NOWHERE;
	assert_true(enqcmd(b, 3, LIMITED, &noop));
	assert_int_equal(wait_swerr(b), 0x1a);
	d = desc(b, OP_BATCH, 0, NOWHERE, 2);
	d.pasid = SEVEN;
	d.record = LATER + 4096 + 32;
	assert_true(enqcmd(b, 3, LIMITED, &d));
	assert_int_equal(command(b, DRAIN_ALL, 0), 0);
	assert_int_equal(p->memory[4096 + 32], 6);
	assert_int_equal(atomic_load(&p->asked), 4);
	end_pager(b, p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup_pasid, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_capabilities),
		TEST(test_modes),
		TEST(test_shared),
		TEST(test_threshold),
		TEST(test_dedicated),
		TEST(test_batch),
		TEST(test_many),
		TEST(test_interrupts),
		TEST(test_privileged),
		TEST(test_abort_pasid),
		TEST(test_abort_running_pasid),
		TEST(test_clients),
		TEST(test_block_on_fault),
		TEST(test_lists_and_records_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
