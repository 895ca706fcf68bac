/* SPDX-License-Identifier: MIT */
/*
 * The model-based random test of the whole system (README.md).
 *
 * Sequences run in a child process, which says in shared memory how far it is. When it
 * ends early, however, the parent makes the script again from the seed, shrinks it and
 * prints it.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/model/gen.h"
#include "tests/model/run.h"
#include "tests/model/shrink.h"

#define SEQUENCE_CALLS 2500
/* Of one sequence, which takes some hundredths of one. */
#define HUNG_SECONDS 120

static const char *const wrong_names[NWRONG] = {
	[WRONG_NOTHING] = "nothing", [WRONG_UNMAP] = "unmap", [WRONG_REVOKE] = "revoke",
	[WRONG_RANGES] = "ranges",   [WRONG_COPY] = "copy",   [WRONG_DIRTY] = "dirty",
};

struct options {
	uint64_t seed;
	unsigned long calls, at_most;
	enum ref_wrong wrong;
	const char *replay, *out;
	bool shrink, verbose;
};

/* Shared with the child. */
struct progress {
	unsigned long sequence; /* which is running */
	unsigned long calls;    /* made in it, the one at work included */
	unsigned long total;
	bool failed[SEQUENCE_CALLS]; /* calls with a fault that was injected */
	unsigned long seen[OP_KINDS][RESULTS];
	unsigned long faults[OP_KINDS];
};

static uint64_t sequence_seed(const struct options *o, unsigned long sequence)
{
	return o->seed + sequence * 0xd1342543de82ef95ull;
}

/* ---- the child --------------------------------------------------------------- */

static bool run_sequence(const struct options *o, struct progress *p, struct run *r)
{
	struct gen g;
	struct op op;
	bool ok = true;

	/* A call that does not return ends the child. */
	alarm(HUNG_SECONDS);
	if (!run_start(r, o->wrong))
		exit(CANNOT_RUN);
	gen_start(&g, sequence_seed(o, p->sequence), r->ref);
	for (p->calls = 0; ok && p->calls < SEQUENCE_CALLS && p->total < o->calls;) {
		gen_next(&g, &op);
		if (ref_is_undefined(r->ref, &op))
			continue;
		p->calls++;
		p->total++;
		ok = run_call(r, &op, &p->failed[p->calls - 1]);
	}
	if (!ok)
		return false;
	return run_finish(r);
}

static bool run_all(const struct options *o, struct progress *p)
{
	struct run *r = calloc(1, sizeof(*r));
	bool ok = r;

	for (p->sequence = 0; ok && p->total < o->calls; p->sequence++) {
		ok = run_sequence(o, p, r);
		if (!ok)
			break;
	}
	memcpy(p->seen, r->seen, sizeof(p->seen));
	memcpy(p->faults, r->faults, sizeof(p->faults));
	free(r);
	return ok;
}

/* ---- the parent -------------------------------------------------------------- */

/* The first @calls calls of a sequence, by the reference alone. */
static void remake(const struct options *o, const struct progress *p, struct script *s)
{
	struct ref *ref = ref_create(o->wrong);
	struct outcome out;
	struct gen g;
	struct op op;

	gen_start(&g, sequence_seed(o, p->sequence), ref);
	while (s->n < p->calls) {
		gen_next(&g, &op);
		if (ref_is_undefined(ref, &op))
			continue;
		/* The last one may not have got so far as to say. */
		if (!p->failed[s->n])
			ref_call(ref, &op, &out);
		script_add(s, &op);
	}
	ref_destroy(ref);
}

static void write_out(const struct options *o, const struct script *s)
{
	FILE *f = o->out ? fopen(o->out, "we") : NULL;

	if (o->out && !f)
		perror(o->out);
	if (!f)
		return;
	script_write(f, s);
	fclose(f);
}

/* Shrinks a script that fails, and shows it. */
static void show_failure(const struct options *o, struct script *s)
{
	unsigned tries = script_shrink(s, o->wrong);

	printf("# shrunk to %zu calls in %u tries; --replay takes it:\n", s->n, tries);
	script_write(stdout, s);
	printf("# what it does:\n");
	script_fails(s, o->wrong, true);
	write_out(o, s);
}

