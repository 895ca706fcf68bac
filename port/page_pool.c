/* SPDX-License-Identifier: MIT */
/*
 * Pages for page tables.
 *
 * A million areas have thousands of table pages, and random DMA goes through all of
 * them. malloc would scatter them, with a header between each two; here they come out of
 * chunks of 2 MiB, which the kernel backs with a huge page, so that a walk does not also
 * miss the CPU's own TLB.
 *
 * The first page of a chunk is its header. A chunk is on the list of those with free
 * pages, or full and on no list. Free pages are chained through their first word; pages
 * that were never handed out are still zero and are not touched before. The first chunk
 * asks for no huge page: a small program stays small. A chunk whose last page is freed is
 * given back, but for one that is kept to save a program from doing so all the time.
 *
 * Like malloc's, this state is the process's; a lock guards it, a leaf. Under address and
 * thread sanitizer every page is an allocation of its own, so that they see what happens
 * to it.
 */
#include "port/fault_inject.h"
#include "port/port.h"
#include "port/sanitizers.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#if PORT_ASAN || PORT_TSAN

void *port_alloc_page(void)
{
	void *page;

	if (port_fail_now(PORT_FAIL_ALLOC))
		return NULL;
	page = aligned_alloc(PORT_PAGE_SIZE, PORT_PAGE_SIZE);
	if (page)
		memset(page, 0, PORT_PAGE_SIZE);
	return page;
}

void port_free_page(void *p)
{
	free(p);
}

#else

#include "core/list.h"

#define CHUNK_BYTES ((size_t)2 << 20)
#define CHUNK_PAGES (CHUNK_BYTES / PORT_PAGE_SIZE)

struct chunk {
	struct list on_usable;
	void *free;     /* chain of pages that were handed out before */
	unsigned fresh; /* index of the first page that never was */
	unsigned used;  /* pages out there */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list usable = {&usable, &usable}; /* chunks with free pages; under lock */
static unsigned chunks, empty_chunks;           /* under lock */

static bool is_full(const struct chunk *c)
{
	return !c->free && c->fresh == CHUNK_PAGES;
}

/* Aligned to its size. */
static struct chunk *chunk_create(void)
{
	uintptr_t at, chunk;
	struct chunk *c;
	void *p;

	p = mmap(NULL, 2 * CHUNK_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	at = (uintptr_t)p;
	chunk = (at + CHUNK_BYTES - 1) & ~(CHUNK_BYTES - 1);
	if (chunk > at)
		munmap(p, chunk - at);
	munmap((void *)(chunk + CHUNK_BYTES), at + CHUNK_BYTES - chunk);
	c = (struct chunk *)chunk;
	if (chunks > 0)
		madvise(c, CHUNK_BYTES, MADV_HUGEPAGE);
	c->fresh = 1;
	list_append(&usable, &c->on_usable);
	chunks++;
	empty_chunks++;
	return c;
}

static void chunk_destroy(struct chunk *c)
{
	list_remove(&c->on_usable);
	chunks--;
	empty_chunks--;
	munmap(c, CHUNK_BYTES);
}

/* @used_before: it has to be zeroed. */
static void *take_page(struct chunk *c, bool *used_before)
{
	void *page = c->free;

	*used_before = page != NULL;
	if (page)
		c->free = *(void **)page;
	else
		page = (char *)c + c->fresh++ * PORT_PAGE_SIZE;
	if (c->used++ == 0)
		empty_chunks--;
	if (is_full(c))
		list_remove(&c->on_usable);
	return page;
}

void *port_alloc_page(void)
{
	bool used_before = false;
	struct chunk *c = NULL;
	void *page = NULL;

	if (port_fail_now(PORT_FAIL_ALLOC))
		return NULL;
	pthread_mutex_lock(&lock);
	if (!list_empty(&usable))
		c = list_entry(usable.next, struct chunk, on_usable);
	else
		c = chunk_create();
	if (c)
		page = take_page(c, &used_before);
	pthread_mutex_unlock(&lock);
	if (used_before)
		memset(page, 0, PORT_PAGE_SIZE);
	return page;
}

void port_free_page(void *p)
{
	struct chunk *c = (struct chunk *)((uintptr_t)p & ~(CHUNK_BYTES - 1));

	if (!p)
		return;
	pthread_mutex_lock(&lock);
	if (is_full(c))
		list_append(&usable, &c->on_usable);
	*(void **)p = c->free;
	c->free = p;
	if (--c->used == 0 && empty_chunks++ > 0)
		chunk_destroy(c);
	pthread_mutex_unlock(&lock);
}

#endif
