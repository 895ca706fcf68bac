/* SPDX-License-Identifier: MIT */
/*
 * The emulator against the CPU: each instruction of a list is run both ways, many times,
 * with random registers, flags and memory. Registers, the flags that it defines, and
 * memory must come out the same.
 *
 * Instructions reach memory by rbx (and rsi and rdi where they are string instructions),
 * which points into the middle of a buffer. The emulator's bus has a copy of it at the
 * same addresses. A run prints its seed; SEED=N repeats it.
 */
#include <cpuid.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cpu/alu.h"
#include "cpu/vectors.h"
#include "native.h"

#define MEMORY_BYTES 1024
#define ROUNDS       100

#define AF           FLAG_AF
#define NOT_OF_AF    (FLAG_OF | FLAG_AF)
#define NOT_MUL      (FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF)
#define NOT_SCAN     (FLAG_CF | FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF)
#define NOT_COUNT    (FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF)
#define NOT_BT       (FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF)

enum need {
	ANY,
	AVX,
	AVX512,
	MOVBE,
	BMI,
};

/* The text of each instruction, the flags that it leaves undefined, and what it needs. */
#define INSTRUCTIONS(I)                                                                  \
	I("mov (%rbx), %al", 0, ANY)                                                     \
	I("mov (%rbx), %ah", 0, ANY)                                                     \
	I("mov (%rbx), %r9b", 0, ANY)                                                    \
	I("mov (%rbx), %sil", 0, ANY)                                                    \
	I("mov (%rbx), %cx", 0, ANY)                                                     \
	I("mov (%rbx), %edx", 0, ANY)                                                    \
	I("mov (%rbx), %r15", 0, ANY)                                                    \
	I("mov (%rbx), %rbx", 0, ANY)                                                    \
	I("mov %dl, 3(%rbx)", 0, ANY)                                                    \
	I("mov %dh, 3(%rbx)", 0, ANY)                                                    \
	I("mov %r10w, -8(%rbx)", 0, ANY)                                                 \
	I("mov %esi, 16(%rbx)", 0, ANY)                                                  \
	I("mov %r8, 5(%rbx)", 0, ANY)                                                    \
	I("movb $0x81, (%rbx)", 0, ANY)                                                  \
	I("movw $0x8123, (%rbx)", 0, ANY)                                                \
	I("movl $0x81234567, (%rbx)", 0, ANY)                                            \
	I("movq $-5, (%rbx)", 0, ANY)                                                    \
	I("movzbl (%rbx), %eax", 0, ANY)                                                 \
	I("movzbw (%rbx), %ax", 0, ANY)                                                  \
	I("movzwq (%rbx), %r11", 0, ANY)                                                 \
	I("movsbl (%rbx), %eax", 0, ANY)                                                 \
	I("movsbw (%rbx), %ax", 0, ANY)                                                  \
	I("movswq (%rbx), %r11", 0, ANY)                                                 \
	I("movslq (%rbx), %r12", 0, ANY)                                                 \
	I("movnti %eax, (%rbx)", 0, ANY)                                                 \
	I("movnti %rax, (%rbx)", 0, ANY)                                                 \
	I("movbe (%rbx), %ax", 0, MOVBE)                                                 \
	I("movbe (%rbx), %eax", 0, MOVBE)                                                \
	I("movbe %rdx, (%rbx)", 0, MOVBE)                                                \
	I("cmovz (%rbx), %eax", 0, ANY)                                                  \
	I("cmovno (%rbx), %rax", 0, ANY)                                                 \
	I("cmovle (%rbx), %cx", 0, ANY)                                                  \
	I("cmova (%rbx), %r8", 0, ANY)                                                   \
	I("cmovs (%rbx), %r8", 0, ANY)                                                   \
	I("cmovnp (%rbx), %r8", 0, ANY)                                                  \
	I("setb (%rbx)", 0, ANY)                                                         \
	I("setge (%rbx)", 0, ANY)                                                        \
	I("addb %al, (%rbx)", 0, ANY)                                                    \
	I("addw (%rbx), %ax", 0, ANY)                                                    \
	I("addl %eax, (%rbx)", 0, ANY)                                                   \
	I("addq $-3, (%rbx)", 0, ANY)                                                    \
	I("lock addq %r13, (%rbx)", 0, ANY)                                              \
	I("adcl (%rbx), %ecx", 0, ANY)                                                   \
	I("adcb $0x7f, (%rbx)", 0, ANY)                                                  \
	I("adcq %rdx, (%rbx)", 0, ANY)                                                   \
	I("subl %eax, (%rbx)", 0, ANY)                                                   \
	I("subw (%rbx), %r9w", 0, ANY)                                                   \
	I("subq (%rbx), %rdi", 0, ANY)                                                   \
	I("sbbb %cl, (%rbx)", 0, ANY)                                                    \
	I("sbbq (%rbx), %rax", 0, ANY)                                                   \
	I("andb $0xf0, (%rbx)", AF, ANY)                                                 \
	I("andl (%rbx), %eax", AF, ANY)                                                  \
	I("orw %cx, (%rbx)", AF, ANY)                                                    \
	I("orl $0x80000000, (%rbx)", AF, ANY)                                            \
	I("lock orq %rdx, (%rbx)", AF, ANY)                                              \
	I("xorq %rdx, (%rbx)", AF, ANY)                                                  \
	I("xorb (%rbx), %ah", AF, ANY)                                                   \
	I("testl $0x10, (%rbx)", AF, ANY)                                                \
	I("testb %al, (%rbx)", AF, ANY)                                                  \
	I("testq %rax, (%rbx)", AF, ANY)                                                 \
	I("cmpb $0x80, (%rbx)", 0, ANY)                                                  \
	I("cmpl %eax, (%rbx)", 0, ANY)                                                   \
	I("cmpl (%rbx), %eax", 0, ANY)                                                   \
	I("cmpq $-1, (%rbx)", 0, ANY)                                                    \
	I("incb (%rbx)", 0, ANY)                                                         \
	I("incq (%rbx)", 0, ANY)                                                         \
	I("decl (%rbx)", 0, ANY)                                                         \
	I("lock decw (%rbx)", 0, ANY)                                                    \
	I("negl (%rbx)", 0, ANY)                                                         \
	I("negq (%rbx)", 0, ANY)                                                         \
	I("notw (%rbx)", 0, ANY)                                                         \
	I("shll (%rbx)", AF, ANY)                                                        \
	I("shlq $5, (%rbx)", NOT_OF_AF, ANY)                                             \
	I("shrb $3, (%rbx)", NOT_OF_AF, ANY)                                             \
	I("shrw (%rbx)", AF, ANY)                                                        \
	I("sarl $31, (%rbx)", NOT_OF_AF, ANY)                                            \
	I("sarq (%rbx)", AF, ANY)                                                        \
	I("sarb $9, (%rbx)", NOT_OF_AF, ANY)                                             \
	I("rolw $3, (%rbx)", FLAG_OF, ANY)                                               \
	I("roll (%rbx)", 0, ANY)                                                         \
	I("rorq $9, (%rbx)", FLAG_OF, ANY)                                               \
	I("rorb (%rbx)", 0, ANY)                                                         \
	I("imul (%rbx), %eax", NOT_MUL, ANY)                                             \
	I("imul (%rbx), %r9w", NOT_MUL, ANY)                                             \
	I("imul $-7, (%rbx), %rdx", NOT_MUL, ANY)                                        \
	I("btl $5, (%rbx)", NOT_BT, ANY)                                                 \
	I("btsq $63, (%rbx)", NOT_BT, ANY)                                               \
	I("btrw $40, (%rbx)", NOT_BT, ANY)                                               \
	I("lock btcl $7, (%rbx)", NOT_BT, ANY)                                           \
	I("btl %ebp, (%rbx)", NOT_BT, ANY)                                               \
	I("btsl %ebp, (%rbx)", NOT_BT, ANY)                                              \
	I("btcq %rbp, (%rbx)", NOT_BT, ANY)                                              \
	I("btrw %bp, (%rbx)", NOT_BT, ANY)                                               \
	I("xchgb %al, (%rbx)", 0, ANY)                                                   \
	I("xchgb %ch, (%rbx)", 0, ANY)                                                   \
	I("xchgl (%rbx), %eax", 0, ANY)                                                  \
	I("xchgq %r14, (%rbx)", 0, ANY)                                                  \
	I("xaddw %cx, (%rbx)", 0, ANY)                                                   \
	I("lock xaddl %eax, (%rbx)", 0, ANY)                                             \
	I("lock xaddq %r8, (%rbx)", 0, ANY)                                              \
	I("lock cmpxchgb %cl, (%rbx)", 0, ANY)                                           \
	I("lock cmpxchgl %ecx, (%rbx)", 0, ANY)                                          \
	I("cmpxchgq %rdx, (%rbx)", 0, ANY)                                               \
	I("mov (%rbx,%rbp,4), %eax", 0, ANY)                                             \
	I("mov %rcx, -16(%rbx,%rbp,2)", 0, ANY)                                          \
	I("movsb", 0, ANY)                                                               \
	I("movsq", 0, ANY)                                                               \
	I("rep movsb", 0, ANY)                                                           \
	I("rep movsl", 0, ANY)                                                           \
	I("rep movsq", 0, ANY)                                                           \
	I("stosw", 0, ANY)                                                               \
	I("rep stosb", 0, ANY)                                                           \
	I("rep stosl", 0, ANY)                                                           \
	I("rep stosq", 0, ANY)                                                           \
	I("lodsb", 0, ANY)                                                               \
	I("lodsl", 0, ANY)                                                               \
	I("cmpsb", 0, ANY)                                                               \
	I("repe cmpsb", 0, ANY)                                                          \
	I("repne cmpsw", 0, ANY)                                                         \
	I("scasl", 0, ANY)                                                               \
	I("repne scasb", 0, ANY)                                                         \
	I("movd (%rbx), %xmm1", 0, ANY)                                                  \
	I("movd %xmm1, (%rbx)", 0, ANY)                                                  \
	I("movq (%rbx), %xmm9", 0, ANY)                                                  \
	I("movq %xmm9, (%rbx)", 0, ANY)                                                  \
	I("movss (%rbx), %xmm2", 0, ANY)                                                 \
	I("movss %xmm2, (%rbx)", 0, ANY)                                                 \
	I("movsd (%rbx), %xmm3", 0, ANY)                                                 \
	I("movsd %xmm3, (%rbx)", 0, ANY)                                                 \
	I("movups 1(%rbx), %xmm4", 0, ANY)                                               \
	I("movaps %xmm4, (%rbx)", 0, ANY)                                                \
	I("movdqu (%rbx), %xmm15", 0, ANY)                                               \
	I("movdqa %xmm5, (%rbx)", 0, ANY)                                                \
	I("movntdq %xmm5, (%rbx)", 0, ANY)                                               \
	I("movntps %xmm5, (%rbx)", 0, ANY)                                               \
	I("movlps (%rbx), %xmm6", 0, ANY)                                                \
	I("movhps (%rbx), %xmm6", 0, ANY)                                                \
	I("movlpd %xmm6, (%rbx)", 0, ANY)                                                \
	I("movhpd %xmm6, (%rbx)", 0, ANY)                                                \
	I("vmovd (%rbx), %xmm1", 0, AVX)                                                 \
	I("vmovq (%rbx), %xmm1", 0, AVX)                                                 \
	I("vmovq %xmm1, (%rbx)", 0, AVX)                                                 \
	I("vmovss (%rbx), %xmm1", 0, AVX)                                                \
	I("vmovsd %xmm1, (%rbx)", 0, AVX)                                                \
	I("vmovdqu (%rbx), %xmm7", 0, AVX)                                               \
	I("vmovdqu 3(%rbx), %ymm7", 0, AVX)                                              \
	I("vmovdqu %ymm8, 3(%rbx)", 0, AVX)                                              \
	I("vmovaps %ymm8, (%rbx)", 0, AVX)                                               \
	I("vmovntdq %ymm8, (%rbx)", 0, AVX)                                              \
	I("vmovlps (%rbx), %xmm2, %xmm3", 0, AVX)                                        \
	I("vmovhpd (%rbx), %xmm2, %xmm3", 0, AVX)                                        \
	I("vmovhps %xmm3, (%rbx)", 0, AVX)                                               \
	I("vmovdqu64 (%rbx), %zmm1", 0, AVX512)                                          \
	I("vmovdqu64 %zmm17, (%rbx)", 0, AVX512)                                         \
	I("vmovdqu64 (%rbx), %zmm17", 0, AVX512)                                         \
	I("vmovdqu8 (%rbx), %ymm18", 0, AVX512)                                          \
	I("vmovups 64(%rbx), %xmm31", 0, AVX512)                                         \
	I("vmovntdq %zmm3, (%rbx)", 0, AVX512)                                           \
	I("mulb (%rbx)", NOT_MUL, ANY)                                                   \
	I("mulw (%rbx)", NOT_MUL, ANY)                                                   \
	I("mull (%rbx)", NOT_MUL, ANY)                                                   \
	I("mulq (%rbx)", NOT_MUL, ANY)                                                   \
	I("imulb (%rbx)", NOT_MUL, ANY)                                                  \
	I("imulw (%rbx)", NOT_MUL, ANY)                                                  \
	I("imull (%rbx)", NOT_MUL, ANY)                                                  \
	I("imulq (%rbx)", NOT_MUL, ANY)                                                  \
	I("bsfw (%rbx), %ax", NOT_SCAN, ANY)                                             \
	I("bsfq (%rbx), %rax", NOT_SCAN, ANY)                                            \
	I("bsrl (%rbx), %edx", NOT_SCAN, ANY)                                            \
	I("bsrq (%rbx), %r9", NOT_SCAN, ANY)                                             \
	I("tzcntl (%rbx), %eax", NOT_COUNT, BMI)                                         \
	I("tzcntw (%rbx), %cx", NOT_COUNT, BMI)                                          \
	I("lzcntq (%rbx), %rax", NOT_COUNT, BMI)                                         \
	I("lzcntw (%rbx), %ax", NOT_COUNT, BMI)                                          \
	I("lzcntl (%rbx), %eax", NOT_COUNT, BMI)                                         \
	I("popcntq (%rbx), %rax", 0, BMI)                                                \
	I("popcntw (%rbx), %ax", 0, BMI)                                                 \
	I("andn (%rbx), %rax, %rdx", FLAG_AF | FLAG_PF, BMI)                             \
	I("andn (%rbx), %eax, %edx", FLAG_AF | FLAG_PF, BMI)                             \
	I("shlx %rbp, (%rbx), %rax", 0, BMI)                                             \
	I("shrx %ebp, (%rbx), %eax", 0, BMI)                                             \
	I("sarx %rcx, (%rbx), %r9", 0, BMI)                                              \
	I("rorx $9, (%rbx), %rax", 0, BMI)                                               \
	I("rorx $33, (%rbx), %eax", 0, BMI)                                              \
	I("lock cmpxchg8b 8(%rbx)", 0, ANY)                                              \
	I("cmpxchg16b (%rbx)", 0, ANY)                                                   \
	I("movddup (%rbx), %xmm1", 0, ANY)                                               \
	I("pinsrb $7, (%rbx), %xmm1", 0, ANY)                                            \
	I("pinsrw $5, (%rbx), %xmm1", 0, ANY)                                            \
	I("pinsrq $1, (%rbx), %xmm1", 0, ANY)                                            \
	I("pextrb $9, %xmm1, (%rbx)", 0, ANY)                                            \
	I("pextrw $2, %xmm1, (%rbx)", 0, ANY)                                            \
	I("pextrd $3, %xmm1, (%rbx)", 0, ANY)                                            \
	I("extractps $2, %xmm1, (%rbx)", 0, ANY)                                         \
	I("pcmpeqb (%rbx), %xmm1", 0, ANY)                                               \
	I("pcmpeqw (%rbx), %xmm1", 0, ANY)                                               \
	I("pcmpeqd (%rbx), %xmm9", 0, ANY)                                               \
	I("pcmpeqq (%rbx), %xmm1", 0, ANY)                                               \
	I("pxor (%rbx), %xmm1", 0, ANY)                                                  \
	I("por (%rbx), %xmm1", 0, ANY)                                                   \
	I("pand (%rbx), %xmm1", 0, ANY)                                                  \
	I("pandn (%rbx), %xmm1", 0, ANY)                                                 \
	I("xorps (%rbx), %xmm1", 0, ANY)                                                 \
	I("ptest (%rbx), %xmm1", 0, ANY)                                                 \
	I("vmaskmovps (%rbx), %ymm1, %ymm2", 0, AVX)                                     \
	I("vmaskmovps %ymm1, %ymm2, (%rbx)", 0, AVX)                                     \
	I("vmaskmovpd %xmm1, %xmm2, (%rbx)", 0, AVX)                                     \
	I("vpmaskmovd (%rbx), %xmm1, %xmm2", 0, AVX)                                     \
	I("vpmaskmovq (%rbx), %ymm1, %ymm2", 0, AVX)                                     \
	I("vpmaskmovq %ymm1, %ymm2, 3(%rbx)", 0, AVX)                                    \
	I("vpbroadcastb (%rbx), %ymm1", 0, AVX)                                          \
	I("vpbroadcastw (%rbx), %xmm1", 0, AVX)                                          \
	I("vpbroadcastq (%rbx), %ymm1", 0, AVX)                                          \
	I("vbroadcastss (%rbx), %ymm1", 0, AVX)                                          \
	I("vbroadcasti128 (%rbx), %ymm1", 0, AVX)                                        \
	I("vmovddup (%rbx), %xmm1", 0, AVX)                                              \
	I("vpinsrd $3, (%rbx), %xmm1, %xmm2", 0, AVX)                                    \
	I("vinserti128 $1, (%rbx), %ymm1, %ymm2", 0, AVX)                                \
	I("vextracti128 $1, %ymm1, (%rbx)", 0, AVX)                                      \
	I("vpextrq $1, %xmm1, (%rbx)", 0, AVX)                                           \
	I("vpcmpeqb (%rbx), %ymm1, %ymm2", 0, AVX)                                       \
	I("vpxor (%rbx), %xmm1, %xmm2", 0, AVX)                                          \
	I("vpandn (%rbx), %ymm1, %ymm2", 0, AVX)                                         \
	I("vptest (%rbx), %ymm1", 0, AVX)                                                \
	I("vmovdqu8 (%rbx), %zmm1{%k1}", 0, AVX512)                                      \
	I("vmovdqu8 3(%rbx), %ymm1{%k2}{z}", 0, AVX512)                                  \
	I("vmovdqu8 %zmm20, 5(%rbx){%k3}", 0, AVX512)                                    \
	I("vmovdqu16 (%rbx), %xmm4{%k4}", 0, AVX512)                                     \
	I("vmovdqu16 (%rbx), %zmm4{%k4}{z}", 0, AVX512)                                  \
	I("vmovdqu16 %ymm4, (%rbx){%k5}", 0, AVX512)                                     \
	I("vmovdqu32 (%rbx), %zmm30{%k6}", 0, AVX512)                                    \
	I("vmovdqu32 %xmm30, 1(%rbx){%k6}", 0, AVX512)                                   \
	I("vmovdqu64 (%rbx), %ymm9{%k7}{z}", 0, AVX512)                                  \
	I("vmovdqu64 (%rbx), %zmm9{%k1}", 0, AVX512)                                     \
	I("vmovdqu64 %zmm9, (%rbx){%k7}", 0, AVX512)                                     \
	I("vmovdqa32 (%rbx), %zmm2{%k1}{z}", 0, AVX512)                                  \
	I("vmovdqa64 %ymm2, (%rbx){%k2}", 0, AVX512)                                     \
	I("vmovups (%rbx), %zmm2{%k3}", 0, AVX512)                                       \
	I("vmovapd %zmm2, (%rbx){%k4}", 0, AVX512)                                       \
	I("vmovss (%rbx), %xmm3{%k1}", 0, AVX512)                                        \
	I("vmovss (%rbx), %xmm3{%k1}{z}", 0, AVX512)                                     \
	I("vmovsd %xmm3, (%rbx){%k2}", 0, AVX512)                                        \
	I("vpbroadcastd (%rbx), %zmm3", 0, AVX512)                                       \
	I("vpbroadcastb (%rbx), %zmm19", 0, AVX512)                                      \
	I("vpcmpub $4, (%rbx), %ymm1, %k1", 0, AVX512)                                   \
	I("vpcmpub $4, (%rbx), %zmm1, %k1{%k2}", 0, AVX512)                              \
	I("vpcmpb $1, (%rbx), %zmm1, %k3", 0, AVX512)                                    \
	I("vpcmpuw $6, (%rbx), %xmm1, %k4", 0, AVX512)                                   \
	I("vpcmpd $2, (%rbx), %zmm1, %k5{%k3}", 0, AVX512)                               \
	I("vpcmpuq $5, (%rbx), %zmm1, %k6", 0, AVX512)                                   \
	I("vpcmpeqb (%rbx), %zmm2, %k7", 0, AVX512)                                      \
	I("vpcmpeqd (%rbx), %ymm2, %k7{%k1}", 0, AVX512)                                 \
	I("vpxorq (%rbx), %zmm1, %zmm18", 0, AVX512)                                     \
	I("vpord (%rbx), %ymm1, %ymm2", 0, AVX512)

