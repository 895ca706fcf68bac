/* SPDX-License-Identifier: MIT */
/*
 * PCI peer-to-peer through iommufd, from beginning to end.
 *
 * Two devices (copy engines, docs/devices/copy-engine.md) share one IO address space.
 * The VRAM of B is exported as a dma-buf and mapped there, so that A's engine can write
 * into it. Then VFIO takes the buffer away (B is reset; B's memory decoding is switched
 * off) while A is busy with it: A must fault, B's memory must stay untouched, and
 * nothing may come back by itself.
 *
 * The program knows Linux's uAPI and nothing else:
 *
 *     uiommufd run -- ./p2p
 *
 * It prints what it does, checks every step, and exits with 0 only if all of it held.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Linux 7's own headers do as well. */
#if __has_include("uiommufd/abi/iommufd.h")
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/abi/vfio_feature.h"
#include "uiommufd/abi/vfio_pci.h"
#else
#include <linux/iommufd.h>
#include <linux/vfio.h>
#endif

#include "ce_driver.h"

#define MIB ((uint64_t)1 << 20)

/* The IO address space. */
#define RAM_IOVA   UINT64_C(0x10000000) /* a memfd; A's ring lies at its start */
#define RAM_BYTES  (2 * MIB)
#define ANON_IOVA  UINT64_C(0x20000000) /* anonymous memory */
#define ANON_BYTES (2 * MIB)
#define PEER_IOVA  UINT64_C(0x40000000) /* all of B's VRAM */
#define SLICE_IOVA UINT64_C(0x80000000) /* a part of it */

/* Behind the ring, in RAM. */
#define RING_SIZE      256
#define RESULT_OFFSET  MIB

#define COMMAND        4 /* in configuration space */
#define COMMAND_MEMORY 0x2
#define COMMAND_MASTER 0x4

struct device {
	const char *path;
	int fd;
	uint64_t regs, vram_offset, config; /* where the regions start in fd */
	uint64_t vram_bytes;
	uint8_t *vram; /* BAR 2, mapped */
};

struct world {
	int iommufd;
	uint32_t ioas;
	struct device a, b;
	uint8_t *ram, *anon;
	int ram_fd;
	int peer_fd;      /* B's VRAM as a dma-buf */
	struct ce engine; /* A's */
};

/* ---- telling, checking ----------------------------------------------------------- */

static void step(const char *text)
{
	static int number;

	printf("%2d  %s\n", ++number, text);
}

static __attribute__((format(printf, 1, 2))) void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("      ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

/* A system call that has to work. */
static void must(bool ok, const char *call)
{
	if (ok)
		return;
	fprintf(stderr, "p2p: %s: %s\n", call, strerror(errno));
	exit(1);
}

/* A system call that has to fail with @error. */
static void must_fail(int result, int error, const char *call)
{
	if (result < 0 && errno == error) {
		note("%s: %s, as it should", call, strerror(error));
		return;
	}
	fprintf(stderr, "p2p: %s: %s; expected: %s\n", call,
		result < 0 ? strerror(errno) : "no error", strerror(error));
	exit(1);
}

/* Something that has to be true. */
static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "p2p: does not hold: %s\n", what);
	exit(1);
}

/* A call of the engine's driver that has to work. */
static void engine_must(struct world *w, int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "p2p: engine A: %s: %s", what, strerror(-err));
	if (err == -EIO)
		fprintf(stderr, " (%s, %s, IOVA 0x%" PRIx64 ")",
			ce_code_name(w->engine.error.error),
			ce_stage_name(w->engine.error.error), w->engine.error.addr);
	fprintf(stderr, "\n");
	exit(1);
}

/* ---- iommufd --------------------------------------------------------------------- */

static const uint32_t map_flags =
	IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;

static int map_file(struct world *w, int fd, uint64_t start, uint64_t length,
		    uint64_t iova)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = map_flags,
		.ioas_id = w->ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return ioctl(w->iommufd, IOMMU_IOAS_MAP_FILE, &map);
}

static int map_memory(struct world *w, void *memory, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = map_flags,
		.ioas_id = w->ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
		.iova = iova,
	};

	return ioctl(w->iommufd, IOMMU_IOAS_MAP, &map);
}

