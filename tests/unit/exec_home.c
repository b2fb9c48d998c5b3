/* SPDX-License-Identifier: MIT */
#include "exec/home.h"

#include <check.h>
#include <stdlib.h>

static int64_t hand_ms;

static int64_t hand_now(void *arg)
{
    (void)arg;
    return hand_ms;
}

static const struct cnc_clock hand = { .now_ms = hand_now };

static struct cnc_home *make(const struct cnc_clock *clock, bool blocking)
{
    struct cnc_home *home = NULL;
    ck_assert_int_eq(cnc_home_create(&home, clock, sizeof *home, blocking), CONCUR_OK);
    ck_assert(cnc_home_is_mine(home));
    return home;
}

/* ---- posts ---- */

enum { POSTERS = 8, EACH = 125000 };

struct numbered {
    struct cnc_task task;
    struct poster *from;
    unsigned number;
};

struct poster {
    struct cnc_home *home;
    pthread_barrier_t *start;
    struct numbered *tasks;
    unsigned next; /* the number that must come now */
    unsigned refused;
};

static unsigned arrived, out_of_order;

static void on_numbered(struct cnc_task *task)
{
    struct numbered *t = CNC_CONTAINER(task, struct numbered, task);
    arrived++;
    out_of_order += t->number != t->from->next;
    t->from->next = t->number + 1;
}

static void *poster_main(void *arg)
{
    struct poster *p = arg;
    pthread_barrier_wait(p->start);
    for (unsigned i = 0; i < EACH; i++) {
        p->tasks[i] = (struct numbered){ .task.run = on_numbered, .from = p, .number = i };
        p->refused += cnc_home_post(p->home, &p->tasks[i].task) != CONCUR_OK;
    }
    return NULL;
}

/* A million: none lost, none twice, each thread's in order. The owner waits without limit. */
START_TEST(posts_of_eight_threads_all_arrive_in_order)
{
    struct cnc_home *home = make(&cnc_clock_system, false);
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, POSTERS);
    arrived = out_of_order = 0;
    for (unsigned i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){ .home = home, .start = &start, .tasks = calloc(EACH, sizeof(struct numbered)) };
        ck_assert_ptr_nonnull(posters[i].tasks);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, poster_main, &posters[i]), 0);
    }
    while (arrived < POSTERS * EACH)
        cnc_home_turn(home, -1);
    for (unsigned i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(posters[i].next, EACH);
        ck_assert_uint_eq(posters[i].refused, 0);
        free(posters[i].tasks);
    }
    cnc_home_turn(home, 0);
    ck_assert_uint_eq(arrived, POSTERS * EACH);
    ck_assert_uint_eq(out_of_order, 0);
    pthread_barrier_destroy(&start);
    cnc_home_close(&home);
    ck_assert_ptr_null(home);
}
END_TEST

/* Posts race with close: each runs exactly once or is refused. */
static unsigned ran;

static void on_run(struct cnc_task *task)
{
    (void)task;
    ran++;
}

struct racer {
    struct cnc_home *home;
    pthread_barrier_t *start;
    struct cnc_task tasks[2000];
    unsigned accepted;
};

static void *racer_main(void *arg)
{
    struct racer *r = arg;
    pthread_barrier_wait(r->start);
    for (unsigned i = 0; i < CNC_COUNT(r->tasks); i++) {
        r->tasks[i].run = on_run;
        int rc = cnc_home_post(r->home, &r->tasks[i]);
        if (rc == CONCUR_E_STOPPING)
            break;
        r->accepted++;
    }
    cnc_home_unref(r->home);
    return NULL;
}

START_TEST(close_runs_what_was_taken_and_refuses_the_rest)
{
    static struct racer racer;
    for (int round = 0; round < 30; round++) {
        struct cnc_home *home = make(&cnc_clock_system, round % 2);
        pthread_barrier_t start;
        pthread_t thread;
        pthread_barrier_init(&start, NULL, 2);
        ran = 0;
        racer.home = home;
        racer.start = &start;
        racer.accepted = 0;
        cnc_home_ref(home);
        ck_assert_int_eq(pthread_create(&thread, NULL, racer_main, &racer), 0);
        pthread_barrier_wait(&start);
        cnc_home_settle(home);
        cnc_home_close(&home);
        pthread_join(thread, NULL);
        ck_assert_uint_eq(ran, racer.accepted);
        pthread_barrier_destroy(&start);
    }
}
END_TEST

START_TEST(a_post_after_close_is_refused)
{
    struct cnc_task t = { .run = on_run };
    struct cnc_home *home = make(&cnc_clock_system, false), *closed = home;
    cnc_home_ref(closed);
    cnc_home_close(&home);
    ran = 0;
    ck_assert_int_eq(cnc_home_post(closed, &t), CONCUR_E_STOPPING);
    ck_assert_uint_eq(ran, 0);
    cnc_home_unref(closed);
}
END_TEST

/* ---- the owner's queue ---- */

struct letter {
    struct cnc_task task;
    struct cnc_home *home;
    char c;
    struct letter *then; /* deferred from within */
};

static char order[16];
static unsigned order_len;

static void on_letter(struct cnc_task *task)
{
    struct letter *l = CNC_CONTAINER(task, struct letter, task);
    order[order_len++] = l->c;
    order[order_len] = '\0';
    if (l->then)
        cnc_home_defer(l->home, &l->then->task);
}

static void on_after(void *arg)
{
    (void)arg;
    order[order_len++] = '.';
    order[order_len] = '\0';
}

