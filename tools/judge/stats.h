/* SPDX-License-Identifier: MIT
 *
 * Medians, spread, noise, ties. Ratios are parts of 1.
 */
#ifndef TOOLS_STATS_H
#define TOOLS_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* Of the rounds of one thing. */
struct summary {
    double median, least, most;
    size_t count; /* 0: the rest is 0 */
};

/* The least noise: a smaller difference does not count, even on a quiet machine. */
#define STATS_NOISE_MIN 0.01
/* The same where there were too few rounds to see noise. */
#define STATS_NOISE_FEW 0.05

struct summary stats_summary(const double *values, size_t n);
double stats_median(const double *values, size_t n);
/* One thing measured n times and again n times, in turn (a b a b ...): the larger of the difference of the two medians
 * and of the middle deviation of a single round, as a part of the median; STATS_NOISE_MIN at least, below four
 * values STATS_NOISE_FEW. 1: nothing came. */
double stats_noise(const double *values, size_t n);
/* Whether two may be equal: their medians differ by no more than the noise, or the lower one has reached the other's
 * median in one of its rounds. */
bool stats_is_tie(const struct summary *a, const struct summary *b, double noise);

#endif
