/* SPDX-License-Identifier: MIT */
/*
 * Frames: out of the MAC, into other pools, and back in when the port is in loopback. The
 * cable leads nowhere, so a frame that is not looped back is counted and gone.
 *
 * A frame goes to the queues that igb_switch.c says, and is written into as many buffers
 * as it takes, by the DMA of whose queue it is. One that finds no buffer in a queue is
 * dropped there and counted: there is no FIFO to keep it.
 */
#include <string.h>

#include "devices/igb.h"

#define MIN_FRAME   60u /* without FCS */
#define FCS_BYTES   4u
#define ETHERTYPE   12u
#define DESC_LEGACY 0u

/* What the descriptor will say of a frame besides its length. */
struct verdict {
	uint32_t type; /* of the packet: advanced, bits 4 to 16 of the first word */
	uint32_t status;
	uint16_t vlan;
};

static void put16le(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32le(uint8_t *p, uint32_t v)
{
	put16le(p, v & 0xffff);
	put16le(p + 2, v >> 16);
}

uint32_t igb_crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffff;

	while (n--) {
		crc ^= *p++;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* ---- counters -------------------------------------------------------------------- */

/* Which of the six counters by size. */
static uint32_t size_class(uint32_t bytes)
{
	static const uint16_t up_to[] = {64, 127, 255, 511, 1023};
	uint32_t i = 0;

	while (i < sizeof(up_to) / sizeof(up_to[0]) && bytes > up_to[i])
		i++;
	return i;
}

void igb_count_frame(struct igb *g, enum igb_direction direction, const uint8_t *frame,
		     uint32_t bytes)
{
	bool tx = direction == IGB_TX;

	igb_count(g, tx ? IGB_TPT : IGB_TPR, 1);
	igb_count_bytes(g, tx ? IGB_TOTL : IGB_TORL, bytes);
	igb_count(g, tx ? IGB_GPTC : IGB_GPRC, 1);
	igb_count_bytes(g, tx ? IGB_GOTCL : IGB_GORCL, bytes);
	igb_count(g, (tx ? IGB_PTC64 : IGB_PRC64) + 4 * size_class(bytes), 1);
	if (igb_is_broadcast(frame))
		igb_count(g, tx ? IGB_BPTC : IGB_BPRC, 1);
	else if (frame[0] & 1)
		igb_count(g, tx ? IGB_MPTC : IGB_MPRC, 1);
	if (tx) {
		igb_count(g, IGB_HGPTC, 1);
		igb_count_bytes(g, IGB_HGOTCL, bytes);
	}
}

/* ---- checksums ------------------------------------------------------------------- */

#define TYPE_IPV4 (1u << 4)
#define TYPE_IPV6 (1u << 6)
#define TYPE_TCP  (1u << 8)
#define TYPE_UDP  (1u << 9)

/* Check TCP or UDP at @p; @sum is that of the pseudo header's addresses. */
static void check_l4(const uint8_t *p, uint32_t bytes, uint8_t protocol, uint32_t sum,
		     struct verdict *v)
{
	bool udp = protocol == 17;

	if ((!udp && protocol != 6) || bytes < (udp ? 8u : 20u))
		return;
	v->type |= udp ? TYPE_UDP : TYPE_TCP;
	if (udp && !igb_get16(p + 6))
		return;
	v->status |= RX_L4CS | (udp ? RX_UDPCS : 0);
	if (igb_fold(igb_sum(p, bytes, sum + protocol + bytes)))
		v->status |= RX_L4E;
}

static void check_ipv4(const uint8_t *ip, uint32_t bytes, uint32_t rxcsum,
		       struct verdict *v)
{
	uint32_t header = (ip[0] & 0xfu) * 4, total = igb_get16(ip + 2);

	if (ip[0] >> 4 != 4 || header < 20 || total < header || total > bytes)
		return;
	v->type |= TYPE_IPV4;
	if (rxcsum & RXCSUM_IPOFL) {
		v->status |= RX_IPCS;
		if (igb_fold(igb_sum(ip, header, 0)))
			v->status |= RX_IPE;
	}
	if (rxcsum & RXCSUM_TUOFL && !(igb_get16(ip + 6) & 0x3fff))
		check_l4(ip + header, total - header, ip[9], igb_sum(ip + 12, 8, 0), v);
}

/* Extension headers hide what follows. */
static void check_ipv6(const uint8_t *ip, uint32_t bytes, uint32_t rxcsum,
		       struct verdict *v)
{
	uint32_t payload = igb_get16(ip + 4);

	if (bytes < 40 || ip[0] >> 4 != 6 || payload > bytes - 40)
		return;
	v->type |= TYPE_IPV6;
	if (rxcsum & RXCSUM_TUOFL)
		check_l4(ip + 40, payload, ip[6], igb_sum(ip + 8, 32, 0), v);
}

static void check(const uint8_t *frame, uint32_t bytes, uint32_t rxcsum,
		  struct verdict *v)
{
	const uint8_t *ip = frame + ETHERTYPE + 2;
	uint32_t type = igb_get16(frame + ETHERTYPE);

	bytes -= ETHERTYPE + 2;
	if (type == 0x0800 && bytes >= 20)
		check_ipv4(ip, bytes, rxcsum, v);
	else if (type == 0x86dd)
		check_ipv6(ip, bytes, rxcsum, v);
}

/* ---- in -------------------------------------------------------------------------- */

/* With the lock held. The next free buffer of a queue. */
static bool next_buffer(struct igb *g, unsigned queue, struct igb_ring *ring,
			uint32_t *srrctl, uint32_t *size)
{
	static const uint16_t sizes[] = {2048, 1024, 512, 256};

	if (!(*igb_reg(g, IGB_RCTL) & RCTL_RXEN) ||
	    !igb_ring_get(g, IGB_RX, queue, ring) || !igb_ring_pending(ring))
		return false;
	*srrctl = *igb_reg(g, igb_queue_base(IGB_RX, queue) + IGB_Q_SRRCTL);
	*size = (*srrctl & 0x7f) * 1024;
	if (!*size)
		*size = sizes[*igb_reg(g, IGB_RCTL) >> 16 & 3];
	return true;
}

/*
 * The half with status and length comes last, in one write: whoever sees one of them
 * sees all.
 */
static void write_back(const struct igb_ring *ring, bool legacy, const struct verdict *v,
		       uint32_t length, bool last)
{
	uint64_t at = ring->base + (uint64_t)ring->head * IGB_DESC_BYTES;
	uint32_t status = RX_DD;
	uint8_t d[IGB_DESC_BYTES] = {0};

	if (last)
		status |= RX_EOP | v->status;
	if (legacy) {
		put16le(d + 8, length);
		d[12] = (uint8_t)status;
		d[13] = (uint8_t)(status >> 24);
		put16le(d + 14, v->vlan);
	} else {
		put32le(d, last ? v->type : 0);
		put32le(d + 8, status);
		put16le(d + 12, length);
		put16le(d + 14, v->vlan);
		uiommufd_dma_write(ring->channel, at, d, 8, NULL);
	}
	uiommufd_dma_write(ring->channel, at + 8, d + 8, 8, NULL);
}

/* Fill one buffer. How much went in; 0: the ring is no use. */
static uint32_t fill_buffer(struct igb *g, struct igb_ring *ring, uint32_t srrctl,
			    uint32_t size, const uint8_t *bytes, uint32_t left,
			    const struct verdict *v)
{
	uint32_t n = left < size ? left : size;
	struct igb_desc d;
	bool same;

	if (igb_ring_fetch(g, ring, ring->head, &d)) {
		igb_ring_stick(g, ring);
		return 0;
	}
	uiommufd_dma_write(ring->channel, d.address, bytes, n, NULL);
	write_back(ring, (srrctl >> 25 & 7) == DESC_LEGACY, v, n, n == left);
	pthread_mutex_lock(&g->lock);
	same = igb_ring_advance(g, ring, igb_ring_after(ring, ring->head));
	if (same && n == left)
		igb_raise_queue(g, IGB_RX, ring->queue);
	pthread_mutex_unlock(&g->lock);
	return same ? n : 0;
}

static void deliver(struct igb *g, unsigned queue, const uint8_t *frame, uint32_t bytes,
		    const struct verdict *v)
{
	uint32_t done = 0, srrctl = 0, size = 0;

	while (done < bytes) {
		struct igb_ring ring;
		uint32_t n = 0;
		bool there;

		pthread_mutex_lock(&g->lock);
		there = next_buffer(g, queue, &ring, &srrctl, &size);
		if (!there) {
			igb_count(g, IGB_RNBC, 1);
			igb_count(g, IGB_MPC, 1);
		}
		pthread_mutex_unlock(&g->lock);
		if (there)
			n = fill_buffer(g, &ring, srrctl, size, frame + done,
					bytes - done, v);
		if (!n)
			return;
		done += n;
	}
}

/* Into one queue. The frame is changed on the way. */
static void into_queue(struct igb *g, unsigned queue, uint8_t *frame, uint32_t bytes)
{
	struct verdict v = {0};
	uint32_t rxcsum, vet;
	bool strip_tag, strip_fcs;

	pthread_mutex_lock(&g->lock);
	rxcsum = *igb_reg(g, IGB_RXCSUM);
	vet = *igb_reg(g, IGB_VET) & 0xffff;
	strip_tag = igb_strips_tag(g, queue);
	strip_fcs = *igb_reg(g, IGB_RCTL) & RCTL_SECRC;
	pthread_mutex_unlock(&g->lock);

	if (!strip_fcs) {
		put32le(frame + bytes, igb_crc32(frame, bytes));
		bytes += FCS_BYTES;
	}
	if (strip_tag && igb_get16(frame + ETHERTYPE) == vet) {
		v.status |= RX_VP;
		v.vlan = (uint16_t)igb_get16(frame + ETHERTYPE + 2);
		memmove(frame + ETHERTYPE, frame + ETHERTYPE + 4, bytes - ETHERTYPE - 4);
		bytes -= 4;
	}
	check(frame, bytes, rxcsum, &v);
	deliver(g, queue, frame, bytes, &v);
}

/* Each queue but the last gets a copy; @keep: that one, too. */
static void into_queues(struct igb *g, uint32_t queues, uint8_t *frame, uint32_t bytes,
			bool keep)
{
	for (; queues; queues &= queues - 1) {
		uint8_t *its = frame;

		if (keep || queues & (queues - 1)) {
			its = g->copy;
			memcpy(its, frame, bytes);
		}
		into_queue(g, (unsigned)__builtin_ctz(queues), its, bytes);
	}
}

/* With the lock held. */
static void count_for_vfs(struct igb *g, uint32_t queues, const uint8_t *frame,
			  uint32_t bytes, bool local)
{
	for (; queues; queues &= queues - 1) {
		struct igb_vf *vf = igb_queue_owner(g, (unsigned)__builtin_ctz(queues));

		if (vf)
			igb_vf_count_frame(vf, IGB_RX, frame, bytes + FCS_BYTES, local);
	}
}

void igb_receive(struct igb *g, uint8_t *frame, uint32_t bytes)
{
	uint32_t queues;

	pthread_mutex_lock(&g->lock);
	queues = igb_route_in(g, frame, bytes);
	count_for_vfs(g, queues, frame, bytes, false);
	pthread_mutex_unlock(&g->lock);
	into_queues(g, queues, frame, bytes, false);
}

/* ---- out ------------------------------------------------------------------------- */

/* With the lock held: padded and counted; where it goes. @bytes include no FCS. */
static struct igb_route leave(struct igb *g, uint32_t bytes)
{
	struct igb_route route = igb_route_out(g, g->last_queue, g->frame, bytes);
	struct igb_vf *vf = igb_queue_owner(g, g->last_queue);

	count_for_vfs(g, route.queues, g->frame, bytes, true);
	if (vf && (route.wire || route.queues))
		igb_vf_count_frame(vf, IGB_TX, g->frame, bytes + FCS_BYTES, !route.wire);
	if (route.wire)
		igb_count_frame(g, IGB_TX, g->frame, bytes + FCS_BYTES);
	if (!(*igb_reg(g, IGB_RCTL) & RCTL_LBM) && !igb_phy_loopback(g))
		route.wire = false;
	return route;
}

/* Without insertion the packet ends with an FCS of the host's making: is it right? */
static bool own_fcs_is_right(const uint8_t *frame, uint32_t bytes)
{
	uint8_t fcs[FCS_BYTES];

	put32le(fcs, igb_crc32(frame, bytes));
	return !memcmp(fcs, frame + bytes, FCS_BYTES);
}

void igb_transmit(struct igb *g, uint32_t bytes, bool insert_fcs)
{
	struct igb_route route;
	bool good = true;

	if (!insert_fcs) {
		if (bytes < FCS_BYTES)
			return;
		bytes -= FCS_BYTES;
		good = own_fcs_is_right(g->frame, bytes);
	}
	pthread_mutex_lock(&g->lock);
	if (bytes < MIN_FRAME && insert_fcs && *igb_reg(g, IGB_TCTL) & TCTL_PSP) {
		memset(g->frame + bytes, 0, MIN_FRAME - bytes);
		bytes = MIN_FRAME;
	}
	route = leave(g, bytes);
	/* A bad one is noticed where it arrives. */
	if (!good && (route.wire || route.queues)) {
		igb_count(g, IGB_CRCERRS, 1);
		route = (struct igb_route){0};
	}
	pthread_mutex_unlock(&g->lock);
	into_queues(g, route.queues, g->frame, bytes, route.wire);
	if (route.wire)
		igb_receive(g, g->frame, bytes);
}
