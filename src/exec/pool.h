/* SPDX-License-Identifier: MIT
 *
 * Threads that may block, around one shared queue. They start on demand up to a maximum, end after some idle time, and
 * are always joined, never cancelled. Each has a home of its own. Model: one FIFO for all, so that a free thread takes
 * whatever waits longest.
 */
#ifndef CNC_POOL_H
#define CNC_POOL_H

#include "exec/home.h"

struct cnc_pool;

/* Embedded in what is to run. INV: its link stands alone unless it is queued. */
struct cnc_job {
    struct cnc_link link;
    void (*run)(struct cnc_job *, struct cnc_home *here); /* on a pool thread; the job may be gone afterwards */
};

struct cnc_pool_config {
    const struct cnc_clock *clock;
    unsigned threads_max;  /* 1.. */
    unsigned queue_max;    /* jobs that wait; more are refused */
    size_t stack_size;     /* bytes */
    int64_t idle_ms;       /* a thread with nothing to do for so long ends */
    unsigned fields_max;   /* for the homes */
    const void *owner;     /* likewise */
};

struct cnc_pool_stats {
    unsigned threads, idle, queued;
    unsigned long long served; /* requests begun on its threads, ended ones included */
};

int cnc_pool_create(struct cnc_pool **out, const struct cnc_pool_config *cfg);
/* Any thread. CONCUR_E_FULL: queue_max jobs wait; CONCUR_E_STOPPING; CONCUR_E_SYS: no thread could be started at all. */
int cnc_pool_submit(struct cnc_pool *pool, struct cnc_job *job);
/* Any thread. Submits a ring of jobs at once, first to last; those that the pool would refuse stay in jobs. */
void cnc_pool_submit_all(struct cnc_pool *pool, struct cnc_link *jobs);
/* Any thread. Promises room for one job that cnc_pool_submit_reserved() brings later. CONCUR_E_FULL or CONCUR_E_STOPPING. */
int cnc_pool_reserve(struct cnc_pool *pool);
/* The promise is used: CONCUR_OK, or CONCUR_E_STOPPING or CONCUR_E_SYS. A NULL job only gives it back. */
int cnc_pool_submit_reserved(struct cnc_pool *pool, struct cnc_job *job);
/* The same for a ring of jobs, first to last; those that cannot be taken stay in jobs, their promises used. */
void cnc_pool_submit_all_reserved(struct cnc_pool *pool, struct cnc_link *jobs);
/* Any thread. True: the job was still queued and is no more. */
bool cnc_pool_cancel(struct cnc_pool *pool, struct cnc_job *job);
/* Any thread. True when a job waits for a thread: whoever holds one should let go soon. */
bool cnc_pool_is_wanted(struct cnc_pool *pool);
/* Any thread. Posts a task that calls fn(home, arg) to the home of every thread. Threads without memory for it are left out. */
void cnc_pool_broadcast(struct cnc_pool *pool, void (*fn)(struct cnc_home *, int arg), int arg);
void cnc_pool_stats(struct cnc_pool *pool, struct cnc_pool_stats *out);
/* Refuses further jobs, lets the queued and running ones finish, joins every thread. CONCUR_E_BUSY: some thread still
 * ran after wait_ms (-1: waits for ever). May be called again. */
int cnc_pool_stop(struct cnc_pool *pool, int64_t wait_ms);
/* After a successful stop. NULLs *pool. */
void cnc_pool_destroy(struct cnc_pool **pool);

#endif
