/* SPDX-License-Identifier: MIT */
/* The steps to a device, and what a device does: DMA, BARs, dma-bufs (client.h). */
#include "client.h"
#include "scenarios.h"

#include <linux/capability.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "examples/ce_driver.h"

int open_iommu(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

uint32_t alloc_ioas(int iommu)
{
	struct iommu_ioas_alloc a = {.size = sizeof(a)};

	CHECK(!ioctl(iommu, IOMMU_IOAS_ALLOC, &a));
	return a.out_ioas_id;
}

int destroy(int iommu, uint32_t id)
{
	struct iommu_destroy d = {.size = sizeof(d), .id = id};

	return ioctl(iommu, IOMMU_DESTROY, &d);
}

int map(int iommu, uint32_t ioas, void *va, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	return ioctl(iommu, IOMMU_IOAS_MAP, &m);
}

int unmap(int iommu, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap u = {
		.size = sizeof(u), .ioas_id = ioas, .iova = iova, .length = length};

	return ioctl(iommu, IOMMU_IOAS_UNMAP, &u);
}

int bind_device(int fd, int iommu)
{
	struct vfio_device_bind_iommufd b = {.argsz = sizeof(b), .iommufd = iommu};

	return ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &b);
}

uint64_t region_offset(int fd, unsigned index, uint64_t *size, uint32_t *flags)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	CHECK(!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info));
	if (size)
		*size = info.size;
	if (flags)
		*flags = info.flags;
	return info.offset;
}

void device_master(struct device *d)
{
	uint64_t config = region_offset(d->fd, VFIO_PCI_CONFIG_REGION_INDEX, NULL, NULL);
	uint16_t command = 0x6; /* memory, bus master */

	CHECK(pwrite(d->fd, &command, 2, (off_t)config + 4) == 2);
}

