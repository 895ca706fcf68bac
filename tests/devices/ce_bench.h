/* SPDX-License-Identifier: MIT */
/*
 * The bench on which the copy engine's model is tested: it runs in its own worker behind
 * a fake machine, driven by the driver of the examples.
 *
 * The IO address space: RAM, the ring, a read-only page, and a "peer",
 * another device's BAR.
 */
#ifndef TESTS_DEVICES_CE_BENCH_H
#define TESTS_DEVICES_CE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "devices/models.h"
#include "examples/ce_driver.h"
#include "fake_device.h"

#define MIB        (UINT64_C(1) << 20)

#define RAM_IOVA   UINT64_C(0x100000000)
#define RAM_BYTES  (8 * MIB)
#define RING_IOVA  UINT64_C(0x7000)
#define RING_SIZE  16
#define PEER_IOVA  UINT64_C(0x3800000000)
#define PEER_BYTES (4 * MIB)
#define RO_IOVA    UINT64_C(0x20000)
#define NOWHERE    UINT64_C(0xdead0000)

/* RAM and the peer again, over and over: copies from one to the other do not end. */
#define ENDLESS_RAM_IOVA  (UINT64_C(1) << 50)
#define ENDLESS_PEER_IOVA (UINT64_C(1) << 51)
#define ENDLESS_BYTES     (UINT64_C(1) << 40)
#define VRAM_BYTES        (16 * MIB)

struct bench {
	struct uiommufd_device *dev;
	struct ce ce;
	uint8_t *ram, *peer, *ro, *vram;
	struct ce_desc *ring;
};

struct ce_bus bench_bus(struct bench *b);
/* (Re)start the engine on an empty ring. */
void bench_start(struct bench *b);
/* For cmocka: @state is the struct bench; its engine has been started. */
int bench_setup(void **state);
int bench_teardown(void **state);
/* One descriptor, and wait for it: as ce_wait(). */
int bench_execute(struct bench *b, const struct ce_desc *d);
void bench_wait_state(struct bench *b, enum ce_state state);
/* Until @vector was signalled @n times, and no more often. */
void bench_wait_irqs(struct bench *b, unsigned vector, unsigned n);
/* The engine has halted at descriptor @index, and the driver has read that. */
void bench_expect_halt(struct bench *b, uint32_t error, uint32_t index, uint64_t addr);
/* Have the engine begin a copy that does not end, with more behind it. */
void bench_run_long(struct bench *b);

/* The value of ERROR. */
uint32_t error_of(unsigned code, unsigned stage, bool write);

#endif
