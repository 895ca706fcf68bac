/* SPDX-License-Identifier: MIT */
/*
 * The library as a program uses it, and clients' memory under DMA: private memory,
 * memory files by descriptor and by address, truncated and unmapped under a device, and
 * a BAR given by its address.
 *
 * The device is a model of this file's own: a BAR of memory, and a DMA channel that the
 * test drives directly.
 *
 * cmocka puts its own fault handlers over the library's for each test; the library's are
 * put back on top, as in a program that leaves them alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/uiommufd.h"

#define BAR_BYTES 0x10000u
#define PAGE      4096u

static struct uiommufd_device *last_device;

static int probe_create(struct uiommufd_device *dev,
			const struct uiommufd_option *options, size_t n,
			struct uiommufd_device_desc *desc,
			struct uiommufd_device_ops *ops, void **model)
{
	if (n) {
		uiommufd_device_error(dev, "no option called %s", options[0].name);
		return -EINVAL;
	}
	*desc = (struct uiommufd_device_desc){
		.vendor_id = 0x1234,
		.device_id = 0x5678,
		.class_code = 0x088000,
		.bars[0] = {.size = BAR_BYTES, .flags = UIOMMUFD_BAR_MEMORY},
		.flr = true,
	};
	*ops = (struct uiommufd_device_ops){0};
	last_device = dev;
	*model = dev;
	return 0;
}

static const struct uiommufd_model probe_model = {
	.name = "probe",
	.summary = "a BAR and a DMA channel",
	.create = probe_create,
};

static struct uiommufd_machine *m;
static struct uiommufd_channel *channel;
static int iommu, device;
static uint32_t ioas;

static struct sigaction guard_segv, guard_bus;

static void make_machine(void)
{
	static const struct uiommufd_model *const models[] = {&probe_model, NULL};
	static const char *const devices[] = {"probe", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;

	config.models = models;
	config.devices = devices;
	assert_int_equal(uiommufd_machine_create(&config, NULL, 0, &m), 0);
}

/* For tests that run into bad memory on purpose; each has cmocka's handlers anew. */
static void guard_on_top(void)
{
	sigaction(SIGSEGV, &guard_segv, NULL);
	sigaction(SIGBUS, &guard_bus, NULL);
}

static void enable_device(void)
{
	struct vfio_region_info info = {.argsz = sizeof(info),
					.index = VFIO_PCI_CONFIG_REGION_INDEX};
	uint16_t command = 6; /* memory, bus master */

	assert_int_equal(uiommufd_ioctl(m, device, VFIO_DEVICE_GET_REGION_INFO, &info),
			 0);
	assert_int_equal(uiommufd_pwrite(m, device, &command, 2, info.offset + 4), 2);
}

