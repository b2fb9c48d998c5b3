/* SPDX-License-Identifier: MIT
 *
 * Counters and memory that processes share, with real processes: none of their additions is lost, and one that dies
 * leaves both usable.
 */
#include <signal.h>
#include <sys/wait.h>

#include "server/server.h"
#include "live.h"

enum { PROCESSES = 4, THREADS = 8 };

static concur_server *make(void)
{
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    ck_assert_ptr_nonnull(s);
    return s;
}

/* Runs fn(arg) in a process of its own. */
static pid_t in_process(void (*fn)(void *), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        alarm(LIVE_PATIENCE_S);
        fn(arg);
        _exit(0);
    }
    return pid;
}

static void expect_end(pid_t pid, int signal)
{
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    if (signal)
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == signal, "%x", (unsigned)status);
    else
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
}

static void in_threads(void *(*fn)(void *), void *arg)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, fn, arg) != 0)
            abort();
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- counters ---- */

START_TEST(a_counter_counts)
{
    concur_server *s = make();
    concur_counter *c = concur_server_counter(s, "hits", "Requests"), *d = concur_server_counter(s, "Other_2", NULL);
    ck_assert_ptr_nonnull(c);
    ck_assert_ptr_nonnull(d);
    ck_assert_int_eq(concur_counter_get(c), 0);
    ck_assert_int_eq(concur_counter_add(c, 5), 5);
    ck_assert_int_eq(concur_counter_add(c, -7), -2);
    ck_assert_int_eq(concur_counter_get(c), -2);
    ck_assert_int_eq(concur_counter_get(d), 0);
    ck_assert_int_eq(concur_counter_add(d, INT64_MAX), INT64_MAX);
    ck_assert(concur_counter_add(d, 1) == INT64_MIN);
    ck_assert_ptr_eq(concur_server_counter(s, "hits", "something else"), c);
    ck_assert_str_eq(s->shares.names[0].name, "hits");
    ck_assert_str_eq(s->shares.names[0].help, "Requests");
    ck_assert_str_eq(s->shares.names[1].help, "");
    ck_assert_uint_ge((uintptr_t)d - (uintptr_t)c, 64);
    ck_assert_str_eq(concur_server_error(s), "");
    concur_server *other = make();
    ck_assert_ptr_ne(concur_server_counter(other, "hits", NULL), c);
    concur_server_free(other);
    concur_server_free(s);
}
END_TEST

static void *add_many(void *counter)
{
    for (unsigned i = 0; i < 100000; i++)
        (void)concur_counter_add(counter, 1);
    return NULL;
}

static void add_in_threads(void *counter)
{
    in_threads(add_many, counter);
}

START_TEST(no_addition_of_any_process_is_lost)
{
    concur_server *s = make();
    concur_counter *c = concur_server_counter(s, "hits", NULL);
    pid_t pids[PROCESSES];
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = in_process(add_in_threads, c);
    for (unsigned i = 0; i < PROCESSES; i++)
        expect_end(pids[i], 0);
    ck_assert_int_eq(concur_counter_get(c), PROCESSES * THREADS * 100000);
    concur_server_free(s);
}
END_TEST

static concur_counter *in_handler;

static void on_signal(int number)
{
    (void)number;
    (void)concur_counter_add(in_handler, 1);
}

START_TEST(a_signal_handler_may_count)
{
    concur_server *s = make();
    in_handler = concur_server_counter(s, "signals", NULL);
    signal(SIGUSR1, on_signal);
    for (int i = 1; i <= 10; i++) {
        raise(SIGUSR1);
        ck_assert_int_eq(concur_counter_get(in_handler), i);
    }
    concur_server_free(s);
}
END_TEST

/* ---- memory ---- */

