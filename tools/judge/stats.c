/* SPDX-License-Identifier: MIT */
#include "judge/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct summary stats_summary(const double *values, size_t n)
{
    struct summary s = { 0 };
    double *sorted = n ? malloc(n * sizeof *sorted) : NULL;
    if (!sorted)
        return s;
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    s = (struct summary){ (sorted[(n - 1) / 2] + sorted[n / 2]) / 2, sorted[0], sorted[n - 1], n };
    free(sorted);
    return s;
}

double stats_median(const double *values, size_t n)
{
    return stats_summary(values, n).median;
}

static double deviation(const double *values, size_t n, double median)
{
    double *distance = malloc(n * sizeof *distance);
    double middle = 0;
    for (size_t i = 0; distance && i < n; i++)
        distance[i] = fabs(values[i] - median);
    if (distance)
        middle = stats_median(distance, n);
    free(distance);
    return middle;
}

static double median_of_every_second(const double *values, size_t n, size_t first)
{
    double *half = malloc((n / 2 + 1) * sizeof *half);
    size_t count = 0;
    for (size_t i = first; half && i < n; i += 2)
        half[count++] = values[i];
    double median = half ? stats_median(half, count) : 0;
    free(half);
    return median;
}

double stats_noise(const double *values, size_t n)
{
    double median = stats_median(values, n);
    if (median <= 0 || n < 2)
        return 1;
    double between = fabs(median_of_every_second(values, n, 0) - median_of_every_second(values, n, 1));
    double within = deviation(values, n, median);
    double noise = (between > within ? between : within) / median;
    double least = n < 4 ? STATS_NOISE_FEW : STATS_NOISE_MIN;
    return noise > least ? noise : least;
}

bool stats_is_tie(const struct summary *a, const struct summary *b, double noise)
{
    const struct summary *high = a->median >= b->median ? a : b, *low = high == a ? b : a;
    return high->median - low->median <= noise * high->median || (low->count > 1 && low->most >= high->median);
}
