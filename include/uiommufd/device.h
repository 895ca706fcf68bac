/* SPDX-License-Identifier: MIT */
/*
 * The device API: write a PCI device of your own.
 *
 * A device model is a description (ids, BARs, capabilities) and a few operations. The
 * machine gives it a PCI function: configuration space, BARs, MSI-X, reset, and DMA
 * through the IOMMU exactly as the client has set it up.
 *
 * Threads. The callbacks for registers and reset are called by the threads that serve
 * clients, one at a time for a device (the device's register lock is held). A model
 * that works on its own time starts a worker. DMA functions may be called from the
 * worker and from the callbacks; they never take the register lock.
 *
 * Reset: `reset` is called after every path to the device's memory has been cut. It
 * must stop the device's own DMA and bring registers to their power-on values. Returns
 * when the device is quiet.
 *
 * Lengths and offsets are bytes. Errors are negative errnos.
 */
#ifndef UIOMMUFD_DEVICE_H
#define UIOMMUFD_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is declared here is what the library exports. */
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define UIOMMUFD_BARS 6

enum uiommufd_bar_flags {
	UIOMMUFD_BAR_64BIT = 1 << 0, /* takes the next BAR's slot as well */
	UIOMMUFD_BAR_PREFETCH = 1 << 1,
	UIOMMUFD_BAR_IO = 1 << 2,
	/*
	 * Plain memory: clients may map it, the model reaches it by
	 * uiommufd_bar_memory(), and no callback sees accesses. Without it the BAR is
	 * registers: every access is an mmio callback.
	 */
	UIOMMUFD_BAR_MEMORY = 1 << 3,
};

struct uiommufd_bar {
	uint64_t size; /* 0: absent; else a power of two, >= 16 */
	unsigned flags;
};

enum uiommufd_reset {
	UIOMMUFD_RESET_POWER_ON, /* once, before the first client */
	UIOMMUFD_RESET_FUNCTION, /* FLR, however it was asked for */
	UIOMMUFD_RESET_POWER,    /* D3hot to D0 without No_Soft_Reset */
};

/*
 * How clients reach the registers, that is, BARs that are neither memory nor I/O ports.
 * pread and pwrite of them are callbacks in every mode. The model says what its usual
 * drivers need; the user may say otherwise (the device option mmio=).
 */
enum uiommufd_mmio {
	/* They cannot be mapped. */
	UIOMMUFD_MMIO_TRAP,
	/*
	 * They can be mapped and are plain memory there: clients read what the model
	 * publishes, and of the registers that it names, changes are noticed and become
	 * mmio_write callbacks, within microseconds while there is something going on. As
	 * fast as memory, but not exact: reads have no effects, a write of the value that
	 * is there already is not noticed, and of several in a row maybe only the last.
	 */
	UIOMMUFD_MMIO_WATCH,
	/*
	 * They can be mapped, and each access of the CPU faults and becomes a callback:
	 * exact, and some ten microseconds an access. For programs under `uiommufd run`
	 * on x86-64; in the library such registers are trapped.
	 */
	UIOMMUFD_MMIO_FAULT,
};

/* @count registers of @size bytes (4 or 8, aligned), @stride bytes from one to the next.
 */
struct uiommufd_watched {
	unsigned bar;
	uint64_t offset;
	unsigned size, count;
	uint64_t stride; /* any, if there is one */
};

struct uiommufd_device;
struct uiommufd_worker;

/*
 * A PCI Express extended capability. Its registers are read-only, but for the error
 * registers of AER, which the machine serves as hardware does. (vfio-pci does not show
 * its clients every capability: PASID is one that it hides.)
 *
 * Three of them say what the device's DMA can do, if its IOMMU can, too: PASID (0x1b) how
 * many bits its PASIDs have; ATS and PRI (0x0f, 0x13) together that it asks for pages it
 * finds no translation for, and waits for them (the DMA functions do).
 */
struct uiommufd_ext_cap {
	uint16_t id;
	uint8_t version;
	uint16_t offset;   /* 4-aligned, above the one before; 0: where there is room */
	uint16_t size;     /* of what follows the header of 4 bytes; a multiple of 4 */
	const void *bytes; /* `size` of them; NULL: zeroes */
};

