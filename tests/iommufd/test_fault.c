/* SPDX-License-Identifier: MIT */
/*
 * Fault queues: page requests are read and answered, caught and natively; and when a
 * device leaves, what is open is answered, once.
 */
#include "fake_iommu.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "machine/files.h"
#include "port/fault_inject.h"

#define LAST  IOMMU_PGFAULT_FLAGS_LAST_PAGE
#define BYTES sizeof(struct iommu_hwpt_pgfault)

struct world {
	struct fixture *fx;
	struct fake_port p;
	uint32_t ioas, fault, hwpt;
	int fd;
};

static void begin(struct world *w, struct fixture *fx)
{
	w->fx = fx;
	w->ioas = ioas_alloc(fx);
	port_init(&w->p, NULL);
	assert_ok(device_bind(fx, &w->p.d));
	assert_ok(fault_alloc(fx, &w->fault, &w->fd));
	assert_ok(hwpt_alloc_with(
		fx,
		(struct hwpt_args){.dev = w->p.d.id, .pt = w->ioas, .fault = w->fault},
		&w->hwpt));
	assert_ok(device_attach(&w->p.d, w->hwpt, NULL));
}

static void end(struct world *w)
{
	if (w->fd >= 0)
		close(w->fd);
	files_reap(w->fx->machine.files);
	port_finish(&w->p);
}

static const struct iommufd_device_info *info_of(struct world *w, struct iommufd_ref *ref)
{
	const struct iommufd_device_info *info;

	assert_ok(iommufd_device_by_id(iommufd_ctx_of(w->fx->iommu), w->p.d.id, ref,
				       &info));
	return info;
}

static int request(struct world *w, struct iommufd_page_request req)
{
	struct iommufd_ref ref;
	const struct iommufd_device_info *info = info_of(w, &ref);
	int err = iommufd_report_page_request(info, &req);

	iommufd_ref_put(&ref);
	return err;
}

static int ask(struct world *w, uint32_t grpid, uint32_t flags)
{
	return request(w, (struct iommufd_page_request){.flags = flags,
							.grpid = grpid,
							.perm = IOMMU_PGFAULT_PERM_READ,
							.addr = grpid * PAGE});
}

static long answer(struct world *w, uint32_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response r = {.cookie = cookie, .code = code};
	ssize_t done = queue_write(w->fx, w->fd, &r, sizeof(r));

	return done == sizeof(r) ? 0 : done;
}

static void answered(struct world *w, unsigned i, uint32_t grpid,
		     enum iommufd_page_answer code)
{
	assert_true(i < w->p.nr_answers);
	assert_int_equal(w->p.answers[i].grpid, grpid);
	assert_int_equal(w->p.answers[i].code, code);
}

/* ---- the rules ----------------------------------------------------------------------
 */

static void object(void **state)
{
	struct fixture *fx = *state;
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd), .flags = 1};
	struct fake_device vtd;
	struct world w;
	uint32_t hwpt;

	assert_err(call(fx, IOMMU_FAULT_QUEUE_ALLOC, &cmd), EOPNOTSUPP);
	begin(&w, fx);
	assert_int_equal(fcntl(w.fd, F_GETFD), FD_CLOEXEC);
	assert_err(destroy(fx, w.fault), EBUSY);
	assert_err(hwpt_alloc_with(fx,
				   (struct hwpt_args){.dev = w.p.d.id,
						      .pt = w.ioas,
						      .fault = w.ioas},
				   NULL),
		   ENOENT);
	close(w.fd);
	w.fd = -1;
	files_reap(fx->machine.files);
	assert_err(destroy(fx, w.fault), EBUSY); /* the hwpt */
	iommufd_device_detach(w.p.d.dev);
	assert_ok(destroy(fx, w.hwpt));
	/* An IOMMU without page requests. */
	device_init(&vtd, NULL);
	assert_ok(device_bind(fx, &vtd));
	assert_ok(hwpt_alloc_with(
		fx, (struct hwpt_args){.dev = vtd.id, .pt = w.ioas, .fault = w.fault},
		&hwpt));
	assert_err(device_attach(&vtd, hwpt, NULL), ENODEV);
	assert_ok(destroy(fx, hwpt));
	device_unbind(&vtd);
	dma_requester_finish(&vtd.requester);
	assert_ok(destroy(fx, w.fault));
	end(&w);
}

