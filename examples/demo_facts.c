/* SPDX-License-Identifier: MIT
 *
 * Routes under /test/ that show what the library tells about a request and its reply.
 *
 *   any /test/facts         "host H\ntarget T\nquery Q\nversion V\n"; Q is "(none)" without a "?"
 *   any /test/facts-away    the same in a blocking route
 *   GET /test/ends          "ADDRESS PORT LOCAL\n": the peer's address and port, the server's end of the connection
 *   GET /test/ends-away     the same in a blocking route
 *   any /test/values        "N of a, N in all, second S\n" of the query
 *   GET /test/progress      begins and writes a reply; before each step it shows what has begun, and how much was written
 *   POST /test/json         a route whose body is whole in memory, up to its body_max of 1,000  "N bytes\n"
 *   POST /test/json-away    the same in a blocking route, with the server's body_max
 *   GET /test/kept          keeps two buffers with the request; a timer answers with their text  "one two\n"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"

static int facts(concur_request *r, void *arg)
{
    const char *query = concur_request_query(r);
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "host %s\ntarget %s\nquery %s\nversion %d\n", concur_request_host(r),
                               concur_request_target(r), query ? query : "(none)", concur_request_version(r));
}

static int ends(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%s %d %s\n", concur_request_peer_address(r), concur_request_peer_port(r),
                               concur_request_local(r));
}

static int values(concur_request *r, void *arg)
{
    const char *second = concur_request_nth(r, CONCUR_IN_QUERY, "a", 1);
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%d of a, %d in all, second %s\n",
                               concur_request_count(r, CONCUR_IN_QUERY, "a"), concur_request_count(r, CONCUR_IN_QUERY, NULL),
                               second ? second : "(none)");
}

static int write_progress(concur_request *r)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%d %lld\n", concur_reply_status(r), (long long)concur_reply_sent(r));
    return concur_reply_write(r, text, (size_t)n);
}

static int progress(concur_request *r, void *arg)
{
    (void)arg;
    if (concur_reply_status(r) != 0 || concur_reply_sent(r) != 0)
        return 500;
    concur_reply_begin(r, 202, "text/plain");
    write_progress(r);
    write_progress(r);
    return concur_reply_end(r);
}

/* The body is never in a file. */
static int json(concur_request *r, void *arg)
{
    size_t n;
    const char *body = concur_request_body(r, &n);
    (void)arg;
    if (!body || concur_request_body_fd(r) != -1 || body[n] != '\0')
        return 500;
    return concur_reply_printf(r, 200, NULL, "%zu bytes\n", n);
}

/* As if two parts of a program kept data with the request: each has its own key. */
static const char first_key, second_key;

static void free_kept(void *arg)
{
    DEMO_COUNT(freed);
    free(arg);
}

static int keep(concur_request *r, const void *key, const char *text)
{
    char *copy = strdup(text);
    int rc = copy ? concur_request_set_data(r, key, copy, free_kept) : CONCUR_E_NOMEM;
    if (rc < 0)
        free(copy);
    else
        DEMO_COUNT(buffers);
    return rc;
}

static int show_kept(concur_request *r, void *arg)
{
    (void)arg;
    DEMO_COUNT(timers_run);
    return concur_reply_printf(r, 200, NULL, "%s %s\n", (char *)concur_request_data(r, &first_key),
                               (char *)concur_request_data(r, &second_key));
}

static int kept(concur_request *r, void *arg)
{
    (void)arg;
    int rc = demo_track(r);
    if (rc == CONCUR_OK)
        rc = keep(r, &first_key, "zero");
    if (rc == CONCUR_OK)
        rc = keep(r, &second_key, "two");
    if (rc == CONCUR_OK)
        rc = keep(r, &first_key, "one"); /* frees the earlier buffer */
    return rc < 0 ? rc : demo_after(r, 1, show_kept, NULL);
}

static const struct demo_route routes[] = {
    { "/test/facts", 0, facts },
    { "/test/facts-away", CONCUR_ROUTE_BLOCKING, facts },
    { "GET /test/ends", 0, ends },
    { "GET /test/ends-away", CONCUR_ROUTE_BLOCKING, ends },
    { "/test/values", 0, values },
    { "GET /test/progress", 0, progress },
    { "GET /test/kept", 0, kept },
    { "POST /test/json", CONCUR_ROUTE_IN_MEMORY, json },
    { "POST /test/json-away", CONCUR_ROUTE_IN_MEMORY | CONCUR_ROUTE_BLOCKING, json },
};

void demo_facts_add(concur_server *server)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
    concur_server_set(server, "route POST /test/json", "body_max", "1000");
}
