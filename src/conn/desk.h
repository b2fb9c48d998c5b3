/* SPDX-License-Identifier: MIT
 *
 * The desk of a home where connections and requests are served: memory and numbers that are used for one request after
 * the other. A home is embedded in its desk, so that each is found from the other at no cost. Only the home's thread
 * may use it, unless the comment says otherwise.
 */
#ifndef CNC_DESK_H
#define CNC_DESK_H

#include "exec/depot.h"
#include "exec/pool.h"
#include "http/http.h"

#define CNC_DESK_SCRATCH 65536    /* bytes of each scratch buffer */
#define CNC_DESK_BLOCK 4064       /* bytes of a request's first block. With the head of the block: 4096 */
#define CNC_DESK_BLOCKS_KEPT 64   /* free blocks kept */
#define CNC_DESK_REST_MS 1000     /* memory that was not used for so long is freed */

struct cnc_block; /* a request's first block of memory */

struct cnc_desk {
    struct cnc_home home;
    char *in, *out;                /* scratch: bytes just read, replies about to be written; NULL until needed */
    struct cnc_http_field *fields; /* scratch for a head being parsed */
    struct cnc_block *blocks;
    unsigned blocks_kept;
    struct cnc_link requests; /* ring of the requests that have not ended */
    unsigned live;          /* how many these are, plus the channels whose carrier is here */
    const void *last;       /* the route for which the program was called last, for log lines */
    unsigned calls;         /* of the program, so far; wraps */
    uint64_t id_next, id_end; /* request ids that may be used here: from id_next to before id_end */
    atomic_ullong served;   /* requests begun here; only the home's thread writes, any thread reads */
    atomic_llong *busy_since; /* borrowed: gets the time at which a handler is called, 0 when it returns. May be NULL */
    struct cnc_chunks chunks; /* free chunks */
    unsigned chunks_used, depot_used; /* how often chunks and depot had been used when on_desk_chunks() looked last */
    struct cnc_tick chunks_tick; /* on a loop: when it looks again */
    struct cnc_depot *depot;  /* borrowed: where chunks come from; NULL: none */
    int64_t date_s;         /* the second that date shows; INT64_MIN: none yet */
    int64_t date_at;        /* on a loop: monotonic ms at which the wall clock is read again */
    char date[32];
};

static inline struct cnc_desk *cnc_desk_of(struct cnc_home *home)
{
    return CNC_CONTAINER(home, struct cnc_desk, home);
}

/* The program is about to be called for this route: notes it for log lines. */
static inline void cnc_desk_note_call(struct cnc_home *home, const void *route)
{
    struct cnc_desk *desk = cnc_desk_of(home);
    desk->last = route;
    desk->calls++;
}

/* The same for a handler; cnc_desk_call_ends() must follow when it has returned. */
static inline void cnc_desk_call_begins(struct cnc_home *home, const void *route)
{
    struct cnc_desk *desk = cnc_desk_of(home);
    cnc_desk_note_call(home, route);
    if (CNC_UNLIKELY(desk->busy_since != NULL))
        atomic_store_explicit(desk->busy_since, cnc_clock_now(home->clock), memory_order_relaxed);
}

static inline void cnc_desk_call_ends(struct cnc_home *home)
{
    struct cnc_desk *desk = cnc_desk_of(home);
    if (CNC_UNLIKELY(desk->busy_since != NULL))
        atomic_store_explicit(desk->busy_since, 0, memory_order_relaxed);
}

/* Any thread. */
static inline unsigned long long cnc_desk_served(struct cnc_home *home)
{
    return atomic_load_explicit(&cnc_desk_of(home)->served, memory_order_relaxed);
}

static inline void cnc_desk_count_request(struct cnc_home *home)
{
    atomic_store_explicit(&cnc_desk_of(home)->served, cnc_desk_served(home) + 1, memory_order_relaxed);
}

/* As cnc_home_create(); cnc_home_close() closes it. fields_max: of a head. */
int cnc_desk_create(struct cnc_home **out, const struct cnc_clock *clock, unsigned fields_max, bool blocking);

/* What the desks of a pool's threads have in common. */
struct cnc_desk_kind {
    unsigned fields_max;
    struct cnc_depot *depot; /* borrowed; NULL: none */
};

/* Configures a pool so that each of its threads has a desk. kind must outlive the pool. */
void cnc_desk_for_threads(struct cnc_pool_config *cfg, const struct cnc_desk_kind *kind);

/* The value of Date: 29 bytes, made anew once a second. */
struct cnc_slice cnc_desk_date(struct cnc_home *home);
/* Allocates the scratch buffers, unless they exist: CONCUR_OK or CONCUR_E_NOMEM. */
int cnc_desk_need_scratch(struct cnc_home *home);

/* A block of CNC_DESK_BLOCK bytes, or NULL. put may be called on another home's thread: then the block is posted to its
 * desk. */
void *cnc_desk_block_get(struct cnc_home *home);
void cnc_desk_block_put(struct cnc_home *here, void *block);

/* A chunk of CNC_CHUNK bytes, or NULL. put takes it at any home. */
static inline void *cnc_desk_chunk_get(struct cnc_home *home)
{
    return cnc_chunk_get(&cnc_desk_of(home)->chunks, cnc_desk_of(home)->depot);
}

void cnc_desk_chunk_put(struct cnc_home *home, void *chunk);

#endif
