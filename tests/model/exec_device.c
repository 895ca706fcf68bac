/* SPDX-License-Identifier: MIT */
/* The calls of VFIO devices, and the devices' own DMA. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/model/exec.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/abi/vfio_feature.h"
#include "uiommufd/abi/vfio_pci.h"

#define CONFIG_COMMAND 0x04
#define CONFIG_CAPS    0x34
#define CAP_PM         0x01
#define CAP_EXPRESS    0x10
#define PM_CONTROL     4
#define EXPRESS_DEVCTL 8
#define DEVCTL_FLR     0x8000u

/* A call about one device: its open, and the device. */
struct at {
	struct exec *x;
	int fd;
	struct exec_device *d;
};

static long call(const struct at *a, unsigned long cmd, void *arg)
{
	return uiommufd_ioctl(a->x->machine, a->fd, cmd, arg);
}

static long config_read(const struct at *a, unsigned offset, void *to, size_t n)
{
	return uiommufd_pread(a->x->machine, a->fd, to, n, a->d->config_offset + offset);
}

static long config_write(const struct at *a, unsigned offset, const void *from, size_t n)
{
	return uiommufd_pwrite(a->x->machine, a->fd, from, n,
			       a->d->config_offset + offset);
}

static uint64_t region(const struct at *a, uint32_t index)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	call(a, VFIO_DEVICE_GET_REGION_INFO, &info);
	return info.offset;
}

static unsigned capability(const struct at *a, uint8_t id)
{
	uint8_t at = 0, cap[2] = {0};

	config_read(a, CONFIG_CAPS, &at, 1);
	while (at) {
		config_read(a, at, cap, 2);
		if (cap[0] == id)
			break;
		at = cap[1];
	}
	return at;
}

static void learn(const struct at *a)
{
	struct exec_device *d = a->d;

	d->bar_offset = region(a, VFIO_PCI_BAR0_REGION_INDEX);
	d->config_offset = region(a, VFIO_PCI_CONFIG_REGION_INDEX);
	d->pm = capability(a, CAP_PM);
	d->express = capability(a, CAP_EXPRESS);
}

/* ---- calls ------------------------------------------------------------------- */

static void bind(const struct at *a, const struct op *op, struct outcome *out)
{
	struct vfio_device_bind_iommufd cmd = {.argsz = sizeof(cmd),
					       .iommufd = exec_fd(a->x, op->file)};

	out->ret = call(a, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
	if (out->ret)
		return;
	exec_set_slot(a->x, op->slot, cmd.out_devid);
	tell(out, cmd.out_devid);
	tell(out, a->d->resets[UIOMMUFD_RESET_FUNCTION]);
	if (!a->d->config_offset)
		learn(a);
}

static void attach(const struct at *a, const struct op *op, struct outcome *out)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd),
						    .pt_id = exec_slot(a->x, op->pt)};

	out->ret = call(a, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
	if (out->ret)
		return;
	exec_set_slot(a->x, op->slot, cmd.pt_id);
	tell(out, cmd.pt_id);
}

static void detach(const struct at *a, const struct op *op, struct outcome *out)
{
	struct vfio_device_detach_iommufd_pt cmd = {.argsz = sizeof(cmd)};

	out->ret = call(a, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static void reset(const struct at *a, const struct op *op, struct outcome *out)
{
	out->ret = call(a, VFIO_DEVICE_RESET, NULL);
	if (!out->ret)
		tell(out, a->d->resets[UIOMMUFD_RESET_FUNCTION]);
}

/* What is written to the configuration space answers with what was read, or an error. */
static bool wrote(long written, size_t n, struct outcome *out)
{
	out->ret = written < 0 ? written : 0;
	return written == (long)n;
}

static void flr(const struct at *a, const struct op *op, struct outcome *out)
{
	unsigned at = a->d->express + EXPRESS_DEVCTL;
	uint16_t control = 0;

	config_read(a, at, &control, sizeof(control));
	control |= DEVCTL_FLR;
	if (wrote(config_write(a, at, &control, sizeof(control)), sizeof(control), out))
		tell(out, a->d->resets[UIOMMUFD_RESET_FUNCTION]);
}

static void command(const struct at *a, const struct op *op, struct outcome *out)
{
	const uint16_t seen = COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER;
	uint16_t value = (uint16_t)op->value;

	if (!wrote(config_write(a, CONFIG_COMMAND, &value, sizeof(value)), sizeof(value),
		   out))
		return;
	config_read(a, CONFIG_COMMAND, &value, sizeof(value));
	tell(out, value & seen);
}

static void power(const struct at *a, const struct op *op, struct outcome *out)
{
	unsigned before = a->d->resets[UIOMMUFD_RESET_POWER];
	uint16_t value = op->value & 3;

	if (!wrote(config_write(a, a->d->pm + PM_CONTROL, &value, sizeof(value)),
		   sizeof(value), out))
		return;
	config_read(a, a->d->pm + PM_CONTROL, &value, sizeof(value));
	tell(out, value & 3);
	/* A call that failed may have woken it, too. */
	tell(out, a->d->resets[UIOMMUFD_RESET_POWER] - before);
}

static void low_power(const struct at *a, const struct op *op, struct outcome *out)
{
	struct vfio_device_feature cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_FEATURE_SET |
			 (op->value ? VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
				    : VFIO_DEVICE_FEATURE_LOW_POWER_EXIT),
	};

	out->ret = call(a, VFIO_DEVICE_FEATURE, &cmd);
}

static void export(const struct at *a, const struct op *op, struct outcome *out)
{
	struct {
		uint32_t argsz, flags;
		uint32_t region, open_flags, buf_flags, nr_ranges;
		struct vfio_region_dma_range range[2];
	} cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.region = (uint32_t)op->value,
		.open_flags = O_CLOEXEC | O_RDWR,
		.nr_ranges = (uint32_t)(op->count < 2 ? op->count : 2),
		.range = {{op->start, op->length}, {op->start, op->length}},
	};
	long fd = call(a, VFIO_DEVICE_FEATURE, &cmd);

	if (fd >= 0)
		a->x->buf[op->slot % NBUFS] = (int)fd;
	out->ret = fd < 0 ? fd : 0;
}

