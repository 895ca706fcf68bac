/* SPDX-License-Identifier: MIT */
/*
 * One table for each family of ioctls: number, name, sizes, handler, fields. It drives
 * the size rules, the dispatch, the trace (--log) and the generated reference.
 *
 * Size rules:
 *  UAPI_SIZED (iommufd): the struct starts with a u32 size, which is read first. Shorter
 *    than min_size: -EINVAL. Shorter than ours: the rest reads as zero. Longer: the tail
 *    must be zero, else -E2BIG; that is looked at before the part we know is copied.
 *    uapi_respond() writes back no more than the client gave room for.
 *  UAPI_ARGSZ (VFIO): min_size bytes are copied in, a u32 argsz first among them. Less
 *    than min_size: -EINVAL. What follows is the handler's to fetch (uapi_fetch()).
 *  UAPI_NONE: no struct; @arg is the handler's to interpret.
 * Unknown numbers are -ENOTTY; memory that cannot be read is -EFAULT.
 *
 * A client can change its struct while we read it: each byte is copied once, and the
 * size that was checked is the one that stands in our copy.
 */
#ifndef UAPI_TABLE_H
#define UAPI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uapi/client.h"
#include "uapi/vfile.h"

/* The largest fixed struct of any ioctl served. */
#define UAPI_MAX_STRUCT 256

enum uapi_rule {
	UAPI_SIZED,
	UAPI_ARGSZ,
	UAPI_NONE,
};

enum uapi_field_kind {
	UAPI_DEC,
	UAPI_HEX,
	UAPI_FD, /* signed decimal */
	UAPI_PTR,
	UAPI_FLAGS, /* hex, with names from `names` */
	UAPI_ENUM,
	UAPI_PAD, /* reserved: shown only when not zero */
};

/* A name of a flag bit or enum value; the list ends with name NULL. */
struct uapi_name {
	uint64_t value;
	const char *name;
};

struct uapi_field {
	const char *name;
	uint16_t offset, size; /* size 1, 2, 4 or 8; 0 ends the list */
	uint8_t kind;          /* enum uapi_field_kind */
	bool out;              /* a result; what is argument and result is listed twice */
	const struct uapi_name *names;
};

struct uapi_call;

struct uapi_entry {
	uint32_t cmd;
	const char *name; /* as in the uAPI header: "IOMMU_IOAS_MAP_FILE" */
	enum uapi_rule rule;
	uint16_t min_size; /* bytes the client must give */
	/*
	 * Bytes we know. UAPI_SIZED: sizeof the struct. UAPI_ARGSZ: 0 or more than
	 * min_size when the handler keeps in call->data what it fetches or answers beyond
	 * that.
	 */
	uint16_t size;
	long (*handler)(struct uapi_call *call); /* NULL: known by name only, -ENOTTY */
	const struct uapi_field *fields;         /* may be NULL */
	bool takes_away;                         /* see client_ops.must_not_fail */
	/* What is refused before the struct is read: 0 or -errno. NULL: nothing is. */
	int (*admit)(struct uapi_call *call);
};

struct uapi_table {
	const char *family; /* "iommufd" */
	const struct uapi_entry *entries;
	size_t n;
};

struct uapi_call {
	const struct uapi_entry *entry;
	struct vfile *file;
	struct client *client;
	uint64_t arg;       /* the pointer (or value) the client passed */
	uint32_t user_size; /* its size or argsz, as it was checked */
	_Alignas(8) unsigned char data[UAPI_MAX_STRUCT]; /* our copy */
};

/* Find, check sizes, copy in, call the handler, trace. The result of ioctl(2). */
long uapi_dispatch(const struct uapi_table *table, struct vfile *file,
		   struct client *client, uint32_t cmd, uint64_t arg);

/* Copy the first @n bytes of call->data back (UAPI_SIZED: at most user_size). -EFAULT. */
int uapi_respond(struct uapi_call *call, size_t n);
/*
 * The same for what is done and stays, whether or not the client can be told: an area
 * that Linux leaves mapped, a descriptor that cannot be taken back. Faults that are
 * injected (client_ops.must_not_fail) spare it.
 */
int uapi_respond_done(struct uapi_call *call, size_t n);
/*
 * Copy in, or out, bytes of the client's struct that lie beyond min_size. That they lie
 * within argsz is the caller's to check where Linux does. -EFAULT.
 */
int uapi_fetch(struct uapi_call *call, void *dst, size_t offset, size_t n);
int uapi_store(struct uapi_call *call, size_t offset, const void *src, size_t n);

/* The entry for @cmd, or NULL. */
const struct uapi_entry *uapi_find(const struct uapi_table *table, uint32_t cmd);
/*
 * Is @cmd's number one of the family's, between its lowest and highest, whatever the
 * other bits of @cmd are? Then it is for this table to refuse. For a file that serves
 * two families.
 */
bool uapi_owns(const struct uapi_table *table, uint32_t cmd);
/*
 * NULL, or what is wrong with a table: sizes, a number that is there twice, a field
 * outside its struct. For tests.
 */
const char *uapi_table_error(const struct uapi_table *table);

/*
 * Where traces go. A machine has one or none, and its clients point to it; a line is one
 * finished call:
 *   [pid] iommu IOMMU_IOAS_MAP_FILE {flags=FIXED_IOVA|READABLE, ...} = 0 {iova=0x10000}
 * Called from any thread; a line is complete and has no newline.
 */
struct uapi_trace {
	void (*line)(struct uapi_trace *t, const char *text);
};

#define UAPI_TRACE_LINE 1024 /* longer ones are cut */

/*
 * Trace something else a client did ("open(\"/dev/iommu\") = 5"); "[pid] " comes by
 * itself. Costs one comparison when traces are off.
 */
void uapi_trace(struct client *client, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
