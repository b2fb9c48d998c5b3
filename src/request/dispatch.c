/* SPDX-License-Identifier: MIT
 *
 * From a parsed head and its carrier to a handler: the request's memory, its route, its body if the route wants it whole, and
 * the thread that runs it.
 */
#include "base/error.h"
#include "base/sys.h"
#include "conn/channel.h"
#include "request/around.h"
#include "request/request.h"
#include "request/spool.h"

#define IDS_AT_ONCE 4096

/* Brings the request of a blocking route to a pool thread. It belongs to the home that sent it. That home may take the job out
 * of the queue again when the request's deadline or queue_timeout passes, or its client leaves. Whoever takes the job out of
 * the queue owns the request. */
struct pool_run {
    struct cnc_job job;
    concur_request *r;
    struct cnc_channel *channel;
    struct cnc_home *from;   /* referenced until the job has run: the request's first block belongs to that home */
    int64_t deadline_at;     /* the request's, as it was queued */
    struct cnc_timer late;   /* at from: the wait in the queue has been too long. Not set for a job that need not wait */
    struct cnc_task started; /* posted to from: a thread has the request; frees this struct */
};

static void attach(concur_request *r, struct cnc_home *home)
{
    r->home = home;
    cnc_link_append(&cnc_desk_of(home)->requests, &r->link);
    cnc_desk_of(home)->live++;
}

static void detach(concur_request *r)
{
    cnc_link_remove(&r->link);
    cnc_desk_of(r->home)->live--;
}

static uint64_t next_id(concur_server *server, struct cnc_home *home)
{
    if (CNC_UNLIKELY(cnc_desk_of(home)->id_next == cnc_desk_of(home)->id_end)) {
        cnc_desk_of(home)->id_next = server->id_base + atomic_fetch_add(&server->counts.ids, IDS_AT_ONCE);
        cnc_desk_of(home)->id_end = cnc_desk_of(home)->id_next + IDS_AT_ONCE;
    }
    return cnc_desk_of(home)->id_next++;
}

/* ---- running ---- */

/* On the pool thread that has the request: runs it, and turns the thread's home until the request has ended. */
static void dispatch_serve_here(concur_request *r, struct cnc_home *here)
{
    concur_server *server = r->server;
    int64_t left = r->deadline_at == INT64_MAX ? 0 : r->deadline_at - cnc_home_now(here);
    bool over = r->deadline_at != INT64_MAX && left <= 0;
    if (over || cnc_server_is_late(r->server)) {
        cnc_request_enter(r);
        cnc_reply_page(r, over ? 504 : 503);
        cnc_request_leave(r, CONCUR_OK);
    } else {
        if (left)
            cnc_request_set_deadline(r, left);
        cnc_request_run(r);
    }
    while (cnc_desk_of(here)->live)
        if (cnc_home_turn(here, -1) < 0) {
            cnc_server_runs_short(server, "requests that wait on this thread are given up");
            cnc_request_lose_loop(here);
        }
}

/* At from, when a thread has taken the request out of the queue and no longer needs the struct. */
static void on_dispatch_started(struct cnc_task *task)
{
    struct pool_run *run = CNC_CONTAINER(task, struct pool_run, started);
    cnc_home_timer_cancel(run->from, &run->late);
    cnc_free(run);
}

/* The request ends without its handler: its client is gone. */
static void end_unheard(concur_request *r)
{
    if (!(r->flags & CNC_REQ_ON_STACK))
        cnc_request_enter(r);
    cnc_reply_abort(r, CONCUR_E_GONE);
    cnc_request_leave(r, CONCUR_OK);
}

static void pool_run(struct cnc_job *job, struct cnc_home *here)
{
    struct pool_run *run = CNC_CONTAINER(job, struct pool_run, job);
    concur_request *r = run->r;
    struct cnc_home *from = run->from;
    concur_server *before = cnc_server_enter(r->server);
    attach(r, here);
    cnc_request_tell_stop(r); /* a handler that declined may have registered on_stop functions */
    bool heard = cnc_channel_start(run->channel, here);
    cnc_home_post(from, &run->started); /* cannot fail: a home does not close while it has channels */
    if (heard)
        dispatch_serve_here(r, here);
    else
        end_unheard(r);
    while (here->local.head || atomic_load(&here->mail))
        cnc_home_settle(here);
    cnc_home_unref(from);
    cnc_server_leave(before);
}

