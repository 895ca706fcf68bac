/* SPDX-License-Identifier: MIT */
/*
 * System calls on a descriptor that may be a placeholder: ioctl, reads and writes of
 * queues, and reads, writes and mappings at the offsets of regions.
 *
 * Before each, what clients have closed meanwhile is released (files_reap), so that a
 * program which closes a device and opens it again finds it free, as in Linux.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/port.h"
#include "host/attr_file.h"
#include "host/call.h"
#include "host/fail_nth.h"
#include "host/host.h"
#include "host/inject.h"
#include "host/kvm_vfio.h"
#include "host/log.h"
#include "host/process.h"
#include "host/view_attr.h"
#include "machine/files.h"
#include "machine/machine.h"

/* ---- ioctl -------------------------------------------------------------------- */

long serve_ioctl(struct call *c)
{
	uint32_t cmd = (uint32_t)c->args[1];
	struct fail_nth_count nth;
	struct vfile *f;
	long r;

	files_reap(c->host->machine->files);
	if (cmd == KVM_CREATE_DEVICE_CMD)
		return kvm_vfio_create(c);
	f = call_get_vfile(c, (int)c->args[0], NULL);
	if (!f)
		return CALL_PROCEED;
	nth = fail_nth_begin(c);
	r = f->ops->ioctl ? f->ops->ioctl(f, &c->client, cmd, c->args[2]) : -ENOTTY;
	fail_nth_end(c, nth);
	vfile_put(f);
	return r;
}

/* Has it the mark of a region? */
static bool is_region(uint64_t offset)
{
	return (offset & (VFILE_MARK | VFILE_MARK << 1)) == VFILE_MARK ||
	       offset >> VFILE_REGION_SHIFT == VFILE_FIXED_CONFIG >> VFILE_REGION_SHIFT;
}

/* ---- mmap --------------------------------------------------------------------- */

/* The thread maps what the attribute stands for in place of the attribute. */
static long map_attribute(struct call *c, struct vfile *f, int fd)
{
	struct injection in = {.nr = SYS_mmap, .fd_arg = 4};
	uint64_t at = 0;
	long r;

	if (!(c->args[3] & MAP_SHARED))
		return -EINVAL;
	in.fd = attr_file_map(f, fd, c->args[5], c->args[1], &at);
	if (in.fd < 0)
		return in.fd;
	memcpy(in.args, c->args, sizeof(in.args));
	in.args[5] = at;
	r = inject_call(c, &in);
	close(in.fd);
	return r == CALL_PROCEED ? -EINVAL : r;
}

long serve_mmap(struct call *c)
{
	uint64_t length = c->args[1], offset = c->args[5];
	int prot = (int)c->args[2], flags = (int)c->args[3];
	struct vfile *f;
	long r;
	int fd;

	if ((flags & MAP_ANONYMOUS) || !length || (offset & (PORT_PAGE_SIZE - 1)))
		return CALL_PROCEED;
	files_reap(c->host->machine->files);
	f = call_get_vfile(c, (int)c->args[4], &fd);
	if (!f)
		return CALL_PROCEED;
	if (attr_file_path(f))
		r = map_attribute(c, f, fd);
	else if (!is_region(offset))
		r = CALL_PROCEED;
	else
		r = f->ops->mmap ? f->ops->mmap(f, offset, length, prot, flags) : -EINVAL;
	close(fd);
	vfile_put(f);
	log_call(c, r == CALL_ANSWERED ? 0 : r, "mmap(%llu, %#x, %#x, %d, %#llx)",
		 (unsigned long long)length, (unsigned)prot, (unsigned)flags,
		 (int)c->args[4], (unsigned long long)offset);
	/* Allowed: the client maps its placeholder natively. */
	return r ? r : CALL_PROCEED;
}

/* ---- pread and pwrite --------------------------------------------------------- */

/* Linux's limit of one transfer, so that the result fits an int. */
#define MAX_TRANSFER ((size_t)INT_MAX & ~(size_t)4095)

enum transfer {
	READ,
	WRITE,
};

static ssize_t transfer(struct vfile *f, struct call *c, enum transfer dir, uint64_t va,
			uint64_t n, uint64_t offset)
{
	if (n > MAX_TRANSFER)
		n = MAX_TRANSFER;
	if (dir == READ)
		return f->ops->pread ? f->ops->pread(f, &c->client, va, n, offset)
				     : -EINVAL;
	return f->ops->pwrite ? f->ops->pwrite(f, &c->client, va, n, offset) : -EINVAL;
}

/* Is the descriptor open for this? The kernel would have looked. */
static bool may_transfer(int fd, enum transfer dir)
{
	int flags = fcntl(fd, F_GETFL);
	int mode = flags & O_ACCMODE;

	return flags >= 0 && !(flags & O_PATH) &&
	       (mode == O_RDWR || mode == (dir == READ ? O_RDONLY : O_WRONLY));
}

