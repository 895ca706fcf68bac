/* SPDX-License-Identifier: MIT */
/*
 * Section E: IOMMU_IOAS_MAP_FILE of a dma-buf into an address space whose device is
 * attached, so that alignment, reserved IOVAs and the aperture are checked.
 *
 * The areas that stay mapped up to the first UNMAP_ALL:
 *	0                  0x1000
 *	chosen             0x10000  unmapped by E046
 *	IOVA               0x10000
 *	IOVA + 0x10000     0x2000   unmapped by E050
 *	LAST_PAGE          0x1000
 *	ONE_WAY            0x1000 twice, unmapped by E051
 */
#include <fcntl.h>

#include "tests/conformance/client.h"

#define SIZE      ((uint64_t)0x10000)
#define IOVA      ((uint64_t)0x10000000)
#define LAST_PAGE ((uint64_t)0x20000000)
#define ONE_WAY   ((uint64_t)0x30000000)
#define FREE      ((uint64_t)0x40000000)
#define MAX       UINT64_MAX

static int export_two(const struct device *d, uint64_t second)
{
	struct buffer_spec e = {.region = BAR,
				.open_flags = O_RDWR | O_CLOEXEC,
				.nr_ranges = 2,
				.range = {{0, PAGE}, {second, PAGE}}};
	int fd = (int)export_ranges(d->fd, &e);

	check(fd >= 0, "a dma-buf of two ranges");
	return fd;
}

static void lengths_and_starts(struct space s, int fd)
{
	uint64_t any = 0;

	step("E003", map_file_at(s, fd, 0, SIZE, IOVA));
	step("E004", map_file_at(s, fd, 0, PAGE, IOVA + SIZE - PAGE));
	step("E005", map_file_at(s, fd, 0x4000, 0x2000, IOVA + SIZE));
	step("E006", map_file_at(s, fd, 0x4800, 0x1000, FREE));
	step("E007", map_file_at(s, fd, 0x4000, 0x800, FREE));
	step("E008", map_file_at(s, fd, 0x4800, 0x800, FREE));
	step("E009", map_file_at(s, fd, 0x4800, 0x1800, FREE));
	step("E010", map_file(s, RW, fd, 0x4800, 0x1000, &any));
	step("E011", map_file_at(s, fd, 0, PAGE, FREE + 0x800));
	step("E012", map_file_at(s, fd, 0, 0, FREE));
	step("E013", map_file_at(s, fd, SIZE - PAGE, PAGE, LAST_PAGE));
	step("E014", map_file_at(s, fd, SIZE - PAGE, 2 * PAGE, FREE));
	step("E015", map_file_at(s, fd, SIZE, PAGE, FREE));
	step("E016", map_file_at(s, fd, SIZE + PAGE, PAGE, FREE));
	step("E017", map_file_at(s, fd, 0, SIZE + 1, FREE));
	step("E018", map_file_at(s, fd, 0, SIZE + PAGE, FREE + 0x800));
	step("E019", map_file_at(s, fd, MAX, PAGE, FREE));
	step("E020", map_file_at(s, fd, MAX - 0xfff, PAGE, FREE));
	step("E021", map_file_at(s, fd, PAGE, MAX - 1, FREE));
	step("E022", map_file_at(s, fd, 0, MAX, FREE));
}

static void iovas(struct space s, int fd)
{
	step("E023", map_file_at(s, fd, 0, PAGE, MAX));
	step("E024", map_file_at(s, fd, 0, PAGE, MAX - 0xfff));
	step("E025", map_file_at(s, fd, 0, 2 * PAGE, MAX - 0xfff));
	step("E026", map_file_at(s, fd, 0, PAGE, (uint64_t)1 << 60));
	step("E027", map_file_at(s, fd, 0, PAGE, MSI_IOVA));
	step("E028", map_file_at(s, fd, 0, 2 * PAGE, MSI_IOVA - PAGE));
	step("E029", map_file_at(s, fd, 0, PAGE, 0));
}

static void flags_and_ids(struct space s, int fd, const struct device *d, uint32_t hwpt)
{
	struct space bad = {s.iommufd, 0x7fffffff};
	struct space device = {s.iommufd, d->id}, page_table = {s.iommufd, hwpt};
	uint64_t iova = ONE_WAY;

	step("E030", map_file(s, R | AT, fd, 0, PAGE, &iova));
	iova = ONE_WAY + PAGE;
	step("E031", map_file(s, W | AT, fd, 0, PAGE, &iova));
	iova = FREE;
	step("E032", map_file(s, AT, fd, 0, PAGE, &iova));
	step("E033", map_file(s, RW | AT | 8, fd, 0, PAGE, &iova));
	step("E034", map_file_at(bad, fd, 0, PAGE, FREE));
	step("E035", map_file_at(bad, fd, 0, 0, FREE));
	step("E036", map_file_at(device, fd, 0, PAGE, FREE));
	step("E037", map_file_at(page_table, fd, 0, PAGE, FREE));
}

