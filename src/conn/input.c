/* SPDX-License-Identifier: MIT
 *
 * The way in: bytes are read into the home's scratch buffer and parsed there. Only what cannot be used yet (half a head,
 * requests behind the one being answered, a piece the request left in place) gets a buffer of the connection's own, which
 * goes as soon as it is empty: an idle connection owns none.
 */
#include "base/sys.h"
#include "conn/input.h"

#define INPUT_MIN 512
#define CHUNK_FROM 16384 /* a buffer from this size on is a chunk, of which homes keep some */
#define CHUNK_ROOM (CNC_CHUNK - sizeof(struct cnc_input))

/* What one connection may have called before the others have their turn. */
#define TURN_STEPS 64 /* requests and pieces of bodies */
#define TURN_MS 2     /* once this has passed no further one is begun */

struct turn {
    unsigned steps;
    int64_t began; /* 0: the clock was not read yet */
};

static void drop_head(struct cnc_input *in)
{
    cnc_free(in->fields);
    in->fields = NULL;
    in->has_head = false;
}

/* A connection that is on its way, or has been sent back to another process, belongs to no home. */
static void free_buffer(struct cnc_conn *conn, struct cnc_input *in)
{
    if (in->is_chunk && conn->drv && conn->drv->home)
        cnc_desk_chunk_put(conn->drv->home, in);
    else
        cnc_free(in);
}

void cnc_conn_free_input(struct cnc_conn *conn)
{
    if (!conn->in)
        return;
    drop_head(conn->in);
    free_buffer(conn, conn->in);
    conn->in = NULL;
}

struct cnc_slice cnc_conn_input(const struct cnc_conn *conn)
{
    const struct cnc_input *in = conn->in;
    return in ? (struct cnc_slice){ in->data + in->at, in->len - in->at } : (struct cnc_slice){ "", 0 };
}

/* Makes room for n more bytes behind len. */
static int grow_input(struct cnc_conn *conn, size_t n)
{
    struct cnc_input *in = conn->in;
    if (in && in->cap - in->len >= n)
        return CONCUR_OK;
    if (in && in->at) {
        /* A held piece must not move (its request looks at it), but then nothing is read either. */
        memmove(in->data, in->data + in->at, in->len - in->at);
        in->len -= in->at;
        in->at = 0;
        if (in->cap - in->len >= n)
            return CONCUR_OK;
    }
    size_t cap = in ? in->cap * 2 : INPUT_MIN;
    while (cap < (in ? in->len : 0) + n)
        cap *= 2;
    bool is_chunk = cap >= CHUNK_FROM && (in ? in->len : 0) + n <= CHUNK_ROOM && conn->drv;
    if (is_chunk)
        cap = CHUNK_ROOM;
    struct cnc_input *grown = is_chunk ? cnc_desk_chunk_get(conn->drv->home) : cnc_malloc(sizeof *in + cap);
    if (!grown)
        return CONCUR_E_NOMEM;
    if (in)
        memcpy(grown, in, sizeof *in + in->len);
    else
        memset(grown, 0, sizeof *grown);
    if (in)
        free_buffer(conn, in);
    grown->cap = cap;
    grown->is_chunk = is_chunk;
    conn->in = grown;
    return CONCUR_OK;
}

int cnc_conn_preload(struct cnc_conn *conn, const char *p, size_t n)
{
    CNC_ASSERT(!conn->in);
    if (n == 0)
        return CONCUR_OK;
    if (grow_input(conn, n) < 0)
        return CONCUR_E_NOMEM;
    memcpy(conn->in->data, p, n);
    conn->in->len = n;
    return CONCUR_OK;
}

/* Moves unconsumed scratch bytes to a buffer of the connection's own. False: out of memory. */
static bool input_own(struct cnc_conn *conn, struct cnc_slice *in)
{
    if (conn->in)
        return true;
    if (grow_input(conn, in->n) < 0)
        return false;
    memcpy(conn->in->data, in->p, in->n);
    conn->in->len = in->n;
    *in = (struct cnc_slice){ conn->in->data, in->n };
    return true;
}

static void out_of_memory(struct cnc_conn *conn)
{
    cnc_conn_step(conn, CNC_CONN_ON_ERROR);
}

/* Keeps a parse in progress: the scratch head belongs to whoever comes next. */
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

