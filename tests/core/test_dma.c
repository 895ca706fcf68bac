/* SPDX-License-Identifier: MIT */
/*
 * The DMA path: a random model test of all four operations over every kind of window,
 * and single facts about faults, the IOTLB, targets that fail, and aliases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/pt_inline.h"
#include "port/port.h"
#include "tests/core/dma_world.h"

#define RW   (PT_READ | PT_WRITE)
#define PAGE PORT_PAGE_SIZE

static struct dma_fault last_fault; /* as told to on_fault */

static void on_fault(struct dma_requester *r, const struct dma_fault *f)
{
	last_fault = *f;
}

static void check_fault(const struct dma_fault *f, enum dma_fault_reason reason,
			uint64_t iova, bool write)
{
	assert_int_equal(f->reason, reason);
	assert_int_equal(f->iova, iova);
	assert_int_equal(f->write, write);
}

/* ---- the model ----------------------------------------------------------------------
 */

/*
 * IOVA pages 0 to PAGES - 1, each mapped to some page of some window or not. The model
 * keeps the windows' bytes a second time. Windows have random contents and one remote
 * window fails from some page on.
 */
#define PAGES        256u
#define WINDOW_PAGES 64u
#define WINDOWS      6u

struct model_page {
	int window; /* -1: not mapped */
	unsigned page;
	unsigned prot;
};

struct model {
	struct dma_world w;
	struct test_window windows[WINDOWS];
	unsigned char bytes[WINDOWS][WINDOW_PAGES * PAGE];
	struct model_page pages[PAGES];
	uint64_t random;
	uint64_t faults;
};

/* xorshift64* */
static uint64_t rnd(struct model *m)
{
	m->random ^= m->random >> 12;
	m->random ^= m->random << 25;
	m->random ^= m->random >> 27;
	return m->random * 0x2545f4914f6cdd1d;
}

static uint64_t below(struct model *m, uint64_t n)
{
	return (rnd(m) >> 16) % n;
}

static void model_init(struct model *m, uint64_t seed)
{
	static const enum window_type types[WINDOWS] = {
		WINDOW_RAM,    WINDOW_RAM,         WINDOW_MMIO,
		WINDOW_REMOTE, WINDOW_REMOTE_MMIO, WINDOW_REMOTE,
	};

	world_init(&m->w);
	m->w.r.on_fault = on_fault;
	m->random = seed;
	m->faults = 0;
	for (unsigned i = 0; i < WINDOWS; i++) {
		window_init(&m->windows[i], m->w.phys, types[i], WINDOW_PAGES * PAGE);
		for (unsigned j = 0; j < WINDOW_PAGES * PAGE; j++)
			m->bytes[i][j] = m->windows[i].mem[j] = rnd(m);
	}
	m->windows[WINDOWS - 1].bad_from = WINDOW_PAGES / 2 * PAGE;
	for (unsigned i = 0; i < PAGES; i++)
		m->pages[i].window = -1;
}

static void model_finish(struct model *m)
{
	unmap(m->w.d, 0, PAGES * PAGE);
	for (unsigned i = 0; i < WINDOWS; i++)
		window_finish(&m->windows[i], m->w.phys);
	world_finish(&m->w);
}

/* Map up to 40 pages of one window, in one piece, where there is room. */
static void model_map(struct model *m)
{
	unsigned n = 1 + below(m, 40), start = below(m, PAGES);
	unsigned window = below(m, WINDOWS), page = below(m, WINDOW_PAGES);
	unsigned prot = below(m, 4) ? RW : 1 + below(m, 2);

	for (unsigned i = 0; i < n; i++) {
		if (start + i == PAGES || page + i == WINDOW_PAGES ||
		    m->pages[start + i].window >= 0) {
			n = i;
			break;
		}
	}
	if (n == 0)
		return;
	assert_int_equal(map(m->w.d, start * PAGE, &m->windows[window], page * PAGE,
			     n * PAGE, prot),
			 0);
	for (unsigned i = 0; i < n; i++)
		m->pages[start + i] = (struct model_page){window, page + i, prot};
}

/* All pages are 4 KiB, so any part may be unmapped. */
static void model_unmap(struct model *m)
{
	unsigned n = 1 + below(m, 30), start = below(m, PAGES);

	if (start + n > PAGES)
		n = PAGES - start;
	unmap(m->w.d, start * PAGE, n * PAGE);
	for (unsigned i = 0; i < n; i++)
		m->pages[start + i].window = -1;
}

