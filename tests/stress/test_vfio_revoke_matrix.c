/* SPDX-License-Identifier: MIT */
/*
 * Every event that takes a device's memory away, crossed with every way that memory can
 * be mapped for its peers, each with the DMA of two of them running.
 *
 * When the event has happened the memory gets a canary. No DMA may touch it from then on:
 * both peers fault, again and again, and still do so when the device has its memory back,
 * because nothing is mapped again by itself. What is left of the mapping can be unmapped.
 *
 * What happens to whole processes, and through sysfs, is in tests/host/client_revoke.c.
 *
 * The victim shares its bus with another function, so that it can be reset from there.
 */
#include "tests/vfio/rig.h"

#include "iommufd/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROUNDS    2
#define BAR       2
#define BAR_BYTES ((size_t)1 << 20)
#define I         0x10000000ull
#define TABLES    0x40000000ull /* of a guest: where its memory has them */
#define PAGE      4096ull
#define AF        0xb4 /* the control of the Advanced Features capability */

enum { VICTIM, NEIGHBOUR, SENDER, OTHER, DEVICES };

struct world {
	struct rig_model models[DEVICES];
	struct rig rig;
	int container; /* or iommufd */
	int groups[DEVICES], devices[DEVICES];
	uint32_t ids[DEVICES]; /* in the iommufd */
	uint32_t ioas, copy;
	int dmabuf;
	struct iommufd_unit unit; /* with nesting */
	unsigned char *view;      /* the client's mapping of the BAR */
	_Atomic bool stop;
	_Atomic unsigned long arrived[2], faulted[2];
};

static unsigned char *memory(struct world *w)
{
	return uiommufd_bar_memory(w->models[VICTIM].dev, BAR);
}

/* ---- ways to map it --------------------------------------------------------------- */

static void bind_all(struct world *w)
{
	w->container = rig_open_iommu(&w->rig);
	for (unsigned i = 0; i < DEVICES; i++) {
		w->devices[i] = rig_open(&w->rig, i);
		assert_int_equal(
			rig_bind(&w->rig, w->devices[i], w->container, &w->ids[i]), 0);
	}
	w->ioas = rig_ioas(&w->rig, w->container);
	assert_int_equal(rig_attach(&w->rig, w->devices[SENDER], w->ioas), 0);
}

static void map_dmabuf(struct world *w)
{
	w->dmabuf = (int)rig_dmabuf(&w->rig, w->devices[VICTIM], BAR, 0, BAR_BYTES);
	assert_true(w->dmabuf >= 0);
	assert_int_equal(
		rig_map_file(&w->rig, w->container, w->ioas, w->dmabuf, 0, BAR_BYTES, I),
		0);
}

static void by_file(struct world *w)
{
	bind_all(w);
	assert_int_equal(rig_attach(&w->rig, w->devices[OTHER], w->ioas), 0);
	map_dmabuf(w);
}

static void by_copy(struct world *w)
{
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.length = BAR_BYTES,
		.dst_iova = I,
		.src_iova = I,
	};

	bind_all(w);
	map_dmabuf(w);
	w->copy = rig_ioas(&w->rig, w->container);
	assert_int_equal(rig_attach(&w->rig, w->devices[OTHER], w->copy), 0);
	copy.src_ioas_id = w->ioas;
	copy.dst_ioas_id = w->copy;
	assert_int_equal(rig_ioctl(&w->rig, w->container, IOMMU_IOAS_COPY, &copy), 0);
}

/* One IOAS fills two page tables. */
static void by_two_domains(struct world *w)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc)};

	bind_all(w);
	alloc.dev_id = w->ids[OTHER];
	alloc.pt_id = w->ioas;
	assert_int_equal(rig_ioctl(&w->rig, w->container, IOMMU_HWPT_ALLOC, &alloc), 0);
	assert_int_equal(rig_attach(&w->rig, w->devices[OTHER], alloc.out_hwpt_id), 0);
	map_dmabuf(w);
}

/* A guest's tables, of four levels: IOVA I and on are the same addresses of the guest. */
static int make_tables(void)
{
	int fd = memfd_create("tables", MFD_CLOEXEC);
	uint64_t *table;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	table = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(table, MAP_FAILED);
	table[I >> 39 & 511] = (TABLES + PAGE) | 7;
	table[512 + (I >> 30 & 511)] = (TABLES + 2 * PAGE) | 7;
	table[1024 + (I >> 21 & 511)] = (TABLES + 3 * PAGE) | 7;
	for (unsigned i = 0; i < BAR_BYTES / PAGE; i++)
		table[1536 + i] = (I + i * PAGE) | 7;
	munmap(table, 4 * PAGE);
	return fd;
}

