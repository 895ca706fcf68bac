/* SPDX-License-Identifier: MIT */
/*
 * The IOAS: every errno and the order in which checks win, as Linux 7.3 answers (the
 * step that was observed is named), and what the domains hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "tests/core/ioas_env.h"
#include "tests/core/test_port.h"

/* ---- sections A, E, F, H, K ----------------------------------------------- */

static void unattached_files(void **state)
{
	struct env e = env_make(false);

	/* A014 to A017: what kind of file it is, is not looked at. */
	assert_int_equal(map(e.ioas, fake_pages(0, 0x10000), 0x100000), 0x100000);
	assert_int_equal(map(e.ioas, bad_pages(0, 0x1000, -EINVAL), 0x200000), 0x200000);
	assert_int_equal(fakes.pins, 0);
	/* With a device it is: K020. */
	assert_int_equal(ioas_add_domain(e.ioas, e.d), -EINVAL);
	assert_int_equal(fakes.pins, 0);
	assert_true(spa_at(e.d, 0x100000, NULL) == NOWHERE);
	assert_int_equal(unmap(e.ioas, 0x200000, 0x1000), 0x1000);
	assert_int_equal(ioas_add_domain(e.ioas, e.d), 0);
	assert_int_equal(fakes.pins, 1);
	assert_int_equal(spa_at(e.d, 0x100000, NULL), 0);
	assert_int_equal(map(e.ioas, bad_pages(0, 0x1000, -EINVAL), 0x200000), -EINVAL);
	ioas_remove_domain(e.ioas, e.d);
	assert_int_equal(fakes.pins, 0);

	/* A031, A032, A034 to A036. */
	assert_int_equal(unmap(e.ioas, 0x200000, 0x1000), -ENOENT);
	assert_int_equal(unmap(e.ioas, 0x200000, 0), -EINVAL);
	assert_int_equal(unmap(e.ioas, TOP - 0xfff, 0x2000), -EOVERFLOW);
	assert_int_equal(unmap(e.ioas, 0x200000, TOP - 0x1fffff), -ENOENT);
	assert_int_equal(unmap_all(e.ioas), 0x10000);
	assert_int_equal(unmap_all(e.ioas), 0);
	env_end(&e);
}

