/* SPDX-License-Identifier: MIT
 *
 * Tickets in many threads' hands: what is posted runs exactly once and in order, after the client left too, and a stop
 * loses nothing that was taken.
 */
#include "live.h"

#define THREADS 8
#define REQUESTS 64

static int engines[8];
static uint64_t seed;

/* One ticket: the threads that hold it post numbers, the request's home checks them. */
struct desk {
    _Atomic(concur_ticket *) ticket;
    atomic_uint holders;    /* threads that have not let go */
    unsigned last[THREADS]; /* at home: the number each thread posted last */
    unsigned runs;          /* at home */
    bool is_running;        /* at home */
    bool broken;            /* at home */
    atomic_uint ended;
};

struct post {
    struct desk *desk;
    unsigned thread, number;
};

static struct desk desks[REQUESTS];
static struct live_latch ready = LIVE_LATCH, over = LIVE_LATCH;
static unsigned per_thread; /* posts of a thread at a desk */

static int on_end(concur_request *r, int rc, void *arg)
{
    struct desk *d = arg;
    (void)r, (void)rc;
    atomic_fetch_add(&d->ended, 1);
    live_latch_add(&over);
    return 0;
}

static int on_post(concur_request *r, void *arg)
{
    struct post *p = arg;
    struct desk *d = p->desk;
    (void)r;
    d->broken = d->broken || d->is_running || p->number != d->last[p->thread] + 1 || atomic_load(&d->ended);
    d->is_running = true;
    d->last[p->thread] = p->number;
    d->runs++;
    d->is_running = false;
    return CONCUR_OK;
}

static int on_last(concur_request *r, void *arg)
{
    struct desk *d = arg;
    bool whole = !d->broken && d->runs == THREADS * per_thread;
    for (unsigned i = 0; i < THREADS; i++)
        whole = whole && d->last[i] == per_thread;
    return concur_reply_text(r, 200, whole ? "whole" : "broken");
}

static int take(concur_request *r, void *arg)
{
    unsigned i = (unsigned)strtoul(concur_request_get(r, CONCUR_IN_PARAM, "i"), NULL, 10);
    struct desk *d = &desks[i];
    (void)arg;
    int rc = concur_request_on_end(r, on_end, d);
    concur_ticket *t = rc < 0 ? NULL : concur_request_defer(r);
    if (!t)
        return 500;
    atomic_store(&d->ticket, t);
    live_latch_add(&ready);
    return CONCUR_OK;
}

static void reset(unsigned holders)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        desks[i] = (struct desk){ .holders = 0 };
        atomic_store(&desks[i].holders, holders);
    }
}

static struct live open_desks(int engine, struct live_peer *peers, unsigned n, unsigned flags)
{
    char request[64];
    struct live l = live_new(engine);
    live_set(&l, "threads_max", "128");
    live_set(&l, "request_memory", "16k");
    if (flags) /* each holds a thread of the pool */
        live_set(&l, "pool_threads", "32");
    live_route(&l, "/take/{i}", flags, take, NULL);
    live_start(&l);
    for (unsigned i = 0; i < n; i++) {
        peers[i] = live_connect(&l);
        snprintf(request, sizeof request, "GET /take/%u HTTP/1.1\r\nHost: t\r\n\r\n", i);
        ck_assert(live_send(&peers[i], request));
    }
    ck_assert(live_latch_wait(&ready, n));
    return l;
}

/* ---- a million posts ---- */

static struct post *posts; /* [desk][thread][number] */

static void *post_all(void *arg)
{
    unsigned thread = (unsigned)(uintptr_t)arg;
    for (unsigned number = 1; number <= per_thread; number++) {
        for (unsigned i = 0; i < REQUESTS; i++) {
            struct post *p = &posts[(i * THREADS + thread) * per_thread + number - 1];
            *p = (struct post){ &desks[i], thread, number };
            ck_assert_int_eq(concur_ticket_post(atomic_load(&desks[i].ticket), on_post, p), CONCUR_OK);
        }
    }
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (atomic_fetch_sub(&desks[i].holders, 1) != 1)
            continue;
        concur_ticket *t = atomic_load(&desks[i].ticket);
        ck_assert_int_eq(concur_ticket_post(t, on_last, &desks[i]), CONCUR_OK);
        concur_ticket_release(t);
    }
    return NULL;
}

START_TEST(a_million_posts)
{
    pthread_t threads[THREADS];
    struct live_peer peers[REQUESTS];
    struct live_answer a;
    per_thread = (LIVE_SANITIZED ? 100000 : 1000000) / (THREADS * REQUESTS) + 1;
    posts = malloc(sizeof *posts * REQUESTS * THREADS * per_thread);
    ck_assert_ptr_nonnull(posts);
    reset(THREADS);
    struct live l = open_desks(engines[_i], peers, REQUESTS, 0);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_all, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < REQUESTS; i++) {
        ck_assert(live_receive(&peers[i], &a, false));
        ck_assert_int_eq(a.status, 200);
        ck_assert_str_eq(a.body, "whole");
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert(live_latch_wait(&over, REQUESTS));
    for (unsigned i = 0; i < REQUESTS; i++) {
        ck_assert_uint_eq(atomic_load(&desks[i].ended), 1);
        live_close(&peers[i]);
    }
    live_end(&l, 1000);
    free(posts);
}
END_TEST

/* ---- without a client ---- */

static int on_late(concur_request *r, void *arg)
{
    int rc = concur_reply_text(r, 200, "nobody reads this");
    *(int *)arg = rc ? rc : concur_request_gone(r);
    live_latch_add(&ready);
    return rc;
}

