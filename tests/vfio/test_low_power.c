/* SPDX-License-Identifier: MIT */
/*
 * Low power: asleep the function masters no bus, a call wakes it for as long as it takes,
 * and it comes back as its power management says.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define BAR_BYTES ((size_t)1 << 20)
#define ENTER     VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
#define WAKEUP    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
#define LEAVE     VFIO_DEVICE_FEATURE_LOW_POWER_EXIT

/* Nothing is attached, so DMA faults; how says whether it was a bus master. */
#define MASTER    UIOMMUFD_FAULT_BLOCKED
#define NO_MASTER UIOMMUFD_FAULT_NO_MASTER

struct fixture {
	struct rig_model models[2];
	struct rig rig;
	int iommu, fd;
	enum uiommufd_fault_reason during; /* what DMA met during a register's write */
	unsigned writes;
};

static enum uiommufd_fault_reason dma(struct fixture *f)
{
	struct uiommufd_fault fault = {0};
	uint64_t v;

	assert_int_equal(uiommufd_dma_read(f->models[0].channel, 0x1000, &v, 8, &fault),
			 -EFAULT);
	return fault.reason;
}

static void dma_on_write(void *model, unsigned bar, uint64_t offset, unsigned size,
			 uint64_t value)
{
	struct rig_model *m = model;
	struct fixture *f = m->test;

	f->during = dma(f);
	f->writes++;
}

/* Two functions on one bus; the first is looked at. */
static struct fixture *start(bool pm, bool no_soft_reset)
{
	struct fixture *f = calloc(1, sizeof(*f));

	for (unsigned i = 0; i < 2; i++)
		rig_model_default(&f->models[i], i);
	f->models[1].bdf = f->models[0].bdf;
	f->models[1].bdf.function = 1;
	f->models[0].desc.pm = pm;
	f->models[0].desc.no_soft_reset = no_soft_reset;
	f->models[0].ops.mmio_write = dma_on_write;
	f->models[0].test = f;
	rig_create(&f->rig, f->models, 2);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0x6);
	assert_int_equal(dma(f), MASTER);
	return f;
}

static void stop(struct fixture *f)
{
	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	free(f);
}

static void feature(struct fixture *f, uint32_t nr, int eventfd)
{
	struct {
		struct vfio_device_feature h;
		struct vfio_device_low_power_entry_with_wakeup e;
	} s = {
		.h = {sizeof(s), VFIO_DEVICE_FEATURE_SET | nr},
		.e = {.wakeup_eventfd = eventfd},
	};

	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &s), 0);
}

static unsigned wakes(const struct fixture *f)
{
	return f->models[0].resets[UIOMMUFD_RESET_POWER];
}

static void write_register(struct fixture *f)
{
	uint32_t v = 1;

	assert_int_equal(rig_pwrite(&f->rig, f->fd, &v, 4, VFILE_REGION(0)), 4);
}

static unsigned state_in_sysfs(struct fixture *f)
{
	uint8_t pmcsr;

	pci_device_config(f->rig.devices[0], RIG_PMCSR, &pmcsr, 1);
	return pmcsr & 3;
}

static void test_sleeps(void **state)
{
	struct fixture *f = start(true, false);

	feature(f, ENTER, 0);
	assert_int_equal(dma(f), NO_MASTER);
	assert_int_equal(state_in_sysfs(f), 3);
	assert_int_equal(wakes(f), 0);
	/* Awake for the time of a call, after a reset; asleep again. */
	write_register(f);
	assert_int_equal(f->during, MASTER);
	assert_int_equal(wakes(f), 1);
	assert_int_equal(dma(f), NO_MASTER);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_PMCSR) & 3, 0);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_COMMAND), 0x6);
	assert_int_equal(wakes(f), 3);
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
	assert_int_equal(dma(f), NO_MASTER);
	feature(f, LEAVE, 0);
	assert_int_equal(dma(f), MASTER);
	assert_int_equal(state_in_sysfs(f), 0);
	stop(f);
}

/* Bus mastering is what COMMAND says when it wakes up, and not more. */
static void test_command(void **state)
{
	struct fixture *f = start(true, true);

	feature(f, ENTER, 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0x2);
	write_register(f);
	assert_int_equal(f->during, NO_MASTER);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0x6);
	assert_int_equal(dma(f), NO_MASTER);
	write_register(f);
	assert_int_equal(f->during, MASTER);
	assert_int_equal(wakes(f), 0);
	feature(f, LEAVE, 0);
	assert_int_equal(dma(f), MASTER);
	stop(f);
}

