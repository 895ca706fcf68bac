/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU's vIOMMUs: a page that the client may map, invalidations of the caches
 * of the devices behind one, two queues of which the second needs the first, and events.
 *
 * Locks: mock_device.lock above iommufd's lock of the devices (iommufd_viommu_lock),
 * under which a device's cache is cleared; mock_viommu.lock guards the queues.
 */
#include <errno.h>

#include "selftest/mock.h"

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))

#define MMAP_LENGTH          (2 * PORT_PAGE_SIZE)

struct mock_queue {
	struct mock_viommu *viommu;
	struct iommufd_hw_queue *core;
	struct mock_queue *previous; /* which it depends on */
	uint32_t index;
};

struct mock_viommu {
	struct iommufd_viommu *core;
	struct domain *parent;
	struct port_mutex lock;
	struct mock_queue *queues[IOMMU_TEST_HW_QUEUE_MAX];
};

static void viommu_destroy(void *priv)
{
	struct mock_viommu *v = priv;

	port_mutex_finish(&v->lock);
	port_free(v);
}

static int viommu_nested(void *priv, uint32_t flags, const struct iommufd_user_data *data,
			 struct iommufd_nested **out)
{
	return mock_nested_create(priv, flags, data, out);
}

int mock_viommu_virt_id(struct mock_viommu *v, const struct iommufd_device_info *dev,
			uint64_t *virt_id)
{
	return iommufd_viommu_virt_id(v->core, dev, virt_id);
}

/* ---- invalidations --------------------------------------------------------------------
 */

