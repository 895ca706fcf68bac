/* SPDX-License-Identifier: MIT */
/*
 * "garbage": a program that throws everything it can at `uiommufd run`, for
 * GARBAGE_SECONDS (5). Seed: GARBAGE_SEED, else the clock; it is printed.
 *
 * A boss starts workers, kills them at random moments and starts others. Each worker has
 * threads that make random calls and one that keeps changing the memory that their
 * arguments lie in. Among the nonsense are the steps that lead somewhere (bind, attach,
 * map, export, reset), in any order, so that it meets every state.
 *
 * Nothing a worker gets for an answer is wrong. Wrong is: if `run` does not survive, if
 * at the end a device does not work, or if anything is left (UIOMMUFD_CHECK).
 *
 * Devices write where they are told to. So what is mapped for DMA lies in the arena,
 * with gigabytes of nothing around it, never in the worker's stack or code.
 */
#include "client.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#define WORKERS     3
#define THREADS     3
#define ARENA_PAGES 64
#define AROUND      (4ull << 30)
/*
 * Descriptors from 3 up are fair game. What is opened is put where its kind is looked
 * for, so that many calls find what they need; the rest find something else there.
 */
#define FDS          40
#define FIRST_IOMMU  8
#define FIRST_DEVICE 14
#define FIRST_DMABUF 20
#define OF_A_KIND    6

static unsigned char *arena;

struct dice {
	uint64_t state;
};

static uint64_t roll(struct dice *d)
{
	/* xorshift64* */
	d->state ^= d->state >> 12;
	d->state ^= d->state << 25;
	d->state ^= d->state >> 27;
	return d->state * 0x2545f4914f6cdd1dull;
}

static unsigned below(struct dice *d, unsigned n)
{
	return (unsigned)((roll(d) >> 33) % n);
}

#define PICK(d, array) ((array)[below(d, sizeof(array) / sizeof((array)[0]))])

/* ---- ingredients ------------------------------------------------------------------ */

static int any_fd(struct dice *d)
{
	static const int odd[] = {-1, 0, 1, 960, 961, 999, 1 << 30, -100};

	return below(d, 12) ? 3 + (int)below(d, FDS) : PICK(d, odd);
}

static int fd_of(struct dice *d, int first)
{
	return below(d, 12) ? first + (int)below(d, OF_A_KIND) : any_fd(d);
}

static int iommu_fd(struct dice *d)
{
	return fd_of(d, FIRST_IOMMU);
}

static int device_fd(struct dice *d)
{
	return fd_of(d, FIRST_DEVICE);
}

/* Move a new descriptor to where its kind is looked for. */
static void keep(struct dice *d, int fd, int first)
{
	if (fd < 0)
		return;
	dup2(fd, first + (int)below(d, OF_A_KIND));
	if (fd >= FIRST_IOMMU)
		close(fd);
}

static uint64_t any_iova(struct dice *d)
{
	switch (below(d, 6)) {
	case 0:
		return roll(d);
	case 1:
		return 0xfee00000ull + roll(d) % 0x100000;
	default:
		return (uint64_t)below(d, 32) << 12;
	}
}

static uint64_t any_length(struct dice *d)
{
	switch (below(d, 8)) {
	case 0:
		return roll(d);
	case 1:
		return 0;
	case 2:
		return below(d, 10000);
	default:
		return (uint64_t)(1 + below(d, 8)) << 12;
	}
}

/* In the arena, or just where it ends, or nowhere; never in use for anything else. */
static void *any_pointer(struct dice *d)
{
	switch (below(d, 12)) {
	case 0:
		return (void *)(uintptr_t)below(d, 16);
	case 1:
		return arena + ARENA_PAGES * PAGE - below(d, 64);
	case 2:
		return (void *)(uintptr_t)(roll(d) | 1ull << 63);
	case 3:
		return arena - below(d, 64);
	default:
		return arena + roll(d) % (ARENA_PAGES * PAGE - 512) / 8 * 8;
	}
}

static uint32_t any_word(struct dice *d)
{
	switch (below(d, 6)) {
	case 0:
		return (uint32_t)roll(d);
	case 1:
		return 1u << below(d, 32);
	case 2:
		return (uint32_t)any_fd(d);
	default:
		return below(d, 9);
	}
}

/* A struct at @p, if that can be written: a plausible size first. */
static void scribble(struct dice *d, unsigned char *p)
{
	if (p < arena || p > arena + ARENA_PAGES * PAGE - 512)
		return;
	for (unsigned i = 0; i < 16; i++) {
		uint32_t w = any_word(d);

		memcpy(p + 4 * i, &w, 4);
	}
	for (unsigned i = below(d, 4); i < 8; i += 1 + below(d, 4)) {
		uint64_t w = below(d, 2)   ? any_length(d)
			     : below(d, 2) ? any_iova(d)
					   : (uintptr_t)any_pointer(d);

		memcpy(p + 8 * i, &w, 8);
	}
	uint32_t size = below(d, 4) ? 8 + 4 * below(d, 24) : any_word(d);

	memcpy(p, &size, 4);
}