static void several_ranges(struct space s, const struct device *d)
{
	int apart = export_two(d, 0x4000), adjacent = export_two(d, PAGE);

	step("E038", map_file_at(s, apart, 0, 2 * PAGE, FREE));
	step("E039", map_file_at(s, apart, 0, PAGE, FREE));
	step("E040", map_file_at(s, apart, 0, 3 * PAGE, FREE));
	step("E041", map_file_at(s, apart, 0, 0, FREE));
	step("E042", map_file_at(s, apart, 0, 2 * PAGE, IOVA));
	step("E043", map_file_at(s, apart, 0, 2 * PAGE, FREE + 0x800));
	step("E044", map_file_at(s, adjacent, 0, 2 * PAGE, FREE));
	sys_close(apart);
	sys_close(adjacent);
}

static void unmapping(struct space s, struct space second, int fd, uint64_t chosen)
{
	step("E045", map_file_any(second, fd, 0, SIZE));
	step_unmap("E046", s, chosen, SIZE);
	step_unmap("E047", s, chosen, SIZE);
	step_unmap("E048", s, IOVA + SIZE, PAGE);
	step_unmap("E049", s, IOVA + SIZE + PAGE, PAGE);
	step_unmap("E050", s, IOVA + SIZE, SIZE);
	step_unmap("E051", s, ONE_WAY, 2 * PAGE);
	step("E052", sys_close(fd));
	step("E053", map_file_at(s, fd, 0, PAGE, FREE));
	step_unmap_all("E054", s);
	step_unmap_all("E055", second);
}

static void revoked(struct space s, struct space second, const struct device *d)
{
	struct space bad = {s.iommufd, 0x7fffffff};
	int fd = (int)export_range(d->fd, BAR, 0x10000, SIZE);
	int apart = export_two(d, 0x4000);
	uint64_t iova = FREE;

	step("E056", map_file_at(s, fd, 0, SIZE, IOVA));
	memory_off(d);
	step("E057", map_file_at(s, fd, 0, PAGE, FREE));
	step("E058", map_file_at(s, fd, 0, 0, FREE));
	step("E059", map_file_at(s, fd, 0, SIZE + PAGE, FREE));
	step("E060", map_file_at(s, fd, MAX, PAGE, FREE));
	step("E061", map_file_at(s, fd, 0x800, PAGE, FREE));
	step("E062", map_file_at(s, fd, 0, PAGE, IOVA));
	step("E063", map_file_at(s, fd, 0, PAGE, FREE + 0x800));
	step("E064", map_file(s, AT, fd, 0, PAGE, &iova));
	step("E065", map_file_at(bad, fd, 0, PAGE, FREE));
	step("E066", map_file_at(s, apart, 0, 2 * PAGE, FREE));
	step("E067", map_file_any(second, fd, 0, PAGE));
	memory_on(d);
	step("E068", map_file_at(s, fd, 0, PAGE, FREE));
	step("E069", map_file_at(s, fd, 0, SIZE, IOVA));
	step_unmap("E070", s, IOVA, SIZE);
	step("E071", map_file_at(s, fd, 0, SIZE, IOVA));
	sys_close(fd);
	sys_close(apart);
}

void section_e(void)
{
	struct device d;
	struct space s, second;
	uint64_t chosen = 0;
	uint32_t hwpt;
	int fd;

	s.iommufd = second.iommufd = iommu_open();
	ioas_alloc(s.iommufd, &s.ioas);
	ioas_alloc(s.iommufd, &second.ioas);
	device_start(&d, 0, s.iommufd);
	hwpt = s.ioas;
	attach(d.fd, &hwpt);
	fd = (int)export_range(d.fd, BAR, 0x10000, SIZE);

	step("E001", map_file(s, RW, fd, 0, SIZE, &chosen));
	note("iova", "0x%llx", (unsigned long long)chosen);
	step("E002", map_file_at(s, fd, 0, SIZE, IOVA));
	lengths_and_starts(s, fd);
	iovas(s, fd);
	flags_and_ids(s, fd, &d, hwpt);
	several_ranges(s, &d);
	unmapping(s, second, fd, chosen);
	revoked(s, second, &d);

	device_stop(&d);
	sys_close(s.iommufd);
}
