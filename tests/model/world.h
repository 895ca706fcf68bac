/* SPDX-License-Identifier: MIT */
/*
 * What both sides know of the machine: its devices, the program's memory and files, and
 * what is in them at first. Neither side learns of the other's state.
 */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE   ((uint64_t)4096)
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)

/* How a process ends that could not do what was asked, which says nothing of the library.
 */
#define CANNOT_RUN 99

/* ---- slots ------------------------------------------------------------------- */

#define NCTX       2u
#define NSLOTS     24u /* objects */
#define NDEV_FILES 6u  /* opens of devices; open i is one of device i % NDEVS */
#define NBUFS      8u
#define NACCESSES  4u

/* What an empty slot stands for. */
#define NO_ID 0x7ffffff0u
#define NO_FD (-1)

/* ---- devices ----------------------------------------------------------------- */

#define NDEVS     4u
#define NGROUPS   3u
#define BAR_PAGES 16u
#define BAR_BYTES (BAR_PAGES * PAGE)
/* BAR 0 is memory, the others are absent. */

static const unsigned device_group[NDEVS] = {0, 0, 1, 2};
/* Behind an IOMMU that records writes. */
static const bool device_tracks[NDEVS] = {false, false, true, false};

#define MSI_FIRST      ((uint64_t)0xfee00000)
#define MSI_LAST       ((uint64_t)0xfeefffff)
#define VTD_LAST       (((uint64_t)1 << 48) - 1)
#define MOCK_HUGE_LAST (((uint64_t)1 << 38) - 1)

#define COMMAND_IO     0x1u
#define COMMAND_MEMORY 0x2u
#define COMMAND_MASTER 0x4u

/* ---- the program's memory ---------------------------------------------------- */

/*
 * One stretch of addresses. Addresses in calls count from its start, which is aligned to
 * 4 MiB; those of 2^32 and more are what they are.
 */
#define CLIENT_RAW    ((uint64_t)1 << 32)
#define CLIENT_RW     ((uint64_t)0) /* private pages */
#define CLIENT_RO     (64 * PAGE)   /* private, cannot be written */
#define CLIENT_HOLE   (72 * PAGE)   /* nothing */
#define CLIENT_SHARED (80 * PAGE)   /* all of file 0 */
#define CLIENT_END    (112 * PAGE)

#define NFILES_MEM    4u
/* File 1's descriptor is read-only; file 2 ends inside a page; file 3 has a huge one. */
static const uint64_t file_bytes[NFILES_MEM] = {
	32 * PAGE,
	16 * PAGE,
	5 * PAGE + 3000,
	(512 + 16) * PAGE,
};
#define FILE_READ_ONLY 1u

/* What all memory holds at first: of each region, and of the selftest's buffers 0. */
enum region {
	REGION_CLIENT, /* up to CLIENT_HOLE */
	REGION_FILES,
	REGION_BARS = REGION_FILES + NFILES_MEM,
	NREGIONS = REGION_BARS + NDEVS,
};

static inline uint64_t region_bytes(unsigned region)
{
	if (region == REGION_CLIENT)
		return CLIENT_HOLE;
	return region < REGION_BARS ? file_bytes[region - REGION_FILES] : BAR_BYTES;
}

void world_fill(unsigned region, uint8_t *bytes);
/* One number for many bytes. */
uint64_t world_sum(const uint8_t *bytes, uint64_t n);
/* What a write of @length bytes that is told apart by @value consists of. */
void world_pattern(uint64_t value, uint8_t *bytes, uint64_t length);
#define WRITE_MAX KIB(40) /* longer reads and writes are cut */

/* ---- arguments of calls ------------------------------------------------------ */

enum hwpt_data {
	DATA_NONE,
	DATA_DEFAULT,   /* the selftest's, default page table */
	DATA_HUGE,      /* the one with huge pages */
	DATA_BAD_TABLE, /* one that there is none of */
	DATA_NO_TYPE,   /* a length and no type */
	DATA_NO_LENGTH, /* a type and no length */
	DATA_FOREIGN,   /* of nobody's type */
	DATA_SHORT,     /* the selftest's, 2 bytes */
	NDATA,
};

enum malformed {
	MALFORMED_SHORT,   /* a struct that is too short */
	MALFORMED_TAIL,    /* one that is longer, and not zero there */
	MALFORMED_POINTER, /* none */
	MALFORMED_NUMBER,  /* a call that there is none of */
	NMALFORMED,
};

/* How many ranges are asked for at most. */
#define RANGES_MAX 40u

/* How many words of a dirty bitmap are looked at. */
#define DIRTY_WORDS 16u

/* Counts of resets that a model sees, by kind. */
#define NRESETS 3u

#endif
