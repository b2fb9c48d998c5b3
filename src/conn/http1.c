/* SPDX-License-Identifier: MIT
 *
 * Writes HTTP/1.1: a connection as the carrier of a request and its reply, and error pages that the connection sends
 * without a request. While the connection is the current one, replies are written into the driver's scratch buffer, so
 * that those of pipelined requests are sent with one call.
 */
#include <arpa/inet.h>

#include "base/sys.h"
#include "conn/http1.h"
#include "conn/input.h"
#include "conn/queue.h"
#include "net/address.h"

static int put_chunk(struct cnc_conn *conn, struct cnc_piece *piece)
{
    char size[CNC_HTTP_CHUNK_HEAD_MAX];
    int rc = cnc_conn_put(conn, size, cnc_http_chunk_head(size, piece->n));
    if (rc == CONCUR_OK)
        rc = cnc_queue_put(conn, piece);
    if (rc == CONCUR_OK)
        rc = cnc_conn_put(conn, CNC_HTTP_CHUNK_TAIL.p, CNC_HTTP_CHUNK_TAIL.n);
    return rc;
}

static int put_body(struct cnc_conn *conn, struct cnc_piece *piece, bool last)
{
    bool chunked = conn->exchange.framing == CNC_HTTP_FRAME_CHUNKED;
    int rc = CONCUR_OK;
    if (piece->n && conn->exchange.framing != CNC_HTTP_FRAME_NONE) {
        if (cnc_queue_is_made(conn, piece->p))
            rc = cnc_queue_made(conn, piece->n, chunked);
        else
            rc = chunked ? put_chunk(conn, piece) : cnc_queue_put(conn, piece);
    }
    cnc_piece_drop(piece);
    if (rc == CONCUR_OK && last && chunked)
        rc = cnc_conn_put(conn, CNC_HTTP_CHUNK_END.p, CNC_HTTP_CHUNK_END.n);
    return rc;
}

/* The reply ends now: will the request's body be read to its end, so that the connection can persist? The rest of a
 * body is read and thrown away if it is known to be small. Else the connection is closed, so that the rest cannot be
 * taken for a request. */
static bool finds_boundary(const struct cnc_conn *conn)
{
    if (cnc_exchange_is_read(&conn->exchange))
        return true;
    int64_t left = cnc_http_body_left(&conn->exchange.machine);
    return left >= 0 && left <= (int64_t)conn->drv->limits->pipeline_max && !(conn->exchange.flags & CNC_EXCHANGE_EXPECT);
}

/* The reply is complete. keep: the connection persists. */
CNC_HOT static inline void http1_let_go(struct cnc_conn *conn, bool keep)
{
    cnc_conn_step_reply(conn, CNC_EXCHANGE_ON_END);
    cnc_conn_step(conn, keep ? CNC_CONN_ON_REPLY_KEEP : CNC_CONN_ON_REPLY_CLOSE);
    cnc_conn_touch(conn);
}

/* A streamed reply is complete. Only now is it known whether its handler has read the request's body. */
static void http1_let_go_streamed(struct cnc_conn *conn)
{
    bool keep = !(conn->flags & CNC_CONN_LAST);
    if (keep && !finds_boundary(conn)) {
        keep = false;
        conn->flags |= CNC_CONN_MUST_LINGER;
    }
    http1_let_go(conn, keep);
}

/* Part of a reply was queued: waits for room, or tells the caller to wait. rc: of the put. */
static int after_put(struct cnc_conn *conn, int rc)
{
    if (CNC_UNLIKELY(rc < 0))
        return rc;
    if (conn->out && cnc_conn_queued(conn) > conn->drv->limits->output_high) {
        if (!conn->drv->wait_for_room)
            return CONCUR_AGAIN;
        return conn->drv->wait_for_room(conn, conn->drv->limits->output_low);
    }
    return CONCUR_OK;
}

/* Queues the head and the whole body, or neither if there is no memory for both. Frees the piece in every case. */
CNC_HOT static int put_reply(struct cnc_conn *conn, const struct cnc_http_reply *r, struct cnc_piece *piece)
{
    size_t body = r->framing == CNC_HTTP_FRAME_LENGTH ? piece->n : 0;
    char *room = cnc_queue_room(conn, cnc_http_reply_size(r) + body);
    if (room) {
        size_t n = cnc_http_reply_head(room, r);
        if (CNC_LIKELY(body))
            memcpy(room + n, piece->p, body);
        cnc_queue_commit(conn, n + body);
    }
    cnc_piece_drop(piece);
    return room ? CONCUR_OK : CONCUR_E_NOMEM;
}

