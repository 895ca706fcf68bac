/* SPDX-License-Identifier: MIT */
/*
 * IOMMU groups: which hwpt the devices of a group translate through.
 *
 * group.lock guards the members, the hwpt and who is attached, and is held over every
 * change of a requester's domain, so that all requesters of a group always agree. Each
 * attached member uses the hwpt. A member's reserved ranges are in the IOAS as long as
 * it is attached, with the member as their owner.
 *
 * Attaching: reserve the ranges, fill the domain, and only then let requests through.
 * Detaching: first block the requesters (that waits until nothing is in flight), then
 * give the ranges and the hwpt back. Replacing keeps both address spaces ready until
 * the requesters have moved over, so a device never sees a moment of neither.
 *
 * A group is owned by the context that has bound its members: the claim is taken with
 * the group's first member and dropped with its last.
 */
#include <errno.h>

#include "iommufd/private.h"

/* ---- members -------------------------------------------------------------------- */

static bool claim(_Atomic(const void *) *owner, const void *me)
{
	const void *expected = NULL;

	return !owner || atomic_compare_exchange_strong(owner, &expected, me);
}

static void unclaim(_Atomic(const void *) *owner)
{
	if (owner)
		atomic_store(owner, NULL);
}

/* Under ctx.lock. Takes a reference. */
static struct iommufd_group *find_group(struct iommufd_ctx *ctx, const void *key)
{
	list_for_each (it, &ctx->groups) {
		struct iommufd_group *g = list_entry(it, struct iommufd_group, on_ctx);

		if (g->key == key) {
			g->refs++;
			return g;
		}
	}
	return NULL;
}

static void group_free(struct iommufd_group *g)
{
	if (!g)
		return;
	port_mutex_finish(&g->lock);
	port_free(g);
}

static struct iommufd_group *group_new(const struct iommufd_device_info *info)
{
	struct iommufd_group *g = port_alloc(sizeof(*g));

	if (!g)
		return NULL;
	g->key = info->group;
	g->owner = info->group_owner;
	g->refs = 1;
	port_mutex_init(&g->lock);
	list_init(&g->members);
	list_init(&g->pasids);
	return g;
}

/* The group with a reference; made, claimed and entered if it is not there yet. */
static int group_get(struct iommufd_ctx *ctx, const struct iommufd_device_info *info,
		     struct iommufd_group **out)
{
	struct iommufd_group *g, *fresh = group_new(info);
	int err = 0;

	if (!fresh)
		return -ENOMEM;
	pthread_mutex_lock(&ctx->lock);
	g = find_group(ctx, info->group);
	if (!g && claim(fresh->owner, ctx)) {
		g = fresh;
		fresh = NULL;
		list_append(&ctx->groups, &g->on_ctx);
	} else if (!g) {
		err = -EPERM;
	}
	pthread_mutex_unlock(&ctx->lock);
	group_free(fresh);
	*out = g;
	return err;
}

static void group_put(struct iommufd_ctx *ctx, struct iommufd_group *g)
{
	bool last;

	pthread_mutex_lock(&ctx->lock);
	last = !--g->refs;
	if (last) {
		list_remove(&g->on_ctx);
		unclaim(g->owner);
	}
	pthread_mutex_unlock(&ctx->lock);
	if (last)
		group_free(g);
}

int iommu_ask(struct iommufd_device *dev, uint32_t pasid, const struct iommufd_hwpt *to,
	      const struct iommufd_hwpt *from)
{
	const struct iommufd_iommu *iommu = iommu_of(dev);
	struct iommufd_translation t, f;

	if (to && to->iommu != iommu)
		return -EINVAL;
	if (to && to->fault && !iommu->page_answer)
		return -ENODEV;
	if (!iommu->attach)
		return 0;
	t = hwpt_translation(to);
	f = hwpt_translation(from);
	return iommu->attach(&dev->info, pasid, to ? &t : NULL, from ? &f : NULL);
}

