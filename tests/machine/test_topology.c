/* SPDX-License-Identifier: MIT */
/*
 * Buses and groups that follow from a description: what is filled in, what is refused,
 * and for random trees of switches that every bus has its port, every port's range covers
 * what is below it, and groups are as a slow walk says.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "machine/describe.h"

static char error[512];

/* Describe all of @texts, which ends with NULL. */
static int complete(struct description *d, const char *const *texts)
{
	int err = 0;

	*d = (struct description){0};
	for (; !err && *texts; texts++)
		err = describe_device(d, *texts, error, sizeof(error));
	return err ? err : describe_complete(d, error, sizeof(error));
}

static const struct machine_port *port_to(const struct description *d, unsigned bus)
{
	for (size_t i = 0; i < d->nr_ports; i++)
		if (d->ports[i].port.secondary == bus)
			return &d->ports[i].port;
	return NULL;
}

static void test_root_ports(void **state)
{
	static const char *const texts[] = {"m", "m,bdf=07:00.0", "m,bdf=00:03.0", "m",
					    NULL};
	struct description d;

	assert_int_equal(complete(&d, texts), 0);
	assert_int_equal(d.n, 4);
	/* One to each bus but 0, all of them different, each a group of its own. */
	assert_int_equal(d.nr_ports, 3);
	assert_non_null(port_to(&d, 1));
	assert_non_null(port_to(&d, 2));
	assert_non_null(port_to(&d, 7));
	for (size_t i = 0; i < d.nr_ports; i++) {
		const struct machine_port *p = &d.ports[i].port;

		assert_int_equal(p->kind, PORT_ROOT);
		assert_null(p->parent);
		assert_int_equal(p->subordinate, p->secondary);
		assert_int_equal(p->group, 5 + i);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(pci_bdf_key(&p->at),
					     pci_bdf_key(&d.ports[j].port.at));
	}
	for (size_t i = 0; i < d.n; i++)
		assert_int_equal(d.devices[i].group, i + 1);
	describe_finish(&d);
}

static void test_switch(void **state)
{
	static const char *const texts[] = {
		"m,bdf=03:00.0",
		"m,bdf=04:00.0",
		"m,bdf=04:00.1",
		"switch-downstream,bdf=02:01.0,bus=04,acs=off",
		"switch-downstream,bdf=02:00.0,bus=03",
		"switch-upstream,bdf=01:00.0,bus=02",
		"root-port,bdf=00:01.0,bus=01",
		NULL};
	const struct machine_port *p;
	struct description d;

	assert_int_equal(complete(&d, texts), 0);
	assert_int_equal(d.n, 3);
	assert_int_equal(d.nr_ports, 4);
	p = port_to(&d, 3);
	assert_ptr_equal(p->parent, port_to(&d, 2));
	assert_ptr_equal(p->parent->parent, port_to(&d, 1));
	assert_int_equal(port_to(&d, 1)->subordinate, 4);
	assert_int_equal(port_to(&d, 2)->subordinate, 4);
	assert_int_equal(d.devices[1].group, port_to(&d, 4)->group);
	assert_int_equal(d.devices[2].group, d.devices[1].group);
	assert_int_not_equal(d.devices[0].group, d.devices[1].group);
	describe_finish(&d);
}

static void test_functions(void **state)
{
	static const char *const texts[] = {
		"m,bdf=03:00.0,acs=off", "m,bdf=03:00.1,acs=off",         "m,bdf=03:00.2",
		"m,bdf=03:01.0,acs=off", "m,bdf=03:00.3,acs=off,group=9", NULL};
	struct description d;

	assert_int_equal(complete(&d, texts), 0);
	assert_int_equal(d.devices[0].group, 1);
	assert_int_equal(d.devices[1].group, 1);
	assert_int_equal(d.devices[2].group, 2);
	assert_int_equal(d.devices[3].group, 3);
	assert_int_equal(d.devices[4].group, 9);
	describe_finish(&d);
}

