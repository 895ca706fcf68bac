/* SPDX-License-Identifier: MIT */
/*
 * Section C: what VFIO_DEVICE_FEATURE_DMA_BUF checks, and in which order. Where the
 * record has a BAR smaller than a page, the same lengths of the register BAR are asked
 * for; for other devices' memory BARs the second device stands in.
 */
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conformance/client.h"

#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

/* A whole argument; the steps spoil it. */
static struct export_call good(void)
{
	struct export_call r = {
		.argsz = sizeof(r),
		.flags = GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.spec = {.region = BAR, .open_flags = O_RDWR, .nr_ranges = 1},
	};

	r.spec.range[0].length = PAGE;
	return r;
}

/* The result; a descriptor that came of it is closed again. */
static long ask_plain(const struct device *d, struct export_call r)
{
	long ret = sys_ioctl(d->fd, VFIO_DEVICE_FEATURE, &r);

	if (ret > 0)
		sys_close((int)ret);
	return ret;
}

static long ask_flags(const struct device *d, uint32_t flags)
{
	struct export_call r = good();

	r.flags = flags | VFIO_DEVICE_FEATURE_DMA_BUF;
	return ask_plain(d, r);
}

static long ask_argsz(const struct device *d, uint32_t argsz)
{
	struct export_call r = good();

	r.argsz = argsz;
	return ask_plain(d, r);
}

static long ask_region(const struct device *d, uint32_t region, uint64_t length)
{
	struct export_call r = good();

	r.spec.region = region;
	r.spec.range[0].length = length;
	return ask_plain(d, r);
}

static long ask_header(const struct device *d, uint32_t nr_ranges, uint32_t flags,
		       uint32_t region)
{
	struct export_call r = good();

	r.spec.nr_ranges = nr_ranges;
	r.spec.flags = flags;
	r.spec.region = region;
	return ask_plain(d, r);
}

static long ask_range(const struct device *d, uint64_t offset, uint64_t length)
{
	struct export_call r = good();

	r.spec.range[0] = (struct vfio_region_dma_range){offset, length};
	return ask_plain(d, r);
}

static long ask_two(const struct device *d, struct vfio_region_dma_range a,
		    struct vfio_region_dma_range b)
{
	struct export_call r = good();

	r.spec.nr_ranges = 2;
	r.spec.range[0] = a;
	r.spec.range[1] = b;
	return ask_plain(d, r);
}

static struct vfio_region_dma_range range(uint64_t offset, uint64_t length)
{
	return (struct vfio_region_dma_range){offset, length};
}

static void flags_and_sizes(const struct device *d)
{
	struct export_call r = good();
	long ret;

	step("C001", ask_flags(d, PROBE | GET));
	step("C002", ask_flags(d, PROBE));
	step("C003", ask_flags(d, PROBE | SET));
	step("C004", ask_flags(d, PROBE | GET | SET));
	step("C005", ask_flags(d, SET));
	step("C006", ask_flags(d, GET | SET));
	step("C007", ask_flags(d, 0));
	step("C008", ask_flags(d, GET | 1 << 19));
	r.flags = GET | 200;
	step("C009", ask_plain(d, r));
	step("C010", ask_argsz(d, 4));
	step("C011", ask_argsz(d, 8));
	step("C012", ask_argsz(d, 23));
	step_fd("C013", ask_argsz(d, 24));
	r = good();
	r.argsz = 8;
	r.flags |= PROBE;
	ret = ask_plain(d, r);
	step("C014", ret);
}

static void regions(const struct device *d)
{
	static const char *const id[] = {"C019", "C020", "C021", "C022", "C023",
					 "C024", "C025", "C026", "C027", "C028"};

	step("C015", ask_header(d, 0, 0, BAR));
	step("C016", ask_header(d, 1, 1, BAR));
	step("C017", ask_header(d, 0, 0, 77));
	step("C018", ask_header(d, 1, 1, 77));
	for (unsigned i = 0; i < sizeof(id) / sizeof(id[0]); i++) {
		long ret = ask_region(d, i, PAGE);

		step_fd(id[i], ret);
	}
	step("C029", ask_region(d, 0xffffffff, PAGE));
	step("C030", ask_region(d, 77, 0));
	step("C031", ask_header(d, 0x10000000, 0, BAR));
	step("C032", ask_header(d, 0xffffffff, 0, BAR));
	step("C033", ask_header(d, 0xffffffff, 0, 77));
}

/* The argument's first @n bytes are there, what follows is not. */
static long ask_cut(const struct device *d, size_t n, uint32_t nr_ranges, uint32_t region)
{
	struct export_call r = good(), *cut = memory_before_hole(n);
	long ret;

	if (!cut)
		return -1;
	r.spec.nr_ranges = nr_ranges;
	r.spec.region = region;
	memcpy(cut, &r, n);
	ret = sys_ioctl(d->fd, VFIO_DEVICE_FEATURE, cut);
	if (ret > 0)
		sys_close((int)ret);
	munmap((char *)cut + n - PAGE, PAGE);
	return ret;
}