/*
 * The model's byte behind an IOVA, or NULL and why it cannot be reached. *@why says
 * DMA_FAULT_ABORT for pages that translate but do not answer.
 */
static unsigned char *model_at(struct model *m, uint64_t iova, bool write,
			       enum dma_fault_reason *why)
{
	const struct model_page *p = &m->pages[iova / PAGE];

	*why = DMA_FAULT_NONE;
	if (iova >= PAGES * PAGE || p->window < 0)
		*why = DMA_FAULT_UNMAPPED;
	else if (!(p->prot & (write ? PT_WRITE : PT_READ)))
		*why = DMA_FAULT_PERM;
	else if ((p->page + 1) * PAGE > m->windows[p->window].bad_from)
		*why = DMA_FAULT_ABORT;
	return *why ? NULL : &m->bytes[p->window][p->page * PAGE + iova % PAGE];
}

enum op {
	OP_READ,
	OP_WRITE,
	OP_FILL,
	OP_COPY,
	OPS,
};

static unsigned char buffer[PAGES * PAGE], expected[PAGES * PAGE];

/*
 * Do it byte by byte in the model; what fault must be seen? Of two for one byte: both
 * sides translate before either target is asked, and the source goes first.
 */
static struct dma_fault model_op(struct model *m, enum op op, uint64_t iova, uint64_t src,
				 uint64_t n, uint8_t byte)
{
	if (op != OP_COPY)
		src = iova;
	for (uint64_t i = 0; i < n; i++) {
		enum dma_fault_reason read = DMA_FAULT_NONE, write = DMA_FAULT_NONE;
		unsigned char *from = NULL, *to = NULL;

		if (op == OP_COPY || op == OP_READ)
			from = model_at(m, src + i, false, &read);
		if (op != OP_READ)
			to = model_at(m, iova + i, true, &write);
		if (read && !(read == DMA_FAULT_ABORT && write && write != read))
			return (struct dma_fault){read, src + i, false};
		if (write)
			return (struct dma_fault){write, iova + i, true};
		if (op == OP_READ)
			expected[i] = *from;
		else if (op == OP_WRITE)
			*to = buffer[i];
		else
			*to = op == OP_FILL ? byte : *from;
	}
	return (struct dma_fault){DMA_FAULT_NONE};
}

/* Copies whose two sides are the same memory are tested elsewhere. */
static bool aliased(struct model *m, uint64_t dst, uint64_t src, uint64_t n)
{
	for (uint64_t d = dst / PAGE; d <= (dst + n) / PAGE; d++)
		for (uint64_t s = src / PAGE; s <= (src + n) / PAGE; s++)
			if (d >= PAGES || s >= PAGES ||
			    (m->pages[d].window >= 0 &&
			     m->pages[d].window == m->pages[s].window &&
			     m->pages[d].page == m->pages[s].page))
				return true;
	return false;
}

static uint64_t random_length(struct model *m)
{
	switch (below(m, 4)) {
	case 0:
		return below(m, 20);
	case 1:
		return below(m, 2 * PAGE);
	default:
		return below(m, 40 * PAGE);
	}
}

static void check_windows(struct model *m)
{
	for (unsigned i = 0; i < WINDOWS; i++)
		assert_memory_equal(m->bytes[i], m->windows[i].mem, WINDOW_PAGES * PAGE);
}

/*
 * A remote device window is not read twice, so where it does not answer, the fault may
 * name any byte of the piece before the bad one; there is none in this model (only a
 * remote RAM window is bad), so faults must be exact.
 */
