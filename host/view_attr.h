/* SPDX-License-Identifier: MIT */
/*
 * Attributes: files of the view whose reads and writes are answered by us.
 *
 * A kind of attribute is a constant struct view_attr; an attribute is a kind and an
 * object, at a path (view_add_attr). There are two sorts, as in sysfs: texts (`show`,
 * `store`), and ranges of bytes (`read`, `write`).
 *
 * An open of one (attr_file.c) is a virtual file. Its descriptor has one of the numbers
 * whose reads and writes are caught (host/call.h), and so has what dup(2) or fcntl(2)
 * makes of it. dup2(2) may give it any other: by that number it reads as what it was when
 * it was opened, and can be written to if the number is low (LOW_FDS), as those are that
 * a shell's redirections use; else writing answers EPERM.
 *
 * Calls of an attribute are made with no lock held, several at a time. While one is at
 * work the attribute is not removed: view_remove() waits. So a call may remove any node
 * but its own.
 */
#ifndef HOST_VIEW_ATTR_H
#define HOST_VIEW_ATTR_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define VIEW_ATTR_BYTES 4096 /* of a text, as sysfs has it */

struct view_attr {
	mode_t mode; /* permissions: 0444, 0644, 0200 */
	/* A text without its NUL, into @cap bytes: its length, or -errno. */
	ssize_t (*show)(void *object, char *text, size_t cap);
	/* What one write(2) wrote, @n bytes and a NUL: 0 or -errno. */
	int (*store)(void *object, const char *text, size_t n);
	/* Bytes at @offset: how many, or -errno. Neither these nor texts: EIO. */
	ssize_t (*read)(void *object, uint64_t offset, void *dst, size_t n);
	ssize_t (*write)(void *object, uint64_t offset, const void *src, size_t n);
	/*
	 * A text of any length, written once for each open, whose descriptor then is an
	 * ordinary one: 0 or -errno. There is no `show` then, nor `store`.
	 */
	int (*dump)(void *object, FILE *out);
	/* What stat(2) says of bytes; NULL: a page. */
	uint64_t (*size)(void *object);
	/*
	 * For an mmap(2) of @length bytes from @offset on by who has it open with @flags:
	 * a descriptor of ours that is mapped instead, from *@at on; -errno. NULL:
	 * ENODEV.
	 */
	int (*map)(void *object, uint64_t offset, uint64_t length, int flags,
		   uint64_t *at);
};

/* An attribute that is there, or was: reference counted. */
struct view_live {
	const struct view_attr *attr;
	void *object;
	_Atomic unsigned refs;
	pthread_mutex_t lock; /* a leaf */
	pthread_cond_t idle;
	unsigned at_work; /* lock */
	bool removed;     /* lock */
	bool left;        /* lock: one of those at work is not waited for: */
	pthread_t leaver; /* lock */
};

struct view_live *view_live_create(const struct view_attr *attr, void *object);
void view_live_get(struct view_live *l);
/* Takes NULL. */
void view_live_put(struct view_live *l);
/* A call begins and ends. -ENODEV: it has been removed. */
int view_live_begin(struct view_live *l);
void view_live_end(struct view_live *l);
/*
 * For a call at work that is to remove its own attribute: no call begins any more, and
 * the removal does not wait for this one, which must not use its object without a hold of
 * its own. False: another call was first, or it is being removed.
 */
bool view_live_leave(struct view_live *l);
/* No call begins any more, and none is at work but one that has left. */
void view_live_remove(struct view_live *l);

/* A line of a list of numbers or the like: its text without a newline at its end. */
size_t view_text_length(const char *text, size_t n);

#endif
