/* SPDX-License-Identifier: MIT
 *
 * Reads HTTP/1.1. A complete head becomes a request, which gets its body piece by piece. When the exchange is over, the
 * next head is parsed. After a number of steps a connection stops, so that others get their turn.
 */
#include "base/sys.h"
#include "conn/early.h"
#include "conn/http1.h"
#include "conn/input.h"

/* The bounds of one turn of a connection. */
#define TURN_STEPS 64 /* requests and pieces of bodies */
#define TURN_MS 2     /* after this no further step is begun */

#define KEEP_MAX 16384 /* with more input than this, which is mostly body, a head is not kept but parsed again */

struct http1_turn {
    unsigned steps;
    int64_t began; /* 0: the clock was not read yet */
};

/* Saves the parser's state until more bytes come, since the next connection uses the scratch fields. */
static int save_head(struct cnc_conn *conn, const struct cnc_http_head *head)
{
    struct cnc_input *in = conn->in;
    size_t max = conn->drv->limits->http.fields_max;
    in->fields = cnc_malloc(max * sizeof *in->fields);
    if (!in->fields)
        return CONCUR_E_NOMEM;
    memcpy(in->fields, head->fields, head->field_count * sizeof *in->fields);
    in->head = *head;
    in->head.fields = in->fields;
    in->has_head = true;
    return CONCUR_OK;
}

/* Is the turn over? Asked before each step that calls the program. Before the first one the clock is not read. */
static bool http1_is_over(const struct cnc_conn *conn, struct http1_turn *turn)
{
    if (CNC_LIKELY(turn->steps == 0))
        return false;
    int64_t now = cnc_clock_now(conn->drv->home->clock);
    if (!turn->began)
        turn->began = now;
    return turn->steps >= TURN_STEPS || now - turn->began >= TURN_MS;
}

/* A request begins. Without a body it is a step; with a body each piece is one. If more input is here, the clock is
 * read before the request. */
static void http1_count(const struct cnc_conn *conn, struct http1_turn *turn, size_t behind)
{
    if (CNC_UNLIKELY(!cnc_http_body_is_done(&conn->exchange.machine)))
        return;
    turn->steps++;
    if (CNC_UNLIKELY(behind && !turn->began))
        turn->began = cnc_clock_now(conn->drv->home->clock);
}

/* Was the head that begins here parsed before, in part or in whole? */
static bool has_parsed(const struct cnc_conn *conn)
{
    return conn->in && conn->in->has_head;
}

/* More of the head is to come. */
static void http1_wait_for_head(struct cnc_conn *conn, struct cnc_slice *in, const struct cnc_http_head *head)
{
    if (conn->state == CNC_CONN_IDLE && !cnc_http_head_is_idle(in->p, in->n))
        cnc_conn_step(conn, CNC_CONN_ON_BYTES);
    if (!has_parsed(conn) && (!cnc_input_own(conn, in) || save_head(conn, head) < 0))
        cnc_input_fail(conn);
}

/* The head is complete, and the connection goes to another home. In this process the parsed head goes along; another
 * process parses it again. */
static void http1_hand_over(struct cnc_conn *conn, struct cnc_slice *in, const struct cnc_http_head *head)
{
    bool keeps = conn->drv->ops->keeps_head;
    conn->flags |= CNC_CONN_READY;
    if (!keeps && has_parsed(conn))
        cnc_input_drop_head(conn->in);
    if (keeps && !conn->in && in->n <= KEEP_MAX && !cnc_input_own_head(conn, in, head))
        cnc_input_fail(conn);
}

static void http1_refuse(struct cnc_conn *conn, int status)
{
    conn->exchange.status = (uint16_t)status;
    cnc_conn_step(conn, CNC_CONN_ON_BAD);
}

