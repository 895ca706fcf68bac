/* SPDX-License-Identifier: MIT */
/* See emulate.h. Decoding is Zydis's. */
#include "cpu/emulate.h"

#include <errno.h>

#ifdef __x86_64__

#include "cpu/private.h"

static bool decode(const void *code, size_t n, struct insn *in)
{
	ZydisDecoder decoder;

	return ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64,
					     ZYDIS_STACK_WIDTH_64)) &&
	       ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, n, &in->d, in->op));
}

static int do_it(struct insn *in, bool *again)
{
	int err = string_emulate(in, again);

	if (err == 1)
		err = scalar_emulate(in);
	if (err == 1)
		err = vector_emulate(in);
	if (err == 1)
		err = signs_emulate(in);
	if (err == 1)
		err = parts_emulate(in);
	if (err == 1)
		err = whole_emulate(in);
	return err == 1 ? -EOPNOTSUPP : err;
}

int cpu_emulate(struct cpu_state *s, const void *code, size_t n,
		const struct cpu_bus *bus, void *arg)
{
	struct cpu_state after = *s;
	struct insn in = {.s = &after, .bus = bus, .arg = arg};
	bool again = false, is_string;
	int err;

	if (!decode(code, n, &in))
		return -EOPNOTSUPP;
	err = do_it(&in, &again);
	is_string = in.d.meta.category == ZYDIS_CATEGORY_STRINGOP;
	if (err && !is_string)
		return err;
	if (!err && !again && !in.jumped) {
		after.rip += in.d.length;
		after.rflags &= ~FLAG_RF;
	}
	*s = after;
	return err;
}

bool cpu_writes_whole(const struct cpu_state *s, const void *code, size_t n, uint64_t *va)
{
	struct cpu_state copy = *s;
	struct insn in = {.s = &copy};

	return decode(code, n, &in) && whole_target(&in, va);
}

#else

int cpu_emulate(struct cpu_state *s, const void *code, size_t n,
		const struct cpu_bus *bus, void *arg)
{
	return -EOPNOTSUPP;
}

bool cpu_writes_whole(const struct cpu_state *s, const void *code, size_t n, uint64_t *va)
{
	return false;
}

#endif
