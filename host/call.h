/* SPDX-License-Identifier: MIT */
/*
 * One notified system call of a client, from the moment the kernel hands it to us until
 * it is answered.
 *
 * The calling thread is stopped in the kernel meanwhile, so its memory and descriptors
 * may be looked at; but it may be killed at any time, and then its thread id may belong
 * to somebody else. So every access is bracketed by call_alive(): what was read counts
 * only if the call was still there afterwards, and nothing is written before a look.
 *
 * A call belongs to the thread that received it; nothing in it is shared.
 */
#ifndef HOST_CALL_H
#define HOST_CALL_H

#include <limits.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "uapi/client.h"

struct host;
struct process;
struct vfile;

/* What a server may answer besides a result or -errno. */
#define CALL_PROCEED  LONG_MIN       /* not ours: the kernel carries the call out */
#define CALL_ANSWERED (LONG_MIN + 1) /* it has been: see inject.h */

/* Most structs, with the array that follows some. */
#define CALL_AHEAD 256

struct call {
	struct client client;
	struct host *host;
	int listener;
	uint64_t id;
	pid_t tid;
	int nr;
	const __u64 *args;
	struct process *process; /* once call_process() has found it */
	bool dmabuf; /* the descriptor that was looked at last is a dma-buf's */
	/*
	 * What was read last, and as much of its page after it: a struct's size, the
	 * struct, and what follows come of one reading. Empty after a write.
	 */
	uint64_t ahead_va;
	size_t ahead_bytes;
	unsigned char ahead[CALL_AHEAD];
};

void call_init(struct call *c, struct host *host, int listener,
	       const struct seccomp_notif *req);
void call_finish(struct call *c);

/* Is the client still waiting for this call? */
bool call_alive(const struct call *c);

/* -EFAULT also stands for a client that is gone. */
int call_copy_in(struct call *c, void *dst, uint64_t va, size_t n);
int call_copy_out(struct call *c, uint64_t va, const void *src, size_t n);
/* A NUL-terminated string of less than @cap bytes: -EFAULT, -ENAMETOOLONG. */
int call_copy_path(struct call *c, uint64_t va, char *path, size_t cap);

/* The caller's process; -ESRCH, -EPERM, -ENOMEM. Found once a call. */
int call_process(struct call *c, struct process **out);

/* A duplicate of the client's descriptor, ours to close; -EBADF. */
int call_get_fd(struct call *c, int fd);
/*
 * The virtual file behind the client's descriptor, with a reference, and, if @ours is
 * not NULL, our duplicate of the descriptor, the caller's to close. NULL: not ours.
 */
struct vfile *call_get_vfile(struct call *c, int fd, int *ours);

/*
 * Give the client a duplicate of @fd, which is closed: before the client goes on, so that
 * the last close of it is the client's and not ours. Its number there, or -errno.
 */
long call_install(struct call *c, int fd, bool cloexec);

/*
 * The numbers that queues' and attributes' descriptors get, so that read(2) and write(2)
 * on them can be caught and all others stay native: a multiple of how many there are, and
 * below the usual limit of 1024. A queue that gets no such number, or is read by a
 * duplicate with another, is read natively (iommufd/eventq.h).
 */
#define QUEUE_FD_FIRST 960
#define QUEUE_FDS      64
/* call_install() with one of those numbers, if the client has one free. */
long call_install_queue(struct call *c, int fd, bool cloexec);
/*
 * The same for a duplicate, @min or more. The descriptor @fd stays the caller's.
 * CALL_PROCEED: there is no such number.
 */
long call_duplicate(struct call *c, int fd, uint64_t min, bool cloexec);

/* Where programs put duplicates: on what they write there we look, too. */
#define LOW_FDS 16

/* One table for all system calls that are notified. */
enum call_when {
	CALL_ALWAYS,
	CALL_IOCTL_TYPE,    /* of the types and numbers that filter.c names */
	CALL_MARKED_OFFSET, /* argument @arg is an offset of a region */
	CALL_QUEUE_FD,      /* argument @arg is a number that queues get */
};

/* Besides that. */
enum call_also {
	ALSO_QUEUE_FD = 1, /* argument @fd_arg is a number that queues get */
	ALSO_STDOUT = 2,   /* argument 0 is 1, and argument 2 less than a page */
	ALSO_STDIN = 16,   /* argument 0 is 0, and argument 2 is 2 or 4 */
	ALSO_LOW_FD = 8,   /* argument 0 is a low number, as filter.c has it */
	ALSO_GETFL = 16,   /* argument 1 is F_GETFL */
	ALSO_ANY = 4,      /* with fault injection: always; its files have any number */
};

struct call_entry {
	int nr;
	enum call_when when;
	unsigned arg;
	long (*serve)(struct call *c);
	unsigned also; /* enum call_also */
	unsigned fd_arg;
};

extern const struct call_entry call_table[];
extern const size_t call_table_entries;

/* The servers. calls_file.c */
long serve_ioctl(struct call *c);
long serve_mmap(struct call *c);
long serve_read(struct call *c);
long serve_write(struct call *c);
long serve_readv(struct call *c);
long serve_writev(struct call *c);
long serve_pread(struct call *c);
long serve_pwrite(struct call *c);
long serve_preadv(struct call *c);
long serve_pwritev(struct call *c);
long serve_ftruncate(struct call *c);
long serve_dup(struct call *c);
long serve_fcntl(struct call *c);
long serve_exec(struct call *c);
/* calls_dmabuf.c */
/* fcntl(fd, F_GETFL) */
long serve_getfl(struct call *c);
long serve_fallocate(struct call *c);
/* calls_path.c */
long serve_open(struct call *c);
long serve_creat(struct call *c);
long serve_openat(struct call *c);
long serve_openat2(struct call *c);
long serve_stat(struct call *c);
long serve_lstat(struct call *c);
long serve_fstat(struct call *c);
long serve_newfstatat(struct call *c);
long serve_statx(struct call *c);
long serve_access(struct call *c);
long serve_faccessat(struct call *c);
long serve_readlink(struct call *c);
long serve_readlinkat(struct call *c);
long serve_getcwd(struct call *c);
long serve_chdir(struct call *c);
long serve_xattr(struct call *c);

#endif
