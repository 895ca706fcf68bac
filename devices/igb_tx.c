/* SPDX-License-Identifier: MIT */
/*
 * The worker: takes packets out of the transmit rings in turns, one packet at a time,
 * and sends them. A packet is sent when its last descriptor is there; until then it
 * waits in the ring. Context descriptors between packets set up the queue's contexts.
 *
 * Reads that fail stop the queue: the chip waits for a completion that does not come.
 * Writes are posted, so those that go nowhere are not noticed.
 */
#include <string.h>

#include "devices/igb.h"

#define PACKET_DESCS 256 /* more to one packet is no packet */

enum step {
	STEP_MORE, /* there may be more in this queue */
	STEP_WAIT, /* nothing until the tail moves, or never */
};

static void put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* ---- descriptors ----------------------------------------------------------------- */

static bool is_advanced(const struct igb_desc *d)
{
	return d->command & TX_DEXT;
}

static bool is_context(const struct igb_desc *d)
{
	return is_advanced(d) && TX_TYPE(d->command) == TX_TYPE_CONTEXT;
}

static void take_context(struct igb *g, unsigned queue, const struct igb_desc *d)
{
	struct igb_context *c = &g->contexts[queue][d->status >> 4 & 1];

	c->ip_length = d->address & 0x1ff;
	c->mac_length = d->address >> 9 & 0x7f;
	c->vlan = (uint16_t)(d->address >> 16);
	c->tucmd = d->command;
	c->l4_length = (uint8_t)(d->status >> 8);
	c->mss = (uint16_t)(d->status >> 16);
}

/* The descriptor is done, and the host wants to know. */
static void write_back(const struct igb_ring *ring, uint32_t slot,
		       const struct igb_desc *d, uint64_t head_at)
{
	uint32_t next = igb_ring_after(ring, slot);
	uint64_t at = ring->base + (uint64_t)slot * IGB_DESC_BYTES + 12;
	uint8_t bytes[4];

	put32(bytes, is_advanced(d) ? TX_DD : (d->status & ~0xfu) | TX_DD);
	if (head_at) {
		at = head_at;
		put32(bytes, next);
	}
	uiommufd_dma_write(ring->channel, at, bytes, sizeof(bytes), NULL);
}

/* Where the queue's head is to be written instead of descriptors; 0: nowhere. */
static uint64_t head_address(struct igb *g, unsigned queue)
{
	const uint32_t *r = igb_reg(g, igb_queue_base(IGB_TX, queue));
	uint32_t low = r[IGB_Q_WBAL / 4];

	return low & WBAL_ENABLE ? (uint64_t)r[IGB_Q_WBAH / 4] << 32 | (low & ~3u) : 0;
}

/* Slot by slot: write back, move the head, and interrupt if anything was reported. */
static bool retire(struct igb *g, const struct igb_ring *ring, uint32_t slot,
		   const struct igb_desc *d, uint64_t head_at)
{
	bool report = d->command & TX_RS, same;

	if (report)
		write_back(ring, slot, d, head_at);
	pthread_mutex_lock(&g->lock);
	same = igb_ring_advance(g, ring, igb_ring_after(ring, slot));
	if (same && report)
		igb_raise_queue(g, IGB_TX, ring->queue);
	pthread_mutex_unlock(&g->lock);
	return same;
}

/* ---- packets --------------------------------------------------------------------- */

static uint32_t data_length(const struct igb_desc *d)
{
	return d->command & 0xffff;
}

/* The descriptors of the packet that begins at the head. 0: its end is not there yet. */
static int find_end(struct igb *g, const struct igb_ring *ring, uint32_t *descs)
{
	uint32_t pending = igb_ring_pending(ring), slot = ring->head;
	struct igb_desc d;

	*descs = 0;
	for (uint32_t n = 1; n <= pending && n <= PACKET_DESCS; n++) {
		if (igb_ring_fetch(g, ring, slot, &d))
			return -1;
		if (is_context(&d))
			return 0;
		if (d.command & TX_EOP) {
			*descs = n;
			return 0;
		}
		slot = igb_ring_after(ring, slot);
	}
	return pending > PACKET_DESCS ? -1 : 0;
}

/* Collect its bytes. What does not fit is left out, and no packet comes of it. */
static int gather(struct igb *g, const struct igb_ring *ring, uint32_t descs,
		  struct igb_desc *first, uint32_t *bytes)
{
	uint32_t slot = ring->head, total = 0;
	struct uiommufd_fault fault;
	struct igb_desc d;

	for (uint32_t n = 0; n < descs; n++) {
		uint32_t length;

		if (igb_ring_fetch(g, ring, slot, &d))
			return -1;
		if (!n)
			*first = d;
		length = data_length(&d);
		if (total > IGB_PACKET_BYTES - length)
			total = IGB_PACKET_BYTES;
		else if (length && uiommufd_dma_read(ring->channel, d.address,
						     g->packet + total, length, &fault))
			return -1;
		else
			total += length;
		slot = igb_ring_after(ring, slot);
	}
	*bytes = total < IGB_PACKET_BYTES ? total : 0;
	return 0;
}

