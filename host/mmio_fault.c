/* SPDX-License-Identifier: MIT */
/*
 * See mmio_fault.h. Used by the tracer's thread only.
 *
 * Which memory an address shows is looked up anew for each access: the client may have
 * unmapped it and mapped something else, of which nobody tells us. The rest of the
 * client's memory, from and to which an instruction may move what it moves, is reached by
 * process_vm_readv(2). While we serve, the thread is stopped, but others of its process
 * are not: what they change meanwhile is as if it had happened before or after.
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

#include "cpu/emulate.h"
#include "host/host.h"
#include "machine/files.h"
#include "machine/machine.h"
#include "machine/vma.h"
#include "vfio/pci_device.h"

#define CS_64BIT 0x33
/* More than any CPU's XSAVE area so far. */
#define XSAVE_BYTES 16384

/* One access on its way. */
struct access {
	struct host *host;
	struct tracee *t;
	struct vma vma;
	struct vfile *file; /* the device behind @vma; NULL: ordinary memory */
	bool looked;        /* @vma and @file are of an address */
	_Alignas(64) unsigned char xsave[XSAVE_BYTES];
};

/* ---- which memory ----------------------------------------------------------------- */

static int open_maps(struct tracee *t)
{
	char path[32];

	if (t->maps >= 0)
		return t->maps;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)t->tid);
	t->maps = open(path, O_RDONLY | O_CLOEXEC);
	return t->maps < 0 ? -errno : t->maps;
}

static bool is_faulting(const struct vma *v)
{
	return v->shared && v->file_offset & VFILE_MARK &&
	       v->file_offset & VFILE_FAULTING;
}

static int look(struct access *a, uint64_t va)
{
	int maps, err;

	if (a->looked && va >= a->vma.start && va <= a->vma.last)
		return 0;
	vfile_put(a->file);
	a->file = NULL;
	a->looked = false;
	maps = open_maps(a->t);
	if (maps < 0)
		return maps;
	err = vma_query(maps, va, &a->vma);
	if (err)
		return err;
	a->looked = true;
	if (is_faulting(&a->vma))
		a->file = files_find(a->host->machine->files, a->vma.dev, a->vma.ino);
	return 0;
}

/* The offset in the device's file that is mapped at @va, for @n bytes; 0: none. */
static int device_offset(struct access *a, uint64_t va, size_t n, uint64_t *offset)
{
	int err = look(a, va);

	*offset = 0;
	if (err || !a->file)
		return err;
	if (n - 1 > a->vma.last - va)
		return -EFAULT;
	*offset = a->vma.file_offset + (va - a->vma.start);
	return 0;
}

/* ---- the bus ---------------------------------------------------------------------- */

static int bus_load(void *arg, uint64_t va, void *dst, size_t n)
{
	struct access *a = arg;
	struct iovec ours = {dst, n}, theirs = {(void *)(uintptr_t)va, n};
	uint64_t offset;
	int err = device_offset(a, va, n, &offset);

	if (err)
		return err;
	if (offset)
		return vfio_mmio_read(a->file, offset, dst, n);
	return process_vm_readv(a->t->tid, &ours, 1, &theirs, 1, 0) == (ssize_t)n
		       ? 0
		       : -EFAULT;
}

static int bus_store(void *arg, uint64_t va, const void *src, size_t n)
{
	struct access *a = arg;
	struct iovec ours = {(void *)(uintptr_t)src, n};
	struct iovec theirs = {(void *)(uintptr_t)va, n};
	uint64_t offset;
	int err = device_offset(a, va, n, &offset);

	if (err)
		return err;
	if (offset)
		return vfio_mmio_write(a->file, offset, src, n);
	return process_vm_writev(a->t->tid, &ours, 1, &theirs, 1, 0) == (ssize_t)n
		       ? 0
		       : -EFAULT;
}