/* The code: each instruction, followed by a return. */
/* clang-format off */
#define CODE(text, undefined, need) \
	".quad 1f, 2f\n" \
	".pushsection .text\n" \
	"1: " text "\n" \
	"2: ret\n" \
	".popsection\n"
__asm__(".pushsection .data.rel.local, \"aw\"\n"
	".balign 8\n"
	"codes:\n"
	INSTRUCTIONS(CODE)
	".popsection\n");
/* clang-format on */

extern const unsigned char *const codes[][2] __asm__("codes");

static const struct {
	const char *text;
	uint64_t undefined;
	enum need need;
} rows[] = {
#define ROW(text, undefined, need) {text, undefined, need},
	INSTRUCTIONS(ROW)
#undef ROW
};

/* ---- random input ----------------------------------------------------------------- */

static uint64_t seed;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Edges come up often enough to matter. */
static uint64_t interesting(void)
{
	static const uint64_t edges[] = {0,          1,          0x7f,
					 0x80,       0xff,       0x7fff,
					 0x8000,     0xffff,     0x7fffffff,
					 0x80000000, 0xffffffff, UINT64_MAX >> 1,
					 1ull << 63, UINT64_MAX};

	if (next() % 3)
		return next();
	return edges[next() % (sizeof(edges) / sizeof(edges[0]))];
}

