/* SPDX-License-Identifier: MIT */
/*
 * The context: one open of /dev/iommu, its virtual file and its end.
 *
 * The context is the virtual file and lives as long: a call at work and each bound
 * device hold a reference, so at the end there are neither, and whatever objects the
 * client left behind can be destroyed without any care for concurrency.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "iommufd/private.h"

static long ctx_ioctl(struct vfile *f, struct client *c, uint32_t cmd, uint64_t arg)
{
	const struct uapi_table *more = c->machine->iommu_calls;

	if (more && uapi_find(more, cmd))
		return uapi_dispatch(more, f, c, cmd, arg);
	if (!uapi_owns(&iommufd_table, cmd))
		return uapi_dispatch(&iommufd_vfio_table, f, c, cmd, arg);
	return uapi_dispatch(&iommufd_table, f, c, cmd, arg);
}

/* Only what a vIOMMU offers can be mapped, and only as a whole. */
static int ctx_mmap(struct vfile *f, uint64_t offset, uint64_t length, int prot,
		    int flags)
{
	struct iommufd_ctx *ctx = container_of(f, struct iommufd_ctx, file);

	if (!(flags & MAP_SHARED))
		return -EINVAL;
	if (prot & PROT_EXEC)
		return -EPERM;
	/* The length is rounded up by the kernel. */
	length = (length + PORT_PAGE_SIZE - 1) & ~(PORT_PAGE_SIZE - 1);
	return viommu_map_is(ctx, offset, length) ? 0 : -ENXIO;
}

static void ctx_release(struct vfile *f)
{
	struct iommufd_ctx *ctx = container_of(f, struct iommufd_ctx, file);

	objects_finish(ctx);
	PORT_BUG_ON(!list_empty(&ctx->groups));
	pthread_cond_destroy(&ctx->idle);
	pthread_mutex_destroy(&ctx->change);
	pthread_mutex_destroy(&ctx->lock);
	close(ctx->file.storage_fd);
	port_free(ctx);
}

static const struct vfile_ops ctx_ops = {
	.name = "iommu",
	.ioctl = ctx_ioctl,
	.mmap = ctx_mmap,
	.release = ctx_release,
};

int iommufd_open(struct machine *m, struct vfile **out)
{
	struct iommufd_ctx *ctx = port_alloc(sizeof(*ctx));
	int storage;

	if (!ctx)
		return -ENOMEM;
	storage = memfd_create("iommu", MFD_CLOEXEC);
	if (storage < 0) {
		int err = -errno;

		port_free(ctx);
		return err;
	}
	vfile_init(&ctx->file, &ctx_ops, storage, 0);
	ctx->file.rdev = makedev(MACHINE_MISC_MAJOR, MACHINE_IOMMU_MINOR);
	ctx->machine = m;
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_mutex_init(&ctx->change, NULL);
	pthread_cond_init(&ctx->idle, NULL);
	objects_init(ctx);
	list_init(&ctx->groups);
	list_init(&ctx->maps);
	*out = &ctx->file;
	return 0;
}

struct iommufd_ctx *iommufd_ctx_of(struct vfile *f)
{
	return f->ops == &ctx_ops ? container_of(f, struct iommufd_ctx, file) : NULL;
}