static int invalidate_one(struct mock_viommu *v,
			  const struct iommu_viommu_invalidate_selftest *inv)
{
	const struct iommufd_device_info *info;
	int err = 0;

	if (inv->flags & ~(uint32_t)IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv->cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	iommufd_viommu_lock(v->core);
	info = iommufd_viommu_find(v->core, inv->vdev_id);
	if (!info)
		err = -EINVAL;
	for (unsigned i = 0; info && i < MOCK_DEV_CACHE_NUM; i++)
		if (inv->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL || i == inv->cache_id)
			mock_device_of(info)->cache[i] = 0;
	iommufd_viommu_unlock(v->core);
	return err;
}

static int viommu_invalidate(void *priv, struct iommufd_user_array *array)
{
	struct iommu_viommu_invalidate_selftest *v;
	uint32_t n = array->entry_num, done = 0;
	int err;

	if (array->type != IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST) {
		array->entry_num = 0;
		return -EINVAL;
	}
	if (!n)
		return 0; /* asks whether the type is known */
	v = port_alloc(n * sizeof(*v));
	/* All are fetched before the first is done. */
	err = v ? iommufd_user_array_all_in(array, array->type, v, sizeof(*v)) : -ENOMEM;
	while (!err && done < n) {
		err = invalidate_one(priv, &v[done]);
		if (!err)
			done++;
	}
	array->entry_num = done;
	port_free(v);
	return err;
}

/* ---- queues
 * ----------------------------------------------------------------------------- */

static bool has_hw_queue(void *priv, uint32_t type)
{
	return type == IOMMU_HW_QUEUE_TYPE_SELFTEST;
}

/* Under the lock. */
static int queue_enter(struct mock_viommu *v, struct mock_queue *q)
{
	int err;

	if (v->queues[q->index])
		return -EEXIST;
	if (q->index) {
		q->previous = v->queues[q->index - 1];
		if (!q->previous)
			return -EIO;
		err = iommufd_hw_queue_depend(q->core, q->previous->core);
		if (err)
			return err;
	}
	v->queues[q->index] = q;
	return 0;
}

static int hw_queue_init(void *priv, struct iommufd_hw_queue *core, uint32_t type,
			 uint32_t index, uint64_t iova, uint64_t length, uint64_t spa,
			 void **out)
{
	struct mock_viommu *v = priv;
	struct pt_translation t;
	struct mock_queue *q;
	int err;

	if (index >= IOMMU_TEST_HW_QUEUE_MAX)
		return -EINVAL;
	q = port_alloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	*q = (struct mock_queue){.viommu = v, .core = core, .index = index};
	port_mutex_lock(&v->lock);
	err = queue_enter(v, q);
	port_mutex_unlock(&v->lock);
	if (err) {
		port_free(q);
		return err;
	}
	/* iommufd has told us where the memory lies; the page table must agree. */
	PORT_BUG_ON(!domain_lookup(v->parent, iova, &t) || t.spa != spa);
	*out = q;
	return 0;
}

static void hw_queue_finish(void *priv, void *queue)
{
	struct mock_viommu *v = priv;
	struct mock_queue *q = queue;

	port_mutex_lock(&v->lock);
	v->queues[q->index] = NULL;
	if (q->previous)
		iommufd_hw_queue_undepend(q->core, q->previous->core);
	port_mutex_unlock(&v->lock);
	port_free(q);
}

/* ---- making one
 * --------------------------------------------------------------------------- */

static const struct iommufd_viommu_ops ops = {
	.destroy = viommu_destroy,
	.nested = viommu_nested,
	.invalidate = viommu_invalidate,
	.has_hw_queue = has_hw_queue,
	.hw_queue_init = hw_queue_init,
	.hw_queue_finish = hw_queue_finish,
};

bool mock_has_viommu(const struct iommufd_device_info *dev, uint32_t type)
{
	return type == IOMMU_VIOMMU_TYPE_SELFTEST;
}

/* A page with the client's own number in it. */
static int loop_back(struct iommufd_viommu *v, const struct iommufd_user_data *data)
{
	const size_t min = END_OF(struct iommu_viommu_selftest, out_data);
	struct iommu_viommu_selftest loop;
	uint64_t offset;
	void *page;
	int err = iommufd_user_data_in(data, IOMMU_VIOMMU_TYPE_SELFTEST, min, &loop,
				       sizeof(loop));

	if (!err)
		err = iommufd_viommu_mmap(v, MMAP_LENGTH, &page, &offset);
	if (err)
		return err;
	*(uint32_t *)page = loop.in_data;
	loop.out_data = loop.in_data;
	loop.out_mmap_length = MMAP_LENGTH;
	loop.out_mmap_offset = offset;
	return client_copy_out(data->client, data->uptr, &loop,
			       data->len < sizeof(loop) ? data->len : sizeof(loop));
}

int mock_viommu_create(const struct iommufd_device_info *dev, struct iommufd_viommu *core,
		       uint32_t type, struct domain *parent,
		       const struct iommufd_user_data *data,
		       const struct iommufd_viommu_ops **out_ops, void **priv)
{
	struct mock_viommu *v = port_alloc(sizeof(*v));
	int err;

	if (!v)
		return -ENOMEM;
	v->core = core;
	v->parent = parent;
	port_mutex_init(&v->lock);
	err = data ? loop_back(core, data) : 0;
	if (err) {
		viommu_destroy(v);
		return err;
	}
	*out_ops = &ops;
	*priv = v;
	return 0;
}

/* ---- events
 * -------------------------------------------------------------------------------- */

/* Under the device's lock, so it stays behind its vIOMMU. */
static int report(struct mock_device *dev)
{
	struct iommu_viommu_event_selftest event = {.virt_id = (uint32_t)dev->virt_id};

	if (!dev->viommu || !dev->virt_id)
		return -ENOENT;
	return iommufd_viommu_report_event(dev->viommu->core, IOMMU_VEVENTQ_TYPE_SELFTEST,
					   &event, sizeof(event));
}

long mock_trigger_vevent(struct uapi_call *call)
{
	const struct iommufd_device_info *info;
	struct mock_device *dev;
	struct iommufd_ref ref;
	int err = iommufd_device_by_id(
		mock_ctx(call), mock_cmd(call)->trigger_vevent.dev_id, &ref, &info);

	if (err)
		return err;
	err = -EINVAL;
	if (info->iommu == &mock_iommu) {
		dev = mock_device_of(info);
		port_mutex_lock(&dev->lock);
		err = report(dev);
		port_mutex_unlock(&dev->lock);
	}
	iommufd_ref_put(&ref);
	return err;
}
