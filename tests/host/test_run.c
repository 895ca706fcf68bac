/* SPDX-License-Identifier: MIT */
/*
 * `uiommufd run` from outside: each scenario of the test client, as this user and, when
 * this is root, as an ordinary one; exit statuses and signals; clients that are killed.
 *
 * Runs the binaries named by UIOMMUFD and CLIENT. Every run checks itself for leaks
 * (UIOMMUFD_CHECK): it answers 125 if anything is left open at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "scenarios.h"

#define NOBODY   65534
#define MAX_ARGS 20
#define KILLS    15

static const char *uiommufd, *client;

/* ---- running -------------------------------------------------------------------- */

struct child {
	pid_t pid;
	int out; /* its standard output */
};

/* Binaries are reached by descriptor: an ordinary user may not reach the directory. */
static int open_binary(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		dprintf(2, "%s: %s\n", path, strerror(errno));
	return fd;
}

static void become_ordinary(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		_exit(124);
}

/* argv: after "run"; NULL stands for the client's path. */
static struct child start(bool ordinary, const char *const argv[])
{
	struct child c;
	int out[2];

	assert_int_equal(pipe(out), 0);
	fflush(NULL);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (!c.pid) {
		char client_path[32], exe_path[32];
		const char *args[MAX_ARGS + 3] = {"uiommufd", "run"};
		int exe = open_binary(uiommufd), cl = open_binary(client), n = 2;

		snprintf(exe_path, sizeof(exe_path), "/proc/self/fd/%d", exe);
		snprintf(client_path, sizeof(client_path), "/proc/self/fd/%d", cl);
		for (int i = 0; argv[i]; i++)
			args[n++] = strcmp(argv[i], "CLIENT") ? argv[i] : client_path;
		args[n] = NULL;
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		setenv("UIOMMUFD_CHECK", "1", 1);
		if (ordinary)
			become_ordinary();
		execv(exe_path, (char **)(uintptr_t)args);
		_exit(124);
	}
	close(out[1]);
	c.out = out[0];
	return c;
}

static int finish(struct child *c)
{
	int status;

	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close(c->out);
	return status;
}

static int run(bool ordinary, const char *const argv[])
{
	struct child c = start(ordinary, argv);

	return finish(&c);
}

static int run_client(bool ordinary, const char *name, const char *arg)
{
	const char *argv[] = {"--", "CLIENT", name, arg, NULL};

	return run(ordinary, argv);
}

/* ---- scenarios ------------------------------------------------------------------ */

/* argv: after "run". */
static void check(const char *name, const char *const argv[])
{
	int status = run(false, argv);

	if (status)
		print_message("%s: status %#x\n", name, status);
	assert_int_equal(status, 0);
	if (geteuid())
		return;
	status = run(true, argv);
	if (status)
		print_message("%s, as an ordinary user: status %#x\n", name, status);
	assert_int_equal(status, 0);
}

static void check_scenario(void **state)
{
	const char *argv[] = {"--", "CLIENT", *state, NULL};

	check(*state, argv);
}

static void check_selftest_scenario(void **state)
{
	const char *argv[] = {"--selftest", "--", "CLIENT", *state, NULL};

	check(*state, argv);
}

static void check_sriov_scenario(void **state)
{
	const char *argv[] = {"-d", "copy-engine,vfs=2", "--", "CLIENT", *state, NULL};

	check(*state, argv);
}

/* With a tracer, which registers that fault need: nothing else may be different. */
static void check_traced_scenario(void **state)
{
	const char *argv[] = {"-d",   "copy-engine,mmio=fault",
			      "-d",   "copy-engine",
			      "--",   "CLIENT",
			      *state, NULL};

	check(*state, argv);
}

static void check_dsa_scenario(void **state)
{
	const char *argv[] = {"--iommu", "vtd,name=a,page-requests=on,pasid=20",
			      "-d",      "dsa,iommu=a,pasid=1,pri=1",
			      "--",      "CLIENT",
			      *state,    NULL};

	check(*state, argv);
}

static void check_peer_scenario(void **state)
{
	const char *argv[] = {"--iommu",     "vtd,nesting=on",
			      "--extension", "compat-p2p",
			      "-d",          "copy-engine,bdf=01:00.0,vfs=1",
			      "-d",          "copy-engine,bdf=02:00.0,group=2",
			      "-d",          "copy-engine,bdf=03:00.0,group=3",
			      "--",          "CLIENT",
			      *state,        NULL};

	check(*state, argv);
}

