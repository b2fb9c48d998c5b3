/* SPDX-License-Identifier: MIT
 *
 * How many threads of a pool are free, whoever asks when; and a pool that is strained: its jobs wait, are refused, or have no
 * thread since none can be started.
 */
#include <check.h>
#include <semaphore.h>
#include <stdlib.h>

#include "exec/pool.h"

enum { THREADS = 3, QUEUE = 2 };

static struct cnc_pool *pool;
static atomic_uint strained;
static pthread_barrier_t reached;
static sem_t go; /* each lets one job return */
static int64_t now_ms;

struct work {
    struct cnc_job job;
    bool holds;       /* meets the test twice */
    bool says_early;  /* before it meets it for the second time */
    atomic_uint runs;
};

static void run(struct cnc_job *job, struct cnc_home *here)
{
    struct work *w = CNC_CONTAINER(job, struct work, job);
    if (w->holds)
        pthread_barrier_wait(&reached);
    if (w->says_early) {
        ck_assert(cnc_pool_job_ends(pool, here));
        ck_assert(!cnc_pool_job_ends(pool, here));
    }
    if (w->says_early)
        pthread_barrier_wait(&reached);
    if (w->holds)
        (void)sem_wait(&go);
    atomic_fetch_add(&w->runs, 1);
}

static struct cnc_job *init(struct work *w, bool holds)
{
    *w = (struct work){ .job.run = run, .holds = holds };
    cnc_link_init(&w->job.link);
    return &w->job;
}

static void on_strained(void *arg)
{
    (void)arg;
    atomic_fetch_add(&strained, 1);
}

static int64_t clock_now(void *arg)
{
    (void)arg;
    return now_ms;
}

static const struct cnc_clock by_hand = { .now_ms = clock_now };

static void make_pool(int64_t idle_ms)
{
    struct cnc_pool_config cfg = { .clock = &by_hand, .threads_max = THREADS, .queue_max = QUEUE, .stack_size = 256 * 1024,
                                   .idle_ms = idle_ms, .strained = on_strained };
    ck_assert_int_eq(cnc_pool_create(&pool, &cfg), CONCUR_OK);
}

static void set_up(void)
{
    now_ms = 1000;
    pthread_barrier_init(&reached, NULL, 2);
    ck_assert_int_eq(sem_init(&go, 0, 0), 0);
    make_pool(10000);
}

static void tear_down(void)
{
    ck_assert_int_eq(cnc_pool_stop(pool, -1), CONCUR_OK);
    ck_assert_uint_eq(cnc_pool_free(pool), THREADS);
    cnc_pool_destroy(&pool);
    pthread_barrier_destroy(&reached);
    sem_destroy(&go);
}

static void hold(struct work *w)
{
    ck_assert_int_eq(cnc_pool_submit(pool, init(w, true)), CONCUR_OK);
    pthread_barrier_wait(&reached);
}

static void wait_free(unsigned n)
{
    while (cnc_pool_free(pool) != n)
        sched_yield();
}

static struct cnc_link *ring(struct cnc_link *jobs, struct work *works, unsigned n)
{
    cnc_link_init(jobs);
    for (unsigned i = 0; i < n; i++)
        cnc_link_append(jobs, &init(&works[i], false)->link);
    return jobs;
}

static unsigned count(const struct cnc_link *jobs)
{
    unsigned n = 0;
    for (const struct cnc_link *l = jobs->next; l != jobs; l = l->next)
        n++;
    return n;
}

/* ---- what is free ---- */

START_TEST(a_job_counts_until_its_thread_is_free)
{
    static struct work held[THREADS], waiting;
    for (unsigned i = 0; i < THREADS; i++) {
        hold(&held[i]);
        ck_assert_uint_eq(cnc_pool_free(pool), THREADS - 1 - i);
    }
    ck_assert_int_eq(cnc_pool_submit(pool, init(&waiting, false)), CONCUR_OK);
    ck_assert_uint_eq(cnc_pool_free(pool), 0);
    sem_post(&go); /* one ends, and the one that waits takes its place for a moment */
    wait_free(1);
    ck_assert_uint_eq(atomic_load(&waiting.runs), 1);
    sem_post(&go);
    sem_post(&go);
    wait_free(THREADS);
}
END_TEST

