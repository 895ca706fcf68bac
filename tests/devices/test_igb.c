/* SPDX-License-Identifier: MIT */
/*
 * The 82576 model behind the device API: registers, rings, loopback, interrupts, and
 * what happens when they change under it.
 */
#include <string.h>

#include "devices/igb_hw.h"
#include "devices/models.h"
#include "igb_bench.h"

/* ---- registers ------------------------------------------------------------------- */

static void registers_keep_their_bits(void **state)
{
	struct igb_bench *b = *state;
	static const struct {
		uint32_t offset, mask;
	} regs[] = {
		{0x00028, 0xffffffff}, /* FCAL */
		{0x0002c, 0x0000ffff}, /* FCAH */
		{IGB_TIPG, 0x3fffffff},
		{0x02800, 0xffffff80}, /* RDBAL(0) */
		{0x02808, 0x000ffff0}, /* RDLEN(0) */
		{0x0c100, 0xffffff80}, /* RDBAL(4) */
		{0x0e3c8, 0x000ffff0}, /* TDLEN(15) */
		{0x02818, 0x0000ffff}, /* RDT(0) */
		{IGB_RA + 0x78, 0xffffffff},
		{IGB_RA + 0x7c, 0x83ffffff},
		{IGB_STATUS, 0},
		{0x1fffc, 0}, /* no register */
	};

	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		uint32_t fixed = igb_get(b, regs[i].offset) & ~regs[i].mask;

		igb_set(b, regs[i].offset, 0xffffffff);
		assert_int_equal(igb_get(b, regs[i].offset) & regs[i].mask, regs[i].mask);
		igb_set(b, regs[i].offset, 0x5a5a5a5a & regs[i].mask);
		assert_int_equal(igb_get(b, regs[i].offset) & regs[i].mask,
				 0x5a5a5a5a & regs[i].mask);
		if (!regs[i].mask)
			assert_int_equal(igb_get(b, regs[i].offset) & ~STATUS_PHYRA,
					 fixed & ~STATUS_PHYRA);
	}
}

static uint32_t nvm_word(struct igb_bench *b, uint32_t word)
{
	igb_set(b, IGB_EERD, word << 2 | EERD_START);
	assert_true(igb_get(b, IGB_EERD) & EERD_DONE);
	return igb_get(b, IGB_EERD) >> 16;
}

static void the_eeprom_sums_up(void **state)
{
	struct igb_bench *b = *state;
	uint16_t sum = 0;

	for (uint32_t i = 0; i < 0x40; i++)
		sum = (uint16_t)(sum + nvm_word(b, i));
	assert_int_equal(sum, 0xbaba);
	assert_int_equal(nvm_word(b, 0), 0x0002);
	assert_int_equal(igb_get(b, IGB_RA), 0x82000002);
	assert_int_equal(igb_get(b, IGB_RA + 4), RAH_AV | 0x6057);
	assert_true(igb_get(b, IGB_EECD) & EECD_PRES);
	assert_false(igb_get(b, IGB_EECD) & EECD_GNT);
	igb_set(b, IGB_EECD, EECD_REQ);
	assert_true(igb_get(b, IGB_EECD) & EECD_GNT);
}

static void the_address_is_an_option(void **state)
{
	const struct uiommufd_option good = {"mac", "02:11:22:33:44:55"};
	const struct uiommufd_option bad[] = {
		{"mac", "03:11:22:33:44:55"},
		{"mac", "02:11:22:33:44"},
		{"mac", "02:11:22:33:44:55 "},
		{"colour", "red"},
	};
	struct uiommufd_device *dev;

	(void)state;
	assert_int_equal(fake_device_create(&igb_model, &good, 1, false, &dev), 0);
	assert_int_equal(fake_read(dev, 0, IGB_RA, 4), 0x33221102 & 0xffffffff);
	fake_device_destroy(dev);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(fake_device_create(&igb_model, &bad[i], 1, false, &dev),
				 -22);
		assert_true(strstr(dev->error, "igb: "));
		fake_device_destroy(dev);
	}
}

static void the_phy_answers_at_its_address(void **state)
{
	struct igb_bench *b = *state;

	assert_int_equal(igb_phy_get(b, 2), 0x02a8);
	assert_int_equal(igb_phy_get(b, 3), 0x0391);
	assert_int_equal(igb_phy_get(b, 1) & 0x24, 0x24);
	igb_phy_set(b, PHY_CONTROL, 0x4140);
	assert_int_equal(igb_phy_get(b, PHY_CONTROL), 0x4140);
	igb_phy_set(b, 2, 0);
	assert_int_equal(igb_phy_get(b, 2), 0x02a8);
	/* Pages of tuning registers are not there. */
	igb_phy_set(b, PHY_PAGE_SELECT, 0x11b0);
	igb_phy_set(b, 17, 0x1234);
	assert_int_equal(igb_phy_get(b, 17), 0);
	igb_phy_set(b, PHY_CONTROL, BMCR_RESET);
	assert_int_equal(igb_phy_get(b, PHY_CONTROL), 0x1140);
	assert_int_equal(igb_phy_get(b, 17), 0xc000);

	igb_set(b, IGB_MDIC, MDIC_OP_READ | 2u << 21 | 2u << 16);
	assert_true(igb_get(b, IGB_MDIC) & MDIC_ERROR);
}

