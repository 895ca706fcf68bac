/* SPDX-License-Identifier: MIT */
/*
 * The access object: attaching, replacing and ending it, what its owner is told, and the
 * same from threads. How pins behave in an IOAS is tests/core/test_access.c.
 */
#include "fixture.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "iommufd/access.h"
#include "iommufd/private.h"

#define BASE ((uint64_t)0x1000000)
#define MANY 8

/* Holds at most one pin of each page of BASE ... BASE + MANY pages. */
struct owner {
	struct iommufd_access *access;
	pthread_mutex_t lock;
	unsigned pins[MANY];
	unsigned asked;
	bool tries; /* to pin again while asked for everything */
	int tried;
	uint64_t asked_iova, asked_length;
	_Atomic bool stop;
	_Atomic unsigned pinned;
};

static void unmapped(void *data, uint64_t iova, uint64_t length)
{
	struct owner *o = data;

	pthread_mutex_lock(&o->lock);
	o->asked++;
	o->asked_iova = iova;
	o->asked_length = length;
	if (o->tries && length == UINT64_MAX) {
		struct run_list runs = {0};

		o->tried = iommufd_access_pin_pages(o->access, BASE, PAGE, 0, &runs);
		run_list_finish(&runs);
	}
	for (unsigned i = 0; i < MANY; i++) {
		uint64_t at = BASE + i * PAGE;

		if (at + PAGE - 1 < iova || at > iova + (length - 1))
			continue;
		for (; o->pins[i]; o->pins[i]--)
			iommufd_access_unpin_pages(o->access, at, PAGE);
	}
	pthread_mutex_unlock(&o->lock);
}

static const struct iommufd_access_ops pin_ops = {
	.needs_pin_pages = true,
	.unmap = unmapped,
};

static const struct iommufd_access_ops rw_ops = {0};

static void owner_init(struct fixture *fx, struct owner *o)
{
	uint32_t id;

	*o = (struct owner){0};
	pthread_mutex_init(&o->lock, NULL);
	assert_ok(iommufd_access_create(iommufd_ctx_of(fx->iommu), &pin_ops, o,
					&o->access, &id));
	assert_err(destroy(fx, id), EBUSY);
}

static int pin(struct owner *o, unsigned page)
{
	struct run_list runs = {0};
	int err;

	pthread_mutex_lock(&o->lock);
	err = iommufd_access_pin_pages(o->access, BASE + page * PAGE, PAGE,
				       IOMMUFD_ACCESS_WRITE, &runs);
	if (!err) {
		o->pins[page]++;
		o->pinned++;
	}
	pthread_mutex_unlock(&o->lock);
	run_list_finish(&runs);
	return err;
}

static long map_at(struct fixture *fx, uint32_t ioas, int fd, uint64_t iova)
{
	struct map m = {.ioas = ioas,
			.fd = fd,
			.length = MANY * PAGE,
			.flags = RW | FIXED,
			.iova = iova};

	return map_file(fx, m, &iova);
}

static void attach_and_replace(void **state)
{
	struct fixture *fx = *state;
	uint32_t first = ioas_alloc(fx), second = ioas_alloc(fx), odd = ioas_alloc(fx);
	int fd = memfd(MANY * PAGE);
	uint64_t n, alignment, iova = BASE;
	struct owner o;
	uint32_t total;
	char byte = 0;

	owner_init(fx, &o);
	assert_ok(map_at(fx, first, fd, BASE));
	assert_ok(map_file(fx,
			   (struct map){.ioas = odd,
					.fd = fd,
					.length = 0x800,
					.flags = RW | FIXED,
					.iova = BASE},
			   &iova));
	assert_err(pin(&o, 0), ENOENT);
	assert_err(iommufd_access_rw(o.access, BASE, &byte, 1, 0), ENOENT);
	assert_err(iommufd_access_attach(o.access, 999), ENOENT);
	assert_err(iommufd_access_replace(o.access, first), ENOENT);
	assert_err(iommufd_access_attach(o.access, odd), EADDRINUSE);
	assert_ok(iommufd_access_attach(o.access, first));
	assert_err(iommufd_access_attach(o.access, first), EINVAL);
	assert_err(destroy(fx, first), EBUSY);
	assert_err(iova_ranges(fx, first, NULL, 0, &total, &alignment), EMSGSIZE);
	assert_int_equal(alignment, PAGE);

	/* Refused: all is as before. The same again: nobody is asked. */
	assert_ok(pin(&o, 1));
	assert_err(iommufd_access_replace(o.access, odd), EADDRINUSE);
	assert_err(iommufd_access_replace(o.access, 999), ENOENT);
	assert_ok(iommufd_access_replace(o.access, first));
	assert_int_equal(o.asked, 0);
	assert_ok(pin(&o, 2));
	o.tries = true;
	assert_ok(iommufd_access_replace(o.access, second));
	assert_err(o.tried, ENOENT);
	o.tries = false;
	assert_int_equal(o.asked, 1);
	assert_true(o.asked_iova == 0 && o.asked_length == UINT64_MAX);
	assert_err(pin(&o, 1), ENOENT);
	assert_err(iova_ranges(fx, first, NULL, 0, &total, &alignment), EMSGSIZE);
	assert_int_equal(alignment, 1);
	assert_ok(destroy(fx, first));

	/* A client's unmap asks for just the area. */
	assert_ok(map_at(fx, second, fd, BASE));
	assert_ok(map_at(fx, second, fd, 2 * BASE));
	assert_ok(pin(&o, 3));
	assert_ok(pin(&o, 3));
	assert_ok(unmap_all(fx, second, &n));
	assert_int_equal(n, 2 * MANY * PAGE);
	assert_int_equal(o.asked, 2);
	assert_true(o.asked_iova == BASE && o.asked_length == MANY * PAGE);

	/* The end lets go, too. */
	assert_ok(map_at(fx, second, fd, BASE));
	assert_ok(pin(&o, 3));
	iommufd_access_detach(o.access);
	assert_int_equal(o.asked, 3);
	assert_ok(iommufd_access_attach(o.access, second));
	assert_ok(pin(&o, 3));
	iommufd_access_destroy(o.access);
	assert_int_equal(o.asked, 4);
	assert_ok(destroy(fx, second));
	close(fd);
}

