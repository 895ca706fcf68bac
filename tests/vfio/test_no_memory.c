/* SPDX-License-Identifier: MIT */
/*
 * Every allocation fails once: each operation answers ENOMEM, changes nothing, leaks
 * nothing (the sanitizers look), and succeeds when it is tried again.
 */
#include "tests/vfio/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "port/fault_inject.h"

#define I 0x10000000ull

/* @call is a long-valued expression; it needs at least @least allocations. */
#define EACH_FAILURE(least, call)                                                        \
	do {                                                                             \
		unsigned long n_ = 0;                                                    \
		long ret_;                                                               \
                                                                                         \
		for (;;) {                                                               \
			port_fail_nth(++n_);                                             \
			ret_ = (call);                                                   \
			if (!port_fail_nth_stop())                                       \
				break;                                                   \
			assert_int_equal(ret_, -ENOMEM);                                 \
		}                                                                        \
		assert_true(ret_ >= 0);                                                  \
		assert_true(n_ > (least));                                               \
	} while (0)

static long open_device(struct rig *r, int *fd)
{
	*fd = rig_open(r, 0);
	return *fd;
}

static long export(struct rig *r, int dev, int *fd)
{
	*fd = (int)rig_dmabuf(r, dev, 2, 0, 1 << 20);
	return *fd;
}

static long enable_irqs(struct rig *r, int fd, int ev)
{
	struct {
		struct vfio_irq_set h;
		int32_t fds[2];
	} set = {
		.h = {.argsz = sizeof(set),
		      .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		      .index = VFIO_PCI_MSIX_IRQ_INDEX,
		      .count = 2},
		.fds = {ev, ev},
	};

	return rig_ioctl(r, fd, VFIO_DEVICE_SET_IRQS, &set);
}

static void test_all(void **state)
{
	int iommu, fd, buf, ev = eventfd(0, EFD_CLOEXEC);
	struct rig_model m;
	struct rig r;
	char error[100];
	uint32_t ioas;

	rig_model_default(&m, 0);
	rig_create(&r, NULL, 0);
	EACH_FAILURE(4, rig_try_device(&r, &m, error, sizeof(error)));
	iommu = rig_open_iommu(&r);
	ioas = rig_ioas(&r, iommu);
	EACH_FAILURE(1, open_device(&r, &fd));
	EACH_FAILURE(1, rig_bind(&r, fd, iommu, NULL));
	EACH_FAILURE(1, rig_attach(&r, fd, ioas));
	EACH_FAILURE(4, export(&r, fd, &buf));
	EACH_FAILURE(1, rig_map_file(&r, iommu, ioas, buf, 0, 1 << 20, I));
	EACH_FAILURE(1, enable_irqs(&r, fd, ev));
	/* What takes away, or restores, needs no memory at all. */
	port_fail_nth(1);
	assert_int_equal(rig_reset(&r, fd), 0);
	rig_set_config16(&r, fd, RIG_COMMAND, 0);
	rig_set_config16(&r, fd, RIG_COMMAND, 7);
	rig_set_config16(&r, fd, RIG_PMCSR, 3);
	rig_set_config16(&r, fd, RIG_PMCSR, 0);
	rig_set_config16(&r, fd, RIG_DEVCTL, 0x8000);
	rig_close(&r, buf);
	rig_close(&r, fd);
	assert_false(port_fail_nth_stop());
	close(ev);
	rig_close(&r, iommu);
	rig_destroy(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