static void random_op(struct model *m)
{
	enum op op = below(m, OPS);
	uint64_t iova = below(m, PAGES * PAGE), src = below(m, PAGES * PAGE);
	uint64_t n = random_length(m);
	uint8_t byte = rnd(m);
	struct dma_fault got = {0}, want;
	int rc;

	if (op == OP_COPY && aliased(m, iova, src, n))
		return;
	for (uint64_t i = 0; i < n && op != OP_COPY; i++)
		buffer[i] = expected[i] = rnd(m);
	want = model_op(m, op, iova, src, n, byte);
	last_fault = (struct dma_fault){0};
	switch (op) {
	case OP_READ:
		rc = dma_read(&m->w.ch, iova, buffer, n, &got);
		break;
	case OP_WRITE:
		rc = dma_write(&m->w.ch, iova, buffer, n, &got);
		break;
	case OP_FILL:
		rc = dma_fill(&m->w.ch, iova, byte, n, &got);
		break;
	default:
		rc = dma_copy(&m->w.ch, iova, src, n, &got);
	}
	assert_int_equal(rc, want.reason ? -EFAULT : 0);
	if (rc) {
		check_fault(&got, want.reason, want.iova, want.write);
		check_fault(&last_fault, want.reason, want.iova, want.write);
		m->faults++;
	}
	if (op == OP_READ)
		assert_memory_equal(buffer, expected, want.reason ? want.iova - iova : n);
	assert_int_equal(atomic_load(&m->w.r.faults), m->faults);
}

static void test_random_model(void **state)
{
	const char *env = getenv("TEST_SEED");
	uint64_t seed = env ? strtoull(env, NULL, 0) : 0xd0a;
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	print_message("seed %#llx\n", (unsigned long long)seed);
	model_init(m, seed);
	for (unsigned i = 0; i < 3000; i++) {
		if (below(m, 10) < 4)
			model_map(m);
		else if (below(m, 10) < 3)
			model_unmap(m);
		random_op(m);
		if (i % 100 == 0)
			check_windows(m);
	}
	check_windows(m);
	assert_true(m->faults > 100 && m->faults < 2900);
	assert_true(atomic_load(&m->w.ch.hits) > 0);
	model_finish(m);
	free(m);
}

/* ---- faults -------------------------------------------------------------------------
 */

