/* SPDX-License-Identifier: MIT */
/*
 * The IOAS: what a map, a copy and a revoke cost, on the hosted port. Each domain has a
 * device attached to it; sources describe memory and pin nothing, as in the machine.
 *
 * Maps are fixed unless a row says otherwise, and a row "map+unmap" has both, with the
 * wait for the drain. Revokes are timed from the call to the return.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "core/dma.h"
#include "core/ioas.h"
#include "port/port.h"

#define PAGE     ((uint64_t)4096)
#define RW       (IOAS_READ | IOAS_WRITE)
#define GIB      ((uint64_t)1 << 30)
#define MEMORY   (64 * GIB)
#define NDOMAINS 8u
#define SPACING  ((uint64_t)1 << 16) /* IOVAs of many small areas */

static void must(int rc)
{
	if (rc) {
		fprintf(stderr, "bench_ioas: %d\n", rc);
		exit(1);
	}
}

/* ---- what is mapped ------------------------------------------------------- */

struct source {
	struct mem_source base;
	uint64_t spa;
};

static int pin(struct mem_source *base, uint64_t offset, uint64_t length, bool writable,
	       struct run_list *runs)
{
	struct source *s = container_of(base, struct source, base);

	return run_list_add(runs, (struct run){s->spa + offset, length, false}, true);
}

static void unpin(struct mem_source *base, uint64_t offset, uint64_t length)
{
}

static void destroy(struct mem_source *base)
{
	free(container_of(base, struct source, base));
}

static const struct mem_source_ops source_ops = {pin, unpin, destroy};

static struct pages *file_pages(uint64_t offset, uint64_t length)
{
	struct source *s = calloc(1, sizeof(*s));
	struct pages *p;

	s->base.ops = &source_ops;
	s->base.address = offset;
	s->base.is_file = true;
	s->spa = 64 * GIB + offset;
	must(pages_create(&s->base, length, true, &p));
	return p;
}

static uint64_t bar_spa = 256 * GIB;

static int map_phys(struct dmabuf *buf, struct run_list *runs)
{
	return run_list_add(runs, (struct run){bar_spa, buf->size, true}, false);
}

static const struct dmabuf_exporter_ops exporter = {
	.interconnects = 1u << DMABUF_IC_PHYS,
	.contracts = 1u << DMABUF_REVOCABLE,
	.map_phys = map_phys,
};

/* ---- the rig
 * ------------------------------------------------------------------------------ */

struct rig {
	struct phys *phys;
	struct phys_window window; /* for devices under load: small, where the BAR is */
	struct ioas *ioas;
	struct domain *domain[NDOMAINS];
	struct dma_requester requester[NDOMAINS];
	unsigned nr_domains;
	struct dmabuf *bar;
	uint64_t length, iova;
	uint64_t next;  /* area, for rows that spread */
	size_t present; /* areas */
};

static void rig_init(struct rig *r, unsigned nr_domains)
{
	*r = (struct rig){.nr_domains = nr_domains, .length = PAGE, .iova = GIB};
	must(phys_create(&r->phys));
	must(ioas_create(&r->ioas));
	for (unsigned i = 0; i < nr_domains; i++) {
		must(domain_create(r->phys, &pt_vtd_s2, 0, &r->domain[i]));
		dma_requester_init(&r->requester[i]);
		dma_requester_attach(&r->requester[i], r->domain[i]);
		dma_requester_set_master(&r->requester[i], true);
		must(ioas_add_domain(r->ioas, r->domain[i]));
	}
	must(dmabuf_create(&exporter, r, MEMORY, false, &r->bar));
}

static void rig_finish(struct rig *r)
{
	for (unsigned i = 0; i < r->nr_domains; i++) {
		dma_requester_finish(&r->requester[i]);
		ioas_remove_domain(r->ioas, r->domain[i]);
	}
	ioas_destroy(r->ioas);
	for (unsigned i = 0; i < r->nr_domains; i++)
		domain_destroy(r->domain[i]);
	dmabuf_put(r->bar);
	phys_destroy(r->phys);
}

