/* SPDX-License-Identifier: MIT
 *
 * The master with children that behave, and with all others: real processes, real time. What takes the place of what: proc_replace.c.
 */
#include <sys/ptrace.h>

#include "stage.h"

/* Long enough for a start on a busy machine, and short enough to wait for. */
enum { SOON_MS = 1500 };

/* ---- up and down ---- */

START_TEST(comes_up_and_stops)
{
    stage_begin();
    UNTIL(serves(1, 3) && atomic_load(&stage->texts) > 0); /* its children know before it says so */
    ck_assert_str_eq(stage->text[0], "R ready");
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(atomic_load(&stage->forks), 3);
    ck_assert_uint_eq(atomic_load(&stage->stopped[1]), 3);
    ck_assert_uint_eq(atomic_load(&stage->texts), 1);
}
END_TEST

START_TEST(stops_while_it_starts)
{
    atomic_store(&stage->act[1], HANG);
    stage_begin();
    UNTIL(atomic_load(&stage->forks) == 3);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert(!stage_said("R"));
}
END_TEST

static const struct {
    enum act act;
    int slot; /* of the one who does so; -1: all */
    int64_t start_ms;
    int rc;
    const char *error;
} bad_starts[] = {
    { FAIL, -1, 20000, CONCUR_E_UPSTREAM, "no database" },
    { FAIL, 2, 20000, CONCUR_E_UPSTREAM, "no database" },
    { END_EARLY, 1, 20000, CONCUR_E_SYS, "ended before it was ready: exit status 7" },
    { HANG, 1, 100, CONCUR_E_SYS, "was not ready within 100 ms" },
};

START_TEST(a_first_start_that_fails)
{
    plan.start_ms = bad_starts[_i].start_ms;
    if (bad_starts[_i].slot < 0)
        atomic_store(&stage->act[1], bad_starts[_i].act);
    else
        atomic_store(&stage->act_of[bad_starts[_i].slot], bad_starts[_i].act);
    stage_begin();
    int rc = stage_end();
    ck_assert_msg(rc == bad_starts[_i].rc, "%d: %s", rc, stage->error);
    ck_assert_msg(strstr(stage->error, bad_starts[_i].error) != NULL, "%s", stage->error);
    ck_assert_uint_le(atomic_load(&stage->forks), 3);
    ck_assert(!stage_said("R"));
}
END_TEST

/* A program that forbids the fork is heard, as soon as the time for a start is over. */
START_TEST(a_first_start_that_is_forbidden)
{
    plan.start_ms = 200;
    atomic_store(&stage->veto, CONCUR_E_FULL);
    stage_begin();
    ck_assert_int_eq(stage_end(), CONCUR_E_FULL);
    ck_assert_str_eq(stage->error, "not today");
    ck_assert_uint_eq(atomic_load(&stage->forks), 0);
}
END_TEST

/* It is told by its note, by SIGTERM, and then no more. */
START_TEST(who_does_not_stop_is_killed)
{
    atomic_store(&stage->act_of[1], IGNORE_STOP);
    stage_begin();
    UNTIL(serves(1, 2) && stage_said("R"));
    ck_assert_int_eq(stage_stop(0), CONCUR_E_BUSY);
    ck_assert_uint_eq(atomic_load(&stage->stopped[1]), 2);
}
END_TEST

START_TEST(a_stopped_process_is_killed)
{
    stage_begin();
    UNTIL(serves(1, 3));
    stage_kill(1, 0, SIGSTOP);
    ck_assert_int_eq(stage_stop(0), CONCUR_E_BUSY);
}
END_TEST

START_TEST(sigterm_is_enough_for_some)
{
    atomic_store(&stage->act_of[0], HEED_TERM);
    atomic_store(&stage->act_of[1], LEAVE_LINK);
    stage_begin();
    UNTIL(serves(1, 2) && stage_said("R"));
    ck_assert_int_eq(stage_stop(0), CONCUR_E_BUSY); /* the one without a link died of it */
    ck_assert_uint_eq(atomic_load(&stage->stopped[1]), 1);
}
END_TEST

