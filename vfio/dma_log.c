/* SPDX-License-Identifier: MIT */
/*
 * VFIO_DEVICE_FEATURE_DMA_LOGGING_*: which pages the device's DMA has written, in the
 * ranges that the client asked for.
 *
 * The log has one bit for each 4 KiB (that is what START answers, whatever was wished
 * for), in blocks of 128 MiB that are made when something in them is written. A write is
 * noted when it is done, before the model can tell its driver: a report that does not
 * have it yet came before the driver could know. If there is no memory for a block the
 * log is broken, and reports fail (-EIO) until it is started anew.
 *
 * A report sets bits in the client's bitmap and clears the log's. A page that is written
 * while that goes on is either reported, and its data is there when the report returns,
 * or stays in the log. A bitmap that cannot be written is no error in Linux 7.3; the
 * pages stay in the log.
 *
 * The lock is a leaf; devices' DMA threads take it while the log is on, and not
 * otherwise. It is not held over an access to the client's memory.
 */
#include <errno.h>
#include <string.h>

#include "vfio/device.h"

#define PAGE_SHIFT  12
#define BLOCK_PAGES 32768u
#define BLOCK_WORDS (BLOCK_PAGES / 64)
#define BLOCK_SHIFT (PAGE_SHIFT + 15)
#define RANGES_MAX  (PORT_PAGE_SIZE / sizeof(struct vfio_device_feature_dma_logging_range))

struct block {
	uint64_t bits[BLOCK_WORDS];
};

void dma_log_init(struct dma_log *log)
{
	port_mutex_init(&log->lock);
	range_map_init(&log->ranges);
	range_map_init(&log->blocks);
}

/* With the lock held. */
static void clear(struct dma_log *log)
{
	struct range r;

	while (range_map_first(&log->blocks, 0, UINT64_MAX, &r)) {
		range_map_remove(&log->blocks, r.start);
		port_free(r.value);
	}
	range_map_finish(&log->ranges);
	log->broken = false;
}

void dma_log_finish(struct dma_log *log)
{
	clear(log);
	range_map_finish(&log->blocks);
	port_mutex_finish(&log->lock);
}

/* ---- writes: with the lock held --------------------------------------------------- */

static struct block *block_at(struct dma_log *log, uint64_t number)
{
	struct range r;
	struct block *b;

	if (range_map_first(&log->blocks, number, number, &r))
		return r.value;
	b = port_alloc(sizeof(*b));
	if (b && range_map_insert(&log->blocks, number, number, b)) {
		port_free(b);
		b = NULL;
	}
	log->broken |= !b;
	return b;
}

static void set_bits(struct block *b, unsigned first, unsigned last)
{
	while (first <= last) {
		unsigned word = first / 64, bit = first % 64;
		unsigned n = 64 - bit < last - first + 1 ? 64 - bit : last - first + 1;

		b->bits[word] |= (n == 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1) << bit;
		first += n;
	}
}

/* [start, last] lies in a range. */
static void mark(struct dma_log *log, uint64_t start, uint64_t last)
{
	for (uint64_t n = start >> BLOCK_SHIFT; n <= last >> BLOCK_SHIFT; n++) {
		uint64_t from = max_u64(start, n << BLOCK_SHIFT);
		uint64_t to = min_u64(last, (n << BLOCK_SHIFT) +
						    ((uint64_t)1 << BLOCK_SHIFT) - 1);
		struct block *b = block_at(log, n);

		if (b)
			set_bits(b, from >> PAGE_SHIFT & (BLOCK_PAGES - 1),
				 to >> PAGE_SHIFT & (BLOCK_PAGES - 1));
	}
}

void dma_log_note(struct dma_log *log, uint64_t iova, uint64_t n)
{
	struct range_iter it;
	struct range r;
	uint64_t last;

	if (!log->on || !n)
		return;
	if (__builtin_add_overflow(iova, n - 1, &last))
		last = UINT64_MAX;
	port_dma_rest();
	port_mutex_lock(&log->lock);
	for (bool more = range_iter_first(&it, &log->ranges, iova, last, &r); more;
	     more = range_iter_next(&it, &r))
		mark(log, max_u64(r.start, iova), min_u64(r.last, last));
	port_mutex_unlock(&log->lock);
}

