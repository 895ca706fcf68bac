/* SPDX-License-Identifier: MIT */
/*
 * Queues from many threads: requests come, are read both ways and answered, while the
 * device moves from hwpt to hwpt; events come while queues are made, read and ended;
 * vDEVICEs are made and ended while their device leaves.
 *
 * What is checked: every request that was taken is answered exactly once, events come in
 * order, everything can be ended. Threads count what goes wrong.
 */
#include "fake_iommu.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "machine/files.h"

#define ROUNDS 4000

struct shared {
	struct fixture *fx;
	struct fake_port p, leaver;
	uint32_t ioas, fault, hwpt, viommu;
	int fd, copy;
	struct fake_viommu *v;
	atomic_uint asked, taken, read, wrong;
	atomic_bool stop;
};

static void expect(struct shared *s, bool ok, const char *what)
{
	if (!ok && !atomic_fetch_add(&s->wrong, 1))
		fprintf(stderr, "%s\n", what);
}

static void *asks(void *arg)
{
	struct shared *s = arg;
	const struct iommufd_device_info *info;
	struct iommufd_ref ref;

	expect(s,
	       !iommufd_device_by_id(iommufd_ctx_of(s->fx->iommu), s->p.d.id, &ref,
				     &info),
	       "device");
	for (unsigned i = 0; s->taken < ROUNDS; i++) {
		struct iommufd_page_request req = {.grpid = i % 3};
		int err;

		if (i % 4)
			req.flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE;
		err = iommufd_report_page_request(info, &req);
		expect(s, !err || err == -EINVAL, "request");
		/* One that is not the last is only answered when it is refused. */
		if (req.flags || err)
			atomic_fetch_add(&s->asked, 1);
		if (!err)
			atomic_fetch_add(&s->taken, 1);
		else
			sched_yield();
		while (atomic_load(&s->asked) > atomic_load(&s->p.nr_answers) + 16)
			sched_yield();
	}
	iommufd_ref_put(&ref);
	return NULL;
}

static void *reads_caught(void *arg)
{
	struct iommu_hwpt_pgfault v[8];
	struct shared *s = arg;

	while (!s->stop) {
		ssize_t n = queue_read(s->fx, s->fd, v, sizeof(v));

		for (ssize_t i = 0; i < n / (ssize_t)sizeof(v[0]); i++) {
			struct iommu_hwpt_page_response r = {.cookie = v[i].cookie};

			atomic_fetch_add(&s->read, 1);
			if (v[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)
				queue_write(s->fx, s->fd, &r, sizeof(r));
		}
		/* A group that is longer than the buffer waits for the device to leave.
		 */
		expect(s, n >= 0 || n == -EINVAL, "read");
	}
	return NULL;
}

static void *reads_natively(void *arg)
{
	struct iommu_hwpt_pgfault v[64];
	struct shared *s = arg;

	while (!s->stop) {
		struct iommu_hwpt_page_response r;

		files_reap(s->fx->machine.files);
		if (read(s->copy, v, sizeof(v)) <= 0)
			continue;
		atomic_fetch_add(&s->read, 1);
		r = (struct iommu_hwpt_page_response){.cookie = v[0].cookie};
		expect(s, write(s->copy, &r, sizeof(r)) == sizeof(r), "write");
	}
	return NULL;
}

static void *moves(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; !s->stop; i++) {
		uint32_t pt = i % 3 ? s->hwpt : s->ioas;

		expect(s, !iommufd_device_attach(s->p.d.dev, &pt), "attach");
		if (i % 5 == 0)
			iommufd_device_detach(s->p.d.dev);
		sched_yield();
	}
	return NULL;
}

static void run(void *(*fn)(void *), struct shared *s, pthread_t *t)
{
	assert_ok(pthread_create(t, NULL, fn, s));
}

static void faults(void **state)
{
	struct shared *s = calloc(1, sizeof(*s));
	pthread_t asker[2], others[3];

	assert_non_null(s);
	s->fx = *state;
	s->ioas = ioas_alloc(s->fx);
	port_init(&s->p, NULL);
	assert_ok(device_bind(s->fx, &s->p.d));
	assert_ok(fault_alloc(s->fx, &s->fault, &s->fd));
	s->copy = dup(s->fd);
	assert_ok(fcntl(s->fd, F_SETFL, O_NONBLOCK));
	assert_ok(hwpt_alloc_with(
		s->fx,
		(struct hwpt_args){.dev = s->p.d.id, .pt = s->ioas, .fault = s->fault},
		&s->hwpt));
	run(reads_caught, s, &others[0]);
	run(reads_natively, s, &others[1]);
	run(moves, s, &others[2]);
	for (unsigned i = 0; i < 2; i++)
		run(asks, s, &asker[i]);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(asker[i], NULL);
	s->stop = true;
	for (unsigned i = 0; i < 3; i++)
		pthread_join(others[i], NULL);
	close(s->fd);
	close(s->copy);
	files_reap(s->fx->machine.files);
	port_finish(&s->p);
	print_message("%u asked, %u taken, %u read\n", s->asked, s->taken, s->read);
	assert_int_equal(s->p.nr_answers, s->asked);
	assert_int_equal(s->wrong, 0);
	assert_ok(destroy(s->fx, s->hwpt));
	assert_ok(destroy(s->fx, s->fault));
	free(s);
}

