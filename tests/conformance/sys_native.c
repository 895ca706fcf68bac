/* SPDX-License-Identifier: MIT */
/* The real system calls. */
#include "tests/conformance/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

const char sys_mode[] = "run";

int sys_start(void)
{
	return 0;
}

int sys_finish(void)
{
	return 0;
}

static long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

long sys_open(const char *path, int flags)
{
	return result(open(path, flags));
}

long sys_ioctl(int fd, unsigned long cmd, void *arg)
{
	return result(ioctl(fd, cmd, arg));
}

long sys_pread(int fd, void *buf, size_t n, uint64_t offset)
{
	return result(pread(fd, buf, n, (off_t)offset));
}

long sys_pwrite(int fd, const void *buf, size_t n, uint64_t offset)
{
	return result(pwrite(fd, buf, n, (off_t)offset));
}

long sys_mmap(int fd, size_t length, int prot, int flags, uint64_t offset, void **out)
{
	void *p = mmap(NULL, length, prot, flags, fd, (off_t)offset);

	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

long sys_close(int fd)
{
	return result(close(fd));
}
