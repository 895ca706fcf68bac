/* SPDX-License-Identifier: MIT */
/*
 * The placeholders: real file descriptors that stand for virtual files.
 *
 * A placeholder is an open description of a memory file. It is known by the file's
 * (device, inode); where several descriptions of one file exist (a VFIO device opened
 * twice: they must share the memory of its BARs), by a one-byte open-file-description
 * lock that each holds at an offset of its own. So a placeholder survives dup, fork,
 * exec and SCM_RIGHTS, in any process, and we hold no copy of it that would keep it
 * open. Its last close shows as an inotify event of the file, and as the lock being
 * gone; a client's mmap of it counts as open, as in Linux.
 *
 * A queue's placeholder (vfile.ends) is one end of a socket pair, known by its inode,
 * too; its last close is the hang-up of the other end.
 *
 * files_reap() must run before each client request is handled, so that what a client
 * closed is released before what it asks for next.
 */
#ifndef MACHINE_FILES_H
#define MACHINE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "uapi/vfile.h"

struct files;

int files_create(struct files **out);
/* Drops the references of descriptions still open; answers how many. Takes NULL. */
int files_destroy(struct files *files);

/*
 * Make a placeholder for @f, which gets a reference for the lifetime of the open
 * description. @open_flags: access mode, O_NONBLOCK, O_CLOEXEC. Answers an fd of ours
 * that the caller passes on and closes. -EMFILE, -ENOMEM ...
 */
int files_open(struct files *files, struct vfile *f, int open_flags);

/* The virtual file behind @fd (of our process), with a reference for the caller, or
 * NULL when it is not a placeholder. */
struct vfile *files_lookup(struct files *files, int fd);
/* One of the virtual files whose placeholders are opens of this memory file, likewise. */
struct vfile *files_find(struct files *files, dev_t dev, ino_t ino);

/*
 * Tell queues of what their clients have done (vfile_ops.ready), and release every
 * virtual file whose last descriptor was closed, before returning. True: a
 * close is under way in another process and not complete; call again soon. Callers are
 * serialised; do not call it with a lock held that a release may need.
 */
bool files_reap(struct files *files);

/* Readable when there is something to reap: for poll(2). Owned by @files. */
int files_event_fd(const struct files *files);

/* How many open descriptions there are. */
size_t files_count(struct files *files);

#endif
