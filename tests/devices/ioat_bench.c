/* SPDX-License-Identifier: MIT */
#include "ioat_bench.h"

int bench_setup(void **state)
{
	const struct uiommufd_option option = {"channels", "2"};
	struct bench *b = calloc(1, sizeof(*b));

	if (fake_device_create(&ioat_model, &option, 1, false, &b->dev))
		return -1;
	b->ram = fake_map_new(b->dev, RAM_IOVA, RAM_BYTES, FAKE_RW);
	b->peer = fake_map_new(b->dev, PEER_IOVA, PEER_BYTES, FAKE_RW);
	b->ro = fake_map_new(b->dev, RO_IOVA, 4096, FAKE_READ);
	b->done = fake_map_new(b->dev, DONE_IOVA & ~UINT64_C(4095), 4096, FAKE_RW);
	b->ring =
		fake_map_new(b->dev, RING_IOVA, RING_SIZE * sizeof(*b->ring), FAKE_READ);
	fake_write(b->dev, 0, R_INTRCTRL, 1, 9);
	bench_start(b);
	*state = b;
	return 0;
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	fake_device_destroy(b->dev);
	free(b);
	return 0;
}

uint64_t reg(struct bench *b, unsigned offset, unsigned size)
{
	return fake_read(b->dev, 0, offset + b->channel * 0x80, size);
}

void set_reg(struct bench *b, unsigned offset, unsigned size, uint64_t value)
{
	fake_write(b->dev, 0, offset + b->channel * 0x80, size, value);
}

uint64_t desc_iova(unsigned n)
{
	return RING_IOVA + n % RING_SIZE * sizeof(struct ring_desc);
}

void bench_start(struct bench *b)
{
	set_reg(b, R_CHANERR, 4, reg(b, R_CHANERR, 4));
	set_reg(b, R_CHANCMD, 1, 0x20);
	while (reg(b, R_CHANCMD, 1) & 0x20)
		sched_yield();
	set_reg(b, R_CHANCTRL, 2, 0x1d);
	set_reg(b, R_CHANCMP, 4, (uint32_t)DONE_IOVA);
	set_reg(b, R_CHANCMP + 4, 4, DONE_IOVA >> 32);
	set_reg(b, R_CHAINADDR, 4, (uint32_t)RING_IOVA);
	set_reg(b, R_CHAINADDR + 4, 4, RING_IOVA >> 32);
	b->head = 0;
}

void bench_add(struct bench *b, uint32_t control, uint64_t dst, uint64_t src,
	       uint32_t size)
{
	b->ring[b->head % RING_SIZE] = (struct ring_desc){
		.size = size,
		.control = control,
		.src = src,
		.dst = dst,
		.next = desc_iova(b->head + 1u),
	};
	b->head++;
}

void bench_ring(struct bench *b)
{
	set_reg(b, R_DMACOUNT, 2, b->head);
}

unsigned bench_wait(struct bench *b)
{
	unsigned state;

	while ((state = reg(b, R_CHANSTS, 1) & 7) == ACTIVE)
		sched_yield();
	return state;
}

unsigned bench_execute(struct bench *b, uint32_t control, uint64_t dst, uint64_t src,
		       uint32_t size)
{
	bench_add(b, control, dst, src, size);
	bench_ring(b);
	return bench_wait(b);
}

void bench_wait_irqs(struct bench *b, unsigned vector, unsigned n)
{
	while (atomic_load(&b->dev->irqs[vector]) < n)
		sched_yield();
	assert_int_equal(atomic_load(&b->dev->irqs[vector]), n);
}

void bench_run_long(struct bench *b)
{
	unsigned long before = atomic_load(&b->dev->accesses);

	bench_start(b);
	bench_add(b, 0, PEER_IOVA, RAM_IOVA, MIB);
	b->ring[0].next = RING_IOVA;
	set_reg(b, R_DMACOUNT, 2, 65535);
	while (atomic_load(&b->dev->accesses) < before + 4)
		sched_yield();
}
