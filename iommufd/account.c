/* SPDX-License-Identifier: MIT */
/*
 * Whose pinned pages they are: the account a map gets, and IOAS_CHANGE_PROCESS, which
 * moves all that a context has mapped to the process that calls it.
 *
 * The move is all or nothing. All IOASes stand still for it, in the order of their ids;
 * ctx.change lets only one thread stop more than one. The new accounts are charged for
 * all pages first; only when none refused are the old ones discharged.
 */
#include <errno.h>

#include "iommufd/private.h"
#include "machine/accounting.h"

static enum account_mode mode_of(struct iommufd_ctx *ctx,
				 const struct client_owner *owner)
{
	bool per_process;

	if (owner->may_lock)
		return ACCOUNT_NONE;
	pthread_mutex_lock(&ctx->lock);
	per_process = ctx->rlimit_per_process;
	pthread_mutex_unlock(&ctx->lock);
	return per_process ? ACCOUNT_PROCESS : ACCOUNT_USER;
}

static bool owner_of(struct client *c, struct client_owner *out)
{
	*out = (struct client_owner){0};
	return c->machine->accounting && c->ops->owner && c->ops->owner(c, out);
}

int account_of_caller(struct uapi_call *call, struct pin_account **out)
{
	struct client *c = call->client;
	struct client_owner owner;

	*out = NULL;
	if (!owner_of(c, &owner))
		return 0;
	return accounting_get(c->machine->accounting, &owner,
			      mode_of(call_ctx(call), &owner), out);
}

/* ---- another process takes over
 * ---------------------------------------------------------- */

struct move {
	struct iommufd_ctx *ctx;
	struct iommufd_ioas **v; /* by id; each is busy and frozen */
	size_t n;
	struct pin_account *next[ACCOUNT_MODES]; /* all NULL: nobody counts */
};

static int for_all(struct move *m, int (*visit)(struct pages *p, void *arg))
{
	for (size_t i = 0; i < m->n; i++) {
		int err = ioas_frozen_visit(m->v[i]->ioas, visit, m);

		if (err)
			return err;
	}
	return 0;
}

/* Memory of a process cannot change hands, files can; dma-bufs cannot on Linux. */
static int check_file(struct pages *p, void *arg)
{
	return pages_kind(p) == PAGES_FILE ? 0 : -EINVAL;
}

/* Each keeps the mode that it was mapped with. */
static int charge(struct pages *p, void *arg)
{
	const struct move *m = arg;
	const struct pin_account *now = pages_account(p);
	struct pin_account *next = now ? m->next[accounting_mode(now)] : NULL;

	return next ? pages_charge_next(p, next) : 0;
}

static int keep(struct pages *p, void *arg)
{
	pages_settle(p, true);
	return 0;
}

static int undo(struct pages *p, void *arg)
{
	pages_settle(p, false);
	return 0;
}

static int move_all(struct move *m)
{
	int err = for_all(m, check_file);

	if (err)
		return err;
	err = for_all(m, charge);
	for_all(m, err ? undo : keep);
	return err;
}

static int add(struct move *m, struct iommufd_ioas *ioas)
{
	struct iommufd_ioas **v = port_alloc((m->n + 1) * sizeof(struct iommufd_ioas *));

	if (!v)
		return -ENOMEM;
	if (m->n)
		memcpy(v, m->v, m->n * sizeof(struct iommufd_ioas *));
	v[m->n++] = ioas;
	port_free(m->v);
	m->v = v;
	return 0;
}

static int freeze_all(struct move *m)
{
	for (uint32_t id = 1;; id++) {
		struct iommufd_ioas *ioas =
			(struct iommufd_ioas *)object_next(m->ctx, &id, OBJECT_IOAS);

		if (!ioas)
			return 0;
		if (add(m, ioas)) {
			object_put(m->ctx, &ioas->obj);
			return -ENOMEM;
		}
		ioas_freeze(ioas->ioas);
	}
}

static void thaw_all(struct move *m)
{
	while (m->n--) {
		ioas_thaw(m->v[m->n]->ioas);
		object_put(m->ctx, &m->v[m->n]->obj);
	}
	port_free(m->v);
}

static int get_accounts(struct move *m, struct client *c)
{
	struct client_owner owner;

	if (!owner_of(c, &owner))
		return 0;
	for (enum account_mode mode = 0; mode < ACCOUNT_MODES; mode++) {
		int err = accounting_get(c->machine->accounting, &owner, mode,
					 &m->next[mode]);

		if (err)
			return err;
	}
	return 0;
}

static void put_accounts(struct move *m)
{
	for (size_t i = 0; i < ARRAY_LEN(m->next); i++)
		if (m->next[i])
			m->next[i]->ops->put(m->next[i]);
}

long iommufd_ioas_change_process(struct uapi_call *call)
{
	const struct iommu_ioas_change_process *cmd = (void *)call->data;
	struct iommufd_ctx *ctx = call_ctx(call);
	struct move m = {.ctx = ctx};
	int err;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	err = get_accounts(&m, call->client);
	pthread_mutex_lock(&ctx->change);
	if (!err)
		err = freeze_all(&m);
	if (!err)
		err = move_all(&m);
	thaw_all(&m);
	pthread_mutex_unlock(&ctx->change);
	put_accounts(&m);
	return err;
}
