/* SPDX-License-Identifier: MIT */
/*
 * Many threads on one context. Which call wins is open; what is checked is that each
 * answers one of the errors that a race explains, that nothing crashes or hangs (ASan,
 * TSan), and that everything can be ended afterwards.
 *
 * Threads do not use cmocka: they count what went wrong.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "iommufd/private.h"

#define THREADS    4
#define ROUNDS     20000
#define IDS        12 /* ids that the threads fight over */
#define IOVA       ((uint64_t)0x10000000)
#define SLOTS      8
#define SLOT_BYTES ((uint64_t)0x10000)

struct shared {
	struct fixture *fx;
	int mem;
	uint64_t seed;
	atomic_ulong wrong;
	atomic_bool stop;
	struct fake_device devices[2];
	atomic_uint device_id;
	uint32_t ioas;
};

struct worker {
	struct shared *s;
	unsigned index;
	uint64_t rng;
	pthread_t thread;
};

static uint64_t rnd(struct worker *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng;
}

static void expect(struct shared *s, const char *what, long ret, const int *errs)
{
	if (!ret)
		return;
	for (; *errs; errs++)
		if (ret == -*errs)
			return;
	if (!atomic_fetch_add(&s->wrong, 1))
		fprintf(stderr, "%s: %ld\n", what, ret);
}

#define EXPECT(s, what, ret, ...)                                                        \
	expect(s, what, ret, (const int[]){__VA_ARGS__ __VA_OPT__(, ) 0})

static struct map slot(struct worker *w, uint32_t ioas)
{
	return (struct map){.ioas = ioas,
			    .flags = RW | FIXED,
			    .fd = w->s->mem,
			    .length = SLOT_BYTES,
			    .iova = IOVA + rnd(w) % SLOTS * SLOT_BYTES};
}

static void try_alloc(struct worker *w)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	EXPECT(w->s, "alloc", call(w->s->fx, IOMMU_IOAS_ALLOC, &cmd), 0);
	/* Keep the ids small, so that the threads meet. */
	if (cmd.out_ioas_id > IDS)
		EXPECT(w->s, "destroy", destroy(w->s->fx, cmd.out_ioas_id), EBUSY,
		       ENOENT);
}

static void try_copy(struct worker *w)
{
	struct copy c = {.flags = RW | FIXED,
			 .src = 1 + (uint32_t)(rnd(w) % IDS),
			 .dst = 1 + (uint32_t)(rnd(w) % IDS),
			 .length = SLOT_BYTES,
			 .src_iova = IOVA + rnd(w) % SLOTS * SLOT_BYTES,
			 .dst_iova = IOVA + rnd(w) % SLOTS * SLOT_BYTES};

	EXPECT(w->s, "copy", copy(w->s->fx, c, NULL), ENOENT, EEXIST, EBUSY);
}

static void *hammer_ids(void *arg)
{
	struct worker *w = arg;
	struct fixture *fx = w->s->fx;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t id = 1 + (uint32_t)(rnd(w) % IDS);
		struct iommu_iova_range v[4];
		uint32_t n;

		switch (rnd(w) % 8) {
		case 0:
		case 1:
			try_alloc(w);
			break;
		case 2:
			EXPECT(w->s, "destroy", destroy(fx, id), EBUSY, ENOENT);
			break;
		case 3:
		case 4:
			EXPECT(w->s, "map", map_file(fx, slot(w, id), NULL), ENOENT,
			       EEXIST);
			break;
		case 5:
			EXPECT(w->s, "unmap",
			       unmap(fx, id, IOVA + rnd(w) % SLOTS * SLOT_BYTES,
				     SLOT_BYTES, NULL),
			       ENOENT, EBUSY);
			break;
		case 6:
			try_copy(w);
			break;
		default:
			EXPECT(w->s, "ranges", iova_ranges(fx, id, v, 4, &n, NULL),
			       ENOENT);
			break;
		}
	}
	return NULL;
}

