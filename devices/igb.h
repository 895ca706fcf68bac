/* SPDX-License-Identifier: MIT */
/*
 * Intel 82576, the model: what its files share. docs/devices/igb.md says what subset of
 * the chip it is.
 *
 *   igb.c          the function: description, options, reset, BARs
 *   igb_regs.c     the register file: which bits can be written, and what writes start
 *   igb_phy.c      the PHY behind MDIC, and the EEPROM behind EERD
 *   igb_irq.c      causes, masks, and the ways they reach the host
 *   igb_ring.c     rings: descriptors fetched in batches, written back one by one
 *   igb_tx.c       the worker: packets out of transmit rings
 *   igb_offload.c  what is done to a packet on its way out: tags, checksums, segments
 *   igb_rx.c       frames: out of the MAC, and into receive rings
 *   igb_switch.c   filters: whose frame it is; and the switch between pools
 *   igb_vf.c       a virtual function: its description, registers, interrupts, reset
 *   igb_mailbox.c  the mailboxes between it and the physical function
 *
 * Threads. Clients access registers, one at a time; everything that moves data is the
 * worker's, the physical function's, which serves the virtual ones as well. `lock` guards
 * the registers of all of them between them; it is a leaf but for those of
 * interrupts and of the worker's kick. DMA happens without it, so what a job saw may be
 * out of date when it ends: whatever changes a ring bumps its epoch, and a job of another
 * epoch does not touch the ring's registers.
 *
 * A pool's queues are the virtual function's of that number as long as it is enabled:
 * they translate through its channel, and interrupt at it. The other pools are the
 * physical function's. A ring says whose it is (`channel`, `vf`), and enabling or
 * disabling functions bumps all epochs.
 *
 * A reset asked for by register takes place when the worker's job has ended; until then
 * CTRL.RST reads 1, and EECD.AUTO_RD 0. A reset of a function pauses the worker.
 */
#ifndef DEVICES_IGB_H
#define DEVICES_IGB_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/igb_hw.h"
#include "uiommufd/device.h"

#define IGB_DESC_BYTES   16u
#define IGB_QUEUE_BYTES  0x40u    /* of registers */
#define IGB_CACHED       64u      /* descriptors of a ring that are fetched at once */
#define IGB_PACKET_BYTES 0x44000u /* a TSO packet: 18 bits of payload, and headers */
#define IGB_FRAME_BYTES  0x3000u  /* a frame on the wire: at most 9.5 KiB, and tags */
#define IGB_NVM_WORDS    1024u
#define IGB_PHY_REGS     32u

enum igb_direction {
	IGB_RX,
	IGB_TX,
};

struct igb_desc {
	uint64_t address;
	uint32_t command; /* what is at byte 8 */
	uint32_t status;  /* and at byte 12 */
};

struct igb;

/* A virtual function. It outlives none of its physical function's. */
struct igb_vf {
	struct uiommufd_device *dev;
	struct igb *pf;
	unsigned index;                   /* which is that of its pool, too */
	struct uiommufd_channel *channel; /* NULL: power-on failed, nothing moves */

	/* The physical function's lock guards what follows. */
	uint32_t eicr, eims, eiac, eiam;
	uint32_t ivar, ivar_misc;
	uint32_t eitr[IGB_VF_VECTORS];
	uint32_t events; /* VFMAILBOX: what the physical function has done */
	uint32_t counters[(IGB_VF_COUNTERS_LAST - IGB_VF_COUNTERS) / 4 + 1];
};

/* A ring as its registers describe it. */
struct igb_ring {
	enum igb_direction direction;
	unsigned queue;
	uint64_t base;
	uint32_t entries, head, tail;
	uint64_t epoch;
	struct uiommufd_channel *channel; /* of the function that it belongs to */
};

/* Descriptors that the host has handed over, fetched ahead. The worker's. */
struct igb_cache {
	unsigned queue;
	uint64_t epoch;
	uint32_t first, count; /* slots of the ring that are in `bytes` */
	uint8_t bytes[IGB_CACHED * IGB_DESC_BYTES];
};

/* What a context descriptor said. The worker's. */
struct igb_context {
	uint16_t vlan;
	uint8_t mac_length;
	uint16_t ip_length;
	uint8_t l4_length;
	uint16_t mss;
	uint32_t tucmd;
};

