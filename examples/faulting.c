/* SPDX-License-Identifier: MIT */
/*
 * Registers behind a mapping, inside a program that links the library: a driver that maps
 * BAR 0 and uses pointers works as it does on hardware. Each access faults, and this
 * program's own handler has it done by uiommufd_mmio_fault().
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ce_driver.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/abi/vfio_pci.h"
#include "uiommufd/uiommufd.h"

#define RING_IOVA 0x100000
#define DATA_IOVA 0x200000
#define PAGE      4096u

static struct uiommufd_machine *machine;
static struct sigaction before;

/* What is no access to a register goes where it would have gone without us. */
static void on_bus(int sig, siginfo_t *info, void *context)
{
	if (uiommufd_mmio_fault(machine, sig, info, context))
		return;
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(sig, info, context);
	else
		signal(sig, SIG_DFL);
}

static void must(long result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "faulting: %s: %s\n", what, strerror((int)-result));
	exit(1);
}

/* ---- the driver's way to its registers: pointers ----------------------------------- */

static int reg_read(void *arg, uint64_t offset, void *value, size_t n)
{
	const volatile uint8_t *bar = arg;

	if (n == 8)
		*(uint64_t *)value = *(const volatile uint64_t *)(bar + offset);
	else
		*(uint32_t *)value = *(const volatile uint32_t *)(bar + offset);
	return 0;
}

static int reg_write(void *arg, uint64_t offset, const void *value, size_t n)
{
	volatile uint8_t *bar = arg;

	if (n == 8)
		*(volatile uint64_t *)(bar + offset) = *(const uint64_t *)value;
	else
		*(volatile uint32_t *)(bar + offset) = *(const uint32_t *)value;
	return 0;
}

/* ---- a device, as a VMM opens it ----------------------------------------------------
 */

static int iommufd;
static uint32_t ioas;

static int open_device(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct vfio_region_info config = {.argsz = sizeof(config),
					  .index = VFIO_PCI_CONFIG_REGION_INDEX};
	const uint16_t command = 0x6; /* memory, bus master */
	int fd;

	iommufd = uiommufd_open(machine, "/dev/iommu", O_RDWR);
	must(iommufd, "/dev/iommu");
	must(uiommufd_ioctl(machine, iommufd, IOMMU_IOAS_ALLOC, &alloc), "IOAS_ALLOC");
	ioas = attach.pt_id = alloc.out_ioas_id;
	bind.iommufd = iommufd;
	fd = uiommufd_open(machine, "/dev/vfio/devices/vfio0", O_RDWR);
	must(fd, "/dev/vfio/devices/vfio0");
	must(uiommufd_ioctl(machine, fd, VFIO_DEVICE_BIND_IOMMUFD, &bind), "bind");
	must(uiommufd_ioctl(machine, fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach),
	     "attach");
	must(uiommufd_ioctl(machine, fd, VFIO_DEVICE_GET_REGION_INFO, &config),
	     "region info");
	must(uiommufd_pwrite(machine, fd, &command, 2, config.offset + 4), "COMMAND");
	return fd;
}

static void map(void *va, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	must(uiommufd_ioctl(machine, iommufd, IOMMU_IOAS_MAP, &cmd), "IOAS_MAP");
}

int main(void)
{
	static const char *const devices[] = {"copy-engine,mmio=fault", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	struct sigaction sa = {.sa_sigaction = on_bus,
			       .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
	struct vfio_region_info bar0 = {.argsz = sizeof(bar0)};
	static _Alignas(4096) uint8_t ring[PAGE], data[PAGE];
	struct ce_bus bus = {reg_read, reg_write, NULL};
	char error[200] = "";
	struct ce ce;
	void *regs;
	int fd;

	config.devices = devices;
	config.mmio_faults = true;
	if (uiommufd_machine_create(&config, error, sizeof(error), &machine)) {
		fprintf(stderr, "faulting: %s\n", error);
		return 1;
	}
	/* After the machine was made: in front of the library's own handler. */
	sigaction(SIGBUS, &sa, &before);
	fd = open_device();
	must(uiommufd_ioctl(machine, fd, VFIO_DEVICE_GET_REGION_INFO, &bar0), "BAR 0");
	must(uiommufd_mmap(machine, fd, bar0.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   bar0.offset, &regs),
	     "mmap of BAR 0");
	map(ring, PAGE, RING_IOVA);
	map(data, PAGE, DATA_IOVA);
	bus.arg = regs;
	printf("the engine's id is %#x\n",
	       *(volatile uint32_t *)((uint8_t *)regs + CE_REG_ID));
	must(ce_start(&ce, &bus, ring, RING_IOVA, 16), "start of the engine");
	must(ce_fill(&ce, DATA_IOVA, 0x1122334455667788, PAGE, 0), "fill");
	must(ce_stop(&ce), "stop of the engine");
	for (unsigned i = 0; i < PAGE; i++)
		must(data[i] == 0x88 - 0x11 * (i % 8) ? 0 : -EIO, "what it wrote");
	printf("it filled a page, driven by loads and stores alone\n");
	munmap(regs, bar0.size);
	uiommufd_close(machine, fd);
	uiommufd_close(machine, iommufd);
	return uiommufd_machine_destroy(machine);
}
