/* SPDX-License-Identifier: MIT */
#include "children/collect.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEAD_MAX = 2048, FIELDS_MAX = 32, PIECE_MAX = 37 };

const char *collect_end_name(enum collect_end end)
{
    static const char *const names[] = { "open", "whole", "aborted", "left", "refused" };
    return names[end];
}

static void collect_later(struct collect *c, struct cnc_task *task, bool *due, void (*run)(struct cnc_task *))
{
    if (*due)
        return;
    *due = true;
    task->run = run;
    cnc_home_defer(c->home, task);
}

/* ---- its end ---- */

static void on_collect_over(struct cnc_task *task)
{
    struct collect *c = CNC_CONTAINER(task, struct collect, over_task);
    c->over(c);
}

/* What was deferred before runs before it, and nothing is deferred any more. */
static void collect_ended(struct collect *c, enum collect_end how)
{
    c->end = how;
    c->over_task.run = on_collect_over;
    cnc_home_defer(c->home, &c->over_task);
}

static void collect_let_go(struct collect *c, enum collect_end how)
{
    c->stream->carrier = NULL;
    c->stream = NULL;
    collect_ended(c, how);
}

static void collect_lose(struct collect *c)
{
    struct cnc_stream *stream = c->stream;
    if (!stream)
        return;
    collect_let_go(c, COLLECT_LEFT);
    stream->up->gone(stream, CONCUR_E_GONE);
}

static void on_collect_leave(struct cnc_task *task)
{
    struct collect *c = CNC_CONTAINER(task, struct collect, leave);
    c->leave_due = false;
    collect_lose(c);
}

void collect_leave(struct collect *c)
{
    if (c->end == COLLECT_OPEN)
        collect_later(c, &c->leave, &c->leave_due, on_collect_leave);
}

/* ---- the reply ---- */

/* False: it leaves here. */
static bool collect_take(struct collect *c, struct collect_text *to, const char *p, size_t n)
{
    size_t room = c->leave_at - c->taken, some = n < room ? n : room;
    if (to->n + some + 1 > to->cap) {
        to->cap = 2 * (to->n + some + 1);
        to->p = realloc(to->p, to->cap);
        if (!to->p)
            abort();
    }
    if (some)
        memcpy(to->p + to->n, p, some);
    to->n += some;
    to->p[to->n] = '\0';
    c->taken += some;
    c->waiting += some;
    return c->taken < c->leave_at;
}

/* A thread that writes learns in its call that nobody is there any more, others learn it later. */
static int collect_after(struct collect *c, bool stays, bool last)
{
    if (!stays && c->home->blocking) {
        collect_lose(c);
        return CONCUR_E_GONE;
    }
    if (last) {
        collect_let_go(c, stays ? COLLECT_WHOLE : COLLECT_LEFT);
        return CONCUR_OK;
    }
    if (!stays)
        collect_leave(c);
    if (stays && c->waiting <= c->high)
        return CONCUR_OK;
    c->again++;
    return CONCUR_AGAIN;
}

static bool collect_take_fields(struct collect *c, const struct cnc_http_pairs *fields)
{
    bool stays = true;
    for (uint32_t i = 0; stays && i < fields->n; i++)
        stays = collect_take(c, &c->fields, fields->p[i].name.p, fields->p[i].name.n) && collect_take(c, &c->fields, ": ", 2) &&
                collect_take(c, &c->fields, fields->p[i].value.p, fields->p[i].value.n) && collect_take(c, &c->fields, "\r\n", 2);
    return stays;
}

static int collect_reply(struct cnc_stream *stream, struct cnc_http_reply *r, struct cnc_piece *piece, bool last)
{
    struct collect *c = stream->carrier;
    cnc_http_reply_frame(r);
    c->status = r->status;
    c->replies++;
    c->no_body = r->framing == CNC_HTTP_FRAME_NONE;
    bool stays = collect_take(c, &c->type, r->type.p, r->type.n);
    stays = stays && collect_take_fields(c, &r->fields);
    if (stays && !c->no_body)
        stays = collect_take(c, &c->body, piece->p, piece->n);
    cnc_piece_drop(piece);
    return collect_after(c, stays, last);
}

static int collect_data(struct cnc_stream *stream, struct cnc_piece *piece, bool last)
{
    struct collect *c = stream->carrier;
    bool stays = c->taken < c->leave_at && (c->no_body || collect_take(c, &c->body, piece->p, piece->n));
    c->pieces++;
    cnc_piece_drop(piece);
    return collect_after(c, stays, last);
}

static int collect_interim(struct cnc_stream *stream, const struct cnc_http_reply *r)
{
    struct collect *c = stream->carrier;
    c->interims += r->status == 103 && r->fields.n == 1;
    return CONCUR_OK;
}

static char *collect_room(struct cnc_stream *stream, size_t *n)
{
    struct collect *c = stream->carrier;
    *n = sizeof c->made;
    return c->made;
}

static void collect_abort(struct cnc_stream *stream)
{
    collect_let_go(stream->carrier, COLLECT_ABORTED);
}

