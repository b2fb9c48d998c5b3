/* SPDX-License-Identifier: MIT */
#include "exec/home.h"

#include "base/error.h"

#define LONG_WAIT_MS 60000 /* at a time, where nothing says when to look again */

struct cnc_block {
    struct cnc_task home_coming; /* first: a block put elsewhere is posted to its origin; next doubles as the free list */
    struct cnc_home *origin;
    max_align_t data[];
};

static _Thread_local struct cnc_home *at_home; /* what the calling thread is at */

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

int cnc_home_create(struct cnc_home **out, const struct cnc_clock *clock, unsigned fields_max, bool blocking)
{
    struct cnc_home *home = cnc_calloc(1, sizeof *home);
    if (!home)
        return CONCUR_E_NOMEM;
    home->thread = cnc_sys_thread_self();
    home->clock = clock;
    home->blocking = blocking;
    home->date_at = INT64_MIN;
    atomic_init(&home->refs, 1);
    atomic_init(&home->mail, 0);
    cnc_link_init(&home->requests);
    cnc_link_init(&home->away);
    pthread_mutex_init(&home->mu, NULL);
    home->fields = cnc_calloc(fields_max, sizeof *home->fields);
    int rc = home->fields ? CONCUR_OK : CONCUR_E_NOMEM;
    if (rc == CONCUR_OK && !blocking)
        rc = cnc_home_need_loop(home);
    if (rc < 0) {
        cnc_home_close(&home);
        return rc;
    }
    *out = home;
    return CONCUR_OK;
}

/* One thread may serve within a callback of another server: the inner home goes before the outer one. */
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

static void free_blocks(struct cnc_home *home)
{
    while (home->blocks) {
        struct cnc_block *b = home->blocks;
        home->blocks = (struct cnc_block *)b->home_coming.next;
        cnc_free(b);
    }
    home->blocks_kept = 0;
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
    cnc_free(home->in);
    cnc_free(home->out);
    cnc_free(home->fields);
    home->in = home->out = NULL;
    home->fields = NULL;
    free_blocks(home);
    cnc_chunks_free(&home->chunks);
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

/* As many as are set now: one that sets itself for now must not keep anything else waiting. */
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

/* Large bodies have ended, or others come: then it looks again. */
static void on_home_chunks(struct cnc_tick *tick)
{
    struct cnc_home *home = CNC_CONTAINER(tick, struct cnc_home, chunks_tick);
    if (home->chunks.uses == home->chunks_used && cnc_depot_uses(home->depot) == home->depot_used) {
        cnc_chunks_free(&home->chunks);
        cnc_depot_rest(home->depot, home->depot_used);
        return;
    }
    home->chunks_used = home->chunks.uses;
    home->depot_used = cnc_depot_uses(home->depot);
    cnc_tick_at(home->loop, tick, cnc_loop_now(home->loop) + CNC_HOME_REST_MS);
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
    cnc_tick_init(loop, &home->chunks_tick, on_home_chunks);
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
        /* Woken under the lock: close destroys the loop under it. */
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

/* One pass over what is queued now: a task that queues another does not keep descriptors waiting. */
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

/* For posts and timers. */
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

/* Sets the error again: a task that has just run may have set another one. */
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

/* On a loop the turn's time tells when to look at the wall clock; a blocking thread has no turns, and that look is cheap. */
CNC_HOT struct cnc_slice cnc_home_date(struct cnc_home *home)
{
    int64_t now = home->blocking ? 0 : cnc_loop_now(home->loop);
    if (CNC_UNLIKELY(home->blocking || now >= home->date_at)) {
        int64_t s = cnc_clock_wall(home->clock);
        if (CNC_UNLIKELY(s != home->date_s || home->date_at == INT64_MIN))
            cnc_http_date(home->date, s);
        home->date_s = s;
        home->date_at = now + 250;
    }
    return (struct cnc_slice){ home->date, CNC_HTTP_DATE_LEN };
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

CNC_HOT int cnc_home_need_scratch(struct cnc_home *home)
{
    if (!home->in)
        home->in = cnc_malloc(CNC_HOME_SCRATCH);
    if (!home->out)
        home->out = cnc_malloc(CNC_HOME_SCRATCH);
    return home->in && home->out ? CONCUR_OK : CONCUR_E_NOMEM;
}

CNC_HOT size_t cnc_home_block_size(void)
{
    return CNC_HOME_BLOCK - sizeof(struct cnc_block);
}

CNC_HOT void *cnc_home_block_get(struct cnc_home *home)
{
    struct cnc_block *b = home->blocks;
    if (CNC_LIKELY(b != NULL)) {
        home->blocks = (struct cnc_block *)b->home_coming.next;
        home->blocks_kept--;
        return b->data;
    }
    b = cnc_malloc(CNC_HOME_BLOCK);
    if (!b)
        return NULL;
    b->origin = home;
    return b->data;
}

static void keep_block(struct cnc_home *home, struct cnc_block *b)
{
    if (home->blocks_kept >= CNC_HOME_BLOCKS_KEPT) {
        cnc_free(b);
        return;
    }
    b->home_coming.next = (struct cnc_task *)home->blocks;
    home->blocks = b;
    home->blocks_kept++;
}

static void on_home_coming(struct cnc_task *t)
{
    struct cnc_block *b = (struct cnc_block *)t;
    keep_block(b->origin, b);
}

CNC_HOT void cnc_home_block_put(struct cnc_home *here, void *block)
{
    struct cnc_block *b = CNC_CONTAINER(block, struct cnc_block, data);
    if (CNC_LIKELY(b->origin == here)) {
        keep_block(here, b);
        return;
    }
    b->home_coming.run = on_home_coming;
    if (cnc_home_post(b->origin, &b->home_coming) < 0)
        cnc_free(b);
}

/* A thread that blocks turns no loop, and is told by others when to rest. */
void cnc_home_chunk_put(struct cnc_home *home, void *chunk)
{
    cnc_chunk_put(&home->chunks, home->depot, chunk);
    if (!home->blocking && home->chunks_tick.at == INT64_MAX)
        cnc_tick_at(home->loop, &home->chunks_tick, cnc_loop_now(home->loop) + CNC_HOME_REST_MS);
}

void cnc_home_rest(struct cnc_home *home, unsigned depot_uses)
{
    cnc_chunks_free(&home->chunks);
    cnc_depot_rest(home->depot, depot_uses);
    free_blocks(home);
    cnc_free(home->in);
    cnc_free(home->out);
    home->in = home->out = NULL;
}