/* ---- START and STOP --------------------------------------------------------------- */

static int copy_range(struct client *c, uint64_t va, uint64_t page_size,
		      struct range_map *ranges)
{
	struct vfio_device_feature_dma_logging_range range;
	uint64_t end;
	int err = client_copy_in(c, &range, va, sizeof(range));

	if (err)
		return err;
	if ((range.iova | range.length) & (page_size - 1))
		return -EINVAL;
	if (__builtin_add_overflow(range.iova, range.length, &end))
		return -EOVERFLOW;
	/* An empty one is no range to the map; Linux takes it, and logs nothing for it.
	 */
	if (!range.length)
		return 0;
	err = range_map_insert(ranges, range.iova, end - 1, ranges);
	return err == -EEXIST ? -EINVAL : err;
}

static int copy_ranges(struct client *c,
		       const struct vfio_device_feature_dma_logging_control *control,
		       struct range_map *ranges)
{
	int err = 0;

	if (!control->num_ranges)
		return -EINVAL;
	if (control->num_ranges > RANGES_MAX)
		return -E2BIG;
	for (uint32_t i = 0; !err && i < control->num_ranges; i++)
		err = copy_range(
			c,
			control->ranges +
				i * sizeof(struct vfio_device_feature_dma_logging_range),
			control->page_size, ranges);
	return err;
}

/* Takes the ranges over on success. */
static int turn_on(struct dma_log *log, struct range_map *ranges)
{
	int err = 0;

	port_mutex_lock(&log->lock);
	if (log->on) {
		err = -EINVAL;
	} else {
		log->ranges = *ranges;
		log->on = true;
	}
	port_mutex_unlock(&log->lock);
	return err;
}

void dma_log_stop(struct dma_log *log)
{
	port_mutex_lock(&log->lock);
	log->on = false;
	clear(log);
	port_mutex_unlock(&log->lock);
}

static long start(struct pci_device *dev, struct client *c, uint32_t flags, uint64_t va,
		  size_t n)
{
	struct vfio_device_feature_dma_logging_control control;
	struct range_map ranges;
	int err = feature_check(flags, n, VFIO_DEVICE_FEATURE_SET, sizeof(control));

	if (err != 1)
		return err;
	err = client_copy_in(c, &control, va, sizeof(control));
	if (err)
		return err;
	range_map_init(&ranges);
	err = copy_ranges(c, &control, &ranges);
	if (!err)
		err = turn_on(&dev->log, &ranges);
	if (err) {
		range_map_finish(&ranges);
		return err;
	}
	control.page_size = (uint64_t)1 << PAGE_SHIFT;
	err = client_copy_out(c, va, &control, sizeof(control));
	if (err)
		dma_log_stop(&dev->log);
	return err;
}

static long stop(struct pci_device *dev, uint32_t flags, size_t n)
{
	int err = feature_check(flags, n, VFIO_DEVICE_FEATURE_SET, 0);

	if (err != 1)
		return err;
	dma_log_stop(&dev->log);
	return 0;
}

/* ---- REPORT ----------------------------------------------------------------------- */

/* What is asked for, and what a block has for it. */
struct query {
	struct client *client;
	uint64_t iova, last, bitmap;
	unsigned shift; /* of the client's pages */
	struct block found;
	/* The client's bytes; one more, for bits need not begin with a byte. */
	uint8_t bytes[BLOCK_PAGES / 8 + 1];
};

static uint64_t bit_of(const struct query *q, uint64_t iova)
{
	return (max_u64(iova, q->iova) - q->iova) >> q->shift;
}

/* The lowest block from number @from on; false: there is none up to @last. */
static bool next_block(struct dma_log *log, uint64_t from, uint64_t last,
		       uint64_t *number, struct block *copy)
{
	struct range r;
	bool found;

	port_mutex_lock(&log->lock);
	found = range_map_first(&log->blocks, from, last, &r);
	if (found) {
		*number = r.start;
		*copy = *(struct block *)r.value;
	}
	port_mutex_unlock(&log->lock);
	return found;
}

