/* SPDX-License-Identifier: MIT */
#include "serve/lend/borrower.h"

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "conn/early.h"
#include "net/passing.h"
#include "request/request.h"
#include "serve/bodies.h"
#include "serve/lend/borrower_internal.h"

#define LOANS_AT_ONCE 64
#define SHORT_MS 2000 /* a worker ends if it could begin none of its loans for so long */
#define REAP_AFTER_MS 1000

/* Is conn lent for one request? */
static bool is_lent(const struct cnc_conn *conn)
{
    return conn->loan && !(conn->flags & CNC_CONN_KEPT);
}

/* Can conn go back to the front? It has no output left, and persists. */
static bool is_returnable(const struct cnc_conn *conn)
{
    return conn->state <= CNC_CONN_HEAD && !conn->out && !(conn->flags & CNC_CONN_LAST) &&
           cnc_conn_input(conn).n <= CNC_LOAN_BYTES;
}

/* Returns conn to the front, with what was read of its next request. Our descriptor is closed when that is sent. */
static void give_back(struct cnc_borrower *b, struct cnc_conn *conn)
{
    bool is_copied = cnc_files_is_shared() || conn->flags & CNC_CONN_COPIED;
    struct cnc_loan_note note = { .what = CNC_LOAN_RETURN, .flags = is_copied ? CNC_LOAN_COPIED : 0u, .id = conn->loan,
                                  .requests = conn->requests };
    cnc_borrower_tell_end(b, &note, conn);
}

/* ---- on the threads ---- */

/* conn was upgraded, and stays in this process: from now on only its end is reported. */
static void borrower_keep(struct cnc_borrower *b, struct cnc_home *home, struct cnc_conn *conn)
{
    if (cnc_desk_of(home)->live == 0) /* else the thread still has a request, and is not free */
        (void)cnc_pool_job_ends(b->threads.pool, home);
    cnc_borrower_tell_kept(b, conn);
}

static bool parked(struct cnc_threads *t, struct cnc_home *home, struct cnc_conn *conn)
{
    struct cnc_borrower *b = cnc_borrower_of(t);
    if (!is_lent(conn))
        return false;
    if (!is_returnable(conn)) {
        struct cnc_ledger_row *row = cnc_ledger_own(b->ledger, conn->loan);
        if (row)
            atomic_store(&row->told, CNC_LEDGER_UNKNOWN);
        if (conn->state == CNC_CONN_UPGRADED)
            borrower_keep(b, home, conn);
        return false;
    }
    if (cnc_desk_of(home)->live == 0) /* else the thread still has a request, and is not free */
        (void)cnc_pool_job_ends(t->pool, home);
    give_back(b, conn);
    return true;
}

/* The front is told that the thread is free. With connections for life it does not choose by free threads, so then it
 * is told only if requests wait there; else the next regular report is enough. */
static void is_free(struct cnc_threads *t)
{
    struct cnc_borrower *b = cnc_borrower_of(t);
    if (!b->for_life || (b->front && atomic_load_explicit(&b->front->queued, memory_order_relaxed)))
        cnc_borrower_flush(b);
}

/* Must the thread be free soon? Requests wait for a thread here or in the front, or the front stops and waits for the
 * connection. */
CNC_HOT static bool borrower_is_wanted(void *threads)
{
    const struct cnc_borrower *b = cnc_borrower_of(threads);
    const struct cnc_board_row *front = b->front;
    if (cnc_pool_is_wanted(b->threads.pool))
        return true;
    return front && (atomic_load_explicit(&front->queued, memory_order_relaxed) > 0 ||
                     cnc_board_is(front, CNC_BOARD_DRAINING));
}

/* The ledger's row of conn; NULL: conn is not lent for one request, or has no row. */
static inline struct cnc_ledger_row *lent_row(const struct cnc_driver *drv, const struct cnc_conn *conn)
{
    if (conn->flags & CNC_CONN_KEPT)
        return NULL;
    return cnc_ledger_own(cnc_borrower_of(drv->lender)->ledger, conn->loan);
}

