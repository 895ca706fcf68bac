/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ce_driver.h"

/* How long to wait for the engine before giving it up for dead. */
#define TIMEOUT_SECONDS 30

/* ---- registers ------------------------------------------------------------------- */

/* A register that cannot be read is all ones, as on a bus where nobody answers. */
uint32_t ce_read32(struct ce *ce, enum ce_register reg)
{
	uint32_t value;

	return ce->bus.read(ce->bus.arg, reg, &value, sizeof(value)) ? UINT32_MAX : value;
}

uint64_t ce_read64(struct ce *ce, enum ce_register reg)
{
	uint64_t value;

	return ce->bus.read(ce->bus.arg, reg, &value, sizeof(value)) ? UINT64_MAX : value;
}

int ce_write32(struct ce *ce, enum ce_register reg, uint32_t value)
{
	return ce->bus.write(ce->bus.arg, reg, &value, sizeof(value));
}

int ce_write64(struct ce *ce, enum ce_register reg, uint64_t value)
{
	return ce->bus.write(ce->bus.arg, reg, &value, sizeof(value));
}

enum ce_state ce_state(struct ce *ce)
{
	return ce_read32(ce, CE_REG_STATUS) & CE_STATUS_STATE;
}

/* ---- waiting --------------------------------------------------------------------- */

struct deadline {
	struct timespec end;
	unsigned polls;
};

static struct deadline deadline_start(void)
{
	struct deadline d = {0};

	clock_gettime(CLOCK_MONOTONIC, &d.end);
	d.end.tv_sec += TIMEOUT_SECONDS;
	return d;
}

/* Poll again? At first at once, later after a pause. */
static int deadline_poll(struct deadline *d)
{
	const struct timespec pause = {.tv_nsec = 50 * 1000};
	struct timespec now;

	if (++d->polls < 100)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > d->end.tv_sec)
		return -ETIMEDOUT;
	nanosleep(&pause, NULL);
	return 0;
}

/* Where registers are watched the engine takes a moment to hear of CONTROL. */
static int wait_disabled(struct ce *ce)
{
	struct deadline d = deadline_start();

	while (ce_read32(ce, CE_REG_CONTROL) || ce_state(ce) != CE_STATE_DISABLED)
		if (deadline_poll(&d))
			return -ETIMEDOUT;
	return 0;
}

static int wait_enabled(struct ce *ce)
{
	struct deadline d = deadline_start();

	while (ce_state(ce) == CE_STATE_DISABLED)
		if (deadline_poll(&d))
			return -ETIMEDOUT;
	return 0;
}

static int take_error(struct ce *ce)
{
	ce->error.error = ce_read32(ce, CE_REG_ERROR);
	ce->error.index = ce_read32(ce, CE_REG_ERROR_INDEX);
	ce->error.addr = ce_read64(ce, CE_REG_ERROR_ADDR);
	return -EIO;
}

/* ---- start and stop -------------------------------------------------------------- */

int ce_start(struct ce *ce, const struct ce_bus *bus, void *ring, uint64_t ring_iova,
	     uint32_t size)
{
	int err;

	*ce = (struct ce){.bus = *bus, .ring = ring, .size = size};
	if (ce_read32(ce, CE_REG_ID) != CE_ID)
		return -ENODEV;
	err = ce_write32(ce, CE_REG_CONTROL, CE_CONTROL_RESET);
	if (!err)
		err = wait_disabled(ce);
	if (!err)
		err = ce_write64(ce, CE_REG_RING_BASE, ring_iova);
	if (!err)
		err = ce_write32(ce, CE_REG_RING_SIZE, size);
	if (!err)
		err = ce_write32(ce, CE_REG_CONTROL, CE_CONTROL_ENABLE);
	if (!err)
		err = wait_enabled(ce);
	if (err)
		return err;
	return ce_state(ce) == CE_STATE_READY ? 0 : take_error(ce);
}

int ce_stop(struct ce *ce)
{
	int err = ce_write32(ce, CE_REG_CONTROL, 0);

	return err ? err : wait_disabled(ce);
}

/* ---- work ------------------------------------------------------------------------ */

