/* SPDX-License-Identifier: MIT */
/*
 * The whole contract between core/ and whatever it runs on.
 *
 * core/ is freestanding C: it includes the compiler's own headers, its own, and
 * this one, and nothing else. A port (port/ is the user-space one) provides every
 * function declared here. The build compiles core/ with -ffreestanding -nostdinc to
 * prove it.
 *
 * Rules every port keeps:
 *  - Only the functions port_alloc*() can fail. Locks, RCU and free cannot.
 *  - Error values are negative Linux errnos (core/errno.h).
 *  - Locks are not recursive.
 */
#ifndef CORE_PORT_H
#define CORE_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errno.h"

/* The page size of the simulated CPU and the smallest IOMMU page, bytes. */
#define PORT_PAGE_SIZE ((uint64_t)4096)

/* Memory functions that a freestanding compiler may call on its own as well. */
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* ---- allocation ------------------------------------------------------------- */

/* Zeroed memory aligned for any object, or NULL. */
void *port_alloc(size_t size);
/* Takes NULL. */
void port_free(void *p);
/* One zeroed page, aligned to its size, or NULL. For page tables. */
void *port_alloc_page(void);
void port_free_page(void *p);
/* Two zeroed pages in a row, aligned to a page: a table and what is kept beside it. */
void *port_alloc_page_pair(void);
void port_free_page_pair(void *p);

/*
 * A node of a large tree: zeroed, of @size 512 or 1024 bytes, aligned to 512, or NULL.
 * They are packed together, so that a walk at random touches few of the CPU's pages.
 */
void *port_alloc_node(size_t size);
void port_free_node(void *p, size_t size);

/* ---- locks -------------------------------------------------------------------- */

/* Opaque storage; the port asserts at compile time that its own lock fits. */
struct port_mutex {
	_Alignas(16) unsigned char opaque[64];
};

struct port_rwlock {
	_Alignas(16) unsigned char opaque[64];
};

void port_mutex_init(struct port_mutex *m);
void port_mutex_finish(struct port_mutex *m);
void port_mutex_lock(struct port_mutex *m);
void port_mutex_unlock(struct port_mutex *m);

/* Writers are not starved by readers. */
void port_rwlock_init(struct port_rwlock *l);
void port_rwlock_finish(struct port_rwlock *l);
void port_rwlock_read_lock(struct port_rwlock *l);
void port_rwlock_read_unlock(struct port_rwlock *l);
void port_rwlock_write_lock(struct port_rwlock *l);
void port_rwlock_write_unlock(struct port_rwlock *l);

/* ---- RCU: the drain ---------------------------------------------------------- */

/*
 * A DMA section is the RCU read side. Everything a device does between translating an
 * IOVA and touching the last byte of it happens inside one section, or between two
 * calls of port_dma_quiesce() in it.
 *
 * Sections nest (only the outermost counts). Any thread may open one. Inside, a thread
 * takes no lock under which another may call port_rcu_synchronize(), and does not
 * block for long: every revoke waits for it.
 */
void port_dma_enter(void);
void port_dma_leave(void);
/*
 * Say that nothing found earlier in this section is still in use. Called between the
 * chunks of a long copy so that a revoke waits for one chunk, not for the copy. In a
 * nested section it does nothing: the outer one may still be using what it found.
 */
void port_dma_quiesce(void);
/*
 * Bursts. Opening and closing a section costs full memory barriers, which after a copy
 * wait for everything that the copy has stored. A thread that is about to open one
 * section after the other begins a burst: then they cost next to nothing, and in return
 * a grace period may wait for the thread between two sections as well, until its next
 * section ends or it rests. So what is said of a section above holds for the time
 * between two sections of a burst, too.
 *
 * Bursts begin and end outside of sections. They do not nest: a second begin, or an end
 * without one, does nothing.
 */
void port_dma_burst_begin(void);
void port_dma_burst_end(void);
/*
 * In a burst and outside of sections: nobody has to wait for this thread before its next
 * section. Before anything that may block, or take longer than the chunk of a copy. The
 * burst goes on. Anywhere else it does nothing.
 */
void port_dma_rest(void);
/*
 * Wait until every section that was open at the call has ended or quiesced. May be
 * called inside a section by mistake of a device model: then the caller's own section
 * counts as quiesced.
 */
void port_rcu_synchronize(void);

/* ---- copying that may hit bad memory --------------------------------------- */

/*
 * memcpy where either side may be a file mapping that its owner has truncated, or
 * otherwise faults. 0, or -EFAULT with an unspecified part copied.
 */
int port_copy_guarded(void *dst, const void *src, size_t n);
int port_fill_guarded(void *dst, int byte, size_t n);

/* The same for one aligned word that others may change meanwhile: load it; or replace it
 * by @desired if it is *@expected, which gets what was there. 0 or -EFAULT. */
int port_load64_guarded(const void *src, uint64_t *value);
int port_swap64_guarded(void *dst, uint64_t *expected, uint64_t desired);

/*
 * [@start, @start + @n), pages of ours that are a mapping of a file of memory: where an
 * access finds the file too short, it gets a page of zeroes in its place. Outside of
 * guarded copies, which fail as they do elsewhere. -ENOMEM.
 */
int port_heal_add(void *start, size_t n);
/* If it was added. */
void port_heal_remove(void *start);

/* Let others run: only for waits that are expected to be short (a drain). */
void port_yield(void);

/* ---- diagnostics -------------------------------------------------------------- */

/*
 * Report a broken invariant of core/ itself (never a client's mistake). Must return;
 * test ports count it and fail the test.
 */
void port_bug(const char *file, int line, const char *what);

static inline bool port_bug_on(bool cond, const char *file, int line, const char *what)
{
	if (cond)
		port_bug(file, line, what);
	return cond;
}

#define PORT_BUG_ON(cond) port_bug_on(cond, __FILE__, __LINE__, #cond)

/* ---- small helpers shared by all of core/ ------------------------------------ */

#define container_of(ptr, type, member)                                                  \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
