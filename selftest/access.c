/* SPDX-License-Identifier: MIT */
/*
 * Accesses: a file that stands for a user of an address space, the ranges it has pinned,
 * and reads and writes through it. The file is the access: closing it ends both.
 *
 * The lock guards the list of pins and is held while one is made: from then on an unmap
 * may ask for it back, and waits for the lock to find it in the list.
 */
#include <errno.h>
#include <fcntl.h>

#include "iommufd/access.h"
#include "selftest/mock.h"

#define MAX_LENGTH ((uint64_t)16 << 20)

struct pinned {
	struct list on_file;
	uint64_t iova, length;
	uint32_t id;
};

struct access_file {
	struct vfile f;
	struct iommufd_access *access;
	bool pins; /* constant */
	struct port_mutex lock;
	struct list pinned;
	uint32_t next_id;
};

static struct pinned *pinned_of(struct list *it)
{
	return list_entry(it, struct pinned, on_file);
}

/* Under the lock. */
static void unpin(struct access_file *a, struct pinned *p)
{
	list_remove(&p->on_file);
	iommufd_access_unpin_pages(a->access, p->iova, p->length);
	port_free(p);
}

static void unmap(void *data, uint64_t iova, uint64_t length)
{
	uint64_t last = iova + (length - 1);
	struct access_file *a = data;

	port_mutex_lock(&a->lock);
	list_for_each_safe (it, &a->pinned) {
		struct pinned *p = pinned_of(it);

		if (p->iova <= last && p->iova + (p->length - 1) >= iova)
			unpin(a, p);
	}
	port_mutex_unlock(&a->lock);
}

static const struct iommufd_access_ops pin_ops = {
	.needs_pin_pages = true,
	.unmap = unmap,
};

static const struct iommufd_access_ops rw_ops = {
	.unmap = unmap,
};

static void file_release(struct vfile *f)
{
	struct access_file *a = container_of(f, struct access_file, f);

	if (a->access) {
		unmap(a, 0, UINT64_MAX);
		iommufd_access_destroy(a->access);
	}
	port_mutex_finish(&a->lock);
	port_free(a);
}

static const struct vfile_ops file_ops = {
	.name = "iommufd-test-access",
	.release = file_release,
};

/* ---- CREATE_ACCESS ------------------------------------------------------------------
 */

static int file_create(struct iommufd_ctx *ctx, uint32_t ioas_id, bool pins,
		       struct access_file **out)
{
	struct access_file *a = port_alloc(sizeof(*a));
	uint32_t id;
	int err;

	if (!a)
		return -ENOMEM;
	vfile_init(&a->f, &file_ops, -1, 0);
	port_mutex_init(&a->lock);
	list_init(&a->pinned);
	a->pins = pins;
	err = iommufd_access_create(ctx, pins ? &pin_ops : &rw_ops, a, &a->access, &id);
	if (err)
		a->access = NULL;
	else
		err = iommufd_access_attach(a->access, ioas_id);
	if (err) {
		vfile_put(&a->f);
		return err;
	}
	*out = a;
	return 0;
}

/* A descriptor cannot be taken back, so see first whether the client can be told. */
long mock_create_access(struct uapi_call *call)
{
	const uint32_t known = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES;
	struct iommu_test_cmd *cmd = mock_cmd(call);
	struct access_file *a;
	int err;

	if (cmd->create_access.flags & ~known)
		return -EOPNOTSUPP;
	err = file_create(mock_ctx(call), cmd->id, cmd->create_access.flags & known, &a);
	if (err)
		return err;
	err = mock_respond(call);
	if (!err)
		err = call->client->ops->install(call->client, &a->f, O_RDWR | O_CLOEXEC);
	vfile_put(&a->f);
	if (err < 0)
		return err;
	cmd->create_access.out_access_fd = (uint32_t)err;
	mock_respond_done(call);
	return 0;
}

/* ---- operations on an access --------------------------------------------------------
 */

/* Ends with vfile_put(&a->f). */
static int access_get(struct uapi_call *call, struct access_file **out)
{
	struct vfile *f;

	if (client_get_vfile(call->client, (int)mock_cmd(call)->id, &f) || !f)
		return -EBADFD;
	if (f->ops != &file_ops) {
		vfile_put(f);
		return -EBADFD;
	}
	*out = container_of(f, struct access_file, f);
	return 0;
}

long mock_access_replace(struct uapi_call *call)
{
	struct access_file *a;
	int err = access_get(call, &a);

	if (err)
		return err;
	err = iommufd_access_replace(a->access,
				     mock_cmd(call)->access_replace_ioas.ioas_id);
	vfile_put(&a->f);
	return err;
}

/* Where byte @offset of the runs lies; 0: beyond them. */
static uint64_t spa_at(const struct run_list *l, uint64_t offset)
{
	for (size_t i = 0; i < l->n; i++) {
		if (offset < l->v[i].length)
			return l->v[i].spa + offset;
		offset -= l->v[i].length;
	}
	return 0;
}

