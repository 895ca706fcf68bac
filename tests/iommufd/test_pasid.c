/* SPDX-License-Identifier: MIT */
/* PASIDs: which hwpt a device's requests with one translate through. */
#include "fake_iommu.h"

#include <unistd.h>

#include "port/fault_inject.h"

#define IOVA ((uint64_t)0x10000000)

struct world {
	struct fixture *fx;
	struct fake_port p;
	uint32_t ioas,
		other; /* address spaces with one page each: at IOVA, and after it */
	uint32_t plain, a, b, nested, parent; /* a, nested: of ioas; b: of other */
};

static void begin(struct world *w, struct fixture *fx)
{
	int mem = memfd(PAGE);
	uint32_t dev;

	*w = (struct world){.fx = fx, .ioas = ioas_alloc(fx), .other = ioas_alloc(fx)};
	for (unsigned i = 0; i < 2; i++)
		assert_ok(map_file(fx,
				   (struct map){.ioas = i ? w->other : w->ioas,
						.flags = RW | FIXED,
						.fd = mem,
						.length = PAGE,
						.iova = IOVA + i * PAGE},
				   NULL));
	close(mem);
	port_init(&w->p, NULL);
	assert_ok(device_bind(fx, &w->p.d));
	dev = w->p.d.id;
	assert_ok(hwpt_alloc(fx, 0, dev, w->ioas, &w->plain));
	assert_ok(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_PASID, dev, w->ioas, &w->a));
	assert_ok(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_PASID, dev, w->other, &w->b));
	assert_ok(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_NEST_PARENT, dev, w->ioas, &w->parent));
	assert_ok(hwpt_alloc_with(fx,
				  (struct hwpt_args){.flags = IOMMU_HWPT_ALLOC_PASID,
						     .dev = dev,
						     .pt = w->parent,
						     .data = true},
				  &w->nested));
}

static int attach(struct fake_port *p, uint32_t pasid, uint32_t pt)
{
	return iommufd_pasid_attach(p->d.dev, pasid, &pt);
}

static int replace(struct fake_port *p, uint32_t pasid, uint32_t pt)
{
	return iommufd_pasid_replace(p->d.dev, pasid, &pt);
}

static void detach(struct fake_port *p, uint32_t pasid)
{
	iommufd_pasid_detach(p->d.dev, pasid);
}

static bool reaches(struct fake_port *p, uint32_t pasid, uint64_t iova)
{
	struct dma_channel *ch = malloc(sizeof(*ch));
	bool ok;
	char byte;

	assert_non_null(ch);
	dma_channel_init(ch, pasid ? &p->pasids[pasid] : &p->d.requester);
	ok = !dma_read(ch, iova, &byte, 1, NULL);
	free(ch);
	return ok;
}

static void rules(void **state)
{
	struct world w;

	begin(&w, *state);
	detach(&w.p, 3);
	assert_err(attach(&w.p, 3, 99), ENOENT);
	assert_err(attach(&w.p, 3, w.p.d.id), EINVAL);
	assert_err(attach(&w.p, 3, w.ioas), EINVAL);
	assert_err(attach(&w.p, 3, w.plain), EINVAL);
	assert_err(attach(&w.p, 0, w.a), EINVAL);
	assert_err(attach(&w.p, FAKE_PASIDS, w.a), EINVAL);
	assert_err(replace(&w.p, 3, w.a), EINVAL);
	/* The device itself is attached to what is not for PASIDs. */
	assert_ok(device_attach(&w.p.d, w.plain, NULL));
	assert_err(attach(&w.p, 3, w.a), EINVAL);
	assert_ok(device_attach(&w.p.d, w.a, NULL));
	assert_ok(attach(&w.p, 3, w.a));
	assert_err(device_attach(&w.p.d, w.plain, NULL), EINVAL);
	assert_err(device_attach(&w.p.d, w.ioas, NULL), EINVAL);
	assert_true(reaches(&w.p, 0, IOVA));
	assert_err(attach(&w.p, 3, w.a), EBUSY);
	assert_err(attach(&w.p, 3, w.b), EBUSY);
	assert_err(attach(&w.p, 3, w.ioas), EBUSY);
	assert_err(replace(&w.p, 3, w.ioas), EINVAL);
	assert_err(replace(&w.p, 3, w.plain), EINVAL);
	assert_ok(replace(&w.p, 3, w.a));
	iommufd_device_detach(w.p.d.dev);
	assert_err(device_attach(&w.p.d, w.plain, NULL), EINVAL);
	assert_err(destroy(w.fx, w.a), EBUSY);
	detach(&w.p, 3);
	assert_ok(destroy(w.fx, w.a));
	assert_ok(device_attach(&w.p.d, w.plain, NULL));
	port_finish(&w.p);
}