/* Writes into the ledger what the front needs if this process dies now. */
CNC_HOT static void thread_progress(struct cnc_driver *drv, struct cnc_conn *conn, bool in_request)
{
    struct cnc_ledger_row *row = lent_row(drv, conn);
    uint64_t told = (drv->sent - drv->sent_before) << 1 | in_request;
    if (!row)
        return;
    if (!in_request)
        atomic_store_explicit(&row->read, drv->received - drv->received_before, memory_order_relaxed);
    atomic_store_explicit(&row->told, told, memory_order_release);
}

/* All output is about to be sent, and no request is under way. Writes how many bytes will have been written then, since
 * this process may die between the send and the next thread_progress(). */
CNC_HOT static void thread_sends(struct cnc_driver *drv, struct cnc_conn *conn)
{
    size_t n = conn->out ? cnc_conn_queued(conn) : drv->current == conn ? drv->scratch_len : 0;
    if (n == 0 || conn->state != CNC_CONN_IDLE || (conn->in && cnc_conn_input(conn).n))
        return;
    struct cnc_ledger_row *row = lent_row(drv, conn);
    if (!row)
        return;
    atomic_store_explicit(&row->read, drv->received - drv->received_before, memory_order_relaxed);
    atomic_store_explicit(&row->whole, drv->sent - drv->sent_before + n, memory_order_release);
}

/* The poller's driver has many connections, so its byte counts say nothing about a single one. */
static void poller_progress(struct cnc_driver *drv, struct cnc_conn *conn, bool in_request)
{
    struct cnc_ledger_row *row = lent_row(drv, conn);
    (void)in_request;
    if (row)
        atomic_store_explicit(&row->told, CNC_LEDGER_UNKNOWN, memory_order_release);
}

/* Nothing to write: what was sent is unknown since poller_progress(), or since parked(). */
static void poller_sends(struct cnc_driver *drv, struct cnc_conn *conn)
{
    (void)drv;
    (void)conn;
}

static const struct cnc_loan_ops thread_loan_ops = { .progress = thread_progress, .sends = thread_sends };
static const struct cnc_loan_ops poller_loan_ops = { .progress = poller_progress, .sends = poller_sends };

/* ---- on the threads and on the poller ---- */

/* cnc_conn_ops.gone: conn is about to be closed. */
static void on_borrower_gone(struct cnc_driver *drv, struct cnc_conn *conn)
{
    struct cnc_threads *t = drv->lender;
    struct cnc_home *home = drv->home;
    struct cnc_loan_note note = { .what = CNC_LOAN_GONE, .id = conn->loan };
    if (!conn->loan)
        return;
    if (conn->flags & CNC_CONN_RESET)
        note.flags |= CNC_LOAN_CUT;
    if (home->blocking && cnc_desk_of(home)->live == 0) /* else its thread still has a request, or this is the poller */
        (void)cnc_pool_job_ends(t->pool, home);
    cnc_borrower_tell_end(cnc_borrower_of(t), &note, NULL);
}

/* ---- on the poller ---- */

/* The poller has sent the rest of conn's output: conn goes back to the front. */
static bool on_borrower_idle(struct cnc_driver *drv, struct cnc_conn *conn)
{
    if (!is_lent(conn) || !is_returnable(conn))
        return false;
    cnc_driver_release(conn);
    give_back(cnc_borrower_of(drv->lender), conn);
    return true;
}

/* A connection lent for one request is returned to the front with its next head, and the front reads that request's
 * body. */
static bool borrower_early(struct cnc_driver *drv, const struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes,
                           struct cnc_early_terms *terms)
{
    if (is_lent(conn) && !drv->home->blocking)
        return false;
    return cnc_bodies_want(drv->owner, head, bytes, is_lent(conn) ? CNC_LOAN_EARLY_MAX : SIZE_MAX, terms);
}

