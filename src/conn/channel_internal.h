/* SPDX-License-Identifier: MIT
 *
 * Shared by the two ends of a channel: channel.c at the carrier's home, channel_request.c at the request's.
 */
#ifndef CNC_CHANNEL_INTERNAL_H
#define CNC_CHANNEL_INTERNAL_H

#include "base/sys.h"
#include "conn/channel.h"

#define CNC_CHANNEL_CHUNK_FROM 8192 /* a message of this size or more is a chunk, of which desks keep some */

/* Sent as a post between the two homes. */
struct cnc_message {
    struct cnc_task task;
    struct cnc_channel *ch;
    size_t cost;          /* bytes of memory; they count as under way */
    bool is_chunk;        /* of the size that desks keep (CNC_CHUNK) */
};

/* Lock order: no thread holds mu and a home's lock at the same time. */
struct cnc_channel {
    atomic_uint refs;          /* one for each end, and for each message under way */
    struct cnc_stream lower;   /* the stream that the carrier has; used at here */
    struct cnc_stream *upper;  /* the request's stream; used at there once started. NULL: the request has finished */
    struct cnc_home *here;     /* the carrier's home; referenced */
    struct cnc_home *there;    /* the request's home; guarded by mu until started */
    size_t bytes_max;
    char peer[96];
    size_t peer_len;
    /* used at there */
    struct cnc_tasks in;       /* pieces of the body that the request has not taken yet */
    bool in_paused, in_end;    /* the request takes none now; the body is complete with the pieces in in */
    bool in_refused;           /* the request wants no more of its body, and must not be told of its end */
    struct cnc_down *made;     /* a message into which the request is writing a piece */
    /* used at here */
    size_t unsettled;          /* bytes that the carrier has queued; they count as under way until it has sent them */
    bool body_held;            /* the carrier keeps a piece, since bytes_max was reached */
    void (*on_left)(void *);   /* cnc_channel_on_left() */
    void *on_left_arg;
    pthread_mutex_t mu;
    pthread_cond_t room;
    size_t out_bytes, in_bytes; /* bytes under way to the carrier, to the request; guarded by mu */
    int gone;                   /* why the channel was given up, or 0; guarded by mu */
    bool finished;              /* the request sends nothing more; guarded by mu */
    struct cnc_down *last_down; /* the last DATA message until it is read: a piece may be added to it; guarded by mu */
    struct cnc_up *last_up;     /* the same in the other direction; guarded by mu */
    /* messages that need no memory; each is sent at most once */
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
    struct cnc_stream *to; /* UPGRADE: the new protocol's stream */
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
/* Notes why the channel is given up, and tells the request, if it has started and not finished. Later calls do
 * nothing. */
void cnc_channel_give_up(struct cnc_channel *ch, int reason);
/* At here: functions of messages. */
void cnc_channel_run_down(struct cnc_task *task);
void cnc_channel_run_abort(struct cnc_task *task);

/* channel_request.c */
extern const struct cnc_carrier_ops cnc_channel_carrier;
/* At there: the request sends nothing more, and its stream is not called any more. */
void cnc_channel_finish(struct cnc_channel *ch);
/* At there: functions of messages. */
void cnc_channel_run_up(struct cnc_task *task);
void cnc_channel_run_end(struct cnc_task *task);
void cnc_channel_run_gone(struct cnc_task *task);

/* A message of n bytes for ch; NULL: out of memory. It is a chunk if it is large, or if pieces may be added to it. On
 * home's thread. */
static inline void *cnc_message_get(struct cnc_channel *ch, struct cnc_home *home, size_t n, bool is_joined)
{
    bool is_chunk = (is_joined || n >= CNC_CHANNEL_CHUNK_FROM) && n <= CNC_CHUNK;
    struct cnc_message *m = is_chunk ? cnc_desk_chunk_get(home) : cnc_malloc(n);
    if (m)
        *m = (struct cnc_message){ .ch = ch, .cost = is_chunk ? CNC_CHUNK : n, .is_chunk = is_chunk };
    return m;
}

/* Frees a message. On home's thread. */
static inline void cnc_message_put(struct cnc_message *m, struct cnc_home *home)
{
    if (m->is_chunk)
        cnc_desk_chunk_put(home, m);
    else
        cnc_free(m);
}

#endif