static void sizes(void **state)
{
	struct iommu_hwpt_pgfault v[4];
	struct iommu_hwpt_page_response r[2] = {{.cookie = 1}, {.cookie = 9}};
	struct world w;

	begin(&w, *state);
	assert_int_equal(queue_read(w.fx, w.fd, v, 0), 0);
	assert_int_equal(queue_read(w.fx, w.fd, v, sizeof(v)), 0);
	assert_err(queue_read(w.fx, w.fd, v, BYTES + 1), ESPIPE);
	assert_int_equal(queue_poll(w.fd), POLLOUT);
	assert_ok(ask(&w, 1, LAST));
	assert_int_equal(queue_poll(w.fd), POLLIN | POLLOUT);
	assert_err(queue_read(w.fx, w.fd, v, 0), EINVAL);
	assert_err(queue_read(w.fx, w.fd, (void *)8, BYTES), EFAULT);
	assert_int_equal(queue_poll(w.fd), POLLIN | POLLOUT);
	/* Groups are not torn. */
	assert_ok(ask(&w, 2, 0));
	assert_ok(ask(&w, 2, 0));
	assert_ok(ask(&w, 2, LAST));
	assert_int_equal(queue_read(w.fx, w.fd, v, 3 * BYTES), BYTES);
	assert_err(queue_read(w.fx, w.fd, v, 2 * BYTES), EINVAL);
	assert_int_equal(queue_read(w.fx, w.fd, v, 4 * BYTES), 3 * BYTES);
	assert_int_equal(v[2].flags, LAST);
	assert_int_equal(v[1].flags, 0);
	assert_int_equal(v[1].cookie, v[2].cookie);
	assert_int_equal(queue_poll(w.fd), POLLOUT);
	/* Answers, up to the first that is wrong. */
	assert_err(queue_write(w.fx, w.fd, r, sizeof(r) - 1), ESPIPE);
	assert_err(answer(&w, 1, 2), EINVAL);
	assert_err(answer(&w, 7, 0), EINVAL);
	assert_int_equal(queue_write(w.fx, w.fd, r, sizeof(r)), sizeof(r[0]));
	answered(&w, 0, 1, IOMMUFD_ANSWER_SUCCESS);
	assert_err(answer(&w, 1, 0), EINVAL);
	assert_ok(answer(&w, 2, IOMMUFD_PAGE_RESP_INVALID));
	answered(&w, 1, 2, IOMMUFD_ANSWER_INVALID);
	assert_int_equal(w.p.nr_answers, 2);
	end(&w);
}

static void messages(void **state)
{
	struct iommu_hwpt_pgfault v[4] = {0};
	struct world w;

	begin(&w, *state);
	/* Two groups, mixed; each in the order it came in. */
	assert_ok(request(&w, (struct iommufd_page_request){.grpid = 5, .addr = 1}));
	assert_ok(request(&w, (struct iommufd_page_request){.grpid = 6, .addr = 2}));
	assert_ok(request(&w, (struct iommufd_page_request){.grpid = 5, .addr = 3}));
	assert_ok(request(&w, (struct iommufd_page_request){
				      .grpid = 6, .addr = 4, .flags = LAST, .perm = 3}));
	assert_int_equal(queue_read(w.fx, w.fd, v, sizeof(v)), 2 * BYTES);
	assert_int_equal(v[0].addr, 2);
	assert_int_equal(v[1].addr, 4);
	assert_int_equal(v[1].perm, 3);
	assert_int_equal(v[1].dev_id, w.p.d.id);
	assert_int_equal(v[1].grpid, 6);
	assert_int_equal(v[1].length, 0);
	assert_int_equal(v[1].cookie, 1);
	assert_ok(request(
		&w, (struct iommufd_page_request){.grpid = 5, .addr = 5, .flags = LAST}));
	assert_int_equal(queue_read(w.fx, w.fd, v, sizeof(v)), 3 * BYTES);
	assert_int_equal(v[0].addr, 1);
	assert_int_equal(v[1].addr, 3);
	assert_int_equal(v[2].addr, 5);
	assert_int_equal(v[2].cookie, 2);
	/* The lowest cookie that is free. */
	assert_ok(answer(&w, 1, 0));
	assert_ok(ask(&w, 7, LAST));
	assert_ok(ask(&w, 8, LAST));
	assert_int_equal(queue_read(w.fx, w.fd, v, sizeof(v)), 2 * BYTES);
	assert_int_equal(v[0].cookie, 1);
	assert_int_equal(v[1].cookie, 3);
	end(&w);
	assert_int_equal(w.p.nr_answers, 4);
}