static int on_cancel(concur_request *r, int rc, void *arg)
{
    (void)r;
    atomic_store((atomic_int *)arg, rc);
    live_latch_add(&ready);
    return 0;
}

static atomic_int cancelled;

static int take_and_watch(concur_request *r, void *arg)
{
    int rc = concur_request_on_cancel(r, on_cancel, &cancelled);
    return rc < 0 ? rc : take(r, arg);
}

START_TEST(a_post_after_the_client_left)
{
    int rcs[3] = { 0 };
    reset(1);
    struct live l = live_new(engines[_i]);
    live_route(&l, "/take/{i}", _i % 2 ? 0 : CONCUR_ROUTE_BLOCKING, take_and_watch, NULL);
    live_start(&l);
    struct live_peer p = live_connect(&l);
    ck_assert(live_send(&p, "GET /take/0 HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_latch_wait(&ready, 1));
    concur_ticket *t = atomic_load(&desks[0].ticket);
    ck_assert_int_eq(concur_ticket_cancelled(t), 0);
    live_reset(&p);
    ck_assert(live_latch_wait(&ready, 2)); /* on_cancel */
    ck_assert_int_eq(atomic_load(&cancelled), CONCUR_E_GONE);
    ck_assert_int_eq(concur_ticket_cancelled(t), CONCUR_E_GONE);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(concur_ticket_post(t, on_late, &rcs[i]), CONCUR_OK);
    ck_assert_int_eq(concur_ticket_post(t, NULL, NULL), CONCUR_E_INVAL);
    concur_ticket_release(t);
    ck_assert(live_latch_wait(&ready, 5));
    ck_assert(live_latch_wait(&over, 1));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(rcs[i], CONCUR_E_GONE);
    live_end(&l, 1000);
}
END_TEST

START_TEST(a_ticket_released_in_silence_is_500)
{
    struct live_answer a;
    struct live_peer p;
    reset(1);
    struct live l = open_desks(engines[_i], &p, 1, 0);
    concur_ticket_release(atomic_load(&desks[0].ticket));
    ck_assert(live_receive(&p, &a, false));
    ck_assert_int_eq(a.status, 500);
    live_close(&p);
    live_end(&l, 1000);
}
END_TEST

/* ---- posts against a stop ---- */

struct poster {
    pthread_t thread;
    struct live_random random;
    unsigned from, to; /* desks whose tickets it holds */
    atomic_uint *taken;
};

static atomic_uint ran;

static int on_count(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    atomic_fetch_add(&ran, 1);
    return CONCUR_OK;
}

/* Posts until it is tired, and releases; whatever the server is doing. */
static void *post_some(void *arg)
{
    struct poster *p = arg;
    for (unsigned i = p->from; i < p->to; i++) {
        concur_ticket *t = atomic_load(&desks[i].ticket);
        for (unsigned n = live_below(&p->random, 400); n > 0; n--) {
            int rc = concur_ticket_post(t, on_count, NULL);
            ck_assert_int_eq(rc, CONCUR_OK); /* the request, and so its home, waits for the ticket */
            atomic_fetch_add(p->taken, 1);
        }
        concur_ticket_release(t);
    }
    return NULL;
}

START_TEST(posts_against_a_stop)
{
    unsigned rounds = LIVE_SANITIZED ? 5 : 25, per = 4;
    for (unsigned round = 0; round < rounds; round++) {
        struct live_random random = live_random_of(seed, (uint64_t)_i * 1000 + round);
        struct poster posters[4];
        struct live_peer peers[16];
        atomic_uint taken = 0;
        ready.count = over.count = 0;
        atomic_store(&ran, 0);
        reset(1);
        struct live l = open_desks(engines[_i], peers, 4 * per, live_below(&random, 2) ? CONCUR_ROUTE_BLOCKING : 0);
        for (unsigned i = 0; i < 4; i++) {
            posters[i] = (struct poster){ .random = live_random_of(seed, round * 4 + i + 5000000), .from = i * per,
                                          .to = (i + 1) * per, .taken = &taken };
            ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, post_some, &posters[i]), 0);
        }
        while (atomic_load(&taken) < live_below(&random, 300))
            sched_yield();
        if (live_below(&random, 3) == 0)
            live_reset(&peers[live_below(&random, 16)]);
        ck_assert_int_eq(concur_server_stop(l.server, live_below(&random, 20)), CONCUR_OK);
        for (unsigned i = 0; i < 4; i++)
            pthread_join(posters[i].thread, NULL);
        int rc = CONCUR_E_BUSY;
        for (int i = 0; i < LIVE_PATIENCE_S && rc == CONCUR_E_BUSY; i++)
            rc = concur_server_wait(l.server);
        ck_assert_int_eq(rc, CONCUR_OK);
        concur_server_free(l.server);
        ck_assert_uint_eq(atomic_load(&ran), atomic_load(&taken));
        for (unsigned i = 0; i < 16; i++) {
            ck_assert_uint_eq(atomic_load(&desks[i].ended), 1);
            live_close(&peers[i]);
        }
    }
}
END_TEST

int main(void)
{
    seed = live_seed();
    int n = (int)live_engines(engines);
    if (n == 0)
        return EXIT_FAILURE;
    Suite *s = suite_create("api_tickets");
    TCase *t = tcase_create("tickets");
    tcase_set_timeout(t, 100);
    tcase_add_loop_test(t, a_million_posts, 0, n);
    tcase_add_loop_test(t, a_post_after_the_client_left, 0, n);
    tcase_add_loop_test(t, a_ticket_released_in_silence_is_500, 0, n);
    tcase_add_loop_test(t, posts_against_a_stop, 0, n);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
