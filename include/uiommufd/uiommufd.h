/* SPDX-License-Identifier: MIT */
/*
 * libuiommufd: iommufd, VFIO and DMA-capable PCI devices inside your own program.
 *
 * A machine holds devices and everything clients open. A program opens /dev/iommu and
 * /dev/vfio/devices/vfioN of a machine and uses the file descriptors it gets as it
 * would use the kernel's, with uiommufd_ioctl() in place of ioctl(2) and so on. The
 * descriptors are real ones (memory files): they can stand in structs, be duplicated,
 * mapped with mmap(2), and are closed with uiommufd_close().
 *
 * Thread-safe unless said otherwise. Functions return 0 (or a value >= 0) or a negative
 * errno. The library never aborts or exits. Machines are independent of each other;
 * outside of them there is only what a process has one of: the fault handler below, the
 * threads' registration with liburcu, and a pool of pages.
 *
 * One process-wide thing is needed: DMA into memory whose file was truncated raises
 * SIGBUS, which the library turns into a DMA fault. uiommufd_machine_create() installs
 * a handler for SIGBUS and SIGSEGV that passes on every signal that is not its own.
 */
#ifndef UIOMMUFD_H
#define UIOMMUFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "uiommufd/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is declared here is what the library exports. */
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

struct uiommufd_machine;

/* How to make a machine. Start from UIOMMUFD_CONFIG_INIT. */
struct uiommufd_config {
	size_t size; /* sizeof(struct uiommufd_config) */
	/* Models besides the built-in ones; ends with NULL. May be NULL. */
	const struct uiommufd_model *const *models;
	/*
	 * Devices as on the command line: "copy-engine,bdf=0000:01:00.0,vram=64M". Ends
	 * with NULL. Both NULL: the default machine (two copy engines in two groups).
	 */
	const char *const *devices;
	/* Or a machine description in JSON (docs/machine.md), as text. */
	const char *json;
	/* Names of extensions to switch on; ends with NULL. May be NULL. */
	const char *const *extensions;
	/* Called for each finished call with a decoded line. May be NULL. */
	void (*trace)(void *arg, const char *line);
	void *trace_arg;
	/* Offer the kernel's IOMMU_TEST_CMD and its mock IOMMU on /dev/iommu. */
	bool selftest;
	/*
	 * IOMMU units as on the command line: "vtd,name=a,nesting=on", besides those of
	 * `json`. Ends with NULL. NULL, and none in `json`: a plain VT-d unit.
	 */
	const char *const *iommus;
	/*
	 * Devices' registers may fault when the program touches a mapping of them
	 * (docs/machine.md, mmio=fault), for it has a signal handler that calls
	 * uiommufd_mmio_fault(). Else they are trapped: reached by pread and pwrite
	 * alone.
	 */
	bool mmio_faults;
};
/* One value for each member: C++ before C++20 has no names there. */
#define UIOMMUFD_CONFIG_INIT                                                             \
	{                                                                                \
		sizeof(struct uiommufd_config), NULL, NULL, NULL, NULL, NULL, NULL,      \
			false, NULL, false                                               \
	}

/*
 * -EINVAL: a bad description; then @error (may be NULL) gets one line that says what is
 * wrong and where.
 */
int uiommufd_machine_create(const struct uiommufd_config *config, char *error,
			    size_t error_cap, struct uiommufd_machine **out);
/*
 * Closes what is still open and ends all device threads. Returns how many descriptors
 * were still open. Takes NULL.
 */
int uiommufd_machine_destroy(struct uiommufd_machine *m);

/*
 * Have @n virtual functions of the device at @bdf ("0000:01:00.0"), as a write to its
 * sriov_numvfs. -ENODEV: there is no such device; -ENOENT: it has none; -ERANGE: more
 * than it can have; -EBUSY: it has some and @n is not 0, or some that are to go are still
 * open: who has them was told to let go (VFIO's REQ interrupt).
 */
int uiommufd_set_vfs(struct uiommufd_machine *m, const char *bdf, unsigned n);

/*
 * Open a device node of the machine by the path a program would use. -ENOENT: not one
 * of ours. @flags as open(2).
 */
