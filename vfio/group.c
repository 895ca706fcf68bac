/* SPDX-License-Identifier: MIT */
/*
 * IOMMU groups and their nodes: see group.h. The order of checks is Linux 7.3's.
 *
 * Groups come and go with the machine, on one thread, so `refs` needs no lock. All else
 * is under group.lock.
 */
#include "vfio/group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "uapi/vfio_fields.h"
#include "vfio/device.h"

#define NAME_BYTES PORT_PAGE_SIZE

struct vfio_group {
	struct machine *machine;
	const void *key;
	_Atomic(const void *) *owner; /* iommufd's: who may use the devices */
	unsigned number;
	unsigned refs; /* devices */
	char label[32];
	struct port_mutex lock;
	bool open;
	unsigned blocked;                 /* devices bound by their own nodes */
	struct vfio_container *container; /* NULL: none */
	struct group_link link;
	unsigned users; /* opens of devices */
	/* Of the node: it ends with the group's last device (vfio_group_revoke). */
	unsigned generation;
};

/* An open of the node. */
struct group_file {
	struct vfile f;
	struct vfio_group *group;
	unsigned generation; /* constant; another than the group's: revoked */
};

/* ---- the group -------------------------------------------------------------------- */

static struct vfio_group *find(struct machine *m, const void *key)
{
	for (size_t i = 0; i < m->nr_devices; i++)
		if (m->devices[i]->place.group_key == key)
			return m->devices[i]->group;
	return NULL;
}

static struct vfio_group *create(struct machine *m, const struct pci_placement *place)
{
	struct vfio_group *g = port_alloc(sizeof(*g));

	if (!g)
		return NULL;
	g->machine = m;
	g->key = place->group_key;
	g->owner = place->group_owner;
	g->number = place->group;
	g->link.group = g;
	snprintf(g->label, sizeof(g->label), "/dev/vfio/%u", g->number);
	port_mutex_init(&g->lock);
	return g;
}

int vfio_group_join(struct pci_device *dev)
{
	dev->group = find(dev->machine, dev->place.group_key);
	if (!dev->group)
		dev->group = create(dev->machine, &dev->place);
	if (!dev->group)
		return -ENOMEM;
	dev->group->refs++;
	return 0;
}

void vfio_group_leave(struct pci_device *dev)
{
	struct vfio_group *g = dev->group;

	if (!g || --g->refs)
		return;
	port_mutex_finish(&g->lock);
	port_free(g);
}

struct pci_device *vfio_group_next(const struct vfio_group *g, size_t *i)
{
	const struct machine *m = g->machine;

	for (; *i < m->nr_devices; ++*i)
		if (m->devices[*i]->group == g)
			return m->devices[*i];
	return NULL;
}

int vfio_group_block(struct vfio_group *g)
{
	int err = 0;

	port_mutex_lock(&g->lock);
	if (g->open)
		err = -EBUSY;
	else
		g->blocked++;
	port_mutex_unlock(&g->lock);
	return err;
}

void vfio_group_unblock(struct vfio_group *g)
{
	port_mutex_lock(&g->lock);
	g->blocked--;
	port_mutex_unlock(&g->lock);
}

void vfio_group_unuse(struct vfio_group *g)
{
	port_mutex_lock(&g->lock);
	g->users--;
	port_mutex_unlock(&g->lock);
}

/* ---- the container ---------------------------------------------------------------- */

static struct group_file *file_of(struct vfile *f)
{
	return container_of(f, struct group_file, f);
}

static struct vfio_group *call_group(struct uapi_call *call)
{
	return file_of(call->file)->group;
}

/* With the lock held. */
static bool revoked(const struct group_file *file)
{
	return file->generation != file->group->generation;
}

static bool claim(struct vfio_group *g)
{
	const void *nobody = NULL;

	return !g->owner || atomic_compare_exchange_strong(g->owner, &nobody, g);
}

static void unclaim(struct vfio_group *g)
{
	if (g->owner)
		atomic_store(g->owner, NULL);
}

/* With the lock held. */
static int set_container(struct vfio_group *g, struct vfio_container *c)
{
	int err;

	if (g->container)
		return -EINVAL;
	if (!c)
		return -EBADFD;
	if (!claim(g))
		return -EBUSY;
	err = vfio_container_attach(c, &g->link);
	if (err) {
		unclaim(g);
		return err;
	}
	g->container = c;
	return 0;
}

