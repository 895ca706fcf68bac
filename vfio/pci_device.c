/* SPDX-License-Identifier: MIT */
/*
 * The making and the end of a PCI function.
 *
 * Creation asks the model first (it only fills in its description), then builds what the
 * description says, and powers the model on last. On failure everything made so far is
 * destroyed by the same path as a complete device.
 *
 * A function that no client has bound decodes nothing: its gate is shut and it masters
 * no bus.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vfio/device.h"
#include "vfio/group.h"

#define EXT_CAP_ATS   0x0f
#define EXT_CAP_PRI   0x13
#define EXT_CAP_PASID 0x1b

void uiommufd_device_error(struct uiommufd_device *api, const char *format, ...)
{
	va_list args;

	if (!api->error_cap)
		return;
	va_start(args, format);
	vsnprintf(api->error, api->error_cap, format, args);
	va_end(args);
}

static int device_init(struct pci_device *dev)
{
	int err = gate_init(&dev->gate);

	if (err)
		return err;
	err = driver_init(&dev->driver);
	if (err) {
		gate_finish(&dev->gate);
		return err;
	}
	dev->storage_fd = -1;
	dev->hidden_fd = -1;
	dev->wake_fd = -1;
	dev->api.pci = dev;
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++) {
		dev->bars[i].dev = dev;
		dev->bars[i].index = i;
	}
	dev->rom.dev = dev;
	dev->rom.index = VFIO_PCI_ROM_REGION_INDEX;
	list_init(&dev->channels);
	list_init(&dev->pasids);
	page_requests_init(&dev->page_requests);
	list_init(&dev->workers);
	port_mutex_init(&dev->workers_lock);
	port_mutex_init(&dev->channels_lock);
	port_mutex_init(&dev->bind);
	port_mutex_init(&dev->config_lock);
	port_rwlock_init(&dev->memory);
	dma_requester_init(&dev->requester);
	sriov_init(dev, dev->place.pf, dev->place.vf);
	watcher_init(&dev->watcher);
	dma_log_init(&dev->log);
	list_init(&dev->ioeventfds);
	port_mutex_init(&dev->ioeventfds_lock);
	return 0;
}

static void device_finish(struct pci_device *dev)
{
	port_mutex_finish(&dev->ioeventfds_lock);
	dma_log_finish(&dev->log);
	watcher_finish(&dev->watcher);
	requesters_trim(dev);
	sriov_finish(dev);
	dma_requester_finish(&dev->requester);
	page_requests_finish(&dev->page_requests);
	port_rwlock_finish(&dev->memory);
	port_mutex_finish(&dev->config_lock);
	port_mutex_finish(&dev->bind);
	port_mutex_finish(&dev->channels_lock);
	port_mutex_finish(&dev->workers_lock);
	driver_finish(&dev->driver);
	gate_finish(&dev->gate);
}

static int create_model(struct pci_device *dev, const struct uiommufd_model *model,
			const struct uiommufd_option *options, size_t n, char *error,
			size_t cap)
{
	int err;

	dev->api.error = error;
	dev->api.error_cap = cap;
	err = model->create(&dev->api, options, n, &dev->desc, &dev->ops, &dev->model);
	dev->api.error_cap = 0;
	if (err)
		memset(&dev->ops, 0, sizeof(dev->ops));
	else if (dev->place.has_mmio)
		dev->desc.mmio = dev->place.mmio;
	return err;
}

static const struct uiommufd_ext_cap *ext_cap(const struct uiommufd_device_desc *desc,
					      uint16_t id)
{
	for (unsigned i = 0; i < desc->nr_ext_caps; i++)
		if (desc->ext_caps[i].id == id)
			return &desc->ext_caps[i];
	return NULL;
}

/* Max PASID Width. */
static unsigned pasid_bits(const struct uiommufd_device_desc *desc)
{
	const struct uiommufd_ext_cap *cap = ext_cap(desc, EXT_CAP_PASID);

	return cap && cap->bytes ? ((const uint8_t *)cap->bytes)[1] & 0x1f : 0;
}

/* PRI is of use only with ATS. */
static bool asks_for_pages(const struct uiommufd_device_desc *desc)
{
	return ext_cap(desc, EXT_CAP_ATS) && ext_cap(desc, EXT_CAP_PRI);
}