static void translation(void **state)
{
	struct world w;

	begin(&w, *state);
	assert_ok(device_attach(&w.p.d, w.a, NULL));
	assert_ok(attach(&w.p, 3, w.b));
	assert_ok(attach(&w.p, 4, w.a));
	assert_true(reaches(&w.p, 0, IOVA));
	assert_false(reaches(&w.p, 0, IOVA + PAGE));
	assert_true(reaches(&w.p, 3, IOVA + PAGE));
	assert_false(reaches(&w.p, 3, IOVA));
	assert_true(reaches(&w.p, 4, IOVA));
	assert_false(reaches(&w.p, 5, IOVA));
	/* A replace that fails changes nothing. */
	w.p.attach_fails = -ENOMEM;
	assert_err(replace(&w.p, 3, w.a), ENOMEM);
	assert_true(reaches(&w.p, 3, IOVA + PAGE));
	assert_err(destroy(w.fx, w.b), EBUSY);
	assert_ok(replace(&w.p, 3, w.nested));
	assert_true(reaches(&w.p, 3, IOVA));
	assert_non_null(w.p.now[3].nested);
	assert_ok(destroy(w.fx, w.b));
	detach(&w.p, 3);
	assert_false(reaches(&w.p, 3, IOVA));
	assert_null(w.p.now[3].domain);
	detach(&w.p, 3);
	assert_err(attach(&w.p, FAKE_PASIDS - 1, w.a), ENOMEM);
	w.p.attach_fails = -EIO;
	assert_err(attach(&w.p, 5, w.a), EIO);
	assert_false(reaches(&w.p, 5, IOVA));
	/* The rest goes with the device. */
	port_finish(&w.p);
	assert_null(w.p.now[4].domain);
}

static void groups(void **state)
{
	struct fake_port second, third;
	struct world w;

	begin(&w, *state);
	port_init(&second, &w.p);
	port_init(&third, &w.p);
	third.d.info.max_pasid_log2 = 0;
	assert_ok(device_bind(w.fx, &second.d));
	/* One fails, and the one before it goes back. */
	second.attach_fails = -EIO;
	assert_err(attach(&w.p, 3, w.a), EIO);
	assert_null(w.p.now[3].domain);
	assert_ok(attach(&w.p, 3, w.a));
	assert_true(reaches(&second, 3, IOVA));
	assert_err(attach(&second, 3, w.b), EINVAL);
	assert_err(replace(&second, 3, w.b), EINVAL);
	assert_ok(attach(&second, 3, w.a));
	second.attach_fails = -EIO;
	assert_err(replace(&w.p, 3, w.b), EIO);
	assert_true(reaches(&w.p, 3, IOVA));
	assert_non_null(w.p.now[3].domain);
	assert_ok(replace(&w.p, 3, w.b));
	assert_true(reaches(&second, 3, IOVA + PAGE));
	assert_ok(destroy(w.fx, w.a));
	/* Those who come later are in it; those without PASIDs do not mind. */
	assert_ok(device_bind(w.fx, &third.d));
	assert_null(third.now[3].domain);
	device_unbind(&second.d);
	assert_null(second.now[3].domain);
	assert_false(reaches(&second, 3, IOVA + PAGE));
	assert_true(reaches(&w.p, 3, IOVA + PAGE));
	second.attach_fails = -EIO;
	assert_err(device_bind(w.fx, &second.d), EIO);
	second.d.dev = NULL;
	assert_ok(device_bind(w.fx, &second.d));
	assert_true(reaches(&second, 3, IOVA + PAGE));
	device_unbind(&w.p.d);
	assert_false(reaches(&second, 3, IOVA + PAGE));
	assert_ok(destroy(w.fx, w.b));
	port_finish(&second);
	port_finish(&third);
	port_finish(&w.p);
}

static void no_memory(void **state)
{
	struct world w;
	int err;

	begin(&w, *state);
	for (unsigned long n = 1;; n++) {
		port_fail_nth(n);
		err = attach(&w.p, 3, w.a);
		if (!port_fail_nth_stop())
			break;
		assert_err(err, ENOMEM);
		assert_false(reaches(&w.p, 3, IOVA));
	}
	assert_ok(err);
	/* Neither replacing nor detaching needs any. */
	port_fail_nth(1);
	assert_ok(replace(&w.p, 3, w.b));
	detach(&w.p, 3);
	assert_false(port_fail_nth_stop());
	port_finish(&w.p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(rules),
		T(translation),
		T(groups),
		T(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
