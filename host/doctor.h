/* SPDX-License-Identifier: MIT */
/*
 * `uiommufd doctor`: what this machine allows, found out by doing it, and what to do
 * about what it does not.
 */
#ifndef HOST_DOCTOR_H
#define HOST_DOCTOR_H

/* Exit status: 0 if `run` can work here, 1 if not, 125 for wrong arguments. */
int doctor(int argc, char **argv);

#endif
