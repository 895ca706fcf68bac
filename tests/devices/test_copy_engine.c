/* SPDX-License-Identifier: MIT */
/*
 * The copy engine against its document, docs/devices/copy-engine.md: the model runs in
 * its own worker behind a fake machine, driven by the driver of the examples.
 *
 * The IO address space: RAM (with the ring at its end), a read-only page, and a "peer",
 * another device's BAR.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "devices/models.h"
#include "examples/ce_driver.h"
#include "fake_device.h"

#define MIB        (UINT64_C(1) << 20)

#define RAM_IOVA   UINT64_C(0x100000000)
#define RAM_BYTES  (8 * MIB)
#define RING_IOVA  UINT64_C(0x7000)
#define RING_SIZE  16
#define PEER_IOVA  UINT64_C(0x3800000000)
#define PEER_BYTES (4 * MIB)
#define RO_IOVA    UINT64_C(0x20000)
#define NOWHERE    UINT64_C(0xdead0000)

/* RAM and the peer again, over and over: copies from one to the other do not end. */
#define ENDLESS_RAM_IOVA  (UINT64_C(1) << 50)
#define ENDLESS_PEER_IOVA (UINT64_C(1) << 51)
#define ENDLESS_BYTES     (UINT64_C(1) << 40)
#define VRAM_BYTES        (16 * MIB)

struct bench {
	struct uiommufd_device *dev;
	struct ce ce;
	uint8_t *ram, *peer, *ro, *vram;
	struct ce_desc *ring;
};

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

static struct ce_bus bus_of(struct bench *b)
{
	return (struct ce_bus){bus_read, bus_write, b->dev};
}

static void start(struct bench *b)
{
	struct ce_bus bus = bus_of(b);

	assert_int_equal(ce_start(&b->ce, &bus, b->ring, RING_IOVA, RING_SIZE), 0);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (fake_device_create(&copy_engine_model, NULL, 0, false, &b->dev))
		return -1;
	b->ram = calloc(1, RAM_BYTES);
	b->peer = calloc(1, PEER_BYTES);
	b->ro = calloc(1, 4096);
	b->ring = calloc(RING_SIZE, sizeof(*b->ring));
	b->vram = b->dev->bar_memory[2];
	fake_map(b->dev, RAM_IOVA, b->ram, RAM_BYTES, FAKE_RW);
	fake_map(b->dev, PEER_IOVA, b->peer, PEER_BYTES, FAKE_RW);
	fake_map_endless(b->dev, ENDLESS_RAM_IOVA, b->ram, RAM_BYTES);
	fake_map_endless(b->dev, ENDLESS_PEER_IOVA, b->peer, PEER_BYTES);
	fake_map(b->dev, RO_IOVA, b->ro, 4096, FAKE_READ);
	fake_map(b->dev, RING_IOVA, b->ring, RING_SIZE * sizeof(*b->ring), FAKE_READ);
	start(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fake_device_destroy(b->dev);
	free(b->ram);
	free(b->peer);
	free(b->ro);
	free(b->ring);
	free(b);
	return 0;
}

static uint32_t xorshift(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void randomize(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)xorshift(&seed);
}

static int execute(struct bench *b, const struct ce_desc *d)
{
	int err = ce_submit(&b->ce, d);

	if (!err)
		err = ce_kick(&b->ce);
	return err ? err : ce_wait(&b->ce);
}

static void wait_state(struct bench *b, enum ce_state state)
{
	while (ce_state(&b->ce) != state)
		sched_yield();
}

static void wait_irqs(struct bench *b, unsigned vector, unsigned n)
{
	while (atomic_load(&b->dev->irqs[vector]) < n)
		sched_yield();
	assert_int_equal(atomic_load(&b->dev->irqs[vector]), n);
}

static uint32_t error_of(unsigned code, unsigned stage, bool write)
{
	return code | stage << 8 | (uint32_t)write << 16;
}

/* ---- registers ------------------------------------------------------------------- */

static void test_description(void **state)
{
	struct bench *b = *state;
	const struct uiommufd_device_desc *d = &b->dev->desc;

	assert_int_equal(d->vendor_id, 0x1234);
	assert_int_equal(d->device_id, 0xce01);
	assert_int_equal(d->class_code, 0x120000);
	assert_int_equal(d->bars[0].size, 65536);
	assert_int_equal(d->bars[2].size, VRAM_BYTES);
	assert_int_equal(d->msix_vectors, 4);
	assert_true(d->flr && d->pm);
	assert_ptr_equal(device_models[0], &copy_engine_model);
}

/* offset, bytes, reset value, bits that keep what is written in state DISABLED */
static const struct {
	unsigned offset, bytes;
	uint64_t reset, keeps;
} registers[] = {
	{0x00, 4, 0x31454355, 0}, {0x04, 4, 0x00010000, 0}, {0x08, 4, 0x00001004, 0},
	{0x0c, 4, 0, 0},          {0x10, 8, VRAM_BYTES, 0}, {0x1c, 4, 0, 0},
	{0x20, 8, 0, UINT64_MAX}, {0x28, 4, 0, UINT32_MAX}, {0x2c, 4, 0, 0},
	{0x30, 4, 0, 0},          {0x34, 4, 0, 0},          {0x38, 4, 0, 7},
	{0x3c, 4, 0, 0},          {0x40, 4, 0, 3},          {0x44, 4, 0, 0},
	{0x48, 4, 0, 0},          {0x4c, 4, 0, 0},          {0x50, 8, 0, 0},
	{0x58, 8, 0, 0},          {0x60, 8, 0, UINT64_MAX}, {0x68, 8, 0, 0},
	{0xeff8, 8, 0, 0},        {0x18, 4, 0, 0}, /* last: all ones are a RESET */
};

static void test_reset_values(void **state)
{
	struct bench *b = *state;

	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		unsigned offset = registers[i].offset, n = registers[i].bytes;

		assert_true(fake_read(b->dev, 0, offset, n) == registers[i].reset);
		fake_write(b->dev, 0, offset, n, UINT64_MAX);
		assert_true(
			fake_read(b->dev, 0, offset, n) ==
			(registers[i].keeps ? registers[i].keeps : registers[i].reset));
	}
	/* CONTROL.RESET undid what kept its value. */
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		assert_true(fake_read(b->dev, 0, registers[i].offset,
				      registers[i].bytes) == registers[i].reset);
}

