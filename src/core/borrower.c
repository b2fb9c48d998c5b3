/* SPDX-License-Identifier: MIT */
#include "core/borrower.h"

#include "base/error.h"
#include "base/sys.h"
#include "net/passing.h"

#define LOANS_AT_ONCE 64

static struct cnc_borrower *borrower_of(struct cnc_threads *t)
{
    return CNC_CONTAINER(t, struct cnc_borrower, threads);
}

/* ---- what is told to the front ---- */

/* Waits while the front does not read. Where there is none any more, what is told is of no use to anybody. */
static void tell(struct cnc_borrower *b, const struct cnc_loan_note *note, struct cnc_slice bytes)
{
    struct iovec iov[2] = { { (void *)(uintptr_t)note, sizeof *note }, { (void *)(uintptr_t)bytes.p, bytes.n } };
    (void)cnc_passing_send(cnc_io_fd(&b->io), iov, 2, -1, true);
}

/* With frees, the note says that this thread is free as well. */
static void tell_about(struct cnc_borrower *b, struct cnc_loan_note *note, struct cnc_slice bytes, bool frees)
{
    pthread_mutex_lock(&b->mu);
    if (frees) {
        b->busy--;
        note->flags |= CNC_LOAN_FREE;
    }
    tell(b, note, bytes);
    pthread_mutex_unlock(&b->mu);
}

static bool is_idle(const struct cnc_conn *conn)
{
    return conn->state == CNC_CONN_IDLE && !conn->out && !(conn->flags & (CNC_CONN_READY | CNC_CONN_LAST));
}

/* The front has the connection again; our copy goes. frees as above. */
static void give_back(struct cnc_borrower *b, struct cnc_driver *drv, struct cnc_conn *conn, bool frees)
{
    struct cnc_loan_note note = { .what = CNC_LOAN_RETURN, .id = conn->loan, .requests = conn->requests };
    tell_about(b, &note, cnc_conn_input(conn), frees);
    conn->ext = NULL;
    cnc_conn_forget(drv, conn);
}

/* ---- on the threads ---- */

static bool parked(struct cnc_threads *t, struct cnc_home *home, struct cnc_conn *conn)
{
    struct cnc_borrower *b = borrower_of(t);
    struct cnc_driver *drv = home->user;
    if (!(conn->flags & CNC_CONN_LENT))
        return false;
    if (!is_idle(conn)) {
        struct cnc_ledger_row *row = cnc_ledger_row(&t->server->setup->ledger, conn->loan);
        if (row)
            atomic_store(&row->told, CNC_LEDGER_UNKNOWN);
        return false;
    }
    drv->told = home->live == 0; /* else the thread is not free yet */
    give_back(b, drv, conn, drv->told);
    return true;
}

static void is_free(struct cnc_threads *t, struct cnc_home *home)
{
    struct cnc_loan_note note = { .what = CNC_LOAN_CREDIT };
    struct cnc_driver *drv = home->user;
    if (!drv || !drv->told)
        tell_about(borrower_of(t), &note, (struct cnc_slice){ "", 0 }, true);
    if (drv)
        drv->told = false;
}

/* Those who wait at the front want the thread, or a front that drains wants the connection. */
CNC_HOT static bool is_wanted(void *threads)
{
    const struct cnc_board_row *front = borrower_of(threads)->front;
    return front && (atomic_load_explicit(&front->queued, memory_order_relaxed) > 0 ||
                     cnc_board_is(front, CNC_BOARD_DRAINING));
}

/* What the front needs to know if this process dies now. On the poller several connections send in turn: there nobody can
 * tell. */
static void progress(struct cnc_driver *drv, struct cnc_conn *conn, bool in_request)
{
    struct cnc_threads *t = drv->lender;
    struct cnc_ledger_row *row = cnc_ledger_row(&t->server->setup->ledger, conn->loan);
    uint64_t told = (drv->sent - drv->sent_before) << 1 | in_request;
    if (!row)
        return;
    if (!in_request)
        atomic_store_explicit(&row->read, drv->received - drv->received_before, memory_order_relaxed);
    atomic_store_explicit(&row->told, drv->home->blocking ? told : CNC_LEDGER_UNKNOWN, memory_order_release);
}

