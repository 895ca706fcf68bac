/* SPDX-License-Identifier: MIT */
/*
 * Registers of the copy engine behind a mapping, faulting or watched. What has effects:
 * INT_ENABLE keeps three bits, INT_VECTOR two, SCRATCH all 64; writes of less than four
 * bytes do nothing.
 */
#include "client.h"
#include "scenarios.h"

#include <pthread.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "examples/ce_driver.h"

#define RING_IOVA 0x40000000ull
#define DATA_IOVA 0x50000000ull
#define THREADS   4

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

static volatile uint32_t *reg32(struct registers *r, unsigned offset)
{
	return (volatile uint32_t *)(r->at + offset);
}

static volatile uint64_t *scratch(struct registers *r)
{
	return (volatile uint64_t *)(r->at + CE_REG_SCRATCH);
}

void scenario_mmio(void)
{
	struct registers r;
	uint64_t value;

	registers_open(&r);
	CHECK(*reg32(&r, CE_REG_ID) == CE_ID);
	*scratch(&r) = 0x1122334455667788;
	CHECK(*scratch(&r) == 0x1122334455667788);
	CHECK(*reg32(&r, CE_REG_SCRATCH + 4) == 0x11223344);
	CHECK(*(volatile uint16_t *)(r.at + CE_REG_SCRATCH + 2) == 0x5566);
	CHECK(r.at[CE_REG_SCRATCH + 7] == 0x11);
	CHECK(pread(r.dev.fd, &value, 8, (off_t)(r.offset + CE_REG_SCRATCH)) == 8);
	CHECK(value == 0x1122334455667788);
	registers_close(&r);
}

/* ---- instructions ----------------------------------------------------------------- */

#ifdef __x86_64__

/* What the instruction answers for a register that holds @before. */
#define ON_SCRATCH(r, text, before, in, out)                                             \
	do {                                                                             \
		*scratch(r) = (before);                                                  \
		__asm__ volatile(text                                                    \
				 : "+a"(out)                                             \
				 : "b"(scratch(r)), "c"(in), "d"((uint64_t)0)            \
				 : "memory", "cc");                                      \
	} while (0)

static void check_words(struct registers *r)
{
	uint64_t out = 0;
	bool carry;

	ON_SCRATCH(r, "movsbl (%%rbx), %%eax", 0x80, 0, out);
	CHECK(out == 0xffffff80);
	ON_SCRATCH(r, "movzwl 2(%%rbx), %%eax", 0xfedc0000, 0, out);
	CHECK(out == 0xfedc);
	ON_SCRATCH(r, "movslq 4(%%rbx), %%rax", 0x8000000000000000, 0, out);
	CHECK(out == 0xffffffff80000000);
	ON_SCRATCH(r, "movl $0x55, (%%rbx)", 0, 0, out);
	CHECK(*scratch(r) == 0x55);
	ON_SCRATCH(r, "movb $0x66, (%%rbx)", 0x77, 0, out);
	CHECK(*scratch(r) == 0x77); /* the engine ignores bytes */
	ON_SCRATCH(r, "movnti %%rcx, (%%rbx)", 0, 5ull << 40, out);
	CHECK(*scratch(r) == 5ull << 40);
	ON_SCRATCH(r, "orl %%ecx, (%%rbx)", 0xf0, 0x0f, out);
	CHECK(*scratch(r) == 0xff);
	ON_SCRATCH(r, "andq $-2, (%%rbx)", 0xff, 0, out);
	CHECK(*scratch(r) == 0xfe);
	ON_SCRATCH(r, "lock addq %%rcx, (%%rbx)", 0xffffffff, 1, out);
	CHECK(*scratch(r) == 1ull << 32);
	out = 7;
	ON_SCRATCH(r, "xchgq %%rax, (%%rbx)", 9, 0, out);
	CHECK(out == 9 && *scratch(r) == 7);
	out = 7;
	ON_SCRATCH(r, "lock cmpxchgq %%rcx, (%%rbx)", 7, 8, out);
	CHECK(*scratch(r) == 8);
	ON_SCRATCH(r, "testl $0x10, (%%rbx); setnz %%al", 0x10, 0, out);
	CHECK((out & 0xff) == 1);
	ON_SCRATCH(r, "cmpl %%ecx, (%%rbx); setb %%al", 4, 5, out);
	CHECK((out & 0xff) == 1);
	*scratch(r) = 1ull << 33;
	__asm__ volatile("btq $33, (%1)" : "=@ccc"(carry) : "r"(scratch(r)) : "memory");
	CHECK(carry);
	/* A register that does not read as written: the read and the write are its own.
	 */
	*reg32(r, CE_REG_INT_ENABLE) = 0;
	__asm__ volatile("orl $-1, (%0)" : : "r"(reg32(r, CE_REG_INT_ENABLE)) : "memory");
	CHECK(*reg32(r, CE_REG_INT_ENABLE) == 7);
}

