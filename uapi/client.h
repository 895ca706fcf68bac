/* SPDX-License-Identifier: MIT */
/*
 * Who makes a call, and what a call can do with its maker's memory and fds.
 *
 * Two kinds exist: a process under `uiommufd run` (host/) and the program that links
 * the library (machine/local_client.c). Handlers in iommufd/ and vfio/ see only this.
 *
 * Nothing a client passes is trusted: a handler copies each argument once, by
 * client_copy_in(), and works on the copy.
 */
#ifndef UAPI_CLIENT_H
#define UAPI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct client;
struct mem_source;
struct uapi_trace;
struct vfile;

/* On whose account a client pins memory. */
struct client_owner {
	int pid;       /* of the process, also for prlimit(2) */
	uint64_t id;   /* tells the process from others with the same number */
	uint32_t uid;  /* the user all of whose processes count together */
	bool may_lock; /* no limit holds for it: CAP_IPC_LOCK */
};

/* What is mapped at an address of a client. */
struct client_vma {
	uint64_t last; /* of the mapping; inclusive */
	bool readable, writable;
	/* The virtual file whose region it shows, with a reference for the caller, and
	 * the offset in it of the address that was asked for; NULL: other memory. */
	struct vfile *file;
	uint64_t offset;
};

struct client_ops {
	/* Exactly @n bytes or -EFAULT. */
	int (*copy_in)(struct client *c, void *dst, uint64_t va, size_t n);
	int (*copy_out)(struct client *c, uint64_t va, const void *src, size_t n);
	/*
	 * A duplicate, in our process and close-on-exec, of the client's descriptor @fd;
	 * the caller closes it. -EBADF when the client has no such descriptor.
	 */
	int (*get_fd)(struct client *c, int fd);
	/*
	 * Give the client a new descriptor of @f: takes a reference of its own.
	 * @open_flags: access mode, O_NONBLOCK, O_CLOEXEC. The number in the client, or
	 * -EMFILE, -ENOMEM.
	 */
	int (*install)(struct client *c, struct vfile *f, int open_flags);
	/*
	 * Describe [va, va + length) of the client's memory; does not look at it yet
	 * (bad addresses are noticed by the source's pin).
	 */
	int (*user_memory)(struct client *c, uint64_t va, uint64_t length,
			   struct mem_source **out);
	/* -EFAULT: nothing is mapped there. */
	int (*vma)(struct client *c, uint64_t va, struct client_vma *out);
	/* May it do what root may (CAP_SYS_RESOURCE and the like)? */
	bool (*privileged)(struct client *c);
	/*
	 * The thread begins, or ends, what takes something away and does not fail, so
	 * that its copies are no points at which faults are injected. NULL: none are.
	 */
	void (*must_not_fail)(struct client *c, bool begins);
	/* False, or NULL: what it pins is nobody's, and not counted. */
	bool (*owner)(struct client *c, struct client_owner *out);
};

struct client {
	const struct client_ops *ops;
	struct machine *machine;
	struct uapi_trace *trace; /* the machine's; NULL: off */
	int pid;                  /* for traces; 0: not shown */
};

static inline int client_copy_in(struct client *c, void *dst, uint64_t va, size_t n)
{
	return c->ops->copy_in(c, dst, va, n);
}

static inline int client_copy_out(struct client *c, uint64_t va, const void *src,
				  size_t n)
{
	return c->ops->copy_out(c, va, src, n);
}

static inline void client_must_not_fail(struct client *c, bool begins)
{
	if (c->ops->must_not_fail)
		c->ops->must_not_fail(c, begins);
}

/*
 * The virtual file behind the client's @fd, with a reference for the caller; NULL in
 * *@out when it is some other kind of file. -EBADF.
 */
int client_get_vfile(struct client *c, int fd, struct vfile **out);

/* Has thread @tid (0: the calling one) CAP_IPC_LOCK in its own user namespace? */
bool client_may_lock(int tid);

/*
 * The client's @fd as an eventfd of ours: a duplicate that the caller closes. -EBADF;
 * -EINVAL: not an eventfd.
 */
int client_get_eventfd(struct client *c, int fd);
/* What tells it from all others as long as it is there; -1: the kernel does not say. */
int client_eventfd_number(int ours);
/*
 * Does any process have the eventfd of this number open, but for the descriptor @ours of
 * our own? True if that cannot be told. Looks through all of /proc.
 */
bool client_eventfd_in_use(int number, int ours);

#endif
