/* SPDX-License-Identifier: MIT
 *
 * The request's state table, and what happens before and after each callback. Not part of the state but beside it: whether and
 * why the request was given up (gone), how far its reply is (output), and its references (refs).
 */
#include <stdarg.h>
#include <stdio.h>

#include "request/request.h"

#include "proc/child.h"

enum request_event {
    ON_QUEUE,     /* handed to the pool */
    ON_HANDLER,   /* a route's handler, or a hook before it, is called */
    ON_CALLBACK,  /* another callback is called */
    ON_BACK_NONE, /* it returned; no reply has begun */
    ON_BACK_BODY, /* it returned; the reply goes on */
    ON_BACK_DONE, /* it returned; the reply is complete, or was given up */
    EVENTS
};

#define TO(state) (1 + CNC_REQUEST_##state) /* plus 1, since 0 in the table means that the pair is a bug */

static const uint8_t machine_table[CNC_REQUEST_STATES][EVENTS] = {
    [CNC_REQUEST_ROUTED] = {
        [ON_QUEUE] = TO(QUEUED),
        [ON_HANDLER] = TO(RUNNING),
        [ON_CALLBACK] = TO(ROUTED), /* a piece of a body that is wanted whole, or given up before the handler ran */
        [ON_BACK_NONE] = TO(ROUTED),
        [ON_BACK_DONE] = TO(DONE),
    },
    [CNC_REQUEST_QUEUED] = {
        [ON_HANDLER] = TO(RUNNING),
        [ON_CALLBACK] = TO(QUEUED),
        [ON_BACK_DONE] = TO(DONE),
    },
    [CNC_REQUEST_RUNNING] = {
        [ON_HANDLER] = TO(RUNNING), /* the handler before declined, or the hook before let the request pass */
        [ON_QUEUE] = TO(QUEUED),    /* the same, and the route is blocking */
        [ON_BACK_NONE] = TO(WAITING),
        [ON_BACK_BODY] = TO(REPLYING),
        [ON_BACK_DONE] = TO(DONE),
    },
    [CNC_REQUEST_WAITING] = {
        [ON_QUEUE] = TO(QUEUED), /* as for the next event, and the route is blocking */
        [ON_HANDLER] = TO(RUNNING), /* the route needed the body first, after a hook or a handler that declined; or a hook had
                                     * returned CONCUR_AGAIN and has decided */
        [ON_CALLBACK] = TO(CALLBACK),
    },
    [CNC_REQUEST_CALLBACK] = {
        [ON_BACK_NONE] = TO(WAITING),
        [ON_BACK_BODY] = TO(REPLYING),
        [ON_BACK_DONE] = TO(DONE),
    },
    [CNC_REQUEST_REPLYING] = {
        [ON_CALLBACK] = TO(CALLBACK),
    },
    [CNC_REQUEST_DONE] = {
        [ON_CALLBACK] = TO(DONE),
        [ON_BACK_DONE] = TO(DONE),
    },
};

static void machine_step(concur_request *r, enum request_event ev)
{
    uint8_t to = machine_table[r->state][ev];
    CNC_ASSERT(to != 0);
    if (CNC_LIKELY(to != 0))
        r->state = (uint8_t)(to - 1);
}

const char *cnc_request_state_name(int state)
{
    static const char *const names[CNC_REQUEST_STATES] = {
        [CNC_REQUEST_ROUTED] = "routed",     [CNC_REQUEST_QUEUED] = "queued",     [CNC_REQUEST_RUNNING] = "running",
        [CNC_REQUEST_WAITING] = "waiting",   [CNC_REQUEST_CALLBACK] = "callback", [CNC_REQUEST_REPLYING] = "replying",
        [CNC_REQUEST_DONE] = "done",
    };
    return state >= 0 && state < CNC_REQUEST_STATES ? names[state] : "?";
}

const char *cnc_request_route_name(const concur_request *r)
{
    return r->match.route ? r->match.route->pattern : "(no route)";
}

int cnc_request_status_of(int rc)
{
    switch (rc) {
    case CONCUR_E_GONE:
        return 0;
    case CONCUR_E_FULL:
    case CONCUR_E_STOPPING:
    case CONCUR_E_CANCELLED: /* a stop dropped the work. If the client left instead, nobody sees the status */
        return 503;
    case CONCUR_E_TIMEOUT:
        return 504;
    case CONCUR_E_UPSTREAM:
        return 502;
    case CONCUR_E_LIMIT:
        return 413;
    default:
        return 500;
    }
}

