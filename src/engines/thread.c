/* SPDX-License-Identifier: MIT
 *
 * The thread engine: one process; every request in flight has a thread.
 *
 *     clients --- poller: accept, heads, idle connections --- queue --- threads: body, handler, reply
 *                   ^                                                     |
 *                   +--------------- parked after park_after -------------+
 *
 * Handler runs in:   a thread of its own, which may block. Not per connection: the poller reads heads, so slow senders and
 *                    idle connections cost no thread.
 * Crash costs:       the process.
 * What blocks what:  threads_max handlers that block make the next ones wait in the queue.
 * Overload:          over queue_max waiting requests the poller answers 503 with Retry-After.
 * Stop:              as on event; threads end when their requests have, and are joined.
 */
#include "base/sys.h"
#include "core/serving.h"
#include "engines/engine.h"

struct thread_engine {
    struct cnc_serving serving; /* the poller */
    struct cnc_conn_ops poller_ops, thread_ops;
    struct cnc_pool *threads;
    /* connections on their way back to the poller */
    pthread_mutex_t mu;
    struct cnc_link lot; /* guarded by mu */
    struct cnc_task lot_task;
    /* connections with a complete head, until the end of the poller's turn */
    struct cnc_link ready;
    struct cnc_task ready_task;
};

/* ---- on the threads ---- */

static void free_driver(void *arg)
{
    struct cnc_driver *drv = arg;
    cnc_driver_deinit(drv);
    cnc_free(drv);
}

static struct cnc_driver *driver_of(concur_server *server, struct cnc_home *home)
{
    struct thread_engine *e = server->engine;
    if (!home->user) {
        struct cnc_driver *drv = cnc_malloc(sizeof *drv);
        if (!drv)
            return NULL;
        cnc_driver_init(drv, home, &server->limits, &e->thread_ops, server, &server->draining);
        home->user = drv;
        home->user_free = free_driver;
    }
    return home->user;
}

static void park(struct thread_engine *e, struct cnc_conn *conn)
{
    pthread_mutex_lock(&e->mu);
    bool first = cnc_link_alone(&e->lot);
    cnc_link_append(&e->lot, &conn->job.link);
    pthread_mutex_unlock(&e->mu);
    if (first)
        (void)cnc_home_post(e->serving.home, &e->lot_task); /* it outlives its connections */
}

static bool is_wanted(void *arg)
{
    concur_server *server = arg;
    struct thread_engine *e = server->engine;
    return server->cfg.park_after == 0 || cnc_pool_is_wanted(e->threads);
}

static void serve(struct cnc_job *job, struct cnc_home *home)
{
    struct cnc_conn *conn = CNC_CONTAINER(job, struct cnc_conn, job);
    concur_server *server = conn->drv->owner;
    concur_server *before = cnc_server_enter(server);
    struct cnc_driver *drv = driver_of(server, home);
    /* Whoever still waits for a thread when a stop has run out of time is told so. */
    if (!drv || cnc_server_is_late(server) || cnc_block_serve(drv, conn, is_wanted, server))
        park(server->engine, conn);
    while (home->live && cnc_home_need_loop(home) == CONCUR_OK)
        cnc_home_turn(home, -1);
    while (home->local.head) /* no loop was to be had: then nothing else is pending */
        cnc_home_settle(home);
    cnc_server_leave(before);
}

/* ---- on the poller ---- */

static void take_back(struct cnc_task *task)
{
    struct thread_engine *e = CNC_CONTAINER(task, struct thread_engine, lot_task);
    struct cnc_link todo;
    cnc_link_init(&todo);
    pthread_mutex_lock(&e->mu);
    cnc_link_move_all(&todo, &e->lot);
    pthread_mutex_unlock(&e->mu);
    while (!cnc_link_alone(&todo)) {
        struct cnc_conn *conn = CNC_CONTAINER(todo.next, struct cnc_conn, job.link);
        cnc_link_remove(&conn->job.link);
        if (conn->flags & CNC_CONN_READY) /* no thread has looked at it */
            cnc_driver_refuse(&e->serving.drv, conn, 503);
        else
            cnc_driver_take(&e->serving.drv, conn);
    }
}

