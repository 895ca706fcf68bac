/* SPDX-License-Identifier: MIT */
/*
 * SR-IOV through the library: virtual functions come and go, their configuration space,
 * the token that opens them, and all of it at once from several threads.
 *
 * The machine has a copy engine with three virtual functions at 0000:01:00.0 (vfio0, and
 * vfio2 to vfio4), and a plain one at 0000:02:00.0 (vfio1).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/abi/vfio_type1.h"
#include "uiommufd/uiommufd.h"

#define PF       "0000:01:00.0"
#define PF_NODE  "/dev/vfio/devices/vfio0"
#define VF_NODE  "/dev/vfio/devices/vfio2"
#define VF_NAME  "0000:01:00.1"
#define VF_GROUP "/dev/vfio/5" /* behind those of the devices and their ports */
#define CONFIG   ((uint64_t)1 << 62 | (uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)
#define BAR2     ((uint64_t)1 << 62 | (uint64_t)2 << 40)

#define TOKEN_1  "52ac9bff-3a88-4fbd-901a-0d767c3b6c97"
#define TOKEN_2  "88594674-90a0-47a9-aea8-9d9b352ac08A"

static const uint8_t token_1[16] = {0x52, 0xac, 0x9b, 0xff, 0x3a, 0x88, 0x4f, 0xbd,
				    0x90, 0x1a, 0x0d, 0x76, 0x7c, 0x3b, 0x6c, 0x97};
static const uint8_t token_2[16] = {0x88, 0x59, 0x46, 0x74, 0x90, 0xa0, 0x47, 0xa9,
				    0xae, 0xa8, 0x9d, 0x9b, 0x35, 0x2a, 0xc0, 0x8a};

static struct uiommufd_machine *m;
static int iommu;

static int setup(void **state)
{
	static const char *const devices[] = {"copy-engine,vram=1M,vfs=3",
					      "copy-engine,vram=1M", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;

	(void)state;
	config.devices = devices;
	if (uiommufd_machine_create(&config, NULL, 0, &m))
		return -1;
	iommu = uiommufd_open(m, "/dev/iommu", O_RDWR);
	return iommu < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	uiommufd_close(m, iommu);
	return uiommufd_machine_destroy(m);
}

static long bind(int fd, const uint8_t *token)
{
	struct vfio_device_bind_iommufd b = {
		.argsz = sizeof(b),
		.flags = token ? VFIO_DEVICE_BIND_FLAG_TOKEN : 0,
		.iommufd = iommu,
		.token_uuid_ptr = (uintptr_t)token,
	};

	return uiommufd_ioctl(m, fd, VFIO_DEVICE_BIND_IOMMUFD, &b);
}

/* A descriptor, or what open or bind answers. */
static int open_bound(const char *node, const uint8_t *token)
{
	int fd = uiommufd_open(m, node, O_RDWR);
	long err = fd < 0 ? fd : bind(fd, token);

	if (fd >= 0 && err)
		uiommufd_close(m, fd);
	return err ? (int)err : fd;
}

static uint32_t config(int fd, unsigned offset, unsigned n)
{
	uint32_t value = 0;

	assert_int_equal(uiommufd_pread(m, fd, &value, n, CONFIG + offset), n);
	return value;
}

static void set_config(int fd, unsigned offset, unsigned n, uint32_t value)
{
	assert_int_equal(uiommufd_pwrite(m, fd, &value, n, CONFIG + offset), n);
}

/* ---- coming and going ------------------------------------------------------------- */

static void functions_come_and_go(void **state)
{
	(void)state;
	assert_int_equal(uiommufd_open(m, VF_NODE, O_RDWR), -ENOENT);
	assert_int_equal(uiommufd_open(m, VF_GROUP, O_RDWR), -ENOENT);
	assert_int_equal(uiommufd_set_vfs(m, "0000:09:00.0", 1), -ENODEV);
	assert_int_equal(uiommufd_set_vfs(m, VF_NAME, 1), -ENODEV);
	assert_int_equal(uiommufd_set_vfs(m, "0000:02:00.0", 1), -ENOENT);
	assert_int_equal(uiommufd_set_vfs(m, PF, 4), -ERANGE);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), 0);
	assert_int_equal(uiommufd_set_vfs(m, PF, 2), 0);
	assert_int_equal(uiommufd_set_vfs(m, PF, 2), 0);
	assert_int_equal(uiommufd_set_vfs(m, PF, 3), -EBUSY);
	assert_int_equal(uiommufd_set_vfs(m, VF_NAME, 1), -ENOENT);
	uiommufd_close(m, uiommufd_open(m, VF_NODE, O_RDWR));
	uiommufd_close(m, uiommufd_open(m, VF_GROUP, O_RDWR));
	assert_int_equal(uiommufd_open(m, "/dev/vfio/devices/vfio4", O_RDWR), -ENOENT);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), 0);
	assert_int_equal(uiommufd_open(m, VF_NODE, O_RDWR), -ENOENT);
	assert_int_equal(uiommufd_set_vfs(m, PF, 3), 0);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), 0);
}