static void test_config(void **state)
{
	static const char *const texts[] = {"root-port,bdf=00:01.0,bus=05", NULL};
	struct description d;
	uint8_t c[4096], tail[8];

	assert_int_equal(complete(&d, texts), 0);
	machine_port_config(&d.ports[0].port, 0, c, sizeof(c));
	assert_int_equal(c[0x0e] & 0x7f, 1);
	assert_int_equal(c[0x0a] | c[0x0b] << 8, 0x0604);
	assert_int_equal(c[0x18], 0);
	assert_int_equal(c[0x19], 5);
	assert_int_equal(c[0x1a], 5);
	/* Read in pieces it is the same, and beyond its end there is nothing. */
	machine_port_config(&d.ports[0].port, 0x17, tail, sizeof(tail));
	assert_memory_equal(tail, c + 0x17, sizeof(tail));
	memset(tail, 1, sizeof(tail));
	machine_port_config(&d.ports[0].port, 4092, tail, sizeof(tail));
	assert_int_equal(tail[4], 0);
	describe_finish(&d);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *texts[4], *words;
	} bad[] = {
		{{"root-port,bus=01"}, "needs bdf= and bus="},
		{{"root-port,bdf=00:01.0"}, "needs bdf= and bus="},
		{{"root-port,bdf=00:01.0,bus=0"}, "01 to ff"},
		{{"root-port,bdf=00:01.0,bus=100"}, "01 to ff"},
		{{"root-port,bdf=00:01.0,bus=01,vram=1M"}, "no option"},
		{{"root-port,bdf=00:01.0,bus=01,acs=maybe"}, "acs=maybe"},
		{{"root-port,bdf=01:00.0,bus=02"}, "on bus 00"},
		{{"root-port,bdf=00:01.0,bus=01", "root-port,bdf=00:01.0,bus=02"}, "two"},
		{{"root-port,bdf=00:01.0,bus=01", "root-port,bdf=00:02.0,bus=01"},
		 "two ports lead"},
		{{"root-port,bdf=00:01.0,bus=01", "m,bdf=00:01.0"}, "two devices"},
		{{"switch-upstream,bdf=00:01.0,bus=02"}, "below a root port"},
		{{"switch-downstream,bdf=01:00.0,bus=02"}, "switch-upstream"},
		{{"switch-upstream,bdf=02:00.0,bus=01"}, "higher number"},
		{{"switch-upstream,bdf=01:00.0,bus=02", "m,bdf=02:00.0"},
		 "inside a switch"},
		{{"switch-upstream,bdf=01:00.0,bus=02",
		  "switch-downstream,bdf=02:00.0,bus=05", "m,bdf=03:00.0"},
		 "not reached through it"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct description d;

		assert_int_equal(complete(&d, bad[i].texts), -EINVAL);
		if (!strstr(error, bad[i].words))
			fail_msg("\"%s\": \"%s\", not \"%s\"", bad[i].texts[0], error,
				 bad[i].words);
		describe_finish(&d);
	}
}

/* ---- random trees -------------------------------------------------------------------
 */

static void add(struct description *d, const char *format, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	assert_int_equal(describe_device(d, text, error, sizeof(error)), 0);
}

static const char *random_acs(void)
{
	return rand() % 3 ? "on" : "off";
}

/* Devices, or a switch with something below each of its ports, on bus @bus. */
static void add_below(struct description *d, unsigned bus, unsigned *next, int depth)
{
	unsigned up, ports;

	if (depth == 0 || rand() % 2) {
		for (int f = rand() % 3; f >= 0; f--)
			add(d, "m,bdf=%02x:00.%d,acs=%s", bus, f, random_acs());
		return;
	}
	up = (*next)++;
	add(d, "switch-upstream,bdf=%02x:00.0,bus=%02x", bus, up);
	ports = 1 + (unsigned)rand() % 3;
	for (unsigned i = 0; i < ports; i++) {
		unsigned down = (*next)++;

		add(d, "switch-downstream,bdf=%02x:%02x.0,bus=%02x,acs=%s", up, i, down,
		    random_acs());
		add_below(d, down, next, depth - 1);
	}
}

static bool apart(const struct machine_port *p)
{
	for (; p; p = p->parent)
		if (p->kind != PORT_UPSTREAM && !p->acs)
			return false;
	return true;
}

static void check_port(const struct description *d, const struct machine_port *p)
{
	const struct machine_port *above = p->parent;

	assert_true(!above == (p->at.bus == 0));
	if (!above)
		return;
	assert_int_equal(above->secondary, p->at.bus);
	assert_true(above->subordinate >= p->subordinate);
	if (!apart(above))
		assert_int_equal(p->group, above->group);
}

static void check_device(const struct description *d, size_t i)
{
	const struct device_description *dev = &d->devices[i];
	const struct machine_port *p = port_to(d, dev->bdf.bus);

	assert_non_null(p);
	if (!apart(p)) {
		assert_int_equal(dev->group, p->group);
		return;
	}
	for (size_t j = 0; j < d->n; j++) {
		const struct device_description *o = &d->devices[j];
		bool together = i == j ||
				(o->bdf.bus == dev->bdf.bus && o->no_acs && dev->no_acs);

		assert_int_equal(o->group == dev->group, together);
	}
}

static void test_random(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 200; round++) {
		struct description d = {0};
		unsigned next = 1;

		for (int roots = 1 + rand() % 3; roots > 0; roots--) {
			unsigned bus = next++;

			if (rand() % 2)
				add(&d, "root-port,bdf=00:%02x.0,bus=%02x,acs=%s",
				    bus % 32, bus, random_acs());
			add_below(&d, bus, &next, 2);
		}
		assert_int_equal(describe_complete(&d, error, sizeof(error)), 0);
		for (size_t i = 0; i < d.nr_ports; i++)
			check_port(&d, &d.ports[i].port);
		for (size_t i = 0; i < d.n; i++)
			check_device(&d, i);
		describe_finish(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_ports), cmocka_unit_test(test_switch),
		cmocka_unit_test(test_functions),  cmocka_unit_test(test_config),
		cmocka_unit_test(test_refusals),   cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