START_TEST(memory_is_zeroed_aligned_and_the_same_for_all)
{
    concur_server *s = make();
    concur_shared *a = concur_server_shared(s, "a", 1), *b = concur_server_shared(s, "b", 1 << 20);
    ck_assert_ptr_eq(concur_server_shared(s, "b", 1 << 20), b);
    ck_assert_ptr_ne(a, b);
    unsigned char *p = concur_shared_get(b);
    ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
    for (size_t i = 0; i < 1 << 20; i++)
        ck_assert_uint_eq(p[i], 0);
    memset(p, 0xff, 1 << 20); /* its lock does not lie there */
    int died = -1;
    ck_assert_ptr_eq(concur_shared_lock(b, &died), p);
    ck_assert_int_eq(died, 0);
    concur_shared_unlock(b);
    ck_assert_ptr_eq(concur_shared_lock(b, NULL), p);
    concur_shared_unlock(b);
    ck_assert_uint_eq(*(unsigned char *)concur_shared_lock(a, NULL), 0);
    concur_shared_unlock(a);
    ck_assert_ptr_nonnull(concur_server_counter(s, "a", NULL)); /* names of their own */
    ck_assert_str_eq(concur_server_error(s), "");
    concur_server_free(s);
}
END_TEST

struct tally {
    int64_t value;
};

static void *raise_tally(void *shared)
{
    for (unsigned i = 0; i < 2000; i++) {
        struct tally *t = concur_shared_lock(shared, NULL);
        volatile int64_t *v = &t->value;
        *v = *v + 1;
        concur_shared_unlock(shared);
    }
    return NULL;
}

static void raise_in_threads(void *shared)
{
    in_threads(raise_tally, shared);
}

START_TEST(the_lock_excludes_threads_of_all_processes)
{
    concur_server *s = make();
    concur_shared *shared = concur_server_shared(s, "tally", sizeof(struct tally));
    pid_t pids[PROCESSES];
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = in_process(raise_in_threads, shared);
    for (unsigned i = 0; i < PROCESSES; i++)
        expect_end(pids[i], 0);
    ck_assert_int_eq(((struct tally *)concur_shared_get(shared))->value, PROCESSES * THREADS * 2000);
    concur_server_free(s);
}
END_TEST

START_TEST(a_thread_waits_for_no_lock_of_its_own)
{
    concur_server *s = make();
    concur_shared *shared = concur_server_shared(s, "tally", 8);
    int died = -1;
    if (!LIVE_SANITIZED) /* a sanitizer tells of it, as it should */
        concur_shared_unlock(shared);
    ck_assert_ptr_nonnull(concur_shared_lock(shared, &died));
    died = -1;
    ck_assert_ptr_null(concur_shared_lock(shared, &died));
    ck_assert_int_eq(died, 0);
    ck_assert_ptr_nonnull(strstr(concur_last_error(), "tally"));
    concur_shared_unlock(shared);
    if (!LIVE_SANITIZED)
        concur_shared_unlock(shared);
    ck_assert_ptr_nonnull(concur_shared_lock(shared, &died));
    concur_shared_unlock(shared);
    concur_server_free(s);
}
END_TEST

/* ---- holders that die ---- */

struct pair {
    int64_t a, b; /* equal, unless somebody died in between */
};

struct victim {
    concur_shared *shared;
    int fds[2]; /* it writes there once it has the lock */
    int expect_died;
};

static void die_with_lock(void *arg)
{
    struct victim *v = arg;
    int died = -1;
    struct pair *p = concur_shared_lock(v->shared, &died);
    if (!p || died != v->expect_died)
        _exit(1);
    p->a++;
    if (write(v->fds[1], "x", 1) != 1)
        _exit(2);
    for (;;)
        pause();
}

static pid_t make_victim(struct victim *v)
{
    char byte;
    ck_assert_int_eq(pipe(v->fds), 0);
    pid_t pid = in_process(die_with_lock, v);
    close(v->fds[1]);
    ck_assert_int_eq(read(v->fds[0], &byte, 1), 1);
    close(v->fds[0]);
    return pid;
}

START_TEST(the_next_one_is_told_of_a_dead_holder)
{
    concur_server *s = make();
    struct victim v = { .shared = concur_server_shared(s, "pair", sizeof(struct pair)) };
    pid_t pid = make_victim(&v);
    kill(pid, SIGKILL);
    expect_end(pid, SIGKILL);
    /* The second one is told, and dies as well before it has put things in order. */
    v.expect_died = 1;
    pid = make_victim(&v);
    kill(pid, SIGKILL);
    expect_end(pid, SIGKILL);
    int died = -1;
    struct pair *p = concur_shared_lock(v.shared, &died);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(died, 1);
    ck_assert_int_eq(p->a, 2);
    ck_assert_int_eq(p->b, 0);
    p->b = p->a;
    concur_shared_unlock(v.shared);
    for (unsigned i = 0; i < 3; i++) {
        p = concur_shared_lock(v.shared, &died);
        ck_assert_ptr_nonnull(p);
        ck_assert_int_eq(died, 0);
        ck_assert_int_eq(p->a, p->b);
        concur_shared_unlock(v.shared);
    }
    concur_server_free(s);
}
END_TEST

