/* SPDX-License-Identifier: MIT */
/*
 * The other side: calls as a program makes them, through the library, on a machine of
 * its own. It keeps descriptors, ids and nothing else.
 */
#ifndef TESTS_MODEL_EXEC_H
#define TESTS_MODEL_EXEC_H

#include "tests/model/op.h"
#include "tests/model/world.h"
#include "uiommufd/uiommufd.h"

struct exec_device {
	struct uiommufd_device *dev;
	struct uiommufd_channel *channel;
	uint64_t resets[NRESETS];
	/* From the first time that it is bound. */
	uint64_t bar_offset, config_offset;
	unsigned pm, express; /* where its capabilities are */
};

struct exec {
	struct uiommufd_machine *machine;
	int ctx[NCTX], dev[NDEV_FILES], buf[NBUFS], access[NACCESSES];
	uint32_t slot[NSLOTS];
	struct exec_device device[NDEVS];
	/* The program's. */
	int file[NFILES_MEM];
	uint8_t *file_bytes[NFILES_MEM];
	uint8_t *client, *reserved;
};

/* A machine, and memory as at the start of the world. False: it has said why not. */
bool exec_start(struct exec *x);
/* Closes everything; answers how many descriptors the machine still knows. */
int exec_finish(struct exec *x);
void exec_call(struct exec *x, const struct op *op, struct outcome *out);

/* ---- inside ------------------------------------------------------------------ */

extern const struct uiommufd_model exec_model;

/* What FILE_OF() names; NO_FD: it is closed. */
int exec_fd(const struct exec *x, uint64_t file);
int *exec_fd_slot(struct exec *x, uint64_t file);
uint32_t exec_slot(const struct exec *x, uint64_t slot);
void exec_set_slot(struct exec *x, uint64_t slot, uint32_t id);
/* The call on the iommufd; its result is the outcome's. */
long exec_iommu(struct exec *x, const struct op *op, unsigned long cmd, void *arg,
		struct outcome *out);
void *exec_client(const struct exec *x, uint64_t start);

void exec_iommufd(struct exec *x, const struct op *op, struct outcome *out);
void exec_device(struct exec *x, const struct op *op, struct outcome *out);
void exec_dma(struct exec *x, const struct op *op, struct outcome *out);
void exec_selftest(struct exec *x, const struct op *op, struct outcome *out);

#endif
