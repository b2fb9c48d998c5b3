/* SPDX-License-Identifier: MIT
 *
 * What a front and its workers tell each other about connections (front.h lends, core/borrower.h borrows). A message is a
 * head, bytes of a connection that nobody has parsed yet, and, where a connection goes to a worker, its descriptor.
 */
#ifndef CNC_LOAN_H
#define CNC_LOAN_H

#include "conn/conn.h"

enum cnc_loan_what {
    CNC_LOAN_LEND = 1,   /* to a worker, with the descriptor: a connection with a complete head */
    CNC_LOAN_HELLO = 2,  /* to a worker: a front is new and asks how many threads are free */
    CNC_LOAN_RETURN = 3, /* to the front: the connection is idle; bytes that came too early come along */
    CNC_LOAN_GONE = 4,   /* to the front: it was closed */
    CNC_LOAN_CREDIT = 5  /* to the front: nothing but what its flags say */
};

enum {
    CNC_LOAN_LAST = 1,     /* with LEND: its next reply is its last */
    CNC_LOAN_FOR_LIFE = 2, /* with LEND: the front forgets it, and it does not come back */
    CNC_LOAN_FREE = 4,     /* to the front: a thread has become free */
    CNC_LOAN_CUT = 16,     /* with GONE: cut off, so nothing is lingered for */
    CNC_LOAN_REFUSED = 32, /* with GONE: the worker had no room for it and has begun nothing, so the front answers */
    CNC_LOAN_ALL = 8       /* to the front: value threads are free, in answer to HELLO */
};

struct cnc_loan_note {
    uint32_t what, flags;
    uint64_t id;       /* the front's; a number of another front's is recognised by its upper half */
    uint32_t requests; /* begun on the connection so far */
    uint32_t value;
};

/* What a worker writes down of each loan, in memory that the front shares, so that the front knows what a dead one has left
 * undone. By the lower half of the loan's number. */
#define CNC_LEDGER_UNKNOWN UINT64_MAX

struct cnc_ledger_row {
    atomic_ullong told; /* bytes of replies written before the request under way, times two, plus one if there is one; or
                         * CNC_LEDGER_UNKNOWN */
    atomic_ullong whole; /* bytes written when the reply that is being sent has left and no request is under way any more; 0: it
                          * is not that far */
    atomic_ullong read; /* without one: bytes read so far. More may have been, by a thread that was killed before it could say so */
};

struct cnc_ledger {
    struct cnc_ledger_row *rows; /* borrowed; NULL: none */
    uint32_t count;
};

static inline struct cnc_ledger_row *cnc_ledger_row(const struct cnc_ledger *ledger, uint64_t id)
{
    return (uint32_t)id < ledger->count ? &ledger->rows[(uint32_t)id] : NULL;
}

#define CNC_LOAN_BUFFER 425984 /* bytes that may be under way on a link; the system may allow fewer */
#define CNC_LOAN_ROOM 262144   /* for the largest message: a head of head_max, and what one read brought on top */

#endif
