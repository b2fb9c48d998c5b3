/* SPDX-License-Identifier: MIT
 *
 * The process-thread engine: a front process linked to worker processes; each worker is multithreaded, one thread a request
 * (IIS and the ASP.NET worker process).
 *
 *                                               +--- worker: threads: body, handler, reply
 *     clients --- front: accept, heads, queue ---- worker: the same
 *                   ^        idle connections   +--- ...              master: forks them, watches over them
 *                   +--- lent with a complete head, given back when idle ---+
 *
 * Handler runs in:   a thread of one of the workers, which may block; threads_max (10) of them in each.
 * Crash costs:       the worker and what its threads had in flight: 502 where no byte of the reply was out, else the
 *                    connection is cut off. A front that dies costs the connections that idle or wait there.
 * What blocks what:  once all threads of all workers are taken, requests wait in the front, in order. None waits in a worker.
 * Overload:          over queue_max waiting requests, or after queue_timeout, 503 with Retry-After. Who leaves while it waits
 *                    is dropped, and its handler never runs.
 * Stop:              the front first: what it has queued still gets its thread; then the workers.
 */
#include "base/sys.h"
#include "conn/front.h"
#include "core/borrower.h"
#include "engines/engine.h"

static void plan(const struct cnc_config *cfg, struct cnc_plan *out)
{
    unsigned front = cnc_plan_add(out, (struct cnc_group){ .role = CNC_ROLE_FRONT, .is_required = true,
                                                           .count = 1, .most = 1 });
    (void)cnc_plan_add(out, (struct cnc_group){ .role = CNC_ROLE_WORKER, .is_required = true,
                                                .has_successors = true, .count = (unsigned)cfg->workers,
                                                .most = (unsigned)cfg->workers, .link = CNC_LINK_EACH,
                                                .links_to = front });
}

/* ---- the front ---- */

struct front_role {
    struct cnc_serving serving;
    struct cnc_conn_ops ops;
    struct cnc_front front;
};

static void front_ready(struct cnc_front *front)
{
    cnc_serving_accept(&CNC_CONTAINER(front, struct front_role, front)->serving);
}

static void front_gave_up(struct cnc_serving *s)
{
    cnc_front_give_up(&CNC_CONTAINER(s, struct front_role, serving)->front);
}

/* The master has a copy, and sends it again. */
static void tell_of_loss(concur_server *server, const struct cnc_note *link)
{
    struct cnc_note note = { .what = CNC_NOTE_UNLINKED, .slot = link->slot, .value = link->value };
    cnc_log(&server->log, CONCUR_LOG_WARN, "no room for the link to a worker; it serves nobody until there is");
    (void)cnc_note_send(server->place.link, &note, -1, true);
}

static void front_told(concur_server *server, const struct cnc_note *note, int fd)
{
    struct front_role *e = server->engine;
    if (note->what != CNC_NOTE_LINK)
        cnc_sys_close(&fd);
    else if (!cnc_front_attach(&e->front, note->slot, fd))
        tell_of_loss(server, note);
    if (note->what == CNC_NOTE_RETIRE)
        cnc_front_retire(&e->front, note->slot);
    if (note->what == CNC_NOTE_DEAD)
        cnc_front_bury(&e->front, note->slot);
}

static void front_stats(concur_server *server, struct cnc_engine_stats *out)
{
    struct front_role *e = server->engine;
    *out = (struct cnc_engine_stats){ .threads = 1, .queued = e->front.queue_len,
                                      .accepted = atomic_load(&e->serving.acceptor.accepted),
                                      .stalls = atomic_load(&e->serving.stalls) };
}

static void front_close(concur_server *server)
{
    struct front_role *e = server->engine;
    cnc_front_close(&e->front);
    cnc_serving_close(&e->serving);
    cnc_free(e);
    server->engine = NULL;
}

static int front_open(concur_server *server)
{
    struct front_role *e = cnc_calloc(1, sizeof *e);
    struct cnc_place *place = &server->place;
    struct cnc_front_config cfg = {
        .workers_max = (unsigned)server->setup->cfg.workers + 1,
        .queue_max = (unsigned)server->setup->cfg.queue_max,
        .queue_timeout_ms = server->setup->cfg.queue_timeout,
        .for_life = server->setup->cfg.lend == CNC_LEND_CONNECTION,
        .queued = place->row ? &place->row->queued : NULL,
        .ledger = server->setup->ledger,
        .ready = front_ready,
    };
    if (!e)
        return CONCUR_E_NOMEM;
    server->engine = e;
    e->ops = cnc_request_conn_ops;
    e->ops.closed = cnc_serving_closed;
    e->ops.handover = cnc_front_handover;
    int rc = cnc_serving_open(&e->serving, server, &e->ops, CNC_SERVING_BLOCKING_SOCKETS | CNC_SERVING_LATE);
    if (rc == CONCUR_OK)
        rc = cnc_front_open(&e->front, &e->serving.drv, &cfg);
    if (rc < 0) {
        front_close(server);
        return rc;
    }
    e->serving.stats = front_stats;
    e->serving.gave_up = front_gave_up;
    return CONCUR_OK;
}

static int front_run(concur_server *server, bool may_give_up)
{
    struct front_role *e = server->engine;
    return cnc_serving_run(&e->serving, may_give_up);
}

/* ---- a worker ---- */

static void worker_stats(concur_server *server, struct cnc_engine_stats *out)
{
    cnc_borrower_stats(server->engine, out);
}

static void worker_close(concur_server *server)
{
    cnc_borrower_close(server->engine);
    cnc_free(server->engine);
    server->engine = NULL;
}

static int worker_open(concur_server *server)
{
    struct cnc_borrower *e = cnc_calloc(1, sizeof *e);
    int rc = e ? cnc_borrower_open(e, server) : CONCUR_E_NOMEM;
    if (rc < 0) {
        cnc_free(e);
        return rc;
    }
    server->engine = e;
    e->serving.stats = worker_stats;
    return CONCUR_OK;
}

static int worker_run(concur_server *server, bool may_give_up)
{
    return cnc_borrower_run(server->engine, may_give_up);
}

const struct cnc_engine_ops cnc_engine_process_thread = {
    .id = CONCUR_ENGINE_PROCESS_THREAD,
    .name = "process-thread",
    .blocking_sockets = true,
    .lends = true,
    .plan = plan,
    .worker = {
        .name = "threads",
        .open = worker_open,
        .run = worker_run,
        .stats = worker_stats,
        .close = worker_close,
    },
    .front = {
        .name = "front",
        .open = front_open,
        .run = front_run,
        .stats = front_stats,
        .close = front_close,
        .told = front_told,
    },
};
