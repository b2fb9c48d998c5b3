/* SPDX-License-Identifier: MIT
 *
 * A heap of one-shot timers. Pure: it is told the time and never waits.
 */
#ifndef CNC_TIMER_H
#define CNC_TIMER_H

#include "base/base.h"

struct cnc_timer {
    int64_t at;
    uint32_t pos; /* 1-based place in the heap; 0: not set */
    void (*fn)(struct cnc_timer *);
};

/* INV: every timer's `at` is <= those of its children; heap[t->pos - 1] == t */
struct cnc_timers {
    struct cnc_timer **heap; /* owned */
    uint32_t count, cap;
};

void cnc_timers_deinit(struct cnc_timers *ts);
/* Sets or moves t. CONCUR_OK or CONCUR_E_NOMEM (never when t was set before). */
int cnc_timer_set(struct cnc_timers *ts, struct cnc_timer *t, int64_t at);
/* Harmless on a timer that is not set. */
void cnc_timer_cancel(struct cnc_timers *ts, struct cnc_timer *t);
/* Takes the earliest timer that is due, or NULL. It is no longer set. */
struct cnc_timer *cnc_timers_due(struct cnc_timers *ts, int64_t now);
/* When the earliest is due; INT64_MAX when none is set. */
int64_t cnc_timers_next(const struct cnc_timers *ts);

#endif
