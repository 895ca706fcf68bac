/* SPDX-License-Identifier: MIT */
/*
 * What runs in a guest with two copy engines (as its init, after a script has mounted
 * /proc and /sys): peer-to-peer as the guest's own software would do it.
 *
 * The guest has no IOMMU, so its physical addresses are the devices' IOVAs: guest RAM is
 * a huge page, whose physical address /proc/self/pagemap tells, and a peer's VRAM is
 * where its BAR 2 is (sysfs `resource`). Registers and VRAM are sysfs' resource0 and
 * resource2, mapped. The configuration space is sysfs' `config`.
 *
 * It prints "GUEST: step ... ok" for each step and at last "GUEST: PASS" or "GUEST: FAIL
 * ...", and powers the guest off. It is the only process there is, and statically linked.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "examples/ce_driver.h"

#define MIB       ((uint64_t)1 << 20)
#define HUGE_PAGE (2 * MIB)

/* The huge page: both rings, then a buffer. */
#define RING_SIZE      64
#define RING_OFFSET    4096
#define BUFFER_OFFSET  (512 * 1024)
#define BUFFER_BYTES   MIB

#define COMMAND        0x04
#define COMMAND_MEMORY 0x2
#define COMMAND_MASTER 0x4
#define CAP_POINTER    0x34
#define CAP_PCIE       0x10
#define PCIE_DEVCTL    8
#define DEVCTL_FLR     0x8000

struct device {
	char path[64]; /* in sysfs */
	int config;
	volatile uint8_t *regs;
	uint8_t *vram;
	uint64_t vram_bytes, vram_address; /* physical */
	unsigned pcie;                     /* the capability */
	struct ce engine;
};

static struct device devices[2];
#define A (&devices[0])
#define B (&devices[1])
static uint8_t *ram;
static uint64_t ram_address; /* physical */

/* ---- telling, checking ----------------------------------------------------------- */

static _Noreturn void power_off(void)
{
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static _Noreturn __attribute__((format(printf, 1, 2))) void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("GUEST: FAIL ");
	vprintf(format, args);
	printf("\n");
	power_off();
}

static void must(bool ok, const char *call)
{
	if (!ok)
		fail("%s: %s", call, strerror(errno));
}

static void check(bool ok, const char *what)
{
	if (!ok)
		fail("does not hold: %s", what);
}

static void step_ok(const char *name)
{
	printf("GUEST: step %s ok\n", name);
}

static void engine_must(struct device *d, int err, const char *what)
{
	if (err)
		fail("%s: %s: %s (%s, %s, address 0x%" PRIx64 ")", d->path, what,
		     strerror(-err), ce_code_name(d->engine.error.error),
		     ce_stage_name(d->engine.error.error), d->engine.error.addr);
}

/* ---- sysfs ----------------------------------------------------------------------- */

static int open_in(const struct device *d, const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", d->path, name);
	return open(path, flags | O_CLOEXEC);
}

static unsigned long read_number(const struct device *d, const char *name)
{
	char text[32] = "";
	int fd = open_in(d, name, O_RDONLY);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return strtoul(text, NULL, 0);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	must(fd >= 0, path);
	must(write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

static uint16_t get_config(struct device *d, unsigned offset)
{
	uint16_t value;

	must(pread(d->config, &value, 2, offset) == 2, "read of configuration space");
	return value;
}

static void set_config(struct device *d, unsigned offset, uint16_t value)
{
	must(pwrite(d->config, &value, 2, offset) == 2, "write of configuration space");
}

static unsigned find_capability(struct device *d, unsigned id)
{
	unsigned at = get_config(d, CAP_POINTER) & 0xfc;

	for (unsigned i = 0; at && i < 48; i++) {
		uint16_t head = get_config(d, at);

		if ((head & 0xff) == id)
			return at;
		at = head >> 8 & 0xfc;
	}
	fail("%s: no capability 0x%x", d->path, id);
}

/* Line 2 of `resource` is BAR 2: "start last flags". */
static void find_vram(struct device *d)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/resource", d->path);
	f = fopen(path, "re");
	must(f, path);
	for (unsigned line = 0; line <= 2; line++) {
		uint64_t start, last;

		if (fscanf(f, "%" SCNx64 " %" SCNx64 " %*x", &start, &last) != 2)
			fail("%s: unreadable", path);
		d->vram_address = start;
		d->vram_bytes = last - start + 1;
	}
	fclose(f);
}

static void *map_resource(struct device *d, const char *name, uint64_t bytes)
{
	int fd = open_in(d, name, O_RDWR | O_SYNC);
	void *p;

	must(fd >= 0, name);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(p != MAP_FAILED, name);
	close(fd);
	return p;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct device *)a)->path, ((const struct device *)b)->path);
}

