/* SPDX-License-Identifier: MIT */
#include "transport/rough.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { RECORD_MAX = 16384, IOV_USED = 8, GREET_CALLS = 4 /* of each kind at most */ };

struct rough {
    struct rough_counts *counts;
    uint64_t random;
    unsigned greets_left; /* an even number waits for reading, an odd one for writing */
    int want_read, want_write; /* what a read, or a write, waits for */
    bool greeted, waited, asked_to_write, asked_to_read, finishing;
    size_t at, end; /* of data that was taken and not handed out */
    char data[RECORD_MAX];
};

static void count(atomic_ulong *number)
{
    atomic_fetch_add_explicit(number, 1, memory_order_relaxed);
}

static uint64_t below(struct rough *r, uint64_t n)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (r->random * 0x2545f4914f6cdd1du >> 33) % n;
}

void *rough_make(void *maker, int fd)
{
    struct rough_maker *m = maker;
    struct rough *r = malloc(sizeof *r);
    (void)fd;
    if (!r)
        return NULL;
    uint64_t number = atomic_fetch_add(&m->counts->made, 1) + 1;
    memset(r, 0, offsetof(struct rough, data));
    r->counts = m->counts;
    r->random = (m->seed + 1) * 0x9e3779b97f4a7c15u ^ number * 0xbf58476d1ce4e5b9u;
    r->random = r->random ? r->random : 1;
    r->greets_left = 3 + (unsigned)below(r, GREET_CALLS);
    r->want_read = CNC_WANT_READ;
    r->want_write = CNC_WANT_WRITE;
    return r;
}

/* What greets, or reads, has to wait for. */
static int again(struct rough *r, int want, atomic_ulong *number)
{
    r->want_read = want;
    if (number)
        count(number);
    return -EAGAIN;
}

/* Nothing is taken: the bytes that it waits for are the client's request. */
static int rough_greet(int fd, void *state)
{
    struct rough *r = state;
    char byte;
    if (r->greeted)
        abort(); /* whoever greets twice has lost count */
    while (r->greets_left) {
        if (r->greets_left % 2) {
            r->greets_left--;
            return again(r, CNC_WANT_WRITE, &r->counts->greets_write);
        }
        ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return -errno;
        if (n < 0 || !r->waited) {
            r->waited = true;
            return again(r, CNC_WANT_READ, &r->counts->greets_read);
        }
        r->waited = false;
        r->greets_left--;
    }
    r->greeted = true;
    count(&r->counts->greeted);
    return 1;
}

/* Takes a record, behind what is here. As recv(), with -errno. */
static ssize_t take_record(struct rough *r, int fd, bool wait)
{
    memmove(r->data, r->data + r->at, r->end - r->at);
    r->end -= r->at;
    r->at = 0;
    size_t room = RECORD_MAX - r->end, most = below(r, 2) ? room : 1 + below(r, 64 < room ? 64 : room);
    ssize_t n;
    do
        n = recv(fd, r->data + r->end, most, wait ? 0 : MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    r->end += (size_t)n;
    return n;
}

static size_t hand_out(struct rough *r, void *p, size_t n)
{
    size_t have = r->end - r->at, some = have < n ? have : n;
    if (below(r, 2))
        some = 1 + below(r, some);
    memcpy(p, r->data + r->at, some);
    r->at += some;
    return some;
}

static ssize_t rough_read(int fd, void *state, void *p, size_t n, bool wait)
{
    struct rough *r = state;
    if (!r->greeted || n == 0)
        abort();
    if (!r->asked_to_write && below(r, 6) == 0) {
        r->asked_to_write = true;
        return again(r, CNC_WANT_WRITE, &r->counts->reads_write);
    }
    r->asked_to_write = false;
    if (r->at < r->end) {
        count(&r->counts->held);
        return (ssize_t)hand_out(r, p, n);
    }
    ssize_t got = take_record(r, fd, wait);
    if (got == -EAGAIN)
        return again(r, CNC_WANT_READ, NULL);
    if (got <= 0)
        return got;
    size_t some = hand_out(r, p, n);
    if (r->at < r->end)
        count(&r->counts->records);
    return (ssize_t)some;
}

/* It does that only where there is something to read, or nobody would ever wake it. */
static bool should_read_first(struct rough *r, int fd)
{
    int waiting = 0;
    if (r->asked_to_read || r->end - r->at == RECORD_MAX || below(r, 4) == 0)
        return false;
    return ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0;
}

/* A part of what there is, as an array of the same form. */
static int cut(struct iovec *out, const struct iovec *iov, int n, size_t most)
{
    int used = 0;
    for (int i = 0; i < n && i < IOV_USED && most > 0; i++, used++) {
        out[i] = iov[i];
        if (out[i].iov_len > most)
            out[i].iov_len = most;
        most -= out[i].iov_len;
    }
    return used;
}

static ssize_t rough_write(int fd, void *state, const struct iovec *iov, int n)
{
    struct rough *r = state;
    struct iovec some[IOV_USED];
    size_t total = 0;
    if (!r->greeted)
        abort();
    r->want_write = CNC_WANT_WRITE;
    if (should_read_first(r, fd)) {
        r->asked_to_read = true;
        r->want_write = CNC_WANT_READ;
        count(&r->counts->writes_read);
        return -EAGAIN;
    }
    if (r->asked_to_read && r->end - r->at < RECORD_MAX)
        (void)take_record(r, fd, false); /* an end that it sees here is seen again */
    r->asked_to_read = false;
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    if (total > 1 && below(r, 3) == 0) {
        total = 1 + below(r, below(r, 2) ? total - 1 : total < 65 ? total - 1 : 64);
        count(&r->counts->writes_short);
    }
    struct msghdr m = { .msg_iov = some, .msg_iovlen = (size_t)cut(some, iov, n, total) };
    ssize_t put;
    do
        put = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (put < 0 && errno == EINTR);
    return put >= 0 ? put : -errno;
}

static size_t rough_pending(void *state)
{
    struct rough *r = state;
    if (r->at < r->end)
        count(&r->counts->pending);
    return r->end - r->at;
}

static int rough_wants(void *state, bool reading)
{
    const struct rough *r = state;
    return reading ? r->want_read : r->want_write;
}

static int rough_finish(int fd, void *state)
{
    struct rough *r = state;
    if (!r->finishing && below(r, 2)) {
        r->finishing = true;
        r->want_write = CNC_WANT_WRITE;
        count(&r->counts->finishes_again);
        return -EAGAIN;
    }
    return shutdown(fd, SHUT_WR) == 0 ? 0 : -errno;
}

static void rough_destroy(void *state)
{
    struct rough *r = state;
    count(&r->counts->destroyed);
    free(r);
}

const struct cnc_transport_ops rough_transport = {
    .name = "rough",
    .greet = rough_greet,
    .read = rough_read,
    .write = rough_write,
    .pending = rough_pending,
    .wants = rough_wants,
    .finish = rough_finish,
    .destroy = rough_destroy,
};

size_t rough_print(const struct rough_counts *c, char *text, size_t size)
{
    int n = snprintf(text, size,
                     "made %lu\ndestroyed %lu\ngreeted %lu\ngreets_read %lu\ngreets_write %lu\nreads_write %lu\nrecords %lu\n"
                     "held %lu\npending %lu\nwrites_short %lu\nwrites_read %lu\nfinishes_again %lu\n",
                     c->made, c->destroyed, c->greeted, c->greets_read, c->greets_write, c->reads_write, c->records,
                     c->held, c->pending, c->writes_short, c->writes_read, c->finishes_again);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}
