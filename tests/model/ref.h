/* SPDX-License-Identifier: MIT */
/*
 * The reference: what Linux 7.3 answers to each call, decided in the plainest way that
 * there is. Everything is an array that is looked through from its start: the objects of
 * a context by id, the areas of an IOAS in the order of their IOVAs, the bytes of all
 * memory as bytes. There are no page tables, no pins and no caches; what a device reads
 * is found by looking for the area that its address lies in, at that moment.
 *
 * Nothing here knows of the library. What is destroyed leaves its place empty; places
 * are never moved while somebody refers to them.
 */
#ifndef TESTS_MODEL_REF_H
#define TESTS_MODEL_REF_H

#include "tests/model/op.h"
#include "tests/model/world.h"

/* ---- address spaces ---------------------------------------------------------- */

enum memory_kind { MEMORY_CLIENT, MEMORY_FILE, MEMORY_BUF };

/* Memory as a map names it. */
struct ref_memory {
	enum memory_kind kind;
	unsigned index; /* FILE: FILE_OF() of what was named; BUF: of the buffer */
	uint64_t start; /* of its first byte in its own space */
	unsigned pages; /* of one map; copies have the same */
	bool writable;  /* it was first mapped to be written */
	bool revoked;   /* for ever */
};

struct ref_area {
	uint64_t iova, last;
	unsigned prot; /* IOMMU_IOAS_MAP_READABLE, WRITEABLE */
	struct ref_memory memory;
};

struct ref_range {
	uint64_t start, last;
};

/* By whom: 0 the selftest, else OWNER_* plus a number. */
#define OWNER_DEV  1000u
#define OWNER_HWPT 100000u
struct ref_reserved {
	uint64_t start, last;
	unsigned owner;
};

struct ref_ioas {
	struct ref_area *areas; /* by IOVA */
	size_t nr_areas;
	struct ref_reserved *reserved;
	size_t nr_reserved;
	struct ref_range allowed[2];
	size_t nr_allowed;
	bool large_off;
};

/* ---- objects ----------------------------------------------------------------- */

enum ref_type { FREE, IOAS, HWPT, NESTED, DEVICE, ACCESS, STDEV };

/* A page whose dirty bit was set. */
struct ref_dirty {
	uint64_t iova;
	bool sure; /* else it may have been cleared together with another */
};

struct ref_obj {
	enum ref_type type;
	unsigned users;
	struct ref_ioas *ioas;
	/* HWPT */
	uint32_t ioas_id, parent;
	bool automatic, mock, nest_parent, tracks, tracking;
	uint64_t first, last; /* its aperture */
	uint64_t min_page;
	struct ref_dirty *dirty;
	size_t nr_dirty;
	/* DEVICE, STDEV, ACCESS: which */
	unsigned index;
};

#define MAX_IDS 8192u
struct ref_ctx {
	bool open, per_process;
	unsigned holders;   /* what is bound, and accesses */
	uint32_t vfio_ioas; /* which the calls of type 1 work on; 0: none */
	uint32_t top;       /* no id from here on is taken */
	struct ref_obj obj[MAX_IDS];
};

struct ref_group {
	struct ref_ctx *ctx; /* that has bound members */
	unsigned bound, attached;
	uint32_t hwpt; /* 0: none */
};

struct ref_dev {
	bool used, mock;
	bool tracks;         /* its IOMMU can record writes */
	struct ref_ctx *ctx; /* NULL: not bound */
	uint32_t id;
	bool attached;
	struct ref_group *group;
	/* the machine's */
	unsigned file; /* the open that is bound */
	unsigned command, power;
	bool decoding, low_power;
	uint64_t resets[NRESETS];
};

struct ref_buf {
	bool used, test, revoked, orphan;
	unsigned dev; /* of the machine */
	unsigned ranges;
	uint64_t offset, size; /* in the BAR */
	uint8_t *bytes;        /* of the selftest's: its own */
};

struct ref_pin {
	uint64_t id, iova, length;
};

struct ref_access {
	bool pins;
	struct ref_ctx *ctx;
	uint32_t id, ioas;
	struct ref_pin *pin;
	size_t nr_pins;
	uint64_t next_pin;
};

#define MAX_CTX  8192u
#define MAX_DEVS 4096u
#define MAX_BUFS 8192u

/* Wrong on purpose, to see that it is noticed. */
enum ref_wrong {
	WRONG_NOTHING,
	WRONG_UNMAP,  /* unmap takes what reaches into the range, too */
	WRONG_REVOKE, /* a reset leaves dma-bufs mapped */
	WRONG_RANGES, /* the last reserved range is forgotten */
	WRONG_COPY,   /* a copy may be written to whatever its source was */
	WRONG_DIRTY,  /* reading dirty bits clears none */
	NWRONG,
};

