/* SPDX-License-Identifier: MIT */
/*
 * Turn a call into text: name, arguments, result, as strace would show it, from the
 * field lists of the tables. Nothing here touches a client: it reads our copy.
 */
#ifndef UAPI_DECODE_H
#define UAPI_DECODE_H

#include "uapi/table.h"

/*
 * Write one line, without newline, into @buf; always terminated, cut at @cap. @before:
 * the struct as it came in. @after: as it went out. @result: of the ioctl.
 */
void uapi_decode(char *buf, size_t cap, const char *file, const struct uapi_entry *entry,
		 const unsigned char *before, const unsigned char *after, long result);

/* "ENOENT" for 2; NULL for an unknown number. */
const char *uapi_errno_name(int err);

#endif
