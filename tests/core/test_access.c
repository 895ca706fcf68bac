/* SPDX-License-Identifier: MIT */
/*
 * Accesses of an IOAS: errnos and their order, what is counted, reading and writing, the
 * cut, the unmap that asks, and want of memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/core/access_fixture.h"
#include "tests/core/test_port.h"

/* ---- errnos --------------------------------------------------------------------------
 */

static void pin_errnos(void **state)
{
	struct fake_buffer b = {.spa = 0xc0000000, .range = 0x10000, .n = 1};
	struct fake_memory bad = {.spa = RAM, .address = RAM, .bad_errno = -EFAULT};
	struct pages *p, *ro, *broken, *bar;
	struct dmabuf *buf;
	struct owner o;
	struct ioas *ioas;

	assert_int_equal(ioas_create(&ioas), 0);
	owner_init(&o, ioas);
	assert_int_equal(fake_buffer(&b, false, &buf), 0);
	p = fake_pages(RAM, 0x4000);
	assert_int_equal(pages_create(fake_source(&(struct fake_memory){.spa = RAM}),
				      0x4000, false, &ro),
			 0);
	assert_int_equal(pages_create(fake_source(&bad), 0x4000, true, &broken), 0);
	bar = buffer_pages(buf, 0, 0x2000);
	assert_int_equal(map_at(ioas, p, 0, 0x4000, 0x10000, RW), 0);
	assert_int_equal(map_at(ioas, ro, 0, 0x2000, 0x14000, IOAS_READ), 0);
	assert_int_equal(map_at(ioas, bar, 0, 0x2000, 0x16000, RW), 0);
	assert_int_equal(map_at(ioas, broken, 0, 0x2000, 0x1a000, RW), 0);
	assert_int_equal(map_at(ioas, p, 0, 0x1000, 0x1c000, IOAS_WRITE), 0);

	assert_int_equal(owner_pin(&o, 0x10000, 0, IOAS_READ), -EINVAL);
	assert_int_equal(owner_pin(&o, UINT64_MAX, 2, IOAS_READ), -EOVERFLOW);
	assert_int_equal(owner_pin(&o, 0xf000, 0x1000, IOAS_READ), -ENOENT);
	assert_int_equal(owner_pin(&o, 0xf000, 0x2000, IOAS_READ), -ENOENT);
	assert_int_equal(owner_pin(&o, 0x10800, 0x1000, IOAS_READ), -EINVAL);
	assert_int_equal(owner_pin(&o, 0x15000, 0x1000, IOAS_WRITE), -EPERM);
	assert_int_equal(owner_pin(&o, 0x1c000, 0x1000, IOAS_READ), -EPERM);
	assert_int_equal(owner_pin(&o, 0x15000, 0x2000, IOAS_WRITE), -EPERM);
	assert_int_equal(owner_pin(&o, 0x15000, 0x2000, IOAS_READ), -EINVAL);
	assert_int_equal(owner_pin(&o, 0x16000, 0x1000, IOAS_READ), -EINVAL);
	assert_int_equal(owner_pin(&o, 0x1a000, 0x1000, IOAS_READ), -EFAULT);
	/* The second area fails: the first is let go. */
	assert_int_equal(owner_pin(&o, 0x17000, 0x2000, IOAS_READ), -EINVAL);
	assert_int_equal(owner_pin(&o, 0x12000, 0x5000, IOAS_READ), -EINVAL);
	assert_int_equal(owner_pin(&o, 0x12000, 0x4000, IOAS_WRITE), -EPERM);
	assert_int_equal(fakes.pins, 0);

	assert_int_equal(owner_pin(&o, 0x12000, 0x4000, IOAS_READ), 0);
	assert_int_equal(fakes.pins, 2);
	/* Part of an area that is pinned: refused as ever, and nobody is asked. */
	assert_int_equal(unmap(ioas, 0x12000, 0x2000), -ENOENT);
	assert_int_equal(o.asked, 0);

	owner_finish(&o);
	assert_int_equal(fakes.pins, 0);
	ioas_destroy(ioas);
	pages_put(p);
	pages_put(ro);
	pages_put(broken);
	pages_put(bar);
	dmabuf_put(buf);
	assert_clean();
}

