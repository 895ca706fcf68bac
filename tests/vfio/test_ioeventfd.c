/* SPDX-License-Identifier: MIT */
/*
 * VFIO_DEVICE_IOEVENTFD: what it refuses, in order; that a signal writes the value, of
 * any width, and none after it was taken away; that it ends with the client; and a race
 * of signals with resets and closes.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct fixture {
	struct rig_model model;
	struct rig rig;
	int iommu, fd, ev;
	_Atomic unsigned writes;
	_Atomic uint64_t offset, value;
	_Atomic unsigned size;
};

static void noted(void *model, unsigned bar, uint64_t offset, unsigned size,
		  uint64_t value)
{
	struct rig_model *m = model;
	struct fixture *f = m->test;

	f->offset = offset;
	f->size = size;
	f->value = value;
	f->writes++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_model_default(&f->model, 0);
	f->model.ops.mmio_write = noted;
	f->model.test = f;
	f->model.desc.bars[1] = (struct uiommufd_bar){32, UIOMMUFD_BAR_IO};
	rig_create(&f->rig, &f->model, 1);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	f->ev = eventfd(0, EFD_CLOEXEC);
	*state = f;
	alarm(60);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->fd >= 0)
		rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
	close(f->ev);
	free(f);
	alarm(0);
	return 0;
}

static long set(struct fixture *f, uint32_t flags, uint64_t offset, uint64_t data, int fd)
{
	struct vfio_device_ioeventfd s = {
		.argsz = sizeof(s),
		.flags = flags,
		.offset = offset,
		.data = data,
		.fd = fd,
	};

	return rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_IOEVENTFD, &s);
}

static uint64_t bar(unsigned i, uint64_t offset)
{
	return VFILE_REGION(i) + offset;
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct vfio_device_ioeventfd s = {.argsz = 27};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_IOEVENTFD, &s), -EINVAL);
	assert_int_equal(rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_IOEVENTFD, RIG_BAD_VA),
			 -EFAULT);
	assert_int_equal(set(f, 0x14, bar(0, 0), 0, f->ev), -EINVAL);
	assert_int_equal(set(f, 0, bar(0, 0), 0, f->ev), -EINVAL);
	assert_int_equal(set(f, 3, bar(0, 0), 0, f->ev), -EINVAL);
	assert_int_equal(set(f, 4, bar(0, 0), 0, -2), -EINVAL);
	assert_int_equal(set(f, 4, bar(6, 0), 0, f->ev), -EINVAL);
	assert_int_equal(set(f, 4, bar(VFIO_PCI_CONFIG_REGION_INDEX, 0), 0, f->ev),
			 -EINVAL);
	assert_int_equal(set(f, 4, bar(3, 0), 0, f->ev), -EINVAL); /* absent */
	assert_int_equal(set(f, 4, bar(0, 0x3ffd), 0, f->ev), -EINVAL);
	assert_int_equal(set(f, 1, bar(0, 0x4000), 0, f->ev), -EINVAL);
	/* The MSI-X table, 8 * 16 bytes at 0x2000. */
	assert_int_equal(set(f, 4, bar(0, 0x1ffd), 0, f->ev), -EINVAL);
	assert_int_equal(set(f, 1, bar(0, 0x207f), 0, f->ev), -EINVAL);
	assert_int_equal(set(f, 4, bar(0, 0), 0, -1), -ENODEV);
	assert_int_equal(set(f, 4, bar(0, 0), 0, 999), -EBADF);
	assert_int_equal(set(f, 4, bar(0, 0), 0, null), -EINVAL);
	assert_int_equal(set(f, 4, bar(0, 0), 0, f->ev), 0);
	assert_int_equal(set(f, 4, bar(0, 0), 0, f->ev), -EEXIST);
	assert_int_equal(set(f, 4, bar(0, 0), 0, 999), -EEXIST);
	assert_int_equal(set(f, 4, bar(0, 0), 1, f->ev), 0);
	assert_int_equal(set(f, 8, bar(0, 0), 0, f->ev), 0);
	assert_int_equal(set(f, 4, bar(0, 0), 0, -1), 0);
	assert_int_equal(set(f, 4, bar(0, 0), 0, -1), -ENODEV);
	close(null);
}

