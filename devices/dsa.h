/* SPDX-License-Identifier: MIT */
/*
 * The model of Intel's Data Streaming Accelerator: what its parts share.
 * docs/devices/dsa.md says which part of the hardware is modelled.
 *
 *   dsa.c          the function: description, options, reset, accesses
 *   dsa_regs.c     the registers of BAR0 and their tables
 *   dsa_command.c  CMD: enable, disable, drain, abort, reset
 *   dsa_queue.c    portals and work queues: how descriptors come to engines
 *   dsa_desc.c     a descriptor: its fields, and which are legal
 *   dsa_engine.c   an engine: takes descriptors, batches too, and completes them
 *   dsa_ops.c      what the operations do
 *
 * Threads. Registers and portals are accessed by clients' threads; each engine has a
 * worker and a DMA channel. `lock` guards all that is not said to be an engine's own, or
 * constant after power-on. It is a leaf: DMA, interrupts and kicks happen after it was
 * released (struct dsa_effects carries them out).
 *
 * A work queue is a FIFO of descriptors, counted by `submitted` and `taken`; what was
 * taken but not retired is what its engines execute. Commands that wait (drain, abort,
 * disable, reset) finish when the last descriptor that they wait for is retired: nobody
 * sleeps for them.
 *
 * What a descriptor accesses it accesses through its engine's port for its PASID: the
 * queue's, or in a shared queue its own. An engine that waits for a page keeps its
 * descriptor, and those behind it, waiting.
 */
#ifndef DEVICES_DSA_H
#define DEVICES_DSA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/pattern.h"
#include "devices/ports.h"
#include "devices/registers.h"
#include "uiommufd/device.h"

#define DSA_MAX_WQS     16
#define DSA_MAX_ENGINES 8
#define DSA_DESC_BYTES  64
#define DSA_QUEUE_SIZE  128 /* descriptors in all work queues together */
#define DSA_BATCH_ORDER 10  /* log2 of the longest batch */
#define DSA_XFER_MIN    (UINT64_C(1) << 16)
#define DSA_XFER_MAX    (UINT64_C(1) << 31)

/* A portal is 4 pages: unlimited and limited, and the same for IMS, which is absent. */
#define DSA_PAGE_BYTES   4096u
#define DSA_PORTAL_BYTES (4 * DSA_PAGE_BYTES)
#define DSA_PORTAL_USED  (2 * DSA_PAGE_BYTES)
#define DSA_SLOTS        (DSA_PORTAL_USED / DSA_DESC_BYTES)

#define DSA_PASID_BITS   20
#define DSA_PASID_MASK   ((UINT32_C(1) << DSA_PASID_BITS) - 1)

enum {
	DSA_BAR_REGS = 0,
	DSA_BAR_PORTALS = 2,
};

/* Vector 0 is for the device itself; the others are for completions. */
#define DSA_VECTOR_MISC 0

enum dsa_opcode {
	DSA_NOOP = 0x00,
	DSA_BATCH = 0x01,
	DSA_DRAIN = 0x02,
	DSA_MEMMOVE = 0x03,
	DSA_FILL = 0x04,
	DSA_COMPARE = 0x05,
	DSA_COMPARE_PATTERN = 0x06,
	DSA_DUALCAST = 0x09,
	DSA_FLUSH = 0x20,
};

/* A bit for each opcode; all are below 64. */
#define DSA_OPCAP                                                                        \
	(UINT64_C(1) << DSA_NOOP | UINT64_C(1) << DSA_BATCH | UINT64_C(1) << DSA_DRAIN | \
	 UINT64_C(1) << DSA_MEMMOVE | UINT64_C(1) << DSA_FILL |                          \
	 UINT64_C(1) << DSA_COMPARE | UINT64_C(1) << DSA_COMPARE_PATTERN |               \
	 UINT64_C(1) << DSA_DUALCAST | UINT64_C(1) << DSA_FLUSH)

/* Flags of a descriptor. */
enum {
	DSA_FLAG_FENCE = 1 << 0,
	DSA_FLAG_BLOCK = 1 << 1,          /* ask for pages rather than fault */
	DSA_FLAG_RECORD_VALID = 1 << 2,   /* there is an address for the record */
	DSA_FLAG_RECORD = 1 << 3,         /* write it in case of success too */
	DSA_FLAG_INTERRUPT = 1 << 4,      /* send one when the descriptor is complete */
	DSA_FLAG_CHECK_RESULT = 1 << 7,   /* compare the result with an expected one */
	DSA_FLAG_CACHE_CONTROL = 1 << 8,  /* a hint */
	DSA_FLAG_TRAFFIC_CLASS = 15 << 9, /* hints */
	DSA_FLAG_STRICT_ORDER = 1 << 13,  /* always kept */
	DSA_FLAG_READBACK = 1 << 14,      /* writes are never posted */
};

