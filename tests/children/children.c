/* SPDX-License-Identifier: MIT
 *
 * A server whose handlers begin requests of their own: children, whose carrier (collect.h) collects what they answer. It knows the
 * library from inside. Every option of the library is a flag, --NAME VALUE.
 *
 *   METHOD /parent?target=/c/...   answers with what the child of the same method and body has answered:
 *                                  "END STATUS\nTYPE\nFIELDS\nBODY\n--\nagain N drains N pieces N interims N resumes N\n"
 *          &leave=N                its carrier leaves after N bytes of the reply
 *          &high=N                 its carrier says CONCUR_AGAIN above N bytes
 *          &seed=N                 of the pieces of the body
 *   GET /alone?target=/c/...       as /parent, but answers at once and ends before its child
 *   /c/...                         what children ask for
 *   GET /test/counts               the counters as JSON
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/run.h"
#include "children/collect.h"

enum { PIECES = 16, LONG_MS = 60000 };

/* As /test/counts of the demo: on an idle server each pair is equal. */
#define COUNTS(ROW)                                                                                                    \
    ROW(requests) ROW(ended) ROW(cancelled) ROW(buffers) ROW(freed) ROW(tickets) ROW(released) ROW(posts)             \
    ROW(posts_run) ROW(offloads) ROW(offloads_run) ROW(timers) ROW(timers_run) ROW(bodies) ROW(bodies_run) ROW(misuse)
#define COUNTS_MEMBER(name) concur_counter *name;
static struct { /* written before any process is forked */
    COUNTS(COUNTS_MEMBER)
} counts;
#define COUNTS_ROW(name) { #name, &counts.name },
static const struct {
    const char *name;
    concur_counter **counter;
} rows[] = { COUNTS(COUNTS_ROW) };
#define COUNT_ONE(what) ((void)concur_counter_add(counts.what, 1))

static int show_counts(concur_request *r, void *arg)
{
    char json[1024];
    size_t n = 0;
    (void)arg;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        n += (size_t)snprintf(json + n, sizeof json - n, "%c\"%s\":%" PRId64, i ? ',' : '{', rows[i].name,
                              concur_counter_get(*rows[i].counter));
    return concur_reply_printf(r, 200, "application/json", "%s}\n", json);
}

static int on_end(concur_request *r, int rc, void *arg)
{
    (void)r, (void)rc, (void)arg;
    COUNT_ONE(ended);
    return CONCUR_OK;
}

static int on_cancel(concur_request *r, int rc, void *arg)
{
    (void)r, (void)rc, (void)arg;
    COUNT_ONE(cancelled);
    return CONCUR_OK;
}

static int track(concur_request *r)
{
    int rc = concur_request_on_end(r, on_end, NULL);
    if (rc == CONCUR_OK)
        COUNT_ONE(requests);
    return rc < 0 ? rc : concur_request_on_cancel(r, on_cancel, NULL);
}

static int hello(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "Hello, World!");
}

/* ---- what children ask for ---- */

static int memory(concur_request *r, void *arg)
{
    (void)arg;
    track(r);
    concur_reply_header(r, "X-One", "1");
    concur_reply_header(r, "X-Two", concur_request_peer(r));
    return concur_reply_text(r, 203, "sixteen bytes...");
}

struct writer {
    unsigned left;
};

static int write_on(concur_request *r, void *arg)
{
    struct writer *w = arg;
    int rc = CONCUR_OK;
    while (w->left && rc == CONCUR_OK) {
        w->left--;
        rc = concur_reply_write(r, "piece of the body; ", 19);
    }
    if (rc == CONCUR_AGAIN)
        return concur_reply_on_drain(r, write_on, w);
    return rc < 0 ? rc : concur_reply_end(r);
}

static int stream(concur_request *r, void *arg)
{
    struct writer *w = concur_request_alloc(r, sizeof *w);
    (void)arg;
    track(r);
    if (!w)
        return CONCUR_E_NOMEM;
    w->left = PIECES;
    concur_reply_header(r, "X-One", "1");
    int rc = concur_reply_begin(r, 200, "text/x-pieces");
    return rc < 0 ? rc : write_on(r, w);
}

static int pull_some(concur_request *r, void *out, size_t *n, void *arg)
{
    struct writer *w = arg;
    (void)r;
    *n = w->left ? 19 : 0;
    if (w->left)
        memcpy(out, "piece of the body; ", 19);
    w->left -= w->left > 0;
    return CONCUR_OK;
}

static int pull(concur_request *r, void *arg)
{
    struct writer *w = concur_request_alloc(r, sizeof *w);
    (void)arg;
    track(r);
    if (!w)
        return CONCUR_E_NOMEM;
    w->left = PIECES;
    return concur_reply_pull(r, 200, "text/x-pulled", (int64_t)19 * PIECES, pull_some, w);
}

