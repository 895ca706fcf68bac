/* SPDX-License-Identifier: MIT */
/*
 * The internal PHY (management registers of IEEE 802.3 clause 22, and those of Intel's
 * IGP03 that drivers read), and the EEPROM's image.
 *
 * There is always a partner at the other end of the cable, and negotiation ends at once
 * with 1000 Mb/s full duplex. The pages of the PHY's tuning registers read 0 and keep
 * nothing; a link restart is told by LSC.
 */
#include <string.h>

#include "devices/igb.h"

#define BMSR        1u
#define BMSR_VALUE  0x796du /* link up, negotiation complete, all but T4 */
#define MDIC_REG(v) ((v) >> 16 & 0x1f)
#define MDIC_PHY(v) ((v) >> 21 & 0x1f)

#define NVM_CHECKED 0x40u /* words under the checksum, which is the last one */
#define NVM_SUM     0xbabau

/* ---- the EEPROM ------------------------------------------------------------------ */

void igb_nvm_init(struct igb *g, const uint8_t mac[6])
{
	uint16_t sum = 0;

	memset(g->nvm, 0xff, sizeof(g->nvm));
	for (unsigned i = 0; i < 3; i++)
		g->nvm[i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
	g->nvm[0x03] = 0x0000; /* compatibility: a copper adapter */
	g->nvm[0x04] = 0x8911; /* LEDs: the defaults */
	g->nvm[0x05] = 0x1010; /* version of the image */
	g->nvm[0x0a] = 0x4000;
	g->nvm[0x0b] = 0xa03c;
	g->nvm[0x0c] = 0x8086;
	g->nvm[0x0d] = 0x10c9;
	g->nvm[0x0f] = 0x0000;
	g->nvm[0x10] = 0x0000;
	g->nvm[0x24] = 0x0000; /* no wake-up */
	for (unsigned i = 0; i < NVM_CHECKED - 1; i++)
		sum = (uint16_t)(sum + g->nvm[i]);
	g->nvm[NVM_CHECKED - 1] = (uint16_t)(NVM_SUM - sum);
}

uint32_t igb_nvm_read(const struct igb *g, uint32_t eerd)
{
	uint32_t word = eerd >> 2 & 0x3fff;

	if (!(eerd & EERD_START))
		return eerd & 0xffff;
	return (uint32_t)g->nvm[word % IGB_NVM_WORDS] << 16 | word << 2 | EERD_DONE;
}

/* ---- the PHY --------------------------------------------------------------------- */

static const struct {
	uint8_t reg;
	uint16_t value;
} phy_reset_values[] = {
	{PHY_CONTROL, 0x1140},              /* negotiation on, 1000 Mb/s, full duplex */
	{BMSR, BMSR_VALUE},    {2, 0x02a8}, /* identifier: IGP03 */
	{3, 0x0391},           {4, 0x0de1}, /* we offer everything up to 100 Mb/s, and
					       pause */
	{5, 0xcde1},                        /* and so does the partner */
	{6, 0x000f},           {9, 0x0300}, /* and 1000 Mb/s */
	{10, 0x7c00},          {15, 0x3000}, {16, 0x0008},
	{17, 0xc000}, /* the port: 1000 Mb/s */
};

void igb_phy_reset(struct igb *g)
{
	memset(g->phy, 0, sizeof(g->phy));
	for (size_t i = 0; i < sizeof(phy_reset_values) / sizeof(phy_reset_values[0]);
	     i++)
		g->phy[phy_reset_values[i].reg] = phy_reset_values[i].value;
}

/* Registers from 16 on are of a page; we have the first. */
static bool on_page_0(const struct igb *g, unsigned reg)
{
	return reg < 16 || reg == PHY_PAGE_SELECT || g->phy[PHY_PAGE_SELECT] <= 31;
}

static void phy_write(struct igb *g, unsigned reg, uint16_t value)
{
	const uint32_t read_only = 1u << BMSR | 1u << 2 | 1u << 3 | 1u << 5 | 1u << 6 |
				   1u << 10 | 1u << 15 | 1u << 17;

	if (read_only >> reg & 1 || !on_page_0(g, reg))
		return;
	if (reg == PHY_CONTROL) {
		if (value & BMCR_RESET) {
			igb_phy_reset(g);
			return;
		}
		/* The link goes down, and comes back before anybody can look. */
		if (value & BMCR_RESTART)
			g->link = false;
		value &= (uint16_t)~BMCR_RESTART;
	}
	g->phy[reg] = value;
}

static uint16_t phy_read(const struct igb *g, unsigned reg)
{
	uint16_t value = on_page_0(g, reg) ? g->phy[reg] : 0;

	if (reg == BMSR && g->phy[PHY_CONTROL] & BMCR_POWER_DOWN)
		value &= (uint16_t) ~(1u << 2 | 1u << 5);
	return value;
}

bool igb_phy_loopback(const struct igb *g)
{
	return g->phy[PHY_CONTROL] & BMCR_LOOPBACK;
}

void igb_mdic_write(struct igb *g, uint32_t value)
{
	uint32_t *mdic = igb_reg(g, IGB_MDIC);
	unsigned reg = MDIC_REG(value);

	*mdic = value & ~(MDIC_READY | MDIC_ERROR);
	if (!(value & MDIC_OP))
		return;
	*mdic |= MDIC_READY;
	if (MDIC_PHY(value) != PHY_ADDRESS) {
		*mdic |= MDIC_ERROR;
	} else if ((value & MDIC_OP) == MDIC_OP_WRITE) {
		phy_write(g, reg, (uint16_t)value);
		igb_check_link(g);
	} else {
		*mdic = (*mdic & 0xffff0000) | phy_read(g, reg);
	}
	if (value & MDIC_INT)
		igb_raise(g, ICR_MDAC);
}

/* ---- the link -------------------------------------------------------------------- */

static bool link_up(const struct igb *g)
{
	return g->regs[IGB_CTRL / 4] & CTRL_SLU &&
	       !(g->phy[PHY_CONTROL] & BMCR_POWER_DOWN);
}

uint32_t igb_status(const struct igb *g)
{
	uint32_t v =
		STATUS_FD | STATUS_SPEED_1000 | (g->regs[IGB_STATUS / 4] & STATUS_PHYRA);

	if (link_up(g))
		v |= STATUS_LU;
	/* Bus mastering ends with the job that is under way. */
	if (!(g->regs[IGB_CTRL / 4] & CTRL_GIO_MASTER_OFF) || g->busy)
		v |= STATUS_GIO_MASTER;
	return v;
}

void igb_check_link(struct igb *g)
{
	bool up = link_up(g);

	if (up != g->link) {
		g->link = up;
		igb_raise(g, ICR_LSC);
	}
}
