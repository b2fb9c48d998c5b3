/* SPDX-License-Identifier: MIT
 *
 * The connection's state table: every legal (state, event) pair and what it does. docs/states.md carries the same table in
 * words. An action sets the state and returns what is to be done (CNC_CONN_DO_*). step.c does it. A pair that is missing is a
 * bug: debug builds assert, release builds ignore and count it.
 *
 *   IDLE -> HEAD -> BUSY -> IDLE ...        one request after another
 *                   BUSY -> UPGRADED        another protocol
 *   any  -> FLUSH -> LINGER -> CLOSED       the last reply is sent completely before the descriptor is closed
 *   GREET -> IDLE                           where the transport is not plain
 */
#include "conn/input.h"

static unsigned states_nothing(struct cnc_conn *conn)
{
    (void)conn;
    return 0;
}

static unsigned to_head(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_HEAD;
    conn->flags &= (uint32_t)~CNC_CONN_FRESH;
    return 0;
}

CNC_HOT static unsigned to_busy(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_BUSY;
    conn->flags &= (uint32_t)~(CNC_CONN_FRESH | CNC_CONN_READY);
    cnc_exchange_begin(&conn->exchange);
    conn->requests++;
    return 0;
}

static unsigned to_idle(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_IDLE;
    return 0;
}

static unsigned to_flush(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_FLUSH;
    conn->flags |= CNC_CONN_LAST;
    return 0;
}

static unsigned to_closed(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_CLOSED;
    return CNC_CONN_DO_LOSE;
}

/* The peer sends nothing more, and no further request can become complete. Replies that are not sent yet still go
 * out. */
static unsigned all_read(struct cnc_conn *conn)
{
    bool sends = conn->out || (conn->drv->current == conn && conn->drv->scratch_len);
    conn->flags |= CNC_CONN_EOF;
    return (sends ? to_flush(conn) : to_closed(conn)) | CNC_CONN_DO_LOSE;
}

static unsigned to_reset(struct cnc_conn *conn)
{
    conn->flags |= CNC_CONN_RESET;
    return to_closed(conn);
}

/* Shuts the write side first: a close with unread input would reset the connection and lose the reply (RFC 9112
 * §9.6). */
static unsigned to_linger(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_LINGER;
    conn->flags |= CNC_CONN_MUST_LINGER;
    conn->exchange.discarded = 0;
    return CNC_CONN_DO_FINISH;
}

static unsigned mark_last(struct cnc_conn *conn)
{
    conn->flags |= CNC_CONN_LAST;
    return 0;
}

static unsigned answer_bad(struct cnc_conn *conn)
{
    conn->flags |= CNC_CONN_MUST_LINGER;
    return to_flush(conn) | CNC_CONN_DO_PAGE;
}

static unsigned head_timed_out(struct cnc_conn *conn)
{
    conn->exchange.status = 408; /* RFC 9110 §15.5.9 */
    return answer_bad(conn);
}

CNC_HOT static unsigned served(struct cnc_conn *conn)
{
    conn->flags |= CNC_CONN_SERVED;
    if (CNC_LIKELY(cnc_exchange_is_read(&conn->exchange)))
        return to_idle(conn);
    return cnc_exchange_step_body(&conn->exchange, CNC_EXCHANGE_ON_SKIP); /* 0: this event never asks for anything */
}

/* Input left unread, or still to come, would turn a plain close into a reset. */
static unsigned served_last(struct cnc_conn *conn)
{
    if (!cnc_exchange_is_read(&conn->exchange) || cnc_conn_has_input(conn))
        conn->flags |= CNC_CONN_MUST_LINGER;
    return to_flush(conn);
}

static unsigned abort_reply(struct cnc_conn *conn)
{
    if (conn->exchange.framing == CNC_HTTP_FRAME_CLOSE)
        conn->flags |= CNC_CONN_RESET; /* only a reset tells this peer that the body is short */
    return to_flush(conn);
}

