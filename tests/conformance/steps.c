/* SPDX-License-Identifier: MIT */
/*
 * The conformance test's frame: reads the record and the table of differences, runs the
 * sections, compares, and says what came out.
 *
 * The run fails when a result is neither Linux's nor the one that differences.txt has
 * for it, when a listed difference does not occur, and when a recorded step of a section
 * that was run was not performed. Steps whose result the record lacks are performed and
 * not counted.
 */
#include "tests/conformance/steps.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/sys.h"

#define MAX_STEPS 1000
#define MAX_NOTES 8
#define TEXT      256

struct recorded {
	char id[8];
	char call[TEXT];
	char result[TEXT]; /* "": the record was cut off */
	char notes[MAX_NOTES][TEXT];
	unsigned nr_notes;
	bool performed;
	/* From differences.txt; no reason: not listed. */
	char ours[TEXT], reason[TEXT];
};

/* One test program, one run: the state is the program's. */
static struct {
	struct recorded steps[MAX_STEPS];
	unsigned n;
	struct recorded *now; /* reported, and perhaps there are notes to come */
	char expected[2 * TEXT], actual[2 * TEXT];
	bool is_fd;
	bool quiet;
	unsigned counted, same, listed, unexpected;
} run;

const struct section sections[] = {
	{'A', section_a}, {'B', section_b}, {'C', section_c}, {'D', section_d},
	{'E', section_e}, {'F', section_f}, {'H', section_h}, {'I', section_i},
	{'K', section_k}, {'O', section_o}, {0, NULL},
};

/* ---- the two tables ------------------------------------------------------------ */

static struct recorded *find(const char *id)
{
	for (unsigned i = 0; i < run.n; i++)
		if (!strcmp(run.steps[i].id, id))
			return &run.steps[i];
	return NULL;
}

/* Cut @line at its next " | " and return what was before; NULL: there is no more. */
static char *field(char **line)
{
	char *start = *line, *bar;

	if (!start)
		return NULL;
	bar = strstr(start, " | ");
	*line = bar ? bar + 3 : NULL;
	if (bar)
		*bar = 0;
	return start;
}

static void copy(char *dst, size_t cap, const char *src)
{
	snprintf(dst, cap, "%s", src ? src : "");
}

static void record_line(char *line)
{
	struct recorded *r = run.n ? &run.steps[run.n - 1] : NULL;
	char *id;

	if (!strncmp(line, "NOTE ", 5)) {
		line += 5 + strspn(line + 5, " ");
		if (r && r->nr_notes < MAX_NOTES)
			copy(r->notes[r->nr_notes++], TEXT, line);
		return;
	}
	if (!strstr(line, " | ") || strlen(line) < 7 || strncmp(line + 4, " | ", 3) ||
	    run.n == MAX_STEPS)
		return;
	r = &run.steps[run.n++];
	id = field(&line);
	copy(r->id, sizeof(r->id), id);
	copy(r->call, TEXT, field(&line));
	copy(r->result, TEXT, line);
}

static void difference_line(char *line)
{
	char *id, *ours, *mode;
	struct recorded *r;

	if (!*line || *line == '#')
		return;
	id = field(&line);
	ours = field(&line);
	mode = strchr(id, ' ');
	if (mode)
		*mode++ = 0;
	if (mode && strcmp(mode, sys_mode) != 0)
		return;
	r = find(id);
	check(r && ours && line,
	      "a line of the differences names no step or lacks a field");
	if (!r)
		return;
	copy(r->ours, TEXT, ours);
	copy(r->reason, TEXT, line);
}

static int read_lines(const char *file, void (*each)(char *line))
{
	FILE *f = fopen(file, "r");
	char line[2 * TEXT];

	if (!f) {
		fprintf(stderr, "cannot read %s: %s\n", file, strerror(errno));
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		each(line);
	}
	fclose(f);
	return 0;
}

/* ---- judging ------------------------------------------------------------------- */

static void say(const struct recorded *r, const char *verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const struct recorded *r, const char *verdict, const char *format, ...)
{
	va_list ap;

	printf("%s %-14s %s: ", r->id, verdict, r->call);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
}

static void unexpected(const struct recorded *r, const char *why)
{
	run.unexpected++;
	say(r, "DIFFERENT", "%s  [Linux: %s]  UNEXPECTED: %s", run.actual, run.expected,
	    why);
}

/* Is it what the record says? Descriptors are numbered by chance. */
static bool as_recorded(void)
{
	size_t digits;

	if (!run.is_fd)
		return !strcmp(run.actual, run.expected);
	digits = strspn(run.expected, "0123456789");
	return digits > 0 && !strcmp(run.expected + digits, run.actual + strlen("fd"));
}

/* The step at hand is complete: compare it. */
static void judge(void)
{
	struct recorded *r = run.now;
	bool na = !strcmp(run.actual, "not applicable");

	run.now = NULL;
	if (!r)
		return;
	if (!*r->result) {
		say(r, "not recorded", "%s", run.actual);
		return;
	}
	run.counted++;
	if (as_recorded()) {
		if (*r->reason) {
			unexpected(r, "it is listed as a difference");
			return;
		}
		run.same++;
		if (!run.quiet)
			say(r, "ok", "%s", run.expected);
		return;
	}
	if (!*r->reason || strcmp(r->ours, run.actual) != 0) {
		unexpected(r, *r->reason ? "another result is listed" : "not listed");
		return;
	}
	run.listed++;
	say(r, na ? "NOT APPLICABLE" : "DIFFERENT", "%s  [Linux: %s]  %s", run.actual,
	    run.expected, r->reason);
}

