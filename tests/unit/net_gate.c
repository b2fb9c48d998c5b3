/* SPDX-License-Identifier: MIT
 *
 * The gate: which of the things it waits for is ready, and whom the kernel wakes.
 */
#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "base/error.h"
#include "base/sys.h"
#include "net/gate.h"

enum { LISTENERS = 2 };

static int listeners[LISTENERS], other;
static struct sockaddr_in at[LISTENERS];

static void set_up(void)
{
    for (int i = 0; i < LISTENERS; i++) {
        socklen_t n = sizeof at[i];
        at[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ck_assert_int_ge(listeners[i], 0);
        ck_assert_int_eq(bind(listeners[i], (struct sockaddr *)&at[i], n), 0);
        ck_assert_int_eq(listen(listeners[i], 16), 0);
        ck_assert_int_eq(getsockname(listeners[i], (struct sockaddr *)&at[i], &n), 0);
    }
    other = cnc_sys_eventfd();
}

static void tear_down(void)
{
    for (int i = 0; i < LISTENERS; i++)
        cnc_sys_close(&listeners[i]);
    cnc_sys_close(&other);
}

static int connect_to(int i)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at[i], sizeof at[i]), 0);
    return fd;
}

static bool take(int i)
{
    int fd = accept4(listeners[i], NULL, NULL, SOCK_CLOEXEC);
    bool got = fd >= 0;
    cnc_sys_close(&fd);
    return got;
}

START_TEST(tells_which_is_ready)
{
    struct cnc_gate gate;
    ck_assert_int_eq(cnc_gate_open(&gate, listeners, LISTENERS, &other, 1), CONCUR_OK);
    ck_assert_int_eq(cnc_gate_wait(&gate, 0), -1);
    for (int i = 0; i < LISTENERS; i++) {
        int fd = connect_to(i);
        ck_assert_int_eq(cnc_gate_wait(&gate, -1), i);
        ck_assert_int_eq(cnc_gate_wait(&gate, -1), i); /* until somebody takes it */
        ck_assert(take(i));
        ck_assert_int_eq(cnc_gate_wait(&gate, 0), -1);
        close(fd);
    }
    cnc_sys_eventfd_raise(other);
    ck_assert_int_eq(cnc_gate_wait(&gate, -1), LISTENERS);
    cnc_sys_eventfd_clear(other);
    ck_assert_int_eq(cnc_gate_wait(&gate, 0), -1);
    cnc_gate_close(&gate);
    cnc_gate_close(&gate);
}
END_TEST

enum { WAITERS = 4, CALLS = 12 };

/* Waits at a gate of its own and takes what comes, until it is told to end; returns how often it was woken for nothing. */
static int wait_and_take(int go)
{
    struct cnc_gate gate;
    int in_vain = 0;
    char c = 'r';
    if (cnc_gate_open(&gate, listeners, LISTENERS, &other, 1) < 0 || write(go, &c, 1) != 1)
        return 100;
    for (;;) {
        int i = cnc_gate_wait(&gate, -1);
        if (i == LISTENERS)
            return in_vain;
        if (i < 0 || !take(i))
            in_vain++;
        else if (write(go, &c, 1) != 1)
            return 101;
    }
}

/* Each connection wakes one of those that wait, or few; not all of them. */
START_TEST(a_connection_wakes_one)
{
    int done[2], fds[CALLS], in_vain = 0, status;
    pid_t pids[WAITERS];
    char c;
    ck_assert_int_eq(pipe2(done, O_CLOEXEC), 0);
    for (int i = 0; i < WAITERS; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0)
            _exit(wait_and_take(done[1]));
    }
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(read(done[0], &c, 1), 1);
    for (int i = 0; i < CALLS; i++) {
        fds[i] = connect_to(i % LISTENERS);
        ck_assert_int_eq(read(done[0], &c, 1), 1);
    }
    cnc_sys_eventfd_raise(other);
    for (int i = 0; i < WAITERS; i++) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert(WIFEXITED(status));
        in_vain += WEXITSTATUS(status);
    }
    ck_assert_msg(in_vain < CALLS * (WAITERS - 1), "%d", in_vain); /* all of them for each would be that many */
    for (int i = 0; i < CALLS; i++)
        close(fds[i]);
    close(done[0]);
    close(done[1]);
}
END_TEST

