/* SPDX-License-Identifier: MIT
 *
 * What a handler can look up, on every engine: parameters, query, form, fields, cookies, ids, the peer. The handlers
 * write down what they see; the client compares.
 */
#include <stdarg.h>

#include "live.h"

#define DUMP_MAX 8192

struct dump {
    size_t n;
    char text[DUMP_MAX];
};

static void put(struct dump *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct dump *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(d->text + d->n, sizeof d->text - d->n, fmt, args);
    va_end(args);
    d->n += n < 0 ? 0 : (size_t)n;
    if (d->n >= sizeof d->text)
        d->n = sizeof d->text - 1;
}

/* Every pair in order; and get() must find the first of each name. */
static void put_all(struct dump *d, concur_request *r, int where)
{
    const char *name = "untouched", *value;
    size_t i;
    for (i = 0; (value = concur_request_at(r, where, i, &name)) != NULL; i++) {
        put(d, "%s=%s|", name, value);
        const char *first = NULL, *other, *got = concur_request_get(r, where, name);
        for (size_t k = 0; k <= i && !first; k++) {
            const char *v = concur_request_at(r, where, k, &other);
            if ((where == CONCUR_IN_HEADER ? strcasecmp : strcmp)(other, name) == 0)
                first = v;
        }
        if (!got || strcmp(got, first) != 0)
            put(d, "get(%s) differs!", name);
        if (!concur_request_at(r, where, i, NULL))
            put(d, "at without a name differs!");
    }
    name = "untouched";
    if (concur_request_at(r, where, i, &name) || concur_request_at(r, where, i + 1000000, &name) ||
        strcmp(name, "untouched") != 0)
        put(d, "the end moved!");
}

static int show(concur_request *r, void *arg)
{
    struct dump *d = concur_request_alloc(r, sizeof *d);
    if (!d)
        return CONCUR_E_NOMEM;
    d->n = 0;
    d->text[0] = '\0';
    put_all(d, r, (int)(intptr_t)arg);
    return concur_reply_text(r, 200, d->text);
}

struct look {
    const char *head, *body; /* head: from the target on; NULL body: no Content-Length */
    const char *expected;
};

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

static const struct look looks[] = {
    /* parameters: decoded once, in the order of the pattern */
    { "GET /param/a/b/c/d HTTP/1.1\r\n", NULL, "one=a|two=b|rest=c/d|" },
    { "GET /param/a/b/ HTTP/1.1\r\n", NULL, "one=a|two=b|rest=|" },
    { "GET /param/%41%3f/%25/x%20y HTTP/1.1\r\n", NULL, "one=A?|two=%|rest=x y|" },
    { "GET /param/a+b/%2541/ HTTP/1.1\r\n", NULL, "one=a+b|two=%41|rest=|" },
    { "GET /param/%C3%A9/b/?one=x HTTP/1.1\r\n", NULL, "one=\xc3\xa9|two=b|rest=|" },
    { "GET /none HTTP/1.1\r\n", NULL, "" },
    /* queries */
    { "GET /query HTTP/1.1\r\n", NULL, "" },
    { "GET /query? HTTP/1.1\r\n", NULL, "" },
    { "GET /query?a=1 HTTP/1.1\r\n", NULL, "a=1|" },
    { "GET /query?a=1&b=2&a=3 HTTP/1.1\r\n", NULL, "a=1|b=2|a=3|" },
    { "GET /query?a HTTP/1.1\r\n", NULL, "a=|" },
    { "GET /query?a= HTTP/1.1\r\n", NULL, "a=|" },
    { "GET /query?=1 HTTP/1.1\r\n", NULL, "=1|" },
    { "GET /query?&&a=1&& HTTP/1.1\r\n", NULL, "a=1|" },
    { "GET /query?a=b=c HTTP/1.1\r\n", NULL, "a=b=c|" },
    { "GET /query?a+b=c+d%2B HTTP/1.1\r\n", NULL, "a b=c d+|" },
    { "GET /query?%61%3D=%26%3d HTTP/1.1\r\n", NULL, "a==&=|" },
    { "GET /query?A=1&a=2 HTTP/1.1\r\n", NULL, "A=1|a=2|" },
    { "GET /query?a?b=/?c HTTP/1.1\r\n", NULL, "a?b=/?c|" },
    { "GET /query?a=%00&b=%zz&c=%4&d=%&e=1 HTTP/1.1\r\n", NULL, "e=1|" }, /* what does not decode is left out */
    { "GET /query?%00=1&e=1 HTTP/1.1\r\n", NULL, "e=1|" },
    { "GET http://t/query?a=1 HTTP/1.1\r\n", NULL, "a=1|" },
    { "POST /query?a=1 HTTP/1.1\r\n" FORM, "a=2", "a=1|" },
    /* forms */
    { "POST /form HTTP/1.1\r\n" FORM, "a=1&b=%20+", "a=1|b=  |" },
    { "POST /form HTTP/1.1\r\n" FORM, "", "" },
    { "POST /form?a=1 HTTP/1.1\r\n" FORM, "b=2", "b=2|" },
    { "POST /form HTTP/1.1\r\nContent-Type: APPLICATION/X-WWW-Form-Urlencoded; charset=utf-8\r\n", "a=1", "a=1|" },
    { "POST /form HTTP/1.1\r\nContent-Type: application/x-www-form-urlencodedx\r\n", "a=1", "" },
    { "POST /form HTTP/1.1\r\nContent-Type: text/plain\r\n", "a=1", "" },
    { "POST /form HTTP/1.1\r\n", "a=1", "" },
    { "POST /form HTTP/1.1\r\n" FORM, "a=1&b=%00&c=%&d=4", "a=1|d=4|" },
    { "GET /form HTTP/1.1\r\n", NULL, "" },
    { "POST /stream-form HTTP/1.1\r\n" FORM, "a=1", "" }, /* not in memory */
    { "POST /small-form HTTP/1.1\r\n" FORM, "a=1&b=22222222222222", "" },
    /* fields */
    { "GET /field HTTP/1.1\r\nX-A: 1\r\nx-a:2\r\nX-Empty:\r\nX-B: \t a b \t\r\n", NULL,
      "X-A=1|x-a=2|X-Empty=|X-B=a b|Host=t|" },
    { "GET /field HTTP/1.1\r\nX-A: \xc3\xa9\r\n", NULL, "X-A=\xc3\xa9|Host=t|" },
    /* cookies */
    { "GET /cookie HTTP/1.1\r\n", NULL, "" },
    { "GET /cookie HTTP/1.1\r\nCookie: a=1\r\n", NULL, "a=1|" },
    { "GET /cookie HTTP/1.1\r\nCookie: a=1; b=2\r\nCookie: a=3\r\n", NULL, "a=1|b=2|a=3|" },
    { "GET /cookie HTTP/1.1\r\nCookie: a=1;b=2;;  c=3 ;d\r\n", NULL, "a=1|b=2|c=3 |" },
    { "GET /cookie HTTP/1.1\r\nCookie: a=%41+; b=\"q\"; c=x=y; =v\r\n", NULL, "a=%41+|b=\"q\"|c=x=y|" },
    { "GET /cookie HTTP/1.1\r\nCookie: A=1; a=2\r\n", NULL, "A=1|a=2|" },
    { "GET /cookie HTTP/1.1\r\nCookie:\r\n", NULL, "" },
    { "GET /cookie HTTP/1.1\r\nX-Cookie: a=1\r\n", NULL, "" },
};

