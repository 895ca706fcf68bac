/* SPDX-License-Identifier: MIT */
/*
 * Drivers and the bus that matches them to functions: /sys/bus/pci/drivers/NAME and
 * /sys/bus/pci/drivers_probe. The answers and their order are Linux 7.3's.
 *
 * vfio-pci starts with the ids of the machine's own functions, as if it had been loaded
 * with them, so that a function which was unbound can be bound again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/port.h"
#include "host/pci_bus.h"
#include "host/view.h"
#include "host/view_attr.h"

/* While clients do not close a function: ask again, and look whether we are to stop. */
#define ASK_AGAIN_MS 10000
#define LOOK_MS      50

/* ---- matching -------------------------------------------------------------------------
 */

static bool id_is(uint32_t id, uint32_t value)
{
	return id == PCI_ANY_ID || id == value;
}

static bool ids_match(const struct pci_ids *id, const struct pci_ids *f)
{
	return id_is(id->vendor, f->vendor) && id_is(id->device, f->device) &&
	       id_is(id->subvendor, f->subvendor) && id_is(id->subdevice, f->subdevice) &&
	       !((id->class_code ^ f->class_code) & id->class_mask);
}

/* With the lock held. An override is the only driver that matches. */
static bool matches(const struct pci_driver *drv, const struct pci_function *f)
{
	if (f->override)
		return !strcmp(f->override, drv->name);
	for (size_t i = 0; i < drv->nr_ids; i++)
		if (ids_match(&drv->ids[i], &f->ids))
			return true;
	return false;
}

/* ---- binding and unbinding ------------------------------------------------------------
 */

static int set_driver(struct pci_function *f, struct pci_driver *drv)
{
	int err = 0;

	pthread_mutex_lock(&f->bus->lock);
	if (drv && f->driver)
		err = -EBUSY;
	else
		f->driver = drv;
	pthread_mutex_unlock(&f->bus->lock);
	return err;
}

static struct pci_driver *driver_of(struct pci_function *f)
{
	struct pci_driver *drv;

	pthread_mutex_lock(&f->bus->lock);
	drv = f->driver;
	pthread_mutex_unlock(&f->bus->lock);
	return drv;
}

int pci_driver_attach(struct pci_function *f, struct pci_driver *drv)
{
	int err;

	pthread_mutex_lock(&f->bind);
	err = set_driver(f, drv);
	if (!err) {
		if (drv == f->bus->vfio)
			pci_device_bind(f->dev);
		err = pci_nodes_bound(f, drv);
	}
	pthread_mutex_unlock(&f->bind);
	return err;
}

/* False: we are to stop. */
static bool wait_closed(struct pci_function *f)
{
	unsigned waited = 0;

	pci_device_request(f->dev);
	while (!pci_device_wait_closed(f->dev, LOOK_MS)) {
		if (f->bus->stopping)
			return false;
		waited += LOOK_MS;
		if (waited % ASK_AGAIN_MS == 0)
			pci_device_request(f->dev);
	}
	return true;
}

static int detach_locked(struct pci_function *f, struct pci_driver *drv)
{
	if (driver_of(f) != drv)
		return -ENODEV;
	if (drv == f->bus->vfio) {
		if (pci_sriov_disable(f))
			return -EINTR;
		pci_device_leave(f->dev);
		pci_nodes_leaving(f);
		if (!wait_closed(f))
			return -EINTR;
	}
	set_driver(f, NULL);
	pci_nodes_unbound(f, drv);
	return 0;
}

int pci_driver_detach(struct pci_function *f, struct pci_driver *drv)
{
	int err;

	pthread_mutex_lock(&f->bind);
	err = detach_locked(f, drv);
	pthread_mutex_unlock(&f->bind);
	return err;
}

/* ---- by what is written
 * ---------------------------------------------------------------- */

/*
 * The function that is named, kept from going until put_named(). Functions go only when
 * their node is being written to that makes them (a physical function's), and wait there.
 */
static struct pci_function *named(struct pci_bus *bus, const char *text, size_t n)
{
	struct pci_function *f = NULL;
	char bdf[16];

	n = view_text_length(text, n);
	if (n >= sizeof(bdf))
		return NULL;
	memcpy(bdf, text, n);
	bdf[n] = '\0';
	pthread_mutex_lock(&bus->lock);
	f = pci_bus_find(bus, bdf);
	if (f)
		f->users++;
	pthread_mutex_unlock(&bus->lock);
	return f;
}

