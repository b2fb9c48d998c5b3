/* SPDX-License-Identifier: MIT
 *
 * The epoll side of the floors: what is watched, a budget of accepts, and the level-triggered loop that floor_epoll is
 * and floor_procs_epoll has in each process.
 */
#ifndef FLOOR_LOOP_H
#define FLOOR_LOOP_H

#include <sys/epoll.h>

#include "floor.h"

enum { FLOOR_EVENTS = 256, FLOOR_ACCEPTS = 16 };

static inline int floor_epoll_open(void)
{
    int ep = epoll_create1(EPOLL_CLOEXEC);

    if (ep < 0) {
        floor_fail("epoll_create1");
    }
    return ep;
}

static inline void floor_watch(int ep, int op, struct floor_conn *c, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};

    if (epoll_ctl(ep, op, c->fd, &e) < 0) {
        floor_fail("epoll_ctl");
    }
}

/* Takes one connection into memory of `size` bytes that begins with its floor_conn; NULL when none waits. */
static inline void *floor_accept(int listener, int flags, size_t size)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | flags);
    struct floor_conn *c;

    if (fd < 0) {
        return NULL;
    }
    c = calloc(1, size);
    if (c == NULL) {
        close(fd);
        return NULL;
    }
    c->fd = fd;
    return c;
}

/* Takes what waits, up to a budget, so that a burst of connects does not starve those that are served. How many it took. */
static inline int floor_accept_some(int ep, int listener, size_t size, uint32_t events)
{
    for (int i = 0; i < FLOOR_ACCEPTS; i++) {
        struct floor_conn *c = floor_accept(listener, SOCK_NONBLOCK, size);

        if (c == NULL) {
            return i;
        }
        floor_watch(ep, EPOLL_CTL_ADD, c, events);
    }
    return FLOOR_ACCEPTS;
}

/* The kernel wakes the process that has waited longest: who has taken some stands at the end again. Without that one process
 * gets all connections of a client that opens them at once, and it is no measurement of several. */
static inline void floor_give_way(int ep, struct floor_conn *listener, uint32_t how)
{
    epoll_ctl(ep, EPOLL_CTL_DEL, listener->fd, NULL);
    floor_watch(ep, EPOLL_CTL_ADD, listener, EPOLLIN | how);
}

/* One-shot: arms a connection again for what it waits for next, or ends it. */
static inline void floor_arm(int ep, struct floor_conn *c, enum floor_next next)
{
    if (next == FLOOR_CLOSE) {
        floor_conn_close(c);
        free(c);
    } else {
        floor_watch(ep, EPOLL_CTL_MOD, c, (next == FLOOR_WRITE ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT);
    }
}

static inline void floor_loop_serve(int ep, struct floor_conn *c, struct floor_scratch *s)
{
    bool was_writing = c->out != NULL;
    enum floor_next next = floor_turn(c, s);

    if (next == FLOOR_CLOSE) {
        floor_conn_close(c);
        free(c);
    } else if ((next == FLOOR_WRITE) != was_writing) {
        floor_watch(ep, EPOLL_CTL_MOD, c, next == FLOOR_WRITE ? EPOLLOUT : EPOLLIN);
    }
}

/* Serves for ever; `how` is added to the events of the listener. */
static inline void floor_loop(int listener_fd, uint32_t how)
{
    static struct floor_scratch scratch;
    struct epoll_event events[FLOOR_EVENTS];
    struct floor_conn listener = {.fd = listener_fd};
    int ep = floor_epoll_open(), taken = 0;

    floor_watch(ep, EPOLL_CTL_ADD, &listener, EPOLLIN | how);
    for (;;) {
        int n = epoll_wait(ep, events, FLOOR_EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &listener) {
                taken += floor_accept_some(ep, listener.fd, sizeof(struct floor_conn), EPOLLIN);
                if (how != 0 && taken >= FLOOR_ACCEPTS) {
                    floor_give_way(ep, &listener, how);
                    taken = 0;
                }
            } else {
                floor_loop_serve(ep, events[i].data.ptr, &scratch);
            }
        }
    }
}

#endif
