/* SPDX-License-Identifier: MIT */
/* The built-in device models. */
#ifndef DEVICES_MODELS_H
#define DEVICES_MODELS_H

#include "uiommufd/device.h"

extern const struct uiommufd_model copy_engine_model;
extern const struct uiommufd_model igb_model;
extern const struct uiommufd_model ioat_model;
extern const struct uiommufd_model dsa_model;

/* Virtual functions; made by their physical ones only. */
extern const struct uiommufd_model copy_engine_vf_model;
extern const struct uiommufd_model igb_vf_model;

/* All of them; ends with NULL. */
extern const struct uiommufd_model *const device_models[];

#endif
