/* SPDX-License-Identifier: MIT */
/*
 * A small harness for the programs in bench/.
 *
 * A case is a function that does a thing @iterations times. The harness runs it once to
 * warm up, then a number of times for the clock, and keeps the median, the fastest and
 * the slowest of the repeats, per iteration. Cases that are to be compared are run in
 * turn (a b a b ...), so that a drift of the machine's speed meets both, and their ratio
 * is the median of the pairs' ratios: figures from different runs are never divided.
 *
 * Usage:
 *	struct bench *b = bench_create("name", argc, argv);
 *	if (!b) return 2;
 *	bench_run(b, "thing", thing, arg, 0);
 *	return bench_finish(b);
 *
 * A bench program takes --json FILE (all rows, machine readable), --repeats N, --quick
 * (few and short repeats: that it works, not how fast), --only TEXT (cases whose name
 * contains it) and any option of its own that it asks for with bench_option().
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench;

typedef void (*bench_fn)(void *arg, uint64_t iterations);

struct bench_case {
	const char *name;
	bench_fn fn;
	void *arg;
	/* Per repeat; 0: as many as take about 50 ms. Fixed where the state fills up. */
	uint64_t iterations;
	/* Not timed, before each repeat: bring the state back. Optional. */
	void (*reset)(void *arg);
	/* Bytes an iteration moves: adds a row in GB/s. 0: none. */
	uint64_t bytes;
};

/* NULL: wrong options, said on stderr. @suite names the JSON document. */
struct bench *bench_create(const char *suite, int argc, char **argv);
/* Value of --NAME VALUE, or @fallback. */
const char *bench_option(const struct bench *b, const char *name, const char *fallback);
bool bench_quick(const struct bench *b);

/* Each returns the median in ns per iteration, or 0 if --only left it out. */
double bench_run(struct bench *b, const char *name, bench_fn fn, void *arg,
		 uint64_t iterations);
double bench_run_case(struct bench *b, const struct bench_case *c);
/*
 * Both in turn; rows for both, and one for how many times longer @other takes than
 * @ours. Returns that ratio, or 0.
 */
double bench_compare(struct bench *b, const struct bench_case *ours,
		     const struct bench_case *other);

/* A figure that the program found out itself, such as bytes per range. */
void bench_value(struct bench *b, const char *name, const char *unit, double value);
/* The same with repeats: median and spread are the harness's work. */
void bench_samples(struct bench *b, const char *name, const char *unit, double *v,
		   size_t n);
/* A line between the rows. */
void bench_section(struct bench *b, const char *title);

uint64_t bench_now(void); /* ns, monotonic */
/* Keep the compiler from dropping a result. */
static inline void bench_use(uint64_t v)
{
	__asm__ volatile("" : : "r"(v) : "memory");
}

/* Writes the JSON file, if asked for, and frees. The program's exit status. */
int bench_finish(struct bench *b);

#endif
