/* SPDX-License-Identifier: MIT
 *
 * A driver with one peer and a clock moved by hand. Above it sits a tiny program: what a request does follows from the
 * first letters of its path, and the test does the rest through the request's stream.
 *
 *   /now    replies "ok" at once                 /wait   nothing; the test replies
 *   /body   asks for its body, replies its length when it is complete
 *   /sink   the same for a body of any length, of which it keeps nothing
 *   /hold   asks for its body in place; rig->take is what it answers to each piece
 *   /no     is refused with 503                  /large  replies rig->large bytes, borrowed
 */
#ifndef CONN_RIG_H
#define CONN_RIG_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "conn/conn.h"

#define RIG_REQUESTS 64
#define RIG_ROOM (1 << 21)

struct rig_request {
    struct cnc_stream stream;
    struct rig *rig;
    char path[32];
    uint8_t method, minor;
    bool keep_alive;
    char body[65536];
    size_t body_len;
    const char *last_piece; /* where the piece that was offered last began */
    unsigned offers, ends, drains, gone_count;
    int gone;
};

struct rig {
    int64_t ms, wall;
    struct cnc_clock clock;
    struct cnc_home *home;
    struct cnc_driver drv;
    struct cnc_conn_limits limits;
    struct cnc_conn_ops ops;
    struct cnc_transport_ops transport; /* plain, with writes counted */
    atomic_bool draining;
    struct cnc_conn *conn; /* the last one opened; NULL once it is gone */
    int peer;
    unsigned closed, writes, begun, short_of;
    int take;
    bool every_second; /* pieces are taken when they are offered again */
    bool copies;       /* /large is handed over without a free function */
    bool insists;      /* a reply for which there was no memory is followed by a 503 */
    size_t large, freed;
    bool eof, reset; /* what the peer has seen */
    char *got;       /* and what it has read, with a NUL */
    size_t got_len;
    struct rig_request requests[RIG_REQUESTS];
};

/* the transport has no owner to ask, so this one counts where the program's tests look */
static unsigned *rig_writes;

static inline ssize_t rig_write(int fd, void *state, const struct iovec *iov, int count)
{
    ++*rig_writes;
    return cnc_transport_plain.write(fd, state, iov, count);
}

static inline int64_t rig_now_ms(void *arg)
{
    return ((struct rig *)arg)->ms;
}

static inline int64_t rig_wall_s(void *arg)
{
    return ((struct rig *)arg)->wall;
}

static inline int rig_reply(struct rig_request *q, int status, const char *text, bool last)
{
    struct cnc_http_reply r = { .status = status, .length = last ? (int64_t)strlen(text) : -1,
                                .type = CNC_SLICE("text/plain"), .date = cnc_desk_date(q->rig->home),
                                .method = q->method, .minor = q->minor, .keep_alive = q->keep_alive };
    struct cnc_piece piece = { .p = text, .n = strlen(text) }, none = { 0 };
    if (last)
        return q->stream.down->reply(&q->stream, &r, &piece, true);
    int rc = q->stream.down->reply(&q->stream, &r, &none, false);
    return rc < 0 || !piece.n ? rc : q->stream.down->data(&q->stream, &piece, false);
}

static inline int rig_data(struct rig_request *q, const char *p, size_t n, bool last)
{
    struct cnc_piece piece = { .p = p, .n = n };
    return q->stream.down->data(&q->stream, &piece, last);
}

static inline void rig_free_large(void *arg)
{
    struct rig_request *q = arg;
    q->rig->freed++;
}

static inline int rig_reply_large(struct rig_request *q)
{
    static char bytes[1 << 20];
    struct cnc_http_reply r = { .status = 200, .length = (int64_t)q->rig->large, .date = cnc_desk_date(q->rig->home),
                                .method = q->method, .minor = q->minor, .keep_alive = q->keep_alive };
    struct cnc_piece piece = { .p = bytes, .n = q->rig->large, .free = rig_free_large, .arg = q };
    if (q->rig->copies)
        piece.free = NULL;
    int rc = q->stream.down->reply(&q->stream, &r, &piece, true);
    return rc == CONCUR_E_NOMEM && q->rig->insists ? rig_reply(q, 503, "no room", true) : rc;
}

static inline void rig_failed(struct rig_request *q, int rc)
{
    if (rc < 0 && q->stream.carrier)
        q->stream.down->abort(&q->stream);
}

