/* SPDX-License-Identifier: MIT */
/* Running an instruction on the CPU itself, with all its registers given. */
#ifndef TESTS_CPU_NATIVE_H
#define TESTS_CPU_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/emulate.h"

/* Room for the CPU's XSAVE area; native_xsave_bytes() of it are used. */
#define NATIVE_XSAVE_BYTES 16384

size_t native_xsave_bytes(void);
/* The vector registers as components of an area; the rest is left alone. */
#define NATIVE_XSAVE_MASK UINT64_C(0xe6)

/*
 * Execute the instruction at @code, which is followed by a return, with the general
 * registers but rsp, the arithmetic flags and, if there is an area, the vector registers
 * of
 * @s.
 */
void native_run(const void *code, struct cpu_state *s);

#endif