static void fill(void *to, size_t n)
{
	unsigned char *p = to;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = interesting();

		memcpy(p + i, &v, n - i < 8 ? n - i : 8);
	}
}

/* ---- the bus ---------------------------------------------------------------------- */

struct world {
	/* The CPU works on the first, the emulator on the second. */
	_Alignas(64) unsigned char memory[MEMORY_BYTES], copy[MEMORY_BYTES];
	_Alignas(64) unsigned char xsave[NATIVE_XSAVE_BYTES],
		emulated[NATIVE_XSAVE_BYTES];
	unsigned loads, stores;
};

static unsigned char *reach(struct world *w, uint64_t va, size_t n)
{
	uint64_t start = (uintptr_t)w->memory;

	if (va < start || va - start > MEMORY_BYTES - n)
		return NULL;
	return w->copy + (va - start);
}

static int load(void *arg, uint64_t va, void *dst, size_t n)
{
	struct world *w = arg;
	const unsigned char *p = reach(w, va, n);

	w->loads++;
	if (p)
		memcpy(dst, p, n);
	return p ? 0 : -EFAULT;
}

static int store(void *arg, uint64_t va, const void *src, size_t n)
{
	struct world *w = arg;
	unsigned char *p = reach(w, va, n);

	w->stores++;
	if (p)
		memcpy(p, src, n);
	return p ? 0 : -EFAULT;
}

