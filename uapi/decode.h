/* SPDX-License-Identifier: MIT */
/*
 * Turn a call into text: name, arguments, result, as strace would show it, from the
 * field lists of the tables. Nothing here touches a client: it reads our copy.
 *
 *   iommu IOMMU_IOAS_MAP_FILE {flags=FIXED_IOVA|READABLE, ioas_id=1, fd=5} = 0 {iova=0x0}
 *
 * The struct's size is shown only where it is not ours; results only when the call
 * succeeded or changed them.
 */
#ifndef UAPI_DECODE_H
#define UAPI_DECODE_H

#include "uapi/table.h"

/*
 * Write one line, without newline, into @buf; always terminated, cut at @cap (> 0).
 * @before: the struct as it came in. @after: as it went out, both UAPI_MAX_STRUCT bytes
 * (UAPI_NONE: NULL, and @arg is shown). @result: of the ioctl.
 */
void uapi_decode(char *buf, size_t cap, const char *file, const struct uapi_entry *entry,
		 uint64_t arg, const unsigned char *before, const unsigned char *after,
		 long result);

/* "ENOENT" for 2; NULL for an unknown number. */
const char *uapi_errno_name(int err);

#endif
