/* SPDX-License-Identifier: MIT */
#include "exec/pool.h"

#include <signal.h>

#include "base/error.h"

#define CALLS_MAX 2 /* different functions that may be pending in cnc_pool_broadcast() */

/* A function that will run at a thread's home. It is allocated with the thread, so that a stop cannot fail for lack of
 * memory. */
struct call {
    struct cnc_task task;
    struct worker *worker;
    struct cnc_home *home; /* the worker's */
    void (*fn)(struct cnc_home *, int); /* NULL: no call is pending. Guarded by mu */
    int arg;
};

/* At most one thread at a time is on its way from sleep to the queue. When it gets there it takes a job, and wakes the next
 * thread if jobs are left. So a thread that is awake does short jobs one after the other, without a switch of threads; if a job
 * blocks, the thread that was woken goes on with the queue. The thread that fell asleep last is woken first, so that threads
 * that are not needed sleep for idle_ms and end. */
struct worker {
    struct call calls[CALLS_MAX];
    struct cnc_link link;
    struct cnc_link asleep; /* in lane->idlers; guarded by mu */
    atomic_uint awake;      /* 0: sleeps, or is about to */
    struct cnc_pool *pool;
    struct lane *lane;
    pthread_t thread;
    struct cnc_home *home; /* made before the thread: a thread that has started cannot lack memory for it */
    bool has_job;           /* it has a job that still counts in lane->jobs */
};

