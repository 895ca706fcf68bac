/* SPDX-License-Identifier: MIT */
/*
 * What system calls say of a dma-buf's descriptor, which is that of a sealed memory file:
 * it has no type and one name that nobody sees, knows no O_LARGEFILE, and cannot be
 * allocated to. (Its position, and reads and writes of it, are the memory file's: calls
 * that programs make often stay native.)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/call.h"
#include "host/dmabuf_stat.h"
#include "uapi/vfile.h"

#define BLOCK            512
#define O_LARGEFILE_FLAG 0100000 /* O_LARGEFILE is 0 to a 64-bit program */

long dmabuf_stat(struct call *c, int fd, struct stat *st)
{
	int ours = call_get_fd(c, fd);
	int err;

	if (ours < 0)
		return CALL_PROCEED;
	err = fstat(ours, st) ? -errno : 0;
	close(ours);
	st->st_mode &= ~(mode_t)S_IFMT;
	st->st_nlink = 1;
	st->st_blocks = st->st_size / BLOCK;
	return err;
}

long dmabuf_statx(struct call *c, int fd, unsigned mask, struct statx *stx)
{
	int ours = call_get_fd(c, fd);
	int err;

	if (ours < 0)
		return CALL_PROCEED;
	err = statx(ours, "", AT_EMPTY_PATH, mask, stx) ? -errno : 0;
	close(ours);
	stx->stx_mode &= (__u16)~S_IFMT;
	stx->stx_nlink = 1;
	stx->stx_blocks = stx->stx_size / BLOCK;
	return err;
}

/* The flags of the client's descriptor if it is a dma-buf's; else CALL_PROCEED. */
static long flags_of(struct call *c, int fd)
{
	struct vfile *f;
	bool is_dmabuf;
	int ours, flags;

	f = call_get_vfile(c, fd, &ours);
	if (!f)
		return CALL_PROCEED;
	is_dmabuf = f->ops->dmabuf;
	flags = fcntl(ours, F_GETFL);
	close(ours);
	vfile_put(f);
	return is_dmabuf && flags >= 0 ? flags : CALL_PROCEED;
}

long serve_getfl(struct call *c)
{
	long flags = flags_of(c, (int)c->args[0]);

	return flags == CALL_PROCEED ? flags : flags & ~(long)O_LARGEFILE_FLAG;
}

long serve_fallocate(struct call *c)
{
	long flags;

	/* What is wrong in any case. */
	if ((int64_t)c->args[2] < 0 || (int64_t)c->args[3] <= 0)
		return CALL_PROCEED;
	flags = flags_of(c, (int)c->args[0]);
	if (flags == CALL_PROCEED)
		return flags;
	return (flags & O_ACCMODE) == O_RDONLY ? -EBADF : -ENODEV;
}
