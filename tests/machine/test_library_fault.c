/* SPDX-License-Identifier: MIT */
/*
 * uiommufd_mmio_fault(): registers behind a mapping, served by the program's own handler.
 * In front of the library's handler and behind it, by several threads, next to faults
 * that are nobody's, and to DMA and copies that meet such a mapping.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/uiommufd.h"

#define BAR_BYTES 0x4000u
#define PAGE      4096u
#define THREADS   4
#define ROUNDS    2000

/* ---- a device with 8-byte registers -------------------------------------------------
 */

static struct uiommufd_device *last_device;
static uint64_t registers[BAR_BYTES / 8];
static unsigned accesses;

static uint64_t probe_read(void *model, unsigned bar, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	accesses++;
	memcpy(&v, (char *)registers + offset, size);
	return v;
}

static void probe_write(void *model, unsigned bar, uint64_t offset, unsigned size,
			uint64_t value)
{
	accesses++;
	memcpy((char *)registers + offset, &value, size);
}

static int probe_create(struct uiommufd_device *dev,
			const struct uiommufd_option *options, size_t n,
			struct uiommufd_device_desc *desc,
			struct uiommufd_device_ops *ops, void **model)
{
	*desc = (struct uiommufd_device_desc){
		.vendor_id = 0x1234,
		.device_id = 0x5678,
		.class_code = 0x088000,
		.bars[0] = {.size = BAR_BYTES},
		.flr = true,
		.mmio = UIOMMUFD_MMIO_FAULT,
	};
	*ops = (struct uiommufd_device_ops){
		.mmio_read = probe_read,
		.mmio_write = probe_write,
	};
	last_device = dev;
	*model = dev;
	return 0;
}

static const struct uiommufd_model probe_model = {
	.name = "probe",
	.summary = "registers that fault",
	.create = probe_create,
};

/* ---- the program's handler ----------------------------------------------------------
 */

static struct uiommufd_machine *m;
static struct sigaction library, cmockas, top;
static bool in_front;
static _Thread_local sigjmp_buf caught;
static _Thread_local bool expecting;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	if (uiommufd_mmio_fault(m, sig, info, context))
		return;
	if (expecting) {
		expecting = false;
		siglongjmp(caught, 1);
	}
	if (in_front)
		library.sa_sigaction(sig, info, context);
	else
		abort();
}

static const struct sigaction own = {
	.sa_sigaction = on_bus,
	.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
};

/* ---- the fixture --------------------------------------------------------------------
 */

static int iommu, device;
static uint32_t ioas;
static volatile uint8_t *regs;
static uint64_t config_at;

static int make_machine(bool faults, struct uiommufd_machine **out)
{
	static const struct uiommufd_model *const models[] = {&probe_model, NULL};
	static const char *const devices[] = {"probe", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;

	config.models = models;
	config.devices = devices;
	config.mmio_faults = faults;
	return uiommufd_machine_create(&config, NULL, 0, out);
}

static struct vfio_region_info region(uint32_t index)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	assert_int_equal(uiommufd_ioctl(m, device, VFIO_DEVICE_GET_REGION_INFO, &info),
			 0);
	return info;
}