/* Before a step that calls the program. The first one of a turn is free, and reads no clock. */
static bool input_is_over(const struct cnc_conn *conn, struct turn *turn)
{
    if (CNC_LIKELY(turn->steps == 0))
        return false;
    int64_t now = cnc_clock_now(conn->drv->home->clock);
    if (!turn->began)
        turn->began = now;
    return turn->steps >= TURN_STEPS || now - turn->began >= TURN_MS;
}

/* A request without a body is a step; of one with a body the pieces are. The clock is read before it if more is here. */
static void input_count_request(const struct cnc_conn *conn, struct turn *turn, size_t behind)
{
    if (CNC_UNLIKELY(!cnc_http_body_is_done(&conn->exchange.machine)))
        return;
    turn->steps++;
    if (CNC_UNLIKELY(behind && !turn->began))
        turn->began = cnc_clock_now(conn->drv->home->clock);
}

/* Parses a head at the start of *in. True: go on; false: wait, or the connection is done for. */
static bool parse_head(struct cnc_conn *conn, struct cnc_slice *in, struct turn *turn)
{
    struct cnc_http_head local, *head = &local;
    struct cnc_driver *drv = conn->drv;
    bool saved = conn->in && conn->in->has_head;
    if (CNC_UNLIKELY(saved))
        head = &conn->in->head;
    else
        cnc_http_head_init(head, cnc_desk_of(drv->home)->fields);
    int verdict = cnc_http_head_parse(head, &drv->limits->http, in->p, in->n);
    if (CNC_UNLIKELY(verdict == CNC_HTTP_HEAD_MORE)) {
        if (conn->state == CNC_CONN_IDLE && !cnc_http_head_is_idle(in->p, in->n))
            cnc_conn_step(conn, CNC_CONN_ON_BYTES);
        if (saved)
            return false;
        if (!input_own(conn, in) || save_head(conn, head) < 0)
            out_of_memory(conn);
        return false;
    }
    if (CNC_UNLIKELY(verdict != CNC_HTTP_HEAD_DONE)) {
        conn->exchange.status = (uint16_t)verdict;
        cnc_conn_step(conn, CNC_CONN_ON_BAD);
        return false;
    }
    if (drv->ops->handover) { /* complete, but another home takes it, and parses it there */
        conn->flags |= CNC_CONN_READY;
        if (saved)
            drop_head(conn->in);
        return false;
    }
    cnc_conn_step(conn, CNC_CONN_ON_HEAD);
    cnc_http_body_init(&conn->exchange.machine, head);
    if ((head->flags & CNC_HTTP_EXPECT_CONTINUE) && !cnc_exchange_is_read(&conn->exchange))
        conn->exchange.flags |= CNC_EXCHANGE_EXPECT;
    const char *bytes = in->p;
    in->p += head->len;
    in->n -= head->len;
    if (conn->in) /* what the request asks of us now must not take its own head for input that waits */
        conn->in->at = (size_t)(in->p - conn->in->data);
    input_count_request(conn, turn, in->n);
    int status = drv->ops->request(conn, head, bytes);
    if (saved && conn->in)
        drop_head(conn->in);
    if (CNC_UNLIKELY(status)) {
        conn->exchange.status = (uint16_t)status;
        cnc_conn_step(conn, CNC_CONN_ON_BAD);
    }
    return conn->state != CNC_CONN_CLOSED;
}

/* Hands one piece up. True: go on. */
static bool input_give_piece(struct cnc_conn *conn, struct cnc_slice *in, struct cnc_slice piece)
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

/* A piece that was left in place is offered again. */
static bool give_held(struct cnc_conn *conn, struct cnc_slice *in)
{
    struct cnc_slice piece = { in->p, conn->exchange.held };
    conn->exchange.held = 0;
    in->p += piece.n;
    in->n -= piece.n;
    return !conn->exchange.stream || input_give_piece(conn, in, piece);
}

static void input_discard(struct cnc_conn *conn, size_t n)
{
    conn->exchange.discarded += (uint32_t)n;
    if (conn->exchange.discarded > conn->drv->limits->linger_max)
        cnc_conn_step(conn, CNC_CONN_ON_DEADLINE);
}