static void attached_order(void **state)
{
	struct env e = env_make(true);
	unsigned prot;

	assert_int_equal(map_bar(&e, 0, 0x10000, NOWHERE), 0x10000); /* E001 */
	assert_int_equal(unmap(e.ioas, 0x10000, 0x10000), 0x10000);
	/* As observed, the slice began at 0x10000 of the BAR, but the buffer's own offset
	 * counts: 0, so the length decides. */
	assert_int_equal(map_bar(&e, 0, 0x10000, 0x10000000), 0x10000000);     /* E002 */
	assert_int_equal(map_bar(&e, 0, 0x10000, 0x10000000), -EEXIST);        /* E003 */
	assert_int_equal(map_bar(&e, 0, 0x2000, 0x1000f000), -EEXIST);         /* E004 */
	assert_int_equal(map_bar(&e, 0x4000, 0x2000, 0x10010000), 0x10010000); /* E005 */
	assert_int_equal(spa_at(e.d, 0x10011000, &prot), BAR + 0x5000);
	assert_int_equal(prot, PT_READ | PT_WRITE | PT_MMIO);
	assert_int_equal(map_bar(&e, 0x4800, 0x1000, 0x20000000), -EINVAL);    /* E006 */
	assert_int_equal(map_bar(&e, 0x4000, 0x800, 0x20000000), -EINVAL);     /* E007 */
	assert_int_equal(map_bar(&e, 0x4800, 0x800, 0x20000000), -EINVAL);     /* E008 */
	assert_int_equal(map_bar(&e, 0x4800, 0x1800, 0x20000000), -EINVAL);    /* E009 */
	assert_int_equal(map_bar(&e, 0x4800, 0x1000, NOWHERE), -EINVAL);       /* E010 */
	assert_int_equal(map_bar(&e, 0, 0x1000, 0x20000800), -EINVAL);         /* E011 */
	assert_int_equal(map_bar(&e, 0xf000, 0x1000, 0x20000000), 0x20000000); /* E013 */
	assert_int_equal(map_bar(&e, 0xf000, 0x2000, 0x20000800), -EINVAL);    /* E018 */
	assert_int_equal(map_bar(&e, 0, 0x1000, TOP - 0xfff), -EINVAL);        /* E024 */
	assert_int_equal(map_bar(&e, 0, 0x2000, TOP - 0xfff), -EOVERFLOW);     /* E025 */
	assert_int_equal(map_bar(&e, 0, 0x1000, (uint64_t)1 << 60), -EINVAL);  /* E026 */
	assert_int_equal(map_bar(&e, 0, 0x1000, MSI_START), -EINVAL);          /* E027 */
	assert_int_equal(map_bar(&e, 0, 0x2000, MSI_START - 0x1000), -EINVAL); /* E028 */
	assert_int_equal(map_bar(&e, 0, 0x1000, 0), 0);                        /* E029 */
	assert_int_equal(
		map_prot(e.ioas, buffer_pages(e.bar, 0, 0x1000), 0x30000000, IOAS_READ),
		0x30000000); /* E030 */
	assert_int_equal(spa_at(e.d, 0x30000000, &prot), BAR);
	assert_int_equal(prot, PT_READ | PT_MMIO);
	assert_int_equal(
		map_prot(e.ioas, buffer_pages(e.bar, 0, 0x1000), 0x30001000, IOAS_WRITE),
		0x30001000); /* E031 */
	spa_at(e.d, 0x30001000, &prot);
	assert_int_equal(prot, PT_WRITE | PT_MMIO);

	assert_int_equal(unmap(e.ioas, 0x10000000, 0x10000), 0x10000); /* E046 */
	assert_int_equal(unmap(e.ioas, 0x10000000, 0x10000), -ENOENT); /* E047 */
	assert_int_equal(unmap(e.ioas, 0x10010000, 0x1000), -ENOENT);  /* E048 */
	assert_int_equal(unmap(e.ioas, 0x10011000, 0x1000), -ENOENT);  /* E049 */
	assert_int_equal(unmap(e.ioas, 0x10000000, 0x100000), 0x2000); /* E050 */
	assert_int_equal(unmap(e.ioas, 0x30000000, 0x2000), 0x2000);   /* E051 */
	assert_int_equal(unmap_all(e.ioas), 0x2000);                   /* E054 */

	assert_int_equal(map_bar(&e, 0, 0x10000, 0x10000000), 0x10000000); /* E056 */
	dmabuf_revoke(e.bar);
	assert_true(spa_at(e.d, 0x10000000, NULL) == NOWHERE);
	assert_int_equal(map_bar(&e, 0, 0x1000, 0x20000000), -ENODEV); /* E057 */
	assert_int_equal(map_bar(&e, 0, 0, 0x20000000), -EINVAL);      /* E058 */
	assert_int_equal(map_bar(&e, 0xf000, 0x2000, 0), -EINVAL);     /* E059 */
	assert_int_equal(map_bar(&e, 0x4800, 0x1000, 0), -ENODEV);     /* E061 */
	assert_int_equal(map_bar(&e, 0, 0x1000, 0x10000000), -ENODEV); /* E062 */
	dmabuf_restore(e.bar);
	assert_int_equal(map_bar(&e, 0, 0x1000, 0x20000000), 0x20000000); /* E068 */
	assert_int_equal(map_bar(&e, 0, 0x1000, 0x10000000), -EEXIST);    /* E069 */
	assert_true(spa_at(e.d, 0x10000000, NULL) == NOWHERE);
	assert_int_equal(unmap(e.ioas, 0x10000000, 0x10000), 0x10000);     /* E070 */
	assert_int_equal(map_bar(&e, 0, 0x10000, 0x10000000), 0x10000000); /* E071 */
	env_end(&e);
}

static void unattached_then_attach(void **state)
{
	struct env e = env_make(false);
	static const struct {
		uint64_t start, length, iova;
		uint64_t unmapped;
	} bad[] = {
		{0, 0x1000, MSI_START},         /* F013 */
		{0, 0x1000, (uint64_t)1 << 60}, /* F016 */
		{0x4800, 0x1000, 0x10000000},   /* F019: offset in the page */
		{0, 0x801, 0x10000000},         /* F002 */
		{0, 0x1000, 0x10000801},        /* F003 */
	};

	/* F004: a byte anywhere; and one past the end, F005. */
	assert_int_equal(map_bar(&e, 0, 1, NOWHERE), 0x1000);
	assert_int_equal(map_bar(&e, 0x10000, 1, NOWHERE), -EINVAL);
	assert_int_equal(unmap_all(e.ioas), 1);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		int rc;

		assert_int_equal(map_bar(&e, bad[i].start, bad[i].length, bad[i].iova),
				 bad[i].iova);
		rc = ioas_reserve(e.ioas, MSI_START, MSI_LAST, &e);
		if (!rc)
			rc = ioas_add_domain(e.ioas, e.d);
		assert_int_equal(rc, -EADDRINUSE);
		ioas_unreserve(e.ioas, &e);
		assert_int_equal(unmap(e.ioas, bad[i].iova, bad[i].length),
				 bad[i].length);
	}
	/* A failed attach leaves nothing behind: the space is whole, bytes are fine. */
	assert_int_equal(map_bar(&e, 0, 1, TOP - 1), TOP - 1);
	assert_int_equal(unmap_all(e.ioas), 1);

	assert_int_equal(map_bar(&e, 0, 0x10000, 0x10000000), 0x10000000); /* F022 */
	env_attach(&e);                                                    /* F023 */
	assert_int_equal(spa_at(e.d, 0x1000f000, NULL), BAR + 0xf000);
	env_detach(&e); /* F024 */
	assert_true(spa_at(e.d, 0x1000f000, NULL) == NOWHERE);
	dmabuf_revoke(e.bar);
	env_attach(&e); /* F025 */
	env_detach(&e);
	dmabuf_restore(e.bar);
	env_attach(&e); /* F027 */
	assert_true(spa_at(e.d, 0x10000000, NULL) == NOWHERE);
	assert_int_equal(unmap(e.ioas, 0x10000000, 0x10000), 0x10000);     /* F028 */
	assert_int_equal(map_bar(&e, 0, 0x10000, 0x10000000), 0x10000000); /* F029 */
	env_end(&e);
}

