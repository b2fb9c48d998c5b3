/* SPDX-License-Identifier: MIT
 *
 * Processes of blocking threads without a front: `--workers N` (2) processes, in each `--threads N` (32) threads that
 * are started in advance, all in accept on the one listening socket, each serving one connection at a time to its end.
 */
#include "floor_block.h"
#include "floor_procs.h"

struct plan {
    int listener;
    int threads;
};

static void *run(void *arg)
{
    floor_accept_serve(((const struct plan *) arg)->listener);
    return NULL;
}

static void work(int index, void *arg)
{
    const struct plan *plan = arg;

    (void) index;
    floor_threads(plan->threads, run, arg);
    floor_idle();
}

int main(int argc, char **argv)
{
    struct plan plan = {.threads = floor_flag(argc, argv, "--threads", 32)};

    plan.listener = floor_listen(argc, argv, 0);
    floor_processes(floor_flag(argc, argv, "--workers", 2), work, &plan);
    floor_ready(plan.listener, "floor-procs-threads");
    return floor_processes_wait();
}
