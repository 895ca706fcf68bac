/* SPDX-License-Identifier: MIT */
/*
 * Sequences of calls, decoded from the input by the ioctl tables themselves, against a
 * whole machine: two copy engines and the mock IOMMU of the selftests. Nothing it gets
 * for an answer is wrong. Wrong is a crash, a hang, what a sanitizer sees, an object or a
 * descriptor that is left.
 *
 * Each member of a struct gets a value that is likely to mean something: a small number
 * (ids), a bit, a page's address, a descriptor, a known constant. Pointers lie in the
 * arena, in the middle of a great deal of nothing, or nowhere: a device, which writes
 * where it is told to, never reaches the program's own memory.
 *
 * The first byte says how much is already set up, so that few bytes lead far.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/input.h"
#include "iommufd/private.h"
#include "selftest/abi.h"
#include "selftest/selftest.h"
#include "uapi/table.h"
#include "uiommufd/abi/vfio.h"
#include "uiommufd/uiommufd.h"
#include "vfio/device.h"
#include "vfio/group.h"

#define PAGE        ((uint64_t)4096)
#define ARENA       (16 * PAGE)
#define AROUND      ((size_t)1 << 32)
#define SLOTS       24
#define CALLS       200
#define STRUCT_ROOM 512 /* flexible arrays come after a struct */
#define IOVA        ((uint64_t)0x1000000)

enum kind { FREE, IOMMU, DEVICE, GROUP, CONTAINER, DMABUF, OTHER };

struct world {
	struct uiommufd_machine *m;
	struct {
		enum kind kind;
		int fd;
	} slots[SLOTS];
	unsigned char *arena;
	unsigned char *arg; /* STRUCT_ROOM bytes, and nothing behind them */
};

/* ---- descriptors ------------------------------------------------------------------ */

static void close_slot(struct world *w, unsigned slot)
{
	if (w->slots[slot].kind == FREE)
		return;
	/* Plain close(2) is as good, only later; so is a descriptor that is not ours. */
	if (slot & 1 || w->slots[slot].kind == OTHER)
		close(w->slots[slot].fd);
	else
		uiommufd_close(w->m, w->slots[slot].fd);
	w->slots[slot].kind = FREE;
}

/* A new descriptor: in a free slot, else in one that the descriptor's number picks. */
static unsigned keep(struct world *w, enum kind kind, int fd)
{
	unsigned slot = 0;

	while (slot < SLOTS && w->slots[slot].kind != FREE)
		slot++;
	if (slot == SLOTS) {
		slot = (unsigned)fd % SLOTS;
		close_slot(w, slot);
	}
	w->slots[slot].kind = kind;
	w->slots[slot].fd = fd;
	return slot;
}

static int fd_at(const struct world *w, unsigned slot)
{
	return w->slots[slot % SLOTS].kind == FREE ? -1 : w->slots[slot % SLOTS].fd;
}

static int open_node(struct world *w, unsigned which)
{
	static const struct {
		const char *path;
		enum kind kind;
	} nodes[] = {
		{"/dev/iommu", IOMMU},
		{"/dev/vfio/devices/vfio0", DEVICE},
		{"/dev/vfio/devices/vfio1", DEVICE},
		{"/dev/vfio/1", GROUP},
		{"/dev/vfio/2", GROUP},
		{"/dev/vfio/vfio", CONTAINER},
	};
	int fd;

	which %= sizeof(nodes) / sizeof(nodes[0]);
	fd = uiommufd_open(w->m, nodes[which].path, O_RDWR);
	if (fd >= 0)
		keep(w, nodes[which].kind, fd);
	return fd;
}

/* What is no file of the machine's: memory to map, and eventfds. */
static void open_other(struct world *w, unsigned which)
{
	int fd = which & 1 ? eventfd(0, EFD_NONBLOCK) : memfd_create("fuzz", 0);

	if (fd < 0)
		return;
	if (!(which & 1) && ftruncate(fd, (off_t)(8 * PAGE))) {
		close(fd);
		return;
	}
	keep(w, OTHER, fd);
}

