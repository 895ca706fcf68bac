/* SPDX-License-Identifier: MIT */
/* Calls that name files: every form of them, on /dev, /sys and the host's own files. */
#include "client.h"
#include "scenarios.h"

#include <dirent.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define IOMMU_RDEV makedev(10, 125)
#define VFIO0_RDEV makedev(511, 0)

static void read_text(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	CHECK(fd >= 0);
	n = read(fd, buf, cap - 1);
	CHECK(n > 0);
	buf[n] = '\0';
	close(fd);
}

#define OVERRIDE DEVICES BDF0 "/driver_override"

/* @fd is an open of it for writing. */
static void check_writes(int fd, const char *value)
{
	char text[64], want[64];
	size_t n = strlen(value);

	CHECK(fd >= 0);
	CHECK(write(fd, value, n) == (ssize_t)n);
	read_text(OVERRIDE, text, sizeof(text));
	snprintf(want, sizeof(want), "%s\n", value);
	CHECK(!strcmp(text, want));
}

/* An attribute that is written to by a duplicate of the descriptor, of every kind. */
void scenario_duplicates(void)
{
	char text[64];
	int fd = open(OVERRIDE, O_WRONLY), copy;

	CHECK(fd >= 0);
	copy = dup(fd);
	check_writes(copy, "dup");
	close(copy);
	copy = fcntl(fd, F_DUPFD, 10);
	CHECK(copy >= 10 && !(fcntl(copy, F_GETFD) & FD_CLOEXEC));
	check_writes(copy, "fcntl");
	close(copy);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	CHECK(copy >= 100 && (fcntl(copy, F_GETFD) & FD_CLOEXEC));
	check_writes(copy, "fcntl-cloexec");
	close(copy);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
	for (int n = 3; n < 10; n++) {
		static const char *const values[] = {"1", "six-by", "nine-byte",
						     "longer-than-others"};

		CHECK(dup2(fd, n) == n);
		check_writes(n, values[n % 4]);
		close(n);
	}
	/* Errors reach the writer as well. */
	copy = open(DEVICES BDF0 "/reset", O_WRONLY);
	CHECK(dup2(copy, 5) == 5);
	CHECK_ERRNO(write(5, "2", 1), EINVAL);
	check_writes(fd, "the first");
	CHECK(write(fd, "\n", 1) == 1);
	read_text(OVERRIDE, text, sizeof(text));
	CHECK(!strcmp(text, "(null)\n"));
	/* What is none of ours is as it was. */
	copy = dup(2);
	CHECK(copy > 2 && copy < 100);
}

/* What QEMU does to find a device by host=BDF. */
void scenario_qemu_walk(void)
{
	char link[PATH_MAX], text[64], path[PATH_MAX], node[256];
	struct dirent *e;
	struct stat st;
	ssize_t n;
	DIR *d;
	int fd;

	CHECK(!access("/dev/iommu", F_OK));
	CHECK(!stat(DEVICES BDF0, &st) && S_ISDIR(st.st_mode));
	n = readlink(DEVICES BDF0 "/subsystem", link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = '\0';
	CHECK(!strcmp(strrchr(link, '/'), "/pci"));
	d = opendir(DEVICES BDF0 "/vfio-dev");
	CHECK(d);
	for (node[0] = '\0'; (e = readdir(d));)
		if (!strncmp(e->d_name, "vfio", 4))
			snprintf(node, sizeof(node), "%s", e->d_name);
	closedir(d);
	CHECK(!strcmp(node, "vfio0"));
	snprintf(path, sizeof(path), DEVICES BDF0 "/vfio-dev/%s/dev", node);
	read_text(path, text, sizeof(text));
	CHECK(!strcmp(text, "511:0\n"));
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", node);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	CHECK(!fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == VFIO0_RDEV);
	CHECK(!stat("/dev/char/511:0", &st) && st.st_rdev == VFIO0_RDEV);
	CHECK(!stat("/dev/char/10:125", &st) && st.st_rdev == IOMMU_RDEV);
}

/* struct stat as the kernel writes it is libc's on the 64-bit machines we run on. */
static void check_stat_forms(const char *path, int fd, dev_t rdev)
{
	struct stat a, b;
	struct statx x;

	CHECK(!stat(path, &a) && S_ISCHR(a.st_mode) && a.st_rdev == rdev);
	CHECK(!lstat(path, &b) && !memcmp(&a, &b, sizeof(a)));
	CHECK(!fstatat(AT_FDCWD, path, &b, 0) && b.st_rdev == rdev);
	CHECK(!fstat(fd, &b) && S_ISCHR(b.st_mode) && b.st_rdev == rdev);
	CHECK(b.st_ino == a.st_ino && b.st_dev == a.st_dev);
	CHECK(!syscall(SYS_fstat, fd, &b) && b.st_rdev == rdev);
	CHECK(!syscall(SYS_newfstatat, fd, "", &b, AT_EMPTY_PATH) && b.st_rdev == rdev);
	CHECK(!statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &x) && S_ISCHR(x.stx_mode));
	CHECK(makedev(x.stx_rdev_major, x.stx_rdev_minor) == rdev);
	CHECK(!statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x));
	CHECK(makedev(x.stx_rdev_major, x.stx_rdev_minor) == rdev);
