/* SPDX-License-Identifier: MIT */
/*
 * Virtual functions of the 82576 model behind the device API: the mailbox, frames across
 * the switch, each function's DMA in an address space of its own, faults, resets.
 *
 * The physical function has two virtual ones enabled (pools 0 and 1), and is pool 2
 * itself. All of their memories are at the same IOVAs, so whatever goes to the wrong
 * space is noticed.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "devices/igb_hw.h"
#include "devices/models.h"
#include "igb_bench.h"

#define VFS        2u
#define PF_POOL    2u
#define VECTOR_RX  0
#define VECTOR_TX  1
#define VECTOR_BOX 2
#define MESSAGE    IGB_VMBMEM

struct switch_bench {
	struct igb_bench pf;
	struct igb_bench vf[VFS];
};

static const uint8_t addresses[3][6] = {
	{2, 0, 0, 0, 1, 0},
	{2, 0, 0, 0, 1, 1},
	{2, 0, 0, 0, 1, 2},
};

static void set_address(struct igb_bench *pf, unsigned entry, const uint8_t *a,
			uint32_t pools)
{
	igb_set(pf, IGB_RA + 8 * entry,
		a[0] | (uint32_t)a[1] << 8 | (uint32_t)a[2] << 16 | (uint32_t)a[3] << 24);
	igb_set(pf, IGB_RA + 8 * entry + 4,
		a[4] | (uint32_t)a[5] << 8 | pools << 18 | RAH_AV);
}

/* What the physical function's driver sets up for pools, and each driver for itself. */
static void start(struct switch_bench *s)
{
	struct igb_bench *pf = &s->pf;

	igb_set(pf, IGB_CTRL_EXT, CTRL_EXT_PFRSTD);
	igb_set(pf, IGB_MRQC, MRQC_VMDQ);
	igb_set(pf, IGB_VT_CTL, PF_POOL << 7 | VT_CTL_REPLICATION);
	igb_set(pf, IGB_DTXSWC, DTXSWC_LOOPBACK);
	for (unsigned i = 0; i < 3; i++) {
		set_address(pf, i, addresses[i], 1u << i);
		igb_set(pf, IGB_VMOLR + 4 * i, VMOLR_BAM | VMOLR_AUPE);
	}
	igb_start(pf);
	igb_phy_set(pf, PHY_CONTROL, 0x0140); /* the wire leads nowhere */
	igb_set(pf, IGB_RCTL, RCTL_RXEN | RCTL_BAM | RCTL_SECRC);
	igb_set(pf, IGB_VFRE, 0xff);
	igb_set(pf, IGB_VFTE, 0xff);
	for (unsigned i = 0; i < VFS; i++) {
		igb_start_queue(&s->vf[i]);
		igb_set(&s->vf[i], IGB_IVAR,
			(VECTOR_RX | IVAR_VALID) | (VECTOR_TX | IVAR_VALID) << 8);
		igb_set(&s->vf[i], IGB_IVAR_MISC, VECTOR_BOX | IVAR_VALID);
		igb_set(&s->vf[i], IGB_EIAC, 7);
		igb_set(&s->vf[i], IGB_EIMS, 7);
	}
}

static int setup(void **state)
{
	struct switch_bench *s = calloc(1, sizeof(*s));
	struct uiommufd_device *dev;

	if (fake_device_create(&igb_model, NULL, 0, false, &dev))
		return -1;
	igb_bench_init(&s->pf, dev);
	s->pf.queue = PF_POOL;
	dev->ops.vfs(dev->model, VFS);
	for (unsigned i = 0; i < VFS; i++) {
		if (fake_device_create_vf(s->pf.dev, i, false, &dev))
			return -1;
		igb_bench_init(&s->vf[i], dev);
	}
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct switch_bench *s = *state;

	for (unsigned i = 0; i < VFS; i++)
		igb_bench_finish(&s->vf[i]);
	igb_bench_finish(&s->pf);
	free(s);
	return 0;
}

static struct igb_bench *member(struct switch_bench *s, unsigned pool)
{
	return pool < VFS ? &s->vf[pool] : &s->pf;
}

