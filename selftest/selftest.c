/* SPDX-License-Identifier: MIT */
/* IOMMU_TEST_CMD: from the operation to its handler. */
#include "selftest/selftest.h"

#include <errno.h>

#include "selftest/mock.h"
#include "uapi/fields.h"

/* Keep [start, + length) of an IOAS clear of areas, for good. */
static long add_reserved(struct uapi_call *call)
{
	const struct iommu_test_cmd *cmd = mock_cmd(call);
	struct iommufd_ref ref;
	struct ioas *ioas;
	uint64_t last;
	int err;

	if (!cmd->add_reserved.length)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->add_reserved.start, cmd->add_reserved.length - 1,
				   &last))
		return -EOVERFLOW;
	err = iommufd_ioas_by_id(mock_ctx(call), cmd->id, &ref, &ioas);
	if (err)
		return err;
	err = ioas_reserve(ioas, cmd->add_reserved.start, last, NULL);
	iommufd_ref_put(&ref);
	return err;
}

/* It bounds the kernel's batches of page numbers; here are runs, and nothing to bound. */
static long set_memory_limit(struct uapi_call *call)
{
	const size_t smallest = sizeof(uint64_t) + sizeof(uint32_t);

	return mock_cmd(call)->memory_limit.limit < smallest ? -EINVAL : 0;
}

static long (*const ops[])(struct uapi_call *call) = {
	[IOMMU_TEST_OP_ADD_RESERVED] = add_reserved,
	[IOMMU_TEST_OP_MOCK_DOMAIN] = mock_domain,
	[IOMMU_TEST_OP_MD_CHECK_MAP] = mock_check_map,
	[IOMMU_TEST_OP_MD_CHECK_REFS] = mock_check_refs,
	[IOMMU_TEST_OP_CREATE_ACCESS] = mock_create_access,
	[IOMMU_TEST_OP_DESTROY_ACCESS_PAGES] = mock_destroy_access_pages,
	[IOMMU_TEST_OP_ACCESS_PAGES] = mock_access_pages,
	[IOMMU_TEST_OP_ACCESS_RW] = mock_access_rw,
	[IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT] = set_memory_limit,
	[IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE] = mock_domain_replace,
	[IOMMU_TEST_OP_ACCESS_REPLACE_IOAS] = mock_access_replace,
	[IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS] = mock_domain,
	[IOMMU_TEST_OP_DIRTY] = mock_dirty,
	[IOMMU_TEST_OP_MD_CHECK_IOTLB] = mock_check_iotlb,
	[IOMMU_TEST_OP_TRIGGER_IOPF] = mock_trigger_iopf,
	[IOMMU_TEST_OP_DEV_CHECK_CACHE] = mock_check_cache,
	[IOMMU_TEST_OP_TRIGGER_VEVENT] = mock_trigger_vevent,
	[IOMMU_TEST_OP_PASID_ATTACH] = mock_pasid_attach,
	[IOMMU_TEST_OP_PASID_REPLACE] = mock_pasid_replace,
	[IOMMU_TEST_OP_PASID_DETACH] = mock_pasid_detach,
	[IOMMU_TEST_OP_PASID_CHECK_HWPT] = mock_pasid_check,
	[IOMMU_TEST_OP_DMABUF_GET] = mock_dmabuf_get,
	[IOMMU_TEST_OP_DMABUF_REVOKE] = mock_dmabuf_revoke,
};

static long test_cmd(struct uapi_call *call)
{
	uint32_t op = mock_cmd(call)->op;

	if (op >= ARRAY_LEN(ops) || !ops[op])
		return -EOPNOTSUPP;
	return ops[op](call);
}

#define NAME(op)                                                                         \
	{                                                                                \
		IOMMU_TEST_OP_##op, #op                                                  \
	}

static const struct uapi_name op_names[] = {
	NAME(ADD_RESERVED),
	NAME(MOCK_DOMAIN),
	NAME(MD_CHECK_MAP),
	NAME(MD_CHECK_REFS),
	NAME(CREATE_ACCESS),
	NAME(DESTROY_ACCESS_PAGES),
	NAME(ACCESS_PAGES),
	NAME(ACCESS_RW),
	NAME(SET_TEMP_MEMORY_LIMIT),
	NAME(MOCK_DOMAIN_REPLACE),
	NAME(ACCESS_REPLACE_IOAS),
	NAME(MOCK_DOMAIN_FLAGS),
	NAME(DIRTY),
	NAME(MD_CHECK_IOTLB),
	NAME(TRIGGER_IOPF),
	NAME(DEV_CHECK_CACHE),
	NAME(TRIGGER_VEVENT),
	NAME(PASID_ATTACH),
	NAME(PASID_REPLACE),
	NAME(PASID_DETACH),
	NAME(PASID_CHECK_HWPT),
	NAME(DMABUF_GET),
	NAME(DMABUF_REVOKE),
	{0, NULL},
};

static const struct uapi_field fields[] = {
	IN_NAMED(iommu_test_cmd, op, ENUM, op_names),
	IN(iommu_test_cmd, id, DEC),
	END,
};

static const struct uapi_entry entries[] = {
	{
		.cmd = IOMMU_TEST_CMD,
		.name = "IOMMU_TEST_CMD",
		.rule = UAPI_SIZED,
		.min_size = offsetof(struct iommu_test_cmd, last) + sizeof(uint32_t),
		.size = sizeof(struct iommu_test_cmd),
		.handler = test_cmd,
		.fields = fields,
	},
};

const struct uapi_table selftest_table = {
	.family = "iommufd selftest",
	.entries = entries,
	.n = ARRAY_LEN(entries),
};
