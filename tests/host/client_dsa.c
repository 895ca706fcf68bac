/* SPDX-License-Identifier: MIT */
/*
 * A shared work queue of the DSA, as a driver in user space has it: registers and portals
 * behind mappings, descriptors by enqcmd and enqcmds, whatever the CPU thinks of these.
 * Its IOMMU has PASIDs, and page requests: one that nobody has answered yet keeps the
 * engine busy.
 */
#include "client.h"
#include "scenarios.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#define AREA   (16 * PAGE)
#define IOVA   0x40000000ull
#define LATER  0x50000000ull /* mapped when it is asked for */
#define SEVEN  7u
#define RECORD PAGE /* where records begin in an area */

enum {
	ENABLE_DEVICE = 1,
	DISABLE_DEVICE = 2,
	ENABLE_WQ = 6,
};

enum {
	QUEUE_SIZE = 16,
	THRESHOLD = 4,
	UNLIMITED = 0,
	LIMITED = 4096,
};

enum {
	BLOCK = 1 << 1,
	WITH_RECORD = 1 << 2 | 1 << 3,
	FILL = 4 << 24,
};

struct desc {
	uint32_t pasid, flags;
	uint64_t record, pattern, dst;
	uint32_t size, vector;
	uint64_t more[3];
};

struct dsa {
	int fd, iommu, faults;
	uint32_t devid, ioas, hwpt;
	volatile unsigned char *regs, *portals;
	unsigned char *own, *its; /* what the function sees at IOVA, and PASID 7 */
	unsigned next;            /* record */
};

/* ---- the device ------------------------------------------------------------------- */

static uint32_t alloc_hwpt(struct dsa *d, uint32_t ioas, uint32_t queue)
{
	struct iommu_hwpt_alloc a = {
		.size = sizeof(a),
		.flags = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = d->devid,
		.pt_id = ioas,
		.fault_id = queue,
	};

	CHECK(!ioctl(d->iommu, IOMMU_HWPT_ALLOC, &a));
	return a.out_hwpt_id;
}

