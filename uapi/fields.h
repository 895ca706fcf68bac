/* SPDX-License-Identifier: MIT */
/*
 * Writing field lists: IN for what a call takes, OUT for what it answers, END last. A
 * member that is both is listed twice.
 */
#ifndef UAPI_FIELDS_H
#define UAPI_FIELDS_H

#include <stddef.h>

#include "uapi/table.h"

#define UAPI_FIELD(type, member, k, o, n)                                                \
	{                                                                                \
		.name = #member, .offset = offsetof(struct type, member),                \
		.size = sizeof(((struct type *)NULL)->member), .kind = UAPI_##k,         \
		.out = (o), .names = (n)                                                 \
	}

#define IN(type, member, kind)              UAPI_FIELD(type, member, kind, false, NULL)
#define IN_NAMED(type, member, kind, list)  UAPI_FIELD(type, member, kind, false, list)
#define OUT(type, member, kind)             UAPI_FIELD(type, member, kind, true, NULL)
#define OUT_NAMED(type, member, kind, list) UAPI_FIELD(type, member, kind, true, list)
#define END                                                                              \
	{                                                                                \
		.name = NULL                                                             \
	}

#endif
