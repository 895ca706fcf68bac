/* SPDX-License-Identifier: MIT */
/*
 * Nested translation: a guest's tables, of every page size and in every kind of memory,
 * what is refused in them, what a walk records in them, what stays cached and what does
 * not; and random tables against a reference that looks each page up bit by bit.
 *
 * The guest: GPA 0 to 64 MiB is one window, in which the tables lie as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/first_stage.h"
#include "core/pt_vtd_s1.h"
#include "port/port.h"
#include "tests/core/dma_world.h"

#define PAGE      (4 * K)
#define GUEST     (64 * M)
#define TABLES    (32 * M) /* GPA of the first table; the root */
#define RWU       (VTD_S1_P | VTD_S1_RW | VTD_S1_US)
#define PROT_RW   (PT_READ | PT_WRITE)
#define BOTH_HALF ((uint64_t)0xffff << 48)

struct guest {
	struct dma_world w;
	struct test_window ram;
	struct first_stage fs;
	uint64_t next_table; /* GPA */
};

static void guest_init(struct guest *g, enum window_type type)
{
	world_init(&g->w);
	window_init(&g->ram, g->w.phys, type, GUEST);
	assert_int_equal(map(g->w.d, 0, &g->ram, 0, GUEST, PROT_RW), 0);
	first_stage_init(&g->fs, g->w.d, TABLES, false);
	g->next_table = TABLES + PAGE;
	dma_requester_attach_path(&g->w.r, &g->fs.path);
}

static void guest_finish(struct guest *g)
{
	dma_requester_attach(&g->w.r, NULL);
	unmap(g->w.d, 0, GUEST);
	window_finish(&g->ram, g->w.phys);
	world_finish(&g->w);
}

static _Atomic uint64_t *entry_at(struct guest *g, uint64_t gpa)
{
	return (_Atomic uint64_t *)(void *)(g->ram.mem + gpa);
}

/* The entry of @level for @iova, tables made on the way. */
static _Atomic uint64_t *entry_of(struct guest *g, uint64_t iova, unsigned level)
{
	uint64_t table = TABLES;

	for (unsigned l = 3;; l--) {
		_Atomic uint64_t *e =
			entry_at(g, table + ((iova >> (12 + 9 * l)) & 511) * 8);

		if (l == level)
			return e;
		if (!(*e & VTD_S1_P)) {
			*e = g->next_table | RWU;
			g->next_table += PAGE;
		}
		table = *e & VTD_S1_ADDRESS;
	}
}

static void guest_map(struct guest *g, uint64_t iova, uint64_t gpa, unsigned level,
		      uint64_t bits)
{
	*entry_of(g, iova, level) = gpa | bits | (level ? VTD_S1_PS : 0);
}

/* Reads one byte; the reason why not. */
static enum dma_fault_reason try_read(struct guest *g, uint64_t iova, uint8_t *byte)
{
	struct dma_fault f = {.reason = DMA_FAULT_NONE};

	dma_read(&g->w.ch, iova, byte, 1, &f);
	assert_true(f.reason == DMA_FAULT_NONE || (f.iova == iova && !f.write));
	return f.reason;
}

static enum dma_fault_reason try_write(struct guest *g, uint64_t iova, uint8_t byte)
{
	struct dma_fault f = {.reason = DMA_FAULT_NONE};

	dma_write(&g->w.ch, iova, &byte, 1, &f);
	assert_true(f.reason == DMA_FAULT_NONE || (f.iova == iova && f.write));
	return f.reason;
}

static void expect_byte(struct guest *g, uint64_t iova, uint64_t gpa)
{
	uint8_t byte = 0;

	g->ram.mem[gpa] = (uint8_t)(gpa >> 12 ^ iova ^ 0x5a);
	assert_int_equal(try_read(g, iova, &byte), DMA_FAULT_NONE);
	assert_int_equal(byte, g->ram.mem[gpa]);
	assert_int_equal(try_write(g, iova, (uint8_t)~byte), DMA_FAULT_NONE);
	assert_int_equal(g->ram.mem[gpa], (uint8_t)~byte);
}

