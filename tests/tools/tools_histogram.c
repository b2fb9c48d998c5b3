/* SPDX-License-Identifier: MIT
 *
 * The histogram against the sorted values themselves.
 */
#include "load/histogram.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 20000 };

static uint64_t state = 0x5eed;

static uint64_t chance(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 20;
}

/* Spread over all magnitudes, as latencies are. */
static int64_t any_value(void)
{
    return (int64_t)(chance() & ((UINT64_C(1) << (chance() % 41)) - 1));
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t exact(const int64_t *sorted, size_t n, double percent)
{
    size_t rank = (size_t)ceil(percent / 100 * (double)n - 1e-9);
    return sorted[rank > 0 ? rank - 1 : 0];
}

static void check_close(int64_t is, int64_t should)
{
    ck_assert_int_ge(is, should);
    ck_assert_double_le((double)(is - should), (double)should * HISTOGRAM_ERROR);
}

START_TEST(percentiles_are_those_of_the_sorted_values)
{
    static int64_t values[VALUES];
    static struct histogram h;
    double sum = 0;
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = any_value();
        sum += (double)values[i];
        histogram_add(&h, values[i]);
    }
    qsort(values, VALUES, sizeof *values, by_size);
    static const double percents[] = { 0.001, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 99.999, 100 };
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++)
        check_close(histogram_percentile(&h, percents[i]), exact(values, VALUES, percents[i]));
    ck_assert_int_eq(histogram_percentile(&h, 0), values[0]);
    ck_assert_int_eq(histogram_percentile(&h, 100), values[VALUES - 1]);
    ck_assert_int_eq(h.min, values[0]);
    ck_assert_int_eq(h.max, values[VALUES - 1]);
    ck_assert_uint_eq(h.count, VALUES);
    ck_assert_double_le(fabs(histogram_mean(&h) - sum / VALUES), 1e-6 * sum / VALUES);
}
END_TEST

START_TEST(small_values_are_exact)
{
    for (int64_t v = 0; v < 128; v++) {
        struct histogram h = { 0 };
        histogram_add(&h, v);
        histogram_add(&h, HISTOGRAM_LIMIT);
        ck_assert_int_eq(histogram_percentile(&h, 50), v);
    }
}
END_TEST

/* Two neighbours share a bucket or stand in order: no value is ever read back smaller, or by more than 1/64 larger. */
START_TEST(every_edge_of_a_bucket_is_in_its_place)
{
    for (unsigned bit = 1; bit < HISTOGRAM_TOP_BITS; bit++) {
        for (int64_t off = -65; off <= 65; off++) {
            int64_t v = ((int64_t)1 << bit) + off;
            if (v < 0)
                continue;
            struct histogram h = { 0 };
            histogram_add(&h, v);
            histogram_add(&h, HISTOGRAM_LIMIT);
            check_close(histogram_percentile(&h, 50), v);
        }
    }
}
END_TEST

START_TEST(what_is_out_of_range_counts_at_the_edge)
{
    struct histogram h = { 0 };
    histogram_add(&h, -5);
    ck_assert_int_eq(h.max, 0);
    histogram_add(&h, INT64_MAX);
    ck_assert_int_eq(h.min, 0);
    ck_assert_int_eq(h.max, HISTOGRAM_LIMIT);
    ck_assert_int_eq(histogram_percentile(&h, 100), HISTOGRAM_LIMIT);
    ck_assert_uint_eq(h.buckets[HISTOGRAM_BUCKETS - 1], 1);
}
END_TEST

START_TEST(an_empty_one_says_zero)
{
    struct histogram h = { 0 }, other = { 0 };
    ck_assert_int_eq(histogram_percentile(&h, 50), 0);
    ck_assert_double_eq(histogram_mean(&h), 0);
    histogram_add(&other, 7);
    histogram_merge(&other, &h);
    ck_assert_int_eq(other.min, 7);
    ck_assert_uint_eq(other.count, 1);
}
END_TEST

START_TEST(merged_is_the_same_as_added)
{
    static struct histogram parts[4], merged, whole;
    for (unsigned i = 0; i < VALUES; i++) {
        int64_t v = any_value();
        histogram_add(&parts[i % 4], v);
        histogram_add(&whole, v);
    }
    for (unsigned i = 0; i < 4; i++)
        histogram_merge(&merged, &parts[i]);
    ck_assert_uint_eq(merged.count, whole.count);
    ck_assert_int_eq(merged.min, whole.min);
    ck_assert_int_eq(merged.max, whole.max);
    ck_assert_double_le(fabs(merged.sum - whole.sum), whole.sum * 1e-9);
    ck_assert_int_eq(memcmp(merged.buckets, whole.buckets, sizeof whole.buckets), 0);
}
END_TEST

START_TEST(over_counts_what_is_longer)
{
    struct histogram h = { 0 };
    for (int64_t ms = 1; ms <= 1000; ms++)
        histogram_add(&h, ms * 1000000);
    ck_assert_uint_eq(histogram_over(&h, -1), 1000);
    ck_assert_uint_eq(histogram_over(&h, 1000000000), 0);
    ck_assert_uint_eq(histogram_over(&h, INT64_MAX), 0);
    for (int64_t ms = 50; ms < 1000; ms += 50) {
        double over = (double)histogram_over(&h, ms * 1000000);
        ck_assert_double_le(fabs(over - (double)(1000 - ms)), (double)ms * HISTOGRAM_ERROR + 1);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("histogram");
    TCase *t = tcase_create("histogram");
    suite_add_tcase(s, t);
    tcase_add_test(t, percentiles_are_those_of_the_sorted_values);
    tcase_add_test(t, small_values_are_exact);
    tcase_add_test(t, every_edge_of_a_bucket_is_in_its_place);
    tcase_add_test(t, what_is_out_of_range_counts_at_the_edge);
    tcase_add_test(t, an_empty_one_says_zero);
    tcase_add_test(t, merged_is_the_same_as_added);
    tcase_add_test(t, over_counts_what_is_longer);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
