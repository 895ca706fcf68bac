/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/igb_hw.h"
#include "devices/models.h"
#include "igb_bench.h"

uint32_t igb_get(struct igb_bench *b, uint32_t offset)
{
	return (uint32_t)fake_read(b->dev, 0, offset, 4);
}

void igb_set(struct igb_bench *b, uint32_t offset, uint32_t value)
{
	fake_write(b->dev, 0, offset, 4, value);
}

uint16_t igb_phy_get(struct igb_bench *b, unsigned reg)
{
	igb_set(b, IGB_MDIC, MDIC_OP_READ | PHY_ADDRESS << 21 | reg << 16);
	assert_int_equal(igb_get(b, IGB_MDIC) & (MDIC_READY | MDIC_ERROR), MDIC_READY);
	return (uint16_t)igb_get(b, IGB_MDIC);
}

void igb_phy_set(struct igb_bench *b, unsigned reg, uint16_t value)
{
	igb_set(b, IGB_MDIC, MDIC_OP_WRITE | PHY_ADDRESS << 21 | reg << 16 | value);
	assert_int_equal(igb_get(b, IGB_MDIC) & (MDIC_READY | MDIC_ERROR), MDIC_READY);
}

uint32_t igb_queue_get(struct igb_bench *b, uint32_t offset)
{
	return igb_get(b, offset + 0x100 * b->queue);
}

void igb_queue_set(struct igb_bench *b, uint32_t offset, uint32_t value)
{
	igb_set(b, offset + 0x100 * b->queue, value);
}

void igb_bench_init(struct igb_bench *b, struct uiommufd_device *dev)
{
	b->dev = dev;
	b->memory = calloc(1, IGB_MEMORY_BYTES);
	b->tx = (void *)(b->memory + (IGB_TX_RING - IGB_MEMORY));
	b->rx = (void *)(b->memory + (IGB_RX_RING - IGB_MEMORY));
	b->tx_buffer = b->memory + (IGB_TX_BUFFER - IGB_MEMORY);
	b->rx_buffer = b->memory + (IGB_RX_BUFFER - IGB_MEMORY);
	fake_map(b->dev, IGB_MEMORY, b->memory, IGB_MEMORY_BYTES, FAKE_RW);
}

void igb_bench_finish(struct igb_bench *b)
{
	fake_device_destroy(b->dev);
	free(b->memory);
}

int igb_bench_setup(void **state)
{
	struct igb_bench *b = calloc(1, sizeof(*b));
	struct uiommufd_device *dev;

	if (fake_device_create(&igb_model, NULL, 0, false, &dev))
		return -1;
	igb_bench_init(b, dev);
	*state = b;
	return 0;
}

int igb_bench_teardown(void **state)
{
	struct igb_bench *b = *state;

	igb_bench_finish(b);
	free(b);
	return 0;
}

static void post_buffer(struct igb_bench *b, uint32_t slot)
{
	b->rx[slot] = (struct igb_bench_desc){
		.address = IGB_RX_BUFFER + (uint64_t)slot * IGB_BUFFER_BYTES,
	};
}

void igb_post_buffers(struct igb_bench *b)
{
	for (uint32_t i = 0; i < IGB_RING_ENTRIES; i++)
		post_buffer(b, i);
}

void igb_start_queue(struct igb_bench *b)
{
	b->tx_tail = 0;
	b->rx_at = 0;
	igb_post_buffers(b);
	igb_queue_set(b, 0x3800, IGB_TX_RING);
	igb_queue_set(b, 0x3804, 0);
	igb_queue_set(b, 0x3808, IGB_RING_ENTRIES * 16);
	igb_queue_set(b, 0x3810, 0);
	igb_queue_set(b, 0x3818, 0);
	igb_queue_set(b, 0x3828, QUEUE_ENABLE);
	igb_queue_set(b, 0x2800, IGB_RX_RING);
	igb_queue_set(b, 0x2804, 0);
	igb_queue_set(b, 0x2808, IGB_RING_ENTRIES * 16);
	igb_queue_set(b, 0x280c, 1u << 25);
	igb_queue_set(b, 0x2810, 0);
	igb_queue_set(b, 0x2828, QUEUE_ENABLE);
	igb_queue_set(b, 0x2818, IGB_RING_ENTRIES - 1);
}

