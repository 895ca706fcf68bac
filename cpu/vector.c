/* SPDX-License-Identifier: MIT */
/*
 * Moves between vector registers and memory, and the instructions that write 64 bytes at
 * once. (Moves with a mask: vector_masked.c.)
 *
 * What a load of the whole leaves in the rest of the register: an old (SSE) move of 4 or
 * 8 bytes clears up to byte 16 and leaves what is above; one with a VEX or EVEX prefix
 * clears it all.
 */
#include "cpu/private.h"

#include <errno.h>
#include <string.h>

#include "cpu/vectors.h"

static bool is_old(const struct insn *in)
{
	return in->d.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
}

static bool has_mask(const struct insn *in)
{
	ZydisRegister k = in->d.avx.mask.reg;

	return k != ZYDIS_REGISTER_NONE && k != ZYDIS_REGISTER_K0;
}

/* Which 8 bytes of 16 are moved; or the whole operand. */
enum half {
	WHOLE,
	LOW,
	HIGH,
};

static int load_vector(struct insn *in, unsigned memory, enum half half)
{
	unsigned n = op_size(in, memory), at = half == HIGH ? 8 : 0;
	unsigned char v[VECTOR_BYTES] = {0}, data[VECTOR_BYTES];
	int to = op_vector(in, 0), err;

	if (to < 0 || at + n > VECTOR_BYTES)
		return -EOPNOTSUPP;
	err = in->bus->load(in->arg, op_address(in, memory), data, n);
	if (!err)
		err = in->bus->get_vectors(in->arg, in->s);
	if (err)
		return err;
	/* The other half is of the register, or of the operand between. */
	if (half != WHOLE) {
		int from = op_vector(in, memory - 1);

		if (from < 0 || !vectors_get(in->s, (unsigned)from, v))
			return -EOPNOTSUPP;
		memset(v + 16, 0, sizeof(v) - 16);
	}
	memcpy(v + at, data, n);
	if (!vectors_put(in->s, (unsigned)to, v, is_old(in) ? 16 : VECTOR_BYTES))
		return -EOPNOTSUPP;
	return in->bus->put_vectors(in->arg, in->s);
}

static int store_vector(struct insn *in, unsigned source, enum half half)
{
	unsigned n = op_size(in, 0), at = half == HIGH ? 8 : 0;
	unsigned char v[VECTOR_BYTES];
	int from = op_vector(in, source);
	int err = in->bus->get_vectors(in->arg, in->s);

	if (err)
		return err;
	if (from < 0 || at + n > VECTOR_BYTES || !vectors_get(in->s, (unsigned)from, v))
		return -EOPNOTSUPP;
	return in->bus->store(in->arg, op_address(in, 0), v + at, n);
}

/* With EVEX the mask counts as an operand, so the source is the last one. */
static int move(struct insn *in, enum half half)
{
	unsigned last = in->d.operand_count_visible - 1u;

	if (has_mask(in))
		return half == WHOLE ? masked_move(in) : -EOPNOTSUPP;
	if (op_is_memory(in, 0))
		return store_vector(in, last, half);
	return op_is_memory(in, last) ? load_vector(in, last, half) : -EOPNOTSUPP;
}