static int ask_iommu(struct iommufd_device *dev, const struct iommufd_hwpt *to,
		     const struct iommufd_hwpt *from)
{
	return iommu_ask(dev, IOMMUFD_NO_PASID, to, from);
}

static struct iommufd_device *member(struct list *it)
{
	return list_entry(it, struct iommufd_device, on_group);
}

static bool has_requester(const struct iommufd_group *g, const struct dma_requester *r)
{
	list_for_each (it, &g->members) {
		if (member(it)->info.requester == r)
			return true;
	}
	return false;
}

/* A new member translates as the others do. */
static int enter(struct iommufd_group *g, struct iommufd_device *dev)
{
	int err;

	if (dev->info.needs_direct && *dev->info.needs_direct)
		return -EINVAL;
	if (has_requester(g, dev->info.requester))
		return -EBUSY;
	err = g->hwpt ? ask_iommu(dev, g->hwpt, NULL) : 0;
	if (err)
		return err;
	err = pasid_join(dev);
	if (err) {
		if (g->hwpt)
			ask_iommu(dev, NULL, g->hwpt);
		return err;
	}
	list_append(&g->members, &dev->on_group);
	if (g->hwpt)
		dma_requester_attach_path(dev->info.requester, hwpt_path(g->hwpt));
	return 0;
}

int group_join(struct iommufd_ctx *ctx, struct iommufd_device *dev)
{
	struct iommufd_group *g;
	int err = group_get(ctx, &dev->info, &g);

	if (err)
		return err;
	dev->group = g;
	port_mutex_lock(&g->lock);
	err = enter(g, dev);
	port_mutex_unlock(&g->lock);
	if (err) {
		dev->group = NULL;
		group_put(ctx, g);
	}
	return err;
}

void group_leave(struct iommufd_ctx *ctx, struct iommufd_device *dev)
{
	struct iommufd_group *g = dev->group;

	port_mutex_lock(&g->lock);
	PORT_BUG_ON(dev->attached);
	fault_withdraw(g->hwpt, g, dev, FAULTS_OF_ANY_PASID);
	pasid_leave(dev);
	list_remove(&dev->on_group);
	if (g->hwpt)
		ask_iommu(dev, NULL, g->hwpt);
	dma_requester_attach(dev->info.requester, NULL);
	port_mutex_unlock(&g->lock);
	group_put(ctx, g);
}

/* ---- attach and detach (under group.lock) --------------------------------------- */

/* All members from @from to @to, or none of them. */
static int translate_through(struct iommufd_group *g, const struct iommufd_hwpt *to,
			     const struct iommufd_hwpt *from)
{
	list_for_each (it, &g->members) {
		int err = ask_iommu(member(it), to, from);

		if (!err)
			continue;
		for (struct list *back = it->prev; back != &g->members; back = back->prev)
			PORT_BUG_ON(ask_iommu(member(back), from, to));
		return err;
	}
	list_for_each (it, &g->members) {
		dma_requester_attach_path(member(it)->info.requester, hwpt_path(to));
	}
	return 0;
}

static int reserve(struct iommufd_device *dev, struct ioas *ioas)
{
	for (size_t i = 0; i < dev->info.nr_resv; i++) {
		const struct iommufd_resv *r = &dev->info.resv[i];
		int err = ioas_reserve(ioas, r->start, r->last, dev);

		if (err) {
			ioas_unreserve(ioas, dev);
			return err;
		}
	}
	return 0;
}

static void unreserve_attached(struct iommufd_group *g, struct ioas *ioas)
{
	list_for_each (it, &g->members) {
		if (member(it)->attached)
			ioas_unreserve(ioas, member(it));
	}
}

static int reserve_attached(struct iommufd_group *g, struct ioas *ioas)
{
	list_for_each (it, &g->members) {
		int err = member(it)->attached ? reserve(member(it), ioas) : 0;

		if (err) {
			unreserve_attached(g, ioas);
			return err;
		}
	}
	return 0;
}

