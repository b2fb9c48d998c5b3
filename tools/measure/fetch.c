/* SPDX-License-Identifier: MIT */
#include "measure/fetch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load/plan.h"
#include "load/response.h"
#include "load/worker.h"

enum { BODY_MAX = 1 << 20 };

struct fetch {
    int fd;
    int64_t until;
    struct response response;
    struct answer *answer;
};

static int wait_for(const struct fetch *f, short events)
{
    struct pollfd p = { .fd = f->fd, .events = events };
    int64_t left = (f->until - clock_now()) / 1000000;
    int n = left > 0 ? poll(&p, 1, (int)left) : 0;
    return n > 0 ? 0 : n < 0 && errno != EINTR ? -errno : -ETIMEDOUT;
}

static int open_to(struct fetch *f, const struct load_target *to)
{
    int error = 0;
    socklen_t len = sizeof error;
    f->fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (f->fd < 0)
        return -errno;
    if (connect(f->fd, (const struct sockaddr *)&to->address, to->address_len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    int rc = wait_for(f, POLLOUT);
    if (rc == 0 && getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0)
        rc = -error;
    return rc;
}

static int send_all(struct fetch *f, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(f->fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        int rc = n < 0 ? wait_for(f, POLLOUT) : 0;
        if (rc < 0)
            return rc;
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Parses byte by byte: a byte is content if body_len grows by it. */
static void take(struct fetch *f, const char *bytes, size_t n)
{
    struct answer *a = f->answer;
    for (size_t i = 0; i < n && f->response.state != RESPONSE_DONE && f->response.state != RESPONSE_GARBLED; i++) {
        uint64_t before = f->response.body_len;
        response_feed(&f->response, bytes + i, 1);
        if (f->response.body_len > before && a->body_len < BODY_MAX)
            a->body[a->body_len++] = bytes[i];
    }
    a->body[a->body_len] = '\0';
    a->status = f->response.status;
}

static int receive(struct fetch *f)
{
    char bytes[16384];
    while (f->response.state != RESPONSE_DONE && f->response.state != RESPONSE_GARBLED) {
        ssize_t n = recv(f->fd, bytes, sizeof bytes, 0);
        if (n == 0)
            return response_eof(&f->response) ? 0 : -ECONNRESET;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        int rc = n < 0 ? wait_for(f, POLLIN) : 0;
        if (rc < 0)
            return rc;
        if (n > 0)
            take(f, bytes, (size_t)n);
    }
    return f->response.state == RESPONSE_DONE ? 0 : -EPROTO;
}

int fetch(const struct load_target *target, const struct workload_request *request, unsigned timeout_ms,
          struct answer *out, int *keep)
{
    struct workload_request one = *request;
    struct workload_group group = {
        .kind = keep ? WORKLOAD_KEEPALIVE : WORKLOAD_CLOSE, .connections = 1, .requests = &one, .request_count = 1
    };
    struct workload workload = { .timeout_ms = timeout_ms };
    struct fetch f = { .fd = -1, .until = clock_now() + (int64_t)timeout_ms * 1000000, .answer = out };
    struct plan plan;
    one.expect = NULL;
    *out = (struct answer){ .body = calloc(1, BODY_MAX + 1) };
    int rc = plan_init(&plan, &workload, &group, target->host);
    if (rc == 0 && !out->body)
        rc = -ENOMEM;
    if (rc == 0) {
        response_begin(&f.response, plan.requests[0].is_head, &plan.requests[0].expected);
        rc = open_to(&f, target);
    }
    if (rc == 0)
        rc = send_all(&f, plan.requests[0].bytes, plan.requests[0].len);
    if (rc == 0)
        rc = receive(&f);
    plan_deinit(&plan);
    if (keep)
        *keep = rc == 0 ? f.fd : -1;
    if (f.fd >= 0 && (!keep || rc < 0))
        close(f.fd);
    if (rc < 0)
        answer_free(out);
    return rc;
}

void answer_free(struct answer *a)
{
    free(a->body);
    *a = (struct answer){ 0 };
}
