/* SPDX-License-Identifier: MIT
 *
 * The event driver: connections on a loop. A request takes one read and one write, and no timer, epoll_ctl or
 * allocation of its own. Each deadline class has one queue, and one timer looks at all of them.
 */
#include "base/error.h"
#include "base/sys.h"
#include "conn/early.h"
#include "conn/queue.h"

static void on_driver_tick(struct cnc_tick *tick);
static void on_driver_turns(struct cnc_task *task);
static void on_driver_turn_over(void *arg);

void cnc_driver_init(struct cnc_driver *drv, struct cnc_home *home, const struct cnc_conn_limits *limits,
                     const struct cnc_conn_ops *ops, void *owner, const atomic_bool *draining)
{
    *drv = (struct cnc_driver){ .home = home, .limits = limits, .ops = ops, .protocol = &cnc_http1, .owner = owner,
                                .draining = draining };
    for (int i = 0; i < CNC_CLASSES; i++)
        cnc_link_init(&drv->classes[i]);
    drv->turns.run = on_driver_turns;
    drv->queue_end = &drv->queue;
    home->after = on_driver_turn_over;
    home->after_arg = drv;
}

int cnc_driver_need_loop(struct cnc_driver *drv)
{
    if (drv->ticking)
        return CONCUR_OK;
    int rc = cnc_home_need_loop(drv->home);
    if (rc < 0)
        return rc;
    cnc_tick_init(drv->home->loop, &drv->tick, on_driver_tick);
    drv->ticking = true;
    return CONCUR_OK;
}

void cnc_driver_deinit(struct cnc_driver *drv)
{
    CNC_ASSERT(drv->count == 0 && !drv->dirty);
    while (drv->turns_due) /* the connections that waited for it are gone */
        cnc_home_settle(drv->home);
    drv->home->after = NULL;
    cnc_queue_unmake(drv);
    if (drv->ticking)
        cnc_tick_deinit(drv->home->loop, &drv->tick);
    drv->ticking = false;
}

struct cnc_conn *cnc_conn_create(int fd, const struct cnc_transport_ops *transport, void *ext)
{
    struct cnc_conn *conn = cnc_calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->io.ev.ev_fd = fd;
    conn->transport = transport;
    conn->ext = ext;
    conn->flags = CNC_CONN_FRESH;
    conn->state = ext ? CNC_CONN_GREET : CNC_CONN_IDLE;
    cnc_link_init(&conn->job.link);
    return conn;
}

void cnc_conn_unwatch(struct cnc_conn *conn)
{
    if (conn->flags & CNC_CONN_WATCHED)
        (void)cnc_io_watch(conn->drv->home->loop, &conn->io, 0);
    conn->flags &= (uint32_t)~CNC_CONN_WATCHED;
    conn->mask = 0;
}

void cnc_driver_hold(struct cnc_conn *conn)
{
    cnc_turns_unlist(conn);
    cnc_link_remove(&conn->job.link);
    conn->class = CNC_CLASS_NONE;
}

void cnc_driver_release(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    CNC_ASSERT(!conn->exchange.stream || conn->state == CNC_CONN_UPGRADED || conn->state == CNC_CONN_CLOSED);
    cnc_conn_unwatch(conn);
    cnc_driver_hold(conn);
    if (drv->current == conn)
        drv->current = NULL;
    drv->count--;
}

void cnc_conn_forget(struct cnc_driver *drv, struct cnc_conn *conn)
{
    int fd = cnc_io_fd(&conn->io);
    struct linger hard = { .l_onoff = 1, .l_linger = 0 };
    conn->drv = drv; /* its home gets the buffers' memory */
    if (conn->flags & CNC_CONN_RESET)
        (void)cnc_sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    cnc_conn_free_input(conn);
    cnc_conn_free_output(conn);
    conn->transport->destroy(conn->ext);
    cnc_sys_close(&fd);
    cnc_free(conn);
    if (drv->ops->closed)
        drv->ops->closed(drv);
}

/* If another process has the descriptor too, our close() does not end the connection, so it is shut down. A reset stays
 * a reset: a reply that was cut short must not look complete. */