static uint32_t make_stage(struct world *w)
{
	struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = TABLES, .addr_width = 48};
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = w->ids[SENDER],
		.pt_id = w->ioas,
	};
	struct iommu_hwpt_alloc stage = {
		.size = sizeof(stage),
		.dev_id = w->ids[SENDER],
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(s1),
		.data_uptr = (uintptr_t)&s1,
	};

	assert_int_equal(rig_ioctl(&w->rig, w->container, IOMMU_HWPT_ALLOC, &parent), 0);
	stage.pt_id = parent.out_hwpt_id;
	assert_int_equal(rig_ioctl(&w->rig, w->container, IOMMU_HWPT_ALLOC, &stage), 0);
	return stage.out_hwpt_id;
}

/* The BAR in a guest's memory, reached through the guest's own tables. */
static void by_nesting(struct world *w)
{
	struct iommufd_unit_config config;
	uint32_t stage;
	const char *why;
	int tables;

	iommufd_unit_defaults(&config, IOMMUFD_UNIT_VTD);
	config.nesting = true;
	assert_int_equal(iommufd_unit_init(&w->unit, &config, &why), 0);
	for (unsigned i = 0; i < DEVICES; i++)
		iommufd_unit_connect(&w->unit, &w->rig.devices[i]->info);
	bind_all(w);
	tables = make_tables();
	assert_int_equal(
		rig_map_file(&w->rig, w->container, w->ioas, tables, 0, 4 * PAGE, TABLES),
		0);
	close(tables);
	stage = make_stage(w);
	assert_int_equal(rig_attach(&w->rig, w->devices[SENDER], stage), 0);
	assert_int_equal(rig_attach(&w->rig, w->devices[OTHER], stage), 0);
	map_dmabuf(w);
}

static void open_by_groups(struct world *w, bool iommufd)
{
	static const char *const names[] = {"0000:01:00.0", "0000:01:00.1",
					    "0000:03:00.0", "0000:04:00.0"};

	w->container = iommufd ? rig_open_iommu(&w->rig) : rig_open_container(&w->rig);
	for (unsigned i = 0; i < DEVICES; i++) {
		w->groups[i] = rig_open_group(&w->rig, i);
		assert_int_equal(rig_ioctl(&w->rig, w->groups[i],
					   VFIO_GROUP_SET_CONTAINER, &w->container),
				 0);
	}
	assert_int_equal(rig_ioctl(&w->rig, w->container, VFIO_SET_IOMMU,
				   (void *)VFIO_TYPE1v2_IOMMU),
			 0);
	for (unsigned i = 0; i < DEVICES; i++)
		w->devices[i] =
			(int)rig_ioctl(&w->rig, w->groups[i], VFIO_GROUP_GET_DEVICE_FD,
				       (void *)(uintptr_t)names[i]);
}

static void map_address(struct world *w)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = I,
		.size = BAR_BYTES,
	};

	w->view = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		       w->devices[VICTIM], (off_t)VFILE_REGION(BAR));
	assert_ptr_not_equal(w->view, MAP_FAILED);
	map.vaddr = (uintptr_t)w->view;
	assert_int_equal(rig_ioctl(&w->rig, w->container, VFIO_IOMMU_MAP_DMA, &map), 0);
}

static void by_type1(struct world *w)
{
	open_by_groups(w, false);
	map_address(w);
}

static void by_compat(struct world *w)
{
	w->rig.machine.compat_p2p = true;
	open_by_groups(w, true);
	map_address(w);
}

static void unmap(struct world *w)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = I, .size = BAR_BYTES};
	uint64_t length = BAR_BYTES;

	if (!w->ioas) {
		assert_int_equal(
			rig_ioctl(&w->rig, w->container, VFIO_IOMMU_UNMAP_DMA, &u), 0);
		assert_int_equal(u.size, BAR_BYTES);
		return;
	}
	assert_int_equal(rig_unmap(&w->rig, w->container, w->ioas, I, &length), 0);
	assert_int_equal(length, BAR_BYTES);
	if (w->copy)
		assert_int_equal(rig_unmap(&w->rig, w->container, w->copy, I, &length),
				 0);
}

/* ---- what takes it away, and the way back ----------------------------------------- */

