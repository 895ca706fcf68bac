/* SPDX-License-Identifier: MIT */
/*
 * What tests of accesses share: an account with a limit, and an owner of pins that lets
 * go of them when it is asked.
 */
#ifndef TESTS_CORE_ACCESS_FIXTURE_H
#define TESTS_CORE_ACCESS_FIXTURE_H

#include "core/access.h"
#include "tests/core/ioas_fixture.h"

#define RW  (IOAS_READ | IOAS_WRITE)
#define RAM ((uint64_t)0x7f0000000000)

struct fake_account {
	struct pin_account base;
	uint64_t charged, limit; /* pages */
	unsigned refs;
};
extern const struct pin_account_ops fake_account_ops;

struct held {
	uint64_t iova, length;
	bool lock;
};

struct owner {
	struct ioas_access link;
	struct ioas *ioas;
	struct held held[64];
	unsigned nr_held;
	unsigned gets, puts, asked;
	bool deaf; /* does not let go */
	unsigned
		slow; /* lets go when asked for the n-th time, n being a multiple of it */
};

extern const struct ioas_access_ops owner_ops;

/* An owner that is attached; finish lets go of all it holds. */
void owner_init(struct owner *o, struct ioas *ioas);
void owner_finish(struct owner *o);
void owner_let_go(struct owner *o, unsigned i);
int owner_pin_runs(struct owner *o, uint64_t iova, uint64_t length, unsigned prot,
		   bool lock, struct run_list *runs);
int owner_pin(struct owner *o, uint64_t iova, uint64_t length, unsigned prot);

/* Fixed; does not drop @p. */
int map_at(struct ioas *ioas, struct pages *p, uint64_t start, uint64_t length,
	   uint64_t iova, unsigned prot);
/* Bytes, or the errno. */
int64_t unmap(struct ioas *ioas, uint64_t iova, uint64_t length);

#endif