/* Each thread has a device of its own and attaches it here and there. */
static void *hammer_attach(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;
	struct fake_device *d = &s->devices[w->index];

	for (int i = 0; i < ROUNDS; i++) {
		switch (rnd(w) % 4) {
		case 0:
			iommufd_device_detach(d->dev);
			break;
		case 1: /* any id, automatic hwpts included */
			EXPECT(s, "attach any",
			       device_attach(d, 1 + (uint32_t)(rnd(w) % IDS), NULL),
			       ENOENT, EINVAL);
			break;
		default:
			EXPECT(s, "attach", device_attach(d, s->ioas, NULL), 0);
			break;
		}
		can_read(d, IOVA);
	}
	atomic_store(&s->stop, true);
	return NULL;
}

/* Calls that hold objects for a moment, and destroy what they can. */
static void *hammer_hwpts(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;
	struct fixture *fx = s->fx;

	while (!atomic_load(&s->stop)) {
		struct iommu_hwpt_set_dirty_tracking set = {
			.size = sizeof(set), .hwpt_id = 1 + (uint32_t)(rnd(w) % IDS)};
		uint32_t id;

		EXPECT(s, "dirty", call(fx, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), ENOENT,
		       EOPNOTSUPP);
		if (!hwpt_alloc(fx, 0, s->devices[0].id, s->ioas, &id))
			EXPECT(s, "destroy hwpt", destroy(fx, id), EBUSY, ENOENT);
		EXPECT(s, "map", map_file(fx, slot(w, s->ioas), NULL), EEXIST);
		EXPECT(s, "unmap", unmap(fx, s->ioas, IOVA, SLOTS * SLOT_BYTES, NULL),
		       ENOENT, EBUSY);
		if (!(rnd(w) % 4))
			EXPECT(s, "destroy any",
			       destroy(fx, 1 + (uint32_t)(rnd(w) % IDS)), EBUSY, ENOENT);
	}
	return NULL;
}

/* Devices come and go while calls use them by id. */
static void *hammer_bind(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;
	struct fake_device *d = &s->devices[0];

	for (int i = 0; i < ROUNDS; i++) {
		EXPECT(s, "bind", device_bind(s->fx, d), 0);
		atomic_store(&s->device_id, d->id);
		if (rnd(w) % 2)
			EXPECT(s, "attach", device_attach(d, s->ioas, NULL), 0);
		device_unbind(d);
	}
	atomic_store(&s->stop, true);
	return NULL;
}

static void *use_device(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;

	while (!atomic_load(&s->stop)) {
		struct iommu_hw_info info = {.size = sizeof(info),
					     .dev_id = atomic_load(&s->device_id)};
		uint32_t id;

		EXPECT(s, "hw_info", call(s->fx, IOMMU_GET_HW_INFO, &info), ENOENT);
		if (!hwpt_alloc(s->fx, 0, info.dev_id, s->ioas, &id))
			EXPECT(s, "destroy hwpt", destroy(s->fx, id), EBUSY, ENOENT);
		EXPECT(s, "destroy device", destroy(s->fx, info.dev_id), EBUSY, ENOENT);
	}
	return NULL;
}

static void begin(struct fixture *fx, struct shared *s)
{
	*s = (struct shared){.fx = fx, .mem = memfd(SLOT_BYTES)};
	s->seed = getenv("TEST_SEED") ? strtoull(getenv("TEST_SEED"), NULL, 0)
				      : (uint64_t)time(NULL) * 2654435761u | 1;
	print_message("seed %#llx\n", (unsigned long long)s->seed);
}

