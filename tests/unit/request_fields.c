/* SPDX-License-Identifier: MIT
 *
 * Fields of a reply: replaced, removed, looked up; cookies and redirects, and what is refused of them.
 */
#include "live.h"

static int engines[8];
static unsigned engine_total;

/* ---- replacing and removing ---- */

static int change(concur_request *r, void *arg)
{
    (void)arg;
    (void)concur_reply_header(r, "X-A", "1");
    (void)concur_reply_header(r, "X-AB", "kept");
    (void)concur_reply_header(r, "x-a", "2");
    (void)concur_reply_header(r, "X-Empty", "");
    (void)concur_reply_header(r, "X-Last", "last");
    const char *before = concur_reply_get_header(r, "X-a"), *empty = concur_reply_get_header(r, "X-EMPTY");
    bool ok = before && strcmp(before, "1") == 0 && empty && !*empty && !concur_reply_get_header(r, "X");
    ok = ok && concur_reply_set_header(r, "X-a", "three") == CONCUR_OK && concur_reply_set_header(r, "X-New", "n") == CONCUR_OK;
    ok = ok && concur_reply_remove_header(r, "x-last") == CONCUR_OK && concur_reply_remove_header(r, "X-None") == CONCUR_OK;
    ok = ok && !concur_reply_get_header(r, "X-Last") && strcmp(concur_reply_get_header(r, "X-A"), "three") == 0;
    ok = ok && !concur_reply_get_header(r, "Content-Type") && concur_reply_set_header(r, "content-type", "a/b") == CONCUR_OK;
    ok = ok && concur_reply_set_header(r, "Content-Type", "c/d") == CONCUR_OK;
    ok = ok && strcmp(concur_reply_get_header(r, "Content-Type"), "c/d") == 0;
    if (concur_request_get(r, CONCUR_IN_QUERY, "typeless"))
        ok = ok && concur_reply_remove_header(r, "CONTENT-TYPE") == CONCUR_OK;
    return concur_reply_text(r, ok ? 200 : 500, "");
}

static int change_late(concur_request *r, void *arg)
{
    (void)arg;
    int rc = concur_reply_begin(r, 200, NULL);
    if (rc < 0)
        return rc;
    bool ok = concur_reply_set_header(r, "X", "1") == CONCUR_E_STATE && concur_reply_remove_header(r, "X") == CONCUR_E_STATE;
    ok = ok && concur_reply_cookie(r, "a", "b", NULL, NULL, -1, 0) == CONCUR_E_STATE;
    ok = ok && concur_reply_redirect(r, 302, "/") == CONCUR_E_STATE;
    (void)concur_reply_write(r, ok ? "ok" : "no", 2);
    return concur_reply_end(r);
}

static const char *const bad_fields[][2] = {
    { "X Y", "1" }, { "", "1" }, { "X", "a\r\nY: 1" }, { "Content-Length", "1" }, { "connection", "close" },
};

static int refuse_field(concur_request *r, void *arg)
{
    const char *const *bad = bad_fields[atoi(concur_request_get(r, CONCUR_IN_PARAM, "i"))];
    bool removes = concur_request_get(r, CONCUR_IN_QUERY, "remove") && strcmp(bad[0], "X") != 0;
    (void)arg;
    int rc = removes ? concur_reply_remove_header(r, bad[0]) : concur_reply_set_header(r, bad[0], bad[1]);
    return rc == CONCUR_E_INVAL && concur_reply_set_header(r, "X-Fine", "1") == rc ? 204 : 200;
}

START_TEST(fields)
{
    char path[64];
    struct live_answer a;
    struct live l = live_new(engines[_i]);
    live_route(&l, "/change", 0, change, NULL);
    live_route(&l, "/late", 0, change_late, NULL);
    live_route(&l, "/bad/{i}", 0, refuse_field, NULL);
    live_start(&l);
    for (int i = 0; i < 2; i++) {
        struct live_peer p = live_connect(&l);
        ck_assert(live_send(&p, i ? "GET /change?typeless=1 HTTP/1.1\r\nHost: t\r\n\r\n" : "GET /change HTTP/1.1\r\nHost: t\r\n\r\n"));
        ck_assert(live_receive(&p, &a, false) && a.status == 200);
        const char *rest = "X-AB: kept\r\nX-Empty: \r\nX-a: three\r\nX-New: n\r\n\r\n";
        ck_assert_msg(strlen(a.head) > strlen(rest) && strcmp(a.head + strlen(a.head) - strlen(rest), rest) == 0, "%s", a.head);
        ck_assert(strstr(a.head, i ? "Content-Type: text/plain; charset=utf-8\r\n" : "Content-Type: c/d\r\n"));
        ck_assert(!strstr(a.head, "last"));
        live_close(&p);
    }
    char body[8] = "";
    ck_assert_int_eq(live_get(&l, "/late", body, sizeof body), 200);
    ck_assert_str_eq(body, "ok");
    for (size_t i = 0; i < 2 * sizeof bad_fields / sizeof *bad_fields; i++) {
        snprintf(path, sizeof path, "/bad/%zu%s", i / 2, i % 2 ? "?remove=1" : "");
        ck_assert_int_eq(live_get(&l, path, NULL, 0), 204);
    }
    live_end(&l, 0);
}
END_TEST