static void test_access_widths(void **state)
{
	struct uiommufd_device *dev = ((struct bench *)*state)->dev;

	fake_write(dev, 0, 0x60, 8, UINT64_C(0x1122334455667788));
	assert_int_equal(fake_read(dev, 0, 0x60, 4), 0x55667788);
	assert_int_equal(fake_read(dev, 0, 0x64, 4), 0x11223344);
	assert_int_equal(fake_read(dev, 0, 0x62, 2), 0x5566);
	assert_int_equal(fake_read(dev, 0, 0x67, 1), 0x11);
	assert_int_equal(fake_read(dev, 0, 0x01, 1), 'C');
	fake_write(dev, 0, 0x60, 1, 0);
	fake_write(dev, 0, 0x62, 2, 0);
	assert_true(fake_read(dev, 0, 0x60, 8) == UINT64_C(0x1122334455667788));
	fake_write(dev, 0, 0x64, 4, 0xaabbccdd);
	assert_true(fake_read(dev, 0, 0x60, 8) == UINT64_C(0xaabbccdd55667788));
	assert_true(fake_read(dev, 0, 0x00, 8) == UINT64_C(0x0001000031454355));
	/* INT_ENABLE and INT_STATUS with one write */
	fake_write(dev, 0, 0x38, 8, UINT64_C(0x0000000700000005));
	assert_int_equal(fake_read(dev, 0, 0x38, 4), 5);
}

static void test_ring_registers_are_locked(void **state)
{
	struct bench *b = *state;

	ce_write64(&b->ce, CE_REG_RING_BASE, 0);
	ce_write32(&b->ce, CE_REG_RING_SIZE, 3);
	assert_true(ce_read64(&b->ce, CE_REG_RING_BASE) == RING_IOVA);
	assert_int_equal(ce_read32(&b->ce, CE_REG_RING_SIZE), RING_SIZE);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONTROL), CE_CONTROL_ENABLE);
}

