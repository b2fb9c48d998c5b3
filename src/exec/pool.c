/* SPDX-License-Identifier: MIT */
#include "exec/pool.h"

#include <signal.h>

#include "base/error.h"

/* Wakes are rationed: at most one thread is on its way from sleep to the queue at a time, and it wakes the next one if
 * work is left. Short jobs are thus done in a row by a thread that is awake, at no cost of a switch; a job that blocks lets
 * the thread under way take over at once. The last to fall asleep is the first to be woken, so that surplus threads end. */
struct worker {
    struct cnc_link link;
    struct cnc_link asleep; /* in pool->idlers; guarded by mu */
    atomic_uint awake;      /* 0: sleeps, or is about to */
    struct cnc_pool *pool;
    pthread_t thread;
    struct cnc_home *home; /* made before the thread, so that a thread never starts in vain */
};

struct cnc_pool {
    struct cnc_pool_config cfg;
    pthread_mutex_t mu; /* lock order: before any home's */
    pthread_cond_t gone; /* a thread ended */
    /* guarded by mu */
    struct cnc_link queue, live, dead;
    struct cnc_link idlers; /* the last to fall asleep comes first */
    bool waking;            /* a thread was woken and has not come to the queue yet */
    unsigned queued, idle;
    unsigned reserved; /* jobs promised room */
    unsigned threads; /* that will look at the queue again */
    unsigned starting; /* of those, the ones that have not looked yet: each will take a job */
    unsigned ending;  /* that will not, but have not left yet */
    unsigned long long served; /* by threads that have ended */
    bool stopping;
    atomic_uint waiting; /* queued jobs that no idle thread is about to take; a hint read without mu */
};

int cnc_pool_create(struct cnc_pool **out, const struct cnc_pool_config *cfg)
{
    struct cnc_pool *pool = cnc_calloc(1, sizeof *pool);
    if (!pool)
        return CONCUR_E_NOMEM;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pool->cfg = *cfg;
    pthread_mutex_init(&pool->mu, NULL);
    pthread_cond_init(&pool->gone, &attr);
    pthread_condattr_destroy(&attr);
    cnc_link_init(&pool->queue);
    cnc_link_init(&pool->idlers);
    cnc_link_init(&pool->live);
    cnc_link_init(&pool->dead);
    atomic_init(&pool->waiting, 0);
    *out = pool;
    return CONCUR_OK;
}

static void note_waiting(struct cnc_pool *pool)
{
    unsigned takers = pool->idle + pool->starting;
    unsigned n = pool->queued > takers ? pool->queued - takers : 0;
    atomic_store_explicit(&pool->waiting, n, memory_order_relaxed);
}

/* mu held. Picks the thread to wake, if one should be; the caller wakes it after letting go of mu. */
static struct worker *pick_locked(struct cnc_pool *pool)
{
    if (pool->waking || cnc_link_alone(&pool->queue) || cnc_link_alone(&pool->idlers))
        return NULL;
    struct worker *w = CNC_CONTAINER(pool->idlers.next, struct worker, asleep);
    cnc_link_remove(&w->asleep);
    pool->idle--;
    pool->waking = true;
    note_waiting(pool);
    return w;
}

static void wake(struct worker *w)
{
    if (!w)
        return;
    atomic_store(&w->awake, 1);
    cnc_sys_wake_one(&w->awake);
}

/* mu held, released meanwhile. False: nobody woke this thread for idle_ms, and it is no longer among the idlers. */
static bool sleep_locked(struct cnc_pool *pool, struct worker *w)
{
    bool in_time = true;
    atomic_store(&w->awake, 0);
    w->asleep.prev = &pool->idlers; /* in front */
    w->asleep.next = pool->idlers.next;
    pool->idlers.next->prev = &w->asleep;
    pool->idlers.next = &w->asleep;
    pool->idle++;
    note_waiting(pool);
    pthread_mutex_unlock(&pool->mu);
    while (in_time && !atomic_load(&w->awake))
        in_time = cnc_sys_sleep_while(&w->awake, 0, pool->cfg.idle_ms);
    pthread_mutex_lock(&pool->mu);
    if (cnc_link_alone(&w->asleep)) { /* picked, even if its time was over just then */
        while (!atomic_load(&w->awake))
            (void)cnc_sys_sleep_while(&w->awake, 0, 1);
        pool->waking = false;
        return true;
    }
    cnc_link_remove(&w->asleep);
    pool->idle--;
    return false;
}

/* mu held, released meanwhile. What the thread has for itself goes while it still counts: with threads_max there are never
 * more of a kind than threads_max. */
static void free_locals_locked(struct cnc_pool *pool, struct worker *w)
{
    if (!w->home->locals)
        return;
    pthread_mutex_unlock(&pool->mu);
    cnc_home_free_locals(w->home);
    pthread_mutex_lock(&pool->mu);
}

