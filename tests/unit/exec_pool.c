/* SPDX-License-Identifier: MIT */
#include "exec/pool.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>

struct work {
    struct cnc_job job;
    pthread_barrier_t *reached, *go; /* waits at both, where given */
    atomic_uint runs;
    struct cnc_home *home;
    pthread_t thread;
};

static void run(struct cnc_job *job, struct cnc_home *here)
{
    struct work *w = CNC_CONTAINER(job, struct work, job);
    ck_assert(cnc_home_is_mine(here));
    w->home = here;
    w->thread = pthread_self();
    if (w->reached)
        pthread_barrier_wait(w->reached);
    if (w->go)
        pthread_barrier_wait(w->go);
    atomic_fetch_add(&w->runs, 1);
}

static struct work *work_init(struct work *w, pthread_barrier_t *reached, pthread_barrier_t *go)
{
    *w = (struct work){ .job.run = run, .reached = reached, .go = go };
    cnc_link_init(&w->job.link);
    return w;
}

static struct cnc_pool *make_with_library(unsigned threads_max, unsigned library_max, unsigned queue_max,
                                          int64_t idle_ms)
{
    struct cnc_pool_config cfg = { .clock = &cnc_clock_system, .threads_max = threads_max, .library_max = library_max,
                                   .library_queue_max = queue_max,
                                   .queue_max = queue_max, .stack_size = 256 * 1024, .idle_ms = idle_ms,
                                   .owner = &cfg };
    struct cnc_pool *pool = NULL;
    ck_assert_int_eq(cnc_pool_create(&pool, &cfg), CONCUR_OK);
    return pool;
}

static struct cnc_pool *make(unsigned threads_max, unsigned queue_max, int64_t idle_ms)
{
    return make_with_library(threads_max, 0, queue_max, idle_ms);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

static unsigned threads_now(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* A thread that was joined may be listed for a moment longer; one that was not hangs the test. ThreadSanitizer has threads
 * of its own, and reports leaked ones by itself. */
static void wait_for_threads(unsigned n)
{
#ifdef __SANITIZE_THREAD__
    if (n > 0)
        return;
#endif
    while (threads_now() > n)
        sched_yield();
    ck_assert_uint_eq(threads_now(), n);
}

static void end(struct cnc_pool *pool)
{
    struct cnc_pool_stats stats;
    ck_assert_int_eq(cnc_pool_stop(pool, -1), CONCUR_OK);
    cnc_pool_stats(pool, &stats);
    ck_assert_uint_eq(stats.threads + stats.idle + stats.queued, 0);
    cnc_pool_destroy(&pool);
    ck_assert_ptr_null(pool);
}

START_TEST(every_job_runs_once_and_no_thread_is_left)
{
    enum { JOBS = 5000 };
    static struct work works[JOBS];
    unsigned before = threads_now();
    struct cnc_pool *pool = make(4, JOBS, 10000);
    for (unsigned i = 0; i < JOBS; i++)
        ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&works[i], NULL, NULL)->job), CONCUR_OK);
    end(pool);
    for (unsigned i = 0; i < JOBS; i++)
        ck_assert_uint_eq(works[i].runs, 1);
    wait_for_threads(before);
}
END_TEST

