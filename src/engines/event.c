/* SPDX-License-Identifier: MIT
 *
 * The event engine: one process, one loop, nothing may block.
 *
 *     clients --- accept --- loop: read, parse, handler, write ---+
 *                             ^                                   |
 *                             +--- timers, tickets, other peers --+
 *
 * Handler runs in:   the loop's thread, one at a time.
 * Crash costs:       the process.
 * What blocks what:  a handler that blocks stands in everybody's way; the stall warning says so. With pool_threads, blocking
 *                    routes and offloads run on the pool instead.
 * Overload:          connections wait in the kernel's queue; over connections_max idle ones go, then accepting pauses.
 * Stop:              accepting ends, requests under way finish, idle connections go after drain_idle; at the deadline the
 *                    rest is given up.
 */
#include "base/sys.h"
#include "core/serving.h"
#include "engines/engine.h"

struct event_engine {
    struct cnc_serving serving;
    struct cnc_conn_ops conn_ops;
};

static void closed(struct cnc_driver *drv)
{
    struct event_engine *e = ((concur_server *)drv->owner)->engine;
    cnc_serving_closed(drv);
    cnc_acceptor_nudge(&e->serving.acceptor);
}

static int event_check(concur_server *server)
{
    (void)server;
    return CONCUR_OK;
}

static void event_close(concur_server *server)
{
    struct event_engine *e = server->engine;
    cnc_serving_close(&e->serving);
    cnc_serving_close_listeners(server);
    cnc_free(e);
    server->engine = NULL;
}

static int event_open(concur_server *server)
{
    struct event_engine *e = cnc_calloc(1, sizeof *e);
    if (!e)
        return CONCUR_E_NOMEM;
    server->engine = e;
    e->conn_ops = cnc_request_conn_ops;
    e->conn_ops.closed = closed;
    int rc = cnc_serving_listen(server, 0);
    if (rc == CONCUR_OK)
        rc = cnc_serving_open(&e->serving, server, &e->conn_ops, false);
    if (rc < 0)
        event_close(server);
    return rc;
}

static int event_run(concur_server *server, bool may_give_up)
{
    struct event_engine *e = server->engine;
    return cnc_serving_run(&e->serving, may_give_up);
}

static void event_stats(concur_server *server, struct cnc_engine_stats *out)
{
    struct event_engine *e = server->engine;
    struct cnc_pool_stats pool = { 0 };
    if (server->pool)
        cnc_pool_stats(server->pool, &pool);
    *out = (struct cnc_engine_stats){ .threads = 1 + pool.threads, .threads_idle = pool.idle, .queued = pool.queued,
                                      .requests = atomic_load(&e->serving.home->served),
                                      .accepted = atomic_load(&e->serving.acceptor.accepted),
                                      .stalls = atomic_load(&e->serving.stalls) };
}

const struct cnc_engine_ops cnc_engine_event = {
    .id = CONCUR_ENGINE_EVENT,
    .name = "event",
    .check = event_check,
    .open = event_open,
    .run = event_run,
    .stats = event_stats,
    .close = event_close,
};

/* The same composition; its default of pool_threads makes it another model (options.def). */
const struct cnc_engine_ops cnc_engine_event_pool = {
    .id = CONCUR_ENGINE_EVENT_POOL,
    .name = "event-pool",
    .check = event_check,
    .open = event_open,
    .run = event_run,
    .stats = event_stats,
    .close = event_close,
};
