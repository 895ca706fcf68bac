/* SPDX-License-Identifier: MIT */
/*
 * Moves and arithmetic of general registers, memory and immediates.
 *
 * Whichever operand is the memory: an instruction reads its operands, then writes. The
 * memory is written before a register is, so that an error leaves nothing half done that
 * is seen by others.
 */
#include "cpu/private.h"

#include <errno.h>

static int get_two(struct insn *in, uint64_t *a, uint64_t *b)
{
	int err = op_get(in, 0, a);

	return err ? err : op_get(in, 1, b);
}

/* ---- moves ------------------------------------------------------------------------ */

static int move(struct insn *in)
{
	uint64_t v;
	int err = op_get(in, 1, &v);

	return err ? err : op_put(in, 0, v);
}

static int move_signed(struct insn *in)
{
	uint64_t v;
	int err = op_get(in, 1, &v);

	return err ? err : op_put(in, 0, alu_sign_extend(v, op_size(in, 1)));
}

static int move_swapped(struct insn *in)
{
	uint64_t v;
	int err = op_get(in, 1, &v);

	return err ? err
		   : op_put(in, 0, __builtin_bswap64(v) >> (64 - op_size(in, 1) * 8));
}

/* The load is made whether the condition holds or not. */
static int move_if(struct insn *in)
{
	uint64_t old, new;
	int err = get_two(in, &old, &new);

	if (err)
		return err;
	return op_put(in, 0, alu_condition(in->d.opcode & 15, in->s->rflags) ? new : old);
}

static int set_if(struct insn *in)
{
	return op_put(in, 0, alu_condition(in->d.opcode & 15, in->s->rflags));
}

static int push(struct insn *in)
{
	unsigned size = op_size(in, 0);
	uint64_t v;
	int err = op_get(in, 0, &v);

	if (!err)
		err = store_value(in, in->s->gpr[CPU_RSP] - size, size, v);
	in->s->gpr[CPU_RSP] -= size;
	return err;
}

/* An address that is made with rsp is made with what it is afterwards. */
static int pop(struct insn *in)
{
	unsigned size = op_size(in, 0);
	uint64_t v;
	int err = load_value(in, in->s->gpr[CPU_RSP], size, &v);

	in->s->gpr[CPU_RSP] += size;
	return err ? err : op_put(in, 0, v);
}

/* ---- arithmetic ------------------------------------------------------------------- */

static uint64_t combine(struct insn *in, uint64_t a, uint64_t b, unsigned size)
{
	uint64_t *flags = &in->s->rflags;
	unsigned carry = *flags & FLAG_CF;

	switch (in->d.mnemonic) {
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_XADD:
		return alu_add(a, b, 0, size, flags);
	case ZYDIS_MNEMONIC_ADC:
		return alu_add(a, b, carry, size, flags);
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_CMP:
		return alu_sub(a, b, 0, size, flags);
	case ZYDIS_MNEMONIC_SBB:
		return alu_sub(a, b, carry, size, flags);
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_TEST:
		return alu_logic(a & b, size, flags);
	case ZYDIS_MNEMONIC_OR:
		return alu_logic(a | b, size, flags);
	default:
		return alu_logic(a ^ b, size, flags);
	}
}

static int arithmetic(struct insn *in)
{
	uint64_t a, b;
	int err = get_two(in, &a, &b);

	return err ? err : op_put(in, 0, combine(in, a, b, op_size(in, 0)));
}

static int compare(struct insn *in)
{
	uint64_t a, b;
	int err = get_two(in, &a, &b);

	if (!err)
		combine(in, a, b, op_size(in, 0));
	return err;
}

static int unary(struct insn *in)
{
	uint64_t carry = in->s->rflags & FLAG_CF, a;
	uint64_t *flags = &in->s->rflags;
	unsigned size = op_size(in, 0);
	int err = op_get(in, 0, &a);

	if (err)
		return err;
	switch (in->d.mnemonic) {
	case ZYDIS_MNEMONIC_NOT:
		return op_put(in, 0, ~a);
	case ZYDIS_MNEMONIC_NEG:
		return op_put(in, 0, alu_sub(0, a, 0, size, flags));
	case ZYDIS_MNEMONIC_INC:
		a = alu_add(a, 1, 0, size, flags);
		break;
	default:
		a = alu_sub(a, 1, 0, size, flags);
		break;
	}
	/* These two leave the carry as it was. */
	*flags = (*flags & ~FLAG_CF) | carry;
	return op_put(in, 0, a);
}

static int shift(struct insn *in, enum alu_shift kind)
{
	uint64_t a, count;
	int err = get_two(in, &a, &count);

	if (err)
		return err;
	return op_put(in, 0,
		      alu_shift(kind, a, (unsigned)count & 0xff, op_size(in, 0),
				&in->s->rflags));
}

/* Of two operands (a *= b) or three (a = b * c). */
static int multiply(struct insn *in)
{
	unsigned first = in->d.operand_count_visible == 3;
	uint64_t a, b;
	int err;

	if (in->d.operand_count_visible < 2)
		return -EOPNOTSUPP;
	err = op_get(in, first, &a);
	if (!err)
		err = op_get(in, first + 1, &b);
	if (err)
		return err;
	return op_put(in, 0, alu_imul(a, b, op_size(in, 0), &in->s->rflags));
}

