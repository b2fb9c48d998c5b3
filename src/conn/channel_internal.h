/* SPDX-License-Identifier: MIT
 *
 * What the two ends of a channel share: channel.c is the carrier's, channel_request.c the request's.
 */
#ifndef CNC_CHANNEL_INTERNAL_H
#define CNC_CHANNEL_INTERNAL_H

#include "base/sys.h"
#include "conn/channel.h"

#define CNC_CHANNEL_CHUNK_FROM 8192 /* a message from this size on is a chunk, of which homes keep some */

/* Travels as a post. */
struct cnc_message {
    struct cnc_task task;
    struct cnc_channel *ch;
    size_t cost;          /* its memory: bytes that count as being under way */
    bool is_chunk;        /* of the size that homes keep */
};

/* Lock order: mu is never held while a home's lock is wanted, nor the other way round. */
struct cnc_channel {
    atomic_uint refs;          /* each end, each message under way */
    struct cnc_stream lower;   /* the carrier's view: belongs to `here` */
    struct cnc_stream *upper;  /* the request's own: belongs to `there` once started */
    struct cnc_home *here;     /* the carrier's; referenced */
    struct cnc_home *there;    /* the request's; guarded by mu until started */
    size_t bytes_max;
    char peer[96];
    size_t peer_len;
    /* at there */
    struct cnc_tasks in;       /* body pieces that the request keeps waiting */
    bool in_paused, in_end;    /* in_end: body_end comes after them */
    bool in_refused;           /* the request wants no more of its body, nor to hear of its end */
    struct cnc_down *made;     /* a message whose piece is made in place */
    /* at here */
    size_t unsettled;          /* bytes with the carrier that it has not sent on */
    bool body_held;            /* the carrier was told to keep its piece */
    void (*on_left)(void *);   /* the carrier went before the request had a thread */
    void *on_left_arg;
    pthread_mutex_t mu;
    pthread_cond_t room;
    size_t out_bytes, in_bytes; /* under way; guarded by mu */
    int gone;                   /* reason; guarded by mu */
    bool finished;              /* the request has sent its last word; guarded by mu */
    struct cnc_down *last_down; /* DATA that was sent last and not read yet: the next may join it; guarded by mu */
    struct cnc_up *last_up;     /* the same the other way; guarded by mu */
    /* messages that must not fail for want of memory; each is sent at most once */
    struct cnc_task gone_task, end_task, abort_task;
};

enum cnc_down_kind {
    CNC_DOWN_REPLY,
    CNC_DOWN_DATA,
    CNC_DOWN_INTERIM,
    CNC_DOWN_UPGRADE,
    CNC_DOWN_WANT_BODY,
    CNC_DOWN_RESUME_BODY
};

/* Down: from the request to the carrier. */
struct cnc_down {
    struct cnc_message m;
    enum cnc_down_kind kind;
    bool last, hold;
    struct cnc_http_reply reply; /* its fields and their texts lie in text */
    struct cnc_piece piece;
    struct cnc_stream *to; /* of an upgrade */
    char text[];
};
_Static_assert(offsetof(struct cnc_down, text) % _Alignof(struct cnc_http_pair) == 0, "fields lie in text");

/* Up: from the carrier to the request: a piece of the body. */
struct cnc_up {
    struct cnc_message m;
    size_t n;
    char data[];
};

/* channel.c */
void cnc_channel_ref(struct cnc_channel *ch);
void cnc_channel_unref(struct cnc_channel *ch);
/* Marks the channel dead and tells the request, if it has started and not finished. Once. */
void cnc_channel_give_up(struct cnc_channel *ch, int reason);
/* At here: what a message is there for. */
void cnc_channel_run_down(struct cnc_task *task);
void cnc_channel_run_abort(struct cnc_task *task);

/* channel_request.c */
extern const struct cnc_carrier_ops cnc_channel_carrier;
/* At there: no word of the request follows, and it hears of nothing any more. */
void cnc_channel_finish(struct cnc_channel *ch);
/* At there: what a message is here for. */
void cnc_channel_run_up(struct cnc_task *task);
void cnc_channel_run_end(struct cnc_task *task);
void cnc_channel_run_gone(struct cnc_task *task);

/* A message of n bytes for ch, by the owner of home; NULL: out of memory. In a chunk if it is large, or others are to join. */
static inline void *cnc_message_get(struct cnc_channel *ch, struct cnc_home *home, size_t n, bool is_joined)
{
    bool is_chunk = (is_joined || n >= CNC_CHANNEL_CHUNK_FROM) && n <= CNC_CHUNK;
    struct cnc_message *m = is_chunk ? cnc_desk_chunk_get(home) : cnc_malloc(n);
    if (m)
        *m = (struct cnc_message){ .ch = ch, .cost = is_chunk ? CNC_CHUNK : n, .is_chunk = is_chunk };
    return m;
}

/* It has arrived, and the owner of home is through with it. */
static inline void cnc_message_put(struct cnc_message *m, struct cnc_home *home)
{
    if (m->is_chunk)
        cnc_desk_chunk_put(home, m);
    else
        cnc_free(m);
}

#endif
