/* SPDX-License-Identifier: MIT
 *
 * The connection's state table: every legal (state, event) pair and what it does. docs/states.md carries the same table in
 * words. A pair that is absent is a bug: it asserts in debug builds; release builds ignore and count it.
 *
 *   IDLE -> HEAD -> BUSY -> IDLE ...        one request after another
 *   any  -> FLUSH -> LINGER -> CLOSED       the last reply goes out whole before the descriptor closes
 */
#include "conn/conn.h"

static void states_nothing(struct cnc_conn *conn)
{
    (void)conn;
}

static void to_head(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_HEAD;
    conn->flags &= (uint32_t)~CNC_CONN_FRESH;
}

CNC_HOT static void to_busy(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_BUSY;
    conn->flags &= (uint32_t)~(CNC_CONN_FRESH | CNC_CONN_BODY_WANTED | CNC_CONN_BODY_PAUSED | CNC_CONN_BODY_TOLD |
                               CNC_CONN_BODY_HOLD | CNC_CONN_READY | CNC_CONN_DISCARD | CNC_CONN_EXPECT | CNC_CONN_REPLYING | CNC_CONN_DRAIN_WANTED | CNC_CONN_DRAIN_WHOLE);
    conn->discarded = 0;
    conn->requests++;
}

static void to_flush(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_FLUSH;
    conn->flags |= CNC_CONN_LAST;
}

static void to_closed(struct cnc_conn *conn)
{
    conn->state = CNC_CONN_CLOSED;
    cnc_conn_lose(conn, CONCUR_E_GONE);
}

/* The peer will send nothing more, and nothing can become complete: what was replied still goes out to it. */
static void all_read(struct cnc_conn *conn)
{
    bool sends = conn->out || (conn->drv->current == conn && conn->drv->scratch_len);
    conn->flags |= CNC_CONN_EOF;
    if (!sends) {
        to_closed(conn);
        return;
    }
    cnc_conn_lose(conn, CONCUR_E_GONE);
    to_flush(conn);
}

static void to_reset(struct cnc_conn *conn)
{
    conn->flags |= CNC_CONN_RESET;
    to_closed(conn);
}

/* The write side says goodbye first; closing with input unread would reset the connection under the reply (RFC 9112 §9.6). */
static void to_linger(struct cnc_conn *conn)
{
    if (conn->transport->finish(cnc_io_fd(&conn->io), conn->ext) < 0) {
        to_closed(conn);
        return;
    }
    conn->state = CNC_CONN_LINGER;
    conn->flags |= CNC_CONN_SHUT;
    conn->discarded = 0;
}

static void mark_last(struct cnc_conn *conn)
{
    conn->flags |= CNC_CONN_LAST;
}

static void answer_bad(struct cnc_conn *conn)
{
    conn->flags |= CNC_CONN_MUST_LINGER;
    cnc_conn_fail(conn, conn->fail_status);
    to_flush(conn);
}

static void head_timed_out(struct cnc_conn *conn)
{
    conn->fail_status = 408; /* RFC 9110 §15.5.9 */
    answer_bad(conn);
}

CNC_HOT static void served(struct cnc_conn *conn)
{
    conn->flags |= CNC_CONN_SERVED;
    if (cnc_conn_body_is_done(conn))
        conn->state = CNC_CONN_IDLE;
    else
        conn->flags = (conn->flags | CNC_CONN_DISCARD) & (uint32_t)~CNC_CONN_BODY_PAUSED; /* nobody is left to resume */
}

/* Input left unread, or still to come, would turn a plain close into a reset. */
static void served_last(struct cnc_conn *conn)
{
    if (!cnc_conn_body_is_done(conn) || cnc_conn_has_input(conn))
        conn->flags |= CNC_CONN_MUST_LINGER;
    to_flush(conn);
}

static void abort_reply(struct cnc_conn *conn)
{
    if (conn->framing == CNC_HTTP_FRAME_CLOSE)
        conn->flags |= CNC_CONN_RESET; /* only a reset tells this peer that the body is short */
    to_flush(conn);
}

