/* SPDX-License-Identifier: MIT
 *
 * A model of lending: a front and workers as plain data, with the book, the outbox and the ledger of the library between them,
 * over links that keep the order and have little room. Whoever uses it draws the order of requests, ends, refusals, stops, deaths
 * and new fronts. What must hold: no request is begun twice; none is forgotten; and once all that was sent has arrived, the
 * front's numbers are those of the workers, and nobody waits while a thread is free. Else the process ends.
 */
#ifndef LENDING_MODEL_H
#define LENDING_MODEL_H

#include <stdio.h>
#include <stdlib.h>

#include <concur/error.h>

#include "serve/lend/book.h"
#include "serve/lend/ledger.h"
#include "serve/lend/outbox.h"

enum { WORKERS = 4, THREADS = 3, REQUESTS = 64, PLACES = 128, LINK_ROOM = 6 };

#define MUST(m, what)                                                                                                  \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: run %u: broken: %s\n", __FILE__, __LINE__, (m)->run, #what);                        \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct request {
    bool is_there;  /* asked, and not ended */
    bool is_begun;  /* a worker has it */
    bool waits;     /* in the front's queue */
    unsigned tries;
};

/* A message to a worker: a loan, or a hello. */
struct message {
    uint64_t loan; /* 0: a hello */
    uint32_t front;
    int request;
};

struct loan {
    uint64_t id; /* 0: none */
    int request;
    unsigned slot;
    uint32_t number;
};

struct worker {
    bool is_linked, is_stopped, is_short;
    struct message in[PLACES]; /* unread */
    unsigned in_count;
    struct cnc_loan_note out[LINK_ROOM]; /* to the front, unread */
    unsigned out_count;
    struct cnc_outbox box;
    struct loan jobs[THREADS * 8]; /* id 0 with a request of -1: its own */
    unsigned job_count;
};

struct model {
    unsigned (*draw)(void *, unsigned); /* a number below another one */
    void *from;
    unsigned run; /* to name it in a failure */
    struct cnc_book book;
    struct cnc_ledger ledger;
    uint32_t front, uses;
    int64_t now;
    struct worker workers[WORKERS];
    struct loan loans[PLACES];
    struct request requests[REQUESTS];
    unsigned ended, lost, revoked, refused, fronts, deaths, given_up;
};

static inline unsigned below(struct model *m, unsigned n)
{
    return m->draw(m->from, n);
}

/* ---- workers ---- */

static inline uint32_t free_threads(const struct worker *w)
{
    return w->job_count < THREADS ? THREADS - w->job_count : 0;
}

static inline void flush_worker(struct worker *w)
{
    struct cnc_outbox_note note;
    while (w->out_count < LINK_ROOM && cnc_outbox_next(&w->box, free_threads(w), &note)) {
        w->out[w->out_count++] = note.note;
        cnc_outbox_sent(&w->box, &note.note, true);
    }
}

static inline void refuse(struct worker *w, const struct message *msg, uint32_t flags)
{
    struct cnc_loan_note note = { .what = CNC_LOAN_REFUSED, .flags = flags, .id = msg->loan };
    cnc_outbox_read(&w->box, false);
    cnc_outbox_keep(&w->box, &note, NULL);
}

static inline void borrow(struct model *m, struct worker *w, const struct message *msg)
{
    if (!cnc_ledger_take(&m->ledger, msg->loan)) {
        cnc_outbox_read(&w->box, false);
    } else if (w->is_short || free_threads(w) == 0) {
        refuse(w, msg, w->is_short ? 0 : CNC_LOAN_BUSY);
    } else {
        cnc_outbox_read(&w->box, true);
        if (msg->request >= 0 && cnc_loan_front(msg->loan) == m->front) {
            MUST(m, !m->requests[msg->request].is_begun); /* no request is begun twice */
            m->requests[msg->request].is_begun = true;
        }
        w->jobs[w->job_count++] = (struct loan){ .id = msg->loan, .request = msg->request };
    }
}