static int setup(void **state)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	make_machine();
	iommu = uiommufd_open(m, "/dev/iommu", O_RDWR | O_CLOEXEC);
	device = uiommufd_open(m, "/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
	assert_true(iommu >= 0 && device >= 0);
	bind.iommufd = iommu;
	assert_int_equal(uiommufd_ioctl(m, device, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	assert_int_equal(uiommufd_ioctl(m, iommu, IOMMU_IOAS_ALLOC, &alloc), 0);
	ioas = alloc.out_ioas_id;
	attach.pt_id = ioas;
	assert_int_equal(
		uiommufd_ioctl(m, device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
	enable_device();
	assert_int_equal(uiommufd_channel_create(last_device, &channel), 0);
	return 0;
}

static int teardown(void **state)
{
	uiommufd_channel_destroy(channel);
	uiommufd_close(m, device);
	uiommufd_close(m, iommu);
	return uiommufd_machine_destroy(m);
}

static long map(void *p, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)p,
		.length = length,
		.iova = iova,
	};

	return uiommufd_ioctl(m, iommu, IOMMU_IOAS_MAP, &cmd);
}

static long map_file(int fd, uint64_t start, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return uiommufd_ioctl(m, iommu, IOMMU_IOAS_MAP_FILE, &cmd);
}

static void expect_dma(uint64_t iova, const void *bytes, size_t n)
{
	char got[64];
	struct uiommufd_fault fault = {0};

	assert_int_equal(uiommufd_dma_read(channel, iova, got, n, &fault), 0);
	assert_memory_equal(got, bytes, n);
}

static void expect_fault(uint64_t iova, enum uiommufd_fault_reason reason)
{
	struct uiommufd_fault fault = {0};
	char c;

	assert_int_equal(uiommufd_dma_read(channel, iova, &c, 1, &fault), -EFAULT);
	assert_int_equal(fault.reason, reason);
	assert_int_equal(fault.iova, iova);
}

static void *pages(size_t n)
{
	void *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static void test_private_memory(void **state)
{
	char *p = pages(2);

	guard_on_top();
	strcpy(p + PAGE - 2, "across");
	assert_int_equal(map(p, 2 * PAGE, 0x100000), 0);
	expect_dma(0x100000 + PAGE - 2, "across", 6);
	assert_int_equal(uiommufd_dma_write(channel, 0x100010, "device", 7, NULL), 0);
	assert_string_equal(p + 16, "device");
	/* Not pinned: gone is gone, and the device is told. */
	munmap(p, 2 * PAGE);
	expect_fault(0x100000, UIOMMUFD_FAULT_ABORT);
}

static void test_bad_addresses(void **state)
{
	char *p = pages(3);

	munmap(p + PAGE, PAGE);
	assert_int_equal(map(p, 3 * PAGE, 0x100000), -EFAULT);
	assert_int_equal(map(p, PAGE, 0x100000), 0);
	mprotect(p + 2 * PAGE, PAGE, PROT_READ);
	assert_int_equal(map(p + 2 * PAGE, PAGE, 0x200000), -EFAULT);
	mprotect(p + 2 * PAGE, PAGE, PROT_NONE);
	assert_int_equal(map(p + 2 * PAGE, PAGE, 0x200000), -EFAULT);
	munmap(p, 3 * PAGE);
}

/* A memfd by descriptor, by address, and by another address: one memory. */
static void test_memory_file(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	char *p, *q;

	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE);
	assert_int_equal(map_file(fd, 2 * PAGE, 2 * PAGE, 0x100000), 0);
	assert_int_equal(map(p, 4 * PAGE, 0x200000), 0);
	assert_int_equal(map(q, 2 * PAGE, 0x300000), 0);
	strcpy(q, "one memory");
	expect_dma(0x100000, "one memory", 10);
	expect_dma(0x200000 + 2 * PAGE, "one memory", 10);
	expect_dma(0x300000, "one memory", 10);
	/* The file outlives our view of it, as pinned pages do. */
	munmap(p, 4 * PAGE);
	munmap(q, 2 * PAGE);
	close(fd);
	expect_dma(0x200000 + 2 * PAGE, "one memory", 10);
	assert_int_equal(uiommufd_dma_write(channel, 0x300000, "two", 3, NULL), 0);
	expect_dma(0x100000, "two", 3);
}

static void test_file_bounds(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	assert_int_equal(map_file(fd, PAGE, 2 * PAGE, 0x100000), -EINVAL);
	assert_int_equal(map_file(fd, PAGE, PAGE, 0x100000), 0);
	/* A file that has grown is mapped to its new end. */
	assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
	assert_int_equal(map_file(fd, PAGE, 7 * PAGE, 0x200000), 0);
	assert_int_equal(pwrite(fd, "end", 3, 7 * PAGE), 3);
	expect_dma(0x200000 + 6 * PAGE, "end", 3);
	close(fd);
}

static void test_truncated(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	assert_int_equal(map_file(fd, 0, 2 * PAGE, 0x100000), 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	guard_on_top();
	expect_dma(0x100000, "\0", 1);
	expect_fault(0x100000 + PAGE, UIOMMUFD_FAULT_ABORT);
	close(fd);
}

static void test_other_files(void **state)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(map_file(null, 0, PAGE, 0x100000), -EINVAL);
	assert_int_equal(map_file(iommu, 0, PAGE, 0x100000), -EINVAL);
	assert_int_equal(map_file(device, 0, PAGE, 0x100000), -EINVAL);
	assert_int_equal(map_file(999, 0, PAGE, 0x100000), -EBADF);
	close(null);
}

/* Linux 7.3: a BAR has to come as a dma-buf; its address answers EFAULT. */
static void test_bar_by_address(void **state)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = 0};
	void *p;

	assert_int_equal(uiommufd_ioctl(m, device, VFIO_DEVICE_GET_REGION_INFO, &info),
			 0);
	assert_int_equal(info.size, BAR_BYTES);
	assert_int_equal(uiommufd_mmap(m, device, BAR_BYTES, PROT_READ | PROT_WRITE,
				       MAP_SHARED, info.offset, &p),
			 0);
	strcpy(p, "bar");
	assert_string_equal(uiommufd_bar_memory(last_device, 0), "bar");
	assert_int_equal(map(p, BAR_BYTES, 0x100000), -EFAULT);
	munmap(p, BAR_BYTES);
}

