/* SPDX-License-Identifier: MIT */
/*
 * PASIDs: address spaces of a device's requests besides the device's own.
 *
 * A group has one hwpt for each PASID that any of its members has attached; as for the
 * devices themselves (group.c), all members translate through it, and each that has
 * attached it uses it. Reserved ranges are the devices' own business, not the PASIDs'.
 * Everything here is under group.lock.
 *
 * Only hwpts allocated for PASIDs can be attached, and as long as there is one, the
 * devices themselves are attached to such a hwpt or to none.
 *
 * Members that cannot have PASIDs at all are in it without being asked, as on Linux:
 * they make no requests with one.
 */
#include <errno.h>

#include "iommufd/private.h"

struct pasid_attach {
	struct list on_group;
	uint32_t pasid;
	struct iommufd_hwpt *hwpt;
	unsigned nr_users;
	struct list users; /* pasid_user.on_attach */
};

struct pasid_user {
	struct list on_attach;
	struct iommufd_device *dev;
};

/* ---- looking ---------------------------------------------------------------------- */

static struct pasid_attach *find(struct iommufd_group *g, uint32_t pasid)
{
	list_for_each (it, &g->pasids) {
		struct pasid_attach *a = list_entry(it, struct pasid_attach, on_group);

		if (a->pasid == pasid)
			return a;
	}
	return NULL;
}

static struct pasid_user *find_user(struct pasid_attach *a,
				    const struct iommufd_device *dev)
{
	list_for_each (it, &a->users) {
		struct pasid_user *u = list_entry(it, struct pasid_user, on_attach);

		if (u->dev == dev)
			return u;
	}
	return NULL;
}

struct iommufd_hwpt *pasid_hwpt(struct iommufd_group *g, uint32_t pasid)
{
	struct pasid_attach *a = find(g, pasid);

	return a ? a->hwpt : NULL;
}

static struct iommufd_device *member(struct list *it)
{
	return list_entry(it, struct iommufd_device, on_group);
}

/* ---- from one hwpt to another -------------------------------------------------------
 */

static int ask(struct iommufd_device *dev, uint32_t pasid, const struct iommufd_hwpt *to,
	       const struct iommufd_hwpt *from)
{
	return dev->info.max_pasid_log2 ? iommu_ask(dev, pasid, to, from) : 0;
}

/* The requester may have to be made; then only blocking cannot fail. */
static int requester_of(struct iommufd_device *dev, uint32_t pasid,
			struct dma_requester **out)
{
	*out = NULL;
	if (!dev->info.max_pasid_log2 || !dev->info.pasid_requester)
		return 0;
	*out = dev->info.pasid_requester(&dev->info, pasid);
	return *out ? 0 : -ENOMEM;
}

static int ask_member(struct iommufd_device *dev, uint32_t pasid,
		      const struct iommufd_hwpt *to, const struct iommufd_hwpt *from)
{
	struct dma_requester *r;
	int err = to ? requester_of(dev, pasid, &r) : 0;

	return err ? err : ask(dev, pasid, to, from);
}

/* It has been asked. */
static void move_member(struct iommufd_device *dev, uint32_t pasid,
			const struct iommufd_hwpt *to)
{
	struct dma_requester *r;

	requester_of(dev, pasid, &r);
	if (r)
		dma_requester_attach_path(r, hwpt_path(to));
}

/* All members, or none of them. */
static int move(struct iommufd_group *g, uint32_t pasid, const struct iommufd_hwpt *to,
		const struct iommufd_hwpt *from)
{
	list_for_each (it, &g->members) {
		int err = ask_member(member(it), pasid, to, from);

		if (!err)
			continue;
		for (struct list *back = it->prev; back != &g->members; back = back->prev)
			PORT_BUG_ON(ask(member(back), pasid, from, to));
		return err;
	}
	list_for_each (it, &g->members)
		move_member(member(it), pasid, to);
	return 0;
}

