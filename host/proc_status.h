/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/status of a process that has memory pinned: the kernel's, with our numbers
 * in VmPin and VmLck. A copy of the moment it is opened; reading it again from the start
 * shows the same.
 */
#ifndef HOST_PROC_STATUS_H
#define HOST_PROC_STATUS_H

struct call;

/*
 * A descriptor of ours for the file @path (absolute) that the client opens for reading.
 * CALL_PROCEED: not such a file, or we have nothing to add.
 */
long proc_status_open(struct call *c, const char *path);

#endif
