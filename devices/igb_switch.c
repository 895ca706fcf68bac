/* SPDX-License-Identifier: MIT */
/*
 * Whose frame is it? Filters by address, VLAN and length, as one pool for all of the
 * queues or, with VMDq (MRQC), pool by pool; and the switch inside, which hands the
 * frames of one pool to the others without the wire.
 *
 * Pool n has the receive queues n and n + 8. Without receive side scaling frames go to
 * the first, so a pool and its queue have the same number here.
 *
 * A frame passes the filters of the port first (RCTL, addresses, hashes, VFTA). Then each
 * pool that wants it gets it: for whose address it is (RAH), or who takes broadcasts, or
 * what is hashed (VMOLR), if the VLAN is one of the pool's (VLVF). One from the wire that
 * no pool wants goes to the default pool, and without replication only one pool gets it.
 *
 * The switch: what a pool sends goes through the same filters, to the other pools, and to
 * the wire as well unless it is for the address of a pool. A pool may have to prove who
 * it is (DTXSWC): what claims another source address or VLAN goes nowhere, is remembered
 * in WVBR, and told by ICR.DOUTSYNC.
 *
 * All of it with the lock held.
 */
#include <string.h>

#include "devices/igb.h"

#define REG(g, offset) (*igb_reg(g, offset))

#define MIN_FRAME      60u /* without FCS */
#define FCS_BYTES      4u
#define STANDARD_MAX   1522u /* with FCS and one tag */
#define SOURCE         6u
#define ETHERTYPE      12u
#define ADDRESSES      24u
#define VLANS          32u
#define ALL_POOLS      ((1u << IGB_POOLS) - 1)

/* What the filters of the port find out about a frame. */
struct sighting {
	bool passes;
	bool exact;     /* it is for a known address, */
	uint32_t pools; /* of these pools */
	bool hashed;    /* its hash is in the table of its kind */
};

bool igb_is_broadcast(const uint8_t *frame)
{
	return !memcmp(frame, "\xff\xff\xff\xff\xff\xff", 6);
}

bool igb_has_pools(struct igb *g)
{
	uint32_t mode = MRQC_MODE(REG(g, IGB_MRQC));

	return mode == MRQC_VMDQ || mode == MRQC_VMDQ_RSS;
}

bool igb_pool_enabled(struct igb *g, enum igb_direction direction, unsigned queue)
{
	if (!igb_has_pools(g) && !igb_queue_owner(g, queue))
		return true;
	return REG(g, direction == IGB_TX ? IGB_VFTE : IGB_VFRE) >> queue % IGB_POOLS & 1;
}

bool igb_strips_tag(struct igb *g, unsigned queue)
{
	if (igb_has_pools(g))
		return REG(g, IGB_VMOLR + 4 * (queue % IGB_POOLS)) & VMOLR_STRVLAN;
	return REG(g, IGB_CTRL) & CTRL_VME;
}

/* ---- filters of the port --------------------------------------------------------- */

/* Is the address at @p one of ours? Whose, to @pools. */
static bool find_address(struct igb *g, const uint8_t *p, uint32_t *pools)
{
	uint32_t low =
		p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	uint32_t high = p[4] | (uint32_t)p[5] << 8;
	bool found = false;

	*pools = 0;
	for (unsigned i = 0; i < ADDRESSES; i++) {
		const uint32_t *ra = i < 16 ? igb_reg(g, IGB_RA + 8 * i)
					    : igb_reg(g, IGB_RA2 + 8 * (i - 16));

		if (ra[1] & RAH_AV && ra[0] == low && (ra[1] & 0xffff) == high) {
			*pools |= RAH_POOLS(ra[1]);
			found = true;
		}
	}
	return found;
}

static bool find_hash(struct igb *g, const uint8_t *frame)
{
	static const uint8_t shifts[] = {4, 3, 2, 0};
	uint32_t table = frame[0] & 1 ? IGB_MTA : IGB_UTA;
	uint32_t hash = (frame[4] | (uint32_t)frame[5] << 8) >>
			shifts[REG(g, IGB_RCTL) >> 12 & 3];

	hash &= 0xfff;
	return REG(g, table + 4 * (hash >> 5)) >> (hash & 31) & 1;
}

