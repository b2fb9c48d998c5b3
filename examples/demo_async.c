/* SPDX-License-Identifier: MIT
 *
 * Routes under /test/ for tickets, offload, timers and waits.
 *
 *   GET /test/ticket/{ms}        a plain thread answers after that time           "ticket\n"
 *   GET /test/posts/{n}          8 threads post n functions in all                "N posts\n"
 *   GET /test/unanswered         the only ticket is released without a reply      500
 *   GET /test/after-offload      offload, then a timer, then the reply            "after offload\n"
 *   GET /test/order              offload, timer and post start after the handler  "ok\n" or "bad\n"
 *   GET /test/leave/{ms}         replies, and leaves a timer pending              "left\n"
 *   GET /test/cancel             cancels a timer of a minute and a wait for ever    "cancelled\n"
 *   GET /test/cancel-away        the same in a blocking route
 *   GET /test/await/{ms}         waits for a timer descriptor; ?limit=MS          "ready\n" or "timeout\n"
 *   GET /test/deadline/{ms}      only sets a deadline of the request              504
 *   GET /test/gone/{ms}          a blocking route, calls concur_request_gone() every 5 ms  "stayed\n"
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "demo.h"

/* Tickets: threads of the program answer. */

struct caller {
    concur_ticket *ticket;
    unsigned ms;
    uint64_t posts;
    concur_handler_fn post;
    void *arg; /* memory of the request, valid while the ticket is not released */
};

static void *call(void *arg)
{
    struct caller *c = arg;
    demo_block(c->ms);
    for (uint64_t i = 0; i < c->posts; i++)
        if (concur_ticket_post(c->ticket, c->post, c->arg) == CONCUR_OK)
            DEMO_COUNT(posts);
    DEMO_COUNT(released);
    concur_ticket_release(c->ticket);
    free(c);
    return NULL;
}

static int start_caller(concur_request *r, unsigned ms, uint64_t posts, concur_handler_fn post, void *arg)
{
    struct caller *c = malloc(sizeof *c);
    if (!c)
        return CONCUR_E_NOMEM;
    *c = (struct caller){ concur_request_defer(r), ms, posts, post, arg };
    if (!c->ticket) {
        free(c);
        return CONCUR_E_NOMEM;
    }
    DEMO_COUNT(tickets);
    /* Signals are for the thread that runs the server. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    pthread_t thread;
    int err = pthread_create(&thread, NULL, call, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err) {
        DEMO_COUNT(released);
        concur_ticket_release(c->ticket);
        free(c);
        return CONCUR_E_SYS;
    }
    pthread_detach(thread);
    return CONCUR_OK;
}

static int ticket_answer(concur_request *r, void *arg)
{
    (void)arg;
    DEMO_COUNT(posts_run);
    return concur_reply_text(r, 200, "ticket\n");
}

static int ticket(concur_request *r, void *arg)
{
    (void)arg;
    uint64_t ms;
    if (!demo_number(r, "ms", DEMO_MS_MAX, &ms))
        return CONCUR_OK;
    int rc = demo_track(r);
    return rc < 0 ? rc : start_caller(r, (unsigned)ms, 1, ticket_answer, NULL);
}

struct posts {
    uint64_t seen, expected; /* no lock needed: all posted functions run at the request's home */
};

static int posts_one(concur_request *r, void *arg)
{
    struct posts *p = arg;
    DEMO_COUNT(posts_run);
    return ++p->seen == p->expected ? concur_reply_printf(r, 200, NULL, "%" PRIu64 " posts\n", p->seen) : CONCUR_OK;
}

static int posts(concur_request *r, void *arg)
{
    (void)arg;
    enum { THREADS = 8 };
    uint64_t n;
    if (!demo_number(r, "n", 10000000, &n))
        return CONCUR_OK;
    struct posts *p = concur_request_alloc(r, sizeof *p);
    int rc = p ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *p = (struct posts){ 0, n };
    for (unsigned i = 0; i < THREADS && rc == CONCUR_OK; i++)
        rc = start_caller(r, 0, n / THREADS + (i < n % THREADS), posts_one, p);
    return rc < 0 || n > 0 ? rc : concur_reply_text(r, 200, "0 posts\n");
}

