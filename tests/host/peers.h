/* SPDX-License-Identifier: MIT */
/*
 * Two programs with devices, in processes of their own: the exporter, whose BAR is
 * mapped, and the importer, whose two engines write into it without a pause. They meet
 * through a socket (descriptors) and a page that they share (what the engines have seen).
 *
 * The BAR is mapped in one of many ways. Where it is mapped by its address, only the
 * exporter can do so: into the importer's container, which it is sent.
 */
#ifndef TESTS_HOST_PEERS_H
#define TESTS_HOST_PEERS_H

#include "client.h"

#include <pthread.h>
#include <stdatomic.h>

#include "examples/ce_driver.h"

#define ENGINES    2
#define BAR_LENGTH (32 * PAGE)

struct path;
/* The @n-th way to map; NULL: there are no more. */
const struct path *path_at(unsigned n);
const char *path_name(const struct path *path);

/* What engines have seen since they began. Shared memory. */
struct sights {
	_Atomic unsigned long arrived[ENGINES], faulted[ENGINES];
};

struct exporter {
	const struct path *path;
	int fd, iommu;
	int container; /* the importer's, and that is not kept open; -1: none */
	void *view;    /* the BAR, for those who map it by its address */
	int buf;       /* for the others; -1 */
};

/* False: somebody else has the device. @token: of a virtual function, or NULL. */
bool exporter_try_open(struct exporter *e, const char *node, const uint8_t *token);
/* Give the importer at the other end of @sock what it needs. */
void exporter_offer(struct exporter *e, const struct path *path, int sock);
/* Take the memory away, and give it back as far as it is the exporter's to do so. */
void exporter_churn(struct exporter *e);
/* Nothing is offered any more; what is mapped stays so. */
void exporter_withdraw(struct exporter *e);
void exporter_close(struct exporter *e);
void exporter_fill(struct exporter *e, uint8_t byte);
/* All of the memory is @byte. */
void exporter_check(struct exporter *e, uint8_t byte);

struct importer;
struct engine {
	struct importer *importer;
	unsigned n;
	int fd, group;
	uint32_t id; /* in the iommufd */
	uint64_t *ring;
	struct ce ce;
	pthread_t thread;
};

struct importer {
	const struct path *path;
	struct sights *seen;
	int fd; /* iommufd or container */
	int buf;
	uint32_t ioas, copy;
	uint64_t *tables; /* of a guest */
	struct engine engines[ENGINES];
	_Atomic bool stop;
};

/* False: somebody else has one of the devices. */
bool importer_try_open(struct importer *i, const struct path *path, struct sights *seen);
/* Ask the exporter at the other end of @sock, and map what it offers. */
void importer_ask(struct importer *i, int sock);
void importer_accept(struct importer *i, int sock);
/* Take the mapping away and make it anew, where that is the importer's to do. */
void importer_churn(struct importer *i);
/* 0, or -1 and errno. */
int importer_unmap(struct importer *i);
void importer_start(struct importer *i);
void importer_stop(struct importer *i);
void importer_close(struct importer *i);

#endif
