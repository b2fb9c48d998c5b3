/* SPDX-License-Identifier: MIT */
#include "serve/serving.h"

#include "base/error.h"
#include "base/sys.h"
#include "proc/board.h"
#include "serve/sockets.h"

#define LIBRARY_THREADS 2 /* besides pool_threads, for the library's own writes to files; started when they are needed */

bool cnc_serving_gives_up(struct cnc_driver *drv)
{
    return cnc_server_is_late(drv->owner);
}

/* The count is written before draining is read. A stop sets draining before stop_is_over() reads the count. So one of the two
 * sees what the other has written, and the end of the last connection is not missed. */
void cnc_serving_closed(struct cnc_driver *drv)
{
    concur_server *server = drv->owner;
    unsigned before = atomic_fetch_sub(&server->connections, 1);
    if (atomic_load(&server->draining) || before >= server->setup->connections_max)
        cnc_server_raise(server);
}

bool cnc_serving_owns(const struct cnc_serving *s, int fd)
{
    const concur_server *server = s->server;
    const struct cnc_place *place = &server->place;
    const int own[] = { server->stop_fd, server->stop_copy, server->topics.fd, server->log.up, place->link, place->lend, place->wake };
    bool ours = cnc_files_is_own(fd);
    for (unsigned i = 0; i < CNC_COUNT(own); i++)
        ours = ours || fd == own[i];
    for (unsigned i = 0; i < server->socket_count; i++)
        ours = ours || fd == server->sockets[i].fd || fd == server->sockets[i].copy;
    return ours && fd >= 0;
}

static bool serving_owns(void *arg, int fd)
{
    return cnc_serving_owns(arg, fd);
}

static void warn_accept(void *arg, const char *what, int err)
{
    struct cnc_serving *s = arg;
    cnc_log(&s->server->log, CONCUR_LOG_WARN, "accepting pauses: %s%s%s", what, err ? ": " : "",
            err ? strerror(err) : "");
}

static void serving_pass_on(void *arg)
{
    struct cnc_serving *s = arg;
    cnc_place_pass_on(s->server);
}

/* The master's message: a connection may wait for which another process was woken. If this process stops, a third one must
 * look. */
static void look_at_listeners(void *arg)
{
    struct cnc_serving *s = arg;
    if (s->phase == CNC_SERVING_ON)
        cnc_acceptor_look(&s->acceptor);
    else
        cnc_place_pass_on(s->server);
}

/* A stop was asked for or announced, or a thread has closed a connection, so there is room for another one. */
static void on_serving_stop_fd(struct cnc_io *io, unsigned ready)
{
    struct cnc_serving *s = CNC_CONTAINER(io, struct cnc_serving, stop_io);
    (void)ready;
    if (!cnc_sys_eventfd_clear(cnc_io_fd(io)))
        cnc_loop_break(s->home->loop, "the descriptor that reports a stop was closed");
    cnc_acceptor_nudge(&s->acceptor);
    cnc_serving_tell_of_stop(s);
    if (s->home->blocking) /* a request may be waiting in this turn of the loop; then nothing else would look */
        (void)cnc_serving_look(s, false);
}

/* Ends the loop's wait. After the turn cnc_serving_run() moves the stop on; at a blocking home it is done here. */
static void on_serving_stop_timer(struct cnc_timer *t)
{
    struct cnc_serving *s = CNC_CONTAINER(t, struct cnc_serving, stop_timer);
    if (s->home->blocking)
        (void)cnc_serving_look(s, false);
}

static void on_serving_link(struct cnc_io *io, unsigned ready)
{
    struct cnc_serving *s = CNC_CONTAINER(io, struct cnc_serving, link_io);
    (void)ready;
    cnc_place_hear(s->server);
}

static void on_serving_publish(struct cnc_timer *t)
{
    (void)t; /* only ends the loop's wait: cnc_serving_run() publishes after the turn */
}

static int open_pool(struct cnc_serving *s, concur_server *server)
{
    struct cnc_pool_config cfg = {
        .clock = server->clock,
        .threads_max = (unsigned)server->setup->cfg.pool_threads,
        .library_max = LIBRARY_THREADS,
        .queue_max = (unsigned)server->setup->cfg.pool_queue_max,
        .library_queue_max = server->setup->connections_max, /* at most one job for each connection, so none is refused */
        .stack_size = (size_t)server->setup->cfg.thread_stack,
        .idle_ms = server->setup->cfg.thread_idle,
        .owner = server,
        .strained = cnc_strain_on,
        .strained_arg = &s->pool_strain,
    };
    s->pool_desks = (struct cnc_desk_kind){ .fields_max = 1, .depot = &server->depot }; /* these threads parse no heads */
    cnc_desk_for_threads(&cfg, &s->pool_desks);
    cnc_strain_init(&s->pool_strain, server, "pool_threads");
    return cfg.threads_max ? cnc_pool_create(&server->pool, &cfg) : CONCUR_OK;
}