/* mu held. NULL: this thread ends, and no longer counts: the queue was seen empty under this lock. */
static struct cnc_job *next_job_locked(struct cnc_pool *pool, struct worker *w)
{
    bool stays = true;
    while (cnc_link_alone(&pool->queue) && !pool->stopping && stays)
        stays = sleep_locked(pool, w);
    if (cnc_link_alone(&pool->queue))
        free_locals_locked(pool, w);
    struct cnc_job *job = NULL;
    if (!cnc_link_alone(&pool->queue)) {
        job = CNC_CONTAINER(pool->queue.next, struct cnc_job, link);
        cnc_link_remove(&job->link);
        pool->queued--;
    } else {
        pool->threads--;
        pool->ending++;
    }
    note_waiting(pool);
    return job;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct cnc_pool *pool = w->pool;
    struct cnc_job *job;
    cnc_home_adopt(w->home);
    pthread_mutex_lock(&pool->mu);
    pool->starting--;
    while ((job = next_job_locked(pool, w)) != NULL) {
        struct worker *next = pick_locked(pool);
        pthread_mutex_unlock(&pool->mu);
        wake(next);
        job->run(job, w->home);
        pthread_mutex_lock(&pool->mu);
    }
    cnc_link_remove(&w->link); /* no more broadcasts to a home that closes */
    pool->served += atomic_load_explicit(&w->home->served, memory_order_relaxed);
    pthread_mutex_unlock(&pool->mu);
    cnc_home_close(&w->home);
    pthread_mutex_lock(&pool->mu);
    cnc_link_append(&pool->dead, &w->link);
    pool->ending--;
    pthread_cond_signal(&pool->gone);
    pthread_mutex_unlock(&pool->mu);
    return NULL;
}

/* mu held; released while joining. The dead have left their last critical section, or are about to. */
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

/* mu held. Signals stay with the host's threads. */
static int spawn_locked(struct cnc_pool *pool)
{
    struct worker *w = cnc_calloc(1, sizeof *w);
    if (!w)
        return CONCUR_E_NOMEM;
    w->pool = pool;
    cnc_link_init(&w->link);
    cnc_link_init(&w->asleep);
    int rc = cnc_home_create(&w->home, pool->cfg.clock, pool->cfg.fields_max, true);
    if (rc < 0) {
        cnc_free(w);
        return rc;
    }
    w->home->owner = pool->cfg.owner;
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, pool->cfg.stack_size);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int err = cnc_sys_thread(&w->thread, &attr, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (err) {
        cnc_home_close(&w->home);
        cnc_free(w);
        return cnc_error_set(CONCUR_E_SYS, "cannot start a thread: %s", strerror(err));
    }
    cnc_link_append(&pool->live, &w->link);
    pool->threads++;
    pool->starting++;
    return CONCUR_OK;
}

/* mu held. More jobs than threads that are free or may be started, and than may wait? */
static bool is_full_locked(const struct cnc_pool *pool)
{
    unsigned takers = pool->idle + pool->starting + (pool->cfg.threads_max - pool->threads);
    return pool->queued + pool->reserved >= pool->cfg.queue_max + takers;
}

/* mu held. Queues the job; *next is to be woken. */
static int enqueue_locked(struct cnc_pool *pool, struct cnc_job *job, struct worker **next)
{
    if (pool->stopping)
        return CONCUR_E_STOPPING;
    if (pool->queued >= pool->idle + pool->starting && pool->threads < pool->cfg.threads_max) {
        int rc = spawn_locked(pool);
        if (rc < 0 && pool->threads == 0)
            return rc;
    }
    cnc_link_append(&pool->queue, &job->link);
    pool->queued++;
    note_waiting(pool);
    struct worker *w = pick_locked(pool);
    if (w)
        *next = w;
    return CONCUR_OK;
}

int cnc_pool_submit(struct cnc_pool *pool, struct cnc_job *job)
{
    struct worker *next = NULL;
    pthread_mutex_lock(&pool->mu);
    join_dead_locked(pool);
    int rc = is_full_locked(pool) && !pool->stopping ? CONCUR_E_FULL : enqueue_locked(pool, job, &next);
    pthread_mutex_unlock(&pool->mu);
    wake(next);
    return rc;
}

void cnc_pool_submit_all(struct cnc_pool *pool, struct cnc_link *jobs)
{
    struct worker *next = NULL;
    pthread_mutex_lock(&pool->mu);
    join_dead_locked(pool);
    while (!cnc_link_alone(jobs) && !is_full_locked(pool)) {
        struct cnc_link *l = cnc_link_take_first(jobs);
        if (enqueue_locked(pool, CNC_CONTAINER(l, struct cnc_job, link), &next) == CONCUR_OK)
            continue;
        cnc_link_append(jobs, l);
        break;
    }
    pthread_mutex_unlock(&pool->mu);
    wake(next);
}

