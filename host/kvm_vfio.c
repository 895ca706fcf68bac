/* SPDX-License-Identifier: MIT */
/*
 * See kvm_vfio.h. The order of checks is that of Linux 7.3.
 *
 * Which virtual machine a device belongs to is told by a duplicate of its descriptor,
 * which the device holds: kcmp(2) compares open descriptions. Where a container forbids
 * that call, a second device of one machine is not noticed.
 *
 * Locks: `kvm_vfios.lock` guards the list of devices, `kvm_vfio.lock` the files of one.
 * Both are leaves; files are put without them.
 */
#include "host/kvm_vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/list.h"
#include "core/port.h"
#include "host/call.h"
#include "host/host.h"
#include "host/log.h"
#include "uapi/vfile.h"
#include "vfio/pci_device.h"

#define TYPE_VFIO       4u
#define TEST_ONLY       1u
#define SET_DEVICE_ATTR 0x4018aee1u
#define GET_DEVICE_ATTR 0x4018aee2u
#define HAS_DEVICE_ATTR 0x4018aee3u
/* The same numbers go by the names of GROUP, GROUP_ADD and GROUP_DEL. */
#define VFIO_FILE     1
#define VFIO_FILE_ADD 1
#define VFIO_FILE_DEL 2

struct create_device {
	uint32_t type, fd, flags;
};

struct device_attr {
	uint32_t flags, group;
	uint64_t attr, addr;
};

struct kvm_vfios {
	pthread_mutex_t lock;
	struct list devices;
};

struct told {
	struct list on_device;
	struct vfile *file; /* with a reference */
};

struct kvm_vfio {
	struct vfile f;
	struct kvm_vfios *all;
	struct list on_all;
	int vm;
	bool has_owner;
	uint64_t owner; /* the process that the virtual machine belongs to */
	pthread_mutex_t lock;
	struct list files; /* struct told */
};

int kvm_vfios_create(struct kvm_vfios **out)
{
	struct kvm_vfios *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	pthread_mutex_init(&all->lock, NULL);
	list_init(&all->devices);
	*out = all;
	return 0;
}

void kvm_vfios_destroy(struct kvm_vfios *all)
{
	if (!all)
		return;
	pthread_mutex_destroy(&all->lock);
	free(all);
}

/* ---- the files it was told of ------------------------------------------------------ */

/* With the lock held. */
static struct told *find(struct kvm_vfio *d, const struct vfile *file)
{
	list_for_each (it, &d->files) {
		struct told *t = list_entry(it, struct told, on_device);

		if (t->file == file)
			return t;
	}
	return NULL;
}

/* Takes a reference of its own. */
static long add(struct kvm_vfio *d, struct vfile *file)
{
	struct told *fresh;
	bool there;

	if (!file || !vfio_is_device_or_group(file))
		return -EINVAL;
	fresh = malloc(sizeof(*fresh));
	pthread_mutex_lock(&d->lock);
	there = find(d, file);
	if (!there && fresh) {
		vfile_get(file);
		fresh->file = file;
		list_append(&d->files, &fresh->on_device);
	}
	pthread_mutex_unlock(&d->lock);
	if (there)
		free(fresh);
	if (there)
		return -EEXIST;
	return fresh ? 0 : -ENOMEM;
}

static void forget(struct told *t)
{
	vfile_put(t->file);
	free(t);
}

static long del(struct kvm_vfio *d, const struct vfile *file)
{
	struct told *t;

	pthread_mutex_lock(&d->lock);
	t = find(d, file);
	if (t)
		list_remove(&t->on_device);
	pthread_mutex_unlock(&d->lock);
	if (!t)
		return -ENOENT;
	forget(t);
	return 0;
}

/* ---- the device's calls --------------------------------------------------------------
 */

static bool is_known(const struct device_attr *attr)
{
	return attr->group == VFIO_FILE &&
	       (attr->attr == VFIO_FILE_ADD || attr->attr == VFIO_FILE_DEL);
}

static long set_attr(struct kvm_vfio *d, struct client *c, const struct device_attr *attr)
{
	struct vfile *file;
	int32_t fd;
	long r;

	if (!is_known(attr))
		return -ENXIO;
	r = client_copy_in(c, &fd, attr->addr, sizeof(fd));
	if (!r)
		r = client_get_vfile(c, fd, &file);
	if (r)
		return r;
	r = attr->attr == VFIO_FILE_ADD ? add(d, file) : del(d, file);
	vfile_put(file);
	return r;
}

/* KVM serves the process whose memory the virtual machine has, and no other. */
static bool is_owner(const struct kvm_vfio *d, struct client *c)
{
	struct client_owner who;

	return !d->has_owner || !c->ops->owner(c, &who) || who.id == d->owner;
}

