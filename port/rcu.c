/* SPDX-License-Identifier: MIT */
/*
 * DMA sections on liburcu's qsbr flavour.
 *
 * In qsbr a registered thread is a reader all the time unless it says otherwise: it is
 * either offline, or online and announces quiescent states. We keep a thread offline
 * outside of sections, so threads that only sometimes do DMA never hold up a grace
 * period, and going online and offline is all that entering and leaving cost. Inside a
 * section reading costs nothing at all.
 *
 * In a burst the thread stays online from its first section on, and says at the end of
 * each that it is quiescent: one load and a comparison as long as nobody waits. Whoever
 * waits is told at the end of the section that is open or comes next, or when the thread
 * rests, which is going offline. That a section begins without a barrier is what qsbr
 * is: the thread has been a reader since its last quiescent state, so a grace period
 * that has begun since then waits for it.
 *
 * A thread registers when it first enters a section and unregisters when it exits,
 * through the destructor of a pthread key. Should the key or its slot not be available
 * (PTHREAD_KEYS_MAX), the thread registers and unregisters around each section instead:
 * slower, but nothing can fail.
 *
 * Sections nest: `depth` counts, only the outermost one goes online and offline, and a
 * quiesce inside an inner one does nothing, for the outer one may still be using what
 * it found.
 *
 * port_rcu_synchronize() inside a section: liburcu takes an online caller offline for
 * the wait, which is what core/port.h promises.
 *
 * Thread sanitizer does not see liburcu's barriers, which sit in a library that is not
 * instrumented. The two orders that a grace period gives are told to it: what a section
 * did before it ended or quiesced happens before synchronize returns, and what was done
 * before synchronize was called happens before a section that starts later.
 */
#include "port/port.h"
#include "port/sanitizers.h"

#include <pthread.h>
#include <urcu-qsbr.h>

#define FAST_TLS _Thread_local __attribute__((tls_model("initial-exec")))

/* How many sections this thread is in. */
static FAST_TLS unsigned depth;
static FAST_TLS bool registered, online, burst;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static bool exit_key_valid;

#if PORT_TSAN
static char section_done, update_done;
#define SECTION_BEGINS() __tsan_acquire(&update_done)
#define SECTION_QUIET()  __tsan_release(&section_done)
#define WAIT_BEGINS()    __tsan_release(&update_done)
#define WAIT_ENDS()      __tsan_acquire(&section_done)
#else
#define SECTION_BEGINS() ((void)0)
#define SECTION_QUIET()  ((void)0)
#define WAIT_BEGINS()    ((void)0)
#define WAIT_ENDS()      ((void)0)
#endif

/* A later destructor may enter a section again; then the thread registers anew. */
static void thread_exits(void *unused)
{
	if (!registered)
		return;
	urcu_qsbr_unregister_thread();
	registered = online = false;
}

static void make_key(void)
{
	exit_key_valid = pthread_key_create(&exit_key, thread_exits) == 0;
}

static void register_thread(void)
{
	pthread_once(&key_once, make_key);
	urcu_qsbr_register_thread(); /* leaves it online */
	if (exit_key_valid && pthread_setspecific(exit_key, &registered) == 0)
		registered = true;
}

static void go_online(void)
{
	online = true;
	if (__builtin_expect(registered, 1))
		urcu_qsbr_thread_online();
	else
		register_thread();
}

static void go_offline(void)
{
	online = false;
	if (__builtin_expect(registered, 1))
		urcu_qsbr_thread_offline();
	else
		urcu_qsbr_unregister_thread();
}

void port_dma_enter(void)
{
	if (depth++ > 0)
		return;
	if (!online)
		go_online();
	SECTION_BEGINS();
}

void port_dma_leave(void)
{
	if (PORT_BUG_ON(depth == 0) || --depth > 0)
		return;
	SECTION_QUIET();
	if (burst)
		urcu_qsbr_quiescent_state();
	else
		go_offline();
}

void port_dma_burst_begin(void)
{
	if (!PORT_BUG_ON(depth > 0))
		burst = true;
}

void port_dma_rest(void)
{
	if (online && depth == 0)
		go_offline();
}

void port_dma_burst_end(void)
{
	burst = false;
	port_dma_rest();
}

void port_dma_quiesce(void)
{
	if (depth != 1)
		return;
	SECTION_QUIET();
	urcu_qsbr_quiescent_state();
	SECTION_BEGINS();
}

void port_rcu_synchronize(void)
{
	if (depth > 0)
		SECTION_QUIET();
	WAIT_BEGINS();
	urcu_qsbr_synchronize_rcu();
	WAIT_ENDS();
	if (depth > 0)
		SECTION_BEGINS();
}
