/* SPDX-License-Identifier: MIT
 *
 * Routes under /test/ for the end-to-end tests: each tests one call or one rule. Those for <concur/async.h> are in
 * demo_async.c, those for <concur/shared.h> in demo_shared.c, and more for replies in demo_reply.c.
 *
 *   GET /test/abort              begins, writes "partial\n", then fails           visible abort
 *   GET /test/header             X-One: 1, X-Two: two, Set-Cookie: a=1 and b=2    "headers\n"
 *   GET /test/badheader/{which}  crlf, name, length: a refused field              500, no extra field
 *   GET /test/double             a second reply fails with E_STATE                "ok\n" or "bad\n"
 *   GET /test/nothing            neither replies nor leaves something pending     500
 *   GET /test/status/{code}      returns the code, 100..599 or -1..-18            that status
 *   GET /test/decline            two handlers, the first declines                 "second\n"
 *   GET /test/declined           the only handler declines                        404
 *   GET /test/late/{code}        a timer returns the code                         that status; 1: 500
 *   GET /test/params/{a}/{b}     "a=A\nb=B\n", by get, then the same by at
 *   GET /test/rest/ *rest        "rest=REST\n" (without the space)
 *   any /test/query              all by at: "query|form|header|cookie NAME=VALUE\n"; ?get=NAME: "get VALUE\n" of each
 *   POST, PUT /test/body         "LEN in memory SUM\n" or "LEN in file SUM\n"; SUM: FNV-1a, 64 bits, 16 digits
 *   POST /test/body-away         the same in a blocking route
 *   POST /test/discard           a STREAM route that replies without the body     "discarded\n"
 *   POST /test/pause             takes a piece only after a timer of 1 ms         "N bytes\n"
 *   POST /test/refuse            refuses the first piece of the body with E_LIMIT 413
 *   GET /test/pull/{n}           n bytes; ?len=L announces L, ?hesitate=1 returns AGAIN every second time
 *   GET /test/printf             201, application/json                            {"answer":42}
 *   GET /test/big                5,000,000 bytes with a free function
 *   GET /test/request            "METHOD PATH PEER ID\n"
 *   GET /test/whoami/{ms}        a blocking route that holds its thread           as /whoami
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"

/* Replies. */

static int abort_reply(concur_request *r, void *arg)
{
    (void)arg;
    int rc = demo_track(r);
    if (rc == CONCUR_OK)
        rc = concur_reply_begin(r, 200, "text/plain");
    if (rc == CONCUR_OK)
        rc = concur_reply_write(r, "partial\n", 8);
    return rc < 0 ? rc : CONCUR_E_UPSTREAM;
}

static int header(concur_request *r, void *arg)
{
    (void)arg;
    concur_reply_header(r, "X-One", "1");
    concur_reply_header(r, "X-Two", "two");
    concur_reply_header(r, "Set-Cookie", "a=1");
    concur_reply_header(r, "Set-Cookie", "b=2");
    return concur_reply_text(r, 200, "headers\n");
}

static int bad_header(concur_request *r, void *arg)
{
    (void)arg;
    const char *which = concur_request_get(r, CONCUR_IN_PARAM, "which");
    int rc = CONCUR_OK;
    concur_reply_header(r, "X-Good", "kept from the error page");
    if (strcmp(which, "crlf") == 0)
        rc = concur_reply_header(r, "X-Bad", "a\r\nX-Injected: 1");
    else if (strcmp(which, "name") == 0)
        rc = concur_reply_header(r, "X-Injected: 1\r\nX", "a");
    else
        rc = concur_reply_header(r, "Content-Length", "0");
    if (rc != CONCUR_E_INVAL)
        DEMO_COUNT(misuse);
    return concur_reply_text(r, 200, "unreachable\n"); /* returns the error of the call before */
}

static int double_reply(concur_request *r, void *arg)
{
    (void)arg;
    int rc = concur_reply_begin(r, 200, "text/plain");
    if (rc < 0)
        return rc;
    bool ok = concur_reply_text(r, 200, "second\n") == CONCUR_E_STATE;
    ok &= concur_reply_begin(r, 200, NULL) == CONCUR_E_STATE;
    ok &= concur_reply_header(r, "X-Late", "1") == CONCUR_E_STATE;
    concur_reply_write(r, ok ? "ok\n" : "bad\n", ok ? 3 : 4);
    rc = concur_reply_end(r);
    if (concur_reply_end(r) >= 0 || concur_reply_text(r, 500, "third\n") >= 0)
        DEMO_COUNT(misuse);
    return rc;
}

static int nothing(concur_request *r, void *arg)
{
    (void)arg;
    return demo_track(r);
}

