/* SPDX-License-Identifier: MIT */
/* Section A: iommufd's dispatch, and address spaces without a device. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conformance/client.h"

/* IOAS_ALLOC with a struct that claims @size bytes, the last of them @tail. */
static long alloc_sized(int iommufd, uint32_t size, uint8_t tail)
{
	union {
		struct iommu_ioas_alloc cmd;
		uint8_t bytes[64];
	} u = {.cmd = {.size = size}};
	long ret;

	u.bytes[sizeof(u) - 1] = tail;
	ret = sys_ioctl(iommufd, IOMMU_IOAS_ALLOC, &u);
	if (ret >= 0)
		destroy(iommufd, u.cmd.out_ioas_id);
	return ret;
}

static void dispatch(int iommufd)
{
	struct iommu_ioas_alloc good = {.size = sizeof(good)};
	struct iommu_ioas_alloc flags = {.size = sizeof(flags), .flags = 1};

	step("A002", sys_ioctl(iommufd, _IO(';', 0xf0), &good));
	step("A003", sys_ioctl(iommufd, _IO('Z', 0x81), &good));
	step("A004", alloc_sized(iommufd, 4, 0));
	step("A005", alloc_sized(iommufd, 0, 0));
	step("A006", alloc_sized(iommufd, 64, 0));
	step("A007", alloc_sized(iommufd, 64, 1));
	step("A008", sys_ioctl(iommufd, IOMMU_IOAS_ALLOC, &flags));
	step("A009", sys_ioctl(iommufd, IOMMU_IOAS_ALLOC, (void *)8));
}

static void map_files(struct space s, int iommufd)
{
	struct space bad = {iommufd, 0x7fffffff};
	int memfd = memfd_create("steps", MFD_CLOEXEC);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int event = eventfd(0, EFD_CLOEXEC);
	uint64_t iova = 0, max = UINT64_MAX;

	check(memfd >= 0 && !ftruncate(memfd, 0x10000) && null >= 0 && event >= 0,
	      "files to map");
	step("A013", map_file_any(s, memfd, 0, 0x10000));
	step("A014", map_file_any(s, memfd, 0xf000, 0x2000));
	step("A015", map_file_any(s, null, 0, PAGE));
	step("A016", map_file_any(s, event, 0, PAGE));
	step("A017", map_file_any(s, iommufd, 0, PAGE));
	step("A018", map_file_any(s, -1, 0, PAGE));
	step("A019", map_file_any(s, 999, 0, PAGE));
	step("A020", map_file_any(s, 999, 0, 0));
	step("A021", map_file_any(bad, 999, 0, 0));
	step("A022", map_file(s, 0, 999, 0, PAGE, &iova));
	step("A023", map_file(bad, AT, memfd, 0, PAGE, &iova));
	step("A024", map_file(s, RW | 0x80, memfd, 0, PAGE, &iova));
	step("A025", map_file(s, RW | 0x80, memfd, 0, max, &iova));
	step("A026", map_file(s, 0, memfd, 0, max, &iova));
	step("A027", map_file(bad, RW, memfd, 0, max, &iova));
	step("A028", map_file(bad, 0, memfd, 0, PAGE, &iova));
	step("A029", map_file_any(s, memfd, max, PAGE));
	close(memfd);
	close(null);
	close(event);
}

static void unmaps(struct space s, int iommufd)
{
	struct space bad = {iommufd, 0x7fffffff};

	step_unmap("A030", bad, 0, PAGE);
	step_unmap("A031", s, (uint64_t)1 << 40, PAGE);
	step_unmap("A032", s, 0x10000, 0);
	step_unmap("A033", s, PAGE, UINT64_MAX);
	step_unmap("A034", s, UINT64_MAX - 0xfff, 2 * PAGE);
	step_unmap_all("A035", s);
	step_unmap_all("A036", s);
	step("A037", destroy(iommufd, s.ioas));
}

void section_a(void)
{
	int iommufd = step_fd("A001", sys_open("/dev/iommu", O_RDWR | O_CLOEXEC));
	struct space s = {.iommufd = iommufd};

	dispatch(iommufd);
	step("A010", ioas_alloc(iommufd, &s.ioas));
	step("A011", destroy(iommufd, 0x7fffffff));
	step("A012", destroy(iommufd, 0));
	map_files(s, iommufd);
	unmaps(s, iommufd);
	sys_close(iommufd);
}
