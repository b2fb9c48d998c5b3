/* SPDX-License-Identifier: MIT
 *
 * Routes under /test/ for what a program may pass for a reply.
 *
 *   GET /test/sizes/{call}       whole, owned, alloc, pull: impossible sizes                "refused\n" or "taken\n"
 *                                write: the same in the middle of a reply                   visible abort
 *   GET /test/sizes-away/{call}  the same in a blocking route
 *   GET /test/type/{call}        a Content-Type by a field and by the call (text, bytes, printf, push, pull), by two
 *                                fields (twice), an empty one (none), and with an error page of the library (page)
 *   GET /test/type-away/{call}   the same in a blocking route
 *   GET /test/content/{call}/{status}  text, owned, pull, push: passes a body; field: adds fields
 *   any /test/forever/{status}   begins a reply, and writes to it until a call returns an error
 *   any /test/forever-away/{status}  the same in a blocking route, without a pause
 *   GET /test/flood/{mb}         writes so many MB at once, and ignores CONCUR_AGAIN
 *   GET /test/flood-later/{mb}   the same, 1 MB in each of its timers
 *   GET /test/flood-away/{mb}    the same at once in a blocking route
 *   any /test/begun/{status}     begins a reply and goes on with it after ten minutes, or ?ms=MS; ?body=1: after the body
 */
#include <string.h>

#include "demo.h"

/* A negative number, sizes that wrap around in 64 bits, and more than any machine has. */
static const size_t sizes[] = {
    (size_t)-1, (size_t)-2, (size_t)-16, (size_t)-64, (size_t)-256, (size_t)-16384, SIZE_MAX / 2 + 1, SIZE_MAX / 2,
#if SIZE_MAX > 0xffffffff
    (size_t)1 << 62, (size_t)1 << 60, (size_t)1 << 56,
#endif
};

enum { SIZES = sizeof sizes / sizeof *sizes };

static bool is_refused(int rc)
{
    return rc == CONCUR_E_INVAL || rc == CONCUR_E_LIMIT;
}

static void count_free(void *arg)
{
    (void)arg;
    DEMO_COUNT(freed);
}

static int no_pull(concur_request *r, void *out, size_t *n, void *arg)
{
    (void)r, (void)out, (void)arg;
    *n = (size_t)-1; /* more than fits */
    return CONCUR_OK;
}

static int pull_some(concur_request *r, int status, uint64_t n)
{
    struct demo_pattern *pattern = concur_request_alloc(r, sizeof *pattern);
    if (!pattern)
        return CONCUR_E_NOMEM;
    *pattern = (struct demo_pattern){ .end = n };
    return concur_reply_pull(r, status, "image/png", (int64_t)n, demo_pattern_pull, pattern);
}

static bool refuses(concur_request *r, const char *call, size_t n)
{
    if (strcmp(call, "whole") == 0)
        return is_refused(concur_reply_bytes(r, 200, NULL, "x", n, NULL, NULL));
    if (strcmp(call, "alloc") == 0)
        return concur_request_alloc(r, n) == NULL;
    if (strcmp(call, "pull") == 0)
        return is_refused(concur_reply_pull(r, 200, NULL, -2 - (int64_t)(n / 4), no_pull, NULL));
    DEMO_COUNT(buffers);
    return is_refused(concur_reply_bytes(r, 200, NULL, "x", n, count_free, NULL));
}

/* The error for a piece that was refused is returned again by concur_reply_end(). */
static int write_sizes(concur_request *r, size_t n)
{
    int rc = concur_reply_begin(r, 200, "text/plain");
    if (rc == CONCUR_OK)
        rc = concur_reply_write(r, "partial\n", 8);
    if (rc < 0)
        return rc;
    rc = concur_reply_write(r, "x", n);
    if (!is_refused(rc) || concur_reply_end(r) != rc)
        DEMO_COUNT(misuse);
    return CONCUR_OK;
}

static int size_route(concur_request *r, void *arg)
{
    const char *call = concur_request_get(r, CONCUR_IN_PARAM, "call");
    (void)arg;
    int rc = demo_track(r);
    if (rc < 0)
        return rc;
    if (strcmp(call, "write") == 0)
        return write_sizes(r, sizes[demo_query_number(r, "i", 0) % SIZES]);
    bool refused = true;
    for (int i = 0; i < SIZES && refused; i++)
        refused = refuses(r, call, sizes[i]);
    return concur_reply_text(r, 200, refused ? "refused\n" : "taken\n");
}