static void settling(struct cnc_driver *drv, struct cnc_conn *conn, size_t n)
{
    struct cnc_threads *t = drv->lender;
    struct cnc_ledger_row *row = cnc_ledger_row(&t->server->setup->ledger, conn->loan);
    if (!row || !drv->home->blocking)
        return;
    atomic_store_explicit(&row->read, drv->received - drv->received_before, memory_order_relaxed);
    atomic_store_explicit(&row->whole, drv->sent - drv->sent_before + n, memory_order_release);
}

/* ---- both ---- */

/* A connection is about to be closed. */
static void on_gone(struct cnc_driver *drv, struct cnc_conn *conn)
{
    struct cnc_threads *t = drv->lender;
    struct cnc_home *home = drv->home;
    struct cnc_loan_note note = { .what = CNC_LOAN_GONE, .id = conn->loan };
    if (!(conn->flags & CNC_CONN_LENT))
        return;
    if (conn->flags & CNC_CONN_RESET)
        note.flags |= CNC_LOAN_CUT;
    conn->ext = NULL;
    bool frees = home->blocking && home->live == 0; /* else its thread goes on, or it has none */
    tell_about(borrower_of(t), &note, (struct cnc_slice){ "", 0 }, frees);
    if (frees)
        drv->told = true;
}

/* ---- on the poller ---- */

/* What the peer was slow to take has left: idle, it goes back. */
static bool on_idle(struct cnc_driver *drv, struct cnc_conn *conn)
{
    struct cnc_threads *t = drv->lender;
    if (!(conn->flags & CNC_CONN_LENT) || !is_idle(conn))
        return false;
    cnc_driver_release(conn);
    give_back(borrower_of(t), drv, conn, false);
    return true;
}

static void answer_hello(struct cnc_borrower *b)
{
    struct cnc_loan_note note = { .what = CNC_LOAN_CREDIT, .flags = CNC_LOAN_ALL };
    unsigned most = (unsigned)b->serving.server->setup->cfg.threads_max;
    pthread_mutex_lock(&b->mu);
    note.value = b->busy < most ? most - b->busy : 0;
    tell(b, &note, (struct cnc_slice){ "", 0 });
    pthread_mutex_unlock(&b->mu);
}

static void borrow(struct cnc_borrower *b, const struct cnc_loan_note *note, int fd, const char *bytes, size_t n)
{
    concur_server *server = b->serving.server;
    struct cnc_conn *conn = fd < 0 ? NULL : cnc_conn_create(fd, &cnc_transport_plain, NULL);
    atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
    pthread_mutex_lock(&b->mu);
    b->busy++;
    pthread_mutex_unlock(&b->mu);
    if (!conn || cnc_conn_preload(conn, bytes, n) < 0) {
        struct cnc_loan_note gone = { .what = CNC_LOAN_GONE, .flags = CNC_LOAN_REFUSED, .id = note->id };
        tell_about(b, &gone, (struct cnc_slice){ "", 0 }, true);
        if (conn)
            cnc_conn_forget(&b->serving.drv, conn);
        else
            cnc_serving_closed(&b->serving.drv), cnc_sys_close(&fd);
        return;
    }
    conn->drv = &b->serving.drv;
    conn->requests = note->requests;
    conn->flags = CNC_CONN_READY | (note->flags & CNC_LOAN_LAST ? CNC_CONN_LAST : 0u);
    if (!(note->flags & CNC_LOAN_FOR_LIFE)) {
        conn->flags |= CNC_CONN_LENT;
        conn->loan = note->id;
    }
    conn->deadline = cnc_home_now(b->serving.home);
    cnc_threads_handover(&b->serving.drv, conn);
}

