/* SPDX-License-Identifier: MIT */
/*
 * A virtual file: what stands behind a descriptor that a client got from us (an open
 * of /dev/iommu, an open of a VFIO device, a dma-buf ...).
 *
 * Reference counted. Each open description the client holds is one reference
 * (machine/files.h finds its end); a handler at work holds one more. `release` runs
 * when the last is gone, on whichever thread dropped it, with no lock held.
 *
 * The client's descriptor itself is a placeholder: a memory file. Offsets from
 * VFILE_MARK upwards are regions of the virtual file; the seccomp filter sends accesses
 * there to us and lets every other read, write and mmap of the process run natively.
 *
 * A region has a second place, at VFILE_FAULTING more, beyond the end of the file: what
 * is mapped there has no memory, so each access by the CPU faults and can be served.
 * Reads and writes at both places are the same.
 */
#ifndef UAPI_VFILE_H
#define UAPI_VFILE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct client;
struct dmabuf;
struct vfile;

/* Region @i of a device lies at VFILE_REGION(i); each may be up to 1 TiB long. */
#define VFILE_MARK         ((uint64_t)1 << 62)
#define VFILE_REGION_SHIFT 40
#define VFILE_REGION(i)    (VFILE_MARK | (uint64_t)(i) << VFILE_REGION_SHIFT)
#define VFILE_FAULTING     ((uint64_t)1 << 45)
#define VFILE_REGION_INDEX(off)                                                          \
	(((off) & ~(VFILE_MARK | VFILE_FAULTING)) >> VFILE_REGION_SHIFT)
#define VFILE_REGION_OFFSET(off) ((off) & (((uint64_t)1 << VFILE_REGION_SHIFT) - 1))
#define VFILE_STORAGE_BYTES      (VFILE_REGION(16))
/*
 * Where vfio-pci has configuration space. Programs should ask where it is, and some do
 * not (DPDK until 23.07): what they read and write there is caught as well.
 */
#define VFILE_FIXED_CONFIG ((uint64_t)7 << VFILE_REGION_SHIFT)

struct vfile_ops {
	const char *name; /* for traces: "iommu", "vfio-device", "dmabuf" */
	/* The result of ioctl(2): >= 0 or -errno. @arg as the client passed it. */
	long (*ioctl)(struct vfile *f, struct client *c, uint32_t cmd, uint64_t arg);
	/* pread64/pwrite64 at @offset (with the mark); NULL: -EINVAL. */
	ssize_t (*pread)(struct vfile *f, struct client *c, uint64_t va, size_t n,
			 uint64_t offset);
	ssize_t (*pwrite)(struct vfile *f, struct client *c, uint64_t va, size_t n,
			  uint64_t offset);
	/*
	 * May the client map [offset, offset + length) with this PROT_* and MAP_*? 0: the
	 * native mmap of the placeholder goes ahead. NULL: -EINVAL.
	 */
	int (*mmap)(struct vfile *f, uint64_t offset, uint64_t length, int prot,
		    int flags);
	/*
	 * The dma-buf that this file is, with a reference for the caller, so that files
	 * of any exporter can be imported. NULL, or answering NULL: not a dma-buf.
	 */
	struct dmabuf *(*dmabuf)(struct vfile *f);
	/*
	 * A dma-buf over what a client's mapping of [offset, offset + length) shows, both
	 * page-aligned. NULL: no mapping of it shows a device's memory. -EINVAL: that part
	 * does not; -ENODEV: it is taken away.
	 */
	int (*slice)(struct vfile *f, uint64_t offset, uint64_t length,
		     struct dmabuf **out);
	/* What /proc/PID/fd/N says of it, if it is no node. NULL: "/name:". */
	void (*link_text)(struct vfile *f, char *buf, size_t cap);
	/*
	 * Of a queue (`ends`): read(2) and write(2), where they can be caught; @fd is a
	 * duplicate of the client's end, to take back what lies in it.
	 */
	ssize_t (*read)(struct vfile *f, struct client *c, int fd, uint64_t va, size_t n);
	ssize_t (*write)(struct vfile *f, struct client *c, uint64_t va, size_t n);
	/* Of a queue: the client has read, written or closed natively. No lock is held.
	 */
	void (*ready)(struct vfile *f);
	void (*release)(struct vfile *f);
};

struct vfile {
	const struct vfile_ops *ops;
	_Atomic unsigned refs;
	/*
	 * The memory file whose pages the client sees when it maps the placeholder, owned
	 * by whoever embeds this; -1: an empty file of @size bytes is made for it.
	 */
	int storage_fd;
	uint64_t size;
	/*
	 * A queue: instead of a memory file the client gets the second end of this pair
	 * of SOCK_SEQPACKET sockets, so that its poll(2), and where nothing else catches
	 * them its read(2) and write(2), run natively. files_open() takes the second end,
	 * so there is one open. The first is the owner's, who closes it in `release`.
	 * Else -1.
	 */
	int ends[2];
	/* fstat answers a character device with this number; 0: the file as it is. */
	dev_t rdev;
	/* For /proc and traces; NULL: ops->name. Lives as long as the vfile. */
	const char *label;
};

void vfile_init(struct vfile *f, const struct vfile_ops *ops, int storage_fd,
		uint64_t size);
void vfile_get(struct vfile *f);
/* Takes NULL. */
void vfile_put(struct vfile *f);

#endif