/* ---- moving bytes ---------------------------------------------------------------- */

static void test_copy_all_ways(void **state)
{
	struct bench *b = *state;
	const uint64_t n = 3 * MIB + 4097, src = 4097, dst = 11;

	randomize(b->ram, 4 * MIB, 1);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA + dst, RAM_IOVA + src, n, 0), 0);
	assert_memory_equal(b->peer + dst, b->ram + src, n);
	assert_int_equal(b->peer[dst - 1], 0);
	assert_int_equal(b->peer[dst + n], 0);
	assert_true(ce_read64(&b->ce, CE_REG_BYTES) == n);

	assert_int_equal(ce_copy(&b->ce, dst, RAM_IOVA + src, n, CE_FLAG_DST_VRAM), 0);
	assert_memory_equal(b->vram + dst, b->ram + src, n);
	assert_int_equal(b->vram[dst + n], 0);

	assert_int_equal(ce_copy(&b->ce, VRAM_BYTES - n, dst, n,
				 CE_FLAG_DST_VRAM | CE_FLAG_SRC_VRAM),
			 0);
	assert_memory_equal(b->vram + VRAM_BYTES - n, b->ram + src, n);

	memset(b->peer, 0, PEER_BYTES);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, VRAM_BYTES - n, n, CE_FLAG_SRC_VRAM),
			 0);
	assert_memory_equal(b->peer, b->ram + src, n);
	assert_true(ce_read64(&b->ce, CE_REG_BYTES) == 4 * n);
}

static void test_copy_nothing(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ce_copy(&b->ce, NOWHERE, NOWHERE, 0, 0), 0);
	assert_int_equal(ce_copy(&b->ce, UINT64_MAX, UINT64_MAX, 0, 0), 0);
	assert_int_equal(ce_copy(&b->ce, VRAM_BYTES, VRAM_BYTES, 0,
				 CE_FLAG_SRC_VRAM | CE_FLAG_DST_VRAM),
			 0);
	assert_int_equal(ce_fill(&b->ce, NOWHERE, 5, 0, 0), 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONSUMER), 4);
}

static void check_fill(struct bench *b, uint64_t pattern, uint64_t offset, uint64_t n)
{
	for (unsigned vram = 0; vram < 2; vram++) {
		uint8_t *p = (vram ? b->vram : b->peer) + offset;
		uint64_t dst = (vram ? 0 : PEER_IOVA) + offset;

		p[-1] = p[n] = 0x77;
		assert_int_equal(
			ce_fill(&b->ce, dst, pattern, n, vram ? CE_FLAG_DST_VRAM : 0), 0);
		for (uint64_t i = 0; i < n; i++)
			assert_int_equal(p[i], (uint8_t)(pattern >> i % 8 * 8));
		assert_int_equal(p[-1], 0x77);
		assert_int_equal(p[n], 0x77);
	}
}

static void test_fill(void **state)
{
	struct bench *b = *state;

	check_fill(b, 0, 1, 100);
	check_fill(b, UINT64_C(0x5a5a5a5a5a5a5a5a), 3, MIB + 70001);
	check_fill(b, UINT64_C(0x0807060504030201), 5, MIB + 70003);
	check_fill(b, UINT64_C(0x1817161514131211), 8, 7);
	check_fill(b, UINT64_C(0x0807060504030201), 9, 13);
}

