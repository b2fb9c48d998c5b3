/* SPDX-License-Identifier: MIT
 *
 * One-shot timers in a heap whose links are in the timers themselves, so setting one needs no memory and cannot fail. Pure: the
 * time is passed in, and nothing waits.
 */
#ifndef CNC_TIMER_H
#define CNC_TIMER_H

#include "base/base.h"

/* INV: back == NULL if and only if it is not set. */
struct cnc_timer {
    int64_t at;
    uint64_t turn;            /* orders timers with the same time: the one that was set first comes first */
    struct cnc_timer *child;  /* first child; children come later than their parent */
    struct cnc_timer *next;   /* next sibling */
    struct cnc_timer **back;  /* what points here: the heap's first, a parent's child, or a sibling's next */
    void (*fn)(struct cnc_timer *);
};

/* A pairing heap. INV: no timer comes before its parent. All zero is an empty heap. */
struct cnc_timers {
    struct cnc_timer *first;
    uint64_t turns;
    uint32_t count;
};

/* Sets t, or moves it. */
void cnc_timer_set(struct cnc_timers *ts, struct cnc_timer *t, int64_t at);
/* Harmless on a timer that is not set. */
void cnc_timer_cancel(struct cnc_timers *ts, struct cnc_timer *t);
/* Takes the earliest timer out and returns it, if it is due; else NULL. */
struct cnc_timer *cnc_timers_due(struct cnc_timers *ts, int64_t now);

static inline bool cnc_timer_is_set(const struct cnc_timer *t)
{
    return t->back != NULL;
}

/* When the earliest is due; INT64_MAX when none is set. */
static inline int64_t cnc_timers_next(const struct cnc_timers *ts)
{
    return ts->first ? ts->first->at : INT64_MAX;
}

#endif
