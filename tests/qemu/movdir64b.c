// SPDX-License-Identifier: MIT
/*
 * A kernel module for the guest: MOVDIR64B on a CPU that has none, in kernel mode.
 *
 * QEMU's own CPU (TCG) has no MOVDIR64B, and Linux's idxd does not load without. This
 * module says that the CPU has it, before idxd is loaded: what a module asks of
 * cpu_feature_enabled() is patched into it when it is loaded. Then each MOVDIR64B of the
 * kernel is an invalid opcode, which this module carries out, as eight stores of 8 bytes.
 *
 * What is not the same: the 64 bytes come in pieces, one after the other. Our DSA puts
 * them together (docs/devices/dsa.md); no hardware does.
 *
 * Known is the instruction with prefix 66 and maybe a REX, as compilers and the kernel
 * write it. Others, and those of user space, stay invalid. What has been patched stays
 * patched, so this module cannot be removed.
 */
#include <linux/io.h>
#include <linux/kdebug.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/ptrace.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>
#include <asm/trapnr.h>

#define MOVDIR64B_BYTES 64

/* Bits of REX: the fourth bit of a register's number. */
enum {
	REX_BASE = 1 << 0,
	REX_INDEX = 1 << 1,
	REX_REG = 1 << 2,
};

/* Of ModRM and SIB: numbers that mean something else than a register. */
enum {
	RM_SIB = 4,
	RM_DISPLACEMENT = 5, /* in place of a base, if ModRM's mod is 0 */
	INDEX_NONE = 4,
};

struct operands {
	u64 to, from;
	unsigned int length; /* of the instruction */
};

static unsigned long count;
module_param(count, ulong, 0444);
MODULE_PARM_DESC(count, "instructions carried out");

static u64 reg(const struct pt_regs *regs, unsigned int number, u8 high)
{
	const u64 values[16] = {
		regs->ax,  regs->cx,  regs->dx,  regs->bx,  regs->sp,  regs->bp,
		regs->si,  regs->di,  regs->r8,  regs->r9,  regs->r10, regs->r11,
		regs->r12, regs->r13, regs->r14, regs->r15,
	};

	return values[high ? number + 8 : number];
}

/* The operand in memory, from ModRM at *@p on, which is moved to the end. */
static u64 memory_operand(const struct pt_regs *regs, u8 rex, const u8 **p)
{
	u8 modrm = *(*p)++;
	u8 mod = modrm >> 6, base = modrm & 7;
	bool has_sib = base == RM_SIB;
	u64 address = 0;

	if (has_sib) {
		u8 sib = *(*p)++, index = sib >> 3 & 7;

		base = sib & 7;
		if (index != INDEX_NONE || rex & REX_INDEX)
			address = reg(regs, index, rex & REX_INDEX) << (sib >> 6);
	}
	if (mod == 0 && base == RM_DISPLACEMENT) {
		address += *(const s32 *)*p;
		*p += 4;
		return has_sib ? address
			       : address + (u64)*p; /* to the next instruction */
	}
	address += reg(regs, base, rex & REX_BASE);
	if (mod == 1)
		address += (s8) * (*p)++;
	if (mod == 2) {
		address += *(const s32 *)*p;
		*p += 4;
	}
	return address;
}

/* Is this 66 [REX] 0F 38 F8 /r? Reads no further than the CPU has read. */
static bool decode(const struct pt_regs *regs, struct operands *o)
{
	const u8 *p = (const u8 *)regs->ip;
	u8 rex = 0;

	if (*p++ != 0x66)
		return false;
	if (*p >> 4 == 4)
		rex = *p++;
	if (*p++ != 0x0f || *p++ != 0x38 || *p++ != 0xf8 || *p >> 6 == 3)
		return false;
	o->to = reg(regs, *p >> 3 & 7, rex & REX_REG);
	o->from = memory_operand(regs, rex, &p);
	o->length = p - (const u8 *)regs->ip;
	return true;
}

/* Interrupts are off. */
static int on_die(struct notifier_block *self, unsigned long event, void *data)
{
	struct die_args *args = data;
	u64 words[MOVDIR64B_BYTES / 8];
	struct operands o;
	int i;

	if (event != DIE_TRAP || args->trapnr != X86_TRAP_UD || user_mode(args->regs))
		return NOTIFY_DONE;
	if (!decode(args->regs, &o) || o.to % MOVDIR64B_BYTES)
		return NOTIFY_DONE;
	memcpy(words, (const void *)o.from, sizeof(words));
	for (i = 0; i < ARRAY_SIZE(words); i++)
		writeq(words[i], (volatile void __iomem *)(o.to + 8 * i));
	args->regs->ip += o.length;
	count++;
	return NOTIFY_STOP;
}

static struct notifier_block notifier = {.notifier_call = on_die};

static int __init movdir64b_init(void)
{
	int err;

	if (boot_cpu_has(X86_FEATURE_MOVDIR64B))
		return -EEXIST;
	err = register_die_notifier(&notifier);
	if (!err)
		set_cpu_cap(&boot_cpu_data, X86_FEATURE_MOVDIR64B);
	return err;
}

module_init(movdir64b_init);
MODULE_DESCRIPTION("MOVDIR64B on a CPU without");
MODULE_LICENSE("Dual MIT/GPL");