/* @length in: what to unmap; it must have been all of it. */
static void unmap(struct world *w, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = w->ioas,
		.iova = iova,
		.length = length,
	};

	must(!ioctl(w->iommufd, IOMMU_IOAS_UNMAP, &unmap), "IOMMU_IOAS_UNMAP");
	check(unmap.length == length, "UNMAP says that it unmapped everything");
}

static void open_iommufd(struct world *w)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	w->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (w->iommufd < 0)
		fprintf(stderr,
			"p2p: open /dev/iommu: %s\n"
			"p2p: run me under: uiommufd run -- ./p2p\n",
			strerror(errno));
	if (w->iommufd < 0)
		exit(1);
	must(!ioctl(w->iommufd, IOMMU_IOAS_ALLOC, &alloc), "IOMMU_IOAS_ALLOC");
	w->ioas = alloc.out_ioas_id;
}

/* ---- VFIO ------------------------------------------------------------------------ */

static uint64_t region(struct device *d, uint32_t index, uint64_t *bytes)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	must(!ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info),
	     "VFIO_DEVICE_GET_REGION_INFO");
	if (bytes)
		*bytes = info.size;
	return info.offset;
}

static uint16_t get_config(struct device *d, unsigned offset)
{
	uint16_t value;

	must(pread(d->fd, &value, 2, (off_t)(d->config + offset)) == 2,
	     "pread of configuration space");
	return value;
}

static void set_command(struct device *d, uint16_t value)
{
	must(pwrite(d->fd, &value, 2, (off_t)(d->config + COMMAND)) == 2,
	     "pwrite of COMMAND");
}

static void open_device(struct world *w, struct device *d, const char *path)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = w->iommufd,
	};
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = w->ioas,
	};

	d->path = path;
	d->fd = open(path, O_RDWR | O_CLOEXEC);
	must(d->fd >= 0, path);
	must(!ioctl(d->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind), "VFIO_DEVICE_BIND_IOMMUFD");
	must(!ioctl(d->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach),
	     "VFIO_DEVICE_ATTACH_IOMMUFD_PT");

	d->config = region(d, VFIO_PCI_CONFIG_REGION_INDEX, NULL);
	d->regs = region(d, VFIO_PCI_BAR0_REGION_INDEX, NULL);
	d->vram_offset = region(d, VFIO_PCI_BAR2_REGION_INDEX, &d->vram_bytes);
	check(get_config(d, 0) == CE_VENDOR && get_config(d, 2) == CE_DEVICE,
	      "the device is a copy engine");
	set_command(d, COMMAND_MEMORY | COMMAND_MASTER);
	d->vram = mmap(NULL, d->vram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd,
		       (off_t)d->vram_offset);
	must(d->vram != MAP_FAILED, "mmap of BAR 2");
	note("%s: copy engine, %" PRIu64 " MiB of VRAM", path, d->vram_bytes / MIB);
}

/* Part of a BAR as a dma-buf. */
static int export_vram(struct device *d, uint64_t offset, uint64_t length)
{
	union {
		struct vfio_device_feature feature;
		uint8_t bytes[sizeof(struct vfio_device_feature) +
			      sizeof(struct vfio_device_feature_dma_buf) +
			      sizeof(struct vfio_region_dma_range)];
	} arg = {.feature = {
			 .argsz = sizeof(arg),
			 .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		 }};
	struct vfio_device_feature_dma_buf *buf = (void *)arg.feature.data;
	int fd;

	buf->region_index = VFIO_PCI_BAR2_REGION_INDEX;
	buf->open_flags = O_RDWR | O_CLOEXEC;
	buf->nr_ranges = 1;
	buf->dma_ranges[0].offset = offset;
	buf->dma_ranges[0].length = length;
	fd = ioctl(d->fd, VFIO_DEVICE_FEATURE, &arg);
	must(fd >= 0, "VFIO_DEVICE_FEATURE_DMA_BUF");
	return fd;
}

/* ---- A's engine ------------------------------------------------------------------ */