/* The peer broke its own request while a handler was at it. */
static void busy_bad(struct cnc_conn *conn)
{
    bool replying = (conn->flags & CNC_CONN_REPLYING) != 0;
    cnc_conn_lose(conn, CONCUR_E_GONE);
    if (!replying) {
        answer_bad(conn);
        return;
    }
    conn->flags |= CNC_CONN_MUST_LINGER;
    abort_reply(conn);
}

static void busy_deadline(struct cnc_conn *conn)
{
    conn->fail_status = 408;
    if (conn->stream) {
        busy_bad(conn);
    } else {
        conn->flags |= CNC_CONN_MUST_LINGER;
        to_flush(conn);
    }
}

/* The peer has sent all it will. With half_close=allow a complete request is still answered, and those behind it that are
 * complete; whether it is shows when the body bytes that wait here are read. */
static void busy_eof(struct cnc_conn *conn)
{
    bool takes = (conn->flags & (CNC_CONN_BODY_WANTED | CNC_CONN_DISCARD)) && !(conn->flags & CNC_CONN_BODY_PAUSED);
    conn->flags |= CNC_CONN_EOF;
    if (!conn->drv->limits->half_close)
        to_closed(conn);
    else if (!cnc_conn_body_is_done(conn) && (takes || !conn->in))
        all_read(conn);
}

static void flushed(struct cnc_conn *conn)
{
    if ((conn->flags & CNC_CONN_MUST_LINGER) && !(conn->flags & CNC_CONN_EOF))
        to_linger(conn);
    else
        conn->state = CNC_CONN_CLOSED;
}

typedef void step_fn(struct cnc_conn *);

static step_fn *const states_table[CNC_CONN_STATES][CNC_CONN_EVENTS] = {
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
        [CNC_CONN_ON_ABORT] = abort_reply,
        [CNC_CONN_ON_FLUSHED] = states_nothing,
        [CNC_CONN_ON_EOF] = busy_eof,
        [CNC_CONN_ON_ERROR] = to_closed,
        [CNC_CONN_ON_DEADLINE] = busy_deadline,
        [CNC_CONN_ON_DRAIN] = mark_last,
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
        [CNC_CONN_ON_EOF] = to_closed,
        [CNC_CONN_ON_ERROR] = to_closed,
        [CNC_CONN_ON_DEADLINE] = to_closed,
        [CNC_CONN_ON_DRAIN] = states_nothing,
    },
    [CNC_CONN_CLOSED] = {
        [CNC_CONN_ON_FLUSHED] = states_nothing,
        [CNC_CONN_ON_EOF] = states_nothing,
        [CNC_CONN_ON_ERROR] = states_nothing,
        [CNC_CONN_ON_DRAIN] = states_nothing,
    },
};

CNC_HOT void cnc_conn_step(struct cnc_conn *conn, enum cnc_conn_event ev)
{
    step_fn *fn = states_table[conn->state][ev];
    if (CNC_LIKELY(fn != NULL)) {
        fn(conn);
        return;
    }
    CNC_ASSERT(false && "illegal connection event");
    conn->drv->illegal++;
}

void cnc_conn_lose(struct cnc_conn *conn, int reason)
{
    struct cnc_stream *stream = conn->stream;
    if (!stream)
        return;
    conn->stream = NULL; /* unlink before the call: it may end the request */
    stream->carrier = NULL;
    stream->up->gone(stream, reason);
}

const char *cnc_conn_state_name(int state)
{
    static const char *const names[CNC_CONN_STATES] = {
        [CNC_CONN_IDLE] = "idle",   [CNC_CONN_HEAD] = "head",     [CNC_CONN_BUSY] = "busy",
        [CNC_CONN_FLUSH] = "flush", [CNC_CONN_LINGER] = "linger", [CNC_CONN_CLOSED] = "closed",
    };
    return state >= 0 && state < CNC_CONN_STATES ? names[state] : "?";
}
