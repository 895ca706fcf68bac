/* SPDX-License-Identifier: MIT */
/*
 * A driver for the physical function of an 82576, in user space: it has virtual functions
 * made, sets up the switch for them, runs a program that uses them (QEMU, whose guest has
 * Linux's igbvf), and answers their mailboxes until the program ends.
 *
 * What drivers of both functions say to each other is the convention of Intel's drivers:
 * the low half of a message's first word says what it is; the answer is the same word
 * with bits for yes or no, and for "clear to send", after whatever a reset has wiped out
 * was set up again. The messages are answered with yes, and what matters to the switch is
 * done.
 *
 * It sends no frames itself, so it needs no memory that the device can reach.
 *
 * usage: igb_pf BDF TOKEN COUNT PROGRAM [ARGUMENT...]
 * Exits with the program's status.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/igb_hw.h"
#include "uiommufd/abi/iommufd.h"
#include "uiommufd/abi/vfio.h"

#define NODE        "/dev/vfio/devices/vfio0"
#define WORDS       16 /* of a mailbox */

#define MSG_KIND(m) ((m)&0xffff)
#define MSG_YES     (1u << 31)
#define MSG_CLEAR   (1u << 29)

enum message {
	MSG_RESET = 1,
	MSG_SET_MULTICAST = 3,
	MSG_SET_MAX_LENGTH = 5,
};

struct pf {
	int fd;
	uint64_t registers, config;
	unsigned count;
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "igb_pf: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(int ok, const char *what)
{
	if (!ok)
		fail(what);
}

static uint32_t get(struct pf *pf, uint32_t offset)
{
	uint32_t value;

	must(pread(pf->fd, &value, 4, (off_t)(pf->registers + offset)) == 4, "register");
	return value;
}

static void set(struct pf *pf, uint32_t offset, uint32_t value)
{
	must(pwrite(pf->fd, &value, 4, (off_t)(pf->registers + offset)) == 4, "register");
}

static void set_bits(struct pf *pf, uint32_t offset, uint32_t bits)
{
	set(pf, offset, get(pf, offset) | bits);
}

/* ---- opening ---------------------------------------------------------------------- */

static void parse_token(const char *text, uint8_t token[16])
{
	for (unsigned i = 0; i < 16; i++, text += 2) {
		text += *text == '-';
		must(sscanf(text, "%2hhx", &token[i]) == 1, "token");
	}
}

static uint64_t region(int fd, uint32_t index)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	must(!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info), "region");
	return info.offset;
}

static void open_function(struct pf *pf, const uint8_t token[16])
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.token_uuid_ptr = (uintptr_t)token,
	};

	bind.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	must(bind.iommufd >= 0, "/dev/iommu");
	pf->fd = open(NODE, O_RDWR | O_CLOEXEC);
	must(pf->fd >= 0, NODE);
	must(!ioctl(pf->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind), "bind");
	pf->registers = region(pf->fd, VFIO_PCI_BAR0_REGION_INDEX);
	pf->config = region(pf->fd, VFIO_PCI_CONFIG_REGION_INDEX);
}

static void make_functions(const char *bdf, unsigned count)
{
	char path[128], text[16];
	int fd, n = snprintf(text, sizeof(text), "%u", count);

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", bdf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd >= 0, path);
	must(write(fd, text, (size_t)n) == n, path);
	close(fd);
}

/* The pool behind those of the virtual functions is ours. */
static void start(struct pf *pf)
{
	uint16_t command = 6; /* memory, bus master */

	must(pwrite(pf->fd, &command, 2, (off_t)pf->config + 4) == 2, "command");
	set(pf, IGB_CTRL, CTRL_RST);
	while (get(pf, IGB_CTRL) & CTRL_RST)
		usleep(100);
	set_bits(pf, IGB_CTRL, CTRL_SLU);
	set(pf, IGB_VFRE, 0);
	set(pf, IGB_VFTE, 0);
	set(pf, IGB_MRQC, MRQC_VMDQ);
	set(pf, IGB_VT_CTL, pf->count << 7 | VT_CTL_REPLICATION);
	/* The functions are held to the addresses that they were given. */
	set(pf, IGB_DTXSWC, DTXSWC_LOOPBACK | ((1u << pf->count) - 1));
	set(pf, IGB_RLPML, 0x2600);
	set(pf, IGB_RCTL, RCTL_RXEN | RCTL_BAM | RCTL_MPE | RCTL_LPE | RCTL_SECRC);
	set(pf, IGB_TCTL, TCTL_EN | TCTL_PSP);
	set_bits(pf, IGB_CTRL_EXT, CTRL_EXT_PFRSTD);
}

