/* SPDX-License-Identifier: MIT
 *
 * The blocking driver: one connection on a thread. The thread reads, parses, calls the handler and writes with calls
 * that block. Only while a request waits for something (a timer, a ticket, the rest of its body) does the thread run
 * its private event loop, where the event driver (driver.c) drives the connection.
 */
#include "base/sys.h"
#include "conn/conn.h"

#define LOOK_MS 200 /* a wait for the peer checks so often whether the server gives up requests */

/* Waits until more can be sent. events: POLLOUT, or POLLIN if the transport must read before it writes.
 * CONCUR_E_TIMEOUT: the peer took nothing for the write timeout. CONCUR_E_GONE: nothing more can be sent, or the server
 * gives up. */
static int block_wait_for_room(struct cnc_conn *conn, short events)
{
    struct cnc_driver *drv = conn->drv;
    struct pollfd p = { .fd = cnc_io_fd(&conn->io), .events = events };
    int64_t until = cnc_clock_now(drv->home->clock) + drv->limits->class_ms[CNC_CLASS_WRITE];
    (void)cnc_conn_peer_takes(conn);
    for (;;) {
        int64_t left = until - cnc_clock_now(drv->home->clock);
        if (left <= 0 && cnc_conn_peer_takes(conn)) {
            left = drv->limits->class_ms[CNC_CLASS_WRITE];
            until += left;
        }
        if (left <= 0)
            return CONCUR_E_TIMEOUT;
        if (drv->ops->gives_up && drv->ops->gives_up(drv))
            return CONCUR_E_GONE;
        int n = cnc_sys_poll(&p, 1, left < LOOK_MS ? (int)left : LOOK_MS);
        if (n > 0)
            return CONCUR_OK;
        cnc_chunks_free(&cnc_desk_of(drv->home)->chunks); /* the peer is slow, so they are not needed soon */
        if (n < 0 && errno != EINTR)
            return CONCUR_E_GONE;
    }
}

/* cnc_driver.wait_for_room of a thread. */
static int block_flush(struct cnc_conn *conn, size_t down_to)
{
    for (;;) {
        cnc_conn_flush(conn);
        if (conn->state == CNC_CONN_CLOSED)
            return CONCUR_E_GONE;
        if (cnc_conn_queued(conn) <= down_to)
            return CONCUR_OK;
        int rc = block_wait_for_room(conn, conn->flags & CNC_CONN_WRITE_READS ? POLLIN : POLLOUT);
        if (rc < 0) {
            conn->flags |= CNC_CONN_RESET;
            cnc_conn_free_output(conn);
            cnc_conn_lose(conn, rc);
            cnc_conn_step(conn, CNC_CONN_ON_ERROR);
            return rc;
        }
    }
}

/* The thread cannot have an event loop, so the request cannot wait: answers 503. */
static void refuse_to_wait(struct cnc_driver *drv, struct cnc_conn *conn)
{
    drv->ops->runs_short(drv, "a request that waits is answered with 503");
    cnc_conn_lose(conn, CONCUR_E_FULL);
    conn->exchange.status = 503;
    cnc_conn_step(conn, CNC_CONN_ON_BAD);
}

/* What cnc_block_serve() does next. */
enum block_next {
    BLOCK_LOOK, /* looks at the connection again */
    BLOCK_PARK, /* lets go of the connection */
    BLOCK_GONE  /* nothing: the connection is gone */
};

/* The request waits for something: runs the event loop until the request has its reply. */
static enum block_next turn_loop(struct cnc_driver *drv, struct cnc_conn *conn)
{
    if (cnc_driver_need_loop(drv) < 0) {
        refuse_to_wait(drv, conn);
        return BLOCK_LOOK;
    }
    cnc_conn_finish(conn);
    while (drv->count && ((conn->exchange.stream && conn->state == CNC_CONN_BUSY) || conn->state == CNC_CONN_CLOSED))
        if (cnc_home_turn(drv->home, -1) < 0) {
            drv->ops->runs_short(drv, "a request that waits is given up");
            cnc_driver_lose_loop(drv);
        }
    if (!drv->count)
        return BLOCK_GONE;
    cnc_driver_hold(conn);
    drv->current = conn;
    return BLOCK_LOOK;
}