/* At from, when the job is not in the queue: ends the request there, with status if the client has not left. */
static void end_here(struct pool_run *run, int status)
{
    concur_request *r = run->r;
    struct cnc_home *home = run->from;
    cnc_home_timer_cancel(home, &run->late);
    attach(r, home);
    bool heard = cnc_channel_start(run->channel, home);
    cnc_free(run);
    cnc_home_unref(home);
    if (!heard) {
        end_unheard(r);
        return;
    }
    if (!(r->flags & CNC_REQ_ON_STACK))
        cnc_request_enter(r);
    cnc_request_leave(r, status);
}

static void on_dispatch_late(struct cnc_timer *t)
{
    struct pool_run *run = CNC_CONTAINER(t, struct pool_run, late);
    bool over = run->deadline_at <= cnc_home_now(run->from);
    if (cnc_pool_cancel(run->r->server->pool, &run->job))
        end_here(run, over ? 504 : 503);
}

static void on_dispatch_client_left(void *arg)
{
    struct pool_run *run = arg;
    if (cnc_pool_cancel(run->r->server->pool, &run->job))
        end_here(run, 0);
}

static struct pool_run *make_run(concur_request *r)
{
    struct cnc_home *home = r->home;
    struct pool_run *run = cnc_malloc(sizeof *run);
    if (!run)
        return NULL;
    cnc_facts_before_move(r);
    *run = (struct pool_run){ .job.run = pool_run, .r = r, .from = home, .deadline_at = r->deadline_at,
                              .late.fn = on_dispatch_late, .started.run = on_dispatch_started };
    cnc_link_init(&run->job.link);
    if (cnc_channel_open(&run->channel, &r->stream, home, (size_t)r->server->setup->cfg.output_high) < 0) {
        cnc_free(run);
        return NULL;
    }
    cnc_channel_on_left(run->channel, on_dispatch_client_left, run);
    return run;
}

/* At from, when the pool has the job. A thread may have the request by now, but run is there until on_dispatch_started(). */
static void limit_wait(struct pool_run *run, int64_t timeout)
{
    int64_t at = timeout ? cnc_home_now(run->from) + timeout : INT64_MAX;
    if (run->deadline_at < at)
        at = run->deadline_at;
    if (at != INT64_MAX)
        cnc_home_timer(run->from, &run->late, at);
}

/* Entered or not. Hands the request to the pool, or ends it if that fails. */
static void to_pool(concur_request *r)
{
    concur_server *server = r->server;
    struct pool_run *run = make_run(r);
    if (!run) {
        cnc_request_failed(r, "has no memory to be passed to a thread: 503");
        if (!(r->flags & CNC_REQ_ON_STACK))
            cnc_request_enter(r);
        cnc_request_leave(r, 503);
        return;
    }
    if (cnc_timer_is_set(&r->deadline))
        cnc_home_timer_cancel(r->home, &r->deadline);
    cnc_request_queue(r);
    cnc_home_ref(r->home);
    detach(r);
    int rc = cnc_pool_submit(server->pool, &run->job);
    if (rc == CONCUR_E_NOMEM || rc == CONCUR_E_SYS)
        cnc_request_failed(r, "gets no thread: %s: 503", rc == CONCUR_E_SYS ? cnc_error_text() : "out of memory");
    if (rc < 0)
        end_here(run, 503);
    else if (cnc_pool_is_wanted(server->pool)) /* else a thread is free for each job in the queue */
        limit_wait(run, server->setup->cfg.queue_timeout);
}

/* The route is known: may its handler run now? 0: yes; CONCUR_AGAIN: later, when the body is complete; else the status to
 * answer with. */
static int dispatch_prepare(concur_request *r)
{
    const struct cnc_route *route = r->match.route;
    if (CNC_UNLIKELY(r->flags & CNC_REQ_HAS_BODY)) {
        if (r->content_length > route->cfg.body_max)
            return 413; /* RFC 9110 §15.5.14: before any of the body is read, and before 100 Continue is sent */
        if (!(route->flags & CONCUR_ROUTE_STREAM) && !(r->flags & CNC_REQ_BODY_DONE))
            return cnc_body_start(r);
    }
    return 0;
}

