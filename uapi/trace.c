/* SPDX-License-Identifier: MIT */
/* One line of the trace, from whoever has something to tell, to the machine's sink. */
#include <stdarg.h>
#include <stdio.h>

#include "uapi/table.h"

void uapi_trace(struct client *client, const char *format, ...)
{
	char line[UAPI_TRACE_LINE];
	int n = 0;
	va_list args;

	if (!client->trace)
		return;
	if (client->pid)
		n = snprintf(line, sizeof(line), "[%d] ", client->pid);
	va_start(args, format);
	vsnprintf(line + n, sizeof(line) - n, format, args);
	va_end(args);
	client->trace->line(client->trace, line);
}
