/* SPDX-License-Identifier: MIT */
/*
 * Random calls. `graph` holds the objects, who uses whom, and what reaches memory, to a
 * model of a few arrays. `noise` passes nonsense to every call and only wants to live.
 */
#include "fixture.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "iommufd/private.h"

#define IOVA ((uint64_t)0x10000000)

static uint64_t rng;

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % n;
}

static void seed(void)
{
	const char *given = getenv("TEST_SEED");

	rng = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u | 1;
	print_message("TEST_SEED=%#llx\n", (unsigned long long)rng);
}

/* ---- the graph ------------------------------------------------------------------ */

#define IDS     24 /* ids that are used; allocation stops before */
#define DEVICES 4  /* 0 and 1 share a group */

enum kind { NONE, IOAS, HWPT, DEVICE };

struct model {
	struct {
		enum kind kind;
		uint32_t ioas;  /* HWPT */
		bool automatic; /* HWPT */
	} obj[IDS + 8];
	struct {
		uint32_t id; /* 0: not bound */
		bool attached;
	} dev[DEVICES];
	uint32_t group_hwpt[DEVICES]; /* by group; 0: blocked */
};

struct graph {
	struct fixture *fx;
	struct fake_device dev[DEVICES];
	struct model m;
	int mem;
};

static unsigned group_of(unsigned dev)
{
	return dev < 2 ? 0 : dev;
}

static uint32_t lowest(const struct model *m)
{
	uint32_t id = 1;

	while (m->obj[id].kind)
		id++;
	return id;
}

static bool full(const struct model *m)
{
	return lowest(m) > IDS;
}

static unsigned attached_to(const struct model *m, uint32_t hwpt)
{
	unsigned n = 0;

	for (unsigned d = 0; d < DEVICES; d++)
		n += m->dev[d].attached && m->group_hwpt[group_of(d)] == hwpt;
	return n;
}

static bool in_use(const struct model *m, uint32_t id)
{
	if (m->obj[id].kind == DEVICE)
		return true;
	if (m->obj[id].kind == HWPT)
		return attached_to(m, id);
	for (uint32_t i = 1; i <= IDS; i++)
		if (m->obj[i].kind == HWPT && m->obj[i].ioas == id)
			return true;
	return false;
}

/* Automatic ones go with their last device. */
static void drop_if_idle(struct model *m, uint32_t hwpt)
{
	if (hwpt && m->obj[hwpt].automatic && !attached_to(m, hwpt))
		memset(&m->obj[hwpt], 0, sizeof(m->obj[hwpt]));
}

static void step_alloc(struct graph *g)
{
	uint32_t id;

	if (full(&g->m))
		return;
	id = ioas_alloc(g->fx);
	assert_int_equal(id, lowest(&g->m));
	g->m.obj[id].kind = IOAS;
	assert_ok(map_file(g->fx,
			   (struct map){.ioas = id,
					.flags = RW | FIXED,
					.fd = g->mem,
					.length = PAGE,
					.iova = IOVA},
			   NULL));
}

static void step_destroy(struct graph *g)
{
	uint32_t id = (uint32_t)rnd(IDS + 1);

	if (!id || !g->m.obj[id].kind) {
		assert_err(destroy(g->fx, id), ENOENT);
	} else if (in_use(&g->m, id)) {
		assert_err(destroy(g->fx, id), EBUSY);
	} else {
		assert_ok(destroy(g->fx, id));
		memset(&g->m.obj[id], 0, sizeof(g->m.obj[id]));
	}
}

static void step_hwpt(struct graph *g)
{
	struct model *m = &g->m;
	uint32_t dev = (uint32_t)rnd(IDS + 1), pt = (uint32_t)rnd(IDS + 1), id;
	long ret;

	if (full(m))
		return;
	if (rnd(4) && m->dev[0].id)
		dev = m->dev[0].id;
	ret = hwpt_alloc(g->fx, 0, dev, pt, &id);
	if (m->obj[dev].kind != DEVICE) {
		assert_err(ret, ENOENT);
	} else if (m->obj[pt].kind == HWPT) {
		assert_err(ret, EOPNOTSUPP);
	} else if (m->obj[pt].kind != IOAS) {
		assert_err(ret, EINVAL);
	} else {
		assert_ok(ret);
		assert_int_equal(id, lowest(m));
		m->obj[id].kind = HWPT;
		m->obj[id].ioas = pt;
	}
}

