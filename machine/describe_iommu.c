/* SPDX-License-Identifier: MIT */
/*
 * IOMMU units in a machine's description: "vtd,name=a,dirty=on" or an object in JSON's
 * "iommus". See describe.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/describe.h"

/* Where Linux has an Arm SMMU's. */
#define SW_MSI_USUAL 0x8000000u

/* ---- values ---------------------------------------------------------------------- */

static int parse_bool(const char *text, bool *out)
{
	*out = !strcmp(text, "on");
	return *out || !strcmp(text, "off") ? 0 : -EINVAL;
}

/* Up to @end, which must follow. */
static int parse_number(const char *text, char end, uint64_t *out, const char **rest)
{
	char *stop;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &stop, 0);
	if (errno || *stop != end)
		return -EINVAL;
	if (rest)
		*rest = stop + 1;
	return 0;
}

static int parse_small(const char *text, unsigned *out)
{
	uint64_t v;
	int err = parse_number(text, '\0', &v, NULL);

	if (err || v > 64)
		return -EINVAL;
	*out = (unsigned)v;
	return 0;
}

static int parse_sw_msi(const char *text, uint64_t *out)
{
	bool on;

	if (parse_bool(text, &on))
		return parse_number(text, '\0', out, NULL) || !*out ? -EINVAL : 0;
	*out = on ? SW_MSI_USUAL : 0;
	return 0;
}

int describe_range(const char *text, uint64_t *first, uint64_t *last)
{
	const char *rest;

	if (parse_number(text, '-', first, &rest) ||
	    parse_number(rest, '\0', last, NULL) || *first > *last)
		return -EINVAL;
	return 0;
}

static int parse_resv(const char *text, struct iommufd_unit_config *c)
{
	struct iommufd_resv r = {.type = IOMMUFD_RESV_RESERVED};

	if (describe_range(text, &r.start, &r.last))
		return -EINVAL;
	if (c->nr_resv == IOMMUFD_UNIT_RESV)
		return -E2BIG;
	c->resv[c->nr_resv++] = r;
	return 0;
}

/* ---- options --------------------------------------------------------------------- */

static int parse_option(struct iommufd_unit_config *c, const char *name,
			const char *value)
{
	if (!strcmp(name, "dirty"))
		return parse_bool(value, &c->dirty);
	if (!strcmp(name, "nesting"))
		return parse_bool(value, &c->nesting);
	if (!strcmp(name, "snoop"))
		return parse_bool(value, &c->snoop);
	if (!strcmp(name, "page-requests"))
		return parse_bool(value, &c->page_requests);
	if (!strcmp(name, "pasid"))
		return parse_small(value, &c->pasid_bits);
	if (!strcmp(name, "width"))
		return parse_small(value, &c->width);
	if (!strcmp(name, "sw-msi"))
		return parse_sw_msi(value, &c->sw_msi);
	if (!strcmp(name, "reserved"))
		return parse_resv(value, c);
	return -ENOENT;
}

static const char *wanted(const char *name)
{
	if (!strcmp(name, "pasid") || !strcmp(name, "width"))
		return "a number of bits";
	if (!strcmp(name, "sw-msi"))
		return "on, off or an IOVA";
	if (!strcmp(name, "reserved"))
		return "FIRST-LAST (two IOVAs)";
	return "on or off";
}

static int set_name(struct iommu_description *iommu, const char *value, char *error,
		    size_t cap)
{
	char *copy;

	if (!*value)
		return describe_bad(error, cap, "iommu %s: name=: a name is needed",
				    iommu->name);
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(iommu->name);
	iommu->name = copy;
	return 0;
}

int describe_iommu_option(struct iommu_description *iommu, const char *name,
			  const char *value, char *error, size_t cap)
{
	int err;

	if (!strcmp(name, "name"))
		return set_name(iommu, value, error, cap);
	err = parse_option(&iommu->config, name, value);
	if (err == -ENOENT)
		return describe_bad(
			error, cap,
			"iommu %s: unknown option \"%s\" (name, dirty, nesting, "
			"snoop, pasid, page-requests, width, sw-msi, reserved)",
			iommu->name, name);
	if (err == -E2BIG)
		return describe_bad(error, cap, "iommu %s: more than %d reserved ranges",
				    iommu->name, IOMMUFD_UNIT_RESV);
	if (err)
		return describe_bad(error, cap, "iommu %s: %s=%s: %s is needed",
				    iommu->name, name, value, wanted(name));
	return 0;
}

