/* SPDX-License-Identifier: MIT
 *
 * Chunks of memory for bodies, kept for reuse: fresh memory from the system would cost a page fault for every 4 KiB of a large
 * body. Each home keeps a few chunks. If one home gets chunks and another one puts them back, they return through the depot
 * that the homes share.
 */
#ifndef CNC_DEPOT_H
#define CNC_DEPOT_H

#include <pthread.h>
#include <stdatomic.h>

#define CNC_CHUNK 66048      /* bytes of a chunk: 64 KiB, and room for its user's header */
#define CNC_CHUNKS_KEPT 6    /* by each home: as many as one connection uses at a time */
#define CNC_CHUNKS_MOVED 3   /* between a home and its depot at a time */
#define CNC_CHUNKS_STORED 64 /* in a depot */

/* Free chunks; each begins with a pointer to the next one. */
struct cnc_chunks {
    void *first;
    unsigned count;
    unsigned uses; /* calls of cnc_chunk_get() so far; wraps */
};

struct cnc_depot {
    pthread_mutex_t mu;
    struct cnc_chunks chunks; /* guarded by mu */
    atomic_uint uses;         /* times that a home took chunks from here or brought some; wraps */
};

void cnc_depot_init(struct cnc_depot *depot);
/* Frees its chunks. */
void cnc_depot_deinit(struct cnc_depot *depot);

/* Called by the owner of chunks. Returns CNC_CHUNK bytes, or NULL. depot may be NULL. */
void *cnc_chunk_get(struct cnc_chunks *chunks, struct cnc_depot *depot);
/* Called by the owner of chunks; the chunk may come from any home. depot may be NULL. */
void cnc_chunk_put(struct cnc_chunks *chunks, struct cnc_depot *depot, void *chunk);
void cnc_chunks_free(struct cnc_chunks *chunks);
/* A number for cnc_depot_rest(). depot may be NULL. */
unsigned cnc_depot_uses(struct cnc_depot *depot);
/* Frees all chunks of the depot, unless it was used since `uses` was read. depot may be NULL. */
void cnc_depot_rest(struct cnc_depot *depot, unsigned uses);

#endif
