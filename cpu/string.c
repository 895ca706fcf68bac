/* SPDX-License-Identifier: MIT */
/*
 * String instructions: element by element, as uncached memory sees them.
 *
 * A repeated one stops after a number of elements with its registers at the next one, so
 * that nobody waits too long; then it runs again from there. An error in the middle stops
 * it there as well: that is where the CPU would be.
 */
#include "cpu/private.h"

#include <errno.h>

#define ELEMENTS_MAX 4096

enum kind {
	MOVS,
	STOS,
	LODS,
	CMPS,
	SCAS,
};

static bool kind_of(const struct insn *in, enum kind *kind, unsigned *size)
{
	static const struct {
		ZydisMnemonic mnemonic;
		enum kind kind;
		unsigned size;
	} all[] = {
		{ZYDIS_MNEMONIC_MOVSB, MOVS, 1}, {ZYDIS_MNEMONIC_MOVSW, MOVS, 2},
		{ZYDIS_MNEMONIC_MOVSD, MOVS, 4}, {ZYDIS_MNEMONIC_MOVSQ, MOVS, 8},
		{ZYDIS_MNEMONIC_STOSB, STOS, 1}, {ZYDIS_MNEMONIC_STOSW, STOS, 2},
		{ZYDIS_MNEMONIC_STOSD, STOS, 4}, {ZYDIS_MNEMONIC_STOSQ, STOS, 8},
		{ZYDIS_MNEMONIC_LODSB, LODS, 1}, {ZYDIS_MNEMONIC_LODSW, LODS, 2},
		{ZYDIS_MNEMONIC_LODSD, LODS, 4}, {ZYDIS_MNEMONIC_LODSQ, LODS, 8},
		{ZYDIS_MNEMONIC_CMPSB, CMPS, 1}, {ZYDIS_MNEMONIC_CMPSW, CMPS, 2},
		{ZYDIS_MNEMONIC_CMPSD, CMPS, 4}, {ZYDIS_MNEMONIC_CMPSQ, CMPS, 8},
		{ZYDIS_MNEMONIC_SCASB, SCAS, 1}, {ZYDIS_MNEMONIC_SCASW, SCAS, 2},
		{ZYDIS_MNEMONIC_SCASD, SCAS, 4}, {ZYDIS_MNEMONIC_SCASQ, SCAS, 8},
	};

	/* Two of them share their names with vector instructions. */
	if (in->d.meta.category != ZYDIS_CATEGORY_STRINGOP)
		return false;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].mnemonic == in->d.mnemonic) {
			*kind = all[i].kind;
			*size = all[i].size;
			return true;
		}
	}
	return false;
}

static uint64_t source(const struct insn *in)
{
	uint64_t va = in->s->gpr[CPU_RSI];

	if (in->d.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS)
		va += in->s->fs_base;
	if (in->d.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS)
		va += in->s->gs_base;
	return va;
}

static int element(struct insn *in, enum kind kind, unsigned size)
{
	uint64_t to = in->s->gpr[CPU_RDI], a, b;
	int err = 0;

	a = gpr_get(in, CPU_RAX, size);
	if (kind == MOVS || kind == LODS || kind == CMPS)
		err = load_value(in, source(in), size, &a);
	if (!err && (kind == CMPS || kind == SCAS))
		err = load_value(in, to, size, &b);
	if (!err && (kind == MOVS || kind == STOS))
		err = store_value(in, to, size, a);
	if (err)
		return err;
	if (kind == LODS)
		gpr_put(in, CPU_RAX, size, a);
	if (kind == CMPS || kind == SCAS)
		alu_sub(a, b, 0, size, &in->s->rflags);
	return 0;
}

static void advance(struct insn *in, enum kind kind, unsigned size)
{
	uint64_t step = in->s->rflags & FLAG_DF ? -(uint64_t)size : size;

	if (kind != STOS && kind != SCAS)
		in->s->gpr[CPU_RSI] += step;
	if (kind != LODS)
		in->s->gpr[CPU_RDI] += step;
}

static bool is_repeated(const struct insn *in)
{
	return in->d.attributes &
	       (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

/* A comparison ends when it has found what it looks for. */
static bool found(const struct insn *in, enum kind kind)
{
	bool equal = in->s->rflags & FLAG_ZF;

	if (kind != CMPS && kind != SCAS)
		return false;
	return in->d.attributes & ZYDIS_ATTRIB_HAS_REPNE ? equal : !equal;
}

static int repeat(struct insn *in, enum kind kind, unsigned size, bool *again)
{
	for (unsigned n = 0; in->s->gpr[CPU_RCX]; n++) {
		int err;

		if (n == ELEMENTS_MAX) {
			*again = true;
			return 0;
		}
		err = element(in, kind, size);
		if (err)
			return err;
		advance(in, kind, size);
		in->s->gpr[CPU_RCX]--;
		if (found(in, kind))
			break;
	}
	return 0;
}

int string_emulate(struct insn *in, bool *again)
{
	enum kind kind;
	unsigned size;
	int err;

	if (!kind_of(in, &kind, &size))
		return 1;
	if (in->d.address_width != 64)
		return -EOPNOTSUPP;
	if (is_repeated(in))
		return repeat(in, kind, size, again);
	err = element(in, kind, size);
	if (!err)
		advance(in, kind, size);
	return err;
}
