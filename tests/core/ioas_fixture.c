/* SPDX-License-Identifier: MIT */
#include "tests/core/ioas_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "tests/core/test_port.h"

struct fake_counts fakes;

/* ---- memory --------------------------------------------------------------- */

struct fake {
	struct mem_source source;
	struct fake_memory m;
	struct held {
		uint64_t offset, length;
	} held[256];
	unsigned nr_held;
};

static int pin(struct mem_source *s, uint64_t offset, uint64_t length, bool writable,
	       struct run_list *runs)
{
	struct fake *f = container_of(s, struct fake, source);
	uint64_t done = 0;

	while (done < length) {
		struct run run = {.spa = f->m.spa + offset + done};

		/* Fails half-way: what was appended by then is the caller's. */
		if (f->m.bad_errno && offset + done >= f->m.bad_from)
			return f->m.bad_errno;
		run.length = length - done;
		if (f->m.run)
			run.length = min_u64(run.length, f->m.run - run.spa % f->m.run);
		if (f->m.bad_errno)
			run.length = min_u64(run.length, f->m.bad_from - offset - done);
		if (run_list_add(runs, run, false))
			return -ENOMEM;
		done += run.length;
	}
	assert_true(f->nr_held < ARRAY_LEN(f->held));
	f->held[f->nr_held++] = (struct held){offset, length};
	fakes.pins++;
	return 0;
}

static void unpin(struct mem_source *s, uint64_t offset, uint64_t length)
{
	struct fake *f = container_of(s, struct fake, source);

	for (unsigned i = 0; i < f->nr_held; i++) {
		if (f->held[i].offset == offset && f->held[i].length == length) {
			f->held[i] = f->held[--f->nr_held];
			fakes.pins--;
			return;
		}
	}
	fail_msg("unpin of what is not pinned");
}

static void destroy(struct mem_source *s)
{
	struct fake *f = container_of(s, struct fake, source);

	assert_int_equal(f->nr_held, 0);
	fakes.sources--;
	free(f);
}

static const struct mem_source_ops source_ops = {
	.pin = pin,
	.unpin = unpin,
	.destroy = destroy,
};

struct mem_source *fake_source(const struct fake_memory *m)
{
	struct fake *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->m = *m;
	f->source.ops = &source_ops;
	f->source.address = m->address;
	f->source.is_file = m->is_file;
	fakes.sources++;
	return &f->source;
}

/* ---- dma-bufs ------------------------------------------------------------- */

struct fake_export {
	struct dmabuf_exporter_ops ops;
	struct fake_buffer b;
};

static int map_phys(struct dmabuf *buf, struct run_list *runs)
{
	struct fake_export *e = buf->priv;

	for (unsigned i = 0; i < e->b.n; i++) {
		struct run run = {e->b.spa + i * e->b.stride, e->b.range, true};

		if (run_list_add(runs, run, false))
			return -ENOMEM;
	}
	return e->b.map_errno;
}

static void release(struct dmabuf *buf)
{
	free(buf->priv);
	fakes.buffers--;
}

int fake_buffer(const struct fake_buffer *b, bool revoked, struct dmabuf **out)
{
	struct fake_export *e = calloc(1, sizeof(*e));
	int rc;

	assert_non_null(e);
	e->b = *b;
	e->ops.name = "fake";
	e->ops.interconnects = b->interconnects ? b->interconnects : 1u << DMABUF_IC_PHYS;
	e->ops.contracts = b->contracts ? b->contracts : 1u << DMABUF_REVOCABLE;
	e->ops.map_phys = map_phys;
	e->ops.release = release;
	rc = dmabuf_create(&e->ops, e, b->n * b->range, revoked, out);
	if (rc)
		free(e);
	else
		fakes.buffers++;
	return rc;
}

/* ---- shorthands ----------------------------------------------------------- */

struct domain *fake_domain(bool all_sizes)
{
	struct domain *d = NULL;

	assert_int_equal(domain_create(NULL, &pt_vtd_s2, all_sizes ? 0 : PAGE, &d), 0);
	return d;
}

uint64_t spa_at(struct domain *d, uint64_t iova, unsigned *prot)
{
	struct pt_translation t;

	if (!domain_lookup(d, iova, &t))
		return UINT64_MAX;
	if (prot)
		*prot = t.prot;
	return t.spa;
}

struct pages *fake_pages(uint64_t spa, uint64_t length)
{
	struct fake_memory m = {.spa = spa, .address = spa};
	struct pages *p = NULL;

	assert_int_equal(pages_create(fake_source(&m), length, true, &p), 0);
	return p;
}

struct pages *buffer_pages(struct dmabuf *buf, uint64_t start, uint64_t length)
{
	struct pages *p = NULL;

	assert_int_equal(pages_create_dmabuf(buf, start, length, true, false, &p), 0);
	return p;
}

static long live_before;
static unsigned bugs_before;

int fixture_setup(void **state)
{
	fakes = (struct fake_counts){0};
	live_before = test_port_live();
	bugs_before = test_port_bugs();
	test_port_fail_after(-1);
	return 0;
}

void assert_clean(void)
{
	assert_int_equal(fakes.sources, 0);
	assert_int_equal(fakes.pins, 0);
	assert_int_equal(fakes.buffers, 0);
	assert_int_equal(test_port_live(), live_before);
	assert_int_equal(test_port_bugs(), bugs_before);
}