/* Is this known to be the last reply, or has the peer shut its side without another request? */
static bool is_last(const struct cnc_conn *conn)
{
    if (CNC_LIKELY(!(conn->flags & (CNC_CONN_LAST | CNC_CONN_EOF))))
        return false;
    return (conn->flags & CNC_CONN_LAST) || !cnc_conn_has_input(conn);
}

/* Can the connection stay open after the reply that begins, as far as we are concerned? whole: the reply is complete. */
static bool http1_may_keep(struct cnc_conn *conn, bool whole)
{
    struct cnc_driver *drv = conn->drv;
    return CNC_LIKELY(conn->requests < drv->limits->requests_max) &&
           !atomic_load_explicit(drv->draining, memory_order_relaxed) && !is_last(conn) &&
           (!drv->ops->may_keep || drv->ops->may_keep(drv, conn)) && (!whole || finds_boundary(conn));
}

CNC_HOT static int carrier_reply(struct cnc_stream *stream, struct cnc_http_reply *r, struct cnc_piece *piece,
                                 bool last)
{
    struct cnc_conn *conn = stream->carrier;
    if (r->keep_alive && !http1_may_keep(conn, last)) {
        r->keep_alive = false;
        conn->flags |= CNC_CONN_MUST_LINGER; /* the peer does not expect the end and may be sending */
    }
    cnc_http_reply_frame(r);
    CNC_ASSERT(last ? r->framing <= CNC_HTTP_FRAME_LENGTH : !piece->n);
    conn->exchange.framing = r->framing;
    if (!r->keep_alive)
        conn->flags |= CNC_CONN_LAST;
    bool large = piece->n > CNC_QUEUE_COPY_MAX && r->framing == CNC_HTTP_FRAME_LENGTH;
    int rc = CNC_UNLIKELY(large) ? cnc_queue_reply(conn, r, piece) : put_reply(conn, r, piece);
    if (CNC_UNLIKELY(rc < 0))
        return rc;
    if (CNC_LIKELY(last)) {
        http1_let_go(conn, r->keep_alive); /* cleared above if the connection cannot persist */
        return CONCUR_OK;
    }
    cnc_conn_step_reply(conn, CNC_EXCHANGE_ON_BEGIN);
    return after_put(conn, rc);
}

static int carrier_data(struct cnc_stream *stream, struct cnc_piece *piece, bool last)
{
    struct cnc_conn *conn = stream->carrier;
    bool made = cnc_queue_is_made(conn, piece->p);
    int rc = put_body(conn, piece, last);
    if (made && rc == CONCUR_OK && conn->drv->wait_for_room && cnc_queue_is_batch(conn))
        return conn->drv->wait_for_room(conn, 0);
    if (rc == CONCUR_OK && last)
        http1_let_go_streamed(conn);
    return last ? rc : after_put(conn, rc);
}

/* A thread sends it at once, since its handler may compute for long now. A loop sends it when the callback has
 * returned. */
static int carrier_interim(struct cnc_stream *stream, const struct cnc_http_reply *r)
{
    struct cnc_conn *conn = stream->carrier;
    char *room = cnc_queue_room(conn, cnc_http_reply_size(r));
    if (!room)
        return CONCUR_E_NOMEM;
    cnc_queue_commit(conn, cnc_http_interim_head(room, r));
    if (conn->drv->wait_for_room)
        return conn->drv->wait_for_room(conn, conn->drv->limits->output_high);
    cnc_conn_touch(conn);
    return after_put(conn, CONCUR_OK);
}

static void carrier_abort(struct cnc_stream *stream)
{
    struct cnc_conn *conn = stream->carrier;
    cnc_conn_step_reply(conn, CNC_EXCHANGE_ON_ABORT);
    cnc_conn_step(conn, CNC_CONN_ON_ABORT);
    cnc_conn_touch(conn);
}

static void carrier_want_body(struct cnc_stream *stream, bool hold)
{
    struct cnc_conn *conn = stream->carrier;
    conn->exchange.flags |= hold ? CNC_EXCHANGE_HOLD : 0;
    cnc_conn_step_body(conn, CNC_EXCHANGE_ON_WANT);
    cnc_conn_touch(conn);
}

static void carrier_resume_body(struct cnc_stream *stream)
{
    struct cnc_conn *conn = stream->carrier;
    cnc_conn_step_body(conn, CNC_EXCHANGE_ON_RESUME);
    cnc_conn_touch(conn);
}

static char *carrier_room(struct cnc_stream *stream, size_t *n)
{
    return cnc_queue_make(stream->carrier, n);
}

/* On a loop only: a thread waits in carrier_data() instead. */
static bool carrier_is_full(struct cnc_stream *stream)
{
    const struct cnc_conn *conn = stream->carrier;
    return !conn->drv->wait_for_room && cnc_queue_is_batch(conn);
}

