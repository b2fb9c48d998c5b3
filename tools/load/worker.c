/* SPDX-License-Identifier: MIT */
#include "load/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "load/conn.h"

enum { EVENTS = 256, TICK_NS = 20000000 };

int64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* xorshift64 */
uint32_t worker_chance(struct worker *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (uint32_t)(w->random >> 32);
}

bool worker_is_measured(const struct worker *w, int64_t at)
{
    return at >= w->run->began_at && at < w->ended_at;
}

void worker_count(struct worker *w, struct load_part *part, enum load_outcome outcome, bool is_measured, int64_t now)
{
    part->counts.of[outcome] += is_measured;
    if (!worker_is_measured(w, now))
        return;
    part->counts.came += outcome == LOAD_GOOD;
    uint32_t *slices = outcome == LOAD_GOOD ? w->good_by_slice : w->bad_by_slice;
    slices[(now - w->run->began_at) / (LOAD_SLICE_MS * 1000000)]++;
}

static double waited(void)
{
    unsigned long long ran = 0, waited_ns = 0;
    FILE *f = fopen("/proc/thread-self/schedstat", "re");
    if (!f)
        return 0;
    if (fscanf(f, "%llu %llu", &ran, &waited_ns) != 2)
        waited_ns = 0;
    fclose(f);
    return (double)waited_ns / 1e9;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct usage usage_now(int64_t now)
{
    struct rusage u;
    getrusage(RUSAGE_THREAD, &u);
    return (struct usage){ seconds(u.ru_utime), seconds(u.ru_stime), waited(), now };
}

/* How many connections have a number index, index + n, ... in the whole load. */
static size_t share(const struct run *run, unsigned index, unsigned n, struct worker *w)
{
    size_t conns = 0, flights = 0, number = 0;
    for (size_t g = 0; g < run->plan_count; g++) {
        const struct workload_group *group = run->plans[g].group;
        for (unsigned i = 0; i < group->connections; i++, number++) {
            if (number % n != index)
                continue;
            if (w->conns) {
                conn_init(&w->conns[conns], w, g, i);
                w->conns[conns].flights = w->flights + flights;
            }
            conns++;
            flights += group->depth;
        }
    }
    w->conn_count = w->active = conns;
    return flights;
}

static int open_loop(struct worker *w)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (w->epoll_fd < 0 || w->timer_fd < 0)
        return -errno;
    return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->timer_fd, &e) < 0 ? -errno : 0;
}

int worker_init(struct worker *w, const struct run *run, unsigned index, unsigned n)
{
    *w = (struct worker){ .run = run, .epoll_fd = -1, .timer_fd = -1, .ended_at = run->ended_at };
    w->random = 0x9e3779b97f4a7c15u * (index + 1u);
    size_t flights = share(run, index, n, w);
    w->parts = calloc(run->plan_count, sizeof *w->parts);
    w->good_by_slice = calloc(run->slice_count, sizeof *w->good_by_slice);
    w->bad_by_slice = calloc(run->slice_count, sizeof *w->bad_by_slice);
    w->flights = calloc(flights, sizeof *w->flights);
    w->input = malloc(WORKER_INPUT);
    struct conn *conns = calloc(w->conn_count, sizeof *conns);
    w->conns = conns;
    if (!w->parts || !w->good_by_slice || !w->bad_by_slice || !w->flights || !w->input || !conns)
        return -ENOMEM;
    int rc = wakes_init(&w->wakes, w->conn_count);
    if (rc == 0)
        rc = open_loop(w);
    if (rc == 0)
        share(run, index, n, w);
    return rc;
}

void worker_deinit(struct worker *w)
{
    if (w->epoll_fd >= 0)
        close(w->epoll_fd);
    if (w->timer_fd >= 0)
        close(w->timer_fd);
    wakes_deinit(&w->wakes);
    free(w->conns);
    free(w->flights);
    free(w->parts);
    free(w->good_by_slice);
    free(w->bad_by_slice);
    free(w->input);
}

static void end_measuring(struct worker *w, int64_t now)
{
    w->has_ended = true;
    w->usage[1] = usage_now(now);
    if (!w->has_begun)
        w->usage[0] = w->usage[1];
    for (size_t i = 0; i < w->conn_count; i++)
        conn_on_end(&w->conns[i], now);
}

static void check_phase(struct worker *w, int64_t now)
{
    w->ended_at = atomic_load(&w->run->ended_at);
    if (!w->has_begun && now >= w->run->began_at) {
        w->has_begun = true;
        w->usage[0] = usage_now(now);
    }
    if (!w->has_ended && now >= w->ended_at)
        end_measuring(w, now);
    if (atomic_load(&w->run->abandoned))
        for (size_t i = 0; i < w->conn_count; i++)
            conn_abandon(&w->conns[i]);
}

/* The latest time of the next look: the next wake-up, the next phase, or a check for a stop. */
static int64_t next_look(const struct worker *w, int64_t now)
{
    int64_t at = w->armed_at > now ? w->armed_at : now + TICK_NS;
    int64_t phase = !w->has_begun ? w->run->began_at : !w->has_ended ? w->ended_at : at;
    int64_t wake = wakes_next(&w->wakes);
    at = phase < at ? phase : at;
    return wake < at ? wake : at;
}

static void arm(struct worker *w, int64_t now)
{
    int64_t at = next_look(w, now);
    if (at == w->armed_at)
        return;
    struct itimerspec t = { .it_value = { at / 1000000000, at % 1000000000 } };
    timerfd_settime(w->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
    w->armed_at = at;
}

static void wait_and_serve(struct worker *w)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(w->epoll_fd, events, EVENTS, -1);
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr)
            conn_on_event(events[i].data.ptr, events[i].events, clock_now());
}

void *worker_main(void *arg)
{
    struct worker *w = arg;
    for (;;) {
        struct wake *due;
        int64_t now = clock_now();
        check_phase(w, now);
        while ((due = wakes_due(&w->wakes, now)))
            conn_on_wake((struct conn *)due, now);
        if (w->active == 0)
            break;
        arm(w, now);
        wait_and_serve(w);
    }
    atomic_store(&w->done, true);
    return NULL;
}
