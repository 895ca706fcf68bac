/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for the machine behind the device API, for tests of models: an IO address
 * space of a few regions, counted interrupts, BAR memory, and the register lock. The
 * worker is the real one.
 *
 * Regions may be mapped and unmapped while the model runs: fake_unmap() returns when no
 * access is in flight, as the real one does.
 */
#ifndef TESTS_DEVICES_FAKE_DEVICE_H
#define TESTS_DEVICES_FAKE_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "uiommufd/device.h"

#define FAKE_REGIONS 16
#define FAKE_VECTORS 16

enum fake_perm {
	FAKE_READ = 1,
	FAKE_WRITE = 2,
	FAKE_RW = 3,
};

struct fake_region {
	uint64_t iova, bytes; /* 0 bytes: free */
	uint8_t *memory;
	uint64_t repeat; /* of the memory: it shows again and again in the region */
	unsigned perm;
	uint32_t pasid; /* of requests that see it; 0: those without one */
};

struct uiommufd_device {
	struct uiommufd_device_desc desc;
	struct uiommufd_device_ops ops;
	void *model;
	pthread_mutex_t regs;
	pthread_rwlock_t space; /* guards what follows; held over each access */
	struct fake_region regions[FAKE_REGIONS];
	bool attached, master;
	void *bar_memory[UIOMMUFD_BARS];
	void *memory[FAKE_REGIONS]; /* fake_map_new()'s */
	atomic_uint irqs[FAKE_VECTORS];
	atomic_bool intx;      /* the level of the line */
	atomic_ulong accesses; /* DMA accesses so far */
	bool fail_channel;     /* make uiommufd_channel_create() fail */
	/*
	 * Asked for the pages of channels that ask: true: try again. Called by the
	 * model's thread with no lock held. NULL: nothing is asked for.
	 */
	bool (*page)(struct uiommufd_device *dev, uint32_t pasid, uint64_t iova,
		     bool write);
	void *page_arg;
	struct uiommufd_device *pf; /* of a virtual function */
	unsigned vf_index;
	char error[256];
};

/* Creates the model's device and powers it on. 0 or create's error. */
int fake_device_create(const struct uiommufd_model *model,
		       const struct uiommufd_option *options, size_t n, bool fail_channel,
		       struct uiommufd_device **out);
/* A virtual function of @pf, which is told of it by its ops.vfs, by the test. */
int fake_device_create_vf(struct uiommufd_device *pf, unsigned index, bool fail_channel,
			  struct uiommufd_device **out);
void fake_device_destroy(struct uiommufd_device *dev);

void fake_map(struct uiommufd_device *dev, uint64_t iova, void *memory, uint64_t bytes,
	      unsigned perm);
/* The same for requests with a PASID. */
void fake_map_pasid(struct uiommufd_device *dev, uint32_t pasid, uint64_t iova,
		    void *memory, uint64_t bytes, unsigned perm);
/* Zeroed memory, mapped, that goes with the device; at most FAKE_REGIONS of them. */
void *fake_map_new(struct uiommufd_device *dev, uint64_t iova, uint64_t bytes,
		   unsigned perm);
/* A region of 1 TiB that shows @memory over and over: work that does not end. */
void fake_map_endless(struct uiommufd_device *dev, uint64_t iova, void *memory,
		      uint64_t bytes);
void fake_unmap(struct uiommufd_device *dev, uint64_t iova);
void fake_set_master(struct uiommufd_device *dev, bool on);
void fake_set_attached(struct uiommufd_device *dev, bool on);

uint64_t fake_read(struct uiommufd_device *dev, unsigned bar, uint64_t offset,
		   unsigned size);
void fake_write(struct uiommufd_device *dev, unsigned bar, uint64_t offset, unsigned size,
		uint64_t value);
void fake_reset(struct uiommufd_device *dev, enum uiommufd_reset kind);

/* Data that look random; the same @seed (not 0) gives the same. */
uint32_t xorshift(uint32_t *seed);
void randomize(uint8_t *p, size_t n, uint32_t seed);

#endif