static void print_seen(const struct progress *p)
{
	for (int k = 0; k < OP_KINDS; k++) {
		printf("%-14s ok %lu", op_name((enum op_kind)k), p->seen[k][0]);
		for (unsigned e = 1; e < RESULTS; e++)
			if (p->seen[k][e])
				printf(", %s %lu", strerrorname_np((int)e),
				       p->seen[k][e]);
		if (p->faults[k])
			printf(", %lu faults", p->faults[k]);
		printf("\n");
	}
}

/*
 * What a long run must have come by, or the generator has gone blind: 0, a success, goes
 * without saying.
 */
static const struct {
	enum op_kind kind;
	int errnos[10];
} expected[] = {
	{OP_DESTROY, {ENOENT, EBUSY}},
	{OP_RANGES, {ENOENT, EMSGSIZE}},
	{OP_ALLOW, {EINVAL, EADDRINUSE}},
	{OP_MAP, {ENOENT, EFAULT, EEXIST, EINVAL, ENOSPC, EOVERFLOW, EOPNOTSUPP}},
	{OP_MAP_FILE, {EBADF, EEXIST, ENODEV, EINVAL, ENOSPC, EOVERFLOW, EOPNOTSUPP}},
	{OP_COPY, {EPERM, ENOENT, EEXIST, EINVAL, ENOSPC, EOVERFLOW}},
	{OP_UNMAP, {ENOENT}},
	{OP_OPTION, {EBUSY, EINVAL, EOPNOTSUPP, EADDRINUSE}},
	{OP_HWPT_ALLOC, {EINVAL, EOPNOTSUPP, EADDRINUSE}},
	{OP_TRACK, {EOPNOTSUPP}},
	{OP_DIRTY_GET, {EINVAL, EOPNOTSUPP}},
	{OP_TYPE1_MAP, {EFAULT, EEXIST, EINVAL}},
	{OP_TYPE1_UNMAP, {ENOENT}},
	{OP_BIND, {EINVAL, EPERM}},
	{OP_ATTACH, {EINVAL, EFAULT, EADDRINUSE}},
	{OP_RESET, {0}},
	{OP_FLR, {0}},
	{OP_POWER, {0}},
	{OP_LOW_POWER, {EINVAL}},
	{OP_EXPORT, {ENODEV, EINVAL}},
	{OP_BAR_READ, {EIO}},
	{OP_DMA_READ, {EFAULT}},
	{OP_DMA_WRITE, {EFAULT}},
	{OP_DMA_COPY, {EFAULT}},
	{OP_MOCK, {EINVAL, EADDRINUSE}},
	{OP_MOCK_REPLACE, {EINVAL, EADDRINUSE}},
	{OP_CHECK_MAP, {EINVAL}},
	{OP_CHECK_PINS, {EIO}},
	{OP_SET_DIRTY, {EINVAL}},
	{OP_ACCESS_REPLACE, {EADDRINUSE}},
	{OP_PIN, {EPERM, ENOENT, EFAULT, EINVAL}},
	{OP_UNPIN, {ENOENT}},
	{OP_RW, {EPERM, ENOENT, EINVAL}},
	{OP_TEST_REVOKE, {EOPNOTSUPP}},
};
#define LONG_RUN 100000

static bool has_seen_enough(const struct progress *p)
{
	bool ok = true;

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		const enum op_kind kind = expected[i].kind;

		if (!p->seen[kind][0]) {
			printf("no %s succeeded\n", op_name(kind));
			ok = false;
		}
		for (const int *e = expected[i].errnos; *e; e++) {
			/* Only root may change the mode of accounting, busy or not. */
			if (p->seen[kind][*e] ||
			    (kind == OP_OPTION && *e == EBUSY && geteuid()))
				continue;
			printf("no %s was %s\n", op_name(kind), strerrorname_np(*e));
			ok = false;
		}
	}
	return ok;
}

static int random_run(const struct options *o, struct script *failed)
{
	struct progress *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct script s = {0};
	int status;
	pid_t pid;

	printf("seed %#" PRIx64 ", %lu calls\n", o->seed, o->calls);
	fflush(NULL);
	pid = p == MAP_FAILED ? -1 : fork();
	if (pid < 0) {
		perror("fork");
		return 2;
	}
	if (!pid)
		end_child(run_all(o, p));
	waitpid(pid, &status, 0);
	if (!status) {
		printf("%lu calls in %lu sequences: no difference\n", p->total,
		       p->sequence);
		if (o->verbose)
			print_seen(p);
		return p->total < LONG_RUN || has_seen_enough(p) ? 0 : 1;
	}
	if (WIFSIGNALED(status))
		printf("signal %d\n", WTERMSIG(status));
	printf("sequence %lu, call %lu\n", p->sequence, p->calls);
	fflush(NULL);
	remake(o, p, &s);
	if (script_fails(&s, o->wrong, false))
		show_failure(o, &s);
	else
		printf("the sequence by itself does not fail: what came before it "
		       "matters\n");
	*failed = s;
	return 1;
}