static int store_whole(void *arg, uint64_t va, const void *src, bool deferrable,
		       bool *accepted)
{
	const struct world *w = arg;

	*accepted = !deferrable || (va - (uintptr_t)w->memory) % 128 == 0;
	return *accepted ? store(arg, va, src, 64) : 0;
}

static int get_vectors(void *arg, struct cpu_state *s)
{
	struct world *w = arg;

	s->xsave = w->emulated;
	s->xsave_bytes = native_xsave_bytes();
	return 0;
}

static int put_vectors(void *arg, const struct cpu_state *s)
{
	return 0;
}

static const struct cpu_bus bus = {load, store, store_whole, get_vectors, put_vectors};

/* ---- the comparison --------------------------------------------------------------- */

static bool has(enum need need)
{
	unsigned a, b, c, d;

	switch (need) {
	case AVX:
		return __builtin_cpu_supports("avx2");
	case AVX512:
		return __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512vl");
	case BMI:
		return __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
		       __builtin_cpu_supports("popcnt") &&
		       __get_cpuid(0x80000001, &a, &b, &c, &d) && c & bit_LZCNT;
	case MOVBE:
		return __get_cpuid(1, &a, &b, &c, &d) && c & bit_MOVBE;
	default:
		return true;
	}
}

static void begin(struct world *w, struct cpu_state *s)
{
	uint64_t used = NATIVE_XSAVE_MASK;
	size_t bytes = native_xsave_bytes();
	unsigned a, b, c, d;

	fill(w->memory, sizeof(w->memory));
	memcpy(w->copy, w->memory, sizeof(w->copy));
	w->loads = w->stores = 0;
	memset(s, 0, sizeof(*s));
	fill(s->gpr, sizeof(s->gpr));
	/* In the middle, aligned for those moves that insist on it. */
	s->gpr[CPU_RBX] = (uintptr_t)w->memory + MEMORY_BYTES / 2;
	s->gpr[CPU_RSI] = s->gpr[CPU_RBX] - 128 + next() % 64;
	s->gpr[CPU_RDI] = s->gpr[CPU_RBX] + 64 + next() % 64;
	s->gpr[CPU_RCX] = next() % 8;
	s->gpr[CPU_RBP] = (next() % 128) - 64;
	/* Let comparisons be of what is equal, at times. */
	if (next() % 2)
		memcpy(&s->gpr[CPU_RAX], w->memory + MEMORY_BYTES / 2, 8);
	s->rflags = 0x202 | (next() & (FLAG_ALL | FLAG_DF));
	s->xsave = w->xsave;
	s->xsave_bytes = bytes;
	memset(w->xsave, 0, bytes);
	/* What the system has switched on. */
	__asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	(void)b, (void)c, (void)d;
	fill(w->xsave + 160, 256);
	for (unsigned i = 2; i < 8; i++) {
		unsigned size, at;

		__cpuid_count(0xd, i, size, at, c, d);
		if (used & a & (1u << i) && size && at + size <= bytes)
			fill(w->xsave + at, size);
	}
	/* Some components are not in use: they hold zeroes, whatever is in the area. */
	used &= a;
	if (!(next() % 4))
		used &= ~UINT64_C(0xe4);
	memcpy(w->xsave + 512, &used, sizeof(used));
	/* A sane MXCSR. */
	memcpy(w->xsave + 24, &(uint32_t){0x1f80}, 4);
	memcpy(w->emulated, w->xsave, bytes);
}

