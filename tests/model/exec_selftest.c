/* SPDX-License-Identifier: MIT */
/* The selftest's calls: mock devices, accesses, buffers. */
#include <errno.h>
#include <fcntl.h>

#include "selftest/abi.h"
#include "tests/model/exec.h"

static uint64_t pointer(const void *p)
{
	return (uintptr_t)p;
}

static long test(struct exec *x, const struct op *op, struct iommu_test_cmd *cmd,
		 struct outcome *out)
{
	cmd->size = sizeof(*cmd);
	return exec_iommu(x, op, IOMMU_TEST_CMD, cmd, out);
}

static uint32_t access_fd(const struct exec *x, const struct op *op)
{
	return (uint32_t)x->access[op->slot % NACCESSES];
}

static void mock(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
		.id = exec_slot(x, op->pt),
		.mock_domain_flags = {.dev_flags = (uint32_t)op->flags},
	};

	if (test(x, op, &cmd, out))
		return;
	exec_set_slot(x, op->slot, cmd.mock_domain_flags.out_stdev_id);
	exec_set_slot(x, op->slot + 1, cmd.mock_domain_flags.out_idev_id);
	exec_set_slot(x, op->slot + 2, cmd.mock_domain_flags.out_hwpt_id);
	tell(out, cmd.mock_domain_flags.out_stdev_id);
	tell(out, cmd.mock_domain_flags.out_idev_id);
	tell(out, cmd.mock_domain_flags.out_hwpt_id);
}

static void mock_replace(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
		.id = exec_slot(x, op->obj),
		.mock_domain_replace = {.pt_id = exec_slot(x, op->pt)},
	};

	if (test(x, op, &cmd, out))
		return;
	exec_set_slot(x, op->slot, cmd.mock_domain_replace.pt_id);
	tell(out, cmd.mock_domain_replace.pt_id);
}

static void check_map(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MD_CHECK_MAP,
		.id = exec_slot(x, op->obj),
		.check_map = {.iova = op->iova,
			      .length = op->length,
			      .uptr = pointer(exec_client(x, op->start))},
	};

	test(x, op, &cmd, out);
}

static void check_pins(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MD_CHECK_REFS,
		.check_refs = {.length = op->length,
			       .uptr = pointer(exec_client(x, op->start)),
			       .refs = (uint32_t)op->value},
	};

	test(x, op, &cmd, out);
}

static void set_dirty(struct exec *x, const struct op *op, struct outcome *out)
{
	uint64_t bits = op->value;
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DIRTY,
		.id = exec_slot(x, op->obj),
		.dirty = {.iova = op->iova,
			  .length = op->length,
			  .page_size = MOCK_PAGE_SIZE,
			  .uptr = pointer(&bits)},
	};

	/* The bitmap is no longer. */
	if (op->length > 64 * MOCK_PAGE_SIZE && x->ctx[op->ctx % NCTX] >= 0)
		out->ret = -EINVAL;
	else if (!test(x, op, &cmd, out))
		tell(out, cmd.dirty.out_nr_dirty);
}

static void reserve(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ADD_RESERVED,
		.id = exec_slot(x, op->obj),
		.add_reserved = {.start = op->iova, .length = op->length},
	};

	test(x, op, &cmd, out);
}

static void access_open(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = exec_slot(x, op->obj),
		.create_access = {.flags = (uint32_t)op->flags},
	};

	if (!test(x, op, &cmd, out))
		x->access[op->slot % NACCESSES] = (int)cmd.create_access.out_access_fd;
}

static void access_replace(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
		.id = access_fd(x, op),
		.access_replace_ioas = {.ioas_id = exec_slot(x, op->pt)},
	};

	test(x, op, &cmd, out);
}

static void pin(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = access_fd(x, op),
		.access_pages = {.flags = (uint32_t)op->flags,
				 .iova = op->iova,
				 .length = op->length},
	};

	if (!test(x, op, &cmd, out))
		tell(out, cmd.access_pages.out_access_pages_id);
}

static void unpin(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
		.id = access_fd(x, op),
		.destroy_access_pages = {.access_pages_id = (uint32_t)op->value},
	};

	test(x, op, &cmd, out);
}

static void rw(struct exec *x, const struct op *op, struct outcome *out)
{
	bool too_long = op->length > MIB(16);
	uint64_t n = op->length < WRITE_MAX || too_long ? op->length : WRITE_MAX;
	uint8_t bytes[WRITE_MAX];
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.id = access_fd(x, op),
		.access_rw = {.iova = op->iova,
			      .length = n,
			      .uptr = pointer(bytes),
			      .flags = (uint32_t)op->flags},
	};

	world_pattern(op->value, bytes, too_long ? 0 : n);
	if (!test(x, op, &cmd, out) && !(op->flags & MOCK_ACCESS_RW_WRITE))
		tell(out, world_sum(bytes, n));
}

static void test_buf(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DMABUF_GET,
		.dmabuf_get = {.length = (uint32_t)op->length,
			       .open_flags = O_CLOEXEC | O_RDWR},
	};
	long fd = test(x, op, &cmd, out);

	if (fd < 0)
		return;
	x->buf[op->slot % NBUFS] = (int)fd;
	out->ret = 0;
}

static void test_revoke(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DMABUF_REVOKE,
		.dmabuf_revoke = {.dmabuf_fd = exec_fd(x, op->file),
				  .revoked = op->value != 0},
	};

	test(x, op, &cmd, out);
}

void exec_selftest(struct exec *x, const struct op *op, struct outcome *out)
{
	static void (*const calls[OP_KINDS])(struct exec *, const struct op *,
					     struct outcome *) = {
		[OP_MOCK] = mock,
		[OP_MOCK_REPLACE] = mock_replace,
		[OP_CHECK_MAP] = check_map,
		[OP_CHECK_PINS] = check_pins,
		[OP_SET_DIRTY] = set_dirty,
		[OP_RESERVE] = reserve,
		[OP_ACCESS_OPEN] = access_open,
		[OP_ACCESS_REPLACE] = access_replace,
		[OP_PIN] = pin,
		[OP_UNPIN] = unpin,
		[OP_RW] = rw,
		[OP_TEST_BUF] = test_buf,
		[OP_TEST_REVOKE] = test_revoke,
	};

	calls[op->kind](x, op, out);
}
