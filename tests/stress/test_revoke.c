/* SPDX-License-Identifier: MIT */
/*
 * Devices copy into memory flat out while it is taken away from under them. Whoever
 * took it away writes a canary into it and looks at it for a while: a byte that changes
 * is a device that still reached it.
 *
 *   devices   copy from RAM into dma-bufs, and from one dma-buf into another, through
 *             the IOTLB, at random places, many of which fault, often in bursts; a
 *             second engine of each is slow between translating and writing
 *   revoker   revokes one buffer, or several at once, checks them, restores them and
 *             maps them again in several areas of both IOASes; orphans one at times
 *   unmapper  maps its own memory in both IOASes, unmaps it, checks it
 *   mapper    maps, copies and unmaps slices of the buffers at random places
 *   toggler   adds a domain with a device of its own to an IOAS and removes it
 *
 * The memory behind each pin is checked as well: between unpin and pin it may not
 * change. In the second test one buffer is a remote window, whose copies block.
 *
 * STRESS_ROUNDS: how many revokes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dma.h"
#include "core/ioas.h"
#include "port/port.h"
#include "port/sanitizers.h"

#define PAGE       ((uint64_t)4096)
#define RW         (IOAS_READ | IOAS_WRITE)
#define NSPACES    2u
#define NBUFS      3u
#define REMOTE_BUF 2u
#define NDEVICES   3u
#define BUF_BYTES  (16 * PAGE)
#define NSLICES    4u
#define SLICE      (BUF_BYTES / NSLICES)
#define RAM_BYTES  (64 * PAGE)
/* Where things are: slices of buffers, RAM, the unmapper's memory, the mapper's. */
#define SLICE_AT(buf, slice) ((uint64_t)(1 + (buf)*NSLICES + (slice)) << 21)
#define RAM_AT               ((uint64_t)1 << 30)
#define OWN_AT               ((uint64_t)2 << 30)
#define RANDOM_AT(n)         ((uint64_t)3 << 30 | (uint64_t)(n) << 15)
#define NRANDOM              64u

struct memory {
	struct phys_window window;
	uint64_t *bytes;
	uint64_t length;
};

struct rnd {
	uint64_t state;
};

static struct stress {
	struct phys *phys;
	struct memory ram, own, bar[NBUFS];
	struct ioas *ioas[NSPACES];
	struct domain *domain[NDEVICES]; /* the last one is the toggler's */
	struct dma_requester requester[NDEVICES];
	struct dmabuf *buf[NBUFS];
	pthread_mutex_t buf_lock; /* guards buf[] against being replaced */
	_Atomic bool stop;
	_Atomic unsigned long broken; /* canaries that changed */
	_Atomic unsigned long copies, faults, revokes, unmaps, maps, toggles;
	_Atomic unsigned long own_pins;
} s;

static uint64_t next(struct rnd *r)
{
	uint64_t x = r->state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return r->state = x;
}

static unsigned below(struct rnd *r, unsigned n)
{
	return next(r) % n;
}

/* ---- memory --------------------------------------------------------------- */

/* Copies into a remote window take a while, and may be scheduled away. */
static int remote_read(struct phys_window *w, uint64_t offset, void *dst, size_t n)
{
	struct memory *m = container_of(w, struct memory, window);

	return port_copy_guarded(dst, (char *)m->bytes + offset, n);
}

static int remote_write(struct phys_window *w, uint64_t offset, const void *src, size_t n)
{
	struct memory *m = container_of(w, struct memory, window);

	if (offset % 8 == 0)
		sched_yield();
	return port_copy_guarded((char *)m->bytes + offset, src, n);
}

static const struct phys_window_ops remote_ops = {
	.read = remote_read,
	.write = remote_write,
};

static void memory_init(struct memory *m, uint64_t length, bool mmio, bool remote)
{
	m->length = length;
	m->bytes = aligned_alloc(PAGE, length);
	assert_non_null(m->bytes);
	memset(m->bytes, 0x11, length);
	m->window.length = length;
	m->window.kind = mmio ? PHYS_MMIO : PHYS_RAM;
	m->window.host = remote ? NULL : m->bytes;
	m->window.ops = remote ? &remote_ops : NULL;
	assert_int_equal(phys_add(s.phys, &m->window), 0);
}