int ce_submit(struct ce *ce, const struct ce_desc *desc)
{
	if (ce->tail - ce_read32(ce, CE_REG_CONSUMER) >= ce->size)
		return -EAGAIN;
	memcpy(&ce->ring[ce->tail % ce->size], desc, sizeof(*desc));
	ce->tail++;
	return 0;
}

int ce_kick(struct ce *ce)
{
	/* The descriptors have to be in memory before the engine hears of them. */
	__sync_synchronize();
	return ce_write32(ce, CE_REG_PRODUCER, ce->tail);
}

int ce_wait(struct ce *ce)
{
	struct deadline d = deadline_start();

	for (;;) {
		/* In this order: CONSUMER may reach the tail after STATUS was read. */
		enum ce_state state = ce_state(ce);

		if (ce_read32(ce, CE_REG_CONSUMER) == ce->tail)
			break;
		if (state == CE_STATE_HALTED)
			return take_error(ce);
		if (state != CE_STATE_READY)
			return -ECANCELED;
		if (deadline_poll(&d))
			return -ETIMEDOUT;
	}
	/* What the engine wrote is to be read after its being done was. */
	__sync_synchronize();
	return 0;
}

static int execute(struct ce *ce, const struct ce_desc *desc)
{
	int err = ce_submit(ce, desc);

	if (!err)
		err = ce_kick(ce);
	return err ? err : ce_wait(ce);
}

int ce_copy(struct ce *ce, uint64_t dst, uint64_t src, uint64_t length, unsigned flags)
{
	const struct ce_desc desc = {
		.opcode = CE_OP_COPY,
		.flags = (uint16_t)flags,
		.src = src,
		.dst = dst,
		.length = length,
	};

	return execute(ce, &desc);
}

int ce_fill(struct ce *ce, uint64_t dst, uint64_t pattern, uint64_t length,
	    unsigned flags)
{
	const struct ce_desc desc = {
		.opcode = CE_OP_FILL,
		.flags = (uint16_t)flags,
		.src = pattern,
		.dst = dst,
		.length = length,
	};

	return execute(ce, &desc);
}

/* The command does not stand in CONTROL any more when the engine has taken it. */
static int command(struct ce *ce, uint32_t what)
{
	struct deadline d = deadline_start();
	int err = ce_write32(ce, CE_REG_CONTROL, CE_CONTROL_ENABLE | what);

	while (!err && ce_read32(ce, CE_REG_CONTROL) & what)
		err = deadline_poll(&d);
	return err;
}

int ce_skip(struct ce *ce)
{
	return command(ce, CE_CONTROL_SKIP);
}

int ce_retry(struct ce *ce)
{
	return command(ce, CE_CONTROL_RETRY);
}

/* ---- names ----------------------------------------------------------------------- */

const char *ce_code_name(uint32_t error)
{
	switch (CE_ERROR_CODE(error)) {
	case 0:
		return "no error";
	case CE_CODE_BLOCKED:
		return "no address space attached";
	case CE_CODE_NO_MASTER:
		return "bus mastering is off";
	case CE_CODE_UNMAPPED:
		return "no translation";
	case CE_CODE_PERM:
		return "no permission";
	case CE_CODE_ABORT:
		return "target did not answer";
	case CE_CODE_BAD_RING:
		return "illegal ring";
	case CE_CODE_BAD_OPCODE:
		return "illegal opcode";
	case CE_CODE_BAD_FLAGS:
		return "illegal flags";
	case CE_CODE_BAD_RESERVED:
		return "reserved field set";
	case CE_CODE_BAD_VECTOR:
		return "illegal vector";
	case CE_CODE_BAD_COMPLETION:
		return "unaligned completion record";
	case CE_CODE_BAD_RANGE:
		return "range out of bounds";
	case CE_CODE_BROKEN:
		return "engine out of order";
	default:
		return "unknown error";
	}
}

const char *ce_stage_name(uint32_t error)
{
	static const char *const names[] = {
		"ring",        "descriptor fetch",  "source",
		"destination", "completion record", "descriptor check",
	};
	uint32_t stage = CE_ERROR_STAGE(error);

	return stage < sizeof(names) / sizeof(names[0]) ? names[stage] : "unknown stage";
}