/* Random descriptors over the whole space, many times around the ring. */
static void test_against_reference(void **state)
{
	struct bench *b = *state;
	const uint32_t first_seed = (uint32_t)time(NULL) | 1;
	const uint64_t span = 64 * 1024; /* used of RAM, peer and VRAM each */
	uint8_t *area[3] = {b->ram, b->peer, b->vram};
	const uint64_t base[3] = {RAM_IOVA, PEER_IOVA, 0};
	uint32_t seed = first_seed;
	uint8_t *ref[3];

	print_message("seed %u\n", first_seed);
	for (unsigned i = 0; i < 3; i++) {
		randomize(area[i], span, first_seed + i);
		ref[i] = malloc(span);
		memcpy(ref[i], area[i], span);
	}
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t n = xorshift(&seed) % (i % 8 ? 256 : span / 2);
		uint64_t s = xorshift(&seed) % (span / 2 - n + 1);
		uint64_t d = span / 2 + xorshift(&seed) % (span / 2 - n + 1);
		unsigned from = xorshift(&seed) % 3, to = xorshift(&seed) % 3;
		struct ce_desc desc = {
			.opcode = i % 5 ? CE_OP_COPY : CE_OP_FILL,
			.flags = to == 2 ? CE_FLAG_DST_VRAM : 0,
			.src = base[from] + s,
			.dst = base[to] + d,
			.length = n,
		};

		if (xorshift(&seed) & 1) { /* the halves of an area do not overlap */
			uint64_t t = s;

			s = d, d = t;
			desc.src = base[from] + s;
			desc.dst = base[to] + d;
		}
		if (desc.opcode == CE_OP_COPY) {
			desc.flags |= from == 2 ? CE_FLAG_SRC_VRAM : 0;
			memcpy(ref[to] + d, ref[from] + s, n);
		} else {
			desc.src = (uint64_t)xorshift(&seed) << 32 | xorshift(&seed);
			for (uint64_t k = 0; k < n; k++)
				ref[to][d + k] = (uint8_t)(desc.src >> k % 8 * 8);
		}
		while (ce_submit(&b->ce, &desc) == -EAGAIN) {
			ce_kick(&b->ce);
			sched_yield();
		}
		if (xorshift(&seed) % 4 == 0)
			ce_kick(&b->ce);
	}
	ce_kick(&b->ce);
	assert_int_equal(ce_wait(&b->ce), 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONSUMER), 3000);
	for (unsigned i = 0; i < 3; i++) {
		assert_memory_equal(area[i], ref[i], span);
		free(ref[i]);
	}
}

/* ---- completion and interrupts --------------------------------------------------- */

static void test_completion_record(void **state)
{
	struct bench *b = *state;
	const struct ce_completion *record = (void *)(b->ram + 4096);
	struct ce_desc nop = {.opcode = CE_OP_NOP,
			      .flags = CE_FLAG_COMPLETION,
			      .completion = RAM_IOVA + 4096,
			      .value = UINT64_C(0xfeedfacecafebeef)};

	memset(b->ram + 4096 - 16, 0x77, 48);
	assert_int_equal(ce_copy(&b->ce, 0, RAM_IOVA, 64, CE_FLAG_DST_VRAM), 0);
	assert_int_equal(execute(b, &nop), 0);
	assert_true(record->value == nop.value);
	assert_int_equal(record->status, 0);
	assert_int_equal(record->index, 1);
	assert_int_equal(b->ram[4095], 0x77);
	assert_int_equal(b->ram[4096 + 16], 0x77);
}

static void test_interrupts(void **state)
{
	struct bench *b = *state;
	struct ce_desc nop = {
		.opcode = CE_OP_NOP, .flags = CE_FLAG_INTERRUPT, .vector = 2};

	/* not enabled: the cause is recorded, nothing is sent */
	assert_int_equal(execute(b, &nop), 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), CE_INT_COMPLETED);
	ce_write32(&b->ce, CE_REG_INT_ENABLE, 7);
	assert_int_equal(atomic_load(&b->dev->irqs[2]), 0);
	/* enabled: one for each, though the bit is still set */
	assert_int_equal(execute(b, &nop), 0);
	assert_int_equal(execute(b, &nop), 0);
	wait_irqs(b, 2, 2);
	nop.flags = 0;
	assert_int_equal(execute(b, &nop), 0);
	ce_write32(&b->ce, CE_REG_INT_STATUS, CE_INT_COMPLETED);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), 0);

	ce_write32(&b->ce, CE_REG_INT_VECTOR, 3);
	assert_int_equal(ce_copy(&b->ce, NOWHERE, RAM_IOVA, 1, 0), -EIO);
	wait_irqs(b, 3, 1);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), CE_INT_ERROR);
	assert_int_equal(ce_stop(&b->ce), 0);
	wait_irqs(b, 3, 2);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS),
			 CE_INT_ERROR | CE_INT_STOPPED);
	assert_int_equal(atomic_load(&b->dev->irqs[0]), 0);
	assert_int_equal(atomic_load(&b->dev->irqs[1]), 0);
	assert_int_equal(atomic_load(&b->dev->irqs[2]), 2);
}