static void sizes(enum window_type type)
{
	struct guest g;

	guest_init(&g, type);
	guest_map(&g, 0x7000, 5 * PAGE, 0, RWU);
	guest_map(&g, 0x40000000, 2 * M, 1, RWU);
	/* 1 GiB, of which the guest has the first 64 MiB. */
	guest_map(&g, 5 * 512 * G, 0, 2, RWU);
	guest_map(&g, BOTH_HALF | 0x800000000000, 9 * PAGE, 0, RWU);

	expect_byte(&g, 0x7123, 5 * PAGE + 0x123);
	expect_byte(&g, 0x40000000, 2 * M);
	expect_byte(&g, 0x401fffff, 4 * M - 1);
	expect_byte(&g, 5 * 512 * G + 11 * M + 3, 11 * M + 3);
	expect_byte(&g, BOTH_HALF | 0x800000000fff, 9 * PAGE + 0xfff);
	assert_int_equal(try_write(&g, 0x6fff, 0), DMA_FAULT_UNMAPPED);
	assert_int_equal(try_write(&g, 0x8000, 0), DMA_FAULT_UNMAPPED);
	assert_int_equal(try_write(&g, 0x40200000, 0), DMA_FAULT_UNMAPPED);
	/* The first stage goes further than the guest's memory. */
	assert_int_equal(try_write(&g, 5 * 512 * G + GUEST, 0), DMA_FAULT_UNMAPPED);
	guest_finish(&g);
}

static void test_page_sizes(void **state)
{
	sizes(WINDOW_RAM);
}

static void test_device_memory(void **state)
{
	sizes(WINDOW_MMIO);
}

/* Neither tables nor data can be reached from inside a section. */
static void test_remote_memory(void **state)
{
	sizes(WINDOW_REMOTE);
}

/* Copies have two sides, each with tables to be walked aside. */
static void test_copies(void **state)
{
	for (int type = WINDOW_RAM; type <= WINDOW_REMOTE; type += 2) {
		struct guest g;

		guest_init(&g, (enum window_type)type);
		for (unsigned i = 0; i < 64; i++) {
			guest_map(&g, 0x100000 + i * PAGE, (127 - i) * PAGE, 0, RWU);
			guest_map(&g, 0x80000000 + i * PAGE, (128 + 2 * i) * PAGE, 0,
				  RWU);
		}
		for (unsigned i = 0; i < 64 * PAGE; i++)
			g.ram.mem[64 * PAGE + i] = (uint8_t)(i * 7 + i / PAGE);
		assert_int_equal(dma_copy(&g.w.ch, 0x80000010, 0x100000, 60 * PAGE, NULL),
				 0);
		for (unsigned i = 0; i < 60 * PAGE; i++) {
			uint64_t to = 0x10 + i, from = i;

			assert_int_equal(
				g.ram.mem[(128 + 2 * (to / PAGE)) * PAGE + to % PAGE],
				g.ram.mem[(127 - from / PAGE) * PAGE + from % PAGE]);
		}
		guest_finish(&g);
	}
}

static void test_permissions(void **state)
{
	struct guest g;
	uint8_t byte;

	guest_init(&g, WINDOW_RAM);
	guest_map(&g, 0x1000, PAGE, 0, VTD_S1_P | VTD_S1_US);
	guest_map(&g, 0x2000, PAGE, 0, VTD_S1_P | VTD_S1_RW);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	assert_int_equal(try_write(&g, 0x1000, 0), DMA_FAULT_PERM);
	assert_int_equal(try_read(&g, 0x2000, &byte), DMA_FAULT_PERM);

	/* Of an upper level they hold for all below. */
	guest_map(&g, 0x200000, PAGE, 0, RWU);
	*entry_of(&g, 0x200000, 1) &= ~VTD_S1_RW;
	assert_int_equal(try_read(&g, 0x200000, &byte), DMA_FAULT_NONE);
	assert_int_equal(try_write(&g, 0x200000, 0), DMA_FAULT_PERM);
	*entry_of(&g, 0x200000, 1) |= VTD_S1_RW;
	*entry_of(&g, 0x200000, 2) &= ~VTD_S1_US;
	first_stage_invalidate(&g.fs);
	assert_int_equal(try_read(&g, 0x200000, &byte), DMA_FAULT_PERM);
	*entry_of(&g, 0x200000, 2) |= VTD_S1_US;

	/* And of the parent. */
	assert_int_equal(map(g.w.d, G, &g.ram, 0, PAGE, PT_READ), 0);
	guest_map(&g, 0x3000, G, 0, RWU);
	assert_int_equal(try_read(&g, 0x3000, &byte), DMA_FAULT_NONE);
	assert_int_equal(try_write(&g, 0x3000, 0), DMA_FAULT_PERM);
	unmap(g.w.d, G, PAGE);
	guest_finish(&g);
}

