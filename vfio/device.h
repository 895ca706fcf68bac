/* SPDX-License-Identifier: MIT */
/*
 * Inside the room: struct pci_device and what its files offer each other. Locks and their
 * order are in pci_device.h; the comment at each member says which one guards it.
 */
#ifndef VFIO_DEVICE_H
#define VFIO_DEVICE_H

#include "core/port.h"
#include "core/range_map.h"
#include "machine/machine.h"
#include "uapi/table.h"
#include "uapi/vfile.h"
#include "uiommufd/abi/vfio.h"
#include "vfio/bar_hide.h"
#include "vfio/gate.h"
#include "vfio/mmio_watch.h"
#include "vfio/pci_device.h"
#include "vfio/signal.h"
#include "vfio/sriov.h"
#include "vfio/watch.h"

#define CONFIG_BYTES     4096u
#define MSIX_MAX_VECTORS 2048u
#define MSIX_ENTRY_BYTES 16u

/* A BAR. Constant after creation, but for the bytes of the memory. */
struct pci_bar {
	struct pci_device *dev;
	unsigned index;
	unsigned flags;       /* enum uiommufd_bar_flags */
	uint64_t size;        /* 0: absent, or the upper half of a 64-bit BAR */
	uint64_t address;     /* SPA, or an I/O port */
	unsigned char *bytes; /* UIOMMUFD_BAR_MEMORY: its memory; else NULL */
	unsigned char *shown; /* watched registers: what clients see; else NULL */
	struct phys_window window;
	bool has_window;
};

/*
 * The configuration space, byte by byte. What a client reads is `hw`, the function's own,
 * but for the bits that are virtual, which are in `virt`. Of what it writes the bits in
 * `user` count; they go to `virt` or to `hw`, which takes those in hw_write, and clears
 * those in hw_clear that are written as 1.
 */
struct pci_config {
	uint8_t hw[CONFIG_BYTES], virt[CONFIG_BYTES];
	/* Constant. The initial ones: at power-on and at each bind. */
	uint8_t hw_initial[CONFIG_BYTES], virt_initial[CONFIG_BYTES];
	uint8_t is_virtual[CONFIG_BYTES], user[CONFIG_BYTES];
	uint8_t hw_write[CONFIG_BYTES], hw_clear[CONFIG_BYTES];
	/* Offsets of capabilities; 0: it has none. Constant. */
	unsigned pm, msi, exp, msix, af;
	unsigned last_ext, free_ext; /* while it is built: the chain's end, and of all */
};

#define IRQ_NONE VFIO_PCI_NUM_IRQS

/* INTx: the line is level-triggered, and masked as soon as the client was told. */
struct pci_intx {
	bool asserted;
	bool masked;   /* while it is the way that is enabled */
	bool disabled; /* COMMAND.INTx_Disable, as the client sees it */
	bool asleep;   /* the function is in low power */
	int trigger;
	struct watch *unmask; /* an eventfd that unmasks; NULL: none */
};

/* MSI's vectors that are masked, bit by bit (irq_msi.c). */
struct pci_msi_masks {
	uint32_t mask, pending; /* the function's registers */
	uint32_t linux_mask;    /* what Linux would write to the mask */
};

/*
 * Who is told of interrupts. All eventfds are duplicates of ours; -1: nobody. Of INTx,
 * MSI and MSI-X at most one is enabled.
 */
struct pci_irqs {
	struct port_mutex lock; /* a leaf */
	unsigned type;          /* VFIO_PCI_*_IRQ_INDEX of what is enabled, or IRQ_NONE */
	struct pci_intx intx;
	int *vectors;     /* of MSI or MSI-X */
	unsigned enabled; /* MSI: how many there are, from 0 on */
	struct pci_msi_masks msi;
	unsigned msi_log; /* the most that MSI's Multiple Message Enable may say */
	int err, req;
	struct signaller signaller;
};

/* What waits for pages (page_request.c). */
struct page_requests {
	pthread_mutex_t lock; /* a leaf; guards the rest */
	pthread_cond_t changed;
	bool enabled;      /* the device is a bus master */
	uint64_t disabled; /* how often it was no more */
	unsigned asking;   /* calls into iommufd */
	struct list waits;
};

