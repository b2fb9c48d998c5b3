/* SPDX-License-Identifier: MIT */
#include "conn/queue.h"

#include "base/sys.h"

#define SMALL 4096 /* a rest of a write that is smaller than this gets a chunk of just its size */
#define IOV_MAX_USED 16

/* Bytes [at, end) of p are still to be sent. Owned bytes lie in data; borrowed ones elsewhere, until free(arg). The
 * first chunk also has the end and the size of the whole queue. */
struct cnc_chunk {
    struct cnc_chunk *next;
    struct cnc_chunk *last; /* of the first only */
    size_t queued;          /* of the first only: bytes to be sent in the whole queue */
    const char *p;
    size_t at, end, cap;
    bool is_home;           /* of the size that desks keep (CNC_CHUNK) */
    void (*free)(void *);
    void *arg;
    char data[];
};

_Static_assert(CNC_CHUNK - sizeof(struct cnc_chunk) >= CNC_DESK_SCRATCH, "one chunk has room for the scratch buffer");

/* ---- chunks ---- */

static void free_chunk(struct cnc_conn *conn, struct cnc_chunk *c)
{
    if (c->free)
        c->free(c->arg);
    if (c->is_home && conn->drv)
        cnc_desk_chunk_put(conn->drv->home, c);
    else
        cnc_free(c);
}

void cnc_conn_free_output(struct cnc_conn *conn)
{
    while (conn->out) {
        struct cnc_chunk *c = conn->out;
        conn->out = c->next;
        free_chunk(conn, c);
    }
    if (conn->drv && conn->drv->current == conn)
        conn->drv->scratch_len = 0;
}

static void append(struct cnc_conn *conn, struct cnc_chunk *c)
{
    if (conn->out)
        conn->out->last->next = c;
    else
        conn->out = c;
    conn->out->last = c;
}

/* Appends a chunk of just this capacity; 0: for borrowed bytes. */
static struct cnc_chunk *add_sized(struct cnc_conn *conn, size_t cap)
{
    struct cnc_chunk *c = cap > CNC_PIECE_MAX ? NULL : cnc_malloc(sizeof *c + cap);
    if (!c)
        return NULL;
    *c = (struct cnc_chunk){ .p = c->data, .cap = cap };
    append(conn, c);
    return c;
}

/* Appends a chunk with room for n bytes, of CNC_CHUNK bytes if that is enough. */
static struct cnc_chunk *add_chunk(struct cnc_conn *conn, size_t n)
{
    if (n > CNC_CHUNK - sizeof(struct cnc_chunk))
        return add_sized(conn, n);
    struct cnc_chunk *c = cnc_desk_chunk_get(conn->drv->home);
    if (!c)
        return NULL;
    *c = (struct cnc_chunk){ .p = c->data, .cap = CNC_CHUNK - sizeof *c, .is_home = true };
    append(conn, c);
    return c;
}

size_t cnc_conn_queued(const struct cnc_conn *conn)
{
    return conn->out ? conn->out->queued : 0;
}

/* Copies bytes to the end of the queue, over as many chunks as that takes. */
static int queue_bytes(struct cnc_conn *conn, const char *p, size_t n)
{
    while (n) {
        struct cnc_chunk *c = conn->out ? conn->out->last : NULL;
        if (!c || c->free || c->end == c->cap)
            c = add_chunk(conn, 1);
        if (!c)
            return CONCUR_E_NOMEM;
        size_t some = n < c->cap - c->end ? n : c->cap - c->end;
        memcpy(c->data + c->end, p, some);
        c->end += some;
        conn->out->queued += some;
        p += some;
        n -= some;
    }
    return CONCUR_OK;
}

/* Moves the bytes in the scratch buffer to the queue, before something is queued behind them. They fit into one chunk;
 * so, out of memory, none of them was moved. */
static int spill_scratch(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    if (!cnc_queue_is_scratch(conn) || !drv->scratch_len)
        return CONCUR_OK;
    int rc = queue_bytes(conn, cnc_desk_of(drv->home)->out, drv->scratch_len);
    if (rc == CONCUR_OK)
        drv->scratch_len = 0;
    return rc;
}

/* ---- sending ---- */

static ssize_t queue_write_out(struct cnc_conn *conn, const struct iovec *iov, int count)
{
    ssize_t n = conn->transport->write(cnc_io_fd(&conn->io), conn->ext, iov, count);
    if (CNC_UNLIKELY(conn->ext != NULL))
        cnc_wants_after_write(conn, n);
    if (n > 0) {
        conn->drv->sent += (size_t)n;
        if (conn->class != CNC_CLASS_BODY) /* sending a reply does not show that the body makes progress */
            conn->moved += (uint64_t)n;
    }
    return n;
}