static void check_strings(struct registers *r)
{
	uint32_t words[4] = {1, 2, 3, 4}, *to = words;
	const volatile void *from = r->at;
	uint64_t n = 2;

	/* ID and VERSION, into memory; then memory into both halves of SCRATCH. */
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	CHECK(words[0] == CE_ID && words[1] == CE_VERSION && words[2] == 3 && !n);
	CHECK(from == r->at + 8);
	from = words;
	to = (uint32_t *)(uintptr_t)scratch(r);
	n = 2;
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	CHECK(*scratch(r) == ((uint64_t)CE_VERSION << 32 | CE_ID));
	to = (uint32_t *)(uintptr_t)scratch(r);
	n = 2;
	__asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(0x5a) : "memory");
	CHECK(*scratch(r) == 0x5a0000005a);
	/* More than is done in one go. */
	to = (uint32_t *)(uintptr_t)(r->at + 0x1000);
	n = 0x2000;
	__asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(0) : "memory");
	CHECK(!n && (unsigned char *)to == r->at + 0x9000);
}

static void check_vectors(struct registers *r)
{
	uint64_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8] = {0};

	__asm__ volatile("movups (%1), %%xmm7; movups %%xmm7, (%0)"
			 :
			 : "r"(out), "r"(r->at)
			 : "memory", "xmm7");
	CHECK(out[0] == ((uint64_t)CE_VERSION << 32 | CE_ID));
	__asm__ volatile("movq (%1), %%xmm7; movq %%xmm7, (%0)"
			 :
			 : "r"(scratch(r)), "r"(in + 3)
			 : "memory", "xmm7");
	CHECK(*scratch(r) == 4);
	if (!__builtin_cpu_supports("avx"))
		return;
	/* 0x50 to 0x6f: SCRATCH is the third quadword. */
	__asm__ volatile(
		"vmovdqu (%1), %%ymm7; vmovdqu %%ymm7, (%0); vmovdqu (%0), %%ymm8;"
		"vmovdqu %%ymm8, (%2); vzeroupper"
		:
		: "r"(r->at + 0x50), "r"(in), "r"(out)
		: "memory", "xmm7", "xmm8");
	CHECK(*scratch(r) == 3 && out[2] == 3 && out[3] == 0);
	if (!__builtin_cpu_supports("avx512f"))
		return;
	__asm__ volatile("vmovdqu64 (%1), %%zmm7; vmovdqu64 %%zmm7, (%0); vzeroupper"
			 :
			 : "r"(r->at + 0x60 - 0x20), "r"(in)
			 : "memory", "xmm7");
	CHECK(*scratch(r) == 5);
}

/* By its bytes: neither the assembler nor this CPU has to know it. */
static void check_movdir64b(struct registers *r)
{
	uint64_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	*scratch(r) = 0;
	__asm__ volatile(".byte 0x66, 0x0f, 0x38, 0xf8, 0x02" /* (%rdx), %rax */
			 :
			 : "a"(r->at + 0x40), "d"(in)
			 : "memory");
	CHECK(*scratch(r) == 5);
	CHECK(*reg32(r, CE_REG_INT_VECTOR) == 1);
}

#endif

void scenario_mmio_forms(void)
{
#ifdef __x86_64__
	struct registers r;

	registers_open(&r);
	check_words(&r);
	check_strings(&r);
	check_vectors(&r);
	check_movdir64b(&r);
	registers_close(&r);
#endif
}

/* ---- threads and processes -------------------------------------------------------- */

static void *hammer(void *arg)
{
	struct registers *r = arg;

	for (int i = 0; i < 300; i++) {
		CHECK(*reg32(r, CE_REG_ID) == CE_ID);
		*reg32(r, CE_REG_SCRATCH) = (uint32_t)i;
		CHECK(*reg32(r, CE_REG_SCRATCH) < 300);
	}
	return NULL;
}

