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
		"",         "1",          "00:20.0",       "00:00.8",
		"00:00.0x", "x00:00.0",   "00:00",         "0000:00:00",
		"00:00.",   "0:1:2:3.0x", "+1:2:3.0",      " 01:00.0",
		"01: 0.0",  "0x1:0:0.0",  "00000:00:00.0", NULL};
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

static void test_direct(void **state)
{
	static const char json[] =
		"{\"devices\":[{\"model\":\"m\",\"direct\":[\"0x1000-0x1fff\","
		"\"0x4000-0x5fff\"],\"direct-relaxable\":\"0-0xfff\"}]}";
	struct description d = {0};
	const struct device_description *dev;

	assert_int_equal(describe_device(&d,
					 "m,direct=0x7000000-0x70fffff,"
					 "direct-relaxable=0x2000-0x2fff",
					 error, sizeof(error)),
			 0);
	assert_int_equal(describe_json(&d, json, error, sizeof(error)), 0);
	assert_int_equal(describe_complete(&d, error, sizeof(error)), 0);
	dev = d.devices;
	assert_int_equal(dev->nr_direct, 2);
	assert_int_equal(dev->direct[0].start, 0x7000000);
	assert_int_equal(dev->direct[0].last, 0x70fffff);
	assert_int_equal(dev->direct[0].type, IOMMUFD_RESV_DIRECT);
	assert_int_equal(dev->direct[1].type, IOMMUFD_RESV_DIRECT_RELAXABLE);
	assert_int_equal(dev[1].nr_direct, 3);
	assert_int_equal(dev[1].direct[1].last, 0x5fff);
	describe_finish(&d);
	expect_device_error("root-port,bdf=00:01.0,bus=01,direct=0-0xfff", "no DMA");
	expect_device_error("m,direct=0x1000", "FIRST-LAST");
	expect_device_error("m,direct=0x2000-0x1fff", "FIRST-LAST");
	expect_device_error("m,direct=0x1000-0x1ffe", "whole pages");
	expect_device_error("m,direct-relaxable=0x1001-0x1fff", "whole pages");
	expect_device_error(
		"m,direct=0-0xfff,direct=0-0xfff,direct=0-0xfff,direct=0-0xfff,"
		"direct=0-0xfff,direct=0-0xfff,direct=0-0xfff,direct=0-0xfff,"
		"direct=0-0xfff",
		"more than 8");
}