/* vfio-pci's hold on the function (driver.c). */
struct driver_hold {
	pthread_mutex_t lock; /* a leaf */
	pthread_cond_t closed;
	bool bound;     /* lock: it can be opened */
	unsigned opens; /* lock */
};

/* Which pages the device's DMA has written (dma_log.c). */
struct dma_log {
	struct port_mutex lock; /* a leaf */
	_Atomic bool on;        /* changes under the lock */
	bool broken;            /* something is missing */
	struct range_map ranges, blocks;
};

struct export_set;
struct vfio_group;

/* The handle that models have. */
struct uiommufd_device {
	struct pci_device *pci;
	/* During create: where uiommufd_device_error() writes. */
	char *error;
	size_t error_cap;
};

struct pci_device {
	struct machine *machine;
	struct pci_placement place;
	char label[48]; /* the path of its node */

	struct uiommufd_device api;
	struct uiommufd_device_desc desc; /* @mmio: as the user has it */
	struct uiommufd_device_ops ops;
	void *model; /* NULL until the model's create succeeded */

	int storage_fd; /* the memory file of the BARs */
	int hidden_fd;  /* memory: keeps what is in it while it is hidden; else -1 */
	bool mapped;    /* memory: a client has mapped something of it */
	struct pci_bar bars[UIOMMUFD_BARS];
	struct pci_bar rom; /* size 0: none */

	struct dma_requester requester;
	struct port_mutex channels_lock; /* a leaf but for page_requests and domains */
	struct list channels;
	struct list pasids;  /* requesters.c */
	unsigned pasid_bits; /* of its own; 0: it has none; constant */
	struct page_requests page_requests;
	struct port_mutex workers_lock; /* inside gate's callers: held while all pause */
	struct list workers;

	struct pci_sriov sriov;
	struct vfio_group *group; /* constant */
	struct driver_hold driver;
	struct port_mutex bind;
	struct vfio_file *owner; /* bind: the open of the node that is bound; NULL */
	unsigned group_opens;    /* bind: opens by the group; owner is NULL then */
	struct iommufd_device *iommufd;
	struct iommufd_ctx *ctx; /* to compare; the binding keeps it alive */
	uint32_t devid;
	struct iommufd_device_info info;

	struct port_mutex config_lock;
	struct pci_config config;

	struct port_rwlock memory;
	bool decoding;    /* memory: BARs answer (COMMAND.Memory and D0) */
	bool io_decoding; /* memory: the same for I/O BARs */
	/* memory: between LOW_POWER_ENTRY and EXIT; read without as a hint */
	_Atomic bool low_power;
	bool asleep;    /* config_lock and memory: and in D3hot for it (low_power.c) */
	unsigned awake; /* config_lock: calls that keep it awake */
	int wake_fd;    /* memory: eventfd to signal when low power ends by itself; -1 */
	struct export_set *exports;

	struct gate gate;
	struct mmio_watch *watch; /* NULL: registers are not watched; constant */
	struct pci_irqs irqs;
	struct watcher watcher;

	struct dma_log log;

	struct port_mutex ioeventfds_lock;
	struct list ioeventfds;
	unsigned nr_ioeventfds;
};

/* ---- bars.c: the BARs' memory, windows and registers ---------------------------- */

int bars_create(struct pci_device *dev, char *error, size_t cap);
void bars_destroy(struct pci_device *dev);
/*
 * Access by a client: @n bytes at @offset, inside the BAR, register BARs in naturally
 * aligned pieces of up to 8 bytes. -EIO: memory decoding is off.
 */
int bar_read(struct pci_bar *bar, uint64_t offset, void *dst, size_t n);
int bar_write(struct pci_bar *bar, uint64_t offset, const void *src, size_t n);
/*
 * 64 bytes at an offset that 64 divides, at once if the model can. *@accepted: it took
 * them. Register BARs only.
 */
int bar_write_64(struct pci_bar *bar, uint64_t offset, const void *src, bool deferrable,
		 bool *accepted);
/* The largest power of two, at most 8, that divides @offset and is not above @left. */
size_t bar_unit(uint64_t offset, uint64_t left);

/* ---- rom.c: the expansion ROM ----------------------------------------------------- */

int rom_create(struct pci_device *dev);
void rom_destroy(struct pci_device *dev);

/* ---- config.c: accesses ----------------------------------------------------------- */

ssize_t config_read(struct pci_device *dev, struct client *c, uint64_t va, size_t n,
		    uint64_t offset);
