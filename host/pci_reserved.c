/* SPDX-License-Identifier: MIT */
/*
 * /sys/kernel/iommu_groups/N/reserved_regions: what a group's functions cannot use as
 * they like, of their IOMMU and of their own (vfio/direct.c), in order of address, and
 * what is of one type and touches in one line, as Linux 7.3 has it.
 *
 * The text is made anew for each function that comes into the group.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/port.h"
#include "host/pci_bus.h"
#include "host/view.h"
#include "iommufd/unit.h"
#include "machine/machine.h"

struct regions {
	struct iommufd_resv *v;
	size_t n, cap;
};

static const char *type_name(enum iommufd_resv_type type)
{
	switch (type) {
	case IOMMUFD_RESV_DIRECT:
		return "direct";
	case IOMMUFD_RESV_DIRECT_RELAXABLE:
		return "direct-relaxable";
	case IOMMUFD_RESV_RESERVED:
		return "reserved";
	case IOMMUFD_RESV_MSI:
	case IOMMUFD_RESV_SW_MSI:
		break;
	}
	return "msi";
}

/* Which of two types comes first, at one address. */
static unsigned rank(enum iommufd_resv_type type)
{
	static const unsigned ranks[] = {
		[IOMMUFD_RESV_DIRECT] = 0,   [IOMMUFD_RESV_DIRECT_RELAXABLE] = 1,
		[IOMMUFD_RESV_RESERVED] = 2, [IOMMUFD_RESV_MSI] = 3,
		[IOMMUFD_RESV_SW_MSI] = 4,
	};

	return ranks[type];
}

static int add(struct regions *r, const struct iommufd_resv *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (r->n == r->cap) {
			size_t cap = r->cap ? 2 * r->cap : 16;
			struct iommufd_resv *bigger =
				realloc(r->v, cap * sizeof(*bigger));

			if (!bigger)
				return -ENOMEM;
			r->v = bigger;
			r->cap = cap;
		}
		r->v[r->n++] = v[i];
	}
	return 0;
}

static int add_function(struct regions *r, const struct pci_function *f)
{
	const struct machine *m = f->bus->machine;
	const struct iommufd_unit *unit = f->unit       ? f->unit
					  : m->nr_units ? &m->units[0]
							: &iommufd_plain_unit;
	const struct pci_placement *place = f->dev ? pci_device_placement(f->dev) : NULL;
	int err = add(r, unit->resv, unit->nr_resv);

	return err || !place ? err : add(r, place->direct, place->nr_direct);
}

static int in_order(const void *x, const void *y)
{
	const struct iommufd_resv *a = x, *b = y;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return (int)rank(a->type) - (int)rank(b->type);
}

/* Into the last one before it of its type, if they touch. */
static bool merge(struct regions *r, size_t n, const struct iommufd_resv *v)
{
	while (n-- > 0) {
		struct iommufd_resv *top = &r->v[n];

		if (top->type != v->type)
			continue;
		if (v->start > top->last && v->start - top->last > 1)
			return false;
		if (v->last > top->last)
			top->last = v->last;
		return true;
	}
	return false;
}

static void sort_and_merge(struct regions *r)
{
	size_t n = 0;

	qsort(r->v, r->n, sizeof(*r->v), in_order);
	for (size_t i = 0; i < r->n; i++)
		if (!merge(r, n, &r->v[i]))
			r->v[n++] = r->v[i];
	r->n = n;
}

static int show(struct view *v, const char *path, const struct regions *r)
{
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);
	int err;

	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < r->n; i++)
		fprintf(f, "0x%016" PRIx64 " 0x%016" PRIx64 " %s\n", r->v[i].start,
			r->v[i].last, type_name(r->v[i].type));
	err = fclose(f) ? -ENOMEM : 0;
	view_remove(v, path);
	if (!err)
		err = view_add_text(v, path, "%s", text);
	free(text);
	return err;
}

int pci_reserved_show(struct pci_function *f, const char *path)
{
	struct regions r = {0};
	int err = add_function(&r, f);

	pthread_mutex_lock(&f->bus->lock);
	for (const struct pci_function *g = f->bus->functions; !err && g; g = g->next)
		if (g != f && g->group == f->group)
			err = add_function(&r, g);
	pthread_mutex_unlock(&f->bus->lock);
	if (!err) {
		sort_and_merge(&r);
		err = show(f->bus->view, path, &r);
	}
	free(r.v);
	return err;
}
