/* SPDX-License-Identifier: MIT
 *
 * Nothing is left of a program that was started: after a stop, and after the end of who started it, at whatever moment.
 */
#include <check.h>
#include <fcntl.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure/guard.h"

/* The program is this one, with a task. It and all it starts hold the writing end of a pipe: its end is theirs. */
static char self[] = "/proc/self/exe";
enum { MOMENTS = 12, STEP_US = 700 };

static void wait_for_end(int fd)
{
    char byte;
    ssize_t n;
    alarm(60); /* only a hang takes that long */
    do
        n = read(fd, &byte, 1);
    while (n > 0 || (n < 0 && errno == EINTR));
    alarm(0);
    ck_assert_int_eq(n, 0);
}

/* Three processes, the last two in sessions of their own and deaf to SIGTERM. */
static _Noreturn void be_a_family(void)
{
    for (int i = 0; i < 2; i++)
        if (fork() == 0) {
            setsid();
            signal(SIGTERM, SIG_IGN);
        } else {
            break;
        }
    (void)!write(STDOUT_FILENO, "x", 1);
    for (;;)
        pause();
}

static void start(struct guard *g, const char *task, int out)
{
    char error[200] = "", name[] = "GUARD_TASK", *setting = NULL;
    char *argv[] = { self, NULL };
    ck_assert_int_gt(asprintf(&setting, "%s=%s", name, task), 0);
    char *settings[] = { setting, NULL };
    ck_assert_msg(guard_start(g, argv, settings, out, error, sizeof error) == 0, "%s", error);
    free(setting);
}

START_TEST(a_stop_leaves_nothing)
{
    struct guard g;
    int out[2];
    char bytes[3];
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    start(&g, "family", out[1]);
    close(out[1]);
    for (size_t n = 0; n < sizeof bytes; n++)
        ck_assert_int_eq(read(out[0], bytes, 1), 1);
    ck_assert(!guard_has_ended(&g));
    ck_assert_int_ne(getpgid(g.program), getpgrp()); /* Ctrl-C is not for it */
    guard_stop(&g, 10000);
    wait_for_end(out[0]);
    ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(the_end_of_the_program_is_told)
{
    struct guard g;
    int out[2];
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    start(&g, _i ? "status" : "signal", out[1]);
    close(out[1]);
    wait_for_end(out[0]);
    while (!guard_has_ended(&g))
        sched_yield();
    ck_assert(_i ? WIFEXITED(g.status) : WIFSIGNALED(g.status));
    ck_assert_int_eq(_i ? WEXITSTATUS(g.status) : WTERMSIG(g.status), _i ? 7 : SIGKILL);
    guard_stop(&g, 10000);
}
END_TEST

START_TEST(what_cannot_start_says_why)
{
    struct guard g;
    char error[200] = "", missing[] = "/nowhere/program";
    char *argv[] = { missing, NULL }, *settings[] = { NULL };
    ck_assert_int_eq(guard_start(&g, argv, settings, STDERR_FILENO, error, sizeof error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error, "/nowhere/program: No such file"));
    guard_stop(&g, 0);
    ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
}
END_TEST

static _Noreturn void be_a_tool(int out)
{
    struct guard g;
    start(&g, "family", out);
    for (;;)
        pause();
}

/* From before the guard was forked to after the family is whole. */
START_TEST(the_death_of_the_tool_leaves_nothing)
{
    int out[2];
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t tool = fork();
    ck_assert_int_ge(tool, 0);
    if (tool == 0)
        be_a_tool(out[1]);
    close(out[1]);
    const struct timespec moment = { 0, (long)_i * STEP_US * 1000 };
    nanosleep(&moment, NULL);
    kill(tool, SIGKILL);
    ck_assert_int_eq(waitpid(tool, NULL, 0), tool);
    wait_for_end(out[0]);
}
END_TEST

static int act(const char *task)
{
    if (strcmp(task, "family") == 0)
        be_a_family();
    if (strcmp(task, "signal") == 0)
        raise(SIGKILL);
    return 7;
}

int main(void)
{
    const char *task = getenv("GUARD_TASK");
    if (task)
        return act(task);
    Suite *s = suite_create("guard");
    TCase *t = tcase_create("guard");
    tcase_set_timeout(t, 100);
    tcase_add_test(t, a_stop_leaves_nothing);
    tcase_add_loop_test(t, the_end_of_the_program_is_told, 0, 2);
    tcase_add_test(t, what_cannot_start_says_why);
    tcase_add_loop_test(t, the_death_of_the_tool_leaves_nothing, 0, MOMENTS);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