/* ---- DMA faults ------------------------------------------------------------------ */

static void expect_halt(struct bench *b, uint32_t error, uint32_t index, uint64_t addr)
{
	assert_int_equal(ce_state(&b->ce), CE_STATE_HALTED);
	assert_int_equal(b->ce.error.error, error);
	assert_int_equal(b->ce.error.index, index);
	assert_true(b->ce.error.addr == addr);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONSUMER), index);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONTROL), CE_CONTROL_ENABLE);
}

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
	expect_halt(b, error_of(3, 2, false), 0, RAM_IOVA + RAM_BYTES);
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
	expect_halt(b, error_of(3, 3, true), 0, PEER_IOVA + PEER_BYTES);
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
	expect_halt(b, error_of(3, 3, true), 0, end);
	ce_skip(&b->ce);
	assert_int_equal(ce_fill(&b->ce, end - 100003, 0x0123456789abcdef, MIB, 0), -EIO);
	expect_halt(b, error_of(3, 3, true), 1, end);
}

static void test_permission_fault(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ce_copy(&b->ce, RO_IOVA + 8, RAM_IOVA, 16, 0), -EIO);
	expect_halt(b, error_of(4, 3, true), 0, RO_IOVA + 8);
	ce_skip(&b->ce);
	assert_int_equal(ce_copy(&b->ce, 0, RO_IOVA, 16, CE_FLAG_DST_VRAM), 0);
}

static void test_fetch_fault(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 16, 0), 0);
	fake_unmap(b->dev, RING_IOVA);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 16, 0), -EIO);
	expect_halt(b, error_of(3, 1, false), 1, RING_IOVA + 64);
	fake_map(b->dev, RING_IOVA, b->ring, RING_SIZE * sizeof(*b->ring), FAKE_READ);
	assert_int_equal(ce_retry(&b->ce), 0);
	assert_int_equal(ce_wait(&b->ce), 0);

	/* half a descriptor is none */
	fake_unmap(b->dev, RING_IOVA);
	fake_map(b->dev, RING_IOVA, b->ring, 2 * 64 + 32, FAKE_READ);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 16, 0), -EIO);
	expect_halt(b, error_of(3, 1, false), 2, RING_IOVA + 2 * 64 + 32);
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
	assert_int_equal(execute(b, &d), -EIO);
	expect_halt(b, error_of(3, 4, true), 0, NOWHERE + 8);
	assert_memory_equal(b->peer, b->ram, 64);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), CE_INT_ERROR);

	/* A fault of the data is the one that is told when both fault. */
	ce_skip(&b->ce);
	d.src = NOWHERE + 4096;
	assert_int_equal(execute(b, &d), -EIO);
	expect_halt(b, error_of(3, 2, false), 1, NOWHERE + 4096);
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

	assert_int_equal(execute(b, &d), -EIO);
	assert_true(record->value == 99);
	assert_int_equal(record->status, error_of(3, 2, false));
	assert_int_equal(record->index, 0);
	ce_skip(&b->ce);
	d.opcode = 0;
	d.value = 100;
	assert_int_equal(execute(b, &d), -EIO);
	assert_true(record->value == 100);
	assert_int_equal(record->status, error_of(CE_CODE_BAD_OPCODE, 5, false));
	assert_int_equal(record->index, 1);
}