struct ref {
	enum ref_wrong wrong;
	bool privileged;
	struct ref_ctx *ctx[NCTX]; /* NULL: closed */
	struct ref_ctx **all_ctx;
	size_t nr_ctx;
	uint32_t slot[NSLOTS];
	bool dev_open[NDEV_FILES];
	struct ref_dev dev[MAX_DEVS];
	struct ref_group group[NGROUPS + MAX_DEVS];
	struct ref_buf buf[MAX_BUFS];
	int buf_slot[NBUFS]; /* -1: closed */
	unsigned next_pages;
	struct ref_access *access[NACCESSES];
	uint8_t *memory[NREGIONS];
};

struct ref *ref_create(enum ref_wrong wrong);
void ref_destroy(struct ref *r);
/* What the call comes to. */
void ref_call(struct ref *r, const struct op *op, struct outcome *out);
/*
 * Is it nobody's to say what the call comes to? Then it is left out: a device's copy
 * between two views of the same bytes.
 */
bool ref_is_undefined(struct ref *r, const struct op *op);

/* ---- ref.c: objects ---------------------------------------------------------- */

/* Grow @v, of elements of @size, for one more than @n. */
void *ref_grow(void *v, size_t n, size_t size);

/* The context of the call; NULL: the descriptor is closed, and @out says so. */
struct ref_ctx *ref_open_ctx(struct ref *r, const struct op *op, struct outcome *out);
struct ref_ctx *ref_ctx_create(struct ref *r);
/* Frees it once it is closed and nobody holds it. */
void ref_ctx_release(struct ref *r, struct ref_ctx *ctx);
/* The lowest id that is free becomes @type's. */
uint32_t ref_obj_alloc(struct ref_ctx *ctx, enum ref_type type);
void ref_obj_free(struct ref_ctx *ctx, uint32_t id);
/* What an id is; NULL: nothing. */
struct ref_obj *ref_obj_any(struct ref_ctx *ctx, uint64_t id);
struct ref_obj *ref_obj(struct ref_ctx *ctx, uint64_t id, enum ref_type type);
/* Is there such a descriptor? */
bool ref_is_open(struct ref *r, uint64_t file);
uint32_t ref_slot(const struct ref *r, uint64_t slot);
void ref_set_slot(struct ref *r, uint64_t slot, uint32_t id);

/* ---- ref_memory.c ------------------------------------------------------------ */

/* Where the byte at @iova of the area is. */
uint8_t *ref_byte(struct ref *r, const struct ref_area *a, uint64_t iova);
/* Could Linux pin [start, last] of the memory? 0 or an errno. */
int ref_pinnable(const struct ref_memory *m, uint64_t start, uint64_t last);
/* May the program's CPU touch it? 0 or -EFAULT. */
int ref_client_access(uint64_t start, uint64_t length, bool write);
uint8_t *ref_client_byte(struct ref *r, uint64_t at);
/* The address that decides about an alignment. */
uint64_t ref_address(const struct ref_memory *m);
void ref_revoke(struct ref *r, struct ref_buf *b);
/* How often the page at @at of the program's memory is pinned. */
unsigned ref_count_pins(struct ref *r, uint64_t at);
void ref_check_pins(struct ref *r, const struct op *op, struct outcome *out);

/* ---- ref_ioas.c -------------------------------------------------------------- */

const struct ref_area *ref_area_at(const struct ref_ioas *ioas, uint64_t iova);
uint64_t ref_alignment(struct ref *r, struct ref_ctx *ctx, uint32_t ioas_id);
bool ref_has_domain(struct ref_ctx *ctx, uint32_t ioas_id);
/* Would the areas keep to @alignment, if it is a larger one? 0 or -EADDRINUSE. */
int ref_check_alignment(struct ref *r, struct ref_ctx *ctx, uint32_t ioas_id,
			uint64_t alignment);
int ref_reserve(struct ref_ioas *ioas, uint64_t start, uint64_t last, unsigned owner);
void ref_unreserve(struct ref_ioas *ioas, unsigned owner);
/* Of an area for a domain of such pages. */
int ref_fill(const struct ref_area *a, uint64_t min_page);
void ref_ioas_free(struct ref_ioas *ioas);

