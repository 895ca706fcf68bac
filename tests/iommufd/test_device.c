/* SPDX-License-Identifier: MIT */
/*
 * Devices: binding, who uses whom, automatic and user's hwpts, groups, replacing, and
 * what GET_HW_INFO tells. Section B of the run on Linux 7.3 as far as it needs no VFIO.
 */
#include "fixture.h"

#include <sys/mman.h>
#include <unistd.h>

#define IOVA ((uint64_t)0x10000000)

/* An IOAS with one page at IOVA. */
static uint32_t filled_ioas(struct fixture *fx)
{
	uint32_t ioas = ioas_alloc(fx);
	int mem = memfd(PAGE);

	assert_ok(map_file(fx,
			   (struct map){.ioas = ioas,
					.flags = RW | FIXED,
					.fd = mem,
					.length = PAGE,
					.iova = IOVA},
			   NULL));
	close(mem);
	return ioas;
}

static void begin(struct fixture *fx, struct fake_device *d, const void *group)
{
	device_init(d, group);
	assert_ok(device_bind(fx, d));
}

static void end(struct fake_device *d)
{
	device_unbind(d);
	dma_requester_finish(&d->requester);
}

/* Linux leaves groups to the kernel that have memory mapped one to one by firmware. */
static void none_that_need_direct_memory(void **state)
{
	struct fixture *fx = *state;
	struct fake_device a, b;
	bool needs = false;
	int group = 0;

	device_init(&a, &group);
	device_init(&b, &group);
	a.info.needs_direct = &needs;
	b.info.needs_direct = &needs;
	assert_ok(device_bind(fx, &a));
	device_unbind(&a);
	needs = true;
	assert_err(device_bind(fx, &a), EINVAL);
	assert_err(device_bind(fx, &b), EINVAL);
	/* Nothing of it is left. */
	needs = false;
	assert_ok(device_bind(fx, &b));
	assert_ok(device_attach(&b, filled_ioas(fx), NULL));
	assert_true(can_read(&b, IOVA));
	end(&b);
	end(&a);
}

/* B020 to B033 */
static void attach_by_id(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	uint32_t ioas = filled_ioas(fx), hwpt, again;

	begin(fx, &d, NULL);
	assert_err(device_attach(&d, 77, NULL), ENOENT);   /* B020 */
	assert_err(device_attach(&d, d.id, NULL), EINVAL); /* B021 */
	iommufd_device_detach(d.dev);                      /* B024 */
	assert_false(can_read(&d, IOVA));
	assert_ok(device_attach(&d, ioas, &hwpt)); /* B026 */
	assert_int_equal(ioas, 1);
	assert_int_equal(d.id, 2);
	assert_int_equal(hwpt, 3);
	assert_true(can_read(&d, IOVA));
	assert_ok(device_attach(&d, ioas, &again)); /* B027 */
	assert_int_equal(again, hwpt);
	assert_err(destroy(fx, ioas), EBUSY); /* B028 */
	assert_err(destroy(fx, hwpt), EBUSY); /* B029 */
	assert_err(destroy(fx, d.id), EBUSY); /* B030 */
	iommufd_device_detach(d.dev);         /* B033 */
	assert_false(can_read(&d, IOVA));
	assert_err(destroy(fx, hwpt), ENOENT); /* it went with its last device */
	assert_ok(destroy(fx, ioas));
	end(&d);
	assert_err(destroy(fx, 2), ENOENT);
}

/* B031, B032: closing the iommufd of a bound device leaves everything in place. */
static void close_while_bound(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	uint32_t ioas = filled_ioas(fx);

	begin(fx, &d, NULL);
	assert_ok(device_attach(&d, ioas, NULL));
	vfile_put(fx->iommu);
	fx->iommu = NULL;
	assert_true(can_read(&d, IOVA));
	assert_ok(device_attach(&d, ioas, NULL));
	end(&d);
}

