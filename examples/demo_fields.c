/* SPDX-License-Identifier: MIT
 *
 * Routes under /test/ for the fields of a reply.
 *
 *   GET /test/fields         three fields, of which one is replaced and one removed        "fields\n"
 *   GET /test/fields-away    the same in a blocking route
 *   GET /test/redirect       to ?to=PLACE with ?status=N (302)                              500 if PLACE is not valid
 *   GET /test/hints          102, then 103 with two Links, then after a timer the reply   "hints\n"
 *   GET /test/hints-away     the same in a blocking route
 *   GET /test/hints-bad      interim replies that are refused                             "ok\n"
 *   GET /test/cookie         a cookie with every attribute and one without; ?value=V        500 if V is not valid
 */
#include <stdbool.h>

#include "demo.h"

static int fields(concur_request *r, void *arg)
{
    (void)arg;
    concur_reply_header(r, "X-One", "1");
    concur_reply_header(r, "X-Two", "2");
    concur_reply_header(r, "X-Three", "3");
    concur_reply_set_header(r, "x-one", "one");
    concur_reply_remove_header(r, "X-Two");
    return concur_reply_text(r, 200, "fields\n");
}

static int redirect(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_redirect(r, (int)demo_query_number(r, "status", 302), concur_request_get(r, CONCUR_IN_QUERY, "to"));
}

static int cookie(concur_request *r, void *arg)
{
    const char *value = concur_request_get(r, CONCUR_IN_QUERY, "value");
    (void)arg;
    concur_reply_cookie(r, "session", value ? value : "1", "example.org", "/", 3600,
                        CONCUR_COOKIE_SECURE | CONCUR_COOKIE_HTTP_ONLY | CONCUR_COOKIE_STRICT);
    concur_reply_cookie(r, "plain", "2", NULL, NULL, -1, 0);
    return concur_reply_text(r, 200, "cookies\n"); /* returns the first error of the calls before it */
}

static int hinted(concur_request *r, void *arg)
{
    (void)arg;
    DEMO_COUNT(timers_run);
    return concur_reply_text(r, 200, "hints\n");
}

static int hints(concur_request *r, void *arg)
{
    static const char *const links[] = { "</a.css>; rel=preload; as=style", "</b.js>; rel=preload; as=script" };
    (void)arg;
    concur_reply_header(r, "X-Reply", "1"); /* not sent with the interim replies */
    if (concur_reply_interim(r, 102, NULL, NULL, 0) < 0 || concur_reply_interim(r, 103, "Link", links, 2) < 0)
        DEMO_COUNT(misuse);
    return demo_after(r, 20, hinted, NULL);
}

static int bad_hints(concur_request *r, void *arg)
{
    static const char *const fine[] = { "a" }, *const split[] = { "a\r\nb" }, *const none[] = { NULL };
    static const int statuses[] = { 100, 101, 200, 99, 0 };
    bool ok = true;
    (void)arg;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        ok &= concur_reply_interim(r, statuses[i], "Link", fine, 1) == CONCUR_E_INVAL;
    ok &= concur_reply_interim(r, 103, "Link", split, 1) == CONCUR_E_INVAL;
    ok &= concur_reply_interim(r, 103, "Link", none, 1) == CONCUR_E_INVAL;
    ok &= concur_reply_interim(r, 103, NULL, fine, 1) == CONCUR_E_INVAL;
    ok &= concur_reply_interim(r, 103, "Content-Length", fine, 1) == CONCUR_E_INVAL;
    concur_reply_begin(r, 200, "text/plain");
    ok &= concur_reply_interim(r, 103, "Link", fine, 1) == CONCUR_E_STATE;
    concur_reply_write(r, ok ? "ok\n" : "bad\n", ok ? 3 : 4);
    return concur_reply_end(r);
}

static const struct demo_route routes[] = {
    { "GET /test/fields", 0, fields },
    { "GET /test/fields-away", CONCUR_ROUTE_BLOCKING, fields },
    { "GET /test/redirect", 0, redirect },
    { "GET /test/cookie", 0, cookie },
    { "GET /test/hints", 0, hints },
    { "GET /test/hints-away", CONCUR_ROUTE_BLOCKING, hints },
    { "GET /test/hints-bad", 0, bad_hints },
};

void demo_fields_add(concur_server *server)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
}