ssize_t config_write(struct pci_device *dev, struct client *c, uint64_t va, size_t n,
		     uint64_t offset);
/* All with config_lock held. */
bool config_memory_enabled(const struct pci_device *dev);
bool config_io_enabled(const struct pci_device *dev);
bool config_master_enabled(const struct pci_device *dev);
unsigned config_power(const struct pci_device *dev);
void config_set_power(struct pci_device *dev, unsigned state);
/* The low bits of its register. */
unsigned config_bar_flags(const struct pci_bar *bar);
void config_restart(struct pci_device *dev);

/* ---- config_caps.c, config_ext.c: what is in it ----------------------------------- */

/* -EINVAL with a message: the description cannot be met. */
int config_create(struct pci_device *dev, char *error, size_t cap);
int config_add_ext_caps(struct pci_device *dev, char *error, size_t cap);
/*
 * Append an extended capability whose registers take @size bytes, header included; the
 * header is filled in, the registers are read-only zeroes. @offset: where, or 0. The
 * offset, or 0: there is no room.
 */
unsigned config_ext_cap(struct pci_device *dev, unsigned id, unsigned version,
			unsigned size, unsigned offset);

static inline void config_put16(uint8_t *p, unsigned v)
{
	p[0] = v & 0xff;
	p[1] = v >> 8 & 0xff;
}

static inline void config_put32(uint8_t *p, uint32_t v)
{
	config_put16(p, v & 0xffff);
	config_put16(p + 2, v >> 16);
}

static inline unsigned config_get16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

/* ---- reset.c: whatever takes the device's memory away --------------------------- */

/*
 * Cut: no access to the device's memory from outside is possible any more, and dma-bufs
 * are revoked. Uncut: decoding becomes what the configuration space says; if it is on,
 * dma-bufs can be mapped again. Both with config_lock, and memory held for writing.
 */
void reset_cut(struct pci_device *dev);
void reset_uncut(struct pci_device *dev);
/* Follow COMMAND.BusMaster and the power state; with config_lock held, not memory. */
void reset_update_master(struct pci_device *dev);
/* Is there any way to reset it? */
bool reset_possible(const struct pci_device *dev);
/* The function is reset and keeps its configuration. With config_lock held. */
void reset_function(struct pci_device *dev);
/* Its steps, for several devices at once. With config_lock held; begin locks memory. */
void reset_begin(struct pci_device *dev);
void reset_model(struct pci_device *dev, enum uiommufd_reset kind);
void reset_end(struct pci_device *dev);
/* Enable it for a client that has just bound it; and the end of that. */
void reset_enable(struct pci_device *dev);
void reset_disable(struct pci_device *dev);
long reset_ioctl(struct uapi_call *call);

/* ---- low_power.c ---------------------------------------------------------------- */

/* @wake_fd: an eventfd of ours, taken over on success; or -1. -EINVAL: it is entered. */
int low_power_enter(struct pci_device *dev, int wake_fd);
void low_power_exit(struct pci_device *dev);
/* It is over, with config_lock, and memory held for writing. */
void low_power_forget(struct pci_device *dev);
/*
 * A client's call begins, and ends: the function is awake in between. Without a lock.
 * What begin answers is for end.
 */
bool low_power_begin(struct pci_device *dev);
void low_power_end(struct pci_device *dev, bool begun);
/* The same, whatever it is in now. */
void low_power_hold(struct pci_device *dev);
void low_power_release(struct pci_device *dev);

/* ---- hot_reset.c ---------------------------------------------------------------- */

/* Can the bus it is on be reset as a whole, and is it alone there? */
bool hot_reset_has_bus(const struct pci_device *dev);
bool hot_reset_alone(const struct pci_device *dev);
long hot_reset_info_ioctl(struct uapi_call *call);
long hot_reset_ioctl(struct uapi_call *call);

/* ---- region.c ------------------------------------------------------------------- */

long region_info_ioctl(struct uapi_call *call);
ssize_t region_pread(struct pci_device *dev, struct client *c, uint64_t va, size_t n,
		     uint64_t offset);
ssize_t region_pwrite(struct pci_device *dev, struct client *c, uint64_t va, size_t n,
		      uint64_t offset);
int region_mmap(struct pci_device *dev, uint64_t offset, uint64_t length, int flags);