static void attach_narrows_the_ranges(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	struct iommu_iova_range v[4], allowed = {MSI, MSI + PAGE - 1};
	uint32_t ioas = ioas_alloc(fx), n;
	uint64_t alignment;

	begin(fx, &d, NULL);
	assert_ok(allow_iovas(fx, ioas, &allowed, 1));
	assert_err(device_attach(&d, ioas, NULL), EADDRINUSE);
	assert_ok(iova_ranges(fx, ioas, v, 4, &n, &alignment));
	assert_int_equal(n, 1);
	assert_int_equal(alignment, 1);
	assert_ok(allow_iovas(fx, ioas, NULL, 0));
	assert_ok(device_attach(&d, ioas, NULL));
	assert_ok(iova_ranges(fx, ioas, v, 4, &n, &alignment));
	assert_int_equal(n, 2);
	assert_int_equal(alignment, PAGE);
	assert_int_equal(v[0].start, 0);
	assert_int_equal(v[0].last, MSI - 1);
	assert_int_equal(v[1].start, MSI + 0x100000);
	assert_int_equal(v[1].last, ((uint64_t)1 << 48) - 1);
	assert_err(iova_ranges(fx, ioas, v, 1, &n, NULL), EMSGSIZE);
	assert_int_equal(n, 2);
	assert_err(allow_iovas(fx, ioas, &allowed, 1), EADDRINUSE);
	iommufd_device_detach(d.dev);
	assert_ok(iova_ranges(fx, ioas, v, 4, &n, &alignment));
	assert_int_equal(n, 1);
	assert_int_equal(alignment, 1);
	end(&d);
}

/* More ranges than the handler's first look has room for. */
static void many_ranges(void **state)
{
	struct fixture *fx = *state;
	enum { N = 100 };
	struct iommufd_resv resv[N];
	struct iommu_iova_range v[N + 1];
	struct fake_device d;
	uint32_t ioas = ioas_alloc(fx), n;

	for (size_t i = 0; i < N; i++)
		resv[i] =
			(struct iommufd_resv){(2 * i + 1) * PAGE, (2 * i + 2) * PAGE - 1};
	device_init(&d, NULL);
	d.info.resv = resv;
	d.info.nr_resv = N;
	assert_ok(device_bind(fx, &d));
	assert_ok(device_attach(&d, ioas, NULL));
	assert_ok(iova_ranges(fx, ioas, v, N + 1, &n, NULL));
	assert_int_equal(n, N + 1);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(v[i].start, 2 * i * PAGE);
	v[50].start = 1;
	assert_err(iova_ranges(fx, ioas, v, 50, &n, NULL), EMSGSIZE);
	assert_int_equal(n, N + 1);
	assert_int_equal(v[50].start, 1);
	assert_err(iova_ranges(fx, ioas, NULL, 0, &n, NULL), EMSGSIZE);
	end(&d);
}

static void two_devices_share_an_automatic_hwpt(void **state)
{
	struct fixture *fx = *state;
	struct fake_device a, b;
	uint32_t ioas = filled_ioas(fx), other = ioas_alloc(fx), ha, hb;

	begin(fx, &a, NULL);
	begin(fx, &b, NULL);
	assert_ok(device_attach(&a, ioas, &ha));
	assert_ok(device_attach(&b, ioas, &hb));
	assert_int_equal(ha, hb);
	iommufd_device_detach(a.dev);
	assert_false(can_read(&a, IOVA));
	assert_true(can_read(&b, IOVA));
	assert_err(destroy(fx, ha), EBUSY);
	assert_ok(device_attach(&b, other, &hb)); /* replaced; the old one goes */
	assert_int_not_equal(ha, hb);
	assert_err(destroy(fx, ha), ENOENT);
	assert_false(can_read(&b, IOVA));
	assert_ok(destroy(fx, ioas));
	end(&a);
	end(&b);
	assert_ok(destroy(fx, other));
}

static void hwpts_of_the_user(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	uint32_t ioas = filled_ioas(fx), hwpt, pt;

	begin(fx, &d, NULL);
	assert_ok(hwpt_alloc(fx, 0, d.id, ioas, &hwpt));
	assert_err(destroy(fx, ioas), EBUSY);
	assert_ok(device_attach(&d, hwpt, &pt));
	assert_int_equal(pt, hwpt);
	assert_true(can_read(&d, IOVA));
	assert_ok(device_attach(&d, hwpt, &pt)); /* again */
	assert_err(destroy(fx, hwpt), EBUSY);
	/* An attach to the IOAS never picks it. */
	assert_ok(device_attach(&d, ioas, &pt));
	assert_int_not_equal(pt, hwpt);
	assert_true(can_read(&d, IOVA));
	assert_ok(device_attach(&d, hwpt, NULL));
	iommufd_device_detach(d.dev);
	assert_ok(destroy(fx, hwpt)); /* it stayed until now */
	assert_ok(destroy(fx, ioas));
	end(&d);
}

