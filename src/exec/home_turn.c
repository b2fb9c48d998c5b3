/* SPDX-License-Identifier: MIT
 *
 * Turns of a home: the loop, the timers that are due, the tasks. home.c has what those call that run here.
 */
#include "exec/home.h"

#define LONG_WAIT_MS 60000 /* longest sleep of a home without a loop */

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
