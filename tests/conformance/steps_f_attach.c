/* SPDX-License-Identifier: MIT */
/*
 * Section F: dma-bufs mapped into an address space without a device, where nearly
 * anything goes, and what attaching then finds.
 */
#include "tests/conformance/client.h"

#define SIZE ((uint64_t)0x10000)
#define IOVA ((uint64_t)0x10000000)
#define HIGH ((uint64_t)1 << 60)

static void odd_areas(struct space s, const struct device *d, int fd)
{
	uint64_t chosen = 0;

	step("F001", map_file_at(s, fd, 0x4800, PAGE, 0x1000000));
	step("F002", map_file_at(s, fd, 0, 0x801, 0x2000000));
	step("F003", map_file_at(s, fd, 0, PAGE, 0x3000801));
	step("F004", map_file(s, RW, fd, 0, 1, &chosen));
	note("iova", "0x%llx", (unsigned long long)chosen);
	step("F005", map_file_any(s, fd, SIZE - PAGE, PAGE + 1));
	step("F006", map_file_at(s, fd, 0, PAGE, MSI_IOVA));
	step("F007", map_file_at(s, fd, 0, PAGE, HIGH));
	step("F008", attach_ioas(d->fd, s.ioas));
	step_unmap("F009", s, 0x2000000, 0x801);
	step_unmap("F010", s, 0x3000801, PAGE);
	step_unmap("F011", s, 0x1000000, PAGE);
	step_unmap_all("F012", s);
}

static void one_odd_area(struct space s, const struct device *d, int fd)
{
	step("F013", map_file_at(s, fd, 0, PAGE, MSI_IOVA));
	step("F014", attach_ioas(d->fd, s.ioas));
	step_unmap_all("F015", s);
	step("F016", map_file_at(s, fd, 0, PAGE, HIGH));
	step("F017", attach_ioas(d->fd, s.ioas));
	step_unmap_all("F018", s);
	step("F019", map_file_at(s, fd, 0x4800, PAGE, 0x1000000));
	step("F020", attach_ioas(d->fd, s.ioas));
	step_unmap_all("F021", s);
}

static void revoked_area(struct space s, const struct device *d, int fd)
{
	uint32_t hwpt;

	step("F022", map_file_at(s, fd, 0, SIZE, IOVA));
	step("F023", attach_ioas(d->fd, s.ioas));
	step("F024", detach(d->fd));
	memory_off(d);
	step("F025", attach_ioas(d->fd, s.ioas));
	step("F026", detach(d->fd));
	memory_on(d);
	step("F027", attach_ioas(d->fd, s.ioas));
	step_unmap("F028", s, IOVA, SIZE);
	step("F029", map_file_at(s, fd, 0, SIZE, IOVA));
	memory_off(d);
	memory_on(d);
	step("F030", detach(d->fd));
	step("F031", attach_ioas(d->fd, s.ioas));
	step("F032", hwpt_alloc(s.iommufd, d->id, s.ioas, &hwpt));
	step("F033", destroy(s.iommufd, hwpt));
}

static void second_device(struct space s, const struct device *d, int fd)
{
	struct device second;
	uint32_t hwpt;

	/* The record has the bind as a step, so it is made without device_start(). */
	second.fd = (int)device_open(1);
	step("F034", bind_device(second.fd, s.iommufd, &second.id));
	step("F035", attach_ioas(second.fd, s.ioas));
	step("F036", detach(second.fd));
	step_unmap("F037", s, IOVA, SIZE);
	step("F038", map_file_at(s, fd, 0, SIZE, IOVA));
	step("F039", attach_ioas(second.fd, s.ioas));
	step("F040", hwpt_alloc(s.iommufd, d->id, s.ioas, &hwpt));
	memory_off(d);
	step_unmap("F041", s, IOVA, SIZE);
	memory_on(d);
	device_stop(&second);
}

void section_f(void)
{
	struct device d;
	struct space s;
	int fd;

	s.iommufd = iommu_open();
	ioas_alloc(s.iommufd, &s.ioas);
	device_start(&d, 0, s.iommufd);
	fd = (int)export_range(d.fd, BAR, 0x10000, SIZE);

	odd_areas(s, &d, fd);
	one_odd_area(s, &d, fd);
	revoked_area(s, &d, fd);
	second_device(s, &d, fd);

	sys_close(fd);
	device_stop(&d);
	sys_close(s.iommufd);
}
