/* SPDX-License-Identifier: MIT
 *
 * Routes of every kind that answer "hello", for tests that are about the server.
 */
#ifndef LIVE_ROUTES_H
#define LIVE_ROUTES_H

#include "live.h"

static inline int hello(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "hello");
}

static inline int echo(concur_request *r, void *arg)
{
    size_t n;
    const void *body = concur_request_body(r, &n);
    (void)arg;
    return body ? concur_reply_bytes(r, 200, NULL, body, n, NULL, NULL) : concur_reply_printf(r, 200, NULL, "%zu", n);
}

static inline int later(concur_request *r, void *arg)
{
    return concur_request_after(r, arg ? 60000 : 2, hello, NULL);
}

static inline int work(void *arg)
{
    (void)arg;
    return 0;
}

static inline int worked(concur_request *r, int rc, void *arg)
{
    (void)arg;
    return rc ? rc : concur_reply_text(r, 200, "hello");
}

static inline int offload(concur_request *r, void *arg)
{
    return concur_request_offload(r, work, worked, arg);
}

static inline int fill(concur_request *r, void *out, size_t *n, void *arg)
{
    (void)r, (void)arg;
    memset(out, 'x', *n);
    return CONCUR_OK;
}

static inline int endless(concur_request *r, void *arg)
{
    return concur_reply_pull(r, 200, NULL, -1, fill, arg);
}

/* What a server says when something is wrong belongs into the report of a failure. */
static inline void show_errors(int level, const char *line, void *arg)
{
    if (level == CONCUR_LOG_ERROR)
        fprintf(stderr, "%s: %s\n", (const char *)arg, line);
}

static inline void some_routes(struct live *l)
{
    ck_assert_int_eq(concur_server_log(l->server, show_errors, (void *)(uintptr_t)l->name), CONCUR_OK);
    live_route(l, "GET /hello", 0, hello, NULL);
    live_route(l, "GET /block", CONCUR_ROUTE_BLOCKING, hello, NULL);
    live_route(l, "POST /echo", 0, echo, NULL);
    live_route(l, "GET /later", 0, later, NULL);
    live_route(l, "GET /offload", 0, offload, NULL);
    live_route(l, "GET /endless", 0, endless, NULL);
}

static inline void must_answer(const struct live *l, const char *path)
{
    char body[64] = "";
    int status = live_get(l, path, body, sizeof body);
    ck_assert_msg(status == 200 && strcmp(body, "hello") == 0, "%s %s: %d %s", l->name, path, status, body);
}

#endif
