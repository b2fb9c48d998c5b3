/* SPDX-License-Identifier: MIT */
#include "serve/threads.h"

#include "base/sys.h"
#include "conn/early.h"
#include "request/request.h"
#include "serve/bodies.h"

#define LONG_WAIT_MS 100 /* time in the queue after which the client may have left */

/* ---- on the threads ---- */

static void free_driver(void *arg)
{
    struct cnc_driver *drv = arg;
    cnc_driver_deinit(drv);
    cnc_free(drv);
}

static struct cnc_driver *driver_of(struct cnc_threads *t, struct cnc_home *home)
{
    if (!home->user) {
        struct cnc_driver *drv = cnc_malloc(sizeof *drv);
        if (!drv)
            return NULL;
        cnc_driver_init(drv, home, &t->server->setup->limits, &t->ops, t->server, &t->server->draining);
        drv->lender = t;
        drv->loan = t->loan;
        home->user = drv;
        home->user_free = free_driver;
    }
    return home->user;
}

static void return_to_poller(struct cnc_threads *t, struct cnc_conn *conn)
{
    pthread_mutex_lock(&t->mu);
    bool first = cnc_link_alone(&t->back);
    cnc_link_append(&t->back, &conn->job.link);
    pthread_mutex_unlock(&t->mu);
    if (first)
        cnc_home_post(t->serving->home, &t->back_task); /* cannot fail: that home outlives its connections */
}

static void free_thread(struct cnc_threads *t, struct cnc_home *home)
{
    if (cnc_pool_job_ends(t->pool, home) && t->is_free)
        t->is_free(t);
}

/* The poller may submit the next request of the connection before this thread returns: the thread counts as free by then. */
static void park(struct cnc_threads *t, struct cnc_home *home, struct cnc_conn *conn)
{
    if (t->parked && t->parked(t, home, conn))
        return;
    if (cnc_desk_of(home)->live == 0) /* else it is not free yet */
        free_thread(t, home);
    return_to_poller(t, conn);
}

CNC_HOT static bool threads_is_wanted(void *threads)
{
    return cnc_pool_is_wanted(((struct cnc_threads *)threads)->pool);
}

/* With park_after = 0 no thread waits for the next request. */
static bool is_always_wanted(void *threads)
{
    (void)threads;
    return true;
}

/* Has the client left? Checked only if the connection has waited for LONG_WAIT_MS. */
static bool threads_has_left(const struct cnc_threads *t, const struct cnc_home *home, const struct cnc_conn *conn)
{
    bool shut_is_left = !t->server->setup->limits.half_close; /* a reset is seen in any case */
    struct pollfd p = { .fd = cnc_io_fd(&conn->io), .events = shut_is_left ? POLLRDHUP : 0 };
    return cnc_clock_now(home->clock) - conn->deadline >= LONG_WAIT_MS && cnc_sys_poll(&p, 1, 0) > 0;
}

/* After an upgrade only a callback is due. An error page cannot replace it, and queue_max and queue_timeout do not apply. */
static bool is_upgraded(const struct cnc_conn *conn)
{
    return conn->exchange.stream != NULL;
}

/* Closes conn, and tells the front if it was lent. */
static void close_unserved(struct cnc_driver *drv, struct cnc_conn *conn)
{
    if (drv->ops->gone)
        drv->ops->gone(drv, conn);
    cnc_conn_end(drv, conn);
}

static void threads_serve(struct cnc_job *job, struct cnc_home *home)
{
    struct cnc_conn *conn = CNC_CONTAINER(job, struct cnc_conn, job);
    struct cnc_threads *t = conn->drv->lender;
    concur_server *before = cnc_server_enter(t->server);
    struct cnc_driver *drv = driver_of(t, home);
    bool (*is_wanted)(void *) = t->server->setup->cfg.park_after ? t->is_wanted : is_always_wanted;
    /* After a stop's deadline no request is begun: the poller answers 503. */
    if (!drv || (cnc_server_is_late(t->server) && !is_upgraded(conn)))
        return_to_poller(t, conn);
    else if (!is_upgraded(conn) && threads_has_left(t, home, conn))
        close_unserved(drv, conn);
    else if (cnc_block_serve(drv, conn, is_wanted, t))
        park(t, home, conn);
    while (cnc_desk_of(home)->live)
        if (cnc_home_turn(home, -1) < 0) { /* only a driver makes a loop here, so drv is not NULL */
            cnc_server_runs_short(t->server, "requests that wait on this thread are given up");
            cnc_driver_lose_loop(drv);
        }
    while (home->local.head)
        cnc_home_settle(home);
    free_thread(t, home);
    cnc_server_leave(before);
}

/* ---- on the poller ---- */

/* No thread can call its protocol, so the poller tells the protocol that the connection is lost, and closes it. */
static void cut_upgraded(struct cnc_threads *t, struct cnc_conn *conn, int reason)
{
    conn->drv = &t->serving->drv;
    cnc_upgraded_lose(conn, reason);
    close_unserved(conn->drv, conn);
}