static void the_link_follows_slu_and_power(void **state)
{
	struct igb_bench *b = *state;

	assert_false(igb_get(b, IGB_STATUS) & STATUS_LU);
	igb_set(b, IGB_CTRL, igb_get(b, IGB_CTRL) | CTRL_SLU);
	assert_true(igb_get(b, IGB_STATUS) & STATUS_LU);
	assert_true(igb_get(b, IGB_ICR) & ICR_LSC);
	igb_phy_set(b, PHY_CONTROL, BMCR_POWER_DOWN);
	assert_false(igb_get(b, IGB_STATUS) & STATUS_LU);
	assert_true(igb_get(b, IGB_ICR) & ICR_LSC);
	igb_phy_set(b, PHY_CONTROL, 0x1140);
	assert_int_equal(igb_get(b, IGB_ICR), ICR_LSC);
	/* A restart ends at once, and is told. */
	igb_phy_set(b, PHY_CONTROL, 0x1140 | BMCR_RESTART);
	assert_int_equal(igb_phy_get(b, PHY_CONTROL), 0x1140);
	assert_int_equal(igb_get(b, IGB_ICR), ICR_LSC);
}

static void odds_and_ends(void **state)
{
	struct igb_bench *b = *state;

	assert_int_equal(igb_get(b, IGB_SWSM) & SWSM_SMBI, 0);
	assert_int_equal(igb_get(b, IGB_SWSM) & SWSM_SMBI, SWSM_SMBI);
	igb_set(b, IGB_SWSM, 0);
	assert_int_equal(igb_get(b, IGB_SWSM) & SWSM_SMBI, 0);

	assert_true(igb_get(b, IGB_STATUS) & STATUS_GIO_MASTER);
	igb_set(b, IGB_CTRL, igb_get(b, IGB_CTRL) | CTRL_GIO_MASTER_OFF);
	assert_false(igb_get(b, IGB_STATUS) & STATUS_GIO_MASTER);

	igb_set(b, IGB_VET, 0x88a8);
	igb_set(b, IGB_CTRL, igb_get(b, IGB_CTRL) | CTRL_RST | CTRL_PHY_RST);
	assert_int_equal(igb_get(b, IGB_CTRL), CTRL_FD | CTRL_SPEED_1000 | CTRL_ADVD3WUC);
	assert_true(igb_get(b, IGB_EECD) & EECD_AUTO_RD);
	assert_int_equal(igb_get(b, IGB_VET), 0x8100);

	/* The window in the I/O BAR; accesses of other widths. */
	fake_write(b->dev, 2, 0, 4, IGB_VET);
	assert_int_equal(fake_read(b->dev, 2, 4, 4), 0x8100);
	fake_write(b->dev, 2, 4, 4, 0x1234);
	assert_int_equal(igb_get(b, IGB_VET), 0x1234);
	fake_write(b->dev, 2, 0, 4, IGB_REGS_BYTES);
	assert_int_equal(fake_read(b->dev, 2, 4, 4), 0);
	fake_write(b->dev, 0, IGB_VET, 2, 0x5678);
	assert_int_equal(fake_read(b->dev, 0, IGB_VET, 2), 0x1234);
	fake_write(b->dev, 0, IGB_RA, 8, UINT64_C(0x8000aabb11223344));
	assert_int_equal(fake_read(b->dev, 0, IGB_RA, 8), UINT64_C(0x8000aabb11223344));
}

/* ---- frames ---------------------------------------------------------------------- */

static void frames_come_back(void **state)
{
	static const uint32_t sizes[] = {60, 61, 64, 127, 128, 1024, 1514, 1518};
	struct igb_bench *b = *state;

	igb_start(b);
	for (unsigned n = 0; n < 300; n++) {
		uint32_t size = sizes[n % 8];

		igb_fill_frame(b, size, n);
		igb_send(b, size);
		igb_expect(b, size, n);
	}
	assert_int_equal(igb_get(b, IGB_GPTC), 300);
	assert_int_equal(igb_get(b, IGB_GPTC), 0);
	assert_int_equal(igb_get(b, IGB_GPRC), 300);
	assert_int_equal(igb_get(b, IGB_PRC64), 38);
	assert_int_equal(igb_get(b, IGB_MPC), 0);
}

