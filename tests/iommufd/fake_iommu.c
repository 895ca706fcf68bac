/* SPDX-License-Identifier: MIT */
#include "fake_iommu.h"

#include <poll.h>

#include "machine/files.h"

struct fake_viommu *fake_last_viommu;

struct fake_nested {
	struct iommufd_nested base;
	int data;
};

static int fake_paging(const struct iommufd_device_info *dev, struct phys *phys,
		       uint32_t flags, const struct iommufd_user_data *data,
		       struct domain **out)
{
	return data ? -EOPNOTSUPP : domain_create(phys, &pt_vtd_s2, 0, out);
}

/* Entries are ints; the first that is not 0 is an error. */
static int invalidate(struct iommufd_user_array *array)
{
	uint32_t n = array->entry_num;

	for (uint32_t i = 0; i < n; i++) {
		int v, err = iommufd_user_array_in(array, FAKE_TYPE, i, sizeof(v), &v,
						   sizeof(v));

		if (!err && v)
			err = -EIO;
		if (err) {
			array->entry_num = i;
			return err;
		}
	}
	return 0;
}

static int nested_invalidate(struct iommufd_nested *n, struct iommufd_user_array *array)
{
	return invalidate(array);
}

static void nested_destroy(struct iommufd_nested *n)
{
	port_free(n);
}

static const struct iommufd_nested_ops nested_ops = {
	.invalidate = nested_invalidate,
	.destroy = nested_destroy,
};

static int nested(const struct iommufd_user_data *data, struct iommufd_nested **out)
{
	struct fake_nested *n = port_alloc(sizeof(*n));
	int err = n ? iommufd_user_data_in(data, FAKE_TYPE, sizeof(n->data), &n->data,
					   sizeof(n->data))
		    : -ENOMEM;

	if (err) {
		port_free(n);
		return err;
	}
	n->base.ops = &nested_ops;
	*out = &n->base;
	return 0;
}

static int fake_nest(const struct iommufd_device_info *dev, struct domain *parent,
		     uint32_t flags, const struct iommufd_user_data *data,
		     struct iommufd_nested **out)
{
	return nested(data, out);
}

static int fake_attach(const struct iommufd_device_info *dev, uint32_t pasid,
		       const struct iommufd_translation *to,
		       const struct iommufd_translation *from)
{
	struct fake_port *p = port_of(dev);
	int err = to ? p->attach_fails : 0;

	p->attach_fails = to ? 0 : p->attach_fails;
	if (!err)
		p->now[pasid] = to ? *to : (struct iommufd_translation){0};
	return err;
}

static void fake_answer(const struct iommufd_device_info *dev,
			const struct iommufd_page_request *last,
			enum iommufd_page_answer code)
{
	struct fake_port *p = port_of(dev);
	unsigned i = atomic_fetch_add(&p->nr_answers, 1);

	if (i < FAKE_LOG) {
		p->answers[i].grpid = last->grpid;
		p->answers[i].code = code;
	}
}

/* ---- vIOMMUs ---------------------------------------------------------------------- */

static void viommu_destroy(void *priv)
{
	fake_last_viommu = NULL;
	port_free(priv);
}

static int viommu_nested(void *priv, uint32_t flags, const struct iommufd_user_data *data,
			 struct iommufd_nested **out)
{
	return nested(data, out);
}

static int viommu_invalidate(void *priv, struct iommufd_user_array *array)
{
	return invalidate(array);
}

static int vdevice_init(void *priv, const struct iommufd_device_info *dev,
			uint64_t virt_id)
{
	struct fake_viommu *v = priv;
	int err = v->vdevice_fails;

	v->vdevices += !err;
	return err;
}

static void vdevice_finish(void *priv, const struct iommufd_device_info *dev,
			   uint64_t virt_id)
{
	((struct fake_viommu *)priv)->vdevices--;
}

static bool has_hw_queue(void *priv, uint32_t type)
{
	return type == FAKE_TYPE;
}

/* The second queue needs the first. */
static int hw_queue_init(void *priv, struct iommufd_hw_queue *q, uint32_t type,
			 uint32_t index, uint64_t iova, uint64_t length, uint64_t spa,
			 void **out)
{
	struct fake_viommu *v = priv;
	int err;

	if (index > 1 || (index && !v->queue))
		return -EIO;
	err = index ? iommufd_hw_queue_depend(q, v->queue) : 0;
	if (err)
		return err;
	*(index ? &v->second : &v->queue) = q;
	v->queue_spa = spa;
	*out = q;
	return 0;
}

static void hw_queue_finish(void *priv, void *queue)
{
	struct fake_viommu *v = priv;

	if (queue == v->second)
		iommufd_hw_queue_undepend(v->second, v->queue);
	*(queue == v->second ? &v->second : &v->queue) = NULL;
}

static const struct iommufd_viommu_ops viommu_ops = {
	.destroy = viommu_destroy,
	.nested = viommu_nested,
	.invalidate = viommu_invalidate,
	.vdevice_init = vdevice_init,
	.vdevice_finish = vdevice_finish,
	.has_hw_queue = has_hw_queue,
	.hw_queue_init = hw_queue_init,
	.hw_queue_finish = hw_queue_finish,
};

static bool fake_has_viommu(const struct iommufd_device_info *dev, uint32_t type)
{
	return type == FAKE_TYPE;
}

