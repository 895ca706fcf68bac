/* SPDX-License-Identifier: MIT */
/* The built-in device models. */
#ifndef DEVICES_MODELS_H
#define DEVICES_MODELS_H

#include "uiommufd/device.h"

extern const struct uiommufd_model copy_engine_model;
extern const struct uiommufd_model ioat_model;
extern const struct uiommufd_model dsa_model;

/* All of them; ends with NULL. */
extern const struct uiommufd_model *const device_models[];

#endif
