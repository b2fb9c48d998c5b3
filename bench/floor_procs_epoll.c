/* SPDX-License-Identifier: MIT
 *
 * The raw form of processes that each have a loop: `--workers N` (2) of floor_epoll's loop on the one listening socket.
 * EPOLLEXCLUSIVE wakes one of them for a connection, not all.
 */
#include "floor_loop.h"
#include "floor_procs.h"

static void work(int index, void *arg)
{
    (void) index;
    floor_loop(*(const int *) arg, EPOLLEXCLUSIVE);
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, SOCK_NONBLOCK);

    floor_processes(floor_flag(argc, argv, "--workers", 2), work, &listener);
    floor_ready(listener, "floor-procs-epoll");
    return floor_processes_wait();
}