/* Where map @i of revoke_many_maps() goes: alone, in pairs, in rows, each in its turn. */
static uint64_t many_at(unsigned i)
{
	return 0x40000000 + i / 3 * 0x10000 + i % 3 * (i / 3 % 3 + 1) * 0x1000;
}

/*
 * Maps of one buffer in two address spaces, by turns and in rows, some of them dead
 * since an earlier revoke: one revoke cuts all, and leaves their neighbours alone.
 */
static void revoke_many_maps(void **state)
{
	struct env e = env_make(true), other = env_make(true);
	struct env *at[150];
	uint64_t ram;

	for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
		struct pages *p;

		if (i == 20) {
			dmabuf_revoke(e.bar);
			dmabuf_restore(e.bar);
		}
		at[i] = i % 7 < 3 || i / 40 == 2 ? &e : &other;
		p = buffer_pages(e.bar, i % 16 * 0x1000, 0x1000);
		assert_int_equal(map_prot(at[i]->ioas, p, many_at(i), RW), many_at(i));
	}
	ram = many_at(9) - 0x1000;
	assert_int_equal(map_prot(e.ioas, fake_pages(RAM, 0x1000), ram, RW), ram);
	for (unsigned i = 0; i < ARRAY_LEN(at); i++)
		assert_int_equal(spa_at(at[i]->d, many_at(i), NULL),
				 i < 20 ? NOWHERE : BAR + i % 16 * 0x1000);
	dmabuf_revoke(e.bar);
	for (unsigned i = 0; i < ARRAY_LEN(at); i++)
		assert_int_equal(spa_at(at[i]->d, many_at(i), NULL), NOWHERE);
	assert_int_equal(spa_at(e.d, ram, NULL), RAM);
	/* The areas are there as before. */
	assert_int_equal(ioas_area_count(e.ioas) + ioas_area_count(other.ioas),
			 ARRAY_LEN(at) + 1);
	unmap_all(e.ioas);
	unmap_all(other.ioas);
	env_detach(&other);
	ioas_destroy(other.ioas);
	domain_destroy(other.d);
	dmabuf_put(other.bar);
	env_end(&e);
}

static void reset_cycles(void **state)
{
	struct env e = env_make(true);
	uint64_t iova;

	assert_int_equal(map_bar(&e, 0, 0x10000, 0x1000000), 0x1000000); /* H001 */
	dmabuf_revoke(e.bar);
	dmabuf_restore(e.bar);
	assert_int_equal(map_bar(&e, 0, 0x10000, 0x2000000), 0x2000000); /* H006 */
	assert_int_equal(map_bar(&e, 0, 0x10000, 0x1000000), -EEXIST);   /* H007 */
	/* H008: a revoked area copies, and the copy is as dead. */
	iova = 0x3000000;
	assert_int_equal(ioas_copy(e.ioas, e.ioas, 0x1000000, 0x10000, RW, true, &iova),
			 0);
	assert_true(spa_at(e.d, 0x3000000, NULL) == NOWHERE);
	assert_int_equal(spa_at(e.d, 0x2000000, NULL), BAR);
	assert_int_equal(unmap(e.ioas, 0x1000000, 0x1000), -ENOENT);  /* H009 */
	assert_int_equal(unmap(e.ioas, 0x1000000, 0x10000), 0x10000); /* H010 */
	/* H036: areas keep a buffer that nobody else holds. */
	dmabuf_put(e.bar);
	assert_int_equal(fakes.buffers, 1);
	assert_int_equal(unmap_all(e.ioas), 0x20000);
	assert_int_equal(fakes.buffers, 0);
	e.bar = NULL;
	env_end(&e);
}