/* Are the pages that were pinned those under @va of the client? */
static int check_pages(struct client *c, uint64_t va, const struct run_list *runs,
		       uint64_t length)
{
	struct mock_resolved r;
	int err = mock_resolve(c, va, length, &r);

	if (err)
		return err;
	for (uint64_t at = 0; !err && at < length; at += PORT_PAGE_SIZE) {
		uint64_t differ = spa_at(&r.runs, at) ^ spa_at(runs, at);

		if (differ & ~(PORT_PAGE_SIZE - 1))
			err = -EBADE;
	}
	mock_resolved_put(&r);
	return err;
}

/* Under the lock. */
static int pin_and_check(struct uapi_call *call, struct access_file *a, struct pinned *p)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	unsigned flags = cmd->access_pages.flags & MOCK_FLAGS_ACCESS_WRITE
				 ? IOMMUFD_ACCESS_WRITE
				 : IOMMUFD_ACCESS_READ;
	uint64_t into = p->iova & (PORT_PAGE_SIZE - 1);
	uint64_t whole = (into + p->length + PORT_PAGE_SIZE - 1) & ~(PORT_PAGE_SIZE - 1);
	uint64_t va = cmd->access_pages.uptr;
	struct run_list runs = {0};
	int err = iommufd_access_pin_pages(a->access, p->iova, p->length, flags, &runs);

	if (!err && va) {
		err = check_pages(call->client, va - into, &runs, whole);
		if (err)
			iommufd_access_unpin_pages(a->access, p->iova, p->length);
	}
	run_list_finish(&runs);
	return err;
}

static int pin_new(struct uapi_call *call, struct access_file *a)
{
	struct iommu_test_cmd *cmd = mock_cmd(call);
	struct pinned *p = port_alloc(sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->iova = cmd->access_pages.iova;
	p->length = cmd->access_pages.length;
	err = pin_and_check(call, a, p);
	if (err) {
		port_free(p);
		return err;
	}
	p->id = a->next_id++;
	list_append(&a->pinned, &p->on_file);
	cmd->access_pages.out_access_pages_id = p->id;
	err = mock_respond(call);
	if (err)
		unpin(a, p);
	return err;
}

long mock_access_pages(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	struct access_file *a;
	int err;

	if (cmd->access_pages.length > MAX_LENGTH)
		return -ENOMEM;
	/* Fuzzers' own addressing (MOCK_FLAGS_ACCESS_SYZ) is not offered. */
	if (cmd->access_pages.flags & ~(uint32_t)MOCK_FLAGS_ACCESS_WRITE)
		return -EOPNOTSUPP;
	err = access_get(call, &a);
	if (err)
		return err;
	if (a->pins) {
		port_mutex_lock(&a->lock);
		err = pin_new(call, a);
		port_mutex_unlock(&a->lock);
	} else {
		err = -EOPNOTSUPP;
	}
	vfile_put(&a->f);
	return err;
}

long mock_destroy_access_pages(struct uapi_call *call)
{
	uint32_t id = mock_cmd(call)->destroy_access_pages.access_pages_id;
	struct access_file *a;
	int err = access_get(call, &a);

	if (err)
		return err;
	err = -ENOENT;
	port_mutex_lock(&a->lock);
	list_for_each_safe (it, &a->pinned) {
		if (pinned_of(it)->id == id) {
			unpin(a, pinned_of(it));
			err = 0;
			break;
		}
	}
	port_mutex_unlock(&a->lock);
	vfile_put(&a->f);
	return err;
}

static int rw(struct uapi_call *call, struct access_file *a, void *bytes)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	size_t n = (size_t)cmd->access_rw.length;
	bool write = cmd->access_rw.flags & MOCK_ACCESS_RW_WRITE;
	int err = 0;

	if (write)
		err = client_copy_in(call->client, bytes, cmd->access_rw.uptr, n);
	if (!err)
		err = iommufd_access_rw(a->access, cmd->access_rw.iova, bytes, n,
					cmd->access_rw.flags);
	if (!err && !write)
		err = client_copy_out(call->client, cmd->access_rw.uptr, bytes, n);
	return err;
}

long mock_access_rw(struct uapi_call *call)
{
	const uint32_t known = MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH;
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	struct access_file *a;
	void *bytes;
	int err;

	if (cmd->access_rw.length > MAX_LENGTH)
		return -ENOMEM;
	if (cmd->access_rw.flags & ~known)
		return -EOPNOTSUPP;
	err = access_get(call, &a);
	if (err)
		return err;
	bytes = port_alloc((size_t)cmd->access_rw.length + 1);
	err = bytes ? rw(call, a, bytes) : -ENOMEM;
	port_free(bytes);
	vfile_put(&a->f);
	return err;
}

_Static_assert((int)MOCK_ACCESS_RW_WRITE == (int)IOMMUFD_ACCESS_WRITE,
	       "rw flags are the same");
_Static_assert((int)MOCK_ACCESS_RW_SLOW_PATH == (int)IOMMUFD_ACCESS_SLOW_PATH,
	       "rw flags are the same");