static inline int rig_on_body(struct cnc_stream *s, const char *p, size_t n)
{
    struct rig_request *q = CNC_CONTAINER(s, struct rig_request, stream);
    q->last_piece = p;
    q->offers++;
    if (q->rig->every_second && q->offers % 2)
        return CONCUR_AGAIN;
    if (strncmp(q->path, "/hold", 5) == 0 && q->rig->take != CONCUR_OK)
        return q->rig->take;
    bool keeps = strcmp(q->path, "/sink") != 0;
    if (keeps && q->body_len + n > sizeof q->body)
        return CONCUR_E_LIMIT;
    if (keeps)
        memcpy(q->body + q->body_len, p, n);
    q->body_len += n;
    return CONCUR_OK;
}

static inline void rig_on_body_end(struct cnc_stream *s)
{
    struct rig_request *q = CNC_CONTAINER(s, struct rig_request, stream);
    char text[24];
    q->ends++;
    snprintf(text, sizeof text, "%zu", q->body_len);
    if ((strncmp(q->path, "/body", 5) == 0 || strcmp(q->path, "/sink") == 0) && s->carrier)
        rig_failed(q, rig_reply(q, 200, text, true));
}

static inline void rig_on_drain(struct cnc_stream *s)
{
    CNC_CONTAINER(s, struct rig_request, stream)->drains++;
}

static inline void rig_on_gone(struct cnc_stream *s, int reason)
{
    struct rig_request *q = CNC_CONTAINER(s, struct rig_request, stream);
    ck_assert_ptr_null(s->carrier);
    q->gone = reason;
    q->gone_count++;
}

static const struct cnc_stream_ops rig_up = {
    .body = rig_on_body, .body_end = rig_on_body_end, .drain = rig_on_drain, .gone = rig_on_gone
};

static inline int rig_on_request(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    struct rig *rig = conn->drv->owner;
    ck_assert_uint_lt(rig->begun, RIG_REQUESTS);
    struct rig_request *q = &rig->requests[rig->begun++];
    memset(q, 0, offsetof(struct rig_request, body));
    q->body_len = q->offers = q->ends = q->drains = q->gone_count = 0;
    q->gone = 0;
    q->rig = rig;
    q->method = head->method;
    q->minor = head->minor;
    q->keep_alive = (head->flags & CNC_HTTP_KEEP_ALIVE) != 0;
    size_t n = head->path.len < sizeof q->path ? head->path.len : sizeof q->path - 1;
    memcpy(q->path, bytes + head->path.at, n);
    q->path[n] = '\0';
    if (strcmp(q->path, "/no") == 0)
        return 503;
    q->stream = (struct cnc_stream){ .down = &cnc_conn_carrier, .up = &rig_up, .carrier = conn };
    conn->exchange.stream = &q->stream;
    if (strcmp(q->path, "/now") == 0)
        rig_failed(q, rig_reply(q, 200, "ok", true));
    else if (strcmp(q->path, "/large") == 0)
        rig_failed(q, rig_reply_large(q));
    else if (strcmp(q->path, "/body") == 0 || strcmp(q->path, "/sink") == 0)
        q->stream.down->want_body(&q->stream, false);
    else if (strcmp(q->path, "/hold") == 0)
        q->stream.down->want_body(&q->stream, true);
    return 0;
}

static inline struct rig_request *rig_last(struct rig *rig)
{
    ck_assert_uint_gt(rig->begun, 0);
    return &rig->requests[rig->begun - 1];
}

static inline void rig_on_closed(struct cnc_driver *drv)
{
    struct rig *rig = drv->owner;
    rig->closed++;
    rig->conn = NULL;
}

static inline void rig_runs_short(struct cnc_driver *drv, const char *what)
{
    struct rig *rig = drv->owner;
    ck_assert_str_ne(what, "");
    rig->short_of++;
}

static inline struct cnc_conn_limits rig_limits(void)
{
    struct cnc_conn_limits limits = {
        .http = { .line_max = 4096, .head_max = 8192, .fields_max = 32, .chunk_ext_max = 256, .trailer_max = 1024 },
        .body_rate_min = 100, .output_high = 65536, .output_low = 16384, .pipeline_max = 4096, .linger_max = 8192,
        .requests_max = UINT32_MAX, .retry_after_s = 1,
    };
    limits.class_ms[CNC_CLASS_FRESH] = 1000;
    limits.class_ms[CNC_CLASS_HEAD] = 1000;
    limits.class_ms[CNC_CLASS_KEEPALIVE] = 2000;
    limits.class_ms[CNC_CLASS_BODY] = 3000;
    limits.class_ms[CNC_CLASS_WRITE] = 4000;
    limits.class_ms[CNC_CLASS_LINGER] = 500;
    limits.class_ms[CNC_CLASS_DRAIN] = 200;
    return limits;
}

