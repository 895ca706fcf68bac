/* SPDX-License-Identifier: MIT */
/*
 * The part of /dev and /sys that a client sees of the machine.
 *
 * A tree of nodes says what is there. A private directory (the store) holds the same tree
 * with real files, directories and symbolic links, so that a client that opens one gets a
 * real descriptor and reads and lists it without us. Two kinds of node are empty files
 * there: a device node, of which an open for more than a look (O_PATH) opens the
 * machine's device instead, and an attribute (view_attr.h), whose reads and writes are
 * answered by us.
 *
 * The tree changes while clients look at it: devices are bound and unbound, functions
 * come and go. Who walks it, or uses a node that a walk has led to, is between
 * view_read_begin() and view_read_end(); what changes it takes the same lock for writing,
 * inside, for each change. Inside it only short locks are taken, and nobody waits for a
 * client.
 *
 * Virtual paths lie over the host's. A directory that the host has as well is *merged*:
 * names that are not ours in it are the host's. Other directories are ours alone. In a
 * *listed* merged directory the store also has links to the host's entries, so listing
 * shows both; in other merged directories (/dev, /sys/class) listing shows the host's.
 *
 * The store belongs to the user who runs the command, so a client can change what is in
 * it, but not what path leads where: that is decided by the nodes alone.
 */
#ifndef HOST_VIEW_H
#define HOST_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct machine;
struct view;
struct view_attr;
struct view_live;

enum view_kind {
	VIEW_DIR,
	VIEW_FILE,
	VIEW_LINK,
	VIEW_DEVICE,
	VIEW_ATTR,
};

struct view_node {
	struct view_node *parent; /* NULL: the root */
	struct view_node *children, *next;
	char *name;
	char *path; /* absolute, virtual */
	enum view_kind kind;
	mode_t mode;            /* permissions */
	bool merged, listed;    /* VIEW_DIR */
	char *target;           /* VIEW_LINK */
	dev_t rdev;             /* VIEW_DEVICE */
	struct view_live *live; /* VIEW_ATTR: a reference (view_attr.h) */
};

int view_create(struct view **out);
/* Removes the store. Takes NULL. */
void view_destroy(struct view *v);

/* ---- making and changing ------------------------------------------------------ */

/* Parents are made as needed. -ENOMEM, -EEXIST, or what making a file answers. */
int view_add_dir(struct view *v, const char *path);
/* A directory of ours alone, even if the host has one. One that is there already is ok.
 */
int view_own_dir(struct view *v, const char *path);
/* The host's entries show in it from now on. */
int view_list_dir(struct view *v, const char *path);
/* A file for reading whose text never changes. */
int view_add_text(struct view *v, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A file that keeps what is written to it. */
int view_add_knob(struct view *v, const char *path, const char *text);
int view_add_link(struct view *v, const char *path, const char *target);
int view_add_device(struct view *v, const char *path, dev_t rdev);
/* @attr lives as long as the view, @object until view_remove() has returned. */
int view_add_attr(struct view *v, const char *path, const struct view_attr *attr,
		  void *object);
/*
 * Remove what is at @path with all below it, if there is anything. Returns when no call
 * of an attribute in it is at work any more; its open files answer ENODEV.
 */
void view_remove(struct view *v, const char *path);
/* view_live_leave() of the attribute at @path. */
bool view_leave(struct view *v, const char *path);
/* Is there one of ours? (It may be gone at once.) */
bool view_has(struct view *v, const char *path);

/* ---- using -------------------------------------------------------------------- */

void view_read_begin(struct view *v);
void view_read_end(struct view *v);

#define VIEW_HOST 1 /* view_resolve: the path leads to the host's own files */

/*
 * Where @path leads, from the virtual directory @base if it is relative; @follow: also
 * through a symbolic link in its last component. Host paths are taken as text: links of
 * the host are not followed. 0: to *@out; VIEW_HOST; -ENOENT, -ENOTDIR, -ELOOP.
 */
int view_resolve(const struct view *v, const char *base, const char *path, bool follow,
		 const struct view_node **out);

/*
 * The virtual path (inside the same string) of what the kernel names @path when asked for
 * one of a client's files; NULL if it is certainly not in the store.
 */
const char *view_path_of(const struct view *v, const char *path);

/* Is the store where the link, one of /proc's, leads? */
bool view_holds(const struct view *v, const char *link);

/* The device node with this number, or NULL. */
const struct view_node *view_device(const struct view *v, dev_t rdev);

/* The store's file for a node that is no link, with open(2)'s flags but for creation. */
int view_open(const struct view *v, const struct view_node *n, int flags);
/* As the kernel would answer for the node itself; a device is a character device, and the
 * size of a file in /sys is a page. */
int view_stat(const struct view *v, const struct view_node *n, struct stat *st);
int view_statx(const struct view *v, const struct view_node *n, unsigned mask,
	       struct statx *stx);
int view_access(const struct view *v, const struct view_node *n, int mode);
/* May it be opened so, with O_ACCMODE's modes? -EACCES. */
int view_may_open(const struct view_node *n, int flags);

#endif