static void test_refused(void **state)
{
	static const struct {
		unsigned level;
		uint64_t bits;
	} reserved[] = {
		{3, VTD_S1_PS},           /* no page is that large */
		{2, VTD_S1_PS | 1 << 13}, /* below its address */
		{2, VTD_S1_PS | 1 << 29},
		{1, VTD_S1_PS | 1 << 20},
	};
	struct guest g;
	uint8_t byte;

	guest_init(&g, WINDOW_RAM);
	guest_map(&g, 0x1000, PAGE, 0, RWU);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	/* Not canonical, though the 48 bits are those of what is mapped. */
	assert_int_equal(try_read(&g, 0x1000000001000, &byte), DMA_FAULT_UNMAPPED);
	assert_int_equal(try_read(&g, BOTH_HALF | 0x1000, &byte), DMA_FAULT_UNMAPPED);
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
		_Atomic uint64_t *e = entry_of(&g, 0x1000, reserved[i].level);
		uint64_t old = *e;

		*e = reserved[i].bits | RWU;
		first_stage_invalidate(&g.fs);
		assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_UNMAPPED);
		*e = old;
	}
	first_stage_invalidate(&g.fs);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	/* Tables where there is no memory, and a root that is none. */
	*entry_of(&g, 0x40000000, 2) = GUEST | RWU;
	assert_int_equal(try_read(&g, 0x40000000, &byte), DMA_FAULT_UNMAPPED);
	dma_requester_attach(&g.w.r, NULL);
	first_stage_init(&g.fs, g.w.d, ~(uint64_t)0, false);
	dma_requester_attach_path(&g.w.r, &g.fs.path);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_UNMAPPED);
	guest_finish(&g);
}

static void test_table_cut_off(void **state)
{
	struct guest g;

	guest_init(&g, WINDOW_RAM);
	guest_map(&g, 0x1000, PAGE, 0, RWU);
	assert_int_equal(port_guard_install(), 0);
	window_truncate(&g.ram, TABLES);
	assert_int_equal(try_write(&g, 0x1000, 1), DMA_FAULT_ABORT);
	window_truncate(&g.ram, GUEST);
	g.next_table = TABLES + PAGE;
	guest_map(&g, 0x1000, PAGE, 0, RWU);
	assert_int_equal(try_write(&g, 0x1000, 1), DMA_FAULT_NONE);
	guest_finish(&g);
}

static void marks(enum window_type type)
{
	_Atomic uint64_t *leaf, *upper;
	struct guest g;
	uint8_t byte;

	guest_init(&g, type);
	guest_map(&g, 0x1000, PAGE, 0, RWU);
	leaf = entry_of(&g, 0x1000, 0);
	upper = entry_of(&g, 0x1000, 1);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	assert_int_equal(*leaf, PAGE | RWU | VTD_S1_A);
	assert_true(*upper & VTD_S1_A);
	/* What a read has cached does not let a write pass unrecorded. */
	assert_int_equal(try_write(&g, 0x1000, 1), DMA_FAULT_NONE);
	assert_int_equal(*leaf, PAGE | RWU | VTD_S1_A | VTD_S1_D);
	assert_false(*upper & VTD_S1_D);

	/* The guest takes the bit back and says so. */
	*leaf &= ~VTD_S1_D;
	first_stage_invalidate(&g.fs);
	assert_int_equal(try_write(&g, 0x1000, 1), DMA_FAULT_NONE);
	assert_true(*leaf & VTD_S1_D);

	/* EAFE. */
	assert_false(*leaf & VTD_S1_EA);
	dma_requester_attach(&g.w.r, NULL);
	g.fs.mark_ea = true;
	dma_requester_attach_path(&g.w.r, &g.fs.path);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	assert_true(*leaf & VTD_S1_EA && *upper & VTD_S1_EA);
	guest_finish(&g);
}

