/* SPDX-License-Identifier: MIT */
/* What the files of the library's API share. */
#ifndef MACHINE_LIBRARY_H
#define MACHINE_LIBRARY_H

struct client;
struct machine;
struct uiommufd_machine;

struct machine *library_machine(struct uiommufd_machine *m);
struct client *library_client(struct uiommufd_machine *m);

#endif