static void find_devices(void)
{
	DIR *dir = opendir("/sys/bus/pci/devices");
	unsigned n = 0;
	struct dirent *e;

	must(dir, "/sys/bus/pci/devices");
	while ((e = readdir(dir)) && n < 2) {
		struct device *d = &devices[n];

		if (e->d_name[0] == '.')
			continue;
		snprintf(d->path, sizeof(d->path), "/sys/bus/pci/devices/%.24s",
			 e->d_name);
		if (read_number(d, "vendor") == CE_VENDOR &&
		    read_number(d, "device") == CE_DEVICE)
			n++;
	}
	closedir(dir);
	if (n < 2)
		fail("%u copy engines found, need 2", n);
	qsort(devices, 2, sizeof(devices[0]), by_name);
}

static void open_device(struct device *d)
{
	d->config = open_in(d, "config", O_RDWR);
	must(d->config >= 0, "config");
	d->pcie = find_capability(d, CAP_PCIE);
	find_vram(d);
	set_config(d, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
	d->regs = map_resource(d, "resource0", 65536);
	d->vram = map_resource(d, "resource2", d->vram_bytes);
	printf("GUEST: %s: VRAM of %" PRIu64 " MiB at 0x%" PRIx64 "\n", d->path,
	       d->vram_bytes / MIB, d->vram_address);
}

/* ---- memory ---------------------------------------------------------------------- */

static void find_ram(void)
{
	uint64_t entry;
	int fd;

	write_text("/proc/sys/vm/nr_hugepages", "1");
	ram = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_LOCKED, -1, 0);
	must(ram != MAP_FAILED, "mmap of a huge page");
	memset(ram, 0, HUGE_PAGE);

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	must(fd >= 0, "/proc/self/pagemap");
	must(pread(fd, &entry, 8, (off_t)((uintptr_t)ram / 4096 * 8)) == 8, "pagemap");
	close(fd);
	check(entry >> 63 && (entry & ((UINT64_C(1) << 55) - 1)), "the page is present");
	ram_address = (entry & ((UINT64_C(1) << 55) - 1)) * 4096;
}

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

/* ---- the engines ----------------------------------------------------------------- */

static int read_register(void *arg, uint64_t offset, void *value, size_t n)
{
	struct device *d = arg;
	uint32_t words[2];

	for (size_t i = 0; i < n / 4; i++)
		words[i] = *(volatile uint32_t *)(d->regs + offset + i * 4);
	memcpy(value, words, n);
	return 0;
}

static int write_register(void *arg, uint64_t offset, const void *value, size_t n)
{
	struct device *d = arg;
	uint32_t words[2];

	memcpy(words, value, n);
	for (size_t i = 0; i < n / 4; i++)
		*(volatile uint32_t *)(d->regs + offset + i * 4) = words[i];
	return 0;
}

static void start_engine(struct device *d)
{
	const struct ce_bus bus = {read_register, write_register, d};
	uint64_t ring = (uint64_t)(d - devices) * RING_OFFSET;

	engine_must(d,
		    ce_start(&d->engine, &bus, ram + ring, ram_address + ring, RING_SIZE),
		    "start");
}

/* Has A fault at an address in B's VRAM. */
static void must_fault(int err)
{
	const struct ce_error *e = &A->engine.error;

	check(err == -EIO, "A's engine has faulted");
	printf("GUEST: A halted: %s, %s, address 0x%" PRIx64 "\n", ce_code_name(e->error),
	       ce_stage_name(e->error), e->addr);
	check(CE_ERROR_CODE(e->error) == CE_CODE_UNMAPPED, "no translation");
	check(e->addr - B->vram_address < B->vram_bytes, "in B's VRAM");
}

static void peer_to_peer(uint64_t seed)
{
	fill(ram + BUFFER_OFFSET, BUFFER_BYTES, seed);
	memset(B->vram, 0, BUFFER_BYTES);
	engine_must(A,
		    ce_copy(&A->engine, 0, ram_address + BUFFER_OFFSET, BUFFER_BYTES,
			    CE_FLAG_DST_VRAM),
		    "copy RAM -> VRAM A");
	engine_must(
		A,
		ce_copy(&A->engine, B->vram_address, 0, BUFFER_BYTES, CE_FLAG_SRC_VRAM),
		"copy VRAM A -> VRAM B");
	check(!memcmp(B->vram, ram + BUFFER_OFFSET, BUFFER_BYTES),
	      "B's VRAM holds RAM's bytes");
}

