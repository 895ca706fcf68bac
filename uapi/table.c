/* SPDX-License-Identifier: MIT */
/*
 * Dispatch of an ioctl through its family's table: the size rules of uapi/table.h, in
 * the order in which Linux checks, so that the same error wins.
 *
 * Nothing is allocated and no lock is taken here. All of a call's state is in its
 * struct uapi_call, on the stack of the thread that serves it.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "uapi/decode.h"
#include "uapi/table.h"

/*
 * Accesses that end at one of these cannot be half readable: a page is there or not.
 * A smaller unit than the client's page is as good.
 */
#define PAGE 4096

const struct uapi_entry *uapi_find(const struct uapi_table *table, uint32_t cmd)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->entries[i].cmd == cmd)
			return &table->entries[i];
	return NULL;
}

bool uapi_owns(const struct uapi_table *table, uint32_t cmd)
{
	unsigned low = UINT32_MAX, high = 0;

	for (size_t i = 0; i < table->n; i++) {
		unsigned nr = _IOC_NR(table->entries[i].cmd);

		low = nr < low ? nr : low;
		high = nr > high ? nr : high;
	}
	return _IOC_NR(cmd) >= low && _IOC_NR(cmd) <= high;
}

/* Is any byte of @p set? */
static bool any_set(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return true;
	return false;
}

/*
 * The first thing that is wrong with [va, va + n) wins: a byte that is set (-E2BIG) or
 * one that cannot be read (-EFAULT).
 */
static int check_zero_tail(struct client *c, uint64_t va, uint64_t n)
{
	unsigned char buf[PAGE];

	if (va + n < va)
		return -EFAULT;
	while (n) {
		size_t chunk = PAGE - va % PAGE;
		int ret;

		if (chunk > n)
			chunk = n;
		ret = client_copy_in(c, buf, va, chunk);
		if (ret)
			return ret;
		if (any_set(buf, chunk))
			return -E2BIG;
		va += chunk;
		n -= chunk;
	}
	return 0;
}

static int take_sized(struct uapi_call *call)
{
	const struct uapi_entry *entry = call->entry;
	uint32_t size;
	size_t known;
	int ret;

	ret = client_copy_in(call->client, &size, call->arg, sizeof(size));
	if (ret)
		return ret;
	call->user_size = size;
	if (size < entry->min_size)
		return -EINVAL;
	if (size > entry->size) {
		ret = check_zero_tail(call->client, call->arg + entry->size,
				      size - entry->size);
		if (ret)
			return ret;
	}
	known = size < entry->size ? size : entry->size;
	ret = client_copy_in(call->client, call->data, call->arg, known);
	if (ret)
		return ret;
	memcpy(call->data, &size, sizeof(size));
	return 0;
}

static int take_argsz(struct uapi_call *call)
{
	int ret = client_copy_in(call->client, call->data, call->arg,
				 call->entry->min_size);

	if (ret)
		return ret;
	memcpy(&call->user_size, call->data, sizeof(call->user_size));
	return call->user_size < call->entry->min_size ? -EINVAL : 0;
}

/* Bring in what the call's rule says. */
static int take(struct uapi_call *call)
{
	const struct uapi_entry *entry = call->entry;
	int err;

	if (!entry->handler)
		return -ENOTTY;
	err = entry->admit ? entry->admit(call) : 0;
	if (err)
		return err;
	if (entry->min_size > UAPI_MAX_STRUCT || entry->size > UAPI_MAX_STRUCT)
		return -EINVAL;
	if (entry->rule == UAPI_SIZED)
		return take_sized(call);
	if (entry->rule == UAPI_ARGSZ)
		return take_argsz(call);
	return 0;
}

static bool all_sized(const struct uapi_table *table)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->entries[i].rule != UAPI_SIZED)
			return false;
	return true;
}

/*
 * There is no such call. Where every call starts with its size Linux reads that before
 * it notices, if the number alone would be one of the family's.
 */
static int refuse(const struct uapi_table *table, struct client *c, uint32_t cmd,
		  uint64_t arg)
{
	uint32_t size;

	if (!all_sized(table) || !uapi_owns(table, cmd))
		return -ENOTTY;
	return client_copy_in(c, &size, arg, sizeof(size)) ?: -ENOTTY;
}

static const char *file_name(const struct vfile *f)
{
	if (f->label)
		return f->label;
	return f->ops && f->ops->name ? f->ops->name : "?";
}