/* Finds the next route after those that declined. Returns as dispatch_prepare(), or 404 if there is none. */
static int find_next(concur_request *r)
{
    struct cnc_slice method = { r->head + r->method_text.at, r->method_text.len };
    r->skip++;
    if (cnc_router_find(&r->server->setup->router, r->method, method, r->path, r->skip, &r->match) != CNC_ROUTE_FOUND)
        return 404;
    return dispatch_prepare(r);
}

CNC_HOT void cnc_request_run(concur_request *r)
{
    for (;;) {
        const struct cnc_route *route = r->match.route;
        if (CNC_UNLIKELY(route->blocking) && r->server->pool && !r->home->blocking) {
            to_pool(r);
            return;
        }
        struct cnc_home *home = r->home;
        cnc_request_enter_handler(r);
        cnc_desk_call_begins(home, route);
        int rc = route->handler(r, route->arg);
        cnc_desk_call_ends(home);
        /* A handler that declines must not have replied or left anything pending: the next route may run on another thread. */
        if (CNC_LIKELY(rc != CONCUR_DECLINE) || r->output != CNC_OUTPUT_NONE || r->gone || r->refs || r->on_data) {
            cnc_request_leave(r, rc);
            return;
        }
        rc = find_next(r);
        if (rc != 0) {
            cnc_request_leave(r, rc == CONCUR_AGAIN ? CONCUR_OK : rc);
            return;
        }
    }
}

/* ---- the head ---- */

static const char host_name[] = "Host";

/* RFC 9112 §3.2.2: the authority of an absolute target replaces the value of the field Host, or becomes that field if there is
 * none. Name and value are written behind the copy of the head, where copy_head() has made room for them. */
static void take_authority(concur_request *r, const struct cnc_http_head *head)
{
    uint32_t at = head->len;
    struct cnc_http_field *f = r->fields;
    while (f < r->fields + r->field_count && f->id != CNC_HTTP_NAME_HOST)
        f++;
    if (f == r->fields + r->field_count) {
        *f = (struct cnc_http_field){ .name = at, .name_len = sizeof host_name - 1, .id = CNC_HTTP_NAME_HOST };
        r->field_count++;
    }
    memcpy(r->head + at, host_name, sizeof host_name);
    at += sizeof host_name;
    memcpy(r->head + at, r->head + head->host.at, head->host.len);
    f->value = at;
    f->value_len = head->host.len;
}

/* Copies the head's bytes and fields into the arena. From here on the carrier's buffer is not used any more. */
static bool copy_head(concur_request *r, const struct cnc_http_head *head, const char *bytes)
{
    bool absolute = head->form == CNC_HTTP_ABSOLUTE;
    size_t fields = ((size_t)head->field_count + absolute) * sizeof *r->fields;
    size_t text = head->len + (absolute ? sizeof host_name + head->host.len + 1 : 0);
    char *room = cnc_arena_alloc(&r->arena, fields + text + 2 * (size_t)head->path.len + 4);
    if (CNC_UNLIKELY(!room))
        return false;
    r->fields = (struct cnc_http_field *)(void *)room;
    r->head = room + fields;
    char *path = r->head + text;
    memcpy(r->head, bytes, head->len);
    memcpy(r->fields, head->fields, head->field_count * sizeof *r->fields);
    r->field_count = head->field_count;
    r->method_text = head->method_text;
    r->target = head->target;
    r->query = head->query;
    r->content_length = head->content_length;
    r->path.p = path;
    r->texts = path + head->path.len + 2; /* as long as the path: each parameter has a slash before it, and needs a NUL */
    r->texts_left = head->path.len + 2;
    if (CNC_UNLIKELY(absolute))
        take_authority(r, head);
    return true;
}

/* Makes the decoded path, with which the route is found. False: the path is bad (400). */
static bool decode_path(concur_request *r, const struct cnc_http_head *head)
{
    long n = cnc_http_path_of((char *)(uintptr_t)r->path.p, head, r->head);
    r->path.n = (size_t)n;
    return n >= 0;
}

