/* SPDX-License-Identifier: MIT
 *
 * Bytes are read into the home's scratch buffer, and the connection's protocol takes them from there. Bytes that it
 * cannot use yet are copied into a buffer of the connection: half a head, requests behind the one that is being
 * answered, a piece that the request did not take. The buffer is freed when it is empty, so an idle connection has
 * none.
 */
#include "base/sys.h"
#include "conn/early.h"

#define INPUT_MIN 512
#define CHUNK_FROM 16384 /* a buffer of this size or more is a chunk, of which desks keep some */
#define CHUNK_ROOM (CNC_CHUNK - sizeof(struct cnc_input))

void cnc_input_drop_head(struct cnc_input *in)
{
    cnc_free(in->fields);
    in->fields = NULL;
    in->has_head = false;
}

/* A connection between two drivers, or on its way to another process, may have no home. */
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
    cnc_input_drop_head(conn->in);
    if (CNC_UNLIKELY(conn->in->early != NULL))
        cnc_early_end(conn->in);
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
    CNC_ASSERT(!in || !in->has_head || in->fields || in->early); /* fields behind the bytes would not be copied */
    if (in && in->at) {
        /* While the request holds a piece nothing is read, so no held piece is moved here. */
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

bool cnc_input_own(struct cnc_conn *conn, struct cnc_slice *in)
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

void cnc_input_fail(struct cnc_conn *conn)
{
    cnc_conn_step(conn, CNC_CONN_ON_ERROR);
}

bool cnc_input_own_head(struct cnc_conn *conn, struct cnc_slice *in, const struct cnc_http_head *head)
{
    size_t n = in->n, pad = -n & (_Alignof(struct cnc_http_field) - 1), fields = head->field_count * sizeof *head->fields;
    struct cnc_input *own = cnc_malloc(sizeof *own + n + pad + fields);
    if (!own)
        return false;
    CNC_ASSERT(!conn->in);
    *own = (struct cnc_input){ .len = n, .cap = n, .has_head = true, .head = *head };
    memcpy(own->data, in->p, n);
    own->head.fields = (struct cnc_http_field *)(void *)(own->data + n + pad);
    memcpy(own->head.fields, head->fields, fields);
    conn->in = own;
    *in = (struct cnc_slice){ own->data, n };
    return true;
}

void cnc_input_discard(struct cnc_conn *conn, size_t n)
{
    conn->exchange.discarded += (uint32_t)n;
    if (conn->exchange.discarded > conn->drv->limits->linger_max)
        cnc_conn_step(conn, CNC_CONN_ON_DEADLINE);
}

/* Throws all input away. */
static void input_drop(struct cnc_conn *conn, struct cnc_slice *in)
{
    size_t n = in->n;
    in->n = 0;
    if (conn->state == CNC_CONN_LINGER || conn->state == CNC_CONN_UPGRADED)
        cnc_input_discard(conn, n);
    else if (n)
        conn->flags |= CNC_CONN_MUST_LINGER; /* the peer may send more: a plain close would reset the connection */
}

/* Does the protocol of an upgraded connection want no more input? */
static inline bool is_unwanted(const struct cnc_conn *conn)
{
    return conn->state == CNC_CONN_UPGRADED && conn->exchange.body == CNC_EXCHANGE_BODY_REST;
}

/* Gives the protocol what is here, or lets it go on. What it has not taken stays in *in. */
CNC_HOT static void consume(struct cnc_conn *conn, struct cnc_slice *in)
{
    conn->flags &= (uint32_t)~CNC_CONN_STOPPED;
    if (CNC_LIKELY(conn->state <= CNC_CONN_BUSY))
        conn->drv->protocol->input(conn, in);
    if (CNC_UNLIKELY(conn->state == CNC_CONN_UPGRADED))
        cnc_upgraded.input(conn, in);
    if (CNC_UNLIKELY(conn->state > CNC_CONN_UPGRADED || is_unwanted(conn)))
        input_drop(conn, in);
}

/* Keeps what consume() has left in the connection's buffer. */
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

/* Lets the protocol use bytes in the scratch buffer. What it leaves is copied into a buffer of the connection. */
static void consume_scratch(struct cnc_conn *conn, const char *p, size_t n)
{
    struct cnc_slice rest = { p, n };
    consume(conn, &rest);
    if (conn->in) { /* the protocol has copied the input there */
        keep_rest(conn, rest);
        return;
    }
    if (rest.n && conn->state != CNC_CONN_CLOSED && !cnc_input_own(conn, &rest))
        cnc_input_fail(conn);
}

void cnc_conn_resume(struct cnc_conn *conn)
{
    struct cnc_slice none = { "", 0 };
    if (conn->in)
        consume_buffer(conn);
    else
        consume(conn, &none);
    if (CNC_UNLIKELY(conn->flags & CNC_CONN_EOF))
        cnc_conn_protocol(conn)->ended(conn);
}

CNC_HOT bool cnc_conn_reads(const struct cnc_conn *conn)
{
    if (conn->flags & (CNC_CONN_EOF | CNC_CONN_READY))
        return false;
    return conn->state <= CNC_CONN_UPGRADED ? cnc_conn_protocol(conn)->reads(conn) : conn->state == CNC_CONN_LINGER;
}

CNC_HOT void cnc_conn_read(struct cnc_conn *conn, bool wait)
{
    struct cnc_home *home = conn->drv->home;
    char *p = cnc_desk_of(home)->in;
    size_t room = CNC_DESK_SCRATCH;
    bool busy = conn->state == CNC_CONN_BUSY;
    if (CNC_UNLIKELY(conn->in || busy)) {
        bool hold = busy && (conn->exchange.flags & CNC_EXCHANGE_HOLD);
        size_t most = busy ? cnc_conn_protocol(conn)->most(conn) : CNC_DESK_SCRATCH;
        size_t least = hold && !conn->in ? CHUNK_FROM : most < INPUT_MIN ? most : INPUT_MIN;
        if ((conn->in || hold) && grow_input(conn, least) < 0) {
            cnc_input_fail(conn);
            return;
        }
        if (CNC_UNLIKELY(cnc_early_is_reading(conn)) && !cnc_early_count(conn))
            return;
        if (conn->in) {
            p = conn->in->data + conn->in->len;
            room = conn->in->cap - conn->in->len;
        }
        room = room < most ? room : most;
    }
    ssize_t n = conn->transport->read(cnc_io_fd(&conn->io), conn->ext, p, room, wait);
    if (CNC_UNLIKELY(conn->ext != NULL))
        cnc_wants_after_read(conn, n);
    if (CNC_LIKELY(n > 0)) {
        conn->drv->received += (size_t)n;
        if (CNC_UNLIKELY(conn->drv->loan != NULL))
            conn->drv->loan->progress(conn->drv, conn, true);
        if (conn->class != CNC_CLASS_WRITE) /* received bytes do not show that the peer takes the reply */
            conn->moved += (uint64_t)n;
        if (conn->in) {
            conn->in->len += (size_t)n;
            consume_buffer(conn);
        } else {
            consume_scratch(conn, p, (size_t)n);
        }
    } else if (n == 0) {
        cnc_conn_step(conn, CNC_CONN_ON_EOF);
        if (conn->state == CNC_CONN_UPGRADED)
            cnc_conn_resume(conn);
    } else if (n != -EAGAIN) {
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    }
}

bool cnc_conn_holds_bytes(const struct cnc_conn *conn)
{
    bool may_read = conn->state != CNC_CONN_CLOSED && !(conn->flags & CNC_CONN_READ_WRITES) && cnc_conn_reads(conn);
    return may_read && conn->transport->pending(conn->ext) > 0;
}
