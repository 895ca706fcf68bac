/* SPDX-License-Identifier: MIT */
/*
 * Every point of every call fails in turn (uiommufd_fail_nth), through the library as a
 * program uses it. After each failure nothing is left of the call: as many descriptors
 * and windows as before, and as many objects, by the number that the next one gets; and
 * the same call then succeeds. What takes something away has no point at all.
 *
 * Memory is looked at by the leak sanitizer, and by the machine's own checks at its end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/port.h"
#include "port/port.h"
#include "selftest/abi.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/abi/vfio_feature.h"
#include "uiommufd/abi/vfio_pci.h"
#include "uiommufd/uiommufd.h"

#define BAR_BYTES 0x10000u
#define PAGE      4096u
#define IOVA      0x10000000ull
#define RW        (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define FIXED     IOMMU_IOAS_MAP_FIXED_IOVA
#define COMMAND   4

static int probe_create(struct uiommufd_device *dev,
			const struct uiommufd_option *options, size_t n,
			struct uiommufd_device_desc *desc,
			struct uiommufd_device_ops *ops, void **model)
{
	*desc = (struct uiommufd_device_desc){
		.vendor_id = 0x1234,
		.device_id = 0x5678,
		.class_code = 0x088000,
		.bars[0] = {.size = BAR_BYTES, .flags = UIOMMUFD_BAR_MEMORY},
		.bars[1] = {.size = PAGE},
		.msix_vectors = 2,
		.msix_bar = 1,
		.msix_pba_offset = 0x800,
		.flr = true,
	};
	*ops = (struct uiommufd_device_ops){0};
	*model = dev;
	return 0;
}

static const struct uiommufd_model probe_model = {
	.name = "probe",
	.summary = "a BAR",
	.create = probe_create,
};

/* One machine; device 0 is attached to `ioas`, device 1 is for binding and attaching. */
static struct uiommufd_machine *m;
static int iommu, dev0, dev1, ram, buf, event;
static uint32_t ioas, other, dev0_id;
static char *va;
static uint64_t config_offset;
/* What the calls below made last, for their undoing. */
static int made_fd;
static uint32_t made_id, access_id;

/* ---- calls ---------------------------------------------------------------------- */

static long call(unsigned long cmd, void *arg)
{
	return uiommufd_ioctl(m, iommu, cmd, arg);
}

static void destroy(uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	assert_int_equal(call(IOMMU_DESTROY, &cmd), 0);
}

static long fd_result(long r)
{
	made_fd = (int)r;
	return r;
}

static void undo_fd(void)
{
	assert_int_equal(uiommufd_close(m, made_fd), 0);
}

static void undo_id(void)
{
	destroy(made_id);
}

static long open_iommu(void)
{
	return fd_result(uiommufd_open(m, "/dev/iommu", O_RDWR | O_CLOEXEC));
}

static long open_device(void)
{
	return fd_result(uiommufd_open(m, "/dev/vfio/devices/vfio1", O_RDWR | O_CLOEXEC));
}

static long alloc_ioas(void)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	long r = call(IOMMU_IOAS_ALLOC, &cmd);

	made_id = cmd.out_ioas_id;
	return r;
}

static long map_va(void)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .flags = RW | FIXED,
				     .ioas_id = ioas,
				     .user_va = (uintptr_t)va,
				     .length = 4 * PAGE,
				     .iova = IOVA};

	return call(IOMMU_IOAS_MAP, &cmd);
}

static long map_fd(int fd, uint64_t length)
{
	struct iommu_ioas_map_file cmd = {.size = sizeof(cmd),
					  .flags = RW | FIXED,
					  .ioas_id = ioas,
					  .fd = fd,
					  .length = length,
					  .iova = IOVA};

	return call(IOMMU_IOAS_MAP_FILE, &cmd);
}

static long map_file(void)
{
	return map_fd(ram, 16 * PAGE);
}

static long map_dmabuf(void)
{
	return map_fd(buf, BAR_BYTES);
}

static long unmap_at(uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = length};

	return call(IOMMU_IOAS_UNMAP, &cmd);
}

static long unmap(void)
{
	return unmap_at(0, UINT64_MAX);
}

static void undo_map(void)
{
	assert_int_equal(unmap(), 0);
}