static void compare_vectors(const struct world *w)
{
	struct cpu_state s = {.xsave = (unsigned char *)(uintptr_t)w->xsave,
			      .xsave_bytes = native_xsave_bytes()};
	struct cpu_state e = {.xsave = (unsigned char *)(uintptr_t)w->emulated,
			      .xsave_bytes = native_xsave_bytes()};

	for (unsigned i = 0; i < 32; i++) {
		unsigned char a[VECTOR_BYTES], b[VECTOR_BYTES];
		bool there = vectors_get(&s, i, a);

		assert_int_equal(there, vectors_get(&e, i, b));
		if (there)
			assert_memory_equal(a, b, sizeof(a));
	}
	for (unsigned k = 0; k < 8; k++) {
		uint64_t a, b;

		assert_int_equal(vectors_get_mask(&s, k, &a),
				 vectors_get_mask(&e, k, &b));
		assert_int_equal(a, b);
	}
}

static void run_both(struct world *w, size_t i)
{
	const unsigned char *code = codes[i][0];
	struct cpu_state native, emulated;
	uint64_t flags = FLAG_ALL & ~rows[i].undefined;
	uint64_t started = seed;
	int err;

	begin(w, &native);
	emulated = native;
	emulated.rip = (uintptr_t)code;
	err = cpu_emulate(&emulated, code, (size_t)(codes[i][1] - code), &bus, w);
	native_run(code, &native);
	if (err || memcmp(native.gpr, emulated.gpr, sizeof(native.gpr)) ||
	    (native.rflags ^ emulated.rflags) & flags ||
	    memcmp(w->memory, w->copy, sizeof(w->copy))) {
		print_message("%s: err %d, flags %#llx, expected %#llx (SEED=%llu)\n",
			      rows[i].text, err, (unsigned long long)emulated.rflags,
			      (unsigned long long)native.rflags,
			      (unsigned long long)started);
		for (unsigned r = 0; r < CPU_GPRS; r++)
			if (native.gpr[r] != emulated.gpr[r])
				print_message("register %u: %#llx, expected %#llx\n", r,
					      (unsigned long long)emulated.gpr[r],
					      (unsigned long long)native.gpr[r]);
		fail();
	}
	assert_int_equal(emulated.rip, (uintptr_t)codes[i][1]);
	compare_vectors(w);
}

