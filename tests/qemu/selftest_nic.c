/* SPDX-License-Identifier: MIT */
/*
 * What runs in a guest with a network device, after its driver was loaded: bring the
 * interface up, wait for the link, and have the driver test the device: registers,
 * EEPROM, interrupts, loopback, link. That is what `ethtool -t INTERFACE offline` does.
 *
 * Prints what each part of the test found, and "GUEST: PASS" or "GUEST: FAIL ...". It is
 * statically linked.
 *
 * usage: selftest_nic INTERFACE
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PARTS 32

static int fd;
static struct ifreq request;

static _Noreturn void fail(const char *what)
{
	printf("GUEST: FAIL %s: %s\n", what, strerror(errno));
	exit(1);
}

static void call(unsigned long cmd, const char *what)
{
	if (ioctl(fd, cmd, &request))
		fail(what);
}

static void ethtool(void *data, const char *what)
{
	request.ifr_data = data;
	call(SIOCETHTOOL, what);
}

static unsigned count_parts(void)
{
	static struct {
		struct ethtool_sset_info head;
		uint32_t count;
	} info = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1 << ETH_SS_TEST}};

	ethtool(&info, "number of tests");
	if (!info.head.sset_mask || !info.count || info.count > MAX_PARTS) {
		errno = ENOTSUP;
		fail("tests");
	}
	return info.count;
}

static void run_test(void)
{
	static struct {
		struct ethtool_gstrings head;
		char names[MAX_PARTS][ETH_GSTRING_LEN];
	} strings;
	static struct {
		struct ethtool_test head;
		uint64_t results[MAX_PARTS];
	} test;
	unsigned n = count_parts();

	strings.head = (struct ethtool_gstrings){ETHTOOL_GSTRINGS, ETH_SS_TEST, n};
	ethtool(&strings, "names of tests");
	test.head = (struct ethtool_test){
		.cmd = ETHTOOL_TEST, .flags = ETH_TEST_FL_OFFLINE, .len = n};
	ethtool(&test, "test");
	for (unsigned i = 0; i < n; i++)
		printf("GUEST: %.32s: %llu\n", strings.names[i],
		       (unsigned long long)test.results[i]);
	if (test.head.flags & ETH_TEST_FL_FAILED) {
		errno = EIO;
		fail("the driver's test");
	}
}

static void set_up(bool up)
{
	call(SIOCGIFFLAGS, "flags");
	request.ifr_flags =
		(short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
	call(SIOCSIFFLAGS, up ? "up" : "down");
}

/* It comes with the link, some seconds after the interface is up. */
static void wait_for_link(void)
{
	for (;;) {
		struct ethtool_value link = {.cmd = ETHTOOL_GLINK};

		ethtool(&link, "link");
		if (link.data)
			return;
		usleep(100000);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		fail("socket");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", argv[1]);
	set_up(true);
	wait_for_link();
	printf("GUEST: link is up\n");
	run_test();
	wait_for_link();
	set_up(false);
	printf("GUEST: PASS\n");
	return 0;
}