static void test_no_master_and_blocked(void **state)
{
	struct bench *b = *state;

	fake_set_master(b->dev, false);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 16, 0), -EIO);
	expect_halt(b, error_of(CE_CODE_NO_MASTER, 1, false), 0, RING_IOVA);
	fake_set_master(b->dev, true);
	fake_set_attached(b->dev, false);
	ce_retry(&b->ce);
	assert_int_equal(ce_wait(&b->ce), -EIO);
	expect_halt(b, error_of(CE_CODE_BLOCKED, 1, false), 0, RING_IOVA);
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
		assert_int_equal(execute(b, &d), -EIO);                                  \
		expect_halt(b, error_of(code_, 5, false), index++, addr_);               \
		ce_skip(&b->ce);                                                         \
	} while (0)

	BAD(CE_CODE_BAD_OPCODE, 0, d.opcode = 0);
	BAD(CE_CODE_BAD_OPCODE, 0, d.opcode = 4);
	BAD(CE_CODE_BAD_OPCODE, 0, d.opcode = 255; d.flags = 0xffff; d.vector = 9);
	BAD(CE_CODE_BAD_FLAGS, 0, d.flags = 16);
	BAD(CE_CODE_BAD_FLAGS, 0, d.flags = 0x8000; d.reserved0 = 1);
	BAD(CE_CODE_BAD_FLAGS, 0, d.opcode = CE_OP_FILL; d.flags = CE_FLAG_SRC_VRAM);
	BAD(CE_CODE_BAD_FLAGS, 0, d.opcode = CE_OP_NOP; d.flags = CE_FLAG_DST_VRAM);
	BAD(CE_CODE_BAD_RESERVED, 0, d.reserved0 = 1);
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
	expect_halt(b, error_of(3, 3, true), index, UINT64_MAX - 15);
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
	wait_state(b, CE_STATE_DISABLED);
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

/* Have the engine begin a copy that does not end, with more behind it. */
static void run_long(struct bench *b)
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

	run_long(b);
	assert_int_equal(ce_stop(&b->ce), 0);
	expect_quiet(b);
	assert_true(ce_read64(&b->ce, CE_REG_RING_BASE) == RING_IOVA);
	assert_int_equal(ce_read32(&b->ce, CE_REG_CONSUMER), 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), CE_INT_STOPPED);
	start(b);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, PEER_BYTES, 0), 0);
	assert_memory_equal(b->peer, b->ram, PEER_BYTES);
}

static void test_control_reset_while_running(void **state)
{
	struct bench *b = *state;

	ce_write32(&b->ce, CE_REG_INT_ENABLE, 7);
	run_long(b);
	ce_write32(&b->ce, CE_REG_CONTROL, 0); /* a reset may come on top of a stop */
	ce_write32(&b->ce, CE_REG_CONTROL, CE_CONTROL_RESET | CE_CONTROL_ENABLE);
	wait_state(b, CE_STATE_DISABLED);
	expect_quiet(b);
	if (ce_read32(&b->ce, CE_REG_RING_SIZE)) /* the stop was over before the reset */
		fail_msg("registers survived CONTROL.RESET");
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_ENABLE), 0);
	start(b);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, PEER_BYTES, 0), 0);
}

static void test_function_reset_while_running(void **state)
{
	struct bench *b = *state;

	b->vram[5] = 0x99;
	for (unsigned i = 0; i < 10; i++) {
		run_long(b);
		fake_reset(b->dev,
			   i % 2 ? UIOMMUFD_RESET_FUNCTION : UIOMMUFD_RESET_POWER);
		expect_quiet(b);
		assert_int_equal(ce_state(&b->ce), CE_STATE_DISABLED);
		assert_int_equal(ce_read32(&b->ce, CE_REG_CONSUMER), 0);
		assert_true(ce_read64(&b->ce, CE_REG_RING_BASE) == 0);
		assert_true(ce_read64(&b->ce, CE_REG_BYTES) == 0);
		start(b);
	}
	assert_int_equal(b->vram[5], 0x99);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 4096, 0), 0);
}

/* What a revoke looks like from here: the mapping goes away under a running copy. */
static void test_unmap_while_running(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 10; i++) {
		run_long(b);
		fake_unmap(b->dev, ENDLESS_PEER_IOVA);
		memset(b->peer, 0x22, PEER_BYTES);
		assert_int_equal(ce_wait(&b->ce), -EIO);
		assert_int_equal(b->ce.error.error, error_of(3, 3, true));
		assert_true(b->ce.error.addr - ENDLESS_PEER_IOVA < ENDLESS_BYTES);
		for (size_t k = 0; k < PEER_BYTES; k += 4096)
			assert_int_equal(b->peer[k], 0x22);
		fake_map_endless(b->dev, ENDLESS_PEER_IOVA, b->peer, PEER_BYTES);
		start(b);
	}
}

static void test_destroy_while_running(void **state)
{
	run_long(*state); /* teardown does the rest */
}