static void threads_take_back(struct cnc_task *task)
{
    struct cnc_threads *t = CNC_CONTAINER(task, struct cnc_threads, back_task);
    struct cnc_link todo;
    cnc_link_init(&todo);
    pthread_mutex_lock(&t->mu);
    cnc_link_move_all(&todo, &t->back);
    pthread_mutex_unlock(&t->mu);
    while (!cnc_link_alone(&todo)) {
        struct cnc_conn *conn = CNC_CONTAINER(cnc_link_take_first(&todo), struct cnc_conn, job.link);
        if (CNC_UNLIKELY(conn->flags & CNC_CONN_READY) && is_upgraded(conn))
            cut_upgraded(t, conn, CONCUR_E_NOMEM);
        else if (conn->flags & CNC_CONN_READY) /* no thread has begun its request */
            cnc_driver_refuse(&t->serving->drv, conn, 503);
        else
            cnc_driver_take(&t->serving->drv, conn);
    }
}

struct overdue {
    int64_t before; /* connections that asked for a thread by then are overdue */
    int64_t next;   /* when the first of the others asked; INT64_MAX: there are none */
};

/* The queue has the order in which connections asked, so the first that is not overdue ends the search. */
static bool is_overdue(struct cnc_job *job, void *arg)
{
    struct overdue *o = arg;
    int64_t asked = cnc_early_asked_at(CNC_CONTAINER(job, struct cnc_conn, job));
    if (asked <= o->before)
        return true;
    o->next = asked;
    return false;
}

/* queue_timeout does not apply to an upgraded connection: it goes to the end of the queue. */
static void wait_anew(struct cnc_threads *t, struct cnc_conn *conn, struct overdue *o)
{
    conn->deadline = cnc_home_now(t->serving->home);
    if (o->next == INT64_MAX)
        o->next = conn->deadline;
    cnc_threads_await(t, conn, &t->upgraded);
}

static void on_threads_late(struct cnc_timer *timer)
{
    struct cnc_threads *t = CNC_CONTAINER(timer, struct cnc_threads, late);
    struct cnc_home *home = t->serving->home;
    int64_t timeout = t->server->setup->cfg.queue_timeout;
    struct overdue o = { .before = cnc_home_now(home) - timeout, .next = INT64_MAX };
    struct cnc_link taken;
    cnc_link_init(&taken);
    cnc_pool_withdraw(t->pool, is_overdue, &o, &taken);
    while (!cnc_link_alone(&taken)) {
        struct cnc_conn *conn = CNC_CONTAINER(cnc_link_take_first(&taken), struct cnc_conn, job.link);
        if (is_upgraded(conn))
            wait_anew(t, conn, &o);
        else
            cnc_driver_refuse(&t->serving->drv, conn, 503);
    }
    if (o.next != INT64_MAX)
        cnc_home_timer(home, timer, o.next + timeout);
}

/* There is one timer for the whole queue. When it fires, it takes all that are overdue, perhaps none, and is set for the
 * next. */
static void watch_queue(struct cnc_threads *t)
{
    struct cnc_home *home = t->serving->home;
    if (!cnc_timer_is_set(&t->late) && t->server->setup->cfg.queue_timeout)
        cnc_home_timer(home, &t->late, cnc_home_now(home) + t->server->setup->cfg.queue_timeout);
}

int cnc_threads_queue(struct cnc_threads *t, struct cnc_link *list)
{
    int rc = cnc_pool_submit_all(t->pool, list);
    watch_queue(t);
    return rc;
}

void cnc_threads_refuse(struct cnc_threads *t, struct cnc_link *list)
{
    while (!cnc_link_alone(list)) {
        struct cnc_link *l = cnc_link_take_first(list);
        cnc_driver_refuse(&t->serving->drv, CNC_CONTAINER(l, struct cnc_conn, job.link), 503);
    }
}

static void submit_upgraded(struct cnc_threads *t)
{
    if (cnc_link_alone(&t->upgraded))
        return;
    int rc = cnc_pool_submit_all_bounded(t->pool, &t->upgraded);
    watch_queue(t);
    while (!cnc_link_alone(&t->upgraded))
        cut_upgraded(t, CNC_CONTAINER(cnc_link_take_first(&t->upgraded), struct cnc_conn, job.link), rc);
}

void cnc_threads_submit(struct cnc_threads *t)
{
    struct cnc_link ready; /* a list of its own, since refusing one may add others to t->ready */
    submit_upgraded(t);
    cnc_link_init(&ready);
    cnc_link_move_all(&ready, &t->ready);
    if (cnc_link_alone(&ready))
        return;
    if (cnc_threads_queue(t, &ready) < 0)
        cnc_threads_refuse(t, &ready);
}

void cnc_threads_flush(struct cnc_threads *t)
{
    if (t->submit)
        t->submit(t);
    else
        cnc_threads_submit(t);
}

