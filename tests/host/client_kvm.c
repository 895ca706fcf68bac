/* SPDX-License-Identifier: MIT */
/*
 * A VMM that uses KVM: its VFIO pseudo-device is told of our files, and eventfds go both
 * ways between KVM and a device. No guest runs. What the pseudo-device refuses is asked
 * of the real one as well. Where there is no KVM (or no right to it) the scenario says so
 * and looks at nothing.
 */
#include "client.h"
#include "scenarios.h"

#include <linux/kvm.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

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

static int try_create(int vm, uint32_t flags, int *pseudo)
{
	struct kvm_create_device d = {.type = KVM_DEV_TYPE_VFIO, .flags = flags};
	int r = ioctl(vm, KVM_CREATE_DEVICE, &d);

	*pseudo = (int)d.fd;
	return r;
}

static int create_pseudo_device(int vm)
{
	int pseudo;

	CHECK(!try_create(vm, 0, &pseudo));
	return pseudo;
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

#define ADD KVM_DEV_VFIO_GROUP_ADD
#define DEL KVM_DEV_VFIO_GROUP_DEL

static void in_a_child(int pseudo)
{
	struct kvm_device_attr a = {.group = KVM_DEV_VFIO_GROUP, .attr = ADD};
	pid_t pid = fork();
	int status;

	if (!pid) {
		CHECK_ERRNO(ioctl(pseudo, KVM_HAS_DEVICE_ATTR, &a), EIO);
		CHECK_ERRNO(ioctl(pseudo, KVM_SET_DEVICE_ATTR, &a), EIO);
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(!status);
}

/* What takes no VFIO file to see: the same under `uiommufd run` and of the real KVM. */
static void refusals(int vm)
{
	struct kvm_device_attr group_7 = {.group = 7}, attr_9 = {.group = 1, .attr = 9};
	int32_t null = open("/dev/null", O_RDWR | O_CLOEXEC), bad = 999;
	int pseudo, other;
	char link[64] = "";
	char path[32];

	CHECK(!try_create(vm, KVM_CREATE_DEVICE_TEST, &pseudo));
	CHECK_ERRNO(ioctl(vm, KVM_CREATE_DEVICE, bad_address), EFAULT);
	pseudo = create_pseudo_device(vm);
	CHECK(fcntl(pseudo, F_GETFD) == FD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pseudo);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0);
	CHECK(!strcmp(link, "anon_inode:kvm-vfio"));
	CHECK_ERRNO(try_create(vm, 0, &other), EBUSY);
	CHECK(!try_create(vm, KVM_CREATE_DEVICE_TEST, &other));
	CHECK_ERRNO(tell(pseudo, ADD, &bad), EBADF);
	CHECK_ERRNO(tell(pseudo, DEL, &bad), EBADF);
	CHECK_ERRNO(tell(pseudo, ADD, bad_address), EFAULT);
	CHECK_ERRNO(tell(pseudo, DEL, bad_address), EFAULT);
	CHECK_ERRNO(tell(pseudo, ADD, &null), EINVAL);
	CHECK_ERRNO(tell(pseudo, ADD, &vm), EINVAL);
	CHECK_ERRNO(tell(pseudo, DEL, &null), ENOENT);
	CHECK_ERRNO(ioctl(pseudo, KVM_SET_DEVICE_ATTR, &group_7), ENXIO);
	CHECK_ERRNO(ioctl(pseudo, KVM_HAS_DEVICE_ATTR, &group_7), ENXIO);
	CHECK_ERRNO(ioctl(pseudo, KVM_SET_DEVICE_ATTR, &attr_9), ENXIO);
	CHECK_ERRNO(ioctl(pseudo, KVM_HAS_DEVICE_ATTR, &attr_9), ENXIO);
	CHECK_ERRNO(ioctl(pseudo, KVM_SET_DEVICE_ATTR, bad_address), EFAULT);
	CHECK_ERRNO(ioctl(pseudo, KVM_GET_DEVICE_ATTR, bad_address), EPERM);
	CHECK_ERRNO(ioctl(pseudo, KVM_CREATE_VCPU, 0), ENOTTY);
	CHECK_ERRNO(ioctl(null, KVM_SET_DEVICE_ATTR, &group_7), ENOTTY);
	in_a_child(pseudo);
	close(pseudo);
	close(create_pseudo_device(vm));
	close(null);
}

/* As QEMU does it with a cdev: before the device is bound, until it is closed. */
static void tell_of_files(int vm)
{
	int32_t node = open(CDEV0, O_RDWR | O_CLOEXEC), iommu = open_iommu();
	int32_t again = open(CDEV0, O_RDWR | O_CLOEXEC), same = dup(node);
	int32_t container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	int pseudo = create_pseudo_device(vm);
	int32_t group;

	CHECK(node >= 0 && again >= 0);
	CHECK_ERRNO(tell(pseudo, DEL, &node), ENOENT);
	CHECK(!tell(pseudo, ADD, &node));
	CHECK_ERRNO(tell(pseudo, ADD, &node), EEXIST);
	CHECK_ERRNO(tell(pseudo, ADD, &same), EEXIST);
	/* What counts is the open, not the device. */
	CHECK_ERRNO(tell(pseudo, DEL, &again), ENOENT);
	CHECK(!tell(pseudo, ADD, &again));
	CHECK(!tell(pseudo, DEL, &again));
	CHECK(!bind_device(node, iommu));
	CHECK(!tell(pseudo, DEL, &same));
	CHECK_ERRNO(tell(pseudo, DEL, &node), ENOENT);
	/* Only devices and groups are VFIO files to it. */
	CHECK_ERRNO(tell(pseudo, ADD, &iommu), EINVAL);
	CHECK_ERRNO(tell(pseudo, ADD, &container), EINVAL);
	CHECK_ERRNO(tell(pseudo, ADD, &pseudo), EINVAL);
	CHECK_ERRNO(tell(pseudo, DEL, &container), ENOENT);
	CHECK_ERRNO(ioctl(node, KVM_SET_DEVICE_ATTR, bad_address), ENOTTY);
	close(same);
	close(again);
	close(node);
	/* The legacy way: the group's node. */
	group = open("/dev/vfio/1", O_RDWR | O_CLOEXEC);
	CHECK(group >= 0);
	CHECK(!tell(pseudo, ADD, &group));
	CHECK_ERRNO(tell(pseudo, ADD, &group), EEXIST);
	CHECK(!tell(pseudo, DEL, &group));
	close(group);
	close(pseudo);
	close(container);
	close(iommu);
}

/* What KVM was told of stays open until it is told otherwise, or closed itself. */
static void keeps_files(int vm)
{
	int pseudo = create_pseudo_device(vm), iommu = open_iommu();
	int32_t group = open("/dev/vfio/1", O_RDWR | O_CLOEXEC);
	int32_t node;

	CHECK(group >= 0);
	CHECK(!tell(pseudo, ADD, &group));
	close(group);
	CHECK_ERRNO(open("/dev/vfio/1", O_RDWR), EBUSY);
	close(pseudo);
	group = open("/dev/vfio/1", O_RDWR | O_CLOEXEC);
	CHECK(group >= 0);
	close(group);

	pseudo = create_pseudo_device(vm);
	node = open(CDEV0, O_RDWR | O_CLOEXEC);
	CHECK(node >= 0 && !bind_device(node, iommu));
	CHECK(!tell(pseudo, ADD, &node));
	close(node);
	node = open(CDEV0, O_RDWR | O_CLOEXEC);
	CHECK(node >= 0);
	CHECK(bind_device(node, iommu) == -1);
	/* The virtual machine itself does not, as long as the device is there. */
	close(vm);
	CHECK(bind_device(node, iommu) == -1);
	close(pseudo);
	CHECK(!bind_device(node, iommu));
	close(node);
	close(iommu);
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

/* -1: no KVM here, or no right to it. */
static int vm_or_complaint(void)
{
	int vm = create_vm();

	if (vm < 0)
		dprintf(2, "no KVM here: nothing looked at\n");
	return vm;
}

static void one_for_each(int vm, int other)
{
	int a = create_pseudo_device(vm), b = create_pseudo_device(other);

	close(a);
	close(b);
}

/* Killed with its files known to KVM, it leaves them free: the next run needs them. */
static void dies(void)
{
	pid_t pid = fork();
	int status, node;

	if (!pid) {
		int own = create_vm(), pseudo = create_pseudo_device(own);
		int32_t group = open("/dev/vfio/1", O_RDWR | O_CLOEXEC);

		CHECK(group >= 0 && !tell(pseudo, ADD, &group));
		close(group);
		raise(SIGKILL);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status));
	node = open("/dev/vfio/1", O_RDWR | O_CLOEXEC);
	CHECK(node >= 0);
	close(node);
}

void scenario_kvm(void)
{
	int vm = vm_or_complaint(), other;

	if (vm < 0)
		return;
	refusals(vm);
	other = create_vm();
	CHECK(other >= 0);
	one_for_each(vm, other);
	tell_of_files(vm);
	keeps_files(other);
	dies();
	interrupt_to_guest(vm);
	close(vm);
}

void scenario_kvm_native(int argc, char **argv)
{
	int vm = vm_or_complaint();

	(void)argc;
	(void)argv;
	if (vm >= 0)
		refusals(vm);
}
