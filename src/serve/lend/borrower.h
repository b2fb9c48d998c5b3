/* SPDX-License-Identifier: MIT
 *
 * A worker of process-thread. It gets connections with complete heads from the front, and gives each a thread. It
 * returns a connection to the front when it is idle and all output has been sent; if the peer is slow, the poller sends
 * the rest. A connection that was lent for life stays here, and the poller reads its further heads.
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
    char *room;                 /* owned; buffer for a message */
    const struct cnc_ledger *ledger;
    const struct cnc_board_row *front; /* what the front reports about itself; NULL: unknown */
    bool for_life;              /* lend = connection: all connections are lent for life */
    struct cnc_driver nobody;   /* for closing connections on any thread; it serves none */
    /* used by the poller only */
    struct cnc_link incoming;   /* loans that were read in this turn and not submitted yet */
    unsigned incoming_count;
    bool has_place;             /* a place in box is reserved for the next loan */
    struct cnc_timer retry;     /* sends again what the system had no room for */
    struct cnc_task clog_task;  /* a send has failed for want of room: the poller must watch the link, or set retry */
    int64_t short_since;        /* since then loans came and none could be begun; 0: the last one was begun */
    bool has_link;              /* loans may come */
    pthread_mutex_t mu;
    unsigned promised;          /* guarded by mu: places reserved in box for loans that box does not count yet */
    struct cnc_outbox box;      /* guarded by mu, as is the order of messages; lock order: before the pool's */
    bool is_clogged;            /* guarded by mu: nothing is sent until the poller clears this */
    bool is_told;               /* guarded by mu: the loop reports when the link has room; else retry is used */
    bool is_cut;                /* guarded by mu: nothing can be sent any more */
};

int cnc_borrower_open(struct cnc_borrower *borrower, concur_server *server);
/* As cnc_serving_run(). */
int cnc_borrower_run(struct cnc_borrower *borrower, bool may_give_up);
void cnc_borrower_stats(const struct cnc_borrower *borrower, struct cnc_engine_stats *out);
void cnc_borrower_close(struct cnc_borrower *borrower);

#endif