static int fake_viommu_make(const struct iommufd_device_info *dev,
			    struct iommufd_viommu *core, uint32_t type,
			    struct domain *parent, const struct iommufd_user_data *data,
			    const struct iommufd_viommu_ops **ops, void **priv)
{
	struct fake_viommu *v = port_alloc(sizeof(*v));
	int err = v ? 0 : -ENOMEM;

	if (!err && data)
		err = iommufd_user_data_in(data, FAKE_TYPE, sizeof(v->data), &v->data,
					   sizeof(v->data));
	if (!err)
		err = iommufd_viommu_mmap(core, 2 * PAGE, (void **)&v->page,
					  &v->page_offset);
	if (err) {
		port_free(v);
		return err;
	}
	v->core = core;
	*ops = &viommu_ops;
	*priv = fake_last_viommu = v;
	return 0;
}

const struct iommufd_iommu fake_iommu = {
	.name = "fake",
	.paging = fake_paging,
	.nested = fake_nest,
	.attach = fake_attach,
	.page_answer = fake_answer,
	.has_viommu = fake_has_viommu,
	.viommu = fake_viommu_make,
};

/* ---- devices ---------------------------------------------------------------------- */

static struct dma_requester *pasid_requester(const struct iommufd_device_info *info,
					     uint32_t pasid)
{
	/* One PASID finds no memory. */
	return pasid == FAKE_PASIDS - 1 ? NULL : &port_of(info)->pasids[pasid];
}

void port_init(struct fake_port *p, const void *group)
{
	memset(p, 0, sizeof(*p));
	device_init(&p->d, group ? group : p);
	p->d.info.iommu = &fake_iommu;
	p->d.info.max_pasid_log2 = 4;
	p->d.info.pasid_requester = pasid_requester;
	for (unsigned i = 0; i < FAKE_PASIDS; i++) {
		dma_requester_init(&p->pasids[i]);
		dma_requester_set_master(&p->pasids[i], true);
	}
}

void port_finish(struct fake_port *p)
{
	device_unbind(&p->d);
	for (unsigned i = 0; i < FAKE_PASIDS; i++)
		dma_requester_finish(&p->pasids[i]);
	dma_requester_finish(&p->d.requester);
}

/* ---- calls ------------------------------------------------------------------------ */

long fault_alloc(struct fixture *fx, uint32_t *id, int *fd)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	long ret = call(fx, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	if (!ret) {
		*id = cmd.out_fault_id;
		*fd = (int)cmd.out_fault_fd;
	}
	return ret;
}

long hwpt_alloc_with(struct fixture *fx, struct hwpt_args args, uint32_t *id)
{
	static const int data = 7;
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = args.flags | (args.fault ? IOMMU_HWPT_FAULT_ID_VALID : 0),
		.dev_id = args.dev,
		.pt_id = args.pt,
		.fault_id = args.fault,
		.data_type = args.data ? FAKE_TYPE : IOMMU_HWPT_DATA_NONE,
		.data_len = args.data ? sizeof(data) : 0,
		.data_uptr = args.data ? (uintptr_t)&data : 0,
	};
	long ret = call(fx, IOMMU_HWPT_ALLOC, &cmd);

	if (!ret && id)
		*id = cmd.out_hwpt_id;
	return ret;
}

long viommu_alloc(struct fixture *fx, uint32_t dev, uint32_t hwpt, uint32_t *id)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd), .type = FAKE_TYPE, .dev_id = dev, .hwpt_id = hwpt};
	long ret = call(fx, IOMMU_VIOMMU_ALLOC, &cmd);

	if (!ret && id)
		*id = cmd.out_viommu_id;
	return ret;
}

long vdevice_alloc(struct fixture *fx, uint32_t viommu, uint32_t dev, uint64_t virt_id,
		   uint32_t *id)
{
	struct iommu_vdevice_alloc cmd = {.size = sizeof(cmd),
					  .viommu_id = viommu,
					  .dev_id = dev,
					  .virt_id = virt_id};
	long ret = call(fx, IOMMU_VDEVICE_ALLOC, &cmd);

	if (!ret && id)
		*id = cmd.out_vdevice_id;
	return ret;
}

long veventq_alloc(struct fixture *fx, uint32_t viommu, uint32_t depth, uint32_t *id,
		   int *fd)
{
	struct iommu_veventq_alloc cmd = {.size = sizeof(cmd),
					  .viommu_id = viommu,
					  .type = FAKE_TYPE,
					  .veventq_depth = depth};
	long ret = call(fx, IOMMU_VEVENTQ_ALLOC, &cmd);

	if (!ret) {
		*id = cmd.out_veventq_id;
		*fd = (int)cmd.out_veventq_fd;
	}
	return ret;
}

long hw_queue_alloc(struct fixture *fx, uint32_t viommu, uint32_t index, uint64_t iova,
		    uint64_t length, uint32_t *id)
{
	struct iommu_hw_queue_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = FAKE_TYPE,
		.index = index,
		.nesting_parent_iova = iova,
		.length = length,
	};
	long ret = call(fx, IOMMU_HW_QUEUE_ALLOC, &cmd);

	if (!ret && id)
		*id = cmd.out_hw_queue_id;
	return ret;
}

static struct vfile *file_of(struct fixture *fx, int fd)
{
	struct vfile *f;

	files_reap(fx->machine.files);
	f = files_lookup(fx->machine.files, fd);
	return f;
}

ssize_t queue_read(struct fixture *fx, int fd, void *buf, size_t n)
{
	struct vfile *f = file_of(fx, fd);
	ssize_t done = f ? f->ops->read(f, fx->client, fd, (uintptr_t)buf, n) : -EBADF;

	vfile_put(f);
	return done;
}

ssize_t queue_write(struct fixture *fx, int fd, const void *buf, size_t n)
{
	struct vfile *f = file_of(fx, fd);
	ssize_t done = f ? f->ops->write(f, fx->client, (uintptr_t)buf, n) : -EBADF;

	vfile_put(f);
	return done;
}

short queue_poll(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

	poll(&p, 1, 0);
	return p.revents;
}