void scenario_mmio_threads(void)
{
	pthread_t threads[THREADS];
	struct registers r;

	registers_open(&r);
	*reg32(&r, CE_REG_SCRATCH) = 0;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < THREADS; i++)
			CHECK(!pthread_create(&threads[i], NULL, hammer, &r));
		hammer(&r);
		for (int i = 0; i < THREADS; i++)
			CHECK(!pthread_join(threads[i], NULL));
	}
	registers_close(&r);
}

static void store_in_child(void *arg)
{
	struct registers *r = arg;
	pthread_t thread;

	*scratch(r) = 0xc0ffee;
	CHECK(!pthread_create(&thread, NULL, hammer, r));
	CHECK(!pthread_join(thread, NULL));
	*scratch(r) = 0xc0ffee;
}

void scenario_mmio_fork(void)
{
	struct registers r;
	pid_t pid;

	registers_open(&r);
	CHECK(in_child(store_in_child, &r) == 0);
	CHECK(*scratch(&r) == 0xc0ffee);
	pid = vfork();
	if (!pid) {
		*scratch(&r) = 0xfee;
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
	CHECK(*scratch(&r) == 0xfee);
	registers_close(&r);
}

/* Who knows from a pidfd that a child has ended need not wait for it. */
void scenario_mmio_children(void)
{
	struct registers r;

	registers_open(&r);
	for (unsigned i = 0; i < 200; i++) {
		struct pollfd end = {.events = POLLIN};
		int status = -1;
		pid_t pid = fork();

		if (!pid) {
			*scratch(&r) = i;
			_exit(3);
		}
		CHECK(pid > 0);
		end.fd = (int)syscall(SYS_pidfd_open, pid, 0);
		CHECK(end.fd >= 0 && poll(&end, 1, -1) == 1);
		CHECK(waitpid(pid, &status, WNOHANG) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
		CHECK(*scratch(&r) == i);
		close(end.fd);
	}
	registers_close(&r);
}

static void *exec_again(void *arg)
{
	execl("/proc/self/exe", "client", "mmio-exec-2", arg, NULL);
	CHECK(!"exec");
	return NULL;
}

/* By a thread that is not the first; the device is kept, its mapping is not. */
void scenario_mmio_exec(void)
{
	char fd[16];
	struct registers r;
	pthread_t thread;

	registers_open(&r);
	*scratch(&r) = 0xabc;
	snprintf(fd, sizeof(fd), "%d", dup(r.dev.fd));
	CHECK(dup(r.dev.iommu) >= 0);
	CHECK(!pthread_create(&thread, NULL, exec_again, fd));
	pthread_join(thread, NULL);
	CHECK(!"exec");
}

void scenario_mmio_exec_2(int argc, char **argv)
{
	struct registers r = {.dev.fd = atoi(argv[0])};
	uint32_t flags;

	CHECK(argc == 1);
	r.offset = region_offset(r.dev.fd, 0, &r.size, &flags);
	r.at = mmap(NULL, r.size, PROT_READ, MAP_SHARED, r.dev.fd, (off_t)r.offset);
	CHECK(r.at != MAP_FAILED);
	CHECK(*scratch(&r) == 0xabc);
}

/* ---- signals of the program's own ------------------------------------------------- */

static sigjmp_buf caught;
static volatile sig_atomic_t caught_code;
static void *volatile caught_at;
static volatile sig_atomic_t alarms;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	caught_code = info->si_code;
	caught_at = info->si_addr;
	siglongjmp(caught, sig);
}

static void on_alarm(int sig)
{
	alarms++;
}

/* The signal that reading *@p raises; 0: none. */
static int signal_of(volatile uint32_t *p)
{
	int sig = sigsetjmp(caught, 1);

	if (!sig)
		(void)*p;
	return sig;
}

static void catch_faults(void)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	CHECK(!sigaction(SIGBUS, &sa, NULL) && !sigaction(SIGSEGV, &sa, NULL) &&
	      !sigaction(SIGILL, &sa, NULL));
}

