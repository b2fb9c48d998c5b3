/* SPDX-License-Identifier: MIT */
#include "core/solo.h"

#include "base/error.h"
#include "base/sys.h"
#include "proc/board.h"

#define PAUSE_MS 50  /* when descriptors have run out */
#define YIELD_MS 250 /* between two looks whether somebody waits for this worker */
#define SILENT_MS 1000 /* for which a new connection may be silent though somebody waits: its request may be under way */
#define PUBLISH_EVERY 32 /* requests of a connection, and at its end */
#define LINGER_MS 50 /* the same while a connection that was closed lingers */

static struct cnc_solo *solo_of(const struct cnc_driver *drv)
{
    return CNC_CONTAINER(drv, struct cnc_solo, serving.drv);
}

/* ---- making room for others ---- */

static void publish(struct cnc_solo *solo)
{
    struct cnc_engine_stats stats;
    cnc_solo_stats(solo, &stats);
    cnc_place_publish(solo->serving.server, &stats);
}

static bool has_idle_peer(const concur_server *server)
{
    return server->place.board && cnc_board_has_idle(server->place.board, server->place.page);
}

static bool does_somebody_wait(const concur_server *server)
{
    struct pollfd fds[CNC_LISTEN_MAX];
    unsigned n = server->socket_count;
    for (unsigned i = 0; i < n; i++)
        fds[i] = (struct pollfd){ .fd = server->sockets[i].fd, .events = POLLIN };
    return cnc_sys_poll(fds, n, 0) > 0;
}

/* Clients that keep their connections must not keep out those that have none: when every worker has one and another client
 * waits, the reply is the connection's last. */
CNC_HOT static bool may_keep(struct cnc_driver *drv)
{
    struct cnc_solo *solo = solo_of(drv);
    concur_server *server = drv->owner;
    unsigned long long served = atomic_load_explicit(&drv->home->served, memory_order_relaxed);
    const struct cnc_place *place = &server->place;
    if (served % PUBLISH_EVERY == 0)
        publish(solo);
    /* A client that asks again at once leaves no moment in which this process would listen to the master. */
    if (place->board && cnc_board_was_poked(place->board, place->page, place->slot))
        cnc_place_hear(server);
    if (CNC_UNLIKELY(atomic_load_explicit(&server->stop_at, memory_order_relaxed) != INT64_MAX))
        return false;
    if (solo->recycle_at && served >= solo->recycle_at)
        return false;
    return has_idle_peer(server) || !does_somebody_wait(server);
}

/* The same for a connection that is silent, or that lingers after its last request. */
static void on_yield(struct cnc_timer *t)
{
    struct cnc_solo *solo = CNC_CONTAINER(t, struct cnc_solo, yield);
    concur_server *server = solo->serving.server;
    bool due = !has_idle_peer(server) && does_somebody_wait(server);
    struct cnc_driver *drv = &solo->serving.drv;
    if (due && (cnc_driver_reap_idle(drv, 0) || cnc_driver_reap_lingering(drv) || cnc_driver_reap_silent(drv, SILENT_MS)))
        return;
    (void)cnc_home_timer(solo->serving.home, t, cnc_home_now(solo->serving.home) + YIELD_MS);
}

/* Asked while the thread waits for its peer, when nobody else reads what the master says. */
static bool gives_up(struct cnc_driver *drv)
{
    concur_server *server = drv->owner;
    if (server->place.is_child)
        cnc_place_hear(server);
    return cnc_serving_gives_up(drv);
}

/* ---- one connection ---- */

/* Nobody else could have this thread: who waits is seen when the peer is silent (on_yield()). */
CNC_HOT static bool is_wanted(void *arg)
{
    (void)arg;
    return false;
}

/* The peer is silent, or slow: events drive the connection. True: it has been served and is quick again; false: it is gone. */
static bool wait_in_loop(struct cnc_solo *solo, struct cnc_conn *conn)
{
    struct cnc_driver *drv = &solo->serving.drv;
    struct cnc_home *home = solo->serving.home;
    uint32_t requests = conn->requests;
    bool again = false;
    int64_t first = conn->state == CNC_CONN_LINGER ? LINGER_MS : YIELD_MS;
    (void)cnc_home_timer(home, &solo->yield, cnc_home_now(home) + first);
    cnc_driver_take(drv, conn);
    while (drv->count && !again) {
        cnc_home_turn(home, -1);
        again = drv->count && conn->requests != requests && conn->state == CNC_CONN_IDLE && !conn->out && !conn->in;
    }
    cnc_home_timer_cancel(home, &solo->yield);
    if (again)
        cnc_driver_release(conn);
    return again;
}