static int serving_watch(struct cnc_serving *s, struct cnc_io *io, int fd, void (*fn)(struct cnc_io *, unsigned))
{
    cnc_io_init(s->home->loop, io, fd, fn);
    return cnc_io_watch(s->home->loop, io, CNC_IO_READ);
}

int cnc_serving_open(struct cnc_serving *s, concur_server *server, const struct cnc_conn_ops *ops, unsigned flags)
{
    bool blocking_sockets = (flags & CNC_SERVING_BLOCKING_SOCKETS) != 0;
    *s = (struct cnc_serving){ .server = server, .stop_timer.fn = on_serving_stop_timer, .publish_timer.fn = on_serving_publish,
                               .is_late = (flags & CNC_SERVING_LATE) != 0, .stall_warned_at = INT64_MIN / 2 };
    struct cnc_acceptor_config accept = {
        .batch = (unsigned)server->setup->cfg.accept_batch,
        .connections_max = server->setup->connections_max,
        .open = &server->connections,
        .exclusive = server->place.is_child,
        .owns = serving_owns,
        .owns_arg = s,
        .pass_on = serving_pass_on,
        .pass_on_arg = s,
        .warn = warn_accept,
        .warn_arg = s,
    };
    struct cnc_accept_from from[CNC_LISTEN_MAX];
    unsigned count = flags & CNC_SERVING_NO_ACCEPT ? 0 : server->socket_count;
    for (unsigned i = 0; i < count; i++) {
        from[i] = (struct cnc_accept_from){ server->sockets[i].fd, cnc_sockets_accept_how(server, i, blocking_sockets) };
        from[i].how.leases = (flags & CNC_SERVING_LEASES) != 0;
    }
    int rc = open_pool(s, server);
    if (rc == CONCUR_OK)
        rc = cnc_desk_create(&s->home, server->clock, server->setup->limits.http.fields_max,
                             (flags & CNC_SERVING_BLOCKING_HOME) != 0);
    if (rc < 0) {
        cnc_serving_close(s);
        return rc;
    }
    cnc_strain_open(&s->pool_strain, s->home, server->pool);
    cnc_desk_of(s->home)->depot = &server->depot;
    s->home->owner = ops->handover ? NULL : server; /* a poller runs no handlers */
    if (server->place.row && server->setup->cfg.stuck_timeout)
        cnc_desk_of(s->home)->busy_since = &server->place.row->busy_since;
    cnc_driver_init(&s->drv, s->home, &server->setup->limits, ops, server, &server->draining);
    rc = cnc_driver_need_loop(&s->drv);
    if (rc == CONCUR_OK)
        rc = cnc_acceptor_init(&s->acceptor, &s->drv, &accept, from, count);
    if (rc == CONCUR_OK)
        rc = serving_watch(s, &s->stop_io, server->stop_fd, on_serving_stop_fd);
    if (rc == CONCUR_OK && server->place.is_child)
        rc = serving_watch(s, &s->link_io, server->place.link, on_serving_link);
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
    if (s->link_io.fn)
        (void)cnc_io_watch(s->home->loop, &s->link_io, 0);
    cnc_home_timer_cancel(s->home, &s->stop_timer);
    cnc_home_timer_cancel(s->home, &s->publish_timer);
    cnc_strain_close(&s->pool_strain);
    cnc_driver_deinit(&s->drv);
    cnc_home_close(&s->home);
}

/* Calls are not timed one by one: only if there was a single one do we know which call took the time. */
static void warn_of_stall(const struct cnc_serving *s, int64_t ms, unsigned calls)
{
    const struct cnc_route *route = cnc_desk_of(s->home)->last;
    const char *name = route ? route->pattern : "(none)";
    struct cnc_log *log = &s->server->log;
    if (calls == 1)
        cnc_log(log, CONCUR_LOG_WARN, "the loop stood still for %lld ms, in one call for route \"%s\"", (long long)ms, name);
    else if (calls)
        cnc_log(log, CONCUR_LOG_WARN, "the loop stood still for %lld ms, in %u calls; the last was for route \"%s\"",
                (long long)ms, calls, name);
    else
        cnc_log(log, CONCUR_LOG_WARN, "the loop stood still for %lld ms, outside of any request", (long long)ms);
}

