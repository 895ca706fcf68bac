/* SPDX-License-Identifier: MIT */
/*
 * Random operations on two IOASes, three domains and three dma-bufs, against a model
 * that keeps one entry for each KiB of a small IOVA space and decides everything by
 * looking at all of them. After each operation the result, the errno and what each
 * domain translates are compared.
 *
 * TEST_SEED repeats a run; MODEL_OPS sets its length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/ioas_fixture.h"
#include "tests/core/ioas_model_seen.h"
#include "tests/core/test_port.h"

#define CELL      ((uint64_t)1024)
#define NCELLS    256u
#define PER_PAGE  4u
#define NSPACES   2u
#define NDOMAINS  3u
#define NBUFS     3u
#define NOWNERS   3u
#define BUF_CELLS 64u
#define RW        (IOAS_READ | IOAS_WRITE)
#define NO_AREA   (-1)

struct area {
	unsigned first, n;     /* cells */
	uint64_t spa, address; /* of its first byte */
	uint64_t bad_spa;      /* the memory is no good from here on */
	bool writable, revoked, mmio;
	unsigned buf; /* serial number of the dma-buf; 0: none */
	unsigned prot;
};

struct space {
	struct ioas *ioas;
	int at[NCELLS]; /* index into areas, or NO_AREA */
	struct area areas[NCELLS];
	unsigned reserved[NCELLS]; /* bit n: by owner n */
	bool allowed[NCELLS], any_allowed;
	bool large_off;
};

static struct model {
	struct test_random rnd;
	struct space space[NSPACES];
	struct {
		struct domain *d;
		int space; /* or -1 */
	} domain[NDOMAINS];
	struct {
		struct dmabuf *buf;
		unsigned serial;
		uint64_t spa;
		bool revoked;
	} buf[NBUFS];
	unsigned next_serial;
	int owner[NOWNERS];
} m;

static unsigned below(unsigned n)
{
	return test_random_below(&m.rnd, n);
}

static bool chance(unsigned one_in)
{
	return below(one_in) == 0;
}

static struct space *any_space(void)
{
	return &m.space[below(NSPACES)];
}

static bool has_domain(const struct space *s)
{
	for (unsigned i = 0; i < NDOMAINS; i++)
		if (m.domain[i].space == s - m.space)
			return true;
	return false;
}

static uint64_t alignment(const struct space *s)
{
	return has_domain(s) || s->large_off ? PAGE : 1;
}

static const struct area *area_at(const struct space *s, unsigned cell)
{
	return cell < NCELLS && s->at[cell] != NO_AREA ? &s->areas[s->at[cell]] : NULL;
}

/* ---- the model's rules ---------------------------------------------------- */

static uint64_t wanted_alignment(uint64_t address, uint64_t length)
{
	uint64_t a = 1;

	while (a < length)
		a *= 2;
	while (address % a)
		a /= 2;
	return a < 0x200000 ? a : 0x200000;
}

static bool is_free(const struct space *s, unsigned cell)
{
	return cell < NCELLS && s->at[cell] == NO_AREA && !s->reserved[cell];
}

/* Linux's order: holes from below; in each the first aligned place, or none. */
static int choose_in(const struct space *s, unsigned first, unsigned end, uint64_t align,
		     uint64_t offset, unsigned n, unsigned *where)
{
	uint64_t at = (first * CELL + align - 1) / align * align | offset;

	if (at + n * CELL > end * CELL)
		return -ENOSPC;
	first = at / CELL;
	while (first < end) {
		unsigned hole = first;

		while (hole < end && !is_free(s, hole))
			hole++;
		first = hole;
		while (first < end && is_free(s, first))
			first++;
		at = (hole * CELL + align - 1) / align * align | offset;
		if (hole < first && at + n * CELL <= first * CELL) {
			*where = at / CELL;
			return 0;
		}
	}
	return -ENOSPC;
}

