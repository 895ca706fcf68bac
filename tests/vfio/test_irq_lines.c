/* SPDX-License-Identifier: MIT */
/*
 * MSI, with and without masks, and INTx: masked by itself, by hand, by an eventfd, by
 * COMMAND and in low power.
 */
#include "tests/vfio/irqs.h"

#include <fcntl.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define MASK        VFIO_IRQ_SET_ACTION_MASK
#define UNMASK      VFIO_IRQ_SET_ACTION_UNMASK
#define MSI_CAP     0x50
#define MSI_VECTORS 4
#define NO_INTX     0x0400
#define STATUS      0x06

static int setup_all(void **state)
{
	struct irqs *f;

	irqs_setup(state);
	f = *state;
	f->model.desc.interrupt_pin = 1;
	f->model.desc.msi_vectors = MSI_VECTORS;
	f->model.desc.no_soft_reset = true;
	irqs_restart(f);
	return 0;
}

static void test_msi(void **state)
{
	struct irqs *f = *state;

	assert_int_equal(rig_config16(&f->rig, f->fd, MSI_CAP + 2), 0x84);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(irqs_set(f, MSI, EVENTFD | TRIGGER, 0, 3, f->ev, 12), 0);
	/* One way at a time. */
	assert_int_equal(irqs_set(f, MSIX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), -EINVAL);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), -EINVAL);
	for (unsigned i = 0; i < 5; i++)
		uiommufd_irq(f->model.dev, i);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(irqs_take(f->ev[i]), i < 3);
	/* No vector is added to those there are; one may pause. */
	assert_int_equal(irqs_set(f, MSI, EVENTFD | TRIGGER, 3, 1, f->ev, 4), -EINVAL);
	assert_int_equal(irqs_set(f, MSI, EVENTFD | TRIGGER, 1, 1, (int32_t[]){-1}, 4),
			 0);
	assert_int_equal(irqs_set(f, MSI, NONE | TRIGGER, 0, 3, NULL, 0), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(irqs_take(f->ev[i]), i != 1);
	/* A client's driver enables it, too, for as many as VFIO has. */
	rig_set_config16(&f->rig, f->fd, MSI_CAP + 2, 0x00f1);
	assert_int_equal(rig_config16(&f->rig, f->fd, MSI_CAP + 2), 0x00a1);
	assert_int_equal(irqs_set(f, MSI, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	rig_set_config16(&f->rig, f->fd, MSI_CAP + 2, 0x0081);
	assert_int_equal(rig_config16(&f->rig, f->fd, MSI_CAP + 2), 0x0080);
	assert_int_equal(irqs_set(f, MSI, EVENTFD | MASK, 0, 1, f->ev, 4), -ENOTTY);
}

/* ---- MSI with masks --------------------------------------------------------------- */

#define MASKS_CAP   0x48
#define MASK_REG    (MASKS_CAP + 0x10)
#define PENDING_REG (MASKS_CAP + 0x14)

static int setup_masks(void **state)
{
	struct irqs *f;

	setup_all(state);
	f = *state;
	f->model.desc.msi_masks = true;
	irqs_restart(f);
	return 0;
}

static unsigned get8(struct irqs *f, unsigned at)
{
	uint8_t v = 0;

	assert_int_equal(rig_pread(&f->rig, f->fd, &v, 1,
				   VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + at),
			 1);
	return v;
}

static void put8(struct irqs *f, unsigned at, uint8_t v)
{
	assert_int_equal(rig_pwrite(&f->rig, f->fd, &v, 1,
				    VFILE_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + at),
			 1);
}

/* Vectors 0 to 2 of 4 have eventfds. */
static void test_msi_masks(void **state)
{
	struct irqs *f = *state;

	assert_int_equal(rig_config16(&f->rig, f->fd, MASKS_CAP + 2), 0x184);
	assert_int_equal(get8(f, MASK_REG), 0);
	assert_int_equal(irqs_set(f, MSI, EVENTFD | TRIGGER, 0, 3, f->ev, 12), 0);
	/* Linux masks what nobody is told of. */
	assert_int_equal(get8(f, MASK_REG), 0x8);
	for (unsigned i = 0; i < 4; i++)
		uiommufd_irq(f->model.dev, i);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(irqs_take(f->ev[i]), i < 3);
	assert_int_equal(get8(f, PENDING_REG), 0x8);
	/* Masked by the client: pending, and told once. */
	put8(f, MASK_REG, 0xff);
	assert_int_equal(get8(f, MASK_REG), 0xf);
	uiommufd_irq(f->model.dev, 1);
	uiommufd_irq(f->model.dev, 1);
	assert_int_equal(irqs_take(f->ev[1]), 0);
	assert_int_equal(get8(f, PENDING_REG), 0xa);
	put8(f, PENDING_REG, 0);
	put8(f, MASK_REG + 1, 0);
	assert_int_equal(get8(f, PENDING_REG), 0xa);
	put8(f, MASK_REG, 0xd);
	assert_int_equal(get8(f, PENDING_REG), 0x8);
	assert_int_equal(irqs_take(f->ev[1]), 1);
	/* VFIO's own triggers pass by the masks. */
	assert_int_equal(irqs_set(f, MSI, NONE | TRIGGER, 0, 1, NULL, 0), 0);
	assert_int_equal(irqs_take(f->ev[0]), 1);
}

/* What Linux writes replaces what the client wrote. */
static void test_msi_masks_of_linux(void **state)
{
	struct irqs *f = *state;

	put8(f, MASK_REG, 0x3);
	assert_int_equal(get8(f, MASK_REG), 0x3);
	assert_int_equal(irqs_set(f, MSI, EVENTFD | TRIGGER, 0, 3, f->ev, 12), 0);
	assert_int_equal(get8(f, MASK_REG), 0x8);
	put8(f, MASK_REG, 0x1);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	assert_int_equal(irqs_set(f, MSI, EVENTFD | TRIGGER, 2, 1, (int32_t[]){-1}, 4),
			 0);
	assert_int_equal(get8(f, MASK_REG), 0xc);
	assert_int_equal(irqs_take(f->ev[0]), 1);
	/* A vector that pauses is told of afterwards. */
	uiommufd_irq(f->model.dev, 2);
	assert_int_equal(get8(f, PENDING_REG), 0x4);
	assert_int_equal(irqs_set(f, MSI, EVENTFD | TRIGGER, 2, 1, f->ev + 2, 4), 0);
	assert_int_equal(irqs_take(f->ev[2]), 1);
	/* A reset forgets what was pending. */
	put8(f, MASK_REG, 0xf);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
	assert_int_equal(get8(f, MASK_REG), 0x8);
	assert_int_equal(get8(f, PENDING_REG), 0);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	/* Off, nothing is masked. */
	put8(f, MASK_REG, 0xf);
	assert_int_equal(irqs_set(f, MSI, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	assert_int_equal(get8(f, MASK_REG), 0);
	uiommufd_irq(f->model.dev, 0);
	assert_int_equal(get8(f, PENDING_REG), 0);
}

static bool line_shows(struct irqs *f)
{
	return rig_config16(&f->rig, f->fd, STATUS) & 0x8;
}

static void test_intx(void **state)
{
	struct irqs *f = *state;

	assert_int_equal(rig_config16(&f->rig, f->fd, 0x3c) >> 8, 1);
	assert_int_equal(irqs_set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(irqs_set(f, INTX, NONE | TRIGGER, 0, 1, NULL, 0), -EINVAL);
	uiommufd_intx(f->model.dev, true);
	assert_true(line_shows(f));
	/* It is there already. */
	assert_int_equal(irqs_set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(irqs_take(f->ev[0]), 1);
	/* Masked by itself: an edge more is not told. */
	uiommufd_intx(f->model.dev, false);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	/* The level is still there: told again, and masked. */
	assert_int_equal(irqs_set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), 0);
	assert_int_equal(irqs_set(f, INTX, BOOL | UNMASK, 0, 1, "\1", 1), 0);
	assert_int_equal(irqs_set(f, INTX, BOOL | UNMASK, 0, 1, "\0", 1), 0);
	assert_int_equal(irqs_take(f->ev[0]), 2);
	uiommufd_intx(f->model.dev, false);
	assert_int_equal(irqs_set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), 0);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(irqs_take(f->ev[0]), 1);
	/* Masked by hand. */
	uiommufd_intx(f->model.dev, false);
	assert_int_equal(irqs_set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), 0);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | MASK, 0, 1, f->ev, 4), -ENOTTY);
	assert_int_equal(irqs_set(f, INTX, NONE | MASK, 0, 1, NULL, 0), 0);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	/* Loopback does not ask. */
	assert_int_equal(irqs_set(f, INTX, NONE | TRIGGER, 0, 1, NULL, 0), 0);
	assert_int_equal(irqs_take(f->ev[0]), 1);
	/* A reset lowers the level. */
	assert_int_equal(rig_reset(&f->rig, f->fd), 0);
	assert_false(line_shows(f));
	assert_int_equal(irqs_set(f, INTX, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	assert_int_equal(irqs_set(f, MSI, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
}

/* As KVM resamples: its eventfd unmasks, and is answered while the level is there. */
static void test_intx_unmask_fd(void **state)
{
	struct irqs *f = *state;
	uint64_t n;
	int32_t none = -1;

	fcntl(f->ev[0], F_SETFL, O_RDWR); /* blocking: to wait with */
	alarm(60);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4),
			 -EINVAL);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, (int32_t[]){999}, 4),
			 -EBADF);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), 0);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), -EBUSY);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(read(f->ev[0], &n, 8), 8);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(eventfd_write(f->ev[1], 1), 0);
		assert_int_equal(read(f->ev[0], &n, 8), 8);
		assert_int_equal(n, 1);
	}
	assert_int_equal(irqs_take(f->ev[1]), 0);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, &none, 4), 0);
	assert_int_equal(eventfd_write(f->ev[1], 1), 0);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), 0);
	assert_int_equal(read(f->ev[0], &n, 8), 8);
	/* It goes with the trigger. */
	assert_int_equal(irqs_set(f, INTX, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(read(f->ev[0], &n, 8), 8);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), 0);
	alarm(0);
}

