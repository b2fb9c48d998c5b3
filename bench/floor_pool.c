/* SPDX-License-Identifier: MIT
 *
 * The raw form of a pool behind one set of connections: `--threads N` (4) threads wait on one epoll set, one-shot, so
 * that a connection is with one of them at a time and has to be armed again for its next request. The listener is one
 * of the set. A thread takes one connection from the set at a time: what it does for it may take long.
 */
#include "floor_block.h"
#include "floor_loop.h"

struct pool {
    int ep;
    struct floor_conn listener;
};

static void *run(void *arg)
{
    struct pool *pool = arg;
    struct floor_scratch scratch;
    struct epoll_event event;

    for (;;) {
        if (epoll_wait(pool->ep, &event, 1, -1) != 1) {
            continue;
        }
        if (event.data.ptr == &pool->listener) {
            floor_accept_some(pool->ep, pool->listener.fd, sizeof(struct floor_conn), EPOLLIN | EPOLLONESHOT);
            floor_watch(pool->ep, EPOLL_CTL_MOD, &pool->listener, EPOLLIN | EPOLLONESHOT);
        } else {
            floor_arm(pool->ep, event.data.ptr, floor_turn(event.data.ptr, &scratch));
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct pool pool = {.listener.fd = floor_listen(argc, argv, SOCK_NONBLOCK), .ep = floor_epoll_open()};

    floor_watch(pool.ep, EPOLL_CTL_ADD, &pool.listener, EPOLLIN | EPOLLONESHOT);
    floor_threads(floor_flag(argc, argv, "--threads", 4), run, &pool);
    floor_ready(pool.listener.fd, "floor-pool");
    floor_idle();
}
