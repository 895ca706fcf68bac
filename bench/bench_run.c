/* SPDX-License-Identifier: MIT */
/*
 * What a call costs under `uiommufd run`, next to the floor: a seccomp notification that
 * is answered at once by a supervisor that does nothing else. What an access to a
 *register costs in each way to it; where it faults the floor is a signal that a tracer
 *takes away. And how much of a CPU an idle machine with watched registers uses.
 *
 * A worker for each makes the calls, since a process can have but one listener. Workers
 *are told over a pipe which call to make how often, so both are timed by one clock, in
 *turn.
 *
 *	bench_run [--uiommufd PATH] [options of the harness]
 *
 * PATH is build/host/uiommufd, or what the environment names as UIOMMUFD.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"

#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#endif

#define PAGE       4096ul
#define INT_ENABLE 0x38 /* of the copy engine */

enum what {
	CALL_BARE,   /* the floor: an ioctl of type 'Z' */
	CALL_OPTION, /* 24 bytes in, 24 out, and next to no work */
	CALL_UNKNOWN,
	CALL_MAP_FILE, /* a page, and unmap it */
	CALL_PREAD,    /* 4 bytes of configuration space */
	CALL_OPEN,     /* /dev/iommu, and close it */
	CALL_OPEN_FILE,
	CALL_STAT_FILE,
	CALL_FSTAT_FILE,
	CALL_GETPPID,
	CALL_TCGETS_FILE, /* an ioctl that the filter lets pass */
	CALL_SIGNAL,      /* the floor of a fault */
	CALL_REGISTER_PREAD,
	CALL_REGISTER, /* a load */
	CALL_REACTION, /* a store, until the device's answer to it is there */
};

struct order {
	uint32_t what;
	uint64_t n;
};

/* ---- the worker ----------------------------------------------------------------- */

struct worker_state {
	int iommu, device, memory;
	uint32_t ioas;
	uint64_t config;
	uint64_t registers;             /* the offset of the region */
	volatile unsigned char *mapped; /* it, if it can be */
	uint32_t last;
};

static int must(int result)
{
	if (result < 0) {
		perror("bench_run: worker");
		_exit(1);
	}
	return result;
}

static void open_devices(struct worker_state *w)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_region_info info = {.argsz = sizeof(info),
					.index = VFIO_PCI_CONFIG_REGION_INDEX};

	w->iommu = must(open("/dev/iommu", O_RDWR));
	must(ioctl(w->iommu, IOMMU_IOAS_ALLOC, &alloc));
	w->ioas = alloc.out_ioas_id;
	w->device = must(open("/dev/vfio/devices/vfio0", O_RDWR));
	bind.iommufd = w->iommu;
	must(ioctl(w->device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	must(ioctl(w->device, VFIO_DEVICE_GET_REGION_INFO, &info));
	w->config = info.offset;
	info.index = VFIO_PCI_BAR0_REGION_INDEX;
	must(ioctl(w->device, VFIO_DEVICE_GET_REGION_INFO, &info));
	w->registers = info.offset;
	if (info.flags & VFIO_REGION_INFO_FLAG_MMAP) {
		void *p = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			       w->device, (off_t)info.offset);

		must(p == MAP_FAILED ? -1 : 0);
		w->mapped = p;
	}
	w->memory = must(memfd_create("memory", 0));
	must(ftruncate(w->memory, PAGE));
}

static void map_and_unmap(struct worker_state *w)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = w->ioas,
		.fd = w->memory,
		.length = PAGE,
		.iova = PAGE,
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = w->ioas, .iova = PAGE, .length = PAGE};

	must(ioctl(w->iommu, IOMMU_IOAS_MAP_FILE, &map));
	must(ioctl(w->iommu, IOMMU_IOAS_UNMAP, &unmap));
}

/* The copy engine keeps three bits of INT_ENABLE: then it has seen the store. */
static void await_reaction(struct worker_state *w)
{
	volatile uint32_t *enable = (volatile uint32_t *)(w->mapped + INT_ENABLE);

	w->last = (w->last + 1) & 7;
	*enable = w->last | 0x80;
	while (*enable != w->last)
		;
}

static void work(struct worker_state *w, enum what what)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_GET,
		.object_id = w->ioas,
	};
	struct stat st;
	uint32_t ids;

	switch (what) {
	case CALL_BARE:
		must(ioctl(0, _IO('Z', 1), NULL));
		break;
	case CALL_OPTION:
		must(ioctl(w->iommu, IOMMU_OPTION, &option));
		break;
	case CALL_UNKNOWN:
		ioctl(w->iommu, _IO(';', 0xfe), NULL);
		break;
	case CALL_MAP_FILE:
		map_and_unmap(w);
		break;
	case CALL_PREAD:
		must((int)pread(w->device, &ids, 4, (off_t)w->config));
		break;
	case CALL_OPEN:
		close(must(open("/dev/iommu", O_RDWR)));
		break;
	case CALL_OPEN_FILE:
		close(must(open("/etc/passwd", O_RDONLY)));
		break;
	case CALL_STAT_FILE:
		must(stat("/etc/passwd", &st));
		break;
	case CALL_FSTAT_FILE:
		must(fstat(1, &st));
		break;
	case CALL_GETPPID:
		must(getppid());
		break;
	case CALL_TCGETS_FILE:
		ioctl(1, 0x5401, &st);
		break;
	case CALL_SIGNAL:
		must(raise(SIGUSR1));
		break;
	case CALL_REGISTER_PREAD:
		must((int)pread(w->device, &ids, 4, (off_t)w->registers));
		break;
	case CALL_REGISTER:
		bench_use(*(volatile uint32_t *)w->mapped);
		break;
	case CALL_REACTION:
		await_reaction(w);
		break;
	}
}

