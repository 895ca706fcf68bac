/* SPDX-License-Identifier: MIT */
/*
 * What the hosted port offers beyond core/port.h: to machine/ (the guard), to device
 * threads and to tests.
 */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include "core/port.h"

/*
 * Install the SIGSEGV and SIGBUS handler that port_copy_guarded() relies on. Once per
 * process; later calls do nothing. Before it the guarded copies work, but a fault in
 * them kills the process as any other does. Signals that are not the guard's go on to
 * the handlers that were installed before. 0 or -errno of sigaction().
 */
int port_guard_install(void);

/* How many times port_bug() was called in this process. */
unsigned long port_bug_count(void);

#endif
