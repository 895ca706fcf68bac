/* SPDX-License-Identifier: MIT */
/*
 * Who has how many pages pinned, and how many they may: RLIMIT_MEMLOCK as Linux counts
 * pins of iommufd.
 *
 * A machine counts by process (VmPin; and VmLck, where a context accounts by process) and
 * by user (all processes of a uid together). What is counted is charged to the process
 * and user that made the map, by the mode that held then, until the last pin goes or
 * IOMMU_IOAS_CHANGE_PROCESS moves it. The limit is the process's at the time of the
 * charge. What else a process or user has locked by other means is not looked at.
 *
 * The lock is a leaf. Charges come with pages.lock held.
 */
#ifndef MACHINE_ACCOUNTING_H
#define MACHINE_ACCOUNTING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/pages.h"
#include "uapi/client.h"

struct accounting;
struct machine;

enum account_mode {
	ACCOUNT_NONE,    /* no limit: CAP_IPC_LOCK when it was mapped */
	ACCOUNT_USER,    /* the uid's pages against the process's limit */
	ACCOUNT_PROCESS, /* the process's own (IOMMU_OPTION_RLIMIT_MODE 1) */
	ACCOUNT_MODES,
};

/* Whether limits hold is the machine's say, at the time of each charge. */
int accounting_create(const struct machine *m, struct accounting **out);
/* No account is left. Takes NULL. */
void accounting_destroy(struct accounting *a);

/* The account of an owner, with a reference. -ENOMEM. */
int accounting_get(struct accounting *a, const struct client_owner *owner,
		   enum account_mode mode, struct pin_account **out);
enum account_mode accounting_mode(const struct pin_account *account);

/* Has a limit refused anything so far? */
bool accounting_has_refused(struct accounting *a);

/* Pages that a process has pinned, and locked, for /proc/PID/status. */
struct accounting_process {
	uint64_t pinned, locked;
};
void accounting_of_process(struct accounting *a, int pid, struct accounting_process *out);

#endif