/* ---- values ------------------------------------------------------------------------ */

static uint64_t value(struct world *w, struct input *in)
{
	static const uint64_t known[] = {
		UINT64_MAX,
		(uint64_t)1 << 63,
		IOVA,
		MOCK_APERTURE_START,
		MOCK_APERTURE_LAST,
		MOCK_HUGE_PAGE_SIZE,
		0xfee00000,
		IOMMU_HW_INFO_TYPE_SELFTEST,
		IOMMU_HWPT_DATA_SELFTEST,
		IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
		IOMMU_TEST_IOTLB_DEFAULT,
		IOMMU_VEVENTQ_TYPE_SELFTEST,
		IOMMU_TEST_PASID_RESERVED,
		UINT32_MAX,
		INT32_MAX,
		0x5a5a5a5a5a5a5a5a,
	};
	uint8_t c = take(in);

	if (c < 0x40)
		return c;
	if (c < 0x60)
		return (uint64_t)1 << (c & 31);
	if (c < 0x80)
		return (c & 31) * PAGE;
	if (c < 0x90)
		return (uintptr_t)w->arena + (c & 15) * PAGE;
	if (c < 0x98)
		return (uintptr_t)w->arena + (c & 7) * 2 * PAGE + take(in);
	if (c < 0xa0) /* up to its end, and over it */
		return (uintptr_t)w->arena + ARENA - (c & 7) * 8;
	if (c < 0xc0)
		return (uint64_t)(int64_t)fd_at(w, c & 31);
	if (c < 0xd0)
		return known[c & 15];
	if (c < 0xe0)
		return IOVA + (c & 15) * PAGE;
	if (c < 0xf0)
		return take16(in);
	return (uint64_t)(c & 15) << 60 | take(in);
}

/*
 * As a pointer, or a word that may be one: in the arena, or where nothing ever is. Not in
 * between, where the program, and the sanitizer's shadow, have their memory. (What is
 * small is an IOVA; no program has memory there.)
 */
static uint64_t pointer(struct world *w, uint64_t v)
{
	bool ours = v - (uintptr_t)w->arena < ARENA + PAGE;

	return ours || v < IOVA + ARENA ? v : v | (uint64_t)1 << 63;
}

static void put(unsigned char *at, uint64_t v, unsigned bytes)
{
	memcpy(at, &v, bytes); /* little-endian, as the ABI's users are */
}

/* Words anywhere in the arena: arrays and structs that arguments point to. */
static void scribble(struct world *w, struct input *in)
{
	unsigned at = (take16(in) * 8u) % (unsigned)(ARENA - 256), n = take(in) % 24;

	for (unsigned i = 0; i < n && !input_done(in); i++)
		put(w->arena + at + i * 8, pointer(w, value(w, in)), 8);
}

/* ---- ioctls ------------------------------------------------------------------------ */

static const struct uapi_table *const tables[] = {
	&iommufd_table,    &iommufd_vfio_table,   &vfio_device_table,
	&vfio_group_table, &vfio_container_table, &selftest_table,
};

static const struct uapi_table *table_for(enum kind kind, uint8_t which)
{
	if (which >= 0xf0) /* a call of another kind of file */
		return tables[which % (sizeof(tables) / sizeof(tables[0]))];
	switch (kind) {
	case IOMMU:
		return which & 0x80   ? &selftest_table
		       : which & 0x40 ? &iommufd_vfio_table
				      : &iommufd_table;
	case GROUP:
		return &vfio_group_table;
	case CONTAINER:
		return &vfio_container_table;
	default:
		return &vfio_device_table;
	}
}

