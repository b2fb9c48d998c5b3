/* SPDX-License-Identifier: MIT
 *
 * A worker of process-thread: it gets connections with complete heads from the front, gives each a thread, and gives it back
 * when it is idle. Before that the worker's poller sends what a slow peer has not taken yet. A connection that was lent for
 * life stays here, and the poller reads its further heads.
 */
#ifndef CNC_BORROWER_H
#define CNC_BORROWER_H

#include "proc/board.h"
#include "serve/lend/ledger.h"
#include "serve/lend/outbox.h"
#include "serve/threads.h"

struct cnc_borrower {
    struct cnc_serving serving; /* the poller */
    struct cnc_threads threads;
    struct cnc_io io;           /* the link to the front */
    char *room;                 /* owned; for a message */
    const struct cnc_ledger *ledger;
    const struct cnc_board_row *front; /* what the front reports about itself; NULL: unknown */
    bool for_life;              /* connections are lent for life: the front gives them by their number, not by threads */
    struct cnc_driver nobody;   /* of connections that are closed on whatever thread */
    /* the poller's */
    struct cnc_link incoming;   /* loans that were read in this turn, and not submitted */
    unsigned incoming_count;
    bool has_place;             /* for the end of the next loan */
    struct cnc_timer retry;     /* of a send for which the system had no room */
    struct cnc_task clog_task;  /* the link has no room: the poller must watch it */
    int64_t short_since;        /* nothing could be begun since then, though there was something; 0: that is not so */
    bool has_link;              /* loans may come */
    pthread_mutex_t mu;
    unsigned promised;          /* guarded by mu: loans for whose end there is a place in box, though it does not count them yet */
    struct cnc_outbox box;      /* guarded by mu, as is the order of messages; lock order: before the pool's */
    bool is_clogged;            /* guarded by mu: nothing is sent until the poller has found room */
    bool is_told;               /* guarded by mu: the link says when that is */
    bool is_cut;                /* guarded by mu: nothing can be sent any more */
};

int cnc_borrower_open(struct cnc_borrower *borrower, concur_server *server);
/* As cnc_serving_run(). */
int cnc_borrower_run(struct cnc_borrower *borrower, bool may_give_up);
void cnc_borrower_stats(const struct cnc_borrower *borrower, struct cnc_engine_stats *out);
void cnc_borrower_close(struct cnc_borrower *borrower);

#endif
