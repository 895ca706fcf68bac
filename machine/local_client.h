/* SPDX-License-Identifier: MIT */
/*
 * The program that links the library, as a client: its memory is ours, its descriptors
 * are ours.
 */
#ifndef MACHINE_LOCAL_CLIENT_H
#define MACHINE_LOCAL_CLIENT_H

#include "uapi/client.h"

int local_client_create(struct machine *m, struct client **out);
/* Every source over its memory is gone. Takes NULL. */
void local_client_destroy(struct client *c);

/* Its open /proc/self/maps, which stays the client's. */
int local_client_maps(const struct client *c);

#endif
