/* SPDX-License-Identifier: MIT */
/*
 * The public API over a machine (include/uiommufd/uiommufd.h): the calling program is
 * the machine's one client.
 *
 * Every call first reaps what was closed, so that plain close(2) works too; it is only
 * later then, at the next call.
 */
#include "uiommufd/uiommufd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/files.h"
#include "machine/library.h"
#include "machine/local_client.h"
#include "machine/machine.h"
#include "port/fault_inject.h"
#include "vfio/pci_device.h"

struct uiommufd_machine {
	struct machine *machine;
	struct client *client;
	struct uapi_trace trace;
	void (*trace_fn)(void *arg, const char *line);
	void *trace_arg;
};

static void trace_line(struct uapi_trace *t, const char *text)
{
	struct uiommufd_machine *m = container_of(t, struct uiommufd_machine, trace);

	m->trace_fn(m->trace_arg, text);
}

struct machine *library_machine(struct uiommufd_machine *m)
{
	return m->machine;
}

struct client *library_client(struct uiommufd_machine *m)
{
	return m->client;
}

/* Nobody would serve them. */
static int refuse_faults(struct machine *m, char *error, size_t cap)
{
	for (size_t i = 0; i < m->nr_devices; i++) {
		if (!pci_device_refuse_faults(m->devices[i]))
			continue;
		if (error && cap)
			snprintf(error, cap,
				 "mmio=fault: only with config.mmio_faults, or under "
				 "uiommufd run");
		return -EINVAL;
	}
	return 0;
}

int uiommufd_machine_create(const struct uiommufd_config *config, char *error,
			    size_t error_cap, struct uiommufd_machine **out)
{
	struct uiommufd_config full = UIOMMUFD_CONFIG_INIT;
	struct uiommufd_machine *m;
	int err;

	/* A program built against another version has a shorter or longer struct. */
	if (!config || config->size < sizeof(config->size) || config->size > sizeof(full))
		return -EINVAL;
	memcpy(&full, config, config->size);
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->trace.line = trace_line;
	m->trace_fn = full.trace;
	m->trace_arg = full.trace_arg;
	err = machine_create(&full, error, error_cap, &m->machine);
	if (!err && !full.mmio_faults)
		err = refuse_faults(m->machine, error, error_cap);
	if (!err && full.trace)
		m->machine->trace = &m->trace;
	if (!err)
		err = local_client_create(m->machine, &m->client);
	if (err) {
		machine_destroy(m->machine);
		free(m);
		return err;
	}
	*out = m;
	return 0;
}

int uiommufd_machine_destroy(struct uiommufd_machine *m)
{
	int left;

	if (!m)
		return 0;
	/* Releasing what is open lets go of the last sources over the client's memory. */
	left = machine_destroy(m->machine);
	local_client_destroy(m->client);
	free(m);
	return left;
}

int uiommufd_set_vfs(struct uiommufd_machine *m, const char *bdf, unsigned n)
{
	struct pci_device *dev = machine_find_device(m->machine, bdf);
	int err;

	if (!dev)
		return -ENODEV;
	if (!sriov_total(dev))
		return -ENOENT;
	files_reap(m->machine->files);
	err = sriov_enable(dev, n);
	if (err != -EAGAIN)
		return err;
	sriov_stay(dev);
	return -EBUSY;
}

int uiommufd_open(struct uiommufd_machine *m, const char *path, int flags)
{
	struct vfile *f;
	int fd;

	fd = machine_open_node(m->machine, path, &f);
	if (fd < 0)
		return fd;
	fd = m->client->ops->install(m->client, f, flags);
	vfile_put(f);
	return fd;
}

/* The virtual file behind @fd, after what was closed is gone. */
static struct vfile *lookup(struct uiommufd_machine *m, int fd)
{
	files_reap(m->machine->files);
	return files_lookup(m->machine->files, fd);
}

long uiommufd_ioctl(struct uiommufd_machine *m, int fd, unsigned long cmd, void *arg)
{
	struct vfile *f = lookup(m, fd);
	long ret;

	if (!f)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -ENOTTY;
	ret = f->ops->ioctl ? f->ops->ioctl(f, m->client, (uint32_t)cmd, (uintptr_t)arg)
			    : -ENOTTY;
	vfile_put(f);
	return ret;
}

ssize_t uiommufd_pread(struct uiommufd_machine *m, int fd, void *buf, size_t n,
		       uint64_t offset)
{
	struct vfile *f = lookup(m, fd);
	ssize_t ret = -EINVAL;

	if (!f)
		return -EBADF;
	client_must_not_fail(m->client, true);
	if (f->ops->pread)
		ret = f->ops->pread(f, m->client, (uintptr_t)buf, n, offset);
	client_must_not_fail(m->client, false);
	vfile_put(f);
	return ret;
}

ssize_t uiommufd_pwrite(struct uiommufd_machine *m, int fd, const void *buf, size_t n,
			uint64_t offset)
{
	struct vfile *f = lookup(m, fd);
	ssize_t ret = -EINVAL;

	if (!f)
		return -EBADF;
	client_must_not_fail(m->client, true);
	if (f->ops->pwrite)
		ret = f->ops->pwrite(f, m->client, (uintptr_t)buf, n, offset);
	client_must_not_fail(m->client, false);
	vfile_put(f);
	return ret;
}

ssize_t uiommufd_read(struct uiommufd_machine *m, int fd, void *buf, size_t n)
{
	struct vfile *f = lookup(m, fd);
	ssize_t ret = -EINVAL;

	if (!f)
		return -EBADF;
	if (f->ops->read)
		ret = f->ops->read(f, m->client, fd, (uintptr_t)buf, n);
	vfile_put(f);
	return ret;
}

ssize_t uiommufd_write(struct uiommufd_machine *m, int fd, const void *buf, size_t n)
{
	struct vfile *f = lookup(m, fd);
	ssize_t ret = -EINVAL;

	if (!f)
		return -EBADF;
	if (f->ops->write)
		ret = f->ops->write(f, m->client, (uintptr_t)buf, n);
	vfile_put(f);
	return ret;
}

int uiommufd_poll(struct uiommufd_machine *m, struct pollfd *fds, unsigned n,
		  int timeout_ms)
{
	int ret;

	files_reap(m->machine->files);
	ret = poll(fds, n, timeout_ms);
	return ret < 0 ? -errno : ret;
}

int uiommufd_mmap(struct uiommufd_machine *m, int fd, size_t length, int prot, int flags,
		  uint64_t offset, void **out)
{
	struct vfile *f = lookup(m, fd);
	int err = -EINVAL;
	void *p;

	if (!f)
		return -EBADF;
	if (f->ops->mmap)
		err = f->ops->mmap(f, offset, length, prot, flags);
	vfile_put(f);
	if (err)
		return err;
	p = mmap(NULL, length, prot, flags, fd, (off_t)offset);
	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

unsigned long uiommufd_fail_nth(unsigned long n)
{
	unsigned long left = port_fail_nth_left();

	port_fail_nth_of(PORT_FAIL_ALL, n);
	return left;
}

int uiommufd_close(struct uiommufd_machine *m, int fd)
{
	if (close(fd))
		return -errno;
	files_reap(m->machine->files);
	return 0;
}
