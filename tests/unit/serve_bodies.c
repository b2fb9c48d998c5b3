/* SPDX-License-Identifier: MIT
 *
 * Which bodies are read before a thread takes their request.
 */
#include <check.h>
#include <concur/concur.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/bodies.h"

static int answer(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "");
}

static int note(concur_request *r, int status, void *arg)
{
    (void)r;
    (void)status;
    (void)arg;
    return CONCUR_OK;
}

static concur_server *make(const char *early_body_max)
{
    concur_server *s = concur_server_new(CONCUR_ENGINE_THREAD, NULL);
    ck_assert_ptr_nonnull(s);
    concur_server_set(s, NULL, "listen", "127.0.0.1:0");
    concur_server_set(s, NULL, "body_max", "2000");
    concur_server_set(s, NULL, "body_memory", "1000");
    concur_server_set(s, NULL, "early_body_max", early_body_max);
    concur_server_set(s, "route POST /slow", "request_timeout", "7s");
    concur_server_set(s, "route POST /small", "body_max", "10");
    concur_server_route(s, "POST /whole", 0, answer, NULL);
    concur_server_route(s, "/any/{name}", 0, answer, NULL);
    concur_server_route(s, "POST /stream", CONCUR_ROUTE_STREAM, answer, NULL);
    concur_server_route(s, "POST /memory", CONCUR_ROUTE_IN_MEMORY, answer, NULL);
    concur_server_route(s, "POST /slow", 0, answer, NULL);
    concur_server_route(s, "POST /small", 0, answer, NULL);
    concur_server_route(s, "POST /", 0, answer, NULL);
    concur_server_route(s, "POST /asked/first", 0, answer, NULL);
    concur_server_route(s, "POST /told/later", 0, answer, NULL);
    concur_server_before(s, "/asked", 0, answer, NULL);
    concur_server_before(s, "/any/hooked", 0, answer, NULL);
    concur_server_after(s, "/told", 0, note, NULL);
    ck_assert_msg(concur_server_check(s) == CONCUR_OK, "%s", concur_server_error(s));
    return s;
}

static bool asks(concur_server *s, const char *line, const char *fields, size_t bytes_max, struct cnc_early_terms *out)
{
    char text[512];
    struct cnc_http_field room[16];
    struct cnc_http_head head;
    struct cnc_http_limits limits = { .line_max = 400, .head_max = 500, .fields_max = 16 };
    const int n = snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: a\r\n%s\r\n", line, fields);
    cnc_http_head_init(&head, room);
    ck_assert_int_eq(cnc_http_head_parse(&head, &limits, text, (size_t)n), CNC_HTTP_HEAD_DONE);
    return cnc_bodies_want(s, &head, text, bytes_max, out);
}

#define LENGTH(n) "Content-Length: " n "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static const struct {
    const char *line, *fields;
    size_t bytes_max; /* 0: no bound */
    int64_t body_max; /* -1: not early */
} rows[] = {
    { "POST /whole", LENGTH("1"), 0, 1000 },
    { "POST /whole", LENGTH("1000"), 0, 1000 },
    { "POST /whole", LENGTH("1001"), 0, -1 }, /* it goes to a file */
    { "POST /whole", LENGTH("2001"), 0, -1 }, /* it is refused */
    { "POST /whole", CHUNKED, 0, 1000 },
    { "POST /whole?q", CHUNKED, 0, 1000 },
    { "POST http://b/x/../%77hole", CHUNKED, 0, 1000 },
    { "POST http://b", CHUNKED, 0, 1000 },
    { "POST /%zz", CHUNKED, 0, -1 },
    { "OPTIONS *", LENGTH("1"), 0, -1 },
    { "GET /whole", LENGTH("1"), 0, -1 },
    { "POST /nowhere", LENGTH("1"), 0, -1 },
    { "PUT /any/b", LENGTH("9"), 0, 1000 },
    { "GET /any/b", LENGTH("9"), 0, 1000 },
    { "PUT /any/hooked", LENGTH("9"), 0, -1 },
    { "PUT /any/hookedly", LENGTH("9"), 0, 1000 },
    { "POST /stream", LENGTH("9"), 0, -1 },
    { "POST /memory", LENGTH("2000"), 0, 2000 },
    { "POST /memory", LENGTH("2001"), 0, -1 },
    { "POST /small", LENGTH("10"), 0, 10 },
    { "POST /small", LENGTH("11"), 0, -1 },
    { "POST /small", CHUNKED, 0, 10 },
    { "POST /asked/first", LENGTH("9"), 0, -1 },
    { "POST /told/later", LENGTH("9"), 0, 1000 },
    /* 54 bytes of head */
    { "POST /whole", LENGTH("900"), 953, -1 },
    { "POST /whole", LENGTH("900"), 954, 1000 },
    { "POST /whole", CHUNKED, 954, 1000 },
};

START_TEST(which)
{
    concur_server *s = make("1m");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cnc_early_terms terms = { 0 };
        const size_t most = rows[i].bytes_max ? rows[i].bytes_max : SIZE_MAX;
        const bool is_early = asks(s, rows[i].line, rows[i].fields, most, &terms);
        ck_assert_msg(is_early == (rows[i].body_max >= 0), "%zu: %s", i, rows[i].line);
        if (!is_early)
            continue;
        ck_assert_int_eq(terms.body_max, rows[i].body_max);
        ck_assert_uint_ge(terms.bytes_max, rows[i].bytes_max ? 954 : (size_t)rows[i].body_max);
        ck_assert_uint_le(terms.bytes_max, rows[i].bytes_max ? 954 : 2 * (size_t)rows[i].body_max + 2000);
        ck_assert_ptr_eq(terms.sum, &s->early_bytes);
        ck_assert_uint_eq(terms.sum_max, 1 << 20);
        ck_assert_int_eq(terms.timeout_ms, 0);
    }
    struct cnc_early_terms terms;
    ck_assert(asks(s, "POST /slow", CHUNKED, SIZE_MAX, &terms));
    ck_assert_int_eq(terms.timeout_ms, 7000);
    concur_server_free(s);
}
END_TEST

START_TEST(none_if_there_is_no_room)
{
    struct cnc_early_terms terms;
    concur_server *s = make("0");
    ck_assert(!asks(s, "POST /whole", CHUNKED, SIZE_MAX, &terms));
    concur_server_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("serve_bodies");
    TCase *t = tcase_create("bodies");
    tcase_add_test(t, which);
    tcase_add_test(t, none_if_there_is_no_room);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