/* Areas that touch, but not at the ends of pages, cannot be pinned together. */
static void pin_alignment(void **state)
{
	struct fake_memory m = {.spa = RAM + 0x800, .address = RAM + 0x800};
	struct pages *p, *odd;
	struct owner rw, o;
	struct ioas *ioas;

	assert_int_equal(ioas_create(&ioas), 0);
	p = fake_pages(RAM, 0x4000);
	assert_int_equal(pages_create(fake_source(&m), 0x2800, true, &odd), 0);

	/* One that does not pin minds nothing ... */
	rw = (struct owner){.ioas = ioas, .link = {.ops = &owner_ops, .alignment = 1}};
	assert_int_equal(ioas_add_access(ioas, &rw.link), 0);
	assert_int_equal(map_at(ioas, p, 0, 0x1800, 0x10000, RW), 0);
	assert_int_equal(map_at(ioas, p, 0x1800, 0x1000, 0x11800, RW), 0);
	/* ... one that does refuses areas that are not aligned. */
	o = (struct owner){.ioas = ioas, .link = {.ops = &owner_ops, .alignment = PAGE}};
	assert_int_equal(ioas_add_access(ioas, &o.link), -EADDRINUSE);
	/* As far as they are in the first area, and up to its end. */
	assert_int_equal(owner_pin(&rw, 0x10000, 0x1800, IOAS_READ), 0);
	assert_int_equal(owner_pin(&rw, 0x10000, 0x1801, IOAS_READ), -EINVAL);
	assert_int_equal(owner_pin(&rw, 0x11800, 0x1000, IOAS_READ), -EINVAL);
	assert_int_equal(owner_pin(&rw, 0x12000, 0x800, IOAS_READ), 0);
	owner_finish(&rw);
	assert_int_equal(ioas_unmap(ioas, 0, UINT64_MAX, &(uint64_t){0}), 0);

	owner_init(&o, ioas);
	assert_int_equal(map_at(ioas, p, 0, 0x800, 0x10000, RW), -EINVAL);
	assert_int_equal(map_at(ioas, odd, 0, 0x1000, 0x10000, RW), -EINVAL);
	owner_finish(&o);
	assert_int_equal(map_at(ioas, p, 0, 0x800, 0x10000, RW), 0);
	ioas_destroy(ioas);
	pages_put(p);
	pages_put(odd);
	assert_clean();
}

/* ---- what is pinned
 * -------------------------------------------------------------------- */

static void runs_and_domains(void **state)
{
	struct domain *d = fake_domain(true);
	struct pages *p = fake_pages(RAM, 0x10000), *q = fake_pages(2 * RAM, 0x2000);
	struct run_list runs = {0};
	struct owner o;
	struct ioas *ioas;

	assert_int_equal(ioas_create(&ioas), 0);
	owner_init(&o, ioas);
	assert_int_equal(map_at(ioas, p, 0x1000, 0x4000, 0x10000, RW), 0);
	assert_int_equal(map_at(ioas, q, 0, 0x2000, 0x14000, RW), 0);

	assert_int_equal(owner_pin_runs(&o, 0x13000, 0x1001, IOAS_WRITE, false, &runs),
			 0);
	assert_int_equal(runs.n, 2);
	assert_true(runs.v[0].spa == RAM + 0x4000 && runs.v[0].length == 0x1000);
	assert_true(runs.v[1].spa == 2 * RAM && runs.v[1].length == 0x1000);
	run_list_finish(&runs);

	/* A domain comes and goes; the pin stays. */
	assert_int_equal(fakes.pins, 2);
	assert_int_equal(ioas_add_domain(ioas, d), 0);
	assert_int_equal(fakes.pins, 4);
	assert_int_equal(spa_at(d, 0x13000, NULL), RAM + 0x4000);
	ioas_remove_domain(ioas, d);
	assert_int_equal(fakes.pins, 2);

	/* With a domain first, what is pinned in the middle of an unmapped area stays. */
	assert_int_equal(ioas_add_domain(ioas, d), 0);
	assert_int_equal(owner_pin(&o, 0x11000, 0x1000, IOAS_READ), 0);
	assert_int_equal(unmap(ioas, 0x10000, 0x6000), 0x6000);
	assert_int_equal(o.asked, 1);
	assert_int_equal(o.nr_held, 0);
	assert_int_equal(fakes.pins, 0);
	assert_int_equal(spa_at(d, 0x13000, NULL), UINT64_MAX);
	ioas_remove_domain(ioas, d);

	owner_finish(&o);
	ioas_destroy(ioas);
	domain_destroy(d);
	pages_put(p);
	pages_put(q);
	assert_clean();
}

