/* SPDX-License-Identifier: MIT */
/*
 * pages: the memory behind one or more areas, whatever it is: a client's memory, a
 * file, a slice of a dma-buf. Shared by the areas that IOAS_COPY makes of one map.
 *
 * User memory and files are described by a mem_source, which the host supplies. They
 * are resolved into runs (Linux: pinned) when the first domain needs them and let go
 * when the last domain has dropped them; that is when a bad address is noticed. A
 * dma-buf is resolved at creation, under its reservation lock.
 *
 * Locks: pages.lock guards the runs, the user count, the list of areas and @revoked.
 * Order: reservation -> pages -> domset -> domain. Revoke comes down with the
 * reservation lock held, takes pages.lock, and unmaps every area from every domain of
 * its IOAS; it never takes an IOAS's address-space lock.
 *
 * A revoked pages stays empty for ever: filling a domain from it maps nothing.
 */
#ifndef CORE_PAGES_H
#define CORE_PAGES_H

#include "core/dmabuf.h"
#include "core/list.h"
#include "core/phys.h"

/*
 * Client memory or a file. Offsets count from the start of the memory that the source
 * was made for. Created and destroyed by the host; pages owns one.
 */
struct mem_source;
struct mem_source_ops {
	/*
	 * Make [offset, offset + length) reachable and append its runs. Offset and length
	 * may be unaligned to pages; the runs then still describe exactly those bytes.
	 * -EFAULT, -EINVAL, -ENOMEM as Linux gives for this memory. Linux 7.3: a VA that
	 * is a device's BAR is -EFAULT. A range inside one that is pinned is the same
	 * memory as there, whatever the client has put at that address since.
	 */
	int (*pin)(struct mem_source *s, uint64_t offset, uint64_t length, bool writable,
		   struct run_list *runs);
	/* Undo a pin of the same range. Called after the domains have drained. */
	void (*unpin)(struct mem_source *s, uint64_t offset, uint64_t length);
	void (*destroy)(struct mem_source *s);
};

struct mem_source {
	const struct mem_source_ops *ops;
	/*
	 * Where the memory starts in its own space (VA, or offset in the file); decides
	 * the alignment of an IOVA that the IOAS chooses.
	 */
	uint64_t address;
	bool is_file; /* IOAS_CHANGE_PROCESS takes files only */
};

/*
 * Who answers for pinned pages (RLIMIT_MEMLOCK). Supplied from above; called with
 * pages.lock held. Pages are of PORT_PAGE_SIZE. Dma-bufs are not counted.
 */
struct pin_account;
struct pin_account_ops {
	/* -ENOMEM: more than it may have; then nothing is counted. */
	int (*charge)(struct pin_account *a, uint64_t pages);
	void (*uncharge)(struct pin_account *a, uint64_t pages);
	/* Is charging the one as good as charging the other? */
	bool (*same)(const struct pin_account *a, const struct pin_account *b);
	void (*get)(struct pin_account *a);
	void (*put)(struct pin_account *a);
};

struct pin_account {
	const struct pin_account_ops *ops;
};

enum pages_kind {
	PAGES_USER,
	PAGES_FILE,
	PAGES_DMABUF,
};

struct pages;

/*
 * Pages over @length bytes of @source. Takes the source over, also on failure.
 * @writable: areas may be writeable (else -EPERM from the map).
 */
int pages_create(struct mem_source *source, uint64_t length, bool writable,
		 struct pages **out);
/*
 * Pages over [start, start + length) of a dma-buf: attaches to it, revocable, by
 * physical ranges. Takes its own reference. Order of checks (Linux 7.3): past the
 * buffer's end -EINVAL, revoked -ENODEV, no common interconnect -EOPNOTSUPP, more than
 * one run -EOPNOTSUPP unless @multi_range (an extension).
 */
int pages_create_dmabuf(struct dmabuf *buf, uint64_t start, uint64_t length,
			bool writable, bool multi_range, struct pages **out);
void pages_get(struct pages *p);
/* Takes NULL. No area refers to it any more when the last reference goes. */
void pages_put(struct pages *p);

/* Count what will be pinned in @account, which it takes over; right after creation. */
void pages_set_account(struct pages *p, struct pin_account *account);
struct pin_account *pages_account(struct pages *p);
/*
 * Move what is pinned to another account, in two steps, so that many pages can move all
 * or none: first each is charged to @next too (-ENOMEM), once however often it is asked
 * for; then each is settled with @keep true (what the former account had goes), or
 * false (what @next was charged goes). A pages that was not charged settles at once.
 */
int pages_charge_next(struct pages *p, struct pin_account *next);
void pages_settle(struct pages *p, bool keep);

enum pages_kind pages_kind(const struct pages *p);
uint64_t pages_length(const struct pages *p);

#endif
