/* SPDX-License-Identifier: MIT */
/* Virtual IOMMUs and what hangs off them. */
#include "fake_iommu.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/files.h"
#include "port/fault_inject.h"

#define IOVA  ((uint64_t)0x10000000)
#define HDR   sizeof(struct iommufd_vevent_header)
#define EVENT (HDR + sizeof(uint32_t))

struct world {
	struct fixture *fx;
	struct fake_port p;
	uint32_t ioas, parent, viommu;
};

static void begin(struct world *w, struct fixture *fx)
{
	w->fx = fx;
	w->ioas = ioas_alloc(fx);
	port_init(&w->p, NULL);
	assert_ok(device_bind(fx, &w->p.d));
	assert_ok(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_NEST_PARENT, w->p.d.id, w->ioas,
			     &w->parent));
	assert_ok(viommu_alloc(fx, w->p.d.id, w->parent, &w->viommu));
}

static void end(struct world *w)
{
	files_reap(w->fx->machine.files);
	port_finish(&w->p);
}

/* ---- the object ---------------------------------------------------------------------
 */

static void object(void **state)
{
	struct fixture *fx = *state;
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd), .type = 1};
	uint32_t plain, nested, id;
	struct fake_device vtd;
	struct world w;

	begin(&w, fx);
	assert_err(viommu_alloc(fx, 99, w.parent, NULL), ENOENT);
	cmd.dev_id = w.p.d.id;
	cmd.hwpt_id = 99;
	assert_err(call(fx, IOMMU_VIOMMU_ALLOC, &cmd), EOPNOTSUPP); /* no such type */
	cmd.type = FAKE_TYPE;
	assert_err(call(fx, IOMMU_VIOMMU_ALLOC, &cmd), ENOENT);
	assert_ok(hwpt_alloc(fx, 0, w.p.d.id, w.ioas, &plain));
	assert_err(viommu_alloc(fx, w.p.d.id, plain, NULL), EINVAL);
	/* Who uses whom. */
	assert_err(destroy(fx, w.parent), EBUSY);
	assert_ok(hwpt_alloc_with(
		fx, (struct hwpt_args){.dev = w.p.d.id, .pt = w.viommu, .data = true},
		&nested));
	assert_err(destroy(fx, w.viommu), EBUSY);
	assert_err(viommu_alloc(fx, w.p.d.id, nested, NULL), ENOENT);
	assert_ok(device_attach(&w.p.d, nested, NULL));
	assert_non_null(w.p.now[0].nested);
	assert_err(destroy(fx, nested), EBUSY);
	iommufd_device_detach(w.p.d.dev);
	assert_ok(destroy(fx, nested));
	/* Nested hwpts need data, and no other flags. */
	assert_err(hwpt_alloc(fx, 0, w.p.d.id, w.viommu, NULL), EOPNOTSUPP);
	assert_err(
		hwpt_alloc_with(fx,
				(struct hwpt_args){.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
						   .dev = w.p.d.id,
						   .pt = w.viommu,
						   .data = true},
				NULL),
		EOPNOTSUPP);
	/* A device behind another IOMMU. */
	device_init(&vtd, NULL);
	assert_ok(device_bind(fx, &vtd));
	assert_err(viommu_alloc(fx, vtd.id, w.parent, NULL), EOPNOTSUPP);
	assert_err(hwpt_alloc_with(fx,
				   (struct hwpt_args){
					   .dev = vtd.id, .pt = w.viommu, .data = true},
				   NULL),
		   EINVAL);
	assert_err(vdevice_alloc(fx, w.viommu, vtd.id, 1, NULL), EINVAL);
	assert_err(device_attach(&vtd, plain, NULL), EINVAL);
	device_unbind(&vtd);
	dma_requester_finish(&vtd.requester);
	assert_ok(destroy(fx, w.viommu));
	assert_null(fake_last_viommu);
	assert_ok(viommu_alloc(fx, w.p.d.id, w.parent, &id));
	end(&w);
}

static long invalidate(struct fixture *fx, uint32_t id, const int *v, uint32_t type,
		       uint32_t *n)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = id,
		.data_uptr = (uintptr_t)v,
		.data_type = type,
		.entry_len = sizeof(*v),
		.entry_num = *n,
	};
	long ret = call(fx, IOMMU_HWPT_INVALIDATE, &cmd);

	*n = cmd.entry_num;
	return ret;
}

