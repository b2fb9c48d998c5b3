/* SPDX-License-Identifier: MIT */
#include "serve/solo.h"

#include <limits.h>

#include "base/error.h"
#include "base/sys.h"
#include "proc/board.h"
#include "request/request.h"
#include "serve/heads.h"
#include "serve/sockets.h"

#define PAUSE_MS 50  /* when descriptors have run out */
#define HEAD_WAIT_MS 10  /* how long a head is waited for, before the connection is passed on (heads.h) */
#define HEAD_HURRY_MS 1  /* ... while others wait to be accepted */
#define STAY_MS 250  /* how long a plain read waits for a kept connection's next request */
#define YIELD_MS 250 /* between two checks whether another client waits */
#define SILENT_MS 1000 /* how long a new connection may be silent while others wait: its request may be on the way */
#define PUBLISH_EVERY 32 /* requests of this process; it also publishes before each wait for a connection */
#define LINGER_MS 50 /* until the first such check, if the connection lingers */

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
    struct pollfd fds[CNC_LISTEN_MAX + 1];
    unsigned n = server->socket_count;
    for (unsigned i = 0; i < n; i++)
        fds[i] = (struct pollfd){ .fd = server->sockets[i].fd, .events = POLLIN };
    fds[n++] = (struct pollfd){ .fd = server->place.lend, .events = POLLIN }; /* complete heads */
    return cnc_sys_poll(fds, n, 0) > 0;
}

/* A client with a kept connection must not shut out others: if every worker has a connection and another client waits, this
 * reply is the last of its connection. */
CNC_HOT static bool decide_keep(struct cnc_driver *drv)
{
    struct cnc_solo *solo = solo_of(drv);
    concur_server *server = drv->owner;
    unsigned long long served = cnc_desk_served(drv->home);
    const struct cnc_place *place = &server->place;
    if (served % PUBLISH_EVERY == 0)
        publish(solo);
    /* If the client always sends its next request at once, the process reads the master's messages nowhere else. */
    if (place->board && cnc_board_was_poked(place->board, place->page, place->slot))
        cnc_place_hear(server);
    if (CNC_UNLIKELY(atomic_load_explicit(&server->stop_at, memory_order_relaxed) != INT64_MAX))
        return false;
    if (solo->recycle_at && served >= solo->recycle_at)
        return false;
    return has_idle_peer(server) || !does_somebody_wait(server);
}

static int64_t head_wait(struct cnc_driver *drv)
{
    return does_somebody_wait(drv->owner) ? HEAD_HURRY_MS : HEAD_WAIT_MS;
}

