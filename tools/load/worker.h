/* SPDX-License-Identifier: MIT
 *
 * One thread of the load client: its loop, its connections, its counts. Nothing is shared while it runs but the plans,
 * which are read only, and the two fields of struct run that are atomic.
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
    _Atomic int64_t ended_at;     /* moved forward by a stop */
    atomic_bool abandoned;        /* do not wait for answers */
    size_t slice_count;
};

/* What a thread knows of its own use of the processor. */
struct usage {
    double user, system; /* seconds */
    double waited;       /* ready to run, but no processor was free */
    int64_t at;
};

struct worker {
    const struct run *run;
    pthread_t thread;
    int epoll_fd, timer_fd;
    struct conn *conns; /* owned */
    size_t conn_count, active;
    struct flight *flights; /* owned, shared out to the connections */
    struct load_part *parts; /* owned, one for each group */
    uint32_t *good_by_slice, *bad_by_slice;
    struct histogram lateness;
    struct wakes wakes;
    struct usage usage[2]; /* where the measured time begins and ends */
    bool has_begun, has_ended;
    int64_t ended_at; /* as of this turn */
    int64_t armed_at;
    uint64_t random;
    atomic_bool done;
    char *input; /* owned, WORKER_INPUT bytes */
};

int64_t clock_now(void);

/* Takes every nth connection of the workload, beginning with the index-th. 0 or a negative errno; worker_deinit is due in
 * either case. */
int worker_init(struct worker *w, const struct run *run, unsigned index, unsigned n);
void worker_deinit(struct worker *w);
/* The thread. */
void *worker_main(void *worker);

uint32_t worker_chance(struct worker *w);
bool worker_is_measured(const struct worker *w, int64_t at);
/* An answer, or what came instead of one. */
void worker_count(struct worker *w, struct load_part *part, enum load_outcome outcome, bool is_measured, int64_t now);

#endif
