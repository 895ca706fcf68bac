/* SPDX-License-Identifier: MIT */
/*
 * Accounts of pinned memory (see accounting.h).
 *
 * An account is a process, a user and a mode; all maps of that kind share one. It counts
 * its references, and holds one to its process and to its user, which hold the numbers.
 * All of them leave the lists with the last reference, so what is in the lists is in use.
 */
#include "machine/accounting.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/list.h"
#include "machine/machine.h"

struct user {
	struct list on_list;
	unsigned refs;
	uint32_t uid;
	uint64_t pages;
};

struct process {
	struct list on_list;
	unsigned refs;
	int pid;
	uint64_t id; /* tells it from another with the same number */
	uint64_t pinned, locked;
	rlim_t limit; /* bytes; as it was when last seen alive */
};

struct account {
	struct pin_account base;
	struct accounting *accounting;
	struct list on_list;
	unsigned refs;
	enum account_mode mode;
	struct user *user;
	struct process *process;
};

struct accounting {
	const struct machine *machine;
	pthread_mutex_t lock;
	struct list users, processes, accounts;
	bool refused;
};

static const struct pin_account_ops account_ops;

int accounting_create(const struct machine *m, struct accounting **out)
{
	struct accounting *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->machine = m;
	pthread_mutex_init(&a->lock, NULL);
	list_init(&a->users);
	list_init(&a->processes);
	list_init(&a->accounts);
	*out = a;
	return 0;
}