static void forget(struct dma_log *log, uint64_t number, const struct block *reported)
{
	struct range r;

	port_mutex_lock(&log->lock);
	if (range_map_first(&log->blocks, number, number, &r)) {
		struct block *b = r.value;

		for (unsigned i = 0; i < BLOCK_WORDS; i++)
			b->bits[i] &= ~reported->bits[i];
	}
	port_mutex_unlock(&log->lock);
}

/* Keep in `found` only the pages that were asked for. False: none. */
static bool crop(struct query *q, uint64_t number)
{
	uint64_t page = number << (BLOCK_SHIFT - PAGE_SHIFT);
	uint64_t first = q->iova >> PAGE_SHIFT, last = q->last >> PAGE_SHIFT;
	bool any = false;

	for (unsigned i = 0; i < BLOCK_PAGES; i++) {
		uint64_t bit = (uint64_t)1 << i % 64;

		if (!(q->found.bits[i / 64] & bit))
			continue;
		if (page + i < first || page + i > last)
			q->found.bits[i / 64] &= ~bit;
		else
			any = true;
	}
	return any;
}

/* Sets the bits of `found` in the client's bitmap. */
static int set_in_bitmap(struct query *q, uint64_t number)
{
	uint64_t start = number << BLOCK_SHIFT,
		 end = start + ((uint64_t)1 << BLOCK_SHIFT);
	uint64_t first = bit_of(q, start) / 8;
	uint64_t last = bit_of(q, min_u64(end - 1, q->last)) / 8;
	size_t n = (size_t)(last - first + 1);
	int err = client_copy_in(q->client, q->bytes, q->bitmap + first, n);

	if (err)
		return err;
	for (unsigned i = 0; i < BLOCK_PAGES; i++) {
		uint64_t bit;

		if (!(q->found.bits[i / 64] >> i % 64 & 1))
			continue;
		bit = bit_of(q, start + ((uint64_t)i << PAGE_SHIFT));
		q->bytes[bit / 8 - first] |= 1u << bit % 8;
	}
	return client_copy_out(q->client, q->bitmap + first, q->bytes, n);
}

static void report_blocks(struct dma_log *log, struct query *q)
{
	uint64_t number = q->iova >> BLOCK_SHIFT, last = q->last >> BLOCK_SHIFT;

	for (; number <= last && next_block(log, number, last, &number, &q->found);
	     number++) {
		if (crop(q, number) && !set_in_bitmap(q, number))
			forget(log, number, &q->found);
	}
}

static int status(struct dma_log *log)
{
	int err = 0;

	port_mutex_lock(&log->lock);
	if (!log->on)
		err = -EINVAL;
	else if (log->broken)
		err = -EIO;
	port_mutex_unlock(&log->lock);
	return err;
}

static long report(struct pci_device *dev, struct client *c, uint32_t flags, uint64_t va,
		   size_t n)
{
	struct vfio_device_feature_dma_logging_report r;
	struct query *q;
	uint64_t end;
	int err = feature_check(flags, n, VFIO_DEVICE_FEATURE_GET, sizeof(r));

	if (err != 1)
		return err;
	err = client_copy_in(c, &r, va, sizeof(r));
	if (err)
		return err;
	if (r.page_size < PORT_PAGE_SIZE || r.page_size & (r.page_size - 1))
		return -EINVAL;
	if (__builtin_add_overflow(r.iova, r.length, &end))
		return -EOVERFLOW;
	err = status(&dev->log);
	if (err || !r.length)
		return err;
	q = port_alloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->client = c;
	q->iova = r.iova;
	q->last = end - 1;
	q->bitmap = r.bitmap;
	q->shift = (unsigned)__builtin_ctzll(r.page_size);
	report_blocks(&dev->log, q);
	port_free(q);
	return 0;
}

long dma_log_feature(struct pci_device *dev, struct client *c, uint32_t flags,
		     uint64_t va, size_t n)
{
	if (!dev->desc.dma_logging)
		return -ENOTTY;
	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		return start(dev, c, flags, va, n);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
		return stop(dev, flags, n);
	default:
		return report(dev, c, flags, va, n);
	}
}
