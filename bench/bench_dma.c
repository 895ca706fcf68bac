/* SPDX-License-Identifier: MIT */
/*
 * The DMA path: translations, page tables of a million areas, copies beside memmove() of
 * the same bytes, and what it costs to take memory away.
 *
 * Copies are in a burst, as in the run of a device's worker, where several descriptors
 * follow one another; rows "on its own" are copies by a thread that goes to sleep after
 * each.
 *
 * Targets: an IOTLB hit in 5 ns (aim 2), a random translation over 1 M areas of 4 KiB in
 * 60 ns (aim 30), copies at 0.9 of memmove()'s speed from 64 KiB up, a page mapped in 2
 * ns.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/harness.h"
#include "core/dma.h"
#include "port/port.h"

#define PAGE  PORT_PAGE_SIZE
#define MIB   ((uint64_t)1 << 20)
#define GIB   ((uint64_t)1 << 30)
#define AREAS ((uint64_t)1 << 20)
#define RW    (PT_READ | PT_WRITE)

/* IOVAs */
#define AREAS_AT (64 * GIB)
#define RAM_AT   GIB
#define BAR_AT   (2 * GIB)
#define COPY_MAX (64 * MIB)

struct world {
	struct phys *phys;
	struct domain *d;
	struct dma_requester r;
	struct dma_channel ch;
	/* 4 GiB of which nothing is ever touched; RAM and BAR that are copied. */
	struct phys_window sparse, ram, bar;
	uint32_t *order; /* a random permutation of the areas */
	uint64_t at;
	uint64_t *flat; /* one word for each area */
};

static void fail(const char *what)
{
	fprintf(stderr, "bench_dma: %s\n", what);
	exit(1);
}

static void window(struct world *w, struct phys_window *win, uint64_t length,
		   enum phys_kind kind, bool touch)
{
	int fd = memfd_create("bench", 0);

	if (fd < 0 || ftruncate(fd, length))
		fail("no memory file");
	win->host = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (win->host == MAP_FAILED)
		fail("no memory");
	if (touch)
		memset(win->host, 1, length);
	win->length = length;
	win->kind = kind;
	if (phys_add(w->phys, win))
		fail("no window");
}

static int map(struct domain *d, uint64_t iova, struct phys_window *win, uint64_t offset,
	       uint64_t length, bool large)
{
	struct run run = {win->base + offset, length, win->kind == PHYS_MMIO};
	struct run_list runs = {.v = &run, .n = 1, .cap = 1};

	return domain_map(d, iova, &runs, 0, length, RW, large);
}

static void unmap(struct domain *d, uint64_t iova, uint64_t length)
{
	struct domain_gather g = {0};

	domain_unmap(d, iova, length, &g);
	domain_gather_finish(&g);
}

static void world_init(struct world *w)
{
	uint64_t x = 88172645463325252u;

	if (phys_create(&w->phys) || domain_create(w->phys, &pt_vtd_s2, 0, &w->d))
		fail("no memory");
	dma_requester_init(&w->r);
	dma_requester_set_master(&w->r, true);
	dma_requester_attach(&w->r, w->d);
	dma_channel_init(&w->ch, &w->r);
	window(w, &w->sparse, AREAS * PAGE, PHYS_RAM, false);
	window(w, &w->ram, 2 * COPY_MAX, PHYS_RAM, true);
	window(w, &w->bar, COPY_MAX, PHYS_MMIO, true);
	w->order = calloc(AREAS, sizeof(*w->order));
	w->flat = aligned_alloc(2 * MIB, AREAS * sizeof(*w->flat));
	if (!w->order || !w->flat)
		fail("no memory");
	madvise(w->flat, AREAS * sizeof(*w->flat), MADV_HUGEPAGE);
	for (uint64_t i = 0; i < AREAS; i++)
		w->order[i] = w->flat[i] = i;
	for (uint64_t i = AREAS - 1; i > 0; i--) {
		uint64_t j;
		uint32_t t = w->order[i];

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		j = x % (i + 1);
		w->order[i] = w->order[j];
		w->order[j] = t;
	}
	if (map(w->d, RAM_AT, &w->ram, 0, 2 * COPY_MAX, true) ||
	    map(w->d, BAR_AT, &w->bar, 0, COPY_MAX, true))
		fail("cannot map");
}

static void world_finish(struct world *w)
{
	unmap(w->d, 0, UINT64_MAX);
	dma_requester_finish(&w->r);
	domain_destroy(w->d);
	phys_remove(w->phys, &w->sparse);
	phys_remove(w->phys, &w->ram);
	phys_remove(w->phys, &w->bar);
	phys_destroy(w->phys);
	free(w->order);
	free(w->flat);
}

