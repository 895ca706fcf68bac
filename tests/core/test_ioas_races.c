/* SPDX-License-Identifier: MIT */
/*
 * Two calls that meet in a chosen moment. A device sits in a DMA section with what it
 * translated, so everything that takes that away has to wait; a memory source can be
 * made to block in its pin.
 *
 * A call that must wait is given a moment in which it would return if it did not. That
 * it has not returned by then is all that is asserted, so a slow machine can only hide
 * a mistake, never make one up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/dma.h"
#include "core/ioas.h"
#include "port/port.h"

#define PAGE    ((uint64_t)4096)
#define RW      (IOAS_READ | IOAS_WRITE)
#define NOWHERE UINT64_MAX

static struct rig {
	struct phys *phys;
	struct phys_window window;
	struct ioas *ioas;
	struct domain *d, *d2;
	struct dma_requester requester;
	struct dmabuf *buf;
	unsigned long bugs;
} g;

static int map_phys(struct dmabuf *buf, struct run_list *runs)
{
	struct run run = {g.window.base, g.window.length, true};

	return run_list_add(runs, run, false);
}

static const struct dmabuf_exporter_ops exporter = {
	.interconnects = 1u << DMABUF_IC_PHYS,
	.contracts = 1u << DMABUF_REVOCABLE,
	.map_phys = map_phys,
};

static int setup(void **state)
{
	g.bugs = port_bug_count();
	assert_int_equal(phys_create(&g.phys), 0);
	g.window.length = 16 * PAGE;
	g.window.kind = PHYS_MMIO;
	g.window.host = aligned_alloc(PAGE, g.window.length);
	assert_int_equal(phys_add(g.phys, &g.window), 0);
	assert_int_equal(ioas_create(&g.ioas), 0);
	assert_int_equal(domain_create(g.phys, &pt_vtd_s2, 0, &g.d), 0);
	assert_int_equal(domain_create(g.phys, &pt_vtd_s2, 0, &g.d2), 0);
	dma_requester_init(&g.requester);
	dma_requester_attach(&g.requester, g.d);
	dma_requester_set_master(&g.requester, true);
	assert_int_equal(ioas_add_domain(g.ioas, g.d), 0);
	assert_int_equal(dmabuf_create(&exporter, NULL, 16 * PAGE, false, &g.buf), 0);
	return 0;
}

static int teardown(void **state)
{
	uint64_t unmapped;

	dma_requester_finish(&g.requester);
	ioas_unmap_all(g.ioas, &unmapped);
	ioas_remove_domain(g.ioas, g.d);
	ioas_destroy(g.ioas);
	domain_destroy(g.d);
	domain_destroy(g.d2);
	dmabuf_put(g.buf);
	phys_remove(g.phys, &g.window);
	phys_destroy(g.phys);
	free(g.window.host);
	assert_int_equal(port_bug_count(), g.bugs);
	return 0;
}

static void map_buffer(uint64_t start, uint64_t iova)
{
	struct pages *p;

	assert_int_equal(pages_create_dmabuf(g.buf, start, PAGE, true, false, &p), 0);
	assert_int_equal(ioas_map(g.ioas, p, 0, PAGE, RW, true, &iova), 0);
	pages_put(p);
}

static bool is_mapped(struct domain *d, uint64_t iova)
{
	struct pt_translation t;

	return domain_lookup(d, iova, &t);
}

/* ---- threads -------------------------------------------------------------- */

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
}

static void wait_for(_Atomic bool *flag)
{
	while (!atomic_load(flag))
		nanosleep(&(struct timespec){.tv_nsec = 100 * 1000}, NULL);
}

/* A device that has found its target and takes its time. */
struct holder {
	pthread_t thread;
	uint64_t iova;
	_Atomic bool in, out;
};

static void *hold(void *arg)
{
	struct holder *h = arg;
	struct dma_channel *ch = calloc(1, sizeof(*ch));
	struct dma_target t;
	struct dma_fault f;

	dma_channel_init(ch, &g.requester);
	port_dma_enter();
	if (dma_translate(ch, h->iova, true, &t, &f) == 0) {
		atomic_store(&h->in, true);
		wait_for(&h->out);
	}
	port_dma_leave();
	free(ch);
	return NULL;
}

static void hold_start(struct holder *h, uint64_t iova)
{
	*h = (struct holder){.iova = iova};
	pthread_create(&h->thread, NULL, hold, h);
	wait_for(&h->in);
}

