/* SPDX-License-Identifier: MIT */
/* Descriptors and processes: what fork, exec, dup and the like do to our files. */
#include "client.h"
#include "scenarios.h"

#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

void scenario_iommu(void)
{
	int fd = open_iommu();
	uint32_t a = alloc_ioas(fd), b = alloc_ioas(fd);

	CHECK(a && b && a != b);
	CHECK(!destroy(fd, a));
	CHECK_ERRNO(destroy(fd, a), ENOENT);
	CHECK_ERRNO(ioctl(fd, IOMMU_IOAS_ALLOC, NULL), EFAULT);
	CHECK_ERRNO(ioctl(fd, IOMMU_IOAS_ALLOC, (void *)~0ul), EFAULT);
	CHECK_ERRNO(ioctl(fd, _IO(';', 0xff), NULL), ENOTTY);
	CHECK_ERRNO(ioctl(fd, TIOCGWINSZ, &a), ENOTTY);
	/* Not closed: the end of the process does. */
}

void scenario_close(void)
{
	int iommu = open_iommu();

	/* What was closed is free again at once. */
	for (int i = 0; i < 100; i++) {
		int fd = open(CDEV0, O_RDWR | O_CLOEXEC);

		CHECK(fd >= 0);
		CHECK(!bind_device(fd, iommu));
		CHECK(!close(fd));
	}
	/* A device cannot be bound twice. */
	int first = open(CDEV0, O_RDWR), second = open(CDEV0, O_RDWR);

	CHECK(first >= 0 && second >= 0);
	CHECK(!bind_device(second, iommu));
	CHECK_ERRNO(bind_device(first, iommu), EINVAL);
	CHECK(!close(second));
	CHECK(!bind_device(first, iommu));
}

void scenario_dup(void)
{
	int fd = open_iommu(), other = dup(fd), high;
	uint32_t id = alloc_ioas(fd);

	CHECK(other >= 0);
	CHECK(!destroy(other, id));
	high = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	CHECK(high >= 200);
	id = alloc_ioas(fd);
	close(fd);
	CHECK(dup2(other, 0) == 0);
	close(other);
	CHECK(!destroy(0, id));
	id = alloc_ioas(high);
	close(high);
	CHECK(!destroy(0, id));
	close(0);
	CHECK_ERRNO(destroy(0, id), EBADF);
}

static void destroy_in_child(void *arg)
{
	int *v = arg;

	CHECK(!destroy(v[0], (uint32_t)v[1]));
	v[1] = (int)alloc_ioas(v[0]);
	close(v[0]);
	CHECK_ERRNO(destroy(v[0], (uint32_t)v[1]), EBADF);
	/* A context of its own. */
	CHECK(alloc_ioas(open_iommu()) == 1);
}

void scenario_fork(void)
{
	int v[2] = {open_iommu()};

	alloc_ioas(v[0]);
	v[1] = (int)alloc_ioas(v[0]);
	CHECK(in_child(destroy_in_child, v) == 0);
	/* The child has made one in its place. */
	CHECK(!destroy(v[0], (uint32_t)v[1]));
	CHECK_ERRNO(destroy(v[0], (uint32_t)v[1]), ENOENT);
}

void scenario_exec(void)
{
	char kept[16], closed[16];
	int fd = open_iommu(), other;
	uint32_t id = alloc_ioas(fd);

	CHECK(alloc_ioas(fd) == 2);
	other = dup(fd);
	snprintf(kept, sizeof(kept), "%d", other);
	snprintf(closed, sizeof(closed), "%d", fd);
	CHECK(id == 1);
	execl("/nonexistent", "client", NULL);
	CHECK(errno == ENOENT);
	CHECK(!destroy(fd, id));
	alloc_ioas(fd);
	execl("/proc/self/exe", "client", "exec-2", kept, closed, NULL);
	CHECK(!"exec");
}

void scenario_exec_2(int argc, char **argv)
{
	int kept = atoi(argv[0]), closed = atoi(argv[1]);

	CHECK(argc == 2);
	CHECK(!destroy(kept, 2));
	CHECK_ERRNO(destroy(closed, 2), EBADF);
	alloc_ioas(kept);
}

