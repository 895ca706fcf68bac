/* SPDX-License-Identifier: MIT */
/*
 * A device of one's own, by the device API (include/uiommufd/device.h).
 *
 * It sums up memory: write the IOVA and the length of a buffer, write GO, and wait for
 * the interrupt; then SUM is the sum of its bytes.
 *
 *     0x00  ADDR    8 bytes  RW  IOVA
 *     0x08  LENGTH  8 bytes  RW  bytes
 *     0x10  GO      4 bytes  WO  any write starts the work, unless it is under way
 *     0x14  STATUS  4 bytes  RO  0 idle, 1 at work, 2 done, 0x80 + reason on a DMA fault
 *     0x18  SUM     8 bytes  RO
 *
 * The first half of this file is the device, the second half a program that makes a
 * machine with it and drives it through VFIO.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/abi/vfio_pci.h"
#include "uiommufd/uiommufd.h"

/* ---- the device ------------------------------------------------------------------ */

enum {
	REG_ADDR = 0x00,
	REG_LENGTH = 0x08,
	REG_GO = 0x10,
	REG_STATUS = 0x14,
	REG_SUM = 0x18,
};

enum {
	STATUS_IDLE = 0,
	STATUS_BUSY = 1,
	STATUS_DONE = 2,
	STATUS_FAULT = 0x80,
};

struct summer {
	struct uiommufd_device *dev;
	struct uiommufd_channel *channel;
	struct uiommufd_worker *worker;
	/* Guards what follows: callbacks come from clients' threads, the work is done in
	 * the worker's. */
	pthread_mutex_t lock;
	uint64_t addr, length, sum;
	uint32_t status;
};

/* The worker: does not hold the lock while it is in DMA. */
static bool summer_run(void *arg)
{
	struct summer *s = arg;
	struct uiommufd_fault fault = {0};
	uint64_t addr, left, sum = 0;
	uint8_t buf[4096];
	bool busy;

	pthread_mutex_lock(&s->lock);
	busy = s->status == STATUS_BUSY;
	addr = s->addr;
	left = s->length;
	pthread_mutex_unlock(&s->lock);
	if (!busy)
		return false;

	uiommufd_burst_begin(); /* one read after the other, and little in between */
	while (left && !fault.reason) {
		size_t n = left < sizeof(buf) ? left : sizeof(buf);

		if (uiommufd_dma_read(s->channel, addr, buf, n, &fault))
			break;
		for (size_t i = 0; i < n; i++)
			sum += buf[i];
		addr += n;
		left -= n;
	}
	uiommufd_burst_end();

	pthread_mutex_lock(&s->lock);
	s->sum = sum;
	s->status = fault.reason ? STATUS_FAULT + fault.reason : STATUS_DONE;
	pthread_mutex_unlock(&s->lock);
	uiommufd_irq(s->dev, 0);
	return false;
}

static uint64_t summer_read(void *model, unsigned bar, uint64_t offset, unsigned size)
{
	struct summer *s = model;
	uint64_t value = 0;

	pthread_mutex_lock(&s->lock);
	if (offset == REG_ADDR && size == 8)
		value = s->addr;
	else if (offset == REG_LENGTH && size == 8)
		value = s->length;
	else if (offset == REG_STATUS && size == 4)
		value = s->status;
	else if (offset == REG_SUM && size == 8)
		value = s->sum;
	pthread_mutex_unlock(&s->lock);
	return value;
}

static void summer_write(void *model, unsigned bar, uint64_t offset, unsigned size,
			 uint64_t value)
{
	struct summer *s = model;
	bool kick = false;

	pthread_mutex_lock(&s->lock);
	if (s->status == STATUS_BUSY) {
		/* the registers belong to the work */
	} else if (offset == REG_ADDR && size == 8) {
		s->addr = value;
	} else if (offset == REG_LENGTH && size == 8) {
		s->length = value;
	} else if (offset == REG_GO && size == 4) {
		s->status = STATUS_BUSY;
		kick = true;
	}
	pthread_mutex_unlock(&s->lock);
	if (kick && s->worker)
		uiommufd_worker_kick(s->worker);
}

/* When reset returns, the device must be quiet: the pause waits for the worker. */
static void summer_reset(void *model, enum uiommufd_reset kind)
{
	struct summer *s = model;

	if (kind == UIOMMUFD_RESET_POWER_ON) {
		if (!uiommufd_channel_create(s->dev, &s->channel) &&
		    uiommufd_worker_create(s->dev, summer_run, s, &s->worker))
			s->worker = NULL;
	}
	if (s->worker)
		uiommufd_worker_pause(s->worker);
	s->addr = s->length = s->sum = 0;
	s->status = STATUS_IDLE;
	if (s->worker)
		uiommufd_worker_resume(s->worker);
}