/* The same client on the real KVM. */
static void test_kvm_native(void **state)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		execl(client, "client", "kvm-native", NULL);
		_exit(124);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_watched_engine(void **state)
{
	const char *argv[] = {
		"-d", "copy-engine,mmio=watch", "--", "CLIENT", "mmio_engine", NULL};

	check("watched", argv);
}

/* ---- status and signals --------------------------------------------------------- */

static void test_status(void **state)
{
	const char *nothing[] = {"--", "/nonexistent", NULL};
	const char *data[] = {"--", "/etc/passwd", NULL};
	const char *bad[] = {"--device", "no-such-model", "--", "CLIENT", "exit", "0",
			     NULL};
	const char *option[] = {"--no-such-option", NULL};
	const char *none[] = {NULL};

	assert_int_equal(run_client(false, "exit", "0"), 0);
	assert_int_equal(WEXITSTATUS(run_client(false, "exit", "7")), 7);
	assert_int_equal(WEXITSTATUS(run_client(false, "exit", "255")), 255);
	assert_int_equal(WTERMSIG(run_client(false, "raise", "9")), SIGKILL);
	assert_int_equal(WTERMSIG(run_client(false, "raise", "11")), SIGSEGV);
	assert_int_equal(WTERMSIG(run_client(false, "raise", "15")), SIGTERM);
	assert_int_equal(WEXITSTATUS(run(false, nothing)), 127);
	assert_int_equal(WEXITSTATUS(run(false, data)), 126);
	assert_int_equal(WEXITSTATUS(run(false, bad)), 125);
	assert_int_equal(WEXITSTATUS(run(false, option)), 125);
	assert_int_equal(WEXITSTATUS(run(false, none)), 125);
}

static void test_signals_are_passed_on(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		char number[8], ready[8] = "";
		const char *argv[] = {"CLIENT", "await", number, NULL};
		struct child c;

		snprintf(number, sizeof(number), "%d", signals[i]);
		c = start(false, argv);
		assert_int_equal(read(c.out, ready, sizeof(ready)), 5);
		kill(c.pid, signals[i]);
		assert_int_equal(WEXITSTATUS(finish(&c)), 40);
	}
}

static void test_background(void **state)
{
	char file[] = "/tmp/uiommufd-test-XXXXXX";
	char text[8] = "";
	int fd = mkstemp(file);

	assert_true(fd >= 0);
	/* The status is the first process's, but it comes when the last has ended. */
	assert_int_equal(WEXITSTATUS(run_client(false, "background", file)), 6);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	close(fd);
	unlink(file);
}

/* A pipe that the client does not hold must not be held open by us either. */
static void test_holds_no_descriptors(void **state)
{
	const char *argv[] = {"--", "/bin/sh", "-c",
			      "exec >/dev/null; echo x >&2; exec sleep 100", NULL};
	struct child c = start(false, argv);
	char byte;

	assert_int_equal(read(c.out, &byte, 1), 0);
	kill(c.pid, SIGTERM);
	assert_int_equal(WTERMSIG(finish(&c)), SIGTERM);
}

/* Started with nothing open and SIGCHLD ignored, as some service managers do. */
static void test_bare_start(void **state)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		signal(SIGCHLD, SIG_IGN);
		close(0);
		close(1);
		close(2);
		execl(uiommufd, "uiommufd", "run", client, "child-status", NULL);
		_exit(124);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 33);
}

/* ---- killing -------------------------------------------------------------------- */

static pid_t child_of(pid_t pid)
{
	char path[64], text[32] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? atoi(text) : 0;
}

/*
 * Clients killed at random moments, and with them their children (they are in a process
 * group of their own). Nothing may stay open, and run must end as they did.
 */
static void test_kill(void **state)
{
	unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();

	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < KILLS; i++) {
		char number[16];
		const char *argv[] = {"/usr/bin/setsid", "CLIENT", "churn", number, NULL};
		struct child c;
		pid_t first;
		int status;

		snprintf(number, sizeof(number), "%u", rand());
		c = start(geteuid() == 0 && i % 2, argv);
		usleep((useconds_t)(20000 + rand() % 80000));
		while (!(first = child_of(c.pid)))
			;
		/* setsid may not have happened yet: then only the first dies now. */
		while (kill(-first, SIGKILL) && kill(first, 0) == 0)
			usleep(100);
		status = finish(&c);
		if (!WIFSIGNALED(status))
			print_message("kill %d: status %#x\n", i, status);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
	}
}

