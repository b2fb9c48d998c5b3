/* SPDX-License-Identifier: MIT */
#include "serve/heads.h"

#include "base/sys.h"
#include "net/passing.h"
#include "proc/board.h"
#include "request/request.h"

#define NOTES_AT_ONCE 64
#define RETRY_MS 20 /* until the system may allow another descriptor in a message */

/* A message, in both directions: this note, the bytes that were read and not parsed, and the connection's descriptor. */
struct head_note {
    int64_t at;        /* to a worker: monotonic ms at which the head was complete */
    uint32_t requests; /* begun on the connection so far */
    uint32_t last;     /* 1: its next reply is its last */
};

/* CONCUR_OK: the other side has the connection, and our copy is closed. */
static int send_conn(struct cnc_driver *drv, int link, struct cnc_conn *conn, int64_t at)
{
    struct cnc_slice bytes = cnc_conn_input(conn);
    struct head_note note = { .at = at, .requests = conn->requests, .last = (conn->flags & CNC_CONN_LAST) != 0 };
    struct iovec iov[2] = { { &note, sizeof note }, { (void *)(uintptr_t)bytes.p, bytes.n } };
    bool fits = bytes.n <= CNC_HEADS_ROOM - sizeof note;
    int rc = fits ? cnc_passing_send(link, iov, 2, cnc_io_fd(&conn->io), false) : CONCUR_E_LIMIT;
    if (rc == CONCUR_OK)
        cnc_conn_forget(drv, conn);
    return rc;
}

/* CONCUR_OK with a connection; CONCUR_AGAIN: none; CONCUR_E_GONE: the link has ended; CONCUR_E_NOMEM: one cannot be served; if
 * *out was set, the caller closes it. */
static int receive_conn(int link, char *room, struct cnc_conn **out, int64_t *at)
{
    struct head_note note;
    int fd = -1;
    ssize_t n = cnc_passing_recv(link, room, CNC_HEADS_ROOM, &fd, false);
    if (n == 0 || (n < 0 && n != -EAGAIN && n != -EMSGSIZE))
        return CONCUR_E_GONE;
    if (n < 0)
        return CONCUR_AGAIN;
    struct cnc_conn *conn = n >= (ssize_t)sizeof note && fd >= 0 ? cnc_conn_create(fd, &cnc_transport_plain, NULL) : NULL;
    if (!conn) {
        cnc_sys_close(&fd);
        return CONCUR_E_NOMEM;
    }
    memcpy(&note, room, sizeof note);
    *out = conn;
    *at = note.at;
    conn->requests = note.requests;
    if (note.requests)
        conn->flags &= (uint32_t)~CNC_CONN_FRESH;
    if (note.last)
        conn->flags |= CNC_CONN_LAST;
    return cnc_conn_preload(conn, room + sizeof note, (size_t)n - sizeof note);
}

/* ---- the process that waits ---- */

static struct cnc_heads *heads_of(struct cnc_driver *drv)
{
    return CNC_CONTAINER(drv, struct cnc_heads, serving.drv);
}

static bool heads_has_room(const struct cnc_heads *h)
{
    const concur_server *server = h->serving.server;
    return atomic_load_explicit(&server->connections, memory_order_relaxed) < server->setup->connections_max;
}

/* While connections_max are open nothing is read, and workers keep what they cannot pass. */
static void heads_watch(struct cnc_heads *h)
{
    unsigned mask = (heads_has_room(h) ? CNC_IO_READ : 0u) | (h->is_clogged && !h->is_short ? CNC_IO_WRITE : 0u);
    if (h->has_link && cnc_io_watch(h->serving.home->loop, &h->io, mask) < 0)
        cnc_log(&h->serving.server->log, CONCUR_LOG_ERROR, "heads: the link to the workers cannot be watched");
}

static void heads_unqueue(struct cnc_heads *h, struct cnc_conn *conn)
{
    cnc_link_remove(&conn->job.link);
    (void)cnc_io_watch(h->serving.home->loop, &conn->io, 0);
    h->queue_len--;
}