struct igb {
	struct uiommufd_device *dev;
	uint16_t nvm[IGB_NVM_WORDS]; /* constant */
	struct uiommufd_channel *channel;
	struct uiommufd_worker *worker; /* NULL: power-on failed, nothing moves */

	pthread_mutex_t lock;
	uint32_t regs[IGB_REGS_BYTES / 4];
	uint16_t phy[IGB_PHY_REGS];
	uint32_t io_address; /* the window in the I/O BAR */
	uint64_t epochs[2][IGB_QUEUES];
	uint32_t draining[2]; /* queues that were disabled under a job, by direction */
	uint32_t stuck[2];    /* queues whose descriptors or data could not be read */
	bool busy;            /* the worker is at a job */
	bool reset_wanted;
	uint32_t vf_resets; /* the same of virtual functions, a bit for each */
	struct igb_vf *vfs[IGB_VFS];
	unsigned nr_vfs; /* that are enabled */
	bool link;       /* as of the last look, to notice changes */
	bool intx;       /* the level of the line */

	struct igb_cache caches[2];
	struct igb_context contexts[IGB_QUEUES][2];
	unsigned last_queue; /* transmit queues take turns; the frame's that is under way
			      */
	uint8_t *packet;     /* IGB_PACKET_BYTES: as it came from the host */
	uint8_t *frame;      /* IGB_FRAME_BYTES: as it goes out */
	uint8_t *copy;       /* IGB_FRAME_BYTES: for one of several that get it */
};

static inline uint32_t *igb_reg(struct igb *g, uint32_t offset)
{
	return &g->regs[offset / 4];
}

static inline uint32_t igb_get16(const uint8_t *p) /* big-endian, as on the wire */
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline void igb_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* ---- igb_regs.c: all with the lock held ------------------------------------------ */

uint32_t igb_read_reg(struct igb *g, uint32_t offset);
void igb_write_reg(struct igb *g, uint32_t offset, uint32_t value);
/* To what they are after power-on, the PHY aside. */
void igb_reset_regs(struct igb *g);
/* The registers of a queue to zero: it is disabled, and another one from now on. */
void igb_reset_queue(struct igb *g, enum igb_direction direction, unsigned queue);
/* Where the registers of a queue begin. */
uint32_t igb_queue_base(enum igb_direction direction, unsigned queue);
/* Saturates, as the chip's counters do. */
void igb_count(struct igb *g, uint32_t counter, uint32_t n);
/* A 64-bit counter: its low half at @counter. */
void igb_count_bytes(struct igb *g, uint32_t counter, uint32_t n);

/* ---- igb_phy.c: all with the lock held ------------------------------------------- */

void igb_nvm_init(struct igb *g, const uint8_t mac[6]);
uint32_t igb_nvm_read(const struct igb *g, uint32_t eerd);
void igb_phy_reset(struct igb *g);
void igb_mdic_write(struct igb *g, uint32_t value);
bool igb_phy_loopback(const struct igb *g);
/* STATUS as it reads. */
uint32_t igb_status(const struct igb *g);
/* Raise LSC if the link is not what it was. */
void igb_check_link(struct igb *g);

/* ---- igb_vf.c: all but the first with the lock held ------------------------------ */

/* How many virtual functions are enabled, from now on (uiommufd_device_ops.vfs). */
void igb_set_vfs(void *model, unsigned n);

/* Whose queue it is; NULL: the physical function's. */
static inline struct igb_vf *igb_queue_owner(struct igb *g, unsigned queue)
{
	unsigned pool = queue % IGB_POOLS;

	return pool < g->nr_vfs ? g->vfs[pool] : NULL;
}
/* A descriptor of a queue of its was written back. */
void igb_vf_raise_queue(struct igb_vf *vf, enum igb_direction direction, unsigned queue);
/* The physical function has something for it in the mailbox. */
void igb_vf_raise_mailbox(struct igb_vf *vf);
/* A frame of @bytes (FCS included) was moved; @local: by the switch. */
void igb_vf_count_frame(struct igb_vf *vf, enum igb_direction direction,
			const uint8_t *frame, uint32_t bytes, bool local);
/* Its queues stop, its registers are what they are after power-on. */
void igb_vf_reset_regs(struct igb_vf *vf);

/* ---- igb_mailbox.c: all with the lock held --------------------------------------- */

