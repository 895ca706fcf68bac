/* SPDX-License-Identifier: MIT */
/*
 * The exporter and the importer of peers.h.
 *
 * Each engine has a ring of its own, which is mapped wherever the BAR is and stays so: in
 * a guest's address space behind the BAR, within reach of one table.
 */
#include "peers.h"

#include <sched.h>
#include <sys/mman.h>

#define RINGS  (FAR_IOVA + (1 << 20))
#define TABLES 0x40000000ull /* of a guest: where its memory has them */
#define SLOTS  16
#define BATCH  8
#define STALE  0xddddddddddddddddull
#define RW_FIXED                                                                         \
	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

static const char *const engine_bdfs[ENGINES] = {"0000:02:00.0", "0000:03:00.0"};
static const char *const engine_nodes[ENGINES] = {"/dev/vfio/devices/vfio1",
						  "/dev/vfio/devices/vfio2"};
static const char *const engine_groups[ENGINES] = {"/dev/vfio/2", "/dev/vfio/3"};

struct path {
	const char *name;
	/* Open the engines' address spaces and put the engines there. */
	void (*open)(struct importer *i);
	const char *container; /* NULL: an iommufd, which maps the buffer itself */
};

static void *anonymous(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* ---- ways to map ------------------------------------------------------------------ */

static void attach(struct engine *g, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt at = {.argsz = sizeof(at), .pt_id = pt};

	CHECK(!ioctl(g->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
}

static uint32_t alloc_hwpt(struct importer *i, struct engine *g, uint32_t pt,
			   uint32_t flags, const struct iommu_hwpt_vtd_s1 *s1)
{
	struct iommu_hwpt_alloc a = {
		.size = sizeof(a),
		.flags = flags,
		.dev_id = g->id,
		.pt_id = pt,
		.data_type = s1 ? IOMMU_HWPT_DATA_VTD_S1 : IOMMU_HWPT_DATA_NONE,
		.data_len = s1 ? sizeof(*s1) : 0,
		.data_uptr = (uintptr_t)s1,
	};

	CHECK(!ioctl(i->fd, IOMMU_HWPT_ALLOC, &a));
	return a.out_hwpt_id;
}

static void open_ioas(struct importer *i)
{
	for (unsigned n = 0; n < ENGINES; n++)
		attach(&i->engines[n], i->ioas);
}

static void open_two_ioases(struct importer *i)
{
	i->copy = alloc_ioas(i->fd);
	attach(&i->engines[0], i->ioas);
	attach(&i->engines[1], i->copy);
}

/* One IOAS fills a page table for each. */
static void open_domains(struct importer *i)
{
	for (unsigned n = 0; n < ENGINES; n++) {
		struct engine *g = &i->engines[n];

		attach(g, alloc_hwpt(i, g, i->ioas, 0, NULL));
	}
}

/* A guest that maps its memory one to one, in tables of four levels. */
static void open_nested(struct importer *i)
{
	struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = TABLES, .addr_width = 48};
	uint32_t parent, stage;

	i->tables = anonymous(4 * PAGE);
	i->tables[FAR_IOVA >> 39 & 511] = (TABLES + PAGE) | 7;
	i->tables[512 + (FAR_IOVA >> 30 & 511)] = (TABLES + 2 * PAGE) | 7;
	i->tables[1024 + (FAR_IOVA >> 21 & 511)] = (TABLES + 3 * PAGE) | 7;
	for (unsigned n = 0; n < 512; n++)
		i->tables[1536 + n] = (FAR_IOVA + n * PAGE) | 7;
	CHECK(!map(i->fd, i->ioas, i->tables, 4 * PAGE, TABLES));
	parent = alloc_hwpt(i, &i->engines[0], i->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
			    NULL);
	stage = alloc_hwpt(i, &i->engines[0], parent, 0, &s1);
	for (unsigned n = 0; n < ENGINES; n++)
		attach(&i->engines[n], stage);
}

static void open_container(struct importer *i)
{
	for (unsigned n = 0; n < ENGINES; n++)
		CHECK(!ioctl(i->engines[n].group, VFIO_GROUP_SET_CONTAINER, &i->fd));
	CHECK(!ioctl(i->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	for (unsigned n = 0; n < ENGINES; n++) {
		i->engines[n].fd = ioctl(i->engines[n].group, VFIO_GROUP_GET_DEVICE_FD,
					 engine_bdfs[n]);
		CHECK(i->engines[n].fd >= 0);
	}
}

static const struct path paths[] = {
	{"MAP_FILE", open_ioas, NULL},
	{"COPY", open_two_ioases, NULL},
	{"several domains", open_domains, NULL},
	{"nested", open_nested, NULL},
	{"type1 address", open_container, "/dev/vfio/vfio"},
	{"compat address", open_container, "/dev/iommu"},
};

const struct path *path_at(unsigned n)
{
	return n < sizeof(paths) / sizeof(paths[0]) ? &paths[n] : NULL;
}

const char *path_name(const struct path *path)
{
	return path->name;
}

static int map_dma(int container, void *va, uint64_t length, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = length,
	};

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &m);
}

static int unmap_dma(int container)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = FAR_IOVA, .size = BAR_LENGTH};

	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &u);
}

