/* SPDX-License-Identifier: MIT */
/*
 * A VMM that uses KVM: its VFIO pseudo-device is told of our files, and eventfds go both
 * ways between KVM and a device. No guest runs. Where there is no KVM (or no right to it)
 * the scenario says so and looks at nothing.
 */
#include "client.h"
#include "scenarios.h"

#include <linux/kvm.h>
#include <sys/eventfd.h>

#include "uiommufd/abi/vfio.h"

#define GSI 5 /* an input of the PIC */

static int create_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = -1;

	if (kvm >= 0) {
		vm = ioctl(kvm, KVM_CREATE_VM, 0);
		close(kvm);
	}
	return vm;
}

static int create_pseudo_device(int vm)
{
	struct kvm_create_device d = {.type = KVM_DEV_TYPE_VFIO};

	CHECK(!ioctl(vm, KVM_CREATE_DEVICE, &d));
	return (int)d.fd;
}

/* The FILE and the GROUP names of the attributes are the same numbers. */
static int tell(int pseudo, unsigned long attr, const int32_t *fd)
{
	struct kvm_device_attr a = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attr,
		.addr = (uintptr_t)fd,
	};

	CHECK(!ioctl(pseudo, KVM_HAS_DEVICE_ATTR, &a));
	return ioctl(pseudo, KVM_SET_DEVICE_ATTR, &a);
}

/* As QEMU does it with a cdev: before the device is bound, until it is closed. */
static void tell_of_files(int vm)
{
	int32_t node = open(CDEV0, O_RDWR | O_CLOEXEC), bad = 999;
	int32_t null = open("/dev/null", O_RDWR | O_CLOEXEC), iommu = open_iommu();
	int32_t container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	int pseudo = create_pseudo_device(vm);
	struct kvm_device_attr a = {.group = 7};
	int32_t group;

	CHECK(node >= 0);
	CHECK(!tell(pseudo, KVM_DEV_VFIO_GROUP_ADD, &node));
	CHECK(!bind_device(node, iommu));
	CHECK(!tell(pseudo, KVM_DEV_VFIO_GROUP_DEL, &node));
	CHECK_ERRNO(tell(pseudo, KVM_DEV_VFIO_GROUP_ADD, &bad), EBADF);
	CHECK_ERRNO(tell(pseudo, KVM_DEV_VFIO_GROUP_DEL, &bad), EBADF);
	CHECK_ERRNO(tell(pseudo, KVM_DEV_VFIO_GROUP_ADD, bad_address), EFAULT);
	/* Only devices and groups are VFIO files to it. */
	CHECK_ERRNO(tell(pseudo, KVM_DEV_VFIO_GROUP_ADD, &null), EINVAL);
	CHECK_ERRNO(tell(pseudo, KVM_DEV_VFIO_GROUP_ADD, &iommu), EINVAL);
	CHECK_ERRNO(tell(pseudo, KVM_DEV_VFIO_GROUP_ADD, &container), EINVAL);
	CHECK_ERRNO(tell(pseudo, KVM_DEV_VFIO_GROUP_DEL, &null), ENOENT);
	CHECK_ERRNO(ioctl(pseudo, KVM_SET_DEVICE_ATTR, &a), ENXIO);
	CHECK_ERRNO(ioctl(null, KVM_SET_DEVICE_ATTR, &a), ENOTTY);
	close(node);
	/* The legacy way: the group's node. */
	group = open("/dev/vfio/1", O_RDWR | O_CLOEXEC);
	CHECK(group >= 0);
	CHECK(!tell(pseudo, KVM_DEV_VFIO_GROUP_ADD, &group));
	CHECK(!tell(pseudo, KVM_DEV_VFIO_GROUP_DEL, &group));
	close(group);
	close(pseudo);
	close(container);
	close(iommu);
	close(null);
}

static int set_vector(int device, uint32_t flags, int fd)
{
	struct {
		struct vfio_irq_set h;
		int32_t fd;
	} set = {
		.h = {.argsz = sizeof(set),
		      .flags = flags | VFIO_IRQ_SET_ACTION_TRIGGER,
		      .index = VFIO_PCI_MSIX_IRQ_INDEX,
		      .count = 1},
		.fd = fd,
	};

	return ioctl(device, VFIO_DEVICE_SET_IRQS, &set);
}

static bool pic_has_it(int vm)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_PIC_MASTER};

	CHECK(!ioctl(vm, KVM_GET_IRQCHIP, &chip));
	return chip.chip.pic.irr & 1 << GSI;
}

/* The device's interrupt is the guest's, with no VMM in between. */
static void interrupt_to_guest(int vm)
{
	struct kvm_irqfd irqfd = {.gsi = GSI};
	struct device d;

	CHECK(!ioctl(vm, KVM_CREATE_IRQCHIP, 0));
	device_open(&d, CDEV0);
	irqfd.fd = (uint32_t)eventfd(0, EFD_CLOEXEC);
	CHECK((int)irqfd.fd >= 0);
	CHECK(!ioctl(vm, KVM_IRQFD, &irqfd));
	CHECK(!set_vector(d.fd, VFIO_IRQ_SET_DATA_EVENTFD, (int)irqfd.fd));
	CHECK(!pic_has_it(vm));
	CHECK(!set_vector(d.fd, VFIO_IRQ_SET_DATA_NONE, -1));
	/* KVM may leave it to a thread of its own. */
	for (int i = 0; i < 10000 && !pic_has_it(vm); i++)
		usleep(1000);
	CHECK(pic_has_it(vm));
	close((int)irqfd.fd);
	device_close(&d);
}

void scenario_kvm(void)
{
	int vm = create_vm();

	if (vm < 0) {
		dprintf(2, "no KVM here: nothing looked at\n");
		return;
	}
	tell_of_files(vm);
	interrupt_to_guest(vm);
	close(vm);
}
