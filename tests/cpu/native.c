/* SPDX-License-Identifier: MIT */
/* See native.h. */
#include "native.h"

#include <cpuid.h>

size_t native_xsave_bytes(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid_count(0xd, 0, &a, &b, &c, &d))
		return 0;
	return b;
}

/* rdi: the general registers in their order, then the flags; rsi: the code. */
__asm__(".text\n"
	".globl native_enter\n"
	".hidden native_enter\n"
	".type native_enter, @function\n"
	"native_enter:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	push %rdi\n"
	"	push %rsi\n"
	"	pushq 128(%rdi)\n"
	"	popfq\n"
	"	mov 0(%rdi), %rax\n"
	"	mov 8(%rdi), %rcx\n"
	"	mov 16(%rdi), %rdx\n"
	"	mov 24(%rdi), %rbx\n"
	"	mov 40(%rdi), %rbp\n"
	"	mov 48(%rdi), %rsi\n"
	"	mov 64(%rdi), %r8\n"
	"	mov 72(%rdi), %r9\n"
	"	mov 80(%rdi), %r10\n"
	"	mov 88(%rdi), %r11\n"
	"	mov 96(%rdi), %r12\n"
	"	mov 104(%rdi), %r13\n"
	"	mov 112(%rdi), %r14\n"
	"	mov 120(%rdi), %r15\n"
	"	mov 56(%rdi), %rdi\n"
	"	call *(%rsp)\n"
	"	push %rdi\n"
	"	mov 16(%rsp), %rdi\n"
	"	mov %rax, 0(%rdi)\n"
	"	mov %rcx, 8(%rdi)\n"
	"	mov %rdx, 16(%rdi)\n"
	"	mov %rbx, 24(%rdi)\n"
	"	mov %rbp, 40(%rdi)\n"
	"	mov %rsi, 48(%rdi)\n"
	"	mov %r8, 64(%rdi)\n"
	"	mov %r9, 72(%rdi)\n"
	"	mov %r10, 80(%rdi)\n"
	"	mov %r11, 88(%rdi)\n"
	"	mov %r12, 96(%rdi)\n"
	"	mov %r13, 104(%rdi)\n"
	"	mov %r14, 112(%rdi)\n"
	"	mov %r15, 120(%rdi)\n"
	"	pop %rax\n"
	"	mov %rax, 56(%rdi)\n"
	"	pushfq\n"
	"	popq 128(%rdi)\n"
	"	cld\n"
	"	pop %rsi\n"
	"	pop %rdi\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n"
	".size native_enter, . - native_enter\n");

struct entry {
	uint64_t gpr[CPU_GPRS], flags;
};
_Static_assert(offsetof(struct entry, flags) == 128, "as native_enter() has it");

void native_enter(struct entry *e, const void *code);

static void put_vectors(const struct cpu_state *s)
{
	__asm__ volatile("xrstor64 (%0)"
			 :
			 : "r"(s->xsave), "a"((uint32_t)NATIVE_XSAVE_MASK), "d"(0)
			 : "memory");
}

static void get_vectors(struct cpu_state *s)
{
	__asm__ volatile("xsave64 (%0)"
			 :
			 : "r"(s->xsave), "a"((uint32_t)NATIVE_XSAVE_MASK), "d"(0)
			 : "memory");
}

void native_run(const void *code, struct cpu_state *s)
{
	struct entry e = {.flags = s->rflags};

	for (unsigned i = 0; i < CPU_GPRS; i++)
		e.gpr[i] = s->gpr[i];
	if (s->xsave)
		put_vectors(s);
	native_enter(&e, code);
	if (s->xsave)
		get_vectors(s);
	for (unsigned i = 0; i < CPU_GPRS; i++)
		s->gpr[i] = e.gpr[i];
	s->rflags = e.flags;
}