static void attach(struct dsa *d, uint32_t hwpt, uint32_t pasid)
{
	struct vfio_device_attach_iommufd_pt at = {
		.argsz = sizeof(at),
		.flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0,
		.pt_id = hwpt,
		.pasid = pasid,
	};

	CHECK(!ioctl(d->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
}

static unsigned char *area(struct dsa *d, uint32_t ioas)
{
	unsigned char *p = mmap(NULL, AREA, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED && !map(d->iommu, ioas, p, AREA, IOVA));
	return p;
}

static volatile unsigned char *map_bar(struct dsa *d, unsigned index)
{
	uint64_t size, offset;
	uint32_t flags;
	void *p;

	offset = region_offset(d->fd, index, &size, &flags);
	CHECK(flags & VFIO_REGION_INFO_FLAG_MMAP);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, (off_t)offset);
	CHECK(p != MAP_FAILED);
	return p;
}

static void dsa_open(struct dsa *d)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct iommu_fault_alloc queue = {.size = sizeof(queue)};
	struct device common;
	uint32_t other;

	*d = (struct dsa){.iommu = open_iommu(), .fd = open(CDEV0, O_RDWR | O_CLOEXEC)};
	CHECK(d->fd >= 0);
	bind.iommufd = d->iommu;
	CHECK(!ioctl(d->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	d->devid = bind.out_devid;
	CHECK(!ioctl(d->iommu, IOMMU_FAULT_QUEUE_ALLOC, &queue));
	d->faults = (int)queue.out_fault_fd;
	d->ioas = alloc_ioas(d->iommu);
	other = alloc_ioas(d->iommu);
	attach(d, alloc_hwpt(d, d->ioas, queue.out_fault_id), 0);
	attach(d, alloc_hwpt(d, other, queue.out_fault_id), SEVEN);
	d->own = area(d, d->ioas);
	d->its = area(d, other);
	d->regs = map_bar(d, 0);
	d->portals = map_bar(d, 2);
	common = (struct device){.fd = d->fd, .iommu = d->iommu};
	device_master(&common);
}

static uint32_t command(struct dsa *d, unsigned code, uint32_t operand)
{
	volatile uint32_t *status = (volatile uint32_t *)(d->regs + 0xa8);
	uint32_t value;

	*(volatile uint32_t *)(d->regs + 0xa0) = code << 20 | operand;
	while ((value = *status) >> 31)
		;
	return value;
}

/* Queue 0, of 16, and engine 0 in group 0. */
static void configure(struct dsa *d)
{
	uint64_t tables = *(volatile uint64_t *)(d->regs + 0x60);
	volatile uint64_t *group =
		(volatile uint64_t *)(d->regs + (tables & 0xffff) * 0x100);
	volatile uint32_t *wq =
		(volatile uint32_t *)(d->regs + (tables >> 16 & 0xffff) * 0x100);

	wq[0] = QUEUE_SIZE;
	wq[1] = THRESHOLD;
	wq[2] = 1 << 1 | 1 << 4 | 1 << 28; /* shared; block on fault, priority, PASID */
	wq[3] = 16 | 1 << 5;
	group[0] = 1;
	group[4] = 1;
	CHECK(command(d, ENABLE_DEVICE, 0) == 0);
	CHECK(command(d, ENABLE_WQ, 0) == 0);
}

/* ---- submission ------------------------------------------------------------------- */

#ifdef __x86_64__

/* By their bytes: the assembler need not know them. False: to be tried again. */
static bool enqcmd(struct dsa *d, unsigned page, const struct desc *desc)
{
	bool retry;

	__asm__ volatile(".byte 0xf2, 0x0f, 0x38, 0xf8, 0x02" /* (%rdx), %rax */
			 : "=@ccz"(retry)
			 : "a"(d->portals + page), "d"(desc)
			 : "memory");
	return !retry;
}

static bool enqcmds(struct dsa *d, unsigned page, const struct desc *desc)
{
	bool retry;

	__asm__ volatile(".byte 0xf3, 0x0f, 0x38, 0xf8, 0x02"
			 : "=@ccz"(retry)
			 : "a"(d->portals + page), "d"(desc)
			 : "memory");
	return !retry;
}

static void movdir64b(struct dsa *d, unsigned page, const struct desc *desc)
{
	__asm__ volatile(".byte 0x66, 0x0f, 0x38, 0xf8, 0x02"
			 :
			 : "a"(d->portals + page), "d"(desc)
			 : "memory");
}

static sigjmp_buf caught;

static void on_fault(int sig)
{
	siglongjmp(caught, sig);
}

/* The signal that it raises; 0: none. */
static int signal_of(bool (*submit)(struct dsa *d, unsigned page,
				    const struct desc *desc),
		     struct dsa *d, unsigned page, const struct desc *desc)
{
	int sig = sigsetjmp(caught, 1);

	if (!sig)
		submit(d, page, desc);
	return sig;
}

/* Fill 8 bytes at @dst, with a record of its own. */
static struct desc fill(struct dsa *d, uint64_t dst, uint8_t byte)
{
	return (struct desc){
		.flags = FILL | WITH_RECORD,
		.record = IOVA + RECORD + d->next++ * 32,
		.pattern = byte * 0x0101010101010101ull,
		.dst = dst,
		.size = 8,
	};
}

static unsigned await(const unsigned char *where, const struct desc *desc)
{
	const unsigned char *record = where + (desc->record - IOVA);
	uint8_t status;

	while (!(status = __atomic_load_n(record, __ATOMIC_ACQUIRE)))
		;
	return status;
}

/* ---- what it is about ------------------------------------------------------------- */

#define PASID_TABLE "/sys/kernel/debug/iommu/intel/" BDF0 "/7/domain_translation_struct"

/* A PASID that is attached has a page table to look at. */
static void check_folder(struct dsa *d)
{
	struct vfio_device_detach_iommufd_pt off = {
		.argsz = sizeof(off), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = SEVEN};
	char text[1024];
	int fd = open(PASID_TABLE, O_RDONLY);
	ssize_t n;

	CHECK(fd >= 0 && (n = read(fd, text, sizeof(text) - 1)) > 0);
	text[n] = '\0';
	CHECK(strstr(text, "Device " BDF0 " with pasid 7 @0x"));
	CHECK(strstr(text, "0x0000000000"));
	close(fd);
	CHECK(!ioctl(d->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &off));
	CHECK(access(PASID_TABLE, F_OK) && errno == ENOENT);
}

/* For whom: enqcmd for the function's own address space, enqcmds for a PASID's. */
static void check_pasids(struct dsa *d)
{
	struct desc own = fill(d, IOVA, 0x11), its = fill(d, IOVA, 0x77);

	CHECK(enqcmd(d, LIMITED, &own));
	CHECK(await(d->own, &own) == 1);
	CHECK(d->own[7] == 0x11 && !d->its[7]);
	its.pasid = SEVEN;
	CHECK(enqcmds(d, LIMITED + 64 * 9, &its));
	CHECK(await(d->its, &its) == 1);
	CHECK(d->own[7] == 0x11 && d->its[7] == 0x77);
}

/* What is not the program's, or not aligned, and what the queue does not take. */
static void check_refused(struct dsa *d)
{
	struct sigaction sa = {.sa_handler = on_fault}, before;
	struct desc desc = fill(d, IOVA + 64, 0x22);

	CHECK(!sigaction(SIGSEGV, &sa, &before));
	CHECK(signal_of(enqcmd, d, LIMITED + 8, &desc) == SIGSEGV);
	desc.pasid = SEVEN;
	CHECK(signal_of(enqcmd, d, LIMITED, &desc) == SIGSEGV);
	desc.pasid |= 1 << 20;
	CHECK(signal_of(enqcmds, d, LIMITED, &desc) == SIGSEGV);
	CHECK(!sigaction(SIGSEGV, &before, NULL));
	desc.pasid = 0;
	movdir64b(d, LIMITED, &desc);
	CHECK(!enqcmd(d, 2 * 4096, &desc));     /* IMS */
	CHECK(!enqcmd(d, 4 * 4096 + 0, &desc)); /* another queue */
	CHECK(!d->own[64] && !d->its[64]);
}

/* Have the engine ask for LATER. Answers what to answer. */
static uint32_t begin_waiting(struct dsa *d, struct desc *desc)
{
	struct pollfd faults = {.fd = d->faults, .events = POLLIN};
	struct iommu_hwpt_pgfault fault;

	desc->flags |= BLOCK;
	CHECK(enqcmd(d, LIMITED, desc));
	CHECK(poll(&faults, 1, -1) == 1);
	CHECK(read(d->faults, &fault, sizeof(fault)) == sizeof(fault));
	CHECK(fault.addr == LATER && fault.perm == IOMMU_PGFAULT_PERM_WRITE);
	return fault.cookie;
}

static void answer(struct dsa *d, uint32_t cookie)
{
	const struct iommu_hwpt_page_response r = {.cookie = cookie,
						   .code = IOMMUFD_PAGE_RESP_SUCCESS};

	CHECK(write(d->faults, &r, sizeof(r)) == sizeof(r));
}

/* An engine that waits for a page; the queue fills up behind it. */
static void check_retry(struct dsa *d)
{
	unsigned char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct desc first = fill(d, LATER + 8, 0x33), last;
	uint32_t cookie = begin_waiting(d, &first);
	unsigned n = 0;

	CHECK(page != MAP_FAILED);
	do
		last = fill(d, IOVA + 64 + 8 * n, 0x44);
	while (enqcmd(d, LIMITED, &last) && ++n);
	CHECK(n == THRESHOLD);
	while (enqcmd(d, UNLIMITED, &last)) {
		n++;
		last = fill(d, IOVA + 64 + 8 * n, 0x44);
	}
	CHECK(n == QUEUE_SIZE);
	CHECK(!d->own[64]);
	CHECK(!map(d->iommu, d->ioas, page, PAGE, LATER));
	answer(d, cookie);
	CHECK(await(d->own, &first) == 1 && page[8] == 0x33);
	while (!enqcmd(d, LIMITED, &last))
		;
	CHECK(await(d->own, &last) == 1);
	for (unsigned i = 0; i <= n; i++)
		CHECK(d->own[64 + 8 * i] == 0x44);
	CHECK(!unmap(d->iommu, d->ioas, LATER, PAGE));
}

/* A reset does not wait for the page, nor for anybody. */
static void check_reset(struct dsa *d)
{
	struct device common = {.fd = d->fd};
	struct desc desc = fill(d, LATER, 0x55);
	uint32_t cookie = begin_waiting(d, &desc);

	CHECK(enqcmd(d, LIMITED, &desc));
	CHECK(!ioctl(d->fd, VFIO_DEVICE_RESET));
	CHECK(!enqcmd(d, UNLIMITED, &desc));
	answer(d, cookie); /* too late */
	device_master(&common);
	configure(d);
	CHECK(*(volatile uint64_t *)(d->regs + 0xc0) == 0);
	desc = fill(d, IOVA, 0x66);
	CHECK(enqcmd(d, LIMITED, &desc) && await(d->own, &desc) == 1);
	CHECK(d->own[0] == 0x66);
}

#endif

void scenario_dsa(void)
{
#ifdef __x86_64__
	struct dsa d;

	dsa_open(&d);
	configure(&d);
	check_pasids(&d);
	check_refused(&d);
	check_retry(&d);
	check_reset(&d);
	CHECK(*(volatile uint64_t *)(d.regs + 0xc0) == 0); /* no error of software's */
	CHECK(command(&d, DISABLE_DEVICE, 0) == 0);
	check_folder(&d);
	close(d.fd);
	close(d.iommu);
#endif
}