/* Of a mapping that the setup made; the copy goes above it. */
static long copy(void)
{
	struct iommu_ioas_copy cmd = {.size = sizeof(cmd),
				      .flags = RW | FIXED,
				      .dst_ioas_id = ioas,
				      .src_ioas_id = ioas,
				      .length = 4 * PAGE,
				      .dst_iova = 2 * IOVA,
				      .src_iova = IOVA};

	return call(IOMMU_IOAS_COPY, &cmd);
}

static void undo_copy(void)
{
	assert_int_equal(unmap_at(2 * IOVA, 4 * PAGE), 0);
}

static long ranges(void)
{
	struct iommu_iova_range v[40];
	struct iommu_ioas_iova_ranges cmd = {.size = sizeof(cmd),
					     .ioas_id = ioas,
					     .num_iovas = 40,
					     .allowed_iovas = (uintptr_t)v};

	return call(IOMMU_IOAS_IOVA_RANGES, &cmd);
}

static long allow_n(uint32_t n)
{
	struct iommu_iova_range v[2] = {{0, 0x2fffffff}, {0x40000000, 0x4fffffff}};
	struct iommu_ioas_allow_iovas cmd = {.size = sizeof(cmd),
					     .ioas_id = other,
					     .num_iovas = n,
					     .allowed_iovas = (uintptr_t)v};

	return call(IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static long allow(void)
{
	return allow_n(2);
}

static void undo_allow(void)
{
	assert_int_equal(allow_n(0), 0);
}

static long alloc_hwpt(void)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .dev_id = dev0_id, .pt_id = ioas};
	long r = call(IOMMU_HWPT_ALLOC, &cmd);

	made_id = cmd.out_hwpt_id;
	return r;
}