static void deaf_and_locked(void **state)
{
	struct pages *p = fake_pages(RAM, 0x10000);
	struct run_list runs = {0};
	struct owner o, second;
	struct ioas *ioas;

	assert_int_equal(ioas_create(&ioas), 0);
	owner_init(&o, ioas);
	owner_init(&second, ioas);
	assert_int_equal(map_at(ioas, p, 0, 0x2000, 0x10000, RW), 0);
	assert_int_equal(map_at(ioas, p, 0x2000, 0x2000, 0x12000, RW), 0);
	assert_int_equal(map_at(ioas, p, 0x4000, 0x2000, 0x14000, RW), 0);

	assert_int_equal(owner_pin(&o, 0x12000, 0x1000, IOAS_READ), 0);
	o.deaf = true;
	/* Everybody is asked, also who has no pin; what came before is gone. */
	assert_int_equal(unmap(ioas, 0x10000, 0x6000), -EDEADLK);
	assert_int_equal(o.asked, 101);
	assert_int_equal(second.asked, 101);
	assert_int_equal(ioas_area_count(ioas), 2);
	/* No new pin or read of what is being unmapped. */
	assert_int_equal(owner_pin(&second, 0x13000, 0x1000, IOAS_READ), -EINVAL);
	assert_int_equal(ioas_rw(ioas, NULL, 0x13000, &(char){0}, 1, false), -EINVAL);
	assert_int_equal(ioas_cut(ioas, 0x12fff), -EBUSY);
	assert_int_equal(owner_pin(&second, 0x14000, 0x1000, IOAS_READ), 0);
	o.deaf = false;
	assert_int_equal(unmap(ioas, 0x10000, 0x6000), 0x4000);

	/* Slow is not deaf: the count begins anew with each area. */
	assert_int_equal(map_at(ioas, p, 0, 0x2000, 0x10000, RW), 0);
	assert_int_equal(map_at(ioas, p, 0x2000, 0x2000, 0x12000, RW), 0);
	assert_int_equal(owner_pin(&o, 0x10000, 0x1000, IOAS_READ), 0);
	assert_int_equal(owner_pin(&o, 0x12000, 0x1000, IOAS_READ), 0);
	o.slow = 60;
	o.asked = 0;
	assert_int_equal(unmap(ioas, 0x10000, 0x4000), 0x4000);
	assert_int_equal(o.asked, 120);
	o.slow = 0;

	/* A locked pin is not asked about, and wins over an area that sticks out. */
	assert_int_equal(map_at(ioas, p, 0, 0x2000, 0x10000, RW), 0);
	assert_int_equal(owner_pin_runs(&o, 0x10000, 0x1000, IOAS_READ, true, &runs), 0);
	o.asked = 0;
	assert_int_equal(unmap(ioas, 0x10000, 0x2000), -EBUSY);
	assert_int_equal(unmap(ioas, 0x10000, 0x1000), -EBUSY);
	assert_int_equal(o.asked, 0);
	owner_let_go(&o, 0);
	assert_int_equal(unmap(ioas, 0x10000, 0x1000), -ENOENT);
	assert_int_equal(unmap(ioas, 0x10000, 0x2000), 0x2000);

	run_list_finish(&runs);
	owner_finish(&o);
	owner_finish(&second);
	ioas_destroy(ioas);
	pages_put(p);
	assert_clean();
}

/* ---- reading and writing
 * ---------------------------------------------------------------- */