static void invalidation(void **state)
{
	struct fixture *fx = *state;
	const int v[] = {0, 0, 5, 0};
	uint32_t ids[2], n;
	struct world w;

	begin(&w, fx);
	assert_ok(hwpt_alloc_with(
		fx, (struct hwpt_args){.dev = w.p.d.id, .pt = w.parent, .data = true},
		&ids[0]));
	ids[1] = w.viommu;
	for (unsigned i = 0; i < 2; i++) {
		n = 2;
		assert_ok(invalidate(fx, ids[i], v, FAKE_TYPE, &n));
		assert_int_equal(n, 2);
		n = 4;
		assert_err(invalidate(fx, ids[i], v, FAKE_TYPE, &n), EIO);
		assert_int_equal(n, 2);
		assert_err(invalidate(fx, ids[i], v, 1, &n), EINVAL);
		assert_int_equal(n, 0);
		n = 1;
		assert_err(invalidate(fx, ids[i], NULL, FAKE_TYPE, &n), EINVAL);
		assert_int_equal(n, 0);
	}
	n = 2;
	assert_err(invalidate(fx, w.parent, v, FAKE_TYPE, &n), EINVAL);
	assert_int_equal(n, 0);
	n = 2;
	assert_err(invalidate(fx, 99, v, FAKE_TYPE, &n), ENOENT);
	end(&w);
}

/* ---- vDEVICEs -----------------------------------------------------------------------
 */

static void vdevices(void **state)
{
	struct fixture *fx = *state;
	struct fake_port other;
	uint32_t id, second, next;
	uint64_t virt_id;
	struct world w;

	begin(&w, fx);
	port_init(&other, NULL);
	assert_ok(device_bind(fx, &other.d));
	assert_err(vdevice_alloc(fx, w.parent, w.p.d.id, 5, NULL), ENOENT);
	assert_err(vdevice_alloc(fx, w.viommu, 99, 5, NULL), ENOENT);
	fake_last_viommu->vdevice_fails = -EIO;
	assert_err(vdevice_alloc(fx, w.viommu, w.p.d.id, 5, NULL), EIO);
	fake_last_viommu->vdevice_fails = 0;
	assert_ok(vdevice_alloc(fx, w.viommu, w.p.d.id, 5, &id));
	assert_err(vdevice_alloc(fx, w.viommu, w.p.d.id, 6, NULL), EEXIST);
	assert_err(vdevice_alloc(fx, w.viommu, other.d.id, 5, NULL), EEXIST);
	assert_ok(vdevice_alloc(fx, w.viommu, other.d.id, 6, &second));
	assert_int_equal(fake_last_viommu->vdevices, 2);
	assert_err(destroy(fx, w.viommu), EBUSY);
	iommufd_viommu_lock(fake_last_viommu->core);
	assert_null(iommufd_viommu_find(fake_last_viommu->core, 7));
	assert_ptr_equal(port_of(iommufd_viommu_find(fake_last_viommu->core, 6)), &other);
	iommufd_viommu_unlock(fake_last_viommu->core);
	assert_ok(destroy(fx, id));
	assert_int_equal(fake_last_viommu->vdevices, 1);
	assert_ok(vdevice_alloc(fx, w.viommu, w.p.d.id, 5, &next));
	assert_int_equal(next, id);
	/* When the device goes, its id is buried with it. */
	device_unbind(&w.p.d);
	assert_int_equal(fake_last_viommu->vdevices, 1);
	assert_err(destroy(fx, next), ENOENT);
	assert_ok(device_bind(fx, &w.p.d));
	assert_true(w.p.d.id != next);
	assert_true(ioas_alloc(fx) != next);
	assert_ok(vdevice_alloc(fx, w.viommu, w.p.d.id, UINT64_MAX, &id));
	assert_err(iommufd_viommu_virt_id(fake_last_viommu->core, &w.p.d.info, &virt_id),
		   ENOENT); /* not the context's own */
	port_finish(&other);
	assert_int_equal(fake_last_viommu->vdevices, 1);
	end(&w);
	assert_int_equal(fake_last_viommu->vdevices, 0);
}