/* Somebody wants to be told: then the first call ends it. */
static void test_wakeup(void **state)
{
	struct fixture *f = start(true, false);
	int ev = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t n;

	feature(f, WAKEUP, ev);
	assert_int_equal(dma(f), NO_MASTER);
	assert_int_equal(read(ev, &n, 8), -1);
	rig_config16(&f->rig, f->fd, 0);
	assert_int_equal(read(ev, &n, 8), 8);
	assert_int_equal(dma(f), MASTER);
	assert_int_equal(wakes(f), 1);
	close(ev);
	stop(f);
}

static void test_without_pm(void **state)
{
	struct fixture *f = start(false, false);

	feature(f, ENTER, 0);
	assert_int_equal(dma(f), MASTER);
	write_register(f);
	assert_int_equal(wakes(f), 0);
	feature(f, LEAVE, 0);
	stop(f);
}

/* What the client had put into D3hot comes back in D0. */
static void test_from_d3hot(void **state)
{
	struct fixture *f = start(true, false);

	rig_set_config16(&f->rig, f->fd, RIG_PMCSR, 3);
	assert_int_equal(dma(f), NO_MASTER);
	feature(f, ENTER, 0);
	assert_int_equal(wakes(f), 1);
	assert_int_equal(dma(f), NO_MASTER);
	write_register(f);
	assert_int_equal(f->writes, 1);
	assert_int_equal(wakes(f), 2);
	feature(f, LEAVE, 0);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_PMCSR) & 3, 0);
	assert_int_equal(dma(f), MASTER);
	stop(f);
}

/* Others wake it, too: a reset by sysfs, one of the bus. */
static void test_others(void **state)
{
	struct fixture *f = start(true, false);
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};
	unsigned functions = f->models[0].resets[UIOMMUFD_RESET_FUNCTION];
	int other = rig_open(&f->rig, 1);

	assert_int_equal(rig_bind(&f->rig, other, f->iommu, NULL), 0);
	feature(f, ENTER, 0);
	assert_int_equal(pci_device_reset(f->rig.devices[0]), 0);
	assert_int_equal(wakes(f), 1);
	assert_int_equal(dma(f), NO_MASTER);
	assert_int_equal(rig_ioctl(&f->rig, other, VFIO_DEVICE_PCI_HOT_RESET, &reset), 0);
	assert_int_equal(wakes(f), 2);
	assert_int_equal(f->models[0].resets[UIOMMUFD_RESET_FUNCTION], functions + 2);
	assert_int_equal(dma(f), NO_MASTER);
	feature(f, LEAVE, 0);
	assert_int_equal(dma(f), MASTER);
	rig_close(&f->rig, other);
	stop(f);
}

/* Its next client finds it awake. */
static void test_close(void **state)
{
	struct fixture *f = start(true, true);

	feature(f, ENTER, 0);
	rig_close(&f->rig, f->fd);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	assert_int_equal(state_in_sysfs(f), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 0x6);
	assert_int_equal(dma(f), MASTER);
	stop(f);
}

/* ---- mappings ---------------------------------------------------------------------- */

static sigjmp_buf caught;

static void on_bus(int sig)
{
	siglongjmp(caught, 1);
}

static bool faults(volatile uint64_t *p)
{
	struct sigaction sa = {.sa_handler = on_bus}, old;
	bool fault;

	assert_int_equal(sigaction(SIGBUS, &sa, &old), 0);
	fault = sigsetjmp(caught, 1);
	if (!fault)
		(void)*p;
	assert_int_equal(sigaction(SIGBUS, &old, NULL), 0);
	return fault;
}

/* They fault until low power ends, and wake nothing. */
static void test_mapping(void **state)
{
	struct fixture *f = start(true, false);
	volatile uint64_t *p;
	uint64_t v = 0;

	assert_int_equal(rig_mmap(&f->rig, f->fd, VFILE_REGION(2), BAR_BYTES,
				  PROT_READ | PROT_WRITE, MAP_SHARED),
			 0);
	p = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd,
		 (off_t)VFILE_REGION(2));
	assert_ptr_not_equal(p, MAP_FAILED);
	p[7] = 77;
	feature(f, ENTER, 0);
	assert_true(faults(p));
	assert_int_equal(wakes(f), 0);
	/* Calls work meanwhile. */
	assert_int_equal(rig_pread(&f->rig, f->fd, &v, 8, VFILE_REGION(2) + 56), 8);
	assert_int_equal(v, 77);
	assert_true(faults(p));
	feature(f, LEAVE, 0);
	assert_false(faults(p));
	assert_int_equal(p[7], 77);
	munmap((void *)(uintptr_t)p, BAR_BYTES);
	stop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sleeps),     cmocka_unit_test(test_command),
		cmocka_unit_test(test_wakeup),     cmocka_unit_test(test_without_pm),
		cmocka_unit_test(test_from_d3hot), cmocka_unit_test(test_others),
		cmocka_unit_test(test_close),      cmocka_unit_test(test_mapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
