/* SPDX-License-Identifier: MIT */
/*
 * Page requests of a copy engine: who is asked, who answers, and who does not wait. Fault
 * queues are read, written and polled by the library's calls.
 */
#include "iommu_rig.h"

/* ---- page requests --------------------------------------------------------------------
 */

#define LATER ((uint64_t)0x40000000)

struct pages {
	struct rig r;
	int faults;
	uint32_t queue, hwpt;
};

static void pages_begin(struct pages *p)
{
	struct iommu_fault_alloc queue = {.size = sizeof(queue)};

	begin(&p->r, "vtd,page-requests=on,pasid=20", "copy-engine,pri=1");
	ok(call(&p->r, IOMMU_FAULT_QUEUE_ALLOC, &queue));
	p->faults = (int)queue.out_fault_fd;
	p->queue = queue.out_fault_id;
	p->hwpt =
		hwpt(&p->r, (struct iommu_hwpt_alloc){.pt_id = p->r.ioas,
						      .flags = IOMMU_HWPT_FAULT_ID_VALID |
							       IOMMU_HWPT_ALLOC_PASID,
						      .fault_id = p->queue});
}

static void next_fault(struct pages *p, struct iommu_hwpt_pgfault *f)
{
	struct pollfd poll = {.fd = p->faults, .events = POLLIN};

	assert_int_equal(uiommufd_poll(p->r.m, &poll, 1, -1), 1);
	assert_true(poll.revents & POLLIN);
	assert_int_equal(uiommufd_read(p->r.m, p->faults, f, sizeof(*f)), sizeof(*f));
}

static void answer(struct pages *p, const struct iommu_hwpt_pgfault *f, uint32_t code)
{
	struct iommu_hwpt_page_response r = {.cookie = f->cookie, .code = code};

	assert_int_equal(uiommufd_write(p->r.m, p->faults, &r, sizeof(r)), sizeof(r));
}

static const struct ce_desc to_later = {
	.opcode = CE_OP_COPY, .src = DATA_IOVA, .dst = LATER + 100, .length = 2 * 4096};

