/* SPDX-License-Identifier: MIT */
#include "loop/loop.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sys.h"

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

struct pair_of {
    struct cnc_tick tick;
    struct counted *other;
};

static void set_other(struct cnc_tick *tick)
{
    struct pair_of *p = (struct pair_of *)tick;
    cnc_tick_at(p->other->loop, &p->other->tick, cnc_loop_now(p->other->loop) + 10);
}

/* One that runs may set another one, whether that stands before it or behind it. */
START_TEST(a_tick_sets_another_one)
{
    struct counted before, behind;
    struct pair_of p;
    hand_ms = 4999;
    struct cnc_loop *loop = make(&hand);
    add(&behind, loop, -1);
    p = (struct pair_of){ .other = _i ? &before : &behind };
    cnc_tick_init(loop, &p.tick, set_other);
    add(&before, loop, -1);
    cnc_tick_at(loop, &p.tick, 5000);
    hand_ms = 5000;
    cnc_loop_turn(loop, -1); /* the timer has fired */
    ck_assert_uint_eq(p.other->ran, 0);
    hand_ms = 5010;
    cnc_loop_turn(loop, -1);
    ck_assert_uint_eq(p.other->ran, 1);
    cnc_tick_deinit(loop, &before.tick);
    cnc_tick_deinit(loop, &p.tick);
    cnc_tick_deinit(loop, &behind.tick);
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

/* ---- what has run out ---- */

static int files_open(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Fills every number below the limit but `left` of them. */
static void leave_free(unsigned left)
{
    struct rlimit limit;
    int fds[256], n = 0;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while ((fds[n] = dup(0)) >= 0)
        n++;
    ck_assert_int_gt(n, (int)left);
    for (unsigned i = 0; i < left; i++) /* anywhere */
        close(fds[(i * 7 + 3) % (unsigned)n]);
}

/* Who looks at the process when it ends needs some, too. */
static void lift_limit(void)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* With any number of free descriptors there is a loop or an error: libevent would end the process. */
START_TEST(too_few_descriptors_are_an_error)
{
    struct cnc_loop *loop = NULL;
    leave_free((unsigned)_i);
    int before = files_open();
    int rc = cnc_loop_create(&loop, &cnc_clock_system);
    if (rc == CONCUR_OK) {
        ck_assert_int_ge(_i, 5);
        cnc_loop_wake(loop);
        ck_assert_int_eq(cnc_loop_turn(loop, -1), CONCUR_OK);
        cnc_loop_destroy(&loop);
    } else {
        ck_assert_int_eq(rc, CONCUR_E_SYS);
        ck_assert_ptr_nonnull(strstr(cnc_error_text(), strerror(EMFILE)));
        ck_assert_int_lt(_i, 5 + CNC_FILES_SPARE);
    }
    ck_assert_int_eq(files_open(), before);
    lift_limit();
}
END_TEST

enum { GRABBERS = 3, GRABBED = 4, TRIES = 600 };

static atomic_bool is_over;

/* As the library's threads do: some of what is free is taken, and given back. */
static void *grab_main(void *arg)
{
    int fds[GRABBED];
    (void)arg;
    while (!atomic_load(&is_over)) {
        int n = 0;
        while (n < GRABBED && (fds[n] = cnc_sys_eventfd()) >= 0)
            n++;
        while (n > 0)
            cnc_sys_close(&fds[--n]);
    }
    return NULL;
}

/* Threads that take all there is cannot get between the look and libevent. */
START_TEST(the_librarys_threads_take_none_of_them)
{
    pthread_t threads[GRABBERS];
    unsigned made = 0;
    leave_free(5 + CNC_FILES_SPARE + GRABBERS + GRABBED); /* enough while some of them hold little */
    for (int i = 0; i < GRABBERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, grab_main, NULL), 0);
    for (int i = 0; i < TRIES; i++) {
        struct cnc_loop *loop = NULL;
        int rc = cnc_loop_create(&loop, &cnc_clock_system);
        ck_assert(rc == CONCUR_OK || rc == CONCUR_E_SYS);
        made += rc == CONCUR_OK;
        if (rc == CONCUR_OK)
            cnc_loop_destroy(&loop);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < GRABBERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_msg(made > 0 && made < TRIES, "%u of %d", made, TRIES);
}
END_TEST

/* Two threads that make loops do not count on the same descriptors. */
static void *make_main(void *arg)
{
    for (int i = 0; i < 200; i++) {
        struct cnc_loop *loop = NULL;
        if (cnc_loop_create(&loop, &cnc_clock_system) == CONCUR_OK)
            cnc_loop_destroy(&loop);
    }
    return arg;
}

START_TEST(loops_are_made_one_at_a_time)
{
    pthread_t threads[4];
    leave_free(5 + CNC_FILES_SPARE + 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, make_main, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

/* Descriptors 0, 1 and 2 are the program's, also when it has closed them: whatever opens next would get the first line of a log. */
START_TEST(low_numbers_stay_free)
{
    struct cnc_loop *loop = NULL;
    for (int fd = 0; fd < 3; fd++)
        if ((_i >> fd) & 1)
            close(fd);
    int rc = cnc_loop_create(&loop, &cnc_clock_system);
    int mine[2] = { cnc_sys_eventfd(), cnc_sys_socket(AF_UNIX, SOCK_STREAM) }, pair[2] = { -1, -1 };
    int made = cnc_sys_socketpair(pair);
    bool low = mine[0] < 3 || mine[1] < 3 || pair[0] < 3 || pair[1] < 3;
    for (int fd = 0; fd < 3; fd++)
        low = low || (((_i >> fd) & 1) && fcntl(fd, F_GETFD) >= 0);
    if (rc != CONCUR_OK || made < 0 || low) /* stdout may be closed */
        _exit(1);
    cnc_loop_destroy(&loop);
    _exit(0);
}
END_TEST

/* ---- what was closed ---- */

static void nothing(struct cnc_tick *tick)
{
    (void)tick;
}

/* A program closes a number that is not its own: whichever of the loop's it is, and whether it is another one's by now or not, the loop
 * says so at its next use. It neither waits for ever nor goes round and round. */
START_TEST(a_closed_descriptor_of_its_own_is_told)
{
    bool is_mine[64];
    int mine[8], n = 0, turns = 0, rc = CONCUR_OK, other = -1;
    struct cnc_tick tick;
    for (int fd = 0; fd < 64; fd++)
        is_mine[fd] = fcntl(fd, F_GETFD) < 0;
    struct cnc_loop *loop = make(&cnc_clock_system);
    for (int fd = 0; fd < 64; fd++)
        if (is_mine[fd] && fcntl(fd, F_GETFD) >= 0)
            mine[n++] = fd;
    ck_assert_int_eq(n, 5); /* eventfd, timerfd, epoll, and the pipe that nobody uses */
    cnc_tick_init(loop, &tick, nothing);
    ck_assert_int_eq(cnc_loop_turn(loop, 0), CONCUR_OK);
    int which = _i % 5;
    close(mine[which]);
    if (_i >= 5)
        other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (; turns < 6 && rc == CONCUR_OK; turns++) {
        pthread_t thread;
        cnc_tick_at(loop, &tick, cnc_loop_now(loop) + 5);
        ck_assert_int_eq(pthread_create(&thread, NULL, wake_main, loop), 0);
        rc = cnc_loop_turn(loop, 1000);
        pthread_join(thread, NULL);
    }
    ck_assert_msg(rc == (which < 3 ? CONCUR_E_SYS : CONCUR_OK), "descriptor %d of %d: %d", which, n, rc);
    if (rc < 0)
        ck_assert_int_eq(cnc_loop_turn(loop, -1), CONCUR_E_SYS); /* and again: nothing waits there any more */
    cnc_tick_deinit(loop, &tick);
    cnc_loop_destroy(&loop);
    close(other);
}
END_TEST

/* Nothing else wakes it but the time at which its timer should have fired. */
START_TEST(a_lost_timer_is_noticed_by_the_next_turn)
{
    struct cnc_tick tick;
    hand_ms = 1000;
    struct cnc_loop *loop = make(&hand);
    int timer = -1;
    for (int fd = 3; fd < 64 && timer < 0; fd++) {
        struct itimerspec t;
        timer = timerfd_gettime(fd, &t) == 0 ? fd : -1;
    }
    cnc_tick_init(loop, &tick, nothing);
    cnc_tick_at(loop, &tick, 1005);
    close(timer);
    hand_ms = 1010;
    cnc_loop_wake(loop);
    ck_assert_int_eq(cnc_loop_turn(loop, -1), CONCUR_E_SYS);
    cnc_tick_deinit(loop, &tick);
    cnc_loop_destroy(&loop);
}
END_TEST

START_TEST(whoever_drives_it_may_break_it)
{
    struct cnc_loop *loop = make(&cnc_clock_system);
    cnc_loop_break(loop, "no more");
    cnc_loop_break(loop, "the first reason counts");
    ck_assert_int_eq(cnc_loop_turn(loop, -1), CONCUR_E_SYS);
    ck_assert_ptr_nonnull(strstr(cnc_error_text(), "no more"));
    cnc_loop_destroy(&loop);
}
END_TEST

/* libevent would say a word on stderr about each of these. */
START_TEST(what_cannot_be_watched_is_refused_in_silence)
{
    char said[256] = "";
    int fds[2], err = dup(2), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), closed = dup(0);
    struct watched w = { 0 }, v = { 0 };
    struct cnc_loop *loop = make(&cnc_clock_system);
    ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    close(closed);
    ck_assert_int_ge(dup2(fds[1], 2), 0);
    cnc_io_init(loop, &w.io, file, on_io);
    int a = cnc_io_ask(loop, &w.io);
    cnc_io_init(loop, &w.io, closed, on_io);
    int b = cnc_io_ask(loop, &w.io);
    cnc_io_init(loop, &w.io, fds[0], on_io); /* two may wait for the same */
    cnc_io_init(loop, &v.io, fds[0], on_io);
    int c = cnc_io_ask(loop, &w.io), d = cnc_io_watch(loop, &w.io, CNC_IO_READ);
    int e = cnc_io_ask(loop, &v.io), f = cnc_io_watch(loop, &v.io, CNC_IO_READ);
    ck_assert_int_ge(dup2(err, 2), 0);
    ck_assert_int_lt(read(fds[0], said, sizeof said - 1), 0);
    ck_assert_int_eq(a, CONCUR_E_SYS);
    ck_assert_int_eq(b, CONCUR_E_SYS);
    ck_assert(c == CONCUR_OK && d == CONCUR_OK && e == CONCUR_OK && f == CONCUR_OK);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    cnc_loop_turn(loop, -1);
    ck_assert_uint_eq(w.calls, 1);
    ck_assert_uint_eq(v.calls, 1);
    ck_assert_int_eq(cnc_io_watch(loop, &w.io, 0), CONCUR_OK);
    ck_assert_int_eq(cnc_io_watch(loop, &v.io, 0), CONCUR_OK);
    cnc_loop_destroy(&loop);
    close(file);
    close(err);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(a_loop_that_cannot_be_made_leaves_nothing)
{
    static const enum cnc_fault_kind kinds[] = { CNC_FAULT_ALLOC, CNC_FAULT_OPEN };
    for (unsigned k = 0; k < 2; k++)
        for (unsigned nth = 1;; nth++) {
            struct cnc_loop *loop = NULL;
            int before = files_open();
            cnc_fault_arm(kinds[k], nth, false);
            int rc = cnc_loop_create(&loop, &cnc_clock_system);
            bool untouched = cnc_fault_count(kinds[k]) < nth;
            cnc_fault_arm(kinds[k], 0, false);
            ck_assert_int_eq(rc, untouched ? CONCUR_OK : k == 0 ? CONCUR_E_NOMEM : CONCUR_E_SYS);
            ck_assert_int_eq(loop != NULL, untouched);
            cnc_loop_destroy(&loop);
            ck_assert_int_eq(files_open(), before);
            if (untouched)
                break;
        }
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
    tcase_add_loop_test(tests, a_tick_sets_another_one, 0, 2);
    tcase_add_test(tests, a_tick_that_is_always_due_runs_once_a_turn);
    tcase_add_test(tests, the_wait_ends_at_the_earliest_of_ticks_and_limit);
    tcase_add_test(tests, time_is_read_once_a_turn);
    tcase_add_test(tests, descriptors_are_watched_for_what_is_asked);
    tcase_add_test(tests, a_descriptor_that_stays_ready_is_seen_once_a_turn);
    tcase_add_loop_test(tests, too_few_descriptors_are_an_error, 0, 16);
    tcase_add_test(tests, the_librarys_threads_take_none_of_them);
    tcase_add_test(tests, loops_are_made_one_at_a_time);
    tcase_add_loop_exit_test(tests, low_numbers_stay_free, 0, 1, 8);
    tcase_add_loop_test(tests, a_closed_descriptor_of_its_own_is_told, 0, 10);
    tcase_add_test(tests, a_lost_timer_is_noticed_by_the_next_turn);
    tcase_add_test(tests, whoever_drives_it_may_break_it);
    tcase_add_test(tests, what_cannot_be_watched_is_refused_in_silence);
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
