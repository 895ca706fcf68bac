/* SPDX-License-Identifier: MIT */
/*
 * The bench on which the I/OAT model is tested: it runs in its own workers behind a fake
 * machine, driven as drivers do: a ring of linked descriptors, and DMACOUNT.
 */
#ifndef TESTS_DEVICES_IOAT_BENCH_H
#define TESTS_DEVICES_IOAT_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "devices/models.h"
#include "fake_device.h"

#define MIB        (UINT64_C(1) << 20)
#define RAM_IOVA   UINT64_C(0x100000000)
#define RAM_BYTES  (4 * MIB)
#define RING_IOVA  UINT64_C(0x7000)
#define RING_SIZE  16
#define PEER_IOVA  UINT64_C(0x3800000000)
#define PEER_BYTES (4 * MIB)
#define RO_IOVA    UINT64_C(0x20000)
#define NOWHERE    UINT64_C(0xdead0000)
#define DONE_IOVA  UINT64_C(0x30040) /* where completions go */

#define CHANNELS   2

/* Registers of the device, and of channel 0. */
enum {
	R_CHANCNT = 0x00,
	R_XFERCAP = 0x01,
	R_INTRCTRL = 0x03,
	R_ATTNSTATUS = 0x04,
	R_CBVER = 0x08,
	R_INTRDELAY = 0x0c,
	R_DMACAP = 0x10,
	R_CHANCTRL = 0x80,
	R_DMACOMP = 0x82,
	R_CHANCMD = 0x84,
	R_DMACOUNT = 0x86,
	R_CHANSTS = 0x88,
	R_CHAINADDR = 0x90,
	R_CHANCMP = 0x98,
	R_CDAR = 0xa0,
	R_CHANERR = 0xa8,
	R_CHANERRMASK = 0xac,
};

enum { ACTIVE, IDLE, SUSPENDED, HALTED, ARMED };

enum {
	CTL_INT = 1 << 0,
	CTL_COMPLETION = 1 << 3,
	CTL_NULL = 1 << 5,
	CTL_FILL = 1 << 24,
};

struct ring_desc {
	uint32_t size, control;
	uint64_t src, dst, next, unused[4];
};

struct bench {
	struct uiommufd_device *dev;
	uint8_t *ram, *peer, *ro;
	struct ring_desc *ring;
	uint64_t *done;   /* the page that DONE_IOVA lies in */
	unsigned channel; /* that the functions below drive */
	uint16_t head;    /* descriptors submitted */
};

/* For cmocka: @state is a struct bench, whose channel 0 has been started. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* @offset: of channel 0's register; the bench's channel is meant. */
uint64_t reg(struct bench *b, unsigned offset, unsigned size);
void set_reg(struct bench *b, unsigned offset, unsigned size, uint64_t value);

/* CHANCMD.RESET, and an empty ring: armed. */
void bench_start(struct bench *b);
/* Put a descriptor into the ring, tell nobody. */
void bench_add(struct bench *b, uint32_t control, uint64_t dst, uint64_t src,
	       uint32_t size);
/* Write DMACOUNT. */
void bench_ring(struct bench *b);
/* Until the state is none of ACTIVE's; answers it. */
unsigned bench_wait(struct bench *b);
unsigned bench_execute(struct bench *b, uint32_t control, uint64_t dst, uint64_t src,
		       uint32_t size);
void bench_wait_irqs(struct bench *b, unsigned vector, unsigned n);
/* Start anew, and have the channel begin 65535 copies of 1 MiB. */
void bench_run_long(struct bench *b);
uint64_t desc_iova(unsigned n);

#endif