/* ---- cookies ---- */

#define LONG_DOMAIN "a23456789.b23456789.c23456789.d23456789.e23456789."

static const struct {
    const char *name, *value, *domain, *path;
    int64_t max_age;
    int flags;
    const char *sent; /* NULL: refused */
} cookies[] = {
    { "a", "b", NULL, NULL, -1, 0, "a=b" },
    { "a", "", NULL, "/", 0, 0, "a=; Path=/; Max-Age=0" },
    { "a", "\"q\"", "example.org", "/x y/", 31536000, CONCUR_COOKIE_SECURE | CONCUR_COOKIE_HTTP_ONLY | CONCUR_COOKIE_LAX,
      "a=\"q\"; Domain=example.org; Path=/x y/; Max-Age=31536000; Secure; HttpOnly; SameSite=Lax" },
    { "!#$", "!#$%&'()*+-./:<=>?@[]^_`{|}~", "1-2.x", NULL, INT64_MAX, CONCUR_COOKIE_STRICT,
      "!#$=!#$%&'()*+-./:<=>?@[]^_`{|}~; Domain=1-2.x; Max-Age=9223372036854775807; SameSite=Strict" },
    { "a", "b", NULL, NULL, -1, CONCUR_COOKIE_CROSS_SITE | CONCUR_COOKIE_SECURE, "a=b; Secure; SameSite=None" },
    { "__Host-a", "b", NULL, "/", -1, CONCUR_COOKIE_SECURE, "__Host-a=b; Path=/; Secure" },
    { "__secure-a", "b", "x.y", NULL, -1, CONCUR_COOKIE_SECURE, "__secure-a=b; Domain=x.y; Secure" },
    { "", "b", NULL, NULL, -1, 0, NULL },
    { NULL, "b", NULL, NULL, -1, 0, NULL },
    { "a=", "b", NULL, NULL, -1, 0, NULL },
    { "a;", "b", NULL, NULL, -1, 0, NULL },
    { "a", NULL, NULL, NULL, -1, 0, NULL },
    { "a", "b c", NULL, NULL, -1, 0, NULL },
    { "a", "b;c", NULL, NULL, -1, 0, NULL },
    { "a", "b,c", NULL, NULL, -1, 0, NULL },
    { "a", "b\\", NULL, NULL, -1, 0, NULL },
    { "a", "\"b", NULL, NULL, -1, 0, NULL },
    { "a", "\"", NULL, NULL, -1, 0, NULL },
    { "a", "b\r\nX: 1", NULL, NULL, -1, 0, NULL },
    { "a", "\xc3\xa9", NULL, NULL, -1, 0, NULL },
    { "a", "b", "", NULL, -1, 0, NULL },
    { "a", "b", ".x", NULL, -1, 0, NULL },
    { "a", "b", "x.", NULL, -1, 0, NULL },
    { "a", "b", "x..y", NULL, -1, 0, NULL },
    { "a", "b", "-x", NULL, -1, 0, NULL },
    { "a", "b", "x-.y", NULL, -1, 0, NULL },
    { "a", "b", "x;y", NULL, -1, 0, NULL },
    { "a", "b", LONG_DOMAIN LONG_DOMAIN LONG_DOMAIN LONG_DOMAIN LONG_DOMAIN "1234", NULL, -1, 0, NULL },
    { "a", "b", NULL, "", -1, 0, NULL },
    { "a", "b", NULL, "x", -1, 0, NULL },
    { "a", "b", NULL, "/x;y", -1, 0, NULL },
    { "a", "b", NULL, "/x\n", -1, 0, NULL },
    { "a", "b", NULL, NULL, -2, 0, NULL },
    { "a", "b", NULL, NULL, -1, 32, NULL },
    { "a", "b", NULL, NULL, -1, -1, NULL },
    { "a", "b", NULL, NULL, -1, CONCUR_COOKIE_LAX | CONCUR_COOKIE_STRICT, NULL },
    { "a", "b", NULL, NULL, -1, CONCUR_COOKIE_CROSS_SITE, NULL },
    { "__Secure-a", "b", NULL, NULL, -1, 0, NULL },
    { "__Host-a", "b", NULL, NULL, -1, CONCUR_COOKIE_SECURE, NULL },
    { "__Host-a", "b", NULL, "/x", -1, CONCUR_COOKIE_SECURE, NULL },
    { "__host-a", "b", "x.y", "/", -1, CONCUR_COOKIE_SECURE, NULL },
    { "__Host-a", "b", NULL, "/", -1, 0, NULL },
};

