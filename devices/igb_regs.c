/* SPDX-License-Identifier: MIT */
/*
 * The register file. A register is plain (keeps the bits that can be written), or one of
 * the few that mean something to the model; what is in no table reads 0 and ignores
 * writes. Registers that only configure what the model does not have (flow control,
 * wake-up, time stamps, filters by flow) are plain.
 *
 * Everything here is called with the lock held.
 */
#include <string.h>
#include <time.h>

#include "devices/igb.h"

#define REG(g, offset) (*igb_reg(g, offset))

struct range {
	uint32_t first, last;
	uint32_t mask;
};

/* The writable bits of plain registers, in order. */
static const struct range plain[] = {
	{0x00018, 0x00018, 0xffffbfff},   /* CTRL_EXT; PFRSTD clears itself */
	{0x00024, 0x00024, 0xffffffff},   /* SERDESCTL */
	{0x00028, 0x00028, 0xffffffff},   /* FCAL */
	{0x0002c, 0x00030, 0x0000ffff},   /* FCAH, FCT */
	{0x00034, 0x0003c, 0xffffffff},   /* CONNSW, VET, TSSDP */
	{0x000c4, 0x000c4, 0xffffffff},   /* ITR */
	{0x000e0, 0x000e0, 0x7fffffff},   /* IAM */
	{0x00100, 0x00100, 0xffffffff},   /* RCTL */
	{0x00170, 0x00170, 0x0000ffff},   /* FCTTV */
	{0x00178, 0x00178, 0xffffffff},   /* TXCW */
	{0x00400, 0x00404, 0xffffffff},   /* TCTL, TCTL_EXT */
	{0x00410, 0x00410, 0x3fffffff},   /* TIPG */
	{0x00458, 0x00458, 0xffffffff},   /* AIT */
	{0x00800, 0x009fc, 0xffffffff},   /* VMBMEM */
	{0x00c84, 0x00c84, 0xffffffff},   /* MBVFIMR */
	{0x00c8c, 0x00c90, 0x000000ff},   /* VFRE, VFTE */
	{0x00e00, 0x00e14, 0xffffffff},   /* LEDCTL, MDICNFG, PHY power */
	{0x01000, 0x01008, 0xffffffff},   /* PBA, PBS */
	{0x01514, 0x01514, 0xffffffff},   /* GPIE */
	{0x0152c, 0x01530, EICR_VECTORS}, /* EIAC, EIAM */
	{0x01680, 0x016e0, 0xffffffff},   /* EITR */
	{0x01700, 0x01740, 0xffffffff},   /* IVAR, IVAR_MISC */
	{0x02160, 0x02160, 0x0000fff8},   /* FCRTL */
	{0x02168, 0x02168, 0x0000fff8},   /* FCRTH */
	{0x02170, 0x02170, 0xffffffff},   /* FCRTC */
	{0x02404, 0x02408, 0xffffffff},   /* RXPBS, QDE */
	{0x02460, 0x02460, 0x0000ffff},   /* FCRTV */
	{0x02508, 0x02514, 0xffffffff},   /* DMA coalescing */
	{0x03404, 0x03404, 0xffffffff},   /* TXPBS */
	{0x03500, 0x03500, 0xffffffff},   /* DTXSWC */
	{0x03540, 0x03550, 0xffffffff},   /* what pools may send */
	{0x03558, 0x0355c, 0xffffffff},   /* and without WVBR */
	{0x03590, 0x03590, 0xffffffff},   /* DTXCTL */
	{0x03600, 0x036bc, 0xffffffff},   /* transmit rate limits */
	{0x03700, 0x0371c, 0xffffffff},   /* VMVIR */
	{0x04200, 0x04208, 0xffffffff},   /* PCS_CFG0, PCS_LCTL */
	{0x04218, 0x04218, 0xffffffff},   /* PCS_ANADV */
	{0x05000, 0x05008, 0xffffffff},   /* RXCSUM, RLPML, RFCTL */
	{0x05200, 0x053fc, 0xffffffff},   /* MTA */
	{0x05480, 0x0549c, 0xffffffff},   /* PSRTYPE */
	{0x055b0, 0x055b0, 0xffffffff},   /* VLAPQF */
	{0x055fc, 0x055fc, 0xffffffff},   /* SYNQF */
	{0x05600, 0x057fc, 0xffffffff},   /* VFTA */
	{0x05800, 0x05800, 0xffffffff},   /* WUC */
	{0x05808, 0x05808, 0xffffffff},   /* WUFC */
	{0x05818, 0x05820, 0xffffffff},   /* MRQC, VT_CTL, MANC */
	{0x05838, 0x0589c, 0xffffffff},   /* IPAV, IP4AT, IP6AT */
	{0x05900, 0x05900, 0xffffffff},   /* WUPL */
	{0x05980, 0x05abc, 0xffffffff},   /* 5-tuple filters, WUPM, IMIR */
	{0x05ac0, 0x05b00, 0xffffffff},   /* IMIRVP, VMOLR, RPLOLR, GCR */
	{0x05b5c, 0x05b5c, 0xffffffff},   /* SW_FW_SYNC */
	{0x05b68, 0x05b74, 0xffffffff},   /* PBACL, DCA_CTRL */
	{0x05bb8, 0x05bbc, 0xffffffff},   /* PCIEMISC, IOVTCL */
	{0x05c00, 0x05ccc, 0xffffffff},   /* RETA, RSSRK, ETQF */
	{0x05d00, 0x05d7c, 0xffffffff},   /* VLVF */
	{0x05dd0, 0x05dd0, 0xffffffff},   /* DMCRTRH */
	{0x05f00, 0x05f50, 0xffffffff},   /* FFLT, TSYNCRXCFG */
	{0x09000, 0x09bfc, 0xffffffff},   /* flexible filters */
	{0x0a000, 0x0a1fc, 0xffffffff},   /* UTA */
	{0x0b600, 0x0b678, 0xffffffff},   /* time synchronisation: it stands still */
};

