/* SPDX-License-Identifier: MIT
 *
 * The thread engine: one process, with a thread for each current request.
 *
 *     clients --- poller: accept, heads, idle connections --- queue --- threads: body, handler, reply
 *                   ^                                                     |
 *                   +--------------- parked after park_after -------------+
 *
 * Handler runs in:   a thread of its own, which may block. The poller reads heads and small bodies, so slow senders and idle
 *                    connections have no thread.
 * Crash costs:       the process.
 * What blocks what:  threads_max handlers that block make the next ones wait in the queue.
 * Overload:          over queue_max waiting requests, or after queue_timeout, the poller answers 503 with Retry-After.
 * Stop:              as on event; threads end when their requests have, and are joined.
 */
#include "base/sys.h"
#include "engines/engine.h"
#include "request/request.h"
#include "serve/threads.h"

struct thread_engine {
    struct cnc_serving serving; /* the poller */
    struct cnc_threads threads;
};

static void thread_stats(concur_server *server, struct cnc_engine_stats *out)
{
    struct thread_engine *e = server->engine;
    cnc_threads_stats(&e->threads, out);
}

static void thread_close(concur_server *server)
{
    struct thread_engine *e = server->engine;
    cnc_threads_close(&e->threads);
    cnc_serving_close(&e->serving);
    cnc_free(e);
    server->engine = NULL;
}

static int thread_open(concur_server *server)
{
    struct thread_engine *e = cnc_calloc(1, sizeof *e);
    if (!e)
        return CONCUR_E_NOMEM;
    server->engine = e;
    struct cnc_conn_ops ops = cnc_request_conn_ops;
    ops.closed = cnc_serving_closed;
    ops.gives_up = cnc_serving_gives_up;
    int rc = cnc_threads_open(&e->threads, server, &e->serving, &ops);
    if (rc == CONCUR_OK)
        rc = cnc_threads_open_poller(&e->threads, CNC_SERVING_BLOCKING_SOCKETS);
    if (rc < 0) {
        thread_close(server);
        return rc;
    }
    e->serving.stats = thread_stats;
    return CONCUR_OK;
}

static int thread_run(concur_server *server, bool may_give_up)
{
    struct thread_engine *e = server->engine;
    int rc = cnc_serving_run(&e->serving, may_give_up);
    return rc == CONCUR_OK ? cnc_threads_join(&e->threads, may_give_up) : rc;
}

const struct cnc_engine_ops cnc_engine_thread = {
    .id = CONCUR_ENGINE_THREAD,
    .name = "thread",
    .blocking_sockets = true,
    .worker = {
        .name = "threads",
        .open = thread_open,
        .run = thread_run,
        .stats = thread_stats,
        .close = thread_close,
    },
};
