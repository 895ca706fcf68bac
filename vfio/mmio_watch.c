/* SPDX-License-Identifier: MIT */
/*
 * See mmio_watch.h.
 *
 * Locks: scanner.lock (outermost: above device.memory) guards the list of devices and is
 * held over a look at them and what is told of it. watch.lock is a leaf: what is shown
 * and seen changes together. The thread sleeps under scanner.sleep, a leaf.
 *
 * Looking takes the device's memory lock for reading, which also keeps what is shown in
 * its place (bar_hide.h); only when something differs are the gate and watch.lock taken,
 * and registers read again. They are read from the last to the first, each an acquire:
 * whoever sees a doorbell rung sees what was written before it was.
 */
#include "vfio/mmio_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "vfio/device.h"
#include "vfio/thread.h"

/* After something has happened it looks without a break for so long, */
#define SPIN_NS 100000
/* and then after pauses that double, from the first to the second. */
#define PAUSE_MIN_NS 20000
#define PAUSE_MAX_NS 10000000
#define RELAX_ROUNDS 16
#define WORD         4u
#define CELLS_MAX    65536u

/* One register that clients write. */
struct cell {
	struct pci_bar *bar;
	uint64_t offset;
	unsigned size;
	bool changed;
	uint64_t value;
};

struct mmio_watch {
	struct list on_scanner;
	struct pci_device *dev;
	struct mmio_scanner *scanner;
	_Atomic bool active; /* a client may have mapped it */
	pthread_mutex_t lock;
	unsigned char *seen[UIOMMUFD_BARS];    /* as long as what is shown */
	unsigned char *watched[UIOMMUFD_BARS]; /* a bit for each word */
	size_t nr_cells;
	struct cell cells[];
};

struct mmio_scanner {
	struct machine *machine;
	pthread_mutex_t lock;
	struct list watches;
	pthread_t thread;
	pthread_mutex_t sleep;
	pthread_cond_t wake;
	_Atomic bool asleep, stop;
	_Atomic bool busy; /* something has happened, besides what the thread has seen */
	_Atomic unsigned active; /* how many watches are */
	bool may_spin;
	uint64_t last_busy, pause; /* ns; the thread's own */
};

bool mmio_is_watched(const struct pci_device *dev)
{
	return dev->desc.mmio == UIOMMUFD_MMIO_WATCH;
}

/* ---- words that others write meanwhile -------------------------------------------- */

static uint64_t get(const unsigned char *p, unsigned size)
{
	switch (size) {
	case 1:
		return __atomic_load_n(p, __ATOMIC_ACQUIRE);
	case 2:
		return __atomic_load_n((const uint16_t *)(const void *)p,
				       __ATOMIC_ACQUIRE);
	case 4:
		return __atomic_load_n((const uint32_t *)(const void *)p,
				       __ATOMIC_ACQUIRE);
	default:
		return __atomic_load_n((const uint64_t *)(const void *)p,
				       __ATOMIC_ACQUIRE);
	}
}

