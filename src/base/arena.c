/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include "base/sys.h"

#define BLOCK_SIZE 8192

struct cnc_arena_block {
    struct cnc_arena_block *next;
    max_align_t data[];
};

void cnc_arena_free_spilled(struct cnc_arena *a)
{
    while (a->spilled) {
        struct cnc_arena_block *b = a->spilled;
        a->spilled = b->next;
        cnc_free(b);
    }
}

/* A large piece gets its own block, so that the rest of the current block can still be used. */
void *cnc_arena_alloc_slow(struct cnc_arena *a, size_t n)
{
    size_t want = n > BLOCK_SIZE / 4 ? n : BLOCK_SIZE;
    if (n > a->max || a->total > a->max - n)
        return NULL;
    if (want > a->max - a->total)
        want = n;
    struct cnc_arena_block *b = cnc_malloc(sizeof *b + want);
    if (!b)
        return NULL;
    b->next = a->spilled;
    a->spilled = b;
    a->total += want;
    if (want != n) {
        a->at = (char *)b->data + n;
        a->end = (char *)b->data + want;
    }
    return b->data;
}

char *cnc_arena_copy(struct cnc_arena *a, const char *p, size_t n)
{
    char *copy = cnc_arena_text(a, n + 1);
    if (copy) {
        if (n)
            memcpy(copy, p, n);
        copy[n] = '\0';
    }
    return copy;
}
