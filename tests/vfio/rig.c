/* SPDX-License-Identifier: MIT */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "iommufd/iommufd.h"
#include "machine/files.h"
#include "machine/local_client.h"
#include "machine/memory.h"
#include "port/port.h"

/* ---- the model -------------------------------------------------------------------- */

static void note(struct rig_model *m, struct rig_access a)
{
	m->log[m->logged++ % RIG_LOG] = a;
}

static uint64_t mask_of(unsigned size)
{
	return size == 8 ? UINT64_MAX : ((uint64_t)1 << 8 * size) - 1;
}

static uint64_t model_read(void *model, unsigned bar, uint64_t offset, unsigned size)
{
	struct rig_model *m = model;
	uint64_t word = m->regs[offset / 8 % 64];
	uint64_t value = word >> 8 * (offset % 8) & mask_of(size);

	note(m, (struct rig_access){false, bar, size, offset, value});
	return value;
}

static void model_write(void *model, unsigned bar, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct rig_model *m = model;
	uint64_t *word = &m->regs[offset / 8 % 64];
	unsigned shift = 8 * (offset % 8);

	*word = (*word & ~(mask_of(size) << shift)) | value << shift;
	note(m, (struct rig_access){true, bar, size, offset, value});
}

static void model_reset(void *model, enum uiommufd_reset kind)
{
	struct rig_model *m = model;

	m->resets[kind]++;
}

static int model_create(struct uiommufd_device *dev,
			const struct uiommufd_option *options, size_t n,
			struct uiommufd_device_desc *desc,
			struct uiommufd_device_ops *ops, void **model)
{
	/* The option's value is no text here, but our struct. */
	struct rig_model *m = (void *)(uintptr_t)options[0].value;
	int err = uiommufd_channel_create(dev, &m->channel);

	if (err)
		return err;
	m->dev = dev;
	*desc = m->desc;
	*ops = m->ops;
	if (!ops->mmio_read)
		ops->mmio_read = model_read;
	if (!ops->mmio_write)
		ops->mmio_write = model_write;
	if (!ops->reset)
		ops->reset = model_reset;
	*model = m;
	return 0;
}

static const struct uiommufd_model rig_test_model = {
	.name = "test",
	.create = model_create,
};

void rig_model_default(struct rig_model *m, unsigned index)
{
	*m = (struct rig_model){
		.desc =
			{
				.vendor_id = 0x1234,
				.device_id = 0x5678,
				.subsystem_vendor_id = 0x1af4,
				.subsystem_id = 0x1100,
				.class_code = 0x088000,
				.revision = 3,
				.bars[0] = {.size = 0x4000},
				.bars[2] = {.size = 1 << 20,
					    .flags = UIOMMUFD_BAR_MEMORY |
						     UIOMMUFD_BAR_64BIT |
						     UIOMMUFD_BAR_PREFETCH},
				.msix_vectors = 8,
				.msix_bar = 0,
				.msix_table_offset = 0x2000,
				.msix_pba_offset = 0x3000,
				.flr = true,
				.pm = true,
			},
		.bdf = {.bus = (uint8_t)(index + 1)},
		.group = index,
	};
}

/* ---- the machine ------------------------------------------------------------------ */

int rig_try_device(struct rig *r, struct rig_model *model, char *error, size_t cap)
{
	const struct uiommufd_option option = {"model", (const char *)model};
	const struct pci_placement place = {
		.bdf = model->bdf,
		.index = (unsigned)r->machine.nr_devices,
		.group = model->group,
		.group_key = &r->groups[model->group],
		.group_owner = &r->groups[model->group].owner,
		.direct = {model->direct},
		.nr_direct = model->direct.last ? 1 : 0,
	};
	int err = pci_device_create(&r->machine, &rig_test_model, &option, 1, &place,
				    error, cap, &r->devices[r->machine.nr_devices]);

	if (!err)
		r->machine.nr_devices++;
	return err;
}

static struct rig *rig_of(struct client *c)
{
	return container_of(c->machine, struct rig, machine);
}

static bool bad(struct client *c, uint64_t va, size_t n)
{
	uint64_t from = rig_of(c)->bad_from;

	if (!n)
		return false;
	if (va < 4096 || va + n < va)
		return true;
	return from && va < from + 4096 && va + n > from;
}

static int copy_in(struct client *c, void *dst, uint64_t va, size_t n)
{
	return bad(c, va, n) ? -EFAULT : rig_of(c)->local->copy_in(c, dst, va, n);
}

static int copy_out(struct client *c, uint64_t va, const void *src, size_t n)
{
	if (bad(c, va, n) || rig_of(c)->fail_copy_out)
		return -EFAULT;
	return rig_of(c)->local->copy_out(c, va, src, n);
}

int rig_install_emfile(struct client *c, struct vfile *f, int open_flags)
{
	return -EMFILE;
}

void rig_create(struct rig *r, struct rig_model *models, size_t n)
{
	memset(r, 0, sizeof(*r));
	assert_int_equal(port_guard_install(), 0);
	assert_int_equal(phys_create(&r->machine.phys), 0);
	assert_int_equal(files_create(&r->machine.files), 0);
	assert_int_equal(memory_create(&r->machine, &r->machine.memory), 0);
	assert_int_equal(local_client_create(&r->machine, &r->client), 0);
	r->local = r->client->ops;
	r->ops = *r->local;
	r->ops.copy_in = copy_in;
	r->ops.copy_out = copy_out;
	r->client->ops = &r->ops;
	r->machine.devices = r->devices;
	for (size_t i = 0; i < n; i++) {
		char error[200] = "";

		if (rig_try_device(r, &models[i], error, sizeof(error)))
			fail_msg("device %zu: %s", i, error);
	}
}