static uint64_t any_offset(struct dice *d)
{
	uint64_t offset = 1ull << 62 | (uint64_t)below(d, 12) << 40;

	switch (below(d, 5)) {
	case 0:
		return offset | roll(d) % (1ull << 40);
	case 1:
		return roll(d);
	case 2:
		return offset | below(d, 64) << 12;
	default:
		return offset | below(d, 4096);
	}
}

static const char *any_path(struct dice *d, char *buf, size_t cap)
{
	static const char *const paths[] = {
		"/dev/iommu",
		"/dev/vfio/devices/vfio0",
		"/dev/vfio/devices/vfio1",
		"/dev/vfio",
		"/dev/vfio/vfio",
		"/dev/char/511:0",
		"/sys/bus/pci/devices",
		DEVICES BDF0,
		DEVICES BDF0 "/config",
		DEVICES BDF0 "/iommu_group/devices/" BDF0,
		"/sys/kernel/iommu_groups/1",
		"/sys/class/vfio-dev/vfio1/device/driver",
		"/proc/self/fd",
		"/nonexistent",
		"/dev",
		"",
	};
	static const char *const tails[] = {"/..", "/.",     "//",       "/vendor",
					    "/7",  "/iommu", "/devices", "/subsystem"};
	size_t n = (size_t)snprintf(buf, cap, "%s", PICK(d, paths));

	for (unsigned i = below(d, 8) ? below(d, 2) : below(d, 200); i && n < cap; i--)
		n += (size_t)snprintf(buf + n, cap - n, "%s", PICK(d, tails));
	return buf;
}

/* ---- calls ------------------------------------------------------------------------ */

static void any_ioctl(struct dice *d)
{
	static const unsigned types[] = {';', ';', ';', ';', ';', ';', 'b'};
	unsigned nr = below(d, 3) ? 100 + below(d, 50) : below(d, 256);
	unsigned cmd = PICK(d, types) << 8 | nr;
	void *p = any_pointer(d);

	if (!below(d, 8))
		cmd |= (unsigned)roll(d) & 0xffff0000u;
	if (nr < 30 && cmd >> 8 == ';')
		cmd = ';' << 8 | (0x80 + nr % 24);
	scribble(d, p);
	ioctl(below(d, 2) ? iommu_fd(d) : device_fd(d), cmd, p);
}

static void any_transfer(struct dice *d)
{
	struct iovec iov[4];
	int fd = device_fd(d), n = 1 + (int)below(d, 4);
	off_t offset = (off_t)any_offset(d);
	size_t bytes = below(d, 4) ? 1u << below(d, 4) : any_length(d);

	for (int i = 0; i < n; i++)
		iov[i] = (struct iovec){any_pointer(d),
					below(d, 9) ? below(d, 40) : roll(d)};
	switch (below(d, 6)) {
	case 0:
		syscall(SYS_pread64, fd, any_pointer(d), bytes, offset);
		break;
	case 1:
	case 2:
		syscall(SYS_pwrite64, fd, any_pointer(d), bytes, offset);
		break;
	case 3:
		preadv(fd, iov, n, offset);
		break;
	case 4:
		pwritev2(fd, iov, n, offset, (int)below(d, 3));
		break;
	case 5:
		syscall(SYS_preadv, fd, any_pointer(d), roll(d), offset, 0);
		break;
	}
}

static void any_mmap(struct dice *d)
{
	static const int flags[] = {MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE, 0};
	size_t length = any_length(d) % (1ull << 30);
	void *p = mmap(NULL, length, (int)below(d, 8), PICK(d, flags), device_fd(d),
		       (off_t)any_offset(d));

	if (p != MAP_FAILED && below(d, 4))
		munmap(p, length);
}

static void any_path_call(struct dice *d)
{
	char buf[6000];
	int fd;
	const char *path = below(d, 12) ? any_path(d, buf, sizeof(buf)) : any_pointer(d);
	int dir = below(d, 2) ? AT_FDCWD : any_fd(d);

	switch (below(d, 8)) {
	case 0:
	case 1:
		/* Never so that a file of the host could be made or changed. */
		fd = (int)syscall(SYS_openat, dir, path,
				  roll(d) & (O_NONBLOCK | O_CLOEXEC | O_DIRECTORY |
					     O_NOFOLLOW | O_PATH));
		keep(d, fd, 3);
		break;
	case 2:
		syscall(SYS_newfstatat, dir, path, any_pointer(d), (int)any_word(d));
		break;
	case 3:
		syscall(SYS_statx, dir, path, (int)any_word(d), any_word(d),
			any_pointer(d));
		break;
	case 4:
		syscall(SYS_faccessat2, dir, path, any_word(d), any_word(d));
		break;
	case 5:
		syscall(SYS_readlinkat, dir, path, any_pointer(d), any_word(d));
		break;
	case 6:
		fd = (int)syscall(SYS_openat2, dir, path, any_pointer(d), any_length(d));
		keep(d, fd, 3);
		break;
	case 7:
		syscall(SYS_lgetxattr, path, path, any_pointer(d), any_word(d));
		break;
	}
}