/* May the group's PASID use it? */
static int check(struct iommufd_device *dev, uint32_t pasid,
		 const struct iommufd_hwpt *hwpt)
{
	struct iommufd_group *g = dev->group;

	if (!hwpt->pasid_compat || (g->hwpt && !g->hwpt->pasid_compat))
		return -EINVAL;
	if (hwpt->iommu != iommu_of(dev) || pasid == IOMMUFD_NO_PASID)
		return -EINVAL;
	list_for_each (it, &g->members) {
		unsigned bits = member(it)->info.max_pasid_log2;

		if (bits && pasid >> bits)
			return -EINVAL;
	}
	return 0;
}

/* ---- members come and go -------------------------------------------------------------
 */

int pasid_join(struct iommufd_device *dev)
{
	list_for_each (it, &dev->group->pasids) {
		struct pasid_attach *a = list_entry(it, struct pasid_attach, on_group);
		int err = ask_member(dev, a->pasid, a->hwpt, NULL);

		if (!err) {
			move_member(dev, a->pasid, a->hwpt);
			continue;
		}
		for (struct list *back = it->prev; back != &dev->group->pasids;
		     back = back->prev) {
			a = list_entry(back, struct pasid_attach, on_group);
			ask(dev, a->pasid, NULL, a->hwpt);
			move_member(dev, a->pasid, NULL);
		}
		return err;
	}
	return 0;
}

void pasid_leave(struct iommufd_device *dev)
{
	list_for_each (it, &dev->group->pasids) {
		struct pasid_attach *a = list_entry(it, struct pasid_attach, on_group);

		ask(dev, a->pasid, NULL, a->hwpt);
		move_member(dev, a->pasid, NULL);
		fault_withdraw(a->hwpt, dev->group, dev, a->pasid);
	}
}

/* ---- attach, replace, detach ---------------------------------------------------------
 */

static int add_first(struct iommufd_device *dev, uint32_t pasid,
		     struct iommufd_hwpt *hwpt, struct pasid_attach **out)
{
	struct pasid_attach *a;
	int err = check(dev, pasid, hwpt);

	if (err)
		return err;
	a = port_alloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	err = move(dev->group, pasid, hwpt, NULL);
	if (err) {
		port_free(a);
		return err;
	}
	a->pasid = pasid;
	a->hwpt = hwpt;
	list_init(&a->users);
	list_append(&dev->group->pasids, &a->on_group);
	*out = a;
	return 0;
}

static int attach(struct iommufd_device *dev, uint32_t pasid, struct iommufd_hwpt *hwpt,
		  struct iommufd_hwpt **old)
{
	struct pasid_attach *a = find(dev->group, pasid);
	struct pasid_user *u;
	int err;

	if (a && find_user(a, dev))
		return -EBUSY;
	if (!hwpt || (a && a->hwpt != hwpt))
		return -EINVAL;
	u = port_alloc(sizeof(*u));
	if (!u)
		return -ENOMEM;
	err = a ? 0 : add_first(dev, pasid, hwpt, &a);
	if (err) {
		port_free(u);
		return err;
	}
	u->dev = dev;
	list_append(&a->users, &u->on_attach);
	a->nr_users++;
	object_use(dev->ctx, &hwpt->obj, 1);
	return 0;
}

static int replace(struct iommufd_device *dev, uint32_t pasid, struct iommufd_hwpt *hwpt,
		   struct iommufd_hwpt **old)
{
	struct pasid_attach *a = find(dev->group, pasid);
	int err;

	if (!a || !find_user(a, dev) || !hwpt)
		return -EINVAL;
	if (a->hwpt == hwpt)
		return 0;
	err = check(dev, pasid, hwpt);
	if (err)
		return err;
	err = move(dev->group, pasid, hwpt, a->hwpt);
	if (err)
		return err;
	fault_withdraw(a->hwpt, dev->group, NULL, pasid);
	object_use(dev->ctx, &hwpt->obj, a->nr_users);
	object_unuse(dev->ctx, &a->hwpt->obj, a->nr_users - 1);
	*old = a->hwpt;
	a->hwpt = hwpt;
	return 0;
}

