/* SPDX-License-Identifier: MIT */
#include "iommu_rig.h"

long call(struct rig *r, unsigned long cmd, void *arg)
{
	return uiommufd_ioctl(r->m, r->iommu, cmd, arg);
}

long device_call(struct rig *r, unsigned long cmd, void *arg)
{
	return uiommufd_ioctl(r->m, r->device, cmd, arg);
}

static uint64_t region(struct rig *r, uint32_t index)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	ok(device_call(r, VFIO_DEVICE_GET_REGION_INFO, &info));
	return info.offset;
}

static int bus_read(void *arg, uint64_t offset, void *value, size_t n)
{
	struct rig *r = arg;

	return uiommufd_pread(r->m, r->device, value, n, r->registers + offset) ==
			       (ssize_t)n
		       ? 0
		       : -EIO;
}

static int bus_write(void *arg, uint64_t offset, const void *value, size_t n)
{
	struct rig *r = arg;

	return uiommufd_pwrite(r->m, r->device, value, n, r->registers + offset) ==
			       (ssize_t)n
		       ? 0
		       : -EIO;
}

void *shared(size_t n)
{
	void *p =
		mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

uint32_t ioas_alloc(struct rig *r)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	ok(call(r, IOMMU_IOAS_ALLOC, &cmd));
	return cmd.out_ioas_id;
}

long map(struct rig *r, uint32_t ioas, void *p, size_t n, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)p,
		.length = n,
		.iova = iova,
	};

	return call(r, IOMMU_IOAS_MAP, &cmd);
}

long unmap(struct rig *r, uint32_t ioas, uint64_t iova, size_t n)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = n};

	return call(r, IOMMU_IOAS_UNMAP, &cmd);
}

long attach(struct rig *r, uint32_t pt, uint32_t *hwpt)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd), .pt_id = pt};
	long err = device_call(r, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	if (hwpt)
		*hwpt = cmd.pt_id;
	return err;
}

long attach_pasid(struct rig *r, uint32_t pasid, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd),
						    .flags = VFIO_DEVICE_ATTACH_PASID,
						    .pt_id = pt,
						    .pasid = pasid};
	long err = device_call(r, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	assert_true(err || cmd.pt_id == pt);
	return err;
}

long detach_pasid(struct rig *r, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = sizeof(cmd), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = pasid};

	return device_call(r, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

uint32_t hwpt(struct rig *r, struct iommu_hwpt_alloc cmd)
{
	cmd.size = sizeof(cmd);
	cmd.dev_id = r->devid;
	ok(call(r, IOMMU_HWPT_ALLOC, &cmd));
	return cmd.out_hwpt_id;
}

long destroy(struct rig *r, uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return call(r, IOMMU_DESTROY, &cmd);
}

void begin(struct rig *r, const char *iommu, const char *engine)
{
	const char *const iommus[] = {iommu, NULL}, *const devices[] = {engine, NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	struct uiommufd_machine *m;
	char error[256] = "";
	int fd;

	config.iommus = iommus;
	config.devices = devices;
	if (uiommufd_machine_create(&config, error, sizeof(error), &m))
		fail_msg("%s", error);
	fd = uiommufd_open(m, "/dev/iommu", O_RDWR | O_CLOEXEC);
	join(r, m, fd, 0, NULL);
}

void join(struct rig *r, struct uiommufd_machine *m, int iommu, unsigned node,
	  const uint8_t *token)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.flags = token ? VFIO_DEVICE_BIND_FLAG_TOKEN : 0,
		.iommufd = iommu,
		.token_uuid_ptr = (uintptr_t)token,
	};
	uint16_t command = 6; /* memory, bus master */
	char path[40];

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", node);
	*r = (struct rig){.m = m, .iommu = iommu};
	r->device = uiommufd_open(m, path, O_RDWR | O_CLOEXEC);
	assert_true(iommu >= 0 && r->device >= 0);
	ok(device_call(r, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	r->devid = bind.out_devid;
	r->registers = region(r, VFIO_PCI_BAR0_REGION_INDEX);
	r->config = region(r, VFIO_PCI_CONFIG_REGION_INDEX);
	assert_int_equal(uiommufd_pwrite(r->m, r->device, &command, 2, r->config + 4), 2);
	r->ring = shared(PAGE);
	r->data = shared(DATA_BYTES);
	r->ioas = ioas_alloc(r);
	ok(map(r, r->ioas, r->ring, PAGE, RING_IOVA));
	ok(map(r, r->ioas, r->data, DATA_BYTES, DATA_IOVA));
}

void start(struct rig *r)
{
	const struct ce_bus bus = {bus_read, bus_write, r};

	ok(ce_start(&r->ce, &bus, r->ring, RING_IOVA, RING_SIZE));
}

void leave(struct rig *r)
{
	uiommufd_close(r->m, r->device);
	munmap(r->ring, PAGE);
	munmap(r->data, DATA_BYTES);
}

void end(struct rig *r)
{
	leave(r);
	uiommufd_close(r->m, r->iommu);
	assert_int_equal(uiommufd_machine_destroy(r->m), 0);
}

int submit(struct rig *r, struct ce_desc d)
{
	int err = ce_submit(&r->ce, &d);

	return err ? err : ce_kick(&r->ce);
}

int execute(struct rig *r, struct ce_desc d)
{
	int err = submit(r, d);

	return err ? err : ce_wait(&r->ce);
}

int copy_by(struct rig *r, uint32_t pasid, uint64_t dst, uint64_t src, uint64_t n)
{
	int err = execute(r, (struct ce_desc){.opcode = CE_OP_COPY,
					      .flags = CE_FLAG_PASID,
					      .pasid = pasid,
					      .src = src,
					      .dst = dst,
					      .length = n});
	if (err == -EIO)
		ce_skip(&r->ce);
	return err;
}

unsigned fault_code(struct rig *r)
{
	return CE_ERROR_CODE(r->ce.error.error);
}

int poke(struct rig *r, uint64_t iova)
{
	int err = execute(r, (struct ce_desc){.opcode = CE_OP_COPY,
					      .src = DATA_IOVA,
					      .dst = iova,
					      .length = 4});
	if (err == -EIO)
		ce_skip(&r->ce);
	return err;
}