#ifdef SYS_stat
	CHECK(!syscall(SYS_stat, path, &b) && b.st_rdev == rdev);
	CHECK(!syscall(SYS_lstat, path, &b) && b.st_rdev == rdev);
#endif
	CHECK_ERRNO(stat(path, bad_address), EFAULT);
}

void scenario_stat(void)
{
	int iommu = open_iommu(), vfio = open(CDEV0, O_RDWR);
	struct stat st;

	check_stat_forms("/dev/iommu", iommu, IOMMU_RDEV);
	check_stat_forms(CDEV0, vfio, VFIO0_RDEV);
	CHECK(!lstat(DEVICES BDF0, &st) && S_ISLNK(st.st_mode));
	CHECK(!stat(DEVICES BDF0 "/", &st) && S_ISDIR(st.st_mode));
	CHECK(!lstat(DEVICES BDF0 "/", &st) && S_ISDIR(st.st_mode));
	CHECK(!stat(DEVICES BDF0 "/config", &st) && st.st_size == 4096);
	CHECK(!stat(DEVICES BDF0 "/iommu_group/devices/" BDF0 "/vendor", &st));
	CHECK_ERRNO(stat(DEVICES BDF0 "/nothing", &st), ENOENT);
	CHECK_ERRNO(stat(DEVICES BDF0 "/vendor/", &st), ENOTDIR);
	CHECK_ERRNO(stat(DEVICES BDF0 "/vendor/x", &st), ENOTDIR);
	CHECK_ERRNO(stat("/dev/vfio/99", &st), ENOENT);
	CHECK_ERRNO(stat("/dev/iommu/", &st), ENOTDIR);
	CHECK_ERRNO(stat("", &st), ENOENT);
	CHECK_ERRNO(stat(bad_address, &st), EFAULT);
}

static void check_opens(int fd, int flags)
{
	CHECK(fd >= 0);
	CHECK(!!(fcntl(fd, F_GETFD) & FD_CLOEXEC) == !!(flags & O_CLOEXEC));
	CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) ==
	      (flags & (O_ACCMODE | O_NONBLOCK)));
	CHECK(alloc_ioas(fd) == 1);
	close(fd);
}

