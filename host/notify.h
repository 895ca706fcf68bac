/* SPDX-License-Identifier: MIT */
/*
 * The threads that receive notified calls and answer them.
 *
 * As a rule one thread receives and serves. A round trip is fastest when it always is
 * the same, running on the CPU where the client has just stopped: with several waiting,
 * the kernel wakes them in turn, on CPUs that have gone to sleep, at several times the
 * cost. So no thread is bound to a CPU, and more join only when they are needed: a
 * monitor looks every NOTIFY_TICK_US, while there are calls, whether one waits that
 * nobody receives. A server that has to wait (for a drain, for a client that stalls its
 * own memory) thus holds up others for that long at most, up to NOTIFY_MAX_THREADS of
 * them. A thread that finds another receiving when it is done steps back.
 */
#ifndef HOST_NOTIFY_H
#define HOST_NOTIFY_H

#define NOTIFY_MAX_THREADS 512
#define NOTIFY_TICK_US     500

struct host;
struct notify;

/* Takes @listener over, also on failure. */
int notify_create(struct host *host, int listener, struct notify **out);
/*
 * Ends the threads; the clients are gone (the listener has hung up), or are to have
 * their calls refused from now on. Takes NULL.
 */
void notify_destroy(struct notify *n);

#endif
