/* SPDX-License-Identifier: MIT
 *
 * Routes under /test/ about the fields of a reply.
 *
 *   GET /test/fields         three fields, of which one is replaced and one removed        "fields\n"
 *   GET /test/fields-away    the same in a blocking route
 *   GET /test/redirect       to ?to=PLACE with ?status=N (302)                              500 if the place is none
 *   GET /test/cookie         a cookie with every attribute and one without; ?value=V        500 if the value is none
 */
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
    return concur_reply_text(r, 200, "cookies\n"); /* an error before it is remembered */
}

static const struct demo_route routes[] = {
    { "GET /test/fields", 0, fields },
    { "GET /test/fields-away", CONCUR_ROUTE_BLOCKING, fields },
    { "GET /test/redirect", 0, redirect },
    { "GET /test/cookie", 0, cookie },
};

void demo_fields_add(concur_server *server)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
}
