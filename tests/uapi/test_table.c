/* SPDX-License-Identifier: MIT */
/*
 * The size rules: each alone, then sizes, contents and unreadable pages at random
 * against a byte-by-byte model of what Linux does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

#include <setjmp.h>
#include <cmocka.h>

#include "fake_client.h"

struct sample {
	uint32_t size, flags;
	uint64_t value;
	uint32_t out, reserved;
};

#define MIN           8
#define CMD_SIZED     _IO(';', 0x80)
#define CMD_SIZED_END _IO(';', 0x83)
#define CMD_ARGSZ     _IO(';', 100)
#define CMD_NONE      _IO(';', 101)
#define CMD_NAMED     _IO(';', 102)

/* What the handler saw, and what it is to do. */
static struct {
	unsigned calls;
	struct uapi_call call;
	size_t respond;
	long result;
} seen;

static long sample_handler(struct uapi_call *call)
{
	struct sample *s = (struct sample *)call->data;

	seen.calls++;
	seen.call = *call;
	if (seen.respond) {
		s->flags = 0x1111;
		s->value = 0x2222;
		s->out = 0x3333;
		if (uapi_respond(call, seen.respond))
			return -EFAULT;
	}
	return seen.result;
}

static const struct uapi_field sample_fields[] = {
	{.name = "flags", .offset = 4, .size = 4, .kind = UAPI_HEX},
	{.name = "value", .offset = 8, .size = 8, .kind = UAPI_DEC},
	{.name = "out", .offset = 16, .size = 4, .kind = UAPI_DEC, .out = true},
	{.name = NULL},
};

static const struct uapi_entry sized_entries[] = {
	{CMD_SIZED, "SAMPLE", UAPI_SIZED, MIN, sizeof(struct sample), sample_handler,
	 sample_fields},
	{CMD_SIZED_END, "SAMPLE_END", UAPI_SIZED, MIN, sizeof(struct sample),
	 sample_handler, NULL},
};
static const struct uapi_table sized = {"sized", sized_entries, 2};

static const struct uapi_entry other_entries[] = {
	{CMD_ARGSZ, "ARGSZ", UAPI_ARGSZ, 16, 24, sample_handler, sample_fields},
	{CMD_NONE, "NONE", UAPI_NONE, 0, 0, sample_handler, NULL},
	{CMD_NAMED, "NAMED", UAPI_ARGSZ, 16, 0, NULL, NULL},
};
static const struct uapi_table other = {"other", other_entries, 3};

static const struct vfile_ops file_ops = {.name = "file"};
static struct vfile file = {.ops = &file_ops};
static struct fake_client fake;

static int setup(void **state)
{
	fake_client_init(&fake);
	memset(&seen, 0, sizeof(seen));
	return 0;
}

static void put_u32(size_t offset, uint32_t v)
{
	memcpy(fake.mem + offset, &v, sizeof(v));
}

static uint32_t get_u32(size_t offset)
{
	uint32_t v;

	memcpy(&v, fake.mem + offset, sizeof(v));
	return v;
}

static long call_at(size_t offset, uint32_t cmd)
{
	const struct uapi_table *table = _IOC_NR(cmd) >= 0x80 ? &sized : &other;

	return uapi_dispatch(table, &file, &fake.client, cmd, FAKE_BASE + offset);
}

static void tables_are_sound(void **state)
{
	assert_null(uapi_table_error(&sized));
	assert_null(uapi_table_error(&other));
}

static void unsound_tables_are_named(void **state)
{
	static const struct uapi_field outside[] = {
		{.name = "outside", .offset = 20, .size = 8, .kind = UAPI_DEC},
		{.name = NULL},
	};
	static const struct uapi_field odd[] = {
		{.name = "odd", .offset = 4, .size = 3, .kind = UAPI_DEC},
		{.name = NULL},
	};
	static const struct uapi_field nameless[] = {
		{.name = "nameless", .offset = 4, .size = 4, .kind = UAPI_FLAGS},
		{.name = NULL},
	};
	struct uapi_entry entries[2] = {sized_entries[0], sized_entries[1]};
	struct uapi_table table = {"t", entries, 2};

	entries[1].cmd = entries[0].cmd;
	assert_string_equal(uapi_table_error(&table), "SAMPLE_END");
	table.n = 1;
	assert_null(uapi_table_error(&table));
	entries[0].size = UAPI_MAX_STRUCT + 1;
	assert_string_equal(uapi_table_error(&table), "SAMPLE");
	/* And even then nothing is overrun. */
	put_u32(0, UAPI_MAX_STRUCT + 1);
	assert_int_equal(uapi_dispatch(&table, &file, &fake.client, CMD_SIZED, FAKE_BASE),
			 -EINVAL);
	entries[0] = sized_entries[0];
	entries[0].min_size = sizeof(struct sample) + 1;
	assert_string_equal(uapi_table_error(&table), "SAMPLE");
	entries[0].min_size = 3;
	assert_string_equal(uapi_table_error(&table), "SAMPLE");
	entries[0] = sized_entries[0];
	entries[0].fields = outside;
	assert_string_equal(uapi_table_error(&table), "outside");
	entries[0].fields = odd;
	assert_string_equal(uapi_table_error(&table), "odd");
	entries[0].fields = nameless;
	assert_string_equal(uapi_table_error(&table), "nameless");
}

