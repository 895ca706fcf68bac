/* SPDX-License-Identifier: MIT */
/*
 * The copy engine's model: what its two halves share. docs/devices/copy-engine.md is
 * what they implement.
 *
 *   copy_engine.c        the function: description, reset, registers
 *   copy_engine_ring.c   the engine: takes descriptors and executes them
 *
 * Threads. Registers are accessed by clients' threads, one at a time; the engine runs
 * in the worker. `lock` guards `regs` between them. It is a leaf: DMA, interrupts and
 * kicks happen after it was released (struct copy_engine_effects carries them out).
 * `job` belongs to the worker, and to a reset while the worker is paused. The rest is
 * constant after power-on.
 */
#ifndef DEVICES_COPY_ENGINE_H
#define DEVICES_COPY_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/pattern.h"
#include "devices/ports.h"
#include "uiommufd/device.h"

#define COPY_ENGINE_VECTORS    4
#define COPY_ENGINE_MAX_ORDER  16 /* log2 of the largest ring */
#define COPY_ENGINE_DESC_BYTES 64
#define COPY_ENGINE_PASID_BITS 20

/* STATUS.STATE */
enum copy_engine_state {
	CE_DISABLED = 0,
	CE_READY = 1,
	CE_STOPPING = 2,
	CE_HALTED = 3,
};

/* INT_STATUS, INT_ENABLE */
enum copy_engine_cause {
	CE_COMPLETED = 1 << 0,
	CE_ERROR = 1 << 1,
	CE_STOPPED = 1 << 2,
	CE_CAUSES = 7,
};

/* ERROR.CODE; 1 to 5 are enum uiommufd_fault_reason. */
enum copy_engine_code {
	CE_BAD_RING = 16,
	CE_BAD_OPCODE = 17,
	CE_BAD_FLAGS = 18,
	CE_BAD_RESERVED = 19,
	CE_BAD_VECTOR = 20,
	CE_BAD_COMPLETION = 21,
	CE_BAD_RANGE = 22,
	CE_BROKEN = 32,
};

/* ERROR.STAGE */
enum copy_engine_stage {
	CE_STAGE_RING = 0,
	CE_STAGE_FETCH = 1,
	CE_STAGE_SOURCE = 2,
	CE_STAGE_DESTINATION = 3,
	CE_STAGE_COMPLETION = 4,
	CE_STAGE_DECODE = 5,
};

#define CE_ERROR_WRITE (1u << 16)

struct copy_engine_regs {
	enum copy_engine_state state;
	bool reset_wanted; /* in STOPPING: registers are to be reset at its end */
	bool bad_doorbell;
	uint64_t ring_base;
	uint32_t ring_size;
	uint32_t producer, consumer;
	uint32_t int_enable, int_status, int_vector;
	uint32_t error, error_index;
	uint64_t error_addr;
	uint64_t bytes;
	uint64_t scratch;
};

/* A descriptor in the host's byte order. */
struct copy_engine_desc {
	uint8_t opcode, vector;
	uint16_t flags;
	uint32_t pasid;
	uint64_t src, dst, length;
	uint64_t completion, value;
	bool reserved_set;
};

/* The descriptor in execution. */
struct copy_engine_job {
	bool active;
	uint32_t index;
	struct copy_engine_desc desc;
	uint64_t done;                 /* bytes */
	struct uiommufd_channel *port; /* for its data and completion record, or NULL */
};

struct copy_engine {
	struct uiommufd_device *dev;
	uint64_t vram_size;
	struct uiommufd_sriov sriov; /* constant */
	uint8_t *vram;
	bool pri;     /* asks for pages */
	bool watched; /* registers are (device.h) */
	struct ports ports;
	struct uiommufd_worker *worker; /* NULL: power-on failed, the engine is broken */

	pthread_mutex_t lock;
	struct copy_engine_regs regs;

	struct copy_engine_job job;
	struct pattern pattern;
};

/* What is left to do when the lock has been released. */
struct copy_engine_effects {
	bool kick;
	unsigned irqs; /* a bit for each vector */
};

/* Lock held. A cause happened. */
void copy_engine_raise(struct copy_engine *ce, enum copy_engine_cause cause,
		       unsigned vector, struct copy_engine_effects *fx);
/* Lock not held. */
void copy_engine_apply(struct copy_engine *ce, const struct copy_engine_effects *fx);
/* Lock held: all registers to their reset values. */
void copy_engine_reset_regs(struct copy_engine *ce);

/* The worker's function: some work; true if more may be left. */
bool copy_engine_run(void *arg);

#endif
