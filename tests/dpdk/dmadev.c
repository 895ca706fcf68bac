/* SPDX-License-Identifier: MIT */
/*
 * A program of DPDK's that knows nothing but rte_dmadev: it has every DMA device that EAL
 * finds copy and fill, checks the bytes, and makes errors where the driver says that it
 * handles them. What the devices are, and how they are reached, is DPDK's business.
 *
 * usage: dmadev EAL-OPTION...
 *
 * Output is TAP, a test for each device; what DPDK and its drivers print goes to standard
 * error.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_dmadev.h>
#include <rte_eal.h>
#include <rte_malloc.h>

#define DESCRIPTORS 128
#define BUFFER      (256u * 1024)
#define ROUNDS      2000
#define BURST       32
/* Nobody maps this far up. */
#define BAD_IOVA UINT64_C(0x7ffffff00000)

static FILE *tap;

struct device {
	int16_t id;
	struct rte_dma_info info;
	uint8_t *src, *dst, *ref;
	rte_iova_t src_iova, dst_iova;
	uint32_t seed;
	uint16_t last; /* index of the last operation */
};

static uint32_t next_random(struct device *d)
{
	d->seed = d->seed * 1664525u + 1013904223u;
	return d->seed >> 8;
}

static bool check(bool good, const char *what)
{
	if (!good)
		fprintf(tap, "#   %s\n", what);
	return good;
}

/* ---- set up ---------------------------------------------------------------------- */

static bool start(struct device *d)
{
	const struct rte_dma_conf conf = {.nb_vchans = 1};
	const struct rte_dma_vchan_conf vchan = {
		.direction = RTE_DMA_DIR_MEM_TO_MEM,
		.nb_desc = DESCRIPTORS,
	};

	return check(!rte_dma_info_get(d->id, &d->info), "info") &&
	       check(!rte_dma_configure(d->id, &conf), "configure") &&
	       check(!rte_dma_vchan_setup(d->id, 0, &vchan), "vchan setup") &&
	       check(!rte_dma_start(d->id), "start");
}

static bool get_buffers(struct device *d)
{
	d->src = rte_zmalloc(NULL, BUFFER, 0);
	d->dst = rte_zmalloc(NULL, BUFFER, 0);
	d->ref = calloc(1, BUFFER);
	if (!check(d->src && d->dst && d->ref, "no memory"))
		return false;
	d->src_iova = rte_malloc_virt2iova(d->src);
	d->dst_iova = rte_malloc_virt2iova(d->dst);
	for (unsigned i = 0; i < BUFFER; i++)
		d->src[i] = (uint8_t)next_random(d);
	return true;
}

/* ---- what the device is to do ---------------------------------------------------- */

/* Until @n more operations are complete. Errors end it. */
static bool wait_for(struct device *d, unsigned n)
{
	uint64_t deadline = rte_get_timer_cycles() + 60 * rte_get_timer_hz();
	bool error = false;

	while (n && !error && rte_get_timer_cycles() < deadline)
		n -= rte_dma_completed(d->id, 0, (uint16_t)n, &d->last, &error);
	return check(!error, "an operation failed") && check(!n, "operations do not end");
}

static int one_operation(struct device *d, uint64_t flags)
{
	uint32_t n = 1 + next_random(d) % 4096;
	uint32_t from = next_random(d) % (BUFFER - n);
	uint32_t to = next_random(d) % (BUFFER - n);
	uint64_t pattern = (uint64_t)next_random(d) << 32 | next_random(d);

	if (next_random(d) % 3) {
		memcpy(d->ref + to, d->src + from, n);
		return rte_dma_copy(d->id, 0, d->src_iova + from, d->dst_iova + to, n,
				    flags);
	}
	for (uint32_t i = 0; i < n; i++)
		d->ref[to + i] = (uint8_t)(pattern >> i % 8 * 8);
	return rte_dma_fill(d->id, 0, pattern, d->dst_iova + to, n, flags);
}