static void config(struct world *w, unsigned offset, unsigned value)
{
	rig_set_config16(&w->rig, w->devices[VICTIM], offset, value);
}

static void reset(struct world *w)
{
	assert_int_equal(rig_reset(&w->rig, w->devices[VICTIM]), 0);
}

static void flr(struct world *w)
{
	config(w, RIG_DEVCTL, 0x8000);
}

static void af_flr(struct world *w)
{
	config(w, AF, 1);
}

static void hot_reset(struct world *w)
{
	struct {
		struct vfio_pci_hot_reset h;
		int32_t groups[2];
	} r = {.h = {.argsz = sizeof(r)}};

	if (!w->ioas) {
		r.h.count = 2;
		r.groups[0] = w->groups[VICTIM];
		r.groups[1] = w->groups[NEIGHBOUR];
	}
	assert_int_equal(
		rig_ioctl(&w->rig, w->devices[NEIGHBOUR], VFIO_DEVICE_PCI_HOT_RESET, &r),
		0);
}

static void memory_off(struct world *w)
{
	config(w, RIG_COMMAND, 0);
}

static void memory_on(struct world *w)
{
	config(w, RIG_COMMAND, 2);
}

static void d3hot(struct world *w)
{
	config(w, RIG_PMCSR, 3);
}

static void d0(struct world *w)
{
	config(w, RIG_PMCSR, 0);
}

static void low_power(struct world *w, uint32_t nr)
{
	struct vfio_device_feature h = {sizeof(h), VFIO_DEVICE_FEATURE_SET | nr};

	assert_int_equal(rig_ioctl(&w->rig, w->devices[VICTIM], VFIO_DEVICE_FEATURE, &h),
			 0);
}