static void bar_by_address(void **state)
{
	struct env e = env_make(true);
	struct ioas *other;
	uint64_t iova = 0x5000000;

	/* K002, K007, K008, K009. */
	assert_int_equal(map(e.ioas, bad_pages(RAM, 0x1000, -EFAULT), 0x1000000),
			 -EFAULT);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x1000), 0x1000000), 0x1000000);
	assert_int_equal(map(e.ioas, bad_pages(RAM, 0x1000, -EFAULT), 0x1000000),
			 -EEXIST);
	assert_int_equal(map(e.ioas, bad_pages(RAM + 0x800, 0x1000, -EFAULT), iova),
			 -EINVAL);
	assert_int_equal(map(e.ioas, bad_pages(8, 0x1000, -EFAULT), iova), -EINVAL);
	{
		struct fake_memory m = {0};
		struct pages *p;

		assert_int_equal(pages_create(fake_source(&m), 0, true, &p), -EINVAL);
		assert_int_equal(pages_create(fake_source(&m), TOP, true, &p), -EINVAL);
	}
	/* K018 to K021. */
	assert_int_equal(ioas_create(&other), 0);
	assert_int_equal(map(other, bad_pages(RAM, 0x10000, -EFAULT), 0x1000000),
			 0x1000000);
	assert_int_equal(ioas_copy(e.ioas, other, 0x1000000, 0x10000, RW, true, &iova),
			 -EFAULT);
	assert_int_equal(ioas_area_count(e.ioas), 1);
	env_detach(&e);
	assert_int_equal(ioas_add_domain(other, e.d), -EFAULT);
	assert_int_equal(unmap(other, 0x1000000, 0x10000), 0x10000);
	ioas_destroy(other);
	env_end(&e);
}

/* ---- the rest of the interface
 * ---------------------------------------------------------- */

static void permissions(void **state)
{
	struct env e = env_make(true);
	struct fake_memory m = {.spa = RAM, .address = RAM};
	struct pages *p;
	uint64_t iova = 0x1000000;

	assert_int_equal(pages_create(fake_source(&m), 0x2000, false, &p), 0);
	assert_int_equal(ioas_map(e.ioas, p, 0, 0x2000, RW, true, &iova), -EPERM);
	assert_int_equal(ioas_map(e.ioas, p, 0, 0x2000, IOAS_READ, true, &iova), 0);
	iova = 0x2000000;
	assert_int_equal(ioas_copy(e.ioas, e.ioas, 0x1000000, 0x1000, RW, true, &iova),
			 -EPERM);
	/* EEXIST comes before EPERM, EPERM before the offset. */
	iova = 0x1000000;
	assert_int_equal(ioas_map(e.ioas, p, 0, 0x1000, RW, true, &iova), -EEXIST);
	iova = 0x2000000;
	assert_int_equal(ioas_map(e.ioas, p, 0x800, 0x1000, RW, true, &iova), -EPERM);
	assert_int_equal(ioas_map(e.ioas, p, 0x800, 0x1000, IOAS_READ, true, &iova),
			 -EINVAL);
	/* Past the end of the pages. */
	assert_int_equal(ioas_map(e.ioas, p, 0x1000, 0x2000, IOAS_READ, true, &iova),
			 -EINVAL);
	assert_int_equal(ioas_map(e.ioas, p, 0x2000, 0, IOAS_READ, true, &iova), -EINVAL);
	assert_int_equal(iova, 0x2000000);
	pages_put(p);
	env_end(&e);
}