/* A complete head whose request begins here: takes it from *in. */
static void begin_request(struct cnc_conn *conn, struct cnc_slice *in, const struct cnc_http_head *head,
                          struct http1_turn *turn)
{
    const char *bytes = in->p;
    cnc_conn_step(conn, CNC_CONN_ON_HEAD);
    cnc_http_body_init(&conn->exchange.machine, head);
    if (CNC_UNLIKELY(head->flags & CNC_HTTP_HAS_BODY) && (head->flags & CNC_HTTP_EXPECT_CONTINUE) &&
        !cnc_early_is_continued(conn))
        conn->exchange.flags |= CNC_EXCHANGE_EXPECT;
    in->p += head->len;
    in->n -= head->len;
    if (conn->in) { /* consumed before the request is called, since that may look at the input */
        conn->in->at = (size_t)(in->p - conn->in->data);
        if (CNC_UNLIKELY(conn->in->early != NULL))
            cnc_early_end(conn->in);
    }
    http1_count(conn, turn, in->n);
    int status = conn->drv->ops->request(conn, head, bytes);
    conn->drv->head_at = 0;
    if (has_parsed(conn))
        cnc_input_drop_head(conn->in);
    if (CNC_UNLIKELY(status))
        http1_refuse(conn, status);
}

/* Parses a head at the start of *in. True: go on; false: wait, or the connection is done for. */
static bool parse_head(struct cnc_conn *conn, struct cnc_slice *in, struct http1_turn *turn)
{
    struct cnc_http_head local, *head = &local;
    struct cnc_driver *drv = conn->drv;
    if (CNC_UNLIKELY(has_parsed(conn))) {
        if (conn->in->early) {
            cnc_early_look(conn, *in);
            return false;
        }
        head = &conn->in->head;
    } else {
        cnc_http_head_init(head, cnc_desk_of(drv->home)->fields);
    }
    int verdict = cnc_http_head_parse(head, &drv->limits->http, in->p, in->n);
    if (CNC_UNLIKELY(verdict == CNC_HTTP_HEAD_MORE)) {
        http1_wait_for_head(conn, in, head);
        return false;
    }
    if (CNC_UNLIKELY(verdict != CNC_HTTP_HEAD_DONE)) {
        http1_refuse(conn, verdict);
        return false;
    }
    if (CNC_UNLIKELY(head->flags & CNC_HTTP_HAS_BODY) && drv->ops->early && !drv->head_at && cnc_early_read(conn, head, in))
        return false;
    if (drv->ops->handover) {
        http1_hand_over(conn, in, head);
        return false;
    }
    begin_request(conn, in, head, turn);
    return true;
}

/* Gives the request a piece of its body. True: go on. */
static bool http1_give_piece(struct cnc_conn *conn, struct cnc_slice *in, struct cnc_slice piece)
{
    struct cnc_exchange *x = &conn->exchange;
    cnc_conn_step_body(conn, CNC_EXCHANGE_ON_PIECE); /* before the call, which may already resume */
    int rc = x->stream->up->body(x->stream, piece.p, piece.n);
    if (rc == CONCUR_AGAIN && x->stream) {
        x->held = (uint32_t)piece.n;
        in->n += (size_t)(in->p - piece.p);
        in->p = piece.p;
        return x->body != CNC_EXCHANGE_BODY_PAUSED;
    }
    cnc_conn_step_body(conn, rc < 0 ? CNC_EXCHANGE_ON_REFUSE : CNC_EXCHANGE_ON_RESUME);
    return true;
}

/* Gives the request the piece that it did not take before. */
static bool give_held(struct cnc_conn *conn, struct cnc_slice *in)
{
    struct cnc_slice piece = { in->p, conn->exchange.held };
    conn->exchange.held = 0;
    in->p += piece.n;
    in->n -= piece.n;
    return !conn->exchange.stream || http1_give_piece(conn, in, piece);
}

/* Parses the body: its pieces go to the request, or are thrown away once the reply is complete. True: go on. */
static bool parse_body(struct cnc_conn *conn, struct cnc_slice *in)
{
    struct cnc_slice piece;
    if (conn->exchange.held)
        return give_held(conn, in);
    if ((conn->exchange.flags & CNC_EXCHANGE_HOLD) && !cnc_input_own(conn, in)) {
        cnc_input_fail(conn);
        return false;
    }
    int verdict = cnc_http_body_next(&conn->exchange.machine, &conn->drv->limits->http, in, &piece);
    switch (verdict) {
    case CNC_HTTP_BODY_MORE:
        return false;
    case CNC_HTTP_BODY_DATA:
        if (conn->exchange.stream && conn->exchange.body == CNC_EXCHANGE_BODY_WANTED)
            return http1_give_piece(conn, in, piece);
        cnc_input_discard(conn, piece.n);
        return true;
    case CNC_HTTP_BODY_END:
        return true;
    default:
        if (conn->exchange.body == CNC_EXCHANGE_BODY_REST) {
            conn->exchange.status = (uint16_t)verdict;
            cnc_conn_step(conn, CNC_CONN_ON_DEADLINE);
        } else {
            http1_refuse(conn, verdict);
        }
        return false;
    }
}

