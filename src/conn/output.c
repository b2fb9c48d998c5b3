/* SPDX-License-Identifier: MIT
 *
 * The way out: replies become bytes in the driver's scratch buffer while their connection is the current one, so that the
 * replies of pipelined requests leave in one write; what does not fit or does not go out at once is queued in chunks.
 */
#include <arpa/inet.h>

#include "base/sys.h"
#include "conn/conn.h"
#include "net/address.h"

#define CHUNK_MIN 16384    /* bytes of a chunk that collects small writes */
#define COPY_MAX 16384     /* a borrowed piece up to this size is copied rather than queued */
#define IOV_MAX_USED 16

/* Bytes [at, end) are still to be sent. Owned bytes lie in data; borrowed ones elsewhere, until free(arg). The first chunk
 * of a queue also keeps what is known of the whole queue. */
struct cnc_chunk {
    struct cnc_chunk *next;
    struct cnc_chunk *last; /* of the first only */
    size_t queued;          /* of the first only: bytes to be sent in the whole queue */
    const char *p;
    size_t at, end, cap;
    void (*free)(void *);
    void *arg;
    char data[];
};

static void free_chunk(struct cnc_chunk *c)
{
    if (c->free)
        c->free(c->arg);
    cnc_free(c);
}

void cnc_conn_free_output(struct cnc_conn *conn)
{
    while (conn->out) {
        struct cnc_chunk *c = conn->out;
        conn->out = c->next;
        free_chunk(c);
    }
    if (conn->drv && conn->drv->current == conn)
        conn->drv->scratch_len = 0;
}

/* One for cap bytes of ours, or for a piece that stays where it is. */
static struct cnc_chunk *make_chunk(size_t cap)
{
    struct cnc_chunk *c = cap > CNC_PIECE_MAX ? NULL : cnc_malloc(sizeof *c + cap);
    if (c)
        *c = (struct cnc_chunk){ .p = c->data, .cap = cap };
    return c;
}

static void append_chunk(struct cnc_conn *conn, struct cnc_chunk *c)
{
    if (conn->out)
        conn->out->last->next = c;
    else
        conn->out = c;
    conn->out->last = c;
    conn->out->queued += c->end;
}

static struct cnc_chunk *add_chunk(struct cnc_conn *conn, size_t cap)
{
    struct cnc_chunk *c = make_chunk(cap);
    if (c)
        append_chunk(conn, c);
    return c;
}

/* c gets the piece, which was the caller's so far. */
static void borrow_piece(struct cnc_chunk *c, struct cnc_piece *piece)
{
    c->p = piece->p;
    c->end = piece->n;
    c->free = piece->free;
    c->arg = piece->arg;
    *piece = (struct cnc_piece){ 0 };
}

size_t cnc_conn_queued(const struct cnc_conn *conn)
{
    return conn->out ? conn->out->queued : 0;
}

static bool in_scratch(const struct cnc_conn *conn)
{
    return conn->drv->current == conn && !conn->out;
}

/* Moves what the scratch buffer holds to the queue, before something that must come after it. */
static int spill_scratch(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    if (!in_scratch(conn) || !drv->scratch_len)
        return CONCUR_OK;
    size_t n = drv->scratch_len;
    struct cnc_chunk *c = add_chunk(conn, n < CHUNK_MIN ? CHUNK_MIN : n);
    if (!c)
        return CONCUR_E_NOMEM;
    memcpy(c->data, drv->home->out, n);
    c->end = n;
    conn->out->queued = n;
    drv->scratch_len = 0;
    return CONCUR_OK;
}

/* A reply that comes later, of a timer or of work elsewhere, finds its connection asleep. Where nobody else is being driven it
 * takes the scratch buffer all the same; the next one that does so, or the end of the turn, sends it off. */
static void borrow_scratch(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    if (conn->out || drv->current == conn || (drv->current && !drv->borrowed) || drv->home->blocking ||
        cnc_home_need_scratch(drv->home) < 0)
        return;
    cnc_conn_touch(conn);
    cnc_driver_enter(drv, conn);
    drv->borrowed = true;
}

