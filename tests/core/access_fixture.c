/* SPDX-License-Identifier: MIT */
#include "tests/core/access_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* ---- an account, and an access with a list of pins
 * ------------------------------------- */

static struct fake_account *account(struct pin_account *a)
{
	return container_of(a, struct fake_account, base);
}

static int charge(struct pin_account *a, uint64_t pages)
{
	if (account(a)->charged + pages > account(a)->limit)
		return -ENOMEM;
	account(a)->charged += pages;
	return 0;
}

static void uncharge(struct pin_account *a, uint64_t pages)
{
	assert_true(account(a)->charged >= pages);
	account(a)->charged -= pages;
}

static bool same(const struct pin_account *a, const struct pin_account *b)
{
	return a == b;
}

static void account_get(struct pin_account *a)
{
	account(a)->refs++;
}

static void account_put(struct pin_account *a)
{
	account(a)->refs--;
}

const struct pin_account_ops fake_account_ops = {
	.charge = charge,
	.uncharge = uncharge,
	.same = same,
	.get = account_get,
	.put = account_put,
};

static bool link_get(struct ioas_access *a)
{
	container_of(a, struct owner, link)->gets++;
	return true;
}

static void link_put(struct ioas_access *a)
{
	container_of(a, struct owner, link)->puts++;
}

void owner_let_go(struct owner *o, unsigned i)
{
	struct held h = o->held[i];

	o->held[i] = o->held[--o->nr_held];
	ioas_unpin(o->ioas, h.iova, h.length, h.lock);
}

static void link_unmap(struct ioas_access *a, uint64_t iova, uint64_t length)
{
	struct owner *o = container_of(a, struct owner, link);

	o->asked++;
	if (o->slow && o->asked % o->slow)
		return;
	for (unsigned i = o->nr_held; !o->deaf && i-- > 0;) {
		struct held *h = &o->held[i];

		if (h->iova <= iova + (length - 1) && iova <= h->iova + (h->length - 1))
			owner_let_go(o, i);
	}
}

const struct ioas_access_ops owner_ops = {
	.get = link_get,
	.unmap = link_unmap,
	.put = link_put,
};

void owner_init(struct owner *o, struct ioas *ioas)
{
	*o = (struct owner){.ioas = ioas};
	o->link.ops = &owner_ops;
	o->link.alignment = PAGE;
	assert_int_equal(ioas_add_access(ioas, &o->link), 0);
}

void owner_finish(struct owner *o)
{
	while (o->nr_held)
		owner_let_go(o, 0);
	ioas_remove_access(o->ioas, &o->link);
	assert_int_equal(o->gets, o->puts);
}

int owner_pin_runs(struct owner *o, uint64_t iova, uint64_t length, unsigned prot,
		   bool lock, struct run_list *runs)
{
	int rc = ioas_pin(o->ioas, iova, length, prot, lock, runs);

	if (!rc) {
		assert_true(o->nr_held < ARRAY_LEN(o->held));
		o->held[o->nr_held++] = (struct held){iova, length, lock};
	}
	return rc;
}

int owner_pin(struct owner *o, uint64_t iova, uint64_t length, unsigned prot)
{
	struct run_list runs = {0};
	int rc = owner_pin_runs(o, iova, length, prot, false, &runs);

	run_list_finish(&runs);
	return rc;
}

int map_at(struct ioas *ioas, struct pages *p, uint64_t start, uint64_t length,
	   uint64_t iova, unsigned prot)
{
	return ioas_map(ioas, p, start, length, prot, true, &iova);
}

int64_t unmap(struct ioas *ioas, uint64_t iova, uint64_t length)
{
	uint64_t unmapped;
	int rc = ioas_unmap(ioas, iova, length, &unmapped);

	return rc ? rc : (int64_t)unmapped;
}