/* By the physical function. False: it is no register of mailboxes. */
bool igb_mailbox_write(struct igb *g, uint32_t offset, uint32_t value);
uint32_t igb_vf_mailbox_read(struct igb_vf *vf);
void igb_vf_mailbox_write(struct igb_vf *vf, uint32_t value);
/* The virtual function was reset: nothing is under way in its mailbox. */
void igb_vf_mailbox_reset(struct igb_vf *vf);
/* The physical function's registers were reset, and then it is ready. */
void igb_mailbox_pf_reset(struct igb *g);
void igb_mailbox_pf_ready(struct igb *g);

/* ---- igb_switch.c: all with the lock held ---------------------------------------- */

/* Where a frame goes. */
struct igb_route {
	uint32_t queues; /* receive queues, a bit for each */
	bool wire;
};

/* Pools are in use (VMDq). */
bool igb_has_pools(struct igb *g);
/* Queue @queue may transmit, or receive, as far as its pool is concerned. */
bool igb_pool_enabled(struct igb *g, enum igb_direction direction, unsigned queue);
/* A frame from a queue: into other pools, and to the wire. Nowhere if it is a lie. */
struct igb_route igb_route_out(struct igb *g, unsigned queue, const uint8_t *frame,
			       uint32_t bytes);
/* A frame from the wire: the queues that get it. */
uint32_t igb_route_in(struct igb *g, const uint8_t *frame, uint32_t bytes);
/* Is a tag taken off on the way into this queue? */
bool igb_strips_tag(struct igb *g, unsigned queue);
bool igb_is_broadcast(const uint8_t *frame);

/* ---- igb_irq.c: all with the lock held ------------------------------------------- */

/* Causes for ICR. */
void igb_raise(struct igb *g, uint32_t causes);
/* A descriptor of a queue was written back. */
void igb_raise_queue(struct igb *g, enum igb_direction direction, unsigned queue);
uint32_t igb_irq_read(struct igb *g, uint32_t offset);
/* False: it is no register of interrupts. */
bool igb_irq_write(struct igb *g, uint32_t offset, uint32_t value);
/* Bring the line to what registers say. */
void igb_irq_update(struct igb *g);

/* ---- igb_ring.c ------------------------------------------------------------------ */

/* With the lock held: a queue as it is now. False: it does not run. */
bool igb_ring_get(struct igb *g, enum igb_direction direction, unsigned queue,
		  struct igb_ring *ring);
uint32_t igb_ring_pending(const struct igb_ring *ring);
static inline uint32_t igb_ring_after(const struct igb_ring *ring, uint32_t slot)
{
	return slot + 1 == ring->entries ? 0 : slot + 1;
}
/* Descriptor @slot, which is pending. -EFAULT: it cannot be read. */
int igb_ring_fetch(struct igb *g, const struct igb_ring *ring, uint32_t slot,
		   struct igb_desc *out);
/*
 * The head moves to @head, unless the ring is not the one it was; then false, and nothing
 * is to be told to the host. With the lock held.
 */
bool igb_ring_advance(struct igb *g, const struct igb_ring *ring, uint32_t head);
/* Nothing moves in this queue until it is enabled again. */
void igb_ring_stick(struct igb *g, const struct igb_ring *ring);

/* ---- igb_tx.c, igb_offload.c, igb_rx.c: the worker's ----------------------------- */

/* The worker. */
bool igb_run(void *arg);

/* A frame leaves the MAC; it is in g->frame. */
void igb_transmit(struct igb *g, uint32_t bytes, bool insert_fcs);
/*
 * What the descriptor asks for is done to g->packet (@bytes), and the resulting frames
 * are transmitted.
 */
void igb_offload(struct igb *g, const struct igb_desc *first,
		 const struct igb_context *context, uint32_t bytes);
/* One's complement sum of @n bytes, the first of them in the upper half of a word. */
uint32_t igb_sum(const uint8_t *p, size_t n, uint32_t sum);
uint16_t igb_fold(uint32_t sum);

/* A frame arrives from the wire, without its FCS, but with room for it. It is changed. */
void igb_receive(struct igb *g, uint8_t *frame, uint32_t bytes);
uint32_t igb_crc32(const uint8_t *p, size_t n);
/* Count a frame of @bytes (FCS included) by size and kind of its destination. */
void igb_count_frame(struct igb *g, enum igb_direction direction, const uint8_t *frame,
		     uint32_t bytes);

#endif