static const struct {
	uint32_t offset, value;
} reset_values[] = {
	{IGB_CTRL, CTRL_FD | CTRL_SPEED_1000 | CTRL_ADVD3WUC},
	{IGB_STATUS, STATUS_PHYRA},
	{IGB_VET, 0x8100},
	{IGB_TIPG, 0x00602006},
	{IGB_VFRE, 0xff},
	{IGB_VFTE, 0xff},
	{IGB_EEMNGCTL, EEMNGCTL_CFG_DONE},
	{IGB_RXPBS, 64},
	{IGB_TXPBS, 40},
	{IGB_RLPML, 0x2600},
	{IGB_GCR, 1u << 16},
};

/* ---- queues ---------------------------------------------------------------------- */

uint32_t igb_queue_base(enum igb_direction direction, unsigned queue)
{
	if (queue < 4)
		return (direction == IGB_TX ? 0x3800u : 0x2800u) + queue * 0x100;
	return (direction == IGB_TX ? 0xe000u : 0xc000u) + queue * 0x40;
}

/* A register of a queue: which one. False: it is none. */
static bool find_queue(uint32_t offset, enum igb_direction *direction, unsigned *queue,
		       uint32_t *reg)
{
	bool high = offset >= 0xc000;

	if ((offset & ~0x3ffu) == 0x2800 || (offset & ~0x3ffu) == 0xc000)
		*direction = IGB_RX;
	else if ((offset & ~0x3ffu) == 0x3800 || (offset & ~0x3ffu) == 0xe000)
		*direction = IGB_TX;
	else
		return false;
	*queue = high ? (offset & 0x3ff) / 0x40 : (offset & 0x3ff) / 0x100;
	*reg = high ? offset & 0x3f : offset & 0xff;
	return *reg < IGB_QUEUE_BYTES;
}

static uint32_t queue_mask(enum igb_direction direction, uint32_t reg)
{
	switch (reg) {
	case IGB_Q_BAL:
		return 0xffffff80;
	case IGB_Q_LEN:
		return 0x000ffff0;
	case IGB_Q_SRRCTL:
		return direction == IGB_RX ? 0xffffffff : 0;
	case IGB_Q_HEAD:
	case IGB_Q_TAIL:
		return 0x0000ffff;
	case IGB_Q_WBAL:
	case IGB_Q_WBAH:
		return direction == IGB_TX ? 0xffffffff : 0;
	default: /* BAH, DCA control, DCTL; 30h is a counter, which we do not count */
		return reg == 0x30 ? 0 : 0xffffffff;
	}
}

