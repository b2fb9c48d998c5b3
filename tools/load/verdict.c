/* SPDX-License-Identifier: MIT */
#include "load/verdict.h"

#include <stdio.h>

/* A thread that ran, or got no processor, for this fraction of the time was saturated. */
static const double saturated_from = 0.95;
/* If requests were sent so late (ns), percentiles are wrong, unless they are much longer. */
static const int64_t late_from = 1000000;
static const int64_t late_part = 4;

void verdict_on(struct load_result *r)
{
    int64_t late = histogram_percentile(&r->lateness, 99), latency = histogram_percentile(&r->total.latency, 99);
    r->saturated = true;
    r->why[0] = '\0';
    if (r->busiest + r->starved >= saturated_from)
        snprintf(r->why, sizeof r->why, "one of its threads was busy for %.0f %% of the time, and without a processor for "
                 "%.0f %%",
                 r->busiest * 100, r->starved * 100);
    else if (late >= late_from && late > latency / late_part)
        snprintf(r->why, sizeof r->why, "it sent 1 request in 100 more than %.1f ms late", (double)late / 1e6);
    else
        r->saturated = false;
}
