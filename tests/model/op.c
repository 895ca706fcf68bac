/* SPDX-License-Identifier: MIT */
/* The table of calls, and scripts as text. */
#include "tests/model/op.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/world.h"

enum field {
	CTX = 1 << 0,
	SLOT = 1 << 1,
	OBJ = 1 << 2,
	PT = 1 << 3,
	DEV = 1 << 4,
	FILE_ = 1 << 5,
	FLAGS = 1 << 6,
	START = 1 << 7,
	LENGTH = 1 << 8,
	IOVA = 1 << 9,
	IOVA2 = 1 << 10,
	VALUE = 1 << 11,
	COUNT = 1 << 12,
	FAIL = 1 << 13, /* of what may fail */
};

static const struct {
	const char *name;
	enum field bit;
	size_t offset;
	bool hex;
} fields[] = {
	{"ctx", CTX, offsetof(struct op, ctx), false},
	{"slot", SLOT, offsetof(struct op, slot), false},
	{"obj", OBJ, offsetof(struct op, obj), false},
	{"pt", PT, offsetof(struct op, pt), false},
	{"dev", DEV, offsetof(struct op, dev), false},
	{"file", FILE_, offsetof(struct op, file), false},
	{"flags", FLAGS, offsetof(struct op, flags), true},
	{"start", START, offsetof(struct op, start), true},
	{"length", LENGTH, offsetof(struct op, length), true},
	{"iova", IOVA, offsetof(struct op, iova), true},
	{"iova2", IOVA2, offsetof(struct op, iova2), true},
	{"value", VALUE, offsetof(struct op, value), true},
	{"count", COUNT, offsetof(struct op, count), false},
	{"fail", FAIL, offsetof(struct op, fail), false},
};
#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

