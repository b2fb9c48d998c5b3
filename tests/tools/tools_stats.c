/* SPDX-License-Identifier: MIT
 *
 * Medians, spread, noise, ties: by numbers.
 */
#include <check.h>
#include <stdlib.h>

#include "judge/stats.h"

START_TEST(the_median_is_in_the_middle)
{
    const double odd[] = { 9, 1, 5 }, even[] = { 4, 1, 3, 100 };
    struct summary s = stats_summary(odd, 3);
    ck_assert_double_eq(s.median, 5);
    ck_assert_double_eq(s.least, 1);
    ck_assert_double_eq(s.most, 9);
    ck_assert_uint_eq(s.count, 3);
    ck_assert_double_eq(stats_median(even, 4), 3.5);
    ck_assert_double_eq(odd[0], 9);
    ck_assert_uint_eq(stats_summary(NULL, 0).count, 0);
    ck_assert_double_eq(stats_median(NULL, 0), 0);
}
END_TEST

/* a b a b ...: the halves are 100 and 110; each round is 5 from the median. */
START_TEST(noise_is_the_difference_to_itself)
{
    const double halves[] = { 100, 110, 100, 110 }, wild[] = { 50, 50, 100, 100, 150, 150 };
    const double still[] = { 100, 100, 100, 100.1 }, dead[] = { 0, 0, 0, 0 };
    ck_assert_double_eq_tol(stats_noise(halves, 4), 10 / 105.0, 1e-9);
    ck_assert_double_eq_tol(stats_noise(wild, 6), 0.5, 1e-9);
    ck_assert_double_eq(stats_noise(still, 4), STATS_NOISE_MIN);
    ck_assert_double_eq(stats_noise(still, 2), STATS_NOISE_FEW);
    ck_assert_double_eq(stats_noise(dead, 4), 1);
    ck_assert_double_eq(stats_noise(halves, 1), 1);
}
END_TEST

START_TEST(ties_are_within_the_noise)
{
    const struct summary fast = { 100, 99, 101, 3 }, near = { 96, 95, 97, 3 }, far = { 90, 89, 91, 3 };
    const struct summary lucky = { 80, 70, 100, 3 }, once = { 90, 100, 100, 1 };
    ck_assert(stats_is_tie(&fast, &near, 0.05));
    ck_assert(stats_is_tie(&near, &fast, 0.05));
    ck_assert(!stats_is_tie(&fast, &far, 0.05));
    ck_assert(!stats_is_tie(&far, &fast, 0.05));
    ck_assert(stats_is_tie(&fast, &lucky, 0.05));
    ck_assert(!stats_is_tie(&fast, &once, 0.05));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stats");
    TCase *t = tcase_create("stats");
    tcase_add_test(t, the_median_is_in_the_middle);
    tcase_add_test(t, noise_is_the_difference_to_itself);
    tcase_add_test(t, ties_are_within_the_noise);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