static void memory_finish(struct memory *m)
{
	phys_remove(s.phys, &m->window);
	free(m->bytes);
}

static void set_canary(struct memory *m, uint64_t canary)
{
	for (uint64_t i = 0; i < m->length / 8; i++)
		m->bytes[i] = canary;
}

static void check_canary(struct memory *m, uint64_t canary)
{
	unsigned long bad = 0;

	for (uint64_t i = 0; i < m->length / 8; i++)
		bad += m->bytes[i] != canary;
	if (bad)
		atomic_fetch_add(&s.broken, bad);
}

/* Long enough for a device that is in the middle of a copy to go on with it. */
static void linger(struct rnd *r)
{
	for (unsigned i = below(r, 3); i; i--)
		sched_yield();
}

/* ---- sources and exporters ------------------------------------------------ */

struct source {
	struct mem_source base;
	struct memory *m;
	bool guarded; /* only one pin at a time: the memory rests in between */
	uint64_t canary;
};

static int pin(struct mem_source *base, uint64_t offset, uint64_t length, bool writable,
	       struct run_list *runs)
{
	struct source *src = container_of(base, struct source, base);
	struct run run = {src->m->window.base + offset, length, false};

	if (src->guarded && src->canary)
		check_canary(src->m, src->canary);
	return run_list_add(runs, run, false);
}

static void unpin(struct mem_source *base, uint64_t offset, uint64_t length)
{
	struct source *src = container_of(base, struct source, base);

	if (!src->guarded)
		return;
	src->canary = 0xd00d0000 + atomic_fetch_add(&s.own_pins, 1);
	set_canary(src->m, src->canary);
}

static void destroy(struct mem_source *base)
{
	free(container_of(base, struct source, base));
}

static const struct mem_source_ops source_ops = {
	.pin = pin,
	.unpin = unpin,
	.destroy = destroy,
};

static struct pages *memory_pages(struct memory *m, bool guarded)
{
	struct source *src = calloc(1, sizeof(*src));
	struct pages *p = NULL;

	src->base.ops = &source_ops;
	src->base.address = m->window.base;
	src->m = m;
	src->guarded = guarded;
	PORT_BUG_ON(pages_create(&src->base, m->length, true, &p));
	return p;
}

static int map_phys(struct dmabuf *buf, struct run_list *runs)
{
	struct memory *m = buf->priv;
	struct run run = {m->window.base, m->length, true};

	return run_list_add(runs, run, false);
}

static const struct dmabuf_exporter_ops exporter = {
	.name = "stress",
	.interconnects = 1u << DMABUF_IC_PHYS,
	.contracts = 1u << DMABUF_REVOCABLE,
	.map_phys = map_phys,
};

/* ---- devices -------------------------------------------------------------- */

static uint64_t some_place(struct rnd *r)
{
	uint64_t at = SLICE_AT(below(r, NBUFS), below(r, NSLICES));

	switch (below(r, 8)) {
	case 0:
		at = OWN_AT;
		break;
	case 1:
		at = RANDOM_AT(below(r, NRANDOM));
		break;
	}
	/* Some cross the end of what is mapped. */
	return at + below(r, SLICE - PAGE);
}

/*
 * A device that is slow between finding its target and writing to it, in the hardest
 * moment: what it found has to stay until it leaves the section.
 */
static bool slow_write(struct dma_channel *ch, struct rnd *r, uint64_t dst)
{
	struct dma_target t;
	int rc;

	port_dma_enter();
	rc = dma_translate(ch, dst, true, &t, NULL);
	if (!rc && t.window->host) {
		for (unsigned i = below(r, 4); i; i--)
			sched_yield();
		/* Other devices write here, too; the CPU does not, or it is a race. */
		__atomic_store_n((uint8_t *)t.window->host + t.offset, 0x22,
				 __ATOMIC_RELAXED);
	}
	port_dma_leave();
	return rc == 0;
}