/* ---- bits ------------------------------------------------------------------------- */

/* An offset in a register reaches beyond the operand, either way. */
static uint64_t bit_address(const struct insn *in, uint64_t bit, unsigned size)
{
	int64_t offset = (int64_t)alu_sign_extend(bit, size);

	if (in->op[1].type != ZYDIS_OPERAND_TYPE_REGISTER)
		offset = 0;
	/* Rounds down; the width of an operand in bits is a power of two. */
	return op_address(in, 0) + (uint64_t)((offset >> __builtin_ctz(size * 8)) * size);
}

static int bit(struct insn *in)
{
	unsigned size = op_size(in, 0);
	uint64_t which, va, value, one;
	int err;

	if (!op_is_memory(in, 0))
		return -EOPNOTSUPP;
	err = op_get(in, 1, &which);
	if (err)
		return err;
	va = bit_address(in, which, size);
	err = load_value(in, va, size, &value);
	if (err)
		return err;
	one = UINT64_C(1) << (which & (size * 8 - 1));
	in->s->rflags = (in->s->rflags & ~FLAG_CF) | (value & one ? FLAG_CF : 0);
	switch (in->d.mnemonic) {
	case ZYDIS_MNEMONIC_BTS:
		return store_value(in, va, size, value | one);
	case ZYDIS_MNEMONIC_BTR:
		return store_value(in, va, size, value & ~one);
	case ZYDIS_MNEMONIC_BTC:
		return store_value(in, va, size, value ^ one);
	default:
		return 0;
	}
}

/* ---- exchanges -------------------------------------------------------------------- */

/* The memory may be either of the two. */
static int exchange(struct insn *in)
{
	unsigned memory = op_is_memory(in, 1), other = !memory;
	uint64_t v[2];
	int err = get_two(in, &v[0], &v[1]);

	if (!err)
		err = op_put(in, memory, v[other]);
	return err ? err : op_put(in, other, v[memory]);
}

static int exchange_add(struct insn *in)
{
	uint64_t a, b;
	int err = get_two(in, &a, &b);

	if (!err)
		err = op_put(in, 0, combine(in, a, b, op_size(in, 0)));
	return err ? err : op_put(in, 1, a);
}

/* The memory is written in any case, if only with what it holds. */
static int compare_exchange(struct insn *in)
{
	unsigned size = op_size(in, 0);
	uint64_t old, new;
	int err = get_two(in, &old, &new);

	if (err)
		return err;
	if (!alu_sub(gpr_get(in, CPU_RAX, size), old, 0, size, &in->s->rflags))
		return op_put(in, 0, new);
	err = op_put(in, 0, old);
	if (!err)
		gpr_put(in, CPU_RAX, size, old);
	return err;
}

/* ----------------------------------------------------------------------------------- */

int scalar_emulate(struct insn *in)
{
	switch (in->d.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVNTI:
	case ZYDIS_MNEMONIC_MOVDIRI:
		return move(in);
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		return move_signed(in);
	case ZYDIS_MNEMONIC_MOVBE:
		return move_swapped(in);
	case ZYDIS_MNEMONIC_PUSH:
		return push(in);
	case ZYDIS_MNEMONIC_POP:
		return pop(in);
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_ADC:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_SBB:
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_XOR:
		return arithmetic(in);
	case ZYDIS_MNEMONIC_CMP:
	case ZYDIS_MNEMONIC_TEST:
		return compare(in);
	case ZYDIS_MNEMONIC_INC:
	case ZYDIS_MNEMONIC_DEC:
	case ZYDIS_MNEMONIC_NEG:
	case ZYDIS_MNEMONIC_NOT:
		return unary(in);
	case ZYDIS_MNEMONIC_SHL:
		return shift(in, ALU_SHL);
	case ZYDIS_MNEMONIC_SHR:
		return shift(in, ALU_SHR);
	case ZYDIS_MNEMONIC_SAR:
		return shift(in, ALU_SAR);
	case ZYDIS_MNEMONIC_ROL:
		return shift(in, ALU_ROL);
	case ZYDIS_MNEMONIC_ROR:
		return shift(in, ALU_ROR);
	case ZYDIS_MNEMONIC_IMUL:
		return multiply(in);
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		return bit(in);
	case ZYDIS_MNEMONIC_XCHG:
		return exchange(in);
	case ZYDIS_MNEMONIC_XADD:
		return exchange_add(in);
	case ZYDIS_MNEMONIC_CMPXCHG:
		return compare_exchange(in);
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
	case ZYDIS_MNEMONIC_CLDEMOTE:
		return 0;
	default:
		break;
	}
	if (in->d.meta.category == ZYDIS_CATEGORY_CMOV)
		return move_if(in);
	if (in->d.meta.category == ZYDIS_CATEGORY_SETCC)
		return set_if(in);
	return 1;
}
