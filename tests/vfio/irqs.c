/* SPDX-License-Identifier: MIT */
#include "tests/vfio/irqs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void start(struct irqs *f)
{
	rig_create(&f->rig, &f->model, 1);
	f->iommu = rig_open_iommu(&f->rig);
	f->fd = rig_open(&f->rig, 0);
	assert_int_equal(rig_bind(&f->rig, f->fd, f->iommu, NULL), 0);
}

static void stop(struct irqs *f)
{
	rig_close(&f->rig, f->fd);
	rig_close(&f->rig, f->iommu);
	rig_destroy(&f->rig);
}

int irqs_setup(void **state)
{
	struct irqs *f = calloc(1, sizeof(*f));

	rig_model_default(&f->model, 0);
	start(f);
	for (unsigned i = 0; i < VECTORS; i++)
		f->ev[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	*state = f;
	return 0;
}

void irqs_restart(struct irqs *f)
{
	stop(f);
	start(f);
}

int irqs_teardown(void **state)
{
	struct irqs *f = *state;

	stop(f);
	for (unsigned i = 0; i < VECTORS; i++)
		close(f->ev[i]);
	free(f);
	return 0;
}

long irqs_set(struct irqs *f, uint32_t index, uint32_t flags, uint32_t start,
	      uint32_t count, const void *data, size_t n)
{
	struct irq_call r = {.h = {.argsz = (uint32_t)(20 + n),
				   .flags = flags,
				   .index = index,
				   .start = start,
				   .count = count}};

	if (n)
		memcpy(r.h.data, data, n);
	return rig_ioctl(&f->rig, f->fd, VFIO_DEVICE_SET_IRQS, &r);
}

unsigned irqs_take(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? (unsigned)n : 0;
}