/* Does a mapping of the BAR have no memory, and each access fault? */
bool region_faults(const struct pci_bar *bar);

/* ---- irq.c, irq_intx.c ------------------------------------------------------------ */

int irq_create(struct pci_device *dev);
void irq_destroy(struct pci_device *dev);
long irq_info_ioctl(struct uapi_call *call);
long irq_set_ioctl(struct uapi_call *call);
/* What is enabled: the type, and the limit of MSI's Multiple Message Enable. */
unsigned irq_type(struct pci_device *dev, unsigned *msi_log);
/* The client is asked to let go of the device. */
void irq_request(struct pci_device *dev);
/* Nobody is told any more. */
void irq_disable(struct pci_device *dev);

/* A request of VFIO_DEVICE_SET_IRQS, and a copy of its data (bools or fds, or NULL). */
struct irq_request {
	struct pci_device *dev;
	struct client *client;
	const void *data;
	struct vfio_irq_set set;
	/* What the caller removes when it has let go of the lock, if there is anything.
	 */
	struct watch **gone;
};

/* Does it ask for its number @i, by DATA_NONE or DATA_BOOL? */
bool irq_fires(const struct irq_request *r, uint32_t i);
/* Give a place to an eventfd of ours, or -1; the former one is closed. */
void irq_replace(int *slot, int fd);
/* All with the lock held. */
int intx_trigger(const struct irq_request *r);
int intx_mask(const struct irq_request *r);
int intx_unmask(const struct irq_request *r);
/*
 * Forget an unmasking eventfd that no client has open any more, as Linux does when it is
 * closed. Without the lock. True: there was one.
 */
bool intx_forget_unmask(struct pci_device *dev);
/* The watch that is left is the caller's to remove, without the lock. */
struct watch *intx_disable(struct pci_device *dev);

/* MSI's masks: irq_msi.c. With the lock held: is the vector's message to wait? */
bool msi_holds(struct pci_device *dev, unsigned vector);
/* MSI was enabled, with no eventfd so far; a vector has one, or none; it was disabled. */
void msi_enabled(struct pci_device *dev);
void msi_vector_used(struct pci_device *dev, unsigned vector, bool used);
void msi_disabled(struct pci_device *dev);
/* Without the lock. The function was reset. */
void msi_reset(struct pci_device *dev);
void msi_read_masks(struct pci_device *dev, uint32_t *mask, uint32_t *pending);
/* A client writes @bits of the mask. */
void msi_write_mask(struct pci_device *dev, uint32_t value, uint32_t bits);

/* COMMAND.INTx_Disable as a client has written it. With config_lock held. */
void intx_set_disabled(struct pci_device *dev, bool disabled);
/* The function goes into low power, or comes back. */
void intx_sleep(struct pci_device *dev, bool asleep);
/* What STATUS and the function's own COMMAND say of it. */
bool intx_asserted(struct pci_device *dev);
bool intx_blocked(struct pci_device *dev);

/*
 * The client's eventfd as one of ours that irq_signal() takes; the caller closes it.
 * -EBADF, -EINVAL; -ENOMEM, -EAGAIN, -ENOSYS: it could not be signalled safely.
 */
int irq_get_eventfd(struct pci_device *dev, struct client *c, int fd);
/* Add 1 to it, unless it is -1; never blocks. */
void irq_signal(struct pci_device *dev, int fd);

/* ---- ioeventfd.c ------------------------------------------------------------------ */

long ioeventfd_ioctl(struct uapi_call *call);
/* The client is gone. Not with device.memory held. */
void ioeventfd_disable(struct pci_device *dev);

/* ---- driver.c -------------------------------------------------------------------- */

int driver_init(struct driver_hold *d);
void driver_finish(struct driver_hold *d);
/* An open of the function begins: -ENODEV: it is not bound to vfio-pci; and ends. */
int driver_open(struct pci_device *dev);
void driver_close(struct pci_device *dev);
/* ---- direct.c --------------------------------------------------------------------- */

/* The device is made, and in its group: what its direct memory means for that. */
void direct_join(struct pci_device *dev);

/* ---- dma_log.c -------------------------------------------------------------------- */

void dma_log_init(struct dma_log *log);
void dma_log_finish(struct dma_log *log);
/* The device has written [iova, iova + n). */
void dma_log_note(struct dma_log *log, uint64_t iova, uint64_t n);
void dma_log_stop(struct dma_log *log);
/* START, STOP and REPORT: @va is the data, @n what argsz leaves for it. */
long dma_log_feature(struct pci_device *dev, struct client *c, uint32_t flags,
		     uint64_t va, size_t n);

