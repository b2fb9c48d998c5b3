/* SPDX-License-Identifier: MIT
 *
 * Shared by borrower.c (gets loans and gives them threads) and borrower_tell.c (messages to the front).
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
/* Sends the queued messages, as far as the link has room. */
void cnc_borrower_flush(struct cnc_borrower *b);
/* A loan has ended: sends note. conn goes back to the front and is no longer ours; NULL: it is closed. */
void cnc_borrower_tell_end(struct cnc_borrower *b, const struct cnc_loan_note *note, struct cnc_conn *conn);
/* conn was upgraded: it stays here, and the front is told to close its copy. Out of memory: does nothing, and may be
 * called again. */
void cnc_borrower_tell_kept(struct cnc_borrower *b, struct cnc_conn *conn);
/* Poller. A loan was read and not begun. flags: of the note, or CNC_LOAN_SILENT: the front knows of it. */
void cnc_borrower_refuse(struct cnc_borrower *b, uint64_t loan, uint32_t flags);
/* Poller. There is a new front. */
void cnc_borrower_greet(struct cnc_borrower *b, uint32_t front);
/* Poller. Answers the front with a note that has these flags. */
void cnc_borrower_answer(struct cnc_borrower *b, uint32_t flags);
/* Closes this process' descriptor of a connection that belongs to no driver; the connection stays open elsewhere. */
void cnc_borrower_drop(struct cnc_borrower *b, struct cnc_conn *conn);
/* Poller. Reserves a place for the end of the next loan. False: messages to the front wait, or none can be sent any
 * more, so no loan may be read. */
bool cnc_borrower_may_read(struct cnc_borrower *b);
/* Poller. The link may have room again: sends. */
void cnc_borrower_unclog(struct cnc_borrower *b);
/* Poller. Watches the link for the events that are needed now. */
void cnc_borrower_watch(struct cnc_borrower *b);
/* The link cannot be used any more, because the program has closed it, say: stops this worker, unless it is
 * stopping. */
void cnc_borrower_break(struct cnc_borrower *b);
/* From now on nothing is sent to the front. */
void cnc_borrower_cut(struct cnc_borrower *b);

#define CNC_LOAN_SILENT (1u << 31) /* for cnc_borrower_refuse(): sends no refusal, only the numbers */

#endif