static void read_and_write(void **state)
{
	static unsigned char memory[0x8000], buffer[0x8000];
	struct phys_window w = {.length = sizeof(memory), .host = memory};
	struct fake_memory m = {.run = 0x1000};
	struct fake_memory bad = {.bad_errno = -EFAULT, .bad_from = 0x1000};
	struct pages *p, *broken;
	struct phys *phys;
	struct ioas *ioas;
	struct owner o;

	assert_int_equal(phys_create(&phys), 0);
	assert_int_equal(phys_add(phys, &w), 0);
	m.spa = m.address = bad.spa = w.base;
	assert_int_equal(ioas_create(&ioas), 0);
	owner_init(&o, ioas);
	assert_int_equal(pages_create(fake_source(&m), sizeof(memory), true, &p), 0);
	assert_int_equal(pages_create(fake_source(&bad), 0x2000, true, &broken), 0);
	assert_int_equal(map_at(ioas, p, 0, 0x4000, 0x10000, RW), 0);
	assert_int_equal(map_at(ioas, p, 0x4000, 0x4000, 0x14000, IOAS_READ), 0);
	assert_int_equal(map_at(ioas, broken, 0, 0x2000, 0x18000, RW), 0);
	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = (unsigned char)(i * 7 ^ i >> 8);

	/* Around every kind of edge, pinned and not. */
	for (unsigned pinned = 0; pinned < 2; pinned++) {
		for (uint64_t at = 0x3ff0; at < 0x4010; at++) {
			for (uint64_t n = 1; n < 0x20; n += 3) {
				memset(buffer, 0, n);
				assert_int_equal(ioas_rw(ioas, phys, 0x10000 + at, buffer,
							 n, false),
						 0);
				assert_memory_equal(buffer, memory + at, n);
			}
		}
		if (!pinned)
			assert_int_equal(owner_pin(&o, 0x13000, 0x2000, IOAS_READ), 0);
	}
	assert_int_equal(ioas_rw(ioas, phys, 0x10000, buffer, 0x8000, false), 0);
	assert_memory_equal(buffer, memory, 0x8000);
	memset(buffer, 0xa5, sizeof(buffer));
	assert_int_equal(ioas_rw(ioas, phys, 0x10ffd, buffer, 0x1006, true), 0);
	assert_memory_equal(memory + 0xffd, buffer, 0x1006);
	assert_int_not_equal(memory[0xffc], 0xa5);
	assert_int_not_equal(memory[0x2003], 0xa5);

	assert_int_equal(ioas_rw(ioas, phys, 0x10000, buffer, 0, false), -EINVAL);
	assert_int_equal(ioas_rw(ioas, phys, UINT64_MAX, buffer, 2, false), -EOVERFLOW);
	assert_int_equal(ioas_rw(ioas, phys, 0xffff, buffer, 2, false), -ENOENT);
	assert_int_equal(ioas_rw(ioas, phys, 0x19fff, buffer, 2, false), -EFAULT);
	assert_int_equal(ioas_rw(ioas, phys, 0x18ff0, buffer, 0x10, false), 0);
	assert_int_equal(ioas_rw(ioas, phys, 0x13fff, buffer, 2, true), -EPERM);
	/* Reading counts nothing, and leaves nothing pinned. */
	assert_int_equal(fakes.pins, 2);

	owner_finish(&o);
	ioas_destroy(ioas);
	pages_put(p);
	pages_put(broken);
	phys_remove(phys, &w);
	phys_destroy(phys);
	assert_clean();
}

/* ---- the cut
 * --------------------------------------------------------------------------- */