static void test_limit(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(set(f, 4, bar(0, 0), i, f->ev), 0);
	assert_int_equal(set(f, 4, bar(0, 0), 1000, f->ev), -ENOSPC);
	assert_int_equal(set(f, 4, bar(0, 0), 999, f->ev), -EEXIST);
	assert_int_equal(set(f, 4, bar(0, 0), 7, -1), 0);
	assert_int_equal(set(f, 4, bar(0, 0), 1000, f->ev), 0);
}

static void wait_for(struct fixture *f, unsigned writes)
{
	while (f->writes < writes)
		sched_yield();
}

static void test_writes(void **state)
{
	static const uint64_t value = 0x8877665544332211;
	struct fixture *f = *state;
	unsigned n = 0;

	for (unsigned size = 1; size <= 8; size *= 2) {
		uint64_t mask = size == 8 ? ~0ull : (1ull << 8 * size) - 1;

		assert_int_equal(set(f, size, bar(0, 0x80), value, f->ev), 0);
		assert_int_equal(f->writes, n);
		eventfd_write(f->ev, 1);
		wait_for(f, ++n);
		assert_int_equal(f->offset, 0x80);
		assert_int_equal(f->size, size);
		assert_true(f->value == (value & mask));
		assert_int_equal(set(f, size, bar(0, 0x80), value, -1), 0);
	}
	/* What was signalled before it was there counts; nothing after it has gone. */
	eventfd_write(f->ev, 3);
	assert_int_equal(f->writes, n);
	assert_int_equal(set(f, 4, bar(1, 4), 5, f->ev), 0);
	wait_for(f, ++n);
	assert_int_equal(f->value, 5);
	assert_int_equal(set(f, 4, bar(1, 4), 5, -1), 0);
	eventfd_write(f->ev, 1);
	assert_int_equal(f->writes, n);
}

/* Memory decoding is off: the signal is lost, and not kept for later. */
static void test_disabled(void **state)
{
	struct fixture *f = *state;
	int other = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(set(f, 4, bar(0, 0), 1, f->ev), 0);
	assert_int_equal(set(f, 4, bar(1, 0), 2, other), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 1);
	eventfd_write(f->ev, 1);
	/* Ports still answer, and the one thread serves one after the other. */
	eventfd_write(other, 1);
	wait_for(f, 1);
	assert_int_equal(f->value, 2);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, 3);
	eventfd_write(other, 1);
	wait_for(f, 2);
	assert_int_equal(f->value, 2);
	eventfd_write(f->ev, 1);
	wait_for(f, 3);
	assert_int_equal(f->value, 1);
	close(other);
}

static void *signal_on(void *arg)
{
	struct fixture *f = arg;

	for (unsigned i = 0; i < 20000; i++)
		eventfd_write(f->ev, 1);
	return NULL;
}

static void test_race(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, signal_on, f), 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(set(f, 4, bar(0, 0), 1, f->ev), 0);
		assert_int_equal(set(f, 4, bar(0, 4), 2, f->ev), 0);
		assert_int_equal(rig_reset(&f->rig, f->fd), 0);
		if (i % 2)
			assert_int_equal(set(f, 4, bar(0, 0), 1, -1), 0);
		rig_close(&f->rig, f->fd);
		f->fd = rig_open(&f->rig, 0);
		assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
	}
	pthread_join(thread, NULL);
	f->writes = 0;
	eventfd_write(f->ev, 1);
	assert_int_equal(set(f, 4, bar(0, 0), 1, -1), -ENODEV);
	assert_int_equal(f->writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disabled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
