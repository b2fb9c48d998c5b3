/* SPDX-License-Identifier: MIT */
#include "conn/front.h"

#include <linux/tcp.h>
#include <netinet/in.h>

#include "base/error.h"
#include "base/sys.h"
#include "net/passing.h"

#define NOTES_AT_ONCE 64 /* of one worker, before the others get their turn */

struct cnc_front_worker {
    struct cnc_io io; /* of the link */
    struct cnc_front *front;
    unsigned slot;
    unsigned credit;  /* free threads, as far as is known here */
    bool greeted;     /* it has told how many are free: what it said before was for another front */
    bool hailed;      /* it was asked */
    bool retired;     /* takes nothing more */
    bool clogged;     /* its link takes nothing at the moment */
};

/* What has passed a connection: bytes written to it, and bytes read from it. */
struct traffic {
    uint64_t written, read;
    bool is_known;
};

/* INV: conn != NULL: lent to the worker in slot. Else a place that is free; slot is then the next free one. */
struct cnc_loan {
    struct cnc_conn *conn;
    uint32_t slot;
    struct traffic before; /* when it was lent */
};

static void serve_queue(struct cnc_front *f);
static void on_left(struct cnc_io *io, unsigned ready);

/* ---- loans ---- */

static bool make_places(struct cnc_front *f)
{
    uint32_t n = f->loan_count ? f->loan_count * 2 : 256;
    struct cnc_loan *grown = cnc_realloc(f->loans, n * sizeof *grown);
    if (!grown)
        return false;
    for (uint32_t i = f->loan_count; i < n; i++)
        grown[i] = (struct cnc_loan){ .slot = i + 1 };
    f->loans = grown;
    f->loan_free = f->loan_count;
    f->loan_count = n;
    return true;
}

static struct cnc_conn *end_loan(struct cnc_front *f, uint32_t i)
{
    struct cnc_conn *conn = f->loans[i].conn;
    f->loans[i] = (struct cnc_loan){ .slot = f->loan_free };
    f->loan_free = i;
    f->lent--;
    return conn;
}

/* As the kernel counts, whoever read and wrote. */
static struct traffic look_at(int fd)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans)
        return (struct traffic){ 0 };
    return (struct traffic){ .written = info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes,
                             .read = info.tcpi_bytes_received - cnc_sys_inq(fd),
                             .is_known = true };
}

/* ---- workers ---- */

static void watch_worker(struct cnc_front_worker *w)
{
    unsigned mask = CNC_IO_READ | (w->clogged ? CNC_IO_WRITE : 0u);
    (void)cnc_io_watch(w->front->drv->home->loop, &w->io, mask);
}

/* Most free threads first; of equals each in turn. */
static struct cnc_front_worker *best_worker(const struct cnc_front *f)
{
    struct cnc_front_worker *best = NULL;
    for (unsigned n = 0; n < f->cfg.workers_max; n++) {
        struct cnc_front_worker *w = f->workers[(f->turn + n) % f->cfg.workers_max];
        if (w && w->credit && !w->retired && !w->clogged && (!best || w->credit > best->credit))
            best = w;
    }
    return best;
}

/* CONCUR_OK: the connection is the worker's. CONCUR_AGAIN or CONCUR_E_GONE: not now; else never. */
static int lend(struct cnc_front *f, struct cnc_front_worker *w, struct cnc_conn *conn)
{
    int fd = cnc_io_fd(&conn->io);
    bool last = (conn->flags & CNC_CONN_LAST) || atomic_load_explicit(f->drv->draining, memory_order_relaxed);
    struct cnc_slice bytes = cnc_conn_input(conn);
    if (bytes.n > CNC_LOAN_ROOM - sizeof(struct cnc_loan_note))
        return CONCUR_E_LIMIT;
    if (f->loan_free == f->loan_count && !make_places(f))
        return CONCUR_E_NOMEM;
    uint32_t i = f->loan_free;
    struct cnc_loan_note note = { .what = CNC_LOAN_LEND, .requests = conn->requests,
                                  .flags = (last ? CNC_LOAN_LAST : 0u) | (f->cfg.for_life ? CNC_LOAN_FOR_LIFE : 0u),
                                  .id = (uint64_t)f->epoch << 32 | i };
    struct iovec iov[2] = { { &note, sizeof note }, { (void *)(uintptr_t)bytes.p, bytes.n } };
    struct traffic before = f->cfg.for_life ? (struct traffic){ 0 } : look_at(fd);
    struct cnc_ledger_row *row = cnc_ledger_row(&f->cfg.ledger, i);
    if (row) {
        atomic_store(&row->told, 1); /* nothing written, and a request under way */
        atomic_store(&row->whole, 0);
    }
    int rc = cnc_passing_send(cnc_io_fd(&w->io), iov, 2, fd, false);
    if (rc == CONCUR_AGAIN) {
        w->clogged = true;
        watch_worker(w);
    }
    if (rc != CONCUR_OK) {
        w->retired = w->retired || rc == CONCUR_E_GONE; /* it drains, or is dead: then the master tells when */
        return rc;
    }
    w->credit--;
    f->turn = w->slot + 1;
    cnc_conn_free_input(conn);
    if (f->cfg.for_life) {
        cnc_conn_forget(f->drv, conn);
        return CONCUR_OK;
    }
    f->loan_free = f->loans[i].slot;
    f->loans[i] = (struct cnc_loan){ .conn = conn, .slot = w->slot, .before = before };
    f->lent++;
    return CONCUR_OK;
}