/* When the supervisor is killed, calls fail; the client does not hang. */
static void test_supervisor_dies(void **state)
{
	const char *argv[] = {"--", "/bin/sh", "-c",
			      "echo ready; while [ -e /dev/iommu ]; do :; done", NULL};
	struct child c = start(false, argv);
	char text[8], byte;

	assert_int_equal(read(c.out, text, 6), 6);
	kill(c.pid, SIGKILL);
	assert_int_equal(WTERMSIG(finish(&(struct child){c.pid, -1})), SIGKILL);
	/* The shell's end closes the pipe. */
	assert_int_equal(read(c.out, &byte, 1), 0);
	close(c.out);
}

/* ---- the rest ------------------------------------------------------------------- */

static void test_log(void **state)
{
	char file[] = "/tmp/uiommufd-test-XXXXXX", option[64], text[8192];
	const char *argv[] = {option, "--", "CLIENT", "regions", NULL};
	int fd = mkstemp(file);
	ssize_t n;

	assert_true(fd >= 0);
	snprintf(option, sizeof(option), "--log=%s", file);
	assert_int_equal(run(false, argv), 0);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	close(fd);
	unlink(file);
	assert_non_null(strstr(text, "open(\"/dev/iommu\""));
	assert_non_null(strstr(text, "IOMMU_IOAS_ALLOC"));
	assert_non_null(strstr(text, "VFIO_DEVICE_BIND_IOMMUFD"));
	assert_non_null(strstr(text, "pread64("));
	assert_non_null(strstr(text, "mmap("));
	assert_non_null(strstr(text, "-1 EFAULT"));
	assert_int_equal(text[0], '[');
}

static int run_command(const char *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		dup2(open("/dev/null", O_WRONLY), 1);
		execl(uiommufd, "uiommufd", arg, NULL);
		_exit(124);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_command(void **state)
{
	assert_int_equal(run_command("--help"), 0);
	assert_int_equal(run_command("--version"), 0);
	assert_int_equal(run_command("doctor"), 0);
	assert_int_equal(run_command("no-such-command"), 125);
}

#define SCENARIO_TEST(name)                                                              \
	{#name, check_scenario, NULL, NULL, (void *)(uintptr_t) #name},
#define SELFTEST_SCENARIO_TEST(name)                                                     \
	{#name, check_selftest_scenario, NULL, NULL, (void *)(uintptr_t) #name},
#define SRIOV_SCENARIO_TEST(name)                                                        \
	{#name, check_sriov_scenario, NULL, NULL, (void *)(uintptr_t) #name},
#define DSA_SCENARIO_TEST(name)                                                          \
	{#name, check_dsa_scenario, NULL, NULL, (void *)(uintptr_t) #name},
#define PEER_SCENARIO_TEST(name)                                                         \
	{#name, check_peer_scenario, NULL, NULL, (void *)(uintptr_t) #name},
#define TRACED_SCENARIO_TEST(name)                                                       \
	{#name "_traced", check_traced_scenario, NULL, NULL, (void *)(uintptr_t) #name},

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIOS(SCENARIO_TEST) SELFTEST_SCENARIOS(SELFTEST_SCENARIO_TEST)
			SCENARIOS(TRACED_SCENARIO_TEST) MMIO_SCENARIOS(
				TRACED_SCENARIO_TEST) SRIOV_SCENARIOS(SRIOV_SCENARIO_TEST)
				DSA_SCENARIOS(DSA_SCENARIO_TEST)
					PEER_SCENARIOS(PEER_SCENARIO_TEST)
						cmocka_unit_test(test_watched_engine),
		cmocka_unit_test(test_kvm_native),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_signals_are_passed_on),
		cmocka_unit_test(test_background),
		cmocka_unit_test(test_holds_no_descriptors),
		cmocka_unit_test(test_bare_start),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_supervisor_dies),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_command),
	};

	uiommufd = getenv("UIOMMUFD");
	client = getenv("CLIENT");
	if (!uiommufd || !client) {
		fprintf(stderr, "UIOMMUFD and CLIENT are to name the binaries\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