void ref_ioas_alloc(struct ref *r, const struct op *op, struct outcome *out);
void ref_ranges(struct ref *r, const struct op *op, struct outcome *out);
void ref_allow(struct ref *r, const struct op *op, struct outcome *out);
void ref_map(struct ref *r, const struct op *op, struct outcome *out);
void ref_map_file(struct ref *r, const struct op *op, struct outcome *out);
void ref_copy(struct ref *r, const struct op *op, struct outcome *out);
void ref_unmap(struct ref *r, const struct op *op, struct outcome *out);
void ref_option(struct ref *r, const struct op *op, struct outcome *out);
/* Memory of the program's, or part of a file or buffer, at an IOVA. 0 or an errno. */
int ref_map_memory(struct ref *r, struct ref_ctx *ctx, uint32_t ioas,
		   const struct ref_memory *memory, uint64_t length, uint64_t flags,
		   uint64_t *iova);
/* What is wrong with an address and a length of the program's. */
int ref_check_client(uint64_t start, uint64_t length);
int ref_unmap_range(struct ref *r, struct ref_ctx *ctx, uint32_t ioas, uint64_t start,
		    uint64_t last, uint64_t *unmapped);
int ref_large_off(struct ref *r, struct ref_ctx *ctx, uint32_t ioas);
void ref_reserve_op(struct ref *r, const struct op *op, struct outcome *out);

/* ---- ref_hwpt.c: page tables, and who translates through them ---------------- */

int ref_dev_bind(struct ref *r, struct ref_dev *d, struct ref_ctx *ctx);
void ref_dev_unbind(struct ref *r, struct ref_dev *d);
/* *@pt: an id; becomes that of the hwpt. */
int ref_dev_attach(struct ref *r, struct ref_dev *d, uint32_t *pt);
void ref_dev_detach(struct ref *r, struct ref_dev *d);

void ref_destroy_op(struct ref *r, const struct op *op, struct outcome *out);
void ref_hwpt_alloc(struct ref *r, const struct op *op, struct outcome *out);
void ref_mock(struct ref *r, const struct op *op, struct outcome *out);
void ref_mock_replace(struct ref *r, const struct op *op, struct outcome *out);
void ref_check_map(struct ref *r, const struct op *op, struct outcome *out);

/* ---- ref_dirty.c ------------------------------------------------------------- */

void ref_track(struct ref *r, const struct op *op, struct outcome *out);
void ref_dirty_get(struct ref *r, const struct op *op, struct outcome *out);
/* A device has written to the page that @iova lies in. */
void ref_dirty_write(struct ref_obj *hwpt, uint64_t iova);
void ref_set_dirty(struct ref *r, const struct op *op, struct outcome *out);
/* [iova, last] is not mapped there any more. */
void ref_dirty_forget(struct ref_obj *hwpt, uint64_t iova, uint64_t last);

/* ---- ref_dev.c: the machine's devices ---------------------------------------- */

void ref_dev_open(struct ref *r, const struct op *op, struct outcome *out);
void ref_dev_close(struct ref *r, const struct op *op, struct outcome *out);
void ref_bind(struct ref *r, const struct op *op, struct outcome *out);
/* All calls that want a bound device. */
void ref_dev_call(struct ref *r, const struct op *op, struct outcome *out);
void ref_buf_close(struct ref *r, const struct op *op, struct outcome *out);
void ref_test_buf(struct ref *r, const struct op *op, struct outcome *out);
void ref_test_revoke(struct ref *r, const struct op *op, struct outcome *out);

/* ---- ref_compat.c: what a type 1 container would answer ---------------------- */

void ref_change_process(struct ref *r, const struct op *op, struct outcome *out);
void ref_vfio_ioas(struct ref *r, const struct op *op, struct outcome *out);
void ref_type1_set(struct ref *r, const struct op *op, struct outcome *out);
void ref_type1_map(struct ref *r, const struct op *op, struct outcome *out);
void ref_type1_unmap(struct ref *r, const struct op *op, struct outcome *out);

/* ---- ref_dma.c --------------------------------------------------------------- */

void ref_dma(struct ref *r, const struct op *op, struct outcome *out);
void ref_look(struct ref *r, const struct op *op, struct outcome *out);

/* ---- ref_access.c ------------------------------------------------------------ */

void ref_access_open(struct ref *r, const struct op *op, struct outcome *out);
void ref_access_close(struct ref *r, const struct op *op, struct outcome *out);
void ref_access_replace(struct ref *r, const struct op *op, struct outcome *out);
void ref_pin(struct ref *r, const struct op *op, struct outcome *out);
void ref_unpin(struct ref *r, const struct op *op, struct outcome *out);
void ref_rw(struct ref *r, const struct op *op, struct outcome *out);
/* The accesses to an IOAS let go of [iova, last]. */
void ref_let_go(struct ref *r, struct ref_ctx *ctx, uint32_t ioas, uint64_t iova,
		uint64_t last);

#endif
