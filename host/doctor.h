/* SPDX-License-Identifier: MIT */
/* `uiommufd doctor`: what this machine allows. */
#ifndef HOST_DOCTOR_H
#define HOST_DOCTOR_H

/* Exit status: 0 if `run` can work here. */
int doctor(int argc, char **argv);

#endif
