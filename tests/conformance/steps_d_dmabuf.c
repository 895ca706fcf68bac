/* SPDX-License-Identifier: MIT */
/*
 * Section D: the dma-buf's descriptor as a file. These calls are plain system calls,
 * except for the ioctls.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/conformance/client.h"

static long errno_of(long ret)
{
	return ret < 0 ? -errno : ret;
}

static long sync_ioctl(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = {.flags = flags};

	return sys_ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
}

static long try_mmap(int fd, size_t length, int flags)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, length);
	return 0;
}

static long try_poll(int fd, short *revents)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
	long ret = errno_of(poll(&p, 1, 0));

	*revents = p.revents;
	return ret;
}

static void size_and_offset(int fd)
{
	struct stat st = {0};

	step("D002", errno_of(fstat(fd, &st)));
	note("fstat", "mode 0%o size %lld blocks %lld blksize %ld nlink %lu",
	     st.st_mode & 07777, (long long)st.st_size, (long long)st.st_blocks,
	     (long)st.st_blksize, (unsigned long)st.st_nlink);
	step("D003", errno_of(lseek(fd, 0, SEEK_END)));
	step("D004", errno_of(lseek(fd, 0, SEEK_SET)));
	step("D005", errno_of(lseek(fd, 0, SEEK_CUR)));
	step("D006", errno_of(lseek(fd, 0x1000, SEEK_SET)));
	step("D007", errno_of(lseek(fd, 0x1000, SEEK_END)));
	step("D008", errno_of(lseek(fd, 0, SEEK_DATA)));
}

static void contents(int fd, const struct device *d, struct space s)
{
	struct buffer_spec ro = {.region = BAR, .open_flags = O_RDONLY, .nr_ranges = 1};
	char byte = 0;
	int fd_ro;

	step("D009", errno_of(read(fd, &byte, 1)));
	step("D010", errno_of(write(fd, &byte, 1)));
	step("D011", errno_of(pread(fd, &byte, 1, 0)));
	step("D012", errno_of(ftruncate(fd, 0)));
	step("D013", errno_of(fallocate(fd, 0, 0, 0x8000)));
	step("D014", try_mmap(fd, 0x8000, MAP_SHARED));
	step("D015", try_mmap(fd, 0x10000, MAP_SHARED));
	step("D016", try_mmap(fd, 0x8000, MAP_PRIVATE));
	ro.range[0] = (struct vfio_region_dma_range){0x10000, 0x8000};
	fd_ro = (int)export_ranges(d->fd, &ro);
	step("D017", try_mmap(fd_ro, 0x8000, MAP_SHARED));
	step("D018", map_file_any(s, fd_ro, 0, 0x8000));
	sys_close(fd_ro);
}

static void ioctls(int fd)
{
	struct {
		uint32_t flags;
		int32_t fd;
	} sync_file = {.flags = DMA_BUF_SYNC_RW};
	short revents;

	step("D019", try_poll(fd, &revents));
	note("revents", "0x%x", revents);
	step("D020", sync_ioctl(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	step("D021", sync_ioctl(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	step("D022", sync_ioctl(fd, 0x80));
	step("D023", sys_ioctl(fd, DMA_BUF_SET_NAME, "bar2"));
	step("D024", sys_ioctl(fd, _IOWR('b', 2, sync_file), &sync_file));
	step("D025", sys_ioctl(fd, _IO('b', 0x70), NULL));
}

static void descriptor(int fd)
{
	char link[64], target[128] = "";
	int copy, again, zero = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, target, sizeof(target) - 1) >= 0)
		note("readlink:", "%s", target);
	step("D026", errno_of(fcntl(fd, F_GETFL)));
	step("D027", errno_of(fcntl(fd, F_GETFD)));
	copy = step_fd("D028", errno_of(dup(fd)));
	again = step_fd("D029", errno_of(open(link, O_RDWR | O_CLOEXEC)));
	if (again >= 0)
		sys_close(again);
	sys_close(copy);
	step("D030", errno_of(ioctl(fd, FIONBIO, &zero)));
}

static void while_revoked(int fd, const struct device *d)
{
	struct stat st = {0};
	short revents;

	memory_off(d);
	step("D031", errno_of(fstat(fd, &st)));
	note("size", "%lld", (long long)st.st_size);
	step("D032", errno_of(lseek(fd, 0, SEEK_END)));
	step("D033", try_poll(fd, &revents));
	step("D034", sync_ioctl(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	memory_on(d);
}

static void two_ranges(const struct device *d)
{
	struct buffer_spec e = {.region = BAR, .open_flags = O_RDWR, .nr_ranges = 2};
	int fd;

	e.range[0] = (struct vfio_region_dma_range){0, 0x1000};
	e.range[1] = (struct vfio_region_dma_range){0x8000, 0x3000};
	fd = (int)export_ranges(d->fd, &e);
	step("D035", errno_of(lseek(fd, 0, SEEK_END)));
	sys_close(fd);
}

void section_d(void)
{
	struct device d;
	struct space s;
	int fd;

	s.iommufd = iommu_open();
	ioas_alloc(s.iommufd, &s.ioas);
	device_start(&d, 0, s.iommufd);

	fd = step_fd("D001", export_range(d.fd, BAR, 0x10000, 0x8000));
	size_and_offset(fd);
	contents(fd, &d, s);
	ioctls(fd);
	descriptor(fd);
	while_revoked(fd, &d);
	sys_close(fd);
	two_ranges(&d);

	device_stop(&d);
	sys_close(s.iommufd);
}
