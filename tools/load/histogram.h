/* SPDX-License-Identifier: MIT
 *
 * A log-linear histogram of latencies in nanoseconds: 64 buckets for each power of two. Values below 128 ns are exact,
 * larger ones have an error of at most 1/64 (1.6 %). Minimum, maximum, mean and count are exact. A value over LIMIT
 * counts as LIMIT.
 */
#ifndef TOOLS_HISTOGRAM_H
#define TOOLS_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 6,
    HISTOGRAM_TOP_BITS = 42, /* 2^42 ns: 73 minutes */
    HISTOGRAM_BUCKETS = (HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS,
};

#define HISTOGRAM_LIMIT (((int64_t)1 << HISTOGRAM_TOP_BITS) - 1)
#define HISTOGRAM_ERROR (1.0 / (1 << HISTOGRAM_SUB_BITS))

/* All zero: empty. INV: the buckets add up to count */
struct histogram {
    uint64_t count;
    int64_t min, max; /* 0 while empty */
    double sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Negative values count as 0. */
void histogram_add(struct histogram *h, int64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The percentile: 0 gives the minimum, 100 the maximum. 0 if the histogram is empty. */
int64_t histogram_percentile(const struct histogram *h, double percent);
double histogram_mean(const struct histogram *h);
/* How many values were larger than ns. Values in the bucket of ns itself may be missing or counted. */
uint64_t histogram_over(const struct histogram *h, int64_t ns);

#endif