static void end_for_all(struct cnc_conn *conn)
{
    int fd = cnc_io_fd(&conn->io);
    bool is_reset = (conn->flags & CNC_CONN_RESET) && cnc_sys_reset(fd) == 0;
    if (!is_reset && !(conn->flags & CNC_CONN_SHUT))
        (void)cnc_sys_shutdown_write(fd); /* fails where the peer has reset it */
}

void cnc_conn_end(struct cnc_driver *drv, struct cnc_conn *conn)
{
    if (CNC_UNLIKELY(cnc_files_is_shared() || conn->flags & CNC_CONN_COPIED))
        end_for_all(conn);
    cnc_conn_forget(drv, conn);
}

static void destroy(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    if (CNC_UNLIKELY(drv->ops->gone != NULL))
        drv->ops->gone(drv, conn);
    cnc_conn_free_output(conn);
    cnc_driver_release(conn);
    cnc_conn_end(drv, conn);
}

static void driver_hand_over(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    cnc_driver_release(conn);
    conn->deadline = cnc_home_now(drv->home);
    if (CNC_UNLIKELY(conn->in && conn->in->early))
        cnc_early_leave(conn);
    drv->ops->handover(drv, conn);
}

/* The deadline class of a connection follows from what it is doing. */
static enum cnc_conn_class class_of(const struct cnc_conn *conn)
{
    if (conn->out)
        return CNC_CLASS_WRITE;
    if (CNC_UNLIKELY(cnc_conn_waits_for_turn(conn)) && conn->state != CNC_CONN_BUSY)
        return CNC_CLASS_NONE;
    switch (conn->state) {
    case CNC_CONN_IDLE:
        if (conn->flags & CNC_CONN_LAST)
            return CNC_CLASS_DRAIN;
        return conn->flags & CNC_CONN_FRESH ? CNC_CLASS_FRESH : CNC_CLASS_KEEPALIVE;
    case CNC_CONN_GREET:
        return conn->flags & CNC_CONN_LAST ? CNC_CLASS_DRAIN : CNC_CLASS_FRESH;
    case CNC_CONN_HEAD:
        return cnc_early_is_reading(conn) ? CNC_CLASS_BODY : CNC_CLASS_HEAD;
    case CNC_CONN_UPGRADED:
        return CNC_CLASS_UPGRADED;
    case CNC_CONN_LINGER:
        return CNC_CLASS_LINGER;
    case CNC_CONN_BUSY:
        if (!cnc_exchange_is_read(&conn->exchange) && cnc_exchange_takes(&conn->exchange))
            return CNC_CLASS_BODY;
        return CNC_CLASS_NONE;
    default:
        return CNC_CLASS_WRITE;
    }
}

bool cnc_conn_peer_takes(struct cnc_conn *conn)
{
    uint32_t before = conn->unacked;
    conn->unacked = cnc_sys_outq(cnc_io_fd(&conn->io));
    return conn->unacked < before;
}

CNC_HOT static void set_class(struct cnc_conn *conn, enum cnc_conn_class class)
{
    struct cnc_driver *drv = conn->drv;
    if (class != conn->class || drv->classes[class].prev != &conn->job.link) {
        cnc_link_remove(&conn->job.link);
        cnc_link_append(&drv->classes[class], &conn->job.link);
    }
    conn->class = (uint8_t)class;
    conn->moved = 0;
    if (class == CNC_CLASS_WRITE)
        (void)cnc_conn_peer_takes(conn);
    conn->flags &= (uint32_t)~CNC_CONN_SERVED;
    if (class == CNC_CLASS_NONE) {
        conn->deadline = INT64_MAX;
        return;
    }
    conn->deadline = cnc_home_now(drv->home) + drv->limits->class_ms[class];
    if (CNC_LIKELY(drv->ticking) && conn->deadline < drv->tick.at)
        cnc_tick_at(drv->home->loop, &drv->tick, conn->deadline);
}

static void update_class(struct cnc_conn *conn)
{
    enum cnc_conn_class class = class_of(conn);
    if (class != conn->class || (conn->flags & CNC_CONN_SERVED) || cnc_link_alone(&conn->job.link))
        set_class(conn, class);
}

