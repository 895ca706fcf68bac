/* SPDX-License-Identifier: MIT */
/*
 * What a call costs under `uiommufd run`, next to the floor: a seccomp notification that
 * is answered at once by a supervisor that does nothing else.
 *
 * Two workers make the calls, since a process can have but one listener: one under
 * `uiommufd run`, one whose filter notifies this program. They are told over a pipe which
 * call to make how often, so both are timed by one clock, in turn.
 *
 *	bench_run [--uiommufd PATH] [options of the harness]
 *
 * PATH is build/host/uiommufd, or what the environment names as UIOMMUFD.
 */
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

#define PAGE 4096ul

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

static int measure(struct bench *b, struct worker *run, struct worker *bare)
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
	return bench_finish(b);
}

int main(int argc, char **argv)
{
	const char *uiommufd = getenv("UIOMMUFD");
	struct worker run, bare;
	struct bench *b;
	int status;

	if (argc == 2 && !strcmp(argv[1], "--worker"))
		return worker_main(3, 4, true);
	b = bench_create("run", argc, argv);
	if (!b)
		return 2;
	uiommufd =
		bench_option(b, "uiommufd", uiommufd ? uiommufd : "build/host/uiommufd");
	if (!start(&bare))
		return 1;
	if (!bare.pid)
		_exit(bare_worker());
	if (!start(&run))
		return 1;
	if (!run.pid) {
		execl(uiommufd, "uiommufd", "run", "--", argv[0], "--worker", NULL);
		perror(uiommufd);
		_exit(127);
	}
	status = measure(b, &run, &bare);
	stop(&run);
	stop(&bare);
	return status;
}
