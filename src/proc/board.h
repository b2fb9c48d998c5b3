/* SPDX-License-Identifier: MIT
 *
 * The scoreboard: a table in memory that all processes of a server share, a page for each generation, a row for each slot.
 * A row is written by the process in that slot alone, with plain stores; anybody may read it. It holds numbers, no pointers
 * and no indices: the master takes what workers write for hearsay, and nothing they write can lead it astray.
 */
#ifndef CNC_BOARD_H
#define CNC_BOARD_H

#include <stdatomic.h>

#include "base/base.h"

#define CNC_BOARD_GENERATIONS 4 /* pages: one for each generation that has processes */
#define CNC_BOARD_SLOTS 1088 /* rows of a generation: 1024 workers, one that replaces another, and some processes beside */

struct cnc_board_row {
    _Alignas(128) atomic_ullong requests; /* begun; so are the next two since the process started */
    atomic_ullong accepted;
    atomic_ullong stalls;
    atomic_uint connections; /* now; so is the rest */
    atomic_uint threads, threads_idle, queued;
    atomic_bool draining;    /* it takes no new connections, and wants an end of those it has */
    atomic_llong busy_since; /* monotonic ms at which the handler on the stack began, 0: none; of one thread only */
};

struct cnc_board_sum {
    unsigned long long requests, accepted, stalls;
    unsigned connections, threads, threads_idle, queued;
};

struct cnc_board;

/* NULL: out of memory. */
struct cnc_board *cnc_board_create(void);
void cnc_board_destroy(struct cnc_board **board);
struct cnc_board_row *cnc_board_row(struct cnc_board *board, unsigned page, unsigned slot);
/* A process is about to get this row. Master. */
void cnc_board_use(struct cnc_board *board, unsigned page, unsigned slot);
/* The process of a row has ended: its counts go to the past, the row is cleared. Master. */
void cnc_board_fold(struct cnc_board *board, unsigned page, unsigned slot);
/* Of all rows and the past. Any process. */
void cnc_board_sum(const struct cnc_board *board, struct cnc_board_sum *out);

/* A worker that takes one connection at a time waits for one, or has one. Its own bit; the master clears that of the dead. */
void cnc_board_set_idle(struct cnc_board *board, unsigned page, unsigned slot, bool is_idle);
bool cnc_board_is_idle(const struct cnc_board *board, unsigned page, unsigned slot);
/* The master has said something to the process of a slot, which may be too busy to listen for it. Master. */
void cnc_board_poke(struct cnc_board *board, unsigned page, unsigned slot);
/* Was this process poked since it last asked? */
bool cnc_board_was_poked(struct cnc_board *board, unsigned page, unsigned slot);
/* Does any worker of the page wait for a connection? */
bool cnc_board_has_idle(const struct cnc_board *board, unsigned page);

#endif
