/* SPDX-License-Identifier: MIT */
/* The machine and the program's memory; descriptors; which call is whose. */
#include "tests/model/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLIENT_ALIGN MIB(4)

/* ---- the devices ------------------------------------------------------------- */

static void model_reset(void *model, enum uiommufd_reset kind)
{
	struct exec_device *d = model;

	if (kind < NRESETS)
		d->resets[kind]++;
}

/* The option's value is where the device's state is. */
static int model_create(struct uiommufd_device *dev,
			const struct uiommufd_option *options, size_t n,
			struct uiommufd_device_desc *desc,
			struct uiommufd_device_ops *ops, void **model)
{
	struct exec_device *d =
		(struct exec_device *)(uintptr_t)strtoull(options[0].value, NULL, 0);

	*desc = (struct uiommufd_device_desc){
		.vendor_id = 0x1234,
		.device_id = 0x5678,
		.class_code = 0x088000,
		.bars[0] = {.size = BAR_BYTES, .flags = UIOMMUFD_BAR_MEMORY},
		.flr = true,
		.pm = true,
	};
	*ops = (struct uiommufd_device_ops){.reset = model_reset};
	d->dev = dev;
	*model = d;
	return uiommufd_channel_create(dev, &d->channel);
}

const struct uiommufd_model exec_model = {
	.name = "model",
	.summary = "memory that reads and writes",
	.create = model_create,
};

