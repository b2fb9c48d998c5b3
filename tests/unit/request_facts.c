/* SPDX-License-Identifier: MIT
 *
 * Facts about a request and its reply, on every engine whose handlers share the test's memory.
 */
#include "live.h"

static int engines[8];
static unsigned engine_total;

/* ---- what the head says ---- */

static int show_head(concur_request *r, void *arg)
{
    const char *query = concur_request_query(r);
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%s|%s|%s|%d|%s", concur_request_host(r), concur_request_target(r),
                               query ? query : "(none)", concur_request_version(r), concur_request_path(r));
}

static const struct {
    const char *request, *expected;
} heads[] = {
    { "GET /head HTTP/1.1\r\nHost: a.example:81\r\n\r\n", "a.example:81|/head|(none)|11|/head" },
    { "GET /head? HTTP/1.1\r\nHost: a\r\n\r\n", "a|/head?||11|/head" },
    { "GET /head?? HTTP/1.1\r\nHost: a\r\n\r\n", "a|/head??|?|11|/head" },
    { "GET /x/../%68ead?q=%20+&r HTTP/1.1\r\nHost: a\r\n\r\n", "a|/x/../%68ead?q=%20+&r|q=%20+&r|11|/head" },
    { "GET http://t:8/head?b HTTP/1.1\r\nX: y\r\nHost: other\r\n\r\n", "t:8|http://t:8/head?b|b|11|/head" },
    { "GET http://t/head HTTP/1.0\r\n\r\n", "t|http://t/head|(none)|10|/head" },
    { "GET /head HTTP/1.0\r\n\r\n", "|/head|(none)|10|/head" },
    { "GET /head HTTP/1.7\r\nHost: [::1]\r\n\r\n", "[::1]|/head|(none)|11|/head" },
    { "\r\n\r\nGET /head?a HTTP/1.1\r\nHost: a\r\n\r\n", "a|/head?a|a|11|/head" },
};

START_TEST(head)
{
    struct live l = live_new(engines[_i]);
    live_route(&l, "/head", 0, show_head, NULL);
    live_start(&l);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        char body[512] = "";
        int status = live_ask(&l, heads[i].request, body, sizeof body);
        ck_assert_msg(status == 200 && strcmp(body, heads[i].expected) == 0, "%s: %s: %d %s", l.name, heads[i].request,
                      status, body);
    }
    live_end(&l, 0);
}
END_TEST

/* ---- several values ---- */

static int count_values(concur_request *r, void *arg)
{
    const char *second = concur_request_nth(r, CONCUR_IN_QUERY, "a", 1);
    const char *third = concur_request_nth(r, CONCUR_IN_QUERY, "a", 2);
    const char *field = concur_request_nth(r, CONCUR_IN_HEADER, "x-b", 1);
    (void)arg;
    return concur_reply_printf(
        r, 200, NULL, "%d %d %d|%d %d|%d %d|%d %d|%d %d|%s %d %s %d %d", concur_request_count(r, CONCUR_IN_QUERY, "a"),
        concur_request_count(r, CONCUR_IN_QUERY, "A"), concur_request_count(r, CONCUR_IN_QUERY, NULL),
        concur_request_count(r, CONCUR_IN_HEADER, "X-B"), concur_request_count(r, CONCUR_IN_HEADER, NULL),
        concur_request_count(r, CONCUR_IN_COOKIE, "c"), concur_request_count(r, CONCUR_IN_COOKIE, NULL),
        concur_request_count(r, CONCUR_IN_PARAM, "p"), concur_request_count(r, CONCUR_IN_PARAM, NULL),
        concur_request_count(r, CONCUR_IN_FORM, NULL), concur_request_count(r, 0, NULL), second, third == NULL, field,
        concur_request_nth(r, CONCUR_IN_PARAM, "p", 1) == NULL, concur_request_nth(r, CONCUR_IN_HEADER, "x-b", 2) == NULL);
}

/* Absent, and not readable: two answers. */
static int count_without_memory(concur_request *r, void *arg)
{
    (void)arg;
    while (concur_request_alloc(r, 100) != NULL)
        continue;
    return concur_reply_printf(r, 200, NULL, "%d %d", concur_request_count(r, CONCUR_IN_QUERY, "absent"),
                               concur_request_get(r, CONCUR_IN_QUERY, "a") == NULL);
}

static int count_form(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%d", concur_request_count(r, CONCUR_IN_FORM, "a"));
}

static void expect_form(const struct live *l, const char *path, const char *expected)
{
    char request[512], body[64] = "";
    snprintf(request, sizeof request,
             "POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n"
             "\r\na=1&b=2&a=3", path);
    ck_assert_int_eq(live_ask(l, request, body, sizeof body), 200);
    ck_assert_str_eq(body, expected);
}