/* At the end of the turn: a thread woken for each would push the poller aside each time. */
static void submit_ready(struct cnc_task *task)
{
    struct thread_engine *e = CNC_CONTAINER(task, struct thread_engine, ready_task);
    cnc_pool_submit_all(e->threads, &e->ready);
    while (!cnc_link_alone(&e->ready)) {
        struct cnc_link *l = cnc_link_take_first(&e->ready);
        cnc_driver_refuse(&e->serving.drv, CNC_CONTAINER(l, struct cnc_conn, job.link), 503);
    }
}

static void hand_over(struct cnc_driver *drv, struct cnc_conn *conn)
{
    concur_server *server = drv->owner;
    struct thread_engine *e = server->engine;
    conn->job.run = serve;
    if (cnc_link_alone(&e->ready))
        cnc_home_defer(drv->home, &e->ready_task);
    cnc_link_append(&e->ready, &conn->job.link);
}

/* ---- life ---- */

static void thread_stats(concur_server *server, struct cnc_engine_stats *out);

static void thread_close(concur_server *server)
{
    struct thread_engine *e = server->engine;
    cnc_pool_destroy(&e->threads);
    cnc_serving_close(&e->serving);
    pthread_mutex_destroy(&e->mu);
    cnc_free(e);
    server->engine = NULL;
}

static int thread_open(concur_server *server)
{
    struct thread_engine *e = cnc_calloc(1, sizeof *e);
    if (!e)
        return CONCUR_E_NOMEM;
    server->engine = e;
    pthread_mutex_init(&e->mu, NULL);
    cnc_link_init(&e->lot);
    e->lot_task.run = take_back;
    cnc_link_init(&e->ready);
    e->ready_task.run = submit_ready;
    e->thread_ops = cnc_request_conn_ops;
    e->thread_ops.closed = cnc_serving_closed;
    e->thread_ops.gives_up = cnc_serving_gives_up;
    e->poller_ops = e->thread_ops;
    e->poller_ops.handover = hand_over;
    struct cnc_pool_config cfg = {
        .clock = server->clock,
        .threads_max = (unsigned)server->cfg.threads_max,
        .queue_max = (unsigned)server->cfg.queue_max,
        .stack_size = (size_t)server->cfg.thread_stack,
        .idle_ms = server->cfg.thread_idle,
        .fields_max = server->limits.http.fields_max,
        .owner = server,
    };
    int rc = cnc_pool_create(&e->threads, &cfg);
    if (rc == CONCUR_OK)
        rc = cnc_serving_open(&e->serving, server, &e->poller_ops, CNC_SERVING_BLOCKING_SOCKETS);
    if (rc < 0) {
        thread_close(server);
        return rc;
    }
    e->serving.threads = e->threads;
    e->serving.stats = thread_stats;
    return CONCUR_OK;
}

static int thread_run(concur_server *server, bool may_give_up)
{
    struct thread_engine *e = server->engine;
    int rc = cnc_serving_run(&e->serving, may_give_up);
    return rc == CONCUR_OK ? cnc_serving_join(server, e->threads, may_give_up) : rc;
}

static void thread_stats(concur_server *server, struct cnc_engine_stats *out)
{
    struct thread_engine *e = server->engine;
    struct cnc_pool_stats pool;
    cnc_pool_stats(e->threads, &pool);
    *out = (struct cnc_engine_stats){ .threads = 1 + pool.threads, .threads_idle = pool.idle, .queued = pool.queued,
                                      .requests = pool.served,
                                      .accepted = atomic_load(&e->serving.acceptor.accepted),
                                      .stalls = atomic_load(&e->serving.stalls) };
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