START_TEST(deferred_tasks_run_in_order_and_new_ones_in_the_next_turn)
{
    struct cnc_home *home = make(&cnc_clock_system, false);
    struct letter d = { .c = 'd', .home = home }, a = { .c = 'a', .home = home, .then = &d };
    struct letter b = { .c = 'b', .home = home }, c = { .c = 'c', .home = home };
    d.task.run = a.task.run = b.task.run = c.task.run = on_letter;
    order_len = 0;
    home->after = on_after;
    cnc_home_defer(home, &a.task);
    cnc_home_defer(home, &b.task);
    ck_assert_int_eq(cnc_home_post(home, &c.task), CONCUR_OK);
    cnc_home_turn(home, -1);
    ck_assert_str_eq(order, "abc.");
    cnc_home_turn(home, -1); /* what is queued already ends the wait */
    ck_assert_str_eq(order, "abc.d.");
    home->after = NULL;
    cnc_home_close(&home);
}
END_TEST

START_TEST(close_runs_what_is_queued_and_what_that_queues)
{
    struct cnc_home *home = make(&cnc_clock_system, true);
    struct letter b = { .c = 'b', .home = home }, a = { .c = 'a', .home = home, .then = &b }, c = { .c = 'c', .home = home };
    a.task.run = b.task.run = c.task.run = on_letter;
    order_len = 0;
    cnc_home_defer(home, &a.task);
    ck_assert_int_eq(cnc_home_post(home, &c.task), CONCUR_OK);
    cnc_home_close(&home);
    ck_assert_str_eq(order, "acb");
}
END_TEST

static struct cnc_home *waking;

static void *post_late(void *arg)
{
    ck_assert_int_eq(cnc_home_post(waking, arg), CONCUR_OK);
    return NULL;
}

/* A post may come before the loop does. */
START_TEST(a_blocking_home_gets_its_loop_on_demand)
{
    struct cnc_task t = { .run = on_run };
    pthread_t thread;
    waking = make(&cnc_clock_system, true);
    ck_assert_ptr_null(waking->loop);
    ran = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, post_late, &t), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(cnc_home_need_loop(waking), CONCUR_OK);
    cnc_home_turn(waking, -1);
    ck_assert_uint_eq(ran, 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, post_late, &t), 0);
    while (ran < 2)
        cnc_home_turn(waking, -1);
    pthread_join(thread, NULL);
    cnc_home_close(&waking);
}
END_TEST

/* ---- timers ---- */

struct beat {
    struct cnc_timer timer;
    struct cnc_home *home;
    unsigned runs;
};

static void on_beat(struct cnc_timer *t)
{
    struct beat *b = CNC_CONTAINER(t, struct beat, timer);
    b->runs++;
    cnc_home_timer(b->home, t, cnc_home_now(b->home));
}

START_TEST(timers_run_when_due)
{
    hand_ms = 1000;
    struct cnc_home *home = make(&hand, false);
    struct beat b = { .timer.fn = on_beat, .home = home };
    cnc_home_timer(home, &b.timer, 1500);
    cnc_home_turn(home, 0);
    hand_ms = 1499;
    cnc_home_turn(home, 0);
    ck_assert_uint_eq(b.runs, 0);
    cnc_home_timer_cancel(home, &b.timer);
    hand_ms = 2000;
    cnc_home_turn(home, 0);
    ck_assert_uint_eq(b.runs, 0);
    cnc_home_close(&home);
}
END_TEST

/* Descriptors and other tasks have their turn in between. */
START_TEST(a_timer_that_sets_itself_for_now_runs_once_a_turn)
{
    hand_ms = 1000;
    struct cnc_home *home = make(&hand, false);
    struct beat b = { .timer.fn = on_beat, .home = home };
    cnc_home_timer(home, &b.timer, 1000);
    for (unsigned i = 1; i <= 5; i++) {
        cnc_home_turn(home, -1);
        ck_assert_uint_eq(b.runs, i);
    }
    cnc_home_timer_cancel(home, &b.timer);
    cnc_home_close(&home);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(a_home_that_cannot_be_made_leaves_nothing)
{
    unsigned failed = 0;
    for (unsigned nth = 1;; nth++) {
        struct cnc_home *home = NULL;
        cnc_fault_arm(CNC_FAULT_ALLOC, nth, false);
        int rc = cnc_home_create(&home, &cnc_clock_system, sizeof *home, false);
        cnc_home_close(&home);
        if (rc == CONCUR_OK)
            break;
        ck_assert_int_eq(rc, CONCUR_E_NOMEM);
        failed++;
    }
    ck_assert_uint_eq(failed, 4); /* home, and three of the loop */
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("exec_home");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, posts_of_eight_threads_all_arrive_in_order);
    tcase_add_test(tests, close_runs_what_was_taken_and_refuses_the_rest);
    tcase_add_test(tests, a_post_after_close_is_refused);
    tcase_add_test(tests, deferred_tasks_run_in_order_and_new_ones_in_the_next_turn);
    tcase_add_test(tests, close_runs_what_is_queued_and_what_that_queues);
    tcase_add_test(tests, a_blocking_home_gets_its_loop_on_demand);
    tcase_add_test(tests, timers_run_when_due);
    tcase_add_test(tests, a_timer_that_sets_itself_for_now_runs_once_a_turn);
#ifdef CNC_FAULTS
    tcase_add_test(tests, a_home_that_cannot_be_made_leaves_nothing);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