/* All threads meet at a barrier: that many do run at once, and not one more. */
START_TEST(threads_start_up_to_the_maximum_then_jobs_wait_then_none_is_taken)
{
    enum { THREADS = 3, QUEUE = 2 };
    static struct work running[THREADS], waiting[QUEUE], over;
    pthread_barrier_t reached, go;
    struct cnc_pool_stats stats;
    pthread_barrier_init(&reached, NULL, THREADS + 1);
    pthread_barrier_init(&go, NULL, THREADS + 1);
    struct cnc_pool *pool = make(THREADS, QUEUE, 10000);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&running[i], &reached, &go)->job), CONCUR_OK);
    pthread_barrier_wait(&reached);
    ck_assert(!cnc_pool_is_wanted(pool));
    for (unsigned i = 0; i < QUEUE; i++)
        ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&waiting[i], NULL, NULL)->job), CONCUR_OK);
    ck_assert(cnc_pool_is_wanted(pool));
    ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&over, NULL, NULL)->job), CONCUR_E_FULL);
    struct cnc_link ring; /* of which something else bounds the number */
    cnc_link_init(&ring);
    cnc_link_append(&ring, &over.job.link);
    ck_assert_int_eq(cnc_pool_submit_all_bounded(pool, &ring), CONCUR_OK);
    ck_assert(cnc_link_alone(&ring) && cnc_pool_cancel(pool, &over.job));
    cnc_pool_stats(pool, &stats);
    ck_assert_uint_eq(stats.threads, THREADS);
    ck_assert_uint_eq(stats.idle, 0);
    ck_assert_uint_eq(stats.queued, QUEUE);
    /* One that waits can be taken back, and makes room. */
    ck_assert(cnc_pool_cancel(pool, &waiting[0].job));
    ck_assert(!cnc_pool_cancel(pool, &waiting[0].job));
    ck_assert(!cnc_pool_cancel(pool, &running[0].job));
    ck_assert_int_eq(cnc_pool_submit(pool, &over.job), CONCUR_OK);
    pthread_barrier_wait(&go);
    end(pool);
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_uint_eq(running[i].runs, 1);
        for (unsigned k = 0; k < i; k++)
            ck_assert(!pthread_equal(running[i].thread, running[k].thread) && running[i].home != running[k].home);
    }
    ck_assert_uint_eq(waiting[0].runs, 0);
    ck_assert_uint_eq(waiting[1].runs, 1);
    ck_assert_uint_eq(over.runs, 1);
    pthread_barrier_destroy(&reached);
    pthread_barrier_destroy(&go);
}
END_TEST

static bool is_before(struct cnc_job *job, void *limit)
{
    return CNC_CONTAINER(job, struct work, job) < (struct work *)limit;
}

/* From the front of the queue, up to the first that may stay. */
START_TEST(who_has_waited_longest_can_be_taken_out)
{
    enum { WAITING = 5, TAKEN = 3 };
    static struct work running, waiting[WAITING];
    pthread_barrier_t reached, go;
    struct cnc_pool_stats stats;
    struct cnc_link taken;
    cnc_link_init(&taken);
    pthread_barrier_init(&reached, NULL, 2);
    pthread_barrier_init(&go, NULL, 2);
    struct cnc_pool *pool = make(1, WAITING, 10000);
    cnc_pool_withdraw(pool, is_before, waiting + WAITING, &taken);
    ck_assert(cnc_link_alone(&taken));
    ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&running, &reached, &go)->job), CONCUR_OK);
    pthread_barrier_wait(&reached);
    for (unsigned i = 0; i < WAITING; i++)
        ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&waiting[i], NULL, NULL)->job), CONCUR_OK);
    cnc_pool_withdraw(pool, is_before, waiting, &taken);
    ck_assert(cnc_link_alone(&taken));
    cnc_pool_withdraw(pool, is_before, waiting + TAKEN, &taken);
    for (unsigned i = 0; i < TAKEN; i++)
        ck_assert_ptr_eq(cnc_link_take_first(&taken), &waiting[i].job.link);
    ck_assert(cnc_link_alone(&taken));
    cnc_pool_stats(pool, &stats);
    ck_assert_uint_eq(stats.queued, WAITING - TAKEN);
    ck_assert(cnc_pool_is_wanted(pool));
    cnc_pool_withdraw(pool, is_before, waiting + WAITING, &taken);
    ck_assert(!cnc_pool_is_wanted(pool));
    ck_assert_int_eq(cnc_pool_submit(pool, &waiting[0].job), CONCUR_OK); /* there is room again */
    pthread_barrier_wait(&go);
    end(pool);
    for (unsigned i = 0; i < WAITING; i++)
        ck_assert_uint_eq(waiting[i].runs, i == 0);
    pthread_barrier_destroy(&reached);
    pthread_barrier_destroy(&go);
}
END_TEST