/* Fields are looked up case-insensitively, all else is not; and nothing bad is found. */
static int odd(concur_request *r, void *arg)
{
    (void)arg;
    const char *a = concur_request_get(r, CONCUR_IN_HEADER, "x-TWICE");
    bool ok = a && strcmp(a, "1") == 0 && a == concur_request_get(r, CONCUR_IN_HEADER, "X-Twice");
    ok = ok && !concur_request_get(r, CONCUR_IN_HEADER, "X-Twic") &&
         !concur_request_get(r, CONCUR_IN_HEADER, "X-Twice2");
    ok = ok && !concur_request_get(r, CONCUR_IN_HEADER, "") && !concur_request_get(r, CONCUR_IN_HEADER, NULL);
    ok = ok && !concur_request_get(r, CONCUR_IN_QUERY, "Q") && concur_request_get(r, CONCUR_IN_QUERY, "q");
    ok = ok && !concur_request_get(r, CONCUR_IN_QUERY, NULL) && !concur_request_get(r, CONCUR_IN_COOKIE, NULL);
    ok = ok && !concur_request_get(r, CONCUR_IN_PARAM, "P") && !concur_request_get(r, CONCUR_IN_PARAM, NULL);
    ok = ok && !concur_request_get(r, CONCUR_IN_PARAM, "") && !concur_request_get(r, CONCUR_IN_COOKIE, "C");
    for (int where = -1; where < 8; where++)
        if (where < CONCUR_IN_PARAM || where > CONCUR_IN_COOKIE)
            ok = ok && !concur_request_get(r, where, "q") && !concur_request_at(r, where, 0, NULL);
    return concur_reply_text(r, 200, ok ? "fine" : "wrong");
}

/* Text never moves and never changes, whatever is asked in between. */
static int steady(concur_request *r, void *arg)
{
    (void)arg;
    const char *path = concur_request_path(r), *method = concur_request_method(r), *id = concur_request_id(r);
    const char *peer = concur_request_peer(r), *q = concur_request_get(r, CONCUR_IN_QUERY, "q");
    const char *host = concur_request_get(r, CONCUR_IN_HEADER, "host");
    struct dump *d = concur_request_alloc(r, sizeof *d);
    if (!d)
        return CONCUR_E_NOMEM;
    d->n = 0;
    for (int where = CONCUR_IN_PARAM; where <= CONCUR_IN_COOKIE; where++)
        put_all(d, r, where);
    bool same = path == concur_request_path(r) && method == concur_request_method(r) && id == concur_request_id(r) &&
                peer == concur_request_peer(r) && q == concur_request_get(r, CONCUR_IN_QUERY, "q") &&
                host == concur_request_get(r, CONCUR_IN_HEADER, "Host") && concur_request_server(r) != NULL;
    return concur_reply_printf(r, 200, NULL, "%s %s %s %s %s %s %d", method, path, q, host, id, peer, same);
}

