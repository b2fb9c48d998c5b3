/* SPDX-License-Identifier: MIT
 *
 * What the files of the pool share: pool.c has its life and its numbers, pool_jobs.c the jobs,
 * pool_threads.c the threads, pool_look.c the checks when jobs wait. Functions named _locked are called with mu held.
 */
#ifndef CNC_POOL_INTERNAL_H
#define CNC_POOL_INTERNAL_H

#include "exec/pool.h"

#define CNC_POOL_CALLS_MAX 2 /* different functions that may be pending in cnc_pool_broadcast() */

/* A function that will run at a thread's home. It is allocated with the thread, so that a stop cannot fail for lack of
 * memory. */
struct cnc_pool_call {
    struct cnc_task task;
    struct cnc_pool_thread *thread;
    struct cnc_home *home; /* the thread's */
    void (*fn)(struct cnc_home *, int); /* NULL: no call is pending. Guarded by mu */
    int arg;
};

/* At most one thread at a time is on its way from sleep to the queue. When it gets there it takes a job, and wakes the next
 * thread if jobs are left. So a thread that is awake does short jobs one after the other, without a switch of threads; if a job
 * blocks, the thread that was woken goes on with the queue. The thread that fell asleep last is woken first, so that threads
 * that are not needed sleep for idle_ms and end. */
struct cnc_pool_thread {
    struct cnc_pool_call calls[CNC_POOL_CALLS_MAX];
    struct cnc_link link;
    struct cnc_link asleep; /* in lane->idlers; guarded by mu */
    atomic_uint awake;      /* 0: sleeps, or is about to */
    struct cnc_pool *pool;
    struct cnc_pool_lane *lane;
    pthread_t thread;
    struct cnc_home *home; /* made before the thread: a thread that has started cannot lack memory for it */
    bool has_job;           /* it has a job that still counts in lane->jobs */
};

/* The jobs of one class, and the threads that take only these. Guarded by the pool's mu, except atomics. */
struct cnc_pool_lane {
    struct cnc_link queue;
    struct cnc_link idlers; /* the last to fall asleep comes first */
    unsigned threads_max, queue_max;
    bool waking;            /* a thread was woken and has not come to the queue yet */
    unsigned queued, idle;
    unsigned reserved;      /* jobs for which room was promised */
    unsigned threads;       /* threads that will look at the queue again. Those without a job take one, wherever they are */
    atomic_uint waiting;    /* queued jobs for which there is no such thread; a hint read without mu */
    atomic_uint jobs;       /* queued or running; grows only under mu, but shrinks without it too */
    unsigned given;         /* jobs queued so far; wraps */
    int thread_error;       /* errno of the last thread that could not be started, since the last look; 0: none */
    bool is_short;          /* jobs wait for a thread that could not be started */
};

struct cnc_pool {
    struct cnc_pool_config cfg;
    pthread_mutex_t mu; /* lock order: before any home's */
    pthread_cond_t gone; /* a thread ended */
    struct cnc_pool_lane user, library;
    /* guarded by mu */
    struct cnc_link live, dead;
    unsigned ending; /* threads that will not look at a queue again, and are not in dead yet */
    unsigned long long served; /* by threads that have ended */
    bool stopping;
    bool is_watched;        /* strained() was called, and a look is still to come */
    unsigned refused;       /* users' jobs since the last look */
    unsigned mark;          /* user.given at mark_at */
    int64_t mark_at;
};

/* Sets lane->waiting. */
static inline void cnc_pool_note_waiting_locked(struct cnc_pool_lane *lane)
{
    unsigned jobs = atomic_load(&lane->jobs);
    atomic_store_explicit(&lane->waiting, jobs > lane->threads ? jobs - lane->threads : 0, memory_order_relaxed);
}

/* The thread to wake; NULL: none should be. The caller wakes it after it has released mu. */
static inline struct cnc_pool_thread *cnc_pool_pick_locked(struct cnc_pool_lane *lane)
{
    if (lane->waking || cnc_link_alone(&lane->queue) || cnc_link_alone(&lane->idlers))
        return NULL;
    struct cnc_pool_thread *t = CNC_CONTAINER(lane->idlers.next, struct cnc_pool_thread, asleep);
    cnc_link_remove(&t->asleep);
    lane->idle--;
    lane->waking = true;
    cnc_pool_note_waiting_locked(lane);
    return t;
}

/* Without mu. t may be NULL. */
static inline void cnc_pool_wake(struct cnc_pool_thread *t)
{
    if (!t)
        return;
    atomic_store(&t->awake, 1);
    cnc_sys_wake_one(&t->awake);
}

/* At t, without mu. Its job no longer counts; harmless if it has none. */
static inline void cnc_pool_end_job(struct cnc_pool_thread *t)
{
    if (t->has_job)
        atomic_fetch_sub(&t->lane->jobs, 1);
    t->has_job = false;
}

/* pool_threads.c */
/* stopping is set: threads that find the queue empty end. */
void cnc_pool_wake_all_locked(struct cnc_pool_lane *lane);
/* CONCUR_OK: one more thread is starting. Else the error, and lane->thread_error is set. */
int cnc_pool_spawn_locked(struct cnc_pool *pool, struct cnc_pool_lane *lane);
/* Joins the first dead thread; releases mu meanwhile. It only has to return, so that takes no time. */
void cnc_pool_join_one_locked(struct cnc_pool *pool);

/* pool_look.c */
/* The pool is strained. True: the caller calls strained() after it has released mu. */
bool cnc_pool_begin_watch_locked(struct cnc_pool *pool);

/* Releases mu meanwhile. */
static inline void cnc_pool_join_dead_locked(struct cnc_pool *pool)
{
    while (CNC_UNLIKELY(!cnc_link_alone(&pool->dead)))
        cnc_pool_join_one_locked(pool);
}

/* Do jobs wait, were some refused, or could a thread not be started? */
static inline bool cnc_pool_is_strained_locked(struct cnc_pool *pool)
{
    return pool->user.thread_error || pool->library.thread_error || pool->refused || atomic_load(&pool->user.waiting) > 0;
}

#endif
