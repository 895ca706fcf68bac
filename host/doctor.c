/* SPDX-License-Identifier: MIT */
/*
 * See doctor.h. Each check does on a small scale what `run` does, most of them to a child
 * that waits in a notified call (patient.h), and leaves nothing behind.
 */
#include "host/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/port.h"
#include "host/host.h"
#include "host/patient.h"
#include "host/store.h"
#include "machine/vma.h"
#include "uapi/vfile.h"

#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#endif

/* What a check may add to its line. */
struct finding {
	char text[128];
};

static void note(struct finding *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct finding *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(f->text, sizeof(f->text), format, ap);
	va_end(ap);
}

static long read_number(const char *path)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

/* ---- checks: 0 or -errno ---------------------------------------------------------- */

static int check_killable(struct patient *p, struct finding *f)
{
	return p->killable ? 0 : -ENOSYS;
}

static int check_sync_wake_up(struct patient *p, struct finding *f)
{
	return ioctl(p->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
		     (unsigned long)SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
		       ? -errno
		       : 0;
}

static int check_addfd(struct patient *p, struct finding *f)
{
	struct seccomp_notif_addfd add = {.id = p->id, .srcfd = (__u32)p->shared_fd};

	return ioctl(p->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? -errno : 0;
}

static int check_getfd(struct patient *p, struct finding *f)
{
	int pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	int fd, err;

	if (pidfd < 0)
		return -errno;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, p->shared_fd, 0);
	err = -errno;
	close(pidfd);
	if (fd < 0)
		return err;
	close(fd);
	return 0;
}

static int check_process_vm(struct patient *p, struct finding *f)
{
	uint64_t value = 0;
	struct iovec ours = {&value, sizeof(value)};
	struct iovec theirs = {p->private_memory, sizeof(value)};

	if (process_vm_readv(p->pid, &ours, 1, &theirs, 1, 0) < 0 ||
	    process_vm_writev(p->pid, &ours, 1, &theirs, 1, 0) < 0)
		return -errno;
	return value == 1 ? 0 : -EPROTO;
}

static int open_proc(struct patient *p, const char *name, int flags)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)p->pid, name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int check_proc_mem(struct patient *p, struct finding *f)
{
	int fd = open_proc(p, "mem", O_RDWR);
	uint64_t value = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, &value, sizeof(value), (off_t)(uintptr_t)p->private_memory);
	close(fd);
	return n == sizeof(value) && value == 1 ? 0 : -EIO;
}

static int query_shared(struct patient *p, struct vma *vma)
{
	int fd = open_proc(p, "maps", O_RDONLY), err;

	if (fd < 0)
		return fd;
	err = vma_query(fd, (uintptr_t)p->shared_memory, vma);
	close(fd);
	return err;
}

static int check_maps(struct patient *p, struct finding *f)
{
	struct vma vma;
	int err = query_shared(p, &vma);

	if (err)
		return err;
	return vma.shared && vma.ino ? 0 : -EPROTO;
}

static int check_map_files(struct patient *p, struct finding *f)
{
	char name[64];
	struct vma vma;
	int fd, err = query_shared(p, &vma);

	if (err)
		return err;
	snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)vma.start,
		 (unsigned long long)vma.last + 1);
	fd = open_proc(p, name, O_RDWR);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int check_answer(struct patient *p, struct finding *f)
{
	return patient_answer(p, 42);
}

static int check_large_file(struct patient *p, struct finding *f)
{
	int fd = memfd_create("large", MFD_CLOEXEC | MFD_ALLOW_SEALING), err = 0;
	void *m;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)VFILE_STORAGE_BYTES))
		err = -errno;
	if (!err) {
		m = mmap(NULL, PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 (off_t)VFILE_REGION(7));
		err = m == MAP_FAILED ? -errno : 0;
		if (!err)
			munmap(m, PORT_PAGE_SIZE);
	}
	close(fd);
	return err;
}

static int check_inotify(struct patient *p, struct finding *f)
{
	int fd = inotify_init1(IN_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = inotify_add_watch(fd, "/proc/self/exe", IN_CLOSE) < 0 ? -errno : 0;
	close(fd);
	note(f, "%ld watches a user",
	     read_number("/proc/sys/fs/inotify/max_user_watches"));
	return err;
}

static int check_store(struct patient *p, struct finding *f)
{
	struct store s;
	int err = store_create(&s);

	if (err)
		return err;
	note(f, "%s", s.path ? s.path : "a mount of its own");
	store_destroy(&s);
	return 0;
}

static int check_yama(struct patient *p, struct finding *f)
{
	long scope = read_number("/proc/sys/kernel/yama/ptrace_scope");

	if (scope < 0)
		note(f, "not in this kernel");
	else
		note(f, "ptrace_scope is %ld", scope);
	/* 1 lets a parent do what we do; 2 only who has CAP_SYS_PTRACE; 3 nobody. */
	if (scope == 2)
		return geteuid() == 0 ? 0 : -EPERM;
	return scope >= 3 ? -EPERM : 0;
}

static int check_descriptors(struct patient *p, struct finding *f)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return -errno;
	note(f, "%llu", (unsigned long long)l.rlim_max);
	return l.rlim_max >= 1024 ? 0 : -EMFILE;
}

