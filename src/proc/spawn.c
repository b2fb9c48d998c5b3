/* SPDX-License-Identifier: MIT */
#include "proc/spawn.h"

int cnc_spawn_plan(struct cnc_spawn *spawn, const struct cnc_spawn_limits *limits, unsigned idle, unsigned total)
{
    unsigned rate = spawn->rate ? spawn->rate : 1;
    unsigned room = limits->workers_max > total ? limits->workers_max - total : 0;
    spawn->rate = 1;
    if (idle > limits->spare_max)
        return -1;
    if (idle >= limits->spare_min || room == 0)
        return 0;
    spawn->rate = rate * 2 < CNC_SPAWN_RATE_MAX ? rate * 2 : CNC_SPAWN_RATE_MAX;
    return (int)(rate < room ? rate : room);
}