static void unknown_numbers(void **state)
{
	assert_int_equal(call_at(0, _IO(';', 0x90)), -ENOTTY);
	assert_int_equal(call_at(0, _IO(';', 99)), -ENOTTY);
	assert_int_equal(fake.copies_in, 0);

	/* A number of the family with other bits: the size is read before it shows. */
	assert_int_equal(call_at(0, _IO('Z', 0x80)), -ENOTTY);
	assert_int_equal(call_at(0, _IOW(';', 0x82, int)), -ENOTTY);
	fake.missing[0] = true;
	assert_int_equal(call_at(0, _IO('Z', 0x80)), -EFAULT);
	assert_int_equal(call_at(0, _IO(';', 0x90)), -ENOTTY);
	/* Not so where calls do not all start with a size. */
	assert_int_equal(call_at(0, _IO('Z', 100)), -ENOTTY);

	assert_true(uapi_owns(&sized, _IO('Z', 0x81)));
	assert_false(uapi_owns(&sized, _IO(';', 0x84)));
	assert_false(uapi_owns(&sized, _IO(';', 0x7f)));
	assert_null(uapi_find(&sized, _IO(';', 0x81)));
	assert_ptr_equal(uapi_find(&sized, CMD_SIZED_END), &sized_entries[1]);
	assert_int_equal(seen.calls, 0);
}

static void known_by_name_only(void **state)
{
	fake.missing[0] = true;
	assert_int_equal(call_at(0, CMD_NAMED), -ENOTTY);
	assert_int_equal(fake.copies_in, 0);
}

static void every_size(void **state)
{
	const struct sample *s = (const struct sample *)seen.call.data;

	for (uint32_t size = 0; size <= 64; size++) {
		setup(NULL);
		memset(fake.mem, 0xaa, sizeof(struct sample));
		put_u32(0, size);
		if (size < MIN) {
			assert_int_equal(call_at(0, CMD_SIZED), -EINVAL);
			assert_int_equal(seen.calls, 0);
			continue;
		}
		assert_int_equal(call_at(0, CMD_SIZED), 0);
		assert_int_equal(seen.calls, 1);
		assert_int_equal(seen.call.user_size, size);
		assert_int_equal(s->size, size);
		for (unsigned i = 4; i < sizeof(seen.call.data); i++)
			assert_int_equal(seen.call.data[i],
					 i < size && i < sizeof(struct sample) ? 0xaa
									       : 0);
	}
}

static void tail_must_be_zero(void **state)
{
	size_t end = 3 * FAKE_PAGE;

	for (size_t at = sizeof(struct sample); at < end; at += at < 64 ? 1 : 509) {
		setup(NULL);
		put_u32(0, end);
		fake.mem[at] = 1;
		assert_int_equal(call_at(0, CMD_SIZED), -E2BIG);
		put_u32(0, at); /* just before it */
		assert_int_equal(call_at(0, CMD_SIZED), 0);
	}
}

static void tail_must_be_readable(void **state)
{
	size_t start = FAKE_PAGE - 64;

	fake.missing[1] = true;
	put_u32(start, 64);
	assert_int_equal(call_at(start, CMD_SIZED), 0);
	put_u32(start, 65);
	assert_int_equal(call_at(start, CMD_SIZED), -EFAULT);
	/* The first thing that is wrong wins. */
	fake.mem[FAKE_PAGE - 1] = 1;
	assert_int_equal(call_at(start, CMD_SIZED), -E2BIG);
	/* A hole behind readable pages. */
	setup(NULL);
	fake.missing[2] = true;
	put_u32(0, 3 * FAKE_PAGE);
	assert_int_equal(call_at(0, CMD_SIZED), -EFAULT);
	put_u32(0, 2 * FAKE_PAGE);
	assert_int_equal(call_at(0, CMD_SIZED), 0);
}