/* May a peer that has shut its side still read? After an upgrade the protocol decides what that means. */
static bool driver_half_closes(const struct cnc_conn *conn)
{
    return conn->drv->limits->half_close || conn->state == CNC_CONN_UPGRADED;
}

/* A connection that waits for its turn keeps its mask, since the turn comes soon; on_driver_io() ignores its events
 * meanwhile. */
static unsigned mask_of(const struct cnc_conn *conn)
{
    unsigned mask = 0, to_read = conn->flags & CNC_CONN_READ_WRITES ? CNC_IO_WRITE : CNC_IO_READ;
    if (CNC_LIKELY(conn->state == CNC_CONN_IDLE && !conn->out &&
                   !(conn->flags & (CNC_CONN_EOF | CNC_CONN_READY | CNC_CONN_STOPPED | CNC_CONN_QUEUED |
                                   CNC_CONN_READ_WRITES))))
        return CNC_IO_READ; /* the usual case of what follows */
    if (CNC_UNLIKELY(cnc_conn_waits_for_turn(conn)))
        return conn->mask;
    if (cnc_conn_reads(conn) || conn->state == CNC_CONN_GREET)
        mask |= to_read;
    else if (driver_half_closes(conn) ? !conn->out : !(conn->flags & CNC_CONN_EOF))
        mask |= CNC_IO_CLOSED; /* with half_close=allow to see a reset; a write would report it anyway */
    if (conn->out || (conn->flags & CNC_CONN_FINISHES))
        mask |= conn->flags & CNC_CONN_WRITE_READS ? CNC_IO_READ : CNC_IO_WRITE;
    return mask;
}

/* Is the peer gone, so that it will not read an answer? */
static bool driver_has_left(const struct cnc_conn *conn)
{
    return !driver_half_closes(conn) || cnc_sys_is_reset(cnc_io_fd(&conn->io));
}

/* An event that the loop reports only once was ignored, so it must be watched for anew. mask_of() never returns this
 * bit. */
#define MASK_STALE 128

static void on_driver_io(struct cnc_io *io, unsigned ready);

static void update_watch(struct cnc_conn *conn)
{
    unsigned mask = mask_of(conn);
    struct cnc_loop *loop = conn->drv->home->loop;
    if (CNC_LIKELY(mask == conn->mask))
        return;
    if (!(conn->flags & CNC_CONN_WATCHED))
        cnc_io_init(loop, &conn->io, cnc_io_fd(&conn->io), on_driver_io);
    conn->flags |= CNC_CONN_WATCHED;
    conn->mask = (uint8_t)mask;
    if (cnc_io_watch(loop, &conn->io, mask) < 0) {
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
        conn->mask = 0;
    }
}

static void tell_of_room(struct cnc_conn *conn)
{
    size_t most = conn->exchange.flags & CNC_EXCHANGE_DRAIN_WHOLE ? 0 : conn->drv->limits->output_low;
    if (cnc_conn_queued(conn) > most)
        return;
    conn->exchange.flags &= (uint8_t) ~(CNC_EXCHANGE_DRAIN_WANTED | CNC_EXCHANGE_DRAIN_WHOLE);
    conn->exchange.stream->up->drain(conn->exchange.stream);
}

/* Output was sent: goes on with what waited for that. */
static void after_output(struct cnc_conn *conn)
{
    if (conn->state == CNC_CONN_UPGRADED) {
        cnc_upgraded_look(conn);
        return;
    }
    if (CNC_UNLIKELY((conn->exchange.flags & CNC_EXCHANGE_DRAIN_WANTED) && conn->exchange.stream))
        tell_of_room(conn);
    if (!conn->out)
        cnc_conn_step(conn, CNC_CONN_ON_FLUSHED);
}

