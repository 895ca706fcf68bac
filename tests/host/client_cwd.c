/* SPDX-License-Identifier: MIT */
/*
 * The working directory: into the simulated part by name, in it, and out of it again,
 * while signals come, while the process is stopped, and while it is killed.
 */
#include "client.h"
#include "scenarios.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define ROUNDS 200
#define KILLS  30

bool is_traced(void)
{
	char line[128];
	int tracer = 0;
	FILE *f = fopen("/proc/self/status", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			break;
	fclose(f);
	return tracer;
}

static void check_here(const char *name)
{
	char buf[PATH_MAX];

	CHECK(getcwd(buf, sizeof(buf)));
	CHECK(!strcmp(buf, name));
}

static void check_vendor(void)
{
	char text[16] = "";
	int fd = open("vendor", O_RDONLY);

	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) == 7);
	CHECK(!strcmp(text, "0x1234\n"));
	close(fd);
}

static void check_ways(void)
{
	int before = dup(0), after;

	CHECK(!chdir(DEVICES BDF0));
	check_here("/sys/devices/pci0000:00/0000:00:10.0/" BDF0);
	check_vendor();
	CHECK_ERRNO(chdir("vendor"), ENOTDIR);
	CHECK_ERRNO(chdir("nothing"), ENOENT);
	CHECK_ERRNO(chdir(DEVICES "0000:55:00.0"), ENOENT);
	CHECK_ERRNO(chdir(""), ENOENT);
	CHECK_ERRNO(chdir(bad_address), EFAULT);
	check_vendor();
	CHECK(!chdir("driver"));
	check_here("/sys/bus/pci/drivers/vfio-pci");
	CHECK(!chdir(BDF0 "/.."));
	check_here("/sys/devices/pci0000:00/0000:00:10.0");
	/* Out of it the host's directories are the host's. */
	CHECK(!chdir("../../../.."));
	check_here("/");
	CHECK(!access("proc/self/status", F_OK));
	CHECK(!chdir("/dev/vfio/devices"));
	CHECK(!access("vfio0", F_OK));
	CHECK(!chdir("/proc/self"));
	CHECK(!access("status", F_OK));
	/* Nothing of how it is done stays behind. */
	close(before);
	after = dup(0);
	CHECK(after == before);
	close(after);
}

static atomic_uint signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

/* Signals reach their handlers, and calls succeed. */
static void check_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	pid_t parent = getpid(), child;
	int status;

	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		for (int i = 0; i < ROUNDS; i++) {
			kill(parent, SIGUSR1);
			sched_yield();
		}
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(!chdir(DEVICES BDF0));
		check_vendor();
		CHECK(!chdir("/"));
	}
	while (waitpid(child, &status, 0) != child)
		CHECK(errno == EINTR);
	CHECK(signals);
	CHECK(!sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_DFL}, NULL));
}

static _Noreturn void go_to_and_fro(void)
{
	for (;;) {
		CHECK(!chdir(DEVICES BDF0));
		check_vendor();
		CHECK(!chdir("/dev/vfio"));
	}
}

/* A child that is stopped and continued, and killed in the end, says so each time. */
static void check_kills(void)
{
	for (int i = 0; i < KILLS; i++) {
		pid_t child = fork();
		int status;

		CHECK(child >= 0);
		if (!child)
			go_to_and_fro();
		usleep(200u * (unsigned)(i % 10));
		if (i % 2) {
			CHECK(!kill(child, SIGSTOP));
			CHECK(waitpid(child, &status, WUNTRACED) == child);
			CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
			CHECK(!kill(child, SIGCONT));
			usleep(500);
		}
		CHECK(!kill(child, SIGKILL));
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

static void *go_in_thread(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++)
		CHECK(!chdir(i % 2 ? DEVICES BDF0 : "/sys/kernel/iommu_groups/1"));
	return NULL;
}

void scenario_chdir(void)
{
	pthread_t threads[4];

	/* Who has a tracer cannot be had for this. */
	if (is_traced()) {
		CHECK_ERRNO(chdir(DEVICES BDF0), ENOENT);
		return;
	}
	check_ways();
	check_signals();
	check_kills();
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, go_in_thread, NULL));
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(!chdir("/"));
	check_here("/");
}
