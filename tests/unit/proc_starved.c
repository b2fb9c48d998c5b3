/* SPDX-License-Identifier: MIT
 *
 * The master while there is no room for processes, for long: it tries again more and more rarely, says so more and more rarely, and
 * all is as before when there is room again.
 */
#include "stage.h"

/* Lines and events for one worker that has tried six times before it is let in. */
START_TEST(children_that_find_no_room)
{
    stage_begin();
    UNTIL(serves(1, 3));
    for (unsigned i = 0; i < 3; i++)
        atomic_store(&stage->act_of[i], LACK_ROOM);
    for (unsigned i = 0; i < 3; i++)
        stage_kill(1, i, SIGKILL);
    UNTIL(atomic_load(&stage->forks) >= 3 + 3 * 6);
    ck_assert_uint_ge(stage_said("E worker"), 3 + 3 * 5);
    ck_assert_uint_eq(stage_said("given up"), 0);
    for (unsigned i = 0; i < 3; i++)
        atomic_store(&stage->act_of[i], SERVE);
    UNTIL(serves(1, 6));
    ck_assert_uint_ge(stage_said("cannot start: no database"), 1);
    ck_assert_uint_le(stage_said("cannot start: no database"), 5);
    ck_assert(stage_said("more like it)"));
    for (unsigned i = 0; i < atomic_load(&stage->texts); i++)
        ck_assert_msg(strncmp(stage->text[i], "L worker", 8) || !strstr(stage->text[i], " ended: exit"), "%s", stage->text[i]);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

START_TEST(no_process_can_be_made)
{
    stage_begin();
    UNTIL(serves(1, 3));
    atomic_store(&stage->veto, CONCUR_E_FULL);
    const int64_t since = stage_now();
    for (unsigned i = 0; i < 3; i++)
        stage_kill(1, i, SIGKILL);
    UNTIL(stage_said("L not today") == 3);
    ck_assert_int_ge(stage_now() - since, 1000 + 2000);
    atomic_store(&stage->veto, CONCUR_OK);
    UNTIL(serves(1, 6));
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

/* It becomes ready, and can serve nobody: the next one comes later each time. */
START_TEST(children_that_can_serve_nobody)
{
    atomic_store(&stage->act_of[1], SICKEN);
    stage_begin();
    const int64_t since = stage_now();
    UNTIL(atomic_load(&stage->forks) >= 3 + 6);
    ck_assert_int_ge(stage_now() - since, 50 + 100 + 200 + 400 + 800 + 1600);
    UNTIL(stage_said("L worker 1") == 7);
    atomic_store(&stage->act_of[1], SERVE);
    UNTIL(atomic_load(&stage->forks) == 3 + 7 && serves(1, 3 + 7));
    ck_assert_uint_eq(stage_said("given up"), 0);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proc_starved");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 90);
    tcase_add_checked_fixture(tests, stage_open, stage_close);
    tcase_add_test(tests, children_that_find_no_room);
    tcase_add_test(tests, no_process_can_be_made);
    tcase_add_test(tests, children_that_can_serve_nobody);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
