/* SPDX-License-Identifier: MIT */
#include "conn/acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/sys.h"

#define PAUSE_MS 50
#define REAP_AFTER_MS 1000 /* a connection that has been idle for less is not closed to make room */
#define IN_A_ROW 16 /* accepts after which another process is woken first */

static void on_acceptor_ready(struct cnc_io *io, unsigned ready);

static void take_a_break(struct cnc_acceptor *a, const char *what, int err);

static void on_acceptor_retry(struct cnc_timer *t)
{
    struct cnc_acceptor *a = CNC_CONTAINER(t, struct cnc_acceptor, retry);
    a->paused = false;
    if (a->running && cnc_acceptor_start(a) < 0)
        take_a_break(a, "watching the listening socket", ENOMEM);
}

int cnc_acceptor_init(struct cnc_acceptor *a, struct cnc_driver *drv, const struct cnc_acceptor_config *cfg,
                      const struct cnc_accept_from *from, unsigned count)
{
    *a = (struct cnc_acceptor){ .drv = drv, .cfg = *cfg, .count = count, .retry.fn = on_acceptor_retry, .warned_at = -1000 };
    a->sockets = cnc_calloc(count ? count : 1, sizeof *a->sockets);
    if (!a->sockets)
        return CONCUR_E_NOMEM;
    for (unsigned i = 0; i < count; i++) {
        a->sockets[i].acceptor = a;
        a->sockets[i].how = from[i].how;
        cnc_io_init(drv->home->loop, &a->sockets[i].io, from[i].fd, on_acceptor_ready);
    }
    return CONCUR_OK;
}

static void acceptor_watch(struct cnc_acceptor *a, unsigned mask)
{
    for (unsigned i = 0; i < a->count; i++) {
        struct cnc_acceptor_socket *s = &a->sockets[i];
        if (s->watched != (mask != 0))
            s->watched = cnc_io_watch(a->drv->home->loop, &s->io, mask) == CONCUR_OK && mask;
    }
}

static bool acceptor_has_room(const struct cnc_acceptor *a)
{
    return atomic_load_explicit(a->cfg.open, memory_order_relaxed) < a->cfg.connections_max;
}

static unsigned how_to_watch(const struct cnc_acceptor *a)
{
    return a->cfg.exclusive && !a->maybe_full ? CNC_IO_READ | CNC_IO_EXCLUSIVE : CNC_IO_READ;
}

/* Registers again at once, so that the new mask takes effect. */
static void watch_again(struct cnc_acceptor *a, struct cnc_acceptor_socket *s)
{
    s->watched = cnc_io_watch(a->drv->home->loop, &s->io, how_to_watch(a)) == CONCUR_OK;
    if (!s->watched)
        take_a_break(a, "watching the listening socket", ENOMEM);
}

/* The kernel wakes one process for a new connection. If that one is full, no other process learns of the connection. So
 * a process that may be full watches without EPOLLEXCLUSIVE. */
static void set_maybe_full(struct cnc_acceptor *a, bool maybe_full)
{
    if (!a->cfg.exclusive || a->maybe_full == maybe_full)
        return;
    a->maybe_full = maybe_full;
    for (unsigned i = 0; i < a->count; i++)
        if (a->sockets[i].watched)
            watch_again(a, &a->sockets[i]);
}

int cnc_acceptor_start(struct cnc_acceptor *a)
{
    a->running = true;
    acceptor_watch(a, how_to_watch(a));
    for (unsigned i = 0; i < a->count; i++)
        if (!a->sockets[i].watched)
            return CONCUR_E_SYS;
    return CONCUR_OK;
}

void cnc_acceptor_begin(struct cnc_acceptor *a)
{
    if (cnc_acceptor_start(a) < 0)
        take_a_break(a, "watching the listening socket", ENOMEM);
}

void cnc_acceptor_stop(struct cnc_acceptor *a)
{
    a->running = false;
    if (a->sockets)
        acceptor_watch(a, 0);
    cnc_home_timer_cancel(a->drv->home, &a->retry);
    a->paused = false;
}

void cnc_acceptor_deinit(struct cnc_acceptor *a)
{
    if (!a->sockets)
        return;
    cnc_acceptor_stop(a);
    cnc_free(a->sockets);
    a->sockets = NULL;
}

/* Stops accepting for a while; connections wait in the kernel's queue. what: for the warning; NULL: none. */
static void take_a_break(struct cnc_acceptor *a, const char *what, int err)
{
    int64_t now = cnc_home_now(a->drv->home);
    if (what && now - a->warned_at >= 1000) {
        a->warned_at = now;
        a->cfg.warn(a->cfg.warn_arg, what, err);
    }
    cnc_home_timer(a->drv->home, &a->retry, now + PAUSE_MS);
    a->pauses++;
    a->paused = true;
    a->maybe_full = a->cfg.exclusive;
    acceptor_watch(a, 0);
}

/* A process that begins to watch is told of connections that wait already. After a pause that happens anyway. */
void cnc_acceptor_look(struct cnc_acceptor *a)
{
    for (unsigned i = 0; i < a->count && !a->paused; i++)
        if (a->sockets[i].watched)
            watch_again(a, &a->sockets[i]);
}

void cnc_acceptor_nudge(struct cnc_acceptor *a)
{
    if (!a->paused) {
        set_maybe_full(a, a->maybe_full && !acceptor_has_room(a));
        return;
    }
    a->maybe_full = a->maybe_full && !acceptor_has_room(a);
    cnc_home_timer_cancel(a->drv->home, &a->retry);
    on_acceptor_retry(&a->retry);
}