int vector_emulate(struct insn *in)
{
	switch (in->d.mnemonic) {
	case ZYDIS_MNEMONIC_MOVD:
	case ZYDIS_MNEMONIC_MOVQ:
	case ZYDIS_MNEMONIC_MOVSS:
	case ZYDIS_MNEMONIC_MOVSD:
	case ZYDIS_MNEMONIC_MOVAPS:
	case ZYDIS_MNEMONIC_MOVAPD:
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQA:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
	case ZYDIS_MNEMONIC_MOVNTDQ:
	case ZYDIS_MNEMONIC_MOVNTPS:
	case ZYDIS_MNEMONIC_MOVNTPD:
	case ZYDIS_MNEMONIC_MOVNTDQA:
	case ZYDIS_MNEMONIC_VMOVD:
	case ZYDIS_MNEMONIC_VMOVQ:
	case ZYDIS_MNEMONIC_VMOVSS:
	case ZYDIS_MNEMONIC_VMOVSD:
	case ZYDIS_MNEMONIC_VMOVAPS:
	case ZYDIS_MNEMONIC_VMOVAPD:
	case ZYDIS_MNEMONIC_VMOVUPS:
	case ZYDIS_MNEMONIC_VMOVUPD:
	case ZYDIS_MNEMONIC_VMOVDQA:
	case ZYDIS_MNEMONIC_VMOVDQA32:
	case ZYDIS_MNEMONIC_VMOVDQA64:
	case ZYDIS_MNEMONIC_VMOVDQU:
	case ZYDIS_MNEMONIC_VMOVDQU8:
	case ZYDIS_MNEMONIC_VMOVDQU16:
	case ZYDIS_MNEMONIC_VMOVDQU32:
	case ZYDIS_MNEMONIC_VMOVDQU64:
	case ZYDIS_MNEMONIC_VLDDQU:
	case ZYDIS_MNEMONIC_VMOVNTDQ:
	case ZYDIS_MNEMONIC_VMOVNTPS:
	case ZYDIS_MNEMONIC_VMOVNTPD:
	case ZYDIS_MNEMONIC_VMOVNTDQA:
		return move(in, WHOLE);
	case ZYDIS_MNEMONIC_MOVLPS:
	case ZYDIS_MNEMONIC_MOVLPD:
	case ZYDIS_MNEMONIC_VMOVLPS:
	case ZYDIS_MNEMONIC_VMOVLPD:
		return move(in, LOW);
	case ZYDIS_MNEMONIC_MOVHPS:
	case ZYDIS_MNEMONIC_MOVHPD:
	case ZYDIS_MNEMONIC_VMOVHPS:
	case ZYDIS_MNEMONIC_VMOVHPD:
		return move(in, HIGH);
	default:
		return 1;
	}
}

/* ---- 64 bytes at once ------------------------------------------------------------- */

static bool is_deferrable(const struct insn *in)
{
	return in->d.mnemonic == ZYDIS_MNEMONIC_ENQCMD ||
	       in->d.mnemonic == ZYDIS_MNEMONIC_ENQCMDS;
}

/* The destination is an address in a register; it must be aligned. */
bool whole_target(const struct insn *in, uint64_t *va)
{
	unsigned size = in->d.address_width / 8u;
	uint64_t value = 0;
	struct insn copy = *in;

	if (in->d.mnemonic != ZYDIS_MNEMONIC_MOVDIR64B && !is_deferrable(in))
		return false;
	if (op_is_memory(in, 0))
		*va = op_address(in, 0);
	else if (op_get(&copy, 0, &value))
		return false;
	else
		*va = value & alu_mask(size);
	return true;
}

/*
 * Bits 31:0 are the PASID and the privilege. enqcmd's source has to be 0 there, for the
 * CPU fills them in: a user's, and the PASID that nobody has given to anybody: 0.
 * enqcmds, which is the kernel's, takes them from its source.
 */
static bool may_enqueue(const struct insn *in, const unsigned char *data)
{
	uint32_t owner;

	memcpy(&owner, data, sizeof(owner));
	return !(owner &
		 (in->d.mnemonic == ZYDIS_MNEMONIC_ENQCMD ? UINT32_MAX : 0x7ff00000));
}

int whole_emulate(struct insn *in)
{
	bool deferrable = is_deferrable(in), accepted = true;
	unsigned char data[VECTOR_BYTES];
	uint64_t va;
	int err;

	if (!whole_target(in, &va))
		return 1;
	if (va % VECTOR_BYTES)
		return -EINVAL;
	err = in->bus->load(in->arg, op_address(in, 1), data, sizeof(data));
	if (!err && deferrable && !may_enqueue(in, data))
		return -EINVAL;
	if (!err)
		err = in->bus->store_whole(in->arg, va, data, deferrable, &accepted);
	if (!err && deferrable)
		in->s->rflags = (in->s->rflags & ~FLAG_ALL) | (accepted ? 0 : FLAG_ZF);
	return err;
}