static int read_register(void *arg, uint64_t offset, void *value, size_t n)
{
	struct device *d = arg;

	return pread(d->fd, value, n, (off_t)(d->regs + offset)) == (ssize_t)n ? 0 : -EIO;
}

static int write_register(void *arg, uint64_t offset, const void *value, size_t n)
{
	struct device *d = arg;

	return pwrite(d->fd, value, n, (off_t)(d->regs + offset)) == (ssize_t)n ? 0
										: -EIO;
}

static void start_engine(struct world *w)
{
	const struct ce_bus bus = {read_register, write_register, &w->a};

	engine_must(w, ce_start(&w->engine, &bus, w->ram, RAM_IOVA, RING_SIZE), "start");
}

/* Keeps A busy copying its VRAM over all of B's, and returns while it does. */
static void copy_for_long(struct world *w)
{
	const struct ce_desc copy = {
		.opcode = CE_OP_COPY,
		.flags = CE_FLAG_SRC_VRAM,
		.src = 0,
		.dst = PEER_IOVA,
		.length = w->b.vram_bytes,
	};

	for (unsigned i = 0; i < RING_SIZE; i++)
		engine_must(w, ce_submit(&w->engine, &copy), "submit");
	engine_must(w, ce_kick(&w->engine), "kick");
	while (!ce_read64(&w->engine, CE_REG_BYTES))
		;
}

/* @err, from the engine, has to be the fault of a write to B's VRAM. */
static void must_fault(struct world *w, int err)
{
	const struct ce_error *e = &w->engine.error;

	check(err == -EIO, "A's engine has faulted");
	note("engine A halted at descriptor %u: %s, %s, IOVA 0x%" PRIx64, e->index,
	     ce_code_name(e->error), ce_stage_name(e->error), e->addr);
	check(CE_ERROR_CODE(e->error) == CE_CODE_UNMAPPED, "the IOVA is not translated");
	check(CE_ERROR_IS_WRITE(e->error), "it was writing");
	check(e->addr - PEER_IOVA < w->b.vram_bytes, "to B's VRAM");
}

/* ---- what memory holds ----------------------------------------------------------- */

static void fill(uint8_t *p, uint64_t n, uint64_t seed)
{
	for (uint64_t i = 0; i < n; i++) {
		seed = seed * UINT64_C(6364136223846793005) +
		       UINT64_C(1442695040888963407);
		p[i] = (uint8_t)(seed >> 56);
	}
}

static bool is_all(const uint8_t *p, uint64_t n, uint8_t byte)
{
	return p[0] == byte && !memcmp(p, p + 1, n - 1);
}

/* A copies its VRAM to B's; does it arrive? */
static void peer_to_peer(struct world *w, uint64_t seed)
{
	const uint64_t n = w->b.vram_bytes;

	fill(w->a.vram, n, seed);
	memset(w->b.vram, 0, n);
	engine_must(w, ce_copy(&w->engine, PEER_IOVA, 0, n, CE_FLAG_SRC_VRAM),
		    "copy VRAM A -> VRAM B");
	check(!memcmp(w->b.vram, w->a.vram, n), "B's VRAM holds what A's does");
	note("VRAM A -> VRAM B: %" PRIu64 " MiB, every byte is there", n / MIB);
}

/*
 * Nothing that A does reaches B any more: a canary in B's VRAM, seen through B's own
 * BAR, survives A's tries.
 */
static void must_be_cut_off(struct world *w)
{
	memset(w->b.vram, 0xca, w->b.vram_bytes);
	engine_must(w, ce_retry(&w->engine), "retry");
	must_fault(w, ce_wait(&w->engine));
	start_engine(w);
	must_fault(w, ce_copy(&w->engine, PEER_IOVA + MIB, 0, MIB, CE_FLAG_SRC_VRAM));
	check(is_all(w->b.vram, w->b.vram_bytes, 0xca), "the canary in B's VRAM lives");
	note("the canary in B's VRAM lives");
}