static int choose(const struct space *s, uint64_t address, unsigned n, unsigned *where)
{
	uint64_t align = wanted_alignment(address, n * CELL);

	if (align < alignment(s))
		return -EINVAL;
	if (!s->any_allowed)
		return choose_in(s, PER_PAGE, NCELLS, align, address % PAGE, n, where);
	for (unsigned i = PER_PAGE; i < NCELLS; i++) {
		unsigned end = i;

		while (end < NCELLS && s->allowed[end])
			end++;
		if (end > i && !choose_in(s, i, end, align, address % PAGE, n, where))
			return 0;
		i = end;
	}
	return -ENOSPC;
}

static int place(const struct space *s, uint64_t iova, unsigned n)
{
	if (iova % alignment(s))
		return -EINVAL;
	if (iova + (n * CELL - 1) < iova)
		return -EOVERFLOW;
	for (unsigned i = 0; i < n; i++)
		if (iova / CELL + i >= NCELLS || s->reserved[iova / CELL + i])
			return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (s->at[iova / CELL + i] != NO_AREA)
			return -EEXIST;
	return 0;
}

static void enter(struct space *s, const struct area *a)
{
	unsigned slot = 0;

	while (s->areas[slot].n)
		slot++;
	s->areas[slot] = *a;
	for (unsigned i = 0; i < a->n; i++)
		s->at[a->first + i] = slot;
}

/*
 * What a domain says to an area. The pieces of a copy may be unaligned where all of it
 * is not; that is noticed only here, and not at all when nothing is mapped.
 */
static int fill(const struct area *a)
{
	if (a->revoked)
		return 0;
	if (a->spa + a->n * CELL > a->bad_spa)
		return -EFAULT;
	return a->first % PER_PAGE || a->n % PER_PAGE ? -EINVAL : 0;
}

/* Map @k pieces, @n cells in all, side by side; *@iova as in ioas_map(). */
static int model_map(struct space *s, struct area *v, unsigned k, unsigned n,
		     unsigned prot, bool fixed, uint64_t *iova)
{
	unsigned where = 0;
	int rc;

	if (n == 0 || n * CELL % alignment(s))
		return -EINVAL;
	rc = fixed ? place(s, *iova, n) : choose(s, v[0].address, n, &where);
	if (rc)
		return rc;
	if (fixed)
		where = *iova / CELL;
	for (unsigned i = 0; i < k; i++) {
		if ((prot & IOAS_WRITE) && !v[i].writable)
			return -EPERM;
		if (v[i].address % alignment(s))
			return -EINVAL;
	}
	for (unsigned i = 0, at = where; i < k; at += v[i++].n) {
		v[i].first = at;
		v[i].prot = prot;
	}
	for (unsigned i = 0; i < k && has_domain(s); i++) {
		rc = fill(&v[i]);
		if (rc)
			return rc;
	}
	for (unsigned i = 0; i < k; i++)
		enter(s, &v[i]);
	*iova = where * CELL;
	return 0;
}

static unsigned leave(struct space *s, struct area *a)
{
	unsigned n = a->n;

	for (unsigned i = 0; i < n; i++)
		s->at[a->first + i] = NO_AREA;
	*a = (struct area){0};
	return n;
}

static int model_unmap(struct space *s, unsigned first, unsigned n, uint64_t *unmapped)
{
	*unmapped = 0;
	for (unsigned i = first; i < first + n && i < NCELLS; i++) {
		const struct area *a = area_at(s, i);

		if (!a)
			continue;
		if (a->first < first || a->first + a->n > first + n)
			return -ENOENT;
		*unmapped += leave(s, &s->areas[s->at[i]]) * CELL;
	}
	return *unmapped ? 0 : -ENOENT;
}

/* ---- comparing ------------------------------------------------------------ */