/* A call on a thread of its own. */
struct call {
	pthread_t thread;
	int (*run)(struct call *c);
	struct ioas *ioas; /* for those that do not mean g.ioas */
	uint64_t iova, length;
	int rc;
	_Atomic bool done;
};

static void *call_thread(void *arg)
{
	struct call *c = arg;

	c->rc = c->run(c);
	atomic_store(&c->done, true);
	return NULL;
}

static void call_start(struct call *c)
{
	pthread_create(&c->thread, NULL, call_thread, c);
}

static int call_end(struct call *c)
{
	pthread_join(c->thread, NULL);
	return c->rc;
}

/* Let go; @waiting must not have returned before. */
static void hold_end(struct holder *h, struct call *waiting)
{
	bool early = atomic_load(&waiting->done);

	atomic_store(&h->out, true);
	pthread_join(h->thread, NULL);
	assert_false(early);
}

static int do_unmap(struct call *c)
{
	uint64_t unmapped;

	return ioas_unmap(g.ioas, c->iova, c->length, &unmapped);
}

static int do_revoke(struct call *c)
{
	dmabuf_revoke(g.buf);
	return 0;
}

static int do_remove(struct call *c)
{
	ioas_remove_domain(g.ioas, g.d);
	return 0;
}

/* Until the entries are cleared, the call has not even begun its work. */
static void wait_cleared(uint64_t iova)
{
	while (is_mapped(g.d, iova))
		nap();
}

/* ---- the drain ------------------------------------------------------------ */

static void unmap_keeps_the_iova(void **state)
{
	struct call unmap = {.run = do_unmap, .iova = 0x10000, .length = PAGE};
	struct holder h;
	struct pages *p;
	uint64_t iova = 0x10000, unmapped;

	map_buffer(0, 0x10000);
	map_buffer(PAGE, 0x20000);
	hold_start(&h, 0x10000);
	call_start(&unmap);
	wait_cleared(0x10000);

	/* Taken until the drain is over, and nobody else's to unmap or to copy. */
	assert_int_equal(pages_create_dmabuf(g.buf, 0, PAGE, true, false, &p), 0);
	assert_int_equal(ioas_map(g.ioas, p, 0, PAGE, RW, true, &iova), -EEXIST);
	assert_int_equal(ioas_unmap(g.ioas, 0x10000, PAGE, &unmapped), -EBUSY);
	assert_int_equal(ioas_unmap_all(g.ioas, &unmapped), -EBUSY);
	assert_int_equal(unmapped, 0);
	iova = 0x30000;
	assert_int_equal(ioas_copy(g.ioas, g.ioas, 0x10000, PAGE, RW, true, &iova),
			 -ENOENT);
	/* Everything else goes on. */
	assert_int_equal(ioas_copy(g.ioas, g.ioas, 0x20000, PAGE, RW, true, &iova), 0);
	hold_end(&h, &unmap);
	assert_int_equal(call_end(&unmap), 0);
	iova = 0x10000;
	assert_int_equal(ioas_map(g.ioas, p, 0, PAGE, RW, true, &iova), 0);
	pages_put(p);
}

/* The revoke finds no area, but one that is still being drained by the unmap. */
static void revoke_waits_for_unmap(void **state)
{
	struct call unmap = {.run = do_unmap, .iova = 0x10000, .length = PAGE};
	struct call revoke = {.run = do_revoke};
	struct holder h;

	map_buffer(0, 0x10000);
	hold_start(&h, 0x10000);
	call_start(&unmap);
	wait_cleared(0x10000);
	call_start(&revoke);
	nap();
	hold_end(&h, &revoke);
	assert_int_equal(call_end(&revoke), 0);
	assert_int_equal(call_end(&unmap), 0);
}

static void revoke_waits_for_remove(void **state)
{
	struct call remove = {.run = do_remove}, revoke = {.run = do_revoke};
	struct holder h;

	map_buffer(0, 0x10000);
	hold_start(&h, 0x10000);
	call_start(&remove);
	wait_cleared(0x10000);
	call_start(&revoke);
	nap();
	hold_end(&h, &revoke);
	assert_int_equal(call_end(&revoke), 0);
	assert_int_equal(call_end(&remove), 0);
	assert_int_equal(ioas_add_domain(g.ioas, g.d), 0);
}