int describe_iommu_add(struct description *d, const char *type, char *error, size_t cap,
		       struct iommu_description **out)
{
	struct iommu_description *v;
	enum iommufd_unit_type kind;
	char name[16];

	if (!strcmp(type, "vtd"))
		kind = IOMMUFD_UNIT_VTD;
	else if (!strcmp(type, "amd"))
		kind = IOMMUFD_UNIT_AMD;
	else
		return describe_bad(error, cap, "iommu \"%s\": no such type (vtd, amd)",
				    type);
	if (d->nr_iommus == DESCRIBE_MAX_IOMMUS)
		return describe_bad(error, cap, "more than %d IOMMUs",
				    DESCRIBE_MAX_IOMMUS);
	v = realloc(d->iommus, (d->nr_iommus + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	d->iommus = v;
	v += d->nr_iommus;
	snprintf(name, sizeof(name), "iommu%zu", d->nr_iommus);
	iommufd_unit_defaults(&v->config, kind);
	v->name = strdup(name);
	if (!v->name)
		return -ENOMEM;
	d->nr_iommus++;
	*out = v;
	return 0;
}

int describe_iommu(struct description *d, const char *text, char *error, size_t cap)
{
	char *copy = strdup(text), *rest = copy, *word;
	struct iommu_description *iommu;
	int err;

	if (!copy)
		return -ENOMEM;
	err = describe_iommu_add(d, strsep(&rest, ","), error, cap, &iommu);
	while (!err && (word = strsep(&rest, ","))) {
		char *value = strchr(word, '=');

		if (!value) {
			err = describe_bad(error, cap,
					   "iommu %s: \"%s\" is not NAME=VALUE",
					   iommu->name, word);
			break;
		}
		*value++ = '\0';
		err = describe_iommu_option(iommu, word, value, error, cap);
	}
	free(copy);
	return err;
}

/* ---- as a whole ------------------------------------------------------------------ */

static int find(const struct description *d, const char *name)
{
	for (size_t i = 0; i < d->nr_iommus; i++)
		if (!strcmp(d->iommus[i].name, name))
			return (int)i;
	return -1;
}

static int check_unit(struct iommu_description *iommu, char *error, size_t cap)
{
	const char *why;

	if (iommufd_unit_init(&iommu->unit, &iommu->config, &why))
		return describe_bad(error, cap, "iommu %s: %s", iommu->name, why);
	return 0;
}

/* Those of a group are all behind the one unit that cannot tell them apart. */
static int check_groups(const struct description *d, char *error, size_t cap)
{
	for (size_t i = 0; i < d->n; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct device_description *a = &d->devices[i];
			const struct device_description *b = &d->devices[j];

			if (a->group == b->group && a->iommu_index != b->iommu_index)
				return describe_bad(error, cap,
						    "group %u: devices behind two IOMMUs",
						    a->group);
		}
	}
	return 0;
}

int describe_iommu_complete(struct description *d, char *error, size_t cap)
{
	int err = 0;

	for (size_t i = 0; !err && i < d->nr_iommus; i++) {
		if (find(d, d->iommus[i].name) != (int)i)
			return describe_bad(error, cap, "two IOMMUs are named %s",
					    d->iommus[i].name);
		err = check_unit(&d->iommus[i], error, cap);
	}
	for (size_t i = 0; !err && i < d->n; i++) {
		struct device_description *dev = &d->devices[i];

		dev->iommu_index = dev->iommu ? find(d, dev->iommu) : 0;
		if (dev->iommu_index < 0)
			err = describe_bad(error, cap,
					   "%s: iommu=%s: there is no such IOMMU",
					   dev->model, dev->iommu);
	}
	return err ? err : check_groups(d, error, cap);
}

void describe_iommu_finish(struct description *d)
{
	for (size_t i = 0; i < d->nr_iommus; i++)
		free(d->iommus[i].name);
	free(d->iommus);
}