void igb_start(struct igb_bench *b)
{
	igb_set(b, IGB_CTRL, igb_get(b, IGB_CTRL) | CTRL_SLU);
	igb_phy_set(b, PHY_CONTROL, 0x4140);
	igb_start_queue(b);
	igb_set(b, IGB_RCTL, RCTL_RXEN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC);
	igb_set(b, IGB_TCTL, TCTL_EN | TCTL_PSP);
	assert_true(igb_queue_get(b, 0x3828) & igb_queue_get(b, 0x2828) & QUEUE_ENABLE);
	igb_get(b, IGB_ICR);
}

static uint8_t content(uint32_t i, unsigned seed)
{
	return i < 12 ? (uint8_t)(2 * i) : (uint8_t)(i * 7 + seed * 13);
}

void igb_fill_frame(struct igb_bench *b, uint32_t bytes, unsigned seed)
{
	for (uint32_t i = 0; i < bytes; i++)
		b->tx_buffer[i] = content(i, seed);
}

void igb_post_tx(struct igb_bench *b, uint32_t tail)
{
	b->tx_tail = tail;
	igb_queue_set(b, 0x3818, tail);
}

void igb_send_flags(struct igb_bench *b, uint32_t bytes, uint32_t flags)
{
	struct igb_bench_desc *d = &b->tx[b->tx_tail];

	*d = (struct igb_bench_desc){IGB_TX_BUFFER, bytes | 3u << 20 | TX_DEXT | flags,
				     bytes << 14};
	igb_post_tx(b, (b->tx_tail + 1) % IGB_RING_ENTRIES);
	igb_wait_dd(&d->w3, TX_DD);
}

void igb_send(struct igb_bench *b, uint32_t bytes)
{
	igb_send_flags(b, bytes, TX_EOP | TX_IFCS | TX_RS);
}

void igb_expect(struct igb_bench *b, uint32_t bytes, unsigned seed)
{
	struct igb_bench_desc *d = &b->rx[b->rx_at];
	const uint8_t *got = b->rx_buffer + (size_t)b->rx_at * IGB_BUFFER_BYTES;

	igb_wait_dd(&d->w2, RX_DD);
	assert_int_equal(d->w2 & 3, RX_DD | RX_EOP);
	assert_int_equal(d->w3 & 0xffff, bytes);
	for (uint32_t i = 0; i < bytes; i++)
		assert_int_equal(got[i], content(i, seed));
	post_buffer(b, b->rx_at);
	igb_queue_set(b, 0x2818, b->rx_at);
	b->rx_at = (b->rx_at + 1) % IGB_RING_ENTRIES;
}

void igb_wait_dd(const uint32_t *word, uint32_t bit)
{
	while (!(__atomic_load_n(word, __ATOMIC_ACQUIRE) & bit))
		sched_yield();
}

static void wait_quiet(struct igb_bench *b)
{
	uint32_t ctrl = igb_get(b, IGB_CTRL);

	igb_set(b, IGB_CTRL, ctrl | CTRL_GIO_MASTER_OFF);
	while (igb_get(b, IGB_STATUS) & STATUS_GIO_MASTER)
		sched_yield();
	igb_set(b, IGB_CTRL, ctrl);
}

void igb_settle(struct igb_bench *b)
{
	while (igb_queue_get(b, 0x3810) != igb_queue_get(b, 0x3818))
		sched_yield();
	wait_quiet(b);
}

void igb_rest(struct igb_bench *b)
{
	usleep(2000);
	wait_quiet(b);
}