/* Sets the Content-Type in two ways. */
static int type_route(concur_request *r, void *arg)
{
    const char *call = concur_request_get(r, CONCUR_IN_PARAM, "call");
    static const char html[] = "text/html; charset=utf-8";
    (void)arg;
    concur_reply_header(r, "Content-Type", strcmp(call, "none") == 0 ? "" : html);
    if (strcmp(call, "twice") == 0)
        concur_reply_header(r, "content-TYPE", "text/css");
    if (strcmp(call, "bytes") == 0)
        return concur_reply_bytes(r, 200, "image/png", "typed\n", 6, NULL, NULL);
    if (strcmp(call, "printf") == 0)
        return concur_reply_printf(r, 200, "image/png", "%s\n", "typed");
    if (strcmp(call, "page") == 0)
        return 404;
    if (strcmp(call, "pull") == 0)
        return pull_some(r, 200, 16);
    if (strcmp(call, "push") != 0)
        return concur_reply_text(r, 200, "typed\n");
    concur_reply_begin(r, 200, "image/png");
    concur_reply_write(r, "typed\n", 6);
    return concur_reply_end(r);
}

static int content_route(concur_request *r, void *arg)
{
    const char *call = concur_request_get(r, CONCUR_IN_PARAM, "call");
    uint64_t status;
    (void)arg;
    if (!demo_number(r, "status", 599, &status))
        return CONCUR_OK;
    if (strcmp(call, "pull") == 0)
        return pull_some(r, (int)status, 100);
    if (strcmp(call, "text") == 0)
        return concur_reply_text(r, (int)status, "content\n");
    if (strcmp(call, "owned") == 0) {
        DEMO_COUNT(buffers);
        return concur_reply_bytes(r, (int)status, "image/png", "content\n", 8, count_free, NULL);
    }
    if (strcmp(call, "field") == 0) {
        concur_reply_header(r, "ETag", "\"x\"");
        concur_reply_header(r, "Content-Type", "a/b");
    }
    concur_reply_begin(r, (int)status, "image/png");
    concur_reply_write(r, "content\n", 8);
    return concur_reply_end(r);
}

/* A stream that does not end by itself. */
static int tick(concur_request *r, void *arg)
{
    DEMO_COUNT(timers_run);
    int rc = concur_reply_write(r, "tick\n", 5);
    return rc < 0 ? rc : demo_after(r, 5, tick, arg);
}

static bool begins(concur_request *r, int *rc)
{
    uint64_t status;
    if (!demo_number(r, "status", 599, &status)) {
        *rc = CONCUR_OK;
        return false;
    }
    *rc = demo_track(r);
    if (*rc == CONCUR_OK)
        *rc = concur_reply_begin(r, (int)status, "text/plain");
    return *rc == CONCUR_OK;
}

static int forever(concur_request *r, void *arg)
{
    int rc;
    return begins(r, &rc) ? demo_after(r, 0, tick, arg) : rc;
}

static int forever_away(concur_request *r, void *arg)
{
    int rc;
    (void)arg;
    if (!begins(r, &rc))
        return rc;
    while ((rc = concur_reply_write(r, "tick\n", 5)) >= 0)
        demo_block(1);
    return rc;
}

/* Writes one MB and ignores CONCUR_AGAIN. Later calls must return the same error, and concur_request_gone() must report
 * it. */
static int write_megabyte(concur_request *r)
{
    static const char zeros[1 << 16];
    for (int i = 0; i < 16; i++) {
        int rc = concur_reply_write(r, zeros, sizeof zeros);
        if (rc >= 0)
            continue;
        if (rc == CONCUR_E_LIMIT && (concur_reply_write(r, "x", 1) != rc || concur_request_gone(r) != rc))
            DEMO_COUNT(misuse);
        return rc;
    }
    return CONCUR_OK;
}

