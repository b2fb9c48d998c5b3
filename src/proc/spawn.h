/* SPDX-License-Identifier: MIT
 *
 * How many workers prefork should have, by the rule of Apache's prefork, which is applied once a second. Pure.
 */
#ifndef CNC_SPAWN_H
#define CNC_SPAWN_H

#include "base/base.h"

#define CNC_SPAWN_EVERY_MS 1000
#define CNC_SPAWN_RATE_MAX 32

struct cnc_spawn {
    unsigned rate; /* how many may be started next time; 0 counts as 1 */
};

struct cnc_spawn_limits {
    unsigned spare_min, spare_max; /* idle workers, starting ones included; spare_max > spare_min */
    unsigned workers_max;
};

/* Returns how many workers to start (> 0), -1: end one, 0: neither. While there are too few idle workers, the number
 * doubles each second: 1, 2, 4 ... 32. If there are too many, one is ended each second. */
int cnc_spawn_plan(struct cnc_spawn *spawn, const struct cnc_spawn_limits *limits, unsigned idle, unsigned total);

#endif