/* Room for n bytes of output in one piece; commit says how many were used. NULL: out of memory. */
CNC_HOT static char *reserve(struct cnc_conn *conn, size_t n)
{
    struct cnc_driver *drv = conn->drv;
    if (CNC_UNLIKELY(drv->current != conn))
        borrow_scratch(conn);
    if (CNC_LIKELY(in_scratch(conn))) {
        if (CNC_LIKELY(n <= CNC_HOME_SCRATCH - drv->scratch_len))
            return drv->home->out + drv->scratch_len;
        if (spill_scratch(conn) < 0)
            return NULL;
    }
    struct cnc_chunk *c = conn->out ? conn->out->last : NULL;
    if (!c || c->free || c->cap - c->end < n)
        c = add_chunk(conn, n < CHUNK_MIN ? CHUNK_MIN : n);
    return c ? c->data + c->end : NULL;
}

static void commit(struct cnc_conn *conn, size_t n)
{
    if (CNC_LIKELY(in_scratch(conn))) {
        conn->drv->scratch_len += n;
        return;
    }
    conn->out->last->end += n;
    conn->out->queued += n;
    cnc_conn_touch(conn);
}

int cnc_conn_put(struct cnc_conn *conn, const void *p, size_t n)
{
    if (n == 0)
        return CONCUR_OK;
    char *room = reserve(conn, n);
    if (!room)
        return CONCUR_E_NOMEM;
    memcpy(room, p, n);
    commit(conn, n);
    return CONCUR_OK;
}

/* Takes the piece in every case. */
static int put_piece(struct cnc_conn *conn, struct cnc_piece *piece)
{
    int rc = CONCUR_OK;
    if (!piece->free || piece->n <= COPY_MAX) {
        rc = cnc_conn_put(conn, piece->p, piece->n);
        cnc_piece_drop(piece);
        return rc;
    }
    struct cnc_chunk *c = spill_scratch(conn) < 0 ? NULL : make_chunk(0);
    if (!c) {
        cnc_piece_drop(piece);
        return CONCUR_E_NOMEM;
    }
    borrow_piece(c, piece);
    append_chunk(conn, c);
    cnc_conn_touch(conn);
    return CONCUR_OK;
}

static int put_body(struct cnc_conn *conn, struct cnc_piece *piece, bool last)
{
    int rc = CONCUR_OK;
    if (conn->framing == CNC_HTTP_FRAME_NONE) {
        cnc_piece_drop(piece);
        return rc;
    }
    if (conn->framing != CNC_HTTP_FRAME_CHUNKED)
        return piece->n ? put_piece(conn, piece) : (cnc_piece_drop(piece), rc);
    if (piece->n) {
        char size[CNC_HTTP_CHUNK_HEAD_MAX];
        rc = cnc_conn_put(conn, size, cnc_http_chunk_head(size, piece->n));
        if (rc == CONCUR_OK)
            rc = put_piece(conn, piece);
        if (rc == CONCUR_OK)
            rc = cnc_conn_put(conn, CNC_HTTP_CHUNK_TAIL.p, CNC_HTTP_CHUNK_TAIL.n);
    }
    cnc_piece_drop(piece);
    if (rc == CONCUR_OK && last)
        rc = cnc_conn_put(conn, CNC_HTTP_CHUNK_END.p, CNC_HTTP_CHUNK_END.n);
    return rc;
}

CNC_HOT static bool send_some(struct cnc_conn *conn, const struct iovec *iov, int count, size_t *sent)
{
    ssize_t n = conn->transport->write(cnc_io_fd(&conn->io), conn->ext, iov, count);
    *sent = n > 0 ? (size_t)n : 0;
    conn->drv->sent += *sent;
    if (conn->class != CNC_CLASS_BODY) /* a reply that streams is no sign that the body comes */
        conn->moved += (uint32_t)*sent;
    if (n < 0 && n != -EAGAIN) {
        cnc_conn_free_output(conn);
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
        return false;
    }
    return true;
}