/* No route takes the request: the status that the library answers with. found: what cnc_router_find() returned. */
static int refusal(concur_request *r, int found)
{
    struct cnc_slice method = { r->head + r->method_text.at, r->method_text.len };
    if (r->method == CNC_HTTP_OPTIONS && (found == CNC_ROUTE_BAD_METHOD || r->path.p[0] == '*'))
        return 204;
    if (r->method == CNC_HTTP_OTHER && !cnc_router_knows(&r->server->setup->router, method))
        return 501; /* RFC 9110 §15.6.2 */
    return found == CNC_ROUTE_BAD_METHOD ? 405 : 404;
}

static concur_request *create(concur_server *server, struct cnc_home *home, const struct cnc_http_head *head,
                              const struct cnc_carrier *from)
{
    concur_request *r = cnc_desk_block_get(home);
    if (!r)
        return NULL;
    cnc_zero(&r->flags, offsetof(concur_request, match) - offsetof(concur_request, flags));
    r->match.route = NULL;
    r->match.param_count = 0;
    r->deadline = (struct cnc_timer){ 0 };
    cnc_link_init(&r->link);
    cnc_link_init(&r->ops);
    r->server = server;
    r->method = head->method;
    r->minor = head->minor;
    r->body_fd = -1;
    r->deadline_at = INT64_MAX;
    r->stream = (struct cnc_stream){ .down = from->ops, .up = &cnc_request_stream_ops, .carrier = from->self };
    if (head->flags & CNC_HTTP_KEEP_ALIVE)
        r->flags |= CNC_REQ_KEEP_ALIVE;
    if (CNC_UNLIKELY(head->flags & CNC_HTTP_UPGRADE))
        r->flags |= CNC_REQ_UPGRADE;
    if (CNC_UNLIKELY(head->flags & CNC_HTTP_HAS_BODY))
        r->flags |= CNC_REQ_HAS_BODY;
    if (head->method == CNC_HTTP_HEAD)
        r->flags |= CNC_REQ_NO_BODY_OUT;
    cnc_arena_init(&r->arena, r + 1, CNC_DESK_BLOCK - sizeof *r, (size_t)server->setup->cfg.request_memory);
    r->id = next_id(server, home);
    attach(r, home);
    cnc_desk_count_request(home);
    return r;
}

static void dispatch_discard(concur_request *r)
{
    detach(r);
    cnc_arena_deinit(&r->arena);
    cnc_desk_block_put(r->home, r);
}

static int dispatch_no_memory(concur_server *server)
{
    cnc_failure(server, "a request's head needs more memory than there is, or than request_memory allows: 503");
    return 503;
}

/* The route's request_timeout counts from the moment at which the head was complete, so it includes the wait for a thread.
 * head_at: that moment, 0: now. Returns 0, or 504 if it has passed. */
static int start_deadline(concur_request *r, int64_t head_at)
{
    int64_t limit = r->match.route->cfg.request_timeout;
    if (CNC_LIKELY(limit == 0))
        return 0;
    int64_t waited = head_at ? cnc_clock_now(r->home->clock) - head_at : 0;
    if (waited >= limit)
        return 504;
    cnc_request_set_deadline(r, limit - waited);
    return 0;
}

/* Entered or not. Hooks before the handler have all run. status: 0: the handler runs now, or when the body is complete; else
 * the status to answer with instead. */
CNC_HOT static void dispatch_go_on(concur_request *r, int status)
{
    if (CNC_LIKELY(status == 0))
        status = dispatch_prepare(r);
    if (CNC_LIKELY(status == 0)) {
        cnc_request_run(r);
        return;
    }
    if (!(r->flags & CNC_REQ_ON_STACK)) {
        if (status == CONCUR_AGAIN)
            return;
        cnc_request_enter(r);
    }
    cnc_request_leave(r, status == CONCUR_AGAIN ? CONCUR_OK : status);
}

/* For a request whose path may be under the prefix of a hook. late: its deadline has passed, so hooks before the handler do not
 * run. */
static void dispatch_hooked(concur_request *r, int status, bool late)
{
    cnc_around_begin(r);
    r->refused = status;
    if (late || cnc_around_pass(r))
        dispatch_go_on(r, status);
}

