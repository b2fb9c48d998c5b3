/* SPDX-License-Identifier: MIT
 *
 * When connections must be woken: a heap, the earliest first. Pure: the caller passes the time.
 */
#ifndef TOOLS_WAKES_H
#define TOOLS_WAKES_H

#include <stddef.h>
#include <stdint.h>

struct wake {
    int64_t at;
    size_t pos; /* 1-based; 0: not set */
};

/* INV: no wake is earlier than its parent; heap[w->pos - 1] == w */
struct wakes {
    struct wake **heap; /* room for all, so that setting one never fails */
    size_t count;
};

/* 0 or -ENOMEM */
int wakes_init(struct wakes *ws, size_t max);
void wakes_deinit(struct wakes *ws);
/* Sets w, or moves it. */
void wakes_set(struct wakes *ws, struct wake *w, int64_t at);
/* Removes one that is due, and returns it; NULL: none is. */
struct wake *wakes_due(struct wakes *ws, int64_t now);
/* INT64_MAX: none is set. */
int64_t wakes_next(const struct wakes *ws);

#endif
