/* SPDX-License-Identifier: MIT
 *
 * A worker of process-thread: connections with complete heads come from the front, get a thread each, and go back when they
 * are idle. What a slow peer has not taken yet is sent by the worker's poller before that.
 */
#ifndef CNC_BORROWER_H
#define CNC_BORROWER_H

#include "conn/loan.h"
#include "core/threads.h"
#include "proc/board.h"

struct cnc_borrower {
    struct cnc_serving serving; /* the poller */
    struct cnc_threads threads;
    struct cnc_io io;           /* the link to the front */
    char *room;                 /* owned; for a message */
    pthread_mutex_t mu;
    unsigned busy;              /* threads that are not free yet; guarded by mu, as is the order of what is told about them */
    const struct cnc_board_row *front; /* what the front tells of itself; NULL: unknown */
    bool has_link;
};

int cnc_borrower_open(struct cnc_borrower *borrower, concur_server *server);
/* As cnc_serving_run(). */
int cnc_borrower_run(struct cnc_borrower *borrower, bool may_give_up);
void cnc_borrower_stats(const struct cnc_borrower *borrower, struct cnc_engine_stats *out);
void cnc_borrower_close(struct cnc_borrower *borrower);

#endif
