/* SPDX-License-Identifier: MIT */
/*
 * DMA of virtual functions, through the library: those of a copy engine and of an 82576,
 * each attached to an address space of its own, with the same IOVAs in all of them.
 *
 * The machine has a copy engine (vfio0; its virtual functions are vfio2 to vfio4), and an
 * 82576 (vfio1; vfio5 to vfio11).
 */
#include <stdatomic.h>

#include "devices/igb_hw.h"
#include "iommu_rig.h"

#define CE_PF      "0000:01:00.0"
#define IGB_PF     "0000:02:00.0"
#define VRAM_BYTES ((uint64_t)1 << 20)
#define PEER_IOVA  ((uint64_t)0x10000000)

static const uint8_t token[16] = "of this test";

static struct uiommufd_machine *m;
static int iommu;

static int setup(void **state)
{
	static const char *const devices[] = {"copy-engine,vram=1M,vfs=3", "igb", NULL};
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

/* The physical function's driver comes first, and names the token. */
static void open_functions(struct rig *r, unsigned n, const char *pf, unsigned pf_node,
			   unsigned vf_node)
{
	ok(uiommufd_set_vfs(m, pf, n - 1));
	for (unsigned i = 0; i < n; i++) {
		join(&r[i], m, iommu, i ? vf_node + i - 1 : pf_node, token);
		ok(attach(&r[i], r[i].ioas, NULL));
	}
}

static void close_functions(struct rig *r, unsigned n, const char *pf)
{
	while (n--)
		leave(&r[n]);
	ok(uiommufd_set_vfs(m, pf, 0));
}

static int export_vram(struct rig *r)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_dma_buf buf;
		struct vfio_region_dma_range range;
	} f = {
		.head = {.argsz = sizeof(f),
			 .flags = VFIO_DEVICE_FEATURE_DMA_BUF | VFIO_DEVICE_FEATURE_GET},
		.buf = {.region_index = VFIO_PCI_BAR2_REGION_INDEX,
			.open_flags = O_RDWR | O_CLOEXEC,
			.nr_ranges = 1},
		.range = {0, VRAM_BYTES},
	};
	long fd = device_call(r, VFIO_DEVICE_FEATURE, &f);

	assert_true(fd >= 0);
	return (int)fd;
}

static void map_buf(struct rig *r, int fd, uint64_t iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = r->ioas,
		.fd = fd,
		.length = VRAM_BYTES,
		.iova = iova,
	};

	ok(call(r, IOMMU_IOAS_MAP_FILE, &cmd));
}

static void vram(struct rig *r, void *p, size_t n, bool write)
{
	struct vfio_region_info info = {.argsz = sizeof(info),
					.index = VFIO_PCI_BAR2_REGION_INDEX};

	ok(device_call(r, VFIO_DEVICE_GET_REGION_INFO, &info));
	if (write)
		assert_int_equal(uiommufd_pwrite(m, r->device, p, n, info.offset), n);
	else
		assert_int_equal(uiommufd_pread(m, r->device, p, n, info.offset), n);
}

/* ---- the copy engine's ------------------------------------------------------------ */

static struct ce_desc copy(uint64_t dst, uint64_t src, uint64_t n)
{
	return (struct ce_desc){
		.opcode = CE_OP_COPY, .src = src, .dst = dst, .length = n};
}