/* The REQ interrupt goes to @event. */
static void ask_for_requests(int fd, int event)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} __attribute__((packed)) r = {
		.set = {.argsz = sizeof(r),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1},
		.fd = event,
	};

	assert_int_equal(uiommufd_ioctl(m, fd, VFIO_DEVICE_SET_IRQS, &r), 0);
}

/* One that is open, bound or not, stays; its client is told. */
static void an_open_function_stays(void **state)
{
	int event = eventfd(0, 0), fd;
	uint64_t count;

	(void)state;
	assert_int_equal(uiommufd_set_vfs(m, PF, 1), 0);
	fd = uiommufd_open(m, VF_NODE, O_RDWR);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), -EBUSY);
	uiommufd_close(m, open_bound(PF_NODE, token_1));
	assert_int_equal(bind(fd, token_1), 0);
	ask_for_requests(fd, event);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), -EBUSY);
	assert_int_equal(read(event, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	/* It was given up, so others may open it. */
	uiommufd_close(m, uiommufd_open(m, VF_NODE, O_RDWR));
	uiommufd_close(m, fd);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), 0);
	close(event);
}

static void no_place_no_machine(void **state)
{
	static const char *const devices[] = {"copy-engine,bdf=01:00.0,vfs=3",
					      "copy-engine,bdf=01:00.2", NULL};
	struct uiommufd_config c = UIOMMUFD_CONFIG_INIT;
	struct uiommufd_machine *other;
	char error[160];

	(void)state;
	c.devices = devices;
	assert_int_equal(uiommufd_machine_create(&c, error, sizeof(error), &other),
			 -EINVAL);
	assert_string_equal(error,
			    "0000:01:00.0: another device is where its VF 1 belongs");
}

/* ---- configuration space ---------------------------------------------------------- */

static void a_functions_configuration(void **state)
{
	uint32_t id, pf_id;
	int pf, fd;

	(void)state;
	assert_int_equal(uiommufd_set_vfs(m, PF, 1), 0);
	pf = open_bound(PF_NODE, token_1);
	fd = open_bound(VF_NODE, token_1);
	assert_true(pf >= 0 && fd >= 0);
	id = config(fd, 0, 4);
	pf_id = config(pf, 0, 4);
	assert_int_equal(id, 0xce021234);
	assert_int_equal(pf_id, 0xce011234);
	/* Memory is on, and stays on whatever is written. */
	assert_int_equal(config(fd, 4, 2), 0x0002);
	set_config(fd, 4, 2, 0);
	assert_int_equal(config(fd, 4, 2), 0);
	assert_int_equal(uiommufd_pread(m, fd, &id, 4, BAR2), 4);
	set_config(fd, 4, 2, 0x0407);
	assert_int_equal(config(fd, 4, 2), 0x0406);
	/* BARs can be sized, and lie nowhere. */
	assert_int_equal(config(fd, 0x18, 4), 0xc);
	set_config(fd, 0x18, 4, 0xffffffff);
	assert_int_equal(config(fd, 0x18, 4), 0xfff0000c);
	assert_int_equal(config(fd, 0x3c, 2), 0);
	/* The physical function's power goes nowhere while it has others. */
	set_config(pf, 0x44, 2, 3);
	assert_int_equal(config(pf, 0x44, 2) & 3, 0);
	uiommufd_close(m, fd);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), 0);
	set_config(pf, 0x44, 2, 3);
	assert_int_equal(config(pf, 0x44, 2) & 3, 3);
	uiommufd_close(m, pf);
}

/* The extended capability with id 10h. */
static unsigned find_capability(int fd)
{
	unsigned at = 0x100;

	while (at && (config(fd, at, 4) & 0xffff) != 0x10)
		at = config(fd, at, 4) >> 20;
	assert_int_not_equal(at, 0);
	return at;
}