static void head_must_be_readable(void **state)
{
	size_t start = FAKE_PAGE - 12;

	fake.missing[1] = true;
	put_u32(start, 12);
	assert_int_equal(call_at(start, CMD_SIZED), 0);
	put_u32(start, 13);
	assert_int_equal(call_at(start, CMD_SIZED), -EFAULT);
	/* A size that is too small is noticed first; an unreadable size before that. */
	put_u32(start, 4);
	assert_int_equal(call_at(start, CMD_SIZED), -EINVAL);
	assert_int_equal(call_at(FAKE_PAGE - 2, CMD_SIZED), -EFAULT);
	/* The tail is looked at before the head. */
	setup(NULL);
	fake.missing[1] = true;
	put_u32(start, 64);
	fake.mem[2 * FAKE_PAGE] = 1;
	assert_int_equal(call_at(start, CMD_SIZED), -EFAULT);
	assert_int_equal(seen.calls, 0);
}

static void addresses_do_not_wrap(void **state)
{
	static const uint64_t bad[] = {0, 8, UINT64_MAX, UINT64_MAX - 3, 1ULL << 63};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
			uapi_dispatch(&sized, &file, &fake.client, CMD_SIZED, bad[i]),
			-EFAULT);
		assert_int_equal(
			uapi_dispatch(&other, &file, &fake.client, CMD_ARGSZ, bad[i]),
			-EFAULT);
	}
	put_u32(0, UINT32_MAX);
	assert_int_equal(call_at(0, CMD_SIZED), -EFAULT);
}

static void size_is_read_once(void **state)
{
	const struct sample *s = (const struct sample *)seen.call.data;

	put_u32(0, MIN);
	fake.race = true;
	fake.race_value = 4096;
	assert_int_equal(call_at(0, CMD_SIZED), 0);
	assert_int_equal(seen.call.user_size, MIN);
	assert_int_equal(s->size, MIN);
	assert_int_equal(get_u32(0), 4096);
	for (unsigned i = 4; i < FAKE_BYTES; i++)
		assert_int_equal(fake.reads[i], i < MIN);
}

static void bytes_are_copied_once(void **state)
{
	put_u32(0, FAKE_BYTES);
	assert_int_equal(call_at(0, CMD_SIZED), 0);
	for (unsigned i = 4; i < FAKE_BYTES; i++)
		assert_int_equal(fake.reads[i], 1);
}

static void answers_fit_the_client(void **state)
{
	for (uint32_t size = MIN; size <= 40; size++) {
		struct sample answer = {size, 0x1111, 0x2222, 0x3333, 0xcccccccc};
		size_t n = size < sizeof(answer) ? size : sizeof(answer);

		setup(NULL);
		seen.respond = sizeof(answer);
		memset(fake.mem + 4, 0xcc, sizeof(answer) - 4);
		put_u32(0, size);
		assert_int_equal(call_at(0, CMD_SIZED), 0);
		assert_memory_equal(fake.mem, &answer, n);
		for (size_t i = n; i < sizeof(answer); i++)
			assert_int_equal(fake.mem[i], 0xcc);
	}
	/* Not more than the handler says, nor than there is. */
	setup(NULL);
	seen.respond = 8;
	put_u32(0, 24);
	assert_int_equal(call_at(0, CMD_SIZED), 0);
	assert_int_equal(get_u32(8), 0);
	seen.respond = SIZE_MAX;
	assert_int_equal(call_at(0, CMD_SIZED), 0);
	assert_int_equal(fake.copies_out, 2);
}

static void answers_can_fault(void **state)
{
	struct uapi_call call = {.entry = &sized_entries[0], .client = &fake.client};

	call.user_size = 24;
	call.arg = FAKE_BASE + FAKE_BYTES - 8;
	assert_int_equal(uapi_respond(&call, 8), 0);
	assert_int_equal(uapi_respond(&call, 9), -EFAULT);
}

