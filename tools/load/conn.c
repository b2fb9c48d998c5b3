/* SPDX-License-Identifier: MIT */
#include "load/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RETRY_NS = 10000000, DEPTH_MAX = 128, SMALL_WINDOW = 4096 };

static const struct workload_group *group_of(const struct conn *c)
{
    return c->plan->group;
}

static enum workload_kind kind_of(const struct conn *c)
{
    return c->plan->group->kind;
}

static bool is_slow(const struct conn *c)
{
    return kind_of(c) == WORKLOAD_SLOW_SEND || kind_of(c) == WORKLOAD_SLOW_READ;
}

static struct flight *flight_at(struct conn *c, unsigned i)
{
    return &c->flights[(c->first + i) % group_of(c)->depth];
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Ends of a connection. */

static void shut(struct conn *c, int64_t retry_at)
{
    if (c->fd >= 0)
        close(c->fd); /* also removes it from epoll */
    c->fd = -1;
    c->state = CONN_CLOSED;
    c->retry_at = retry_at;
    c->offset = 0;
    c->written = 0;
    c->is_answering = c->has_asked = false;
}

/* Ends the connection, and all its requests with this outcome. */
static void lose(struct conn *c, enum load_outcome outcome, int64_t now)
{
    for (unsigned i = 0; i < c->flying; i++)
        worker_count(c->worker, c->part, outcome, flight_at(c, i)->is_measured, now);
    c->flying = 0;
    c->free_at = now;
    shut(c, now);
}

static void fail_to_connect(struct conn *c, int64_t now)
{
    if (c->flying)
        lose(c, LOAD_CONNECT_FAILED, now);
    else
        worker_count(c->worker, c->part, LOAD_CONNECT_FAILED, worker_is_measured(c->worker, now), now);
    shut(c, now + RETRY_NS);
}

static void finish(struct conn *c)
{
    shut(c, 0);
    c->state = CONN_DONE;
    c->worker->active--;
}

void conn_abandon(struct conn *c)
{
    if (c->state == CONN_DONE)
        return;
    for (unsigned i = 0; i < c->flying; i++)
        c->part->counts.unfinished += flight_at(c, i)->is_measured;
    c->flying = 0;
    finish(c);
}

/* Begins requests. */

/* When the next request must be sent; INT64_MIN: as soon as possible. */
static int64_t next_at(const struct conn *c)
{
    if (c->plan->interval_ns <= 0)
        return INT64_MIN;
    return c->first_at + (int64_t)(c->plan->interval_ns * (double)c->turn);
}

static void take_up(struct conn *c, int64_t intended, int64_t now)
{
    struct worker *w = c->worker;
    bool is_measured = worker_is_measured(w, intended);
    if (c->plan->interval_ns > 0 && c->free_at <= intended && is_measured)
        histogram_add(&w->lateness, now - intended);
    c->part->counts.sent += is_measured;
    c->turn++;
    c->has_asked = true;
    *flight_at(c, c->flying++) = (struct flight){ intended, now, plan_pick(c->plan, worker_chance(w)), is_measured };
}

static bool may_take_up(const struct conn *c, int64_t now)
{
    enum conn_state wanted = kind_of(c) == WORKLOAD_CLOSE ? CONN_CLOSED : CONN_OPEN;
    if (c->state != wanted || c->flying == group_of(c)->depth || now >= c->worker->ended_at)
        return false;
    if (kind_of(c) == WORKLOAD_CLOSE && now < c->retry_at)
        return false;
    if (kind_of(c) == WORKLOAD_IDLE && (c->has_asked || group_of(c)->request_count == 0))
        return false;
    return next_at(c) <= now;
}

static void take_up_all(struct conn *c, int64_t now)
{
    while (may_take_up(c, now))
        take_up(c, c->plan->interval_ns > 0 ? next_at(c) : now, now);
}

/* Connecting. */

static bool wants_connection(const struct conn *c, int64_t now)
{
    if (c->state != CONN_CLOSED || now < c->retry_at)
        return false;
    return c->flying > 0 || (kind_of(c) != WORKLOAD_CLOSE && now < c->worker->ended_at);
}

static int open_socket(struct conn *c)
{
    const struct load_target *t = c->worker->run->options->target;
    int one = 1, window = SMALL_WINDOW;
    c->fd = socket(t->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (kind_of(c) == WORKLOAD_SLOW_READ)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };
    if (connect(c->fd, (const struct sockaddr *)&t->address, t->address_len) < 0 && errno != EINPROGRESS)
        return -errno;
    return epoll_ctl(c->worker->epoll_fd, EPOLL_CTL_ADD, c->fd, &e) < 0 ? -errno : 0;
}

static void start_connecting(struct conn *c, int64_t now)
{
    c->since = now;
    c->state = CONN_CONNECTING;
    if (open_socket(c) < 0)
        fail_to_connect(c, now);
}

static void on_connected(struct conn *c, int64_t now)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        fail_to_connect(c, now);
        return;
    }
    c->state = CONN_OPEN;
    c->since = c->step_at = now;
    c->part->counts.connects++;
    if (kind_of(c) != WORKLOAD_CLOSE && c->flying < group_of(c)->depth)
        c->free_at = now;
}