#define UIOMMUFD_VFS_MAX 64

struct uiommufd_model;
struct uiommufd_option;

/*
 * SR-IOV: the device is a physical function and can have virtual ones. They come and go
 * as the user says (sriov_numvfs in sysfs); each is a device of its own, made by the
 * model
 * @vf. VF i has the device's routing ID + offset + i * stride.
 */
struct uiommufd_sriov {
	unsigned total;          /* 1 to UIOMMUFD_VFS_MAX */
	uint16_t offset, stride; /* not 0; stride may be if there is but one */
	const struct uiommufd_model *vf;
	const struct uiommufd_option *vf_options;
	size_t nr_vf_options;
};

/*
 * What the model tells of itself; copied. What pointers point to (rom, ext_caps and their
 * bytes, sriov) stays the model's and unchanged for the device's whole life.
 */
struct uiommufd_device_desc {
	uint16_t vendor_id, device_id;
	uint16_t subsystem_vendor_id, subsystem_id;
	uint32_t class_code; /* 24 bits: class, subclass, programming interface */
	uint8_t revision;
	struct uiommufd_bar bars[UIOMMUFD_BARS];
	/* MSI-X: 0 vectors means no capability. Table and PBA lie in a register BAR; the
	 * machine serves their bytes, the model never sees accesses to them. */
	unsigned msix_vectors; /* <= 2048 */
	unsigned msix_bar;
	uint32_t msix_table_offset, msix_pba_offset; /* 8-aligned */
	unsigned msi_vectors;  /* 0: no MSI capability; else a power of two <= 32 */
	/* ... which can be masked one by one: a masked vector's message is pending. */
	bool msi_masks;
	uint8_t interrupt_pin; /* 0: no INTx; 1 to 4: INTA# to INTD# */
	bool flr;           /* has Function Level Reset, by its PCI Express capability */
	bool af;            /* the same by an Advanced Features capability */
	bool pm;            /* has a power-management capability (D0, D3hot) */
	bool no_soft_reset; /* ... and is not reset on its way back from D3hot */
	const void *rom;    /* the image of an expansion ROM; NULL: none */
	size_t rom_size;
	const struct uiommufd_ext_cap *ext_caps; /* in the order of the chain */
	unsigned nr_ext_caps;
	const struct uiommufd_sriov *sriov; /* NULL: no virtual functions */
	/* VFIO_DEVICE_FEATURE_DMA_LOGGING: clients are told which pages its DMA wrote. */
	bool dma_logging;
	/*
	 * Registers of the model in configuration space that belong to no capability, at
	 * [config_offset, config_offset + config_size), both 4-aligned: the callbacks
	 * config_read and config_write serve them. 0 bytes: none.
	 */
	uint16_t config_offset, config_size;
	enum uiommufd_mmio mmio; /* unless the user says otherwise */
	/*
	 * What is looked at in UIOMMUFD_MMIO_WATCH. Where several have changed, the model
	 * is told in this order: what starts something comes last. 0: the model cannot be
	 * watched.
	 */
	const struct uiommufd_watched *watched;
	unsigned nr_watched;
};

struct uiommufd_device_ops {
	/* All but `destroy` may be NULL. @model: what create gave. */
	void (*destroy)(void *model);
	void (*reset)(void *model, enum uiommufd_reset kind);
	/* 1, 2, 4 or 8 bytes, naturally aligned, inside the BAR. Little-endian value. */
	uint64_t (*mmio_read)(void *model, unsigned bar, uint64_t offset, unsigned size);
	void (*mmio_write)(void *model, unsigned bar, uint64_t offset, unsigned size,
			   uint64_t value);
	/*
	 * 64 bytes at once, to an offset that 64 divides: movdir64b, a pwrite of 64 bytes
	 * or a peer's write of as many, or, @deferrable, enqcmd. False: not accepted,
	 * which enqcmd is told and other writers are not. NULL: eight mmio_writes of 8
	 * bytes, in order; enqcmd is not accepted.
	 */
	bool (*mmio_write_64)(void *model, unsigned bar, uint64_t offset,
			      const void *bytes, bool deferrable);
	/*
	 * The model's registers in configuration space (desc.config_offset); 1, 2 or 4
	 * bytes, naturally aligned; @offset counts from the start of configuration space.
	 * Without them the registers read as zero.
	 */
	uint32_t (*config_read)(void *model, unsigned offset, unsigned size);
	void (*config_write)(void *model, unsigned offset, unsigned size, uint32_t value);
	/*
	 * Of a device with SR-IOV: its first @n virtual functions are about to be enabled,
	 * or 0: all of them have been disabled, nobody uses them any more. Not called
	 * while a client's access is under way to any of them.
	 */
	void (*vfs)(void *model, unsigned n);
};

