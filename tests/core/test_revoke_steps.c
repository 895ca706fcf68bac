/* SPDX-License-Identifier: MIT */
/*
 * A revoke, and another call on what it takes away, each of them interrupted by the other
 * at each of its steps (steps.h): all pairs of a place where the revoke gives way and a
 * place where the other call gives way back. Devices look at everything at every step,
 * through an IOTLB, and hold on to what they found until somebody waits for it.
 *
 * When the revoke returns nobody holds the buffer any more, no page table leads to it,
 * and none will. What the other call has mapped in the place of the buffer stays. Nobody
 * waits for ever, and nothing is left over.
 *
 * Once with memory that devices reach in their sections, once with remote memory, where
 * copies outlive the section, and more domains than a gather has room for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "core/dma.h"
#include "core/ioas.h"
#include "tests/core/steps.h"

#define PAGE    ((uint64_t)4096)
#define RW      (IOAS_READ | IOAS_WRITE)
#define SPACES  2u
#define DOMAINS 6u
#define HELD    256u

/* Where the parts of the first buffer are, and where calls map anew. */
enum place {
	TWICE, /* in both spaces, of the same pages */
	FIRST, /* in the first only */
	SECOND_BUFFER,
	FREE,
	FAR, /* in tables of its own */
	PLACES
};

static uint64_t iova_of(enum place p)
{
	return p == FAR ? (uint64_t)1 << 40 : (uint64_t)(1 + p) << 16;
}

/* What is mapped of the buffers to begin with. */
enum areas { NONE, ONE, ALL };

struct remote_copy {
	struct domain *domain;
	unsigned phase;
};

struct world {
	struct phys *phys;
	struct phys_window bar, ram;
	struct mem_source source;
	struct ioas *space[SPACES];
	unsigned nr_domains; /* of the first space; the last of all is the second's */
	struct domain *domain[DOMAINS], *spare;
	struct dma_requester requester[DOMAINS];
	struct dma_channel *channel[DOMAINS];
	struct dmabuf *buf[2];
	bool remote;
	/* What devices hold of the buffers. */
	unsigned held;
	struct remote_copy copies[HELD];
	unsigned nr_copies;
	bool revoked; /* the revoke has returned */
	unsigned stale;
	int rc; /* of the other call */
};

/* ---- devices ---------------------------------------------------------------------- */

static bool finds(struct world *w, unsigned n, enum place p)
{
	struct dma_target t;

	return w->channel[n]->requester &&
	       !dma_translate(w->channel[n], iova_of(p), true, &t, NULL) &&
	       t.window == &w->bar;
}

static void hold(struct world *w, unsigned n)
{
	struct domain *d = w->requester[n].path->domain;

	if (!w->remote) {
		w->held++;
		return;
	}
	if (w->nr_copies < HELD)
		w->copies[w->nr_copies++] =
			(struct remote_copy){d, domain_remote_begin(d)};
}

static void look(void *arg)
{
	struct world *w = arg;

	for (unsigned n = 0; n < DOMAINS; n++) {
		for (unsigned p = 0; p < PLACES; p++) {
			if (!finds(w, n, p))
				continue;
			w->stale += w->revoked;
			hold(w, n);
		}
	}
}

static void sections_end(void *arg)
{
	struct world *w = arg;

	w->held = 0;
}

static bool copies_end(void *arg)
{
	struct world *w = arg;
	bool any = w->nr_copies;

	while (w->nr_copies) {
		struct remote_copy *c = &w->copies[--w->nr_copies];

		domain_remote_end(c->domain, c->phase);
	}
	return any;
}

/* Clearing page tables is a step, too: devices walk them without a lock. */
bool __real_pt_unmap_spans(struct pt *pt, const struct pt_span *v, size_t n,
			   struct pt_gather *gather);
bool __wrap_pt_unmap_spans(struct pt *pt, const struct pt_span *v, size_t n,
			   struct pt_gather *gather);

bool __wrap_pt_unmap_spans(struct pt *pt, const struct pt_span *v, size_t n,
			   struct pt_gather *gather)
{
	bool any;

	steps_step();
	any = __real_pt_unmap_spans(pt, v, n, gather);
	steps_step();
	return any;
}

static int never(struct phys_window *w, uint64_t offset, void *buffer, size_t n)
{
	return -EIO;
}

static int never_write(struct phys_window *w, uint64_t offset, const void *buffer,
		       size_t n)
{
	return -EIO;
}

static const struct phys_window_ops remote_ops = {.read = never, .write = never_write};