/* Status of a completion record, and the error of SWERR. */
enum dsa_status {
	DSA_OK = 0x01,
	DSA_OK_PREDICATE = 0x02, /* but the result is not the expected one */
	DSA_PAGE_FAULT = 0x03,
	DSA_PAGE_DENIED = 0x04, /* was asked for, in vain */
	DSA_BATCH_FAILED = 0x05,
	DSA_BATCH_FAULT = 0x06, /* reading the batch's descriptors */
	DSA_BAD_OPCODE = 0x10,
	DSA_BAD_FLAGS = 0x11,
	DSA_BAD_RESERVED = 0x12,
	DSA_BAD_SIZE = 0x13,
	DSA_BAD_COUNT = 0x14,
	DSA_BAD_DUALCAST = 0x17,
	DSA_BAD_LIST_ALIGN = 0x18,
	DSA_BAD_INT_HANDLE = 0x19,
	DSA_RECORD_FAULT = 0x1a,
	DSA_RECORD_ALIGN = 0x1b,
	DSA_READ_ERROR = 0x20, /* the target did not answer */
	DSA_WRITE_ERROR = 0x21,
	/* In SWERR only. */
	DSA_COMMAND_ACTIVE = 0x52, /* CMD was written meanwhile */
	DSA_WQ_FULL = 0x53,
	/* In a completion record: the faulting access was a write. */
	DSA_STATUS_WRITE = 0x80,
};

/* INTCAUSE */
enum {
	DSA_CAUSE_ERROR = 1 << 0,
	DSA_CAUSE_COMMAND = 1 << 1,
};

/* GENCTRL */
#define DSA_ERROR_INT_ENABLE 1u
/* GENCFG: descriptors of a PASID without privilege may ask for interrupts. */
#define DSA_USER_INTERRUPTS (UINT64_C(1) << 12)

/* An entry of MSIXPERM. */
#define DSA_PERM_IGNORE       (UINT64_C(1) << 2)
#define DSA_PERM_PASID_ENABLE (UINT64_C(1) << 3)
#define DSA_PERM_PASID_SHIFT  12

/* Words of WQCFG, which is 64 bytes. */
enum {
	DSA_WQ_SIZE = 0,      /* 15:0 size, 47:32 threshold */
	DSA_WQ_MODE = 1,      /* 31:0 mode and priority, 63:32 limits */
	DSA_WQ_OCCUPANCY = 2, /* interrupts for occupancy: absent */
	DSA_WQ_STATE = 3,     /* 15:0 occupancy, 31:30 state; read-only */
	DSA_WQ_OPS = 4,
	DSA_WQ_WORDS = 8,
};

/* In the word of the mode. */
#define DSA_WQ_DEDICATED    (UINT64_C(1) << 0)
#define DSA_WQ_BLOCK        (UINT64_C(1) << 1)
#define DSA_WQ_NO_ATS       (UINT64_C(1) << 2)
#define DSA_WQ_NO_PRS       (UINT64_C(1) << 3)
#define DSA_WQ_PASID_ENABLE (UINT64_C(1) << 28)
#define DSA_WQ_PRIV         (UINT64_C(1) << 29)

struct dsa_submission {
	uint8_t bytes[DSA_DESC_BYTES];
};

/* 64 bytes of a portal that come in words: the descriptor is there when all 8 are. */
struct dsa_slot {
	uint64_t words[8];
	uint8_t have;
};

struct dsa_wq {
	unsigned index;
	uint64_t config[DSA_WQ_WORDS];
	bool enabled;   /* WQCFG's state */
	bool accepting; /* enabled, and nothing is about to disable it */
	int group;      /* -1: none */
	uint64_t submitted, taken;
	unsigned in_flight;
	unsigned credit; /* descriptors that may be taken before others have their turn */
	struct dsa_submission queue[DSA_QUEUE_SIZE]; /* at `taken` modulo the size */
	struct dsa_slot slots[DSA_SLOTS];
};

struct dsa_group {
	uint64_t wqs, engines;         /* GRPWQCFG, GRPENGCFG: a bit for each */
	uint64_t flags;                /* kept, do nothing */
	unsigned next_wq, next_engine; /* where the search goes on, for fairness */
};

/* Whose a descriptor is. */
struct dsa_owner {
	bool tagged;    /* its requests have a PASID */
	uint32_t pasid; /* 0: also the function's own address space */
	bool priv;
};

struct dsa_engine {
	struct dsa *dsa;
	int group;         /* -1: none */
	struct dsa_wq *wq; /* that the descriptor in execution is from; NULL: idle */
	uint64_t seq;      /* its number in there */
	struct dsa_owner owner;
	bool kicked;       /* and has not looked for work since */
	atomic_bool abort; /* abandon the descriptor in execution; set with lock held */
	struct uiommufd_worker *worker; /* NULL: power-on failed, the engine is broken */
	/* The worker's own. */
	struct ports ports;
	struct uiommufd_channel *dma; /* the port of the descriptor in execution */
	bool asks;                    /* for pages, in the access that comes */
	struct pattern pattern;
	uint8_t *buffer[2]; /* DSA_BUFFER_BYTES each */
};

#define DSA_BUFFER_BYTES ((size_t)64 * 1024)

/* The command in execution. */
struct dsa_command {
	bool active, interrupt;
	unsigned code;
	uint32_t wqs;                /* that it is about: a bit for each */
	uint64_t until[DSA_MAX_WQS]; /* descriptors before this one must be retired */
};