/* The revoke has cleared and not waited yet: unmap and removal must not trust that. */
static void others_wait_for_revoke(void **state)
{
	struct call unmap = {.run = do_unmap, .iova = 0x10000, .length = PAGE};
	struct call remove = {.run = do_remove};
	struct dmabuf_revocation r = {0};
	struct holder h;

	map_buffer(0, 0x10000);
	hold_start(&h, 0x10000);
	dmabuf_revocation_add(&r, g.buf);
	assert_false(is_mapped(g.d, 0x10000));
	call_start(&unmap);
	nap();
	hold_end(&h, &unmap);
	assert_int_equal(call_end(&unmap), 0);
	dmabuf_revocation_finish(&r);

	dmabuf_restore(g.buf);
	map_buffer(0, 0x10000);
	hold_start(&h, 0x10000);
	dmabuf_revocation_add(&r, g.buf);
	call_start(&remove);
	nap();
	hold_end(&h, &remove);
	assert_int_equal(call_end(&remove), 0);
	dmabuf_revocation_finish(&r);
	assert_int_equal(ioas_add_domain(g.ioas, g.d), 0);
}

/* ---- an area in the making
 * -------------------------------------------------------------- */

struct slow_source {
	struct mem_source base;
	_Atomic bool pinning, go;
	int rc;
};

static int slow_pin(struct mem_source *base, uint64_t offset, uint64_t length,
		    bool writable, struct run_list *runs)
{
	struct slow_source *s = container_of(base, struct slow_source, base);
	struct run run = {g.window.base + offset, length, false};

	atomic_store(&s->pinning, true);
	wait_for(&s->go);
	return s->rc ? s->rc : run_list_add(runs, run, false);
}

static void slow_unpin(struct mem_source *base, uint64_t offset, uint64_t length)
{
}

static void slow_destroy(struct mem_source *base)
{
}

static const struct mem_source_ops slow_ops = {
	.pin = slow_pin,
	.unpin = slow_unpin,
	.destroy = slow_destroy,
};

static struct slow_source slow;

static int do_map_slow(struct call *c)
{
	uint64_t iova = c->iova;
	struct pages *p;
	int rc;

	slow.base.ops = &slow_ops;
	rc = pages_create(&slow.base, PAGE, true, &p);
	if (rc)
		return rc;
	rc = ioas_map(g.ioas, p, 0, PAGE, RW, c->iova != NOWHERE, &iova);
	pages_put(p);
	c->iova = iova;
	return rc;
}

static void half_made_area(int error)
{
	struct call map = {.run = do_map_slow, .iova = NOWHERE};
	uint64_t iova = 0x5000, unmapped;
	struct pages *p;

	slow = (struct slow_source){.rc = error};
	map_buffer(0, 0x4000);
	call_start(&map);
	wait_for(&slow.pinning);

	/* It took 0x1000; nobody else gets that, and nobody can unmap it. */
	assert_int_equal(ioas_unmap(g.ioas, 0x1000, PAGE, &unmapped), -EBUSY);
	assert_int_equal(ioas_copy(g.ioas, g.ioas, 0x1000, PAGE, RW, true, &iova),
			 -ENOENT);
	assert_int_equal(pages_create_dmabuf(g.buf, 0, PAGE, true, false, &p), 0);
	iova = 0x1000;
	assert_int_equal(ioas_map(g.ioas, p, 0, PAGE, RW, true, &iova), -EEXIST);
	assert_int_equal(ioas_map(g.ioas, p, 0, PAGE, RW, false, &iova), 0);
	assert_int_equal(iova, 0x2000);
	pages_put(p);
	/* Other memory is not held up by the slow one. */
	dmabuf_revoke(g.buf);
	dmabuf_restore(g.buf);
	assert_int_equal(ioas_unmap(g.ioas, 0x2000, 0x3000, &unmapped), 0);
	assert_int_equal(unmapped, 0x2000);

	atomic_store(&slow.go, true);
	assert_int_equal(call_end(&map), error);
	if (error) {
		assert_int_equal(ioas_unmap(g.ioas, 0x1000, PAGE, &unmapped), -ENOENT);
		assert_int_equal(ioas_area_count(g.ioas), 0);
		return;
	}
	assert_int_equal(map.iova, 0x1000);
	assert_true(is_mapped(g.d, 0x1000));
	assert_int_equal(ioas_unmap(g.ioas, 0x1000, PAGE, &unmapped), 0);
}

static void half_made_area_made(void **state)
{
	half_made_area(0);
}

