/* SPDX-License-Identifier: MIT */
#include "exec/depot.h"

#include <string.h>

#include "base/sys.h"

static void push(struct cnc_chunks *chunks, void *chunk)
{
    memcpy(chunk, &chunks->first, sizeof chunks->first);
    chunks->first = chunk;
    chunks->count++;
}

/* NULL: there is none. Takes the chunk that came last, since it is probably still in the processor's cache. */
static void *pop(struct cnc_chunks *chunks)
{
    void *chunk = chunks->first;
    if (!chunk)
        return NULL;
    memcpy(&chunks->first, chunk, sizeof chunks->first);
    chunks->count--;
    return chunk;
}

void cnc_chunks_free(struct cnc_chunks *chunks)
{
    for (void *chunk; (chunk = pop(chunks)) != NULL;)
        cnc_free(chunk);
}

static void depot_move(struct cnc_chunks *to, unsigned most, struct cnc_chunks *from, unsigned n)
{
    for (void *chunk; n > 0 && to->count < most && (chunk = pop(from)) != NULL; n--)
        push(to, chunk);
}

void cnc_depot_init(struct cnc_depot *depot)
{
    *depot = (struct cnc_depot){ 0 };
    pthread_mutex_init(&depot->mu, NULL);
}

void cnc_depot_deinit(struct cnc_depot *depot)
{
    cnc_chunks_free(&depot->chunks);
    pthread_mutex_destroy(&depot->mu);
}

void *cnc_chunk_get(struct cnc_chunks *chunks, struct cnc_depot *depot)
{
    if (!chunks->first && depot) {
        pthread_mutex_lock(&depot->mu);
        depot_move(chunks, CNC_CHUNKS_KEPT, &depot->chunks, CNC_CHUNKS_MOVED);
        atomic_fetch_add_explicit(&depot->uses, 1, memory_order_relaxed);
        pthread_mutex_unlock(&depot->mu);
    }
    void *chunk = pop(chunks);
    chunks->uses++;
    return chunk ? chunk : cnc_malloc(CNC_CHUNK);
}

/* Moves n chunks to the depot. Those for which it has no room are freed after its lock is released. */
static void depot_store(struct cnc_chunks *chunks, struct cnc_depot *depot, unsigned n)
{
    struct cnc_chunks out = { 0 };
    depot_move(&out, n, chunks, n);
    if (depot) {
        pthread_mutex_lock(&depot->mu);
        depot_move(&depot->chunks, CNC_CHUNKS_STORED, &out, out.count);
        atomic_fetch_add_explicit(&depot->uses, 1, memory_order_relaxed);
        pthread_mutex_unlock(&depot->mu);
    }
    cnc_chunks_free(&out);
}

void cnc_chunk_put(struct cnc_chunks *chunks, struct cnc_depot *depot, void *chunk)
{
    if (chunks->count == CNC_CHUNKS_KEPT)
        depot_store(chunks, depot, CNC_CHUNKS_MOVED);
    push(chunks, chunk);
}

unsigned cnc_depot_uses(struct cnc_depot *depot)
{
    return depot ? atomic_load_explicit(&depot->uses, memory_order_relaxed) : 0;
}

void cnc_depot_rest(struct cnc_depot *depot, unsigned uses)
{
    struct cnc_chunks out = { 0 };
    if (!depot)
        return;
    pthread_mutex_lock(&depot->mu);
    if (atomic_load_explicit(&depot->uses, memory_order_relaxed) == uses)
        depot_move(&out, depot->chunks.count, &depot->chunks, depot->chunks.count);
    pthread_mutex_unlock(&depot->mu);
    cnc_chunks_free(&out);
}