/* Requests that have been answered may still have timers, tickets or offloads here. Runs a turn of the loop for them,
 * before each further request: a client that sends requests without a pause must not delay them. */
static void look_aside(struct cnc_home *home)
{
    if (cnc_home_need_loop(home) == CONCUR_OK)
        cnc_home_turn(home, 0);
}

/* Runs the home's tasks. One may have asked for the request's body, part of which is in the input buffer already. No
 * event comes for that, so it is looked at here. */
static void settle_tasks(struct cnc_driver *drv, struct cnc_conn *conn)
{
    cnc_home_settle(drv->home);
    if (!drv->count || !conn->exchange.stream || conn->state != CNC_CONN_BUSY)
        return;
    drv->current = conn;
    cnc_conn_resume(conn);
}

/* Runs tasks, and a turn of the loop for requests that were answered. False: the connection is gone. */
static bool settle(struct cnc_driver *drv, struct cnc_conn *conn)
{
    while (drv->home->local.head)
        settle_tasks(drv, conn);
    if (drv->count && cnc_desk_of(drv->home)->live && !conn->exchange.stream)
        look_aside(drv->home);
    if (!drv->count)
        return false;
    drv->current = conn;
    return true;
}

/* A wait for the first head of a connection, or for the rest of a head. */
struct head_wait {
    int64_t until;
    uint32_t request; /* number of the connection's request whose head is awaited, from 1; 0: none yet */
};

static bool block_waits_for_head(const struct cnc_conn *conn)
{
    bool is_first = (conn->state == CNC_CONN_IDLE && conn->requests == 0) || conn->state == CNC_CONN_GREET;
    return (conn->state == CNC_CONN_HEAD || is_first) && !conn->out && !cnc_conn_waits_for_turn(conn);
}

static void look_for_head(struct cnc_conn *conn)
{
    if (CNC_UNLIKELY(conn->state == CNC_CONN_GREET))
        cnc_wants_greet(conn);
    else
        cnc_conn_read(conn, false);
}

/* True: something came. False: it has taken too long. */
static bool await_head(struct cnc_driver *drv, struct cnc_conn *conn, struct head_wait *wait)
{
    struct pollfd p = { .fd = cnc_io_fd(&conn->io) };
    uint64_t moved = conn->moved;
    bool is_new = wait->request != conn->requests + 1;
    if ((is_new && conn->state != CNC_CONN_HEAD) || cnc_conn_has_pending(conn)) /* bytes may have come already */
        look_for_head(conn);
    int64_t now = cnc_clock_now(drv->home->clock);
    if (is_new)
        *wait = (struct head_wait){ now + drv->ops->head_wait(drv), conn->requests + 1 };
    if (conn->moved != moved || conn->state == CNC_CONN_CLOSED)
        return true;
    p.events = conn->flags & CNC_CONN_READ_WRITES ? POLLOUT : POLLIN;
    if (now >= wait->until || cnc_sys_poll(&p, 1, (int)(wait->until - now)) <= 0)
        return false;
    look_for_head(conn);
    return true;
}

/* Between two requests: waits for the next one, if this thread should. */
static enum block_next await_request(struct cnc_driver *drv, struct cnc_conn *conn, bool (*is_wanted)(void *), void *arg)
{
    if (is_wanted(arg))
        return BLOCK_PARK;
    uint64_t moved = conn->moved;
    if (CNC_UNLIKELY(drv->loan != NULL))
        drv->loan->progress(drv, conn, false);
    cnc_conn_read(conn, true);
    if (CNC_LIKELY(conn->moved != moved || conn->state != CNC_CONN_IDLE))
        return BLOCK_LOOK;
    if (!(conn->flags & CNC_CONN_READ_WRITES) || is_wanted(arg) || block_wait_for_room(conn, POLLOUT) < 0)
        return BLOCK_PARK;
    return BLOCK_LOOK;
}

