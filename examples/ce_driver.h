/* SPDX-License-Identifier: MIT */
/*
 * A driver for the copy engine (docs/devices/copy-engine.md), for the examples and
 * tests. Synchronous: submit descriptors, ring the doorbell, poll until they are done.
 *
 * It knows nothing of VFIO or iommufd. Whoever uses it says how registers are reached
 * (struct ce_bus) and gives it memory for the ring that the engine can read at
 * ring_iova. Not thread-safe. Functions return 0 or a negative errno.
 */
#ifndef EXAMPLES_CE_DRIVER_H
#define EXAMPLES_CE_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#define CE_VENDOR  0x1234
#define CE_DEVICE  0xce01
#define CE_ID      0x31454355
#define CE_VERSION 0x10001 /* major << 16 | minor */

/* BAR0 */
enum ce_register {
	CE_REG_ID = 0x00,
	CE_REG_VERSION = 0x04,
	CE_REG_CAPS = 0x08,
	CE_REG_VRAM_SIZE = 0x10, /* 64 bits */
	CE_REG_CONTROL = 0x18,
	CE_REG_STATUS = 0x1c,
	CE_REG_RING_BASE = 0x20, /* 64 bits */
	CE_REG_RING_SIZE = 0x28,
	CE_REG_PRODUCER = 0x30,
	CE_REG_CONSUMER = 0x34,
	CE_REG_INT_ENABLE = 0x38,
	CE_REG_INT_STATUS = 0x3c,
	CE_REG_INT_VECTOR = 0x40,
	CE_REG_ERROR = 0x48,
	CE_REG_ERROR_INDEX = 0x4c,
	CE_REG_ERROR_ADDR = 0x50, /* 64 bits */
	CE_REG_BYTES = 0x58,      /* 64 bits */
	CE_REG_SCRATCH = 0x60,    /* 64 bits */
};

enum ce_control {
	CE_CONTROL_ENABLE = 1 << 0,
	CE_CONTROL_SKIP = 1 << 1,
	CE_CONTROL_RETRY = 1 << 2,
	CE_CONTROL_RESET = 1 << 3,
};

#define CE_STATUS_STATE        0x3 /* mask */
#define CE_STATUS_BUSY         0x4
#define CE_STATUS_BAD_DOORBELL 0x8

enum ce_state {
	CE_STATE_DISABLED = 0,
	CE_STATE_READY = 1,
	CE_STATE_STOPPING = 2,
	CE_STATE_HALTED = 3,
};

enum ce_int {
	CE_INT_COMPLETED = 1 << 0,
	CE_INT_ERROR = 1 << 1,
	CE_INT_STOPPED = 1 << 2,
};

/* The fields of ERROR, and of a completion record's status. */
#define CE_ERROR_CODE(error)     ((error)&0xff)
#define CE_ERROR_STAGE(error)    ((error) >> 8 & 0xf)
#define CE_ERROR_IS_WRITE(error) ((error) >> 16 & 1)

enum ce_code {
	CE_CODE_BLOCKED = 1,
	CE_CODE_NO_MASTER = 2,
	CE_CODE_UNMAPPED = 3,
	CE_CODE_PERM = 4,
	CE_CODE_ABORT = 5,
	CE_CODE_BAD_RING = 16,
	CE_CODE_BAD_OPCODE = 17,
	CE_CODE_BAD_FLAGS = 18,
	CE_CODE_BAD_RESERVED = 19,
	CE_CODE_BAD_VECTOR = 20,
	CE_CODE_BAD_COMPLETION = 21,
	CE_CODE_BAD_RANGE = 22,
	CE_CODE_BROKEN = 32,
};

enum ce_opcode {
	CE_OP_NOP = 1,
	CE_OP_COPY = 2,
	CE_OP_FILL = 3,
};

enum ce_flag {
	CE_FLAG_SRC_VRAM = 1 << 0,
	CE_FLAG_DST_VRAM = 1 << 1,
	CE_FLAG_COMPLETION = 1 << 2,
	CE_FLAG_INTERRUPT = 1 << 3,
	CE_FLAG_PASID = 1 << 4,
};

/* Little-endian, as the machines that these programs run on. */
struct ce_desc {
	uint8_t opcode, vector;
	uint16_t flags;
	uint32_t pasid; /* with CE_FLAG_PASID */
	uint64_t src;   /* for FILL: the pattern */
	uint64_t dst;
	uint64_t length;
	uint64_t completion; /* IOVA of a struct ce_completion */
	uint64_t value;
	uint64_t reserved1[2];
};

struct ce_completion {
	uint64_t value;
	uint32_t status;
	uint32_t index;
};

/* How the registers are reached: @n bytes (4 or 8) at @offset of BAR0. */
struct ce_bus {
	int (*read)(void *arg, uint64_t offset, void *value, size_t n);
	int (*write)(void *arg, uint64_t offset, const void *value, size_t n);
	void *arg;
};

/* What the engine says of an error. */
struct ce_error {
	uint32_t error; /* CE_ERROR_CODE(), ... */
	uint32_t index;
	uint64_t addr;
};

struct ce {
	struct ce_bus bus;
	struct ce_desc *ring;
	uint32_t size;         /* of the ring, in descriptors */
	uint32_t tail;         /* number of the next descriptor to be filled */
	struct ce_error error; /* set when a function returns -EIO */
};

uint32_t ce_read32(struct ce *ce, enum ce_register reg);
uint64_t ce_read64(struct ce *ce, enum ce_register reg);
int ce_write32(struct ce *ce, enum ce_register reg, uint32_t value);
int ce_write64(struct ce *ce, enum ce_register reg, uint64_t value);
enum ce_state ce_state(struct ce *ce);

/*
 * Reset the engine and start it on an empty ring of @size descriptors.
 * -ENODEV: not a copy engine. -EIO: it does not start; see @ce->error.
 */
int ce_start(struct ce *ce, const struct ce_bus *bus, void *ring, uint64_t ring_iova,
	     uint32_t size);
/* Returns when the engine is quiet. */
int ce_stop(struct ce *ce);

/* Put a descriptor into the ring. -EAGAIN: it is full. Not executed before ce_kick(). */
int ce_submit(struct ce *ce, const struct ce_desc *desc);
int ce_kick(struct ce *ce);
/* Until all that was submitted is done. -EIO: the engine has halted, see @ce->error. */
int ce_wait(struct ce *ce);

/* One descriptor, and wait for it. @flags: enum ce_flag. */
int ce_copy(struct ce *ce, uint64_t dst, uint64_t src, uint64_t length, unsigned flags);
int ce_fill(struct ce *ce, uint64_t dst, uint64_t pattern, uint64_t length,
	    unsigned flags);

/* After -EIO: pass the failed descriptor by, or try it again. */
int ce_skip(struct ce *ce);
int ce_retry(struct ce *ce);

/* "no translation for IOVA", ... */
const char *ce_code_name(uint32_t error);
const char *ce_stage_name(uint32_t error);

#endif
