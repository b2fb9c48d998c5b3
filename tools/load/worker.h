/* SPDX-License-Identifier: MIT
 *
 * One thread of the load client: its loop, its connections, its counts. While it runs, threads share only the plans,
 * which do not change, and the two atomic fields of struct run.
 */
#ifndef TOOLS_WORKER_H
#define TOOLS_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "load/plan.h"
#include "load/wakes.h"

enum { WORKER_INPUT = 65536 };

struct run {
    const struct load_options *options;
    struct plan *plans; /* one for each group */
    size_t plan_count;
    int64_t started_at, began_at; /* INV: started_at <= began_at <= ended_at */
    _Atomic int64_t ended_at;     /* a stop makes it earlier */
    atomic_bool abandoned;        /* answers are not awaited any more */
    size_t slice_count;
};

/* A thread's use of the processor. */
struct usage {
    double user, system; /* seconds */
    double waited;       /* seconds in which it was ready, but no processor was free */
    int64_t at;
};

struct worker {
    const struct run *run;
    pthread_t thread;
    int epoll_fd, timer_fd;
    struct conn *conns; /* owned */
    size_t conn_count, active;
    struct flight *flights; /* owned; each connection has a part */
    struct load_part *parts; /* owned, one for each group */
    uint32_t *good_by_slice, *bad_by_slice;
    struct histogram lateness;
    struct wakes wakes;
    struct usage usage[2]; /* at the beginning and the end of the measured time */
    bool has_begun, has_ended;
    int64_t ended_at; /* run->ended_at, as read in this turn */
    int64_t armed_at;
    uint64_t random;
    atomic_bool done;
    char *input; /* owned, WORKER_INPUT bytes */
};

int64_t clock_now(void);

/* Takes every nth connection of the workload, beginning with the index-th. 0 or a negative errno; worker_deinit() must
 * follow in both cases. */
int worker_init(struct worker *w, const struct run *run, unsigned index, unsigned n);
void worker_deinit(struct worker *w);
/* The thread. */
void *worker_main(void *worker);

uint32_t worker_chance(struct worker *w);
bool worker_is_measured(const struct worker *w, int64_t at);
/* Counts an answer, or another outcome of a request. */
void worker_count(struct worker *w, struct load_part *part, enum load_outcome outcome, bool is_measured, int64_t now);

#endif
