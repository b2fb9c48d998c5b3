/* SPDX-License-Identifier: MIT
 *
 * The ledger: memory that a front shares with its workers, with a row for each connection that is lent. The worker that
 * has the loan writes there how far its request is. If the worker dies, the front reads it. A row contains the number
 * of its loan. Everybody compares that before reading or writing, since a worker may still serve a loan of a front that
 * has died.
 */
#ifndef CNC_LEDGER_H
#define CNC_LEDGER_H

#include <stdatomic.h>

#include "server/ledger.h"

/* The lowest bits of a row's loan. */
enum cnc_ledger_phase {
    CNC_LEDGER_LENT = 1,   /* sent; the worker has not read it */
    CNC_LEDGER_TAKEN = 2,  /* the worker has read it */
    CNC_LEDGER_REVOKED = 3 /* the front has taken it back: a worker that reads it now drops it */
};

#define CNC_LEDGER_PHASES 3u /* mask */
#define CNC_LEDGER_UNKNOWN UINT64_MAX
#define CNC_LEDGER_PLACES (1u << 24)

struct cnc_ledger_row {
    atomic_ullong loan;  /* its number, plus its phase */
    atomic_ullong told;  /* two times the bytes written before the request under way, plus one if there is such a
                          * request; or CNC_LEDGER_UNKNOWN */
    atomic_ullong whole; /* once no further request is under way: how many bytes will have been written when the last
                          * reply has been sent; 0: not known yet */
    atomic_ullong read;  /* while no request is under way: bytes read so far. A killed thread may have read more */
};

struct cnc_ledger_pages {
    atomic_uint fronts; /* how many have used the ledger so far */
    struct cnc_ledger_row rows[];
};

/* A ledger for so many loans at a time. cnc_ledger_close() frees it. False: out of memory. */
bool cnc_ledger_open(struct cnc_ledger *ledger, uint32_t places);
/* The number of a new front: 1 to 65535. */
uint32_t cnc_ledger_add_front(const struct cnc_ledger *ledger);

/* A loan's number: never 0, and a new one each time that a place is used. The phase's bits are 0. */
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

/* A loan's row; NULL: it has none. A front and its successor use different rows. So a worker that has checked a row of
 * the first front, and writes to it later, cannot overwrite a row of the second one. */
static inline struct cnc_ledger_row *cnc_ledger_row(const struct cnc_ledger *ledger, uint64_t loan)
{
    uint32_t place = cnc_loan_place(loan);
    if (place >= ledger->places)
        return NULL;
    return &ledger->pages->rows[(size_t)(cnc_loan_front(loan) & 1) * ledger->places + place];
}

/* Front, before it sends the loan. The row says: nothing is written, and a request is under way. */
void cnc_ledger_lend(const struct cnc_ledger *ledger, uint64_t loan);
/* Worker, when it reads the loan. False: the front has taken the loan back. */
bool cnc_ledger_take(const struct cnc_ledger *ledger, uint64_t loan);
/* Front. True: no worker has taken the loan, and none can any more. */
bool cnc_ledger_revoke(const struct cnc_ledger *ledger, uint64_t loan);
bool cnc_ledger_is_taken(const struct cnc_ledger *ledger, uint64_t loan);

/* Worker. The row of a loan that it has taken; NULL: there is none, or another loan uses it by now. */
static inline struct cnc_ledger_row *cnc_ledger_own(const struct cnc_ledger *ledger, uint64_t loan)
{
    struct cnc_ledger_row *row = cnc_ledger_row(ledger, loan);
    return row && atomic_load_explicit(&row->loan, memory_order_relaxed) == (loan | CNC_LEDGER_TAKEN) ? row : NULL;
}

struct cnc_ledger_entry {
    uint64_t told, whole, read;
};

/* Front, when the worker is dead. If the loan has no row, told is CNC_LEDGER_UNKNOWN. */
struct cnc_ledger_entry cnc_ledger_read(const struct cnc_ledger *ledger, uint64_t loan);

#endif