static void hwpt_alloc_arguments(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	uint32_t ioas = ioas_alloc(fx), hwpt, other;
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd), .__reserved = 1};

	begin(fx, &d, NULL);
	assert_err(call(fx, IOMMU_HWPT_ALLOC, &cmd), EOPNOTSUPP);
	cmd = (struct iommu_hwpt_alloc){.size = sizeof(cmd), .data_len = 8};
	assert_err(call(fx, IOMMU_HWPT_ALLOC, &cmd), EINVAL);
	cmd = (struct iommu_hwpt_alloc){.size = sizeof(cmd),
					.data_type = IOMMU_HWPT_DATA_VTD_S1};
	assert_err(call(fx, IOMMU_HWPT_ALLOC, &cmd), EINVAL);
	cmd.data_len = sizeof(struct iommu_hwpt_vtd_s1);
	cmd.dev_id = d.id;
	cmd.pt_id = ioas;
	assert_err(call(fx, IOMMU_HWPT_ALLOC, &cmd), EOPNOTSUPP);
	assert_err(hwpt_alloc(fx, 0, 77, ioas, NULL), ENOENT);
	assert_err(hwpt_alloc(fx, 0, ioas, ioas, NULL), ENOENT);
	assert_err(hwpt_alloc(fx, 0, d.id, 77, NULL), EINVAL);
	assert_err(hwpt_alloc(fx, 0, d.id, d.id, NULL), EINVAL);
	assert_err(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_NEST_PARENT, d.id, ioas, NULL),
		   EOPNOTSUPP);
	assert_err(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, d.id, ioas, NULL),
		   EOPNOTSUPP);
	assert_err(hwpt_alloc(fx, 0x80, d.id, ioas, NULL), EOPNOTSUPP);
	assert_err(hwpt_alloc(fx, IOMMU_HWPT_FAULT_ID_VALID, d.id, ioas, NULL), ENOENT);
	assert_ok(hwpt_alloc(fx, IOMMU_HWPT_ALLOC_PASID, d.id, ioas, &hwpt));
	/* None of the failures left an id or a use behind. */
	assert_int_equal(hwpt, d.id + 1);
	/* On a hwpt: nesting. */
	assert_err(hwpt_alloc(fx, 0, d.id, hwpt, NULL), EOPNOTSUPP);
	cmd.pt_id = hwpt;
	assert_err(call(fx, IOMMU_HWPT_ALLOC, &cmd), EINVAL);
	cmd.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	assert_err(call(fx, IOMMU_HWPT_ALLOC, &cmd), EOPNOTSUPP);
	assert_ok(hwpt_alloc(fx, 0, d.id, ioas, &other));
	assert_ok(destroy(fx, other));
	assert_ok(destroy(fx, hwpt));
	assert_ok(destroy(fx, ioas));
	end(&d);
}

static void hwpt_alloc_looks_at_the_areas(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	uint32_t ioas = ioas_alloc(fx), hwpt;
	int mem = memfd(PAGE);
	uint64_t alignment;
	uint32_t n;

	begin(fx, &d, NULL);
	assert_ok(map_file(fx,
			   (struct map){.ioas = ioas,
					.flags = RW | FIXED,
					.fd = mem,
					.length = PAGE,
					.iova = (uint64_t)1 << 60},
			   NULL));
	assert_err(hwpt_alloc(fx, 0, d.id, ioas, NULL), EADDRINUSE);
	assert_ok(unmap_all(fx, ioas, NULL));
	/* A memfd's end is noticed now. */
	assert_ok(map_file(fx, (struct map){.ioas = ioas, .fd = mem, .length = 2 * PAGE},
			   NULL));
	assert_err(hwpt_alloc(fx, 0, d.id, ioas, NULL), EINVAL);
	assert_ok(unmap_all(fx, ioas, NULL));
	assert_ok(hwpt_alloc(fx, 0, d.id, ioas, &hwpt));
	iova_ranges(fx, ioas, NULL, 0, &n, &alignment);
	assert_int_equal(alignment, PAGE);
	close(mem);
	end(&d);
	/* The hwpt outlives the device it was made for. */
	assert_err(destroy(fx, ioas), EBUSY);
	assert_ok(destroy(fx, hwpt));
}

/* ---- groups --------------------------------------------------------------------- */