static void half_made_area_fails(void **state)
{
	half_made_area(-EFAULT);
}

/* ---- a revoke and what comes after its areas ----------------------------------- */

static int do_revoke_at_once(struct call *c)
{
	while (!atomic_load(&slow.go))
		port_yield();
	dmabuf_revoke(g.buf);
	return 0;
}

/*
 * An unmap takes one of the areas that are just being revoked, and other memory is
 * mapped in its place: the revoke has to leave that alone. Many times, for it is a race.
 */
static void revoke_spares_what_is_new(void **state)
{
	for (unsigned round = 0; round < 300; round++) {
		struct call revoke = {.run = do_revoke_at_once};
		struct call map = {.run = do_map_slow, .iova = 0x10000 * (round % 8 + 1)};
		uint64_t unmapped;

		slow = (struct slow_source){.rc = 0};
		for (unsigned i = 0; i < 8; i++)
			map_buffer(i * PAGE, 0x10000 * (i + 1));
		call_start(&revoke);
		atomic_store(&slow.go, true);
		for (unsigned i = round % 16; i; i--)
			port_yield();
		assert_int_equal(ioas_unmap(g.ioas, map.iova, PAGE, &unmapped), 0);
		assert_int_equal(do_map_slow(&map), 0);
		assert_int_equal(call_end(&revoke), 0);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(is_mapped(g.d, 0x10000 * (i + 1)),
					 i == round % 8);
		assert_int_equal(ioas_unmap_all(g.ioas, &unmapped), 0);
		dmabuf_restore(g.buf);
	}
}

static int do_revoke_first_half(struct call *c)
{
	struct dmabuf_revocation r = {0};

	dmabuf_revocation_add(&r, g.buf);
	atomic_store(&c->done, true);
	dmabuf_revocation_finish(&r);
	return 0;
}

/*
 * What clears waits for the domain's remote copies, not what finishes the revocation: the
 * domain may be gone by then.
 */
static void revoke_waits_for_remote_copies_at_once(void **state)
{
	struct call revoke = {.run = do_revoke_first_half};
	unsigned phase;
	bool early;

	map_buffer(0, 0x10000);
	domain_remote_enable(g.d);
	phase = domain_remote_begin(g.d);
	call_start(&revoke);
	nap();
	early = atomic_load(&revoke.done);
	domain_remote_end(g.d, phase);
	assert_int_equal(call_end(&revoke), 0);
	assert_false(early);
}

static int do_unmap_elsewhere(struct call *c)
{
	uint64_t unmapped;

	return ioas_unmap(c->ioas, c->iova, c->length, &unmapped);
}

/*
 * A revoke that is just clearing waits for a domain. Until it has cleared no unmap takes
 * an area of the buffer away, not even one that has no domain to wait for: its IOVAs
 * would be free for other memory, which the revoke would then clear.
 */
static void revoke_keeps_its_areas(void **state)
{
	struct call revoke = {.run = do_revoke};
	struct call unmap = {.run = do_unmap_elsewhere, .iova = 0x10000, .length = PAGE};
	uint64_t iova = 0x10000;
	struct pages *p;
	bool early;

	assert_int_equal(ioas_create(&unmap.ioas), 0);
	assert_int_equal(pages_create_dmabuf(g.buf, 0, PAGE, true, false, &p), 0);
	/* In this order, so that the area with a domain is the last that is cleared. */
	assert_int_equal(ioas_map(unmap.ioas, p, 0, PAGE, RW, true, &iova), 0);
	assert_int_equal(ioas_map(g.ioas, p, 0, PAGE, RW, true, &iova), 0);
	pages_put(p);
	port_mutex_lock(&g.d->lock);
	call_start(&revoke);
	nap();
	call_start(&unmap);
	nap();
	early = atomic_load(&unmap.done);
	port_mutex_unlock(&g.d->lock);
	assert_int_equal(call_end(&unmap), 0);
	assert_int_equal(call_end(&revoke), 0);
	ioas_destroy(unmap.ioas);
	assert_false(early);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unmap_keeps_the_iova),
		TEST(revoke_waits_for_unmap),
		TEST(revoke_waits_for_remove),
		TEST(others_wait_for_revoke),
		TEST(half_made_area_made),
		TEST(half_made_area_fails),
		TEST(revoke_spares_what_is_new),
		TEST(revoke_keeps_its_areas),
		TEST(revoke_waits_for_remote_copies_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
