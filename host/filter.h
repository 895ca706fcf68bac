/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filter of a client: which of its system calls come to us. It is made from
 * call_table (call.h) before the client is forked, and lets everything else run
 * natively, calls of other ABIs (32 bits, x32) included, but for one that tells us of a
 * 32-bit program.
 */
#ifndef HOST_FILTER_H
#define HOST_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * @prog->filter is the caller's to free. 0 or -errno. @any_file: with what those entries
 * of the table ask for that say so.
 */
int filter_create(struct sock_fprog *prog, bool any_file);
/* Is this (seccomp_data.arch) the ABI that call_table is about? */
bool filter_is_native(uint32_t arch);

#endif
