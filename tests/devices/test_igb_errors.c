/* SPDX-License-Identifier: MIT */
/*
 * The 82576 model when things go wrong: memory that is not there or goes away under DMA,
 * resets of both kinds and queues disabled while frames flow, and registers full of
 * garbage. Random choices come from a seed that is printed.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/igb_hw.h"
#include "devices/models.h"
#include "igb_bench.h"

#define ENDLESS 0x8000000000u

static void nothing_without_memory(void **state)
{
	struct igb_bench *b = *state;
	struct uiommufd_device *dev;

	/* A device that could not be set up does nothing, and survives it. */
	assert_int_equal(fake_device_create(&igb_model, NULL, 0, true, &dev), 0);
	fake_write(dev, 0, IGB_TCTL, 4, TCTL_EN);
	fake_write(dev, 0, 0x3828, 4, QUEUE_ENABLE);
	fake_write(dev, 0, 0x3818, 4, 7);
	fake_reset(dev, UIOMMUFD_RESET_FUNCTION);
	fake_device_destroy(dev);
	/* Nor one that is not enabled, or has no ring. */
	igb_set(b, IGB_TCTL, TCTL_EN);
	igb_set(b, 0x3828, QUEUE_ENABLE);
	igb_set(b, 0x3818, 7);
	igb_rest(b);
	assert_int_equal(igb_get(b, 0x3810), 0);
	assert_int_equal(b->dev->accesses, 0);
}

/* What cannot be read stops the queue until it is enabled again. */
static void a_read_fault_stops_the_queue(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	b->tx[0] = (struct igb_bench_desc){
		0xdead0000, 60 | 3u << 20 | TX_DEXT | TX_EOP | TX_IFCS | TX_RS, 0};
	igb_post_tx(b, 1);
	while (b->dev->accesses < 2)
		sched_yield();
	igb_rest(b);
	assert_int_equal(igb_get(b, 0x3810), 0);
	b->tx[0].address = IGB_TX_BUFFER;
	igb_post_tx(b, 1);
	igb_rest(b);
	assert_int_equal(igb_get(b, 0x3810), 0);
	igb_set(b, 0x3828, 0);
	igb_set(b, 0x3828, QUEUE_ENABLE);
	igb_wait_dd(&b->tx[0].w3, TX_DD);
	/* And a receive queue whose descriptors are nowhere takes no frames. */
	igb_settle(b);
	igb_set(b, 0x2800, 0xdead0000);
	igb_get(b, IGB_MPC);
	igb_fill_frame(b, 60, 1);
	igb_send(b, 60);
	igb_send(b, 60);
	igb_settle(b);
	assert_int_equal(igb_get(b, IGB_MPC), 1);
	assert_int_equal(igb_get(b, 0x2810), 1);
}

/* Writes are posted: nobody notices that they go nowhere. */
static void a_write_fault_is_not_noticed(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	b->rx[0].address = 0xdead0000;
	igb_fill_frame(b, 60, 1);
	igb_send(b, 60);
	igb_wait_dd(&b->rx[0].w2, RX_DD);
	b->rx_at = 1;
	igb_fill_frame(b, 60, 2);
	igb_send(b, 60);
	igb_expect(b, 60, 2);
}

static void tails_outside_the_ring(void **state)
{
	struct igb_bench *b = *state;

	igb_start(b);
	igb_set(b, 0x3818, IGB_RING_ENTRIES);
	igb_rest(b);
	assert_int_equal(igb_get(b, 0x3810), 0);
	igb_set(b, 0x3818, 0xffff);
	igb_rest(b);
	assert_int_equal(igb_get(b, 0x3810), 0);
	igb_set(b, 0x3818, 0);
	igb_fill_frame(b, 60, 3);
	igb_send(b, 60);
	igb_expect(b, 60, 3);
}

/* ---- while frames flow ------------------------------------------------------------ */

static void wait_reset(struct igb_bench *b)
{
	while (!(igb_get(b, IGB_EECD) & EECD_AUTO_RD))
		sched_yield();
}

