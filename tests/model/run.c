/* SPDX-License-Identifier: MIT */
/* Both sides, side by side. */
#include "tests/model/run.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "port/port.h"

/* ---- what can be counted ----------------------------------------------------- */

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Of memory files: those that the library makes are gone with what they were for. */
static unsigned count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:") != NULL;
	if (f)
		fclose(f);
	return n;
}

/* ---- comparing --------------------------------------------------------------- */

static void print_outcome(const char *who, const struct outcome *o)
{
	unsigned n = o->n < OUTCOME_MAX ? o->n : OUTCOME_MAX;

	printf("%s %ld", who, o->ret);
	if (o->ret < 0)
		printf(" (%s)", strerrorname_np((int)-o->ret));
	for (unsigned i = 0; i < n; i++)
		printf(" %#" PRIx64, o->v[i]);
	printf("\n");
}

static bool same(const struct outcome *want, const struct outcome *got)
{
	unsigned n = want->n < OUTCOME_MAX ? want->n : OUTCOME_MAX;

	if (want->ret != got->ret || want->n != got->n)
		return false;
	for (unsigned i = 0; i < n; i++)
		if ((want->v[i] ^ got->v[i]) & ~want->any[i])
			return false;
	return true;
}

/* Which errors a fault can be: an allocation, a descriptor (also of an access), a copy.
 */
static bool is_fault(long ret)
{
	return ret == -ENOMEM || ret == -EMFILE || ret == -EBADFD || ret == -EFAULT;
}

/* With a fault at the point that the call names. Does it happen? */
static bool fails(struct run *r, const struct op *op, struct outcome *got)
{
	if (op->fail && op_may_fail(op->kind))
		uiommufd_fail_nth(op->fail);
	exec_call(&r->exec, op, got);
	return op->fail && op_may_fail(op->kind) && !uiommufd_fail_nth(0);
}

bool run_call(struct run *r, const struct op *op, bool *failed)
{
	struct outcome want, got;
	bool fault = fails(r, op, &got);

	if (failed)
		*failed = fault;
	if (fault) {
		r->faults[op->kind]++;
		if (is_fault(got.ret))
			return true;
		want = (struct outcome){.ret = -ENOMEM};
	} else {
		ref_call(r->ref, op, &want);
		r->seen[op->kind][want.ret < 0 ? -want.ret : 0]++;
		if (same(&want, &got))
			return true;
	}
	printf("mismatch: ");
	op_write(stdout, op);
	print_outcome("  Linux: ", &want);
	print_outcome("  here:  ", &got);
	return false;
}

/* ---- life -------------------------------------------------------------------- */

bool run_start(struct run *r, enum ref_wrong wrong)
{
	r->ref = ref_create(wrong);
	r->fds = count_fds();
	r->mappings = count_mappings();
	return exec_start(&r->exec);
}

bool run_finish(struct run *r)
{
	const struct op memory = {.kind = OP_MEMORY};
	bool ok = run_call(r, &memory, NULL);
	int left = exec_finish(&r->exec);
	unsigned fds = count_fds(), mappings = count_mappings();

	ref_destroy(r->ref);
	r->ref = NULL;
	if (left || fds != r->fds || mappings != r->mappings || port_bug_count()) {
		printf("left: %d files, %u descriptors were %u, %u mappings were %u, "
		       "%lu broken invariants\n",
		       left, fds, r->fds, mappings, r->mappings,
		       (unsigned long)port_bug_count());
		ok = false;
	}
	return ok;
}

bool run_script(const struct script *s, enum ref_wrong wrong)
{
	struct run *r = calloc(1, sizeof(*r));
	bool ok;

	if (!r || !run_start(r, wrong))
		exit(CANNOT_RUN);
	ok = true;
	for (size_t i = 0; i < s->n && ok; i++)
		if (!ref_is_undefined(r->ref, &s->v[i]))
			ok = run_call(r, &s->v[i], NULL);
	/* What differs already may be left in any state. */
	if (ok)
		ok = run_finish(r);
	free(r);
	return ok;
}