/* ---- garbage --------------------------------------------------------------------- */

static void test_garbage(void **state)
{
	static const unsigned sizes[] = {1, 2, 4, 8};
	struct bench *b = *state;
	const uint32_t first_seed = (uint32_t)time(NULL) | 1;
	uint32_t seed = first_seed;

	print_message("seed %u\n", first_seed);
	fake_map(b->dev, 0, b->ram, 4096, FAKE_RW); /* rings of garbage are found there */
	for (unsigned i = 0; i < 30000; i++) {
		unsigned size = sizes[xorshift(&seed) % 4];
		/* mostly where the registers are */
		uint64_t span = xorshift(&seed) % 16 ? 0x70 : 0x10000;
		uint64_t offset = xorshift(&seed) % span & ~(uint64_t)(size - 1);
		uint64_t value = (uint64_t)xorshift(&seed) << 32 | xorshift(&seed);

		if (xorshift(&seed) % 2)
			value &= 0xff;
		switch (xorshift(&seed) % 8) {
		case 0:
			fake_read(b->dev, 0, offset, size);
			break;
		case 1: /* a ring that works, of descriptors that do not */
			fake_write(b->dev, 0, CE_REG_RING_BASE, 8, 0);
			fake_write(b->dev, 0, CE_REG_RING_SIZE, 4, 8);
			fake_write(b->dev, 0, CE_REG_CONTROL, 4, CE_CONTROL_ENABLE);
			fake_write(b->dev, 0, CE_REG_PRODUCER, 4, value & 15);
			break;
		case 2:
			if (i % 64 == 0)
				fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
			break;
		default:
			fake_write(b->dev, 0, offset, size, value);
			break;
		}
	}
	fake_unmap(b->dev, 0);
	start(b);
	assert_int_equal(ce_copy(&b->ce, PEER_IOVA, RAM_IOVA, 4096, 0), 0);
}

/* ---- creation -------------------------------------------------------------------- */

static void test_options(void **state)
{
	static const struct {
		const char *name, *value;
		uint64_t bytes; /* 0: refused */
	} cases[] = {
		{"vram", "1M", MIB},
		{"vram", "64M", 64 * MIB},
		{"vram", "16G", 16384 * MIB},
		{"vram", "32G", 0},
		{"vram", "512K", 0},
		{"vram", "3M", 0},
		{"vram", "", 0},
		{"vram", NULL, 0},
		{"vram", "lots", 0},
		{"ram", "1M", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct uiommufd_option option = {cases[i].name, cases[i].value};
		struct uiommufd_device *dev;
		int err = fake_device_create(&copy_engine_model, &option, 1, false, &dev);

		assert_int_equal(err, cases[i].bytes ? 0 : -EINVAL);
		if (!err) {
			assert_true(dev->desc.bars[2].size == cases[i].bytes);
			assert_true(fake_read(dev, 0, CE_REG_VRAM_SIZE, 8) ==
				    cases[i].bytes);
		} else {
			assert_non_null(strstr(dev->error, cases[i].name));
		}
		fake_device_destroy(dev);
	}
}

static void test_broken(void **state)
{
	struct bench b = {0};
	struct ce_bus bus;

	assert_int_equal(fake_device_create(&copy_engine_model, NULL, 0, true, &b.dev),
			 0);
	bus = bus_of(&b);
	assert_int_equal(ce_start(&b.ce, &bus, NULL, 0, 16), -EIO);
	assert_int_equal(b.ce.error.error, CE_CODE_BROKEN);
	ce_write32(&b.ce, CE_REG_PRODUCER, 1);
	ce_retry(&b.ce);
	assert_int_equal(ce_state(&b.ce), CE_STATE_HALTED);
	assert_int_equal(ce_stop(&b.ce), 0);
	fake_reset(b.dev, UIOMMUFD_RESET_FUNCTION);
	fake_device_destroy(b.dev);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_description),
		TEST(test_reset_values),
		TEST(test_access_widths),
		TEST(test_ring_registers_are_locked),
		TEST(test_copy_all_ways),
		TEST(test_copy_nothing),
		TEST(test_fill),
		TEST(test_against_reference),
		TEST(test_completion_record),
		TEST(test_interrupts),
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
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