static void check_domain(unsigned i)
{
	const struct space *s =
		m.domain[i].space < 0 ? NULL : &m.space[m.domain[i].space];

	for (unsigned cell = 0; cell < NCELLS; cell += PER_PAGE) {
		unsigned prot = 0;
		uint64_t spa = spa_at(m.domain[i].d, cell * CELL, &prot);
		const struct area *a = s ? area_at(s, cell) : NULL;

		if (!a || a->revoked) {
			assert_true(spa == UINT64_MAX);
			continue;
		}
		assert_int_equal(spa, a->spa + (cell - a->first) * CELL);
		assert_int_equal(prot, a->prot | (a->mmio ? PT_MMIO : 0));
	}
}

static void check_ranges(struct space *s)
{
	struct iova_range v[NCELLS];
	uint64_t align;
	size_t n, k = 0;

	ioas_ranges(s->ioas, v, NCELLS, &n, &align);
	assert_int_equal(align, alignment(s));
	for (unsigned i = 0; i < NCELLS; i++) {
		unsigned end = i;

		while (end < NCELLS && !s->reserved[end])
			end++;
		if (end == i)
			continue;
		assert_true(k < n);
		assert_int_equal(v[k].start, i * CELL);
		assert_int_equal(v[k].last, end * CELL - 1);
		k++;
		i = end;
	}
	assert_int_equal(k, n);
}

static void check_all(void)
{
	bool domains = false;

	for (unsigned i = 0; i < NDOMAINS; i++) {
		check_domain(i);
		domains |= m.domain[i].space >= 0;
	}
	for (unsigned i = 0; i < NSPACES; i++) {
		struct space *s = &m.space[i];
		size_t n = 0;

		for (unsigned c = 0; c < NCELLS; c++)
			n += s->at[c] != NO_AREA && s->areas[s->at[c]].first == c;
		assert_int_equal(ioas_area_count(s->ioas), n);
		check_ranges(s);
		assert_int_equal(ioas_large_pages(s->ioas), !s->large_off);
	}
	if (!domains)
		assert_int_equal(fakes.pins, 0);
}

/* ---- operations ----------------------------------------------------------- */

/* Lengths: mostly pages, mostly few. */
static unsigned some_cells(void)
{
	unsigned n = chance(8) ? below(40) : below(6) * PER_PAGE;

	return chance(20) ? n * 4 : n;
}

static unsigned some_cell(void)
{
	return chance(8) ? below(NCELLS) : below(NCELLS / PER_PAGE) * PER_PAGE;
}

/* A range of cells; mostly one that begins in an area, and ends with one. */
static void some_range(const struct space *s, unsigned *first, unsigned *n)
{
	unsigned end;

	*first = some_cell();
	*n = some_cells();
	if (chance(4))
		return;
	while (*first < NCELLS - 1 && s->at[*first] == NO_AREA)
		++*first;
	if (s->at[*first] == NO_AREA)
		return;
	if (chance(2))
		*first = s->areas[s->at[*first]].first;
	end = *first + 1;
	do {
		while (end < NCELLS && s->at[end] == s->at[end - 1])
			end++;
	} while (end < NCELLS && s->at[end] != NO_AREA && chance(2) && end++);
	*n = end - *first;
	if (chance(3))
		*n = 1 + below(*n);
}

static void compare_map(struct space *s, struct pages *p, struct area *a)
{
	unsigned prot = 1 + below(3);
	bool fixed = chance(2);
	uint64_t expected = some_cell() * CELL, iova;
	int rc;

	if (chance(100))
		expected = UINT64_MAX - PAGE + 1 - below(3) * CELL;
	iova = expected;
	rc = model_map(s, a, 1, a->n, prot, fixed, &expected);
	check_rc(MAP, ioas_map(s->ioas, p, 0, a->n * CELL, prot, fixed, &iova), rc);
	if (!rc)
		assert_int_equal(iova, expected);
	pages_put(p);
}