static void fill(struct world *w, struct input *in, const struct uapi_entry *e)
{
	unsigned size = e->size > e->min_size ? e->size : e->min_size;
	uint8_t odd = take(in);

	memset(w->arg, 0, STRUCT_ROOM);
	for (const struct uapi_field *f = e->fields; f && f->size; f++)
		if (!f->out && f->kind != UAPI_PAD) {
			uint64_t v = value(w, in);

			put(w->arg + f->offset, f->kind == UAPI_PTR ? pointer(w, v) : v,
			    f->size);
		}
	if (!e->fields || odd & 1) /* unions, and what comes after the struct */
		for (unsigned i = 8 + (odd >> 4) * 8u, n = take(in) % 16;
		     n && i + 8 <= STRUCT_ROOM; n--, i += 8)
			put(w->arg + i, pointer(w, value(w, in)), 8);
	if ((odd & 6) == 6) /* a size that is not ours */
		size = (uint32_t)value(w, in);
	else if (odd & 2)
		size += take(in);
	if (e->rule != UAPI_NONE)
		put(w->arg, size, 4);
}

/* A descriptor that a call gave away. */
static void adopt(struct world *w, const struct uapi_entry *e, long ret)
{
	const struct iommu_test_cmd *test = (const void *)w->arg;

	switch (e->cmd) {
	case VFIO_GROUP_GET_DEVICE_FD:
		if (ret >= 0)
			keep(w, DEVICE, (int)ret);
		return;
	case VFIO_DEVICE_FEATURE:
		if (ret > 0)
			keep(w, DMABUF, (int)ret);
		return;
	case IOMMU_TEST_CMD:
		if (test->op == IOMMU_TEST_OP_DMABUF_GET && ret >= 0)
			keep(w, DMABUF, (int)ret);
		if (test->op == IOMMU_TEST_OP_CREATE_ACCESS && ret == 0)
			keep(w, IOMMU, (int)test->create_access.out_access_fd);
		return;
	}
	for (const struct uapi_field *f = e->fields; ret == 0 && f && f->size; f++)
		if (f->out && f->kind == UAPI_FD) {
			int32_t fd;

			memcpy(&fd, w->arg + f->offset, sizeof(fd));
			keep(w, DMABUF, fd);
		}
}

/*
 * Calls that can wait for somebody else to act: there is nobody. An access that was told
 * of an unmap and never lets go is a driver's bug, which Linux answers by waiting.
 */
static bool may_wait(const struct world *w, const struct uapi_entry *e)
{
	const struct iommu_test_cmd *test = (const void *)w->arg;

	return e->cmd == IOMMU_TEST_CMD && test->op == IOMMU_TEST_OP_ACCESS_PAGES &&
	       test->access_pages.flags & MOCK_FLAGS_ACCESS_SYZ;
}

static void do_ioctl(struct world *w, struct input *in)
{
	unsigned slot = take(in) % SLOTS;
	const struct uapi_table *t = table_for(w->slots[slot].kind, take(in));
	const struct uapi_entry *e = &t->entries[take(in) % t->n];
	uint64_t arg = (uintptr_t)w->arg;
	long ret;

	if (e->rule == UAPI_NONE && e->cmd != VFIO_GROUP_GET_DEVICE_FD &&
	    e->cmd != VFIO_GROUP_SET_CONTAINER)
		arg = value(w, in);
	else if (e->cmd == VFIO_GROUP_GET_DEVICE_FD)
		snprintf((char *)w->arg, 64, "0000:0%u:00.0", 1 + take(in) % 3);
	else if (e->cmd == VFIO_GROUP_SET_CONTAINER)
		put(w->arg, (uint64_t)(int64_t)fd_at(w, take(in)), 4);
	else
		fill(w, in, e);
	if (may_wait(w, e))
		return;
	ret = uiommufd_ioctl(w->m, fd_at(w, slot), e->cmd, (void *)(uintptr_t)arg);
	if (arg == (uintptr_t)w->arg)
		adopt(w, e, ret);
}

/* ---- everything else --------------------------------------------------------------- */

