/* SPDX-License-Identifier: MIT
 *
 * An exchange: one request and its reply on a connection. On HTTP/1.1 a connection has one at a time, embedded in it.
 * exchange.c has its two state tables: one for the request's body, one for the reply.
 */
#ifndef CNC_EXCHANGE_H
#define CNC_EXCHANGE_H

#include "conn/stream.h"

/* States of the request's body. */
enum cnc_exchange_body {
    CNC_EXCHANGE_BODY_UNREAD, /* the request has not asked for it, or wants no more of it */
    CNC_EXCHANGE_BODY_WANTED, /* pieces go to the request */
    CNC_EXCHANGE_BODY_PAUSED, /* the request has a piece just now, or has left one in place (CONCUR_AGAIN) */
    CNC_EXCHANGE_BODY_TOLD,   /* complete, and the request was told so */
    CNC_EXCHANGE_BODY_REST,   /* the reply is complete: what still comes is thrown away */
    CNC_EXCHANGE_BODY_STATES
};

enum cnc_exchange_body_event {
    CNC_EXCHANGE_ON_WANT,     /* the request asks for it */
    CNC_EXCHANGE_ON_PIECE,    /* a piece is about to be given; the request may resume within that call */
    CNC_EXCHANGE_ON_RESUME,   /* the piece was taken, or is to be offered again */
    CNC_EXCHANGE_ON_REFUSE,   /* the request wants no more of it */
    CNC_EXCHANGE_ON_COMPLETE, /* its last piece was taken */
    CNC_EXCHANGE_ON_SKIP,     /* the reply is complete, and the body was not read to its end */
    CNC_EXCHANGE_BODY_EVENTS
};

/* States of the reply. */
enum cnc_exchange_reply {
    CNC_EXCHANGE_REPLY_NONE,
    CNC_EXCHANGE_REPLY_BEGUN, /* its head was written */
    CNC_EXCHANGE_REPLY_ENDED,
    CNC_EXCHANGE_REPLY_ABORTED, /* cut short by the request */
    CNC_EXCHANGE_REPLY_STATES
};

enum cnc_exchange_reply_event {
    CNC_EXCHANGE_ON_BEGIN,
    CNC_EXCHANGE_ON_END,
    CNC_EXCHANGE_ON_ABORT,
    CNC_EXCHANGE_REPLY_EVENTS
};

/* What must be done right after a step, in this order, by whoever takes the step. */
enum {
    CNC_EXCHANGE_DO_LET_GO = 1,   /* separate carrier and request */
    CNC_EXCHANGE_DO_CONTINUE = 2, /* send 100 Continue */
    CNC_EXCHANGE_DO_TELL_END = 4  /* tell the request that its body is complete */
};

enum {
    CNC_EXCHANGE_EXPECT = 1,       /* send 100 Continue when the request wants its body */
    CNC_EXCHANGE_HOLD = 2,         /* the request may leave pieces in place: read them into the connection's own buffer */
    CNC_EXCHANGE_DRAIN_WANTED = 4, /* tell the request when there is room for output */
    CNC_EXCHANGE_DRAIN_WHOLE = 8,  /* with DRAIN_WANTED: not before all output has been sent */
    CNC_EXCHANGE_STOP_DUE = 16     /* after an upgrade: tell the protocol that the server stops */
};

/* INV: held > 0 only while body is PAUSED, WANTED or REST. */
struct cnc_exchange {
    struct cnc_stream *stream;    /* the request's, or the new protocol's; NULL: its reply is complete, or its carrier left */
    struct cnc_http_body machine; /* reads the body */
    union {
        uint32_t held;            /* bytes of a body piece that the request left in place */
        int32_t lost;             /* after an upgrade: why the connection ends, if a thread must still tell the protocol;
                                   * 0: it goes on */
    };
    uint32_t discarded;           /* bytes that were read and thrown away: of the body, or while the connection lingers */
    uint16_t tries;               /* in a front, while the connection waits or is lent: how often a worker has refused it */
    uint16_t status;              /* of the page that the carrier sends if no request answers */
    uint8_t body, reply;          /* enum cnc_exchange_body, enum cnc_exchange_reply */
    uint8_t flags, framing;
};

/* The next state plus 1; 0: the pair is a bug. */
extern const uint8_t cnc_exchange_body_table[CNC_EXCHANGE_BODY_STATES][CNC_EXCHANGE_BODY_EVENTS];
extern const uint8_t cnc_exchange_reply_table[CNC_EXCHANGE_REPLY_STATES][CNC_EXCHANGE_REPLY_EVENTS];
const char *cnc_exchange_body_name(int state);
const char *cnc_exchange_reply_name(int state);

/* For the next request. */
static inline void cnc_exchange_begin(struct cnc_exchange *x)
{
    x->body = CNC_EXCHANGE_BODY_UNREAD;
    x->reply = CNC_EXCHANGE_REPLY_NONE;
    x->flags = 0;
    x->discarded = 0;
}

/* RFC 9110 §10.1.1: 100 Continue is sent only before the reply begins. It could be left out if some of the body has come
 * already, but then the client's answer would depend on how its packets arrived. */
static inline unsigned cnc_exchange_continue(struct cnc_exchange *x)
{
    if (!(x->flags & CNC_EXCHANGE_EXPECT) || x->reply != CNC_EXCHANGE_REPLY_NONE)
        return 0;
    x->flags &= (uint8_t)~CNC_EXCHANGE_EXPECT;
    return CNC_EXCHANGE_DO_CONTINUE;
}

/* Pure, as the next one: sets the state, and returns CNC_EXCHANGE_DO_*. */
static inline unsigned cnc_exchange_step_body(struct cnc_exchange *x, enum cnc_exchange_body_event ev)
{
    uint8_t to = cnc_exchange_body_table[x->body][ev];
    CNC_ASSERT(to != 0);
    if (CNC_UNLIKELY(to == 0))
        return 0;
    x->body = (uint8_t)(to - 1);
    if (ev == CNC_EXCHANGE_ON_WANT)
        return cnc_exchange_continue(x);
    return ev == CNC_EXCHANGE_ON_COMPLETE ? CNC_EXCHANGE_DO_TELL_END : 0;
}

static inline unsigned cnc_exchange_step_reply(struct cnc_exchange *x, enum cnc_exchange_reply_event ev)
{
    uint8_t to = cnc_exchange_reply_table[x->reply][ev];
    CNC_ASSERT(to != 0);
    if (CNC_UNLIKELY(to == 0))
        return 0;
    x->reply = (uint8_t)(to - 1);
    return ev == CNC_EXCHANGE_ON_BEGIN ? 0 : CNC_EXCHANGE_DO_LET_GO;
}

/* Every byte of the body was read, and none is held. */
static inline bool cnc_exchange_is_read(const struct cnc_exchange *x)
{
    return cnc_http_body_is_done(&x->machine) && x->held == 0;
}

/* Pieces of the body are used now: the request gets them, or they are thrown away. */
static inline bool cnc_exchange_takes(const struct cnc_exchange *x)
{
    return x->body == CNC_EXCHANGE_BODY_WANTED || x->body == CNC_EXCHANGE_BODY_REST;
}

#endif
