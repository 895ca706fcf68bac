/* SPDX-License-Identifier: MIT */
/*
 * A CPU's access to registers behind a mapping that faults, done in its place: what the
 * supervisor does for the thread it traces (host/mmio_fault.c) and the library in the
 * handler of the program's signal (machine/library_fault.c).
 *
 * Which memory an address shows is looked up anew for each access: the program may have
 * unmapped it and mapped something else, of which nobody tells us. While we serve, the
 * thread is stopped, but others of its process are not: what they change meanwhile is as
 * if it had happened before or after.
 *
 * x86-64 only, as the room it uses.
 */
#ifndef MACHINE_MMIO_ACCESS_H
#define MACHINE_MMIO_ACCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/emulate.h"
#include "machine/vma.h"

struct machine;
struct vfile;

struct mmio_access {
	struct machine *machine;
	int maps; /* an open /proc/PID/maps of the process; the caller's */
	/* Its other memory, from and to which an instruction may move what it moves, and
	 * its vector registers; store_whole is not called. */
	const struct cpu_bus *rest;
	void *arg;
	/* The rest is for mmio_access.c; zero. */
	struct vma vma;
	struct vfile *file; /* the device behind @vma; NULL: ordinary memory */
	bool looked;        /* @vma and @file are of an address */
};

/* Does the signal come from such an access, by the instruction in @code at rip? */
bool mmio_access_raised(struct mmio_access *a, int sig, const siginfo_t *info,
			const struct cpu_state *s, const void *code, size_t n);
/* As cpu_emulate(). */
int mmio_access_do(struct mmio_access *a, struct cpu_state *s, const void *code,
		   size_t n);
void mmio_access_finish(struct mmio_access *a);

#endif
