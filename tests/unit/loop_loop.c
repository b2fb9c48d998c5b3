/* SPDX-License-Identifier: MIT */
#include "loop/loop.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"

static int64_t hand_ms;

static int64_t hand_now(void *arg)
{
    (void)arg;
    return hand_ms;
}

static const struct cnc_clock hand = { .now_ms = hand_now, .wall_s = hand_now };

static struct cnc_loop *make(const struct cnc_clock *clock)
{
    struct cnc_loop *loop = NULL;
    ck_assert_int_eq(cnc_loop_create(&loop, clock), CONCUR_OK);
    return loop;
}

/* ---- waking ---- */

static void *wake_main(void *arg)
{
    cnc_loop_wake(arg);
    return NULL;
}

/* Each turn waits without limit: a wake-up that is lost hangs the test. */
START_TEST(another_thread_ends_the_wait)
{
    struct cnc_loop *loop = make(&cnc_clock_system);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, wake_main, loop), 0);
        cnc_loop_turn(loop, -1);
        pthread_join(thread, NULL);
    }
    cnc_loop_destroy(&loop);
    ck_assert_ptr_null(loop);
}
END_TEST

START_TEST(a_wake_before_the_wait_counts_and_many_count_once)
{
    struct cnc_loop *loop = make(&cnc_clock_system);
    for (int i = 0; i < 1000; i++)
        cnc_loop_wake(loop);
    cnc_loop_turn(loop, -1);
    int64_t before = cnc_clock_now(&cnc_clock_system);
    cnc_loop_turn(loop, 30); /* nothing is left of them: this one waits */
    ck_assert_int_ge(cnc_clock_now(&cnc_clock_system) - before, 28);
    cnc_loop_destroy(&loop);
}
END_TEST

static struct cnc_loop *of_signal;
static volatile sig_atomic_t handled;

static void on_signal(int number)
{
    (void)number;
    handled = 1;
    cnc_loop_wake(of_signal);
}

static void *raise_main(void *arg)
{
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
    return NULL;
}

START_TEST(a_signal_handler_ends_the_wait)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    of_signal = make(&cnc_clock_system);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    for (int i = 0; i < 50; i++) {
        pthread_t self = pthread_self(), thread;
        handled = 0;
        ck_assert_int_eq(pthread_create(&thread, NULL, raise_main, &self), 0);
        while (!handled)
            cnc_loop_turn(of_signal, -1);
        pthread_join(thread, NULL);
    }
    cnc_loop_destroy(&of_signal);
}
END_TEST

/* ---- ticks ---- */

struct counted {
    struct cnc_tick tick;
    struct cnc_loop *loop;
    unsigned ran;
    int64_t again; /* > 0: sets itself so much later */
};

static void on_tick(struct cnc_tick *tick)
{
    struct counted *c = (struct counted *)tick;
    c->ran++;
    if (c->again >= 0)
        cnc_tick_at(c->loop, tick, cnc_loop_now(c->loop) + c->again);
}

static void add(struct counted *c, struct cnc_loop *loop, int64_t again)
{
    *c = (struct counted){ .loop = loop, .again = again };
    cnc_tick_init(loop, &c->tick, on_tick);
}

START_TEST(ticks_run_when_due_and_once)
{
    struct counted a, b;
    hand_ms = 5000;
    struct cnc_loop *loop = make(&hand);
    add(&a, loop, -1);
    add(&b, loop, -1);
    cnc_tick_at(loop, &a.tick, 5010);
    cnc_tick_at(loop, &b.tick, 5020);
    cnc_tick_at(loop, &b.tick, 5030); /* later than it already was: no change */
    cnc_loop_turn(loop, 0);
    ck_assert_uint_eq(a.ran + b.ran, 0);
    hand_ms = 5009;
    cnc_loop_turn(loop, 0);
    ck_assert_uint_eq(a.ran, 0);
    hand_ms = 5010;
    cnc_loop_turn(loop, 0);
    ck_assert_uint_eq(a.ran, 1);
    ck_assert_uint_eq(b.ran, 0);
    hand_ms = 5020;
    cnc_loop_turn(loop, 0);
    cnc_loop_turn(loop, 0);
    ck_assert_uint_eq(a.ran, 1);
    ck_assert_uint_eq(b.ran, 1);
    cnc_tick_at(loop, &a.tick, 5025);
    cnc_tick_deinit(loop, &a.tick);
    hand_ms = 6000;
    cnc_loop_turn(loop, 0);
    ck_assert_uint_eq(a.ran, 1);
    cnc_tick_deinit(loop, &b.tick);
    cnc_loop_destroy(&loop);
}
END_TEST

START_TEST(a_tick_that_is_always_due_runs_once_a_turn)
{
    struct counted a;
    hand_ms = 1;
    struct cnc_loop *loop = make(&hand);
    add(&a, loop, 0);
    cnc_tick_at(loop, &a.tick, 1);
    for (unsigned i = 1; i <= 10; i++) {
        cnc_loop_turn(loop, -1); /* due: there is no wait */
        ck_assert_uint_eq(a.ran, i);
    }
    cnc_tick_deinit(loop, &a.tick);
    cnc_loop_destroy(&loop);
}
END_TEST

