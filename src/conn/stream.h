/* SPDX-License-Identifier: MIT
 *
 * One request's two-way stream, between the request (above) and whatever carries it (below): a connection, or the bounded
 * channel of a request that runs on another thread. Both sides live at the same home; neither calls the other from inside
 * one of the other's calls except where said.
 */
#ifndef CNC_STREAM_H
#define CNC_STREAM_H

#include "base/base.h"
#include "http/http.h"

struct cnc_stream;

/* No address space has room for more. Sizes of a program's that pass this test can be added to without wrapping around. */
#define CNC_PIECE_MAX (SIZE_MAX / 256)

/* Bytes on their way out. free NULL: the bytes are copied before the call returns. Else they are borrowed until free(arg)
 * is called, exactly once, whatever the call returned. */
struct cnc_piece {
    const void *p;
    size_t n; /* at most CNC_PIECE_MAX */
    void (*free)(void *);
    void *arg;
};

static inline void cnc_piece_drop(struct cnc_piece *piece)
{
    if (piece->free)
        piece->free(piece->arg);
    *piece = (struct cnc_piece){ 0 };
}

/* What the request asks of its carrier. Only while stream->carrier is set. */
struct cnc_carrier_ops {
    /* Begins the reply; decides framing. last: the piece is the whole body, of known length, and the carrier lets go of
     * the stream (carrier becomes NULL); else there is no piece yet. CONCUR_OK, CONCUR_AGAIN (queued, over the high mark), CONCUR_E_NOMEM (nothing was said:
     * there may be another reply) or the reason why the carrier is gone: then the request calls abort. */
    int (*reply)(struct cnc_stream *, struct cnc_http_reply *, struct cnc_piece *, bool last);
    /* More of the body. As reply, but after any error the request calls abort. */
    int (*data)(struct cnc_stream *, struct cnc_piece *, bool last);
    /* A whole interim head, before the reply begins. As data; after CONCUR_E_NOMEM nothing was said. */
    int (*interim)(struct cnc_stream *, struct cnc_piece *);
    /* Room for a piece of the body that is made in place: data() with these bytes copies nothing. *n: how many. NULL: out of
     * memory. Valid until data(), or the next call of this. */
    char *(*room)(struct cnc_stream *, size_t *n);
    /* Ends the reply so that the peer sees it was cut short; lets go of the stream. */
    void (*abort)(struct cnc_stream *);
    /* The request wants its body: sends 100 Continue where due. Pieces come from now on through stream ops. hold: body()
     * may answer CONCUR_AGAIN, and the piece's bytes then stay where they are until resume_body. */
    void (*want_body)(struct cnc_stream *, bool hold);
    /* After body() said CONCUR_AGAIN: offers the held piece again, later. */
    void (*resume_body)(struct cnc_stream *);
    /* True when as much waits as the peer is likely to take at one go: one who makes pieces on demand makes no more. */
    bool (*is_full)(struct cnc_stream *);
    /* True when n bytes more would be too much: one who was told to wait has not done so. */
    bool (*is_over)(struct cnc_stream *, size_t n);
    /* Asks for one drain() when queued output has fallen to the low mark, whole: when all of it has left; later, even if that
     * is so already. */
    void (*want_drain)(struct cnc_stream *, bool whole);
    /* Ends the exchange with the reply r, a 101 (RFC 9110 §7.8), and gives what comes behind the request to `to`, as pieces of a
     * body that is wanted already; to->up is set, with a stop(). From then on to->down has data, abort, resume_body, is_full,
     * is_over and want_drain; none of them waits, and all are called within the callbacks of to->up alone where
     * these run on threads. data() with last, or abort(), ends the connection. CONCUR_OK; CONCUR_E_NOMEM or CONCUR_E_STATE (the
     * request's body was not read): nothing was said, and `to` is the caller's; or the reason why the carrier is gone. NULL: this
     * carrier cannot. */
    int (*upgrade)(struct cnc_stream *, struct cnc_http_reply *r, struct cnc_stream *to);
    /* Looks whether the peer has left: 0 or CONCUR_E_GONE. Non-blocking. */
    int (*check)(struct cnc_stream *);
    /* Another stream takes over this one's place with the carrier: to->up is set, the rest is filled in. */
    void (*move)(struct cnc_stream *, struct cnc_stream *to);
    /* The peer's address as text with a NUL; returns its length. */
    size_t (*peer)(struct cnc_stream *, char *out, size_t n);
    /* The same for our own end. NULL: this carrier does not know it. */
    size_t (*local)(struct cnc_stream *, char *out, size_t n);
};

/* What the carrier tells the request, or after an upgrade the new protocol: there body() that returns an error has the rest thrown
 * away, and a piece that was kept in place is offered again with what has come since. */
struct cnc_stream_ops {
    /* A piece of the body: CONCUR_OK taken, CONCUR_AGAIN keep it in place until resume_body, < 0 the request no longer wants any. */
    int (*body)(struct cnc_stream *, const char *, size_t);
    /* The body is complete. Once. */
    void (*body_end)(struct cnc_stream *);
    void (*drain)(struct cnc_stream *);
    /* The carrier is gone, or gave up (CONCUR_E_*); carrier is NULL already. Once, and nothing follows. At a blocking home also
     * from within reply(), data() and interim(), which then return why. */
    void (*gone)(struct cnc_stream *, int reason);
    /* After an upgrade: the server stops. Once. The stream may say goodbye and end; at the stop's deadline it is gone. */
    void (*stop)(struct cnc_stream *);
};

struct cnc_stream {
    const struct cnc_carrier_ops *down;
    const struct cnc_stream_ops *up;
    void *carrier; /* NULL: detached */
};

/* Who is to carry a request that begins. */
struct cnc_carrier {
    const struct cnc_carrier_ops *ops;
    void *self;                 /* for stream->carrier */
    struct cnc_stream **stream; /* where the carrier keeps its request; set before the request calls it */
    int64_t head_at;            /* when the head was complete, on home's clock; 0: just now */
};

#endif
