/* SPDX-License-Identifier: MIT */
#include "e2e/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "e2e/fill.h"
#include "e2e/harness.h"

static void open_socket(struct client *c, unsigned port, int receive_buffer)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int on = 1;
    *c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    ck_assert_msg(c->fd >= 0, "socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (receive_buffer > 0)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    ck_assert_msg(connect(c->fd, (const struct sockaddr *)&to, sizeof to) == 0, "connect: %s%s", strerror(errno),
                  demo_end());
    ck_assert_int_eq(ioctl(c->fd, FIONBIO, &on), 0);
}

void client_open(struct client *c, unsigned port)
{
    open_socket(c, port, 0);
}

void client_open_small(struct client *c, unsigned port, int n)
{
    open_socket(c, port, n);
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->in);
    *c = (struct client){ .fd = -1 };
}

void client_abort(struct client *c)
{
    const struct linger now = { 1, 0 };
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    client_close(c);
}

void client_finish(struct client *c)
{
    shutdown(c->fd, SHUT_WR);
}

void client_shrink(struct client *c)
{
    ck_assert_uint_eq(c->n, 0);
    free(c->in);
    c->in = NULL;
    c->at = c->size = 0;
}

/* Sending. */

long client_send_some(struct client *c, const void *data, size_t n)
{
    ssize_t sent = send(c->fd, data, n, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    return sent;
}

bool client_send(struct client *c, const void *data, size_t n)
{
    const int64_t deadline = now_ms() + slow(WAIT_MS);
    const char *p = data;
    while (n > 0) {
        long sent = client_send_some(c, p, n);
        if (sent < 0)
            return false;
        p += sent;
        n -= (size_t)sent;
        struct pollfd wait = { .fd = c->fd, .events = POLLOUT };
        int64_t left = deadline - now_ms();
        if (sent == 0 && (left <= 0 || poll(&wait, 1, (int)left) < 1))
            return false;
    }
    return true;
}

bool client_text(struct client *c, const char *text)
{
    return client_send(c, text, strlen(text));
}

bool client_send_pieces(struct client *c, const char *data, size_t n, size_t piece)
{
    for (size_t at = 0; at < n; at += piece) {
        if (!client_send(c, data + at, n - at < piece ? n - at : piece))
            return false;
        sched_yield(); /* likely, the peer reads now */
    }
    return true;
}

/* Receiving. */

static void make_room(struct client *c)
{
    if (c->at > 0) {
        memmove(c->in, c->in + c->at, c->n);
        c->at = 0;
    }
    if (c->size - c->n >= 65536)
        return;
    c->size = c->size * 2 + 65536;
    c->in = realloc(c->in, c->size);
    ck_assert_ptr_nonnull(c->in);
}

enum fill client_fill(struct client *c, int64_t deadline)
{
    if (c->eof || c->reset)
        return FILL_END;
    if (c->size - c->at - c->n < 4096)
        make_room(c);
    for (;;) {
        ssize_t got = recv(c->fd, c->in + c->at + c->n, c->size - c->at - c->n, 0);
        if (got > 0) {
            c->n += (size_t)got;
            return FILL_MORE;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            c->eof = got == 0;
            c->reset = got != 0;
            return FILL_END;
        }
        struct pollfd wait = { .fd = c->fd, .events = POLLIN };
        int64_t left = deadline - now_ms();
        if (left <= 0 || poll(&wait, 1, (int)left) == 0)
            return FILL_TIMEOUT;
    }
}

bool client_wait_bytes(struct client *c, size_t n, unsigned ms)
{
    const int64_t deadline = now_ms() + slow(ms);
    while (c->n < n)
        if (client_fill(c, deadline) != FILL_MORE)
            return false;
    return true;
}

bool client_take(struct client *c, char *out, size_t n, unsigned ms)
{
    const int64_t deadline = now_ms() + slow(ms);
    while (n > 0) {
        struct pollfd wait = { .fd = c->fd, .events = POLLIN };
        int64_t left = deadline - now_ms();
        if (left <= 0 || poll(&wait, 1, (int)left) != 1)
            return false;
        ssize_t got = recv(c->fd, out, n, 0);
        if (got <= 0)
            return false;
        out += got;
        n -= (size_t)got;
    }
    return true;
}

uint64_t client_drain(struct client *c, unsigned ms, bool *ended)
{
    const int64_t deadline = now_ms() + slow(ms);
    uint64_t total = c->n;
    enum fill got = FILL_MORE;
    while (got == FILL_MORE && now_ms() < deadline) {
        c->at = c->n = 0;
        got = client_fill(c, deadline);
        total += c->n;
    }
    *ended = got == FILL_END;
    return total;
}

enum client_fate client_fate(struct client *c, unsigned ms)
{
    if (c->n > 0 || (ms > 0 && client_wait_bytes(c, 1, ms)))
        return CLIENT_BYTES;
    if (ms == 0 && client_fill(c, 0) == FILL_MORE)
        return CLIENT_BYTES;
    return c->reset ? CLIENT_RESET : c->eof ? CLIENT_EOF : CLIENT_OPEN;
}
