/* SPDX-License-Identifier: MIT
 *
 * The event engine: one process, one loop, nothing may block.
 *
 *     clients --- accept --- loop: read, parse, handler, write ---+
 *                             ^                                   |
 *                             +--- timers, tickets, other peers --+
 *
 * Handler runs in:   the loop's thread, one at a time.
 * Crash costs:       the process.
 * What blocks what:  a handler that blocks stops everybody; the stall warning says so. With pool_threads, blocking
 *                    routes and offloads run on the pool instead.
 * Overload:          connections wait in the kernel's queue; over connections_max idle ones go, then accepting pauses.
 * Stop:              accepting ends, requests under way finish, idle connections go after drain_idle; at the deadline the
 *                    rest is given up.
 */
#include "serve/looped.h"

const struct cnc_engine_ops cnc_engine_event = {
    .id = CONCUR_ENGINE_EVENT,
    .name = "event",
    .worker = {
        .name = "loop",
        .open = cnc_looped_open,
        .run = cnc_looped_run,
        .stats = cnc_looped_stats,
        .close = cnc_looped_close,
    },
};
