/* SPDX-License-Identifier: MIT */
/*
 * See mmio_fault.h. Used by the tracer's thread only.
 *
 * The client's memory is reached by process_vm_readv(2), its registers by ptrace(2).
 */
#include "host/mmio_fault.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef __x86_64__

#include <elf.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "host/host.h"
#include "machine/mmio_access.h"

#define CS_64BIT 0x33
/* More than any CPU's XSAVE area so far. */
#define XSAVE_BYTES 16384

struct stopped {
	pid_t tid;
	_Alignas(64) unsigned char xsave[XSAVE_BYTES];
};

static int open_maps(struct tracee *t)
{
	char path[32];

	if (t->maps >= 0)
		return t->maps;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)t->tid);
	t->maps = open(path, O_RDONLY | O_CLOEXEC);
	return t->maps;
}

/* ---- memory and vectors -------------------------------------------------------------
 */

static int load(void *arg, uint64_t va, void *dst, size_t n)
{
	const struct stopped *t = arg;
	struct iovec ours = {dst, n}, theirs = {(void *)(uintptr_t)va, n};

	return process_vm_readv(t->tid, &ours, 1, &theirs, 1, 0) == (ssize_t)n ? 0
									       : -EFAULT;
}

static int store(void *arg, uint64_t va, const void *src, size_t n)
{
	const struct stopped *t = arg;
	struct iovec ours = {(void *)(uintptr_t)src, n};
	struct iovec theirs = {(void *)(uintptr_t)va, n};

	return process_vm_writev(t->tid, &ours, 1, &theirs, 1, 0) == (ssize_t)n ? 0
										: -EFAULT;
}

static int get_vectors(void *arg, struct cpu_state *s)
{
	struct stopped *t = arg;
	struct iovec v = {t->xsave, sizeof(t->xsave)};

	if (ptrace(PTRACE_GETREGSET, t->tid, NT_X86_XSTATE, &v))
		return -errno;
	s->xsave = t->xsave;
	s->xsave_bytes = v.iov_len;
	return 0;
}

static int put_vectors(void *arg, const struct cpu_state *s)
{
	const struct stopped *t = arg;
	struct iovec v = {s->xsave, s->xsave_bytes};

	return ptrace(PTRACE_SETREGSET, t->tid, NT_X86_XSTATE, &v) ? -errno : 0;
}

static const struct cpu_bus rest = {
	.load = load,
	.store = store,
	.get_vectors = get_vectors,
	.put_vectors = put_vectors,
};

/* ---- registers -------------------------------------------------------------------- */

static void state_from(const struct user_regs_struct *r, struct cpu_state *s)
{
	const uint64_t gpr[CPU_GPRS] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp,
					r->rsi, r->rdi, r->r8,  r->r9,  r->r10, r->r11,
					r->r12, r->r13, r->r14, r->r15};

	*s = (struct cpu_state){.rip = r->rip,
				.rflags = r->eflags,
				.fs_base = r->fs_base,
				.gs_base = r->gs_base};
	memcpy(s->gpr, gpr, sizeof(gpr));
}

static void state_to(const struct cpu_state *s, struct user_regs_struct *r)
{
	r->rax = s->gpr[0];
	r->rcx = s->gpr[1];
	r->rdx = s->gpr[2];
	r->rbx = s->gpr[3];
	r->rsp = s->gpr[4];
	r->rbp = s->gpr[5];
	r->rsi = s->gpr[6];
	r->rdi = s->gpr[7];
	r->r8 = s->gpr[8];
	r->r9 = s->gpr[9];
	r->r10 = s->gpr[10];
	r->r11 = s->gpr[11];
	r->r12 = s->gpr[12];
	r->r13 = s->gpr[13];
	r->r14 = s->gpr[14];
	r->r15 = s->gpr[15];
	r->rip = s->rip;
	r->eflags = s->rflags;
}

/* ----------------------------------------------------------------------------------- */

/* An instruction may end just before memory that is not there. */
static size_t fetch(pid_t tid, uint64_t rip, void *code)
{
	size_t to_page_end = 4096 - (rip & 4095);
	struct iovec ours = {code, CPU_INSN_MAX};
	struct iovec theirs[2] = {{(void *)(uintptr_t)rip, CPU_INSN_MAX}};
	int pieces = 1;
	ssize_t n;

	if (to_page_end < CPU_INSN_MAX) {
		theirs[0].iov_len = to_page_end;
		theirs[1].iov_base = (void *)(uintptr_t)(rip + to_page_end);
		theirs[1].iov_len = CPU_INSN_MAX - to_page_end;
		pieces = 2;
	}
	n = process_vm_readv(tid, &ours, 1, theirs, (unsigned long)pieces, 0);
	return n < 0 ? 0 : (size_t)n;
}

static int serve(struct mmio_access *a, pid_t tid, int sig, const siginfo_t *info)
{
	struct user_regs_struct regs;
	unsigned char code[CPU_INSN_MAX];
	struct cpu_state s;
	size_t n;
	int err;

	if (ptrace(PTRACE_GETREGS, tid, 0, &regs) || regs.cs != CS_64BIT)
		return sig;
	state_from(&regs, &s);
	n = fetch(tid, s.rip, code);
	if (!mmio_access_raised(a, sig, info, &s, code, n))
		return sig;
	err = mmio_access_do(a, &s, code, n);
	state_to(&s, &regs);
	/* A thread that has been killed meanwhile does not care. */
	ptrace(PTRACE_SETREGS, tid, 0, &regs);
	if (err == -EOPNOTSUPP)
		complain("process %d accesses registers by an instruction that is not "
			 "known here (%02x %02x %02x %02x ... at %#llx); it gets SIGBUS",
			 (int)tid, code[0], code[1], code[2], code[3],
			 (unsigned long long)s.rip);
	/* What a CPU says to 64 bytes that are not aligned, or not the program's. */
	if (err == -EINVAL)
		return SIGSEGV;
	return err ? SIGBUS : 0;
}

int mmio_fault_serve(struct host *host, struct tracee *t, int sig)
{
	struct stopped stopped = {.tid = t->tid};
	struct mmio_access a = {.machine = host->machine, .rest = &rest, .arg = &stopped};
	siginfo_t info;

	if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &info) || info.si_code <= 0)
		return sig;
	a.maps = open_maps(t);
	if (a.maps < 0)
		return sig;
	sig = serve(&a, t->tid, sig, &info);
	mmio_access_finish(&a);
	return sig;
}

#else

int mmio_fault_serve(struct host *host, struct tracee *t, int sig)
{
	return sig;
}

#endif

void tracee_finish(struct tracee *t)
{
	if (t->maps >= 0)
		close(t->maps);
	t->maps = -1;
}