static void argsz_rule(void **state)
{
	const struct sample *s = (const struct sample *)seen.call.data;

	memset(fake.mem, 0xaa, 64);
	put_u32(0, 15);
	assert_int_equal(call_at(0, CMD_ARGSZ), -EINVAL);
	put_u32(0, 4000); /* whatever follows is not looked at */
	assert_int_equal(call_at(0, CMD_ARGSZ), 0);
	assert_int_equal(seen.call.user_size, 4000);
	assert_int_equal(s->size, 4000);
	assert_int_equal(s->out, 0);
	assert_int_equal(fake.reads[16], 0);
	/* All of the minimum must be readable, even when argsz is too small. */
	fake.missing[1] = true;
	put_u32(FAKE_PAGE - 12, 4);
	assert_int_equal(call_at(FAKE_PAGE - 12, CMD_ARGSZ), -EFAULT);
	/* The answer is as long as the handler says. */
	seen.respond = 20;
	put_u32(0, 16);
	assert_int_equal(call_at(0, CMD_ARGSZ), 0);
	assert_int_equal(get_u32(16), 0x3333);
}

static void fetch_and_store(void **state)
{
	struct uapi_call call = {.entry = &other_entries[0], .client = &fake.client};
	uint32_t v = 7;

	call.arg = FAKE_BASE;
	put_u32(100, 42);
	assert_int_equal(uapi_fetch(&call, &v, 100, sizeof(v)), 0);
	assert_int_equal(v, 42);
	v = 43;
	assert_int_equal(uapi_store(&call, 104, &v, sizeof(v)), 0);
	assert_int_equal(get_u32(104), 43);
	assert_int_equal(uapi_fetch(&call, &v, FAKE_BYTES - 3, sizeof(v)), -EFAULT);
	assert_int_equal(uapi_store(&call, FAKE_BYTES - 3, &v, sizeof(v)), -EFAULT);
	/* Offsets never lead round the end of the address space. */
	assert_int_equal(uapi_fetch(&call, &v, (size_t)-4096, sizeof(v)), -EFAULT);
	assert_int_equal(uapi_store(&call, (size_t)-4096, &v, sizeof(v)), -EFAULT);
	call.arg = UINT64_MAX - 8;
	assert_int_equal(uapi_fetch(&call, &v, 8, sizeof(v)), -EFAULT);
	assert_int_equal(uapi_fetch(&call, &v, FAKE_BASE + 9, sizeof(v)), -EFAULT);
}

static void no_struct(void **state)
{
	seen.result = 17;
	assert_int_equal(uapi_dispatch(&other, &file, &fake.client, CMD_NONE, 3), 17);
	assert_int_equal(seen.call.arg, 3);
	assert_int_equal(fake.copies_in, 0);
	assert_ptr_equal(seen.call.file, &file);
	assert_ptr_equal(seen.call.client, &fake.client);
	assert_ptr_equal(seen.call.entry, &other_entries[1]);
}

static void trace_of_calls(void **state)
{
	fake.client.trace = &fake.trace;
	fake.client.pid = 12;
	put_u32(0, 24);
	put_u32(4, 0x10);
	put_u32(8, 99);
	seen.respond = 24;
	assert_int_equal(call_at(0, CMD_SIZED), 0);
	assert_string_equal(fake.line,
			    "[12] file SAMPLE {flags=0x10, value=99} = 0 {out=13107}");
	seen.respond = 0;
	seen.result = -ENOENT;
	fake.client.pid = 0;
	put_u32(0, 8);
	assert_int_equal(call_at(0, CMD_SIZED), -ENOENT);
	assert_string_equal(fake.line,
			    "file SAMPLE {size=8, flags=0x1111, value=0} = -1 ENOENT");
	assert_int_equal(uapi_dispatch(&other, &file, &fake.client, CMD_NONE, 3),
			 -ENOENT);
	assert_string_equal(fake.line, "file NONE (0x3) = -1 ENOENT");
	assert_int_equal(fake.lines, 3);
}

static void trace_of_refusals(void **state)
{
	fake.client.trace = &fake.trace;
	put_u32(0, 4);
	assert_int_equal(call_at(0, CMD_SIZED), -EINVAL);
	assert_string_equal(fake.line,
			    "file SAMPLE {size=4} @0x7f0000000000 = -1 EINVAL");
	file.label = "label";
	assert_int_equal(call_at(0, _IO(';', 0x7f)), -ENOTTY);
	file.label = NULL;
	assert_string_equal(fake.line, "label ioctl(0x3b7f) @0x7f0000000000 = -1 ENOTTY");
	uapi_trace(&fake.client, "%s = %d", "open", 5);
	assert_string_equal(fake.line, "open = 5");
	fake.client.trace = NULL;
	uapi_trace(&fake.client, "off");
	assert_int_equal(fake.lines, 3);
}