static long set_container_ioctl(struct uapi_call *call)
{
	struct vfio_group *g = call_group(call);
	struct vfile *f;
	int32_t fd;
	int err = client_copy_in(call->client, &fd, call->arg, sizeof(fd));

	if (!err)
		err = client_get_vfile(call->client, fd, &f);
	if (err)
		return err;
	port_mutex_lock(&g->lock);
	if (revoked(file_of(call->file)))
		err = -ENODEV;
	else
		err = set_container(g, f ? vfio_container_of_file(f) : NULL);
	port_mutex_unlock(&g->lock);
	vfile_put(f);
	return err;
}

/* With the lock held. The container, to be put by the caller without it. */
static struct vfio_container *unset_container(struct vfio_group *g)
{
	struct vfio_container *c = g->container;

	if (!c)
		return NULL;
	vfio_container_detach(c, &g->link);
	g->container = NULL;
	unclaim(g);
	return c;
}

static long unset_container_ioctl(struct uapi_call *call)
{
	struct vfio_group *g = call_group(call);
	struct vfio_container *c = NULL;
	int err = 0;

	port_mutex_lock(&g->lock);
	if (revoked(file_of(call->file)) || !g->container)
		err = -EINVAL;
	else if (g->users)
		err = -EBUSY;
	else
		c = unset_container(g);
	port_mutex_unlock(&g->lock);
	if (c)
		vfio_container_put(c);
	return err;
}

/* Nobody else can have a device of an open group, so it is always viable. */
static long get_status_ioctl(struct uapi_call *call)
{
	struct vfio_group *g = call_group(call);
	struct vfio_group_status status;
	int err = 0;

	memcpy(&status, call->data, sizeof(status));
	status.flags = VFIO_GROUP_FLAGS_VIABLE;
	port_mutex_lock(&g->lock);
	if (revoked(file_of(call->file)))
		err = -ENODEV;
	else if (g->container)
		status.flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
	port_mutex_unlock(&g->lock);
	if (err)
		return err;
	memcpy(call->data, &status, sizeof(status));
	return uapi_respond(call, sizeof(status));
}

/* ---- devices ---------------------------------------------------------------------- */

/* A string of the client's, as strndup_user() takes it: -EINVAL: too long. */
static int copy_name(struct client *c, uint64_t va, char *name)
{
	for (size_t i = 0; i < NAME_BYTES; i++) {
		int err = client_copy_in(c, &name[i], va + i, 1);

		if (err)
			return err;
		if (!name[i])
			return 0;
	}
	return -EINVAL;
}

/*
 * Is it the device's name? After it there may be spaces; an option such as a token is
 * -EINVAL, for no device here is a virtual function.
 */
static int match(const struct pci_device *dev, const char *name)
{
	const struct pci_bdf *b = &dev->place.bdf;
	char own[32];
	size_t n;

	n = (size_t)snprintf(own, sizeof(own), "%04x:%02x:%02x.%u", b->domain, b->bus,
			     b->device, b->function);
	if (strncmp(own, name, n) || (name[n] && name[n] != ' '))
		return 0;
	return name[n + strspn(name + n, " ")] ? -EINVAL : 1;
}

static int find_device(const struct vfio_group *g, const char *name,
		       struct pci_device **out)
{
	struct pci_device *dev;

	for_each_in_group(dev, g)
	{
		int result = match(dev, name);

		*out = dev;
		if (result)
			return result < 0 ? result : 0;
	}
	return -ENODEV;
}

/* With the lock held. */
static int open_device(struct vfio_group *g, struct pci_device *dev, struct vfile *self,
		       struct vfile **out)
{
	int err;

	if (revoked(file_of(self)) || !g->container ||
	    !vfio_container_has_iommu(g->container))
		return -EINVAL;
	err = cdev_open_by_group(dev, self, out);
	if (!err)
		g->users++;
	return err;
}

static long get_device_fd_ioctl(struct uapi_call *call)
{
	struct vfio_group *g = call_group(call);
	char *name = port_alloc(NAME_BYTES);
	struct pci_device *dev;
	struct vfile *f;
	long fd;

	if (!name)
		return -ENOMEM;
	fd = copy_name(call->client, call->arg, name);
	if (!fd)
		fd = find_device(g, name, &dev);
	port_free(name);
	if (fd)
		return fd;
	port_mutex_lock(&g->lock);
	fd = open_device(g, dev, call->file, &f);
	port_mutex_unlock(&g->lock);
	if (fd)
		return fd;
	fd = call->client->ops->install(call->client, f, O_RDWR | O_CLOEXEC);
	vfile_put(f);
	return fd;
}