static int unanswered(concur_request *r, void *arg)
{
    (void)arg;
    int rc = demo_track(r);
    return rc < 0 ? rc : start_caller(r, 1, 0, NULL, NULL);
}

/* Offload, timers, descriptors. */

static int offload_work(void *arg)
{
    (void)arg;
    demo_block(10);
    return CONCUR_OK;
}

static int offload_timer(concur_request *r, void *arg)
{
    (void)arg;
    DEMO_COUNT(timers_run);
    return concur_reply_text(r, 200, "after offload\n");
}

static int offload_done(concur_request *r, int rc, void *arg)
{
    (void)arg;
    DEMO_COUNT(offloads_run);
    return rc < 0 ? rc : demo_after(r, 10, offload_timer, NULL);
}

static int after_offload(concur_request *r, void *arg)
{
    (void)arg;
    int rc = demo_track(r);
    return rc < 0 ? rc : demo_offload(r, offload_work, offload_done, NULL);
}

struct order {
    bool returning;         /* set by the handler right before it returns */
    bool early;             /* a callback ran before that */
    bool work_early;        /* work() ran before that; set by the pool's thread, read in done() */
    int left;
};

static int order_work(void *arg)
{
    struct order *o = arg;
    o->work_early = !o->returning;
    return CONCUR_OK;
}

static int order_one(concur_request *r, struct order *o)
{
    o->early |= !o->returning;
    if (--o->left > 0)
        return CONCUR_OK;
    return concur_reply_text(r, 200, o->early || o->work_early ? "bad\n" : "ok\n");
}

static int order_done(concur_request *r, int rc, void *arg)
{
    DEMO_COUNT(offloads_run);
    return rc < 0 ? rc : order_one(r, arg);
}

static int order_timer(concur_request *r, void *arg)
{
    DEMO_COUNT(timers_run);
    return order_one(r, arg);
}

static int order_post(concur_request *r, void *arg)
{
    DEMO_COUNT(posts_run);
    return order_one(r, arg);
}

static int order(concur_request *r, void *arg)
{
    (void)arg;
    struct order *o = concur_request_alloc(r, sizeof *o);
    int rc = o ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *o = (struct order){ .left = 3 };
    concur_ticket *t = concur_request_defer(r);
    if (!t)
        return CONCUR_E_NOMEM;
    DEMO_COUNT(tickets);
    rc = demo_offload(r, order_work, order_done, o);
    if (rc == CONCUR_OK)
        rc = demo_after(r, 0, order_timer, o);
    if (rc == CONCUR_OK) {
        rc = concur_ticket_post(t, order_post, o);
        if (rc == CONCUR_OK)
            DEMO_COUNT(posts);
    }
    DEMO_COUNT(released);
    concur_ticket_release(t);
    o->returning = true;
    return rc;
}

static int await_done(concur_request *r, int rc, void *arg)
{
    DEMO_COUNT(timers_run);
    close(*(int *)arg);
    if (rc == CONCUR_E_TIMEOUT && !concur_request_gone(r))
        return concur_reply_text(r, 200, "timeout\n");
    return rc < 0 ? rc : concur_reply_text(r, 200, rc == CONCUR_READ ? "ready\n" : "bad\n");
}

struct cancel {
    int fds[2]; /* a pipe */
};

static int never_timer(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    DEMO_COUNT(misuse);
    return CONCUR_OK;
}

static int never_ready(concur_request *r, int rc, void *arg)
{
    (void)rc;
    return never_timer(r, arg);
}

static int cancel_all(concur_request *r, void *arg)
{
    struct cancel *c = arg;
    bool ok = concur_request_cancel_after(r, never_timer, NULL) == CONCUR_E_STATE;
    ok &= concur_request_cancel_after(r, never_timer, c) == CONCUR_OK;
    ok &= concur_request_cancel_after(r, never_timer, c) == CONCUR_E_STATE;
    ok &= concur_request_cancel_await(r, c->fds[1]) == CONCUR_E_STATE;
    ok &= concur_request_cancel_await(r, c->fds[0]) == CONCUR_OK;
    ok &= concur_request_cancel_await(r, c->fds[0]) == CONCUR_E_STATE;
    close(c->fds[0]);
    close(c->fds[1]);
    DEMO_COUNT(timers_run);
    return ok ? concur_reply_text(r, 200, "cancelled\n") : 500;
}

