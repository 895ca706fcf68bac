/* SPDX-License-Identifier: MIT */
/*
 * See vma.h. Everything here reads /proc of a process that may change under us, so an
 * answer is a snapshot; callers treat a mapping that went away as -EFAULT.
 */
#include "machine/vma.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* ioctl on /proc/PID/maps; bookworm's headers do not know it (linux/fs.h, 6.11). */
struct procmap_query {
	uint64_t size;
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start, vma_end; /* end is exclusive */
	uint64_t vma_flags;
	uint64_t vma_page_size;
	uint64_t vma_offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	uint32_t vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY_IOCTL _IOWR('f', 17, struct procmap_query)
#define PROCMAP_READABLE    0x01
#define PROCMAP_WRITABLE    0x02
#define PROCMAP_SHARED      0x08

static int query_ioctl(int maps_fd, uint64_t va, struct vma *out)
{
	struct procmap_query q = {.size = sizeof(q), .query_addr = va};

	if (ioctl(maps_fd, PROCMAP_QUERY_IOCTL, &q))
		return errno == ENOTTY ? -ENOTTY : -EFAULT;
	*out = (struct vma){
		.start = q.vma_start,
		.last = q.vma_end - 1,
		.readable = q.vma_flags & PROCMAP_READABLE,
		.writable = q.vma_flags & PROCMAP_WRITABLE,
		.shared = q.vma_flags & PROCMAP_SHARED,
		.dev = makedev(q.dev_major, q.dev_minor),
		.ino = q.inode,
		.file_offset = q.vma_offset,
	};
	return 0;
}

/* One line of maps: "start-end perms offset maj:min inode path". */
static bool parse_line(const char *line, struct vma *out)
{
	uint64_t start, end, offset, ino;
	unsigned major_nr, minor_nr;
	char perms[5];

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &start,
		   &end, perms, &offset, &major_nr, &minor_nr, &ino) != 7)
		return false;
	*out = (struct vma){
		.start = start,
		.last = end - 1,
		.readable = perms[0] == 'r',
		.writable = perms[1] == 'w',
		.shared = perms[3] == 's',
		.dev = makedev(major_nr, minor_nr),
		.ino = ino,
		.file_offset = offset,
	};
	return true;
}

static int query_text(int maps_fd, uint64_t va, struct vma *out)
{
	int fd = fcntl(maps_fd, F_DUPFD_CLOEXEC, 0);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t cap = 0;
	int err = -EFAULT;

	if (!f) {
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	rewind(f);
	while (getline(&line, &cap, f) > 0) {
		struct vma v;

		if (!parse_line(line, &v) || v.last < va)
			continue;
		if (v.start <= va) {
			*out = v;
			err = 0;
		}
		break;
	}
	free(line);
	fclose(f);
	return err;
}

int vma_query(int maps_fd, uint64_t va, struct vma *out)
{
	int err = query_ioctl(maps_fd, va, out);

	return err == -ENOTTY ? query_text(maps_fd, va, out) : err;
}

static int open_if_same(const char *path, const struct vma *vma)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, &st) || st.st_ino != vma->ino || st.st_dev != vma->dev) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

int vma_open_file(pid_t pid, const struct vma *vma)
{
	char path[300];
	struct dirent *e;
	int fd;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid,
		 vma->start, vma->last + 1);
	fd = open_if_same(path, vma);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return -ENOENT;
	while (fd < 0 && (e = readdir(d))) {
		struct stat st;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, e->d_name);
		/* Opening what is not that file could have side effects: look first. */
		if (!stat(path, &st) && st.st_ino == vma->ino && st.st_dev == vma->dev)
			fd = open_if_same(path, vma);
	}
	closedir(d);
	return fd < 0 ? -ENOENT : fd;
}