static void trace_refused(const struct uapi_call *call, uint32_t cmd, long result)
{
	const char *error = uapi_errno_name((int)-result);
	const char *file = file_name(call->file);

	if (!error)
		error = "?";
	if (call->entry)
		uapi_trace(call->client, "%s %s {size=%u} @%#llx = -1 %s", file,
			   call->entry->name, call->user_size,
			   (unsigned long long)call->arg, error);
	else
		uapi_trace(call->client, "%s ioctl(%#x) @%#llx = -1 %s", file, cmd,
			   (unsigned long long)call->arg, error);
}

/* The handler, between two looks at the struct. */
static long run_traced(struct uapi_call *call)
{
	unsigned char before[UAPI_MAX_STRUCT];
	char line[UAPI_TRACE_LINE];
	bool none = call->entry->rule == UAPI_NONE;
	long result;

	memcpy(before, call->data, sizeof(before));
	result = call->entry->handler(call);
	uapi_decode(line, sizeof(line), file_name(call->file), call->entry, call->arg,
		    none ? NULL : before, none ? NULL : call->data, result);
	uapi_trace(call->client, "%s", line);
	return result;
}

static long run(struct uapi_call *call)
{
	int ret = take(call);

	if (ret) {
		if (call->client->trace)
			trace_refused(call, call->entry->cmd, ret);
		return ret;
	}
	if (call->client->trace)
		return run_traced(call);
	return call->entry->handler(call);
}

long uapi_dispatch(const struct uapi_table *table, struct vfile *file,
		   struct client *client, uint32_t cmd, uint64_t arg)
{
	struct uapi_call call = {
		.entry = uapi_find(table, cmd),
		.file = file,
		.client = client,
		.arg = arg,
	};
	long ret;

	if (!call.entry) {
		ret = refuse(table, client, cmd, arg);
		if (client->trace)
			trace_refused(&call, cmd, ret);
		return ret;
	}
	if (!call.entry->takes_away)
		return run(&call);
	client_must_not_fail(client, true);
	ret = run(&call);
	client_must_not_fail(client, false);
	return ret;
}

int uapi_respond(struct uapi_call *call, size_t n)
{
	if (call->entry->rule == UAPI_SIZED && n > call->user_size)
		n = call->user_size;
	if (n > sizeof(call->data))
		n = sizeof(call->data);
	return client_copy_out(call->client, call->arg, call->data, n);
}

int uapi_respond_done(struct uapi_call *call, size_t n)
{
	int err;

	client_must_not_fail(call->client, true);
	err = uapi_respond(call, n);
	client_must_not_fail(call->client, false);
	return err;
}

/* Where @n bytes from @offset on lie in the client, if the client can have such. */
static int place(const struct uapi_call *call, size_t offset, size_t n, uint64_t *va)
{
	if (__builtin_add_overflow(call->arg, offset, va) || *va + n < *va)
		return -EFAULT;
	return 0;
}

int uapi_fetch(struct uapi_call *call, void *dst, size_t offset, size_t n)
{
	uint64_t va;

	return place(call, offset, n, &va) ?: client_copy_in(call->client, dst, va, n);
}

int uapi_store(struct uapi_call *call, size_t offset, const void *src, size_t n)
{
	uint64_t va;

	return place(call, offset, n, &va) ?: client_copy_out(call->client, va, src, n);
}

static const char *entry_error(const struct uapi_entry *e)
{
	unsigned limit = e->size > e->min_size ? e->size : e->min_size;

	if (!e->name)
		return "entry without a name";
	if (limit > UAPI_MAX_STRUCT)
		return e->name;
	if (e->rule == UAPI_NONE)
		return e->min_size || e->size || e->fields ? e->name : NULL;
	if (e->handler && e->min_size < sizeof(uint32_t))
		return e->name;
	if (e->rule == UAPI_SIZED && e->size < e->min_size)
		return e->name;
	for (const struct uapi_field *f = e->fields; f && f->size; f++) {
		if (f->size != 1 && f->size != 2 && f->size != 4 && f->size != 8)
			return f->name;
		if (f->offset + f->size > limit)
			return f->name;
		if ((f->kind == UAPI_FLAGS || f->kind == UAPI_ENUM) && !f->names)
			return f->name;
	}
	return NULL;
}

const char *uapi_table_error(const struct uapi_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct uapi_entry *e = &table->entries[i];
		const char *error = entry_error(e);

		if (error)
			return error;
		if (uapi_find(table, e->cmd) != e)
			return e->name;
	}
	return NULL;
}