static int answer_later(concur_request *r, void *arg)
{
    (void)arg;
    COUNT_ONE(timers_run);
    return concur_request_gone(r) ? CONCUR_OK : concur_reply_text(r, 200, "later");
}

static int wait_for(concur_request *r, unsigned ms)
{
    int rc = concur_request_after(r, ms, answer_later, NULL);
    if (rc == CONCUR_OK)
        COUNT_ONE(timers);
    return rc;
}

static int timer(concur_request *r, void *arg)
{
    static const char *const links[] = { "</a>; rel=preload" };
    (void)arg;
    track(r);
    concur_reply_interim(r, 103, "Link", links, 1);
    return wait_for(r, 1);
}

static int waits(concur_request *r, void *arg)
{
    (void)arg;
    track(r);
    return wait_for(r, LONG_MS);
}

static int stop_waiting(concur_request *r, void *arg)
{
    (void)arg;
    if (concur_request_cancel_after(r, answer_later, NULL) == CONCUR_OK)
        COUNT_ONE(timers_run);
    return concur_reply_text(r, 200, "stopped");
}

static int waits_for_stop(concur_request *r, void *arg)
{
    int rc = waits(r, arg);
    return rc < 0 ? rc : concur_request_on_stop(r, stop_waiting, NULL);
}

/* Gives up before anybody else does. */
static int expires(concur_request *r, void *arg)
{
    (void)arg;
    track(r);
    int rc = concur_request_deadline(r, 1);
    return rc < 0 ? rc : wait_for(r, LONG_MS);
}

static int aborts(concur_request *r, void *arg)
{
    (void)arg;
    track(r);
    int rc = concur_reply_begin(r, 200, "text/plain");
    if (rc == CONCUR_OK)
        rc = concur_reply_write(r, "not all", 7);
    return rc < 0 ? rc : CONCUR_E_CANCELLED;
}

static int fails(concur_request *r, void *arg)
{
    (void)arg;
    track(r);
    return CONCUR_E_UPSTREAM;
}

static int whole(concur_request *r, void *arg)
{
    size_t n;
    const char *body = concur_request_body(r, &n);
    (void)arg;
    track(r);
    return concur_reply_bytes(r, 200, "text/x-whole", body, n, NULL, NULL);
}

struct reader {
    size_t n, calls;
    char text[8192];
};

static int resume(concur_request *r, void *arg)
{
    (void)arg;
    COUNT_ONE(timers_run);
    if (!concur_request_gone(r))
        concur_request_resume(r);
    return CONCUR_OK;
}

/* Every third piece is taken only when it is offered again. */
static int read_some(concur_request *r, const void *bytes, size_t n, void *arg)
{
    struct reader *reader = arg;
    if (++reader->calls % 3 == 0) {
        int rc = concur_request_after(r, 0, resume, NULL);
        if (rc == CONCUR_OK)
            COUNT_ONE(timers);
        return rc < 0 ? rc : CONCUR_AGAIN;
    }
    if (n > sizeof reader->text - reader->n)
        return CONCUR_E_LIMIT;
    memcpy(reader->text + reader->n, bytes, n);
    reader->n += n;
    return CONCUR_OK;
}

static int read_all(concur_request *r, int rc, void *arg)
{
    struct reader *reader = arg;
    COUNT_ONE(bodies_run);
    return rc < 0 ? CONCUR_OK : concur_reply_bytes(r, 200, "text/x-read", reader->text, reader->n, NULL, NULL);
}

static int reads(concur_request *r, void *arg)
{
    struct reader *reader = concur_request_alloc(r, sizeof *reader);
    (void)arg;
    track(r);
    if (!reader)
        return CONCUR_E_NOMEM;
    reader->n = reader->calls = 0;
    int rc = concur_request_on_body(r, read_some, read_all, reader);
    if (rc == CONCUR_OK)
        COUNT_ONE(bodies);
    return rc;
}

/* ---- parents ---- */

struct child {
    struct collect carrier;
    concur_request *parent; /* held; NULL: it waits for nothing */
    concur_server *server;
    struct cnc_task begin;
    char method[16], target[128];
    char *input;
};

static size_t query_number(concur_request *r, const char *name, size_t otherwise)
{
    const char *text = concur_request_get(r, CONCUR_IN_QUERY, name);
    return text ? (size_t)strtoull(text, NULL, 10) : otherwise;
}

static const char *text_of(const struct collect_text *t)
{
    return t->p ? t->p : "";
}