/* The client has left, so its request need not be served. */
static void on_heads_client_left(struct cnc_io *io, unsigned ready)
{
    struct cnc_conn *conn = CNC_CONTAINER(io, struct cnc_conn, io);
    struct cnc_heads *h = heads_of(conn->drv);
    (void)ready;
    heads_unqueue(h, conn);
    cnc_conn_end(&h->serving.drv, conn);
}

static void queue_conn(struct cnc_heads *h, struct cnc_conn *conn)
{
    cnc_link_append(&h->queue, &conn->job.link);
    h->queue_len++;
    cnc_io_init(h->serving.home->loop, &conn->io, cnc_io_fd(&conn->io), on_heads_client_left);
    if (!h->serving.drv.limits->half_close)
        (void)cnc_io_watch(h->serving.home->loop, &conn->io, CNC_IO_CLOSED);
}

/* Passes on as many connections as the link takes, first to last. */
static void serve_queue(struct cnc_heads *h)
{
    struct cnc_driver *drv = &h->serving.drv;
    while (!cnc_link_alone(&h->queue) && !h->is_clogged) {
        struct cnc_conn *conn = CNC_CONTAINER(h->queue.next, struct cnc_conn, job.link);
        int64_t at = conn->deadline;
        heads_unqueue(h, conn);
        int rc = send_conn(drv, cnc_io_fd(&h->io), conn, at);
        if (rc == CONCUR_AGAIN || rc == CONCUR_E_FULL) {
            queue_conn(h, conn); /* at the end of the queue, so it loses its place; the link takes no other one now either */
            h->is_clogged = true;
            h->is_short = rc == CONCUR_E_FULL;
            if (h->is_short) /* the link may be writable meanwhile, so watching it would make the loop spin */
                cnc_home_timer(h->serving.home, &h->retry, cnc_home_now(h->serving.home) + RETRY_MS);
        } else if (rc != CONCUR_OK) {
            cnc_log(&h->serving.server->log, CONCUR_LOG_ERROR, "heads: a complete head of %zu bytes cannot be passed on: %s",
                    cnc_conn_input(conn).n,
                    rc == CONCUR_E_LIMIT ? "the system allows no message of that size" : "no worker is left");
            cnc_driver_refuse(drv, conn, 503);
        }
    }
}

static void on_heads_retry(struct cnc_timer *t)
{
    struct cnc_heads *h = CNC_CONTAINER(t, struct cnc_heads, retry);
    h->is_clogged = h->is_short = false;
    serve_queue(h);
    heads_watch(h);
}

static void heads_handover(struct cnc_driver *drv, struct cnc_conn *conn)
{
    struct cnc_heads *h = heads_of(drv);
    queue_conn(h, conn);
    if (h->is_clogged)
        return;
    serve_queue(h);
    if (h->is_clogged)
        heads_watch(h);
}

/* If this process lacks memory for long it ends: its successor may have more. */
static void look_for_starvation(struct cnc_heads *h)
{
    struct cnc_home *home = h->serving.home;
    if (cnc_accept_starves(&h->starved, ENOMEM, h->serving.drv.count, cnc_home_now(home)))
        cnc_loop_break(home->loop, "it can take no connection, and has none whose end would help");
}

static void take_conns(struct cnc_heads *h)
{
    concur_server *server = h->serving.server;
    int rc = CONCUR_OK;
    for (int i = 0; i < NOTES_AT_ONCE && heads_has_room(h); i++) {
        struct cnc_conn *conn = NULL;
        int64_t unused;
        rc = receive_conn(cnc_io_fd(&h->io), h->room, &conn, &unused);
        if (rc == CONCUR_E_GONE || rc == CONCUR_AGAIN)
            break;
        if (rc < 0) {
            cnc_log(&server->log, CONCUR_LOG_WARN, "heads: no memory or descriptor for a connection, which is closed");
            look_for_starvation(h);
        }
        if (!conn)
            continue;
        atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
        if (rc == CONCUR_OK)
            h->starved.since = 0;
        if (rc == CONCUR_OK)
            cnc_driver_take(&h->serving.drv, conn);
        else
            cnc_conn_end(&h->serving.drv, conn);
    }
    if (rc == CONCUR_E_GONE) { /* no worker is left, and the master will start none */
        (void)cnc_io_watch(h->serving.home->loop, &h->io, 0);
        h->has_link = false;
    }
}

