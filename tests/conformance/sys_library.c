/* SPDX-License-Identifier: MIT */
/* The calls of libuiommufd, on a machine like the one `uiommufd run` is given. */
#include "tests/conformance/sys.h"

#include <errno.h>
#include <stdio.h>

#include "uiommufd/uiommufd.h"

const char sys_mode[] = "library";

static struct uiommufd_machine *machine;

int sys_start(void)
{
	/* 1 MiB of VRAM: as large as the BAR that the steps were recorded on. */
	static const char *const devices[] = {"copy-engine,vram=1M",
					      "copy-engine,vram=1M", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	char error[256] = "";
	int rc;

	config.devices = devices;
	rc = uiommufd_machine_create(&config, error, sizeof(error), &machine);
	if (rc)
		fprintf(stderr, "no machine: %s (%d)\n", error, rc);
	return rc;
}

int sys_finish(void)
{
	int left = uiommufd_machine_destroy(machine);

	machine = NULL;
	return left;
}

long sys_open(const char *path, int flags)
{
	return uiommufd_open(machine, path, flags);
}

long sys_ioctl(int fd, unsigned long cmd, void *arg)
{
	return uiommufd_ioctl(machine, fd, cmd, arg);
}

long sys_pread(int fd, void *buf, size_t n, uint64_t offset)
{
	return uiommufd_pread(machine, fd, buf, n, offset);
}

long sys_pwrite(int fd, const void *buf, size_t n, uint64_t offset)
{
	return uiommufd_pwrite(machine, fd, buf, n, offset);
}

long sys_mmap(int fd, size_t length, int prot, int flags, uint64_t offset, void **out)
{
	return uiommufd_mmap(machine, fd, length, prot, flags, offset, out);
}

long sys_close(int fd)
{
	return uiommufd_close(machine, fd);
}