static unsigned irqs(struct igb_bench *b, unsigned vector)
{
	return atomic_load(&b->dev->irqs[vector]);
}

/* ---- frames ---------------------------------------------------------------------- */

static void make_frame(struct igb_bench *b, const uint8_t *to, const uint8_t *from,
		       uint32_t bytes, unsigned seed)
{
	igb_fill_frame(b, bytes, seed);
	memcpy(b->tx_buffer, to, 6);
	memcpy(b->tx_buffer + 6, from, 6);
	memcpy(b->tx_buffer + 12, "\x88\xb5", 2);
}

/* It is what @from has in its buffer; its own buffer is posted again. */
static void expect_frame(struct igb_bench *b, const struct igb_bench *from,
			 uint32_t bytes)
{
	struct igb_bench_desc *d = &b->rx[b->rx_at];

	igb_wait_dd(&d->w2, RX_DD);
	assert_int_equal(d->w2 & 3, RX_DD | RX_EOP);
	assert_int_equal(d->w3 & 0xffff, bytes);
	assert_memory_equal(b->rx_buffer + (size_t)b->rx_at * IGB_BUFFER_BYTES,
			    from->tx_buffer, bytes);
	d->address = IGB_RX_BUFFER + (uint64_t)b->rx_at * IGB_BUFFER_BYTES;
	d->w2 = d->w3 = 0;
	igb_queue_set(b, 0x2818, b->rx_at);
	b->rx_at = (b->rx_at + 1) % IGB_RING_ENTRIES;
}

/* Sent frames have been delivered when their descriptors are written back. */
static void expect_nothing(struct igb_bench *b)
{
	assert_int_equal(b->rx[b->rx_at].w2 & RX_DD, 0);
}

static void send_to(struct switch_bench *s, unsigned from, const uint8_t *to,
		    uint32_t bytes, unsigned seed)
{
	make_frame(member(s, from), to, addresses[from], bytes, seed);
	igb_send(member(s, from), bytes);
}

static void each_to_each(void **state)
{
	struct switch_bench *s = *state;

	start(s);
	for (unsigned n = 0; n < 400; n++) {
		unsigned from = n % 3, to = (from + 1 + n / 3 % 2) % 3;
		uint32_t bytes = 60 + n * 37 % 1400;

		send_to(s, from, addresses[to], bytes, n);
		expect_frame(member(s, to), member(s, from), bytes);
		for (unsigned i = 0; i < 3; i++)
			expect_nothing(member(s, i));
	}
	/* Nothing of it was on the wire. */
	assert_int_equal(igb_get(&s->pf, IGB_GPTC), 0);
	assert_int_equal(igb_get(&s->pf, IGB_GPRC), 0);
}

static void interrupts_and_counters_are_its_own(void **state)
{
	struct switch_bench *s = *state;

	start(s);
	send_to(s, 0, addresses[1], 100, 1);
	expect_frame(&s->vf[1], &s->vf[0], 100);
	send_to(s, 0, addresses[1], 60, 2);
	while (irqs(&s->vf[0], VECTOR_TX) < 2 || irqs(&s->vf[1], VECTOR_RX) < 2)
		sched_yield();
	assert_int_equal(irqs(&s->vf[0], VECTOR_RX), 0);
	assert_int_equal(irqs(&s->vf[1], VECTOR_TX), 0);
	for (unsigned v = 0; v < IGB_VECTORS; v++)
		assert_int_equal(irqs(&s->pf, v), 0);
	assert_int_equal(igb_get(&s->vf[0], IGB_VFGPTLBC), 2);
	assert_int_equal(igb_get(&s->vf[0], IGB_VFGOTLBC), 168);
	assert_int_equal(igb_get(&s->vf[1], IGB_VFGPRLBC), 2);
	assert_int_equal(igb_get(&s->vf[1], IGB_VFGORLBC), 168);
	assert_int_equal(igb_get(&s->vf[1], IGB_VFGPRLBC), 2);
	assert_int_equal(igb_get(&s->vf[0], IGB_VFGPTC), 0);
	/* Those of the pool's second queue: bytes 2 and 3. */
	igb_set(&s->vf[0], IGB_IVAR, (VECTOR_TX | IVAR_VALID) << 24);
	s->vf[0].queue = 1;
	igb_start_queue(&s->vf[0]);
	send_to(s, 0, addresses[1], 60, 2);
	while (irqs(&s->vf[0], VECTOR_TX) < 3)
		sched_yield();
}

