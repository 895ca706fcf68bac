/* SPDX-License-Identifier: MIT */
/*
 * Vector instructions that read memory other than to move it as it is: into all parts of
 * a register or into one, from one part, and the comparisons and bitwise operations of
 * which memcmp(3) and the like are made. Not with a mask on what is written, and not
 * with a broadcast operand.
 */
#include "cpu/private.h"

#include <errno.h>
#include <string.h>

#include "cpu/vectors.h"

struct parts {
	unsigned memory; /* which operand */
	unsigned bytes;  /* of the operation: the other operands' length */
	unsigned last;
	unsigned char m[VECTOR_BYTES]; /* what the memory holds, or is to */
	unsigned char v[VECTOR_BYTES]; /* the register before it; then the result */
};

static bool is_plain(const struct insn *in)
{
	return in->d.avx.mask.reg == ZYDIS_REGISTER_NONE ||
	       in->d.avx.mask.reg == ZYDIS_REGISTER_K0;
}

/* The state, the memory operand, and where it is. 1: there is none. */
static int begin(struct insn *in, struct parts *p)
{
	unsigned n;

	p->last = in->d.operand_count_visible - 1u;
	for (p->memory = 0; p->memory <= p->last; p->memory++)
		if (op_is_memory(in, p->memory))
			break;
	if (p->memory > p->last)
		return 1;
	n = op_size(in, p->memory);
	if (!n || n > VECTOR_BYTES ||
	    (in->d.avx.broadcast.mode && !in->d.avx.broadcast.is_static))
		return -EOPNOTSUPP;
	memset(p->m, 0, sizeof(p->m));
	return in->bus->get_vectors(in->arg, in->s);
}

static int read_memory(struct insn *in, struct parts *p)
{
	return in->bus->load(in->arg, op_address(in, p->memory), p->m,
			     op_size(in, p->memory));
}

/* The register that is the first source: with the old encoding the destination. */
static bool first_source(struct insn *in, struct parts *p)
{
	int from = op_vector(in, p->memory - 1);

	p->bytes = op_size(in, p->memory - 1);
	return from >= 0 && p->bytes && p->bytes <= VECTOR_BYTES &&
	       vectors_get(in->s, (unsigned)from, p->v);
}

static int write_register(struct insn *in, struct parts *p)
{
	bool old = in->d.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
	int to = op_vector(in, 0);

	if (to < 0)
		return -EOPNOTSUPP;
	memset(p->v + p->bytes, 0, VECTOR_BYTES - p->bytes);
	if (!vectors_put(in->s, (unsigned)to, p->v, old ? 16 : VECTOR_BYTES))
		return -EOPNOTSUPP;
	return in->bus->put_vectors(in->arg, in->s);
}

/* ---- into all parts, into one, from one -------------------------------------------- */

static int broadcast(struct insn *in, struct parts *p)
{
	unsigned n = op_size(in, p->memory);
	int err;

	p->bytes = op_size(in, 0);
	if (p->bytes % n || p->bytes > VECTOR_BYTES || !is_plain(in))
		return -EOPNOTSUPP;
	err = read_memory(in, p);
	for (unsigned at = 0; at < p->bytes; at += n)
		memcpy(p->v + at, p->m, n);
	return err ? err : write_register(in, p);
}

/* Where the part that the immediate names begins, in @bytes. */
static unsigned part(const struct insn *in, const struct parts *p, unsigned bytes)
{
	unsigned n = op_size(in, p->memory);

	return ((unsigned)in->op[p->last].imm.value.u & (bytes / n - 1)) * n;
}

static int insert(struct insn *in, struct parts *p)
{
	int err;

	if (!p->memory || !is_plain(in) || !first_source(in, p) ||
	    p->bytes < op_size(in, p->memory))
		return -EOPNOTSUPP;
	err = read_memory(in, p);
	memcpy(p->v + part(in, p, p->bytes), p->m, op_size(in, p->memory));
	return err ? err : write_register(in, p);
}

static int extract(struct insn *in, struct parts *p)
{
	int from = op_vector(in, p->last - 1);
	unsigned bytes = op_size(in, p->last - 1);

	if (p->memory || from < 0 || bytes < op_size(in, 0) || !is_plain(in) ||
	    !vectors_get(in->s, (unsigned)from, p->v))
		return -EOPNOTSUPP;
	return in->bus->store(in->arg, op_address(in, 0), p->v + part(in, p, bytes),
			      op_size(in, 0));
}

/* ---- bitwise, element by element --------------------------------------------------- */

enum bitwise {
	AND,
	ANDN,
	OR,
	XOR,
};

