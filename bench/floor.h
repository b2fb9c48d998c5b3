/* SPDX-License-Identifier: MIT
 *
 * What every floor shares: the listener, the search for the end of a head, the fixed reply, and the one read and one
 * write of a connection that must not block. floor_loop.h adds epoll, floor_block.h threads that block, floor_procs.h
 * processes. A floor is the least that a server of one model can do and still be one:
 * it keeps partial heads, joins the replies of pipelined requests in one write, waits when a peer does not take them,
 * and honours `Connection: close`. It looks at nothing else of a request.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOOR_HEAD "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
#define FLOOR_BODY "Content-Length: 13\r\n\r\nHello, World!"
#define FLOOR_REPLY FLOOR_HEAD FLOOR_BODY
#define FLOOR_REPLY_CLOSE FLOOR_HEAD "Connection: close\r\n" FLOOR_BODY

/* A shorter head is no request, which bounds the replies that one read can ask for. */
enum { FLOOR_HEAD_MIN = 16, FLOOR_IN = 16384 };
enum { FLOOR_OUT = FLOOR_IN / FLOOR_HEAD_MIN * (int) sizeof(FLOOR_REPLY_CLOSE) };

struct floor_scratch {
    char in[FLOOR_IN];
    char out[FLOOR_OUT];
};

/* What a connection waits for next. */
enum floor_next { FLOOR_READ, FLOOR_WRITE, FLOOR_CLOSE };

/* A connection that must not block. It owns memory only for a head cut in two or a reply that is not taken yet. */
struct floor_conn {
    int fd;
    bool closing;
    uint32_t in_len;
    uint32_t out_len;
    uint32_t out_off;
    char *in;
    char *out;
};

/* The length of the head at p, 0 when its end is not there yet, -1 when it cannot be one. */
static inline ssize_t floor_head(const char *p, size_t n, bool *closing)
{
    size_t at = 0;
    const char *nl;

    while ((nl = memchr(p + at, '\n', n - at)) != NULL) {
        size_t line = (size_t) (nl - (p + at));

        if (line <= 1) {
            at += line + 1;
            return at >= FLOOR_HEAD_MIN ? (ssize_t) at : -1;
        }
        if ((p[at] | 0x20) == 'c' && line >= 17 && strncasecmp(p + at, "Connection: close", 17) == 0) {
            *closing = true;
        }
        at += line + 1;
    }
    return n < FLOOR_IN ? 0 : -1;
}

/* Writes a reply for each whole head in p. Returns the bytes consumed, -1 for what is no request. */
static inline ssize_t floor_answer(const char *p, size_t n, char *out, size_t *out_len, bool *closing)
{
    size_t used = 0, len = 0;

    while (used < n && !*closing) {
        ssize_t head = floor_head(p + used, n - used, closing);

        if (head < 0) {
            return -1;
        }
        if (head == 0) {
            break;
        }
        used += (size_t) head;
        if (*closing) {
            memcpy(out + len, FLOOR_REPLY_CLOSE, sizeof(FLOOR_REPLY_CLOSE) - 1);
            len += sizeof(FLOOR_REPLY_CLOSE) - 1;
        } else {
            memcpy(out + len, FLOOR_REPLY, sizeof(FLOOR_REPLY) - 1);
            len += sizeof(FLOOR_REPLY) - 1;
        }
    }
    *out_len = len;
    return (ssize_t) used;
}

/* Keeps n bytes of a head whose rest has not come. */
static inline bool floor_keep(struct floor_conn *c, const char *p, size_t n)
{
    c->in_len = 0;
    if (n == 0) {
        free(c->in);
        c->in = NULL;
        return true;
    }
    if (c->in == NULL && (c->in = malloc(FLOOR_IN)) == NULL) {
        return false;
    }
    memcpy(c->in, p, n);
    c->in_len = (uint32_t) n;
    return true;
}