/* ---- natively -----------------------------------------------------------------------
 */

static void natively(void **state)
{
	struct iommu_hwpt_pgfault v[4];
	struct iommu_hwpt_page_response r = {.cookie = 1};
	struct world w;

	begin(&w, *state);
	assert_ok(fcntl(w.fd, F_SETFL, O_NONBLOCK));
	assert_int_equal(read(w.fd, v, sizeof(v)), -1);
	assert_int_equal(errno, EAGAIN);
	for (uint32_t i = 1; i <= 3; i++)
		assert_ok(ask(&w, i, LAST));
	for (uint32_t i = 1; i <= 3; i++) {
		struct pollfd p = {.fd = files_event_fd(w.fx->machine.files),
				   .events = POLLIN};

		assert_int_equal(read(w.fd, v, sizeof(v)), BYTES);
		assert_int_equal(v[0].grpid, i);
		assert_int_equal(v[0].cookie, i);
		/* That it was read can be seen, and then the next one is there. */
		assert_int_equal(poll(&p, 1, 0), 1);
		files_reap(w.fx->machine.files);
	}
	assert_int_equal(queue_poll(w.fd), POLLOUT);
	assert_int_equal(write(w.fd, &r, sizeof(r)), sizeof(r));
	r.cookie = 77; /* has no effect */
	assert_int_equal(write(w.fd, &r, sizeof(r)), sizeof(r));
	assert_int_equal(write(w.fd, &r, 3), 3);
	assert_int_equal(write(w.fd, &r, 0), 0);
	r.cookie = 2;
	assert_int_equal(write(w.fd, &r, sizeof(r)), sizeof(r));
	files_reap(w.fx->machine.files);
	assert_int_equal(w.p.nr_answers, 2);
	answered(&w, 0, 1, IOMMUFD_ANSWER_SUCCESS);
	answered(&w, 1, 2, IOMMUFD_ANSWER_SUCCESS);
	/* Both ways in turn. */
	assert_ok(ask(&w, 4, LAST));
	assert_ok(ask(&w, 5, LAST));
	assert_int_equal(read(w.fd, v, BYTES), BYTES);
	assert_int_equal(queue_read(w.fx, w.fd, v + 1, BYTES), BYTES);
	assert_int_equal(v[0].grpid, 4);
	assert_int_equal(v[1].grpid, 5);
	/* A response that was written before the end counts. */
	r.cookie = v[1].cookie;
	assert_int_equal(write(w.fd, &r, sizeof(r)), sizeof(r));
	close(w.fd);
	w.fd = -1;
	files_reap(w.fx->machine.files);
	answered(&w, 2, 5, IOMMUFD_ANSWER_SUCCESS);
	end(&w);
	assert_int_equal(w.p.nr_answers, 5);
}

/* ---- leaving ------------------------------------------------------------------------
 */

