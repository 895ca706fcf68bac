/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filter of a client: which of its system calls come to us. It is made from
 * call_table (call.h) before the client is forked, and lets everything else run
 * natively, calls of other ABIs (32 bits, x32) included.
 */
#ifndef HOST_FILTER_H
#define HOST_FILTER_H

#include <linux/filter.h>

/* @prog->filter is the caller's to free. 0 or -errno. */
int filter_create(struct sock_fprog *prog);

#endif