static const struct {
	const char *name;
	unsigned fields;
} kinds[OP_KINDS] = {
	[OP_CTX_OPEN] = {"ctx_open", CTX | FAIL},
	[OP_CTX_CLOSE] = {"ctx_close", CTX},
	[OP_IOAS_ALLOC] = {"ioas_alloc", CTX | SLOT | FLAGS | FAIL},
	[OP_DESTROY] = {"destroy", CTX | OBJ},
	/* @count: room for ranges */
	[OP_RANGES] = {"ranges", CTX | OBJ | COUNT | FAIL},
	/* [iova, + length), [iova2, + value): the first @count of them */
	[OP_ALLOW] = {"allow", CTX | OBJ | COUNT | IOVA | LENGTH | IOVA2 | VALUE | FAIL},
	[OP_MAP] = {"map", CTX | OBJ | FLAGS | START | LENGTH | IOVA | FAIL},
	[OP_MAP_FILE] = {"map_file",
			 CTX | OBJ | FLAGS | FILE_ | START | LENGTH | IOVA | FAIL},
	/* from obj at iova2 to pt at iova */
	[OP_COPY] = {"copy", CTX | OBJ | PT | FLAGS | LENGTH | IOVA | IOVA2 | FAIL},
	[OP_UNMAP] = {"unmap", CTX | OBJ | LENGTH | IOVA},
	/* @count: which option; @flags: set or get */
	[OP_OPTION] = {"option", CTX | OBJ | COUNT | FLAGS | VALUE},
	/* @obj: the device; @value: enum hwpt_data */
	[OP_HWPT_ALLOC] = {"hwpt_alloc", CTX | SLOT | OBJ | PT | FLAGS | VALUE | FAIL},
	[OP_TRACK] = {"track", CTX | OBJ | FLAGS},
	/* @value: page size of the bitmap */
	[OP_DIRTY_GET] = {"dirty_get", CTX | OBJ | FLAGS | IOVA | LENGTH | VALUE},
	/* @count: which call; @value: enum malformed */
	[OP_MALFORMED] = {"malformed", CTX | COUNT | VALUE | FAIL},
	[OP_CHANGE_PROCESS] = {"change_process", CTX | FAIL},
	/* @count: get, set or clear */
	[OP_VFIO_IOAS] = {"vfio_ioas", CTX | OBJ | COUNT},
	/* @value: which type */
	[OP_TYPE1_SET] = {"type1_set", CTX | VALUE},
	[OP_TYPE1_MAP] = {"type1_map", CTX | FLAGS | START | LENGTH | IOVA | FAIL},
	[OP_TYPE1_UNMAP] = {"type1_unmap", CTX | FLAGS | LENGTH | IOVA},
	[OP_DEV_OPEN] = {"dev_open", DEV | FAIL},
	[OP_DEV_CLOSE] = {"dev_close", DEV},
	[OP_BIND] = {"bind", DEV | FILE_ | SLOT},
	[OP_ATTACH] = {"attach", DEV | PT | SLOT},
	[OP_DETACH] = {"detach", DEV},
	[OP_RESET] = {"reset", DEV},
	[OP_FLR] = {"flr", DEV},
	[OP_COMMAND] = {"command", DEV | VALUE},
	[OP_POWER] = {"power", DEV | VALUE},
	[OP_LOW_POWER] = {"low_power", DEV | VALUE},
	/* @count ranges of BAR @value, each [start, + length) */
	[OP_EXPORT] = {"export", DEV | SLOT | VALUE | START | LENGTH | COUNT | FAIL},
	[OP_BUF_CLOSE] = {"buf_close", SLOT},
	[OP_BAR_READ] = {"bar_read", DEV | START | LENGTH},
	[OP_BAR_WRITE] = {"bar_write", DEV | START | LENGTH | VALUE},
	[OP_DMA_READ] = {"dma_read", DEV | IOVA | LENGTH},
	[OP_DMA_WRITE] = {"dma_write", DEV | IOVA | LENGTH | VALUE},
	/* from iova2 to iova */
	[OP_DMA_COPY] = {"dma_copy", DEV | IOVA | IOVA2 | LENGTH},
	[OP_DMA_FILL] = {"dma_fill", DEV | IOVA | LENGTH | VALUE},
	/* one byte in each of @count pages, the @value-th */
	[OP_LOOK] = {"look", DEV | IOVA | COUNT | VALUE},
	[OP_CPU_WRITE] = {"cpu_write", FILE_ | START | LENGTH | VALUE},
	[OP_MEMORY] = {"memory", 0},
	/* makes three ids: the device's, iommufd's of it, the hwpt's */
	[OP_MOCK] = {"mock", CTX | SLOT | PT | FLAGS | FAIL},
	[OP_MOCK_REPLACE] = {"mock_replace", CTX | OBJ | PT | SLOT},
	[OP_CHECK_MAP] = {"check_map", CTX | OBJ | IOVA | LENGTH | START | FAIL},
	/* @value: how often each page is */
	[OP_CHECK_PINS] = {"check_pins", CTX | START | LENGTH | VALUE | FAIL},
	[OP_SET_DIRTY] = {"set_dirty", CTX | OBJ | IOVA | LENGTH | VALUE},
	[OP_RESERVE] = {"reserve", CTX | OBJ | IOVA | LENGTH},
	[OP_ACCESS_OPEN] = {"access_open", CTX | OBJ | SLOT | FLAGS | FAIL},
	[OP_ACCESS_CLOSE] = {"access_close", SLOT},
	[OP_ACCESS_REPLACE] = {"access_replace", CTX | SLOT | PT | FAIL},
	[OP_PIN] = {"pin", CTX | SLOT | FLAGS | IOVA | LENGTH},
	/* @value: the number of the pin */
	[OP_UNPIN] = {"unpin", CTX | SLOT | VALUE},
	[OP_RW] = {"rw", CTX | SLOT | FLAGS | IOVA | LENGTH | VALUE},
	[OP_TEST_BUF] = {"test_buf", CTX | SLOT | LENGTH | FAIL},
	[OP_TEST_REVOKE] = {"test_revoke", CTX | FILE_ | VALUE},
};

static const char *const file_names[] = {
	[FILE_NONE] = "none", [FILE_MEM] = "mem", [FILE_BUF] = "buf",
	[FILE_DEV] = "dev",   [FILE_CTX] = "ctx", [FILE_ACCESS] = "access",
};
#define NFILES (sizeof(file_names) / sizeof(file_names[0]))

bool op_may_fail(enum op_kind kind)
{
	return kinds[kind].fields & FAIL;
}

const char *op_name(enum op_kind kind)
{
	return kinds[kind].name;
}

static uint64_t *field_of(struct op *op, size_t i)
{
	return (uint64_t *)(void *)((char *)op + fields[i].offset);
}