static struct iommufd_hwpt *detach(struct iommufd_device *dev, struct pasid_attach *a)
{
	struct pasid_user *u = find_user(a, dev);
	struct iommufd_hwpt *hwpt = a->hwpt;

	if (!u)
		return NULL;
	list_remove(&u->on_attach);
	port_free(u);
	if (--a->nr_users)
		return hwpt;
	move(dev->group, a->pasid, NULL, hwpt);
	fault_withdraw(hwpt, dev->group, NULL, a->pasid);
	list_remove(&a->on_group);
	port_free(a);
	return hwpt;
}

/*
 * An IOAS has no hwpt that would do: those that are made for it are not for PASIDs. It
 * fails all the same in the order that trying it would.
 */
static int change(struct iommufd_device *dev, uint32_t pasid, uint32_t pt_id,
		  int (*how)(struct iommufd_device *dev, uint32_t pasid,
			     struct iommufd_hwpt *hwpt, struct iommufd_hwpt **old))
{
	struct iommufd_ctx *ctx = dev->ctx;
	struct iommufd_object *pt = object_get(ctx, pt_id, OBJECT_ANY);
	struct iommufd_hwpt *old = NULL, *hwpt = NULL;
	int err = -EINVAL;

	if (!pt)
		return -ENOENT;
	if (pt->type == OBJECT_HWPT || pt->type == OBJECT_HWPT_NESTED)
		hwpt = (struct iommufd_hwpt *)pt;
	if (hwpt || pt->type == OBJECT_IOAS) {
		port_mutex_lock(&dev->group->lock);
		err = how(dev, pasid, hwpt, &old);
		port_mutex_unlock(&dev->group->lock);
	}
	object_put(ctx, pt);
	if (old)
		hwpt_release(ctx, old);
	return err;
}

int iommufd_pasid_attach(struct iommufd_device *dev, uint32_t pasid, uint32_t *pt_id)
{
	return change(dev, pasid, *pt_id, attach);
}

int iommufd_pasid_replace(struct iommufd_device *dev, uint32_t pasid, uint32_t *pt_id)
{
	return change(dev, pasid, *pt_id, replace);
}

void iommufd_pasid_detach(struct iommufd_device *dev, uint32_t pasid)
{
	struct iommufd_hwpt *hwpt;
	struct pasid_attach *a;

	port_mutex_lock(&dev->group->lock);
	a = find(dev->group, pasid);
	hwpt = a ? detach(dev, a) : NULL;
	port_mutex_unlock(&dev->group->lock);
	if (hwpt)
		hwpt_release(dev->ctx, hwpt);
}

bool iommufd_pasid_is_attached(struct iommufd_device *dev, uint32_t pasid)
{
	struct pasid_attach *a;
	bool attached;

	port_mutex_lock(&dev->group->lock);
	a = find(dev->group, pasid);
	attached = a && find_user(a, dev);
	port_mutex_unlock(&dev->group->lock);
	return attached;
}

/* Some PASID that the device has attached. */
static bool any_of(struct iommufd_device *dev, uint32_t *pasid)
{
	bool found = false;

	port_mutex_lock(&dev->group->lock);
	list_for_each (it, &dev->group->pasids) {
		struct pasid_attach *a = list_entry(it, struct pasid_attach, on_group);

		if (!find_user(a, dev))
			continue;
		*pasid = a->pasid;
		found = true;
	}
	port_mutex_unlock(&dev->group->lock);
	return found;
}

void pasid_detach_all(struct iommufd_device *dev)
{
	uint32_t pasid;

	while (any_of(dev, &pasid))
		iommufd_pasid_detach(dev, pasid);
}