static void test_fault_reasons(void **state)
{
	struct dma_fault f = {0};
	struct test_window t;
	struct dma_world w;
	unsigned char byte;

	world_init(&w);
	w.r.on_fault = on_fault;
	window_init(&t, w.phys, WINDOW_RAM, 2 * M);
	assert_int_equal(map(w.d, 0, &t, 0, PAGE, PT_READ), 0);
	assert_int_equal(map(w.d, PAGE, &t, PAGE, PAGE, PT_WRITE), 0);

	assert_int_equal(dma_read(&w.ch, 0, &byte, 1, NULL), 0);
	assert_int_equal(dma_write(&w.ch, PAGE, &byte, 1, NULL), 0);
	assert_int_equal(dma_write(&w.ch, 5, &byte, 1, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_PERM, 5, true);
	assert_int_equal(dma_read(&w.ch, PAGE + 5, &byte, 1, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_PERM, PAGE + 5, false);
	assert_int_equal(dma_copy(&w.ch, 0, 8, 1, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_PERM, 0, true);
	assert_int_equal(dma_fill(&w.ch, 2 * PAGE, 0, 1, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_UNMAPPED, 2 * PAGE, true);
	/* Nobody wants to know; it counts all the same. */
	assert_int_equal(dma_read(&w.ch, UINT64_MAX, &byte, 1, NULL), -EFAULT);
	check_fault(&last_fault, DMA_FAULT_UNMAPPED, UINT64_MAX, false);
	assert_int_equal(atomic_load(&w.r.faults), 5);
	/* The end of the IOVA space is not continued at its beginning. */
	assert_int_equal(dma_read(&w.ch, UINT64_MAX - 1, buffer, 8, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_UNMAPPED, UINT64_MAX - 1, false);

	dma_requester_set_master(&w.r, false);
	assert_int_equal(dma_read(&w.ch, 7, &byte, 1, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_NO_MASTER, 7, false);
	dma_requester_set_master(&w.r, true);
	dma_requester_attach(&w.r, NULL);
	assert_int_equal(dma_read(&w.ch, 7, &byte, 1, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_BLOCKED, 7, false);
	/* Nothing at all is no access. */
	assert_int_equal(dma_read(&w.ch, 7, &byte, 0, &f), 0);
	assert_int_equal(dma_write(&w.ch, 7, &byte, 0, &f), 0);
	assert_int_equal(dma_fill(&w.ch, 7, 0, 0, &f), 0);
	assert_int_equal(dma_copy(&w.ch, 7, 9, 0, &f), 0);
	dma_requester_attach(&w.r, w.d);
	window_finish(&t, w.phys);
	world_finish(&w);
}

static void test_partial_progress(void **state)
{
	uint64_t n = DMA_CHUNK_BYTES * 2 + 3 * PAGE;
	struct test_window a, b;
	struct dma_fault f;
	struct dma_world w;

	world_init(&w);
	window_init(&a, w.phys, WINDOW_RAM, 4 * M);
	window_init(&b, w.phys, WINDOW_MMIO, 4 * M);
	assert_int_equal(map(w.d, 0, &a, 0, 4 * M, RW), 0);
	assert_int_equal(map(w.d, G, &b, 0, n, RW), 0);
	memset(a.mem, 0x77, 4 * M);
	assert_int_equal(dma_copy(&w.ch, G + 100, 0, n, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_UNMAPPED, G + n, true);
	for (uint64_t i = 0; i < 4 * M; i++)
		assert_int_equal(b.mem[i], i >= 100 && i < n ? 0x77 : 0);
	assert_int_equal(dma_fill(&w.ch, G + 50, 0x33, n, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_UNMAPPED, G + n, true);
	for (uint64_t i = 0; i < 4 * M; i++)
		assert_int_equal(b.mem[i], i >= 50 && i < n ? 0x33 : 0);
	unmap(w.d, 0, UINT64_MAX);
	window_finish(&a, w.phys);
	window_finish(&b, w.phys);
	world_finish(&w);
}

/* A file that its owner cuts while it is mapped: bytes before the cut are done. */
static void test_truncated_file(void **state)
{
	uint64_t cut = 1 * M + 3 * PAGE;
	struct test_window t, good;
	struct dma_fault f;
	struct dma_world w;
	unsigned char *big = malloc(2 * M);

	assert_int_equal(port_guard_install(), 0);
	assert_non_null(big);
	world_init(&w);
	window_init(&t, w.phys, WINDOW_RAM, 2 * M);
	window_init(&good, w.phys, WINDOW_RAM, 2 * M);
	assert_int_equal(map(w.d, 0, &t, 0, 2 * M, RW), 0);
	assert_int_equal(map(w.d, G, &good, 0, 2 * M, RW), 0);
	memset(t.mem, 0x12, 2 * M);
	memset(good.mem, 0x34, 2 * M);
	window_truncate(&t, cut);

	memset(big, 0, 2 * M);
	assert_int_equal(dma_read(&w.ch, 10, big, M + M / 2, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_ABORT, cut, false);
	for (uint64_t i = 0; i < cut - 10; i++)
		assert_int_equal(big[i], 0x12);
	assert_int_equal(dma_copy(&w.ch, G + 7, 10, M + M / 2, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_ABORT, cut, false);
	for (uint64_t i = 0; i < cut - 10; i++)
		assert_int_equal(good.mem[7 + i], 0x12);
	assert_int_equal(good.mem[7 + cut - 10], 0x34);
	memset(good.mem, 0x34, 2 * M);
	assert_int_equal(dma_copy(&w.ch, 10, G + 7, M + M / 2, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_ABORT, cut, true);
	for (uint64_t i = 10; i < cut; i++)
		assert_int_equal(t.mem[i], 0x34);
	assert_int_equal(dma_fill(&w.ch, 10, 0x56, M + M / 2, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_ABORT, cut, true);
	for (uint64_t i = 10; i < cut; i++)
		assert_int_equal(t.mem[i], 0x56);
	assert_int_equal(dma_write(&w.ch, cut + 5, big, 10, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_ABORT, cut + 5, true);
	/* The good part still works. */
	assert_int_equal(dma_read(&w.ch, 0, big, cut, &f), 0);
	unmap(w.d, 0, UINT64_MAX);
	window_finish(&t, w.phys);
	window_finish(&good, w.phys);
	world_finish(&w);
	free(big);
}

/* Registers are accessed once, whether they answer or not. */
static void test_remote_registers_once(void **state)
{
	struct test_window t;
	struct dma_fault f;
	struct dma_world w;

	world_init(&w);
	window_init(&t, w.phys, WINDOW_REMOTE_MMIO, 64 * K);
	assert_int_equal(map(w.d, 0, &t, 0, 64 * K, RW), 0);
	assert_int_equal(dma_read(&w.ch, 8, buffer, 8 * PAGE, &f), 0);
	assert_int_equal(atomic_load(&t.calls), 2); /* 8 PTEs are one run */
	t.bad_from = 3 * PAGE;
	atomic_store(&t.calls, 0);
	assert_int_equal(dma_read(&w.ch, 8, buffer, PAGE / 2, &f), 0);
	assert_int_equal(atomic_load(&t.calls), 1);
	assert_int_equal(dma_write(&w.ch, 4 * PAGE + 8, buffer, 4, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_ABORT, 4 * PAGE + 8, true);
	assert_int_equal(atomic_load(&t.calls), 2);
	unmap(w.d, 0, UINT64_MAX);
	window_finish(&t, w.phys);
	world_finish(&w);
}

/* ---- translation --------------------------------------------------------------------
 */

static void check_target(struct dma_world *w, uint64_t iova, const struct test_window *t,
			 uint64_t offset, uint64_t bytes)
{
	struct dma_target target;
	struct dma_fault f;

	for (int again = 0; again < 2; again++) {
		port_dma_enter();
		assert_int_equal(dma_translate(&w->ch, iova, again, &target, &f), 0);
		assert_ptr_equal(target.window, &t->w);
		assert_int_equal(target.offset, offset);
		assert_int_equal(target.bytes, bytes);
		port_dma_leave();
	}
}

static uint64_t hits(struct dma_world *w)
{
	return atomic_load(&w->ch.hits);
}

static uint64_t misses(struct dma_world *w)
{
	return atomic_load(&w->ch.misses);
}

static void test_targets(void **state)
{
	struct test_window t, small, remote;
	struct dma_target target;
	struct dma_fault f;
	struct dma_world w;
	uint64_t before;

	world_init(&w);
	window_init(&t, w.phys, WINDOW_RAM, 2 * G + 4 * M + 5 * PAGE);
	window_init(&small, w.phys, WINDOW_RAM, 16 * PAGE);
	window_init(&remote, w.phys, WINDOW_REMOTE, 4 * M);
	/* 2 GiB in two entries, 4 MiB in two, then five pages. */
	assert_int_equal(map(w.d, 4 * G, &t, 0, 2 * G + 4 * M + 5 * PAGE, RW), 0);
	check_target(&w, 4 * G + 5, &t, 5, G - 5);
	check_target(&w, 6 * G - 1, &t, 2 * G - 1, 1);
	check_target(&w, 6 * G + 4 * M - PAGE, &t, 2 * G + 4 * M - PAGE, PAGE);
	check_target(&w, 6 * G + 4 * M + PAGE + 1, &t, 2 * G + 4 * M + PAGE + 1,
		     4 * PAGE - 1);
	/* One entry serves the whole page, wherever it is touched. */
	before = misses(&w);
	for (uint64_t at = 0; at < G; at += 3 * M + 12345) {
		check_target(&w, 4 * G + at, &t, at, G - at);
		check_target(&w, 6 * G + at % (2 * M), &t, 2 * G + at % (2 * M),
			     2 * M - at % (2 * M));
	}
	assert_true(misses(&w) - before <= 1);
	assert_true(hits(&w) > 600);

	/* Pages next to each other in IOVA that are not so in the window. */
	assert_int_equal(map(w.d, 0, &small, 0, 2 * PAGE, RW), 0);
	assert_int_equal(map(w.d, 2 * PAGE, &small, 4 * PAGE, 2 * PAGE, RW), 0);
	assert_int_equal(map(w.d, 4 * PAGE, &small, 6 * PAGE, PAGE, PT_READ), 0);
	assert_int_equal(map(w.d, 5 * PAGE, &small, 7 * PAGE, 2 * PAGE, RW), 0);
	check_target(&w, 0, &small, 0, 2 * PAGE);
	check_target(&w, 2 * PAGE, &small, 4 * PAGE, 2 * PAGE);
	check_target(&w, 5 * PAGE, &small, 7 * PAGE, 2 * PAGE);
	port_dma_enter();
	assert_int_equal(dma_translate(&w.ch, 4 * PAGE, true, &target, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_PERM, 4 * PAGE, true);
	assert_int_equal(dma_translate(&w.ch, 7 * PAGE, true, &target, NULL), -EFAULT);
	port_dma_leave();
	assert_int_equal(atomic_load(&w.r.faults), 0);

	/* Remote windows translate, but are never cached. */
	assert_int_equal(map(w.d, 2 * M, &remote, 2 * M, 2 * M, RW), 0);
	before = hits(&w);
	check_target(&w, 2 * M + 9, &remote, 2 * M + 9, 2 * M - 9);
	assert_int_equal(hits(&w), before);
	unmap(w.d, 0, UINT64_MAX);
	window_finish(&t, w.phys);
	window_finish(&small, w.phys);
	window_finish(&remote, w.phys);
	world_finish(&w);
}

/* Two windows may lie next to each other; a target ends where its window does. */
static void test_windows_side_by_side(void **state)
{
	struct test_window a, b;
	struct dma_world w;

	world_init(&w);
	window_init(&a, w.phys, WINDOW_RAM, G);
	window_init(&b, w.phys, WINDOW_RAM, G);
	assert_int_equal(b.w.base, a.w.base + G);
	assert_int_equal(map(w.d, 0, &a, G - 4 * PAGE, 4 * PAGE, RW), 0);
	assert_int_equal(map(w.d, 4 * PAGE, &b, 0, 4 * PAGE, RW), 0);
	check_target(&w, PAGE + 1, &a, G - 3 * PAGE + 1, 3 * PAGE - 1);
	check_target(&w, 4 * PAGE, &b, 0, 4 * PAGE);
	for (unsigned i = 0; i < 8 * PAGE; i++)
		buffer[i] = i * 13 + i / 256;
	assert_int_equal(dma_write(&w.ch, 0, buffer, 8 * PAGE, NULL), 0);
	assert_memory_equal(a.mem + G - 4 * PAGE, buffer, 4 * PAGE);
	assert_memory_equal(b.mem, buffer + 4 * PAGE, 4 * PAGE);
	unmap(w.d, 0, UINT64_MAX);
	window_finish(&a, w.phys);
	window_finish(&b, w.phys);
	world_finish(&w);
}

/* A format whose IOVAs have all 64 bits. */
static struct pt_format wide;

static bool wide_walk(const pt_entry *root, uint64_t iova, struct pt_translation *out)
{
	return pt_walk_format(&wide, root, iova, out);
}

/* What runs past the last IOVA there is does not go on at 0. */
static void test_end_of_iova(void **state)
{
	uint64_t last_page = 0 - PAGE;
	struct test_window t;
	struct domain *d;
	struct dma_fault f;
	struct dma_world w;

	wide = pt_vtd_s2;
	wide.levels = 6;
	wide.iova_bits = 64;
	wide.walk = wide_walk;
	world_init(&w);
	assert_int_equal(domain_create(w.phys, &wide, 0, &d), 0);
	dma_requester_attach(&w.r, d);
	window_init(&t, w.phys, WINDOW_RAM, 4 * PAGE);
	assert_int_equal(map(d, last_page, &t, 0, PAGE, RW), 0);
	assert_int_equal(map(d, 0, &t, PAGE, 2 * PAGE, RW), 0);
	memset(t.mem, 0x21, 4 * PAGE);
	assert_int_equal(dma_write(&w.ch, last_page, buffer, PAGE, &f), 0);
	assert_int_equal(dma_fill(&w.ch, last_page, 0x42, 2 * PAGE, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_UNMAPPED, 0, true);
	assert_int_equal(t.mem[PAGE - 1], 0x42);
	assert_int_equal(t.mem[PAGE], 0x21);
	assert_int_equal(dma_copy(&w.ch, last_page, 0, 2 * PAGE, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_UNMAPPED, 0, true);
	assert_int_equal(dma_copy(&w.ch, 0, last_page, 2 * PAGE, &f), -EFAULT);
	check_fault(&f, DMA_FAULT_UNMAPPED, 0, false);
	assert_int_equal(t.mem[2 * PAGE], 0x21);
	unmap(d, last_page, PAGE);
	unmap(d, 0, 2 * PAGE);
	dma_requester_attach(&w.r, w.d);
	domain_destroy(d);
	window_finish(&t, w.phys);
	world_finish(&w);
}

/* A cached translation is dead once the unmap is finished, and the new one counts. */
static void test_iotlb_invalidation(void **state)
{
	struct test_window a, b;
	struct dma_channel second;
	struct dma_world w;

	world_init(&w);
	dma_channel_init(&second, &w.r);
	window_init(&a, w.phys, WINDOW_RAM, 4 * M);
	window_init(&b, w.phys, WINDOW_RAM, 4 * M);
	memset(a.mem, 1, 4 * M);
	memset(b.mem, 2, 4 * M);
	for (uint64_t size = PAGE; size <= 2 * M; size *= 512) {
		struct dma_channel *channels[] = {&w.ch, &second};
		struct test_window *now = &a;

		for (int round = 0; round < 6; round++) {
			assert_int_equal(map(w.d, 0, now, 0, size, RW), 0);
			for (int c = 0; c < 4; c++) {
				unsigned char byte = 0;

				assert_int_equal(dma_read(channels[c % 2], size - 1,
							  &byte, 1, NULL),
						 0);
				assert_int_equal(byte, now == &a ? 1 : 2);
			}
			unmap(w.d, 0, size);
			for (int c = 0; c < 2; c++)
				assert_int_equal(dma_write(channels[c], 0, "x", 1, NULL),
						 -EFAULT);
			now = now == &a ? &b : &a;
		}
	}
	assert_true(hits(&w) > 0);
	assert_int_equal(a.mem[0], 1);
	assert_int_equal(b.mem[0], 2);
	window_finish(&a, w.phys);
	window_finish(&b, w.phys);
	world_finish(&w);
}

/* A model may hold a section over several operations. */
static void test_inside_a_section(void **state)
{
	struct test_window a, remote;
	struct dma_world w;

	world_init(&w);
	window_init(&a, w.phys, WINDOW_RAM, 4 * M);
	window_init(&remote, w.phys, WINDOW_REMOTE, 4 * M);
	assert_int_equal(map(w.d, 0, &a, 0, 4 * M, RW), 0);
	assert_int_equal(map(w.d, 8 * M, &remote, 0, 4 * M, RW), 0);
	for (uint64_t i = 0; i < 4 * M; i++)
		a.mem[i] = i * 7 + i / 4096;
	port_dma_enter();
	assert_int_equal(dma_copy(&w.ch, 8 * M + 3, 5, 2 * M, NULL), 0);
	assert_int_equal(dma_copy(&w.ch, 2 * M + 8, 8 * M + 3, M, NULL), 0);
	port_dma_leave();
	assert_memory_equal(remote.mem + 3, a.mem + 5, 2 * M - 5);
	assert_memory_equal(remote.mem + 3, a.mem + 2 * M + 8, M);
	unmap(w.d, 0, UINT64_MAX);
	window_finish(&a, w.phys);
	window_finish(&remote, w.phys);
	world_finish(&w);
}

/* Two IOVAs, one memory: what overlaps is copied as if it did not. */
static void test_aliases(void **state)
{
	struct dma_world w;
	struct test_window t;

	world_init(&w);
	window_init(&t, w.phys, WINDOW_RAM, 2 * M);
	assert_int_equal(map(w.d, 0, &t, 0, 2 * M, RW), 0);
	assert_int_equal(map(w.d, 2 * M, &t, 0, 2 * M, RW), 0);
	for (unsigned i = 0; i < 100; i++)
		t.mem[i] = i;
	assert_int_equal(dma_copy(&w.ch, 2 * M + 10, 0, 100, NULL), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(t.mem[10 + i], i);
	assert_int_equal(dma_copy(&w.ch, 0, 2 * M + 10, 100, NULL), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(t.mem[i], i);
	assert_int_equal(dma_copy(&w.ch, 0, 2 * M, 2 * M, NULL), 0);
	unmap(w.d, 0, UINT64_MAX);
	window_finish(&t, w.phys);
	world_finish(&w);
}

static int no_bugs(void **state)
{
	return port_bug_count() == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_model),
		cmocka_unit_test(test_fault_reasons),
		cmocka_unit_test(test_partial_progress),
		cmocka_unit_test(test_truncated_file),
		cmocka_unit_test(test_remote_registers_once),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_windows_side_by_side),
		cmocka_unit_test(test_end_of_iova),
		cmocka_unit_test(test_iotlb_invalidation),
		cmocka_unit_test(test_inside_a_section),
		cmocka_unit_test(test_aliases),
	};

	return cmocka_run_group_tests(tests, NULL, no_bugs);
}