/* The next head was complete when the output had been sent. The front chooses a worker for it, unless conn stays
 * here. */
static void on_borrower_head(struct cnc_driver *drv, struct cnc_conn *conn)
{
    if (is_lent(conn) && is_returnable(conn))
        give_back(cnc_borrower_of(drv->lender), conn);
    else
        cnc_threads_handover(drv, conn);
}

/* A loan could not be begun, for want of memory or descriptors. If that lasts, this worker ends, so that another
 * replaces it. */
static void is_short(struct cnc_borrower *b)
{
    concur_server *server = b->serving.server;
    int64_t now = cnc_home_now(b->serving.home);
    if (!b->short_since)
        b->short_since = now;
    if (now - b->short_since < SHORT_MS || atomic_load(&server->draining))
        return;
    cnc_log(&server->log, CONCUR_LOG_ERROR, "no request could be begun for %lld ms: this worker ends",
            (long long)(now - b->short_since));
    cnc_place_stop(server, server->setup->cfg.stop_timeout);
}

/* Refuses loans that could not be begun: the front lends them to other workers. */
static void send_back(struct cnc_borrower *b, struct cnc_link *rest, int why)
{
    bool is_busy = why == CONCUR_E_FULL || why == CONCUR_E_STOPPING;
    if (!cnc_link_alone(rest) && !is_busy)
        is_short(b);
    while (!cnc_link_alone(rest)) {
        struct cnc_conn *conn = CNC_CONTAINER(cnc_link_take_first(rest), struct cnc_conn, job.link);
        uint64_t loan = conn->loan;
        cnc_borrower_drop(b, conn);
        cnc_borrower_refuse(b, loan, is_busy ? CNC_LOAN_BUSY : 0);
    }
}

static unsigned borrower_count(const struct cnc_link *list)
{
    unsigned n = 0;
    for (const struct cnc_link *l = list->next; l != list; l = l->next)
        n++;
    return n;
}

/* Gives the loans that were read their threads. A loan for one request never waits here, so that it cannot wait while
 * another worker has a free thread; a connection for life stays, so it waits here. The lock is held so that both
 * numbers of a report (loans read, threads free) are of the same moment. */
static void submit_incoming(struct cnc_borrower *b)
{
    struct cnc_link rest; /* its own list: a refusal may add to incoming */
    cnc_link_init(&rest);
    cnc_link_move_all(&rest, &b->incoming);
    pthread_mutex_lock(&b->mu);
    int rc = b->for_life ? cnc_threads_queue(&b->threads, &rest) : cnc_pool_submit_now(b->threads.pool, &rest);
    bool stays = b->for_life && rc == CONCUR_E_FULL; /* too many wait: these get a 503 here */
    unsigned taken = b->incoming_count - (stays ? 0 : borrower_count(&rest));
    b->incoming_count = b->promised = 0;
    for (unsigned i = 0; i < taken; i++)
        cnc_outbox_read(&b->box, true);
    pthread_mutex_unlock(&b->mu);
    if (taken)
        b->short_since = 0;
    if (stays)
        cnc_threads_refuse(&b->threads, &rest);
    else
        send_back(b, &rest, rc);
}

static void borrower_submit(struct cnc_threads *t)
{
    struct cnc_borrower *b = cnc_borrower_of(t);
    if (b->incoming_count)
        submit_incoming(b);
    cnc_threads_submit(t);
}

/* ---- messages from the front ---- */

