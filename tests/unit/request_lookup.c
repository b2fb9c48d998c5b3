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

/* Any number of calls costs nothing: text is made once. Parameters are found even where no memory is left. */
static int often(concur_request *r, void *arg)
{
    static const int places[] = { CONCUR_IN_PARAM, CONCUR_IN_QUERY, CONCUR_IN_HEADER, CONCUR_IN_COOKIE };
    (void)arg;
    (void)concur_request_get(r, CONCUR_IN_COOKIE, "c"); /* these are made by the first call */
    if (concur_request_get(r, CONCUR_IN_QUERY, "hungry"))
        while (concur_request_alloc(r, 100) != NULL)
            continue;
    const char *one = concur_request_get(r, CONCUR_IN_PARAM, "one"), *name, *first[4] = { NULL };
    bool ok = one && strcmp(one, "a") == 0;
    for (int i = 0; i < 100000 && ok; i++) {
        const char *rest = concur_request_at(r, CONCUR_IN_PARAM, 2, &name);
        ok = one == concur_request_get(r, CONCUR_IN_PARAM, "one") && rest && strcmp(rest, "c/d") == 0 &&
             strcmp(name, "rest") == 0 && strcmp(concur_request_get(r, CONCUR_IN_PARAM, "two"), "b") == 0;
        for (int k = 0; k < 4 && ok; k++) {
            const char *value = concur_request_at(r, places[k], 0, NULL);
            ok = value && (!first[k] || first[k] == value);
            first[k] = value;
        }
    }
    return concur_reply_text(r, 200, ok ? "fine" : "wrong");
}

/* The first handler's text stays, though the second one has other names for the same bytes. */
struct declined {
    const char *one, *two;
};

static int check_declined(concur_request *r, int rc, void *arg)
{
    struct declined *d = arg;
    (void)r;
    ck_assert(rc == 0 && strcmp(d->one, "a") == 0 && strcmp(d->two, "b") == 0);
    return 0;
}

static int decline(concur_request *r, void *arg)
{
    struct declined *d = concur_request_alloc(r, sizeof *d);
    (void)arg;
    d->one = concur_request_get(r, CONCUR_IN_PARAM, "one");
    d->two = concur_request_get(r, CONCUR_IN_PARAM, "two");
    (void)concur_request_on_end(r, check_declined, d);
    return CONCUR_DECLINE;
}

static int after_decline(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%s|%s", concur_request_get(r, CONCUR_IN_PARAM, "rest"),
                               concur_request_get(r, CONCUR_IN_PARAM, "rest"));
}

/* Not some of what was sent: all, or nothing and a line in the log. */
static atomic_uint lines;

static void count_line(int level, const char *line, void *arg)
{
    (void)arg;
    if (level == CONCUR_LOG_ERROR && strstr(line, "needs more memory for its "))
        atomic_fetch_add(&lines, 1);
}

static int too_much(concur_request *r, void *arg)
{
    size_t n = 0;
    (void)arg;
    for (int i = 0; i < 3; i++) /* asked again it has not become less */
        for (n = 0; concur_request_at(r, CONCUR_IN_QUERY, n, NULL); n++)
            continue;
    return concur_reply_printf(r, 200, NULL, "%zu", n);
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
    live_route(&l, "/often/{one}/{two}/*rest", 0, often, NULL);
    live_route(&l, "/often-away/{one}/{two}/*rest", CONCUR_ROUTE_BLOCKING, often, NULL);
    live_route(&l, "/declined/{one}/{two}", 0, decline, NULL);
    live_route(&l, "/declined/*rest", CONCUR_ROUTE_BLOCKING, after_decline, NULL);
    live_route(&l, "/much", 0, too_much, NULL);
    ck_assert_int_eq(concur_server_log(l.server, count_line, NULL), CONCUR_OK);
    live_set(&l, "request_memory", "16k");
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

static void look_often(struct live *l)
{
    char body[64], request[256];
    static const char *const routes[] = { "often", "often-away" }, *const queries[] = { "a=1", "a=1&hungry=1" };
    for (int i = 0; i < 4; i++) {
        snprintf(request, sizeof request, "GET /%s/a/b/c/d?%s HTTP/1.1\r\nHost: t\r\nCookie: c=1\r\n\r\n", routes[i / 2],
                 queries[i % 2]);
        ck_assert_int_eq(live_ask(l, request, body, sizeof body), 200);
        ck_assert_msg(strcmp(body, "fine") == 0, "%s: %s: %s", l->name, request, body);
    }
    ck_assert_int_eq(live_ask(l, "GET /declined/a/b HTTP/1.1\r\nHost: t\r\n\r\n", body, sizeof body), 200);
    ck_assert_str_eq(body, "a/b|a/b");
}

START_TEST(asking_costs_nothing)
{
    each_engine(look_often);
}
END_TEST

static void look_much(struct live *l)
{
    char body[64];
    static char request[16384];
    for (unsigned pairs = 1; pairs < 70; pairs += 4) {
        int n = snprintf(request, sizeof request, "GET /much?");
        for (unsigned i = 0; i < pairs; i++)
            n += snprintf(request + n, sizeof request - (size_t)n, "%s%u=%0100u", i ? "&" : "", i, i);
        snprintf(request + n, sizeof request - (size_t)n, " HTTP/1.1\r\nHost: t\r\nX-Fill: %06000d\r\n\r\n", 0);
        unsigned before = atomic_load(&lines);
        ck_assert_int_eq(live_ask(l, request, body, sizeof body), 200);
        unsigned got = (unsigned)strtoul(body, NULL, 10);
        ck_assert_msg(got == pairs || (got == 0 && atomic_load(&lines) == before + 1), "%s: %u of %u, %u lines", l->name,
                      got, pairs, atomic_load(&lines) - before);
        ck_assert(got == pairs || pairs > 20);
    }
}

START_TEST(all_pairs_or_none)
{
    each_engine(look_much);
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
    tcase_add_test(t, asking_costs_nothing);
    tcase_add_test(t, all_pairs_or_none);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
