/* SPDX-License-Identifier: MIT
 *
 * Threads that may block, around a shared queue. They start on demand up to a maximum, end after some idle time, and
 * are always joined, never cancelled. Each has a home of its own. Model: one FIFO for all, so that a free thread takes
 * whatever waits longest.
 *
 * How many threads are free is counted here, where a job is given and where it ends: a job counts from the moment at which it
 * is taken until its thread is free again.
 *
 * There are two classes of jobs, those of users and those of the library itself (writes to files, say), each with its
 * own queue and its own threads: however many of one class block, the other one goes on. The class is told by the
 * function that takes the job, and not kept in it, since every connection has a job embedded.
 */
#ifndef CNC_POOL_H
#define CNC_POOL_H

#include "exec/home.h"

struct cnc_pool;

/* Embedded in the object whose function runs. INV: its link is alone unless it is queued. */
struct cnc_job {
    struct cnc_link link;
    void (*run)(struct cnc_job *, struct cnc_home *here); /* on a pool thread; the job may be gone afterwards */
};

struct cnc_pool_config;

/* What the pool's creator has at the homes of its threads; the pool knows no more than this. */
struct cnc_pool_homes {
    int (*make)(struct cnc_home **out, const struct cnc_pool_config *cfg); /* a blocking home. With the pool's lock */
    void (*idle)(struct cnc_home *);  /* its thread has no job */
    void (*rest)(struct cnc_home *);  /* and has had none for rest_ms */
    int64_t rest_ms;
    unsigned long long (*served)(struct cnc_home *); /* any thread: what has been served there so far */
};

struct cnc_pool_config {
    const struct cnc_clock *clock;
    unsigned threads_max;  /* 1..; for jobs of users */
    unsigned library_max;  /* further threads, for jobs of the library; 0: these wait among the users' */
    unsigned queue_max;    /* jobs of users that wait; more are refused */
    unsigned library_queue_max; /* the same for jobs of the library, where they have threads of their own */
    size_t stack_size;     /* bytes */
    int64_t idle_ms;       /* a thread with nothing to do for so long ends */
    const struct cnc_pool_homes *homes; /* borrowed; NULL: the threads have plain homes */
    const void *homes_arg; /* for its make() */
    const void *owner;     /* for those that run jobs of users */
    /* Optional. Jobs wait or are refused, or a thread could not be started: cnc_pool_look() should be called before long. Not
     * again until it has been. On a thread that brought a job, without a lock. */
    void (*strained)(void *arg);
    void *strained_arg;
};

struct cnc_pool_stats {
    unsigned threads, idle, queued;
    unsigned jobs; /* of users: given, and not ended */
    unsigned long long served; /* on its threads, ended ones included */
};

int cnc_pool_create(struct cnc_pool **out, const struct cnc_pool_config *cfg);
/* Any thread. CONCUR_E_FULL: as many jobs wait as may; CONCUR_E_STOPPING; CONCUR_E_SYS: no thread could be started at all. */
int cnc_pool_submit(struct cnc_pool *pool, struct cnc_job *job);
/* The same for a job of the library, whose run never calls the program. */
int cnc_pool_submit_library(struct cnc_pool *pool, struct cnc_job *job);
/* Any thread. Submits a ring of users' jobs at once, first to last; those that the pool refuses stay in jobs, and it says why. */
int cnc_pool_submit_all(struct cnc_pool *pool, struct cnc_link *jobs);
/* The same for jobs of which something else bounds the number: however many wait, none is refused for that. */
int cnc_pool_submit_all_bounded(struct cnc_pool *pool, struct cnc_link *jobs);
/* The same, but no job waits: one is taken only if a thread is free for it or can be started. CONCUR_OK; CONCUR_E_FULL: no
 * thread is free for the first job left in the list; else why no thread can be started. */
int cnc_pool_submit_now(struct cnc_pool *pool, struct cnc_link *jobs);
/* On a thread of the pool, whose home is here: its job has not returned yet, but does not need the thread any more. False:
 * this was called before. */
bool cnc_pool_job_ends(struct cnc_pool *pool, struct cnc_home *here);
/* Any thread. Threads that no job of a user has. */
unsigned cnc_pool_free(const struct cnc_pool *pool);
/* Any thread. Promises room for one user's job that cnc_pool_submit_reserved() brings later. CONCUR_E_FULL or
 * CONCUR_E_STOPPING. */
int cnc_pool_reserve(struct cnc_pool *pool);
/* The promise is used: CONCUR_OK, or CONCUR_E_STOPPING or CONCUR_E_SYS. A NULL job only gives it back. */
int cnc_pool_submit_reserved(struct cnc_pool *pool, struct cnc_job *job);
/* The same for a ring of jobs, first to last; those that cannot be taken stay in jobs, their promises used. */
void cnc_pool_submit_all_reserved(struct cnc_pool *pool, struct cnc_link *jobs);
/* Any thread. True: the job was queued, and is removed from the queue. One function for each class of jobs. */
bool cnc_pool_cancel(struct cnc_pool *pool, struct cnc_job *job);
bool cnc_pool_cancel_library(struct cnc_pool *pool, struct cnc_job *job);
/* Any thread. Takes users' jobs that wait, first to last, into a ring, up to the first that is not due; is_due must not call
 * the pool. */
void cnc_pool_withdraw(struct cnc_pool *pool, bool (*is_due)(struct cnc_job *, void *arg), void *arg, struct cnc_link *taken);
/* Any thread. True if a user's job waits for a thread: a thread should then finish soon. */
bool cnc_pool_is_wanted(struct cnc_pool *pool);
/* Any thread. Has fn(home, arg) called at the home of every thread; of calls that have not happened yet the last counts. */
void cnc_pool_broadcast(struct cnc_pool *pool, void (*fn)(struct cnc_home *, int arg), int arg);
void cnc_pool_stats(struct cnc_pool *pool, struct cnc_pool_stats *out);

/* What a look at a pool that is strained has found. */
struct cnc_pool_strain {
    unsigned waiting;  /* users' jobs that wait for a thread */
    unsigned refused;  /* users' jobs that were refused since the last look, since queue_max waited */
    unsigned threads, threads_max;
    int64_t waited_ms; /* the first of them has waited so long at least */
    int thread_error;  /* errno of the last thread that could not be started, since the last look; 0: none */
};

/* Any thread, one at a time. Starts threads that jobs wait for and that could not be started before. Returns when to look
 * again; INT64_MAX: strained() will be called. */
int64_t cnc_pool_look(struct cnc_pool *pool, struct cnc_pool_strain *out);
/* Refuses further jobs, lets the queued and running ones finish, joins every thread. CONCUR_E_BUSY: some thread still
 * ran after wait_ms (-1: waits for ever). May be called again. */
int cnc_pool_stop(struct cnc_pool *pool, int64_t wait_ms);
/* After a successful stop. NULLs *pool. */
void cnc_pool_destroy(struct cnc_pool **pool);

#endif