static void test_errors(void **state)
{
	expect_device_error("", "needs a model");
	expect_device_error("m,vram", "NAME=VALUE");
	expect_device_error("m,bdf=nowhere", "bdf=nowhere");
	expect_device_error("m,group=-1", "group=-1");
	expect_device_error("m,group=65536", "65535");
	expect_device_error("m,group= 5", "65535");
	expect_device_error("m,driver=", "driver=");
	expect_device_error("m,driver=../x", "driver=../x");
	expect_device_error("root-port,bdf=00:01.0,bus=+1", "bus=+1");
	expect_json_error("{", "line 1, column 1");
	expect_json_error("{\"devices\":[{\"model\":\"m\"},"
			  "{\"model\":\"m\",\"bdf\":7}]}",
			  "devices[1]: m: bdf=7");
	expect_json_error("{\"devices\":[],\"iommus\":[{\"type\":\"vtd\","
			  "\"pasid\":\"x\"}]}",
			  "iommus[0]: iommu iommu0: pasid=x");
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

static void expect_iommu_error(const char *text, const char *device, const char *words)
{
	struct description d = {0};
	int err = describe_iommu(&d, text, error, sizeof(error));

	if (!err)
		err = describe_device(&d, device, error, sizeof(error));
	if (!err)
		err = describe_complete(&d, error, sizeof(error));
	assert_int_equal(err, -EINVAL);
	if (!strstr(error, words))
		fail_msg("\"%s\" answered \"%s\", not \"%s\"", text, error, words);
	describe_finish(&d);
}

static void test_iommus(void **state)
{
	static const char *const bad_values[] = {
		"dirty=yes",   "pasid=x",   "pasid=99",   "width=",
		"sw-msi=0",    "sw-msi=-1", "reserved=1", "reserved=5-4",
		"reserved=-4", "nesting=",  "snoop",      "reserved=1-2x"};
	const struct iommufd_unit_config *c;
	struct description d = {0};

	assert_int_equal(
		describe_iommu(&d,
			       "vtd,name=a,dirty=on,nesting=on,pasid=20,snoop=on,"
			       "page-requests=on,width=39,reserved=0x1000-0x1fff,"
			       "reserved=0x8000-0x8fff,sw-msi=on",
			       error, sizeof(error)),
		0);
	assert_int_equal(describe_iommu(&d, "amd", error, sizeof(error)), 0);
	assert_int_equal(describe_device(&d, "m,iommu=iommu1", error, sizeof(error)), 0);
	assert_int_equal(describe_device(&d, "m", error, sizeof(error)), 0);
	assert_int_equal(describe_complete(&d, error, sizeof(error)), 0);
	c = &d.iommus[0].config;
	assert_true(c->dirty && c->nesting && c->snoop && c->page_requests);
	assert_int_equal(c->pasid_bits, 20);
	assert_int_equal(c->width, 39);
	assert_int_equal(c->sw_msi, 0x8000000);
	assert_int_equal(c->nr_resv, 2);
	assert_int_equal(d.iommus[0].unit.nr_resv, 3);
	assert_int_equal(d.iommus[0].unit.resv[2].type, IOMMUFD_RESV_SW_MSI);
	assert_int_equal(d.iommus[1].config.type, IOMMUFD_UNIT_AMD);
	assert_int_equal(d.devices[0].iommu_index, 1);
	assert_int_equal(d.devices[1].iommu_index, 0);
	describe_finish(&d);

	for (size_t i = 0; i < sizeof(bad_values) / sizeof(*bad_values); i++) {
		char text[64];

		snprintf(text, sizeof(text), "vtd,name=a,%s", bad_values[i]);
		expect_iommu_error(text, "m", "iommu a: ");
	}
	expect_iommu_error("smmu", "m", "no such type");
	expect_iommu_error("vtd,color=red", "m", "unknown option");
	expect_iommu_error("vtd,width=20", "m", "31 to 48");
	expect_iommu_error("vtd,pasid=21", "m", "20 bits");
	expect_iommu_error("amd,nesting=on", "m", "only VT-d");
	expect_iommu_error("amd,snoop=off", "m", "always snoop");
	expect_iommu_error("vtd,reserved=0xfee10000-0xfee10fff", "m", "overlap");
	expect_iommu_error("vtd,sw-msi=0x1001", "m", "sw-msi needs");
	expect_iommu_error("vtd,name=a", "m,iommu=b", "no such IOMMU");
}

static void test_iommus_of_groups(void **state)
{
	struct description d = {0};

	assert_int_equal(describe_iommu(&d, "vtd", error, sizeof(error)), 0);
	assert_int_equal(describe_iommu(&d, "vtd,name=b", error, sizeof(error)), 0);
	assert_int_equal(describe_device(&d, "m,group=3", error, sizeof(error)), 0);
	assert_int_equal(describe_device(&d, "m,group=3,iommu=b", error, sizeof(error)),
			 0);
	assert_int_equal(describe_complete(&d, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "group 3"));
	describe_finish(&d);
}

static void test_json_iommus(void **state)
{
	static const char text[] =
		"{ \"iommus\": [ { \"type\": \"vtd\", \"nesting\": true, \"pasid\": 8,"
		" \"reserved\": [ \"0-0xfff\", \"0x5000-0x5fff\" ] },"
		" { \"type\": \"amd\", \"name\": \"x\" } ],"
		" \"devices\": [ { \"model\": \"m\", \"iommu\": \"x\" } ] }";
	struct description d = {0};

	assert_int_equal(describe_json(&d, text, error, sizeof(error)), 0);
	assert_int_equal(describe_complete(&d, error, sizeof(error)), 0);
	assert_int_equal(d.nr_iommus, 2);
	assert_true(d.iommus[0].config.nesting);
	assert_int_equal(d.iommus[0].config.pasid_bits, 8);
	assert_int_equal(d.iommus[0].config.nr_resv, 2);
	assert_int_equal(d.devices[0].iommu_index, 1);
	describe_finish(&d);
	expect_json_error("{ \"iommus\": {}, \"devices\": [] }", "an array");
	expect_json_error("{ \"iommus\": [ {} ], \"devices\": [] }", "\"type\"");
	expect_json_error("{ \"iommus\": [ { \"type\": \"vtd\", \"width\": [] } ],"
			  " \"devices\": [] }",
			  "a string");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bdf),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_iommus),
		cmocka_unit_test(test_iommus_of_groups),
		cmocka_unit_test(test_json_iommus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