static int bus_store_whole(void *arg, uint64_t va, const void *src, bool deferrable,
			   bool *accepted)
{
	struct access *a = arg;
	uint64_t offset;
	int err = device_offset(a, va, 64, &offset);

	if (err)
		return err;
	if (!offset)
		return -EFAULT;
	return vfio_mmio_write_64(a->file, offset, src, deferrable, accepted);
}

static int bus_get_vectors(void *arg, struct cpu_state *s)
{
	struct access *a = arg;
	struct iovec v = {a->xsave, sizeof(a->xsave)};

	if (ptrace(PTRACE_GETREGSET, a->t->tid, NT_X86_XSTATE, &v))
		return -errno;
	s->xsave = a->xsave;
	s->xsave_bytes = v.iov_len;
	return 0;
}

static int bus_put_vectors(void *arg, const struct cpu_state *s)
{
	struct access *a = arg;
	struct iovec v = {s->xsave, s->xsave_bytes};

	return ptrace(PTRACE_SETREGSET, a->t->tid, NT_X86_XSTATE, &v) ? -errno : 0;
}

static const struct cpu_bus bus = {
	.load = bus_load,
	.store = bus_store,
	.store_whole = bus_store_whole,
	.get_vectors = bus_get_vectors,
	.put_vectors = bus_put_vectors,
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
static size_t fetch(const struct tracee *t, uint64_t rip, void *code)
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
	n = process_vm_readv(t->tid, &ours, 1, theirs, (unsigned long)pieces, 0);
	return n < 0 ? 0 : (size_t)n;
}

/* Does the signal come from an access to registers behind a mapping? */
static bool is_ours(struct access *a, int sig, const siginfo_t *info,
		    const struct cpu_state *s, const void *code, size_t n)
{
	uint64_t va = (uintptr_t)info->si_addr;

	if (sig != SIGBUS && !cpu_writes_whole(s, code, n, &va))
		return false;
	return !look(a, va) && a->file;
}

static int serve(struct access *a, int sig, const siginfo_t *info)
{
	struct user_regs_struct regs;
	unsigned char code[CPU_INSN_MAX];
	struct cpu_state s;
	size_t n;
	int err;

	if (ptrace(PTRACE_GETREGS, a->t->tid, 0, &regs) || regs.cs != CS_64BIT)
		return sig;
	state_from(&regs, &s);
	n = fetch(a->t, s.rip, code);
	if (!is_ours(a, sig, info, &s, code, n))
		return sig;
	err = cpu_emulate(&s, code, n, &bus, a);
	state_to(&s, &regs);
	/* A thread that has been killed meanwhile does not care. */
	ptrace(PTRACE_SETREGS, a->t->tid, 0, &regs);
	if (err == -EOPNOTSUPP)
		complain("process %d accesses registers by an instruction that is not "
			 "known here (%02x %02x %02x %02x ... at %#llx); it gets SIGBUS",
			 (int)a->t->tid, code[0], code[1], code[2], code[3],
			 (unsigned long long)s.rip);
	/* What a CPU says to 64 bytes that are not aligned, or not the program's. */
	if (err == -EINVAL)
		return SIGSEGV;
	return err ? SIGBUS : 0;
}

/*
 * A mapping of registers faults as a file that is too short. An instruction that the CPU
 * does not know is illegal; one that it does not grant the program (enqcmd without a
 * PASID, enqcmds) is a general protection fault.
 */
static bool may_be_ours(int sig, int code)
{
	return (sig == SIGBUS && code == BUS_ADRERR) ||
	       (sig == SIGILL && code == ILL_ILLOPN) ||
	       (sig == SIGSEGV && code == SI_KERNEL);
}

int mmio_fault_serve(struct host *host, struct tracee *t, int sig)
{
	struct access a = {.host = host, .t = t};
	siginfo_t info;

	if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &info) ||
	    !may_be_ours(sig, info.si_code))
		return sig;
	sig = serve(&a, sig, &info);
	vfile_put(a.file);
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