static void the_capability(void **state)
{
	int pf = open_bound(PF_NODE, NULL);
	unsigned at;

	(void)state;
	assert_true(pf >= 0);
	at = find_capability(pf);
	assert_int_equal(config(pf, at + 0x08, 2) & 0x9, 0);
	assert_int_equal(config(pf, at + 0x0c, 2), 3);
	assert_int_equal(config(pf, at + 0x0e, 2), 3);
	assert_int_equal(config(pf, at + 0x10, 2), 0);
	assert_int_equal(config(pf, at + 0x14, 4), 0x00010001);
	assert_int_equal(config(pf, at + 0x1a, 2), 0xce02);
	assert_int_equal(config(pf, at + 0x2c, 4) & 0xf, 0xc);
	assert_int_equal(uiommufd_set_vfs(m, PF, 2), 0);
	assert_int_equal(config(pf, at + 0x08, 2) & 0x9, 0x9);
	assert_int_equal(config(pf, at + 0x10, 2), 2);
	/* Clients change nothing, and a reset neither. */
	set_config(pf, at + 0x10, 2, 1);
	assert_int_equal(uiommufd_ioctl(m, pf, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(config(pf, at + 0x10, 2), 2);
	uiommufd_close(m, pf);
	pf = open_bound(PF_NODE, NULL);
	assert_int_equal(config(pf, at + 0x10, 2), 2);
	uiommufd_close(m, pf);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), 0);
}

/* ---- the token -------------------------------------------------------------------- */

static void the_token_by_nodes(void **state)
{
	int pf, vf;

	(void)state;
	assert_int_equal(uiommufd_set_vfs(m, PF, 1), 0);
	/* Nobody knows the first one. */
	assert_int_equal(open_bound(VF_NODE, token_1), -EACCES);
	assert_int_equal(open_bound(VF_NODE, NULL), -EACCES);
	pf = open_bound(PF_NODE, token_1);
	assert_true(pf >= 0);
	assert_int_equal(open_bound(VF_NODE, token_2), -EACCES);
	vf = open_bound(VF_NODE, token_1);
	assert_true(vf >= 0);
	/* It stays when the physical function is closed, which needs it now, too. */
	uiommufd_close(m, pf);
	assert_int_equal(open_bound(PF_NODE, NULL), -EACCES);
	assert_int_equal(open_bound(PF_NODE, token_2), -EACCES);
	pf = open_bound(PF_NODE, token_1);
	assert_true(pf >= 0);
	uiommufd_close(m, pf);
	uiommufd_close(m, vf);
	pf = open_bound(PF_NODE, NULL);
	assert_true(pf >= 0);
	uiommufd_close(m, pf);
	/* Others have none. */
	assert_int_equal(open_bound("/dev/vfio/devices/vfio1", token_1), -EINVAL);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), 0);
}

static long feature(int fd, uint32_t flags, const uint8_t *token, size_t n)
{
	struct {
		struct vfio_device_feature head;
		uint8_t token[16];
	} f = {.head = {.argsz = (uint32_t)(sizeof(f.head) + n),
			.flags = VFIO_DEVICE_FEATURE_PCI_VF_TOKEN | flags}};

	if (token)
		memcpy(f.token, token, sizeof(f.token));
	return uiommufd_ioctl(m, fd, VFIO_DEVICE_FEATURE, &f);
}

static void the_token_is_changed(void **state)
{
	const uint32_t set = VFIO_DEVICE_FEATURE_SET, get = VFIO_DEVICE_FEATURE_GET;
	int pf, vf, plain;

	(void)state;
	assert_int_equal(uiommufd_set_vfs(m, PF, 1), 0);
	pf = open_bound(PF_NODE, token_1);
	plain = open_bound("/dev/vfio/devices/vfio1", NULL);
	assert_int_equal(feature(pf, set | VFIO_DEVICE_FEATURE_PROBE, NULL, 0), 0);
	assert_int_equal(feature(pf, get | VFIO_DEVICE_FEATURE_PROBE, NULL, 0), -EINVAL);
	assert_int_equal(feature(pf, get, NULL, 16), -EINVAL);
	assert_int_equal(feature(pf, set, token_2, 15), -EINVAL);
	assert_int_equal(feature(plain, set, token_2, 16), -ENOTTY);
	assert_int_equal(feature(pf, set, token_2, 16), 0);
	assert_int_equal(open_bound(VF_NODE, token_1), -EACCES);
	vf = open_bound(VF_NODE, token_2);
	assert_true(vf >= 0);
	assert_int_equal(feature(vf, set, token_1, 16), -ENOTTY);
	uiommufd_close(m, vf);
	uiommufd_close(m, plain);
	uiommufd_close(m, pf);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), 0);
}