/* The eventfd goes when its last descriptor is closed, wherever that is. */
static void test_intx_unmask_closed(void **state)
{
	struct irqs *f = *state;
	int32_t first = eventfd(0, EFD_CLOEXEC), none = -1;
	int release[2];
	pid_t pid;

	assert_int_equal(irqs_set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, &first, 4), 0);
	assert_int_equal(pipe(release), 0);
	pid = fork();
	if (!pid) {
		char c;

		close(release[1]);
		_exit(read(release[0], &c, 1) != 0);
	}
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), -EBUSY);
	close(first);
	/* The child has it, too. */
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), -EBUSY);
	close(release[0]);
	close(release[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), 0);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, f->ev + 1, 4), -EBUSY);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | UNMASK, 0, 1, &none, 4), 0);
}

static long low_power(struct irqs *f, uint32_t nr)
{
	struct vfio_device_feature h = {sizeof(h), VFIO_DEVICE_FEATURE_SET | nr};

	return rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_FEATURE, &h);
}

/* A function in low power is not heard, but while it is accessed. */
static void test_intx_low_power(void **state)
{
	struct irqs *f = *state;

	assert_int_equal(irqs_set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(low_power(f, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY), 0);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	rig_config16(&f->rig, f->fd, 0);
	assert_int_equal(irqs_take(f->ev[0]), 1);
	uiommufd_intx(f->model.dev, false);
	assert_int_equal(irqs_set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), 0);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	assert_int_equal(low_power(f, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT), 0);
	assert_int_equal(irqs_take(f->ev[0]), 1);
	/* What the client has masked stays masked. */
	uiommufd_intx(f->model.dev, false);
	assert_int_equal(irqs_set(f, INTX, NONE | MASK, 0, 1, NULL, 0), 0);
	assert_int_equal(low_power(f, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY), 0);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(low_power(f, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT), 0);
	assert_int_equal(irqs_take(f->ev[0]), 0);
}