static void test_as_the_cpu(void **state)
{
	struct world *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);

	assert_non_null(w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!has(rows[i].need))
			continue;
		for (int n = 0; n < ROUNDS; n++)
			run_both(w, i);
	}
	free(w);
}

/* ---- what the comparison cannot show ---------------------------------------------- */

static int emulate(struct world *w, struct cpu_state *s, const char *code, size_t n)
{
	s->rip = 0x1000;
	return cpu_emulate(s, code, n, &bus, w);
}

#define EMULATE(w, s, code) emulate(w, s, code, sizeof(code) - 1)

/* A register read to be changed is read once and written once. */
static void test_accesses(void **state)
{
	static struct world w;
	struct cpu_state s;

	begin(&w, &s);
	assert_int_equal(EMULATE(&w, &s, "\x83\x0b\x01"), 0); /* orl $1, (%rbx) */
	assert_int_equal(w.loads, 1);
	assert_int_equal(w.stores, 1);
	assert_int_equal(EMULATE(&w, &s, "\xf7\x03\x01\x00\x00\x00"), 0); /* testl */
	assert_int_equal(w.loads, 2);
	assert_int_equal(w.stores, 1);
	/* cmovz reads, whether it moves or not */
	s.rflags &= ~FLAG_ZF;
	assert_int_equal(EMULATE(&w, &s, "\x0f\x44\x03"), 0);
	assert_int_equal(w.loads, 3);
}