static inline void rig_init(struct rig *rig, bool blocking)
{
    memset(rig, 0, offsetof(struct rig, requests));
    rig->ms = 1000000;
    rig->wall = 784111777;
    rig->clock = (struct cnc_clock){ rig_now_ms, rig_wall_s, rig };
    rig->limits = rig_limits();
    rig->ops = (struct cnc_conn_ops){ .request = rig_on_request, .closed = rig_on_closed,
                                       .runs_short = rig_runs_short };
    rig->transport = cnc_transport_plain;
    rig->transport.write = rig_write;
    rig_writes = &rig->writes;
    rig->peer = -1;
    rig->got = malloc(RIG_ROOM);
    ck_assert_int_eq(cnc_desk_create(&rig->home, &rig->clock, rig->limits.http.fields_max, blocking), CONCUR_OK);
    cnc_driver_init(&rig->drv, rig->home, &rig->limits, &rig->ops, rig, &rig->draining);
    if (!blocking)
        ck_assert_int_eq(cnc_driver_need_loop(&rig->drv), CONCUR_OK);
}

static inline void rig_deinit(struct rig *rig)
{
    cnc_driver_cancel(&rig->drv, CONCUR_E_STOPPING);
    ck_assert_uint_eq(rig->drv.count, 0);
    ck_assert_uint_eq(rig->drv.illegal, 0);
    cnc_driver_deinit(&rig->drv);
    cnc_home_close(&rig->home);
    if (rig->peer >= 0)
        close(rig->peer);
    free(rig->got);
}

/* Turns that wait for nothing: all there is to do is done when they are over. */
static inline void rig_turn(struct rig *rig)
{
    for (int i = 0; i < 4; i++)
        cnc_home_turn(rig->home, 0);
}

static inline void rig_pass(struct rig *rig, int64_t ms)
{
    rig->ms += ms;
    rig_turn(rig);
}

static inline void rig_own(struct rig *rig, int fd, int peer)
{
    if (rig->peer >= 0)
        close(rig->peer);
    rig->peer = peer;
    rig->eof = rig->reset = false;
    rig->got_len = 0;
    rig->conn = cnc_conn_create(fd, &rig->transport, NULL);
    ck_assert_ptr_nonnull(rig->conn);
}

static inline void rig_pair(int fds[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
}

static inline void rig_connect(struct rig *rig)
{
    int fds[2];
    rig_pair(fds);
    rig_own(rig, fds[0], fds[1]);
    cnc_driver_take(&rig->drv, rig->conn);
    rig_turn(rig);
}

/* Resets exist between two ends of TCP only. */
static inline void rig_pair_tcp(int fds[2])
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof sin;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&sin, sizeof sin), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fds[1], (struct sockaddr *)&sin, sizeof sin), 0);
    fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ck_assert_int_ge(fds[0], 0);
    close(listener);
}

static inline void rig_send_n(struct rig *rig, const char *p, size_t n)
{
    ck_assert_int_eq(send(rig->peer, p, n, MSG_NOSIGNAL), (ssize_t)n);
    if (rig->home->loop)
        rig_turn(rig);
}

static inline void rig_send(struct rig *rig, const char *text)
{
    rig_send_n(rig, text, strlen(text));
}

/* What the peer can read now is added to got. */
static inline const char *rig_read(struct rig *rig)
{
    ssize_t n;
    while ((n = recv(rig->peer, rig->got + rig->got_len, RIG_ROOM - 1 - rig->got_len, MSG_DONTWAIT)) > 0)
        rig->got_len += (size_t)n;
    rig->eof = n == 0;
    rig->reset = n < 0 && errno == ECONNRESET;
    rig->got[rig->got_len] = '\0';
    return rig->got;
}

/* As rig_read, and forgets it. */
static inline const char *rig_take(struct rig *rig)
{
    rig_read(rig);
    rig->got_len = 0;
    return rig->got;
}

/* True when rig->got begins with this status. */
static inline bool rig_is_status(const char *got, const char *status)
{
    return strncmp(got, "HTTP/1.1 ", 9) == 0 && strncmp(got + 9, status, strlen(status)) == 0;
}

static inline unsigned rig_count(const char *text, const char *what)
{
    unsigned n = 0;
    const size_t len = strlen(what);
    const char *end = text + strlen(text);
    /* memmem: where strings are checked strictly, strstr() reads all that is left each time. */
    for (const char *p = text; (p = memmem(p, (size_t)(end - p), what, len)) != NULL; p += len)
        n++;
    return n;
}

static inline int rig_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