static uint32_t read_queue(struct igb *g, enum igb_direction direction, unsigned queue,
			   uint32_t reg)
{
	uint32_t value = REG(g, igb_queue_base(direction, queue) + reg);
	bool on = direction == IGB_TX ? REG(g, IGB_TCTL) & TCTL_EN
				      : REG(g, IGB_RCTL) & RCTL_RXEN;

	if (reg != IGB_Q_DCTL)
		return value;
	/* Up as soon as the whole direction is, down when the last job has ended. */
	if (!on)
		value &= ~QUEUE_ENABLE;
	if (g->draining[direction] >> queue & 1)
		value |= QUEUE_ENABLE;
	return value;
}

/*
 * Whatever describes the ring makes it another ring, except for the tail. Enabling the
 * queue is what makes it move again after an error.
 */
static void write_queue(struct igb *g, enum igb_direction direction, unsigned queue,
			uint32_t reg, uint32_t value)
{
	uint32_t *r = igb_reg(g, igb_queue_base(direction, queue) + reg);
	uint32_t old = *r;

	*r = value & queue_mask(direction, reg);
	if (reg == IGB_Q_TAIL) {
		if (direction == IGB_TX && g->worker)
			uiommufd_worker_kick(g->worker);
		return;
	}
	if (reg == IGB_Q_DCTL) {
		if (!((old ^ value) & QUEUE_ENABLE))
			return;
		if (!(value & QUEUE_ENABLE) && g->busy)
			g->draining[direction] |= 1u << queue;
		g->stuck[direction] &= ~(1u << queue);
		if (g->worker)
			uiommufd_worker_kick(g->worker);
	}
	g->epochs[direction][queue]++;
}

void igb_reset_queue(struct igb *g, enum igb_direction direction, unsigned queue)
{
	memset(igb_reg(g, igb_queue_base(direction, queue)), 0, IGB_QUEUE_BYTES);
	if (g->busy)
		g->draining[direction] |= 1u << queue;
	g->stuck[direction] &= ~(1u << queue);
	g->epochs[direction][queue]++;
}

/* ---- counters -------------------------------------------------------------------- */

static bool is_counter(uint32_t offset)
{
	return offset >= IGB_CRCERRS && offset <= IGB_COUNTERS_LAST;
}

void igb_count(struct igb *g, uint32_t counter, uint32_t n)
{
	uint32_t *c = igb_reg(g, counter);

	*c = *c > UINT32_MAX - n ? UINT32_MAX : *c + n;
}

void igb_count_bytes(struct igb *g, uint32_t counter, uint32_t n)
{
	uint32_t *c = igb_reg(g, counter);

	c[0] += n;
	if (c[0] < n)
		c[1]++;
}

/* ---- the registers that mean something ------------------------------------------- */

static uint32_t free_running_timer(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

static uint32_t read_eecd(struct igb *g)
{
	uint32_t value = REG(g, IGB_EECD) & EECD_REQ;

	value |= EECD_PRES | EECD_ADDR_BITS;
	value |= (uint32_t)(__builtin_ctz(IGB_NVM_WORDS) - 6) << EECD_SIZE_SHIFT;
	if (value & EECD_REQ)
		value |= EECD_GNT;
	if (!g->reset_wanted)
		value |= EECD_AUTO_RD;
	return value;
}

uint32_t igb_read_reg(struct igb *g, uint32_t offset)
{
	enum igb_direction direction;
	uint32_t reg, value;
	unsigned queue;

	switch (offset) {
	case IGB_CTRL:
		return REG(g, offset) | (g->reset_wanted ? CTRL_RST : 0);
	case IGB_STATUS:
		return igb_status(g);
	case IGB_EECD:
		return read_eecd(g);
	case IGB_FRTIMER:
		return free_running_timer();
	case IGB_ICR:
	case IGB_ICS:
	case IGB_IMC:
	case IGB_EICS:
	case IGB_EIMC:
	case IGB_EICR:
		return igb_irq_read(g, offset);
	case IGB_SWSM:
		/* Who reads it has taken the semaphore, if it was free. */
		value = REG(g, offset);
		REG(g, offset) |= SWSM_SMBI;
		return value;
	case IGB_WVBR:
		value = REG(g, offset);
		REG(g, offset) = 0;
		return value;
	}
	if (find_queue(offset, &direction, &queue, &reg))
		return read_queue(g, direction, queue, reg);
	value = REG(g, offset);
	if (is_counter(offset))
		REG(g, offset) = 0;
	return value;
}

static void write_ctrl(struct igb *g, uint32_t value)
{
	if (value & CTRL_PHY_RST)
		igb_phy_reset(g);
	REG(g, IGB_CTRL) = value & ~(CTRL_RST | CTRL_PHY_RST);
	if (!(value & CTRL_RST)) {
		igb_check_link(g);
		if (g->worker)
			uiommufd_worker_kick(g->worker);
	} else if (g->busy) {
		g->reset_wanted = true;
	} else {
		igb_reset_regs(g);
	}
}

static void write_plain(struct igb *g, uint32_t offset, uint32_t value)
{
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		const struct range *r = &plain[i];

		if (offset < r->first)
			return;
		if (offset > r->last)
			continue;
		REG(g, offset) = (REG(g, offset) & ~r->mask) | (value & r->mask);
		return;
	}
}