static void test_marks(void **state)
{
	marks(WINDOW_RAM);
	marks(WINDOW_REMOTE);
}

/* Marks are writes: not where the parent forbids them, and they make its pages dirty. */
static void note_dirty(void *arg, uint64_t iova, uint64_t bytes)
{
	uint64_t *seen = arg;

	if (iova >= TABLES)
		*seen += bytes;
}

static void test_marks_are_writes(void **state)
{
	struct guest g;
	uint64_t seen = 0;
	uint8_t byte;

	guest_init(&g, WINDOW_RAM);
	guest_map(&g, 0x1000, PAGE, 0, RWU);
	unmap(g.w.d, 0, GUEST);
	assert_int_equal(map(g.w.d, 0, &g.ram, 0, GUEST, PT_READ), 0);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_PERM);
	unmap(g.w.d, 0, GUEST);
	g.w.d->tracks_dirty = true;
	assert_int_equal(map(g.w.d, 0, &g.ram, 0, GUEST, PROT_RW), 0);
	domain_track_dirty(g.w.d, true);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	domain_read_dirty(g.w.d, 0, GUEST, false, note_dirty, &seen);
	assert_int_not_equal(seen, 0);
	seen = 0;
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	domain_read_dirty(g.w.d, 0, GUEST, false, note_dirty, &seen);
	assert_int_equal(seen, 0);
	guest_finish(&g);
}

static void test_cached_until_invalidated(void **state)
{
	struct guest g;
	uint8_t byte = 0;

	guest_init(&g, WINDOW_RAM);
	guest_map(&g, 0x1000, PAGE, 0, RWU | VTD_S1_A | VTD_S1_D);
	g.ram.mem[PAGE] = 1;
	g.ram.mem[2 * PAGE] = 2;
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	*entry_of(&g, 0x1000, 0) = 2 * PAGE | RWU;
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	assert_int_equal(byte, 1);
	first_stage_invalidate(&g.fs);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	assert_int_equal(byte, 2);
	guest_finish(&g);
}

/* The parent takes memory away from under both stages. */
static void test_parent_unmaps(void **state)
{
	struct guest g;
	uint8_t byte;

	guest_init(&g, WINDOW_RAM);
	assert_int_equal(map(g.w.d, G, &g.ram, 0, 2 * M, PROT_RW), 0);
	guest_map(&g, 0x1000, G, 0, RWU);
	guest_map(&g, 0x2000, PAGE, 0, RWU);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	unmap(g.w.d, G, 2 * M);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_UNMAPPED);
	assert_int_equal(try_read(&g, 0x2000, &byte), DMA_FAULT_NONE);
	unmap(g.w.d, 0, GUEST);
	assert_int_equal(try_read(&g, 0x2000, &byte), DMA_FAULT_UNMAPPED);
	guest_finish(&g);
}

/* From one path to another over the same domain, and to the domain itself. */
static void test_change_of_path(void **state)
{
	struct first_stage other;
	struct guest g;
	uint8_t byte = 0;

	guest_init(&g, WINDOW_RAM);
	guest_map(&g, 0x1000, 3 * PAGE, 0, RWU);
	g.ram.mem[3 * PAGE] = 3;
	g.ram.mem[PAGE] = 1;
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	assert_int_equal(byte, 3);
	dma_requester_attach(&g.w.r, g.w.d);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	assert_int_equal(byte, 1);
	first_stage_init(&other, g.w.d, TABLES + 512 * PAGE, false);
	dma_requester_attach_path(&g.w.r, &other.path);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_UNMAPPED);
	dma_requester_attach_path(&g.w.r, &g.fs.path);
	assert_int_equal(try_read(&g, 0x1000, &byte), DMA_FAULT_NONE);
	assert_int_equal(byte, 3);
	guest_finish(&g);
}

