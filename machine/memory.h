/* SPDX-License-Identifier: MIT */
/*
 * Clients' memory as windows of the SPA space, made when first pinned and dropped with
 * the last pin:
 *  - one direct window for each memory file (memfd, shmem, hugetlbfs) by its inode;
 *  - for private memory, one window for each 1 TiB of an address space, remote when the
 *    address space is another process's (process_vm_readv), direct when it is our own.
 */
#ifndef MACHINE_MEMORY_H
#define MACHINE_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

#include "core/pages.h"

struct memory;
struct machine;

int memory_create(struct machine *m, struct memory **out);
void memory_destroy(struct memory *mem);

/*
 * A source over the file behind @fd (of our process; not kept), from byte @start on.
 * Always succeeds but for -ENOMEM: what kind of file it is, is looked at by the pin.
 * Pin: not a memory file, or beyond its end: -EINVAL (Linux 7.3 memfd_pin_folios).
 */
int memory_file_source(struct memory *mem, int fd, uint64_t start,
		       struct mem_source **out);

struct memory_vma {
	uint64_t last; /* inclusive */
	bool readable, writable;
	int fd;
	uint64_t file_offset;
	bool device; /* a mapping of one of our placeholders' regions: -EFAULT to pin */
	dev_t dev; /* @device: the placeholder's memory file */
	ino_t ino;
};

/*
 * How to look at an address space that is not ours. @ops work on a process that may be
 * dying: they answer -EFAULT or -ESRCH, never block for ever.
 */
struct memory_space;
struct memory_space_ops {
	int (*read)(struct memory_space *s, uint64_t va, void *dst, size_t n);
	int (*write)(struct memory_space *s, uint64_t va, const void *src, size_t n);
	/*
	 * What is mapped at @va? Answers the VMA that holds it: its end, permissions, and
	 * for a shared mapping of a memory file a descriptor of ours for that file (the
	 * caller closes it; -1 when there is none) and the file offset of @va.
	 * -EFAULT: nothing is mapped.
	 */
	int (*vma)(struct memory_space *s, uint64_t va, struct memory_vma *out);
	void (*put)(struct memory_space *s); /* the last reference is gone */
};
struct memory_space {
	const struct memory_space_ops *ops;
	_Atomic unsigned refs;
	bool own; /* our own address space: direct windows */
};
void memory_space_get(struct memory_space *s);
void memory_space_put(struct memory_space *s);

/* What @space shows at @va, as a client's vma operation answers it. */
struct client_vma;
int memory_space_vma(struct machine *m, struct memory_space *space, uint64_t va,
		     struct client_vma *out);

/* A source over [va, ...) of an address space. Takes its own reference to @space. */
int memory_user_source(struct memory *mem, struct memory_space *space, uint64_t va,
		       struct mem_source **out);

/*
 * How often Linux would have the page at @spa pinned: once for each source that has any
 * of it pinned. @except (may be NULL) does not count. Looks at every pin: for tests.
 */
unsigned memory_count_pins(struct memory *mem, uint64_t spa,
			   const struct mem_source *except);

#endif
