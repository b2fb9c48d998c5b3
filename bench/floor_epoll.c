/* SPDX-License-Identifier: MIT
 *
 * The floor that every ratio is taken against: one thread, one level-triggered epoll set, no library.
 */
#include <sys/epoll.h>

#include "floor.h"

enum { EVENTS = 256, ACCEPTS = 64 };

static void watch(int ep, int op, struct floor_conn *c, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};

    if (epoll_ctl(ep, op, c->fd, &e) < 0) {
        floor_fail("epoll_ctl");
    }
}

/* Takes what waits, up to a budget, so that a burst of connects does not starve those that are served. */
static void accept_some(int ep, int listener)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct floor_conn *c;

        if (fd < 0) {
            return;
        }
        c = calloc(1, sizeof(*c));
        if (c == NULL) {
            close(fd);
            return;
        }
        c->fd = fd;
        watch(ep, EPOLL_CTL_ADD, c, EPOLLIN);
    }
}

static void serve(int ep, struct floor_conn *c, struct floor_scratch *s)
{
    bool was_writing = c->out != NULL;
    enum floor_next next = was_writing ? floor_resume(c) : floor_turn(c, s);

    if (next == FLOOR_CLOSE) {
        floor_conn_close(c);
        free(c);
    } else if (next == FLOOR_WRITE && !was_writing) {
        watch(ep, EPOLL_CTL_MOD, c, EPOLLOUT);
    } else if (next == FLOOR_READ && was_writing) {
        watch(ep, EPOLL_CTL_MOD, c, EPOLLIN);
    }
}

int main(int argc, char **argv)
{
    static struct floor_scratch scratch;
    struct epoll_event events[EVENTS];
    struct floor_conn listener = {.fd = floor_listen(argc, argv, "floor-epoll", SOCK_NONBLOCK)};
    int ep = epoll_create1(EPOLL_CLOEXEC);

    if (ep < 0) {
        floor_fail("epoll_create1");
    }
    watch(ep, EPOLL_CTL_ADD, &listener, EPOLLIN);
    for (;;) {
        int n = epoll_wait(ep, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &listener) {
                accept_some(ep, listener.fd);
            } else {
                serve(ep, events[i].data.ptr, &scratch);
            }
        }
    }
}