/* Cancel and a thread race for the same job: exactly one of them has it. */
START_TEST(a_job_is_either_cancelled_or_run)
{
    enum { JOBS = 20000 };
    static struct work works[JOBS];
    struct cnc_pool *pool = make(2, JOBS, 10000);
    unsigned cancelled = 0, ran = 0;
    for (unsigned i = 0; i < JOBS; i++)
        ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&works[i], NULL, NULL)->job), CONCUR_OK);
    for (unsigned i = JOBS; i-- > 0;)
        cancelled += cnc_pool_cancel(pool, &works[i].job);
    end(pool);
    for (unsigned i = 0; i < JOBS; i++) {
        ck_assert_uint_le(works[i].runs, 1);
        ran += works[i].runs;
    }
    ck_assert_uint_eq(cancelled + ran, JOBS);
}
END_TEST

START_TEST(a_thread_with_nothing_to_do_ends_and_another_starts_on_demand)
{
    static struct work w;
    pthread_barrier_t reached;
    struct cnc_pool_stats stats;
    unsigned before = threads_now();
    pthread_barrier_init(&reached, NULL, 2);
    struct cnc_pool *pool = make(2, 4, 1);
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&w, &reached, NULL)->job), CONCUR_OK);
        pthread_barrier_wait(&reached);
        do
            cnc_pool_stats(pool, &stats);
        while (stats.threads && sched_yield() == 0);
        ck_assert_uint_eq(w.runs, 1);
    }
    end(pool);
    wait_for_threads(before);
    pthread_barrier_destroy(&reached);
}
END_TEST

START_TEST(stop_finishes_what_was_taken_and_takes_no_more)
{
    static struct work running, queued, late;
    pthread_barrier_t reached, go;
    pthread_barrier_init(&reached, NULL, 2);
    pthread_barrier_init(&go, NULL, 2);
    struct cnc_pool *pool = make(1, 4, 10000);
    ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&running, &reached, &go)->job), CONCUR_OK);
    ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&queued, NULL, NULL)->job), CONCUR_OK);
    pthread_barrier_wait(&reached);
    ck_assert_int_eq(cnc_pool_stop(pool, 0), CONCUR_E_BUSY);
    ck_assert_int_eq(cnc_pool_stop(pool, 5), CONCUR_E_BUSY);
    ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&late, NULL, NULL)->job), CONCUR_E_STOPPING);
    pthread_barrier_wait(&go);
    end(pool);
    ck_assert_uint_eq(running.runs, 1);
    ck_assert_uint_eq(queued.runs, 1);
    ck_assert_uint_eq(late.runs, 0);
    pthread_barrier_destroy(&reached);
    pthread_barrier_destroy(&go);
}
END_TEST

START_TEST(a_pool_without_work_has_no_threads)
{
    unsigned before = threads_now();
    struct cnc_pool *pool = make(8, 8, 10000);
    wait_for_threads(before);
    end(pool);
}
END_TEST

/* ---- two classes ---- */

typedef int submit_fn(struct cnc_pool *, struct cnc_job *);