static int create_parts(struct pci_device *dev, char *error, size_t cap)
{
	int err = vfio_group_join(dev);

	if (!err)
		err = irq_create(dev);
	if (!err)
		err = exports_create(&dev->exports);
	if (!err)
		err = bars_create(dev, error, cap);
	if (!err)
		err = mmio_watch_create(dev, error, cap);
	if (!err)
		err = rom_create(dev);
	if (!err)
		err = sriov_create(dev, error, cap);
	if (!err)
		err = config_create(dev, error, cap);
	if (err)
		return err;
	direct_join(dev);
	dev->pasid_bits = pasid_bits(&dev->desc);
	dev->info = (struct iommufd_device_info){
		.requester = &dev->requester,
		.group = dev->place.group_key,
		.group_owner = dev->place.group_owner,
		.needs_direct = vfio_group_needs_direct(dev->group),
		.max_pasid_log2 = dev->pasid_bits,
		.pasid_requester = requester_of_pasid,
		.page_answer = asks_for_pages(&dev->desc) ? page_request_answered : NULL,
	};
	iommufd_unit_connect(dev->place.unit, &dev->info);
	if (dev->sriov.powered)
		reset_model(dev, UIOMMUFD_RESET_POWER_ON);
	return 0;
}

int pci_device_create(struct machine *m, const struct uiommufd_model *model,
		      const struct uiommufd_option *options, size_t nr_options,
		      const struct pci_placement *placement, char *error,
		      size_t error_cap, struct pci_device **out)
{
	struct pci_device *dev = port_alloc(sizeof(*dev));
	int err;

	if (!dev)
		return -ENOMEM;
	dev->place = *placement;
	err = device_init(dev);
	if (err) {
		port_free(dev);
		return err;
	}
	dev->machine = m;
	/* Placed by hand, as in tests, it needs no name. */
	if (!placement->pf &&
	    (!placement->driver[0] || !strcmp(placement->driver, PCI_DRIVER_VFIO)))
		pci_device_bind(dev);
	snprintf(dev->label, sizeof(dev->label), "/dev/vfio/devices/vfio%u",
		 placement->index);
	err = create_model(dev, model, options, nr_options, error, error_cap);
#ifndef __x86_64__
	if (!err && dev->desc.mmio == UIOMMUFD_MMIO_FAULT) {
		snprintf(error, error_cap, "mmio=fault: only on x86-64");
		err = -EINVAL;
	}
#endif
	if (!err)
		err = create_parts(dev, error, error_cap);
	if (err) {
		pci_device_destroy(dev);
		return err;
	}
	*out = dev;
	return 0;
}

void pci_device_destroy(struct pci_device *dev)
{
	if (!dev)
		return;
	requesters_set_master(dev, false);
	mmio_watch_leave(dev);
	if (dev->ops.destroy)
		dev->ops.destroy(dev->model);
	channels_destroy(dev);
	if (dev->exports)
		exports_orphan(dev->exports);
	exports_put(dev->exports);
	rom_destroy(dev);
	mmio_watch_destroy(dev);
	bars_destroy(dev);
	irq_destroy(dev);
	vfio_group_leave(dev);
	device_finish(dev);
	port_free(dev);
}

const struct pci_placement *pci_device_placement(const struct pci_device *dev)
{
	return &dev->place;
}

int pci_device_refuse_faults(struct pci_device *dev)
{
	if (dev->desc.mmio != UIOMMUFD_MMIO_FAULT)
		return 0;
	if (dev->place.has_mmio)
		return -EINVAL;
	dev->desc.mmio = UIOMMUFD_MMIO_TRAP;
	return 0;
}

enum uiommufd_mmio pci_device_mmio(const struct pci_device *dev)
{
	return dev->desc.mmio;
}

const struct uiommufd_device_desc *pci_device_desc(const struct pci_device *dev)
{
	return &dev->desc;
}

uint64_t pci_device_bar_address(const struct pci_device *dev, unsigned bar)
{
	if (bar == VFIO_PCI_ROM_REGION_INDEX)
		return dev->rom.address;
	return bar < UIOMMUFD_BARS ? dev->bars[bar].address : 0;
}
