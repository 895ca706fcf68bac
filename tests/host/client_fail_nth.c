/* SPDX-License-Identifier: MIT */
/* Fault injection as a program finds it: fail-nth files, and the knobs in debugfs. */
#include "client.h"
#include "scenarios.h"

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>

static int open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static void set(int fd, const char *text)
{
	CHECK(pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
}

static void expect(int fd, const char *text)
{
	char got[32] = {0};

	CHECK(pread(fd, got, sizeof(got) - 1, 0) == (ssize_t)strlen(text));
	CHECK(!strcmp(got, text));
}

static int try_alloc(int iommu)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	return ioctl(iommu, IOMMU_IOAS_ALLOC, &cmd);
}

/* ---- the file ------------------------------------------------------------------- */

static void check_texts(int fd)
{
	static const char *const bad[] = {"", "x", "-1", " 1", "1 ", "0x", "08", "1\n\n"};

	set(fd, "5");
	expect(fd, "5\n");
	set(fd, "0x10\n");
	expect(fd, "16\n");
	set(fd, "+010");
	expect(fd, "8\n");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERRNO(write(fd, bad[i], strlen(bad[i])), EINVAL);
	CHECK_ERRNO(write(fd, "4294967296", 10), ERANGE);
	CHECK_ERRNO(write(fd, bad_address, 1), EFAULT);
	set(fd, "4294967295");
	expect(fd, "4294967295\n");
	set(fd, "0");
	expect(fd, "0\n");
}

/* Reading moves on, writing does not, and neither cares where the other is. */
static void check_positions(int fd)
{
	char got[8];

	CHECK(write(fd, "12", 2) == 2);
	CHECK(write(fd, "34", 2) == 2);
	CHECK(read(fd, got, 2) == 2 && !memcmp(got, "34", 2));
	CHECK(read(fd, got, 8) == 1 && got[0] == '\n');
	CHECK(read(fd, got, 8) == 0);
	CHECK(write(fd, "5", 1) == 1);
	CHECK(pwrite(fd, "0", 1, 100) == 1);
	CHECK(pread(fd, got, 8, 1) == 1 && got[0] == '\n');
	CHECK(pread(fd, got, 8, 2) == 0);
	CHECK_ERRNO(pread(fd, got, 8, -1), EINVAL);
}

