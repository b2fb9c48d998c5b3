/* SPDX-License-Identifier: MIT */
#include "exec/timer.h"

#include "base/sys.h"

static void place(struct cnc_timers *ts, uint32_t i, struct cnc_timer *t)
{
    ts->heap[i] = t;
    t->pos = i + 1;
}

static void sift_up(struct cnc_timers *ts, uint32_t i)
{
    struct cnc_timer *t = ts->heap[i];
    for (uint32_t parent; i > 0 && ts->heap[parent = (i - 1) / 2]->at > t->at; i = parent)
        place(ts, i, ts->heap[parent]);
    place(ts, i, t);
}

static void sift_down(struct cnc_timers *ts, uint32_t i)
{
    struct cnc_timer *t = ts->heap[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= ts->count)
            break;
        if (child + 1 < ts->count && ts->heap[child + 1]->at < ts->heap[child]->at)
            child++;
        if (ts->heap[child]->at >= t->at)
            break;
        place(ts, i, ts->heap[child]);
        i = child;
    }
    place(ts, i, t);
}

void cnc_timers_deinit(struct cnc_timers *ts)
{
    CNC_ASSERT(ts->count == 0);
    cnc_free(ts->heap);
    *ts = (struct cnc_timers){ 0 };
}

static int grow(struct cnc_timers *ts)
{
    uint32_t cap = ts->cap ? ts->cap * 2 : 16;
    struct cnc_timer **heap = cnc_realloc(ts->heap, cap * sizeof *heap);
    if (!heap)
        return CONCUR_E_NOMEM;
    ts->heap = heap;
    ts->cap = cap;
    return CONCUR_OK;
}

int cnc_timer_set(struct cnc_timers *ts, struct cnc_timer *t, int64_t at)
{
    if (!t->pos) {
        if (ts->count == ts->cap && grow(ts) < 0)
            return CONCUR_E_NOMEM;
        t->at = at;
        place(ts, ts->count++, t);
    }
    t->at = at;
    sift_up(ts, t->pos - 1);
    sift_down(ts, t->pos - 1);
    return CONCUR_OK;
}

void cnc_timer_cancel(struct cnc_timers *ts, struct cnc_timer *t)
{
    if (!t->pos)
        return;
    uint32_t i = t->pos - 1;
    struct cnc_timer *last = ts->heap[--ts->count];
    t->pos = 0;
    if (last == t)
        return;
    place(ts, i, last);
    sift_up(ts, i);
    sift_down(ts, last->pos - 1);
}

struct cnc_timer *cnc_timers_due(struct cnc_timers *ts, int64_t now)
{
    struct cnc_timer *t = ts->count ? ts->heap[0] : NULL;
    if (!t || t->at > now)
        return NULL;
    cnc_timer_cancel(ts, t);
    return t;
}

int64_t cnc_timers_next(const struct cnc_timers *ts)
{
    return ts->count ? ts->heap[0]->at : INT64_MAX;
}