static void *slow_device(void *arg)
{
	struct rnd r = {.state = (uintptr_t)arg | 1};
	struct dma_channel *ch = calloc(1, sizeof(*ch));
	unsigned long copies = 0, faults = 0;

	dma_channel_init(ch, arg);
	while (!atomic_load_explicit(&s.stop, memory_order_relaxed)) {
		if (slow_write(ch, &r, some_place(&r)))
			copies++;
		else
			faults++;
		sched_yield();
	}
	atomic_fetch_add(&s.copies, copies);
	atomic_fetch_add(&s.faults, faults);
	free(ch);
	return NULL;
}

static void *device(void *arg)
{
	struct dma_requester *requester = arg;
	struct rnd r = {.state = (uintptr_t)arg | 1};
	struct dma_channel *ch = calloc(1, sizeof(*ch));
	unsigned long copies = 0, faults = 0;

	dma_channel_init(ch, requester);
	while (!atomic_load_explicit(&s.stop, memory_order_relaxed)) {
		/* Streams: the same place for a while, so that the IOTLB hits. */
		uint64_t dst = some_place(&r);
		uint64_t src =
			below(&r, 8) ? RAM_AT + below(&r, RAM_BYTES / 2) : some_place(&r);
		uint64_t n = 1u << below(&r, 13);

		if (below(&r, 4))
			port_dma_burst_begin();
		for (unsigned i = below(&r, 64); i; i--) {
			if (dma_copy(ch, dst, src, n, NULL))
				faults++;
			else
				copies++;
		}
		if (below(&r, 2))
			port_dma_burst_end();
		port_dma_rest();
		/* There are more threads than CPUs: let the others have a turn, which
		 * also leaves IOTLB entries alone for a while before they are used. */
		sched_yield();
	}
	port_dma_burst_end();
	atomic_fetch_add(&s.copies, copies);
	atomic_fetch_add(&s.faults, faults);
	free(ch);
	return NULL;
}

/* ---- the revoker ---------------------------------------------------------- */

/* All slices of the buffer into both IOASes; who else maps there meanwhile is welcome. */
static void map_slices(unsigned b)
{
	for (unsigned i = 0; i < NSLICES * NSPACES; i++) {
		uint64_t iova = SLICE_AT(b, i % NSLICES), unmapped;
		struct ioas *ioas = s.ioas[i / NSLICES];
		struct pages *p;

		ioas_unmap(ioas, iova, SLICE, &unmapped);
		if (pages_create_dmabuf(s.buf[b], i % NSLICES * SLICE, SLICE, true, false,
					&p))
			continue;
		ioas_map(ioas, p, 0, SLICE, RW, true, &iova);
		pages_put(p);
	}
}

static void replace_orphan(unsigned b)
{
	struct dmabuf *old = s.buf[b], *buf;

	PORT_BUG_ON(dmabuf_create(&exporter, &s.bar[b], BUF_BYTES, true, &buf));
	pthread_mutex_lock(&s.buf_lock);
	s.buf[b] = buf;
	pthread_mutex_unlock(&s.buf_lock);
	dmabuf_put(old);
}

static void revoke_round(struct rnd *r, uint64_t round)
{
	struct dmabuf_revocation rev = {0};
	unsigned mask = 1 + below(r, (1u << NBUFS) - 1);
	bool orphan = below(r, 16) == 0;

	for (unsigned b = 0; b < NBUFS; b++) {
		if (!(mask & 1u << b))
			continue;
		if (orphan)
			dmabuf_orphan(s.buf[b], &rev);
		else
			dmabuf_revocation_add(&rev, s.buf[b]);
	}
	dmabuf_revocation_finish(&rev);
	for (unsigned b = 0; b < NBUFS; b++)
		if (mask & 1u << b)
			set_canary(&s.bar[b], 0xcafe0000 + round * NBUFS + b);
	linger(r);
	for (unsigned b = 0; b < NBUFS; b++) {
		if (!(mask & 1u << b))
			continue;
		check_canary(&s.bar[b], 0xcafe0000 + round * NBUFS + b);
		if (orphan)
			replace_orphan(b);
		dmabuf_restore(s.buf[b]);
		map_slices(b);
	}
}

