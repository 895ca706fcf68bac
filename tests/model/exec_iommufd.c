/* SPDX-License-Identifier: MIT */
/* The calls of /dev/iommu, with their structs filled in. */
#include <errno.h>
#include <string.h>

#include "selftest/abi.h"
#include "tests/model/exec.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/abi/vfio_type1.h"

static uint64_t pointer(const void *p)
{
	return (uintptr_t)p;
}

static void ioas_alloc(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd), .flags = (uint32_t)op->flags};

	if (exec_iommu(x, op, IOMMU_IOAS_ALLOC, &cmd, out))
		return;
	exec_set_slot(x, op->slot, cmd.out_ioas_id);
	tell(out, cmd.out_ioas_id);
}

static void destroy(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = exec_slot(x, op->obj)};

	exec_iommu(x, op, IOMMU_DESTROY, &cmd, out);
}

static void ranges(struct exec *x, const struct op *op, struct outcome *out)
{
	const uint32_t room = op->count < RANGES_MAX ? (uint32_t)op->count : RANGES_MAX;
	struct iommu_iova_range v[RANGES_MAX] = {0};
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = exec_slot(x, op->obj),
		.num_iovas = room,
		.allowed_iovas = pointer(v),
	};
	long r = exec_iommu(x, op, IOMMU_IOAS_IOVA_RANGES, &cmd, out);

	if (r && r != -EMSGSIZE)
		return;
	tell(out, cmd.num_iovas);
	tell(out, cmd.out_iova_alignment);
	for (uint32_t i = 0; i < cmd.num_iovas && i < room; i++) {
		tell(out, v[i].start);
		tell(out, v[i].last);
	}
}

static void allow(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_iova_range v[2] = {{op->iova, op->iova + (op->length - 1)},
					{op->iova2, op->iova2 + (op->value - 1)}};
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = exec_slot(x, op->obj),
		.num_iovas = (uint32_t)(op->count < 2 ? op->count : 2),
		.allowed_iovas = pointer(v),
	};

	exec_iommu(x, op, IOMMU_IOAS_ALLOW_IOVAS, &cmd, out);
}

static void map(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = (uint32_t)op->flags,
		.ioas_id = exec_slot(x, op->obj),
		.user_va = pointer(exec_client(x, op->start)),
		.length = op->length,
		.iova = op->iova,
	};

	if (!exec_iommu(x, op, IOMMU_IOAS_MAP, &cmd, out))
		tell(out, cmd.iova);
}

static void map_file(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = (uint32_t)op->flags,
		.ioas_id = exec_slot(x, op->obj),
		.fd = exec_fd(x, op->file),
		.start = op->start,
		.length = op->length,
		.iova = op->iova,
	};

	if (!exec_iommu(x, op, IOMMU_IOAS_MAP_FILE, &cmd, out))
		tell(out, cmd.iova);
}

static void copy(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = (uint32_t)op->flags,
		.dst_ioas_id = exec_slot(x, op->pt),
		.src_ioas_id = exec_slot(x, op->obj),
		.length = op->length,
		.dst_iova = op->iova,
		.src_iova = op->iova2,
	};

	if (!exec_iommu(x, op, IOMMU_IOAS_COPY, &cmd, out))
		tell(out, cmd.dst_iova);
}

static void unmap(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = exec_slot(x, op->obj),
		.iova = op->iova,
		.length = op->length,
	};

	if (!exec_iommu(x, op, IOMMU_IOAS_UNMAP, &cmd, out))
		tell(out, cmd.length);
}

static void option(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = (uint32_t)op->count,
		.op = (uint16_t)op->flags,
		.object_id = op->obj == NSLOTS ? 0 : exec_slot(x, op->obj),
		.val64 = op->value,
	};

	if (!exec_iommu(x, op, IOMMU_OPTION, &cmd, out))
		tell(out, cmd.val64);
}

static void hwpt_alloc(struct exec *x, const struct op *op, struct outcome *out)
{
	static const uint32_t tables[NDATA] = {
		[DATA_HUGE] = MOCK_IOMMUPT_HUGE, [DATA_BAD_TABLE] = 7};
	struct iommu_hwpt_selftest data = {.pagetable_type = tables[op->value % NDATA]};
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = (uint32_t)op->flags,
		.dev_id = exec_slot(x, op->obj),
		.pt_id = exec_slot(x, op->pt),
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = pointer(&data),
	};

	switch ((enum hwpt_data)(op->value % NDATA)) {
	case DATA_NONE:
		cmd.data_type = IOMMU_HWPT_DATA_NONE;
		cmd.data_len = 0;
		break;
	case DATA_NO_TYPE:
		cmd.data_type = IOMMU_HWPT_DATA_NONE;
		break;
	case DATA_NO_LENGTH:
		cmd.data_len = 0;
		break;
	case DATA_FOREIGN:
		cmd.data_type = 0x1234;
		break;
	case DATA_SHORT:
		cmd.data_len = 2;
		break;
	default:
		break;
	}
	if (exec_iommu(x, op, IOMMU_HWPT_ALLOC, &cmd, out))
		return;
	exec_set_slot(x, op->slot, cmd.out_hwpt_id);
	tell(out, cmd.out_hwpt_id);
}

static void track(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = (uint32_t)op->flags,
		.hwpt_id = exec_slot(x, op->obj),
	};

	exec_iommu(x, op, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd, out);
}

