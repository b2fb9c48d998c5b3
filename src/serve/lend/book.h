/* SPDX-License-Identifier: MIT
 *
 * The book: what a front knows of each worker's threads, and which worker gets the next connection. Pure: it gets what was
 * sent, what a worker has reported and the time, and returns a slot.
 *
 * A worker reports two totals of the same moment: how many loans it has read from this link, and how many of its threads were
 * free. Each loan that it had not read yet will take a thread. So a report may be lost, merged or repeated: the next one
 * corrects everything.
 */
#ifndef CNC_BOOK_H
#define CNC_BOOK_H

#include "base/base.h"

enum {
    CNC_BOOK_LINKED = 1,  /* there is a worker, and a link to it */
    CNC_BOOK_GREETED = 2, /* it has told its numbers to this front */
    CNC_BOOK_RETIRED = 4, /* it takes nothing more */
    CNC_BOOK_CLOGGED = 8, /* its link takes nothing at the moment */
    CNC_BOOK_STUCK = 16   /* it does not read its link */
};

struct cnc_book_row {
    uint32_t sent, seen; /* loans sent over this link, and how many of them it has read, as last reported */
    uint32_t free;       /* threads that were free at that report */
    uint32_t stuck_at;   /* STUCK: until it has seen so many */
    uint32_t refused_at; /* loans that were sent when the last refusal came */
    uint32_t leases;     /* connections that it has for life */
    uint32_t flags;
    uint32_t out_ms;     /* how long its last refusal left it out; 0: nothing was refused since it took one */
    int64_t out_until;
};

struct cnc_book {
    struct cnc_book_row *rows; /* owned; by slot */
    unsigned count;
    unsigned workers;          /* that there should be; one that is missing will be replaced soon */
    unsigned threads_max;      /* of a worker: a higher number is not believed */
    unsigned turn;             /* of equals the first to be asked */
};

enum { CNC_BOOK_WAIT = -1, CNC_BOOK_NOBODY = -2 };

/* CONCUR_OK or CONCUR_E_NOMEM. */
int cnc_book_open(struct cnc_book *book, unsigned count, unsigned workers, unsigned threads_max);
void cnc_book_close(struct cnc_book *book);

/* A worker has started in slot; or the one there has ended. */
void cnc_book_link(struct cnc_book *book, unsigned slot);
void cnc_book_unlink(struct cnc_book *book, unsigned slot);
/* Its numbers. True: the first ones. */
bool cnc_book_told(struct cnc_book *book, unsigned slot, uint32_t seen, uint32_t free);
/* A loan was sent, for life or not. Returns which of those on this link it is, from 1. */
uint32_t cnc_book_sent(struct cnc_book *book, unsigned slot, bool for_life);
/* The loan of this number was read and not refused. */
void cnc_book_taken(struct cnc_book *book, unsigned slot, uint32_t number);
/* It has refused a loan, or the system had no room for it: leaves it out for a while. */
void cnc_book_refused(struct cnc_book *book, unsigned slot, int64_t now);
/* It has not read its link for too long: leaves it out until it has. */
void cnc_book_stuck(struct cnc_book *book, unsigned slot);
void cnc_book_set(struct cnc_book *book, unsigned slot, unsigned flag, bool on);
/* A connection that was lent stays with the worker; or one of those has ended. */
void cnc_book_lease_began(struct cnc_book *book, unsigned slot);
void cnc_book_lease_ended(struct cnc_book *book, unsigned slot);

/* The slot that gets the next connection: the worker with most free threads, or, for life, the one with fewest connections
 * for life. Workers that are left out get none, unless there is no other one: then each is tried once. tries: how many have
 * refused this connection. CNC_BOOK_WAIT: none now; CNC_BOOK_NOBODY: all have refused it. */
int cnc_book_pick(const struct cnc_book *book, bool for_life, unsigned tries, int64_t now);
/* When a worker that is left out is tried again; INT64_MAX: none is. */
int64_t cnc_book_next(const struct cnc_book *book, int64_t now);
/* Free threads of a worker, those on loans that it has not read taken off. */
unsigned cnc_book_free(const struct cnc_book_row *row);
/* The same of all workers that take loans. */
unsigned cnc_book_free_total(const struct cnc_book *book);

static inline bool cnc_book_is(const struct cnc_book *book, unsigned slot, unsigned flag)
{
    return book->rows[slot].flags & flag;
}

#endif