static uint64_t region_offset(struct world *w, struct input *in)
{
	uint64_t index = take(in);
	uint64_t offset = (uint64_t)1 << 62 | (index % 12) << 40 | take16(in);

	return index >= 0xf0 ? value(w, in) : offset;
}

static void do_io(struct world *w, struct input *in, bool write)
{
	int fd = fd_at(w, take(in));
	uint64_t offset = region_offset(w, in);
	void *at = w->arena + take(in) * 8u;
	size_t n = take(in);

	if (n & 0x80) /* the sizes that registers have */
		n = (size_t)1 << (n & 3);
	if (write)
		uiommufd_pwrite(w->m, fd, at, n, offset);
	else
		uiommufd_pread(w->m, fd, at, n, offset);
}

/* One register, with a value: what starts an engine, switches memory, resets. */
static void do_register(struct world *w, struct input *in)
{
	int fd = fd_at(w, take(in));
	uint64_t offset = (uint64_t)1 << 62 | take16(in);
	uint64_t v;

	offset |= (uint64_t)(take(in) & 1 ? 7 : 0) << 40;
	v = value(w, in);
	uiommufd_pwrite(w->m, fd, &v, (size_t)1 << (take(in) & 3), offset);
}

static void do_mmap(struct world *w, struct input *in)
{
	int fd = fd_at(w, take(in));
	uint64_t offset = region_offset(w, in);
	size_t n = take(in) * 1024u;
	void *at;

	if (uiommufd_mmap(w->m, fd, n, PROT_READ | PROT_WRITE, MAP_SHARED, offset, &at))
		return;
	/* A device's memory takes the place of some of the arena's, or goes again. */
	if (n >= PAGE && take(in) & 1)
		mremap(at, n, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       w->arena + (take(in) % 16) * PAGE);
	else
		munmap(at, n);
}

static void step(struct world *w, struct input *in)
{
	uint8_t op = take(in);

	if (op < 0xa0) {
		do_ioctl(w, in);
		return;
	}
	switch (op & 15) {
	case 0:
	case 1:
		open_node(w, take(in));
		return;
	case 2:
		open_other(w, take(in));
		return;
	case 3:
		close_slot(w, take(in) % SLOTS);
		return;
	case 4:
	case 5:
		do_io(w, in, op & 1);
		return;
	case 6:
	case 7:
	case 8:
		do_register(w, in);
		return;
	case 9:
		do_mmap(w, in);
		return;
	case 10:
		uiommufd_fail_nth(take(in) % 32);
		do_ioctl(w, in);
		uiommufd_fail_nth(0);
		return;
	default:
		scribble(w, in);
		return;
	}
}

/* ---- what is set up ------------------------------------------------------------------
 */

static long sized(struct world *w, int fd, unsigned long cmd, const void *args, size_t n)
{
	memcpy(w->arg, args, n);
	put(w->arg, n, 4);
	return uiommufd_ioctl(w->m, fd, cmd, w->arg);
}

#define CALL(w, fd, cmd, type, ...) sized(w, fd, cmd, &(type){__VA_ARGS__}, sizeof(type))

/* Device @n bound and attached to an IOAS of its own, with the arena at IOVA. */
static void set_up_device(struct world *w, int iommu, unsigned n)
{
	int device = open_node(w, 1 + n);
	uint32_t ioas;

	CALL(w, device, VFIO_DEVICE_BIND_IOMMUFD, struct vfio_device_bind_iommufd,
	     .iommufd = iommu);
	CALL(w, iommu, IOMMU_IOAS_ALLOC, struct iommu_ioas_alloc, 0);
	ioas = ((struct iommu_ioas_alloc *)(void *)w->arg)->out_ioas_id;
	CALL(w, iommu, IOMMU_IOAS_MAP, struct iommu_ioas_map,
	     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
		      IOMMU_IOAS_MAP_WRITEABLE,
	     .ioas_id = ioas, .user_va = (uintptr_t)w->arena, .length = 8 * PAGE,
	     .iova = IOVA);
	CALL(w, device, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
	     struct vfio_device_attach_iommufd_pt, .pt_id = ioas);
}