/* ---- the exporter ----------------------------------------------------------------- */

bool exporter_try_open(struct exporter *e, const char *node, const uint8_t *token)
{
	struct vfio_device_bind_iommufd b = {
		.argsz = sizeof(b),
		.flags = token ? VFIO_DEVICE_BIND_FLAG_TOKEN : 0,
		.token_uuid_ptr = (uintptr_t)token,
	};
	struct device d;

	*e = (struct exporter){.container = -1, .buf = -1, .iommu = open_iommu()};
	e->fd = open(node, O_RDWR | O_CLOEXEC);
	CHECK(e->fd >= 0);
	b.iommufd = e->iommu;
	if (ioctl(e->fd, VFIO_DEVICE_BIND_IOMMUFD, &b)) {
		CHECK(errno == EBUSY || errno == EINVAL);
		exporter_close(e);
		return false;
	}
	d = (struct device){.fd = e->fd, .iommu = e->iommu};
	device_master(&d);
	return true;
}

static off_t bar_offset(struct exporter *e)
{
	return (off_t)region_offset(e->fd, VFIO_PCI_BAR2_REGION_INDEX, NULL, NULL);
}

static int map_view(struct exporter *e)
{
	return map_dma(e->container, e->view, BAR_LENGTH, FAR_IOVA);
}

void exporter_offer(struct exporter *e, const struct path *path, int sock)
{
	struct device d = {.fd = e->fd, .iommu = e->iommu};

	e->path = path;
	if (path->container) {
		e->container = receive_fd(sock);
		e->view = mmap(NULL, BAR_LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED,
			       e->fd, bar_offset(e));
		CHECK(e->view != MAP_FAILED);
		CHECK(!map_view(e));
	} else {
		e->buf = device_export(&d, BAR_LENGTH);
		CHECK(e->buf >= 0);
		send_fd(sock, e->buf);
	}
}

/* The importer may be gone, and its container with it nothing but a descriptor. */
void exporter_churn(struct exporter *e)
{
	CHECK(!ioctl(e->fd, VFIO_DEVICE_RESET));
	if (e->container < 0)
		return;
	unmap_dma(e->container);
	map_view(e);
}

void exporter_withdraw(struct exporter *e)
{
	if (e->container >= 0)
		close(e->container);
	if (e->view)
		munmap(e->view, BAR_LENGTH);
	if (e->buf >= 0)
		close(e->buf);
	e->container = e->buf = -1;
	e->view = NULL;
}

void exporter_close(struct exporter *e)
{
	exporter_withdraw(e);
	close(e->fd);
	close(e->iommu);
}

