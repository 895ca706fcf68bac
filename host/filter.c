/* SPDX-License-Identifier: MIT */
/*
 * See filter.h.
 *
 * libseccomp compiles the rules; it is loaded by launch.c with flags that bookworm's
 * libseccomp does not know, so the program is taken out of it by way of a memory file.
 */
#include "host/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/call.h"
#include "host/kvm_vfio.h"
#include "host/view_attr.h"
#include "uapi/vfile.h"

/* ioctl numbers carry a type in bits 8 to 15. */
#define IOCTL_TYPE(c)   ((uint64_t)(c) << 8)
#define IOCTL_TYPE_MASK ((uint64_t)0xff00)

static int add_ioctls(scmp_filter_ctx ctx, const struct call_entry *e)
{
	static const struct {
		uint64_t mask, value;
	} wanted[] = {
		{IOCTL_TYPE_MASK, IOCTL_TYPE(';')}, /* iommufd and VFIO */
		{IOCTL_TYPE_MASK, IOCTL_TYPE('b')}, /* dma-buf */
		{KVM_DEVICE_CALLS_MASK, KVM_DEVICE_CALLS},
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(wanted) / sizeof(wanted[0]); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, e->nr, 1,
				       SCMP_CMP(e->arg, SCMP_CMP_MASKED_EQ,
						wanted[i].mask, wanted[i].value));
	return err;
}

/* Offsets with the mark are positive, so -1 and its like stay native. */
static int add_marked(scmp_filter_ctx ctx, const struct call_entry *e)
{
	const uint64_t region = ~(((uint64_t)1 << VFILE_REGION_SHIFT) - 1);
	int err = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, e->nr, 1,
				   SCMP_CMP(e->arg, SCMP_CMP_MASKED_EQ,
					    VFILE_MARK | VFILE_MARK << 1, VFILE_MARK));

	if (err)
		return err;
	return seccomp_rule_add(
		ctx, SCMP_ACT_NOTIFY, e->nr, 1,
		SCMP_CMP(e->arg, SCMP_CMP_MASKED_EQ, region, VFILE_FIXED_CONFIG));
}

static int add_queue_fds(scmp_filter_ctx ctx, const struct call_entry *e, unsigned arg)
{
	const uint64_t mask = UINT32_MAX & ~((uint64_t)QUEUE_FDS - 1);

	return seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, e->nr, 1,
				SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, QUEUE_FD_FIRST));
}

/*
 * A shell's redirection makes an attribute descriptor 1. Texts are short; what programs
 * write in whole buffers stays native. (writev(2) has a count of pieces there.)
 */
static int add_stdout(scmp_filter_ctx ctx, const struct call_entry *e)
{
	return seccomp_rule_add(
		ctx, SCMP_ACT_NOTIFY, e->nr, 2,
		SCMP_CMP(0, SCMP_CMP_MASKED_EQ, UINT32_MAX, STDOUT_FILENO),
		SCMP_CMP(2, SCMP_CMP_LT, VIEW_ATTR_BYTES));
}

/*
 * dd(1) reads what it is told to by descriptor 0. Only ports of an I/O BAR are not what
 * they were when they were opened; single bytes are what shells read of their input.
 */
static int add_stdin(scmp_filter_ctx ctx, const struct call_entry *e)
{
	int err = 0;

	for (unsigned size = 2; !err && size <= 4; size *= 2)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_NOTIFY, e->nr, 2,
			SCMP_CMP(0, SCMP_CMP_MASKED_EQ, UINT32_MAX, STDIN_FILENO),
			SCMP_CMP(2, SCMP_CMP_EQ, size));
	return err;
}

/*
 * By other low numbers: what `exec 3>attribute` leaves for a program to write to. Eight
 * bytes stay native, since that is an eventfd's business, where time matters.
 */
static int add_low_fds(scmp_filter_ctx ctx, const struct call_entry *e)
{
	static const struct {
		uint64_t from,
			n; /* sizes of writes, n a power of two that divides from */
	} sizes[] = {
		{0, 8},   {9, 1},     {10, 2},    {12, 4},    {16, 16},     {32, 32},
		{64, 64}, {128, 128}, {256, 256}, {512, 512}, {1024, 1024}, {2048, 2048},
	};
	const uint64_t mask = UINT32_MAX & ~((uint64_t)LOW_FDS - 1);
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, e->nr, 2,
				       SCMP_CMP(0, SCMP_CMP_MASKED_EQ, mask, 0),
				       SCMP_CMP(2, SCMP_CMP_MASKED_EQ, ~(sizes[i].n - 1),
						sizes[i].from));
	return err;
}

