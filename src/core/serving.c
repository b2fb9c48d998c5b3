/* SPDX-License-Identifier: MIT */
#include "core/serving.h"

#include "base/error.h"
#include "base/sys.h"
#include "net/listener.h"

#define FLUSH_MS 250  /* after giving requests up: for their last bytes to leave */
#define PATIENCE_MS 1000 /* after the deadline: for code of the program to let go */

/* ---- listening sockets ---- */

static int open_one(concur_server *server, unsigned i, const struct cnc_listener_options *options)
{
    char why[CNC_ADDRESS_ERROR_MAX];
    struct cnc_server_socket *s = &server->sockets[i];
    s->fd = -1;
    if (cnc_address_parse(&s->address, server->cfg.listen.items[i], why, sizeof why) < 0)
        return cnc_server_note(server, CONCUR_E_LISTEN, "%s", why);
    int rc = cnc_listener_open(&s->fd, &s->address, options);
    return rc < 0 ? cnc_server_note(server, rc, "%s", concur_last_error()) : CONCUR_OK;
}

int cnc_serving_listen(concur_server *server, int64_t receive_wait_ms)
{
    struct cnc_listener_options options = { .backlog = (int)server->cfg.backlog, .nodelay = server->cfg.tcp_nodelay,
                                            .receive_wait_ms = receive_wait_ms };
    size_t n = server->cfg.listen.count;
    int rc = CONCUR_OK;
    if (n == 0)
        return cnc_server_note(server, CONCUR_E_LISTEN, "no address to listen on");
    server->sockets = cnc_calloc(n, sizeof *server->sockets);
    if (!server->sockets)
        return CONCUR_E_NOMEM;
    while (rc == CONCUR_OK && server->socket_count < n) {
        rc = open_one(server, server->socket_count, &options);
        server->socket_count++;
    }
    if (rc < 0)
        cnc_serving_close_listeners(server);
    return rc;
}

void cnc_serving_close_listeners(concur_server *server)
{
    for (unsigned i = 0; i < server->socket_count; i++) {
        if (server->sockets[i].fd >= 0 && server->sockets[i].address.kind == CNC_ADDRESS_UNIX)
            cnc_listener_unlink(&server->sockets[i].address);
        cnc_sys_close(&server->sockets[i].fd);
    }
    cnc_free(server->sockets);
    server->sockets = NULL;
    server->socket_count = 0;
}

/* ---- the loop ---- */

bool cnc_serving_gives_up(struct cnc_driver *drv)
{
    return cnc_server_is_late(drv->owner);
}

/* Both sides write before they look (is_over() reads the number after draining was set), so that one of them sees. */
void cnc_serving_closed(struct cnc_driver *drv)
{
    concur_server *server = drv->owner;
    unsigned before = atomic_fetch_sub(&server->connections, 1);
    if (atomic_load(&server->draining) || before >= (unsigned)server->cfg.connections_max)
        cnc_sys_eventfd_raise(server->stop_fd);
}

static void warn_accept(void *arg, const char *what, int err)
{
    struct cnc_serving *s = arg;
    cnc_log(&s->server->log, CONCUR_LOG_WARN, "accepting pauses: %s%s%s", what, err ? ": " : "",
            err ? strerror(err) : "");
}

/* A stop was asked for, or a connection that a thread closed makes room for another. */
static void on_stop_fd(struct cnc_io *io, unsigned ready)
{
    (void)ready;
    cnc_sys_eventfd_clear(cnc_io_fd(io));
    cnc_acceptor_nudge(&CNC_CONTAINER(io, struct cnc_serving, stop_io)->acceptor);
}

static void on_stop_timer(struct cnc_timer *t)
{
    (void)t; /* only ends the wait: advance() looks at the clock */
}

static int open_pool(concur_server *server)
{
    struct cnc_pool_config cfg = {
        .clock = server->clock,
        .threads_max = (unsigned)server->cfg.pool_threads,
        .queue_max = (unsigned)server->cfg.pool_queue_max,
        .stack_size = (size_t)server->cfg.thread_stack,
        .idle_ms = server->cfg.thread_idle,
        .fields_max = 1, /* these threads parse no heads */
        .owner = server,
    };
    return cfg.threads_max ? cnc_pool_create(&server->pool, &cfg) : CONCUR_OK;
}

int cnc_serving_open(struct cnc_serving *s, concur_server *server, const struct cnc_conn_ops *ops, bool blocking_sockets)
{
    *s = (struct cnc_serving){ .server = server, .stop_timer.fn = on_stop_timer, .stall_warned_at = INT64_MIN / 2 };
    struct cnc_acceptor_config accept = {
        .batch = (unsigned)server->cfg.accept_batch,
        .connections_max = (unsigned)server->cfg.connections_max,
        .open = &server->connections,
        .non_blocking = !blocking_sockets,
        .receive_wait_ms = blocking_sockets ? server->cfg.park_after : 0,
        .warn = warn_accept,
        .warn_arg = s,
    };
    int fds[64];
    unsigned count = server->socket_count < CNC_COUNT(fds) ? server->socket_count : CNC_COUNT(fds);
    for (unsigned i = 0; i < count; i++)
        fds[i] = server->sockets[i].fd;
    int rc = open_pool(server);
    if (rc == CONCUR_OK)
        rc = cnc_home_create(&s->home, server->clock, server->limits.http.fields_max, false);
    if (rc < 0) {
        cnc_serving_close(s);
        return rc;
    }
    s->home->owner = ops->handover ? NULL : server; /* a poller runs no handlers */
    cnc_driver_init(&s->drv, s->home, &server->limits, ops, server, &server->draining);
    rc = cnc_driver_need_loop(&s->drv);
    if (rc == CONCUR_OK)
        rc = cnc_acceptor_init(&s->acceptor, &s->drv, &accept, fds, count);
    if (rc == CONCUR_OK) {
        cnc_io_init(s->home->loop, &s->stop_io, server->stop_fd, on_stop_fd);
        rc = cnc_io_watch(s->home->loop, &s->stop_io, CNC_IO_READ);
    }
    if (rc < 0)
        cnc_serving_close(s);
    return rc;
}

