/* SPDX-License-Identifier: MIT
 *
 * What takes the place of what: successors of children, generations, a number of workers that varies. Real processes, real
 * time.
 */
#include "stage.h"

/* ---- replacement ---- */

START_TEST(a_successor_serves_first)
{
    atomic_store(&stage->act_of[1], TIRED);
    atomic_store(&stage->times[1], 1);
    stage_begin();
    UNTIL(serves(1, 4));
    UNTIL(atomic_load(&stage->stopped[1]) == 1);
    ck_assert_uint_eq(atomic_load(&stage->early_stops), 0);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(atomic_load(&stage->forks), 4);
}
END_TEST

/* All of them at once: one after the other. */
START_TEST(everybody_gets_a_successor)
{
    for (unsigned i = 0; i < 3; i++) {
        atomic_store(&stage->act_of[i], TIRED);
        atomic_store(&stage->times[i], 1);
    }
    stage_begin();
    UNTIL(serves(1, 6));
    UNTIL(atomic_load(&stage->stopped[1]) == 3);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(atomic_load(&stage->forks), 6);
}
END_TEST

/* Its place is the fourth. The old one stays, and there is another try. */
START_TEST(a_successor_that_fails)
{
    atomic_store(&stage->act_of[0], TIRED);
    atomic_store(&stage->times[0], 1);
    atomic_store(&stage->act_of[3], END_EARLY);
    atomic_store(&stage->times[3], 2);
    stage_begin();
    UNTIL(serves(1, 4));
    UNTIL(atomic_load(&stage->stopped[1]) == 1);
    ck_assert_uint_eq(atomic_load(&stage->early_stops), 0);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(atomic_load(&stage->forks), 6);
}
END_TEST

/* ---- generations ---- */

