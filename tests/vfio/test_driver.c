/* SPDX-License-Identifier: MIT */
/*
 * vfio-pci's hold on a function: who can open it when, that leaving it waits for every
 * kind of open and asks by the REQ interrupt, and what an open group becomes when its
 * last function is gone.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/vfio/legacy.h"

static int setup(void **state)
{
	*state = legacy_create();
	return 0;
}

static int teardown(void **state)
{
	legacy_destroy(*state);
	return 0;
}

static void test_open(void **state)
{
	struct legacy *l = *state;
	struct pci_device *dev = l->rig.devices[0];

	assert_true(pci_device_bound(dev));
	pci_device_leave(dev);
	assert_false(pci_device_bound(dev));
	assert_int_equal(rig_open(&l->rig, 0), -ENODEV);
	assert_int_equal(rig_open_group(&l->rig, 0), -ENODEV);
	assert_true(pci_device_wait_closed(dev, 0));
	pci_device_bind(dev);
	l->devices[0] = rig_open(&l->rig, 0);
	assert_true(l->devices[0] >= 0);
}

/* An open that is not bound to an iommufd keeps it as well. */
static void test_waits_for_cdev(void **state)
{
	struct legacy *l = *state;
	struct pci_device *dev = l->rig.devices[0];
	int iommu = rig_open_iommu(&l->rig), a = rig_open(&l->rig, 0),
	    b = rig_open(&l->rig, 0);
	uint32_t devid;

	assert_false(pci_device_in_use(dev));
	assert_int_equal(rig_bind(&l->rig, a, iommu, &devid), 0);
	assert_true(pci_device_in_use(dev));
	pci_device_leave(dev);
	assert_false(pci_device_wait_closed(dev, 1));
	rig_close(&l->rig, b);
	assert_false(pci_device_wait_closed(dev, 1));
	/* Who has it goes on using it. */
	assert_int_equal(rig_reset(&l->rig, a), 0);
	rig_close(&l->rig, a);
	assert_true(pci_device_wait_closed(dev, 1));
	assert_false(pci_device_in_use(dev));
	rig_close(&l->rig, iommu);
}

static void test_request(void **state)
{
	struct legacy *l = *state;
	struct pci_device *dev = l->rig.devices[0];
	int iommu = rig_open_iommu(&l->rig), fd = rig_open(&l->rig, 0);
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irq = {.set = {.argsz = sizeof(irq),
			 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = VFIO_PCI_REQ_IRQ_INDEX,
			 .count = 1},
		 .fd = eventfd(0, EFD_NONBLOCK)};
	uint64_t told;
	uint32_t devid;

	assert_int_equal(rig_bind(&l->rig, fd, iommu, &devid), 0);
	assert_int_equal(rig_ioctl(&l->rig, fd, VFIO_DEVICE_SET_IRQS, &irq), 0);
	pci_device_leave(dev);
	pci_device_request(dev);
	pci_device_request(dev);
	assert_int_equal(read(irq.fd, &told, sizeof(told)), sizeof(told));
	assert_int_equal(told, 2);
	rig_close(&l->rig, fd);
	rig_close(&l->rig, iommu);
	close(irq.fd);
}

static void *wait_for_close(void *dev)
{
	while (!pci_device_wait_closed(dev, 1000))
		continue;
	return NULL;
}

static void test_waits_for_group(void **state)
{
	struct legacy *l = *state;
	struct pci_device *dev = l->rig.devices[0];
	struct vfio_group_status s = {.argsz = sizeof(s)};
	pthread_t waiter;

	legacy_open_device(l, 0, VFIO_TYPE1v2_IOMMU);
	pci_device_leave(dev);
	assert_false(pci_device_wait_closed(dev, 1));
	pthread_create(&waiter, NULL, wait_for_close, dev);
	legacy_close(l, &l->devices[0]);
	pthread_join(waiter, NULL);
	/* The group had no other function: its node is nobody's any more. */
	assert_int_equal(rig_ioctl(&l->rig, l->groups[0], VFIO_GROUP_GET_STATUS, &s),
			 -ENODEV);
	assert_int_equal(legacy_set_container(l, 0, l->container), -ENODEV);
	assert_int_equal(legacy_unset_container(l, 0), -EINVAL);
	assert_int_equal(legacy_get_device(l, 0, legacy_names[0]), -ENODEV);
	/* Bound again it has a new one, whatever becomes of the old. */
	pci_device_bind(dev);
	l->groups[1] = rig_open_group(&l->rig, 0);
	assert_true(l->groups[1] >= 0);
	legacy_close(l, &l->groups[0]);
	assert_int_equal(rig_open_group(&l->rig, 0), -EBUSY);
	assert_int_equal(rig_ioctl(&l->rig, l->groups[1], VFIO_GROUP_GET_STATUS, &s), 0);
	assert_int_equal(s.flags, VFIO_GROUP_FLAGS_VIABLE);
}

#define ROUNDS 300

struct race {
	struct rig *rig;
	_Atomic unsigned opened;
	_Atomic bool stop;
};

static void *open_and_close(void *arg)
{
	struct race *r = arg;

	while (!r->stop) {
		struct vfile *f;

		if (vfio_cdev_open(r->rig->devices[0], &f))
			continue;
		r->opened++;
		vfile_put(f);
	}
	return NULL;
}

/* Whatever the order: once it is closed, nobody has it, and nobody is left waiting. */
static void test_race(void **state)
{
	struct legacy *l = *state;
	struct race r = {.rig = &l->rig};
	struct pci_device *dev = l->rig.devices[0];
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, open_and_close, &r);
	for (int i = 0; i < ROUNDS; i++) {
		unsigned before;

		pci_device_leave(dev);
		while (!pci_device_wait_closed(dev, 1000))
			continue;
		before = r.opened;
		assert_int_equal(rig_open(&l->rig, 0), -ENODEV);
		assert_int_equal(dev->driver.opens, 0);
		assert_int_equal(r.opened, before);
		pci_device_bind(dev);
	}
	r.stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waits_for_cdev, setup, teardown),
		cmocka_unit_test_setup_teardown(test_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waits_for_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