static void dirty_get(struct exec *x, const struct op *op, struct outcome *out)
{
	/* As long as what can be mapped needs with the smallest pages asked for. */
	static uint64_t bits[1 << 16];
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = exec_slot(x, op->obj),
		.flags = (uint32_t)op->flags,
		.iova = op->iova,
		.length = op->length,
		.page_size = op->value,
		.data = pointer(bits),
	};

	memset(bits, 0, DIRTY_WORDS * sizeof(bits[0]));
	if (exec_iommu(x, op, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd, out))
		return;
	for (unsigned i = 0; i < DIRTY_WORDS; i++)
		tell(out, bits[i]);
}

/* ---- what no handler sees ---------------------------------------------------- */

static void malformed(struct exec *x, const struct op *op, struct outcome *out)
{
	static const struct {
		unsigned long cmd;
		uint32_t size;
	} calls[] = {
		{IOMMU_DESTROY, sizeof(struct iommu_destroy)},
		{IOMMU_IOAS_ALLOC, sizeof(struct iommu_ioas_alloc)},
		{IOMMU_IOAS_MAP, sizeof(struct iommu_ioas_map)},
		{IOMMU_IOAS_MAP_FILE, sizeof(struct iommu_ioas_map_file)},
		{IOMMU_IOAS_UNMAP, sizeof(struct iommu_ioas_unmap)},
		{IOMMU_IOAS_COPY, sizeof(struct iommu_ioas_copy)},
		{IOMMU_IOAS_IOVA_RANGES, sizeof(struct iommu_ioas_iova_ranges)},
		{IOMMU_IOAS_ALLOW_IOVAS, sizeof(struct iommu_ioas_allow_iovas)},
		{IOMMU_OPTION, sizeof(struct iommu_option)},
		{IOMMU_HWPT_ALLOC, sizeof(struct iommu_hwpt_alloc)},
	};
	const size_t i = op->count % (sizeof(calls) / sizeof(calls[0]));
	uint32_t words[64] = {calls[i].size};

	switch ((enum malformed)(op->value % NMALFORMED)) {
	case MALFORMED_SHORT:
		words[0] = 4;
		break;
	case MALFORMED_TAIL:
		words[0] += 8;
		words[words[0] / 4 - 1] = 1;
		break;
	case MALFORMED_POINTER:
		exec_iommu(x, op, calls[i].cmd, (void *)8, out);
		return;
	default:
		exec_iommu(x, op, _IO(IOMMUFD_TYPE, 0x9e), words, out);
		return;
	}
	exec_iommu(x, op, calls[i].cmd, words, out);
}

/* ---- type 1 ------------------------------------------------------------------ */

static void change_process(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_ioas_change_process cmd = {.size = sizeof(cmd)};

	exec_iommu(x, op, IOMMU_IOAS_CHANGE_PROCESS, &cmd, out);
}

static void vfio_ioas(struct exec *x, const struct op *op, struct outcome *out)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.ioas_id = exec_slot(x, op->obj),
		.op = (uint16_t)op->count,
	};

	if (!exec_iommu(x, op, IOMMU_VFIO_IOAS, &cmd, out) &&
	    op->count == IOMMU_VFIO_IOAS_GET)
		tell(out, cmd.ioas_id);
}

static void type1_set(struct exec *x, const struct op *op, struct outcome *out)
{
	exec_iommu(x, op, VFIO_SET_IOMMU, (void *)(uintptr_t)op->value, out);
}

static void type1_map(struct exec *x, const struct op *op, struct outcome *out)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = (uint32_t)op->flags,
		.vaddr = pointer(exec_client(x, op->start)),
		.iova = op->iova,
		.size = op->length,
	};

	exec_iommu(x, op, VFIO_IOMMU_MAP_DMA, &cmd, out);
}

static void type1_unmap(struct exec *x, const struct op *op, struct outcome *out)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd),
		.flags = (uint32_t)op->flags,
		.iova = op->iova,
		.size = op->length,
	};

	if (!exec_iommu(x, op, VFIO_IOMMU_UNMAP_DMA, &cmd, out))
		tell(out, cmd.size);
}

void exec_iommufd(struct exec *x, const struct op *op, struct outcome *out)
{
	static void (*const calls[OP_KINDS])(struct exec *, const struct op *,
					     struct outcome *) = {
		[OP_IOAS_ALLOC] = ioas_alloc,
		[OP_DESTROY] = destroy,
		[OP_RANGES] = ranges,
		[OP_ALLOW] = allow,
		[OP_MAP] = map,
		[OP_MAP_FILE] = map_file,
		[OP_COPY] = copy,
		[OP_UNMAP] = unmap,
		[OP_OPTION] = option,
		[OP_HWPT_ALLOC] = hwpt_alloc,
		[OP_TRACK] = track,
		[OP_DIRTY_GET] = dirty_get,
		[OP_MALFORMED] = malformed,
		[OP_CHANGE_PROCESS] = change_process,
		[OP_VFIO_IOAS] = vfio_ioas,
		[OP_TYPE1_SET] = type1_set,
		[OP_TYPE1_MAP] = type1_map,
		[OP_TYPE1_UNMAP] = type1_unmap,
	};

	calls[op->kind](x, op, out);
}