static void sleeps(struct world *w)
{
	low_power(w, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
}

static void wakes(struct world *w)
{
	low_power(w, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
}

/* A mapping counts as an open. */
static void close_it(struct world *w)
{
	if (w->view)
		munmap(w->view, BAR_BYTES);
	w->view = NULL;
	rig_close(&w->rig, w->devices[VICTIM]);
	w->devices[VICTIM] = -1;
}

static void open_it(struct world *w)
{
	if (!w->ioas) {
		w->devices[VICTIM] = (int)rig_ioctl(&w->rig, w->groups[VICTIM],
						    VFIO_GROUP_GET_DEVICE_FD,
						    (void *)(uintptr_t) "0000:01:00.0");
		assert_true(w->devices[VICTIM] >= 0);
		return;
	}
	w->devices[VICTIM] = rig_open(&w->rig, VICTIM);
	assert_int_equal(rig_bind(&w->rig, w->devices[VICTIM], w->container, NULL), 0);
}

static void *unbind(void *arg)
{
	struct pci_device *dev = arg;

	pci_device_leave(dev);
	do
		pci_device_request(dev);
	while (!pci_device_wait_closed(dev, 10));
	return NULL;
}

/* Who has it open is asked, and lets go. */
static void unbind_it(struct world *w)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irq = {.set = {.argsz = sizeof(irq),
			 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = VFIO_PCI_REQ_IRQ_INDEX,
			 .count = 1},
		 .fd = eventfd(0, EFD_CLOEXEC)};
	pthread_t thread;
	uint64_t asked;

	assert_true(irq.fd >= 0);
	assert_int_equal(
		rig_ioctl(&w->rig, w->devices[VICTIM], VFIO_DEVICE_SET_IRQS, &irq), 0);
	assert_int_equal(pthread_create(&thread, NULL, unbind, w->rig.devices[VICTIM]),
			 0);
	assert_int_equal(read(irq.fd, &asked, sizeof(asked)), sizeof(asked));
	close_it(w);
	pthread_join(thread, NULL);
	close(irq.fd);
	assert_false(pci_device_bound(w->rig.devices[VICTIM]));
}

/* The old group's descriptor leads nowhere any more. */
static void bind_it(struct world *w)
{
	pci_device_bind(w->rig.devices[VICTIM]);
	if (!w->ioas) {
		rig_close(&w->rig, w->groups[VICTIM]);
		w->groups[VICTIM] = rig_open_group(&w->rig, VICTIM);
		assert_true(w->groups[VICTIM] >= 0);
		assert_int_equal(rig_ioctl(&w->rig, w->groups[VICTIM],
					   VFIO_GROUP_SET_CONTAINER, &w->container),
				 0);
	}
	open_it(w);
}

static void nothing(struct world *w)
{
}

static const struct path {
	const char *name;
	void (*map)(struct world *w);
} paths[] = {
	{"MAP_FILE", by_file},           {"COPY", by_copy},
	{"two domains", by_two_domains}, {"type1 address", by_type1},
	{"compat", by_compat},           {"nested", by_nesting},
};

static const struct event {
	const char *name;
	void (*take)(struct world *w);
	void (*give)(struct world *w);
} events[] = {
	{"RESET", reset, nothing},
	{"FLR", flr, nothing},
	{"AF FLR", af_flr, nothing},
	{"hot reset", hot_reset, nothing},
	{"memory off", memory_off, memory_on},
	{"D3hot", d3hot, d0},
	{"low power", sleeps, wakes},
	{"close", close_it, open_it},
	{"unbind", unbind_it, bind_it},
};

/* ---- the peers -------------------------------------------------------------------- */

struct peer {
	struct world *w;
	unsigned n;
};

static void *send(void *arg)
{
	struct peer *p = arg;
	struct world *w = p->w;
	struct uiommufd_channel *ch = w->models[SENDER + p->n].channel;

	while (!w->stop) {
		struct uiommufd_fault fault;

		/* One writes all of it, the other a little of it often. */
		if (!uiommufd_dma_fill(ch, I + p->n * 4096, 0xdd, p->n ? 4096 : BAR_BYTES,
				       &fault)) {
			w->arrived[p->n]++;
			continue;
		}
		assert_int_equal(fault.reason, UIOMMUFD_FAULT_UNMAPPED);
		w->faulted[p->n]++;
		sched_yield();
	}
	return NULL;
}

static void wait_for(_Atomic unsigned long *count, unsigned long more)
{
	unsigned long until = *count + more;

	while (*count < until)
		sched_yield();
}

static void check_cut_off(struct world *w)
{
	unsigned char *bar = memory(w);

	memset(bar, 0xca, BAR_BYTES);
	wait_for(&w->faulted[0], 5);
	wait_for(&w->faulted[1], 5);
	for (size_t i = 0; i < BAR_BYTES; i++)
		if (bar[i] != 0xca)
			fail_msg("byte %zu was written", i);
}

/* ---- the cells -------------------------------------------------------------------- */

static void create(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->dmabuf = -1;
	for (unsigned i = 0; i < DEVICES; i++) {
		rig_model_default(&w->models[i], i);
		w->models[i].desc.af = true;
		w->groups[i] = -1;
	}
	w->models[NEIGHBOUR].bdf = (struct pci_bdf){.bus = 1, .function = 1};
	rig_create(&w->rig, w->models, DEVICES);
}

static void destroy(struct world *w)
{
	if (w->view)
		munmap(w->view, BAR_BYTES);
	if (w->dmabuf >= 0)
		rig_close(&w->rig, w->dmabuf);
	for (unsigned i = 0; i < DEVICES; i++) {
		rig_close(&w->rig, w->devices[i]);
		if (w->groups[i] >= 0)
			rig_close(&w->rig, w->groups[i]);
	}
	rig_close(&w->rig, w->container);
	rig_destroy(&w->rig);
}

static void run_cell(struct world *w, const struct path *path, const struct event *event)
{
	struct peer peers[2] = {{w, 0}, {w, 1}};
	pthread_t threads[2];

	alarm(60); /* a fault that never comes */
	create(w);
	path->map(w);
	for (unsigned i = 0; i < 2; i++) {
		rig_set_config16(&w->rig, w->devices[SENDER + i], RIG_COMMAND, 7);
		assert_int_equal(pthread_create(&threads[i], NULL, send, &peers[i]), 0);
	}
	wait_for(&w->arrived[0], 1 + (unsigned)rand() % 8);
	wait_for(&w->arrived[1], 1 + (unsigned)rand() % 8);
	event->take(w);
	check_cut_off(w);
	event->give(w);
	check_cut_off(w);
	unmap(w);
	check_cut_off(w);
	w->stop = true;
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	destroy(w);
}

static void test_matrix(void **state)
{
	struct world *w = malloc(sizeof(*w));

	srand(1);
	for (size_t e = 0; e < ARRAY_LEN(events); e++) {
		for (size_t p = 0; p < ARRAY_LEN(paths); p++) {
			print_message("%s, %s\n", events[e].name, paths[p].name);
			for (unsigned i = 0; i < ROUNDS; i++)
				run_cell(w, &paths[p], &events[e]);
		}
	}
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