/* Sending. */

static void count_out(struct conn *c, size_t n, int64_t now)
{
    if (worker_is_measured(c->worker, now))
        c->part->counts.bytes_out += n;
}

/* n more bytes were sent. */
static void advance_output(struct conn *c, size_t n, int64_t now)
{
    count_out(c, n, now);
    while (n > 0) {
        struct flight *f = flight_at(c, c->written);
        size_t left = f->request->len - c->offset, part = n < left ? n : left;
        n -= part;
        c->offset += part;
        if (part < left)
            return;
        c->offset = 0;
        c->written++;
        if (is_slow(c))
            f->intended_at = f->sent_at = c->since = now;
    }
}

static size_t gather(struct conn *c, struct iovec *iov)
{
    size_t count = 0, offset = c->offset;
    for (unsigned i = c->written; i < c->flying && count < DEPTH_MAX; i++, offset = 0) {
        const struct prepared *r = flight_at(c, i)->request;
        iov[count++] = (struct iovec){ r->bytes + offset, r->len - offset };
    }
    if (kind_of(c) == WORKLOAD_SLOW_SEND && iov[0].iov_len > group_of(c)->slow_bytes)
        iov[0].iov_len = group_of(c)->slow_bytes;
    return count;
}

/* True: there may be room for more. */
static bool send_some(struct conn *c, int64_t now)
{
    struct iovec iov[DEPTH_MAX];
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = gather(c, iov) };
    ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR; /* other errors are handled when their event comes, after reading */
    advance_output(c, (size_t)n, now);
    return true;
}

static void send_all(struct conn *c, int64_t now)
{
    if (kind_of(c) != WORKLOAD_SLOW_SEND) {
        while (c->written < c->flying && send_some(c, now))
            continue;
    } else if (c->written < c->flying && now >= c->step_at) {
        send_some(c, now);
        c->step_at = now + c->plan->slow_ns;
    }
}

/* Receiving. */

static enum load_outcome judge(const struct conn *c, const struct prepared *p)
{
    const struct response *r = &c->response;
    if (r->status == p->status)
        return r->found ? LOAD_GOOD : LOAD_WRONG;
    if (r->status == 502)
        return LOAD_BAD_GATEWAY;
    if (r->status == 503)
        return LOAD_UNAVAILABLE;
    return LOAD_OTHER_1XX + (unsigned)r->status / 100 - 1;
}

/* The answer to the first request under way is complete. */
static void answer(struct conn *c, int64_t now)
{
    struct flight *f = flight_at(c, 0);
    enum load_outcome outcome = judge(c, f->request);
    bool ends = c->response.closes || kind_of(c) == WORKLOAD_CLOSE || c->written == 0;
    if (f->is_measured) {
        c->part->counts.without_retry_after += outcome == LOAD_UNAVAILABLE && !c->response.has_retry_after;
        if (outcome == LOAD_GOOD) {
            histogram_add(&c->part->latency, now - f->intended_at);
            histogram_add(&c->part->service, now - f->sent_at);
        }
    }
    worker_count(c->worker, c->part, outcome, f->is_measured, now);
    if (c->flying == group_of(c)->depth)
        c->free_at = now;
    c->first = (c->first + 1) % group_of(c)->depth;
    c->flying--;
    c->written -= c->written > 0;
    c->is_answering = false;
    if (ends)
        shut(c, now); /* requests that are still under way are sent again */
}

static void take_input(struct conn *c, const char *p, size_t n, int64_t now)
{
    while (n > 0 && c->state == CONN_OPEN) {
        if (c->flying == 0) { /* an answer without a request, such as a 408 on an idle connection */
            shut(c, now);
            return;
        }
        if (!c->is_answering) {
            const struct prepared *request = flight_at(c, 0)->request;
            response_begin(&c->response, request->is_head, &request->expected);
            c->is_answering = true;
        }
        size_t used = response_feed(&c->response, p, n);
        p += used;
        n -= used;
        if (c->response.state == RESPONSE_GARBLED)
            lose(c, LOAD_GARBLED, now);
        else if (c->response.state == RESPONSE_DONE)
            answer(c, now);
    }
}

static void on_close(struct conn *c, int64_t now)
{
    if (c->is_answering && response_eof(&c->response)) {
        answer(c, now);
    } else if (c->flying) {
        lose(c, LOAD_CLOSED_EARLY, now);
    } else {
        bool was_of_use = c->has_asked && kind_of(c) != WORKLOAD_IDLE;
        c->part->counts.idle_closed += kind_of(c) == WORKLOAD_IDLE;
        shut(c, now + (was_of_use ? 0 : RETRY_NS));
    }
}

/* Returns the result of recv(). */
static ssize_t receive_some(struct conn *c, size_t room, int64_t now)
{
    ssize_t n = recv(c->fd, c->worker->input, room, MSG_DONTWAIT);
    if (n > 0) {
        c->since = now;
        if (worker_is_measured(c->worker, now))
            c->part->counts.bytes_in += (size_t)n;
        take_input(c, c->worker->input, (size_t)n, now);
    } else if (n == 0 || c->flying == 0) {
        if (n == 0 || errno != EAGAIN)
            on_close(c, now);
    } else if (errno != EAGAIN) {
        lose(c, LOAD_RESET, now);
    }
    return n;
}

