/* SPDX-License-Identifier: MIT */
#include "exec/home.h"

static _Thread_local struct cnc_home *at_home; /* the home that the calling thread has adopted */

static void tasks_push(struct cnc_tasks *q, struct cnc_task *t)
{
    t->next = NULL;
    if (q->last)
        q->last->next = t;
    else
        q->head = t;
    q->last = t;
}

int cnc_home_create(struct cnc_home **out, const struct cnc_clock *clock, size_t size, bool blocking)
{
    struct cnc_home *home = cnc_calloc(1, size);
    if (!home)
        return CONCUR_E_NOMEM;
    home->thread = cnc_sys_thread_self();
    home->clock = clock;
    home->blocking = blocking;
    atomic_init(&home->refs, 1);
    atomic_init(&home->mail, 0);
    cnc_link_init(&home->away);
    pthread_mutex_init(&home->mu, NULL);
    int rc = blocking ? CONCUR_OK : cnc_home_need_loop(home);
    if (rc < 0) {
        cnc_home_close(&home);
        return rc;
    }
    *out = home;
    return CONCUR_OK;
}

/* A thread may run one server within a callback of another one. It leaves the inner home before the outer one. */
void cnc_home_adopt(struct cnc_home *home)
{
    home->thread = cnc_sys_thread_self();
    if (at_home != home)
        home->outer = at_home;
    at_home = home;
}

struct cnc_home *cnc_home_here(void)
{
    return at_home;
}

void cnc_home_free_locals(struct cnc_home *home)
{
    if (home->locals)
        home->locals_free(home->locals);
    home->locals = NULL;
}

void cnc_home_leave(struct cnc_home *home)
{
    cnc_home_free_locals(home);
    if (at_home == home)
        at_home = home->outer;
}

void cnc_home_close(struct cnc_home **home_)
{
    struct cnc_home *home = *home_;
    *home_ = NULL;
    if (!home)
        return;
    pthread_mutex_lock(&home->mu);
    home->closed = true;
    pthread_mutex_unlock(&home->mu);
    while (home->local.head || atomic_load(&home->mail))
        cnc_home_settle(home);
    cnc_home_leave(home);
    if (home->user_free)
        home->user_free(home->user);
    CNC_ASSERT(home->timers.count == 0);
    if (home->emptied)
        home->emptied(home);
    cnc_home_drop_loop(home);
    cnc_home_unref(home);
}

void cnc_home_ref(struct cnc_home *home)
{
    atomic_fetch_add(&home->refs, 1);
}

void cnc_home_unref(struct cnc_home *home)
{
    if (atomic_fetch_sub(&home->refs, 1) == 1) {
        pthread_mutex_destroy(&home->mu);
        cnc_free(home);
    }
}

int cnc_home_post(struct cnc_home *home, struct cnc_task *task)
{
    pthread_mutex_lock(&home->mu);
    bool closed = home->closed;
    if (!closed) {
        bool first = !home->inbox.head;
        tasks_push(&home->inbox, task);
        atomic_store(&home->mail, 1);
        /* Wake under the lock, since cnc_home_drop_loop() destroys the loop under it. */
        if (first && home->loop)
            cnc_loop_wake(home->loop);
        else if (first)
            cnc_sys_wake_one(&home->mail);
    }
    pthread_mutex_unlock(&home->mu);
    return closed ? CONCUR_E_STOPPING : CONCUR_OK;
}

void cnc_home_defer(struct cnc_home *home, struct cnc_task *task)
{
    CNC_ASSERT(cnc_home_is_mine(home));
    tasks_push(&home->local, task);
}

void cnc_home_timer(struct cnc_home *home, struct cnc_timer *t, int64_t at)
{
    cnc_timer_set(&home->timers, t, at);
    if (home->loop)
        cnc_tick_at(home->loop, &home->timers_tick, at);
}

void cnc_home_timer_cancel(struct cnc_home *home, struct cnc_timer *t)
{
    cnc_timer_cancel(&home->timers, t);
}