/* Files that are too short, bad addresses and bad instructions are the program's. */
void scenario_mmio_signals(void)
{
	const struct timeval often = {0, 500};
	const struct itimerval timer = {often, often};
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	int fd = memfd_create("short", 0), sig;
	struct registers r;
	volatile uint32_t *p;

	registers_open(&r);
	catch_faults();
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	CHECK(signal_of(p) == SIGBUS && caught_code == BUS_ADRERR && caught_at == p);
	CHECK(signal_of(bad_address) == SIGSEGV && caught_at == bad_address);
	CHECK(signal_of(reg32(&r, CE_REG_ID)) == 0);
	/* Where the registers were is now something else, and gone in its turn. */
	CHECK(mmap((void *)(uintptr_t)r.at, r.size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, fd, 0) == r.at);
	CHECK(signal_of(reg32(&r, CE_REG_ID)) == SIGBUS);
	CHECK(!munmap((void *)(uintptr_t)r.at, r.size));
	CHECK(signal_of(reg32(&r, CE_REG_ID)) == SIGSEGV);
	CHECK(mmap((void *)(uintptr_t)r.at, r.size, PROT_READ, MAP_SHARED | MAP_FIXED,
		   r.dev.fd, (off_t)r.offset) == r.at);
	CHECK(signal_of(reg32(&r, CE_REG_ID)) == 0);
	sig = sigsetjmp(caught, 1);
	if (!sig)
		*scratch(&r) = 1; /* mapped for reading only */
	CHECK(sig == SIGSEGV);
	sig = sigsetjmp(caught, 1);
	if (!sig)
		__asm__ volatile("ud2");
	CHECK(sig == SIGILL);

	/* Others in the middle of it all. */
	CHECK(!sigaction(SIGALRM, &sa, NULL) && !setitimer(ITIMER_REAL, &timer, NULL));
	for (int i = 0; i < 1000 || alarms < 5; i++)
		CHECK(*reg32(&r, CE_REG_ID) == CE_ID);
	CHECK(!setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL));
	registers_close(&r);
}

static void set_memory(struct device *d, bool on)
{
	uint16_t command = on ? 0x6 : 0x4;
	uint64_t size;
	uint32_t flags;
	uint64_t config =
		region_offset(d->fd, VFIO_PCI_CONFIG_REGION_INDEX, &size, &flags);

	CHECK(pwrite(d->fd, &command, 2, (off_t)(config + 4)) == 2);
}

/* With memory decoding off an access is an error, as Linux has it. */
void scenario_mmio_memory_off(void)
{
	struct registers r;

	registers_open(&r);
	catch_faults();
	*scratch(&r) = 0x77;
	set_memory(&r.dev, false);
	CHECK(signal_of(reg32(&r, CE_REG_ID)) == SIGBUS);
	CHECK(caught_code == BUS_ADRERR && caught_at == r.at);
	set_memory(&r.dev, true);
	CHECK(signal_of(reg32(&r, CE_REG_ID)) == 0);
	CHECK(*scratch(&r) == 0x77);
	registers_close(&r);
}

/* The kernel does not read registers for us, and no IOAS takes them by their address. */
void scenario_mmio_kernel(void)
{
	struct registers r;
	int pipes[2];

	registers_open(&r);
	CHECK(!pipe(pipes));
	CHECK_ERRNO(write(pipes[1], (void *)(uintptr_t)r.at, 4), EFAULT);
	CHECK_ERRNO(map(r.dev.iommu, r.dev.ioas, (void *)(uintptr_t)r.at, PAGE, FAR_IOVA),
		    EFAULT);
	/* It is no debugger's client. */
	CHECK_ERRNO(ptrace(PTRACE_TRACEME, 0, NULL, NULL), EPERM);
	registers_close(&r);
}

/* ---- the engine, driven by nothing but its registers ------------------------------- */

static int bus_read(void *arg, uint64_t offset, void *value, size_t n)
{
	struct registers *r = arg;

	if (n == 8)
		*(uint64_t *)value = *(volatile uint64_t *)(r->at + offset);
	else
		*(uint32_t *)value = *reg32(r, (unsigned)offset);
	return 0;
}

static int bus_write(void *arg, uint64_t offset, const void *value, size_t n)
{
	struct registers *r = arg;

	if (n == 8)
		*(volatile uint64_t *)(r->at + offset) = *(const uint64_t *)value;
	else
		*reg32(r, (unsigned)offset) = *(const uint32_t *)value;
	return 0;
}

