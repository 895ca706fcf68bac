/* SPDX-License-Identifier: MIT */
/* `uiommufd run`: a machine, a client, and everything between them, from start to end. */
#ifndef HOST_RUN_H
#define HOST_RUN_H

#include <stdbool.h>

struct run_options {
	char **argv;              /* the program; ends with NULL */
	const char **devices;     /* as typed; ends with NULL; NULL: none given */
	const char **iommus;      /* the same */
	const char *machine_file; /* NULL: none */
	const char **extensions;  /* ends with NULL; NULL: none given */
	bool host_devices;        /* show beside the machine's */
	bool selftest;            /* the kernel's IOMMU_TEST_CMD */
	bool log;
	const char *log_file; /* NULL: standard error */
};

/* The exit status of the command; ends by the client's signal where it did. */
int run(const struct run_options *o);

#endif
