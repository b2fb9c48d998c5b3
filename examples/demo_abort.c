/* SPDX-License-Identifier: MIT
 *
 * Routes under /test/ that abort their replies, in every way in which a program can. Each request also has a timer of ten
 * minutes. An aborted request is given up, so the timer's function is called at once.
 *
 *   any /test/fail/{way}/{code}       code: 200..599, or 1..18 for CONCUR_E_*; what a callback returns
 *   any /test/fail-away/{way}/{code}  the same in a blocking route
 *
 *   handler, timer, drain, post, offload, await, data, end, pull   that callback returns the code in mid-reply
 *   silence                           the handler leaves an unfinished reply and nothing pending
 *   write                             a piece of impossible length
 *   more, less, room                  pull gives more or less than it announced, or more than fits
 *   early                             no reply has begun, and the handler returns CONCUR_E_GONE
 *
 *   any /test/error/{way}             makes the library answer 500, each way for another reason; the log has the reason
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "demo.h"

struct fail {
    const char *way;
    int code;     /* what the callback returns */
    int expected; /* what concur_request_gone() must return then */
    int fd;       /* -1: none */
    int calls;    /* how often pull was called */
    bool cancelled;
    concur_ticket *ticket; /* NULL: none, or released */
};

static int on_cancel(concur_request *r, int rc, void *arg)
{
    struct fail *f = arg;
    f->cancelled = true;
    if (rc != f->expected || concur_request_gone(r) != rc)
        DEMO_COUNT(misuse);
    if (f->ticket) {
        DEMO_COUNT(released);
        concur_ticket_release(f->ticket);
    }
    f->ticket = NULL;
    return CONCUR_OK;
}

static int on_end(concur_request *r, int rc, void *arg)
{
    struct fail *f = arg;
    if (rc != f->expected || concur_request_gone(r) != rc || !f->cancelled)
        DEMO_COUNT(misuse);
    if (f->fd >= 0)
        close(f->fd);
    return CONCUR_OK;
}

/* Called at once, since the request was given up; no reply can begin here. */
static int ten_minutes(concur_request *r, void *arg)
{
    (void)arg;
    DEMO_COUNT(timers_run);
    if (!concur_request_gone(r) || concur_request_after(r, 0, ten_minutes, NULL) != CONCUR_E_GONE)
        DEMO_COUNT(misuse);
    return CONCUR_OK;
}

static int fails(concur_request *r, void *arg)
{
    (void)r;
    return ((struct fail *)arg)->code;
}

static int timer_fails(concur_request *r, void *arg)
{
    DEMO_COUNT(timers_run);
    return fails(r, arg);
}

static int post_fails(concur_request *r, void *arg)
{
    DEMO_COUNT(posts_run);
    return fails(r, arg);
}

static int offload_fails(concur_request *r, int rc, void *arg)
{
    (void)rc;
    DEMO_COUNT(offloads_run);
    return fails(r, arg);
}

static int await_fails(concur_request *r, int rc, void *arg)
{
    (void)rc;
    DEMO_COUNT(timers_run);
    return fails(r, arg);
}

static int work(void *arg)
{
    (void)arg;
    return CONCUR_OK;
}

static int data_fails(concur_request *r, const void *data, size_t n, void *arg)
{
    (void)data, (void)n;
    return strcmp(((struct fail *)arg)->way, "data") == 0 ? fails(r, arg) : CONCUR_OK;
}

static int end_fails(concur_request *r, int rc, void *arg)
{
    DEMO_COUNT(bodies_run);
    return strcmp(((struct fail *)arg)->way, "data") == 0 ? rc : fails(r, arg);
}

static int pull_fails(concur_request *r, void *out, size_t *n, void *arg)
{
    struct fail *f = arg;
    size_t room = *n;
    memset(out, 'x', room);
    if (f->calls++ > 0)
        *n = 0;
    else
        *n = room < 50 ? room : 50;
    if (f->calls > 1 && strcmp(f->way, "pull") == 0)
        return fails(r, arg);
    if (strcmp(f->way, "room") == 0)
        *n = (size_t)-1;
    return CONCUR_OK;
}

static int wait_for_nothing(concur_request *r, struct fail *f)
{
    f->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = f->fd < 0 ? CONCUR_E_SYS : concur_request_await(r, f->fd, CONCUR_READ, 0, await_fails, f);
    if (rc == CONCUR_OK)
        DEMO_COUNT(timers);
    return rc;
}

/* The ticket is kept; on_cancel releases it. */
static int post(concur_request *r, struct fail *f)
{
    f->ticket = concur_request_defer(r);
    if (!f->ticket)
        return CONCUR_E_NOMEM;
    DEMO_COUNT(tickets);
    int rc = concur_ticket_post(f->ticket, post_fails, f);
    if (rc == CONCUR_OK)
        DEMO_COUNT(posts);
    return rc;
}

/* The reply has begun. */
static int go_wrong(concur_request *r, struct fail *f)
{
    if (strcmp(f->way, "timer") == 0)
        return demo_after(r, 1, timer_fails, f);
    if (strcmp(f->way, "drain") == 0)
        return concur_reply_on_drain(r, fails, f);
    if (strcmp(f->way, "post") == 0)
        return post(r, f);
    if (strcmp(f->way, "offload") == 0)
        return demo_offload(r, work, offload_fails, f);
    if (strcmp(f->way, "await") == 0)
        return wait_for_nothing(r, f);
    if (strcmp(f->way, "write") == 0)
        return concur_reply_write(r, "x", (size_t)-1) == CONCUR_E_INVAL ? CONCUR_OK : CONCUR_E_STATE;
    return strcmp(f->way, "handler") == 0 ? f->code : CONCUR_OK;
}

