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
 * allocation), pthread_sigmask() and siglongjmp(). The signal mask is put back from the
 * signal's context, in case another handler passed the signal on to ours; so sigsetjmp()
 * does not have to save it, which would cost every copy a system call.
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
 * Memory of BARs is a file that a client holds too, and accessed by models, who know
 * nothing of guards. Where a client has truncated it the handler puts a page of zeroes
 * there and has the access made again.
 *
 * State: the handlers that we stand in front of are per process because signal
 * dispositions are. A record of them never changes once it is published and is never
 * freed, so the handler can read it whenever it runs. When another party has put itself
 * in front of us and then we in front of it, it may pass signals on to us which we pass
 * on to it: a signal that comes by the second time (its context is the same) goes to the
 * handlers that were there before all of us.
 */
#include "port/port.h"
#include "port/sanitizers.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct guard {
	sigjmp_buf env;
	uintptr_t a, b; /* the two ranges; equal for a fill */
	size_t n;
};

static _Thread_local struct guard *volatile active
	__attribute__((tls_model("initial-exec")));

/* The handlers that were there when we went in front. */
struct behind {
	struct sigaction segv, bus;
	const struct behind *earlier; /* what we stood in front of before that */
};

/*
 * Mappings that heal. One that is no more in use (its start is 0) stays in the list, for
 * the handler may be looking at it, and is used for the next.
 */
struct healed {
	_Atomic uintptr_t start;
	_Atomic size_t n;
	struct healed *next;
};

static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(const struct behind *) behind;
static _Atomic(struct healed *) healed;
/* The signal that this thread is passing on. */
static _Thread_local void *volatile passing __attribute__((tls_model("initial-exec")));

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

UNINSTRUMENTED static uint64_t load64(const void *src)
{
	return __atomic_load_n((const uint64_t *)src, __ATOMIC_ACQUIRE);
}

