/* SPDX-License-Identifier: MIT */
/*
 * What a fuzz target makes of the bytes it is given: a stream of small choices. A stream
 * that has ended goes on with zeros; a target stops there.
 *
 * A target is LLVMFuzzerTestOneInput(): libFuzzer calls it (`make fuzz`), and so does
 * replay.c, with the committed corpus, in every ordinary test run. It answers 0 and stops
 * the program when something is wrong.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at, *end;
};

static inline bool input_done(const struct input *in)
{
	return in->at == in->end;
}

static inline uint8_t take(struct input *in)
{
	return input_done(in) ? 0 : *in->at++;
}

static inline uint16_t take16(struct input *in)
{
	uint16_t low = take(in);

	return (uint16_t)(low | take(in) << 8);
}

/* In [0, n - 1]; 0 < n <= 65536. */
static inline unsigned take_below(struct input *in, unsigned n)
{
	return (n <= 256 ? take(in) : take16(in)) % n;
}

/* What a target finds wrong is a crash, which both runners report with the input. */
#define CHECK(condition)                                                                 \
	do {                                                                             \
		if (!(condition)) {                                                      \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,       \
				#condition);                                             \
			abort();                                                         \
		}                                                                        \
	} while (0)

#endif
