/* SPDX-License-Identifier: MIT */
/*
 * Opens of attributes (view_attr.h).
 *
 * The placeholder is a sealed memory file that holds what the attribute was at the open,
 * so reads by descriptors that are not caught still see that, and writes fail (EPERM)
 * rather than get lost. The position is the placeholder's own, so lseek(2) is native, and
 * shared by duplicates.
 */
#ifndef HOST_ATTR_FILE_H
#define HOST_ATTR_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct attr_files;
struct call;
struct vfile;
struct view_node;

int attr_files_create(struct attr_files **out);
/* No file is open. Takes NULL. */
void attr_files_destroy(struct attr_files *a);

/* An open of the node, an attribute, between view_read_begin() and _end(). */
int attr_file_open(struct attr_files *a, const struct view_node *n, int flags,
		   struct vfile **out);
/* Of an attribute with a `dump`: a descriptor of ours to what it says now. */
int attr_file_dump(const struct view_node *n);
/* May some descriptor be an open for writing, or of bytes? */
bool attr_file_in_use(const struct attr_files *a);

/* What view_attr.map answers for an mmap(2) by the client's descriptor @fd, as ours. */
int attr_file_map(struct vfile *f, int fd, uint64_t offset, uint64_t length,
		  uint64_t *at);
/* The virtual path of the attribute that @f is an open of; NULL: it is none. */
const char *attr_file_path(const struct vfile *f);
/* What one write of the @n bytes at @text, with room for a NUL after them, answers. */
ssize_t attr_file_write(struct vfile *f, int fd, char *text, size_t n);
/* Reads and writes at an offset, by pread64(2) and its like. */
ssize_t attr_file_transfer(struct call *c, struct vfile *f, bool write);

#endif