struct dsa {
	struct uiommufd_device *dev;
	unsigned wqs, engines, groups;
	unsigned xfer_order; /* log2 of the most bytes that a descriptor moves */
	bool pasid;          /* has PASIDs, and so shared queues */
	bool pri;            /* can ask for pages */
	struct uiommufd_ext_cap ext_caps[3];

	pthread_mutex_t lock;
	bool enabled; /* GENSTS */
	uint64_t gencfg, genctrl;
	uint32_t intcause;
	uint32_t cmdsts; /* without the active bit */
	uint64_t swerr[4];
	uint64_t msix_perm[DSA_MAX_WQS + 1];
	struct dsa_command command;
	struct dsa_group group[DSA_MAX_ENGINES];
	struct dsa_engine engine[DSA_MAX_ENGINES];
	struct dsa_wq wq[DSA_MAX_WQS];
};

/* What is left to do when the lock has been released. */
struct dsa_effects {
	uint32_t kicks; /* a bit for each engine */
	uint32_t irqs;  /* a bit for each vector */
};

/* A descriptor in the host's byte order. */
struct dsa_desc {
	uint8_t opcode;
	uint32_t flags;
	uint64_t record;
	uint64_t src;  /* also: pattern, list of descriptors */
	uint64_t dst;  /* also: second source, pattern to compare with */
	uint32_t size; /* also: how many descriptors */
	uint16_t vector;
	uint64_t dst2; /* also: expected result, in bit 0 */
	bool reserved_set;
};

/* A descriptor on its way. */
struct dsa_job {
	struct dsa_desc desc;
	const struct dsa_wq *wq;
	struct dsa_owner owner;
	bool in_batch;
	uint32_t batch_index;
	int vector; /* to signal when it is complete; -1: none */
};

/* What an error is about, for SWERR. */
struct dsa_error {
	enum dsa_status code;
	bool write;
	const struct dsa_job *job; /* NULL: not known */
	int wq;                    /* -1: not known */
	uint32_t bad_flags;
	uint64_t address;
};

/* How an operation went; what the completion record says. */
struct dsa_result {
	uint8_t status; /* enum dsa_status; 0: abandoned, tell nobody */
	uint8_t result;
	uint32_t completed; /* bytes, or descriptors of a batch */
	uint64_t address;   /* that faulted */
	uint32_t bad_flags;
};

/* Lock not held. */
void dsa_apply(struct dsa *dsa, const struct dsa_effects *fx);

/* ---- the rest: lock held, except for the workers' functions at the end ------------ */

uint64_t dsa_regs_read(const struct dsa *dsa, uint64_t offset);
void dsa_regs_write(struct dsa *dsa, const struct reg_access *a, struct dsa_effects *fx);
/* The Reset Device command: what survives is CMDSTS and SWERR. Nothing is in flight. */
void dsa_regs_reset(struct dsa *dsa);
/* All but the queue's size, which is part of how the device is configured. */
void dsa_wq_reset(struct dsa_wq *wq);
/* Record an error in SWERR. */
void dsa_swerr(struct dsa *dsa, const struct dsa_error *e, struct dsa_effects *fx);

/* CMD was written. */
void dsa_command_write(struct dsa *dsa, uint32_t value, struct dsa_effects *fx);
/* Is there one in execution at whose end the device is disabled? */
bool dsa_command_disables_device(const struct dsa *dsa);
/* Something was retired: is the command complete? */
void dsa_command_progress(struct dsa *dsa, struct dsa_effects *fx);

/* A write to the portals. */
void dsa_portal_write(struct dsa *dsa, const struct reg_access *a,
		      struct dsa_effects *fx);
/* 64 bytes at once; @deferrable: which may be told to come again (enqcmd). Accepted? */
bool dsa_portal_submit(struct dsa *dsa, uint64_t offset, const void *bytes,
		       bool deferrable, struct dsa_effects *fx);
/* Forget what waits in the queue, and what portals have gathered. */
void dsa_queue_drop(struct dsa_wq *wq);
/* Forget what waits there with this PASID. */
void dsa_queue_drop_pasid(struct dsa_wq *wq, uint32_t pasid);
/* Take the next descriptor for the engine, which becomes busy. */
bool dsa_queue_take(struct dsa_engine *e, struct dsa_submission *out);
/* The engine's descriptor is done with, however it ended. */
void dsa_queue_retire(struct dsa_engine *e, struct dsa_effects *fx);

/* Of a descriptor that was submitted to the queue. Needs no lock while it is enabled. */
struct dsa_owner dsa_owner(const struct dsa_wq *wq, const struct dsa_submission *s);
struct dsa_desc dsa_decode(const struct dsa_submission *s);
/* The worker's: is it legal? Sets the vector of the job. */
struct dsa_result dsa_check(const struct dsa_engine *e, struct dsa_job *job);
/* A worker's function: some work; true if more may be left. */
bool dsa_engine_run(void *arg);
/* The worker's: execute an operation that is legal, and no batch or drain. */
struct dsa_result dsa_execute(struct dsa_engine *e, const struct dsa_desc *d);

#endif
