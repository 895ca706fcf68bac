/* SPDX-License-Identifier: MIT */
#include "ce_bench.h"

static int bus_read(void *arg, uint64_t offset, void *value, size_t n)
{
	uint64_t v = fake_read(arg, 0, offset, (unsigned)n);

	memcpy(value, &v, n);
	return 0;
}

static int bus_write(void *arg, uint64_t offset, const void *value, size_t n)
{
	uint64_t v = 0;

	memcpy(&v, value, n);
	fake_write(arg, 0, offset, (unsigned)n, v);
	return 0;
}

struct ce_bus bench_bus(struct bench *b)
{
	return (struct ce_bus){bus_read, bus_write, b->dev};
}

void bench_start(struct bench *b)
{
	struct ce_bus bus = bench_bus(b);

	assert_int_equal(ce_start(&b->ce, &bus, b->ring, RING_IOVA, RING_SIZE), 0);
}

int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (fake_device_create(&copy_engine_model, NULL, 0, false, &b->dev))
		return -1;
	b->vram = b->dev->bar_memory[2];
	b->ram = fake_map_new(b->dev, RAM_IOVA, RAM_BYTES, FAKE_RW);
	b->peer = fake_map_new(b->dev, PEER_IOVA, PEER_BYTES, FAKE_RW);
	fake_map_endless(b->dev, ENDLESS_RAM_IOVA, b->ram, RAM_BYTES);
	fake_map_endless(b->dev, ENDLESS_PEER_IOVA, b->peer, PEER_BYTES);
	b->ro = fake_map_new(b->dev, RO_IOVA, 4096, FAKE_READ);
	b->ring =
		fake_map_new(b->dev, RING_IOVA, RING_SIZE * sizeof(*b->ring), FAKE_READ);
	bench_start(b);
	*state = b;
	return 0;
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	fake_device_destroy(b->dev);
	free(b);
	return 0;
}

int bench_execute(struct bench *b, const struct ce_desc *d)
{
	int err = ce_submit(&b->ce, d);

	if (!err)
		err = ce_kick(&b->ce);
	return err ? err : ce_wait(&b->ce);
}

void bench_wait_state(struct bench *b, enum ce_state state)
{
	while (ce_state(&b->ce) != state)
		sched_yield();
}

void bench_wait_irqs(struct bench *b, unsigned vector, unsigned n)
{
	while (atomic_load(&b->dev->irqs[vector]) < n)
		sched_yield();
	assert_int_equal(atomic_load(&b->dev->irqs[vector]), n);
}

uint32_t error_of(unsigned code, unsigned stage, bool write)
{
	return code | stage << 8 | (uint32_t)write << 16;
}

void bench_expect_halt(struct bench *b, uint32_t error, uint32_t index, uint64_t addr)
{
	assert_int_equal(ce_state(&b->ce), CE_STATE_HALTED);
	assert_int_equal(b->ce.error.error, error);
	assert_int_equal(b->ce.error.index, index);
	assert_true(b->ce.error.addr == addr);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONSUMER), index);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONTROL), CE_CONTROL_ENABLE);
}

void bench_run_long(struct bench *b)
{
	struct ce_desc d = {.opcode = CE_OP_COPY,
			    .src = ENDLESS_RAM_IOVA,
			    .dst = ENDLESS_PEER_IOVA,
			    .length = ENDLESS_BYTES};

	for (unsigned i = 0; i < RING_SIZE; i++)
		assert_int_equal(ce_submit(&b->ce, &d), 0);
	ce_kick(&b->ce);
	while (!ce_read64(&b->ce, CE_REG_BYTES))
		sched_yield();
}
