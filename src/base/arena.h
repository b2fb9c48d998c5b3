/* SPDX-License-Identifier: MIT
 *
 * Memory of a request. An arena begins with a block of its owner, allocates more blocks when that is full, and frees
 * all of them at once. Pointers never move.
 */
#ifndef CNC_ARENA_H
#define CNC_ARENA_H

#include "base/base.h"

struct cnc_arena_block;

/* INV: at <= end; bytes [at, end) are free; total is the size of the blocks that were allocated, and at most max. */
struct cnc_arena {
    char *at, *end;
    struct cnc_arena_block *spilled; /* owned */
    size_t total, max;
};

/* The arena begins with [first, first + n), which the caller still owns, and allocates at most max bytes more. */
static inline void cnc_arena_init(struct cnc_arena *a, void *first, size_t n, size_t max)
{
    *a = (struct cnc_arena){ .at = first, .end = (char *)first + n, .max = max };
}

void cnc_arena_free_spilled(struct cnc_arena *a);
/* Frees the blocks. Every pointer into the arena is invalid afterwards. */
static inline void cnc_arena_deinit(struct cnc_arena *a)
{
    if (CNC_UNLIKELY(a->spilled != NULL))
        cnc_arena_free_spilled(a);
    a->at = a->end = NULL;
}

void *cnc_arena_alloc_slow(struct cnc_arena *a, size_t n);

/* n bytes aligned for any type; NULL when out of memory or over max. n may be 0. */
static inline void *cnc_arena_alloc(struct cnc_arena *a, size_t n)
{
    size_t pad = (size_t)(-(uintptr_t)a->at & (sizeof(max_align_t) - 1) & 15);
    if (CNC_LIKELY(n <= (size_t)(a->end - a->at) && pad <= (size_t)(a->end - a->at) - n)) {
        char *p = a->at + pad;
        a->at = p + n;
        return p;
    }
    return cnc_arena_alloc_slow(a, n);
}

/* n bytes without alignment, for text. */
static inline char *cnc_arena_text(struct cnc_arena *a, size_t n)
{
    if (CNC_LIKELY(n <= (size_t)(a->end - a->at))) {
        char *p = a->at;
        a->at += n;
        return p;
    }
    return cnc_arena_alloc_slow(a, n);
}

/* A NUL-terminated copy; NULL when out of memory. */
char *cnc_arena_copy(struct cnc_arena *a, const char *p, size_t n);

#endif