/* With the context of its index; legacy descriptors carry their tag themselves. */
static void send(struct igb *g, unsigned queue, const struct igb_desc *first,
		 uint32_t bytes)
{
	struct igb_context context = {0};

	if (is_advanced(first))
		context = g->contexts[queue][first->status >> 4 & 1];
	else
		context.vlan = (uint16_t)(first->status >> 16);
	if (bytes)
		igb_offload(g, first, &context, bytes);
}

static enum step send_packet(struct igb *g, struct igb_ring *ring, uint64_t head_at)
{
	struct igb_desc first, d;
	uint32_t descs, bytes;

	if (find_end(g, ring, &descs) ||
	    (descs && gather(g, ring, descs, &first, &bytes))) {
		igb_ring_stick(g, ring);
		return STEP_WAIT;
	}
	if (!descs)
		return STEP_WAIT;
	send(g, ring->queue, &first, bytes);
	for (; descs; descs--) {
		if (igb_ring_fetch(g, ring, ring->head, &d) ||
		    !retire(g, ring, ring->head, &d, head_at))
			return STEP_WAIT;
		ring->head = igb_ring_after(ring, ring->head);
	}
	return STEP_MORE;
}

/* One packet, or one context. */
static enum step take_one(struct igb *g, struct igb_ring *ring, uint64_t head_at)
{
	struct igb_desc d;

	if (!igb_ring_pending(ring))
		return STEP_WAIT;
	if (igb_ring_fetch(g, ring, ring->head, &d)) {
		igb_ring_stick(g, ring);
		return STEP_WAIT;
	}
	if (!is_context(&d))
		return send_packet(g, ring, head_at);
	take_context(g, ring->queue, &d);
	if (!retire(g, ring, ring->head, &d, head_at))
		return STEP_WAIT;
	ring->head = igb_ring_after(ring, ring->head);
	return STEP_MORE;
}

/* ---- the worker ------------------------------------------------------------------ */

/* With the lock held: may packets leave? */
static bool may_send(struct igb *g)
{
	return *igb_reg(g, IGB_TCTL) & TCTL_EN && !g->reset_wanted;
}

/* With the lock held: and those of this queue? */
static bool queue_may_send(struct igb *g, unsigned queue)
{
	if (!igb_queue_owner(g, queue) && *igb_reg(g, IGB_CTRL) & CTRL_GIO_MASTER_OFF)
		return false;
	return igb_pool_enabled(g, IGB_TX, queue);
}

/* With the lock held: the next queue that has something, after the last one. */
static bool pick(struct igb *g, uint32_t waiting, struct igb_ring *ring)
{
	if (!may_send(g))
		return false;
	for (unsigned i = 1; i <= IGB_QUEUES; i++) {
		unsigned queue = (g->last_queue + i) % IGB_QUEUES;

		if (waiting >> queue & 1 || !queue_may_send(g, queue) ||
		    !igb_ring_get(g, IGB_TX, queue, ring) || !igb_ring_pending(ring))
			continue;
		g->last_queue = queue;
		return true;
	}
	return false;
}

/* With the lock held: whatever waited for the end of a job happens now. */
static void end_job(struct igb *g)
{
	g->busy = false;
	memset(g->draining, 0, sizeof(g->draining));
	for (; g->vf_resets; g->vf_resets &= g->vf_resets - 1)
		igb_vf_reset_regs(g->vfs[__builtin_ctz(g->vf_resets)]);
	if (g->reset_wanted)
		igb_reset_regs(g);
}

/* As much of a queue as it may have at once. False: there was less. */
static bool take_turn(struct igb *g, struct igb_ring *ring, uint64_t head_at)
{
	for (unsigned n = 0; n < IGB_CACHED; n++)
		if (take_one(g, ring, head_at) == STEP_WAIT)
			return false;
	return true;
}

/*
 * Until no queue gets any further, or one has had its turn: whoever wants the worker to
 * pause does not wait for senders that never stop. A kick that comes meanwhile is another
 * call.
 */
bool igb_run(void *arg)
{
	bool more, whole_turn = false;
	struct igb_ring ring;
	uint32_t waiting = 0;
	struct igb *g = arg;
	uint64_t head_at;

	for (;;) {
		pthread_mutex_lock(&g->lock);
		end_job(g);
		more = !whole_turn && pick(g, waiting, &ring);
		if (more) {
			g->busy = true;
			head_at = head_address(g, ring.queue);
		}
		pthread_mutex_unlock(&g->lock);
		if (!more)
			return whole_turn;
		uiommufd_burst_begin();
		whole_turn = take_turn(g, &ring, head_at);
		waiting |= 1u << ring.queue;
	}
}