START_TEST(values)
{
    char body[512] = "", expected[64];
    struct live l = live_new(engines[_i]);
    live_route(&l, "/values/{p}", 0, count_values, NULL);
    live_route(&l, "/full", 0, count_without_memory, NULL);
    live_route(&l, "/form", 0, count_form, NULL);
    live_route(&l, "/form-in-file", 0, count_form, NULL);
    ck_assert_int_eq(concur_server_set(l.server, "route /form-in-file", "body_memory", "4"), CONCUR_OK);
    live_start(&l);
    ck_assert_int_eq(live_ask(&l, "GET /values/1?a=1&b=2&a=3 HTTP/1.1\r\nHost: t\r\nX-B: 1\r\nx-b: 2\r\nCookie: c=1; d=2; c=3\r\n\r\n",
                              body, sizeof body), 200);
    snprintf(expected, sizeof expected, "2 0 3|2 4|2 3|1 1|0 %d|3 1 2 1 1", CONCUR_E_INVAL);
    ck_assert_str_eq(body, expected);
    ck_assert_int_eq(live_get(&l, "/full?a=1", body, sizeof body), 200);
    snprintf(expected, sizeof expected, "%d 1", CONCUR_E_NOMEM);
    ck_assert_str_eq(body, expected);
    expect_form(&l, "/form", "2");
    snprintf(expected, sizeof expected, "%d", CONCUR_E_LIMIT);
    expect_form(&l, "/form-in-file", expected);
    live_end(&l, 0);
}
END_TEST

/* ---- who speaks with whom ---- */

static int show_ends(concur_request *r, void *arg)
{
    const char *address = concur_request_peer_address(r), *local = concur_request_local(r);
    bool same = address == concur_request_peer_address(r) && local == concur_request_local(r);
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%s %s %d %s %d", concur_request_peer(r), address,
                               concur_request_peer_port(r), local, same);
}

static void expect_ends(const struct live *l, const char *path)
{
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    struct live_peer p = live_connect(l);
    struct live_answer a;
    char request[128], expected[256];
    ck_assert_int_eq(getsockname(p.fd, (struct sockaddr *)&own, &len), 0);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", path);
    ck_assert(live_send(&p, request) && live_receive(&p, &a, false));
    unsigned port = ntohs(own.sin_port);
    snprintf(expected, sizeof expected, "127.0.0.1:%u 127.0.0.1 %u 127.0.0.1:%u 1", port, port,
             (unsigned)ntohs(l->at.sin_port));
    ck_assert_msg(a.n == strlen(expected) && memcmp(a.body, expected, a.n) == 0, "%s %s: %.*s, not %s", l->name, path,
                  (int)a.n, a.body, expected);
    live_close(&p);
}

/* On one address the local end is known from the start; on all that the machine has, and on several, it is asked for. */
START_TEST(ends)
{
    static const char *const listens[] = { "127.0.0.1:0", "0.0.0.0:0" };
    for (size_t i = 0; i < 3; i++) {
        struct live l = { .server = concur_server_new(engines[_i], NULL), .name = concur_engine_name(engines[_i]) };
        live_set(&l, "environment", "off");
        ck_assert_int_eq(concur_server_listen(l.server, listens[i == 1]), CONCUR_OK);
        if (i == 2)
            ck_assert_int_eq(concur_server_listen(l.server, listens[0]), CONCUR_OK);
        live_route(&l, "/ends", 0, show_ends, NULL);
        live_route(&l, "/ends-away", CONCUR_ROUTE_BLOCKING, show_ends, NULL);
        live_start(&l);
        expect_ends(&l, "/ends");
        expect_ends(&l, "/ends-away");
        live_end(&l, 0);
    }
}
END_TEST

/* ---- the reply ---- */

static int pieces(concur_request *r, void *arg)
{
    bool ok = concur_reply_status(r) == 0 && concur_reply_sent(r) == 0;
    bool bodiless = strcmp(concur_request_method(r), "HEAD") == 0;
    (void)arg;
    int rc = concur_reply_begin(r, 201, "text/plain");
    ok = ok && concur_reply_status(r) == 201 && concur_reply_sent(r) == 0;
    if (rc < 0)
        return rc;
    (void)concur_reply_write(r, "12345", 5);
    ok = ok && concur_reply_sent(r) == (bodiless ? 0 : 5);
    (void)concur_reply_write(r, "678", 3);
    ok = ok && concur_reply_sent(r) == (bodiless ? 0 : 8) && concur_reply_status(r) == 201;
    (void)concur_reply_write(r, ok ? "fine" : "wrong", ok ? 4 : 5);
    return concur_reply_end(r);
}

static atomic_llong ended_status, ended_sent;
static struct live_latch ended = LIVE_LATCH;

static int at_end(concur_request *r, int rc, void *arg)
{
    (void)rc, (void)arg;
    atomic_store(&ended_status, concur_reply_status(r));
    atomic_store(&ended_sent, concur_reply_sent(r));
    live_latch_add(&ended);
    return 0;
}

static int whole(concur_request *r, void *arg)
{
    (void)arg;
    (void)concur_request_on_end(r, at_end, NULL);
    return concur_reply_text(r, 202, "seven..");
}

static int page(concur_request *r, void *arg)
{
    (void)arg;
    (void)concur_request_on_end(r, at_end, NULL);
    return 418;
}