struct waiter {
    concur_shared *shared;
    int died;
};

static void *wait_for_lock(void *arg)
{
    struct waiter *w = arg;
    w->died = -1;
    if (concur_shared_lock(w->shared, &w->died))
        concur_shared_unlock(w->shared);
    return NULL;
}

START_TEST(who_waits_for_the_lock_gets_it_from_a_dead_holder)
{
    concur_server *s = make();
    struct victim v = { .shared = concur_server_shared(s, "pair", sizeof(struct pair)) };
    struct waiter w = { .shared = v.shared };
    pthread_t thread;
    pid_t pid = make_victim(&v);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_lock, &w), 0);
    kill(pid, SIGKILL);
    expect_end(pid, SIGKILL);
    pthread_join(thread, NULL);
    ck_assert_int_eq(w.died, 1);
    concur_server_free(s);
}
END_TEST

static void *end_with_lock(void *arg)
{
    return concur_shared_lock(arg, NULL);
}

START_TEST(a_thread_that_ends_with_the_lock_is_a_dead_holder)
{
    concur_server *s = make();
    concur_shared *shared = concur_server_shared(s, "pair", sizeof(struct pair));
    pthread_t thread;
    int died = -1;
    void *got = NULL;
    ck_assert_int_eq(pthread_create(&thread, NULL, end_with_lock, shared), 0);
    pthread_join(thread, &got);
    ck_assert_ptr_eq(got, concur_shared_get(shared));
    ck_assert_ptr_eq(concur_shared_lock(shared, &died), got);
    ck_assert_int_eq(died, 1);
    concur_shared_unlock(shared);
    concur_server_free(s);
}
END_TEST

/* ---- what is refused ---- */

static void expect_stuck(concur_server *s, int rc, const char *word)
{
    ck_assert_msg(strstr(concur_last_error(), word) != NULL, "%s", concur_last_error());
    ck_assert_msg(strstr(concur_server_error(s), word) != NULL, "%s", concur_server_error(s));
    ck_assert_int_eq(concur_server_check(s), rc);
    concur_server_free(s);
}

START_TEST(names_and_sizes_are_checked)
{
    static const char long_name[] = "a23456789_123456789_123456789_123456789_123456789_123456789_1234";
    static const char *const bad[] = { "", "a b", "a-b", "1a", "\xc3\xa4", long_name };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        concur_server *s = make();
        ck_assert_ptr_null(concur_server_counter(s, bad[i], NULL));
        expect_stuck(s, CONCUR_E_INVAL, "does not begin with a digit");
        s = make();
        ck_assert_ptr_null(concur_server_shared(s, bad[i], 8));
        expect_stuck(s, CONCUR_E_INVAL, "does not begin with a digit");
    }
    concur_server *s = make();
    ck_assert_ptr_null(concur_server_counter(s, NULL, NULL));
    expect_stuck(s, CONCUR_E_INVAL, "no name");
    s = make();
    ck_assert_ptr_null(concur_server_shared(s, "a", 0));
    expect_stuck(s, CONCUR_E_INVAL, "0 bytes");
    s = make();
    ck_assert_ptr_null(concur_server_shared(s, "a", ((size_t)1 << 30) + 1));
    expect_stuck(s, CONCUR_E_INVAL, "1073741825 bytes");
    s = make();
    ck_assert_ptr_nonnull(concur_server_shared(s, "a", 8));
    ck_assert_ptr_null(concur_server_shared(s, "a", 9));
    expect_stuck(s, CONCUR_E_INVAL, "made with 8");
}
END_TEST

