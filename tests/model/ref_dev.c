/* SPDX-License-Identifier: MIT */
/*
 * The machine's devices as VFIO shows them, and the dma-bufs of their BARs.
 *
 * What takes a device's memory away takes the maps of its dma-bufs with it, for ever:
 * reset, memory decoding off, D3hot, low power, close. When the memory is back the
 * buffers can be mapped again, but for those of a device that was closed.
 */
#include "tests/model/ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RESET_FUNCTION = 1, RESET_POWER = 2 };

#define COMMAND_SEEN (COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER)

static struct ref_dev *dev_of(struct ref *r, const struct op *op)
{
	return &r->dev[op->dev % NDEV_FILES % NDEVS];
}

/* ---- memory goes and comes back ---------------------------------------------- */

static void revoke(struct ref *r, struct ref_dev *d, bool orphan)
{
	for (unsigned i = 0; i < MAX_BUFS && r->buf[i].used; i++) {
		struct ref_buf *b = &r->buf[i];

		if (b->test || &r->dev[b->dev] != d || b->orphan)
			continue;
		ref_revoke(r, b);
		b->orphan = orphan;
	}
}

static void restore(struct ref *r, struct ref_dev *d)
{
	for (unsigned i = 0; i < MAX_BUFS && r->buf[i].used; i++) {
		struct ref_buf *b = &r->buf[i];

		if (!b->test && &r->dev[b->dev] == d && !b->orphan)
			b->revoked = false;
	}
}

static void memory_off(struct ref *r, struct ref_dev *d)
{
	revoke(r, d, false);
	d->decoding = false;
}

static void memory_as_configured(struct ref *r, struct ref_dev *d)
{
	d->decoding = d->command & COMMAND_MEMORY && !d->power;
	if (d->decoding)
		restore(r, d);
}

static void reset(struct ref *r, struct ref_dev *d)
{
	if (r->wrong != WRONG_REVOKE)
		memory_off(r, d);
	d->power = 0;
	d->resets[RESET_FUNCTION]++;
	memory_as_configured(r, d);
}

/* A call of a function in low power: the way out of D3hot is a reset of its registers. */
static void wake(struct ref_dev *d)
{
	if (d->low_power)
		d->resets[RESET_POWER]++;
}

/* ... and its end. A client's own D3hot is left for D0 before. */
static void sleep_again(struct ref_dev *d)
{
	if (!d->low_power || !d->power)
		return;
	d->resets[RESET_POWER]++;
	d->power = 0;
	d->decoding = d->command & COMMAND_MEMORY;
}

/* ---- open, bind, close ------------------------------------------------------- */

void ref_dev_open(struct ref *r, const struct op *op, struct outcome *out)
{
	r->dev_open[op->dev % NDEV_FILES] = true;
}

void ref_dev_close(struct ref *r, const struct op *op, struct outcome *out)
{
	unsigned file = op->dev % NDEV_FILES;
	struct ref_dev *d = dev_of(r, op);

	if (!r->dev_open[file]) {
		out->ret = -EBADF;
		return;
	}
	r->dev_open[file] = false;
	if (!d->ctx || d->file != file)
		return;
	revoke(r, d, true);
	d->decoding = false;
	wake(d);
	d->low_power = false;
	d->command = 0;
	d->power = 0;
	d->resets[RESET_FUNCTION]++;
	ref_dev_unbind(r, d);
}

void ref_bind(struct ref *r, const struct op *op, struct outcome *out)
{
	unsigned file = op->dev % NDEV_FILES, ctx = FILE_INDEX(op->file) % NCTX;
	struct ref_dev *d = dev_of(r, op);

	if (!r->dev_open[file])
		out->ret = -EBADF;
	else if (!ref_is_open(r, op->file)) /* then it is negative */
		out->ret = -EINVAL;
	else if (d->ctx && d->file == file)
		out->ret = -EINVAL;
	else if (FILE_KIND(op->file) != FILE_CTX)
		out->ret = -EBADFD;
	else if (d->ctx)
		out->ret = -EINVAL;
	else
		out->ret = ref_dev_bind(r, d, r->ctx[ctx]);
	if (out->ret)
		return;
	d->file = file;
	d->command = COMMAND_IO | COMMAND_MEMORY;
	d->power = 0;
	reset(r, d);
	ref_set_slot(r, op->slot, d->id);
	tell(out, d->id);
	tell(out, d->resets[RESET_FUNCTION]);
}

/* ---- calls on a bound device ------------------------------------------------- */

static void attach(struct ref *r, struct ref_dev *d, const struct op *op,
		   struct outcome *out)
{
	uint32_t pt = ref_slot(r, op->pt);

	out->ret = ref_dev_attach(r, d, &pt);
	if (out->ret)
		return;
	ref_set_slot(r, op->slot, pt);
	tell(out, pt);
}

static void command(struct ref *r, struct ref_dev *d, uint64_t value, struct outcome *out)
{
	if (!(value & COMMAND_MEMORY))
		memory_off(r, d);
	d->command = value & COMMAND_SEEN;
	memory_as_configured(r, d);
	wake(d); /* to read it again */
	tell(out, d->command);
}

/* There are D0 and D3hot; asking for others changes nothing. */
static void power(struct ref *r, struct ref_dev *d, uint64_t state, struct outcome *out)
{
	unsigned before = d->resets[RESET_POWER];

	state &= 3;
	wake(d);
	if (state == 3)
		memory_off(r, d);
	else if (state == 0 && d->power == 3)
		d->resets[RESET_POWER]++;
	if (state == 0 || state == 3)
		d->power = (unsigned)state;
	memory_as_configured(r, d);
	sleep_again(d);
	wake(d);
	tell(out, d->power);
	tell(out, d->resets[RESET_POWER] - before);
}

