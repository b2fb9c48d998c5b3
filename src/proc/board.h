/* SPDX-License-Identifier: MIT
 *
 * The scoreboard: a table in memory that all processes of a server share, a page for each generation, a row for each slot.
 * Only the process in a slot writes its row, with plain stores; every process may read it. A row holds numbers, no pointers and
 * no indices: the master does not trust them, so a worker that writes nonsense can do it no harm.
 */
#ifndef CNC_BOARD_H
#define CNC_BOARD_H

#include <stdatomic.h>

#include "base/base.h"

#define CNC_BOARD_GENERATIONS 4 /* pages: one for each generation that has processes */
#define CNC_BOARD_SLOTS 1088 /* rows of a generation: 1024 workers, one that replaces another, and some processes beside */

enum cnc_board_state {
    CNC_BOARD_NONE,     /* no process, or none that has said anything yet */
    CNC_BOARD_STARTING, /* not ready yet */
    CNC_BOARD_SERVING,
    CNC_BOARD_DRAINING, /* it takes no new connections, and wants an end of those it has */
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
    atomic_int pid;          /* 0: the process has not come to write it */
    atomic_uint group, number; /* of its generation's plan; its number there */
    atomic_int role;         /* what it does: as the group says */
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
/* A process is about to get this row. Master. */
void cnc_board_use(struct cnc_board *board, unsigned page, unsigned slot);
/* The process of a row has ended: adds its counts to those of ended processes, and clears the row. Master. */
void cnc_board_fold(struct cnc_board *board, unsigned page, unsigned slot);
/* What a process reports about itself. Only the process of the row writes it. */
void cnc_board_enter(struct cnc_board_row *row, unsigned group, unsigned number, int role, int64_t now);
void cnc_board_set_state(struct cnc_board_row *row, enum cnc_board_state state, int64_t now);
static inline bool cnc_board_is(const struct cnc_board_row *row, enum cnc_board_state state)
{
    return atomic_load_explicit(&row->state, memory_order_relaxed) == state;
}
const char *cnc_board_state_name(unsigned state);
/* The engine of the generation that serves, and that generation's number. Master; read by any process. */
void cnc_board_set_serving(struct cnc_board *board, int engine, unsigned generation);
int cnc_board_engine(const struct cnc_board *board);
unsigned cnc_board_generation(const struct cnc_board *board);
/* A request of any process, which a full link cannot lose: a stop with its deadline (monotonic ms; only ever made earlier),
 * or a reload. The caller also wakes the master. Async-signal-safe. */
void cnc_board_ask_stop(struct cnc_board *board, int64_t at);
int64_t cnc_board_stop_at(const struct cnc_board *board); /* INT64_MAX: nobody wants one */
void cnc_board_ask_reload(struct cnc_board *board);
bool cnc_board_take_reload(struct cnc_board *board);
/* The same from the process of a slot: it may have been woken for a connection that it does not take, so another process
 * must look. */
void cnc_board_ask_look(struct cnc_board *board, unsigned page, unsigned slot);
/* A slot of the page that has asked since it was last taken; -1: none. Master. */
int cnc_board_take_look(struct cnc_board *board, unsigned page);
/* The master's result, CONCUR_OK or CONCUR_E_*, in case nobody can read its exit status. Master. */
void cnc_board_set_result(struct cnc_board *board, int rc);
/* CONCUR_AGAIN: it has not said so. */
int cnc_board_result(const struct cnc_board *board);
/* Calls fn for each row of a process, page by page. Any process. */
void cnc_board_each(const struct cnc_board *board, void (*fn)(const struct cnc_board_row *, void *arg), void *arg);
/* Of all rows and the past. Any process. */
void cnc_board_sum(const struct cnc_board *board, struct cnc_board_sum *out);

/* A worker that takes one connection at a time waits for one, or has one. Its own bit; the master clears that of the dead. */
void cnc_board_set_idle(struct cnc_board *board, unsigned page, unsigned slot, bool is_idle);
bool cnc_board_is_idle(const struct cnc_board *board, unsigned page, unsigned slot);
/* The master has said something to the process of a slot, which may be too busy to listen for it. Master. */
void cnc_board_poke(struct cnc_board *board, unsigned page, unsigned slot);
/* Did the master signal this process since it last asked? */
bool cnc_board_was_poked(struct cnc_board *board, unsigned page, unsigned slot);
/* Does any worker of the page wait for a connection? */
bool cnc_board_has_idle(const struct cnc_board *board, unsigned page);

#endif