static void cuts(void **state)
{
	struct fake_account acc = {
		.base.ops = &fake_account_ops, .limit = 100, .refs = 1};
	struct fake_buffer b = {.spa = 0xc0000000, .range = 0x10000, .n = 1};
	struct domain *d = fake_domain(true);
	struct pages *p = fake_pages(RAM, 0x10000), *bar;
	struct dmabuf *buf;
	struct ioas *ioas;
	struct owner o;

	pages_set_account(p, &acc.base);
	assert_int_equal(fake_buffer(&b, false, &buf), 0);
	bar = buffer_pages(buf, 0, 0x2000);
	assert_int_equal(ioas_create(&ioas), 0);
	assert_int_equal(ioas_set_large_pages(ioas, false), 0);
	assert_int_equal(ioas_add_domain(ioas, d), 0);
	assert_int_equal(map_at(ioas, p, 0, 0x10000, 0x100000, RW), 0);
	assert_int_equal(map_at(ioas, bar, 0, 0x2000, 0x110000, RW), 0);
	assert_int_equal(acc.charged, 16);

	assert_int_equal(ioas_cut(ioas, 0xfffff), 0);
	assert_int_equal(ioas_cut(ioas, 0x10ffff), 0);
	assert_int_equal(ioas_cut(ioas, 0x100000), 0);
	assert_int_equal(ioas_cut(ioas, 0x200000), 0);
	assert_int_equal(ioas_cut(ioas, 0x1017ff), -EINVAL);
	assert_int_equal(ioas_cut(ioas, 0x110fff), -EOPNOTSUPP);
	assert_int_equal(ioas_area_count(ioas), 2);

	owner_init(&o, ioas);
	assert_int_equal(owner_pin(&o, 0x108000, 0x1000, IOAS_READ), 0);
	assert_int_equal(ioas_cut(ioas, 0x103fff), -EINVAL);
	owner_finish(&o);

	assert_int_equal(ioas_cut(ioas, 0x103fff), 0);
	assert_int_equal(ioas_cut(ioas, 0x107fff), 0);
	assert_int_equal(ioas_area_count(ioas), 4);
	assert_int_equal(acc.charged, 16);
	assert_int_equal(spa_at(d, 0x104000, NULL), RAM + 0x4000);
	assert_int_equal(unmap(ioas, 0x104000, 0x4000), 0x4000);
	assert_int_equal(acc.charged, 12);
	assert_int_equal(spa_at(d, 0x104000, NULL), UINT64_MAX);
	assert_int_equal(spa_at(d, 0x103000, NULL), RAM + 0x3000);
	assert_int_equal(spa_at(d, 0x108000, NULL), RAM + 0x8000);

	/* Large pages could straddle it, unless there is no domain. */
	ioas_remove_domain(ioas, d);
	assert_int_equal(acc.charged, 0);
	assert_int_equal(ioas_set_large_pages(ioas, true), 0);
	assert_int_equal(ioas_cut(ioas, 0x109fff), 0);
	assert_int_equal(ioas_add_domain(ioas, d), 0);
	assert_int_equal(ioas_cut(ioas, 0x10bfff), -EINVAL);
	assert_int_equal(spa_at(d, 0x10b000, NULL), RAM + 0xb000);
	ioas_remove_domain(ioas, d);

	ioas_destroy(ioas);
	domain_destroy(d);
	pages_put(p);
	pages_put(bar);
	dmabuf_put(buf);
	assert_int_equal(acc.refs, 0);
	assert_clean();
}

/* ---- moving to another account
 * ----------------------------------------------------------- */

static int visit_charge(struct pages *p, void *arg)
{
	return pages_charge_next(p, arg);
}

static int visit_keep(struct pages *p, void *arg)
{
	pages_settle(p, *(bool *)arg);
	return 0;
}

static int move_to(struct ioas *ioas, struct fake_account *to)
{
	bool keep;
	int rc;

	ioas_freeze(ioas);
	rc = ioas_frozen_visit(ioas, visit_charge, &to->base);
	keep = !rc;
	ioas_frozen_visit(ioas, visit_keep, &keep);
	ioas_thaw(ioas);
	return rc;
}