static void test_page_requests(void **state)
{
	struct iommu_hw_info info = {.size = sizeof(info)};
	struct iommu_hwpt_pgfault f;
	unsigned char *more = shared(4 * PAGE);
	struct pages p;
	struct rig *r = &p.r;

	pages_begin(&p);
	info.dev_id = r->devid;
	ok(call(r, IOMMU_GET_HW_INFO, &info));
	assert_int_equal(info.out_capabilities, 0);
	ok(attach(r, p.hwpt, NULL));
	start(r);
	for (unsigned i = 0; i < 2 * PAGE; i++)
		r->data[i] = (unsigned char)(i * 13);
	assert_int_equal(uiommufd_read(r->m, p.faults, &f, sizeof(f)), 0);

	/* Page after page, each mapped when it is asked for. */
	ok(submit(r, to_later));
	for (unsigned i = 0; i < 3; i++) {
		next_fault(&p, &f);
		assert_int_equal(f.addr, LATER + i * PAGE);
		assert_int_equal(f.perm, IOMMU_PGFAULT_PERM_WRITE);
		assert_int_equal(f.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
		assert_int_equal(f.dev_id, r->devid);
		ok(map(r, r->ioas, more + i * PAGE, PAGE, f.addr));
		answer(&p, &f, IOMMUFD_PAGE_RESP_SUCCESS);
	}
	ok(ce_wait(&r->ce));
	assert_memory_equal(more + 100, r->data, 2 * PAGE);

	/* A success that is none is asked about again; then the client gives up. */
	ok(submit(r, (struct ce_desc){.opcode = CE_OP_COPY,
				      .src = 64,
				      .dst = DATA_IOVA,
				      .length = 8}));
	next_fault(&p, &f);
	assert_int_equal(f.perm, IOMMU_PGFAULT_PERM_READ);
	answer(&p, &f, IOMMUFD_PAGE_RESP_SUCCESS);
	next_fault(&p, &f);
	answer(&p, &f, IOMMUFD_PAGE_RESP_INVALID);
	assert_int_equal(ce_wait(&r->ce), -EIO);
	assert_int_equal(fault_code(r), CE_CODE_UNMAPPED);
	ce_skip(&r->ce);

	/* By PASID. */
	ok(attach_pasid(r, 3, p.hwpt));
	ok(submit(r, (struct ce_desc){.opcode = CE_OP_FILL,
				      .flags = CE_FLAG_PASID,
				      .pasid = 3,
				      .dst = LATER + 3 * PAGE,
				      .length = 8}));
	next_fault(&p, &f);
	assert_int_equal(f.flags,
			 IOMMU_PGFAULT_FLAGS_LAST_PAGE | IOMMU_PGFAULT_FLAGS_PASID_VALID);
	assert_int_equal(f.pasid, 3);
	/* Leaving is an answer, too. */
	ok(detach_pasid(r, 3));
	assert_int_equal(ce_wait(&r->ce), -EIO);
	close(p.faults);
	end(r);
	munmap(more, 4 * PAGE);
}

/* Nobody answers: a reset does not wait, and what is answered late is nothing. */
static void test_reset_while_waiting(void **state)
{
	struct iommu_hwpt_page_response late = {.code = IOMMUFD_PAGE_RESP_SUCCESS};
	struct iommu_hwpt_pgfault f;
	struct pages p;
	struct rig *r = &p.r;
	uint16_t command = 6;

	pages_begin(&p);
	ok(attach(r, p.hwpt, NULL));
	for (unsigned i = 0; i < 4; i++) {
		start(r);
		ok(submit(r, to_later));
		next_fault(&p, &f);
		/* The numbers of those that nobody has answered are taken. */
		assert_int_equal(f.grpid, (i + 1) / 2);
		ok(device_call(r, VFIO_DEVICE_RESET, NULL));
		assert_int_equal(
			uiommufd_pwrite(r->m, r->device, &command, 2, r->config + 4), 2);
		late.cookie = f.cookie;
		if (i % 2)
			assert_int_equal(
				uiommufd_write(r->m, p.faults, &late, sizeof(late)),
				sizeof(late));
	}
	/* The device works again. */
	start(r);
	memset(r->data, 9, 8);
	ok(execute(r, (struct ce_desc){.opcode = CE_OP_COPY,
				       .src = DATA_IOVA,
				       .dst = DATA_IOVA + 8,
				       .length = 8}));
	assert_int_equal(r->data[8], 9);
	/* Closed with a request that is not answered. */
	ok(submit(r, to_later));
	next_fault(&p, &f);
	close(p.faults);
	end(r);
}

/* Without a queue, or without PRI, a fault is a fault. */
static void test_nobody_to_ask(void **state)
{
	struct pages p;
	struct rig r;
	uint32_t id;

	pages_begin(&p);
	ok(attach(&p.r, p.r.ioas, NULL));
	start(&p.r);
	assert_int_equal(execute(&p.r, to_later), -EIO);
	close(p.faults);
	end(&p.r);

	begin(&r, "vtd,page-requests=on", "copy-engine");
	p = (struct pages){.r = r};
	{
		struct iommu_fault_alloc queue = {.size = sizeof(queue)};

		ok(call(&r, IOMMU_FAULT_QUEUE_ALLOC, &queue));
		id = hwpt(&r,
			  (struct iommu_hwpt_alloc){.pt_id = r.ioas,
						    .flags = IOMMU_HWPT_FAULT_ID_VALID,
						    .fault_id = queue.out_fault_id});
		fails(attach(&r, id, NULL), ENODEV);
		close((int)queue.out_fault_fd);
	}
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_requests),
		cmocka_unit_test(test_reset_while_waiting),
		cmocka_unit_test(test_nobody_to_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
