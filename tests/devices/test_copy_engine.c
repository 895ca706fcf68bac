/* SPDX-License-Identifier: MIT */
/*
 * The copy engine against its document, docs/devices/copy-engine.md: registers, moving
 * bytes, completion, interrupts, options. (test_copy_engine_errors.c has the rest.)
 */
#include "ce_bench.h"

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
	{0x00, 4, 0x31454355, 0}, {0x04, 4, 0x00010001, 0}, {0x08, 4, 0x00141004, 0},
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
	assert_true(fake_read(dev, 0, 0x00, 8) == UINT64_C(0x0001000131454355));
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

/* One IOVA means other memory with each PASID; the ring is fetched without. */
static void test_pasids(void **state)
{
	enum { N = 12 }; /* more than the engine has ports for */
	struct bench *b = *state;
	uint8_t *own[N];
	struct ce_desc d = {.opcode = CE_OP_COPY,
			    .flags = CE_FLAG_PASID | CE_FLAG_COMPLETION,
			    .src = RAM_IOVA,
			    .dst = RAM_IOVA + 256,
			    .length = 200,
			    .completion = RAM_IOVA + 512};

	randomize(b->ram, 1024, 77);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < N; i++) {
			own[i] = calloc(1, 1024);
			randomize(own[i], 256, 100 + i);
		}
		for (unsigned k = 0; k < 3 * N; k++) {
			unsigned i = k % N;

			/* The fake has few regions. */
			fake_map_pasid(b->dev, 1000 + i, RAM_IOVA, own[i], 1024, FAKE_RW);
			d.pasid = 1000 + i;
			d.value = k + 1;
			assert_int_equal(bench_execute(b, &d), 0);
			assert_memory_equal(own[i] + 256, own[i], 200);
			assert_int_equal(*(uint64_t *)(void *)(own[i] + 512), k + 1);
			memset(own[i] + 256, 0, 512);
			b->dev->regions[6].bytes = 0;
		}
		for (unsigned i = 0; i < N; i++)
			free(own[i]);
	}
	/* Nothing is attached for it, and that is not for want of memory without one. */
	d.pasid = 7;
	assert_int_equal(bench_execute(b, &d), -EIO);
	bench_expect_halt(b, error_of(3, 2, false), 6 * N, RAM_IOVA);
	ce_skip(&b->ce);
	/* PASID 0 is the same as none. */
	d.pasid = 0;
	assert_int_equal(bench_execute(b, &d), 0);
	assert_memory_equal(b->ram + 256, b->ram, 200);
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
	assert_int_equal(bench_execute(b, &nop), 0);
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
	assert_int_equal(bench_execute(b, &nop), 0);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), CE_INT_COMPLETED);
	ce_write32(&b->ce, CE_REG_INT_ENABLE, 7);
	assert_int_equal(atomic_load(&b->dev->irqs[2]), 0);
	/* enabled: one for each, though the bit is still set */
	assert_int_equal(bench_execute(b, &nop), 0);
	assert_int_equal(bench_execute(b, &nop), 0);
	bench_wait_irqs(b, 2, 2);
	nop.flags = 0;
	assert_int_equal(bench_execute(b, &nop), 0);
	ce_write32(&b->ce, CE_REG_INT_STATUS, CE_INT_COMPLETED);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), 0);

	ce_write32(&b->ce, CE_REG_INT_VECTOR, 3);
	assert_int_equal(ce_copy(&b->ce, NOWHERE, RAM_IOVA, 1, 0), -EIO);
	bench_wait_irqs(b, 3, 1);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS), CE_INT_ERROR);
	assert_int_equal(ce_stop(&b->ce), 0);
	bench_wait_irqs(b, 3, 2);
	assert_int_equal(ce_read32(&b->ce, CE_REG_INT_STATUS),
			 CE_INT_ERROR | CE_INT_STOPPED);
	assert_int_equal(atomic_load(&b->dev->irqs[0]), 0);
	assert_int_equal(atomic_load(&b->dev->irqs[1]), 0);
	assert_int_equal(atomic_load(&b->dev->irqs[2]), 2);
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
	bus = bench_bus(&b);
	assert_int_equal(ce_start(&b.ce, &bus, NULL, 0, 16), -EIO);
	assert_int_equal(b.ce.error.error, CE_CODE_BROKEN);
	ce_write32(&b.ce, CE_REG_PRODUCER, 1);
	ce_retry(&b.ce);
	assert_int_equal(ce_state(&b.ce), CE_STATE_HALTED);
	assert_int_equal(ce_stop(&b.ce), 0);
	fake_reset(b.dev, UIOMMUFD_RESET_FUNCTION);
	fake_device_destroy(b.dev);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

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
		TEST(test_pasids),
		TEST(test_against_reference),
		TEST(test_completion_record),
		TEST(test_interrupts),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