/* Descriptors without end: every slot sends, and every slot receives. */
static void flow(struct igb_bench *b)
{
	wait_reset(b);
	igb_start(b);
	for (uint32_t i = 0; i < IGB_RING_ENTRIES; i++)
		b->tx[i] = (struct igb_bench_desc){IGB_TX_BUFFER,
						   1500 | 3u << 20 | TX_DEXT | TX_EOP |
							   TX_IFCS | TX_RS,
						   1500u << 14};
	igb_fill_frame(b, 1500, 1);
}

/* Hand everything over again, so that the engine is never at its end for long. */
static void push(struct igb_bench *b)
{
	uint32_t head = igb_get(b, 0x3810), rx = igb_get(b, 0x2810);

	if (head < IGB_RING_ENTRIES)
		igb_set(b, 0x3818, (head + IGB_RING_ENTRIES - 1) % IGB_RING_ENTRIES);
	if (rx < IGB_RING_ENTRIES)
		igb_set(b, 0x2818, (rx + IGB_RING_ENTRIES - 1) % IGB_RING_ENTRIES);
}

/* The same, and the engine is at it. */
static void push_until_busy(struct igb_bench *b)
{
	push(b);
	while (!igb_get(b, 0x3810))
		sched_yield();
}

/* No DMA any more, though there is all that it takes. */
static void check_quiet(struct igb_bench *b)
{
	unsigned long accesses = b->dev->accesses;

	usleep(1000);
	assert_int_equal(b->dev->accesses, accesses);
}

static void resets_under_load(void **state)
{
	struct igb_bench *b = *state;

	for (unsigned n = 0; n < 200; n++) {
		flow(b);
		if (n % 4 < 2)
			push_until_busy(b);
		else
			push(b);
		if (n & 1) {
			fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
		} else {
			igb_set(b, IGB_CTRL, igb_get(b, IGB_CTRL) | CTRL_RST);
			wait_reset(b);
			assert_false(igb_get(b, IGB_CTRL) & CTRL_RST);
		}
		check_quiet(b);
		assert_int_equal(igb_get(b, 0x3810), 0);
		assert_int_equal(igb_get(b, 0x3808), 0);
		assert_int_equal(igb_get(b, IGB_TCTL), 0);
	}
	flow(b);
	igb_fill_frame(b, 100, 9);
	igb_send(b, 100);
	igb_expect(b, 100, 9);
}

/* When a queue says that it is off, it touches its memory and registers no more. */
static void queues_drain(void **state)
{
	struct igb_bench *b = *state;

	for (unsigned n = 0; n < 200; n++) {
		flow(b);
		push_until_busy(b);
		igb_set(b, 0x3828, 0);
		igb_set(b, 0x3810, 0);
		while (igb_get(b, 0x3828) & QUEUE_ENABLE)
			sched_yield();
		check_quiet(b);
		assert_int_equal(igb_get(b, 0x3810), 0);
	}
}

/* With the engine held in the middle of an access, until released. */
static void hold_in_access(struct igb_bench *b)
{
	unsigned long before = b->dev->accesses;

	pthread_rwlock_wrlock(&b->dev->space);
	push(b);
	while (b->dev->accesses == before)
		sched_yield();
}

static void release(struct igb_bench *b)
{
	pthread_rwlock_unlock(&b->dev->space);
}

static void what_is_asked_for_waits_for_the_job(void **state)
{
	struct igb_bench *b = *state;

	flow(b);
	hold_in_access(b);
	igb_set(b, IGB_CTRL, igb_get(b, IGB_CTRL) | CTRL_RST);
	assert_true(igb_get(b, IGB_CTRL) & CTRL_RST);
	assert_false(igb_get(b, IGB_EECD) & EECD_AUTO_RD);
	assert_int_equal(igb_get(b, 0x3800), IGB_TX_RING);
	/* Nothing gets in meanwhile. */
	igb_set(b, 0x3800, 0);
	assert_int_equal(igb_get(b, 0x3800), IGB_TX_RING);
	release(b);
	wait_reset(b);
	check_quiet(b);
	assert_int_equal(igb_get(b, 0x3800), 0);

	flow(b);
	hold_in_access(b);
	igb_set(b, 0x3828, 0);
	igb_set(b, 0x3810, 0);
	assert_true(igb_get(b, 0x3828) & QUEUE_ENABLE);
	igb_set(b, IGB_CTRL, igb_get(b, IGB_CTRL) | CTRL_GIO_MASTER_OFF);
	assert_true(igb_get(b, IGB_STATUS) & STATUS_GIO_MASTER);
	release(b);
	while (igb_get(b, 0x3828) & QUEUE_ENABLE)
		sched_yield();
	assert_false(igb_get(b, IGB_STATUS) & STATUS_GIO_MASTER);
	check_quiet(b);
	assert_int_equal(igb_get(b, 0x3810), 0);
}