static void copies(void **state)
{
	struct env e = env_make(true);
	struct domain *d2 = fake_domain(false);
	struct ioas *src;
	uint64_t iova;

	assert_int_equal(ioas_create(&src), 0);
	/* Three neighbours of three pages objects, then a hole. */
	assert_int_equal(map(src, fake_pages(RAM, 0x4000), 0x10000), 0x10000);
	assert_int_equal(map(src, buffer_pages(e.bar, 0, 0x2000), 0x14000), 0x14000);
	assert_int_equal(map(src, fake_pages(2 * RAM, 0x4000), 0x16000), 0x16000);

	iova = 0x1000000;
	assert_int_equal(ioas_copy(e.ioas, src, 0x10000, 0, RW, true, &iova), -EINVAL);
	assert_int_equal(ioas_copy(e.ioas, src, TOP, 2, RW, true, &iova), -EOVERFLOW);
	assert_int_equal(ioas_copy(e.ioas, src, 0xf000, 0x2000, RW, true, &iova),
			 -ENOENT);
	assert_int_equal(ioas_copy(e.ioas, src, 0x19000, 0x2000, RW, true, &iova),
			 -ENOENT);
	assert_int_equal(ioas_copy(e.ioas, src, 0x20000, 0x1000, RW, true, &iova),
			 -ENOENT);
	assert_int_equal(ioas_copy(e.ioas, src, 0x11000, 0x800, RW, true, &iova),
			 -EINVAL);
	assert_int_equal(ioas_copy(e.ioas, src, 0x11800, 0x1000, RW, true, &iova),
			 -EINVAL);

	/* The end of the first, all of the second, the start of the third. */
	assert_int_equal(ioas_copy(e.ioas, src, 0x13000, 0x4000, RW, true, &iova), 0);
	assert_int_equal(ioas_area_count(e.ioas), 3);
	assert_int_equal(spa_at(e.d, 0x1000000, NULL), RAM + 0x3000);
	assert_int_equal(spa_at(e.d, 0x1001000, NULL), BAR);
	assert_int_equal(spa_at(e.d, 0x1002000, NULL), BAR + 0x1000);
	assert_int_equal(spa_at(e.d, 0x1003000, NULL), 2 * RAM);
	assert_true(spa_at(e.d, 0x1004000, NULL) == NOWHERE);
	assert_int_equal(fakes.pins, 2);

	/* Each piece is an area. Those before the one that sticks out go. */
	assert_int_equal(ioas_add_domain(src, d2), 0);
	assert_int_equal(unmap(e.ioas, 0x1000000, 0x2000), -ENOENT);
	assert_int_equal(ioas_area_count(e.ioas), 2);
	assert_true(spa_at(e.d, 0x1000000, NULL) == NOWHERE);
	assert_int_equal(spa_at(e.d, 0x1001000, NULL), BAR);
	assert_int_equal(unmap(e.ioas, 0x1000000, 0x3000), 0x2000);

	/* A part of a whole that is pinned has a pin of its own. */
	{
		long before = fakes.pins;

		iova = 0x2000000;
		assert_int_equal(ioas_copy(e.ioas, src, 0x11000, 0x2000, RW, true, &iova),
				 0);
		assert_int_equal(fakes.pins, before + 1);
		assert_int_equal(spa_at(e.d, 0x2001000, NULL), RAM + 0x2000);
	}
	ioas_remove_domain(src, d2);
	ioas_destroy(src);
	assert_int_equal(spa_at(e.d, 0x2001000, NULL), RAM + 0x2000);
	domain_destroy(d2);
	env_end(&e);
}

/* The second area of a copy cannot be filled: the first must be gone again. */
static void copy_undone(void **state)
{
	struct env e = env_make(true);
	struct ioas *src;
	uint64_t iova = 0x1000000;

	assert_int_equal(ioas_create(&src), 0);
	assert_int_equal(map(src, buffer_pages(e.bar, 0, 0x2000), 0x10000), 0x10000);
	assert_int_equal(map(src, fake_pages(RAM, 0x2000), 0x12000), 0x12000);
	assert_int_equal(map(src, bad_pages(RAM, 0x2000, -EFAULT), 0x14000), 0x14000);
	assert_int_equal(ioas_copy(e.ioas, src, 0x10000, 0x6000, RW, true, &iova),
			 -EFAULT);
	assert_int_equal(ioas_area_count(e.ioas), 0);
	assert_int_equal(fakes.pins, 0);
	for (iova = 0x1000000; iova < 0x1006000; iova += PAGE)
		assert_true(spa_at(e.d, iova, NULL) == NOWHERE);
	/* The buffer does not know the areas any more. */
	dmabuf_revoke(e.bar);
	ioas_destroy(src);
	env_end(&e);
}

