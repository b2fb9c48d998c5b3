/* SPDX-License-Identifier: MIT */
#include "conn/acceptor.h"

#include <sys/resource.h>

#include "base/error.h"
#include "base/fault.h"
#include "conn_rig.h"

static struct rig rig;
static struct cnc_acceptor acceptor;
static atomic_uint open_now;
static unsigned warnings, passed_on;
static int listener, warned_err;
static struct sockaddr_in where;

static void on_warn(void *arg, const char *what, int err)
{
    (void)arg;
    ck_assert_str_ne(what, "");
    warnings++;
    warned_err = err;
}

static void on_pass_on(void *arg)
{
    (void)arg;
    passed_on++;
}

static void on_closed(struct cnc_driver *drv)
{
    rig_on_closed(drv);
    atomic_fetch_sub(&open_now, 1);
    cnc_acceptor_nudge(&acceptor);
}

static bool exclusive; /* other processes accept too; for the next start */

static void start(unsigned batch, unsigned connections_max)
{
    socklen_t len = sizeof where;
    rig_init(&rig, false);
    rig.ops.closed = on_closed;
    atomic_store(&open_now, 0);
    warnings = passed_on = 0;
    where = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&where, sizeof where), 0);
    ck_assert_int_eq(listen(listener, 64), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&where, &len), 0);
    struct cnc_acceptor_config cfg = { .batch = batch, .connections_max = connections_max, .open = &open_now,
                                       .warn = on_warn,
                                       .pass_on = on_pass_on, .exclusive = exclusive };
    struct cnc_accept_from from = { listener, { .non_blocking = true } };
    ck_assert_int_eq(cnc_acceptor_init(&acceptor, &rig.drv, &cfg, &from, 1), CONCUR_OK);
    ck_assert_int_eq(cnc_acceptor_start(&acceptor), CONCUR_OK);
}

static void end(void)
{
    cnc_acceptor_deinit(&acceptor);
    rig_deinit(&rig);
    ck_assert_uint_eq(open_now, 0);
    close(listener);
}

/* Blocking: the connection is in the listener's queue when this returns. */
static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
    return fd;
}