static void broadcasts_reach_all_but_the_sender(void **state)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1};
	struct switch_bench *s = *state;

	start(s);
	send_to(s, 0, all, 60, 1);
	expect_frame(&s->vf[1], &s->vf[0], 60);
	expect_frame(&s->pf, &s->vf[0], 60);
	expect_nothing(&s->vf[0]);
	assert_int_equal(igb_get(&s->pf, IGB_BPTC), 1);
	/* Only to pools that take them. */
	igb_set(&s->pf, IGB_VMOLR + 4, VMOLR_AUPE);
	send_to(s, 2, all, 60, 2);
	expect_frame(&s->vf[0], &s->pf, 60);
	expect_nothing(&s->vf[1]);
	/* Multicasts by hash, for those who want it, or whoever wants all. */
	send_to(s, 0, group, 60, 3);
	igb_set(&s->pf, IGB_MTA, 1u << 16);
	igb_set(&s->pf, IGB_VMOLR + 4, VMOLR_ROMPE);
	send_to(s, 0, group, 60, 4);
	expect_frame(&s->vf[1], &s->vf[0], 60);
	igb_set(&s->pf, IGB_VMOLR + 8, VMOLR_MPME);
	send_to(s, 0, group, 60, 5);
	expect_frame(&s->vf[1], &s->vf[0], 60);
	expect_frame(&s->pf, &s->vf[0], 60);
	/* Back to the sender, too, if the switch is told so. */
	igb_set(&s->pf, IGB_DTXSWC, DTXSWC_LOOPBACK | 1u << 17);
	send_to(s, 1, group, 60, 6);
	expect_frame(&s->vf[1], &s->vf[1], 60);
	expect_frame(&s->pf, &s->vf[1], 60);
	/* Without replication there is one who gets it. */
	igb_set(&s->pf, IGB_VT_CTL, PF_POOL << 7);
	send_to(s, 0, group, 60, 7);
	expect_frame(&s->pf, &s->vf[0], 60);
	expect_nothing(&s->vf[1]);
	expect_nothing(&s->vf[0]);
}

static void strangers_are_on_the_wire(void **state)
{
	static const uint8_t stranger[6] = {2, 9, 9, 9, 9, 9};
	struct switch_bench *s = *state;

	start(s);
	igb_set(&s->pf, IGB_RCTL, RCTL_RXEN | RCTL_UPE | RCTL_SECRC);
	send_to(s, 0, stranger, 60, 1);
	assert_int_equal(igb_get(&s->vf[0], IGB_VFGPTC), 1);
	assert_int_equal(igb_get(&s->pf, IGB_GPTC), 1);
	/* From there it comes to the default pool, if it comes back. */
	igb_phy_set(&s->pf, PHY_CONTROL, 0x4140);
	send_to(s, 0, stranger, 60, 2);
	expect_frame(&s->pf, &s->vf[0], 60);
	igb_set(&s->pf, IGB_VT_CTL, PF_POOL << 7 | VT_CTL_NO_DEFAULT);
	send_to(s, 0, stranger, 60, 3);
	for (unsigned i = 0; i < 3; i++)
		expect_nothing(member(s, i));
	/* Hashed, it is for who takes that. */
	igb_phy_set(&s->pf, PHY_CONTROL, 0x0140);
	igb_set(&s->pf, IGB_UTA + 4 * 4, 1u << 16); /* 090h: bits 47 to 36 */
	igb_set(&s->pf, IGB_VMOLR + 4, VMOLR_ROPE);
	send_to(s, 0, stranger, 60, 4);
	expect_frame(&s->vf[1], &s->vf[0], 60);
	/* Without the switch all of it is on the wire. */
	igb_set(&s->pf, IGB_DTXSWC, 0);
	igb_phy_set(&s->pf, PHY_CONTROL, 0x4140);
	send_to(s, 0, addresses[1], 60, 5);
	expect_frame(&s->vf[1], &s->vf[0], 60);
	assert_int_equal(igb_get(&s->vf[1], IGB_VFGPRC), 1);
}