/* ---- pages to map -------------------------------------------------------------------
 */

static int may_map(struct fixture *fx, uint64_t offset, uint64_t length)
{
	return fx->iommu->ops->mmap(fx->iommu, offset, length, PROT_READ | PROT_WRITE,
				    MAP_SHARED);
}

static void mapping(void **state)
{
	struct fixture *fx = *state;
	int fd = fx->client->ops->install(fx->client, fx->iommu, O_RDWR);
	uint64_t offset, second;
	uint32_t *p, id;
	struct world w;

	begin(&w, fx);
	offset = fake_last_viommu->page_offset;
	assert_ok(may_map(fx, offset, 2 * PAGE));
	assert_ok(may_map(fx, offset, 2 * PAGE - 1));
	assert_err(may_map(fx, offset, PAGE), ENXIO);
	assert_err(may_map(fx, offset, 3 * PAGE), ENXIO);
	assert_err(may_map(fx, offset + PAGE, PAGE), ENXIO);
	assert_err(may_map(fx, offset - PAGE, 2 * PAGE), ENXIO);
	assert_err(
		fx->iommu->ops->mmap(fx->iommu, offset, 2 * PAGE, PROT_EXEC, MAP_SHARED),
		EPERM);
	assert_err(
		fx->iommu->ops->mmap(fx->iommu, offset, 2 * PAGE, PROT_READ, MAP_PRIVATE),
		EINVAL);
	*fake_last_viommu->page = 0xbeef;
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	assert_true(p != MAP_FAILED);
	assert_int_equal(*p, 0xbeef);
	p[1] = 0xcafe;
	assert_int_equal(fake_last_viommu->page[1], 0xcafe);
	assert_err(destroy(fx, w.viommu), EBUSY);
	munmap(p, 2 * PAGE);
	/* The next has another place; and a place that is free again is empty. */
	assert_ok(viommu_alloc(fx, w.p.d.id, w.parent, &id));
	second = fake_last_viommu->page_offset;
	assert_int_equal(second, offset + 2 * PAGE);
	assert_ok(destroy(fx, w.viommu));
	assert_err(may_map(fx, offset, 2 * PAGE), ENXIO);
	assert_ok(may_map(fx, second, 2 * PAGE));
	assert_ok(viommu_alloc(fx, w.p.d.id, w.parent, &id));
	assert_int_equal(fake_last_viommu->page_offset, offset);
	assert_int_equal(*fake_last_viommu->page, 0);
	close(fd);
	end(&w);
}

/* ---- queues of the hardware
 * ------------------------------------------------------------ */

static void hw_queues(void **state)
{
	struct fixture *fx = *state;
	uint32_t first, second;
	int mem = memfd(4 * PAGE);
	struct world w;

	begin(&w, fx);
	assert_err(hw_queue_alloc(fx, w.viommu, 0, IOVA, 0, NULL), EINVAL);
	assert_err(hw_queue_alloc(fx, w.viommu, 0, UINT64_MAX, 2, NULL), EOVERFLOW);
	assert_err(hw_queue_alloc(fx, w.parent, 0, IOVA, PAGE, NULL), ENOENT);
	assert_err(hw_queue_alloc(fx, w.viommu, 0, IOVA, PAGE, NULL), ENOENT);
	assert_err(hw_queue_alloc(fx, w.viommu, 0, 0, UINT64_MAX, NULL), ERANGE);
	/* Three pages in a row, and then one that lies elsewhere. */
	for (unsigned i = 0; i < 4; i++)
		assert_ok(map_file(fx,
				   (struct map){.ioas = w.ioas,
						.flags = RW | FIXED,
						.fd = mem,
						.start = (i < 3 ? i : 0) * PAGE,
						.length = PAGE,
						.iova = IOVA + i * PAGE},
				   NULL));
	assert_err(hw_queue_alloc(fx, w.viommu, 0, IOVA + 2 * PAGE, 2 * PAGE, NULL),
		   EFAULT);
	assert_err(hw_queue_alloc(fx, w.viommu, 1, IOVA, PAGE, NULL), EIO);
	assert_ok(hw_queue_alloc(fx, w.viommu, 0, IOVA, PAGE + 1, &first));
	assert_err(destroy(fx, w.viommu), EBUSY);
	assert_err(unmap(fx, w.ioas, IOVA, PAGE, NULL), EBUSY);
	assert_err(unmap(fx, w.ioas, IOVA + PAGE, PAGE, NULL), EBUSY);
	assert_ok(unmap(fx, w.ioas, IOVA + 2 * PAGE, PAGE, NULL));
	assert_ok(hw_queue_alloc(fx, w.viommu, 1, IOVA + 100, 100, &second));
	assert_int_equal(fake_last_viommu->queue_spa % PAGE, 100);
	assert_err(destroy(fx, first), EBUSY);
	assert_ok(destroy(fx, second));
	assert_ok(destroy(fx, first));
	assert_ok(unmap(fx, w.ioas, IOVA, 2 * PAGE, NULL));
	close(mem);
	end(&w);
}

