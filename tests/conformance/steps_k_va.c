/* SPDX-License-Identifier: MIT */
/*
 * Section K: IOMMU_IOAS_MAP of addresses where a BAR is mapped. Linux refuses it once a
 * device is attached: only MAP_FILE of a dma-buf gives such memory a lifetime.
 */
#include <sys/mman.h>

#include "tests/conformance/client.h"

#define IOVA ((uint64_t)0x10000000)
#define FREE ((uint64_t)0x40000000)
#define RWA  (RW | AT)

static uint64_t va_of(const void *p)
{
	return (uintptr_t)p;
}

static void attached(struct space s, const void *bar, uint64_t size)
{
	void *ram = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	check(ram != MAP_FAILED, "memory");
	step("K001", map_va(s, RWA, va_of(ram), PAGE, IOVA));
	step("K002", map_va(s, RWA, va_of(bar), size, FREE));
	step("K003", map_va(s, RWA, va_of(bar), PAGE, FREE));
	step("K004", map_va(s, R | AT, va_of(bar), PAGE, FREE));
	step_load("K005", cpu_load(bar));
	step("K006", map_va(s, RWA, va_of(bar), PAGE, FREE));
	step("K007", map_va(s, RWA, va_of(bar), PAGE, IOVA));
	step("K008", map_va(s, RWA, va_of(bar) + 0x800, PAGE, FREE));
	step("K009", map_va(s, RWA, va_of(bar), 0, FREE));
}

static void bad_arguments(struct space s)
{
	struct space bad = {s.iommufd, 0x7fffffff};
	void *ro = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	step("K010", map_va(s, RWA, 8, PAGE, FREE));
	step("K011", map_va(s, RWA, 0x10000, PAGE, FREE));
	step("K012", map_va(s, RWA, UINT64_MAX - 0xfff, 2 * PAGE, FREE));
	step("K013", map_va(s, RWA | 8, va_of(ro), PAGE, FREE));
	step("K014", map_va(s, AT, va_of(ro), PAGE, FREE));
	step("K015", map_va(bad, RWA, va_of(ro), PAGE, FREE));
	step("K016", map_va(s, RWA, va_of(ro), PAGE, FREE));
	step("K017", map_va(s, R | AT, va_of(ro), PAGE, FREE));
}

static void unattached(struct space s, struct space alone, const struct device *d,
		       const void *bar, uint64_t size)
{
	uint64_t iova;

	step("K018", map_va(alone, RWA, va_of(bar), size, IOVA));
	step("K019", copy_any(s, alone, IOVA, size, &iova));
	step("K020", attach_ioas(d->fd, alone.ioas));
	step_unmap("K021", alone, IOVA, size);
}

void section_k(void)
{
	struct space s, alone;
	struct device d;
	void *bar = NULL;
	uint64_t size;

	s.iommufd = alone.iommufd = iommu_open();
	ioas_alloc(s.iommufd, &s.ioas);
	ioas_alloc(s.iommufd, &alone.ioas);
	device_start(&d, 0, s.iommufd);
	attach_ioas(d.fd, s.ioas);
	size = d.region[BAR].size;
	bar_mmap(&d, BAR, size, &bar);
	check(bar, "the BAR cannot be mapped");
	if (!bar)
		return;
	cpu_store(bar, 0x11223344);

	attached(s, bar, size);
	bad_arguments(s);
	unattached(s, alone, &d, bar, size);
	memory_off(&d);
	step("K022", map_va(s, RWA, va_of(bar), PAGE, FREE + PAGE));
	memory_on(&d);
	step("K023", map_file_at(s, d.fd, 0, PAGE, FREE + PAGE));
	step("K024", map_file_at(s, d.fd, 0, 0, FREE + PAGE));

	munmap(bar, size);
	device_stop(&d);
	sys_close(s.iommufd);
}