static void mac_loopback_too_and_none_without(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_phy_set(b, PHY_CONTROL, 0x0140);
	igb_fill_frame(b, 60, 1);
	igb_send(b, 60);
	assert_int_equal(igb_get(b, IGB_GPTC), 1);
	assert_int_equal(igb_get(b, IGB_GPRC), 0);
	igb_set(b, IGB_RCTL, igb_get(b, IGB_RCTL) | 1u << 6);
	igb_fill_frame(b, 60, 2);
	igb_send(b, 60);
	igb_expect(b, 60, 2);
}

static void legacy_descriptors(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_set(b, 0x280c, 0); /* SRRCTL: legacy */
	igb_fill_frame(b, 100, 7);
	b->tx[0] =
		(struct igb_bench_desc){IGB_TX_BUFFER, TX_EOP | TX_IFCS | TX_RS | 100, 0};
	igb_post_tx(b, 1);
	igb_wait_dd(&b->tx[0].w3, TX_DD);
	igb_wait_dd(&b->rx[0].w3, RX_DD);
	assert_int_equal(b->rx[0].w3 & 0xffff, RX_DD | RX_EOP);
	assert_int_equal(b->rx[0].w2 & 0xffff, 100);
	assert_memory_equal(b->rx_buffer, b->tx_buffer, 100);
}

static void pieces_on_both_sides(void **state)
{
	struct igb_bench *b = *state;
	uint32_t at = 0;

	igb_start(b);
	igb_set(b, IGB_RCTL, igb_get(b, IGB_RCTL) | RCTL_LPE | 2u << 16); /* 512 */
	igb_fill_frame(b, 1300, 3);
	for (unsigned i = 0; i < 13; i++, at += 100)
		b->tx[i] = (struct igb_bench_desc){IGB_TX_BUFFER + at,
						   100 | 3u << 20 | TX_DEXT | TX_IFCS |
							   (i == 12 ? TX_EOP | TX_RS : 0),
						   1300u << 14};
	/* It is not sent before its end is there. */
	igb_post_tx(b, 12);
	igb_rest(b);
	assert_int_equal(igb_get(b, 0x3810), 0);
	igb_post_tx(b, 13);
	igb_wait_dd(&b->tx[12].w3, TX_DD);
	igb_wait_dd(&b->rx[2].w2, RX_DD);
	assert_int_equal(b->rx[0].w2 & 3, RX_DD);
	assert_int_equal(b->rx[2].w2 & 3, RX_DD | RX_EOP);
	assert_int_equal(b->rx[0].w3 & 0xffff, 512);
	assert_int_equal(b->rx[2].w3 & 0xffff, 276);
	for (unsigned i = 0; i < 3; i++)
		assert_memory_equal(b->rx_buffer + i * IGB_BUFFER_BYTES,
				    b->tx_buffer + i * 512, i < 2 ? 512 : 276);
}

