/* SPDX-License-Identifier: MIT
 *
 * A model of lending: a front and workers as plain data, with the book, the outbox and the ledger of the library between them,
 * over links that keep the order and have little room. Thousands of seeded orders of requests, ends, refusals, stops, deaths
 * and new fronts. What must hold: no request is begun twice; none is forgotten; and once all that was sent has arrived, the
 * front's numbers are those of the workers, and nobody waits while a thread is free.
 */
#include <stdio.h>

#include "conn/book.h"
#include "conn/ledger.h"
#include "conn/outbox.h"
#include "unit/live.h"

enum { WORKERS = 4, THREADS = 3, REQUESTS = 64, PLACES = 128, LINK_ROOM = 6, STEPS = 400, RUNS = 3000 };

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
    struct live_random random;
    struct cnc_book book;
    struct cnc_ledger ledger;
    uint32_t front, uses;
    int64_t now;
    struct worker workers[WORKERS];
    struct loan loans[PLACES];
    struct request requests[REQUESTS];
    unsigned ended, lost, revoked, refused, fronts, deaths, given_up;
};

static unsigned below(struct model *m, unsigned n)
{
    return live_below(&m->random, n);
}

/* ---- workers ---- */

static uint32_t free_threads(const struct worker *w)
{
    return w->job_count < THREADS ? THREADS - w->job_count : 0;
}

static void flush_worker(struct worker *w)
{
    struct cnc_outbox_note note;
    while (w->out_count < LINK_ROOM && cnc_outbox_next(&w->box, free_threads(w), &note)) {
        w->out[w->out_count++] = note.note;
        cnc_outbox_sent(&w->box, &note.note, true);
    }
}

static void refuse(struct worker *w, const struct message *msg, uint32_t flags)
{
    struct cnc_loan_note note = { .what = CNC_LOAN_REFUSED, .flags = flags, .id = msg->loan };
    cnc_outbox_read(&w->box, false);
    cnc_outbox_keep(&w->box, &note, NULL);
}

static void borrow(struct model *m, struct worker *w, const struct message *msg)
{
    if (!cnc_ledger_take(&m->ledger, msg->loan)) {
        cnc_outbox_read(&w->box, false);
    } else if (w->is_short || free_threads(w) == 0) {
        refuse(w, msg, w->is_short ? 0 : CNC_LOAN_BUSY);
    } else {
        cnc_outbox_read(&w->box, true);
        if (msg->request >= 0 && cnc_loan_front(msg->loan) == m->front) {
            ck_assert_msg(!m->requests[msg->request].is_begun, "request %d is begun twice", msg->request);
            m->requests[msg->request].is_begun = true;
        }
        w->jobs[w->job_count++] = (struct loan){ .id = msg->loan, .request = msg->request };
    }
}

static void worker_reads(struct model *m, struct worker *w)
{
    if (!w->in_count || w->is_stopped || w->box.count)
        return;
    ck_assert(cnc_outbox_reserve(&w->box, 0));
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

static void job_ends(struct model *m, struct worker *w)
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
static void own_job(struct worker *w)
{
    if (!w->is_linked || w->is_stopped || w->job_count == CNC_COUNT(w->jobs) || w->job_count >= THREADS + 2)
        return;
    w->jobs[w->job_count++] = (struct loan){ .request = -1 };
}

/* ---- the front ---- */

static bool put_message(struct worker *w, struct message msg)
{
    if (w->in_count == LINK_ROOM)
        return false;
    w->in[w->in_count++] = msg;
    return true;
}

static void try_request(struct model *m, int r)
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

static void serve_queue(struct model *m)
{
    for (int r = 0; r < REQUESTS; r++)
        if (m->requests[r].waits)
            try_request(m, r);
}

static void end_request(struct model *m, int r)
{
    ck_assert(m->requests[r].is_there);
    m->requests[r] = (struct request){ 0 };
    m->ended++;
}

static void hear_one(struct model *m, unsigned slot)
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
    ck_assert(!m->requests[was.request].is_begun);
    if (!(note.flags & CNC_LOAN_BUSY)) {
        cnc_book_refused(&m->book, slot, m->now);
        m->requests[was.request].tries++;
    }
    try_request(m, was.request);
}

static bool take_unread(struct model *m, unsigned slot)
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

static void look_at_unread(struct model *m, unsigned slot)
{
    cnc_book_stuck(&m->book, slot);
    if (!take_unread(m, slot))
        cnc_book_set(&m->book, slot, CNC_BOOK_STUCK, false);
}