static void step_bind(struct graph *g)
{
	unsigned d = (unsigned)rnd(DEVICES);
	struct model *m = &g->m;

	if (m->dev[d].id || full(m))
		return;
	assert_ok(device_bind(g->fx, &g->dev[d]));
	assert_int_equal(g->dev[d].id, lowest(m));
	m->dev[d].id = g->dev[d].id;
	m->obj[m->dev[d].id].kind = DEVICE;
}

static bool group_attached(const struct model *m, unsigned group)
{
	for (unsigned d = 0; d < DEVICES; d++)
		if (group_of(d) == group && m->dev[d].attached)
			return true;
	return false;
}

static void model_detach(struct model *m, unsigned d)
{
	unsigned group = group_of(d);
	uint32_t hwpt = m->group_hwpt[group];

	if (!m->dev[d].attached)
		return;
	m->dev[d].attached = false;
	if (!group_attached(m, group))
		m->group_hwpt[group] = 0;
	drop_if_idle(m, hwpt);
}

static void step_unbind(struct graph *g)
{
	unsigned d = (unsigned)rnd(DEVICES);
	struct model *m = &g->m;

	if (!m->dev[d].id)
		return;
	device_unbind(&g->dev[d]);
	model_detach(m, d);
	m->obj[m->dev[d].id].kind = NONE;
	m->dev[d].id = 0;
}

static void step_detach(struct graph *g)
{
	unsigned d = (unsigned)rnd(DEVICES);

	if (!g->m.dev[d].id)
		return;
	iommufd_device_detach(g->dev[d].dev);
	model_detach(&g->m, d);
}

static uint32_t automatic_of(const struct model *m, uint32_t ioas)
{
	for (uint32_t i = 1; i <= IDS; i++)
		if (m->obj[i].kind == HWPT && m->obj[i].automatic &&
		    m->obj[i].ioas == ioas)
			return i;
	return 0;
}

/* Where an attach to the IOAS or hwpt @pt ends: its id; a new one is the lowest free. */
static uint32_t target_of(const struct model *m, uint32_t pt)
{
	uint32_t hwpt = m->obj[pt].kind == HWPT ? pt : automatic_of(m, pt);

	return hwpt ? hwpt : lowest(m);
}

static void model_attach(struct model *m, unsigned d, uint32_t pt, uint32_t target)
{
	uint32_t old = m->group_hwpt[group_of(d)];

	if (!m->obj[target].kind) {
		m->obj[target].kind = HWPT;
		m->obj[target].ioas = pt;
		m->obj[target].automatic = true;
	}
	m->group_hwpt[group_of(d)] = target;
	m->dev[d].attached = true;
	if (old != target)
		drop_if_idle(m, old);
}

static void step_attach(struct graph *g)
{
	unsigned d = (unsigned)rnd(DEVICES);
	uint32_t pt = (uint32_t)rnd(IDS + 1), target, current, id;
	struct model *m = &g->m;
	long ret;

	if (!m->dev[d].id || full(m))
		return;
	ret = device_attach(&g->dev[d], pt, &id);
	if (!pt || !m->obj[pt].kind) {
		assert_err(ret, ENOENT);
		return;
	}
	if (m->obj[pt].kind == DEVICE) {
		assert_err(ret, EINVAL);
		return;
	}
	target = target_of(m, pt);
	current = m->group_hwpt[group_of(d)];
	if (!m->dev[d].attached && current && current != target) {
		assert_err(ret, EINVAL);
		return;
	}
	assert_ok(ret);
	assert_int_equal(id, target);
	model_attach(m, d, pt, target);
}

/* Bound devices reach memory when their group translates through anything. */
static void check_dma(struct graph *g)
{
	for (unsigned d = 0; d < DEVICES; d++) {
		bool want = g->m.dev[d].id && g->m.group_hwpt[group_of(d)];

		if (can_read(&g->dev[d], IOVA) != want)
			fail_msg("device %u %s", d,
				 want ? "is blocked" : "is not blocked");
	}
}

/* The plain unit, one with first stages, AMD's. */
static void behind_kind(struct fake_device *d, unsigned kind)
{
	struct iommufd_unit_config unit;

	iommufd_unit_defaults(&unit, kind == 2 ? IOMMUFD_UNIT_AMD : IOMMUFD_UNIT_VTD);
	unit.nesting = kind == 1;
	device_behind(d, &unit);
}