static bool machine_start(struct exec *x)
{
	const struct uiommufd_model *const models[] = {&exec_model, NULL};
	const char *const extensions[] = {"unlimited-memlock", NULL};
	const char *const iommus[] = {"vtd,name=plain", "vtd,name=records,dirty=on",
				      NULL};
	char text[NDEVS][96], error[256] = "";
	const char *devices[NDEVS + 1] = {NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	int err;

	for (unsigned i = 0; i < NDEVS; i++) {
		snprintf(text[i], sizeof(text[i]), "model,group=%u,iommu=%s,state=%#llx",
			 device_group[i] + 1, device_tracks[i] ? "records" : "plain",
			 (unsigned long long)(uintptr_t)&x->device[i]);
		devices[i] = text[i];
	}
	config.models = models;
	config.devices = devices;
	config.iommus = iommus;
	config.extensions = extensions;
	config.selftest = true;
	err = uiommufd_machine_create(&config, error, sizeof(error), &x->machine);
	if (err)
		fprintf(stderr, "no machine: %s (%d)\n", error, err);
	for (unsigned i = 0; i < NDEVS && !err; i++) {
		world_fill(REGION_BARS + i, uiommufd_bar_memory(x->device[i].dev, 0));
		memset(x->device[i].resets, 0, sizeof(x->device[i].resets));
	}
	return !err;
}

/* ---- the program's memory ---------------------------------------------------- */

static bool file_start(struct exec *x, unsigned i)
{
	int fd = memfd_create("model", MFD_CLOEXEC);
	char path[32];

	if (fd < 0 || ftruncate(fd, (off_t)file_bytes[i]))
		return false;
	x->file_bytes[i] =
		mmap(NULL, file_bytes[i], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (x->file_bytes[i] == MAP_FAILED)
		return false;
	world_fill(REGION_FILES + i, x->file_bytes[i]);
	x->file[i] = fd;
	if (i != FILE_READ_ONLY)
		return true;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	x->file[i] = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return x->file[i] >= 0;
}

static bool client_map(struct exec *x, uint64_t start, uint64_t end, int prot, int fd)
{
	int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

	return mmap(x->client + start, end - start, prot, flags, fd, 0) != MAP_FAILED;
}

static bool client_start(struct exec *x)
{
	uint8_t *bytes;

	x->reserved = mmap(NULL, 2 * CLIENT_ALIGN, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (x->reserved == MAP_FAILED)
		return false;
	x->client = (uint8_t *)(((uintptr_t)x->reserved + CLIENT_ALIGN - 1) &
				~(uintptr_t)(CLIENT_ALIGN - 1));
	bytes = x->client;
	if (!client_map(x, CLIENT_RW, CLIENT_HOLE, PROT_READ | PROT_WRITE, -1) ||
	    !client_map(x, CLIENT_SHARED, CLIENT_END, PROT_READ | PROT_WRITE, x->file[0]))
		return false;
	world_fill(REGION_CLIENT, bytes);
	return !mprotect(x->client + CLIENT_RO, CLIENT_HOLE - CLIENT_RO, PROT_READ);
}

void *exec_client(const struct exec *x, uint64_t start)
{
	return start < CLIENT_RAW ? x->client + start : (void *)(uintptr_t)start;
}

/* ---- life -------------------------------------------------------------------- */

static void none(int *fd, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd[i] = NO_FD;
}

bool exec_start(struct exec *x)
{
	memset(x, 0, sizeof(*x));
	none(x->ctx, NCTX);
	none(x->dev, NDEV_FILES);
	none(x->buf, NBUFS);
	none(x->access, NACCESSES);
	for (unsigned i = 0; i < NFILES_MEM; i++) {
		if (!file_start(x, i)) {
			perror("memory file");
			return false;
		}
	}
	if (!client_start(x)) {
		perror("memory");
		return false;
	}
	return machine_start(x);
}

static void close_all(struct exec *x, int *fd, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fd[i] >= 0)
			uiommufd_close(x->machine, fd[i]);
}

int exec_finish(struct exec *x)
{
	int left;

	close_all(x, x->ctx, NCTX);
	close_all(x, x->buf, NBUFS);
	close_all(x, x->dev, NDEV_FILES);
	close_all(x, x->access, NACCESSES);
	left = uiommufd_machine_destroy(x->machine);
	for (unsigned i = 0; i < NFILES_MEM; i++) {
		munmap(x->file_bytes[i], file_bytes[i]);
		close(x->file[i]);
	}
	munmap(x->reserved, 2 * CLIENT_ALIGN);
	return left;
}

/* ---- descriptors and ids ----------------------------------------------------- */

int *exec_fd_slot(struct exec *x, uint64_t file)
{
	unsigned i = FILE_INDEX(file);

	switch (FILE_KIND(file)) {
	case FILE_CTX:
		return &x->ctx[i % NCTX];
	case FILE_DEV:
		return &x->dev[i % NDEV_FILES];
	case FILE_BUF:
		return &x->buf[i % NBUFS];
	case FILE_ACCESS:
		return &x->access[i % NACCESSES];
	default:
		return NULL;
	}
}

int exec_fd(const struct exec *x, uint64_t file)
{
	int *slot = exec_fd_slot((struct exec *)(uintptr_t)x, file);

	if (slot)
		return *slot;
	return FILE_KIND(file) == FILE_MEM && FILE_INDEX(file) < NFILES_MEM
		       ? x->file[FILE_INDEX(file)]
		       : NO_FD;
}

uint32_t exec_slot(const struct exec *x, uint64_t slot)
{
	uint32_t id = x->slot[slot % NSLOTS];

	return id ? id : NO_ID;
}

void exec_set_slot(struct exec *x, uint64_t slot, uint32_t id)
{
	x->slot[slot % NSLOTS] = id;
}

long exec_iommu(struct exec *x, const struct op *op, unsigned long cmd, void *arg,
		struct outcome *out)
{
	out->ret = uiommufd_ioctl(x->machine, x->ctx[op->ctx % NCTX], cmd, arg);
	return out->ret;
}

static void open_node(struct exec *x, uint64_t file, const char *path,
		      struct outcome *out)
{
	int fd = uiommufd_open(x->machine, path, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		*exec_fd_slot(x, file) = fd;
	out->ret = fd < 0 ? fd : 0;
}

static void close_fd(struct exec *x, uint64_t file, struct outcome *out)
{
	int *fd = exec_fd_slot(x, file);

	out->ret = *fd < 0 ? -EBADF : uiommufd_close(x->machine, *fd);
	*fd = NO_FD;
}

/* ---- calls ------------------------------------------------------------------- */

static void cpu_write(struct exec *x, const struct op *op)
{
	unsigned i = FILE_INDEX(op->file) % NFILES_MEM;
	uint64_t n = op->length < WRITE_MAX ? op->length : WRITE_MAX;
	uint8_t bytes[WRITE_MAX];

	if (op->start >= file_bytes[i])
		return;
	if (n > file_bytes[i] - op->start)
		n = file_bytes[i] - op->start;
	world_pattern(op->value, bytes, n);
	memcpy(x->file_bytes[i] + op->start, bytes, n);
}

static void memory(struct exec *x, struct outcome *out)
{
	for (unsigned i = 0; i < NREGIONS; i++) {
		const uint8_t *bytes = x->client;

		if (i >= REGION_BARS)
			bytes = uiommufd_bar_memory(x->device[i - REGION_BARS].dev, 0);
		else if (i >= REGION_FILES)
			bytes = x->file_bytes[i - REGION_FILES];
		tell(out, world_sum(bytes, region_bytes(i)));
	}
}

static void call(struct exec *x, const struct op *op, struct outcome *out)
{
	char path[32];

	switch (op->kind) {
	case OP_CTX_OPEN:
		open_node(x, op_opens(op), "/dev/iommu", out);
		break;
	case OP_DEV_OPEN:
		snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u",
			 (unsigned)(op->dev % NDEV_FILES % NDEVS));
		open_node(x, op_opens(op), path, out);
		break;
	case OP_CTX_CLOSE:
		close_fd(x, FILE_OF(FILE_CTX, op->ctx % NCTX), out);
		break;
	case OP_DEV_CLOSE:
		close_fd(x, FILE_OF(FILE_DEV, op->dev % NDEV_FILES), out);
		break;
	case OP_BUF_CLOSE:
		close_fd(x, FILE_OF(FILE_BUF, op->slot % NBUFS), out);
		break;
	case OP_ACCESS_CLOSE:
		close_fd(x, FILE_OF(FILE_ACCESS, op->slot % NACCESSES), out);
		break;
	case OP_CPU_WRITE:
		cpu_write(x, op);
		break;
	case OP_MEMORY:
		memory(x, out);
		break;
	case OP_DMA_READ:
	case OP_DMA_WRITE:
	case OP_DMA_COPY:
	case OP_DMA_FILL:
	case OP_LOOK:
		exec_dma(x, op, out);
		break;
	case OP_BIND:
	case OP_ATTACH:
	case OP_DETACH:
	case OP_RESET:
	case OP_FLR:
	case OP_COMMAND:
	case OP_POWER:
	case OP_LOW_POWER:
	case OP_EXPORT:
	case OP_BAR_READ:
	case OP_BAR_WRITE:
		exec_device(x, op, out);
		break;
	default:
		if (op->kind >= OP_MOCK)
			exec_selftest(x, op, out);
		else
			exec_iommufd(x, op, out);
	}
}

void exec_call(struct exec *x, const struct op *op, struct outcome *out)
{
	out->ret = 0;
	out->n = 0;
	if (exec_fd(x, op_opens(op)) >= 0)
		out->ret = -EBUSY;
	else
		call(x, op, out);
}
