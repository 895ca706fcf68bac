/* SPDX-License-Identifier: MIT */
/*
 * What every kind of client has in common: telling what stands behind a descriptor, and
 * what a thread may do.
 */
#include "uapi/client.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/files.h"
#include "machine/machine.h"

int client_get_vfile(struct client *c, int fd, struct vfile **out)
{
	int ours = c->ops->get_fd(c, fd);

	if (ours < 0)
		return ours;
	*out = files_lookup(c->machine->files, ours);
	close(ours);
	return 0;
}

bool client_may_lock(int tid)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, tid};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK);
}
