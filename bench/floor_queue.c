/* SPDX-License-Identifier: MIT
 *
 * The raw form of blocking work behind a loop: an epoll loop puts connections that have something to say, one-shot, in
 * one queue; `--threads N` (64) threads take them from there, read, block for `--block MS` (20), answer, and arm them
 * again.
 */
#include <time.h>

#include "floor_block.h"
#include "floor_loop.h"

struct job {
    struct floor_conn conn; /* first */
    struct job *next;
};

struct queue {
    int ep;
    struct timespec block;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct job *head; /* under the lock, as is tail */
    struct job **tail;
};

static void put(struct queue *q, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&q->lock);
    *q->tail = job;
    q->tail = &job->next;
    pthread_mutex_unlock(&q->lock);
    pthread_cond_signal(&q->filled);
}

static struct job *take(struct queue *q)
{
    struct job *job;

    pthread_mutex_lock(&q->lock);
    while (q->head == NULL) {
        pthread_cond_wait(&q->filled, &q->lock);
    }
    job = q->head;
    q->head = job->next;
    if (q->head == NULL) {
        q->tail = &q->head;
    }
    pthread_mutex_unlock(&q->lock);
    return job;
}

static void block(struct timespec left)
{
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

/* Requests that came together block once. */
static enum floor_next turn(const struct queue *q, struct floor_conn *c, struct floor_scratch *s)
{
    enum floor_next next;
    size_t out_len;

    if (c->out != NULL) {
        return floor_resume(c);
    }
    next = floor_read(c, s, &out_len);
    if (next == FLOOR_WRITE) {
        block(q->block);
        next = floor_send(c, s->out, out_len);
    }
    return next;
}

static void *run(void *arg)
{
    struct queue *q = arg;
    struct floor_scratch scratch;

    for (;;) {
        struct job *job = take(q);

        floor_arm(q->ep, &job->conn, turn(q, &job->conn, &scratch));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct queue q = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER, .tail = &q.head};
    struct floor_conn listener = {.fd = floor_listen(argc, argv, SOCK_NONBLOCK)};
    struct epoll_event events[FLOOR_EVENTS];
    int ms = floor_flag(argc, argv, "--block", 20);

    q.ep = floor_epoll_open();
    q.block = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    floor_watch(q.ep, EPOLL_CTL_ADD, &listener, EPOLLIN);
    floor_threads(floor_flag(argc, argv, "--threads", 64), run, &q);
    floor_ready(listener.fd, "floor-queue");
    for (;;) {
        int n = epoll_wait(q.ep, events, FLOOR_EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &listener) {
                floor_accept_some(q.ep, listener.fd, sizeof(struct job), EPOLLIN | EPOLLONESHOT);
            } else {
                put(&q, events[i].data.ptr);
            }
        }
    }
}
