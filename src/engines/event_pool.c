/* SPDX-License-Identifier: MIT
 *
 * The event-pool engine: one loop, and a pool of threads for long tasks, as in Node.js.
 *
 *     clients --- accept --- loop: read, parse, handler, write --- queue --- pool: offloads, blocking routes
 *                             ^                                                |
 *                             +--- completion, as a callback on the loop ------+
 *
 * Handler runs in:   the loop's thread; the handler of a blocking route in a thread of the pool. An offload's work function
 *                    runs in the pool, its done function on the loop.
 * Crash costs:       the process.
 * What blocks what:  when all pool_threads are taken, further blocking work waits. A handler that blocks on a route that is
 *                    not marked stops everybody, as on event.
 * Overload:          over pool_queue_max waiting tasks a blocking route is answered 503 with Retry-After, an offload is
 *                    refused; connections as on event.
 * Stop:              as on event; what still waits for a pool thread at the deadline is dropped, what runs is joined.
 */
#include "serve/looped.h"

/* The role is the same as on event. Only the default of pool_threads differs (options/options.c). */
const struct cnc_engine_ops cnc_engine_event_pool = {
    .id = CONCUR_ENGINE_EVENT_POOL,
    .name = "event-pool",
    .worker = {
        .name = "loop",
        .open = cnc_looped_open,
        .run = cnc_looped_run,
        .stats = cnc_looped_stats,
        .close = cnc_looped_close,
    },
};
