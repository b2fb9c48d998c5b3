/* SPDX-License-Identifier: MIT
 *
 * Raw blocking threads in two forms. Without a flag: a thread is created for each connection at accept. With
 * `--threads N`: N threads started in advance, each of which accepts a connection, serves it to its end and accepts the
 * next; more connections than threads wait in the listener's queue.
 */
#include "floor_block.h"

static void *run_one(void *arg)
{
    floor_serve((int) (intptr_t) arg);
    return NULL;
}

static void *run_many(void *arg)
{
    floor_accept_serve(*(const int *) arg);
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = floor_flag(argc, argv, "--threads", 0);
    int listener = floor_listen(argc, argv, 0);

    floor_threads(threads, run_many, &listener);
    floor_ready(listener, threads > 0 ? "floor-threads-pre" : "floor-threads");
    if (threads > 0) {
        floor_idle();
    }
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0 && floor_thread(run_one, (void *) (intptr_t) fd) != 0) {
            close(fd);
        }
    }
}