void scenario_vfork(void)
{
	char *argv[] = {"client", "exit", "5", NULL};
	int fd = open_iommu(), status;
	pid_t pid;

	for (int i = 0; i < 20; i++) {
		uint32_t id = alloc_ioas(fd);

		CHECK(!posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, NULL));
		CHECK(!destroy(fd, id));
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	}
}

static void *alloc_and_destroy(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < 300; i++) {
		uint32_t id = alloc_ioas(fd);

		CHECK(!destroy(fd, id));
	}
	return NULL;
}

void scenario_threads(void)
{
	int fd = open_iommu();
	pthread_t t[8];

	for (int i = 0; i < 8; i++)
		CHECK(!pthread_create(&t[i], NULL, alloc_and_destroy, &fd));
	for (int i = 0; i < 8; i++)
		CHECK(!pthread_join(t[i], NULL));
}

static pid_t first_thread;

static void *outlive(void *arg)
{
	int fd = *(int *)arg;
	char path[64];

	/* Until the first thread is a zombie. */
	snprintf(path, sizeof(path), "/proc/self/task/%d/cwd", (int)first_thread);
	for (char link[8]; readlink(path, link, sizeof(link)) >= 0;)
		sched_yield();
	/* Linux before 6.9 gives a supervisor no way to this descriptor. */
	if (syscall(SYS_pidfd_open, syscall(SYS_gettid), O_EXCL) >= 0)
		alloc_ioas(fd);
	_exit(0);
}

void scenario_first_thread_gone(void)
{
	static int fd;
	pthread_t t;

	fd = open_iommu();
	first_thread = getpid();
	CHECK(!pthread_create(&t, NULL, outlive, &fd));
	pthread_exit(NULL);
}

void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0}, byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(int));
	CHECK(sendmsg(sock, &msg, 0) == 1);
}

int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))), byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int fd;

	CHECK(recvmsg(sock, &msg, 0) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static void child_receives(void *arg)
{
	int fd = receive_fd(*(int *)arg);

	CHECK(!destroy(fd, 1));
	CHECK(alloc_ioas(fd) == 1);
}

void scenario_pass(void)
{
	int sock[2], fd = open_iommu();

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	CHECK(alloc_ioas(fd) == 1);
	/* In flight it is held by nobody but the socket. */
	send_fd(sock[0], fd);
	close(fd);
	CHECK(in_child(child_receives, &sock[1]) == 0);
}

void scenario_many(void)
{
	enum { N = 300 };
	static int fds[N];

	for (int i = 0; i < N; i++)
		fds[i] = open_iommu();
	for (int i = 0; i < N; i++)
		CHECK(alloc_ioas(fds[i]) == 1);
	for (int i = 0; i < N; i += 2)
		close(fds[i]);
	for (int i = 1; i < N; i += 2)
		CHECK(alloc_ioas(fds[i]) == 2);
}

void scenario_limits(void)
{
	struct rlimit was, few;
	int fd = open_iommu(), last = fcntl(fd, F_DUPFD, 100);

	/* No number below is free. */
	for (int i = 0; i >= 0 && i < last; i = dup(fd))
		;
	getrlimit(RLIMIT_NOFILE, &was);
	few = was;
	few.rlim_cur = (rlim_t)last + 1;
	CHECK(!setrlimit(RLIMIT_NOFILE, &few));
	CHECK_ERRNO(open("/dev/iommu", O_RDWR), EMFILE);
	CHECK_ERRNO(open(DEVICES BDF0 "/vendor", O_RDONLY), EMFILE);
	CHECK(!setrlimit(RLIMIT_NOFILE, &was));
	CHECK(open("/dev/iommu", O_RDWR) > last);
}

/* Calls that look like ours and are not, with files of ours open beside them. */
void scenario_native(void)
{
	int fd = open_iommu(), file, pipes[2];
	struct stat st;
	char byte = 1;
	void *p;

	CHECK_ERRNO(ioctl(0, IOMMU_IOAS_ALLOC, NULL), isatty(0) ? EINVAL : ENOTTY);
	CHECK_ERRNO(ioctl(-1, IOMMU_IOAS_ALLOC, NULL), EBADF);
	CHECK_ERRNO(ioctl(12345, IOMMU_IOAS_ALLOC, NULL), EBADF);
	file = memfd_create("x", 0);
	CHECK(file >= 0);
	CHECK_ERRNO(ioctl(file, IOMMU_IOAS_ALLOC, NULL), ENOTTY);
	CHECK_ERRNO(ioctl(file, _IO('b', 0), NULL), ENOTTY);
	CHECK(pread(file, &byte, 1, 1ll << 62) == 0);
	CHECK_ERRNO(pwrite(file, &byte, 1, -1), EINVAL);
	CHECK_ERRNO(preadv(file, NULL, 0, -2), EINVAL);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 1ll << 62);
	CHECK(p != MAP_FAILED);
	CHECK(!fstat(file, &st) && S_ISREG(st.st_mode));
	CHECK(!pipe(pipes) && !fstat(pipes[0], &st) && S_ISFIFO(st.st_mode));
	CHECK_ERRNO(pread(pipes[0], &byte, 1, 1ll << 62), ESPIPE);
	close(fd);
}