CNC_HOT static bool send_some(struct cnc_conn *conn, const struct iovec *iov, int count, size_t *sent)
{
    ssize_t n = queue_write_out(conn, iov, count);
    *sent = n > 0 ? (size_t)n : 0;
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
    struct iovec iov = { .iov_base = cnc_desk_of(drv->home)->out, .iov_len = drv->scratch_len };
    size_t sent;
    if (!send_some(conn, &iov, 1, &sent))
        return;
    size_t rest = drv->scratch_len - sent;
    drv->scratch_len = 0;
    if (CNC_LIKELY(rest == 0))
        return;
    if ((rest < SMALL && !add_sized(conn, rest)) || queue_bytes(conn, cnc_desk_of(drv->home)->out + sent, rest) < 0) {
        cnc_conn_free_output(conn);
        cnc_conn_step(conn, CNC_CONN_ON_ERROR); /* out of memory costs this connection, no other */
    }
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
        free_chunk(conn, c);
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

CNC_HOT void cnc_conn_flush(struct cnc_conn *conn)
{
    if (conn->state == CNC_CONN_CLOSED)
        return;
    if (CNC_UNLIKELY(conn->drv->loan != NULL))
        conn->drv->loan->sends(conn->drv, conn);
    if (CNC_LIKELY(!conn->out)) {
        if (conn->drv->current == conn && conn->drv->scratch_len)
            flush_scratch(conn);
    } else {
        flush_queue(conn);
    }
}

/* ---- room ---- */

/* A connection that borrowed the scratch buffer gives it up: its bytes are sent now. It is dirty, so the rest is done
 * at the end of the turn. */
void cnc_driver_enter(struct cnc_driver *drv, struct cnc_conn *conn)
{
    struct cnc_conn *before = drv->current;
    if (CNC_UNLIKELY(before && before != conn)) {
        CNC_ASSERT(drv->borrowed);
        cnc_conn_flush(before);
        drv->scratch_len = 0;
    }
    drv->borrowed = false;
    drv->current = conn;
}

/* When a reply comes later, from a timer or a ticket, its connection is not being driven. If no other one is, it uses
 * the scratch buffer all the same. The bytes are sent when the next connection needs the buffer, or at the end of the
 * turn. */
static void borrow_scratch(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    if (conn->out || drv->current == conn || (drv->current && !drv->borrowed) || drv->home->blocking ||
        cnc_desk_need_scratch(drv->home) < 0)
        return;
    cnc_conn_touch(conn);
    cnc_driver_enter(drv, conn);
    drv->borrowed = true;
}

CNC_HOT char *cnc_queue_more_room(struct cnc_conn *conn, size_t n)
{
    struct cnc_driver *drv = conn->drv;
    if (drv->current != conn)
        borrow_scratch(conn);
    if (cnc_queue_is_scratch(conn) && n <= CNC_DESK_SCRATCH - drv->scratch_len)
        return cnc_desk_of(drv->home)->out + drv->scratch_len;
    if (spill_scratch(conn) < 0)
        return NULL;
    struct cnc_chunk *c = conn->out ? conn->out->last : NULL;
    if (!c || c->free || c->cap - c->end < n)
        c = add_chunk(conn, n);
    return c ? c->data + c->end : NULL;
}

void cnc_queue_commit_chunk(struct cnc_conn *conn, size_t n)
{
    conn->out->last->end += n;
    conn->out->queued += n;
    cnc_conn_touch(conn);
}

int cnc_conn_put(struct cnc_conn *conn, const void *p, size_t n)
{
    if (n == 0)
        return CONCUR_OK;
    char *room = cnc_queue_room(conn, n);
    if (!room)
        return CONCUR_E_NOMEM;
    memcpy(room, p, n);
    cnc_queue_commit(conn, n);
    return CONCUR_OK;
}

/* Queues a piece without a copy; the scratch buffer is empty. Out of memory, the piece stays the caller's. */
static int queue_borrow(struct cnc_conn *conn, struct cnc_piece *piece)
{
    struct cnc_chunk *c = add_sized(conn, 0);
    if (!c)
        return CONCUR_E_NOMEM;
    c->p = piece->p;
    c->end = piece->n;
    c->free = piece->free;
    c->arg = piece->arg;
    conn->out->queued += piece->n;
    *piece = (struct cnc_piece){ 0 };
    return CONCUR_OK;
}

int cnc_queue_piece(struct cnc_conn *conn, struct cnc_piece *piece)
{
    int rc = spill_scratch(conn);
    if (rc == CONCUR_OK)
        rc = queue_borrow(conn, piece);
    cnc_piece_drop(piece);
    cnc_conn_touch(conn);
    return rc;
}

int cnc_queue_copy(struct cnc_conn *conn, const void *p, size_t n)
{
    int rc = spill_scratch(conn);
    if (rc == CONCUR_OK)
        rc = queue_bytes(conn, p, n);
    cnc_conn_touch(conn);
    return rc;
}

#define PAST_SCRATCH 4096 /* a piece from this size on is copied to the queue at once: it would get there anyway */

int cnc_queue_put(struct cnc_conn *conn, struct cnc_piece *piece)
{
    if (piece->free && piece->n > CNC_QUEUE_COPY_MAX)
        return cnc_queue_piece(conn, piece);
    bool streams = piece->n >= PAST_SCRATCH && !piece->free;
    int rc = streams ? cnc_queue_copy(conn, piece->p, piece->n) : cnc_conn_put(conn, piece->p, piece->n);
    cnc_piece_drop(piece);
    return rc;
}

/* Removes what was queued since `last` was the last chunk (NULL: none), with bytes up to end, and `queued` bytes were
 * queued. */
static void queue_take_back(struct cnc_conn *conn, struct cnc_chunk *last, size_t end, size_t queued)
{
    struct cnc_chunk *c = last ? last->next : conn->out;
    if (!last)
        conn->out = NULL;
    for (struct cnc_chunk *next; c; c = next) {
        next = c->next;
        free_chunk(conn, c);
    }
    if (!last)
        return;
    last->next = NULL;
    last->end = end;
    conn->out->last = last;
    conn->out->queued = queued;
}

static int queue_reply(struct cnc_conn *conn, const struct cnc_http_reply *r, struct cnc_piece *piece)
{
    size_t n = cnc_http_reply_size(r);
    struct cnc_chunk *c = conn->out ? conn->out->last : NULL;
    if (!c || c->free || c->cap - c->end < n)
        c = add_chunk(conn, n);
    if (!c)
        return CONCUR_E_NOMEM;
    n = cnc_http_reply_head(c->data + c->end, r);
    c->end += n;
    conn->out->queued += n;
    return piece->free ? queue_borrow(conn, piece) : queue_bytes(conn, piece->p, piece->n);
}

int cnc_queue_reply(struct cnc_conn *conn, const struct cnc_http_reply *r, struct cnc_piece *piece)
{
    int rc = spill_scratch(conn);
    if (rc == CONCUR_OK) {
        struct cnc_chunk *last = conn->out ? conn->out->last : NULL;
        size_t end = last ? last->end : 0, queued = cnc_conn_queued(conn);
        rc = queue_reply(conn, r, piece);
        if (rc < 0)
            queue_take_back(conn, last, end, queued);
    }
    cnc_piece_drop(piece);
    cnc_conn_touch(conn);
    return rc;
}

/* ---- pieces that are made in place ---- */

/* Room for the frame of a chunk, before and behind the piece. */
#define BEFORE CNC_HTTP_CHUNK_HEAD_MAX
#define BEHIND 2
#define BATCH_MIN 65536  /* enough for one call; a peer that reads nothing costs so much besides the socket buffer */
#define BATCH_MAX 262144 /* more saves no calls, and does not stay in the processor's cache */

/* As much as the socket buffer has room for, within bounds: pieces beyond that would only wait here. */
static size_t batch_of(const struct cnc_conn *conn)
{
    size_t room = cnc_sys_send_room(cnc_io_fd(&conn->io));
    return room < BATCH_MIN ? BATCH_MIN : room < BATCH_MAX ? room : BATCH_MAX;
}

char *cnc_queue_make(struct cnc_conn *conn, size_t *n)
{
    struct cnc_driver *drv = conn->drv;
    if (!conn->out)
        drv->batch = batch_of(conn);
    if (!drv->made)
        drv->made = cnc_desk_chunk_get(drv->home);
    if (!drv->made)
        return NULL;
    *drv->made = (struct cnc_chunk){ .p = drv->made->data, .cap = CNC_CHUNK - sizeof *drv->made, .is_home = true };
    *n = drv->made->cap - BEFORE - BEHIND;
    return drv->made->data + BEFORE;
}

bool cnc_queue_is_made(const struct cnc_conn *conn, const void *p)
{
    return conn->drv->made && p == conn->drv->made->data + BEFORE;
}

int cnc_queue_made(struct cnc_conn *conn, size_t n, bool chunked)
{
    struct cnc_driver *drv = conn->drv;
    struct cnc_chunk *c = drv->made;
    char head[CNC_HTTP_CHUNK_HEAD_MAX];
    if (spill_scratch(conn) < 0)
        return CONCUR_E_NOMEM;
    drv->made = NULL;
    c->at = BEFORE;
    c->end = BEFORE + n;
    if (chunked) {
        size_t len = cnc_http_chunk_head(head, n);
        c->at -= len;
        memcpy(c->data + c->at, head, len);
        memcpy(c->data + c->end, CNC_HTTP_CHUNK_TAIL.p, BEHIND);
        c->end += BEHIND;
    }
    append(conn, c);
    conn->out->queued += c->end - c->at;
    cnc_conn_touch(conn);
    return CONCUR_OK;
}

void cnc_queue_unmake(struct cnc_driver *drv)
{
    if (drv->made)
        cnc_desk_chunk_put(drv->home, drv->made);
    drv->made = NULL;
}

bool cnc_queue_is_batch(const struct cnc_conn *conn)
{
    return conn->out && conn->out->queued >= conn->drv->batch;
}

void cnc_queue_try(struct cnc_conn *conn)
{
    struct iovec iov[IOV_MAX_USED];
    int count = 0;
    for (struct cnc_chunk *c = conn->out; c && count < IOV_MAX_USED; c = c->next)
        iov[count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)(c->p + c->at), .iov_len = c->end - c->at };
    ssize_t n = count ? queue_write_out(conn, iov, count) : 0;
    if (n > 0)
        consume_output(conn, (size_t)n);
}