static inline void worker_reads(struct model *m, struct worker *w)
{
    if (!w->in_count || w->is_stopped || w->box.count)
        return;
    MUST(m, cnc_outbox_reserve(&w->box, 0));
    struct message msg = w->in[0];
    memmove(w->in, w->in + 1, --w->in_count * sizeof *w->in);
    if (msg.loan) {
        borrow(m, w, &msg);
    } else {
        struct cnc_outbox_note old;
        cnc_outbox_greet(&w->box, msg.front);
        while (cnc_outbox_drop(&w->box, &old))
            continue;
    }
    flush_worker(w);
}

static inline void job_ends(struct model *m, struct worker *w)
{
    if (!w->job_count || w->is_stopped)
        return;
    unsigned i = below(m, w->job_count);
    struct loan job = w->jobs[i];
    w->jobs[i] = w->jobs[--w->job_count];
    if (job.id) {
        struct cnc_loan_note note = { .what = below(m, 2) ? CNC_LOAN_RETURN : CNC_LOAN_GONE, .id = job.id };
        if (cnc_outbox_end(&w->box, job.id))
            cnc_outbox_keep(&w->box, &note, NULL);
    }
    flush_worker(w);
}

/* A connection that stays has a further head complete: nobody asks the front. */
static inline void own_job(struct worker *w)
{
    if (!w->is_linked || w->is_stopped || w->job_count == CNC_COUNT(w->jobs) || w->job_count >= THREADS + 2)
        return;
    w->jobs[w->job_count++] = (struct loan){ .request = -1 };
}

/* ---- the front ---- */

static inline bool put_message(struct worker *w, struct message msg)
{
    if (w->in_count == LINK_ROOM)
        return false;
    w->in[w->in_count++] = msg;
    return true;
}

static inline void try_request(struct model *m, int r)
{
    struct request *request = &m->requests[r];
    int slot;
    while ((slot = cnc_book_pick(&m->book, false, request->tries, m->now)) >= 0) {
        uint32_t place = 0;
        while (m->loans[place].id)
            place++;
        uint64_t id = cnc_loan_number(m->front, ++m->uses, place);
        cnc_ledger_lend(&m->ledger, id);
        if (put_message(&m->workers[slot], (struct message){ id, m->front, r })) {
            m->loans[place] = (struct loan){ id, r, (unsigned)slot, cnc_book_sent(&m->book, (unsigned)slot, false) };
            request->waits = false;
            return;
        }
        cnc_book_set(&m->book, (unsigned)slot, CNC_BOOK_CLOGGED, true);
    }
    request->waits = slot == CNC_BOOK_WAIT;
    if (slot == CNC_BOOK_NOBODY) {
        m->given_up++;
        request->is_there = false;
    }
}

static inline void serve_queue(struct model *m)
{
    for (int r = 0; r < REQUESTS; r++)
        if (m->requests[r].waits)
            try_request(m, r);
}

static inline void end_request(struct model *m, int r)
{
    MUST(m, m->requests[r].is_there);
    m->requests[r] = (struct request){ 0 };
    m->ended++;
}

static inline void hear_one(struct model *m, unsigned slot)
{
    struct worker *w = &m->workers[slot];
    if (!w->out_count)
        return;
    struct cnc_loan_note note = w->out[0];
    memmove(w->out, w->out + 1, --w->out_count * sizeof *w->out);
    if (note.front != m->front)
        return;
    (void)cnc_book_told(&m->book, slot, note.seen, note.free);
    struct loan *loan = &m->loans[cnc_loan_place(note.id)];
    if (!note.id || loan->id != note.id || loan->slot != slot)
        return;
    struct loan was = *loan;
    loan->id = 0;
    if (note.what != CNC_LOAN_REFUSED) {
        cnc_book_taken(&m->book, slot, was.number);
        end_request(m, was.request);
        return;
    }
    m->refused++;
    MUST(m, !m->requests[was.request].is_begun);
    if (!(note.flags & CNC_LOAN_BUSY)) {
        cnc_book_refused(&m->book, slot, m->now);
        m->requests[was.request].tries++;
    }
    try_request(m, was.request);
}