static long bind(int dev, uint32_t *id)
{
	struct vfio_device_bind_iommufd cmd = {.argsz = sizeof(cmd), .iommufd = iommu};
	long r = uiommufd_ioctl(m, dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	*id = cmd.out_devid;
	return r;
}

static int open_dev1(void)
{
	int fd = uiommufd_open(m, "/dev/vfio/devices/vfio1", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static long bind1(void)
{
	return bind(dev1, &made_id);
}

/* Only the last close ends a binding. */
static void undo_bind(void)
{
	assert_int_equal(uiommufd_close(m, dev1), 0);
	dev1 = open_dev1();
}

static long attach(int dev, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd), .pt_id = pt};

	return uiommufd_ioctl(m, dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static long detach(void)
{
	struct vfio_device_detach_iommufd_pt cmd = {.argsz = sizeof(cmd)};

	return uiommufd_ioctl(m, dev1, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static long attach1(void)
{
	return attach(dev1, ioas);
}

static void undo_attach(void)
{
	assert_int_equal(detach(), 0);
}

static long replace(void)
{
	return attach(dev1, other);
}

/* Also where the answer could not be told: as Linux, that leaves it detached. */
static void attach_again(void)
{
	assert_int_equal(attach1(), 0);
}

static long export(void)
{
	struct {
		struct vfio_device_feature h;
		struct vfio_device_feature_dma_buf b;
		struct vfio_region_dma_range range;
	} cmd = {
		.h = {.argsz = sizeof(cmd),
		      .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF},
		.b = {.open_flags = O_RDWR | O_CLOEXEC, .nr_ranges = 1},
		.range = {.length = BAR_BYTES},
	};

	return fd_result(uiommufd_ioctl(m, dev0, VFIO_DEVICE_FEATURE, &cmd));
}

static long set_irqs(uint32_t count, uint32_t kind)
{
	struct {
		struct vfio_irq_set h;
		int32_t fds[2];
	} cmd = {
		.h = {.argsz = sizeof(cmd),
		      .flags = kind | VFIO_IRQ_SET_ACTION_TRIGGER,
		      .index = VFIO_PCI_MSIX_IRQ_INDEX,
		      .count = count},
		.fds = {event, event},
	};

	return uiommufd_ioctl(m, dev0, VFIO_DEVICE_SET_IRQS, &cmd);
}

static long enable_irqs(void)
{
	return set_irqs(2, VFIO_IRQ_SET_DATA_EVENTFD);
}

static void disable_irqs(void)
{
	assert_int_equal(set_irqs(0, VFIO_IRQ_SET_DATA_NONE), 0);
}

/* ---- accesses, of the selftest's kind ------------------------------------------- */

static long create_access_of(uint32_t flags)
{
	struct iommu_test_cmd cmd = {.size = sizeof(cmd),
				     .op = IOMMU_TEST_OP_CREATE_ACCESS,
				     .id = ioas,
				     .create_access = {.flags = flags}};
	long r = call(IOMMU_TEST_CMD, &cmd);

	made_fd = (int)cmd.create_access.out_access_fd;
	return r;
}

static long create_access(void)
{
	return create_access_of(0);
}

static long pin(void)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = access_id,
		.access_pages = {.iova = IOVA, .length = 4 * PAGE, .uptr = (uintptr_t)va},
	};
	long r = call(IOMMU_TEST_CMD, &cmd);

	made_id = cmd.access_pages.out_access_pages_id;
	return r;
}

static void unpin(void)
{
	struct iommu_test_cmd cmd = {.size = sizeof(cmd),
				     .op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
				     .id = access_id,
				     .destroy_access_pages = {made_id}};

	assert_int_equal(call(IOMMU_TEST_CMD, &cmd), 0);
}

static long rw(void)
{
	char bytes[64] = {0};
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.id = access_id,
		.access_rw = {.iova = IOVA, .length = 64, .uptr = (uintptr_t)bytes},
	};

	return call(IOMMU_TEST_CMD, &cmd);
}

/* ---- what can be counted -------------------------------------------------------- */

struct counts {
	unsigned fds, mappings;
	uint32_t next_id;
};

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Windows over the memory file are mappings of it besides ours. */
static unsigned count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:") != NULL;
	fclose(f);
	return n;
}

static struct counts count(void)
{
	uint32_t keep = made_id;
	struct counts c;

	assert_int_equal(alloc_ioas(), 0);
	c.next_id = made_id;
	destroy(made_id);
	made_id = keep;
	c.fds = count_fds();
	c.mappings = count_mappings();
	return c;
}

static void same(struct counts before, const char *name, unsigned long n)
{
	struct counts now = count();

	if (now.fds != before.fds || now.mappings != before.mappings ||
	    now.next_id != before.next_id)
		fail_msg("%s, point %lu: %u descriptors were %u, %u mappings were %u, "
			 "next object %u was %u",
			 name, n, now.fds, before.fds, now.mappings, before.mappings,
			 now.next_id, before.next_id);
}

/* ---- sweeps --------------------------------------------------------------------- */

struct sweep {
	const char *name;
	long (*call)(void);
	void (*undo)(void);
	void (*after_failure)(void);
	unsigned least; /* points it must have */
};

static bool is_fault(long r)
{
	return r == -ENOMEM || r == -EMFILE || r == -EFAULT || r == -EBADFD;
}

static void sweep(const struct sweep *s)
{
	struct counts before = count();
	unsigned long n, left;

	for (n = 1;; n++) {
		long r;

		uiommufd_fail_nth(n);
		r = s->call();
		left = uiommufd_fail_nth(0);
		if (left ? r < 0 : !is_fault(r))
			fail_msg("%s, point %lu: %ld", s->name, n, r);
		if (left)
			break;
		if (s->after_failure)
			s->after_failure();
		same(before, s->name, n);
		r = s->call();
		if (r < 0)
			fail_msg("%s, after the fault at point %lu: %ld", s->name, n, r);
		if (s->undo)
			s->undo();
		same(before, s->name, n);
	}
	if (s->undo)
		s->undo();
	same(before, s->name, n);
	if (n - 1 < s->least)
		fail_msg("%s has only %lu points", s->name, n - 1);
	print_message("%s: %lu points\n", s->name, n - 1);
}

static void sweep_all(const struct sweep *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sweep(&s[i]);
}

/* It succeeds whichever point is to fail, for it passes none. */
static void no_point(const char *name, long (*prepare)(void), long (*takes_away)(void))
{
	for (unsigned long n = 1; n <= 8; n++) {
		unsigned long left;
		long r;

		if (prepare)
			assert_true(prepare() >= 0);
		uiommufd_fail_nth(n);
		r = takes_away();
		left = uiommufd_fail_nth(0);
		if (r < 0 || left != n)
			fail_msg("%s: %ld, after %lu points", name, r, n - left);
	}
}

/* ---- the machine ---------------------------------------------------------------- */

static long write_command(uint16_t value)
{
	return uiommufd_pwrite(m, dev0, &value, 2, config_offset + COMMAND);
}

static int setup(void **state)
{
	static const struct uiommufd_model *const models[] = {&probe_model, NULL};
	static const char *const devices[] = {"probe", "probe", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	struct vfio_region_info info = {.argsz = sizeof(info),
					.index = VFIO_PCI_CONFIG_REGION_INDEX};

	config.models = models;
	config.devices = devices;
	config.selftest = true;
	assert_int_equal(uiommufd_machine_create(&config, NULL, 0, &m), 0);
	assert_true(open_iommu() >= 0);
	iommu = made_fd;
	dev0 = uiommufd_open(m, "/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
	assert_true(dev0 >= 0);
	dev1 = open_dev1();
	assert_int_equal(alloc_ioas(), 0);
	ioas = made_id;
	assert_int_equal(alloc_ioas(), 0);
	other = made_id;
	assert_int_equal(bind(dev0, &dev0_id), 0);
	assert_int_equal(uiommufd_ioctl(m, dev0, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	config_offset = info.offset;
	assert_int_equal(write_command(6), 2);
	assert_true(export() >= 0);
	buf = made_fd;
	ram = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(ram, 16 * PAGE), 0);
	va = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		  0);
	assert_ptr_not_equal(va, MAP_FAILED);
	memset(va, 1, 4 * PAGE);
	event = eventfd(0, EFD_CLOEXEC);
	return 0;
}

static int teardown(void **state)
{
	const int fds[] = {buf, dev1, dev0, iommu};
	int left;

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		assert_int_equal(uiommufd_close(m, fds[i]), 0);
	left = uiommufd_machine_destroy(m);
	munmap(va, 4 * PAGE);
	close(ram);
	close(event);
	assert_int_equal(port_bug_count(), 0);
	return left;
}

/* ---- tests ---------------------------------------------------------------------- */

static const struct sweep mappings[] = {
	{"map", map_va, undo_map, NULL, 5},
	{"map of a file", map_file, undo_map, NULL, 5},
	{"map of a dma-buf", map_dmabuf, undo_map, NULL, 5},
};
static const struct sweep copying = {"copy", copy, undo_copy, NULL, 3};

static void sweep_maps(void)
{
	sweep_all(mappings, ARRAY_LEN(mappings));
	assert_int_equal(map_va(), 0);
	sweep(&copying);
	undo_map();
	assert_int_equal(map_dmabuf(), 0);
	sweep(&copying);
	undo_map();
}

static void test_iommufd(void **state)
{
	static const struct sweep calls[] = {
		{"open of /dev/iommu", open_iommu, undo_fd, NULL, 3},
		{"IOAS_ALLOC", alloc_ioas, undo_id, NULL, 4},
		{"ALLOW_IOVAS", allow, undo_allow, NULL, 4},
		{"IOVA_RANGES", ranges, NULL, NULL, 3},
		{"HWPT_ALLOC", alloc_hwpt, undo_id, NULL, 4},
	};
	uint32_t hwpt;

	sweep_all(calls, ARRAY_LEN(calls));
	/* Nobody attached; one domain; two of them. */
	sweep_maps();
	assert_int_equal(attach(dev0, ioas), 0);
	sweep_maps();
	assert_int_equal(alloc_hwpt(), 0);
	hwpt = made_id;
	sweep_maps();
	sweep_all(calls, ARRAY_LEN(calls));
	destroy(hwpt);
}

static void test_device(void **state)
{
	static const struct sweep before_bind[] = {
		{"open of a device", open_device, undo_fd, NULL, 3},
		{"bind", bind1, undo_bind, NULL, 4},
	};
	static const struct sweep attaching = {"attach", attach1, undo_attach, NULL, 2};
	static const struct sweep replacing = {"replace", replace, attach_again,
					       attach_again, 4};
	static const struct sweep calls[] = {
		{"export", export, undo_fd, NULL, 6},
		{"SET_IRQS", enable_irqs, disable_irqs, NULL, 4},
	};

	sweep_all(before_bind, ARRAY_LEN(before_bind));
	assert_int_equal(bind1(), 0);
	sweep(&attaching);
	assert_int_equal(map_dmabuf(), 0);
	sweep(&attaching);
	assert_int_equal(attach(dev0, ioas), 0);
	sweep(&attaching);
	assert_int_equal(attach1(), 0);
	sweep(&replacing);
	undo_attach();
	sweep_all(calls, ARRAY_LEN(calls));
	undo_map();
}

static void test_access(void **state)
{
	static const struct sweep creating = {"access", create_access, undo_fd, NULL, 4};
	static const struct sweep calls[] = {
		{"read of an access", rw, NULL, NULL, 3},
		{"pin", pin, unpin, NULL, 4},
	};
	int fd;

	sweep(&creating);
	assert_int_equal(map_va(), 0);
	assert_int_equal(create_access_of(MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES), 0);
	fd = made_fd;
	access_id = (uint32_t)fd;
	sweep_all(calls, ARRAY_LEN(calls));
	assert_int_equal(attach(dev0, ioas), 0);
	sweep_all(calls, ARRAY_LEN(calls));
	assert_int_equal(uiommufd_close(m, fd), 0);
	undo_map();
}

static long close_fd(void)
{
	return uiommufd_close(m, made_fd);
}

static long destroy_id(void)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = made_id};

	return call(IOMMU_DESTROY, &cmd);
}

static long reset(void)
{
	return uiommufd_ioctl(m, dev0, VFIO_DEVICE_RESET, NULL);
}

static long memory_off(void)
{
	return write_command(0);
}

static long memory_on(void)
{
	return write_command(6);
}

/* The dma-buf, mapped into a domain, is there to be revoked. */
static long map_exported(void)
{
	long r = memory_on();

	if (r < 0)
		return r;
	r = unmap();
	return r && r != -ENOENT ? r : map_dmabuf();
}

static long bind_and_attach(void)
{
	long r = bind1();

	return r ? r : attach1();
}

static long close_device(void)
{
	long r = uiommufd_close(m, dev1);
	unsigned long left = uiommufd_fail_nth(0);

	/* Opening it again has points. */
	dev1 = open_dev1();
	uiommufd_fail_nth(left);
	return r;
}

static void test_taking_away(void **state)
{
	no_point("UNMAP", map_va, unmap);
	no_point("UNMAP of a file", map_file, unmap);
	no_point("UNMAP of a dma-buf", map_dmabuf, unmap);
	no_point("DESTROY of an IOAS", alloc_ioas, destroy_id);
	no_point("close of /dev/iommu", open_iommu, close_fd);
	no_point("close of a dma-buf", export, close_fd);
	assert_int_equal(attach(dev0, ioas), 0);
	no_point("DESTROY of a hwpt", alloc_hwpt, destroy_id);
	no_point("UNMAP from a domain", map_va, unmap);
	no_point("UNMAP of a file from a domain", map_file, unmap);
	no_point("UNMAP of a dma-buf from a domain", map_dmabuf, unmap);
	no_point("reset", map_exported, reset);
	no_point("memory decoding off", map_exported, memory_off);
	no_point("memory decoding on", memory_off, memory_on);
	no_point("UNMAP of a revoked dma-buf", map_exported, unmap);
	assert_int_equal(map_va(), 0);
	no_point("close of an attached device", bind_and_attach, close_device);
	assert_int_equal(bind1(), 0);
	no_point("detach", attach1, detach);
	undo_map();
}

/* Answers of the call itself. */
static void test_count(void **state)
{
	assert_int_equal(uiommufd_fail_nth(1000), 0);
	assert_int_equal(ranges(), 0);
	assert_in_range(uiommufd_fail_nth(1), 990, 999);
	assert_int_equal(ranges(), -EFAULT);
	/* Once. */
	assert_int_equal(ranges(), 0);
	assert_int_equal(uiommufd_fail_nth(0), 0);
	assert_int_equal(ranges(), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_count),  TEST(test_iommufd),     TEST(test_device),
		TEST(test_access), TEST(test_taking_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