START_TEST(there_is_a_limit)
{
    concur_server *s = make();
    char name[64];
    for (unsigned i = 0; i < CNC_COUNTERS_MAX; i++) {
        snprintf(name, sizeof name, "c%062u", i);
        concur_counter *c = concur_server_counter(s, name, name);
        ck_assert_ptr_nonnull(c);
        (void)concur_counter_add(c, i);
    }
    for (unsigned i = 0; i < CNC_COUNTERS_MAX; i++) {
        snprintf(name, sizeof name, "c%062u", i);
        ck_assert_int_eq(concur_counter_get(concur_server_counter(s, name, NULL)), i);
    }
    ck_assert_ptr_null(concur_server_counter(s, "one_more", NULL));
    expect_stuck(s, CONCUR_E_LIMIT, "at most 256");
    s = make();
    for (unsigned i = 0; i < CNC_REGIONS_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        ck_assert_ptr_nonnull(concur_server_shared(s, name, 100));
    }
    ck_assert_ptr_null(concur_server_shared(s, "one_more", 100));
    expect_stuck(s, CONCUR_E_LIMIT, "at most 64");
}
END_TEST

START_TEST(nothing_is_accepted_everywhere)
{
    int died = -1;
    ck_assert_ptr_null(concur_server_counter(NULL, "a", NULL));
    ck_assert_ptr_nonnull(strstr(concur_last_error(), "no server"));
    ck_assert_ptr_null(concur_server_shared(NULL, "a", 8));
    ck_assert_int_eq(concur_counter_add(NULL, 1), 0);
    ck_assert_int_eq(concur_counter_get(NULL), 0);
    ck_assert_ptr_null(concur_shared_lock(NULL, &died));
    ck_assert_int_eq(died, 0);
    ck_assert_ptr_null(concur_shared_get(NULL));
    concur_shared_unlock(NULL);
}
END_TEST

START_TEST(a_server_that_runs_takes_no_more)
{
    struct live l = live_new(CONCUR_ENGINE_EVENT);
    concur_counter *c = concur_server_counter(l.server, "before", NULL);
    live_start(&l);
    ck_assert_ptr_null(concur_server_counter(l.server, "before", NULL));
    ck_assert_ptr_nonnull(strstr(concur_last_error(), "run or started"));
    ck_assert_ptr_null(concur_server_shared(l.server, "before", 8));
    ck_assert_str_eq(concur_server_error(l.server), "");
    ck_assert_int_eq(concur_counter_add(c, 1), 1);
    live_end(&l, 0);
}
END_TEST

#ifdef CNC_FAULTS
/* Whatever allocation fails, the call says so, and the next one is as if it had never been. */
START_TEST(out_of_memory_is_an_error)
{
    for (unsigned nth = 1;; nth++) {
        concur_server *s = make();
        cnc_fault_arm(CNC_FAULT_ALLOC, nth, false);
        concur_counter *c = concur_server_counter(s, "hits", "Requests");
        bool failed = c == NULL;
        if (!failed)
            failed = concur_server_shared(s, "memory", 8) == NULL;
        bool hit = cnc_fault_count(CNC_FAULT_ALLOC) >= nth;
        cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
        ck_assert(failed == hit);
        ck_assert_ptr_nonnull(concur_server_counter(s, "hits", NULL));
        ck_assert_ptr_nonnull(concur_server_shared(s, "memory", 8));
        ck_assert_int_eq(s->first_error, failed ? CONCUR_E_NOMEM : CONCUR_OK);
        concur_server_free(s);
        if (!failed)
            break;
        ck_assert_uint_lt(nth, 20);
    }
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("core_shared");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, LIVE_PATIENCE_S * 2);
    tcase_add_test(tests, a_counter_counts);
    tcase_add_test(tests, no_addition_of_any_process_is_lost);
    tcase_add_test(tests, a_signal_handler_may_count);
    tcase_add_test(tests, memory_is_zeroed_aligned_and_the_same_for_all);
    tcase_add_test(tests, the_lock_excludes_threads_of_all_processes);
    tcase_add_test(tests, a_thread_waits_for_no_lock_of_its_own);
    tcase_add_test(tests, the_next_one_is_told_of_a_dead_holder);
    tcase_add_test(tests, who_waits_for_the_lock_gets_it_from_a_dead_holder);
    tcase_add_test(tests, a_thread_that_ends_with_the_lock_is_a_dead_holder);
    tcase_add_test(tests, names_and_sizes_are_checked);
    tcase_add_test(tests, there_is_a_limit);
    tcase_add_test(tests, nothing_is_accepted_everywhere);
    tcase_add_test(tests, a_server_that_runs_takes_no_more);
#ifdef CNC_FAULTS
    tcase_add_test(tests, out_of_memory_is_an_error);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
