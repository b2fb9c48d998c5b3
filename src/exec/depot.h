/* SPDX-License-Identifier: MIT
 *
 * Chunks of memory for bodies on their way, kept and used again: taken from the system for each, a large body would cost a
 * page fault for every 4 KiB of it. Homes have a few of their own; what one fills and another empties comes back through the
 * depot that they share.
 */
#ifndef CNC_DEPOT_H
#define CNC_DEPOT_H

#include <pthread.h>
#include <stdatomic.h>

#define CNC_CHUNK 66048      /* bytes of a chunk: 64 KiB, and what its user writes at its head */
#define CNC_CHUNKS_KEPT 6    /* by each home: as many as one connection has under way */
#define CNC_CHUNKS_MOVED 3   /* between a home and its depot at a time */
#define CNC_CHUNKS_STORED 64 /* in a depot */

/* Free chunks; each begins with the next. */
struct cnc_chunks {
    void *first;
    unsigned count;
    unsigned uses; /* how many were asked for; wraps */
};

struct cnc_depot {
    pthread_mutex_t mu;
    struct cnc_chunks chunks; /* guarded by mu */
    atomic_uint uses;         /* changes with each; wraps */
};

void cnc_depot_init(struct cnc_depot *depot);
/* Frees what it keeps. */
void cnc_depot_deinit(struct cnc_depot *depot);

/* The owner of chunks. A chunk of CNC_CHUNK bytes, or NULL. depot may be NULL. */
void *cnc_chunk_get(struct cnc_chunks *chunks, struct cnc_depot *depot);
/* Anybody's chunk: they are alike. */
void cnc_chunk_put(struct cnc_chunks *chunks, struct cnc_depot *depot, void *chunk);
void cnc_chunks_free(struct cnc_chunks *chunks);
/* For cnc_depot_rest(). depot may be NULL. */
unsigned cnc_depot_uses(struct cnc_depot *depot);
/* Frees all chunks, unless one was used since `uses` was read. depot may be NULL. */
void cnc_depot_rest(struct cnc_depot *depot, unsigned uses);

#endif