static size_t row_of(concur_request *r)
{
    return strtoul(concur_request_get(r, CONCUR_IN_PARAM, "i"), NULL, 10);
}

static int set_cookie(concur_request *r, void *arg)
{
    size_t i = row_of(r);
    (void)arg;
    int rc = concur_reply_cookie(r, cookies[i].name, cookies[i].value, cookies[i].domain, cookies[i].path,
                                 cookies[i].max_age, cookies[i].flags);
    int again = concur_reply_cookie(r, "second", "2", NULL, NULL, -1, 0);
    return rc == again ? concur_reply_text(r, 200, "") : 599;
}

START_TEST(set_cookies)
{
    char request[128], line[256];
    struct live_answer a;
    struct live l = live_new(engines[_i]);
    live_route(&l, "/cookie/{i}", 0, set_cookie, NULL);
    live_start(&l);
    for (size_t i = 0; i < sizeof cookies / sizeof *cookies; i++) {
        struct live_peer p = live_connect(&l);
        snprintf(request, sizeof request, "GET /cookie/%zu HTTP/1.1\r\nHost: t\r\n\r\n", i);
        ck_assert(live_send(&p, request) && live_receive(&p, &a, false));
        snprintf(line, sizeof line, "\r\nSet-Cookie: %s\r\nSet-Cookie: second=2\r\n\r\n", cookies[i].sent ? cookies[i].sent : "");
        if (cookies[i].sent)
            ck_assert_msg(a.status == 200 && strstr(a.head, line), "%zu: %s", i, a.head);
        else
            ck_assert_msg(a.status == 500 && !strstr(a.head, "Set-Cookie"), "%zu: %s", i, a.head);
        live_close(&p);
    }
    live_end(&l, 0);
}
END_TEST

/* ---- redirects ---- */

static const struct {
    int status;
    const char *to;
    bool ok;
} redirects[] = {
    { 301, "/", true },
    { 302, "http://example.org:8080/a%20b?c=d&e#f", true },
    { 303, "../x;y=1,2", true },
    { 307, "//host/", true },
    { 308, "?q", true },
    { 302, "http://[::1]/!$&'()*+~_-.", true },
    { 300, "/", false },
    { 304, "/", false },
    { 200, "/", false },
    { 302, "", false },
    { 302, NULL, false },
    { 302, "/a b", false },
    { 302, "/a\r\nX: 1", false },
    { 302, "/a%2", false },
    { 302, "/a%zz", false },
    { 302, "/%", false },
    { 302, "/\xc3\xa9", false },
    { 302, "/\\evil", false },
    { 302, "/<a>", false },
    { 302, "/\"", false },
};

static int redirect(concur_request *r, void *arg)
{
    size_t i = row_of(r);
    (void)arg;
    (void)concur_reply_header(r, "location", "/replaced");
    (void)concur_reply_header(r, "X-Kept", "1");
    return concur_reply_redirect(r, redirects[i].status, redirects[i].to);
}

START_TEST(redirecting)
{
    char request[128], line[128];
    struct live_answer a;
    struct live l = live_new(engines[_i]);
    live_route(&l, "/redirect/{i}", 0, redirect, NULL);
    live_start(&l);
    for (size_t i = 0; i < sizeof redirects / sizeof *redirects; i++) {
        struct live_peer p = live_connect(&l);
        snprintf(request, sizeof request, "GET /redirect/%zu HTTP/1.1\r\nHost: t\r\n\r\n", i);
        ck_assert(live_send(&p, request) && live_receive(&p, &a, false));
        snprintf(line, sizeof line, "\r\nX-Kept: 1\r\nLocation: %s\r\n\r\n", redirects[i].to ? redirects[i].to : "");
        ck_assert_msg(redirects[i].ok ? a.status == redirects[i].status && strstr(a.head, line) && a.n > 4 && !strstr(a.head, "replaced")
                                      : a.status == 500 && !live_field(&a, "Location"),
                      "%zu: %s", i, a.head);
        live_close(&p);
    }
    live_end(&l, 0);
}
END_TEST

int main(void)
{
    engine_total = live_engines(engines);
    Suite *s = suite_create("request_fields");
    TCase *tc = tcase_create("fields");
    tcase_set_timeout(tc, LIVE_PATIENCE_S * 2);
    tcase_add_loop_test(tc, fields, 0, (int)engine_total);
    tcase_add_loop_test(tc, set_cookies, 0, (int)engine_total);
    tcase_add_loop_test(tc, redirecting, 0, (int)engine_total);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
