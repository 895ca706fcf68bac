/* SPDX-License-Identifier: MIT */
/*
 * Looking at what is mapped: translations against the client's own page tables, pins of
 * its pages, the first stage's numbers; and dirty bits as a device would set them.
 *
 * A client's address is turned into physical ones by pinning it for a moment, as any
 * user of memory does.
 */
#include <errno.h>

#include "machine/memory.h"
#include "selftest/mock.h"

int mock_resolve(struct client *c, uint64_t va, uint64_t length, struct mock_resolved *r)
{
	int err;

	*r = (struct mock_resolved){.length = length};
	err = c->ops->user_memory(c, va, length, &r->source);
	if (err)
		return err;
	err = r->source->ops->pin(r->source, 0, length, false, &r->runs);
	if (err) {
		run_list_finish(&r->runs);
		r->source->ops->destroy(r->source);
	}
	return err;
}

void mock_resolved_put(struct mock_resolved *r)
{
	run_list_finish(&r->runs);
	r->source->ops->unpin(r->source, 0, r->length);
	r->source->ops->destroy(r->source);
}

/* ---- MD_CHECK_MAP -------------------------------------------------------------------
 */

static bool run_is_at(struct domain *d, uint64_t iova, const struct run *run,
		      uint64_t step)
{
	struct pt_translation t;

	for (uint64_t at = 0; at < run->length; at += step)
		if (!domain_lookup(d, iova + at, &t) || t.spa != run->spa + at)
			return false;
	return true;
}

static int check_memory(struct client *c, struct domain *d, uint64_t iova,
			uint64_t length, uint64_t va)
{
	uint64_t page = domain_min_page(d);
	struct mock_resolved r;
	int err = mock_resolve(c, va, length, &r);

	if (err)
		return err;
	for (size_t i = 0; !err && i < r.runs.n; i++) {
		if (!run_is_at(d, iova, &r.runs.v[i], page))
			err = -EINVAL;
		iova += r.runs.v[i].length;
	}
	mock_resolved_put(&r);
	return err;
}

/* What is wrong with the first page that anything is wrong with. */
static int check_map(struct client *c, struct domain *d, uint64_t iova, uint64_t length,
		     uint64_t va)
{
	uint64_t page = domain_min_page(d), end;
	int err;

	if ((iova | length | va) & (page - 1) || __builtin_add_overflow(va, length, &end))
		return -EINVAL;
	if (!length)
		return 0;
	err = check_memory(c, d, iova, length, va);
	if (err != -EFAULT)
		return err;
	for (uint64_t at = 0; at < length; at += page) {
		err = check_memory(c, d, iova + at, page, va + at);
		if (err)
			return err;
	}
	return -EFAULT;
}

long mock_check_map(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	struct iommufd_ref ref;
	struct domain *d;
	int err = iommufd_domain_by_id(mock_ctx(call), cmd->id, &ref, &d);

	if (err)
		return err;
	if (d->pt.format == &mock_pt)
		err = check_map(call->client, d, cmd->check_map.iova,
				cmd->check_map.length, cmd->check_map.uptr);
	else
		err = -EINVAL;
	iommufd_ref_put(&ref);
	return err;
}

/* ---- MD_CHECK_REFS ------------------------------------------------------------------
 */

static bool pins_are(struct memory *mem, const struct mock_resolved *r, unsigned pins)
{
	for (size_t i = 0; i < r->runs.n; i++) {
		const struct run *run = &r->runs.v[i];

		for (uint64_t at = 0; at < run->length; at += PORT_PAGE_SIZE)
			if (memory_count_pins(mem, run->spa + at, r->source) != pins)
				return false;
	}
	return true;
}

static int check_pins(struct client *c, uint64_t va, uint64_t length, unsigned pins)
{
	struct mock_resolved r;
	int err = mock_resolve(c, va, length, &r);

	if (err)
		return err;
	if (!pins_are(c->machine->memory, &r, pins))
		err = -EIO;
	mock_resolved_put(&r);
	return err;
}

long mock_check_refs(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	uint64_t va = cmd->check_refs.uptr, length = cmd->check_refs.length, end;
	struct client *c = call->client;
	int err;

	if ((va | length) & (PORT_PAGE_SIZE - 1) ||
	    __builtin_add_overflow(va, length, &end))
		return -EINVAL;
	if (!length)
		return 0;
	err = check_pins(c, va, length, cmd->check_refs.refs);
	/* As in CHECK_MAP. */
	for (uint64_t at = 0; err == -EFAULT && at < length; at += PORT_PAGE_SIZE) {
		int page = check_pins(c, va + at, PORT_PAGE_SIZE, cmd->check_refs.refs);

		if (page)
			return page;
	}
	return err;
}

/* ---- MD_CHECK_IOTLB ------------------------------------------------------------------
 */

long mock_check_iotlb(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	uint32_t i = cmd->check_iotlb.id;
	struct iommufd_nested *nested;
	struct mock_nested *n;
	struct iommufd_ref ref;
	int err = iommufd_nested_by_id(mock_ctx(call), cmd->id, &ref, &nested);

	if (err)
		return err;
	n = mock_nested_of(nested);
	if (!n || i > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX ||
	    n->iotlb[i] != cmd->check_iotlb.iotlb)
		err = -EINVAL;
	iommufd_ref_put(&ref);
	return err;
}

/* ---- DIRTY --------------------------------------------------------------------------
 */

#define DIRTY_MAX_BITS ((uint64_t)16 << 23) /* of a bitmap of 16 MiB */

static int set_dirty(struct client *c, struct domain *d, struct iommu_test_cmd *cmd)
{
	uint64_t n = cmd->dirty.length / cmd->dirty.page_size;
	uint64_t iova = cmd->dirty.iova, count = 0;
	unsigned char bits[256];

	for (uint64_t i = 0; i < n; i++, iova += cmd->dirty.page_size) {
		size_t byte = i / 8 % sizeof(bits);

		if (i % (8 * sizeof(bits)) == 0) {
			uint64_t left = (n - i + 7) / 8;
			int err = client_copy_in(c, bits, cmd->dirty.uptr + i / 8,
						 (size_t)min_u64(left, sizeof(bits)));

			if (err)
				return err;
		}
		if (!(bits[byte] >> i % 8 & 1))
			continue;
		domain_set_dirty(d, iova);
		count++;
	}
	cmd->dirty.out_nr_dirty = count;
	return 0;
}

long mock_dirty(struct uapi_call *call)
{
	struct iommu_test_cmd *cmd = mock_cmd(call);
	uint64_t page = cmd->dirty.page_size;
	struct iommufd_ref ref;
	struct domain *d;
	int err;

	if (!page || !cmd->dirty.length || cmd->dirty.iova % page ||
	    cmd->dirty.length % page || !cmd->dirty.uptr)
		return -EINVAL;
	if (cmd->dirty.length / page > DIRTY_MAX_BITS)
		return -EOVERFLOW;
	err = iommufd_domain_by_id(mock_ctx(call), cmd->id, &ref, &d);
	if (err)
		return err;
	if (d->pt.format != &mock_pt || !d->dirty_on)
		err = -EINVAL;
	if (!err)
		err = set_dirty(call->client, d, cmd);
	if (!err)
		err = mock_respond(call);
	iommufd_ref_put(&ref);
	return err;
}
