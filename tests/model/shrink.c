/* SPDX-License-Identifier: MIT */
/* Delta debugging over calls, then over arguments. */
#include "tests/model/shrink.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/model/run.h"
#include "uiommufd/abi/iommufd.h"

#define HUNG_SECONDS 30

void end_child(bool ok)
{
	if (ok)
		exit(0);
	fflush(NULL);
	_exit(1);
}

bool script_fails(const struct script *s, enum ref_wrong wrong, bool loud)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(CANNOT_RUN);
	}
	if (!pid) {
		if (!loud && (!freopen("/dev/null", "w", stdout) ||
			      !freopen("/dev/null", "w", stderr)))
			_exit(CANNOT_RUN);
		/* A call that does not return is a failure, too. */
		alarm(HUNG_SECONDS);
		end_child(run_script(s, wrong));
	}
	waitpid(pid, &status, 0);
	if (loud && WIFSIGNALED(status))
		printf("signal %d\n", WTERMSIG(status));
	return status && !(WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_RUN);
}

struct shrinker {
	struct script *s;
	enum ref_wrong wrong;
	unsigned tries;
};

static bool still_fails(struct shrinker *k, const struct script *s)
{
	k->tries++;
	return script_fails(s, k->wrong, false);
}

/* Without [at, at + n). */
static bool leave_out(struct shrinker *k, size_t at, size_t n)
{
	struct script shorter = {0};
	bool ok;

	for (size_t i = 0; i < k->s->n; i++)
		if (i < at || i >= at + n)
			script_add(&shorter, &k->s->v[i]);
	ok = shorter.n && still_fails(k, &shorter);
	if (ok) {
		script_finish(k->s);
		*k->s = shorter;
	} else {
		script_finish(&shorter);
	}
	return ok;
}

static bool fewer_calls(struct shrinker *k)
{
	bool any = false;

	for (size_t n = (k->s->n + 1) / 2; n; n = n > 1 ? (n + 1) / 2 : 0) {
		/* From the end: what comes late depends on what comes early. */
		for (size_t end = k->s->n; end;) {
			size_t at = end > n ? end - n : 0;

			any |= leave_out(k, at, end - at);
			end = at;
		}
	}
	return any;
}

/* Without a call that makes an object; what it was for is another's part. */
static bool without_maker(struct shrinker *k, size_t at, uint64_t other)
{
	const uint64_t slot = k->s->v[at].slot;
	struct script s = {0};
	bool ok;

	for (size_t i = 0; i < k->s->n; i++) {
		struct op op = k->s->v[i];

		op.obj = op.obj == slot ? other : op.obj;
		op.pt = op.pt == slot ? other : op.pt;
		if (i != at)
			script_add(&s, &op);
	}
	ok = still_fails(k, &s);
	script_finish(ok ? k->s : &s);
	if (ok)
		*k->s = s;
	return ok;
}

static bool makes_object(enum op_kind kind)
{
	return kind == OP_IOAS_ALLOC || kind == OP_HWPT_ALLOC || kind == OP_BIND ||
	       kind == OP_ATTACH || kind == OP_MOCK || kind == OP_MOCK_REPLACE;
}

static bool fewer_makers(struct shrinker *k)
{
	bool any = false;

	for (size_t i = k->s->n; i--;) {
		for (size_t j = 0; makes_object(k->s->v[i].kind) && j < k->s->n; j++) {
			const struct op *other = &k->s->v[j];

			if (!makes_object(other->kind) || other->slot == k->s->v[i].slot)
				continue;
			if (without_maker(k, i, other->slot)) {
				any = true;
				break;
			}
		}
		if (i > k->s->n)
			i = k->s->n;
	}
	return any;
}

static bool try_argument(struct shrinker *k, uint64_t *arg, uint64_t value)
{
	uint64_t was = *arg;

	if (value == was)
		return false;
	*arg = value;
	if (still_fails(k, k->s))
		return true;
	*arg = was;
	return false;
}

/* 0, or as small and as round as it can be. */
static bool simpler_argument(struct shrinker *k, uint64_t *arg)
{
	static const uint64_t round[] = {0, 1, 3, 7, PAGE, 2 * PAGE};
	bool any = false;

	for (size_t i = 0; i < sizeof(round) / sizeof(round[0]); i++)
		if (round[i] < *arg && try_argument(k, arg, round[i]))
			return true;
	any |= *arg > PAGE && try_argument(k, arg, *arg & ~(PAGE - 1));
	any |= *arg > MIB(2) && try_argument(k, arg, *arg & ~(MIB(2) - 1));
	while (*arg > 1 && try_argument(k, arg, *arg / 2))
		any = true;
	return any;
}

/* Maps that were given an IOVA ask for it, so that those before them can go. */
static void fix_iovas(struct shrinker *k)
{
	struct ref *ref = ref_create(k->wrong);
	struct outcome out;

	for (size_t i = 0; i < k->s->n; i++) {
		struct op *op = &k->s->v[i], was = *op;

		if (ref_is_undefined(ref, op) || op->fail)
			continue;
		ref_call(ref, op, &out);
		if ((op->kind != OP_MAP && op->kind != OP_MAP_FILE &&
		     op->kind != OP_COPY) ||
		    out.ret || op->flags & IOMMU_IOAS_MAP_FIXED_IOVA)
			continue;
		op->flags |= IOMMU_IOAS_MAP_FIXED_IOVA;
		op->iova = out.v[0];
		if (!still_fails(k, k->s))
			*op = was;
	}
	ref_destroy(ref);
}

static void rename_dev(struct op *op, unsigned from, unsigned to)
{
	op->dev = op->dev == from ? to : op->dev;
}

static void rename_ctx(struct op *op, unsigned from, unsigned to)
{
	op->ctx = op->ctx == from ? to : op->ctx;
	if (op->file == FILE_OF(FILE_CTX, from))
		op->file = FILE_OF(FILE_CTX, to);
}

static bool try_names(struct shrinker *k, void (*rename)(struct op *, unsigned, unsigned),
		      unsigned from, unsigned to)
{
	struct script s = {0};
	bool changed, ok;

	for (size_t i = 0; i < k->s->n; i++) {
		struct op op = k->s->v[i];

		rename(&op, from, to);
		script_add(&s, &op);
	}
	changed = memcmp(s.v, k->s->v, s.n * sizeof(s.v[0]));
	ok = changed && still_fails(k, &s);
	script_finish(ok ? k->s : &s);
	if (ok)
		*k->s = s;
	return ok;
}

/* What one device, or one context, does, another one does. */
static bool fewer_names(struct shrinker *k)
{
	bool any = try_names(k, rename_ctx, 1, 0);

	for (unsigned from = NDEV_FILES; from--;)
		for (unsigned to = 0; to < from; to++)
			any |= try_names(k, rename_dev, from, to);
	return any;
}

static bool simpler_calls(struct shrinker *k)
{
	bool any = false;
	uint64_t *arg;

	for (size_t i = 0; i < k->s->n; i++)
		for (unsigned a = 0; op_argument(&k->s->v[i], a, &arg); a++)
			any |= *arg && simpler_argument(k, arg);
	return any;
}

unsigned script_shrink(struct script *s, enum ref_wrong wrong)
{
	struct shrinker k = {.s = s, .wrong = wrong};

	while (fewer_calls(&k))
		;
	fix_iovas(&k);
	/* What is simpler can make more calls needless. */
	do {
		while (fewer_calls(&k))
			;
	} while (fewer_names(&k) || fewer_makers(&k) || simpler_calls(&k));
	return k.tries;
}
