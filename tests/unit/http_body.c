/* SPDX-License-Identifier: MIT
 *
 * Framing of bodies: sizes at their bounds, slices in place and as long as can be, what is left and what is done.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/http.h"

static const struct cnc_http_limits limits = {
    .line_max = 200, .head_max = 600, .fields_max = 8, .chunk_ext_max = 32, .trailer_max = 64
};

static struct cnc_http_body body_of(bool chunked, int64_t length)
{
    struct cnc_http_body b;
    struct cnc_http_head h;
    cnc_http_head_init(&h, NULL);
    h.flags = chunked ? CNC_HTTP_CHUNKED : 0;
    h.content_length = length;
    cnc_http_body_init(&b, &h);
    return b;
}

static int next(struct cnc_http_body *b, struct cnc_slice *in, struct cnc_slice *data)
{
    return cnc_http_body_next(b, &limits, in, data);
}

START_TEST(no_body_is_done_at_once)
{
    for (int64_t length = -1; length <= 0; length++) {
        struct cnc_http_body b = body_of(false, length);
        struct cnc_slice in = CNC_SLICE("GET"), data;
        ck_assert(cnc_http_body_is_done(&b));
        ck_assert_int_eq(cnc_http_body_left(&b), 0);
        ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_END);
        ck_assert_uint_eq(in.n, 3);
    }
}
END_TEST

START_TEST(a_counted_body_ends_at_its_length)
{
    struct cnc_http_body b = body_of(false, 5);
    struct cnc_slice in = CNC_SLICE("hel"), data;
    ck_assert_int_eq(cnc_http_body_left(&b), 5);
    ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_DATA);
    ck_assert_uint_eq(data.n, 3);
    ck_assert_int_eq(cnc_http_body_left(&b), 2);
    ck_assert(!cnc_http_body_is_done(&b));
    ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_MORE);
    in = CNC_SLICE("loGET");
    const char *first = in.p;
    ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_DATA);
    ck_assert_ptr_eq(data.p, first);
    ck_assert_uint_eq(data.n, 2);
    ck_assert(cnc_http_body_is_done(&b));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_END);
        ck_assert_uint_eq(in.n, 3);
        ck_assert_ptr_eq(in.p, first + 2);
    }
}
END_TEST

START_TEST(chunk_data_comes_in_place_and_as_long_as_can_be)
{
    struct cnc_http_body b = body_of(true, -1);
    struct cnc_slice in = CNC_SLICE("A\r\n0123456789\r\n3\r\nab"), data;
    const char *p = in.p;
    ck_assert_int_eq(cnc_http_body_left(&b), -1);
    ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_DATA);
    ck_assert_ptr_eq(data.p, p + 3);
    ck_assert_uint_eq(data.n, 10);
    ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_DATA);
    ck_assert_ptr_eq(data.p, p + 18);
    ck_assert_uint_eq(data.n, 2);
    ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_MORE);
    in = CNC_SLICE("c\r\n0\r\nA: b\r\n\r\nGET");
    ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_DATA);
    ck_assert_uint_eq(data.n, 1);
    ck_assert(!cnc_http_body_is_done(&b));
    ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_END);
    ck_assert(cnc_http_body_is_done(&b));
    ck_assert_int_eq(cnc_http_body_left(&b), 0);
    ck_assert_uint_eq(in.n, 3);
    ck_assert_int_eq(next(&b, &in, &data), CNC_HTTP_BODY_END);
}
END_TEST

static const struct {
    const char *digits;
    int64_t size; /* -1: refused */
} sizes[] = {
    { "1", 1 },
    { "f", 15 },
    { "FfFf", 65535 },
    { "7fffffff", INT32_MAX },
    { "80000000", INT64_C(1) << 31 },
    { "ffffffff", UINT32_MAX },
    { "100000000", INT64_C(1) << 32 },
    { "3fffffffffffffff", (INT64_C(1) << 62) - 1 },
    { "4000000000000000", INT64_C(1) << 62 },
    { "4000000000000001", -1 },
    { "4fffffffffffffff", -1 },
    { "7fffffffffffffff", -1 },
    { "8000000000000000", -1 },
    { "ffffffffffffffff", -1 },
    { "10000000000000000", -1 },
    { "10000000000000001", -1 },
    { "0000000000000001", 1 },
    { "00000000000000001", -1 },
    { "000000000000000000000000000000001", -1 },
};

START_TEST(chunk_sizes_at_their_bounds)
{
    char text[64];
    struct cnc_http_body b = body_of(true, -1);
    struct cnc_slice data = { NULL, 0 };
    snprintf(text, sizeof text, "%s\r\nx", sizes[_i].digits);
    struct cnc_slice in = { text, strlen(text) };
    const int rc = next(&b, &in, &data);
    if (sizes[_i].size < 0) {
        ck_assert_int_eq(rc, 400);
        ck_assert_int_eq(next(&b, &in, &data), 400);
        ck_assert(!cnc_http_body_is_done(&b));
        return;
    }
    ck_assert_int_eq(rc, CNC_HTTP_BODY_DATA);
    ck_assert_uint_eq(data.n, 1);
    ck_assert_int_eq(b.left, sizes[_i].size - 1);
}
END_TEST

/* A size of many digits must not be taken modulo a word. */
START_TEST(a_bad_body_stays_bad)
{
    struct cnc_http_body b = body_of(true, -1);
    struct cnc_slice in = CNC_SLICE("10000000000000005\r\nhello\r\n0\r\n\r\n"), data;
    ck_assert_int_eq(next(&b, &in, &data), 400);
    in = CNC_SLICE("0\r\n\r\n");
    ck_assert_int_eq(next(&b, &in, &data), 400);
    ck_assert_uint_eq(in.n, 5);
    b = body_of(true, -1);
    in = CNC_SLICE("0\r\nA: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n");
    ck_assert_int_eq(next(&b, &in, &data), 431);
    ck_assert_int_eq(next(&b, &in, &data), 431);
}
END_TEST

START_TEST(without_room_for_trailers_the_last_line_still_ends_the_body)
{
    struct cnc_http_limits none = limits;
    none.trailer_max = none.chunk_ext_max = 0;
    struct cnc_http_body b = body_of(true, -1);
    struct cnc_slice in = CNC_SLICE("0\r\n\r\n"), data;
    ck_assert_int_eq(cnc_http_body_next(&b, &none, &in, &data), CNC_HTTP_BODY_END);
    b = body_of(true, -1);
    in = CNC_SLICE("0\r\nA:\r\n\r\n");
    ck_assert_int_eq(cnc_http_body_next(&b, &none, &in, &data), 431);
    b = body_of(true, -1);
    in = CNC_SLICE("0;a\r\n\r\n");
    ck_assert_int_eq(cnc_http_body_next(&b, &none, &in, &data), 400);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_body");
    TCase *c = tcase_create("body");
    tcase_add_test(c, no_body_is_done_at_once);
    tcase_add_test(c, a_counted_body_ends_at_its_length);
    tcase_add_test(c, chunk_data_comes_in_place_and_as_long_as_can_be);
    tcase_add_loop_test(c, chunk_sizes_at_their_bounds, 0, (int)CNC_COUNT(sizes));
    tcase_add_test(c, a_bad_body_stays_bad);
    tcase_add_test(c, without_room_for_trailers_the_last_line_still_ends_the_body);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
