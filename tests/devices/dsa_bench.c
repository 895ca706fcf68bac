/* SPDX-License-Identifier: MIT */
#include "dsa_bench.h"

static int setup(void **state, const struct uiommufd_option *options, size_t n)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (fake_device_create(&dsa_model, options, n, false, &b->dev))
		return -1;
	b->ram = fake_map_new(b->dev, RAM_IOVA, RAM_BYTES, FAKE_RW);
	b->peer = fake_map_new(b->dev, PEER_IOVA, PEER_BYTES, FAKE_RW);
	b->ro = fake_map_new(b->dev, RO_IOVA, 4096, FAKE_READ);
	b->list =
		fake_map_new(b->dev, LIST_IOVA, LIST_SIZE * sizeof(*b->list), FAKE_READ);
	b->records =
		fake_map_new(b->dev, DONE_IOVA, RECORDS * sizeof(*b->records), FAKE_RW);
	bench_configure(b);
	*state = b;
	return 0;
}

int bench_setup(void **state)
{
	const struct uiommufd_option options[] = {{"wqs", "4"}, {"engines", "2"}};

	return setup(state, options, 2);
}

int bench_setup_pasid(void **state)
{
	const struct uiommufd_option options[] = {
		{"wqs", "4"}, {"engines", "2"}, {"pasid", "1"}, {"pri", "1"}};

	return setup(state, options, 4);
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	fake_device_destroy(b->dev);
	free(b);
	return 0;
}

uint64_t reg(struct bench *b, unsigned offset, unsigned size)
{
	return fake_read(b->dev, 0, offset, size);
}

void set_reg(struct bench *b, unsigned offset, unsigned size, uint64_t value)
{
	fake_write(b->dev, 0, offset, size, value);
}

uint32_t command(struct bench *b, unsigned code, uint32_t operand)
{
	uint32_t status;

	set_reg(b, R_CMD, 4, code << 20 | operand);
	while ((status = (uint32_t)reg(b, R_CMDSTS, 4)) >> 31)
		sched_yield();
	return status;
}

void bench_configure(struct bench *b)
{
	for (unsigned i = 0; i < 4; i++) {
		set_reg(b, R_WQS + i * 64, 4, QUEUE_SIZE / 4);
		set_reg(b, R_WQS + i * 64 + 8, 4, 1 | 1 << 4);
		set_reg(b, R_WQS + i * 64 + 12, 4, XFER_ORDER | 10 << 5);
	}
	set_reg(b, R_GROUPS, 8, 7);
	set_reg(b, R_GROUPS + 32, 8, 1);
	set_reg(b, R_GROUPS + 64, 8, 8);
	set_reg(b, R_GROUPS + 64 + 32, 8, 2);
	assert_int_equal(command(b, ENABLE_DEVICE, 0), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(command(b, ENABLE_WQ, i), 0);
}

void reconfigure(struct bench *b, unsigned wq, uint32_t threshold, uint32_t mode)
{
	assert_int_equal(command(b, DISABLE_WQ, 1u << wq), 0);
	set_reg(b, R_WQS + wq * 64 + 4, 4, threshold);
	set_reg(b, R_WQS + wq * 64 + 8, 4, mode);
	assert_int_equal(command(b, ENABLE_WQ, wq), 0);
}

bool write_64(struct bench *b, unsigned bar, uint64_t offset, const void *bytes,
	      bool deferrable)
{
	bool accepted;

	pthread_mutex_lock(&b->dev->regs);
	accepted =
		b->dev->ops.mmio_write_64(b->dev->model, bar, offset, bytes, deferrable);
	pthread_mutex_unlock(&b->dev->regs);
	return accepted;
}

struct hw_desc desc(struct bench *b, unsigned opcode, uint64_t dst, uint64_t src,
		    uint32_t size)
{
	unsigned n = b->next++ % RECORDS;

	memset(&b->records[n], 0, sizeof(b->records[n]));
	return (struct hw_desc){
		.flags = CRAV | RCR | opcode << 24,
		.record = DONE_IOVA + n * sizeof(b->records[0]),
		.src = src,
		.dst = dst,
		.size = size,
	};
}

struct hw_record *record_of(struct bench *b, const struct hw_desc *d)
{
	return &b->records[(d->record - DONE_IOVA) / sizeof(b->records[0])];
}

void submit(struct bench *b, unsigned wq, const struct hw_desc *d)
{
	uint64_t words[8];

	memcpy(words, d, sizeof(words));
	for (unsigned i = 0; i < 8; i++)
		fake_write(b->dev, 2, wq * 16384 + i * 8, 8, words[i]);
}

const struct hw_record *wait_for(struct bench *b, const struct hw_desc *d)
{
	const struct hw_record *r = record_of(b, d);

	while (!__atomic_load_n(&r->status, __ATOMIC_ACQUIRE))
		sched_yield();
	/* All accesses of the model take this lock: who has it sees what they wrote. */
	pthread_rwlock_rdlock(&b->dev->space);
	pthread_rwlock_unlock(&b->dev->space);
	return r;
}

const struct hw_record *execute(struct bench *b, const struct hw_desc *d)
{
	submit(b, 0, d);
	return wait_for(b, d);
}

void bench_wait_irqs(struct bench *b, unsigned vector, unsigned n)
{
	while (atomic_load(&b->dev->irqs[vector]) < n)
		sched_yield();
	assert_int_equal(atomic_load(&b->dev->irqs[vector]), n);
}

unsigned wait_swerr(struct bench *b)
{
	while (!(reg(b, R_SWERR, 8) & 1))
		sched_yield();
	return reg(b, R_SWERR, 8) >> 8 & 0xff;
}

struct hw_desc run_long(struct bench *b, unsigned wq)
{
	unsigned long before = atomic_load(&b->dev->accesses);
	struct hw_desc copy = {.flags = OP_MEMMOVE << 24,
			       .src = RAM_IOVA,
			       .dst = PEER_IOVA,
			       .size = 2 * MIB};
	struct hw_desc batch = desc(b, OP_BATCH, 0, LIST_IOVA, LIST_SIZE);

	for (unsigned i = 0; i < LIST_SIZE; i++)
		b->list[i] = copy;
	submit(b, wq, &batch);
	while (atomic_load(&b->dev->accesses) < before + 4)
		sched_yield();
	return batch;
}
