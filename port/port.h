/* SPDX-License-Identifier: MIT */
/*
 * What the hosted port offers beyond core/port.h: to machine/ (the guard), to device
 * threads and to tests.
 */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include "core/port.h"

/*
 * Have the SIGSEGV and SIGBUS handler in front that port_copy_guarded() relies on.
 * Without it the guarded copies work, but a fault in them kills the process as any
 * other does. Signals that are not the guard's go on to the handlers that were there
 * before. May be called again at any time: where somebody has installed other handlers
 * since, it goes in front of those. 0, -ENOMEM, or -errno of sigaction().
 */
int port_guard_install(void);

/*
 * Is this thread in a guarded copy, fill or access that @addr is part of? For another
 * party's handler of SIGBUS: then the fault is not for it. Async-signal-safe.
 */
bool port_guard_covers(const void *addr);

/*
 * Bytes of table pages and tree nodes that are handed out, which come from pools of
 * their own. 0 under address and thread sanitizer, where they come from malloc.
 */
size_t port_pool_bytes(void);

/* How many times port_bug() was called in this process. */
unsigned long port_bug_count(void);

#endif