static int no_content(concur_request *r, void *arg)
{
    (void)arg;
    (void)concur_request_on_end(r, at_end, NULL);
    return concur_reply_text(r, 204, "dropped");
}

START_TEST(reply)
{
    static const struct {
        const char *path;
        int status, sent;
    } rows[] = { { "/whole", 202, 7 }, { "/page", 418, 4 }, { "/none", 204, 0 } };
    char body[64] = "";
    struct live l = live_new(engines[_i]);
    live_route(&l, "GET /pieces", 0, pieces, NULL);
    live_route(&l, "GET /pieces-away", CONCUR_ROUTE_BLOCKING, pieces, NULL);
    live_route(&l, "/whole", 0, whole, NULL);
    live_route(&l, "/page", 0, page, NULL);
    live_route(&l, "/none", 0, no_content, NULL);
    live_start(&l);
    ck_assert_int_eq(live_get(&l, "/pieces", body, sizeof body), 201);
    ck_assert_str_eq(body, "12345678fine");
    ck_assert_int_eq(live_get(&l, "/pieces-away", body, sizeof body), 201);
    ck_assert_str_eq(body, "12345678fine");
    ck_assert_int_eq(live_ask(&l, "HEAD /pieces HTTP/1.1\r\nHost: t\r\n\r\n", NULL, 0), 201);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(live_get(&l, rows[i].path, body, sizeof body), rows[i].status);
        ck_assert(live_latch_wait(&ended, i + 1));
        ck_assert_int_eq(atomic_load(&ended_status), rows[i].status);
        ck_assert_msg(atomic_load(&ended_sent) >= rows[i].sent, "%s", rows[i].path);
        ck_assert(rows[i].sent > 0 || atomic_load(&ended_sent) == 0);
    }
    live_end(&l, 0);
}
END_TEST

/* ---- a pointer of the program's ---- */

static const char key_one, key_two;
static atomic_uint freed_bits;

static void free_bit(void *arg)
{
    atomic_fetch_or(&freed_bits, *(unsigned *)arg);
}

static int look_at_end(concur_request *r, int rc, void *arg)
{
    unsigned *two = concur_request_data(r, &key_two);
    bool refused = concur_request_set_data(r, &key_one, arg, NULL) == CONCUR_E_STATE;
    (void)rc;
    if (two && *two == 4 && refused && !(atomic_load(&freed_bits) & 4))
        live_latch_add(&ended);
    return 0;
}

static int keep(concur_request *r, void *arg)
{
    static unsigned bits[] = { 1, 2, 4, 8 };
    (void)arg;
    atomic_store(&freed_bits, 0);
    bool ok = !concur_request_data(r, &key_one) && !concur_request_data(r, NULL);
    ok = ok && concur_request_set_data(r, &key_one, &bits[0], free_bit) == CONCUR_OK;
    ok = ok && concur_request_set_data(r, NULL, &bits[1], NULL) == CONCUR_OK;
    ok = ok && concur_request_set_data(r, &key_two, &bits[2], free_bit) == CONCUR_OK;
    ok = ok && concur_request_data(r, &key_one) == &bits[0] && concur_request_data(r, NULL) == &bits[1];
    ok = ok && concur_request_set_data(r, &key_one, &bits[0], free_bit) == CONCUR_OK && atomic_load(&freed_bits) == 0;
    ok = ok && concur_request_set_data(r, &key_one, &bits[3], free_bit) == CONCUR_OK && atomic_load(&freed_bits) == 1;
    ok = ok && concur_request_set_data(r, &key_one, NULL, NULL) == CONCUR_OK && atomic_load(&freed_bits) == 9;
    ok = ok && !concur_request_data(r, &key_one) && concur_request_data(r, &key_two) == &bits[2];
    (void)concur_request_on_end(r, look_at_end, NULL);
    return concur_reply_text(r, ok ? 200 : 500, "");
}

START_TEST(pointers)
{
    struct live l = live_new(engines[_i]);
    live_route(&l, "/keep", 0, keep, NULL);
    live_route(&l, "/keep-away", CONCUR_ROUTE_BLOCKING, keep, NULL);
    live_start(&l);
    ck_assert_int_eq(live_get(&l, "/keep", NULL, 0), 200);
    ck_assert(live_latch_wait(&ended, 1));
    ck_assert_int_eq(live_get(&l, "/keep-away", NULL, 0), 200);
    ck_assert(live_latch_wait(&ended, 2));
    live_end(&l, 0);
    ck_assert_uint_eq(atomic_load(&freed_bits), 13);
}
END_TEST

int main(void)
{
    engine_total = live_engines(engines);
    Suite *s = suite_create("request_facts");
    TCase *tc = tcase_create("facts");
    tcase_set_timeout(tc, LIVE_PATIENCE_S * 2);
    tcase_add_loop_test(tc, head, 0, (int)engine_total);
    tcase_add_loop_test(tc, values, 0, (int)engine_total);
    tcase_add_loop_test(tc, ends, 0, (int)engine_total);
    tcase_add_loop_test(tc, reply, 0, (int)engine_total);
    tcase_add_loop_test(tc, pointers, 0, (int)engine_total);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