/* The rest of the request is invalid, and a handler has it already. */
static unsigned busy_bad(struct cnc_conn *conn)
{
    if (conn->exchange.reply == CNC_EXCHANGE_REPLY_NONE)
        return answer_bad(conn) | CNC_CONN_DO_LOSE;
    conn->flags |= CNC_CONN_MUST_LINGER;
    return abort_reply(conn) | CNC_CONN_DO_LOSE;
}

static unsigned busy_deadline(struct cnc_conn *conn)
{
    conn->exchange.status = 408;
    if (conn->exchange.stream)
        return busy_bad(conn);
    conn->flags |= CNC_CONN_MUST_LINGER;
    return to_flush(conn);
}

/* The peer sends nothing more. With half_close=allow a complete request is still answered, and complete ones behind it.
 * If body bytes wait here, only reading them shows whether the request is complete. */
static unsigned busy_eof(struct cnc_conn *conn)
{
    const struct cnc_exchange *x = &conn->exchange;
    conn->flags |= CNC_CONN_EOF;
    if (!conn->drv->limits->half_close)
        return to_closed(conn);
    return !cnc_exchange_is_read(x) && (cnc_exchange_takes(x) || !conn->in) ? all_read(conn) : 0;
}

/* One exchange without end: all further input belongs to it. */
static unsigned to_upgraded(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_UPGRADED;
    conn->flags &= (uint32_t)~CNC_CONN_LAST;
    cnc_exchange_begin(&conn->exchange);
    conn->exchange.lost = 0;
    conn->exchange.body = CNC_EXCHANGE_BODY_WANTED;
    conn->exchange.reply = CNC_EXCHANGE_REPLY_BEGUN;
    return 0;
}

/* Its protocol has ended; the peer may still be sending. */
static unsigned upgraded_end(struct cnc_conn *conn)
{
    conn->flags |= CNC_CONN_MUST_LINGER;
    return to_flush(conn);
}

static unsigned upgraded_eof(struct cnc_conn *conn)
{
    conn->flags |= CNC_CONN_EOF;
    return 0;
}

/* Tells the protocol once, also if the connection was with another driver when the stop began. */
static unsigned upgraded_drain_once(struct cnc_conn *conn)
{
    unsigned todo = conn->flags & CNC_CONN_LAST ? 0 : CNC_CONN_DO_STOP;
    conn->flags |= CNC_CONN_LAST;
    return todo;
}

static unsigned flushed(struct cnc_conn *conn)
{
    if ((conn->flags & CNC_CONN_MUST_LINGER) && !(conn->flags & CNC_CONN_EOF))
        return to_linger(conn);
    if (CNC_UNLIKELY(conn->ext != NULL) && !(conn->flags & CNC_CONN_RESET)) { /* its last message may take a while */
        conn->state = CNC_CONN_LINGER;
        conn->exchange.discarded = 0;
        return CNC_CONN_DO_FINISH;
    }
    conn->state = CNC_CONN_CLOSED;
    return 0;
}

static unsigned finished(struct cnc_conn *conn)
{
    if (!(conn->flags & CNC_CONN_MUST_LINGER) || (conn->flags & CNC_CONN_EOF))
        conn->state = CNC_CONN_CLOSED;
    return 0;
}