static bool is_pulled(const char *way, int64_t *length)
{
    *length = strcmp(way, "more") == 0 ? 20 : strcmp(way, "less") == 0 ? 100 : -1;
    return *length >= 0 || strcmp(way, "pull") == 0 || strcmp(way, "room") == 0;
}

/* The reason that the library gives if the program has given none. */
static int expected(const struct fail *f)
{
    int64_t length;
    if (strcmp(f->way, "early") == 0)
        return CONCUR_E_GONE;
    if (strcmp(f->way, "write") == 0)
        return CONCUR_E_INVAL;
    if (is_pulled(f->way, &length) && strcmp(f->way, "pull") != 0)
        return CONCUR_E_LIMIT;
    return f->code < 0 && strcmp(f->way, "silence") != 0 ? f->code : CONCUR_E_CANCELLED;
}

static int start(concur_request *r, struct fail *f)
{
    int64_t length;
    if (strcmp(f->way, "early") == 0)
        return CONCUR_E_GONE;
    if (is_pulled(f->way, &length))
        return concur_reply_pull(r, 200, NULL, length, pull_fails, f);
    int rc = concur_reply_begin(r, 200, "text/plain");
    if (rc == CONCUR_OK)
        rc = concur_reply_write(r, "partial\n", 8);
    return rc < 0 ? rc : go_wrong(r, f);
}

static int fail_route(concur_request *r, void *arg)
{
    struct fail *f = concur_request_alloc(r, sizeof *f);
    uint64_t code;
    (void)arg;
    if (!demo_number(r, "code", 599, &code))
        return CONCUR_OK;
    int rc = f ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *f = (struct fail){ .way = concur_request_get(r, CONCUR_IN_PARAM, "way"), .fd = -1,
                        .code = code < 100 ? -(int)code : (int)code };
    f->expected = expected(f);
    rc = concur_request_on_end(r, on_end, f);
    if (rc == CONCUR_OK)
        rc = concur_request_on_cancel(r, on_cancel, f);
    if (rc == CONCUR_OK && strcmp(f->way, "silence") != 0)
        rc = demo_after(r, 600000, ten_minutes, NULL);
    if (rc == CONCUR_OK && (strcmp(f->way, "data") == 0 || strcmp(f->way, "end") == 0))
        rc = demo_on_body(r, data_fails, end_fails, f);
    return rc < 0 ? rc : start(r, f);
}

/* ---- 500 ---- */

static int give_99(concur_request *r, const void *data, size_t n, void *arg)
{
    (void)r, (void)data, (void)n, (void)arg;
    return 99;
}

static int return_it(concur_request *r, void *arg)
{
    (void)r;
    return (int)(intptr_t)arg;
}

static int pull_nothing(concur_request *r, void *out, size_t *n, void *arg)
{
    (void)r, (void)out, (void)arg;
    *n = 0;
    return CONCUR_OK;
}

/* Makes a wrong call, and ignores its error. */
static bool misuse(concur_request *r, const char *way)
{
    if (strcmp(way, "reserved") == 0)
        return concur_reply_header(r, "content-length", "5") < 0;
    if (strcmp(way, "name") == 0)
        return concur_reply_header(r, "No Token", "5") < 0;
    if (strcmp(way, "value") == 0)
        return concur_reply_header(r, "X-Value", "a\r\nb") < 0;
    if (strcmp(way, "status") == 0)
        return concur_reply_text(r, 99, "") < 0;
    if (strcmp(way, "type") == 0)
        return concur_reply_bytes(r, 200, "a\nb", NULL, 0, NULL, NULL) < 0;
    if (strcmp(way, "length") == 0)
        return concur_reply_bytes(r, 200, NULL, "x", (size_t)-1, NULL, NULL) < 0;
    if (strcmp(way, "write") == 0)
        return concur_reply_write(r, "x", 1) < 0;
    if (strcmp(way, "end") == 0)
        return concur_reply_end(r) < 0;
    if (strcmp(way, "pull") == 0)
        return concur_reply_pull(r, 200, NULL, -2, pull_nothing, NULL) < 0;
    return false;
}

static int error_route(concur_request *r, void *arg)
{
    const char *way = concur_request_get(r, CONCUR_IN_PARAM, "way");
    (void)arg;
    if (misuse(r, way))
        return CONCUR_OK;
    if (strcmp(way, "data") == 0)
        return concur_request_on_body(r, give_99, NULL, NULL);
    if (strcmp(way, "late") == 0)
        return concur_request_after(r, 0, return_it, (void *)(intptr_t)CONCUR_E_SYS);
    return strcmp(way, "nothing") == 0 ? CONCUR_OK : (int)strtol(way, NULL, 10);
}

static const struct demo_route routes[] = {
    { "/test/error/{way}", CONCUR_ROUTE_STREAM, error_route },
    { "/test/fail/{way}/{code}", CONCUR_ROUTE_STREAM, fail_route },
    { "/test/fail-away/{way}/{code}", CONCUR_ROUTE_STREAM | CONCUR_ROUTE_BLOCKING, fail_route },
};

void demo_abort_add(concur_server *server)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
}
