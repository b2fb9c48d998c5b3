/* SPDX-License-Identifier: MIT
 *
 * What handlers share (counters, memory with a lock, topics), and values that each thread has for itself.
 */
#include <concur/shared.h>

#include "api/api.h"
#include "base/error.h"
#include "base/sys.h"

/* May something be added to the server? If not, sets the thread's last error. */
static bool may_add(concur_server *s, const char *what)
{
    if (!s)
        (void)cnc_error_set(CONCUR_E_INVAL, "%s: no server", what);
    else if (!cnc_api_is_set_up(s))
        (void)cnc_error_set(CONCUR_E_STATE, "%s: the server has been run or started", what);
    else
        return true;
    return false;
}

/* ---- counters ---- */

concur_counter *concur_server_counter(concur_server *s, const char *name, const char *help)
{
    concur_counter *counter = NULL;
    if (!may_add(s, "counter"))
        return NULL;
    int rc = cnc_shares_counter(&s->shares, name, help, &counter);
    if (rc < 0)
        (void)cnc_server_note(s, rc, "%s", cnc_error_text());
    return counter;
}

int64_t concur_counter_add(concur_counter *counter, int64_t n)
{
    if (!counter)
        return 0;
    uint64_t before = (uint64_t)atomic_fetch_add_explicit(&counter->value, n, memory_order_relaxed);
    return (int64_t)(before + (uint64_t)n); /* wraps, as the counter does */
}

int64_t concur_counter_get(const concur_counter *counter)
{
    return counter ? atomic_load_explicit(&counter->value, memory_order_relaxed) : 0;
}

/* ---- memory ---- */

concur_shared *concur_server_shared(concur_server *s, const char *name, size_t size)
{
    concur_shared *shared = NULL;
    if (!may_add(s, "shared memory"))
        return NULL;
    int rc = cnc_shares_region(&s->shares, name, size, &shared);
    if (rc < 0)
        (void)cnc_server_note(s, rc, "%s", cnc_error_text());
    return shared;
}

void *concur_shared_lock(concur_shared *shared, int *owner_died)
{
    if (owner_died)
        *owner_died = 0;
    if (!shared) {
        (void)cnc_error_set(CONCUR_E_INVAL, "no shared memory");
        return NULL;
    }
    pthread_mutex_t *mu = &shared->region->mu;
    int err = pthread_mutex_lock(mu);
    if (err == EOWNERDEAD) {
        /* At once: if this holder dies, too, the next one must get EOWNERDEAD again. If it were unlocked without this call, the
         * mutex would refuse everybody for ever. */
        err = pthread_mutex_consistent(mu);
        if (owner_died)
            *owner_died = 1;
    }
    if (!err)
        return shared->region->data;
    (void)cnc_error_set(CONCUR_E_STATE, "shared memory \"%s\": %s", shared->name,
                        err == EDEADLK ? "this thread has the lock already" : strerror(err));
    return NULL;
}

void concur_shared_unlock(concur_shared *shared)
{
    if (shared)
        (void)pthread_mutex_unlock(&shared->region->mu);
}

void *concur_shared_get(concur_shared *shared)
{
    return shared ? shared->region->data : NULL;
}

/* ---- topics; publishing is in server/topics.c, waiting in request/topic_waits.c ---- */

concur_topic *concur_server_topic(concur_server *s, const char *name)
{
    concur_topic *topic = NULL;
    if (!may_add(s, "topic"))
        return NULL;
    int rc = cnc_topics_add(s, name, &topic);
    if (rc < 0)
        (void)cnc_server_note(s, rc, "%s", cnc_error_text());
    return topic;
}

/* ---- values of each thread; concur_local_get() is in server/local.c ---- */

concur_local *concur_server_local(concur_server *s, concur_make_fn make, concur_free_fn free, void *arg)
{
    concur_local *local = NULL;
    if (!may_add(s, "local"))
        return NULL;
    int rc = make ? cnc_locals_add(s, make, free, arg, &local)
                  : cnc_error_set(CONCUR_E_INVAL, "local: no make function");
    if (rc < 0)
        (void)cnc_server_note(s, rc, "%s", cnc_error_text());
    return local;
}
