/* SPDX-License-Identifier: MIT */
/*
 * SR-IOV: see sriov.h.
 *
 * PCI Express Base Specification 9.3 (the capability); Linux 7.3 for who is refused and
 * with which error.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "vfio/device.h"

#define CAP_ID         0x10u
#define CAP_VERSION    1u
#define CAP_BYTES      0x40u
#define CONTROL        0x08u
#define CONTROL_VFE    0x01u /* functions enabled, and their memory */
#define CONTROL_MSE    0x08u
#define CONTROL_ARI    0x10u
#define INITIAL_VFS    0x0cu
#define TOTAL_VFS      0x0eu
#define NUM_VFS        0x10u
#define FIRST_OFFSET   0x14u
#define STRIDE         0x16u
#define VF_DEVICE_ID   0x1au
#define PAGE_SIZES     0x1cu
#define PAGE_SIZE_NOW  0x20u
#define VF_BARS        0x24u
#define ALL_PAGE_SIZES 0x00000553u

#define UUID_CHARS     36u

/* ---- making ----------------------------------------------------------------------- */

void sriov_init(struct pci_device *dev, struct pci_device *pf, unsigned index)
{
	struct pci_sriov *s = &dev->sriov;

	s->pf = pf;
	s->index = index;
	s->powered = !pf;
	s->present = !pf;
	port_mutex_init(&s->enabling);
	port_mutex_init(&s->token_lock);
}

void sriov_finish(struct pci_device *dev)
{
	struct pci_sriov *s = &dev->sriov;

	port_free(s->vfs);
	port_mutex_finish(&s->token_lock);
	port_mutex_finish(&s->enabling);
}

int sriov_create(struct pci_device *dev, char *error, size_t cap)
{
	const struct uiommufd_sriov *d = dev->desc.sriov;
	struct pci_sriov *s = &dev->sriov;

	if (!d)
		return 0;
	if (s->pf || !d->total || d->total > UIOMMUFD_VFS_MAX || !d->vf || !d->offset ||
	    (d->total > 1 && !d->stride)) {
		snprintf(error, cap, "SR-IOV: no such virtual functions");
		return -EINVAL;
	}
	s->vfs = port_alloc(d->total * sizeof(struct pci_device *));
	if (!s->vfs)
		return -ENOMEM;
	if (getrandom(s->token, sizeof(s->token), 0) != sizeof(s->token))
		return -EAGAIN;
	return 0;
}

int sriov_add_capability(struct pci_device *dev)
{
	const struct uiommufd_sriov *d = dev->desc.sriov;
	uint8_t *p;
	unsigned at;

	if (!d)
		return 0;
	at = config_ext_cap(dev, CAP_ID, CAP_VERSION, CAP_BYTES, 0);
	if (!at)
		return -EINVAL;
	dev->sriov.capability = at;
	p = dev->config.hw_initial + at;
	config_put16(p + CONTROL, CONTROL_ARI);
	config_put16(p + INITIAL_VFS, d->total);
	config_put16(p + TOTAL_VFS, d->total);
	config_put16(p + FIRST_OFFSET, d->offset);
	config_put16(p + STRIDE, d->stride);
	config_put32(p + PAGE_SIZES, ALL_PAGE_SIZES);
	config_put32(p + PAGE_SIZE_NOW, 1);
	return 0;
}

/* What the first virtual function says of all of them. */
static void describe_vf(struct pci_device *pf, const struct pci_device *vf)
{
	uint8_t *p = pf->config.hw_initial + pf->sriov.capability;

	config_put16(p + VF_DEVICE_ID, vf->desc.device_id);
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++) {
		const struct pci_bar *bar = &vf->bars[i];

		if (!bar->size)
			continue;
		config_put32(p + VF_BARS + 4 * i,
			     (bar->address & 0xffffffff) | config_bar_flags(bar));
		if (bar->flags & UIOMMUFD_BAR_64BIT)
			config_put32(p + VF_BARS + 4 * (i + 1), bar->address >> 32);
	}
	memcpy(pf->config.hw + pf->sriov.capability, p, CAP_BYTES);
}

void pci_device_add_vf(struct pci_device *pf, struct pci_device *vf)
{
	pf->sriov.vfs[vf->sriov.index] = vf;
	if (!vf->sriov.index)
		describe_vf(pf, vf);
}

/* ---- who has it open -------------------------------------------------------------- */

bool pci_device_present(const struct pci_device *dev)
{
	return dev->sriov.present;
}

struct pci_device *pci_device_pf(const struct pci_device *dev)
{
	return dev->sriov.pf;
}

static void count_users(struct pci_device *dev, int by)
{
	struct pci_device *pf = dev->sriov.pf;

	if (!pf)
		return;
	port_mutex_lock(&pf->sriov.token_lock);
	pf->sriov.token_users += (unsigned)by;
	port_mutex_unlock(&pf->sriov.token_lock);
}

void sriov_use(struct pci_device *dev)
{
	count_users(dev, 1);
}

void sriov_unuse(struct pci_device *dev)
{
	count_users(dev, -1);
}

/* ---- the token -------------------------------------------------------------------- */

static bool is_token(struct pci_sriov *pf, const uint8_t *token)
{
	return !memcmp(pf->token, token, VF_TOKEN_BYTES);
}

static int check_vf(struct pci_sriov *pf, const uint8_t *token)
{
	int err;

	if (!token)
		return -EACCES;
	port_mutex_lock(&pf->token_lock);
	err = is_token(pf, token) ? 0 : -EACCES;
	port_mutex_unlock(&pf->token_lock);
	return err;
}