/* Bursts of copies and fills, each fenced off from the one before it: they overlap. */
static bool copy_and_fill(struct device *d)
{
	for (unsigned round = 0; round < ROUNDS; round += BURST) {
		unsigned burst = 1 + next_random(d) % BURST;

		for (unsigned i = 0; i < burst; i++)
			if (!check(one_operation(d, i ? RTE_DMA_OP_FLAG_FENCE : 0) >= 0,
				   "enqueue"))
				return false;
		if (!check(!rte_dma_submit(d->id, 0), "submit") || !wait_for(d, burst))
			return false;
	}
	return check(!memcmp(d->dst, d->ref, BUFFER), "the bytes are not right");
}

/* One that faults between two that do not, and one after. */
static bool make_error(struct device *d)
{
	enum rte_dma_status_code status[3];
	uint64_t deadline = rte_get_timer_cycles() + 60 * rte_get_timer_hz();
	uint16_t n = 0;

	memset(d->dst, 0, 192);
	rte_dma_copy(d->id, 0, d->src_iova, d->dst_iova, 64, 0);
	rte_dma_copy(d->id, 0, BAD_IOVA, d->dst_iova + 64, 64, 0);
	rte_dma_copy(d->id, 0, d->src_iova, d->dst_iova + 128, 64, 0);
	rte_dma_submit(d->id, 0);
	while (n < 3 && rte_get_timer_cycles() < deadline)
		n += rte_dma_completed_status(d->id, 0, (uint16_t)(3 - n), &d->last,
					      status + n);
	return check(n == 3, "operations do not end") &&
	       check(status[0] == RTE_DMA_STATUS_SUCCESSFUL, "the one before failed") &&
	       check(status[1] != RTE_DMA_STATUS_SUCCESSFUL, "no error was told") &&
	       check(status[2] == RTE_DMA_STATUS_SUCCESSFUL, "the one after failed") &&
	       check(!memcmp(d->dst, d->src, 64), "before it: not copied") &&
	       check(!memcmp(d->dst + 128, d->src, 64), "after it: not copied") &&
	       check(rte_dma_copy(d->id, 0, d->src_iova, d->dst_iova + 64, 64,
				  RTE_DMA_OP_FLAG_SUBMIT) >= 0,
		     "enqueue after an error") &&
	       wait_for(d, 1) && check(!memcmp(d->dst + 64, d->src, 64), "not copied");
}

static bool stop(struct device *d)
{
	struct rte_dma_stats stats;

	return check(!rte_dma_stats_get(d->id, 0, &stats), "stats") &&
	       check(stats.submitted == stats.completed, "submitted, not completed") &&
	       check(!rte_dma_stop(d->id), "stop") &&
	       check(!rte_dma_close(d->id), "close");
}

static bool test_device(int16_t id)
{
	struct device d = {.id = id, .seed = 1};
	bool good = get_buffers(&d) && start(&d) && copy_and_fill(&d);

	if (good && d.info.dev_capa & RTE_DMA_CAPA_HANDLES_ERRORS)
		good = make_error(&d);
	good = good && stop(&d);
	rte_free(d.src);
	rte_free(d.dst);
	free(d.ref);
	return good;
}

int main(int argc, char **argv)
{
	unsigned tests = 0;
	bool good = true;
	int16_t id;

	tap = fdopen(dup(STDOUT_FILENO), "w");
	if (!tap || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return 1;
	if (rte_eal_init(argc, argv) < 0) {
		fprintf(tap, "Bail out! EAL does not start\n");
		return 1;
	}
	for (id = rte_dma_next_dev(0); id >= 0;
	     id = rte_dma_next_dev((int16_t)(id + 1))) {
		struct rte_dma_info info;
		char name[64] = "";
		bool passed;

		/* The name goes when the device is closed. */
		if (!rte_dma_info_get(id, &info))
			snprintf(name, sizeof(name), "%s", info.dev_name);
		passed = test_device(id);
		fprintf(tap, "%sok %u - %s\n", passed ? "" : "not ", ++tests, name);
		good = good && passed;
	}
	fprintf(tap, "1..%u\n", tests);
	fclose(tap);
	rte_eal_cleanup();
	return good && tests ? 0 : 1;
}
