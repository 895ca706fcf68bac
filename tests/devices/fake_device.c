/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fake_device.h"

struct uiommufd_channel {
	struct uiommufd_device *dev;
	uint32_t pasid;
	bool asks;
};

/* ---- for the tests --------------------------------------------------------------- */

static void free_bars(struct uiommufd_device *dev)
{
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++)
		if (dev->bar_memory[i])
			munmap(dev->bar_memory[i], dev->desc.bars[i].size);
}

static void make_bars(struct uiommufd_device *dev)
{
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++)
		if (dev->desc.bars[i].size &&
		    dev->desc.bars[i].flags & UIOMMUFD_BAR_MEMORY)
			dev->bar_memory[i] =
				mmap(NULL, dev->desc.bars[i].size, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static void fake_free(struct uiommufd_device *dev)
{
	free_bars(dev);
	for (unsigned i = 0; i < FAKE_REGIONS; i++)
		free(dev->memory[i]);
	pthread_mutex_destroy(&dev->regs);
	pthread_rwlock_destroy(&dev->space);
	free(dev);
}

static struct uiommufd_device *fake_alloc(bool fail_channel)
{
	struct uiommufd_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	pthread_mutex_init(&dev->regs, NULL);
	pthread_rwlock_init(&dev->space, NULL);
	dev->attached = dev->master = true;
	dev->fail_channel = fail_channel;
	return dev;
}

static int power_on(struct uiommufd_device *dev, const struct uiommufd_model *model,
		    const struct uiommufd_option *options, size_t n)
{
	int err = model->create(dev, options, n, &dev->desc, &dev->ops, &dev->model);
	if (err)
		return err; /* the caller reads dev->error and destroys it */
	make_bars(dev);
	fake_reset(dev, UIOMMUFD_RESET_POWER_ON);
	return 0;
}

int fake_device_create(const struct uiommufd_model *model,
		       const struct uiommufd_option *options, size_t n, bool fail_channel,
		       struct uiommufd_device **out)
{
	*out = fake_alloc(fail_channel);
	return *out ? power_on(*out, model, options, n) : -ENOMEM;
}

int fake_device_create_vf(struct uiommufd_device *pf, unsigned index, bool fail_channel,
			  struct uiommufd_device **out)
{
	const struct uiommufd_sriov *sriov = pf->desc.sriov;

	*out = fake_alloc(fail_channel);
	if (!*out)
		return -ENOMEM;
	(*out)->pf = pf;
	(*out)->vf_index = index;
	return power_on(*out, sriov->vf, sriov->vf_options, sriov->nr_vf_options);
}

void fake_device_destroy(struct uiommufd_device *dev)
{
	if (dev->ops.destroy)
		dev->ops.destroy(dev->model);
	fake_free(dev);
}

static void add_region(struct uiommufd_device *dev, struct fake_region region)
{
	pthread_rwlock_wrlock(&dev->space);
	for (unsigned i = 0; i < FAKE_REGIONS; i++) {
		if (dev->regions[i].bytes)
			continue;
		dev->regions[i] = region;
		break;
	}
	pthread_rwlock_unlock(&dev->space);
}

void fake_map(struct uiommufd_device *dev, uint64_t iova, void *memory, uint64_t bytes,
	      unsigned perm)
{
	fake_map_pasid(dev, 0, iova, memory, bytes, perm);
}

void fake_map_pasid(struct uiommufd_device *dev, uint32_t pasid, uint64_t iova,
		    void *memory, uint64_t bytes, unsigned perm)
{
	add_region(dev, (struct fake_region){iova, bytes, memory, bytes, perm, pasid});
}

void *fake_map_new(struct uiommufd_device *dev, uint64_t iova, uint64_t bytes,
		   unsigned perm)
{
	unsigned i = 0;

	while (dev->memory[i])
		i++;
	dev->memory[i] = calloc(1, bytes);
	fake_map(dev, iova, dev->memory[i], bytes, perm);
	return dev->memory[i];
}

void fake_map_endless(struct uiommufd_device *dev, uint64_t iova, void *memory,
		      uint64_t bytes)
{
	add_region(dev, (struct fake_region){iova, UINT64_C(1) << 40, memory, bytes,
					     FAKE_RW, 0});
}

void fake_unmap(struct uiommufd_device *dev, uint64_t iova)
{
	pthread_rwlock_wrlock(&dev->space);
	for (unsigned i = 0; i < FAKE_REGIONS; i++)
		if (dev->regions[i].iova == iova)
			dev->regions[i].bytes = 0;
	pthread_rwlock_unlock(&dev->space);
}

void fake_set_master(struct uiommufd_device *dev, bool on)
{
	pthread_rwlock_wrlock(&dev->space);
	dev->master = on;
	pthread_rwlock_unlock(&dev->space);
}

void fake_set_attached(struct uiommufd_device *dev, bool on)
{
	pthread_rwlock_wrlock(&dev->space);
	dev->attached = on;
	pthread_rwlock_unlock(&dev->space);
}

uint64_t fake_read(struct uiommufd_device *dev, unsigned bar, uint64_t offset,
		   unsigned size)
{
	uint64_t value;

	pthread_mutex_lock(&dev->regs);
	value = dev->ops.mmio_read(dev->model, bar, offset, size);
	pthread_mutex_unlock(&dev->regs);
	return value;
}

void fake_write(struct uiommufd_device *dev, unsigned bar, uint64_t offset, unsigned size,
		uint64_t value)
{
	pthread_mutex_lock(&dev->regs);
	dev->ops.mmio_write(dev->model, bar, offset, size, value);
	pthread_mutex_unlock(&dev->regs);
}

void fake_reset(struct uiommufd_device *dev, enum uiommufd_reset kind)
{
	pthread_mutex_lock(&dev->regs);
	dev->ops.reset(dev->model, kind);
	atomic_store(&dev->intx, false);
	pthread_mutex_unlock(&dev->regs);
}

/* ---- data ------------------------------------------------------------------------ */

uint32_t xorshift(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

void randomize(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)xorshift(&seed);
}

/* ---- the device API -------------------------------------------------------------- */

void uiommufd_device_error(struct uiommufd_device *dev, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(dev->error, sizeof(dev->error), format, args);
	va_end(args);
}

enum uiommufd_mmio uiommufd_mmio_mode(struct uiommufd_device *dev)
{
	return dev->desc.mmio;
}

void uiommufd_mmio_publish(struct uiommufd_device *dev, unsigned bar, uint64_t offset,
			   unsigned size, uint64_t value)
{
}

void *uiommufd_bar_memory(struct uiommufd_device *dev, unsigned bar)
{
	return dev->bar_memory[bar];
}

int uiommufd_channel_create_pasid(struct uiommufd_device *dev, uint32_t pasid,
				  struct uiommufd_channel **out)
{
	struct uiommufd_channel *ch = dev->fail_channel ? NULL : malloc(sizeof(*ch));

	if (!ch)
		return -ENOMEM;
	ch->dev = dev;
	ch->pasid = pasid;
	ch->asks = true;
	*out = ch;
	return 0;
}

int uiommufd_channel_create(struct uiommufd_device *dev, struct uiommufd_channel **out)
{
	return uiommufd_channel_create_pasid(dev, 0, out);
}

void uiommufd_channel_destroy(struct uiommufd_channel *ch)
{
	free(ch);
}

void uiommufd_channel_ask(struct uiommufd_channel *ch, bool on)
{
	ch->asks = on;
}

void uiommufd_irq(struct uiommufd_device *dev, unsigned vector)
{
	atomic_fetch_add(&dev->irqs[vector], 1);
}

void uiommufd_intx(struct uiommufd_device *dev, bool asserted)
{
	atomic_store(&dev->intx, asserted);
}

void *uiommufd_pf_model(struct uiommufd_device *vf, unsigned *index)
{
	if (!vf->pf)
		return NULL;
	*index = vf->vf_index;
	return vf->pf->model;
}

/* Space held. Where @iova is and how many bytes follow, or why it is nowhere. */
static uint8_t *translate(struct uiommufd_channel *ch, uint64_t iova, bool write,
			  uint64_t *bytes, enum uiommufd_fault_reason *reason)
{
	struct uiommufd_device *dev = ch->dev;
	unsigned perm = write ? FAKE_WRITE : FAKE_READ;

	*reason = UIOMMUFD_FAULT_NONE;
	if (!dev->master)
		*reason = UIOMMUFD_FAULT_NO_MASTER;
	else if (!dev->attached)
		*reason = UIOMMUFD_FAULT_BLOCKED;
	if (*reason)
		return NULL;
	for (unsigned i = 0; i < FAKE_REGIONS; i++) {
		const struct fake_region *r = &dev->regions[i];

		if (iova - r->iova >= r->bytes || r->pasid != ch->pasid)
			continue;
		if (!(r->perm & perm)) {
			*reason = UIOMMUFD_FAULT_PERM;
			return NULL;
		}
		*bytes = r->repeat - (iova - r->iova) % r->repeat;
		return r->memory + (iova - r->iova) % r->repeat;
	}
	*reason = UIOMMUFD_FAULT_UNMAPPED;
	return NULL;
}

static bool asks_and_gets(struct uiommufd_channel *ch, enum uiommufd_fault_reason reason,
			  uint64_t iova, bool write)
{
	if (!ch->asks || !ch->dev->page ||
	    (reason != UIOMMUFD_FAULT_UNMAPPED && reason != UIOMMUFD_FAULT_PERM))
		return false;
	return ch->dev->page(ch->dev, ch->pasid, iova, write);
}

/*
 * One access: from @src (or, if NULL, from IOVA @from) to @dst (or IOVA @to). Pieces
 * of 4 KiB, each under the lock, so that unmaps happen in the middle.
 */
static int transfer(struct uiommufd_channel *ch, uint8_t *dst, uint64_t to,
		    const uint8_t *src, uint64_t from, uint64_t n,
		    struct uiommufd_fault *fault)
{
	struct uiommufd_device *dev = ch->dev;
	enum uiommufd_fault_reason reason = UIOMMUFD_FAULT_NONE;

	atomic_fetch_add(&dev->accesses, 1);
	for (uint64_t done = 0; done < n;) {
		uint64_t s_bytes = n, d_bytes = n, piece = 4096;
		const uint8_t *s = src ? src + done : NULL;
		uint8_t *d = dst ? dst + done : NULL;

		pthread_rwlock_rdlock(&dev->space);
		if (!s)
			s = translate(ch, from + done, false, &s_bytes, &reason);
		if (s && !d)
			d = translate(ch, to + done, true, &d_bytes, &reason);
		piece = piece < n - done ? piece : n - done;
		piece = piece < s_bytes ? piece : s_bytes;
		piece = piece < d_bytes ? piece : d_bytes;
		if (s && d)
			memcpy(d, s, piece);
		pthread_rwlock_unlock(&dev->space);
		if (!s || !d) {
			uint64_t at = s ? to + done : from + done;

			if (asks_and_gets(ch, reason, at, s != NULL))
				continue;
			if (fault)
				*fault = (struct uiommufd_fault){reason, at, s != NULL};
			return -EFAULT;
		}
		done += piece;
	}
	return 0;
}

int uiommufd_dma_read(struct uiommufd_channel *ch, uint64_t iova, void *dst, size_t n,
		      struct uiommufd_fault *fault)
{
	return transfer(ch, dst, 0, NULL, iova, n, fault);
}

int uiommufd_dma_write(struct uiommufd_channel *ch, uint64_t iova, const void *src,
		       size_t n, struct uiommufd_fault *fault)
{
	return transfer(ch, NULL, iova, src, 0, n, fault);
}

int uiommufd_dma_copy(struct uiommufd_channel *ch, uint64_t dst, uint64_t src, uint64_t n,
		      struct uiommufd_fault *fault)
{
	return transfer(ch, NULL, dst, NULL, src, n, fault);
}

int uiommufd_dma_fill(struct uiommufd_channel *ch, uint64_t dst, uint8_t byte, uint64_t n,
		      struct uiommufd_fault *fault)
{
	uint8_t bytes[4096];

	memset(bytes, byte, sizeof(bytes));
	for (uint64_t done = 0; done < n; done += sizeof(bytes)) {
		uint64_t piece = n - done < sizeof(bytes) ? n - done : sizeof(bytes);
		int err = transfer(ch, NULL, dst + done, bytes, 0, piece, fault);

		if (err)
			return err;
	}
	return 0;
}