static void liars_are_found_out(void **state)
{
	struct switch_bench *s = *state;

	start(s);
	igb_set(&s->pf, IGB_DTXSWC, DTXSWC_LOOPBACK | 0x0303);
	send_to(s, 0, addresses[1], 60, 1);
	expect_frame(&s->vf[1], &s->vf[0], 60);
	make_frame(&s->vf[0], addresses[1], addresses[2], 60, 2);
	igb_send(&s->vf[0], 60);
	expect_nothing(&s->vf[1]);
	assert_int_equal(igb_get(&s->pf, IGB_ICR) & ICR_DOUTSYNC, ICR_DOUTSYNC);
	assert_int_equal(igb_get(&s->pf, IGB_WVBR), 1);
	assert_int_equal(igb_get(&s->pf, IGB_WVBR), 0);
	/* A tag of others, then its own. */
	make_frame(&s->vf[1], addresses[0], addresses[1], 60, 3);
	memcpy(s->vf[1].tx_buffer + 12, "\x81\x00\x00\x05", 4);
	igb_send(&s->vf[1], 60);
	assert_int_equal(igb_get(&s->pf, IGB_WVBR), 2);
	igb_set(&s->pf, IGB_VLVF + 4, 5 | 3u << 12 | VLVF_ENABLE);
	igb_send(&s->vf[1], 60);
	expect_frame(&s->vf[0], &s->vf[1], 60);
	/* The physical function may say what it likes. */
	make_frame(&s->pf, addresses[0], addresses[1], 60, 4);
	igb_send(&s->pf, 60);
	expect_frame(&s->vf[0], &s->pf, 60);
}

static void vlans_and_lengths_by_pool(void **state)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct switch_bench *s = *state;
	struct igb_bench_desc *d;

	start(s);
	igb_set(&s->pf, IGB_RCTL, RCTL_RXEN | RCTL_BAM | RCTL_SECRC | RCTL_VFE);
	igb_set(&s->pf, IGB_VFTA, 1u << 5);
	igb_set(&s->pf, IGB_VLVF + 4, 5 | 2u << 12 | VLVF_ENABLE);
	igb_set(&s->pf, IGB_VMOLR + 4, VMOLR_BAM | VMOLR_STRVLAN);
	make_frame(&s->pf, all, addresses[2], 64, 1);
	memcpy(s->pf.tx_buffer + 12, "\x81\x00\x00\x05", 4);
	igb_send(&s->pf, 64);
	d = &s->vf[1].rx[0];
	igb_wait_dd(&d->w2, RX_DD);
	assert_int_equal(d->w2 & RX_VP, RX_VP);
	assert_int_equal(d->w3, 5u << 16 | 60);
	expect_nothing(&s->vf[0]);
	s->vf[1].rx_at = 1;
	/* Untagged ones only for those that take them. */
	send_to(s, 2, all, 60, 2);
	expect_frame(&s->vf[0], &s->pf, 60);
	expect_nothing(&s->vf[1]);
	/* A length that is another pool's. */
	send_to(s, 2, addresses[0], 1600, 3);
	expect_nothing(&s->vf[0]);
	igb_set(&s->pf, IGB_VMOLR, VMOLR_AUPE | VMOLR_LPE | 1604);
	send_to(s, 2, addresses[0], 1600, 4);
	expect_frame(&s->vf[0], &s->pf, 1600);
	send_to(s, 2, addresses[0], 1601, 5);
	expect_nothing(&s->vf[0]);
}

static void pools_that_are_off(void **state)
{
	struct switch_bench *s = *state;

	start(s);
	igb_set(&s->pf, IGB_VFRE, 0xff & ~2u);
	send_to(s, 0, addresses[1], 60, 1);
	expect_nothing(&s->vf[1]);
	igb_set(&s->pf, IGB_VFTE, 0xff & ~2u);
	make_frame(&s->vf[1], addresses[0], addresses[1], 60, 2);
	s->vf[1].tx[0] = (struct igb_bench_desc){
		IGB_TX_BUFFER, 60 | 3u << 20 | TX_DEXT | TX_EOP | TX_IFCS | TX_RS, 0};
	igb_post_tx(&s->vf[1], 1);
	igb_rest(&s->pf);
	expect_nothing(&s->vf[0]);
	assert_int_equal(igb_get(&s->vf[1], 0x3810), 0);
	igb_set(&s->pf, IGB_VFTE, 0xff);
	expect_frame(&s->vf[0], &s->vf[1], 60);
}

