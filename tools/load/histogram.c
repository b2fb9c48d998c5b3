/* SPDX-License-Identifier: MIT */
#include "load/histogram.h"

enum { HALF = 1 << HISTOGRAM_SUB_BITS };

/* The first two rows of HALF buckets have one value each; each later row is for values up to twice as large. */
static unsigned bucket_of(int64_t ns)
{
    uint64_t v = (uint64_t)ns;
    if (v < 2 * HALF)
        return (unsigned)v;
    unsigned shift = 63 - (unsigned)__builtin_clzll(v) - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(v >> shift);
}

static int64_t lowest_of(unsigned bucket)
{
    if (bucket < 2 * HALF)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    return (int64_t)(HALF + (bucket & (HALF - 1))) << shift;
}

/* The largest value of a bucket, so that the result is never too small. */
static int64_t highest_of(unsigned bucket)
{
    return lowest_of(bucket + 1) - 1;
}

void histogram_add(struct histogram *h, int64_t ns)
{
    int64_t v = ns < 0 ? 0 : ns > HISTOGRAM_LIMIT ? HISTOGRAM_LIMIT : ns;
    if (h->count == 0 || v < h->min)
        h->min = v;
    if (v > h->max)
        h->max = v;
    h->count++;
    h->sum += (double)v;
    h->buckets[bucket_of(v)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->count += from->count;
    into->sum += from->sum;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

static int64_t within(const struct histogram *h, int64_t v)
{
    return v < h->min ? h->min : v > h->max ? h->max : v;
}

int64_t histogram_percentile(const struct histogram *h, double percent)
{
    uint64_t seen = 0;
    if (h->count == 0 || percent <= 0)
        return h->min;
    double rank = percent / 100 * (double)h->count;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        /* The tolerance is for rounding: 99.9 % of 1,000 values must be the 999th. */
        if (seen > 0 && (double)seen >= rank * (1 - 1e-12))
            return within(h, highest_of(i));
    }
    return h->max;
}

double histogram_mean(const struct histogram *h)
{
    return h->count ? h->sum / (double)h->count : 0;
}

uint64_t histogram_over(const struct histogram *h, int64_t ns)
{
    uint64_t over = 0;
    if (ns < 0)
        return h->count;
    if (ns >= HISTOGRAM_LIMIT)
        return 0;
    for (unsigned i = bucket_of(ns) + 1; i < HISTOGRAM_BUCKETS; i++)
        over += h->buckets[i];
    return over;
}
