/* SPDX-License-Identifier: MIT
 *
 * The process-event engine: a master, and workers that are one loop each, as in nginx.
 *
 *                      +--- worker: accept --- loop: read, parse, handler, write
 *     clients --- socket --- worker: the same
 *                      +--- ...              master: forks them, watches over them
 *
 * Handler runs in:   the loop of one of the workers, one at a time there; there is a worker for every usable core.
 * Crash costs:       the worker and its connections; another one starts at once. Connections that wait in the kernel's queue
 *                    are not lost, since all workers share the socket.
 * What blocks what:  a handler that blocks stops the connections of its own worker only.
 * Overload:          as on event, for each worker, which has its share of connections_max.
 * Stop:              as on event, in every worker at once; one that has not finished soon after the deadline is killed.
 */
#include "serve/looped.h"

static void process_event_plan(const struct cnc_config *cfg, struct cnc_plan *out)
{
    (void)cnc_plan_add(out, (struct cnc_group){ .role = CNC_ROLE_WORKER, .is_required = true, .accepts = true,
                                                .has_successors = true, .count = (unsigned)cfg->workers,
                                                .most = (unsigned)cfg->workers });
}

const struct cnc_engine_ops cnc_engine_process_event = {
    .id = CONCUR_ENGINE_PROCESS_EVENT,
    .name = "process-event",
    .divides_connections = true, /* a worker that has its share pauses, and the others accept */
    .plan = process_event_plan,
    .worker = {
        .name = "loop",
        .open = cnc_looped_open,
        .run = cnc_looped_run,
        .stats = cnc_looped_stats,
        .close = cnc_looped_close,
    },
};
