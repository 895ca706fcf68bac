/* SPDX-License-Identifier: MIT */
/*
 * Pages and pairs of pages for page tables, and nodes of trees.
 *
 * A million areas have thousands of table pages and of nodes, and random DMA or mapping
 * goes through all of them. malloc would scatter them, with a header between each two;
 * here they come out of chunks of 2 MiB, which the kernel backs with a huge page, so
 * that a walk does not also miss the CPU's own TLB.
 *
 * There is a pool for each size of block. The first block of a chunk is its
 * header. A chunk is on its pool's list of those with free blocks, or full and on no
 * list. Free blocks are chained through their first word; blocks that were never handed
 * out are still zero and are not touched before. The first chunk asks for no huge page: a
 * small program stays small. A chunk whose last block is freed is given back, but for one
 * that is kept to save a program from doing so all the time.
 *
 * Like malloc's, this state is the process's; a lock guards it, a leaf. Under address and
 * thread sanitizer every block is an allocation of its own, so that they see what happens
 * to it.
 */
#include "port/fault_inject.h"
#include "port/port.h"
#include "port/sanitizers.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#if PORT_ASAN || PORT_TSAN

static void *block_alloc(size_t bytes)
{
	void *p;

	if (port_fail_now(PORT_FAIL_ALLOC))
		return NULL;
	p = aligned_alloc(bytes < PORT_PAGE_SIZE ? bytes : PORT_PAGE_SIZE, bytes);
	if (p)
		memset(p, 0, bytes);
	return p;
}

static void block_free(void *p, size_t bytes)
{
	free(p);
}

size_t port_pool_bytes(void)
{
	return 0;
}

#else

#include "core/list.h"

#define CHUNK_BYTES ((size_t)2 << 20)

/* Blocks of one size. Everything but the size is under `lock`. */
struct pool {
	size_t block;
	struct list usable; /* chunks with free blocks */
	unsigned chunks, empty_chunks;
	size_t used; /* blocks out there */
};

struct chunk {
	struct list on_usable;
	void *free;     /* chain of blocks that were handed out before */
	unsigned fresh; /* index of the first block that never was */
	unsigned used;  /* blocks out there */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define POOL(i, bytes)                                                                   \
	[i] = {.block = (bytes), .usable = {&pools[i].usable, &pools[i].usable}}

/* In ascending order. */
static struct pool pools[] = {
	POOL(0, 512),
	POOL(1, 1024),
	POOL(2, PORT_PAGE_SIZE),
	POOL(3, 2 * PORT_PAGE_SIZE),
};

static bool is_full(const struct pool *pool, const struct chunk *c)
{
	return !c->free && c->fresh == CHUNK_BYTES / pool->block;
}

/* Aligned to its size. */
static struct chunk *chunk_create(struct pool *pool)
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
	if (pool->chunks > 0)
		madvise(c, CHUNK_BYTES, MADV_HUGEPAGE);
	c->fresh = 1;
	list_append(&pool->usable, &c->on_usable);
	pool->chunks++;
	pool->empty_chunks++;
	return c;
}

static void chunk_destroy(struct pool *pool, struct chunk *c)
{
	list_remove(&c->on_usable);
	pool->chunks--;
	pool->empty_chunks--;
	munmap(c, CHUNK_BYTES);
}

/* @used_before: it has to be zeroed. */
static void *take_block(struct pool *pool, struct chunk *c, bool *used_before)
{
	void *block = c->free;

	*used_before = block != NULL;
	if (block)
		c->free = *(void **)block;
	else
		block = (char *)c + c->fresh++ * pool->block;
	pool->used++;
	if (c->used++ == 0)
		pool->empty_chunks--;
	if (is_full(pool, c))
		list_remove(&c->on_usable);
	return block;
}

static struct pool *pool_of(size_t bytes)
{
	struct pool *pool = pools;

	while (pool->block < bytes)
		pool++;
	return pool;
}

static void *block_alloc(size_t bytes)
{
	struct pool *pool = pool_of(bytes);
	bool used_before = false;
	struct chunk *c = NULL;
	void *block = NULL;

	if (port_fail_now(PORT_FAIL_ALLOC))
		return NULL;
	pthread_mutex_lock(&lock);
	if (!list_empty(&pool->usable))
		c = list_entry(pool->usable.next, struct chunk, on_usable);
	else
		c = chunk_create(pool);
	if (c)
		block = take_block(pool, c, &used_before);
	pthread_mutex_unlock(&lock);
	if (used_before)
		memset(block, 0, pool->block);
	return block;
}

static void block_free(void *p, size_t bytes)
{
	struct chunk *c = (struct chunk *)((uintptr_t)p & ~(CHUNK_BYTES - 1));
	struct pool *pool = pool_of(bytes);

	if (!p)
		return;
	pthread_mutex_lock(&lock);
	if (is_full(pool, c))
		list_append(&pool->usable, &c->on_usable);
	*(void **)p = c->free;
	c->free = p;
	pool->used--;
	if (--c->used == 0 && pool->empty_chunks++ > 0)
		chunk_destroy(pool, c);
	pthread_mutex_unlock(&lock);
}

size_t port_pool_bytes(void)
{
	size_t bytes = 0;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < ARRAY_LEN(pools); i++)
		bytes += pools[i].used * pools[i].block;
	pthread_mutex_unlock(&lock);
	return bytes;
}

#endif

void *port_alloc_page(void)
{
	return block_alloc(PORT_PAGE_SIZE);
}

void port_free_page(void *p)
{
	block_free(p, PORT_PAGE_SIZE);
}

void *port_alloc_page_pair(void)
{
	return block_alloc(2 * PORT_PAGE_SIZE);
}

void port_free_page_pair(void *p)
{
	block_free(p, 2 * PORT_PAGE_SIZE);
}

void *port_alloc_node(size_t size)
{
	return block_alloc(size);
}

void port_free_node(void *p, size_t size)
{
	block_free(p, size);
}