static inline bool take_unread(struct model *m, unsigned slot)
{
    bool any = false;
    for (unsigned place = 0; place < PLACES; place++) {
        struct loan was = m->loans[place];
        if (!was.id || was.slot != slot || !cnc_ledger_revoke(&m->ledger, was.id))
            continue;
        m->loans[place].id = 0;
        m->revoked++;
        any = true;
        try_request(m, was.request);
    }
    return any;
}

static inline void look_at_unread(struct model *m, unsigned slot)
{
    cnc_book_stuck(&m->book, slot);
    if (!take_unread(m, slot))
        cnc_book_set(&m->book, slot, CNC_BOOK_STUCK, false);
}

static inline void hail(struct model *m, unsigned slot)
{
    cnc_book_link(&m->book, slot);
    if (!put_message(&m->workers[slot], (struct message){ .front = m->front, .request = -1 }))
        m->workers[slot].in[LINK_ROOM - 1] = (struct message){ .front = m->front, .request = -1 }; /* of a dead front's */
}

static inline void new_worker(struct model *m, unsigned slot)
{
    struct worker *w = &m->workers[slot];
    cnc_outbox_close(&w->box);
    *w = (struct worker){ .is_linked = true };
    MUST(m, cnc_outbox_reserve(&w->box, 0));
    hail(m, slot);
}

/* Whoever is dead is looked at to the end of what it has said; then what it had not looked at goes on, the rest is lost. */
static inline void worker_dies(struct model *m, unsigned slot)
{
    struct worker *w = &m->workers[slot];
    cnc_book_set(&m->book, slot, CNC_BOOK_RETIRED, true);
    while (w->out_count)
        hear_one(m, slot);
    (void)take_unread(m, slot);
    for (unsigned place = 0; place < PLACES; place++) {
        struct loan *loan = &m->loans[place];
        if (!loan->id || loan->slot != slot)
            continue;
        loan->id = 0;
        m->lost++;
        m->requests[loan->request] = (struct request){ 0 };
    }
    cnc_book_unlink(&m->book, slot);
    m->deaths++;
    new_worker(m, slot);
}

/* With all that waited or was lent: those that have them know nobody to give them back to. */
static inline void front_dies(struct model *m)
{
    memset(m->loans, 0, sizeof m->loans);
    memset(m->requests, 0, sizeof m->requests);
    cnc_book_close(&m->book);
    MUST(m, cnc_book_open(&m->book, WORKERS, WORKERS, THREADS) == CONCUR_OK);
    m->front = cnc_ledger_add_front(&m->ledger);
    m->fronts++;
    for (unsigned slot = 0; slot < WORKERS; slot++)
        hail(m, slot);
}

static inline void ask(struct model *m)
{
    int r = 0;
    while (r < REQUESTS && m->requests[r].is_there)
        r++;
    if (r == REQUESTS)
        return;
    m->requests[r] = (struct request){ .is_there = true };
    try_request(m, r);
}

/* ---- orders ---- */

