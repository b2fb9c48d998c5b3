/* SPDX-License-Identifier: MIT
 *
 * Medians, ranges, noise and ties. Ratios are fractions.
 */
#ifndef TOOLS_STATS_H
#define TOOLS_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* The rounds of one engine under one workload. */
struct summary {
    double median, least, most;
    size_t count; /* 0: the rest is 0 */
};

/* The noise is at least this: a smaller difference does not count, even on a quiet machine. */
#define STATS_NOISE_MIN 0.01
/* The same if there were too few rounds to measure noise. */
#define STATS_NOISE_FEW 0.05

struct summary stats_summary(const double *values, size_t n);
double stats_median(const double *values, size_t n);
/* One engine was measured as if it were two, in turn (a b a b ...), n values in all. Returns the difference of the two
 * medians, or the median deviation of a round if that is larger, as a fraction of the median. At least STATS_NOISE_MIN;
 * with fewer than four values STATS_NOISE_FEW. 1: there were no answers. */
double stats_noise(const double *values, size_t n);
/* Is it a tie? The medians differ by no more than the noise, or the lower one has reached the other's median in one of
 * its rounds. */
bool stats_is_tie(const struct summary *a, const struct summary *b, double noise);

#endif