/* The path's code, 100..599 or -1..-18 or 1. 0: bad, and 400 has been sent. */
static int path_code(concur_request *r)
{
    char *end;
    long code = strtol(concur_request_get(r, CONCUR_IN_PARAM, "code"), &end, 10);
    if (*end == 0 && ((code >= 100 && code <= 599) || (code >= -18 && code <= 1 && code != 0)))
        return (int)code;
    concur_reply_text(r, 400, "code must be 100 to 599, -1 to -18, or 1.\n");
    return 0;
}

static int status(concur_request *r, void *arg)
{
    (void)arg;
    return path_code(r);
}

static int late_timer(concur_request *r, void *arg)
{
    (void)r;
    DEMO_COUNT(timers_run);
    return *(int *)arg;
}

static int late(concur_request *r, void *arg)
{
    (void)arg;
    int *code = concur_request_alloc(r, sizeof *code);
    int rc = code ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *code = path_code(r);
    return *code == 0 ? CONCUR_OK : demo_after(r, 1, late_timer, code);
}

static int decline(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return CONCUR_DECLINE;
}

static int second(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "second\n");
}

/* What the client sent. */

static void write_all(concur_request *r, int where, const char *label)
{
    const char *name = NULL, *value;
    for (size_t i = 0; (value = concur_request_at(r, where, i, &name)) != NULL; i++) {
        concur_reply_write(r, label, strlen(label));
        concur_reply_write(r, name, strlen(name));
        concur_reply_write(r, "=", 1);
        concur_reply_write(r, value, strlen(value));
        concur_reply_write(r, "\n", 1);
    }
}

static int params(concur_request *r, void *arg)
{
    (void)arg;
    const char *a = concur_request_get(r, CONCUR_IN_PARAM, "a"), *b = concur_request_get(r, CONCUR_IN_PARAM, "b");
    concur_reply_begin(r, 200, "text/plain");
    concur_reply_write(r, "a=", 2);
    concur_reply_write(r, a, strlen(a));
    concur_reply_write(r, "\nb=", 3);
    concur_reply_write(r, b, strlen(b));
    concur_reply_write(r, "\n", 1);
    write_all(r, CONCUR_IN_PARAM, "");
    return concur_reply_end(r); /* returns the first error of all these calls */
}

static int rest(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "rest=%s\n", concur_request_get(r, CONCUR_IN_PARAM, "rest"));
}

static int query(concur_request *r, void *arg)
{
    (void)arg;
    static const struct {
        int where;
        const char *label;
    } places[] = {
        { CONCUR_IN_QUERY, "query " },
        { CONCUR_IN_FORM, "form " },
        { CONCUR_IN_HEADER, "header " },
        { CONCUR_IN_COOKIE, "cookie " },
    };
    const char *name = concur_request_get(r, CONCUR_IN_QUERY, "get");
    concur_reply_begin(r, 200, "text/plain");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        write_all(r, places[i].where, places[i].label);
        const char *value = name ? concur_request_get(r, places[i].where, name) : NULL;
        if (value) {
            concur_reply_write(r, "get ", 4);
            concur_reply_write(r, value, strlen(value));
            concur_reply_write(r, "\n", 1);
        }
    }
    return concur_reply_end(r);
}

static int request(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%s %s %s %s\n", concur_request_method(r), concur_request_path(r),
                               concur_request_peer(r), concur_request_id(r));
}

/* Bodies. */

static uint64_t fnv(uint64_t sum, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static int body(concur_request *r, void *arg)
{
    (void)arg;
    int rc = demo_track(r);
    if (rc < 0)
        return rc;
    size_t len;
    const unsigned char *p = concur_request_body(r, &len);
    uint64_t sum = UINT64_C(0xcbf29ce484222325), total = 0;
    if (p) {
        total = len + p[len]; /* the byte after the body is a NUL */
        sum = fnv(sum, p, len);
    } else {
        unsigned char piece[16384];
        ssize_t n;
        while ((n = read(concur_request_body_fd(r), piece, sizeof piece)) > 0) {
            sum = fnv(sum, piece, (size_t)n);
            total += (uint64_t)n;
        }
    }
    if (total != len)
        return concur_reply_text(r, 500, "The body's length is not what was said.\n");
    return concur_reply_printf(r, 200, NULL, "%zu in %s %016" PRIx64 "\n", len, p ? "memory" : "file", sum);
}

static int discard(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "discarded\n");
}

struct pause {
    uint64_t total;
    bool waited; /* the present piece was held back already */
};

static int pause_over(concur_request *r, void *arg)
{
    ((struct pause *)arg)->waited = true;
    DEMO_COUNT(timers_run);
    return concur_request_resume(r);
}

static int pause_data(concur_request *r, const void *data, size_t n, void *arg)
{
    struct pause *p = arg;
    (void)data;
    if (!p->waited) {
        int rc = demo_after(r, 1, pause_over, p);
        return rc < 0 ? rc : CONCUR_AGAIN;
    }
    p->waited = false;
    p->total += n;
    return CONCUR_OK;
}