/* What Linux answers, a byte at a time. */
static long model(size_t at, unsigned char *data)
{
	const struct uapi_entry *e = &sized_entries[0];
	uint32_t size;

	if (!fake_readable(&fake, FAKE_BASE + at, 4))
		return -EFAULT;
	size = get_u32(at);
	if (size < e->min_size)
		return -EINVAL;
	for (uint64_t i = e->size; i < size; i++) {
		if (!fake_readable(&fake, FAKE_BASE + at + i, 1))
			return -EFAULT;
		if (fake.mem[at + i])
			return -E2BIG;
	}
	memset(data, 0, UAPI_MAX_STRUCT);
	for (uint64_t i = 0; i < e->size && i < size; i++) {
		if (!fake_readable(&fake, FAKE_BASE + at + i, 1))
			return -EFAULT;
		data[i] = fake.mem[at + i];
	}
	return 0;
}

static uint32_t random_size(void)
{
	switch (rand() % 4) {
	case 0:
		return (uint32_t)rand() % 32;
	case 1:
		return (uint32_t)rand() % 512;
	case 2:
		return (uint32_t)rand() % (3 * FAKE_PAGE);
	default:
		return (uint32_t)rand() * 2u + (uint32_t)(rand() & 1);
	}
}

static void random_calls_match_the_model(void **state)
{
	const char *given = getenv("UIOMMUFD_TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
	unsigned char expected[UAPI_MAX_STRUCT];
	unsigned ok = 0;

	print_message("# seed %u\n", seed);
	srand(seed);
	for (unsigned round = 0; round < 4000; round++) {
		size_t at = rand() % 2 ? (size_t)rand() % FAKE_BYTES
				       : FAKE_PAGE - (size_t)rand() % 80;
		long want, got;

		setup(NULL);
		for (unsigned i = 0; i < FAKE_PAGES; i++)
			fake.missing[i] = rand() % 4 == 0;
		for (unsigned i = 0; i < 40 && at + i < FAKE_BYTES; i++)
			fake.mem[at + i] = i < 24 || rand() % 32 == 0 ? rand() & 0xff : 0;
		if (rand() % 4 == 0)
			fake.mem[rand() % FAKE_BYTES] = 1;
		if (at + 4 <= FAKE_BYTES)
			put_u32(at, random_size());
		want = model(at, expected);
		got = call_at(at, CMD_SIZED);
		assert_int_equal(got, want);
		assert_int_equal(seen.calls, want == 0);
		if (want)
			continue;
		ok++;
		assert_memory_equal(seen.call.data, expected, sizeof(expected));
	}
	assert_true(ok > 100); /* it was not all errors */
}

static unsigned released;

static void release_file(struct vfile *f)
{
	released++;
}

static void files_are_counted(void **state)
{
	static const struct vfile_ops ops = {.name = "counted", .release = release_file};
	struct vfile f;

	vfile_init(&f, &ops, -1, 4096);
	assert_int_equal(f.storage_fd, -1);
	assert_int_equal(f.size, 4096);
	assert_int_equal(f.rdev, 0);
	assert_null(f.label);
	vfile_get(&f);
	vfile_put(&f);
	assert_int_equal(released, 0);
	vfile_put(&f);
	assert_int_equal(released, 1);
	vfile_put(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tables_are_sound, setup),
		cmocka_unit_test_setup(unsound_tables_are_named, setup),
		cmocka_unit_test_setup(unknown_numbers, setup),
		cmocka_unit_test_setup(known_by_name_only, setup),
		cmocka_unit_test_setup(every_size, setup),
		cmocka_unit_test_setup(tail_must_be_zero, setup),
		cmocka_unit_test_setup(tail_must_be_readable, setup),
		cmocka_unit_test_setup(head_must_be_readable, setup),
		cmocka_unit_test_setup(addresses_do_not_wrap, setup),
		cmocka_unit_test_setup(size_is_read_once, setup),
		cmocka_unit_test_setup(bytes_are_copied_once, setup),
		cmocka_unit_test_setup(answers_fit_the_client, setup),
		cmocka_unit_test_setup(answers_can_fault, setup),
		cmocka_unit_test_setup(argsz_rule, setup),
		cmocka_unit_test_setup(fetch_and_store, setup),
		cmocka_unit_test_setup(no_struct, setup),
		cmocka_unit_test_setup(trace_of_calls, setup),
		cmocka_unit_test_setup(trace_of_refusals, setup),
		cmocka_unit_test_setup(random_calls_match_the_model, setup),
		cmocka_unit_test(files_are_counted),
	};

	return cmocka_run_group_tests_name("uapi-table", tests, NULL, NULL);
}