/* ---- memory ----------------------------------------------------------------------- */

static int map_phys(struct dmabuf *buf, struct run_list *runs)
{
	struct world *w = buf->priv;

	return run_list_add(runs, (struct run){w->bar.base, w->bar.length, true}, false);
}

static const struct dmabuf_exporter_ops exporter = {
	.interconnects = 1u << DMABUF_IC_PHYS,
	.contracts = 1u << DMABUF_REVOCABLE,
	.map_phys = map_phys,
};

static int pin(struct mem_source *s, uint64_t offset, uint64_t length, bool writable,
	       struct run_list *runs)
{
	struct world *w = container_of(s, struct world, source);

	return run_list_add(runs, (struct run){w->ram.base + offset, length, false},
			    false);
}

static void unpin(struct mem_source *s, uint64_t offset, uint64_t length)
{
}

static void destroy(struct mem_source *s)
{
}

static const struct mem_source_ops ram_ops = {
	.pin = pin,
	.unpin = unpin,
	.destroy = destroy,
};

static int map_at(struct world *w, unsigned space, struct pages *p, enum place at)
{
	uint64_t iova = iova_of(at);
	int rc = ioas_map(w->space[space], p, 0, PAGE, RW, true, &iova);

	pages_put(p);
	return rc;
}

static int map_ram(struct world *w, unsigned space, enum place at)
{
	struct pages *p;
	int rc = pages_create(&w->source, PAGE, true, &p);

	return rc ? rc : map_at(w, space, p, at);
}

static int map_buffer(struct world *w, unsigned space, unsigned buf, enum place at)
{
	struct pages *p;
	int rc = pages_create_dmabuf(w->buf[buf], at * PAGE, PAGE, true, false, &p);

	return rc ? rc : map_at(w, space, p, at);
}

static int copy(struct world *w, unsigned to, unsigned from, enum place src,
		enum place dst)
{
	uint64_t iova = iova_of(dst);

	return ioas_copy(w->space[to], w->space[from], iova_of(src), PAGE, RW, true,
			 &iova);
}

static int unmap(struct world *w, unsigned space, enum place at)
{
	uint64_t unmapped;

	return ioas_unmap(w->space[space], iova_of(at), PAGE, &unmapped);
}

/* ---- the world -------------------------------------------------------------------- */

static void add_window(struct world *w, struct phys_window *window, bool mmio)
{
	window->length = 16 * PAGE;
	window->kind = mmio ? PHYS_MMIO : PHYS_RAM;
	if (mmio && w->remote)
		window->ops = &remote_ops;
	else
		window->host = window; /* nobody looks at the bytes */
	assert_int_equal(phys_add(w->phys, window), 0);
}

static void add_domain(struct world *w, unsigned n, unsigned space)
{
	assert_int_equal(domain_create(w->phys, &pt_vtd_s2, 0, &w->domain[n]), 0);
	dma_requester_init(&w->requester[n]);
	dma_requester_attach(&w->requester[n], w->domain[n]);
	dma_requester_set_master(&w->requester[n], true);
	if (w->remote)
		domain_remote_enable(w->domain[n]);
	dma_channel_init(w->channel[n], &w->requester[n]);
	assert_int_equal(ioas_add_domain(w->space[space], w->domain[n]), 0);
}

static struct world *world_alloc(void)
{
	struct world *w = calloc(1, sizeof(*w));

	for (unsigned n = 0; n < DOMAINS; n++)
		w->channel[n] = calloc(1, sizeof(*w->channel[n]));
	return w;
}

static void world_free(struct world *w)
{
	for (unsigned n = 0; n < DOMAINS; n++)
		free(w->channel[n]);
	free(w);
}

static void create(struct world *w, bool remote, enum areas areas)
{
	struct dma_channel *channels[DOMAINS];

	memcpy(channels, w->channel, sizeof(channels));
	*w = (struct world){.remote = remote,
			    .nr_domains = remote && areas == ALL ? DOMAINS - 1 : 2};
	memcpy(w->channel, channels, sizeof(channels));
	w->source.ops = &ram_ops;
	for (unsigned n = 0; n < DOMAINS; n++)
		w->channel[n]->requester = NULL;
	assert_int_equal(phys_create(&w->phys), 0);
	add_window(w, &w->bar, true);
	add_window(w, &w->ram, false);
	for (unsigned i = 0; i < SPACES; i++) {
		assert_int_equal(ioas_create(&w->space[i]), 0);
		assert_int_equal(
			dmabuf_create(&exporter, w, 16 * PAGE, false, &w->buf[i]), 0);
	}
	for (unsigned n = 0; n < w->nr_domains; n++)
		add_domain(w, n, 0);
	add_domain(w, DOMAINS - 1, 1);
	assert_int_equal(domain_create(w->phys, &pt_vtd_s2, 0, &w->spare), 0);
	if (areas == NONE)
		return;
	assert_int_equal(map_buffer(w, 0, 0, FIRST), 0);
	if (areas == ONE)
		return;
	assert_int_equal(map_buffer(w, 0, 0, TWICE), 0);
	assert_int_equal(copy(w, 1, 0, TWICE, TWICE), 0);
	assert_int_equal(map_buffer(w, 0, 1, SECOND_BUFFER), 0);
}

