/* SPDX-License-Identifier: MIT
 *
 * The messages between a front (front.h) and its workers (borrower.h). A message is a note, then bytes that were read
 * from the connection and not parsed yet. A connection that goes to a worker has its descriptor attached.
 */
#ifndef CNC_LOAN_H
#define CNC_LOAN_H

#include "base/base.h"

enum cnc_loan_what {
    /* to a worker */
    CNC_LOAN_LEND = 1,  /* a connection with a complete head; with LEASE: its first bytes have come and are unread */
    CNC_LOAN_HELLO = 2, /* there is a new front: report your numbers */
    CNC_LOAN_REAP = 6,  /* too many connections are open: close the idle one of yours that has been idle longest */
    /* to the front; each has the worker's numbers too: seen, free, others */
    CNC_LOAN_RETURN = 3,  /* the connection needs no thread now; what was read of its next request follows */
    CNC_LOAN_GONE = 4,    /* the connection was closed */
    CNC_LOAN_COUNTS = 5,  /* only the numbers */
    CNC_LOAN_REFUSED = 7, /* the worker did not begin the request: to be lent to another one */
    CNC_LOAN_KEPT = 8     /* the connection was upgraded: the worker keeps it, and reports its end */
};

enum {
    CNC_LOAN_LAST = 1,      /* LEND: close it after its next reply */
    CNC_LOAN_FOR_LIFE = 2,  /* LEND: the worker keeps it, and reports its end */
    CNC_LOAN_IN_FILE = 4,   /* LEND: the bytes do not fit in a message; a second descriptor is a file that has them */
    CNC_LOAN_COPIED = 8,    /* LEND, RETURN: another process may have a copy: shut the write side before closing */
    CNC_LOAN_CUT = 16,      /* GONE: it was cut off, so the front does not linger */
    CNC_LOAN_BUSY = 32,     /* REFUSED: only because no thread was free; nothing is wrong with the worker */
    CNC_LOAN_CONTINUED = 128, /* LEND: 100 Continue was sent */
    CNC_LOAN_NONE_IDLE = 64, /* COUNTS, as an answer to REAP: no connection was closed */
    CNC_LOAN_LEASE = 256    /* LEND for life: the worker makes the transport and reads the first bytes */
};

struct cnc_loan_note {
    uint32_t what, flags;
    uint64_t id;       /* the loan's number (ledger.h) */
    int64_t at;        /* LEND: monotonic ms at which the head was complete */
    uint32_t requests; /* begun on the connection so far */
    uint32_t front;    /* HELLO: the front's number; from a worker: the number of the front that the message is for */
    uint32_t seen;     /* from a worker: how many loans of this front it has read from this link */
    uint32_t free;     /* from a worker: threads that were free at the same moment */
    uint32_t others;   /* from a worker: connections that it has from earlier fronts */
    uint32_t in_file;  /* LEND with IN_FILE: bytes in the file */
    uint32_t body_ms;  /* LEND: ms from the end of the head to the end of the body, if that was read early */
    uint32_t listener; /* LEND with LEASE: the listener that accepted it, or one with the same transport */
};

#define CNC_LOAN_EARLY_MAX 65536 /* bytes of a head and its body, for the body to be read before the loan */
#define CNC_LOAN_ROOM 262144 /* bytes of the largest message */
#define CNC_LOAN_BYTES (CNC_LOAN_ROOM - sizeof(struct cnc_loan_note)) /* bytes behind the note in that message */

#endif