/* ---- the mailbox ----------------------------------------------------------------- */

static void set_owner(struct igb_bench *b, uint32_t reg, uint32_t bits, bool works)
{
	igb_set(b, reg, bits);
	assert_int_equal(!!(igb_get(b, reg) & bits), works);
}

static void a_message_and_its_answer(void **state)
{
	struct switch_bench *s = *state;
	const uint32_t box = IGB_PFMAILBOX + 4;
	struct igb_bench *vf = &s->vf[1];

	assert_int_equal(igb_get(vf, IGB_VF_MAILBOX), VFMAILBOX_RSTI);
	start(s);
	igb_get(&s->pf, IGB_ICR);
	assert_int_equal(igb_get(vf, IGB_VF_MAILBOX), VFMAILBOX_RSTD);
	assert_int_equal(igb_get(vf, IGB_VF_MAILBOX), 0);
	assert_int_equal(igb_get(&s->pf, IGB_CTRL_EXT), 0);

	igb_set(&s->pf, IGB_MBVFIMR, 0xff);
	set_owner(vf, IGB_VF_MAILBOX, MAILBOX_VFU, true);
	set_owner(&s->pf, box, MAILBOX_PFU, false);
	assert_int_equal(igb_get(&s->pf, box), MAILBOX_VFU);
	for (uint32_t i = 0; i < 16; i++)
		igb_set(vf, MESSAGE + 4 * i, 0x1000 + i);
	igb_set(vf, IGB_VF_MAILBOX, VFMAILBOX_REQ);
	assert_int_equal(igb_get(&s->pf, IGB_ICR) & ICR_VMMB, ICR_VMMB);
	assert_int_equal(igb_get(&s->pf, IGB_MBVFICR), MBVFICR_REQ(1));
	igb_set(&s->pf, IGB_MBVFICR, MBVFICR_REQ(1));
	assert_int_equal(igb_get(&s->pf, IGB_MBVFICR), 0);

	set_owner(&s->pf, box, MAILBOX_PFU, true);
	set_owner(vf, IGB_VF_MAILBOX, MAILBOX_VFU, false);
	for (uint32_t i = 0; i < 16; i++) {
		assert_int_equal(igb_get(&s->pf, MESSAGE + 0x40 + 4 * i), 0x1000 + i);
		assert_int_equal(igb_get(&s->vf[0], MESSAGE + 4 * i), 0);
	}
	igb_set(&s->pf, box, PFMAILBOX_ACK | MAILBOX_PFU);
	assert_int_equal(igb_get(vf, IGB_VF_MAILBOX), VFMAILBOX_PFACK | MAILBOX_PFU);
	igb_set(&s->pf, MESSAGE + 0x40, 0x80000001);
	igb_set(&s->pf, box, PFMAILBOX_STS);
	assert_int_equal(irqs(vf, VECTOR_BOX), 2);
	assert_int_equal(irqs(&s->vf[0], VECTOR_BOX), 0);
	assert_int_equal(igb_get(vf, IGB_VF_MAILBOX), VFMAILBOX_PFSTS);
	assert_int_equal(igb_get(vf, MESSAGE), 0x80000001);
	/* Masked, it is remembered only. */
	igb_set(&s->pf, IGB_MBVFIMR, 1);
	igb_set(vf, IGB_VF_MAILBOX, VFMAILBOX_ACK);
	assert_int_equal(igb_get(&s->pf, IGB_ICR) & ICR_VMMB, 0);
	assert_int_equal(igb_get(&s->pf, IGB_MBVFICR), MBVFICR_ACK(1));
	/* One who is stuck with it. */
	set_owner(vf, IGB_VF_MAILBOX, MAILBOX_VFU, true);
	igb_set(&s->pf, box, PFMAILBOX_RVFU);
	assert_int_equal(igb_get(vf, IGB_VF_MAILBOX), 0);
	assert_int_equal(igb_get(&s->pf, IGB_MBVFICR), 0);
	/* The eighth pool has nobody. */
	igb_set(&s->pf, IGB_PFMAILBOX + 4 * 7, PFMAILBOX_STS | PFMAILBOX_ACK);
}