static void put(unsigned char *p, unsigned size, uint64_t value)
{
	switch (size) {
	case 1:
		__atomic_store_n(p, (uint8_t)value, __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((uint16_t *)(void *)p, (uint16_t)value,
				 __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((uint32_t *)(void *)p, (uint32_t)value,
				 __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n((uint64_t *)(void *)p, value, __ATOMIC_RELEASE);
		break;
	}
}

/* Store @value unless something else than @old is there. */
static bool replace(unsigned char *p, unsigned size, uint64_t old, uint64_t value)
{
	uint32_t old32 = (uint32_t)old;

	if (size == 4)
		return __atomic_compare_exchange_n((uint32_t *)(void *)p, &old32,
						   (uint32_t)value, false,
						   __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n((uint64_t *)(void *)p, &old, value, false,
					   __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static unsigned char *seen(const struct mmio_watch *w, const struct pci_bar *bar,
			   uint64_t offset)
{
	return w->seen[bar->index] + offset;
}

static bool is_watched(const struct mmio_watch *w, unsigned bar, uint64_t offset)
{
	return w->watched[bar][offset / WORD / 8] >> offset / WORD % 8 & 1;
}

/* ---- waking the thread ------------------------------------------------------------ */

static void happened(struct mmio_scanner *s)
{
	atomic_store(&s->busy, true);
	if (!atomic_load(&s->asleep))
		return;
	pthread_mutex_lock(&s->sleep);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->sleep);
}

void mmio_watch_begin(struct pci_device *dev)
{
	struct mmio_watch *w = dev->watch;

	if (!w)
		return;
	if (!atomic_exchange(&w->active, true))
		atomic_fetch_add(&w->scanner->active, 1);
	happened(w->scanner);
}

void mmio_watch_end(struct pci_device *dev)
{
	struct mmio_watch *w = dev->watch;

	if (w && atomic_exchange(&w->active, false))
		atomic_fetch_sub(&w->scanner->active, 1);
}

/* ---- the model's side ------------------------------------------------------------- */

enum uiommufd_mmio uiommufd_mmio_mode(struct uiommufd_device *api)
{
	return api->pci->desc.mmio;
}

/* With the lock held. A write that has not been told yet stays. True: it is news. */
static bool publish(struct mmio_watch *w, struct pci_bar *bar, uint64_t offset,
		    unsigned size, uint64_t value)
{
	unsigned char *last = seen(w, bar, offset);

	if (get(bar->shown + offset, size) == value)
		return false;
	if (size < WORD || !is_watched(w, bar->index, offset))
		put(bar->shown + offset, size, value);
	else if (replace(bar->shown + offset, size, get(last, size), value))
		put(last, size, value);
	return true;
}

void uiommufd_mmio_publish(struct uiommufd_device *api, unsigned index, uint64_t offset,
			   unsigned size, uint64_t value)
{
	struct pci_device *dev = api->pci;
	struct mmio_watch *w = dev->watch;
	struct pci_bar *bar;
	bool news;

	if (!w || index >= UIOMMUFD_BARS)
		return;
	bar = &dev->bars[index];
	if (!bar->shown || (size != 1 && size != 2 && size != 4 && size != 8) ||
	    offset % size || offset >= bar->size)
		return;
	pthread_mutex_lock(&w->lock);
	news = publish(w, bar, offset, size, value);
	pthread_mutex_unlock(&w->lock);
	if (news && atomic_load(&w->active))
		happened(w->scanner);
}

void mmio_watch_written(struct pci_bar *bar, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct mmio_watch *w = bar->dev->watch;

	if (!w || !bar->shown || size < WORD || !is_watched(w, bar->index, offset))
		return;
	pthread_mutex_lock(&w->lock);
	put(bar->shown + offset, size, value);
	put(seen(w, bar, offset), size, value);
	pthread_mutex_unlock(&w->lock);
}

void mmio_watch_clear(struct pci_device *dev)
{
	struct mmio_watch *w = dev->watch;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++) {
		struct pci_bar *bar = &dev->bars[i];

		if (!bar->shown)
			continue;
		for (uint64_t at = 0; at < bar->window.length; at += 8) {
			put(bar->shown + at, 8, 0);
			put(w->seen[i] + at, 8, 0);
		}
	}
	pthread_mutex_unlock(&w->lock);
}

/* ---- looking ---------------------------------------------------------------------- */

static bool differs(const struct mmio_watch *w, const struct cell *c)
{
	return get(c->bar->shown + c->offset, c->size) !=
	       get(seen(w, c->bar, c->offset), c->size);
}

static bool any_differs(const struct mmio_watch *w)
{
	for (size_t i = 0; i < w->nr_cells; i++)
		if (differs(w, &w->cells[i]))
			return true;
	return false;
}

static void take_changes(struct mmio_watch *w)
{
	pthread_mutex_lock(&w->lock);
	for (size_t i = w->nr_cells; i-- > 0;) {
		struct cell *c = &w->cells[i];
		unsigned char *last = seen(w, c->bar, c->offset);

		c->value = get(c->bar->shown + c->offset, c->size);
		c->changed = c->value != get(last, c->size);
		if (c->changed)
			put(last, c->size, c->value);
	}
	pthread_mutex_unlock(&w->lock);
}

/* Memory held for reading. */
static void tell_model(struct mmio_watch *w)
{
	struct pci_device *dev = w->dev;

	gate_enter(&dev->gate);
	take_changes(w);
	for (size_t i = 0; i < w->nr_cells; i++) {
		const struct cell *c = &w->cells[i];

		if (c->changed && dev->ops.mmio_write)
			dev->ops.mmio_write(dev->model, c->bar->index, c->offset, c->size,
					    c->value);
	}
	gate_leave(&dev->gate);
}

static bool look(struct mmio_watch *w)
{
	struct pci_device *dev = w->dev;
	bool told = false;

	if (!atomic_load(&w->active))
		return false;
	port_rwlock_read_lock(&dev->memory);
	if (dev->decoding && any_differs(w)) {
		tell_model(w);
		told = true;
	}
	port_rwlock_read_unlock(&dev->memory);
	return told;
}

static bool look_at_all(struct mmio_scanner *s)
{
	bool any = false;

	pthread_mutex_lock(&s->lock);
	list_for_each (it, &s->watches)
		any |= look(list_entry(it, struct mmio_watch, on_scanner));
	pthread_mutex_unlock(&s->lock);
	return any;
}

/* ---- the thread ------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool nothing_to_do(const struct mmio_scanner *s)
{
	return !atomic_load(&s->busy) && !atomic_load(&s->stop);
}

static void sleep_for(struct mmio_scanner *s, uint64_t ns)
{
	uint64_t until = now_ns() + ns;
	const struct timespec ts = {.tv_sec = (time_t)(until / 1000000000u),
				    .tv_nsec = (long)(until % 1000000000u)};
	int err = 0;

	pthread_mutex_lock(&s->sleep);
	atomic_store(&s->asleep, true);
	while (!err && nothing_to_do(s)) {
		if (atomic_load(&s->active))
			err = pthread_cond_timedwait(&s->wake, &s->sleep, &ts);
		else
			pthread_cond_wait(&s->wake, &s->sleep);
	}
	atomic_store(&s->asleep, false);
	pthread_mutex_unlock(&s->sleep);
}

static void wait_a_little(struct mmio_scanner *s)
{
	if (s->may_spin && now_ns() - s->last_busy < SPIN_NS) {
		for (unsigned i = 0; i < RELAX_ROUNDS; i++)
			cpu_relax();
		return;
	}
	sleep_for(s, s->pause);
	s->pause = s->pause * 2 < PAUSE_MAX_NS ? s->pause * 2 : PAUSE_MAX_NS;
}

static void *scanner_main(void *arg)
{
	struct mmio_scanner *s = arg;

	/* Or each pause takes 50 us more. */
	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	while (!atomic_load(&s->stop)) {
		bool busy = atomic_exchange(&s->busy, false);

		if (look_at_all(s) || busy) {
			s->last_busy = now_ns();
			s->pause = PAUSE_MIN_NS;
		} else {
			wait_a_little(s);
		}
	}
	return NULL;
}

static int scanner_create(struct machine *m, struct mmio_scanner **out)
{
	struct mmio_scanner *s = port_alloc(sizeof(*s));
	pthread_condattr_t attr;
	int err;

	if (!s)
		return -ENOMEM;
	s->machine = m;
	s->may_spin = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	s->pause = PAUSE_MIN_NS;
	list_init(&s->watches);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->sleep, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	err = thread_start(&s->thread, scanner_main, s);
	if (!err) {
		*out = s;
		return 0;
	}
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->sleep);
	pthread_mutex_destroy(&s->lock);
	port_free(s);
	return err;
}

static void scanner_destroy(struct mmio_scanner *s)
{
	atomic_store(&s->stop, true);
	happened(s);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->sleep);
	pthread_mutex_destroy(&s->lock);
	port_free(s);
}

/* ---- making and end --------------------------------------------------------------- */

static const char *check_watched(const struct uiommufd_device_desc *d,
				 const struct uiommufd_watched *r)
{
	uint64_t last;

	if (r->bar >= UIOMMUFD_BARS || !d->bars[r->bar].size ||
	    d->bars[r->bar].flags & (UIOMMUFD_BAR_IO | UIOMMUFD_BAR_MEMORY))
		return "not in a BAR of registers";
	if ((r->size != 4 && r->size != 8) || r->offset % r->size || r->stride % r->size)
		return "a register is of 4 or 8 bytes and aligned";
	if (!r->count || r->count > CELLS_MAX || (r->count > 1 && r->stride < r->size))
		return "no registers, or one in another";
	if (__builtin_mul_overflow(r->count - 1, r->stride, &last) ||
	    __builtin_add_overflow(last, r->offset, &last) ||
	    last > d->bars[r->bar].size - r->size)
		return "outside of the BAR";
	return NULL;
}

static int count_cells(const struct uiommufd_device_desc *d, size_t *n, char *error,
		       size_t cap)
{
	*n = 0;
	for (unsigned i = 0; i < d->nr_watched; i++) {
		const char *wrong = check_watched(d, &d->watched[i]);

		if (wrong) {
			snprintf(error, cap, "watched registers, entry %u: %s", i, wrong);
			return -EINVAL;
		}
		*n += d->watched[i].count;
	}
	if (*n)
		return 0;
	snprintf(error, cap,
		 "mmio=watch: the model has no registers that can be watched");
	return -EINVAL;
}

static void fill_cells(struct mmio_watch *w)
{
	const struct uiommufd_device_desc *d = &w->dev->desc;
	struct cell *c = w->cells;

	for (unsigned i = 0; i < d->nr_watched; i++) {
		const struct uiommufd_watched *r = &d->watched[i];

		for (unsigned k = 0; k < r->count; k++, c++) {
			c->bar = &w->dev->bars[r->bar];
			c->offset = r->offset + k * r->stride;
			c->size = r->size;
			for (unsigned at = 0; at < r->size; at += WORD) {
				uint64_t word = (c->offset + at) / WORD;

				w->watched[r->bar][word / 8] |= 1u << word % 8;
			}
		}
	}
}

static int alloc_maps(struct mmio_watch *w)
{
	const struct uiommufd_device_desc *d = &w->dev->desc;

	for (unsigned i = 0; i < UIOMMUFD_BARS; i++) {
		size_t n = d->bars[i].size;

		if (!n || d->bars[i].flags & (UIOMMUFD_BAR_IO | UIOMMUFD_BAR_MEMORY))
			continue;
		n = (n + PORT_PAGE_SIZE - 1) & ~(size_t)(PORT_PAGE_SIZE - 1);
		w->seen[i] = port_alloc(n);
		w->watched[i] = port_alloc(n / WORD / 8);
		if (!w->seen[i] || !w->watched[i])
			return -ENOMEM;
	}
	return 0;
}

static int join(struct mmio_watch *w)
{
	struct machine *m = w->dev->machine;
	int err = m->scanner ? 0 : scanner_create(m, &m->scanner);

	if (err)
		return err;
	w->scanner = m->scanner;
	pthread_mutex_lock(&w->scanner->lock);
	list_append(&w->scanner->watches, &w->on_scanner);
	pthread_mutex_unlock(&w->scanner->lock);
	return 0;
}

void mmio_watch_leave(struct pci_device *dev)
{
	struct mmio_watch *w = dev->watch;
	struct mmio_scanner *s = w ? w->scanner : NULL;
	bool last;

	if (!s)
		return;
	mmio_watch_end(dev);
	pthread_mutex_lock(&s->lock);
	list_remove(&w->on_scanner);
	last = list_empty(&s->watches);
	pthread_mutex_unlock(&s->lock);
	w->scanner = NULL;
	if (!last)
		return;
	s->machine->scanner = NULL;
	scanner_destroy(s);
}

int mmio_watch_create(struct pci_device *dev, char *error, size_t cap)
{
	struct mmio_watch *w;
	size_t n;
	int err;

	if (!mmio_is_watched(dev))
		return 0;
	err = count_cells(&dev->desc, &n, error, cap);
	if (err)
		return err;
	w = port_alloc(sizeof(*w) + n * sizeof(w->cells[0]));
	if (!w)
		return -ENOMEM;
	w->dev = dev;
	w->nr_cells = n;
	pthread_mutex_init(&w->lock, NULL);
	dev->watch = w;
	err = alloc_maps(w);
	if (err)
		return err;
	fill_cells(w);
	return join(w);
}

void mmio_watch_destroy(struct pci_device *dev)
{
	struct mmio_watch *w = dev->watch;

	if (!w)
		return;
	dev->watch = NULL;
	for (unsigned i = 0; i < UIOMMUFD_BARS; i++) {
		port_free(w->seen[i]);
		port_free(w->watched[i]);
	}
	pthread_mutex_destroy(&w->lock);
	port_free(w);
}