void cnc_request_queue(concur_request *r)
{
    machine_step(r, ON_QUEUE);
    r->flags &= ~(uint32_t)CNC_REQ_ON_STACK;
}

CNC_HOT void cnc_request_enter_handler(concur_request *r)
{
    machine_step(r, ON_HANDLER);
    r->flags |= CNC_REQ_ON_STACK;
}

void cnc_request_enter(concur_request *r)
{
    CNC_ASSERT(!(r->flags & CNC_REQ_ON_STACK)); /* two callbacks never nest */
    machine_step(r, ON_CALLBACK);
    r->flags |= CNC_REQ_ON_STACK;
    cnc_desk_note_call(r->home, r->match.route);
}

void cnc_request_failed(concur_request *r, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    cnc_failure(r->server, "request %016llx: route \"%.200s\" %s%s%s", (unsigned long long)r->id,
                cnc_request_route_name(r), text, r->why ? ": " : "", r->why ? r->why : "");
}

void cnc_request_nonsense(concur_request *r, int rc)
{
    bool none = r->output == CNC_OUTPUT_NONE && !r->gone;
    cnc_request_failed(r, "returned %d, which means nothing here%s", rc, none ? ": 500" : "");
    if (none)
        cnc_reply_page(r, 500);
    else
        cnc_reply_abort(r, CONCUR_E_CANCELLED);
}

/* A callback returned a code or a status. Each 500 and each reply that is cut off is logged, since the client cannot tell what
 * went wrong. */
static void apply_known(concur_request *r, int rc)
{
    int status = rc < 0 ? cnc_request_status_of(rc) : rc;
    const char *name = rc < 0 ? concur_strerror(rc) : "a status";
    bool none = r->output == CNC_OUTPUT_NONE && rc != CONCUR_E_GONE;
    if (none && status == 500)
        cnc_request_failed(r, "returned %d (%s): 500", rc, name);
    else if (!none && rc != CONCUR_E_GONE && rc != CONCUR_E_NOMEM) /* cnc_request_give_up() logs CONCUR_E_NOMEM */
        cnc_request_failed(r, "returned %d (%s): its reply is aborted", rc, name);
    if (none)
        cnc_reply_page(r, status);
    else
        cnc_reply_abort(r, rc < 0 ? rc : CONCUR_E_CANCELLED);
}

/* A callback returned something other than CONCUR_OK. */
static void apply_code(concur_request *r, int rc)
{
    if (rc > 0 && (rc < 200 || rc > 599))
        cnc_request_nonsense(r, rc);
    else if (!r->gone && r->output < CNC_OUTPUT_END)
        apply_known(r, rc);
}

static bool is_pending(const concur_request *r)
{
    return r->refs || cnc_body_is_pending(r) || cnc_reply_is_pending(r);
}

/* The reply is not complete, and nothing is pending that could complete it. That is a bug of the program. The client must not
 * wait forever, so it gets 500, or its reply is cut off. */
static void answer_silence(concur_request *r)
{
    bool begun = r->output != CNC_OUTPUT_NONE;
    cnc_request_failed(r, "left %s and nothing pending: %s", begun ? "an unfinished reply" : "no reply",
                       begun ? "cut off" : "500");
    if (r->output == CNC_OUTPUT_NONE)
        cnc_reply_page(r, 500);
    else
        cnc_reply_abort(r, CONCUR_E_CANCELLED);
}

static void run_ends(concur_request *r)
{
    r->flags |= CNC_REQ_ENDING;
    while (r->ends) {
        struct cnc_hook *hook = r->ends;
        r->ends = hook->next;
        (void)hook->fn(r, r->output == CNC_OUTPUT_END ? CONCUR_OK : r->gone ? r->gone : CONCUR_E_GONE, hook->arg);
    }
}

static void machine_end(concur_request *r)
{
    struct cnc_home *home = r->home;
    if (r->ends)
        run_ends(r);
    if (CNC_UNLIKELY(r->data != NULL))
        cnc_request_free_data(r);
    if (cnc_timer_is_set(&r->deadline))
        cnc_home_timer_cancel(home, &r->deadline);
    cnc_link_remove(&r->link);
    cnc_desk_of(home)->live--;
    if (CNC_UNLIKELY(r->flags & CNC_REQ_HAS_BODY))
        cnc_body_deinit(r);
    cnc_arena_deinit(&r->arena);
    cnc_desk_block_put(home, r);
}