/* ---- events -------------------------------------------------------------------------
 */

static void *reports(void *arg)
{
	struct shared *s = arg;

	for (uint32_t i = 0; i < 4 * ROUNDS; i++) {
		int err =
			iommufd_viommu_report_event(s->v->core, FAKE_TYPE, &i, sizeof(i));

		expect(s, !err || err == -EOPNOTSUPP, "event");
	}
	s->stop = true;
	return NULL;
}

static void *queues(void *arg)
{
	struct shared *s = arg;
	unsigned char buf[12];
	uint32_t id;
	int fd;

	while (!s->stop) {
		uint32_t next = 0;

		expect(s, !veventq_alloc(s->fx, s->viommu, 3, &id, &fd), "veventq");
		for (unsigned i = 0; i < 20; i++) {
			struct iommufd_vevent_header h;

			if (queue_read(s->fx, fd, buf, sizeof(buf)) < (ssize_t)sizeof(h))
				continue;
			memcpy(&h, buf, sizeof(h));
			expect(s, h.sequence >= next, "sequence");
			next = h.sequence + 1;
		}
		close(fd);
		files_reap(s->fx->machine.files);
		expect(s, !destroy(s->fx, id), "destroy");
	}
	return NULL;
}

static uint32_t leaver_id(struct shared *s)
{
	return __atomic_load_n(&s->leaver.d.id, __ATOMIC_RELAXED);
}

static void *vdevices(void *arg)
{
	struct shared *s = arg;
	uint32_t id;

	while (!s->stop) {
		long err = vdevice_alloc(s->fx, s->viommu, leaver_id(s), 1, &id);

		expect(s, !err || err == -ENOENT, "vdevice");
		if (!err)
			err = destroy(s->fx, id);
		expect(s, !err || err == -ENOENT || err == -EBUSY, "vdevice's end");
	}
	return NULL;
}

static void *leaves(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; !s->stop && i < 200; i++) {
		struct iommufd_device *dev;
		uint32_t id;

		device_unbind(&s->leaver.d);
		expect(s,
		       !iommufd_device_bind(iommufd_ctx_of(s->fx->iommu),
					    &s->leaver.d.info, &dev, &id),
		       "bind");
		s->leaver.d.dev = dev;
		__atomic_store_n(&s->leaver.d.id, id, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void vevents(void **state)
{
	struct shared *s = calloc(1, sizeof(*s));
	uint32_t parent;
	pthread_t t[2];

	assert_non_null(s);
	s->fx = *state;
	s->ioas = ioas_alloc(s->fx);
	port_init(&s->p, NULL);
	assert_ok(device_bind(s->fx, &s->p.d));
	assert_ok(hwpt_alloc(s->fx, IOMMU_HWPT_ALLOC_NEST_PARENT, s->p.d.id, s->ioas,
			     &parent));
	assert_ok(viommu_alloc(s->fx, s->p.d.id, parent, &s->viommu));
	s->v = fake_last_viommu;
	run(reports, s, &t[0]);
	run(queues, s, &t[1]);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(s->wrong, 0);
	assert_ok(destroy(s->fx, s->viommu));
	port_finish(&s->p);
	free(s);
}

static void leaving_vdevices(void **state)
{
	struct shared *s = calloc(1, sizeof(*s));
	uint32_t parent;
	pthread_t t[2];

	assert_non_null(s);
	s->fx = *state;
	s->ioas = ioas_alloc(s->fx);
	port_init(&s->p, NULL);
	port_init(&s->leaver, NULL);
	assert_ok(device_bind(s->fx, &s->p.d));
	assert_ok(device_bind(s->fx, &s->leaver.d));
	assert_ok(hwpt_alloc(s->fx, IOMMU_HWPT_ALLOC_NEST_PARENT, s->p.d.id, s->ioas,
			     &parent));
	assert_ok(viommu_alloc(s->fx, s->p.d.id, parent, &s->viommu));
	s->v = fake_last_viommu;
	run(vdevices, s, &t[0]);
	run(leaves, s, &t[1]);
	pthread_join(t[1], NULL);
	s->stop = true;
	pthread_join(t[0], NULL);
	assert_int_equal(s->wrong, 0);
	port_finish(&s->leaver);
	assert_int_equal(s->v->vdevices, 0);
	assert_ok(destroy(s->fx, s->viommu));
	port_finish(&s->p);
	free(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(faults),
		T(vevents),
		T(leaving_vdevices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