/* The n bytes of the file. NULL: out of memory, or the file cannot be read. */
static char *borrower_read_file(int fd, size_t n)
{
    char *bytes = cnc_malloc(n);
    size_t at = 0;
    while (bytes && at < n) {
        ssize_t got = cnc_sys_pread(fd, bytes + at, n - at, (int64_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            cnc_free(bytes);
            return NULL;
        }
        at += (size_t)got;
    }
    return bytes;
}

static int borrower_fill(struct cnc_conn *conn, const struct cnc_loan_note *note, int file, struct cnc_slice bytes)
{
    if (!(note->flags & CNC_LOAN_IN_FILE))
        return cnc_conn_preload(conn, bytes.p, bytes.n);
    char *text = file >= 0 ? borrower_read_file(file, note->in_file) : NULL;
    int rc = text ? cnc_conn_preload(conn, text, note->in_file) : CONCUR_E_NOMEM;
    cnc_free(text);
    return rc;
}

/* What makes the transport of a lease; NULL: it is plain. */
static const struct cnc_transport_factory *factory_of(const struct cnc_borrower *b, const struct cnc_loan_note *note)
{
    const concur_server *server = b->serving.server;
    bool is_lease = (note->flags & CNC_LOAN_LEASE) && note->listener < CNC_LISTEN_MAX;
    return is_lease ? server->setup->factories[note->listener] : NULL;
}

/* The connection of a loan, which owns the first descriptor. NULL: out of memory, or the descriptor did not arrive
 * because this process has too many. */
static struct cnc_conn *make_conn(struct cnc_borrower *b, const struct cnc_loan_note *note, int fds[2], struct cnc_slice bytes)
{
    uint32_t whose = note->flags & CNC_LOAN_FOR_LIFE ? CNC_CONN_KEPT : 0u;
    int64_t now = cnc_home_now(b->serving.home);
    struct cnc_conn *conn = fds[0] < 0 ? NULL : cnc_conn_create_with(fds[0], factory_of(b, note));
    if (!conn)
        return NULL;
    fds[0] = -1;
    (void)atomic_fetch_add_explicit(&b->serving.server->connections, 1, memory_order_relaxed);
    if (borrower_fill(conn, note, fds[1], bytes) < 0) {
        cnc_borrower_drop(b, conn);
        return NULL;
    }
    conn->drv = &b->serving.drv;
    conn->requests = note->requests;
    conn->flags = (note->flags & CNC_LOAN_LEASE ? CNC_CONN_FRESH : CNC_CONN_READY) | (note->flags & CNC_LOAN_LAST ? CNC_CONN_LAST : 0u) |
                  (note->flags & CNC_LOAN_COPIED ? CNC_CONN_COPIED : 0u) | whose;
    conn->loan = note->id;
    conn->deadline = note->at < now ? note->at : now;
    if ((note->body_ms || note->flags & CNC_LOAN_CONTINUED) &&
        !cnc_early_attach(conn, note->flags & CNC_LOAN_CONTINUED, note->body_ms)) {
        cnc_borrower_drop(b, conn);
        return NULL;
    }
    return conn;
}

/* A lease has no complete head, so it gets no thread; the poller reads it. The front is told at once, so that it closes
 * its copy. */
static void take_lease(struct cnc_borrower *b, struct cnc_conn *conn)
{
    if (b->incoming_count) /* the front expects reports in the order in which loans were read */
        cnc_threads_flush(&b->threads);
    pthread_mutex_lock(&b->mu);
    cnc_outbox_read(&b->box, true);
    pthread_mutex_unlock(&b->mu);
    b->short_since = 0;
    cnc_borrower_flush(b);
    cnc_driver_take(&b->serving.drv, conn);
}

static void borrower_borrow(struct cnc_borrower *b, const struct cnc_loan_note *note, int fds[2], struct cnc_slice bytes)
{
    bool is_ours = cnc_ledger_take(b->ledger, note->id); /* false: the front has taken the loan back */
    struct cnc_conn *conn = is_ours && b->has_place ? make_conn(b, note, fds, bytes) : NULL;
    if (conn && (note->flags & CNC_LOAN_LEASE)) {
        take_lease(b, conn);
        return;
    }
    if (conn) {
        b->incoming_count++;
        cnc_threads_await(&b->threads, conn, &b->incoming);
        return;
    }
    if (b->incoming_count) /* as in take_lease() */
        cnc_threads_flush(&b->threads);
    if (is_ours)
        is_short(b);
    cnc_borrower_refuse(b, note->id, is_ours ? 0 : CNC_LOAN_SILENT);
}

static void greet(struct cnc_borrower *b, uint32_t front)
{
    if (b->incoming_count)
        cnc_threads_flush(&b->threads);
    cnc_borrower_greet(b, front);
}

static void reap(struct cnc_borrower *b)
{
    if (!cnc_driver_reap_idle(&b->serving.drv, REAP_AFTER_MS)) /* if it closes one, the front is told of its end */
        cnc_borrower_answer(b, CNC_LOAN_NONE_IDLE);
}

/* Reads a message and does what it says. Returns its length, or as cnc_passing_recv(). */
static ssize_t read_one(struct cnc_borrower *b)
{
    struct cnc_loan_note note;
    int fds[2];
    ssize_t n = cnc_passing_recv_two(cnc_io_fd(&b->io), b->room, CNC_LOAN_ROOM, fds);
    if (CNC_UNLIKELY(cnc_serving_owns(&b->serving, fds[0]) || cnc_serving_owns(&b->serving, fds[1]))) {
        cnc_loop_break(b->serving.home->loop, "a descriptor of this process was closed");
    } else if (n >= (ssize_t)sizeof note) {
        struct cnc_slice bytes = { b->room + sizeof note, (size_t)n - sizeof note };
        memcpy(&note, b->room, sizeof note);
        if (note.what == CNC_LOAN_LEND)
            borrower_borrow(b, &note, fds, bytes);
        else if (note.what == CNC_LOAN_HELLO)
            greet(b, note.front);
        else if (note.what == CNC_LOAN_REAP)
            reap(b);
    }
    cnc_sys_close(&fds[0]);
    cnc_sys_close(&fds[1]);
    return n;
}

/* Reads at most so many messages. False: there are no more now. */
static bool read_loans(struct cnc_borrower *b, unsigned most)
{
    while (most-- > 0 && b->has_link && cnc_borrower_may_read(b)) {
        ssize_t n = read_one(b);
        if (n == -EAGAIN)
            return false;
        if (n > 0 || n == -EMSGSIZE)
            continue;
        b->has_link = false; /* no loans can come any more */
        if (n < 0)
            cnc_borrower_break(b);
    }
    return b->has_link && cnc_borrower_may_read(b);
}

static void on_borrower_link(struct cnc_io *io, unsigned ready)
{
    struct cnc_borrower *b = CNC_CONTAINER(io, struct cnc_borrower, io);
    if (ready & CNC_IO_WRITE)
        cnc_borrower_unclog(b);
    (void)read_loans(b, LOANS_AT_ONCE);
    if ((ready & CNC_IO_WRITE) || !b->has_link) /* if the link becomes full now, clog_task watches it */
        cnc_borrower_watch(b);
}

static void on_borrower_clogged(struct cnc_task *task)
{
    struct cnc_borrower *b = CNC_CONTAINER(task, struct cnc_borrower, clog_task);
    if (b->io.fn)
        cnc_borrower_watch(b);
}

static void on_borrower_retry(struct cnc_timer *t)
{
    struct cnc_borrower *b = CNC_CONTAINER(t, struct cnc_borrower, retry);
    cnc_borrower_unclog(b);
    cnc_borrower_watch(b);
}

/* ---- the stop ---- */

/* Shuts the link's read side. The front sees that at its next loan, and lends nothing more. Loans that have arrived are
 * read and served. */
static void on_borrower_drain(struct cnc_serving *s)
{
    struct cnc_borrower *b = CNC_CONTAINER(s, struct cnc_borrower, serving);
    if (!b->has_link || cnc_sys_shutdown_read(cnc_io_fd(&b->io)) < 0)
        return;
    while (read_loans(b, LOANS_AT_ONCE))
        continue;
    cnc_borrower_watch(b);
}

/* The stop's deadline has passed: no more messages to the front. */
static void on_borrower_gave_up(struct cnc_serving *s)
{
    cnc_borrower_cut(CNC_CONTAINER(s, struct cnc_borrower, serving));
}

/* A regular report: changes on the threads are not always reported at once. */
static void on_borrower_publish(struct cnc_serving *s)
{
    cnc_borrower_flush(CNC_CONTAINER(s, struct cnc_borrower, serving));
}

/* ---- life ---- */

void cnc_borrower_close(struct cnc_borrower *b)
{
    if (b->io.fn)
        (void)cnc_io_watch(b->serving.home->loop, &b->io, 0);
    if (b->serving.home)
        cnc_home_timer_cancel(b->serving.home, &b->retry);
    b->io.fn = NULL;
    cnc_threads_close(&b->threads);
    cnc_serving_close(&b->serving);
    cnc_outbox_close(&b->box);
    cnc_free(b->room);
    pthread_mutex_destroy(&b->mu);
}

static struct cnc_conn_ops ops_of_threads(void)
{
    struct cnc_conn_ops ops = cnc_request_conn_ops;
    ops.closed = cnc_serving_closed;
    ops.gives_up = cnc_serving_gives_up;
    ops.gone = on_borrower_gone;
    ops.early = borrower_early;
    return ops;
}

static int open_poller(struct cnc_borrower *b, int link)
{
    int rc = cnc_threads_open_poller(&b->threads, CNC_SERVING_BLOCKING_SOCKETS | CNC_SERVING_NO_ACCEPT);
    if (rc < 0)
        return rc;
    b->serving.drv.loan = &poller_loan_ops;
    b->threads.loan = &thread_loan_ops;
    b->threads.parked = parked;
    b->threads.is_free = is_free;
    b->threads.is_wanted = borrower_is_wanted;
    b->threads.submit = borrower_submit;
    b->threads.poller_ops.idle = on_borrower_idle;
    b->threads.poller_ops.handover = on_borrower_head;
    b->serving.drains = on_borrower_drain;
    b->serving.gave_up = on_borrower_gave_up;
    b->serving.publishes = on_borrower_publish;
    cnc_io_init(b->serving.home->loop, &b->io, link, on_borrower_link);
    rc = cnc_io_watch(b->serving.home->loop, &b->io, CNC_IO_READ);
    b->has_link = rc == CONCUR_OK;
    return rc;
}

int cnc_borrower_open(struct cnc_borrower *b, concur_server *server)
{
    struct cnc_conn_ops ops = ops_of_threads();
    *b = (struct cnc_borrower){ .room = cnc_malloc(CNC_LOAN_ROOM), .clog_task.run = on_borrower_clogged, .retry.fn = on_borrower_retry,
                                .ledger = &server->setup->ledger, .front = server->place.peer_row,
                                .for_life = server->setup->cfg.lend == CNC_LEND_CONNECTION };
    pthread_mutex_init(&b->mu, NULL);
    cnc_link_init(&b->incoming);
    bool has_memory = b->room && cnc_outbox_reserve(&b->box, 0);
    int rc = has_memory ? cnc_threads_open(&b->threads, server, &b->serving, &ops) : CONCUR_E_NOMEM;
    if (rc == CONCUR_OK)
        rc = open_poller(b, server->place.lend);
    if (rc < 0) {
        cnc_borrower_close(b);
        return rc;
    }
    b->nobody = (struct cnc_driver){ .ops = &b->threads.ops, .owner = server };
    return CONCUR_OK;
}

int cnc_borrower_run(struct cnc_borrower *b, bool may_give_up)
{
    int rc = cnc_serving_run(&b->serving, may_give_up);
    return rc == CONCUR_OK ? cnc_threads_join(&b->threads, may_give_up) : rc;
}

void cnc_borrower_stats(const struct cnc_borrower *b, struct cnc_engine_stats *out)
{
    cnc_threads_stats(&b->threads, out);
    out->is_lent = true;
}