/* Events are edge-triggered, so this reads up to a short read, or to the end if the event reports one. */
static void receive(struct conn *c, uint32_t events, int64_t now)
{
    bool to_the_end = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    ssize_t n;
    do {
        n = receive_some(c, WORKER_INPUT, now);
    } while (c->state == CONN_OPEN && (n == WORKER_INPUT || (n > 0 && to_the_end)));
}

static void read_slowly(struct conn *c, int64_t now)
{
    size_t bytes = group_of(c)->slow_bytes;
    if (c->flying == 0 || now < c->step_at)
        return;
    receive_some(c, bytes < WORKER_INPUT ? bytes : WORKER_INPUT, now);
    c->step_at = now + c->plan->slow_ns;
}

/* Waiting. */

static bool waits_for_step(const struct conn *c)
{
    return kind_of(c) == WORKLOAD_SLOW_SEND ? c->written < c->flying : kind_of(c) == WORKLOAD_SLOW_READ && c->flying > 0;
}

/* When the awaited answer is too late. For slow readers the time counts from the last read. */
static int64_t deadline(struct conn *c)
{
    if (c->state == CONN_CONNECTING || kind_of(c) == WORKLOAD_SLOW_READ)
        return c->since + c->plan->timeout_ns;
    if (kind_of(c) == WORKLOAD_SLOW_SEND && c->written == 0)
        return INT64_MAX;
    return flight_at(c, 0)->sent_at + c->plan->timeout_ns;
}

static void check_deadline(struct conn *c, int64_t now)
{
    bool is_waiting = c->state == CONN_CONNECTING || (c->state == CONN_OPEN && c->flying > 0);
    if (!is_waiting || now < deadline(c))
        return;
    if (c->state == CONN_CONNECTING)
        fail_to_connect(c, now);
    else
        lose(c, LOAD_TIMEOUT, now);
}

static int64_t wake_at(struct conn *c, int64_t now)
{
    bool has_room = c->flying < group_of(c)->depth && now < c->worker->ended_at;
    if (c->state == CONN_CLOSED)
        return kind_of(c) == WORKLOAD_CLOSE && !c->flying ? later(c->retry_at, next_at(c)) : c->retry_at;
    int64_t at = c->flying || c->state == CONN_CONNECTING ? deadline(c) : INT64_MAX;
    if (c->state == CONN_OPEN && has_room && c->plan->interval_ns > 0)
        at = earlier(at, next_at(c));
    if (c->state == CONN_OPEN && waits_for_step(c))
        at = earlier(at, c->step_at);
    return at;
}

/* A wake-up that comes too early costs little; moving it at each answer would cost more. */
static void set_wake(struct conn *c, int64_t now)
{
    int64_t at = wake_at(c, now);
    if (at != INT64_MAX && (c->wake.pos == 0 || at < c->wake.at))
        wakes_set(&c->worker->wakes, &c->wake, at);
}

static void advance(struct conn *c, int64_t now)
{
    take_up_all(c, now);
    if (wants_connection(c, now))
        start_connecting(c, now);
    if (c->state == CONN_OPEN)
        send_all(c, now);
    if (c->worker->has_ended && c->flying == 0)
        finish(c);
    else
        set_wake(c, now);
}

/* Called by the worker. */

void conn_init(struct conn *c, struct worker *w, size_t group, unsigned index)
{
    const struct plan *p = &w->run->plans[group];
    int64_t start = w->run->started_at + p->stagger_ns * index;
    *c = (struct conn){ .worker = w, .plan = p, .part = &w->parts[group], .fd = -1, .retry_at = start };
    c->first_at = w->run->started_at + (int64_t)(p->interval_ns * index / p->group->connections);
    wakes_set(&w->wakes, &c->wake, start);
}

void conn_on_event(struct conn *c, uint32_t events, int64_t now)
{
    if (c->state == CONN_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        on_connected(c, now);
    if (c->state == CONN_OPEN && kind_of(c) != WORKLOAD_SLOW_READ && (events & ~(uint32_t)EPOLLOUT))
        receive(c, events, now);
    if (c->state != CONN_DONE)
        advance(c, now);
}

void conn_on_wake(struct conn *c, int64_t now)
{
    if (c->state == CONN_DONE)
        return;
    check_deadline(c, now);
    if (c->state == CONN_OPEN && kind_of(c) == WORKLOAD_SLOW_READ)
        read_slowly(c, now);
    advance(c, now);
}

void conn_on_end(struct conn *c, int64_t now)
{
    int64_t end = c->worker->ended_at;
    c->part->open += c->state == CONN_OPEN;
    if (c->plan->interval_ns > 0)
        for (; next_at(c) < end; c->turn++)
            c->part->counts.unsent += worker_is_measured(c->worker, next_at(c));
    if (is_slow(c))
        conn_abandon(c);
    else if (c->state != CONN_DONE)
        advance(c, now);
}