static void remove_device(struct world *w, unsigned n, unsigned space)
{
	if (!w->domain[n])
		return;
	ioas_remove_domain(w->space[space], w->domain[n]);
	dma_requester_finish(&w->requester[n]);
	w->channel[n]->requester = NULL;
	domain_destroy(w->domain[n]);
	w->domain[n] = NULL;
}

static void destroy_world(struct world *w)
{
	uint64_t unmapped;

	copies_end(w);
	for (unsigned n = 0; n < w->nr_domains; n++)
		remove_device(w, n, 0);
	remove_device(w, DOMAINS - 1, 1);
	for (unsigned i = 0; i < SPACES; i++) {
		assert_int_equal(ioas_unmap_all(w->space[i], &unmapped), 0);
		ioas_destroy(w->space[i]);
		dmabuf_put(w->buf[i]);
	}
	domain_destroy(w->spare);
	phys_remove(w->phys, &w->bar);
	phys_remove(w->phys, &w->ram);
	phys_destroy(w->phys);
}

static void revoke(void *arg)
{
	struct world *w = arg;
	struct dmabuf_revocation r = {0};

	dmabuf_revocation_add(&r, w->buf[0]);
	dmabuf_revocation_add(&r, w->buf[1]);
	dmabuf_revocation_finish(&r);
	w->stale += w->held + w->nr_copies;
	w->revoked = true;
	look(w);
}

/* ---- what meets it ---------------------------------------------------------------- */

static void unmap_first(void *arg)
{
	struct world *w = arg;

	w->rc = unmap(w, 0, FIRST);
	if (!w->rc)
		w->rc = map_ram(w, 0, FIRST);
}

static void unmap_copy(void *arg)
{
	struct world *w = arg;

	w->rc = unmap(w, 1, TWICE);
	if (!w->rc)
		w->rc = map_ram(w, 1, TWICE);
}

static void unmap_all(void *arg)
{
	struct world *w = arg;
	uint64_t unmapped;

	w->rc = ioas_unmap_all(w->space[0], &unmapped);
	for (unsigned p = 0; p < FREE && !w->rc; p++)
		w->rc = map_ram(w, 0, p);
}

static void map_more(void *arg)
{
	struct world *w = arg;

	w->rc = map_buffer(w, 1, 0, FREE);
}

static void copy_more(void *arg)
{
	struct world *w = arg;

	w->rc = copy(w, 1, 0, FIRST, FREE);
}

/* It fails in the middle, and what it has filled is cleared again. */
static void copy_without_memory(void *arg)
{
	struct world *w = arg;
	uint64_t iova = iova_of(FAR);
	int rc;

	for (long n = 2; n < 8; n++) {
		steps_fail_after(n);
		rc = ioas_copy(w->space[0], w->space[1], iova_of(TWICE), PAGE, RW, true,
			       &iova);
		steps_fail_after(-1);
		w->rc = rc == -ENOMEM ? 0 : rc;
		if (w->rc)
			return;
		if (!rc)
			break;
	}
}

static void map_without_memory(void *arg)
{
	struct world *w = arg;

	for (long n = 2; n < 40; n++) {
		steps_fail_after(n);
		w->rc = map_buffer(w, 0, 0, FAR);
		steps_fail_after(-1);
		if (w->rc != -ENOMEM)
			return;
	}
}

static void remove_domain(void *arg)
{
	struct world *w = arg;

	remove_device(w, 0, 0);
}

static void add_spare(void *arg)
{
	struct world *w = arg;

	w->rc = ioas_add_domain(w->space[1], w->spare);
	ioas_remove_domain(w->space[1], w->spare);
}

/* From one domain of the first space to the other, and out. */
static void move_device(void *arg)
{
	struct world *w = arg;

	dma_requester_attach(&w->requester[0], w->domain[1]);
	dma_requester_attach(&w->requester[0], w->domain[0]);
}