static void flush_scratch(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    struct iovec iov = { .iov_base = drv->home->out, .iov_len = drv->scratch_len };
    size_t sent;
    if (!send_some(conn, &iov, 1, &sent))
        return;
    size_t rest = drv->scratch_len - sent;
    drv->scratch_len = 0;
    if (CNC_LIKELY(rest == 0))
        return;
    struct cnc_chunk *c = add_chunk(conn, rest);
    if (!c) {
        cnc_conn_step(conn, CNC_CONN_ON_ERROR); /* out of memory costs this connection, no other */
        return;
    }
    memcpy(c->data, drv->home->out + sent, rest);
    c->end = rest;
    conn->out->queued = rest;
}

static void consume_output(struct cnc_conn *conn, size_t n)
{
    conn->out->queued -= n;
    while (n) {
        struct cnc_chunk *c = conn->out;
        size_t have = c->end - c->at;
        size_t take = n < have ? n : have;
        c->at += take;
        n -= take;
        if (c->at < c->end)
            break;
        conn->out = c->next;
        if (conn->out) {
            conn->out->last = c->last;
            conn->out->queued = c->queued;
        }
        free_chunk(c);
    }
}

static void flush_queue(struct cnc_conn *conn)
{
    while (conn->out) {
        struct iovec iov[IOV_MAX_USED];
        int count = 0;
        size_t want = 0, sent;
        for (struct cnc_chunk *c = conn->out; c && count < IOV_MAX_USED; c = c->next) {
            iov[count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)(c->p + c->at), .iov_len = c->end - c->at };
            want += c->end - c->at;
        }
        if (!send_some(conn, iov, count, &sent))
            return;
        consume_output(conn, sent);
        if (sent < want)
            return;
    }
}

/* Whoever has lent the connection is to know what the bytes mean, though this process may not live to see them sent. */
static void tell_of_end(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    size_t n = conn->out ? cnc_conn_queued(conn) : drv->current == conn ? drv->scratch_len : 0;
    if (n && conn->state == CNC_CONN_IDLE && !cnc_conn_has_input(conn))
        drv->ops->settling(drv, conn, n);
}

CNC_HOT void cnc_conn_flush(struct cnc_conn *conn)
{
    if (conn->state == CNC_CONN_CLOSED)
        return;
    if (CNC_UNLIKELY(conn->flags & CNC_CONN_LENT))
        tell_of_end(conn);
    if (CNC_LIKELY(!conn->out)) {
        if (conn->drv->current == conn && conn->drv->scratch_len)
            flush_scratch(conn);
    } else {
        flush_queue(conn);
    }
}

/* RFC 9110 §10.1.1: only while no reply has begun. It might be left out where some of the body has come, but what the client
 * gets is not to depend on how its packets arrived. */
static void send_continue(struct cnc_conn *conn)
{
    if (!(conn->flags & CNC_CONN_EXPECT) || (conn->flags & CNC_CONN_REPLYING))
        return;
    conn->flags &= (uint32_t)~CNC_CONN_EXPECT;
    (void)cnc_conn_put(conn, CNC_HTTP_CONTINUE.p, CNC_HTTP_CONTINUE.n);
}

/* Will the connection come to a request boundary, if this reply ends now? A body that nobody reads is drained if it is known
 * to be small; else the connection closes, so that its bytes can never be taken for a request. */
static bool finds_boundary(const struct cnc_conn *conn)
{
    if (cnc_conn_body_is_done(conn))
        return true;
    int64_t left = cnc_http_body_left(&conn->body);
    return left >= 0 && left <= (int64_t)conn->drv->limits->pipeline_max && !(conn->flags & CNC_CONN_EXPECT);
}

static void let_go(struct cnc_conn *conn, struct cnc_stream *stream)
{
    bool keep = !(conn->flags & CNC_CONN_LAST);
    stream->carrier = NULL;
    conn->stream = NULL;
    if (CNC_UNLIKELY(keep && !finds_boundary(conn))) {
        keep = false; /* a reply that was streamed might have read it, but did not */
        conn->flags |= CNC_CONN_MUST_LINGER;
    }
    cnc_conn_step(conn, keep ? CNC_CONN_ON_REPLY_KEEP : CNC_CONN_ON_REPLY_CLOSE);
    cnc_conn_touch(conn);
}