UNINSTRUMENTED static void swap64(void *dst, uint64_t *expected, uint64_t desired)
{
	__atomic_compare_exchange_n((uint64_t *)dst, expected, desired, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
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

static inline uint64_t load64(const void *src)
{
	return __atomic_load_n((const uint64_t *)src, __ATOMIC_ACQUIRE);
}

static inline void swap64(void *dst, uint64_t *expected, uint64_t desired)
{
	__atomic_compare_exchange_n((uint64_t *)dst, expected, desired, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline void fill_bytes(void *dst, int byte, size_t n)
{
	memset(dst, byte, n);
}

#endif

/* No memory begins at NULL or reaches into the upper half, which is the kernel's. */
static inline bool nowhere(const void *p, size_t n)
{
	return !p || n > INTPTR_MAX || (uintptr_t)p > INTPTR_MAX - n;
}

int port_copy_guarded(void *dst, const void *src, size_t n)
{
	struct guard *const outer = active;
	struct guard g;

	if (n == 0)
		return 0;
	if (nowhere(dst, n) || nowhere(src, n))
		return -EFAULT;
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

	if (n == 0)
		return 0;
	if (nowhere(dst, n))
		return -EFAULT;
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

int port_load64_guarded(const void *src, uint64_t *value)
{
	struct guard *const outer = active;
	struct guard g;

	g.a = g.b = (uintptr_t)src;
	g.n = sizeof(*value);
	if (sigsetjmp(g.env, 0)) {
		active = outer;
		return -EFAULT;
	}
	active = &g;
	atomic_signal_fence(memory_order_seq_cst);
	*value = load64(src);
	atomic_signal_fence(memory_order_seq_cst);
	active = outer;
	return 0;
}

int port_swap64_guarded(void *dst, uint64_t *expected, uint64_t desired)
{
	struct guard *const outer = active;
	struct guard g;

	g.a = g.b = (uintptr_t)dst;
	g.n = sizeof(*expected);
	if (sigsetjmp(g.env, 0)) {
		active = outer;
		return -EFAULT;
	}
	active = &g;
	atomic_signal_fence(memory_order_seq_cst);
	swap64(dst, expected, desired);
	atomic_signal_fence(memory_order_seq_cst);
	active = outer;
	return 0;
}

/* ---- healing ---------------------------------------------------------------------- */

int port_heal_add(void *start, size_t n)
{
	struct healed *h;
	int rc = 0;

	pthread_mutex_lock(&install_lock);
	for (h = atomic_load(&healed); h; h = h->next)
		if (!atomic_load(&h->start))
			break;
	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h) {
			rc = -ENOMEM;
			goto out;
		}
		h->next = atomic_load(&healed);
		atomic_store(&healed, h);
	}
	atomic_store(&h->n, n);
	atomic_store(&h->start, (uintptr_t)start);
out:
	pthread_mutex_unlock(&install_lock);
	return rc;
}

void port_heal_remove(void *start)
{
	pthread_mutex_lock(&install_lock);
	for (struct healed *h = atomic_load(&healed); h; h = h->next)
		if (atomic_load(&h->start) == (uintptr_t)start)
			atomic_store(&h->start, 0);
	pthread_mutex_unlock(&install_lock);
}

/* True: the access can be made again. */
static bool heal(int sig, const siginfo_t *info)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	uintptr_t page = at & ~(uintptr_t)(PORT_PAGE_SIZE - 1);
	int before = errno;
	void *p;

	if (sig != SIGBUS || info->si_code != BUS_ADRERR)
		return false;
	for (struct healed *h = atomic_load(&healed); h; h = h->next) {
		uintptr_t start = atomic_load(&h->start);

		if (!start || at < start || at - start >= atomic_load(&h->n))
			continue;
		p = mmap((void *)page, PORT_PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		errno = before;
		return p != MAP_FAILED;
	}
	return false;
}

/* ---- the handler ------------------------------------------------------------ */

static bool in_range(uintptr_t addr, uintptr_t start, size_t n)
{
	/* The kernel may report no more than the page (memory errors). */
	uintptr_t page = start & ~(uintptr_t)(PORT_PAGE_SIZE - 1);

	return addr >= page && addr - page < n + (start - page);
}

static bool covers(const struct guard *g, uintptr_t addr)
{
	return g && (in_range(addr, g->a, g->n) || in_range(addr, g->b, g->n));
}

bool port_guard_covers(const void *addr)
{
	return covers(active, (uintptr_t)addr);
}

static bool ours(const struct guard *g, const siginfo_t *info)
{
	return info->si_code > 0 && covers(g, (uintptr_t)info->si_addr);
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

static const struct sigaction *handler_behind(int sig, void *context)
{
	const struct behind *b = atomic_load_explicit(&behind, memory_order_acquire);

	while (passing == context && b->earlier)
		b = b->earlier;
	return sig == SIGBUS ? &b->bus : &b->segv;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *old;
	struct guard *g = active;
	void *outer = passing;

	if (ours(g, info)) {
		pthread_sigmask(SIG_SETMASK, &((ucontext_t *)context)->uc_sigmask, NULL);
		siglongjmp(g->env, 1);
	}
	if (heal(sig, info))
		return;
	old = handler_behind(sig, context);
	passing = context;
	pass_on(old, sig, info, context);
	passing = outer;
}

static bool in_front(const struct sigaction *sa)
{
	return (sa->sa_flags & SA_SIGINFO) && sa->sa_sigaction == on_fault;
}

/* Where only one of the two was taken over, the other keeps what is known of it. */
static int go_in_front(void)
{
	const struct behind *earlier = atomic_load(&behind);
	struct sigaction sa;
	struct behind *b;

	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	if (sigaction(SIGSEGV, NULL, &b->segv) || sigaction(SIGBUS, NULL, &b->bus))
		goto fail;
	if (earlier && in_front(&b->segv) && in_front(&b->bus)) {
		free(b);
		return 0;
	}
	if (earlier && in_front(&b->segv))
		b->segv = earlier->segv;
	if (earlier && in_front(&b->bus))
		b->bus = earlier->bus;
	b->earlier = earlier;
	/* First: a fault may come right after the installation. */
	atomic_store_explicit(&behind, b, memory_order_release);

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_fault;
	/* ONSTACK: stack overflows of the embedding program still reach its handler. */
	sa.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGSEGV, &sa, NULL) || sigaction(SIGBUS, &sa, NULL))
		return -errno;
	return 0;

fail:
	free(b);
	return -errno;
}

int port_guard_install(void)
{
	int rc;

	pthread_mutex_lock(&install_lock);
	rc = go_in_front();
	pthread_mutex_unlock(&install_lock);
	return rc;
}