static void leaving(void **state)
{
	struct iommu_hwpt_pgfault v[2];
	struct world w;

	begin(&w, *state);
	/* One read, one not, one not complete. */
	assert_ok(ask(&w, 1, LAST));
	assert_int_equal(queue_read(w.fx, w.fd, v, sizeof(v)), BYTES);
	assert_ok(ask(&w, 2, LAST));
	assert_ok(ask(&w, 3, 0));
	iommufd_device_detach(w.p.d.dev);
	assert_int_equal(w.p.nr_answers, 2);
	answered(&w, 0, 2, IOMMUFD_ANSWER_INVALID);
	answered(&w, 1, 1, IOMMUFD_ANSWER_INVALID);
	assert_err(answer(&w, v[0].cookie, 0), EINVAL);
	assert_int_equal(queue_read(w.fx, w.fd, v, sizeof(v)), 0);
	assert_int_equal(queue_poll(w.fd), POLLOUT);
	/* Nobody to ask. */
	assert_err(ask(&w, 4, LAST), EINVAL);
	answered(&w, 2, 4, IOMMUFD_ANSWER_INVALID);
	assert_ok(device_attach(&w.p.d, w.ioas, NULL));
	assert_err(ask(&w, 5, LAST), EINVAL);
	/* The one that was not complete is forgotten. */
	assert_ok(device_attach(&w.p.d, w.hwpt, NULL));
	assert_ok(ask(&w, 3, LAST));
	assert_int_equal(queue_read(w.fx, w.fd, v, sizeof(v)), BYTES);
	/* Replacing, when that fails, changes nothing. */
	w.p.attach_fails = -EIO;
	assert_err(device_attach(&w.p.d, w.ioas, NULL), EIO);
	assert_int_equal(w.p.nr_answers, 4);
	assert_ok(device_attach(&w.p.d, w.ioas, NULL));
	answered(&w, 4, 3, IOMMUFD_ANSWER_INVALID);
	/* A detach that comes with the unbind. */
	assert_ok(device_attach(&w.p.d, w.hwpt, NULL));
	assert_ok(ask(&w, 6, LAST));
	device_unbind(&w.p.d);
	answered(&w, 5, 6, IOMMUFD_ANSWER_INVALID);
	end(&w);
}

/* With another member of the group the attachment goes on. */
static void leaving_alone(void **state)
{
	struct iommu_hwpt_pgfault v[2];
	struct fake_port other;
	struct world w;

	begin(&w, *state);
	port_init(&other, &w.p);
	assert_ok(device_bind(w.fx, &other.d));
	assert_ok(device_attach(&other.d, w.hwpt, NULL));
	assert_ok(ask(&w, 1, LAST));
	assert_ok(ask(&w, 2, 0));
	device_unbind(&w.p.d);
	answered(&w, 0, 1, IOMMUFD_ANSWER_INVALID);
	assert_int_equal(queue_read(w.fx, w.fd, v, sizeof(v)), 0);
	port_finish(&other);
	end(&w);
}

static void pasids(void **state)
{
	struct iommufd_page_request req = {
		.flags = LAST | IOMMU_PGFAULT_FLAGS_PASID_VALID, .pasid = 3};
	struct iommu_hwpt_pgfault v;
	struct world w;
	uint32_t hwpt;

	begin(&w, *state);
	assert_ok(hwpt_alloc_with(w.fx,
				  (struct hwpt_args){.flags = IOMMU_HWPT_ALLOC_PASID,
						     .dev = w.p.d.id,
						     .pt = w.ioas,
						     .fault = w.fault},
				  &hwpt));
	assert_ok(device_attach(&w.p.d, hwpt, NULL));
	assert_err(request(&w, req), EINVAL);
	assert_ok(iommufd_pasid_attach(w.p.d.dev, 3, &hwpt));
	assert_ok(request(&w, req));
	assert_int_equal(queue_read(w.fx, w.fd, &v, sizeof(v)), BYTES);
	assert_int_equal(v.pasid, 3);
	assert_int_equal(v.flags, req.flags);
	/* The device's own is not concerned when the PASID leaves, nor the other way. */
	assert_ok(ask(&w, 9, LAST));
	iommufd_pasid_detach(w.p.d.dev, 3);
	assert_int_equal(w.p.nr_answers, 2);
	assert_ok(iommufd_pasid_attach(w.p.d.dev, 3, &hwpt));
	assert_ok(request(&w, req));
	iommufd_device_detach(w.p.d.dev);
	assert_int_equal(w.p.nr_answers, 3);
	answered(&w, 2, 9, IOMMUFD_ANSWER_INVALID);
	assert_int_equal(queue_read(w.fx, w.fd, &v, sizeof(v)), BYTES);
	assert_int_equal(v.pasid, 3);
	end(&w);
	assert_int_equal(w.p.nr_answers, 4);
}

