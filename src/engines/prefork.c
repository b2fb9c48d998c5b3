/* SPDX-License-Identifier: MIT
 *
 * The prefork engine: a master and a varying number of worker processes, each blocking, one connection at a time (Apache
 * prefork).
 *
 *                      +--- worker: accept, read, handler, write; the next request, the next connection
 *     clients --- socket --- worker: the same
 *                      +--- ...              master: keeps spare_min to spare_max of them idle, up to workers_max
 *                              |
 *                              +--- heads: a process that waits for slow heads; any idle worker takes a complete one
 *
 * Handler runs in:   the worker's one thread, which may block.
 * Crash costs:       the worker and its one connection; another one takes its place.
 * What blocks what:  a handler that blocks holds its worker. So does a client that is slow to send a body or to take a reply,
 *                    or keeps its connection: when no worker is idle and another client waits, replies are the last of
 *                    their connections, and silent connections are closed.
 * Overload:          connections wait in the kernel's queue while more workers are started, then until one is free.
 * Stop:              every worker finishes its connection; one that has not finished soon after the deadline is killed.
 */
#include "base/sys.h"
#include "engines/engine.h"
#include "serve/heads.h"
#include "serve/solo.h"

static void prefork_plan(const struct cnc_config *cfg, struct cnc_plan *out)
{
    bool fits = cfg->spare_max > cfg->spare_min || !cfg->spare_max;
    unsigned spare_max = (unsigned)(fits ? cfg->spare_max : cfg->spare_min + 1);
    bool has_heads = cfg->head_max <= CNC_HEADS_HEAD_MAX;
    unsigned heads = has_heads ? cnc_plan_add(out, (struct cnc_group){ .role = CNC_ROLE_HEADS, .count = 1, .most = 1 }) : 0;
    (void)cnc_plan_add(out, (struct cnc_group){
                                .link = has_heads ? CNC_LINK_SHARED : CNC_LINK_NONE, .links_to = heads,
                                .role = CNC_ROLE_WORKER, .is_required = true, .accepts = true,
                                .count = (unsigned)cfg->workers_start, .most = (unsigned)cfg->workers_max,
                                .spare_min = (unsigned)cfg->spare_min, .spare_max = spare_max,
                                .has_successors = !spare_max });
}

/* ---- the process that waits for heads ---- */

static void heads_close(concur_server *server)
{
    cnc_heads_close(server->engine);
    cnc_free(server->engine);
    server->engine = NULL;
}

static void heads_stats(concur_server *server, struct cnc_engine_stats *out)
{
    cnc_heads_stats(server->engine, out);
}

static int heads_open(concur_server *server)
{
    struct cnc_heads *heads = cnc_calloc(1, sizeof *heads);
    int rc = heads ? cnc_heads_open(heads, server) : CONCUR_E_NOMEM;
    if (rc < 0) {
        cnc_free(heads);
        return rc;
    }
    server->engine = heads;
    heads->serving.stats = heads_stats;
    return CONCUR_OK;
}

static int heads_run(concur_server *server, bool may_give_up)
{
    return cnc_heads_run(server->engine, may_give_up);
}

/* ---- a worker ---- */

static void prefork_worker_close(concur_server *server)
{
    cnc_solo_close(server->engine);
    cnc_free(server->engine);
    server->engine = NULL;
}

static int prefork_worker_open(concur_server *server)
{
    struct cnc_solo *solo = cnc_calloc(1, sizeof *solo);
    int rc = solo ? cnc_solo_open(solo, server) : CONCUR_E_NOMEM;
    if (rc < 0)
        cnc_free(solo);
    else
        server->engine = solo;
    return rc;
}

static int prefork_worker_run(concur_server *server, bool may_give_up)
{
    return cnc_solo_run(server->engine, may_give_up);
}

static void prefork_worker_stats(concur_server *server, struct cnc_engine_stats *out)
{
    cnc_solo_stats(server->engine, out);
}

const struct cnc_engine_ops cnc_engine_prefork = {
    .id = CONCUR_ENGINE_PREFORK,
    .name = "prefork",
    .blocking_sockets = true,
    .sets_own_wait = true,
    .plan = prefork_plan,
    .worker = {
        .name = "worker",
        .open = prefork_worker_open,
        .run = prefork_worker_run,
        .stats = prefork_worker_stats,
        .close = prefork_worker_close,
    },
    .front = {
        .name = "heads",
        .open = heads_open,
        .run = heads_run,
        .stats = heads_stats,
        .close = heads_close,
    },
};