static int tell_parent(concur_request *parent, const struct collect *c)
{
    return concur_reply_printf(parent, 200, "text/plain", "%s %d\n%s\n%s\n%s\n--\nagain %u drains %u pieces %u interims %u resumes %u\n",
                               collect_end_name(c->end), c->status, text_of(&c->type), text_of(&c->fields), text_of(&c->body),
                               c->again, c->drains, c->pieces, c->interims, c->resumes);
}

static void on_child_over(struct collect *c)
{
    struct child *child = CNC_CONTAINER(c, struct child, carrier);
    concur_request *parent = child->parent;
    if (c->replies > 1)
        COUNT_ONE(misuse);
    if (parent) {
        cnc_request_enter(parent);
        int rc = concur_request_gone(parent) ? CONCUR_OK : tell_parent(parent, c);
        cnc_request_release(parent);
        cnc_request_leave(parent, rc);
    }
    collect_deinit(c);
    free(child->input);
    free(child);
    COUNT_ONE(freed);
}

static void on_child_begin(struct cnc_task *task)
{
    struct child *child = CNC_CONTAINER(task, struct child, begin);
    collect_begin(&child->carrier, child->server, child->method, child->target, "");
}

static int on_parent_gone(concur_request *r, int rc, void *arg)
{
    struct child *child = arg;
    (void)r, (void)rc;
    collect_leave(&child->carrier);
    return CONCUR_OK;
}

static struct child *make_child(concur_request *r)
{
    size_t n;
    const char *target = concur_request_get(r, CONCUR_IN_QUERY, "target"), *body = concur_request_body(r, &n);
    struct child *child = calloc(1, sizeof *child);
    if (!child)
        return NULL;
    COUNT_ONE(buffers);
    child->carrier.home = r->home;
    child->carrier.over = on_child_over;
    child->carrier.leave_at = query_number(r, "leave", SIZE_MAX);
    child->carrier.high = query_number(r, "high", SIZE_MAX);
    child->carrier.seed = query_number(r, "seed", 1);
    child->server = r->server;
    child->input = n ? malloc(n) : NULL;
    if (child->input)
        memcpy(child->input, body, n);
    child->carrier.input = child->input;
    child->carrier.input_n = child->input ? n : 0;
    snprintf(child->method, sizeof child->method, "%s", concur_request_method(r));
    snprintf(child->target, sizeof child->target, "%s", target ? target : "/");
    child->begin.run = on_child_begin;
    return child;
}

/* The child begins when this callback has returned. */
static int parent(concur_request *r, void *arg)
{
    track(r);
    (void)arg;
    struct child *child = make_child(r);
    if (!child)
        return CONCUR_E_NOMEM;
    child->parent = r;
    cnc_request_hold(r);
    cnc_home_defer(r->home, &child->begin);
    return concur_request_on_cancel(r, on_parent_gone, child);
}

static int alone(concur_request *r, void *arg)
{
    track(r);
    (void)arg;
    struct child *child = make_child(r);
    if (!child)
        return CONCUR_E_NOMEM;
    cnc_home_defer(r->home, &child->begin);
    return concur_reply_text(r, 200, "gone first");
}

int main(int argc, char **argv)
{
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        *rows[i].counter = concur_server_counter(server, rows[i].name, NULL);
    concur_server_route(server, "GET /", 0, hello, NULL);
    concur_server_route(server, "GET /test/counts", 0, show_counts, NULL);
    concur_server_route(server, "/parent", 0, parent, NULL);
    concur_server_route(server, "GET /alone", 0, alone, NULL);
    concur_server_route(server, "GET /c/memory", 0, memory, NULL);
    concur_server_route(server, "GET /c/stream", 0, stream, NULL);
    concur_server_route(server, "GET /c/blocking", CONCUR_ROUTE_BLOCKING, stream, NULL);
    concur_server_route(server, "GET /c/pull", 0, pull, NULL);
    concur_server_route(server, "GET /c/timer", 0, timer, NULL);
    concur_server_route(server, "GET /c/waits", 0, waits, NULL);
    concur_server_route(server, "GET /c/stops", 0, waits_for_stop, NULL);
    concur_server_route(server, "GET /c/expires", 0, expires, NULL);
    concur_server_route(server, "GET /c/aborts", 0, aborts, NULL);
    concur_server_route(server, "GET /c/fails", 0, fails, NULL);
    concur_server_route(server, "POST /c/whole", 0, whole, NULL);
    concur_server_route(server, "POST /c/reads", CONCUR_ROUTE_STREAM, reads, NULL);
    concur_server_route(server, "POST /c/reads/blocking", CONCUR_ROUTE_STREAM | CONCUR_ROUTE_BLOCKING, reads, NULL);
    return run(server, argc, argv, "");
}
