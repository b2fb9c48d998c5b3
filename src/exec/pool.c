/* SPDX-License-Identifier: MIT */
#include "exec/pool_internal.h"

static void lane_init(struct cnc_pool_lane *lane, unsigned threads_max, unsigned queue_max)
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

unsigned cnc_pool_free(const struct cnc_pool *pool)
{
    unsigned jobs = atomic_load(&pool->user.jobs);
    return jobs < pool->user.threads_max ? pool->user.threads_max - jobs : 0;
}

static void run_call(struct cnc_task *task)
{
    struct cnc_pool_call *call = CNC_CONTAINER(task, struct cnc_pool_call, task);
    struct cnc_pool *pool = call->thread->pool;
    pthread_mutex_lock(&pool->mu);
    struct cnc_pool_call copy = *call; /* once fn is NULL the struct may be used for another call */
    call->fn = NULL;
    pthread_mutex_unlock(&pool->mu);
    copy.fn(copy.home, copy.arg);
}

/* mu held. A call of fn that is already pending stands for this one. */
static void call_locked(struct cnc_pool_thread *t, void (*fn)(struct cnc_home *, int), int arg)
{
    struct cnc_pool_call *call = &t->calls[0];
    while (call->fn && call->fn != fn && call < &t->calls[CNC_POOL_CALLS_MAX - 1])
        call++;
    CNC_ASSERT(!call->fn || call->fn == fn);
    if (call->fn)
        return;
    *call = (struct cnc_pool_call){ .task.run = run_call, .thread = t, .home = t->home, .fn = fn, .arg = arg };
    if (cnc_home_post(t->home, &call->task) < 0)
        call->fn = NULL;
}

void cnc_pool_broadcast(struct cnc_pool *pool, void (*fn)(struct cnc_home *, int), int arg)
{
    pthread_mutex_lock(&pool->mu);
    for (struct cnc_link *l = pool->live.next; l != &pool->live; l = l->next)
        call_locked(CNC_CONTAINER(l, struct cnc_pool_thread, link), fn, arg);
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
        out->served += pool->cfg.homes->served(CNC_CONTAINER(l, struct cnc_pool_thread, link)->home);
    pthread_mutex_unlock(&pool->mu);
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
    cnc_pool_wake_all_locked(&pool->user);
    cnc_pool_wake_all_locked(&pool->library);
    while (has_threads_locked(pool) && rc != ETIMEDOUT)
        rc = wait_ms < 0 ? pthread_cond_wait(&pool->gone, &pool->mu)
                         : pthread_cond_timedwait(&pool->gone, &pool->mu, &until);
    cnc_pool_join_dead_locked(pool);
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
