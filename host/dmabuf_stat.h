/* SPDX-License-Identifier: MIT */
/* What fstat(2) and statx(2) say of a dma-buf, whose descriptor @fd is the client's. */
#ifndef HOST_DMABUF_STAT_H
#define HOST_DMABUF_STAT_H

struct call;
struct stat;
struct statx;

/* 0, -errno, or CALL_PROCEED. */
long dmabuf_stat(struct call *c, int fd, struct stat *st);
long dmabuf_statx(struct call *c, int fd, unsigned mask, struct statx *stx);

#endif