static long serve(struct kvm_vfio *d, struct client *c, uint32_t cmd, uint64_t arg)
{
	struct device_attr attr;

	if (!is_owner(d, c))
		return -EIO;
	/* It has no attributes to get, so nobody looks which one. */
	if (cmd == GET_DEVICE_ATTR)
		return -EPERM;
	if (cmd != SET_DEVICE_ATTR && cmd != HAS_DEVICE_ATTR)
		return -ENOTTY;
	if (client_copy_in(c, &attr, arg, sizeof(attr)))
		return -EFAULT;
	if (cmd == SET_DEVICE_ATTR)
		return set_attr(d, c, &attr);
	return is_known(&attr) ? 0 : -ENXIO;
}

static long kvm_vfio_ioctl(struct vfile *f, struct client *c, uint32_t cmd, uint64_t arg)
{
	long r = serve(container_of(f, struct kvm_vfio, f), c, cmd, arg);

	log_call(container_of(c, struct call, client), r, "kvm-vfio ioctl(%#x) @%#llx",
		 cmd, (unsigned long long)arg);
	return r;
}

static void kvm_vfio_link_text(struct vfile *f, char *buf, size_t cap)
{
	snprintf(buf, cap, "anon_inode:kvm-vfio");
}

static void destroy(struct kvm_vfio *d)
{
	close(d->vm);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static void kvm_vfio_release(struct vfile *f)
{
	struct kvm_vfio *d = container_of(f, struct kvm_vfio, f);

	pthread_mutex_lock(&d->all->lock);
	list_remove(&d->on_all);
	pthread_mutex_unlock(&d->all->lock);
	list_for_each_safe (it, &d->files) {
		list_remove(it);
		forget(list_entry(it, struct told, on_device));
	}
	destroy(d);
}

static const struct vfile_ops kvm_vfio_ops = {
	.name = "kvm-vfio",
	.ioctl = kvm_vfio_ioctl,
	.link_text = kvm_vfio_link_text,
	.release = kvm_vfio_release,
};

/* ---- making one -------------------------------------------------------------------- */

static bool same_file(int a, int b)
{
	pid_t self = getpid();

	return syscall(SYS_kcmp, self, self, KCMP_FILE, a, b) == 0;
}

/* With the lock held. */
static bool has_one(const struct kvm_vfios *all, int vm)
{
	list_for_each (it, &all->devices)
		if (same_file(list_entry(it, struct kvm_vfio, on_all)->vm, vm))
			return true;
	return false;
}

/* -EBUSY: its virtual machine has one. */
static int enter(struct kvm_vfio *d)
{
	int err;

	pthread_mutex_lock(&d->all->lock);
	err = has_one(d->all, d->vm) ? -EBUSY : 0;
	if (!err)
		list_append(&d->all->devices, &d->on_all);
	pthread_mutex_unlock(&d->all->lock);
	return err;
}

/* Takes @vm over, also on failure. */
static int make(struct kvm_vfios *all, struct client *c, int vm, struct kvm_vfio **out)
{
	struct kvm_vfio *d = calloc(1, sizeof(*d));
	struct client_owner who;
	int err;

	if (!d) {
		close(vm);
		return -ENOMEM;
	}
	vfile_init(&d->f, &kvm_vfio_ops, -1, 0);
	d->all = all;
	d->vm = vm;
	d->has_owner = c->ops->owner(c, &who);
	d->owner = d->has_owner ? who.id : 0;
	pthread_mutex_init(&d->lock, NULL);
	list_init(&d->files);
	err = enter(d);
	if (err)
		destroy(d);
	else
		*out = d;
	return err;
}

static bool is_vm(struct call *c, int fd)
{
	char path[64], link[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)c->tid, fd);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = '\0';
	return call_alive(c) && !strcmp(link, "anon_inode:kvm-vm");
}

static long create(struct call *c, int vm, int *out)
{
	struct kvm_vfio *d;
	int fd, err = make(c->host->kvm_vfios, &c->client, vm, &d);

	if (err)
		return err;
	fd = c->client.ops->install(&c->client, &d->f, O_RDWR | O_CLOEXEC);
	vfile_put(&d->f);
	*out = fd;
	return fd < 0 ? fd : 0;
}

long kvm_vfio_create(struct call *c)
{
	struct create_device cd;
	int vm, fd;
	long r;

	if (!is_vm(c, (int)c->args[0]) || call_copy_in(c, &cd, c->args[2], sizeof(cd)) ||
	    cd.type != TYPE_VFIO)
		return CALL_PROCEED;
	if (cd.flags & TEST_ONLY)
		return 0;
	vm = call_get_fd(c, (int)c->args[0]);
	if (vm < 0)
		return CALL_PROCEED;
	r = create(c, vm, &fd);
	if (!r) {
		cd.fd = (uint32_t)fd;
		r = call_copy_out(c, c->args[2], &cd, sizeof(cd));
	}
	log_call(c, r, "KVM_CREATE_DEVICE {type=VFIO, flags=%#x}", cd.flags);
	return r;
}
