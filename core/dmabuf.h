/* SPDX-License-Identifier: MIT */
/*
 * A dma-buf: memory that one party exports and others attach to, and that the exporter
 * can take away.
 *
 * The exporter supplies ops and, for the `phys` interconnect, runs. Each importer
 * attaches with the interconnects it understands, best first, and a contract; the
 * exporter answers with the first that it offers too (-EOPNOTSUPP when there is none).
 * This is the general form of what Linux 7.3 does with a private call between
 * vfio-pci and iommufd.
 *
 * Locks: dmabuf.resv is the outermost of reservation -> pages -> domset -> domain. It
 * guards @revoked and the list of attachments. dmabuf_revoke() and _restore() are
 * serialised by the exporter (vfio: the device's memory lock).
 *
 * Revoke: under resv the buffer is marked revoked and every importer's invalidate()
 * clears its paths to the memory, without waiting; one wait afterwards, for all buffers
 * of a revocation (struct dmabuf_revocation below), so a device with many buffers pays
 * one. When dmabuf_revocation_finish() returns no device can reach the memory. Nothing
 * on this path allocates or fails. Restore only allows new maps; nothing is mapped again
 * by itself.
 *
 * Lifetime: reference counted. Attachments hold a reference. A buffer outlives its
 * exporter: dmabuf_orphan() revokes it for good and cuts the exporter off.
 */
#ifndef CORE_DMABUF_H
#define CORE_DMABUF_H

#include "core/domain.h"
#include "core/list.h"
#include "core/phys.h"

enum dmabuf_interconnect {
	DMABUF_IC_NONE,
	DMABUF_IC_PHYS,    /* runs of system physical addresses, for an IOMMU */
	DMABUF_IC_POINTER, /* CPU pointers */
	DMABUF_IC_IOVA,    /* addresses already translated for one device */
};

enum dmabuf_contract {
	DMABUF_PINNED,    /* the importer cannot give the memory back at all */
	DMABUF_REVOCABLE, /* may be taken away; invalidate ends every access */
	DMABUF_MOVABLE,   /* may be taken away; the importer maps again afterwards */
};

struct dmabuf;
struct dmabuf_attachment;

struct dmabuf_exporter_ops {
	const char *name; /* exp_name in fdinfo */
	/* Bit n: interconnect n is offered. */
	unsigned interconnects;
	/* Bit n: an importer with contract n is accepted. */
	unsigned contracts;
	/*
	 * Describe the memory to an attachment that negotiated DMABUF_IC_PHYS: append the
	 * runs of the whole buffer, one for each of its ranges, never joined, since an
	 * importer may refuse more than one. Called under resv, never while revoked.
	 */
	int (*map_phys)(struct dmabuf *buf, struct run_list *runs);
	/* The last reference is gone. @priv is the exporter's to free. */
	void (*release)(struct dmabuf *buf);
};

struct dmabuf {
	const struct dmabuf_exporter_ops *ops; /* constant */
	void *priv;                            /* the exporter's */
	uint64_t size;                         /* bytes; constant */
	_Atomic unsigned refs;
	struct port_mutex resv;
	bool revoked;  /* under resv */
	bool orphaned; /* under resv: revoked for good */
	struct list attachments;
};

struct dmabuf_importer_ops {
	/* Interconnects understood, best first. */
	const enum dmabuf_interconnect *interconnects;
	unsigned nr_interconnects;
	enum dmabuf_contract contract;
	/*
	 * The memory is being taken away from @n attachments with these ops, at most
	 * DMABUF_INVALIDATE of one buffer. Clear every path to it into @gather; the
	 * caller finishes the gather before anybody relies on it. A path that another
	 * thread has cleared but not drained yet must be waited for here. Called with
	 * resv held. Must not allocate, cannot fail. May be called again while already
	 * invalid.
	 */
	void (*invalidate)(struct dmabuf_attachment *const *v, size_t n,
			   struct domain_gather *gather);
};

#define DMABUF_INVALIDATE 32

struct dmabuf_attachment {
	struct dmabuf *buf;
	const struct dmabuf_importer_ops *ops;
	void *priv;                            /* the importer's */
	enum dmabuf_interconnect interconnect; /* as negotiated */
	struct list on_buf;
};

/* @revoked: the state it is born in. The caller gets the first reference. */
int dmabuf_create(const struct dmabuf_exporter_ops *ops, void *priv, uint64_t size,
		  bool revoked, struct dmabuf **out);
void dmabuf_get(struct dmabuf *buf);
/* Takes NULL. */
void dmabuf_put(struct dmabuf *buf);

/*
 * -ENODEV: revoked; -EOPNOTSUPP: no common interconnect, or the contract is refused;
 * -ENOMEM. In this order of checks. @a is the caller's memory; on success the
 * attachment holds its own reference to @buf. The check against a revoke and the
 * entry in the list are one step under resv; @map (may be NULL) is called in it too,
 * so the importer can take the runs before any revoke can come.
 */
int dmabuf_attach(struct dmabuf *buf, struct dmabuf_attachment *a,
		  const struct dmabuf_importer_ops *ops, void *priv,
		  int (*map)(struct dmabuf_attachment *a));
/* The importer has already unmapped everything. */
void dmabuf_detach(struct dmabuf_attachment *a);

/* Runs of the whole buffer; only from @map above, or with resv held. */
int dmabuf_map_phys(struct dmabuf_attachment *a, struct run_list *runs);

bool dmabuf_is_revoked(struct dmabuf *buf);

/*
 * Revoke any number of buffers with one wait:
 *   struct dmabuf_revocation r = {0};
 *   for each buffer: dmabuf_revocation_add(&r, buf);
 *   dmabuf_revocation_finish(&r);
 * Adding a buffer that is revoked already does nothing. It does not wait either for what
 * another thread's revocation has cleared: the exporter has one at a time for a buffer.
 */
struct dmabuf_revocation {
	struct domain_gather gather;
};
void dmabuf_revocation_add(struct dmabuf_revocation *r, struct dmabuf *buf);
void dmabuf_revocation_finish(struct dmabuf_revocation *r);

/* The above for one buffer. */
void dmabuf_revoke(struct dmabuf *buf);
/* New maps succeed from now on. Does nothing to an orphan. */
void dmabuf_restore(struct dmabuf *buf);
/* Revoked for good: the exporter is going away. Part of a revocation. */
void dmabuf_orphan(struct dmabuf *buf, struct dmabuf_revocation *r);

#endif