static void each_in_its_own_space(void **state)
{
	struct rig r[4];

	(void)state;
	open_functions(r, 4, CE_PF, 0, 2);
	for (unsigned i = 0; i < 4; i++) {
		memset(r[i].data, 'a' + (int)i, PAGE);
		start(&r[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		ok(execute(&r[i], copy(DATA_IOVA + PAGE, DATA_IOVA, PAGE)));
	for (unsigned i = 0; i < 4; i++)
		assert_memory_equal(r[i].data + PAGE, r[i].data, PAGE);
	/* What one has lost, it alone has lost, and is told where. */
	ok(unmap(&r[1], r[1].ioas, DATA_IOVA, DATA_BYTES));
	fails(execute(&r[1], copy(DATA_IOVA + 2 * PAGE, DATA_IOVA, PAGE)), EIO);
	assert_int_equal(fault_code(&r[1]), CE_CODE_UNMAPPED);
	assert_int_equal(r[1].ce.error.addr, DATA_IOVA);
	for (unsigned i = 2; i < 4; i++)
		ok(execute(&r[i], copy(DATA_IOVA + 2 * PAGE, DATA_IOVA, PAGE)));
	ok(execute(&r[0], copy(DATA_IOVA + 2 * PAGE, DATA_IOVA, PAGE)));
	assert_int_equal(r[1].data[2 * PAGE], 0);
	/* Its reset is nobody else's. */
	ok(device_call(&r[1], VFIO_DEVICE_RESET, NULL));
	assert_int_equal(ce_state(&r[1].ce), CE_STATE_DISABLED);
	assert_int_equal(ce_state(&r[0].ce), CE_STATE_READY);
	ok(execute(&r[0], copy(DATA_IOVA + 3 * PAGE, DATA_IOVA, PAGE)));
	ok(execute(&r[2], copy(DATA_IOVA + 3 * PAGE, DATA_IOVA, PAGE)));
	close_functions(r, 4, CE_PF);
}

/* One function writes another's memory, which is reset meanwhile. */
static void revoked_while_it_runs(void **state)
{
	struct rig r[3];
	int buf;

	(void)state;
	open_functions(r, 3, CE_PF, 0, 2);
	buf = export_vram(&r[1]);
	map_buf(&r[2], buf, PEER_IOVA);
	start(&r[0]);
	for (unsigned n = 0; n < 50; n++) {
		uint8_t before[64], after[64];

		start(&r[2]);
		memset(r[2].data, (int)n + 1, DATA_BYTES);
		for (unsigned i = 0; i < RING_SIZE - 1; i++)
			ok(submit(&r[2], copy(PEER_IOVA, DATA_IOVA, DATA_BYTES)));
		ok(submit(&r[0], copy(DATA_IOVA + PAGE, DATA_IOVA, PAGE)));
		ok(device_call(&r[1], VFIO_DEVICE_RESET, NULL));
		vram(&r[1], before, sizeof(before), false);
		/* It ended before, or is told. */
		if (ce_wait(&r[2].ce)) {
			assert_int_equal(fault_code(&r[2]), CE_CODE_UNMAPPED);
			assert_true(r[2].ce.error.addr - PEER_IOVA < VRAM_BYTES);
		}
		vram(&r[1], after, sizeof(after), false);
		assert_memory_equal(before, after, sizeof(before));
		ok(ce_wait(&r[0].ce));
		/* Nothing maps it again by itself. */
		start(&r[2]);
		fails(execute(&r[2], copy(PEER_IOVA, DATA_IOVA, 64)), EIO);
		ok(unmap(&r[2], r[2].ioas, PEER_IOVA, VRAM_BYTES));
		map_buf(&r[2], buf, PEER_IOVA);
	}
	start(&r[2]);
	ok(execute(&r[2], copy(PEER_IOVA, DATA_IOVA, 64)));
	uiommufd_close(m, buf);
	close_functions(r, 3, CE_PF);
}

/* Closed in the middle of it: it writes nothing any more, and the functions can go. */
static void no_function_no_dma(void **state)
{
	unsigned char *seen = shared(DATA_BYTES);
	struct rig r[3];

	(void)state;
	open_functions(r, 3, CE_PF, 0, 2);
	/* What they write stays mapped by somebody else. */
	for (unsigned i = 1; i < 3; i++) {
		ok(unmap(&r[i], r[i].ioas, DATA_IOVA, DATA_BYTES));
		ok(map(&r[i], r[i].ioas, seen, DATA_BYTES, DATA_IOVA));
		start(&r[i]);
		for (unsigned n = 0; n < RING_SIZE - 1; n++)
			ok(submit(&r[i], (struct ce_desc){.opcode = CE_OP_FILL,
							  .src = i,
							  .dst = DATA_IOVA,
							  .length = DATA_BYTES}));
	}
	fails(uiommufd_set_vfs(m, CE_PF, 0), EBUSY);
	leave(&r[1]);
	leave(&r[2]);
	memset(seen, 0x55, DATA_BYTES);
	ok(uiommufd_set_vfs(m, CE_PF, 0));
	start(&r[0]);
	ok(execute(&r[0], copy(DATA_IOVA + PAGE, DATA_IOVA, PAGE)));
	for (size_t i = 0; i < DATA_BYTES; i++)
		assert_int_equal(seen[i], 0x55);
	leave(&r[0]);
	munmap(seen, DATA_BYTES);
}

/* ---- the 82576's ------------------------------------------------------------------ */

#define ENTRIES    64u
#define TX_RING    RING_IOVA
#define RX_RING    (RING_IOVA + 0x800)
#define RX_BUFFERS (DATA_IOVA + 0x10000) /* 2 KiB each; they are used again and again */

struct nic_desc {
	uint64_t address;
	uint32_t w2, w3;
};

static uint32_t get(struct rig *r, uint32_t offset)
{
	uint32_t value;

	assert_int_equal(uiommufd_pread(m, r->device, &value, 4, r->registers + offset),
			 4);
	return value;
}

static void set(struct rig *r, uint32_t offset, uint32_t value)
{
	assert_int_equal(uiommufd_pwrite(m, r->device, &value, 4, r->registers + offset),
			 4);
}

static struct nic_desc *tx(struct rig *r)
{
	return r->ring;
}

static struct nic_desc *rx(struct rig *r)
{
	return (struct nic_desc *)((char *)r->ring + (RX_RING - RING_IOVA));
}

static void start_queue(struct rig *r, uint32_t ring, uint32_t base, uint32_t tail)
{
	set(r, base + IGB_Q_DCTL, 0);
	while (get(r, base + IGB_Q_DCTL) & QUEUE_ENABLE)
		sched_yield();
	set(r, base + IGB_Q_BAL, ring);
	set(r, base + IGB_Q_BAH, 0);
	set(r, base + IGB_Q_LEN, 32 * 16);
	set(r, base + IGB_Q_SRRCTL, 1u << 25);
	set(r, base + IGB_Q_HEAD, 0);
	set(r, base + IGB_Q_TAIL, 0);
	set(r, base + IGB_Q_DCTL, QUEUE_ENABLE);
	set(r, base + IGB_Q_TAIL, tail);
}

static void start_nic(struct rig *r, unsigned queue)
{
	memset(r->ring, 0, PAGE);
	for (unsigned i = 0; i < 32; i++)
		rx(r)[i].address = RX_BUFFERS + i * 2048;
	start_queue(r, TX_RING, 0x3800 + 0x100 * queue, 0);
	start_queue(r, RX_RING, 0x2800 + 0x100 * queue, 31);
}

/* Pools 0 and 1 are virtual functions, 2 is the physical one: address 02:..:POOL. */
static void start_switch(struct rig *r)
{
	set(&r[0], IGB_CTRL, CTRL_SLU);
	set(&r[0], IGB_MRQC, MRQC_VMDQ);
	set(&r[0], IGB_VT_CTL, 2u << 7 | VT_CTL_REPLICATION);
	set(&r[0], IGB_DTXSWC, DTXSWC_LOOPBACK);
	for (uint32_t i = 0; i < 3; i++) {
		set(&r[0], IGB_RA + 8 * i, 2);
		set(&r[0], IGB_RA + 8 * i + 4, i << 8 | 1u << (18 + i) | RAH_AV);
		set(&r[0], IGB_VMOLR + 4 * i, VMOLR_AUPE | VMOLR_BAM);
	}
	set(&r[0], IGB_RCTL, RCTL_RXEN | RCTL_BAM | RCTL_SECRC);
	set(&r[0], IGB_TCTL, TCTL_EN | TCTL_PSP);
	for (unsigned i = 0; i < 3; i++)
		start_nic(&r[i], i ? 0 : 2);
	set(&r[0], IGB_VFRE, 0xff);
	set(&r[0], IGB_VFTE, 0xff);
}

static void make_frame(unsigned char *p, unsigned to, unsigned from, int fill)
{
	const unsigned char head[14] = {2,    0,   0, 0, 0, (unsigned char)to,
					2,    0,   0, 0, 0, (unsigned char)from,
					0x88, 0xb5};

	memcpy(p, head, sizeof(head));
	memset(p + sizeof(head), fill, 1000 - sizeof(head));
}

/* 1000 bytes at @iova, in slot @slot. */
static void post(struct rig *r, unsigned queue, unsigned slot, uint64_t iova)
{
	tx(r)[slot] = (struct nic_desc){
		iova, 1000 | 3u << 20 | TX_DEXT | TX_EOP | TX_IFCS | TX_RS, 0};
	set(r, 0x3818 + 0x100 * queue, (slot + 1) % 32);
}

static void wait_for(uint32_t *word)
{
	while (!(__atomic_load_n(word, __ATOMIC_ACQUIRE) & 1))
		sched_yield();
}

/* One frame; sender and receiver begin with empty rings. */
static void one_frame(struct rig *r, unsigned from, unsigned to, uint64_t iova, int fill)
{
	static const unsigned pool[] = {2, 0, 1};
	unsigned char frame[1000];

	make_frame(frame, pool[to], pool[from], fill);
	if (iova == DATA_IOVA)
		memcpy(r[from].data, frame, sizeof(frame));
	start_nic(&r[from], from ? 0 : 2);
	start_nic(&r[to], to ? 0 : 2);
	post(&r[from], from ? 0 : 2, 0, iova);
	wait_for(&tx(&r[from])[0].w3);
	wait_for(&rx(&r[to])[0].w2);
	assert_int_equal(rx(&r[to])[0].w3 & 0xffff, 1000);
	assert_memory_equal(r[to].data + 0x10000, frame, sizeof(frame));
}

static void frames_between_spaces(void **state)
{
	struct rig r[3];

	(void)state;
	open_functions(r, 3, IGB_PF, 1, 5);
	start_switch(r);
	for (int n = 0; n < 30; n++)
		one_frame(r, (unsigned)n % 3, (unsigned)(n + 1 + n / 3 % 2) % 3,
			  DATA_IOVA, n);
	/* Without its memory a function is stuck; the others are not. */
	ok(unmap(&r[1], r[1].ioas, DATA_IOVA, DATA_BYTES));
	start_nic(&r[1], 0);
	post(&r[1], 0, 0, DATA_IOVA);
	one_frame(r, 2, 0, DATA_IOVA, 40);
	assert_int_equal(get(&r[1], 0x3810), 0);
	ok(map(&r[1], r[1].ioas, r[1].data, DATA_BYTES, DATA_IOVA));
	one_frame(r, 1, 2, DATA_IOVA, 41);
	/* The physical function without an address space, the others with theirs. */
	ok(device_call(&r[0], VFIO_DEVICE_DETACH_IOMMUFD_PT,
		       &(struct vfio_device_detach_iommufd_pt){
			       .argsz = sizeof(struct vfio_device_detach_iommufd_pt)}));
	one_frame(r, 2, 1, DATA_IOVA, 42);
	close_functions(r, 3, IGB_PF);
}

/* Frames out of the memory of a copy engine's function, which is reset meanwhile. */
static void frames_out_of_revoked_memory(void **state)
{
	struct rig r[3], ce[2];
	unsigned char frame[1000];
	int buf;

	(void)state;
	open_functions(ce, 2, CE_PF, 0, 2);
	open_functions(r, 3, IGB_PF, 1, 5);
	start_switch(r);
	buf = export_vram(&ce[1]);
	make_frame(frame, 1, 0, 7);
	for (unsigned n = 0; n < 50; n++) {
		map_buf(&r[1], buf, PEER_IOVA);
		vram(&ce[1], frame, sizeof(frame), true);
		one_frame(r, 1, 2, PEER_IOVA, 7);
		for (unsigned slot = 1; slot < 31; slot++)
			post(&r[1], 0, slot, PEER_IOVA);
		post(&r[0], 2, 0, DATA_IOVA);
		ok(device_call(&ce[1], VFIO_DEVICE_RESET, NULL));
		/* Those that follow are stuck, in this function only. */
		post(&r[1], 0, 31, PEER_IOVA);
		one_frame(r, 0, 2, DATA_IOVA, (int)n);
		assert_int_not_equal(get(&r[1], 0x3810), get(&r[1], 0x3818));
		ok(unmap(&r[1], r[1].ioas, PEER_IOVA, VRAM_BYTES));
	}
	/* And into it. */
	map_buf(&r[2], buf, PEER_IOVA);
	one_frame(r, 1, 2, DATA_IOVA, 1);
	for (unsigned i = 0; i < 32; i++)
		rx(&r[2])[i] = (struct nic_desc){.address = PEER_IOVA};
	start_queue(&r[2], RX_RING, 0x2800, 31);
	for (unsigned slot = 1; slot < 20; slot++)
		post(&r[1], 0, slot, DATA_IOVA);
	ok(device_call(&ce[1], VFIO_DEVICE_RESET, NULL));
	memset(frame, 0, sizeof(frame));
	vram(&ce[1], frame, sizeof(frame), true);
	wait_for(&tx(&r[1])[19].w3);
	vram(&ce[1], frame, sizeof(frame), false);
	for (unsigned i = 0; i < sizeof(frame); i++)
		assert_int_equal(frame[i], 0);
	uiommufd_close(m, buf);
	close_functions(r, 3, IGB_PF);
	close_functions(ce, 2, CE_PF);
}

/* While everybody sends to everybody, one is reset, closed, opened, again and again. */
static void resets_under_load(void **state)
{
	struct rig r[3];

	(void)state;
	open_functions(r, 3, IGB_PF, 1, 5);
	start_switch(r);
	for (unsigned n = 0; n < 60; n++) {
		make_frame(r[2].data, 0, 1, 1);
		make_frame(r[1].data, 2, 0, 1);
		start_nic(&r[1], 0);
		start_nic(&r[2], 0);
		set(&r[0], IGB_VFRE, 0xff);
		set(&r[0], IGB_VFTE, 0xff);
		for (unsigned slot = 0; slot < 31; slot++) {
			post(&r[1], 0, slot, DATA_IOVA);
			post(&r[2], 0, slot, DATA_IOVA);
		}
		if (n % 3) {
			ok(device_call(&r[1], VFIO_DEVICE_RESET, NULL));
		} else {
			leave(&r[1]);
			join(&r[1], m, iommu, 5, token);
			ok(attach(&r[1], r[1].ioas, NULL));
		}
		assert_int_equal(get(&r[0], IGB_VFTE), 0xfe);
		assert_int_equal(get(&r[1], 0x3828) & QUEUE_ENABLE, 0);
		/* The other one has sent all of its frames. */
		wait_for(&tx(&r[2])[30].w3);
	}
	leave(&r[1]);
	leave(&r[2]);
	ok(uiommufd_set_vfs(m, IGB_PF, 0));
	ok(uiommufd_set_vfs(m, IGB_PF, 1));
	join(&r[1], m, iommu, 5, token);
	ok(attach(&r[1], r[1].ioas, NULL));
	set(&r[0], IGB_VFRE, 0xff);
	set(&r[0], IGB_VFTE, 0xff);
	one_frame(r, 1, 0, DATA_IOVA, 9);
	leave(&r[1]);
	leave(&r[0]);
	ok(uiommufd_set_vfs(m, IGB_PF, 0));
}

#define with_machine(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_machine(each_in_its_own_space),
		with_machine(revoked_while_it_runs),
		with_machine(no_function_no_dma),
		with_machine(frames_between_spaces),
		with_machine(frames_out_of_revoked_memory),
		with_machine(resets_under_load),
	};

	return cmocka_run_group_tests_name("vf-dma", tests, NULL, NULL);
}
