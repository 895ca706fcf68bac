/* SPDX-License-Identifier: MIT */
/* dma-buf: negotiation, the order of checks, revocation, lifetime. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/core/ioas_fixture.h"
#include "tests/core/test_port.h"

#define BASE ((uint64_t)0x40000000)

static const struct fake_buffer plain = {.spa = BASE, .range = 16 * PAGE, .n = 1};

static struct dmabuf *make(const struct fake_buffer *b)
{
	struct dmabuf *buf = NULL;

	assert_int_equal(fake_buffer(b, false, &buf), 0);
	return buf;
}

/* An importer that counts its invalidations. */
struct importer {
	struct dmabuf_attachment a;
	unsigned invalidated, mapped;
	int map_errno;
	bool saw_revoked;
};

static void invalidate(struct dmabuf_attachment *const *v, size_t n,
		       struct domain_gather *gather)
{
	assert_true(n > 0 && n <= DMABUF_INVALIDATE);
	for (size_t k = 0; k < n; k++) {
		struct importer *i = v[k]->priv;

		assert_ptr_equal(v[k]->ops, v[0]->ops);
		i->invalidated++;
		i->saw_revoked = v[k]->buf->revoked;
	}
}

static int on_map(struct dmabuf_attachment *a)
{
	struct importer *i = a->priv;

	i->mapped++;
	return i->map_errno;
}

static int attach(struct dmabuf *buf, struct importer *i,
		  const enum dmabuf_interconnect *ic, unsigned n,
		  enum dmabuf_contract contract)
{
	static struct dmabuf_importer_ops ops[8];
	static unsigned next;
	struct dmabuf_importer_ops *o = &ops[next++ % ARRAY_LEN(ops)];

	*o = (struct dmabuf_importer_ops){
		.interconnects = ic,
		.nr_interconnects = n,
		.contract = contract,
		.invalidate = invalidate,
	};
	return dmabuf_attach(buf, &i->a, o, i, on_map);
}

static void negotiation(void **state)
{
	static const enum dmabuf_interconnect iova_phys[] = {DMABUF_IC_IOVA,
							     DMABUF_IC_PHYS};
	static const enum dmabuf_interconnect pointer_iova[] = {DMABUF_IC_POINTER,
								DMABUF_IC_IOVA};
	static const enum dmabuf_interconnect none[] = {DMABUF_IC_NONE};
	struct fake_buffer b = plain;
	struct importer i = {0};
	struct dmabuf *buf;

	b.interconnects =
		1u << DMABUF_IC_NONE | 1u << DMABUF_IC_PHYS | 1u << DMABUF_IC_POINTER;
	b.contracts = 1u << DMABUF_REVOCABLE | 1u << DMABUF_MOVABLE;
	buf = make(&b);

	/* The importer's first that the exporter offers. */
	assert_int_equal(attach(buf, &i, iova_phys, 2, DMABUF_REVOCABLE), 0);
	assert_int_equal(i.a.interconnect, DMABUF_IC_PHYS);
	dmabuf_detach(&i.a);
	assert_int_equal(attach(buf, &i, pointer_iova, 2, DMABUF_MOVABLE), 0);
	assert_int_equal(i.a.interconnect, DMABUF_IC_POINTER);
	dmabuf_detach(&i.a);
	assert_int_equal(i.mapped, 2);

	assert_int_equal(attach(buf, &i, iova_phys, 1, DMABUF_REVOCABLE), -EOPNOTSUPP);
	assert_int_equal(attach(buf, &i, none, 1, DMABUF_REVOCABLE), -EOPNOTSUPP);
	assert_int_equal(attach(buf, &i, NULL, 0, DMABUF_REVOCABLE), -EOPNOTSUPP);
	assert_int_equal(attach(buf, &i, iova_phys, 2, DMABUF_PINNED), -EOPNOTSUPP);
	assert_int_equal(i.mapped, 2);

	/* A failed map leaves no attachment. */
	i.map_errno = -ENOMEM;
	assert_int_equal(attach(buf, &i, iova_phys, 2, DMABUF_REVOCABLE), -ENOMEM);
	dmabuf_revoke(buf);
	assert_int_equal(i.invalidated, 0);

	/* Revoked wins over everything that is wrong as well. */
	assert_int_equal(attach(buf, &i, none, 1, DMABUF_PINNED), -ENODEV);
	assert_int_equal(i.mapped, 3);
	dmabuf_put(buf);
	assert_clean();
}

