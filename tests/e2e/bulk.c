/* SPDX-License-Identifier: MIT */
#include "e2e/bulk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ROOM = 65536 };

/* Its request under way, if any; the reply is only counted, beyond its head. */
struct mover {
    struct client c;
    bool asks;
    size_t head_sent, body_sent; /* of the request */
    char head[1024];             /* of the reply, until it is complete */
    size_t head_len, got;        /* got: bytes of the body, or of what frames it */
    bool has_head, ended;
    char tail[5];                /* the last bytes */
};

static void send_on(struct bulk *b, struct mover *m)
{
    const size_t left = b->request_len - m->head_sent;
    long n = left ? client_send_some(&m->c, b->request + m->head_sent, left)
                  : client_send_some(&m->c, b->body, b->up - m->body_sent < ROOM ? b->up - m->body_sent : ROOM);
    if (n < 0)
        return; /* it has ended: reading tells where */
    if (left)
        m->head_sent += (size_t)n;
    else
        m->body_sent += (size_t)n;
}

static bool sends(const struct bulk *b, const struct mover *m)
{
    return m->asks && (m->head_sent < b->request_len || m->body_sent < b->up);
}

static void keep_tail(struct mover *m, const char *p, size_t n)
{
    const size_t most = sizeof m->tail;
    if (n >= most) {
        memcpy(m->tail, p + n - most, most);
        return;
    }
    memmove(m->tail, m->tail + n, most - n);
    memcpy(m->tail + most - n, p, n);
}

/* The head's end; returns how many bytes of p belong to it. */
static size_t take_head(struct mover *m, const char *p, size_t n)
{
    const size_t before = m->head_len, room = sizeof m->head - 1 - before, some = n < room ? n : room;
    memcpy(m->head + before, p, some);
    m->head_len += some;
    m->head[m->head_len] = '\0';
    const char *end = strstr(m->head, "\r\n\r\n");
    ck_assert_msg(end || m->head_len < sizeof m->head - 1, "no end of the head: %.100s", m->head);
    if (!end)
        return n;
    m->has_head = true;
    ck_assert_msg(strncmp(m->head, "HTTP/1.1 200 ", 13) == 0, "%.100s", m->head);
    return (size_t)(end - m->head) + 4 - before;
}

/* On a fresh connection: prefork may end one between two requests, when others wait for a worker. */
static void ask_again(const struct bulk *b, struct mover *m)
{
    const bool asks = m->asks;
    client_close(&m->c);
    *m = (struct mover){ .asks = asks };
    client_open(&m->c, b->port);
}

static void receive(struct bulk *b, struct mover *m)
{
    ssize_t got = recv(m->c.fd, b->room, ROOM, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0 && m->head_len == 0) {
        ask_again(b, m);
        return;
    }
    ck_assert_msg(got > 0, "the connection ended after %zu bytes%s", m->got, demo_end());
    size_t n = (size_t)got, head = m->has_head ? 0 : take_head(m, b->room, n);
    m->got += n - head;
    keep_tail(m, b->room + head, n - head);
    if (b->is_chunked)
        m->ended = m->got >= b->down + 5 && memcmp(m->tail, "0\r\n\r\n", 5) == 0;
    else
        m->ended = m->has_head && m->got == b->down;
    ck_assert_msg(b->is_chunked || m->got <= b->down, "%zu bytes of %zu", m->got, b->down);
}

static void ask_next(struct mover *m)
{
    struct client c = m->c;
    *m = (struct mover){ .c = c, .asks = true };
}

void bulk_open(struct bulk *b)
{
    char length[64] = "";
    b->movers = calloc((size_t)b->clients, sizeof *b->movers);
    b->body = calloc(1, ROOM);
    b->room = malloc(ROOM);
    ck_assert(b->movers && b->body && b->room && b->clients <= BULK_MAX);
    if (b->up)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", b->up);
    b->request_len = (size_t)snprintf(b->request, sizeof b->request, "%s %s HTTP/1.1\r\nHost: e2e\r\n%s\r\n",
                                      b->up ? "POST" : "GET", b->target, length);
    for (int i = 0; i < b->clients; i++)
        client_open(&b->movers[i].c, b->port);
}

/* Whoever is ready sends or receives; returns whether anybody was. */
static bool look(struct bulk *b)
{
    struct pollfd fds[BULK_MAX];
    for (int i = 0; i < b->clients; i++)
        fds[i] = (struct pollfd){ .fd = b->movers[i].c.fd,
                                  .events = (short)(POLLIN | (sends(b, &b->movers[i]) ? POLLOUT : 0)) };
    if (poll(fds, (nfds_t)b->clients, 100) < 1)
        return false;
    for (int i = 0; i < b->clients; i++) {
        if (fds[i].revents & POLLOUT)
            send_on(b, &b->movers[i]);
        if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
            receive(b, &b->movers[i]);
    }
    return true;
}

void bulk_move(struct bulk *b, size_t count)
{
    size_t begun = 0, ended = 0;
    for (; begun < count && begun < (size_t)b->clients; begun++)
        ask_next(&b->movers[begun]);
    for (int64_t moved_at = now_ms(); ended < count;) {
        if (look(b))
            moved_at = now_ms();
        ck_assert_msg(now_ms() - moved_at < slow(WAIT_MS), "%s: %zu of %zu", b->target, ended, count);
        for (int i = 0; i < b->clients; i++) {
            struct mover *m = &b->movers[i];
            if (!m->ended)
                continue;
            ended++;
            const bool closes = strstr(m->head, "\r\nConnection: close\r\n") != NULL;
            m->asks = m->ended = false;
            if (closes)
                ask_again(b, m);
            if (begun < count) {
                begun++;
                ask_next(m);
            }
        }
    }
}

void bulk_close(struct bulk *b)
{
    for (int i = 0; i < b->clients; i++)
        client_close(&b->movers[i].c);
    free(b->movers);
    free(b->body);
    free(b->room);
}
