/* SPDX-License-Identifier: MIT */
/*
 * Portals and work queues.
 *
 * A portal takes 64 bytes at once, a descriptor: that of a dedicated queue from
 * MOVDIR64B, that of a shared one from ENQCMD, which is told whether the queue had room.
 * Where a descriptor comes in pieces (a trapped access has at most 8 bytes), each 64-byte
 * slot of a portal gathers its own: it is submitted, as if by MOVDIR64B, when all of its
 * 8 words have been written, in any order. Writers that share a portal use a slot each,
 * or one after the other.
 *
 * An engine takes from the queues of its group in turn, and from each as many before they
 * all begin anew as its priority says. A drain descriptor stays at the head of its queue
 * until everything before it has been retired.
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

enum {
	PAGE_UNLIMITED = 0,
	PAGE_LIMITED = 1, /* does not fill a shared queue beyond its threshold */
};

static bool is_dedicated(const struct dsa_wq *wq)
{
	return wq->config[DSA_WQ_MODE] & DSA_WQ_DEDICATED;
}

/* How many descriptors may wait in the queue for another one to be let in. */
static uint64_t limit(const struct dsa_wq *wq, unsigned page)
{
	uint64_t size = wq->config[DSA_WQ_SIZE] & 0xffff;
	uint64_t threshold = wq->config[DSA_WQ_SIZE] >> 32;

	if (is_dedicated(wq) || page != PAGE_LIMITED)
		return size;
	return threshold < size ? threshold : size;
}

bool dsa_portal_submit(struct dsa *dsa, uint64_t offset, const void *bytes,
		       bool deferrable, struct dsa_effects *fx)
{
	uint64_t index = offset / DSA_PORTAL_BYTES;
	unsigned page = offset % DSA_PORTAL_BYTES / DSA_PAGE_BYTES;
	struct dsa_error full = {.code = DSA_WQ_FULL, .wq = (int)index};
	struct dsa_wq *wq = &dsa->wq[index];

	if (index >= dsa->wqs || page > PAGE_LIMITED)
		return false;
	if (!wq->accepting || is_dedicated(wq) == deferrable)
		return false;
	if (wq->submitted - wq->taken >= limit(wq, page)) {
		if (!deferrable)
			dsa_swerr(dsa, &full, fx);
		return false;
	}
	memcpy(wq->queue[wq->submitted++ % DSA_QUEUE_SIZE].bytes, bytes, DSA_DESC_BYTES);
	kick_one(dsa, &dsa->group[wq->group], fx);
	return true;
}

void dsa_portal_write(struct dsa *dsa, const struct reg_access *a, struct dsa_effects *fx)
{
	uint64_t index = a->offset / DSA_PORTAL_BYTES;
	uint64_t at = a->offset % DSA_PORTAL_BYTES;
	unsigned word = (unsigned)(a->offset / 8 % 8);
	struct dsa_slot *slot;
	uint64_t wire[8];

	if (index >= dsa->wqs || at >= DSA_PORTAL_USED || a->mask != UINT64_MAX)
		return;
	slot = &dsa->wq[index].slots[at / DSA_DESC_BYTES];
	slot->words[word] = a->value;
	slot->have |= (uint8_t)(1u << word);
	if (slot->have != 0xff)
		return;
	slot->have = 0;
	for (unsigned i = 0; i < 8; i++)
		wire[i] = htole64(slot->words[i]);
	dsa_portal_submit(dsa, a->offset, wire, false, fx);
}

void dsa_queue_drop(struct dsa_wq *wq)
{
	wq->taken = wq->submitted;
	for (unsigned i = 0; i < DSA_SLOTS; i++)
		wq->slots[i].have = 0;
}

void dsa_queue_drop_pasid(struct dsa_wq *wq, uint32_t pasid)
{
	uint64_t kept = wq->taken;

	for (uint64_t i = wq->taken; i < wq->submitted; i++) {
		const struct dsa_submission *s = &wq->queue[i % DSA_QUEUE_SIZE];
		struct dsa_owner owner = dsa_owner(wq, s);

		if (!owner.tagged || owner.pasid != pasid)
			wq->queue[kept++ % DSA_QUEUE_SIZE] = *s;
	}
	wq->submitted = kept;
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

/* The next queue of the group that has something, and credit left if that counts. */
static struct dsa_wq *next_in_turn(struct dsa *dsa, const struct dsa_group *g,
				   bool credit_counts)
{
	for (unsigned i = 0; i < dsa->wqs; i++) {
		struct dsa_wq *wq = &dsa->wq[(g->next_wq + i) % dsa->wqs];

		if (g->wqs >> wq->index & 1 && can_take(wq) &&
		    (wq->credit || !credit_counts))
			return wq;
	}
	return NULL;
}

static struct dsa_wq *choose(struct dsa *dsa, struct dsa_group *g)
{
	struct dsa_wq *wq = next_in_turn(dsa, g, true);

	if (!wq && next_in_turn(dsa, g, false)) {
		for (unsigned i = 0; i < dsa->wqs; i++)
			if (g->wqs >> i & 1)
				dsa->wq[i].credit = priority(&dsa->wq[i]);
		wq = next_in_turn(dsa, g, true);
	}
	if (wq) {
		wq->credit--;
		g->next_wq = wq->index + 1;
	}
	return wq;
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
	e->owner = dsa_owner(wq, out);
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
