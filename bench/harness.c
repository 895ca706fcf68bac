/* SPDX-License-Identifier: MIT */
/*
 * The bench harness: options, repeats, statistics, the table and the JSON file. Rows are
 * printed as they come, and kept as JSON from the start.
 */
#include "bench/harness.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_REPEATS    101
#define REPEAT_NS      50000000u
#define QUICK_NS       1000000u
#define MAX_ITERATIONS ((uint64_t)1 << 40)

struct bench {
	int argc;
	char **argv;
	const char *json_file;
	const char *only;
	unsigned repeats;
	bool quick;
	bool header_printed;
	json_t *doc, *rows;
};

struct stats {
	double median, min, max;
};

uint64_t bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- options ------------------------------------------------------------------ */

const char *bench_option(const struct bench *b, const char *name, const char *fallback)
{
	for (int i = 1; i + 1 < b->argc; i++)
		if (!strncmp(b->argv[i], "--", 2) && !strcmp(b->argv[i] + 2, name))
			return b->argv[i + 1];
	return fallback;
}

bool bench_quick(const struct bench *b)
{
	return b->quick;
}

static void read_options(struct bench *b)
{
	for (int i = 1; i < b->argc; i++)
		b->quick |= !strcmp(b->argv[i], "--quick");
	b->json_file = bench_option(b, "json", NULL);
	b->only = bench_option(b, "only", NULL);
	b->repeats = (unsigned)strtoul(bench_option(b, "repeats", b->quick ? "3" : "11"),
				       NULL, 10);
}

/* What the figures depend on; nothing that names the machine. */
static json_t *describe_machine(void)
{
	json_t *m = json_object();
	char line[256], *colon;
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) || !colon)
			continue;
		line[strcspn(line, "\n")] = 0;
		json_object_set_new(m, "cpu", json_string(colon + 2));
		break;
	}
	if (f)
		fclose(f);
	json_object_set_new(m, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_set_new(m, "compiler", json_string(__VERSION__));
	return m;
}

struct bench *bench_create(const char *suite, int argc, char **argv)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->argc = argc;
	b->argv = argv;
	read_options(b);
	if (b->repeats < 1 || b->repeats > MAX_REPEATS) {
		fprintf(stderr, "%s: --repeats is 1 to %d\n", suite, MAX_REPEATS);
		free(b);
		return NULL;
	}
	b->doc = json_object();
	b->rows = json_array();
	json_object_set_new(b->doc, "suite", json_string(suite));
	json_object_set_new(b->doc, "machine", describe_machine());
	json_object_set_new(b->doc, "quick", json_boolean(b->quick));
	json_object_set_new(b->doc, "rows", b->rows);
	return b;
}

/* ---- rows --------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts @v. */
static struct stats statistics(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return (struct stats){
		.median = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2,
		.min = v[0],
		.max = v[n - 1],
	};
}

void bench_section(struct bench *b, const char *title)
{
	if (!b->header_printed)
		printf("%-52s %12s %12s %12s  %s\n", "", "median", "min", "max", "unit");
	b->header_printed = true;
	printf("\n%s\n", title);
}

static void add_row(struct bench *b, const char *name, const char *unit, struct stats s,
		    size_t repeats, uint64_t iterations)
{
	json_t *row = json_object();

	if (!b->header_printed)
		printf("%-52s %12s %12s %12s  %s\n", "", "median", "min", "max", "unit");
	b->header_printed = true;
	printf("%-52s %12.4g %12.4g %12.4g  %s\n", name, s.median, s.min, s.max, unit);
	fflush(stdout);

	json_object_set_new(row, "name", json_string(name));
	json_object_set_new(row, "unit", json_string(unit));
	json_object_set_new(row, "median", json_real(s.median));
	json_object_set_new(row, "min", json_real(s.min));
	json_object_set_new(row, "max", json_real(s.max));
	json_object_set_new(row, "repeats", json_integer((json_int_t)repeats));
	if (iterations)
		json_object_set_new(row, "iterations",
				    json_integer((json_int_t)iterations));
	json_array_append_new(b->rows, row);
}