/* Entering revokes, though memory decoding stays on. */
static long low_power(struct ref *r, struct ref_dev *d, bool enter)
{
	bool was = d->low_power;

	d->low_power = enter;
	if (enter) {
		revoke(r, d, false);
		return was ? -EINVAL : 0;
	}
	if (d->decoding)
		restore(r, d);
	return 0;
}

static void bar_io(struct ref *r, struct ref_dev *d, const struct op *op,
		   struct outcome *out)
{
	uint8_t *bytes = r->memory[REGION_BARS + (d - r->dev)] + op->start;
	uint64_t n = op->length < PAGE ? op->length : PAGE;

	if (!n)
		return;
	wake(d);
	if (op->start >= BAR_BYTES) {
		out->ret = -EINVAL;
		return;
	}
	if (n > BAR_BYTES - op->start)
		n = BAR_BYTES - op->start;
	if (!d->decoding) {
		out->ret = -EIO;
		return;
	}
	out->ret = (long)n;
	if (op->kind == OP_BAR_WRITE)
		world_pattern(op->value, bytes, n);
	else
		tell(out, world_sum(bytes, n));
}

static struct ref_buf *new_buf(struct ref *r, uint64_t slot)
{
	unsigned i = 0;

	while (r->buf[i].used)
		i++;
	if (i == MAX_BUFS - 1) {
		fprintf(stderr, "reference: too many dma-bufs\n");
		exit(CANNOT_RUN);
	}
	r->buf_slot[slot % NBUFS] = (int)i;
	r->buf[i] = (struct ref_buf){.used = true};
	return &r->buf[i];
}

static uint64_t nr_ranges(const struct op *op)
{
	return op->count < 2 ? op->count : 2;
}

static int check_export(const struct op *op)
{
	uint64_t end, n = nr_ranges(op);

	if (!n)
		return -EINVAL;
	if (op->value)
		return -ENODEV;
	if (!op->length || op->start % PAGE || op->length % PAGE)
		return -EINVAL;
	if (op->length * n / n != op->length || op->length * n >> 63)
		return -EINVAL;
	/* The BAR has an address that is not 0, so the sum can wrap earlier. */
	if (op->start >= UINT64_MAX - MIB(1 << 20))
		return -EOVERFLOW;
	if (__builtin_add_overflow(op->start, op->length, &end) || end > BAR_BYTES)
		return -EINVAL;
	return 0;
}

static void export(struct ref *r, struct ref_dev *d, const struct op *op,
		   struct outcome *out)
{
	struct ref_buf *b;

	out->ret = check_export(op);
	if (out->ret)
		return;
	b = new_buf(r, op->slot);
	b->dev = (unsigned)(d - r->dev);
	b->ranges = (unsigned)nr_ranges(op);
	b->offset = op->start;
	b->size = op->length * nr_ranges(op);
	b->revoked = !d->decoding;
}

void ref_dev_call(struct ref *r, const struct op *op, struct outcome *out)
{
	unsigned file = op->dev % NDEV_FILES;
	struct ref_dev *d = dev_of(r, op);

	if (!r->dev_open[file] || !d->ctx || d->file != file) {
		out->ret = r->dev_open[file] ? -EINVAL : -EBADF;
		return;
	}
	if (op->kind != OP_BAR_READ && op->kind != OP_BAR_WRITE && op->kind != OP_POWER)
		wake(d);
	switch (op->kind) {
	case OP_ATTACH:
		attach(r, d, op, out);
		break;
	case OP_DETACH:
		ref_dev_detach(r, d);
		break;
	case OP_FLR:
		wake(d); /* it is read before it is written */
			 /* fallthrough */
	case OP_RESET:
		reset(r, d);
		tell(out, d->resets[RESET_FUNCTION]);
		break;
	case OP_COMMAND:
		command(r, d, op->value, out);
		break;
	case OP_POWER:
		power(r, d, op->value, out);
		break;
	case OP_LOW_POWER:
		out->ret = low_power(r, d, op->value);
		break;
	case OP_EXPORT:
		export(r, d, op, out);
		break;
	default:
		bar_io(r, d, op, out);
	}
	sleep_again(d);
}

/* ---- dma-bufs ---------------------------------------------------------------- */

void ref_buf_close(struct ref *r, const struct op *op, struct outcome *out)
{
	int *slot = &r->buf_slot[op->slot % NBUFS];

	if (*slot < 0) {
		out->ret = -EBADF;
		return;
	}
	*slot = -1;
}

void ref_test_buf(struct ref *r, const struct op *op, struct outcome *out)
{
	uint64_t bytes = ((uint32_t)op->length + PAGE - 1) / PAGE * PAGE;
	struct ref_buf *b;

	if (!ref_open_ctx(r, op, out))
		return;
	if (!bytes || bytes > 512 * PAGE) {
		out->ret = -EINVAL;
		return;
	}
	b = new_buf(r, op->slot);
	b->test = true;
	b->ranges = 1;
	b->size = bytes;
	b->bytes = calloc(1, bytes);
}

void ref_test_revoke(struct ref *r, const struct op *op, struct outcome *out)
{
	bool is_buf = FILE_KIND(op->file) == FILE_BUF;
	int slot = is_buf ? r->buf_slot[FILE_INDEX(op->file) % NBUFS] : -1;
	struct ref_buf *b;

	if (!ref_open_ctx(r, op, out))
		return;
	if (slot < 0) {
		out->ret = ref_is_open(r, op->file) ? -EINVAL : -EBADF;
		return;
	}
	b = &r->buf[slot];
	if (!b->test) {
		out->ret = -EOPNOTSUPP;
		return;
	}
	/* Importers are told of either change. */
	ref_revoke(r, b);
	b->revoked = op->value;
}
