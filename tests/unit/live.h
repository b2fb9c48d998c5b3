/* SPDX-License-Identifier: MIT
 *
 * Servers inside the test process, one for each engine that this build has, and a client that blocks. Nothing sleeps: a
 * test waits for an answer, a latch or the end of a connection, and gives up after a minute.
 */
#ifndef LIVE_H
#define LIVE_H

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <concur/concur.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIVE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LIVE_SANITIZED 1
#endif
#endif
#ifndef LIVE_SANITIZED
#define LIVE_SANITIZED 0
#endif

#define LIVE_PATIENCE_S 60

/* ---- random numbers that a failure can be repeated with ---- */

struct live_random {
    uint64_t state;
};

static inline uint64_t live_random(struct live_random *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state * 0x2545f4914f6cdd1du;
}

static inline unsigned live_below(struct live_random *r, unsigned n)
{
    return (unsigned)((live_random(r) >> 33) % n);
}

/* CONCUR_TEST_SEED, or one of the moment; printed, so that a failure names it. */
static inline uint64_t live_seed(void)
{
    const char *given = getenv("CONCUR_TEST_SEED");
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t seed = given && *given ? strtoull(given, NULL, 10) : (uint64_t)t.tv_nsec ^ (uint64_t)t.tv_sec << 20;
    seed = seed ? seed : 1;
    printf("CONCUR_TEST_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

/* The i-th run of a seed. */
static inline struct live_random live_random_of(uint64_t seed, uint64_t i)
{
    struct live_random r = { (seed + 1) * 0x9e3779b97f4a7c15u ^ (i + 1) * 0xbf58476d1ce4e5b9u };
    if (!r.state)
        r.state = 1;
    for (int k = 0; k < 4; k++)
        (void)live_random(&r);
    return r;
}

/* ---- latches ---- */

struct live_latch {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    unsigned count;
};

#define LIVE_LATCH { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

static inline void live_latch_add(struct live_latch *l)
{
    pthread_mutex_lock(&l->mu);
    l->count++;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mu);
}

/* Until it has been added to n times. False: a minute passed. */
static inline bool live_latch_wait(struct live_latch *l, unsigned n)
{
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LIVE_PATIENCE_S;
    pthread_mutex_lock(&l->mu);
    while (l->count < n && rc == 0)
        rc = pthread_cond_timedwait(&l->changed, &l->mu, &until);
    bool ok = l->count >= n;
    pthread_mutex_unlock(&l->mu);
    return ok;
}

/* ---- what this process holds ---- */

/* Entries of a folder of /proc/self, less the one that looking takes. */
static inline unsigned live_entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned n = 0;
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static inline unsigned live_descriptors(void)
{
    return live_entries("/proc/self/fd");
}

static unsigned live_own_threads; /* a sanitizer's */

static inline void *live_nothing(void *arg)
{
    return arg;
}

/* To be called in a process that has no other thread yet. */
static inline void live_count_own_threads(void)
{
    pthread_t thread;
    if (!LIVE_SANITIZED || pthread_create(&thread, NULL, live_nothing, NULL) != 0)
        return;
    pthread_join(thread, NULL);
    live_own_threads = live_entries("/proc/self/task") - 1;
    for (int i = 0; i < 2000; i++) { /* until the joined one is gone */
        sched_yield();
        unsigned n = live_entries("/proc/self/task") - 1;
        live_own_threads = n < live_own_threads ? n : live_own_threads;
    }
}

/* Threads beside this one, less a sanitizer's own; one that was joined may be listed for a moment longer. */
static inline unsigned live_other_threads(void)
{
    unsigned n = live_entries("/proc/self/task") - 1;
    for (int i = 0; i < 10000 && n > live_own_threads; i++) {
        sched_yield();
        n = live_entries("/proc/self/task") - 1;
    }
    return n - live_own_threads;
}

/* ---- servers ---- */

struct live {
    concur_server *server;
    const char *name; /* of the engine */
    struct sockaddr_in at;
};

/* The engines of this build whose handlers share the test's memory; returns their number. */
static inline unsigned live_engines(int out[8])
{
    unsigned n = 0;
    for (int e = 1; concur_engine_name(e); e++) {
        concur_server *s = concur_server_new(e, NULL);
        (void)concur_server_listen(s, "127.0.0.1:0");
        (void)concur_server_require(s, CONCUR_NEED_SHARED_MEMORY);
        if (concur_server_check(s) == CONCUR_OK)
            out[n++] = e;
        concur_server_free(s);
    }
    return n;
}

/* A server that listens on a free port, to be given routes. */
static inline struct live live_new(int engine)
{
    struct live l = { .server = concur_server_new(engine, NULL), .name = concur_engine_name(engine) };
    ck_assert_ptr_nonnull(l.server);
    ck_assert_int_eq(concur_server_set(l.server, NULL, "environment", "off"), CONCUR_OK);
    ck_assert_int_eq(concur_server_listen(l.server, "127.0.0.1:0"), CONCUR_OK);
    return l;
}

static inline void live_set(struct live *l, const char *name, const char *value)
{
    ck_assert_int_eq(concur_server_set(l->server, NULL, name, value), CONCUR_OK);
}

static inline void live_route(struct live *l, const char *pattern, unsigned flags, concur_handler_fn fn, void *arg)
{
    ck_assert_msg(concur_server_route(l->server, pattern, flags, fn, arg) == CONCUR_OK, "%s",
                  concur_server_error(l->server));
}

/* Where a server of this process can be reached. */
static inline void live_find(struct live *l)
{
    char text[64];
    ck_assert_int_eq(concur_server_address(l->server, 0, text, sizeof text), CONCUR_OK);
    char *colon = strrchr(text, ':');
    l->at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)) };
}

