/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "machine/files.h"
#include "machine/local_client.h"
#include "machine/memory.h"
#include "port/port.h"

/*
 * Bad pointers answer EFAULT without a signal: cmocka catches those that the port's
 * guarded copy would live on.
 */
static int reach(bool out, void *ours, uint64_t va, size_t n)
{
	struct iovec here = {ours, n}, there = {(void *)(uintptr_t)va, n};
	ssize_t done = out ? process_vm_writev(getpid(), &here, 1, &there, 1, 0)
			   : process_vm_readv(getpid(), &here, 1, &there, 1, 0);

	return done == (ssize_t)n ? 0 : -EFAULT;
}

static int fixture_copy_in(struct client *c, void *dst, uint64_t va, size_t n)
{
	return n ? reach(false, dst, va, n) : 0;
}

static int fixture_copy_out(struct client *c, uint64_t va, const void *src, size_t n)
{
	return n ? reach(true, (void *)(uintptr_t)src, va, n) : 0;
}

static bool fixture_privileged(struct client *c)
{
	return container_of(c->ops, struct fixture, ops)->privileged;
}

int fixture_setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));

	assert_non_null(fx);
	assert_ok(phys_create(&fx->machine.phys));
	assert_ok(files_create(&fx->machine.files));
	assert_ok(memory_create(&fx->machine, &fx->machine.memory));
	assert_ok(local_client_create(&fx->machine, &fx->client));
	fx->ops = *fx->client->ops;
	fx->ops.copy_in = fixture_copy_in;
	fx->ops.copy_out = fixture_copy_out;
	fx->ops.privileged = fixture_privileged;
	fx->client->ops = &fx->ops;
	fx->privileged = true;
	assert_ok(iommufd_open(&fx->machine, &fx->iommu));
	*state = fx;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *fx = *state;

	vfile_put(fx->iommu);
	local_client_destroy(fx->client);
	files_destroy(fx->machine.files);
	memory_destroy(fx->machine.memory);
	phys_destroy(fx->machine.phys);
	free(fx);
	return port_bug_count() != 0;
}

long call_on(struct fixture *fx, struct vfile *f, uint32_t cmd, void *arg)
{
	return f->ops->ioctl(f, fx->client, cmd, (uintptr_t)arg);
}

long call(struct fixture *fx, uint32_t cmd, void *arg)
{
	return call_on(fx, fx->iommu, cmd, arg);
}

int fd_of(struct fixture *fx, struct vfile *f)
{
	int fd = fx->client->ops->install(fx->client, f, 0);

	assert_true(fd >= 0);
	return fd;
}

/* ---- calls ---------------------------------------------------------------------- */

uint32_t ioas_alloc(struct fixture *fx)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	assert_ok(call(fx, IOMMU_IOAS_ALLOC, &cmd));
	return cmd.out_ioas_id;
}

long destroy(struct fixture *fx, uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return call(fx, IOMMU_DESTROY, &cmd);
}

static uint32_t flags_of(const struct map *m)
{
	if (m->no_flags)
		return 0;
	return m->flags ? m->flags : RW;
}

long map_file(struct fixture *fx, struct map m, uint64_t *iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags_of(&m),
		.ioas_id = m.ioas,
		.fd = m.fd,
		.start = m.start,
		.length = m.length,
		.iova = m.iova,
	};
	long ret = call(fx, IOMMU_IOAS_MAP_FILE, &cmd);

	if (iova)
		*iova = cmd.iova;
	return ret;
}

long map_va(struct fixture *fx, struct map m, uint64_t *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags_of(&m),
		.ioas_id = m.ioas,
		.user_va = m.start,
		.length = m.length,
		.iova = m.iova,
	};
	long ret = call(fx, IOMMU_IOAS_MAP, &cmd);

	if (iova)
		*iova = cmd.iova;
	return ret;
}

long unmap(struct fixture *fx, uint32_t ioas, uint64_t iova, uint64_t length,
	   uint64_t *unmapped)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = length};
	long ret = call(fx, IOMMU_IOAS_UNMAP, &cmd);

	if (unmapped)
		*unmapped = cmd.length;
	return ret;
}

long unmap_all(struct fixture *fx, uint32_t ioas, uint64_t *unmapped)
{
	return unmap(fx, ioas, 0, UINT64_MAX, unmapped);
}

long copy(struct fixture *fx, struct copy c, uint64_t *iova)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = c.flags ? c.flags : RW,
		.dst_ioas_id = c.dst,
		.src_ioas_id = c.src,
		.length = c.length,
		.dst_iova = c.dst_iova,
		.src_iova = c.src_iova,
	};
	long ret = call(fx, IOMMU_IOAS_COPY, &cmd);

	if (iova)
		*iova = cmd.dst_iova;
	return ret;
}

long hwpt_alloc(struct fixture *fx, uint32_t flags, uint32_t dev, uint32_t pt,
		uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = dev, .pt_id = pt};
	long ret = call(fx, IOMMU_HWPT_ALLOC, &cmd);

	if (!ret && id)
		*id = cmd.out_hwpt_id;
	return ret;
}