static int cancel(concur_request *r, void *arg)
{
    struct cancel *c = concur_request_alloc(r, sizeof *c);
    (void)arg;
    if (!c || pipe2(c->fds, O_CLOEXEC) < 0)
        return CONCUR_E_NOMEM;
    if (write(c->fds[1], "x", 1) != 1 || concur_request_after(r, 60000, never_timer, c) < 0 ||
        concur_request_await(r, c->fds[0], CONCUR_READ, 60000, never_ready, c) < 0 ||
        concur_request_cancel_await(r, c->fds[0]) < 0 || read(c->fds[0], &(char){ 0 }, 1) != 1)
        return 500;
    int rc = concur_request_await(r, c->fds[0], CONCUR_READ, 60000, never_ready, c);
    return rc < 0 ? rc : demo_after(r, 1, cancel_all, c);
}

static int await(concur_request *r, void *arg)
{
    (void)arg;
    uint64_t ms;
    if (!demo_number(r, "ms", DEMO_MS_MAX, &ms))
        return CONCUR_OK;
    int *fd = concur_request_alloc(r, sizeof *fd);
    int rc = fd ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (*fd < 0)
        return CONCUR_E_SYS;
    struct itimerspec when = { .it_value = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 + 1 } };
    timerfd_settime(*fd, 0, &when, NULL);
    rc = concur_request_await(r, *fd, CONCUR_READ, (unsigned)demo_query_number(r, "limit", 0), await_done, fd);
    if (rc == CONCUR_OK)
        DEMO_COUNT(timers);
    else
        close(*fd);
    return rc;
}

static int too_late(concur_request *r, void *arg)
{
    (void)arg;
    DEMO_COUNT(timers_run);
    return concur_reply_text(r, 200, "too late\n");
}

static int deadline(concur_request *r, void *arg)
{
    (void)arg;
    uint64_t ms;
    if (!demo_number(r, "ms", DEMO_MS_MAX, &ms))
        return CONCUR_OK;
    int rc = demo_track(r);
    if (rc == CONCUR_OK)
        rc = concur_request_deadline(r, (unsigned)ms);
    return rc < 0 ? rc : demo_after(r, DEMO_MS_MAX, too_late, NULL);
}

/* Work that checks from time to time whether its client has left. */

static int gone(concur_request *r, void *arg)
{
    (void)arg;
    uint64_t ms;
    if (!demo_number(r, "ms", DEMO_MS_MAX, &ms))
        return CONCUR_OK;
    int rc = demo_track(r);
    for (uint64_t i = 0; i < ms && rc == CONCUR_OK; i += 5) {
        demo_block(5);
        rc = concur_request_gone(r);
    }
    if (rc == CONCUR_OK)
        return concur_reply_text(r, 200, "stayed\n");
    DEMO_COUNT(gone_seen);
    return rc;
}

static int late(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    DEMO_COUNT(timers_run);
    return CONCUR_OK;
}

static int reply_and_go_on(concur_request *r, void *arg)
{
    uint64_t ms;
    if (!demo_number(r, "ms", 600000, &ms))
        return CONCUR_OK;
    int rc = demo_track(r);
    if (rc == CONCUR_OK)
        rc = demo_after(r, (unsigned)ms, late, arg);
    return rc < 0 ? rc : concur_reply_text(r, 200, "left\n");
}

static const struct demo_route routes[] = {
    { "GET /test/ticket/{ms}", 0, ticket },
    { "GET /test/posts/{n}", 0, posts },
    { "GET /test/unanswered", 0, unanswered },
    { "GET /test/after-offload", 0, after_offload },
    { "GET /test/order", 0, order },
    { "GET /test/leave/{ms}", 0, reply_and_go_on },
    { "GET /test/await/{ms}", 0, await },
    { "GET /test/cancel", 0, cancel },
    { "GET /test/cancel-away", CONCUR_ROUTE_BLOCKING, cancel },
    { "GET /test/deadline/{ms}", 0, deadline },
    { "GET /test/gone/{ms}", CONCUR_ROUTE_BLOCKING, gone },
};

void demo_async_add(concur_server *server)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
}
