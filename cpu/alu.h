/* SPDX-License-Identifier: MIT */
/* Arithmetic as x86 has it: a result of @size bytes, and the flags. Cannot fail. */
#ifndef CPU_ALU_H
#define CPU_ALU_H

#include <stdbool.h>
#include <stdint.h>

#define FLAG_CF  (UINT64_C(1) << 0)
#define FLAG_PF  (UINT64_C(1) << 2)
#define FLAG_AF  (UINT64_C(1) << 4)
#define FLAG_ZF  (UINT64_C(1) << 6)
#define FLAG_SF  (UINT64_C(1) << 7)
#define FLAG_DF  (UINT64_C(1) << 10)
#define FLAG_OF  (UINT64_C(1) << 11)
#define FLAG_RF  (UINT64_C(1) << 16)
#define FLAG_ALL (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

static inline uint64_t alu_mask(unsigned size)
{
	return size == 8 ? UINT64_MAX : (UINT64_C(1) << size * 8) - 1;
}

uint64_t alu_sign_extend(uint64_t value, unsigned size);

/* Operands may have bits above @size; they do not count. @carry: 0 or 1. */
uint64_t alu_add(uint64_t a, uint64_t b, unsigned carry, unsigned size, uint64_t *flags);
uint64_t alu_sub(uint64_t a, uint64_t b, unsigned borrow, unsigned size, uint64_t *flags);
/* Flags of and, or, xor, test. */
uint64_t alu_logic(uint64_t result, unsigned size, uint64_t *flags);
uint64_t alu_imul(uint64_t a, uint64_t b, unsigned size, uint64_t *flags);

enum alu_shift {
	ALU_SHL,
	ALU_SHR,
	ALU_SAR,
	ALU_ROL,
	ALU_ROR,
};
/* @count is masked as the CPU does; 0 leaves the flags alone. */
uint64_t alu_shift(enum alu_shift kind, uint64_t a, unsigned count, unsigned size,
		   uint64_t *flags);

/* The 16 conditions of jcc, setcc and cmovcc, by their number in the opcode. */
bool alu_condition(unsigned number, uint64_t flags);

#endif