static void test_intx_command(void **state)
{
	struct irqs *f = *state;
	unsigned command = rig_config16(&f->rig, f->fd, RIG_COMMAND);

	assert_int_equal(irqs_set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, command | NO_INTX);
	uiommufd_intx(f->model.dev, true);
	assert_int_equal(irqs_set(f, INTX, NONE | UNMASK, 0, 1, NULL, 0), 0);
	assert_int_equal(irqs_set(f, INTX, NONE | TRIGGER, 0, 1, NULL, 0), 0);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	assert_int_equal(rig_config16(&f->rig, f->fd, RIG_COMMAND), command | NO_INTX);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, command);
	assert_int_equal(irqs_take(f->ev[0]), 1);
	/* Enabled while it is off: from then on. */
	assert_int_equal(irqs_set(f, INTX, NONE | TRIGGER, 0, 0, NULL, 0), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, command | NO_INTX);
	assert_int_equal(irqs_set(f, INTX, EVENTFD | TRIGGER, 0, 1, f->ev, 4), 0);
	assert_int_equal(irqs_take(f->ev[0]), 0);
	rig_set_config16(&f->rig, f->fd, RIG_COMMAND, command);
	assert_int_equal(irqs_take(f->ev[0]), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_msi, setup_all, irqs_teardown),
		cmocka_unit_test_setup_teardown(test_intx, setup_all, irqs_teardown),
		cmocka_unit_test_setup_teardown(test_msi_masks, setup_masks,
						irqs_teardown),
		cmocka_unit_test_setup_teardown(test_msi_masks_of_linux, setup_masks,
						irqs_teardown),
		cmocka_unit_test_setup_teardown(test_intx_unmask_fd, setup_all,
						irqs_teardown),
		cmocka_unit_test_setup_teardown(test_intx_unmask_closed, setup_all,
						irqs_teardown),
		cmocka_unit_test_setup_teardown(test_intx_low_power, setup_all,
						irqs_teardown),
		cmocka_unit_test_setup_teardown(test_intx_command, setup_all,
						irqs_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
