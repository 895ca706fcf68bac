/* SPDX-License-Identifier: MIT */
/*
 * The bench on which the DSA model is tested: it runs in its own workers behind a fake
 * machine, driven as drivers do: commands, portals, completion records that are polled.
 */
#ifndef TESTS_DEVICES_DSA_BENCH_H
#define TESTS_DEVICES_DSA_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "devices/models.h"
#include "fake_device.h"

#define MIB        (UINT64_C(1) << 20)
#define RAM_IOVA   UINT64_C(0x100000000)
#define RAM_BYTES  (4 * MIB)
#define PEER_IOVA  UINT64_C(0x3800000000)
#define PEER_BYTES (4 * MIB)
#define RO_IOVA    UINT64_C(0x20000)
#define NOWHERE    UINT64_C(0xdead0000)
#define LIST_IOVA  UINT64_C(0x40000) /* descriptors of batches */
#define LIST_SIZE  1024
#define DONE_IOVA  UINT64_C(0x60000) /* completion records */
#define RECORDS    2048

#define XFER_ORDER 21
#define QUEUE_SIZE 128

enum {
	R_VERSION = 0x00,
	R_GENCAP = 0x10,
	R_WQCAP = 0x20,
	R_GRPCAP = 0x30,
	R_ENGCAP = 0x38,
	R_OPCAP = 0x40,
	R_OFFSETS = 0x60,
	R_GENCFG = 0x80,
	R_GENCTRL = 0x88,
	R_GENSTS = 0x90,
	R_INTCAUSE = 0x98,
	R_CMD = 0xa0,
	R_CMDSTS = 0xa8,
	R_CMDCAP = 0xb0,
	R_SWERR = 0xc0,
	R_GROUPS = 0x400,
	R_WQS = 0x800,
	R_PERM = 0xc00,
};

enum {
	ENABLE_DEVICE = 1,
	DISABLE_DEVICE,
	DRAIN_ALL,
	ABORT_ALL,
	RESET_DEVICE,
	ENABLE_WQ,
	DISABLE_WQ,
	DRAIN_WQ,
	ABORT_WQ,
	RESET_WQ,
	DRAIN_PASID,
	ABORT_PASID,
};

enum {
	OP_NOOP = 0,
	OP_BATCH = 1,
	OP_DRAIN = 2,
	OP_MEMMOVE = 3,
	OP_FILL = 4,
	OP_COMPARE = 5,
	OP_COMPVAL = 6,
	OP_DUALCAST = 9,
	OP_FLUSH = 0x20,
};

enum {
	FENCE = 1 << 0,
	BLOCK = 1 << 1,
	CRAV = 1 << 2,
	RCR = 1 << 3,
	RCI = 1 << 4,
	CHECK = 1 << 7,
	CACHE = 1 << 8,
};

/* In WQCFG's mode. */
enum {
	DEDICATED = 1 << 0,
	BLOCK_ENABLE = 1 << 1,
	NO_ATS = 1 << 2,
	NO_PRS = 1 << 3,
	PRIORITY = 1 << 4,
	PASID_ENABLE = 1 << 28,
};

#define WQ_PASID(pasid) (PASID_ENABLE | (uint32_t)(pasid) << 8)
#define PRIV            (1u << 31)

struct hw_desc {
	uint32_t pasid;
	uint32_t flags; /* and opcode << 24 */
	uint64_t record, src, dst;
	uint32_t size;
	uint16_t vector, reserved;
	uint64_t dst2, more[2];
};

struct hw_record {
	uint8_t status, result, info, reserved;
	uint32_t completed;
	uint64_t address;
	uint32_t bad_flags, more[3];
};

struct bench {
	struct uiommufd_device *dev;
	uint8_t *ram, *peer, *ro;
	struct hw_desc *list;
	struct hw_record *records;
	unsigned next; /* record */
};

/* For cmocka: *@state is a struct bench with 4 queues of 32 and 2 engines. Queues 0 to 2
 * are in group 0 with engine 0, queue 3 in group 1 with engine 1; all are enabled. */
int bench_setup(void **state);
/* The same of a device that has PASIDs and asks for pages. */
int bench_setup_pasid(void **state);
int bench_teardown(void **state);

uint64_t reg(struct bench *b, unsigned offset, unsigned size);
void set_reg(struct bench *b, unsigned offset, unsigned size, uint64_t value);
/* CMDSTS, once it is done. */
uint32_t command(struct bench *b, unsigned code, uint32_t operand);
/* What bench_setup does to a device that is disabled. */
void bench_configure(struct bench *b);

/* Enable the queue anew, with another threshold and mode. */
void reconfigure(struct bench *b, unsigned wq, uint32_t threshold, uint32_t mode);

/* As movdir64b does it, or, @deferrable, enqcmd. */
bool write_64(struct bench *b, unsigned bar, uint64_t offset, const void *bytes,
	      bool deferrable);

/* An operation that asks for a fresh completion record. */
struct hw_desc desc(struct bench *b, unsigned opcode, uint64_t dst, uint64_t src,
		    uint32_t size);
struct hw_record *record_of(struct bench *b, const struct hw_desc *d);
/* By eight words to a portal of the queue. */
void submit(struct bench *b, unsigned wq, const struct hw_desc *d);
/* Wait for its record. */
const struct hw_record *wait_for(struct bench *b, const struct hw_desc *d);
/* submit() to queue 0 and wait_for(). */
const struct hw_record *execute(struct bench *b, const struct hw_desc *d);
void bench_wait_irqs(struct bench *b, unsigned vector, unsigned n);
/* Until SWERR is valid: its error. */
unsigned wait_swerr(struct bench *b);
/* Have the queue's engine begin a batch that takes long. */
struct hw_desc run_long(struct bench *b, unsigned wq);

#endif
