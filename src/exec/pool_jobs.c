/* SPDX-License-Identifier: MIT
 *
 * The jobs of a pool, except how they run: submitted, refused, reserved, cancelled, withdrawn, ended early.
 */
#include "exec/pool_internal.h"

/* mu held. Are there as many jobs as threads and queue together may have? Then it counts a refusal. */
static bool is_full_locked(struct cnc_pool *pool, const struct cnc_pool_lane *lane)
{
    bool is_full = atomic_load(&lane->jobs) + lane->reserved >= lane->queue_max + lane->threads_max;
    pool->refused += is_full && lane == &pool->user && !pool->stopping;
    return is_full;
}

/* mu held. Starts a thread for one more job, unless there is one without a job or there are threads_max. One whose job has just
 * ended will do, although it has not come back to the queue: else each job of a single client could start a thread. */
static int need_thread_locked(struct cnc_pool *pool, struct cnc_pool_lane *lane)
{
    if (atomic_load(&lane->jobs) < lane->threads || lane->threads == lane->threads_max)
        return CONCUR_OK;
    return cnc_pool_spawn_locked(pool, lane);
}

/* mu held. If *next is set, the caller wakes it after it has released mu. */
static void queue_locked(struct cnc_pool_lane *lane, struct cnc_job *job, struct cnc_pool_thread **next)
{
    cnc_link_append(&lane->queue, &job->link);
    lane->queued++;
    lane->given++;
    atomic_fetch_add(&lane->jobs, 1);
    cnc_pool_note_waiting_locked(lane);
    struct cnc_pool_thread *t = cnc_pool_pick_locked(lane);
    if (t)
        *next = t;
}

/* mu held. Queues the job if there is a thread for it, now or later; *next as in queue_locked(). */
static int enqueue_locked(struct cnc_pool *pool, struct cnc_pool_lane *lane, struct cnc_job *job, struct cnc_pool_thread **next)
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

/* mu held; releases it. Then wakes next, and calls strained() if that is needed. */
static void leave_locked(struct cnc_pool *pool, struct cnc_pool_thread *next)
{
    bool tells = CNC_UNLIKELY(cnc_pool_is_strained_locked(pool)) && cnc_pool_begin_watch_locked(pool);
    pthread_mutex_unlock(&pool->mu);
    cnc_pool_wake(next);
    if (tells)
        pool->cfg.strained(pool->cfg.strained_arg);
}

static int pool_submit(struct cnc_pool *pool, struct cnc_pool_lane *lane, struct cnc_job *job)
{
    struct cnc_pool_thread *next = NULL;
    pthread_mutex_lock(&pool->mu);
    cnc_pool_join_dead_locked(pool);
    int rc = is_full_locked(pool, lane) && !pool->stopping ? CONCUR_E_FULL : enqueue_locked(pool, lane, job, &next);
    leave_locked(pool, next);
    return rc;
}

static bool cancel(struct cnc_pool *pool, struct cnc_pool_lane *lane, struct cnc_job *job)
{
    pthread_mutex_lock(&pool->mu);
    bool queued = !cnc_link_alone(&job->link);
    if (queued) {
        cnc_link_remove(&job->link);
        lane->queued--;
        atomic_fetch_sub(&lane->jobs, 1);
        cnc_pool_note_waiting_locked(lane);
    }
    pthread_mutex_unlock(&pool->mu);
    return queued;
}

/* If the library's jobs have no threads of their own, they wait among those of users. */
static struct cnc_pool_lane *library_lane(struct cnc_pool *pool)
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
    struct cnc_pool_lane *lane = &pool->user;
    struct cnc_pool_thread *next = NULL;
    int rc = CONCUR_OK;
    pthread_mutex_lock(&pool->mu);
    cnc_pool_join_dead_locked(pool);
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
static int find_thread_locked(struct cnc_pool *pool, struct cnc_pool_lane *lane)
{
    if (pool->stopping)
        return CONCUR_E_STOPPING;
    if (atomic_load(&lane->jobs) + lane->reserved >= lane->threads_max)
        return CONCUR_E_FULL;
    return need_thread_locked(pool, lane);
}

int cnc_pool_submit_now(struct cnc_pool *pool, struct cnc_link *jobs)
{
    struct cnc_pool_lane *lane = &pool->user;
    struct cnc_pool_thread *next = NULL;
    int rc = CONCUR_OK;
    pthread_mutex_lock(&pool->mu);
    cnc_pool_join_dead_locked(pool);
    while (!cnc_link_alone(jobs) && (rc = find_thread_locked(pool, lane)) == CONCUR_OK)
        queue_locked(lane, CNC_CONTAINER(cnc_link_take_first(jobs), struct cnc_job, link), &next);
    leave_locked(pool, next);
    return rc;
}

void cnc_pool_withdraw(struct cnc_pool *pool, bool (*is_due)(struct cnc_job *, void *arg), void *arg, struct cnc_link *taken)
{
    struct cnc_pool_lane *lane = &pool->user;
    pthread_mutex_lock(&pool->mu);
    while (!cnc_link_alone(&lane->queue)) {
        if (!is_due(CNC_CONTAINER(lane->queue.next, struct cnc_job, link), arg))
            break;
        cnc_link_append(taken, cnc_link_take_first(&lane->queue));
        lane->queued--;
        atomic_fetch_sub(&lane->jobs, 1);
    }
    cnc_pool_note_waiting_locked(lane);
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
    struct cnc_pool_thread *next = NULL;
    pthread_mutex_lock(&pool->mu);
    cnc_pool_join_dead_locked(pool);
    pool->user.reserved--;
    int rc = job ? enqueue_locked(pool, &pool->user, job, &next) : CONCUR_OK;
    leave_locked(pool, next);
    return rc;
}

void cnc_pool_submit_all_reserved(struct cnc_pool *pool, struct cnc_link *jobs)
{
    struct cnc_pool_lane *lane = &pool->user;
    struct cnc_pool_thread *next = NULL;
    struct cnc_link left;
    cnc_link_init(&left);
    pthread_mutex_lock(&pool->mu);
    cnc_pool_join_dead_locked(pool);
    while (!cnc_link_alone(jobs)) {
        struct cnc_link *l = cnc_link_take_first(jobs);
        lane->reserved--;
        if (enqueue_locked(pool, lane, CNC_CONTAINER(l, struct cnc_job, link), &next) != CONCUR_OK)
            cnc_link_append(&left, l);
    }
    cnc_link_move_all(jobs, &left);
    leave_locked(pool, next);
}

bool cnc_pool_job_ends(struct cnc_pool *pool, struct cnc_home *here)
{
    struct cnc_pool_thread *t = here->pooled;
    bool ends = t && t->pool == pool && t->has_job;
    if (ends)
        cnc_pool_end_job(t);
    return ends;
}