static uint64_t next_area(struct world *w)
{
	uint64_t i = w->order[w->at++ % AREAS];

	return AREAS_AT + i * PAGE;
}

/* ---- translations --------------------------------------------------------------- */

static void translate(struct world *w, uint64_t iova)
{
	struct dma_target t;

	if (dma_translate(&w->ch, iova, false, &t, NULL))
		fail("cannot translate");
	bench_use(t.offset);
}

/* The same page as before: the entry used last. */
static void hit_same(void *arg, uint64_t n)
{
	struct world *w = arg;

	port_dma_enter();
	for (uint64_t i = 0; i < n; i++)
		translate(w, RAM_AT + (i * 64) % (2 * MIB));
	port_dma_leave();
}

/* Over 16 pages of 2 MiB in turn: the cache proper. */
static void hit_other(void *arg, uint64_t n)
{
	struct world *w = arg;

	port_dma_enter();
	for (uint64_t i = 0; i < n; i++)
		translate(w, RAM_AT + (i * (2 * MIB + 64)) % (32 * MIB));
	port_dma_leave();
}

static void miss_same(void *arg, uint64_t n)
{
	struct world *w = arg;

	port_dma_enter();
	for (uint64_t i = 0; i < n; i++) {
		dma_requester_invalidate(&w->r);
		translate(w, RAM_AT);
	}
	port_dma_leave();
}

static void translate_random(void *arg, uint64_t n)
{
	struct world *w = arg;

	port_dma_enter();
	for (uint64_t i = 0; i < n; i++)
		translate(w, next_area(w));
	port_dma_leave();
}

/* The floor: one load each from a flat array of as many entries. */
static void load_random(void *arg, uint64_t n)
{
	struct world *w = arg;
	const uint64_t *flat = w->flat;

	for (uint64_t i = 0; i < n; i++)
		bench_use(flat[(next_area(w) - AREAS_AT) / PAGE]);
}

static void section(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		port_dma_enter();
		port_dma_leave();
	}
}

static void section_in_burst(void *arg, uint64_t n)
{
	port_dma_burst_begin();
	section(arg, n);
	port_dma_burst_end();
}

static void read_descriptor(void *arg, uint64_t n)
{
	struct world *w = arg;
	unsigned char descriptor[64];

	for (uint64_t i = 0; i < n; i++)
		dma_read(&w->ch, RAM_AT + i % 1024 * 64, descriptor, sizeof(descriptor),
			 NULL);
}

static void read_descriptor_in_burst(void *arg, uint64_t n)
{
	port_dma_burst_begin();
	read_descriptor(arg, n);
	port_dma_burst_end();
}

static void read_descriptor_in_section(void *arg, uint64_t n)
{
	port_dma_enter();
	read_descriptor(arg, n);
	port_dma_leave();
}

/* ---- page tables ---------------------------------------------------------------- */

static void unmap_areas(void *arg)
{
	struct world *w = arg;

	unmap(w->d, AREAS_AT, AREAS * PAGE);
	w->at = 0;
}

static void map_areas(void *arg, uint64_t n)
{
	struct world *w = arg;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t iova = next_area(w);

		/* Nothing is contiguous with its neighbour. */
		if (map(w->d, iova, &w->sparse, (AREAS - 1) * PAGE - (iova - AREAS_AT),
			PAGE, true))
			fail("cannot map");
	}
}

static void map_all_areas(void *arg)
{
	unmap_areas(arg);
	map_areas(arg, AREAS);
	((struct world *)arg)->at = 0;
}

static void unmap_one_by_one(void *arg, uint64_t n)
{
	struct world *w = arg;

	for (uint64_t i = 0; i < n; i++)
		unmap(w->d, next_area(w), PAGE);
}

/* One gather over all: a revoke of many areas. */
static void unmap_in_one_gather(void *arg, uint64_t n)
{
	struct world *w = arg;
	struct domain_gather g = {0};

	for (uint64_t i = 0; i < n; i++)
		domain_unmap(w->d, next_area(w), PAGE, &g);
	domain_gather_finish(&g);
}

static void map_small_pages(void *arg, uint64_t n)
{
	struct world *w = arg;

	for (uint64_t i = 0; i < n; i += AREAS) {
		if (map(w->d, AREAS_AT, &w->sparse, 0, AREAS * PAGE, false))
			fail("cannot map");
	}
}

static void unmap_all_small_pages(void *arg, uint64_t n)
{
	unmap_areas(arg);
}