static void the_physical_function_resets(void **state)
{
	struct switch_bench *s = *state;

	start(s);
	igb_get(&s->vf[0], IGB_VF_MAILBOX);
	set_owner(&s->vf[0], IGB_VF_MAILBOX, MAILBOX_VFU, true);
	igb_set(&s->vf[0], MESSAGE, 77);
	igb_set(&s->pf, IGB_CTRL, CTRL_RST);
	assert_int_equal(igb_get(&s->vf[0], IGB_VF_MAILBOX), VFMAILBOX_RSTI);
	assert_int_equal(igb_get(&s->vf[0], IGB_VF_MAILBOX), VFMAILBOX_RSTI);
	assert_int_equal(igb_get(&s->vf[0], MESSAGE), 0);
	assert_int_equal(igb_get(&s->vf[0], 0x2828) & QUEUE_ENABLE, 0);
	start(s);
	assert_int_equal(igb_get(&s->vf[0], IGB_VF_MAILBOX), VFMAILBOX_RSTD);
	send_to(s, 0, addresses[1], 60, 1);
	expect_frame(&s->vf[1], &s->vf[0], 60);
}

/* ---- registers, resets ----------------------------------------------------------- */

static void queues_are_at_their_place(void **state)
{
	struct switch_bench *s = *state;

	igb_set(&s->vf[1], 0x2800, 0x12345680);
	igb_set(&s->vf[1], 0x2900, 0x22345680);
	igb_set(&s->vf[1], 0x3808, 0x1000);
	igb_set(&s->vf[1], 0x3908, 0x2000);
	assert_int_equal(igb_get(&s->pf, 0x2900), 0x12345680); /* queue 1 */
	assert_int_equal(igb_get(&s->pf, 0xc240), 0x22345680); /* queue 9 */
	assert_int_equal(igb_get(&s->pf, 0x3908), 0x1000);
	assert_int_equal(igb_get(&s->pf, 0xe248), 0x2000);
	igb_set(&s->vf[1], IGB_VF_PSRTYPE, 0x123);
	assert_int_equal(igb_get(&s->pf, IGB_PSRTYPE + 4), 0x123);
	/* No way to anybody else's, or to what is the port's. */
	for (uint32_t offset = 0; offset < 0x4000; offset += 4)
		igb_set(&s->vf[0], offset, 0xffffffff & ~CTRL_RST);
	assert_int_equal(igb_get(&s->pf, 0x2900), 0x12345680);
	assert_int_equal(igb_get(&s->pf, 0x3a00), 0);
	assert_int_equal(igb_get(&s->pf, IGB_RCTL), 0);
	assert_int_equal(igb_get(&s->pf, IGB_VFRE), 0xff & ~3u);
	assert_int_equal(igb_get(&s->vf[1], MESSAGE), 0);
	for (uint32_t offset = 0; offset < 0x4000; offset += 4)
		igb_get(&s->vf[0], offset);
}