static void revoke_restore_orphan(void **state)
{
	static const enum dmabuf_interconnect phys[] = {DMABUF_IC_PHYS};
	struct importer i[3] = {0}, late = {0};
	struct dmabuf *buf = make(&plain), *other = make(&plain);
	struct dmabuf_revocation r = {0};

	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(
			attach(k < 2 ? buf : other, &i[k], phys, 1, DMABUF_REVOCABLE), 0);
	assert_false(dmabuf_is_revoked(buf));
	dmabuf_revocation_add(&r, buf);
	dmabuf_revocation_add(&r, buf); /* revoked already: nothing */
	dmabuf_revocation_finish(&r);
	assert_true(dmabuf_is_revoked(buf));
	assert_false(dmabuf_is_revoked(other));
	assert_int_equal(i[0].invalidated, 1);
	assert_int_equal(i[1].invalidated, 1);
	assert_int_equal(i[2].invalidated, 0);
	assert_true(i[0].saw_revoked);

	assert_int_equal(attach(buf, &late, phys, 1, DMABUF_REVOCABLE), -ENODEV);
	dmabuf_restore(buf);
	assert_int_equal(attach(buf, &late, phys, 1, DMABUF_REVOCABLE), 0);

	/* Revoked for good. The earlier importers are told again: they may have mapped
	 * anew, for all that the buffer knows. */
	dmabuf_orphan(buf, &r);
	dmabuf_orphan(other, &r);
	dmabuf_revocation_finish(&r);
	assert_int_equal(late.invalidated, 1);
	assert_int_equal(i[0].invalidated, 2);
	assert_int_equal(i[2].invalidated, 1);
	dmabuf_restore(buf);
	assert_true(dmabuf_is_revoked(buf));
	dmabuf_revoke(buf);
	assert_int_equal(late.invalidated, 1);

	/* Attachments keep the buffer. */
	dmabuf_put(buf);
	dmabuf_put(other);
	assert_int_equal(fakes.buffers, 2);
	for (unsigned k = 0; k < 3; k++)
		dmabuf_detach(&i[k].a);
	assert_int_equal(fakes.buffers, 1);
	dmabuf_detach(&late.a);
	dmabuf_put(NULL);
	assert_clean();
}

/* More importers than are told at once, of two kinds: each once, kinds not mixed. */
static void many_importers(void **state)
{
	static const enum dmabuf_interconnect phys[] = {DMABUF_IC_PHYS};
	const struct dmabuf_importer_ops kinds[2] = {
		{phys, 1, DMABUF_REVOCABLE, invalidate},
		{phys, 1, DMABUF_MOVABLE, invalidate},
	};
	static struct importer v[5 * DMABUF_INVALIDATE];
	struct fake_buffer b = plain;
	struct dmabuf *buf;

	b.contracts = 1u << DMABUF_REVOCABLE | 1u << DMABUF_MOVABLE;
	buf = make(&b);
	memset(v, 0, sizeof(v));
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		bool other = i > DMABUF_INVALIDATE && i % 37 < 2;

		assert_int_equal(
			dmabuf_attach(buf, &v[i].a, &kinds[other], &v[i], on_map), 0);
	}
	dmabuf_revoke(buf);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		assert_int_equal(v[i].invalidated, 1);
		assert_true(v[i].saw_revoked);
		dmabuf_detach(&v[i].a);
	}
	dmabuf_put(buf);
	assert_clean();
}

static void born_revoked(void **state)
{
	struct dmabuf *buf;
	struct pages *p;

	assert_int_equal(fake_buffer(&plain, true, &buf), 0);
	assert_int_equal(pages_create_dmabuf(buf, 0, PAGE, true, false, &p), -ENODEV);
	dmabuf_restore(buf);
	p = buffer_pages(buf, 0, PAGE);
	pages_put(p);
	dmabuf_orphan(buf, &(struct dmabuf_revocation){0});
	dmabuf_put(buf);
	assert_clean();
}