bool device_try_open(struct device *d, const char *path)
{
	struct vfio_device_attach_iommufd_pt at = {.argsz = sizeof(at)};

	d->iommu = open_iommu();
	d->ioas = alloc_ioas(d->iommu);
	d->fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(d->fd >= 0);
	if (bind_device(d->fd, d->iommu)) {
		device_close(d);
		return false;
	}
	at.pt_id = d->ioas;
	CHECK(!ioctl(d->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	device_master(d);
	return true;
}

void device_open(struct device *d, const char *path)
{
	CHECK(device_try_open(d, path));
}

void device_close(struct device *d)
{
	close(d->fd);
	close(d->iommu);
}

int in_child(void (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid) {
		fn(arg);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- the copy engine ------------------------------------------------------------ */

#define RING_IOVA 0x7f0000000ull

static int bar_read(void *arg, uint64_t offset, void *value, size_t n)
{
	struct device *d = arg;
	uint64_t bar = region_offset(d->fd, VFIO_PCI_BAR0_REGION_INDEX, NULL, NULL);

	return pread(d->fd, value, n, (off_t)(bar + offset)) == (ssize_t)n ? 0 : -EIO;
}

static int bar_write(void *arg, uint64_t offset, const void *value, size_t n)
{
	struct device *d = arg;
	uint64_t bar = region_offset(d->fd, VFIO_PCI_BAR0_REGION_INDEX, NULL, NULL);

	return pwrite(d->fd, value, n, (off_t)(bar + offset)) == (ssize_t)n ? 0 : -EIO;
}

int device_fill(struct device *d, uint64_t iova, uint64_t value, uint64_t n)
{
	struct ce_bus bus = {bar_read, bar_write, d};
	void *ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct ce ce;
	int err;

	CHECK(ring != MAP_FAILED);
	CHECK(!map(d->iommu, d->ioas, ring, PAGE, RING_IOVA));
	CHECK(!ce_start(&ce, &bus, ring, RING_IOVA, 16));
	err = ce_fill(&ce, iova, value, n, 0);
	CHECK(!ce_stop(&ce));
	CHECK(!unmap(d->iommu, d->ioas, RING_IOVA, PAGE));
	munmap(ring, PAGE);
	return err;
}

static void fill_and_check(struct device *d, uint64_t *mem, size_t n)
{
	memset(mem, 0, n);
	CHECK(!map(d->iommu, d->ioas, mem, n, FAR_IOVA));
	CHECK(!device_fill(d, FAR_IOVA, 0x1122334455667788, n));
	for (size_t i = 0; i < n / 8; i++)
		CHECK(mem[i] == 0x1122334455667788);
	CHECK(!unmap(d->iommu, d->ioas, FAR_IOVA, n));
}

void scenario_dma(void)
{
	size_t n = 64 * PAGE;
	struct device d;
	void *mem;
	int fd;

	device_open(&d, CDEV0);
	mem = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mem != MAP_FAILED);
	fill_and_check(&d, mem, n);
	munmap(mem, n);

	fd = memfd_create("guest", 0);
	CHECK(fd >= 0 && !ftruncate(fd, (off_t)n));
	mem = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mem != MAP_FAILED);
	fill_and_check(&d, mem, n);

	/* Without a descriptor left, and half of it a private mapping. */
	close(fd);
	CHECK(mmap((char *)mem + n / 2, n / 2, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	fill_and_check(&d, mem, n);
	munmap(mem, n);

	/* Unmapped memory, and memory without the permission. */
	CHECK_ERRNO(map(d.iommu, d.ioas, mem, n, FAR_IOVA), EFAULT);
	mem = mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_ERRNO(map(d.iommu, d.ioas, mem, n, FAR_IOVA), EFAULT);
	device_close(&d);
}

/* The child's memory is its own; the parent's is reached through the child's mapping. */
static void child_dma(void *arg)
{
	uint64_t *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(mem != MAP_FAILED);
	fill_and_check(arg, mem, PAGE);
	/* Left mapped on purpose: its pages go with this process. */
	CHECK(!map(((struct device *)arg)->iommu, ((struct device *)arg)->ioas, mem, PAGE,
		   FAR_IOVA));
}

void scenario_dma_fork(void)
{
	struct device d;

	device_open(&d, CDEV0);
	CHECK(in_child(child_dma, &d) == 0);
	/* The process that mapped it is gone: the device sees an abort, nobody a crash.
	 */
	CHECK(device_fill(&d, FAR_IOVA, 1, 8) == -EIO);
	CHECK(!unmap(d.iommu, d.ioas, FAR_IOVA, PAGE));
	device_close(&d);
}

/*
 * "dma-exec IOMMU DEVICE IOAS": the second half of scenario_dma_exec(), after an exec.
 * What the former image mapped must not lead into this one.
 */
static unsigned char victim[16 * PAGE] __attribute__((aligned(4096)));

void scenario_dma_exec(void)
{
	char iommu[16], fd[16], ioas[16];
	struct device d;

	device_open(&d, CDEV0);
	CHECK(!map(d.iommu, d.ioas, victim, sizeof(victim), FAR_IOVA));
	snprintf(iommu, sizeof(iommu), "%d", dup(d.iommu));
	snprintf(fd, sizeof(fd), "%d", dup(d.fd));
	snprintf(ioas, sizeof(ioas), "%u", d.ioas);
	execl("/proc/self/exe", "client", "dma-exec-2", iommu, fd, ioas, NULL);
	CHECK(!"exec");
}

void scenario_dma_exec_2(int argc, char **argv)
{
	struct device d = {.iommu = atoi(argv[0]),
			   .fd = atoi(argv[1]),
			   .ioas = (uint32_t)atoi(argv[2])};

	CHECK(argc == 3);
	CHECK(device_fill(&d, FAR_IOVA, ~0ull, sizeof(victim)) == -EIO);
	for (size_t i = 0; i < sizeof(victim); i++)
		CHECK(!victim[i]);
	CHECK(!unmap(d.iommu, d.ioas, FAR_IOVA, sizeof(victim)));
	fill_and_check(&d, (uint64_t *)(void *)victim, sizeof(victim));
	device_close(&d);
}

/* ---- regions ---------------------------------------------------------------------- */

void scenario_regions(void)
{
	uint64_t config, size, bar2;
	unsigned char ids[4], again[4], fixed[4];
	uint32_t flags;
	struct device d;
	uint64_t *vram, value = 0xabcdef;
	int ro;

	device_open(&d, CDEV0);
	config = region_offset(d.fd, VFIO_PCI_CONFIG_REGION_INDEX, &size, NULL);
	CHECK(size == 256 || size == 4096);
	CHECK(pread(d.fd, ids, 4, (off_t)config) == 4);
	CHECK(ids[0] == 0x34 && ids[1] == 0x12 && ids[2] == 0x01 && ids[3] == 0xce);

	struct iovec iov[1025] = {{again, 1}, {again + 1, 0}, {again + 1, 3}};

	/* Where it is with vfio-pci: not everybody asks. */
	CHECK(pread(d.fd, fixed, 4, (off_t)7 << 40) == 4 && !memcmp(fixed, ids, 4));
	CHECK(preadv(d.fd, iov, 3, (off_t)config) == 4);
	CHECK(!memcmp(ids, again, 4));
	CHECK(preadv2(d.fd, iov, 3, (off_t)config, 0) == 4);
	CHECK_ERRNO(preadv(d.fd, iov, 1025, (off_t)config), EINVAL);
	CHECK_ERRNO(pread(d.fd, bad_address, 4, (off_t)config), EFAULT);

	bar2 = region_offset(d.fd, VFIO_PCI_BAR2_REGION_INDEX, &size, &flags);
	CHECK(size && (flags & VFIO_REGION_INFO_FLAG_MMAP));
	vram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, d.fd, (off_t)bar2);
	CHECK(vram != MAP_FAILED);
	CHECK(pwrite(d.fd, &value, 8, (off_t)bar2 + 64) == 8);
	CHECK(vram[8] == 0xabcdef);
	vram[9] = 77;
	CHECK(pread(d.fd, &value, 8, (off_t)bar2 + 72) == 8 && value == 77);
	/* A BAR is no memory to map by its address. */
	CHECK_ERRNO(map(d.iommu, d.ioas, vram, PAGE, FAR_IOVA), EFAULT);
	munmap(vram, size);
	/* Past the region's end, and a region that is not to be mapped. */
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, d.fd, (off_t)(bar2 + size)) ==
	      MAP_FAILED);
	CHECK(errno == EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, d.fd, (off_t)config) == MAP_FAILED);
	CHECK(errno == EINVAL);
	/* Access modes hold for what we serve, as for what the kernel would. */
	ro = open(CDEV0, O_RDONLY);
	CHECK(ro >= 0);
	CHECK_ERRNO(pwrite(ro, &value, 8, (off_t)bar2), EBADF);
	close(ro);
	device_close(&d);
}

