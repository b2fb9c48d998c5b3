/* SPDX-License-Identifier: MIT
 *
 * The blocking side of the floors: threads, and the connection that has one to itself.
 */
#ifndef FLOOR_BLOCK_H
#define FLOOR_BLOCK_H

#include <pthread.h>
#include <stdatomic.h>

#include "floor.h"

/* Only touched pages are paid for; this leaves room for the scratch buffers. */
enum { FLOOR_STACK = 512 * 1024 };

static inline bool floor_send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

        if (k < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        p += k;
        n -= (size_t) k;
    }
    return true;
}

/* Serves a connection that has `have` bytes in s->in already. Returns -1 when it is to be closed. If its socket has a
 * SO_RCVTIMEO, silence of that length ends the stay, too, and so does a reply while *wanted is not 0: then the bytes in
 * s->in, of a head cut in two, are returned. */
static inline ssize_t floor_stay(int fd, struct floor_scratch *s, size_t have, const atomic_int *wanted)
{
    bool closing = false;
    size_t out_len;

    for (;;) {
        ssize_t n, used = floor_answer(s->in, have, s->out, &out_len, &closing);

        if (used < 0 || !floor_send_all(fd, s->out, out_len) || closing) {
            return -1;
        }
        have -= (size_t) used;
        if (have > 0 && used > 0) {
            memmove(s->in, s->in + used, have);
        }
        if (out_len > 0 && wanted != NULL && atomic_load_explicit(wanted, memory_order_relaxed) != 0) {
            return (ssize_t) have;
        }
        do {
            n = recv(fd, s->in + have, FLOOR_IN - have, 0);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN) {
            return (ssize_t) have;
        }
        if (n <= 0) {
            return -1;
        }
        have += (size_t) n;
    }
}

/* Serves one connection until it ends. */
static inline void floor_serve(int fd)
{
    struct floor_scratch s;

    floor_stay(fd, &s, 0, NULL);
    close(fd);
}

/* Accepts a connection, serves it to its end, accepts the next; more of them wait in the listener's queue. */
static inline void floor_accept_serve(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0) {
            floor_serve(fd);
        }
    }
}

/* Starts a thread that nobody joins. Returns 0 or what pthread_create does. */
static inline int floor_thread(void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, FLOOR_STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    rc = pthread_create(&thread, &attr, run, arg);
    pthread_attr_destroy(&attr);
    return rc;
}

static inline void floor_threads(int n, void *(*run)(void *), void *arg)
{
    for (int i = 0; i < n; i++) {
        if ((errno = floor_thread(run, arg)) != 0) {
            floor_fail("pthread_create");
        }
    }
}

/* A main thread that has nothing to do but to wait for the end. */
static inline void floor_idle(void)
{
    for (;;) {
        pause();
    }
}

#endif