/* The virtual file for a transfer: 0, CALL_PROCEED or -EBADF. */
static long file_for(struct call *c, enum transfer dir, struct vfile **out)
{
	bool allowed;
	int fd;

	files_reap(c->host->machine->files);
	*out = call_get_vfile(c, (int)c->args[0], &fd);
	if (!*out)
		return CALL_PROCEED;
	allowed = may_transfer(fd, dir);
	close(fd);
	if (allowed)
		return 0;
	vfile_put(*out);
	return -EBADF;
}

/* Can the descriptor be one on which these are ours? */
static bool may_be_queue(struct call *c, int fd)
{
	return (fd >= QUEUE_FD_FIRST && fd < QUEUE_FD_FIRST + QUEUE_FDS) ||
	       (fd >= 0 && fd < LOW_FDS && attr_file_in_use(c->host->attr_files)) ||
	       fail_nth_in_use(c->host->fail_nth);
}

static long serve_transfer(struct call *c, enum transfer dir)
{
	bool region = is_region(c->args[3]);
	struct vfile *f;
	long r;

	if (!region && !may_be_queue(c, (int)c->args[0]))
		return CALL_PROCEED;
	r = file_for(c, dir, &f);
	if (r)
		return r;
	if (!region && !f->ops->read) {
		vfile_put(f);
		return CALL_PROCEED;
	}
	if (attr_file_path(f))
		r = attr_file_transfer(c, f, dir == WRITE);
	else
		r = transfer(f, c, dir, c->args[1], c->args[2], c->args[3]);
	vfile_put(f);
	log_call(c, r, "%s(%d, %llu, %#llx)", dir == READ ? "pread64" : "pwrite64",
		 (int)c->args[0], (unsigned long long)c->args[2],
		 (unsigned long long)c->args[3]);
	return r;
}

long serve_pread(struct call *c)
{
	return serve_transfer(c, READ);
}

long serve_pwrite(struct call *c)
{
	return serve_transfer(c, WRITE);
}

/* Piece by piece, until one falls short. */
static long transfer_vector(struct call *c, struct vfile *f, enum transfer dir,
			    const struct iovec *iov, int n)
{
	uint64_t offset = c->args[3];
	long total = 0;

	for (int i = 0; i < n; i++) {
		uint64_t want = iov[i].iov_len;
		ssize_t done;

		if (!want)
			continue;
		if (want > MAX_TRANSFER - (size_t)total)
			want = MAX_TRANSFER - (size_t)total;
		done = transfer(f, c, dir, (uint64_t)(uintptr_t)iov[i].iov_base, want,
				offset);
		if (done < 0)
			return total ? total : done;
		total += done;
		offset += (uint64_t)done;
		if ((uint64_t)done < iov[i].iov_len)
			break;
	}
	return total;
}

static long check_vector(const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++)
		if ((ssize_t)iov[i].iov_len < 0)
			return -EINVAL;
	return 0;
}

static long serve_vector(struct call *c, enum transfer dir)
{
	bool has_flags = c->nr == SYS_preadv2 || c->nr == SYS_pwritev2;
	struct iovec iov[IOV_MAX];
	int n = (int)c->args[2];
	struct vfile *f;
	long r = file_for(c, dir, &f);

	if (r)
		return r;
	if (has_flags && (int)c->args[5])
		r = -EOPNOTSUPP;
	else if (c->args[2] > IOV_MAX)
		r = -EINVAL;
	else
		r = call_copy_in(c, iov, c->args[1], (size_t)n * sizeof(*iov));
	if (!r)
		r = check_vector(iov, n);
	if (!r)
		r = transfer_vector(c, f, dir, iov, n);
	vfile_put(f);
	log_call(c, r, "%s(%d, %d pieces, %#llx)", dir == READ ? "preadv" : "pwritev",
		 (int)c->args[0], n, (unsigned long long)c->args[3]);
	return r;
}

long serve_preadv(struct call *c)
{
	return serve_vector(c, READ);
}

long serve_pwritev(struct call *c)
{
	return serve_vector(c, WRITE);
}

/* ---- read and write of queues and attributes ------------------------------------ */

/* The pieces of a vector, together; more than @cap bytes are left. */
static ssize_t gather(struct call *c, const struct iovec *iov, int n, char *buf,
		      size_t cap)
{
	size_t have = 0;

	for (int i = 0; i < n && have < cap; i++) {
		size_t want = iov[i].iov_len < cap - have ? iov[i].iov_len : cap - have;
		int err = call_copy_in(c, buf + have,
				       (uint64_t)(uintptr_t)iov[i].iov_base, want);

		if (err)
			return err;
		have += want;
	}
	return (ssize_t)have;
}

/* An attribute takes what is written as one, however many pieces it is in. */
static long write_attribute(struct call *c, struct vfile *f, int fd,
			    const struct iovec *iov, int n)
{
	char text[VIEW_ATTR_BYTES + 1];
	ssize_t have = gather(c, iov, n, text, VIEW_ATTR_BYTES);

	return have < 0 ? have : attr_file_write(f, fd, text, (size_t)have);
}