/* The usual state: the request before is complete, its reply has been sent, and the next request has not begun. */
static bool is_between_requests(const struct cnc_driver *drv, const struct cnc_conn *conn)
{
    return conn->state == CNC_CONN_IDLE && conn->requests > 0 && !conn->in && !conn->out && !drv->scratch_len &&
           !(conn->flags & (CNC_CONN_LAST | CNC_CONN_STOPPED));
}

/* Does what the state of the connection asks for. */
static enum block_next block_go_on(struct cnc_driver *drv, struct cnc_conn *conn, struct head_wait *head,
                                   bool (*is_wanted)(void *), void *arg)
{
    if (conn->state == CNC_CONN_FLUSH && !conn->out && !drv->scratch_len)
        cnc_conn_step(conn, CNC_CONN_ON_FLUSHED);
    if (conn->state == CNC_CONN_CLOSED) {
        cnc_conn_finish(conn);
        return BLOCK_GONE;
    }
    if (conn->state == CNC_CONN_UPGRADED)
        return BLOCK_PARK;
    if (conn->exchange.stream)
        return turn_loop(drv, conn);
    if (drv->scratch_len)
        return BLOCK_LOOK;
    if (drv->ops->head_wait && block_waits_for_head(conn))
        return await_head(drv, conn, head) ? BLOCK_LOOK : BLOCK_PARK;
    if (conn->state != CNC_CONN_IDLE && cnc_conn_has_pending(conn)) {
        cnc_conn_read(conn, false);
        return BLOCK_LOOK;
    }
    if (cnc_conn_waits_for_turn(conn)) {
        if (is_wanted(arg))
            return BLOCK_PARK;
        cnc_conn_resume(conn);
        return BLOCK_LOOK;
    }
    if (conn->state != CNC_CONN_IDLE || conn->in || conn->out || (conn->flags & CNC_CONN_LAST))
        return BLOCK_PARK; /* it waits for its peer, and not for a next request */
    return await_request(drv, conn, is_wanted, arg);
}

static void block_take(struct cnc_driver *drv, struct cnc_conn *conn)
{
    conn->drv = drv;
    drv->head_at = conn->flags & CNC_CONN_READY ? conn->deadline : 0;
    conn->flags &= (uint32_t)~CNC_CONN_READY;
    drv->wait_for_room = block_flush;
    drv->count++;
    drv->current = conn;
    drv->sent_before = drv->sent;
    drv->received_before = drv->received;
    if (CNC_UNLIKELY(conn->state == CNC_CONN_CLOSED)) /* it ended on a poller, which must not call its protocol */
        cnc_upgraded_lose(conn, conn->exchange.lost);
    else if (cnc_desk_need_scratch(drv->home) < 0)
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    else
        cnc_conn_resume(conn);
}

CNC_HOT bool cnc_block_serve(struct cnc_driver *drv, struct cnc_conn *conn, bool (*is_wanted)(void *), void *arg)
{
    struct head_wait head = { 0 };
    enum block_next next;
    block_take(drv, conn);
    do {
        cnc_conn_flush(conn);
        bool has_more = drv->home->local.head || cnc_desk_of(drv->home)->live > 0;
        if (CNC_UNLIKELY(has_more) && !settle(drv, conn))
            return false;
        if (CNC_LIKELY(is_between_requests(drv, conn)))
            next = await_request(drv, conn, is_wanted, arg);
        else
            next = block_go_on(drv, conn, &head, is_wanted, arg);
    } while (next == BLOCK_LOOK);
    if (next == BLOCK_GONE)
        return false;
    cnc_driver_release(conn);
    return true;
}