static void serve(struct cnc_solo *solo, struct cnc_conn *conn)
{
    struct cnc_home *home = solo->serving.home;
    while (cnc_block_serve(&solo->serving.drv, conn, is_wanted, solo->serving.server) && wait_in_loop(solo, conn))
        continue;
    while (home->live) /* what the client did not wait for */
        cnc_home_turn(home, -1);
    while (home->local.head)
        cnc_home_settle(home);
}

/* ---- the wait for one ---- */

static void pause_accepting(struct cnc_solo *solo, int err)
{
    concur_server *server = solo->serving.server;
    struct pollfd p = { .fd = server->stop_fd, .events = POLLIN };
    int64_t now = cnc_clock_now(server->clock);
    if (now - solo->warned_at >= 1000) {
        solo->warned_at = now;
        cnc_log(&server->log, CONCUR_LOG_WARN, "accepting pauses: accept: %s", strerror(err));
    }
    (void)cnc_sys_poll(&p, 1, PAUSE_MS);
}

static struct cnc_conn *take_from(struct cnc_solo *solo, unsigned i)
{
    concur_server *server = solo->serving.server;
    struct cnc_accept how = cnc_serving_how_to_accept(server, i, true);
    int err = 0;
    struct cnc_conn *conn = cnc_accept(server->sockets[i].fd, &how, &err);
    if (!conn && cnc_accept_fails_again(err))
        pause_accepting(solo, err);
    return conn;
}

/* NULL: something else is to be looked at. */
static struct cnc_conn *wait_for_one(struct cnc_solo *solo)
{
    concur_server *server = solo->serving.server;
    struct cnc_place *place = &server->place;
    publish(solo);
    if (place->board)
        cnc_board_set_idle(place->board, place->page, place->slot, true);
    int i = cnc_gate_wait(&solo->gate, -1);
    if (place->board)
        cnc_board_set_idle(place->board, place->page, place->slot, false);
    if (i >= 0 && (unsigned)i < solo->gate.listeners)
        return take_from(solo, (unsigned)i);
    cnc_sys_eventfd_clear(server->stop_fd);
    if (place->is_child)
        cnc_place_hear(server);
    return NULL;
}

/* ---- life ---- */

void cnc_solo_close(struct cnc_solo *solo)
{
    cnc_gate_close(&solo->gate);
    cnc_serving_close(&solo->serving);
}

int cnc_solo_open(struct cnc_solo *solo, concur_server *server)
{
    int listeners[CNC_LISTEN_MAX], others[2] = { server->stop_fd, server->place.link };
    unsigned n = server->socket_count;
    *solo = (struct cnc_solo){ .gate.epoll = -1, .yield.fn = on_yield, .recycle_at = server->place.recycle_at,
                               .warned_at = INT64_MIN / 2 };
    server->place.recycle_at = 0; /* it ends by itself, and is not replaced before */
    solo->ops = cnc_request_conn_ops;
    solo->ops.closed = cnc_serving_closed;
    solo->ops.gives_up = gives_up;
    solo->ops.may_keep = may_keep;
    for (unsigned i = 0; i < n; i++)
        listeners[i] = server->sockets[i].fd;
    int rc = cnc_serving_open(&solo->serving, server, &solo->ops,
                              CNC_SERVING_BLOCKING_SOCKETS | CNC_SERVING_BLOCKING_HOME | CNC_SERVING_NO_ACCEPT);
    if (rc == CONCUR_OK)
        rc = cnc_gate_open(&solo->gate, listeners, n, others, server->place.is_child ? 2 : 1);
    if (rc < 0)
        cnc_solo_close(solo);
    return rc;
}

void cnc_solo_stats(const struct cnc_solo *solo, struct cnc_engine_stats *out)
{
    *out = (struct cnc_engine_stats){ .threads = 1, .requests = atomic_load(&solo->serving.home->served),
                                      .accepted = solo->accepted };
}

int cnc_solo_run(struct cnc_solo *solo, bool may_give_up)
{
    struct cnc_serving *s = &solo->serving;
    concur_server *server = s->server;
    int rc = cnc_serving_begin(s);
    while (rc == CONCUR_OK && (rc = cnc_serving_look(s, may_give_up)) == CONCUR_AGAIN) {
        struct cnc_conn *conn = NULL;
        rc = CONCUR_OK;
        if (s->phase == CNC_SERVING_ON)
            conn = wait_for_one(solo);
        else
            cnc_home_turn(s->home, -1);
        if (!conn)
            continue;
        solo->accepted++;
        atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
        serve(solo, conn);
        if (solo->recycle_at && atomic_load(&s->home->served) >= solo->recycle_at)
            cnc_place_stop(server, server->setup->cfg.stop_timeout);
    }
    return rc;
}
