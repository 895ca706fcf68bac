/* SPDX-License-Identifier: MIT */
/*
 * The threads that receive notified calls and answer them.
 *
 * All receive from one listener; the kernel hands each call to one of them. A server may
 * wait (for a drain, or for a client that stalls its own memory), so there is always one
 * more thread than calls at work, up to NOTIFY_MAX_THREADS. None is bound to a CPU: a
 * round trip is fastest when the receiver runs where the client just stopped.
 */
#ifndef HOST_NOTIFY_H
#define HOST_NOTIFY_H

#define NOTIFY_MAX_THREADS 512

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