/* The jobs of one class, and the threads that take only these. Guarded by the pool's mu, except atomics. */
struct lane {
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
    struct lane user, library;
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

static void lane_init(struct lane *lane, unsigned threads_max, unsigned queue_max)
{
    cnc_link_init(&lane->queue);
    cnc_link_init(&lane->idlers);
    lane->threads_max = threads_max;
    lane->queue_max = queue_max;
    atomic_init(&lane->waiting, 0);
    atomic_init(&lane->jobs, 0);
}

static int make_plain(struct cnc_home **out, const struct cnc_pool_config *cfg)
{
    return cnc_home_create(out, cfg->clock, sizeof(struct cnc_home), true);
}

static void plain_idle(struct cnc_home *home)
{
    (void)home;
}

static unsigned long long plain_served(struct cnc_home *home)
{
    (void)home;
    return 0;
}

static const struct cnc_pool_homes plain_homes = { .make = make_plain, .idle = plain_idle, .rest = plain_idle,
                                                   .rest_ms = INT64_MAX, .served = plain_served };

int cnc_pool_create(struct cnc_pool **out, const struct cnc_pool_config *cfg)
{
    struct cnc_pool *pool = cnc_calloc(1, sizeof *pool);
    if (!pool)
        return CONCUR_E_NOMEM;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pool->cfg = *cfg;
    if (!cfg->homes)
        pool->cfg.homes = &plain_homes;
    pthread_mutex_init(&pool->mu, NULL);
    pthread_cond_init(&pool->gone, &attr);
    pthread_condattr_destroy(&attr);
    lane_init(&pool->user, cfg->threads_max, cfg->queue_max);
    lane_init(&pool->library, cfg->library_max, cfg->library_queue_max);
    cnc_link_init(&pool->live);
    cnc_link_init(&pool->dead);
    *out = pool;
    return CONCUR_OK;
}

static void note_waiting(struct lane *lane)
{
    unsigned jobs = atomic_load(&lane->jobs);
    atomic_store_explicit(&lane->waiting, jobs > lane->threads ? jobs - lane->threads : 0, memory_order_relaxed);
}

/* mu held. Picks the thread to wake; NULL: none should be. The caller wakes it after it has released mu. */
static struct worker *pick_locked(struct lane *lane)
{
    if (lane->waking || cnc_link_alone(&lane->queue) || cnc_link_alone(&lane->idlers))
        return NULL;
    struct worker *w = CNC_CONTAINER(lane->idlers.next, struct worker, asleep);
    cnc_link_remove(&w->asleep);
    lane->idle--;
    lane->waking = true;
    note_waiting(lane);
    return w;
}

static void wake(struct worker *w)
{
    if (!w)
        return;
    atomic_store(&w->awake, 1);
    cnc_sys_wake_one(&w->awake);
}

/* True: this thread was woken. */
static bool sleep_for(struct worker *w, int64_t ms)
{
    bool in_time = true;
    while (in_time && !atomic_load(&w->awake))
        in_time = cnc_sys_sleep_while(&w->awake, 0, ms);
    return in_time;
}

/* Sleeps until this thread is woken, at most for idle_ms. Calls rest() after rest_ms, if that is less. */
static void wait_for_job(const struct cnc_pool *pool, struct worker *w)
{
    const struct cnc_pool_homes *homes = pool->cfg.homes;
    const int64_t idle_ms = pool->cfg.idle_ms;
    const int64_t first = idle_ms < homes->rest_ms ? idle_ms : homes->rest_ms;
    homes->idle(w->home);
    if (sleep_for(w, first) || first == idle_ms)
        return;
    homes->rest(w->home);
    (void)sleep_for(w, idle_ms - first);
}

/* mu held, released meanwhile. False: this thread was not woken for idle_ms, and is no longer in the list of idle ones. */
static bool sleep_locked(struct cnc_pool *pool, struct worker *w)
{
    struct lane *lane = w->lane;
    atomic_store(&w->awake, 0);
    w->asleep.prev = &lane->idlers; /* first in the list */
    w->asleep.next = lane->idlers.next;
    lane->idlers.next->prev = &w->asleep;
    lane->idlers.next = &w->asleep;
    lane->idle++;
    note_waiting(lane);
    pthread_mutex_unlock(&pool->mu);
    wait_for_job(pool, w);
    pthread_mutex_lock(&pool->mu);
    if (cnc_link_alone(&w->asleep)) { /* it was picked; if its time ran out just then, it is not awake yet */
        while (!atomic_load(&w->awake))
            (void)cnc_sys_sleep_while(&w->awake, 0, 1);
        lane->waking = false;
        return true;
    }
    cnc_link_remove(&w->asleep);
    lane->idle--;
    return false;
}

/* mu held, released meanwhile. Frees the program's values of this thread while the thread still counts, so that at most
 * threads_max threads have values. That may take long, so it is a job. */
static void free_locals_locked(struct cnc_pool *pool, struct worker *w)
{
    atomic_fetch_add(&w->lane->jobs, 1);
    pthread_mutex_unlock(&pool->mu);
    cnc_home_free_locals(w->home);
    atomic_fetch_sub(&w->lane->jobs, 1);
    pthread_mutex_lock(&pool->mu);
}

/* mu held, and released at times. NULL: this thread ends. It stops counting under the same lock under which it saw the queue
 * empty, so no job relies on it. */
static struct cnc_job *next_job_locked(struct cnc_pool *pool, struct worker *w)
{
    struct lane *lane = w->lane;
    bool stays = true;
    while (cnc_link_alone(&lane->queue)) {
        if (stays && !pool->stopping) {
            stays = sleep_locked(pool, w);
        } else if (w->home->locals) {
            free_locals_locked(pool, w);
        } else {
            lane->threads--;
            pool->ending++;
            note_waiting(lane);
            return NULL;
        }
    }
    struct cnc_job *job = CNC_CONTAINER(lane->queue.next, struct cnc_job, link);
    cnc_link_remove(&job->link);
    lane->queued--;
    w->has_job = true;
    note_waiting(lane);
    return job;
}

static void end_job(struct worker *w)
{
    if (w->has_job)
        atomic_fetch_sub(&w->lane->jobs, 1);
    w->has_job = false;
}

bool cnc_pool_job_ends(struct cnc_pool *pool, struct cnc_home *here)
{
    struct worker *w = here->pooled;
    bool ends = w && w->pool == pool && w->has_job;
    if (ends)
        end_job(w);
    return ends;
}

unsigned cnc_pool_free(const struct cnc_pool *pool)
{
    unsigned jobs = atomic_load(&pool->user.jobs);
    return jobs < pool->user.threads_max ? pool->user.threads_max - jobs : 0;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct cnc_pool *pool = w->pool;
    struct cnc_job *job;
    cnc_home_adopt(w->home);
    pthread_mutex_lock(&pool->mu);
    while ((job = next_job_locked(pool, w)) != NULL) {
        struct worker *next = pick_locked(w->lane);
        pthread_mutex_unlock(&pool->mu);
        wake(next);
        job->run(job, w->home);
        end_job(w);
        pthread_mutex_lock(&pool->mu);
    }
    cnc_link_remove(&w->link); /* no broadcast may reach a home that closes */
    pool->served += pool->cfg.homes->served(w->home);
    pthread_mutex_unlock(&pool->mu);
    struct cnc_home *home = w->home; /* a copy, since cnc_home_close() clears it; calls posted before still run in there */
    cnc_home_close(&home);
    pthread_mutex_lock(&pool->mu);
    cnc_link_append(&pool->dead, &w->link);
    pool->ending--;
    pthread_cond_signal(&pool->gone);
    pthread_mutex_unlock(&pool->mu);
    return NULL;
}

/* mu held; released while joining. Dead threads only have to return, so joining them takes no time. */
static void join_dead_locked(struct cnc_pool *pool)
{
    while (!cnc_link_alone(&pool->dead)) {
        struct worker *w = CNC_CONTAINER(pool->dead.next, struct worker, link);
        cnc_link_remove(&w->link);
        pthread_mutex_unlock(&pool->mu);
        pthread_join(w->thread, NULL);
        cnc_free(w);
        pthread_mutex_lock(&pool->mu);
    }
}

static int cannot_spawn_locked(struct lane *lane, int rc, int err)
{
    lane->thread_error = err;
    return rc;
}

/* mu held. The thread starts with all signals blocked except those of faults, so that the host's threads get them. */
static int spawn_locked(struct cnc_pool *pool, struct lane *lane)
{
    struct worker *w = cnc_calloc(1, sizeof *w);
    if (!w)
        return cannot_spawn_locked(lane, CONCUR_E_NOMEM, ENOMEM);
    w->pool = pool;
    w->lane = lane;
    cnc_link_init(&w->link);
    cnc_link_init(&w->asleep);
    int rc = pool->cfg.homes->make(&w->home, &pool->cfg);
    if (rc < 0) {
        cnc_free(w);
        return cannot_spawn_locked(lane, rc, ENOMEM);
    }
    w->home->pooled = w;
    w->home->owner = lane == &pool->user ? pool->cfg.owner : NULL;
    pthread_attr_t attr;
    sigset_t old;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, pool->cfg.stack_size);
    cnc_sys_block_signals(&old);
    int err = cnc_sys_thread(&w->thread, &attr, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (err) {
        cnc_home_close(&w->home);
        cnc_free(w);
        char why[128];
        rc = cnc_error_set(CONCUR_E_SYS, "cannot start a thread: %s", cnc_sys_why_no_process(why, sizeof why, err));
        return cannot_spawn_locked(lane, rc, err);
    }
    cnc_link_append(&pool->live, &w->link);
    lane->threads++;
    return CONCUR_OK;
}

/* mu held. Are there as many jobs as threads and queue together may have? Then it counts a refusal. */
static bool is_full_locked(struct cnc_pool *pool, const struct lane *lane)
{
    bool is_full = atomic_load(&lane->jobs) + lane->reserved >= lane->queue_max + lane->threads_max;
    pool->refused += is_full && lane == &pool->user && !pool->stopping;
    return is_full;
}

/* mu held. Starts a thread for one more job, unless there is one without a job or there are threads_max. One whose job has just
 * ended will do, although it has not come back to the queue: else each job of a single client could start a thread. */
static int need_thread_locked(struct cnc_pool *pool, struct lane *lane)
{
    if (atomic_load(&lane->jobs) < lane->threads || lane->threads == lane->threads_max)
        return CONCUR_OK;
    return spawn_locked(pool, lane);
}

/* mu held. If *next is set, the caller wakes it after it has released mu. */
static void queue_locked(struct lane *lane, struct cnc_job *job, struct worker **next)
{
    cnc_link_append(&lane->queue, &job->link);
    lane->queued++;
    lane->given++;
    atomic_fetch_add(&lane->jobs, 1);
    note_waiting(lane);
    struct worker *w = pick_locked(lane);
    if (w)
        *next = w;
}

/* mu held. Queues the job if there is a thread for it, now or later; *next as in queue_locked(). */
static int enqueue_locked(struct cnc_pool *pool, struct lane *lane, struct cnc_job *job, struct worker **next)
{
    if (pool->stopping)
        return CONCUR_E_STOPPING;
    int rc = need_thread_locked(pool, lane);
    if (rc < 0 && lane->threads == 0)
        return rc;
    lane->is_short = lane->is_short || rc < 0;
    queue_locked(lane, job, next);
    return CONCUR_OK;
}

/* mu held. */
static void mark_locked(struct cnc_pool *pool, int64_t now)
{
    pool->mark = pool->user.given;
    pool->mark_at = now;
}

/* mu held. True: the caller calls strained() after it has released mu. */
static bool is_strained_locked(struct cnc_pool *pool)
{
    bool is = pool->user.thread_error || pool->library.thread_error || pool->refused || atomic_load(&pool->user.waiting) > 0;
    if (!is || pool->is_watched || pool->stopping || !pool->cfg.strained)
        return false;
    pool->is_watched = true;
    mark_locked(pool, cnc_clock_now(pool->cfg.clock));
    return true;
}

/* mu held; releases it. Then wakes next, and calls strained() if that is needed. */
static void leave_locked(struct cnc_pool *pool, struct worker *next)
{
    bool is_strained = is_strained_locked(pool);
    pthread_mutex_unlock(&pool->mu);
    wake(next);
    if (is_strained)
        pool->cfg.strained(pool->cfg.strained_arg);
}

static int pool_submit(struct cnc_pool *pool, struct lane *lane, struct cnc_job *job)
{
    struct worker *next = NULL;
    pthread_mutex_lock(&pool->mu);
    join_dead_locked(pool);
    int rc = is_full_locked(pool, lane) && !pool->stopping ? CONCUR_E_FULL : enqueue_locked(pool, lane, job, &next);
    leave_locked(pool, next);
    return rc;
}

static bool cancel(struct cnc_pool *pool, struct lane *lane, struct cnc_job *job)
{
    pthread_mutex_lock(&pool->mu);
    bool queued = !cnc_link_alone(&job->link);
    if (queued) {
        cnc_link_remove(&job->link);
        lane->queued--;
        atomic_fetch_sub(&lane->jobs, 1);
        note_waiting(lane);
    }
    pthread_mutex_unlock(&pool->mu);
    return queued;
}

/* If the library's jobs have no threads of their own, they wait among those of users. */
static struct lane *library_lane(struct cnc_pool *pool)
{
    return pool->library.threads_max ? &pool->library : &pool->user;
}

int cnc_pool_submit(struct cnc_pool *pool, struct cnc_job *job)
{
    return pool_submit(pool, &pool->user, job);
}

bool cnc_pool_cancel(struct cnc_pool *pool, struct cnc_job *job)
{
    return cancel(pool, &pool->user, job);
}

int cnc_pool_submit_library(struct cnc_pool *pool, struct cnc_job *job)
{
    return pool_submit(pool, library_lane(pool), job);
}

bool cnc_pool_cancel_library(struct cnc_pool *pool, struct cnc_job *job)
{
    return cancel(pool, library_lane(pool), job);
}

static void put_first(struct cnc_link *head, struct cnc_link *l)
{
    l->prev = head;
    l->next = head->next;
    head->next->prev = l;
    head->next = l;
}

static int submit_ring(struct cnc_pool *pool, struct cnc_link *jobs, bool is_bounded)
{
    struct lane *lane = &pool->user;
    struct worker *next = NULL;
    int rc = CONCUR_OK;
    pthread_mutex_lock(&pool->mu);
    join_dead_locked(pool);
    while (!cnc_link_alone(jobs) && rc == CONCUR_OK) {
        struct cnc_job *job = CNC_CONTAINER(jobs->next, struct cnc_job, link);
        if (!is_bounded && is_full_locked(pool, lane)) {
            rc = CONCUR_E_FULL;
            break;
        }
        cnc_link_remove(&job->link);
        rc = enqueue_locked(pool, lane, job, &next);
        if (rc < 0)
            put_first(jobs, &job->link);
    }
    leave_locked(pool, next);
    return rc;
}

int cnc_pool_submit_all(struct cnc_pool *pool, struct cnc_link *jobs)
{
    return submit_ring(pool, jobs, false);
}

int cnc_pool_submit_all_bounded(struct cnc_pool *pool, struct cnc_link *jobs)
{
    return submit_ring(pool, jobs, true);
}

/* mu held. Finds a thread for one more job, or starts one. */
static int find_thread_locked(struct cnc_pool *pool, struct lane *lane)
{
    if (pool->stopping)
        return CONCUR_E_STOPPING;
    if (atomic_load(&lane->jobs) + lane->reserved >= lane->threads_max)
        return CONCUR_E_FULL;
    return need_thread_locked(pool, lane);
}

int cnc_pool_submit_now(struct cnc_pool *pool, struct cnc_link *jobs)
{
    struct lane *lane = &pool->user;
    struct worker *next = NULL;
    int rc = CONCUR_OK;
    pthread_mutex_lock(&pool->mu);
    join_dead_locked(pool);
    while (!cnc_link_alone(jobs) && (rc = find_thread_locked(pool, lane)) == CONCUR_OK)
        queue_locked(lane, CNC_CONTAINER(cnc_link_take_first(jobs), struct cnc_job, link), &next);
    leave_locked(pool, next);
    return rc;
}

void cnc_pool_withdraw(struct cnc_pool *pool, bool (*is_due)(struct cnc_job *, void *arg), void *arg, struct cnc_link *taken)
{
    struct lane *lane = &pool->user;
    pthread_mutex_lock(&pool->mu);
    while (!cnc_link_alone(&lane->queue)) {
        if (!is_due(CNC_CONTAINER(lane->queue.next, struct cnc_job, link), arg))
            break;
        cnc_link_append(taken, cnc_link_take_first(&lane->queue));
        lane->queued--;
        atomic_fetch_sub(&lane->jobs, 1);
    }
    note_waiting(lane);
    pthread_mutex_unlock(&pool->mu);
}

int cnc_pool_reserve(struct cnc_pool *pool)
{
    pthread_mutex_lock(&pool->mu);
    int rc = pool->stopping ? CONCUR_E_STOPPING : is_full_locked(pool, &pool->user) ? CONCUR_E_FULL : CONCUR_OK;
    if (rc == CONCUR_OK)
        pool->user.reserved++;
    leave_locked(pool, NULL);
    return rc;
}

int cnc_pool_submit_reserved(struct cnc_pool *pool, struct cnc_job *job)
{
    struct worker *next = NULL;
    pthread_mutex_lock(&pool->mu);
    join_dead_locked(pool);
    pool->user.reserved--;
    int rc = job ? enqueue_locked(pool, &pool->user, job, &next) : CONCUR_OK;
    leave_locked(pool, next);
    return rc;
}

void cnc_pool_submit_all_reserved(struct cnc_pool *pool, struct cnc_link *jobs)
{
    struct lane *lane = &pool->user;
    struct worker *next = NULL;
    struct cnc_link left;
    cnc_link_init(&left);
    pthread_mutex_lock(&pool->mu);
    join_dead_locked(pool);
    while (!cnc_link_alone(jobs)) {
        struct cnc_link *l = cnc_link_take_first(jobs);
        lane->reserved--;
        if (enqueue_locked(pool, lane, CNC_CONTAINER(l, struct cnc_job, link), &next) != CONCUR_OK)
            cnc_link_append(&left, l);
    }
    cnc_link_move_all(jobs, &left);
    leave_locked(pool, next);
}

static void run_call(struct cnc_task *task)
{
    struct call *call = CNC_CONTAINER(task, struct call, task);
    struct cnc_pool *pool = call->worker->pool;
    pthread_mutex_lock(&pool->mu);
    struct call copy = *call; /* once fn is NULL the struct may be used for another call */
    call->fn = NULL;
    pthread_mutex_unlock(&pool->mu);
    copy.fn(copy.home, copy.arg);
}

/* mu held. A call of fn that is already pending stands for this one. */
static void call_locked(struct worker *w, void (*fn)(struct cnc_home *, int), int arg)
{
    struct call *call = &w->calls[0];
    while (call->fn && call->fn != fn && call < &w->calls[CALLS_MAX - 1])
        call++;
    CNC_ASSERT(!call->fn || call->fn == fn);
    if (call->fn)
        return;
    *call = (struct call){ .task.run = run_call, .worker = w, .home = w->home, .fn = fn, .arg = arg };
    if (cnc_home_post(w->home, &call->task) < 0)
        call->fn = NULL;
}

void cnc_pool_broadcast(struct cnc_pool *pool, void (*fn)(struct cnc_home *, int), int arg)
{
    pthread_mutex_lock(&pool->mu);
    for (struct cnc_link *l = pool->live.next; l != &pool->live; l = l->next)
        call_locked(CNC_CONTAINER(l, struct worker, link), fn, arg);
    pthread_mutex_unlock(&pool->mu);
}

CNC_HOT bool cnc_pool_is_wanted(struct cnc_pool *pool)
{
    return atomic_load_explicit(&pool->user.waiting, memory_order_relaxed) > 0;
}

void cnc_pool_stats(struct cnc_pool *pool, struct cnc_pool_stats *out)
{
    pthread_mutex_lock(&pool->mu);
    *out = (struct cnc_pool_stats){ .threads = pool->user.threads + pool->library.threads,
                                    .idle = pool->user.idle + pool->library.idle,
                                    .queued = pool->user.queued + pool->library.queued,
                                    .jobs = atomic_load(&pool->user.jobs), .served = pool->served };
    for (struct cnc_link *l = pool->live.next; l != &pool->live; l = l->next)
        out->served += pool->cfg.homes->served(CNC_CONTAINER(l, struct worker, link)->home);
    pthread_mutex_unlock(&pool->mu);
}

/* ---- cnc_pool_look() ---- */

#define LOOK_SHORT_MS 100 /* until the next try to start a thread */
#define LOOK_MS 500       /* between two looks at jobs that wait */

/* mu held. Starts the threads that jobs lack; stops at the first that cannot be started. */
static void mend_locked(struct cnc_pool *pool, struct lane *lane)
{
    while (lane->is_short && atomic_load(&lane->jobs) > lane->threads && lane->threads < lane->threads_max)
        if (spawn_locked(pool, lane) < 0)
            return;
    lane->is_short = false;
}

/* mu held. How long the first job has waited at least. If fewer jobs have left the queue so far than were given up to the mark,
 * a job from before the mark is still in it. */
static int64_t waited_locked(struct cnc_pool *pool, int64_t now)
{
    unsigned left = pool->user.given - pool->user.queued;
    if (pool->user.queued && (int)(pool->mark - left) > 0)
        return now - pool->mark_at;
    mark_locked(pool, now);
    return 0;
}

int64_t cnc_pool_look(struct cnc_pool *pool, struct cnc_pool_strain *out)
{
    struct lane *lane = &pool->user;
    int64_t now = cnc_clock_now(pool->cfg.clock);
    pthread_mutex_lock(&pool->mu);
    join_dead_locked(pool);
    *out = (struct cnc_pool_strain){ .refused = pool->refused, .threads_max = lane->threads_max,
                                     .thread_error = lane->thread_error };
    pool->refused = 0;
    if (pool->library.thread_error && !out->thread_error)
        out->thread_error = pool->library.thread_error;
    lane->thread_error = pool->library.thread_error = 0;
    if (!pool->stopping) {
        mend_locked(pool, lane);
        mend_locked(pool, &pool->library);
    }
    out->threads = lane->threads;
    out->waiting = atomic_load(&lane->waiting);
    out->waited_ms = waited_locked(pool, now);
    bool is_short = lane->is_short || pool->library.is_short;
    pool->is_watched = !pool->stopping && (is_short || out->waiting);
    int64_t again = !pool->is_watched ? INT64_MAX : now + (is_short ? LOOK_SHORT_MS : LOOK_MS);
    pthread_mutex_unlock(&pool->mu);
    return again;
}

/* mu held, and stopping is set: threads that find the queue empty end. */
static void wake_all_locked(struct lane *lane)
{
    while (!cnc_link_alone(&lane->idlers)) {
        struct worker *w = CNC_CONTAINER(lane->idlers.next, struct worker, asleep);
        cnc_link_remove(&w->asleep);
        lane->idle--;
        wake(w);
    }
}

/* mu held. */
static bool has_threads_locked(const struct cnc_pool *pool)
{
    return pool->user.threads + pool->library.threads + pool->ending > 0;
}

int cnc_pool_stop(struct cnc_pool *pool, int64_t wait_ms)
{
    struct timespec until = cnc_sys_in_ms(wait_ms < 0 ? 0 : wait_ms);
    int rc = 0;
    pthread_mutex_lock(&pool->mu);
    pool->stopping = true;
    wake_all_locked(&pool->user);
    wake_all_locked(&pool->library);
    while (has_threads_locked(pool) && rc != ETIMEDOUT)
        rc = wait_ms < 0 ? pthread_cond_wait(&pool->gone, &pool->mu)
                         : pthread_cond_timedwait(&pool->gone, &pool->mu, &until);
    join_dead_locked(pool);
    bool busy = has_threads_locked(pool);
    pthread_mutex_unlock(&pool->mu);
    return busy ? CONCUR_E_BUSY : CONCUR_OK;
}

void cnc_pool_destroy(struct cnc_pool **pool_)
{
    struct cnc_pool *pool = *pool_;
    if (!pool)
        return;
    CNC_ASSERT(!has_threads_locked(pool) && pool->user.queued + pool->library.queued == 0);
    pthread_cond_destroy(&pool->gone);
    pthread_mutex_destroy(&pool->mu);
    cnc_free(pool);
    *pool_ = NULL;
}