static void choice(void **state)
{
	struct env e = env_make(false);
	struct iova_range allowed[] = {
		{0x400000, 0x5fffff},
		{0, 0x1fff},
		{0x600000, 0xffffff},
	};

	/* Never 0; aligned as length and address allow, 2 MiB at most. */
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x1000), NOWHERE), 0x1000);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x3000), NOWHERE), 0x4000);
	assert_int_equal(map(e.ioas, fake_pages(0x3000, 0x4000), NOWHERE), 0x7000);
	assert_int_equal(map(e.ioas, fake_pages(0, 0x600000), NOWHERE), 0x200000);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x40000000), NOWHERE), 0x800000);
	/* A hole in front is taken first. */
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x2000), NOWHERE), 0x2000);
	/* The offset in the page is kept. */
	assert_int_equal(map(e.ioas, fake_pages(0x4800, 0x800), NOWHERE), 0xb800);
	assert_int_equal(map(e.ioas, fake_pages(0x4800, 0x1000), NOWHERE), 0xc800);
	assert_int_equal(unmap_all(e.ioas), 0x1000 + 0x3000 + 0x4000 + 0x600000 +
						    0x40000000 + 0x2000 + 0x1800);

	/* Too long to be anywhere. */
	assert_int_equal(map(e.ioas, fake_pages(RAM, TOP / 2), NOWHERE), -EOVERFLOW);
	assert_int_equal(map(e.ioas, fake_pages(RAM, TOP / 2 - 1), NOWHERE), 0x200000);
	assert_int_equal(map(e.ioas, fake_pages(RAM, TOP / 2 - 1), NOWHERE), -ENOSPC);
	assert_int_equal(unmap_all(e.ioas), TOP / 2 - 1);

	/* Only where it is allowed; a fixed IOVA may be anywhere. */
	assert_int_equal(ioas_allow(e.ioas, allowed, 3), 0);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x1000), NOWHERE), 0x1000);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x1000), NOWHERE), 0x400000);
	/* Across two allowed ranges that touch. */
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x800000), NOWHERE), 0x600000);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0xb00000), NOWHERE), -ENOSPC);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x1000), 0x2000000), 0x2000000);
	assert_int_equal(ioas_allow(e.ioas, NULL, 0), 0);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x1000), NOWHERE), 0x2000);
	env_end(&e);
}

static void reserved_and_allowed(void **state)
{
	struct env e = env_make(false);
	struct iova_range bad[][2] = {
		{{0x1000, 0x1000}},
		{{0x2000, 0x1000}},
		{{0x1000, 0x2fff}, {0x2000, 0x3fff}},
		{{0x3000, 0x4fff}, {0x2000, 0x3000}},
	};
	struct iova_range v[4], ok = {0x10000, 0x1ffff};
	uint64_t alignment;
	size_t n;
	int a, b;

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ioas_allow(e.ioas, bad[i], i < 2 ? 1 : 2), -EINVAL);

	ioas_ranges(e.ioas, v, 4, &n, &alignment);
	assert_int_equal(n, 1);
	assert_int_equal(alignment, 1);
	assert_int_equal(v[0].start, 0);
	assert_true(v[0].last == TOP);

	/* Overlapping, touching, and nested reservations of two owners. */
	assert_int_equal(ioas_reserve(e.ioas, 0x5000, 0x6fff, &a), 0);
	assert_int_equal(ioas_reserve(e.ioas, 0x6000, 0x8fff, &b), 0);
	assert_int_equal(ioas_reserve(e.ioas, 0x9000, 0x9fff, &a), 0);
	assert_int_equal(ioas_reserve(e.ioas, 0x7000, 0x7fff, &b), 0);
	assert_int_equal(ioas_reserve(e.ioas, 0, 0xfff, &b), 0);
	assert_int_equal(ioas_reserve(e.ioas, TOP - 0xfff, TOP, &a), 0);
	assert_int_equal(ioas_reserve(e.ioas, 2, 1, &a), -EINVAL);
	ioas_ranges(e.ioas, v, 4, &n, &alignment);
	assert_int_equal(n, 2);
	assert_int_equal(v[0].start, 0x1000);
	assert_int_equal(v[0].last, 0x4fff);
	assert_int_equal(v[1].start, 0xa000);
	assert_true(v[1].last == TOP - 0x1000);
	/* The total, also where there is less room. */
	ioas_ranges(e.ioas, v, 1, &n, &alignment);
	assert_int_equal(n, 2);
	ioas_ranges(e.ioas, NULL, 0, &n, &alignment);
	assert_int_equal(n, 2);

	/* Choosing goes around them. */
	assert_int_equal(map(e.ioas, fake_pages(0x1000, 0x4000), NOWHERE), 0x1000);
	assert_int_equal(map(e.ioas, fake_pages(0x1000, 0x1000), NOWHERE), 0xa000);
	assert_int_equal(map(e.ioas, fake_pages(0x1000, 0x1000), 0x8000), -EINVAL);

	/* Against areas and allowed ranges. */
	assert_int_equal(ioas_reserve(e.ioas, 0x2000, 0x2fff, &a), -EADDRINUSE);
	assert_int_equal(ioas_allow(e.ioas, &ok, 1), 0);
	assert_int_equal(ioas_reserve(e.ioas, 0x1ffff, 0x1ffff, &a), -EADDRINUSE);
	ok.start = 0x8fff;
	assert_int_equal(ioas_allow(e.ioas, &ok, 1), -EADDRINUSE);
	/* The former ones still hold. */
	assert_int_equal(map(e.ioas, fake_pages(0x1000, 0x1000), NOWHERE), 0x10000);

	ioas_unreserve(e.ioas, &a);
	ioas_ranges(e.ioas, v, 4, &n, &alignment);
	assert_int_equal(n, 2);
	assert_int_equal(v[0].start, 0x1000);
	assert_int_equal(v[0].last, 0x5fff);
	assert_int_equal(v[1].start, 0x9000);
	assert_true(v[1].last == TOP);
	ioas_unreserve(e.ioas, &b);
	ioas_unreserve(e.ioas, &b);
	assert_int_equal(map(e.ioas, fake_pages(0x1000, 0x1000), 0x8000), 0x8000);

	/* The aperture of a domain is such a reservation. */
	ok = (struct iova_range){(uint64_t)1 << 47, (uint64_t)1 << 48};
	assert_int_equal(ioas_allow(e.ioas, &ok, 1), 0);
	assert_int_equal(ioas_add_domain(e.ioas, e.d), -EADDRINUSE);
	ok.last--;
	assert_int_equal(ioas_allow(e.ioas, &ok, 1), 0);
	assert_int_equal(ioas_add_domain(e.ioas, e.d), 0);
	ioas_ranges(e.ioas, v, 4, &n, &alignment);
	assert_int_equal(alignment, 4096);
	assert_int_equal(n, 1);
	assert_int_equal(v[0].start, 0);
	assert_int_equal(v[0].last, ((uint64_t)1 << 48) - 1);
	ioas_remove_domain(e.ioas, e.d);
	ioas_ranges(e.ioas, v, 4, &n, &alignment);
	assert_int_equal(alignment, 1);
	assert_true(v[0].last == TOP);
	env_end(&e);
}