/* The area of a revoked buffer stays, empty, until it is unmapped. */
static void map_again(struct world *w)
{
	must_fail(map_file(w, w->peer_fd, 0, w->b.vram_bytes, PEER_IOVA), EEXIST,
		  "MAP_FILE at the IOVA of the dead area");
	unmap(w, PEER_IOVA, w->b.vram_bytes);
	must(!map_file(w, w->peer_fd, 0, w->b.vram_bytes, PEER_IOVA),
	     "IOMMU_IOAS_MAP_FILE of the restored dma-buf");
	start_engine(w);
}

/* ---- the steps ------------------------------------------------------------------- */

static void set_up(struct world *w)
{
	step("open /dev/iommu and allocate an IO address space");
	open_iommufd(w);

	step("open two devices, bind them to the iommufd, attach them to the space");
	open_device(w, &w->a, "/dev/vfio/devices/vfio0");
	open_device(w, &w->b, "/dev/vfio/devices/vfio1");
	check(w->a.vram_bytes >= w->b.vram_bytes, "A's VRAM is no smaller than B's");
	check(w->b.vram_bytes >= 4 * MIB, "B has 4 MiB of VRAM");

	step("map RAM: a memfd by its descriptor, anonymous memory by its address");
	w->ram_fd = memfd_create("p2p-ram", MFD_CLOEXEC);
	must(w->ram_fd >= 0, "memfd_create");
	must(!ftruncate(w->ram_fd, RAM_BYTES), "ftruncate");
	w->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, w->ram_fd, 0);
	must(w->ram != MAP_FAILED, "mmap of the memfd");
	must(!map_file(w, w->ram_fd, 0, RAM_BYTES, RAM_IOVA), "IOMMU_IOAS_MAP_FILE");
	w->anon = mmap(NULL, ANON_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(w->anon != MAP_FAILED, "mmap");
	must(!map_memory(w, w->anon, ANON_BYTES, ANON_IOVA), "IOMMU_IOAS_MAP");

	step("start A's engine on a ring in RAM");
	start_engine(w);
}

static void ram_to_vram(struct world *w)
{
	step("RAM -> VRAM A");
	fill(w->anon, ANON_BYTES, 1);
	engine_must(w, ce_copy(&w->engine, 0, ANON_IOVA, ANON_BYTES, CE_FLAG_DST_VRAM),
		    "copy RAM -> VRAM A");
	check(!memcmp(w->a.vram, w->anon, ANON_BYTES), "A's VRAM holds what RAM does");
}

static void share_vram(struct world *w)
{
	step("export B's VRAM as a dma-buf and map it for A: peer-to-peer");
	w->peer_fd = export_vram(&w->b, 0, w->b.vram_bytes);
	check(lseek(w->peer_fd, 0, SEEK_END) == (off_t)w->b.vram_bytes,
	      "the dma-buf is as large as B's VRAM");
	must(!map_file(w, w->peer_fd, 0, w->b.vram_bytes, PEER_IOVA),
	     "IOMMU_IOAS_MAP_FILE of the dma-buf");
	peer_to_peer(w, 2);

	step("VRAM B -> RAM: A reads its peer");
	engine_must(w, ce_copy(&w->engine, RAM_IOVA + RESULT_OFFSET, PEER_IOVA, MIB, 0),
		    "copy VRAM B -> RAM");
	check(!memcmp(w->ram + RESULT_OFFSET, w->b.vram, MIB), "RAM holds B's VRAM");
}

static void share_slices(struct world *w)
{
	const uint64_t offset = 3 * MIB, length = 64 * 1024, inner = 16 * 1024;
	int slice_fd;

	step("slices: a part of a dma-buf, and a dma-buf of a part");
	memset(w->b.vram, 0, w->b.vram_bytes);
	must(!map_file(w, w->peer_fd, offset, length, SLICE_IOVA),
	     "IOMMU_IOAS_MAP_FILE of a part of the dma-buf");
	engine_must(w, ce_copy(&w->engine, SLICE_IOVA, ANON_IOVA, length, 0),
		    "copy RAM -> slice");
	check(!memcmp(w->b.vram + offset, w->anon, length),
	      "the slice is where it should be");
	check(is_all(w->b.vram, offset, 0), "and nothing before it was written");
	unmap(w, SLICE_IOVA, length);

	slice_fd = export_vram(&w->b, offset, length);
	must(!map_file(w, slice_fd, inner, length - inner, SLICE_IOVA),
	     "IOMMU_IOAS_MAP_FILE of a part of a part");
	engine_must(w, ce_fill(&w->engine, SLICE_IOVA, 0, length - inner, 0), "fill");
	check(!memcmp(w->b.vram + offset, w->anon, inner), "before it all is as it was");
	check(is_all(w->b.vram + offset + inner, length - inner, 0), "the fill arrived");
	must_fail(map_file(w, slice_fd, inner, length, SLICE_IOVA + MIB), EINVAL,
		  "MAP_FILE past the end of the slice");
	unmap(w, SLICE_IOVA, length - inner);
	close(slice_fd);
}