START_TEST(a_later_stop_makes_it_sooner)
{
    atomic_store(&stage->act[1], STAY);
    stage_begin();
    UNTIL(serves(1, 3));
    atomic_store(&stage->stop_at, stage_now() + 3600000);
    stage_raise();
    (void)poll(NULL, 0, 20);
    ck_assert_int_eq(kill(master, 0), 0);
    atomic_store(&stage->released[1], true);
    ck_assert_int_eq(stage_stop(0), CONCUR_OK);
}
END_TEST

/* ---- accidents ---- */

START_TEST(who_dies_comes_back)
{
    stage_begin();
    UNTIL(serves(1, 3));
    for (unsigned i = 0; i < 15; i++) {
        stage_kill(1, i % 3, i % 2 ? SIGKILL : SIGTERM);
        UNTIL(serves(1, 4 + i));
    }
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(atomic_load(&stage->forks), 18);
}
END_TEST

static unsigned looked(unsigned g)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        n += atomic_load(&stage->looked[g][i]);
    return n;
}

/* One other is told of a connection that a worker does not take. */
START_TEST(what_one_does_not_take_another_one_is_told_of)
{
    plan.groups[0].accepts = true;
    atomic_store(&stage->act_of[_i], PASS_ON);
    stage_begin();
    UNTIL(looked(1) == 1);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(looked(1), 1);
    ck_assert_uint_eq(atomic_load(&stage->looked[1][_i]), 0);
}
END_TEST

/* The same of one that dies; but not of all of them that stop together. */
START_TEST(who_goes_leaves_it_to_others)
{
    plan.groups[0].accepts = true;
    atomic_store(&stage->busy, _i);
    stage_begin();
    UNTIL(serves(1, 3));
    stage_kill(1, 1, SIGKILL);
    UNTIL(serves(1, 4) && looked(1) == 1);
    ck_assert_uint_eq(atomic_load(&stage->looked[1][1]), 0);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(looked(1), 1); /* who stops with all others tells nobody */
}
END_TEST

/* Processes that do not accept are told of nothing. */
START_TEST(who_does_not_accept_is_not_told)
{
    atomic_store(&stage->act_of[0], PASS_ON);
    stage_begin();
    UNTIL(serves(1, 3));
    stage_kill(1, 1, SIGKILL);
    UNTIL(serves(1, 4));
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(looked(1), 0);
}
END_TEST

static void ignore_children(void)
{
    (void)signal(SIGCHLD, SIG_IGN);
}

/* A crash is followed by a start at once, the next one by a wait that doubles. So is an exit status that is not 0, and a life
 * that was short where the host does not let us know how it ended. */
START_TEST(who_crashes_again_and_again_waits)
{
    atomic_store(&stage->act_of[1], _i == 1 ? END_BADLY : ABORT);
    arm = _i == 2 ? ignore_children : NULL;
    stage_begin();
    int64_t began = stage_now();
    UNTIL(atomic_load(&stage->forks) >= 3 + 5);
    ck_assert_int_ge(stage_now() - began, 50 + 100 + 200);
    atomic_store(&stage->act_of[1], SERVE);
    UNTIL(stage_said("R") && atomic_load(&stage->forks) >= 9);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_le(atomic_load(&stage->forks), 10);
    ck_assert(stage_said(_i == 2 ? "E worker 1 (" : _i ? "ended: exit status 3" : "ended: signal 6"));
    ck_assert(_i < 2 || stage_said("ended: its exit status is unknown"));
}
END_TEST

START_TEST(a_crash_loop_is_given_up)
{
    stage_begin();
    UNTIL(serves(1, 3));
    atomic_store(&stage->act[1], _i ? FAIL : END_EARLY);
    for (unsigned i = 0; i < 3; i++)
        stage_kill(1, i, SIGABRT);
    UNTIL(atomic_load(&stage->helpers_serving) == 1);
    ck_assert_uint_eq(atomic_load(&stage->forks), 3 + 3 * 5);
    ck_assert(stage_said("E given up: worker 2"));
    ck_assert(stage_said("E given up: answering 503"));
    stage_ask_reload();
    UNTIL(serves(2, 3));
    UNTIL(stage_said("E generation 2 serves"));
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(atomic_load(&stage->helpers), 1);
    ck_assert_uint_eq(atomic_load(&stage->forks_of[2]), 3);
}
END_TEST