static void read_and_write(void **state)
{
	struct fixture *fx = *state;
	uint32_t ioas = ioas_alloc(fx), id;
	struct iommufd_access *a;
	struct run_list runs = {0};
	uint64_t iova = BASE + 0x123;
	struct fake_buf b;
	char *va = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char got[6];

	assert_ok(
		iommufd_access_create(iommufd_ctx_of(fx->iommu), &rw_ops, NULL, &a, &id));
	assert_ok(iommufd_access_attach(a, ioas));
	/* Any alignment, for one that does not pin. */
	assert_ok(map_va(fx,
			 (struct map){.ioas = ioas,
				      .start = (uintptr_t)va + 0x77,
				      .length = 2 * PAGE + 5,
				      .flags = RW | FIXED,
				      .iova = iova},
			 &iova));
	memcpy(va + 0x77 + PAGE - 2, "hello", 6);
	assert_ok(iommufd_access_rw(a, iova + PAGE - 2, got, 6, IOMMUFD_ACCESS_KTHREAD));
	assert_string_equal(got, "hello");
	assert_ok(iommufd_access_rw(a, iova, "there", 6, IOMMUFD_ACCESS_WRITE));
	assert_string_equal(va + 0x77, "there");
	assert_err(iommufd_access_rw(a, iova + 2 * PAGE + 5, got, 1, 0), ENOENT);
	assert_err(iommufd_access_rw(a, iova, got, 0, 0), EINVAL);
	assert_err(iommufd_access_rw(a, UINT64_MAX, got, 2, 0), EOVERFLOW);
	assert_err(iommufd_access_pin_pages(a, iova, PAGE, 0, &runs), EINVAL);

	buf_create(fx, &b, 0x10000, 1);
	iova = 2 * BASE;
	assert_ok(map_file(fx,
			   (struct map){.ioas = ioas,
					.fd = b.fd,
					.length = PAGE,
					.flags = RW | FIXED,
					.iova = iova},
			   &iova));
	assert_err(iommufd_access_rw(a, iova, got, 1, 0), EINVAL);
	/* Gone from under it: unlike a pinned page it is looked at each time. */
	munmap(va, 4 * PAGE);
	assert_err(iommufd_access_rw(a, BASE + 0x123, got, 1, 0), EFAULT);
	iommufd_access_destroy(a);
	buf_destroy(&b);
}

/* What pins for itself cannot be asked. */
static void internal(void **state)
{
	struct fixture *fx = *state;
	struct iommufd_ctx *ctx = iommufd_ctx_of(fx->iommu);
	uint32_t id = ioas_alloc(fx);
	struct iommufd_ioas *ioas = ioas_get(ctx, id);
	int fd = memfd(MANY * PAGE);
	struct run_list runs = {0};
	struct iommufd_access *a;
	uint64_t n;

	assert_ok(access_create_internal(ctx, ioas, &a));
	object_put(ctx, &ioas->obj);
	assert_ok(map_at(fx, id, fd, BASE));
	assert_ok(iommufd_access_pin_pages(a, BASE, PAGE, 0, &runs));
	assert_err(unmap_all(fx, id, &n), EBUSY);
	iommufd_access_unpin_pages(a, BASE, PAGE);
	assert_ok(unmap_all(fx, id, &n));
	iommufd_access_destroy(a);
	assert_ok(destroy(fx, id));
	run_list_finish(&runs);
	close(fd);
}

static void *pinner(void *arg)
{
	struct owner *o = arg;

	for (unsigned i = 0; !o->stop; i++)
		pin(o, i % MANY);
	return NULL;
}

struct replacer {
	struct owner *o;
	uint32_t ioas[2];
};

static void *replacer(void *arg)
{
	struct replacer *r = arg;

	for (unsigned i = 0; !r->o->stop; i++)
		iommufd_access_replace(r->o->access, r->ioas[i & 1]);
	return NULL;
}

static void threads(void **state)
{
	struct fixture *fx = *state;
	struct owner o;
	struct replacer r = {.o = &o, .ioas = {ioas_alloc(fx), ioas_alloc(fx)}};
	int fd = memfd(MANY * PAGE);
	pthread_t thread[2];

	owner_init(fx, &o);
	assert_ok(iommufd_access_attach(o.access, r.ioas[0]));
	pthread_create(&thread[0], NULL, pinner, &o);
	pthread_create(&thread[1], NULL, replacer, &r);
	for (unsigned i = 0; i < 500 || o.pinned < 500; i++) {
		uint32_t ioas = r.ioas[i & 1];
		uint64_t n;

		assert_ok(map_at(fx, ioas, fd, BASE));
		assert_ok(unmap(fx, ioas, BASE, MANY * PAGE, &n));
	}
	o.stop = true;
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	iommufd_access_destroy(o.access);
	for (unsigned i = 0; i < 2; i++)
		assert_ok(destroy(fx, r.ioas[i]));
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(attach_and_replace),
		TEST(read_and_write),
		TEST(internal),
		TEST(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
