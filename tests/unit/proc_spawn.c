/* SPDX-License-Identifier: MIT
 *
 * How a varying pool grows and shrinks, second by second.
 */
#include <check.h>
#include <stdlib.h>

#include "base/base.h"
#include "proc/spawn.h"

static const struct cnc_spawn_limits limits = { .spare_min = 5, .spare_max = 10, .workers_max = 256 };

START_TEST(doubles_while_spares_are_short)
{
    static const int expected[] = { 1, 2, 4, 8, 16, 32, 32, 32 };
    struct cnc_spawn spawn = { 0 };
    unsigned total = 5;
    for (size_t i = 0; i < CNC_COUNT(expected); i++) {
        int n = cnc_spawn_plan(&spawn, &limits, 0, total);
        ck_assert_int_eq(n, expected[i]);
        total += (unsigned)n;
    }
    ck_assert_int_eq(cnc_spawn_plan(&spawn, &limits, 5, total), 0); /* enough now: the next rush begins anew */
    ck_assert_int_eq(cnc_spawn_plan(&spawn, &limits, 4, total), 1);
    ck_assert_int_eq(cnc_spawn_plan(&spawn, &limits, 4, total), 2);
}
END_TEST

START_TEST(goes_down_one_at_a_time)
{
    struct cnc_spawn spawn = { .rate = 32 };
    for (unsigned idle = 100; idle > 10; idle--)
        ck_assert_int_eq(cnc_spawn_plan(&spawn, &limits, idle, idle + 7), -1);
    ck_assert_int_eq(cnc_spawn_plan(&spawn, &limits, 10, 17), 0);
    ck_assert_int_eq(cnc_spawn_plan(&spawn, &limits, 0, 17), 1);
}
END_TEST

/* Whatever it is told, also what cannot be: never more than there is room for, never less than one at a time. */
START_TEST(stays_within_bounds)
{
    const unsigned some[] = { 0, 1, 4, 5, 6, 9, 10, 11, 31, 32, 33, 255, 256, 257, 1024, UINT32_MAX };
    for (size_t i = 0; i < CNC_COUNT(some); i++)
        for (size_t k = 0; k < CNC_COUNT(some); k++)
            for (unsigned rate = 0; rate <= CNC_SPAWN_RATE_MAX; rate++) {
                struct cnc_spawn spawn = { .rate = rate };
                int n = cnc_spawn_plan(&spawn, &limits, some[i], some[k]);
                ck_assert_int_ge(n, -1);
                ck_assert_int_le(n, CNC_SPAWN_RATE_MAX);
                ck_assert(n <= 0 || some[k] + (unsigned)n <= limits.workers_max);
                ck_assert_uint_ge(spawn.rate, 1);
                ck_assert_uint_le(spawn.rate, CNC_SPAWN_RATE_MAX);
            }
    struct cnc_spawn spawn = { .rate = 32 };
    ck_assert_int_eq(cnc_spawn_plan(&spawn, &limits, 0, 253), 3);
    ck_assert_int_eq(cnc_spawn_plan(&spawn, &limits, 0, 256), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proc_spawn");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, doubles_while_spares_are_short);
    tcase_add_test(tests, goes_down_one_at_a_time);
    tcase_add_test(tests, stays_within_bounds);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
