/* SPDX-License-Identifier: MIT
 *
 * When jobs of a pool wait, are refused, or lack a thread: somebody is told, who looks again at times.
 */
#include "exec/pool_internal.h"

#define LOOK_SHORT_MS 100 /* until the next try to start a thread */
#define LOOK_MS 500       /* between two looks at jobs that wait */

/* mu held. */
static void mark_locked(struct cnc_pool *pool, int64_t now)
{
    pool->mark = pool->user.given;
    pool->mark_at = now;
}

bool cnc_pool_begin_watch_locked(struct cnc_pool *pool)
{
    if (pool->is_watched || pool->stopping || !pool->cfg.strained)
        return false;
    pool->is_watched = true;
    mark_locked(pool, cnc_clock_now(pool->cfg.clock));
    return true;
}

/* mu held. Starts the threads that jobs lack; stops at the first that cannot be started. */
static void mend_locked(struct cnc_pool *pool, struct cnc_pool_lane *lane)
{
    while (lane->is_short && atomic_load(&lane->jobs) > lane->threads && lane->threads < lane->threads_max)
        if (cnc_pool_spawn_locked(pool, lane) < 0)
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
    struct cnc_pool_lane *lane = &pool->user;
    int64_t now = cnc_clock_now(pool->cfg.clock);
    pthread_mutex_lock(&pool->mu);
    cnc_pool_join_dead_locked(pool);
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
