/* SPDX-License-Identifier: MIT */
/*
 * What is mapped at an address of a process: PROCMAP_QUERY (Linux 6.11) where there is
 * one, else /proc/PID/maps read as text.
 */
#ifndef MACHINE_VMA_H
#define MACHINE_VMA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct vma {
	uint64_t start, last; /* inclusive */
	bool readable, writable, shared;
	dev_t dev; /* of the mapped file; 0: anonymous */
	ino_t ino;
	uint64_t file_offset; /* of @start */
};

/*
 * The mapping that holds @va. @maps_fd: an open /proc/PID/maps; it names the address
 * space that the process had when it was opened. -EFAULT: nothing is there, or the
 * address space is gone; -ENOMEM.
 */
int vma_query(int maps_fd, uint64_t va, struct vma *out);

/*
 * A descriptor of ours for the file that @vma of process @pid maps, opened as writable
 * as it can be; -ENOENT: the process holds no descriptor by which to reach it, and
 * /proc/PID/map_files is closed to us.
 */
int vma_open_file(pid_t pid, const struct vma *vma);

#endif
