/* SPDX-License-Identifier: MIT */
/*
 * The model of Intel's I/OAT DMA engine (CBDMA): what its parts share.
 * docs/devices/ioat.md says which part of the hardware is modelled.
 *
 *   ioat.c          the function: description, options, reset, general registers
 *   ioat_regs.c     a channel's registers and the states it goes through
 *   ioat_channel.c  a channel's engine: takes descriptors and executes them
 *
 * Threads. Registers are accessed by clients' threads, one at a time; each channel has a
 * worker and a DMA channel of its own. `lock` guards the registers of the device and of
 * all channels. It is a leaf: DMA, interrupts and kicks happen after it was released
 * (struct ioat_effects carries them out). What a channel's worker alone uses says so. The
 * rest is constant after power-on.
 */
#ifndef DEVICES_IOAT_H
#define DEVICES_IOAT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/pattern.h"
#include "devices/registers.h"
#include "uiommufd/device.h"

#define IOAT_MAX_CHANNELS 8
#define IOAT_CHANNEL_BYTES                                                               \
	0x80 /* of registers; channel i's are at (i + 1) times this                      \
	      */
#define IOAT_DESC_BYTES 64
#define IOAT_XFER_ORDER 20 /* log2 of the most bytes that a descriptor moves */

/* CHANSTS, bits 2:0 */
enum ioat_state {
	IOAT_ACTIVE = 0,
	IOAT_IDLE = 1,
	IOAT_SUSPENDED = 2,
	IOAT_HALTED = 3,
	IOAT_ARMED = 4,
};

/* CHANCTRL; bit 0 is struct ioat_channel_regs.int_disabled. */
enum {
	IOAT_CTRL_INT_DISABLE = 1 << 0,
	IOAT_CTRL_ERR_COMPLETION = 1 << 2,
	IOAT_CTRL_ERR_INT = 1 << 4,
	IOAT_CTRL_KEPT = 0xf33e,
};

/* CHANCMD */
enum {
	IOAT_CMD_SUSPEND = 1 << 2,
	IOAT_CMD_RESET = 1 << 5,
};

/* CHANERR */
enum ioat_error {
	IOAT_ERR_SOURCE = 1 << 0,
	IOAT_ERR_DESTINATION = 1 << 1,
	IOAT_ERR_NEXT = 1 << 2,
	IOAT_ERR_NEXT_ALIGN = 1 << 3,
	IOAT_ERR_CHAIN = 1 << 4,
	IOAT_ERR_READ_DATA = 1 << 8,
	IOAT_ERR_WRITE_DATA = 1 << 9,
	IOAT_ERR_CONTROL = 1 << 10,
	IOAT_ERR_LENGTH = 1 << 11,
	IOAT_ERR_COMPLETION = 1 << 12,
	IOAT_ERR_UNAFFILIATED = 1 << 15,
};

/* INTRCTRL */
enum {
	IOAT_INT_MASTER = 1 << 0,
	IOAT_INT_STATUS = 1 << 1,
	IOAT_INT_PENDING = 1 << 2, /* STATUS and MASTER */
	IOAT_INT_MSIX = 1 << 3,    /* each channel has a vector of its own */
};

struct ioat_channel_regs {
	enum ioat_state state;
	bool suspend_wanted, reset_wanted; /* in ACTIVE: after the current descriptor */
	bool int_disabled;                 /* an interrupt was sent and not re-armed */
	bool int_missed;                   /* one was due since */
	uint16_t control;
	uint16_t count;      /* DMACOUNT: descriptors to do since CHAINADDR was written */
	uint16_t done;       /* how many of them are done */
	bool begun;          /* a descriptor of this chain was looked at */
	uint64_t chain;      /* CHAINADDR */
	uint64_t next;       /* the next descriptor */
	uint64_t current;    /* CDAR: the last descriptor that was begun */
	uint64_t completed;  /* CHANSTS: the last descriptor that was completed; or 0 */
	uint64_t completion; /* CHANCMP */
	uint64_t dca;
	uint32_t error, error_mask;
};

struct ioat_channel {
	struct ioat *ioat;
	unsigned index;
	struct ioat_channel_regs regs;
	struct uiommufd_worker *worker; /* NULL: power-on failed, the channel is broken */
	/* The worker's own. */
	struct uiommufd_channel *dma;
	struct pattern pattern;
};

struct ioat {
	struct uiommufd_device *dev;
	unsigned channels;
	pthread_mutex_t intx_lock; /* guards intx_level; taken before `lock` */
	bool intx_level;           /* as the machine was told */
	pthread_mutex_t lock;
	uint8_t intrctrl; /* MASTER, MSIX; the others follow from `attention` */
	uint32_t attention;
	uint16_t int_delay;
	uint32_t error_int, error_int_mask; /* CHANERR_INT, CHANERRMASK_INT */
	struct ioat_channel channel[IOAT_MAX_CHANNELS];
};

/* What is left to do when the lock has been released. */
struct ioat_effects {
	unsigned kicks; /* a bit for each channel */
	unsigned irqs;  /* a bit for each vector */
	bool intx;      /* its level may have changed */
};

/* Lock not held. */
void ioat_apply(struct ioat *ioat, const struct ioat_effects *fx);

/* The rest: lock held. */

/* The channel has something to say: interrupt, unless one waits to be re-armed. */
void ioat_raise(struct ioat_channel *ch, struct ioat_effects *fx);
/* A word of a channel's registers; @offset counts from the channel's first. */
uint64_t ioat_channel_read(const struct ioat_channel *ch, uint64_t offset);
void ioat_channel_write(struct ioat_channel *ch, const struct reg_access *a,
			struct ioat_effects *fx);
/* A channel has halted for this reason: for CHANERR_INT. */
void ioat_note_error(struct ioat *ioat, uint32_t error);
/* As after CHANCMD.RESET: HALTED, all else 0. */
void ioat_channel_reset(struct ioat_channel *ch);
/* CHANSTS: @completed is the last descriptor that was completed. */
uint64_t ioat_channel_status(uint64_t completed, enum ioat_state state);

/* The worker's function, lock not held: some work; true if more may be left. */
bool ioat_channel_run(void *arg);

#endif