static inline void step(struct model *m)
{
    unsigned slot = below(m, WORKERS);
    struct worker *w = &m->workers[slot];
    switch (below(m, 40)) {
    case 0:
        worker_dies(m, slot);
        return;
    case 1:
        if (below(m, 4) == 0)
            front_dies(m);
        return;
    case 2:
        w->is_stopped = !w->is_stopped;
        return;
    case 3:
        w->is_short = !w->is_short;
        return;
    case 4:
        look_at_unread(m, slot);
        return;
    case 5:
    case 6:
        own_job(w);
        return;
    case 7:
        flush_worker(w); /* now and then its numbers are told, though nothing ends */
        return;
    case 8:
    case 9:
        cnc_book_set(&m->book, slot, CNC_BOOK_CLOGGED, w->in_count == LINK_ROOM);
        serve_queue(m);
        return;
    case 10:
        m->now += below(m, 150);
        return;
    default:
        break;
    }
    switch (below(m, 4)) {
    case 0:
        ask(m);
        break;
    case 1:
        worker_reads(m, w);
        break;
    case 2:
        job_ends(m, w);
        break;
    default:
        hear_one(m, slot);
        serve_queue(m);
        break;
    }
}

/* All that is under way arrives. */
static inline void settle(struct model *m)
{
    for (int i = 0; i < 40; i++)
        for (unsigned slot = 0; slot < WORKERS; slot++) {
            struct worker *w = &m->workers[slot];
            w->is_stopped = w->is_short = false;
            flush_worker(w);
            worker_reads(m, w);
            hear_one(m, slot);
            cnc_book_set(&m->book, slot, CNC_BOOK_CLOGGED, w->in_count == LINK_ROOM);
            serve_queue(m);
            m->now += 100;
        }
}

/* What a worker says it has is what it has. */
static inline void expect_own_numbers(struct model *m, const struct worker *w)
{
    unsigned loans = 0, others = 0;
    for (unsigned i = 0; i < w->job_count; i++) {
        loans += w->jobs[i].id && cnc_loan_front(w->jobs[i].id) == m->front;
        others += w->jobs[i].id && cnc_loan_front(w->jobs[i].id) != m->front;
    }
    MUST(m, w->box.loans == loans && w->box.others == others && w->box.count == 0);
}

/* Once all that was sent has arrived the front's numbers are those of the workers, and nobody waits while a thread is free. */
static inline void expect_agreement(struct model *m)
{
    unsigned waiting = 0, free = 0;
    for (unsigned slot = 0; slot < WORKERS; slot++) {
        MUST(m, cnc_book_free(&m->book.rows[slot]) == free_threads(&m->workers[slot]));
        expect_own_numbers(m, &m->workers[slot]);
        free += free_threads(&m->workers[slot]);
    }
    for (int r = 0; r < REQUESTS; r++)
        waiting += m->requests[r].waits;
    MUST(m, !waiting || !free);
}

static inline bool is_any_there(const struct model *m)
{
    for (int r = 0; r < REQUESTS; r++)
        if (m->requests[r].is_there)
            return true;
    return false;
}

/* Every job ends, and then every request has. */
static inline void expect_end(struct model *m)
{
    for (int i = 0; i < 60 && (i == 0 || is_any_there(m)); i++) {
        for (unsigned slot = 0; slot < WORKERS; slot++)
            for (unsigned n = m->workers[slot].job_count; n > 0; n--)
                job_ends(m, &m->workers[slot]);
        settle(m);
    }
    MUST(m, !is_any_there(m)); /* none was forgotten */
    expect_agreement(m);
}

static inline void model_open(struct model *m, unsigned (*draw)(void *, unsigned), void *from, unsigned run)
{
    *m = (struct model){ .draw = draw, .from = from, .run = run, .now = 1000 };
    MUST(m, cnc_ledger_open(&m->ledger, PLACES));
    MUST(m, cnc_book_open(&m->book, WORKERS, WORKERS, THREADS) == CONCUR_OK);
    m->front = cnc_ledger_add_front(&m->ledger);
    for (unsigned slot = 0; slot < WORKERS; slot++)
        new_worker(m, slot);
}

static inline void model_close(struct model *m)
{
    for (unsigned slot = 0; slot < WORKERS; slot++)
        cnc_outbox_close(&m->workers[slot].box);
    cnc_book_close(&m->book);
    cnc_ledger_close(&m->ledger);
}

#endif
