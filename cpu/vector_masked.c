/* SPDX-License-Identifier: MIT */
/*
 * Moves between vector registers and memory of some elements only: those that a mask
 * register names (AVX-512), or the signs of another vector (AVX).
 *
 * Elements that are not named are not accessed, so those in a row that are make one
 * access. In a load they become zero, or stay what they are; beyond the vector's length
 * everything becomes zero. A store that fails may have stored the rows before.
 */
#include "cpu/private.h"

#include <errno.h>
#include <string.h>

#include "cpu/vectors.h"

struct masked {
	uint64_t va;
	unsigned bytes, element; /* of the vector, of each element */
	uint64_t mask;
	int (*access)(struct insn *in, uint64_t va, void *data, size_t n);
};

static bool named(const struct masked *m, unsigned at)
{
	return m->mask >> at / m->element & 1;
}

static int each_row(struct insn *in, const struct masked *m, unsigned char *data)
{
	unsigned start, end;
	int err = 0;

	for (start = 0; !err && start < m->bytes; start = end) {
		end = start + m->element;
		if (!named(m, start))
			continue;
		while (end < m->bytes && named(m, end))
			end += m->element;
		err = m->access(in, m->va + start, data + start, end - start);
	}
	return err;
}

static int load_row(struct insn *in, uint64_t va, void *data, size_t n)
{
	return in->bus->load(in->arg, va, data, n);
}

static int store_row(struct insn *in, uint64_t va, void *data, size_t n)
{
	return in->bus->store(in->arg, va, data, n);
}

static int load_masked(struct insn *in, struct masked *m, bool merge)
{
	unsigned char v[VECTOR_BYTES] = {0};
	int to = op_vector(in, 0), err;

	if (to < 0 || (merge && !vectors_get(in->s, (unsigned)to, v)))
		return -EOPNOTSUPP;
	memset(v + m->bytes, 0, VECTOR_BYTES - m->bytes);
	m->access = load_row;
	err = each_row(in, m, v);
	if (err)
		return err;
	if (!vectors_put(in->s, (unsigned)to, v, VECTOR_BYTES))
		return -EOPNOTSUPP;
	return in->bus->put_vectors(in->arg, in->s);
}

static int store_masked(struct insn *in, struct masked *m, unsigned source)
{
	unsigned char v[VECTOR_BYTES];
	int from = op_vector(in, source);

	if (from < 0 || !vectors_get(in->s, (unsigned)from, v))
		return -EOPNOTSUPP;
	m->access = store_row;
	return each_row(in, m, v);
}

/* @memory: which operand; the elements are its. */
static bool describe(struct insn *in, unsigned memory, struct masked *m)
{
	m->va = op_address(in, memory);
	m->bytes = op_size(in, memory);
	m->element = in->op[memory].element_size / 8u;
	return m->element && m->bytes && m->bytes <= VECTOR_BYTES;
}

int masked_move(struct insn *in)
{
	unsigned last = in->d.operand_count_visible - 1u;
	unsigned memory = op_is_memory(in, 0) ? 0 : last;
	struct masked m;
	int err;

	if (!op_is_memory(in, memory) || !describe(in, memory, &m))
		return -EOPNOTSUPP;
	err = in->bus->get_vectors(in->arg, in->s);
	if (err)
		return err;
	if (!vectors_get_mask(in->s, op_mask(in), &m.mask))
		return -EOPNOTSUPP;
	if (!memory)
		return store_masked(in, &m, last);
	return load_masked(in, &m, in->d.avx.mask.mode != ZYDIS_MASK_MODE_ZEROING);
}

static uint64_t signs(const unsigned char *v, unsigned bytes, unsigned element)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < bytes / element; i++)
		mask |= (uint64_t)(v[(i + 1) * element - 1] >> 7) << i;
	return mask;
}

/* VMASKMOV and VPMASKMOV: the middle operand is the mask. */
static int move_by_signs(struct insn *in, unsigned element)
{
	unsigned memory = op_is_memory(in, 0) ? 0 : 2;
	unsigned char v[VECTOR_BYTES];
	int which = op_vector(in, 1), err;
	struct masked m;

	if (which < 0 || !op_is_memory(in, memory) || !describe(in, memory, &m))
		return -EOPNOTSUPP;
	m.element = element;
	err = in->bus->get_vectors(in->arg, in->s);
	if (err)
		return err;
	if (!vectors_get(in->s, (unsigned)which, v))
		return -EOPNOTSUPP;
	m.mask = signs(v, m.bytes, element);
	return memory ? load_masked(in, &m, false) : store_masked(in, &m, 2);
}

int signs_emulate(struct insn *in)
{
	switch (in->d.mnemonic) {
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
		return move_by_signs(in, 4);
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		return move_by_signs(in, 8);
	default:
		return 1;
	}
}
