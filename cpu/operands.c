/* SPDX-License-Identifier: MIT */
/* Operands: registers by name, addresses, values. */
#include "cpu/private.h"

#include <errno.h>
#include <string.h>

static bool is_high_byte(ZydisRegister r)
{
	return r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH;
}

/* The number of the general register that @r is a part of; -1: of none. */
static int gpr_number(ZydisRegister r)
{
	ZydisRegister whole;

	if (is_high_byte(r))
		return r - ZYDIS_REGISTER_AH;
	whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
	if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15)
		return -1;
	return whole - ZYDIS_REGISTER_RAX;
}

uint64_t gpr_get(const struct insn *in, enum cpu_gpr r, unsigned size)
{
	return in->s->gpr[r] & alu_mask(size);
}

void gpr_put(struct insn *in, enum cpu_gpr r, unsigned size, uint64_t value)
{
	uint64_t mask = size == 4 ? UINT64_MAX : alu_mask(size);

	value &= alu_mask(size);
	in->s->gpr[r] = (in->s->gpr[r] & ~mask) | value;
}

/* ---- memory ----------------------------------------------------------------------- */

int load_value(struct insn *in, uint64_t va, unsigned size, uint64_t *value)
{
	/* The value is little-endian, and so is this machine. */
	*value = 0;
	return in->bus->load(in->arg, va, value, size);
}

int store_value(struct insn *in, uint64_t va, unsigned size, uint64_t value)
{
	return in->bus->store(in->arg, va, &value, size);
}

static uint64_t address_part(const struct insn *in, ZydisRegister r)
{
	int n;

	if (r == ZYDIS_REGISTER_NONE)
		return 0;
	if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
		return in->s->rip + in->d.length;
	n = gpr_number(r);
	return n < 0 ? 0 : in->s->gpr[n];
}

uint64_t op_address(const struct insn *in, unsigned i)
{
	const ZydisDecodedOperandMem *m = &in->op[i].mem;
	uint64_t va = address_part(in, m->base) + address_part(in, m->index) * m->scale;

	va += (uint64_t)m->disp.value;
	if (in->d.address_width == 32)
		va &= UINT32_MAX;
	if (m->segment == ZYDIS_REGISTER_FS)
		va += in->s->fs_base;
	if (m->segment == ZYDIS_REGISTER_GS)
		va += in->s->gs_base;
	return va;
}

/* ---- values ----------------------------------------------------------------------- */

static int register_get(const struct insn *in, unsigned i, uint64_t *value)
{
	ZydisRegister r = in->op[i].reg.value;
	int n = gpr_number(r);

	if (n < 0)
		return -EOPNOTSUPP;
	*value = in->s->gpr[n] >> (is_high_byte(r) ? 8 : 0) & alu_mask(op_size(in, i));
	return 0;
}

int op_get(struct insn *in, unsigned i, uint64_t *value)
{
	switch (in->op[i].type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return register_get(in, i, value);
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		*value = in->op[i].imm.value.u;
		return 0;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		if (op_size(in, i) > sizeof(*value))
			return -EOPNOTSUPP;
		return load_value(in, op_address(in, i), op_size(in, i), value);
	default:
		return -EOPNOTSUPP;
	}
}

static int register_put(struct insn *in, unsigned i, uint64_t value)
{
	ZydisRegister r = in->op[i].reg.value;
	int n = gpr_number(r);

	if (n < 0)
		return -EOPNOTSUPP;
	if (is_high_byte(r))
		in->s->gpr[n] = (in->s->gpr[n] & ~UINT64_C(0xff00)) | (value & 0xff) << 8;
	else
		gpr_put(in, (enum cpu_gpr)n, op_size(in, i), value);
	return 0;
}

int op_put(struct insn *in, unsigned i, uint64_t value)
{
	if (in->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
		return register_put(in, i, value);
	if (in->op[i].type != ZYDIS_OPERAND_TYPE_MEMORY || op_size(in, i) > sizeof(value))
		return -EOPNOTSUPP;
	return store_value(in, op_address(in, i), op_size(in, i), value);
}

int op_vector(const struct insn *in, unsigned i)
{
	ZydisRegister r = in->op[i].reg.value;

	if (in->op[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
		return -1;
	if (r >= ZYDIS_REGISTER_XMM0 && r <= ZYDIS_REGISTER_XMM31)
		return r - ZYDIS_REGISTER_XMM0;
	if (r >= ZYDIS_REGISTER_YMM0 && r <= ZYDIS_REGISTER_YMM31)
		return r - ZYDIS_REGISTER_YMM0;
	if (r >= ZYDIS_REGISTER_ZMM0 && r <= ZYDIS_REGISTER_ZMM31)
		return r - ZYDIS_REGISTER_ZMM0;
	return -1;
}