/* At the end of the turn for all together: if a thread were woken for each, it would take the processor from the poller. */
static void on_threads_ready(struct cnc_task *task)
{
    struct cnc_threads *t = CNC_CONTAINER(task, struct cnc_threads, ready_task);
    t->is_due = false;
    cnc_threads_flush(t);
}

void cnc_threads_await(struct cnc_threads *t, struct cnc_conn *conn, struct cnc_link *list)
{
    conn->job.run = threads_serve;
    if (!t->is_due)
        cnc_home_defer(t->serving->home, &t->ready_task);
    t->is_due = true;
    cnc_link_append(list, &conn->job.link);
}

void cnc_threads_handover(struct cnc_driver *drv, struct cnc_conn *conn)
{
    struct cnc_threads *t = drv->lender;
    cnc_threads_await(t, conn, is_upgraded(conn) ? &t->upgraded : &t->ready);
}

/* cnc_conn_ops.early, for the poller and the threads. */
static bool threads_early(struct cnc_driver *drv, const struct cnc_conn *conn, const struct cnc_http_head *head,
                          const char *bytes, struct cnc_early_terms *terms)
{
    (void)conn;
    return cnc_bodies_want(drv->owner, head, bytes, SIZE_MAX, terms);
}

/* ---- requests that were begun ---- */

/* Counts requests at once: a thread that stays with a busy connection causes no turn of the poller, which would count them. */
static int threads_count_request(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    struct cnc_threads *t = conn->drv->lender;
    cnc_place_begun(t->server, atomic_fetch_add(&t->begun, 1) + 1);
    return cnc_request_conn_ops.request(conn, head, bytes);
}

/* ---- life ---- */

void cnc_threads_close(struct cnc_threads *t)
{
    if (!t->server)
        return;
    if (cnc_timer_is_set(&t->late))
        cnc_home_timer_cancel(t->serving->home, &t->late);
    cnc_strain_close(&t->strain);
    cnc_pool_destroy(&t->pool);
    pthread_mutex_destroy(&t->mu);
    t->server = NULL;
}

int cnc_threads_open(struct cnc_threads *t, concur_server *server, struct cnc_serving *serving,
                     const struct cnc_conn_ops *ops)
{
    struct cnc_pool_config cfg = {
        .clock = server->clock,
        .threads_max = (unsigned)server->setup->cfg.threads_max,
        .queue_max = (unsigned)server->setup->cfg.queue_max,
        .stack_size = (size_t)server->setup->cfg.thread_stack,
        .idle_ms = server->setup->cfg.thread_idle,
        .owner = server,
        .strained = cnc_strain_on,
        .strained_arg = &t->strain,
    };
    *t = (struct cnc_threads){ .server = server, .serving = serving, .ops = *ops, .is_wanted = threads_is_wanted,
                               .back_task.run = threads_take_back, .ready_task.run = on_threads_ready,
                               .late.fn = on_threads_late };
    if (!t->ops.early)
        t->ops.early = threads_early;
    if (atomic_load(&server->place.recycle_at))
        t->ops.request = threads_count_request;
    pthread_mutex_init(&t->mu, NULL);
    cnc_link_init(&t->back);
    cnc_link_init(&t->ready);
    t->desks = (struct cnc_desk_kind){ .fields_max = server->setup->limits.http.fields_max, .depot = &server->depot };
    cnc_desk_for_threads(&cfg, &t->desks);
    cnc_link_init(&t->upgraded);
    cnc_strain_init(&t->strain, server, "threads_max");
    int rc = cnc_pool_create(&t->pool, &cfg);
    if (rc < 0)
        cnc_threads_close(t);
    return rc;
}

int cnc_threads_open_poller(struct cnc_threads *t, unsigned flags)
{
    t->poller_ops = t->ops;
    t->poller_ops.handover = cnc_threads_handover;
    t->poller_ops.keeps_head = true;
    int rc = cnc_serving_open(t->serving, t->server, &t->poller_ops, flags);
    if (rc < 0)
        return rc;
    cnc_strain_open(&t->strain, t->serving->home, t->pool);
    t->serving->drv.lender = t;
    t->serving->threads = t->pool;
    return rc;
}

int cnc_threads_join(struct cnc_threads *t, bool may_give_up)
{
    return cnc_serving_join(t->server, t->pool, may_give_up);
}

void cnc_threads_stats(const struct cnc_threads *t, struct cnc_engine_stats *out)
{
    struct cnc_pool_stats pool;
    cnc_pool_stats(t->pool, &pool);
    *out = (struct cnc_engine_stats){ .threads = 1 + pool.threads, .threads_idle = pool.idle, .queued = pool.queued,
                                      .requests = pool.served, .jobs = pool.jobs, .free = cnc_pool_free(t->pool),
                                      .accepted = atomic_load(&t->serving->acceptor.accepted),
                                      .stalls = atomic_load(&t->serving->stalls) };
}
