/* SPDX-License-Identifier: MIT */
/*
 * Client processes: one struct for each thread group that has made a call for which its
 * descriptors or its memory as a whole are needed.
 *
 * Processes are found by the thread id of a call, and remembered. A remembered one is
 * checked against reuse of its numbers: its pidfd fails with ESRCH once it is dead, and
 * tgkill(2) tells whether the thread belongs to it.
 *
 * Reference counted; the table holds one reference until the process has ended
 * (process_table_event). The table's lock is a leaf.
 */
#ifndef HOST_PROCESS_H
#define HOST_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct call;
struct process;
struct process_table;
struct memory_space;

int process_table_create(struct process_table **out);
/* Takes NULL. */
void process_table_destroy(struct process_table *t);
/* Readable when a process has ended: for poll(2); then call process_table_event(). */
int process_table_fd(const struct process_table *t);
void process_table_event(struct process_table *t);
size_t process_table_count(struct process_table *t);

/*
 * The process that makes the call, with a reference. -ESRCH: it is gone; -EPERM;
 * -EMFILE, -ENOMEM.
 */
int process_of_call(struct process_table *t, struct call *c, struct process **out);
/* Takes NULL. */
void process_put(struct process *p);

pid_t process_id(const struct process *p);
/* Tells it from another process with the same number. */
uint64_t process_serial(const struct process *p);
/* A duplicate of its descriptor @fd. -EBADF, -ESRCH, -EPERM. */
int process_get_fd(struct process *p, int fd);
/*
 * The same by a thread's own table, for a thread whose process has lost its first thread
 * or that has unshared its descriptors (Linux 6.9). -EBADF.
 */
int process_get_thread_fd(pid_t tid, int fd);

/* Thread @tid is about to call execve(2); it may still fail. */
void process_execs(struct process_table *t, pid_t tid);
/* The address space of the calling thread, with a reference. */
int process_space(struct process *p, struct call *c, struct memory_space **out);

/* True once: for a warning that is worth giving only the first time. */
bool process_warn_once(struct process_table *t);

#endif
