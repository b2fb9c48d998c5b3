/* SPDX-License-Identifier: MIT
 *
 * The book: how many free threads each worker has, as far as the front knows, and which worker gets the next
 * connection. Pure: its input is what was sent, what the workers report, and the time.
 *
 * A worker reports two numbers of the same moment: how many loans it has read from its link so far, and how many of its
 * threads are free. Each loan that was sent and not read yet will take one of these threads. A report replaces all
 * earlier ones, so one may be lost, merged or repeated.
 */
#ifndef CNC_BOOK_H
#define CNC_BOOK_H

#include "base/base.h"

enum {
    CNC_BOOK_LINKED = 1,  /* there is a worker, and a link to it */
    CNC_BOOK_GREETED = 2, /* it has reported its numbers to this front */
    CNC_BOOK_RETIRED = 4, /* it gets no more loans */
    CNC_BOOK_CLOGGED = 8, /* its link is full */
    CNC_BOOK_STUCK = 16   /* it has not read its link for too long */
};

struct cnc_book_row {
    uint32_t sent, seen; /* loans sent over this link, and how many of them it has read, as last reported */
    uint32_t free;       /* threads that were free at that report */
    uint32_t stuck_at;   /* with STUCK: the flag is cleared when seen has reached this */
    uint32_t refused_at; /* value of sent when the last refusal came */
    uint32_t leases;     /* connections that it has for life (front.h) */
    uint32_t flags;      /* CNC_BOOK_* */
    uint32_t out_ms;     /* how long it was left out after its last refusal; 0: none, or it has taken a loan since */
    int64_t out_until;   /* left out until then: it gets no loan if another worker can */
};

struct cnc_book {
    struct cnc_book_row *rows; /* owned; by slot */
    unsigned count;
    unsigned workers;          /* how many there should be; a missing one will be replaced soon */
    unsigned threads_max;      /* of one worker; a higher report is cut to this */
    unsigned turn;             /* the search for the best worker begins at this slot, so that equal ones get turns */
};

enum { CNC_BOOK_WAIT = -1, CNC_BOOK_NOBODY = -2 };

/* CONCUR_OK or CONCUR_E_NOMEM. */
int cnc_book_open(struct cnc_book *book, unsigned count, unsigned workers, unsigned threads_max);
void cnc_book_close(struct cnc_book *book);

/* A worker has started in slot (link), or the one there has ended (unlink). */
void cnc_book_link(struct cnc_book *book, unsigned slot);
void cnc_book_unlink(struct cnc_book *book, unsigned slot);
/* The worker has reported its numbers. True: for the first time. */
bool cnc_book_told(struct cnc_book *book, unsigned slot, uint32_t seen, uint32_t free);
/* A loan was sent. Returns its number on this link, counted from 1. */
uint32_t cnc_book_sent(struct cnc_book *book, unsigned slot, bool for_life);
/* The loan with this number was read and not refused. */
void cnc_book_taken(struct cnc_book *book, unsigned slot, uint32_t number);
/* The worker has refused a loan for another reason than that no thread was free: leaves it out for a while. */
void cnc_book_refused(struct cnc_book *book, unsigned slot, int64_t now);
/* The worker has not read its link for too long: it gets no loans until it has read all that were sent so far. */
void cnc_book_stuck(struct cnc_book *book, unsigned slot);
void cnc_book_set(struct cnc_book *book, unsigned slot, unsigned flag, bool on);
/* A connection that was lent for one request stays with the worker (began); a connection for life has ended (ended). */
void cnc_book_lease_began(struct cnc_book *book, unsigned slot);
void cnc_book_lease_ended(struct cnc_book *book, unsigned slot);

/* Returns the slot that gets the next connection: of the worker with the most free threads, or, for life, with the
 * fewest connections for life. Workers that are left out are chosen only if there are no others; then each is tried
 * once. tries: how many workers have refused this connection. CNC_BOOK_WAIT: none can take it now; CNC_BOOK_NOBODY: all
 * have refused it. */
int cnc_book_pick(const struct cnc_book *book, bool for_life, unsigned tries, int64_t now);
/* When the first of the workers that are left out may get loans again; INT64_MAX: none is left out. */
int64_t cnc_book_next(const struct cnc_book *book, int64_t now);
/* Free threads of a worker, minus loans that it has not read. */
unsigned cnc_book_free(const struct cnc_book_row *row);
/* The sum of that over all workers that may get loans. */
unsigned cnc_book_free_total(const struct cnc_book *book);

static inline bool cnc_book_is(const struct cnc_book *book, unsigned slot, unsigned flag)
{
    return book->rows[slot].flags & flag;
}

#endif