int device_export(struct device *d, uint64_t length)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_dma_buf buf;
		struct vfio_region_dma_range range;
	} f = {0};

	f.head.argsz = sizeof(f);
	f.head.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	f.buf.region_index = VFIO_PCI_BAR2_REGION_INDEX;
	f.buf.open_flags = O_RDWR | O_CLOEXEC;
	f.buf.nr_ranges = 1;
	f.range.length = length;
	return ioctl(d->fd, VFIO_DEVICE_FEATURE, &f);
}

void scenario_dmabuf(void)
{
	struct iommu_ioas_map_file m = {
		.size = sizeof(m),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.length = PAGE,
		.iova = FAR_IOVA,
	};
	uint64_t bar2, value = 0;
	struct device d;
	int buf;

	device_open(&d, CDEV0);
	bar2 = region_offset(d.fd, VFIO_PCI_BAR2_REGION_INDEX, NULL, NULL);
	buf = device_export(&d, 2 * PAGE);
	CHECK(buf >= 0);
	CHECK(lseek(buf, 0, SEEK_END) == 2 * PAGE);
	CHECK(fcntl(buf, F_GETFD) == FD_CLOEXEC);
	m.ioas_id = d.ioas;
	m.fd = buf;
	m.start = PAGE;
	CHECK(!ioctl(d.iommu, IOMMU_IOAS_MAP_FILE, &m));
	CHECK(!device_fill(&d, FAR_IOVA, 42, 64));
	CHECK(pread(d.fd, &value, 8, (off_t)(bar2 + PAGE)) == 8 && value == 42);
	/* Closed at the client's side, it still is mapped; the reset takes it away. */
	close(buf);
	CHECK(!device_fill(&d, FAR_IOVA, 43, 64));
	CHECK(!ioctl(d.fd, VFIO_DEVICE_RESET));
	device_close(&d);
}

