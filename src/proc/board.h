/* SPDX-License-Identifier: MIT
 *
 * The scoreboard: a table in memory that all processes of a server share, a page for each generation, a row for each
 * slot. Only the process in a slot writes its row, with plain stores; every process may read it. A row holds numbers,
 * no pointers and no indices: the master does not trust them, so a worker that writes nonsense can do it no harm.
 */
#ifndef CNC_BOARD_H
#define CNC_BOARD_H

#include <stdatomic.h>

#include "base/base.h"

#define CNC_BOARD_GENERATIONS 4 /* pages: one for each generation that has processes */
#define CNC_BOARD_SLOTS 1088 /* rows of a generation: 1024 workers, a successor, and some other processes */

enum cnc_board_state {
    CNC_BOARD_NONE,     /* no process, or it has written nothing yet */
    CNC_BOARD_STARTING, /* not ready yet */
    CNC_BOARD_SERVING,
    CNC_BOARD_DRAINING, /* takes no new connections, and waits for the end of those it has */
    CNC_BOARD_STATES
};

struct cnc_board_row {
    _Alignas(128) atomic_ullong requests; /* begun; so are the next two since the process started */
    atomic_ullong accepted;
    atomic_ullong stalls;
    atomic_uint connections; /* now; so is the rest */
    atomic_uint threads, threads_idle, queued;
    atomic_uint free;        /* threads that a request could have */
    atomic_uint lendable;    /* the same of a worker, as the front counts it; only the front writes it */
    atomic_int pid;          /* 0: the process has not written it yet */
    atomic_uint group, number; /* its group in the plan, and its number within the group */
    atomic_int role;         /* the group's */
    atomic_uint state;       /* enum cnc_board_state */
    atomic_llong since;      /* monotonic ms at which that began */
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
/* Master. A process is about to get this row. */
void cnc_board_use(struct cnc_board *board, unsigned page, unsigned slot);
/* Master. The process of a row has ended: adds its counts to those of ended processes, and clears the row. */
void cnc_board_fold(struct cnc_board *board, unsigned page, unsigned slot);
/* What a process reports about itself. Only the process of the row writes it. */
void cnc_board_enter(struct cnc_board_row *row, unsigned group, unsigned number, int role, int64_t now);
void cnc_board_set_state(struct cnc_board_row *row, enum cnc_board_state state, int64_t now);
static inline bool cnc_board_is(const struct cnc_board_row *row, enum cnc_board_state state)
{
    return atomic_load_explicit(&row->state, memory_order_relaxed) == state;
}
const char *cnc_board_state_name(unsigned state);
/* Master. The engine of the generation that serves, and its number. Any process may read them. */
void cnc_board_set_serving(struct cnc_board *board, int engine, unsigned generation);
int cnc_board_engine(const struct cnc_board *board);
unsigned cnc_board_generation(const struct cnc_board *board);
/* Any process. Asks for a stop with this deadline (monotonic ms; a later call can only make it earlier), or for a
 * reload. On the board it cannot be lost, as it could on a full link. The caller also wakes the master.
 * Async-signal-safe. */
void cnc_board_ask_stop(struct cnc_board *board, int64_t at);
int64_t cnc_board_stop_at(const struct cnc_board *board); /* INT64_MAX: no stop was asked for */
void cnc_board_ask_reload(struct cnc_board *board);
bool cnc_board_take_reload(struct cnc_board *board);
/* In the same way the process of a slot asks that another one looks for a connection, for which it may have been woken
 * and which it does not take. */
void cnc_board_ask_look(struct cnc_board *board, unsigned page, unsigned slot);
/* Master. A slot of the page that has asked for a look, once for each request; -1: none. */
int cnc_board_take_look(struct cnc_board *board, unsigned page);
/* Master. Its result, CONCUR_OK or CONCUR_E_*, in case its exit status cannot be read. */
void cnc_board_set_result(struct cnc_board *board, int rc);
/* CONCUR_AGAIN: none was set. */
int cnc_board_result(const struct cnc_board *board);
/* Calls fn for each row of a process, page by page. Any process. */
void cnc_board_each(const struct cnc_board *board, void (*fn)(const struct cnc_board_row *, void *arg), void *arg);
/* The sums over all rows, processes that have ended included. Any process. */
void cnc_board_sum(const struct cnc_board *board, struct cnc_board_sum *out);

/* A worker that has one connection at a time waits for one, or has one. Only the process of the slot calls it, and the
 * master when that has ended. */
void cnc_board_set_idle(struct cnc_board *board, unsigned page, unsigned slot, bool is_idle);
bool cnc_board_is_idle(const struct cnc_board *board, unsigned page, unsigned slot);
/* Master. A message was sent to the process of a slot. A worker without a loop checks this between requests. */
void cnc_board_poke(struct cnc_board *board, unsigned page, unsigned slot);
/* Was cnc_board_poke() called for this slot since the last call of this? */
bool cnc_board_was_poked(struct cnc_board *board, unsigned page, unsigned slot);
/* Does any worker of the page wait for a connection? */
bool cnc_board_has_idle(const struct cnc_board *board, unsigned page);

#endif