void cnc_serving_close(struct cnc_serving *s)
{
    if (s->server)
        cnc_pool_destroy(&s->server->pool);
    if (!s->home)
        return;
    cnc_acceptor_deinit(&s->acceptor);
    if (s->stop_io.fn)
        (void)cnc_io_watch(s->home->loop, &s->stop_io, 0);
    cnc_home_timer_cancel(s->home, &s->stop_timer);
    cnc_driver_deinit(&s->drv);
    cnc_home_close(&s->home);
}

static bool is_over(const struct cnc_serving *s)
{
    return s->drv.count == 0 && s->home->live == 0 &&
           atomic_load(&s->server->connections) == 0;
}

static void begin_drain(struct cnc_serving *s)
{
    s->phase = CNC_SERVING_DRAIN;
    atomic_store(&s->server->draining, true);
    cnc_acceptor_stop(&s->acceptor);
    cnc_driver_drain(&s->drv);
    /* The port is free for a successor as soon as nobody accepts any more. */
    pthread_mutex_lock(&s->server->mu);
    for (unsigned i = 0; i < s->server->socket_count; i++) {
        if (s->server->sockets[i].address.kind == CNC_ADDRESS_UNIX && s->server->sockets[i].fd >= 0)
            cnc_listener_unlink(&s->server->sockets[i].address);
        cnc_sys_close(&s->server->sockets[i].fd);
    }
    pthread_mutex_unlock(&s->server->mu);
}

static void give_up_everywhere(struct cnc_serving *s)
{
    s->phase = CNC_SERVING_CANCEL;
    cnc_request_give_up_all(s->home, CONCUR_E_STOPPING);
    if (s->threads)
        cnc_pool_broadcast(s->threads, cnc_request_give_up_all, CONCUR_E_STOPPING);
    if (s->server->pool)
        cnc_pool_broadcast(s->server->pool, cnc_request_give_up_all, CONCUR_E_STOPPING);
}

/* Moves the stop on; returns when it wants to look again. */
static int64_t advance(struct cnc_serving *s, int64_t now)
{
    int64_t stop_at = atomic_load(&s->server->stop_at);
    if (stop_at == INT64_MAX)
        return INT64_MAX;
    if (s->phase == CNC_SERVING_ON)
        begin_drain(s);
    if (now < stop_at)
        return stop_at;
    if (s->phase == CNC_SERVING_DRAIN)
        give_up_everywhere(s);
    if (now < stop_at + FLUSH_MS)
        return stop_at + FLUSH_MS;
    s->phase = CNC_SERVING_FORCE;
    cnc_driver_cancel(&s->drv, CONCUR_E_STOPPING); /* again at each turn: threads give connections back */
    return now < stop_at + PATIENCE_MS ? stop_at + PATIENCE_MS : INT64_MAX;
}

/* The model's weak spot, said aloud: a handler that held the loop. */
static void check_stall(struct cnc_serving *s, int64_t began)
{
    int64_t limit = s->server->cfg.stall_warn;
    int64_t now = cnc_clock_now(s->server->clock);
    if (limit == 0 || now - began < limit)
        return;
    atomic_fetch_add_explicit(&s->stalls, 1, memory_order_relaxed);
    if (now - s->stall_warned_at < 1000)
        return;
    s->stall_warned_at = now;
    const struct cnc_route *route = s->home->last;
    cnc_log(&s->server->log, CONCUR_LOG_WARN, "the loop stood still for %lld ms; the last handler called: route \"%s\"",
            (long long)(now - began), route ? route->pattern : "(none)");
}

int cnc_serving_join(concur_server *server, struct cnc_pool *pool, bool may_give_up)
{
    int64_t left = atomic_load(&server->stop_at) - cnc_clock_now(server->clock);
    if (!pool || cnc_pool_stop(pool, left > 0 ? left : 0) == CONCUR_OK)
        return CONCUR_OK;
    cnc_pool_broadcast(pool, cnc_request_give_up_all, CONCUR_E_STOPPING);
    return cnc_pool_stop(pool, may_give_up ? PATIENCE_MS : -1);
}

/* What the program has at this thread goes here, and not with the home: that closes under the server's lock. */
static int end(struct cnc_serving *s, bool may_give_up)
{
    int rc = cnc_serving_join(s->server, s->server->pool, may_give_up);
    if (rc == CONCUR_OK)
        cnc_home_leave(s->home);
    return rc;
}

int cnc_serving_run(struct cnc_serving *s, bool may_give_up)
{
    cnc_home_adopt(s->home);
    int rc = cnc_acceptor_start(&s->acceptor);
    if (rc < 0)
        return rc;
    cnc_server_ready(s->server);
    for (;;) {
        int64_t stop_at = atomic_load_explicit(&s->server->stop_at, memory_order_relaxed);
        if (CNC_UNLIKELY(stop_at != INT64_MAX)) {
            int64_t now = cnc_clock_now(s->server->clock);
            int64_t next = advance(s, now);
            if (is_over(s))
                return end(s, may_give_up);
            if (may_give_up && now >= stop_at + PATIENCE_MS)
                return CONCUR_E_BUSY;
            if (next != INT64_MAX)
                (void)cnc_home_timer(s->home, &s->stop_timer, next);
        }
        cnc_home_turn(s->home, -1);
        check_stall(s, cnc_home_turn_began(s->home));
    }
}