/* The order of checks of MAP_FILE: conformance E014 to E044, E057 to E066. */
static void slices(void **state)
{
	struct fake_buffer two = plain, no_phys = plain, bad = plain;
	struct dmabuf *buf = make(&plain), *ranges, *other;
	struct pages *p = NULL;

	two.n = 2;
	two.stride = two.range; /* adjacent, and two all the same */
	ranges = make(&two);
	no_phys.interconnects = 1u << DMABUF_IC_POINTER;
	other = make(&no_phys);

	assert_int_equal(pages_create_dmabuf(buf, 0, 0, 1, 0, &p), -EINVAL);
	assert_int_equal(pages_create_dmabuf(buf, 16 * PAGE, 1, 1, 0, &p), -EINVAL);
	assert_int_equal(pages_create_dmabuf(buf, 15 * PAGE, PAGE + 1, 1, 0, &p),
			 -EINVAL);
	assert_int_equal(pages_create_dmabuf(buf, UINT64_MAX, 2, 1, 0, &p), -EINVAL);
	assert_int_equal(pages_create_dmabuf(buf, 1, UINT64_MAX, 1, 0, &p), -EINVAL);
	assert_int_equal(pages_create_dmabuf(other, 0, PAGE, 1, 0, &p), -EOPNOTSUPP);
	assert_int_equal(pages_create_dmabuf(ranges, 0, PAGE, 1, 0, &p), -EOPNOTSUPP);
	assert_int_equal(pages_create_dmabuf(ranges, 32 * PAGE, 1, 1, 0, &p), -EINVAL);
	dmabuf_revoke(ranges);
	assert_int_equal(pages_create_dmabuf(ranges, 0, PAGE, 1, 0, &p), -ENODEV);
	assert_int_equal(pages_create_dmabuf(ranges, 32 * PAGE, 1, 1, 0, &p), -EINVAL);
	dmabuf_revoke(other);
	assert_int_equal(pages_create_dmabuf(other, 0, PAGE, 1, 0, &p), -ENODEV);
	dmabuf_put(other);

	assert_int_equal(pages_create_dmabuf(buf, 0x4800, 1, 1, 0, &p), 0);
	assert_int_equal(pages_kind(p), PAGES_DMABUF);
	assert_int_equal(pages_length(p), 1);
	pages_put(p);

	/* An exporter that fails, or describes less than it has. */
	bad.map_errno = -EIO;
	other = make(&bad);
	assert_int_equal(pages_create_dmabuf(other, 0, PAGE, 1, 0, &p), -EIO);
	dmabuf_put(other);
	bad = plain;
	bad.n = 0;
	assert_int_equal(fake_buffer(&bad, false, &other), 0);
	other->size = PAGE;
	assert_int_equal(pages_create_dmabuf(other, 0, PAGE, 1, 0, &p), -EOPNOTSUPP);
	assert_int_equal(pages_create_dmabuf(other, 0, PAGE, 1, 1, &p), -EINVAL);
	dmabuf_put(other);
	dmabuf_put(ranges);
	dmabuf_put(buf);
	assert_clean();
}

/* The extension: a slice across ranges. */
static void several_ranges(void **state)
{
	struct fake_buffer b = plain;
	struct domain *d = fake_domain(true);
	struct dmabuf *buf;
	struct pages *p;
	struct ioas *ioas;
	uint64_t iova = 0x100000;
	unsigned prot;

	b.n = 4;
	b.range = 2 * PAGE;
	b.stride = 8 * PAGE;
	buf = make(&b);
	assert_int_equal(ioas_create(&ioas), 0);
	assert_int_equal(ioas_add_domain(ioas, d), 0);
	/* Its second page to its sixth: parts of range 0 and 2, all of 1. */
	assert_int_equal(pages_create_dmabuf(buf, PAGE, 4 * PAGE, true, true, &p), 0);
	assert_int_equal(ioas_map(ioas, p, 0, 4 * PAGE, IOAS_READ, true, &iova), 0);
	assert_int_equal(spa_at(d, iova, &prot), BASE + PAGE);
	assert_int_equal(prot, PT_READ | PT_MMIO);
	assert_int_equal(spa_at(d, iova + PAGE, NULL), BASE + 8 * PAGE);
	assert_int_equal(spa_at(d, iova + 2 * PAGE, NULL), BASE + 9 * PAGE);
	assert_int_equal(spa_at(d, iova + 3 * PAGE, NULL), BASE + 16 * PAGE);
	assert_true(spa_at(d, iova + 4 * PAGE, NULL) == UINT64_MAX);
	dmabuf_revoke(buf);
	for (unsigned i = 0; i < 4; i++)
		assert_true(spa_at(d, iova + i * PAGE, NULL) == UINT64_MAX);
	pages_put(p);
	ioas_remove_domain(ioas, d);
	ioas_destroy(ioas);
	domain_destroy(d);
	dmabuf_put(buf);
	assert_clean();
}

static void no_memory(void **state)
{
	struct dmabuf *buf = make(&plain);
	struct pages *p;
	int rc = -ENOMEM;

	for (long n = 0; rc; n++) {
		long live = test_port_live();

		assert_true(n < 16);
		test_port_fail_after(n);
		rc = pages_create_dmabuf(buf, 0, PAGE, true, false, &p);
		test_port_fail_after(-1);
		assert_true(rc == 0 || rc == -ENOMEM);
		if (rc)
			assert_int_equal(test_port_live(), live);
	}
	pages_put(p);
	test_port_fail_after(0);
	assert_int_equal(fake_buffer(&plain, false, &(struct dmabuf *){NULL}), -ENOMEM);
	test_port_fail_after(-1);
	dmabuf_put(buf);
	assert_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(negotiation, fixture_setup),
		cmocka_unit_test_setup(revoke_restore_orphan, fixture_setup),
		cmocka_unit_test_setup(many_importers, fixture_setup),
		cmocka_unit_test_setup(born_revoked, fixture_setup),
		cmocka_unit_test_setup(slices, fixture_setup),
		cmocka_unit_test_setup(several_ranges, fixture_setup),
		cmocka_unit_test_setup(no_memory, fixture_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