/* The id of its tag. -1: it has none. */
static int vlan_of(struct igb *g, const uint8_t *frame)
{
	if (igb_get16(frame + ETHERTYPE) != (REG(g, IGB_VET) & 0xffff))
		return -1;
	return igb_get16(frame + ETHERTYPE + 2) & 0xfff;
}

static bool passes_vlan(struct igb *g, int id)
{
	return id < 0 || REG(g, IGB_VFTA + 4 * ((uint32_t)id >> 5)) >> (id & 31) & 1;
}

static struct sighting look(struct igb *g, const uint8_t *frame)
{
	uint32_t rctl = REG(g, IGB_RCTL);
	struct sighting s = {0};

	s.exact = find_address(g, frame, &s.pools);
	s.hashed = find_hash(g, frame);
	if (rctl & RCTL_VFE && !passes_vlan(g, vlan_of(g, frame)))
		return s;
	if (igb_is_broadcast(frame))
		s.passes = rctl & RCTL_BAM;
	else if (frame[0] & 1)
		s.passes = s.exact || s.hashed || rctl & RCTL_MPE;
	else
		s.passes = s.exact || rctl & RCTL_UPE || (s.hashed && igb_has_pools(g));
	return s;
}

/* ---- pools ----------------------------------------------------------------------- */

static uint32_t pools_with(struct igb *g, uint32_t flag)
{
	uint32_t pools = 0;

	for (unsigned i = 0; i < IGB_POOLS; i++)
		if (REG(g, IGB_VMOLR + 4 * i) & flag)
			pools |= 1u << i;
	return pools;
}

static uint32_t pools_of_vlan(struct igb *g, int id)
{
	uint32_t pools = 0;

	if (id < 0)
		return pools_with(g, VMOLR_AUPE);
	for (unsigned i = 0; i < VLANS; i++) {
		uint32_t vlvf = REG(g, IGB_VLVF + 4 * i);

		if (vlvf & VLVF_ENABLE && VLVF_ID(vlvf) == (uint32_t)id)
			pools |= VLVF_POOLS(vlvf);
	}
	return pools;
}

/* Those that take frames of @bytes (with FCS). */
static uint32_t pools_of_length(struct igb *g, uint32_t bytes)
{
	uint32_t pools = 0;

	for (unsigned i = 0; i < IGB_POOLS; i++) {
		uint32_t vmolr = REG(g, IGB_VMOLR + 4 * i);
		uint32_t max = vmolr & VMOLR_LPE ? vmolr & VMOLR_RLPML : STANDARD_MAX;

		if (bytes <= max)
			pools |= 1u << i;
	}
	return pools;
}

/* Those that want a frame. */
static uint32_t interested(struct igb *g, const struct sighting *s, const uint8_t *frame)
{
	uint32_t pools = s->pools;

	if (igb_is_broadcast(frame))
		pools |= pools_with(g, VMOLR_BAM);
	else if (frame[0] & 1)
		pools |= pools_with(g, VMOLR_MPME | (s->hashed ? VMOLR_ROMPE : 0));
	else if (s->hashed)
		pools |= pools_with(g, VMOLR_ROPE);
	if (REG(g, IGB_RCTL) & RCTL_VFE)
		pools &= pools_of_vlan(g, vlan_of(g, frame));
	return pools;
}

static uint32_t default_pool(struct igb *g)
{
	uint32_t vt_ctl = REG(g, IGB_VT_CTL);

	return vt_ctl & VT_CTL_NO_DEFAULT ? 0 : 1u << VT_CTL_DEFAULT_POOL(vt_ctl);
}

/* One pool, if there is no replication. */
static uint32_t replicate(struct igb *g, uint32_t pools, const uint8_t *frame)
{
	if (REG(g, IGB_VT_CTL) & VT_CTL_REPLICATION)
		return pools;
	return frame[0] & 1 && pools ? default_pool(g) : pools & -pools;
}