static void short_frames_and_check_sequences(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_set(b, IGB_RCTL, igb_get(b, IGB_RCTL) & ~RCTL_SECRC);
	memcpy(b->tx_buffer, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1\x08\x06hello", 19);
	igb_send(b, 19);
	igb_wait_dd(&b->rx[0].w2, RX_DD);
	assert_int_equal(b->rx[0].w3 & 0xffff, 64);
	assert_memory_equal(b->rx_buffer, b->tx_buffer, 19);
	assert_int_equal(b->rx_buffer[59], 0);
	assert_int_equal(igb_get(b, IGB_BPRC), 1);
	/* The FCS that came back is right, so the host may send it itself. */
	memcpy(b->tx_buffer, b->rx_buffer, 64);
	igb_send_flags(b, 64, TX_EOP | TX_RS);
	igb_wait_dd(&b->rx[1].w2, RX_DD);
	b->tx_buffer[20] ^= 1;
	igb_send_flags(b, 64, TX_EOP | TX_RS);
	igb_settle(b);
	assert_int_equal(igb_get(b, IGB_CRCERRS), 1);
	assert_int_equal(b->rx[2].w2 & 1, 0);
	/* Too short without padding, too long without LPE. */
	igb_set(b, IGB_TCTL, TCTL_EN);
	igb_send(b, 40);
	igb_set(b, IGB_TCTL, TCTL_EN | TCTL_PSP);
	igb_send(b, 1600);
	igb_settle(b);
	assert_int_equal(igb_get(b, IGB_RUC), 1);
	assert_int_equal(igb_get(b, IGB_ROC), 1);
}

static bool arrives(struct igb_bench *b, const char *address)
{
	memset(b->tx_buffer, 0, 60);
	memcpy(b->tx_buffer, address, 6);
	igb_get(b, IGB_RPTHC);
	igb_send(b, 60);
	igb_settle(b);
	return igb_get(b, IGB_RPTHC);
}

static void filters(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_set(b, IGB_RCTL, RCTL_RXEN | RCTL_SECRC);
	assert_true(arrives(b, "\2\0\0\x82\x57\x60"));
	assert_false(arrives(b, "\2\0\0\x82\x57\x61"));
	igb_set(b, IGB_RA2 + 0x38, 0x82000002);
	igb_set(b, IGB_RA2 + 0x3c, RAH_AV | 0x6157);
	assert_true(arrives(b, "\2\0\0\x82\x57\x61"));
	assert_false(arrives(b, "\xff\xff\xff\xff\xff\xff"));
	assert_false(arrives(b, "\x01\0\x5e\0\0\x01"));
	igb_set(b, IGB_MTA, 1u << 16); /* hash 010h: bits 47 to 36 of that address */
	assert_true(arrives(b, "\x01\0\x5e\0\0\x01"));
	igb_set(b, IGB_RCTL, RCTL_RXEN | RCTL_UPE | RCTL_MPE | RCTL_BAM);
	assert_true(arrives(b, "\2\0\0\x82\x57\x99"));
	assert_true(arrives(b, "\xff\xff\xff\xff\xff\xff"));
	assert_true(arrives(b, "\x01\0\x5e\0\0\x99"));
	igb_set(b, IGB_RCTL, RCTL_UPE);
	assert_false(arrives(b, "\2\0\0\x82\x57\x60"));
}

static void no_buffer_no_frame(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_set(b, 0x2818, 0); /* RDT: none is left */
	igb_fill_frame(b, 60, 1);
	igb_send(b, 60);
	igb_settle(b);
	assert_int_equal(igb_get(b, IGB_RNBC), 1);
	assert_int_equal(igb_get(b, IGB_MPC), 1);
}

/* Queue 5 sends, the default queue receives: MRQC says 3. */
static void other_queues(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_set(b, IGB_MRQC, 3u << 3);
	igb_set(b, 0x2b00, IGB_RX_RING);
	igb_set(b, 0x2b08, IGB_RING_ENTRIES * 16);
	igb_set(b, 0x2b0c, 1u << 25);
	igb_set(b, 0x2b28, QUEUE_ENABLE);
	igb_set(b, 0x2b18, IGB_RING_ENTRIES - 1);
	igb_set(b, 0xe140, IGB_TX_RING);
	igb_set(b, 0xe148, IGB_RING_ENTRIES * 16);
	igb_set(b, 0xe168, QUEUE_ENABLE);
	igb_fill_frame(b, 200, 9);
	b->tx[0] = (struct igb_bench_desc){
		IGB_TX_BUFFER, 200 | 3u << 20 | TX_DEXT | TX_IFCS | TX_EOP | TX_RS, 0};
	igb_set(b, 0xe158, 1);
	igb_wait_dd(&b->rx[0].w2, RX_DD);
	assert_memory_equal(b->rx_buffer, b->tx_buffer, 200);
	igb_rest(b);
	assert_int_equal(igb_get(b, 0x2b10), 1);
	assert_int_equal(igb_get(b, 0xe150), 1);
	assert_int_equal(igb_get(b, 0x2810), 0);
}

static void the_head_is_written_back(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_set(b, 0x383c, 0);
	igb_set(b, 0x3838, (IGB_MEMORY + 0x800) | WBAL_ENABLE);
	igb_fill_frame(b, 60, 1);
	b->tx[0] = (struct igb_bench_desc){
		IGB_TX_BUFFER, 60 | 3u << 20 | TX_DEXT | TX_IFCS | TX_EOP | TX_RS, 0};
	igb_post_tx(b, 1);
	igb_wait_dd((uint32_t *)(b->memory + 0x800), 1);
	assert_int_equal(b->tx[0].w3, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		igb_test(registers_keep_their_bits),
		igb_test(the_eeprom_sums_up),
		cmocka_unit_test(the_address_is_an_option),
		igb_test(the_phy_answers_at_its_address),
		igb_test(the_link_follows_slu_and_power),
		igb_test(odds_and_ends),
		igb_test(frames_come_back),
		igb_test(mac_loopback_too_and_none_without),
		igb_test(legacy_descriptors),
		igb_test(pieces_on_both_sides),
		igb_test(short_frames_and_check_sequences),
		igb_test(filters),
		igb_test(no_buffer_no_frame),
		igb_test(other_queues),
		igb_test(the_head_is_written_back),
	};

	return cmocka_run_group_tests_name("igb", tests, NULL, NULL);
}