bool op_argument(struct op *op, unsigned i, uint64_t **arg)
{
	for (size_t f = 0; f < NFIELDS; f++) {
		if (!(kinds[op->kind].fields & fields[f].bit))
			continue;
		if (i--)
			continue;
		*arg = field_of(op, f);
		return true;
	}
	return false;
}

uint64_t op_opens(const struct op *op)
{
	switch (op->kind) {
	case OP_CTX_OPEN:
		return FILE_OF(FILE_CTX, op->ctx % NCTX);
	case OP_DEV_OPEN:
		return FILE_OF(FILE_DEV, op->dev % NDEV_FILES);
	case OP_EXPORT:
	case OP_TEST_BUF:
		return FILE_OF(FILE_BUF, op->slot % NBUFS);
	case OP_ACCESS_OPEN:
		return FILE_OF(FILE_ACCESS, op->slot % NACCESSES);
	default:
		return FILE_OF(FILE_NONE, 0);
	}
}

/* ---- scripts ----------------------------------------------------------------- */

void script_add(struct script *s, const struct op *op)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 256;
		struct op *v = realloc(s->v, cap * sizeof(*v));

		if (!v) {
			perror("script");
			exit(CANNOT_RUN);
		}
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *op;
}

void script_finish(struct script *s)
{
	free(s->v);
	*s = (struct script){0};
}

static void write_field(FILE *f, const struct op *op, size_t i)
{
	uint64_t v = *field_of((struct op *)(uintptr_t)op, i);

	if (!v || !(kinds[op->kind].fields & fields[i].bit))
		return;
	fprintf(f, " %s=", fields[i].name);
	if (fields[i].bit == FILE_ && FILE_KIND(v) < NFILES)
		fprintf(f, "%s:%u", file_names[FILE_KIND(v)], FILE_INDEX(v));
	else if (fields[i].hex)
		fprintf(f, "%#" PRIx64, v);
	else
		fprintf(f, "%" PRIu64, v);
}

void op_write(FILE *f, const struct op *op)
{
	fputs(kinds[op->kind].name, f);
	for (size_t i = 0; i < NFIELDS; i++)
		write_field(f, op, i);
	fputc('\n', f);
}

void script_write(FILE *f, const struct script *s)
{
	for (size_t i = 0; i < s->n; i++)
		op_write(f, &s->v[i]);
}

static bool read_file(const char *text, uint64_t *out)
{
	const char *colon = strchr(text, ':');

	for (size_t i = 0; i < NFILES && colon; i++) {
		if (strlen(file_names[i]) == (size_t)(colon - text) &&
		    !strncmp(file_names[i], text, (size_t)(colon - text))) {
			*out = FILE_OF(i, strtoul(colon + 1, NULL, 0) & 0xff);
			return true;
		}
	}
	return false;
}

static bool read_argument(struct op *op, char *word)
{
	char *end, *value = strchr(word, '=');

	if (!value)
		return false;
	*value++ = '\0';
	for (size_t i = 0; i < NFIELDS; i++) {
		if (strcmp(fields[i].name, word))
			continue;
		if (!(kinds[op->kind].fields & fields[i].bit))
			return false;
		if (fields[i].bit == FILE_)
			return read_file(value, field_of(op, i));
		*field_of(op, i) = strtoull(value, &end, 0);
		return end != value && !*end;
	}
	return false;
}

static bool read_op(char *line, struct op *op)
{
	char *rest, *word = strtok_r(line, " \t\n", &rest);
	int kind = 0;

	while (kind < OP_KINDS && strcmp(kinds[kind].name, word))
		kind++;
	if (kind == OP_KINDS)
		return false;
	*op = (struct op){.kind = (enum op_kind)kind};
	while ((word = strtok_r(NULL, " \t\n", &rest)))
		if (!read_argument(op, word))
			return false;
	return true;
}

bool script_read(FILE *f, const char *name, struct script *out)
{
	char line[512], copy[512];
	unsigned number = 0;
	struct op op;

	while (fgets(line, sizeof(line), f)) {
		number++;
		if (line[0] == '#' || line[strspn(line, " \t\n")] == '\0')
			continue;
		snprintf(copy, sizeof(copy), "%s", line);
		if (!read_op(copy, &op)) {
			fprintf(stderr, "%s:%u: %s", name, number, line);
			return false;
		}
		script_add(out, &op);
	}
	return true;
}
