/* SPDX-License-Identifier: MIT */
/*
 * A client's address space as DMA sees it (machine/memory.h): what was pinned stays
 * reachable by it until the last pin goes, whatever becomes of the process.
 *
 * It holds /proc/PID/mem and /proc/PID/maps open. Both name the address space that the
 * process had when they were opened, not the process: after an exec or the end of the
 * process they answer end of file, which we turn into -EFAULT, and can never reach the
 * image that followed or another process with the same number. Access through them
 * heeds no later mprotect(), like DMA to pinned pages.
 *
 * The rights to it were checked when it was opened.
 */
#ifndef HOST_SPACE_H
#define HOST_SPACE_H

#include <sys/types.h>

struct memory_space;

/* Thread @tid's of process @tgid. -ESRCH, -EACCES, -EPERM, -EMFILE, -ENOMEM. */
int space_create(pid_t tgid, pid_t tid, struct memory_space **out);

#endif
