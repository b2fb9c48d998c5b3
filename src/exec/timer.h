/* SPDX-License-Identifier: MIT
 *
 * One-shot timers in a heap whose links lie in the timers themselves: setting one takes no memory, and so cannot fail. Pure:
 * it is told the time and never waits.
 */
#ifndef CNC_TIMER_H
#define CNC_TIMER_H

#include "base/base.h"

/* INV: back == NULL if and only if it is not set. */
struct cnc_timer {
    int64_t at;
    uint64_t turn;            /* of those with the same time the first to be set comes first */
    struct cnc_timer *child;  /* the first of those that come later */
    struct cnc_timer *next;   /* its sibling */
    struct cnc_timer **back;  /* what points here: the heap's first, a parent's child, or a sibling's next */
    void (*fn)(struct cnc_timer *);
};

/* A pairing heap. INV: no timer comes before its parent. Zeroed it is empty. */
struct cnc_timers {
    struct cnc_timer *first;
    uint64_t turns;
    uint32_t count;
};

/* Sets t, or moves it. */
void cnc_timer_set(struct cnc_timers *ts, struct cnc_timer *t, int64_t at);
/* Harmless on a timer that is not set. */
void cnc_timer_cancel(struct cnc_timers *ts, struct cnc_timer *t);
/* Takes the earliest timer that is due, or NULL. It is no longer set. */
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