CNC_HOT static int after_put(struct cnc_conn *conn, struct cnc_stream *stream, int rc, bool last)
{
    if (CNC_UNLIKELY(rc < 0))
        return rc;
    if (CNC_LIKELY(last)) {
        let_go(conn, stream);
        return CONCUR_OK;
    }
    if (conn->out && cnc_conn_queued(conn) > conn->drv->limits->output_high) {
        if (!conn->drv->home->blocking)
            return CONCUR_AGAIN;
        return cnc_block_flush(conn, conn->drv->limits->output_low);
    }
    return CONCUR_OK;
}

/* The head and a whole body go out together or not at all: memory for both is had before either is queued. Takes the
 * piece in every case. */
CNC_HOT static int put_reply(struct cnc_conn *conn, const struct cnc_http_reply *r, struct cnc_piece *piece)
{
    size_t body = r->framing == CNC_HTTP_FRAME_LENGTH ? piece->n : 0;
    char *room = reserve(conn, cnc_http_reply_size(r) + body);
    if (room) {
        size_t n = cnc_http_reply_head(room, r);
        if (CNC_LIKELY(body))
            memcpy(room + n, piece->p, body);
        commit(conn, n + body);
    }
    cnc_piece_drop(piece);
    return room ? CONCUR_OK : CONCUR_E_NOMEM;
}

/* The same for a body that stays where it is until it is sent. */
static int put_reply_borrowed(struct cnc_conn *conn, const struct cnc_http_reply *r, struct cnc_piece *piece)
{
    struct cnc_chunk *head = make_chunk(cnc_http_reply_size(r)), *body = make_chunk(0);
    if (!head || !body || spill_scratch(conn) < 0) {
        cnc_free(head);
        cnc_free(body);
        cnc_piece_drop(piece);
        return CONCUR_E_NOMEM;
    }
    head->end = cnc_http_reply_head(head->data, r);
    borrow_piece(body, piece);
    append_chunk(conn, head);
    append_chunk(conn, body);
    cnc_conn_touch(conn);
    return CONCUR_OK;
}

CNC_HOT static int carrier_reply(struct cnc_stream *stream, struct cnc_http_reply *r, struct cnc_piece *piece,
                                 bool last)
{
    struct cnc_conn *conn = stream->carrier;
    const struct cnc_conn_limits *limits = conn->drv->limits;
    const struct cnc_conn_ops *ops = conn->drv->ops;
    if ((limits->requests_max && conn->requests >= limits->requests_max) || !limits->class_ms[CNC_CLASS_KEEPALIVE] ||
        atomic_load_explicit(conn->drv->draining, memory_order_relaxed) || (r->keep_alive && ops->may_keep && !ops->may_keep(conn->drv, conn)))
        conn->flags |= CNC_CONN_LAST;
    if (r->keep_alive && ((conn->flags & CNC_CONN_LAST) || (last && !finds_boundary(conn)))) {
        r->keep_alive = false;
        conn->flags |= CNC_CONN_MUST_LINGER; /* the peer does not expect the end and may be sending */
    }
    cnc_http_reply_frame(r);
    CNC_ASSERT(last ? r->framing <= CNC_HTTP_FRAME_LENGTH : !piece->n);
    conn->framing = r->framing;
    if (!r->keep_alive)
        conn->flags |= CNC_CONN_LAST;
    bool borrows = piece->free && piece->n > COPY_MAX && r->framing == CNC_HTTP_FRAME_LENGTH;
    int rc = CNC_UNLIKELY(borrows) ? put_reply_borrowed(conn, r, piece) : put_reply(conn, r, piece);
    if (CNC_LIKELY(rc == CONCUR_OK))
        conn->flags |= CNC_CONN_REPLYING;
    return after_put(conn, stream, rc, last);
}

static int carrier_data(struct cnc_stream *stream, struct cnc_piece *piece, bool last)
{
    struct cnc_conn *conn = stream->carrier;
    return after_put(conn, stream, put_body(conn, piece, last), last);
}