CNC_HOT void cnc_conn_finish(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    cnc_conn_flush(conn);
    bool flushes = conn->state >= CNC_CONN_UPGRADED && conn->state <= CNC_CONN_FLUSH;
    if (CNC_UNLIKELY(flushes) || (conn->exchange.flags & CNC_EXCHANGE_DRAIN_WANTED))
        after_output(conn);
    if (conn->state == CNC_CONN_CLOSED)
        drv->scratch_len = 0;
    drv->current = NULL;
    CNC_ASSERT(drv->scratch_len == 0);
    if (CNC_LIKELY(conn->state != CNC_CONN_CLOSED)) {
        if (CNC_UNLIKELY(conn->flags & CNC_CONN_READY) && (!conn->out || conn->state == CNC_CONN_UPGRADED)) {
            driver_hand_over(conn);
            return;
        }
        if (CNC_UNLIKELY(drv->ops->idle != NULL) && conn->state <= CNC_CONN_HEAD && !conn->out && drv->ops->idle(drv, conn))
            return;
        if (CNC_LIKELY(drv->ticking))
            update_watch(conn);
    }
    if (CNC_UNLIKELY(conn->state == CNC_CONN_CLOSED)) {
        if (conn->exchange.stream)
            driver_hand_over(conn);
        else
            destroy(conn);
        return;
    }
    update_class(conn);
    if (CNC_UNLIKELY(cnc_conn_waits_for_turn(conn)) || cnc_conn_has_pending(conn))
        cnc_turns_queue(conn);
}

CNC_HOT static void on_driver_io(struct cnc_io *io, unsigned ready)
{
    struct cnc_conn *conn = CNC_CONTAINER(io, struct cnc_conn, io);
    struct cnc_driver *drv = conn->drv;
    if (CNC_UNLIKELY(conn->flags & CNC_CONN_QUEUED)) {
        if (ready & CNC_IO_CLOSED)
            conn->mask = MASK_STALE;
        return;
    }
    (void)cnc_loop_now(drv->home->loop); /* read before the program is called, so that time spent there counts */
    if (CNC_UNLIKELY(cnc_desk_need_scratch(drv->home) < 0)) {
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
        ready = 0;
    }
    cnc_driver_enter(drv, conn);
    if (CNC_UNLIKELY(conn->ext != NULL))
        ready = cnc_wants_translate(conn, ready);
    if (CNC_UNLIKELY(ready & CNC_IO_WRITE)) {
        cnc_conn_flush(conn);
        if (conn->flags & CNC_CONN_FINISHES)
            cnc_conn_say_goodbye(conn);
        if ((!conn->out || conn->state == CNC_CONN_UPGRADED) && cnc_conn_can_resume(conn) && conn->state != CNC_CONN_CLOSED)
            cnc_conn_resume(conn);
    }
    if (CNC_LIKELY(ready & CNC_IO_READ) && (conn->state == CNC_CONN_IDLE || cnc_conn_reads(conn)))
        cnc_conn_read(conn, false);
    else if (CNC_UNLIKELY(conn->state == CNC_CONN_GREET))
        cnc_wants_greet(conn);
    else if (CNC_UNLIKELY(ready & CNC_IO_CLOSED) && (conn->mask & CNC_IO_CLOSED) && driver_has_left(conn))
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    cnc_conn_finish(conn);
}

static void look_again(struct cnc_driver *drv, struct cnc_conn *conn)
{
    if (cnc_desk_need_scratch(drv->home) < 0)
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    cnc_driver_enter(drv, conn);
    cnc_conn_flush(conn);
    if (cnc_conn_can_resume(conn) && conn->state != CNC_CONN_CLOSED)
        cnc_conn_resume(conn);
    if (cnc_conn_has_pending(conn))
        cnc_conn_read(conn, false);
    cnc_conn_finish(conn);
}

/* At the end of the loop's turn: each connection that waits now gets its turn. One that must wait again does so until
 * the descriptors that are ready then were served. */
static void on_driver_turns(struct cnc_task *task)
{
    struct cnc_driver *drv = CNC_CONTAINER(task, struct cnc_driver, turns);
    drv->turns_due = false;
    for (unsigned n = drv->queued; n > 0 && drv->queue; n--) {
        struct cnc_conn *conn = drv->queue;
        cnc_turns_unlist(conn);
        look_again(drv, conn);
    }
}