void accounting_destroy(struct accounting *a)
{
	if (!a)
		return;
	PORT_BUG_ON(!list_empty(&a->accounts));
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static struct account *account_of(const struct pin_account *base)
{
	return container_of(base, struct account, base);
}

/* ---- finding and forgetting; under the lock
 * --------------------------------------------- */

static struct user *user_get(struct accounting *a, uint32_t uid)
{
	struct user *u;

	list_for_each (it, &a->users) {
		u = list_entry(it, struct user, on_list);
		if (u->uid == uid) {
			u->refs++;
			return u;
		}
	}
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->refs = 1;
	u->uid = uid;
	list_append(&a->users, &u->on_list);
	return u;
}

static void user_put(struct user *u)
{
	if (!u || --u->refs)
		return;
	PORT_BUG_ON(u->pages);
	list_remove(&u->on_list);
	free(u);
}

static struct process *process_get(struct accounting *a, const struct client_owner *owner)
{
	struct process *p;

	list_for_each (it, &a->processes) {
		p = list_entry(it, struct process, on_list);
		if (p->pid == owner->pid && p->id == owner->id) {
			p->refs++;
			return p;
		}
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->refs = 1;
	p->pid = owner->pid;
	p->id = owner->id;
	p->limit = RLIM_INFINITY;
	list_append(&a->processes, &p->on_list);
	return p;
}

static void process_put(struct process *p)
{
	if (!p || --p->refs)
		return;
	PORT_BUG_ON(p->pinned || p->locked);
	list_remove(&p->on_list);
	free(p);
}

static struct account *find(struct accounting *a, const struct client_owner *owner,
			    enum account_mode mode)
{
	list_for_each (it, &a->accounts) {
		struct account *acc = list_entry(it, struct account, on_list);

		if (acc->mode == mode && acc->process->pid == owner->pid &&
		    acc->process->id == owner->id && acc->user->uid == owner->uid)
			return acc;
	}
	return NULL;
}

static void account_free(struct account *acc)
{
	user_put(acc->user);
	process_put(acc->process);
	free(acc);
}

static int create(struct accounting *a, const struct client_owner *owner,
		  enum account_mode mode, struct account **out)
{
	struct account *acc = calloc(1, sizeof(*acc));

	if (!acc)
		return -ENOMEM;
	acc->base.ops = &account_ops;
	acc->accounting = a;
	acc->mode = mode;
	acc->user = user_get(a, owner->uid);
	acc->process = process_get(a, owner);
	if (!acc->user || !acc->process) {
		account_free(acc);
		return -ENOMEM;
	}
	list_append(&a->accounts, &acc->on_list);
	*out = acc;
	return 0;
}

int accounting_get(struct accounting *a, const struct client_owner *owner,
		   enum account_mode mode, struct pin_account **out)
{
	struct account *acc;
	int err = 0;

	pthread_mutex_lock(&a->lock);
	acc = find(a, owner, mode);
	if (!acc)
		err = create(a, owner, mode, &acc);
	if (!err) {
		acc->refs++;
		*out = &acc->base;
	}
	pthread_mutex_unlock(&a->lock);
	return err;
}

enum account_mode accounting_mode(const struct pin_account *account)
{
	return account_of(account)->mode;
}

/* ---- charging
 * ------------------------------------------------------------------------------ */

/* Pages that the process may have locked. */
static uint64_t limit_of(const struct accounting *a, struct process *p)
{
	struct rlimit limit;

	if (a->machine->unlimited_memlock || a->machine->privileged)
		return UINT64_MAX;
	if (!prlimit(p->pid, RLIMIT_MEMLOCK, NULL, &limit))
		p->limit = limit.rlim_cur;
	return p->limit == RLIM_INFINITY ? UINT64_MAX : p->limit / PORT_PAGE_SIZE;
}

/* Where the mode counts, besides the process's pins. */
static uint64_t *counter(struct account *acc)
{
	switch (acc->mode) {
	case ACCOUNT_USER:
		return &acc->user->pages;
	case ACCOUNT_PROCESS:
		return &acc->process->locked;
	default:
		return NULL;
	}
}

static int account_charge(struct pin_account *base, uint64_t pages)
{
	struct account *acc = account_of(base);
	uint64_t *count = counter(acc);
	int err = 0;

	pthread_mutex_lock(&acc->accounting->lock);
	if (count && *count + pages > limit_of(acc->accounting, acc->process)) {
		err = -ENOMEM;
		acc->accounting->refused = true;
	} else {
		if (count)
			*count += pages;
		acc->process->pinned += pages;
	}
	pthread_mutex_unlock(&acc->accounting->lock);
	return err;
}

static void account_uncharge(struct pin_account *base, uint64_t pages)
{
	struct account *acc = account_of(base);
	uint64_t *count = counter(acc);

	pthread_mutex_lock(&acc->accounting->lock);
	PORT_BUG_ON(acc->process->pinned < pages || (count && *count < pages));
	acc->process->pinned -= pages;
	if (count)
		*count -= pages;
	pthread_mutex_unlock(&acc->accounting->lock);
}

static bool account_same(const struct pin_account *a, const struct pin_account *b)
{
	return a == b;
}

static void account_get(struct pin_account *base)
{
	struct account *acc = account_of(base);

	pthread_mutex_lock(&acc->accounting->lock);
	acc->refs++;
	pthread_mutex_unlock(&acc->accounting->lock);
}

static void account_put(struct pin_account *base)
{
	struct account *acc = account_of(base);
	struct accounting *a = acc->accounting;

	pthread_mutex_lock(&a->lock);
	if (!--acc->refs) {
		list_remove(&acc->on_list);
		account_free(acc);
	}
	pthread_mutex_unlock(&a->lock);
}

static const struct pin_account_ops account_ops = {
	.charge = account_charge,
	.uncharge = account_uncharge,
	.same = account_same,
	.get = account_get,
	.put = account_put,
};

bool accounting_has_refused(struct accounting *a)
{
	bool refused;

	pthread_mutex_lock(&a->lock);
	refused = a->refused;
	pthread_mutex_unlock(&a->lock);
	return refused;
}

/* ---- for /proc
 * ------------------------------------------------------------------------------- */

void accounting_of_process(struct accounting *a, int pid, struct accounting_process *out)
{
	*out = (struct accounting_process){0};
	pthread_mutex_lock(&a->lock);
	/* Of several with one number the last is the one that lives. */
	list_for_each (it, &a->processes) {
		const struct process *p = list_entry(it, struct process, on_list);

		if (p->pid == pid)
			*out = (struct accounting_process){p->pinned, p->locked};
	}
	pthread_mutex_unlock(&a->lock);
}
