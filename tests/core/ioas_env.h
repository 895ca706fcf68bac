/* SPDX-License-Identifier: MIT */
/*
 * An IOAS with a domain and a BAR as a dma-buf, and short forms of the calls on it. Part
 * of each test that includes it.
 */
#ifndef TESTS_CORE_IOAS_ENV_H
#define TESTS_CORE_IOAS_ENV_H

#include "tests/core/ioas_fixture.h"

#define RW        (IOAS_READ | IOAS_WRITE)
#define BAR       ((uint64_t)0xc0000000)
#define RAM       ((uint64_t)0x7f0000000000)
#define MSI_START ((uint64_t)0xfee00000)
#define MSI_LAST  ((uint64_t)0xfeefffff)
#define TOP       UINT64_MAX
#define NOWHERE   UINT64_MAX

struct env {
	struct ioas *ioas;
	struct domain *d;
	struct dmabuf *bar; /* 0x10000 bytes */
	bool attached;
};

static inline void env_attach(struct env *e)
{
	assert_int_equal(ioas_reserve(e->ioas, MSI_START, MSI_LAST, e), 0);
	assert_int_equal(ioas_add_domain(e->ioas, e->d), 0);
	e->attached = true;
}

static inline void env_detach(struct env *e)
{
	ioas_remove_domain(e->ioas, e->d);
	ioas_unreserve(e->ioas, e);
	e->attached = false;
}

static inline struct env env_make(bool attached)
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

static inline void env_end(struct env *e)
{
	if (e->attached)
		env_detach(e);
	ioas_destroy(e->ioas);
	domain_destroy(e->d);
	dmabuf_put(e->bar);
	assert_clean();
}

/* Map all of @p at @iova, or anywhere for NOWHERE; drops @p. The IOVA, or the errno. */
static inline int64_t map_prot(struct ioas *ioas, struct pages *p, uint64_t iova,
			       unsigned prot)
{
	bool fixed = iova != NOWHERE;
	int rc = ioas_map(ioas, p, 0, pages_length(p), prot, fixed, &iova);

	pages_put(p);
	return rc ? rc : (int64_t)iova;
}

static inline int64_t map(struct ioas *ioas, struct pages *p, uint64_t iova)
{
	return map_prot(ioas, p, iova, RW);
}

/* A slice of the BAR. */
static inline int64_t map_bar(struct env *e, uint64_t start, uint64_t length,
			      uint64_t iova)
{
	struct pages *p;
	int rc = pages_create_dmabuf(e->bar, start, length, true, false, &p);

	return rc ? rc : map(e->ioas, p, iova);
}

static inline int64_t unmap(struct ioas *ioas, uint64_t iova, uint64_t length)
{
	uint64_t unmapped;
	int rc = ioas_unmap(ioas, iova, length, &unmapped);

	return rc ? rc : (int64_t)unmapped;
}

static inline int64_t unmap_all(struct ioas *ioas)
{
	uint64_t unmapped;
	int rc = ioas_unmap_all(ioas, &unmapped);

	return rc ? rc : (int64_t)unmapped;
}

static inline struct pages *bad_pages(uint64_t address, uint64_t length, int error)
{
	struct fake_memory m = {
		.spa = RAM, .address = address, .bad_errno = error, .bad_from = 0};
	struct pages *p = NULL;

	assert_int_equal(pages_create(fake_source(&m), length, true, &p), 0);
	return p;
}

#endif
