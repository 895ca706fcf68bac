/* SPDX-License-Identifier: MIT */
/*
 * The gate in front of a device model's callbacks: one thread at a time is inside.
 *
 * Two kinds of threads come to it. Those that serve clients wait as long as it takes.
 * DMA of a peer (or of the device itself, through its own BAR) must not: the peer's
 * worker may be just what some reset is waiting for, and two devices that write each
 * other's registers while both are being reset would wait for each other for ever. So a
 * peer's access is given up, as a PCI Express completion times out, when
 *  - the gate is shut: memory decoding is off, or is being taken away. Shutting it turns
 *    back at once all who wait, so a revoke or reset never waits for a queue of peers,
 *    only for the one that may be inside;
 *  - the thread is inside this gate already (DMA from a callback into the own BAR);
 *  - it has waited GATE_TIMEOUT_MS. Only models whose register callbacks wait for their
 *    workers, whose workers in turn wait for the peer's registers, get here.
 * Whoever gives up sees its transaction aborted.
 *
 * The gate's mutex is a leaf; it is not held while a callback runs.
 */
#ifndef VFIO_GATE_H
#define VFIO_GATE_H

#include <pthread.h>
#include <stdbool.h>

#define GATE_TIMEOUT_MS 1000

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool busy;
	pthread_t owner; /* while busy */
	bool shut;       /* to peers */
};

/* Born shut. -ENOMEM. */
int gate_init(struct gate *g);
void gate_finish(struct gate *g);

void gate_enter(struct gate *g);
/* False: given up. */
bool gate_enter_peer(struct gate *g);
void gate_leave(struct gate *g);

void gate_shut(struct gate *g);
void gate_open(struct gate *g);

#endif
