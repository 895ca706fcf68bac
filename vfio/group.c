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
	unsigned blocked; /* devices bound by their own nodes */
	/* At most one of them: what it is in. NULL: it is not. */
	struct vfio_container *container;
	struct vfile *iommufd; /* an open of /dev/iommu in place of a container */
	struct group_link link;
	unsigned users;    /* opens of devices */
	bool needs_direct; /* constant once the machine is made */
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

void vfio_group_need_direct(struct vfio_group *g)
{
	g->needs_direct = true;
}

const bool *vfio_group_needs_direct(const struct vfio_group *g)
{
	return &g->needs_direct;
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

static bool has_iommu(const struct vfio_group *g)
{
	return g->container || g->iommufd;
}

static int enter_container(struct vfio_group *g, struct vfio_container *c)
{
	int err;

	if (!claim(g))
		return -EPERM;
	err = g->needs_direct ? -EINVAL : vfio_container_attach(c, &g->link);
	if (err)
		unclaim(g);
	else
		g->container = c;
	return err;
}

/* The devices are bound when they are opened; only then is the group anybody's. */
static int enter_iommufd(struct vfio_group *g, struct vfile *f)
{
	int err = iommufd_compat_ioas_create(iommufd_ctx_of(f));

	if (err)
		return err;
	vfile_get(f);
	g->iommufd = f;
	return 0;
}

/* With the lock held. @f: NULL: no file of ours. */
static int set_container(struct vfio_group *g, struct vfile *f)
{
	struct vfio_container *c = f ? vfio_container_of_file(f) : NULL;

	if (has_iommu(g))
		return -EINVAL;
	if (c)
		return enter_container(g, c);
	return f && iommufd_ctx_of(f) ? enter_iommufd(g, f) : -EBADFD;
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
		err = set_container(g, f);
	port_mutex_unlock(&g->lock);
	vfile_put(f);
	return err;
}

/* What a group has left: to be put without its lock. */
struct left {
	struct vfio_container *container;
	struct vfile *iommufd;
};

/* With the lock held. Devices that are open keep to their iommufd. */
static struct left leave(struct vfio_group *g)
{
	struct left left = {g->container, g->iommufd};

	if (g->container) {
		vfio_container_detach(g->container, &g->link);
		unclaim(g);
	}
	g->container = NULL;
	g->iommufd = NULL;
	return left;
}

static void put_left(struct left left)
{
	if (left.container)
		vfio_container_put(left.container);
	vfile_put(left.iommufd);
}

static long unset_container_ioctl(struct uapi_call *call)
{
	struct vfio_group *g = call_group(call);
	struct left left = {0};
	int err = 0;

	port_mutex_lock(&g->lock);
	if (revoked(file_of(call->file)) || !has_iommu(g))
		err = -EINVAL;
	else if (g->container && g->users)
		err = -EBUSY;
	else
		left = leave(g);
	port_mutex_unlock(&g->lock);
	put_left(left);
	return err;
}

/*
 * Nobody else can have a device of an open group. It is not viable when it has left an
 * iommufd that its open devices are still bound to.
 */
static long get_status_ioctl(struct uapi_call *call)
{
	struct vfio_group *g = call_group(call);
	struct vfio_group_status status;
	int err = 0;

	memcpy(&status, call->data, sizeof(status));
	status.flags = 0;
	port_mutex_lock(&g->lock);
	if (revoked(file_of(call->file)))
		err = -ENODEV;
	else if (has_iommu(g))
		status.flags = VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;
	else if (!g->owner || !atomic_load(g->owner))
		status.flags = VFIO_GROUP_FLAGS_VIABLE;
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

#define TOKEN_OPTION "vf_token="
#define UUID_CHARS   36

/*
 * What follows the device's name: spaces, and a token, at most one. *@has_token, and the
 * token; or -EINVAL.
 */
static int parse_options(const char *s, uint8_t token[VF_TOKEN_BYTES], bool *has_token)
{
	const size_t n = strlen(TOKEN_OPTION);
	int err;

	*has_token = false;
	while (*(s += strspn(s, " "))) {
		if (*has_token || strncmp(s, TOKEN_OPTION, n))
			return -EINVAL;
		err = sriov_parse_token(s + n, token);
		if (err)
			return err;
		*has_token = true;
		s += n + UUID_CHARS;
	}
	return 0;
}

/* 0: it is another device's name; 1: it is this one's, and may be opened. */
static int match(struct pci_device *dev, const char *name)
{
	uint8_t token[VF_TOKEN_BYTES];
	bool has_token;
	int err;

	const struct pci_bdf *b = &dev->place.bdf;
	char own[32];
	size_t n;

	n = (size_t)snprintf(own, sizeof(own), "%04x:%02x:%02x.%u", b->domain, b->bus,
			     b->device, b->function);
	if (strncmp(own, name, n) || (name[n] && name[n] != ' '))
		return 0;
	err = parse_options(name + n, token, &has_token);
	if (!err)
		err = sriov_check_token(dev, has_token ? token : NULL);
	return err ? err : 1;
}

static int find_device(const struct vfio_group *g, const char *name,
		       struct pci_device **out)
{
	struct pci_device *dev;

	for_each_in_group(dev, g)
	{
		int result = pci_device_present(dev) ? match(dev, name) : 0;

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
	struct iommufd_ctx *ctx = g->iommufd ? iommufd_ctx_of(g->iommufd) : NULL;
	int err;

	if (revoked(file_of(self)))
		return -ENODEV;
	if (!ctx && (!g->container || !vfio_container_has_iommu(g->container)))
		return -EINVAL;
	err = cdev_open_by_group(dev, self, ctx, out);
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
	struct left left = {0};

	port_mutex_lock(&g->lock);
	if (!revoked(file)) {
		PORT_BUG_ON(g->users);
		left = leave(g);
		g->open = false;
	}
	port_mutex_unlock(&g->lock);
	put_left(left);
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
		if (pci_device_bound(dev) && pci_device_present(dev))
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
	struct left left = {0};

	port_mutex_lock(&g->lock);
	if (g->open && !g->users && !has_node(g)) {
		left = leave(g);
		g->open = false;
		g->generation++;
	}
	port_mutex_unlock(&g->lock);
	put_left(left);
}

int vfio_group_open(struct machine *m, unsigned group, struct vfile **out)
{
	struct vfio_group *g = NULL;
	struct group_file *file;
	int err;

	for (size_t i = 0; !g && i < m->nr_devices; i++)
		if (m->devices[i]->place.group == group &&
		    pci_device_present(m->devices[i]))
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