static void large_pages(void **state)
{
	struct env e = env_make(true);
	struct pt_translation t;

	assert_true(ioas_large_pages(e.ioas));
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x400000), 0x200000), 0x200000);
	assert_true(domain_lookup(e.d, 0x212345, &t));
	assert_int_equal(t.page_bytes, 0x200000);
	assert_int_equal(ioas_set_large_pages(e.ioas, false), -EINVAL);
	assert_int_equal(unmap(e.ioas, 0x200000, 0x400000), 0x400000);
	assert_int_equal(ioas_set_large_pages(e.ioas, false), 0);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x400000), 0x200000), 0x200000);
	assert_true(domain_lookup(e.d, 0x212345, &t));
	assert_int_equal(t.page_bytes, 0x1000);
	assert_int_equal(ioas_set_large_pages(e.ioas, false), 0);

	/* Off, pages are the alignment with no domain, too. */
	env_detach(&e);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x801), 0x1000000), -EINVAL);
	assert_int_equal(ioas_set_large_pages(e.ioas, true), 0);
	assert_true(ioas_large_pages(e.ioas));
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x801), 0x1000000), 0x1000000);
	assert_int_equal(ioas_set_large_pages(e.ioas, false), -EADDRINUSE);
	assert_true(ioas_large_pages(e.ioas));
	env_end(&e);
}

static void only_files(void **state)
{
	struct env e = env_make(true);
	struct fake_memory m = {.is_file = true};
	struct pages *p;

	assert_true(ioas_only_files(e.ioas));
	assert_int_equal(pages_create(fake_source(&m), 0x1000, true, &p), 0);
	assert_int_equal(map(e.ioas, p, NOWHERE), 0x1000);
	assert_true(ioas_only_files(e.ioas));
	assert_int_equal(map_bar(&e, 0, 0x1000, NOWHERE), 0x2000);
	assert_false(ioas_only_files(e.ioas));
	assert_int_equal(unmap(e.ioas, 0x2000, 0x1000), 0x1000);
	assert_int_equal(map(e.ioas, fake_pages(RAM, 0x1000), NOWHERE), 0x2000);
	assert_false(ioas_only_files(e.ioas));
	env_end(&e);
}

