/* SPDX-License-Identifier: MIT
 *
 * Three events in the life of a request, which the program can ask for or register functions for: the request was given up, it
 * ends, a stop has begun. Also its deadline.
 */
#include "proc/board.h"
#include "request/request.h"
#include "server/place.h"

static int may_register(const concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (r->flags & CNC_REQ_ENDING)
        return CONCUR_E_STATE;
    return r->gone ? CONCUR_E_GONE : CONCUR_OK;
}

static int add_hook(concur_request *r, struct cnc_hook **list, struct cnc_hook hook)
{
    struct cnc_hook *kept = cnc_arena_alloc(&r->arena, sizeof *kept);
    if (!kept)
        return CONCUR_E_NOMEM;
    hook.next = *list;
    *kept = hook;
    *list = kept;
    return CONCUR_OK;
}

/* ---- given up, and the end ---- */

int concur_request_on_cancel(concur_request *r, concur_done_fn cancel, void *arg)
{
    int rc = may_register(r);
    if (rc < 0)
        return rc;
    return cancel ? add_hook(r, &r->cancels, (struct cnc_hook){ .fn = cancel, .arg = arg }) : CONCUR_E_INVAL;
}

int concur_request_on_end(concur_request *r, concur_done_fn end, void *arg)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (!end)
        return CONCUR_E_INVAL;
    if (r->flags & CNC_REQ_ENDING)
        return CONCUR_E_STATE;
    return add_hook(r, &r->ends, (struct cnc_hook){ .fn = end, .arg = arg });
}

int concur_request_deadline(concur_request *r, unsigned ms)
{
    int rc = may_register(r);
    if (rc < 0)
        return rc;
    cnc_request_set_deadline(r, ms);
    return CONCUR_OK;
}

/* If this thread is the one that reads the master's messages, a handler that runs long keeps it from reading that a stop has
 * begun. So this reads them now, if there are any. */
static void listen_to_master(const concur_request *r)
{
    struct cnc_place *place = &r->server->place;
    if (place->master_reader == r->home && cnc_board_was_poked(place->board, place->page, place->slot))
        cnc_place_hear(r->server);
}

int concur_request_gone(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (r->gone || r->output >= CNC_OUTPUT_END)
        return r->gone;
    listen_to_master(r);
    if (cnc_server_is_late(r->server)) /* a loop cannot give the request up while this handler runs on it, so look here */
        cnc_request_give_up(r, CONCUR_E_STOPPING, true);
    else if (!r->home->blocking)
        return CONCUR_OK;
    else if (cnc_home_now(r->home) >= r->deadline_at)
        cnc_request_give_up(r, CONCUR_E_TIMEOUT, true);
    else if (!r->stream.carrier || r->stream.down->check(&r->stream))
        cnc_request_give_up(r, CONCUR_E_GONE, false);
    return r->gone;
}

/* ---- the beginning of a stop ---- */

int concur_request_stopping(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (!cnc_server_is_stopping(r->server))
        listen_to_master(r);
    return cnc_server_is_stopping(r->server) ? CONCUR_E_STOPPING : CONCUR_OK;
}

static void tell_later(concur_request *r);

/* Runs one function and queues the task again for the next one, since any of them may end the request. */
static void on_notices_stop_task(struct cnc_task *task)
{
    concur_request *r = CNC_CONTAINER(task, concur_request, stop_task);
    struct cnc_hook *hook = r->stops;
    r->flags &= ~(uint32_t)CNC_REQ_STOP_DUE;
    cnc_request_enter(r);
    cnc_request_release(r);
    int rc = CONCUR_OK;
    if (hook && !r->gone) {
        r->stops = hook->next;
        tell_later(r);
        rc = hook->stop(r, hook->arg);
    }
    cnc_request_leave(r, rc);
}

static void tell_later(concur_request *r)
{
    if (!r->stops || r->gone || (r->flags & CNC_REQ_STOP_DUE))
        return;
    r->flags |= CNC_REQ_STOP_DUE;
    r->stop_task.run = on_notices_stop_task;
    cnc_request_hold(r);
    cnc_home_defer(r->home, &r->stop_task);
}

int concur_request_on_stop(concur_request *r, concur_handler_fn stop, void *arg)
{
    int rc = may_register(r);
    if (rc < 0)
        return rc;
    rc = stop ? add_hook(r, &r->stops, (struct cnc_hook){ .stop = stop, .arg = arg }) : CONCUR_E_INVAL;
    if (rc == CONCUR_OK && cnc_server_is_stopping(r->server))
        tell_later(r);
    return rc;
}

void cnc_request_tell_stop(concur_request *r)
{
    if (cnc_server_is_stopping(r->server))
        tell_later(r);
}

void cnc_request_tell_stop_all(struct cnc_home *home, int unused)
{
    (void)unused;
    for (struct cnc_link *l = cnc_desk_of(home)->requests.next; l != &cnc_desk_of(home)->requests; l = l->next)
        tell_later(CNC_CONTAINER(l, concur_request, link));
}
