/* SPDX-License-Identifier: MIT */
#include "serve/lend/front.h"

#include "base/error.h"
#include "base/sys.h"
#include "net/passing.h"
#include "serve/lend/front_internal.h"

#define NOTES_AT_ONCE 64 /* messages read from one worker before others get their turn */
#define OTHERS_MAX 1000000 /* upper bound of connections_max */
#define GREET_MS 1000    /* how long the front waits for the first reports of the workers */

static void open_up(struct cnc_front *f, int64_t now);
static void hail(struct cnc_front_worker *w);
static bool ask_next(struct cnc_front *f);

/* ---- time ---- */

void cnc_front_wake_by(struct cnc_front *f, int64_t at)
{
    if (at >= f->wake_at)
        return;
    f->wake_at = at;
    cnc_home_timer(f->drv->home, &f->timer, at);
}

static void on_front_timer(struct cnc_timer *t)
{
    struct cnc_front *f = CNC_CONTAINER(t, struct cnc_front, timer);
    int64_t now = cnc_home_now(f->drv->home);
    f->wake_at = INT64_MAX;
    open_up(f, now);
    for (unsigned i = 0; i < f->cfg.workers_max; i++)
        if (f->workers[i].pid && !f->workers[i].hailed && !cnc_book_is(&f->book, i, CNC_BOOK_RETIRED | CNC_BOOK_CLOGGED))
            hail(&f->workers[i]);
    cnc_front_look_at_unread(f, now);
    cnc_front_serve_queue(f);
    cnc_front_look_at_queue(f, now);
}

/* ---- workers ---- */

void cnc_front_show(struct cnc_front *f, unsigned slot)
{
    if (f->cfg.show)
        f->cfg.show(f, slot, cnc_book_free(&f->book.rows[slot]));
}

void cnc_front_watch(struct cnc_front_worker *w)
{
    bool is_clogged = cnc_book_is(&w->front->book, w->slot, CNC_BOOK_CLOGGED);
    if (!w->is_lost && cnc_io_watch(w->front->drv->home->loop, &w->io, CNC_IO_READ | (is_clogged ? CNC_IO_WRITE : 0u)) < 0)
        cnc_front_lose(w); /* its messages could not be read */
}

/* Calls ready() when every worker has reported its free threads, or at greet_until. Until then the front does not know
 * when there are too many requests. */
static void open_up(struct cnc_front *f, int64_t now)
{
    void (*ready)(struct cnc_front *) = f->cfg.ready;
    if (!ready)
        return;
    if ((f->strangers || !f->is_known) && now < f->greet_until) {
        cnc_front_wake_by(f, f->greet_until);
        return;
    }
    f->cfg.ready = NULL;
    ready(f);
}

/* This worker has reported, or never will: ready() need not wait for it. */
static void count_out(struct cnc_front_worker *w)
{
    struct cnc_front *f = w->front;
    f->strangers -= w->is_stranger;
    w->is_stranger = false;
    open_up(f, cnc_home_now(f->drv->home));
}

void cnc_front_shut(struct cnc_front_worker *w)
{
    cnc_book_set(&w->front->book, w->slot, CNC_BOOK_RETIRED, true);
    (void)cnc_front_revoke(w);
    count_out(w);
}

void cnc_front_lose(struct cnc_front_worker *w)
{
    struct cnc_front *f = w->front;
    if (w->is_lost)
        return;
    w->is_lost = true;
    (void)cnc_io_watch(f->drv->home->loop, &w->io, 0);
    f->cfg.tell(f, CNC_FRONT_UNLINKED, w->slot, 0);
    cnc_front_shut(w);
}

static void hail(struct cnc_front_worker *w)
{
    struct cnc_loan_note hello = { .what = CNC_LOAN_HELLO, .front = w->front->number };
    struct iovec iov = { &hello, sizeof hello };
    int rc = cnc_passing_send(cnc_io_fd(&w->io), &iov, 1, -1, false);
    w->hailed = rc == CONCUR_OK;
    cnc_book_set(&w->front->book, w->slot, CNC_BOOK_CLOGGED, rc == CONCUR_AGAIN);
    cnc_front_watch(w);
    if (rc == CONCUR_E_GONE)
        cnc_front_shut(w);
    else if (rc != CONCUR_OK)
        cnc_front_wake_by(w->front, cnc_home_now(w->front->drv->home) + CNC_NO_ROOM_MS);
}