int uiommufd_open(struct uiommufd_machine *m, const char *path, int flags);
/* ioctl(2) on a descriptor of the machine. -EBADF, -ENOTTY: not one of ours. */
long uiommufd_ioctl(struct uiommufd_machine *m, int fd, unsigned long cmd, void *arg);
ssize_t uiommufd_pread(struct uiommufd_machine *m, int fd, void *buf, size_t n,
		       uint64_t offset);
ssize_t uiommufd_pwrite(struct uiommufd_machine *m, int fd, const void *buf, size_t n,
			uint64_t offset);
/*
 * read(2) and write(2) on the descriptor of a queue: of page faults
 * (IOMMU_FAULT_QUEUE_ALLOC) or of a vIOMMU's events (IOMMU_VEVENTQ_ALLOC), by Linux's
 * rules: as many whole items as fit, 0 when there is none. Other descriptors: -EINVAL.
 * The plain calls work, too, but give one item each, and an empty queue blocks.
 */
ssize_t uiommufd_read(struct uiommufd_machine *m, int fd, void *buf, size_t n);
ssize_t uiommufd_write(struct uiommufd_machine *m, int fd, const void *buf, size_t n);
/* poll(2), which may be called as well, with what was closed released before. */
struct pollfd;
int uiommufd_poll(struct uiommufd_machine *m, struct pollfd *fds, unsigned n,
		  int timeout_ms);
/* Checked as VFIO would, then mmap(2). MAP_FAILED's errno is the result: -errno, or 0
 * with *@out. */
int uiommufd_mmap(struct uiommufd_machine *m, int fd, size_t length, int prot, int flags,
		  uint64_t offset, void **out);
/* close(2), and everything that the last close of the file entails, before returning. */
int uiommufd_close(struct uiommufd_machine *m, int fd);

/*
 * An access of the program's CPU to registers that fault, done in its place: for the
 * program's own handler of SIGBUS (and of SIGILL and SIGSEGV, which is where a CPU that
 * does not have them sends movdir64b and enqcmd), with what the handler was given: @info
 * is its siginfo_t, @context its ucontext_t. Returns
 *  1: it was such an access and is done. The handler returns, and the program goes on
 *     after the instruction.
 *  0: it was not, or cannot be done (memory decoding is off). The handler does what it
 *     does with any other signal of that kind.
 * x86-64 only: elsewhere always 0.
 *
 *	static void on_signal(int sig, siginfo_t *info, void *context)
 *	{
 *		if (uiommufd_mmio_fault(machine, sig, info, context))
 *			return;
 *		...
 *	}
 *
 * The handler needs SA_SIGINFO and should have SA_NODEFER and SA_ONSTACK. Installed after
 * uiommufd_machine_create(), it is in front of the library's own and must pass on to that
 * (what sigaction(2) answered as the former one) what it does not know; installed before,
 * the library passes on to it. The device's model is called from here, on the thread that
 * made the access. So an access counts as a call of uiommufd_pread() or _pwrite(), and is
 * not to be made where that may not be called: with a lock held that a model takes.
 */
int uiommufd_mmio_fault(struct uiommufd_machine *m, int sig, const void *info,
			void *context);

/*
 * Fault injection, as Linux's /proc/thread-self/fail-nth: of the points in the calling
 * thread's calls from now on at which something may fail, the @n-th does, once; 0: none.
 * A point is an allocation (-ENOMEM), a descriptor the library makes (-EMFILE), or a copy
 * from or to the caller's memory (-EFAULT). Answers how many points the former count was
 * still away from its fault; 0: it had happened, or there was no count. A sweep:
 *
 *	for (n = 1, left = 0; !left; n++) {
 *		uiommufd_fail_nth(n);
 *		ret = uiommufd_ioctl(...);
 *		left = uiommufd_fail_nth(0);
 *		// left == 0: a fault happened; else ret is that of a call without one
 *	}
 *
 * What takes away (unmap, destroy, detach, reset, close) and accesses to regions have no
 * such points.
 */
unsigned long uiommufd_fail_nth(unsigned long n);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