static bool is_never(int rc)
{
    return rc < 0 && rc != CONCUR_E_GONE;
}

static void answer(struct cnc_front *f, struct cnc_conn *conn, int status)
{
    conn->state = CNC_CONN_IDLE;
    cnc_driver_refuse(f->drv, conn, status);
}

/* The worker is done with it. What came too late for it to see would turn a plain close into a reset of the last reply. */
static void hang_up(struct cnc_front *f, struct cnc_conn *conn, uint32_t flags)
{
    if (flags & CNC_LOAN_REFUSED) {
        answer(f, conn, 503);
        return;
    }
    if ((flags & CNC_LOAN_CUT) || cnc_sys_inq(cnc_io_fd(&conn->io)) == 0) {
        cnc_conn_forget(f->drv, conn);
        return;
    }
    conn->flags = CNC_CONN_MUST_LINGER | CNC_CONN_LAST;
    conn->state = CNC_CONN_FLUSH;
    cnc_driver_take(f->drv, conn);
}

static void take_back(struct cnc_front *f, uint32_t i, const struct cnc_loan_note *note, const char *bytes, size_t n)
{
    struct cnc_conn *conn = end_loan(f, i);
    conn->requests = note->requests;
    conn->flags = 0;
    conn->state = CNC_CONN_IDLE;
    if (n && cnc_conn_preload(conn, bytes, n) < 0) {
        cnc_conn_forget(f->drv, conn);
        return;
    }
    cnc_driver_take(f->drv, conn);
}

/* Every worker of the start has told how many threads it has: now one can say how many are too many. */
static void open_up(struct cnc_front *f)
{
    void (*ready)(struct cnc_front *) = f->cfg.ready;
    if (f->strangers || !ready)
        return;
    f->cfg.ready = NULL;
    ready(f);
}

/* There is nothing to wait for from this one. */
static void count_out(struct cnc_front_worker *w)
{
    w->front->strangers -= !w->greeted;
    w->greeted = true;
    open_up(w->front);
}

static void hail(struct cnc_front_worker *w)
{
    struct cnc_loan_note hello = { .what = CNC_LOAN_HELLO };
    struct iovec iov = { &hello, sizeof hello };
    int rc = cnc_passing_send(cnc_io_fd(&w->io), &iov, 1, -1, false);
    w->hailed = rc != CONCUR_AGAIN;
    w->clogged = rc == CONCUR_AGAIN;
    if (rc != CONCUR_OK && rc != CONCUR_AGAIN) {
        w->retired = true;
        count_out(w);
    }
}

static void on_note(struct cnc_front_worker *w, const struct cnc_loan_note *note, const char *bytes, size_t n)
{
    struct cnc_front *f = w->front;
    if (note->flags & CNC_LOAN_ALL) {
        w->credit = note->value;
        count_out(w);
        return;
    }
    if (!w->greeted)
        return;
    w->credit += (note->flags & CNC_LOAN_FREE) != 0;
    uint32_t i = (uint32_t)note->id;
    bool mine = note->id >> 32 == f->epoch && i < f->loan_count && f->loans[i].conn && f->loans[i].slot == w->slot;
    if (note->what == CNC_LOAN_RETURN && mine)
        take_back(f, i, note, bytes, n);
    else if (note->what == CNC_LOAN_GONE && mine)
        hang_up(f, end_loan(f, i), note->flags);
}