/* Reads the body on behalf of the request, or throws it away once the reply is done. True: go on. */
static bool parse_body(struct cnc_conn *conn, struct cnc_slice *in)
{
    struct cnc_slice piece;
    if (conn->exchange.held)
        return give_held(conn, in);
    if ((conn->exchange.flags & CNC_EXCHANGE_HOLD) && !input_own(conn, in)) {
        out_of_memory(conn);
        return false;
    }
    int verdict = cnc_http_body_next(&conn->exchange.machine, &conn->drv->limits->http, in, &piece);
    switch (verdict) {
    case CNC_HTTP_BODY_MORE:
        return false;
    case CNC_HTTP_BODY_DATA:
        if (conn->exchange.stream && conn->exchange.body == CNC_EXCHANGE_BODY_WANTED)
            return input_give_piece(conn, in, piece);
        input_discard(conn, piece.n);
        return true;
    case CNC_HTTP_BODY_END:
        return true;
    default:
        conn->exchange.status = (uint16_t)verdict;
        if (conn->exchange.body == CNC_EXCHANGE_BODY_REST)
            cnc_conn_step(conn, CNC_CONN_ON_DEADLINE);
        else
            cnc_conn_step(conn, CNC_CONN_ON_BAD);
        return false;
    }
}

/* A request is under way, or its unread body is. True: go on. */
static bool busy(struct cnc_conn *conn, struct cnc_slice *in, struct turn *turn)
{
    bool takes = cnc_exchange_takes(&conn->exchange);
    if (!cnc_exchange_is_read(&conn->exchange)) {
        if (takes && (in->n || conn->exchange.held) && input_is_over(conn, turn)) {
            conn->flags |= CNC_CONN_STOPPED;
            return false;
        }
        turn->steps += takes;
        bool on = takes && (in->n || conn->exchange.held) && parse_body(conn, in);
        if (CNC_UNLIKELY(!on && (conn->flags & CNC_CONN_EOF)) && conn->state == CNC_CONN_BUSY && !in->n)
            cnc_conn_step(conn, CNC_CONN_ON_EOF); /* nor will the rest come */
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

/* Replies that the peer does not take must not pile up: the next request waits for the output to leave. */
static bool output_waits(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    if (conn->out || (drv->current == conn && drv->scratch_len > CNC_DESK_SCRATCH / 2))
        cnc_conn_flush(conn);
    return conn->out != NULL;
}

CNC_HOT static void consume(struct cnc_conn *conn, struct cnc_slice *in)
{
    struct turn turn = { 0 };
    conn->flags &= (uint32_t)~CNC_CONN_STOPPED;
    for (;;) {
        switch (conn->state) {
        case CNC_CONN_IDLE:
        case CNC_CONN_HEAD:
            if (!in->n)
                return;
            if (CNC_UNLIKELY(input_is_over(conn, &turn) || output_waits(conn))) {
                conn->flags |= CNC_CONN_STOPPED;
                return;
            }
            if (conn->state == CNC_CONN_CLOSED || !parse_head(conn, in, &turn))
                return;
            break;
        case CNC_CONN_BUSY:
            if (!busy(conn, in, &turn))
                return;
            break;
        case CNC_CONN_LINGER:
            conn->exchange.discarded += (uint32_t)in->n;
            in->n = 0;
            if (conn->exchange.discarded > conn->drv->limits->linger_max)
                cnc_conn_step(conn, CNC_CONN_ON_DEADLINE);
            return;
        default:
            if (in->n)
                conn->flags |= CNC_CONN_MUST_LINGER; /* it was sending: a plain close would reset it */
            in->n = 0;
            return;
        }
    }
}

/* What consume() left of a buffer of the connection's own. */
static void keep_rest(struct cnc_conn *conn, struct cnc_slice rest)
{
    struct cnc_input *in = conn->in;
    if (rest.n == 0) {
        cnc_conn_free_input(conn);
        return;
    }
    in->at = (size_t)(rest.p - in->data);
}

static void consume_buffer(struct cnc_conn *conn)
{
    struct cnc_input *in = conn->in;
    struct cnc_slice rest = { in->data + in->at, in->len - in->at };
    consume(conn, &rest);
    if (conn->in)
        keep_rest(conn, rest);
}

/* Parsing in the scratch buffer as far as that goes; a body is taken from a buffer of its own, where pieces can stay. */
static void consume_scratch(struct cnc_conn *conn, const char *p, size_t n)
{
    struct cnc_slice rest = { p, n };
    consume(conn, &rest);
    if (conn->in) { /* half a head moved there */
        keep_rest(conn, rest);
        return;
    }
    if (rest.n && conn->state != CNC_CONN_CLOSED && !input_own(conn, &rest))
        out_of_memory(conn);
}

/* The peer has sent all it will, and what it has sent was looked at, unless output or other connections come first. Is
 * there nothing left to answer? */
static void look_for_end(struct cnc_conn *conn)
{
    bool between = conn->state == CNC_CONN_IDLE || conn->state == CNC_CONN_HEAD;
    if (between && !conn->out && !(conn->flags & (CNC_CONN_READY | CNC_CONN_STOPPED)))
        cnc_conn_step(conn, CNC_CONN_ON_EOF);
}

void cnc_conn_resume(struct cnc_conn *conn)
{
    struct cnc_slice none = { "", 0 };
    if (conn->in)
        consume_buffer(conn);
    else
        consume(conn, &none);
    if (CNC_UNLIKELY(conn->flags & CNC_CONN_EOF))
        look_for_end(conn);
}

/* What comes next is a body that somebody takes, be it to throw it away. */
static bool is_body_used(const struct cnc_conn *conn)
{
    return !cnc_exchange_is_read(&conn->exchange) &&
           (cnc_exchange_takes(&conn->exchange) || conn->exchange.body == CNC_EXCHANGE_BODY_PAUSED);
}

CNC_HOT bool cnc_conn_reads(const struct cnc_conn *conn)
{
    size_t have = conn->in ? conn->in->len - conn->in->at : 0;
    if (conn->flags & (CNC_CONN_EOF | CNC_CONN_READY))
        return false;
    switch (conn->state) {
    case CNC_CONN_IDLE:
    case CNC_CONN_HEAD: /* whose replies wait gets nothing more taken, wherever its last read ended */
        return !conn->out && !(conn->flags & CNC_CONN_STOPPED);
    case CNC_CONN_BUSY:
        if (conn->exchange.body == CNC_EXCHANGE_BODY_PAUSED || (conn->flags & CNC_CONN_STOPPED))
            return false;
        return is_body_used(conn) || have < conn->drv->limits->pipeline_max;
    case CNC_CONN_LINGER:
        return true;
    default:
        return false;
    }
}

/* What nobody uses yet is taken in up to pipeline_max: the requests behind the one under way, and a body that is not wanted. */
static size_t most_when_busy(const struct cnc_conn *conn)
{
    size_t have = conn->in ? conn->in->len - conn->in->at : 0, most = conn->drv->limits->pipeline_max;
    return is_body_used(conn) || have >= most ? CNC_DESK_SCRATCH : most - have;
}

CNC_HOT void cnc_conn_read(struct cnc_conn *conn, bool wait)
{
    struct cnc_home *home = conn->drv->home;
    char *p = cnc_desk_of(home)->in;
    size_t room = CNC_DESK_SCRATCH;
    bool busy = conn->state == CNC_CONN_BUSY;
    if (CNC_UNLIKELY(conn->in || busy)) {
        bool hold = busy && (conn->exchange.flags & CNC_EXCHANGE_HOLD);
        size_t most = busy ? most_when_busy(conn) : CNC_DESK_SCRATCH;
        size_t least = hold && !conn->in ? CHUNK_FROM : most < INPUT_MIN ? most : INPUT_MIN;
        if ((conn->in || hold) && grow_input(conn, least) < 0) {
            out_of_memory(conn);
            return;
        }
        if (conn->in) {
            p = conn->in->data + conn->in->len;
            room = conn->in->cap - conn->in->len;
        }
        room = room < most ? room : most;
    }
    ssize_t n = conn->transport->read(cnc_io_fd(&conn->io), conn->ext, p, room, wait);
    if (CNC_LIKELY(n > 0)) {
        conn->drv->received += (size_t)n;
        if (CNC_UNLIKELY(conn->drv->loan != NULL))
            conn->drv->loan->progress(conn->drv, conn, true);
        if (conn->class != CNC_CLASS_WRITE) /* nor are bytes that come a sign that the reply is taken */
            conn->moved += (uint64_t)n;
        if (conn->in) {
            conn->in->len += (size_t)n;
            consume_buffer(conn);
        } else {
            consume_scratch(conn, p, (size_t)n);
        }
    } else if (n == 0) {
        cnc_conn_step(conn, CNC_CONN_ON_EOF);
    } else if (n != -EAGAIN) {
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    }
}