/* Only if output_high was exceeded before, so that a single piece may have any size. A thread waits at output_high
 * instead. */
static bool carrier_is_over(struct cnc_stream *stream, size_t n)
{
    const struct cnc_conn *conn = stream->carrier;
    size_t queued = cnc_conn_queued(conn);
    return queued > conn->drv->limits->output_high && queued + n > conn->drv->limits->output_max &&
           !conn->drv->wait_for_room;
}

/* Sends at once, while the bytes are in the processor's cache; the chunks are free for the next connection then. */
static void carrier_want_drain(struct cnc_stream *stream, bool whole)
{
    struct cnc_conn *conn = stream->carrier;
    cnc_queue_try(conn);
    conn->exchange.flags |= CNC_EXCHANGE_DRAIN_WANTED | (whole ? CNC_EXCHANGE_DRAIN_WHOLE : 0);
    cnc_conn_touch(conn);
}

/* Has the peer left? A loop would have seen it; a blocking thread must look. */
static int carrier_check(struct cnc_stream *stream)
{
    struct cnc_conn *conn = stream->carrier;
    int fd = cnc_io_fd(&conn->io);
    char c;
    if (!conn->drv->home->blocking)
        return 0;
    if (conn->drv->limits->half_close)
        return cnc_sys_is_reset(fd) ? CONCUR_E_GONE : 0;
    if (cnc_conn_has_input(conn))
        return 0;
    ssize_t n = cnc_sys_recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ? CONCUR_E_GONE : 0;
}

static void carrier_move(struct cnc_stream *stream, struct cnc_stream *to)
{
    struct cnc_conn *conn = stream->carrier;
    to->down = stream->down;
    to->carrier = conn;
    conn->exchange.stream = to;
    stream->carrier = NULL;
}

static size_t carrier_address(struct cnc_stream *stream, bool is_peer, char *out, size_t n)
{
    struct cnc_conn *conn = stream->carrier;
    int fd = cnc_io_fd(&conn->io);
    struct sockaddr_storage ss;
    struct sockaddr *address = (struct sockaddr *)&ss;
    socklen_t len = sizeof ss;
    if ((is_peer ? getpeername(fd, address, &len) : getsockname(fd, address, &len)) < 0)
        len = 0;
    return cnc_address_text(address, len, out, n);
}

static size_t carrier_peer(struct cnc_stream *stream, char *out, size_t n)
{
    return carrier_address(stream, true, out, n);
}

static size_t carrier_local(struct cnc_stream *stream, char *out, size_t n)
{
    return carrier_address(stream, false, out, n);
}

const struct cnc_carrier_ops cnc_conn_carrier = {
    .room = carrier_room,
    .reply = carrier_reply,
    .data = carrier_data,
    .interim = carrier_interim,
    .abort = carrier_abort,
    .want_body = carrier_want_body,
    .resume_body = carrier_resume_body,
    .is_full = carrier_is_full,
    .is_over = carrier_is_over,
    .want_drain = carrier_want_drain,
    .upgrade = cnc_upgraded_begin,
    .check = carrier_check,
    .move = carrier_move,
    .peer = carrier_peer,
    .local = carrier_local,
};

static void http1_go_on(struct cnc_conn *conn)
{
    (void)cnc_conn_put(conn, CNC_HTTP_CONTINUE.p, CNC_HTTP_CONTINUE.n);
}

static void http1_page(struct cnc_conn *conn, int status)
{
    char body[CNC_HTTP_PAGE_MAX], seconds[24];
    size_t n = cnc_http_page(body, status);
    struct cnc_http_pair retry = { CNC_SLICE("Retry-After"), { seconds, 0 } };
    struct cnc_http_reply r = { .status = status,
                                .length = (int64_t)n,
                                .type = CNC_SLICE(CNC_HTTP_TEXT_TYPE),
                                .date = cnc_desk_date(conn->drv->home),
                                .method = CNC_HTTP_GET,
                                .minor = 1 };
    if (status == 503) {
        retry.value.n = cnc_decimal(seconds, conn->drv->limits->retry_after_s);
        r.fields = (struct cnc_http_pairs){ &retry, 1, (uint32_t)cnc_http_pair_size(&retry) };
    }
    cnc_http_reply_frame(&r);
    char *room = cnc_queue_room(conn, cnc_http_reply_size(&r));
    if (!room)
        return;
    cnc_queue_commit(conn, cnc_http_reply_head(room, &r));
    (void)cnc_conn_put(conn, body, n);
}

const struct cnc_protocol cnc_http1 = {
    .input = cnc_http1_input,
    .ended = cnc_http1_ended,
    .reads = cnc_http1_reads,
    .most = cnc_http1_most,
    .page = http1_page,
    .go_on = http1_go_on,
};
