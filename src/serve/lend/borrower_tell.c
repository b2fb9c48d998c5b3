/* SPDX-License-Identifier: MIT
 *
 * The messages of a worker to its front. Nothing here waits: what does not fit in the link stays in the outbox, and the
 * poller sends it when there is room.
 */
#include "base/error.h"
#include "base/sys.h"
#include "net/passing.h"
#include "serve/lend/borrower_internal.h"

#define RETRY_MS 20 /* until a send is tried again for which the system had no room */

void cnc_borrower_drop(struct cnc_borrower *b, struct cnc_conn *conn)
{
    if (!conn)
        return;
    conn->flags &= ~(uint32_t)CNC_CONN_RESET; /* the connection itself goes on elsewhere */
    cnc_conn_forget(&b->nobody, conn);
}

/* Its front has died, so no other process of the server has it. */
static void end_orphan(struct cnc_borrower *b, struct cnc_conn *conn)
{
    if (conn)
        cnc_conn_end(&b->nobody, conn);
}

/* mu held. As cnc_passing_send(). */
static int send_locked(struct cnc_borrower *b, const struct cnc_outbox_note *note)
{
    struct cnc_slice bytes = note->conn ? cnc_conn_input(note->conn) : (struct cnc_slice){ "", 0 };
    struct iovec iov[2] = { { (void *)(uintptr_t)&note->note, sizeof note->note },
                            { (void *)(uintptr_t)bytes.p, bytes.n } };
    return cnc_passing_send(cnc_io_fd(&b->io), iov, 2, -1, false);
}

/* mu held. Sends stop until the poller has found room. */
static void clog_locked(struct cnc_borrower *b, bool is_told)
{
    b->is_clogged = true;
    b->is_told = is_told;
    cnc_home_post(b->serving.home, &b->clog_task); /* the poller's home exists until all threads are joined */
}

/* mu held. Drops all queued messages, and sends none any more. */
static void cut_locked(struct cnc_borrower *b)
{
    struct cnc_outbox_note note;
    b->is_cut = true;
    while (b->box.count && cnc_outbox_next(&b->box, 0, &note)) {
        cnc_outbox_sent(&b->box, &note.note, true);
        cnc_borrower_drop(b, note.conn);
    }
}

/* mu held. cnc_borrower_break(). */
static void break_locked(struct cnc_borrower *b)
{
    concur_server *server = b->serving.server;
    bool is_news = !b->is_cut && !atomic_load(&server->draining);
    cut_locked(b);
    if (!is_news)
        return;
    cnc_log(&server->log, CONCUR_LOG_ERROR, "the link to the front is broken: this worker ends");
    cnc_place_stop(server, server->setup->cfg.stop_timeout);
}

/* mu held. cnc_borrower_flush(). */
static void flush_locked(struct cnc_borrower *b)
{
    struct cnc_outbox_note note;
    while (!b->is_cut && !b->is_clogged && cnc_outbox_next(&b->box, cnc_pool_free(b->threads.pool), &note)) {
        int rc = send_locked(b, &note);
        if (rc == CONCUR_OK) {
            cnc_outbox_sent(&b->box, &note.note, true);
            cnc_borrower_drop(b, note.conn);
        } else if (rc == CONCUR_AGAIN || rc == CONCUR_E_FULL) {
            clog_locked(b, rc == CONCUR_AGAIN);
        } else {
            break_locked(b);
        }
    }
}

void cnc_borrower_flush(struct cnc_borrower *b)
{
    pthread_mutex_lock(&b->mu);
    flush_locked(b);
    pthread_mutex_unlock(&b->mu);
}

void cnc_borrower_tell_end(struct cnc_borrower *b, const struct cnc_loan_note *note, struct cnc_conn *conn)
{
    pthread_mutex_lock(&b->mu);
    if (!cnc_outbox_end(&b->box, note->id))
        end_orphan(b, conn);
    else if (b->is_cut)
        cnc_borrower_drop(b, conn);
    else
        cnc_outbox_keep(&b->box, note, conn);
    flush_locked(b);
    pthread_mutex_unlock(&b->mu);
}

void cnc_borrower_tell_kept(struct cnc_borrower *b, struct cnc_conn *conn)
{
    struct cnc_loan_note note = { .what = CNC_LOAN_KEPT, .id = conn->loan };
    pthread_mutex_lock(&b->mu);
    bool is_heard = cnc_loan_front(note.id) == b->box.front && !b->is_cut; /* else no front has a copy to close */
    bool is_told = !is_heard || cnc_outbox_reserve(&b->box, b->promised);
    if (is_heard && is_told)
        cnc_outbox_keep(&b->box, &note, NULL);
    if (is_told)
        conn->flags |= CNC_CONN_KEPT;
    flush_locked(b);
    pthread_mutex_unlock(&b->mu);
}

void cnc_borrower_refuse(struct cnc_borrower *b, uint64_t loan, uint32_t flags)
{
    struct cnc_loan_note note = { .what = CNC_LOAN_REFUSED, .flags = flags, .id = loan };
    pthread_mutex_lock(&b->mu);
    cnc_outbox_read(&b->box, false);
    if (!b->is_cut && !(flags & CNC_LOAN_SILENT))
        cnc_outbox_keep(&b->box, &note, NULL);
    flush_locked(b);
    pthread_mutex_unlock(&b->mu);
}

void cnc_borrower_greet(struct cnc_borrower *b, uint32_t front)
{
    struct cnc_outbox_note old;
    pthread_mutex_lock(&b->mu);
    cnc_outbox_greet(&b->box, front);
    while (cnc_outbox_drop(&b->box, &old))
        end_orphan(b, old.conn);
    flush_locked(b);
    pthread_mutex_unlock(&b->mu);
}

void cnc_borrower_answer(struct cnc_borrower *b, uint32_t flags)
{
    pthread_mutex_lock(&b->mu);
    cnc_outbox_ask(&b->box, flags);
    flush_locked(b);
    pthread_mutex_unlock(&b->mu);
}

bool cnc_borrower_may_read(struct cnc_borrower *b)
{
    pthread_mutex_lock(&b->mu);
    bool may = !b->box.count && !b->is_cut;
    if (may)
        b->has_place = cnc_outbox_reserve(&b->box, b->incoming_count);
    b->promised = b->incoming_count + 1;
    pthread_mutex_unlock(&b->mu);
    return may;
}

void cnc_borrower_unclog(struct cnc_borrower *b)
{
    pthread_mutex_lock(&b->mu);
    b->is_clogged = false;
    flush_locked(b);
    pthread_mutex_unlock(&b->mu);
}

void cnc_borrower_watch(struct cnc_borrower *b)
{
    pthread_mutex_lock(&b->mu);
    bool is_clogged = b->is_clogged, is_told = b->is_told;
    pthread_mutex_unlock(&b->mu);
    unsigned mask = is_clogged && is_told ? CNC_IO_WRITE : is_clogged || !b->has_link ? 0u : CNC_IO_READ;
    if (is_clogged && !is_told)
        cnc_home_timer(b->serving.home, &b->retry, cnc_home_now(b->serving.home) + RETRY_MS);
    if (cnc_io_watch(b->serving.home->loop, &b->io, mask) < 0)
        cnc_borrower_break(b);
}

void cnc_borrower_break(struct cnc_borrower *b)
{
    pthread_mutex_lock(&b->mu);
    break_locked(b);
    pthread_mutex_unlock(&b->mu);
}

void cnc_borrower_cut(struct cnc_borrower *b)
{
    pthread_mutex_lock(&b->mu);
    cut_locked(b);
    pthread_mutex_unlock(&b->mu);
}