static void *revoker(void *arg)
{
	struct rnd r = {.state = 0x5eed1};
	unsigned long rounds = *(unsigned long *)arg;

	for (unsigned long i = 0; i < rounds; i++) {
		revoke_round(&r, i);
		/* Let the devices find the new mappings. */
		linger(&r);
	}
	atomic_store(&s.revokes, rounds);
	atomic_store(&s.stop, true);
	return NULL;
}

/* ---- those who unmap
 * --------------------------------------------------------------------- */

static void *unmapper(void *arg)
{
	struct pages *p = memory_pages(&s.own, true);
	struct rnd r = {.state = 0x5eed2};

	while (!atomic_load(&s.stop)) {
		uint64_t iova = OWN_AT, unmapped, canary;
		unsigned first = below(&r, NSPACES);

		PORT_BUG_ON(ioas_map(s.ioas[first], p, 0, s.own.length, RW, true, &iova));
		if (below(&r, 2))
			PORT_BUG_ON(ioas_copy(s.ioas[!first], s.ioas[first], OWN_AT,
					      s.own.length, RW, true, &iova));
		linger(&r);
		PORT_BUG_ON(ioas_unmap(s.ioas[first], OWN_AT, s.own.length, &unmapped));
		ioas_unmap(s.ioas[!first], OWN_AT, s.own.length, &unmapped);
		/* Unpinned by now, which has set a canary. */
		canary = s.own.bytes[0];
		linger(&r);
		check_canary(&s.own, canary);
		atomic_fetch_add(&s.unmaps, 1);
	}
	pages_put(p);
	return NULL;
}

static void map_somewhere(struct rnd *r, struct ioas *ioas, uint64_t iova)
{
	struct dmabuf *buf;
	struct pages *p;

	pthread_mutex_lock(&s.buf_lock);
	buf = s.buf[below(r, NBUFS)];
	dmabuf_get(buf);
	pthread_mutex_unlock(&s.buf_lock);
	if (!pages_create_dmabuf(buf, below(r, 8) * PAGE, SLICE, true, false, &p)) {
		if (!ioas_map(ioas, p, 0, SLICE, RW, true, &iova))
			atomic_fetch_add(&s.maps, 1);
		pages_put(p);
	}
	dmabuf_put(buf);
}

static void *mapper(void *arg)
{
	struct rnd r = {.state = 0x5eed3};

	while (!atomic_load(&s.stop)) {
		struct ioas *ioas = s.ioas[below(&r, NSPACES)];
		uint64_t iova = RANDOM_AT(below(&r, NRANDOM)), unmapped;

		switch (below(&r, 4)) {
		case 0:
			map_somewhere(&r, ioas, iova);
			break;
		case 1:
			ioas_copy(ioas, s.ioas[below(&r, NSPACES)],
				  SLICE_AT(below(&r, NBUFS), below(&r, NSLICES)), SLICE,
				  RW, true, &iova);
			break;
		case 2:
			ioas_unmap(ioas, iova, SLICE, &unmapped);
			break;
		default:
			ioas_unmap(ioas, iova, (uint64_t)below(&r, 16) << 15, &unmapped);
		}
	}
	return NULL;
}

static void *toggler(void *arg)
{
	struct domain *d = s.domain[NDEVICES - 1];
	struct rnd r = {.state = 0x5eed4};
	struct pt_translation t;

	while (!atomic_load(&s.stop)) {
		struct ioas *ioas = s.ioas[below(&r, NSPACES)];

		PORT_BUG_ON(ioas_add_domain(ioas, d));
		PORT_BUG_ON(!domain_lookup(d, RAM_AT, &t));
		linger(&r);
		ioas_remove_domain(ioas, d);
		PORT_BUG_ON(domain_lookup(d, RAM_AT, &t));
		atomic_fetch_add(&s.toggles, 1);
	}
	return NULL;
}

/* ---- the run
 * ------------------------------------------------------------------------------ */