static int pause_end(concur_request *r, int rc, void *arg)
{
    struct pause *p = arg;
    DEMO_COUNT(bodies_run);
    return rc < 0 ? rc : concur_reply_printf(r, 200, NULL, "%" PRIu64 " bytes\n", p->total);
}

static int pause_body(concur_request *r, void *arg)
{
    (void)arg;
    struct pause *p = concur_request_alloc(r, sizeof *p);
    int rc = p ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *p = (struct pause){ 0 };
    return demo_on_body(r, pause_data, pause_end, p);
}

static int refuse_data(concur_request *r, const void *data, size_t n, void *arg)
{
    (void)r, (void)data, (void)n, (void)arg;
    return CONCUR_E_LIMIT;
}

static int refuse_body(concur_request *r, void *arg)
{
    (void)arg;
    return concur_request_on_body(r, refuse_data, NULL, NULL);
}

/* Big and odd replies. */

static int pull(concur_request *r, void *arg)
{
    (void)arg;
    uint64_t n;
    if (!demo_number(r, "n", UINT64_C(10000000000), &n))
        return CONCUR_OK;
    struct demo_pattern *p = concur_request_alloc(r, sizeof *p);
    int rc = p ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *p = (struct demo_pattern){ .end = n, .hesitate = demo_query_number(r, "hesitate", 0) != 0 };
    return concur_reply_pull(r, 200, "text/plain", demo_query_number(r, "len", -1), demo_pattern_pull, p);
}

static int printf_reply(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 201, "application/json", "{\"%s\":%d}", "answer", 42);
}

static void big_free(void *arg)
{
    DEMO_COUNT(freed);
    free(arg);
}

static int big(concur_request *r, void *arg)
{
    (void)arg;
    enum { BIG = 5000000 };
    int rc = demo_track(r);
    if (rc < 0)
        return rc;
    char *p = malloc(BIG);
    if (!p)
        return CONCUR_E_NOMEM;
    struct demo_pattern pattern = { .end = BIG };
    size_t n = BIG;
    demo_pattern_pull(r, p, &n, &pattern);
    DEMO_COUNT(buffers);
    return concur_reply_bytes(r, 200, "application/octet-stream", p, n, big_free, p);
}

static int whoami_blocking(concur_request *r, void *arg)
{
    uint64_t ms;
    if (!demo_number(r, "ms", DEMO_MS_MAX, &ms))
        return CONCUR_OK;
    demo_block((unsigned)ms);
    return demo_whoami(r, arg);
}

static const struct demo_route routes[] = {
    { "GET /test/abort", 0, abort_reply },
    { "GET /test/header", 0, header },
    { "GET /test/badheader/{which}", 0, bad_header },
    { "GET /test/double", 0, double_reply },
    { "GET /test/nothing", 0, nothing },
    { "GET /test/status/{code}", 0, status },
    { "GET /test/late/{code}", 0, late },
    { "GET /test/decline", 0, decline },
    { "GET /test/decline", 0, second },
    { "GET /test/declined", 0, decline },
    { "GET /test/params/{a}/{b}", 0, params },
    { "GET /test/rest/*rest", 0, rest },
    { "/test/query", 0, query },
    { "GET /test/request", 0, request },
    { "POST,PUT /test/body", 0, body },
    { "POST /test/body-away", CONCUR_ROUTE_BLOCKING, body },
    { "POST /test/discard", CONCUR_ROUTE_STREAM, discard },
    { "POST /test/pause", CONCUR_ROUTE_STREAM, pause_body },
    { "POST /test/refuse", CONCUR_ROUTE_STREAM, refuse_body },
    { "GET /test/pull/{n}", 0, pull },
    { "GET /test/printf", 0, printf_reply },
    { "GET /test/big", 0, big },
    { "GET /test/whoami/{ms}", CONCUR_ROUTE_BLOCKING, whoami_blocking },
};

void demo_test_add(concur_server *server)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
}

/* Makes the start of a worker fail, or hang, as a test wants it. */
static int on_start(concur_server *server, int what, const char *detail, void *arg)
{
    const char *path = getenv("CONCUR_DEMO_START");
    char word[16] = "";
    int from = 0;
    (void)what, (void)detail, (void)arg;
    FILE *f = path ? fopen(path, "re") : NULL;
    if (f && (fscanf(f, "%15s %d", word, &from) != 2 || concur_server_generation(server) < from))
        word[0] = 0;
    if (f)
        fclose(f);
    while (strcmp(word, "hang") == 0)
        pause();
    return strcmp(word, "refuse") == 0 ? CONCUR_E_STATE : CONCUR_OK;
}

void demo_test_hook(concur_server *server)
{
    concur_server_hook(server, CONCUR_HOOK_WORKER_START, on_start, NULL);
}
