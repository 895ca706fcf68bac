/* SPDX-License-Identifier: MIT */
/*
 * Accesses at random against a model, and from several threads.
 *
 * The model is an IOVA space of UNITS pages. Each knows which area it is in, and which
 * page of which pages it shows. How many pages should be charged is counted anew after
 * every step from who holds what, a byte for each page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "tests/core/access_fixture.h"
#include "tests/core/test_port.h"

#define UNITS 48u

/* ---- random, against a model
 * -------------------------------------------------------------- */

#define MEMORIES  4u
#define MEM_PAGES 16u

struct cell {
	int area; /* -1: free */
	unsigned memory, page;
};

struct world {
	struct test_random rnd;
	struct ioas *ioas;
	struct domain *d[2];
	bool attached[2];
	struct pages *memory[MEMORIES];
	struct fake_account acc;
	struct owner owner[2];
	struct cell cell[UNITS];
	int next_area;
};

#define IOVA(u) (((uint64_t)(u) + 16) * PAGE)

static unsigned below(struct world *w, unsigned n)
{
	return (unsigned)test_random_below(&w->rnd, n);
}

/* How many pages should be charged; @extra_*: also those of a map or pin to come. */
static uint64_t expected_charge(const struct world *w)
{
	unsigned char held[MEMORIES][MEM_PAGES] = {{0}};
	uint64_t n = 0;

	for (unsigned u = 0; u < UNITS; u++)
		if (w->cell[u].area >= 0 && (w->attached[0] || w->attached[1]))
			held[w->cell[u].memory][w->cell[u].page] = 1;
	for (unsigned i = 0; i < ARRAY_LEN(w->owner); i++) {
		const struct owner *o = &w->owner[i];

		for (unsigned h = 0; h < o->nr_held; h++) {
			for (uint64_t at = 0; at < o->held[h].length; at += PAGE) {
				const struct cell *c =
					&w->cell[(o->held[h].iova + at) / PAGE - 16];

				assert_true(c->area >= 0);
				held[c->memory][c->page] = 1;
			}
		}
	}
	for (unsigned m = 0; m < MEMORIES; m++)
		for (unsigned i = 0; i < MEM_PAGES; i++)
			n += held[m][i];
	return n;
}

static bool range_free(const struct world *w, unsigned u, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (w->cell[u + i].area >= 0)
			return false;
	return true;
}

static void step_map(struct world *w)
{
	unsigned m = below(w, MEMORIES), page = below(w, MEM_PAGES);
	unsigned n = 1 + below(w, MEM_PAGES - page), u = below(w, UNITS - n + 1);
	struct cell before[UNITS];
	int want, rc;

	rc = map_at(w->ioas, w->memory[m], page * PAGE, n * PAGE, IOVA(u), RW);
	if (!range_free(w, u, n)) {
		assert_int_equal(rc, -EEXIST);
		return;
	}
	memcpy(before, w->cell, sizeof(before));
	for (unsigned i = 0; i < n; i++)
		w->cell[u + i] = (struct cell){w->next_area, m, page + i};
	want = expected_charge(w) > w->acc.limit ? -ENOMEM : 0;
	assert_int_equal(rc, want);
	if (rc)
		memcpy(w->cell, before, sizeof(before));
	else
		w->next_area++;
}

static bool area_is_pinned(const struct world *w, int area)
{
	for (unsigned i = 0; i < ARRAY_LEN(w->owner); i++) {
		const struct owner *o = &w->owner[i];

		for (unsigned h = 0; h < o->nr_held; h++)
			for (uint64_t at = 0; at < o->held[h].length; at += PAGE)
				if (w->cell[(o->held[h].iova + at) / PAGE - 16].area ==
				    area)
					return true;
	}
	return false;
}

static void step_unmap(struct world *w)
{
	unsigned u = below(w, UNITS), n = 1 + below(w, UNITS - u), i = u;
	int64_t rc = unmap(w->ioas, IOVA(u), n * PAGE);
	int64_t want = 0;

	/* The owners have let go of what was in the way by now. */
	while (i < u + n) {
		int area = w->cell[i].area;
		unsigned end = i;

		if (area < 0) {
			i++;
			continue;
		}
		if (i == u && u > 0 && w->cell[u - 1].area == area)
			want = -ENOENT;
		while (end < UNITS && w->cell[end].area == area)
			end++;
		if (end > u + n)
			want = -ENOENT;
		if (want < 0)
			break;
		for (; i < end; i++)
			w->cell[i].area = -1;
		want += 0;
	}
	if (want < 0)
		assert_int_equal(rc, want);
	else
		assert_true(rc > 0 || rc == -ENOENT);
}