static int bitwise(struct insn *in, struct parts *p, enum bitwise kind)
{
	int err;

	if (!p->memory || !is_plain(in) || !first_source(in, p))
		return -EOPNOTSUPP;
	err = read_memory(in, p);
	if (err)
		return err;
	for (unsigned i = 0; i < p->bytes; i++) {
		unsigned char a = p->v[i], b = p->m[i];

		p->v[i] = kind == AND    ? a & b
			  : kind == ANDN ? ~a & b
			  : kind == OR   ? a | b
					 : a ^ b;
	}
	return write_register(in, p);
}

static int test(struct insn *in, struct parts *p)
{
	unsigned both = 0, only = 0;
	int err;

	if (!p->memory || !first_source(in, p))
		return -EOPNOTSUPP;
	err = read_memory(in, p);
	if (err)
		return err;
	for (unsigned i = 0; i < p->bytes; i++) {
		both |= p->m[i] & p->v[i];
		only |= p->m[i] & ~p->v[i] & 0xff;
	}
	in->s->rflags &= ~FLAG_ALL;
	in->s->rflags |= (both ? 0 : FLAG_ZF) | (only ? 0 : FLAG_CF);
	return 0;
}

enum order {
	EQUAL,
	LESS,
	LESS_EQUAL,
	NEVER, /* ... and the other way round from 4 on */
};

static int64_t element_of(const unsigned char *v, unsigned n, bool is_signed)
{
	uint64_t value = 0;

	memcpy(&value, v, n);
	return (int64_t)(is_signed ? alu_sign_extend(value, n) : value);
}

static bool holds(unsigned predicate, const unsigned char *a, const unsigned char *b,
		  unsigned n, bool is_signed)
{
	int64_t x = element_of(a, n, is_signed), y = element_of(b, n, is_signed);
	bool less = is_signed ? x < y : (uint64_t)x < (uint64_t)y;
	bool yes = false;

	if ((predicate & 3) == EQUAL)
		yes = x == y;
	else if ((predicate & 3) == LESS)
		yes = less;
	else if ((predicate & 3) == LESS_EQUAL)
		yes = less || x == y;
	return yes != (predicate >> 2 & 1);
}

/* The answer is a mask register's, and only for what another one names. */
static int compare_to_mask(struct insn *in, struct parts *p, unsigned n,
			   unsigned predicate, bool is_signed)
{
	uint64_t wanted = UINT64_MAX, answer = 0;

	if (!is_plain(in) && !vectors_get_mask(in->s, op_mask(in), &wanted))
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < p->bytes / n; i++)
		if (holds(predicate, p->v + i * n, p->m + i * n, n, is_signed))
			answer |= UINT64_C(1) << i;
	if (!vectors_put_mask(in->s, in->op[0].reg.value - ZYDIS_REGISTER_K0,
			      answer & wanted))
		return -EOPNOTSUPP;
	return in->bus->put_vectors(in->arg, in->s);
}

static int compare(struct insn *in, struct parts *p, unsigned n, unsigned predicate,
		   bool is_signed)
{
	int err;

	if (!p->memory || !first_source(in, p))
		return -EOPNOTSUPP;
	err = read_memory(in, p);
	if (err)
		return err;
	if (op_vector(in, 0) < 0)
		return compare_to_mask(in, p, n, predicate, is_signed);
	for (unsigned at = 0; at < p->bytes; at += n)
		memset(p->v + at,
		       holds(predicate, p->v + at, p->m + at, n, is_signed) ? 0xff : 0,
		       n);
	return write_register(in, p);
}

/* Of unsigned comparisons the immediate says which. */
static int compare_by(struct insn *in, struct parts *p, unsigned n, bool is_signed)
{
	return compare(in, p, n, (unsigned)in->op[p->last].imm.value.u & 7, is_signed);
}

