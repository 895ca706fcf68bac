/* SPDX-License-Identifier: MIT */
/*
 * The part of /dev and /sys that a client sees of the machine.
 *
 * A tree of nodes, made once from the machine and constant from then on, says what is
 * there. A private directory (the store) holds the same tree with real files,
 * directories and symbolic links, so that a client that opens one gets a real
 * descriptor and reads and lists it without us. A device node is an empty file there;
 * opening it for more than a look (O_PATH) opens the machine's device instead.
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

struct pci_device;
struct machine;
struct view;

enum view_kind {
	VIEW_DIR,
	VIEW_FILE,
	VIEW_LINK,
	VIEW_DEVICE,
};

struct view_node {
	struct view_node *parent; /* NULL: the root */
	struct view_node *children, *next;
	char *name;
	char *path; /* absolute, virtual */
	enum view_kind kind;
	bool merged, listed;       /* VIEW_DIR */
	char *target;              /* VIEW_LINK */
	dev_t rdev;                /* VIEW_DEVICE */
	struct pci_device *config; /* VIEW_FILE: the configuration space of this */
};

int view_create(struct machine *m, struct view **out);
/* Removes the store. Takes NULL. */
void view_destroy(struct view *v);

/* ---- making (view_pci.c) ------------------------------------------------------ */

/* Parents are made as needed. -ENOMEM or what making a file answers; existing ones ok. */
int view_add_dir(struct view *v, const char *path);
/* A directory of ours alone, even if the host has one. */
int view_own_dir(struct view *v, const char *path);
/* To be called once all of ours are in it. */
int view_list_dir(struct view *v, const char *path);
int view_add_file(struct view *v, const char *path, const void *data, size_t n);
int view_add_text(struct view *v, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int view_add_link(struct view *v, const char *path, const char *target);
int view_add_device(struct view *v, const char *path, dev_t rdev);
int view_add_config(struct view *v, const char *path, struct pci_device *dev);

/* All that the machine shows: view_pci.c. */
int view_populate(struct view *v, struct machine *m);

/* ---- using -------------------------------------------------------------------- */

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

/* The device node with this number, or NULL. */
const struct view_node *view_device(const struct view *v, dev_t rdev);

/* The store's file for a node that is no link, with open(2)'s flags but for creation. */
int view_open(const struct view *v, const struct view_node *n, int flags);
/* As the kernel would answer for the node itself; a device is a character device. */
int view_stat(const struct view *v, const struct view_node *n, struct stat *st);
int view_statx(const struct view *v, const struct view_node *n, unsigned mask,
	       struct statx *stx);
int view_access(const struct view *v, const struct view_node *n, int mode);

#endif
