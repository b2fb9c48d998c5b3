/* SPDX-License-Identifier: MIT
 *
 * A small server for tests of the load client: one thread, in the test's process, on loopback. What it answers depends on
 * the path; see server.c.
 */
#ifndef TESTS_TOOLS_SERVER_H
#define TESTS_TOOLS_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server {
    int listener, epoll_fd, wake_fd;
    uint16_t port;
    pthread_t thread;
    atomic_int stall_ms;       /* stand still once for so long */
    _Atomic int64_t stalled;   /* ns that it really stood still */
    atomic_bool close_idle;    /* close what is open, once */
    atomic_bool stop;
    atomic_uint accepted, requests;
    atomic_uint hits[2]; /* of /good and /rare */
};

void server_start(struct server *s);
void server_stop(struct server *s);
/* Makes it look at what was set. */
void server_poke(struct server *s);

#endif