static void summer_destroy(void *model)
{
	struct summer *s = model;

	uiommufd_worker_destroy(s->worker);
	uiommufd_channel_destroy(s->channel);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int summer_create(struct uiommufd_device *dev,
			 const struct uiommufd_option *options, size_t n,
			 struct uiommufd_device_desc *desc,
			 struct uiommufd_device_ops *ops, void **model)
{
	struct summer *s;

	if (n) {
		uiommufd_device_error(dev, "summer: unknown option '%s'",
				      options[0].name);
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->dev = dev;
	pthread_mutex_init(&s->lock, NULL);
	*desc = (struct uiommufd_device_desc){
		.vendor_id = 0x1234,
		.device_id = 0x5033,
		.class_code = 0x120000,
		/* The MSI-X table is in the second half of the registers' BAR. */
		.bars[0] = {.size = 8192},
		.msix_vectors = 1,
		.msix_bar = 0,
		.msix_table_offset = 4096,
		.msix_pba_offset = 4096 + 2048,
		.flr = true,
	};
	*ops = (struct uiommufd_device_ops){
		.destroy = summer_destroy,
		.reset = summer_reset,
		.mmio_read = summer_read,
		.mmio_write = summer_write,
	};
	*model = s;
	return 0;
}

static const struct uiommufd_model summer_model = {
	.name = "summer",
	.summary = "sums up memory",
	.create = summer_create,
};

/* ---- the program ----------------------------------------------------------------- */

#define BUF_IOVA 0x100000

struct client {
	struct uiommufd_machine *machine;
	int fd;        /* the device */
	uint64_t regs; /* where BAR 0 is in it */
	int event;     /* signalled by MSI-X vector 0 */
};

static void must(long result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "my_device: %s: %s\n", what, strerror((int)-result));
	exit(1);
}

static uint64_t region_offset(struct client *c, uint32_t index)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	must(uiommufd_ioctl(c->machine, c->fd, VFIO_DEVICE_GET_REGION_INFO, &info),
	     "VFIO_DEVICE_GET_REGION_INFO");
	return info.offset;
}

static void open_device(struct client *c, int iommufd, uint32_t ioas)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind),
						.iommufd = iommufd};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach),
						       .pt_id = ioas};
	const uint16_t command = 0x6; /* memory, bus master */
	union {
		struct vfio_irq_set set;
		uint8_t bytes[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	} irqs = {
		.set = {.argsz = sizeof(irqs),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.count = 1}};

	c->fd = uiommufd_open(c->machine, "/dev/vfio/devices/vfio0", O_RDWR);
	must(c->fd, "/dev/vfio/devices/vfio0");
	must(uiommufd_ioctl(c->machine, c->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind), "bind");
	must(uiommufd_ioctl(c->machine, c->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach),
	     "attach");
	must(uiommufd_pwrite(c->machine, c->fd, &command, sizeof(command),
			     region_offset(c, VFIO_PCI_CONFIG_REGION_INDEX) + 4),
	     "write of COMMAND");
	c->regs = region_offset(c, VFIO_PCI_BAR0_REGION_INDEX);

	c->event = eventfd(0, EFD_CLOEXEC);
	must(c->event < 0 ? -errno : 0, "eventfd");
	memcpy(irqs.set.data, &c->event, sizeof(int32_t));
	must(uiommufd_ioctl(c->machine, c->fd, VFIO_DEVICE_SET_IRQS, &irqs),
	     "VFIO_DEVICE_SET_IRQS");
}

static uint64_t get(struct client *c, unsigned reg, size_t n)
{
	uint64_t value = 0;

	must(uiommufd_pread(c->machine, c->fd, &value, n, c->regs + reg), "read");
	return value;
}

static void set(struct client *c, unsigned reg, uint64_t value, size_t n)
{
	must(uiommufd_pwrite(c->machine, c->fd, &value, n, c->regs + reg), "write");
}

/* Has the device sum up @length bytes at @iova; answers STATUS. */
static uint32_t sum_up(struct client *c, uint64_t iova, uint64_t length)
{
	uint64_t count;

	set(c, REG_ADDR, iova, 8);
	set(c, REG_LENGTH, length, 8);
	set(c, REG_GO, 1, 4);
	must(read(c->event, &count, sizeof(count)) < 0 ? -errno : 0, "interrupt");
	return (uint32_t)get(c, REG_STATUS, 4);
}

int main(void)
{
	static const struct uiommufd_model *const models[] = {&summer_model, NULL};
	static const char *const devices[] = {"summer", NULL};
	static _Alignas(4096) uint8_t buf[65536];
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct client c = {0};
	uint64_t expected = 0;
	uint32_t status;
	char error[256];
	int iommufd;

	config.models = models;
	config.devices = devices;
	if (uiommufd_machine_create(&config, error, sizeof(error), &c.machine)) {
		fprintf(stderr, "my_device: %s\n", error);
		return 1;
	}
	iommufd = uiommufd_open(c.machine, "/dev/iommu", O_RDWR);
	must(iommufd, "/dev/iommu");
	must(uiommufd_ioctl(c.machine, iommufd, IOMMU_IOAS_ALLOC, &alloc),
	     "IOMMU_IOAS_ALLOC");
	open_device(&c, iommufd, alloc.out_ioas_id);

	/* The device may read the buffer, at BUF_IOVA. */
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = alloc.out_ioas_id,
		.user_va = (uintptr_t)buf,
		.length = sizeof(buf),
		.iova = BUF_IOVA,
	};
	must(uiommufd_ioctl(c.machine, iommufd, IOMMU_IOAS_MAP, &map), "IOMMU_IOAS_MAP");

	for (size_t i = 0; i < sizeof(buf); i++)
		expected += buf[i] = (uint8_t)(i * 7);
	status = sum_up(&c, BUF_IOVA, sizeof(buf));
	printf("sum of the buffer: %llu (status %u)\n",
	       (unsigned long long)get(&c, REG_SUM, 8), status);
	if (status != STATUS_DONE || get(&c, REG_SUM, 8) != expected)
		return 1;

	/* Past its end nothing is mapped: the device is told so. */
	status = sum_up(&c, BUF_IOVA, sizeof(buf) + 1);
	printf("one byte more: DMA fault, reason %u\n", status - STATUS_FAULT);
	if (status != STATUS_FAULT + UIOMMUFD_FAULT_UNMAPPED)
		return 1;

	close(c.event);
	uiommufd_close(c.machine, c.fd);
	uiommufd_close(c.machine, iommufd);
	return uiommufd_machine_destroy(c.machine) ? 1 : 0;
}
