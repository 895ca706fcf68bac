/* SPDX-License-Identifier: MIT */
/*
 * Calls on both sides, compared one by one; at the end of a sequence all memory is, and
 * nothing may be left of the machine: no descriptor, no mapping, no broken invariant. A
 * call into which a fault was injected must fail and leave everything as it was: what the
 * reference, which does not see the call, says of all later ones shows that.
 */
#ifndef TESTS_MODEL_RUN_H
#define TESTS_MODEL_RUN_H

#include "tests/model/exec.h"
#include "tests/model/ref.h"

/* Results of calls are counted by errno. */
#define RESULTS 134u

struct run {
	struct ref *ref;
	struct exec exec;
	unsigned fds, mappings;                /* before */
	unsigned long seen[OP_KINDS][RESULTS]; /* by errno; 0: it succeeded */
	unsigned long faults[OP_KINDS];        /* that were injected */
};

/* False: it could not be started, which it has said. */
bool run_start(struct run *r, enum ref_wrong wrong);
/*
 * False: the sides differ, which it has said. *@failed (may be NULL): the fault that was
 * asked for happened; then the reference knows nothing of the call.
 */
bool run_call(struct run *r, const struct op *op, bool *failed);
/* Also after a difference. False: something is left, which it has said. */
bool run_finish(struct run *r);

/* A whole script; what is undefined in it is left out. */
bool run_script(const struct script *s, enum ref_wrong wrong);

#endif
