/* SPDX-License-Identifier: MIT */
/*
 * What runs in a guest with two network interfaces that reach each other: bring both up,
 * and send frames of all sizes from each to the other, by packet sockets, past all
 * protocols; each must arrive as it was sent.
 *
 * Prints "GUEST: PASS" or "GUEST: FAIL ...". It is statically linked.
 *
 * usage: two_nics INTERFACE INTERFACE
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TYPE   0x88b5 /* for experiments */
#define FRAMES 500u
#define HEAD   14u
#define MAX    1514u

struct nic {
	const char *name;
	int fd;
	uint8_t address[6];
};

static _Noreturn void fail(const char *what)
{
	printf("GUEST: FAIL %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(bool ok, const char *what)
{
	if (!ok)
		fail(what);
}

static struct ifreq request(const struct nic *nic)
{
	struct ifreq r = {0};

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", nic->name);
	return r;
}

static void bring_up(struct nic *nic)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(TYPE)};
	struct ifreq r = request(nic);

	nic->fd = socket(AF_PACKET, SOCK_RAW, htons(TYPE));
	must(nic->fd >= 0, "socket");
	must(!ioctl(nic->fd, SIOCGIFHWADDR, &r), "address");
	memcpy(nic->address, r.ifr_hwaddr.sa_data, 6);
	r = request(nic);
	must(!ioctl(nic->fd, SIOCGIFINDEX, &r), "index");
	at.sll_ifindex = r.ifr_ifindex;
	r = request(nic);
	must(!ioctl(nic->fd, SIOCGIFFLAGS, &r), "flags");
	r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
	must(!ioctl(nic->fd, SIOCSIFFLAGS, &r), "up");
	/* Of one that is down the first call would say so. */
	must(!bind(nic->fd, (struct sockaddr *)&at, sizeof(at)), "bind");
	printf("GUEST: %s is %02x:%02x:%02x:%02x:%02x:%02x\n", nic->name, nic->address[0],
	       nic->address[1], nic->address[2], nic->address[3], nic->address[4],
	       nic->address[5]);
}

static void wait_for_link(const struct nic *nic)
{
	struct ifreq r = request(nic);

	for (;;) {
		must(!ioctl(nic->fd, SIOCGIFFLAGS, &r), "flags");
		if (r.ifr_flags & IFF_RUNNING)
			return;
		usleep(100000);
	}
}

static void send_one(const struct nic *from, const struct nic *to, unsigned n)
{
	uint8_t frame[MAX], got[MAX];
	size_t bytes = 60 + n * 37 % (MAX - 60 + 1);

	memcpy(frame, to->address, 6);
	memcpy(frame + 6, from->address, 6);
	frame[12] = TYPE >> 8;
	frame[13] = TYPE & 0xff;
	for (size_t i = HEAD; i < bytes; i++)
		frame[i] = (uint8_t)(n * 31 + i * 7);
	must(send(from->fd, frame, bytes, 0) == (ssize_t)bytes, "send");
	errno = 0;
	must(recv(to->fd, got, sizeof(got), 0) == (ssize_t)bytes, "length");
	must(!memcmp(frame, got, bytes), "content");
}

int main(int argc, char **argv)
{
	struct nic nics[2];

	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < 2; i++) {
		nics[i].name = argv[i + 1];
		bring_up(&nics[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		wait_for_link(&nics[i]);
	printf("GUEST: links are up\n");
	for (unsigned n = 0; n < FRAMES; n++)
		send_one(&nics[n & 1], &nics[!(n & 1)], n);
	printf("GUEST: %u frames\n", FRAMES);
	printf("GUEST: PASS\n");
	return 0;
}