static void *unmap_and_map(void *arg)
{
	struct igb_bench *b = arg;

	for (unsigned n = 0; n < 300; n++) {
		fake_unmap(b->dev, IGB_MEMORY);
		memset(b->rx_buffer, (int)n, 4096);
		fake_map(b->dev, IGB_MEMORY, b->memory, IGB_MEMORY_BYTES, FAKE_RW);
		sched_yield();
	}
	return NULL;
}

static void memory_comes_and_goes(void **state)
{
	struct igb_bench *b = *state;
	pthread_t thread;

	flow(b);
	pthread_create(&thread, NULL, unmap_and_map, b);
	for (unsigned n = 0; n < 3000; n++) {
		push(b);
		if (n % 16 == 0) {
			igb_set(b, 0x3828, 0);
			igb_set(b, 0x2828, 0);
			igb_set(b, 0x3828, QUEUE_ENABLE);
			igb_set(b, 0x2828, QUEUE_ENABLE);
		}
	}
	pthread_join(thread, NULL);
	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
	igb_start(b);
	igb_fill_frame(b, 100, 9);
	igb_send(b, 100);
	igb_expect(b, 100, 9);
}

/* ---- garbage ---------------------------------------------------------------------- */

static uint32_t pick_offset(unsigned *seed)
{
	static const uint32_t hot[] = {
		IGB_CTRL, IGB_RCTL, IGB_TCTL, IGB_MDIC, IGB_ICS,   IGB_IMS, IGB_ICR,
		IGB_EICS, IGB_EIMS, IGB_GPIE, IGB_MRQC, IGB_RLPML, IGB_VET, IGB_IVAR,
	};
	unsigned r = (unsigned)rand_r(seed);

	switch (r & 3) {
	case 0:
		return hot[(r >> 2) % (sizeof(hot) / sizeof(hot[0]))];
	case 1:
		return (r >> 2 & 1 ? 0x2800 : 0x3800) + (r >> 3 & 3) * 0x100 +
		       (r >> 5 & 15) * 4;
	default:
		return (r >> 2) % IGB_REGS_BYTES & ~3u;
	}
}

static void garbage(void **state)
{
	struct igb_bench *b = *state;
	const char *given = getenv("TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);

	print_message("TEST_SEED=%u\n", seed);
	fake_map_endless(b->dev, ENDLESS, b->memory, IGB_MEMORY_BYTES);
	flow(b);
	for (unsigned n = 0; n < 40000; n++) {
		uint32_t offset = pick_offset(&seed),
			 value = (uint32_t)rand_r(&seed) * 2u;

		if (n % 500 == 0)
			flow(b);
		if (n % 5 == 0)
			push(b);
		if (offset == IGB_CTRL && n % 8)
			value &= ~(CTRL_RST | CTRL_GIO_MASTER_OFF);
		if (value & 1 << 9)
			igb_get(b, offset);
		else
			igb_set(b, offset, value);
	}
	fake_reset(b->dev, UIOMMUFD_RESET_FUNCTION);
	igb_start(b);
	igb_fill_frame(b, 100, 9);
	igb_send(b, 100);
	igb_expect(b, 100, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		igb_test(nothing_without_memory),
		igb_test(a_read_fault_stops_the_queue),
		igb_test(a_write_fault_is_not_noticed),
		igb_test(tails_outside_the_ring),
		igb_test(resets_under_load),
		igb_test(queues_drain),
		igb_test(what_is_asked_for_waits_for_the_job),
		igb_test(memory_comes_and_goes),
		igb_test(garbage),
	};

	return cmocka_run_group_tests_name("igb_errors", tests, NULL, NULL);
}