static atomic_int caught;

static void on_alarm(int sig)
{
	caught++;
}

/*
 * Signals by the thousand must not have a call made twice. A call that had not reached us
 * yet may be interrupted, as the kernel has it, but then it has done nothing.
 */
void scenario_signals(void)
{
	struct sigaction sa = {.sa_handler = on_alarm}; /* no SA_RESTART */
	struct itimerval often = {{0, 50}, {0, 50}}, off = {0};
	int fd = open_iommu();
	uint32_t last = 0;

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 2000 || (caught < 20 && i < 1000000); i++) {
		struct iommu_ioas_alloc a = {.size = sizeof(a)};

		if (ioctl(fd, IOMMU_IOAS_ALLOC, &a)) {
			CHECK(errno == EINTR);
			continue;
		}
		CHECK(a.out_ioas_id == last + 1);
		last = a.out_ioas_id;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	CHECK(caught);
}

/* ---- memory that answers late ----------------------------------------------------- */

static void *alloc_at(void *arg)
{
	CHECK(!ioctl(open_iommu(), IOMMU_IOAS_ALLOC, arg));
	return NULL;
}

/*
 * Threads whose argument lies in memory that faults until somebody fills it in. They
 * hang; the other calls of the process must not.
 */
void scenario_stall(void)
{
	enum { N = 5 };
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	struct iommu_ioas_alloc *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_copy copy = {.dst = (uintptr_t)page, .len = PAGE};
	struct iommu_ioas_alloc *filled = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC), fd = open_iommu();
	pthread_t t[N];

	/* Root's alone in most places. */
	if (uffd < 0)
		return;
	CHECK(page != MAP_FAILED && filled != MAP_FAILED);
	CHECK(!ioctl(uffd, UFFDIO_API, &api));
	reg.range.start = (uintptr_t)page;
	reg.range.len = PAGE;
	CHECK(!ioctl(uffd, UFFDIO_REGISTER, &reg));
	for (int i = 0; i < N; i++)
		CHECK(!pthread_create(&t[i], NULL, alloc_at, &page[i]));
	usleep(20000);
	for (int i = 0; i < 200; i++)
		CHECK(!destroy(fd, alloc_ioas(fd)));
	for (int i = 0; i < N; i++)
		filled[i].size = sizeof(*filled);
	copy.src = (uintptr_t)filled;
	CHECK(!ioctl(uffd, UFFDIO_COPY, &copy));
	for (int i = 0; i < N; i++)
		CHECK(!pthread_join(t[i], NULL));
	for (int i = 0; i < N; i++)
		CHECK(page[i].out_ioas_id == 1);
}

/* ---- processes that are special -------------------------------------------------- */