static void op_map_memory(void)
{
	struct fake_memory f = {
		.spa = (1 + below(1000)) * 64 * PAGE,
		.run = chance(3) ? PAGE : 0,
	};
	struct area a = {
		.bad_spa = UINT64_MAX, .n = some_cells(), .writable = !chance(6)};
	struct pages *p;

	f.address = below(64) * (chance(6) ? CELL : PAGE);
	f.spa += f.address % PAGE;
	if (chance(10)) {
		f.bad_errno = -EFAULT;
		f.bad_from = below(8) * PAGE;
		a.bad_spa = f.spa + f.bad_from;
	}
	a.spa = f.spa;
	a.address = f.address;
	if (!a.n) {
		assert_int_equal(pages_create(fake_source(&f), 0, true, &p), -EINVAL);
		return;
	}
	assert_int_equal(pages_create(fake_source(&f), a.n * CELL, a.writable, &p), 0);
	compare_map(any_space(), p, &a);
}

static void op_map_buffer(void)
{
	unsigned b = below(NBUFS), start = chance(8) ? below(BUF_CELLS) : below(16) * 4;
	struct area a = {
		.bad_spa = UINT64_MAX,
		.n = some_cells(),
		.writable = !chance(6),
		.mmio = true,
		.buf = m.buf[b].serial,
		.spa = m.buf[b].spa + start * CELL,
		.address = start * CELL,
	};
	struct pages *p;
	int rc = a.n == 0 || start + a.n > BUF_CELLS ? -EINVAL : 0;

	if (!rc && m.buf[b].revoked)
		rc = -ENODEV;
	assert_int_equal(pages_create_dmabuf(m.buf[b].buf, start * CELL, a.n * CELL,
					     a.writable, chance(2), &p),
			 rc);
	if (!rc)
		compare_map(any_space(), p, &a);
}

static void op_copy(void)
{
	struct space *src = any_space(), *dst = any_space();
	unsigned first, n, k = 0, prot = 1 + below(3);
	uint64_t expected = some_cell() * CELL, iova = expected;
	struct area v[NCELLS];
	bool fixed = chance(2);
	int rc;

	some_range(src, &first, &n);
	rc = n ? 0 : -EINVAL;
	for (unsigned i = first; i < first + n && !rc; i++) {
		const struct area *a = area_at(src, i);

		if (!a) {
			rc = -ENOENT;
			break;
		}
		if (i == first || src->at[i] != src->at[i - 1]) {
			v[k] = *a;
			v[k].spa += (i - a->first) * CELL;
			v[k].address += (i - a->first) * CELL;
			v[k++].n = 0;
		}
		v[k - 1].n++;
	}
	if (!rc)
		rc = model_map(dst, v, k, n, prot, fixed, &expected);
	check_rc(COPY,
		 ioas_copy(dst->ioas, src->ioas, first * CELL, n * CELL, prot, fixed,
			   &iova),
		 rc);
	if (!rc)
		assert_int_equal(iova, expected);
}

static void op_unmap(void)
{
	struct space *s = any_space();
	uint64_t expected = 0, unmapped;
	unsigned first, n;
	int rc;

	some_range(s, &first, &n);
	rc = n ? model_unmap(s, first, n, &expected) : -EINVAL;
	check_rc(UNMAP, ioas_unmap(s->ioas, first * CELL, n * CELL, &unmapped), rc);
	assert_int_equal(unmapped, expected);
}

static void op_unmap_all(void)
{
	struct space *s = any_space();
	uint64_t expected, unmapped;

	model_unmap(s, 0, NCELLS, &expected);
	assert_int_equal(ioas_unmap_all(s->ioas, &unmapped), 0);
	assert_int_equal(unmapped, expected);
}

static int conforms(const struct space *s)
{
	for (unsigned i = 0; i < NCELLS; i++) {
		const struct area *a = area_at(s, i);

		if (a && (a->first % PER_PAGE || a->n % PER_PAGE || a->address % PAGE))
			return -EADDRINUSE;
	}
	return 0;
}