/* Looks at the connections that replies, timers and posts of this turn have changed while another one was current. */
CNC_HOT static void on_driver_turn_over(void *arg)
{
    struct cnc_driver *drv = arg;
    while (drv->dirty) {
        struct cnc_conn *conn = drv->dirty;
        drv->dirty = conn->next;
        conn->flags &= (uint32_t)~CNC_CONN_DIRTY;
        look_again(drv, conn);
    }
}

void cnc_driver_take(struct cnc_driver *drv, struct cnc_conn *conn)
{
    conn->drv = drv;
    drv->count++;
    if (atomic_load_explicit(drv->draining, memory_order_relaxed)) /* the stop began while another driver had it */
        cnc_conn_step(conn, CNC_CONN_ON_DRAIN);
    if (cnc_desk_need_scratch(drv->home) < 0) {
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    } else {
        cnc_driver_enter(drv, conn);
        if (CNC_UNLIKELY(conn->state == CNC_CONN_GREET))
            cnc_wants_greet(conn);
        if (conn->in || (conn->flags & CNC_CONN_EOF) || conn->state == CNC_CONN_UPGRADED)
            cnc_conn_resume(conn);
        if (conn->state != CNC_CONN_CLOSED && cnc_conn_reads(conn) && !(conn->flags & CNC_CONN_READY))
            cnc_conn_read(conn, false);
    }
    cnc_conn_finish(conn);
}

void cnc_driver_refuse(struct cnc_driver *drv, struct cnc_conn *conn, int status)
{
    conn->drv = drv;
    conn->flags &= (uint32_t)~CNC_CONN_READY;
    conn->exchange.status = (uint16_t)status;
    drv->count++;
    cnc_driver_enter(drv, conn);
    cnc_conn_step(conn, cnc_desk_need_scratch(drv->home) < 0 ? CNC_CONN_ON_ERROR : CNC_CONN_ON_BAD);
    cnc_conn_free_input(conn); /* nobody will read it, and it lingers */
    cnc_conn_finish(conn);
}

/* A deadline passed. In some classes the connection gets another term if it has made enough progress. */
static void expire(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    int64_t rate = drv->limits->body_rate_min;
    int64_t need = 0;
    if (conn->class == CNC_CLASS_BODY && rate > 0)
        need = rate * drv->limits->class_ms[CNC_CLASS_BODY] / 1000;
    if (need < 1)
        need = 1;
    bool progress = conn->class == CNC_CLASS_BODY || conn->class == CNC_CLASS_WRITE || conn->class == CNC_CLASS_UPGRADED;
    bool goes_on = progress && conn->moved >= (uint64_t)need;
    if (goes_on || cnc_conn_waits_for_turn(conn) ||
        (conn->class == CNC_CLASS_WRITE && cnc_conn_peer_takes(conn))) {
        set_class(conn, conn->class);
        return;
    }
    cnc_driver_enter(drv, conn);
    if (conn->class == CNC_CLASS_WRITE) {
        conn->flags |= CNC_CONN_RESET;
        cnc_conn_free_output(conn);
        cnc_conn_lose(conn, CONCUR_E_TIMEOUT);
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    } else {
        if (conn->state == CNC_CONN_UPGRADED)
            cnc_conn_lose(conn, CONCUR_E_TIMEOUT);
        cnc_conn_step(conn, CNC_CONN_ON_DEADLINE);
    }
    cnc_link_remove(&conn->job.link);
    cnc_conn_finish(conn);
}

static void on_driver_tick(struct cnc_tick *tick)
{
    struct cnc_driver *drv = CNC_CONTAINER(tick, struct cnc_driver, tick);
    int64_t now = cnc_home_now(drv->home);
    for (int i = CNC_CLASS_FRESH; i < CNC_CLASSES; i++) {
        struct cnc_link *q = &drv->classes[i];
        while (!cnc_link_alone(q)) {
            struct cnc_conn *conn = CNC_CONTAINER(q->next, struct cnc_conn, job.link);
            if (conn->deadline > now) {
                cnc_tick_at(drv->home->loop, tick, conn->deadline);
                break;
            }
            expire(conn);
        }
    }
}