static void group_shares_one_attachment(void **state)
{
	struct fixture *fx = *state;
	struct fake_device a, b;
	uint32_t ioas = filled_ioas(fx), other = ioas_alloc(fx), ha, hb;
	static const char key;

	begin(fx, &a, &key);
	begin(fx, &b, &key);
	assert_ok(device_attach(&a, ioas, &ha));
	/* The IOMMU cannot tell them apart. */
	assert_true(can_read(&b, IOVA));
	assert_err(device_attach(&b, other, NULL), EINVAL);
	assert_ok(device_attach(&b, ioas, &hb));
	assert_int_equal(ha, hb);
	/* Either moves both. */
	assert_ok(device_attach(&b, other, &hb));
	assert_false(can_read(&a, IOVA));
	assert_err(destroy(fx, ha), ENOENT);
	assert_ok(destroy(fx, ioas));
	iommufd_device_detach(b.dev);
	assert_err(destroy(fx, hb), EBUSY);
	ioas = filled_ioas(fx);
	assert_err(device_attach(&b, ioas, NULL), EINVAL);
	assert_ok(device_attach(&a, ioas, NULL)); /* the only one that is attached */
	assert_true(can_read(&b, IOVA));
	iommufd_device_detach(a.dev);
	assert_false(can_read(&a, IOVA));
	assert_false(can_read(&b, IOVA));
	assert_ok(destroy(fx, ioas));
	assert_ok(destroy(fx, other));
	end(&a);
	end(&b);
}

static void member_that_joins_late(void **state)
{
	struct fixture *fx = *state;
	struct fake_device a, b;
	uint32_t ioas = filled_ioas(fx);
	static const char key;

	begin(fx, &a, &key);
	assert_ok(device_attach(&a, ioas, NULL));
	device_init(&b, &key);
	assert_false(can_read(&b, IOVA));
	assert_ok(device_bind(fx, &b));
	assert_true(can_read(&b, IOVA));
	device_unbind(&b);
	assert_false(can_read(&b, IOVA));
	assert_true(can_read(&a, IOVA));
	end(&b);
	end(&a);
}

/* Each member's reserved ranges hold while it is attached. */
static void reserved_ranges_of_members(void **state)
{
	struct fixture *fx = *state;
	struct fake_device a, b;
	struct iommufd_resv resv = {IOVA, IOVA + PAGE - 1};
	uint32_t ioas = ioas_alloc(fx), filled = filled_ioas(fx), n;
	struct iommu_iova_range v[4];
	static const char key;

	begin(fx, &a, &key);
	device_init(&b, &key);
	b.info.resv = &resv;
	assert_ok(device_bind(fx, &b));
	assert_ok(device_attach(&a, ioas, NULL));
	assert_ok(device_attach(&b, ioas, NULL));
	iova_ranges(fx, ioas, v, 4, &n, NULL);
	assert_int_equal(n, 3);
	/* Replacing fails because of b and leaves nothing behind. */
	assert_err(device_attach(&a, filled, NULL), EADDRINUSE);
	iova_ranges(fx, filled, v, 4, &n, NULL);
	assert_int_equal(n, 1);
	iova_ranges(fx, ioas, v, 4, &n, NULL);
	assert_int_equal(n, 3);
	assert_ok(destroy(fx, filled));
	iommufd_device_detach(b.dev);
	iova_ranges(fx, ioas, v, 4, &n, NULL);
	assert_int_equal(n, 2);
	filled = filled_ioas(fx);
	assert_ok(device_attach(&a, filled, NULL));
	iova_ranges(fx, ioas, v, 4, &n, NULL);
	assert_int_equal(n, 1);
	assert_err(device_attach(&b, filled, NULL), EADDRINUSE);
	end(&a);
	end(&b);
	iova_ranges(fx, filled, v, 4, &n, NULL);
	assert_int_equal(n, 1);
}

static void replace_that_fails(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	uint32_t good = filled_ioas(fx), bad = ioas_alloc(fx), hwpt, after, n;
	struct iommu_iova_range v[4];
	int mem = memfd(PAGE);

	assert_ok(map_file(fx,
			   (struct map){.ioas = bad,
					.flags = RW | FIXED,
					.fd = mem,
					.length = PAGE,
					.iova = MSI},
			   NULL));
	begin(fx, &d, NULL);
	assert_ok(device_attach(&d, good, &hwpt));
	assert_err(device_attach(&d, bad, NULL), EADDRINUSE);
	assert_true(can_read(&d, IOVA));
	assert_ok(device_attach(&d, good, &after));
	assert_int_equal(after, hwpt);
	iova_ranges(fx, bad, v, 4, &n, NULL);
	assert_int_equal(n, 1);
	assert_ok(destroy(fx, bad));
	close(mem);
	end(&d);
}