static void run(struct shared *s, void *(*const fns[])(void *), unsigned n)
{
	struct worker w[THREADS];

	for (unsigned i = 0; i < n; i++) {
		w[i] = (struct worker){
			.s = s, .index = i, .rng = s->seed + i * 0x9e3779b97f4aULL};
		assert_int_equal(pthread_create(&w[i].thread, NULL, fns[i], &w[i]), 0);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
	assert_int_equal(atomic_load(&s->wrong), 0);
}

static void ids(void **state)
{
	struct shared s;
	void *(*const fns[])(void *) = {hammer_ids, hammer_ids, hammer_ids, hammer_ids};

	begin(*state, &s);
	run(&s, fns, 4);
	for (uint32_t id = 1; id <= IDS; id++) {
		long ret = destroy(s.fx, id);

		assert_true(!ret || ret == -ENOENT);
	}
	assert_int_equal(ioas_alloc(s.fx), 1);
	close(s.mem);
}

static void attach_and_detach(void **state)
{
	struct shared s;
	void *(*const fns[])(void *) = {hammer_attach, hammer_attach, hammer_hwpts,
					hammer_hwpts};

	begin(*state, &s);
	/* Above the ids that are fought over, so that it stays. */
	while (s.ioas <= IDS)
		s.ioas = ioas_alloc(s.fx);
	for (uint32_t id = 2; id <= IDS; id++)
		assert_ok(destroy(s.fx, id));
	for (int i = 0; i < 2; i++) {
		device_init(&s.devices[i], NULL);
		assert_ok(device_bind(s.fx, &s.devices[i]));
	}
	run(&s, fns, 4);
	for (int i = 0; i < 2; i++) {
		device_unbind(&s.devices[i]);
		dma_requester_finish(&s.devices[i].requester);
	}
	close(s.mem);
}

/* Automatic hwpts go with their last device, whatever calls look at them meanwhile. */
static void automatic_hwpts_go(void **state)
{
	struct shared s;
	void *(*const fns[])(void *) = {hammer_bind, use_device, use_device};

	begin(*state, &s);
	s.ioas = ioas_alloc(s.fx);
	device_init(&s.devices[0], NULL);
	run(&s, fns, 3);
	for (uint32_t id = 2; id < IDS; id++) /* hwpts of the threads' last moment */
		destroy(s.fx, id);
	assert_ok(destroy(s.fx, s.ioas));
	assert_int_equal(ioas_alloc(s.fx), 1);
	assert_int_equal(ioas_alloc(s.fx), 2);
	dma_requester_finish(&s.devices[0].requester);
	close(s.mem);
}

static void *detach(void *arg)
{
	struct fake_device *d = arg;

	iommufd_device_detach(d->dev);
	return NULL;
}

/*
 * The last device lets go of an automatic hwpt while a call has it, and that call takes
 * a use of it: then it lives on, until that use ends.
 */
static void use_while_dying(void **state)
{
	struct fixture *fx = *state;
	struct iommufd_ctx *ctx = iommufd_ctx_of(fx->iommu);
	struct fake_device d;
	struct iommufd_object *hwpt;
	pthread_t thread;
	uint32_t id;

	device_init(&d, NULL);
	assert_ok(device_bind(fx, &d));
	assert_ok(device_attach(&d, ioas_alloc(fx), &id));
	hwpt = object_get(ctx, id, OBJECT_HWPT);
	assert_non_null(hwpt);
	assert_ok(pthread_create(&thread, NULL, detach, &d));
	while (object_get(ctx, id, OBJECT_ANY)) /* until it is dying */
		object_put(ctx, hwpt);
	assert_err(destroy(fx, id), ENOENT);
	object_use(ctx, hwpt, 1);
	object_put(ctx, hwpt);
	pthread_join(thread, NULL);
	assert_false(can_read(&d, IOVA));
	assert_err(destroy(fx, id), EBUSY);
	object_unuse_destroy(ctx, hwpt);
	assert_err(destroy(fx, id), ENOENT);
	device_unbind(&d);
	dma_requester_finish(&d.requester);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ids),
		TEST(attach_and_detach),
		TEST(automatic_hwpts_go),
		TEST(use_while_dying),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