static void graph_of(struct fixture *fx, unsigned kind)
{
	static void (*const steps[])(struct graph *) = {
		step_alloc, step_destroy, step_destroy, step_hwpt,   step_bind,
		step_bind,  step_attach,  step_attach,  step_detach, step_unbind,
	};
	static struct graph g;

	seed();
	memset(&g, 0, sizeof(g));
	g.fx = fx;
	g.mem = memfd(PAGE);
	for (unsigned d = 0; d < DEVICES; d++) {
		device_init(&g.dev[d], &g.dev[group_of(d)]);
		behind_kind(&g.dev[d], kind);
	}
	for (int i = 0; i < 20000; i++) {
		steps[rnd(ARRAY_LEN(steps))](&g);
		check_dma(&g);
	}
	for (unsigned d = 0; d < DEVICES; d++) {
		device_unbind(&g.dev[d]);
		dma_requester_finish(&g.dev[d].requester);
	}
	close(g.mem);
}

/* ---- noise ---------------------------------------------------------------------- */

#define ARENA (16 * PAGE)

/* Small ids, page counts, edges, pointers into the arena, at its end and elsewhere. */
static uint64_t word(const unsigned char *arena)
{
	switch (rnd(10)) {
	case 0:
		return rnd(8) * PAGE;
	case 1:
		return (uintptr_t)arena + rnd(ARENA);
	case 2:
		return (uintptr_t)arena + ARENA - rnd(64);
	case 3:
		return UINT64_MAX - rnd(2 * PAGE);
	case 4:
		return (uint64_t)1 << rnd(64);
	case 5:
		return rng;
	default:
		return rnd(8);
	}
}

static void graph(void **state)
{
	graph_of(*state, 0);
}

static void graph_of_first_stages(void **state)
{
	graph_of(*state, 1);
}

static void graph_of_amd(void **state)
{
	graph_of(*state, 2);
}

static void noise_behind(struct fixture *fx, unsigned kind)
{
	/* Ends at a page that nothing is mapped at, so that no answer leaves it. */
	unsigned char *arena = mmap(NULL, ARENA + PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct fake_device d;
	struct fake_buf b;

	seed();
	assert_ptr_not_equal(arena, MAP_FAILED);
	mprotect(arena + ARENA, PAGE, PROT_NONE);
	device_init(&d, NULL);
	behind_kind(&d, kind);
	assert_ok(device_bind(fx, &d));
	buf_create(fx, &b, 0x10000, 1);
	assert_ok(device_attach(&d, ioas_alloc(fx), NULL));
	for (int i = 0; i < 20000; i++) {
		const struct uapi_entry *e = &iommufd_table.entries[rnd(iommufd_table.n)];
		uint64_t words[8];
		uint32_t half;
		long ret;

		for (size_t k = 0; k < ARRAY_LEN(words); k++) {
			words[k] = word(arena);
			half = (uint32_t)rnd(8);
			if (rnd(2)) /* two small fields */
				words[k] = (uint64_t)half << 32 | rnd(8);
		}
		memcpy(arena, words, sizeof(words));
		half = rnd(8) ? e->size : (uint32_t)rnd(80);
		memcpy(arena, &half, sizeof(half));
		ret = call(fx, e->cmd, arena);
		assert_true(ret <= 0 && ret > -4096);
		if (!rnd(8))
			device_attach(&d, (uint32_t)rnd(8), NULL);
	}
	device_unbind(&d);
	dma_requester_finish(&d.requester);
	buf_destroy(&b);
	munmap(arena, ARENA + PAGE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

/*
 * IOAS_CHANGE_PROCESS holds the locks of all IOASes of a context at once, as on Linux,
 * and the random calls make hundreds of them; thread sanitizer's search for deadlocks
 * ends the program at 64. Other tests keep it.
 */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "detect_deadlocks=0";
}

static void noise(void **state)
{
	noise_behind(*state, 0);
}

static void noise_with_nesting(void **state)
{
	noise_behind(*state, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(graph), TEST(graph_of_first_stages), TEST(graph_of_amd),
		TEST(noise), TEST(noise_with_nesting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
