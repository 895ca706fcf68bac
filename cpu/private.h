/* SPDX-License-Identifier: MIT */
/* Inside the room: an instruction on its way. */
#ifndef CPU_PRIVATE_H
#define CPU_PRIVATE_H

#include <Zydis/Zydis.h>

#include "cpu/alu.h"
#include "cpu/emulate.h"

struct insn {
	ZydisDecodedInstruction d;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	struct cpu_state *s; /* a copy, which counts when all has gone well */
	const struct cpu_bus *bus;
	void *arg;
	bool jumped; /* rip is where it goes on */
};

/* operands.c. Values are zero-extended; sizes are bytes. */

static inline unsigned op_size(const struct insn *in, unsigned i)
{
	return in->op[i].size / 8u;
}

static inline bool op_is_memory(const struct insn *in, unsigned i)
{
	return in->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY;
}

/* The address of a memory operand. */
uint64_t op_address(const struct insn *in, unsigned i);
/* A general register, memory of up to 8 bytes, or an immediate. */
int op_get(struct insn *in, unsigned i, uint64_t *value);
/* A general register or memory; 4 bytes of a register clear the rest of it. */
int op_put(struct insn *in, unsigned i, uint64_t value);
/* The number of a vector register, or -1. */
int op_vector(const struct insn *in, unsigned i);
/* The number of the mask register that says what is moved. */
static inline unsigned op_mask(const struct insn *in)
{
	return in->d.avx.mask.reg - ZYDIS_REGISTER_K0;
}

int load_value(struct insn *in, uint64_t va, unsigned size, uint64_t *value);
int store_value(struct insn *in, uint64_t va, unsigned size, uint64_t value);
/* A register of @size bytes by number; not ah, ch, dh or bh. */
uint64_t gpr_get(const struct insn *in, enum cpu_gpr r, unsigned size);
void gpr_put(struct insn *in, enum cpu_gpr r, unsigned size, uint64_t value);

/*
 * One of these does it: 1: not an instruction of that kind; else as cpu_emulate().
 */
int scalar_emulate(struct insn *in);
/* *@again: rip stays where it is. */
int string_emulate(struct insn *in, bool *again);
int vector_emulate(struct insn *in);
int signs_emulate(struct insn *in);
int parts_emulate(struct insn *in);
int whole_emulate(struct insn *in);
/* A move of whole registers, with a mask. */
int masked_move(struct insn *in);
/* False: not one that writes 64 bytes at once. */
bool whole_target(const struct insn *in, uint64_t *va);

#endif