/*
 * A reference that is wrong on purpose: the difference must be found, its script must get
 * short, fail again after having been written and read, and not fail with the rule right.
 */
static int prove(const struct options *o)
{
	struct script s = {0}, again = {0};
	char name[] = "/tmp/model-script-XXXXXX";
	int fd = mkstemp(name), ret = 1;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w+");

	if (!f) {
		perror(name);
		return 2;
	}
	if (!random_run(o, &s)) {
		printf("nobody noticed\n");
		goto out;
	}
	script_write(f, &s);
	rewind(f);
	if (s.n > o->at_most)
		printf("%zu calls are more than %lu\n", s.n, o->at_most);
	else if (!script_read(f, name, &again) || again.n != s.n)
		printf("the script cannot be read\n");
	else if (!script_fails(&again, o->wrong, false))
		printf("the script that was read does not fail\n");
	else if (script_fails(&again, WRONG_NOTHING, true))
		printf("the script fails whatever the reference says\n");
	else
		ret = 0;
out:
	script_finish(&s);
	script_finish(&again);
	fclose(f);
	unlink(name);
	return ret;
}

static int replay(const struct options *o)
{
	FILE *f = fopen(o->replay, "re");
	struct script s = {0};
	int ret = 2;

	if (!f) {
		perror(o->replay);
		return 2;
	}
	if (script_read(f, o->replay, &s)) {
		ret = script_fails(&s, o->wrong, true);
		if (ret && o->shrink)
			show_failure(o, &s);
		else
			printf("%s: %s\n", o->replay, ret ? "fails" : "no difference");
	}
	script_finish(&s);
	fclose(f);
	return ret;
}

/* ---- options ----------------------------------------------------------------- */

static int usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [--seed N|random] [--calls N] [--out FILE] [--verbose]\n"
		"       %s --replay FILE [--shrink] [--out FILE]\n"
		"       %s --wrong RULE --at-most LINES [--seed N] [--calls N]\n",
		name, name, name);
	return 2;
}

static bool parse_wrong(const char *text, enum ref_wrong *out)
{
	for (int i = 0; i < NWRONG; i++) {
		if (!strcmp(wrong_names[i], text)) {
			*out = (enum ref_wrong)i;
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{"seed", required_argument, NULL, 's'},
		{"calls", required_argument, NULL, 'c'},
		{"replay", required_argument, NULL, 'r'},
		{"shrink", no_argument, NULL, 'k'},
		{"out", required_argument, NULL, 'o'},
		{"wrong", required_argument, NULL, 'w'},
		{"at-most", required_argument, NULL, 'm'},
		{"verbose", no_argument, NULL, 'v'},
		{0},
	};
	const char *calls = getenv("MODEL_CALLS"), *seed = getenv("TEST_SEED");
	struct options o = {
		.seed = seed ? strtoull(seed, NULL, 0) : 1,
		.calls = calls ? strtoul(calls, NULL, 0) : 100000,
	};
	struct script failed = {0};
	int c, ret;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 's':
			o.seed = strcmp(optarg, "random") ? strtoull(optarg, NULL, 0)
							  : (uint64_t)time(NULL);
			break;
		case 'c':
			o.calls = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			o.replay = optarg;
			break;
		case 'k':
			o.shrink = true;
			break;
		case 'o':
			o.out = optarg;
			break;
		case 'w':
			if (!parse_wrong(optarg, &o.wrong))
				return usage(argv[0]);
			break;
		case 'm':
			o.at_most = strtoul(optarg, NULL, 0);
			break;
		case 'v':
			o.verbose = true;
			break;
		default:
			return usage(argv[0]);
		}
	}
	if (optind != argc)
		return usage(argv[0]);
	if (o.replay)
		return replay(&o);
	if (o.at_most)
		return prove(&o);
	ret = random_run(&o, &failed);
	script_finish(&failed);
	return ret;
}