void bench_samples(struct bench *b, const char *name, const char *unit, double *v,
		   size_t n)
{
	if (n > 0)
		add_row(b, name, unit, statistics(v, n), n, 0);
}

void bench_value(struct bench *b, const char *name, const char *unit, double value)
{
	bench_samples(b, name, unit, &value, 1);
}

static void add_time(struct bench *b, const struct bench_case *c, double *ns,
		     uint64_t iterations)
{
	struct stats s = statistics(ns, b->repeats), rate;
	char name[160];

	add_row(b, c->name, "ns", s, b->repeats, iterations);
	if (!c->bytes)
		return;
	rate.median = (double)c->bytes / s.median;
	rate.min = (double)c->bytes / s.max;
	rate.max = (double)c->bytes / s.min;
	snprintf(name, sizeof(name), "%s, throughput", c->name);
	add_row(b, name, "GB/s", rate, b->repeats, iterations);
}

/* ---- running ------------------------------------------------------------------ */

static uint64_t time_once(const struct bench_case *c, uint64_t iterations)
{
	uint64_t start;

	if (c->reset)
		c->reset(c->arg);
	start = bench_now();
	c->fn(c->arg, iterations);
	return bench_now() - start;
}

/* Warm up; and where the case leaves it open, find out how many iterations to do. */
static uint64_t warm_up(const struct bench *b, const struct bench_case *c)
{
	uint64_t goal = b->quick ? QUICK_NS : REPEAT_NS;
	uint64_t n = 1, ns;

	if (c->iterations) {
		time_once(c, c->iterations);
		return c->iterations;
	}
	for (;;) {
		ns = time_once(c, n);
		if (ns >= goal / 2 || n >= MAX_ITERATIONS)
			return n;
		n *= ns < goal / 20 ? 8 : 2;
	}
}

static bool wanted(const struct bench *b, const struct bench_case *c)
{
	return !b->only || strstr(c->name, b->only);
}

double bench_run_case(struct bench *b, const struct bench_case *c)
{
	double ns[MAX_REPEATS];
	uint64_t n;

	if (!wanted(b, c))
		return 0;
	n = warm_up(b, c);
	for (unsigned i = 0; i < b->repeats; i++)
		ns[i] = (double)time_once(c, n) / (double)n;
	add_time(b, c, ns, n);
	return statistics(ns, b->repeats).median;
}

double bench_run(struct bench *b, const char *name, bench_fn fn, void *arg,
		 uint64_t iterations)
{
	struct bench_case c = {
		.name = name, .fn = fn, .arg = arg, .iterations = iterations};

	return bench_run_case(b, &c);
}

double bench_compare(struct bench *b, const struct bench_case *ours,
		     const struct bench_case *other)
{
	double x[MAX_REPEATS], y[MAX_REPEATS], ratio[MAX_REPEATS];
	char name[160];
	uint64_t nx, ny;

	if (!wanted(b, ours) && !wanted(b, other))
		return 0;
	nx = warm_up(b, ours);
	ny = warm_up(b, other);
	for (unsigned i = 0; i < b->repeats; i++) {
		x[i] = (double)time_once(ours, nx) / (double)nx;
		y[i] = (double)time_once(other, ny) / (double)ny;
		ratio[i] = y[i] / x[i];
	}
	add_time(b, ours, x, nx);
	add_time(b, other, y, ny);
	snprintf(name, sizeof(name), "  ratio to %s", other->name);
	add_row(b, name, "x", statistics(ratio, b->repeats), b->repeats, 0);
	return statistics(ratio, b->repeats).median;
}

int bench_finish(struct bench *b)
{
	int status = 0;

	if (b->json_file && json_dump_file(b->doc, b->json_file,
					   JSON_INDENT(2) | JSON_REAL_PRECISION(6))) {
		fprintf(stderr, "cannot write %s\n", b->json_file);
		status = 1;
	}
	json_decref(b->doc);
	free(b);
	return status;
}