static void group_of_another_context(void **state)
{
	struct fixture *fx = *state;
	static _Atomic(const void *) owner;
	struct fake_device a, b;
	struct vfile *second, *first = fx->iommu;

	assert_ok(iommufd_open(&fx->machine, &second));
	device_init(&a, &owner);
	device_init(&b, &owner);
	a.info.group_owner = &owner;
	b.info.group_owner = &owner;
	assert_ok(device_bind(fx, &a));
	assert_int_equal(a.id, 1);
	fx->iommu = second;
	assert_err(device_bind(fx, &b), EPERM);
	b.dev = NULL;
	fx->iommu = first;
	assert_ok(device_bind(fx, &b));
	assert_int_equal(b.id, 2);
	device_unbind(&b);
	device_unbind(&a);
	fx->iommu = second;
	assert_ok(device_bind(fx, &b));
	assert_int_equal(b.id, 1); /* the failed one left no id behind */
	device_unbind(&b);
	fx->iommu = first;
	vfile_put(second);
	assert_null(owner);
	end(&a);
	end(&b);
}

static void requester_that_is_bound(void **state)
{
	struct fixture *fx = *state;
	struct fake_device a;
	struct iommufd_device *again;
	uint32_t id;

	begin(fx, &a, NULL);
	assert_err(iommufd_device_bind(iommufd_ctx_of(fx->iommu), &a.info, &again, &id),
		   EBUSY);
	end(&a);
}

static void other_files_are_no_contexts(void **state)
{
	struct fixture *fx = *state;
	struct fake_buf b;

	buf_create(fx, &b, PAGE, 1);
	assert_null(iommufd_ctx_of(b.file));
	assert_non_null(iommufd_ctx_of(fx->iommu));
	buf_destroy(&b);
}

/* ---- GET_HW_INFO, dirty tracking, vIOMMUs ---------------------------------------- */

static long hw_info(struct fixture *fx, struct iommu_hw_info *cmd)
{
	cmd->size = sizeof(*cmd);
	return call(fx, IOMMU_GET_HW_INFO, cmd);
}

static void hw_info_of_vtd(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	struct {
		struct iommu_hw_info_vtd vtd;
		unsigned char tail[5000];
	} buf;
	struct iommu_hw_info cmd = {.data_len = sizeof(buf),
				    .data_uptr = (uintptr_t)&buf};

	begin(fx, &d, NULL);
	memset(&buf, 0xff, sizeof(buf));
	cmd.dev_id = d.id;
	assert_ok(hw_info(fx, &cmd));
	assert_int_equal(cmd.data_len, sizeof(struct iommu_hw_info_vtd));
	assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_INTEL_VTD);
	assert_int_equal(cmd.out_capabilities, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	assert_int_equal(cmd.out_max_pasid_log2, 0);
	assert_int_equal(buf.vtd.__reserved, 0);
	assert_int_equal(buf.vtd.cap_reg >> 8 & 0x1f, 4); /* SAGAW: 48 bits only */
	assert_int_equal((buf.vtd.cap_reg >> 16 & 0x3f) + 1, 48); /* MGAW */
	assert_int_equal(buf.vtd.cap_reg >> 34 & 0xf, 3);         /* 2 MiB and 1 GiB */
	assert_int_equal(buf.vtd.ecap_reg >> 43 & 1, 0);          /* no scalable mode */
	for (size_t i = 0; i < sizeof(buf.tail); i++)
		assert_int_equal(buf.tail[i], 0);
	end(&d);
}

static void hw_info_lengths(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	struct iommu_hw_info_vtd vtd = {.cap_reg = 7};
	struct iommu_hw_info cmd = {.data_len = 8, .data_uptr = (uintptr_t)&vtd};
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	begin(fx, &d, NULL);
	cmd.dev_id = d.id;
	assert_ok(hw_info(fx, &cmd)); /* cut */
	assert_int_equal(cmd.data_len, sizeof(vtd));
	assert_int_equal(vtd.cap_reg, 7);
	cmd = (struct iommu_hw_info){.dev_id = d.id};
	assert_ok(hw_info(fx, &cmd)); /* no buffer: how long is it? */
	assert_int_equal(cmd.data_len, sizeof(vtd));
	cmd = (struct iommu_hw_info){.dev_id = d.id, .data_len = 8, .data_uptr = 8};
	assert_err(hw_info(fx, &cmd), EFAULT);
	/* The data fits, the zeros after it do not. */
	munmap(page + PAGE, PAGE);
	cmd.data_uptr = (uintptr_t)page;
	cmd.data_len = 2 * PAGE;
	assert_err(hw_info(fx, &cmd), EFAULT);
	munmap(page, PAGE);
	end(&d);
}

