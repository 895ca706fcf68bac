/* SPDX-License-Identifier: MIT */
/*
 * Portals and work queues.
 *
 * A portal takes 64 bytes at once, a descriptor, from MOVDIR64B. Where a descriptor comes
 * in pieces (a trapped access has at most 8 bytes), each 64-byte slot of a portal gathers
 * its own: it is submitted when all of its 8 words have been written, in any order.
 * Writers that share a portal use a slot each, or one after the other.
 *
 * An engine takes from the queues of its group: the highest priority first, and round
 * robin among equals. A drain descriptor stays at the head of its queue until everything
 * before it has been retired.
 */
#include <endian.h>
#include <string.h>

#include "devices/dsa.h"

/* ---- submission ------------------------------------------------------------------ */

/* An idle engine of the group; the ones that are busy look again by themselves. */
static void kick_one(struct dsa *dsa, struct dsa_group *g, struct dsa_effects *fx)
{
	for (unsigned i = 0; i < dsa->engines; i++) {
		unsigned n = (g->next_engine + i) % dsa->engines;
		struct dsa_engine *e = &dsa->engine[n];

		if (!(g->engines >> n & 1) || e->wq || e->kicked)
			continue;
		e->kicked = true;
		g->next_engine = n + 1;
		fx->kicks |= 1u << n;
		return;
	}
}

static unsigned limit(const struct dsa_wq *wq)
{
	return (unsigned)(wq->config[DSA_WQ_SIZE] & 0xffff);
}

void dsa_portal_submit(struct dsa *dsa, uint64_t offset, const void *bytes,
		       struct dsa_effects *fx)
{
	uint64_t index = offset / DSA_PORTAL_BYTES;
	struct dsa_error error = {.wq = (int)index};
	struct dsa_wq *wq = &dsa->wq[index];

	if (index >= dsa->wqs)
		return;
	if (offset % DSA_PORTAL_BYTES >= DSA_PORTAL_USED)
		error.code = DSA_BAD_PORTAL;
	else if (!wq->accepting)
		error.code = DSA_WQ_NOT_ENABLED;
	else if (wq->submitted - wq->taken >= limit(wq))
		error.code = DSA_WQ_FULL;
	if (error.code) {
		dsa_swerr(dsa, &error, fx);
		return;
	}
	memcpy(wq->queue[wq->submitted++ % DSA_QUEUE_SIZE].bytes, bytes, DSA_DESC_BYTES);
	kick_one(dsa, &dsa->group[wq->group], fx);
}

void dsa_portal_write(struct dsa *dsa, const struct reg_access *a, struct dsa_effects *fx)
{
	uint64_t index = a->offset / DSA_PORTAL_BYTES;
	uint64_t at = a->offset % DSA_PORTAL_BYTES;
	unsigned word = (unsigned)(a->offset / 8 % 8);
	struct dsa_error error = {.code = DSA_BAD_PORTAL, .wq = (int)index};
	struct dsa_slot *slot;
	uint64_t wire[8];

	if (index >= dsa->wqs)
		return;
	if (at >= DSA_PORTAL_USED || a->mask != UINT64_MAX) {
		dsa_swerr(dsa, &error, fx);
		return;
	}
	slot = &dsa->wq[index].slots[at / DSA_DESC_BYTES];
	slot->words[word] = a->value;
	slot->have |= (uint8_t)(1u << word);
	if (slot->have != 0xff)
		return;
	slot->have = 0;
	for (unsigned i = 0; i < 8; i++)
		wire[i] = htole64(slot->words[i]);
	dsa_portal_submit(dsa, a->offset, wire, fx);
}

void dsa_queue_drop(struct dsa_wq *wq)
{
	wq->taken = wq->submitted;
	for (unsigned i = 0; i < DSA_SLOTS; i++)
		wq->slots[i].have = 0;
}

/* ---- engines --------------------------------------------------------------------- */

static unsigned priority(const struct dsa_wq *wq)
{
	return (unsigned)(wq->config[DSA_WQ_MODE] >> 4 & 15);
}

static bool can_take(const struct dsa_wq *wq)
{
	const struct dsa_submission *head = &wq->queue[wq->taken % DSA_QUEUE_SIZE];

	if (wq->submitted == wq->taken)
		return false;
	return head->bytes[7] != DSA_DRAIN || !wq->in_flight;
}

static struct dsa_wq *choose(struct dsa *dsa, struct dsa_group *g)
{
	struct dsa_wq *best = NULL;

	for (unsigned i = 0; i < dsa->wqs; i++) {
		struct dsa_wq *wq = &dsa->wq[(g->next_wq + i) % dsa->wqs];

		if (!(g->wqs >> wq->index & 1) || !can_take(wq))
			continue;
		if (!best || priority(wq) > priority(best))
			best = wq;
	}
	if (best)
		g->next_wq = best->index + 1;
	return best;
}

bool dsa_queue_take(struct dsa_engine *e, struct dsa_submission *out)
{
	struct dsa *dsa = e->dsa;
	struct dsa_wq *wq = NULL;

	e->kicked = false;
	if (dsa->enabled && e->group >= 0)
		wq = choose(dsa, &dsa->group[e->group]);
	if (!wq)
		return false;
	*out = wq->queue[wq->taken % DSA_QUEUE_SIZE];
	e->seq = wq->taken++;
	e->wq = wq;
	wq->in_flight++;
	atomic_store(&e->abort, false);
	return true;
}

void dsa_queue_retire(struct dsa_engine *e, struct dsa_effects *fx)
{
	e->wq->in_flight--;
	e->wq = NULL;
	dsa_command_progress(e->dsa, fx);
}