void exporter_fill(struct exporter *e, uint8_t byte)
{
	static uint8_t bytes[BAR_LENGTH];

	memset(bytes, byte, sizeof(bytes));
	CHECK(pwrite(e->fd, bytes, sizeof(bytes), bar_offset(e)) == sizeof(bytes));
}

void exporter_check(struct exporter *e, uint8_t byte)
{
	static uint8_t bytes[BAR_LENGTH];

	CHECK(pread(e->fd, bytes, sizeof(bytes), bar_offset(e)) == sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		CHECK(bytes[i] == byte);
}

/* ---- the importer ----------------------------------------------------------------- */

static int map_buffer(struct importer *i)
{
	struct iommu_ioas_map_file m = {
		.size = sizeof(m),
		.flags = RW_FIXED,
		.ioas_id = i->ioas,
		.fd = i->buf,
		.length = BAR_LENGTH,
		.iova = FAR_IOVA,
	};
	struct iommu_ioas_copy c = {
		.size = sizeof(c),
		.flags = RW_FIXED,
		.dst_ioas_id = i->copy,
		.src_ioas_id = i->ioas,
		.length = BAR_LENGTH,
		.dst_iova = FAR_IOVA,
		.src_iova = FAR_IOVA,
	};
	int err = ioctl(i->fd, IOMMU_IOAS_MAP_FILE, &m);

	return err || !i->copy ? err : ioctl(i->fd, IOMMU_IOAS_COPY, &c);
}

static int unmap_buffer(struct importer *i)
{
	int err = i->copy ? unmap(i->fd, i->copy, FAR_IOVA, BAR_LENGTH) : 0;

	return unmap(i->fd, i->ioas, FAR_IOVA, BAR_LENGTH) ? -1 : err;
}

static void map_ring(struct importer *i, struct engine *g)
{
	uint64_t iova = RINGS + g->n * PAGE;

	g->ring = anonymous(PAGE);
	if (i->path->container) {
		CHECK(!map_dma(i->fd, g->ring, PAGE, iova));
		return;
	}
	CHECK(!map(i->fd, i->ioas, g->ring, PAGE, iova));
	if (i->copy)
		CHECK(!map(i->fd, i->copy, g->ring, PAGE, iova));
}

static bool engine_try_open(struct importer *i, struct engine *g)
{
	struct vfio_device_bind_iommufd b = {.argsz = sizeof(b), .iommufd = i->fd};

	if (i->path->container) {
		g->group = open(engine_groups[g->n], O_RDWR | O_CLOEXEC);
		return g->group >= 0;
	}
	g->fd = open(engine_nodes[g->n], O_RDWR | O_CLOEXEC);
	CHECK(g->fd >= 0);
	if (ioctl(g->fd, VFIO_DEVICE_BIND_IOMMUFD, &b))
		return false;
	g->id = b.out_devid;
	return true;
}

static int read_register(void *arg, uint64_t offset, void *value, size_t n)
{
	const struct engine *g = arg;
	uint64_t bar = region_offset(g->fd, VFIO_PCI_BAR0_REGION_INDEX, NULL, NULL);

	return pread(g->fd, value, n, (off_t)(bar + offset)) == (ssize_t)n ? 0 : -EIO;
}

static int write_register(void *arg, uint64_t offset, const void *value, size_t n)
{
	const struct engine *g = arg;
	uint64_t bar = region_offset(g->fd, VFIO_PCI_BAR0_REGION_INDEX, NULL, NULL);

	return pwrite(g->fd, value, n, (off_t)(bar + offset)) == (ssize_t)n ? 0 : -EIO;
}

bool importer_try_open(struct importer *i, const struct path *path, struct sights *seen)
{
	const char *node = path->container ? path->container : "/dev/iommu";
	unsigned n;

	memset(i, 0, sizeof(*i));
	i->path = path;
	i->seen = seen;
	i->buf = -1;
	i->fd = open(node, O_RDWR | O_CLOEXEC);
	CHECK(i->fd >= 0);
	for (n = 0; n < ENGINES; n++)
		i->engines[n] =
			(struct engine){.importer = i, .n = n, .fd = -1, .group = -1};
	for (n = 0; n < ENGINES && engine_try_open(i, &i->engines[n]); n++)
		;
	if (n < ENGINES) {
		CHECK(errno == EBUSY || errno == EINVAL);
		importer_close(i);
		return false;
	}
	if (!path->container)
		i->ioas = alloc_ioas(i->fd);
	path->open(i);
	for (n = 0; n < ENGINES; n++) {
		struct engine *g = &i->engines[n];
		struct ce_bus bus = {read_register, write_register, g};
		struct device d = {.fd = g->fd, .iommu = i->fd};

		map_ring(i, g);
		device_master(&d);
		CHECK(!ce_start(&g->ce, &bus, g->ring, RINGS + n * PAGE, SLOTS));
	}
	return true;
}

void importer_ask(struct importer *i, int sock)
{
	if (i->path->container)
		send_fd(sock, i->fd);
}

void importer_accept(struct importer *i, int sock)
{
	if (i->path->container)
		return;
	if (i->buf >= 0)
		close(i->buf);
	i->buf = receive_fd(sock);
	CHECK(!map_buffer(i));
}

/* Just now the memory may be its device's alone, and nothing be there to copy. */
void importer_churn(struct importer *i)
{
	if (i->path->container) {
		sched_yield();
		return;
	}
	unmap_buffer(i);
	if (map_buffer(i))
		CHECK(errno == ENODEV || errno == ENOENT);
}

int importer_unmap(struct importer *i)
{
	return i->path->container ? unmap_dma(i->fd) : unmap_buffer(i);
}

/* One engine writes all of it, the other a little of it often. */
static void submit(struct engine *g)
{
	const struct ce_desc fill = {
		.opcode = CE_OP_FILL,
		.src = STALE,
		.dst = FAR_IOVA + g->n * PAGE,
		.length = g->n ? PAGE : BAR_LENGTH,
	};

	for (unsigned n = 0; n < BATCH; n++)
		CHECK(!ce_submit(&g->ce, &fill));
	CHECK(!ce_kick(&g->ce));
}

static void check_fault(struct engine *g)
{
	const struct ce_error *e = &g->ce.error;

	CHECK(CE_ERROR_CODE(e->error) == CE_CODE_UNMAPPED);
	CHECK(CE_ERROR_IS_WRITE(e->error));
	CHECK(e->addr >= FAR_IOVA && e->addr < FAR_IOVA + BAR_LENGTH);
}

/* Every descriptor either arrives or faults. */
static void *run_engine(void *arg)
{
	struct engine *g = arg;

	while (!g->importer->stop) {
		unsigned faults = 0;
		int err;

		submit(g);
		while ((err = ce_wait(&g->ce))) {
			CHECK(err == -EIO);
			check_fault(g);
			CHECK(++faults <= BATCH);
			CHECK(!ce_skip(&g->ce));
		}
		g->importer->seen->faulted[g->n] += faults;
		g->importer->seen->arrived[g->n] += BATCH - faults;
	}
	return NULL;
}

void importer_start(struct importer *i)
{
	i->stop = false;
	for (unsigned n = 0; n < ENGINES; n++)
		CHECK(!pthread_create(&i->engines[n].thread, NULL, run_engine,
				      &i->engines[n]));
}

void importer_stop(struct importer *i)
{
	i->stop = true;
	for (unsigned n = 0; n < ENGINES; n++)
		CHECK(!pthread_join(i->engines[n].thread, NULL));
}

void importer_close(struct importer *i)
{
	for (unsigned n = 0; n < ENGINES; n++) {
		struct engine *g = &i->engines[n];

		if (g->ring)
			munmap(g->ring, PAGE);
		if (g->fd >= 0)
			close(g->fd);
		if (g->group >= 0)
			close(g->group);
	}
	if (i->tables)
		munmap(i->tables, 4 * PAGE);
	if (i->buf >= 0)
		close(i->buf);
	close(i->fd);
}