/* One class has all its threads taken and its queue full; the other one runs as ever. Both ways. */
START_TEST(neither_class_starves_the_other)
{
    enum { THREADS = 2, QUEUE = 3, MANY = 100 };
    static struct work blocked[THREADS], waiting[QUEUE], others[MANY], over;
    submit_fn *submit = _i ? cnc_pool_submit_library : cnc_pool_submit;
    submit_fn *other = _i ? cnc_pool_submit : cnc_pool_submit_library;
    pthread_barrier_t reached, go, ran;
    struct cnc_pool_stats stats;
    pthread_barrier_init(&reached, NULL, THREADS + 1);
    pthread_barrier_init(&go, NULL, THREADS + 1);
    pthread_barrier_init(&ran, NULL, 2);
    struct cnc_pool *pool = make_with_library(THREADS, THREADS, QUEUE, 10000);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(submit(pool, &work_init(&blocked[i], &reached, &go)->job), CONCUR_OK);
    pthread_barrier_wait(&reached);
    cnc_pool_stats(pool, &stats);
    ck_assert_uint_eq(stats.threads, THREADS); /* the other class costs nothing until it is used */
    for (unsigned i = 0; i < QUEUE; i++)
        ck_assert_int_eq(submit(pool, &work_init(&waiting[i], NULL, NULL)->job), CONCUR_OK);
    ck_assert_int_eq(submit(pool, &work_init(&over, NULL, NULL)->job), CONCUR_E_FULL);
    ck_assert(cnc_pool_is_wanted(pool) == (_i == 0)); /* what the library waits for is no reason for users to let go */
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(other(pool, &work_init(&others[i], &ran, NULL)->job), CONCUR_OK);
        pthread_barrier_wait(&ran);
    }
    for (unsigned i = 0; i < QUEUE; i++)
        ck_assert_uint_eq(waiting[i].runs, 0);
    cnc_pool_stats(pool, &stats);
    ck_assert_uint_le(stats.threads, 2 * THREADS);
    ck_assert_uint_eq(stats.queued, QUEUE);
    pthread_barrier_wait(&go);
    end(pool);
    for (unsigned i = 0; i < QUEUE; i++)
        ck_assert_uint_eq(waiting[i].runs, 1);
    for (unsigned i = 0; i < MANY; i++)
        ck_assert_uint_eq(others[i].runs, 1);
    ck_assert_uint_eq(over.runs, 0);
    pthread_barrier_destroy(&reached);
    pthread_barrier_destroy(&go);
    pthread_barrier_destroy(&ran);
}
END_TEST

static void look_for_owner(struct cnc_job *job, struct cnc_home *here)
{
    struct work *w = CNC_CONTAINER(job, struct work, job);
    ck_assert_ptr_eq(cnc_home_here(), here);
    w->home = here->owner ? here : NULL;
}

/* A thread of the library's runs nothing of the program, and so is not the server's for it. Without such threads the
 * library's jobs are taken by the others. */
START_TEST(a_class_has_threads_of_its_own_or_none)
{
    static struct work user, library;
    struct cnc_pool *pool = make_with_library(1, _i ? 1 : 0, 4, 10000);
    work_init(&user, NULL, NULL)->job.run = look_for_owner;
    work_init(&library, NULL, NULL)->job.run = look_for_owner;
    ck_assert_int_eq(cnc_pool_submit(pool, &user.job), CONCUR_OK);
    ck_assert_int_eq(cnc_pool_submit_library(pool, &library.job), CONCUR_OK);
    end(pool);
    ck_assert_ptr_nonnull(user.home);
    ck_assert(library.home == (_i ? NULL : user.home));
}
END_TEST

START_TEST(a_job_of_the_library_can_be_cancelled)
{
    static struct work blocked, waiting;
    pthread_barrier_t reached, go;
    pthread_barrier_init(&reached, NULL, 2);
    pthread_barrier_init(&go, NULL, 2);
    for (unsigned library_max = 0; library_max <= 1; library_max++) {
        struct cnc_pool *pool = make_with_library(1, library_max, 4, 10000);
        ck_assert_int_eq(cnc_pool_submit_library(pool, &work_init(&blocked, &reached, &go)->job), CONCUR_OK);
        pthread_barrier_wait(&reached);
        ck_assert_int_eq(cnc_pool_submit_library(pool, &work_init(&waiting, NULL, NULL)->job), CONCUR_OK);
        ck_assert(cnc_pool_cancel_library(pool, &waiting.job));
        ck_assert(!cnc_pool_cancel_library(pool, &waiting.job));
        ck_assert(!cnc_pool_cancel_library(pool, &blocked.job));
        pthread_barrier_wait(&go);
        end(pool);
        ck_assert_uint_eq(waiting.runs, 0);
    }
    pthread_barrier_destroy(&reached);
    pthread_barrier_destroy(&go);
}
END_TEST