/* The reported number of connections from earlier fronts, corrected: it can only fall, and has an upper bound at first.
 * A worker with wrong numbers must not spoil the count of connections. */
static uint32_t believed(const struct cnc_front_worker *w, uint32_t others, bool is_first)
{
    uint32_t most = is_first ? OTHERS_MAX : w->others;
    return others < most ? others : most;
}

static void on_front_note(struct cnc_front_worker *w, const struct cnc_loan_note *note, const char *bytes, size_t n)
{
    struct cnc_front *f = w->front;
    if (note->front != f->number)
        return; /* the message is for an earlier front */
    bool is_first = cnc_book_told(&f->book, w->slot, note->seen, note->free);
    uint32_t others = believed(w, note->others, is_first);
    f->is_known |= is_first;
    if (others != w->others && !f->drains)
        cnc_front_count(f, (int)others - (int)w->others);
    w->others = others;
    cnc_front_on_loan_note(w, note, bytes, n);
    cnc_front_show(f, w->slot);
    if (note->flags & CNC_LOAN_NONE_IDLE)
        (void)ask_next(f);
    if (w->is_stranger)
        count_out(w);
}

/* Reads at most `most` messages. Returns how many were read, or a negative error number. */
static ssize_t front_hear(struct cnc_front_worker *w, unsigned most)
{
    struct cnc_loan_note note;
    char *room = w->front->room;
    for (unsigned i = 0; i < most; i++) {
        int fd = -1;
        ssize_t n = cnc_passing_recv(cnc_io_fd(&w->io), room, CNC_LOAN_ROOM, &fd, false);
        cnc_sys_close(&fd); /* none is expected */
        if (n == -EAGAIN)
            return i;
        if (n <= 0)
            return n < 0 ? n : -EPIPE;
        if (n < (ssize_t)sizeof note)
            continue;
        memcpy(&note, room, sizeof note);
        on_front_note(w, &note, room + sizeof note, (size_t)n - sizeof note);
    }
    return most;
}

static void on_front_link(struct cnc_io *io, unsigned ready)
{
    struct cnc_front_worker *w = CNC_CONTAINER(io, struct cnc_front_worker, io);
    struct cnc_front *f = w->front;
    if (ready & CNC_IO_WRITE) {
        cnc_book_set(&f->book, w->slot, CNC_BOOK_CLOGGED, false);
        cnc_front_watch(w);
    }
    if (!w->hailed && !cnc_book_is(&f->book, w->slot, CNC_BOOK_CLOGGED))
        hail(w);
    if (front_hear(w, NOTES_AT_ONCE) < 0)
        cnc_front_lose(w);
    cnc_front_serve_queue(f);
}

static struct cnc_front_worker *worker_at(struct cnc_front *f, unsigned slot, int64_t pid)
{
    struct cnc_front_worker *w = slot < f->cfg.workers_max ? &f->workers[slot] : NULL;
    return w && w->pid && w->pid == pid ? w : NULL;
}

bool cnc_front_attach(struct cnc_front *f, unsigned slot, int64_t pid, int link)
{
    if (link < 0 || slot >= f->cfg.workers_max || pid <= 0) {
        cnc_sys_close(&link);
        return false;
    }
    struct cnc_front_worker *w = &f->workers[slot];
    cnc_front_bury(f, slot, w->pid); /* the worker that had the slot before is dead */
    *w = (struct cnc_front_worker){ .front = f, .slot = slot, .pid = pid, .unread_first = CNC_NO_PLACE,
                                    .unread_last = CNC_NO_PLACE, .is_stranger = true };
    cnc_book_link(&f->book, slot);
    f->strangers++;
    cnc_io_init(f->drv->home->loop, &w->io, link, on_front_link);
    hail(w);
    return true;
}

int64_t cnc_front_pid(const struct cnc_front *f, unsigned slot)
{
    return slot < f->cfg.workers_max ? f->workers[slot].pid : 0;
}