long iova_ranges(struct fixture *fx, uint32_t ioas, struct iommu_iova_range *v,
		 uint32_t cap, uint32_t *n, uint64_t *alignment)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = cap,
		.allowed_iovas = (uintptr_t)v,
	};
	long ret = call(fx, IOMMU_IOAS_IOVA_RANGES, &cmd);

	*n = cmd.num_iovas;
	if (alignment)
		*alignment = cmd.out_iova_alignment;
	return ret;
}

long allow_iovas(struct fixture *fx, uint32_t ioas, const struct iommu_iova_range *v,
		 uint32_t n)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = n,
		.allowed_iovas = (uintptr_t)v,
	};

	return call(fx, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

/* ---- devices -------------------------------------------------------------------- */

void device_init(struct fake_device *d, const void *group)
{
	memset(d, 0, sizeof(*d));
	dma_requester_init(&d->requester);
	dma_requester_set_master(&d->requester, true);
	d->info.requester = &d->requester;
	d->info.group = group ? group : d;
	iommufd_unit_connect(NULL, &d->info);
}

void device_behind(struct fake_device *d, const struct iommufd_unit_config *config)
{
	const char *why;

	assert_ok(iommufd_unit_init(&d->unit, config, &why));
	iommufd_unit_connect(&d->unit, &d->info);
}

int device_bind(struct fixture *fx, struct fake_device *d)
{
	return iommufd_device_bind(iommufd_ctx_of(fx->iommu), &d->info, &d->dev, &d->id);
}

void device_unbind(struct fake_device *d)
{
	if (d->dev)
		iommufd_device_unbind(d->dev);
	d->dev = NULL;
}

int device_attach(struct fake_device *d, uint32_t pt, uint32_t *hwpt)
{
	int err = iommufd_device_attach(d->dev, &pt);

	if (hwpt)
		*hwpt = pt;
	return err;
}

bool can_read(struct fake_device *d, uint64_t iova)
{
	struct dma_channel ch;
	char byte;

	dma_channel_init(&ch, &d->requester);
	return !dma_read(&ch, iova, &byte, 1, NULL);
}

bool can_write(struct fake_device *d, uint64_t iova)
{
	struct dma_channel ch;
	char byte = 1;

	dma_channel_init(&ch, &d->requester);
	return !dma_write(&ch, iova, &byte, 1, NULL);
}

/* ---- memory --------------------------------------------------------------------- */

int memfd(uint64_t bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(ftruncate(fd, (off_t)bytes));
	return fd;
}

struct buf_file {
	struct vfile base;
	struct dmabuf *buf;
};

static struct dmabuf *buf_file_dmabuf(struct vfile *f)
{
	struct dmabuf *buf = container_of(f, struct buf_file, base)->buf;

	dmabuf_get(buf);
	return buf;
}

static void buf_file_release(struct vfile *f)
{
	struct buf_file *file = container_of(f, struct buf_file, base);

	dmabuf_put(file->buf);
	free(file);
}

static const struct vfile_ops buf_file_ops = {
	.name = "dmabuf",
	.dmabuf = buf_file_dmabuf,
	.release = buf_file_release,
};

static int buf_map_phys(struct dmabuf *buf, struct run_list *runs)
{
	struct fake_buf *b = buf->priv;

	for (unsigned i = 0; i < b->ranges; i++) {
		struct run run = {.spa = b->window.base + BUF_START + i * b->piece,
				  .length = b->piece,
				  .mmio = true};
		int err = run_list_add(runs, run, false);

		if (err)
			return err;
	}
	return 0;
}

static void buf_release(struct dmabuf *buf)
{
}

static const struct dmabuf_exporter_ops exporter = {
	.name = "fake",
	.interconnects = 1u << DMABUF_IC_PHYS,
	.contracts = 1u << DMABUF_REVOCABLE,
	.map_phys = buf_map_phys,
	.release = buf_release,
};

void buf_create(struct fixture *fx, struct fake_buf *b, uint64_t piece, unsigned ranges)
{
	struct buf_file *file = calloc(1, sizeof(*file));

	assert_non_null(file);
	*b = (struct fake_buf){
		.phys = fx->machine.phys, .piece = piece, .ranges = ranges};
	b->window.length = BAR_BYTES;
	b->window.kind = PHYS_MMIO;
	b->window.host = aligned_alloc(PAGE, BAR_BYTES);
	assert_non_null(b->window.host);
	memset(b->window.host, 0, BAR_BYTES);
	assert_ok(phys_add(b->phys, &b->window));
	assert_ok(dmabuf_create(&exporter, b, piece * ranges, false, &b->buf));
	dmabuf_get(b->buf);
	file->buf = b->buf;
	vfile_init(&file->base, &buf_file_ops, -1, piece * ranges);
	b->file = &file->base;
	b->fd = fd_of(fx, b->file);
}

void buf_destroy(struct fake_buf *b)
{
	struct dmabuf_revocation r = {0};

	dmabuf_orphan(b->buf, &r);
	dmabuf_revocation_finish(&r);
	dmabuf_put(b->buf);
	if (b->fd >= 0)
		close(b->fd);
	vfile_put(b->file);
	phys_remove(b->phys, &b->window);
	free(b->window.host);
}
