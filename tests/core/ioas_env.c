/* SPDX-License-Identifier: MIT */
#include "tests/core/ioas_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

void env_attach(struct env *e)
{
	assert_int_equal(ioas_reserve(e->ioas, MSI_START, MSI_LAST, e), 0);
	assert_int_equal(ioas_add_domain(e->ioas, e->d), 0);
	e->attached = true;
}

void env_detach(struct env *e)
{
	ioas_remove_domain(e->ioas, e->d);
	ioas_unreserve(e->ioas, e);
	e->attached = false;
}

struct env env_make(bool attached)
{
	struct fake_buffer b = {.spa = BAR, .range = 0x10000, .n = 1};
	struct env e = {0};

	assert_int_equal(ioas_create(&e.ioas), 0);
	assert_int_equal(fake_buffer(&b, false, &e.bar), 0);
	e.d = fake_domain(true);
	if (attached)
		env_attach(&e);
	return e;
}

void env_end(struct env *e)
{
	if (e->attached)
		env_detach(e);
	ioas_destroy(e->ioas);
	domain_destroy(e->d);
	dmabuf_put(e->bar);
	assert_clean();
}

int64_t map_prot(struct ioas *ioas, struct pages *p, uint64_t iova, unsigned prot)
{
	bool fixed = iova != NOWHERE;
	int rc = ioas_map(ioas, p, 0, pages_length(p), prot, fixed, &iova);

	pages_put(p);
	return rc ? rc : (int64_t)iova;
}

int64_t map(struct ioas *ioas, struct pages *p, uint64_t iova)
{
	return map_prot(ioas, p, iova, RW);
}

int64_t map_bar(struct env *e, uint64_t start, uint64_t length, uint64_t iova)
{
	struct pages *p;
	int rc = pages_create_dmabuf(e->bar, start, length, true, false, &p);

	return rc ? rc : map(e->ioas, p, iova);
}

int64_t unmap(struct ioas *ioas, uint64_t iova, uint64_t length)
{
	uint64_t unmapped;
	int rc = ioas_unmap(ioas, iova, length, &unmapped);

	return rc ? rc : (int64_t)unmapped;
}

int64_t unmap_all(struct ioas *ioas)
{
	uint64_t unmapped;
	int rc = ioas_unmap_all(ioas, &unmapped);

	return rc ? rc : (int64_t)unmapped;
}

struct pages *bad_pages(uint64_t address, uint64_t length, int error)
{
	struct fake_memory m = {
		.spa = RAM, .address = address, .bad_errno = error, .bad_from = 0};
	struct pages *p = NULL;

	assert_int_equal(pages_create(fake_source(&m), length, true, &p), 0);
	return p;
}