static long write_queue(struct call *c, struct vfile *f, int fd, uint64_t va, size_t n)
{
	const struct iovec iov = {(void *)(uintptr_t)va, n};

	if (attr_file_path(f))
		return write_attribute(c, f, fd, &iov, 1);
	return f->ops->write ? f->ops->write(f, &c->client, va, n) : CALL_PROCEED;
}

/* Offsets are no part of it: the file is a socket, a fail-nth file, or knows its own. */
static long serve_queue(struct call *c, enum transfer dir)
{
	uint64_t va = c->args[1];
	size_t n = c->args[2] < MAX_TRANSFER ? (size_t)c->args[2] : MAX_TRANSFER;
	long r = CALL_PROCEED;
	struct vfile *f;
	int fd;

	if (!may_be_queue(c, (int)c->args[0]))
		return CALL_PROCEED;
	files_reap(c->host->machine->files);
	f = call_get_vfile(c, (int)c->args[0], &fd);
	if (!f)
		return CALL_PROCEED;
	if (!may_transfer(fd, dir))
		r = -EBADF;
	else if (dir == WRITE)
		r = write_queue(c, f, fd, va, n);
	else if (f->ops->read)
		r = f->ops->read(f, &c->client, fd, va, n);
	close(fd);
	vfile_put(f);
	if (r != CALL_PROCEED)
		log_call(c, r, "%s(%d, %zu)", dir == READ ? "read" : "write",
			 (int)c->args[0], n);
	return r;
}

long serve_read(struct call *c)
{
	return serve_queue(c, READ);
}

long serve_write(struct call *c)
{
	return serve_queue(c, WRITE);
}

static long read_vector(struct call *c, struct vfile *f, int fd, const struct iovec *iov,
			int n)
{
	long total = 0;

	for (int i = 0; i < n; i++) {
		ssize_t done = f->ops->read(f, &c->client, fd,
					    (uint64_t)(uintptr_t)iov[i].iov_base,
					    iov[i].iov_len);

		if (done < 0)
			return total ? total : done;
		total += done;
		if ((size_t)done < iov[i].iov_len)
			break;
	}
	return total;
}

/* Attributes alone: C libraries' buffers use these. */
static long serve_plain_vector(struct call *c, enum transfer dir)
{
	struct iovec iov[IOV_MAX];
	int n = (int)c->args[2];
	struct vfile *f;
	long r;
	int fd;

	if (!may_be_queue(c, (int)c->args[0]) || c->args[2] > IOV_MAX)
		return CALL_PROCEED;
	f = call_get_vfile(c, (int)c->args[0], &fd);
	if (!f)
		return CALL_PROCEED;
	if (!attr_file_path(f))
		r = CALL_PROCEED;
	else if (!may_transfer(fd, dir))
		r = -EBADF;
	else
		r = call_copy_in(c, iov, c->args[1], (size_t)n * sizeof(*iov));
	if (!r)
		r = dir == WRITE ? write_attribute(c, f, fd, iov, n)
				 : read_vector(c, f, fd, iov, n);
	close(fd);
	vfile_put(f);
	return r;
}

long serve_readv(struct call *c)
{
	return serve_plain_vector(c, READ);
}

long serve_writev(struct call *c)
{
	return serve_plain_vector(c, WRITE);
}

/* ---- ftruncate ---------------------------------------------------------------- */

/* A device has no length, though the file in its place has. */
long serve_ftruncate(struct call *c)
{
	struct vfile *f = call_get_vfile(c, (int)c->args[0], NULL);

	if (!f)
		return CALL_PROCEED;
	vfile_put(f);
	return -EINVAL;
}

/* ---- duplicates ---------------------------------------------------------------- */

/* What duplicates a descriptor whose reads and writes are caught is caught as well. */
static long duplicate(struct call *c, uint64_t min, bool cloexec)
{
	struct vfile *f;
	long r;
	int fd;

	f = call_get_vfile(c, (int)c->args[0], &fd);
	if (!f)
		return CALL_PROCEED;
	r = f->ops->read ? call_duplicate(c, fd, min, cloexec) : CALL_PROCEED;
	close(fd);
	vfile_put(f);
	return r;
}

long serve_dup(struct call *c)
{
	return duplicate(c, 0, false);
}

long serve_fcntl(struct call *c)
{
	int cmd = (int)c->args[1];

	if (cmd == F_GETFL)
		return serve_getfl(c);
	if (cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC)
		return CALL_PROCEED;
	/* A negative number is too large a one. */
	return duplicate(c, c->args[2], cmd == F_DUPFD_CLOEXEC);
}

/* ---- exec --------------------------------------------------------------------- */

long serve_exec(struct call *c)
{
	process_execs(c->host->processes, c->tid);
	return CALL_PROCEED;
}