static void check_modes(void)
{
	int fd = open("/proc/self/fail-nth", O_RDONLY | O_CLOEXEC), other;
	char c;

	CHECK_ERRNO(write(fd, "1", 1), EBADF);
	CHECK_ERRNO(pwrite(fd, "1", 1, 0), EBADF);
	close(fd);
	fd = open("/proc/self/fail-nth", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	CHECK_ERRNO(read(fd, &c, 1), EBADF);
	/* As a shell redirects. */
	other = dup2(fd, 200);
	CHECK(close(fd) == 0);
	CHECK(write(other, "0\n", 2) == 2);
	close(other);
	CHECK_ERRNO(open("/proc/self/fail-nth", O_RDONLY | O_DIRECTORY), ENOTDIR);
}

static void check_names(void)
{
	static const char *const none[] = {"/proc/self/task/1/fail-nth",
					   "/proc/0/fail-nth", "/proc/self/fail-nth/x",
					   "/proc/fail-nth"};
	struct stat st;
	char path[64];
	int dir;

	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", (int)getpid());
	close(open_file(path));
	snprintf(path, sizeof(path), "/proc/%d/fail-nth", (int)getpid());
	close(open_file(path));
	close(open_file("/proc/thread-self/fail-nth"));
	CHECK(!stat(path, &st) && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0644);
	CHECK(!access(path, R_OK | W_OK));
	dir = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%d/fail-nth", (int)getpid());
	CHECK(!faccessat(dir, path, F_OK, 0));
	close(dir);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		CHECK(open(none[i], O_RDWR) < 0);
}

/* ---- what it does --------------------------------------------------------------- */

static void check_faults(int fd)
{
	int iommu = open_iommu(), n = 0;
	char text[16];

	for (;;) {
		snprintf(text, sizeof(text), "%d", ++n);
		set(fd, text);
		if (!try_alloc(iommu))
			break;
		CHECK(errno == ENOMEM || errno == EFAULT);
		expect(fd, "0\n");
		/* Once. */
		CHECK(!try_alloc(iommu));
	}
	CHECK(n > 3);
	expect(fd, "1\n");
	CHECK_ERRNO(open("/dev/iommu", O_RDWR), ENOMEM);
	expect(fd, "0\n");
	set(fd, "1");
	CHECK(!unmap(iommu, 1, 0, UINT64_MAX) || errno == ENOENT);
	CHECK(!destroy(iommu, 1));
	CHECK(!close(iommu));
	expect(fd, "1\n");
	set(fd, "0");
}

struct other {
	int iommu;
	pid_t tid;
	sem_t ready, go;
	int failed;
};

static void *other_main(void *arg)
{
	struct other *o = arg;

	o->tid = (pid_t)syscall(SYS_gettid);
	sem_post(&o->ready);
	sem_wait(&o->go);
	o->failed = try_alloc(o->iommu) ? errno : 0;
	return NULL;
}

/* Each thread has its own; an ended one, none. */
static void check_threads(int fd)
{
	struct other o = {.iommu = open_iommu()};
	char path[64], c;
	pthread_t thread;
	int theirs;

	sem_init(&o.ready, 0, 0);
	sem_init(&o.go, 0, 0);
	CHECK(!pthread_create(&thread, NULL, other_main, &o));
	sem_wait(&o.ready);
	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", (int)o.tid);
	theirs = open_file(path);
	set(theirs, "1");
	expect(fd, "0\n");
	CHECK(!try_alloc(o.iommu));
	expect(theirs, "1\n");
	sem_post(&o.go);
	pthread_join(thread, NULL);
	CHECK(o.failed == EFAULT);
	while (!syscall(SYS_tgkill, getpid(), o.tid, 0))
		usleep(1000);
	CHECK_ERRNO(pread(theirs, &c, 1, 0), ESRCH);
	CHECK_ERRNO(pwrite(theirs, "1", 1, 0), ESRCH);
	CHECK(open(path, O_RDWR) < 0 && errno == ENOENT);
	close(theirs);
	close(o.iommu);
}

static void child(void *arg)
{
	int fd = open_file("/proc/self/fail-nth");

	expect(fd, "0\n");
	/* The parent's, by its descriptor. */
	expect(*(int *)arg, "7\n");
}

static void check_fork(int fd)
{
	set(fd, "7");
	CHECK(in_child(child, &fd) == 0);
	expect(fd, "7\n");
	/* It is the thread's, not the descriptor's. */
	close(fd);
	fd = open_file("/proc/self/fail-nth");
	expect(fd, "7\n");
	set(fd, "0");
	close(fd);
}

void scenario_fail_nth(void)
{
	int fd = open_file("/proc/self/fail-nth");

	check_texts(fd);
	check_positions(fd);
	set(fd, "0");
	check_modes();
	check_names();
	check_faults(fd);
	check_threads(fd);
	check_fork(fd);
}

/* ---- debugfs -------------------------------------------------------------------- */

void scenario_fault_knobs(void)
{
	DIR *d = opendir("/sys/kernel/debug/");
	struct dirent *e;
	int fd, found = 0;
	char c;

	CHECK(d);
	while ((e = readdir(d))) {
		char name[300];

		if (strncmp(e->d_name, "fail", 4))
			continue;
		snprintf(name, sizeof(name), "%s/verbose", e->d_name);
		fd = openat(dirfd(d), name, O_WRONLY);
		CHECK(fd >= 0 && write(fd, "0", 1) == 1);
		close(fd);
		found += !strcmp(e->d_name, "fail_iommufd") ||
			 !strcmp(e->d_name, "failslab");
	}
	CHECK(found == 2);
	fd = openat(dirfd(d), "failslab/ignore-gfp-wait", O_RDWR);
	CHECK(read(fd, &c, 1) == 1 && c == 'Y');
	CHECK(pwrite(fd, "N", 1, 0) == 1);
	close(fd);
	fd = openat(dirfd(d), "failslab/ignore-gfp-wait", O_RDONLY);
	CHECK(read(fd, &c, 1) == 1 && c == 'N');
	close(fd);
	closedir(d);
}