START_TEST(the_wait_ends_at_the_earliest_of_ticks_and_limit)
{
    struct counted a;
    struct cnc_loop *loop = make(&cnc_clock_system);
    add(&a, loop, -1);
    int64_t began = cnc_clock_now(&cnc_clock_system);
    cnc_tick_at(loop, &a.tick, began + 40);
    cnc_loop_turn(loop, 10);
    ck_assert_uint_eq(a.ran, 0);
    ck_assert_int_ge(cnc_clock_now(&cnc_clock_system), began + 9);
    while (!a.ran)
        cnc_loop_turn(loop, -1);
    ck_assert_int_ge(cnc_clock_now(&cnc_clock_system), began + 40);
    ck_assert_int_lt(cnc_clock_now(&cnc_clock_system), began + 5000);
    cnc_tick_deinit(loop, &a.tick);
    cnc_loop_destroy(&loop);
}
END_TEST

START_TEST(time_is_read_once_a_turn)
{
    hand_ms = 100;
    struct cnc_loop *loop = make(&hand);
    cnc_loop_turn(loop, 0);
    ck_assert_int_eq(cnc_loop_now(loop), 100);
    hand_ms = 200;
    ck_assert_int_eq(cnc_loop_now(loop), 100);
    cnc_loop_turn(loop, 0);
    ck_assert_int_eq(cnc_loop_now(loop), 200);
    ck_assert_int_eq(cnc_loop_turn_began(loop), 200);
    cnc_loop_destroy(&loop);
}
END_TEST

/* ---- descriptors ---- */

struct watched {
    struct cnc_io io;
    unsigned ready, calls;
};

static void on_io(struct cnc_io *io, unsigned ready)
{
    struct watched *w = (struct watched *)io;
    w->ready = ready;
    w->calls++;
}

static unsigned look(struct cnc_loop *loop, struct watched *w)
{
    w->ready = 0;
    cnc_loop_turn(loop, 0);
    return w->ready;
}

START_TEST(descriptors_are_watched_for_what_is_asked)
{
    int fds[2];
    struct watched w = { 0 };
    struct cnc_loop *loop = make(&cnc_clock_system);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cnc_io_init(loop, &w.io, fds[0], on_io);
    ck_assert_int_eq(cnc_io_fd(&w.io), fds[0]);
    ck_assert_uint_eq(look(loop, &w), 0);
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, CNC_IO_WRITE), CONCUR_OK);
    ck_assert_uint_eq(look(loop, &w), CNC_IO_WRITE);
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, CNC_IO_READ), CONCUR_OK);
    ck_assert_uint_eq(look(loop, &w), 0);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ck_assert_uint_eq(look(loop, &w), CNC_IO_READ);
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, CNC_IO_READ | CNC_IO_WRITE), CONCUR_OK);
    ck_assert_uint_eq(look(loop, &w), CNC_IO_READ | CNC_IO_WRITE);
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, 0), CONCUR_OK);
    ck_assert_uint_eq(look(loop, &w), 0);
    /* The end is seen behind data that nobody reads. */
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, CNC_IO_CLOSED), CONCUR_OK);
    ck_assert_uint_eq(look(loop, &w), 0);
    ck_assert_int_eq(shutdown(fds[1], SHUT_WR), 0);
    ck_assert_uint_eq(look(loop, &w), CNC_IO_CLOSED);
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, 0), CONCUR_OK);
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, CNC_IO_CLOSED | CNC_IO_WRITE), CONCUR_OK);
    ck_assert_uint_eq(look(loop, &w), CNC_IO_CLOSED | CNC_IO_WRITE); /* as well when it came before the watch */
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, 0), CONCUR_OK);
    cnc_loop_destroy(&loop);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

/* A turn that waits for nothing is over after one look, even if a descriptor stays ready: queued tasks come next. */
START_TEST(a_descriptor_that_stays_ready_is_seen_once_a_turn)
{
    int fds[2];
    struct watched w = { 0 };
    struct cnc_loop *loop = make(&cnc_clock_system);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cnc_io_init(loop, &w.io, fds[0], on_io);
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, CNC_IO_WRITE), CONCUR_OK);
    for (unsigned i = 1; i <= 3; i++) {
        cnc_loop_turn(loop, i == 2 ? -1 : 0);
        ck_assert_uint_eq(w.calls, i);
    }
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, 0), CONCUR_OK);
    cnc_loop_destroy(&loop);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(a_loop_that_cannot_be_made_leaves_nothing)
{
    struct cnc_loop *loop = NULL;
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, false);
    ck_assert_int_eq(cnc_loop_create(&loop, &cnc_clock_system), CONCUR_E_NOMEM);
    for (unsigned nth = 1; nth <= 2; nth++) { /* the eventfd, the event base */
        cnc_fault_arm(CNC_FAULT_OPEN, nth, false);
        ck_assert_int_eq(cnc_loop_create(&loop, &cnc_clock_system), CONCUR_E_SYS);
        ck_assert_ptr_null(loop);
    }
    cnc_fault_arm(CNC_FAULT_OPEN, 0, false);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("loop_loop");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, another_thread_ends_the_wait);
    tcase_add_test(tests, a_wake_before_the_wait_counts_and_many_count_once);
    tcase_add_test(tests, a_signal_handler_ends_the_wait);
    tcase_add_test(tests, ticks_run_when_due_and_once);
    tcase_add_test(tests, a_tick_that_is_always_due_runs_once_a_turn);
    tcase_add_test(tests, the_wait_ends_at_the_earliest_of_ticks_and_limit);
    tcase_add_test(tests, time_is_read_once_a_turn);
    tcase_add_test(tests, descriptors_are_watched_for_what_is_asked);
    tcase_add_test(tests, a_descriptor_that_stays_ready_is_seen_once_a_turn);
#ifdef CNC_FAULTS
    tcase_add_test(tests, a_loop_that_cannot_be_made_leaves_nothing);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