static void revoke_by_reset(struct world *w)
{
	step("reset B while A writes to its VRAM");
	copy_for_long(w);
	must(!ioctl(w->b.fd, VFIO_DEVICE_RESET), "VFIO_DEVICE_RESET");
	/* From here on nothing of A's may arrive. */
	memset(w->b.vram, 0x5a, w->b.vram_bytes);
	must_fault(w, ce_wait(&w->engine));
	check(is_all(w->b.vram, w->b.vram_bytes, 0x5a),
	      "nothing arrived after the reset");
	must_be_cut_off(w);

	step("unmap the dead area, map the buffer again: peer-to-peer works again");
	map_again(w);
	peer_to_peer(w, 3);
}

static void revoke_by_memory_off(struct world *w)
{
	uint8_t byte;

	step("switch B's memory decoding off while A writes to its VRAM");
	copy_for_long(w);
	set_command(&w->b, COMMAND_MASTER);
	must_fault(w, ce_wait(&w->engine));
	must_fail((int)pread(w->b.fd, &byte, 1, (off_t)w->b.vram_offset), EIO,
		  "pread of B's VRAM");
	must_fail(map_file(w, w->peer_fd, 0, w->b.vram_bytes, SLICE_IOVA), ENODEV,
		  "MAP_FILE of the revoked buffer");

	step("switch it on again: A stays cut off");
	set_command(&w->b, COMMAND_MEMORY | COMMAND_MASTER);
	must_be_cut_off(w);

	step("unmap the dead area, map the buffer again: peer-to-peer works again");
	map_again(w);
	peer_to_peer(w, 4);
}

static void tear_down(struct world *w)
{
	step("close B: its buffer is revoked for good, A goes on without it");
	must(!munmap(w->b.vram, w->b.vram_bytes), "munmap");
	must(!close(w->b.fd), "close");
	must_fault(w, ce_copy(&w->engine, PEER_IOVA, 0, MIB, CE_FLAG_SRC_VRAM));
	unmap(w, PEER_IOVA, w->b.vram_bytes);
	must_fail(map_file(w, w->peer_fd, 0, w->b.vram_bytes, PEER_IOVA), ENODEV,
		  "MAP_FILE of a closed device's buffer");
	start_engine(w);
	engine_must(w, ce_copy(&w->engine, 0, ANON_IOVA, ANON_BYTES, CE_FLAG_DST_VRAM),
		    "copy RAM -> VRAM A");
	check(!memcmp(w->a.vram, w->anon, ANON_BYTES), "A's VRAM holds what RAM does");

	step("unmap and close everything");
	engine_must(w, ce_stop(&w->engine), "stop");
	unmap(w, ANON_IOVA, ANON_BYTES);
	unmap(w, RAM_IOVA, RAM_BYTES);
	must(!close(w->peer_fd), "close");
	must(!munmap(w->a.vram, w->a.vram_bytes), "munmap");
	must(!close(w->a.fd), "close");
	must(!close(w->iommufd), "close");
	close(w->ram_fd);
	munmap(w->ram, RAM_BYTES);
	munmap(w->anon, ANON_BYTES);
}

int main(void)
{
	struct world w = {0};

	setvbuf(stdout, NULL, _IOLBF, 0);
	set_up(&w);
	ram_to_vram(&w);
	share_vram(&w);
	share_slices(&w);
	revoke_by_reset(&w);
	revoke_by_memory_off(&w);
	tear_down(&w);
	printf("p2p: all of it held\n");
	return 0;
}