static void on_dispatch_pass(struct cnc_task *task)
{
    concur_request *r = CNC_CONTAINER(task, concur_request, pass_task);
    r->flags &= ~(uint32_t)(CNC_REQ_HOOK_WAITS | CNC_REQ_PASS_DUE);
    r->refs--;
    if (r->output != CNC_OUTPUT_NONE || r->gone) { /* something else answered meanwhile */
        cnc_request_enter(r);
        cnc_request_leave(r, CONCUR_OK);
    } else if (cnc_around_may_pass(r) && cnc_around_pass(r)) {
        dispatch_go_on(r, r->refused);
    }
}

int concur_request_pass(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (r->gone)
        return CONCUR_E_GONE;
    if (!(r->flags & CNC_REQ_HOOK_WAITS) || (r->flags & CNC_REQ_PASS_DUE) || r->output != CNC_OUTPUT_NONE)
        return CONCUR_E_STATE;
    r->flags |= CNC_REQ_PASS_DUE;
    r->pass_task.run = on_dispatch_pass;
    cnc_request_hold(r);
    cnc_home_defer(r->home, &r->pass_task);
    return CONCUR_OK;
}

CNC_HOT int cnc_request_begin(concur_server *server, struct cnc_home *home, const struct cnc_http_head *head,
                              const char *bytes, const struct cnc_carrier *from)
{
    concur_request *r = create(server, home, head, from);
    if (CNC_UNLIKELY(!r))
        return dispatch_no_memory(server);
    int status = !copy_head(r, head, bytes) ? dispatch_no_memory(server) : !decode_path(r, head) ? 400 : 0;
    if (CNC_UNLIKELY(status)) {
        dispatch_discard(r);
        return status;
    }
    *from->stream = &r->stream;
    struct cnc_slice method = { r->head + r->method_text.at, r->method_text.len };
    int found = cnc_router_find(&r->server->setup->router, r->method, method, r->path, 0, &r->match);
    bool is_found = CNC_LIKELY(found == CNC_ROUTE_FOUND);
    status = is_found ? start_deadline(r, from->head_at) : refusal(r, found);
    bool hooked = is_found ? r->match.route->hooked : r->server->setup->router.hooks != NULL;
    if (CNC_UNLIKELY(hooked))
        dispatch_hooked(r, status, is_found && status != 0);
    else
        dispatch_go_on(r, status);
    return 0;
}

/* ---- what the carrier reports ---- */

static concur_request *request_of(struct cnc_stream *stream)
{
    return CNC_CONTAINER(stream, concur_request, stream);
}

static int on_dispatch_stream_body(struct cnc_stream *stream, const char *p, size_t n)
{
    concur_request *r = request_of(stream);
    cnc_request_enter(r);
    int rc = cnc_body_piece(r, p, n);
    bool held = rc == CONCUR_AGAIN && !(r->flags & CNC_REQ_BODY_ENDED); /* from the end function AGAIN has no meaning */
    cnc_request_leave(r, held ? CONCUR_OK : rc);
    return held || rc <= 0 ? rc : CONCUR_OK;
}

static void on_dispatch_stream_body_end(struct cnc_stream *stream)
{
    concur_request *r = request_of(stream);
    r->flags |= CNC_REQ_BODY_DONE;
    if (r->gone || r->output >= CNC_OUTPUT_END)
        return;
    int rc = r->on_data ? CONCUR_OK : cnc_spool_end(r);
    if (rc == CONCUR_AGAIN)
        return; /* the handler runs when the file is written */
    if (rc == CONCUR_OK && !r->on_data) {
        cnc_request_run(r);
        return;
    }
    cnc_request_enter(r);
    cnc_request_leave(r, rc == CONCUR_OK ? cnc_body_end(r, CONCUR_OK) : rc);
}

static void on_dispatch_stream_drain(struct cnc_stream *stream)
{
    cnc_reply_drained(request_of(stream));
}

static void on_dispatch_stream_gone(struct cnc_stream *stream, int reason)
{
    cnc_request_give_up(request_of(stream), reason, false);
}

const struct cnc_stream_ops cnc_request_stream_ops = {
    .body = on_dispatch_stream_body,
    .body_end = on_dispatch_stream_body_end,
    .drain = on_dispatch_stream_drain,
    .gone = on_dispatch_stream_gone,
};