static void change_of_hands(void **state)
{
	struct fake_account from = {
		.base.ops = &fake_account_ops, .limit = 100, .refs = 2};
	struct fake_account to = {.base.ops = &fake_account_ops, .limit = 5, .refs = 1};
	struct pages *p = fake_pages(RAM, 0x4000), *q = fake_pages(2 * RAM, 0x2000);
	struct domain *d = fake_domain(true);
	struct ioas *ioas;

	pages_set_account(p, &from.base);
	pages_set_account(q, &from.base);
	assert_int_equal(ioas_create(&ioas), 0);
	assert_int_equal(ioas_add_domain(ioas, d), 0);
	/* Shared, and twice: counted once. */
	assert_int_equal(map_at(ioas, p, 0, 0x4000, 0x10000, RW), 0);
	assert_int_equal(map_at(ioas, q, 0, 0x2000, 0x20000, RW), 0);
	assert_int_equal(map_at(ioas, p, 0x1000, 0x2000, 0x30000, RW), 0);
	assert_int_equal(from.charged, 6);

	assert_int_equal(move_to(ioas, &to), -ENOMEM);
	assert_true(from.charged == 6 && to.charged == 0);
	assert_true(from.refs == 2 && to.refs == 1);
	to.limit = 6;
	assert_int_equal(move_to(ioas, &to), 0);
	assert_true(from.charged == 0 && to.charged == 6);
	assert_true(from.refs == 0 && to.refs == 3);
	assert_int_equal(move_to(ioas, &to), 0);
	assert_int_equal(to.charged, 6);
	assert_int_equal(unmap(ioas, 0x10000, 0x4000), 0x4000);
	assert_int_equal(to.charged, 4);

	ioas_remove_domain(ioas, d);
	ioas_destroy(ioas);
	domain_destroy(d);
	pages_put(p);
	pages_put(q);
	assert_true(to.charged == 0 && to.refs == 1);
	assert_clean();
}

/* ---- want of memory
 * ----------------------------------------------------------------------- */

static void every_allocation_fails_once(void **state)
{
	struct pages *p = fake_pages(RAM, 0x10000);
	struct domain *d = fake_domain(true);
	struct ioas *ioas;
	struct owner o;
	int rc = -ENOMEM;

	assert_int_equal(ioas_create(&ioas), 0);
	assert_int_equal(ioas_set_large_pages(ioas, false), 0);
	assert_int_equal(ioas_add_domain(ioas, d), 0);
	owner_init(&o, ioas);
	assert_int_equal(map_at(ioas, p, 0, 0x4000, 0x10000, RW), 0);
	assert_int_equal(map_at(ioas, p, 0x8000, 0x4000, 0x14000, RW), 0);
	for (long n = 0; rc; n++) {
		long pins = fakes.pins, live = test_port_live();

		test_port_fail_after(n);
		rc = owner_pin(&o, 0x13000, 0x2000, IOAS_READ);
		test_port_fail_after(-1);
		assert_true(rc == 0 || rc == -ENOMEM);
		assert_true(!rc || (fakes.pins == pins && test_port_live() == live));
		assert_in_range(n, 0, 100);
	}
	owner_let_go(&o, 0);
	rc = -ENOMEM;
	for (long n = 0; rc; n++) {
		long pins = fakes.pins, live = test_port_live();

		test_port_fail_after(n);
		rc = ioas_cut(ioas, 0x11fff);
		test_port_fail_after(-1);
		assert_true(rc == 0 || rc == -ENOMEM);
		assert_true(!rc || (fakes.pins == pins && test_port_live() == live));
		assert_int_equal(ioas_area_count(ioas), rc ? 2 : 3);
		assert_int_equal(spa_at(d, 0x12000, NULL), RAM + 0x2000);
	}
	/* Letting go needs none. */
	assert_int_equal(owner_pin(&o, 0x11000, 0x2000, IOAS_READ), 0);
	test_port_fail_after(0);
	assert_int_equal(unmap(ioas, 0x10000, 0x8000), 0x8000);
	test_port_fail_after(-1);
	owner_finish(&o);
	ioas_remove_domain(ioas, d);
	ioas_destroy(ioas);
	domain_destroy(d);
	pages_put(p);
	assert_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(pin_errnos, fixture_setup),
		cmocka_unit_test_setup(pin_alignment, fixture_setup),
		cmocka_unit_test_setup(runs_and_domains, fixture_setup),
		cmocka_unit_test_setup(deaf_and_locked, fixture_setup),
		cmocka_unit_test_setup(read_and_write, fixture_setup),
		cmocka_unit_test_setup(cuts, fixture_setup),
		cmocka_unit_test_setup(change_of_hands, fixture_setup),
		cmocka_unit_test_setup(every_allocation_fails_once, fixture_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