/* Reads orders from descriptor @in until there are no more. */
static int worker_main(int in, int out, bool devices)
{
	struct worker_state w = {0};
	struct order o;

	if (devices)
		open_devices(&w);
	while (read(in, &o, sizeof(o)) == sizeof(o)) {
		for (uint64_t i = 0; i < o.n; i++)
			work(&w, o.what);
		must((int)write(out, "", 1));
	}
	return 0;
}

/* ---- its boss ------------------------------------------------------------------- */

struct worker {
	pid_t pid;
	int orders, answers;
};

static void command(struct worker *w, enum what what, uint64_t n)
{
	struct order o = {what, n};
	char byte;

	if (write(w->orders, &o, sizeof(o)) != sizeof(o) ||
	    read(w->answers, &byte, 1) != 1) {
		fprintf(stderr, "bench_run: a worker is gone\n");
		exit(1);
	}
}

struct job {
	struct worker *worker;
	enum what what;
};

static void run_job(void *arg, uint64_t iterations)
{
	struct job *j = arg;

	command(j->worker, j->what, iterations);
}

/* In the child: descriptors 3 and 4 are the pipes. */
static bool start(struct worker *w)
{
	int orders[2], answers[2];

	if (pipe2(orders, O_CLOEXEC) || pipe2(answers, O_CLOEXEC))
		return false;
	w->pid = fork();
	if (!w->pid) {
		int in = fcntl(orders[0], F_DUPFD, 10),
		    out = fcntl(answers[1], F_DUPFD, 10);

		dup2(in, 3);
		dup2(out, 4);
		close(in);
		close(out);
		return true;
	}
	close(orders[0]);
	close(answers[1]);
	w->orders = orders[1];
	w->answers = answers[0];
	return w->pid > 0;
}

static void stop(struct worker *w)
{
	close(w->orders);
	waitpid(w->pid, NULL, 0);
	close(w->answers);
}

/* ---- the bare supervisor ---------------------------------------------------------- */

/* Only the two ioctls of a supervisor that answers 0 to everything. */
static int supervise(int listener)
{
	struct seccomp_notif *req;
	struct seccomp_notif_resp *resp;

	if (seccomp_notify_alloc(&req, &resp))
		return 1;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
	      (unsigned long)SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	for (;;) {
		memset(req, 0, sizeof(*req));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, req))
			return 0;
		memset(resp, 0, sizeof(*resp));
		resp->id = req->id;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
	}
}

/* A filter in this process; the listener is inherited by the child that supervises. */
static int bare_worker(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int listener;

	if (!ctx ||
	    seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 1,
			     SCMP_CMP(1, SCMP_CMP_MASKED_EQ, 0xff00, 'Z' << 8)) ||
	    seccomp_load(ctx))
		return 1;
	listener = seccomp_notify_fd(ctx);
	if (!fork()) {
		/* It has the filter as well, so the listener does not hang up by itself.
		 */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(supervise(listener));
	}
	close(listener);
	return worker_main(3, 4, false);
}

/* ---- the bare tracer -------------------------------------------------------------- */

/* A child whose signals are taken away by this process, its tracer. */
static int traced_worker(void)
{
	int status, sig;
	pid_t pid = fork();

	if (!pid) {
		raise(SIGSTOP);
		_exit(worker_main(3, 4, false));
	}
	close(3);
	close(4);
	if (waitpid(pid, &status, WUNTRACED) != pid ||
	    ptrace(PTRACE_SEIZE, pid, NULL, NULL) || kill(pid, SIGCONT))
		return 1;
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		sig = status >> 16 ? 0 : WSTOPSIG(status);
		ptrace(PTRACE_CONT, pid, NULL, (long)(sig == SIGUSR1 ? 0 : sig));
	}
	return 0;
}

/* ---- idle ------------------------------------------------------------------------- */

