/* SPDX-License-Identifier: MIT */
#include "load/wakes.h"

#include <errno.h>
#include <stdlib.h>

int wakes_init(struct wakes *ws, size_t max)
{
    *ws = (struct wakes){ .heap = calloc(max, sizeof(struct wake *)) };
    return ws->heap ? 0 : -ENOMEM;
}

void wakes_deinit(struct wakes *ws)
{
    free(ws->heap);
    *ws = (struct wakes){ 0 };
}

static void place(struct wakes *ws, size_t i, struct wake *w)
{
    ws->heap[i] = w;
    w->pos = i + 1;
}

static void rise(struct wakes *ws, struct wake *w)
{
    size_t i = w->pos - 1;
    for (; i > 0 && ws->heap[(i - 1) / 2]->at > w->at; i = (i - 1) / 2)
        place(ws, i, ws->heap[(i - 1) / 2]);
    place(ws, i, w);
}

static void sink(struct wakes *ws, struct wake *w)
{
    size_t i = w->pos - 1;
    for (size_t child; (child = 2 * i + 1) < ws->count; i = child) {
        child += child + 1 < ws->count && ws->heap[child + 1]->at < ws->heap[child]->at;
        if (ws->heap[child]->at >= w->at)
            break;
        place(ws, i, ws->heap[child]);
    }
    place(ws, i, w);
}

void wakes_set(struct wakes *ws, struct wake *w, int64_t at)
{
    if (w->pos == 0)
        place(ws, ws->count++, w);
    w->at = at;
    rise(ws, w);
    sink(ws, w);
}

struct wake *wakes_due(struct wakes *ws, int64_t now)
{
    if (ws->count == 0 || ws->heap[0]->at > now)
        return NULL;
    struct wake *due = ws->heap[0], *last = ws->heap[--ws->count];
    due->pos = 0;
    if (last != due) {
        place(ws, 0, last);
        sink(ws, last);
    }
    return due;
}

int64_t wakes_next(const struct wakes *ws)
{
    return ws->count ? ws->heap[0]->at : INT64_MAX;
}
