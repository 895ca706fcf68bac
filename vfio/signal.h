/* SPDX-License-Identifier: MIT */
/*
 * Signalling eventfds that clients share, without ever blocking.
 *
 * A write(2) to an eventfd blocks when its counter is full and its description is not
 * O_NONBLOCK; both are in the hands of whoever else has the description, and can change
 * between a look and the write. So nothing is written: the kernel is asked for a read of
 * no bytes (Linux AIO) whose completion it reports to the eventfd. That adds 1 as an
 * interrupt does, in the kernel; a counter that is full stays full.
 *
 * The read is complete when the submission returns. What it leaves in the ring of
 * completions is thrown away when the ring is full, so a signal is one system call.
 *
 * signaller_start() is serialised by the caller with itself; signals may come from any
 * thread, and without a lock.
 */
#ifndef VFIO_SIGNAL_H
#define VFIO_SIGNAL_H

#include <stdatomic.h>

struct signaller {
	_Atomic unsigned long context; /* aio_context_t; 0: not started */
};

void signaller_init(struct signaller *s);
void signaller_finish(struct signaller *s);
/*
 * To be called before the first signal; again: nothing happens. -EAGAIN: the system has
 * no room for it (fs.aio-max-nr); -ENOSYS: it has no AIO. There is no other way to
 * signal that a client could not make us wait with, so then it gets no interrupts.
 */
int signaller_start(struct signaller *s);
/* @file: a memory file of ours, to read nothing from. */
void signaller_signal(struct signaller *s, int file, int eventfd);

#endif