static void op_add_domain(void)
{
	unsigned i = below(NDOMAINS);
	struct space *s = any_space();
	int rc;

	if (m.domain[i].space >= 0)
		return;
	rc = alignment(s) < PAGE ? conforms(s) : 0;
	for (unsigned c = 0; c < NCELLS && !rc; c++)
		if (s->at[c] != NO_AREA)
			rc = fill(&s->areas[s->at[c]]);
	check_rc(ADD, ioas_add_domain(s->ioas, m.domain[i].d), rc);
	if (!rc)
		m.domain[i].space = s - m.space;
}

static void op_remove_domain(void)
{
	unsigned i = below(NDOMAINS);

	if (m.domain[i].space < 0)
		return;
	ioas_remove_domain(m.space[m.domain[i].space].ioas, m.domain[i].d);
	m.domain[i].space = -1;
}

static void op_reserve(void)
{
	struct space *s = any_space();
	unsigned first = below(NCELLS), n = 1 + below(12), owner = below(NOWNERS);
	int rc = 0;

	for (unsigned i = first; i < first + n && i < NCELLS; i++)
		if (s->at[i] != NO_AREA || s->allowed[i])
			rc = -EADDRINUSE;
	check_rc(RESERVE,
		 ioas_reserve(s->ioas, first * CELL, (first + n) * CELL - 1,
			      &m.owner[owner]),
		 rc);
	for (unsigned i = first; i < first + n && i < NCELLS && !rc; i++)
		s->reserved[i] |= 1u << owner;
}

static void op_unreserve(void)
{
	struct space *s = any_space();
	unsigned owner = below(NOWNERS);

	ioas_unreserve(s->ioas, &m.owner[owner]);
	for (unsigned i = 0; i < NCELLS; i++)
		s->reserved[i] &= ~(1u << owner);
}

static void op_allow(void)
{
	struct space *s = any_space();
	bool allowed[NCELLS] = {0};
	struct iova_range v[8];
	unsigned k = chance(2) ? 0 : below(ARRAY_LEN(v));
	int rc = 0;

	for (unsigned r = 0; r < k; r++) {
		unsigned first = below(NCELLS), n = below(20);

		if (first + n > NCELLS)
			n = NCELLS - first;
		v[r].start = first * CELL;
		v[r].last = (first + n) * CELL - (n != 0);
		if (!n)
			rc = -EINVAL;
		for (unsigned i = first; i < first + n; i++) {
			if (allowed[i])
				rc = -EINVAL;
			allowed[i] = true;
		}
	}
	for (unsigned i = 0; i < NCELLS && !rc; i++)
		if (allowed[i] && s->reserved[i])
			rc = -EADDRINUSE;
	check_rc(ALLOW, ioas_allow(s->ioas, v, k), rc);
	if (!rc) {
		memcpy(s->allowed, allowed, sizeof(allowed));
		s->any_allowed = k;
	}
}

static void op_large_pages(void)
{
	struct space *s = any_space();
	bool on = chance(2), areas = false;
	int rc = 0;

	for (unsigned i = 0; i < NCELLS; i++)
		areas |= s->at[i] != NO_AREA;
	if (!on && !s->large_off)
		rc = areas && has_domain(s) ? -EINVAL : conforms(s);
	check_rc(LARGE, ioas_set_large_pages(s->ioas, on), rc);
	if (!rc)
		s->large_off = !on;
}

/* ---- dma-bufs ------------------------------------------------------------- */

static void new_buffer(unsigned b, bool revoked)
{
	struct fake_buffer f = {.range = BUF_CELLS * CELL, .n = 1};

	m.buf[b].serial = ++m.next_serial;
	m.buf[b].revoked = revoked;
	m.buf[b].spa = f.spa = ((uint64_t)1 << 40) + m.next_serial * 0x100000;
	assert_int_equal(fake_buffer(&f, revoked, &m.buf[b].buf), 0);
}