/* PASIDs want all of the group's hwpts to be for PASIDs. */
static bool suits_pasids(const struct iommufd_group *g, const struct iommufd_hwpt *hwpt)
{
	return hwpt->pasid_compat || list_empty(&g->pasids);
}

static int attach(struct iommufd_ctx *ctx, struct iommufd_device *dev,
		  struct iommufd_hwpt *hwpt)
{
	struct iommufd_group *g = dev->group;
	int err;

	if (g->hwpt && g->hwpt != hwpt)
		return -EINVAL;
	err = reserve(dev, hwpt->ioas->ioas);
	if (err)
		return err;
	sw_msi_note(g, &dev->info);
	err = g->hwpt ? 0 : sw_msi_follow(ctx, g, hwpt);
	if (!err)
		err = hwpt_fill(hwpt);
	if (!err && !g->hwpt)
		err = suits_pasids(g, hwpt) ? translate_through(g, hwpt, NULL) : -EINVAL;
	if (err) {
		ioas_unreserve(hwpt->ioas->ioas, dev);
		return err;
	}
	g->hwpt = hwpt;
	object_use(ctx, &hwpt->obj, 1);
	dev->attached = true;
	g->nr_attached++;
	return 0;
}

/*
 * The uses of the attached members move to @hwpt, but for one of the old ones, which
 * the caller drops when it holds no locks.
 */
static int replace(struct iommufd_ctx *ctx, struct iommufd_group *g,
		   struct iommufd_hwpt *hwpt, struct iommufd_hwpt **out_old)
{
	struct iommufd_hwpt *old = g->hwpt;
	bool same_ioas = old->ioas == hwpt->ioas;
	int err;

	if (hwpt == old)
		return 0;
	err = hwpt_fill(hwpt);
	if (err)
		return err;
	if (!same_ioas) {
		err = reserve_attached(g, hwpt->ioas->ioas);
		if (err)
			return err;
	}
	err = sw_msi_follow(ctx, g, hwpt);
	if (!err)
		err = suits_pasids(g, hwpt) ? translate_through(g, hwpt, old) : -EINVAL;
	if (err) {
		if (!same_ioas)
			unreserve_attached(g, hwpt->ioas->ioas);
		return err;
	}
	g->hwpt = hwpt;
	fault_withdraw(old, g, NULL, IOMMUFD_NO_PASID);
	if (!same_ioas)
		unreserve_attached(g, old->ioas->ioas);
	object_use(ctx, &hwpt->obj, g->nr_attached);
	object_unuse(ctx, &old->obj, g->nr_attached - 1);
	*out_old = old;
	return 0;
}

int group_attach(struct iommufd_ctx *ctx, struct iommufd_device *dev,
		 struct iommufd_hwpt *hwpt, struct iommufd_hwpt **old)
{
	struct iommufd_group *g = dev->group;
	int err;

	*old = NULL;
	port_mutex_lock(&g->lock);
	err = dev->attached ? replace(ctx, g, hwpt, old) : attach(ctx, dev, hwpt);
	port_mutex_unlock(&g->lock);
	return err;
}

struct iommufd_hwpt *group_detach(struct iommufd_device *dev)
{
	struct iommufd_group *g = dev->group;
	struct iommufd_hwpt *hwpt = NULL;

	port_mutex_lock(&g->lock);
	if (!dev->attached)
		goto out;
	hwpt = g->hwpt;
	dev->attached = false;
	if (!--g->nr_attached) {
		translate_through(g, NULL, hwpt);
		fault_withdraw(hwpt, g, NULL, IOMMUFD_NO_PASID);
		g->hwpt = NULL;
	}
	ioas_unreserve(hwpt->ioas->ioas, dev);
out:
	port_mutex_unlock(&g->lock);
	return hwpt;
}