void scenario_undumpable(void)
{
	int fd = open_iommu();

	CHECK(!prctl(PR_SET_DUMPABLE, 0));
	if (geteuid() == 0) {
		CHECK(alloc_ioas(fd) == 1);
		CHECK(open("/dev/iommu", O_RDWR) >= 0);
	} else {
		/* Left to the kernel, which knows of none of it. */
		CHECK_ERRNO(ioctl(fd, IOMMU_IOAS_ALLOC, NULL), ENOTTY);
		CHECK_ERRNO(open("/dev/vfio/devices/vfio0", O_RDWR), ENOENT);
	}
	CHECK(!prctl(PR_SET_DUMPABLE, 1));
	alloc_ioas(fd);
}

static void in_namespace(void *arg)
{
	int fd = *(int *)arg;

	/* Where there is a process id of its own, ours must still tell who calls. */
	CHECK(getpid() < 10);
	CHECK(alloc_ioas(fd) == 2);
	CHECK(alloc_ioas(open_iommu()) == 1);
}

void scenario_namespaces(void)
{
	int fd = open_iommu();

	CHECK(alloc_ioas(fd) == 1);
	/* Not allowed everywhere. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS))
		return;
	CHECK(in_child(in_namespace, &fd) == 0);
	CHECK(!destroy(fd, 2));
}

/* "child-status": SIGCHLD's disposition and closed descriptors come through unchanged. */
void scenario_child_status(int argc, char **argv)
{
	struct sigaction sa;

	CHECK(!sigaction(SIGCHLD, NULL, &sa) && sa.sa_handler == SIG_IGN);
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) != -1 || errno != EBADF)
			_exit(CHECK_FAILED);
	if (open_iommu() != 0)
		_exit(CHECK_FAILED);
	_exit(33);
}

/* "background FILE": goes into the background, works there, and writes FILE at the end.
 */
void scenario_background(int argc, char **argv)
{
	int iommu, file;

	CHECK(argc == 1);
	if (fork())
		_exit(6);
	CHECK(setsid() >= 0);
	if (fork())
		_exit(0);
	usleep(200000);
	iommu = open_iommu();
	CHECK(alloc_ioas(iommu) == 1);
	file = open(argv[0], O_WRONLY | O_CREAT, 0600);
	CHECK(file >= 0 && write(file, "done", 4) == 4);
}

static volatile sig_atomic_t got;

static void on_signal(int sig)
{
	got = sig;
}

/* "await SIGNAL": says "ready" and exits with 40 when the signal has come. */
void scenario_await(int argc, char **argv)
{
	int sig = atoi(argv[0]);
	sigset_t block, old;

	CHECK(argc == 1);
	signal(sig, on_signal);
	sigemptyset(&block);
	sigaddset(&block, sig);
	sigprocmask(SIG_BLOCK, &block, &old);
	CHECK(!sigismember(&old, sig));
	CHECK(write(1, "ready", 5) == 5);
	while (!got)
		sigsuspend(&old);
	CHECK(got == sig);
	_exit(40);
}

static void churn_device(void)
{
	struct device d;

	if (!device_try_open(&d, rand() & 1 ? CDEV0 : "/dev/vfio/devices/vfio1"))
		return;
	if (rand() & 1) {
		void *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(!map(d.iommu, d.ioas, p, 16 * PAGE, FAR_IOVA));
		device_fill(&d, FAR_IOVA, 1, 16 * PAGE);
		munmap(p, 16 * PAGE);
	}
	device_close(&d);
}

static void *churn_contexts(void *arg)
{
	for (;;) {
		int fd = open_iommu();

		for (int i = 0; i < 5; i++)
			alloc_ioas(fd);
		close(fd);
	}
	return NULL;
}

/* "churn SEED": makes and drops everything there is, until it is killed. */
void scenario_churn(int argc, char **argv)
{
	pthread_t t;

	CHECK(argc == 1);
	srand((unsigned)atoi(argv[0]));
	CHECK(!pthread_create(&t, NULL, churn_contexts, NULL));
	if (rand() & 1)
		fork();
	for (;;) {
		/* The other process may have the device; then try again. */
		if (fork() == 0) {
			churn_device();
			_exit(0);
		}
		wait(NULL);
	}
}