START_TEST(a_reload_takes_over)
{
    stage_begin();
    UNTIL(serves(1, 3));
    for (unsigned g = 2; g < 10; g++) {
        stage_ask_reload();
        UNTIL(serves(g, 3));
        UNTIL(atomic_load(&stage->stopped[g - 1]) == 3);
    }
    ck_assert_uint_eq(atomic_load(&stage->early_stops), 0);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

/* Who asks marks the board and then tells of it; the master may have looked at the board between the two. */
START_TEST(a_reload_that_is_told_of_late_is_one)
{
    atomic_store(&stage->act_of[1], ASK_LATE);
    atomic_store(&stage->times[1], 1);
    stage_begin();
    UNTIL(serves(1, 3));
    stage_ask_reload();
    UNTIL(serves(2, 3));
    UNTIL(atomic_load(&stage->stopped[1]) == 3);
    stage_kill(2, 0, SIGKILL); /* what was told has been heard by then */
    UNTIL(serves(2, 4));
    ck_assert_uint_eq(atomic_load(&stage->reloads), 1);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

/* Also while one that goes keeps its page of the board. */
START_TEST(numbers_have_no_gaps)
{
    atomic_store(&stage->act[1], STAY);
    stage_begin();
    UNTIL(serves(1, 3));
    for (unsigned g = 2; g < 10; g++) {
        stage_ask_reload();
        UNTIL(serves(g, 3));
    }
    atomic_store(&stage->released[1], true);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

START_TEST(a_refused_configuration_changes_nothing)
{
    stage_begin();
    UNTIL(serves(1, 3));
    atomic_store(&stage->reload_result, CONCUR_E_OPTION);
    stage_ask_reload();
    UNTIL(stage_said("E reload refused: line 7 is wrong"));
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
    ck_assert_uint_eq(atomic_load(&stage->forks), 3);
}
END_TEST

START_TEST(a_generation_that_cannot_start_is_dropped)
{
    stage_begin();
    UNTIL(serves(1, 3));
    for (unsigned i = 1; i < 10; i++) {
        for (unsigned g = 2; g < GENERATIONS; g++)
            atomic_store(&stage->act[g], i % 2 ? FAIL : END_EARLY);
        stage_ask_reload();
        UNTIL(stage_said("could not start and was dropped") == i);
    }
    ck_assert_uint_eq(atomic_load(&stage->stopped[1]), 0);
    stage_kill(1, 0, SIGKILL); /* the old one is as alive as ever */
    UNTIL(serves(1, 4));
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

START_TEST(a_newer_generation_replaces_one_that_starts)
{
    stage_begin();
    UNTIL(serves(1, 3));
    atomic_store(&stage->act[2], HANG);
    stage_ask_reload();
    UNTIL(atomic_load(&stage->forks_of[2]) == 3);
    stage_ask_reload();
    UNTIL(serves(3, 3));
    UNTIL(atomic_load(&stage->stopped[1]) == 3);
    ck_assert_uint_eq(stage_said("could not start"), 0);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

/* Four live at most, those that go included; of what is asked for meanwhile only the newest comes. */
START_TEST(the_newest_waits_for_a_place)
{
    for (unsigned g = 1; g <= 4; g++)
        atomic_store(&stage->act[g], STAY);
    stage_begin();
    UNTIL(serves(1, 3));
    for (unsigned g = 2; g <= 4; g++) {
        stage_ask_reload();
        UNTIL(serves(g, 3));
    }
    unsigned before = atomic_load(&stage->reloads);
    for (unsigned i = 0; i < 3; i++) {
        stage_ask_reload();
        UNTIL(!atomic_load(&stage->reload));
    }
    stage_kill(4, 0, SIGKILL); /* something to see, and behind it nothing */
    UNTIL(serves(4, 4));
    ck_assert_uint_eq(atomic_load(&stage->reloads), before);
    atomic_store(&stage->released[2], true);
    UNTIL(serves(5, 3) || serves(6, 3));
    ck_assert_uint_eq(atomic_load(&stage->reloads), before + 1);
    for (unsigned g = 1; g <= 4; g++)
        atomic_store(&stage->released[g], true);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

START_TEST(a_stop_ends_all_generations)
{
    for (unsigned g = 1; g <= 3; g++)
        atomic_store(&stage->act[g], STAY);
    atomic_store(&stage->act[4], HANG);
    stage_begin();
    UNTIL(serves(1, 3));
    for (unsigned g = 2; g <= 3; g++) {
        stage_ask_reload();
        UNTIL(serves(g, 3));
    }
    stage_ask_reload();
    UNTIL(atomic_load(&stage->forks_of[4]) == 3);
    for (unsigned g = 1; g <= 3; g++)
        atomic_store(&stage->released[g], true);
    ck_assert_int_eq(stage_stop(0), CONCUR_OK);
}
END_TEST

/* ---- a varying number ---- */

START_TEST(a_pool_grows_and_shrinks)
{
    plan.groups[0] = (struct cnc_group){ .name = "worker", .role = WORKER, .is_required = true, .count = 2, .most = 6,
                                         .spare_min = 1, .spare_max = 3 };
    atomic_store(&stage->busy, true);
    stage_begin();
    UNTIL(serves(1, 6)); /* 2, 3, 5, 6: no more than there may be */
    for (unsigned i = 0; i < 6; i++)
        cnc_board_set_idle(stage_board, 0, i, true);
    UNTIL(atomic_load(&stage->stopped[1]) == 2);
    ck_assert_uint_eq(atomic_load(&stage->forks), 6);
    ck_assert_int_eq(stage_stop(20000), CONCUR_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proc_replace");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 90);
    tcase_add_checked_fixture(tests, stage_open, stage_close);
    tcase_add_test(tests, a_successor_serves_first);
    tcase_add_test(tests, everybody_gets_a_successor);
    tcase_add_test(tests, a_successor_that_fails);
    tcase_add_test(tests, a_reload_takes_over);
    tcase_add_test(tests, a_reload_that_is_told_of_late_is_one);
    tcase_add_test(tests, numbers_have_no_gaps);
    tcase_add_test(tests, a_refused_configuration_changes_nothing);
    tcase_add_test(tests, a_generation_that_cannot_start_is_dropped);
    tcase_add_test(tests, a_newer_generation_replaces_one_that_starts);
    tcase_add_test(tests, the_newest_waits_for_a_place);
    tcase_add_test(tests, a_stop_ends_all_generations);
    tcase_add_test(tests, a_pool_grows_and_shrinks);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