/* What a job says before it returns counts once. */
START_TEST(a_job_may_end_before_it_returns)
{
    static struct work w;
    init(&w, true);
    w.says_early = true;
    ck_assert_int_eq(cnc_pool_submit(pool, &w.job), CONCUR_OK);
    pthread_barrier_wait(&reached);
    pthread_barrier_wait(&reached);
    ck_assert_uint_eq(cnc_pool_free(pool), THREADS);
    sem_post(&go);
    while (!atomic_load(&w.runs))
        sched_yield();
    ck_assert_uint_eq(cnc_pool_free(pool), THREADS);
}
END_TEST

/* The same if it never runs: cancelled, or taken out. */
static bool any(struct cnc_job *job, void *arg)
{
    (void)job, (void)arg;
    return true;
}

START_TEST(a_job_that_never_runs_ends_too)
{
    static struct work held[THREADS], waiting[QUEUE];
    struct cnc_link taken;
    struct cnc_pool_stats stats;
    cnc_link_init(&taken);
    for (unsigned i = 0; i < THREADS; i++)
        hold(&held[i]);
    for (unsigned i = 0; i < QUEUE; i++)
        ck_assert_int_eq(cnc_pool_submit(pool, init(&waiting[i], false)), CONCUR_OK);
    ck_assert(cnc_pool_cancel(pool, &waiting[0].job));
    cnc_pool_withdraw(pool, any, NULL, &taken);
    ck_assert_uint_eq(count(&taken), QUEUE - 1);
    cnc_pool_stats(pool, &stats);
    ck_assert_uint_eq(stats.jobs, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        sem_post(&go);
    wait_free(THREADS);
}
END_TEST

/* ---- jobs that may not wait ---- */

START_TEST(only_as_many_as_threads_are_free)
{
    static struct work held, works[THREADS + 2];
    struct cnc_link jobs;
    hold(&held);
    ck_assert_int_eq(cnc_pool_submit_now(pool, ring(&jobs, works, THREADS + 2)), CONCUR_E_FULL);
    ck_assert_uint_eq(count(&jobs), 3); /* in order: the last ones */
    ck_assert_ptr_eq(jobs.next, &works[THREADS - 1].job.link);
    while (atomic_load(&works[0].runs) + atomic_load(&works[1].runs) < 2)
        sched_yield();
    sem_post(&go);
    wait_free(THREADS);
    ck_assert_int_eq(cnc_pool_submit_now(pool, &jobs), CONCUR_OK);
    ck_assert(cnc_link_alone(&jobs));
}
END_TEST

/* A thread that has said that it is as good as free is waited for, for the moment that it takes. */
START_TEST(a_thread_that_is_about_to_be_free_will_do)
{
    static struct work held[THREADS], w, one;
    struct cnc_link jobs;
    for (unsigned i = 1; i < THREADS; i++)
        hold(&held[i]);
    init(&w, true);
    w.says_early = true;
    ck_assert_int_eq(cnc_pool_submit(pool, &w.job), CONCUR_OK);
    pthread_barrier_wait(&reached);
    pthread_barrier_wait(&reached);
    ck_assert_int_eq(cnc_pool_submit_now(pool, ring(&jobs, &one, 1)), CONCUR_OK);
    ck_assert_uint_eq(cnc_pool_free(pool), 0);
    for (unsigned i = 0; i < THREADS; i++)
        sem_post(&go);
    wait_free(THREADS);
    ck_assert_uint_eq(atomic_load(&one.runs), 1);
}
END_TEST

static unsigned thread_count(void)
{
    struct cnc_pool_stats stats;
    cnc_pool_stats(pool, &stats);
    return stats.threads;
}

/* So jobs that come one after the other need one thread, however late it comes back. */
START_TEST(no_thread_is_started_beside_one_that_is_about_to_be_free)
{
    static struct work w, now, later;
    struct cnc_link jobs;
    init(&w, true);
    w.says_early = true;
    ck_assert_int_eq(cnc_pool_submit(pool, &w.job), CONCUR_OK);
    pthread_barrier_wait(&reached);
    pthread_barrier_wait(&reached);
    ck_assert_int_eq(cnc_pool_submit_now(pool, ring(&jobs, &now, 1)), CONCUR_OK);
    ck_assert_uint_eq(thread_count(), 1);
    ck_assert(!cnc_pool_is_wanted(pool));
    ck_assert_int_eq(cnc_pool_submit(pool, init(&later, false)), CONCUR_OK); /* there would be two for one thread */
    ck_assert_uint_eq(thread_count(), 2);
    sem_post(&go);
    wait_free(THREADS);
    ck_assert_uint_eq(atomic_load(&now.runs) + atomic_load(&later.runs), 2);
}
END_TEST

static void free_slowly(void *locals)
{
    (void)locals;
    pthread_barrier_wait(&reached);
    (void)sem_wait(&go);
}

static void make_locals(struct cnc_job *job, struct cnc_home *here)
{
    here->locals = job;
    here->locals_free = free_slowly;
}

/* A thread that ends has the program free its values, for as long as that takes: jobs do not wait for it. */
START_TEST(a_thread_that_frees_its_values_is_not_free)
{
    static struct work w, other;
    ck_assert_int_eq(cnc_pool_stop(pool, -1), CONCUR_OK);
    cnc_pool_destroy(&pool);
    make_pool(1);
    init(&w, false)->run = make_locals;
    ck_assert_int_eq(cnc_pool_submit(pool, &w.job), CONCUR_OK);
    pthread_barrier_wait(&reached);
    ck_assert_uint_eq(cnc_pool_free(pool), THREADS - 1);
    ck_assert_int_eq(cnc_pool_submit(pool, init(&other, false)), CONCUR_OK);
    while (!atomic_load(&other.runs))
        sched_yield();
    sem_post(&go);
    wait_free(THREADS);
}
END_TEST

#ifdef CNC_FAULTS
/* No thread can be started: what has none is given back, and a thread that is there takes what it can. */
START_TEST(without_a_thread_it_is_given_back)
{
    static struct work held, works[2];
    struct cnc_link jobs;
    struct cnc_pool_strain strain;
    cnc_fault_arm(CNC_FAULT_THREAD, 1, true);
    ck_assert_int_eq(cnc_pool_submit_now(pool, ring(&jobs, works, 1)), CONCUR_E_SYS);
    ck_assert_uint_eq(count(&jobs), 1);
    ck_assert_uint_eq(cnc_pool_free(pool), THREADS);
    cnc_fault_arm(CNC_FAULT_THREAD, 0, false);
    hold(&held);
    cnc_fault_arm(CNC_FAULT_THREAD, 1, true);
    ck_assert_int_eq(cnc_pool_submit_now(pool, &jobs), CONCUR_E_SYS);
    sem_post(&go);
    wait_free(THREADS);
    ck_assert_int_eq(cnc_pool_submit_now(pool, &jobs), CONCUR_OK);
    cnc_fault_arm(CNC_FAULT_THREAD, 0, false);
    (void)cnc_pool_look(pool, &strain);
    ck_assert_int_eq(strain.thread_error, EAGAIN);
    (void)cnc_pool_look(pool, &strain);
    ck_assert_int_eq(strain.thread_error, 0);
}
END_TEST

/* What waits for a thread that could not be started gets one as soon as it can be, though nobody brings another job. */
START_TEST(a_thread_is_tried_again)
{
    static struct work held, waiting;
    struct cnc_pool_strain strain;
    hold(&held);
    cnc_fault_arm(CNC_FAULT_THREAD, 1, true);
    ck_assert_int_eq(cnc_pool_submit(pool, init(&waiting, false)), CONCUR_OK);
    ck_assert_uint_eq(atomic_load(&strained), 1);
    ck_assert_int_eq(cnc_pool_look(pool, &strain), now_ms + 100);
    ck_assert_int_eq(strain.thread_error, EAGAIN);
    ck_assert_uint_eq(strain.waiting, 1);
    cnc_fault_arm(CNC_FAULT_THREAD, 0, false);
    (void)cnc_pool_look(pool, &strain);
    ck_assert_uint_eq(strain.threads, 2);
    while (!atomic_load(&waiting.runs))
        sched_yield();
    sem_post(&go);
}
END_TEST
#endif

/* ---- strain ---- */

START_TEST(who_waits_is_told_of_once_until_the_look)
{
    static struct work held[THREADS], waiting[QUEUE + 1];
    struct cnc_pool_strain strain;
    for (unsigned i = 0; i < THREADS; i++)
        hold(&held[i]);
    ck_assert_uint_eq(atomic_load(&strained), 0);
    ck_assert_int_eq(cnc_pool_submit(pool, init(&waiting[0], false)), CONCUR_OK);
    ck_assert_int_eq(cnc_pool_submit(pool, init(&waiting[1], false)), CONCUR_OK);
    ck_assert_int_eq(cnc_pool_submit(pool, init(&waiting[2], false)), CONCUR_E_FULL);
    ck_assert_uint_eq(atomic_load(&strained), 1);
    now_ms += 700;
    ck_assert_int_eq(cnc_pool_look(pool, &strain), now_ms + 500);
    ck_assert_uint_eq(strain.waiting, 2);
    ck_assert_uint_eq(strain.refused, 1);
    ck_assert_int_eq(strain.waited_ms, 700);
    now_ms += 500;
    (void)cnc_pool_look(pool, &strain);
    ck_assert_uint_eq(strain.refused, 0);
    ck_assert_int_eq(strain.waited_ms, 1200);
    for (unsigned i = 0; i < THREADS; i++)
        sem_post(&go);
    wait_free(THREADS);
    ck_assert_int_eq(cnc_pool_look(pool, &strain), INT64_MAX);
    ck_assert_uint_eq(atomic_load(&strained), 1);
}
END_TEST

/* A queue that flows is not one whose first has waited for long, though somebody always waits. */
START_TEST(a_queue_that_flows)
{
    static struct work held[THREADS], next[4];
    struct cnc_pool_strain strain;
    for (unsigned i = 0; i < THREADS; i++)
        hold(&held[i]);
    ck_assert_int_eq(cnc_pool_submit(pool, init(&next[0], true)), CONCUR_OK);
    for (unsigned i = 1; i < 4; i++) {
        ck_assert_int_eq(cnc_pool_submit(pool, init(&next[i], true)), CONCUR_OK);
        sem_post(&go);
        pthread_barrier_wait(&reached); /* the one that has waited has a thread now */
        now_ms += 500;
        (void)cnc_pool_look(pool, &strain);
        ck_assert_uint_eq(strain.waiting, 1);
        ck_assert_int_eq(strain.waited_ms, 0);
    }
    sem_post(&go);
    pthread_barrier_wait(&reached);
    for (unsigned i = 0; i < THREADS; i++)
        sem_post(&go);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec_pool_count");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, a_job_counts_until_its_thread_is_free);
    tcase_add_test(t, a_job_may_end_before_it_returns);
    tcase_add_test(t, a_job_that_never_runs_ends_too);
    tcase_add_test(t, only_as_many_as_threads_are_free);
    tcase_add_test(t, a_thread_that_is_about_to_be_free_will_do);
    tcase_add_test(t, no_thread_is_started_beside_one_that_is_about_to_be_free);
    tcase_add_test(t, a_thread_that_frees_its_values_is_not_free);
#ifdef CNC_FAULTS
    tcase_add_test(t, without_a_thread_it_is_given_back);
    tcase_add_test(t, a_thread_is_tried_again);
#endif
    tcase_add_test(t, who_waits_is_told_of_once_until_the_look);
    tcase_add_test(t, a_queue_that_flows);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