/* One pin for any number of domains, by range; let go with the last domain. */
static void pins(void **state)
{
	struct env e = env_make(true);
	struct domain *d2 = fake_domain(false), *d3 = fake_domain(true);
	struct pages *p = fake_pages(RAM, 0x10000);
	struct ioas *other;
	uint64_t iova;

	assert_int_equal(ioas_create(&other), 0);
	/* Parts and wholes in any order: a pin for each range. */
	iova = 0x100000;
	assert_int_equal(ioas_map(e.ioas, p, 0, 0x4000, RW, true, &iova), 0);
	iova = 0x200000;
	assert_int_equal(ioas_map(e.ioas, p, 0x8000, 0x4000, RW, true, &iova), 0);
	iova = 0x300000;
	assert_int_equal(ioas_map(e.ioas, p, 0, 0x10000, RW, true, &iova), 0);
	assert_int_equal(fakes.pins, 3);
	iova = 0x400000;
	assert_int_equal(ioas_map(e.ioas, p, 0xf000, 0x1000, RW, true, &iova), 0);
	assert_int_equal(fakes.pins, 4);
	assert_int_equal(spa_at(e.d, 0x400000, NULL), RAM + 0xf000);
	assert_int_equal(ioas_add_domain(e.ioas, d2), 0);
	assert_int_equal(ioas_add_domain(e.ioas, d2), -EEXIST);
	assert_int_equal(fakes.pins, 4);
	assert_int_equal(spa_at(d2, 0x203000, NULL), RAM + 0xb000);

	/* The whole goes with its area, the last page stays pinned for its own. */
	assert_int_equal(unmap(e.ioas, 0x300000, 0x10000), 0x10000);
	assert_int_equal(fakes.pins, 3);
	assert_int_equal(unmap(e.ioas, 0x400000, 0x1000), 0x1000);
	assert_int_equal(fakes.pins, 2);

	ioas_remove_domain(e.ioas, e.d);
	assert_int_equal(fakes.pins, 2);
	assert_true(spa_at(e.d, 0x100000, NULL) == NOWHERE);
	assert_int_equal(spa_at(d2, 0x100000, NULL), RAM);
	ioas_remove_domain(e.ioas, d2);
	assert_int_equal(fakes.pins, 0);
	assert_int_equal(ioas_add_domain(e.ioas, e.d), 0);
	assert_int_equal(fakes.pins, 2);

	/* The middle one of three goes. */
	assert_int_equal(ioas_add_domain(e.ioas, d2), 0);
	assert_int_equal(ioas_add_domain(e.ioas, d3), 0);
	ioas_remove_domain(e.ioas, d2);
	assert_int_equal(spa_at(d3, 0x100000, NULL), RAM);
	assert_int_equal(unmap_all(e.ioas), 0x8000);
	assert_true(spa_at(d3, 0x100000, NULL) == NOWHERE);
	ioas_remove_domain(e.ioas, d3);
	pages_put(p);
	ioas_destroy(other);
	domain_destroy(d2);
	domain_destroy(d3);
	env_end(&e);
}

/* A domain whose pages are larger than the CPU's cannot serve client memory. */
static void page_too_large(void **state)
{
	struct env e = env_make(false);
	struct domain *d;

	assert_int_equal(domain_create(NULL, &pt_vtd_s2, 1 << 21, &d), 0);
	assert_int_equal(ioas_add_domain(e.ioas, d), -EINVAL);
	domain_destroy(d);
	env_end(&e);
}

/* Many runs, as of a file in pieces: areas over any part of them. */
static void scattered(void **state)
{
	struct env e = env_make(true);
	struct fake_memory m = {.spa = RAM, .address = RAM, .run = 0x3000};
	struct pages *p;
	uint64_t iova = 0x100000;

	assert_int_equal(pages_create(fake_source(&m), 0x20000, true, &p), 0);
	assert_int_equal(ioas_map(e.ioas, p, 0, 0x20000, RW, true, &iova), 0);
	iova = 0x200000;
	assert_int_equal(ioas_map(e.ioas, p, 0x5000, 0x9000, RW, true, &iova), 0);
	assert_int_equal(fakes.pins, 2);
	for (uint64_t o = 0; o < 0x20000; o += PAGE)
		assert_int_equal(spa_at(e.d, 0x100000 + o, NULL), RAM + o);
	for (uint64_t o = 0; o < 0x9000; o += PAGE)
		assert_int_equal(spa_at(e.d, 0x200000 + o, NULL), RAM + 0x5000 + o);
	pages_put(p);
	env_end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(unattached_files, fixture_setup),
		cmocka_unit_test_setup(attached_order, fixture_setup),
		cmocka_unit_test_setup(unattached_then_attach, fixture_setup),
		cmocka_unit_test_setup(revoke_many_maps, fixture_setup),
		cmocka_unit_test_setup(reset_cycles, fixture_setup),
		cmocka_unit_test_setup(bar_by_address, fixture_setup),
		cmocka_unit_test_setup(permissions, fixture_setup),
		cmocka_unit_test_setup(copies, fixture_setup),
		cmocka_unit_test_setup(copy_undone, fixture_setup),
		cmocka_unit_test_setup(choice, fixture_setup),
		cmocka_unit_test_setup(reserved_and_allowed, fixture_setup),
		cmocka_unit_test_setup(large_pages, fixture_setup),
		cmocka_unit_test_setup(only_files, fixture_setup),
		cmocka_unit_test_setup(pins, fixture_setup),
		cmocka_unit_test_setup(page_too_large, fixture_setup),
		cmocka_unit_test_setup(scattered, fixture_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