static void map_pages(struct rig *r, struct pages *p, bool fixed, uint64_t *iova)
{
	must(ioas_map(r->ioas, p, 0, pages_length(p), RW, fixed, iova));
	pages_put(p);
}

static struct pages *bar_pages(struct rig *r, uint64_t start, uint64_t length)
{
	struct pages *p;

	must(pages_create_dmabuf(r->bar, start, length, true, false, &p));
	return p;
}

/* @n areas of a page each, all of one file. */
static void fill(struct rig *r, size_t n)
{
	for (; r->present < n; r->present++) {
		uint64_t iova = 2 * GIB + r->present * SPACING;

		map_pages(r, file_pages(0, PAGE), true, &iova);
	}
}

/* ---- map and unmap
 * --------------------------------------------------------------------- */

static void map_unmap_file(void *arg, uint64_t n)
{
	struct rig *r = arg;
	uint64_t unmapped;

	while (n--) {
		map_pages(r, file_pages(0, r->length), true, &r->iova);
		must(ioas_unmap(r->ioas, r->iova, r->length, &unmapped));
	}
}

static void map_unmap_bar(void *arg, uint64_t n)
{
	struct rig *r = arg;
	uint64_t unmapped;

	while (n--) {
		map_pages(r, bar_pages(r, 0, r->length), true, &r->iova);
		must(ioas_unmap(r->ioas, r->iova, r->length, &unmapped));
	}
}

static void copy_unmap(void *arg, uint64_t n)
{
	struct rig *r = arg;
	uint64_t unmapped;

	while (n--) {
		must(ioas_copy(r->ioas, r->ioas, 0, PAGE, RW, true, &r->iova));
		must(ioas_unmap(r->ioas, r->iova, PAGE, &unmapped));
	}
}

static void sizes(struct bench *b, const char *kind, bench_fn fn, unsigned nr_domains)
{
	static const struct {
		const char *name;
		uint64_t length;
	} size[] = {
		{"4 KiB", PAGE},
		{"2 MiB", 2 << 20},
		{"1 GiB", GIB},
		{"64 GiB", MEMORY},
	};
	struct rig small, r;
	char name[4][96];

	rig_init(&small, nr_domains);
	rig_init(&r, nr_domains);
	for (unsigned i = 0; i < ARRAY_LEN(size); i++) {
		struct bench_case base = {.name = name[0], .fn = fn, .arg = &small};
		struct bench_case larger = {.name = name[i], .fn = fn, .arg = &r};

		snprintf(name[i], sizeof(name[i]), "map+unmap %s of %s, %u domain%s",
			 size[i].name, kind, nr_domains, nr_domains > 1 ? "s" : "");
		r.length = size[i].length;
		if (i)
			bench_compare(b, &base, &larger);
	}
	rig_finish(&r);
	rig_finish(&small);
}

/* ---- many areas
 * ------------------------------------------------------------------------ */

/* At a random place between the areas that are there. */
static void map_among(void *arg, uint64_t n)
{
	struct rig *r = arg;
	uint64_t unmapped;

	while (n--) {
		uint64_t iova;

		r->next = r->next * 6364136223846793005u + 1442695040888963407u;
		iova = 2 * GIB + (r->next >> 33) % r->present * SPACING + SPACING / 2;
		map_pages(r, file_pages(0, PAGE), true, &iova);
		must(ioas_unmap(r->ioas, iova, PAGE, &unmapped));
	}
}

/* Behind the last area: all holes before it are too small. */
static void choose(void *arg, uint64_t n)
{
	struct rig *r = arg;
	uint64_t iova, unmapped;

	while (n--) {
		map_pages(r, file_pages(0, 2 * SPACING), false, &iova);
		must(ioas_unmap(r->ioas, iova, 2 * SPACING, &unmapped));
	}
}

static void map_known(void *arg, uint64_t n)
{
	struct rig *r = arg;
	uint64_t iova = 2 * GIB + (r->present + 16) * SPACING, unmapped;

	while (n--) {
		map_pages(r, file_pages(0, 2 * SPACING), true, &iova);
		must(ioas_unmap(r->ioas, iova, 2 * SPACING, &unmapped));
	}
}

static size_t heap_bytes(void)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd + port_pool_bytes();
}