/* Those that may receive now. */
static uint32_t ready(struct igb *g, uint32_t queues, uint32_t bytes)
{
	bool master = !(REG(g, IGB_CTRL) & CTRL_GIO_MASTER_OFF);

	if (igb_has_pools(g))
		queues &= pools_of_length(g, bytes + FCS_BYTES);
	for (unsigned i = 0; i < IGB_POOLS; i++)
		if (!igb_pool_enabled(g, IGB_RX, i) ||
		    (!master && !igb_queue_owner(g, i)))
			queues &= ~(1u << i);
	return queues;
}

/* ---- from the wire --------------------------------------------------------------- */

static bool receives(struct igb *g)
{
	return REG(g, IGB_RCTL) & RCTL_RXEN && igb_status(g) & STATUS_LU;
}

/* By its length (with FCS); counts what it refuses. */
static bool length_is_legal(struct igb *g, uint32_t bytes)
{
	uint32_t max =
		REG(g, IGB_RCTL) & RCTL_LPE ? REG(g, IGB_RLPML) & 0x3fff : STANDARD_MAX;

	if (bytes < MIN_FRAME + FCS_BYTES) {
		igb_count(g, IGB_RUC, 1);
		return false;
	}
	if (bytes > max) {
		igb_count(g, IGB_ROC, 1);
		return false;
	}
	return true;
}

/* Of a frame that has passed. */
static uint32_t choose_queues(struct igb *g, const struct sighting *s,
			      const uint8_t *frame)
{
	uint32_t mrqc = REG(g, IGB_MRQC), pools;

	if (!igb_has_pools(g))
		return 1u << (MRQC_MODE(mrqc) ? 0 : MRQC_DEFAULT_QUEUE(mrqc));
	pools = interested(g, s, frame);
	if (!pools && !(frame[0] & 1))
		pools = default_pool(g);
	return replicate(g, pools, frame);
}

uint32_t igb_route_in(struct igb *g, const uint8_t *frame, uint32_t bytes)
{
	struct sighting s;

	if (!receives(g) || !length_is_legal(g, bytes + FCS_BYTES))
		return 0;
	/* All of it is the physical function's, which does not answer. */
	if (!igb_has_pools(g) && REG(g, IGB_CTRL) & CTRL_GIO_MASTER_OFF)
		return 0;
	igb_count_frame(g, IGB_RX, frame, bytes + FCS_BYTES);
	s = look(g, frame);
	if (!s.passes)
		return 0;
	igb_count(g, IGB_RPTHC, 1);
	igb_count_bytes(g, IGB_HGORCL, bytes + FCS_BYTES);
	return ready(g, choose_queues(g, &s, frame), bytes);
}

/* ---- out, and across ------------------------------------------------------------- */

static bool is_lie(struct igb *g, unsigned pool, const uint8_t *frame)
{
	uint32_t dtxswc = REG(g, IGB_DTXSWC), pools;
	int id = vlan_of(g, frame);

	if (DTXSWC_MAC_SPOOF(dtxswc) >> pool & 1 &&
	    (!find_address(g, frame + SOURCE, &pools) || !(pools >> pool & 1)))
		return true;
	return DTXSWC_VLAN_SPOOF(dtxswc) >> pool & 1 && id >= 0 &&
	       !(pools_of_vlan(g, id) >> pool & 1);
}

struct igb_route igb_route_out(struct igb *g, unsigned queue, const uint8_t *frame,
			       uint32_t bytes)
{
	unsigned pool = queue % IGB_POOLS;
	struct igb_route route = {.wire = bytes >= ETHERTYPE + 2};
	uint32_t dtxswc = REG(g, IGB_DTXSWC), others;
	struct sighting s;

	if (!igb_has_pools(g) || bytes < MIN_FRAME)
		return route;
	if (is_lie(g, pool, frame)) {
		REG(g, IGB_WVBR) |= 1u << queue;
		igb_raise(g, ICR_DOUTSYNC);
		return (struct igb_route){0};
	}
	if (!(dtxswc & DTXSWC_LOOPBACK) || !receives(g))
		return route;
	s = look(g, frame);
	route.wire = frame[0] & 1 || !s.exact;
	if (!s.passes)
		return route;
	others = ALL_POOLS & ~(1u << pool & ~DTXSWC_LOCAL(dtxswc));
	route.queues =
		ready(g, replicate(g, interested(g, &s, frame), frame) & others, bytes);
	return route;
}
