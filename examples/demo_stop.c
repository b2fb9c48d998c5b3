/* SPDX-License-Identifier: MIT
 *
 * Routes under /test/ that wait for the server's stop, and end when it begins. Each reply has the number of times that its
 * function for the stop was called.
 *
 *   GET /test/stop/{way}        handler    asks again and again, and holds its thread          "asked, told N\n"
 *                               ticket     waits for nothing else                              "told N\n"
 *                               timers     asks in a timer, every 5 ms                         "asked, told N\n"
 *                               stream     "tick\n" every 5 ms, then "bye N\n"
 *                               status     its function returns CONCUR_E_STOPPING              503
 *   GET /test/stop-away/{way}   the same in a blocking route
 *   GET /test/stop-declined     two handlers: the first registers a function and declines, the second, a blocking one,
 *                               waits                                                          "told N\n"
 */
#include <stdlib.h>
#include <string.h>

#include "demo.h"

struct stop {
    unsigned told;
    bool over, status;
    concur_ticket *ticket; /* NULL: none, or released */
};

static void release(struct stop *s)
{
    if (!s->ticket)
        return;
    DEMO_COUNT(released);
    concur_ticket_release(s->ticket);
    s->ticket = NULL;
}

static int on_cancel(concur_request *r, int rc, void *arg)
{
    (void)r, (void)rc;
    release(arg);
    return CONCUR_OK;
}

/* Registered first, so it runs after the other one. */
static int on_stop(concur_request *r, void *arg)
{
    struct stop *s = arg;
    s->told++;
    if (s->status) {
        release(s);
        return CONCUR_E_STOPPING;
    }
    if (!s->ticket)
        return CONCUR_OK;
    release(s);
    return concur_reply_printf(r, 200, NULL, "told %u\n", s->told);
}

static int on_stop_before(concur_request *r, void *arg)
{
    struct stop *s = arg;
    if (s->told || concur_request_stopping(r) != CONCUR_E_STOPPING || concur_request_gone(r))
        DEMO_COUNT(misuse);
    s->told++;
    return CONCUR_OK;
}

static int hold(concur_request *r, struct stop *s)
{
    while (concur_request_stopping(r) == CONCUR_OK && !concur_request_gone(r))
        demo_block(2);
    return concur_reply_printf(r, 200, NULL, "asked, told %u\n", s->told);
}

static int ask_again(concur_request *r, void *arg)
{
    struct stop *s = arg;
    DEMO_COUNT(timers_run);
    if (concur_request_gone(r))
        return CONCUR_E_GONE;
    return concur_request_stopping(r) && s->told == 2 ? concur_reply_printf(r, 200, NULL, "asked, told %u\n", s->told)
                                                      : demo_after(r, 5, ask_again, s);
}

static int tick(concur_request *r, void *arg)
{
    struct stop *s = arg;
    DEMO_COUNT(timers_run);
    if (s->told < 2) {
        int rc = concur_reply_write(r, "tick\n", 5);
        return rc < 0 ? rc : demo_after(r, 5, tick, s);
    }
    char bye[] = "bye 0\n";
    bye[4] = (char)('0' + s->told);
    concur_reply_write(r, bye, 6);
    return concur_reply_end(r);
}

static int wait_for_it(concur_request *r, struct stop *s)
{
    s->ticket = concur_request_defer(r);
    if (!s->ticket)
        return CONCUR_E_NOMEM;
    DEMO_COUNT(tickets);
    return CONCUR_OK;
}

static int stream(concur_request *r, struct stop *s)
{
    int rc = concur_reply_begin(r, 200, "text/plain");
    return rc < 0 ? rc : demo_after(r, 0, tick, s);
}

static int watch(concur_request *r, struct stop **out)
{
    struct stop *s = concur_request_alloc(r, sizeof *s);
    int rc = s ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *s = (struct stop){ 0 };
    *out = s;
    rc = concur_request_on_cancel(r, on_cancel, s);
    if (rc == CONCUR_OK)
        rc = concur_request_on_stop(r, on_stop, s);
    return rc < 0 ? rc : concur_request_on_stop(r, on_stop_before, s);
}

static int stop_route(concur_request *r, void *arg)
{
    const char *way = concur_request_get(r, CONCUR_IN_PARAM, "way");
    struct stop *s;
    (void)arg;
    int rc = watch(r, &s);
    if (rc < 0)
        return rc;
    if (strcmp(way, "handler") == 0)
        return hold(r, s);
    if (strcmp(way, "timers") == 0)
        return demo_after(r, 5, ask_again, s);
    if (strcmp(way, "stream") == 0)
        return stream(r, s);
    s->status = strcmp(way, "status") == 0;
    return wait_for_it(r, s);
}

/* Registered by a handler that declines; it is called nevertheless. */
static int count_told(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    DEMO_COUNT(gone_seen);
    return CONCUR_OK;
}

static int decline(concur_request *r, void *arg)
{
    int rc = concur_request_on_stop(r, count_told, arg);
    return rc < 0 ? rc : CONCUR_DECLINE;
}

static int after_decline(concur_request *r, void *arg)
{
    struct stop *s;
    (void)arg;
    int rc = watch(r, &s);
    return rc < 0 ? rc : wait_for_it(r, s);
}

static const struct demo_route routes[] = {
    { "GET /test/stop/{way}", 0, stop_route },
    { "GET /test/stop-away/{way}", CONCUR_ROUTE_BLOCKING, stop_route },
    { "GET /test/stop-declined", 0, decline },
    { "GET /test/stop-declined", CONCUR_ROUTE_BLOCKING, after_decline },
};

void demo_stop_add(concur_server *server)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
}
