/* SPDX-License-Identifier: MIT */
/* The built-in device models, in the order in which --help lists them. */
#include "devices/models.h"

const struct uiommufd_model *const device_models[] = {
	&copy_engine_model,
	&igb_model,
	&ioat_model,
	&dsa_model,
	NULL,
};