/* What registers that fault need (host/tracer.h). */
static int check_trace(struct patient *p, struct finding *f)
{
	pid_t child = fork();
	int err;

	if (child < 0)
		return -errno;
	if (!child) {
		for (;;)
			pause();
	}
	err = ptrace(PTRACE_SEIZE, child, 0, 0) ? -errno : 0;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return err;
}

/* ---- the list --------------------------------------------------------------------- */

struct check {
	const char *name;
	bool required;
	int (*fn)(struct patient *p, struct finding *f);
	const char *advice;
};

static const char need_ptrace[] =
	"In a container, allow it: --cap-add=SYS_PTRACE (Docker, Podman), or a seccomp "
	"profile with pidfd_getfd and process_vm_*.";

static const struct check patient_checks[] = {
	{"signals leave served calls alone", false, check_killable,
	 "Linux 5.19 has it. Without, a call may be interrupted and made anew."},
	{"fast wake-up", false, check_sync_wake_up,
	 "Linux 6.6 has it. Without, each call takes about twice as long."},
	{"giving descriptors to a process", true, check_addfd, "Linux 5.9 has it."},
	{"taking descriptors from a process", true, check_getfd, need_ptrace},
	{"a process's memory: process_vm", false, check_process_vm,
	 "It is then done through /proc, a little slower. In a container: "
	 "--cap-add=SYS_PTRACE."},
	{"a process's memory: /proc/PID/mem", true, check_proc_mem, need_ptrace},
	{"a process's mappings: /proc/PID/maps", true, check_maps, need_ptrace},
	{"a mapping's file: /proc/PID/map_files", false, check_map_files,
	 "Root may use it. Without, memory whose file the program has closed is reached "
	 "through the process, so DMA to it is slower."},
	{"answering a call", true, check_answer, "See the checks above."},
};

static const struct check other_checks[] = {
	{"files of 2^62 bytes in memory", true, check_large_file,
	 "A kernel with tmpfs (CONFIG_SHMEM) for a 64-bit machine has it, unless files' "
	 "sizes are limited: ulimit -f unlimited."},
	{"notice of closed files: inotify", true, check_inotify,
	 "Raise fs.inotify.max_user_instances and max_user_watches (sysctl)."},
	{"a place for the view of /dev and /sys", true, check_store,
	 "Let TMPDIR name a directory that can be written."},
	{"tracing a process: ptrace", false, check_trace,
	 "Registers cannot be mapped with mmio=fault then. In a container: "
	 "--cap-add=SYS_PTRACE; not under strace or a debugger."},
	{"Yama", true, check_yama, "Set kernel.yama.ptrace_scope to 1 or 0 (sysctl)."},
	{"open files allowed", false, check_descriptors,
	 "Enough for few processes with few files only. Raise the hard limit: ulimit "
	 "-Hn."},
};

/* Prints a line for it; true if `run` can do without, or has it. */
static bool report(const struct check *c, int err, const struct finding *f)
{
	const char *verdict = !err ? "ok" : c->required ? "MISSING" : "missing";

	printf("%-8s %s", verdict, c->name);
	if (f->text[0])
		printf(" (%s)", f->text);
	if (err)
		printf(": %s", strerror(-err));
	putchar('\n');
	if (err)
		printf("         %s\n", c->advice);
	return !err || !c->required;
}

static bool examine(const struct check *checks, size_t n, struct patient *p)
{
	bool fine = true;

	for (size_t i = 0; i < n; i++) {
		struct finding f = {""};
		int err = checks[i].fn(p, &f);

		fine &= report(&checks[i], err, &f);
	}
	return fine;
}

static bool examine_patient(void)
{
	static const char advice[] =
		"Linux 5.9 on a 64-bit machine has it, unless a container or a service "
		"manager forbids seccomp(2), or files' sizes are limited (ulimit -f). "
		"Under uiommufd run, or another supervisor, it is taken.";
	struct finding f = {""};
	struct patient p;
	const char *what;
	int err = patient_start(&p, &what);
	const struct check listener = {what, true, NULL, advice};
	bool fine = report(&listener, err, &f);

	if (fine)
		fine = examine(patient_checks, ARRAY_LEN(patient_checks), &p);
	patient_finish(&p);
	return fine;
}

int doctor(int argc, char **argv)
{
	struct utsname u;
	bool fine;

	if (argc > 1) {
		complain("doctor: takes no arguments (uiommufd --help)");
		return EXIT_OURS;
	}
	signal(SIGXFSZ, SIG_IGN); /* the errno says it */
	uname(&u);
	printf("uiommufd " UIOMMUFD_VERSION " on Linux %s %s, as %s\n", u.release,
	       u.machine, geteuid() ? "an ordinary user" : "root");
	fflush(stdout);
	fine = examine_patient();
	fine &= examine(other_checks, ARRAY_LEN(other_checks), NULL);
	printf(fine ? "uiommufd run works here.\n"
		    : "uiommufd run cannot work here: see MISSING.\n");
	return fine ? 0 : 1;
}
