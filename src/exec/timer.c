/* SPDX-License-Identifier: MIT */
#include "exec/timer.h"

static bool is_before(const struct cnc_timer *a, const struct cnc_timer *b)
{
    return a->at != b->at ? a->at < b->at : a->turn < b->turn;
}

/* Melds two heaps, of which either may be empty, into one. Their roots must have no siblings. The caller sets the result's
 * back. */
static struct cnc_timer *meld(struct cnc_timer *a, struct cnc_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    struct cnc_timer *root = is_before(a, b) ? a : b, *under = root == a ? b : a;
    under->next = root->child;
    if (under->next)
        under->next->back = &under->next;
    under->back = &root->child;
    root->child = under;
    return root;
}

/* Makes one heap of siblings: melds them two by two, then melds the pairs, beginning with the last. With this order an
 * operation takes logarithmic time, on average over many. */
static struct cnc_timer *meld_siblings(struct cnc_timer *t)
{
    struct cnc_timer *pairs = NULL, *all = NULL;
    while (t) {
        struct cnc_timer *second = t->next, *rest = second ? second->next : NULL;
        t->next = NULL;
        if (second)
            second->next = NULL;
        struct cnc_timer *pair = meld(t, second);
        pair->next = pairs;
        pairs = pair;
        t = rest;
    }
    while (pairs) {
        struct cnc_timer *next = pairs->next;
        pairs->next = NULL;
        all = meld(all, pairs);
        pairs = next;
    }
    return all;
}

static void timer_put(struct cnc_timers *ts, struct cnc_timer *heap)
{
    ts->first = heap;
    if (heap)
        heap->back = &ts->first;
}

void cnc_timer_cancel(struct cnc_timers *ts, struct cnc_timer *t)
{
    if (!t->back)
        return;
    *t->back = t->next;
    if (t->next)
        t->next->back = t->back;
    struct cnc_timer *children = meld_siblings(t->child);
    t->child = t->next = NULL;
    t->back = NULL;
    ts->count--;
    if (children)
        timer_put(ts, meld(ts->first, children));
}

void cnc_timer_set(struct cnc_timers *ts, struct cnc_timer *t, int64_t at)
{
    cnc_timer_cancel(ts, t);
    t->at = at;
    t->turn = ts->turns++;
    ts->count++;
    timer_put(ts, meld(ts->first, t));
}

struct cnc_timer *cnc_timers_due(struct cnc_timers *ts, int64_t now)
{
    struct cnc_timer *t = ts->first;
    if (!t || t->at > now)
        return NULL;
    cnc_timer_cancel(ts, t);
    return t;
}
