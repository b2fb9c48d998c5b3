/* SPDX-License-Identifier: MIT
 *
 * Messages of a worker to its front that the link has not taken yet. Each loan has room here from the moment at which it is
 * taken, so that its end can always be kept. Numbers are totals, so one note with the newest is enough. Pure: the sender asks for
 * the next message. Not locked: the caller lets one thread in at a time.
 */
#ifndef CNC_OUTBOX_H
#define CNC_OUTBOX_H

#include "serve/lend/loan.h"

struct cnc_conn;

struct cnc_outbox_note {
    struct cnc_loan_note note;
    struct cnc_conn *conn; /* RETURN: owned until it is sent, with its bytes. Else NULL */
};

struct cnc_outbox {
    struct cnc_outbox_note *ring; /* owned */
    uint32_t cap, first, count;
    uint32_t loans;               /* of this front, here */
    uint32_t others;              /* of fronts before it */
    uint32_t front;               /* its number; 0: none has come yet */
    uint32_t seen;                /* loans of it that were read */
    uint32_t told_seen, told_free, told_others; /* numbers that it knows */
    bool is_asked;                /* it wants a note, whatever it knows */
    uint32_t asked_flags;         /* of that note */
};

/* INV: count + loans + 1 <= cap once reserve() has returned true, so that a loan that is read and refused finds a place. */

void cnc_outbox_close(struct cnc_outbox *box);
/* Before a loan is read: reserves a place for it, with `more` others read and not yet recorded here. False: no memory; a
 * refused loan still has a place then, unless something waits. */
bool cnc_outbox_reserve(struct cnc_outbox *box, uint32_t more);
/* The front wants a note, whatever it knows; flags: of that note. */
void cnc_outbox_ask(struct cnc_outbox *box, uint32_t flags);
/* A loan was read: taken, or not. */
void cnc_outbox_read(struct cnc_outbox *box, bool taken);
/* A loan that was taken has ended. True: its front lives and must be told. */
bool cnc_outbox_end(struct cnc_outbox *box, uint64_t loan);
/* Keeps a note for later; there is a place. */
void cnc_outbox_keep(struct cnc_outbox *box, const struct cnc_loan_note *note, struct cnc_conn *conn);
/* There is a new front: cnc_outbox_drop() returns what was kept for the old one, one by one. */
void cnc_outbox_greet(struct cnc_outbox *box, uint32_t front);
/* A note of another front's; true: *out is it, and its connection the caller's. */
bool cnc_outbox_drop(struct cnc_outbox *box, struct cnc_outbox_note *out);
/* The numbers of the moment, into a note that is about to be sent. */
void cnc_outbox_stamp(const struct cnc_outbox *box, struct cnc_loan_note *note, uint32_t free);
/* The message to be sent next; false: none. It stays until cnc_outbox_sent(). */
bool cnc_outbox_next(const struct cnc_outbox *box, uint32_t free, struct cnc_outbox_note *out);
/* A note with these numbers has left: that of next(), or one that never came in here. */
void cnc_outbox_sent(struct cnc_outbox *box, const struct cnc_loan_note *note, bool was_kept);

#endif
