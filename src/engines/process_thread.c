/* SPDX-License-Identifier: MIT
 *
 * The process-thread engine: a front process that accepts, and worker processes with a thread for each current request, as in
 * IIS.
 *
 *                                               +--- worker: threads: body, handler, reply
 *     clients --- front: accept, heads, queue ---- worker: the same
 *                   ^        idle connections   +--- ...              master: forks them, watches over them
 *                   +--- lent with a complete head, given back when idle ---+
 *
 * Handler runs in:   a thread of one of the workers, which may block; threads_max (10) of them in each.
 * Crash costs:       the worker and the requests on its threads: 502 if no byte of the reply was sent, else the connection is
 *                    cut off. A front that dies costs the connections that are idle or wait there.
 * What blocks what:  once all threads of all workers are taken, requests wait in the front, in order. None waits in a worker.
 * Overload:          over queue_max waiting requests, or after queue_timeout, 503 with Retry-After. A waiting request
 *                    whose client leaves is dropped, and its handler never runs.
 * Stop:              the front first: what it has queued still gets its thread; then the workers.
 */
#include "base/sys.h"
#include "engines/engine.h"
#include "request/request.h"
#include "serve/bodies.h"
#include "serve/lend/borrower.h"
#include "serve/lend/front.h"

static void process_thread_plan(const struct cnc_config *cfg, struct cnc_plan *out)
{
    unsigned front = cnc_plan_add(out, (struct cnc_group){ .role = CNC_ROLE_FRONT, .is_required = true, .accepts = true,
                                                           .count = 1, .most = 1 });
    (void)cnc_plan_add(out, (struct cnc_group){ .role = CNC_ROLE_WORKER, .is_required = true,
                                                .has_successors = true, .count = (unsigned)cfg->workers,
                                                .most = (unsigned)cfg->workers, .link = CNC_LINK_EACH,
                                                .links_to = front });
}

/* ---- the front ---- */

#define EVERY_MS 1000 /* between two log lines of the same kind */

struct front_role {
    struct cnc_serving serving;
    struct cnc_conn_ops ops;
    struct cnc_front front;
    int64_t refused_told_at, stuck_told_at;
    unsigned refused, stuck; /* how often that has happened since the last log line */
};

static struct front_role *front_role_of(struct cnc_front *front)
{
    return CNC_CONTAINER(front, struct front_role, front);
}

static void front_ready(struct cnc_front *front)
{
    cnc_serving_accept(&front_role_of(front)->serving);
}

static bool front_early(struct cnc_driver *drv, const struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes,
                        struct cnc_early_terms *terms)
{
    (void)conn;
    return cnc_bodies_want(drv->owner, head, bytes, CNC_LOAN_EARLY_MAX, terms);
}

static void front_drains(struct cnc_serving *s)
{
    cnc_front_drain(&CNC_CONTAINER(s, struct front_role, serving)->front);
}

static void front_gave_up(struct cnc_serving *s)
{
    cnc_front_give_up(&CNC_CONTAINER(s, struct front_role, serving)->front);
}

static unsigned listener_of(const struct cnc_front *front, const struct cnc_transport_factory *factory)
{
    const concur_server *server = CNC_CONTAINER(front, struct front_role, front)->serving.server;
    unsigned i = 0;
    while (i + 1 < server->socket_count && server->setup->factories[i] != factory)
        i++;
    return i;
}

static void show(struct cnc_front *front, unsigned slot, unsigned free)
{
    const struct cnc_place *place = &front_role_of(front)->serving.server->place;
    if (place->peer_row)
        atomic_store_explicit(&cnc_board_row(place->board, place->page, place->peer_slot + slot)->lendable, free,
                              memory_order_relaxed);
}

static bool front_role_is_due(int64_t *told_at, unsigned *count, int64_t now)
{
    ++*count;
    if (now - *told_at < EVERY_MS)
        return false;
    *told_at = now;
    return true;
}

static void front_role_tell_of_wait(struct front_role *e, int64_t waited_ms)
{
    const struct cnc_front *front = &e->front;
    struct cnc_log *log = &e->serving.server->log;
    unsigned free = cnc_book_free_total(&front->book);
    const char *why = free ? "workers with free threads take no requests"
                           : "all threads of all workers are taken (threads_max)";
    if (waited_ms)
        cnc_log(log, CONCUR_LOG_WARN, "%s: %u requests wait for one, the first for %lld ms", why, front->queue_len,
                (long long)waited_ms);
    else
        cnc_log(log, CONCUR_LOG_WARN, "%s: %u requests wait for one, and one was refused (queue_max)", why, front->queue_len);
}

/* A worker has closed its link. It gets no more loans, but can finish those that it has. If it does not end then, the
 * master kills it. */
static void tell_of_silence(struct front_role *e, unsigned slot)
{
    concur_server *server = e->serving.server;
    struct cnc_note note = { .what = CNC_NOTE_SILENT, .slot = slot, .value = cnc_front_pid(&e->front, slot) };
    if (!atomic_load(&server->draining))
        (void)cnc_note_send(server->place.link, &note, -1, false); /* if that fails, the master sees its end later */
}

