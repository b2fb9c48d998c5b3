/* SPDX-License-Identifier: MIT
 *
 * Messages of a worker to its front that wait until the link has room. A place is reserved before a loan is read, so
 * that the message about its end can always be stored. Numbers are not queued: each message gets the newest ones when
 * it is sent. Pure: the sender asks for the next message. Not locked: only one thread at a time may call.
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
    uint32_t loans;               /* connections that this worker has from the present front */
    uint32_t others;              /* and from earlier fronts */
    uint32_t front;               /* number of the present front; 0: none has come yet */
    uint32_t seen;                /* loans of it that were read */
    uint32_t told_seen, told_free, told_others; /* numbers that were sent to it last */
    bool is_asked;                /* a note must be sent even if the numbers have not changed */
    uint32_t asked_flags;         /* flags of that note */
};

/* INV: count + loans + 1 <= cap once reserve() has returned true, so that a loan that is read and refused finds a
 * place. */

void cnc_outbox_close(struct cnc_outbox *box);
/* Before a loan is read: reserves a place for it. more: how many others were read and not passed to cnc_outbox_read()
 * yet. False: out of memory. A refusal still has a place then, unless something waits. */
bool cnc_outbox_reserve(struct cnc_outbox *box, uint32_t more);
/* Has a note with these flags sent, even if the numbers have not changed. */
void cnc_outbox_ask(struct cnc_outbox *box, uint32_t flags);
/* A loan was read; taken: it was not refused. */
void cnc_outbox_read(struct cnc_outbox *box, bool taken);
/* A loan that was taken has ended. True: it is of the present front, which must be told. */
bool cnc_outbox_end(struct cnc_outbox *box, uint64_t loan);
/* Queues a note. The place must be reserved. */
void cnc_outbox_keep(struct cnc_outbox *box, const struct cnc_loan_note *note, struct cnc_conn *conn);
/* There is a new front. Afterwards cnc_outbox_drop() must remove the notes to the old one. */
void cnc_outbox_greet(struct cnc_outbox *box, uint32_t front);
/* Removes a note to an earlier front. True: *out is it, and the caller owns its connection. False: there is none
 * left. */
bool cnc_outbox_drop(struct cnc_outbox *box, struct cnc_outbox_note *out);
/* Writes the present numbers into a note that is about to be sent. */
void cnc_outbox_stamp(const struct cnc_outbox *box, struct cnc_loan_note *note, uint32_t free);
/* The next message to be sent; false: there is none. It stays queued until cnc_outbox_sent(). */
bool cnc_outbox_next(const struct cnc_outbox *box, uint32_t free, struct cnc_outbox_note *out);
/* A note with these numbers was sent. was_kept: it is the one of cnc_outbox_next(). */
void cnc_outbox_sent(struct cnc_outbox *box, const struct cnc_loan_note *note, bool was_kept);

#endif