/* ---- events --------------------------------------------------------------------------
 */

static long event(uint32_t value)
{
	return iommufd_viommu_report_event(fake_last_viommu->core, FAKE_TYPE, &value,
					   sizeof(value));
}

struct read_event {
	struct iommufd_vevent_header header;
	uint32_t value;
};

static void check_event(const void *at, uint32_t sequence, uint32_t value)
{
	struct read_event e;

	memcpy(&e, at, sizeof(e));
	assert_int_equal(e.header.flags, 0);
	assert_int_equal(e.header.sequence, sequence);
	assert_int_equal(e.value, value);
}

static void check_lost(const void *at, uint32_t sequence)
{
	struct iommufd_vevent_header h;

	memcpy(&h, at, sizeof(h));
	assert_int_equal(h.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(h.sequence, sequence);
}

static void events(void **state)
{
	struct fixture *fx = *state;
	struct iommu_veventq_alloc cmd = {.size = sizeof(cmd), .veventq_depth = 1};
	unsigned char buf[256];
	uint32_t id, other;
	struct world w;
	int fd, fd2;

	begin(&w, fx);
	assert_err(call(fx, IOMMU_VEVENTQ_ALLOC, &cmd), EOPNOTSUPP);
	assert_err(veventq_alloc(fx, w.viommu, 0, &id, &fd), EINVAL);
	assert_err(veventq_alloc(fx, w.viommu, (1 << 19) + 1, &id, &fd), EINVAL);
	assert_err(veventq_alloc(fx, w.parent, 2, &id, &fd), ENOENT);
	assert_err(event(1), EOPNOTSUPP);
	assert_ok(veventq_alloc(fx, w.viommu, 2, &id, &fd));
	assert_err(veventq_alloc(fx, w.viommu, 2, &other, &fd2), EEXIST);
	assert_err(destroy(fx, w.viommu), EBUSY);
	assert_err(destroy(fx, id), EBUSY);
	/* Sizes. */
	assert_err(queue_read(fx, fd, buf, 0), EINVAL);
	assert_err(queue_read(fx, fd, buf, HDR - 1), EINVAL);
	assert_int_equal(queue_read(fx, fd, buf, HDR), 0);
	assert_err(queue_write(fx, fd, buf, HDR), EINVAL);
	assert_ok(event(10));
	assert_err(queue_read(fx, fd, buf, HDR), EINVAL);
	assert_err(queue_read(fx, fd, (void *)8, EVENT), EFAULT);
	assert_int_equal(queue_read(fx, fd, buf, 2 * EVENT), EVENT);
	check_event(buf, 0, 10);
	/* Two fit; the last of those that are lost is told of. */
	for (uint32_t i = 11; i <= 14; i++)
		assert_ok(event(i));
	assert_true(queue_poll(fd) & POLLIN);
	assert_int_equal(queue_read(fx, fd, buf, 2 * EVENT), 2 * EVENT);
	check_event(buf, 1, 11);
	check_event(buf + EVENT, 2, 12);
	assert_true(queue_poll(fd) & POLLIN);
	assert_err(queue_read(fx, fd, (void *)8, HDR), EFAULT);
	assert_int_equal(queue_read(fx, fd, buf, sizeof(buf)), HDR);
	check_lost(buf, 4);
	assert_false(queue_poll(fd) & POLLIN);
	/* An event that comes after the loss takes its place. */
	for (uint32_t i = 15; i <= 17; i++)
		assert_ok(event(i));
	assert_int_equal(queue_read(fx, fd, buf, EVENT), EVENT);
	check_event(buf, 5, 15);
	assert_ok(event(18));
	assert_int_equal(queue_read(fx, fd, buf, sizeof(buf)), 2 * EVENT);
	check_event(buf, 6, 16);
	check_event(buf + EVENT, 8, 18);
	/* No memory is a loss, too. */
	port_fail_nth(1);
	assert_err(event(19), ENOMEM);
	port_fail_nth_stop();
	assert_int_equal(queue_read(fx, fd, buf, sizeof(buf)), HDR);
	check_lost(buf, 9);
	/* Ended with events in it; another may follow. */
	assert_ok(event(20));
	close(fd);
	files_reap(fx->machine.files);
	assert_ok(event(21));
	assert_ok(destroy(fx, id));
	assert_ok(veventq_alloc(fx, w.viommu, 1 << 19, &id, &fd));
	assert_ok(event(22));
	assert_int_equal(queue_read(fx, fd, buf, sizeof(buf)), EVENT);
	check_event(buf, 0, 22);
	assert_ok(event(23));
	close(fd);
	end(&w);
}

static void events_natively(void **state)
{
	struct fixture *fx = *state;
	struct files *files = fx->machine.files;
	unsigned char buf[64];
	struct world w;
	uint32_t id;
	int fd;

	begin(&w, fx);
	assert_ok(veventq_alloc(fx, w.viommu, 2, &id, &fd));
	for (uint32_t i = 0; i < 4; i++)
		assert_ok(event(i));
	assert_int_equal(read(fd, buf, sizeof(buf)), EVENT);
	check_event(buf, 0, 0);
	files_reap(files);
	assert_int_equal(read(fd, buf, sizeof(buf)), EVENT);
	check_event(buf, 1, 1);
	/* That there is room again is noticed without a reap. */
	assert_ok(event(4));
	assert_int_equal(read(fd, buf, sizeof(buf)), EVENT);
	check_event(buf, 4, 4);
	for (uint32_t i = 5; i < 8; i++)
		assert_ok(event(i));
	for (uint32_t i = 5; i < 7; i++) {
		assert_int_equal(read(fd, buf, sizeof(buf)), EVENT);
		check_event(buf, i, i);
		files_reap(files);
	}
	assert_int_equal(read(fd, buf, sizeof(buf)), HDR);
	check_lost(buf, 7);
	assert_false(queue_poll(fd) & POLLIN);
	close(fd);
	end(&w);
}

/* ---- without memory
 * -------------------------------------------------------------------- */

#define SWEEP(expr)                                                                      \
	do {                                                                             \
		for (unsigned long n = 1;; n++) {                                        \
			long ret;                                                        \
                                                                                         \
			port_fail_nth(n);                                                \
			ret = (expr);                                                    \
			if (!port_fail_nth_stop()) {                                     \
				assert_ok(ret);                                          \
				break;                                                   \
			}                                                                \
			assert_err(ret, ENOMEM);                                         \
		}                                                                        \
	} while (0)

static void no_memory(void **state)
{
	struct fixture *fx = *state;
	uint32_t viommu, id;
	int mem = memfd(PAGE), fd;
	struct world w;

	begin(&w, fx);
	assert_ok(map_file(fx,
			   (struct map){.ioas = w.ioas,
					.flags = RW | FIXED,
					.fd = mem,
					.length = PAGE,
					.iova = IOVA},
			   NULL));
	SWEEP(viommu_alloc(fx, w.p.d.id, w.parent, &viommu));
	SWEEP(hwpt_alloc_with(
		fx, (struct hwpt_args){.dev = w.p.d.id, .pt = viommu, .data = true},
		NULL));
	SWEEP(vdevice_alloc(fx, viommu, w.p.d.id, 1, NULL));
	SWEEP(veventq_alloc(fx, viommu, 1, &id, &fd));
	SWEEP(hw_queue_alloc(fx, viommu, 0, IOVA, PAGE, NULL));
	close(fd);
	close(mem);
	end(&w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(object),    T(invalidation), T(vdevices),        T(mapping),
		T(hw_queues), T(events),       T(events_natively), T(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