static void step_pin(struct world *w)
{
	struct owner *o = &w->owner[below(w, 2)];
	unsigned u = below(w, UNITS), n = 1 + below(w, 6);
	struct run_list runs = {0};
	int rc, want = 0;

	if (n > UNITS - u)
		n = UNITS - u;
	if (o->nr_held == ARRAY_LEN(o->held))
		return;
	for (unsigned i = 0; i < n; i++)
		if (w->cell[u + i].area < 0)
			want = -ENOENT;
	rc = owner_pin_runs(o, IOVA(u), n * PAGE, RW, false, &runs);
	if (!want && !rc) {
		uint64_t at = 0;

		for (size_t r = 0; r < runs.n; r++)
			for (uint64_t b = 0; b < runs.v[r].length; b += PAGE) {
				const struct cell *c = &w->cell[u + at++];

				assert_true(runs.v[r].spa + b ==
					    (c->memory + 1) * RAM + c->page * PAGE);
			}
		assert_int_equal(at, n);
	}
	run_list_finish(&runs);
	/* Where the limit would be passed before the hole, that is said first. */
	if (rc == -ENOMEM)
		return;
	assert_int_equal(rc, want);
	assert_true(expected_charge(w) <= w->acc.limit);
}

static void step_unpin(struct world *w)
{
	struct owner *o = &w->owner[below(w, 2)];

	if (o->nr_held)
		owner_let_go(o, below(w, o->nr_held));
}

static void step_domain(struct world *w)
{
	unsigned i = below(w, 2);
	int rc;

	if (w->attached[i]) {
		ioas_remove_domain(w->ioas, w->d[i]);
		w->attached[i] = false;
		return;
	}
	rc = ioas_add_domain(w->ioas, w->d[i]);
	w->attached[i] = true;
	if (expected_charge(w) > w->acc.limit) {
		assert_int_equal(rc, -ENOMEM);
		w->attached[i] = false;
	} else {
		assert_int_equal(rc, 0);
	}
}

static void step_cut(struct world *w)
{
	unsigned u = below(w, UNITS - 1);
	int area = w->cell[u].area, want = 0;
	int rc = ioas_cut(w->ioas, IOVA(u + 1) - 1);

	if (area >= 0 && w->cell[u + 1].area == area) {
		want = area_is_pinned(w, area) ? -EINVAL : 0;
		for (unsigned i = u + 1; !want && i < UNITS && w->cell[i].area == area;
		     i++)
			w->cell[i].area = w->next_area;
		w->next_area++;
	}
	assert_int_equal(rc, want);
}

static void check(struct world *w)
{
	assert_int_equal(w->acc.charged, expected_charge(w));
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned u = 0; w->attached[i] && u < UNITS; u++) {
			const struct cell *c = &w->cell[u];
			uint64_t want = c->area < 0
						? UINT64_MAX
						: (c->memory + 1) * RAM + c->page * PAGE;

			assert_true(spa_at(w->d[i], IOVA(u), NULL) == want);
		}
	}
}

static void model(void **state)
{
	static void (*const steps[])(struct world *) = {
		step_map, step_map,   step_unmap,  step_pin,
		step_pin, step_unpin, step_domain, step_cut,
	};
	uint64_t seed = test_seed(20250611);
	struct world w = {.rnd.state = seed};

	print_message("seed %llu\n", (unsigned long long)seed);
	w.acc = (struct fake_account){
		.base.ops = &fake_account_ops, .limit = 40, .refs = MEMORIES};
	assert_int_equal(ioas_create(&w.ioas), 0);
	assert_int_equal(ioas_set_large_pages(w.ioas, false), 0);
	for (unsigned i = 0; i < 2; i++) {
		w.d[i] = fake_domain(false);
		owner_init(&w.owner[i], w.ioas);
	}
	for (unsigned m = 0; m < MEMORIES; m++) {
		w.memory[m] = fake_pages((m + 1) * RAM, MEM_PAGES * PAGE);
		pages_set_account(w.memory[m], &w.acc.base);
	}
	for (unsigned u = 0; u < UNITS; u++)
		w.cell[u].area = -1;
	for (unsigned i = 0; i < 20000; i++) {
		steps[below(&w, ARRAY_LEN(steps))](&w);
		check(&w);
	}
	for (unsigned i = 0; i < 2; i++) {
		owner_finish(&w.owner[i]);
		if (w.attached[i])
			ioas_remove_domain(w.ioas, w.d[i]);
		domain_destroy(w.d[i]);
	}
	ioas_destroy(w.ioas);
	assert_int_equal(w.acc.charged, 0);
	for (unsigned m = 0; m < MEMORIES; m++)
		pages_put(w.memory[m]);
	assert_int_equal(w.acc.refs, 0);
	assert_clean();
}

/* ---- threads
 * ------------------------------------------------------------------------------ */

/*
 * One thread maps and unmaps, one attaches and detaches a domain, one copies in and
 * revokes a dma-buf that is mapped in between, and two pin under a lock of their own, as
 * an access must. What is pinned must be there until it is unpinned.
 */
struct race {
	struct ioas *ioas;
	struct pages *p;
	struct dmabuf *buf;
	struct domain *d;
	_Atomic bool stop;
};

