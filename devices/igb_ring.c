/* SPDX-License-Identifier: MIT */
/*
 * Descriptor rings. Between head and tail descriptors are ours; they are fetched several
 * at once and kept (struct igb_cache) as long as the ring is the same one.
 *
 * A tail outside the ring is no tail: nothing moves then.
 */
#include <string.h>

#include "devices/igb.h"

bool igb_ring_get(struct igb *g, enum igb_direction direction, unsigned queue,
		  struct igb_ring *ring)
{
	const uint32_t *r = igb_reg(g, igb_queue_base(direction, queue));
	const struct igb_vf *vf = igb_queue_owner(g, queue);

	if (!(r[IGB_Q_DCTL / 4] & QUEUE_ENABLE) || g->stuck[direction] >> queue & 1)
		return false;
	*ring = (struct igb_ring){
		.direction = direction,
		.queue = queue,
		.base = (uint64_t)r[IGB_Q_BAH / 4] << 32 | r[IGB_Q_BAL / 4],
		.entries = r[IGB_Q_LEN / 4] / IGB_DESC_BYTES,
		.head = r[IGB_Q_HEAD / 4],
		.tail = r[IGB_Q_TAIL / 4],
		.epoch = g->epochs[direction][queue],
		.channel = vf ? vf->channel : g->channel,
	};
	return ring->channel && ring->head < ring->entries && ring->tail < ring->entries;
}

uint32_t igb_ring_pending(const struct igb_ring *ring)
{
	if (ring->tail >= ring->head)
		return ring->tail - ring->head;
	return ring->entries - ring->head + ring->tail;
}

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool cached(const struct igb_cache *c, const struct igb_ring *ring, uint32_t slot)
{
	return c->epoch == ring->epoch && c->queue == ring->queue && slot >= c->first &&
	       slot - c->first < c->count;
}

/* As many as lie in one piece, starting with @slot. */
static int fill(struct igb_cache *c, const struct igb_ring *ring, uint32_t slot)
{
	uint32_t end = slot < ring->tail ? ring->tail : ring->entries;
	uint32_t count = end - slot < IGB_CACHED ? end - slot : IGB_CACHED;
	struct uiommufd_fault fault;

	c->count = 0;
	if (uiommufd_dma_read(ring->channel, ring->base + (uint64_t)slot * IGB_DESC_BYTES,
			      c->bytes, (size_t)count * IGB_DESC_BYTES, &fault)) {
		/* Not all of them are there. The one that is asked for may be. */
		count = 1;
		if (uiommufd_dma_read(ring->channel,
				      ring->base + (uint64_t)slot * IGB_DESC_BYTES,
				      c->bytes, IGB_DESC_BYTES, &fault))
			return -1;
	}
	c->queue = ring->queue;
	c->epoch = ring->epoch;
	c->first = slot;
	c->count = count;
	return 0;
}

int igb_ring_fetch(struct igb *g, const struct igb_ring *ring, uint32_t slot,
		   struct igb_desc *out)
{
	struct igb_cache *c = &g->caches[ring->direction];
	const uint8_t *p;

	if (!cached(c, ring, slot) && fill(c, ring, slot))
		return -1;
	p = c->bytes + (size_t)(slot - c->first) * IGB_DESC_BYTES;
	out->address = (uint64_t)get32(p + 4) << 32 | get32(p);
	out->command = get32(p + 8);
	out->status = get32(p + 12);
	return 0;
}

static bool same_ring(const struct igb *g, const struct igb_ring *ring)
{
	return g->epochs[ring->direction][ring->queue] == ring->epoch;
}

bool igb_ring_advance(struct igb *g, const struct igb_ring *ring, uint32_t head)
{
	struct igb_cache *c = &g->caches[ring->direction];

	if (g->reset_wanted || !same_ring(g, ring))
		return false;
	*igb_reg(g, igb_queue_base(ring->direction, ring->queue) + IGB_Q_HEAD) = head;
	/* Slots behind the head are the host's again, even if it comes round to them. */
	if (head < c->first || head - c->first >= c->count)
		c->count = 0;
	return true;
}

void igb_ring_stick(struct igb *g, const struct igb_ring *ring)
{
	pthread_mutex_lock(&g->lock);
	if (same_ring(g, ring))
		g->stuck[ring->direction] |= 1u << ring->queue;
	pthread_mutex_unlock(&g->lock);
}