static void test_whole(void **state)
{
	static const char movdir64b[] = "\x66\x0f\x38\xf8\x06"; /* (%rsi), %rax */
	static const char enqcmd[] = "\xf2\x0f\x38\xf8\x06";
	static const char enqcmds[] = "\xf3\x0f\x38\xf8\x06";
	static struct world w;
	unsigned char *source = w.copy + 256 + 5;
	struct cpu_state s;
	uint64_t va;

	begin(&w, &s);
	s.gpr[CPU_RSI] = (uintptr_t)w.memory + 256 + 5;
	s.gpr[CPU_RAX] = (uintptr_t)w.memory + 512;
	assert_true(cpu_writes_whole(&s, movdir64b, 5, &va));
	assert_int_equal(va, s.gpr[CPU_RAX]);
	assert_int_equal(EMULATE(&w, &s, movdir64b), 0);
	assert_int_equal(s.rip, 0x1005);
	assert_memory_equal(w.copy + 512, w.copy + 256 + 5, 64);
	assert_int_equal(w.stores, 1);

	/* Accepted; then refused. */
	memset(source, 0, 4);
	s.rflags |= FLAG_CF | FLAG_ZF;
	memset(w.copy + 512, 0x55, 64);
	assert_true(cpu_writes_whole(&s, enqcmd, 5, &va));
	assert_int_equal(EMULATE(&w, &s, enqcmd), 0);
	assert_int_equal(s.rflags & FLAG_ALL, 0);
	assert_memory_equal(w.copy + 512, source, 64);
	s.gpr[CPU_RAX] += 64;
	assert_int_equal(EMULATE(&w, &s, enqcmd), 0);
	assert_int_equal(s.rflags & FLAG_ALL, FLAG_ZF);

	/* A PASID is the other instruction's to give; what is reserved, nobody's. */
	s.gpr[CPU_RAX] -= 64;
	memcpy(source, "\x45\x23\x01\x80", 4);
	assert_int_equal(EMULATE(&w, &s, enqcmd), -EINVAL);
	assert_int_equal(s.rflags & FLAG_ALL, FLAG_ZF);
	assert_true(cpu_writes_whole(&s, enqcmds, 5, &va));
	assert_int_equal(EMULATE(&w, &s, enqcmds), 0);
	assert_int_equal(s.rflags & FLAG_ALL, 0);
	assert_memory_equal(w.copy + 512, source, 64);
	source[2] |= 0x10;
	assert_int_equal(EMULATE(&w, &s, enqcmds), -EINVAL);

	s.gpr[CPU_RAX] += 1;
	assert_int_equal(EMULATE(&w, &s, movdir64b), -EINVAL);
	assert_false(cpu_writes_whole(&s, "\x8b\x03", 2, &va));
}

