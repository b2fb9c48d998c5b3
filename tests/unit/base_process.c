/* SPDX-License-Identifier: MIT
 *
 * What the system says about processes.
 */
#include <check.h>
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/base.h"
#include "base/sys.h"

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int open_at(int fd)
{
    int any = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (any < 0 || (any != fd && dup2(any, fd) != fd))
        abort();
    if (any != fd)
        close(any);
    return fd;
}

/* In a process of its own: the exit status is the number of the first thing that is wrong. */
static int close_all_but(int *keep, unsigned n)
{
    static const int open_ones[] = { 3, 4, 5, 9, 10, 11, 100, 101, 255, 900 };
    int wanted[16];
    memcpy(wanted, keep, n * sizeof *keep);
    for (unsigned i = 0; i < CNC_COUNT(open_ones); i++)
        (void)open_at(open_ones[i]);
    cnc_sys_close_others(keep, n);
    for (int fd = 0; fd < 1024; fd++) {
        bool kept = fd < 3, was_open = fd < 3;
        for (unsigned i = 0; i < n; i++)
            kept = kept || wanted[i] == fd;
        for (unsigned i = 0; i < CNC_COUNT(open_ones); i++)
            was_open = was_open || open_ones[i] == fd;
        if (is_open(fd) != (kept && was_open))
            return 1;
    }
    return 0;
}

START_TEST(closes_all_others)
{
    static const struct {
        int keep[8];
        unsigned n;
    } cases[] = {
        { { 0 }, 0 },          { { 3 }, 1 },
        { { 900 }, 1 },        { { 900, 3, 101, 9, 100 }, 5 },
        { { 5, 5, 5 }, 3 },    { { -1, 4, -1 }, 3 }, /* what is not there is no trouble */
        { { 2, 1, 0, 10 }, 4 }, { { 700, 10, 9, 11 }, 4 }, /* 700 was never open */
    };
    for (unsigned i = 0; i < CNC_COUNT(cases); i++) {
        int status;
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            int keep[8];
            memcpy(keep, cases[i].keep, sizeof keep);
            _exit(close_all_but(keep, cases[i].n));
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(status == 0, "case %u", i);
    }
}
END_TEST

START_TEST(there_is_a_core)
{
    cpu_set_t all, one;
    unsigned n = cnc_sys_cores();
    ck_assert_uint_ge(n, 1);
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    ck_assert_uint_le(n, (unsigned)CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_uint_eq(cnc_sys_cores(), 1);
}
END_TEST

static pthread_barrier_t barrier;

static void *stand(void *arg)
{
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return arg;
}

START_TEST(threads_are_counted)
{
    enum { N = 5 };
    pthread_t threads[N];
    ck_assert_uint_eq(cnc_sys_thread_count(), 1);
    pthread_barrier_init(&barrier, NULL, N + 1);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, stand, NULL), 0);
    pthread_barrier_wait(&barrier);
    ck_assert_uint_eq(cnc_sys_thread_count(), N + 1);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 100000 && cnc_sys_thread_count() > 1; i++) /* a joined one may be listed a moment longer */
        sched_yield();
    ck_assert_uint_eq(cnc_sys_thread_count(), 1);
    pthread_barrier_destroy(&barrier);
}
END_TEST

START_TEST(waits_for_one_child_alone)
{
    int status;
    pid_t other = fork();
    if (other == 0)
        _exit(5);
    pid_t own = fork();
    ck_assert_int_ge(own, 0);
    if (own == 0)
        for (;;)
            (void)pause();
    ck_assert_int_eq(cnc_sys_waitpid(own, &status), 0);
    int fd = cnc_sys_pidfd(own);
    ck_assert_int_ge(fd, 0);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    ck_assert_int_eq(cnc_sys_poll(&p, 1, 0), 0);
    ck_assert_int_eq(cnc_sys_kill(-1, own, 0), 0);
    ck_assert_int_eq(cnc_sys_kill(fd, getpid(), SIGKILL), 0); /* the number alone hits nobody */
    ck_assert_int_eq(cnc_sys_poll(&p, 1, 60000), 1);
    ck_assert_int_eq(cnc_sys_waitpid(own, &status), own);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(cnc_sys_waitpid(own, &status), -1); /* it is nobody's now */
    ck_assert_int_eq(cnc_sys_kill(fd, own, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
    cnc_sys_close(&fd);
    ck_assert_int_eq(waitpid(other, &status, 0), other); /* and the other one was left alone */
    ck_assert_int_eq(WEXITSTATUS(status), 5);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(calls_can_fail)
{
    int pair[2] = { -1, -1 };
    cnc_fault_arm(CNC_FAULT_PROCESS, 1, false);
    ck_assert_int_eq(cnc_sys_fork(), -1);
    ck_assert_int_eq(errno, EAGAIN);
    cnc_fault_arm(CNC_FAULT_OPEN, 1, true);
    ck_assert_int_eq(cnc_sys_socketpair(pair), -1);
    ck_assert_int_eq(cnc_sys_pidfd(getpid()), -1);
    cnc_fault_arm(CNC_FAULT_OPEN, 0, false);
    ck_assert_int_eq(pair[0], -1);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("base_process");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, closes_all_others);
    tcase_add_test(tests, there_is_a_core);
    tcase_add_test(tests, threads_are_counted);
    tcase_add_test(tests, waits_for_one_child_alone);
#ifdef CNC_FAULTS
    tcase_add_test(tests, calls_can_fail);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
