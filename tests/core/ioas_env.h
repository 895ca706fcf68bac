/* SPDX-License-Identifier: MIT */
/*
 * An IOAS, a domain that may be attached to it, and a dma-buf of 0x10000 bytes; and the
 * calls of the IOAS in one expression each: what they give, or the errno.
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

void env_attach(struct env *e);
void env_detach(struct env *e);
struct env env_make(bool attached);
void env_end(struct env *e);
/* Map all of @p at @iova, or anywhere for NOWHERE; drops @p. The IOVA, or the errno. */
int64_t map_prot(struct ioas *ioas, struct pages *p, uint64_t iova, unsigned prot);
int64_t map(struct ioas *ioas, struct pages *p, uint64_t iova);
/* A slice of the BAR. */
int64_t map_bar(struct env *e, uint64_t start, uint64_t length, uint64_t iova);
int64_t unmap(struct ioas *ioas, uint64_t iova, uint64_t length);
int64_t unmap_all(struct ioas *ioas);
struct pages *bad_pages(uint64_t address, uint64_t length, int error);

#endif