/* ---- device_api.c --------------------------------------------------------------- */

void channels_destroy(struct pci_device *dev);
/* All of the device's workers, as uiommufd_worker_pause(); a pair for one thread. */
void workers_pause(struct pci_device *dev);
void workers_resume(struct pci_device *dev);

/* ---- requesters.c --------------------------------------------------------------- */

/* iommufd_device_info.pasid_requester */
struct dma_requester *requester_of_pasid(const struct iommufd_device_info *info,
					 uint32_t pasid);
/* NULL: no memory. Given back, with channels_lock held, when the channel goes. */
struct dma_requester *requester_for_channel(struct pci_device *dev, uint32_t pasid);
void requester_channel_gone(struct pci_device *dev, uint32_t pasid);
/* The function and its PASIDs. Off waits until no access is in flight, and whoever waits
 * for a page gives up. With config_lock held. */
void requesters_set_master(struct pci_device *dev, bool on);
/* Forget PASIDs without channels; none is attached. With config_lock held. */
void requesters_trim(struct pci_device *dev);

/* ---- page_request.c ------------------------------------------------------------- */

void page_requests_init(struct page_requests *p);
void page_requests_finish(struct page_requests *p);
/* While not enabled nothing is asked for. */
void page_requests_enable(struct pci_device *dev, bool on);
/* iommufd_device_info.page_answer */
void page_request_answered(const struct iommufd_device_info *info,
			   const struct iommufd_page_request *last,
			   enum iommufd_page_answer answer);
/* Ask for the page that the fault misses, and wait. True: try again. Outside of any DMA
 * section. */
bool page_request(struct pci_device *dev, uint32_t pasid, const struct dma_fault *f);

/* ---- exporter.c ----------------------------------------------------------------- */

int exports_create(struct export_set **out);
void exports_put(struct export_set *set);
/* All with memory held for writing. */
void exports_revoke(struct export_set *set);
void exports_restore(struct export_set *set);
void exports_orphan(struct export_set *set);
/* VFIO_DEVICE_FEATURE_DMA_BUF: @va is the data, @n what argsz leaves for it. */
long exports_feature(struct pci_device *dev, struct client *c, uint32_t flags,
		     uint64_t va, size_t n);

/*
 * A dma-buf over what a client's mapping of the BAR shows, the rest of the BAR's last
 * page included.
 */
int exports_slice(const struct pci_bar *bar, uint64_t offset, uint64_t length,
		  struct dmabuf **out);

/* ---- dmabuf_file.c -------------------------------------------------------------- */

/* Takes the reference to @buf over, also on failure. */
int dmabuf_file_create(struct dmabuf *buf, struct vfile **out);

/* ---- feature.c ------------------------------------------------------------------ */

long feature_ioctl(struct uapi_call *call);
/* 1: go on and do it; else the answer. */
int feature_check(uint32_t flags, size_t n, uint32_t supported, size_t min);

/* ---- cdev.c --------------------------------------------------------------------- */

/* An open of the device: of its node, or by its group. */
struct vfio_file {
	struct vfile f;
	struct pci_device *dev;
	_Atomic bool bound; /* set under device.bind; never goes back */
	/* By its group: the open of the group's node, with a reference; else NULL. */
	struct vfile *group_file;
};

struct pci_device *vfio_device_of(struct uapi_call *call);
/* Was the device opened by its group? */
bool vfio_by_group(struct uapi_call *call);
/*
 * Another open of the device by its group, whose lock is held and keeps cdevs from being
 * bound. Takes a reference to @group_file. The first open enables the device, and binds
 * and attaches it if the group is in an iommufd; @ctx: that, or NULL.
 */
int cdev_open_by_group(struct pci_device *dev, struct vfile *group_file,
		       struct iommufd_ctx *ctx, struct vfile **out);
long cdev_bind(struct uapi_call *call);
long cdev_attach(struct uapi_call *call);
long cdev_detach(struct uapi_call *call);
long cdev_info(struct uapi_call *call);

/* ---- cdev_table.c --------------------------------------------------------------- */

extern const struct uapi_table vfio_device_table;

#endif
