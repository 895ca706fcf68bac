/* SPDX-License-Identifier: MIT */
/*
 * The frame of the conformance test: steps whose results on Linux 7.3 are recorded in
 * linux-7.3-steps.txt, performed here and compared.
 *
 * A section is a function that performs its steps in order; state carries over from step
 * to step as it did when they were recorded. It performs a call and reports the result
 * under the step's id:
 *
 *	step("A011", destroy(iommufd, 0x7fffffff));
 *
 * Results are values >= 0 or negative errnos. They are written down in the words of the
 * record ("-1 ENOENT", "0 ok, length=0x1000") and compared as text. What a device of
 * ours cannot do is reported with step_na(). Everything that comes out differently must
 * stand in differences.txt just as it comes out, with the reason.
 */
#ifndef TESTS_CONFORMANCE_STEPS_H
#define TESTS_CONFORMANCE_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- reporting a step ---------------------------------------------------------- */

/* @ret: a value that is the same wherever the program runs, or a negative errno. */
void step(const char *id, long ret);
/* A call whose result is a new descriptor: any number will do. Returns @ret. */
int step_fd(const char *id, long ret);
/* An unmap: @length is what it said it unmapped. */
void step_length(const char *id, long ret, uint64_t length);
/* A load or a store by the CPU; @signal 0: it worked. */
struct cpu_access {
	int signal, code;
	uint32_t value;
};
void step_load(const char *id, struct cpu_access a);
void step_store(const char *id, struct cpu_access a);
/* There is nothing here that the step could be tried on. */
void step_na(const char *id);

/*
 * More about the step just reported. The record must have a NOTE for it that starts with
 * @key; the rest is compared.
 */
void note(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something the section needs, but that is no step, went wrong: the run fails. */
void check(bool ok, const char *what);

/* ---- sections ------------------------------------------------------------------ */

struct section {
	char letter;
	void (*run)(void);
};

/* Ends with a letter of 0. */
extern const struct section sections[];

void section_a(void);
void section_b(void);
void section_c(void);
void section_d(void);
void section_e(void);
void section_f(void);
void section_h(void);
void section_i(void);
void section_k(void);
void section_o(void);

#endif
