/* SPDX-License-Identifier: MIT */
/*
 * What one `uiommufd run` consists of. Made by run.c before the client starts and
 * constant from then on; each member does its own locking.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

struct attr_files;
struct fail_nth;
struct kvm_vfios;
struct machine;
struct pci_bus;
struct view;
struct process_table;

struct host {
	struct machine *machine;
	struct view *view;
	struct attr_files *attr_files;
	struct pci_bus *pci; /* what the view shows of the machine */
	struct process_table *processes;
	struct kvm_vfios *kvm_vfios;
	struct fail_nth *fail_nth; /* NULL: no fault injection */
};

/* Exit statuses of the command itself, as env(1) and timeout(1) have them. */
#define EXIT_OURS      125
#define EXIT_NOT_EXEC  126
#define EXIT_NOT_FOUND 127

/* One line on standard error, after "uiommufd: ". */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