static int flood(concur_request *r, void *arg)
{
    uint64_t n;
    (void)arg;
    if (!demo_number(r, "mb", 1000, &n))
        return CONCUR_OK;
    int rc = concur_reply_begin(r, 200, "image/png");
    while (rc == CONCUR_OK && n-- > 0)
        rc = write_megabyte(r);
    return rc < 0 ? rc : concur_reply_end(r);
}

static int flood_on(concur_request *r, void *arg)
{
    uint64_t *n = arg;
    DEMO_COUNT(timers_run);
    int rc = write_megabyte(r);
    if (rc < 0)
        return rc;
    return --*n ? demo_after(r, 0, flood_on, n) : concur_reply_end(r);
}

static int flood_later(concur_request *r, void *arg)
{
    uint64_t *n = concur_request_alloc(r, sizeof *n);
    (void)arg;
    if (!n || !demo_number(r, "mb", 1000, n))
        return n ? CONCUR_OK : CONCUR_E_NOMEM;
    int rc = concur_reply_begin(r, 200, "image/png");
    return rc < 0 ? rc : demo_after(r, 0, flood_on, n);
}

/* Ends the reply only when the drain function was called: CONCUR_AGAIN has promised that. */
static int go_on(concur_request *r, void *arg)
{
    DEMO_COUNT(timers_run);
    if (concur_request_gone(r))
        return CONCUR_E_GONE;
    return *(int *)arg ? concur_reply_end(r) : demo_after(r, 1, go_on, arg);
}

/* A body for a reply without content is dropped, without an error. */
static int drained(concur_request *r, void *arg)
{
    *(int *)arg += concur_reply_write(r, "more\n", 5) == CONCUR_OK;
    return CONCUR_OK;
}

static int go_on_later(concur_request *r, int *drains)
{
    return demo_after(r, (unsigned)demo_query_number(r, "ms", 600000), go_on, drains);
}

static int end_of_body(concur_request *r, int rc, void *arg)
{
    DEMO_COUNT(bodies_run);
    if (rc == CONCUR_OK && (concur_request_gone(r) || concur_reply_write(r, "more\n", 5) != CONCUR_OK))
        DEMO_COUNT(misuse);
    return rc < 0 ? rc : go_on_later(r, arg);
}

static int count_piece(concur_request *r, const void *data, size_t n, void *arg)
{
    (void)r, (void)data, (void)n, (void)arg;
    return CONCUR_OK;
}

static int check_drained(concur_request *r, int rc, void *arg)
{
    (void)r, (void)rc;
    if (*(int *)arg != 1)
        DEMO_COUNT(misuse);
    return CONCUR_OK;
}

static int begun(concur_request *r, void *arg)
{
    int rc = CONCUR_OK, *drains = concur_request_alloc(r, sizeof *drains);
    bool reads = demo_query_number(r, "body", 0) != 0;
    (void)arg;
    if (!drains)
        return CONCUR_E_NOMEM;
    *drains = 0;
    if (reads)
        rc = demo_on_body(r, count_piece, end_of_body, drains);
    if (rc < 0 || !begins(r, &rc))
        return rc;
    rc = concur_reply_on_drain(r, drained, drains);
    if (rc == CONCUR_OK)
        rc = concur_request_on_end(r, check_drained, drains);
    return rc < 0 || reads ? rc : go_on_later(r, drains);
}

static const struct demo_route routes[] = {
    { "/test/forever/{status}", 0, forever },
    { "/test/forever-away/{status}", CONCUR_ROUTE_BLOCKING, forever_away },
    { "/test/begun/{status}", CONCUR_ROUTE_STREAM, begun },
    { "GET /test/flood/{mb}", 0, flood },
    { "GET /test/flood-later/{mb}", 0, flood_later },
    { "GET /test/flood-away/{mb}", CONCUR_ROUTE_BLOCKING, flood },
    { "GET /test/sizes/{call}", 0, size_route },
    { "GET /test/sizes-away/{call}", CONCUR_ROUTE_BLOCKING, size_route },
    { "GET /test/type/{call}", 0, type_route },
    { "GET /test/type-away/{call}", CONCUR_ROUTE_BLOCKING, type_route },
    { "GET /test/content/{call}/{status}", 0, content_route },
};

void demo_reply_add(concur_server *server)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
}