static void fill_small_pages(void *arg)
{
	map_small_pages(arg, AREAS);
}

static void map_unmap_gib(void *arg, uint64_t n)
{
	struct world *w = arg;

	for (uint64_t i = 0; i < n; i++) {
		if (map(w->d, 512 * GIB, &w->sparse, 0, GIB, true))
			fail("cannot map");
		unmap(w->d, 512 * GIB, GIB);
	}
}

/* ---- copies --------------------------------------------------------------------- */

struct copy {
	struct world *w;
	uint64_t n, dst, src, span;
	unsigned char *host_dst, *host_src;
};

/* Different places in turn, so that both sides meet the same caches. */
static uint64_t place(const struct copy *c, uint64_t i)
{
	return i * c->n % c->span;
}

static void copy_dma(void *arg, uint64_t n)
{
	struct copy *c = arg;

	for (uint64_t i = 0; i < n; i++)
		if (dma_copy(&c->w->ch, c->dst + place(c, i), c->src + place(c, i), c->n,
			     NULL))
			fail("cannot copy");
}

static void copy_in_burst(void *arg, uint64_t n)
{
	port_dma_burst_begin();
	copy_dma(arg, n);
	port_dma_burst_end();
}

static void copy_memmove(void *arg, uint64_t n)
{
	struct copy *c = arg;

	for (uint64_t i = 0; i < n; i++) {
		memmove(c->host_dst + place(c, i), c->host_src + place(c, i), c->n);
		bench_use((uintptr_t)c->host_dst);
	}
}

static void compare_copies(struct bench *b, struct world *w, uint64_t n, bool to_bar)
{
	struct copy c = {
		.w = w,
		.n = n,
		.dst = to_bar ? BAR_AT : RAM_AT + COPY_MAX,
		.src = RAM_AT,
		.span = n < MIB ? MIB : COPY_MAX,
		.host_dst =
			to_bar ? w->bar.host : (unsigned char *)w->ram.host + COPY_MAX,
		.host_src = w->ram.host,
	};
	const char *to = to_bar ? "BAR" : "RAM";
	char ours[64], alone[64], theirs[64];
	unsigned kib = n / 1024;

	snprintf(ours, sizeof(ours), "copy %u KiB RAM to %s", kib, to);
	snprintf(alone, sizeof(alone), "copy %u KiB RAM to %s, on its own", kib, to);
	snprintf(theirs, sizeof(theirs), "memmove %u KiB%s", kib, to_bar ? " (BAR)" : "");
	bench_compare(b,
		      &(struct bench_case){
			      .name = ours, .fn = copy_in_burst, .arg = &c, .bytes = n},
		      &(struct bench_case){
			      .name = theirs, .fn = copy_memmove, .arg = &c, .bytes = n});
	bench_compare(
		b, &(struct bench_case){.name = alone, .fn = copy_dma, .arg = &c},
		&(struct bench_case){.name = theirs, .fn = copy_memmove, .arg = &c});
}

static void guarded(void *arg, uint64_t n)
{
	struct copy *c = arg;

	for (uint64_t i = 0; i < n; i++)
		bench_use(port_copy_guarded(c->host_dst, c->host_src, c->n));
}

static void unguarded(void *arg, uint64_t n)
{
	struct copy *c = arg;

	for (uint64_t i = 0; i < n; i++) {
		memmove(c->host_dst, c->host_src, c->n);
		bench_use((uintptr_t)c->host_dst);
	}
}

static void compare_guard(struct bench *b, struct world *w, uint64_t n)
{
	struct copy c = {
		.n = n,
		.host_dst = (unsigned char *)w->ram.host + MIB,
		.host_src = w->ram.host,
	};
	char ours[64], theirs[64];

	snprintf(ours, sizeof(ours), "guarded copy, %u B", (unsigned)n);
	snprintf(theirs, sizeof(theirs), "memmove, %u B", (unsigned)n);
	bench_compare(b, &(struct bench_case){.name = ours, .fn = guarded, .arg = &c},
		      &(struct bench_case){.name = theirs, .fn = unguarded, .arg = &c});
}

/* ---- taking away ---------------------------------------------------------------- */

static void map_unmap_page(void *arg, uint64_t n)
{
	struct world *w = arg;

	for (uint64_t i = 0; i < n; i++) {
		if (map(w->d, 8 * GIB, &w->sparse, 0, PAGE, true))
			fail("cannot map");
		unmap(w->d, 8 * GIB, PAGE);
	}
}

static void drain_only(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		port_rcu_synchronize();
}

