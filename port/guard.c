/* SPDX-License-Identifier: MIT */
/*
 * Copies that survive bad memory.
 *
 * A window of the SPA space may be a mapping of a client's file, and the client may
 * truncate the file at any time; touching the lost pages raises SIGBUS. A guarded copy
 * turns that into -EFAULT: it saves its context with sigsetjmp() in a frame on its own
 * stack, points a thread-local variable at the frame, and copies. The handler looks at
 * the variable of the thread it runs on, checks that the fault is one that the CPU
 * raised (not a kill()) at an address inside one of the two ranges being copied, and
 * jumps back. Everything else goes on to the handler that was there before us.
 *
 * Why the jump is safe. The signal is synchronous: it interrupts exactly the memory
 * access that faulted, and that is in memmove(), memset() or the loop below, called
 * from this file. These hold no lock and keep no state, so abandoning them in the
 * middle leaves nothing half-done but the destination's bytes. The handler itself uses
 * nothing but its arguments, the thread-local pointer (initial-exec TLS: no lazy
 * allocation) and siglongjmp(). The signal mask needs no repair: the handler is
 * installed with SA_NODEFER and an empty mask, so that running it changes no mask, and
 * sigsetjmp() does not have to save it, which would cost a system call.
 *
 * A handler of the embedding program may interrupt a guarded copy and fault itself:
 * that address is not in our ranges, so it is not swallowed. It may also call a guarded
 * copy: frames nest through `outer`.
 *
 * The bytes copied are DMA payload. The CPU of the client or another device may write
 * them meanwhile, as on real hardware; what arrives then is unspecified bytes and
 * nothing worse, since no value of them is ever used as a pointer or a length here. In
 * C's terms it is a data race all the same, so under thread sanitizer the bytes are
 * moved by a loop that is not instrumented (the sanitizer intercepts memmove() even
 * where instrumentation is off). Only that loop is exempt: page tables, the IOTLB and
 * the life of the mappings stay checked. Source and destination may turn out to be the
 * same memory, mapped at two IOVAs: memmove() keeps that defined, at memcpy()'s speed.
 *
 * State: the handler is per process because signal dispositions are.
 */
#include "port/port.h"
#include "port/sanitizers.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

struct guard {
	sigjmp_buf env;
	uintptr_t a, b; /* the two ranges; equal for a fill */
	size_t n;
};

static _Thread_local struct guard *volatile active
	__attribute__((tls_model("initial-exec")));

static pthread_once_t install_once = PTHREAD_ONCE_INIT;
static int install_result;
static struct sigaction old_segv, old_bus;

/* ---- the copies ------------------------------------------------------------- */

#if PORT_TSAN

#define UNINSTRUMENTED __attribute__((noinline, no_sanitize("thread")))

UNINSTRUMENTED static void move_bytes(void *dst, const void *src, size_t n)
{
	/* volatile: or the compiler would make it a call to memmove() again. */
	volatile unsigned char *d = dst;
	const volatile unsigned char *s = src;

	if (((uintptr_t)d - (uintptr_t)s) < n) {
		while (n-- > 0)
			d[n] = s[n];
		return;
	}
	for (; n >= sizeof(uint64_t); n -= sizeof(uint64_t)) {
		*(volatile uint64_t *)d = *(const volatile uint64_t *)s;
		d += sizeof(uint64_t);
		s += sizeof(uint64_t);
	}
	while (n-- > 0)
		*d++ = *s++;
}

UNINSTRUMENTED static void fill_bytes(void *dst, int byte, size_t n)
{
	volatile unsigned char *d = dst;

	while (n-- > 0)
		*d++ = (unsigned char)byte;
}

#else

static inline void move_bytes(void *dst, const void *src, size_t n)
{
	memmove(dst, src, n);
}

static inline void fill_bytes(void *dst, int byte, size_t n)
{
	memset(dst, byte, n);
}

#endif

int port_copy_guarded(void *dst, const void *src, size_t n)
{
	struct guard *const outer = active;
	struct guard g;

	g.a = (uintptr_t)dst;
	g.b = (uintptr_t)src;
	g.n = n;
	if (sigsetjmp(g.env, 0)) {
		active = outer;
		return -EFAULT;
	}
	active = &g;
	atomic_signal_fence(memory_order_seq_cst);
	move_bytes(dst, src, n);
	atomic_signal_fence(memory_order_seq_cst);
	active = outer;
	return 0;
}

int port_fill_guarded(void *dst, int byte, size_t n)
{
	struct guard *const outer = active;
	struct guard g;

	g.a = g.b = (uintptr_t)dst;
	g.n = n;
	if (sigsetjmp(g.env, 0)) {
		active = outer;
		return -EFAULT;
	}
	active = &g;
	atomic_signal_fence(memory_order_seq_cst);
	fill_bytes(dst, byte, n);
	atomic_signal_fence(memory_order_seq_cst);
	active = outer;
	return 0;
}

/* ---- the handler ------------------------------------------------------------ */

static bool in_range(uintptr_t addr, uintptr_t start, size_t n)
{
	/* The kernel may report no more than the page (memory errors). */
	uintptr_t page = start & ~(uintptr_t)(PORT_PAGE_SIZE - 1);

	return addr >= page && addr - page < n + (start - page);
}

static bool ours(const struct guard *g, const siginfo_t *info)
{
	uintptr_t addr = (uintptr_t)info->si_addr;

	if (!g || info->si_code <= 0)
		return false;
	return in_range(addr, g->a, g->n) || in_range(addr, g->b, g->n);
}

/* Do what would have happened without us. */
static void pass_on(const struct sigaction *old, int sig, siginfo_t *info, void *context)
{
	bool raised_by_cpu = info->si_code > 0;
	sigset_t block, before;

	if (old->sa_handler == SIG_IGN && !raised_by_cpu)
		return;
	if (old->sa_handler == SIG_IGN || old->sa_handler == SIG_DFL) {
		/*
		 * Die of it: the faulting instruction runs again with the default action.
		 * A signal that somebody sent would not come again by itself.
		 */
		signal(sig, SIG_DFL);
		if (!raised_by_cpu)
			raise(sig);
		return;
	}
	block = old->sa_mask;
	if (!(old->sa_flags & SA_NODEFER))
		sigaddset(&block, sig);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(sig, info, context);
	else
		old->sa_handler(sig);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct guard *g = active;

	if (ours(g, info))
		siglongjmp(g->env, 1);
	pass_on(sig == SIGBUS ? &old_bus : &old_segv, sig, info, context);
}

static void install(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_fault;
	/* ONSTACK: stack overflows of the embedding program still reach its handler. */
	sa.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
	sigemptyset(&sa.sa_mask);
	/* The old ones are read first: a fault may come right after the installation. */
	if (sigaction(SIGSEGV, NULL, &old_segv) || sigaction(SIGBUS, NULL, &old_bus) ||
	    sigaction(SIGSEGV, &sa, NULL) || sigaction(SIGBUS, &sa, NULL))
		install_result = -errno;
}

int port_guard_install(void)
{
	pthread_once(&install_once, install);
	return install_result;
}
