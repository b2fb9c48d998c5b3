/* SPDX-License-Identifier: MIT
 *
 * The clock is passed to the code that needs the time, so that a test can set it.
 */
#ifndef CNC_CLOCK_H
#define CNC_CLOCK_H

#include <stdint.h>

struct cnc_clock {
    int64_t (*now_ms)(void *arg);  /* monotonic milliseconds */
    int64_t (*wall_s)(void *arg);  /* seconds since 1970-01-01 UTC, for Date */
    void *arg;
};

/* The clocks of the system. */
extern const struct cnc_clock cnc_clock_system;

static inline int64_t cnc_clock_now(const struct cnc_clock *c)
{
    return c->now_ms(c->arg);
}

static inline int64_t cnc_clock_wall(const struct cnc_clock *c)
{
    return c->wall_s(c->arg);
}

#endif