/* Also those who take their time to fail. */
START_TEST(a_start_that_hangs_is_given_up)
{
    plan.start_ms = SOON_MS;
    stage_begin();
    UNTIL(serves(1, 3));
    atomic_store(&stage->act[1], HANG);
    for (unsigned i = 0; i < 3; i++)
        stage_kill(1, i, SIGKILL);
    UNTIL(atomic_load(&stage->helpers_serving) == 1);
    ck_assert_uint_eq(stage_said("was not ready within 1500 ms"), 3 * 5);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

START_TEST(a_helper_that_fails_is_given_up_too)
{
    stage_begin();
    UNTIL(serves(1, 3));
    atomic_store(&stage->act[1], END_EARLY);
    atomic_store(&stage->helper_act, END_EARLY);
    for (unsigned i = 0; i < 3; i++)
        stage_kill(1, i, SIGKILL);
    UNTIL(stage_said("E given up: helper"));
    ck_assert_uint_eq(atomic_load(&stage->helpers), 5);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

START_TEST(a_handler_that_is_stuck_is_killed)
{
    plan.stuck_ms = 50;
    stage_begin();
    UNTIL(serves(1, 3));
    struct cnc_board_row *row = cnc_board_row(stage_board, 0, 1);
    atomic_store(&row->busy_since, INT64_MAX); /* in the future: nonsense is not looked at */
    atomic_store(&cnc_board_row(stage_board, 0, 0)->busy_since, -5);
    stage_raise();
    atomic_store(&row->busy_since, stage_now());
    UNTIL(serves(1, 4));
    ck_assert(stage_said("L worker 1"));
    ck_assert_int_eq(atomic_load(&row->busy_since), 0);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(atomic_load(&stage->forks), 4);
}
END_TEST

START_TEST(a_fork_that_is_forbidden_comes_later)
{
    plan.start_ms = SOON_MS; /* does not count while no process can be had */
    stage_begin();
    UNTIL(serves(1, 3));
    atomic_store(&stage->veto, CONCUR_E_FULL);
    stage_kill(1, 1, SIGKILL);
    int64_t over = stage_now() + SOON_MS;
    UNTIL(stage_said("L not today") >= 3 && stage_now() > over);
    atomic_store(&stage->veto, CONCUR_OK);
    UNTIL(serves(1, 4));
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

START_TEST(a_flood_disturbs_nobody)
{
    atomic_store(&stage->act_of[1], FLOOD);
    stage_begin();
    UNTIL(serves(1, 3));
    for (unsigned i = 0; i < 10; i++) {
        stage_kill(1, 2, SIGKILL);
        UNTIL(serves(1, 4 + i));
    }
    stage_ask_reload();
    UNTIL(serves(2, 3));
    atomic_store(&stage->act_of[1], SERVE);
    UNTIL(stage_said("E generation 2 serves"));
    stage_kill(2, 1, SIGKILL);
    UNTIL(serves(2, 4));
    ck_assert_int_eq(stage_stop(1000), CONCUR_E_BUSY); /* who floods does not listen */
}
END_TEST

/* ---- who can do nothing any more ---- */

/* As SIGCHLD does where the library's own handler stands. */
static void stop_it(unsigned slot)
{
    stage_kill(1, slot, SIGSTOP);
    UNTIL(cnc_sys_process_state(atomic_load(&stage->pid[1][slot])) == 'T');
    stage_raise();
}

START_TEST(a_stopped_child_is_replaced)
{
    stage_begin();
    UNTIL(serves(1, 3));
    int64_t since = stage_now();
    stop_it(1);
    UNTIL(serves(1, 4));
    ck_assert_int_ge(stage_now() - since, 2000); /* a person may have stopped it to look at it */
    ck_assert_uint_eq(stage_said("L worker 1"), 2);
    ck_assert(stage_said("is killed: it was stopped"));
    ck_assert(stage_said("E worker 1"));
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

START_TEST(one_that_goes_on_is_left_alone)
{
    stage_begin();
    UNTIL(serves(1, 3));
    stop_it(1);
    for (int i = 0; i < 2; i++) { /* the look before the second one saw it */
        unsigned looks = atomic_load(&stage->looks);
        stage_raise();
        UNTIL(atomic_load(&stage->looks) > looks);
    }
    stage_kill(1, 1, SIGCONT);
    if (_i)
        stage_raise(); /* else nobody tells, and the look at its time finds it */
    int64_t until = stage_now() + 2500;
    UNTIL(stage_now() > until);
    ck_assert_uint_eq(atomic_load(&stage->forks), 3);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

/* A debugger holds it: it is the debugger's. */
START_TEST(a_traced_child_is_left_alone)
{
    stage_begin();
    UNTIL(serves(1, 3));
    pid_t pid = atomic_load(&stage->pid[1][1]);
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0) {
        printf("no ptrace here: %s\n", strerror(errno));
        ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
        return;
    }
    stage_kill(1, 1, SIGSTOP);
    UNTIL(cnc_sys_process_state(pid) == 't');
    stage_raise();
    int64_t until = stage_now() + 2500;
    UNTIL(stage_now() > until);
    ck_assert_int_eq(cnc_sys_process_state(pid), 't');
    ck_assert_uint_eq(atomic_load(&stage->forks), 3);
    ck_assert_int_eq(ptrace(PTRACE_DETACH, pid, NULL, (void *)0), 0);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

/* Nobody could tell it to stop any more, and it could not ask for anything. */
START_TEST(a_child_without_its_link_is_replaced)
{
    atomic_store(&stage->act_of[2], LEAVE_LINK);
    atomic_store(&stage->times[2], 1);
    stage_begin();
    UNTIL(serves(1, 3)); /* the one after it */
    ck_assert(stage_said("is killed: it has closed its link to the master"));
    ck_assert_uint_eq(atomic_load(&stage->forks), 4);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

/* The program closes descriptors of the master. It goes on, says so, and looks no more often than before. */
START_TEST(a_master_that_has_lost_descriptors_goes_on)
{
    static const char *const lost[] = { "anon_inode:[pidfd]", "anon_inode:[eventfd]" };
    stage_begin();
    UNTIL(serves(1, 3));
    atomic_store(&stage->lose, lost[_i]);
    stage_raise();
    UNTIL(stage_said("closed by mistake"));
    unsigned before = atomic_load(&stage->looks);
    stage_kill(1, 0, SIGKILL);
    UNTIL(serves(1, 4));
    ck_assert_uint_lt(atomic_load(&stage->looks) - before, 200);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

/* ---- faults ---- */

#ifdef CNC_FAULTS
static enum cnc_fault_kind kind;
static unsigned nth;
static bool and_after;

static void arm_it(void)
{
    cnc_fault_arm(kind, nth, and_after);
}

static void prepare_fault(enum cnc_fault_kind k, unsigned n, bool after)
{
    kind = k;
    nth = n;
    and_after = after;
    arm = arm_it;
}

START_TEST(a_first_start_without_processes)
{
    plan.start_ms = 200;
    prepare_fault(_i ? CNC_FAULT_OPEN : CNC_FAULT_PROCESS, 1, true);
    stage_begin();
    ck_assert_int_eq(stage_end(), CONCUR_E_SYS);
    ck_assert_ptr_eq(strstr(stage->error, "cannot start a process: "), stage->error);
    ck_assert_uint_eq(atomic_load(&stage->forks), 0);
}
END_TEST

START_TEST(what_cannot_be_had_comes_later)
{
    static const enum cnc_fault_kind kinds[] = { CNC_FAULT_PROCESS, CNC_FAULT_OPEN, CNC_FAULT_WAIT };
    prepare_fault(kinds[_i], 1, true);
    stage_begin();
    if (_i < 2)
        UNTIL(stage_said("L cannot start a process: ") >= 3);
    UNTIL(atomic_load(&stage->looks) >= 3); /* by then every kind has been met */
    atomic_store(&stage->disarm, true);
    UNTIL(serves(1, 3));
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

/* What it needs to hear its children it has before it makes them, or it makes none. */
START_TEST(without_memory_it_hears_all_the_same)
{
    prepare_fault(CNC_FAULT_ALLOC, (unsigned)_i + 1, true);
    stage_begin();
    UNTIL(serves(1, 3) || stage_has_ended());
    if (stage_has_ended()) {
        ck_assert_int_eq(stage_end(), CONCUR_E_NOMEM);
        ck_assert_uint_eq(atomic_load(&stage->forks), 0);
        return;
    }
    stage_kill(1, 0, SIGKILL);
    UNTIL(serves(1, 4));
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

/* Any single call: all of them serve in the end, or the start has failed. */
START_TEST(any_call_may_fail)
{
    static const struct {
        enum cnc_fault_kind kind;
        bool may_fail;
    } kinds[] = { { CNC_FAULT_PROCESS, false }, { CNC_FAULT_OPEN, false }, { CNC_FAULT_WAIT, false },
                  { CNC_FAULT_ALLOC, true },    { CNC_FAULT_READ, true },  { CNC_FAULT_WRITE, true } };
    for (unsigned n = 1; n <= 8; n++) {
        stage_close();
        stage_open();
        plan.start_ms = kinds[_i].may_fail ? 200 : 20000;
        prepare_fault(kinds[_i].kind, n, false);
        stage_begin();
        UNTIL(atomic_load(&stage->serving[1]) >= 3 || (kinds[_i].may_fail && stage_has_ended()));
        int rc = stage_stop(kinds[_i].may_fail ? 0 : 20000);
        ck_assert(kinds[_i].may_fail || rc == CONCUR_OK);
    }
}
END_TEST
#endif

/* ---- hosts ---- */

START_TEST(a_master_ends_with_its_host)
{
    ck_assert_int_eq(cnc_passing_pair(host, 65536), CONCUR_OK);
    stage_begin();
    UNTIL(serves(1, 3));
    cnc_sys_close(&host[0]);
    (void)stage_end(); /* at once: who is slower than that is killed */
    ck_assert_uint_eq(atomic_load(&stage->forks), 3);
}
END_TEST

START_TEST(orphans_die)
{
    atomic_store(&stage->act_of[1], IGNORE_STOP);
    stage_begin();
    UNTIL(serves(1, 2) && stage_said("R"));
    ck_assert_int_eq(kill(master, SIGKILL), 0);
    ck_assert_int_eq(waitpid(master, NULL, 0), master);
    for (unsigned i = 0; i < 3; i++)
        UNTIL(kill(atomic_load(&stage->pid[1][i]), 0) < 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proc_master");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 90);
    tcase_add_checked_fixture(tests, stage_open, stage_close);
    tcase_add_test(tests, comes_up_and_stops);
    tcase_add_test(tests, stops_while_it_starts);
    tcase_add_loop_test(tests, a_first_start_that_fails, 0, (int)CNC_COUNT(bad_starts));
    tcase_add_test(tests, a_first_start_that_is_forbidden);
    tcase_add_test(tests, who_does_not_stop_is_killed);
    tcase_add_test(tests, a_stopped_process_is_killed);
    tcase_add_test(tests, sigterm_is_enough_for_some);
    tcase_add_test(tests, a_later_stop_makes_it_sooner);
    tcase_add_test(tests, who_dies_comes_back);
    tcase_add_loop_test(tests, who_crashes_again_and_again_waits, 0, 3);
    tcase_add_loop_test(tests, a_crash_loop_is_given_up, 0, 2);
    tcase_add_test(tests, a_start_that_hangs_is_given_up);
    tcase_add_test(tests, a_helper_that_fails_is_given_up_too);
    tcase_add_test(tests, a_handler_that_is_stuck_is_killed);
    tcase_add_test(tests, a_fork_that_is_forbidden_comes_later);
    tcase_add_test(tests, a_flood_disturbs_nobody);
    tcase_add_test(tests, a_stopped_child_is_replaced);
    tcase_add_loop_test(tests, one_that_goes_on_is_left_alone, 0, 2);
    tcase_add_test(tests, a_traced_child_is_left_alone);
    tcase_add_test(tests, a_child_without_its_link_is_replaced);
    tcase_add_loop_test(tests, a_master_that_has_lost_descriptors_goes_on, 0, 2);
    tcase_add_loop_test(tests, what_one_does_not_take_another_one_is_told_of, 0, 3);
    tcase_add_loop_test(tests, who_goes_leaves_it_to_others, 0, 2);
    tcase_add_test(tests, who_does_not_accept_is_not_told);
#ifdef CNC_FAULTS
    tcase_add_loop_test(tests, a_first_start_without_processes, 0, 2);
    tcase_add_loop_test(tests, what_cannot_be_had_comes_later, 0, 3);
    tcase_add_loop_test(tests, without_memory_it_hears_all_the_same, 0, 6);
    tcase_add_loop_test(tests, any_call_may_fail, 0, 6);
#endif
    tcase_add_test(tests, a_master_ends_with_its_host);
    tcase_add_test(tests, orphans_die);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
