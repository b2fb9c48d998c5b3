/* SPDX-License-Identifier: MIT
 *
 * Raw blocking threads in two forms. Without a flag: a thread is created for each connection at accept. With
 * `--threads N`: N threads started in advance, each of which accepts a connection, serves it to its end and accepts the
 * next; more connections than threads wait in the listener's queue.
 */
#include <pthread.h>

#include "floor.h"

/* Only touched pages are paid for; this leaves room for the scratch buffers. */
enum { STACK = 512 * 1024 };

static bool write_all(int fd, const char *p, size_t n)
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

/* Serves one connection until it ends. */
static void serve(int fd)
{
    struct floor_scratch s;
    size_t have = 0, out_len;
    bool closing = false;

    while (!closing) {
        ssize_t used, n = recv(fd, s.in + have, FLOOR_IN - have, 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        have += (size_t) n;
        used = floor_answer(s.in, have, s.out, &out_len, &closing);
        if (used < 0 || !write_all(fd, s.out, out_len)) {
            break;
        }
        have -= (size_t) used;
        if (have > 0) {
            memmove(s.in, s.in + used, have);
        }
    }
    close(fd);
}

static void *run_one(void *arg)
{
    serve((int) (intptr_t) arg);
    return NULL;
}

static void *run_many(void *arg)
{
    int listener = (int) (intptr_t) arg;

    while (listener >= 0) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0) {
            serve(fd);
        }
    }
    return NULL;
}

static int start(void *(*run)(void *), int fd)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    rc = pthread_create(&thread, &attr, run, (void *) (intptr_t) fd);
    pthread_attr_destroy(&attr);
    return rc;
}

int main(int argc, char **argv)
{
    int threads = floor_flag(argc, argv, "--threads", 0);
    int listener = floor_listen(argc, argv, threads > 0 ? "floor-threads-pre" : "floor-threads", 0);

    for (int i = 0; i < threads; i++) {
        if ((errno = start(run_many, listener)) != 0) {
            floor_fail("pthread_create");
        }
    }
    while (threads > 0) {
        pause();
    }
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0 && start(run_one, fd) != 0) {
            close(fd);
        }
    }
}