static void put_named(struct pci_function *f)
{
	pthread_mutex_lock(&f->bus->lock);
	if (!--f->users)
		pthread_cond_broadcast(&f->bus->unused);
	pthread_mutex_unlock(&f->bus->lock);
}

static bool may_attach(const struct pci_driver *drv, struct pci_function *f)
{
	bool may;

	pthread_mutex_lock(&f->bus->lock);
	may = matches(drv, f) && (f->dev || drv != f->bus->vfio);
	pthread_mutex_unlock(&f->bus->lock);
	return may;
}

static int store_bind(void *object, const char *text, size_t n)
{
	struct pci_driver *drv = object;
	struct pci_function *f = named(drv->bus, text, n);
	int err;

	if (!f)
		return -ENODEV;
	err = may_attach(drv, f) ? pci_driver_attach(f, drv) : -ENODEV;
	put_named(f);
	return err;
}

static int store_unbind(void *object, const char *text, size_t n)
{
	struct pci_driver *drv = object;
	struct pci_function *f = named(drv->bus, text, n);
	int err;

	if (!f)
		return -ENODEV;
	err = pci_driver_detach(f, drv);
	put_named(f);
	return err;
}

static struct pci_driver *driver_for(struct pci_function *f)
{
	struct pci_driver *drv = f->bus->drivers;

	while (drv && !may_attach(drv, f))
		drv = drv->next;
	return drv;
}

/* That there is no driver for it, or it has one already, is no failure. */
static int store_probe(void *object, const char *text, size_t n)
{
	struct pci_function *f = named(object, text, n);
	struct pci_driver *drv;
	int err = 0;

	if (!f)
		return -ENODEV;
	drv = driver_for(f);
	if (drv)
		err = pci_driver_attach(f, drv);
	put_named(f);
	return err == -EBUSY ? 0 : err;
}

/* ---- ids
 * -------------------------------------------------------------------------------- */

/* "vendor device [subvendor subdevice [class mask [data]]]" */
static int parse_ids(const char *text, struct pci_ids *id)
{
	unsigned subvendor = PCI_ANY_ID, subdevice = PCI_ANY_ID, class_code = 0, mask = 0;
	unsigned vendor, device;
	unsigned long data;

	if (sscanf(text, "%x %x %x %x %x %x %lx", &vendor, &device, &subvendor,
		   &subdevice, &class_code, &mask, &data) < 2)
		return -EINVAL;
	*id = (struct pci_ids){vendor, device, subvendor, subdevice, class_code, mask};
	return 0;
}

/* With the lock held. */
static struct pci_ids *find_ids(const struct pci_driver *drv, const struct pci_ids *id)
{
	for (size_t i = 0; i < drv->nr_ids; i++)
		if (!memcmp(&drv->ids[i], id, sizeof(*id)))
			return &drv->ids[i];
	return NULL;
}