static void setup(bool remote)
{
	memset(&s, 0, sizeof(s));
	pthread_mutex_init(&s.buf_lock, NULL);
	assert_int_equal(phys_create(&s.phys), 0);
	memory_init(&s.ram, RAM_BYTES, false, false);
	memory_init(&s.own, SLICE, false, false);
	for (unsigned b = 0; b < NBUFS; b++) {
		memory_init(&s.bar[b], BUF_BYTES, true, remote && b == REMOTE_BUF);
		assert_int_equal(
			dmabuf_create(&exporter, &s.bar[b], BUF_BYTES, false, &s.buf[b]),
			0);
	}
	for (unsigned i = 0; i < NSPACES; i++) {
		struct pages *p = memory_pages(&s.ram, false);
		uint64_t iova = RAM_AT;

		assert_int_equal(ioas_create(&s.ioas[i]), 0);
		assert_int_equal(ioas_map(s.ioas[i], p, 0, RAM_BYTES, RW, true, &iova),
				 0);
		pages_put(p);
	}
	for (unsigned i = 0; i < NDEVICES; i++) {
		assert_int_equal(domain_create(s.phys, &pt_vtd_s2, 0, &s.domain[i]), 0);
		dma_requester_init(&s.requester[i]);
		dma_requester_attach(&s.requester[i], s.domain[i]);
		dma_requester_set_master(&s.requester[i], true);
		if (i < NSPACES)
			assert_int_equal(ioas_add_domain(s.ioas[i], s.domain[i]), 0);
	}
	for (unsigned b = 0; b < NBUFS; b++)
		map_slices(b);
}

static void teardown(void)
{
	for (unsigned i = 0; i < NDEVICES; i++) {
		if (i < NSPACES)
			ioas_remove_domain(s.ioas[i], s.domain[i]);
		dma_requester_finish(&s.requester[i]);
	}
	for (unsigned i = 0; i < NSPACES; i++)
		ioas_destroy(s.ioas[i]);
	for (unsigned i = 0; i < NDEVICES; i++)
		domain_destroy(s.domain[i]);
	for (unsigned b = 0; b < NBUFS; b++) {
		dmabuf_put(s.buf[b]);
		memory_finish(&s.bar[b]);
	}
	memory_finish(&s.own);
	memory_finish(&s.ram);
	phys_destroy(s.phys);
	pthread_mutex_destroy(&s.buf_lock);
}

static void run(bool remote)
{
	static void *(*const others[])(void *) = {unmapper, mapper, toggler};
	const char *rounds_env = getenv("STRESS_ROUNDS");
	unsigned long rounds = rounds_env  ? strtoul(rounds_env, NULL, 0)
			       : PORT_TSAN ? 300
					   : 1000;
	pthread_t thread[2 * NDEVICES + ARRAY_LEN(others) + 1];
	unsigned long bugs = port_bug_count();
	unsigned n = 0;

	setup(remote);
	for (unsigned i = 0; i < NDEVICES; i++) {
		pthread_create(&thread[n++], NULL, device, &s.requester[i]);
		pthread_create(&thread[n++], NULL, slow_device, &s.requester[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		pthread_create(&thread[n++], NULL, others[i], NULL);
	pthread_create(&thread[n++], NULL, revoker, &rounds);
	while (n--)
		pthread_join(thread[n], NULL);
	print_message("%lu copies, %lu faults, %lu revokes, %lu unmaps, %lu maps, "
		      "%lu domains\n",
		      s.copies, s.faults, s.revokes, s.unmaps, s.maps, s.toggles);
	teardown();
	assert_int_equal(s.broken, 0);
	assert_int_equal(port_bug_count(), bugs);
	assert_true(s.copies && s.faults && s.unmaps && s.maps && s.toggles);
}

/* Where a domain has been used for remote copies, every drain waits for those, too,
 * which hides whether the rest waits; so both. */
static void direct_windows(void **state)
{
	run(false);
}

static void a_remote_window_as_well(void **state)
{
	run(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direct_windows),
		cmocka_unit_test(a_remote_window_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