static void a_reset_by_register(void **state)
{
	struct switch_bench *s = *state;
	struct igb_bench *vf = &s->vf[0];

	start(s);
	send_to(s, 0, addresses[1], 60, 1);
	igb_set(&s->pf, IGB_VFLRE, 0xff);
	assert_int_equal(igb_get(&s->pf, IGB_VFLRE), 0);
	igb_set(vf, MESSAGE, 77);
	set_owner(vf, IGB_VF_MAILBOX, MAILBOX_VFU, true);
	igb_set(vf, IGB_CTRL, CTRL_RST);
	while (igb_get(vf, IGB_CTRL) & CTRL_RST)
		sched_yield();
	assert_int_equal(igb_get(vf, 0x3828) | igb_get(vf, 0x2828), 0);
	assert_int_equal(igb_get(vf, 0x3800), 0);
	assert_int_equal(igb_get(vf, IGB_EIMS) | igb_get(vf, IGB_IVAR), 0);
	assert_int_equal(igb_get(vf, IGB_VF_MAILBOX), 0);
	assert_int_equal(igb_get(vf, MESSAGE), 0);
	assert_int_equal(igb_get(&s->pf, IGB_VFLRE), 1);
	assert_int_equal(igb_get(&s->pf, IGB_ICR) & ICR_VMMB, ICR_VMMB);
	assert_int_equal(igb_get(&s->pf, IGB_VFTE) & 3, 2);
	assert_int_equal(igb_get(&s->pf, IGB_VFRE) & 3, 2);
	/* It is as it was for the others. */
	send_to(s, 1, addresses[2], 60, 2);
	expect_frame(&s->pf, &s->vf[1], 60);
	assert_int_equal(igb_get(vf, IGB_STATUS),
			 STATUS_FD | STATUS_LU | STATUS_SPEED_1000);
}

/* The physical function's frames come back by the wire, whatever happens beside it. */
static void function_resets_stop_nothing_else(void **state)
{
	struct switch_bench *s = *state;
	unsigned long accesses;

	start(s);
	igb_phy_set(&s->pf, PHY_CONTROL, 0x4140);
	igb_set(&s->pf, IGB_RCTL, RCTL_RXEN | RCTL_UPE | RCTL_SECRC);
	for (unsigned n = 0; n < 200; n++) {
		struct igb_bench *vf = &s->vf[0];

		igb_set(&s->pf, IGB_VFRE, 0xff);
		igb_set(&s->pf, IGB_VFTE, 0xff);
		igb_start_queue(vf);
		make_frame(vf, addresses[1], addresses[0], 1500, n);
		for (unsigned i = 0; i < IGB_RING_ENTRIES - 1; i++)
			vf->tx[i] = (struct igb_bench_desc){
				IGB_TX_BUFFER,
				1500 | 3u << 20 | TX_DEXT | TX_EOP | TX_IFCS | TX_RS, 0};
		igb_post_tx(vf, IGB_RING_ENTRIES - 1);
		igb_fill_frame(&s->pf, 300, n);
		s->pf.tx[s->pf.tx_tail] = (struct igb_bench_desc){
			IGB_TX_BUFFER,
			300 | 3u << 20 | TX_DEXT | TX_EOP | TX_IFCS | TX_RS, 0};
		igb_post_tx(&s->pf, (s->pf.tx_tail + 1) % IGB_RING_ENTRIES);
		fake_reset(vf->dev, UIOMMUFD_RESET_FUNCTION);
		/* It does not touch its memory any more. */
		accesses = atomic_load(&vf->dev->accesses);
		igb_expect(&s->pf, 300, n);
		assert_int_equal(atomic_load(&vf->dev->accesses), accesses);
	}
}

/* ---- faults ---------------------------------------------------------------------- */

static void a_fault_stops_one_queue(void **state)
{
	struct switch_bench *s = *state;
	struct igb_bench *vf = &s->vf[0];

	start(s);
	/* What is nowhere in its own space, though it is somewhere in all others. */
	fake_unmap(vf->dev, IGB_MEMORY);
	igb_post_tx(vf, 1);
	igb_rest(&s->pf);
	assert_int_equal(igb_get(vf, 0x3810), 0);
	send_to(s, 1, addresses[2], 60, 1);
	expect_frame(&s->pf, &s->vf[1], 60);
	/* Frames for it are lost, and the sender does not notice. */
	send_to(s, 1, addresses[0], 60, 2);
	send_to(s, 2, addresses[0], 60, 3);
	fake_map(vf->dev, IGB_MEMORY, vf->memory, IGB_MEMORY_BYTES, FAKE_RW);
	igb_rest(&s->pf);
	expect_nothing(vf);
	assert_int_equal(igb_get(vf, 0x3810), 0);
	/* Enabled anew, it goes on. */
	igb_set(vf, 0x3828, 0);
	igb_set(vf, 0x2828, 0);
	igb_start_queue(vf);
	send_to(s, 0, addresses[1], 60, 4);
	expect_frame(&s->vf[1], vf, 60);
	send_to(s, 1, addresses[0], 60, 5);
	expect_frame(vf, &s->vf[1], 60);
}

