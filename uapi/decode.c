/* SPDX-License-Identifier: MIT */
/*
 * A call as text. The field lists say what is where; values are read from our copies in
 * the machine's byte order. Nothing here can fail: what does not fit is cut.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "uapi/decode.h"

/* A line that grows up to its buffer's end; always terminated. */
struct text {
	char *buf;
	size_t cap, len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format,
						      ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->buf + t->len, t->cap - t->len, format, args);
	va_end(args);
	if (n < 0)
		return;
	t->len = (size_t)n < t->cap - t->len ? t->len + (size_t)n : t->cap - 1;
}

static uint64_t value_of(const struct uapi_field *f, const unsigned char *data)
{
	const unsigned char *p = data + f->offset;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (f->size) {
	case 1:
		return *p;
	case 2:
		memcpy(&v16, p, sizeof(v16));
		return v16;
	case 4:
		memcpy(&v32, p, sizeof(v32));
		return v32;
	default:
		memcpy(&v64, p, sizeof(v64));
		return v64;
	}
}

static int64_t signed_value(const struct uapi_field *f, uint64_t v)
{
	unsigned unused = 64 - 8 * f->size;

	return (int64_t)(v << unused) >> unused;
}

static void add_flags(struct text *t, const struct uapi_name *names, uint64_t v)
{
	const char *separator = "";

	for (const struct uapi_name *n = names; n && n->name; n++) {
		if (!n->value || (v & n->value) != n->value)
			continue;
		add(t, "%s%s", separator, n->name);
		separator = "|";
		v &= ~n->value;
	}
	if (v)
		add(t, "%s%#" PRIx64, separator, v);
	else if (!*separator)
		add(t, "0");
}

static void add_enum(struct text *t, const struct uapi_name *names, uint64_t v)
{
	for (const struct uapi_name *n = names; n && n->name; n++) {
		if (n->value == v) {
			add(t, "%s", n->name);
			return;
		}
	}
	add(t, "%" PRIu64, v);
}

static void add_value(struct text *t, const struct uapi_field *f, uint64_t v)
{
	switch (f->kind) {
	case UAPI_FLAGS:
		add_flags(t, f->names, v);
		break;
	case UAPI_ENUM:
		add_enum(t, f->names, v);
		break;
	case UAPI_FD:
		add(t, "%" PRId64, signed_value(f, v));
		break;
	case UAPI_DEC:
		add(t, "%" PRIu64, v);
		break;
	default:
		add(t, v ? "%#" PRIx64 : "0x0", v);
	}
}

static const char *add_field(struct text *t, const struct uapi_field *f,
			     const unsigned char *data, const char *separator)
{
	uint64_t v = value_of(f, data);

	if (f->kind == UAPI_PAD && !v)
		return separator;
	add(t, "%s%s=", separator, f->name);
	add_value(t, f, v);
	return ", ";
}

/* Bytes of the copies that mean something. */
static unsigned known(const struct uapi_entry *e)
{
	return e->size > e->min_size ? e->size : e->min_size;
}

static void add_arguments(struct text *t, const struct uapi_entry *e,
			  const unsigned char *before, const unsigned char *after)
{
	const char *separator = "";
	uint32_t size;

	memcpy(&size, before, sizeof(size));
	add(t, "{");
	if (size != known(e)) {
		add(t, "%s=%" PRIu32, e->rule == UAPI_SIZED ? "size" : "argsz", size);
		separator = ", ";
	}
	for (const struct uapi_field *f = e->fields; f && f->size; f++) {
		/* What the handler fetched itself was not there yet when it was called.
		 */
		bool fetched = e->rule == UAPI_ARGSZ && f->offset >= e->min_size;

		if (!f->out)
			separator = add_field(t, f, fetched ? after : before, separator);
	}
	add(t, "}");
}

static void add_results(struct text *t, const struct uapi_entry *e,
			const unsigned char *before, const unsigned char *after,
			bool failed)
{
	const char *separator = " {";

	for (const struct uapi_field *f = e->fields; f && f->size; f++) {
		if (!f->out)
			continue;
		if (failed && value_of(f, before) == value_of(f, after))
			continue;
		separator = add_field(t, f, after, separator);
	}
	if (*separator == ',')
		add(t, "}");
}

void uapi_decode(char *buf, size_t cap, const char *file, const struct uapi_entry *entry,
		 uint64_t arg, const unsigned char *before, const unsigned char *after,
		 long result)
{
	struct text t = {.buf = buf, .cap = cap};

	add(&t, "%s %s ", file, entry->name);
	if (before)
		add_arguments(&t, entry, before, after);
	else
		add(&t, "(%#" PRIx64 ")", arg);
	if (result >= 0) {
		add(&t, " = %ld", result);
	} else {
		const char *error = uapi_errno_name((int)-result);

		add(&t, " = -1 %s", error ? error : "?");
	}
	if (after)
		add_results(&t, entry, before, after, result < 0);
}