/* ---- the node --------------------------------------------------------------------- */

static const struct uapi_entry entries[] = {
	{
		.cmd = VFIO_GROUP_GET_STATUS,
		.name = "VFIO_GROUP_GET_STATUS",
		.rule = UAPI_ARGSZ,
		.min_size = sizeof(struct vfio_group_status),
		.handler = get_status_ioctl,
		.fields = vfio_group_status_fields,
	},
	{
		.cmd = VFIO_GROUP_SET_CONTAINER,
		.name = "VFIO_GROUP_SET_CONTAINER",
		.rule = UAPI_NONE,
		.handler = set_container_ioctl,
	},
	{
		.cmd = VFIO_GROUP_UNSET_CONTAINER,
		.name = "VFIO_GROUP_UNSET_CONTAINER",
		.takes_away = true,
		.rule = UAPI_NONE,
		.handler = unset_container_ioctl,
	},
	{
		.cmd = VFIO_GROUP_GET_DEVICE_FD,
		.name = "VFIO_GROUP_GET_DEVICE_FD",
		.rule = UAPI_NONE,
		.handler = get_device_fd_ioctl,
	},
};

const struct uapi_table vfio_group_table = {
	.family = "vfio",
	.entries = entries,
	.n = ARRAY_LEN(entries),
};

static long group_ioctl(struct vfile *f, struct client *c, uint32_t cmd, uint64_t arg)
{
	return uapi_dispatch(&vfio_group_table, f, c, cmd, arg);
}

/* Open devices hold a reference, so there are none. */
static void group_release(struct vfile *f)
{
	struct group_file *file = file_of(f);
	struct vfio_group *g = file->group;
	struct vfio_container *c = NULL;

	port_mutex_lock(&g->lock);
	if (!revoked(file)) {
		PORT_BUG_ON(g->users);
		c = unset_container(g);
		g->open = false;
	}
	port_mutex_unlock(&g->lock);
	if (c)
		vfio_container_put(c);
	port_free(file);
}

static const struct vfile_ops group_ops = {
	.name = "vfio-group",
	.ioctl = group_ioctl,
	.release = group_release,
};

struct vfio_group *vfio_group_of(struct vfile *f)
{
	return f->ops == &group_ops ? file_of(f)->group : NULL;
}

/* Is any of its devices bound to vfio-pci? Else it has no node. */
static bool has_node(const struct vfio_group *g)
{
	struct pci_device *dev;

	for_each_in_group(dev, g)
	{
		if (pci_device_bound(dev))
			return true;
	}
	return false;
}

static int open_group(struct vfio_group *g, unsigned *generation)
{
	int err = 0;

	port_mutex_lock(&g->lock);
	if (!has_node(g))
		err = -ENODEV;
	else if (g->open || g->blocked)
		err = -EBUSY;
	else
		g->open = true;
	*generation = g->generation;
	port_mutex_unlock(&g->lock);
	return err;
}

void vfio_group_revoke(struct vfio_group *g)
{
	struct vfio_container *c = NULL;

	port_mutex_lock(&g->lock);
	if (g->open && !g->users && !has_node(g)) {
		c = unset_container(g);
		g->open = false;
		g->generation++;
	}
	port_mutex_unlock(&g->lock);
	if (c)
		vfio_container_put(c);
}

int vfio_group_open(struct machine *m, unsigned group, struct vfile **out)
{
	struct vfio_group *g = NULL;
	struct group_file *file;
	int err;

	for (size_t i = 0; !g && i < m->nr_devices; i++)
		if (m->devices[i]->place.group == group)
			g = m->devices[i]->group;
	if (!g)
		return -ENOENT;
	file = port_alloc(sizeof(*file));
	if (!file)
		return -ENOMEM;
	err = open_group(g, &file->generation);
	if (err) {
		port_free(file);
		return err;
	}
	vfile_init(&file->f, &group_ops, -1, 0);
	file->f.rdev = makedev(MACHINE_VFIO_GROUP_MAJOR, group);
	file->f.label = g->label;
	file->group = g;
	*out = &file->f;
	return 0;
}