static void on_heads_link(struct cnc_io *io, unsigned ready)
{
    struct cnc_heads *h = CNC_CONTAINER(io, struct cnc_heads, io);
    if (ready & CNC_IO_WRITE) {
        h->is_clogged = false;
        serve_queue(h);
    }
    if (ready & CNC_IO_READ)
        take_conns(h);
    heads_watch(h);
}

/* A connection was closed: there may be room for another one. */
static void on_heads_closed(struct cnc_driver *drv)
{
    struct cnc_heads *h = heads_of(drv);
    bool was_full = !heads_has_room(h);
    cnc_serving_closed(drv);
    if (was_full)
        heads_watch(h);
}

static void on_heads_gave_up(struct cnc_serving *s)
{
    struct cnc_heads *h = CNC_CONTAINER(s, struct cnc_heads, serving);
    while (!cnc_link_alone(&h->queue)) {
        struct cnc_conn *conn = CNC_CONTAINER(h->queue.next, struct cnc_conn, job.link);
        heads_unqueue(h, conn);
        cnc_driver_refuse(&s->drv, conn, 503);
    }
    cnc_home_timer_cancel(s->home, &h->retry);
}

void cnc_heads_close(struct cnc_heads *h)
{
    if (h->has_link)
        (void)cnc_io_watch(h->serving.home->loop, &h->io, 0);
    if (h->serving.home)
        cnc_home_timer_cancel(h->serving.home, &h->retry);
    cnc_serving_close(&h->serving);
    cnc_free(h->room);
}

int cnc_heads_open(struct cnc_heads *h, concur_server *server)
{
    *h = (struct cnc_heads){ .ops = cnc_request_conn_ops, .room = cnc_malloc(CNC_HEADS_ROOM),
                             .retry.fn = on_heads_retry };
    cnc_link_init(&h->queue);
    h->ops.closed = on_heads_closed;
    h->ops.handover = heads_handover;
    int rc = h->room ? cnc_serving_open(&h->serving, server, &h->ops, CNC_SERVING_NO_ACCEPT) : CONCUR_E_NOMEM;
    if (rc == CONCUR_OK) {
        h->serving.gave_up = on_heads_gave_up;
        cnc_io_init(h->serving.home->loop, &h->io, server->place.lend, on_heads_link);
        rc = cnc_io_watch(h->serving.home->loop, &h->io, CNC_IO_READ);
        h->has_link = rc == CONCUR_OK;
    }
    if (rc < 0)
        cnc_heads_close(h);
    return rc;
}

int cnc_heads_run(struct cnc_heads *h, bool may_give_up)
{
    return cnc_serving_run(&h->serving, may_give_up);
}

void cnc_heads_stats(const struct cnc_heads *h, struct cnc_engine_stats *out)
{
    *out = (struct cnc_engine_stats){ .threads = 1, .queued = h->queue_len, .stalls = atomic_load(&h->serving.stalls) };
}

/* ---- a worker ---- */

bool cnc_heads_are_awaited(const concur_server *server)
{
    return server->place.peer_row && cnc_board_is(server->place.peer_row, CNC_BOARD_SERVING);
}

bool cnc_heads_pass(struct cnc_driver *drv, struct cnc_conn *conn)
{
    const concur_server *server = drv->owner;
    return !conn->ext && cnc_heads_are_awaited(server) && send_conn(drv, server->place.lend, conn, 0) == CONCUR_OK;
}

int cnc_heads_take(struct cnc_driver *drv, char *room, struct cnc_conn **out)
{
    concur_server *server = drv->owner;
    int64_t at = 0;
    *out = NULL;
    int rc = receive_conn(server->place.lend, room, out, &at);
    if (rc == CONCUR_OK) {
        (*out)->flags |= CNC_CONN_READY;
        (*out)->deadline = at;
        return rc;
    }
    if (*out) {
        atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
        cnc_conn_end(drv, *out);
    }
    *out = NULL;
    return rc == CONCUR_E_GONE ? rc : CONCUR_AGAIN;
}