static void faults(const struct device *d)
{
	size_t to_ranges = offsetof(struct export_call, spec.range);

	step("C034", ask_cut(d, to_ranges, 1, BAR));
	step("C035", ask_cut(d, to_ranges, 1, 77));
	step("C036", ask_cut(d, to_ranges, 0, BAR));
	step("C037", ask_cut(d, sizeof(struct vfio_device_feature), 1, BAR));
}

static void ranges(const struct device *d)
{
	uint64_t size = d->region[BAR].size;
	uint64_t top = (uint64_t)1 << 63;

	step("C038", ask_range(d, 0, 0));
	step("C039", ask_range(d, 0, 0x800));
	step("C040", ask_range(d, 0x800, PAGE));
	step_fd("C041", ask_range(d, 0, size));
	step("C042", ask_range(d, 0, size + PAGE));
	step("C043", ask_range(d, size, PAGE));
	step_fd("C044", ask_range(d, size - PAGE, PAGE));
	step("C045", ask_range(d, size - PAGE, 2 * PAGE));
	step("C046", ask_range(d, ~(uint64_t)0 << 12, PAGE));
	step("C047", ask_range(d, top, PAGE));
	step("C048", ask_range(d, 0, ~(uint64_t)0 << 12));
	step("C049", ask_range(d, 0, top));
	step("C050", ask_range(d, 0, top >> 1));
	step("C051", ask_range(d, 0, ~(uint64_t)0));
	step_fd("C052", ask_two(d, range(0, PAGE), range(0x4000, PAGE)));
	step_fd("C053", ask_two(d, range(0, PAGE), range(PAGE, PAGE)));
	step_fd("C054", ask_two(d, range(0, PAGE), range(0, PAGE)));
	step("C055", ask_two(d, range(0, PAGE), range(0x4000, 0)));
	step("C056", ask_two(d, range(0, PAGE), range(0x4000, 0x800)));
	step("C057", ask_two(d, range(0, PAGE), range(size, PAGE)));
	step("C058", ask_two(d, range(0, top), range(0, top)));
	step_fd("C059", ask_two(d, range(0, size), range(0, size)));
}

/* The new descriptor's own flags are part of the step. */
static void open_flags(const struct device *d)
{
	static const struct {
		const char *id;
		uint32_t flags;
	} steps[] = {
		{"C060", 0},        {"C061", 0x80000}, {"C062", 1},
		{"C063", 2},        {"C064", 0x80002}, {"C065", 3},
		{"C066", 0x802},    {"C067", 0x402},   {"C068", 0x40},
		{"C069", 0x200},    {"C070", 0x4000},  {"C071", 0xffffffff},
		{"C072", 1u << 31},
	};
	struct export_call r = good();

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int fd;

		r.spec.open_flags = steps[i].flags;
		fd = step_fd(steps[i].id, sys_ioctl(d->fd, VFIO_DEVICE_FEATURE, &r));
		if (fd < 0)
			continue;
		note("F_GETFL", "0x%x F_GETFD 0x%x", (unsigned)fcntl(fd, F_GETFL),
		     (unsigned)fcntl(fd, F_GETFD));
		sys_close(fd);
	}
	r.spec.open_flags = 0xffffffff;
	r.spec.range[0].offset = d->region[BAR].size;
	step("C073", ask_plain(d, r));
}

static void while_disabled(const struct device *d, struct space s)
{
	int dmabuf;

	memory_off(d);
	dmabuf = step_fd("C074", export_range(d->fd, BAR, 0, PAGE));
	step("C075", ask_region(d, 77, PAGE));
	step("C076", map_file_any(s, dmabuf, 0, PAGE));
	memory_on(d);
	step("C077", map_file_any(s, dmabuf, 0, PAGE));
	sys_close(dmabuf);
}

static void other_regions(const struct device *d, const struct device *other)
{
	uint64_t regs = d->region[REGS].size;

	step_fd("C078", ask_region(other, BAR, PAGE));
	step("C079", ask_region(other, REGS, 0x100));
	step("C080", ask_region(other, REGS, regs + PAGE));
	step_fd("C081", ask_region(other, BAR, 0x10000));
	step("C082", ask_region(d, REGS, 0x100));
	step("C083", ask_region(d, REGS, regs + PAGE));
	step_fd("C084", ask_region(d, BAR, 0x20000));
	step_fd("C085", ask_region(d, BAR, 0x20000));
	step("C086", ask_region(d, REGS, 0x20));
	step("C087", ask_region(d, REGS, regs + PAGE));
	step_fd("C088", ask_region(d, BAR, 0x4000));
	step_na("C089");
}

void section_c(void)
{
	struct device d, other;
	struct space s;

	s.iommufd = iommu_open();
	ioas_alloc(s.iommufd, &s.ioas);
	device_start(&d, 0, s.iommufd);
	device_start(&other, 1, s.iommufd);
	attach_ioas(d.fd, s.ioas);

	flags_and_sizes(&d);
	regions(&d);
	faults(&d);
	ranges(&d);
	open_flags(&d);
	while_disabled(&d, s);
	other_regions(&d, &other);

	device_stop(&other);
	device_stop(&d);
	sys_close(s.iommufd);
}
