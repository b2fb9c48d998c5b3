/* SPDX-License-Identifier: MIT
 *
 * The stream of a request: the interface between the request (above) and its carrier (below), which is a connection, or the
 * channel of a request that runs on another thread. Both sides are at the same home. While one side calls the other, it is not
 * called back, except where said.
 */
#ifndef CNC_STREAM_H
#define CNC_STREAM_H

#include "base/base.h"
#include "http/http.h"

struct cnc_stream;

/* More bytes than fit into memory. Sums with a size that a program gave cannot wrap around if the size is at most this. */
#define CNC_PIECE_MAX (SIZE_MAX / 256)

/* Bytes to be sent. free NULL: the bytes are copied before the call returns. Else they are borrowed until free(arg) is called,
 * exactly once, whatever the call returned. */
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
    /* Begins the reply; decides the framing. last: the piece is the whole body, of known length, and the carrier lets go of
     * the stream (carrier becomes NULL). Else the piece is empty. CONCUR_OK; CONCUR_AGAIN: queued, and more than the high mark
     * is queued now; CONCUR_E_NOMEM: nothing was sent, and another reply may begin; or the reason why the carrier is gone: then
     * the request calls abort. */
    int (*reply)(struct cnc_stream *, struct cnc_http_reply *, struct cnc_piece *, bool last);
    /* More of the body. Returns as reply, but after every error the request calls abort. */
    int (*data)(struct cnc_stream *, struct cnc_piece *, bool last);
    /* An interim reply, before the reply begins: a status 102 to 199 and fields; no more of it is looked at. Returns as data;
     * CONCUR_E_NOMEM: nothing was sent. */
    int (*interim)(struct cnc_stream *, const struct cnc_http_reply *);
    /* Room for a piece of the body that the request makes in place: data() with these bytes copies nothing. *n: its size. NULL:
     * out of memory. Valid until data(), or the next call of this. */
    char *(*room)(struct cnc_stream *, size_t *n);
    /* Ends the reply so that the peer sees that it was cut short; lets go of the stream. */
    void (*abort)(struct cnc_stream *);
    /* The request wants its body: sends 100 Continue if it is due. From now on pieces come through body(). hold: body() may
     * return CONCUR_AGAIN, and the piece's bytes then stay where they are until resume_body. */
    void (*want_body)(struct cnc_stream *, bool hold);
    /* After body() returned CONCUR_AGAIN: offers the piece again, not within this call. */
    void (*resume_body)(struct cnc_stream *);
    /* True: as much is queued as the peer is likely to take at once. A request that makes pieces on demand then stops. */
    bool (*is_full)(struct cnc_stream *);
    /* True: n bytes more would be too much. That happens only if the request goes on although CONCUR_AGAIN told it to wait. */
    bool (*is_over)(struct cnc_stream *, size_t n);
    /* Asks for one drain() when queued output has fallen to the low mark; whole: when all of it was sent. Never within this
     * call, even if that is so already. */
    void (*want_drain)(struct cnc_stream *, bool whole);
    /* Ends the exchange with the reply r, a 101 (RFC 9110 §7.8). `to` gets what comes behind the request, as pieces of a body
     * that is wanted already; to->up is set, with a stop(). From then on to->down has data, abort, resume_body, is_full,
     * is_over and want_drain. None of them waits. On threads they may only be called within the callbacks of to->up. data()
     * with last, or abort(), ends the connection. CONCUR_OK; CONCUR_E_NOMEM, or CONCUR_E_STATE (the request's body was not
     * read): nothing was sent, and `to` is the caller's; or the reason why the carrier is gone. NULL: this carrier cannot be
     * upgraded. */
    int (*upgrade)(struct cnc_stream *, struct cnc_http_reply *r, struct cnc_stream *to);
    /* Has the peer left? 0, or the reason why the carrier is gone. Never waits. */
    int (*check)(struct cnc_stream *);
    /* Another stream takes this one's place at the carrier. The caller has set to->up; down and carrier are filled in. */
    void (*move)(struct cnc_stream *, struct cnc_stream *to);
    /* Writes the peer's address as text with a NUL; returns its length, 0 if it is not known or too long. */
    size_t (*peer)(struct cnc_stream *, char *out, size_t n);
    /* The same for our own address. NULL: this carrier does not know it. */
    size_t (*local)(struct cnc_stream *, char *out, size_t n);
};

/* What the carrier tells the request or, after an upgrade, the new protocol. Two things differ after an upgrade. If body()
 * returns an error, all further input is thrown away. A piece that was left in place is offered again together with what has
 * come since. */
struct cnc_stream_ops {
    /* A piece of the body. CONCUR_OK: taken. CONCUR_AGAIN: it stays in place until resume_body. < 0: no more is wanted. */
    int (*body)(struct cnc_stream *, const char *, size_t);
    /* The body is complete. Once. */
    void (*body_end)(struct cnc_stream *);
    void (*drain)(struct cnc_stream *); /* what want_drain asked for */
    /* The carrier is gone, or gave up (CONCUR_E_*); carrier is NULL already. Once, and nothing follows. At a blocking home it
     * may be called within reply(), data() or interim(), which then return the reason. */
    void (*gone)(struct cnc_stream *, int reason);
    /* After an upgrade: the server stops. Once. The protocol may send its last bytes and end. If it has not ended at the stop's
     * deadline, gone() is called. */
    void (*stop)(struct cnc_stream *);
};

struct cnc_stream {
    const struct cnc_carrier_ops *down;
    const struct cnc_stream_ops *up;
    void *carrier; /* NULL: detached */
};

/* The carrier of a request that begins. */
struct cnc_carrier {
    const struct cnc_carrier_ops *ops;
    void *self;                 /* for stream->carrier */
    struct cnc_stream **stream; /* where the carrier keeps its request; set before the request calls it */
    int64_t head_at;            /* when the head was complete, ms on the home's clock; 0: just now */
};

#endif
