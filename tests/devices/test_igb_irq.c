/* SPDX-License-Identifier: MIT */
/*
 * The 82576 model: interrupts in each of their ways, and what is done to packets on
 * their way out (tags, checksums, segments), checked on their way in.
 */
#include <string.h>

#include "devices/igb_hw.h"
#include "devices/models.h"
#include "igb_bench.h"

static unsigned irqs(struct igb_bench *b, unsigned vector)
{
	return atomic_exchange(&b->dev->irqs[vector], 0);
}

/* ---- interrupts ------------------------------------------------------------------- */

static void messages_of_vectors(void **state)
{
	struct igb_bench *b = *state;

	igb_set(b, IGB_GPIE, GPIE_MULTIPLE_MSIX | GPIE_EIAME);
	igb_set(b, IGB_EIAC, 1u << 2);
	igb_set(b, IGB_EIAM, 1u << 2);
	/* Masked: the cause waits until it is enabled. */
	igb_set(b, IGB_EICS, 1u << 2 | 1u << 3);
	assert_int_equal(irqs(b, 2), 0);
	igb_set(b, IGB_EIMS, 1u << 2 | 1u << 3);
	assert_int_equal(irqs(b, 2), 1);
	assert_int_equal(irqs(b, 3), 1);
	/* Enabling what is enabled is no news. */
	igb_set(b, IGB_EIMS, 1u << 3);
	assert_int_equal(irqs(b, 3), 0);
	/* Vector 2 was cleared and masked by itself, 3 was not. */
	assert_int_equal(igb_get(b, IGB_EIMS), 1u << 3);
	assert_int_equal(igb_get(b, IGB_EICR), 1u << 3);
	assert_int_equal(igb_get(b, IGB_EICR), 0);
	igb_set(b, IGB_EIMS, 1u << 3);
	assert_int_equal(irqs(b, 3), 0);
	igb_set(b, IGB_EICS, 1u << 3);
	assert_int_equal(irqs(b, 3), 1);
	igb_set(b, IGB_EICR, 1u << 3);
	assert_int_equal(igb_get(b, IGB_EICR), 0);
	igb_set(b, IGB_EIMC, 1u << 3);
	igb_set(b, IGB_EICS, 1u << 3);
	assert_int_equal(irqs(b, 3), 0);
	assert_false(b->dev->intx);
}

static void frames_interrupt(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_set(b, IGB_GPIE, GPIE_MULTIPLE_MSIX | GPIE_EIAME);
	igb_set(b, IGB_IVAR, 0x8584); /* of queue 0: receive 4, transmit 5 */
	igb_set(b, IGB_EIAC, 0x30);
	igb_set(b, IGB_EIMS, 0x30);
	igb_fill_frame(b, 60, 1);
	igb_send(b, 60);
	igb_expect(b, 60, 1);
	igb_settle(b);
	assert_int_equal(irqs(b, 4), 1);
	assert_int_equal(irqs(b, 5), 1);
	/* A transmit descriptor that wants no report gets none. */
	b->tx[1] = (struct igb_bench_desc){
		IGB_TX_BUFFER, 60 | 3u << 20 | TX_DEXT | TX_EOP | TX_IFCS, 60u << 14};
	igb_post_tx(b, 2);
	igb_settle(b);
	assert_int_equal(irqs(b, 4), 1);
	assert_int_equal(irqs(b, 5), 0);
	assert_int_equal(b->tx[1].w3, 60u << 14);
	/* The link's causes go to the vector of all others. */
	igb_set(b, IGB_IVAR_MISC, 0x8100);
	igb_set(b, IGB_EIMS, 1u << 1);
	igb_set(b, IGB_IMS, ICR_LSC);
	igb_phy_set(b, PHY_CONTROL, 0x4140 | BMCR_RESTART);
	assert_int_equal(irqs(b, 1), 1);
	assert_int_equal(igb_get(b, IGB_ICR), ICR_LSC | ICR_INTA);
}

