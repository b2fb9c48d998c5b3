/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

#include "base/base.h"

CNC_HOT static int64_t monotonic_ms(void *arg)
{
    struct timespec t;
    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

CNC_HOT static int64_t wall_seconds(void *arg)
{
    (void)arg;
    return time(NULL); /* cheaper than clock_gettime() */
}

const struct cnc_clock cnc_clock_system = { .now_ms = monotonic_ms, .wall_s = wall_seconds, .arg = NULL };
