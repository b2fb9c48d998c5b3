/* SPDX-License-Identifier: MIT
 *
 * Connections that wait for a thread, in the order in which their requests were complete.
 */
#include "base/error.h"
#include "conn/early.h"
#include "serve/lend/front_internal.h"

#define HELD_MS 1000 /* a wait that is reported, and the time between two reports */

static void note_queue(struct cnc_front *f, int change)
{
    f->queue_len += (unsigned)change;
    if (f->cfg.queued)
        atomic_store_explicit(f->cfg.queued, f->queue_len, memory_order_relaxed);
}

static struct cnc_conn *conn_of(struct cnc_link *l)
{
    return CNC_CONTAINER(l, struct cnc_conn, job.link);
}

static struct cnc_conn *first_of(const struct cnc_front *f)
{
    return cnc_link_alone(&f->queue) ? NULL : conn_of(f->queue.next);
}

static void front_queue_unqueue(struct cnc_front *f, struct cnc_conn *conn)
{
    cnc_link_remove(&conn->job.link);
    (void)cnc_io_watch(f->drv->home->loop, &conn->io, 0);
    note_queue(f, -1);
}

/* The client has left, so its request is dropped. With half_close=allow a client that has only shut its side still
 * waits. */
static void on_front_queue_left(struct cnc_io *io, unsigned ready)
{
    struct cnc_conn *conn = CNC_CONTAINER(io, struct cnc_conn, io);
    struct cnc_front *f = conn->drv->lender;
    (void)ready;
    if (f->drv->limits->half_close && !cnc_sys_is_reset(cnc_io_fd(io)))
        return;
    front_queue_unqueue(f, conn);
    f->dropped++;
    cnc_conn_end(f->drv, conn);
}

/* Sets the timer for the queue: for the next report, the timeout of the first connection, and a worker that may be
 * tried again. */
static void wake_in_time(struct cnc_front *f, int64_t now)
{
    const struct cnc_conn *first = first_of(f);
    if (!first)
        return;
    int64_t told_next = f->held_told_at + HELD_MS, waits_long = cnc_early_asked_at(first) + HELD_MS;
    cnc_front_wake_by(f, told_next > waits_long ? told_next : waits_long);
    if (f->cfg.queue_timeout_ms)
        cnc_front_wake_by(f, cnc_early_asked_at(first) + f->cfg.queue_timeout_ms);
    cnc_front_wake_by(f, f->hold_until > now ? f->hold_until : cnc_book_next(&f->book, now));
}

/* Keeps the order. A connection that a worker has not begun belongs before later ones, so the search starts at the
 * end. */
static void insert(struct cnc_front *f, struct cnc_conn *conn)
{
    struct cnc_link *at = f->queue.prev;
    while (at != &f->queue && cnc_early_asked_at(conn_of(at)) > cnc_early_asked_at(conn))
        at = at->prev;
    conn->job.link.prev = at;
    conn->job.link.next = at->next;
    at->next->prev = &conn->job.link;
    at->next = &conn->job.link;
    note_queue(f, 1);
}

void cnc_front_queue(struct cnc_front *f, struct cnc_conn *conn)
{
    struct cnc_driver *drv = f->drv;
    conn->drv = drv;
    insert(f, conn);
    cnc_io_init(drv->home->loop, &conn->io, cnc_io_fd(&conn->io), on_front_queue_left);
    (void)cnc_io_watch(drv->home->loop, &conn->io, CNC_IO_CLOSED); /* if it fails, a lost client is noticed later */
    if (first_of(f) == conn)
        wake_in_time(f, cnc_home_now(drv->home));
}

void cnc_front_serve_queue(struct cnc_front *f)
{
    struct cnc_conn *conn;
    while ((conn = first_of(f)) != NULL && cnc_front_may_lend(f, conn)) {
        front_queue_unqueue(f, conn);
        int rc = cnc_front_lend(f, conn);
        if (rc == CONCUR_AGAIN) {
            cnc_front_queue(f, conn);
            return;
        }
        if (rc < 0)
            cnc_driver_refuse(f->drv, conn, 503);
    }
}

void cnc_front_lend_again(struct cnc_front *f, struct cnc_conn *conn)
{
    int rc = cnc_front_lend(f, conn);
    if (rc == CONCUR_AGAIN)
        cnc_front_queue(f, conn); /* even if the queue is full: the request was accepted before */
    else if (rc < 0)
        cnc_driver_refuse(f->drv, conn, 503);
}

static void front_queue_tell_of_wait(struct cnc_front *f, int64_t waited_ms, int64_t now)
{
    if (now < f->held_told_at + HELD_MS)
        return;
    f->held_told_at = now;
    f->cfg.tell(f, CNC_FRONT_HELD, 0, waited_ms);
}

void cnc_front_handover(struct cnc_driver *drv, struct cnc_conn *conn)
{
    struct cnc_front *f = drv->lender;
    conn->exchange.tries = 0;
    bool is_next = cnc_link_alone(&f->queue) || (conn->flags & CNC_CONN_LEASE); /* a lease takes no thread */
    int rc = is_next ? cnc_front_lend(f, conn) : CONCUR_AGAIN;
    if (rc == CONCUR_AGAIN && f->queue_len >= f->cfg.queue_max)
        cnc_front_serve_queue(f); /* the note that brought this connection back may tell of a free thread */
    if (rc == CONCUR_AGAIN && f->queue_len < f->cfg.queue_max) {
        cnc_front_queue(f, conn);
    } else if (rc != CONCUR_OK) {
        if (rc == CONCUR_AGAIN)
            front_queue_tell_of_wait(f, 0, cnc_home_now(drv->home));
        cnc_driver_refuse(drv, conn, 503);
    }
}

void cnc_front_look_at_queue(struct cnc_front *f, int64_t now)
{
    struct cnc_conn *conn = first_of(f);
    int64_t waited = conn ? now - cnc_early_asked_at(conn) : 0;
    if (waited >= HELD_MS)
        front_queue_tell_of_wait(f, waited, now);
    while (f->cfg.queue_timeout_ms && (conn = first_of(f)) != NULL && cnc_early_asked_at(conn) + f->cfg.queue_timeout_ms <= now) {
        front_queue_unqueue(f, conn);
        cnc_driver_refuse(f->drv, conn, 503);
    }
    wake_in_time(f, now);
}

void cnc_front_empty_queue(struct cnc_front *f)
{
    struct cnc_conn *conn;
    while ((conn = first_of(f)) != NULL) {
        front_queue_unqueue(f, conn);
        cnc_driver_refuse(f->drv, conn, 503);
    }
}