/* With the lock held. -EEXIST. */
static int add_ids(struct pci_driver *drv, const struct pci_ids *id)
{
	struct pci_ids *more;

	if (find_ids(drv, id))
		return -EEXIST;
	more = realloc(drv->ids, (drv->nr_ids + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	drv->ids = more;
	more[drv->nr_ids++] = *id;
	return 0;
}

int pci_driver_add_ids(struct pci_driver *drv, const struct pci_ids *id)
{
	int err;

	pthread_mutex_lock(&drv->bus->lock);
	err = add_ids(drv, id);
	pthread_mutex_unlock(&drv->bus->lock);
	return err;
}

/* A function without a driver that the driver matches, with a use; NULL: none. */
static struct pci_function *next_unbound(struct pci_driver *drv)
{
	struct pci_function *f;

	pthread_mutex_lock(&drv->bus->lock);
	for (f = drv->bus->functions; f; f = f->next)
		if (!f->driver && matches(drv, f) && (f->dev || drv != drv->bus->vfio))
			break;
	if (f)
		f->users++;
	pthread_mutex_unlock(&drv->bus->lock);
	return f;
}

static int store_new_id(void *object, const char *text, size_t n)
{
	struct pci_driver *drv = object;
	struct pci_function *f;
	struct pci_ids id;
	int err = parse_ids(text, &id);

	if (!err)
		err = pci_driver_add_ids(drv, &id);
	while (!err && (f = next_unbound(drv))) {
		err = pci_driver_attach(f, drv);
		put_named(f);
		if (err == -EBUSY)
			err = 0;
	}
	return err;
}

static bool same_ids(const struct pci_ids *have, const struct pci_ids *id)
{
	return have->vendor == id->vendor && have->device == id->device &&
	       (id->subvendor == PCI_ANY_ID || have->subvendor == id->subvendor) &&
	       (id->subdevice == PCI_ANY_ID || have->subdevice == id->subdevice) &&
	       !((have->class_code ^ id->class_code) & id->class_mask);
}

static int store_remove_id(void *object, const char *text, size_t n)
{
	struct pci_driver *drv = object;
	struct pci_ids id;
	int err = parse_ids(text, &id);

	if (err)
		return err;
	err = -ENODEV;
	pthread_mutex_lock(&drv->bus->lock);
	for (size_t i = 0; err && i < drv->nr_ids; i++) {
		if (!same_ids(&drv->ids[i], &id))
			continue;
		memmove(&drv->ids[i], &drv->ids[i + 1],
			(drv->nr_ids - i - 1) * sizeof(drv->ids[0]));
		drv->nr_ids--;
		err = 0;
	}
	pthread_mutex_unlock(&drv->bus->lock);
	return err;
}

/* ---- nodes
 * ------------------------------------------------------------------------------ */

static int store_nothing(void *object, const char *text, size_t n)
{
	return 0;
}

static ssize_t show_one(void *object, char *text, size_t cap)
{
	return snprintf(text, cap, "1\n");
}

static const struct {
	const char *name;
	const struct view_attr attr;
} driver_attrs[] = {
	{"bind", {.mode = 0200, .store = store_bind}},
	{"unbind", {.mode = 0200, .store = store_unbind}},
	{"new_id", {.mode = 0200, .store = store_new_id}},
	{"remove_id", {.mode = 0200, .store = store_remove_id}},
	{"uevent", {.mode = 0200, .store = store_nothing}},
};

/* The bus's own. */
static const struct {
	const char *name;
	const struct view_attr attr;
} bus_attrs[] = {
	{"drivers_probe", {.mode = 0200, .store = store_probe}},
	{"drivers_autoprobe", {.mode = 0644, .show = show_one, .store = store_nothing}},
	{"rescan", {.mode = 0200, .store = pci_hotplug_rescan}},
	{"uevent", {.mode = 0200, .store = store_nothing}},
};

/* Its module, by whose directory scripts see that a driver is loaded. */
static int add_module(struct pci_driver *drv)
{
	char name[sizeof(drv->name)], path[PCI_PATH_BYTES], target[PCI_PATH_BYTES];
	int err;

	snprintf(name, sizeof(name), "%s", drv->name);
	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : *c;
	snprintf(path, sizeof(path), "/sys/module/%s", name);
	err = view_add_dir(drv->bus->view, path);
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/module", drv->name);
	snprintf(target, sizeof(target), "../../../../module/%s", name);
	return err ? err : view_add_link(drv->bus->view, path, target);
}

static int add_driver_nodes(struct pci_driver *drv)
{
	char path[PCI_PATH_BYTES];
	int err;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", drv->name);
	err = view_own_dir(drv->bus->view, path);
	if (!err)
		err = add_module(drv);
	for (size_t i = 0; !err && i < ARRAY_LEN(driver_attrs); i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/%s", drv->name,
			 driver_attrs[i].name);
		err = view_add_attr(drv->bus->view, path, &driver_attrs[i].attr, drv);
	}
	return err;
}

struct pci_driver *pci_driver_get(struct pci_bus *bus, const char *name)
{
	struct pci_driver *drv = bus->drivers;

	while (drv && strcmp(drv->name, name))
		drv = drv->next;
	if (drv)
		return drv;
	if (strchr(name, '/') || name[0] == '.' || strlen(name) >= sizeof(drv->name))
		return NULL;
	drv = calloc(1, sizeof(*drv));
	if (!drv)
		return NULL;
	drv->bus = bus;
	snprintf(drv->name, sizeof(drv->name), "%s", name);
	if (add_driver_nodes(drv)) {
		free(drv);
		return NULL;
	}
	drv->next = bus->drivers;
	bus->drivers = drv;
	return drv;
}

int pci_drivers_create(struct pci_bus *bus)
{
	char path[64];
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_LEN(bus_attrs); i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/%s", bus_attrs[i].name);
		err = view_add_attr(bus->view, path, &bus_attrs[i].attr, bus);
	}
	if (err)
		return err;
	bus->vfio = pci_driver_get(bus, PCI_DRIVER_VFIO);
	return bus->vfio ? 0 : -ENOMEM;
}

void pci_drivers_destroy(struct pci_bus *bus)
{
	struct pci_driver *drv;

	while ((drv = bus->drivers)) {
		bus->drivers = drv->next;
		free(drv->ids);
		free(drv);
	}
}