static int add_also(scmp_filter_ctx ctx, const struct call_entry *e)
{
	int err = 0;

	if (e->also & ALSO_QUEUE_FD)
		err = add_queue_fds(ctx, e, e->fd_arg);
	if (!err && (e->also & ALSO_STDOUT))
		err = add_stdout(ctx, e);
	if (!err && (e->also & ALSO_STDIN))
		err = add_stdin(ctx, e);
	if (!err && (e->also & ALSO_LOW_FD))
		err = add_low_fds(ctx, e);
	if (!err && (e->also & ALSO_GETFL))
		err = seccomp_rule_add(
			ctx, SCMP_ACT_NOTIFY, e->nr, 1,
			SCMP_CMP(1, SCMP_CMP_MASKED_EQ, UINT32_MAX, F_GETFL));
	return err;
}

static int add_entry(scmp_filter_ctx ctx, const struct call_entry *e, bool any_file)
{
	int err;

	if (any_file && (e->also & ALSO_ANY))
		return seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, e->nr, 0);
	err = add_also(ctx, e);
	if (err)
		return err;
	switch (e->when) {
	case CALL_IOCTL_TYPE:
		return add_ioctls(ctx, e);
	case CALL_MARKED_OFFSET:
		return add_marked(ctx, e);
	case CALL_QUEUE_FD:
		return add_queue_fds(ctx, e, e->arg);
	case CALL_ALWAYS:
		break;
	}
	return seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, e->nr, 0);
}

#ifdef __x86_64__
#define OTHER_ARCH SCMP_ARCH_X86
/* Its C libraries make this call once, at the start. */
#define OTHER_START SCMP_SYS(set_thread_area)
#endif

/* Of 32-bit programs we only want to know that there is one. */
static int add_other_arch(scmp_filter_ctx ctx)
{
#ifdef OTHER_ARCH
	scmp_filter_ctx other = seccomp_init(SCMP_ACT_ALLOW);
	int err;

	if (!other)
		return -ENOMEM;
	err = seccomp_attr_set(other, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	if (!err)
		err = seccomp_arch_remove(other, SCMP_ARCH_NATIVE);
	if (!err)
		err = seccomp_arch_add(other, OTHER_ARCH);
	if (!err)
		err = seccomp_rule_add(other, SCMP_ACT_NOTIFY, OTHER_START, 0);
	if (!err)
		err = seccomp_merge(ctx, other);
	if (err)
		seccomp_release(other);
	return err;
#else
	return 0;
#endif
}

bool filter_is_native(uint32_t arch)
{
	return arch == seccomp_arch_native();
}

static int export_program(scmp_filter_ctx ctx, struct sock_fprog *prog)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat st;
	int err;

	if (fd < 0)
		return -errno;
	err = seccomp_export_bpf(ctx, fd);
	if (!err && fstat(fd, &st))
		err = -errno;
	if (err)
		goto out;
	prog->len = (unsigned short)((size_t)st.st_size / sizeof(*prog->filter));
	prog->filter = malloc((size_t)st.st_size);
	if (!prog->filter)
		err = -ENOMEM;
	else if (pread(fd, prog->filter, (size_t)st.st_size, 0) != st.st_size) {
		free(prog->filter);
		err = -EIO;
	}
out:
	close(fd);
	return err;
}

int filter_create(struct sock_fprog *prog, bool any_file)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int err;

	if (!ctx)
		return -ENOMEM;
	err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	for (size_t i = 0; !err && i < call_table_entries; i++)
		err = add_entry(ctx, &call_table[i], any_file);
	/* Looked for first. */
	for (size_t i = 0; !err && i < call_table_entries; i++)
		if (call_table[i].when != CALL_ALWAYS)
			err = seccomp_syscall_priority(ctx, call_table[i].nr, 255);
	if (!err)
		err = add_other_arch(ctx);
	if (!err)
		err = export_program(ctx, prog);
	seccomp_release(ctx);
	return err;
}