cnc_states_fn *const cnc_states_table[CNC_CONN_STATES][CNC_CONN_EVENTS] = {
    [CNC_CONN_IDLE] = {
        [CNC_CONN_ON_BYTES] = to_head,
        [CNC_CONN_ON_HEAD] = to_busy,
        [CNC_CONN_ON_BAD] = answer_bad,
        [CNC_CONN_ON_FLUSHED] = states_nothing,
        [CNC_CONN_ON_EOF] = all_read,
        [CNC_CONN_ON_ERROR] = to_closed,
        [CNC_CONN_ON_DEADLINE] = to_linger,
        [CNC_CONN_ON_DRAIN] = mark_last,
    },
    [CNC_CONN_HEAD] = {
        [CNC_CONN_ON_BYTES] = states_nothing,
        [CNC_CONN_ON_HEAD] = to_busy,
        [CNC_CONN_ON_BAD] = answer_bad,
        [CNC_CONN_ON_FLUSHED] = states_nothing,
        [CNC_CONN_ON_EOF] = all_read,
        [CNC_CONN_ON_ERROR] = to_closed,
        [CNC_CONN_ON_DEADLINE] = head_timed_out,
        [CNC_CONN_ON_DRAIN] = mark_last,
    },
    [CNC_CONN_BUSY] = {
        [CNC_CONN_ON_BAD] = busy_bad,
        [CNC_CONN_ON_REPLY_KEEP] = served,
        [CNC_CONN_ON_REPLY_CLOSE] = served_last,
        [CNC_CONN_ON_READ] = to_idle,
        [CNC_CONN_ON_ABORT] = abort_reply,
        [CNC_CONN_ON_UPGRADE] = to_upgraded,
        [CNC_CONN_ON_FLUSHED] = states_nothing,
        [CNC_CONN_ON_EOF] = busy_eof,
        [CNC_CONN_ON_ERROR] = to_closed,
        [CNC_CONN_ON_DEADLINE] = busy_deadline,
        [CNC_CONN_ON_DRAIN] = mark_last,
    },
    [CNC_CONN_UPGRADED] = {
        [CNC_CONN_ON_REPLY_CLOSE] = upgraded_end,
        [CNC_CONN_ON_ABORT] = to_reset,
        [CNC_CONN_ON_FLUSHED] = states_nothing,
        [CNC_CONN_ON_EOF] = upgraded_eof,
        [CNC_CONN_ON_ERROR] = to_closed,
        [CNC_CONN_ON_DEADLINE] = to_closed,
        [CNC_CONN_ON_DRAIN] = upgraded_drain_once,
    },
    [CNC_CONN_FLUSH] = {
        [CNC_CONN_ON_FLUSHED] = flushed,
        [CNC_CONN_ON_EOF] = to_closed,
        [CNC_CONN_ON_ERROR] = to_closed,
        [CNC_CONN_ON_DEADLINE] = to_reset,
        [CNC_CONN_ON_DRAIN] = states_nothing,
    },
    [CNC_CONN_LINGER] = {
        [CNC_CONN_ON_FLUSHED] = states_nothing,
        [CNC_CONN_ON_FINISHED] = finished,
        [CNC_CONN_ON_EOF] = to_closed,
        [CNC_CONN_ON_ERROR] = to_closed,
        [CNC_CONN_ON_DEADLINE] = to_closed,
        [CNC_CONN_ON_DRAIN] = states_nothing,
    },
    [CNC_CONN_GREET] = {
        [CNC_CONN_ON_BAD] = to_closed, /* nothing can be sent before the handshake is complete */
        [CNC_CONN_ON_GREETED] = to_idle,
        [CNC_CONN_ON_EOF] = to_closed,
        [CNC_CONN_ON_ERROR] = to_closed,
        [CNC_CONN_ON_DEADLINE] = to_closed,
        [CNC_CONN_ON_DRAIN] = mark_last,
    },
    [CNC_CONN_CLOSED] = {
        [CNC_CONN_ON_FLUSHED] = states_nothing,
        [CNC_CONN_ON_EOF] = states_nothing,
        [CNC_CONN_ON_ERROR] = states_nothing,
        [CNC_CONN_ON_DRAIN] = states_nothing,
    },
};

const char *cnc_conn_state_name(int state)
{
    static const char *const names[CNC_CONN_STATES] = {
        [CNC_CONN_IDLE] = "idle",   [CNC_CONN_HEAD] = "head",     [CNC_CONN_BUSY] = "busy",
        [CNC_CONN_UPGRADED] = "upgraded",
        [CNC_CONN_FLUSH] = "flush", [CNC_CONN_LINGER] = "linger", [CNC_CONN_GREET] = "greet",
        [CNC_CONN_CLOSED] = "closed",
    };
    return state >= 0 && state < CNC_CONN_STATES ? names[state] : "?";
}
