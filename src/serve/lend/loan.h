/* SPDX-License-Identifier: MIT
 *
 * What a front and its workers tell each other about connections (front.h lends, serve/lend/borrower.h borrows). A message is a
 * note, bytes of a connection that nobody has parsed yet, and, where a connection goes to a worker, its descriptor.
 */
#ifndef CNC_LOAN_H
#define CNC_LOAN_H

#include "base/base.h"

enum cnc_loan_what {
    /* to a worker */
    CNC_LOAN_LEND = 1,  /* with the descriptor: a connection with a complete head; with LEASE: with its first bytes */
    CNC_LOAN_HELLO = 2, /* there is a new front, which wants to know the numbers */
    CNC_LOAN_REAP = 6,  /* there are too many connections: close the idle one that is yours for life and idle longest */
    /* to the front; each has the numbers too */
    CNC_LOAN_RETURN = 3,  /* the connection needs no thread now; bytes that came too early come along */
    CNC_LOAN_GONE = 4,    /* it was closed */
    CNC_LOAN_COUNTS = 5,  /* nothing but the numbers */
    CNC_LOAN_REFUSED = 7, /* nothing of it was begun: to be lent to another worker */
    CNC_LOAN_KEPT = 8     /* it was upgraded: it does not come back, and its end is reported */
};

enum {
    CNC_LOAN_LAST = 1,      /* LEND: its next reply is its last */
    CNC_LOAN_FOR_LIFE = 2,  /* LEND: it does not come back, and its end is reported */
    CNC_LOAN_IN_FILE = 4,   /* LEND: the bytes are too many for a message; a second descriptor is a file of them */
    CNC_LOAN_COPIED = 8,    /* LEND, RETURN: another process may have a copy, so it is shut down before it is closed */
    CNC_LOAN_CUT = 16,      /* GONE: cut off, so nothing is lingered for */
    CNC_LOAN_BUSY = 32,     /* REFUSED: for want of a free thread alone, so nothing is wrong with the worker */
    CNC_LOAN_CONTINUED = 128, /* LEND: 100 Continue was sent */
    CNC_LOAN_NONE_IDLE = 64, /* COUNTS, in answer to REAP: there is no such connection */
    CNC_LOAN_LEASE = 256    /* LEND for life: nothing of it was read, and its transport is yet to be made */
};

struct cnc_loan_note {
    uint32_t what, flags;
    uint64_t id;       /* the loan's number (ledger.h) */
    int64_t at;        /* LEND: monotonic ms at which the head was complete */
    uint32_t requests; /* begun on the connection so far */
    uint32_t front;    /* HELLO: the front's number; from a worker: of the front that the rest is meant for */
    uint32_t seen;     /* of the loans that this front has sent over this link, those that were read */
    uint32_t free;     /* threads that were free at that moment */
    uint32_t others;   /* connections here of fronts before this one */
    uint32_t in_file;  /* LEND with IN_FILE: bytes in the file */
    uint32_t body_ms;  /* LEND: how long the body came after the head */
    uint32_t listener; /* LEND with LEASE: that accepted it, or one whose connections get the same transport */
};

#define CNC_LOAN_EARLY_MAX 65536 /* bytes of a head and its body, if that is read before the loan */
#define CNC_LOAN_ROOM 262144 /* for the largest message */
#define CNC_LOAN_BYTES (CNC_LOAN_ROOM - sizeof(struct cnc_loan_note)) /* that it carries at most */

#endif
