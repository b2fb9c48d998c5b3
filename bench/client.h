/* SPDX-License-Identifier: MIT
 *
 * The blocking client of requests.c and idle.c: it connects, sends, and reads one whole reply at a time, checking its
 * status and its length. Replies need a Content-Length.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* A reply that takes longer than this many seconds counts as missing. */
enum { CLIENT_IN = 65536, CLIENT_PATIENCE = 30 };

/* Bytes that came and are not yet taken. A connection that has no reply half read needs none of this. */
struct client_in {
    size_t from;
    size_t to;
    char bytes[CLIENT_IN];
};

static inline int client_connect(int port, unsigned long source)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl((in_addr_t) (INADDR_LOOPBACK + source))};
    struct timeval patience = {.tv_sec = CLIENT_PATIENCE};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((unsigned short) port);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if ((source > 0 && (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) < 0 ||
                        bind(fd, (struct sockaddr *) &from, sizeof(from)) < 0)) ||
        connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline bool client_send(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k <= 0) {
            return false;
        }
        p += k;
        n -= (size_t) k;
    }
    return true;
}

/* Reads more behind what is there. */
static inline bool client_fill(int fd, struct client_in *in)
{
    ssize_t k;

    if (in->from > 0) {
        memmove(in->bytes, in->bytes + in->from, in->to - in->from);
        in->to -= in->from;
        in->from = 0;
    }
    do {
        k = recv(fd, in->bytes + in->to, CLIENT_IN - 1 - in->to, 0);
    } while (k < 0 && errno == EINTR);
    if (k <= 0) {
        return false;
    }
    in->to += (size_t) k;
    in->bytes[in->to] = '\0';
    return true;
}

/* The value of a header in a NUL-terminated head, or NULL. */
static inline const char *client_header(const char *head, const char *end, const char *name)
{
    const char *at = strcasestr(head, name);

    return at != NULL && at < end ? at + strlen(name) : NULL;
}

/* Takes one reply. Its status, or -1 when none came whole; *closing is set by `Connection: close`. */
static inline int client_reply(int fd, struct client_in *in, bool *closing)
{
    const char *head, *end, *value;
    size_t whole;
    int status;

    in->bytes[in->to] = '\0';
    while ((end = strstr(in->bytes + in->from, "\r\n\r\n")) == NULL) {
        if (!client_fill(fd, in)) {
            return -1;
        }
    }
    head = in->bytes + in->from;
    value = client_header(head, end, "\r\nContent-Length:");
    if (strncmp(head, "HTTP/1.1 ", 9) != 0 || value == NULL) {
        return -1;
    }
    status = atoi(head + 9);
    *closing = client_header(head, end, "\r\nConnection: close") != NULL;
    whole = (size_t) (end - head) + 4 + strtoul(value, NULL, 10);
    while (in->to - in->from < whole) {
        if (whole >= CLIENT_IN || !client_fill(fd, in)) {
            return -1;
        }
    }
    in->from += whole;
    return status;
}

static inline void client_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* Allows as many descriptors as the hard limit does; returns how many. */
static inline unsigned long client_raise_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0) {
        client_fail("getrlimit");
    }
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_max;
}

static inline double client_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

#endif