int cnc_pool_reserve(struct cnc_pool *pool)
{
    pthread_mutex_lock(&pool->mu);
    int rc = pool->stopping ? CONCUR_E_STOPPING : is_full_locked(pool) ? CONCUR_E_FULL : CONCUR_OK;
    if (rc == CONCUR_OK)
        pool->reserved++;
    pthread_mutex_unlock(&pool->mu);
    return rc;
}

int cnc_pool_submit_reserved(struct cnc_pool *pool, struct cnc_job *job)
{
    struct worker *next = NULL;
    pthread_mutex_lock(&pool->mu);
    join_dead_locked(pool);
    pool->reserved--;
    int rc = job ? enqueue_locked(pool, job, &next) : CONCUR_OK;
    pthread_mutex_unlock(&pool->mu);
    wake(next);
    return rc;
}

void cnc_pool_submit_all_reserved(struct cnc_pool *pool, struct cnc_link *jobs)
{
    struct worker *next = NULL;
    struct cnc_link left;
    cnc_link_init(&left);
    pthread_mutex_lock(&pool->mu);
    join_dead_locked(pool);
    while (!cnc_link_alone(jobs)) {
        struct cnc_link *l = cnc_link_take_first(jobs);
        pool->reserved--;
        if (enqueue_locked(pool, CNC_CONTAINER(l, struct cnc_job, link), &next) != CONCUR_OK)
            cnc_link_append(&left, l);
    }
    pthread_mutex_unlock(&pool->mu);
    cnc_link_move_all(jobs, &left);
    wake(next);
}

bool cnc_pool_cancel(struct cnc_pool *pool, struct cnc_job *job)
{
    pthread_mutex_lock(&pool->mu);
    bool queued = !cnc_link_alone(&job->link);
    if (queued) {
        cnc_link_remove(&job->link);
        pool->queued--;
        note_waiting(pool);
    }
    pthread_mutex_unlock(&pool->mu);
    return queued;
}

struct call {
    struct cnc_task task;
    struct cnc_home *home;
    void (*fn)(struct cnc_home *, int);
    int arg;
};

static void run_call(struct cnc_task *task)
{
    struct call *call = CNC_CONTAINER(task, struct call, task);
    call->fn(call->home, call->arg);
    cnc_free(call);
}

void cnc_pool_broadcast(struct cnc_pool *pool, void (*fn)(struct cnc_home *, int), int arg)
{
    pthread_mutex_lock(&pool->mu);
    for (struct cnc_link *l = pool->live.next; l != &pool->live; l = l->next) {
        struct worker *w = CNC_CONTAINER(l, struct worker, link);
        struct call *call = cnc_malloc(sizeof *call);
        if (!call)
            continue;
        *call = (struct call){ .task.run = run_call, .home = w->home, .fn = fn, .arg = arg };
        if (cnc_home_post(w->home, &call->task) < 0)
            cnc_free(call);
    }
    pthread_mutex_unlock(&pool->mu);
}

bool cnc_pool_is_wanted(struct cnc_pool *pool)
{
    return atomic_load_explicit(&pool->waiting, memory_order_relaxed) > 0;
}

void cnc_pool_stats(struct cnc_pool *pool, struct cnc_pool_stats *out)
{
    pthread_mutex_lock(&pool->mu);
    *out = (struct cnc_pool_stats){ .threads = pool->threads, .idle = pool->idle, .queued = pool->queued,
                                    .served = pool->served };
    for (struct cnc_link *l = pool->live.next; l != &pool->live; l = l->next)
        out->served += atomic_load_explicit(&CNC_CONTAINER(l, struct worker, link)->home->served, memory_order_relaxed);
    pthread_mutex_unlock(&pool->mu);
}

int cnc_pool_stop(struct cnc_pool *pool, int64_t wait_ms)
{
    struct timespec until = cnc_sys_in_ms(wait_ms < 0 ? 0 : wait_ms);
    int rc = 0;
    pthread_mutex_lock(&pool->mu);
    pool->stopping = true;
    while (!cnc_link_alone(&pool->idlers)) {
        struct worker *w = CNC_CONTAINER(pool->idlers.next, struct worker, asleep);
        cnc_link_remove(&w->asleep);
        pool->idle--;
        wake(w);
    }
    while (pool->threads + pool->ending > 0 && rc != ETIMEDOUT)
        rc = wait_ms < 0 ? pthread_cond_wait(&pool->gone, &pool->mu)
                         : pthread_cond_timedwait(&pool->gone, &pool->mu, &until);
    join_dead_locked(pool);
    bool busy = pool->threads + pool->ending > 0;
    pthread_mutex_unlock(&pool->mu);
    return busy ? CONCUR_E_BUSY : CONCUR_OK;
}

void cnc_pool_destroy(struct cnc_pool **pool_)
{
    struct cnc_pool *pool = *pool_;
    if (!pool)
        return;
    CNC_ASSERT(pool->threads == 0 && pool->queued == 0);
    pthread_cond_destroy(&pool->gone);
    pthread_mutex_destroy(&pool->mu);
    cnc_free(pool);
    *pool_ = NULL;
}