static void carrier_abort(struct cnc_stream *stream)
{
    struct cnc_conn *conn = stream->carrier;
    stream->carrier = NULL;
    conn->stream = NULL;
    cnc_conn_step(conn, CNC_CONN_ON_ABORT);
    cnc_conn_touch(conn);
}

static void carrier_want_body(struct cnc_stream *stream, bool hold)
{
    struct cnc_conn *conn = stream->carrier;
    conn->flags |= CNC_CONN_BODY_WANTED | (hold ? CNC_CONN_BODY_HOLD : 0);
    send_continue(conn);
    cnc_conn_touch(conn);
}

static void carrier_resume_body(struct cnc_stream *stream)
{
    struct cnc_conn *conn = stream->carrier;
    conn->flags &= (uint32_t)~CNC_CONN_BODY_PAUSED;
    cnc_conn_touch(conn);
}

static bool carrier_is_full(struct cnc_stream *stream)
{
    struct cnc_conn *conn = stream->carrier;
    return cnc_conn_queued(conn) > conn->drv->limits->output_high;
}

static void carrier_want_drain(struct cnc_stream *stream)
{
    struct cnc_conn *conn = stream->carrier;
    conn->flags |= CNC_CONN_DRAIN_WANTED;
    cnc_conn_touch(conn);
}

/* A handler that blocks is told by this look what a loop would have seen. */
static int carrier_check(struct cnc_stream *stream)
{
    struct cnc_conn *conn = stream->carrier;
    char c;
    if (!conn->drv->home->blocking || cnc_conn_has_input(conn) || conn->drv->limits->half_close)
        return 0;
    ssize_t n = cnc_sys_recv(cnc_io_fd(&conn->io), &c, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ? CONCUR_E_GONE : 0;
}

static void carrier_move(struct cnc_stream *stream, struct cnc_stream *to)
{
    struct cnc_conn *conn = stream->carrier;
    to->down = stream->down;
    to->carrier = conn;
    conn->stream = to;
    stream->carrier = NULL;
}

static size_t carrier_peer(struct cnc_stream *stream, char *out, size_t n)
{
    struct cnc_conn *conn = stream->carrier;
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (getpeername(cnc_io_fd(&conn->io), (struct sockaddr *)&ss, &len) < 0)
        len = 0;
    return cnc_address_text((struct sockaddr *)&ss, len, out, n);
}

const struct cnc_carrier_ops cnc_conn_carrier = {
    .reply = carrier_reply,
    .data = carrier_data,
    .abort = carrier_abort,
    .want_body = carrier_want_body,
    .resume_body = carrier_resume_body,
    .is_full = carrier_is_full,
    .want_drain = carrier_want_drain,
    .check = carrier_check,
    .move = carrier_move,
    .peer = carrier_peer,
};

/* No request exists, or none any more: the connection answers for itself and closes. */
void cnc_conn_fail(struct cnc_conn *conn, int status)
{
    const char *reason = cnc_http_reason(status);
    size_t reason_len = strlen(reason);
    char body[64], retry[40] = "Retry-After: ";
    size_t n = cnc_decimal(body, (uint64_t)status);
    if (reason_len > sizeof body - 8)
        reason_len = sizeof body - 8;
    body[n++] = ' ';
    memcpy(body + n, reason, reason_len);
    n += reason_len;
    body[n++] = '\n';
    struct cnc_http_reply r = { .status = status, .length = (int64_t)n, .type = CNC_SLICE("text/plain"),
                                .date = cnc_home_date(conn->drv->home), .method = CNC_HTTP_GET, .minor = 1 };
    if (status == 503) {
        size_t len = 13 + cnc_decimal(retry + 13, conn->drv->limits->retry_after_s);
        memcpy(retry + len, "\r\n", 2);
        r.fields = (struct cnc_slice){ retry, len + 2 };
    }
    cnc_http_reply_frame(&r);
    char *room = reserve(conn, cnc_http_reply_size(&r));
    if (!room)
        return;
    commit(conn, cnc_http_reply_head(room, &r));
    (void)cnc_conn_put(conn, body, n);
}