/* Receive addresses: 16, and 8 more elsewhere; the upper halves have bits that are 0. */
static bool is_address(uint32_t offset)
{
	return (offset >= IGB_RA && offset < IGB_RA + 0x80) ||
	       (offset >= IGB_RA2 && offset < IGB_RA2 + 0x40);
}

void igb_write_reg(struct igb *g, uint32_t offset, uint32_t value)
{
	enum igb_direction direction;
	unsigned queue;
	uint32_t reg;

	/* Nothing gets in while a reset is under way. */
	if (g->reset_wanted || igb_irq_write(g, offset, value) ||
	    igb_mailbox_write(g, offset, value))
		return;
	if (find_queue(offset, &direction, &queue, &reg)) {
		write_queue(g, direction, queue, reg, value);
		return;
	}
	if (is_address(offset)) {
		REG(g, offset) = value & (offset & 4 ? 0x83ffffff : 0xffffffff);
		return;
	}
	switch (offset) {
	case IGB_CTRL:
		write_ctrl(g, value);
		return;
	case IGB_EECD:
		REG(g, offset) = value & EECD_REQ;
		return;
	case IGB_EERD:
		REG(g, offset) = igb_nvm_read(g, value);
		return;
	case IGB_MDIC:
		igb_mdic_write(g, value);
		return;
	case IGB_STATUS: /* PHY reset asserted: cleared by writing 0 */
		REG(g, offset) &= value | ~STATUS_PHYRA;
		return;
	case IGB_SWSM:
		REG(g, offset) = value & 3;
		return;
	}
	write_plain(g, offset, value);
	if (offset == IGB_CTRL_EXT && value & CTRL_EXT_PFRSTD)
		igb_mailbox_pf_ready(g);
	if ((offset == IGB_TCTL || offset == IGB_VFTE || offset == IGB_MRQC) && g->worker)
		uiommufd_worker_kick(g->worker);
	if (offset == IGB_GPIE)
		igb_irq_update(g);
}

void igb_reset_regs(struct igb *g)
{
	const uint16_t *mac = g->nvm;

	memset(g->regs, 0, sizeof(g->regs));
	for (size_t i = 0; i < sizeof(reset_values) / sizeof(reset_values[0]); i++)
		REG(g, reset_values[i].offset) = reset_values[i].value;
	REG(g, IGB_RA) = (uint32_t)mac[1] << 16 | mac[0];
	REG(g, IGB_RA + 4) = RAH_AV | mac[2];
	REG(g, igb_queue_base(IGB_TX, 0) + IGB_Q_DCTL) = QUEUE_ENABLE;
	REG(g, igb_queue_base(IGB_RX, 0) + IGB_Q_DCTL) = QUEUE_ENABLE;
	memset(g->stuck, 0, sizeof(g->stuck));
	memset(g->draining, 0, sizeof(g->draining));
	g->reset_wanted = false;
	g->link = false;
	igb_mailbox_pf_reset(g);
	for (unsigned q = 0; q < IGB_QUEUES; q++) {
		g->epochs[IGB_RX][q]++;
		g->epochs[IGB_TX][q]++;
	}
	igb_irq_update(g);
}