/* Closes a connection that is idle between two requests; if there is none, one that never began a request. */
static bool make_room(struct cnc_acceptor *a)
{
    return cnc_driver_reap_idle(a->drv, REAP_AFTER_MS) || cnc_driver_reap_silent(a->drv, REAP_AFTER_MS);
}

static bool is_full(struct cnc_acceptor *a)
{
    return !acceptor_has_room(a) && !make_room(a);
}

/* May fail on an adopted socket. Then small packets are only sent later. */
static void set_nodelay(int fd, int nodelay)
{
    (void)cnc_sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, sizeof nodelay);
}

static bool set_receive_wait(int fd, int64_t ms)
{
    struct timeval wait = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };
    return cnc_sys_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0;
}

/* Sets the socket's options. Usually the socket has them from its listener. False: the receive timeout cannot be set, so a
 * thread could wait in recv() for ever. */
static bool tune(int fd, const struct cnc_accept *how)
{
    if (CNC_UNLIKELY(how->sets_nodelay))
        set_nodelay(fd, how->nodelay);
    return CNC_LIKELY(!how->sets_wait) || set_receive_wait(fd, how->receive_wait_ms);
}

bool cnc_accept_fails_again(int err)
{
    switch (err) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED: /* from here on: that one peer is gone, or its network had an error (accept(2)) */
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPERM:
    case EPROTO:
    case ETIMEDOUT:
        return false;
    default:
        return true;
    }
}

bool cnc_accept_is_closed(int err)
{
    return err == EBADF || err == ENOTSOCK || err == EINVAL;
}

bool cnc_accept_starves(struct cnc_starved *starved, int err, unsigned open, int64_t now)
{
    if (!err || open > 0)
        starved->since = 0;
    else if (!starved->since)
        starved->since = now;
    return starved->since && now - starved->since >= CNC_STARVED_MS;
}

static bool is_exhausted(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

struct cnc_conn *cnc_accept(int listener, const struct cnc_accept *how, int *err)
{
    int fd = cnc_sys_accept(listener, NULL, NULL, how->non_blocking ? SOCK_NONBLOCK : 0);
    *err = errno;
    if (fd < 0)
        return NULL;
    struct cnc_conn *conn = NULL;
    *err = ECONNABORTED;
    if (tune(fd, how)) {
        conn = how->leases && how->factory ? cnc_conn_create_lease(fd, how->factory) : cnc_conn_create_with(fd, how->factory);
        *err = conn ? 0 : ENOMEM;
    }
    if (!conn)
        cnc_sys_close(&fd);
    return conn;
}

static void cannot_accept(struct cnc_acceptor *a, int err)
{
    struct cnc_loop *loop = a->drv->home->loop;
    unsigned open = atomic_load_explicit(a->cfg.open, memory_order_relaxed);
    bool was_told_alone = a->cfg.exclusive && !a->maybe_full;
    take_a_break(a, "accept", err);
    if (was_told_alone && a->cfg.pass_on)
        a->cfg.pass_on(a->cfg.pass_on_arg);
    if (cnc_accept_is_closed(err))
        cnc_loop_break(loop, "a listening socket was closed");
    else if (cnc_accept_starves(&a->starved, err, open, cnc_home_now(a->drv->home)))
        cnc_loop_break(loop, "it can accept nothing, and has no connection whose end would help");
}

/* True: go on accepting. */
static bool accept_one(struct cnc_acceptor *a, const struct cnc_acceptor_socket *s)
{
    int err;
    struct cnc_conn *conn = cnc_accept(cnc_io_fd(&s->io), &s->how, &err);
    if (!conn && cnc_accept_fails_again(err)) {
        if (!is_exhausted(err) || !make_room(a))
            cannot_accept(a, err);
        return false;
    }
    a->starved.since = 0;
    if (!conn)
        return err != EAGAIN;
    atomic_store_explicit(&a->accepted, atomic_load_explicit(&a->accepted, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_fetch_add_explicit(a->cfg.open, 1, memory_order_relaxed);
    if (CNC_UNLIKELY(a->cfg.owns && a->cfg.owns(a->cfg.owns_arg, cnc_io_fd(&conn->io)))) {
        cnc_loop_break(a->drv->home->loop, "a descriptor of this process was closed");
        cnc_conn_end(a->drv, conn);
        return false;
    }
    cnc_driver_take(a->drv, conn);
    return true;
}

/* The kernel wakes the process that has watched longest. After IN_A_ROW connections this process registers anew, so
 * that the others come first. */
static void give_way(struct cnc_acceptor *a, struct cnc_acceptor_socket *s)
{
    if (++a->in_a_row < IN_A_ROW)
        return;
    a->in_a_row = 0;
    if (a->cfg.exclusive && s->watched)
        watch_again(a, s);
}

static void on_acceptor_ready(struct cnc_io *io, unsigned ready)
{
    struct cnc_acceptor_socket *s = CNC_CONTAINER(io, struct cnc_acceptor_socket, io);
    struct cnc_acceptor *a = s->acceptor;
    (void)ready;
    (void)cnc_loop_now(a->drv->home->loop); /* read before the first requests call the program, as in driver.c */
    for (unsigned n = 0; n < a->cfg.batch && a->running && !a->paused; n++) {
        if (is_full(a)) {
            bool is_asked = a->cfg.ask_room && a->cfg.ask_room(a->cfg.ask_room_arg);
            take_a_break(a, is_asked ? NULL : "connections_max reached", 0);
            return;
        }
        if (!accept_one(a, s))
            return;
        set_maybe_full(a, !acceptor_has_room(a));
        give_way(a, s);
    }
}