static void set_up_dmabuf(struct world *w)
{
	struct {
		struct vfio_device_feature f;
		struct vfio_device_feature_dma_buf b;
		struct vfio_region_dma_range r;
	} get = {
		.f.argsz = sizeof(get),
		.f.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.b.region_index = VFIO_PCI_BAR2_REGION_INDEX,
		.b.open_flags = O_RDWR | O_CLOEXEC,
		.b.nr_ranges = 1,
		.r.length = 4 * PAGE,
	};
	int fd;

	for (unsigned i = 0; i < SLOTS; i++)
		if (w->slots[i].kind == DEVICE) {
			fd = (int)uiommufd_ioctl(w->m, w->slots[i].fd,
						 VFIO_DEVICE_FEATURE, &get);
			if (fd >= 0)
				keep(w, DMABUF, fd);
			return;
		}
}

static void set_up_mock(struct world *w, int iommu)
{
	uint32_t ioas;

	CALL(w, iommu, IOMMU_IOAS_ALLOC, struct iommu_ioas_alloc, 0);
	ioas = ((struct iommu_ioas_alloc *)(void *)w->arg)->out_ioas_id;
	CALL(w, iommu, IOMMU_TEST_CMD, struct iommu_test_cmd,
	     .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas);
	CALL(w, iommu, IOMMU_IOAS_MAP, struct iommu_ioas_map,
	     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
		      IOMMU_IOAS_MAP_WRITEABLE,
	     .ioas_id = ioas, .user_va = (uintptr_t)w->arena, .length = 8 * PAGE,
	     .iova = IOVA);
}

static void set_up_container(struct world *w)
{
	int container = open_node(w, 5), group = open_node(w, 4);

	uiommufd_ioctl(w->m, group, VFIO_GROUP_SET_CONTAINER, &container);
	uiommufd_ioctl(w->m, container, VFIO_SET_IOMMU,
		       (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU);
}

static void set_up(struct world *w, uint8_t how)
{
	int iommu = open_node(w, 0);

	if (how & 1)
		set_up_device(w, iommu, 0);
	if (how & 2)
		set_up_device(w, iommu, 1);
	if (how & 4)
		set_up_dmabuf(w);
	if (how & 8)
		set_up_mock(w, iommu);
	if (how & 16)
		set_up_container(w);
	if (how & 32)
		open_other(w, 0);
	if (how & 64)
		open_other(w, 1);
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A page for arguments lies far before the arena. */
static void make_arena(struct world *w)
{
	unsigned char *around = mmap(NULL, 2 * AROUND, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(around != MAP_FAILED);
	CHECK(!mprotect(around + AROUND, ARENA, PROT_READ | PROT_WRITE));
	w->arena = around + AROUND;
	CHECK(!mprotect(around, PAGE, PROT_READ | PROT_WRITE));
	w->arg = around + PAGE - STRUCT_ROOM;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const devices[] = {"copy-engine,vram=1M",
					      "copy-engine,vram=1M", NULL};
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	struct input in = {data, data + size};
	unsigned before = open_descriptors();
	struct world w = {0};

	config.devices = devices;
	config.selftest = true;
	make_arena(&w);
	CHECK(uiommufd_machine_create(&config, NULL, 0, &w.m) == 0);
	set_up(&w, take(&in));
	for (unsigned n = 0; n < CALLS && !input_done(&in); n++)
		step(&w, &in);
	for (unsigned i = 0; i < SLOTS; i++)
		close_slot(&w, i);
	CHECK(uiommufd_machine_destroy(w.m) == 0);
	munmap(w.arena - AROUND, 2 * AROUND);
	CHECK(open_descriptors() == before);
	return 0;
}