static void hail(struct model *m, unsigned slot)
{
    cnc_book_link(&m->book, slot);
    if (!put_message(&m->workers[slot], (struct message){ .front = m->front, .request = -1 }))
        m->workers[slot].in[LINK_ROOM - 1] = (struct message){ .front = m->front, .request = -1 }; /* of a dead front's */
}

static void new_worker(struct model *m, unsigned slot)
{
    struct worker *w = &m->workers[slot];
    cnc_outbox_close(&w->box);
    *w = (struct worker){ .is_linked = true };
    ck_assert(cnc_outbox_reserve(&w->box, 0));
    hail(m, slot);
}

/* Whoever is dead is looked at to the end of what it has said; then what it had not looked at goes on, the rest is lost. */
static void worker_dies(struct model *m, unsigned slot)
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
static void front_dies(struct model *m)
{
    memset(m->loans, 0, sizeof m->loans);
    memset(m->requests, 0, sizeof m->requests);
    cnc_book_close(&m->book);
    ck_assert_int_eq(cnc_book_open(&m->book, WORKERS, WORKERS, THREADS), CONCUR_OK);
    m->front = cnc_ledger_add_front(&m->ledger);
    m->fronts++;
    for (unsigned slot = 0; slot < WORKERS; slot++)
        hail(m, slot);
}

static void ask(struct model *m)
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

static void step(struct model *m)
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
static void settle(struct model *m)
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

static void expect_agreement(struct model *m, unsigned run)
{
    unsigned waiting = 0, free = 0;
    for (unsigned slot = 0; slot < WORKERS; slot++) {
        const struct worker *w = &m->workers[slot];
        ck_assert_msg(cnc_book_free(&m->book.rows[slot]) == free_threads(w), "run %u: worker %u has %u free, the front says %u",
                      run, slot, free_threads(w), cnc_book_free(&m->book.rows[slot]));
        free += free_threads(w);
    }
    for (int r = 0; r < REQUESTS; r++)
        waiting += m->requests[r].waits;
    ck_assert_msg(!waiting || !free, "run %u: %u wait, %u threads are free", run, waiting, free);
}

static void expect_end(struct model *m, unsigned run)
{
    for (int i = 0; i < 60; i++) {
        for (unsigned slot = 0; slot < WORKERS; slot++)
            job_ends(m, &m->workers[slot]);
        settle(m);
    }
    for (int r = 0; r < REQUESTS; r++)
        ck_assert_msg(!m->requests[r].is_there, "run %u: request %d was forgotten", run, r);
    expect_agreement(m, run);
}

START_TEST(whatever_the_order)
{
    const uint64_t seed = live_seed();
    unsigned ended = 0, lost = 0, revoked = 0, refused = 0, fronts = 0, deaths = 0;
    for (unsigned run = 0; run < (LIVE_SANITIZED ? RUNS / 20 : RUNS); run++) {
        static struct model m;
        m = (struct model){ .random = live_random_of(seed, run), .now = 1000 };
        ck_assert(cnc_ledger_open(&m.ledger, PLACES));
        ck_assert_int_eq(cnc_book_open(&m.book, WORKERS, WORKERS, THREADS), CONCUR_OK);
        m.front = cnc_ledger_add_front(&m.ledger);
        for (unsigned slot = 0; slot < WORKERS; slot++)
            new_worker(&m, slot);
        const unsigned steps = below(&m, STEPS);
        for (unsigned i = 0; i < steps; i++)
            step(&m);
        settle(&m);
        expect_agreement(&m, run); /* with jobs that hold their threads */
        expect_end(&m, run);
        ended += m.ended, lost += m.lost, revoked += m.revoked, refused += m.refused, fronts += m.fronts, deaths += m.deaths;
        for (unsigned slot = 0; slot < WORKERS; slot++)
            cnc_outbox_close(&m.workers[slot].box);
        cnc_book_close(&m.book);
        cnc_ledger_close(&m.ledger);
    }
    printf("%u ended, %u lost with %u workers, %u taken back unread, %u refused, %u new fronts\n", ended, lost, deaths, revoked,
           refused, fronts);
    ck_assert(ended && lost && revoked && refused && fronts); /* else the orders say nothing */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conn_lending_model");
    TCase *t = tcase_create("orders");
    tcase_set_timeout(t, 100);
    tcase_add_test(t, whatever_the_order);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
