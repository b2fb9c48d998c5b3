/* SPDX-License-Identifier: MIT
 *
 * A connection after an upgrade (RFC 9110 §7.8): one exchange without end, whose stream is the new protocol's. The
 * protocol gets what is read as pieces of a body. Only upgraded_input() calls stop(), drain() and body(), so that none
 * is called within a call that the protocol makes. A poller calls none of them: it marks that one is due, and the
 * thread that gets the connection calls it.
 */
#include "conn/input.h"
#include "conn/queue.h"

/* A poller must never call the program. */
static bool is_poller(const struct cnc_driver *drv)
{
    return drv->ops->handover != NULL;
}

static bool is_drain_due(const struct cnc_conn *conn)
{
    size_t most = conn->exchange.flags & CNC_EXCHANGE_DRAIN_WHOLE ? 0 : conn->drv->limits->output_low;
    return (conn->exchange.flags & CNC_EXCHANGE_DRAIN_WANTED) && cnc_conn_queued(conn) <= most;
}

static bool is_callback_due(const struct cnc_conn *conn, bool has_input)
{
    const struct cnc_exchange *x = &conn->exchange;
    bool wants = x->body == CNC_EXCHANGE_BODY_WANTED;
    return (x->flags & CNC_EXCHANGE_STOP_DUE) || (wants && (has_input || (conn->flags & CNC_CONN_EOF))) || is_drain_due(conn);
}

void cnc_upgraded_look(struct cnc_conn *conn)
{
    if (is_callback_due(conn, cnc_conn_has_input(conn)))
        conn->flags |= is_poller(conn->drv) ? CNC_CONN_READY : CNC_CONN_STOPPED;
}

/* ---- what the protocol is told ---- */

static void upgraded_stop(struct cnc_conn *conn)
{
    conn->exchange.flags &= (uint8_t)~CNC_EXCHANGE_STOP_DUE;
    conn->exchange.stream->up->stop(conn->exchange.stream);
}

static void upgraded_drain(struct cnc_conn *conn)
{
    conn->exchange.flags &= (uint8_t) ~(CNC_EXCHANGE_DRAIN_WANTED | CNC_EXCHANGE_DRAIN_WHOLE);
    conn->exchange.stream->up->drain(conn->exchange.stream);
}

/* Gives all input that is here as one piece. */
static void upgraded_give(struct cnc_conn *conn, struct cnc_slice *in)
{
    struct cnc_stream *stream = conn->exchange.stream;
    cnc_conn_step_body(conn, CNC_EXCHANGE_ON_PIECE); /* before the call, which may already resume */
    int rc = stream->up->body(stream, in->p, in->n);
    if (rc == CONCUR_AGAIN && conn->state == CNC_CONN_UPGRADED)
        return; /* it stays where it is */
    in->p += in->n;
    in->n = 0;
    if (conn->state == CNC_CONN_UPGRADED)
        cnc_conn_step_body(conn, rc < 0 ? CNC_EXCHANGE_ON_SKIP : CNC_EXCHANGE_ON_RESUME);
}

/* A drain that is due again, and bytes that were left in place and are wanted again, wait for the connection's next
 * turn, so that a protocol that asks without end does not keep other connections from theirs. */
static void upgraded_input(struct cnc_conn *conn, struct cnc_slice *in)
{
    struct cnc_exchange *x = &conn->exchange;
    if (is_poller(conn->drv)) {
        if (is_callback_due(conn, in->n > 0))
            conn->flags |= CNC_CONN_READY;
        return;
    }
    if (x->flags & CNC_EXCHANGE_STOP_DUE)
        upgraded_stop(conn);
    if (conn->state == CNC_CONN_UPGRADED && is_drain_due(conn))
        upgraded_drain(conn);
    if (conn->state == CNC_CONN_UPGRADED && in->n && x->body == CNC_EXCHANGE_BODY_WANTED)
        upgraded_give(conn, in);
}

void cnc_upgraded_lose(struct cnc_conn *conn, int reason)
{
    struct cnc_stream *stream = conn->exchange.stream;
    conn->exchange.stream = NULL; /* unlink before the call: it frees the stream */
    stream->carrier = NULL;
    stream->up->gone(stream, reason);
}

void cnc_upgraded_lose_later(struct cnc_conn *conn, int reason)
{
    if (!conn->exchange.lost)
        conn->exchange.lost = reason;
}

/* ---- what the protocol asks ---- */