static void bar_io(const struct at *a, const struct op *op, struct outcome *out)
{
	uint64_t n = op->length < PAGE ? op->length : PAGE;
	uint8_t bytes[PAGE];

	if (op->kind == OP_BAR_WRITE) {
		world_pattern(op->value, bytes, n);
		out->ret = uiommufd_pwrite(a->x->machine, a->fd, bytes, n,
					   a->d->bar_offset + op->start);
		return;
	}
	out->ret = uiommufd_pread(a->x->machine, a->fd, bytes, n,
				  a->d->bar_offset + op->start);
	if (out->ret > 0)
		tell(out, world_sum(bytes, (uint64_t)out->ret));
}

void exec_device(struct exec *x, const struct op *op, struct outcome *out)
{
	const unsigned file = op->dev % NDEV_FILES;
	const struct at a = {x, x->dev[file], &x->device[file % NDEVS]};

	switch (op->kind) {
	case OP_BIND:
		bind(&a, op, out);
		break;
	case OP_ATTACH:
		attach(&a, op, out);
		break;
	case OP_DETACH:
		detach(&a, op, out);
		break;
	case OP_RESET:
		reset(&a, op, out);
		break;
	case OP_FLR:
		flr(&a, op, out);
		break;
	case OP_COMMAND:
		command(&a, op, out);
		break;
	case OP_POWER:
		power(&a, op, out);
		break;
	case OP_LOW_POWER:
		low_power(&a, op, out);
		break;
	case OP_EXPORT:
		export(&a, op, out);
		break;
	default:
		bar_io(&a, op, out);
	}
}

/* ---- DMA --------------------------------------------------------------------- */

static void look(struct uiommufd_channel *ch, const struct op *op, struct outcome *out)
{
	uint64_t n = op->count < 64 ? op->count : 64;

	for (uint64_t i = 0; i < n; i++) {
		struct uiommufd_fault fault = {0};
		uint8_t byte = 0;
		int err = uiommufd_dma_read(ch, op->iova + i * PAGE + op->value % PAGE,
					    &byte, 1, &fault);

		tell(out, err ? (uint64_t)fault.reason << 8 : byte);
	}
}

void exec_dma(struct exec *x, const struct op *op, struct outcome *out)
{
	struct uiommufd_channel *ch = x->device[op->dev % NDEVS].channel;
	uint64_t n = op->length < WRITE_MAX ? op->length : WRITE_MAX;
	struct uiommufd_fault f = {0};
	uint8_t bytes[WRITE_MAX];

	switch (op->kind) {
	case OP_LOOK:
		look(ch, op, out);
		return;
	case OP_DMA_READ:
		out->ret = uiommufd_dma_read(ch, op->iova, bytes, n, &f);
		break;
	case OP_DMA_WRITE:
		world_pattern(op->value, bytes, n);
		out->ret = uiommufd_dma_write(ch, op->iova, bytes, n, &f);
		break;
	case OP_DMA_COPY:
		out->ret = uiommufd_dma_copy(ch, op->iova, op->iova2, n, &f);
		break;
	default:
		out->ret = uiommufd_dma_fill(ch, op->iova, (uint8_t)op->value, n, &f);
	}
	if (out->ret) {
		tell(out, f.reason);
		tell(out, f.iova);
		tell(out, f.write);
		n = f.iova - op->iova;
	}
	if (op->kind == OP_DMA_READ)
		tell(out, world_sum(bytes, n));
}