static bool collect_is_full(struct cnc_stream *stream)
{
    const struct collect *c = stream->carrier;
    return c->waiting > c->high;
}

static bool collect_is_over(struct cnc_stream *stream, size_t n)
{
    (void)stream, (void)n;
    return false;
}

static void on_collect_drain(struct cnc_task *task)
{
    struct collect *c = CNC_CONTAINER(task, struct collect, drain);
    c->drain_due = false;
    c->waiting = 0;
    c->drains++;
    if (c->stream)
        c->stream->up->drain(c->stream);
}

static void collect_want_drain(struct cnc_stream *stream, bool whole)
{
    struct collect *c = stream->carrier;
    (void)whole;
    collect_later(c, &c->drain, &c->drain_due, on_collect_drain);
}

static int collect_check(struct cnc_stream *stream)
{
    (void)stream;
    return 0;
}

/* ---- the body ---- */

static void collect_next_piece(struct collect *c)
{
    size_t left = c->input_n - c->input_at, most = left < PIECE_MAX ? left : PIECE_MAX;
    c->seed ^= c->seed << 13;
    c->seed ^= c->seed >> 7;
    c->seed ^= c->seed << 17;
    c->held_n = 1 + (size_t)(c->seed >> 33) % most;
    c->held = malloc(c->held_n); /* of its own, so that a look beyond it is seen */
    if (!c->held)
        abort();
    memcpy(c->held, c->input + c->input_at, c->held_n);
    c->input_at += c->held_n;
}

static void on_collect_give(struct cnc_task *task);

static void collect_give_later(struct collect *c)
{
    collect_later(c, &c->give, &c->give_due, on_collect_give);
}

static void on_collect_give(struct cnc_task *task)
{
    struct collect *c = CNC_CONTAINER(task, struct collect, give);
    c->give_due = false;
    if (!c->stream || !c->wanted || c->paused || c->told)
        return;
    if (!c->held && c->input_at == c->input_n) {
        c->told = true;
        c->stream->up->body_end(c->stream);
        return;
    }
    if (!c->held)
        collect_next_piece(c);
    c->paused = true; /* before the call, which may already take it back */
    int rc = c->stream->up->body(c->stream, c->held, c->held_n);
    if (rc == CONCUR_AGAIN)
        return;
    free(c->held);
    c->held = NULL;
    c->paused = false;
    c->wanted = rc == CONCUR_OK;
    if (c->stream)
        collect_give_later(c);
}

static void collect_want_body(struct cnc_stream *stream, bool hold)
{
    struct collect *c = stream->carrier;
    (void)hold;
    c->wanted = true;
    collect_give_later(c);
}

static void collect_resume_body(struct cnc_stream *stream)
{
    struct collect *c = stream->carrier;
    c->resumes++;
    c->paused = false;
    collect_give_later(c);
}

/* ---- the rest ---- */

static void collect_move(struct cnc_stream *stream, struct cnc_stream *to)
{
    struct collect *c = stream->carrier;
    to->down = stream->down;
    to->carrier = c;
    c->stream = to;
    stream->carrier = NULL;
}

static size_t collect_peer(struct cnc_stream *stream, char *out, size_t n)
{
    (void)stream;
    return (size_t)snprintf(out, n, "collected");
}

static const struct cnc_carrier_ops collect_ops = {
    .reply = collect_reply,
    .data = collect_data,
    .interim = collect_interim,
    .room = collect_room,
    .abort = collect_abort,
    .want_body = collect_want_body,
    .resume_body = collect_resume_body,
    .is_full = collect_is_full,
    .is_over = collect_is_over,
    .want_drain = collect_want_drain,
    .check = collect_check,
    .move = collect_move,
    .peer = collect_peer,
};

void collect_begin(struct collect *c, concur_server *server, const char *method, const char *target, const char *fields)
{
    char bytes[HEAD_MAX], length[48] = "";
    struct cnc_http_field room[FIELDS_MAX];
    struct cnc_http_head head;
    struct cnc_http_limits limits = server->setup->limits.http;
    struct cnc_carrier from = { .ops = &collect_ops, .self = c, .stream = &c->stream };
    if (c->input_n)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", c->input_n);
    int n = snprintf(bytes, sizeof bytes, "%s %s HTTP/1.1\r\nHost: inside\r\n%s%s\r\n", method, target, length, fields);
    limits.fields_max = FIELDS_MAX;
    cnc_http_head_init(&head, room);
    int rc = cnc_http_head_parse(&head, &limits, bytes, (size_t)n);
    rc = rc != CNC_HTTP_HEAD_DONE ? rc : cnc_request_begin(server, c->home, &head, bytes, &from);
    if (rc) {
        c->status = rc;
        collect_ended(c, COLLECT_REFUSED);
    } else if (c->leave_at == 0) {
        collect_leave(c);
    }
}

void collect_deinit(struct collect *c)
{
    free(c->type.p);
    free(c->fields.p);
    free(c->body.p);
    free(c->held);
}