static int upgraded_data(struct cnc_stream *stream, struct cnc_piece *piece, bool last)
{
    struct cnc_conn *conn = stream->carrier;
    int rc = piece->n ? cnc_queue_put(conn, piece) : CONCUR_OK;
    cnc_piece_drop(piece);
    if (rc < 0)
        return rc;
    if (last) {
        cnc_conn_step_reply(conn, CNC_EXCHANGE_ON_END);
        cnc_conn_step(conn, CNC_CONN_ON_REPLY_CLOSE);
    }
    cnc_conn_touch(conn);
    return !last && cnc_conn_queued(conn) > conn->drv->limits->output_high ? CONCUR_AGAIN : CONCUR_OK;
}

static void upgraded_abort(struct cnc_stream *stream)
{
    struct cnc_conn *conn = stream->carrier;
    cnc_conn_step_reply(conn, CNC_EXCHANGE_ON_ABORT);
    cnc_conn_step(conn, CNC_CONN_ON_ABORT);
    cnc_conn_touch(conn);
}

static void upgraded_resume_body(struct cnc_stream *stream)
{
    struct cnc_conn *conn = stream->carrier;
    cnc_conn_step_body(conn, CNC_EXCHANGE_ON_RESUME);
    cnc_conn_touch(conn);
}

static bool upgraded_is_full(struct cnc_stream *stream)
{
    const struct cnc_conn *conn = stream->carrier;
    return cnc_conn_queued(conn) > conn->drv->limits->output_high;
}

static bool upgraded_is_over(struct cnc_stream *stream, size_t n)
{
    const struct cnc_conn *conn = stream->carrier;
    size_t queued = cnc_conn_queued(conn);
    return queued > conn->drv->limits->output_high && queued + n > conn->drv->limits->output_max;
}

static void upgraded_want_drain(struct cnc_stream *stream, bool whole)
{
    struct cnc_conn *conn = stream->carrier;
    conn->exchange.flags |= CNC_EXCHANGE_DRAIN_WANTED | (whole ? CNC_EXCHANGE_DRAIN_WHOLE : 0);
    cnc_conn_touch(conn);
}

static const struct cnc_carrier_ops upgraded_carrier = {
    .data = upgraded_data,
    .abort = upgraded_abort,
    .resume_body = upgraded_resume_body,
    .is_full = upgraded_is_full,
    .is_over = upgraded_is_over,
    .want_drain = upgraded_want_drain,
};

int cnc_upgraded_begin(struct cnc_stream *stream, struct cnc_http_reply *r, struct cnc_stream *to)
{
    struct cnc_conn *conn = stream->carrier;
    CNC_ASSERT(r->status == 101 && to->up->body && to->up->body_end && to->up->drain && to->up->gone && to->up->stop);
    if (!cnc_exchange_is_read(&conn->exchange))
        return CONCUR_E_STATE;
    r->keep_alive = true; /* it says Connection: upgrade */
    cnc_http_reply_frame(r);
    char *room = cnc_queue_room(conn, cnc_http_reply_size(r));
    if (!room)
        return CONCUR_E_NOMEM;
    cnc_queue_commit(conn, cnc_http_reply_head(room, r));
    cnc_conn_step_reply(conn, CNC_EXCHANGE_ON_END);
    cnc_conn_step(conn, CNC_CONN_ON_UPGRADE);
    to->down = &upgraded_carrier;
    to->carrier = conn;
    conn->exchange.stream = to;
    if (atomic_load_explicit(conn->drv->draining, memory_order_relaxed))
        cnc_conn_step(conn, CNC_CONN_ON_DRAIN);
    cnc_conn_touch(conn);
    return CONCUR_OK;
}

/* ---- the table ---- */

static void upgraded_ended(struct cnc_conn *conn)
{
    bool wants = conn->exchange.body == CNC_EXCHANGE_BODY_WANTED;
    if (conn->state == CNC_CONN_UPGRADED && wants && !cnc_conn_has_input(conn) && !is_poller(conn->drv))
        cnc_conn_step_body(conn, CNC_EXCHANGE_ON_COMPLETE);
}

static bool upgraded_reads(const struct cnc_conn *conn)
{
    return cnc_exchange_takes(&conn->exchange) && !(conn->flags & CNC_CONN_STOPPED);
}

static size_t upgraded_most(const struct cnc_conn *conn)
{
    (void)conn;
    return CNC_DESK_SCRATCH;
}

const struct cnc_protocol cnc_upgraded = {
    .input = upgraded_input,
    .ended = upgraded_ended,
    .reads = upgraded_reads,
    .most = upgraded_most,
};
