/* SPDX-License-Identifier: MIT
 *
 * The event-pool engine: one loop, and a hidden pool of threads for long tasks (Node.js and libuv).
 *
 *     clients --- accept --- loop: read, parse, handler, write --- queue --- pool: offloads, blocking routes
 *                             ^                                                |
 *                             +--- completion, as a callback on the loop ------+
 *
 * Handler runs in:   the loop's thread; a blocking route's whole on a pool thread; an offload's work there, its done on the
 *                    loop.
 * Crash costs:       the process.
 * What blocks what:  blocking work stands in the way of blocking work only, once all pool_threads are taken. A handler that
 *                    blocks without saying so stands in everybody's way, as on event.
 * Overload:          over pool_queue_max waiting tasks a blocking route is answered 503 with Retry-After, an offload is
 *                    refused; connections as on event.
 * Stop:              as on event; what still waits for a pool thread at the deadline is dropped, what runs is joined.
 */
#include "serve/looped.h"

/* The same role as event: its default of pool_threads (options/options.c) makes it another model. */
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