static int read_less(concur_request *r, void *arg)
{
    (void)arg;
    if (concur_request_get(r, CONCUR_IN_FORM, "a") || concur_request_at(r, CONCUR_IN_FORM, 0, NULL))
        return 500;
    return concur_reply_text(r, 200, "");
}

static struct live start(int engine)
{
    struct live l = live_new(engine);
    live_route(&l, "/param/{one}/{two}/*rest", 0, show, (void *)(intptr_t)CONCUR_IN_PARAM);
    live_route(&l, "/none", 0, show, (void *)(intptr_t)CONCUR_IN_PARAM);
    live_route(&l, "/query", 0, show, (void *)(intptr_t)CONCUR_IN_QUERY);
    live_route(&l, "/form", 0, show, (void *)(intptr_t)CONCUR_IN_FORM);
    live_route(&l, "/stream-form", CONCUR_ROUTE_STREAM, read_less, NULL);
    live_route(&l, "/small-form", 0, read_less, NULL);
    live_route(&l, "/field", 0, show, (void *)(intptr_t)CONCUR_IN_HEADER);
    live_route(&l, "/cookie", CONCUR_ROUTE_BLOCKING, show, (void *)(intptr_t)CONCUR_IN_COOKIE);
    live_route(&l, "/odd/{p}", 0, odd, NULL);
    live_route(&l, "/steady/*rest", CONCUR_ROUTE_BLOCKING, steady, NULL);
    ck_assert_int_eq(concur_server_set(l.server, "route /small-form", "body_memory", "8"), CONCUR_OK);
    live_start(&l);
    return l;
}

static void each_engine(void (*fn)(struct live *))
{
    int engines[8];
    unsigned n = live_engines(engines);
    ck_assert_uint_ge(n, 1);
    for (unsigned i = 0; i < n; i++) {
        struct live l = start(engines[i]);
        fn(&l);
        live_end(&l, 0);
    }
}

/* All on one connection: what one request saw is not what the next one sees. */
static void look_all(struct live *l)
{
    struct live_peer p = live_connect(l);
    struct live_answer a;
    char request[2048];
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        const struct look *k = &looks[i];
        char length[40] = "";
        if (k->body)
            snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(k->body));
        snprintf(request, sizeof request, "%s%sHost: t\r\n\r\n%s", k->head, length, k->body ? k->body : "");
        ck_assert(live_send(&p, request));
        ck_assert_msg(live_receive(&p, &a, false), "%s: %s", l->name, k->head);
        ck_assert_msg(a.status == 200 && strcmp(a.body, k->expected) == 0, "%s: %s: %d \"%s\"", l->name, k->head,
                      a.status, a.body);
    }
    live_close(&p);
}

START_TEST(every_look_up)
{
    each_engine(look_all);
}
END_TEST

static void look_odd(struct live *l)
{
    char body[64];
    ck_assert_int_eq(live_ask(l,
                              "GET /odd/p?q=1 HTTP/1.1\r\nHost: t\r\nX-Twice: 1\r\nx-twice: 2\r\nCookie: c=1\r\n\r\n",
                              body, sizeof body),
                     200);
    ck_assert_str_eq(body, "fine");
}

START_TEST(names_are_compared_as_promised)
{
    each_engine(look_odd);
}
END_TEST

static void look_steady(struct live *l)
{
    struct live_peer p = live_connect(l);
    struct live_answer a;
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    char ids[50][32], expected[128], id[32], peer[64];
    int same;
    getsockname(p.fd, (struct sockaddr *)&own, &len);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(own.sin_port));
    for (int i = 0; i < 50; i++) {
        ck_assert(live_send(&p, "GET /x/../steady/%61?q=%31 HTTP/1.1\r\nHost: h\r\nCookie: c=1\r\n\r\n"));
        ck_assert(live_receive(&p, &a, false));
        ck_assert_int_eq(a.status, 200);
        ck_assert_msg(sscanf(a.body, "GET /steady/a 1 h %31s %63s %d", id, peer, &same) == 3, "%s: %s", l->name,
                      a.body);
        ck_assert_int_eq(same, 1);
        ck_assert_str_eq(peer, expected);
        ck_assert_uint_eq(strlen(id), 16);
        ck_assert_uint_eq(strspn(id, "0123456789abcdef"), 16);
        memcpy(ids[i], id, sizeof id);
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(ids[k], ids[i]);
    }
    live_close(&p);
    int status = live_ask(l, "HEAD /steady/a?q=1 HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 0);
    ck_assert_int_eq(status, 200);
}

START_TEST(ids_differ_and_text_stays)
{
    each_engine(look_steady);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("core_lookup");
    TCase *t = tcase_create("lookup");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, every_look_up);
    tcase_add_test(t, names_are_compared_as_promised);
    tcase_add_test(t, ids_differ_and_text_stays);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