/* A fault queue of no device: its rules are seen where its number is one of queues. */
void scenario_queue(void)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	struct iommu_hwpt_page_response none = {.cookie = 1};
	struct iommu_hwpt_pgfault fault;
	int iommu = open_iommu(), fd, copy;
	struct pollfd p = {.events = POLLIN | POLLOUT};

	CHECK(!ioctl(iommu, IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	fd = p.fd = (int)cmd.out_fault_fd;
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(read(fd, &fault, sizeof(fault)) == 0);
	CHECK_ERRNO(read(fd, &fault, sizeof(fault) - 1), ESPIPE);
	CHECK_ERRNO(write(fd, &none, sizeof(none) - 1), ESPIPE);
	CHECK_ERRNO(write(fd, &none, sizeof(none)), EINVAL);
	CHECK_ERRNO(write(fd, bad_address, sizeof(none)), EFAULT);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
	CHECK_ERRNO(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd), ENOTTY);
	CHECK_ERRNO(destroy(iommu, cmd.out_fault_id), EBUSY);
	copy = dup(fd);
	CHECK_ERRNO(write(copy, &none, sizeof(none)), EINVAL);
	CHECK(!close(copy));
	/* A duplicate with a number of the client's choice is a plain socket. */
	copy = dup2(fd, 100);
	CHECK(copy == 100 && !close(fd));
	CHECK(!fcntl(copy, F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(read(copy, &fault, sizeof(fault)), EAGAIN);
	CHECK(write(copy, &none, sizeof(none)) == sizeof(none));
	CHECK_ERRNO(destroy(iommu, cmd.out_fault_id), EBUSY);
	CHECK(!close(copy));
	CHECK(!destroy(iommu, cmd.out_fault_id));
	/* Other files with such numbers are left alone. */
	copy = dup2(open("/dev/zero", O_RDWR), fd);
	CHECK(copy == fd && read(fd, &fault, 3) == 3 && write(fd, &fault, 3) == 3);
	close(fd);
	close(iommu);
}

/* Files of ours as memory to be mapped: none is, and none is kept alive by itself. */
void scenario_cycle(void)
{
	struct iommu_ioas_map_file m = {
		.size = sizeof(m),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.length = PAGE,
	};
	int iommu = open_iommu(), device = open(CDEV0, O_RDWR);
	const int fds[] = {iommu, device};
	struct device d;

	m.ioas_id = alloc_ioas(iommu);
	for (int i = 0; i < 2; i++) {
		m.fd = fds[i];
		m.iova += PAGE;
		CHECK(!ioctl(iommu, IOMMU_IOAS_MAP_FILE, &m));
	}
	close(device);
	/* Where a device is attached the memory is looked for at once. */
	device_open(&d, CDEV0);
	m.ioas_id = d.ioas;
	m.fd = d.iommu;
	CHECK_ERRNO(ioctl(d.iommu, IOMMU_IOAS_MAP_FILE, &m), EINVAL);
	device_close(&d);
}

/* ---- locked memory ---------------------------------------------------------------- */

static void drop_cap_ipc_lock(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	CHECK(!syscall(SYS_capget, &header, data));
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	CHECK(!syscall(SYS_capset, &header, data));
}

/* KiB in a line of a status file. */
static long status_value(const char *path, const char *name)
{
	char line[256];
	long value = -1;
	FILE *f = fopen(path, "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = atol(line + strlen(name));
	fclose(f);
	return value;
}

static void look_at_parent(void *arg)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)getppid());
	CHECK(status_value(path, "VmPin:") == 32);
	CHECK(status_value("/proc/self/status", "VmPin:") == 0);
}

/* RLIMIT_MEMLOCK holds, and what is pinned shows. */
void scenario_memlock(void)
{
	struct rlimit limit = {8 * PAGE, 8 * PAGE};
	char *va = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct device d;

	CHECK(va != MAP_FAILED);
	drop_cap_ipc_lock();
	CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
	device_open(&d, CDEV0);
	CHECK(!map(d.iommu, d.ioas, va, 8 * PAGE, FAR_IOVA));
	CHECK(status_value("/proc/self/status", "VmPin:") == 32);
	CHECK(status_value("/proc/thread-self/status", "VmPin:") == 32);
	CHECK(status_value("/proc/self/status", "VmLck:") == 0);
	CHECK(status_value("/proc/self/status", "Pid:") == getpid());
	CHECK(in_child(look_at_parent, NULL) == 0);
	CHECK_ERRNO(map(d.iommu, d.ioas, va, PAGE, 2 * FAR_IOVA), ENOMEM);
	CHECK(!unmap(d.iommu, d.ioas, FAR_IOVA, 8 * PAGE));
	CHECK(status_value("/proc/self/status", "VmPin:") == 0);
	CHECK(!map(d.iommu, d.ioas, va, PAGE, 2 * FAR_IOVA));
	device_close(&d);
}
