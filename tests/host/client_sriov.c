/* SPDX-License-Identifier: MIT */
/* Virtual functions as a program makes and uses them, through sysfs. */
#include "client.h"
#include "scenarios.h"

#include <pthread.h>
#include <poll.h>
#include <sys/eventfd.h>

#define PF       DEVICES BDF0
#define NUMVFS   PF "/sriov_numvfs"
#define VF0      DEVICES "0000:01:00.1"
#define VF1      DEVICES "0000:01:00.2"
#define VF_NODE  "/dev/vfio/devices/vfio1"
#define VFIO_PCI "/sys/bus/pci/drivers/vfio-pci"

/* 0 or errno. */
static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err = 0;
	size_t n = strlen(text);

	CHECK(fd >= 0);
	if (write(fd, text, n) != (ssize_t)n)
		err = errno;
	close(fd);
	return err;
}

static long number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	CHECK(fd >= 0);
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtol(text, NULL, 0);
}

/* The last part of where a link leads. */
static const char *leads_to(const char *path, char buf[256])
{
	ssize_t n = readlink(path, buf, 255);

	CHECK(n > 0);
	buf[n] = '\0';
	return strrchr(buf, '/') + 1;
}

static int bind_with_token(int fd, int iommu, const uint8_t token[16])
{
	struct vfio_device_bind_iommufd b = {
		.argsz = sizeof(b),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.iommufd = iommu,
		.token_uuid_ptr = (uintptr_t)token,
	};

	return ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &b);
}

static void check_nodes(bool there)
{
	int result = there ? 0 : -1;

	CHECK(access(VF0 "/vendor", R_OK) == result);
	CHECK(access(VF_NODE, R_OK) == result);
	CHECK(access(VFIO_PCI "/0000:01:00.1", F_OK) == result);
	CHECK(access(PF "/virtfn0", F_OK) == result);
}

void scenario_sriov(void)
{
	char buf[256];

	CHECK(number(PF "/sriov_totalvfs") == 2);
	CHECK(number(NUMVFS) == 0);
	CHECK(number(PF "/sriov_offset") == 1 && number(PF "/sriov_stride") == 1);
	check_nodes(false);
	CHECK(put(NUMVFS, "x") == EINVAL && put(NUMVFS, "-1") == EINVAL);
	CHECK(put(NUMVFS, "3") == ERANGE && put(NUMVFS, "65536") == EINVAL);
	CHECK(!put(NUMVFS, "0x1\n"));
	CHECK(number(NUMVFS) == 1);
	check_nodes(true);
	CHECK(!strcmp(leads_to(PF "/virtfn0", buf), "0000:01:00.1"));
	CHECK(!strcmp(leads_to(VF0 "/physfn", buf), BDF0));
	CHECK(!strcmp(leads_to(VF0 "/driver", buf), "vfio-pci"));
	CHECK(number(VF0 "/device") == 0xce02);
	CHECK(access(VF1, F_OK) == -1);
	CHECK(put(NUMVFS, "2") == EBUSY);
	CHECK(!put(NUMVFS, "1"));
	CHECK(!put(NUMVFS, "0"));
	check_nodes(false);

	/* Without a driver if the user says so; what is bound later is as good. */
	CHECK(!put(PF "/sriov_drivers_autoprobe", "0"));
	CHECK(!put(NUMVFS, "2"));
	CHECK(access(VF1 "/driver", F_OK) == -1);
	CHECK(!put(VFIO_PCI "/bind", "0000:01:00.1"));
	check_nodes(true);

	/* They go with the driver of the physical function. */
	CHECK(!put(VFIO_PCI "/unbind", BDF0));
	check_nodes(false);
	CHECK(number(NUMVFS) == 0);
	CHECK(put(NUMVFS, "1") == ENOENT);
	CHECK(!put(VFIO_PCI "/bind", BDF0));
}

static void *take_away(void *arg)
{
	CHECK(!put(NUMVFS, "0"));
	*(volatile bool *)arg = true;
	return NULL;
}

/* A function that is open goes when it has been closed; its client is asked. */
void scenario_sriov_waits(void)
{
	static const uint8_t token[16] = {1, 2, 3};
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} __attribute__((packed)) req = {
		.set = {.argsz = sizeof(req),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1},
		.fd = eventfd(0, 0),
	};
	struct pollfd asked = {.fd = req.fd, .events = POLLIN};
	int iommu = open_iommu(), pf = open(CDEV0, O_RDWR), vf;
	bool gone = false;
	pthread_t thread;

	CHECK(pf >= 0 && !bind_with_token(pf, iommu, token));
	CHECK(!put(NUMVFS, "1"));
	vf = open(VF_NODE, O_RDWR);
	CHECK(vf >= 0);
	CHECK_ERRNO(bind_device(vf, iommu), EACCES);
	CHECK(!bind_with_token(vf, iommu, token));
	CHECK(!ioctl(vf, VFIO_DEVICE_SET_IRQS, &req));
	CHECK(!pthread_create(&thread, NULL, take_away, &gone));
	CHECK(poll(&asked, 1, -1) == 1);
	CHECK(!gone);
	CHECK(open(VF_NODE, O_RDWR) == -1);
	close(vf);
	CHECK(!pthread_join(thread, NULL));
	CHECK(gone);
	check_nodes(false);
	close(pf);
	close(iommu);
	close(req.fd);
}