static void on_link(struct cnc_io *io, unsigned ready)
{
    struct cnc_borrower *b = CNC_CONTAINER(io, struct cnc_borrower, io);
    struct cnc_loan_note note;
    ssize_t n = 0;
    int fd = -1;
    (void)ready;
    for (int i = 0; i < LOANS_AT_ONCE; i++) {
        n = cnc_passing_recv(cnc_io_fd(io), b->room, CNC_LOAN_ROOM, &fd, false);
        if (n < (ssize_t)sizeof note)
            break;
        memcpy(&note, b->room, sizeof note);
        if (note.what == CNC_LOAN_LEND)
            borrow(b, &note, fd, b->room + sizeof note, (size_t)n - sizeof note);
        else if (note.what == CNC_LOAN_HELLO)
            answer_hello(b);
    }
    if (n < (ssize_t)sizeof note)
        cnc_sys_close(&fd);
    if (n == 0) { /* nobody will ever lend anything again */
        (void)cnc_io_watch(b->serving.home->loop, io, 0);
        b->has_link = false;
    }
}

/* From here on the front cannot lend us anything. What it had lent before is served: a loan that nobody reads would look like
 * a request that died with us. */
static void on_drain(struct cnc_serving *s)
{
    struct cnc_borrower *b = CNC_CONTAINER(s, struct cnc_borrower, serving);
    if (!b->has_link || cnc_sys_shutdown_read(cnc_io_fd(&b->io)) < 0)
        return;
    while (b->has_link)
        on_link(&b->io, CNC_IO_READ);
}

/* ---- life ---- */

void cnc_borrower_close(struct cnc_borrower *b)
{
    if (b->has_link)
        (void)cnc_io_watch(b->serving.home->loop, &b->io, 0);
    cnc_threads_close(&b->threads);
    cnc_serving_close(&b->serving);
    cnc_free(b->room);
    pthread_mutex_destroy(&b->mu);
}

int cnc_borrower_open(struct cnc_borrower *b, concur_server *server)
{
    struct cnc_place *place = &server->place;
    struct cnc_conn_ops ops = cnc_request_conn_ops;
    ops.closed = cnc_serving_closed;
    ops.gives_up = cnc_serving_gives_up;
    ops.gone = on_gone;
    ops.progress = progress;
    ops.settling = settling;
    *b = (struct cnc_borrower){ .room = cnc_malloc(CNC_LOAN_ROOM) };
    pthread_mutex_init(&b->mu, NULL);
    b->front = place->peer_row;
    int rc = b->room ? cnc_threads_open(&b->threads, server, &b->serving, &ops) : CONCUR_E_NOMEM;
    if (rc == CONCUR_OK)
        rc = cnc_threads_open_poller(&b->threads, CNC_SERVING_BLOCKING_SOCKETS | CNC_SERVING_NO_ACCEPT);
    if (rc == CONCUR_OK) {
        b->threads.parked = parked;
        b->threads.is_free = is_free;
        b->threads.is_wanted = is_wanted;
        b->threads.poller_ops.idle = on_idle;
        b->serving.drains = on_drain;
        cnc_io_init(b->serving.home->loop, &b->io, place->lend, on_link);
        rc = cnc_io_watch(b->serving.home->loop, &b->io, CNC_IO_READ);
        b->has_link = rc == CONCUR_OK;
    }
    if (rc < 0)
        cnc_borrower_close(b);
    return rc;
}

int cnc_borrower_run(struct cnc_borrower *b, bool may_give_up)
{
    int rc = cnc_serving_run(&b->serving, may_give_up);
    return rc == CONCUR_OK ? cnc_threads_join(&b->threads, may_give_up) : rc;
}

void cnc_borrower_stats(const struct cnc_borrower *b, struct cnc_engine_stats *out)
{
    cnc_threads_stats(&b->threads, out);
}
