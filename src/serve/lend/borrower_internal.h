/* SPDX-License-Identifier: MIT
 *
 * Shared by borrower.c (loans: how they come, and get a thread) and borrower_tell.c (what the front is told).
 */
#ifndef CNC_BORROWER_INTERNAL_H
#define CNC_BORROWER_INTERNAL_H

#include "serve/lend/borrower.h"
#include "serve/lend/loan.h"

static inline struct cnc_borrower *cnc_borrower_of(struct cnc_threads *t)
{
    return CNC_CONTAINER(t, struct cnc_borrower, threads);
}

/* borrower_tell.c; any thread, unless it says otherwise */
/* Sends the messages that wait, as far as the link has room. */
void cnc_borrower_flush(struct cnc_borrower *b);
/* A loan has ended, as note says. conn: it goes back and is not ours any more; NULL: it is closed. */
void cnc_borrower_tell_end(struct cnc_borrower *b, const struct cnc_loan_note *note, struct cnc_conn *conn);
/* conn was upgraded: it stays here, and the front closes its copy. Without memory for the message it is told the next time. */
void cnc_borrower_tell_kept(struct cnc_borrower *b, struct cnc_conn *conn);
/* Poller. A loan was read, and not begun; flags: of the note, or CNC_LOAN_SILENT: the front knows. */
void cnc_borrower_refuse(struct cnc_borrower *b, uint64_t loan, uint32_t flags);
/* Poller. There is a new front. */
void cnc_borrower_greet(struct cnc_borrower *b, uint32_t front);
/* Poller. The front wants a note with these flags. */
void cnc_borrower_answer(struct cnc_borrower *b, uint32_t flags);
/* Closes this process' copy of a connection that belongs to no driver. */
void cnc_borrower_drop(struct cnc_borrower *b, struct cnc_conn *conn);
/* Poller. Reserves a place for the end of the next loan. False: the front does not read its messages, so no loan is read
 * from it either. */
bool cnc_borrower_may_read(struct cnc_borrower *b);
/* Poller. There may be room on the link again. */
void cnc_borrower_unclog(struct cnc_borrower *b);
/* Poller. Watches the link for the events that are needed now. */
void cnc_borrower_watch(struct cnc_borrower *b);
/* This process' end of the link is no good: the program has closed it, or the server is coming to its end. */
void cnc_borrower_break(struct cnc_borrower *b);
/* Nothing is told any more. */
void cnc_borrower_cut(struct cnc_borrower *b);

#define CNC_LOAN_SILENT (1u << 31) /* cnc_borrower_refuse(): only the numbers are sent */

#endif