static void on_link(struct cnc_io *io, unsigned ready)
{
    struct cnc_front_worker *w = CNC_CONTAINER(io, struct cnc_front_worker, io);
    struct cnc_front *f = w->front;
    struct cnc_loan_note note;
    char *room = f->room;
    ssize_t n = -EAGAIN;
    int fd;
    if (ready & CNC_IO_WRITE)
        w->clogged = false;
    if (!w->hailed && !w->clogged)
        hail(w);
    for (int i = 0; i < NOTES_AT_ONCE; i++) {
        n = cnc_passing_recv(cnc_io_fd(io), room, CNC_LOAN_ROOM, &fd, false);
        cnc_sys_close(&fd); /* none is expected */
        if (n < (ssize_t)sizeof note)
            break;
        memcpy(&note, room, sizeof note);
        on_note(w, &note, room + sizeof note, (size_t)n - sizeof note);
    }
    if (n == 0 || (n < 0 && n != -EAGAIN)) { /* it is dead or dying: the master tells when */
        w->retired = true;
        count_out(w);
        (void)cnc_io_watch(f->drv->home->loop, io, 0);
    } else {
        watch_worker(w);
    }
    serve_queue(f);
}

bool cnc_front_attach(struct cnc_front *f, unsigned slot, int link)
{
    struct cnc_front_worker *w = link >= 0 && slot < f->cfg.workers_max ? cnc_calloc(1, sizeof *w) : NULL;
    if (!w) {
        cnc_sys_close(&link);
        return false;
    }
    cnc_front_bury(f, slot);
    w->front = f;
    w->slot = slot;
    f->workers[slot] = w;
    f->strangers++;
    cnc_io_init(f->drv->home->loop, &w->io, link, on_link);
    hail(w);
    watch_worker(w);
    return true;
}

void cnc_front_retire(struct cnc_front *f, unsigned slot)
{
    if (slot < f->cfg.workers_max && f->workers[slot])
        f->workers[slot]->retired = true;
}

/* The worker that had it is dead. Between two requests nothing is lost; a request whose reply has not begun gets 502; else the
 * connection is cut off. A worker that wrote nonsense into the ledger harms its own connections alone. */
static void inherit(struct cnc_front *f, uint32_t i)
{
    const struct cnc_ledger_row *row = cnc_ledger_row(&f->cfg.ledger, i);
    uint64_t told = row ? atomic_load(&row->told) : 1, read = row ? atomic_load(&row->read) : 0;
    uint64_t whole = row ? atomic_load(&row->whole) : 0;
    struct traffic before = f->loans[i].before;
    struct cnc_conn *conn = end_loan(f, i);
    struct traffic now = look_at(cnc_io_fd(&conn->io));
    if (told != CNC_LEDGER_UNKNOWN && whole > told >> 1 && now.written - before.written == whole)
        told = whole << 1; /* it was sent, but the worker did not live to say so */
    bool is_silent = now.is_known && before.is_known && told != CNC_LEDGER_UNKNOWN &&
                     now.written - before.written == told >> 1;
    bool is_idle = !(told & 1) && now.read - before.read == read;
    f->lost++;
    if (is_silent && !is_idle) {
        answer(f, conn, 502);
    } else if (is_silent) {
        conn->state = CNC_CONN_IDLE;
        conn->flags = 0;
        cnc_driver_take(f->drv, conn);
    } else {
        conn->flags |= CNC_CONN_RESET; /* a reply cut short must not look like a whole one */
        cnc_conn_forget(f->drv, conn);
    }
}

void cnc_front_bury(struct cnc_front *f, unsigned slot)
{
    struct cnc_front_worker *w = slot < f->cfg.workers_max ? f->workers[slot] : NULL;
    if (!w)
        return;
    on_link(&w->io, 0); /* what it has given back before it died */
    f->workers[slot] = NULL;
    count_out(w);
    int link = cnc_io_fd(&w->io);
    (void)cnc_io_watch(f->drv->home->loop, &w->io, 0);
    cnc_sys_close(&link);
    cnc_free(w);
    for (uint32_t i = 0; i < f->loan_count; i++)
        if (f->loans[i].conn && f->loans[i].slot == slot)
            inherit(f, i);
}

/* ---- the queue ---- */

static void note_queue(struct cnc_front *f, int change)
{
    f->queue_len += (unsigned)change;
    if (f->cfg.queued)
        atomic_store_explicit(f->cfg.queued, f->queue_len, memory_order_relaxed);
}

static struct cnc_conn *first_of(const struct cnc_front *f)
{
    return cnc_link_alone(&f->queue) ? NULL : CNC_CONTAINER(f->queue.next, struct cnc_conn, job.link);
}

static void unqueue(struct cnc_front *f, struct cnc_conn *conn)
{
    cnc_link_remove(&conn->job.link);
    (void)cnc_io_watch(f->drv->home->loop, &conn->io, 0);
    note_queue(f, -1);
}

static void set_late(struct cnc_front *f)
{
    const struct cnc_conn *first = first_of(f);
    if (first && f->cfg.queue_timeout_ms)
        (void)cnc_home_timer(f->drv->home, &f->late, first->deadline + f->cfg.queue_timeout_ms);
    else
        cnc_home_timer_cancel(f->drv->home, &f->late);
}

