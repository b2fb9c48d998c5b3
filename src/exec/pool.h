/* SPDX-License-Identifier: MIT
 *
 * Threads that may block, around a shared queue. They start on demand up to a maximum, end after some idle time, and
 * are always joined, never cancelled. Each has a home of its own. The queue is first in, first out: a free thread takes
 * the job that has waited longest.
 *
 * The number of free threads is counted by jobs, not by threads: a job counts from the moment at which the pool takes it until
 * it ends.
 *
 * There are two classes of jobs, those of users and those of the library itself (writes to files, say), each with its
 * own queue and its own threads: however many jobs of one class block, those of the other go on. The class is chosen by the
 * function that takes the job. It is not kept in the job, since every connection has a job embedded.
 */
#ifndef CNC_POOL_H
#define CNC_POOL_H

#include "exec/home.h"

struct cnc_pool;

/* Embedded in the object whose function runs. INV: link is alone unless the job is queued. */
struct cnc_job {
    struct cnc_link link;
    void (*run)(struct cnc_job *, struct cnc_home *here); /* on a pool thread; the job may be gone afterwards */
};

struct cnc_pool_config;

/* How the pool's creator makes the homes of the threads and takes care of them; all that the pool knows of it. */
struct cnc_pool_homes {
    int (*make)(struct cnc_home **out, const struct cnc_pool_config *cfg); /* a blocking home. Called under the pool's lock */
    void (*idle)(struct cnc_home *);  /* its thread has no job now */
    void (*rest)(struct cnc_home *);  /* its thread has had no job for rest_ms */
    int64_t rest_ms;
    unsigned long long (*served)(struct cnc_home *); /* any thread: requests served there so far */
};

struct cnc_pool_config {
    const struct cnc_clock *clock;
    unsigned threads_max;  /* 1..; for jobs of users */
    unsigned library_max;  /* further threads, for jobs of the library; 0: these share the users' queue and threads */
    unsigned queue_max;    /* jobs of users that wait; more are refused */
    unsigned library_queue_max; /* the same for jobs of the library, if library_max is not 0 */
    size_t stack_size;     /* bytes */
    int64_t idle_ms;       /* a thread that has had no job for so long ends */
    const struct cnc_pool_homes *homes; /* borrowed; NULL: the threads have plain homes */
    const void *homes_arg; /* for homes->make() */
    const void *owner;     /* cnc_home.owner of threads for jobs of users */
    /* Optional. Jobs wait or are refused, or a thread could not be started: cnc_pool_look() must be called soon. Called again
     * only after a look has returned INT64_MAX. Runs without a lock on a thread that brings a job or reserves room. */
    void (*strained)(void *arg);
    void *strained_arg;
};

struct cnc_pool_stats {
    unsigned threads, idle, queued;
    unsigned jobs; /* of users: submitted, and not ended */
    unsigned long long served; /* requests on all its threads, those of threads that have ended included */
};

int cnc_pool_create(struct cnc_pool **out, const struct cnc_pool_config *cfg);
/* Any thread. CONCUR_E_FULL: as many jobs wait as may; CONCUR_E_STOPPING; CONCUR_E_SYS or CONCUR_E_NOMEM: there is no thread
 * and none could be started. */
int cnc_pool_submit(struct cnc_pool *pool, struct cnc_job *job);
/* The same for a job of the library. Its run must never call the program. */
int cnc_pool_submit_library(struct cnc_pool *pool, struct cnc_job *job);
/* Any thread. Submits a ring of users' jobs, first to last. At the first that is refused it stops and returns why; that one and
 * those behind it stay in jobs. */
int cnc_pool_submit_all(struct cnc_pool *pool, struct cnc_link *jobs);
/* The same without queue_max: for jobs whose number has another bound. */
int cnc_pool_submit_all_bounded(struct cnc_pool *pool, struct cnc_link *jobs);
/* The same, but no job waits: one is taken only if a thread is free for it or can be started. CONCUR_OK: all were taken;
 * CONCUR_E_FULL: no thread is free for the first job that is left; CONCUR_E_STOPPING; else why no thread can be started. */
int cnc_pool_submit_now(struct cnc_pool *pool, struct cnc_link *jobs);
/* The job that runs at this home has not returned yet, but does not need its thread any more: the thread counts as free. False:
 * this is no thread of the pool, or it was called for this job before. */
bool cnc_pool_job_ends(struct cnc_pool *pool, struct cnc_home *here);
/* Any thread. How many jobs of users could have a thread at once. */
unsigned cnc_pool_free(const struct cnc_pool *pool);
/* Any thread. Promises room for one user's job that cnc_pool_submit_reserved() brings later. CONCUR_OK, CONCUR_E_FULL or
 * CONCUR_E_STOPPING. */
int cnc_pool_reserve(struct cnc_pool *pool);
/* Uses the promise: CONCUR_OK, or CONCUR_E_STOPPING, CONCUR_E_SYS or CONCUR_E_NOMEM. A NULL job only gives it back. */
int cnc_pool_submit_reserved(struct cnc_pool *pool, struct cnc_job *job);
/* The same for a ring of jobs, first to last. Those that cannot be taken stay in jobs; their promises are used too. */
void cnc_pool_submit_all_reserved(struct cnc_pool *pool, struct cnc_link *jobs);
/* Any thread. True: the job was still queued, and now is not. One function for each class of jobs. */
bool cnc_pool_cancel(struct cnc_pool *pool, struct cnc_job *job);
bool cnc_pool_cancel_library(struct cnc_pool *pool, struct cnc_job *job);
/* Any thread. Moves queued jobs of users to the end of the ring taken, first to last, and stops at the first for which is_due()
 * is false. is_due() runs under the pool's lock, so it must not call the pool. */
void cnc_pool_withdraw(struct cnc_pool *pool, bool (*is_due)(struct cnc_job *, void *arg), void *arg, struct cnc_link *taken);
/* Any thread. True if a user's job waits and no thread is about to take it: one should then finish soon. A hint. */
bool cnc_pool_is_wanted(struct cnc_pool *pool);
/* Any thread. Has fn(home, arg) called at the home of every thread. Where a call of the same fn has not happened yet, it stands
 * for the new one, with its own arg. At most two different functions may be pending. */
void cnc_pool_broadcast(struct cnc_pool *pool, void (*fn)(struct cnc_home *, int arg), int arg);
void cnc_pool_stats(struct cnc_pool *pool, struct cnc_pool_stats *out);

/* What cnc_pool_look() has found. */
struct cnc_pool_strain {
    unsigned waiting;  /* users' jobs that wait for a thread */
    unsigned refused;  /* users' jobs that were refused since the last look because queue_max jobs waited */
    unsigned threads, threads_max; /* for users' jobs */
    int64_t waited_ms; /* the first job in the queue has waited so long at least */
    int thread_error;  /* errno of the last thread that could not be started, since the last look; 0: none */
};

/* Any thread, but one at a time. Starts threads that jobs wait for and that could not be started before. Returns when to look
 * again; INT64_MAX: not before strained() is called. */
int64_t cnc_pool_look(struct cnc_pool *pool, struct cnc_pool_strain *out);
/* Refuses further jobs, lets the queued and running ones finish, joins every thread. CONCUR_E_BUSY: some thread still
 * ran after wait_ms (negative: no limit). May be called again. */
int cnc_pool_stop(struct cnc_pool *pool, int64_t wait_ms);
/* After a successful stop. NULLs *pool. */
void cnc_pool_destroy(struct cnc_pool **pool);

#endif