/* ---- mailboxes -------------------------------------------------------------------- */

/* It gets an address, and may send and receive. */
static unsigned answer_reset(struct pf *pf, unsigned vf, uint32_t *words)
{
	uint32_t low = 0x82000002, high = 0x58 | (vf + 1) << 8; /* 02:00:00:82:58:.. */

	set(pf, IGB_RA + 8 * (vf + 1), low);
	set(pf, IGB_RA + 8 * (vf + 1) + 4, high | 1u << (18 + vf) | RAH_AV);
	set(pf, IGB_VMOLR + 4 * vf, VMOLR_AUPE | VMOLR_BAM);
	set_bits(pf, IGB_VFRE, 1u << vf);
	set_bits(pf, IGB_VFTE, 1u << vf);
	printf("igb_pf: virtual function %u is reset\n", vf);
	words[0] |= MSG_YES;
	words[1] = low;
	words[2] = high;
	return 3;
}

static unsigned answer(struct pf *pf, unsigned vf, uint32_t *words)
{
	uint32_t vmolr = IGB_VMOLR + 4 * vf;

	switch (MSG_KIND(words[0])) {
	case MSG_RESET:
		return answer_reset(pf, vf, words);
	case MSG_SET_MULTICAST:
		set_bits(pf, vmolr, VMOLR_MPME);
		break;
	case MSG_SET_MAX_LENGTH:
		set(pf, vmolr,
		    (get(pf, vmolr) & ~VMOLR_RLPML) | VMOLR_LPE |
			    (words[1] & VMOLR_RLPML));
		break;
	}
	words[0] |= MSG_YES | MSG_CLEAR;
	return 1;
}

static void serve(struct pf *pf, unsigned vf)
{
	uint32_t box = IGB_PFMAILBOX + 4 * vf, memory = IGB_VMBMEM + 4 * WORDS * vf;
	uint32_t words[WORDS];
	unsigned n;

	set(pf, IGB_MBVFICR, MBVFICR_REQ(vf));
	do
		set(pf, box, MAILBOX_PFU);
	while (!(get(pf, box) & MAILBOX_PFU));
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = get(pf, memory + 4 * i);
	set(pf, box, PFMAILBOX_ACK | MAILBOX_PFU);
	n = answer(pf, vf, words);
	for (unsigned i = 0; i < n; i++)
		set(pf, memory + 4 * i, words[i]);
	set(pf, box, PFMAILBOX_STS);
}

/* ---- the program ------------------------------------------------------------------ */

static pid_t run(char **argv)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (!pid) {
		execvp(argv[0], argv);
		fail(argv[0]);
	}
	return pid;
}

int main(int argc, char **argv)
{
	struct pf pf = {.fd = -1};
	uint8_t token[16];
	int status;
	pid_t pid;

	if (argc < 5) {
		fprintf(stderr, "usage: igb_pf BDF TOKEN COUNT PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse_token(argv[2], token);
	pf.count = (unsigned)strtoul(argv[3], NULL, 10);
	open_function(&pf, token);
	make_functions(argv[1], pf.count);
	start(&pf);
	pid = run(argv + 4);
	while (!waitpid(pid, &status, WNOHANG)) {
		uint32_t causes = get(&pf, IGB_MBVFICR);

		set(&pf, IGB_VFLRE, get(&pf, IGB_VFLRE));
		for (unsigned vf = 0; vf < pf.count; vf++)
			if (causes & MBVFICR_REQ(vf))
				serve(&pf, vf);
		usleep(200);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
