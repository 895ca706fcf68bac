/* SPDX-License-Identifier: MIT */
#include "tests/core/dma_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_window *window_of(struct phys_window *w)
{
	return container_of(w, struct test_window, w);
}

static int remote_access(struct test_window *t, uint64_t offset, size_t n)
{
	atomic_fetch_add(&t->calls, 1);
	if (t->in_access)
		t->in_access(t);
	return offset + n > t->bad_from ? -EIO : 0;
}

static int remote_read(struct phys_window *w, uint64_t offset, void *dst, size_t n)
{
	struct test_window *t = window_of(w);
	int rc = remote_access(t, offset, n);

	return rc ? rc : port_copy_guarded(dst, t->mem + offset, n);
}

static int remote_write(struct phys_window *w, uint64_t offset, const void *src, size_t n)
{
	struct test_window *t = window_of(w);
	int rc = remote_access(t, offset, n);

	return rc ? rc : port_copy_guarded(t->mem + offset, src, n);
}

static const struct phys_window_ops remote_ops = {
	.read = remote_read,
	.write = remote_write,
};

void window_init(struct test_window *t, struct phys *phys, enum window_type type,
		 uint64_t length)
{
	bool remote = type == WINDOW_REMOTE || type == WINDOW_REMOTE_MMIO;
	bool mmio = type == WINDOW_MMIO || type == WINDOW_REMOTE_MMIO;

	memset(t, 0, sizeof(*t));
	t->fd = memfd_create("window", 0);
	assert_true(t->fd >= 0);
	assert_int_equal(ftruncate(t->fd, length), 0);
	t->mem = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	assert_ptr_not_equal(t->mem, MAP_FAILED);
	t->bad_from = UINT64_MAX;
	t->w.length = length;
	t->w.kind = mmio ? PHYS_MMIO : PHYS_RAM;
	t->w.host = remote ? NULL : t->mem;
	t->w.ops = remote ? &remote_ops : NULL;
	assert_int_equal(phys_add(phys, &t->w), 0);
}

void window_finish(struct test_window *t, struct phys *phys)
{
	phys_remove(phys, &t->w);
	munmap(t->mem, t->w.length);
	close(t->fd);
}

void window_truncate(struct test_window *t, uint64_t length)
{
	assert_int_equal(ftruncate(t->fd, length), 0);
}

void world_init(struct dma_world *w)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(phys_create(&w->phys), 0);
	assert_int_equal(domain_create(w->phys, &pt_vtd_s2, 0, &w->d), 0);
	dma_requester_init(&w->r);
	dma_requester_attach(&w->r, w->d);
	dma_requester_set_master(&w->r, true);
	dma_channel_init(&w->ch, &w->r);
}

void world_finish(struct dma_world *w)
{
	dma_requester_finish(&w->r);
	domain_destroy(w->d);
	phys_destroy(w->phys);
}

int map(struct domain *d, uint64_t iova, const struct test_window *t, uint64_t offset,
	uint64_t length, unsigned prot)
{
	struct run run = {t->w.base + offset, length, t->w.kind == PHYS_MMIO};
	struct run_list runs = {.v = &run, .n = 1, .cap = 1};

	return domain_map(d, iova, &runs, 0, length, prot, true);
}

void unmap(struct domain *d, uint64_t iova, uint64_t length)
{
	struct domain_gather gather = {0};

	domain_unmap(d, iova, length, &gather);
	domain_gather_finish(&gather);
}