CNC_HOT void cnc_request_leave(concur_request *r, int rc)
{
    if (cnc_server_is_stray(r->server))
        cnc_child_stray();
    if (CNC_UNLIKELY(rc != CONCUR_OK))
        apply_code(r, rc);
    if (CNC_UNLIKELY(r->output == CNC_OUTPUT_BODY))
        cnc_reply_body_read(r);
    if (CNC_UNLIKELY(r->output < CNC_OUTPUT_END && !r->gone && r->state != CNC_REQUEST_ROUTED && !is_pending(r)))
        answer_silence(r);
    if (CNC_UNLIKELY(r->on_data != NULL) && r->output >= CNC_OUTPUT_END)
        (void)cnc_body_end(r, r->flags & CNC_REQ_BODY_DONE ? CONCUR_OK : r->gone ? r->gone : CONCUR_E_CANCELLED);
    r->flags &= ~(uint32_t)CNC_REQ_ON_STACK;
    if (CNC_LIKELY(r->output >= CNC_OUTPUT_END)) {
        machine_step(r, ON_BACK_DONE);
        if (CNC_LIKELY(r->refs == 0 && !cnc_body_is_pending(r)))
            machine_end(r);
        return;
    }
    machine_step(r, r->output == CNC_OUTPUT_BODY ? ON_BACK_BODY : ON_BACK_NONE);
}

static void run_cancels(concur_request *r)
{
    while (r->cancels) {
        struct cnc_hook *hook = r->cancels;
        r->cancels = hook->next;
        (void)hook->fn(r, r->gone, hook->arg);
    }
}

static void on_machine_gone(struct cnc_task *task)
{
    concur_request *r = CNC_CONTAINER(task, concur_request, gone_task);
    r->flags &= ~(uint32_t)CNC_REQ_GONE_DUE;
    cnc_request_enter(r);
    if (r->output != CNC_OUTPUT_END || (r->flags & CNC_REQ_PUSHING)) /* PUSHING: the program has not ended the reply yet */
        run_cancels(r);
    cnc_body_give_up(r);
    cnc_async_cut(r);
    if (r->output < CNC_OUTPUT_END) {
        int status = cnc_request_status_of(r->gone);
        if (!r->stream.carrier)
            r->output = CNC_OUTPUT_ABORT;
        else if ((r->flags & CNC_REQ_ANSWER) && r->output == CNC_OUTPUT_NONE && status)
            cnc_reply_page(r, status);
        else
            cnc_reply_abort(r, r->gone);
    }
    cnc_request_release(r);
    cnc_request_leave(r, CONCUR_OK);
}

void cnc_request_give_up(concur_request *r, int reason, bool answer)
{
    if (r->gone)
        return;
    r->gone = reason;
    if (reason == CONCUR_E_NOMEM)
        cnc_request_failed(r, "is cut off: out of memory");
    if (answer)
        r->flags |= CNC_REQ_ANSWER;
    cnc_async_warn_tickets(r);
    r->flags |= CNC_REQ_GONE_DUE;
    r->gone_task.run = on_machine_gone;
    cnc_request_hold(r);
    cnc_home_defer(r->home, &r->gone_task);
}

static void on_machine_deadline(struct cnc_timer *t)
{
    concur_request *r = CNC_CONTAINER(t, concur_request, deadline);
    if (r->output >= CNC_OUTPUT_END)
        return; /* the reply was complete in time */
    cnc_request_give_up(r, CONCUR_E_TIMEOUT, true);
}

void cnc_request_set_deadline(concur_request *r, int64_t ms)
{
    if (ms <= 0) {
        r->deadline_at = INT64_MAX;
        cnc_home_timer_cancel(r->home, &r->deadline);
        return;
    }
    r->deadline_at = cnc_clock_now(r->home->clock) + ms;
    r->deadline.fn = on_machine_deadline;
    cnc_home_timer(r->home, &r->deadline, r->deadline_at);
}

void cnc_request_give_up_all(struct cnc_home *home, int reason)
{
    for (struct cnc_link *l = cnc_desk_of(home)->requests.next; l != &cnc_desk_of(home)->requests; l = l->next)
        cnc_request_give_up(CNC_CONTAINER(l, concur_request, link), reason, true);
}

void cnc_request_lose_loop(struct cnc_home *home)
{
    cnc_request_give_up_all(home, CONCUR_E_FULL);
    while (home->local.head)
        cnc_home_settle(home);
    cnc_home_drop_loop(home);
}
