/* SPDX-License-Identifier: MIT */
/*
 * Threads of ours in somebody's program. The program's signals are for the program's
 * threads; those that a fault of the thread itself raises get through: an access to a
 * truncated file is told that way.
 */
#ifndef VFIO_THREAD_H
#define VFIO_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

/* In a loop that waits for another CPU. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

#endif