/* A request is under way, or the rest of its body is still to be read. True: go on. */
static bool busy(struct cnc_conn *conn, struct cnc_slice *in, struct http1_turn *turn)
{
    bool takes = cnc_exchange_takes(&conn->exchange);
    if (!cnc_exchange_is_read(&conn->exchange)) {
        if (takes && (in->n || conn->exchange.held) && http1_is_over(conn, turn)) {
            conn->flags |= CNC_CONN_STOPPED;
            return false;
        }
        turn->steps += takes;
        bool on = takes && (in->n || conn->exchange.held) && parse_body(conn, in);
        if (CNC_UNLIKELY(!on && (conn->flags & CNC_CONN_EOF)) && conn->state == CNC_CONN_BUSY && !in->n)
            cnc_conn_step(conn, CNC_CONN_ON_EOF); /* the rest of the body will not come */
        return on;
    }
    if (conn->exchange.body == CNC_EXCHANGE_BODY_WANTED) {
        cnc_conn_step_body(conn, CNC_EXCHANGE_ON_COMPLETE);
        return true;
    }
    if (conn->exchange.stream)
        return false;
    if (conn->exchange.body == CNC_EXCHANGE_BODY_REST)
        cnc_conn_step(conn, CNC_CONN_ON_READ);
    return conn->state == CNC_CONN_IDLE;
}

/* Must the next request wait until output has been sent? Else a peer that takes no replies could make many of them
 * queue up. True also if the connection has ended. */
static bool output_waits(struct cnc_conn *conn)
{
    const struct cnc_driver *drv = conn->drv;
    if (CNC_LIKELY(!conn->out && (drv->current != conn || drv->scratch_len <= CNC_DESK_SCRATCH / 2)))
        return false;
    cnc_conn_flush(conn);
    return conn->out || conn->state == CNC_CONN_CLOSED;
}

CNC_HOT void cnc_http1_input(struct cnc_conn *conn, struct cnc_slice *in)
{
    struct http1_turn turn = { 0 };
    while (conn->state <= CNC_CONN_BUSY) {
        if (conn->state == CNC_CONN_BUSY) {
            if (!busy(conn, in, &turn))
                return;
            continue;
        }
        if (!in->n)
            return;
        if (CNC_UNLIKELY(http1_is_over(conn, &turn) || output_waits(conn))) {
            conn->flags |= CNC_CONN_STOPPED;
            return;
        }
        if (!parse_head(conn, in, &turn))
            return;
    }
}

void cnc_http1_ended(struct cnc_conn *conn)
{
    bool between = conn->state == CNC_CONN_IDLE || conn->state == CNC_CONN_HEAD;
    if (between && !conn->out && !(conn->flags & (CNC_CONN_READY | CNC_CONN_STOPPED)))
        cnc_conn_step(conn, CNC_CONN_ON_EOF);
}

static size_t http1_have(const struct cnc_conn *conn)
{
    return conn->in ? conn->in->len - conn->in->at : 0;
}

/* Do the next bytes belong to a body that is used or thrown away? */
static bool is_body_used(const struct cnc_conn *conn)
{
    return !cnc_exchange_is_read(&conn->exchange) &&
           (cnc_exchange_takes(&conn->exchange) || conn->exchange.body == CNC_EXCHANGE_BODY_PAUSED);
}

CNC_HOT bool cnc_http1_reads(const struct cnc_conn *conn)
{
    if (conn->state != CNC_CONN_BUSY) /* nothing more is read while replies wait to be sent */
        return !conn->out && !(conn->flags & CNC_CONN_STOPPED);
    if (conn->exchange.body == CNC_EXCHANGE_BODY_PAUSED || (conn->flags & CNC_CONN_STOPPED))
        return false;
    return is_body_used(conn) || http1_have(conn) < conn->drv->limits->pipeline_max;
}

size_t cnc_http1_most(const struct cnc_conn *conn)
{
    size_t have = http1_have(conn), most = conn->drv->limits->pipeline_max;
    return is_body_used(conn) || have >= most ? CNC_DESK_SCRATCH : most - have;
}