static inline void live_start(struct live *l)
{
    int rc = concur_server_start(l->server);
    ck_assert_msg(rc == CONCUR_OK, "%s: start: %s: %s", l->name, concur_strerror(rc), concur_server_error(l->server));
    live_find(l);
}

static inline void live_end(struct live *l, unsigned deadline_ms)
{
    ck_assert_int_eq(concur_server_stop(l->server, deadline_ms), CONCUR_OK);
    int rc = concur_server_wait(l->server);
    ck_assert_msg(rc == CONCUR_OK, "%s: wait: %s", l->name, concur_strerror(rc));
    concur_server_free(l->server);
    l->server = NULL;
}

/* ---- clients ---- */

struct live_peer {
    int fd;
    size_t at, len, cap;
    char *buf; /* received; bytes [at, len) are not used yet */
};

struct live_answer {
    int status;
    bool complete; /* else the connection ended before the announced end */
    char head[8192];
    char *body; /* NUL-terminated, in the peer's buffer: valid until its next answer */
    size_t n;
};

/* -1: refused. */
static inline int live_try_connect(const struct live *l)
{
    struct timeval patience = { .tv_sec = LIVE_PATIENCE_S };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (const struct sockaddr *)&l->at, sizeof l->at) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline struct live_peer live_connect(const struct live *l)
{
    struct live_peer p = { .fd = live_try_connect(l) };
    ck_assert_msg(p.fd >= 0, "%s: connect: %s", l->name, strerror(errno));
    return p;
}

static inline void live_close(struct live_peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    free(p->buf);
    *p = (struct live_peer){ .fd = -1 };
}

