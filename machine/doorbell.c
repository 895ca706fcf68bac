/* SPDX-License-Identifier: MIT */
/* See doorbell.h. */
#include "machine/doorbell.h"

static int doorbell_read(struct phys_window *w, uint64_t offset, void *dst, size_t n)
{
	memset(dst, 0, n);
	return 0;
}

static int doorbell_write(struct phys_window *w, uint64_t offset, const void *src,
			  size_t n)
{
	return 0;
}

static const struct phys_window_ops ops = {
	.read = doorbell_read,
	.write = doorbell_write,
};

int doorbell_create(struct phys *phys, struct phys_window **out)
{
	struct phys_window *w = port_alloc(sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->length = PORT_PAGE_SIZE;
	w->kind = PHYS_MMIO;
	w->ops = &ops;
	err = phys_add(phys, w);
	if (err)
		port_free(w);
	else
		*out = w;
	return err;
}

void doorbell_destroy(struct phys *phys, struct phys_window *w)
{
	if (!w)
		return;
	phys_remove(phys, w);
	port_free(w);
}