static void model_revoke(unsigned b)
{
	m.buf[b].revoked = true;
	for (unsigned s = 0; s < NSPACES; s++)
		for (unsigned i = 0; i < NCELLS; i++)
			if (m.space[s].areas[i].buf == m.buf[b].serial)
				m.space[s].areas[i].revoked = true;
}

static void op_revoke(void)
{
	unsigned mask = 1 + below((1u << NBUFS) - 1);
	struct dmabuf_revocation r = {0};

	for (unsigned b = 0; b < NBUFS; b++) {
		if (!(mask & 1u << b))
			continue;
		dmabuf_revocation_add(&r, m.buf[b].buf);
		model_revoke(b);
	}
	dmabuf_revocation_finish(&r);
}

static void op_restore(void)
{
	unsigned b = below(NBUFS);

	dmabuf_restore(m.buf[b].buf);
	m.buf[b].revoked = false;
}

static void op_orphan(void)
{
	unsigned b = below(NBUFS);
	struct dmabuf_revocation r = {0};

	dmabuf_orphan(m.buf[b].buf, &r);
	dmabuf_revocation_finish(&r);
	model_revoke(b);
	dmabuf_restore(m.buf[b].buf);
	assert_true(dmabuf_is_revoked(m.buf[b].buf));
	dmabuf_put(m.buf[b].buf);
	new_buffer(b, chance(4));
}

static const struct {
	void (*run)(void);
	unsigned weight;
} ops[] = {
	{op_map_memory, 20}, {op_map_buffer, 20}, {op_copy, 20},         {op_unmap, 30},
	{op_unmap_all, 1},   {op_add_domain, 6},  {op_remove_domain, 4}, {op_reserve, 3},
	{op_unreserve, 3},   {op_allow, 3},       {op_large_pages, 2},   {op_revoke, 3},
	{op_restore, 6},     {op_orphan, 1},
};

static void run_one(void)
{
	unsigned total = 0, pick;

	for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
		total += ops[i].weight;
	pick = below(total);
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
		if (pick < ops[i].weight) {
			ops[i].run();
			return;
		}
		pick -= ops[i].weight;
	}
}

/* ---- the run
 * --------------------------------------------------------------------------- */

static void start(uint64_t seed)
{
	memset(&m, 0, sizeof(m));
	m.rnd.state = seed;
	for (unsigned i = 0; i < NSPACES; i++) {
		struct space *s = &m.space[i];

		assert_int_equal(ioas_create(&s->ioas), 0);
		/* The space ends after NCELLS. */
		assert_int_equal(ioas_reserve(s->ioas, NCELLS * CELL, UINT64_MAX, &m), 0);
		for (unsigned c = 0; c < NCELLS; c++)
			s->at[c] = NO_AREA;
	}
	for (unsigned i = 0; i < NDOMAINS; i++) {
		m.domain[i].d = fake_domain(i != 0);
		m.domain[i].space = -1;
	}
	for (unsigned b = 0; b < NBUFS; b++)
		new_buffer(b, false);
}

static void finish(void)
{
	for (unsigned i = 0; i < NDOMAINS; i++)
		if (m.domain[i].space >= 0)
			ioas_remove_domain(m.space[m.domain[i].space].ioas,
					   m.domain[i].d);
	for (unsigned i = 0; i < NSPACES; i++)
		ioas_destroy(m.space[i].ioas);
	for (unsigned i = 0; i < NDOMAINS; i++)
		domain_destroy(m.domain[i].d);
	for (unsigned b = 0; b < NBUFS; b++)
		dmabuf_put(m.buf[b].buf);
	assert_clean();
}

static void random_operations(void **state)
{
	const char *length = getenv("MODEL_OPS");
	unsigned long n = length ? strtoul(length, NULL, 0) : 100000;
	uint64_t seed = test_seed(0x1a5);

	print_message("seed %#llx\n", (unsigned long long)seed);
	start(seed);
	for (unsigned long i = 0; i < n; i++) {
		run_one();
		check_all();
	}
	finish();
	check_seen(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(random_operations, fixture_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
