/* SPDX-License-Identifier: MIT */
/*
 * A call as data: what the generator makes, the two sides carry out, and scripts say.
 *
 * A line of a script is the name of the call and its arguments, "name=value", in any
 * order; what is left out is 0. So a line says all there is to a call, and a script
 * stays one whichever of its lines are taken out: nothing is named by a number that an
 * earlier call has answered. What a call makes goes into a slot, and later calls name
 * the slot. An empty slot is an id, or a descriptor, that never was.
 */
#ifndef TESTS_MODEL_OP_H
#define TESTS_MODEL_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum op_kind {
	/* iommufd */
	OP_CTX_OPEN,
	OP_CTX_CLOSE,
	OP_IOAS_ALLOC,
	OP_DESTROY,
	OP_RANGES,
	OP_ALLOW,
	OP_MAP,
	OP_MAP_FILE,
	OP_COPY,
	OP_UNMAP,
	OP_OPTION,
	OP_HWPT_ALLOC,
	OP_TRACK,
	OP_DIRTY_GET,
	OP_MALFORMED,
	OP_CHANGE_PROCESS,
	OP_VFIO_IOAS,
	OP_TYPE1_SET,
	OP_TYPE1_MAP,
	OP_TYPE1_UNMAP,
	/* devices */
	OP_DEV_OPEN,
	OP_DEV_CLOSE,
	OP_BIND,
	OP_ATTACH,
	OP_DETACH,
	OP_RESET,
	OP_FLR,
	OP_COMMAND,
	OP_POWER,
	OP_LOW_POWER,
	OP_EXPORT,
	OP_BUF_CLOSE,
	OP_BAR_READ,
	OP_BAR_WRITE,
	/* what a device does */
	OP_DMA_READ,
	OP_DMA_WRITE,
	OP_DMA_COPY,
	OP_DMA_FILL,
	OP_LOOK,
	/* what the program does */
	OP_CPU_WRITE,
	OP_MEMORY,
	/* the selftest's devices, accesses and buffers */
	OP_MOCK,
	OP_MOCK_REPLACE,
	OP_CHECK_MAP,
	OP_CHECK_PINS,
	OP_SET_DIRTY,
	OP_RESERVE,
	OP_ACCESS_OPEN,
	OP_ACCESS_CLOSE,
	OP_ACCESS_REPLACE,
	OP_PIN,
	OP_UNPIN,
	OP_RW,
	OP_TEST_BUF,
	OP_TEST_REVOKE,
	OP_KINDS,
};

/* Which of them a kind of call looks at, op.c says. */
struct op {
	enum op_kind kind;
	uint64_t ctx;  /* open of /dev/iommu */
	uint64_t slot; /* where what is made goes */
	uint64_t obj;  /* slot of the object that is worked on */
	uint64_t pt;   /* slot of a second one */
	uint64_t dev;  /* open of a device */
	uint64_t file; /* a descriptor: FILE_OF() */
	uint64_t flags;
	uint64_t start, length;
	uint64_t iova, iova2;
	uint64_t value, count;
	uint64_t fail; /* which point of the call fails (uiommufd_fail_nth); 0: none */
};

enum file_kind { FILE_NONE, FILE_MEM, FILE_BUF, FILE_DEV, FILE_CTX, FILE_ACCESS };
#define FILE_OF(kind, i) ((uint64_t)(kind) << 8 | (i))
#define FILE_KIND(file)  ((enum file_kind)((file) >> 8 & 0xff))
#define FILE_INDEX(file) ((unsigned)((file)&0xff))

/* What a call came to: its result, and everything it has told. */
#define OUTCOME_MAX 96
struct outcome {
	long ret;
	unsigned n;
	uint64_t v[OUTCOME_MAX];
	uint64_t any[OUTCOME_MAX]; /* in the reference's: bits that may be either */
};

static inline void tell(struct outcome *o, uint64_t v)
{
	if (o->n < OUTCOME_MAX)
		o->v[o->n] = v;
	o->n++;
}

/*
 * The descriptor that the call makes, FILE_NONE: none. Where there is one already, the
 * call is not made, and its result is -EBUSY.
 */
uint64_t op_opens(const struct op *op);

struct script {
	struct op *v;
	size_t n, cap;
};

/* May points of such calls fail? Those whose failures change nothing, in Linux. */
bool op_may_fail(enum op_kind kind);
const char *op_name(enum op_kind kind);
void script_add(struct script *s, const struct op *op);
void script_finish(struct script *s);
void script_write(FILE *f, const struct script *s);
void op_write(FILE *f, const struct op *op);
/* Lines that begin with '#' and empty ones are skipped. False: has said what is wrong. */
bool script_read(FILE *f, const char *name, struct script *out);
/* The @i-th argument that the call looks at; false: it has fewer. For the shrinker. */
bool op_argument(struct op *op, unsigned i, uint64_t **arg);

#endif