/* Sends, and keeps a copy of what the peer does not take. */
static inline enum floor_next floor_send(struct floor_conn *c, const char *p, size_t n)
{
    ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);

    if (k == (ssize_t) n) {
        return c->closing ? FLOOR_CLOSE : FLOOR_READ;
    }
    if (k < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            return FLOOR_CLOSE;
        }
        k = 0;
    }
    c->out_len = (uint32_t) (n - (size_t) k);
    c->out_off = 0;
    c->out = malloc(c->out_len);
    if (c->out == NULL) {
        return FLOOR_CLOSE;
    }
    memcpy(c->out, p + k, c->out_len);
    return FLOOR_WRITE;
}

/* The peer takes bytes again. */
static inline enum floor_next floor_resume(struct floor_conn *c)
{
    ssize_t k = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);

    if (k < 0) {
        return errno == EAGAIN || errno == EINTR ? FLOOR_WRITE : FLOOR_CLOSE;
    }
    c->out_off += (uint32_t) k;
    if (c->out_off < c->out_len) {
        return FLOOR_WRITE;
    }
    free(c->out);
    c->out = NULL;
    return c->closing ? FLOOR_CLOSE : FLOOR_READ;
}

/* One read; in s->out the replies to all whole heads. FLOOR_WRITE when there are any. */
static inline enum floor_next floor_read(struct floor_conn *c, struct floor_scratch *s, size_t *out_len)
{
    size_t have = c->in_len;
    ssize_t n, used;

    if (have > 0) {
        memcpy(s->in, c->in, have);
    }
    n = recv(c->fd, s->in + have, FLOOR_IN - have, 0);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? FLOOR_READ : FLOOR_CLOSE;
    }
    used = floor_answer(s->in, have + (size_t) n, s->out, out_len, &c->closing);
    if (used < 0 || !floor_keep(c, s->in + used, have + (size_t) n - (size_t) used)) {
        return FLOOR_CLOSE;
    }
    return *out_len > 0 ? FLOOR_WRITE : FLOOR_READ;
}

/* One read, the replies to all whole heads, one write; or, after a peer that was slow, what it has not taken yet. */
static inline enum floor_next floor_turn(struct floor_conn *c, struct floor_scratch *s)
{
    enum floor_next next;
    size_t out_len;

    if (c->out != NULL) {
        return floor_resume(c);
    }
    next = floor_read(c, s, &out_len);
    return next == FLOOR_WRITE ? floor_send(c, s->out, out_len) : next;
}

static inline void floor_conn_close(struct floor_conn *c)
{
    close(c->fd);
    free(c->in);
    free(c->out);
}

static inline void floor_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* _exit and not the default action, so that tools that report at exit do. */
static inline void floor_on_term(int signo)
{
    (void) signo;
    _exit(0);
}

/* The value of a numeric flag such as `--port 8080`, else the default. */
static inline int floor_flag(int argc, char **argv, const char *name, int otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return atoi(argv[i + 1]);
        }
    }
    return otherwise;
}

/* Listens on 127.0.0.1 and arranges the end on SIGTERM. What is set on a listener is inherited by what it accepts:
 * TCP_NODELAY here saves a system call per connection. */
static inline int floor_listen(int argc, char **argv, int flags)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct rlimit files;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    signal(SIGTERM, floor_on_term);
    signal(SIGINT, floor_on_term);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    a.sin_port = htons((uint16_t) floor_flag(argc, argv, "--port", 0));
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 4096) < 0) {
        floor_fail("listen");
    }
    return fd;
}

/* Says that the threads and processes are there: the line that scripts wait for. */
static inline void floor_ready(int listener, const char *engine)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);

    if (getsockname(listener, (struct sockaddr *) &a, &len) < 0) {
        floor_fail("getsockname");
    }
    printf("listening on 127.0.0.1:%d engine=%s pid=%d\n", ntohs(a.sin_port), engine, (int) getpid());
    fflush(stdout);
}

#endif
