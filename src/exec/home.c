/* SPDX-License-Identifier: MIT */
#include "exec/home.h"

#include "base/error.h"

#define LONG_WAIT_MS 60000 /* longest sleep of a home without a loop */

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

static struct cnc_task *tasks_pop(struct cnc_tasks *q)
{
    struct cnc_task *t = q->head;
    if (t) {
        q->head = t->next;
        if (!q->head)
            q->last = NULL;
    }
    return t;
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

/* Runs at most as many timers as are set now, since a timer that sets itself again for now must not keep the rest waiting. */
static void run_timers(struct cnc_home *home)
{
    struct cnc_timer *t;
    for (uint32_t n = home->timers.count; n > 0; n--) {
        t = cnc_timers_due(&home->timers, cnc_home_now(home));
        if (!t)
            break;
        t->fn(t);
    }
}

static void on_home_timers(struct cnc_tick *tick)
{
    struct cnc_home *home = CNC_CONTAINER(tick, struct cnc_home, timers_tick);
    run_timers(home);
    cnc_tick_at(home->loop, tick, cnc_timers_next(&home->timers));
}

int cnc_home_need_loop(struct cnc_home *home)
{
    if (home->loop)
        return CONCUR_OK;
    struct cnc_loop *loop = NULL;
    int rc = cnc_loop_create(&loop, home->clock);
    if (rc < 0)
        return rc;
    cnc_tick_init(loop, &home->timers_tick, on_home_timers);
    cnc_tick_at(loop, &home->timers_tick, cnc_timers_next(&home->timers));
    pthread_mutex_lock(&home->mu);
    home->loop = loop;
    pthread_mutex_unlock(&home->mu);
    return CONCUR_OK;
}

void cnc_home_drop_loop(struct cnc_home *home)
{
    pthread_mutex_lock(&home->mu); /* a poster may be about to wake it */
    cnc_loop_destroy(&home->loop);
    pthread_mutex_unlock(&home->mu);
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

static void take_mail(struct cnc_home *home)
{
    pthread_mutex_lock(&home->mu);
    struct cnc_tasks got = home->inbox;
    home->inbox = (struct cnc_tasks){ 0 };
    atomic_store(&home->mail, 0);
    pthread_mutex_unlock(&home->mu);
    if (!got.head)
        return;
    if (home->local.last)
        home->local.last->next = got.head;
    else
        home->local.head = got.head;
    home->local.last = got.last;
}

/* Runs only the tasks that are queued now: a task that queues another one must not keep descriptors waiting. */
CNC_HOT void cnc_home_settle(struct cnc_home *home)
{
    if (CNC_UNLIKELY(atomic_load_explicit(&home->mail, memory_order_acquire)))
        take_mail(home);
    struct cnc_task *last = home->local.last;
    while (last) {
        struct cnc_task *t = tasks_pop(&home->local);
        bool done = t == last;
        t->run(t);
        if (done)
            break;
    }
    if (CNC_UNLIKELY(!cnc_link_alone(&home->away)))
        home->send_away(home);
    if (home->after)
        home->after(home->after_arg);
}

/* Waits for a post or the next timer, then runs the timers that are due. */
static void wait_without_loop(struct cnc_home *home, int64_t max_wait_ms)
{
    int64_t next = cnc_timers_next(&home->timers), now = cnc_home_now(home);
    int64_t wait = next == INT64_MAX ? LONG_WAIT_MS : next > now ? next - now : 0;
    if (max_wait_ms >= 0 && max_wait_ms < wait)
        wait = max_wait_ms;
    if (wait > 0)
        (void)cnc_sys_sleep_while(&home->mail, 0, wait < LONG_WAIT_MS ? wait : LONG_WAIT_MS);
    run_timers(home);
}

/* Sets the loop's error again, since a task that has just run may have set another one. */
__attribute__((noinline)) static int home_say_broken(struct cnc_home *home)
{
    return cnc_loop_turn(home->loop, 0);
}

CNC_HOT int cnc_home_turn(struct cnc_home *home, int64_t max_wait_ms)
{
    bool busy = home->local.head || atomic_load_explicit(&home->mail, memory_order_acquire);
    int rc = CONCUR_OK;
    if (CNC_LIKELY(home->loop != NULL))
        rc = cnc_loop_turn(home->loop, busy ? 0 : max_wait_ms);
    else
        wait_without_loop(home, busy ? 0 : max_wait_ms);
    cnc_home_settle(home);
    return CNC_LIKELY(rc == CONCUR_OK) ? CONCUR_OK : home_say_broken(home);
}

CNC_HOT int64_t cnc_home_turn_began(const struct cnc_home *home)
{
    return cnc_loop_turn_began(home->loop);
}

CNC_HOT int64_t cnc_home_now(struct cnc_home *home)
{
    return home->blocking ? cnc_clock_now(home->clock) : cnc_loop_now(home->loop);
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
