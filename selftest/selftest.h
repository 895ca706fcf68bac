/* SPDX-License-Identifier: MIT */
/* `uiommufd run --selftest`: the call that the kernel's own iommufd selftests need. */
#ifndef SELFTEST_SELFTEST_H
#define SELFTEST_SELFTEST_H

#include "uapi/table.h"

/* For machine.iommu_calls. */
extern const struct uapi_table selftest_table;

#endif