static void one_interrupt_for_all(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_set(b, IGB_IMS, ICR_RXDW);
	igb_fill_frame(b, 60, 1);
	igb_send(b, 60);
	igb_expect(b, 60, 1);
	igb_settle(b);
	assert_int_equal(irqs(b, 0), 1);
	assert_true(b->dev->intx);
	assert_int_equal(igb_get(b, IGB_ICR), ICR_RXDW | ICR_TXDW | ICR_INTA);
	assert_false(b->dev->intx);
	assert_int_equal(igb_get(b, IGB_ICR), 0);
	/* Without an interrupt a read clears nothing, unless it is to, or all is masked.
	 */
	igb_set(b, IGB_ICS, ICR_LSC);
	assert_int_equal(igb_get(b, IGB_ICR), ICR_LSC);
	assert_int_equal(igb_get(b, IGB_ICR), ICR_LSC);
	igb_set(b, IGB_GPIE, GPIE_NSICR);
	assert_int_equal(igb_get(b, IGB_ICR), ICR_LSC);
	assert_int_equal(igb_get(b, IGB_ICR), 0);
	igb_set(b, IGB_GPIE, 0);
	igb_set(b, IGB_ICS, ICR_LSC);
	igb_set(b, IGB_IMC, 0xffffffff);
	assert_int_equal(igb_get(b, IGB_ICR), ICR_LSC);
	assert_int_equal(igb_get(b, IGB_ICR), 0);
	/* Acknowledging masks what IAM says; masking lowers the line. */
	igb_set(b, IGB_IAM, ICR_LSC);
	igb_set(b, IGB_IMS, ICR_LSC | ICR_RXDW);
	igb_set(b, IGB_ICS, ICR_LSC);
	assert_true(b->dev->intx);
	igb_get(b, IGB_ICR);
	assert_int_equal(igb_get(b, IGB_IMS), ICR_RXDW);
	igb_set(b, IGB_ICS, ICR_RXDW);
	assert_true(b->dev->intx);
	igb_set(b, IGB_IMC, ICR_RXDW);
	assert_false(b->dev->intx);
	igb_set(b, IGB_IMS, ICR_RXDW);
	assert_true(b->dev->intx);
	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
	assert_false(b->dev->intx);
}

/* ---- packets ---------------------------------------------------------------------- */