static void test_create_errors(void **state)
{
	static const char *const unknown[] = {"nothing-like-it", NULL};
	static const char *const option[] = {"probe,colour=red", NULL};
	static const struct uiommufd_model *const models[] = {&probe_model, NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	struct uiommufd_machine *none;
	char error[128];

	config.models = models;
	config.devices = unknown;
	assert_int_equal(uiommufd_machine_create(&config, error, sizeof(error), &none),
			 -EINVAL);
	assert_non_null(strstr(error, "nothing-like-it"));
	config.devices = option;
	assert_int_equal(uiommufd_machine_create(&config, error, sizeof(error), &none),
			 -EINVAL);
	assert_non_null(strstr(error, "colour"));
	config.size = 4;
	assert_int_equal(uiommufd_machine_create(&config, NULL, 0, &none), -EINVAL);
}

static void test_foreign_descriptors(void **state)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char c;

	guard_on_top();
	assert_int_equal(uiommufd_open(m, "/dev/vfio/devices/vfio1", O_RDWR), -ENOENT);
	assert_int_equal(uiommufd_open(m, "/dev/null", O_RDWR), -ENOENT);
	assert_int_equal(uiommufd_ioctl(m, null, IOMMU_IOAS_ALLOC, &c), -ENOTTY);
	assert_int_equal(uiommufd_ioctl(m, 999, IOMMU_IOAS_ALLOC, &c), -EBADF);
	assert_int_equal(uiommufd_pread(m, null, &c, 1, 0), -EBADF);
	assert_int_equal(uiommufd_ioctl(m, iommu, IOMMU_IOAS_ALLOC, (void *)8), -EFAULT);
	close(null);
}

/* What the program forgets to close is released with the machine, and counted. */
static void test_forgotten(void **state)
{
	int fd;

	make_machine();
	fd = uiommufd_open(m, "/dev/iommu", O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(uiommufd_machine_destroy(m), 1);
	close(fd);
}

/* Linux 7.3: a group's DMA belongs to one context at a time. */
static void test_group_has_one_owner(void **state)
{
	static const struct uiommufd_model *const models[] = {&probe_model, NULL};
	static const char *const devices[] = {"probe,group=3", "probe,group=3", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	int ctx[2], dev[2];

	config.models = models;
	config.devices = devices;
	assert_int_equal(uiommufd_machine_create(&config, NULL, 0, &m), 0);
	for (int i = 0; i < 2; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%d", i);
		ctx[i] = uiommufd_open(m, "/dev/iommu", O_RDWR);
		dev[i] = uiommufd_open(m, path, O_RDWR);
	}
	bind.iommufd = ctx[0];
	assert_int_equal(uiommufd_ioctl(m, dev[0], VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	bind.iommufd = ctx[1];
	assert_int_equal(uiommufd_ioctl(m, dev[1], VFIO_DEVICE_BIND_IOMMUFD, &bind),
			 -EPERM);
	uiommufd_close(m, dev[0]);
	assert_int_equal(uiommufd_ioctl(m, dev[1], VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	uiommufd_close(m, dev[1]);
	uiommufd_close(m, ctx[0]);
	uiommufd_close(m, ctx[1]);
	assert_int_equal(uiommufd_machine_destroy(m), 0);
}

static char traced[512];

static void keep_line(void *arg, const char *line)
{
	snprintf(traced, sizeof(traced), "%s", line);
}

static void test_trace(void **state)
{
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc), .flags = 1};
	int fd;

	config.trace = keep_line;
	assert_int_equal(uiommufd_machine_create(&config, NULL, 0, &m), 0);
	fd = uiommufd_open(m, "/dev/iommu", O_RDWR);
	assert_int_equal(uiommufd_ioctl(m, fd, IOMMU_IOAS_ALLOC, &alloc), -EOPNOTSUPP);
	assert_non_null(strstr(traced, "IOMMU_IOAS_ALLOC"));
	assert_non_null(strstr(traced, "EOPNOTSUPP"));
	uiommufd_close(m, fd);
	assert_int_equal(uiommufd_machine_destroy(m), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_private_memory),
		T(test_bad_addresses),
		T(test_memory_file),
		T(test_file_bounds),
		T(test_truncated),
		T(test_other_files),
		T(test_bar_by_address),
		T(test_foreign_descriptors),
		cmocka_unit_test(test_create_errors),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_group_has_one_owner),
	};

	make_machine();
	sigaction(SIGSEGV, NULL, &guard_segv);
	sigaction(SIGBUS, NULL, &guard_bus);
	uiommufd_machine_destroy(m);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