/* Sets how long reads wait for the second and all later requests of a connection. */
static bool stay_with(const struct cnc_conn *conn)
{
    struct timeval wait = { .tv_usec = STAY_MS * 1000 };
    return cnc_sys_setsockopt(cnc_io_fd(&conn->io), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0;
}

CNC_HOT static bool may_keep(struct cnc_driver *drv, struct cnc_conn *conn)
{
    return decide_keep(drv) && (conn->requests != 1 || stay_with(conn));
}

/* If another client waits and no worker is idle, closes the connection if it is idle, lingers, or is new and silent. */
static void on_solo_yield(struct cnc_timer *t)
{
    struct cnc_solo *solo = CNC_CONTAINER(t, struct cnc_solo, yield);
    concur_server *server = solo->serving.server;
    bool due = !has_idle_peer(server) && does_somebody_wait(server);
    struct cnc_driver *drv = &solo->serving.drv;
    if (due && (cnc_driver_reap_idle(drv, 0) || cnc_driver_reap_lingering(drv) || cnc_driver_reap_silent(drv, SILENT_MS)))
        return;
    cnc_home_timer(solo->serving.home, t, cnc_home_now(solo->serving.home) + YIELD_MS);
}

/* Called while the thread waits for its peer. Reads the master's messages, since no other thread does. */
static bool gives_up(struct cnc_driver *drv)
{
    concur_server *server = drv->owner;
    if (server->place.is_child)
        cnc_place_hear(server);
    return cnc_serving_gives_up(drv);
}

/* A turn of the loop. False: the loop is broken, and stays so. */
static bool turn(struct cnc_solo *solo)
{
    if (CNC_LIKELY(cnc_home_turn(solo->serving.home, -1) == CONCUR_OK))
        return true;
    solo->sick = "its loop is broken";
    return false;
}

/* cnc_conn_ops.lost_loop, within cnc_block_serve(). The process has no other loop, so it can serve no more. */
static void solo_lost_loop(struct cnc_driver *drv)
{
    solo_of(drv)->sick = "its loop is broken";
    cnc_request_give_up_all(drv->home, CONCUR_E_FULL);
    while (drv->home->local.head)
        cnc_home_settle(drv->home);
}

/* ---- one connection ---- */

/* A prefork worker has one thread, so it never gives up a connection here; on_solo_yield() does if other clients wait. */
CNC_HOT static bool solo_is_wanted(void *arg)
{
    (void)arg;
    return false;
}

/* Does it wait only for a head: has part of one come, or nothing yet on a new connection? */
static bool solo_waits_for_head(const struct cnc_conn *conn)
{
    bool is_silent = conn->state == CNC_CONN_IDLE && (conn->flags & CNC_CONN_FRESH);
    return (conn->state == CNC_CONN_HEAD || is_silent) && !conn->out;
}

/* Only ends the loop's wait: wait_in_loop() checks the time after each turn. */
static void on_solo_slow(struct cnc_timer *t)
{
    (void)t;
}

/* Has the head that is being read taken HEAD_WAIT_MS? Called after each turn. *since: when it began; 0: no head has. */
static bool is_slow(struct cnc_solo *solo, const struct cnc_conn *conn, int64_t *since)
{
    struct cnc_home *home = solo->serving.home;
    int64_t now = cnc_home_now(home);
    if (conn->state != CNC_CONN_HEAD)
        *since = 0;
    else if (!*since)
        *since = now;
    if (*since && now < *since + HEAD_WAIT_MS && !cnc_timer_is_set(&solo->slow))
        cnc_home_timer(home, &solo->slow, *since + HEAD_WAIT_MS);
    return *since && now >= *since + HEAD_WAIT_MS && solo_waits_for_head(conn);
}

enum waited { WAITED_GONE, WAITED_SERVED, WAITED_SLOW };

/* The peer is silent or slow: the loop drives the connection until a request has been served and nothing is left to read or
 * send, until a head takes too long, or until the connection is gone. In the first two cases the driver has released it. */
static enum waited wait_in_loop(struct cnc_solo *solo, struct cnc_conn *conn)
{
    struct cnc_driver *drv = &solo->serving.drv;
    struct cnc_home *home = solo->serving.home;
    enum waited end = WAITED_GONE;
    uint32_t requests = conn->requests;
    int64_t first = conn->state == CNC_CONN_LINGER ? LINGER_MS : YIELD_MS, slow_since = 0;
    bool may_pass = !conn->ext && cnc_heads_are_awaited(solo->serving.server) && !solo_waits_for_head(conn); /* else tried */
    cnc_home_timer(home, &solo->yield, cnc_home_now(home) + first);
    cnc_driver_take(drv, conn);
    while (drv->count && end == WAITED_GONE) {
        if (!turn(solo) || !drv->count)
            break;
        if (conn->requests != requests && conn->state == CNC_CONN_IDLE && !conn->out && !conn->in)
            end = WAITED_SERVED;
        else if (may_pass && is_slow(solo, conn, &slow_since))
            end = WAITED_SLOW;
    }
    cnc_home_timer_cancel(home, &solo->yield);
    cnc_home_timer_cancel(home, &solo->slow);
    if (end != WAITED_GONE)
        cnc_driver_release(conn);
    return end;
}

static void solo_serve(struct cnc_solo *solo, struct cnc_conn *conn)
{
    struct cnc_home *home = solo->serving.home;
    struct cnc_driver *drv = &solo->serving.drv;
    enum waited waited = WAITED_SERVED;
    while (waited != WAITED_GONE) {
        if (waited == WAITED_SERVED && !cnc_block_serve(drv, conn, solo_is_wanted, solo->serving.server))
            break;
        if (solo_waits_for_head(conn) && cnc_heads_pass(drv, conn))
            break;
        waited = wait_in_loop(solo, conn);
    }
    while (cnc_desk_of(home)->live && turn(solo)) /* requests that go on although the connection is gone */
        continue;
    while (home->local.head)
        cnc_home_settle(home);
}

/* ---- the wait for a connection ---- */

/* The link to the process that waits for heads is the last one. */
static unsigned listeners_of(const struct cnc_solo *solo, const concur_server *server, int out[CNC_LISTEN_MAX + 1])
{
    unsigned n = server->socket_count;
    for (unsigned i = 0; i < n; i++)
        out[i] = server->sockets[i].fd;
    if (solo->room)
        out[n++] = server->place.lend;
    return n;
}

/* The master's message: a connection may wait for which another process was woken. Makes the gate report it here. */
static void look_at_gate(void *arg)
{
    struct cnc_solo *solo = arg;
    int listeners[CNC_LISTEN_MAX + 1];
    if (solo->serving.phase != CNC_SERVING_ON) {
        cnc_place_pass_on(solo->serving.server);
        return;
    }
    unsigned n = listeners_of(solo, solo->serving.server, listeners);
    if (!cnc_gate_look(&solo->gate, listeners, n))
        solo->sick = "it cannot wait for connections any more";
}

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
    if (cnc_accept_is_closed(err))
        solo->sick = "a listening socket was closed";
    else if (cnc_accept_starves(&solo->starved, err, 0, now))
        solo->sick = "it can accept nothing, and has no connection whose end would help";
}