static void front_role_tell(struct cnc_front *front, enum cnc_front_news news, unsigned slot, int64_t ms)
{
    struct front_role *e = front_role_of(front);
    struct cnc_log *log = &e->serving.server->log;
    int64_t now = cnc_home_now(e->serving.home);
    if (news == CNC_FRONT_REFUSED && front_role_is_due(&e->refused_told_at, &e->refused, now)) {
        cnc_log(log, CONCUR_LOG_WARN, "worker %u has no descriptor, memory or thread for a request, and gets none for a while; "
                "refused %u times", slot, e->refused);
        e->refused = 0;
    } else if (news == CNC_FRONT_STUCK && front_role_is_due(&e->stuck_told_at, &e->stuck, now)) {
        cnc_log(log, CONCUR_LOG_WARN, "worker %u does not read its link, and gets no requests until it does; seen %u times",
                slot, e->stuck);
        e->stuck = 0;
    } else if (news == CNC_FRONT_HELD) {
        front_role_tell_of_wait(e, ms);
    } else if (news == CNC_FRONT_UNLINKED) {
        tell_of_silence(e, slot);
    }
}

/* The descriptor of a worker's link has not arrived. The master has a copy, and sends it again. */
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
    else if (!cnc_front_attach(&e->front, note->slot, note->value, fd))
        tell_of_loss(server, note);
    if (note->what == CNC_NOTE_RETIRE)
        cnc_front_retire(&e->front, note->slot, note->value);
    if (note->what == CNC_NOTE_DEAD)
        cnc_front_bury(&e->front, note->slot, note->value);
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
    const struct cnc_config *cfg = &server->setup->cfg;
    struct cnc_place *place = &server->place;
    struct cnc_front_config front = {
        .workers_max = (unsigned)cfg->workers + 1,
        .workers = (unsigned)cfg->workers,
        .threads_max = (unsigned)cfg->threads_max,
        .queue_max = (unsigned)cfg->queue_max,
        .queue_timeout_ms = cfg->queue_timeout,
        .for_life = cfg->lend == CNC_LEND_CONNECTION,
        .listener_of = listener_of,
        .queued = place->row ? &place->row->queued : NULL,
        .connections = &server->connections,
        .ledger = &server->setup->ledger,
        .ready = front_ready,
        .show = show,
        .tell = front_role_tell,
    };
    if (!e)
        return CONCUR_E_NOMEM;
    server->engine = e;
    e->refused_told_at = e->stuck_told_at = INT64_MIN / 2;
    e->ops = cnc_request_conn_ops;
    e->ops.closed = cnc_serving_closed;
    e->ops.handover = cnc_front_handover;
    e->ops.early = front_early;
    int rc = cnc_serving_open(&e->serving, server, &e->ops, CNC_SERVING_BLOCKING_SOCKETS | CNC_SERVING_LATE | CNC_SERVING_LEASES);
    if (rc == CONCUR_OK)
        rc = cnc_front_open(&e->front, &e->serving.drv, &front);
    if (rc < 0) {
        front_close(server);
        return rc;
    }
    e->serving.stats = front_stats;
    e->serving.drains = front_drains;
    e->serving.gave_up = front_gave_up;
    e->serving.acceptor.cfg.ask_room = cnc_front_ask_room;
    e->serving.acceptor.cfg.ask_room_arg = &e->front;
    return CONCUR_OK;
}

static int front_run(concur_server *server, bool may_give_up)
{
    struct front_role *e = server->engine;
    cnc_front_begin(&e->front);
    return cnc_serving_run(&e->serving, may_give_up);
}

/* ---- a worker ---- */

static void process_thread_worker_stats(concur_server *server, struct cnc_engine_stats *out)
{
    cnc_borrower_stats(server->engine, out);
}

static void process_thread_worker_close(concur_server *server)
{
    cnc_borrower_close(server->engine);
    cnc_free(server->engine);
    server->engine = NULL;
}

static int process_thread_worker_open(concur_server *server)
{
    struct cnc_borrower *e = cnc_calloc(1, sizeof *e);
    int rc = e ? cnc_borrower_open(e, server) : CONCUR_E_NOMEM;
    if (rc < 0) {
        cnc_free(e);
        return rc;
    }
    server->engine = e;
    e->serving.stats = process_thread_worker_stats;
    return CONCUR_OK;
}

static int process_thread_worker_run(concur_server *server, bool may_give_up)
{
    return cnc_borrower_run(server->engine, may_give_up);
}

const struct cnc_engine_ops cnc_engine_process_thread = {
    .id = CONCUR_ENGINE_PROCESS_THREAD,
    .name = "process-thread",
    .blocking_sockets = true,
    .lends = true,
    .plan = process_thread_plan,
    .worker = {
        .name = "threads",
        .open = process_thread_worker_open,
        .run = process_thread_worker_run,
        .stats = process_thread_worker_stats,
        .close = process_thread_worker_close,
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