#define HEADERS 54u /* Ethernet, IPv4, TCP */

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static unsigned sum(const uint8_t *p, size_t n, unsigned s)
{
	for (size_t i = 0; i < n; i++)
		s += i & 1 ? p[i] : (unsigned)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/*
 * TCP over IPv4 from 10.0.0.1 to 10.0.0.2, as a driver hands it over for offload:
 * without sums, but for that of the pseudo header, which has the TCP length in it unless
 * the packet is to be cut.
 */
static void make_packet(struct igb_bench *b, uint32_t bytes, bool cut)
{
	static const uint8_t
		headers[HEADERS] = {2,    0, 0,    0,    0,    2,    2,    0, 0,  0,
				    0,    1, 8,    0, /* Ethernet */
				    0x45, 0, 0,    0,    1,    0,    0,    0, 64, 6,
				    0,    0, 10,   0,    0,    1,    10,   0, 0,  2,
				    4,    0, 0,    80,   0xff, 0xff, 0xff, 0, 0,  0,
				    0,    0, 0x50, 0x19, 1,    0,    0,    0, 0,  0};
	uint8_t *p = b->tx_buffer;

	memcpy(p, headers, HEADERS);
	for (uint32_t i = HEADERS; i < bytes; i++)
		p[i] = (uint8_t)(i * 11);
	put16(p + 16, cut ? 0 : bytes - 14);
	put16(p + 50, sum(p + 26, 8, 6 + (cut ? 0 : bytes - 34)));
}

/* The sums of the packet at @p, without its tag, are right. */
static void check_packet(const uint8_t *p, uint32_t bytes)
{
	assert_int_equal(get16(p + 16), bytes - 14);
	assert_int_equal(sum(p + 14, 20, 0), 0xffff);
	assert_int_equal(sum(p + 34, bytes - 34, sum(p + 26, 8, 6 + bytes - 34)), 0xffff);
}

/* A context: IPv4 and TCP, cut at @mss, tag @vlan; then the packet. */
static void send_packet(struct igb_bench *b, uint32_t bytes, unsigned mss, unsigned vlan)
{
	uint32_t at = b->tx_tail;
	uint32_t flags = TX_EOP | TX_IFCS | TX_RS | TX_DEXT | 3u << 20;

	if (mss)
		flags |= TX_TSE;
	if (vlan)
		flags |= TX_VLE;
	b->tx[at] = (struct igb_bench_desc){(uint64_t)vlan << 16 | 14u << 9 | 20,
					    TX_DEXT | 2u << 20 | 1u << 11 | 1u << 10,
					    mss << 16 | 20u << 8};
	b->tx[at + 1] = (struct igb_bench_desc){IGB_TX_BUFFER,
						(mss ? bytes & 0xffff : bytes) | flags,
						bytes << 14 | TX_IXSM | TX_TXSM};
	igb_post_tx(b, at + 2);
	igb_wait_dd(&b->tx[at + 1].w3, TX_DD);
}

static void checksums(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_set(b, IGB_RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
	make_packet(b, 1001, false);
	send_packet(b, 1001, 0, 0);
	igb_wait_dd(&b->rx[0].w2, RX_DD);
	check_packet(b->rx_buffer, 1001);
	assert_int_equal(b->rx[0].w2, RX_DD | RX_EOP | RX_IPCS | RX_L4CS);
	assert_int_equal((uint32_t)b->rx[0].address, 1u << 4 | 1u << 8);
	/* A packet that is damaged is told of. */
	memcpy(b->tx_buffer, b->rx_buffer, 1001);
	b->tx_buffer[600] ^= 1;
	b->tx_buffer[15] ^= 1;
	igb_send(b, 1001);
	igb_wait_dd(&b->rx[1].w2, RX_DD);
	assert_int_equal(b->rx[1].w2,
			 RX_DD | RX_EOP | RX_IPCS | RX_L4CS | RX_IPE | RX_L4E);
}

static void segments(void **state)
{
	struct igb_bench *b = *state;
	const uint32_t payload = 1000 * 7 + 10, bytes = HEADERS + payload;
	const uint8_t *p = b->rx_buffer;

	igb_start(b);
	make_packet(b, bytes, true);
	send_packet(b, bytes, 1000, 0);
	for (uint32_t i = 0; i < 8; i++, p += IGB_BUFFER_BYTES) {
		uint32_t n = i < 7 ? 1000 : 10, seq = 0xffffff00 + i * 1000;

		igb_wait_dd(&b->rx[i].w2, RX_DD);
		/* The last one is padded. */
		assert_int_equal(b->rx[i].w3 & 0xffff, i < 7 ? HEADERS + n : 64);
		check_packet(p, HEADERS + n);
		assert_int_equal(get16(p + 18), 0x100 + i);
		assert_int_equal(get16(p + 38) << 16 | get16(p + 40), seq);
		assert_int_equal(p[47], i < 7 ? 0x10 : 0x19);
		assert_memory_equal(p + HEADERS, b->tx_buffer + HEADERS + i * 1000, n);
	}
	igb_settle(b);
	assert_int_equal(igb_get(b, IGB_TSCTC), 1);
	assert_int_equal(igb_get(b, IGB_GPTC), 8);
}

static void tags(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	make_packet(b, 100, false);
	send_packet(b, 100, 0, 0x1234);
	igb_wait_dd(&b->rx[0].w2, RX_DD);
	assert_int_equal(b->rx[0].w3 & 0xffff, 104);
	assert_int_equal(get16(b->rx_buffer + 12), 0x8100);
	assert_int_equal(get16(b->rx_buffer + 14), 0x1234);
	assert_memory_equal(b->rx_buffer, b->tx_buffer, 12);
	/* Stripped, and still checked behind the tag. */
	igb_set(b, IGB_CTRL, igb_get(b, IGB_CTRL) | CTRL_VME);
	igb_set(b, IGB_RXCSUM, RXCSUM_TUOFL);
	send_packet(b, 100, 0, 0x1234);
	igb_wait_dd(&b->rx[1].w2, RX_DD);
	assert_int_equal(b->rx[1].w2, RX_DD | RX_EOP | RX_VP | RX_L4CS);
	assert_int_equal(b->rx[1].w3, 0x1234u << 16 | 100);
	check_packet(b->rx_buffer + IGB_BUFFER_BYTES, 100);
	/* Filtered. */
	igb_set(b, IGB_RCTL, igb_get(b, IGB_RCTL) | RCTL_VFE);
	send_packet(b, 100, 0, 0x1234);
	igb_settle(b);
	assert_int_equal(b->rx[2].w2, 0);
	igb_set(b, IGB_VFTA + 4 * (0x234 >> 5), 1u << (0x234 & 31));
	send_packet(b, 100, 0, 0x1234);
	igb_wait_dd(&b->rx[2].w2, RX_DD);
}

/* Lengths and offsets that lie outside the packet do no harm. */
static void senseless_contexts(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t r = i * 2654435761u;

		make_packet(b, 100, false);
		b->tx_tail = i % 31 * 2;
		b->tx[b->tx_tail] = (struct igb_bench_desc){
			r, TX_DEXT | 2u << 20 | (r >> 3 & 0x7fe00), r * 7};
		b->tx[b->tx_tail + 1] = (struct igb_bench_desc){
			IGB_TX_BUFFER,
			(r >> 5 & 0x7ff) | TX_EOP | TX_IFCS | TX_RS | TX_DEXT | 3u << 20 |
				(i & 1 ? TX_TSE : 0),
			TX_IXSM | TX_TXSM | (r >> 9 & 0x10)};
		igb_set(b, 0x3828, 0);
		igb_set(b, 0x3810, b->tx_tail);
		igb_set(b, 0x3828, QUEUE_ENABLE);
		igb_post_tx(b, b->tx_tail + 2);
		igb_wait_dd(&b->tx[b->tx_tail - 1].w3, TX_DD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		igb_test(messages_of_vectors),
		igb_test(frames_interrupt),
		igb_test(one_interrupt_for_all),
		igb_test(checksums),
		igb_test(segments),
		igb_test(tags),
		igb_test(senseless_contexts),
	};

	return cmocka_run_group_tests_name("igb_irq", tests, NULL, NULL);
}
