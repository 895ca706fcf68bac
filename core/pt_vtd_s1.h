/* SPDX-License-Identifier: MIT */
/*
 * Entries of Intel VT-d first-stage tables (VT-d specification 9.7), which are those of
 * the processor's own 4-level paging; for the format (pt_vtd_s1.c) and for walking tables
 * that a guest has made (first_stage.c).
 */
#ifndef CORE_PT_VTD_S1_H
#define CORE_PT_VTD_S1_H

#include <stdint.h>

#define VTD_S1_P          ((uint64_t)1 << 0) /* present, hence readable */
#define VTD_S1_RW         ((uint64_t)1 << 1) /* writable */
#define VTD_S1_US         ((uint64_t)1 << 2) /* for requests without privilege, too */
#define VTD_S1_PCD        ((uint64_t)1 << 4) /* uncached */
#define VTD_S1_A          ((uint64_t)1 << 5) /* has been used */
#define VTD_S1_D          ((uint64_t)1 << 6) /* has been written; in pages */
#define VTD_S1_PS         ((uint64_t)1 << 7) /* an entry of level 1 or 2 is a page */
#define VTD_S1_EA         ((uint64_t)1 << 10) /* used by a device, where that is recorded */
#define VTD_S1_ADDRESS    ((((uint64_t)1 << 52) - 1) & ~(uint64_t)4095)

#define VTD_S1_LEVELS     4
#define VTD_S1_PAGE_SHIFT 12
#define VTD_S1_INDEX_BITS 9
#define VTD_S1_BITS       48 /* of an address; the higher ones repeat the last */

#endif