/* deadline holds when the head was complete. */
static void on_late(struct cnc_timer *t)
{
    struct cnc_front *f = CNC_CONTAINER(t, struct cnc_front, late);
    struct cnc_conn *conn;
    int64_t now = cnc_home_now(f->drv->home);
    while ((conn = first_of(f)) != NULL && conn->deadline + f->cfg.queue_timeout_ms <= now) {
        unqueue(f, conn);
        cnc_driver_refuse(f->drv, conn, 503);
    }
    set_late(f);
}

/* Nobody waits any more for what it asked. */
static void on_left(struct cnc_io *io, unsigned ready)
{
    struct cnc_conn *conn = CNC_CONTAINER(io, struct cnc_conn, io);
    struct cnc_front *f = conn->drv->lender;
    (void)ready;
    unqueue(f, conn);
    f->dropped++;
    cnc_conn_forget(f->drv, conn);
    set_late(f);
}

static void serve_queue(struct cnc_front *f)
{
    struct cnc_front_worker *w;
    struct cnc_conn *conn;
    bool moved = false;
    while ((conn = first_of(f)) != NULL && (w = best_worker(f)) != NULL) {
        unqueue(f, conn);
        moved = true;
        int rc = lend(f, w, conn);
        if (rc == CONCUR_OK)
            continue;
        if (is_never(rc)) {
            cnc_driver_refuse(f->drv, conn, rc == CONCUR_E_LIMIT ? 431 : 503);
            continue;
        }
        conn->job.link.next = f->queue.next; /* back to its place, the first */
        conn->job.link.prev = &f->queue;
        f->queue.next->prev = &conn->job.link;
        f->queue.next = &conn->job.link;
        note_queue(f, 1);
        (void)cnc_io_watch(f->drv->home->loop, &conn->io, CNC_IO_CLOSED);
    }
    if (moved)
        set_late(f);
}

void cnc_front_handover(struct cnc_driver *drv, struct cnc_conn *conn)
{
    struct cnc_front *f = drv->lender;
    struct cnc_front_worker *w;
    int rc = CONCUR_AGAIN;
    while (cnc_link_alone(&f->queue) && !is_never(rc) && (w = best_worker(f)) != NULL)
        if ((rc = lend(f, w, conn)) == CONCUR_OK)
            return;
    if (is_never(rc) || f->queue_len >= f->cfg.queue_max) {
        cnc_driver_refuse(drv, conn, rc == CONCUR_E_LIMIT ? 431 : 503);
        return;
    }
    cnc_link_append(&f->queue, &conn->job.link);
    note_queue(f, 1);
    cnc_io_init(drv->home->loop, &conn->io, cnc_io_fd(&conn->io), on_left);
    if (!drv->limits->half_close)
        (void)cnc_io_watch(drv->home->loop, &conn->io, CNC_IO_CLOSED);
    if (first_of(f) == conn)
        set_late(f);
}

/* ---- life ---- */

void cnc_front_give_up(struct cnc_front *f)
{
    struct cnc_conn *conn;
    while ((conn = first_of(f)) != NULL) {
        unqueue(f, conn);
        cnc_driver_refuse(f->drv, conn, 503);
    }
    for (uint32_t i = 0; i < f->loan_count; i++)
        if (f->loans[i].conn)
            cnc_conn_forget(f->drv, end_loan(f, i));
    set_late(f);
}

int cnc_front_open(struct cnc_front *f, struct cnc_driver *drv, const struct cnc_front_config *cfg)
{
    *f = (struct cnc_front){ .drv = drv, .cfg = *cfg, .late.fn = on_late,
                             .epoch = (uint32_t)getpid() ^ (uint32_t)cnc_clock_now(drv->home->clock) << 8 };
    cnc_link_init(&f->queue);
    drv->lender = f;
    f->room = cnc_malloc(CNC_LOAN_ROOM);
    f->workers = f->room ? cnc_calloc(cfg->workers_max, sizeof(struct cnc_front_worker *)) : NULL;
    if (f->workers)
        return CONCUR_OK;
    cnc_free(f->room);
    return CONCUR_E_NOMEM;
}

void cnc_front_close(struct cnc_front *f)
{
    if (!f->workers)
        return;
    cnc_front_give_up(f);
    for (unsigned i = 0; i < f->cfg.workers_max; i++)
        cnc_front_bury(f, i);
    cnc_free(f->workers);
    cnc_free(f->loans);
    cnc_free(f->room);
    f->workers = NULL;
    f->loans = NULL;
}