/* The guest's table decides where the IOMMU says so. */
static void guest_pasids(void **state)
{
	struct iommufd_page_request req = {
		.flags = LAST | IOMMU_PGFAULT_FLAGS_PASID_VALID, .pasid = 3};
	struct iommufd_iommu iommu = fake_iommu;
	struct fixture *fx = *state;
	uint32_t parent, hwpt;
	struct world w = {.fx = fx};

	iommu.guest_pasid_table = true;
	w.ioas = ioas_alloc(fx);
	port_init(&w.p, NULL);
	w.p.d.info.iommu = &iommu;
	assert_ok(device_bind(fx, &w.p.d));
	assert_ok(fault_alloc(fx, &w.fault, &w.fd));
	assert_ok(
		hwpt_alloc(fx, IOMMU_HWPT_ALLOC_NEST_PARENT, w.p.d.id, w.ioas, &parent));
	assert_ok(hwpt_alloc_with(
		fx,
		(struct hwpt_args){
			.dev = w.p.d.id, .pt = parent, .fault = w.fault, .data = true},
		&hwpt));
	assert_ok(device_attach(&w.p.d, hwpt, NULL));
	assert_ok(request(&w, req));
	assert_ok(device_attach(&w.p.d, parent, NULL));
	assert_err(request(&w, req), EINVAL);
	assert_int_equal(w.p.nr_answers, 2);
	end(&w);
}

/* ---- without memory ------------------------------------------------------------------
 */

static void no_memory(void **state)
{
	struct fixture *fx = *state;
	uint32_t id, hwpt;
	struct world w;
	long ret;
	int fd;

	begin(&w, fx);
	for (unsigned long n = 1;; n++) {
		port_fail_nth(n);
		ret = fault_alloc(fx, &id, &fd);
		if (!port_fail_nth_stop())
			break;
		assert_err(ret, ENOMEM);
	}
	assert_ok(ret);
	close(fd);
	for (unsigned long n = 1;; n++) {
		port_fail_nth(n);
		ret = hwpt_alloc_with(
			fx,
			(struct hwpt_args){.dev = w.p.d.id, .pt = w.ioas, .fault = id},
			&hwpt);
		if (!port_fail_nth_stop())
			break;
		assert_err(ret, ENOMEM);
	}
	assert_ok(ret);
	port_fail_nth(1);
	assert_err(ask(&w, 1, 0), ENOMEM);
	port_fail_nth(1);
	assert_ok(ask(&w, 2, LAST));
	assert_true(port_fail_nth_stop());
	answered(&w, 0, 2, IOMMUFD_ANSWER_FAILURE);
	end(&w);
}

/* Nobody cleans up but the end of the context. */
static void all_left_behind(void **state)
{
	struct iommu_hwpt_pgfault v;
	struct world w;

	begin(&w, *state);
	assert_ok(ask(&w, 1, LAST));
	assert_int_equal(queue_read(w.fx, w.fd, &v, sizeof(v)), BYTES);
	assert_ok(ask(&w, 2, LAST));
	assert_ok(ask(&w, 3, 0));
	close(w.fd);
	port_finish(&w.p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(object),    T(sizes),           T(messages), T(natively),
		T(leaving),   T(leaving_alone),   T(pasids),   T(guest_pasids),
		T(no_memory), T(all_left_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