void cnc_front_retire(struct cnc_front *f, unsigned slot, int64_t pid)
{
    if (worker_at(f, slot, pid))
        cnc_book_set(&f->book, slot, CNC_BOOK_RETIRED, true);
}

void cnc_front_bury(struct cnc_front *f, unsigned slot, int64_t pid)
{
    struct cnc_front_worker *w = worker_at(f, slot, pid);
    if (!w)
        return;
    cnc_book_set(&f->book, slot, CNC_BOOK_RETIRED, true);
    while (front_hear(w, NOTES_AT_ONCE) == NOTES_AT_ONCE) /* all that it sent before it died */
        continue;
    w->is_lost = true;
    (void)cnc_io_watch(f->drv->home->loop, &w->io, 0);
    cnc_front_shut(w);
    cnc_front_inherit(w);
    if (!f->drains)
        cnc_front_count(f, -(int)w->others);
    int link = cnc_io_fd(&w->io);
    cnc_sys_close(&link);
    w->pid = 0;
    w->others = 0; /* cnc_front_drain() adds up others of all slots, free ones too */
    cnc_book_unlink(&f->book, slot);
    cnc_front_show(f, slot);
    cnc_front_serve_queue(f);
}

/* ---- room for new connections ---- */

static bool ask_next(struct cnc_front *f)
{
    struct cnc_loan_note note = { .what = CNC_LOAN_REAP };
    struct iovec iov = { &note, sizeof note };
    while (f->reap_left > 0) {
        struct cnc_front_worker *w = &f->workers[f->reap_turn++ % f->cfg.workers_max];
        bool has_some = w->pid && (f->book.rows[w->slot].leases || w->others);
        f->reap_left--;
        if (has_some && !w->is_lost && cnc_passing_send(cnc_io_fd(&w->io), &iov, 1, -1, false) == CONCUR_OK)
            return true;
    }
    return false;
}

bool cnc_front_ask_room(void *front)
{
    struct cnc_front *f = front;
    f->reap_left = f->cfg.workers_max;
    return ask_next(f);
}

/* ---- life ---- */

void cnc_front_drain(struct cnc_front *f)
{
    unsigned n = 0;
    for (unsigned i = 0; i < f->cfg.workers_max; i++)
        n += f->workers[i].others;
    for (uint32_t i = 0; i < f->loan_count; i++)
        n += f->loans[i].id && !f->loans[i].conn;
    (void)atomic_fetch_sub(f->cfg.connections, n);
    f->drains = true;
}

void cnc_front_give_up(struct cnc_front *f)
{
    cnc_front_empty_queue(f);
    cnc_front_give_up_loans(f);
}

int cnc_front_open(struct cnc_front *f, struct cnc_driver *drv, const struct cnc_front_config *cfg)
{
    *f = (struct cnc_front){ .drv = drv, .cfg = *cfg, .timer.fn = on_front_timer, .wake_at = INT64_MAX, .greet_until = INT64_MAX,
                             .number = cnc_ledger_add_front(cfg->ledger) };
    cnc_link_init(&f->queue);
    drv->lender = f;
    f->room = cnc_malloc(CNC_LOAN_ROOM);
    f->workers = cnc_calloc(cfg->workers_max, sizeof *f->workers);
    int rc = cnc_book_open(&f->book, cfg->workers_max, cfg->workers, cfg->threads_max);
    if (f->room && f->workers && rc == CONCUR_OK)
        return CONCUR_OK;
    cnc_front_close(f);
    return CONCUR_E_NOMEM;
}

void cnc_front_begin(struct cnc_front *f)
{
    int64_t now = cnc_clock_now(f->drv->home->clock);
    f->greet_until = now + GREET_MS;
    open_up(f, now);
}

void cnc_front_close(struct cnc_front *f)
{
    if (f->workers && f->book.rows) {
        f->cfg.ready = NULL;
        cnc_front_give_up(f);
        for (unsigned i = 0; i < f->cfg.workers_max; i++)
            cnc_front_bury(f, i, f->workers[i].pid);
        cnc_home_timer_cancel(f->drv->home, &f->timer);
    }
    cnc_book_close(&f->book);
    cnc_free(f->workers);
    cnc_free(f->loans);
    cnc_free(f->room);
    f->workers = NULL;
    f->loans = NULL;
    f->room = NULL;
}