struct waiter {
    struct cnc_gate gate;
    pthread_t thread;
    atomic_int got; /* what it waited for; -2: it waits */
};

static void *wait_at(void *arg)
{
    struct waiter *w = arg;
    atomic_store(&w->got, cnc_gate_wait(&w->gate, -1));
    return NULL;
}

static bool sleeps(pthread_t thread)
{
    struct timespec before, after;
    clockid_t clock;
    ck_assert_int_eq(pthread_getcpuclockid(thread, &clock), 0);
    ck_assert_int_eq(clock_gettime(clock, &before), 0);
    (void)poll(NULL, 0, 5);
    ck_assert_int_eq(clock_gettime(clock, &after), 0);
    return before.tv_sec == after.tv_sec && before.tv_nsec == after.tv_nsec && before.tv_nsec > 0;
}

/* The kernel wakes one of two, which takes nothing: the other one sleeps on until it is to look. */
START_TEST(a_look_finds_what_another_one_did_not_take)
{
    struct waiter two[2];
    for (int i = 0; i < 2; i++) {
        atomic_store(&two[i].got, -2);
        ck_assert_int_eq(cnc_gate_open(&two[i].gate, listeners, LISTENERS, &other, 1), CONCUR_OK);
        ck_assert_int_eq(pthread_create(&two[i].thread, NULL, wait_at, &two[i]), 0);
    }
    while (!sleeps(two[0].thread) || !sleeps(two[1].thread))
        continue;
    int fd = connect_to(1);
    while (atomic_load(&two[0].got) == -2 && atomic_load(&two[1].got) == -2)
        (void)poll(NULL, 0, 1);
    struct waiter *asleep = atomic_load(&two[0].got) == -2 ? &two[0] : &two[1];
    ck_assert_int_eq(atomic_load(&two[asleep == two].got), 1);
    ck_assert(cnc_gate_look(&asleep->gate, listeners, 1)); /* nothing waits at the first one */
    ck_assert(sleeps(asleep->thread));
    ck_assert(cnc_gate_look(&asleep->gate, listeners, LISTENERS));
    for (int i = 0; i < 2; i++) {
        pthread_join(two[i].thread, NULL);
        ck_assert_int_eq(atomic_load(&two[i].got), 1);
        cnc_gate_close(&two[i].gate);
    }
    ck_assert(take(1));
    close(fd);
}
END_TEST

START_TEST(what_cannot_be_watched_is_told)
{
    struct cnc_gate gate;
    int bad[1] = { -1 };
    ck_assert_int_eq(cnc_gate_open(&gate, bad, 1, &other, 1), CONCUR_E_SYS);
    ck_assert_int_eq(gate.epoll, -1);
    ck_assert_ptr_nonnull(strstr(cnc_error_text(), "cannot wait for connections: "));
#ifdef CNC_FAULTS
    cnc_fault_arm(CNC_FAULT_OPEN, 1, false);
    ck_assert_int_eq(cnc_gate_open(&gate, listeners, LISTENERS, &other, 1), CONCUR_E_SYS);
    cnc_fault_arm(CNC_FAULT_OPEN, 0, false);
    cnc_fault_arm(CNC_FAULT_WAIT, 3, false);
    ck_assert_int_eq(cnc_gate_open(&gate, listeners, LISTENERS, &other, 1), CONCUR_E_SYS);
    ck_assert_int_eq(gate.epoll, -1);
    cnc_fault_arm(CNC_FAULT_WAIT, 0, false);
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net_gate");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, tells_which_is_ready);
    tcase_add_test(tests, a_connection_wakes_one);
    tcase_add_test(tests, a_look_finds_what_another_one_did_not_take);
    tcase_add_test(tests, what_cannot_be_watched_is_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