static void ask(int fd)
{
    static const char request[] = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[512];
    ck_assert_int_eq(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    unsigned begun = rig.begun;
    while (rig.begun == begun)
        cnc_home_turn(rig.home, -1);
    rig_turn(&rig);
    ck_assert_int_gt(recv(fd, answer, sizeof answer, 0), 0);
    ck_assert(rig_is_status(answer, "200"));
}

static void expect_served_after_pause(int fd)
{
    rig_pass(&rig, 60);
    rig_turn(&rig);
    ask(fd);
    close(fd);
    end();
}

START_TEST(a_wake_accepts_up_to_its_budget)
{
    enum { CLIENTS = 10, BATCH = 4 };
    int fds[CLIENTS];
    start(BATCH, 100);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = dial();
    for (unsigned i = 1; i <= 3; i++) {
        cnc_home_turn(rig.home, 0);
        ck_assert_uint_eq(acceptor.accepted, i * BATCH < CLIENTS ? i * BATCH : CLIENTS);
    }
    ck_assert_uint_eq(open_now, CLIENTS);
    ck_assert_uint_eq(rig.drv.count, CLIENTS);
    ask(fds[CLIENTS - 1]);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    end();
}
END_TEST

START_TEST(at_the_maximum_idle_ones_go_or_accepting_pauses)
{
    int fds[3];
    start(8, 2);
    for (int i = 0; i < 3; i++)
        fds[i] = dial();
    rig_turn(&rig);
    ck_assert_uint_eq(acceptor.accepted, 2);
    ck_assert(acceptor.paused);
    ck_assert_uint_eq(warnings, 1);
    rig_pass(&rig, 60); /* tries again, in vain, and says nothing for a second */
    rig_turn(&rig);
    ck_assert(acceptor.paused);
    ck_assert_uint_ge(acceptor.pauses, 2);
    ck_assert_uint_eq(warnings, 1);
    ask(fds[0]);
    rig_pass(&rig, 1000); /* idle for a second: it may go */
    rig_turn(&rig);
    ck_assert_uint_eq(acceptor.accepted, 3);
    ck_assert_uint_eq(open_now, 2);
    ask(fds[2]);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    end();
}
END_TEST

/* A descriptor that becomes free ends the pause at once; time has not moved. */
START_TEST(a_connection_that_closes_ends_the_pause)
{
    start(8, 1);
    int a = dial(), b = dial();
    rig_turn(&rig);
    ck_assert(acceptor.paused);
    close(a);
    while (acceptor.accepted < 2)
        cnc_home_turn(rig.home, -1);
    ask(b);
    ck_assert_uint_le(acceptor.pauses, 2); /* full again now */
    close(b);
    end();
}
END_TEST

/* Nobody asks in vain again and again: the loop says that it is of no use. */
START_TEST(a_socket_that_cannot_accept_breaks_the_loop)
{
    start(8, 100);
    ck_assert_int_eq(shutdown(listener, SHUT_RDWR), 0);
    ck_assert_int_eq(cnc_home_turn(rig.home, 0), CONCUR_E_SYS);
    ck_assert_ptr_nonnull(strstr(cnc_error_text(), "a listening socket was closed"));
    ck_assert_uint_eq(acceptor.pauses, 1);
    ck_assert_uint_eq(warnings, 1);
    ck_assert_int_eq(warned_err, EINVAL);
    end();
}
END_TEST

/* The socket goes on, since somebody else has it as well: only the number is closed, and may be another one's by now. */
START_TEST(a_number_that_was_closed_breaks_the_loop)
{
    start(8, 100);
    int copy = dup(listener), other = -1;
    ck_assert_int_eq(close(listener), 0);
    if (_i == 1)
        other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int a = dial();
    ck_assert_int_eq(cnc_home_turn(rig.home, -1), CONCUR_E_SYS);
    ck_assert_ptr_nonnull(strstr(cnc_error_text(), "a listening socket was closed"));
    close(a);
    close(other);
    listener = copy;
    end();
}
END_TEST

/* Every try fails, and nothing is open whose end could help: two seconds of that are enough. With a connection here, or one that can
 * be accepted in between, there is hope. */
START_TEST(who_can_accept_nothing_breaks_the_loop)
{
    struct rlimit usual, few;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    start(8, 100);
    int first = _i == 1 ? dial() : -1, waits = dial();
    if (_i == 1)
        while (acceptor.accepted < 1)
            rig_turn(&rig);
    few = usual;
    few.rlim_cur = 3;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    int rc = CONCUR_OK;
    for (int ms = 0; ms < 1900; ms += 50) {
        rc = cnc_home_turn(rig.home, 0);
        rig.ms += 50;
        ck_assert_int_eq(rc, CONCUR_OK);
    }
    if (_i == 2) { /* there is room again, just in time */
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
        rig_turn(&rig);
        ck_assert_uint_eq(acceptor.accepted, 1);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    }
    for (int ms = 0; ms < 500 && rc == CONCUR_OK; ms += 50) {
        rc = cnc_home_turn(rig.home, 0);
        rig.ms += 50;
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    ck_assert_int_eq(rc, _i == 0 ? CONCUR_E_SYS : CONCUR_OK);
    close(first);
    close(waits);
    end();
}
END_TEST

/* Those that connect and never ask keep nobody out who would. */
START_TEST(silent_ones_make_room)
{
    start(8, 2);
    rig.limits.class_ms[CNC_CLASS_FRESH] = 60000;
    int a = dial(), b = dial(), c = dial();
    rig_turn(&rig);
    ck_assert_uint_eq(acceptor.accepted, 2);
    ck_assert(acceptor.paused);
    rig_pass(&rig, 900);
    ck_assert_uint_eq(acceptor.accepted, 2); /* their requests may be under way */
    ask(b);
    rig_pass(&rig, 100);
    rig_pass(&rig, 50);
    ck_assert_uint_eq(acceptor.accepted, 3);
    char byte;
    ck_assert_int_eq(recv(a, &byte, 1, MSG_DONTWAIT), 0);
    ask(c);
    ask(b);
    close(a);
    close(b);
    close(c);
    end();
}
END_TEST

START_TEST(without_descriptors_accepting_pauses_and_comes_back)
{
    struct rlimit before, none;
    start(8, 100);
    int a = dial(), b = dial();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3; /* fewer than are open */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    rig_turn(&rig);
    ck_assert_uint_eq(acceptor.accepted, 0);
    ck_assert_uint_eq(acceptor.pauses, 1); /* no spinning: one try for four turns */
    ck_assert_uint_eq(warnings, 1);
    ck_assert_int_eq(warned_err, EMFILE);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    rig_turn(&rig);
    ck_assert_uint_eq(acceptor.accepted, 0);
    rig_pass(&rig, 50);
    ck_assert_uint_eq(acceptor.accepted, 2);
    ask(a);
    ask(b);
    close(a);
    close(b);
    end();
}
END_TEST

/* The kernel has told this process alone of the first one, and others too of those that come while it cannot. */
START_TEST(what_it_cannot_take_is_passed_on_once)
{
    struct rlimit before;
    exclusive = true;
    start(8, 100);
    exclusive = false;
    int a = dial();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = { 0, before.rlim_max };
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    rig_turn(&rig);
    ck_assert_uint_eq(passed_on, 1);
    for (int i = 0; i < 3; i++) {
        rig_pass(&rig, 60);
        rig_turn(&rig);
    }
    ck_assert_uint_ge(acceptor.pauses, 3);
    ck_assert_uint_eq(passed_on, 1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    expect_served_after_pause(a);
}
END_TEST

/* It sleeps on what another one was told of; a look finds it. */
START_TEST(a_look_finds_what_another_one_did_not_take)
{
    exclusive = _i;
    start(8, 100);
    exclusive = false;
    cnc_acceptor_look(&acceptor); /* nothing is there */
    rig_turn(&rig);
    ck_assert_uint_eq(acceptor.accepted, 0);
    int a = dial();
    cnc_acceptor_look(&acceptor);
    rig_turn(&rig);
    ask(a);
    cnc_acceptor_stop(&acceptor);
    int b = dial();
    cnc_acceptor_look(&acceptor); /* who has stopped accepting takes nothing */
    rig_turn(&rig);
    ck_assert_uint_eq(acceptor.accepted, 1);
    close(a);
    close(b);
    end();
}
END_TEST

START_TEST(stopped_means_no_more_accepts)
{
    start(8, 1);
    int a = dial(), b = dial();
    rig_turn(&rig);
    ck_assert(acceptor.paused);
    cnc_acceptor_stop(&acceptor);
    close(a);
    rig_pass(&rig, 1000);
    ck_assert_uint_eq(acceptor.accepted, 1);
    ck_assert_int_eq(cnc_acceptor_start(&acceptor), CONCUR_OK);
    while (acceptor.accepted < 2)
        cnc_home_turn(rig.home, -1);
    close(b);
    end();
}
END_TEST

#ifdef CNC_FAULTS
/* Who begins late, and cannot watch its sockets then, accepts a little later. */
START_TEST(a_late_beginning_is_tried_again)
{
    start(8, 100);
    cnc_acceptor_stop(&acceptor);
    cnc_fault_arm(CNC_FAULT_WAIT, 1, false);
    cnc_acceptor_begin(&acceptor);
    ck_assert(acceptor.paused);
    ck_assert_uint_eq(warnings, 1);
    int a = dial();
    expect_served_after_pause(a);
}
END_TEST

START_TEST(faults_cost_a_pause_at_most)
{
    static const enum cnc_fault_kind kinds[] = { CNC_FAULT_ALLOC, CNC_FAULT_OPEN, CNC_FAULT_WAIT };
    for (unsigned k = 0; k < CNC_COUNT(kinds); k++)
        for (unsigned nth = 1;; nth++) {
            start(8, 100);
            int a = dial();
            cnc_fault_arm(kinds[k], nth, false);
            rig_turn(&rig);
            bool untouched = cnc_fault_count(kinds[k]) < nth;
            cnc_fault_arm(kinds[k], 0, false);
            rig_pass(&rig, 50);
            ck_assert_uint_le(acceptor.pauses, 1);
            int b = dial();
            rig_turn(&rig);
            ask(b); /* whatever happened to the first: the next one is served */
            close(a);
            close(b);
            end();
            if (untouched)
                break;
        }
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("conn_acceptor");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 20);
    tcase_add_test(tests, a_wake_accepts_up_to_its_budget);
    tcase_add_test(tests, at_the_maximum_idle_ones_go_or_accepting_pauses);
    tcase_add_test(tests, a_connection_that_closes_ends_the_pause);
    tcase_add_test(tests, silent_ones_make_room);
    tcase_add_test(tests, without_descriptors_accepting_pauses_and_comes_back);
    tcase_add_test(tests, a_socket_that_cannot_accept_breaks_the_loop);
    tcase_add_loop_test(tests, a_number_that_was_closed_breaks_the_loop, 0, 2);
    tcase_add_loop_test(tests, who_can_accept_nothing_breaks_the_loop, 0, 3);
    tcase_add_test(tests, stopped_means_no_more_accepts);
    tcase_add_test(tests, what_it_cannot_take_is_passed_on_once);
    tcase_add_loop_test(tests, a_look_finds_what_another_one_did_not_take, 0, 2);
#ifdef CNC_FAULTS
    tcase_add_test(tests, a_late_beginning_is_tried_again);
    tcase_add_test(tests, faults_cost_a_pause_at_most);
#endif
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
