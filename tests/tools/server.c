/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 4096, INPUT = 8192, BIG = 65536 };

enum after { STAY, CLOSE, RESET };

/* The answer to each path, and what becomes of the connection. */
static const struct {
    const char *path, *answer;
    enum after after;
} answers[] = {
    { "/good", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", STAY },
    { "/rare", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", STAY },
    { "/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", STAY },
    { "/until-close", "HTTP/1.1 200 OK\r\n\r\nhello", CLOSE },
    { "/close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", CLOSE },
    { "/head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", STAY },
    { "/204", "HTTP/1.1 204 No Content\r\n\r\n", STAY },
    { "/wrong", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", STAY },
    { "/301", "HTTP/1.1 301 x\r\nContent-Length: 0\r\n\r\n", STAY },
    { "/404", "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n", STAY },
    { "/500", "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", STAY },
    { "/502", "HTTP/1.1 502 x\r\nContent-Length: 0\r\n\r\n", STAY },
    { "/503", "HTTP/1.1 503 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", STAY },
    { "/503-bare", "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", STAY },
    { "/garbled", "HTML\r\n\r\n", STAY },
    { "/early", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", CLOSE },
    { "/nothing", "", CLOSE },
    { "/reset", "", RESET },
    { "/silent", "", STAY },
};

/* By descriptor: what has come of a head that is not complete. */
struct peer {
    char *input;
    size_t len;
    unsigned answered;
};

static void drop(struct peer *peers, int fd, enum after after)
{
    struct linger abort_it = { 1, 0 };
    if (after == RESET)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
    free(peers[fd].input);
    peers[fd] = (struct peer){ 0 };
    close(fd);
}

static void say(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes += sent;
        n -= (size_t)sent;
    }
}

static void say_big(int fd)
{
    static char body[BIG];
    char head[64];
    memset(body, 'x', sizeof body);
    memcpy(body + BIG - 5, "hello", 5);
    say(fd, head, (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG));
    say(fd, body, BIG);
}

/* False: the connection is gone. */
static bool answer(struct server *s, struct peer *peers, int fd, const char *head)
{
    const char *path = strchr(head, ' ') + 1;
    size_t len = strcspn(path, " ");
    atomic_fetch_add(&s->requests, 1);
    if (strncmp(path, "/big ", 5) == 0)
        say_big(fd);
    /* Every third says that it is the last, although more may have come. */
    bool is_third = strncmp(path, "/third ", 7) == 0;
    if (is_third)
        path = ++peers[fd].answered % 3 ? "/good" : "/close";
    len = is_third ? strlen(path) : len;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        if (strlen(answers[i].path) != len || memcmp(answers[i].path, path, len) != 0)
            continue;
        if (i < 2)
            atomic_fetch_add(&s->hits[i], 1);
        say(fd, answers[i].answer, strlen(answers[i].answer));
        if (answers[i].after != STAY)
            drop(peers, fd, answers[i].after);
        return answers[i].after == STAY;
    }
    return true;
}

static void on_input(struct server *s, struct peer *peers, int fd)
{
    struct peer *p = &peers[fd];
    ssize_t n = recv(fd, p->input + p->len, INPUT - p->len, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            drop(peers, fd, CLOSE);
        return;
    }
    p->len += (size_t)n;
    char *end;
    while ((end = memmem(p->input, p->len, "\r\n\r\n", 4))) {
        size_t used = (size_t)(end - p->input) + 4;
        *end = '\0';
        if (!answer(s, peers, fd, p->input))
            return;
        p->len -= used;
        memmove(p->input, p->input + used, p->len);
    }
}

static void on_accept(struct server *s, struct peer *peers)
{
    int fd, one = 1, room = 2 * BIG; /* so that a slow reader does not hold the only thread */
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
        ck_assert_int_lt(fd, FDS);
        peers[fd].input = malloc(INPUT);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e);
        atomic_fetch_add(&s->accepted, 1);
    }
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The length of the stall is what the test is about. */
static void stand_still(struct server *s, int ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
    int64_t since = now_ns();
    nanosleep(&t, NULL);
    atomic_store(&s->stalled, now_ns() - since);
}

static void on_poke(struct server *s, struct peer *peers)
{
    uint64_t count;
    (void)!read(s->wake_fd, &count, sizeof count);
    int ms = atomic_exchange(&s->stall_ms, 0);
    if (ms)
        stand_still(s, ms);
    if (atomic_exchange(&s->close_idle, false))
        for (int fd = 0; fd < FDS; fd++)
            if (peers[fd].input)
                drop(peers, fd, CLOSE);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    struct peer *peers = calloc(FDS, sizeof *peers);
    while (!atomic_load(&s->stop)) {
        struct epoll_event events[64];
        int n = epoll_wait(s->epoll_fd, events, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == s->listener)
                on_accept(s, peers);
            else if (fd == s->wake_fd)
                on_poke(s, peers);
            else if (peers[fd].input)
                on_input(s, peers, fd);
        }
    }
    for (int fd = 0; fd < FDS; fd++)
        if (peers[fd].input)
            drop(peers, fd, CLOSE);
    free(peers);
    return NULL;
}

static void watch(struct server *s, int fd)
{
    struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
    ck_assert_int_eq(epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e), 0);
}

void server_start(struct server *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    memset(s, 0, sizeof *s);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&a, len), 0);
    ck_assert_int_eq(listen(s->listener, 1024), 0);
    getsockname(s->listener, (struct sockaddr *)&a, &len);
    s->port = ntohs(a.sin_port);
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watch(s, s->listener);
    watch(s, s->wake_fd);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

void server_poke(struct server *s)
{
    uint64_t one = 1;
    ck_assert_int_eq(write(s->wake_fd, &one, sizeof one), sizeof one);
}

void server_stop(struct server *s)
{
    atomic_store(&s->stop, true);
    server_poke(s);
    pthread_join(s->thread, NULL);
    close(s->listener);
    close(s->epoll_fd);
    close(s->wake_fd);
}