static void any_fd_call(struct dice *d)
{
	struct stat st;

	switch (below(d, 6)) {
	case 0:
		if (!below(d, 3))
			close(3 + (int)below(d, FDS));
		break;
	case 1:
		if (!below(d, 3))
			dup2(any_fd(d), 3 + (int)below(d, FDS));
		break;
	case 2:
		fstat(any_fd(d), below(d, 8) ? &st : any_pointer(d));
		break;
	case 3:
		keep(d, eventfd(0, EFD_NONBLOCK), 3);
		break;
	case 4:
		keep(d, memfd_create("x", 0), FIRST_DMABUF);
		break;
	case 5:
		ftruncate(any_fd(d), (off_t)(below(d, 9) << 12));
		break;
	}
}

/* ---- steps that lead somewhere ------------------------------------------------------
 */

static void export_and_map(struct dice *d)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_dma_buf buf;
		struct vfio_region_dma_range range[2];
	} f = {
		.head.argsz = sizeof(f),
		.head.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.buf.region_index = below(d, 5) ? 2 : below(d, 9),
		.buf.open_flags = O_RDWR | O_CLOEXEC,
		.buf.nr_ranges = 1 + below(d, 2),
		.range[0] = {.offset = below(d, 8) << 12, .length = any_length(d)},
		.range[1] = {.offset = below(d, 8) << 12, .length = any_length(d)},
	};
	struct iommu_ioas_map_file m = {
		.size = sizeof(m),
		.flags = 7,
		.ioas_id = below(d, 5),
		.length = PAGE << below(d, 3),
		.start = below(d, 3) << 12,
		.iova = any_iova(d),
	};

	keep(d, ioctl(device_fd(d), VFIO_DEVICE_FEATURE, &f), FIRST_DMABUF);
	m.fd = fd_of(d, FIRST_DMABUF);
	ioctl(iommu_fd(d), IOMMU_IOAS_MAP_FILE, &m);
}

static void set_irqs(struct dice *d)
{
	struct {
		struct vfio_irq_set head;
		int fd[4];
	} s = {
		.head.argsz = (uint32_t)(sizeof(s.head) + 4 * below(d, 5)),
		.head.flags = 1u << below(d, 3) | 8u << below(d, 3),
		.head.index = below(d, 6),
		.head.start = below(d, 3),
		.head.count = below(d, 5),
		.fd = {any_fd(d), any_fd(d), any_fd(d), -1},
	};

	ioctl(device_fd(d), VFIO_DEVICE_SET_IRQS, &s);
}

static void set_registers(struct dice *d)
{
	int fd = device_fd(d);
	uint16_t command = (uint16_t)(below(d, 3) ? 6 : below(d, 8));
	uint64_t value = below(d, 2) ? any_iova(d) : any_word(d);
	off_t config = (off_t)(1ull << 62 | 7ull << 40), bar0 = (off_t)(1ull << 62);

	pwrite(fd, &command, 2, config + 4);
	pwrite(fd, &value, below(d, 2) ? 4 : 8, bar0 + below(d, 16) * 8);
	if (!below(d, 4))
		pwrite(fd, &value, 1u << below(d, 3), config + below(d, 256));
}

static void useful_step(struct dice *d)
{
	struct vfio_device_attach_iommufd_pt at = {.argsz = sizeof(at),
						   .pt_id = below(d, 6)};
	struct vfio_device_detach_iommufd_pt de = {.argsz = sizeof(de)};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .dev_id = below(d, 6), .pt_id = below(d, 6)};

	switch (below(d, 14)) {
	case 0:
		keep(d, open("/dev/iommu", O_RDWR), FIRST_IOMMU);
		break;
	case 1:
		keep(d, open(below(d, 2) ? CDEV0 : "/dev/vfio/devices/vfio1", O_RDWR),
		     FIRST_DEVICE);
		break;
	case 2:
		bind_device(device_fd(d), iommu_fd(d));
		break;
	case 3:
		ioctl(iommu_fd(d), IOMMU_IOAS_ALLOC, &alloc);
		break;
	case 4:
		ioctl(device_fd(d), VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at);
		break;
	case 5:
		if (!below(d, 4))
			ioctl(device_fd(d), VFIO_DEVICE_DETACH_IOMMUFD_PT, &de);
		break;
	case 6:
	case 7:
		map(iommu_fd(d), below(d, 6), arena + (below(d, ARENA_PAGES) << 12),
		    any_length(d) % AROUND, any_iova(d));
		break;
	case 8:
		unmap(iommu_fd(d), below(d, 6), any_iova(d), any_length(d));
		break;
	case 9:
	case 10:
		export_and_map(d);
		break;
	case 11:
		set_irqs(d);
		break;
	case 12:
		set_registers(d);
		break;
	case 13:
		if (below(d, 3))
			ioctl(iommu_fd(d), IOMMU_HWPT_ALLOC, &hwpt);
		else
			ioctl(device_fd(d), VFIO_DEVICE_RESET);
		break;
	}
}