/* ---- random tables --------------------------------------------------------------------
 */

static uint64_t roll(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1d >> 11;
}

/* What the tables say, looked up the slow way. False: no translation. */
static bool reference(struct guest *g, uint64_t iova, bool write, uint64_t *gpa)
{
	uint64_t table = TABLES;

	for (int level = 3; level >= 0; level--) {
		uint64_t span = PAGE << (9 * level);
		uint64_t e = *entry_at(g, table + iova / span % 512 * 8);

		if (!(e & VTD_S1_P) || !(e & VTD_S1_US) || (write && !(e & VTD_S1_RW)))
			return false;
		table = e & VTD_S1_ADDRESS;
		if (level == 0 || e & VTD_S1_PS) {
			*gpa = table + iova % span;
			return *gpa < GUEST;
		}
	}
	return false;
}

/* IOVAs from few subtrees, so that they meet. */
static uint64_t some_iova(uint64_t *r)
{
	return (roll(r) % 2) * 512 * G + (roll(r) % 3) * G + (roll(r) % 3) * 2 * M +
	       (roll(r) % 6) * PAGE;
}

static void change(struct guest *g, uint64_t *r)
{
	uint64_t iova = some_iova(r);
	unsigned level = roll(r) % 8 ? 0 : 1;
	uint64_t bits = roll(r) % 5 ? RWU : roll(r) % 8;
	_Atomic uint64_t *e = entry_of(g, iova, level);

	/* A large page over a table, or the reverse, would lose tables; keep what is. */
	if (level && *e & VTD_S1_P && !(*e & VTD_S1_PS))
		return;
	if (!level && *entry_of(g, iova, 1) & VTD_S1_PS)
		return;
	*e = ((roll(r) % 7 * 2 * M) + (level ? 0 : roll(r) % 512 * PAGE)) | bits |
	     (level ? VTD_S1_PS : 0);
	if (!(bits & VTD_S1_P))
		*e = 0;
}

static void random_tables(enum window_type type, uint64_t seed)
{
	uint64_t r = seed;
	struct guest g;

	guest_init(&g, type);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t iova, gpa = 0;
		bool write, known;
		uint8_t byte = 0;

		if (roll(&r) % 3 == 0) {
			change(&g, &r);
			first_stage_invalidate(&g.fs);
		}
		iova = some_iova(&r) + roll(&r) % PAGE;
		write = roll(&r) % 2;
		known = reference(&g, iova, write, &gpa);
		if (known && gpa < TABLES)
			g.ram.mem[gpa] = (uint8_t)i;
		if (write && known && gpa < TABLES) {
			assert_int_equal(try_write(&g, iova, (uint8_t)(i + 1)), 0);
			assert_int_equal(g.ram.mem[gpa], (uint8_t)(i + 1));
		} else if (!write) {
			assert_int_equal(!try_read(&g, iova, &byte), known);
			assert_true(!known || byte == g.ram.mem[gpa]);
		} else if (!known) {
			assert_int_not_equal(try_write(&g, iova, 0), 0);
		}
	}
	guest_finish(&g);
}

static void test_random_tables(void **state)
{
	const char *given = getenv("TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 0x57a6e1;

	printf("TEST_SEED=%#llx\n", (unsigned long long)seed);
	random_tables(WINDOW_RAM, seed);
	random_tables(WINDOW_REMOTE, seed + 1);
}

static int no_bugs(void **state)
{
	return port_bug_count() != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_sizes),
		cmocka_unit_test(test_device_memory),
		cmocka_unit_test(test_remote_memory),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_permissions),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_table_cut_off),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_marks_are_writes),
		cmocka_unit_test(test_cached_until_invalidated),
		cmocka_unit_test(test_parent_unmaps),
		cmocka_unit_test(test_change_of_path),
		cmocka_unit_test(test_random_tables),
	};

	return cmocka_run_group_tests(tests, NULL, no_bugs);
}
