/* SPDX-License-Identifier: MIT */
#include "host/doctor.h"
int doctor(int argc, char **argv)
{
	return 0;
}