void rig_destroy(struct rig *r)
{
	files_reap(r->machine.files);
	assert_int_equal(files_destroy(r->machine.files), 0);
	for (size_t i = r->machine.nr_devices; i-- > 0;)
		pci_device_destroy(r->devices[i]);
	local_client_destroy(r->client);
	memory_destroy(r->machine.memory);
	phys_destroy(r->machine.phys);
	assert_int_equal(port_bug_count(), 0);
}

static int install(struct rig *r, struct vfile *f)
{
	int fd = r->client->ops->install(r->client, f, O_RDWR | O_CLOEXEC);

	vfile_put(f);
	return fd;
}

int rig_open(struct rig *r, unsigned device)
{
	struct vfile *f;
	int err = vfio_cdev_open(r->devices[device], &f);

	return err ? err : install(r, f);
}

int rig_open_iommu(struct rig *r)
{
	struct vfile *f;
	int err = iommufd_open(&r->machine, &f);

	return err ? err : install(r, f);
}

int rig_open_group(struct rig *r, unsigned group)
{
	struct vfile *f;
	int err = vfio_group_open(&r->machine, group, &f);

	return err ? err : install(r, f);
}

int rig_open_container(struct rig *r)
{
	struct vfile *f;
	int err = vfio_container_open(&f);

	return err ? err : install(r, f);
}

long rig_ioctl(struct rig *r, int fd, unsigned long cmd, void *arg)
{
	struct vfile *f = files_lookup(r->machine.files, fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->ops->ioctl(f, r->client, (uint32_t)cmd, (uintptr_t)arg);
	vfile_put(f);
	return ret;
}

ssize_t rig_pread(struct rig *r, int fd, void *buf, size_t n, uint64_t offset)
{
	struct vfile *f = files_lookup(r->machine.files, fd);
	ssize_t ret;

	if (!f)
		return -EBADF;
	ret = f->ops->pread ? f->ops->pread(f, r->client, (uintptr_t)buf, n, offset)
			    : -EINVAL;
	vfile_put(f);
	return ret;
}

ssize_t rig_pwrite(struct rig *r, int fd, const void *buf, size_t n, uint64_t offset)
{
	struct vfile *f = files_lookup(r->machine.files, fd);
	ssize_t ret;

	if (!f)
		return -EBADF;
	ret = f->ops->pwrite ? f->ops->pwrite(f, r->client, (uintptr_t)buf, n, offset)
			     : -EINVAL;
	vfile_put(f);
	return ret;
}

int rig_mmap(struct rig *r, int fd, uint64_t offset, uint64_t length, int prot, int flags)
{
	struct vfile *f = files_lookup(r->machine.files, fd);
	int ret;

	if (!f)
		return -EBADF;
	ret = f->ops->mmap ? f->ops->mmap(f, offset, length, prot, flags) : -EINVAL;
	vfile_put(f);
	return ret;
}

void rig_close(struct rig *r, int fd)
{
	assert_int_equal(close(fd), 0);
	files_reap(r->machine.files);
}

/* ---- shorthands ------------------------------------------------------------------- */

long rig_bind(struct rig *r, int fd, int iommu, uint32_t *devid)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommu,
	};
	long ret = rig_ioctl(r, fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	if (!ret && devid)
		*devid = bind.out_devid;
	return ret;
}

long rig_attach(struct rig *r, int fd, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = pt,
	};

	return rig_ioctl(r, fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

uint32_t rig_ioas(struct rig *r, int iommu)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	assert_int_equal(rig_ioctl(r, iommu, IOMMU_IOAS_ALLOC, &alloc), 0);
	return alloc.out_ioas_id;
}

long rig_map_file(struct rig *r, int iommu, uint32_t ioas, int fd, uint64_t start,
		  uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return rig_ioctl(r, iommu, IOMMU_IOAS_MAP_FILE, &map);
}

long rig_unmap(struct rig *r, int iommu, uint32_t ioas, uint64_t iova, uint64_t *length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = iova,
		.length = *length,
	};
	long ret = rig_ioctl(r, iommu, IOMMU_IOAS_UNMAP, &unmap);

	*length = unmap.length;
	return ret;
}

long rig_dmabuf(struct rig *r, int fd, uint32_t region, uint64_t offset, uint64_t length)
{
	struct {
		struct vfio_device_feature h;
		struct vfio_device_feature_dma_buf d;
		struct vfio_region_dma_range range;
	} get = {
		.h = {.argsz = sizeof(get),
		      .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF},
		.d = {.region_index = region,
		      .open_flags = O_RDWR | O_CLOEXEC,
		      .nr_ranges = 1},
		.range = {offset, length},
	};

	return rig_ioctl(r, fd, VFIO_DEVICE_FEATURE, &get);
}

unsigned rig_config16(struct rig *r, int fd, unsigned offset)
{
	uint16_t value;

	assert_int_equal(rig_pread(r, fd, &value, 2,
				   VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + offset),
			 2);
	return value;
}

void rig_set_config16(struct rig *r, int fd, unsigned offset, unsigned value)
{
	uint16_t v = (uint16_t)value;

	assert_int_equal(rig_pwrite(r, fd, &v, 2,
				    VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + offset),
			 2);
}

long rig_reset(struct rig *r, int fd)
{
	return rig_ioctl(r, fd, VFIO_DEVICE_RESET, NULL);
}