/* ns that all threads of the process have run. */
static double cpu_time(pid_t pid)
{
	char path[64];
	struct dirent *e;
	double sum = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		char name[384];
		double ns;
		FILE *f;

		snprintf(name, sizeof(name), "%s/%s/schedstat", path, e->d_name);
		f = fopen(name, "r");
		if (f && fscanf(f, "%lf", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return sum;
}

static void measure_idle(struct bench *b, const struct worker *w)
{
	const unsigned ms = bench_quick(b) ? 100 : 3000;
	double start;

	usleep(100 * 1000);
	start = cpu_time(w->pid);
	usleep(ms * 1000);
	bench_value(b, "idle machine, watched: CPU", "%",
		    (cpu_time(w->pid) - start) / (ms * 1e6) * 100);
}

/* ---- cases ------------------------------------------------------------------------ */

static void compare(struct bench *b, const char *name, struct worker *ours,
		    enum what what, const char *other_name, struct worker *other,
		    enum what other_what)
{
	struct job a = {ours, what}, o = {other, other_what};
	const struct bench_case ours_case = {.name = name, .fn = run_job, .arg = &a};
	const struct bench_case other_case = {
		.name = other_name, .fn = run_job, .arg = &o};

	/* The harness says how many times longer the second takes. */
	bench_compare(b, &other_case, &ours_case);
}

struct workers {
	struct worker run, bare, traced, fault, watch;
};

static void measure_registers(struct bench *b, struct workers *w)
{
	struct job watched = {&w->watch, CALL_REGISTER};
	struct job reaction = {&w->watch, CALL_REACTION};

	bench_section(b, "registers: trapped, faulting, watched");
	compare(b, "trapped: pread", &w->run, CALL_REGISTER_PREAD, "bare notification",
		&w->bare, CALL_BARE);
	compare(b, "faulting: load", &w->fault, CALL_REGISTER, "bare traced signal",
		&w->traced, CALL_SIGNAL);
	bench_run(b, "watched: load", run_job, &watched, 0);
	bench_run(b, "watched: store to the device's answer", run_job, &reaction, 0);
	measure_idle(b, &w->watch);
}

static void measure(struct bench *b, struct worker *run, struct worker *bare)
{
	static const char floor_name[] = "bare notification";

	bench_section(b, "served calls, next to the bare round trip");
	compare(b, "run: IOMMU_OPTION", run, CALL_OPTION, floor_name, bare, CALL_BARE);
	compare(b, "run: unknown ioctl", run, CALL_UNKNOWN, floor_name, bare, CALL_BARE);
	compare(b, "run: pread of config", run, CALL_PREAD, floor_name, bare, CALL_BARE);
	compare(b, "run: MAP_FILE + UNMAP of a page", run, CALL_MAP_FILE, floor_name,
		bare, CALL_BARE);
	compare(b, "run: open + close /dev/iommu", run, CALL_OPEN, floor_name, bare,
		CALL_BARE);
	bench_section(b, "the host's own files, next to the same without run");
	compare(b, "run: open + close", run, CALL_OPEN_FILE, "open + close", bare,
		CALL_OPEN_FILE);
	compare(b, "run: stat", run, CALL_STAT_FILE, "stat", bare, CALL_STAT_FILE);
	compare(b, "run: fstat", run, CALL_FSTAT_FILE, "fstat", bare, CALL_FSTAT_FILE);
	compare(b, "run: another ioctl", run, CALL_TCGETS_FILE, "another ioctl", bare,
		CALL_TCGETS_FILE);
	compare(b, "run: getppid", run, CALL_GETPPID, "getppid", bare, CALL_GETPPID);
}

/* Under `uiommufd run`, with one device. In the child it does not return. */
static bool start_run(struct worker *w, const char *uiommufd, const char *self,
		      const char *device)
{
	if (!start(w))
		return false;
	if (w->pid)
		return true;
	execl(uiommufd, "uiommufd", "run", "-d", device, "--", self, "--worker", NULL);
	perror(uiommufd);
	_exit(127);
}

static bool start_all(struct workers *w, const char *uiommufd, const char *self)
{
	if (!start(&w->bare))
		return false;
	if (!w->bare.pid)
		_exit(bare_worker());
	if (!start(&w->traced))
		return false;
	if (!w->traced.pid) {
		/* All but its own: or the other would not see the end of its orders. */
		close_range(5, ~0u, 0);
		_exit(traced_worker());
	}
	return start_run(&w->run, uiommufd, self, "copy-engine") &&
	       start_run(&w->fault, uiommufd, self, "copy-engine,mmio=fault") &&
	       start_run(&w->watch, uiommufd, self, "copy-engine,mmio=watch");
}

int main(int argc, char **argv)
{
	const char *uiommufd = getenv("UIOMMUFD");
	struct workers w;
	struct bench *b;

	if (argc == 2 && !strcmp(argv[1], "--worker"))
		return worker_main(3, 4, true);
	b = bench_create("run", argc, argv);
	if (!b)
		return 2;
	uiommufd =
		bench_option(b, "uiommufd", uiommufd ? uiommufd : "build/host/uiommufd");
	if (!start_all(&w, uiommufd, argv[0]))
		return 1;
	measure(b, &w.run, &w.bare);
	measure_registers(b, &w);
	stop(&w.run);
	stop(&w.bare);
	stop(&w.traced);
	stop(&w.fault);
	stop(&w.watch);
	return bench_finish(b);
}