struct pinner {
	struct race *race;
	struct ioas_access link;
	pthread_mutex_t lock;
	struct held held[8];
	unsigned nr_held;
	uint64_t seed;
	_Atomic unsigned pinned;
};

static bool pinner_get(struct ioas_access *a)
{
	return true;
}

static void pinner_put(struct ioas_access *a)
{
}

static void pinner_unmap(struct ioas_access *a, uint64_t iova, uint64_t length)
{
	struct pinner *p = container_of(a, struct pinner, link);

	pthread_mutex_lock(&p->lock);
	for (unsigned i = p->nr_held; i-- > 0;) {
		struct held h = p->held[i];

		if (h.iova > iova + (length - 1) || iova > h.iova + (h.length - 1))
			continue;
		p->held[i] = p->held[--p->nr_held];
		ioas_unpin(p->race->ioas, h.iova, h.length, false);
	}
	pthread_mutex_unlock(&p->lock);
}

static const struct ioas_access_ops pinner_ops = {
	.get = pinner_get,
	.unmap = pinner_unmap,
	.put = pinner_put,
};

static void *pinner_thread(void *arg)
{
	struct pinner *p = arg;
	struct test_random rnd = {p->seed};

	while (!p->race->stop) {
		uint64_t iova = 0x10000 + test_random_below(&rnd, 8) * PAGE;
		struct run_list runs = {0};

		pthread_mutex_lock(&p->lock);
		if (p->nr_held < ARRAY_LEN(p->held) &&
		    !ioas_pin(p->race->ioas, iova, PAGE, IOAS_READ, false, &runs)) {
			p->held[p->nr_held++] = (struct held){iova, PAGE, false};
			p->pinned++;
		} else if (p->nr_held) {
			struct held h = p->held[--p->nr_held];

			ioas_unpin(p->race->ioas, h.iova, h.length, false);
		}
		pthread_mutex_unlock(&p->lock);
		run_list_finish(&runs);
	}
	return NULL;
}

static void *domain_thread(void *arg)
{
	struct race *r = arg;

	while (!r->stop) {
		if (!ioas_add_domain(r->ioas, r->d))
			ioas_remove_domain(r->ioas, r->d);
	}
	return NULL;
}

static void *revoke_thread(void *arg)
{
	struct race *r = arg;

	while (!r->stop) {
		struct pages *p;
		uint64_t iova = 0x18000, unmapped;

		dmabuf_restore(r->buf);
		if (pages_create_dmabuf(r->buf, 0, 0x1000, true, false, &p))
			continue;
		if (!ioas_map(r->ioas, p, 0, 0x1000, RW, true, &iova)) {
			dmabuf_revoke(r->buf);
			ioas_unmap(r->ioas, iova, 0x1000, &unmapped);
		}
		pages_put(p);
	}
	return NULL;
}

static void threads(void **state)
{
	struct fake_buffer b = {.spa = 0xc0000000, .range = 0x1000, .n = 1};
	struct race r = {.p = fake_pages(RAM, 0x10000), .d = fake_domain(true)};
	struct pinner pinner[2] = {{.race = &r, .seed = 1}, {.race = &r, .seed = 2}};
	pthread_t thread[4];

	assert_int_equal(ioas_create(&r.ioas), 0);
	assert_int_equal(fake_buffer(&b, false, &r.buf), 0);
	for (unsigned i = 0; i < 2; i++) {
		pthread_mutex_init(&pinner[i].lock, NULL);
		pinner[i].link.ops = &pinner_ops;
		pinner[i].link.alignment = PAGE;
		assert_int_equal(ioas_add_access(r.ioas, &pinner[i].link), 0);
		pthread_create(&thread[i], NULL, pinner_thread, &pinner[i]);
	}
	pthread_create(&thread[2], NULL, domain_thread, &r);
	pthread_create(&thread[3], NULL, revoke_thread, &r);
	for (unsigned i = 0; i < 1000 || pinner[0].pinned + pinner[1].pinned < 1000;
	     i++) {
		assert_int_equal(map_at(r.ioas, r.p, 0, 0x4000, 0x10000, RW), 0);
		assert_int_equal(map_at(r.ioas, r.p, 0x2000, 0x4000, 0x14000, RW), 0);
		if (i & 1) {
			assert_int_equal(unmap(r.ioas, 0x10000, 0x8000), 0x8000);
		} else {
			assert_int_equal(unmap(r.ioas, 0x14000, 0x4000), 0x4000);
			assert_int_equal(unmap(r.ioas, 0x10000, 0x4000), 0x4000);
		}
	}
	r.stop = true;
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pinner[i].nr_held, 0);
		ioas_remove_access(r.ioas, &pinner[i].link);
		pthread_mutex_destroy(&pinner[i].lock);
	}
	print_message("%u pins\n", pinner[0].pinned + pinner[1].pinned);
	ioas_destroy(r.ioas);
	domain_destroy(r.d);
	pages_put(r.p);
	dmabuf_put(r.buf);
	assert_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(model, fixture_setup),
		cmocka_unit_test_setup(threads, fixture_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