static struct cnc_conn *take_from(struct cnc_solo *solo, unsigned i)
{
    concur_server *server = solo->serving.server;
    struct cnc_accept how = cnc_sockets_accept_how(server, i, true);
    int err = 0;
    struct cnc_conn *conn = cnc_accept(server->sockets[i].fd, &how, &err);
    if (!conn && cnc_accept_fails_again(err)) {
        if (!solo->starved.since) /* the first failure: the kernel may have woken this process alone */
            cnc_place_pass_on(server);
        pause_accepting(solo, err);
    } else {
        solo->starved.since = 0;
    }
    return conn;
}

static struct cnc_conn *take_complete(struct cnc_solo *solo)
{
    concur_server *server = solo->serving.server;
    struct cnc_conn *conn;
    if (cnc_heads_take(&solo->serving.drv, solo->room, &conn) == CONCUR_E_GONE) {
        cnc_gate_leave(&solo->gate, server->place.lend);
        solo->serving.more_may_come = false;
        cnc_free(solo->room); /* without it on_solo_drain() waits for no more heads, if the stop is heard of later */
        solo->room = NULL;
    }
    return conn;
}

/* ms to wait for a connection: -1, no limit; in a stop until its deadline. */
static int how_long(const struct cnc_solo *solo)
{
    const concur_server *server = solo->serving.server;
    int64_t stop_at = atomic_load(&server->stop_at);
    int64_t left = stop_at == INT64_MAX ? -1 : stop_at - cnc_clock_now(server->clock);
    return stop_at == INT64_MAX ? -1 : left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* Frees the chunks that large bodies have used if nothing has come for CNC_DESK_REST_MS. */
static int wait_at_gate(struct cnc_solo *solo)
{
    struct cnc_home *home = solo->serving.home;
    unsigned uses = cnc_depot_uses(cnc_desk_of(home)->depot);
    int ms = how_long(solo);
    bool rests = cnc_desk_of(home)->chunks.first && (ms < 0 || ms > CNC_DESK_REST_MS);
    int i = cnc_gate_wait(&solo->gate, rests ? CNC_DESK_REST_MS : ms);
    if (i < 0 && rests) {
        cnc_chunks_free(&cnc_desk_of(home)->chunks);
        cnc_depot_rest(cnc_desk_of(home)->depot, uses);
    }
    return i;
}

static struct cnc_conn *solo_take(struct cnc_solo *solo, unsigned i)
{
    concur_server *server = solo->serving.server;
    struct cnc_conn *conn = i < server->socket_count ? take_from(solo, i) : take_complete(solo);
    if (!conn)
        return NULL;
    atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
    int fd = cnc_io_fd(&conn->io);
    if (CNC_LIKELY(fd != solo->gate.epoll && !cnc_serving_owns(&solo->serving, fd)))
        return conn;
    cnc_conn_end(&solo->serving.drv, conn);
    solo->sick = "a descriptor of this process was closed";
    return NULL;
}

/* NULL: none came; the caller checks for a stop and for solo->sick. */
static struct cnc_conn *wait_for_one(struct cnc_solo *solo)
{
    concur_server *server = solo->serving.server;
    struct cnc_place *place = &server->place;
    publish(solo);
    if (place->board)
        cnc_board_set_idle(place->board, place->page, place->slot, true);
    int i = wait_at_gate(solo);
    if (place->board)
        cnc_board_set_idle(place->board, place->page, place->slot, false);
    if (i >= 0 && (unsigned)i < solo->gate.listeners)
        return solo_take(solo, (unsigned)i);
    if (i == CNC_GATE_BROKEN)
        solo->sick = "the descriptor on which it waits for connections was closed";
    if (!cnc_sys_eventfd_clear(server->stop_fd))
        solo->sick = "the descriptor that reports a stop was closed";
    if (place->is_child)
        cnc_place_hear(server);
    return NULL;
}

/* ---- life ---- */

/* Nothing is accepted any more. If the whole generation stops, complete heads still come: the process that waits for heads ends
 * first, and passes on those that it has. */
static void on_solo_drain(struct cnc_serving *s)
{
    struct cnc_solo *solo = CNC_CONTAINER(s, struct cnc_solo, serving);
    const concur_server *server = s->server;
    for (unsigned i = 0; i < server->socket_count; i++)
        cnc_gate_leave(&solo->gate, server->sockets[i].fd);
    s->more_may_come = solo->room && server->place.all_stop;
}

static void on_solo_give_up(struct cnc_serving *s)
{
    s->more_may_come = false;
}

void cnc_solo_close(struct cnc_solo *solo)
{
    cnc_gate_close(&solo->gate);
    cnc_serving_close(&solo->serving);
    cnc_free(solo->room);
}

int cnc_solo_open(struct cnc_solo *solo, concur_server *server)
{
    int listeners[CNC_LISTEN_MAX + 1], others[2] = { server->stop_fd, server->place.link };
    unsigned n;
    bool has_heads = server->place.lend >= 0;
    *solo = (struct cnc_solo){ .gate.epoll = -1, .yield.fn = on_solo_yield, .slow.fn = on_solo_slow,
                               .recycle_at = server->place.recycle_at, .warned_at = INT64_MIN / 2,
                               .room = has_heads ? cnc_malloc(CNC_HEADS_ROOM) : NULL };
    if (has_heads && !solo->room)
        return CONCUR_E_NOMEM;
    server->place.recycle_at = 0; /* this worker ends by itself after so many requests: it asks for no successor before that */
    solo->ops = cnc_request_conn_ops;
    solo->ops.closed = cnc_serving_closed;
    solo->ops.gives_up = gives_up;
    solo->ops.may_keep = may_keep;
    solo->ops.head_wait = head_wait;
    solo->ops.lost_loop = solo_lost_loop;
    n = listeners_of(solo, server, listeners);
    int rc = cnc_serving_open(&solo->serving, server, &solo->ops,
                              CNC_SERVING_BLOCKING_SOCKETS | CNC_SERVING_BLOCKING_HOME | CNC_SERVING_NO_ACCEPT);
    if (rc == CONCUR_OK)
        rc = cnc_gate_open(&solo->gate, listeners, n, others, server->place.is_child ? 2 : 1);
    solo->serving.drains = on_solo_drain;
    solo->serving.gave_up = on_solo_give_up;
    if (rc < 0)
        cnc_solo_close(solo);
    return rc;
}

void cnc_solo_stats(const struct cnc_solo *solo, struct cnc_engine_stats *out)
{
    *out = (struct cnc_engine_stats){ .threads = 1, .requests = cnc_desk_served(solo->serving.home),
                                      .accepted = solo->accepted };
}

int cnc_solo_run(struct cnc_solo *solo, bool may_give_up)
{
    struct cnc_serving *s = &solo->serving;
    concur_server *server = s->server;
    int rc = cnc_serving_begin(s);
    server->place.look = look_at_gate;
    server->place.look_arg = solo;
    while (!solo->sick && rc == CONCUR_OK && (rc = cnc_serving_look(s, may_give_up)) == CONCUR_AGAIN) {
        struct cnc_conn *conn = NULL;
        rc = CONCUR_OK;
        if (s->phase == CNC_SERVING_ON || s->more_may_come)
            conn = wait_for_one(solo);
        else
            (void)turn(solo);
        if (!conn)
            continue;
        solo->accepted += !(conn->flags & CNC_CONN_READY); /* the others were accepted before */
        solo_serve(solo, conn);
        if (solo->recycle_at && cnc_desk_served(s->home) >= solo->recycle_at)
            cnc_place_stop(server, server->setup->cfg.stop_timeout);
    }
    if (!solo->sick || rc != CONCUR_OK)
        return rc;
    (void)cnc_error_set(CONCUR_E_SYS, "%s", solo->sick);
    return cnc_serving_fail(s, may_give_up);
}
