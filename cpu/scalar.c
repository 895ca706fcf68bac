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
#include <string.h>

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

	err = op_get(in, first, &a);
	if (!err)
		err = op_get(in, first + 1, &b);
	if (err)
		return err;
	return op_put(in, 0, alu_imul(a, b, op_size(in, 0), &in->s->rflags));
}

/* Of rax by one operand, into rdx and rax. */
static int multiply_wide(struct insn *in, bool is_signed)
{
	unsigned size = op_size(in, 0), bits = size * 8;
	unsigned __int128 product;
	uint64_t b, low, high;
	bool over;
	int err = op_get(in, 0, &b);

	if (err)
		return err;
	low = gpr_get(in, CPU_RAX, size);
	if (is_signed)
		product = (unsigned __int128)((__int128)(int64_t)alu_sign_extend(low,
										 size) *
					      (int64_t)alu_sign_extend(b, size));
	else
		product = (unsigned __int128)low * b;
	low = (uint64_t)product & alu_mask(size);
	high = (uint64_t)(product >> bits) & alu_mask(size);
	over = is_signed ? high != (alu_sign_extend(low, size) >> 63 ? alu_mask(size) : 0)
			 : high != 0;
	in->s->rflags &= ~(uint64_t)(FLAG_CF | FLAG_OF);
	in->s->rflags |= over ? FLAG_CF | FLAG_OF : 0;
	if (size == 1) {
		gpr_put(in, CPU_RAX, 2, high << 8 | low);
		return 0;
	}
	gpr_put(in, CPU_RAX, size, low);
	gpr_put(in, CPU_RDX, size, high);
	return 0;
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

static void set_flag(struct insn *in, uint64_t flag, bool on)
{
	in->s->rflags = (in->s->rflags & ~flag) | (on ? flag : 0);
}

/* bsf and bsr: of zero the destination stays what it is. */
static int scan(struct insn *in, bool from_top)
{
	uint64_t v;
	int err = op_get(in, 1, &v);

	if (err)
		return err;
	set_flag(in, FLAG_ZF, !v);
	if (!v)
		return 0;
	return op_put(
		in, 0,
		(uint64_t)(from_top ? 63 - __builtin_clzll(v) : __builtin_ctzll(v)));
}

/* lzcnt and tzcnt: of zero the answer is how many bits there are. */
static int count_zeroes(struct insn *in, bool from_top)
{
	unsigned bits = op_size(in, 1) * 8, n = bits;
	uint64_t v;
	int err = op_get(in, 1, &v);

	if (err)
		return err;
	if (v)
		n = (unsigned)(from_top ? __builtin_clzll(v) - (64 - (int)bits)
					: __builtin_ctzll(v));
	set_flag(in, FLAG_CF, !v);
	set_flag(in, FLAG_ZF, !n);
	return op_put(in, 0, n);
}

static int count_ones(struct insn *in)
{
	uint64_t v;
	int err = op_get(in, 1, &v);

	if (err)
		return err;
	in->s->rflags &= ~(uint64_t)FLAG_ALL;
	set_flag(in, FLAG_ZF, !v);
	return op_put(in, 0, (uint64_t)__builtin_popcountll(v));
}

/* Without flags, by a count in a register or an immediate. */
static int shift_quietly(struct insn *in, enum alu_shift kind)
{
	uint64_t flags = in->s->rflags, a, count;
	unsigned size = op_size(in, 0);
	int err = op_get(in, 1, &a);

	if (!err)
		err = op_get(in, 2, &count);
	if (err)
		return err;
	a = alu_shift(kind, a, (unsigned)count & (size == 8 ? 63 : 31), size, &flags);
	return op_put(in, 0, a);
}

static int and_not(struct insn *in)
{
	uint64_t a, b;
	int err = op_get(in, 1, &a);

	if (!err)
		err = op_get(in, 2, &b);
	if (err)
		return err;
	return op_put(in, 0, alu_logic(~a & b, op_size(in, 0), &in->s->rflags));
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

/* cmpxchg8b and cmpxchg16b: of rdx:rax with rcx:rbx, in one access each way. */
static int compare_exchange_pair(struct insn *in)
{
	unsigned size = op_size(in, 0), half = size / 2;
	uint64_t va = op_address(in, 0);
	unsigned char old[16], want[16], new[16];
	uint64_t *g = in->s->gpr;
	int err = in->bus->load(in->arg, va, old, size);
	bool same;

	if (err)
		return err;
	memcpy(want, &g[CPU_RAX], half);
	memcpy(want + half, &g[CPU_RDX], half);
	memcpy(new, &g[CPU_RBX], half);
	memcpy(new + half, &g[CPU_RCX], half);
	same = !memcmp(old, want, size);
	err = in->bus->store(in->arg, va, same ? new : old, size);
	if (err)
		return err;
	set_flag(in, FLAG_ZF, same);
	if (!same) {
		uint64_t v[2] = {0};

		memcpy(&v[0], old, half);
		memcpy(&v[1], old + half, half);
		gpr_put(in, CPU_RAX, half, v[0]);
		gpr_put(in, CPU_RDX, half, v[1]);
	}
	return 0;
}

/* ---- jumps ------------------------------------------------------------------------- */

/* Near ones, to where memory says. */
static int jump(struct insn *in, bool call)
{
	uint64_t to;
	int err;

	if (!op_is_memory(in, 0) || op_size(in, 0) != 8)
		return -EOPNOTSUPP;
	err = op_get(in, 0, &to);
	if (!err && call) {
		err = store_value(in, in->s->gpr[CPU_RSP] - 8, 8,
				  in->s->rip + in->d.length);
		in->s->gpr[CPU_RSP] -= 8;
	}
	in->s->rip = to;
	in->jumped = true;
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
		return in->d.operand_count_visible == 1 ? multiply_wide(in, true)
							: multiply(in);
	case ZYDIS_MNEMONIC_MUL:
		return multiply_wide(in, false);
	case ZYDIS_MNEMONIC_BSF:
		return scan(in, false);
	case ZYDIS_MNEMONIC_BSR:
		return scan(in, true);
	case ZYDIS_MNEMONIC_TZCNT:
		return count_zeroes(in, false);
	case ZYDIS_MNEMONIC_LZCNT:
		return count_zeroes(in, true);
	case ZYDIS_MNEMONIC_POPCNT:
		return count_ones(in);
	case ZYDIS_MNEMONIC_ANDN:
		return and_not(in);
	case ZYDIS_MNEMONIC_SHLX:
		return shift_quietly(in, ALU_SHL);
	case ZYDIS_MNEMONIC_SHRX:
		return shift_quietly(in, ALU_SHR);
	case ZYDIS_MNEMONIC_SARX:
		return shift_quietly(in, ALU_SAR);
	case ZYDIS_MNEMONIC_RORX:
		return shift_quietly(in, ALU_ROR);
	case ZYDIS_MNEMONIC_CMPXCHG8B:
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		return compare_exchange_pair(in);
	case ZYDIS_MNEMONIC_CALL:
		return jump(in, true);
	case ZYDIS_MNEMONIC_JMP:
		return jump(in, false);
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