static void report(const char *id, bool is_fd, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void report(const char *id, bool is_fd, const char *format, ...)
{
	va_list ap;

	judge();
	run.now = find(id);
	check(run.now && !run.now->performed, "a step is performed twice, or unknown");
	if (!run.now)
		return;
	run.now->performed = true;
	run.is_fd = is_fd;
	copy(run.expected, sizeof(run.expected), run.now->result);
	va_start(ap, format);
	vsnprintf(run.actual, sizeof(run.actual), format, ap);
	va_end(ap);
}

static void report_error(const char *id, long ret)
{
	const char *name = strerrorname_np((int)-ret);

	report(id, false, "-1 %s", name ? name : "unknown errno");
}

void step(const char *id, long ret)
{
	if (ret < 0)
		report_error(id, ret);
	else
		report(id, false, "%ld ok", ret);
}

int step_fd(const char *id, long ret)
{
	if (ret < 0)
		report_error(id, ret);
	else
		report(id, true, "fd ok");
	return (int)ret;
}

void step_length(const char *id, long ret, uint64_t length)
{
	if (ret < 0)
		report_error(id, ret);
	else
		report(id, false, "%ld ok, length=0x%llx", ret,
		       (unsigned long long)length);
}

static void report_signal(const char *id, struct cpu_access a)
{
	report(id, false, "signal SIG%s code %d", sigabbrev_np(a.signal), a.code);
}

void step_load(const char *id, struct cpu_access a)
{
	if (a.signal)
		report_signal(id, a);
	else
		report(id, false, "ok value=0x%x", a.value);
}

void step_store(const char *id, struct cpu_access a)
{
	if (a.signal)
		report_signal(id, a);
	else
		report(id, false, "ok (stored)");
}

void step_na(const char *id)
{
	report(id, false, "not applicable");
}

void note(const char *key, const char *format, ...)
{
	struct recorded *r = run.now;
	char value[TEXT];
	va_list ap;

	if (!r)
		return;
	va_start(ap, format);
	vsnprintf(value, sizeof(value), format, ap);
	va_end(ap);
	for (unsigned i = 0; i < r->nr_notes; i++) {
		size_t at = strlen(run.expected), has = strlen(run.actual);

		if (strncmp(r->notes[i], key, strlen(key)) != 0)
			continue;
		snprintf(run.expected + at, sizeof(run.expected) - at, "; %s",
			 r->notes[i]);
		snprintf(run.actual + has, sizeof(run.actual) - has, "; %s %s", key,
			 value);
		return;
	}
	check(false, "a note that the record does not have");
}

void check(bool ok, const char *what)
{
	if (ok)
		return;
	run.unexpected++;
	printf("FAILED after step %s: %s\n", run.now ? run.now->id : "none", what);
}

/* ---- the program --------------------------------------------------------------- */

static void check_all_performed(char letter)
{
	for (unsigned i = 0; i < run.n; i++) {
		if (run.steps[i].id[0] != letter || run.steps[i].performed)
			continue;
		copy(run.actual, sizeof(run.actual), "not performed");
		copy(run.expected, sizeof(run.expected), run.steps[i].result);
		run.counted++;
		unexpected(&run.steps[i], "a step is missing");
	}
}

static void run_section(const struct section *s)
{
	s->run();
	judge();
	check_all_performed(s->letter);
	fflush(stdout);
}

struct options {
	const char *record, *differences, *only, *skip;
};

static int parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		bool value = i + 1 < argc;

		if (!strcmp(argv[i], "--quiet"))
			run.quiet = true;
		else if (!strcmp(argv[i], "--record") && value)
			o->record = argv[++i];
		else if (!strcmp(argv[i], "--differences") && value)
			o->differences = argv[++i];
		else if (!strcmp(argv[i], "--only") && value)
			o->only = argv[++i];
		else if (!strcmp(argv[i], "--skip") && value)
			o->skip = argv[++i];
		else
			return -1;
	}
	return o->record && o->differences ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct options o = {.skip = ""};
	int left;

	if (parse(argc, argv, &o)) {
		fprintf(stderr,
			"usage: %s --record FILE --differences FILE [--only SECTIONS] "
			"[--skip SECTIONS] [--quiet]\n",
			argv[0]);
		return 2;
	}
	if (read_lines(o.record, record_line) ||
	    read_lines(o.differences, difference_line) || sys_start())
		return 2;
	for (const struct section *s = sections; s->run; s++)
		if ((!o.only || strchr(o.only, s->letter)) && !strchr(o.skip, s->letter))
			run_section(s);
	left = sys_finish();
	check(left == 0, "a section left descriptors open");
	printf("%u steps: %u as Linux 7.3, %u listed differences, %u unexpected\n",
	       run.counted, run.same, run.listed, run.unexpected);
	return run.unexpected ? 1 : 0;
}