/* ---- broadcast ---- */

static atomic_uint told, told_sum;

static void on_told(struct cnc_home *home, int arg)
{
    ck_assert(cnc_home_is_mine(home));
    atomic_fetch_add(&told, 1);
    atomic_fetch_add(&told_sum, (unsigned)arg);
}

/* Between two barriers each thread looks at its home, as one with a pending request would. */
static void run_and_settle(struct cnc_job *job, struct cnc_home *here)
{
    struct work *w = CNC_CONTAINER(job, struct work, job);
    run(job, here);
    cnc_home_settle(here);
    pthread_barrier_wait(w->reached);
}

START_TEST(a_broadcast_reaches_every_thread_at_its_home)
{
    enum { THREADS = 4 };
    static struct work works[THREADS];
    pthread_barrier_t reached, go;
    pthread_barrier_init(&reached, NULL, THREADS + 1);
    pthread_barrier_init(&go, NULL, THREADS + 1);
    struct cnc_pool *pool = make(THREADS, 4, 10000);
    cnc_pool_broadcast(pool, on_told, 7);
    for (unsigned i = 0; i < THREADS; i++) {
        work_init(&works[i], &reached, &go)->job.run = run_and_settle;
        ck_assert_int_eq(cnc_pool_submit(pool, &works[i].job), CONCUR_OK);
    }
    pthread_barrier_wait(&reached);
    cnc_pool_broadcast(pool, on_told, 5);
    pthread_barrier_wait(&go);
    pthread_barrier_wait(&reached);
    ck_assert_uint_eq(told, THREADS);
    ck_assert_uint_eq(told_sum, 5 * THREADS);
    cnc_pool_broadcast(pool, on_told, 5); /* while they are idle or end: told when their homes close, at the latest */
    end(pool);
    ck_assert_uint_eq(told, 2 * THREADS);
    pthread_barrier_destroy(&reached);
    pthread_barrier_destroy(&go);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(without_threads_jobs_are_refused_or_wait_for_those_there_are)
{
    static struct work a, b, c;
    pthread_barrier_t reached, go;
    pthread_barrier_init(&reached, NULL, 2);
    pthread_barrier_init(&go, NULL, 2);
    struct cnc_pool *pool = make(4, 4, 10000);
    cnc_fault_arm(CNC_FAULT_THREAD, 1, false);
    ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&a, &reached, &go)->job), CONCUR_E_SYS);
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, true);
    ck_assert_int_lt(cnc_pool_submit(pool, &a.job), 0);
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    ck_assert_int_eq(cnc_pool_submit(pool, &a.job), CONCUR_OK);
    pthread_barrier_wait(&reached);
    cnc_fault_arm(CNC_FAULT_THREAD, 1, true);
    ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&b, NULL, NULL)->job), CONCUR_OK);
    cnc_fault_arm(CNC_FAULT_THREAD, 0, false);
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, true);
    ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&c, NULL, NULL)->job), CONCUR_OK);
    cnc_pool_broadcast(pool, on_told, 1);
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    pthread_barrier_wait(&go);
    end(pool);
    ck_assert_uint_eq(a.runs + b.runs + c.runs, 3);
    ck_assert_uint_eq(told, 1); /* a broadcast takes no memory */
    pthread_barrier_destroy(&reached);
    pthread_barrier_destroy(&go);
}
END_TEST
#endif

/* ---- homes that are more ---- */

struct shop {
    struct cnc_home home;
    unsigned idles, rests; /* guarded by mu */
};

static struct {
    pthread_mutex_t mu;
    pthread_cond_t rested;
    struct shop *shop;
    bool fails;
} shops = { .mu = PTHREAD_MUTEX_INITIALIZER, .rested = PTHREAD_COND_INITIALIZER };