static int check_pf(struct pci_sriov *pf, const uint8_t *token)
{
	int err = 0;

	port_mutex_lock(&pf->token_lock);
	if (pf->token_users)
		err = token && is_token(pf, token) ? 0 : -EACCES;
	else if (token)
		memcpy(pf->token, token, VF_TOKEN_BYTES);
	port_mutex_unlock(&pf->token_lock);
	return err;
}

bool sriov_has_token(const struct pci_device *dev)
{
	return dev->sriov.vfs;
}

int sriov_check_token(struct pci_device *dev, const uint8_t *token)
{
	if (dev->sriov.pf)
		return check_vf(&dev->sriov.pf->sriov, token);
	if (sriov_has_token(dev))
		return check_pf(&dev->sriov, token);
	return token ? -EINVAL : 0;
}

int sriov_set_token(struct pci_device *dev, const uint8_t token[VF_TOKEN_BYTES])
{
	if (!sriov_has_token(dev))
		return -ENOTTY;
	port_mutex_lock(&dev->sriov.token_lock);
	memcpy(dev->sriov.token, token, VF_TOKEN_BYTES);
	port_mutex_unlock(&dev->sriov.token_lock);
	return 0;
}

static unsigned hex(char c)
{
	return (unsigned)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

int sriov_parse_token(const char *text, uint8_t token[VF_TOKEN_BYTES])
{
	for (unsigned i = 0; i < UUID_CHARS; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return -EINVAL;
	}
	for (unsigned i = 0; i < VF_TOKEN_BYTES; i++) {
		/* The dashes lie between bytes 4, 6, 8 and 10. */
		text += i >= 4 && i <= 10 && !(i & 1);
		token[i] = (uint8_t)(hex(text[0]) << 4 | hex(text[1]));
		text += 2;
	}
	return 0;
}

/* ---- how many there are ----------------------------------------------------------- */

unsigned sriov_total(const struct pci_device *dev)
{
	return dev->sriov.vfs ? dev->desc.sriov->total : 0;
}

unsigned sriov_enabled(const struct pci_device *dev)
{
	return dev->sriov.enabled;
}

struct pci_device *sriov_vf(const struct pci_device *pf, unsigned i)
{
	return pf->sriov.vfs[i];
}

/* The capability says so, too, whatever a reset or a client does. */
static void set_enabled(struct pci_device *pf, unsigned n)
{
	unsigned control = CONTROL_ARI | (n ? CONTROL_VFE | CONTROL_MSE : 0);
	unsigned at = pf->sriov.capability;

	port_mutex_lock(&pf->config_lock);
	pf->sriov.enabled = n;
	config_put16(pf->config.hw + at + CONTROL, control);
	config_put16(pf->config.hw + at + NUM_VFS, n);
	config_put16(pf->config.hw_initial + at + CONTROL, control);
	config_put16(pf->config.hw_initial + at + NUM_VFS, n);
	port_mutex_unlock(&pf->config_lock);
}

static void set_present(struct pci_device *vf, bool present)
{
	port_mutex_lock(&vf->bind);
	vf->sriov.present = present;
	port_mutex_unlock(&vf->bind);
}

static void appear(struct pci_device *vf)
{
	if (!vf->sriov.powered) {
		port_rwlock_write_lock(&vf->memory);
		reset_model(vf, UIOMMUFD_RESET_POWER_ON);
		port_rwlock_write_unlock(&vf->memory);
		vf->sriov.powered = true;
	}
	set_present(vf, true);
	pci_device_bind(vf);
}

static void tell_model(struct pci_device *pf, unsigned n)
{
	if (pf->ops.vfs)
		pf->ops.vfs(pf->model, n);
}

static int enable(struct pci_device *pf, unsigned n)
{
	tell_model(pf, n);
	for (unsigned i = 0; i < n; i++)
		appear(pf->sriov.vfs[i]);
	set_enabled(pf, n);
	return 0;
}

static bool leave(struct pci_device *vf)
{
	pci_device_leave(vf);
	if (pci_device_wait_closed(vf, 0))
		return true;
	pci_device_request(vf);
	return false;
}

static int disable(struct pci_device *pf)
{
	unsigned n = pf->sriov.enabled;
	bool closed = true;

	for (unsigned i = 0; i < n; i++)
		closed &= leave(pf->sriov.vfs[i]);
	if (!closed)
		return -EAGAIN;
	tell_model(pf, 0);
	set_enabled(pf, 0);
	for (unsigned i = 0; i < n; i++)
		set_present(pf->sriov.vfs[i], false);
	return 0;
}

int sriov_enable(struct pci_device *pf, unsigned n)
{
	int err;

	if (n > sriov_total(pf))
		return -ERANGE;
	/* With virtual functions it does not sleep. */
	low_power_hold(pf);
	port_mutex_lock(&pf->sriov.enabling);
	if (n == pf->sriov.enabled)
		err = 0;
	else if (!n)
		err = disable(pf);
	else
		err = pf->sriov.enabled ? -EBUSY : enable(pf, n);
	port_mutex_unlock(&pf->sriov.enabling);
	low_power_release(pf);
	return err;
}

void sriov_stay(struct pci_device *pf)
{
	port_mutex_lock(&pf->sriov.enabling);
	for (unsigned i = 0; i < pf->sriov.enabled; i++)
		pci_device_bind(pf->sriov.vfs[i]);
	port_mutex_unlock(&pf->sriov.enabling);
}

void *uiommufd_pf_model(struct uiommufd_device *vf, unsigned *index)
{
	struct pci_sriov *s = &vf->pci->sriov;

	if (!s->pf)
		return NULL;
	*index = s->index;
	return s->pf->model;
}