/* An error leaves everything as it was; a repeated instruction stands at its element. */
static void test_errors(void **state)
{
	static struct world w;
	struct cpu_state s, before;

	begin(&w, &s);
	s.gpr[CPU_RBX] = 8;
	s.rip = 0x1000;
	before = s;
	assert_int_equal(EMULATE(&w, &s, "\x01\x03"), -EFAULT);
	assert_memory_equal(&s, &before, sizeof(s));

	s.rflags &= ~FLAG_DF;
	s.gpr[CPU_RDI] = (uintptr_t)w.memory + MEMORY_BYTES - 5;
	s.gpr[CPU_RCX] = 100;
	assert_int_equal(EMULATE(&w, &s, "\xf3\xaa"), -EFAULT); /* rep stosb */
	assert_int_equal(s.gpr[CPU_RCX], 95);
	assert_int_equal(s.gpr[CPU_RDI], (uintptr_t)w.memory + MEMORY_BYTES);
	assert_int_equal(s.rip, 0x1000);

	assert_int_equal(EMULATE(&w, &s, "\x0f\x0b"), -EOPNOTSUPP); /* ud2 */
	assert_int_equal(EMULATE(&w, &s, "\x66"), -EOPNOTSUPP);     /* cut off */
	/* vpaddd (%rbx), %xmm1, %xmm1 */
	assert_int_equal(EMULATE(&w, &s, "\xc5\xf1\xfe\x0b"), -EOPNOTSUPP);
}

/* What a mask does not name is not accessed; what it does, row by row. */
static void test_mask(void **state)
{
	static const char load_k1[] = "\x62\xf1\xfe\x49\x6f\x0b"; /* (%rbx), %zmm1 */
	static struct world w;
	struct cpu_state s;

	if (!has(AVX512))
		skip();
	begin(&w, &s);
	assert_int_equal(get_vectors(&w, &s), 0);
	s.gpr[CPU_RBX] = (uintptr_t)w.memory + MEMORY_BYTES - 16;
	assert_true(vectors_put_mask(&s, 1, 0x3));
	assert_int_equal(EMULATE(&w, &s, load_k1), 0);
	assert_int_equal(w.loads, 1);
	assert_true(vectors_put_mask(&s, 1, 0x7));
	assert_int_equal(EMULATE(&w, &s, load_k1), -EFAULT);
	s.gpr[CPU_RBX] = (uintptr_t)w.memory;
	w.loads = 0;
	assert_true(vectors_put_mask(&s, 1, 0xb6));
	assert_int_equal(EMULATE(&w, &s, load_k1), 0);
	assert_int_equal(w.loads, 3);
	assert_true(vectors_put_mask(&s, 1, 0));
	assert_int_equal(EMULATE(&w, &s, load_k1), 0);
	assert_int_equal(w.loads, 3);
}

static void test_jump(void **state)
{
	static struct world w;
	struct cpu_state s;
	uint64_t to = 0x123456789a, back;

	begin(&w, &s);
	memcpy(w.copy + MEMORY_BYTES / 2, &to, 8);
	s.gpr[CPU_RSP] = (uintptr_t)w.memory + 64;
	assert_int_equal(EMULATE(&w, &s, "\xff\x23"), 0); /* jmp *(%rbx) */
	assert_int_equal(s.rip, to);
	assert_int_equal(EMULATE(&w, &s, "\xff\x13"), 0); /* call *(%rbx) */
	assert_int_equal(s.rip, to);
	assert_int_equal(s.gpr[CPU_RSP], (uintptr_t)w.memory + 56);
	memcpy(&back, w.copy + 56, 8);
	assert_int_equal(back, 0x1002);
	s.gpr[CPU_RBX] = 8;
	assert_int_equal(EMULATE(&w, &s, "\xff\x13"), -EFAULT);
	assert_int_equal(s.rip, 0x1000);
	assert_int_equal(s.gpr[CPU_RSP], (uintptr_t)w.memory + 56);
}

/* Anything: it is refused, or done, and nothing worse. */
static void test_garbage(void **state)
{
	static struct world w;

	for (int i = 0; i < 40000; i++) {
		unsigned char code[CPU_INSN_MAX];
		struct cpu_state s;

		if (i % 64 == 0)
			begin(&w, &s);
		s.gpr[CPU_RCX] %= 64;
		fill(code, sizeof(code));
		code[0] = (unsigned char)i;
		code[1] = (unsigned char)(i >> 8);
		cpu_emulate(&s, code, 1 + next() % sizeof(code), &bus, &w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_cpu), cmocka_unit_test(test_accesses),
		cmocka_unit_test(test_whole),      cmocka_unit_test(test_errors),
		cmocka_unit_test(test_mask),       cmocka_unit_test(test_jump),
		cmocka_unit_test(test_garbage),
	};
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) << 20 | 1;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
