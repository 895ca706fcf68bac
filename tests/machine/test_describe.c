/* SPDX-License-Identifier: MIT */
/* Machine descriptions: what is accepted, what is refused and with which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "machine/describe.h"

static char error[256];

static void expect_device_error(const char *text, const char *words)
{
	struct description d = {0};
	int err = describe_device(&d, text, error, sizeof(error));

	if (!err)
		err = describe_complete(&d, error, sizeof(error));
	assert_int_equal(err, -EINVAL);
	if (!strstr(error, words))
		fail_msg("\"%s\" answered \"%s\", not \"%s\"", text, error, words);
	describe_finish(&d);
}

static void expect_json_error(const char *text, const char *words)
{
	struct description d = {0};
	int err = describe_json(&d, text, error, sizeof(error));

	if (!err)
		err = describe_complete(&d, error, sizeof(error));
	assert_int_equal(err, -EINVAL);
	if (!strstr(error, words))
		fail_msg("%s answered \"%s\", not \"%s\"", text, error, words);
	describe_finish(&d);
}

static void test_bdf(void **state)
{
	static const char *const bad[] = {
		"",      "1",          "00:20.0", "00:00.8",    "00:00.0x", "x00:00.0",
		"00:00", "0000:00:00", "00:00.",  "0:1:2:3.0x", NULL};
	struct pci_bdf b;
	char text[16];

	assert_int_equal(pci_bdf_parse("0001:fe:1f.7", &b), 0);
	pci_bdf_format(&b, text);
	assert_string_equal(text, "0001:fe:1f.7");
	assert_int_equal(pci_bdf_parse("0a:03.1", &b), 0);
	pci_bdf_format(&b, text);
	assert_string_equal(text, "0000:0a:03.1");
	for (size_t i = 0; bad[i]; i++)
		if (!pci_bdf_parse(bad[i], &b))
			fail_msg("\"%s\" was taken for an address", bad[i]);
}

static void test_defaults(void **state)
{
	struct description d = {0};

	assert_int_equal(describe_device(&d, "m,bdf=01:00.0,group=1", error, 256), 0);
	assert_int_equal(describe_device(&d, "m,vram=1G,x=", error, 256), 0);
	assert_int_equal(describe_device(&d, "n", error, 256), 0);
	assert_int_equal(describe_complete(&d, error, 256), 0);
	assert_int_equal(d.n, 3);
	/* Bus 1 and group 1 are taken, so the others get the next ones. */
	assert_int_equal(d.devices[1].bdf.bus, 2);
	assert_int_equal(d.devices[1].group, 2);
	assert_int_equal(d.devices[2].bdf.bus, 3);
	assert_int_equal(d.devices[2].group, 3);
	assert_int_equal(d.devices[1].nr_options, 2);
	assert_string_equal(d.devices[1].options[0].name, "vram");
	assert_string_equal(d.devices[1].options[0].value, "1G");
	assert_string_equal(d.devices[1].options[1].value, "");
	describe_finish(&d);
}

static void test_json(void **state)
{
	struct description d = {0};

	assert_int_equal(describe_json(&d,
				       "{\"devices\":[{\"model\":\"m\",\"vram\":4096,"
				       "\"fast\":true,\"group\":7,\"bdf\":\"05:00.0\"}],"
				       "\"extensions\":[\"multi-range-dmabuf\","
				       "\"compat-p2p\"]}",
				       error, sizeof(error)),
			 0);
	assert_int_equal(describe_complete(&d, error, sizeof(error)), 0);
	assert_int_equal(d.n, 1);
	assert_true(d.multi_range_dmabuf && d.compat_p2p);
	assert_false(d.unlimited_memlock);
	assert_int_equal(d.devices[0].group, 7);
	assert_int_equal(d.devices[0].bdf.bus, 5);
	assert_string_equal(d.devices[0].options[0].value, "4096");
	assert_string_equal(d.devices[0].options[1].value, "on");
	describe_finish(&d);
}

static void test_errors(void **state)
{
	expect_device_error("", "needs a model");
	expect_device_error("m,vram", "NAME=VALUE");
	expect_device_error("m,bdf=nowhere", "bdf=nowhere");
	expect_device_error("m,group=-1", "group=-1");
	expect_device_error("m,group=65536", "65535");
	expect_json_error("{", "line 1");
	expect_json_error("[]", "object");
	expect_json_error("{}", "devices");
	expect_json_error("{\"devices\":[7]}", "devices[0]");
	expect_json_error("{\"devices\":[],\"colour\":1}", "colour");
	expect_json_error("{\"devices\":[{\"model\":\"m\",\"o\":1.5}]}", "\"o\"");
	expect_json_error("{\"devices\":[],\"extensions\":[\"nope\"]}", "nope");
	expect_json_error("{\"devices\":[{\"model\":\"m\",\"bdf\":\"1:0.0\"},"
			  "{\"model\":\"m\",\"bdf\":\"0000:01:00.0\"}]}",
			  "two devices at 0000:01:00.0");
}

/* Nothing may be lost of a long list that ends in an error. */
static void test_limits(void **state)
{
	char text[4096] = "m";
	struct description d = {0};

	for (int i = 0; i <= DESCRIBE_MAX_OPTIONS; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ",o%d=v", i);
	expect_device_error(text, "too many options");
	for (int i = 0; i < DESCRIBE_MAX_DEVICES; i++)
		assert_int_equal(describe_device(&d, "m", error, sizeof(error)), 0);
	assert_int_equal(describe_device(&d, "m", error, sizeof(error)), -EINVAL);
	/* Bus 0 is not given out, so the last two find none left. */
	assert_int_equal(describe_complete(&d, error, sizeof(error)), -EINVAL);
	describe_finish(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bdf),    cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_json),   cmocka_unit_test(test_errors),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
