/* SPDX-License-Identifier: MIT */
/*
 * One instruction of a program, done in its place.
 *
 * A program that touches a register behind a mapping is stopped before the instruction
 * has done anything. This room decodes it, does it through a bus that the caller
 * provides, and changes the registers as the CPU would have. The bus sees each access
 * with the size that the instruction gives it, in the order the CPU would make it: a
 * read-modify-write is one load and one store.
 *
 * Nothing of the state has changed when the answer is an error, except by a string
 * instruction with a repeat prefix, which stops between two of its elements as it does on
 * the CPU.
 *
 * Known: moves of 1, 2, 4 and 8 bytes with and without extension, immediates, movbe,
 * movnti, cmov, setcc; add, adc, sub, sbb, and, or, xor, inc, dec, neg, not, cmp, test,
 * shifts by immediate and cl, mul, imul, bt, bts, btr, btc, bsf, bsr, lzcnt, tzcnt,
 * popcnt, andn, shlx, shrx, sarx, rorx, xchg, xadd, cmpxchg, cmpxchg8b, cmpxchg16b, with
 * or without lock; push, pop, near call and jmp; movs, stos, lods, cmps, scas with or
 * without rep; SSE, AVX and AVX-512 moves of 4 to 64 bytes, with and without masks,
 * broadcasts, insertion and extraction of a part, bitwise operations, ptest, and
 * comparisons of integers; movdiri, movdir64b, enqcmd, and enqcmds, which a CPU keeps for
 * the kernel. Cache hints and flushes do nothing. x86-64 only: elsewhere every answer is
 * -EOPNOTSUPP.
 */
#ifndef CPU_EMULATE_H
#define CPU_EMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* General registers in the order of their numbers in instructions. */
enum cpu_gpr {
	CPU_RAX,
	CPU_RCX,
	CPU_RDX,
	CPU_RBX,
	CPU_RSP,
	CPU_RBP,
	CPU_RSI,
	CPU_RDI,
	CPU_GPRS = 16, /* and r8 to r15 */
};

#define CPU_INSN_MAX 15

struct cpu_state {
	uint64_t gpr[CPU_GPRS];
	uint64_t rip, rflags, fs_base, gs_base;
	/* XSAVE's standard format. Needed by vector instructions only. */
	unsigned char *xsave;
	size_t xsave_bytes;
};

/*
 * What the instruction's accesses go to. All answer 0, or a negative errno, which ends
 * the instruction and is what cpu_emulate() answers.
 */
struct cpu_bus {
	int (*load)(void *arg, uint64_t va, void *dst, size_t n);
	int (*store)(void *arg, uint64_t va, const void *src, size_t n);
	/*
	 * 64 bytes as one transaction, to an address that they divide. @deferrable: the
	 * other side may refuse it (enqcmd, enqcmds), which *@accepted tells.
	 */
	int (*store_whole)(void *arg, uint64_t va, const void *src, bool deferrable,
			   bool *accepted);
	/* Fill in @xsave and @xsave_bytes of the state: the instruction is a vector's. */
	int (*get_vectors)(void *arg, struct cpu_state *s);
	/* It has changed them. */
	int (*put_vectors)(void *arg, const struct cpu_state *s);
};

/*
 * @code: @n bytes at rip, CPU_INSN_MAX if they can be had. 0: the state is that after the
 * instruction, or in the middle of a repeated one. -EOPNOTSUPP: not one that is known.
 * -EINVAL: one of 64 bytes to an address that they do not divide, or of a PASID that it
 * cannot have: what a CPU answers with a general protection fault.
 */
int cpu_emulate(struct cpu_state *s, const void *code, size_t n,
		const struct cpu_bus *bus, void *arg);

/*
 * Is it an instruction that writes 64 bytes at once, which older CPUs do not have, or
 * others not for everybody (movdir64b, enqcmd, enqcmds)? Then *@va is where.
 */
bool cpu_writes_whole(const struct cpu_state *s, const void *code, size_t n,
		      uint64_t *va);

#endif
