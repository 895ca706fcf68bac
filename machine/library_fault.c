/* SPDX-License-Identifier: MIT */
/*
 * uiommufd_mmio_fault(): the program's own handler asks whether the signal was an access
 * to a device's registers, and if so it is done here, on the thread that made it.
 *
 * The registers of the thread are those in the signal's frame, from which the kernel
 * takes them again when the handler returns. The signal is synchronous: the program was
 * at that instruction, and not in the middle of anything of ours.
 */
#include "uiommufd/uiommufd.h"

#include "machine/library.h"

#ifdef __x86_64__

#include <asm/prctl.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/port.h"
#include "machine/local_client.h"
#include "machine/mmio_access.h"
#include "port/port.h"

/* Of the frame's floating-point state: where the kernel says how much there is. */
#define SOFTWARE_BYTES 464
#define MAGIC          0x46505853u
#define LEGACY_BYTES   512u

static const int gpr_index[CPU_GPRS] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static int load(void *arg, uint64_t va, void *dst, size_t n)
{
	return port_copy_guarded(dst, (const void *)(uintptr_t)va, n);
}

static int store(void *arg, uint64_t va, const void *src, size_t n)
{
	return port_copy_guarded((void *)(uintptr_t)va, src, n);
}

static int get_vectors(void *arg, struct cpu_state *s)
{
	const ucontext_t *uc = arg;
	unsigned char *area = (unsigned char *)uc->uc_mcontext.fpregs;
	struct {
		uint32_t magic, extended;
		uint64_t features;
		uint32_t bytes;
	} sw;

	if (!area)
		return -EOPNOTSUPP;
	memcpy(&sw, area + SOFTWARE_BYTES, sizeof(sw));
	s->xsave = area;
	s->xsave_bytes = sw.magic == MAGIC ? sw.bytes : LEGACY_BYTES;
	return 0;
}

/* They were changed where they are. */
static int put_vectors(void *arg, const struct cpu_state *s)
{
	return 0;
}

static const struct cpu_bus rest = {
	.load = load,
	.store = store,
	.get_vectors = get_vectors,
	.put_vectors = put_vectors,
};

static void state_from(const ucontext_t *uc, struct cpu_state *s)
{
	const greg_t *g = uc->uc_mcontext.gregs;

	*s = (struct cpu_state){
		.rip = (uint64_t)g[REG_RIP],
		.rflags = (uint64_t)g[REG_EFL],
	};
	for (unsigned i = 0; i < CPU_GPRS; i++)
		s->gpr[i] = (uint64_t)g[gpr_index[i]];
	syscall(SYS_arch_prctl, ARCH_GET_FS, &s->fs_base);
	syscall(SYS_arch_prctl, ARCH_GET_GS, &s->gs_base);
}

static void state_to(const struct cpu_state *s, ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;

	for (unsigned i = 0; i < CPU_GPRS; i++)
		g[gpr_index[i]] = (greg_t)s->gpr[i];
	g[REG_RIP] = (greg_t)s->rip;
	g[REG_EFL] = (greg_t)s->rflags;
}

/* An instruction may end just before memory that is not there. */
static size_t fetch(uint64_t rip, unsigned char *code)
{
	size_t first = PORT_PAGE_SIZE - (rip & (PORT_PAGE_SIZE - 1));

	if (first >= CPU_INSN_MAX)
		return load(NULL, rip, code, CPU_INSN_MAX) ? 0 : CPU_INSN_MAX;
	if (load(NULL, rip, code, first))
		return 0;
	return load(NULL, rip + first, code + first, CPU_INSN_MAX - first) ? first
									   : CPU_INSN_MAX;
}

int uiommufd_mmio_fault(struct uiommufd_machine *m, int sig, const void *siginfo,
			void *context)
{
	struct mmio_access a = {
		.machine = library_machine(m),
		.maps = local_client_maps(library_client(m)),
		.rest = &rest,
		.arg = context,
	};
	const siginfo_t *info = siginfo;
	unsigned char code[CPU_INSN_MAX];
	int before = errno, done = 0;
	struct cpu_state s;
	size_t n;

	/* What the library itself copies fails, as with any memory that is not there. */
	if (port_guard_covers(info->si_addr))
		return 0;
	state_from(context, &s);
	n = fetch(s.rip, code);
	if (n && mmio_access_raised(&a, sig, info, &s, code, n)) {
		done = !mmio_access_do(&a, &s, code, n);
		/* Also where a repeated instruction has stopped. */
		state_to(&s, context);
	}
	mmio_access_finish(&a);
	errno = before;
	return done;
}

#else

int uiommufd_mmio_fault(struct uiommufd_machine *m, int sig, const void *siginfo,
			void *context)
{
	return 0;
}

#endif
