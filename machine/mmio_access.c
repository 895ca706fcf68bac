/* SPDX-License-Identifier: MIT */
/* See mmio_access.h. */
#include "machine/mmio_access.h"

#include <errno.h>

#include "machine/files.h"
#include "machine/machine.h"
#include "uapi/vfile.h"
#include "vfio/pci_device.h"

static bool is_faulting(const struct vma *v)
{
	return v->shared && v->file_offset & VFILE_MARK &&
	       v->file_offset & VFILE_FAULTING;
}

static int look(struct mmio_access *a, uint64_t va)
{
	int err;

	if (a->looked && va >= a->vma.start && va <= a->vma.last)
		return 0;
	mmio_access_finish(a);
	err = vma_query(a->maps, va, &a->vma);
	if (err)
		return err;
	a->looked = true;
	if (is_faulting(&a->vma))
		a->file = files_find(a->machine->files, a->vma.dev, a->vma.ino);
	return 0;
}

/* The offset in the device's file that is mapped at @va, for @n bytes; 0: none. */
static int device_offset(struct mmio_access *a, uint64_t va, size_t n, uint64_t *offset)
{
	int err = look(a, va);

	*offset = 0;
	if (err || !a->file)
		return err;
	if (n - 1 > a->vma.last - va)
		return -EFAULT;
	*offset = a->vma.file_offset + (va - a->vma.start);
	return 0;
}

static int bus_load(void *arg, uint64_t va, void *dst, size_t n)
{
	struct mmio_access *a = arg;
	uint64_t offset;
	int err = device_offset(a, va, n, &offset);

	if (err)
		return err;
	if (offset)
		return vfio_mmio_read(a->file, offset, dst, n);
	return a->rest->load(a->arg, va, dst, n);
}

static int bus_store(void *arg, uint64_t va, const void *src, size_t n)
{
	struct mmio_access *a = arg;
	uint64_t offset;
	int err = device_offset(a, va, n, &offset);

	if (err)
		return err;
	if (offset)
		return vfio_mmio_write(a->file, offset, src, n);
	return a->rest->store(a->arg, va, src, n);
}

static int bus_store_whole(void *arg, uint64_t va, const void *src, bool deferrable,
			   bool *accepted)
{
	struct mmio_access *a = arg;
	uint64_t offset;
	int err = device_offset(a, va, 64, &offset);

	if (err)
		return err;
	if (!offset)
		return -EFAULT;
	return vfio_mmio_write_64(a->file, offset, src, deferrable, accepted);
}

static int bus_get_vectors(void *arg, struct cpu_state *s)
{
	struct mmio_access *a = arg;

	return a->rest->get_vectors(a->arg, s);
}

static int bus_put_vectors(void *arg, const struct cpu_state *s)
{
	struct mmio_access *a = arg;

	return a->rest->put_vectors(a->arg, s);
}

static const struct cpu_bus bus = {
	.load = bus_load,
	.store = bus_store,
	.store_whole = bus_store_whole,
	.get_vectors = bus_get_vectors,
	.put_vectors = bus_put_vectors,
};

/*
 * A mapping of registers faults as a file that is too short. An instruction that the CPU
 * does not know is illegal; one that it does not grant the program (enqcmd without a
 * PASID, enqcmds) is a general protection fault.
 */
static bool may_be(int sig, int code)
{
	return (sig == SIGBUS && code == BUS_ADRERR) ||
	       (sig == SIGILL && code == ILL_ILLOPN) ||
	       (sig == SIGSEGV && code == SI_KERNEL);
}

bool mmio_access_raised(struct mmio_access *a, int sig, const siginfo_t *info,
			const struct cpu_state *s, const void *code, size_t n)
{
	uint64_t va = (uintptr_t)info->si_addr;

	if (!may_be(sig, info->si_code))
		return false;
	if (sig != SIGBUS && !cpu_writes_whole(s, code, n, &va))
		return false;
	return !look(a, va) && a->file;
}

int mmio_access_do(struct mmio_access *a, struct cpu_state *s, const void *code, size_t n)
{
	return cpu_emulate(s, code, n, &bus, a);
}

void mmio_access_finish(struct mmio_access *a)
{
	vfile_put(a->file);
	a->file = NULL;
	a->looked = false;
}