static int make_shop(struct cnc_home **out, const struct cnc_pool_config *cfg)
{
    ck_assert_ptr_eq(cfg->homes_arg, &shops);
    if (shops.fails)
        return CONCUR_E_NOMEM;
    int rc = cnc_home_create(out, cfg->clock, sizeof(struct shop), true);
    shops.shop = CNC_CONTAINER(*out, struct shop, home);
    return rc;
}

static void shop_idle(struct cnc_home *home)
{
    pthread_mutex_lock(&shops.mu);
    CNC_CONTAINER(home, struct shop, home)->idles++;
    pthread_mutex_unlock(&shops.mu);
}

static void shop_rest(struct cnc_home *home)
{
    pthread_mutex_lock(&shops.mu);
    CNC_CONTAINER(home, struct shop, home)->rests++;
    pthread_cond_signal(&shops.rested);
    pthread_mutex_unlock(&shops.mu);
}

static unsigned long long shop_served(struct cnc_home *home)
{
    (void)home;
    return 42;
}

/* Each thread has the home that the creator of the pool makes; it rests once in a while without jobs, and counts. */
START_TEST(threads_have_the_homes_that_the_configuration_makes)
{
    static const struct cnc_pool_homes homes = { make_shop, shop_idle, shop_rest, 1, shop_served };
    struct cnc_pool_config cfg = { .clock = &cnc_clock_system, .threads_max = 1, .queue_max = 4, .stack_size = 256 * 1024,
                                   .idle_ms = 60000, .homes = &homes, .homes_arg = &shops };
    struct cnc_pool *pool = NULL;
    struct work works[2];
    struct cnc_pool_stats stats;
    ck_assert_int_eq(cnc_pool_create(&pool, &cfg), CONCUR_OK);
    shops.fails = true;
    ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&works[0], NULL, NULL)->job), CONCUR_E_NOMEM);
    shops.fails = false;
    for (unsigned i = 0; i < CNC_COUNT(works); i++) {
        ck_assert_int_eq(cnc_pool_submit(pool, &work_init(&works[i], NULL, NULL)->job), CONCUR_OK);
        pthread_mutex_lock(&shops.mu);
        while (shops.shop->rests <= i)
            pthread_cond_wait(&shops.rested, &shops.mu);
        ck_assert_uint_eq(shops.shop->idles, i + 1);
        pthread_mutex_unlock(&shops.mu);
        ck_assert_ptr_eq(works[i].home, &shops.shop->home);
    }
    cnc_pool_stats(pool, &stats);
    ck_assert_uint_eq(stats.served, 42);
    ck_assert_int_eq(cnc_pool_stop(pool, -1), CONCUR_OK);
    cnc_pool_stats(pool, &stats);
    ck_assert_uint_eq(stats.served, 42); /* the ended one included */
    cnc_pool_destroy(&pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec_pool");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_job_runs_once_and_no_thread_is_left);
    tcase_add_test(tests, threads_start_up_to_the_maximum_then_jobs_wait_then_none_is_taken);
    tcase_add_test(tests, who_has_waited_longest_can_be_taken_out);
    tcase_add_test(tests, a_job_is_either_cancelled_or_run);
    tcase_add_test(tests, a_thread_with_nothing_to_do_ends_and_another_starts_on_demand);
    tcase_add_test(tests, stop_finishes_what_was_taken_and_takes_no_more);
    tcase_add_test(tests, a_pool_without_work_has_no_threads);
    tcase_add_loop_test(tests, neither_class_starves_the_other, 0, 2);
    tcase_add_loop_test(tests, a_class_has_threads_of_its_own_or_none, 0, 2);
    tcase_add_test(tests, a_job_of_the_library_can_be_cancelled);
    tcase_add_test(tests, a_broadcast_reaches_every_thread_at_its_home);
#ifdef CNC_FAULTS
    tcase_add_test(tests, without_threads_jobs_are_refused_or_wait_for_those_there_are);
#endif
    tcase_add_test(tests, threads_have_the_homes_that_the_configuration_makes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
