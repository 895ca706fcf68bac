/* SPDX-License-Identifier: MIT */
/* Signalling by the completion of asynchronous reads: see signal.h. */
#include "vfio/signal.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "uapi/vfile.h"

#define RING 64
/* Never needed but by a kernel that is out of memory: then the signal is lost. */
#define TRIES 1000

void signaller_init(struct signaller *s)
{
	atomic_init(&s->context, 0);
}

void signaller_finish(struct signaller *s)
{
	if (s->context)
		syscall(SYS_io_destroy, s->context);
}

int signaller_start(struct signaller *s)
{
	aio_context_t context = 0, none = 0;

	if (s->context)
		return 0;
	if (syscall(SYS_io_setup, RING, &context))
		return -errno;
	if (!atomic_compare_exchange_strong(&s->context, &none, context))
		syscall(SYS_io_destroy, context);
	return 0;
}

/* Make room in the ring of completions. */
static void discard(aio_context_t context)
{
	struct timespec at_once = {0};
	struct io_event events[RING];

	syscall(SYS_io_getevents, context, 0, RING, events, &at_once);
}

void signaller_signal(struct signaller *s, int file, int eventfd)
{
	/* Past the end of the file there is not even a page to look for. */
	struct iocb read_nothing = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)file,
		.aio_offset = (int64_t)VFILE_STORAGE_BYTES,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)eventfd,
	};
	struct iocb *list = &read_nothing;
	aio_context_t context = s->context;

	/* Others may fill the ring again as soon as there is room. */
	for (unsigned i = 0; i < TRIES; i++) {
		if (syscall(SYS_io_submit, context, 1, &list) >= 0 || errno != EAGAIN)
			return;
		discard(context);
	}
}
