/* SPDX-License-Identifier: MIT
 *
 * The ledger: memory that a front shares with its workers, with a row for each connection that is lent. The worker that has
 * the loan says there how far it is, so that the front knows what a dead one has left undone. A row holds the whole number of
 * its loan, and whoever reads or writes it looks at that first: a worker may still serve a loan of a front that has died.
 */
#ifndef CNC_LEDGER_H
#define CNC_LEDGER_H

#include <stdatomic.h>

#include "server/ledger.h"

/* How far a loan is; kept in the lowest bits of its row's loan. */
enum cnc_ledger_phase {
    CNC_LEDGER_LENT = 1,   /* on its way; nobody has looked at it */
    CNC_LEDGER_TAKEN = 2,  /* its worker has it */
    CNC_LEDGER_REVOKED = 3 /* the front has taken it back: a worker that reads it now drops it */
};

#define CNC_LEDGER_PHASES 3u /* mask */
#define CNC_LEDGER_UNKNOWN UINT64_MAX
#define CNC_LEDGER_PLACES (1u << 24)

struct cnc_ledger_row {
    atomic_ullong loan;  /* its number, and its phase */
    atomic_ullong told;  /* bytes of replies written before the request under way, times two, plus one if there is one; or
                          * CNC_LEDGER_UNKNOWN */
    atomic_ullong whole; /* total bytes written once the reply that is being sent is complete and no request is under way; 0:
                          * not known yet */
    atomic_ullong read;  /* without a request under way: bytes read so far. A thread that was killed may have read more */
};

struct cnc_ledger_pages {
    atomic_uint fronts; /* that there were so far */
    struct cnc_ledger_row rows[];
};

/* For so many loans at a time. cnc_ledger_close() ends it. False: no memory. */
bool cnc_ledger_open(struct cnc_ledger *ledger, uint32_t places);
/* A new front's number, from 1; 16 bits. */
uint32_t cnc_ledger_add_front(const struct cnc_ledger *ledger);

/* A loan's number: never 0, and another one each time that a place is used. */
static inline uint64_t cnc_loan_number(uint32_t front, uint32_t use, uint32_t place)
{
    return (uint64_t)front << 48 | (uint64_t)(use & 0x3fffff) << 26 | (uint64_t)place << 2;
}

static inline uint32_t cnc_loan_front(uint64_t loan)
{
    return (uint32_t)(loan >> 48);
}

static inline uint32_t cnc_loan_place(uint64_t loan)
{
    return (uint32_t)(loan >> 2) & (CNC_LEDGER_PLACES - 1);
}

/* NULL: there is none. Two fronts that follow each other use different rows, so that a worker of the first one, between its
 * look and its write, cannot hit a row of the second one. */
static inline struct cnc_ledger_row *cnc_ledger_row(const struct cnc_ledger *ledger, uint64_t loan)
{
    uint32_t place = cnc_loan_place(loan);
    if (place >= ledger->places)
        return NULL;
    return &ledger->pages->rows[(size_t)(cnc_loan_front(loan) & 1) * ledger->places + place];
}

/* Front, before it sends the loan: nothing is written, and a request is under way. */
void cnc_ledger_lend(const struct cnc_ledger *ledger, uint64_t loan);
/* Worker, when it reads the loan. False: it was taken back meanwhile. */
bool cnc_ledger_take(const struct cnc_ledger *ledger, uint64_t loan);
/* Front. True: no worker has taken the loan, nor can one any more. */
bool cnc_ledger_revoke(const struct cnc_ledger *ledger, uint64_t loan);
bool cnc_ledger_is_taken(const struct cnc_ledger *ledger, uint64_t loan);

/* Worker. The row of a loan that it has; NULL: there is none, or it is another one's by now. */
static inline struct cnc_ledger_row *cnc_ledger_own(const struct cnc_ledger *ledger, uint64_t loan)
{
    struct cnc_ledger_row *row = cnc_ledger_row(ledger, loan);
    return row && atomic_load_explicit(&row->loan, memory_order_relaxed) == (loan | CNC_LEDGER_TAKEN) ? row : NULL;
}

struct cnc_ledger_entry {
    uint64_t told, whole, read;
};

/* Front, of a worker that is dead. Without a row all of it is unknown. */
struct cnc_ledger_entry cnc_ledger_read(const struct cnc_ledger *ledger, uint64_t loan);

#endif
