/* SPDX-License-Identifier: BSD-3-Clause */
/* The decoders on their own: what they accept, and what they make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vfio_user/json.h"
#include "vfio_user/parse.h"

/* In a block of its own, so that a sanitizer sees a read beyond its end. */
static bool numbers(const char *text, struct vfu_json_number *num, unsigned int n)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1);
	bool ok;

	assert_non_null(copy);
	memmove(copy + 1, text, len);
	ok = vfu_json_numbers(copy + 1, len, "o", num, n);
	free(copy);
	return ok;
}

static void json_numbers_are_found_wherever_they_stand(void **state)
{
	static const char *const texts[] = {
		"{\"o\":{\"a\":1,\"b\":18446744073709551615}}",
		" { \"x\" : [ 1 , { } , [ ] ] , \"o\" : { \"b\" : 18446744073709551615 , \"c\" : "
		"\"\\\"}\" , \"a\" : 1 } } \n",
		"{\"o\":{\"a\":7},\"y\":-1.5e+3,\"z\":true,\"n\":null,\"f\":false,"
		"\"o\":{\"b\":18446744073709551615,\"a\":1}}",
	};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct vfu_json_number n[] = { { .key = "a" }, { .key = "b" }, { .key = "ab" } };

		assert_true(numbers(texts[i], n, 3));
		assert_true(n[0].found && n[1].found && !n[2].found);
		assert_int_equal(n[0].value, 1);
		assert_true(n[1].value == UINT64_MAX);
	}
}

static void json_without_the_object_has_no_numbers(void **state)
{
	struct vfu_json_number n = { .key = "a", .found = true };

	(void)state;
	assert_true(numbers("{}", &n, 1));
	assert_false(n.found);
	assert_true(numbers("{\"a\":1,\"p\":{\"o\":{\"a\":1}}}", &n, 1));
	assert_false(n.found);
}

/* Each beginning of a text is none. */
static void json_that_ends_early_is_refused(void **state)
{
	static const char text[] = "{\"o\":{\"a\":1,\"s\":\"\\u1234\"},\"l\":[1.5e3,true,null]}";
	struct vfu_json_number n = { .key = "a" };

	(void)state;
	assert_true(numbers(text, &n, 1));
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		char *part = strndup(text, len);

		assert_false(numbers(part, &n, 1));
		free(part);
	}
}

static void json_that_is_none_is_refused(void **state)
{
	static const char *const texts[] = {
		"1",
		"{} x",
		"{,}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":[1,]}",
		"{\"a\":[1 2]}",
		"{\"a\":-}",
		"{\"a\":tru}",
		"{\"o\":[]}",
		"{\"o\":{\"a\":true}}",
		"{\"o\":{\"a\":1e3}}",
		"{\"o\":{\"a\":-1}}",
	};
	struct vfu_json_number n = { .key = "a" };

	(void)state;
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (numbers(texts[i], &n, 1))
			fail_msg("taken: %s", texts[i]);
}

static void a_number_too_large_is_the_largest(void **state)
{
	struct vfu_json_number n = { .key = "a" };

	(void)state;
	assert_true(numbers("{\"o\":{\"a\":18446744073709551616}}", &n, 1));
	assert_true(n.found && n.value == UINT64_MAX);
}

static void json_that_is_nested_deeply_is_refused(void **state)
{
	struct vfu_json_number n = { .key = "a" };
	char text[200001];

	(void)state;
	strcpy(text, "{\"x\":");
	memset(text + 5, '[', 100000);
	text[100005] = 0;
	assert_false(numbers(text, &n, 1));
	memset(text + 5, '[', 15);
	memset(text + 20, ']', 15);
	strcpy(text + 35, "}");
	assert_true(numbers(text, &n, 1));
	memset(text + 5, '[', 16);
	memset(text + 21, ']', 16);
	strcpy(text + 37, "}");
	assert_false(numbers(text, &n, 1));
}

static void every_command_has_a_name_for_the_log(void **state)
{
	(void)state;
	assert_string_equal(vfu_cmd_name(VU_DMA_MAP), "DMA_MAP");
	assert_string_equal(vfu_cmd_name(99), "command 99");
	assert_null(vfu_cmd(0));
	assert_null(vfu_cmd(VU_DMA_READ));
	assert_null(vfu_cmd(UINT16_MAX));
}

static const char *decode(uint16_t command, const void *payload, uint32_t size, struct vfu_req *req)
{
	struct vu_hdr h = { .command = command, .size = (uint32_t)sizeof(h) + size };

	return vfu_decode(&h, payload, 0, req);
}

static void a_range_may_end_at_2_64(void **state)
{
	struct vu_dma_map m = {
		.argsz = 32, .flags = 1, .addr = 0ull - 4096, .size = 4096, .offset = 8192
	};
	struct vu_dma_unmap u = { .argsz = 24, .addr = 1, .size = UINT64_MAX };
	struct vfu_req req;

	(void)state;
	assert_null(decode(VU_DMA_MAP, &m, sizeof(m), &req));
	assert_true(req.map.addr == m.addr && req.map.size == 4096 && req.map.offset == 8192);
	assert_int_equal(req.map.perm, 1);
	assert_null(decode(VU_DMA_UNMAP, &u, sizeof(u), &req));
	assert_true(req.unmap.addr == 1 && req.unmap.size == UINT64_MAX && !req.unmap.all);
	u.addr = 2;
	assert_non_null(decode(VU_DMA_UNMAP, &u, sizeof(u), &req));
	m.size = 4097;
	assert_non_null(decode(VU_DMA_MAP, &m, sizeof(m), &req));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_numbers_are_found_wherever_they_stand),
		cmocka_unit_test(json_without_the_object_has_no_numbers),
		cmocka_unit_test(json_that_ends_early_is_refused),
		cmocka_unit_test(json_that_is_none_is_refused),
		cmocka_unit_test(a_number_too_large_is_the_largest),
		cmocka_unit_test(json_that_is_nested_deeply_is_refused),
		cmocka_unit_test(every_command_has_a_name_for_the_log),
		cmocka_unit_test(a_range_may_end_at_2_64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