/* Logs a warning about a handler that held the loop for long. */
static void check_stall(struct cnc_serving *s, int64_t began)
{
    int64_t limit = s->server->setup->cfg.stall_warn;
    unsigned calls = cnc_desk_of(s->home)->calls - s->calls_before;
    s->calls_before = cnc_desk_of(s->home)->calls;
    if (limit == 0)
        return;
    int64_t now = cnc_clock_now(s->server->clock);
    if (CNC_LIKELY(now - began < limit))
        return;
    atomic_fetch_add_explicit(&s->stalls, 1, memory_order_relaxed);
    if (now - s->stall_warned_at < 1000)
        return;
    s->stall_warned_at = now;
    warn_of_stall(s, now - began, calls);
}

#define PUBLISH_MS 100
#define PUBLISH_MAX_MS 1600 /* between two times while threads have jobs and nothing changes */

/* Sets the timer while threads have jobs, since these may end without a turn of this loop. */
static void publish_again(struct cnc_serving *s, const struct cnc_engine_stats *stats, int64_t now)
{
    bool moves = stats->requests != s->published_requests;
    s->publish_ms = moves || !s->publish_ms ? PUBLISH_MS : s->publish_ms * 2;
    if (s->publish_ms > PUBLISH_MAX_MS)
        s->publish_ms = PUBLISH_MAX_MS;
    s->published_requests = stats->requests;
    if (stats->jobs)
        cnc_home_timer(s->home, &s->publish_timer, now + s->publish_ms);
}

void cnc_serving_publish(struct cnc_serving *s, int64_t now)
{
    struct cnc_engine_stats stats;
    if (!s->server->place.row || !s->stats)
        return;
    int64_t due = s->published_at + PUBLISH_MS;
    bool has_share = atomic_load_explicit(&s->server->place.recycle_at, memory_order_relaxed) != 0;
    if (now >= due || has_share)
        s->stats(s->server, &stats);
    if (now < due) { /* too early: the timer makes sure that the present numbers are published even if no other turn comes */
        if (has_share)
            cnc_place_begun(s->server, stats.requests);
        if (!cnc_timer_is_set(&s->publish_timer) || s->publish_timer.at > due)
            cnc_home_timer(s->home, &s->publish_timer, due);
        return;
    }
    s->published_at = now;
    cnc_place_publish(s->server, &stats);
    if (s->publishes)
        s->publishes(s);
    publish_again(s, &stats, now);
}

int cnc_serving_begin(struct cnc_serving *s)
{
    cnc_home_adopt(s->home);
    s->server->place.master_reader = s->server->place.is_child ? s->home : NULL;
    if (s->acceptor.count) {
        s->server->place.look = look_at_listeners;
        s->server->place.look_arg = s;
    }
    int rc = s->is_late ? CONCUR_OK : cnc_acceptor_start(&s->acceptor);
    if (rc == CONCUR_OK)
        cnc_server_ready(s->server);
    return rc;
}

void cnc_serving_accept(struct cnc_serving *s)
{
    if (s->phase == CNC_SERVING_ON)
        cnc_acceptor_begin(&s->acceptor);
}

CNC_HOT int cnc_serving_look(struct cnc_serving *s, bool may_give_up)
{
    int64_t stop_at = atomic_load_explicit(&s->server->stop_at, memory_order_relaxed);
    return CNC_LIKELY(stop_at == INT64_MAX) ? CONCUR_AGAIN : cnc_serving_move_stop(s, may_give_up);
}

CNC_HOT int cnc_serving_run(struct cnc_serving *s, bool may_give_up)
{
    int rc = cnc_serving_begin(s);
    while (rc == CONCUR_OK && (rc = cnc_serving_look(s, may_give_up)) == CONCUR_AGAIN) {
        if (CNC_UNLIKELY(cnc_home_turn(s->home, -1) < 0))
            return cnc_serving_fail(s, may_give_up);
        check_stall(s, cnc_loop_turn_began(s->home->loop));
        if (s->server->place.row) /* there is a board */
            cnc_serving_publish(s, cnc_loop_turn_began(s->home->loop));
        rc = CONCUR_OK;
    }
    return rc;
}