/* ---- workers ------------------------------------------------------------------------
 */

static void *make_calls(void *arg)
{
	struct dice *d = arg;

	for (;;) {
		switch (below(d, 10)) {
		case 0:
			any_transfer(d);
			break;
		case 1:
			any_mmap(d);
			break;
		case 2:
			any_path_call(d);
			break;
		case 3:
			any_fd_call(d);
			break;
		case 4:
		case 5:
			any_ioctl(d);
			break;
		default:
			useful_step(d);
			break;
		}
	}
	return NULL;
}

static void *change_arena(void *arg)
{
	struct dice *d = arg;

	for (;;) {
		unsigned char *p = arena + roll(d) % (ARENA_PAGES * PAGE - 512) / 8 * 8;

		scribble(d, p);
		if (!below(d, 256))
			mmap(arena + (below(d, ARENA_PAGES) << 12), PAGE,
			     below(d, 8) ? PROT_READ | PROT_WRITE : PROT_READ,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		usleep(below(d, 100));
	}
	return NULL;
}

static void ignore(int sig)
{
}

static _Noreturn void work(uint64_t seed)
{
	static struct dice dice[THREADS + 1];
	int null = open("/dev/null", O_RDWR);
	pthread_t t;

	CHECK(dup2(null, 0) == 0 && dup2(null, 1) == 1);
	arena = mmap(NULL, 2 * AROUND, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(arena != MAP_FAILED);
	arena += AROUND;
	CHECK(!mprotect(arena, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE));
	signal(SIGUSR1, ignore);
	for (int i = 0; i <= THREADS; i++)
		dice[i].state = seed * 7919 + (uint64_t)i * 104729 + 1;
	for (int i = 1; i < THREADS; i++)
		CHECK(!pthread_create(&t, NULL, make_calls, &dice[i]));
	CHECK(!pthread_create(&t, NULL, change_arena, &dice[THREADS]));
	make_calls(&dice[0]);
	_exit(0);
}

/* ---- the boss -----------------------------------------------------------------------
 */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t start_worker(uint64_t seed)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		work(seed);
	return pid;
}

/* After all that, everything is free and works. */
static void check_that_it_works(void)
{
	uint64_t *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const char *const nodes[] = {CDEV0, "/dev/vfio/devices/vfio1"};

	CHECK(mem != MAP_FAILED);
	for (int i = 0; i < 2; i++) {
		struct device d;

		device_open(&d, nodes[i]);
		CHECK(!ioctl(d.fd, VFIO_DEVICE_RESET));
		device_master(&d);
		CHECK(!map(d.iommu, d.ioas, mem, PAGE, FAR_IOVA));
		CHECK(!device_fill(&d, FAR_IOVA, 1234 + i, PAGE));
		CHECK(mem[511] == 1234 + (uint64_t)i);
		device_close(&d);
	}
}

void *volatile bad_address = (void *)8;

int main(void)
{
	const char *s = getenv("GARBAGE_SEED"), *how_long = getenv("GARBAGE_SECONDS");
	uint64_t seed =
		s ? strtoull(s, NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid();
	double end = seconds() + (how_long ? atof(how_long) : 5);
	struct dice d = {seed * 2 + 1};
	pid_t worker[WORKERS];
	unsigned started = WORKERS;

	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (int i = 0; i < WORKERS; i++)
		worker[i] = start_worker(roll(&d));
	while (seconds() < end) {
		unsigned i = below(&d, WORKERS);

		usleep(1000 + below(&d, 300000));
		kill(worker[i], SIGKILL);
		CHECK(waitpid(worker[i], NULL, 0) == worker[i]);
		worker[i] = start_worker(roll(&d));
		started++;
	}
	for (int i = 0; i < WORKERS; i++) {
		kill(worker[i], SIGKILL);
		CHECK(waitpid(worker[i], NULL, 0) == worker[i]);
	}
	check_that_it_works();
	printf("%u workers\n", started);
	return 0;
}