/* ---- the steps ------------------------------------------------------------------- */

static void ram_to_vram(void)
{
	fill(ram + BUFFER_OFFSET, BUFFER_BYTES, 1);
	engine_must(A,
		    ce_copy(&A->engine, 0, ram_address + BUFFER_OFFSET, BUFFER_BYTES,
			    CE_FLAG_DST_VRAM),
		    "copy RAM -> VRAM A");
	check(!memcmp(A->vram, ram + BUFFER_OFFSET, BUFFER_BYTES),
	      "A's VRAM holds RAM's bytes");
	step_ok("ram-to-vram");
}

static void both_ways(void)
{
	peer_to_peer(2);
	step_ok("peer-to-peer");

	memset(ram + BUFFER_OFFSET, 0, BUFFER_BYTES);
	fill(A->vram, BUFFER_BYTES, 3);
	engine_must(
		B,
		ce_copy(&B->engine, MIB, A->vram_address, BUFFER_BYTES, CE_FLAG_DST_VRAM),
		"copy VRAM A -> VRAM B");
	check(!memcmp(B->vram + MIB, A->vram, BUFFER_BYTES), "B has read A's VRAM");
	step_ok("peer-read");
}

/*
 * A bare FLR, with memory decoding on: what QEMU has mapped is revoked, and QEMU does not
 * know. It maps the BAR again when decoding is toggled, which Linux always does around a
 * reset of its own.
 */
static void bare_flr(void)
{
	uint16_t devctl = get_config(B, B->pcie + PCIE_DEVCTL);

	memset(B->vram, 0xca, BUFFER_BYTES);
	set_config(B, B->pcie + PCIE_DEVCTL, devctl | DEVCTL_FLR);
	usleep(100 * 1000);
	must_fault(
		ce_copy(&A->engine, B->vram_address, 0, BUFFER_BYTES, CE_FLAG_SRC_VRAM));
	check(is_all(B->vram, BUFFER_BYTES, 0xca), "the canary in B's VRAM lives");
	check(ce_state(&B->engine) == CE_STATE_DISABLED, "B's engine has been reset");

	set_config(B, COMMAND, COMMAND_MASTER);
	set_config(B, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
	start_engine(A);
	start_engine(B);
	peer_to_peer(4);
	step_ok("bare-flr");
}

static void kernel_reset(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/reset", B->path);
	if (access(path, W_OK)) {
		printf("GUEST: no %s\n", path);
		return;
	}
	memset(B->vram, 0xcb, BUFFER_BYTES);
	write_text(path, "1");
	check(get_config(B, COMMAND) & COMMAND_MEMORY, "the kernel has restored COMMAND");
	check(ce_state(&B->engine) == CE_STATE_DISABLED, "B's engine has been reset");
	check(is_all(B->vram, BUFFER_BYTES, 0xcb), "VRAM keeps its content in a reset");
	start_engine(B);
	peer_to_peer(5);
	step_ok("kernel-reset");
}

static void memory_off(void)
{
	const struct ce_desc copy = {.opcode = CE_OP_COPY,
				     .flags = CE_FLAG_SRC_VRAM,
				     .dst = B->vram_address,
				     .length = B->vram_bytes};

	for (unsigned i = 0; i < RING_SIZE; i++)
		engine_must(A, ce_submit(&A->engine, &copy), "submit");
	engine_must(A, ce_kick(&A->engine), "kick");
	while (!ce_read64(&A->engine, CE_REG_BYTES))
		;
	set_config(B, COMMAND, COMMAND_MASTER);
	must_fault(ce_wait(&A->engine));
	step_ok("memory-off");

	set_config(B, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
	memset(B->vram, 0xcc, B->vram_bytes);
	usleep(50 * 1000);
	check(ce_state(&A->engine) == CE_STATE_HALTED, "A stays halted");
	check(is_all(B->vram, B->vram_bytes, 0xcc), "the canary in B's VRAM lives");
	step_ok("memory-on");

	start_engine(A);
	peer_to_peer(6);
	step_ok("peer-to-peer-again");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	find_devices();
	find_ram();
	open_device(A);
	open_device(B);
	start_engine(A);
	start_engine(B);
	step_ok("start");
	ram_to_vram();
	both_ways();
	bare_flr();
	kernel_reset();
	memory_off();
	printf("GUEST: PASS\n");
	power_off();
}
