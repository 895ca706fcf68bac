/* SPDX-License-Identifier: MIT */
/* Registers of the copy engine behind a mapping that faults. */
#include "client.h"
#include "scenarios.h"

#include <sys/mman.h>

#define ID_VALUE    0x31454355u
#define REG_ID      0x00
#define REG_SCRATCH 0x60

struct registers {
	struct device dev;
	volatile unsigned char *at;
	uint64_t offset, size;
};

static void registers_open(struct registers *r)
{
	uint32_t flags;

	device_open(&r->dev, CDEV0);
	r->offset = region_offset(r->dev.fd, 0, &r->size, &flags);
	CHECK(flags & VFIO_REGION_INFO_FLAG_MMAP);
	r->at = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->dev.fd,
		     (off_t)r->offset);
	CHECK(r->at != MAP_FAILED);
}

static void registers_close(struct registers *r)
{
	CHECK(!munmap((void *)(uintptr_t)r->at, r->size));
	device_close(&r->dev);
}

void scenario_mmio(void)
{
	struct registers r;
	uint64_t value;

	registers_open(&r);
	CHECK(*(volatile uint32_t *)(r.at + REG_ID) == ID_VALUE);
	*(volatile uint64_t *)(r.at + REG_SCRATCH) = 0x1122334455667788;
	CHECK(*(volatile uint64_t *)(r.at + REG_SCRATCH) == 0x1122334455667788);
	CHECK(*(volatile uint32_t *)(r.at + REG_SCRATCH + 4) == 0x11223344);
	CHECK(*(volatile uint16_t *)(r.at + REG_SCRATCH + 2) == 0x5566);
	CHECK(r.at[REG_SCRATCH + 7] == 0x11);
	CHECK(pread(r.dev.fd, &value, 8, (off_t)(r.offset + REG_SCRATCH)) == 8);
	CHECK(value == 0x1122334455667788);
	registers_close(&r);
}
