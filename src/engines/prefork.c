/* SPDX-License-Identifier: MIT
 *
 * The prefork engine: a master and a varying number of worker processes, each blocking, one connection at a time (Apache
 * prefork).
 *
 *                      +--- worker: accept, read, handler, write; the next request, the next connection
 *     clients --- socket --- worker: the same
 *                      +--- ...              master: keeps spare_min to spare_max of them idle, up to workers_max
 *
 * Handler runs in:   the worker's one thread, which may block.
 * Crash costs:       the worker and its one connection; another one takes its place.
 * What blocks what:  a handler that blocks holds its worker. So does a client that is slow, or keeps its connection: when no
 *                    worker is idle and another client waits, replies are the last of their connections, and silent
 *                    connections are closed.
 * Overload:          connections wait in the kernel's queue while more workers are started, then until one is free.
 * Stop:              every worker finishes its connection; one that holds on past the deadline is killed.
 */
#include "base/sys.h"
#include "core/solo.h"
#include "engines/engine.h"

static void plan(const struct cnc_config *cfg, struct cnc_plan *out)
{
    bool fits = cfg->spare_max > cfg->spare_min || !cfg->spare_max;
    unsigned spare_max = (unsigned)(fits ? cfg->spare_max : cfg->spare_min + 1);
    (void)cnc_plan_add(out, (struct cnc_group){
                                .role = CNC_ROLE_WORKER, .is_required = true,
                                .count = (unsigned)cfg->workers_start, .most = (unsigned)cfg->workers_max,
                                .spare_min = (unsigned)cfg->spare_min, .spare_max = spare_max,
                                .has_successors = !spare_max });
}

static void worker_close(concur_server *server)
{
    cnc_solo_close(server->engine);
    cnc_free(server->engine);
    server->engine = NULL;
}

static int worker_open(concur_server *server)
{
    struct cnc_solo *solo = cnc_calloc(1, sizeof *solo);
    int rc = solo ? cnc_solo_open(solo, server) : CONCUR_E_NOMEM;
    if (rc < 0)
        cnc_free(solo);
    else
        server->engine = solo;
    return rc;
}

static int worker_run(concur_server *server, bool may_give_up)
{
    return cnc_solo_run(server->engine, may_give_up);
}

static void worker_stats(concur_server *server, struct cnc_engine_stats *out)
{
    cnc_solo_stats(server->engine, out);
}

const struct cnc_engine_ops cnc_engine_prefork = {
    .id = CONCUR_ENGINE_PREFORK,
    .name = "prefork",
    .blocking_sockets = true,
    .stay_ms = 250,
    .plan = plan,
    .worker = {
        .name = "worker",
        .open = worker_open,
        .run = worker_run,
        .stats = worker_stats,
        .close = worker_close,
    },
};