struct load {
	struct world *w;
	uint64_t bytes;
	_Atomic bool stop;
};

static void *copy_all_the_time(void *arg)
{
	struct load *l = arg;
	struct dma_channel *ch = malloc(sizeof(*ch));

	dma_channel_init(ch, &l->w->r);
	port_dma_burst_begin();
	while (!atomic_load_explicit(&l->stop, memory_order_relaxed))
		dma_copy(ch, RAM_AT + COPY_MAX, RAM_AT, l->bytes, NULL);
	port_dma_burst_end();
	free(ch);
	return NULL;
}

static void under_load(struct bench *b, struct world *w, uint64_t bytes, const char *name)
{
	struct load l = {.w = w, .bytes = bytes};
	pthread_t thread;

	if (pthread_create(&thread, NULL, copy_all_the_time, &l))
		fail("no thread");
	bench_run(b, name, map_unmap_page, w, 0);
	atomic_store(&l.stop, true);
	pthread_join(thread, NULL);
}

/* ---- */

static void run_translations(struct bench *b, struct world *w)
{
	bench_section(b, "translations");
	bench_run(b, "IOTLB hit, same page", hit_same, w, 0);
	bench_run(b, "IOTLB hit, 16 pages in turn", hit_other, w, 0);
	bench_run(b, "miss, 2 MiB page, tables in cache", miss_same, w, 0);
	map_all_areas(w);
	bench_compare(b,
		      &(struct bench_case){.name = "random over 1 M areas of 4 KiB",
					   .fn = translate_random,
					   .arg = w},
		      &(struct bench_case){.name = "random load from an array of 1 M",
					   .fn = load_random,
					   .arg = w});
	unmap_areas(w);
	bench_run(b, "empty DMA section", section, w, 0);
	bench_run(b, "empty DMA section, in a burst", section_in_burst, w, 0);
	bench_run(b, "read 64 B", read_descriptor, w, 0);
	bench_run(b, "read 64 B, in a burst", read_descriptor_in_burst, w, 0);
	bench_run(b, "read 64 B, section already open", read_descriptor_in_section, w, 0);
}

static void run_tables(struct bench *b, struct world *w)
{
	bench_section(b, "page tables");
	bench_run_case(b,
		       &(struct bench_case){.name = "map 1 M areas, random order, each",
					    .fn = map_areas,
					    .arg = w,
					    .iterations = AREAS,
					    .reset = unmap_areas});
	bench_run_case(b, &(struct bench_case){.name = "unmap and drain, 1 M areas, each",
					       .fn = unmap_one_by_one,
					       .arg = w,
					       .iterations = AREAS,
					       .reset = map_all_areas});
	bench_run_case(b,
		       &(struct bench_case){.name = "unmap 1 M areas in one gather, each",
					    .fn = unmap_in_one_gather,
					    .arg = w,
					    .iterations = AREAS,
					    .reset = map_all_areas});
	bench_run_case(b,
		       &(struct bench_case){.name = "map 4 GiB in 4 KiB pages, each page",
					    .fn = map_small_pages,
					    .arg = w,
					    .iterations = AREAS,
					    .reset = unmap_areas});
	unmap_areas(w);
	bench_run_case(
		b, &(struct bench_case){.name = "unmap 4 GiB in 4 KiB pages, each page",
					.fn = unmap_all_small_pages,
					.arg = w,
					.iterations = AREAS,
					.reset = fill_small_pages});
	bench_run(b, "map, unmap and drain 1 GiB as one page", map_unmap_gib, w, 0);
}

int main(int argc, char **argv)
{
	static const uint64_t sizes[] = {4096, 64 * 1024, 16 * MIB};
	struct bench *b = bench_create("dma", argc, argv);
	static struct world w;

	if (!b)
		return 2;
	if (port_guard_install())
		fail("no guard");
	world_init(&w);
	run_translations(b, &w);
	run_tables(b, &w);

	bench_section(b, "guarded copies");
	compare_guard(b, &w, 64);
	compare_guard(b, &w, 4096);
	bench_section(b, "copies");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		compare_copies(b, &w, sizes[i], false);
		compare_copies(b, &w, sizes[i], true);
	}

	bench_section(b, "taking away");
	bench_run(b, "grace period, nobody copies", drain_only, &w, 0);
	bench_run(b, "map, unmap and drain 4 KiB, nobody copies", map_unmap_page, &w, 0);
	under_load(b, &w, 4096, "the same, a device copies 4 KiB all the time");
	under_load(b, &w, 16 * MIB, "the same, a device copies 16 MiB all the time");
	world_finish(&w);
	return bench_finish(b);
}
