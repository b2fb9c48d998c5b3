/* SPDX-License-Identifier: MIT
 *
 * The raw form of prefork: `--workers N` (64) processes block in accept on the one listening socket, each serving one
 * connection at a time to its end.
 */
#include "floor_block.h"
#include "floor_procs.h"

static void work(int index, void *arg)
{
    (void) index;
    floor_accept_serve(*(const int *) arg);
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, 0);

    floor_processes(floor_flag(argc, argv, "--workers", 64), work, &listener);
    floor_ready(listener, "floor-prefork");
    return floor_processes_wait();
}
