/* SPDX-License-Identifier: MIT */
/* See log.h. A line is one writev(2) in append mode, so no lock is needed. */
#include "host/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/port.h"
#include "host/call.h"
#include "uapi/decode.h"
#include "uapi/table.h"

struct log {
	struct uapi_trace trace;
	int fd;
};

static void write_line(struct uapi_trace *t, const char *text)
{
	struct log *log = container_of(t, struct log, trace);
	struct iovec line[] = {
		{(void *)(uintptr_t)text, strlen(text)},
		{(void *)(uintptr_t) "\n", 1},
	};

	/* Nothing can be done about a log that cannot be written. */
	if (writev(log->fd, line, 2) < 0)
		return;
}

int log_create(const char *path, struct log **out)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	log->trace.line = write_line;
	log->fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
			      0666)
		       : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (log->fd < 0) {
		int err = -errno;

		free(log);
		return err;
	}
	*out = log;
	return 0;
}

void log_destroy(struct log *log)
{
	if (!log)
		return;
	close(log->fd);
	free(log);
}

struct uapi_trace *log_trace(struct log *log)
{
	return &log->trace;
}

static void format_result(long result, char *buf, size_t cap)
{
	const char *name;

	if (result >= 0) {
		snprintf(buf, cap, "%ld", result);
		return;
	}
	name = uapi_errno_name((int)-result);
	snprintf(buf, cap, "-1 %s", name ? name : "?");
}

void log_call(struct call *c, long result, const char *format, ...)
{
	char text[UAPI_TRACE_LINE], end[32];
	va_list ap;

	if (!c->client.trace)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	format_result(result, end, sizeof(end));
	uapi_trace(&c->client, "%s = %s", text, end);
}