/* A name=value option given by the user ("vram=1G"). */
struct uiommufd_option {
	const char *name;
	const char *value;
};

struct uiommufd_model {
	const char *name;    /* as in --device NAME,... */
	const char *summary; /* one line for --help */
	const char *options; /* "vram=SIZE (16M)", one a line; may be NULL */
	/*
	 * Make a device: fill in @desc and @ops, store the state in *@model. @dev can be
	 * kept, but only its identity may be used before the first reset. -EINVAL with a
	 * message through uiommufd_device_error() for bad options.
	 */
	int (*create)(struct uiommufd_device *dev, const struct uiommufd_option *options,
		      size_t n, struct uiommufd_device_desc *desc,
		      struct uiommufd_device_ops *ops, void **model);
};

/* Say why create failed, in one line; the device's address is put before it. */
void uiommufd_device_error(struct uiommufd_device *dev, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Of a virtual function: the model of its physical one, which outlives it, and its number
 * to *@index. NULL: the device is no virtual function.
 */
void *uiommufd_pf_model(struct uiommufd_device *vf, unsigned *index);

/* "4096", "64K", "16M", "1G": bytes. -EINVAL, -ERANGE. */
int uiommufd_parse_size(const char *text, uint64_t *bytes);

/* ---- memory ------------------------------------------------------------------- */

/*
 * The first byte of a UIOMMUFD_BAR_MEMORY BAR; valid for the device's whole life. To be
 * touched from callbacks and from workers only: both rest while the memory behind it is
 * exchanged, as it is when memory decoding is switched with mappings there.
 */
void *uiommufd_bar_memory(struct uiommufd_device *dev, unsigned bar);

/* ---- watched registers ---------------------------------------------------------- */

/* How clients reach the registers, the user's wish included. Not before create is over.
 */
enum uiommufd_mmio uiommufd_mmio_mode(struct uiommufd_device *dev);

/*
 * UIOMMUFD_MMIO_WATCH: from now on clients read @value in the register: 1, 2, 4 or 8
 * bytes, aligned. A register that clients write is left as it is if one has written it
 * and the model has not been told yet. Before an interrupt that tells of it; and what is
 * read first last. After a reset all registers are zero until they are published. In
 * other modes nothing happens. From any thread.
 */
void uiommufd_mmio_publish(struct uiommufd_device *dev, unsigned bar, uint64_t offset,
			   unsigned size, uint64_t value);

/* ---- DMA ---------------------------------------------------------------------- */

/* Why a transaction was aborted. The same values as the copy engine's error codes. */
enum uiommufd_fault_reason {
	UIOMMUFD_FAULT_NONE = 0,
	UIOMMUFD_FAULT_BLOCKED = 1,   /* attached to no address space */
	UIOMMUFD_FAULT_NO_MASTER = 2, /* COMMAND.BusMaster is 0, or not in D0 */
	UIOMMUFD_FAULT_UNMAPPED = 3,  /* no translation, or revoked */
	UIOMMUFD_FAULT_PERM = 4,      /* translation without this permission */
	UIOMMUFD_FAULT_ABORT = 5,     /* the target did not answer */
};

struct uiommufd_fault {
	enum uiommufd_fault_reason reason;
	uint64_t iova; /* first byte not reached */
	bool write;
};

/*
 * A channel is the device's DMA port with a translation cache; use it from one thread
 * at a time. Freed with the device, or by uiommufd_channel_destroy() (takes NULL).
 */
struct uiommufd_channel;
int uiommufd_channel_create(struct uiommufd_device *dev, struct uiommufd_channel **out);
/*
 * The same for requests with a PASID, which translate through what the client has
 * attached for that PASID; BLOCKED while that is nothing. 0: requests without one.
 * -EINVAL: the device has no such PASIDs (uiommufd_ext_cap); -ENOMEM.
 */
int uiommufd_channel_create_pasid(struct uiommufd_device *dev, uint32_t pasid,
				  struct uiommufd_channel **out);
void uiommufd_channel_destroy(struct uiommufd_channel *ch);

/*
 * Of a device that asks for pages (ATS and PRI): shall the DMA of this channel? It does
 * until told otherwise; else it faults at once. By the thread that uses the channel.
 */
void uiommufd_channel_ask(struct uiommufd_channel *ch, bool on);

/*
 * 0, or -EFAULT with *@fault (may be NULL) filled in: the bytes before it are done. May
 * wait for pages, until the client has answered or the device is no bus master any more;
 * so call them with no lock held that a register callback takes.
 */
int uiommufd_dma_read(struct uiommufd_channel *ch, uint64_t iova, void *dst, size_t n,
		      struct uiommufd_fault *fault);
int uiommufd_dma_write(struct uiommufd_channel *ch, uint64_t iova, const void *src,
		       size_t n, struct uiommufd_fault *fault);
int uiommufd_dma_copy(struct uiommufd_channel *ch, uint64_t dst, uint64_t src, uint64_t n,
		      struct uiommufd_fault *fault);
int uiommufd_dma_fill(struct uiommufd_channel *ch, uint64_t dst, uint8_t byte, uint64_t n,
		      struct uiommufd_fault *fault);

/* ---- interrupts --------------------------------------------------------------- */

/*
 * Signal a vector of MSI-X or MSI, whichever the client has enabled. Nothing happens when
 * it has enabled neither, or not this vector. From any thread.
 */
void uiommufd_irq(struct uiommufd_device *dev, unsigned vector);
/*
 * The level of the device's INTx: true from the moment that it wants attention until its
 * driver has given it. The client is told once, and again when it unmasks while the level
 * is still there. A reset lowers it. From any thread.
 */
void uiommufd_intx(struct uiommufd_device *dev, bool asserted);
/*
 * An uncorrectable error of the device's, as PCI Express reports it to the system: the
 * client is told by its ERR eventfd. From any thread.
 */
void uiommufd_fatal_error(struct uiommufd_device *dev);

/* ---- a thread of the device's own ------------------------------------------- */

/*
 * Starts a thread that calls @run each time it was kicked, and again at once as long as
 * @run returns true. Idle workers sleep.
 */
int uiommufd_worker_create(struct uiommufd_device *dev, bool (*run)(void *arg), void *arg,
			   struct uiommufd_worker **out);
/* Have @run called soon. From any thread; cheap when the worker is awake. */
void uiommufd_worker_kick(struct uiommufd_worker *w);
/*
 * Keep @run from being called; returns when it is not running. For reset. Pauses count;
 * each needs a resume. Not from the worker itself.
 */
void uiommufd_worker_pause(struct uiommufd_worker *w);
void uiommufd_worker_resume(struct uiommufd_worker *w);
/* Joins the thread. Takes NULL. */
void uiommufd_worker_destroy(struct uiommufd_worker *w);

/*
 * A burst: @run is about to call DMA functions again and again, and each of them is to
 * cost less. It ends when @run returns, if not before.
 *
 * In a burst whoever takes memory away from the device may have to wait not only for a
 * DMA call to end, but also between two of them, for the next one. So what may block
 * there, or takes longer than to copy 256 KiB, belongs outside: files, sleep, locks that
 * others hold for long. End the burst before and begin it again after; both are cheap.
 * Calls of this API see to it themselves. Outside of @run these two do nothing.
 */
void uiommufd_burst_begin(void);
void uiommufd_burst_end(void);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