static void nothing(void *arg)
{
}

/* @may: what it may answer but 0. @needs: this much. */
static const struct meeting {
	const char *name;
	void (*call)(void *arg);
	int may;
	enum areas needs;
} meetings[] = {
	{"nobody", nothing, 0},
	{"unmap", unmap_first, 0, ONE},
	{"unmap of a copy", unmap_copy, 0, ALL},
	{"unmap of all", unmap_all, 0},
	{"map", map_more, -ENODEV},
	{"map that fails", map_without_memory, -ENODEV},
	{"copy", copy_more, 0, ONE},
	{"copy that fails", copy_without_memory, 0, ALL},
	{"removal of a domain", remove_domain, 0},
	{"a domain more", add_spare, 0},
	{"change of domain", move_device, 0},
};

/* What is mapped in the place of the buffers is what the other call has mapped. */
static void check_new(struct world *w, const struct meeting *m)
{
	struct dma_target t;

	for (unsigned p = 0; p < FREE; p++) {
		bool ram = m->call == unmap_all || (m->call == unmap_first && p == FIRST);

		if (w->channel[1]->requester)
			assert_int_equal(
				!dma_translate(w->channel[1], iova_of(p), true, &t, NULL),
				ram);
	}
	assert_int_equal(
		!dma_translate(w->channel[DOMAINS - 1], iova_of(TWICE), true, &t, NULL),
		m->call == unmap_copy);
}

/* False: neither call has so many steps. */
static bool run_pair(struct world *w, const struct meeting *m, unsigned i, unsigned k,
		     bool *reached)
{
	const struct steps_watch watch = {look, sections_end, copies_end, w};
	struct steps_call a = {revoke, w, .gives_way_at = i};
	struct steps_call b = {m->call, w, .gives_way_at = k};
	unsigned bugs = steps_bugs();

	steps_run(&a, &b, &watch);
	look(w);
	if (w->stale || (w->rc && w->rc != m->may) || steps_bugs() != bugs)
		fail_msg("%s, at steps %u and %u: %u stale, answer %d", m->name, i, k,
			 w->stale, w->rc);
	check_new(w, m);
	*reached = k < b.steps;
	return i < a.steps;
}

static void every_pair(const struct meeting *m, bool remote, enum areas areas)
{
	struct world *w = world_alloc();
	bool more_i = true, more_k;
	unsigned pairs = 0;

	for (unsigned i = 0; more_i; i++) {
		more_k = true;
		for (unsigned k = 0; more_k; k++) {
			long live = steps_live();

			create(w, remote, areas);
			more_i = run_pair(w, m, i, k, &more_k);
			destroy_world(w);
			assert_int_equal(steps_live(), live);
			pairs++;
		}
	}
	print_message("%s: %u pairs\n", m->name, pairs);
	world_free(w);
}

static void memory(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(meetings); i++)
		every_pair(&meetings[i], false, ALL);
}

/* An unmap of all has too many steps there, and no other ones than one of a part. */
static void remote_memory(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(meetings); i++)
		if (meetings[i].call != unmap_all)
			every_pair(&meetings[i], true, ALL);
}

/* Then the revoke has nothing else to wait for. */
static void one_area(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(meetings); i++)
		for (int remote = 0; remote < 2 && meetings[i].needs <= ONE; remote++)
			every_pair(&meetings[i], remote, ONE);
}

static void no_area(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(meetings); i++)
		if (meetings[i].needs == NONE)
			every_pair(&meetings[i], false, NONE);
}

/*
 * A copy that had looked where to be counted, and was not yet when the domain was drained
 * before: the revoke waits for it where it is counted then.
 */
static void late_copy(void **state)
{
	struct world *w = world_alloc();
	const struct steps_watch watch = {NULL, NULL, copies_end, w};
	struct steps_call a = {revoke, w}, b = {nothing, w};
	struct domain *d;
	unsigned phase;

	create(w, true, ONE);
	d = w->domain[0];
	phase = atomic_load(&d->remote_phase);
	domain_remote_drain(d);
	atomic_fetch_add(&d->remote[phase], 1);
	w->copies[w->nr_copies++] = (struct remote_copy){d, phase};
	steps_run(&a, &b, &watch);
	assert_int_equal(w->stale, 0);
	destroy_world(w);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory),    cmocka_unit_test(remote_memory),
		cmocka_unit_test(one_area),  cmocka_unit_test(no_area),
		cmocka_unit_test(late_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
