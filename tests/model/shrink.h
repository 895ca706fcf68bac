/* SPDX-License-Identifier: MIT */
/*
 * Make a failing script short: leave out calls as long as it still fails, most of them
 * at once first, then make the arguments of those that are left simple. Each try runs in
 * a process and on a machine of its own, so a crash is a failure like any other.
 */
#ifndef TESTS_MODEL_SHRINK_H
#define TESTS_MODEL_SHRINK_H

#include "tests/model/ref.h"

/*
 * The end of a process that has made calls. One that has stopped at a difference has left
 * everything as it was, which is no leak for a sanitizer to tell of.
 */
void end_child(bool ok) __attribute__((noreturn));

/* Does it fail? What it says goes nowhere, unless @loud. */
bool script_fails(const struct script *s, enum ref_wrong wrong, bool loud);
/* @s fails. Answers after how many tries. */
unsigned script_shrink(struct script *s, enum ref_wrong wrong);

#endif