static void hw_info_arguments(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	struct iommu_hw_info cmd = {.dev_id = 77};

	begin(fx, &d, NULL);
	assert_err(hw_info(fx, &cmd), ENOENT);
	cmd = (struct iommu_hw_info){.dev_id = 77, .flags = 2};
	assert_err(hw_info(fx, &cmd), EOPNOTSUPP);
	cmd = (struct iommu_hw_info){.dev_id = d.id, .__reserved = {0, 0, 1}};
	assert_err(hw_info(fx, &cmd), EOPNOTSUPP);
	cmd = (struct iommu_hw_info){.dev_id = d.id, .in_data_type = 4};
	assert_ok(hw_info(fx, &cmd)); /* without the flag it is not looked at */
	assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_INTEL_VTD);
	cmd = (struct iommu_hw_info){.dev_id = d.id,
				     .flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
				     .in_data_type = 4};
	assert_err(hw_info(fx, &cmd), EOPNOTSUPP);
	cmd.in_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	assert_ok(hw_info(fx, &cmd));
	cmd.in_data_type = IOMMU_HW_INFO_TYPE_DEFAULT;
	cmd.data_len = 0;
	assert_ok(hw_info(fx, &cmd));
	assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_INTEL_VTD);
	end(&d);
	/* A device that has none. */
	device_init(&d, NULL);
	d.info.hw_info_type = IOMMU_HW_INFO_TYPE_NONE;
	d.info.hw_info = NULL;
	d.info.hw_info_bytes = 0;
	assert_ok(device_bind(fx, &d));
	cmd.dev_id = d.id;
	cmd.in_data_type = 4;
	cmd.data_len = 0;
	assert_ok(hw_info(fx, &cmd));
	assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_NONE);
	assert_int_equal(cmd.data_len, 0);
	end(&d);
}

static void no_dirty_tracking(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	uint32_t ioas = ioas_alloc(fx), hwpt;
	struct iommu_hwpt_set_dirty_tracking set = {.size = sizeof(set), .flags = 1};
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get), .length = PAGE, .page_size = PAGE};

	begin(fx, &d, NULL);
	assert_ok(device_attach(&d, ioas, &hwpt));
	set.hwpt_id = ioas;
	assert_err(call(fx, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), ENOENT);
	set.hwpt_id = hwpt;
	assert_err(call(fx, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), EOPNOTSUPP);
	set.flags = 2;
	assert_err(call(fx, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), EOPNOTSUPP);
	assert_err(call(fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), ENOENT);
	get.hwpt_id = hwpt;
	assert_err(call(fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), EOPNOTSUPP);
	get.iova = 8; /* unaligned to the IOAS */
	assert_err(call(fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), EINVAL);
	get.iova = 0;
	get.page_size = 0;
	assert_err(call(fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), EINVAL);
	get.page_size = 2 * PAGE;
	assert_err(call(fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), EINVAL);
	get.length = 0;
	assert_err(call(fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), EINVAL);
	get.iova = UINT64_MAX;
	get.length = 2;
	assert_err(call(fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), EOVERFLOW);
	get.flags = 2;
	assert_err(call(fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), EOPNOTSUPP);
	end(&d);
}

static void no_viommus(void **state)
{
	struct fixture *fx = *state;
	struct fake_device d;
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd), .type = 1};

	begin(fx, &d, NULL);
	cmd.dev_id = d.id;
	assert_err(call(fx, IOMMU_VIOMMU_ALLOC, &cmd), EOPNOTSUPP);
	end(&d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(none_that_need_direct_memory),
		TEST(attach_by_id),
		TEST(close_while_bound),
		TEST(attach_narrows_the_ranges),
		TEST(many_ranges),
		TEST(two_devices_share_an_automatic_hwpt),
		TEST(hwpts_of_the_user),
		TEST(hwpt_alloc_arguments),
		TEST(hwpt_alloc_looks_at_the_areas),
		TEST(group_shares_one_attachment),
		TEST(member_that_joins_late),
		TEST(reserved_ranges_of_members),
		TEST(replace_that_fails),
		TEST(group_of_another_context),
		TEST(requester_that_is_bound),
		TEST(other_files_are_no_contexts),
		TEST(hw_info_of_vtd),
		TEST(hw_info_lengths),
		TEST(hw_info_arguments),
		TEST(no_dirty_tracking),
		TEST(no_viommus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