/* Closes so that the other side sees a reset. */
static inline void live_reset(struct live_peer *p)
{
    struct linger hard = { .l_onoff = 1 };
    (void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    live_close(p);
}

static inline bool live_send_n(struct live_peer *p, const char *bytes, size_t n)
{
    while (n) {
        ssize_t put = send(p->fd, bytes, n, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        bytes += put;
        n -= (size_t)put;
    }
    return true;
}

static inline bool live_send(struct live_peer *p, const char *text)
{
    return live_send_n(p, text, strlen(text));
}

/* More bytes into the buffer: false at the end, a reset, or after a minute. */
static inline bool live_more(struct live_peer *p)
{
    if (p->cap - p->len < 2) {
        p->cap = p->cap ? p->cap * 2 : 4096;
        p->buf = realloc(p->buf, p->cap);
        if (!p->buf)
            abort();
    }
    ssize_t n;
    do
        n = recv(p->fd, p->buf + p->len, p->cap - p->len - 1, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    p->len += (size_t)n;
    p->buf[p->len] = '\0';
    return true;
}

/* Index behind the line end at or after `from`, or 0 when no more comes. */
static inline size_t live_line(struct live_peer *p, size_t from)
{
    for (;;) {
        char *nl = p->len > from ? memchr(p->buf + from, '\n', p->len - from) : NULL;
        if (nl)
            return (size_t)(nl - p->buf) + 1;
        if (!live_more(p))
            return 0;
    }
}

static inline const char *live_field(const struct live_answer *a, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strchr(a->head, '\n'); line; line = strchr(line + 1, '\n'))
        if (strncasecmp(line + 1, name, n) == 0 && line[1 + n] == ':')
            return line + 1 + n + 2;
    return NULL;
}

static inline bool live_chunked(struct live_peer *p, struct live_answer *a)
{
    size_t body = p->at, out = p->at;
    for (;;) {
        size_t next = live_line(p, p->at);
        if (!next)
            return false;
        char *end;
        size_t size = strtoul(p->buf + p->at, &end, 16);
        if (end == p->buf + p->at || *end != '\r')
            return false;
        while (p->len < next + size + 2)
            if (!live_more(p))
                return false;
        if (memcmp(p->buf + next + size, "\r\n", 2) != 0)
            return false;
        memmove(p->buf + out, p->buf + next, size);
        out += size;
        p->at = next + size + 2;
        if (size == 0)
            break;
    }
    p->buf[out] = '\0'; /* the last chunk is longer than this NUL */
    a->body = p->buf + body;
    a->n = out - body;
    return true;
}

/* One response with its framing checked. False: none came, or no valid one. bodiless: the answer to HEAD. */
static inline bool live_receive(struct live_peer *p, struct live_answer *a, bool bodiless)
{
    *a = (struct live_answer){ .body = (char *)(uintptr_t) "" };
    if (p->at) {
        memmove(p->buf, p->buf + p->at, p->len - p->at);
        p->len -= p->at;
        p->at = 0;
    }
    size_t line = 0, end = 0;
    do {
        line = end;
        end = live_line(p, line);
    } while (end > line + 2);
    if (!end || end >= sizeof a->head || strncmp(p->buf, "HTTP/1.1 ", 9) != 0)
        return false;
    memcpy(a->head, p->buf, end);
    a->status = (int)strtol(p->buf + 9, NULL, 10);
    p->at = end;
    const char *length = live_field(a, "Content-Length"), *coding = live_field(a, "Transfer-Encoding");
    a->complete = true;
    if (bodiless || a->status < 200 || a->status == 204 || a->status == 304)
        return true;
    if (coding) {
        a->complete = live_chunked(p, a);
        return !length && strncmp(coding, "chunked\r", 8) == 0;
    }
    size_t n = length ? strtoul(length, NULL, 10) : (size_t)-1;
    while (p->len - p->at < n && live_more(p))
        ;
    a->n = p->len - p->at < n ? p->len - p->at : n;
    a->complete = !length || a->n == n;
    a->body = p->buf + p->at;
    p->at += a->n;
    if (p->at == p->len && p->buf)
        p->buf[p->at] = '\0';
    return true;
}

/* True when the other side has closed, after whatever it still sent. */
static inline bool live_at_end(struct live_peer *p)
{
    errno = 0; /* an end is no error and leaves it as it was */
    while (live_more(p))
        ;
    return errno != EAGAIN && errno != EWOULDBLOCK;
}

/* A request on a connection of its own; returns the status, 0: no answer. body: room of n, or NULL. */
static inline int live_ask(const struct live *l, const char *request, char *body, size_t n)
{
    struct live_peer p = { .fd = live_try_connect(l) };
    struct live_answer a = { 0 };
    if (p.fd >= 0 && live_send(&p, request) && live_receive(&p, &a, strncmp(request, "HEAD ", 5) == 0) && n)
        snprintf(body, n, "%.*s", (int)a.n, a.body);
    int status = a.complete ? a.status : 0;
    live_close(&p);
    return status;
}

static inline int live_get(const struct live *l, const char *path, char *body, size_t n)
{
    char request[2048];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", path);
    return live_ask(l, request, body, n);
}

#endif