static int dispatch(struct insn *in, struct parts *p)
{
	switch (in->d.mnemonic) {
	case ZYDIS_MNEMONIC_VMOVDDUP:
		if (op_size(in, p->memory) != 8)
			return -EOPNOTSUPP;
		/* fallthrough */
	case ZYDIS_MNEMONIC_MOVDDUP:
	case ZYDIS_MNEMONIC_VBROADCASTSS:
	case ZYDIS_MNEMONIC_VBROADCASTSD:
	case ZYDIS_MNEMONIC_VBROADCASTF128:
	case ZYDIS_MNEMONIC_VBROADCASTI128:
	case ZYDIS_MNEMONIC_VPBROADCASTB:
	case ZYDIS_MNEMONIC_VPBROADCASTW:
	case ZYDIS_MNEMONIC_VPBROADCASTD:
	case ZYDIS_MNEMONIC_VPBROADCASTQ:
		return broadcast(in, p);
	case ZYDIS_MNEMONIC_PINSRB:
	case ZYDIS_MNEMONIC_PINSRW:
	case ZYDIS_MNEMONIC_PINSRD:
	case ZYDIS_MNEMONIC_PINSRQ:
	case ZYDIS_MNEMONIC_VPINSRB:
	case ZYDIS_MNEMONIC_VPINSRW:
	case ZYDIS_MNEMONIC_VPINSRD:
	case ZYDIS_MNEMONIC_VPINSRQ:
	case ZYDIS_MNEMONIC_VINSERTF128:
	case ZYDIS_MNEMONIC_VINSERTI128:
		return insert(in, p);
	case ZYDIS_MNEMONIC_PEXTRB:
	case ZYDIS_MNEMONIC_PEXTRW:
	case ZYDIS_MNEMONIC_PEXTRD:
	case ZYDIS_MNEMONIC_PEXTRQ:
	case ZYDIS_MNEMONIC_EXTRACTPS:
	case ZYDIS_MNEMONIC_VPEXTRB:
	case ZYDIS_MNEMONIC_VPEXTRW:
	case ZYDIS_MNEMONIC_VPEXTRD:
	case ZYDIS_MNEMONIC_VPEXTRQ:
	case ZYDIS_MNEMONIC_VEXTRACTPS:
	case ZYDIS_MNEMONIC_VEXTRACTF128:
	case ZYDIS_MNEMONIC_VEXTRACTI128:
		return extract(in, p);
	case ZYDIS_MNEMONIC_PAND:
	case ZYDIS_MNEMONIC_ANDPS:
	case ZYDIS_MNEMONIC_VPAND:
	case ZYDIS_MNEMONIC_VPANDD:
	case ZYDIS_MNEMONIC_VPANDQ:
	case ZYDIS_MNEMONIC_VANDPS:
		return bitwise(in, p, AND);
	case ZYDIS_MNEMONIC_PANDN:
	case ZYDIS_MNEMONIC_VPANDN:
	case ZYDIS_MNEMONIC_VPANDND:
	case ZYDIS_MNEMONIC_VPANDNQ:
		return bitwise(in, p, ANDN);
	case ZYDIS_MNEMONIC_POR:
	case ZYDIS_MNEMONIC_ORPS:
	case ZYDIS_MNEMONIC_VPOR:
	case ZYDIS_MNEMONIC_VPORD:
	case ZYDIS_MNEMONIC_VPORQ:
	case ZYDIS_MNEMONIC_VORPS:
		return bitwise(in, p, OR);
	case ZYDIS_MNEMONIC_PXOR:
	case ZYDIS_MNEMONIC_XORPS:
	case ZYDIS_MNEMONIC_VPXOR:
	case ZYDIS_MNEMONIC_VPXORD:
	case ZYDIS_MNEMONIC_VPXORQ:
	case ZYDIS_MNEMONIC_VXORPS:
		return bitwise(in, p, XOR);
	case ZYDIS_MNEMONIC_PTEST:
	case ZYDIS_MNEMONIC_VPTEST:
		return test(in, p);
	case ZYDIS_MNEMONIC_PCMPEQB:
	case ZYDIS_MNEMONIC_VPCMPEQB:
		return compare(in, p, 1, EQUAL, false);
	case ZYDIS_MNEMONIC_PCMPEQW:
	case ZYDIS_MNEMONIC_VPCMPEQW:
		return compare(in, p, 2, EQUAL, false);
	case ZYDIS_MNEMONIC_PCMPEQD:
	case ZYDIS_MNEMONIC_VPCMPEQD:
		return compare(in, p, 4, EQUAL, false);
	case ZYDIS_MNEMONIC_PCMPEQQ:
	case ZYDIS_MNEMONIC_VPCMPEQQ:
		return compare(in, p, 8, EQUAL, false);
	case ZYDIS_MNEMONIC_VPCMPB:
		return compare_by(in, p, 1, true);
	case ZYDIS_MNEMONIC_VPCMPUB:
		return compare_by(in, p, 1, false);
	case ZYDIS_MNEMONIC_VPCMPW:
		return compare_by(in, p, 2, true);
	case ZYDIS_MNEMONIC_VPCMPUW:
		return compare_by(in, p, 2, false);
	case ZYDIS_MNEMONIC_VPCMPD:
		return compare_by(in, p, 4, true);
	case ZYDIS_MNEMONIC_VPCMPUD:
		return compare_by(in, p, 4, false);
	case ZYDIS_MNEMONIC_VPCMPQ:
		return compare_by(in, p, 8, true);
	case ZYDIS_MNEMONIC_VPCMPUQ:
		return compare_by(in, p, 8, false);
	default:
		return 1;
	}
}

static bool may_be(const struct insn *in)
{
	return in->d.meta.category != ZYDIS_CATEGORY_STRINGOP &&
	       in->d.operand_count_visible > 1 &&
	       (op_vector(in, 0) >= 0 || op_vector(in, 1) >= 0 || op_vector(in, 2) >= 0);
}

int parts_emulate(struct insn *in)
{
	struct parts p;
	int err = may_be(in) ? begin(in, &p) : 1;

	return err ? err : dispatch(in, &p);
}