static void open_device(void)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_attach_iommufd_pt at = {.argsz = sizeof(at)};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	iommu = uiommufd_open(m, "/dev/iommu", O_RDWR);
	assert_int_equal(uiommufd_ioctl(m, iommu, IOMMU_IOAS_ALLOC, &alloc), 0);
	ioas = at.pt_id = alloc.out_ioas_id;
	bind.iommufd = iommu;
	device = uiommufd_open(m, "/dev/vfio/devices/vfio0", O_RDWR);
	assert_int_equal(uiommufd_ioctl(m, device, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	assert_int_equal(uiommufd_ioctl(m, device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at),
			 0);
	config_at = region(VFIO_PCI_CONFIG_REGION_INDEX).offset;
}

static void set_command(uint16_t value)
{
	assert_int_equal(uiommufd_pwrite(m, device, &value, 2, config_at + 4), 2);
}

static int setup(bool front)
{
	struct vfio_region_info bar;
	void *p;

	in_front = front;
	memset(registers, 0, sizeof(registers));
	sigaction(SIGBUS, NULL, &cmockas);
	if (!front)
		sigaction(SIGBUS, &own, NULL);
	if (make_machine(true, &m))
		return -1;
	if (front)
		sigaction(SIGBUS, &own, &library);
	open_device();
	set_command(6);
	bar = region(0);
	assert_true(bar.flags & VFIO_REGION_INFO_FLAG_MMAP);
	assert_int_equal(uiommufd_mmap(m, device, BAR_BYTES, PROT_READ | PROT_WRITE,
				       MAP_SHARED, bar.offset, &p),
			 0);
	regs = p;
	sigaction(SIGBUS, NULL, &top);
	return 0;
}

/* cmocka puts handlers of its own over ours for each test. */
static void on_top(void)
{
	sigaction(SIGBUS, &top, NULL);
}

static int setup_front(void **state)
{
	return setup(true);
}

static int setup_behind(void **state)
{
	return setup(false);
}

static int teardown(void **state)
{
	munmap((void *)(uintptr_t)regs, BAR_BYTES);
	uiommufd_close(m, device);
	uiommufd_close(m, iommu);
	assert_int_equal(uiommufd_machine_destroy(m), 0);
	sigaction(SIGBUS, &cmockas, NULL);
	return 0;
}

static volatile uint64_t *reg64(unsigned i)
{
	return (volatile uint64_t *)(regs + 8 * i);
}

/* Does an access fault for good? */
static bool faults(volatile uint64_t *p)
{
	expecting = true;
	if (sigsetjmp(caught, 1))
		return true;
	(void)*p;
	expecting = false;
	return false;
}

/* ---- tests --------------------------------------------------------------------------
 */

static void test_accesses(void **state)
{
	unsigned before;

	on_top();
	*reg64(0) = 0x1122334455667788;
	assert_int_equal(registers[0], 0x1122334455667788);
	assert_int_equal(*reg64(0), 0x1122334455667788);
	assert_int_equal(*(volatile uint16_t *)(regs + 2), 0x5566);
	regs[7] = 0x99;
	assert_int_equal(registers[0], 0x9922334455667788);
	before = accesses;
	*reg64(0) += 1;
	assert_int_equal(registers[0], 0x9922334455667789);
	/* As one access, or as a load and a store. */
	assert_true(accesses - before == 2);
	errno = 77;
	(void)*reg64(3);
	assert_int_equal(errno, 77);
}

/* Copies, by whatever instructions the C library has for them. */
static void test_vectors(void **state)
{
	uint8_t data[300], back[300];

	on_top();
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	for (unsigned n = 1; n < sizeof(data); n += 13) {
		memset(registers, 0, sizeof(registers));
		memset(back, 0, sizeof(back));
		memcpy((void *)(uintptr_t)(regs + 64), data, n);
		assert_memory_equal((char *)registers + 64, data, n);
		memcpy(back, (void *)(uintptr_t)(regs + 64), n);
		assert_memory_equal(back, data, n);
	}
}

static void *bump(void *arg)
{
	volatile uint64_t *r = reg64(512 + (unsigned)(uintptr_t)arg);

	for (unsigned i = 0; i < ROUNDS; i++)
		*r = *r + 1;
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	on_top();
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bump, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(registers[512 + i], ROUNDS);
}

/* Memory decoding off, beyond the BAR, other memory: a fault as any other. */
static void test_not_ours(void **state)
{
	int fd = memfd_create("short", MFD_CLOEXEC);
	volatile uint64_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	on_top();
	assert_true(faults(p));
	assert_false(faults(reg64(0)));
	set_command(4);
	assert_true(faults(reg64(0)));
	set_command(6);
	assert_false(faults(reg64(0)));
	munmap((void *)(uintptr_t)p, PAGE);
	close(fd);
}

/*
 * The library's own copies from and to such a mapping fail as they do under `uiommufd
 * run`, and so does DMA: it is no memory.
 */
static void test_copies(void **state)
{
	void *at = (void *)(uintptr_t)regs;
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)at,
		.length = PAGE,
		.iova = 0x10000,
	};
	struct uiommufd_channel *channel;
	struct uiommufd_fault fault;
	uint64_t v;

	on_top();
	assert_int_equal(uiommufd_ioctl(m, iommu, IOMMU_IOAS_ALLOC, at), -EFAULT);
	assert_int_equal(uiommufd_pread(m, device, at, 4, config_at), -EFAULT);
	assert_int_equal(uiommufd_ioctl(m, iommu, IOMMU_IOAS_MAP, &map), -EFAULT);
	assert_int_equal(uiommufd_channel_create(last_device, &channel), 0);
	assert_int_equal(uiommufd_dma_read(channel, 0x10000, &v, 8, &fault), -EFAULT);
	assert_int_equal(*reg64(0), 0);
	uiommufd_channel_destroy(channel);
}

/* Without a promise of a handler they are trapped. */
static void test_no_promise(void **state)
{
	static const char *const devices[] = {"copy-engine,mmio=fault", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	char error[100] = "";

	assert_int_equal(make_machine(false, &m), 0);
	open_device();
	assert_false(region(0).flags & VFIO_REGION_INFO_FLAG_MMAP);
	uiommufd_close(m, device);
	uiommufd_close(m, iommu);
	assert_int_equal(uiommufd_machine_destroy(m), 0);
	config.devices = devices;
	assert_int_equal(uiommufd_machine_create(&config, error, sizeof(error), &m),
			 -EINVAL);
	assert_non_null(strstr(error, "mmio_faults"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_accesses, setup_front, teardown),
		cmocka_unit_test_setup_teardown(test_accesses, setup_behind, teardown),
		cmocka_unit_test_setup_teardown(test_vectors, setup_front, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup_front, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup_behind, teardown),
		cmocka_unit_test_setup_teardown(test_not_ours, setup_front, teardown),
		cmocka_unit_test_setup_teardown(test_copies, setup_front, teardown),
		cmocka_unit_test_setup_teardown(test_copies, setup_behind, teardown),
		cmocka_unit_test(test_no_promise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