static void the_token_by_groups(void **state)
{
	static const struct {
		const char *name;
		int answer; /* 1: a descriptor */
	} names[] = {
		{VF_NAME, -EACCES},
		{VF_NAME " vf_token=" TOKEN_2, -EACCES},
		{VF_NAME " vf_token=" TOKEN_1, 1},
		{VF_NAME "   vf_token=" TOKEN_1 "  ", 1},
		{VF_NAME " vf_token=" TOKEN_1 " vf_token=" TOKEN_1, -EINVAL},
		{VF_NAME " vf_token=52ac9bff", -EINVAL},
		{VF_NAME " vf_token=52ac9bff-3a88-4fbd-901a-0d767c3b6c9x", -EINVAL},
		{VF_NAME " vf_token=" TOKEN_1 "0", -EINVAL},
		{VF_NAME " token=" TOKEN_1, -EINVAL},
		{VF_NAME "0 vf_token=" TOKEN_1, -ENODEV},
	};
	int pf, group, container, gone;

	(void)state;
	assert_int_equal(uiommufd_set_vfs(m, PF, 1), 0);
	pf = open_bound(PF_NODE, token_1);
	container = uiommufd_open(m, "/dev/vfio/vfio", O_RDWR);
	group = uiommufd_open(m, VF_GROUP, O_RDWR);
	assert_true(pf >= 0 && container >= 0 && group >= 0);
	assert_int_equal(uiommufd_ioctl(m, group, VFIO_GROUP_SET_CONTAINER, &container),
			 0);
	assert_int_equal(uiommufd_ioctl(m, container, VFIO_SET_IOMMU,
					(void *)(uintptr_t)VFIO_TYPE1v2_IOMMU),
			 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		long fd = uiommufd_ioctl(m, group, VFIO_GROUP_GET_DEVICE_FD,
					 (void *)(uintptr_t)names[i].name);

		if (names[i].answer == 1) {
			assert_true(fd >= 0);
			assert_int_equal(uiommufd_set_vfs(m, PF, 0), -EBUSY);
			uiommufd_close(m, (int)fd);
		} else {
			assert_int_equal(fd, names[i].answer);
		}
	}
	/* A group's open node keeps no function. */
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), 0);
	gone = (int)uiommufd_ioctl(m, group, VFIO_GROUP_GET_DEVICE_FD,
				   VF_NAME " vf_token=" TOKEN_1);
	assert_int_equal(gone, -ENODEV);
	uiommufd_close(m, group);
	uiommufd_close(m, container);
	uiommufd_close(m, pf);
}

/* ---- at once ---------------------------------------------------------------------- */

static atomic_bool stop;
static atomic_uint opened, toggled;

static void *toggle(void *arg)
{
	(void)arg;
	while (!stop) {
		int err = uiommufd_set_vfs(m, PF, 3);

		if (err == 0 || err == -EBUSY)
			err = uiommufd_set_vfs(m, PF, 0);
		toggled += !err;
	}
	return NULL;
}

static void *open_functions(void *arg)
{
	char node[32];

	snprintf(node, sizeof(node), "/dev/vfio/devices/vfio%u",
		 2 + *(const unsigned *)arg);
	while (!stop) {
		int fd = open_bound(node, token_1);

		if (fd < 0)
			continue;
		opened++;
		config(fd, 0, 4);
		set_config(fd, 4, 2, 6);
		uiommufd_ioctl(m, fd, VFIO_DEVICE_RESET, NULL);
		uiommufd_close(m, fd);
	}
	return NULL;
}

/* The physical function is opened, reset with its bus, and closed. */
static void *reset_all(void *arg)
{
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};

	(void)arg;
	while (!stop) {
		int fd = open_bound(PF_NODE, token_1);

		if (fd < 0)
			continue;
		uiommufd_ioctl(m, fd, VFIO_DEVICE_PCI_HOT_RESET, &reset);
		uiommufd_close(m, fd);
	}
	return NULL;
}

static void everything_at_once(void **state)
{
	unsigned vfs[] = {0, 1, 1};
	pthread_t threads[5];

	(void)state;
	uiommufd_close(m, open_bound(PF_NODE, token_1));
	stop = false;
	pthread_create(&threads[0], NULL, toggle, NULL);
	pthread_create(&threads[1], NULL, reset_all, NULL);
	for (unsigned i = 0; i < 3; i++)
		pthread_create(&threads[2 + i], NULL, open_functions, &vfs[i]);
	while (opened < 200 || toggled < 50)
		usleep(1000);
	stop = true;
	for (unsigned i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(uiommufd_set_vfs(m, PF, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(functions_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(an_open_function_stays, setup, teardown),
		cmocka_unit_test(no_place_no_machine),
		cmocka_unit_test_setup_teardown(a_functions_configuration, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_capability, setup, teardown),
		cmocka_unit_test_setup_teardown(the_token_by_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(the_token_is_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(the_token_by_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(everything_at_once, setup, teardown),
	};

	return cmocka_run_group_tests_name("sriov", tests, NULL, NULL);
}