void scenario_open(void)
{
	struct open_how how = {.flags = O_RDWR | O_CLOEXEC};
	int fd;

	check_opens(open("/dev/iommu", O_RDWR), O_RDWR);
	check_opens(open("/dev//./iommu", O_RDWR | O_CLOEXEC), O_RDWR | O_CLOEXEC);
	check_opens(open("/tmp/../dev/iommu", O_RDONLY | O_NONBLOCK),
		    O_RDONLY | O_NONBLOCK);
	check_opens(open("/dev/vfio/../char/10:125", O_RDWR), O_RDWR);
	check_opens((int)syscall(SYS_openat2, AT_FDCWD, "/dev/iommu", &how, sizeof(how)),
		    O_RDWR | O_CLOEXEC);
#ifdef SYS_open
	check_opens((int)syscall(SYS_open, "/dev/iommu", O_RDWR), O_RDWR);
	check_opens((int)syscall(SYS_creat, "/dev/iommu", 0600), O_WRONLY);
#endif
	check_opens(open("/dev/iommu", O_RDWR | O_CREAT | O_TRUNC, 0600), O_RDWR);
	CHECK_ERRNO(open("/dev/iommu", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK_ERRNO(open("/dev/iommu", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERRNO(open("/dev/iommu/", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("/dev/vfio/devices/vfio7", O_RDWR), ENOENT);
	CHECK_ERRNO(open("/dev/vfio", O_RDWR), EISDIR);
	CHECK_ERRNO(open(DEVICES BDF0, O_RDONLY | O_NOFOLLOW), ELOOP);
	fd = open(DEVICES BDF0 "/config", O_RDWR);
	CHECK(fd >= 0);
	close(fd);
	/* The kernel lets nobody be given a descriptor of a link itself. */
	CHECK_ERRNO(open(DEVICES BDF0, O_PATH | O_NOFOLLOW), ELOOP);
	fd = open(DEVICES BDF0, O_PATH);
	CHECK(fd >= 0);
	close(fd);
}

void scenario_relative(void)
{
	char text[64], cwd[PATH_MAX];
	struct stat st;
	int dir, sub;

	CHECK(!chdir("/"));
	CHECK(!stat("dev/iommu", &st) && S_ISCHR(st.st_mode));
	check_opens(open("dev/iommu", O_RDWR), O_RDWR);
	CHECK(!chdir("/dev"));
	check_opens(open("iommu", O_RDWR), O_RDWR);
	check_opens(open("../dev/./iommu", O_RDWR), O_RDWR);
	dir = open("/dev", O_RDONLY | O_DIRECTORY);
	check_opens(openat(dir, "iommu", O_RDWR), O_RDWR);
	close(dir);

	dir = open(DEVICES BDF0, O_RDONLY | O_DIRECTORY);
	CHECK(dir >= 0);
	CHECK(!fstatat(dir, "vendor", &st, 0) && S_ISREG(st.st_mode));
	CHECK(!fstatat(dir, "iommu_group/devices", &st, 0) && S_ISDIR(st.st_mode));
	CHECK(!faccessat(dir, "vfio-dev/vfio0/dev", R_OK, 0));
	CHECK(readlinkat(dir, "driver", text, sizeof(text)) > 0);
	sub = openat(dir, "../../../../../dev/iommu", O_RDWR);
	check_opens(sub, O_RDWR);
	sub = openat(dir, "vfio-dev", O_RDONLY | O_DIRECTORY);
	CHECK(!fstatat(sub, "vfio0/dev", &st, 0));
	CHECK(!fstatat(sub, "../vendor", &st, 0));
	/* Also as the working directory. */
	CHECK(!fchdir(dir));
	read_text("vendor", text, sizeof(text));
	CHECK(!strcmp(text, "0x1234\n"));
	CHECK(!stat("../../../../kernel/iommu_groups", &st));
	CHECK(getcwd(cwd, sizeof(cwd)));
	CHECK(!strcmp(cwd, "/sys/devices/pci0000:00/0000:00:10.0/" BDF0));
	CHECK_ERRNO(syscall(SYS_getcwd, cwd, 4), ERANGE);
	CHECK_ERRNO(fstatat(999, "vendor", &st, 0), EBADF);
}

void scenario_readlink(void)
{
	char link[PATH_MAX], real[PATH_MAX], self[64];
	ssize_t n;
	int fd;

	n = readlink(DEVICES BDF0, link, sizeof(link));
	CHECK(n > 0 && !strncmp(link, "../../../devices/pci0000:00/0000:00:10.0/" BDF0,
				(size_t)n));
	CHECK(readlink(DEVICES BDF0, link, 5) == 5 && !strncmp(link, "../..", 5));
	CHECK_ERRNO(readlink(DEVICES BDF0, link, 0), EINVAL);
	CHECK_ERRNO(readlink(DEVICES BDF0, bad_address, 100), EFAULT);
	CHECK_ERRNO(readlink(DEVICES BDF0 "/vendor", link, sizeof(link)), EINVAL);
	CHECK(realpath(DEVICES BDF0 "/iommu_group", real));
	CHECK(!strcmp(real, "/sys/kernel/iommu_groups/1"));
	CHECK(realpath("/sys/class/vfio-dev/vfio0/device/driver", real));
	CHECK(!strcmp(real, "/sys/bus/pci/drivers/vfio-pci"));
	CHECK(realpath("/sys/dev/char/10:125/subsystem", real));
	CHECK(!strcmp(real, "/sys/class/misc"));

	/* The kernel's name of what is open is the name it was opened by. */
	fd = open(CDEV0, O_RDWR);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, link, sizeof(link) - 1);
	CHECK(n == (ssize_t)strlen(CDEV0) && !strncmp(link, CDEV0, (size_t)n));
	close(fd);
	fd = open(DEVICES BDF0 "/vendor", O_RDONLY);
	snprintf(self, sizeof(self), "/proc/%d/fd/%d", (int)getpid(), fd);
	n = readlink(self, link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = '\0';
	CHECK(!strcmp(link, "/sys/devices/pci0000:00/0000:00:10.0/" BDF0 "/vendor"));
}

void scenario_access(void)
{
	char value[8];

	CHECK(!access("/dev/iommu", R_OK | W_OK));
	CHECK_ERRNO(access("/dev/iommu", X_OK), EACCES);
	CHECK(!access("/dev/vfio", R_OK | X_OK));
	CHECK_ERRNO(access("/dev/vfio/vfio9", F_OK), ENOENT);
	CHECK_ERRNO(access("/dev/iommu", 99), EINVAL);
	CHECK(!faccessat(AT_FDCWD, DEVICES BDF0 "/config", R_OK, 0));
	CHECK(!faccessat(AT_FDCWD, DEVICES BDF0 "/config", R_OK, AT_EACCESS));
	CHECK(!eaccess(CDEV0, R_OK | W_OK));
#ifdef SYS_access
	CHECK(!syscall(SYS_access, CDEV0, R_OK));
#endif
	CHECK_ERRNO(getxattr("/dev/iommu", "user.x", value, 8), EOPNOTSUPP);
	CHECK(listxattr("/dev/iommu", value, 8) == 0);
}

static int count_entries(const char *path, const char *wanted)
{
	struct dirent *e;
	DIR *d = opendir(path);
	int found = 0;

	CHECK(d);
	while ((e = readdir(d)))
		found += !strcmp(e->d_name, wanted);
	closedir(d);
	return found;
}

void scenario_listing(void)
{
	CHECK(count_entries("/sys/bus/pci/devices", BDF0) == 1);
	CHECK(count_entries("/sys/bus/pci/devices", "0000:02:00.0") == 1);
	CHECK(count_entries("/sys/kernel/iommu_groups", "1") == 1);
	CHECK(count_entries("/sys/kernel/iommu_groups/2/devices", "0000:02:00.0") == 1);
	CHECK(count_entries("/sys/class/vfio-dev", "vfio1") == 1);
	CHECK(count_entries("/dev/vfio", "devices") == 1);
	CHECK(count_entries("/dev/vfio/devices", "vfio0") == 1);
	CHECK(count_entries("/sys/devices/pci0000:00/0000:00:10.0/" BDF0, "config") == 1);
}

void scenario_reopen(void)
{
	int fd = open_iommu(), path = open("/dev/iommu", O_PATH), again;
	char self[64];

	CHECK(alloc_ioas(fd) == 1);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	again = open(self, O_RDWR);
	CHECK(again >= 0);
	/* A new open of the device is a new context. */
	CHECK(alloc_ioas(again) == 1);
	CHECK(alloc_ioas(fd) == 2);
	close(again);
	snprintf(self, sizeof(self), "/dev/fd/%d", fd);
	check_opens(open(self, O_RDWR), O_RDWR);
	/* A look at a device (O_PATH) opens nothing, and leads on to the device. */
	CHECK(path >= 0);
	CHECK(ioctl(path, IOMMU_IOAS_ALLOC, NULL) == -1);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", path);
	check_opens(open(self, O_RDWR), O_RDWR);
}

/* The host's own files are as they were. */
void scenario_host_paths(void)
{
	char link[PATH_MAX], text[8];
	struct stat st;
	DIR *d;

	CHECK(!stat("/etc/passwd", &st) && S_ISREG(st.st_mode));
	CHECK(!stat("/dev/null", &st) && st.st_rdev == makedev(1, 3));
	CHECK(!stat("/dev", &st) && !stat("/sys", &st) && !stat("/", &st));
	CHECK(readlink("/proc/self/exe", link, sizeof(link)) > 0);
	CHECK_ERRNO(open("/nonexistent", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("/etc/passwd/x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("/etc", O_WRONLY), EISDIR);
	CHECK_ERRNO(openat(999, "x", O_RDONLY), EBADF);
	read_text("/proc/self/comm", text, sizeof(text));
	d = opendir("/sys/bus/pci/devices");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));) {
		char path[PATH_MAX], vendor[16];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), DEVICES "%s/vendor", e->d_name);
		read_text(path, vendor, sizeof(vendor));
		CHECK(!fstatat(dirfd(d), e->d_name, &st, 0) && S_ISDIR(st.st_mode));
	}
	closedir(d);
}