static void many(struct bench *b, unsigned nr_domains)
{
	static const size_t counts[] = {1, 1000, 100000, 1000000};
	struct rig one, r;
	char name[2][96];

	rig_init(&one, nr_domains);
	fill(&one, 1);
	for (unsigned i = 0; i < ARRAY_LEN(counts); i++) {
		size_t n = bench_quick(b) && counts[i] > 1000 ? 1000 : counts[i];
		struct bench_case base = {.name = name[0], .fn = map_among, .arg = &one};
		struct bench_case more = {.name = name[1], .fn = map_among, .arg = &r};
		size_t before = heap_bytes();

		rig_init(&r, nr_domains);
		fill(&r, n);
		if (!nr_domains && n > 1) {
			snprintf(name[0], sizeof(name[0]), "%zu areas of a map each", n);
			bench_value(b, name[0], "B/area",
				    (double)(heap_bytes() - before) / n);
		}
		snprintf(name[0], sizeof(name[0]), "map+unmap 4 KiB, 1 area, %u domains",
			 nr_domains);
		snprintf(name[1], sizeof(name[1]),
			 "map+unmap 4 KiB, %zu areas, %u domains", n, nr_domains);
		if (i)
			bench_compare(b, &base, &more);
		/* The holes in front are 2 GiB: close them. */
		{
			uint64_t iova = 0;

			map_pages(&r, file_pages(0, 2 * GIB), true, &iova);
		}
		if (n > 1) {
			struct bench_case fixed = {
				.name = "fixed", .fn = map_known, .arg = &r};
			struct bench_case chosen = {
				.name = "chosen", .fn = choose, .arg = &r};

			snprintf(name[0], sizeof(name[0]),
				 "fixed behind %zu small holes, %u domains", n,
				 nr_domains);
			snprintf(name[1], sizeof(name[1]),
				 "chosen behind %zu small holes, %u domains", n,
				 nr_domains);
			fixed.name = name[0];
			chosen.name = name[1];
			bench_compare(b, &fixed, &chosen);
		}
		rig_finish(&r);
	}
	rig_finish(&one);
}

static void copies(struct bench *b, unsigned nr_domains)
{
	struct rig r;
	char name[96];
	uint64_t iova = 0;
	size_t before, n = bench_quick(b) ? 1000 : 1000000;

	rig_init(&r, nr_domains);
	map_pages(&r, file_pages(0, PAGE), true, &iova);
	snprintf(name, sizeof(name), "copy+unmap 4 KiB, %u domains", nr_domains);
	bench_run(b, name, copy_unmap, &r, 0);
	if (!nr_domains) {
		before = heap_bytes();
		for (size_t i = 0; i < n; i++) {
			iova = 2 * GIB + i * SPACING;
			must(ioas_copy(r.ioas, r.ioas, 0, PAGE, RW, true, &iova));
		}
		snprintf(name, sizeof(name), "%zu areas of one map", n);
		bench_value(b, name, "B/area", (double)(heap_bytes() - before) / n);
	}
	rig_finish(&r);
}

/* ---- revoke
 * ------------------------------------------------------------------------------- */

struct load {
	pthread_t thread;
	struct rig *r;
	struct dma_requester *requester;
	_Atomic bool stop;
};

#define LOAD_AT ((uint64_t)1 << 46)

static void *load_thread(void *arg)
{
	struct load *l = arg;
	struct dma_channel *ch = calloc(1, sizeof(*ch));

	dma_channel_init(ch, l->requester);
	port_dma_burst_begin();
	while (!atomic_load_explicit(&l->stop, memory_order_relaxed))
		dma_copy(ch, LOAD_AT, LOAD_AT + (1 << 20), 1 << 16, NULL);
	port_dma_burst_end();
	free(ch);
	return NULL;
}

/* A device that copies 64 KiB at a time in memory that stays. */
static void load_start(struct load *l, struct rig *r)
{
	struct source *s = calloc(1, sizeof(*s));
	uint64_t iova = LOAD_AT;
	struct pages *p;

	r->window.length = 2 << 20;
	r->window.kind = PHYS_RAM;
	r->window.host = aligned_alloc(PAGE, r->window.length);
	must(phys_add(r->phys, &r->window));
	s->base.ops = &source_ops;
	s->spa = r->window.base;
	must(pages_create(&s->base, r->window.length, true, &p));
	map_pages(r, p, true, &iova);
	*l = (struct load){.r = r, .requester = &r->requester[0]};
	pthread_create(&l->thread, NULL, load_thread, l);
}