static void each_masters_the_bus_by_itself(void **state)
{
	struct switch_bench *s = *state;

	start(s);
	fake_set_master(s->pf.dev, false);
	send_to(s, 0, addresses[1], 60, 1);
	expect_frame(&s->vf[1], &s->vf[0], 60);
	/* GIO master disable is of the physical function only. */
	igb_set(&s->pf, IGB_CTRL, igb_get(&s->pf, IGB_CTRL) | CTRL_GIO_MASTER_OFF);
	send_to(s, 1, addresses[0], 60, 2);
	expect_frame(&s->vf[0], &s->vf[1], 60);
	send_to(s, 1, addresses[2], 60, 3);
	expect_nothing(&s->pf);
}

/* ---- coming and going ------------------------------------------------------------ */

static void disabled_its_queues_are_the_physical_functions(void **state)
{
	struct switch_bench *s = *state;
	unsigned long accesses;

	start(s);
	send_to(s, 0, addresses[1], 60, 1);
	for (unsigned i = 0; i < VFS; i++)
		fake_reset(s->vf[i].dev, UIOMMUFD_RESET_FUNCTION);
	s->pf.dev->ops.vfs(s->pf.dev->model, 0);
	accesses = atomic_load(&s->vf[0].dev->accesses);
	igb_set(&s->pf, IGB_CTRL, CTRL_RST);
	s->pf.queue = 0;
	igb_start(&s->pf);
	for (unsigned n = 0; n < 10; n++) {
		igb_fill_frame(&s->pf, 200, n);
		igb_send(&s->pf, 200);
		igb_expect(&s->pf, 200, n);
	}
	assert_int_equal(atomic_load(&s->vf[0].dev->accesses), accesses);
	/* And back. */
	s->pf.dev->ops.vfs(s->pf.dev->model, 1);
	s->pf.queue = PF_POOL;
	start(s);
	send_to(s, 0, addresses[2], 60, 1);
	expect_frame(&s->pf, &s->vf[0], 60);
}

static void without_a_channel_nothing_moves(void **state)
{
	struct switch_bench *s = *state;
	struct igb_bench third = {0};
	struct uiommufd_device *dev;

	s->pf.dev->ops.vfs(s->pf.dev->model, 3);
	assert_int_equal(fake_device_create_vf(s->pf.dev, 2, true, &dev), 0);
	igb_bench_init(&third, dev);
	start(s);
	igb_start_queue(&third);
	igb_post_tx(&third, 1);
	send_to(s, 0, addresses[2], 60, 1);
	igb_rest(&s->pf);
	assert_int_equal(igb_get(&third, 0x3810), 0);
	assert_int_equal(igb_get(&third, 0x2810), 0);
	igb_bench_finish(&third);
	send_to(s, 0, addresses[1], 60, 2);
	expect_frame(&s->vf[1], &s->vf[0], 60);
	assert_int_not_equal(fake_device_create_vf(s->pf.dev, IGB_VFS, false, &dev), 0);
	fake_device_destroy(dev);
}

#define switch_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		switch_test(each_to_each),
		switch_test(interrupts_and_counters_are_its_own),
		switch_test(broadcasts_reach_all_but_the_sender),
		switch_test(strangers_are_on_the_wire),
		switch_test(liars_are_found_out),
		switch_test(vlans_and_lengths_by_pool),
		switch_test(pools_that_are_off),
		switch_test(a_message_and_its_answer),
		switch_test(the_physical_function_resets),
		switch_test(queues_are_at_their_place),
		switch_test(a_reset_by_register),
		switch_test(function_resets_stop_nothing_else),
		switch_test(a_fault_stops_one_queue),
		switch_test(each_masters_the_bus_by_itself),
		switch_test(disabled_its_queues_are_the_physical_functions),
		switch_test(without_a_channel_nothing_moves),
	};

	return cmocka_run_group_tests_name("igb_vf", tests, NULL, NULL);
}