void scenario_mmio_engine(void)
{
	size_t n = 16 * PAGE;
	struct registers r;
	struct ce_bus bus = {bus_read, bus_write, &r};
	unsigned char *ring, *data;
	struct ce ce;

	registers_open(&r);
	ring = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(ring != MAP_FAILED);
	data = ring + PAGE;
	CHECK(!map(r.dev.iommu, r.dev.ioas, ring, PAGE, RING_IOVA));
	CHECK(!map(r.dev.iommu, r.dev.ioas, data, n - PAGE, DATA_IOVA));
	for (int round = 0; round < 3; round++) {
		CHECK(!ce_start(&ce, &bus, ring, RING_IOVA, 16));
		for (unsigned i = 1; i < 60; i++) {
			CHECK(!ce_fill(&ce, DATA_IOVA, i * 0x0101010101010101ull, PAGE,
				       0));
			CHECK(!ce_copy(&ce, DATA_IOVA + PAGE, DATA_IOVA, PAGE, 0));
			CHECK(data[PAGE] == i && data[2 * PAGE - 1] == i);
		}
		/* An error, told by registers; and on. */
		CHECK(ce_fill(&ce, FAR_IOVA, 0, 8, 0) == -EIO);
		CHECK(CE_ERROR_CODE(ce.error.error) == CE_CODE_UNMAPPED);
		CHECK(ce.error.addr == FAR_IOVA);
		CHECK(!ce_skip(&ce) && !ce_wait(&ce));
		CHECK(!ce_fill(&ce, DATA_IOVA, 0, 64, 0) && !data[0]);
		CHECK(!ce_stop(&ce));
	}
	munmap(ring, n);
	registers_close(&r);
}

/* ---- a container, to which they are a BAR as any other ------------------------------
 */

struct calls {
	int fd;
	uint64_t bar;
};

static int call_read(void *arg, uint64_t offset, void *value, size_t n)
{
	struct calls *c = arg;

	return pread(c->fd, value, n, (off_t)(c->bar + offset)) == (ssize_t)n ? 0 : -EIO;
}

static int call_write(void *arg, uint64_t offset, const void *value, size_t n)
{
	struct calls *c = arg;

	return pwrite(c->fd, value, n, (off_t)(c->bar + offset)) == (ssize_t)n ? 0 : -EIO;
}

static int device_in(int container, const char *group, const char *bdf)
{
	int fd = open(group, O_RDWR | O_CLOEXEC), device;

	CHECK(fd >= 0);
	CHECK(!ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container));
	/* With the first group. */
	(void)ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	device = ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, bdf);
	CHECK(device >= 0);
	return device;
}

static int map_dma(int container, const volatile void *va, uint64_t n, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = n,
	};

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &m);
}

/* The engine of the second device writes a register of the first. */
void scenario_mmio_container(void)
{
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	struct registers r = {
		.dev.fd = device_in(container, "/dev/vfio/1", "0000:01:00.0")};
	struct device peer = {.fd = device_in(container, "/dev/vfio/2", "0000:02:00.0")};
	struct calls c = {peer.fd, region_offset(peer.fd, 0, NULL, NULL)};
	struct ce_bus bus = {call_read, call_write, &c};
	struct ce ce;
	void *ring;

	device_master(&peer);
	r.offset = region_offset(r.dev.fd, 0, &r.size, NULL);
	r.at = mmap(NULL, r.size, PROT_READ | PROT_WRITE, MAP_SHARED, r.dev.fd,
		    (off_t)r.offset);
	ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	CHECK(r.at != MAP_FAILED && ring != MAP_FAILED);
	CHECK(!map_dma(container, ring, PAGE, RING_IOVA));
	CHECK(!map_dma(container, r.at, PAGE, FAR_IOVA));
	CHECK(!ce_start(&ce, &bus, ring, RING_IOVA, 16));
	CHECK(!ce_fill(&ce, FAR_IOVA + CE_REG_SCRATCH, 0x1020304050607080, 8, 0));
	CHECK(*scratch(&r) == 0x1020304050607080);
	/* Taken away by a reset. */
	CHECK(!ioctl(r.dev.fd, VFIO_DEVICE_RESET));
	CHECK(ce_fill(&ce, FAR_IOVA + CE_REG_SCRATCH, 5, 8, 0) == -EIO);
	CHECK(CE_ERROR_CODE(ce.error.error) == CE_CODE_UNMAPPED);
	CHECK(*scratch(&r) == 0);
}
