/* SPDX-License-Identifier: MIT */
/*
 * A bench for the 82576 model: the device, memory behind its IOVAs, and what a driver
 * does to bring up queue 0 in PHY loopback. Nothing here waits for a time; what does not
 * come is waited for until the test's own limit.
 */
#ifndef TESTS_DEVICES_IGB_BENCH_H
#define TESTS_DEVICES_IGB_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_device.h"

#define IGB_MEMORY       0x10000000u /* the IOVA of the memory */
#define IGB_MEMORY_BYTES 0x100000u
#define IGB_RING_ENTRIES 64u
#define IGB_TX_RING      (IGB_MEMORY + 0x1000)
#define IGB_RX_RING      (IGB_MEMORY + 0x2000)
#define IGB_TX_BUFFER    (IGB_MEMORY + 0x10000)
#define IGB_RX_BUFFER    (IGB_MEMORY + 0x40000)
#define IGB_BUFFER_BYTES 2048u

/* A descriptor: an address, and two words that mean what the ring makes of them. */
struct igb_bench_desc {
	uint64_t address;
	uint32_t w2, w3;
};

/* Its driver uses one queue of each kind. */
struct igb_bench {
	struct uiommufd_device *dev;
	unsigned queue; /* below 4 */
	uint8_t *memory;
	struct igb_bench_desc *tx, *rx;
	uint8_t *tx_buffer, *rx_buffer;
	uint32_t tx_tail, rx_at;
};

/* Memory for a device; and the end of both. */
void igb_bench_init(struct igb_bench *b, struct uiommufd_device *dev);
void igb_bench_finish(struct igb_bench *b);
int igb_bench_setup(void **state);
int igb_bench_teardown(void **state);
#define igb_test(f)                                                                      \
	cmocka_unit_test_setup_teardown(f, igb_bench_setup, igb_bench_teardown)

uint32_t igb_get(struct igb_bench *b, uint32_t offset);
void igb_set(struct igb_bench *b, uint32_t offset, uint32_t value);
uint16_t igb_phy_get(struct igb_bench *b, unsigned reg);
void igb_phy_set(struct igb_bench *b, unsigned reg, uint16_t value);

/*
 * Link up in PHY loopback, promiscuous, queue 0 with advanced descriptors, and all
 * receive buffers but one posted.
 */
void igb_start(struct igb_bench *b);
/* The same of the queue only: rings and buffers. */
void igb_start_queue(struct igb_bench *b);
/* Registers of the queue: as they are called of queue 0. */
uint32_t igb_queue_get(struct igb_bench *b, uint32_t offset);
void igb_queue_set(struct igb_bench *b, uint32_t offset, uint32_t value);
/* Receive buffers [0, entries) as the driver posts them. */
void igb_post_buffers(struct igb_bench *b);
/* Content that depends on @seed; the addresses are unicast. */
void igb_fill_frame(struct igb_bench *b, uint32_t bytes, unsigned seed);
/* One advanced descriptor over the transmit buffer. The first returns when it is done. */
void igb_send(struct igb_bench *b, uint32_t bytes);
void igb_send_flags(struct igb_bench *b, uint32_t bytes, uint32_t flags);
/* The transmit tail. */
void igb_post_tx(struct igb_bench *b, uint32_t tail);
/* The next frame is the one of @seed; its buffer is posted again. */
void igb_expect(struct igb_bench *b, uint32_t bytes, unsigned seed);
/* Until a bit shows that the device writes. */
void igb_wait_dd(const uint32_t *word, uint32_t bit);
/* Until the transmit ring is empty and the worker is quiet. */
void igb_settle(struct igb_bench *b);
/* Some time for the worker to do what it should not, and until it is quiet. */
void igb_rest(struct igb_bench *b);

#endif
