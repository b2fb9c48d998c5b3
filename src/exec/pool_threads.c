/* SPDX-License-Identifier: MIT
 *
 * The threads of a pool: their start, their sleep, the job that each takes, their end.
 */
#include <signal.h>

#include "base/error.h"
#include "exec/pool_internal.h"

/* True: this thread was woken. */
static bool sleep_for(struct cnc_pool_thread *t, int64_t ms)
{
    bool in_time = true;
    while (in_time && !atomic_load(&t->awake))
        in_time = cnc_sys_sleep_while(&t->awake, 0, ms);
    return in_time;
}

/* Sleeps until this thread is woken, at most for idle_ms. Calls rest() after rest_ms, if that is less. */
static void wait_for_job(const struct cnc_pool *pool, struct cnc_pool_thread *t)
{
    const struct cnc_pool_homes *homes = pool->cfg.homes;
    const int64_t idle_ms = pool->cfg.idle_ms;
    const int64_t first = idle_ms < homes->rest_ms ? idle_ms : homes->rest_ms;
    homes->idle(t->home);
    if (sleep_for(t, first) || first == idle_ms)
        return;
    homes->rest(t->home);
    (void)sleep_for(t, idle_ms - first);
}

/* mu held, released meanwhile. False: this thread was not woken for idle_ms, and is no longer in the list of idle ones. */
static bool sleep_locked(struct cnc_pool *pool, struct cnc_pool_thread *t)
{
    struct cnc_pool_lane *lane = t->lane;
    atomic_store(&t->awake, 0);
    t->asleep.prev = &lane->idlers; /* first in the list */
    t->asleep.next = lane->idlers.next;
    lane->idlers.next->prev = &t->asleep;
    lane->idlers.next = &t->asleep;
    lane->idle++;
    cnc_pool_note_waiting_locked(lane);
    pthread_mutex_unlock(&pool->mu);
    wait_for_job(pool, t);
    pthread_mutex_lock(&pool->mu);
    if (cnc_link_alone(&t->asleep)) { /* it was picked; if its time ran out just then, it is not awake yet */
        while (!atomic_load(&t->awake))
            (void)cnc_sys_sleep_while(&t->awake, 0, 1);
        lane->waking = false;
        return true;
    }
    cnc_link_remove(&t->asleep);
    lane->idle--;
    return false;
}

/* mu held, released meanwhile. Frees the program's values of this thread while the thread still counts, so that at most
 * threads_max threads have values. That may take long, so it is a job. */
static void free_locals_locked(struct cnc_pool *pool, struct cnc_pool_thread *t)
{
    atomic_fetch_add(&t->lane->jobs, 1);
    pthread_mutex_unlock(&pool->mu);
    cnc_home_free_locals(t->home);
    atomic_fetch_sub(&t->lane->jobs, 1);
    pthread_mutex_lock(&pool->mu);
}

/* mu held, and released at times. NULL: this thread ends. It stops counting under the same lock under which it saw the queue
 * empty, so no job relies on it. */
static struct cnc_job *next_job_locked(struct cnc_pool *pool, struct cnc_pool_thread *t)
{
    struct cnc_pool_lane *lane = t->lane;
    bool stays = true;
    while (cnc_link_alone(&lane->queue)) {
        if (stays && !pool->stopping) {
            stays = sleep_locked(pool, t);
        } else if (t->home->locals) {
            free_locals_locked(pool, t);
        } else {
            lane->threads--;
            pool->ending++;
            cnc_pool_note_waiting_locked(lane);
            return NULL;
        }
    }
    struct cnc_job *job = CNC_CONTAINER(lane->queue.next, struct cnc_job, link);
    cnc_link_remove(&job->link);
    lane->queued--;
    t->has_job = true;
    cnc_pool_note_waiting_locked(lane);
    return job;
}

static void *pool_thread_main(void *arg)
{
    struct cnc_pool_thread *t = arg;
    struct cnc_pool *pool = t->pool;
    struct cnc_job *job;
    cnc_home_adopt(t->home);
    pthread_mutex_lock(&pool->mu);
    while ((job = next_job_locked(pool, t)) != NULL) {
        struct cnc_pool_thread *next = cnc_pool_pick_locked(t->lane);
        pthread_mutex_unlock(&pool->mu);
        cnc_pool_wake(next);
        job->run(job, t->home);
        cnc_pool_end_job(t);
        pthread_mutex_lock(&pool->mu);
    }
    cnc_link_remove(&t->link); /* no broadcast may reach a home that closes */
    pool->served += pool->cfg.homes->served(t->home);
    pthread_mutex_unlock(&pool->mu);
    struct cnc_home *home = t->home; /* a copy, since cnc_home_close() clears it; calls posted before still run in there */
    cnc_home_close(&home);
    pthread_mutex_lock(&pool->mu);
    cnc_link_append(&pool->dead, &t->link);
    pool->ending--;
    pthread_cond_signal(&pool->gone);
    pthread_mutex_unlock(&pool->mu);
    return NULL;
}

void cnc_pool_join_one_locked(struct cnc_pool *pool)
{
    struct cnc_pool_thread *t = CNC_CONTAINER(cnc_link_take_first(&pool->dead), struct cnc_pool_thread, link);
    pthread_mutex_unlock(&pool->mu);
    pthread_join(t->thread, NULL);
    cnc_free(t);
    pthread_mutex_lock(&pool->mu);
}

static int cannot_spawn_locked(struct cnc_pool_lane *lane, int rc, int err)
{
    lane->thread_error = err;
    return rc;
}

/* The thread starts with all signals blocked except those of faults, so that the host's threads get them. */
int cnc_pool_spawn_locked(struct cnc_pool *pool, struct cnc_pool_lane *lane)
{
    struct cnc_pool_thread *t = cnc_calloc(1, sizeof *t);
    if (!t)
        return cannot_spawn_locked(lane, CONCUR_E_NOMEM, ENOMEM);
    t->pool = pool;
    t->lane = lane;
    cnc_link_init(&t->link);
    cnc_link_init(&t->asleep);
    int rc = pool->cfg.homes->make(&t->home, &pool->cfg);
    if (rc < 0) {
        cnc_free(t);
        return cannot_spawn_locked(lane, rc, ENOMEM);
    }
    t->home->pooled = t;
    t->home->owner = lane == &pool->user ? pool->cfg.owner : NULL;
    pthread_attr_t attr;
    sigset_t old;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, pool->cfg.stack_size);
    cnc_sys_block_signals(&old);
    int err = cnc_sys_thread(&t->thread, &attr, pool_thread_main, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (err) {
        cnc_home_close(&t->home);
        cnc_free(t);
        char why[128];
        rc = cnc_error_set(CONCUR_E_SYS, "cannot start a thread: %s", cnc_sys_why_no_process(why, sizeof why, err));
        return cannot_spawn_locked(lane, rc, err);
    }
    cnc_link_append(&pool->live, &t->link);
    lane->threads++;
    return CONCUR_OK;
}

void cnc_pool_wake_all_locked(struct cnc_pool_lane *lane)
{
    while (!cnc_link_alone(&lane->idlers)) {
        struct cnc_pool_thread *t = CNC_CONTAINER(lane->idlers.next, struct cnc_pool_thread, asleep);
        cnc_link_remove(&t->asleep);
        lane->idle--;
        cnc_pool_wake(t);
    }
}