static void load_end(struct load *l)
{
	uint64_t unmapped;

	atomic_store(&l->stop, true);
	pthread_join(l->thread, NULL);
	must(ioas_unmap(l->r->ioas, LOAD_AT, l->r->window.length, &unmapped));
	phys_remove(l->r->phys, &l->r->window);
	free(l->r->window.host);
}

/* Areas of one pages object, or of as many as there are areas; far apart, or side by
 * side. */
enum layout { SHARED, SEPARATE, ADJACENT };

static void map_areas(struct rig *r, unsigned n, enum layout layout)
{
	uint64_t spacing = layout == ADJACENT ? PAGE : SPACING;
	struct pages *p = bar_pages(r, 0, PAGE);

	for (unsigned i = 0; i < n; i++) {
		uint64_t iova = 2 * GIB + i * spacing;

		if (layout == SEPARATE) {
			map_pages(r, bar_pages(r, i * PAGE, PAGE), true, &iova);
			continue;
		}
		must(ioas_map(r->ioas, p, 0, PAGE, RW, true, &iova));
	}
	pages_put(p);
}

static void revoke(struct bench *b, unsigned n, unsigned nr_domains, enum layout layout,
		   bool loaded)
{
	static const char *const names[] = {"copies of one map", "maps", "adjacent"};
	size_t repeats = bench_quick(b) ? 5 : 301;
	double *v = calloc(repeats, sizeof(*v));
	uint64_t unmapped;
	struct load load;
	struct rig r;
	char name[128];

	rig_init(&r, nr_domains);
	if (loaded)
		load_start(&load, &r);
	for (size_t i = 0; i < repeats; i++) {
		uint64_t start;

		map_areas(&r, n, layout);
		start = bench_now();
		dmabuf_revoke(r.bar);
		v[i] = bench_now() - start;
		must(ioas_unmap(r.ioas, 2 * GIB, 1024 * SPACING, &unmapped));
		dmabuf_restore(r.bar);
	}
	if (loaded)
		load_end(&load);
	rig_finish(&r);
	snprintf(name, sizeof(name), "revoke %u areas (%s) in %u domains%s", n,
		 names[layout], nr_domains, loaded ? ", DMA running" : "");
	bench_samples(b, name, "ns", v, repeats);
	free(v);
}

static void revokes(struct bench *b, bool loaded)
{
	static const unsigned areas[] = {1, 16, 256}, domains[] = {1, 2, 8};

	for (unsigned a = 0; a < ARRAY_LEN(areas); a++)
		for (unsigned d = 0; d < ARRAY_LEN(domains); d++)
			revoke(b, areas[a], domains[d], SHARED, loaded);
	revoke(b, 256, 8, SEPARATE, loaded);
	revoke(b, 256, 8, ADJACENT, loaded);
}

/* --section NAME: only that one. */
static bool wanted(struct bench *b, const char *section)
{
	const char *only = bench_option(b, "section", section);

	return strcmp(only, section) == 0;
}

int main(int argc, char **argv)
{
	struct bench *b = bench_create("ioas", argc, argv);

	if (!b)
		return 2;
	if (wanted(b, "sizes")) {
		bench_section(b, "Map and unmap by size");
		sizes(b, "a file", map_unmap_file, 1);
		sizes(b, "a BAR", map_unmap_bar, 1);
		sizes(b, "a file", map_unmap_file, 8);
	}
	if (wanted(b, "many")) {
		bench_section(b, "With many areas");
		many(b, 0);
		many(b, 1);
		copies(b, 0);
		copies(b, 1);
	}
	if (wanted(b, "revoke")) {
		bench_section(b, "Revoke, no DMA");
		revokes(b, false);
		bench_section(b, "Revoke, a device copying 64 KiB at a time");
		revokes(b, true);
	}
	return bench_finish(b);
}
